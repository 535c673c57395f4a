/**
 * Bits of integers, point by point.
 * @module
 */
import * as ops from "../core/ops.ts";
import type { ArrayLike, NDArray } from "../array.ts";
import { binary, type UfuncOptions, unary } from "./ufunc.ts";

/**
 * And of the bits of two integers, or of two bools.
 *
 * @param x1 an array of integers or bool
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.bitwise_and([12, 10], 6).toArray()); // [ 4, 2 ]
 * ```
 * Source: numpy.bitwise_and
 */
export function bitwise_and(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("bitwise_and", "bits", ops.and, x1, x2, options);
}

/**
 * Or of the bits of two integers, or of two bools.
 *
 * @param x1 an array of integers or bool
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.bitwise_or([12, 10], 6).toArray()); // [ 14, 14 ]
 * ```
 * Source: numpy.bitwise_or
 */
export function bitwise_or(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("bitwise_or", "bits", ops.or, x1, x2, options);
}

/**
 * Exclusive or of the bits of two integers, or of two bools.
 *
 * @param x1 an array of integers or bool
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.bitwise_xor([12, 10], 6).toArray()); // [ 10, 12 ]
 * ```
 * Source: numpy.bitwise_xor
 */
export function bitwise_xor(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("bitwise_xor", "bits", ops.xor, x1, x2, options);
}

/**
 * The bits turned over; not for bool.
 *
 * @param x an array of integers or bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.invert([0, 5]).toArray()); // [ -1, -6 ]
 * ```
 * Source: numpy.invert
 */
export function invert(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("invert", "bits", ops.not, x, options);
}

/** NumPy's other name of `invert`. */
export const bitwise_not: typeof invert = invert;

/** NumPy's other name of `invert`. */
export const bitwise_invert: typeof invert = invert;

/**
 * The bits of x1 shifted to the left by x2; 0 when all are shifted out.
 *
 * @param x1 an array of integers; bool counts as int8
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.left_shift([1, 3], 2).toArray()); // [ 4, 12 ]
 * ```
 * Source: numpy.left_shift
 */
export function left_shift(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("left_shift", "shift", ops.shl, x1, x2, options);
}

/** NumPy's other name of `left_shift`. */
export const bitwise_left_shift: typeof left_shift = left_shift;

/**
 * The bits of x1 shifted to the right by x2, keeping the sign.
 *
 * @param x1 an array of integers; bool counts as int8
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.right_shift([8, -8], 2).toArray()); // [ 2, -2 ]
 * ```
 * Source: numpy.right_shift
 */
export function right_shift(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("right_shift", "shift", ops.shr, x1, x2, options);
}

/** NumPy's other name of `right_shift`. */
export const bitwise_right_shift: typeof right_shift = right_shift;

/**
 * How many bits of the absolute value are 1, as uint8.
 *
 * @param x an array of integers or bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.bitwise_count([7, 8]).toArray()); // [ 3, 1 ]
 * ```
 * Source: numpy.bitwise_count
 */
export function bitwise_count(x: ArrayLike, options?: UfuncOptions): NDArray<"uint8"> {
  return unary<"uint8">(
    "bitwise_count",
    "bits",
    (x) => ops.cast(ops.popcount(x.dtype === "bool" ? ops.cast(x, "uint8") : x), "uint8"),
    x,
    options,
  );
}
