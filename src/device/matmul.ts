/**
 * The routine `matmul` on the CPU: oneDNN or OpenBLAS where they are and do the dtype, generated kernels WebAssembly or JavaScript elsewhere.
 * @module
 */
import { native } from "../../ffi/mem.ts";
import type { Routine } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { cpuConfig } from "./config.ts";
import type { ArrayArg, Buffer, Call, Callable } from "./device.ts";
import { convert, densify, EpilogueRunner, temporary } from "./epilogue.ts";
import { addressIn, copyArray, type Host, hostArray, type RoutineRunner } from "./host.ts";
import { callsAlone, onednn, openblas } from "./libraries.ts";
import { matmulDnnl, postOps, type Step } from "./matmul_dnnl.ts";
import { matmulJs } from "./matmul_js.ts";
import { matmulKernel } from "./matmul_kernel.ts";
import { forEachBatch, layoutOf, type Matrix, type Problem, problemOf, type Product } from "./matmul_problem.ts";
import { recordGemm } from "./matmul_record.ts";
import { matmulStack } from "./matmul_stack.ts";
import { recording, settle } from "./native_thread.ts";
import { matmulBlocks } from "./matmul_wasm.ts";
import { withOneThread } from "./threads.ts";
import { wasmAvailable } from "./wasm.ts";

/** Up to this many multiplications opening a library does not pay; one that is open is faster for any. */
const TINY = 1024;
/** Up to this many OpenBLAS stays on one thread and is called once, where oneDNN takes five calls, which are 0.6 microseconds. */
const SHORT = 1 << 18;
/** Up to this many multiplications of one pair of matrices copies cost more than WebAssembly's vectors save. */
const SMALL = 4096;
/** Nanoseconds of one multiplication in JavaScript; BigInts are slow. */
const JS_COST = 1;
const JS_COST_WIDE = 40;

/** What opening the libraries costs, and making WebAssembly, in nanoseconds: so much time products spend in JavaScript before. */
const OPENING = 5e6, MODULE = 2e6;
let spent = 0, spentEmbedded = 0;

/** Whether libraries are there, or worth opening for a product. */
function librariesPay(work: number): boolean {
  if (onednn.opened || openblas.opened || cpuConfig().engine === "c") return true;
  spent += work * JS_COST;
  return spent > OPENING;
}

const BLAS = { float32: "s", float64: "d", complex64: "c", complex128: "z" } as const;

/** Prepares a product by OpenBLAS; null where it cannot do it. */
function prepareBlas(dtype: keyof typeof BLAS, problem: Problem): Product | null {
  const library = openblas.get();
  if (library === null) return null;
  const { m, n, k, batch, steps } = problem;
  const a = layoutOf(problem.a, m, k), b = layoutOf(problem.b, k, n), out = layoutOf(problem.out, m, n);
  if (a === null || b === null || out === null) return null;
  const { itemsize } = dtypeInfo(dtype), type = BLAS[dtype];
  const at = ({ arg }: Matrix, offset: number) => native(addressIn(arg, itemsize) + offset * itemsize);
  const ta = a.transposed, tb = b.transposed;
  const multiply = (offsets: readonly number[]): void => {
    const x = at(problem.a, offsets[0]!), y = at(problem.b, offsets[1]!), z = at(problem.out, offsets[2]!);
    // A transposed result is the product of the transposes the other way round.
    const args = out.transposed
      ? [tb ? "n" : "t", ta ? "n" : "t", n, m, k, y, b.lead, x, a.lead, z, out.lead] as const
      : [ta ? "t" : "n", tb ? "t" : "n", m, n, k, x, a.lead, y, b.lead, z, out.lead] as const;
    const recorder = recording();
    if (recorder === null) library.gemm(type, ...args);
    else recordGemm(recorder, library, type, ...args);
  };
  const all = batch.length === 0 ? () => multiply(none) : () => forEachBatch(batch, steps, multiply);
  const run = callsAlone(library) ? () => withOneThread(all) : all;
  return { fused: false, run, valid: () => openblas.get() === library };
}

const none = [0, 0, 0];

/** Products of calls that a plan makes again and again. */
const ready = new WeakMap<Call, Product>();

/** Whether libraries can take an array as it lies. */
function fits({ shape, strides }: ArrayArg): boolean {
  const axes = shape!.length - 2;
  const layout = layoutOf({ row: strides[axes]!, column: strides[axes + 1]! }, shape![axes]!, shape![axes + 1]!);
  return layout !== null && strides.every((step, d) => d >= axes || step >= 0 || shape![d] === 1);
}

/** An input that libraries can take: itself, or a dense copy that is added to `copies`. */
function takeable(host: Host, arg: ArrayArg, dtype: DType, to: DType, copies: Buffer[]): ArrayArg {
  const shape = arg.shape!, axes = shape.length - 2;
  if (dtype === to && fits(arg)) return arg;
  const once = { ...arg, shape: shape.map((size, d) => d < axes && arg.strides[d] === 0 ? 1 : size) };
  const copy = densify(host, once, dtype, to);
  copies.push(copy.buffer);
  return copy;
}

/** out = a @ b in one dtype; `chain` and `operands` are an epilogue that oneDNN may do. Tells whether it did the epilogue too. */
function multiply(host: Host, dtype: DType, call: Call, chain: readonly Step[] | null): boolean {
  const { inputs: [a, b], output: out } = call as Call & { readonly inputs: readonly [ArrayArg, ArrayArg] };
  const problem = problemOf(a, b, out);
  const known = Object.hasOwn(BLAS, dtype);
  const stays = () => problem.work === 0 || problem.work <= TINY && !(known && openblas.opened);
  if (stays()) {
    const product = prepareBy(matmulJs, dtype, problem, stays);
    product.run();
    ready.set(call, product);
    return false;
  }
  if ((dtype === "float32" || dtype === "float64") && matmulStack(dtype, problem)) return false;
  const half = dtype === "bfloat16" || dtype === "float16";
  const open = (half || known) && librariesPay(problem.work);
  const library = open && (dtype === "float32" || half) ? onednn.get() : null;
  const blas = open && known ? openblas.get() : null;
  if (library !== null || blas !== null) {
    const copies: Buffer[] = [];
    try {
      const x = takeable(host, a, dtype, dtype, copies), y = takeable(host, b, dtype, dtype, copies);
      const plain = problemOf(x, y, out);
      const fuses = chain !== null && chain.length > 0;
      let product: Product | null = null;
      if (blas !== null && !fuses && problem.work <= SHORT) product = prepareBlas(dtype as keyof typeof BLAS, plain);
      if (library !== null && product === null) {
        if (fuses) {
          const whole = problemOf(x, y, out, call.operands.map((operand) => operand.strides));
          product = matmulDnnl(library, dtype as "float32", whole, chain, call.operands);
        }
        product ??= matmulDnnl(library, dtype as "float32", plain, [], []);
      }
      if (blas !== null) product ??= prepareBlas(dtype as keyof typeof BLAS, plain);
      if (product !== null) {
        product.run();
        if (copies.length === 0) ready.set(call, product);
        return product.fused;
      }
    } finally {
      for (const buffer of copies) buffer.release();
    }
  }
  if (open && half && out.strides.at(-1) === 1 && (library !== null || openblas.get() !== null)) {
    multiplyAsFloat32(host, dtype, a, b, out);
    return false;
  }
  const { scalar, components, itemsize, kind } = dtypeInfo(dtype);
  const ns = problem.work * (kind !== "f" && itemsize === 8 ? JS_COST_WIDE : JS_COST);
  if (components === 1 && matmulKernel(host, scalar, problem, ns)) return false;
  multiplyEmbedded(dtype, problem);
  return false;
}

function multiplyAsFloat32(host: Host, dtype: DType, a: ArrayArg, b: ArrayArg, out: ArrayArg): void {
  const copies: Buffer[] = [];
  try {
    const inputs = [takeable(host, a, dtype, "float32", copies), takeable(host, b, dtype, "float32", copies)];
    const output = temporary(host, out.shape!, "float32");
    copies.push(output.buffer);
    multiply(host, "float32", { inputs, output, operands: [], scalars: [] }, null);
    convert(host, output, "float32", out, dtype);
  } finally {
    for (const buffer of copies) buffer.release();
  }
}

/** By WebAssembly where it is there and pays, else in JavaScript. */
function multiplyEmbedded(dtype: DType, problem: Problem): void {
  const { engine, wasm } = cpuConfig();
  const pays = problem.m * problem.n * problem.k > SMALL && (spentEmbedded += problem.work * JS_COST) > MODULE;
  const vectors = wasm && engine !== "js" && (engine === "wasm" || pays);
  prepareBy(vectors && wasmAvailable() ? matmulBlocks : matmulJs, dtype, problem, never).run();
}

const never = () => false;

/** Prepares a product by a function that comes with us. */
function prepareBy(product: typeof matmulJs, dtype: DType, problem: Problem, valid: () => boolean): Product {
  const { m, n, k, batch, steps } = problem;
  const run = (): void => {
    if (recording() !== null) settle();
    const a = hostArray(problem.a.arg, dtype), b = hostArray(problem.b.arg, dtype);
    const out = hostArray(problem.out.arg, dtype);
    const multiply = (offsets: readonly number[]): void =>
      product(a, b, out, m, n, k, [a.offset + offsets[0]!, b.offset + offsets[1]!, out.offset + offsets[2]!]);
    if (batch.length === 0) multiply(none);
    else forEachBatch(batch, steps, multiply);
  };
  return { fused: false, run, valid };
}

/**
 * The callable of a matmul: inputs `[batch.., m, k]` and `[batch.., k, n]`, output `[batch.., m, n]`, of one dtype and any strides;
 * batch axes that an input lacks, or where it has length 1, repeat it.
 */
export function matmul(host: Host, routine: Routine): RoutineRunner {
  const dtype = routine.dtypes.at(-1) as DType;
  if (routine.epilogue === null) {
    return {
      run: (call) => {
        const product = ready.get(call);
        if (product?.valid()) product.run();
        else withUnitOutput(host, dtype, call, (own) => void multiply(host, dtype, own, null));
      },
      native: (call) => isNative(dtype, call),
    };
  }
  const epilogue = new EpilogueRunner(host, routine.epilogue, dtype, routine.comment);
  const chain = dtype === "float32" ? postOps(routine.epilogue) : null;
  const isInPlace = ({ output }: Call): boolean => epilogue.inPlace && output.strides.at(-1) === 1;
  const run: Callable = (call) => {
    const product = ready.get(call);
    if (product?.valid()) {
      product.run();
      if (!product.fused) epilogue.run(call.output, call);
      return;
    }
    const inPlace = isInPlace(call);
    const result = inPlace ? call.output : temporary(host, call.output.shape!, dtype);
    try {
      const done = multiply(host, dtype, inPlace ? call : { ...call, output: result }, inPlace ? chain : null);
      if (!done) epilogue.run(result, call);
    } finally {
      if (result !== call.output) result.buffer.release();
    }
  };
  const native = (call: Call): boolean | undefined => {
    if (!isNative(dtype, call)) return false;
    return chain !== null && isInPlace(call) && onednn.get() !== null || epilogue.native(host, call);
  };
  return { run, native };
}

/** Products of one call that are sent to the thread of native calls one by one. */
const MOST_SENT = 1024;

/** Whether a library does all of a product, with no copies before or after. */
function isNative(dtype: DType, { inputs, output }: Call): boolean {
  if (!Object.hasOwn(BLAS, dtype) || ![...inputs, output].every(fits)) return false;
  const { k, work, batch } = problemOf(inputs[0]!, inputs[1]!, output);
  if (k === 0 || work <= TINY || !librariesPay(0) && work * JS_COST <= OPENING) return false;
  if ((dtype === "float32" ? onednn.get() : null) === null && openblas.get() === null) return false;
  return batch.reduce((a, b) => a * b, 1) <= MOST_SENT;
}

/** Gives a call an output that libraries can write to, and copies it to where it should be. */
function withUnitOutput(host: Host, dtype: DType, call: Call, run: (call: Call) => void): void {
  const { output } = call, shape = output.shape!;
  const axes = shape.length - 2;
  const matrix = { arg: output, row: output.strides[axes]!, column: output.strides[axes + 1]! };
  if (layoutOf(matrix, shape[axes]!, shape[axes + 1]!) !== null) return run(call);
  const result = temporary(host, shape, dtype);
  try {
    run({ ...call, output: result });
    if (recording() !== null) settle();
    copyArray(hostArray(result, dtype), hostArray(output, dtype));
  } finally {
    result.buffer.release();
  }
}
