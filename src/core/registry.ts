/**
 * The names of the primitives, what each is parameterised by, and the table of their records.
 *
 * The records are written in src/prims, which this file may not import; src/prims/mod.ts hands them over with `install`.
 * The table is typed over the names, so a record that is missing, or has other parameters, is a compile error.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import type { ScatterMode } from "../../kernels/kernel.ts";
import type { Aval, Primitive } from "./primitive.ts";

/** A plain number as a leaf of the graph. */
export type Scalar = number | bigint | boolean | { readonly re: number; readonly im: number };

/** Parameters of the reductions: axes counted from 0, rising. */
export interface ReduceParams {
  readonly axes: readonly number[];
}

/** Parameters of the running reductions; `reverse` starts at the end of the axis. */
export interface ScanParams {
  readonly axis: number;
  readonly reverse: boolean;
}

/** Parameters of `slice` and `pad`: element `i` of the small array is element `starts + i * steps` of the large one. */
export interface RegionParams {
  readonly starts: readonly number[];
  readonly shape: readonly number[];
  readonly steps: readonly number[];
}

/** Primitives of one input without parameters. */
export type UnaryName =
  | "neg"
  | "abs"
  | "sign"
  | "not"
  | "floor"
  | "ceil"
  | "trunc"
  | "rint"
  | "sqrt"
  | "cbrt"
  | "exp"
  | "exp2"
  | "expm1"
  | "log"
  | "log2"
  | "log10"
  | "log1p"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "erf"
  | "erfc"
  | "lgamma"
  | "isnan"
  | "isinf"
  | "isfinite"
  | "signbit"
  | "popcount"
  | "real"
  | "imag"
  | "conj"
  | "stop_gradient";

/** Primitives of two inputs without parameters. */
export type BinaryName =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "floordiv"
  | "mod"
  | "fmod"
  | "pow"
  | "atan2"
  | "hypot"
  | "copysign"
  | "nextafter"
  | "maximum"
  | "minimum"
  | "fmax"
  | "fmin"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr"
  | "gcd"
  | "less"
  | "less_equal"
  | "equal"
  | "not_equal"
  | "complex";

/** Reductions over axes. */
export type ReduceName = "sum" | "prod" | "max" | "min" | "any" | "all" | "argmax" | "argmin";

/** Running reductions along one axis. */
export type ScanName = "cumsum" | "cumprod" | "cummax" | "cummin";

/** What each primitive is parameterised by. */
export type PrimitiveParams =
  & { readonly [N in UnaryName | BinaryName | "where" | "sort" | "argsort" | "matmul"]: null }
  & { readonly [N in ReduceName]: ReduceParams }
  & { readonly [N in ScanName]: ScanParams }
  & {
    readonly scalar: { readonly value: Scalar; readonly dtype: DType };
    readonly iota: { readonly shape: readonly number[]; readonly axis: number; readonly dtype: DType };
    readonly placeholder: Aval;
    readonly cast: { readonly dtype: DType };
    readonly threefry: { readonly word: 0 | 1 };
    readonly reshape: { readonly shape: readonly number[] };
    readonly transpose: { readonly perm: readonly number[] };
    readonly broadcast: { readonly shape: readonly number[] };
    readonly slice: RegionParams;
    readonly pad: RegionParams;
    readonly concatenate: { readonly axis: number };
    readonly gather: { readonly axes: readonly number[] };
    readonly scatter: { readonly axes: readonly number[]; readonly mode: ScatterMode };
    readonly searchsorted: { readonly side: "left" | "right" };
  };

/** The name of a primitive. */
export type PrimitiveName = keyof PrimitiveParams;

/** A record for each name. */
export type Primitives = { readonly [N in PrimitiveName]: Primitive<PrimitiveParams[N]> };

/** The records by name; empty until src/prims/mod.ts is imported. */
export const prims: Primitives = {} as Primitives;

/** Fills the table; called once by src/prims/mod.ts. */
export function install(records: Primitives): void {
  Object.assign(prims, records);
}
