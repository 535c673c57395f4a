import assert from "node:assert/strict";
import { type NDArray, tnp } from "../mod.ts";
import { nodeOf } from "../src/array.ts";
import type { Node } from "../src/core/trace.ts";
import { planCache } from "../src/graph/cache.ts";
import { oneByOne } from "./support/examples.ts";
import { describe, test } from "./support/suite.ts";
import { binaries, reductions, unaries } from "./tables/ops.ts";

const x = tnp.reshape(Float64Array.from({ length: 24 }, (_, i) => -1 + 2 * i / 23), [4, 3, 2]);
const close = (a: NDArray, b: NDArray): void => {
  assert.deepEqual(a.shape, b.shape);
  assert.equal(a.dtype, b.dtype);
  if (!tnp.allclose(a, b)) assert.fail(`${a}\nexpected\n${b}`);
};

/** Functions of one [3, 2] example. */
const functions: Readonly<Record<string, (x: NDArray) => NDArray>> = {
  elementwise: (x) => tnp.add(tnp.multiply(tnp.sin(x), x), 1),
  "with a vector": (x) => tnp.multiply(x, tnp.asarray([1.5, 2])),
  reductions: (x) => tnp.add(tnp.sum(x, 0), tnp.max(x)),
  moves: (x) => tnp.concatenate([tnp.transpose(x), tnp.ones([2, 1])], 1),
  indexing: (x) => x.at([2, 0], "::-1"),
  "indexing by what it computes": (x) => tnp.take(tnp.ravel(x), tnp.argsort(tnp.ravel(x))),
  updates: (x) => x.with([[0, 1]], 7, { mode: "add" }),
  "matmul with itself": (x) => tnp.matmul(x, tnp.transpose(x)),
  "matmul with a matrix": (x) => tnp.matmul(x, tnp.reshape(tnp.arange(6), [2, 3])),
  "matmul of a matrix with it": (x) => tnp.matmul(tnp.ones([2, 3]), x),
  "matmul with a vector": (x) => tnp.matmul(x, tnp.asarray([1.5, 2])),
  scans: (x) => tnp.cumsum(x, 0),
  sorting: (x) => tnp.sort(x, 0),
  where: (x) => tnp.where(tnp.greater(x, 0), x, tnp.multiply(x, 0.1)),
  casts: (x) => x.astype("float32"),
  "nothing of it": () => tnp.asarray([1.5, 2]),
  einsum: (x) => tnp.einsum("ij,ik->jk", x, x),
  searchsorted: (x) => tnp.searchsorted(tnp.asarray([-0.5, 0, 0.5]), x),
};

describe("vectorized_map()", () => {
  for (const [name, f] of Object.entries(functions)) {
    test(`is a loop: ${name}`, () => close(tnp.vectorized_map(f, x), oneByOne(f, x)));
  }

  test("takes and gives trees", () => {
    const out = tnp.vectorized_map(
      ({ a, b }) => ({ sum: tnp.add(a, b[0]!), one: 1, list: [tnp.sum(a)] }),
      { a: tnp.asarray([[1, 2], [3, 4]]), b: [tnp.asarray([10, 20])] },
    );
    assert.deepEqual(out.sum.toArray(), [[11, 12], [23, 24]]);
    assert.deepEqual(out.one.toArray(), [1, 1]);
    assert.deepEqual(out.list[0]!.toArray(), [3, 7]);
  });

  test("in_axes maps other axes, or none", () => {
    const m = tnp.reshape(tnp.arange(6), [2, 3]);
    const f = ([a, b]: [NDArray, NDArray]): NDArray => tnp.dot(a, b);
    const elems: [NDArray, NDArray] = [m, tnp.asarray([10, 1])];
    assert.deepEqual(tnp.vectorized_map(f, elems, { in_axes: [1, null] }).toArray(), [3, 14, 25]);
    assert.deepEqual(tnp.vectorized_map((v: NDArray) => v, m, { in_axes: -1 }).toArray(), [[0, 3], [1, 4], [2, 5]]);
  });

  test("repeats a first axis of length 1", () => {
    const out = tnp.vectorized_map(([a, b]) => tnp.add(a, b), [tnp.asarray([1, 2, 3]), tnp.asarray([10])] as const);
    assert.deepEqual(out.toArray(), [11, 12, 13]);
  });

  test("nested maps are nested loops", () => {
    const a = tnp.asarray([1.5, 2, 3]);
    const b = tnp.asarray([10.5, 20]);
    const table = tnp.vectorized_map((u: NDArray) => tnp.vectorized_map((v: NDArray) => tnp.multiply(u, v), b), a);
    assert.deepEqual(table.toArray(), tnp.outer(a, b).toArray());
    const rows = tnp.vectorized_map(
      (m: NDArray) => tnp.vectorized_map((r: NDArray) => tnp.multiply(r, tnp.sum(m)), m),
      x,
    );
    close(rows, oneByOne((m: NDArray) => oneByOne((r: NDArray) => tnp.multiply(r, tnp.sum(m)), m), x));
  });

  test("an empty batch keeps its shapes", () => {
    assert.deepEqual(tnp.vectorized_map((v: NDArray) => tnp.outer(v, v), tnp.zeros([0, 3])).shape, [0, 3, 3]);
    assert.deepEqual(tnp.map_fn((v: NDArray) => tnp.outer(v, v), tnp.zeros([0, 3])).shape, [0, 3, 3]);
  });

  test("random draws differ per example and repeat after seed", () => {
    const draw = (): number[] => {
      tnp.random.seed(5);
      return tnp.vectorized_map((v: NDArray) => tnp.add(tnp.random.uniform(0, 1, [2]), v), tnp.zeros([3]))
        .toArray() as number[];
    };
    const first = draw();
    assert.equal(new Set(first.flat()).size, 6);
    assert.deepEqual(draw(), first);
  });

  test("errors", () => {
    const a = tnp.ones([3]);
    assert.throws(() => tnp.vectorized_map((v: NDArray) => v, tnp.asarray(1)), {
      name: "ShapeError",
      message: "vectorized_map: cannot map over axis 0 of an array of shape []",
    });
    assert.throws(() => tnp.vectorized_map(([u]) => u, [a, tnp.ones([2])] as const), {
      name: "ShapeError",
      message: "vectorized_map: mapped axes differ in length, 3 and 2, for shapes [3], [2]",
    });
    assert.throws(() => tnp.vectorized_map((v: NDArray) => tnp.asarray(v.item()), a), {
      name: "TracerError",
      message: /item: a traced array .*tnp.where/,
    });
    const w = new tnp.Variable(1.5);
    assert.throws(() =>
      tnp.vectorized_map((v: NDArray) => {
        w.assign(v);
        return v;
      }, a), { name: "TracerError", message: /cannot be assigned inside tnp.vectorized_map/ });
    let leaked: NDArray | null = null;
    tnp.vectorized_map((v: NDArray) => leaked = tnp.multiply(v, 2), a);
    assert.throws(() => tnp.add(leaked!, 1), {
      name: "TracerError",
      message: /after its tnp.function or tnp.vectorized_map had ended/,
    });
    assert.throws(() => tnp.vectorized_map((v: NDArray) => Promise.resolve(v), a), /must be synchronous/);
    assert.throws(() => tnp.vectorized_map(3 as never, a), /got 3, expected a function/);
  });
});

describe("every function is the same one by one, batched, and traced", () => {
  const table = tnp as unknown as Readonly<Record<string, (...args: unknown[]) => NDArray>>;
  const integers = /^(bitwise|left_|right_|invert|gcd|lcm)/;
  const compare = (name: string, f: (...xs: NDArray[]) => NDArray, xs: NDArray[]): void => {
    const each = oneByOne((parts: NDArray[]) => f(...parts), xs);
    const batched = tnp.vectorized_map((parts: NDArray[]) => f(...parts), xs);
    const traced = tnp.function((parts: NDArray[]) => tnp.vectorized_map((parts: NDArray[]) => f(...parts), parts))(xs);
    for (const found of [batched, traced]) {
      assert.deepEqual([found.shape, found.dtype], [each.shape, each.dtype], name);
      if (!tnp.allclose(found, each, { equal_nan: true })) assert.fail(`${name}: ${found}\nexpected\n${each}`);
    }
  };
  const inputs = (name: string, domains: readonly (readonly [number, number])[]): NDArray[] =>
    domains.map(([low, high], i) => {
      const values = tnp.linspace(low, high, 12);
      const x = tnp.reshape(i === 0 ? values : tnp.flip(values), [3, 4]);
      return integers.test(name) ? tnp.abs(tnp.multiply(x, 3).astype("int64")) : x;
    });
  for (const { name, domain } of unaries) {
    test(name, () => compare(name, (a) => table[name]!(a), inputs(name, domain ?? [[-2, 2]])));
  }
  for (const { name, domain } of binaries) {
    if (name === "divmod") continue;
    test(name, () => compare(name, (a, b) => table[name]!(a, b), inputs(name, domain ?? [[-2, 2], [0.5, 2]])));
  }
  for (const { name, domain } of reductions) {
    test(name, () => compare(name, (a) => table[name]!(a), inputs(name, domain ?? [[-2, 2]])));
  }
});

describe("map_fn()", () => {
  for (const [name, f] of Object.entries(functions)) {
    test(`is a loop: ${name}`, () => close(tnp.map_fn(f, x), oneByOne(f, x)));
  }

  /** How many plans a computation needs, each counted as often as it runs. */
  const plans = (run: () => NDArray): number => {
    const first = run();
    first.dataSync();
    const cache = planCache(nodeOf(first).device), { hits, misses } = cache;
    run().dataSync();
    return cache.hits + cache.misses - hits - misses;
  };
  const nodes = (out: NDArray): number => {
    const seen = new Set<Node>(), stack = [nodeOf(out)];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (seen.has(node)) continue;
      seen.add(node);
      stack.push(...node.inputs);
    }
    return seen.size;
  };
  const many = tnp.reshape(tnp.linspace(-1, 1, 300), [100, 3]);
  many.dataSync();

  test("calls the function for every example and binds what all compute once", () => {
    let calls = 0;
    const f = (v: NDArray): NDArray => {
      calls++;
      return tnp.sum(tnp.sin(v).mul(v).add(2));
    };
    const out = tnp.map_fn(f, many);
    assert.equal(calls, 100);
    assert.ok(nodes(out) < 10);
    close(out, oneByOne(f, many));
    assert.equal(plans(() => tnp.map_fn(f, many)), 1);
  });

  test("may read values", () => {
    const out = tnp.map_fn((v: NDArray) => (v.item() as number) > 2 ? tnp.multiply(v, 10) : v, tnp.asarray([1, 2, 3]));
    assert.deepEqual(out.toArray(), [1, 2, 30]);
    const f = (v: NDArray): NDArray => v.mul(tnp.sum(v).item() as number);
    close(tnp.map_fn(f, many), oneByOne(f, many));
  });

  test("takes other computations and numbers for other examples", () => {
    let i = 0;
    const numbers = tnp.map_fn((v: NDArray) => v.mul(i++), many);
    close(numbers, many.mul(tnp.arange(100).reshape(100, 1)));
    assert.ok(nodes(numbers) < 10);
    i = 0;
    close(
      tnp.map_fn((v: NDArray) => i++ % 10 < 4 ? v.add(1) : tnp.cos(v), many),
      tnp.where(tnp.arange(100).mod(10).lt(4).reshape(100, 1), many.add(1), tnp.cos(many)),
    );
    i = 0;
    const weights = [tnp.ones([3]), tnp.full([3], 2)];
    const mixed = tnp.map_fn((v: NDArray) => v.mul(weights[i++ < 50 ? 0 : 1]!), many);
    close(mixed, tnp.concatenate([many.at(":50"), many.at("50:").mul(2)]));
    i = 0;
    const big = tnp.map_fn((v: NDArray) => v.add(2n ** 60n + BigInt(i++)), tnp.zeros([3], "int64"));
    assert.deepEqual(big.dataSync(), BigInt64Array.of(2n ** 60n, 2n ** 60n + 1n, 2n ** 60n + 2n));
    i = 0;
    const shifted = tnp.map_fn((v: NDArray) => v.at(i++), tnp.arange(9).reshape(3, 3));
    assert.deepEqual(shifted.toArray(), [0, 4, 8]);
    i = 0;
    const complex = tnp.map_fn((v: NDArray) => v.mul({ re: 0, im: i++ }), tnp.ones([3]));
    assert.deepEqual(complex.toArray(), [0, 1, 2].map((im) => ({ re: 0, im })));
  });

  test("takes the same part of one value where the examples share it, and another where not", () => {
    const twice = tnp.map_fn((v: NDArray) => {
      const y = tnp.exp(v);
      return [y.add(y), y];
    }, many);
    close(twice[0]!, tnp.exp(many).mul(2));
    close(twice[1]!, tnp.exp(many));
    let i = 0;
    const shared = tnp.map_fn((v: NDArray) => {
      const y = tnp.exp(v);
      return y.add(i++ === 1 ? tnp.exp(v) : y);
    }, many);
    close(shared, tnp.exp(many).mul(2));
  });

  test("random draws are those of a loop", () => {
    tnp.random.seed(7);
    const mapped = tnp.map_fn((v: NDArray) => v.add(tnp.random.rand(3)), many);
    tnp.random.seed(7);
    close(mapped, oneByOne((v: NDArray) => v.add(tnp.random.rand(3)), many));
  });

  test("keeps what the function puts aside, and lets rows be disposed", () => {
    const kept: NDArray[] = [];
    const out = tnp.map_fn((v: NDArray) => {
      using row = v;
      const y = row.mul(2);
      kept.push(y);
      return y.add(1);
    }, many);
    close(out, many.mul(2).add(1));
    close(kept[41]!, many.at(41).mul(2));
  });

  test("repeats a first axis of length 1, and gives closed-over and constant results", () => {
    const w = tnp.asarray([1.5, 2]);
    const out = tnp.map_fn(
      ([a, b]: readonly [NDArray, NDArray]) => [a.add(b), w, 5, b],
      [tnp.asarray([1, 2, 3]), tnp.asarray([10])] as const,
    );
    assert.deepEqual(out.map((part) => (part as NDArray).toArray()), [[11, 12, 13], [[1.5, 2], [1.5, 2], [1.5, 2]], [
      5,
      5,
      5,
    ], [
      10,
      10,
      10,
    ]]);
  });

  test("tapes inside and outside, variables, and traces", () => {
    const w = tnp.asarray([0.5, -1, 2]);
    const f = (v: NDArray): NDArray => tnp.grad((w: NDArray) => tnp.sum(tnp.square(v.mul(w))))(w);
    close(tnp.map_fn(f, many), oneByOne(f, many));
    close(tnp.function((m: NDArray) => tnp.map_fn(f, m))(many), oneByOne(f, many));
    close(tnp.vectorized_map((m: NDArray) => tnp.map_fn(f, m), tnp.stack([many, many])).at(1), oneByOne(f, many));
    const total = (m: NDArray, w: NDArray): NDArray => tnp.sum(tnp.map_fn((v: NDArray) => tnp.sum(v.mul(w).mul(v)), m));
    const [gm, gw] = tnp.grad(total, [0, 1])(many, w);
    close(gm!, many.mul(w).mul(2));
    close(gw!, tnp.sum(tnp.square(many), 0));
    const count = new tnp.Variable(0);
    const counted = tnp.map_fn((v: NDArray) => {
      count.assign_add(1);
      return v.mul(count);
    }, many);
    close(counted, many.mul(tnp.arange(1, 101).reshape(100, 1)));
    let seen: NDArray | null = null;
    using tape = new tnp.GradientTape();
    const y = tnp.map_fn((v: NDArray) => {
      const z = v.mul(3);
      if (seen === null) tape.watch(seen = z);
      return tnp.sum(z.mul(z));
    }, many);
    close(tape.gradient(tnp.sum(y), seen!)!, many.at(0).mul(6));
  });

  test("says where examples differ in shape or structure", () => {
    let i = 0;
    assert.throws(() => tnp.map_fn((v: NDArray) => v.at(`:${i++}`), many), { name: "ShapeError" });
    i = 0;
    assert.throws(() => tnp.map_fn((v: NDArray) => i++ === 2 ? [v] : v, many), {
      name: "TypeError",
      message: "map_fn: example 2 gave [*], the ones before *",
    });
  });
});

describe("vectorized_map() and gradients", () => {
  const w = tnp.asarray([0.5, -1]);
  const loss = (row: NDArray, w: NDArray): NDArray => tnp.sum(tnp.square(tnp.matmul(row, w)));

  test("gradients per example, by a tape inside", () => {
    const vectorized = tnp.vectorized_map((row: NDArray) => {
      using tape = new tnp.GradientTape();
      tape.watch(w);
      return tape.gradient(loss(row, w), w)!;
    }, x);
    const looped = tnp.stack([0, 1, 2, 3].map((i) => tnp.grad(loss, 1)(x.at(i), w)));
    close(vectorized, looped);
  });

  test("gradients per example of a variable", () => {
    const v = new tnp.Variable([0.5, -1]);
    const vectorized = tnp.vectorized_map((row: NDArray) => {
      using tape = new tnp.GradientTape();
      return tape.gradient(loss(row, v.value()), v)!;
    }, x);
    close(vectorized, tnp.stack([0, 1, 2, 3].map((i) => tnp.grad(loss, 1)(x.at(i), w))));
  });

  test("a tape outside sees the whole batch, and what the function closes over", () => {
    using tape = new tnp.GradientTape();
    tape.watch([x, w]);
    const total = tnp.sum(tnp.vectorized_map((row: NDArray) => loss(row, tnp.multiply(w, 2)), x));
    const [gx, gw] = tape.gradient(total, [x, w]);
    const whole = tnp.grad((x: NDArray, w: NDArray) => tnp.sum(tnp.square(tnp.matmul(x, tnp.multiply(w, 2)))), [0, 1])(
      x,
      w,
    );
    close(gx!, whole[0]);
    close(gw!, whole[1]);
  });

  test("a Jacobian inside, a Hessian per example", () => {
    const f = (row: NDArray): NDArray => tnp.sum(tnp.multiply(tnp.multiply(row, row), row));
    close(
      tnp.vectorized_map((m: NDArray) => tnp.hessian(f)(m.at(0)), x),
      oneByOne((m: NDArray) => tnp.hessian(f)(m.at(0)), x),
    );
  });

  test("map in map under a tape", () => {
    const f = (x: NDArray): NDArray =>
      tnp.sum(tnp.vectorized_map((m: NDArray) => tnp.vectorized_map((r: NDArray) => tnp.sum(tnp.sin(r)), m), x));
    close(tnp.grad(f)(x), tnp.cos(x));
  });
});
