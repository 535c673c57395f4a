/**
 * The primitives as functions on nodes: one line each, no rule in sight.
 *
 * Dtypes of the inputs must already be equal; elementwise ones broadcast shapes as NumPy does; axes are counted from 0.
 * A move that changes nothing returns its input itself. Rules of src/prims are written with these functions.
 * @module
 */
import { type DType, isComplex } from "../base/dtype.ts";
import { sameShape } from "../base/shape.ts";
import type { ScatterMode } from "../../kernels/kernel.ts";
import type { Device } from "../device/device.ts";
import type { Aval, Primitive } from "./primitive.ts";
import { prims, type ReduceName, type Scalar, type ScanName } from "./registry.ts";
import { bind, type Node } from "./trace.ts";

type Axes = readonly number[];

// Records are named where they are used: a look-up by a name that varies would take longer than all else here.
const unary = (prim: Primitive<null>, x: Node): Node => bind(prim, [x], null);
const binary = (prim: Primitive<null>, x: Node, y: Node): Node => bind(prim, [x, y], null);
const scan = (name: ScanName, x: Node, axis: number, reverse: boolean): Node =>
  bind(prims[name], [x], { axis, reverse });

/** A reduction; over no axes every one of them but the arg ones is its input. */
function reduce(name: ReduceName, x: Node, axes: Axes): Node {
  return axes.length === 0 ? x : bind(prims[name], [x], { axes });
}

// Leaves

/** A 0-d value that came from the user: an argument of kernels, never part of a key. */
export function scalar(value: Scalar, dtype: DType, device: Device): Node {
  return bind(prims.scalar, [], { value, dtype }, device);
}

/** The position along `axis` at every point of `shape`. */
export function iota(shape: readonly number[], axis: number, dtype: DType, device: Device): Node {
  return bind(prims.iota, [], { shape, axis, dtype }, device);
}

/** A value that is given later: an argument of a traced function. */
export function placeholder(aval: Aval, device: Device): Node {
  return bind(prims.placeholder, [], { shape: aval.shape, dtype: aval.dtype }, device);
}

/** `value` at every point of `shape`, in the dtype and on the device of `like`. */
export function full(shape: readonly number[], value: Scalar, like: Node): Node {
  return broadcast(scalar(value, like.dtype, like.device), shape);
}

// Elementwise, one input

/** `-x`; unsigned integers wrap. */
export const neg = (x: Node): Node => unary(prims.neg, x);
/** The magnitude; of complex numbers in their real dtype. */
export const abs = (x: Node): Node => unary(prims.abs, x);
/** -1, 0 or 1; NaN stays; `x / |x|` for complex numbers. */
export const sign = (x: Node): Node => unary(prims.sign, x);
/** Logical not of bool, bitwise not of integers. */
export const not = (x: Node): Node => unary(prims.not, x);
/** The largest integer not above x. */
export const floor = (x: Node): Node => unary(prims.floor, x);
/** The smallest integer not below x. */
export const ceil = (x: Node): Node => unary(prims.ceil, x);
/** The integer part. */
export const trunc = (x: Node): Node => unary(prims.trunc, x);
/** The nearest integer, halves to even. */
export const rint = (x: Node): Node => unary(prims.rint, x);
/** The square root. */
export const sqrt = (x: Node): Node => unary(prims.sqrt, x);
/** The cube root, real. */
export const cbrt = (x: Node): Node => unary(prims.cbrt, x);
/** e to the x. */
export const exp = (x: Node): Node => unary(prims.exp, x);
/** 2 to the x. */
export const exp2 = (x: Node): Node => unary(prims.exp2, x);
/** `exp(x) - 1`, exact near 0. */
export const expm1 = (x: Node): Node => unary(prims.expm1, x);
/** The natural logarithm. */
export const log = (x: Node): Node => unary(prims.log, x);
/** The logarithm to base 2. */
export const log2 = (x: Node): Node => unary(prims.log2, x);
/** The logarithm to base 10. */
export const log10 = (x: Node): Node => unary(prims.log10, x);
/** `log(1 + x)`, exact near 0. */
export const log1p = (x: Node): Node => unary(prims.log1p, x);
/** The sine, radians. */
export const sin = (x: Node): Node => unary(prims.sin, x);
/** The cosine, radians. */
export const cos = (x: Node): Node => unary(prims.cos, x);
/** The tangent, radians. */
export const tan = (x: Node): Node => unary(prims.tan, x);
/** The inverse sine. */
export const asin = (x: Node): Node => unary(prims.asin, x);
/** The inverse cosine. */
export const acos = (x: Node): Node => unary(prims.acos, x);
/** The inverse tangent. */
export const atan = (x: Node): Node => unary(prims.atan, x);
/** The hyperbolic sine. */
export const sinh = (x: Node): Node => unary(prims.sinh, x);
/** The hyperbolic cosine. */
export const cosh = (x: Node): Node => unary(prims.cosh, x);
/** The hyperbolic tangent. */
export const tanh = (x: Node): Node => unary(prims.tanh, x);
/** The inverse hyperbolic sine. */
export const asinh = (x: Node): Node => unary(prims.asinh, x);
/** The inverse hyperbolic cosine. */
export const acosh = (x: Node): Node => unary(prims.acosh, x);
/** The inverse hyperbolic tangent. */
export const atanh = (x: Node): Node => unary(prims.atanh, x);
/** The error function. */
export const erf = (x: Node): Node => unary(prims.erf, x);
/** `1 - erf(x)`, exact in the tail. */
export const erfc = (x: Node): Node => unary(prims.erfc, x);
/** `log |gamma(x)|`. */
export const lgamma = (x: Node): Node => unary(prims.lgamma, x);
/** Whether x (or a part of it) is NaN. */
export const isnan = (x: Node): Node => unary(prims.isnan, x);
/** Whether x (or a part of it) is infinite. */
export const isinf = (x: Node): Node => unary(prims.isinf, x);
/** Whether x (all of it) is neither NaN nor infinite. */
export const isfinite = (x: Node): Node => unary(prims.isfinite, x);
/** Whether the sign bit of a float is set. */
export const signbit = (x: Node): Node => unary(prims.signbit, x);
/** The count of set bits of |x|, as uint8. */
export const popcount = (x: Node): Node => unary(prims.popcount, x);
/** The real part; a real x itself. */
export const real = (x: Node): Node => isComplex(x.dtype) ? unary(prims.real, x) : x;
/** The imaginary part; zeros for a real x. */
export const imag = (x: Node): Node => isComplex(x.dtype) ? unary(prims.imag, x) : full(x.shape, 0, x);
/** The complex conjugate; a real x itself. */
export const conj = (x: Node): Node => isComplex(x.dtype) ? unary(prims.conj, x) : x;
/** x, through which no gradient flows. */
export const stop_gradient = (x: Node): Node => unary(prims.stop_gradient, x);
/** x in another dtype, as NumPy's astype; complex to real keeps the real part. */
export const cast = (x: Node, dtype: DType): Node => x.dtype === dtype ? x : bind(prims.cast, [x], { dtype });

// Elementwise, two inputs

/** `x + y`; or for bool. */
export const add = (x: Node, y: Node): Node => binary(prims.add, x, y);
/** `x - y`. */
export const sub = (x: Node, y: Node): Node => binary(prims.sub, x, y);
/** `x * y`; and for bool. */
export const mul = (x: Node, y: Node): Node => binary(prims.mul, x, y);
/** `x / y` of floating and complex numbers. */
export const div = (x: Node, y: Node): Node => binary(prims.div, x, y);
/** `floor(x / y)`; 0 for an integer divided by 0. */
export const floordiv = (x: Node, y: Node): Node => binary(prims.floordiv, x, y);
/** The remainder with y's sign; 0 for an integer by 0. */
export const mod = (x: Node, y: Node): Node => binary(prims.mod, x, y);
/** The remainder with x's sign, C's fmod. */
export const fmod = (x: Node, y: Node): Node => binary(prims.fmod, x, y);
/** x to the y. */
export const pow = (x: Node, y: Node): Node => binary(prims.pow, x, y);
/** The angle of the point (y, x): the first argument is the ordinate. */
export const atan2 = (y: Node, x: Node): Node => binary(prims.atan2, y, x);
/** `sqrt(x^2 + y^2)` without overflow. */
export const hypot = (x: Node, y: Node): Node => binary(prims.hypot, x, y);
/** The magnitude of x with the sign of y. */
export const copysign = (x: Node, y: Node): Node => binary(prims.copysign, x, y);
/** The next float after x towards y. */
export const nextafter = (x: Node, y: Node): Node => binary(prims.nextafter, x, y);
/** The larger of two; NaN wins. */
export const maximum = (x: Node, y: Node): Node => binary(prims.maximum, x, y);
/** The smaller of two; NaN wins. */
export const minimum = (x: Node, y: Node): Node => binary(prims.minimum, x, y);
/** The larger of two; NaN loses. */
export const fmax = (x: Node, y: Node): Node => binary(prims.fmax, x, y);
/** The smaller of two; NaN loses. */
export const fmin = (x: Node, y: Node): Node => binary(prims.fmin, x, y);
/** And of bools or bits. */
export const and = (x: Node, y: Node): Node => binary(prims.and, x, y);
/** Or of bools or bits. */
export const or = (x: Node, y: Node): Node => binary(prims.or, x, y);
/** Exclusive or of bools or bits. */
export const xor = (x: Node, y: Node): Node => binary(prims.xor, x, y);
/** Bits shifted to the left. */
export const shl = (x: Node, y: Node): Node => binary(prims.shl, x, y);
/** Bits shifted to the right, keeping the sign. */
export const shr = (x: Node, y: Node): Node => binary(prims.shr, x, y);
/** The greatest common divisor of integers. */
export const gcd = (x: Node, y: Node): Node => binary(prims.gcd, x, y);
/** `x < y`; complex numbers in lexicographic order. */
export const less = (x: Node, y: Node): Node => binary(prims.less, x, y);
/** `x <= y`. */
export const less_equal = (x: Node, y: Node): Node => binary(prims.less_equal, x, y);
/** `x == y`. */
export const equal = (x: Node, y: Node): Node => binary(prims.equal, x, y);
/** `x != y`. */
export const not_equal = (x: Node, y: Node): Node => binary(prims.not_equal, x, y);
/** `re + i im` from two float32 or two float64. */
export const complex = (re: Node, im: Node): Node => binary(prims.complex, re, im);

// Elementwise, other

/** `c ? x : y` at every point, c of bool. */
export const where = (c: Node, x: Node, y: Node): Node => bind(prims.where, [c, x, y], null);
/** Word 0 or 1 of Threefry-2x32 with key (k0, k1) at counter (c0, c1), all uint32. */
export const threefry = (k0: Node, k1: Node, c0: Node, c1: Node, word: 0 | 1): Node =>
  bind(prims.threefry, [k0, k1, c0, c1], { word });

// Moves

/** The same elements in C order under another shape of the same size. */
export const reshape = (x: Node, shape: readonly number[]): Node =>
  sameShape(x.shape, shape) ? x : bind(prims.reshape, [x], { shape });

/** Axis i of the result is axis `perm[i]` of x. */
export const transpose = (x: Node, perm: Axes): Node =>
  perm.length === x.shape.length && perm.every((p, i) => p === i) ? x : bind(prims.transpose, [x], { perm });

/** x repeated to a shape it broadcasts to. */
export const broadcast = (x: Node, shape: readonly number[]): Node =>
  sameShape(x.shape, shape) ? x : bind(prims.broadcast, [x], { shape });

/** Whether a region is all of x in its order. */
const isWhole = (x: Node, starts: Axes, shape: readonly number[], steps: Axes): boolean =>
  sameShape(x.shape, shape) && steps.length === shape.length && starts.length === shape.length &&
  starts.every((s) => s === 0) && steps.every((s, i) => s === 1 || shape[i]! === 1 && s !== 0);

/** `out[i] = x[starts + i * steps]`; starts inside x, steps of either sign but not 0. */
export const slice = (x: Node, starts: Axes, shape: readonly number[], steps: Axes): Node =>
  isWhole(x, starts, shape, steps) ? x : bind(prims.slice, [x], { starts, shape, steps });

/** Zeros of `shape` with x at `starts + i * steps`: the transpose of `slice`. */
export const pad = (x: Node, shape: readonly number[], starts: Axes, steps: Axes): Node =>
  isWhole(x, starts, shape, steps) ? x : bind(prims.pad, [x], { starts, shape, steps });

/** Arrays joined along an axis. */
export const concatenate = (xs: readonly Node[], axis: number): Node =>
  xs.length === 1 ? xs[0]! : bind(prims.concatenate, xs, { axis });

/** x with an axis of length 1 put in at each of `axes` (positions in the result, rising). */
export function expand(x: Node, axes: Axes): Node {
  const shape = [...x.shape];
  for (const axis of axes) shape.splice(axis, 0, 1);
  return reshape(x, shape);
}

// Reductions and running reductions

/** The sum over axes. */
export const sum = (x: Node, axes: Axes): Node => reduce("sum", x, axes);
/** The product over axes. */
export const prod = (x: Node, axes: Axes): Node => reduce("prod", x, axes);
/** The largest over axes; NaN wins. */
export const max = (x: Node, axes: Axes): Node => reduce("max", x, axes);
/** The smallest over axes; NaN wins. */
export const min = (x: Node, axes: Axes): Node => reduce("min", x, axes);
/** Whether any is true over axes, of bool. */
export const any = (x: Node, axes: Axes): Node => reduce("any", x, axes);
/** Whether all are true over axes, of bool. */
export const all = (x: Node, axes: Axes): Node => reduce("all", x, axes);
/** The position of the largest, row-major over the axes, as int64; the first of equals; NaN wins. */
export const argmax = (x: Node, axes: Axes): Node => arg("argmax", x, axes);
/** The position of the smallest, row-major over the axes, as int64; the first of equals; NaN wins. */
export const argmin = (x: Node, axes: Axes): Node => arg("argmin", x, axes);

const arg = (name: "argmax" | "argmin", x: Node, axes: Axes): Node =>
  axes.length === 0 ? broadcast(scalar(0n, "int64", x.device), x.shape) : reduce(name, x, axes);

/** The running sum along an axis, from its end if `reverse`. */
export const cumsum = (x: Node, axis: number, reverse = false): Node => scan("cumsum", x, axis, reverse);
/** The running product along an axis. */
export const cumprod = (x: Node, axis: number, reverse = false): Node => scan("cumprod", x, axis, reverse);
/** The running maximum along an axis; NaN stays. */
export const cummax = (x: Node, axis: number, reverse = false): Node => scan("cummax", x, axis, reverse);
/** The running minimum along an axis; NaN stays. */
export const cummin = (x: Node, axis: number, reverse = false): Node => scan("cummin", x, axis, reverse);

// Indices, order, products

/**
 * `out[i.., r..]`: elements of x with `axes[k]` at `indices[k][i..]` and its other axes r in order.
 * Indices are int64 of one shape, of any sign; one that is out of range is clamped.
 */
export const gather = (x: Node, indices: readonly Node[], axes: Axes): Node =>
  bind(prims.gather, [x, ...indices], { axes });

/** A copy of x with updates (shape: the indices', then x's other axes) combined in where `gather` would read. */
export const scatter = (x: Node, updates: Node, indices: readonly Node[], axes: Axes, mode: ScatterMode): Node =>
  bind(prims.scatter, [x, updates, ...indices], { axes, mode });

/** x in rising order along its last axis; NaN last, complex numbers in lexicographic order. */
export const sort = (x: Node): Node => bind(prims.sort, [x], null);
/** The positions that sort the last axis, stable, as int64. */
export const argsort = (x: Node): Node => bind(prims.argsort, [x], null);
/** Where each of v goes into the rising 1-d `sorted`, as int64; before its equals or after them. */
export const searchsorted = (sorted: Node, v: Node, side: "left" | "right"): Node =>
  bind(prims.searchsorted, [sorted, v], { side });

/** The matrix product of the last two axes; the axes before them broadcast. */
export const matmul = (x: Node, y: Node): Node => bind(prims.matmul, [x, y], null);
