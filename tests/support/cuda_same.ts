/** Kernels made by hand on a GPU, against the same kernels in JavaScript. */
import assert from "node:assert/strict";
import type { Kernel } from "../../kernels/kernel.ts";
import { dtypes, type ScalarType, type TypedArray } from "../../src/base/dtype.ts";
import type { CudaDevice } from "../../src/device/cuda.ts";
import { runCuda } from "./cuda.ts";
import { isBlank } from "./suite.ts";
import { fill, memory, type Run, runJs } from "./kernels.ts";

/** Whole numbers up to 100, always the same. */
export function numbers(dtype: ScalarType, length: number, seed: number): TypedArray {
  let s = seed * 2654435761 >>> 0;
  const most = dtype === "bool" ? 2 : dtype === "float16" ? 60 : 100;
  const values = Array.from({ length }, () => {
    s = Math.imul(s, 1664525) + 1013904223 >>> 0;
    return Math.floor(s / 2 ** 32 * most);
  });
  if (dtype !== "float16") return fill(dtype, values);
  // Bits of small whole numbers as float16: exact.
  const bits = values.map((v) => {
    if (v === 0) return 0;
    const e = Math.floor(Math.log2(v));
    return (e + 15 << 10) + Math.round((v / 2 ** e - 1) * 1024);
  });
  const made = memory(dtype, length);
  new Uint16Array(made.buffer as ArrayBuffer, 0, length).set(bits);
  return made;
}

/** The bytes of an array. */
export function raw(m: TypedArray): Uint8Array {
  return new Uint8Array(m.buffer as ArrayBuffer, m.byteOffset, m.byteLength);
}

/** How far an array reaches that moves along these strides, in elements. */
export function extentOf(sizes: readonly number[], strides: readonly number[]): number {
  return sizes.reduce((sum, n, d) => sum + (n - 1) * Math.abs(strides[d]!), 1);
}

/** Strides of the dense array. */
export function dense(sizes: readonly number[]): number[] {
  return sizes.map((_, d) => sizes.slice(d + 1).reduce((x, y) => x * y, 1));
}

/** Bytes of the elements of arrays. */
export function bytesOf(arrays: readonly { readonly dtype: ScalarType; readonly components: 1 | 2 }[]): number {
  return arrays.reduce((sum, { dtype, components }) => sum + components * dtypes[dtype].itemsize, 0);
}

function copyOf(m: TypedArray): TypedArray {
  const made = new (m.constructor as typeof Uint8Array)(new ArrayBuffer(m.buffer.byteLength), 0, m.length);
  new Uint8Array(made.buffer).set(new Uint8Array(m.buffer as ArrayBuffer));
  return made as TypedArray;
}

/** The same bytes, unless kernels are still to be compiled; what differs is told without a look at all of them. */
export function alike(got: Uint8Array, want: Uint8Array, what: string): void {
  if (isBlank()) return;
  assert.equal(got.length, want.length, what);
  const at = got.findIndex((x, i) => x !== want[i]);
  assert.equal(at, -1, `${what}: byte ${at} is ${got[at]}, expected ${want[at]}`);
}

/** Both engines leave the same bytes, also around what they should write. */
export function same(device: CudaDevice, k: Kernel, run: Run, what: string): void {
  const there = { ...run, outputs: run.outputs.map((p) => ({ ...p, data: copyOf(p.data) })) };
  runJs(k, run);
  runCuda(device, k, there);
  run.outputs.forEach(({ data }, i) => alike(raw(there.outputs[i]!.data), raw(data), what));
}
