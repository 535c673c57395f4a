/**
 * Sorting by compiled C where that pays. The C is the same for every shape, so each dtype is compiled once.
 * @module
 */
import { addressOf, native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import { cSearch } from "../../kernels/preamble/search.ts";
import { cSort, cSortScratch, sortThreads } from "../../kernels/preamble/sort.ts";
import { cSortable } from "../../kernels/preamble/sort_keys.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { sizeOf } from "../base/shape.ts";
import type { HostBuffer } from "./arena.ts";
import type { Device } from "./device.ts";
import type { HostArray } from "./host.ts";
import type { NativeFunction } from "./native.ts";
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

const routines = new Map<string, NativeCode>();

function routine(name: string, source: () => string): NativeCode {
  let found = routines.get(name);
  if (found === undefined) routines.set(name, found = new NativeCode(name, source));
  return found;
}

/** Forgets what could not be compiled, so that it is tried again. */
export function forgetSorts(): void {
  routines.clear();
}

const addressIn = (x: HostArray): number => x.memory.address(addressOf) + x.offset * dtypeInfo(x.dtype).itemsize;

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

/** The argument block, longer when one call needs that. */
let block: { readonly words: BigInt64Array; readonly address: Address } | null = null;

function call(run: NativeFunction, numbers: readonly number[]): void {
  const recorder = recording();
  if (recorder !== null) {
    // It waits with a block of its own.
    const words = new BigInt64Array(new ArrayBuffer(8 * numbers.length));
    for (let i = 0; i < numbers.length; i++) words[i] = BigInt(numbers[i]!);
    return recorder.kernel(run, words);
  }
  if (block === null || block.words.length < numbers.length) {
    const words = new BigInt64Array(new ArrayBuffer(8 * Math.max(128, numbers.length)));
    block = { words, address: native(addressOf(words)) };
  }
  for (let i = 0; i < numbers.length; i++) block.words[i] = BigInt(numbers[i]!);
  run(block.address);
}

/** Threads for some elements. */
const threadsFor = (elements: number): number =>
  Math.max(1, Math.min(sortThreads, threadCount(), Math.floor(elements / SHARE)));

function sortCode(dtype: DType, positions: boolean): NativeCode {
  const form = dtype === "bool" ? "uint8" : dtype;
  return routine(`${positions ? "argsort" : "sort"} ${form}`, () => cSort(form, positions));
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
  const [sizes, x, y] = collapse(shape.slice(0, -1), input.strides, output.strides) as [number[], number[], number[]];
  const { bytes: stride, each } = cSortScratch(dtype, positions, n);
  const scratch = device.allocate(stride * (rows < threads && !each ? 1 : threads)) as HostBuffer;
  try {
    const at = scratch.memory.address(addressOf) + scratch.byteOffset;
    const along = [input.strides[axis]!, output.strides[axis]!];
    call(run, [
      ...[addressIn(input), addressIn(output), at, rows, n, ...along, threads, stride, sizes.length],
      ...[...sizes, ...x, ...y],
    ]);
  } finally {
    scratch.release();
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
  call(run, [
    ...[addressIn(sorted), addressIn(values), addressIn(output), n, sorted.strides[0]!, right ? 1 : 0, count],
    ...[Math.max(1, Math.min(threadCount(), Math.floor(steps / SHARE))), sizes.length],
    ...[...sizes, ...x, ...y],
  ]);
  return true;
}
