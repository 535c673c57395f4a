/**
 * Exponentials, logarithms and roots, point by point.
 * @module
 */
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import type { ArrayLike, NDArray } from "../array.ts";
import { binary, lit, type UfuncOptions, unary } from "./ufunc.ts";

/** `exp` of minus the distance, 1 where both are the same: infinities have no distance. */
function nearness(x: Node, y: Node, exp: (x: Node) => Node): Node {
  const apart = ops.neg(ops.abs(ops.sub(x, y)));
  return exp(ops.where(ops.equal(x, y), lit(0, x), apart));
}

function logAddExp(x: Node, y: Node): Node {
  return ops.add(ops.maximum(x, y), ops.log1p(nearness(x, y, ops.exp)));
}

function logAddExp2(x: Node, y: Node): Node {
  const rest = ops.log1p(nearness(x, y, ops.exp2));
  return ops.add(ops.maximum(x, y), ops.mul(rest, lit(Math.LOG2E, x)));
}

/**
 * e to the power of each element.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.exp([0, 1]).toArray()); // [ 1, 2.718281828459045 ]
 * ```
 * Source: numpy.exp
 */
export function exp(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("exp", "inexact", ops.exp, x, options);
}

/**
 * 2 to the power of each element.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.exp2([0, 3]).toArray()); // [ 1, 8 ]
 * ```
 * Source: numpy.exp2
 */
export function exp2(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("exp2", "inexact", ops.exp2, x, options);
}

/**
 * `exp(x) - 1`, exact near 0.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.expm1([0, 1e-10]).toArray()); // [ 0, 1.00000000005e-10 ]
 * ```
 * Source: numpy.expm1
 */
export function expm1(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("expm1", "inexact", ops.expm1, x, options);
}

/**
 * The natural logarithm.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.log([1, 10]).toArray()); // [ 0, 2.302585092994046 ]
 * ```
 * Source: numpy.log
 */
export function log(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("log", "inexact", ops.log, x, options);
}

/**
 * The logarithm to base 2.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.log2([1, 8]).toArray()); // [ 0, 3 ]
 * ```
 * Source: numpy.log2
 */
export function log2(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("log2", "inexact", ops.log2, x, options);
}

/**
 * The logarithm to base 10.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.log10([1, 1000]).toArray()); // [ 0, 3 ]
 * ```
 * Source: numpy.log10
 */
export function log10(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("log10", "inexact", ops.log10, x, options);
}

/**
 * `log(1 + x)`, exact near 0.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.log1p([0, 1e-10]).toArray()); // [ 0, 9.999999999500001e-11 ]
 * ```
 * Source: numpy.log1p
 */
export function log1p(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("log1p", "inexact", ops.log1p, x, options);
}

/**
 * The square root.
 *
 * @param x an array of any dtype; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sqrt([4, 9]).toArray()); // [ 2, 3 ]
 * ```
 * Source: numpy.sqrt
 */
export function sqrt(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("sqrt", "inexact", ops.sqrt, x, options);
}

/**
 * The cube root of real numbers.
 *
 * @param x an array of real; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.cbrt([8, -27]).toArray()); // [ 2, -3 ]
 * ```
 * Source: numpy.cbrt
 */
export function cbrt(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("cbrt", "float", ops.cbrt, x, options);
}

/**
 * `log(exp(x1) + exp(x2))` without overflow.
 *
 * @param x1 an array of real; integers become floats
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.logaddexp(1000, [1000, 0]).toArray()); // [ 1000.6931471805599, 1000 ]
 * ```
 * Source: numpy.logaddexp
 */
export function logaddexp(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("logaddexp", "float", logAddExp, x1, x2, options);
}

/**
 * `log2(2 ** x1 + 2 ** x2)` without overflow.
 *
 * @param x1 an array of real; integers become floats
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.logaddexp2(10, [10, 0]).toArray()); // [ 11, 10.001408194392809 ]
 * ```
 * Source: numpy.logaddexp2
 */
export function logaddexp2(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("logaddexp2", "float", logAddExp2, x1, x2, options);
}
