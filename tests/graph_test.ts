/** The graph: what is fused, what is stored, how often things are computed, and that the values are right. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { type DType, typedArrays } from "../src/base/dtype.ts";
import { TracerError } from "../src/base/errors.ts";
import * as op from "../src/core/ops.ts";
import { context, type Node, settle } from "../src/core/trace.ts";
import type { Device } from "../src/device/device.ts";
import { cpu } from "../src/device/cpu.ts";
import { nullDevice } from "../src/device/null.ts";
import { planCache } from "../src/graph/cache.ts";
import { planMemory } from "../src/graph/memory.ts";
import { makePlan } from "../src/graph/plan.ts";
import { simplify } from "../src/graph/simplify.ts";
import { Walk } from "../src/graph/topo.ts";
import "../src/prims/mod.ts";
import { compilePlan, evaluate, fromBytes, readBytes, readBytesAsync } from "../src/transform/evaluate.ts";

/** A held array of numbers. */
function array(
  values: readonly number[],
  shape: readonly number[],
  dtype: DType = "float32",
  device: Device = cpu,
): Node {
  const { BYTES_PER_ELEMENT } = typedArrays[dtype];
  const memory = new ArrayBuffer(values.length * BYTES_PER_ELEMENT);
  const data = new typedArrays[dtype](memory, 0, values.length);
  values.forEach((v, i) => data[i] = (dtype === "int64" ? BigInt(v) : v) as never);
  return fromBytes(new Uint8Array(memory), shape, dtype, device).hold();
}

/** Held zeros on the null device. */
function blank(shape: readonly number[], dtype: DType = "float32"): Node {
  const size = shape.reduce((a, b) => a * b, 1);
  return array(new Array<number>(size).fill(0), shape, dtype, nullDevice);
}

function numbers(node: Node): number[] {
  const bytes = readBytes(node);
  const make = typedArrays[node.dtype];
  return Array.from(
    new make(bytes.buffer, 0, bytes.byteLength / make.BYTES_PER_ELEMENT) as Iterable<number | bigint>,
    Number,
  );
}

const num = (x: Node, value: number): Node => op.scalar(value, x.dtype, x.device);
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** What computing these launches on the null device. */
function launches(...roots: Node[]): string[] {
  for (const root of roots) root.hold();
  nullDevice.reset();
  evaluate(roots);
  return nullDevice.launches.map((l) => l.kind);
}

function near(got: readonly number[], want: readonly number[], tolerance = 1e-5): void {
  assert.equal(got.length, want.length);
  got.forEach((g, i) =>
    assert.ok(Math.abs(g - want[i]!) <= tolerance * (1 + Math.abs(want[i]!)), `${i}: ${g} ${want[i]}`)
  );
}

const sigmoid = (x: Node): Node => op.div(num(x, 1), op.add(num(x, 1), op.exp(op.neg(x))));
const square = (x: Node): Node => op.mul(x, x);
const mean = (x: Node, axes: number[]): Node => {
  const count = axes.reduce((n, a) => n * x.shape[a]!, 1);
  return op.div(op.sum(x, axes), num(x, count));
};
const softmax = (x: Node): Node => {
  const kept = [...x.shape.slice(0, -1), 1];
  const e = op.exp(op.sub(x, op.reshape(op.max(x, [x.shape.length - 1]), kept)));
  return op.div(e, op.reshape(op.sum(e, [x.shape.length - 1]), kept));
};

test("sigmoid is one kernel", () => {
  assert.deepEqual(launches(sigmoid(blank([1000]))), ["map"]);
});

test("sum of squared differences is one kernel", () => {
  assert.deepEqual(launches(op.sum(square(op.sub(blank([100, 10]), blank([100, 10]))), [0, 1])), ["reduce"]);
});

test("a mean is one kernel", () => {
  assert.deepEqual(launches(mean(blank([100, 10]), [0])), ["reduce"]);
});

test("a standard deviation is two kernels", () => {
  const x = blank([100, 10]);
  const centred = op.sub(x, op.reshape(mean(x, [0]), [1, 10]));
  assert.deepEqual(launches(op.sqrt(mean(square(centred), [0]))), ["reduce", "reduce"]);
});

test("softmax is three kernels", () => {
  assert.deepEqual(launches(softmax(blank([100, 10]))), ["reduce", "reduce", "map"]);
});

test("bias and activation ride along with a matmul", () => {
  const x = blank([32, 784]), w = blank([784, 128]), b = blank([128]);
  const h = op.maximum(op.add(op.matmul(x, w), b), num(x, 0));
  assert.deepEqual(launches(h), ["matmul"]);
});

test("the tutorial's gradient step is at most 8 launches", () => {
  const x = blank([32, 784]), w1 = blank([784, 128]), b1 = blank([128]), w2 = blank([128, 10]), y = blank([32, 10]);
  const h = op.maximum(op.add(op.matmul(x, w1), b1), num(x, 0)).hold();
  const p = op.matmul(h, w2).hold();
  const loss = mean(op.sum(square(op.sub(p, y)), [1]), [0]);
  const g = op.mul(op.sub(p, y), num(x, 2 / 32));
  const gw2 = op.matmul(op.transpose(h, [1, 0]), g);
  const gh = op.matmul(g, op.transpose(w2, [1, 0]));
  const gz = op.where(op.less(num(x, 0), h), gh, num(x, 0));
  const gb1 = op.sum(gz, [0]);
  const gw1 = op.matmul(op.transpose(x, [1, 0]), gz);
  const got = launches(gw1, gb1, gw2);
  assert.ok(got.length <= 8, got.join());
  const more = launches(loss);
  assert.ok(more.length <= 4, more.join());
});

test("a diamond of elementwise work is one kernel with two outputs", () => {
  const x = blank([1000]);
  const y = op.exp(x);
  assert.deepEqual(launches(op.add(y, num(x, 1)), op.sin(y)), ["map"]);
});

test("independent results that share an input share a kernel", () => {
  const x = blank([1000]);
  assert.deepEqual(launches(op.exp(x), op.sin(x)), ["map"]);
});

test("equal subexpressions are computed once", () => {
  const x = blank([64, 64]), y = blank([64, 64]);
  assert.deepEqual(launches(op.add(op.matmul(x, y), op.matmul(x, y))), ["matmul"]);
});

test("a view of a stored array launches nothing and shares memory", () => {
  const x = array(range(6), [2, 3]);
  const t = op.transpose(x, [1, 0]).hold();
  evaluate([t]);
  assert.equal(t.storage, x.storage);
  assert.deepEqual(numbers(t), [0, 3, 1, 4, 2, 5]);
  const s = op.slice(x, [1, 2], [2, 2], [-1, -2]).hold();
  assert.deepEqual(numbers(s), [5, 3, 2, 0]);
});

test("moves are pushed down to what they read", () => {
  const x = array(range(6), [2, 3]), y = array(range(6), [3, 2]);
  const z = op.add(op.transpose(op.mul(x, num(x, 2)), [1, 0]), y);
  assert.deepEqual(numbers(op.slice(z, [2, 0], [3, 2], [-1, 1]).hold()), [4 + 4, 10 + 5, 2 + 2, 8 + 3, 0, 6 + 1]);
  const a = blank([2, 3]);
  assert.deepEqual(launches(op.add(op.transpose(op.mul(a, num(a, 2)), [1, 0]), blank([3, 2]))), ["map"]);
});

test("a reshape that strides cannot say stores what is under it", () => {
  const x = array(range(6), [2, 3]);
  const y = op.add(op.reshape(op.transpose(x, [1, 0]), [6]), num(x, 1)).hold();
  assert.deepEqual(numbers(y), [1, 4, 2, 5, 3, 6]);
  const z = op.reshape(op.add(op.transpose(x, [1, 0]), array(range(6), [3, 2])), [6]).hold();
  assert.deepEqual(numbers(z), [0, 4, 3, 7, 6, 10]);
  const t = op.transpose(x, [1, 0]).hold();
  evaluate([t]);
  assert.deepEqual(numbers(op.mul(op.reshape(t, [6]), num(x, 1)).hold()), [0, 3, 1, 4, 2, 5]);
  assert.deepEqual(numbers(op.reshape(t, [6]).hold()), [0, 3, 1, 4, 2, 5]);
});

test("reductions over any axes, with producers and epilogue", () => {
  const x = array(range(24), [2, 3, 4]);
  const at = (i: number, j: number, k: number) => 12 * i + 4 * j + k;
  for (const axes of [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]) {
    const got = numbers(op.sqrt(op.sum(op.mul(x, num(x, 2)), axes)).hold());
    const want = new Map<string, number>();
    for (let i = 0; i < 2; i++) {
      for (let j = 0; j < 3; j++) {
        for (let k = 0; k < 4; k++) {
          const key = [i, j, k].filter((_, d) => !axes.includes(d)).join();
          want.set(key, (want.get(key) ?? 0) + 2 * at(i, j, k));
        }
      }
    }
    near(got, [...want.values()].map(Math.sqrt));
  }
  assert.deepEqual(numbers(op.argmax(op.transpose(x, [2, 1, 0]), [0, 2]).hold()), [7, 7, 7]);
  assert.deepEqual(numbers(op.sum(array([], [0, 3]), [0]).hold()), [0, 0, 0]);
  assert.deepEqual(numbers(op.add(op.sum(array([5], [1]), [0]), num(x, 1)).hold()), [6]);
});

test("scans run both ways along any axis", () => {
  const x = array(range(6), [2, 3]);
  assert.deepEqual(numbers(op.cumsum(op.add(x, num(x, 1)), 1).hold()), [1, 3, 6, 4, 9, 15]);
  assert.deepEqual(numbers(op.cumsum(x, 0, true).hold()), [3, 5, 7, 3, 4, 5]);
  assert.deepEqual(numbers(op.cumsum(op.transpose(x, [1, 0]), 0, true).hold()), [3, 12, 3, 9, 2, 5]);
});

test("gathers fuse, wrap and clamp", () => {
  const x = array(range(12), [3, 4]);
  const i = array([2, -3, 9], [3], "int64");
  const rows = op.gather(x, [i], [0]);
  assert.deepEqual(numbers(op.add(rows, num(x, 1)).hold()), [9, 10, 11, 12, 1, 2, 3, 4, 9, 10, 11, 12]);
  assert.deepEqual(numbers(op.gather(x, [i], [1]).hold()), [2, 6, 10, 1, 5, 9, 3, 7, 11]);
  assert.deepEqual(numbers(op.gather(op.transpose(x, [1, 0]), [i, array([0, 1, 2], [3], "int64")], [1, 0]).hold()), [
    8,
    1,
    10,
  ]);
  assert.deepEqual(numbers(op.transpose(op.gather(op.mul(x, x), [i], [0]), [1, 0]).hold()).slice(0, 3), [64, 0, 64]);
  const n = blank([3, 4]), j = blank([3], "int64");
  assert.deepEqual(launches(op.add(op.gather(n, [op.add(j, op.scalar(1n, "int64", nullDevice))], [0]), num(n, 1))), [
    "map",
  ]);
});

test("scatters combine", () => {
  const x = array([1, 1, 1, 1], [4]);
  const i = array([0, -1, 0], [3], "int64"), u = array([5, 6, 7], [3]);
  assert.deepEqual(numbers(op.scatter(x, u, [i], [0], "add").hold()), [13, 1, 1, 7]);
  assert.deepEqual(numbers(op.scatter(x, op.neg(u), [i], [0], "set").hold()), [-7, 1, 1, -6]);
  const m = array(range(6), [2, 3]);
  const v = array([10, 20], [1, 2]);
  assert.deepEqual(numbers(op.scatter(m, v, [array([2], [1], "int64")], [1], "add").hold()), [0, 1, 12, 3, 4, 25]);
});

test("joins and pads fuse their inputs", () => {
  const x = array(range(4), [2, 2]);
  assert.deepEqual(numbers(op.concatenate([x, op.neg(x)], 1).hold()), [0, 1, -0, -1, 2, 3, -2, -3]);
  assert.deepEqual(numbers(op.pad(op.add(x, num(x, 1)), [3, 4], [2, 3], [-2, -2]).hold()), [
    0,
    4,
    0,
    3,
    0,
    0,
    0,
    0,
    0,
    2,
    0,
    1,
  ]);
  const a = blank([2, 2]);
  assert.deepEqual(launches(op.concatenate([op.exp(a), op.neg(a)], 0)), ["map", "map"]);
});

test("matmul takes views, broadcasts batches and fuses epilogues", () => {
  const a = array(range(6), [2, 3]), b = array(range(6), [2, 3]);
  assert.deepEqual(numbers(op.matmul(a, op.transpose(b, [1, 0])).hold()), [5, 14, 14, 50]);
  const z = op.maximum(op.add(op.matmul(a, op.transpose(b, [1, 0])), array([-10, 1], [2])), num(a, 0));
  assert.deepEqual(numbers(z.hold()), [0, 15, 4, 51]);
  const batch = array(range(12), [2, 3, 2]);
  assert.deepEqual(numbers(op.matmul(a, batch).hold()), [10, 13, 28, 40, 28, 31, 100, 112]);
  assert.deepEqual(numbers(op.add(op.matmul(array([], [2, 0]), array([], [0, 2])), num(a, 3)).hold()), [3, 3, 3, 3]);
});

test("products with a vector are sums where a library takes longer", () => {
  const dot = (x: Node, y: Node) => op.maximum(op.add(op.matmul(x, y), num(x, 1)), num(x, 0));
  const of = (x: number[], y: number[], dtype: DType = "float32") => launches(dot(blank(x, dtype), blank(y, dtype)));
  assert.deepEqual(of([1, 10], [10, 1]), ["reduce"]);
  assert.deepEqual(of([500, 300], [300, 1]), ["reduce"]);
  assert.deepEqual(of([1, 300], [300, 500]), ["reduce"]);
  assert.deepEqual(of([3, 2], [2, 1], "int64"), ["reduce"]);
  assert.deepEqual(of([3, 2], [2, 1], "float16"), ["reduce"]);
  assert.deepEqual(of([30, 20], [20, 1]), ["matmul"]);
  assert.deepEqual(of([5000, 50], [50, 1]), ["matmul"]);
  assert.deepEqual(of([500, 300], [300, 2]), ["matmul"]);
  // What goes in is fused too.
  assert.deepEqual(launches(op.matmul(op.exp(blank([500, 300])), square(blank([300, 1])))), ["reduce"]);
});

test("products with a vector are what products with a matrix are", () => {
  const value = (i: number) => (i * 7 + 3) % 11 - 5;
  for (
    const dtype of ["float32", "float64", "float16", "bfloat16", "int64", "uint8", "complex64", "complex128"] as const
  ) {
    const make = (...shape: number[]) => {
      const n = shape.reduce((a, b) => a * b, 1), x = array(range(n).map(value), shape, "float64");
      return op.cast(op.cast(x, dtype === "uint8" ? "int64" : dtype), dtype).hold();
    };
    const turn = (x: Node) =>
      op.transpose(x, x.shape.map((_, d, { length }) => d < length - 2 ? d : 2 * length - 3 - d));
    for (
      const [x, y] of [
        [make(1, 40), make(40, 1)],
        [make(600, 300), make(300, 1)],
        [turn(make(300, 600)), make(300, 1)],
        [make(1, 300), make(300, 600)],
        [make(2, 1, 3, 40), make(5, 40, 1)],
        [turn(make(2, 40, 1)), make(2, 40, 600)],
      ] as const
    ) {
      const tall = x.shape.at(-2) === 1, pad = (z: Node) => op.concatenate([z, z], z.shape.length - (tall ? 2 : 1));
      const got = op.matmul(x, y).hold();
      // Two columns, or rows, where there was one: no sum then.
      const both = tall ? op.matmul(pad(x), y) : op.matmul(x, pad(y)), axis = both.shape.length - (tall ? 2 : 1);
      const zeros = both.shape.map(() => 0), ones = both.shape.map(() => 1);
      const want = op.slice(both, zeros, both.shape.with(axis, 1), ones).hold();
      const flat = (z: Node) => numbers(op.cast(z.dtype.startsWith("complex") ? op.real(z) : z, "float64").hold());
      near(flat(got), flat(want), dtype === "bfloat16" ? 1e-2 : dtype === "float16" ? 2e-3 : 1e-5);
    }
  }
});

test("an epilogue of a matmul may branch and meet again", () => {
  const relu = (h: Node) => op.where(op.less(num(h, 0), h), h, num(h, 0));
  const both = (h: Node) => op.neg(op.reshape(op.add(op.mul(op.tanh(h), op.neg(h)), op.abs(h)), [2, 1, 2]));
  const a = array([1, 2, 3, -4], [2, 2]), b = array([1, -1, 0.5, 1], [2, 2]), v = array([1, -3], [2]);
  const h = (x: Node, y: Node, z: Node) => op.add(op.matmul(x, y), z);
  near(numbers(relu(h(a, b, v)).hold()), [3, 0, 2, 0]);
  const want = [3, -2, 2, -10].map((x) => Math.tanh(x) * x - Math.abs(x));
  near(numbers(both(h(a, b, v)).hold()), want);
  const blanks = () => h(blank([2, 2]), blank([2, 2]), blank([2]));
  assert.deepEqual(launches(relu(blanks())), ["matmul"]);
  assert.deepEqual(launches(both(blanks())), ["matmul"]);
  // What is asked for, moved in one branch, or reduced on the way is stored.
  const asked = blanks();
  assert.deepEqual(launches(relu(asked), asked), ["matmul", "map"]);
  const turned = blanks();
  assert.deepEqual(launches(op.add(turned, op.transpose(turned, [1, 0]))), ["matmul", "map"]);
  const moved = blanks();
  assert.deepEqual(launches(op.add(op.tanh(moved), op.reshape(op.reshape(moved, [4]), [2, 2]))), ["matmul", "map"]);
  const reduced = blanks();
  assert.deepEqual(launches(op.sub(reduced, op.reshape(op.sum(reduced, [1]), [2, 1]))), ["matmul", "reduce", "map"]);
});

test("an epilogue sees a matmul's result in another shape", () => {
  const x = array(range(12), [2, 3, 2]), w = array(range(4), [2, 2]);
  const dense = (x: Node, w: Node, b: Node) =>
    op.neg(op.add(op.reshape(op.matmul(op.reshape(x, [6, 2]), w), [2, 3, 2]), b));
  const want = range(6).flatMap((r) => [-(4 * r + 2), -(8 * r + 3)]);
  assert.deepEqual(numbers(dense(x, w, array([0, 0], [2])).hold()), want);
  assert.deepEqual(
    numbers(dense(x, w, array(range(6), [2, 3, 1])).hold()),
    want.map((v, i) => v - Math.floor(i / 2)),
  );
  assert.deepEqual(
    numbers(dense(x, w, array(range(3), [3, 1])).hold()),
    want.map((v, i) => v - Math.floor(i / 2) % 3),
  );
  assert.deepEqual(launches(dense(blank([2, 3, 2]), blank([2, 2]), blank([2]))), ["matmul"]);
});

test("plain numbers are not part of the plan", () => {
  const x = array([1, 2], [2]);
  numbers(op.mul(x, num(x, 0.5)).hold());
  const cache = planCache(cpu);
  const { misses, hits } = cache;
  assert.deepEqual(numbers(op.mul(x, num(x, 0.25)).hold()), [0.25, 0.5]);
  assert.equal(cache.misses, misses);
  assert.equal(cache.hits, hits + 1);
});

test("zero-size and 0-d arrays", () => {
  const e = array([], [0, 3]);
  assert.deepEqual(numbers(op.exp(op.add(e, array([1, 2, 3], [3]))).hold()), []);
  const s = op.add(op.scalar(2, "float32", cpu), op.scalar(3, "float32", cpu)).hold();
  assert.deepEqual(numbers(s), [5]);
  assert.deepEqual(numbers(op.scalar(7, "float64", cpu).hold()), [7]);
  assert.deepEqual(numbers(op.broadcast(op.scalar(7, "float64", cpu), [2, 2]).hold()), [7, 7, 7, 7]);
  assert.deepEqual(numbers(op.iota([2, 3], 1, "int32", cpu).hold()), [0, 1, 2, 0, 1, 2]);
  assert.deepEqual(numbers(op.slice(op.iota([6], 0, "int64", cpu), [5], [3], [-2]).hold()), [5, 3, 1]);
  assert.deepEqual(numbers(op.concatenate([e, array([1, 2, 3], [1, 3])], 0).hold()), [1, 2, 3]);
});

test("what is fused away is stored the second time, and never computed a third time", () => {
  const x = blank([1000]);
  const y = op.exp(x).hold();
  assert.deepEqual(launches(op.sum(y, [0])), ["reduce"]);
  assert.equal(y.computed, 1);
  assert.equal(y.finished, false);
  assert.deepEqual(launches(op.sum(op.mul(y, y), [0])).sort(), ["map", "reduce"]);
  assert.equal(y.finished, true);
  assert.deepEqual(launches(op.add(y, num(y, 1))), ["map"]);
});

test("reading a sum at every step of a loop costs the same at every step", () => {
  let x = blank([1000]);
  const counts: number[] = [];
  for (let i = 0; i < 40; i++) {
    const next = op.add(op.mul(x, num(x, 0.9)), num(x, 0.1)).hold();
    x = next;
    counts.push(launches(op.sum(x, [0])).length);
  }
  assert.ok(Math.max(...counts) <= 3, counts.join());
  assert.ok(planCache(nullDevice).size < 500);
});

test("a loop that never reads stays bounded", () => {
  let x = array(new Array<number>(16).fill(0), [16]);
  const before = cpu.memoryStats().count;
  for (let i = 0; i < 20_000; i++) {
    const next = settle(op.add(op.mul(x, num(x, 0.9)), num(x, 0.1))).hold();
    x.drop();
    x = next;
    assert.ok(x.depth <= context.depthLimit + 2);
  }
  near(numbers(x), new Array<number>(16).fill(1), 1e-4);
  assert.ok(cpu.memoryStats().count <= before + 4, `${cpu.memoryStats().count} ${before}`);
});

test("a chain of 100,000 pending nodes is computed without recursion", () => {
  let x: Node = array([0], [1], "float64");
  const one = op.scalar(1, "float64", cpu).hold();
  for (let i = 0; i < 100_000; i++) x = op.add(x, one);
  assert.deepEqual(numbers(x.hold()), [100_000]);
});

test("wide sums are cut into kernels of bounded size", () => {
  const xs = range(150).map((i) => array([i, i], [2]));
  let x = xs[0]!;
  for (const y of xs.slice(1)) x = op.add(x, y);
  assert.deepEqual(numbers(x.hold()), [11175, 11175]);
  let d = array(range(300), [300], "float64");
  for (let k = 0; k < 12; k++) {
    const n = d.shape[0]! - 1;
    d = op.sub(op.slice(d, [1], [n], [1]), op.slice(d, [0], [n], [1]));
  }
  assert.deepEqual(numbers(d.hold()), new Array<number>(288).fill(0));
});

test("expensive work on a small array is not repeated along a broadcast axis", () => {
  const x = blank([1000, 1]), y = blank([1, 1000]);
  assert.deepEqual(launches(op.add(op.exp(x), y)), ["map", "map"]);
});

test("memory is given back when the last holder goes", () => {
  nullDevice.reset();
  const before = nullDevice.memoryStats();
  const x = blank([1000]);
  const a = op.exp(x).hold(), b = op.sum(op.exp(op.sort(a)), [0]).hold();
  evaluate([b]);
  assert.equal(a.finished, true);
  a.drop();
  b.drop();
  x.drop();
  assert.deepEqual(nullDevice.memoryStats().live, before.live);
  assert.deepEqual(nullDevice.memoryStats().count, before.count);
});

test("a failing device leaves the graph pending, usable and without leaks", () => {
  const x = blank([100]);
  const y = op.exp(op.sort(op.neg(x))).hold();
  const { live } = nullDevice.memoryStats();
  const { kernel } = nullDevice;
  nullDevice.kernel = () => {
    throw new Error("no compiler");
  };
  try {
    assert.throws(() => evaluate([y]), /no compiler/);
  } finally {
    nullDevice.kernel = kernel;
  }
  assert.equal(y.finished, false);
  assert.equal(nullDevice.memoryStats().live, live);
  assert.ok(launches(y).length >= 2);
});

test("traced values cannot be computed", () => {
  const p = op.placeholder({ shape: [2], dtype: "float32" }, cpu);
  assert.throws(() => evaluate([op.neg(p)]), TracerError);
});

test("a traced graph is planned once and replayed", () => {
  const p = op.placeholder({ shape: [2, 3], dtype: "float32" }, cpu);
  const w = array([1, 2, 3], [3]);
  const q = op.sum(op.mul(p, w), [1]);
  const graph = compilePlan([q, op.transpose(p, [1, 0])], [p]);
  const x = array(range(6), [2, 3]);
  for (let i = 0; i < 3; i++) {
    const [s, t] = graph.run([x]) as [Node, Node];
    assert.deepEqual(numbers(s.hold()), [8, 26]);
    assert.deepEqual(numbers(t.hold()), [0, 3, 1, 4, 2, 5]);
  }
  assert.equal(graph.plans, 1);
  const turned = op.transpose(array(range(6), [3, 2]), [1, 0]).hold();
  assert.deepEqual(numbers(graph.run([turned])[0]!.hold()), [0 + 4 + 12, 1 + 6 + 15]);
  assert.equal(graph.plans, 2);
  graph.dispose();
});

test("a plain number given to a traced graph is an argument of its kernels", () => {
  const p = op.placeholder({ shape: [3], dtype: "float32" }, cpu),
    q = op.placeholder({ shape: [], dtype: "float32" }, cpu);
  const graph = compilePlan([op.mul(p, q), q], [p, q]);
  const x = array([1, 2, 3], [3]);
  for (const v of [2, 3]) {
    const [y, n] = graph.run([x, num(x, v)]) as [Node, Node];
    assert.deepEqual(numbers(y.hold()), [v, 2 * v, 3 * v]);
    assert.deepEqual(numbers(n.hold()), [v]);
  }
  assert.deepEqual(numbers(graph.run([x, array([4], [])])[0]!.hold()), [4, 8, 12]);
  assert.equal(graph.plans, 2);
  graph.dispose();
});

test("rows cut out of an array share one plan", () => {
  const x = array(range(20), [10, 2]);
  const cache = planCache(cpu);
  let { misses } = cache;
  for (let i = 0; i < 10; i++) {
    assert.deepEqual(numbers(op.neg(op.reshape(op.slice(x, [i, 0], [1, 2], [1, 1]), [2])).hold()), [
      -2 * i,
      -2 * i - 1,
    ]);
    if (i === 0) misses = cache.misses;
  }
  assert.equal(cache.misses, misses);
});

test("bytes are read without blocking", async () => {
  const x = array([1, 2, 3, 4], [2, 2]);
  const bytes = await readBytesAsync(op.transpose(x, [1, 0]).hold());
  assert.deepEqual([...new Float32Array(bytes.buffer)], [1, 3, 2, 4]);
});

test("temporaries share memory when their lives do not overlap", () => {
  const plan = planMemory([
    { bytes: 100, first: 0, last: 1 },
    { bytes: 100, first: 1, last: 2 },
    { bytes: 100, first: 2, last: 3 },
    { bytes: 0, first: 0, last: 3 },
  ]);
  assert.equal(plan.offsets[0], plan.offsets[2]);
  assert.notEqual(plan.offsets[0], plan.offsets[1]);
  assert.ok(plan.total <= 228);
  assert.ok(plan.offsets.every((o) => o % 64 === 0));
});

test("a temporary that is read for the last time makes room for what is written", () => {
  const softmax = (x: Node) => {
    const wide = (y: Node) => op.broadcast(op.reshape(y, [64, 1]), x.shape);
    const e = op.exp(op.sub(x, wide(op.max(x, [1]))));
    return op.div(e, wide(op.sum(e, [1])));
  };
  const x = blank([64, 100]);
  nullDevice.reset();
  evaluate([softmax(x).hold()]);
  // The exponentials lie in the result's memory; the two columns of 64 share a block or two.
  assert.ok(nullDevice.bytes >= 4 * 6400 && nullDevice.bytes <= 4 * (6400 + 128), `${nullDevice.bytes} bytes`);

  const values = range(6400).map((i) => Math.sin(i * i));
  const got = numbers(softmax(array(values, [64, 100])).hold());
  for (let row = 0; row < 64; row++) {
    const part = values.slice(100 * row, 100 * row + 100).map(Math.exp);
    const total = part.reduce((a, b) => a + b);
    part.forEach((v, i) => assert.ok(Math.abs(got[100 * row + i]! - v / total) < 1e-7));
  }
});

test("what has a handle is stored for two kernels of a plan without being kept", () => {
  const values = range(40000).map((i) => Math.sin(i * i)), x = array(values, [40, 1000]);
  const e = op.exp(op.neg(x)).hold(), y = op.div(e, op.reshape(op.sum(e, [1]), [40, 1])).hold();
  const walk = new Walk();
  walk.run([y]);
  const { steps, sizes, temporary } = makePlan(simplify(walk, cpu.traits), cpu, walk.leafCount);
  walk.clear();
  assert.deepEqual(steps.map(({ kernel }) => kernel!.kind), ["map", "reduce", "map"]);
  assert.deepEqual([sizes, temporary], [[160000], 160]);
  evaluate([y]);
  assert.deepEqual([e.finished, e.computed], [false, 1]);
  near(numbers(e), values.map((v) => Math.exp(-v)));
});

test("memory that is read in another order is not written over", () => {
  const a = array(range(12), [3, 4], "float64"), b = array(range(9), [3, 3], "float64");
  // A stored product read twice: straight and transposed.
  const p = op.matmul(a, op.transpose(a, [1, 0]));
  const out = op.add(op.mul(p, b), op.transpose(p, [1, 0]));
  const product = range(9).map((i) =>
    range(4).reduce((s, k) => s + (4 * Math.floor(i / 3) + k) * (4 * (i % 3) + k), 0)
  );
  assert.deepEqual(
    numbers(out.hold()),
    range(9).map((i) => product[i]! * i + product[3 * (i % 3) + Math.floor(i / 3)]!),
  );
});
