import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type NDArray, tnp } from "../mod.ts";
import { context } from "../src/core/trace.ts";
import { cpu } from "../src/device/cpu.ts";
import { planCache } from "../src/graph/cache.ts";

/** What a function writes as warnings. */
function warnings(fn: () => void): string[] {
  const said: string[] = [];
  const { warn } = console;
  console.warn = (message: string) => said.push(message);
  try {
    fn();
  } finally {
    console.warn = warn;
  }
  return said;
}

describe("the trace cache", () => {
  test("numbers as arguments do not trace anew", () => {
    const f = tnp.function((x: NDArray, rate: NDArray) => x.mul(rate));
    const said = warnings(() => {
      for (let i = 0; i < 20; i++) assert.equal(f(tnp.asarray(2.5), i + 0.5).item(), 2.5 * (i + 0.5));
      for (let i = 0; i < 20; i++) assert.equal(f(tnp.asarray(2.5), i).item(), 2.5 * i);
    });
    assert.deepEqual([f.traces, said], [2, []]);
  });

  test("a call after the first binds and plans nothing", () => {
    const f = tnp.function((x: NDArray) => tnp.sum(tnp.exp(x).mul(2)));
    const x = tnp.ones([3]);
    const first = f(x).item();
    const { recorders } = context, { misses } = planCache(cpu);
    let bound = 0;
    context.recorders = [...recorders, { record: () => void bound++ }];
    try {
      for (let i = 0; i < 3; i++) assert.equal(f(x).item(), first);
    } finally {
      context.recorders = recorders;
    }
    assert.equal(f(x).item(), first);
    assert.deepEqual([bound, planCache(cpu).misses, f.traces], [0, misses, 1]);
  });

  test("forgets the traces that were used longest ago", () => {
    const f = tnp.function((x: NDArray, _name: string) => x.add(1));
    const x = tnp.asarray(1.5);
    warnings(() => {
      for (let i = 0; i < 256; i++) f(x, `${i}`);
      assert.equal(f.traces, 256);
      f(x, "0");
      f(x, "new");
      assert.equal(f.traces, 257);
      f(x, "0");
      f(x, "2");
      assert.equal(f.traces, 257);
      f(x, "1");
      assert.equal(f.traces, 258);
    });
  });

  test("warns once of a function that is traced again and again, and says why", () => {
    const by = tnp.function(function step(x: { a: NDArray }, _mode: string) {
      return x.a.sum();
    });
    const said = warnings(() => {
      for (let n = 1; n < 12; n++) by({ a: tnp.zeros([n, 2]) }, "fast");
    });
    assert.deepEqual(said, [
      'tnp: function "step": 5 of the last 6 calls traced it anew, which costs far more than a call. Since the trace before, ' +
      "argument 0.a changed from float64 [5, 2] to float64 [6, 2]. Give arrays of one shape and dtype, name lengths that vary by " +
      "null in input_signature, and give what varies as numbers or arrays instead of static values",
    ]);
    const modes = tnp.function((x: NDArray, _mode: string, _list: unknown) => x);
    const [message] = warnings(() => {
      for (let i = 0; i < 9; i++) modes(i % 2 ? 1.5 : 2, `m${i >> 1}`, (i % 3 ? null : true) as never);
    });
    assert.match(message!, /function "anonymous": 5 of the last 6 calls/);
    assert.match(message!, /argument 0 changed from int64 \[\] to float64 \[\]/);
  });

  test("does not warn of a function that throws", () => {
    const f = tnp.function((_x: NDArray): NDArray => {
      throw new RangeError("no");
    });
    const said = warnings(() => {
      for (let i = 0; i < 12; i++) assert.throws(() => f(tnp.ones(2)), /no/);
    });
    assert.deepEqual([said, f.traces], [[], 12]);
  });

  test("does not warn of a function that is called often and traced now and then", () => {
    const f = tnp.function((x: NDArray) => x.sum());
    assert.deepEqual(
      warnings(() => {
        for (let n = 1; n < 9; n++) for (let i = 0; i < 5; i++) f(tnp.zeros([n]));
      }),
      [],
    );
    assert.equal(f.traces, 8);
  });
});

describe("input_signature with unknown lengths", () => {
  const rows = (n: number): NDArray => tnp.reshape(tnp.linspace(-1, 1, n * 3), [n, 3]);
  const signature = [{ shape: [null, 3], dtype: "float64" }] as const;
  /** Calls with many lengths; gives how often the function was traced. */
  const check = (
    fn: (x: NDArray) => NDArray,
    lengths = [5, 2, 7, 64, 33, 5, 100, 1023],
  ): number => {
    const f = tnp.function(fn, { input_signature: signature });
    for (const n of lengths) {
      const x = rows(n), got = f(x), expected = fn(x);
      assert.deepEqual(got.shape, expected.shape);
      assert.ok(tnp.allclose(got, expected, { rtol: 1e-12 }), `${n}: ${got} instead of ${expected}`);
    }
    return f.traces;
  };
  /** The first call, then three with lengths that tell how it depends on them. */
  const once = 4;

  test("traces a few times for all lengths", () => {
    const w = tnp.reshape(tnp.linspace(0, 1, 6), [3, 2]);
    assert.equal(check((x) => tnp.tanh(tnp.matmul(x, w)).sum(0)), once);
    assert.equal(check((x) => tnp.mean(x, 0)), once);
    assert.equal(check((x) => tnp.std(x)), once);
    assert.equal(check((x) => x.sub(x.max(1, { keepdims: true }))), once);
    assert.equal(check((x) => tnp.reshape(x, [x.shape[0]! * 3])), once);
    assert.equal(check((x) => tnp.reshape(x, [-1])), once);
    assert.equal(check((x) => x.at("::-1", "1:")), once);
    // Of two rows one is left, which has a trace of its own.
    assert.equal(check((x) => x.at("1:").sub(x.at(":-1"))), once + 1);
    assert.equal(check((x) => tnp.concatenate([x, tnp.ones([2, 3])])), once);
    assert.equal(check((x) => tnp.add(x, tnp.arange(x.shape[0]!).reshape(-1, 1))), once);
    assert.equal(check((x) => tnp.cumsum(x, 0)), once);
    assert.equal(check((x) => tnp.sort(x, 0)), once);
    assert.equal(check((x) => tnp.matmul(x, x.T)), once);
    assert.equal(check((x) => tnp.take(x, tnp.argmax(x, 0), 0)), once);
    assert.equal(check((x) => tnp.divide(x, x.shape[0]! - 1 || 1)), once);
  });

  test("traces lengths that known indices do not fit, or that leave an axis of length 1", () => {
    const f = tnp.function((x: NDArray) => tnp.take(x, [0, 4, -5], 0), { input_signature: signature });
    for (const n of [7, 9, 30, 5]) assert.deepEqual(f(rows(n)).toArray(), tnp.take(rows(n), [0, 4, -5], 0).toArray());
    assert.equal(f.traces, once);
    assert.throws(() => f(rows(4)), /^IndexError: take: index -5 is out of bounds for axis 0 with size 4$/);
    const g = tnp.function((x: NDArray) => x.with([[1, 2, 3]], 0), { input_signature: signature });
    for (const n of [7, 9, 30]) g(rows(n));
    assert.throws(() => g(rows(3)), /^IndexError: with: index 3 is out of bounds for axis 0 with size 3$/);
    assert.equal(check((x) => tnp.squeeze(x.at("1:"))), once + 1);
  });

  test("gradients, maps, control flow", () => {
    assert.equal(check((x) => tnp.grad((x: NDArray) => tnp.mean(tnp.square(x)))(x)), once);
    assert.equal(check((x) => tnp.vectorized_map((r: NDArray) => tnp.exp(r).sum(), x)), once);
    assert.equal(check((x) => tnp.scan((c: NDArray, r: NDArray) => [c.add(r), c.mul(r)], tnp.zeros([3]), x)[1]), once);
    assert.equal(check((x) => tnp.cond(x.sum().gt(0), () => x.sum(1), () => x.mean(1))), once);
    const steps = (x: NDArray): NDArray =>
      tnp.scan((c: NDArray, r: NDArray) => [tnp.tanh(c.add(r)), c], tnp.zeros([x.shape[0]!]), x.T)[1];
    assert.equal(check((x) => tnp.grad((x: NDArray) => steps(x).sum())(x)), once);
  });

  test("variables and random draws", () => {
    const total = new tnp.Variable([0, 0, 0], { dtype: "float64" });
    const f = tnp.function((x: NDArray) => {
      total.assign_add(x.sum(0));
      return tnp.add(x, tnp.random.uniform(0, 1, [x.shape[0]!, 3]));
    }, { input_signature: signature });
    for (const n of [4, 3, 9, 12]) assert.deepEqual(f(tnp.ones([n, 3])).shape, [n, 3]);
    assert.deepEqual([total.value().toArray(), f.traces], [[28, 28, 28], once]);
  });

  test("several unknown lengths", () => {
    const f = tnp.function(
      (x: NDArray, y: NDArray) => tnp.reshape(tnp.matmul(x, y), [-1]).mul(x.shape[0]! * y.shape[1]!),
      {
        input_signature: [{ shape: [null, 2], dtype: "float64" }, { shape: [2, null], dtype: "float64" }],
      },
    );
    for (const [n, m] of [[3, 4], [5, 6], [7, 2], [100, 3]] as const) {
      assert.deepEqual(f(tnp.ones([n, 2]), tnp.ones([2, m])).toArray(), Array.from({ length: n * m }, () => 2 * n * m));
    }
    assert.equal(f.traces, 6);
    assert.equal(f(tnp.ones([3, 2]), tnp.ones([2, 3])).item(0), 18);
    assert.equal(f.traces, 7);
    const same = tnp.function((x: NDArray, y: NDArray) => x.mul(y), {
      input_signature: [{ shape: [null], dtype: "float64" }, { shape: [null], dtype: "float64" }],
    });
    for (const n of [2, 3, 4, 5]) assert.deepEqual(same(tnp.ones([n]), tnp.ones([n])).shape, [n]);
    assert.deepEqual([same(tnp.ones([4]), tnp.ones([1])).shape, same.traces], [[4], 5]);
    assert.throws(() => same(tnp.ones([4]), tnp.ones([3])), { name: "ShapeError" });
  });

  test("traces each length where the lengths decide more than shapes", () => {
    // Branches, loops, and numbers that no line goes through. Three more traces than lengths.
    const each = (fn: (x: NDArray) => NDArray): void => assert.equal(check(fn, [5, 2, 7, 33]), 7);
    each((x) => x.shape[0]! > 50 ? x.sum() : x.prod());
    each((x) => Array.from({ length: x.shape[0]! }, (_, i) => x.at(i)).reduce((a, b) => a.add(b)));
    each((x) => x.mul(x.shape[0]! ** 2));
    each((x) => x.at(`:${x.shape[0]! >> 1}`));
    let fails = 0;
    const f = tnp.function((x: NDArray) => {
      if (x.shape[0]! > 500) throw new Error(`${++fails}`);
      return x.sum();
    }, { input_signature: signature });
    assert.deepEqual([f(rows(2)).shape, f(rows(3)).shape, fails], [[], [], 1]);
    assert.throws(() => f(rows(501)), /2/);
    assert.deepEqual([context.traces.length, context.stage, context.recorders.length], [0, null, 0]);
  });

  test("lengths 0 and 1 have traces of their own", () => {
    const f = tnp.function((x: NDArray) => tnp.add(x, tnp.ones([3, 1])).sum(), {
      input_signature: [{ shape: [null, 1], dtype: "float64" }],
    });
    assert.equal(f(tnp.ones([1, 1])).item(), 6);
    assert.equal(f(tnp.ones([3, 1])).item(), 6);
    assert.throws(() => f(tnp.ones([2, 1])), { name: "ShapeError" });
    const g = tnp.function((x: NDArray) => x.sum(0), { input_signature: signature });
    assert.deepEqual([0, 1, 2, 3, 4].map((n) => g(tnp.ones([n, 3])).item(0)), [0, 1, 2, 3, 4]);
    assert.equal(g.traces, 6);
  });

  test("tapes outside see the function of any length", () => {
    const f = tnp.function((x: NDArray) => tnp.mean(tnp.square(x)), { input_signature: signature });
    for (const n of [2, 3, 5, 8]) assert.ok(tnp.allclose(tnp.grad(f)(tnp.ones([n, 3])), tnp.full([n, 3], 2 / (3 * n))));
    assert.equal(f.traces, once);
  });
});
