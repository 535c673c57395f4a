/**
 * Matrix products by cublasLt on one GPU: plans kept by problem, and the workspace that they share.
 * @module
 */
import { type BlasDType, cudaType } from "../../ffi/cublas.ts";
import type { CublasLt, LtBias, LtMatrix, LtPlan, LtProblem } from "../../ffi/cublas_lt.ts";
import { native } from "../../ffi/mem.ts";
import { debug } from "../base/debug.ts";
import { dtypeInfo } from "../base/dtype.ts";
import { OutOfMemoryError } from "../base/errors.ts";
import type { Fusion } from "./cuda_epilogue.ts";
import { cudaOf, type Gpu } from "./cuda_kernel.ts";
import type { CudaBuffer } from "./cuda_memory.ts";
import type { ArrayArg, VirtualArg } from "./device.ts";
import { forEachBatch, type Layout, layoutOf, type Problem, type Product } from "./matmul_problem.ts";

/** Plans kept; more are disposed, least recently used first. */
const KEPT = 256;
/** Bytes beyond which no algorithm asks for alignment, and those that its bias must have. */
const ALIGNED = 256, BIAS_ALIGNED = 16;

/** Whether cublasLt multiplies a dtype. */
export const isLtDType = (dtype: string): dtype is BlasDType => Object.hasOwn(cudaType, dtype);

/** The greatest power of 2, at most 256, that divides all of some numbers. */
function alignmentOf(bytes: readonly number[]): number {
  let alignment = ALIGNED;
  for (const n of bytes) while (n % alignment !== 0) alignment /= 2;
  return alignment;
}

/** What a product reads or writes: where it lies now, and how that moves over the batches that are calls of their own. */
interface Place {
  readonly arg: ArrayArg;
  readonly steps: readonly number[];
}

/** The products of one GPU. */
export class LtProducts implements Disposable {
  readonly #gpu: Gpu;
  readonly #library: CublasLt;
  readonly #plans = new Map<string, LtPlan | null>();
  /** Bytes that algorithms may ask for. */
  #limit: number;
  /** Used by one product after the other: they are on one stream. */
  #workspace: CudaBuffer | null = null;
  /** How often plans were disposed: what was prepared before is not to be run any more. */
  #disposals = 0;

  /** @param limit bytes of workspace */
  constructor(gpu: Gpu, library: CublasLt, limit: number) {
    this.#gpu = gpu;
    this.#library = library;
    this.#limit = limit;
  }

  /** The library's file. */
  get path(): string {
    return this.#library.path;
  }

  /**
   * Prepares a product, such that running it only enqueues calls of the library.
   *
   * @param problem `further` steps are those of `operands`
   * @param fusion what is done along the way, or null
   * @returns null where cublasLt does not do this
   */
  prepare(
    dtype: BlasDType,
    tf32: boolean,
    problem: Problem,
    fusion: Fusion | null,
    operands: readonly (ArrayArg | VirtualArg)[],
  ): Product | null {
    const { m, n, k, a, b, out, batch, steps } = problem, { itemsize } = dtypeInfo(dtype);
    if (problem.work === 0) return null;
    const x = layoutOf(a, m, k), y = layoutOf(b, k, n), z = layoutOf(out, m, n);
    if (x === null || y === null || z === null) return null;
    // The innermost batch axis goes to the library, those around it are calls.
    const last = batch.length - 1, loops = batch.slice(0, -1);
    const place = (arg: ArrayArg, i: number): Place => ({ arg, steps: steps[i]!.slice(0, -1) });
    const places = [place(a.arg, 0), place(b.arg, 1), place(out.arg, 2)];
    let biasStep = 0;
    if (fusion !== null && fusion.bias !== null) {
      const arg = operands[fusion.bias]!;
      if (arg.buffer === null || !isRow(arg, m, n) || z.transposed) return null;
      biasStep = steps[3 + fusion.bias]![last] ?? 0;
      places.push(place(arg, 3 + fusion.bias));
    }
    const addressOf = ({ arg }: Place) => cudaOf(arg.buffer, this.#gpu).address + arg.offset * itemsize;
    const alignments = () => places.map((p) => alignmentOf([addressOf(p), ...p.steps.map((s) => s * itemsize)]));
    const aligned = alignments();
    let bias: LtBias | null = null;
    if (places.length > 3) {
      bias = { step: biasStep, address: addressOf(places[3]!), alignment: aligned[3]! };
      const stepped = biasStep >= 0 && biasStep * itemsize % BIAS_ALIGNED === 0;
      if (bias.alignment < BIAS_ALIGNED || !stepped) return null;
    }
    const matrix = (
      layout: Layout,
      rows: number,
      columns: number,
      i: 0 | 1 | 2,
    ): LtMatrix & { transposed: boolean } => {
      const { lead, transposed } = layout;
      // To the library, which counts by columns, rows are columns.
      const stored = transposed ? { rows, columns } : { rows: columns, columns: rows };
      return { ...stored, lead, step: steps[i]![last] ?? 0, alignment: aligned[i]!, transposed };
    };
    const left = matrix(x, m, k, 0), right = matrix(y, k, n, 1), d = matrix(z, m, n, 2);
    // Where the result lies by rows, its transpose is computed: the product of the transposes the other way round.
    const swapped = !z.transposed;
    const flip = (of: typeof left) => ({ ...of, transposed: !of.transposed });
    const [first, second] = swapped ? [right, left] : [flip(left), flip(right)];
    const { activation } = fusion ?? { activation: "none" as const };
    const plan = this.#find({
      dtype,
      tf32,
      batch: batch[last] ?? 1,
      a: first,
      b: second,
      d,
      activation,
      bias,
    });
    if (plan === null) return null;
    const execute = (offsets: readonly number[]): void => {
      const at = places.map((place, i) => native(addressOf(place) + offsets[i]! * itemsize));
      const [p, q] = swapped ? [at[1]!, at[0]!] : [at[0]!, at[1]!];
      const workspace = native(plan.workspace > 0 ? this.#workspace!.address : 0);
      this.#gpu.enqueue(plan, at, (stream) => plan.run(p, q, at[2]!, Number(at[3] ?? 0), workspace, stream));
    };
    const none = places.map(() => 0), outer = places.map((p) => p.steps);
    const made = this.#disposals;
    return {
      fused: fusion !== null,
      run: loops.length === 0 ? () => execute(none) : () => forEachBatch(loops, outer, execute),
      valid: () => made === this.#disposals && alignments().every((now, i) => now >= aligned[i]!),
    };
  }

  /** A kept plan, or a new one; null where the library has none. */
  #find(problem: LtProblem): LtPlan | null {
    const { dtype, tf32, batch, a, b, d, activation, bias } = problem;
    const text = (x: LtMatrix & { readonly transposed?: boolean }) =>
      `${x.rows}x${x.columns}/${x.lead},${x.step}@${x.alignment}${x.transposed === true ? "t" : ""}`;
    const vector = bias === null ? "" : `+${bias.step}@${bias.alignment}`;
    const key = `${dtype}${tf32 ? "t" : ""} ${batch} ${text(a)} ${text(b)} ${text(d)}${vector} ${activation}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      plan = this.#plan(problem);
      if (plan === null) debug("engines", `${this.#gpu.name}: cublasLt has no algorithm for ${key}`);
      if (this.#plans.size >= KEPT) this.#drop(this.#plans.keys().next().value!);
    } else this.#plans.delete(key);
    this.#plans.set(key, plan);
    return plan;
  }

  /** A new plan, and the workspace for it. */
  #plan(problem: LtProblem): LtPlan | null {
    const plan = this.#library.plan(problem, this.#limit);
    if (plan === null || plan.workspace === 0 || this.#workspace !== null) return plan;
    try {
      this.#workspace = this.#gpu.reserve(this.#limit);
      return plan;
    } catch (error) {
      plan[Symbol.dispose]();
      if (!(error instanceof OutOfMemoryError)) throw error;
      // Full memory costs speed, not the product.
      this.#limit = 0;
      return this.#library.plan(problem, 0);
    }
  }

  #drop(key: string): void {
    const plan = this.#plans.get(key);
    this.#plans.delete(key);
    this.#disposals++;
    plan?.[Symbol.dispose]();
  }

  /** Gives everything back. Work must be done. */
  [Symbol.dispose](): void {
    using cleanup = new DisposableStack();
    cleanup.use(this.#library);
    for (const plan of this.#plans.values()) if (plan !== null) cleanup.use(plan);
    this.#plans.clear();
    this.#disposals++;
    if (this.#workspace !== null) this.#workspace.release();
    this.#workspace = null;
  }
}

/** Whether an operand is one vector along the rows of the result. */
function isRow(arg: ArrayArg, m: number, n: number): boolean {
  return (m === 1 || arg.strides.at(-2) === 0) && (n === 1 || arg.strides.at(-1) === 1);
}
