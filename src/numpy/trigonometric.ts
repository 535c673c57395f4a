/**
 * Trigonometric and hyperbolic functions, point by point.
 * @module
 */
import * as ops from "../core/ops.ts";
import { type ArrayLike, type NDArray, wrap } from "../array.ts";
import { binary, lit, operands, type UfuncOptions, unary } from "./ufunc.ts";

/**
 * The sine of angles in radians.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sin([0, 1]).toArray()); // [ 0, 0.8414709848078965 ]
 * ```
 * Source: numpy.sin
 */
export function sin(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("sin", "inexact", ops.sin, x, options);
}

/**
 * The cosine of angles in radians.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.cos([0, 1]).toArray()); // [ 1, 0.5403023058681398 ]
 * ```
 * Source: numpy.cos
 */
export function cos(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("cos", "inexact", ops.cos, x, options);
}

/**
 * The tangent of angles in radians.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.tan([0, 1]).toArray()); // [ 0, 1.5574077246549023 ]
 * ```
 * Source: numpy.tan
 */
export function tan(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("tan", "inexact", ops.tan, x, options);
}

/**
 * The inverse sine, in radians from -pi/2 to pi/2.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arcsin([0, 1]).toArray()); // [ 0, 1.5707963267948966 ]
 * ```
 * Source: numpy.arcsin
 */
export function arcsin(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("arcsin", "inexact", ops.asin, x, options);
}

/** NumPy's other name of `arcsin`. */
export const asin: typeof arcsin = arcsin;

/**
 * The inverse cosine, in radians from 0 to pi.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arccos([0, 1]).toArray()); // [ 1.5707963267948966, 0 ]
 * ```
 * Source: numpy.arccos
 */
export function arccos(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("arccos", "inexact", ops.acos, x, options);
}

/** NumPy's other name of `arccos`. */
export const acos: typeof arccos = arccos;

/**
 * The inverse tangent, in radians from -pi/2 to pi/2.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arctan([0, 1]).toArray()); // [ 0, 0.7853981633974483 ]
 * ```
 * Source: numpy.arctan
 */
export function arctan(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("arctan", "inexact", ops.atan, x, options);
}

/** NumPy's other name of `arctan`. */
export const atan: typeof arctan = arctan;

/**
 * The hyperbolic sine.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sinh([0, 1]).toArray()); // [ 0, 1.1752011936438014 ]
 * ```
 * Source: numpy.sinh
 */
export function sinh(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("sinh", "inexact", ops.sinh, x, options);
}

/**
 * The hyperbolic cosine.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.cosh([0, 1]).toArray()); // [ 1, 1.5430806348152437 ]
 * ```
 * Source: numpy.cosh
 */
export function cosh(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("cosh", "inexact", ops.cosh, x, options);
}

/**
 * The hyperbolic tangent.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.tanh([0, 1]).toArray()); // [ 0, 0.7615941559557649 ]
 * ```
 * Source: numpy.tanh
 */
export function tanh(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("tanh", "inexact", ops.tanh, x, options);
}

/**
 * The inverse hyperbolic sine.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arcsinh([0, 1]).toArray()); // [ 0, 0.881373587019543 ]
 * ```
 * Source: numpy.arcsinh
 */
export function arcsinh(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("arcsinh", "inexact", ops.asinh, x, options);
}

/** NumPy's other name of `arcsinh`. */
export const asinh: typeof arcsinh = arcsinh;

/**
 * The inverse hyperbolic cosine.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arccosh([1, 2]).toArray()); // [ 0, 1.3169578969248166 ]
 * ```
 * Source: numpy.arccosh
 */
export function arccosh(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("arccosh", "inexact", ops.acosh, x, options);
}

/** NumPy's other name of `arccosh`. */
export const acosh: typeof arccosh = arccosh;

/**
 * The inverse hyperbolic tangent.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arctanh([0, 0.5]).toArray()); // [ 0, 0.5493061443340548 ]
 * ```
 * Source: numpy.arctanh
 */
export function arctanh(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("arctanh", "inexact", ops.atanh, x, options);
}

/** NumPy's other name of `arctanh`. */
export const atanh: typeof arctanh = arctanh;

/**
 * The angle of the point (x2, x1), in radians from -pi to pi.
 *
 * @param x1 an array of real; integers become floats
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arctan2([0, 1], [-1, 0]).toArray()); // [ 3.141592653589793, 1.5707963267948966 ]
 * ```
 * Source: numpy.arctan2
 */
export function arctan2(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("arctan2", "float", ops.atan2, x1, x2, options);
}

/** NumPy's other name of `arctan2`. */
export const atan2: typeof arctan2 = arctan2;

/**
 * `sqrt(x1**2 + x2**2)` without overflow.
 *
 * @param x1 an array of real; integers become floats
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.hypot([3, 5], [4, 12]).toArray()); // [ 5, 13 ]
 * ```
 * Source: numpy.hypot
 */
export function hypot(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("hypot", "float", ops.hypot, x1, x2, options);
}

/**
 * Degrees as radians.
 *
 * @param x an array of real; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.deg2rad([0, 180]).toArray()); // [ 0, 3.141592653589793 ]
 * ```
 * Source: numpy.deg2rad
 */
export function deg2rad(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("deg2rad", "float", (x) => ops.mul(x, lit(Math.PI / 180, x)), x, options);
}

/** NumPy's other name of `deg2rad`. */
export const radians: typeof deg2rad = deg2rad;

/**
 * Radians as degrees.
 *
 * @param x an array of real; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.rad2deg([0, tnp.pi]).toArray()); // [ 0, 180 ]
 * ```
 * Source: numpy.rad2deg
 */
export function rad2deg(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("rad2deg", "float", (x) => ops.mul(x, lit(180 / Math.PI, x)), x, options);
}

/** NumPy's other name of `rad2deg`. */
export const degrees: typeof rad2deg = rad2deg;

/**
 * The normalized sinc function: sin(pi x) / (pi x), 1 at 0.
 *
 * @param x an array of any dtype; integers become float64
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sinc([0, 0.5]).toArray()); // [ 1, 0.6366197723675814 ]
 * ```
 * Source: numpy.sinc
 */
export function sinc(x: ArrayLike): NDArray {
  const { x: node, y: pi } = operands("sinc", "inexact", x, Math.PI);
  const angle = ops.mul(node, pi);
  const zero = ops.equal(angle, lit(0, angle));
  const safe = ops.where(zero, lit(1, angle), angle);
  return wrap(ops.where(zero, lit(1, angle), ops.div(ops.sin(safe), safe)));
}
