import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type DType, dtypeInfo, typedArrays } from "../src/base/dtype.ts";
import { sizeOf } from "../src/base/shape.ts";
import * as op from "../src/core/ops.ts";
import type { Node } from "../src/core/trace.ts";
import { configureCpu, cpu } from "../src/device/cpu.ts";
import { planCache } from "../src/graph/cache.ts";
import { Walk } from "../src/graph/topo.ts";
import "../src/prims/mod.ts";
import { evaluate, fromBytes, readBytes } from "../src/transform/evaluate.ts";
import { interpret } from "../src/transform/interpret.ts";
import { runChild } from "./support/child.ts";

const plain = [
  "bool",
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
  "float32",
  "float64",
] as const;
const special = [0, -0, 1, -1, 0.5, -2.5, 3.7, NaN, Infinity, -Infinity, 1e-310, 1e30, -1e30, 5, 7, 100, -100, 2.5];
const whole = [
  0,
  1,
  -1,
  2,
  -3,
  7,
  127,
  -128,
  255,
  32767,
  -32768,
  65535,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 32 - 1,
  5,
  12,
  100,
];

/** A node of numbers as a dtype takes them. */
function node(values: readonly number[], shape: readonly number[], dtype: DType): Node {
  const { kind, itemsize } = dtypeInfo(dtype), type = typedArrays[dtype];
  const data = new type(new ArrayBuffer(values.length * type.BYTES_PER_ELEMENT), 0, values.length);
  values.forEach((v, i) => data[i] = kind === "b" ? Number(v !== 0) : kind !== "f" && itemsize === 8 ? BigInt(v) : v);
  return fromBytes(new Uint8Array(data.buffer), shape, dtype, cpu).hold();
}

const valuesFor = (dtype: DType): number[] => dtypeInfo(dtype).kind === "f" ? special : whole;

function elements(x: Node): (number | bigint)[] {
  const bytes = readBytes(x), type = typedArrays[x.dtype];
  return Array.from(new type(bytes.buffer, 0, sizeOf(x.shape)) as ArrayLike<number | bigint>);
}

/** Computes without a plan; null where that is left to one. */
function interpreted(make: () => Node): (number | bigint)[] | null {
  const x = make().hold(), walk = new Walk();
  walk.run([x]);
  const done = interpret(walk, cpu);
  walk.clear();
  assert.equal(x.finished, done);
  return done ? elements(x) : null;
}

function planned(make: () => Node): (number | bigint)[] {
  configureCpu({ engine: "js" });
  try {
    return elements(make().hold());
  } finally {
    configureCpu(null);
  }
}

/** Checks that both ways give the same, to the sign of zero; tells whether there were two. */
function same(name: string, make: () => Node): boolean {
  const got = interpreted(make);
  if (got === null) return false;
  assert.deepEqual(got, planned(make), name);
  return true;
}

const unaries = [
  "neg",
  "abs",
  "sign",
  "not",
  "floor",
  "ceil",
  "trunc",
  "rint",
  "sqrt",
  "exp",
  "exp2",
  "expm1",
  "log",
  "log2",
  "log10",
]
  .concat("log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "isnan", "erf", "cbrt");
const binaries = [
  "add",
  "sub",
  "mul",
  "div",
  "pow",
  "maximum",
  "minimum",
  "and",
  "or",
  "xor",
  "less",
  "less_equal",
  "equal",
  "not_equal",
]
  .concat("floordiv", "mod");
const functions = op as unknown as Readonly<Record<string, (...args: readonly unknown[]) => Node>>;

/** The node that a function makes; null where the dtype is none of its own. */
function made(make: () => Node): Node | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

describe("values without a plan are those of the kernels", () => {
  for (const dtype of plain) {
    const values = valuesFor(dtype), n = values.length;
    const x = node(values, [n], dtype), column = node(values, [n, 1], dtype);
    test(`unary, ${dtype}`, () => {
      const done = unaries.filter((name) => {
        const f = () => functions[name]!(x);
        return made(f) !== null && same(name, f);
      });
      assert.ok(done.includes(dtype === "bool" ? "not" : "neg"), `${done}`);
    });
    test(`binary, ${dtype}`, () => {
      const done = binaries.filter((name) => {
        const f = () => functions[name]!(column, x);
        return made(f) !== null && same(name, f);
      });
      assert.ok(done.includes(dtype === "bool" ? "and" : "mul"), `${done}`);
    });
    test(`cast, ${dtype}`, () => {
      const done = plain.filter((to) => to !== dtype && same(`to ${to}`, () => op.cast(x, to)));
      assert.ok(done.includes("float64") || dtype === "float64", `${done}`);
    });
    test(`where, ${dtype}`, () => {
      const c = node(values.map((_, i) => i % 2), [n], "bool");
      assert.ok(same("where", () => op.where(c, x, column)));
    });
    test(`reductions, ${dtype}`, () => {
      const cube = node(Array.from({ length: 720 }, (_, i) => values[i % n]!), [4, 30, 6], dtype);
      const finite = node(
        Array.from({ length: 720 }, (_, i) => Math.sin(i)),
        [4, 30, 6],
        dtype === "bool" ? "float64" : "float32",
      );
      for (const axes of [[], [0], [1], [2], [0, 1], [1, 2], [0, 1, 2]]) {
        for (const name of ["sum", "max", "min"]) {
          for (const from of [cube, finite]) {
            const f = () => functions[name]!(from, axes);
            if (made(f) !== null) assert.ok(from.dtype === "bool" && name === "sum" || same(`${name} ${axes}`, f));
          }
        }
        if (dtype === "bool") {
          for (const name of ["any", "all"]) assert.ok(same(name, () => functions[name]!(cube, axes)));
        }
      }
    });
  }

  for (const dtype of plain) {
    const values = valuesFor(dtype),
      fill = (n: number) => Array.from({ length: n }, (_, i) => values[i * 7 % values.length]!);
    test(`products, ${dtype}`, () => {
      const some = (n: number) => dtypeInfo(dtype).kind === "f" ? fill(n).map((_, i) => Math.sin(i)) : fill(n);
      const stack = node(some(2 * 3 * 4), [2, 3, 4], dtype), matrix = node(some(20), [4, 5], dtype);
      const columns = node(some(20), [5, 4], dtype), none = node([], [4, 0], dtype);
      const alone = node(fill(12), [3, 4], dtype), other = node(fill(8), [4, 2], dtype);
      const done = [
        same("stack", () => op.matmul(stack, matrix)),
        same("transposed", () => op.matmul(stack, op.transpose(columns, [1, 0]))),
        same("any values", () => op.matmul(alone, other)),
        same("no terms", () => op.matmul(none, node([], [0, 2], dtype))),
      ];
      const left = dtype === "bool" || dtype === "int32" || dtype === "uint32";
      assert.deepEqual(done, done.map(() => !left));
    });
    test(`sorts, ${dtype}`, () => {
      const x = node(fill(60), [3, 20], dtype), empty = node([], [2, 0], dtype);
      for (const name of ["sort", "argsort"]) {
        assert.ok(same(name, () => functions[name]!(x)));
        assert.ok(same(`${name} of columns`, () => functions[name]!(op.transpose(x, [1, 0]))));
        assert.ok(same(`${name} of nothing`, () => functions[name]!(empty)));
      }
    });
  }

  test("moves", () => {
    const x = node(special.slice(0, 12), [3, 4], "float64");
    assert.ok(same("chain", () => {
      const y = op.transpose(op.neg(x), [1, 0]);
      return op.add(op.slice(y, [3, 0], [2, 3], [-2, 1]), op.reshape(op.slice(x, [1, 0], [1, 3], [1, 1]), [3]));
    }));
    assert.ok(same("broadcast", () => op.broadcast(op.neg(op.reshape(x, [3, 4, 1])), [3, 4, 2])));
  });
});

describe("what is computed without a plan", () => {
  const fresh = (n: number) => node(Array.from({ length: n }, (_, i) => i), [n], "float64");

  test("comes a few times, then gets a plan", () => {
    configureCpu({ engine: "auto", interpret: true });
    try {
      const x = fresh(23), make = () => op.sub(op.mul(x, x), op.cos(x)).hold();
      const cache = planCache(cpu), walk = new Walk();
      const known = () => {
        walk.run([make()]);
        return cache.get(walk);
      };
      assert.equal(known(), undefined);
      const first = elements(make());
      assert.equal(known(), null);
      for (let i = 0; i < 10_000 && known() === null; i++) assert.deepEqual(elements(make()), first);
      assert.notEqual(known() ?? null, null);
      assert.deepEqual(elements(make()), first);
    } finally {
      configureCpu(null);
    }
  });

  test("keeps what can still be asked for", () => {
    const x = fresh(5), y = op.neg(x).hold(), z = op.exp(y), w = op.add(z, y).hold();
    const walk = new Walk();
    walk.run([w]);
    assert.ok(interpret(walk, cpu));
    walk.clear();
    assert.deepEqual([y.finished, z.finished, w.finished], [true, false, true]);
    assert.deepEqual(elements(y), [-0, -1, -2, -3, -4]);
  });

  test("is small, and of dtypes whose numbers lie in typed arrays", () => {
    assert.equal(interpreted(() => op.neg(fresh(20000))), null);
    assert.equal(interpreted(() => op.cast(fresh(2), "float16")), null);
    assert.equal(interpreted(() => op.cast(fresh(2), "complex128")), null);
    assert.equal(interpreted(() => op.cumsum(fresh(3), 0)), null);
    const square = op.reshape(fresh(4096), [64, 64]);
    assert.equal(interpreted(() => op.matmul(square, square)), null);
    assert.equal(interpreted(() => op.sort(fresh(8000))), null);
  });

  test("comes again without a plan only where none was made yet", async () => {
    const ended = await runChild("interpret_child.ts", { TNP_INTERPRET: "" });
    assert.equal(ended.code, 0, ended.err);
    assert.deepEqual(JSON.parse(ended.out), ["no plan", "no plan", "no plan", "a plan", "no plan", "a plan"]);
  });

  test("leaves the graph pending where memory is missing", () => {
    const x = fresh(4), y = op.neg(x).hold(), z = op.exp(y).hold();
    const walk = new Walk(), { count } = cpu.memoryStats();
    walk.run([z]);
    let left = 1;
    const device = Object.create(cpu, {
      allocate: {
        value: (bytes: number) => {
          if (left-- === 0) throw new RangeError("no memory");
          return cpu.allocate(bytes);
        },
      },
    }) as typeof cpu;
    assert.throws(() => interpret(walk, device), /no memory/);
    walk.clear();
    assert.equal(cpu.memoryStats().count, count);
    evaluate([z]);
    assert.deepEqual(elements(y), [-0, -1, -2, -3]);
  });
});
