/**
 * Matrix products in JavaScript: every dtype, any strides; what serves where no library does, and for tiny ones.
 * @module
 */
import { type DType, dtypeInfo, type TypedArray } from "../base/dtype.ts";
import type { HostArray } from "./host.ts";

/** One matrix: a view with offset and strides in scalars. */
export interface Matrix {
  readonly x: TypedArray;
  readonly at: number;
  readonly row: number;
  readonly column: number;
}

/** Scratch for packed operands and sums, kept while it is small. */
const KEEP = 1 << 17;
const kept = [0, 1, 2].map(() => new Float64Array(new ArrayBuffer(8 * 1024)));

function scratch(i: number, length: number): Float64Array {
  let x = kept[i]!;
  if (x.length >= length) return x;
  x = new Float64Array(new ArrayBuffer(8 * Math.max(length, 2 * x.length)));
  if (length <= KEEP) kept[i] = x;
  return x;
}

const bits = new Uint32Array(new ArrayBuffer(4));
const float = new Float32Array(bits.buffer);

/** The number a bfloat16 bit pattern stands for. */
export function fromBfloat16(pattern: number): number {
  bits[0] = pattern << 16;
  return float[0]!;
}

/** The bfloat16 bit pattern nearest to a number, ties to even; rounds through float32 as NumPy's extension does. */
export function toBfloat16(value: number): number {
  float[0] = value;
  const b = bits[0]!;
  if ((b & 0x7fffffff) > 0x7f800000) return b >>> 16 & 0x8000 | 0x7fc0;
  return (b + 0x7fff + (b >>> 16 & 1)) >>> 16;
}

/** Copies a matrix into panels of `width` rows, element by element along the columns; rows past the end are zero. */
function pack(m: Matrix, rows: number, columns: number, width: number, bfloat16: boolean, out: Float64Array): void {
  const x = m.x as Float64Array;
  for (let r = 0; r < rows; r += width) {
    for (let w = 0; w < width; w++) {
      let to = r * columns + w;
      if (r + w >= rows) {
        for (let c = 0; c < columns; c++, to += width) out[to] = 0;
        continue;
      }
      let at = m.at + (r + w) * m.row;
      if (bfloat16) { for (let c = 0; c < columns; c++, to += width, at += m.column) out[to] = fromBfloat16(x[at]!); }
      else for (let c = 0; c < columns; c++, to += width, at += m.column) out[to] = x[at]!;
    }
  }
}

/** Adds `sign` times the product of packed operands to `sums` (rows padded to 2, columns to 4, row-major). */
function multiply(a: Float64Array, b: Float64Array, m: number, n: number, k: number, sign: number, sums: Float64Array) {
  const width = n + 3 & ~3;
  for (let j = 0; j < n; j += 4) {
    for (let i = 0; i < m; i += 2) {
      let p = i * k, q = j * k;
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      for (const end = p + 2 * k; p < end; p += 2, q += 4) {
        const a0 = a[p]!, a1 = a[p + 1]!;
        const b0 = b[q]!, b1 = b[q + 1]!, b2 = b[q + 2]!, b3 = b[q + 3]!;
        s00 += a0 * b0;
        s01 += a0 * b1;
        s02 += a0 * b2;
        s03 += a0 * b3;
        s10 += a1 * b0;
        s11 += a1 * b1;
        s12 += a1 * b2;
        s13 += a1 * b3;
      }
      const to = i * width + j, next = to + width;
      sums[to]! += sign * s00;
      sums[to + 1]! += sign * s01;
      sums[to + 2]! += sign * s02;
      sums[to + 3]! += sign * s03;
      sums[next]! += sign * s10;
      sums[next + 1]! += sign * s11;
      sums[next + 2]! += sign * s12;
      sums[next + 3]! += sign * s13;
    }
  }
}

function store(out: Matrix, m: number, n: number, width: number, dtype: DType, sums: Float64Array): void {
  const x = out.x as Float64Array, plain = dtype !== "bfloat16" && dtype !== "bool";
  for (let i = 0; i < m; i++) {
    let at = out.at + i * out.row;
    for (let j = 0; j < n; j++, at += out.column) {
      const value = sums[i * width + j]!;
      x[at] = plain ? value : dtype === "bfloat16" ? toBfloat16(value) : value === 0 ? 0 : 1;
    }
  }
}

/** A product with a vector, which reads a matrix once: the same sums without packing. */
function byVector(a: Matrix, b: Matrix, out: Matrix, m: number, n: number, k: number): void {
  const x = a.x as Float64Array, y = b.x as Float64Array, z = out.x as Float64Array;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let p = a.at + i * a.row, q = b.at + j * b.column, sum = 0;
      for (let t = 0; t < k; t++, p += a.column, q += b.row) sum += x[p]! * y[q]!;
      z[out.at + i * out.row + j * out.column] = sum;
    }
  }
}

/** Products whose sums float64 holds: all floating dtypes, and integers up to 16 bits (their sums are exact). */
function floating(a: Matrix, b: Matrix, out: Matrix, m: number, n: number, k: number, dtype: DType): void {
  const { components } = dtypeInfo(dtype);
  if ((m === 1 || n === 1) && components === 1 && dtype !== "bfloat16" && dtype !== "bool") {
    byVector(a, b, out, m, n, k);
    return;
  }
  const width = n + 3 & ~3, rows = m + 1 & ~1;
  const sums = scratch(2, rows * width);
  const left = scratch(0, rows * k), right = scratch(1, width * k);
  const bfloat16 = dtype === "bfloat16";
  const transposed = { x: b.x, at: b.at, row: b.column, column: b.row };
  if (components === 1) {
    pack(a, m, k, 2, bfloat16, left);
    pack(transposed, n, k, 4, bfloat16, right);
    sums.fill(0, 0, rows * width);
    multiply(left, right, m, n, k, 1, sums);
    store(out, m, n, width, dtype, sums);
    return;
  }
  // re = re re - im im, im = re im + im re
  for (let part = 0; part < 2; part++) {
    sums.fill(0, 0, rows * width);
    for (let of = 0; of < 2; of++) {
      pack({ ...a, at: a.at + of }, m, k, 2, false, left);
      pack({ ...transposed, at: b.at + (part ^ of) }, n, k, 4, false, right);
      multiply(left, right, m, n, k, part === 0 && of === 1 ? -1 : 1, sums);
    }
    store({ ...out, at: out.at + part }, m, n, width, dtype, sums);
  }
}

/** int32 and uint32: products and sums wrap. */
function wrapping(a: Matrix, b: Matrix, out: Matrix, m: number, n: number, k: number): void {
  const x = a.x as Int32Array, y = b.x as Int32Array, z = out.x as Int32Array;
  const column = new Int32Array(new ArrayBuffer(4 * k));
  for (let j = 0; j < n; j++) {
    for (let p = 0, q = b.at + j * b.column; p < k; p++, q += b.row) column[p] = y[q]!;
    for (let i = 0; i < m; i++) {
      let sum = 0;
      for (let p = 0, q = a.at + i * a.row; p < k; p++, q += a.column) sum = sum + Math.imul(x[q]!, column[p]!) | 0;
      z[out.at + i * out.row + j * out.column] = sum;
    }
  }
}

/** The largest magnitude in a matrix of 64-bit integers. */
function magnitude(a: Matrix, rows: number, columns: number): number {
  const x = a.x as BigInt64Array;
  let largest = 0;
  for (let i = 0; i < rows; i++) {
    for (let p = 0, q = a.at + i * a.row; p < columns; p++, q += a.column) {
      const v = Math.abs(Number(x[q]!));
      if (v > largest) largest = v;
    }
  }
  return largest;
}

function wide(a: Matrix, b: Matrix, out: Matrix, m: number, n: number, k: number): void {
  const x = a.x as BigInt64Array, y = b.x as BigInt64Array, z = out.x as BigInt64Array;
  if (magnitude(a, m, k) * magnitude(b, k, n) * k < 2 ** 53) {
    const numbers = (from: Matrix, rows: number, columns: number): Matrix => {
      const to = new Float64Array(new ArrayBuffer(8 * rows * columns));
      const v = from.x as BigInt64Array;
      for (let i = 0; i < rows; i++) {
        for (let p = 0; p < columns; p++) to[i * columns + p] = Number(v[from.at + i * from.row + p * from.column]!);
      }
      return { x: to, at: 0, row: columns, column: 1 };
    };
    const sums: Matrix = { x: new Float64Array(new ArrayBuffer(8 * m * n)), at: 0, row: n, column: 1 };
    floating(numbers(a, m, k), numbers(b, k, n), sums, m, n, k, "float64");
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        z[out.at + i * out.row + j * out.column] = BigInt(sums.x[i * n + j]!);
      }
    }
    return;
  }
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0n;
      let p = a.at + i * a.row, q = b.at + j * b.column;
      for (let t = 0; t < k; t++, p += a.column, q += b.row) sum += x[p]! * y[q]!;
      z[out.at + i * out.row + j * out.column] = sum;
    }
  }
}

/** A matrix of a stack: the last two axes of an array. */
export function matrixOf(x: HostArray, offset: number): Matrix {
  const { components } = dtypeInfo(x.dtype), rank = x.strides.length;
  return {
    x: x.memory.view(x.dtype),
    at: offset * components,
    row: x.strides[rank - 2]! * components,
    column: x.strides[rank - 1]! * components,
  };
}

/**
 * out = a @ b for one pair of matrices.
 *
 * @param a matrices of one dtype: `a` is [m, k], `b` [k, n], `out` [m, n]; only their last two strides are used
 * @param at the offsets, in elements, of the three matrices
 */
export function matmulJs(
  a: HostArray,
  b: HostArray,
  out: HostArray,
  m: number,
  n: number,
  k: number,
  at: readonly [number, number, number],
): void {
  const { dtype } = out;
  const { itemsize, kind } = dtypeInfo(dtype);
  const x = matrixOf(a, at[0]), y = matrixOf(b, at[1]), z = matrixOf(out, at[2]);
  if (kind === "f" || kind === "c" || itemsize < 4) floating(x, y, z, m, n, k, dtype);
  else if (itemsize === 4) wrapping(x, y, z, m, n, k);
  else wide(x, y, z, m, n, k);
}
