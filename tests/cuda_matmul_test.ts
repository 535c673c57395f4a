/** Matrix products on the GPU: which library does them, with what along the way, and that the numbers are the CPU's. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emulator, gpu, realGpu } from "./support/cuda.ts";
import { type NDArray, nodeOf } from "../src/array.ts";
import type { DType } from "../src/base/dtype.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { tnp } from "../mod.ts";
import { runChild } from "./support/child.ts";
import { gelu, relu } from "./support/cuda_products.ts";
import { difference } from "./tables/compare.ts";
import type { Tolerance } from "./tables/ops.ts";

const on = <T>(name: string, fn: () => T): T => tnp.device(name, fn);
const exact: Tolerance = { ulp: 0, anyZero: true };

/** Small whole numbers, stored: exact in every dtype, and so are their products. */
function integers(shape: readonly number[], dtype: DType = "float32", seed = 1): NDArray {
  let state = seed * 7919;
  const values = Float64Array.from({ length: shape.reduce((x, y) => x * y, 1) }, () => {
    state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff;
    return (state >>> 8) % 9 - 4;
  });
  return stored(tnp.array(values).reshape([...shape]).astype(dtype) as NDArray);
}

/** Computes an array, so that later launches are not its. */
function stored(x: NDArray): NDArray {
  evaluate([nodeOf(x)]);
  return x;
}

interface Result {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

function result(x: NDArray): Result {
  const data = x.dataSync();
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return { dtype: x.dtype as DType, shape: x.shape, bytes };
}

/** The same work on both devices gives the same result. */
function same(work: () => NDArray, what: string, tolerance: Tolerance = exact): void {
  const [got, want] = ["GPU:0", "CPU:0"].map((name) => on(name, () => tnp.scope(() => result(work())))) as Result[];
  assert.equal(difference(got!, want!, tolerance), null, what);
}

if (gpu === null) {
  test("cuda products: no GPU here", () => assert.equal(realGpu, false));
} else {
  describe("cuda products are the CPU's", () => {
    const floats = ["float32", "float64", "float16", "bfloat16", "complex64", "complex128"] as const;
    for (const dtype of [...floats, "int32", "bool"] as const) {
      test(`of ${dtype} in every layout`, () => {
        const x = (...shape: number[]) => integers(shape, dtype, 1),
          y = (...shape: number[]) => integers(shape, dtype, 2);
        same(() => tnp.matmul(x(7, 33), y(33, 5)), "dense");
        same(() => tnp.matmul(x(33, 7).T, y(33, 5)), "left one transposed");
        same(() => tnp.matmul(x(7, 33), y(5, 33).T), "right one transposed");
        same(() => tnp.matmul(x(33, 7).T, y(5, 33).T), "both transposed");
        same(() => tnp.matmul(x(7, 40).at(":", "3:36"), y(40, 9).at("7:", "1:6")), "inner parts");
        same(() => tnp.matmul(x(14, 66).at("::-2", "::2"), y(66, 5).at("::-2")), "steps");
        same(() => tnp.matmul(x(33), y(33, 5)), "a row");
        same(() => tnp.matmul(x(7, 33), y(33)), "a column");
        same(() => tnp.matmul(x(33), y(33)), "one number");
        same(() => tnp.matmul(x(7, 1), y(1, 5)), "outer");
        same(() => tnp.matmul(x(3, 4, 5), y(3, 5, 6)), "batch");
        same(() => tnp.matmul(x(3, 4, 5), y(5, 6)), "batch with one right side");
        same(() => tnp.matmul(x(4, 5), y(3, 5, 6)), "batch with one left side");
        same(() => tnp.matmul(x(2, 1, 4, 5), y(3, 5, 6)), "batches of two axes that repeat");
        same(() => tnp.matmul(x(2, 3, 4, 5), y(2, 3, 6, 5).transpose([0, 1, 3, 2])), "transposed in a batch");
        same(() => tnp.matmul(x(4, 3, 5).transpose([1, 0, 2]), y(5, 3, 6).transpose([1, 0, 2])), "batch axis inside");
        same(() => tnp.matmul(tnp.broadcast_to(x(1, 5), [4, 5]), tnp.broadcast_to(y(5, 1), [5, 6])), "repeated rows");
      });
    }
    test("of nothing", () => {
      for (
        const [a, b] of [[[0, 3], [3, 4]], [[3, 0], [0, 4]], [[2, 3], [3, 0]], [[0, 2, 3], [0, 3, 4]], [[2, 0], [0, 0]]]
      ) {
        for (const dtype of ["float32", "float64", "int64"] as const) {
          same(() => tnp.matmul(tnp.zeros(a!, { dtype }), tnp.zeros(b!, { dtype })), `${a} and ${b}`);
        }
      }
      same(() => tnp.matmul(tnp.zeros([3, 0]), tnp.zeros([0, 4])).add(tnp.arange(4)), "a sum of none, and a bias");
    });
    test("of numbers with fractions", () => {
      const wave = (shape: number[], dtype: DType) =>
        tnp.sin(tnp.arange(shape.reduce((x, y) => x * y, 1)).mul(0.37)).reshape(shape).astype(dtype) as NDArray;
      const near: readonly (readonly [DType, Tolerance])[] = [
        ["float32", { ulp: 8, floor: 40 }],
        ["float64", { ulp: 8, floor: 40 }],
        ["float16", { ulp: 1, halfUlp: 1, floor: 64 }],
        ["bfloat16", { ulp: 1, halfUlp: 1, floor: 64 }],
      ];
      for (const [dtype, tolerance] of near) {
        same(() => tnp.matmul(wave([9, 120], dtype), wave([120, 11], dtype)), dtype, tolerance);
        const layer = () => tnp.matmul(wave([9, 120], dtype), wave([120, 16], dtype)).add(stored(wave([16], dtype)));
        same(layer, `${dtype} with a bias`, tolerance);
        same(() => gelu(layer() as NDArray), `${dtype} with GELU`, { ...tolerance, floor: 80 });
      }
    });
    test("with infinities and NaN", () => {
      const x = () => stored(tnp.array([[1, 2], [NaN, 1], [Infinity, 1], [-Infinity, 0]]).astype("float32") as NDArray);
      const w = () => stored(tnp.array([[1, -1, 0, 2], [3, -5, 1, 0]]).astype("float32") as NDArray);
      const bias = () => stored(tnp.array([0, 1, NaN, -8]).astype("float32") as NDArray);
      const h = () => tnp.matmul(x(), w()).add(bias()) as NDArray;
      same(h, "bias");
      same(() => tnp.maximum(h(), 0), "maximum keeps NaN");
      same(() => tnp.fmax(h(), 0), "fmax drops NaN");
      same(() => relu(h()), "where drops NaN");
      same(() => tnp.where(tnp.less(h(), 0), 0, h()), "where keeps NaN");
    });
  });
}

if (gpu !== null && emulator !== null) {
  const device = gpu, tool = emulator;
  const calls = (name: string) => tool.fail(name, 0, 0);
  const counted = ["cuLaunchKernel", "cublasLtMatmul", "cublasGemmStridedBatchedEx"] as const;
  /** What computing an array on the GPU launches: kernels, products by cublasLt, by cuBLAS. */
  const launches = (work: () => NDArray): number[] =>
    on("GPU:0", () => {
      const before = counted.map(calls);
      stored(work());
      return counted.map((name, i) => calls(name) - before[i]!);
    });

  describe("cuda dense layers are one call", () => {
    const layer = (dtype: DType): () => NDArray => {
      const [x, w, bias] = on(
        "GPU:0",
        () => [integers([6, 10], dtype), integers([10, 16], dtype), integers([16], dtype)],
      );
      return () => tnp.matmul(x!, w!).add(bias!) as NDArray;
    };
    const product = (dtype: DType): () => NDArray => {
      const [x, w] = on("GPU:0", () => [integers([6, 10], dtype), integers([10, 16], dtype)]);
      return () => tnp.matmul(x!, w!) as NDArray;
    };
    const scale = Math.sqrt(2 / Math.PI);
    const one = [0, 1, 0], andKernel = [1, 1, 0];
    for (const dtype of ["float32", "float16", "bfloat16"] as const) {
      test(`of ${dtype}: bias, ReLU, GELU and both`, () => {
        const h = layer(dtype), p = product(dtype);
        assert.deepEqual(launches(p), one, "product");
        assert.deepEqual(launches(h), one, "bias");
        assert.deepEqual(launches(() => relu(h())), one, "bias and ReLU");
        assert.deepEqual(launches(() => relu(p())), one, "ReLU");
        assert.deepEqual(launches(() => tnp.fmax(h(), 0) as NDArray), one, "bias and fmax");
        assert.deepEqual(launches(() => tnp.fmax(0, p()) as NDArray), one, "fmax");
        assert.deepEqual(launches(() => gelu(h())), one, "bias and GELU");
        assert.deepEqual(launches(() => gelu(p())), one, "GELU");
      });
    }
    test("however GELU is written", () => {
      const h = layer("float32");
      const written: readonly ((y: NDArray) => NDArray)[] = [
        (y) => y.div(2).mul(tnp.tanh(y.mul(scale).mul(y.mul(y).mul(0.044715).add(1))).add(1)) as NDArray,
        (y) =>
          tnp.tanh(tnp.add(y.mul(scale), tnp.power(y, 3).mul(0.044715 * scale))).mul(0.5).add(0.5).mul(y) as NDArray,
        (y) => y.mul(tnp.add(1, tnp.tanh(y.add(y.mul(y).mul(y).mul(0.044715)).mul(0.7978845608)))).mul(0.5) as NDArray,
      ];
      for (const [i, f] of written.entries()) assert.deepEqual(launches(() => f(h())), one, `form ${i}`);
    });
    test("and other functions are a kernel's", () => {
      const h = layer("float32");
      const others: Readonly<Record<string, (y: NDArray) => NDArray>> = {
        "maximum, which keeps NaN": (y) => tnp.maximum(y, 0) as NDArray,
        "where that keeps NaN": (y) => tnp.where(tnp.less(y, 0), 0, y) as NDArray,
        "ReLU from another number": (y) => tnp.fmax(y, 0.5) as NDArray,
        "GELU with another constant": (y) =>
          y.mul(0.5).mul(tnp.tanh(y.add(tnp.power(y, 3).mul(0.05)).mul(scale)).add(1)) as NDArray,
        "GELU of another power": (y) =>
          y.mul(0.5).mul(tnp.tanh(y.add(tnp.power(y, 2).mul(0.044715)).mul(scale)).add(1)) as NDArray,
        "tanh": (y) => tnp.tanh(y),
        "twice the bias": (y) => y.mul(2) as NDArray,
      };
      for (const [name, f] of Object.entries(others)) {
        assert.deepEqual(launches(() => f(h())), andKernel, name);
        same(() => f(tnp.matmul(integers([3, 4]), integers([4, 8])).add(integers([8])) as NDArray), name, { ulp: 8 });
      }
    });
    test("and what the library lacks is a kernel's: activations of float64, bias of complex numbers", () => {
      assert.deepEqual(launches(layer("float64")), one);
      assert.deepEqual(launches(() => relu(layer("float64")())), andKernel);
      assert.deepEqual(launches(() => gelu(layer("float64")())), andKernel);
      assert.deepEqual(launches(layer("complex64")), andKernel);
    });
    test("and a bias along another axis, of another dtype, or out of step is a kernel's", () => {
      const [x, w, column, row] = on("GPU:0", () => [
        integers([6, 10]),
        integers([10, 16]),
        integers([6, 1]),
        integers([33]),
      ]);
      const h = () => tnp.matmul(x!, w!);
      assert.deepEqual(launches(() => h().add(column!) as NDArray), andKernel, "column");
      assert.deepEqual(launches(() => h().add(row!.at("::2").at(":16")) as NDArray), andKernel, "every second");
      assert.deepEqual(launches(() => h().add(row!.at("1:17")) as NDArray), andKernel, "at an odd address");
      assert.deepEqual(launches(() => h().add(row!.at("4:20")) as NDArray), one, "at an aligned address");
      same(() => tnp.matmul(integers([6, 10]), integers([10, 16])).add(integers([33]).at("1:17")), "odd address");
      same(() => tnp.matmul(integers([6, 10]), integers([10, 16])).add(integers([6, 1])), "column");
    });
    test("in batches, each with its bias or with one for all", () => {
      const [x, w, one1, each] = on("GPU:0", () => [
        integers([3, 4, 5]),
        integers([3, 5, 8], "float32", 2),
        integers([8]),
        integers([3, 1, 8]),
      ]);
      assert.deepEqual(launches(() => relu(tnp.matmul(x!, w!).add(one1!) as NDArray)), one);
      assert.deepEqual(launches(() => relu(tnp.matmul(x!, w!).add(each!) as NDArray)), one);
      const make = () => tnp.matmul(integers([3, 4, 5]), integers([3, 5, 8], "float32", 2));
      same(() => make().add(integers([8])), "one bias");
      same(() => make().add(integers([3, 1, 8])), "a bias each");
      same(() => tnp.matmul(integers([2, 3, 4, 5]), integers([3, 5, 8])).add(integers([2, 1, 1, 8])), "two axes");
      same(() => tnp.matmul(integers([2, 3, 4, 5]), integers([5, 8])).add(integers([8])), "one weight");
      same(() => tnp.matmul(integers([3, 4, 5]), integers([5, 8])).add(integers([3, 1, 8])), "one weight, a bias each");
      same(() => make().add(integers([3, 1, 8]).at("::-1")), "biases backwards");
      same(() => make().add(integers([3, 1, 9]).at(":", ":", ":8")), "biases out of step");
    });
    test("also with numbers that change from call to call", () => {
      const h = layer("float32");
      const f = tnp.function((y: NDArray, low: NDArray) => tnp.fmax(y, low));
      for (const low of [0, 2, 0, -1]) {
        const [got, want] = on("GPU:0", () => [
          (tnp.fmax(h(), low) as NDArray).toArray(),
          on("GPU:0", () => f(h(), tnp.asarray(low, { dtype: "float32" }))).toArray(),
        ]);
        assert.deepEqual(got, want, `from ${low}`);
      }
    });
    test("in a traced function, and a replay asks for nothing anew", () => {
      const [x, w, bias] = on("GPU:0", () => [integers([6, 30]), integers([30, 16]), integers([16])]);
      const f = tnp.function((x: NDArray, w: NDArray, bias: NDArray) => relu(tnp.matmul(x, w).add(bias) as NDArray));
      const first = on("GPU:0", () => f(x!, w!, bias!).toArray());
      const names = [
        "cublasLtMatmulAlgoGetHeuristic",
        "cublasLtMatmulDescCreate",
        "cuLaunchKernel",
        "cuStreamSynchronize",
      ];
      const before = names.map(calls), products = calls("cublasLtMatmul");
      on("GPU:0", () => {
        for (let i = 0; i < 5; i++) f(x!, w!, bias!).dispose();
      });
      assert.deepEqual(names.map(calls), before);
      assert.equal(calls("cublasLtMatmul"), products + 5);
      assert.deepEqual(on("GPU:0", () => f(x!, w!, bias!).toArray()), first);
    });
  });

  describe("cuda plans of products", () => {
    test("are kept by problem, up to a bound", () => {
      const asked = "cublasLtMatmulAlgoGetHeuristic";
      const multiply = (n: number) =>
        on("GPU:0", () => tnp.scope(() => void tnp.matmul(integers([2, n]), integers([n, 3])).dataSync()));
      multiply(5);
      const before = calls(asked);
      multiply(5);
      assert.equal(calls(asked), before);
      for (let n = 1; n <= 300; n++) multiply(n);
      assert.ok(calls(asked) - before >= 290, String(calls(asked) - before));
      assert.ok(tool.live("ltDesc") <= 256, String(tool.live("ltDesc")));
      assert.equal(tool.live("ltLayout"), 3 * tool.live("ltDesc"));
      assert.equal(tool.live("ltPreference"), 0);
      // One that was disposed is made again.
      multiply(5);
      same(() => tnp.matmul(integers([2, 5]), integers([5, 3])), "again");
    });
    test("share one workspace, and do without where memory is full", () => {
      device.close();
      const room = device.totalMemory - (8 << 20);
      const block = device.allocate(room);
      try {
        same(() => tnp.matmul(integers([40, 64]), integers([64, 30])), "without workspace");
      } finally {
        block.release();
      }
      device.close();
      const before = device.memoryStats().live;
      const multiply = (n: number) =>
        on("GPU:0", () => tnp.scope(() => void tnp.matmul(integers([n, 64]), integers([64, 30])).dataSync()));
      multiply(40);
      const after = device.memoryStats().live;
      assert.equal(after - before, 32 << 20);
      multiply(50);
      assert.equal(device.memoryStats().live, after);
    });
  });

  test("cuda products round to TF32 only where that is allowed", () => {
    const x = () => stored(tnp.full([4, 4], 1 + 2 ** -13, { dtype: "float32" }).mul(integers([4, 4])) as NDArray);
    const value = () => on("GPU:0", () => tnp.matmul(x(), tnp.eye(4, { dtype: "float32" })).toArray());
    const right = on("CPU:0", () => x().toArray());
    assert.deepEqual(value(), right);
    tnp.config.allow_tf32(true);
    try {
      assert.notDeepEqual(value(), right);
    } finally {
      tnp.config.allow_tf32(false);
    }
    assert.deepEqual(value(), right);
  });

  describe("cuda products find a library", () => {
    const cases: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
      ["cublasLt", {}, "cublasLt"],
      ["cublasLt without cuBLAS", { TNP_CUBLAS: "none" }, "cublasLt"],
      ["cuBLAS without cublasLt", { TNP_CUBLASLT: "none" }, "cuBLAS"],
      ["neither, hidden by one variable", { TNP_CUBLAS: "none", TNP_CUBLASLT: "" }, "kernels"],
    ];
    for (const [name, env, library] of cases) {
      for (const mode of ["lazy", "thread"]) {
        test(`${name}, and leave nothing behind (${mode})`, async () => {
          const ended = await runChild("cuda_matmul_child.ts", { ...env, CUEMU_MODE: mode, CUDA_CHILD: "products" });
          assert.equal(ended.code, 0, ended.err + ended.out);
          assert.equal(ended.out, `right\n${library}\nnothing left`, ended.err);
        });
      }
    }
    test("whose failures surface as their errors, and the next computation is right", async () => {
      const ended = await runChild("cuda_matmul_child.ts", { CUDA_CHILD: "faults" });
      assert.equal(ended.code, 0, ended.err + ended.out);
      assert.match(ended.out, /^\d\d faults surfaced$/);
    });
  });
}
