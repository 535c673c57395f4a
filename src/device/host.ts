/**
 * Strided arrays in host memory as the CPU's routines see them.
 * @module
 */
import { addressOf } from "../../ffi/mem.ts";
import { type DType, dtypeInfo, type TypedArray } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import { HostBuffer, type HostMemory } from "./arena.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import type { ArrayArg, Buffer, Call, Callable, Device, Launch } from "./device.ts";

/** What routines need of the CPU device. */
export interface Host extends Device {
  /** A generated kernel that can also be asked to run only where compiled code pays; `ns` is what the other way would cost. */
  runner(kernel: Kernel): {
    tryNative(launch: Launch, ns: number): boolean;
    /** Whether compiled code would run a launch that a reader awaits: undefined while that is being made. */
    native(launch: Launch, urgent?: boolean): boolean | undefined;
  };
}

/** A routine of the CPU. */
export interface RoutineRunner {
  readonly run: Callable;
  /** Whether native code would do a call that a reader awaits: undefined while that is being made. */
  native(call: Call, urgent: boolean): boolean | undefined;
}

/** An array in host memory; offset and strides in elements from the start of the memory. */
export interface HostArray {
  readonly memory: HostMemory;
  readonly dtype: DType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** The host buffer behind a buffer. @throws DeviceError for one of another device */
export function hostOf(buffer: Buffer): HostBuffer {
  if (buffer instanceof HostBuffer) return buffer;
  throw new DeviceError(`buffer: got memory of ${buffer.device.name}, expected host memory`);
}

/** The native address of an argument's first element; its memory must stay referenced while native code uses it. */
export function addressIn({ buffer, offset }: ArrayArg, itemsize: number): number {
  const host = hostOf(buffer);
  return host.memory.address(addressOf) + host.byteOffset + offset * itemsize;
}

/** An argument of a routine with its memory. */
export function hostArray(arg: ArrayArg, dtype: DType): HostArray {
  const buffer = hostOf(arg.buffer);
  const { itemsize } = dtypeInfo(dtype);
  const shape = arg.shape ?? [];
  return {
    memory: buffer.memory,
    dtype,
    offset: arg.offset + buffer.byteOffset / itemsize,
    shape,
    strides: arg.strides,
  };
}

/**
 * Visits every index of a shape in row-major order with the offsets of two arrays.
 *
 * @param a strides of the first array, aligned to the last axes of the shape
 * @param b strides of the second one
 */
export function forEachOffset(
  shape: readonly number[],
  a: readonly number[],
  b: readonly number[],
  visit: (a: number, b: number) => void,
): void {
  const rank = shape.length, total = sizeOf(shape);
  const index = new Array<number>(rank).fill(0);
  let x = 0, y = 0;
  for (let i = 0; i < total; i++) {
    visit(x, y);
    for (let d = rank - 1; d >= 0; d--) {
      x += a[d]!;
      y += b[d]!;
      if (++index[d]! < shape[d]!) break;
      x -= a[d]! * shape[d]!;
      y -= b[d]! * shape[d]!;
      index[d] = 0;
    }
  }
}

/** Copies elements between arrays of one dtype and shape, whatever their strides. */
export function copyArray(from: HostArray, to: HostArray): void {
  const { components } = dtypeInfo(from.dtype);
  const source = from.memory.view(from.dtype), target = to.memory.view(to.dtype);
  const rank = from.shape.length;
  const n = rank === 0 ? 1 : from.shape[rank - 1]!;
  const sx = (rank === 0 ? 0 : from.strides[rank - 1]!) * components;
  const sy = (rank === 0 ? 0 : to.strides[rank - 1]!) * components;
  forEachOffset(from.shape.slice(0, -1), from.strides.slice(0, -1), to.strides.slice(0, -1), (a, b) => {
    copyRow(source, (from.offset + a) * components, sx, target, (to.offset + b) * components, sy, n, components);
  });
}

function copyRow(
  source: TypedArray,
  x: number,
  sx: number,
  target: TypedArray,
  y: number,
  sy: number,
  n: number,
  components: number,
): void {
  for (let i = 0; i < n; i++, x += sx, y += sy) {
    for (let c = 0; c < components; c++) target[y + c] = source[x + c]!;
  }
}
