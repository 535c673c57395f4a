import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { type DType, dtypeInfo, isComplex, typedArrays } from "../src/base/dtype.ts";
import { sizeOf } from "../src/base/shape.ts";
import * as op from "../src/core/ops.ts";
import type { BatchArg, Primitive } from "../src/core/primitive.ts";
import { type PrimitiveName, prims } from "../src/core/registry.ts";
import { bind, context, type Node, type Recorder } from "../src/core/trace.ts";
import { currentDevice, getDevice } from "../src/device/registry.ts";
import { primitiveNames, primitives } from "../src/prims/mod.ts";
import { evaluate, fromBytes, readBytes } from "../src/transform/evaluate.ts";
import { describe, test } from "./support/suite.ts";
import { type InputSpec, type PrimCase, primCases } from "./tables/prims.ts";

const device = currentDevice();

/** A small generator of numbers in [0, 1), so that a failure is the same every time. */
function generator(seed: number): () => number {
  let s = seed >>> 0;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

/** A node of these numbers; complex ones interleaved. */
function node(values: readonly number[], shape: readonly number[], dtype: DType = "float64"): Node {
  const info = dtypeInfo(dtype);
  const array = new typedArrays[dtype](
    new ArrayBuffer(values.length * info.itemsize / info.components),
    0,
    values.length,
  );
  for (let i = 0; i < values.length; i++) {
    if (array instanceof BigInt64Array || array instanceof BigUint64Array) array[i] = BigInt(values[i]!);
    else array[i] = values[i]!;
  }
  return fromBytes(new Uint8Array(array.buffer), shape, dtype, device);
}

/** The numbers of a node; complex ones interleaved, 64-bit integers as numbers. */
function read(x: Node): number[] {
  x.hold();
  const bytes = readBytes(x);
  const { itemsize, components } = dtypeInfo(x.dtype);
  const array = new typedArrays[x.dtype](bytes.slice().buffer, 0, bytes.length / itemsize * components);
  return Array.from(array as ArrayLike<number | bigint>, Number);
}

function randomValues(spec: InputSpec, random: () => number, batch: readonly number[] = []): number[] {
  const { kind, components } = dtypeInfo(spec.dtype);
  const count = sizeOf([...batch, ...spec.shape]) * components;
  const values = Array.from({ length: count }, () => {
    const v = spec.low + random() * (spec.high - spec.low);
    return kind === "f" || kind === "c" ? v : Math.floor(v);
  });
  const line = spec.sorted ? spec.shape.at(-1)! : 1;
  return values.flatMap((_, i) => i % line === 0 ? values.slice(i, i + line).sort((a, b) => a - b) : []);
}

/** The plain reverse sweep: what a tape does, without its comforts. */
class Sweep implements Recorder {
  readonly #records: { node: Node; prim: Primitive; inputs: readonly Node[]; params: unknown }[] = [];

  static run<T>(fn: (sweep: Sweep) => T): T {
    const sweep = new Sweep();
    context.recorders = [...context.recorders, sweep];
    try {
      return fn(sweep);
    } finally {
      context.recorders = context.recorders.filter((r) => r !== sweep);
    }
  }

  record(node: Node, prim: Primitive, inputs: readonly Node[], params: unknown): void {
    for (const x of inputs) x.hold();
    this.#records.push({ node: node.hold(), prim, inputs, params });
  }

  gradient(y: Node, seed: Node, sources: readonly Node[]): (Node | null)[] {
    const records = [...this.#records];
    const watched = new Set(sources);
    for (const r of records) if (r.inputs.some((x) => watched.has(x))) watched.add(r.node);
    const cotangents = new Map<Node, Node>([[y, seed]]);
    for (const { node, prim, inputs, params } of records.reverse()) {
      const g = cotangents.get(node);
      if (g === undefined || prim.vjp === null) continue;
      const needs = inputs.map((x) => watched.has(x));
      prim.vjp(g, { inputs, output: node, params, needs }).forEach((c, i) => {
        if (c === null || !needs[i]) return;
        const x = inputs[i]!;
        assert.equal(c.dtype, x.dtype, `${prim.name}: cotangent of input ${i} has dtype ${c.dtype}`);
        const part = unbroadcast(c, x.shape);
        const before = cotangents.get(x);
        cotangents.set(x, before === undefined ? part : op.add(before, part));
      });
    }
    return sources.map((x) => cotangents.get(x) ?? null);
  }
}

/** A cotangent summed over the axes that broadcasting added or repeated. */
function unbroadcast(g: Node, shape: readonly number[]): Node {
  const extra = g.shape.length - shape.length;
  const axes = g.shape.map((_, i) => i).filter((i) => i < extra || (shape[i - extra] === 1 && g.shape[i] !== 1));
  return op.reshape(op.sum(g, axes), shape);
}

/** Re(sum(conj(w) y)): a real number whose gradient by y is w. */
function weigh(y: Node, w: Node): Node {
  const product = op.real(op.mul(op.conj(w), y));
  return op.sum(product, product.shape.map((_, i) => i));
}

/** Central differences of a real function of one input's numbers. */
function differences(fn: (values: readonly number[]) => number, values: readonly number[], h: number): number[] {
  return values.map((v, i) => (fn(values.with(i, v + h)) - fn(values.with(i, v - h))) / (2 * h));
}

function assertClose(got: readonly number[], want: readonly number[], tolerance: number, what: string): void {
  assert.equal(got.length, want.length, `${what}: length`);
  got.forEach((v, i) => {
    const w = want[i]!;
    const ok = Object.is(v, w) || v === w || Math.abs(v - w) <= tolerance * (1 + Math.abs(w)) ||
      (Number.isNaN(v) && Number.isNaN(w));
    assert.ok(ok, `${what}: got ${got}, expected ${want} (at ${i})`);
  });
}

const cases: [string, PrimitiveName, PrimCase][] = primitiveNames.flatMap((name) =>
  primCases[name].map((c, i): [string, PrimitiveName, PrimCase] => [`${name} ${i}`, name, c])
);

describe("records", () => {
  test("are named as the table names them", () => {
    for (const name of primitiveNames) assert.equal(primitives[name].name, name);
    assert.deepEqual(Object.keys(primCases).sort(), [...primitiveNames].sort());
    assert.equal(prims.add, primitives.add);
  });

  test("have every rule", () => {
    for (const name of primitiveNames) {
      const p = primitives[name];
      for (const rule of ["infer", "batch"] as const) assert.equal(typeof p[rule], "function", `${name}.${rule}`);
      assert.ok(p.vjp === null || typeof p.vjp === "function", `${name}.vjp`);
      assert.ok(
        ["map", "scalar", "iota", "view", "assemble", "reduce", "scan", "gather", "scatter", "routine"].includes(
          p.lower.as,
        ),
      );
    }
  });
});

describe("infer", () => {
  const x = () => node([1, 2, 3, 4, 5, 6], [2, 3]);
  const i32 = () => node([1, 2, 3], [3], "int32");
  const raises: [string, () => unknown, { name: string; message: string }][] = [
    ["dtypes that differ", () => op.add(x(), i32()), {
      name: "TypeError",
      message: "add: got dtypes float64 and int32, expected equal ones",
    }],
    ["shapes that do not broadcast", () => op.add(x(), node([1, 2], [2])), {
      name: "ShapeError",
      message: "add: operands could not be broadcast together with shapes [2, 3] [2]",
    }],
    ["a dtype without the function", () => op.sqrt(i32()), {
      name: "TypeError",
      message: "sqrt: got dtype int32, expected one of kind floating, complex",
    }],
    ["a size that does not fit", () => op.reshape(x(), [4, 2]), {
      name: "ShapeError",
      message: "reshape: cannot reshape array of size 6 into shape [4, 2]",
    }],
    ["no permutation", () => op.transpose(x(), [0, 0]), {
      name: "ShapeError",
      message: "transpose: got axes [0, 0], expected a permutation of 2",
    }],
    ["a region outside", () => op.slice(x(), [0, 1], [2, 3], [1, 1]), {
      name: "ShapeError",
      message: "slice: region of shape [2, 3] at [0, 1] by steps [1, 1] is not inside shape [2, 3]",
    }],
    ["a pad that does not fit", () => op.pad(x(), [2, 2], [0, 0], [1, 1]), {
      name: "ShapeError",
      message: "pad: region of shape [2, 3] at [0, 0] by steps [1, 1] is not inside shape [2, 2]",
    }],
    ["a broadcast that shrinks", () => op.broadcast(x(), [2]), {
      name: "ShapeError",
      message: "broadcast: cannot broadcast shape [2, 3] to [2]",
    }],
    ["shapes that do not join", () => op.concatenate([x(), node([1], [1, 1])], 0), {
      name: "ShapeError",
      message: "concatenate: got shapes [2, 3] and [1, 1], expected equal ones except along axis 0",
    }],
    ["an axis outside", () => op.sum(x(), [2]), {
      name: "ShapeError",
      message: "sum: got axis 2 for an input of shape [2, 3]",
    }],
    ["axes out of order", () => op.sum(x(), [1, 0]), {
      name: "ShapeError",
      message: "sum: got axes [1, 0], expected rising ones",
    }],
    ["a scan without axes", () => op.cumsum(node([1], []), 0), {
      name: "ShapeError",
      message: "cumsum: got axis 0 for an input of shape []",
    }],
    ["indices of a wrong dtype", () => op.gather(x(), [i32()], [0]), {
      name: "TypeError",
      message: "gather: got indices of dtype int32, expected int64",
    }],
    ["indices into nothing", () => op.gather(node([], [0, 2]), [node([0], [1], "int64")], [0]), {
      name: "IndexError",
      message: "gather: cannot index axis 0 of size 0 in shape [0, 2]",
    }],
    ["updates of a wrong shape", () => op.scatter(x(), node([1], [1]), [node([0], [1], "int64")], [0], "add"), {
      name: "ShapeError",
      message: "scatter: got updates of shape [1], expected [1, 3]",
    }],
    ["a sorted array of two axes", () => op.searchsorted(x(), x(), "left"), {
      name: "ShapeError",
      message: "searchsorted: got a sorted array of shape [2, 3], expected 1-d",
    }],
    ["a 0-d sort", () => op.sort(node([1], [])), {
      name: "ShapeError",
      message: "sort: got axis -1 for an input of shape []",
    }],
    ["inner sizes that differ", () => op.matmul(x(), x()), {
      name: "ShapeError",
      message: "matmul: got shapes [2, 3] and [2, 3], expected [..., m, k] and [..., k, n]",
    }],
    ["a fraction as an integer", () => op.scalar(1.5, "int32", device), {
      name: "TypeError",
      message: "scalar: got 1.5 for dtype int32, expected an integer",
    }],
    ["parts that are no floats", () => op.complex(i32(), i32()), {
      name: "TypeError",
      message: "complex: got dtype int32, expected float32 or float64",
    }],
    ["a condition that is no bool", () => op.where(i32(), i32(), i32()), {
      name: "TypeError",
      message: "where: got dtype int32, expected one of kind bool",
    }],
  ];
  for (const [what, fn, error] of raises) test(`rejects ${what}`, () => assert.throws(fn, error));
});

describe("ops", () => {
  test("moves that change nothing are their input", () => {
    const x = node([1, 2, 3, 4], [2, 2]);
    assert.equal(op.reshape(x, [2, 2]), x);
    assert.equal(op.transpose(x, [0, 1]), x);
    assert.equal(op.broadcast(x, [2, 2]), x);
    assert.equal(op.slice(x, [0, 0], [2, 2], [1, 1]), x);
    assert.equal(op.pad(x, [2, 2], [0, 0], [1, 1]), x);
    assert.equal(op.concatenate([x], 0), x);
    assert.equal(op.cast(x, "float64"), x);
    assert.equal(op.conj(x), x);
    assert.equal(op.sum(x, []), x);
    assert.notEqual(op.slice(x, [1, 0], [2, 2], [-1, 1]), x);
  });
});

describe("values", () => {
  const expected: [string, () => Node, readonly number[]][] = [
    ["negative steps", () => op.slice(node([0, 1, 2, 3, 4], [5]), [4], [3], [-2]), [4, 2, 0]],
    ["pad", () => op.pad(node([1, 2], [2]), [5], [4], [-3]), [0, 2, 0, 0, 1]],
    ["concatenate", () => op.concatenate([node([1, 2], [2, 1]), node([3, 4, 5, 6], [2, 2])], 1), [1, 3, 4, 2, 5, 6]],
    ["iota", () => op.iota([2, 3], 0, "int64", device), [0, 0, 0, 1, 1, 1]],
    ["complex scalar", () => op.scalar({ re: 1, im: -2 }, "complex128", device), [1, -2]],
    ["complex product", () => op.mul(node([1, 2], [1], "complex128"), node([3, -1], [1], "complex128")), [5, 5]],
    ["sum over outer and inner axes", () => op.sum(node([1, 2, 3, 4, 5, 6, 7, 8], [2, 2, 2]), [0, 2]), [14, 22]],
    ["complex prod", () => op.prod(node([1, 2, 3, -1], [2], "complex128"), [0]), [5, 5]],
    ["argmax of equals", () => op.argmax(node([1, 3, 3, 2], [4]), [0]), [1]],
    ["argmax of NaN", () => op.argmax(node([1, NaN, 9, NaN], [4]), [0]), [1]],
    ["argmin over two axes", () => op.argmin(node([4, 3, 2, 1], [2, 2]), [0, 1]), [3]],
    ["max with NaN", () => op.max(node([1, NaN, 3], [3]), [0]), [NaN]],
    ["empty sum", () => op.sum(node([], [2, 0]), [1]), [0, 0]],
    ["cumsum from the end", () => op.cumsum(node([1, 2, 3], [3]), 0, true), [6, 5, 3]],
    ["cummax", () => op.cummax(node([1, 3, 2, 5, 4], [5]), 0), [1, 3, 3, 5, 5]],
    [
      "gather with wrapped and clamped indices",
      () => op.gather(node([10, 11, 12], [3]), [node([-1, 0, 5, -9], [4], "int64")], [0]),
      [12, 10, 12, 10],
    ],
    [
      "scatter set keeps the last",
      () => op.scatter(node([0, 0, 0], [3]), node([1, 2, 3], [3]), [node([1, 1, -1], [3], "int64")], [0], "set"),
      [0, 2, 3],
    ],
    [
      "scatter add",
      () => op.scatter(node([1, 1, 1], [3]), node([1, 2, 3], [3]), [node([1, 1, 0], [3], "int64")], [0], "add"),
      [4, 4, 1],
    ],
    ["sort with NaN", () => op.sort(node([3, NaN, 1, 2], [4])), [1, 2, 3, NaN]],
    ["argsort is stable", () => op.argsort(node([1, 0, 1, 0], [4])), [1, 3, 0, 2]],
    ["searchsorted left", () => op.searchsorted(node([1, 2, 2, 3], [4]), node([2, 0, 9], [3]), "left"), [1, 0, 4]],
    ["searchsorted right", () => op.searchsorted(node([1, 2, 2, 3], [4]), node([2], [1]), "right"), [3]],
    ["matmul", () => op.matmul(node([1, 2, 3, 4], [2, 2]), node([5, 6, 7, 8], [2, 2])), [19, 22, 43, 50]],
    ["popcount of a negative number", () => op.popcount(node([-7, 8], [2], "int32")), [3, 1]],
    ["maximum of bools", () => op.maximum(node([0, 1], [2], "bool"), node([0, 0], [2], "bool")), [0, 1]],
    ["cast of complex to bool", () => op.cast(node([0, 0, 0, 1], [2], "complex128"), "bool"), [0, 1]],
    ["order of complex numbers", () => op.less(node([1, 2], [1], "complex128"), node([1, 3], [1], "complex128")), [1]],
    ["isnan of integers", () => op.isnan(node([1], [1], "int32")), [0]],
    ["sum of int64", () => op.sum(node([1, -2, 2 ** 40], [3], "int64"), [0]), [2 ** 40 - 1]],
    ["prod of uint8 wraps", () => op.prod(node([16, 17], [2], "uint8"), [0]), [16]],
    ["prod of bfloat16", () => op.prod(node([0x3fc0, 0x4000], [2], "bfloat16"), [0]), [0x4040]],
    ["max of uint8", () => op.max(node([3, 250, 7], [3], "uint8"), [0]), [250]],
    ["min of int64", () => op.min(node([3, -(2 ** 50), 7], [3], "int64"), [0]), [-(2 ** 50)]],
    ["max of bool", () => op.max(node([0, 1, 0], [3], "bool"), [0]), [1]],
    ["max of complex", () => op.max(node([1, 5, 2, -1, 2, 3], [3], "complex128"), [0]), [2, 3]],
    ["max of complex keeps the first NaN", () => op.max(node([1, 5, 2, NaN, NaN, 0], [3], "complex64"), [0]), [2, NaN]],
    ["argmax of complex", () => op.argmax(node([1, 5, 2, -1, 2, 3], [3], "complex128"), [0]), [2]],
    ["argmin of uint64", () => op.argmin(node([5, 1, 1], [3], "uint64"), [0]), [1]],
    ["argmax of bool", () => op.argmax(node([0, 1, 1], [3], "bool"), [0]), [1]],
    ["argmax of infinities", () => op.argmax(node([-Infinity, -Infinity], [2]), [0]), [0]],
    [
      "any and all",
      () =>
        op.cast(
          op.concatenate([op.any(node([0, 1], [1, 2], "bool"), [1]), op.all(node([0, 1], [1, 2], "bool"), [1])], 0),
          "int8",
        ),
      [1, 0],
    ],
    ["cumsum of int32 wraps", () => op.cumsum(node([2147483647, 1], [2], "int32"), 0), [2147483647, -2147483648]],
    ["cumsum of int64", () => op.cumsum(node([1, 2, 3], [3], "int64"), 0), [1, 3, 6]],
    ["cumprod of complex", () => op.cumprod(node([1, 2, 3, -1], [2], "complex64"), 0), [1, 2, 5, 5]],
    ["cummin with NaN", () => op.cummin(node([3, 1, NaN, 0], [4]), 0), [3, 1, NaN, NaN]],
    ["cummax of bool", () => op.cummax(node([0, 1, 0], [3], "bool"), 0), [0, 1, 1]],
    ["matmul of int64", () => op.matmul(node([1, 2], [1, 2], "int64"), node([3, 4], [2, 1], "int64")), [11]],
    ["matmul over nothing", () => op.matmul(node([], [2, 0]), node([], [0, 1])), [0, 0]],
    [
      "scatter multiply of complex",
      () =>
        op.scatter(
          node([1, 1], [1], "complex128"),
          node([0, 1], [1], "complex128"),
          [node([0], [1], "int64")],
          [0],
          "multiply",
        ),
      [-1, 1],
    ],
    [
      "where of complex",
      () => op.where(node([1, 0], [2], "bool"), node([1, 2], [1], "complex64"), node([3, 4], [1], "complex64")),
      [1, 2, 3, 4],
    ],
    ["half sum accumulates in float32", () => op.sum(op.broadcast(op.scalar(1, "float16", device), [4096]), [0]), [
      4096,
    ]],
  ];
  for (const [what, fn, want] of expected) test(what, () => assertClose(read(fn()), want, 0, what));
});

describe("complex functions are NumPy's", () => {
  interface Golden {
    readonly unary: Readonly<Record<string, string>>;
    readonly binary: Readonly<Record<string, string>>;
    readonly [name: string]: unknown;
  }
  const golden = JSON.parse(readFileSync(new URL("golden/complex.json", import.meta.url), "utf8")) as Golden;
  const decode = (text: unknown) => new Float64Array(new Uint8Array(Buffer.from(String(text), "base64")).buffer);
  const input = (name: string, dtype: DType) => {
    const values = decode(golden[name]);
    return node([...values], [values.length / 2], dtype);
  };
  // Beyond rounding, NumPy's own log1p loses digits where |1 + z| is near 1.
  const ulps = (name: string, eps: number) => name === "pow" ? 80 : name === "log1p" || eps > 2 ** -30 ? 40 : 6;
  const compare = (name: string, got: readonly number[], want: ArrayLike<number>, eps: number) => {
    for (let i = 0; i < want.length; i += 2) {
      const size = Math.hypot(...[want[i]!, want[i + 1]!].filter(Number.isFinite));
      for (const k of [i, i + 1]) {
        const g = got[k]!, w = want[k]!;
        const near = Math.abs(g - w) <= ulps(name, eps) * eps * size;
        const ok = Number.isFinite(w) ? near && (w !== 0 || Object.is(g, w) || size > 0) : Object.is(g, w);
        assert.ok(ok, `${name} at ${i / 2}: got ${got[i]}, ${got[i + 1]}, expected ${want[i]}, ${want[i + 1]}`);
      }
    }
  };
  for (const [dtype, eps] of [["complex128", 2 ** -52], ["complex64", 2 ** -23]] as const) {
    for (const [name, want] of Object.entries(golden.unary)) {
      test(`${name} of ${dtype}`, () => {
        const x = input("points", dtype);
        compare(name, read(op[name as "sin"](x)), round(decode(want), dtype), eps);
      });
    }
    for (const [name, want] of Object.entries(golden.binary)) {
      test(`${name} of ${dtype}`, () => {
        const [x, y] = name === "pow" ? ["fx", "fy"] : ["x", "y"];
        compare(name, read(op[name as "mul"](input(x!, dtype), input(y!, dtype))), round(decode(want), dtype), eps);
      });
    }
  }
  function round(values: Float64Array, dtype: DType): ArrayLike<number> {
    return dtype === "complex64" ? new Float32Array(values) : values;
  }
});

/** Edge cases of gradients: where plain formulas give NaN. */
describe("gradients at the edges", () => {
  const gradientOf = (fn: (x: Node) => Node, values: readonly number[]): number[] =>
    Sweep.run((sweep) => {
      const x = node(values, [values.length]).hold();
      const y = fn(x);
      const [g] = sweep.gradient(y, op.full(y.shape, 1, y), [x]);
      return g === null || g === undefined ? [] : read(g);
    });
  const edges: [string, (x: Node) => Node, readonly number[], readonly number[]][] = [
    ["x^2 at 0", (x) => op.pow(x, op.scalar(2, "float64", device)), [0, -3], [0, -6]],
    ["x^1 at 0", (x) => op.pow(x, op.scalar(1, "float64", device)), [0], [1]],
    ["x^0 at 0", (x) => op.pow(x, op.scalar(0, "float64", device)), [0, 2], [0, 0]],
    ["0^y", (y) => op.pow(op.scalar(0, "float64", device), y), [0, 2], [0, 0]],
    ["hypot at 0", (x) => op.hypot(x, op.scalar(0, "float64", device)), [0], [0]],
    ["abs at 0", (x) => op.abs(x), [0, -2], [0, -1]],
    ["prod with one zero", (x) => op.prod(x, [0]), [2, 0, 3], [0, 6, 0]],
    ["prod with two zeros", (x) => op.prod(x, [0]), [0, 0, 3], [0, 0, 0]],
    ["cumprod with a zero", (x) => op.cumprod(x, 0), [2, 0, 3], [1, 8, 0]],
    ["max of equals", (x) => op.max(x, [0]), [1, 3, 3], [0, 0.5, 0.5]],
    ["maximum against a constant", (x) => op.maximum(x, op.scalar(0, "float64", device)), [-1, 0, 2], [0, 0, 1]],
    ["stop_gradient", (x) => op.mul(x, op.stop_gradient(x)), [3], [3]],
    ["sort", (x) => op.mul(op.sort(x), node([1, 2, 3], [3])), [5, 1, 3], [3, 1, 2]],
    ["set keeps the last update", (u) => op.scatter(node([0, 0], [2]), u, [node([1, 1], [2], "int64")], [0], "set"), [
      1,
      2,
    ], [0, 1]],
    ["multiply by zeros", (u) => op.scatter(node([5], [1]), u, [node([0, 0], [2], "int64")], [0], "multiply"), [0, 2], [
      10,
      0,
    ]],
  ];
  for (const [what, fn, at, want] of edges) test(what, () => assertClose(gradientOf(fn, at), want, 1e-12, what));
  test("floor has none", () => assert.deepEqual(gradientOf(op.floor, [1.5]), []));
});

describe("gradients match finite differences", () => {
  for (const [title, , { inputs, apply, smooth }] of cases) {
    if (smooth === undefined || smooth.length === 0) continue;
    test(title, () => {
      const random = generator(7);
      const values = inputs.map((spec) => randomValues(spec, random));
      const build = (k: number, v: readonly number[]) =>
        inputs.map((spec, i) => node(i === k ? v : values[i]!, spec.shape, spec.dtype).hold());
      const shape = apply(...build(-1, []));
      const weightSpec: InputSpec = { shape: shape.shape, dtype: shape.dtype, low: -1, high: 1 };
      const weights = randomValues(weightSpec, random);
      const weightOf = () => node(weights, weightSpec.shape, weightSpec.dtype);
      for (const k of smooth) {
        const spec = inputs[k]!;
        const second = randomValues({ ...spec, low: -1, high: 1 }, random);
        const value = (v: readonly number[]) => read(weigh(apply(...build(k, v)), weightOf()))[0]!;
        const gradient = (v: readonly number[]) =>
          Sweep.run((sweep) => {
            const xs = build(k, v);
            const y = apply(...xs);
            const [g] = sweep.gradient(y, weightOf(), [xs[k]!]);
            assert.ok(g, `${title}: no gradient for input ${k}`);
            return { g, x: xs[k]!, sweep };
          });
        const numeric = differences(value, values[k]!, 1e-5);
        assertClose(read(gradient(values[k]!).g), numeric, 2e-6, `first order, input ${k}`);

        // The gradient of a weighted gradient, by the same rules.
        const weighted = (v: readonly number[]) => read(weigh(gradient(v).g, node(second, spec.shape, spec.dtype)))[0]!;
        const hessian = Sweep.run((outer) => {
          const { g, x } = gradient(values[k]!);
          const w = weigh(g, node(second, spec.shape, spec.dtype));
          const [h] = outer.gradient(w, op.full([], 1, w), [x]);
          return h === null || h === undefined ? values[k]!.map(() => 0) : read(h);
        });
        assertClose(hessian, differences(weighted, values[k]!, 1e-5), 2e-5, `second order, input ${k}`);
      }
    });
  }
});

describe("batching matches a loop", () => {
  const size = 3;
  for (const [title, name, { inputs, apply }] of cases) {
    test(title, () => {
      for (let mask = 1; mask < 2 ** inputs.length; mask++) {
        const random = generator(11);
        const batched = inputs.map((_, i) => (mask >> i & 1) === 1);
        const values = inputs.map((spec, i) => randomValues(spec, random, batched[i] ? [size] : []));
        const args = inputs.map((spec, i): BatchArg => ({
          node: node(values[i]!, batched[i] ? [size, ...spec.shape] : spec.shape, spec.dtype),
          batched: batched[i]!,
        }));
        const each = Array.from({ length: size }, (_, b) =>
          apply(...inputs.map((spec, i) => {
            const n = sizeOf(spec.shape) * dtypeInfo(spec.dtype).components;
            return node(batched[i] ? values[i]!.slice(b * n, b * n + n) : values[i]!, spec.shape, spec.dtype);
          })));
        const one = each[0]!;
        assert.equal(one.prim?.name, name);
        const { prim, params } = one;
        const together = prim!.batch(args, params, size);
        assert.deepEqual(together.shape, [size, ...one.shape], `batched ${batched}`);
        assert.equal(together.dtype, one.dtype);
        assertClose(read(together), each.flatMap(read), isComplex(one.dtype) ? 1e-14 : 1e-13, `batched ${batched}`);
      }
    });
  }
});

test("leaves have nothing to map over", () => {
  for (const name of ["scalar", "iota", "placeholder"] as const) {
    assert.throws(() => primitives[name].batch([], {} as never, 2), { name: "TypeError" });
  }
});

test("a placeholder has no value", () => {
  const x = op.placeholder({ shape: [2], dtype: "float32" }, device);
  assert.ok(x.symbolic);
  assert.throws(() => evaluate([op.neg(x)]), { name: "TracerError" });
});

test("bind refuses inputs on two devices", () => {
  const there = op.scalar(1, "float64", getDevice("NULL:0"));
  assert.throws(() => bind(prims.add, [node([1], []), there], null), { name: "DeviceError" });
});
