/**
 * Means and spreads over axes, with and without NaN.
 * @module
 */
import { type DType, dtypes, isComplex, isInexact, realOf } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { defaultFloat, promoteTypes, resultType } from "../base/promote.ts";
import { formatShape, reducedShape, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import {
  type ArgReduceOptions,
  type Args,
  type ArrayLike,
  type Axis,
  type NDArray,
  type ReduceOptions,
  type SpreadOptions,
  wrap,
} from "../array.ts";
import { checkChoice, checkDType, describe, keywords, within } from "./args.ts";
import { toNodeOf, toTyped } from "./convert.ts";
import { flat, sliceAxis } from "./moves.ts";
import { anyKnown } from "./reading.ts";
import { type ArgReduceAxes, extremeNode, keep, maskFor, neutralFor, positionOf, reduceAxes } from "./reduction.ts";
import { fullLike, lit, number } from "./ufunc.ts";

/** Keywords of `mean`. */
export type MeanOptions = Omit<ReduceOptions, "initial">;

/** The dtype means are returned in. */
function meanType(name: string, own: DType, wanted: DType | null | undefined): DType {
  if (wanted !== undefined && wanted !== null) return checkDType(name, wanted);
  return isInexact(own) ? own : defaultFloat();
}

/** Half precision is averaged in float32. */
function workType(dtype: DType): DType {
  return dtype === "float16" || dtype === "bfloat16" ? "float32" : dtype;
}

/** How many elements take part: a number, or a count for each result where a mask decides. */
function counted(x: Node, axes: readonly number[], mask: Node | null, dtype: DType): Node {
  if (mask === null) {
    return number(axes.reduce((n, i) => n * x.shape[i]!, 1), dtype, x.device);
  }
  return ops.sum(ops.cast(ops.broadcast(mask, x.shape), dtype), axes);
}

function masked(x: Node, mask: Node | null): Node {
  return mask === null ? x : ops.where(mask, x, lit(0, x));
}

/** Division as NumPy's means do it: an integer dtype asked for gets the quotient cut off. */
function over(x: Node, count: Node, dtype: DType): Node {
  if (isInexact(x.dtype)) return ops.cast(ops.div(x, ops.cast(count, x.dtype)), dtype);
  return ops.cast(ops.div(ops.cast(x, "float64"), ops.cast(count, "float64")), dtype);
}

function meanNode(x: Node, axes: readonly number[], mask: Node | null, dtype: DType): Node {
  const work = ops.cast(x, dtype === "bool" ? "int64" : workType(dtype));
  return over(ops.sum(masked(work, mask), axes), counted(work, axes, mask, realOf(work.dtype)), dtype);
}

function maskOf(name: string, where: ArrayLike | undefined, x: Node): Node | null {
  return where === undefined || where === true ? null : maskFor(name, where, x);
}

function average_(name: string, a: ArrayLike, args: readonly unknown[], skipNaN: boolean): NDArray {
  const options = keywords<MeanOptions>(name, ["axis", "dtype", "keepdims", "where"], args);
  const x = toNodeOf(name, a);
  const axes = reduceAxes(name, options.axis, x, !name.startsWith("nan"));
  const mask = withoutNaN(maskOf(name, options.where, x), x, skipNaN);
  return wrap(keep(meanNode(x, axes, mask, meanType(name, x.dtype, options.dtype)), x, axes, options.keepdims));
}

function withoutNaN(mask: Node | null, x: Node, skip: boolean): Node | null {
  if (!skip || !isInexact(x.dtype)) return mask;
  const present = ops.not(ops.isnan(x));
  return mask === null ? present : ops.and(present, mask);
}

/**
 * The arithmetic mean over axes.
 *
 * Integers are averaged in float64, float16 and bfloat16 in float32.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to average in and to return
 * @returns an array without the axes; NaN for no elements
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.mean([[1, 2], [3, 5]], 1).toArray()); // [ 1.5, 4 ]
 * ```
 * Source: numpy.mean
 */
export function mean(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], MeanOptions>): NDArray {
  return average_("mean", a, args, false);
}

/**
 * The arithmetic mean over axes of the elements that are not NaN.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to average in and to return
 * @returns an array without the axes; NaN where all are NaN
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanmean([1, tnp.nan, 3]).toArray()); // 2
 * ```
 * Source: numpy.nanmean
 */
export function nanmean(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], MeanOptions>): NDArray {
  return average_("nanmean", a, args, true);
}

/** The variance in the work dtype, in which `std` takes the root. */
function variance(
  name: string,
  a: ArrayLike,
  args: readonly unknown[],
  root: boolean,
  skipNaN = false,
): NDArray {
  const names = ["axis", "dtype", "ddof", "keepdims", "where", "mean", "correction"] as const;
  const options = keywords<SpreadOptions>(name, names, args);
  if (options.correction !== undefined && options.ddof !== undefined) {
    throw new TypeError(`${name}: got both ddof and correction, which are the same`);
  }
  const ddof = options.correction ?? options.ddof ?? 0;
  if (typeof ddof !== "number") throw new TypeError(`${name}: ddof must be a number, got ${describe(ddof)}`);
  const given = toNodeOf(name, a);
  const axes = reduceAxes(name, options.axis, given, !skipNaN);
  const mask = withoutNaN(maskOf(name, options.where, given), given, skipNaN);
  const asked = meanType(name, given.dtype, options.dtype);
  const out = realOf(asked);
  const x = ops.cast(given, isInexact(asked) ? workType(asked) : defaultFloat());
  const count = counted(x, axes, mask, realOf(x.dtype));
  const center = options.mean === undefined
    ? ops.reshape(over(ops.sum(masked(x, mask), axes), count, x.dtype), reducedShape(x.shape, axes, true))
    : ops.cast(toNodeOf(name, options.mean, x.device), x.dtype);
  const apart = within(name, () => ops.sub(x, center));
  const squares = isComplex(x.dtype)
    ? ops.add(ops.mul(ops.real(apart), ops.real(apart)), ops.mul(ops.imag(apart), ops.imag(apart)))
    : ops.mul(apart, apart);
  const divisor = ops.maximum(ops.sub(count, lit(ddof, count)), lit(0, count));
  const spread = ops.div(ops.sum(masked(squares, mask), axes), divisor);
  // Where no more elements than ddof are left, NaN-skipping functions know nothing.
  const known = skipNaN ? ops.where(ops.less(lit(0, divisor), divisor), spread, lit(NaN, spread)) : spread;
  const result = root ? ops.sqrt(ops.cast(known, out)) : ops.cast(known, out);
  return wrap(keep(result, x, axes, options.keepdims));
}

/**
 * The variance over axes: the mean squared distance from the mean.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to compute in
 * @returns an array without the axes, real; `ddof` is taken off the count
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.var([1, 2, 3, 4], { ddof: 1 }).toArray()); // 1.6666666666666667
 * ```
 * Source: numpy.var
 */
function var_(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], SpreadOptions>): NDArray {
  return variance("var", a, args, false);
}

/**
 * The standard deviation over axes: the root of the variance.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to compute in
 * @returns an array without the axes, real; `ddof` is taken off the count
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.std([1, 2, 3, 4]).toArray()); // 1.118033988749895
 * ```
 * Source: numpy.std
 */
export function std(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], SpreadOptions>): NDArray {
  return variance("std", a, args, true);
}

/**
 * The variance over axes of the elements that are not NaN.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to compute in
 * @returns an array without the axes, real
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanvar([1, tnp.nan, 3]).toArray()); // 1
 * ```
 * Source: numpy.nanvar
 */
export function nanvar(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], SpreadOptions>): NDArray {
  return variance("nanvar", a, args, false, true);
}

/**
 * The standard deviation over axes of the elements that are not NaN.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to compute in
 * @returns an array without the axes, real
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanstd([1, tnp.nan, 3]).toArray()); // 1
 * ```
 * Source: numpy.nanstd
 */
export function nanstd(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], SpreadOptions>): NDArray {
  return variance("nanstd", a, args, true, true);
}

export { var_ as var };

function nanExtreme(name: "max" | "min", a: ArrayLike, args: readonly unknown[]): NDArray {
  const options = keywords<ArgReduceAxes>(`nan${name}`, ["axis", "keepdims"], args);
  const x = toNodeOf(`nan${name}`, a);
  const axes = reduceAxes(`nan${name}`, options.axis, x);
  if (axes.some((i) => x.shape[i] === 0)) {
    throw new ShapeError(`nan${name}: the array of shape ${formatShape(x.shape)} has no elements to choose from`);
  }
  if (!isInexact(x.dtype)) return wrap(keep(extremeNode(name, x, axes), x, axes, options.keepdims));
  const missing = ops.isnan(x);
  const best = extremeNode(name, ops.where(missing, neutralFor(name, x), x), axes);
  const out = ops.where(ops.all(missing, axes), lit(NaN, best), best);
  return wrap(keep(out, x, axes, options.keepdims));
}

/**
 * The largest element over axes, without NaN.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns an array without the axes; NaN where all are NaN
 * @throws ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanmax([1, tnp.nan, 3]).toArray()); // 3
 * ```
 * Source: numpy.nanmax
 */
export function nanmax(a: ArrayLike, ...args: Args<[axis: Axis], ArgReduceAxes>): NDArray {
  return nanExtreme("max", a, args);
}

/**
 * The smallest element over axes, without NaN.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns an array without the axes; NaN where all are NaN
 * @throws ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanmin([1, tnp.nan, 3]).toArray()); // 1
 * ```
 * Source: numpy.nanmin
 */
export function nanmin(a: ArrayLike, ...args: Args<[axis: Axis], ArgReduceAxes>): NDArray {
  return nanExtreme("min", a, args);
}

const ignoringNaN = (name: "max" | "min") => (x: Node): Node =>
  isInexact(x.dtype) ? ops.where(ops.isnan(x), neutralFor(name, x), x) : x;

/**
 * Where the largest element is that is not NaN; 0 where all are NaN.
 *
 * @param a an array
 * @param axis an axis; the position in C order if absent
 * @returns int64
 * @throws ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanargmax([1, tnp.nan, 3]).toArray()); // 2
 * ```
 * Source: numpy.nanargmax
 */
export function nanargmax(a: ArrayLike, ...args: Args<[axis: number | null], ArgReduceOptions>): NDArray<"int64"> {
  return positionOf("nanargmax", a, args, ignoringNaN("max"));
}

/**
 * Where the smallest element is that is not NaN; 0 where all are NaN.
 *
 * @param a an array
 * @param axis an axis; the position in C order if absent
 * @returns int64
 * @throws ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanargmin([3, tnp.nan, 1]).toArray()); // 2
 * ```
 * Source: numpy.nanargmin
 */
export function nanargmin(a: ArrayLike, ...args: Args<[axis: number | null], ArgReduceOptions>): NDArray<"int64"> {
  return positionOf("nanargmin", a, args, ignoringNaN("min"));
}

/** Keywords of `average`. */
export interface AverageOptions<R extends boolean = boolean> {
  /** The axis or axes to average over; all if absent. */
  readonly axis?: Axis | undefined;
  /** The shape of a, or the lengths of the axes averaged over. */
  readonly weights?: ArrayLike | null | undefined;
  /** Whether the sum of weights is returned too. */
  readonly returned?: R | undefined;
  /** Whether reduced axes stay, with length 1. */
  readonly keepdims?: boolean | undefined;
}

/**
 * The weighted mean over axes.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param weights how much each element counts; all alike if absent
 * @returns an array without the axes; with `returned: true` the pair of it and the sums of weights
 * @throws ShapeError for weights that do not fit
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.average([1, 2, 3], { weights: [3, 1, 0] }).toArray()); // 1.25
 * ```
 * Source: numpy.average
 */
export function average(a: ArrayLike, options: AverageOptions & { readonly returned: true }): [NDArray, NDArray];
/** The weighted mean, without the sums of weights. */
export function average(a: ArrayLike, ...args: Args<[axis: Axis, weights: ArrayLike], AverageOptions<false>>): NDArray;
export function average(
  a: ArrayLike,
  ...args: Args<[axis: Axis, weights: ArrayLike], AverageOptions>
): NDArray | [NDArray, NDArray] {
  const options = keywords<AverageOptions>("average", ["axis", "weights", "returned", "keepdims"], args);
  const given = toNodeOf("average", a);
  const axes = reduceAxes("average", options.axis, given, true);
  const finish = (out: Node, total: Node): NDArray | [NDArray, NDArray] => {
    const result = wrap(keep(out, given, axes, options.keepdims));
    if (!options.returned) return result;
    return [result, wrap(ops.broadcast(keep(total, given, axes, options.keepdims), result.shape))];
  };
  if (options.weights === undefined || options.weights === null) {
    const out = meanNode(given, axes, null, meanType("average", given.dtype, null));
    return finish(out, fullLike(axes.reduce((n, i) => n * given.shape[i]!, 1), out));
  }
  const weights = toNodeOf("average", options.weights, given.device);
  const common = resultType("average", [given, weights]);
  const type = isInexact(given.dtype) ? common : promoteTypes(common, defaultFloat(), "average");
  const x = ops.cast(given, type);
  let w = ops.cast(weights, type);
  if (!sameShape(w.shape, x.shape)) {
    if (!sameShape(w.shape, axes.map((i) => x.shape[i]!)) || options.axis === undefined || options.axis === null) {
      throw new ShapeError(
        `average: got weights of shape ${formatShape(w.shape)} for an array of shape ${
          formatShape(x.shape)
        }, expected its shape or the lengths of the axes given`,
      );
    }
    w = ops.reshape(w, x.shape.map((n, i) => axes.includes(i) ? n : 1));
  }
  const total = ops.sum(ops.broadcast(w, x.shape), axes);
  if (anyKnown(ops.equal(total, lit(0, total)), [x, w, total])) {
    throw new RangeError("average: the weights sum to zero, so the mean is not defined");
  }
  return finish(ops.div(ops.sum(ops.mul(x, w), axes), total), total);
}

/** Keywords of `median`. */
export type MedianOptions = ArgReduceAxes;

/** How `quantile` reads between two elements. */
export type QuantileMethod = "linear" | "lower" | "higher" | "midpoint" | "nearest";

/** Keywords of `quantile` and `percentile`. */
export interface QuantileOptions extends ArgReduceAxes {
  /** How to read between two elements, by NumPy's name; `linear` if absent. */
  readonly method?: QuantileMethod | undefined;
}

/** The axes of a reduction as one last axis. */
function lastAxis(x: Node, axes: readonly number[]): Node {
  const rest = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const moved = ops.transpose(x, [...rest, ...axes]);
  const length = axes.reduce((n, i) => n * x.shape[i]!, 1);
  return ops.reshape(moved, [...rest.map((i) => x.shape[i]!), length]);
}

/**
 * The middle of the sorted elements over axes; the mean of the two middle ones for an even count.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns an array without the axes; NaN where any element is NaN
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.median([[1, 5, 3], [4, 2, 9]], 1).toArray()); // [ 3, 4 ]
 * ```
 * Source: numpy.median
 */
export function median(a: ArrayLike, ...args: Args<[axis: Axis], MedianOptions>): NDArray {
  const options = keywords<MedianOptions>("median", ["axis", "keepdims"], args);
  const given = toNodeOf("median", a);
  const axes = reduceAxes("median", options.axis, given, true);
  const type = meanType("median", given.dtype, null);
  const sorted = ops.sort(lastAxis(given, axes));
  const axis = sorted.shape.length - 1;
  const n = sorted.shape[axis]!;
  const rest = sorted.shape.slice(0, -1);
  const middle = n === 0
    ? ops.full([...rest, 1], NaN, number(0, type, given.device))
    : sliceAxis(sorted, axis, Math.floor((n - 1) / 2), n % 2 === 0 ? 2 : 1);
  let out = meanNode(middle, [axis], null, type);
  if (n > 0 && isInexact(given.dtype)) {
    const last = ops.reshape(sliceAxis(sorted, axis, n - 1, 1), rest);
    out = ops.where(ops.isnan(last), lit(NaN, out), out);
  }
  return wrap(keep(out, given, axes, options.keepdims));
}

/** Shares from 0 to 1 in the dtype that NumPy reads them in: a plain number takes the array's. @throws RangeError outside of 0 to 1 */
function shares(name: string, scale: number, q: ArrayLike, x: Node): Node {
  const plain = typeof q === "number" && dtypes[x.dtype].kind === "f";
  let out = plain ? toTyped(name, q, x.dtype, x.device) : toNodeOf(name, q, x.device);
  if (isComplex(out.dtype)) throw new TypeError(`${name}: got q of dtype ${out.dtype}, expected a real one`);
  if (!isInexact(out.dtype)) out = ops.cast(out, scale === 1 ? "int64" : "float64");
  if (scale !== 1) out = ops.div(out, lit(scale, out));
  const outside = (): Node => ops.not(ops.and(ops.less_equal(lit(0, out), out), ops.less_equal(out, lit(1, out))));
  if (typeof q === "number" ? !(q >= 0 && q <= scale) : anyKnown(outside(), [out, x])) {
    throw new RangeError(`${name}: q must be from 0 to ${scale}, got ${typeof q === "number" ? q : "others"}`);
  }
  return out;
}

/** Values between two neighbours of the sorted last axis, from the nearer end, so that both ends are met exactly. */
function between(name: string, x: Node, place: Node, midpoint: boolean, at: (position: Node) => Node): Node {
  if (x.dtype === "bool") {
    throw new TypeError(`${name}: dtype bool is not supported with this method; cast with astype`);
  }
  const type = promoteTypes(x.dtype, place.dtype, name);
  const low = ops.floor(place);
  const [below, above] = [ops.cast(at(low), type), ops.cast(at(ops.ceil(place)), type)];
  const part = midpoint ? ops.where(ops.equal(low, place), lit(0, place), lit(0.5, place)) : ops.sub(place, low);
  const t = ops.reshape(ops.cast(part, type), [part.size, ...x.shape.slice(0, -1).map(() => 1)]);
  const gap = ops.sub(above, below);
  const near = ops.add(below, ops.mul(gap, t));
  const far = ops.sub(above, ops.mul(gap, ops.sub(lit(1, t), t)));
  return ops.where(ops.equal(below, above), below, ops.where(ops.less(t, lit(0.5, t)), near, far));
}

function quantiles(name: string, scale: number, a: ArrayLike, q: ArrayLike, args: readonly unknown[]): NDArray {
  const options = keywords<QuantileOptions>(name, ["axis", "method", "keepdims"], args);
  const method = checkChoice(name, "method", options.method ?? "linear", [
    "linear",
    "lower",
    "higher",
    "midpoint",
    "nearest",
  ]);
  const given = toNodeOf(name, a);
  if (isComplex(given.dtype)) throw new TypeError(`${name}: got dtype ${given.dtype}, expected a real one`);
  const axes = reduceAxes(name, options.axis, given, true);
  const share = shares(name, scale, q, given);
  const x = ops.sort(lastAxis(given, axes));
  const axis = x.shape.length - 1;
  const n = x.shape[axis]!;
  if (n === 0) throw new ShapeError(`${name}: the array of shape ${formatShape(given.shape)} has no elements`);
  const wanted = flat(share);
  const place = ops.mul(wanted, lit(n - 1, wanted));
  const at = (position: Node): Node => ops.gather(x, [ops.cast(position, "int64")], [axis]);
  const inexact = isInexact(place.dtype);
  let out: Node;
  if (method === "lower") out = at(inexact ? ops.floor(place) : place);
  else if (method === "higher") out = at(inexact ? ops.ceil(place) : place);
  else if (method === "nearest") out = at(inexact ? ops.rint(place) : place);
  else if (method === "linear" && !inexact) out = at(place);
  else out = between(name, x, inexact ? place : ops.cast(place, "float64"), method === "midpoint", at);
  if (isInexact(given.dtype)) {
    const last = ops.reshape(sliceAxis(x, axis, n - 1, 1), x.shape.slice(0, -1));
    out = ops.where(ops.isnan(last), lit(NaN, out), out);
  }
  const kept = options.keepdims ? reducedShape(given.shape, axes, true) : reducedShape(given.shape, axes);
  return wrap(ops.reshape(out, [...share.shape, ...kept]));
}

/**
 * The values below which given shares of the elements lie.
 *
 * @param a an array of real numbers
 * @param q shares from 0 to 1
 * @param axis an axis, several, or null for all
 * @returns the shape of q, then a's without the axes; NaN where any element is NaN
 * @throws TypeError for complex numbers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.quantile([1, 2, 3, 4], [0.25, 0.5]).toArray()); // [ 1.75, 2.5 ]
 * ```
 * Source: numpy.quantile
 */
export function quantile(a: ArrayLike, q: ArrayLike, ...args: Args<[axis: Axis], QuantileOptions>): NDArray {
  return quantiles("quantile", 1, a, q, args);
}

/**
 * The values below which given percentages of the elements lie.
 *
 * @param a an array of real numbers
 * @param q percentages from 0 to 100
 * @param axis an axis, several, or null for all
 * @returns the shape of q, then a's without the axes; NaN where any element is NaN
 * @throws TypeError for complex numbers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.percentile([1, 2, 3, 4], 50).toArray()); // 2.5
 * ```
 * Source: numpy.percentile
 */
export function percentile(a: ArrayLike, q: ArrayLike, ...args: Args<[axis: Axis], QuantileOptions>): NDArray {
  return quantiles("percentile", 100, a, q, args);
}
