/**
 * CUDA kernels through the real NVRTC, which needs no GPU: the texts of all kinds of kernels, and in Node what the tables of tests launch.
 * Of those the long ones, and those with loops or operations that none before had, are compiled as on a GPU, and every eighth of the
 * others without most optimisations, for sm_80 and sm_90 in turn; with TNP_TEST_FULL=1 every kernel for both as on a GPU.
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
import { captureTables, telling } from "./support/cuda_tables.ts";
import { acc, b, kernel, load, monoid, operand, output } from "./support/kernels.ts";
import { architectures, compileAll, compileJobs, compileOne, findNvrtc, type Job } from "./support/nvrtc.ts";

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
  /** Compiles sources, which must all do. @returns the assembler's reports */
  const compile = (sources: readonly CudaSource[], on: readonly string[] = architectures) =>
    compileJobs(nvrtc, on.flatMap((architecture) => sources.map(({ text }) => ({ text, architecture })))).map(
      (outcome) => {
        assert.ok(typeof outcome !== "string", String(outcome));
        return outcome;
      },
    );

  describe(`cuda kernels compile with NVRTC ${nvrtc.version}`, () => {
    test("elementwise: every operation of every dtype, in both widths and as vectors", () => {
      const golden = readJson("kernels.json") as Record<ScalarType, Record<"unary" | "binary" | "cast", object>>;
      const all: CudaSource[] = [], vectors: CudaSource[] = [], wide: CudaSource[] = [];
      for (const dtype of Object.keys(golden) as ScalarType[]) {
        const x = load(0, dtype), y = load(1, dtype), { unary, binary, cast } = golden[dtype];
        const body: Expr[] = [
          ...Object.keys(unary).map((op) => b.unary(op as Exclude<UnaryOp, "cast">, x)),
          ...Object.keys(binary).map((op) => b.binary(op as BinaryOp, x, y)),
          ...Object.keys(cast).map((to) => b.cast(x, to as ScalarType)),
        ];
        const operands = [operand(dtype), operand(dtype)];
        all.push(renderMap(kernel({ operands, body, outputs: body.map((e) => output(e.dtype)) }), false, 1));
        const larger = kernel({ operands, body: [b.binary("max", x, y)], outputs: [output(dtype)] });
        assert.ok(vectorWidth(larger) > 1, dtype);
        vectors.push(renderMap(larger, false, vectorWidth(larger)));
        wide.push(renderMap({ ...larger, rank: 3 }, true, 1));
      }
      compile(all, ["sm_80"]);
      compile(wide);
      for (const { stack, spills } of compile(vectors)) assert.deepEqual([stack, spills], [0, 0]);
    });

    const x = load(0, "float32");
    test("reductions", () => {
      const sources: CudaSource[] = [];
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
          for (const vector of [false, true]) sources.push(renderReduce(k, wide, variant, width, vector));
        }
        sources.push(renderReduce({ ...k, reduction: { ...k.reduction!, name: "other" } }, false, variant, 1, true));
      }
      compile(sources);
    });
    test("running reductions", () => {
      const sources: CudaSource[] = [];
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
        for (const wide of [false, true]) sources.push(renderScan(k, wide, variant));
      }
      compile(sources);
    });
    test("scatters", () => {
      const sources: CudaSource[] = [];
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
          sources.push(renderScatter(k, false, variant, 1));
        }
      }
      compile(sources);
    });
    test("atomic scatters", () => {
      const sources: CudaSource[] = [];
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
          sources.push(renderScatter(k, false, "atomic", 1));
        }
      }
      compile(sources, ["sm_80"]);
    });
    test("sorting, searching, products", () => {
      const sources = (["bool", "int64", "float16", "float32", "complex128"] as const).flatMap((dtype) => [
        renderSortTile(dtype, true),
        renderSortMerge(dtype, true, false),
        renderSearch(dtype, true),
        renderMatmul(dtype),
        ...(dtype === "complex128" ? [] : [renderRadixCount(dtype), renderRadixMove(dtype, true)]),
      ]);
      compile([...sources, renderRadixOffsets()], ["sm_90"]);
      compile([renderRadixOffsets()], ["sm_80"]);
    });
    test("one kernel is machine code, with a report", () => {
      const { text } = renderRadixOffsets();
      const { cubin, messages, report } = compileOne(nvrtc, { text, architecture: "sm_90" });
      assert.deepEqual([...cubin.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
      assert.equal(messages, "");
      assert.ok(report.registers > 0);
    });
    test("an error names the function and has the compiler's message", () => {
      const text = 'extern "C" __global__ void f() { nothing(); }';
      assert.throws(() => compileOne(nvrtc, { text, architecture: "sm_80" }), (error: Error) => {
        assert.ok(error instanceof NativeError);
        return /^nvrtcCompileProgram: NVRTC_ERROR_COMPILATION \(6\): .*nothing/s.test(error.message);
      });
    });
    test("many in a program: each has its own report, and an error is told of the kernel that has it", () => {
      const kernel = (bounds: string, body: string) =>
        `extern "C" __global__ void ${bounds} tnp_kernel(float *x) { ${body} }\n`;
      // 64 values at once where a thread may have 32 registers.
      const crowded = "float v[64]; for (int i = 0; i < 64; i++) v[i] = x[i]; __syncthreads();" +
        "for (int i = 0; i < 64; i++) x[63 - i] = v[i] * v[i];";
      const texts = [
        kernel("", "x[0] = 1;"),
        kernel("__launch_bounds__(1024, 2)", crowded),
        kernel("", "x[0] = y;"),
        kernel("", crowded),
      ];
      const at = (some: readonly string[]) =>
        compileJobs(nvrtc, some.map((text) => ({ text, architecture: "sm_90" }))).map((outcome) =>
          typeof outcome === "string" ? outcome : outcome.spills > 0 ? "spills" : "fits"
        );
      const [first, second, wrong, last] = at(texts);
      assert.deepEqual([first, second, last], ["fits", "spills", "fits"]);
      assert.match(wrong!, /identifier "y" is undefined/);
      assert.deepEqual(at(texts.filter((_, i) => i !== 2)), ["fits", "spills", "fits"]);
    });
    if (runtime.name === "node" && process.env["TNP_CC"] !== "none") {
      test("what the tables launch, without spills where it is compiled as on a GPU", async () => {
        const sources = await captureTables();
        const isTelling = telling(), jobs: (Job & Captured)[] = [];
        let others = 0;
        for (const source of sources) {
          if (full) jobs.push(...architectures.map((architecture) => ({ ...source, architecture })));
          else {
            const fast = !isTelling(source);
            if (fast && others++ % 8 > 0) continue;
            jobs.push({ ...source, architecture: architectures[jobs.length % 2]!, fast });
          }
        }
        const whole = jobs.filter(({ fast }) => !fast).length;
        const start = performance.now();
        const { outcomes, fresh } = await compileAll(nvrtc, jobs);
        const seconds = ((performance.now() - start) / 1000).toFixed(0);
        const all = sources.length;
        const what = full
          ? `${all} of ${all} kernels as on a GPU, for ${architectures.join(" and ")}`
          : `${whole} of ${all} kernels as on a GPU; every eighth of the others, short ones of loops and operations that these ` +
            `have, hardly optimised; for ${architectures.join(" or ")} in turn`;
        console.log(
          `NVRTC ${nvrtc.version}: ${what}; ${fresh} of ${jobs.length} compiled now, in ${seconds} s`,
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
        assert.ok(all > 12_000 && whole > 1500);
      });
    }
  });
}
