/**
 * The routine `matmul` on a GPU: cublasLt with what follows the product, else cuBLAS, else a generated kernel.
 * @module
 */
import type { BlasDType, BlasMatrix, Cublas } from "../../ffi/cublas.ts";
import { native } from "../../ffi/mem.ts";
import { renderMatmul } from "../../kernels/cuda.ts";
import type { Routine } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { type Fusion, Recognizer } from "./cuda_epilogue.ts";
import { addressOf, CudaProgram, type Gpu } from "./cuda_kernel.ts";
import { isLtDType, type LtProducts } from "./cuda_lt.ts";
import type { ArrayArg, Buffer, Call, Callable } from "./device.ts";
import { densify, EpilogueRunner, temporary } from "./epilogue.ts";
import { forEachBatch, layoutOf, type Matrix, type Problem, problemOf, type Product } from "./matmul_problem.ts";

/** What products need besides a GPU. */
export interface MatmulHost extends Gpu {
  /** Products by cublasLt, or null where it is missing. */
  readonly cublasLt: LtProducts | null;
  /** cuBLAS, or null where it is missing. */
  readonly cublas: Cublas | null;
  /** Whether float32 products may round their inputs to TF32. */
  readonly tf32: boolean;
}

/** The largest size that cuBLAS takes. */
const INT_MAX = 2 ** 31 - 1;

/** Multiplies by cuBLAS; false where a matrix lies in a way that it cannot take. */
function multiplyBlas(gpu: MatmulHost, blas: Cublas, dtype: BlasDType, p: Problem): boolean {
  const x = layoutOf(p.a, p.m, p.k), y = layoutOf(p.b, p.k, p.n), z = layoutOf(p.out, p.m, p.n);
  if (x === null || y === null || z === null) return false;
  const last = p.batch.length - 1, batch = p.batch[last] ?? 1;
  if (Math.max(p.m, p.n, p.k, batch, x.lead, y.lead, z.lead) > INT_MAX) return false;
  const { itemsize } = dtypeInfo(dtype);
  const bases = [p.a, p.b, p.out].map((matrix) => addressOf(gpu, matrix.arg, dtype));
  // The innermost batch axis goes to the library, those around it are calls.
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
function multiplyTiles(gpu: MatmulHost, dtype: DType, p: Problem): void {
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

/** An input as the libraries can take it: itself, or a dense copy that is added to `copies`. */
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

/** A product of a call, and under which conditions it was prepared. */
interface Ready {
  readonly product: Product;
  readonly fusion: Fusion | null;
  readonly tf32: boolean;
}

/** Products of calls that a plan makes again and again. */
const ready = new WeakMap<Call, Ready>();

/** out = a @ b, with the fusion along the way where it can be. Tells whether it was. */
function multiply(gpu: MatmulHost, dtype: DType, call: Call, fusion: Fusion | null): boolean {
  const { tf32 } = gpu, known = ready.get(call);
  if (known !== undefined && known.fusion === fusion && known.tf32 === tf32 && known.product.valid()) {
    known.product.run();
    return known.product.fused;
  }
  const { inputs: [a, b], output: out } = call as Call & { readonly inputs: readonly [ArrayArg, ArrayArg] };
  const whole = problemOf(a, b, out);
  if (whole.work === 0 && whole.k > 0) return false;
  if (whole.k > 0 && isLtDType(dtype)) {
    const copies: Buffer[] = [];
    try {
      const x = takeable(gpu, a, dtype, copies), y = takeable(gpu, b, dtype, copies);
      const lt = gpu.cublasLt;
      let product: Product | null = null;
      if (lt !== null) {
        if (fusion !== null) {
          const problem = problemOf(x, y, out, call.operands.map((operand) => operand.strides));
          product = lt.prepare(dtype, tf32, problem, fusion, call.operands);
        }
        product ??= lt.prepare(dtype, tf32, problemOf(x, y, out), null, []);
      }
      if (product !== null) {
        product.run();
        // What cannot be fused at one address may be at the next.
        if (copies.length === 0 && product.fused === (fusion !== null)) ready.set(call, { product, fusion, tf32 });
        return product.fused;
      }
      const blas = gpu.cublas;
      if (blas !== null && multiplyBlas(gpu, blas, dtype, problemOf(x, y, out))) return false;
    } finally {
      for (const buffer of copies) buffer.release();
    }
  }
  multiplyTiles(gpu, dtype, whole);
  return false;
}

/** The callable of a matmul: inputs `[batch.., m, k]` and `[batch.., k, n]`, output `[batch.., m, n]`, of one dtype and any strides. */
export function matmul(gpu: MatmulHost, routine: Routine): Callable {
  const dtype = routine.dtypes.at(-1) as DType;
  if (routine.epilogue === null) return (call) => void multiply(gpu, dtype, call, null);
  const epilogue = new EpilogueRunner(gpu, routine.epilogue, dtype, routine.comment);
  const recognizer = new Recognizer(routine.epilogue);
  return (call) => {
    if (epilogue.inPlace && call.output.strides.at(-1) === 1) {
      const done = multiply(gpu, dtype, call, recognizer.recognize(call.scalars));
      if (!done) epilogue.run(call.output, call);
      return;
    }
    const result = temporary(gpu, call.output.shape!, dtype);
    try {
      multiply(gpu, dtype, { ...call, output: result }, null);
      epilogue.run(result, call);
    } finally {
      result.buffer.release();
    }
  };
}
