/**
 * The routines of a GPU: matrix products by cuBLAS or a generated kernel, sorting and searching by kernels.
 * @module
 */
import { native } from "../../ffi/mem.ts";
import { type BlasDType, type BlasMatrix, type Cublas, cudaType } from "../../ffi/cublas.ts";
import { renderMatmul, renderSearch, renderSortMerge, renderSortTile, SORT_TILE } from "../../kernels/cuda.ts";
import type { Routine, RoutineName } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { contiguousStrides, isContiguous, sizeOf } from "../base/shape.ts";
import { cudaOf, CudaProgram, type Gpu } from "./cuda_kernel.ts";
import type { CudaBuffer } from "./cuda_memory.ts";
import type { ArrayArg, Buffer, Call, Callable } from "./device.ts";
import { convert, densify, EpilogueRunner, temporary } from "./epilogue.ts";
import { forEachBatch, layoutOf, type Matrix, type Problem, problemOf } from "./matmul_problem.ts";

/** What the routines need besides a GPU. */
export interface RoutineHost extends Gpu {
  /** cuBLAS, or null where it is missing. */
  readonly cublas: Cublas | null;
  /** Whether float32 products may round their inputs to TF32. */
  readonly tf32: boolean;
  /** A static kernel, made once a key. */
  program(key: string, make: () => CudaProgram): CudaProgram;
}

const addressOf = (gpu: Gpu, arg: ArrayArg, dtype: DType) =>
  cudaOf(arg.buffer, gpu).address + arg.offset * dtypeInfo(dtype).itemsize;

// Matrix products

/** Multiplies by cuBLAS; false where a matrix lies in a way that it cannot take. */
function multiplyBlas(gpu: RoutineHost, blas: Cublas, dtype: BlasDType, p: Problem): boolean {
  const x = layoutOf(p.a, p.m, p.k), y = layoutOf(p.b, p.k, p.n), z = layoutOf(p.out, p.m, p.n);
  if (x === null || y === null || z === null) return false;
  const { itemsize } = dtypeInfo(dtype);
  const bases = [p.a, p.b, p.out].map((matrix) => addressOf(gpu, matrix.arg, dtype));
  // The innermost batch axis goes to the library, those around it are calls.
  const last = p.batch.length - 1, batch = p.batch[last] ?? 1;
  const inner = p.steps.slice(0, 3).map((steps) => steps[last] ?? 0);
  const outer = p.batch.slice(0, -1), steps = p.steps.slice(0, 3).map((s) => s.slice(0, -1));
  forEachBatch(outer, steps, (offsets) => {
    const matrix = (i: 0 | 1 | 2, lead: number, transposed: boolean): BlasMatrix => ({
      address: native(bases[i]! + offsets[i]! * itemsize),
      lead,
      step: inner[i]!,
      transposed,
    });
    // cuBLAS counts by columns: to it a matrix is the transpose of what it is here.
    if (z.transposed) {
      const [a, b] = [matrix(0, x.lead, !x.transposed), matrix(1, y.lead, !y.transposed)];
      blas.gemm(dtype, p.m, p.n, p.k, batch, a, b, matrix(2, z.lead, false), gpu.tf32);
    } else {
      const [a, b] = [matrix(1, y.lead, y.transposed), matrix(0, x.lead, x.transposed)];
      blas.gemm(dtype, p.n, p.m, p.k, batch, a, b, matrix(2, z.lead, false), gpu.tf32);
    }
  });
  return true;
}

/** Multiplies by a generated kernel. */
function multiplyTiles(gpu: RoutineHost, dtype: DType, p: Problem): void {
  const program = gpu.program(`matmul ${dtype}`, () => new CudaProgram(gpu, renderMatmul(dtype), 0));
  const { itemsize } = dtypeInfo(dtype);
  const count = p.batch.length, near = p.batch.slice(-2);
  const [b0, b1] = [near.length === 2 ? near[0]! : 1, near.at(-1) ?? 1];
  const set = (values: Readonly<Record<string, number>>) => {
    for (const [name, value] of Object.entries(values)) program.set(name, value);
  };
  const matrices = [["x", p.a, 0], ["y", p.b, 1], ["z", p.out, 2]] as const;
  forEachBatch(p.batch.slice(0, -2), p.steps.slice(0, 3).map((s) => s.slice(0, -2)), (offsets) => {
    set({ m: p.m, n: p.n, k: p.k, batches: b0 * b1, b1 });
    for (const [name, matrix, i] of matrices) {
      const steps = p.steps[i]!;
      set({
        [name]: addressOf(gpu, matrix.arg, dtype) + offsets[i]! * itemsize,
        [`${name}0`]: count > 1 ? steps[count - 2]! : 0,
        [`${name}1`]: count > 0 ? steps[count - 1]! : 0,
        [`${name}r`]: matrix.row,
        [`${name}c`]: matrix.column,
      });
    }
    program.launch(Math.ceil(p.m / 16) * Math.ceil(p.n / 16) * b0 * b1, 1);
  });
}

/** An input as cuBLAS can take it: itself, or a dense copy that is added to `copies`. */
function takeable(gpu: Gpu, arg: ArrayArg, dtype: DType, copies: Buffer[]): ArrayArg {
  const shape = arg.shape!, axes = shape.length - 2;
  const matrix: Matrix = { arg, row: arg.strides[axes]!, column: arg.strides[axes + 1]! };
  const forward = arg.strides.every((step, d) => d >= axes || step >= 0 || shape[d] === 1);
  if (forward && layoutOf(matrix, shape[axes]!, shape[axes + 1]!) !== null) return arg;
  const once = { ...arg, shape: shape.map((size, d) => d < axes && arg.strides[d] === 0 ? 1 : size) };
  const copy = densify(gpu, once, dtype, dtype);
  copies.push(copy.buffer);
  return copy;
}

function multiply(gpu: RoutineHost, dtype: DType, a: ArrayArg, b: ArrayArg, out: ArrayArg): void {
  const blas = Object.hasOwn(cudaType, dtype) ? gpu.cublas : null;
  if (blas !== null) {
    const copies: Buffer[] = [];
    try {
      const x = takeable(gpu, a, dtype, copies), y = takeable(gpu, b, dtype, copies);
      if (multiplyBlas(gpu, blas, dtype as BlasDType, problemOf(x, y, out))) return;
    } finally {
      for (const buffer of copies) buffer.release();
    }
  }
  multiplyTiles(gpu, dtype, problemOf(a, b, out));
}

function matmul(gpu: RoutineHost, routine: Routine): Callable {
  const dtype = routine.dtypes.at(-1) as DType;
  if (routine.epilogue === null) {
    return ({ inputs, output }) => multiply(gpu, dtype, inputs[0]!, inputs[1]!, output);
  }
  const epilogue = new EpilogueRunner(gpu, routine.epilogue, dtype, routine.comment);
  return (call) => {
    const inPlace = epilogue.inPlace && call.output.strides.at(-1) === 1;
    const result = inPlace ? call.output : temporary(gpu, call.output.shape!, dtype);
    try {
      multiply(gpu, dtype, call.inputs[0]!, call.inputs[1]!, result);
      epilogue.run(result, call);
    } finally {
      if (result !== call.output) result.buffer.release();
    }
  };
}

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
