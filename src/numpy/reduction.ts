/**
 * Reductions over axes: sums, products, extremes, truth, positions.
 * @module
 */
import { type DType, dtypeInfo, dtypes, isInexact } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { defaultInt, integerRange } from "../base/promote.ts";
import { broadcastShapes, formatShape, normalizeAxes, reducedShape, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import {
  type ArgReduceOptions,
  type Args,
  type ArrayLike,
  type Axis,
  type NDArray,
  type ReduceOptions,
  type ScanOptions,
  type TruthOptions,
  wrap,
} from "../array.ts";
import { checkDType, keywords } from "./args.ts";
import { asNode, toNodeOf, toOperand } from "./convert.ts";
import { axisOrFlat, isScalarAxis } from "./moves.ts";
import { larger, smaller } from "./rounding.ts";
import { lit, truthy } from "./ufunc.ts";

/** Keywords of reductions in NumPy's order, as they may come by position. */
export const reduceNames = ["axis", "dtype", "out", "keepdims", "initial", "where"] as const;

/** Axes of a reduction, counted from 0 and rising. A 0-d array has one axis, except where NumPy is `strict`. */
export function reduceAxes(name: string, axis: Axis | undefined, x: Node, strict = false): number[] {
  if (!strict && isScalarAxis(x, axis)) return [];
  const axes = normalizeAxes(name, axis, x.shape.length);
  return axes.length > 1 ? axes.sort((p, q) => p - q) : axes;
}

/** Puts reduced axes back with length 1 if asked to. */
export function keep(out: Node, x: Node, axes: readonly number[], keepdims: boolean | undefined): Node {
  return keepdims ? ops.reshape(out, reducedShape(x.shape, axes, true)) : out;
}

/** The mask of `where=` over an array. @throws ShapeError if it does not broadcast to it */
export function maskFor(name: string, where: ArrayLike, x: Node): Node {
  const mask = truthy(toNodeOf(name, where, x.device));
  if (!sameShape(broadcastShapes(name, mask.shape, x.shape), x.shape)) {
    throw new ShapeError(`${name}: where of shape ${formatShape(mask.shape)} does not fit ${formatShape(x.shape)}`);
  }
  return mask;
}

/** The value of `initial=` in the dtype of a reduction. @throws ShapeError for an array with axes */
function initialFor(name: string, initial: ArrayLike, x: Node): Node {
  const node = asNode(name, toOperand(name, initial, x.device), x.dtype, x.device);
  if (node.shape.length > 0) {
    throw new ShapeError(`${name}: initial must be a number, got an array of shape ${formatShape(node.shape)}`);
  }
  return node;
}

/** The dtype NumPy sums integers in: at least 64 bits. */
export function accumulateType(dtype: DType): DType {
  const { kind, itemsize } = dtypeInfo(dtype);
  const wide = defaultInt();
  if (kind === "b") return wide;
  if (kind === "i") return itemsize < dtypes[wide].itemsize ? wide : dtype;
  if (kind === "u") return itemsize < dtypes[wide].itemsize ? (wide === "int64" ? "uint64" : "uint32") : dtype;
  return dtype;
}

function noOut(name: string, options: object): void {
  if ("out" in options && options.out !== null) {
    throw new TypeError(`${name}: got "out", but arrays are immutable; use the returned array`);
  }
}

/** What `sum` and `prod` share. */
function accumulate(
  name: string,
  neutral: 0 | 1,
  a: ArrayLike,
  args: readonly unknown[],
  prepare: (x: Node) => Node = (x) => x,
): Node {
  const options = keywords<ReduceOptions & { out?: unknown }>(name, reduceNames, args);
  noOut(name, options);
  const given = prepare(toNodeOf(name, a));
  const dtype = options.dtype === undefined || options.dtype === null
    ? accumulateType(given.dtype)
    : checkDType(name, options.dtype);
  let x = ops.cast(given, dtype);
  const axes = reduceAxes(name, options.axis, x);
  if (options.where !== undefined && options.where !== true) {
    x = ops.where(maskFor(name, options.where, x), x, lit(neutral, x));
  }
  let out: Node;
  const adds = neutral === 0;
  if (dtype === "bool") out = adds ? ops.any(x, axes) : ops.all(x, axes);
  else out = adds ? ops.sum(x, axes) : ops.prod(x, axes);
  if (options.initial !== undefined && options.initial !== null) {
    const initial = initialFor(name, options.initial, x);
    out = adds ? ops.add(initial, out) : ops.mul(initial, out);
  }
  return keep(out, x, axes, options.keepdims);
}

/**
 * The sum of elements over axes.
 *
 * Bool and short integers are summed in 64 bits; float16 and bfloat16 in float32.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to sum in and to return
 * @returns an array without the axes; `keepdims: true` keeps them with length 1
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sum([[1, 2], [3, 4]]).toArray()); // 10
 * console.log(tnp.sum([[1, 2], [3, 4]], { axis: 0, keepdims: true }).toArray()); // [ [ 4, 6 ] ]
 * ```
 * Source: numpy.sum
 */
export function sum(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], ReduceOptions>): NDArray {
  return wrap(accumulate("sum", 0, a, args));
}

/**
 * The product of elements over axes.
 *
 * Bool and short integers are multiplied in 64 bits.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to multiply in and to return
 * @returns an array without the axes
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.prod([[1, 2], [3, 4]], 1).toArray()); // [ 2, 12 ]
 * ```
 * Source: numpy.prod
 */
export function prod(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], ReduceOptions>): NDArray {
  return wrap(accumulate("prod", 1, a, args));
}

const nanAs = (value: 0 | 1) => (x: Node): Node => isInexact(x.dtype) ? ops.where(ops.isnan(x), lit(value, x), x) : x;

/**
 * The sum of elements over axes, NaN counting as 0.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to sum in and to return
 * @returns an array without the axes
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nansum([1, tnp.nan, 2]).toArray()); // 3
 * ```
 * Source: numpy.nansum
 */
export function nansum(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], ReduceOptions>): NDArray {
  return wrap(accumulate("nansum", 0, a, args, nanAs(0)));
}

/**
 * The product of elements over axes, NaN counting as 1.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @param dtype the dtype to multiply in and to return
 * @returns an array without the axes
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nanprod([2, tnp.nan, 3]).toArray()); // 6
 * ```
 * Source: numpy.nanprod
 */
export function nanprod(a: ArrayLike, ...args: Args<[axis: Axis, dtype: DType], ReduceOptions>): NDArray {
  return wrap(accumulate("nanprod", 1, a, args, nanAs(1)));
}

/** The value that no element of a dtype exceeds from below (for max) or from above (for min). */
export function neutralFor(name: "max" | "min", x: Node): Node {
  if (x.dtype === "bool") return lit(name === "min", x);
  if (isInexact(x.dtype)) {
    const end = name === "max" ? -Infinity : Infinity;
    return lit(dtypes[x.dtype].kind === "c" ? { re: end, im: end } : end, x);
  }
  return lit(integerRange(x.dtype)[name === "max" ? 0 : 1], x);
}

/** The extreme of a node over axes; of bool too. */
export function extremeNode(name: "max" | "min", x: Node, axes: readonly number[]): Node {
  if (x.dtype === "bool") return name === "max" ? ops.any(x, axes) : ops.all(x, axes);
  return name === "max" ? ops.max(x, axes) : ops.min(x, axes);
}

function checkNotEmpty(name: string, x: Node, axes: readonly number[]): void {
  if (axes.some((i) => x.shape[i] === 0)) {
    throw new ShapeError(
      `${name}: the array of shape ${formatShape(x.shape)} has no elements to choose from, give initial`,
    );
  }
}

function extreme(name: "max" | "min", a: ArrayLike, args: readonly unknown[]): Node {
  const names = ["axis", "out", "keepdims", "initial", "where"] as const;
  const options = keywords<ReduceOptions & { out?: unknown }>(name, names, args);
  noOut(name, options);
  let x = toNodeOf(name, a);
  let initial: Node | null = null;
  if (options.initial !== undefined && options.initial !== null) {
    initial = initialFor(name, options.initial, x);
  }
  const axes = reduceAxes(name, options.axis, x);
  if (options.where !== undefined && options.where !== true) {
    if (initial === null) throw new TypeError(`${name}: where needs initial, the value where nothing takes part`);
    x = ops.where(maskFor(name, options.where, x), x, initial);
  }
  if (initial === null) checkNotEmpty(name, x, axes);
  let out = extremeNode(name, x, axes);
  if (initial !== null) out = name === "max" ? larger(initial, out) : smaller(initial, out);
  return keep(out, x, axes, options.keepdims);
}

/**
 * The largest element over axes; NaN wins.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns an array without the axes, of the dtype of a
 * @throws ShapeError for no elements without `initial`; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.max([[1, 5], [3, 2]], 0).toArray()); // [ 3, 5 ]
 * ```
 * Source: numpy.max
 */
export function max(a: ArrayLike, ...args: Args<[axis: Axis], Omit<ReduceOptions, "dtype">>): NDArray {
  return wrap(extreme("max", a, args));
}

/**
 * The smallest element over axes; NaN wins.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns an array without the axes, of the dtype of a
 * @throws ShapeError for no elements without `initial`; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.min([[1, 5], [3, 2]], 0).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.min
 */
export function min(a: ArrayLike, ...args: Args<[axis: Axis], Omit<ReduceOptions, "dtype">>): NDArray {
  return wrap(extreme("min", a, args));
}

/** NumPy's other name of `max`. */
export const amax: typeof max = max;
/** NumPy's other name of `min`. */
export const amin: typeof min = min;

/**
 * The distance between the largest and the smallest element over axes.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns an array without the axes, of the dtype of a
 * @throws ShapeError for no elements; TypeError for bool
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ptp([[1, 5], [3, 2]], 1).toArray()); // [ 4, 1 ]
 * ```
 * Source: numpy.ptp
 */
export function ptp(a: ArrayLike, ...args: Args<[axis: Axis], ArgReduceAxes>): NDArray {
  const options = keywords<ArgReduceAxes>("ptp", ["axis", "keepdims"], args);
  const x = toNodeOf("ptp", a);
  if (x.dtype === "bool") throw new TypeError("ptp: dtype bool is not supported; cast with astype");
  const axes = reduceAxes("ptp", options.axis, x);
  checkNotEmpty("ptp", x, axes);
  return wrap(keep(ops.sub(ops.max(x, axes), ops.min(x, axes)), x, axes, options.keepdims));
}

/** Keywords of `ptp` and `count_nonzero`. */
export interface ArgReduceAxes {
  /** The axis or axes to reduce; all if absent. */
  readonly axis?: Axis | undefined;
  /** Whether reduced axes stay, with length 1. */
  readonly keepdims?: boolean | undefined;
}

function truthOf(name: "all" | "any", a: ArrayLike, args: readonly unknown[]): NDArray<"bool"> {
  const options = keywords<TruthOptions & { out?: unknown }>(name, ["axis", "out", "keepdims", "where"], args);
  noOut(name, options);
  let x = truthy(toNodeOf(name, a));
  const axes = reduceAxes(name, options.axis, x);
  if (options.where !== undefined && options.where !== true) {
    const mask = maskFor(name, options.where, x);
    x = name === "all" ? ops.or(x, ops.not(mask)) : ops.and(x, mask);
  }
  return wrap<"bool">(keep(name === "all" ? ops.all(x, axes) : ops.any(x, axes), x, axes, options.keepdims));
}

/**
 * Whether all elements over axes are true (not zero); true for none.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns bool, without the axes
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.all([[1, 0], [1, 1]], 1).toArray()); // [ false, true ]
 * ```
 * Source: numpy.all
 */
export function all(a: ArrayLike, ...args: Args<[axis: Axis], TruthOptions>): NDArray<"bool"> {
  return truthOf("all", a, args);
}

/**
 * Whether any element over axes is true (not zero); false for none.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns bool, without the axes
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.any([[1, 0], [0, 0]], 1).toArray()); // [ true, false ]
 * ```
 * Source: numpy.any
 */
export function any(a: ArrayLike, ...args: Args<[axis: Axis], TruthOptions>): NDArray<"bool"> {
  return truthOf("any", a, args);
}

/**
 * How many elements over axes are not zero.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns int64, without the axes
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.count_nonzero([[1, 0], [2, 3]], 1).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.count_nonzero
 */
export function count_nonzero(a: ArrayLike, ...args: Args<[axis: Axis], ArgReduceAxes>): NDArray<"int64"> {
  const options = keywords<ArgReduceAxes>("count_nonzero", ["axis", "keepdims"], args);
  const x = ops.cast(truthy(toNodeOf("count_nonzero", a)), "int64");
  const axes = reduceAxes("count_nonzero", options.axis, x);
  return wrap(keep(ops.sum(x, axes), x, axes, options.keepdims));
}

/** The position of an extreme along one axis, or in C order over all. */
export function positionOf(
  name: "argmax" | "argmin" | "nanargmax" | "nanargmin",
  a: ArrayLike,
  args: readonly unknown[],
  prepare: (x: Node, axis: number) => Node = (x) => x,
): NDArray<"int64"> {
  const options = keywords<ArgReduceOptions & { out?: unknown }>(name, ["axis", "out", "keepdims"], args);
  noOut(name, options);
  const whole = toNodeOf(name, a);
  const { x, axis } = axisOrFlat(name, whole, options.axis);
  if (x.shape[axis] === 0) {
    throw new ShapeError(`${name}: the array of shape ${formatShape(whole.shape)} has no elements to choose from`);
  }
  const order = x.dtype === "bool" ? ops.cast(x, "uint8") : prepare(x, axis);
  const out = name.endsWith("max") ? ops.argmax(order, [axis]) : ops.argmin(order, [axis]);
  if (!options.keepdims) return wrap(out);
  const all = options.axis === null || options.axis === undefined;
  return wrap(ops.reshape(out, all || whole.shape.length === 0 ? whole.shape.map(() => 1) : x.shape.with(axis, 1)));
}

/**
 * Where the largest element is: the first of equals, or the first NaN.
 *
 * @param a an array
 * @param axis an axis; the position in C order if absent
 * @returns int64
 * @throws ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.argmax([[1, 5], [7, 2]], 1).toArray()); // [ 1, 0 ]
 * ```
 * Source: numpy.argmax
 */
export function argmax(a: ArrayLike, ...args: Args<[axis: number | null], ArgReduceOptions>): NDArray<"int64"> {
  return positionOf("argmax", a, args);
}

/**
 * Where the smallest element is: the first of equals, or the first NaN.
 *
 * @param a an array
 * @param axis an axis; the position in C order if absent
 * @returns int64
 * @throws ShapeError for no elements; AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.argmin([[1, 5], [7, 2]], 1).toArray()); // [ 0, 1 ]
 * ```
 * Source: numpy.argmin
 */
export function argmin(a: ArrayLike, ...args: Args<[axis: number | null], ArgReduceOptions>): NDArray<"int64"> {
  return positionOf("argmin", a, args);
}

function running(
  name: string,
  op: (x: Node, axis: number) => Node,
  a: ArrayLike,
  args: readonly unknown[],
  prepare: (x: Node) => Node = (x) => x,
): NDArray {
  const options = keywords<ScanOptions & { out?: unknown }>(name, ["axis", "dtype", "out"], args);
  noOut(name, options);
  const given = prepare(toNodeOf(name, a));
  const dtype = options.dtype === undefined || options.dtype === null
    ? accumulateType(given.dtype)
    : checkDType(name, options.dtype);
  const { x, axis } = axisOrFlat(name, ops.cast(given, dtype), options.axis);
  return wrap(op(x, axis));
}

/**
 * The running sum along an axis.
 *
 * @param a an array
 * @param axis an axis; the array in one axis if absent
 * @param dtype the dtype to sum in and to return
 * @returns an array of the shape of a
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.cumsum([[1, 2], [3, 4]], 0).toArray()); // [ [ 1, 2 ], [ 4, 6 ] ]
 * ```
 * Source: numpy.cumsum
 */
export function cumsum(a: ArrayLike, ...args: Args<[axis: number | null, dtype: DType], ScanOptions>): NDArray {
  return running("cumsum", ops.cumsum, a, args);
}

/**
 * The running product along an axis.
 *
 * @param a an array
 * @param axis an axis; the array in one axis if absent
 * @param dtype the dtype to multiply in and to return
 * @returns an array of the shape of a
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.cumprod([1, 2, 3, 4]).toArray()); // [ 1, 2, 6, 24 ]
 * ```
 * Source: numpy.cumprod
 */
export function cumprod(a: ArrayLike, ...args: Args<[axis: number | null, dtype: DType], ScanOptions>): NDArray {
  return running("cumprod", ops.cumprod, a, args);
}

/**
 * The running sum along an axis, NaN counting as 0.
 *
 * @param a an array
 * @param axis an axis; the array in one axis if absent
 * @param dtype the dtype to sum in and to return
 * @returns an array of the shape of a
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nancumsum([1, tnp.nan, 2]).toArray()); // [ 1, 1, 3 ]
 * ```
 * Source: numpy.nancumsum
 */
export function nancumsum(a: ArrayLike, ...args: Args<[axis: number | null, dtype: DType], ScanOptions>): NDArray {
  return running("nancumsum", ops.cumsum, a, args, nanAs(0));
}

/**
 * The running product along an axis, NaN counting as 1.
 *
 * @param a an array
 * @param axis an axis; the array in one axis if absent
 * @param dtype the dtype to multiply in and to return
 * @returns an array of the shape of a
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nancumprod([2, tnp.nan, 3]).toArray()); // [ 2, 2, 6 ]
 * ```
 * Source: numpy.nancumprod
 */
export function nancumprod(a: ArrayLike, ...args: Args<[axis: number | null, dtype: DType], ScanOptions>): NDArray {
  return running("nancumprod", ops.cumprod, a, args, nanAs(1));
}
