/**
 * Random numbers: `tnp.random`.
 *
 * Every draw takes a key from the global state and makes its bits from the key and each element's position (Threefry-2x32), so a seed
 * gives the same numbers on every device, and draws can be fused, traced and mapped. The numbers are not NumPy's, their laws are.
 * @module
 */
import { type DType, isInteger } from "../base/dtype.ts";
import { ShapeError, TracerError } from "../base/errors.ts";
import { defaultFloat } from "../base/promote.ts";
import { broadcastShapes, checkShape, formatShape, sameShape, sizeOf } from "../base/shape.ts";
import { iinfo } from "../base/limits.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { fromBytes } from "../transform/evaluate.ts";
import { nextKey, seed as startAt } from "../transform/random.ts";
import { untraced } from "../transform/tracing.ts";
import { type Args, type ArrayLike, type NDArray, wrap } from "../array.ts";
import { checkDType, checkInt, describe, keywords, toShape } from "./args.ts";
import { deviceOf, toTyped } from "./convert.ts";
import { anyKnown } from "./reading.ts";

/** The shape of a draw: an integer, a list, or null for a 0-d array (or the parameters' shape). */
export type Size = number | readonly number[] | null;

/** Keywords of functions that only need a shape. */
export interface SizeOptions {
  /** The shape of the result; one draw for each element of the parameters if absent. */
  readonly size?: Size | undefined;
}

/** Sources of independent words at each element. */
type Words = (stream: number, word: 0 | 1) => Node;

/** One draw of random words for each element of a shape. */
function draw(name: string, shape: readonly number[], device: Device): Words {
  checkShape(name, shape);
  const size = sizeOf(shape);
  if (size > 2 ** 32) throw new RangeError(`${name}: got ${size} elements, expected at most 2^32 in one draw`);
  const [k0, k1] = nextKey(device);
  const position = ops.reshape(ops.iota([size], 0, "uint32", device), shape);
  // Both words of a stream come of one computation, if its number is one node.
  const streams: Node[] = [];
  return (stream, word) =>
    ops.threefry(k0, k1, position, streams[stream] ??= ops.scalar(stream, "uint32", device), word);
}

const number = (value: number, like: Node): Node => ops.scalar(value, like.dtype, like.device);

/** The upper `bits` of a word as a float from 0 to 1 (excluded). */
function fraction(word: Node, bits: number, dtype: DType): Node {
  const high = ops.shr(word, ops.scalar(32 - bits, "uint32", word.device));
  const x = ops.cast(high, dtype);
  return ops.mul(x, number(2 ** -bits, x));
}

/** Floats from 0 to 1 (excluded), as fine as the dtype; `stream` tells draws of one key apart. */
function unit(words: Words, dtype: DType, stream: number): Node {
  if (dtype !== "float64") return fraction(words(stream, 0), dtype === "float32" ? 24 : 11, dtype);
  // 27 and 26 bits make the 53 of a float64.
  const high = fraction(words(stream, 0), 27, dtype), low = fraction(words(stream, 1), 26, dtype);
  return ops.add(high, ops.mul(low, number(2 ** -27, low)));
}

/** Normal numbers by the transformation of Box and Muller (1958). */
function gaussian(words: Words, dtype: DType): Node {
  const u = unit(words, dtype, 0), turn = unit(words, dtype, 1);
  // 1 - u is never 0.
  const radius = ops.sqrt(ops.mul(ops.log(ops.sub(number(1, u), u)), number(-2, u)));
  return ops.mul(radius, ops.cos(ops.mul(turn, number(2 * Math.PI, turn))));
}

function sizeArgument(name: string, size: Size | undefined): readonly number[] | null {
  if (size === undefined || size === null) return null;
  const shape = toShape(name, size);
  checkShape(name, shape);
  return shape;
}

/** The shape of a draw whose parameters are arrays. */
function shapeWith(name: string, size: Size | undefined, ...parameters: readonly Node[]): readonly number[] {
  const own = broadcastShapes(name, ...parameters.map((p) => p.shape));
  const wanted = sizeArgument(name, size);
  if (wanted === null) return own;
  if (!sameShape(broadcastShapes(name, own, wanted), wanted)) {
    throw new ShapeError(`${name}: got size ${formatShape(wanted)} for parameters of shape ${formatShape(own)}`);
  }
  return wanted;
}

function standard(name: string, law: (words: Words, dtype: DType) => Node, size: Size | undefined): NDArray {
  return wrap(law(draw(name, sizeArgument(name, size) ?? [], currentDevice()), defaultFloat()));
}

/**
 * Starts the random numbers anew: after the same seed come the same numbers.
 *
 * @param seed a non-negative integer below 2^64; null for one from the system
 * @throws RangeError for another value
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * tnp.random.seed(7);
 * const a = tnp.random.rand().item();
 * tnp.random.seed(7);
 * console.log(a === tnp.random.rand().item()); // true
 * ```
 * Source: numpy.random.seed
 */
export function seed(seed: number | bigint | null = null): void {
  startAt(seed);
}

/**
 * Uniform numbers from 0 to 1 (excluded).
 *
 * @param size the shape; a 0-d array if absent
 * @returns floats of the default float dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.random([2, 3]).shape); // [ 2, 3 ]
 * ```
 * Source: numpy.random.random
 */
export function random(...args: Args<[size: Size], SizeOptions>): NDArray {
  const { size } = keywords<SizeOptions>("random", ["size"], args);
  return standard("random", (words, dtype) => unit(words, dtype, 0), size);
}

/**
 * Uniform numbers from 0 to 1 (excluded); the lengths of the axes are separate arguments.
 *
 * @param shape the lengths
 * @returns floats of the default float dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.rand(2, 3).shape); // [ 2, 3 ]
 * ```
 * Source: numpy.random.rand
 */
export function rand(...shape: readonly number[]): NDArray {
  return standard("rand", (words, dtype) => unit(words, dtype, 0), shape);
}

/**
 * Normal numbers of mean 0 and variance 1; the lengths of the axes are separate arguments.
 *
 * @param shape the lengths
 * @returns floats of the default float dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.randn(4).astype(tnp.float32).dtype); // float32
 * ```
 * Source: numpy.random.randn
 */
export function randn(...shape: readonly number[]): NDArray {
  return standard("randn", gaussian, shape);
}

/**
 * Normal numbers of mean 0 and variance 1.
 *
 * @param size the shape; a 0-d array if absent
 * @returns floats of the default float dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.standard_normal([2, 3]).shape); // [ 2, 3 ]
 * ```
 * Source: numpy.random.standard_normal
 */
export function standard_normal(...args: Args<[size: Size], SizeOptions>): NDArray {
  const { size } = keywords<SizeOptions>("standard_normal", ["size"], args);
  return standard("standard_normal", gaussian, size);
}

/** Keywords of `uniform`. */
export interface UniformOptions extends SizeOptions {
  /** The lower end, which may be drawn; 0 if absent. */
  readonly low?: ArrayLike | undefined;
  /** The upper end; 1 if absent. */
  readonly high?: ArrayLike | undefined;
}

/**
 * Uniform numbers from `low` to `high` (excluded).
 *
 * @param low the lower end; 0 if absent
 * @param high the upper end; 1 if absent
 * @param size the shape; that of the ends if absent
 * @returns floats of the default float dtype
 * @throws ShapeError for a size that the ends do not broadcast to
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.random.uniform(-1, 1, [100]);
 * console.log(tnp.all(tnp.less_equal(tnp.abs(x), 1)).item()); // true
 * ```
 * Source: numpy.random.uniform
 */
export function uniform(...args: Args<[low: ArrayLike, high: ArrayLike, size: Size], UniformOptions>): NDArray {
  const { low = 0, high = 1, size } = keywords<UniformOptions>("uniform", ["low", "high", "size"], args);
  const [a, b] = parameters("uniform", low, high);
  const u = unit(draw("uniform", shapeWith("uniform", size, a, b), a.device), a.dtype, 0);
  return wrap(ops.add(a, ops.mul(ops.sub(b, a), u)));
}

/** Keywords of `normal`. */
export interface NormalOptions extends SizeOptions {
  /** The mean; 0 if absent. */
  readonly loc?: ArrayLike | undefined;
  /** The standard deviation; 1 if absent. */
  readonly scale?: ArrayLike | undefined;
}

/**
 * Normal numbers.
 *
 * @param loc the mean; 0 if absent
 * @param scale the standard deviation; 1 if absent
 * @param size the shape; that of the parameters if absent
 * @returns floats of the default float dtype
 * @throws RangeError for a negative scale, ShapeError for a size that the parameters do not broadcast to
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.normal(10, 0.1, [2, 3]).shape); // [ 2, 3 ]
 * ```
 * Source: numpy.random.normal
 */
export function normal(...args: Args<[loc: ArrayLike, scale: ArrayLike, size: Size], NormalOptions>): NDArray {
  const { loc = 0, scale = 1, size } = keywords<NormalOptions>("normal", ["loc", "scale", "size"], args);
  const [mean, spread] = parameters("normal", loc, scale);
  checkScale("normal", scale, spread, mean);
  const z = gaussian(draw("normal", shapeWith("normal", size, mean, spread), mean.device), mean.dtype);
  return wrap(ops.add(mean, ops.mul(spread, z)));
}

/** Keywords of `exponential`. */
export interface ExponentialOptions extends SizeOptions {
  /** The mean; 1 if absent. */
  readonly scale?: ArrayLike | undefined;
}

/**
 * Exponentially distributed numbers.
 *
 * @param scale the mean; 1 if absent
 * @param size the shape; that of the scale if absent
 * @returns floats of the default float dtype
 * @throws RangeError for a negative scale
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.exponential(2, [5]).shape); // [ 5 ]
 * ```
 * Source: numpy.random.exponential
 */
export function exponential(...args: Args<[scale: ArrayLike, size: Size], ExponentialOptions>): NDArray {
  const { scale = 1, size } = keywords<ExponentialOptions>("exponential", ["scale", "size"], args);
  const [mean] = parameters("exponential", scale, 0);
  checkScale("exponential", scale, mean);
  const u = unit(draw("exponential", shapeWith("exponential", size, mean), mean.device), mean.dtype, 0);
  return wrap(ops.mul(mean, ops.neg(ops.log1p(ops.neg(u)))));
}

/** Two parameters as floats on one device. */
function parameters(name: string, x: ArrayLike, y: ArrayLike): [Node, Node] {
  const device = deviceOf(x, y), dtype = defaultFloat();
  return [toTyped(name, x, dtype, device), toTyped(name, y, dtype, device)];
}

/** Refuses parameters for which `bad` holds anywhere; inside a trace nothing is known of them. */
function check(name: string, what: string, expected: string, bad: Node, ...kept: readonly Node[]): void {
  if (anyKnown(bad, kept)) {
    throw new RangeError(`${name}: ${what} is out of range, expected ${expected}`);
  }
}

/** Checks that a scale is not negative, without computing anything for a plain number. */
function checkScale(name: string, given: ArrayLike, scale: Node, ...kept: readonly Node[]): void {
  if (typeof given !== "number") check(name, "scale", "0 or more", ops.less(scale, number(0, scale)), scale, ...kept);
  else if (given < 0) throw new RangeError(`${name}: scale is out of range, expected 0 or more, got ${given}`);
}

/** Keywords of `randint`. */
export interface RandintOptions<D extends DType = "int64"> extends SizeOptions {
  /** The end, which is left out; `low` is the end, and 0 the start, if absent. */
  readonly high?: ArrayLike | null | undefined;
  /** The dtype of the result; int64 if absent. */
  readonly dtype?: D | undefined;
}

/**
 * Integers from `low` to `high` (excluded), or from 0 to `low` where `high` is absent.
 *
 * @param low the least one; or, alone, the end
 * @param high the end
 * @param size the shape; that of the ends if absent
 * @param dtype an integer dtype or bool; int64 if absent
 * @returns integers; ranges over 2^53 are taken from 64 random bits by remainder
 * @throws RangeError where low >= high or an end does not fit the dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.randint(0, 10, [3]).dtype); // int64
 * ```
 * Source: numpy.random.randint
 */
export function randint<D extends DType = "int64">(
  low: ArrayLike,
  ...args: Args<[high: ArrayLike | null, size: Size, dtype: D], RandintOptions<D>>
): NDArray<D> {
  const options = keywords<RandintOptions<D>>("randint", ["high", "size", "dtype"], args);
  const { high = null, size, dtype = "int64" } = options;
  checkDType("randint", dtype);
  if (!isInteger(dtype) && dtype !== "bool") {
    throw new TypeError(`randint: got dtype ${dtype}, expected an integer dtype or bool`);
  }
  const [first, end] = high === null ? [0, low] : [low, high];
  const bounds = limits(dtype);
  const device = deviceOf(first, end);
  const [a, b] = [endOf(first, device), endOf(end, device)];
  if (typeof a === "bigint" && typeof b === "bigint") {
    if (a >= b) throw new RangeError(`randint: got low ${a} and high ${b}, expected low < high`);
    if (a < bounds[0] || b > bounds[1]) {
      throw new RangeError(`randint: got low ${a} and high ${b}, expected ${bounds[0]} to ${bounds[1]} for ${dtype}`);
    }
    const words = draw("randint", sizeArgument("randint", size) ?? [], device);
    return wrap<D>(ops.cast(between(words, a, b - a, dtype, device), dtype));
  }
  const [x, y] = [a, b].map((v) => typeof v === "bigint" ? ops.scalar(v, "int64", device) : v) as [Node, Node];
  broadcastShapes("randint", x.shape, y.shape);
  check("randint", "low", "low < high everywhere", ops.less_equal(y, x), x, y);
  check(
    "randint",
    "low",
    `${bounds[0]} or more for ${dtype}`,
    ops.less(x, ops.scalar(max64(bounds[0]), "int64", device)),
    x,
    y,
  );
  check(
    "randint",
    "high",
    `${bounds[1]} or less for ${dtype}`,
    ops.less(ops.scalar(max64(bounds[1]), "int64", device), y),
    x,
    y,
  );
  const words = draw("randint", shapeWith("randint", size, x, y), device);
  const range = ops.cast(ops.sub(y, x), "float64");
  const steps = ops.cast(ops.floor(ops.mul(unit(words, "float64", 0), range)), "int64");
  return wrap<D>(ops.cast(ops.add(x, steps), dtype));
}

/** The least integer of a dtype and the one after its greatest. */
function limits(dtype: DType): [bigint, bigint] {
  if (dtype === "bool") return [0n, 2n];
  const { min, max } = iinfo(dtype);
  return [BigInt(min), BigInt(max) + 1n];
}

const max64 = (x: bigint): bigint => x > 2n ** 63n - 1n ? 2n ** 63n - 1n : x;

/** An end of a range: a plain integer, or an int64 array. */
function endOf(x: ArrayLike, device: Device): bigint | Node {
  if (typeof x === "bigint") return x;
  if (typeof x === "number") {
    if (Number.isNaN(x) || !Number.isFinite(x)) throw new RangeError(`randint: got ${x}, expected an integer`);
    return BigInt(Math.trunc(x));
  }
  return toTyped("randint", x, "int64", device);
}

/** `low` plus 0 to `range - 1`. */
function between(words: Words, low: bigint, range: bigint, dtype: DType, device: Device): Node {
  if (range <= 2n ** 53n) {
    // u < 1 has 53 bits, so u * range rounds below range.
    const u = unit(words, "float64", 0);
    const steps = ops.floor(ops.mul(u, number(Number(range), u)));
    const type = dtype === "uint64" ? "uint64" : "int64";
    return ops.add(ops.cast(steps, type), ops.scalar(low, type, device));
  }
  const high = ops.cast(words(0, 0), "uint64");
  const bits = ops.or(ops.shl(high, ops.scalar(32n, "uint64", device)), ops.cast(words(0, 1), "uint64"));
  const steps = range === 2n ** 64n ? bits : ops.mod(bits, ops.scalar(range, "uint64", device));
  return ops.add(steps, ops.scalar(BigInt.asUintN(64, low), "uint64", device));
}

/** Keywords of `poisson`. */
export interface PoissonOptions extends SizeOptions {
  /** The mean; 1 if absent. */
  readonly lam?: ArrayLike | undefined;
}

/**
 * Counts of events that come at a mean rate.
 *
 * The numbers are found by inversion of the distribution, which needs the rate's value: inside `tnp.function` and
 * `tnp.vectorized_map` it must be a plain number.
 *
 * @param lam the mean, not negative; 1 if absent
 * @param size the shape; that of the mean if absent
 * @returns int64
 * @throws RangeError for a negative or too large mean, TracerError for a traced one
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.random.poisson(4, [3]).dtype); // int64
 * ```
 * Source: numpy.random.poisson
 */
export function poisson(...args: Args<[lam: ArrayLike, size: Size], PoissonOptions>): NDArray<"int64"> {
  const { lam = 1, size } = keywords<PoissonOptions>("poisson", ["lam", "size"], args);
  const device = deviceOf(lam);
  const given = () => toTyped("poisson", lam, "float64", device);
  const mean = typeof lam === "number" ? untraced(given) : given();
  if (mean.symbolic) {
    throw new TracerError("poisson: the mean is a traced value, expected a plain number inside a traced function");
  }
  const shape = shapeWith("poisson", size, mean);
  const means = untraced(() => wrap(ops.broadcast(mean, shape)).dataSync()) as Float64Array;
  const most = 1e6;
  for (const m of means) {
    if (!(m >= 0 && m <= most)) throw new RangeError(`poisson: got a mean of ${m}, expected 0 to ${most}`);
  }
  const u = unit(draw("poisson", shape, device), "float64", 0);
  const first = means[0];
  if (first === undefined) return wrap<"int64">(ops.cast(u, "int64"));
  if (means.every((m) => m === first)) {
    const table = cumulative(first);
    const cdf = fromBytes(new Uint8Array(table.buffer), [table.length], "float64", device);
    return wrap<"int64">(ops.searchsorted(cdf, u, "right"));
  }
  if (u.symbolic) {
    throw new TracerError("poisson: several means inside a traced function, expected one plain number");
  }
  const draws = wrap(u).dataSync() as Float64Array;
  const tables = new Map<number, Float64Array>();
  const counts = new BigInt64Array(new ArrayBuffer(8 * draws.length));
  draws.forEach((x, i) => {
    const m = means[i]!;
    let table = tables.get(m);
    if (table === undefined) tables.set(m, table = cumulative(m));
    counts[i] = BigInt(rank(table, x));
  });
  return wrap<"int64">(fromBytes(new Uint8Array(counts.buffer), shape, "int64", device));
}

/** The chances of 0, of up to 1, … events; the last is close enough to 1 that no 53-bit number is above it. */
function cumulative(mean: number): Float64Array<ArrayBuffer> {
  const length = Math.ceil(mean + 12 * Math.sqrt(mean) + 40);
  const table = new Float64Array(new ArrayBuffer(8 * length));
  let total = 0, logFactorial = 0;
  for (let k = 0; k < length; k++) {
    if (k > 0) logFactorial += Math.log(k);
    total += mean === 0 ? Number(k === 0) : Math.exp(k * Math.log(mean) - mean - logFactorial);
    table[k] = total;
  }
  // The sum's rounding must not leave a gap below 1.
  for (let k = 0; k < length; k++) table[k]! /= total;
  return table;
}

/** How many entries of a rising table are not above x. */
function rank(table: Float64Array, x: number): number {
  let low = 0, high = table.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (table[middle]! <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * A random order of the first `n` integers, or of the entries of an array along its first axis.
 *
 * @param x an integer n, or an array
 * @returns the shuffled integers or array
 * @throws TypeError for a number that is no integer
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sort(tnp.random.permutation(4)).toArray()); // [ 0, 1, 2, 3 ]
 * ```
 * Source: numpy.random.permutation
 */
export function permutation(x: number | ArrayLike): NDArray {
  const device = deviceOf(x);
  if (typeof x === "number" || typeof x === "bigint") {
    const n = checkInt("permutation", "n", x);
    return wrap(order(n, device));
  }
  const node = toTyped("permutation", x, null, device);
  if (node.shape.length === 0) {
    throw new TypeError(`permutation: got ${describe(x)}, expected an integer or an array with an axis`);
  }
  return wrap(ops.gather(node, [order(node.shape[0]!, device)], [0]));
}

/** Random positions 0 to n - 1, each once: the order of 53-bit draws, whose ties are rarer than one in 2^27 for 2^13 elements. */
function order(n: number, device: Device): Node {
  return ops.argsort(unit(draw("permutation", [n], device), "float64", 0));
}
