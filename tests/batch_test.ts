import assert from "node:assert/strict";
import { type NDArray, tnp } from "../mod.ts";
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
    test(`is map_fn: ${name}`, () => close(tnp.vectorized_map(f, x), tnp.map_fn(f, x)));
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
    close(rows, tnp.map_fn((m: NDArray) => tnp.map_fn((r: NDArray) => tnp.multiply(r, tnp.sum(m)), m), x));
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
    const each = tnp.map_fn((parts: NDArray[]) => f(...parts), xs);
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
  test("may read values", () => {
    const out = tnp.map_fn((v: NDArray) => (v.item() as number) > 2 ? tnp.multiply(v, 10) : v, tnp.asarray([1, 2, 3]));
    assert.deepEqual(out.toArray(), [1, 2, 30]);
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
      tnp.map_fn((m: NDArray) => tnp.hessian(f)(m.at(0)), x),
    );
  });

  test("map in map under a tape", () => {
    const f = (x: NDArray): NDArray =>
      tnp.sum(tnp.vectorized_map((m: NDArray) => tnp.vectorized_map((r: NDArray) => tnp.sum(tnp.sin(r)), m), x));
    close(tnp.grad(f)(x), tnp.cos(x));
  });
});
