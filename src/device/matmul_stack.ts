/**
 * Stacks of small matrices, multiplied by one call of compiled code.
 * @module
 */
import { cStack, stackRows } from "../../kernels/preamble/stack.ts";
import { addressIn } from "./host.ts";
import type { Problem } from "./matmul_problem.ts";
import { callNative } from "./native_call.ts";
import { NativeCode } from "./native_code.ts";
import { threadCount } from "./threads.ts";

/** Products from which on a stack is worth it, and multiplications of one from which on a library's call costs nothing beside them. */
const MANY = 4, LARGE = 1 << 15;
/** What a library's call costs, in nanoseconds. */
const CALL = 800;
/** Multiplications a thread should get. */
const SHARE = 1 << 17;

type StackType = "float32" | "float64";

/** Compiling it takes so many times as long as compiling a kernel. */
const WEIGHT = 4;

const codes = new Map<StackType, NativeCode>();

/** Forgets the code, so that it is tried again. */
export function forgetStacks(): void {
  codes.clear();
}

function codeOf(dtype: StackType): NativeCode {
  let code = codes.get(dtype);
  if (code === undefined) {
    const source = { key: `products ${dtype}`, text: () => cStack(dtype), weight: WEIGHT };
    codes.set(dtype, code = new NativeCode("products", source));
  }
  return code;
}

/** Multiplies a stack of small matrices; returns false where that is left to others. */
export function matmulStack(dtype: StackType, problem: Problem): boolean {
  const { m, n, k, a, b, out, batch, steps, work } = problem;
  const count = batch.reduce((x, y) => x * y, 1);
  if (count < MANY || m * n * k > LARGE || k > stackRows || out.column !== 1) return false;
  const run = codeOf(dtype).get(count * CALL);
  if (run === null) return false;
  const itemsize = dtype === "float32" ? 4 : 8;
  callNative(run, [
    ...[a, b, out].map((x) => addressIn(x.arg, itemsize)),
    ...[m, n, k, a.row, a.column, b.row, b.column, out.row, count],
    ...[Math.max(1, Math.min(threadCount(), count, Math.floor(work / SHARE))), batch.length],
    ...[...batch, ...steps[0]!, ...steps[1]!, ...steps[2]!],
  ]);
  return true;
}
