/**
 * CUDA kernels through the real NVRTC, which needs no GPU: the texts of all kinds of kernels, and in Node what the tables of tests launch.
 * Of those every kernel is compiled for sm_80 without most optimisations, and one of each shape for sm_90 as it would be on a GPU; with
 * TNP_TEST_FULL=1 every kernel for both as on a GPU.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { LibraryError, NativeError } from "../ffi/errors.ts";
import { Nvrtc } from "../ffi/nvrtc.ts";
import { runtime } from "../ffi/runtime.ts";
import {
  type CudaSource,
  renderMap,
  renderMatmul,
  renderRadixCount,
  renderRadixMove,
  renderRadixOffsets,
  renderReduce,
  renderScan,
  renderScatter,
  renderSearch,
  renderSortMerge,
  renderSortTile,
  vectorWidth,
} from "../kernels/cuda.ts";
import type { BinaryOp, Expr, UnaryOp } from "../kernels/expr.ts";
import type { ScalarType } from "../src/base/dtype.ts";
import { readJson } from "./golden/read.ts";
import type { Captured } from "./support/cuda_capture.ts";
import { captureTables, shapeOf } from "./support/cuda_tables.ts";
import { acc, b, kernel, load, monoid, operand, output } from "./support/kernels.ts";
import { architectures, compileAll, compileOne, findNvrtc, type Job } from "./support/nvrtc.ts";

const nvrtc = findNvrtc();
const full = process.env["TNP_TEST_FULL"] === "1";
/** Functions of CUDA that keep a table in local memory for the arguments that need it. */
const withTables = /\b(?:sin|cos|tan|lgamma)_f(?:32|64)\(/;

if (!(nvrtc instanceof Nvrtc)) {
  test("cuda: without NVRTC the error tells where it was looked for", () => {
    assert.ok(nvrtc instanceof LibraryError);
    assert.match(nvrtc.message, /^NVRTC: (?:cannot open the library; set TNP_NVRTC|hidden by|Deno runs|Node calls)/);
  });
} else {
  const build = (source: CudaSource | string, architecture: string) => {
    const text = typeof source === "string" ? source : source.text;
    const { cubin, messages, report } = compileOne(nvrtc, { text, architecture });
    assert.deepEqual([...cubin.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
    assert.equal(messages, "");
    return report;
  };
  const everywhere = (source: CudaSource) => {
    for (const architecture of architectures) build(source, architecture);
  };
  /** Checks in the assembler's report that everything stays in registers. */
  const spills = (source: CudaSource) => {
    const { stack, spills } = build(source, "sm_90");
    assert.deepEqual([stack, spills], [0, 0]);
  };

  describe(`cuda kernels compile with NVRTC ${nvrtc.version}`, () => {
    test("elementwise: every operation of every dtype, in both widths and as vectors", () => {
      const golden = readJson("kernels.json") as Record<ScalarType, Record<"unary" | "binary" | "cast", object>>;
      for (const dtype of Object.keys(golden) as ScalarType[]) {
        const x = load(0, dtype), y = load(1, dtype), { unary, binary, cast } = golden[dtype];
        const body: Expr[] = [
          ...Object.keys(unary).map((op) => b.unary(op as Exclude<UnaryOp, "cast">, x)),
          ...Object.keys(binary).map((op) => b.binary(op as BinaryOp, x, y)),
          ...Object.keys(cast).map((to) => b.cast(x, to as ScalarType)),
        ];
        const all = kernel({
          operands: [operand(dtype), operand(dtype)],
          body,
          outputs: body.map((e) => output(e.dtype)),
        });
        build(renderMap(all, false, 1), "sm_80");
        const sum = kernel({
          operands: [operand(dtype), operand(dtype)],
          body: [b.binary("max", x, y)],
          outputs: [output(dtype)],
        });
        assert.ok(vectorWidth(sum) > 1, dtype);
        everywhere(renderMap(sum, false, vectorWidth(sum)));
        spills(renderMap(sum, false, vectorWidth(sum)));
        everywhere(renderMap({ ...sum, rank: 3 }, true, 1));
      }
    });

    const x = load(0, "float32");
    test("reductions", () => {
      for (const variant of ["thread", "rows", "block", "columns", "merge"] as const) {
        const k = kernel({
          kind: "reduce",
          rank: 4,
          reduced: 2,
          inner: variant === "columns" ? "kept" : "last",
          operands: [operand("float32"), operand("bool", "single")],
          body: [b.where(load(1, "bool"), x, b.const("float32", 0))],
          reduction: monoid("sum", "add", "float32", 0),
          epilogue: [b.cast(b.unary("sqrt", acc(0, "float32")), "float16")],
          outputs: [output("float16", "strided")],
        });
        const width = variant === "thread" || variant === "merge" ? 1 : 4;
        for (const wide of [false, true]) {
          for (const vector of [false, true]) everywhere(renderReduce(k, wide, variant, width, vector));
        }
        everywhere(renderReduce({ ...k, reduction: { ...k.reduction!, name: "other" } }, false, variant, 1, true));
      }
    });
    test("running reductions", () => {
      for (const variant of ["thread", "totals", "block"] as const) {
        const k = kernel({
          kind: "scan",
          rank: 3,
          reduced: 1,
          operands: [operand("bool")],
          body: [load(0, "bool")],
          reduction: monoid("any", "or", "bool", false),
          outputs: [output("bool")],
        });
        for (const wide of [false, true]) everywhere(renderScan(k, wide, variant));
      }
    });
    test("scatters", () => {
      for (const variant of ["serial", "keys", "apply"] as const) {
        for (const mode of ["set", "add", "multiply"] as const) {
          const k = kernel({
            kind: "scatter",
            rank: 2,
            operands: [operand("float32", "unit", { components: 2 }), operand("int64", "single")],
            body: [x, load(0, "float32", 1)],
            index: [load(1, "int64")],
            mode,
            outputs: [output("float32", "unit", 2)],
          });
          everywhere(renderScatter(k, false, variant, 1));
        }
      }
    });
    test("atomic scatters", () => {
      for (const dtype of ["int32", "uint32", "int64", "uint64"] as const) {
        for (const mode of ["add", "min", "max"] as const) {
          const k = kernel({
            kind: "scatter",
            rank: 2,
            operands: [operand(dtype), operand("int64", "single")],
            body: [load(0, dtype)],
            index: [load(1, "int64")],
            mode,
            outputs: [output(dtype)],
          });
          build(renderScatter(k, false, "atomic", 1), "sm_80");
        }
      }
    });
    test("sorting, searching, products", () => {
      for (const dtype of ["bool", "int64", "float16", "float32", "complex128"] as const) {
        for (
          const source of [
            renderSortTile(dtype, true),
            renderSortMerge(dtype, true, false),
            renderSearch(dtype, true),
            renderMatmul(dtype),
            ...(dtype === "complex128" ? [] : [renderRadixCount(dtype), renderRadixMove(dtype, true)]),
          ]
        ) {
          build(source, "sm_90");
        }
      }
      everywhere(renderRadixOffsets());
    });
    test("an error names the function and has the compiler's message", () => {
      assert.throws(() => build('extern "C" __global__ void f() { nothing(); }', "sm_80"), (error: Error) => {
        assert.ok(error instanceof NativeError);
        return /^nvrtcCompileProgram: NVRTC_ERROR_COMPILATION \(6\): .*nothing/s.test(error.message);
      });
    });
    if (runtime.name === "node" && process.env["TNP_CC"] !== "none") {
      test("what the tables launch, without spills where it is compiled as on a GPU", async () => {
        const sources = await captureTables();
        const shapes = new Set<string>(), jobs: (Job & Captured)[] = [];
        for (const source of sources) {
          const shape = shapeOf(source.text), first = !shapes.has(shape);
          shapes.add(shape);
          jobs.push({ ...source, architecture: "sm_80", fast: !full });
          if (first || full) jobs.push({ ...source, architecture: "sm_90", fast: false });
        }
        const start = performance.now();
        const { outcomes, fresh } = await compileAll(nvrtc, jobs);
        const seconds = ((performance.now() - start) / 1000).toFixed(0);
        const all = sources.length, optimised = jobs.length - all;
        console.log(
          `NVRTC ${nvrtc.version}: ${all} of ${all} kernels for sm_80${full ? "" : ", hardly optimised"}; ` +
            `${optimised} of ${all} for sm_90 as on a GPU${
              full ? "" : ": the others differ in constants and signs"
            }; ` +
            `${fresh} of ${jobs.length} compiled now, in ${seconds} s`,
        );
        const wrong = outcomes.flatMap((outcome, i) => {
          const { title, text, kind, architecture, fast } = jobs[i]!;
          const tell = (what: string) => [`${title} (${kind}, ${architecture}): ${what}`];
          if (typeof outcome === "string") return tell(outcome);
          if (fast) return [];
          if (outcome.spills > 0) return tell(`${outcome.spills} bytes of spills`);
          if (outcome.stack > 0 && !withTables.test(text)) return tell(`${outcome.stack} bytes of stack`);
          return [];
        });
        assert.deepEqual(wrong, []);
        assert.ok(all > 12_000 && shapes.size > 8000);
      });
    }
  });
}
