/** Arrays on the CPU device for the tests of the device: with their scalars in reach, and matrix products to check. */
import assert from "node:assert/strict";
import type { Routine } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo, type TypedArray } from "../../src/base/dtype.ts";
import { contiguousStrides, sizeOf } from "../../src/base/shape.ts";
import { cpu } from "../../src/device/cpu.ts";
import type { ArrayArg } from "../../src/device/device.ts";

/** A sort of float64, for queues. */
export const sortRoutine: Routine = {
  key: "",
  name: "sort",
  dtypes: ["float64", "float64"],
  params: {},
  epilogue: null,
  comment: "",
};

export type Scalar = number | bigint;

/** An array on the CPU device, with its scalars in reach. */
export interface Held extends ArrayArg {
  readonly shape: readonly number[];
  get(at: number): Scalar;
}

export const isBig = (dtype: DType): boolean => dtype === "int64" || dtype === "uint64";

export const word = new Uint32Array(1), float = new Float32Array(word.buffer);

export function bfloat16(value: number): number {
  float[0] = value;
  return Number.isNaN(value) ? 0x7fc0 : word[0]! + 0x7fff + (word[0]! >>> 16 & 1) >>> 16;
}

export function fromBfloat16(bits: number): number {
  word[0] = bits << 16;
  return float[0]!;
}

/** An array of given scalars in memory order, under strides. */
export function hold(
  dtype: DType,
  scalars: readonly number[],
  shape: readonly number[],
  strides?: readonly number[],
): Held {
  const { scalar } = dtypeInfo(dtype);
  const buffer = cpu.allocate(Math.max(1, scalars.length) * dtypeInfo(scalar).itemsize);
  const view = buffer.memory.view(scalar) as unknown as { [i: number]: Scalar } & TypedArray;
  const base = buffer.byteOffset / dtypeInfo(scalar).itemsize;
  scalars.forEach((v, i) => {
    view[base + i] = isBig(dtype) ? BigInt(v) : dtype === "bfloat16" ? bfloat16(v) : v;
  });
  return {
    buffer,
    offset: 0,
    shape,
    strides: strides ?? contiguousStrides(shape),
    get: (at) => dtype === "bfloat16" ? fromBfloat16(Number(view[base + at])) : view[base + at]!,
  };
}

export const zeros = (dtype: DType, shape: readonly number[]): Held =>
  hold(dtype, new Array<number>(sizeOf(shape) * dtypeInfo(dtype).components).fill(0), shape);

/** A generator of small integers, the same every time. */
export function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

/** A stack of matrices of small integers, as it lies in memory. */
export function stack(
  dtype: DType,
  batch: readonly number[],
  rows: number,
  columns: number,
  transposed: boolean,
  repeated: boolean,
  random: (below: number) => number,
): Held {
  const { components, kind } = dtypeInfo(dtype);
  const one = rows * columns, count = repeated ? 1 : sizeOf(batch);
  const values = Array.from({ length: count * one * components }, () => {
    const r = random(17);
    return dtype === "bool" ? Number(r > 4) : kind === "u" ? r : r - 8;
  });
  const steps = contiguousStrides(batch).map((s) => repeated ? 0 : s * one);
  return hold(dtype, values, [...batch, rows, columns], [...steps, ...(transposed ? [1, rows] : [columns, 1])]);
}

export function offsetOf(x: Held, batchIndex: number, i: number, j: number): number {
  const rank = x.shape.length;
  let at = i * x.strides[rank - 2]! + j * x.strides[rank - 1]!;
  for (let d = rank - 3, rest = batchIndex; d >= 0; d--) {
    at += rest % x.shape[d]! * x.strides[d]!;
    rest = Math.floor(rest / x.shape[d]!);
  }
  return at;
}

/** The exact product, element by element; small integers are exact in every dtype. */
export function checkProduct(dtype: DType, a: Held, b: Held, out: Held): void {
  const { components } = dtypeInfo(dtype);
  const rank = out.shape.length, [m, n] = [out.shape[rank - 2]!, out.shape[rank - 1]!], k = a.shape.at(-1)!;
  for (let q = 0; q < sizeOf(out.shape.slice(0, -2)); q++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let re = 0, im = 0;
        for (let p = 0; p < k; p++) {
          const x = offsetOf(a, q, i, p) * components, y = offsetOf(b, q, p, j) * components;
          re += Number(a.get(x)) * Number(b.get(y));
          if (components === 1) continue;
          re -= Number(a.get(x + 1)) * Number(b.get(y + 1));
          im += Number(a.get(x)) * Number(b.get(y + 1)) + Number(a.get(x + 1)) * Number(b.get(y));
        }
        if (dtype === "bool") re = Math.min(re, 1);
        if (dtype === "int8") re = re << 24 >> 24;
        if (dtype === "uint8") re &= 255;
        if (dtype === "bfloat16") re = fromBfloat16(bfloat16(re));
        if (dtype === "float16") re = Math.f16round(re);
        const at = offsetOf(out, q, i, j) * components;
        const right = Number(out.get(at)) === re && (components === 1 || Number(out.get(at + 1)) === im);
        if (!right) {
          assert.fail(`${dtype} [${q}, ${i}, ${j}] of ${m} x ${k} x ${n}: got ${out.get(at)}, expected ${re}`);
        }
      }
    }
  }
}

export function matmul(dtype: DType, a: Held, b: Held, out: Held): void {
  const call = cpu.routine({
    key: `matmul ${dtype}`,
    name: "matmul",
    dtypes: [dtype, dtype, dtype],
    params: {},
    epilogue: null,
    comment: "a @ b",
  });
  call({ inputs: [a, b], output: out, operands: [], scalars: [] });
}
