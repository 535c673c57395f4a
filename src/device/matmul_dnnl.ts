/**
 * Matrix products by oneDNN: primitives kept by shape and layout, with the epilogues that its post-ops can say.
 * @module
 */
import { NativeError } from "../../ffi/errors.ts";
import { native } from "../../ffi/mem.ts";
import type { Desc, DnnlType, OneDNN, PostOp, Primitive } from "../../ffi/onednn.ts";
import type { Address } from "../../ffi/types.ts";
import type { Expr } from "../../kernels/expr.ts";
import type { Epilogue } from "../../kernels/kernel.ts";
import { debug } from "../base/debug.ts";
import type { ArrayArg, VirtualArg } from "./device.ts";
import { addressIn } from "./host.ts";
import { onednn } from "./libraries.ts";
import { forEachBatch, layoutOf, type Matrix, type Problem, type Product } from "./matmul_problem.ts";
import { recordDnnl } from "./matmul_record.ts";
import { recording, settle } from "./native_thread.ts";
import { onThreadCount, withOneThread } from "./threads.ts";

/** One step of a chain from the product to the stored value. */
export type Step =
  | { readonly kind: "eltwise"; readonly algorithm: "tanh" | "logistic" }
  | { readonly kind: "binary"; readonly algorithm: "add" | "sub" | "mul"; readonly operand: number };

const isOne = (e: Expr): boolean => e.op === "const" && Number(e.arg) === 1;

/** The step that ends in `e`, with the expression it starts from; null where oneDNN has none that gives NumPy's values. */
function lastStep(e: Expr, epilogue: Epilogue): { readonly step: Step; readonly from: Expr } | null {
  const operandOf = (x: Expr): number | null => {
    if (x.op !== "load" || x.arg === null || typeof x.arg !== "object") return null;
    const operand = epilogue.operands[x.arg.operand];
    return operand?.dtype === "float32" && operand.components === 1 && !operand.virtual ? x.arg.operand : null;
  };
  const [x, y] = e.src;
  if (x === undefined) return null;
  // Its relu gives 0 for NaN, so a maximum with 0 is not one of these.
  if (e.op === "tanh") return { step: { kind: "eltwise", algorithm: "tanh" }, from: x };
  if (y === undefined) return null;
  if (e.op === "add" || e.op === "mul" || e.op === "sub") {
    const right = operandOf(y), left = operandOf(x);
    if (right !== null) return { step: { kind: "binary", algorithm: e.op, operand: right }, from: x };
    if (left !== null && e.op !== "sub") return { step: { kind: "binary", algorithm: e.op, operand: left }, from: y };
    return null;
  }
  // 1 / (1 + exp(-x))
  if (e.op === "div" && isOne(x) && y.op === "add") {
    const exp = isOne(y.src[0]!) ? y.src[1]! : isOne(y.src[1]!) ? y.src[0]! : null;
    const negative = exp?.op === "exp" ? exp.src[0]! : null;
    if (negative?.op === "neg") return { step: { kind: "eltwise", algorithm: "logistic" }, from: negative.src[0]! };
  }
  return null;
}

/** The steps of an epilogue that oneDNN does along the way; null where it cannot. */
export function postOps(epilogue: Epilogue): readonly Step[] | null {
  const { body, output } = epilogue;
  if (body.length !== 1 || output.dtype !== "float32" || output.components !== 1) return null;
  const steps: Step[] = [];
  let e = body[0]!;
  while (e.op !== "acc") {
    const last = lastStep(e, epilogue);
    if (last === null) return null;
    steps.unshift(last.step);
    e = last.from;
  }
  return steps;
}

const TYPES = { float32: "f32", bfloat16: "bf16", float16: "f16" } as const satisfies Record<string, DnnlType>;
const ITEMSIZE = { float32: 4, bfloat16: 2, float16: 2 } as const;

/** The dtypes that oneDNN multiplies. */
export type DnnlDType = keyof typeof TYPES;

/** Primitives kept; more are disposed, least recently used first. */
const KEPT = 256;
const primitives = new Map<string, Primitive | null>();
/** How often primitives were disposed: what was prepared before is not to be run any more. */
let disposals = 0;

/** Gives all primitives back to oneDNN. */
export function disposePrimitives(): void {
  settle();
  disposals++;
  for (const primitive of primitives.values()) primitive?.[Symbol.dispose]();
  primitives.clear();
}

// A primitive runs with as many threads as it was made with.
onThreadCount(disposePrimitives);

/** Up to this many multiplications one thread is faster: starting others takes microseconds, and milliseconds where cores are busy. */
const ALONE = 1 << 20;

/** A matrix, or a stack of them, as oneDNN describes it; a step of 0 repeats one. */
function describe(
  x: Matrix,
  rows: number,
  columns: number,
  count: number,
  step: number,
  type: DnnlType,
): Desc | null {
  const layout = layoutOf(x, rows, columns);
  if (layout === null || step < 0) return null;
  const { transposed, lead } = layout;
  const strides = transposed ? [1, lead] : [lead, 1];
  if (count === 0) return { shape: [rows, columns], strides, type };
  const stored = lead * (transposed ? columns : rows);
  return step === 0
    ? { shape: [1, rows, columns], strides: [stored, ...strides], type }
    : { shape: [count, rows, columns], strides: [step, ...strides], type };
}

/** A binary post-op's operand over the axes of the result. */
function describeOperand(x: Matrix, m: number, n: number, count: number, step: number): Desc | null {
  const shape = [x.row === 0 ? 1 : m, x.column === 0 ? 1 : n];
  const column = x.column || 1, row = x.row || shape[1]! * column;
  if (column < 0 || row < 0 || step < 0) return null;
  const strides = [row, column];
  if (count > 0) {
    shape.unshift(step === 0 ? 1 : count);
    strides.unshift(step || shape[1]! * row);
  }
  return { shape, strides, type: "f32" };
}

const text = (d: Desc): string => `${d.type}${d.shape}/${d.strides}`;

/**
 * Prepares a product by oneDNN.
 *
 * @param problem `further` steps are those of `operands`
 * @param steps what happens to the product before it is stored
 * @param operands of the steps, by their numbers
 * @returns null where oneDNN does not do this
 */
export function matmulDnnl(
  library: OneDNN,
  dtype: DnnlDType,
  problem: Problem,
  steps: readonly Step[],
  operands: readonly (ArrayArg | VirtualArg)[],
): Product | null {
  const { m, n, k, a, b, out, batch } = problem;
  const inner = batch.length - 1, count = batch[inner] ?? 0, type = TYPES[dtype], itemsize = ITEMSIZE[dtype];
  const step = (i: number): number => problem.steps[i]![inner] ?? 0;
  const src = describe(a, m, k, count, step(0), type);
  const weights = describe(b, k, n, count, step(1), type);
  const dst = describe(out, m, n, count, step(2), type);
  if (src === null || weights === null || dst === null) return null;
  const post: PostOp[] = [], used: number[] = [];
  for (const s of steps) {
    if (s.kind === "eltwise") {
      post.push(s);
      continue;
    }
    const arg = operands[s.operand]!;
    if (arg.buffer === null) return null;
    const x = { arg, row: arg.strides.at(-2)!, column: arg.strides.at(-1)! };
    const operand = describeOperand(x, m, n, count, step(3 + s.operand));
    if (operand === null) return null;
    post.push({ kind: "binary", algorithm: s.algorithm, operand });
    used.push(s.operand);
  }
  const key = `${text(src)};${text(weights)};${text(dst)};${
    post.map((p) => p.kind === "binary" ? `${p.algorithm}${text(p.operand)}` : p.kind === "eltwise" ? p.algorithm : "")
  }`;
  const small = problem.work <= ALONE;
  const make = () => library.matmul({ src, weights, dst, post });
  const primitive = find(key, small ? () => withOneThread(make) : make);
  if (primitive === null) return null;
  const args = [a.arg, b.arg, out.arg, ...used.map((i) => operands[i] as ArrayArg)];
  const sizes = [itemsize, itemsize, itemsize, ...used.map(() => 4)];
  const loops = batch.slice(0, Math.max(0, inner));
  const outer = [0, 1, 2, ...used.map((i) => 3 + i)].map((i) => problem.steps[i]!.slice(0, loops.length));
  const addresses: Address[] = [];
  const execute = (offsets: readonly number[]): void => {
    for (let i = 0; i < args.length; i++) {
      addresses[i] = native(addressIn(args[i]!, sizes[i]!) + offsets[i]! * sizes[i]!);
    }
    const recorder = recording();
    if (recorder === null) primitive.execute(...addresses);
    else recordDnnl(recorder, library, primitive, addresses);
  };
  const none = args.map(() => 0);
  const run = loops.length === 0 ? () => execute(none) : () => forEachBatch(loops, outer, execute);
  const made = disposals;
  return {
    fused: steps.length > 0,
    run: small ? () => withOneThread(run) : run,
    valid: () => made === disposals && onednn.get() === library,
  };
}

/** A kept primitive, or a new one; null where oneDNN cannot make it. */
function find(key: string, make: () => Primitive): Primitive | null {
  let primitive = primitives.get(key);
  if (primitive !== undefined) {
    primitives.delete(key);
  } else {
    try {
      primitive = make();
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      debug("engines", error.message);
      primitive = null;
    }
    if (primitives.size >= KEPT) {
      settle();
      const [oldest, last] = primitives.entries().next().value!;
      primitives.delete(oldest);
      disposals++;
      last?.[Symbol.dispose]();
    }
  }
  primitives.set(key, primitive);
  return primitive;
}
