/**
 * dtypes, their limits and their promotion.
 * @module
 */
import { type DType, isDType } from "../base/dtype.ts";
import { finfo as floatLimits, type FloatInfo, iinfo as integerLimits, type IntegerInfo } from "../base/limits.ts";
import {
  canCast,
  type Casting,
  isSubdtype,
  promoteTypes,
  type PromotionMode,
  resultType,
  type ScalarKind,
  scalarKinds,
  setPromotion,
} from "../base/promote.ts";
import { type Args, type ArrayLike, NDArray } from "../array.ts";
import { checkDType, describe, keywords, within } from "./args.ts";
import { deviceOf, promotable, toOperand } from "./convert.ts";

export type { FloatInfo, IntegerInfo } from "../base/limits.ts";
export type { Casting, PromotionMode, ScalarKind } from "../base/promote.ts";

/** True or false, one byte. */
export const bool = "bool" as const;
/** NumPy's other name of `bool`. */
export const bool_ = "bool" as const;
/** Signed integers of 8 bits. */
export const int8 = "int8" as const;
/** Signed integers of 16 bits. */
export const int16 = "int16" as const;
/** Signed integers of 32 bits. */
export const int32 = "int32" as const;
/** Signed integers of 64 bits: what integral numbers become. */
export const int64 = "int64" as const;
/** NumPy's other name of `int64`. */
export const int_ = "int64" as const;
/** Unsigned integers of 8 bits. */
export const uint8 = "uint8" as const;
/** Unsigned integers of 16 bits. */
export const uint16 = "uint16" as const;
/** Unsigned integers of 32 bits. */
export const uint32 = "uint32" as const;
/** Unsigned integers of 64 bits. */
export const uint64 = "uint64" as const;
/** Floats of 16 bits, IEEE half precision. */
export const float16 = "float16" as const;
/** Floats of 16 bits with the range of float32 and 8 bits of precision. */
export const bfloat16 = "bfloat16" as const;
/** Floats of 32 bits. */
export const float32 = "float32" as const;
/** Floats of 64 bits: what JavaScript's numbers are. */
export const float64 = "float64" as const;
/** NumPy's older name of `float64`. */
export const float_ = "float64" as const;
/** Complex numbers of two float32. */
export const complex64 = "complex64" as const;
/** Complex numbers of two float64. */
export const complex128 = "complex128" as const;
/** NumPy's older name of `complex128`. */
export const complex_ = "complex128" as const;
/** Abstract type: every dtype. */
export const generic = "generic" as const;
/** Abstract type: every dtype but bool. */
export const number = "number" as const;
/** Abstract type: integers. */
export const integer = "integer" as const;
/** Abstract type: signed integers. */
export const signedinteger = "signedinteger" as const;
/** Abstract type: unsigned integers. */
export const unsignedinteger = "unsignedinteger" as const;
/** Abstract type: floats and complex numbers. */
export const inexact = "inexact" as const;
/** Abstract type: floats. */
export const floating = "floating" as const;
/** Abstract type: complex numbers. */
export const complexfloating = "complexfloating" as const;

/** Half the circumference of the unit circle. */
export const pi: number = Math.PI;
/** The base of the natural logarithm. */
export const e: number = Math.E;
/** The Euler-Mascheroni constant. */
export const euler_gamma: number = 0.5772156649015329;
/** Infinity. */
export const inf: number = Infinity;
/** Not a number. */
export const nan: number = NaN;
/** A new axis of length 1 in an index. */
export const newaxis: null = null;

/**
 * The limits of a floating dtype; of a complex one, of its parts.
 *
 * @param dtype a dtype, or an array of it
 * @returns eps, max, min, tiny, bits, precision and the other facts of numpy.finfo
 * @throws TypeError for a dtype that is not floating
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.finfo(tnp.float32).eps); // 1.1920928955078125e-7
 * ```
 * Source: numpy.finfo
 */
export function finfo(dtype: DType | NDArray): FloatInfo {
  return floatLimits(typeOf("finfo", dtype));
}

/**
 * The limits of an integer dtype.
 *
 * @param dtype a dtype, or an array of it
 * @returns bits, min and max; bigints for the 64-bit ones
 * @throws TypeError for a dtype that is no integer
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.iinfo(tnp.int8).max); // 127
 * ```
 * Source: numpy.iinfo
 */
export function iinfo(dtype: DType | NDArray): IntegerInfo {
  return integerLimits(typeOf("iinfo", dtype));
}

function typeOf(name: string, x: DType | NDArray): DType {
  return x instanceof NDArray ? x.dtype : checkDType(name, x);
}

/**
 * The dtype of an expression over arrays, dtypes and numbers under the promotion mode in force.
 *
 * @param args arrays, names of dtypes, and plain numbers, which are weak
 * @returns the dtype
 * @throws DTypePromotionError where the mode has no common dtype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.result_type("int8", tnp.ones([2], "float32"), 3)); // float32
 * ```
 * Source: numpy.result_type
 */
export function result_type(...args: readonly (DType | ArrayLike)[]): DType {
  if (args.length === 0) throw new TypeError("result_type: got no arguments, expected at least one array or dtype");
  const device = deviceOf(...args);
  return resultType(
    "result_type",
    args.map((x) => isDType(x) ? { dtype: x } : promotable(toOperand("result_type", x as ArrayLike, device))),
  );
}

/**
 * The smallest dtype to which two dtypes cast safely.
 *
 * @param type1 a dtype
 * @param type2 a dtype
 * @returns the dtype
 * @throws DTypePromotionError for pairs without one, such as bfloat16 and float16
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.promote_types("int16", "uint16")); // int32
 * ```
 * Source: numpy.promote_types
 */
export function promote_types(type1: DType, type2: DType): DType {
  return promoteTypes(checkDType("promote_types", type1), checkDType("promote_types", type2));
}

/**
 * Whether a dtype may be cast to another.
 *
 * @param from a dtype, or an array of it
 * @param to a dtype
 * @param casting `"no"`, `"equiv"`, `"safe"` (the default), `"same_kind"` or `"unsafe"`
 * @returns a JavaScript boolean
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.can_cast("int64", "float32"), tnp.can_cast("int64", "float32", "same_kind")); // false true
 * ```
 * Source: numpy.can_cast
 */
export function can_cast(
  from: DType | NDArray,
  to: DType,
  ...args: Args<[casting: Casting], { readonly casting?: Casting }>
): boolean {
  const { casting = "safe" } = keywords<{ casting?: Casting }>("can_cast", ["casting"], args);
  return canCast(typeOf("can_cast", from), checkDType("can_cast", to), casting);
}

/**
 * Whether a dtype or abstract type is, or lies below, another.
 *
 * @param arg1 a dtype or an abstract type such as `"floating"`
 * @param arg2 a dtype or an abstract type
 * @returns a JavaScript boolean
 * @throws TypeError for any other name
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.issubdtype("float32", tnp.floating), tnp.issubdtype("int8", "inexact")); // true false
 * ```
 * Source: numpy.issubdtype
 */
export function issubdtype(arg1: DType | ScalarKind, arg2: DType | ScalarKind): boolean {
  if (isDType(arg1)) return isSubdtype(arg1, arg2);
  if (typeof arg1 !== "string" || !Object.hasOwn(scalarKinds, arg1)) {
    throw new TypeError(`issubdtype: got ${describe(arg1)}, expected a dtype or an abstract type`);
  }
  if (isDType(arg2)) return false;
  if (typeof arg2 !== "string" || !Object.hasOwn(scalarKinds, arg2)) {
    throw new TypeError(`issubdtype: got ${describe(arg2)}, expected a dtype or an abstract type`);
  }
  return [...scalarKinds[arg1]].every((kind) => scalarKinds[arg2].includes(kind));
}

/** Keywords of `experimental_enable_numpy_behavior`. */
export interface BehaviorOptions {
  /** Whether plain fractional numbers stand for float32 instead of float64. */
  readonly prefer_float32?: boolean;
  /** How mixed dtypes meet. */
  readonly dtype_conversion_mode?: PromotionMode;
}

/**
 * Sets how mixed dtypes meet and what plain numbers become, for the whole process.
 *
 * Modes: `"legacy"` is NumPy's rule (the default here and there), `"all"` TensorFlow's lattice with weak types, `"safe"` the same without what may
 * lose bits, `"off"` no promotion at all. The modes hold for methods and functions alike.
 *
 * @param args `prefer_float32` (false), `dtype_conversion_mode` (`"legacy"`)
 * @throws TypeError for an unknown mode
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * tnp.experimental_enable_numpy_behavior({ dtype_conversion_mode: "all" });
 * console.log(tnp.add(tnp.ones([2], "int32"), tnp.ones([2], "float32")).dtype); // float32
 * tnp.experimental_enable_numpy_behavior();
 * ```
 * Source: tf.experimental.numpy.experimental_enable_numpy_behavior
 */
export function experimental_enable_numpy_behavior(
  ...args: Args<[prefer_float32: boolean, dtype_conversion_mode: PromotionMode], BehaviorOptions>
): void {
  const name = "experimental_enable_numpy_behavior";
  const { prefer_float32 = false, dtype_conversion_mode = "legacy" } = keywords<BehaviorOptions>(
    name,
    ["prefer_float32", "dtype_conversion_mode"],
    args,
  );
  if (typeof prefer_float32 !== "boolean") {
    throw new TypeError(`${name}: prefer_float32 must be a boolean, got ${describe(prefer_float32)}`);
  }
  within(name, () => setPromotion({ mode: dtype_conversion_mode, preferFloat32: prefer_float32 }));
}
