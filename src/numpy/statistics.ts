/**
 * Means and spreads over axes, with and without NaN.
 * @module
 */
import { type DType, isComplex, isInexact, realOf } from "../base/dtype.ts";
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
import { checkDType, describe, keywords, within } from "./args.ts";
import { toNodeOf } from "./convert.ts";
import { anyKnown } from "./reading.ts";
import { type ArgReduceAxes, extremeNode, keep, maskFor, neutralFor, positionOf, reduceAxes } from "./reduction.ts";
import { fullLike, lit, number } from "./ufunc.ts";

/** Keywords of `mean`. */
export type MeanOptions = Omit<ReduceOptions, "initial">;

/** The dtype means are returned in. */
export function meanType(name: string, own: DType, wanted: DType | null | undefined): DType {
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

/** The mean over axes of what a mask lets through, in a dtype. */
export function meanNode(x: Node, axes: readonly number[], mask: Node | null, dtype: DType): Node {
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
  const best = extremeNode(name, ignoringNaN(name, x), axes);
  const out = ops.where(ops.all(ops.isnan(x), axes), lit(NaN, best), best);
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

/** NaN replaced by what never is the largest or smallest. */
function ignoringNaN(name: "max" | "min", x: Node): Node {
  const neutral = neutralFor(name, x);
  if (isComplex(x.dtype)) return ops.where(ops.isnan(x), neutral, x);
  return name === "max" ? ops.fmax(x, neutral) : ops.fmin(x, neutral);
}

const refusingNaN = (name: "max" | "min") => (x: Node, axis: number): Node => {
  if (!isInexact(x.dtype)) return x;
  if (anyKnown(ops.all(ops.isnan(x), [axis]), [x])) {
    throw new RangeError(`nanarg${name}: only NaN along axis ${axis} of shape ${formatShape(x.shape)}`);
  }
  return ignoringNaN(name, x);
};

/**
 * Where the largest element is that is not NaN. Outside of traces the array is looked at for slices of nothing but NaN; inside one the
 * answer for those is 0.
 *
 * @param a an array
 * @param axis an axis; the position in C order if absent
 * @returns int64
 * @throws RangeError for a slice of nothing but NaN; ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanargmax([1, tnp.nan, 3]).toArray()); // 2
 * ```
 * Source: numpy.nanargmax
 */
export function nanargmax(a: ArrayLike, ...args: Args<[axis: number | null], ArgReduceOptions>): NDArray<"int64"> {
  return positionOf("nanargmax", a, args, refusingNaN("max"));
}

/**
 * Where the smallest element is that is not NaN. Outside of traces the array is looked at for slices of nothing but NaN; inside one the
 * answer for those is 0.
 *
 * @param a an array
 * @param axis an axis; the position in C order if absent
 * @returns int64
 * @throws RangeError for a slice of nothing but NaN; ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanargmin([3, tnp.nan, 1]).toArray()); // 2
 * ```
 * Source: numpy.nanargmin
 */
export function nanargmin(a: ArrayLike, ...args: Args<[axis: number | null], ArgReduceOptions>): NDArray<"int64"> {
  return positionOf("nanargmin", a, args, refusingNaN("min"));
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
