/** Kernels by tiles, running reductions and narrow groups through the real NVRTC, which needs no GPU: nothing is said of them, and all stays in registers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LibraryError } from "../ffi/errors.ts";
import { Nvrtc } from "../ffi/nvrtc.ts";
import { runtime } from "../ffi/runtime.ts";
import { planTile, renderMap, renderScan, renderTile, vectorWidth } from "../kernels/cuda.ts";
import type { ScalarType } from "../src/base/dtype.ts";
import { acc, b, kernel, load, monoid, operand, output, val } from "./support/kernels.ts";
import { architectures, compileAll, findNvrtc } from "./support/nvrtc.ts";

const nvrtc = findNvrtc();
const types = ["bool", "float16", "float32", "float64"] as const;
const sources: { readonly kind: string; readonly text: string }[] = [];

/** Takes both operands as a kernel of the dtype would. */
const both = (dtype: ScalarType) => b.binary(dtype === "bool" ? "xor" : "add", load(0, dtype), load(1, dtype));

function tiles(dtype: ScalarType, components: 1 | 2): void {
  const body = components === 1 ? [both(dtype)] : [both(dtype), b.unary("neg", load(0, dtype, 1))];
  for (const rank of [2, 4]) {
    for (const second of ["unit", "strided"] as const) {
      const k = kernel({
        rank,
        operands: [operand(dtype, "strided", { components }), operand(dtype, second, { components })],
        body,
        outputs: [output(dtype, "unit", components)],
      });
      for (const near of [3, 1000]) {
        const sizes = [near, ...new Array<number>(rank - 2).fill(7), 20000],
          across = [1, 5 * near, 3 * near, near].slice(0, rank - 1);
        const strides = [...across, 20000];
        const plan = planTile(k, sizes, (i) => i === 0 || second === "strided" ? strides : [20000, 20000, 20000, 1]);
        assert.ok(plan !== null);
        const wide = rank === 4 && near === 1000;
        sources.push({ kind: `${dtype} x ${components} by tiles`, text: renderTile(k, wide, plan).text });
      }
    }
  }
}

function scans(dtype: ScalarType, components: 1 | 2): void {
  const pair = (["sub", "add"] as const).map((op, c) =>
    b.binary(op, b.binary("mul", acc(0, dtype), val(c, dtype)), b.binary("mul", acc(1, dtype), val(1 - c, dtype)))
  );
  const k = kernel({
    kind: "scan",
    rank: 2,
    reduced: 1,
    operands: [operand(dtype, "unit", { components }), operand(dtype, "strided")],
    body: components === 1 ? [both(dtype)] : [both(dtype), load(0, dtype, 1)],
    reduction: components === 1
      ? monoid("sum", dtype === "bool" ? "or" : "add", dtype, dtype === "bool" ? false : 0)
      : { name: "complexprod", dtypes: [dtype, dtype], init: [1, 0], combine: pair },
    outputs: [output(dtype, "unit", components)],
  });
  const kind = `${dtype} x ${components} running`;
  sources.push({ kind, text: renderScan(k, true, "thread").text });
  for (const variant of ["totals", "block"] as const) {
    for (const lanes of [1, 4, 32]) {
      sources.push({ kind, text: renderScan(k, false, variant, { lanes, warps: 8 }).text });
    }
    for (const warps of [1, 8] as const) {
      sources.push({ kind, text: renderScan(k, warps === 1, variant, { lanes: 1, warps, vector: true }).text });
    }
  }
}

if (!(nvrtc instanceof Nvrtc)) {
  test("cuda variants: NVRTC is not here", () => assert.ok(nvrtc instanceof LibraryError));
} else if (runtime.name !== "node") {
  test("cuda variants: Node compiles them", () => assert.ok(nvrtc.version.length > 0));
} else {
  test("cuda variants compile with NVRTC, without spills", async () => {
    for (const dtype of types) {
      tiles(dtype, 1);
      scans(dtype, 1);
      const k = kernel({
        operands: [operand(dtype), operand(dtype)],
        body: [both(dtype)],
        outputs: [output(dtype)],
      });
      for (let width = vectorWidth(k); width >= 1; width /= 2) {
        sources.push({ kind: `${dtype} by ${width}`, text: renderMap(k, false, width).text });
      }
    }
    for (const dtype of ["float32", "float64"] as const) {
      tiles(dtype, 2);
      scans(dtype, 2);
    }
    const jobs = sources.flatMap((source) => architectures.map((architecture) => ({ ...source, architecture })));
    const { outcomes } = await compileAll(nvrtc, jobs);
    const wrong = outcomes.flatMap((outcome, i) => {
      const what = `${jobs[i]!.kind}, ${jobs[i]!.architecture}: `;
      if (typeof outcome === "string") return [what + outcome];
      return outcome.spills + outcome.stack > 0
        ? [`${what}${outcome.spills} bytes of spills, ${outcome.stack} of stack`]
        : [];
    });
    assert.deepEqual(wrong, []);
    assert.ok(outcomes.length > 200);
  });
}
