/**
 * The texts of all kinds of kernels through the real NVRTC, which needs no GPU: from TNP_TEST_NVRTC, a pip package or a toolkit. With
 * TNP_TEST_FULL=1 also every kernel that the other tests left in the emulator's cache.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { LibraryError, NativeError } from "../ffi/errors.ts";
import { Nvrtc, nvrtcSpec } from "../ffi/nvrtc.ts";
import {
  cudaFlags,
  type CudaSource,
  renderMap,
  renderMatmul,
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
import { acc, b, kernel, load, monoid, operand, output } from "./support/kernels.ts";

/** NVRTC, or why it is missing. */
function find(): Nvrtc | Error {
  const own = process.env["TNP_TEST_NVRTC"];
  try {
    return new Nvrtc({ ...nvrtcSpec(), env: own === undefined ? "TNP_NVRTC" : "TNP_TEST_NVRTC" });
  } catch (error) {
    return error as Error;
  }
}

const nvrtc = find();

if (!(nvrtc instanceof Nvrtc)) {
  test("cuda: without NVRTC the error tells where it was looked for", () => {
    assert.ok(nvrtc instanceof LibraryError);
    assert.match(nvrtc.message, /^NVRTC: (?:cannot open the library; set TNP_NVRTC|hidden by|Deno runs|Node calls)/);
  });
} else {
  const build = (source: CudaSource | string, architecture: string) => {
    const text = typeof source === "string" ? source : source.text;
    const { cubin, log } = nvrtc.compile(text, "kernel.cu", [`--gpu-architecture=${architecture}`, ...cudaFlags]);
    assert.deepEqual([...cubin.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
    assert.equal(log, "");
    return cubin;
  };
  const architectures = ["sm_80", "sm_90"];
  const everywhere = (source: CudaSource) => {
    for (const architecture of architectures) build(source, architecture);
  };

  /** Checks in the assembler's report that everything stays in registers. */
  const spills = ({ text }: CudaSource) => {
    const options = ["--gpu-architecture=sm_90", "--ptxas-options=-v", ...cudaFlags];
    const { log } = nvrtc.compile(text, "kernel.cu", options);
    assert.match(log, /0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads/);
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
      for (const variant of ["thread", "warp", "block", "columns", "merge"] as const) {
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
        for (const wide of [false, true]) everywhere(renderReduce(k, wide, variant));
        everywhere(renderReduce({ ...k, reduction: { ...k.reduction!, name: "other" } }, false, variant));
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
          ]
        ) {
          build(source, "sm_90");
        }
      }
    });
    test("an error names the function and has the compiler's message", () => {
      assert.throws(() => build('extern "C" __global__ void f() { nothing(); }', "sm_80"), (error: Error) => {
        assert.ok(error instanceof NativeError);
        return /^nvrtcCompileProgram: NVRTC_ERROR_COMPILATION \(6\): .*nothing/s.test(error.message);
      });
    });
    if (process.env["TNP_TEST_FULL"] === "1") {
      test("every kernel in the emulator's cache", () => {
        const folder = fileURLToPath(new URL("../.cache/cuda_emulator/kernels/", import.meta.url));
        const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".cu")) : [];
        for (const name of names) build(readFileSync(join(folder, name), "utf8"), "sm_90");
        assert.ok(names.length >= 0);
      });
    }
  });
}
