/**
 * Sorting by compiled C where that pays. The C is the same for every shape, so each dtype is compiled once.
 * @module
 */
import { addressOf } from "../../ffi/mem.ts";
import { cSearch } from "../../kernels/preamble/search.ts";
import { cSort, cSortScratch, sortThreads } from "../../kernels/preamble/sort.ts";
import { cSortable } from "../../kernels/preamble/sort_keys.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { sizeOf } from "../base/shape.ts";
import type { HostBuffer } from "./arena.ts";
import type { Device } from "./device.ts";
import type { HostArray } from "./host.ts";
import { callNative } from "./native_call.ts";
import { NativeCode } from "./native_code.ts";
import { recording } from "./native_thread.ts";
import { threadCount } from "./threads.ts";

/** Up to this many elements JavaScript takes no longer than the call. */
const FEW = 32;
/** Nanoseconds JavaScript takes for an element of a sort, and for a step of a search. */
const SORT_COST = 60;
const SEARCH_COST = 8;
/** Elements a thread should get. */
const SHARE = 16384;

/** Compiling a sort takes so many times as long as compiling a kernel. */
const WEIGHT = 5;

const routines = new Map<string, NativeCode>();

function routine(name: string, text: () => string, weight = 1): NativeCode {
  let found = routines.get(name);
  if (found === undefined) routines.set(name, found = new NativeCode(name, { key: name, text, weight }));
  return found;
}

/** Forgets what could not be compiled, so that it is tried again. */
export function forgetSorts(): void {
  for (const codes of [routines, sorts, argsorts]) codes.clear();
}

const addressIn = (x: HostArray): number => x.memory.address(addressOf) + x.offset * dtypeInfo(x.dtype).itemsize;

/** The axes of one row. */
const one: readonly (readonly number[])[] = [[], [], []];

/** Axes of two arrays as few as possible. */
function collapse(shape: readonly number[], a: readonly number[], b: readonly number[]): number[][] {
  const sizes: number[] = [], x: number[] = [], y: number[] = [];
  shape.forEach((size, d) => {
    if (size === 1) return;
    const last = sizes.length - 1;
    if (last >= 0 && x[last] === a[d]! * size && y[last] === b[d]! * size) {
      sizes[last]! *= size;
      x[last] = a[d]!;
      y[last] = b[d]!;
      return;
    }
    sizes.push(size);
    x.push(a[d]!);
    y.push(b[d]!);
  });
  return [sizes, x, y];
}

/** Scratch memory up to this size is kept from sort to sort, so that it stays in the cache. */
const KEPT = 65536;
let kept: { readonly bytes: Uint8Array; readonly address: number } | null = null;

/** The address of the memory that is kept, at the start of a line. */
function keptScratch(): number {
  if (kept === null) {
    const bytes = new Uint8Array(new ArrayBuffer(KEPT + 64));
    kept = { bytes, address: Math.ceil(addressOf(bytes) / 64) * 64 };
  }
  return kept.address;
}

/** Threads for some elements. */
const threadsFor = (elements: number): number =>
  Math.max(1, Math.min(sortThreads, threadCount(), Math.floor(elements / SHARE)));

const sorts = new Map<DType, NativeCode>(), argsorts = new Map<DType, NativeCode>();

function sortCode(dtype: DType, positions: boolean): NativeCode {
  const codes = positions ? argsorts : sorts;
  let code = codes.get(dtype);
  if (code === undefined) {
    const form = dtype === "bool" ? "uint8" : dtype;
    code = routine(`${positions ? "argsort" : "sort"} ${form}`, () => cSort(form, positions), WEIGHT);
    codes.set(dtype, code);
  }
  return code;
}

function searchCode(dtype: DType): NativeCode {
  const form = dtype === "bool" ? "uint8" : dtype;
  return routine(`searchsorted ${form}`, () => cSearch(form));
}

function isSortable(dtype: DType, shape: readonly number[]): boolean {
  return cSortable(dtype) && sizeOf(shape) > FEW && shape.at(-1)! <= 0xffffffff;
}

/** Elementary steps of a search. */
const searchSteps = (n: number, values: readonly number[]): number => sizeOf(values) * (Math.log2(n + 1) + 2);

/** Whether compiled code will sort, for a reader that awaits it: undefined while that is being made. */
export function sortsNative(dtype: DType, shape: readonly number[], positions: boolean): boolean | undefined {
  if (!isSortable(dtype, shape)) return false;
  const run = sortCode(dtype, positions).getSoon(sizeOf(shape) * SORT_COST, true);
  return run === undefined ? undefined : run !== null;
}

/** The same of a search for values of a shape among `n`. */
export function searchesNative(dtype: DType, n: number, values: readonly number[]): boolean | undefined {
  const steps = searchSteps(n, values);
  if (!cSortable(dtype) || steps <= FEW) return false;
  const run = searchCode(dtype).getSoon(steps * SEARCH_COST, true);
  return run === undefined ? undefined : run !== null;
}

/**
 * Sorts rows along the last axis, stable, in compiled code.
 *
 * @param positions the output (int64) gets where each value stood
 * @returns false where JavaScript is to do it
 */
export function sortRowsNative(device: Device, input: HostArray, output: HostArray, positions: boolean): boolean {
  const { dtype, shape } = input;
  if (!isSortable(dtype, shape)) return false;
  const axis = shape.length - 1, n = shape[axis]!, total = sizeOf(shape);
  const run = sortCode(dtype, positions).get(total * SORT_COST);
  if (run === null) return false;
  const rows = total / n, threads = threadsFor(total);
  const outer = axis === 0 ? one : collapse(shape.slice(0, -1), input.strides, output.strides);
  const { bytes: stride, each } = cSortScratch(dtype, positions, n);
  const bytes = stride * (rows < threads && !each ? 1 : threads);
  const scratch = bytes <= KEPT && recording() === null ? null : device.allocate(bytes) as HostBuffer;
  try {
    const at = scratch === null ? keptScratch() : scratch.memory.address(addressOf) + scratch.byteOffset;
    const numbers = [
      ...[addressIn(input), addressIn(output), at, rows, n, input.strides[axis]!, output.strides[axis]!],
      ...[threads, stride, outer[0]!.length],
    ];
    for (const list of outer) for (const v of list) numbers.push(v);
    callNative(run, numbers);
  } finally {
    scratch?.release();
  }
  return true;
}

/**
 * Finds places in a sorted vector (int64), in compiled code.
 *
 * @returns false where JavaScript is to do it
 */
export function searchSortedNative(sorted: HostArray, values: HostArray, output: HostArray, right: boolean): boolean {
  const { dtype } = sorted, n = sorted.shape[0]!, count = sizeOf(values.shape);
  const steps = searchSteps(n, values.shape);
  if (!cSortable(dtype) || steps <= FEW) return false;
  const run = searchCode(dtype).get(steps * SEARCH_COST);
  if (run === null) return false;
  const [sizes, x, y] = collapse(values.shape, values.strides, output.strides) as [number[], number[], number[]];
  // One axis at least.
  if (sizes.length === 0) { for (const list of [sizes, x, y]) list.push(1); }
  callNative(run, [
    ...[addressIn(sorted), addressIn(values), addressIn(output), n, sorted.strides[0]!, right ? 1 : 0, count],
    ...[Math.max(1, Math.min(threadCount(), Math.floor(steps / SHARE))), sizes.length],
    ...[...sizes, ...x, ...y],
  ]);
  return true;
}
