/**
 * Elements between memory and JavaScript values.
 * @module
 */
import { type DType, type TypedArray, typedArrays } from "./dtype.ts";

/** A complex number as a JavaScript value. */
export interface Complex {
  /** The real part. */
  readonly re: number;
  /** The imaginary part. */
  readonly im: number;
}

/** One element as a JavaScript value; a bigint only for 64-bit integers beyond 2^53. */
export type Scalar = number | bigint | boolean | Complex;

/** Nested lists of elements, one level an axis. */
export type Nested = Scalar | Nested[];

/** The typed array in which a dtype is read: bits for bfloat16, re and im interleaved for complex. */
export type DataOf<D extends DType> = D extends "int8" ? Int8Array
  : D extends "int16" ? Int16Array
  : D extends "int32" ? Int32Array
  : D extends "int64" ? BigInt64Array
  : D extends "bool" | "uint8" ? Uint8Array
  : D extends "uint16" | "bfloat16" ? Uint16Array
  : D extends "uint32" ? Uint32Array
  : D extends "uint64" ? BigUint64Array
  : D extends "float16" ? Float16Array
  : D extends "float32" | "complex64" ? Float32Array
  : Float64Array;

/** Contiguous bytes as the dtype's typed array; shares memory where alignment allows. */
export function asElements(bytes: Uint8Array<ArrayBuffer>, dtype: DType): TypedArray {
  const type = typedArrays[dtype];
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  return new type(aligned.buffer, aligned.byteOffset, aligned.byteLength / type.BYTES_PER_ELEMENT);
}

const word = new Uint32Array(1);
const real = new Float32Array(word.buffer);

/** The number with these bfloat16 bits. */
export function fromBfloat16(bits: number): number {
  word[0] = bits << 16;
  return real[0]!;
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Element `i` of a dtype's typed array as a JavaScript value. */
export function elementAt(data: TypedArray, dtype: DType, i: number): Scalar {
  switch (dtype) {
    case "bool":
      return data[i] !== 0;
    case "int64":
    case "uint64":
      return narrow(data[i] as bigint);
    case "bfloat16":
      return fromBfloat16(data[i] as number);
    case "complex64":
    case "complex128":
      return { re: data[2 * i] as number, im: data[2 * i + 1] as number };
    default:
      return data[i] as number;
  }
}

/** Elements in C order, from `first` on, as nested lists; one value for a 0-d array. */
export function asNested(data: TypedArray, dtype: DType, shape: readonly number[], first: number): Nested {
  let next = first;
  const level = (axis: number): Nested => {
    if (axis === shape.length) return elementAt(data, dtype, next++);
    const out = new Array<Nested>(shape[axis]!);
    for (let i = 0; i < out.length; i++) out[i] = level(axis + 1);
    return out;
  };
  return level(0);
}

/** The bfloat16 bits nearest to a number, halves to even. */
export function toBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  real[0] = value;
  const inexact = real[0] !== value && Number.isFinite(real[0]);
  // What float32 cannot hold is cut off and marked in the last bit, so that only one rounding happens.
  if (inexact && Math.abs(real[0]) > Math.abs(value)) word[0]!--;
  const bits = inexact ? word[0]! | 1 : word[0]!;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
