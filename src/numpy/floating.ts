/**
 * Facts and parts of floating and complex numbers, point by point.
 * @module
 */
import { dtypes, isComplex, isFloat, isInexact } from "../base/dtype.ts";
import { literalType, weakKindOf } from "../base/promote.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, type NDArray, wrap } from "../array.ts";
import { keywords } from "./args.ts";
import { toNodeOf } from "./convert.ts";
import { binary, boolOptions, fullLike, lit, truth, truthy, type UfuncOptions, unary } from "./ufunc.ts";

/** An operation of floating numbers, with the answer for all others. */
const inexact = (op: (x: Node) => Node, other: boolean) => (x: Node): Node =>
  isInexact(x.dtype) ? op(x) : truth(other, x);

function negativeSign(x: Node): Node {
  if (isFloat(x.dtype)) return ops.signbit(x);
  return dtypes[x.dtype].kind === "i" ? ops.less(x, lit(0, x)) : truth(false, x);
}

/**
 * Whether elements are NaN.
 *
 * @param x an array of any dtype
 * @param options `dtype`, `casting`
 * @returns bool, of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isnan([1, tnp.nan]).toArray()); // [ false, true ]
 * ```
 * Source: numpy.isnan
 */
export function isnan(x: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return unary<"bool">("isnan", "any", inexact(ops.isnan, false), x, boolOptions("isnan", options));
}

/**
 * Whether elements are infinite.
 *
 * @param x an array of any dtype
 * @param options `dtype`, `casting`
 * @returns bool, of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isinf([1, -tnp.inf]).toArray()); // [ false, true ]
 * ```
 * Source: numpy.isinf
 */
export function isinf(x: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return unary<"bool">("isinf", "any", inexact(ops.isinf, false), x, boolOptions("isinf", options));
}

/**
 * Whether elements are neither infinite nor NaN.
 *
 * @param x an array of any dtype
 * @param options `dtype`, `casting`
 * @returns bool, of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isfinite([1, tnp.inf]).toArray()); // [ true, false ]
 * ```
 * Source: numpy.isfinite
 */
export function isfinite(x: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return unary<"bool">("isfinite", "any", inexact(ops.isfinite, true), x, boolOptions("isfinite", options));
}

/**
 * Whether elements are infinity.
 *
 * @param x an array of real numbers
 * @returns bool, of the shape of x
 * @throws TypeError for complex numbers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isposinf([1, -tnp.inf, tnp.inf]).toArray()); // [ false, false, true ]
 * ```
 * Source: numpy.isposinf
 */
export function isposinf(x: ArrayLike): NDArray<"bool"> {
  return unary("isposinf", "ordered", inexact((x) => ops.equal(x, lit(Infinity, x)), false), x);
}

/**
 * Whether elements are minus infinity.
 *
 * @param x an array of real numbers
 * @returns bool, of the shape of x
 * @throws TypeError for complex numbers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isneginf([1, -tnp.inf, tnp.inf]).toArray()); // [ false, true, false ]
 * ```
 * Source: numpy.isneginf
 */
export function isneginf(x: ArrayLike): NDArray<"bool"> {
  return unary("isneginf", "ordered", inexact((x) => ops.equal(x, lit(-Infinity, x)), false), x);
}

/**
 * Whether the sign bit is set: also for -0.
 *
 * @param x an array of real or bool
 * @param options `dtype`, `casting`
 * @returns bool, of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.signbit([-0.5, 0, 1]).toArray()); // [ true, false, false ]
 * ```
 * Source: numpy.signbit
 */
export function signbit(x: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return unary<"bool">("signbit", "ordered", negativeSign, x, boolOptions("signbit", options));
}

/**
 * The magnitude of x1 with the sign of x2.
 *
 * @param x1 an array of real; integers become floats
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.copysign([1, -2], [-0.5, 3]).toArray()); // [ -1, 2 ]
 * ```
 * Source: numpy.copysign
 */
export function copysign(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("copysign", "float", ops.copysign, x1, x2, options);
}

/**
 * The next floating number after x1 in the direction of x2.
 *
 * @param x1 an array of real; integers become floats
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns an array of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nextafter(1, [2, 0]).toArray()); // [ 1.0000000000000002, 0.9999999999999999 ]
 * ```
 * Source: numpy.nextafter
 */
export function nextafter(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray {
  return binary("nextafter", "float", ops.nextafter, x1, x2, options);
}

/**
 * The complex conjugate; real numbers stay as they are.
 *
 * @param x an array of any dtype; bool counts as int8
 * @param options `dtype`, `casting`
 * @returns an array of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.conjugate([1, 2]).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.conjugate
 */
export function conjugate(x: ArrayLike, options?: UfuncOptions): NDArray {
  return unary("conjugate", "numeric", (x) => isComplex(x.dtype) ? ops.conj(x) : x, x, options);
}

/** NumPy's other name of `conjugate`. */
export const conj: typeof conjugate = conjugate;

/**
 * The real part; real numbers stay as they are.
 *
 * @param val an array
 * @returns an array of the real dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.real([1, 2]).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.real
 */
export function real(val: ArrayLike): NDArray {
  const x = toNodeOf("real", val);
  return wrap(isComplex(x.dtype) ? ops.real(x) : x);
}

/**
 * The imaginary part; zeros for real numbers.
 *
 * @param val an array
 * @returns an array of the real dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.imag([1, 2]).toArray()); // [ 0, 0 ]
 * ```
 * Source: numpy.imag
 */
export function imag(val: ArrayLike): NDArray {
  const x = toNodeOf("imag", val);
  return wrap(isComplex(x.dtype) ? ops.imag(x) : fullLike(0, x));
}

/**
 * The angle of complex numbers in the plane, from -pi to pi.
 *
 * @param z an array of any dtype; integers become floats
 * @param deg whether in degrees instead of radians
 * @returns an array of the real dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.angle([1, -1]).toArray()); // [ 0, 3.141592653589793 ]
 * ```
 * Source: numpy.angle
 */
export function angle(z: ArrayLike, ...args: Args<[deg: boolean], { readonly deg?: boolean }>): NDArray {
  const { deg = false } = keywords<{ deg?: boolean }>("angle", ["deg"], args);
  const given = toNodeOf("angle", z);
  // NumPy takes the imaginary part of bool to be an integer 0.
  const known = wrap(given.dtype === "bool" ? ops.cast(given, literalType("i")) : given);
  return unary("angle", "inexact", (x) => {
    const [re, im] = isComplex(x.dtype) ? [ops.real(x), ops.imag(x)] : [x, lit(0, x)];
    const angle = ops.atan2(im, re);
    return deg ? ops.mul(angle, lit(180 / Math.PI, angle)) : angle;
  }, known);
}

/**
 * Whether elements have an imaginary part that is not zero.
 *
 * @param x an array
 * @returns bool, of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.iscomplex([1, 2]).toArray()); // [ false, false ]
 * ```
 * Source: numpy.iscomplex
 */
export function iscomplex(x: ArrayLike): NDArray<"bool"> {
  return unary("iscomplex", "any", (x) => isComplex(x.dtype) ? truthy(ops.imag(x)) : truth(false, x), x);
}

/**
 * Whether elements have no imaginary part, or one that is zero.
 *
 * @param x an array
 * @returns bool, of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isreal([1, 2]).toArray()); // [ true, true ]
 * ```
 * Source: numpy.isreal
 */
export function isreal(x: ArrayLike): NDArray<"bool"> {
  return unary("isreal", "any", (x) => isComplex(x.dtype) ? ops.not(truthy(ops.imag(x))) : truth(true, x), x);
}

/**
 * Whether an array has a complex dtype.
 *
 * @param x an array
 * @returns a JavaScript boolean
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.iscomplexobj([1, 2])); // false
 * ```
 * Source: numpy.iscomplexobj
 */
export function iscomplexobj(x: ArrayLike): boolean {
  return isComplex(toNodeOf("iscomplexobj", x).dtype);
}

/**
 * Whether an array has a dtype that is not complex.
 *
 * @param x an array
 * @returns a JavaScript boolean
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isrealobj([1, 2])); // true
 * ```
 * Source: numpy.isrealobj
 */
export function isrealobj(x: ArrayLike): boolean {
  return !isComplex(toNodeOf("isrealobj", x).dtype);
}

/**
 * Whether a value is a plain number, boolean, bigint or complex number, and no array.
 *
 * @param element any value
 * @returns a JavaScript boolean
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isscalar(3.1)); // true
 * ```
 * Source: numpy.isscalar
 */
export function isscalar(element: unknown): boolean {
  return weakKindOf(element) !== null || typeof element === "string";
}
