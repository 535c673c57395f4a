/**
 * Matrix products as generated kernels: what serves integers, and any dtype where no library does.
 * @module
 */
import { ExprBuilder } from "../../kernels/expr.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import type { ScalarType } from "../base/dtype.ts";
import { makeKernel } from "./epilogue.ts";
import type { Host } from "./host.ts";
import type { Problem } from "./matmul_problem.ts";

const kernels = new Map<string, Kernel>();

/** The sum over k of a[i, k] * b[k, j], moving through memory along k or along j. */
function productKernel(
  dtype: ScalarType,
  batch: number,
  inner: "last" | "kept",
  unitA: boolean,
  unitB: boolean,
): Kernel {
  const key = `${dtype} ${batch} ${inner} ${unitA} ${unitB}`;
  let kernel = kernels.get(key);
  if (kernel !== undefined) return kernel;
  const b = new ExprBuilder(), bool = dtype === "bool";
  // Halves are summed in float32 and rounded once.
  const sum: ScalarType = dtype === "float16" || dtype === "bfloat16" ? "float32" : dtype;
  const load = (operand: number) => b.cast(b.make("load", dtype, [], { operand, component: 0 }), sum);
  const acc = b.make("acc", sum, [], 0), val = b.make("val", sum, [], 0);
  const operand = (unit: boolean, other: "single" | "strided") =>
    ({ dtype, components: 1, access: unit ? "unit" : other, virtual: false, gathered: 0 }) as const;
  kernel = makeKernel({
    kind: "reduce",
    rank: batch + 3,
    reduced: 1,
    inner,
    operands: [operand(unitA, inner === "kept" ? "single" : "strided"), operand(unitB, "strided")],
    scalars: [],
    body: [b.binary(bool ? "and" : "mul", load(0), load(1))],
    reduction: {
      name: bool ? "any" : "sum",
      dtypes: [sum],
      init: [bool ? false : 0],
      combine: [b.binary(bool ? "or" : "add", acc, val)],
    },
    epilogue: [b.cast(acc, dtype)],
    index: [],
    mode: null,
    outputs: [{ dtype, components: 1, access: inner === "kept" ? "unit" : "strided" }],
    wide: true,
    comment: "a @ b",
  });
  kernels.set(key, kernel);
  return kernel;
}

/**
 * Multiplies by generated code if compiled code is there or pays.
 *
 * @param ns what JavaScript would take
 * @returns false where it does not
 */
export function matmulKernel(host: Host, dtype: ScalarType, problem: Problem, ns: number): boolean {
  const { m, n, k, a, b, out, batch, steps } = problem;
  const last = a.column === 1 && b.row === 1 && b.column !== 1;
  if (!last && out.column !== 1) return false;
  const kernel = last
    ? productKernel(dtype, batch.length, "last", true, true)
    : productKernel(dtype, batch.length, "kept", false, b.column === 1);
  return host.runner(kernel).tryNative({
    sizes: [...batch, m, n, k],
    operands: [
      { ...a.arg, strides: [...steps[0]!, a.row, 0, a.column] },
      { ...b.arg, strides: [...steps[1]!, 0, b.column, b.row] },
    ],
    outputs: [{ ...out.arg, strides: [...steps[2]!, out.row, out.column] }],
    scalars: [],
  }, ns);
}
