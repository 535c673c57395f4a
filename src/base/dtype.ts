/**
 * The dtypes of tnp. A dtype is its NumPy name; this table holds the facts about each.
 * @module
 */

/** Kinds as NumPy's `dtype.kind`: bool, signed, unsigned, float (with bfloat16), complex. */
export type Kind = "b" | "i" | "u" | "f" | "c";

/** Facts about one dtype. */
export interface DTypeInfo {
  readonly kind: Kind;
  /** Bytes of one element. */
  readonly itemsize: number;
  /** The dtype whose elements lie in memory: itself, or the real part's for complex (two a element: re, im). */
  readonly scalar: ScalarType;
  /** Scalars an element takes: 2 for complex, else 1. */
  readonly components: 1 | 2;
  /** A small number for keys and tables. */
  readonly code: number;
}

/** A dtype of one scalar: what kernels compute with (complex numbers are pairs of these). */
export type ScalarType =
  | "bool"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "float16"
  | "bfloat16"
  | "float32"
  | "float64";
/** A dtype: the name NumPy gives it. */
export type DType = ScalarType | "complex64" | "complex128";

const info = (
  code: number,
  kind: Kind,
  itemsize: number,
  scalar: ScalarType,
  components: 1 | 2,
): DTypeInfo => ({ code, kind, itemsize, scalar, components });

/** Every dtype, in NumPy's order of promotion within a kind. */
export const dtypes: Readonly<Record<DType, DTypeInfo>> = {
  bool: info(0, "b", 1, "bool", 1),
  int8: info(1, "i", 1, "int8", 1),
  int16: info(2, "i", 2, "int16", 1),
  int32: info(3, "i", 4, "int32", 1),
  int64: info(4, "i", 8, "int64", 1),
  uint8: info(5, "u", 1, "uint8", 1),
  uint16: info(6, "u", 2, "uint16", 1),
  uint32: info(7, "u", 4, "uint32", 1),
  uint64: info(8, "u", 8, "uint64", 1),
  float16: info(9, "f", 2, "float16", 1),
  bfloat16: info(10, "f", 2, "bfloat16", 1),
  float32: info(11, "f", 4, "float32", 1),
  float64: info(12, "f", 8, "float64", 1),
  complex64: info(13, "c", 8, "float32", 2),
  complex128: info(14, "c", 16, "float64", 2),
};

/** The dtypes of real and complex floating numbers: the ones that have gradients. */
export type InexactType = "float16" | "bfloat16" | "float32" | "float64" | "complex64" | "complex128";

/** All dtype names, ordered by their code. */
export const dtypeNames = Object.keys(dtypes) as DType[];

/** Facts about a dtype. */
export function dtypeInfo(dtype: DType): DTypeInfo {
  return dtypes[dtype];
}

/** Tells whether a value is the name of a dtype. */
export function isDType(value: unknown): value is DType {
  return typeof value === "string" && Object.hasOwn(dtypes, value);
}

/** Tells whether a dtype is (u)int of any width; bool is not. */
export function isInteger(dtype: DType): boolean {
  const k = dtypes[dtype].kind;
  return k === "i" || k === "u";
}

/** Tells whether a dtype is a real floating one. */
export function isFloat(dtype: DType): boolean {
  return dtypes[dtype].kind === "f";
}

/** Tells whether a dtype is complex. */
export function isComplex(dtype: DType): boolean {
  return dtypes[dtype].kind === "c";
}

/** Tells whether a dtype is floating or complex: only these carry gradients. */
export function isInexact(dtype: DType): dtype is InexactType {
  const k = dtypes[dtype].kind;
  return k === "f" || k === "c";
}

/** The dtype of the parts of a complex dtype; any other dtype is itself. */
export function realOf(dtype: DType): ScalarType {
  return dtypes[dtype].scalar;
}

/** The typed array that holds a scalar dtype in memory; bfloat16 is its bit pattern in a Uint16Array. */
export type TypedArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float16Array
  | Float32Array
  | Float64Array;

/** A constructor of one of the typed arrays, over an existing buffer. */
export interface TypedArrayConstructor {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): TypedArray;
}

/** The typed array constructor of each dtype's memory (complex: its scalar's, two a element). */
export const typedArrays: Readonly<Record<DType, TypedArrayConstructor>> = {
  bool: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float16: Float16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  complex64: Float32Array,
  complex128: Float64Array,
};
