import assert from "node:assert/strict";
import { type NDArray, tnp } from "../mod.ts";
import { context } from "../src/core/trace.ts";
import { oneByOne } from "./support/examples.ts";
import { describe, test } from "./support/suite.ts";

const close = (a: NDArray, b: NDArray | number | number[]): void => {
  const expected = tnp.asarray(b);
  assert.deepEqual(a.shape, expected.shape);
  if (!tnp.allclose(a, expected, { rtol: 1e-9 })) assert.fail(`${a}\nexpected\n${expected}`);
};

const x3 = tnp.asarray([1.5, -0.5, 2]);

/** A recurrence with two results, as `scan` and as a loop that is written out. */
const step = (c: NDArray, x: NDArray): [NDArray, NDArray] => {
  const next = tnp.tanh(c.mul(x).add(0.5));
  return [next, tnp.sin(next).mul(c)];
};
const scanned = (x: NDArray, init: NDArray | number = 0.3, reverse = false): NDArray => {
  const [last, ys] = tnp.scan(step, init, x, { reverse });
  return last.mul(last).add(ys.mul(tnp.arange(1, x.shape[0]! + 1)).sum());
};
const written = (x: NDArray, init: NDArray | number = 0.3, reverse = false): NDArray => {
  let c = tnp.asarray(init);
  let sum = tnp.asarray(0.0);
  const n = x.shape[0]!;
  for (let k = 0; k < n; k++) {
    const i = reverse ? n - 1 - k : k;
    const [next, y] = step(c, x.at(i));
    c = next;
    sum = sum.add(y.mul(i + 1));
  }
  return c.mul(c).add(sum);
};

describe("scan()", () => {
  test("is a loop, outside of traces and inside", () => {
    for (const f of [scanned, tnp.function((x: NDArray) => scanned(x))]) close(f(x3), written(x3));
    close(scanned(x3, 0.3, true), written(x3, 0.3, true));
  });

  test("stacks what the steps give, in the order of xs", () => {
    const [last, ys] = tnp.scan((c: NDArray, x: NDArray) => [c.add(x), { sum: c.add(x), before: [c] }], 0, [1, 2, 3]);
    assert.equal(last.item(), 6);
    assert.deepEqual([ys.sum.toArray(), ys.before[0]!.toArray()], [[1, 3, 6], [0, 1, 3]]);
    const [, back] = tnp.scan((c: NDArray, x: NDArray) => [c.add(x), c.add(x)], 0, [1, 2, 3], { reverse: true });
    assert.deepEqual(back.toArray(), [6, 5, 3]);
    const [, views] = tnp.scan((c: NDArray, x: NDArray) => [c, tnp.transpose(x)], 0, tnp.arange(12).reshape(2, 2, 3));
    assert.deepEqual(views.toArray(), [[[0, 3], [1, 4], [2, 5]], [[6, 9], [7, 10], [8, 11]]]);
  });

  test("without xs, without results, without steps", () => {
    const fib = ([a, b]: [NDArray, NDArray]): [[NDArray, NDArray], NDArray] => [[b, a.add(b)], a];
    const [last, ys] = tnp.scan(fib, [tnp.asarray(0), tnp.asarray(1)] as [NDArray, NDArray], null, { length: 8 });
    assert.deepEqual([last.map((x) => x.item()), ys.toArray()], [[21, 34], [0, 1, 1, 2, 3, 5, 8, 13]]);
    const [sum, none] = tnp.scan((c: NDArray, x: NDArray) => [c.add(x), null], 0, [1, 2]);
    assert.deepEqual([sum.item(), none], [3, null]);
    const [start, empty] = tnp.scan((c: NDArray, x: NDArray) => [c, tnp.outer(x, x)], 7, tnp.zeros([0, 3]));
    assert.deepEqual([start.item(), empty.shape], [7, [0, 3, 3]]);
  });

  test("a carry that is a plain number takes the body's dtype", () => {
    const f32 = tnp.asarray([1, 2], { dtype: "float32" });
    const [sum] = tnp.scan((c: NDArray, x: NDArray) => [c.add(x), null], 0, f32);
    assert.equal(sum.dtype, "float32");
    assert.throws(() => tnp.scan((c: NDArray, x: NDArray) => [c.add(x), null], tnp.asarray(0), f32), {
      name: "TypeError",
      message: "scan: the carry begins as int64 [], but the function gives float64 []",
    });
    assert.throws(() => tnp.scan((c: NDArray[]) => [[c[0]!.add(x3)], null], [tnp.zeros([])], f32), {
      name: "ShapeError",
      message: "scan: the carry at [0] begins as float64 [], but the function gives float64 [3]",
    });
  });

  test("says what is wrong", () => {
    assert.throws(() => tnp.scan((c: NDArray) => [c, c], 0, [[1, 2], 3] as never), /scan/);
    assert.throws(() => tnp.scan((c: NDArray) => [c, c], 0, null), /nothing to take apart; give \{ length \}/);
    assert.throws(
      () => tnp.scan((c: NDArray) => c as never, 0, [1]),
      /must return \[carry, y\], got a value of NDArray/,
    );
    const pair = (carry: NDArray): [NDArray, NDArray] => [carry, carry];
    assert.throws(
      () => tnp.while_loop(() => true, pair, [0, 0]),
      /^TypeError: while_loop: .*\[\*,\*\]; a list of numbers is one array: for several give a list of arrays/,
    );
    assert.throws(() => tnp.scan((c: NDArray) => [{ c }, c], 0, [1]), /the carry has the structure of one array, but/);
    assert.throws(() => tnp.scan((c: NDArray, x: NDArray) => [c, x], 0, [1, 2], { length: 3 }), /a first axis of 3/);
    assert.throws(() => tnp.scan((c: NDArray, x: NDArray) => [c, x], 0, 5), /xs is a scalar/);
    assert.throws(() => tnp.scan((c: NDArray, x: NDArray) => [c, x.item() as number], 0, [1]), { name: "TracerError" });
    assert.deepEqual([context.traces.length, context.stage, context.recorders.length], [0, null, 0]);
  });

  test("gradients are those of the loop, to second order", () => {
    const by = (
      f: (x: NDArray) => NDArray,
    ) => [tnp.grad(f)(x3), tnp.grad((x: NDArray) => tnp.grad(f)(x).mul(x3).sum())(x3)];
    for (const reverse of [false, true]) {
      const expected = by((x) => written(x, 0.3, reverse));
      by((x) => scanned(x, 0.3, reverse)).forEach((g, i) => close(g, expected[i]!));
      by(tnp.function((x: NDArray) => scanned(x, 0.3, reverse))).forEach((g, i) => close(g, expected[i]!));
    }
    const inside = tnp.function((x: NDArray) => tnp.grad((x: NDArray) => scanned(x))(x));
    close(inside(x3), tnp.grad((x: NDArray) => written(x))(x3));
    close(tnp.grad((c: NDArray) => scanned(x3, c))(0.3), tnp.grad((c: NDArray) => written(x3, c))(0.3));
    const [, tangent] = tnp.jvp((x: NDArray) => scanned(x), [x3], [tnp.ones([3])]);
    close(tangent, tnp.jvp((x: NDArray) => written(x), [x3], [tnp.ones([3])])[1]);
    close(
      tnp.jacobian((x: NDArray) => tnp.scan(step, 0.3, x)[1])(x3).sum(0),
      tnp.grad((x: NDArray) => tnp.scan(step, 0.3, x)[1].sum())(x3),
    );
  });

  test("gradients reach what the body closes over, and variables", () => {
    const w = new tnp.Variable([[0.5, -0.2], [0.1, 0.3]]);
    const b = tnp.asarray([0.1, -0.1]);
    const xs = tnp.reshape(tnp.linspace(-1, 1, 6), [3, 2]);
    const cell = (h: NDArray, x: NDArray): NDArray => tnp.tanh(tnp.add(tnp.add(tnp.matmul(w, h), x), b));
    const loops: Record<string, () => NDArray> = {
      scan: () => tnp.scan((h: NDArray, x: NDArray) => [cell(h, x), null], tnp.zeros([2]), xs)[0].sum(),
      written: () => [0, 1, 2].reduce((h, i) => cell(h, xs.at(i)), tnp.zeros([2])).sum(),
    };
    loops.function = tnp.function(loops.scan!);
    const grads = Object.values(loops).map((loss) => {
      using tape = new tnp.GradientTape();
      tape.watch(b);
      return tape.gradient(loss(), [w, b]).map((g) => g!);
    });
    for (const [gw, gb] of grads) {
      close(gw!, grads[1]![0]!);
      close(gb!, grads[1]![1]!);
    }
  });

  test("in maps each example has its own loop", () => {
    const batch = tnp.reshape(tnp.linspace(-1, 1, 12), [4, 3]);
    const expected = oneByOne((x: NDArray) => written(x), batch);
    close(tnp.vectorized_map((x: NDArray) => scanned(x), batch), expected);
    close(tnp.function((b: NDArray) => tnp.vectorized_map((x: NDArray) => scanned(x), b))(batch), expected);
    const f = tnp.function((x: NDArray) => scanned(x));
    close(tnp.vectorized_map((x: NDArray) => f(x), batch), expected);
    const grads = oneByOne((x: NDArray) => tnp.grad((x: NDArray) => written(x))(x), batch);
    close(tnp.vectorized_map((x: NDArray) => tnp.grad((x: NDArray) => scanned(x))(x), batch), grads);
    close(tnp.grad((b: NDArray) => tnp.vectorized_map((x: NDArray) => scanned(x), b).sum())(batch), grads);
    // Only the start, only the body's closure, or a count that is the same for all is mapped.
    const starts = tnp.asarray([0.1, 0.2]);
    close(
      tnp.vectorized_map((c: NDArray) => scanned(x3, c), starts),
      oneByOne((c: NDArray) => written(x3, c), starts),
    );
    const powers = tnp.vectorized_map(
      (v: NDArray) =>
        tnp.scan(
          ([i, p]: [NDArray, NDArray]) => [[i.add(1), p.mul(v)], i],
          [tnp.asarray(0), tnp.asarray(1.5)] as [NDArray, NDArray],
          null,
          { length: 3 },
        ),
      starts,
    );
    close(powers[0][1], starts.mul(starts).mul(starts).mul(1.5));
    assert.deepEqual(powers[1].toArray(), [[0, 1, 2], [0, 1, 2]]);
  });

  test("loops nest, and branch", () => {
    const table = tnp.function((n: NDArray) =>
      tnp.scan(
        (c: NDArray, x: NDArray) => [
          c.add(1),
          tnp.scan((d: NDArray, y: NDArray) => [d.add(y.mul(c)), null], x, n)[0],
        ],
        1,
        n,
      )[1]
    );
    assert.deepEqual(table([1, 2, 3]).toArray(), [7, 14, 21]);
    const clipped = (x: NDArray): NDArray =>
      tnp.scan(
        (c: NDArray, v: NDArray) => [
          tnp.cond(v.gt(0), (c) => c.mul(v), (c) => c.add(v), c),
          null,
        ],
        1.5,
        x,
      )[0];
    close(clipped(x3), (1.5 * 1.5 - 0.5) * 2);
    assert.deepEqual(tnp.grad(clipped)(x3).toArray(), [3, 2, 1.75]);
  });

  test("draws anew in each step, and again after seed", () => {
    const walk = tnp.function(() =>
      tnp.scan((c: NDArray) => [c.add(tnp.random.uniform()), c], 0, null, { length: 5 })[1]
    );
    const run = (): number[] => {
      tnp.random.seed(3);
      return [walk(), walk()].flatMap((x) => x.toArray() as number[]);
    };
    const first = run();
    assert.equal(new Set(first).size, 9);
    assert.deepEqual(run(), first);
    const maps = tnp.vectorized_map(
      (_: NDArray) => tnp.scan((c: NDArray) => [c, tnp.random.uniform()], 0, null, { length: 2 })[1],
      [1, 2],
    );
    assert.equal(new Set(tnp.ravel(maps).toArray() as number[]).size, 4);
  });

  test("assigns variables step by step", () => {
    const total = new tnp.Variable(0.5);
    const seen = (x: NDArray): NDArray =>
      tnp.scan(
        (c: NDArray, x: NDArray) => {
          total.assign_add(x);
          return [c, total.value()];
        },
        0,
        x,
      )[1];
    assert.deepEqual(seen(x3).toArray(), [2, 1.5, 3.5]);
    assert.equal(total.value().item(), 3.5);
    const f = tnp.function(seen);
    f(x3);
    assert.deepEqual(f(x3).toArray(), [8, 7.5, 9.5]);
    assert.equal(total.value().item(), 9.5);
  });
});

describe("cond()", () => {
  const f = (x: NDArray): NDArray => tnp.cond(x.gt(0), (v) => tnp.sqrt(v), () => tnp.exp(x), x);

  test("takes one branch, outside of traces and inside", () => {
    const g = tnp.function((x: NDArray) => f(x));
    for (const h of [f, g]) {
      close(h(tnp.asarray(2.25)), 1.5);
      close(h(tnp.asarray(-1.5)), Math.exp(-1.5));
    }
    assert.equal(g.traces, 1);
    let called = "";
    assert.equal(tnp.cond(true, () => (called += "yes", 1), () => (called += "no", 2)).item(), 1);
    assert.equal(called, "yes");
    assert.equal(tnp.cond(tnp.asarray(0), (x) => x, (x) => x.neg(), 5).item(), -5);
  });

  test("gradients go through the branch that was taken", () => {
    for (const g of [f, tnp.function((x: NDArray) => f(x))]) {
      close(tnp.grad(g)(2.25), 1 / 3);
      close(tnp.grad(g)(-1.5), Math.exp(-1.5));
      close(tnp.grad((x: NDArray) => tnp.grad(g)(x))(2.25), -0.25 / 3.375);
    }
    const w = new tnp.Variable(2.5);
    const h = tnp.function((x: NDArray) => tnp.cond(x.gt(0), () => tnp.multiply(w, w), () => tnp.ones([])));
    using tape = new tnp.GradientTape({ persistent: true });
    const yes = h(1.5), no = h(-1.5);
    assert.deepEqual([tape.gradient(yes, w)?.item(), tape.gradient(no, w)?.item()], [5, 0]);
  });

  test("in maps each example takes its own", () => {
    const xs = tnp.asarray([2.25, -1.5, 4]);
    const expected = [1.5, Math.exp(-1.5), 2];
    close(tnp.vectorized_map(f, xs), expected);
    close(tnp.function((xs: NDArray) => tnp.vectorized_map(f, xs))(xs), expected);
    const shared = tnp.function((flag: NDArray, xs: NDArray) =>
      tnp.vectorized_map(
        (x: NDArray) => tnp.cond(flag, () => [x, tnp.asarray(1)], () => [x.neg(), x.astype("int64")]),
        xs,
      )
    );
    assert.deepEqual(shared(tnp.asarray(true), xs).map((x) => x.toArray()), [[2.25, -1.5, 4], [1, 1, 1]]);
    assert.deepEqual(shared(tnp.asarray(false), xs).map((x) => x.toArray()), [[-2.25, 1.5, -4], [2, -1, 4]]);
  });

  test("assigns variables in the branch that is taken", () => {
    const v = new tnp.Variable(0);
    const g = tnp.function((x: NDArray) => {
      tnp.cond(x.gt(0), () => (v.assign_add(10), 0), () => 0);
      return v.value();
    });
    assert.deepEqual([g(1), g(-1), g(2)].map((x) => x.item()), [10, 10, 20]);
  });

  test("lets variables trade their values", () => {
    const [v, w] = [new tnp.Variable(1), new tnp.Variable(2)];
    const trade = (x: NDArray) =>
      tnp.cond(x.gt(0), () => {
        const [before, after] = [v.value(), w.value()];
        v.assign(after);
        w.assign(before);
        return before;
      }, () => v.value());
    const traced = tnp.function(trade);
    for (const f of [trade, traced]) {
      const seen = [1, -1, 2].map((x) => [f(tnp.asarray(x)), v.value(), w.value()].map((a) => a.item()));
      assert.deepEqual(seen, [[1, 2, 1], [2, 2, 1], [2, 1, 2]]);
    }
  });

  test("says where branches differ", () => {
    const g = (no: (x: NDArray) => unknown) => () =>
      tnp.function((x: NDArray) => tnp.cond(x.gt(0), (x) => x, no, x))(tnp.asarray(1.5));
    assert.throws(g((x) => x.astype("float32")), {
      name: "TypeError",
      message: "cond: true_fn gives float64 [], false_fn float32 []",
    });
    assert.throws(g((x) => tnp.stack([x, x])), { name: "ShapeError" });
    assert.throws(
      g((x) => ({ x })),
      /the result of true_fn has the structure of one array, but false_fn gives \{"x":\*\}/,
    );
    assert.throws(() => tnp.cond(x3, (x) => x, (x) => x, 1), /the condition has shape \[3\], expected a scalar/);
    assert.equal(tnp.function((x: NDArray) => tnp.cond(x.gt(0), (x) => x, () => 0, x))(-1.5).item(), 0);
  });
});

describe("while_loop()", () => {
  const steps = (n: NDArray): NDArray =>
    tnp.while_loop(
      ([n]) => n.gt(1),
      ([n, k]) => [tnp.where(n.mod(2).eq(0), n.floordiv(2), n.mul(3).add(1)), k.add(1)],
      [n, tnp.asarray(0)] as [NDArray, NDArray],
    )[1];
  const grow = (x: NDArray): NDArray =>
    tnp.while_loop((c) => c.lt(100), (c) => c.mul(x).add(1), x, { maximum_iterations: 20 });

  test("loops, outside of traces and inside", () => {
    const f = tnp.function(steps);
    assert.deepEqual([27, 6, 1].map((n) => steps(tnp.asarray(n)).item()), [111, 8, 0]);
    assert.deepEqual([27, 6, 1].map((n) => f(n).item()), [111, 8, 0]);
    assert.equal(f.traces, 1);
    assert.equal(tnp.while_loop(() => true, (c) => c.add(1), 0, { maximum_iterations: 4 }).item(), 4);
    assert.equal(
      tnp.function(() => tnp.while_loop(() => true, (c) => c.add(1), 0, { maximum_iterations: 4 }))().item(),
      4,
    );
    const half = tnp.function((x: NDArray) => tnp.while_loop((c) => c.gt(1), (c) => c.div(2), x));
    assert.equal(half(tnp.asarray(7, { dtype: "float64" })).item(), 0.875);
  });

  test("examples of a map end one by one", () => {
    const f = tnp.function((xs: NDArray) => tnp.vectorized_map(steps, xs));
    assert.deepEqual(tnp.vectorized_map(steps, [27, 6, 1, 7]).toArray(), [111, 8, 0, 16]);
    assert.deepEqual(f([27, 6, 1, 7]).toArray(), [111, 8, 0, 16]);
    const fixed = (x: NDArray): NDArray =>
      tnp.while_loop(([i]) => i.lt(3), ([i, v]) => [i.add(1), v.mul(x)], [tnp.asarray(0), x] as [NDArray, NDArray])[1];
    assert.deepEqual(tnp.vectorized_map(fixed, [1, 2, 3]).toArray(), [1, 16, 81]);
  });

  test("leaves examples along a later axis to what follows", () => {
    const double = (x: NDArray): NDArray[] => {
      const [, y] = tnp.while_loop(
        ([n, y]) => tnp.logical_and(n.lt(3), y.sum().lt(50)),
        ([n, y]) => [n.add(1), y.add(y)],
        [tnp.asarray(0), x] as [NDArray, NDArray],
      );
      return [y, x.add(1)];
    };
    const x = tnp.asarray([[1, 2, 3], [4, 5, 6]]);
    const expected = [0, 1, 2].map((i) => double(x.at(":", i)).map((y) => y.toArray()));
    for (const f of [double, tnp.function(double)]) {
      const out = tnp.vectorized_map(f, x, { in_axes: 1 });
      assert.deepEqual([0, 1, 2].map((i) => out.map((y) => y.at(i).toArray())), expected);
    }
  });

  test("gradients of a loop with a bound", () => {
    const eager = tnp.grad(grow)(2.5), second = tnp.grad((x: NDArray) => tnp.grad(grow)(x))(2.5);
    const f = tnp.function(grow);
    close(tnp.grad(f)(2.5), eager);
    close(tnp.function((x: NDArray) => tnp.grad(grow)(x))(2.5), eager);
    close(tnp.grad((x: NDArray) => tnp.grad(f)(x))(2.5), second);
    const xs = tnp.asarray([2.5, 1.5, 200, 4]);
    const expected = oneByOne((x: NDArray) => tnp.grad(grow)(x), xs);
    close(tnp.vectorized_map((x: NDArray) => tnp.grad(grow)(x), xs), expected);
    close(tnp.vectorized_map((x: NDArray) => tnp.grad(f)(x), xs), expected);
    close(tnp.grad((xs: NDArray) => tnp.vectorized_map(grow, xs).sum())(xs), expected);
    close(
      tnp.vectorized_map((x: NDArray) => tnp.grad((x: NDArray) => tnp.grad(grow)(x))(x), xs),
      oneByOne((x: NDArray) => tnp.grad((x: NDArray) => tnp.grad(grow)(x))(x), xs),
    );
  });

  test("a traced loop without a bound has no gradient", () => {
    const f = tnp.function((x: NDArray) => tnp.while_loop((c) => c.lt(100), (c) => c.mul(x), x));
    assert.equal(f(2.5).item(), 2.5 ** 6);
    assert.throws(() => tnp.grad(f)(2.5), /while_loop: the gradient needs a bound .* give \{ maximum_iterations \}/);
    close(tnp.grad((x: NDArray) => tnp.while_loop((c) => c.lt(100), (c) => c.mul(x), x))(2.5), 6 * 2.5 ** 5);
  });

  test("draws and variables", () => {
    const v = new tnp.Variable(0.5);
    const f = tnp.function(() =>
      tnp.while_loop((c) => c.lt(3), (c) => {
        v.assign_add(tnp.random.uniform());
        return c.add(v).add(tnp.random.uniform(0, 0.1));
      }, 0)
    );
    tnp.random.seed(5);
    const a = f().item() as number, b = v.value().item();
    v.assign(0.5);
    tnp.random.seed(5);
    assert.deepEqual([f().item(), v.value().item()], [a, b]);
    assert.ok(a >= 3 && b !== 0.5);
  });

  test("says what is wrong", () => {
    assert.throws(() => tnp.while_loop((c) => c.lt(9), (c) => tnp.stack([c, c]), tnp.asarray(1)), {
      name: "ShapeError",
      message: "while_loop: the carry begins as int64 [], but the function gives int64 [2]",
    });
    assert.throws(() => tnp.while_loop((c) => tnp.stack([c, c]), (c) => c, 1), /expected a scalar/);
    assert.throws(
      () => tnp.while_loop((c) => c.lt(1), (c) => c, 1, { maximum: 3 } as never),
      /unexpected keyword "maximum"/,
    );
    const v = new tnp.Variable(0);
    const f = tnp.function((x: NDArray) => tnp.while_loop((c) => c.lt(v.assign_add(1).value()), (c) => c, x));
    assert.throws(() => f(1), /the condition assigns a variable/);
  });
});

describe("control flow in a row and in one another", () => {
  const w = tnp.asarray([0.5, -1.5, 2]);
  /** Everything at once: results that are arguments, constants and each other; values used across loops. */
  const f = (x: NDArray, n: NDArray): NDArray[] => {
    const y = tnp.exp(x.neg()).mul(w);
    const [a, as] = tnp.scan((c: NDArray, v: NDArray) => [c.add(v.mul(n)), tnp.stack([c, v])], y.sum(), y);
    const b = tnp.cond(a.gt(0), () => tnp.sort(y), () => tnp.cumsum(y.mul(a), 0));
    const c = tnp.while_loop(
      ([v, _]) => v.sum().lt(20),
      ([v, k]) => [tnp.cond(k.mod(2).eq(0), () => v.add(1), () => v.mul(1.5), k), k.add(1)],
      [b, tnp.asarray(0)] as [NDArray, NDArray],
    );
    return [a, a, as, x, w, n, b.add(y), ...c, tnp.cond(a.lt(100), () => y, () => x), tnp.arange(3).mul(c[1])];
  };
  const g = tnp.function(f);
  const xs = tnp.reshape(tnp.linspace(-1, 1, 6), [2, 3]);

  test("is the same in a trace, a trace in a trace, and a map", () => {
    const outer = tnp.function((x: NDArray, n: NDArray) => g(x, n).map((y) => y.add(0)));
    for (let i = 0; i < 2; i++) {
      for (const n of [1.5, -2.5]) {
        const x = xs.at(i);
        const expected = f(x, tnp.asarray(n));
        g(x, n).forEach((y, i) => close(y, expected[i]!));
        outer(x, n).forEach((y, i) => close(y, expected[i]!));
      }
    }
    assert.deepEqual([g.traces, outer.traces], [1, 1]);
    const one = f(xs.at(0), tnp.asarray(1.5)), two = f(xs.at(1), tnp.asarray(1.5));
    const expected = one.map((y, i) => tnp.stack([y, two[i]!]));
    for (const h of [f, g]) {
      const out = tnp.vectorized_map((x: NDArray) => h(x, tnp.asarray(1.5)), xs);
      out.forEach((y, i) => close(y, expected[i]!));
    }
  });

  test("has the same gradients", () => {
    const loss = (h: (x: NDArray, n: NDArray) => NDArray[]) => (x: NDArray): NDArray => {
      const [a, , as, , , , b, , , y] = h(x, tnp.asarray(1.5));
      return a!.mul(a!).add(as!.sum()).add(b!.mul(b!).sum()).add(y!.sum());
    };
    for (let i = 0; i < 2; i++) {
      const expected = tnp.grad(loss(f))(xs.at(i));
      const loops = tnp.function((x: NDArray, n: NDArray) => f(x, n).slice(0, 10));
      assert.throws(
        () => tnp.grad((x: NDArray) => loops(x, tnp.asarray(1.5))[7]!.sum())(xs.at(i)),
        /maximum_iterations/,
      );
      close(tnp.grad(loss(loops))(xs.at(i)), expected);
    }
  });
});

describe("cotangents of control flow", () => {
  test("that reach a loop and its input alike are there for both", () => {
    const running = (x: NDArray): NDArray => tnp.scan((c: NDArray, v: NDArray) => [c.add(v), c.mul(v)], 0.0, x)[1];
    for (const f of [running, tnp.function(running)]) {
      close(tnp.grad((x: NDArray) => f(x).add(x).sum())(tnp.asarray([1.5, -0.5, 2])), [2.5, 4.5, 2]);
      const xs = tnp.asarray([[1.5, 1], [-0.5, 2], [2, 3]]);
      const rows = (x: NDArray) => tnp.vectorized_map((v: NDArray) => f(v).add(v), x, { in_axes: 1 });
      close(tnp.grad((x: NDArray) => rows(x).sum())(xs), tnp.asarray([[2.5, 6], [4.5, 5], [2, 4]]));
    }
  });
});

describe("memory of control flow", () => {
  test("nothing stays behind", () => {
    const f = tnp.function((x: NDArray) => {
      const [c, ys] = tnp.scan((c: NDArray, v: NDArray) => [c.add(v), c.mul(v)], tnp.zeros([64]), x);
      return tnp.cond(c.sum().gt(0), () => [c, ys.sum(0)], () => [c.neg(), ys.sum(0)]);
    });
    const x = tnp.ones([20, 64]);
    const run = (): void => {
      tnp.scope(() => f(x).map((y) => y.item(0)));
      tnp.scope(() => {
        using tape = new tnp.GradientTape();
        tape.watch(x);
        return tape.gradient(f(x)[0]!.sum(), x)!.item(0, 0);
      });
      tnp.scope(() => tnp.vectorized_map((row: NDArray) => scanned(row), x).sum().item());
    };
    for (let i = 0; i < 3; i++) run();
    const before = tnp.memory_stats("CPU:0");
    for (let i = 0; i < 5; i++) run();
    const after = tnp.memory_stats("CPU:0");
    assert.deepEqual([after.live, after.count], [before.live, before.count]);
  });
});
