/**
 * The routines of a GPU: matrix products, sorting and searching.
 * @module
 */
import { renderSearch, renderSortMerge, renderSortTile, SORT_TILE } from "../../kernels/cuda.ts";
import type { Routine, RoutineName } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { contiguousStrides, isContiguous, sizeOf } from "../base/shape.ts";
import { cudaOf, CudaProgram, type Gpu } from "./cuda_kernel.ts";
import { matmul, type MatmulHost } from "./cuda_matmul.ts";
import type { CudaBuffer } from "./cuda_memory.ts";
import type { ArrayArg, Buffer, Call, Callable } from "./device.ts";
import { convert, densify } from "./epilogue.ts";

/** What the routines need besides a GPU. */
export type RoutineHost = MatmulHost;

const addressOf = (gpu: Gpu, arg: ArrayArg, dtype: DType) =>
  cudaOf(arg.buffer, gpu).address + arg.offset * dtypeInfo(dtype).itemsize;

// Sorting

/** Sorts rows of dense values; with `order` the positions they had as well. */
export function sortRows(
  gpu: RoutineHost,
  dtype: DType,
  rows: number,
  n: number,
  x: number,
  values: CudaBuffer,
  order: CudaBuffer | null,
): void {
  const positions = order !== null, total = rows * n;
  if (total === 0) return;
  if (n > 0xffffffff) throw new DeviceError(`sort: got rows of ${n}, expected fewer than 2^32`);
  const tiles = Math.ceil(n / SORT_TILE), passes = Math.ceil(Math.log2(tiles));
  const { itemsize } = dtypeInfo(dtype);
  const spare: CudaBuffer[] = [];
  try {
    const other = { values: 0, order: 0 }, own = { values: values.address, order: order?.address ?? 0 };
    if (passes > 0) {
      spare.push(gpu.allocate(total * itemsize));
      other.values = spare[0]!.address;
      if (positions) {
        spare.push(gpu.allocate(total * 4));
        other.order = spare[1]!.address;
      }
    }
    // Passes alternate between two places such that the last one ends in the right one.
    let from = passes % 2 === 0 ? own : other, to = passes % 2 === 0 ? other : own;
    const key = `${dtype} ${positions}`;
    const tile = gpu.program(`sort ${key}`, () => new CudaProgram(gpu, renderSortTile(dtype, positions), 0));
    tile.set("n", n);
    tile.set("rows", rows);
    tile.set("tiles", tiles);
    tile.set("x", x);
    tile.set("values", from.values);
    tile.set("order", from.order);
    tile.launch(rows * tiles, 1);
    for (let width = SORT_TILE; width < n; width *= 2) {
      const merge = gpu.program(`merge ${key}`, () => new CudaProgram(gpu, renderSortMerge(dtype, positions), 0));
      merge.set("n", n);
      merge.set("count", total);
      merge.set("width", width);
      merge.set("x", from.values);
      merge.set("from", from.order);
      merge.set("y", to.values);
      merge.set("to", to.order);
      merge.launch(total);
      [from, to] = [to, from];
    }
  } finally {
    for (const buffer of spare) buffer.release();
  }
}

/** An array in C order: itself, or a dense copy that is added to `copies`. */
function dense(gpu: Gpu, arg: ArrayArg, dtype: DType, copies: Buffer[]): ArrayArg {
  if (isContiguous(arg.shape!, arg.strides)) return arg;
  const copy = densify(gpu, arg, dtype, dtype);
  copies.push(copy.buffer);
  return copy;
}

/** Runs `fill` on a dense array, which is the output or is copied there. */
function intoDense(gpu: Gpu, output: ArrayArg, dtype: DType, from: DType, fill: (buffer: CudaBuffer) => void): void {
  const shape = output.shape!;
  const buffer = gpu.allocate(sizeOf(shape) * dtypeInfo(from).itemsize);
  try {
    fill(buffer);
    convert(gpu, { buffer, offset: 0, shape, strides: contiguousStrides(shape) }, from, output, dtype);
  } finally {
    buffer.release();
  }
}

function sorted(gpu: RoutineHost, dtype: DType, { inputs, output }: Call, positions: boolean): void {
  const shape = output.shape!, n = shape.at(-1)!, rows = n === 0 ? 0 : sizeOf(shape) / n;
  if (rows === 0) return;
  const copies: Buffer[] = [];
  try {
    const x = dense(gpu, inputs[0]!, dtype, copies);
    const sort = (values: CudaBuffer, order: CudaBuffer | null) =>
      sortRows(gpu, dtype, rows, n, addressOf(gpu, x, dtype), values, order);
    if (!positions) return intoDense(gpu, output, dtype, dtype, (buffer) => sort(buffer, null));
    const values = gpu.allocate(rows * n * dtypeInfo(dtype).itemsize);
    copies.push(values);
    intoDense(gpu, output, "int64", "uint32", (buffer) => sort(values, buffer));
  } finally {
    for (const buffer of copies) buffer.release();
  }
}

function search(gpu: RoutineHost, routine: Routine, { inputs, output }: Call): void {
  const dtype = routine.dtypes[0] as DType, right = routine.params["side"] === "right";
  const copies: Buffer[] = [];
  try {
    const table = dense(gpu, inputs[0]!, dtype, copies), wanted = dense(gpu, inputs[1]!, dtype, copies);
    intoDense(gpu, output, "int64", "int64", (buffer) => {
      const key = `search ${dtype} ${right}`;
      const program = gpu.program(key, () => new CudaProgram(gpu, renderSearch(dtype, right), 0));
      const count = sizeOf(output.shape!);
      program.set("n", table.shape![0]!);
      program.set("count", count);
      program.set("sorted", addressOf(gpu, table, dtype));
      program.set("x", addressOf(gpu, wanted, dtype));
      program.set("y", buffer.address);
      program.launch(count);
    });
  } finally {
    for (const buffer of copies) buffer.release();
  }
}

/** Without epilogue: these are not followed by one. */
function plain(routine: Routine, callable: Callable): Callable {
  if (routine.epilogue !== null) throw new DeviceError(`${routine.name}: got an epilogue, expected none`);
  return callable;
}

const makers = {
  matmul,
  sort: (gpu, routine) => plain(routine, (call) => sorted(gpu, routine.dtypes[0] as DType, call, false)),
  argsort: (gpu, routine) => plain(routine, (call) => sorted(gpu, routine.dtypes[0] as DType, call, true)),
  searchsorted: (gpu, routine) => plain(routine, (call) => search(gpu, routine, call)),
} as const satisfies Record<RoutineName, (gpu: RoutineHost, routine: Routine) => Callable>;

/** The callable of a routine. */
export function cudaRoutine(gpu: RoutineHost, routine: Routine): Callable {
  return makers[routine.name](gpu, routine);
}
