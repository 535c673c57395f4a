/**
 * Rounding, limits and extremes, point by point.
 * @module
 */
import { type DType, isComplex, isInexact, isInteger } from "../base/dtype.ts";
import { integerRange } from "../base/promote.ts";
import * as ops from "../core/ops.ts";
import { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, type ClipOptions, type NDArray, wrap } from "../array.ts";
import { checkInt, describe, keywords, within } from "./args.ts";
import { asNode, commonType, deviceOf, type Operand, toNodeOf, toOperand } from "./convert.ts";
import { finfo } from "../base/limits.ts";
import { binary, lit, number, type UfuncOptions, unary } from "./ufunc.ts";

/** Keywords of `nan_to_num`. */
export interface NanOptions {
  /** What NaN becomes; 0 if absent. */
  readonly nan?: number;
  /** What infinity becomes; the largest finite number if absent. */
  readonly posinf?: number | null;
  /** What minus infinity becomes; the lowest finite number if absent. */
  readonly neginf?: number | null;
}

const whole = (op: (x: Node) => Node) => (x: Node): Node => isInexact(x.dtype) ? op(x) : x;

function nearest(x: Node, digits = 0): Node {
  // Part by part, as a product of complex numbers makes NaN of infinities.
  if (isComplex(x.dtype)) return ops.complex(nearest(ops.real(x), digits), nearest(ops.imag(x), digits));
  if (digits === 0) return ops.rint(x);
  const step = lit(10 ** Math.abs(digits), x);
  const [up, down] = digits > 0 ? [ops.mul, ops.div] : [ops.div, ops.mul];
  return down(ops.rint(up(x, step)), step);
}

/** The larger of two nodes of one dtype. */
export function larger(x: Node, y: Node): Node {
  return x.dtype === "bool" ? ops.or(x, y) : ops.maximum(x, y);
}

/** The smaller of two nodes of one dtype. */
export function smaller(x: Node, y: Node): Node {
  return x.dtype === "bool" ? ops.and(x, y) : ops.minimum(x, y);
}

function step(x: Node, y: Node): Node {
  const zero = lit(0, x);
  const sign = ops.where(ops.less(x, zero), zero, ops.where(ops.equal(x, zero), y, lit(1, x)));
  return ops.where(ops.isnan(x), x, sign);
}

/** A literal limit beyond an integer dtype limits nothing: the dtype's own end stands for it. */
function withinRange(x: Operand, dtype: DType): Operand {
  if (!isInteger(dtype)) return x;
  const [low, high] = integerRange(dtype);
  if (x instanceof Node) {
    if (!x.weak || !isInteger(x.dtype)) return x;
    const above = ops.maximum(x, lit(low > -(2n ** 63n) ? low : -(2n ** 63n), x));
    return ops.cast(high < 2n ** 63n ? ops.minimum(above, lit(high, x)) : above, dtype);
  }
  if (x.weak !== "i") return x;
  const value = BigInt(x.value as number | bigint);
  return { weak: "i", value: value < low ? low : value > high ? high : value };
}

/**
 * The largest integer not above each element; integers stay as they are.
 *
 * @param x an array of real or bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.floor([1.7, -1.2]).toArray()); // [ 1, -2 ]
 * ```
 * Source: numpy.floor
 */
export function floor(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("floor", "ordered", whole(ops.floor), x, options);
}

/**
 * The smallest integer not below each element; integers stay as they are.
 *
 * @param x an array of real or bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ceil([1.2, -1.7]).toArray()); // [ 2, -1 ]
 * ```
 * Source: numpy.ceil
 */
export function ceil(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("ceil", "ordered", whole(ops.ceil), x, options);
}

/**
 * The integer part of each element; integers stay as they are.
 *
 * @param x an array of real or bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.trunc([1.7, -1.7]).toArray()); // [ 1, -1 ]
 * ```
 * Source: numpy.trunc
 */
export function trunc(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("trunc", "ordered", whole(ops.trunc), x, options);
}

/**
 * The nearest integer, halves to the even one.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.rint([0.5, 1.5, 2.6]).toArray()); // [ 0, 2, 3 ]
 * ```
 * Source: numpy.rint
 */
export function rint(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("rint", "inexact", nearest, x, options);
}

/**
 * The integer towards zero, as `trunc`.
 *
 * @param x an array of real or bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.fix([2.7, -2.7]).toArray()); // [ 2, -2 ]
 * ```
 * Source: numpy.fix
 */
export function fix(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("fix", "ordered", whole(ops.trunc), x, options);
}

/**
 * The array rounded to some decimals, halves to the even one.
 *
 * @param a an array
 * @param decimals how many decimals to keep; negative counts to the left of the point
 * @returns an array of the dtype of a (float16 for bool)
 * @throws TypeError for bool with decimals
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.round([1.25, 2.5, -3.7]).toArray()); // [ 1, 2, -4 ]
 * ```
 * Source: numpy.round
 */
export function round(a: ArrayLike, ...args: Args<[decimals: number], { readonly decimals?: number }>): NDArray {
  const { decimals = 0 } = keywords<{ decimals?: number }>("round", ["decimals"], args);
  const digits = checkInt("round", "decimals", decimals);
  const x = toNodeOf("round", a);
  if (x.dtype === "bool") {
    if (digits !== 0) throw new TypeError("round: dtype bool has no decimals, cast with astype");
    return wrap(ops.cast(x, "float16"));
  }
  if (isInteger(x.dtype)) {
    if (digits >= 0) return wrap(x);
    const step = number(10 ** -digits, "float64", x.device);
    return wrap(ops.cast(ops.mul(ops.rint(ops.div(ops.cast(x, "float64"), step)), step), x.dtype));
  }
  return wrap(nearest(x, digits));
}

/** NumPy's other name of `round`. */
export const around: typeof round = round;

/**
 * The larger of two elements; NaN wins.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.maximum([1, 5], 3).toArray()); // [ 3, 5 ]
 * ```
 * Source: numpy.maximum
 */
export function maximum(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("maximum", "any", larger, x1, x2, options);
}

/**
 * The smaller of two elements; NaN wins.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.minimum([1, 5], 3).toArray()); // [ 1, 3 ]
 * ```
 * Source: numpy.minimum
 */
export function minimum(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("minimum", "any", smaller, x1, x2, options);
}

/**
 * The larger of two elements; NaN loses.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.fmax([1, 5], 3).toArray()); // [ 3, 5 ]
 * ```
 * Source: numpy.fmax
 */
export function fmax(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("fmax", "any", (x, y) => x.dtype === "bool" ? ops.or(x, y) : ops.fmax(x, y), x1, x2, options);
}

/**
 * The smaller of two elements; NaN loses.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.fmin([1, 5], 3).toArray()); // [ 1, 3 ]
 * ```
 * Source: numpy.fmin
 */
export function fmin(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("fmin", "any", (x, y) => x.dtype === "bool" ? ops.and(x, y) : ops.fmin(x, y), x1, x2, options);
}

/**
 * 0 for negative x1, x2 at 0, 1 for positive x1; NaN stays.
 *
 * @param x1 an array of real; integers become floats
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.heaviside([-1.5, 0, 2], 0.5).toArray()); // [ 0, 0.5, 1 ]
 * ```
 * Source: numpy.heaviside
 */
export function heaviside(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("heaviside", "float", step, x1, x2, options);
}

/**
 * The array with its elements kept between two limits.
 *
 * @param a an array
 * @param min the lower limit, or null for none; also `a_min`
 * @param max the upper limit, or null for none; also `a_max`
 * @returns an array of the broadcast shape and common dtype
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.clip([1, 5, 9], 2, 6).toArray()); // [ 2, 5, 6 ]
 * ```
 * Source: numpy.clip
 */
export function clip(
  a: ArrayLike,
  ...args: Args<[min: ArrayLike | null, max: ArrayLike | null], ClipOptions>
): NDArray {
  const given = keywords<ClipOptions>("clip", ["min", "max", "a_min", "a_max"], args);
  const low = given.min ?? given.a_min ?? null;
  const high = given.max ?? given.a_max ?? null;
  const device = deviceOf(a, low, high);
  const x = toOperand("clip", a, device);
  const limits = [low, high].map((limit) => limit === null ? null : toOperand("clip", limit, device));
  const { dtype } = commonType("clip", [x, ...limits.filter((limit) => limit !== null)]);
  let out = asNode("clip", x, dtype, device);
  limits.forEach((limit, i) => {
    if (limit === null) return;
    const bound = asNode("clip", withinRange(limit, dtype), dtype, device);
    const x = out;
    out = within("clip", () => i === 0 ? larger(x, bound) : smaller(x, bound));
  });
  return wrap(out);
}

/**
 * The array with NaN and infinities replaced by numbers.
 *
 * @param x an array
 * @param nan what replaces NaN
 * @param posinf what replaces infinity; the largest number of the dtype if absent
 * @param neginf what replaces minus infinity; the smallest number of the dtype if absent
 * @returns an array of the dtype of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nan_to_num([1, tnp.nan]).toArray()); // [ 1, 0 ]
 * ```
 * Source: numpy.nan_to_num
 */
export function nan_to_num(
  x: ArrayLike,
  ...args: Args<[copy: boolean, nan: number, posinf: number | null, neginf: number | null], NanOptions>
): NDArray {
  const given = keywords<NanOptions & { copy?: boolean }>("nan_to_num", ["copy", "nan", "posinf", "neginf"], args);
  const node = toNodeOf("nan_to_num", x);
  if (!isInexact(node.dtype)) return wrap(node);
  const fix = (part: Node): Node => {
    const { max } = finfo(part.dtype);
    const high = ops.where(ops.isinf(part), lit(given.posinf ?? max, part), part);
    const low = ops.where(ops.equal(part, lit(-Infinity, part)), lit(given.neginf ?? -max, part), high);
    return ops.where(ops.isnan(part), lit(given.nan ?? 0, part), low);
  };
  for (const [key, value] of Object.entries(given)) {
    if (key !== "copy" && typeof value !== "number" && value !== null) {
      throw new TypeError(`nan_to_num: ${key} must be a number, got ${describe(value)}`);
    }
  }
  return wrap(isComplex(node.dtype) ? ops.complex(fix(ops.real(node)), fix(ops.imag(node))) : fix(node));
}
