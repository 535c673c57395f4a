/** Kernels and routines on a GPU: every operation against real NumPy, every variant against the CPU. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import { gpu, runCuda } from "./support/cuda.ts";
import { type NDArray, tnp } from "../mod.ts";
import { radixPays } from "../kernels/cuda.ts";
import type { BinaryOp, Expr, UnaryOp } from "../kernels/expr.ts";
import { type DType, dtypes, type ScalarType, type TypedArray, typedArrays } from "../src/base/dtype.ts";
import { getDevice } from "../src/device/registry.ts";
import { readJson } from "./golden/read.ts";
import { b, kernel, load, memory, operand, output } from "./support/kernels.ts";
import { difference } from "./tables/compare.ts";

interface Entry {
  readonly x: string;
  readonly y: string;
  readonly unary: Readonly<Record<string, string>>;
  readonly binary: Readonly<Record<string, string>>;
  readonly cast: Readonly<Record<string, string>>;
}

function decode(dtype: ScalarType, text: string): TypedArray {
  const bytes = Buffer.from(text, "base64");
  const m = memory(dtype, bytes.length / typedArrays[dtype].BYTES_PER_ELEMENT);
  new Uint8Array(m.buffer as ArrayBuffer).set(bytes);
  return m;
}

const golden = (dtype: DType, m: TypedArray) => ({
  dtype,
  shape: [m.length],
  bytes: new Uint8Array(m.buffer as ArrayBuffer, 0, m.byteLength),
});

const exact = new Set(
  ("neg abs sign not floor ceil trunc rint sqrt isnan isinf isfinite signbit popcount add sub mul div floordiv mod fmod copysign " +
    "nextafter max min fmax fmin and or xor shl shr gcd lt le eq ne cast").split(" "),
);

/** Points that NumPy sees otherwise: as in the tests of the other engines. */
function excused(op: string, dtype: ScalarType, x: number, y: number): boolean {
  if (/^f?(?:max|min)$/.test(op) && x === 0 && y === 0) return true;
  if (op === "lgamma" && x < 0) return true;
  if (dtype === "bfloat16") return op === "floordiv" || op === "mod" || op === "popcount" || op === "signbit";
  return op === "signbit" && x !== x;
}

if (gpu === null) {
  test("cuda: without a GPU and a C++ compiler for the emulator, asking for one tells what is missing", () => {
    assert.throws(() => getDevice("GPU:0"), /GPU:0 is not there; available: CPU:0; CUDA driver: /);
  });
} else {
  const device = gpu;
  describe("cuda operations are NumPy's", () => {
    const entries = readJson("kernels.json") as Record<ScalarType, Entry>;
    for (const dtype of Object.keys(entries) as ScalarType[]) {
      test(dtype, () => operations(dtype, entries[dtype]));
    }
  });

  const operations = (dtype: ScalarType, entry: Entry) => {
    const x = decode(dtype, entry.x), y = decode(dtype, entry.y);
    const cases: { op: string; expr: Expr; want: TypedArray }[] = [];
    const add = (op: string, expr: Expr, text: string) => cases.push({ op, expr, want: decode(expr.dtype, text) });
    for (const [op, text] of Object.entries(entry.unary)) {
      add(op, b.unary(op as Exclude<UnaryOp, "cast">, load(0, dtype)), text);
    }
    for (const [op, text] of Object.entries(entry.binary)) {
      let right = load(1, dtype);
      if (op === "pow" && dtypes[dtype].kind === "i") {
        right = b.where(b.binary("lt", right, b.const(dtype, 0)), b.const(dtype, 0), right);
      }
      add(op, b.binary(op as BinaryOp, load(0, dtype), right), text);
    }
    for (const [to, text] of Object.entries(entry.cast)) add("cast", b.cast(load(0, dtype), to as ScalarType), text);
    const k = kernel({
      operands: [operand(dtype), operand(dtype)],
      body: cases.map((c) => c.expr),
      outputs: cases.map((c) => output(c.expr.dtype)),
      comment: `every operation of ${dtype}`,
    });
    const got = cases.map((c) => memory(c.expr.dtype, x.length));
    runCuda(device, k, {
      sizes: [x.length],
      operands: [{ data: x, strides: [1] }, { data: y, strides: [1] }],
      outputs: got.map((data) => ({ data, strides: [1] })),
    });
    const wrong: string[] = [];
    cases.forEach(({ op, expr, want }, j) => {
      const result = got[j]! as { [i: number]: unknown } & TypedArray;
      for (let i = 0; i < want.length; i++) {
        if (excused(op, dtype, Number(x[i]), Number(y[i]))) (want as { [i: number]: unknown })[i] = result[i];
      }
      const ulp = exact.has(op) ? 0 : 5;
      const found = difference(golden(expr.dtype, result), golden(expr.dtype, want), { ulp, anyZero: true });
      if (found !== null) wrong.push(`${op}(${dtype}): ${found}`);
    });
    assert.deepEqual(wrong, []);
  };

  /** Uniform whole numbers, always the same. */
  const draws = (n: number, below: number, seed = 1): Float64Array => {
    let s = seed * 2654435761 >>> 0;
    return Float64Array.from({ length: n }, () => {
      s = Math.imul(s, 1664525) + 1013904223 >>> 0;
      return Math.floor(s / 2 ** 32 * below);
    });
  };
  const on = <T>(name: string, fn: () => T): T => tnp.device(name, fn);
  /** The same arrays on both devices give the same result, within some units in the last place. */
  const same = (make: () => NDArray[], f: (...xs: NDArray[]) => NDArray, ulp = 0, what = ""): void => {
    const results = ["GPU:0", "CPU:0"].map((name) =>
      on(name, () => {
        const y = f(...make());
        assert.equal(y.device, name);
        const data = y.dataSync();
        return {
          dtype: y.dtype as DType,
          shape: y.shape,
          bytes: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
        };
      })
    );
    const found = difference(results[0]!, results[1]!, { ulp, complexUlp: ulp });
    assert.equal(found, null, what);
  };
  const array = (shape: readonly number[], dtype: DType, below = 100, seed = 1): NDArray =>
    tnp.array(draws(shape.reduce((x, y) => x * y, 1), below, seed)).reshape([...shape]).astype(dtype) as NDArray;

  describe("cuda reductions", () => {
    // Rows and columns such that every variant has its turn, with and without parts.
    const shapes = [[300, 7], [37, 500], [3, 5000], [1, 40000], [2000, 9], [5000, 33]] as const;
    for (const [rows, columns] of shapes) {
      test(`sums and positions of ${rows} x ${columns}, over each axis`, () => {
        for (const axis of [0, 1]) {
          same(() => [array([rows, columns], "float64")], (x) => tnp.sum(x, axis), 0, `sum over axis ${axis}`);
          same(
            () => [array([rows, columns], "int32", 1000)],
            (x) => tnp.argmax(x, axis),
            0,
            `argmax over axis ${axis}`,
          );
        }
        same(() => [array([rows, columns], "float32", 3)], (x) => tnp.sum(x), 0, "sum of all");
      });
    }
    test("of every dtype", () => {
      for (const dtype of ["bool", "uint8", "int64", "float16", "bfloat16", "complex64", "complex128"] as const) {
        same(() => [array([3, 4100], dtype, 2)], (x) => tnp.max(x, 1), 0, `max of ${dtype}`);
        same(() => [array([2, 70], dtype, 2)], (x) => tnp.sum(x, 1), 0, `sum of ${dtype}`);
      }
      same(() => [array([2, 5000], "bool", 2)], (x) => tnp.any(x, 1));
      same(
        () => [tnp.add(1, tnp.multiply(array([3, 2000], "complex128", 2), 1e-9))],
        (x) => tnp.prod(x, 1),
        64,
        "complex product",
      );
    });
    test("over several axes, and of transposed arrays", () => {
      same(() => [array([6, 70, 5, 40], "float64")], (x) => tnp.sum(x, [1, 3]));
      same(() => [array([40, 5, 70, 6], "float64")], (x) => tnp.sum(x.T, [0, 2]));
      same(() => [array([30, 40, 50], "float64")], (x) => tnp.max(tnp.transpose(x, [2, 0, 1]), 0));
    });
    test("with a producer and an epilogue", () => {
      same(() => [array([64, 2000], "float64")], (x) => tnp.sqrt(tnp.sum(tnp.multiply(x, x), 1)));
    });
  });

  describe("cuda transposes", () => {
    test("beside arrays that are not, of every size of element", () => {
      for (const dtype of ["uint8", "float16", "float32", "int64", "complex64", "complex128"] as const) {
        same(
          () => [array([190, 180], dtype), array([180, 190], dtype, 50, 2)],
          (x, y) => tnp.add(tnp.multiply(x.T, 2), y),
          0,
          dtype,
        );
      }
    });
    test("as copies, of any rank, and for libraries", () => {
      const orders = [[2, 1, 0], [1, 2, 0], [2, 0, 1], [1, 0, 2]];
      for (const order of orders) same(() => [array([33, 50, 40], "float32")], (x) => tnp.transpose(x, order).add(0));
      same(() => [array([60, 700], "float32", 5000)], (x) => tnp.sort(x.T));
      same(() => [array([60, 700], "float32", 5000)], (x) => tnp.sort(x, 0));
      same(() => [array([8, 9, 10, 11, 6], "int16")], (x) => tnp.add(x.T, 1));
    });
  });

  describe("cuda running sums", () => {
    for (const shape of [[3, 50], [2, 3000], [1, 30000], [500, 90]] as const) {
      test(`of ${shape.join(" x ")}, over each axis`, () => {
        for (const axis of [0, 1]) same(() => [array(shape, "int64", 1000)], (x) => tnp.cumsum(x, axis));
        same(() => [array(shape, "float64", 3)], (x) => tnp.cumsum(x));
      });
    }
    test("of complex products", () => {
      same(() => [tnp.add(1, tnp.multiply(array([2000], "complex128", 2), 1e-9))], (x) => tnp.cumprod(x), 64);
    });
  });

  describe("cuda scatters keep NumPy's order", () => {
    for (const count of [20, 3000]) {
      test(`${count} updates, many to the same place`, () => {
        const index = () => array([count], "int64", 11, 3);
        for (const mode of ["set", "add", "min", "max", "multiply"] as const) {
          same(
            () => [array([11], "float64"), index(), tnp.divide(array([count], "float64", 1000, 5), 7)],
            (x, i, v) => x.with([i], v, mode === "set" ? {} : { mode }),
            0,
            mode,
          );
        }
        for (const dtype of ["int64", "uint32"] as const) {
          for (const mode of ["add", "max"] as const) {
            const make = () => [array([11, 3], dtype), index(), array([count, 3], dtype, 1000, 5)];
            same(make, (x, i, v) => x.with([i], v, { mode }), 0, `${mode} of ${dtype}`);
          }
        }
        same(
          () => [array([11, 6], "float32"), index(), tnp.divide(array([count, 6], "float32", 100, 5), 7)],
          (x, i, v) => x.with([i], v, { mode: "add" }),
          0,
          "rows",
        );
        same(
          () => [array([4, 11], "complex64"), index(), array([4, count], "complex64", 100, 5)],
          (x, i, v) => x.with([":", i], v, { mode: "add" }),
          0,
          "columns",
        );
      });
    }
  });

  describe("cuda scatters of many updates sort their places by counting", () => {
    const count = 17_000;
    const values = (dtype: DType = "float64") => tnp.divide(array([count], dtype, 1000, 5), 7);
    test("few places and many, in one pass and several", () => {
      assert.ok(radixPays("int64", count) && !radixPays("int64", 3000));
      for (const places of [11, 5000, 200_000]) {
        same(
          () => [array([places], "float64"), array([count], "int64", places, 3), values()],
          (x, i, v) => x.with([i], v, { mode: "add" }),
          0,
          `${places} places`,
        );
      }
    });
    test("the last of equal ones wins, and products keep their order", () => {
      const make = () => [array([90], "float32"), array([count], "int64", 90, 3), tnp.divide(values("float32"), 20)];
      same(make, (x, i, v) => x.with([i], v), 0, "set");
      same(make, (x, i, v) => x.with([i], v, { mode: "multiply" }), 0, "multiply");
    });
    test("rows, and places that are read backwards", () => {
      same(
        () => [
          array([70, 2], "float32"),
          array([count], "int64", 140, 3),
          tnp.divide(array([count, 2], "float32", 90, 5), 7),
        ],
        (x, i, v) => x.with([tnp.subtract(i, 70)], v, { mode: "add" }),
        0,
        "rows",
      );
    });
  });

  describe("cuda sorting", () => {
    const floats = () =>
      tnp.where(tnp.equal(array([3, 700], "int64", 9, 2), 0), NaN, tnp.subtract(array([3, 700], "float64", 50), 25));
    test("floats with NaN, in rows of several tiles", () => {
      for (const dtype of ["float32", "float16", "float64"] as const) {
        same(() => [floats().astype(dtype)], (x) => tnp.sort(x), 0, dtype);
        same(() => [floats().astype(dtype)], (x) => tnp.argsort(x), 0, dtype);
      }
    });
    test("many tiles, few values, other dtypes, other axes", () => {
      for (const dtype of ["int64", "uint8", "bool"] as const) {
        same(() => [array([2600], dtype, 200)], (x) => tnp.argsort(x), 0, dtype);
      }
      same(() => [array([5, 3], "int16", 200)], (x) => tnp.sort(x, 0));
      same(
        () => [
          tnp.add(
            array([600], "complex64", 5),
            tnp.multiply(array([600], "complex64", 4, 9), tnp.array([{ re: 0, im: 1 }])),
          ),
        ],
        (x) => tnp.sort(x),
      );
    });
    test("search on either side", () => {
      for (const side of ["left", "right"] as const) {
        same(
          () => [tnp.sort(array([900], "float32", 50)), array([20, 3], "float32", 60, 4)],
          (x, v) => tnp.searchsorted(x, v, { side }),
        );
      }
    });
  });

  describe("cuda matrix products", () => {
    const products = (dtype: DType, ulp: number) => {
      same(() => [array([17, 33], dtype, 9), array([33, 20], dtype, 9, 2)], (x, y) => tnp.matmul(x, y), ulp, "plain");
      same(
        () => [array([33, 17], dtype, 9), array([20, 33], dtype, 9, 2)],
        (x, y) => tnp.matmul(x.T, y.T),
        ulp,
        "both transposed",
      );
      same(() => [array([3, 4, 5], dtype, 9), array([3, 5, 6], dtype, 9, 2)], (x, y) => tnp.matmul(x, y), ulp, "batch");
      same(
        () => [array([2, 1, 4, 5], dtype, 9), array([3, 5, 6], dtype, 9, 2)],
        (x, y) => tnp.matmul(x, y),
        ulp,
        "two axes",
      );
      same(
        () => [array([8, 10], dtype, 9), array([10], dtype, 9, 2)],
        (x, y) => tnp.matmul(x.at("::-2", "::2"), y.at("::2")),
        ulp,
        "steps",
      );
    };
    for (const dtype of ["float32", "float64", "float16", "bfloat16", "complex64", "complex128"] as const) {
      test(`of ${dtype}`, () => products(dtype, 0));
    }
    test("of integers and bools, by the generated kernel", () => {
      for (const dtype of ["int64", "uint8", "bool"] as const) products(dtype, 0);
    });
    test("with bias and activation", () => {
      same(
        () => [array([9, 12], "float32", 9), array([12, 7], "float32", 9, 2), array([7], "float32", 400, 3)],
        (x, w, bias) => tnp.maximum(tnp.subtract(tnp.matmul(x, w), bias), 0),
      );
    });
  });

  test("cuda random numbers are the CPU's", () => {
    same(() => {
      tnp.random.seed(7);
      return [tnp.random.uniform(0, 1, [1000]) as NDArray];
    }, (x) => x);
  });
}
