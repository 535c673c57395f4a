/**
 * Arithmetic, point by point.
 * @module
 */
import { dtypes, isInexact, isInteger } from "../base/dtype.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import type { Scalar } from "../base/elements.ts";
import { readElement } from "../transform/evaluate.ts";
import { type ArrayLike, type NDArray, wrap } from "../array.ts";
import { within } from "./args.ts";
import { binary, lit, operands, type UfuncOptions, unary } from "./ufunc.ts";

/** Integers have no negative powers; exponents that are known are looked at, as NumPy does. */
function raise(x: Node, y: Node): Node {
  const simple = simplePower(x, y);
  if (simple !== null) return simple;
  if (dtypes[y.dtype].kind !== "i" || y.symbolic) return ops.pow(x, y);
  const out = ops.pow(x, y).hold();
  try {
    if (out.size > 0 && anyNegative(y)) {
      throw new RangeError("power: integers to negative integer powers are not allowed; use tnp.float_power");
    }
  } catch (error) {
    out.drop();
    throw error;
  }
  out.holders--;
  return out;
}

/** A power by a known exponent that takes one or two operations, and at most one rounding more: halves only square. */
function simplePower(x: Node, y: Node): Node | null {
  if (y.prim?.name !== "scalar") return null;
  const { value } = y.params as { value: Scalar };
  const exponent = typeof value !== "object" ? Number(value) : value.im === 0 ? value.re : NaN;
  if (exponent === 2) return ops.mul(x, x);
  if (x.dtype !== "float32" && x.dtype !== "float64" && !isInteger(x.dtype)) return null;
  if (exponent === 3) return ops.mul(ops.mul(x, x), x);
  if (exponent === -1 && isInexact(x.dtype)) return ops.div(lit(1, x), x);
  return null;
}

function anyNegative(y: Node): boolean {
  if (y.prim?.name === "scalar") return (y.params as { value: number | bigint }).value < 0;
  const negative = ops.any(ops.less(y, lit(0, y)), y.shape.map((_, i) => i)).hold();
  try {
    return readElement(negative) === true;
  } finally {
    negative.drop();
  }
}

function magnitude(x: Node): Node {
  const { kind } = dtypes[x.dtype];
  return kind === "b" || kind === "u" ? x : ops.abs(x);
}

function reciprocalOf(x: Node): Node {
  if (!isInteger(x.dtype)) return ops.div(lit(1, x), x);
  return ops.where(ops.equal(magnitude(x), lit(1, x)), x, lit(0, x));
}

function lcmOf(x: Node, y: Node): Node {
  return ops.mul(ops.floordiv(magnitude(x), ops.gcd(x, y)), magnitude(y));
}

/**
 * The sum of two arrays, point by point; or for bool.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.add([1, 2], [[10], [20]]).toArray()); // [ [ 11, 12 ], [ 21, 22 ] ]
 * ```
 * Source: numpy.add
 */
export function add(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("add", "any", ops.add, x1, x2, options);
}

/**
 * The difference of two arrays, point by point.
 *
 * @param x1 an array of any dtype but bool
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws TypeError for bool; ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.subtract([5, 7], 2).toArray()); // [ 3, 5 ]
 * ```
 * Source: numpy.subtract
 */
export function subtract(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("subtract", "number", ops.sub, x1, x2, options, "; use tnp.logical_xor");
}

/**
 * The product of two arrays, point by point; and for bool.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.multiply([1, 2, 3], [4, 5, 6]).toArray()); // [ 4, 10, 18 ]
 * ```
 * Source: numpy.multiply
 */
export function multiply(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("multiply", "any", ops.mul, x1, x2, options);
}

/**
 * The quotient of two arrays, point by point, as floating numbers.
 *
 * @param x1 an array of any dtype; integers become float64
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.divide([1, 2, 3], 2).toArray()); // [ 0.5, 1, 1.5 ]
 * ```
 * Source: numpy.divide
 */
export function divide(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("divide", "quotient", ops.div, x1, x2, options);
}

/** NumPy's other name of `divide`. */
export const true_divide: typeof divide = divide;

/**
 * The largest integer not above the quotient; 0 for an integer divided by 0.
 *
 * @param x1 an array of real; bool counts as int8
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.floor_divide([7, -7], 2).toArray()); // [ 3, -4 ]
 * ```
 * Source: numpy.floor_divide
 */
export function floor_divide(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("floor_divide", "real", ops.floordiv, x1, x2, options);
}

/**
 * The remainder of floor division: it has the divisor's sign; 0 for an integer by 0.
 *
 * @param x1 an array of real; bool counts as int8
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.mod([7, -7], 3).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.mod
 */
export function mod(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("mod", "real", ops.mod, x1, x2, options);
}

/** NumPy's other name of `mod`. */
export const remainder: typeof mod = mod;

/**
 * The remainder of division towards zero: it has the dividend's sign.
 *
 * @param x1 an array of real; bool counts as int8
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.fmod([7, -7], 3).toArray()); // [ 1, -1 ]
 * ```
 * Source: numpy.fmod
 */
export function fmod(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("fmod", "real", ops.fmod, x1, x2, options);
}

/**
 * The quotient of floor division and its remainder.
 *
 * @param x1 an array of real; bool counts as int8
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns the pair `[floor_divide(x1, x2), mod(x1, x2)]`
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.divmod([7, -7], 3).map((x) => x.toArray())); // [ [ 2, -3 ], [ 1, 2 ] ]
 * ```
 * Source: numpy.divmod
 */
export function divmod(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): [NDArray, NDArray] {
  const { x, y } = operands("divmod", "real", x1, x2, options);
  return within("divmod", () => [wrap(ops.floordiv(x, y)), wrap(ops.mod(x, y))]);
}

/**
 * x1 to the power x2, point by point.
 *
 * @param x1 an array of any dtype; bool counts as int8
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws RangeError for an integer to a negative integer power; ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.power([2, 3], [3, 2]).toArray()); // [ 8, 9 ]
 * ```
 * Source: numpy.power
 */
export function power(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("power", "numeric", raise, x1, x2, options);
}

/** NumPy's other name of `power`. */
export const pow: typeof power = power;

/**
 * x1 to the power x2 in float64 or complex128.
 *
 * @param x1 an array of any dtype; computed in float64 or complex128
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.float_power([1, 2], -2).toArray()); // [ 1, 0.25 ]
 * ```
 * Source: numpy.float_power
 */
export function float_power(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("float_power", "double", ops.pow, x1, x2, options);
}

/**
 * The array with its signs changed.
 *
 * @param x an array of any dtype but bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @throws TypeError for bool
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.negative([1, -2]).toArray()); // [ -1, 2 ]
 * ```
 * Source: numpy.negative
 */
export function negative(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("negative", "number", ops.neg, x, options, "; use tnp.logical_not");
}

/**
 * The array itself.
 *
 * @param x an array of any dtype but bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @throws TypeError for bool
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.positive([1, -2]).toArray()); // [ 1, -2 ]
 * ```
 * Source: numpy.positive
 */
export function positive(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("positive", "number", (x) => x, x, options);
}

/**
 * The absolute value; the modulus of complex numbers.
 *
 * @param x an array of any dtype
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.absolute([-1.5, 2]).toArray()); // [ 1.5, 2 ]
 * ```
 * Source: numpy.absolute
 */
export function absolute(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("absolute", "any", magnitude, x, options);
}

/** NumPy's other name of `absolute`. */
export const abs: typeof absolute = absolute;

/**
 * The absolute value of real numbers, as floats.
 *
 * @param x an array of real; integers become floats
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.fabs([-1, 2]).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.fabs
 */
export function fabs(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("fabs", "float", ops.abs, x, options);
}

/**
 * -1, 0 or 1 by the sign of each element; x / |x| for complex numbers.
 *
 * @param x an array of any dtype but bool
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @throws TypeError for bool
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sign([-5.5, 0, 3]).toArray()); // [ -1, 0, 1 ]
 * ```
 * Source: numpy.sign
 */
export function sign(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("sign", "number", ops.sign, x, options);
}

/**
 * The square of each element.
 *
 * @param x an array of any dtype; bool counts as int8
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.square([1, 2, 3]).toArray()); // [ 1, 4, 9 ]
 * ```
 * Source: numpy.square
 */
export function square(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("square", "numeric", (x) => ops.mul(x, x), x, options);
}

/**
 * 1 / x; of integers the integer part.
 *
 * An integer array gives integers, so 1 / 2 is 0 there.
 *
 * @param x an array of any dtype; bool counts as int8
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.reciprocal([2, 4]).toArray()); // [ 0, 0 ]
 * ```
 * Source: numpy.reciprocal
 */
export function reciprocal(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("reciprocal", "numeric", reciprocalOf, x, options);
}

/**
 * The greatest common divisor of integers, never negative.
 *
 * @param x1 an array of integers
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.gcd([12, 18], 8).toArray()); // [ 4, 2 ]
 * ```
 * Source: numpy.gcd
 */
export function gcd(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("gcd", "integer", ops.gcd, x1, x2, options);
}

/**
 * The least common multiple of integers, never negative.
 *
 * @param x1 an array of integers
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.lcm([4, 6], 10).toArray()); // [ 20, 30 ]
 * ```
 * Source: numpy.lcm
 */
export function lcm(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("lcm", "integer", lcmOf, x1, x2, options);
}
