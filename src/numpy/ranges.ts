/**
 * Ranges, grids and the indices of grids.
 * @module
 */
import { type DType, dtypeInfo, isInexact, isInteger } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { checkInteger, isIntegral, literalType, resultType } from "../base/promote.ts";
import { broadcastShapes, checkShape, formatShape, normalizeAxis } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { currentDevice } from "../device/registry.ts";
import { type Args, type ArrayLike, NDArray, wrap } from "../array.ts";
import { checkChoice, checkDType, checkInt, describe, keywords, toShape, within } from "./args.ts";
import { deviceFor } from "./place.ts";
import { asNode, deviceOf, promotable, toNodes, toOperand } from "./convert.ts";
import { moveAxis } from "./moves.ts";
import { nonzeroNodes } from "./searching.ts";
import { lit, number } from "./ufunc.ts";

/** A number as `arange` takes it; an array of one element counts as its element. */
type Bound = number | bigint | boolean;

function boundOf(what: string, x: unknown): { value: Bound; whole: boolean } {
  const value = x instanceof NDArray ? within("arange", () => x.item()) : x;
  if (
    typeof value === "object" || (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "boolean")
  ) {
    throw new TypeError(`arange: ${what} must be a real number, got ${describe(x)}`);
  }
  const whole = x instanceof NDArray ? !isInexact(x.dtype) : typeof value !== "number" || isIntegral(value);
  return { value, whole };
}

/** Keywords of `arange`. */
export interface ArangeOptions<D extends DType = DType> {
  /** The first number; 0 if absent. */
  readonly start?: number | bigint | NDArray | undefined;
  /** The end, which is left out. */
  readonly stop?: number | bigint | NDArray | null | undefined;
  /** The distance of neighbours; 1 if absent. */
  readonly step?: number | bigint | NDArray | undefined;
  /** The dtype of the result; told from the numbers if absent. */
  readonly dtype?: D | null | undefined;
  /** The device of the result; the default device if absent. */
  readonly device?: string | null | undefined;
}

/**
 * Numbers at equal distances, from a start up to and without a stop.
 *
 * @param start the first number, 0 if only one is given; then that one is the stop
 * @param args `stop`, `step` (1), `dtype` (int64 for integers, float64 otherwise)
 * @returns an array of one axis
 * @throws RangeError for a step of 0 and for a range that cannot be counted, TypeError for what is no real number
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arange(3).toArray()); // [ 0, 1, 2 ]
 * console.log(tnp.arange(1, 2, 0.25).toArray()); // [ 1, 1.25, 1.5, 1.75 ]
 * ```
 * Source: numpy.arange
 */
export function arange<D extends DType = DType>(
  start: number | bigint | NDArray | ArangeOptions<D>,
  ...args: Args<
    [stop: number | bigint | NDArray | null, step: number | bigint | NDArray, dtype: D | null],
    ArangeOptions<D>
  >
): NDArray<D> {
  const names = ["start", "stop", "step", "dtype", "device"] as const;
  const options = keywords<ArangeOptions<D>>("arange", names, [start, ...args]);
  const single = options.stop === undefined || options.stop === null;
  if (options.start === undefined && single) throw new TypeError("arange: got no stop, expected a number");
  const from = boundOf("start", single ? 0 : options.start ?? 0);
  const to = boundOf("stop", single ? options.start : options.stop);
  const by = boundOf("step", options.step ?? 1);
  const whole = from.whole && to.whole && by.whole;
  const dtype = options.dtype === undefined || options.dtype === null
    ? literalType(whole ? "i" : "f")
    : checkDType("arange", options.dtype);
  const length = countOf(from.value, to.value, by.value);
  if (dtype === "bool" && length > 2) throw new TypeError(`arange: a range of ${length} numbers cannot be bool`);
  const device = deviceFor("arange", options.device) ?? currentDevice();
  return wrap<D>(within("arange", () => progression(from.value, by.value, length, dtype, device)));
}

function countOf(start: Bound, stop: Bound, step: Bound): number {
  if (Number(step) === 0) throw new RangeError("arange: step must not be 0");
  let length: number;
  if ([start, stop, step].some((x) => typeof x === "bigint")) {
    const [a, b, c] = [start, stop, step].map((x) => BigInt(x)) as [bigint, bigint, bigint];
    const gap = c > 0n ? b - a : a - b;
    const size = c > 0n ? c : -c;
    length = gap <= 0n ? 0 : Number((gap + size - 1n) / size);
  } else length = Math.max(0, Math.ceil((Number(stop) - Number(start)) / Number(step)));
  if (!Number.isFinite(length)) {
    throw new RangeError(`arange: cannot count from ${start} to ${stop} in steps of ${step}`);
  }
  checkShape("arange", [length]);
  return length;
}

/** `start + i * delta`, with delta the difference of the first two numbers in the dtype, as NumPy fills ranges. */
function progression(
  start: Bound,
  step: Bound,
  length: number,
  dtype: DType,
  device: ReturnType<typeof currentDevice>,
): Node {
  const { kind } = dtypeInfo(dtype);
  if (kind === "b") return ops.cast(progression(start, step, length, "int64", device), "bool");
  if (kind === "i" || kind === "u") {
    const exact = typeof start !== "number" || Number.isInteger(start);
    const first = exact ? BigInt(start) : BigInt(Math.trunc(start as number));
    const second = typeof step === "bigint" && exact ? first + step : BigInt(Math.trunc(Number(start) + Number(step)));
    if (length > 0) checkInteger("arange", first, dtype);
    if (length > 1) checkInteger("arange", second, dtype);
    const i = ops.iota([length], 0, "int64", device);
    const delta = second - first;
    const scaled = delta === 1n ? i : ops.mul(i, number(delta, "int64", device));
    if (dtype === "uint64") {
      return ops.add(ops.cast(scaled, dtype), number(BigInt.asUintN(64, first), dtype, device));
    }
    const moved = first === 0n ? scaled : ops.add(scaled, number(BigInt.asIntN(64, first), "int64", device));
    return ops.cast(moved, dtype);
  }
  const work: DType = kind === "c" ? "float64" : dtype === "float16" || dtype === "bfloat16" ? "float32" : dtype;
  const round = work === "float32" ? Math.fround : (x: number) => x;
  const first = round(Number(start));
  const delta = round(round(Number(start) + Number(step)) - first);
  const i = ops.cast(ops.iota([length], 0, "int64", device), work);
  const out = ops.add(ops.mul(i, number(delta, work, device)), number(first, work, device));
  return ops.cast(out, dtype);
}

/** Keywords of `linspace`. */
export interface LinspaceOptions<D extends DType = DType> {
  /** How many numbers; 50 if absent. */
  readonly num?: number | undefined;
  /** Whether the stop is the last number. */
  readonly endpoint?: boolean | undefined;
  /** Whether the distance is returned too. */
  readonly retstep?: boolean | undefined;
  /** The dtype of the result; told from the numbers if absent. */
  readonly dtype?: D | null | undefined;
  /** Where the new axis lies, for starts and stops that are arrays. */
  readonly axis?: number | undefined;
  /** The device of the result; the default device if absent. */
  readonly device?: string | null | undefined;
}

interface Spaced {
  readonly values: Node;
  readonly step: Node;
}

/** What `linspace` and its kin share: `num` values along a new axis, in floating point. */
function spaced(name: string, start: Node, stop: Node, num: number, endpoint: boolean, axis: number): Spaced {
  const div = endpoint ? num - 1 : num;
  const shape = broadcastShapes(name, start.shape, stop.shape);
  const delta = ops.sub(stop, start);
  const ndim = shape.length + 1;
  const column = new Array<number>(ndim).fill(1).with(0, num);
  const i = ops.cast(ops.iota(column, 0, "int64", start.device), delta.dtype);
  const real = lit(div > 0 ? div : NaN, delta);
  const step = ops.div(delta, real);
  let y: Node;
  if (div > 0) {
    // A step that vanishes would lose what the distance still holds.
    const lost = ops.equal(step, lit(0, step));
    y = ops.where(lost, ops.mul(ops.div(i, real), delta), ops.mul(i, step));
  } else y = ops.mul(i, delta);
  y = ops.add(y, start);
  if (endpoint && num > 1) {
    const last = ops.equal(ops.iota(column, 0, "int64", start.device), number(num - 1, "int64", start.device));
    y = ops.where(last, stop, y);
  }
  y = ops.broadcast(y, [num, ...shape]);
  return { values: moveAxis(y, 0, normalizeAxis(name, axis, ndim)), step: ops.broadcast(step, shape) };
}

function endsOf(name: string, start: ArrayLike, stop: ArrayLike, device: string | null | undefined): [Node, Node] {
  const home = deviceFor(name, device) ?? deviceOf(start, stop);
  const operands = [start, stop].map((x) => toOperand(name, x, home));
  const dtype = resultType(name, [...operands.map(promotable), { weak: "f" }]);
  const [a, b] = operands.map((x) => asNode(name, x, dtype, home)) as [Node, Node];
  broadcastShapes(name, a.shape, b.shape);
  return [a, b];
}

function countFor(name: string, num: number | undefined): number {
  const count = checkInt(name, "num", num ?? 50);
  if (count < 0) throw new ShapeError(`${name}: number of samples must not be negative, got ${count}`);
  checkShape(name, [count]);
  return count;
}

function spacedAs(y: Node, dtype: DType): Node {
  return ops.cast(isInteger(dtype) && !dtypeInfo(y.dtype).kind.includes("c") ? ops.floor(y) : y, dtype);
}

/**
 * Numbers at equal distances between two ends.
 *
 * @param start the first number; an array for several ranges at once
 * @param stop the last number, or the one after it without endpoint
 * @param args `num` (50), `endpoint` (true), `retstep` (false), `dtype` (float64), `axis` (0)
 * @returns an array; with `retstep: true` the pair of it and the distance
 * @throws ShapeError for a negative num
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.linspace(0, 1, 5).toArray()); // [ 0, 0.25, 0.5, 0.75, 1 ]
 * ```
 * Source: numpy.linspace
 */
export function linspace<D extends DType = DType>(
  start: ArrayLike,
  stop: ArrayLike,
  options: LinspaceOptions<D> & { readonly retstep: true },
): [NDArray<D>, NDArray];
/** Numbers at equal distances, without their distance. */
export function linspace<D extends DType = DType>(
  start: ArrayLike,
  stop: ArrayLike,
  ...args: Args<[num: number, endpoint: boolean, retstep: false, dtype: D | null, axis: number], LinspaceOptions<D>>
): NDArray<D>;
export function linspace(start: ArrayLike, stop: ArrayLike, ...args: readonly unknown[]): NDArray | [NDArray, NDArray] {
  const names = ["num", "endpoint", "retstep", "dtype", "axis", "device"] as const;
  const options = keywords<LinspaceOptions>("linspace", names, args);
  const num = countFor("linspace", options.num);
  const [a, b] = endsOf("linspace", start, stop, options.device);
  const dtype = options.dtype === undefined || options.dtype === null ? a.dtype : checkDType("linspace", options.dtype);
  const { values, step } = spaced("linspace", a, b, num, options.endpoint ?? true, options.axis ?? 0);
  const out = wrap(spacedAs(values, dtype));
  return options.retstep ? [out, wrap(step)] : out;
}

/** Keywords of `logspace`. */
export interface LogspaceOptions<D extends DType = DType> extends Omit<LinspaceOptions<D>, "retstep"> {
  /** What is raised to the powers; 10 if absent. */
  readonly base?: ArrayLike | undefined;
}

function powersOf(base: Node, y: Node): Node {
  return ops.pow(ops.broadcast(base, y.shape), y);
}

/**
 * Numbers at equal ratios: a base raised to equally distant powers.
 *
 * @param start the first power
 * @param stop the last power
 * @param args `num` (50), `endpoint` (true), `base` (10), `dtype` (float64), `axis` (0)
 * @returns an array
 * @throws ShapeError for a negative num
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.logspace(0, 2, 3).toArray()); // [ 1, 10, 100 ]
 * ```
 * Source: numpy.logspace
 */
export function logspace<D extends DType = DType>(
  start: ArrayLike,
  stop: ArrayLike,
  ...args: Args<[num: number, endpoint: boolean, base: ArrayLike, dtype: D | null, axis: number], LogspaceOptions<D>>
): NDArray<D> {
  const names = ["num", "endpoint", "base", "dtype", "axis", "device"] as const;
  const options = keywords<LogspaceOptions<D>>("logspace", names, args);
  const num = countFor("logspace", options.num);
  const [a, b] = endsOf("logspace", start, stop, options.device);
  const axis = options.axis ?? 0;
  let { values } = spaced("logspace", a, b, num, options.endpoint ?? true, axis);
  const operand = toOperand("logspace", options.base ?? 10, a.device);
  const type = resultType("logspace", [values, promotable(operand)]);
  let base = asNode("logspace", operand, type, a.device);
  if (base.shape.length > 0) {
    const at = normalizeAxis("logspace", axis, base.shape.length + 1);
    base = ops.expand(base, [at]);
    const shape = broadcastShapes(
      "logspace",
      values.shape.length === 1 ? [num, ...base.shape.map(() => 1).slice(1)] : values.shape,
      base.shape,
    );
    values = ops.broadcast(
      values.shape.length === 1 ? ops.reshape(values, base.shape.map((_, i) => i === at ? num : 1)) : values,
      values.shape.length === 1 ? base.shape.with(at, num) : shape,
    );
  }
  const out = powersOf(base, ops.cast(values, type));
  const dtype = options.dtype === undefined || options.dtype === null
    ? out.dtype
    : checkDType("logspace", options.dtype);
  return wrap<D>(ops.cast(out, dtype));
}

/**
 * Numbers at equal ratios between two ends.
 *
 * @param start the first number, not 0
 * @param stop the last number, not 0
 * @param args `num` (50), `endpoint` (true), `dtype` (float64), `axis` (0)
 * @returns an array
 * @throws RangeError for an end of 0, ShapeError for a negative num
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.geomspace(1, 1000, 4).toArray()); // [ 1, 10, 100, 1000 ]
 * ```
 * Source: numpy.geomspace
 */
export function geomspace<D extends DType = DType>(
  start: ArrayLike,
  stop: ArrayLike,
  ...args: Args<[num: number, endpoint: boolean, dtype: D | null, axis: number], Omit<LinspaceOptions<D>, "retstep">>
): NDArray<D> {
  const names = ["num", "endpoint", "dtype", "axis", "device"] as const;
  const options = keywords<LinspaceOptions<D>>("geomspace", names, args);
  const num = countFor("geomspace", options.num);
  if (start === 0 || stop === 0) throw new RangeError("geomspace: a geometric sequence cannot include zero");
  const [a, b] = endsOf("geomspace", start, stop, options.device);
  const endpoint = options.endpoint ?? true;
  const axis = options.axis ?? 0;
  // Divided by its start's sign (its phase, if complex) a sequence is real and positive there.
  const sign = ops.sign(a);
  const [from, to] = [ops.div(a, sign), ops.div(b, sign)];
  const { values } = spaced("geomspace", ops.log10(from), ops.log10(to), num, endpoint, 0);
  let y = powersOf(lit(10, values), values);
  const position = ops.iota(values.shape.map((n, i) => i === 0 ? n : 1), 0, "int64", y.device);
  const at = (i: number): Node => ops.equal(position, number(i, "int64", y.device));
  if (num > 0) y = ops.where(at(0), from, y);
  if (num > 1 && endpoint) y = ops.where(at(num - 1), to, y);
  y = moveAxis(ops.mul(y, sign), 0, normalizeAxis("geomspace", axis, y.shape.length));
  const dtype = options.dtype === undefined || options.dtype === null
    ? y.dtype
    : checkDType("geomspace", options.dtype);
  return wrap<D>(ops.cast(y, dtype));
}

/** Keywords of `meshgrid`. */
export interface MeshgridOptions {
  /** `"xy"` (the default): the first two axes are swapped, as pictures have them; `"ij"`: in the order given. */
  readonly indexing?: "xy" | "ij" | undefined;
  /** Whether the arrays keep length 1 along the other axes. */
  readonly sparse?: boolean | undefined;
}

/**
 * Coordinate arrays of a grid from the coordinates along its axes.
 *
 * @param xi vectors, then perhaps keywords: `indexing`, `sparse`
 * @returns a list of arrays of the grid's shape, one a vector
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.meshgrid([1, 2], [3, 4]).map((x) => x.toArray())); // [ [ [ 1, 2 ], [ 1, 2 ] ], [ [ 3, 3 ], [ 4, 4 ] ] ]
 * ```
 * Source: numpy.meshgrid
 */
export function meshgrid(...xi: readonly (ArrayLike | MeshgridOptions)[]): NDArray[] {
  const last = xi.at(-1);
  const keyed = typeof last === "object" && last !== null &&
    (Object.getPrototypeOf(last) === Object.prototype) && !("re" in last) && !("shape" in last);
  const { indexing = "xy", sparse = false } = keywords<MeshgridOptions>(
    "meshgrid",
    ["indexing", "sparse"],
    keyed ? [last] : [],
  );
  checkChoice("meshgrid", "indexing", indexing, ["xy", "ij"]);
  const nodes = toNodes("meshgrid", ...(keyed ? xi.slice(0, -1) : xi) as ArrayLike[]);
  const n = nodes.length;
  const place = (i: number): number => indexing === "xy" && n > 1 && i < 2 ? 1 - i : i;
  const grid = new Array<number>(n);
  nodes.forEach((x, i) => grid[place(i)] = x.size);
  return nodes.map((x, i) => {
    const thin = ops.reshape(x, grid.map((_, d) => d === place(i) ? x.size : 1));
    return wrap(sparse ? thin : ops.broadcast(thin, grid));
  });
}

/**
 * The indices of a grid, one array an axis, stacked.
 *
 * @param dimensions the shape of the grid
 * @param dtype the dtype, int64 if absent
 * @returns an array with the axes of the grid behind a new first one
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.indices([2, 2]).toArray()); // [ [ [ 0, 0 ], [ 1, 1 ] ], [ [ 0, 1 ], [ 0, 1 ] ] ]
 * ```
 * Source: numpy.indices
 */
export function indices<D extends DType = "int64">(
  dimensions: readonly number[],
  ...args: Args<[dtype: D], { readonly dtype?: D }>
): NDArray<D> {
  const { dtype = "int64" } = keywords<{ dtype?: DType }>("indices", ["dtype"], args);
  const shape = toShape("indices", dimensions);
  checkShape("indices", shape);
  const device = currentDevice();
  const type = checkDType("indices", dtype);
  if (shape.length === 0) return wrap<D>(ops.iota([0], 0, type, device));
  const parts = shape.map((_, axis) => ops.expand(ops.cast(ops.iota(shape, axis, "int64", device), type), [0]));
  return wrap<D>(ops.concatenate(parts, 0));
}

/**
 * Vectors of indices shaped so that together they index a grid.
 *
 * @param args vectors of integers, or of booleans, which stand for where they are true
 * @returns a list of arrays; array i has its length along axis i
 * @throws ShapeError for what is no vector
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ix_([0, 1], [2, 3]).map((x) => x.shape)); // [ [ 2, 1 ], [ 1, 2 ] ]
 * ```
 * Source: numpy.ix_
 */
export function ix_(...args: readonly ArrayLike[]): NDArray[] {
  return toNodes("ix_", ...args).map((x, i) => {
    if (x.shape.length !== 1) {
      throw new ShapeError(`ix_: got an array of shape ${formatShape(x.shape)}, expected one axis`);
    }
    const list = x.dtype === "bool" ? nonzeroNodes("ix_", x)[0]! : x.size === 0 ? ops.cast(x, "int64") : x;
    return wrap(ops.reshape(list, args.map((_, d) => d === i ? list.size : 1)));
  });
}
