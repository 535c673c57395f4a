/**
 * Sorting and searching on a GPU: short rows by merging, long ones by counting digits.
 * @module
 */
import {
  type CudaSource,
  RADIX_BITS,
  radixPays,
  radixTile,
  renderRadixCount,
  renderRadixMove,
  renderRadixOffsets,
  renderSearch,
  renderSortMerge,
  renderSortTile,
  SORT_TILE,
} from "../../kernels/cuda.ts";
import type { Routine } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { contiguousStrides, isContiguous, sizeOf } from "../base/shape.ts";
import { addressOf, CudaProgram, type Gpu, type SortRows } from "./cuda_kernel.ts";
import type { ArrayArg, Buffer, Call } from "./device.ts";
import { convert, densify } from "./epilogue.ts";

/** Chunks that keep a GPU busy: blocks of the passes of a radix sort. */
const CHUNKS = 1024;

/** A static kernel with its arguments filled in. */
function prepared(
  gpu: Gpu,
  key: string,
  render: () => CudaSource,
  values: Readonly<Record<string, number>>,
): CudaProgram {
  const program = gpu.program(key, () => new CudaProgram(gpu, render(), 0));
  for (const [name, value] of Object.entries(values)) program.set(name, value);
  return program;
}

/** Temporaries that are given back in stream order. */
class Scratch implements Disposable {
  readonly #gpu: Gpu;
  readonly #buffers: Buffer[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** The address of so many bytes. */
  take(byteLength: number): number {
    const buffer = this.#gpu.allocate(byteLength);
    this.#buffers.push(buffer);
    return buffer.address;
  }

  /** A dense copy of an array. */
  copy(arg: ArrayArg, dtype: DType): ArrayArg {
    const copy = densify(this.#gpu, arg, dtype, dtype);
    this.#buffers.push(copy.buffer);
    return copy;
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers) buffer.release();
  }
}

/** Sorts rows of dense values, stably; `values` or `order` or both get the result. */
export function sortRows(gpu: Gpu, sort: SortRows): void {
  const { dtype, rows, n } = sort;
  if (rows * n === 0) return;
  if (n > 0xffffffff) throw new DeviceError(`sort: got rows of ${n}, expected fewer than 2^32`);
  using scratch = new Scratch(gpu);
  if (radixPays(dtype, n)) radixSort(gpu, scratch, sort);
  else mergeSort(gpu, scratch, sort);
}

/** Where the passes of a sort write to: the last one to the result, those before to two places in turn. */
function targets(passes: number, last: number, byteLength: number, scratch: Scratch): number[] {
  const spare = last === 0 ? [] : [last];
  while (spare.length < Math.min(2, passes - (last === 0 ? 1 : 0))) spare.push(scratch.take(byteLength));
  // Counted from the last pass: every other one goes to the result.
  return Array.from({ length: passes }, (_, i) => {
    const left = passes - 1 - i;
    return last === 0 && left === 0 ? 0 : spare[left % 2 === 0 || spare.length === 1 ? 0 : 1]!;
  });
}

function radixSort(gpu: Gpu, scratch: Scratch, { dtype, rows, n, x, values, order, bits }: SortRows): void {
  const { itemsize } = dtypeInfo(dtype), total = rows * n, positions = order !== 0;
  const width = Math.min(bits ?? 64, dtype === "bool" ? 1 : 8 * itemsize);
  const passes = Math.max(1, Math.ceil(width / RADIX_BITS));
  const tile = radixTile(dtype), tiles = Math.ceil(n / tile);
  const length = Math.ceil(tiles / Math.min(tiles, Math.ceil(CHUNKS / rows))) * tile, chunks = Math.ceil(n / length);
  const counts = scratch.take(rows * 256 * chunks * 4), totals = scratch.take(rows * 256 * 4);
  const places = targets(passes, values, total * itemsize, scratch);
  const orders = positions ? targets(passes, order, total * 4, scratch) : [];
  let from = x;
  for (let pass = 0; pass < passes; pass++) {
    const cut = { n, rows, chunks, length, shift: pass * RADIX_BITS, x: from };
    prepared(gpu, `radix count ${dtype}`, () => renderRadixCount(dtype), { ...cut, counts }).launch(rows * chunks, 1);
    prepared(gpu, "radix offsets", renderRadixOffsets, { rows, chunks, counts, totals }).launch(rows * 256, 8);
    prepared(gpu, `radix move ${dtype} ${positions}`, () => renderRadixMove(dtype, positions), {
      ...cut,
      y: places[pass]!,
      ...(positions ? { from: orders[pass - 1] ?? 0, to: orders[pass]! } : {}),
      counts,
      totals,
    }).launch(rows * chunks, 1);
    from = places[pass]!;
  }
}

function mergeSort(gpu: Gpu, scratch: Scratch, { dtype, rows, n, x, values, order }: SortRows): void {
  const { itemsize } = dtypeInfo(dtype), total = rows * n, positions = order !== 0;
  const tiles = Math.ceil(n / SORT_TILE), passes = 1 + Math.ceil(Math.log2(tiles));
  const places = targets(passes, values === 0 ? scratch.take(total * itemsize) : values, total * itemsize, scratch);
  const orders = positions ? targets(passes, order, total * 4, scratch) : [];
  const tile = { n, rows, tiles, x, values: places[0]!, order: orders[0] ?? 0 };
  prepared(gpu, `sort ${dtype} ${positions}`, () => renderSortTile(dtype, positions), tile).launch(rows * tiles, 1);
  const wide = total >= 2 ** 30;
  for (let pass = 1; pass < passes; pass++) {
    prepared(gpu, `merge ${dtype} ${positions} ${wide}`, () => renderSortMerge(dtype, positions, wide), {
      n,
      count: total,
      width: SORT_TILE * 2 ** (pass - 1),
      x: places[pass - 1]!,
      from: orders[pass - 1] ?? 0,
      y: places[pass]!,
      to: orders[pass] ?? 0,
    }).launch(total);
  }
}

/** An array in C order: itself, or a dense copy. */
function dense(arg: ArrayArg, dtype: DType, scratch: Scratch): ArrayArg {
  return isContiguous(arg.shape!, arg.strides) ? arg : scratch.copy(arg, dtype);
}

/** Runs `fill` on the address of a dense array of a dtype: the output, or one that is copied there. */
function intoDense(
  gpu: Gpu,
  output: ArrayArg,
  dtype: DType,
  from: DType,
  apart: boolean,
  fill: (address: number) => void,
): void {
  const shape = output.shape!;
  if (apart && dtype === from && isContiguous(shape, output.strides)) return fill(addressOf(gpu, output, dtype));
  const buffer = gpu.allocate(sizeOf(shape) * dtypeInfo(from).itemsize);
  try {
    fill(buffer.address);
    convert(gpu, { buffer, offset: 0, shape, strides: contiguousStrides(shape) }, from, output, dtype);
  } finally {
    buffer.release();
  }
}

/** Sorts along the last axis: values, or positions as int64. */
export function sorted(gpu: Gpu, dtype: DType, { inputs, output }: Call, positions: boolean): void {
  const shape = output.shape!, n = shape.at(-1)!, rows = n === 0 ? 0 : sizeOf(shape) / n;
  if (rows === 0) return;
  using scratch = new Scratch(gpu);
  const x = addressOf(gpu, dense(inputs[0]!, dtype, scratch), dtype);
  if (positions) {
    intoDense(gpu, output, "int64", "uint32", true, (order) => sortRows(gpu, { dtype, rows, n, x, values: 0, order }));
    return;
  }
  const size = rows * n * dtypeInfo(dtype).itemsize, out = addressOf(gpu, output, dtype);
  const apart = x + size <= out || out + size <= x;
  intoDense(gpu, output, dtype, dtype, apart, (values) => sortRows(gpu, { dtype, rows, n, x, values, order: 0 }));
}

/** Looks values up in a sorted vector. */
export function search(gpu: Gpu, routine: Routine, { inputs, output }: Call): void {
  const dtype = routine.dtypes[0] as DType, right = routine.params["side"] === "right";
  using scratch = new Scratch(gpu);
  const table = dense(inputs[0]!, dtype, scratch), wanted = dense(inputs[1]!, dtype, scratch);
  const count = sizeOf(output.shape!);
  intoDense(gpu, output, "int64", "int64", false, (y) => {
    prepared(gpu, `search ${dtype} ${right}`, () => renderSearch(dtype, right), {
      n: table.shape![0]!,
      count,
      sorted: addressOf(gpu, table, dtype),
      x: addressOf(gpu, wanted, dtype),
      y,
    }).launch(count);
  });
}
