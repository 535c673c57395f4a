import assert from "node:assert/strict";
import { type NDArray, tnp } from "../mod.ts";
import { nodeOf } from "../src/array.ts";
import { context } from "../src/core/trace.ts";
import { describe, test } from "./support/suite.ts";

const list = (x: NDArray | null): unknown => x === null ? null : x.toArray();
const cube = (x: NDArray): NDArray => tnp.multiply(tnp.multiply(x, x), x);

describe("GradientTape", () => {
  test("gradient() by arrays it watches, in a tree", () => {
    const x = tnp.asarray([1.0, 2.5]);
    const y = tnp.asarray(3.5);
    using tape = new tnp.GradientTape();
    tape.watch({ x, y });
    const z = tnp.sum(tnp.multiply(tnp.multiply(x, x), y));
    const { a, b } = tape.gradient(z, { a: x, b: [y] });
    assert.deepEqual(list(a), [7, 17.5]);
    assert.deepEqual(b.map(list), [7.25]);
  });

  test("sums over targets and over every element of one", () => {
    const x = tnp.asarray([1.5, 2.5]);
    using tape = new tnp.GradientTape();
    tape.watch(x);
    assert.deepEqual(list(tape.gradient([tnp.multiply(x, 2), { more: tnp.multiply(x, x) }], x)), [5, 7]);
  });

  test("sums cotangents over broadcast axes", () => {
    const x = tnp.ones([3, 1]);
    const b = tnp.ones([4]);
    using tape = new tnp.GradientTape();
    tape.watch([x, b]);
    const [gx, gb] = tape.gradient(tnp.multiply(tnp.add(x, b), 2), [x, b]);
    assert.deepEqual([gx!.shape, list(gx)], [[3, 1], [[8], [8], [8]]]);
    assert.deepEqual(list(gb), [6, 6, 6, 6]);
  });

  test("takes output gradients", () => {
    const x = tnp.asarray([1.5, 2.5]);
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const y = tnp.multiply(x, x);
    assert.deepEqual(list(tape.gradient(y, x, { output_gradients: tnp.asarray([1.0, 10]) })), [3, 50]);
    assert.deepEqual(list(tape.gradient([y, x], x, { output_gradients: [tnp.asarray([1.0, 10]), null] })), [4, 51]);
    assert.throws(() => tape.gradient(y, x, { output_gradients: tnp.ones([3]) }), {
      name: "ShapeError",
      message: "gradient: an output gradient of shape [3] was given for a target of shape [2]",
    });
  });

  test("says nothing flows with null, or with zeros", () => {
    const x = tnp.asarray([1.5, 2]);
    const other = tnp.ones([2, 2]);
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch([x, other]);
    const y = tnp.sum(x);
    assert.equal(tape.gradient(y, other), null);
    assert.deepEqual(tape.gradient(y, other, { unconnected_gradients: "zero" }).toArray(), [[0, 0], [0, 0]]);
    assert.equal(tape.gradient(tnp.argmax(x), x), null);
    assert.equal(tape.gradient(tnp.sum(tnp.ones([2])), x), null);
    assert.throws(() => tape.gradient(y, x, { unconnected_gradients: "zeros" as "zero" }), TypeError);
  });

  test("does not watch what it was not told to", () => {
    const x = tnp.asarray(2.0);
    using tape = new tnp.GradientTape();
    assert.equal(tape.gradient(tnp.multiply(x, x), x), null);
  });

  test("differentiates by what was computed on the way", () => {
    const x = tnp.asarray(2.5);
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const y = tnp.multiply(x, x);
    const z = tnp.multiply(y, y);
    assert.equal(tape.gradient(z, y)?.item(), 12.5);
    assert.equal(tape.gradient(z, x)?.item(), 62.5);
    assert.deepEqual(tape.gradient(z, [y, x]).map((g) => g?.item()), [12.5, 62.5]);
  });

  test("gives one gradient unless it is persistent", () => {
    const x = tnp.asarray(3.5);
    const tape = new tnp.GradientTape();
    tape.watch(x);
    const y = tnp.multiply(x, x);
    assert.equal(tape.gradient(y, x)?.item(), 7);
    assert.throws(() => tape.gradient(y, x), /gradient: the tape was used up; .*persistent: true/);
    tape.dispose();
  });

  test("is of no use after its end", () => {
    const x = tnp.asarray(3.5);
    const tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const y = tnp.multiply(x, x);
    tape.dispose();
    assert.throws(() => tape.gradient(y, x), /used up/);
    assert.throws(() => tape.watch(x), /^Error: watch: the tape was used up/);
    assert.throws(() => tape.stop_recording(async () => {}), /^TypeError: stop_recording: the function must be sync/);
  });

  test("stop_recording() hides what a function does", () => {
    const x = tnp.asarray(3.5);
    using tape = new tnp.GradientTape();
    tape.watch(x);
    const y = tnp.multiply(x, x);
    const hidden = tape.stop_recording(() => tnp.multiply(x, 100));
    assert.equal(tape.gradient(tnp.add(y, hidden), x)?.item(), 7);
  });

  test("reset() forgets", () => {
    const x = tnp.asarray(3.5);
    using tape = new tnp.GradientTape();
    tape.watch(x);
    const y = tnp.multiply(x, x);
    tape.reset();
    tape.watch(x);
    const z = tnp.multiply(x, 2);
    assert.equal(tape.gradient(tnp.add(y, z), x)?.item(), 2);
  });

  test("nested tapes give higher orders", () => {
    const x = tnp.asarray(2.0, { dtype: "float64" });
    using third = new tnp.GradientTape();
    third.watch(x);
    using second = new tnp.GradientTape();
    second.watch(x);
    using first = new tnp.GradientTape();
    first.watch(x);
    const y = tnp.multiply(cube(x), x);
    const g = first.gradient(y, x)!;
    const gg = second.gradient(g, x)!;
    const ggg = third.gradient(gg, x)!;
    assert.deepEqual([g, gg, ggg].map((a) => a.item()), [32, 48, 48]);
  });

  test("a persistent tape differentiates its own gradients", () => {
    const x = tnp.asarray([1.0, 2], { dtype: "float64" });
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const g = tape.gradient(cube(x), x)!;
    assert.deepEqual(list(tape.gradient(g, x)), [6, 12]);
  });

  test("stop_gradient() cuts", () => {
    const x = tnp.asarray(3.5);
    using tape = new tnp.GradientTape();
    tape.watch(x);
    assert.equal(tape.gradient(tnp.multiply(tnp.stop_gradient(x), x), x)?.item(), 3.5);
  });

  test("refuses integers and what is no array", () => {
    using tape = new tnp.GradientTape();
    assert.throws(() => tape.watch(tnp.asarray([1, 2])), {
      name: "TypeError",
      message: "watch: gradients exist for floating and complex arrays only, got dtype int64",
    });
    assert.throws(() => tape.watch(3 as unknown as NDArray), {
      name: "TypeError",
      message: "watch: got 3, expected an array or a variable",
    });
  });
});

describe("GradientTape and variables", () => {
  test("watches trainable ones when they are read", () => {
    const w = new tnp.Variable([1.5, 2.5]);
    const fixed = new tnp.Variable([1.5, 2.5], { trainable: false });
    using tape = new tnp.GradientTape();
    const y = tnp.sum(tnp.multiply(tnp.multiply(w, w), fixed));
    const [gw, gf] = tape.gradient(y, [w, fixed]);
    assert.deepEqual(list(gw), [4.5, 12.5]);
    assert.equal(gf, null);
  });

  test("does not where that is switched off, unless told to", () => {
    const w = new tnp.Variable(3.5);
    using blind = new tnp.GradientTape({ watch_accessed_variables: false });
    assert.equal(blind.gradient(tnp.multiply(w, w), w), null);
    using told = new tnp.GradientTape({ watch_accessed_variables: false });
    told.watch(w);
    assert.equal(told.gradient(tnp.multiply(w, w), w)?.item(), 7);
  });

  test("an assignment starts anew: nothing flows through it", () => {
    const w = new tnp.Variable(3.5);
    const x = tnp.asarray(2.5);
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const before = tnp.multiply(w, 10);
    w.assign(tnp.multiply(x, 4));
    const after = tnp.multiply(w, w);
    assert.equal(w.value().item(), 10);
    assert.equal(tape.gradient(after, x), null);
    assert.equal(tape.gradient(after, w)?.item(), 20);
    assert.equal(tape.gradient(tnp.add(before, after), w)?.item(), 30);
  });

  test("variables made of one array, and the array, have gradients of their own", () => {
    const made = [tnp.asarray([1.5, 2.5]), tnp.asarray([0.5, 1.5]).add(1)] as const;
    for (const x of made) {
      const [v, w] = [new tnp.Variable(x), new tnp.Variable([7, 7], { dtype: "float64" })];
      w.assign(x);
      const [xs, copied] = [x.toArray() as number[], new tnp.Variable(v)];
      using tape = new tnp.GradientTape();
      tape.watch(x);
      assert.deepEqual(tape.watched_variables(), []);
      const y = tnp.multiply(v, w).mul(w).mul(x).add(copied);
      const grads = tape.gradient(y, [v, w, x, copied]).map((g) => g!.toArray());
      const powers = (k: number) => xs.map((value) => k * value ** 3);
      assert.deepEqual(grads, [powers(1), powers(2), powers(1), [1, 1]]);
    }
  });
  test("a variable outlives the array it was made of", () => {
    const x = tnp.asarray([1.5, 2.5]), v = new tnp.Variable(x), pending = tnp.add(x, 1), w = new tnp.Variable(pending);
    x.dispose();
    pending.dispose();
    assert.deepEqual([v.value().toArray(), w.value().toArray()], [[1.5, 2.5], [2.5, 3.5]]);
  });
  test("assign checks shape and dtype", () => {
    const w = new tnp.Variable([1, 2], { dtype: "float32" });
    assert.deepEqual(w.assign([3, 4]).value().toArray(), [3, 4]);
    assert.deepEqual(w.assign_sub(1).assign_add([1, 2]).value().toArray(), [3, 5]);
    assert.equal(w.value().dtype, "float32");
    assert.throws(() => w.assign([1, 2, 3]), {
      name: "ShapeError",
      message: "assign: got shape [3], expected the variable's [2]",
    });
    assert.throws(() => w.assign(tnp.asarray([1.5, 2])), {
      name: "TypeError",
      message: "assign: got dtype float64, expected the variable's float32; cast with astype",
    });
  });
});

describe("GradientTape.jacobian()", () => {
  const x = tnp.asarray([1.5, 2, 3]);
  const f = (x: NDArray): NDArray => tnp.multiply(tnp.outer(x, x), tnp.sin(x));

  test("is the gradients of the elements, stacked", () => {
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const y = f(x);
    const j = tape.jacobian(y, x)!;
    assert.deepEqual(j.shape, [3, 3, 3]);
    const rows = [0, 1, 2].map((i) => [0, 1, 2].map((k) => tape.gradient(y.at(i, k), x)!.toArray()));
    assert.deepEqual(j.toArray(), rows);
    assert.deepEqual(tape.jacobian(y, x, { parallel_iterations: 2 })!.toArray(), rows);
  });

  test("of a scalar, of trees, and of what is not connected", () => {
    const other = tnp.ones([2]);
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch([x, other]);
    const y = tnp.sum(tnp.multiply(x, x));
    const [a, b] = tape.jacobian(y, [x, other]);
    assert.deepEqual(a!.toArray(), [3, 4, 6]);
    assert.equal(b, null);
    const zeros = tape.jacobian(tnp.multiply(x, 2), other, { unconnected_gradients: "zero" });
    assert.deepEqual([zeros.shape, zeros.dtype], [[3, 2], "float64"]);
  });

  test("is recorded by outer tapes", () => {
    using outer = new tnp.GradientTape();
    outer.watch(x);
    using inner = new tnp.GradientTape();
    inner.watch(x);
    const j = inner.jacobian(cube(x), x)!;
    assert.deepEqual(list(outer.gradient(j, x)), [9, 12, 18]);
  });

  test("of an empty array", () => {
    const empty = tnp.zeros([0]);
    using tape = new tnp.GradientTape();
    tape.watch(empty);
    assert.deepEqual(tape.jacobian(tnp.multiply(empty, 2), empty)!.shape, [0, 0]);
  });
});

describe("GradientTape.batch_jacobian()", () => {
  const x = tnp.asarray([[1.5, 2], [3, 4], [5, 6]]);

  test("is the Jacobian of each example", () => {
    const f = (row: NDArray): NDArray => tnp.multiply(row, tnp.sum(row, { axis: -1, keepdims: true }));
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const y = f(x);
    const j = tape.batch_jacobian(y, x)!;
    const each = [0, 1, 2].map((i) => tnp.jacobian(f)(x.at(i)).toArray());
    assert.deepEqual(j.toArray(), each);
    assert.deepEqual(tape.batch_jacobian(y, x, { parallel_iterations: 1 })!.toArray(), each);
  });

  test("refuses first axes that differ", () => {
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    assert.throws(() => tape.batch_jacobian(tnp.sum(x, 0), x), {
      name: "ShapeError",
      message: "batch_jacobian: target and source must have the same first axis, got shapes [2] and [3, 2]",
    });
  });
});

describe("grad() and its kin", () => {
  const loss = (x: NDArray, y: NDArray): NDArray => tnp.sum(tnp.multiply(tnp.multiply(x, x), y));

  test("grad by one argument, by several, by trees", () => {
    assert.deepEqual(tnp.grad(loss)([1.5, 2], [1, 2]).toArray(), [3, 8]);
    assert.deepEqual(tnp.grad(loss, 1)([1.5, 2], [1, 2]).toArray(), [2.25, 4]);
    assert.deepEqual(tnp.grad(loss, [1, 0])([1.5, 2], [1, 2]).map(list), [[2.25, 4], [3, 8]]);
    const tree = tnp.grad((p: { w: NDArray; b: NDArray[] }) => tnp.sum(tnp.add(tnp.multiply(p.w, 3), p.b[0]!)));
    const g = tree({ w: [1, 2], b: [tnp.asarray(5.5)] });
    assert.deepEqual([g.w.toArray(), g.b.map(list)], [[3, 3], [2]]);
  });

  test("plain numbers are floats", () => {
    assert.equal(tnp.grad((x: NDArray) => tnp.multiply(x, x))(3).item(), 6);
    assert.equal(tnp.grad(tnp.grad((x: NDArray) => cube(x)))(2).item(), 12);
  });

  test("arguments that are one array stay two", () => {
    const x = tnp.asarray(3.5);
    assert.equal(tnp.grad((a: NDArray, b: NDArray) => tnp.multiply(a, b))(x, x).item(), 3.5);
    assert.equal(tnp.grad((a: NDArray) => tnp.multiply(a, x))(x).item(), 3.5);
  });

  test("value_and_grad, with aux", () => {
    const [value, g] = tnp.value_and_grad(loss)([1.5, 2], [1, 2]);
    assert.deepEqual([value.item(), g.toArray()], [10.25, [3, 8]]);
    const f = (x: NDArray): unknown => [tnp.sum(tnp.multiply(x, x)), { squares: tnp.multiply(x, x) }];
    const [[v, aux], gx] = tnp.value_and_grad(f, { has_aux: true })([1, 2]);
    assert.deepEqual([v.item(), gx.toArray()], [5, [2, 4]]);
    assert.deepEqual((aux as { squares: NDArray }).squares.toArray(), [1, 4]);
  });

  test("refuse integers, and results that are no floating scalar", () => {
    const f = tnp.grad((x: NDArray) => tnp.sum(x));
    assert.throws(() => f(tnp.asarray([1, 2])), {
      name: "TypeError",
      message: "grad: what is differentiated by must be floating or complex, got dtype int64",
    });
    assert.throws(() => tnp.grad((x: NDArray) => x)([1, 2]), {
      name: "ShapeError",
      message: "grad: the function must return a scalar, got shape [2]",
    });
    assert.throws(() => tnp.grad((x: NDArray) => tnp.argmax(x))([1, 2]), /floating or complex scalar, got dtype int64/);
    assert.throws(() => tnp.grad((x: NDArray) => x, 1)([1, 2]), /got 1 arguments, cannot differentiate by argument 1/);
  });

  test("vjp and jvp agree with the Jacobian", () => {
    const f = (x: NDArray): NDArray => tnp.multiply(tnp.sin(x), tnp.sum(x));
    const x = tnp.asarray([0.5, 1.5, 2.5]);
    const j = tnp.jacobian(f)(x);
    const g = tnp.asarray([1.0, -2, 0.5]);
    const [y, pull] = tnp.vjp(f, x);
    assert.deepEqual(y.toArray(), f(x).toArray());
    assert.ok(tnp.allclose(pull(g)[0], tnp.matmul(g, j)));
    assert.ok(tnp.allclose(pull(tnp.multiply(g, 2))[0], tnp.matmul(tnp.multiply(g, 2), j)));
    const [out, tangent] = tnp.jvp(f, [x], [g]);
    assert.deepEqual(tnp.jvp((a: NDArray) => tnp.multiply(a, a), [3], [1]).map(list), [9, 6]);
    const two = tnp.jvp((p: { a: NDArray; n: string }, b: NDArray) => [tnp.multiply(p.a, b)], [{ a: x, n: "" }, 2], [{
      a: [1, 1, 1],
      n: "",
    }, 1]);
    assert.deepEqual(two.flat().map(list), [[1, 3, 5], [2.5, 3.5, 4.5]]);
    assert.throws(() => tnp.jvp(f, [x], [[1, 2]]), {
      name: "ShapeError",
      message: "jvp: tangent 0 has shape [2], expected [3]",
    });
    const [, both] = tnp.vjp((a: NDArray) => [tnp.multiply(a, 2), { b: tnp.multiply(a, 3) }], 1.5);
    assert.equal(both([1, { b: 10 }])[0].item(), 32);
    assert.throws(() => both([1]), {
      name: "TypeError",
      message: "vjp: the cotangent is a list, expected a list of 2",
    });
    assert.deepEqual(out.toArray(), f(x).toArray());
    assert.ok(tnp.allclose(tangent, tnp.matmul(j, g)));
  });

  test("jacobian of trees, hessian", () => {
    const f = (x: NDArray, y: NDArray) => ({ a: tnp.multiply(x, y), b: [tnp.sum(x)] });
    const j = tnp.jacobian(f, [0, 1])([1.5, 2], [3, 4]) as unknown as { a: NDArray[]; b: [NDArray[]] };
    assert.deepEqual(j.a.map(list), [[[3, 0], [0, 4]], [[1.5, 0], [0, 2]]]);
    assert.deepEqual(j.b[0].map(list), [[1, 1], [0, 0]]);
    const h = tnp.hessian((x: NDArray) => tnp.multiply(tnp.sum(cube(x)), x.at(0)))([1, 2]);
    assert.deepEqual(h.toArray(), [[12, 12], [12, 12]]);
  });
});

describe("custom_gradient()", () => {
  const log1pexp = tnp.custom_gradient((x: NDArray) => {
    const e = tnp.exp(x);
    return {
      value: tnp.log(tnp.add(e, 1)),
      gradient: (g: NDArray) => tnp.multiply(g, tnp.subtract(1, tnp.divide(1, tnp.add(e, 1)))),
    };
  });

  test("is used instead of the primitives' rules, to second order too", () => {
    assert.equal(tnp.grad(log1pexp)(100).item(), 1);
    const second = tnp.grad(tnp.grad(log1pexp))(0.5).item() as number;
    const s = 1 / (1 + Math.exp(-0.5));
    assert.ok(Math.abs(second - s * (1 - s)) < 1e-12);
  });

  test("serves functions without a gradient", () => {
    const round = tnp.custom_gradient((x: NDArray) => ({ value: tnp.rint(x), gradient: (g: NDArray) => g }));
    const g = tnp.grad((x: NDArray) => tnp.sum(tnp.multiply(round(x), [1, 2])))([0.4, 1.6]);
    assert.deepEqual(g.toArray(), [1, 2]);
  });

  test("several arguments and results", () => {
    const f = tnp.custom_gradient((x: NDArray, y: NDArray) => ({
      value: [tnp.multiply(x, y), tnp.add(x, y)] as [NDArray, NDArray],
      gradient: ([a, b]: [NDArray, NDArray]) => [tnp.add(tnp.multiply(a, 10), b), tnp.multiply(b, 100)],
    }));
    const total = (x: NDArray, y: NDArray) => {
      const [p, s] = f(x, y);
      return tnp.add(p, tnp.multiply(s, 3));
    };
    assert.deepEqual(tnp.grad(total, [0, 1])(2, 5).map((g) => g.item()), [13, 300]);
  });

  test("survives vectorized_map and function", () => {
    const x = tnp.asarray([0.5, 100, 800]);
    const expected = [1 - 1 / (1 + Math.exp(0.5)), 1, 1];
    const each = tnp.vectorized_map((v: NDArray) => tnp.grad(log1pexp)(v), x).toArray() as number[];
    const outside = tnp.grad((x: NDArray) => tnp.sum(tnp.vectorized_map((v: NDArray) => log1pexp(v), x)))(x);
    const f = tnp.function((x: NDArray) => log1pexp(x));
    const through = tnp.grad((x: NDArray) => tnp.sum(f(x)))(x);
    const inside = tnp.function((x: NDArray) => tnp.grad((x: NDArray) => tnp.sum(log1pexp(x)))(x))(x);
    for (const found of [each, outside.toArray(), through.toArray(), inside.toArray()] as number[][]) {
      found.forEach((v, i) => assert.ok(Math.abs(v - expected[i]!) < 1e-12, `${found}`));
    }
  });

  test("checks what the gradient function gives", () => {
    const bad = tnp.custom_gradient((x: NDArray) => ({ value: x, gradient: () => tnp.ones([3]) }));
    assert.throws(() => tnp.grad((x: NDArray) => tnp.sum(bad(x)))([1, 2]), {
      name: "ShapeError",
      message: "custom_gradient: gradient 0 has shape [3], expected the argument's [2]",
    });
    const two = tnp.custom_gradient((x: NDArray) => ({ value: x, gradient: (g: NDArray) => [g, g] }));
    assert.throws(() => tnp.grad((x: NDArray) => two(x))(1), /gave 2 gradients, expected 1/);
  });
});

describe("tapes let go of what they held", () => {
  const holders = (x: NDArray): number => nodeOf(x).holders;

  test("after a gradient, at their end, and when a function throws", () => {
    const x = tnp.asarray([1.5, 2]);
    x.dataSync();
    const before = holders(x);
    {
      using tape = new tnp.GradientTape();
      tape.watch(x);
      using y = tnp.sin(x);
      using g = tape.gradient(y, x)!;
      g.dataSync();
      y.dataSync();
    }
    assert.equal(holders(x), before);
    {
      using tape = new tnp.GradientTape({ persistent: true });
      tape.watch(x);
      using y = tnp.multiply(x, x);
      using g = tape.gradient(y, x)!;
      using h = tape.gradient(g, x)!;
      using j = tape.jacobian(y, x)!;
      for (const a of [y, g, h, j]) a.dataSync();
      assert.ok(holders(x) > before);
    }
    assert.equal(holders(x), before);
    assert.throws(() =>
      tnp.grad((_: NDArray) => {
        throw new Error("no");
      })(x), /no/);
    assert.equal(context.recorders.length, 0);
  });

  test("and gradients nobody reads keep only what they need", () => {
    const x = tnp.asarray([1.5, 2]);
    x.dataSync();
    const before = holders(x);
    {
      using tape = new tnp.GradientTape();
      tape.watch(x);
      using y = tnp.multiply(x, tnp.asarray([1.5, 2]));
      using g = tape.gradient(y, x)!;
      void g;
    }
    assert.equal(holders(x), before);
  });

  test("a pullback gives back what it holds", () => {
    const x = tnp.asarray([1.5, 2]);
    x.dataSync();
    const before = holders(x);
    {
      const [y, pull] = tnp.vjp((x: NDArray) => tnp.multiply(x, x), x);
      using _y = y;
      using _pull = pull;
      using g = pull([1, 10])[0];
      assert.deepEqual(g.toArray(), [3, 40]);
    }
    assert.equal(holders(x), before);
    const [, pull] = tnp.vjp((x: NDArray) => tnp.multiply(x, x), x);
    pull.dispose();
    assert.throws(() => pull([1, 1]), { name: "DisposedError" });
  });
});

describe("watched_variables()", () => {
  test("lists the variables that were read or watched", () => {
    const [a, b, c] = [new tnp.Variable(1.5), new tnp.Variable(2.5, { trainable: false }), new tnp.Variable(3.5)];
    using tape = new tnp.GradientTape({ persistent: true });
    tnp.add(tnp.multiply(c, a), b);
    assert.deepEqual(tape.watched_variables(), [c, a]);
    tape.watch(b);
    assert.deepEqual(tape.watched_variables(), [c, a, b]);
    using other = new tnp.GradientTape({ watch_accessed_variables: false });
    tnp.multiply(a, c);
    assert.deepEqual(other.watched_variables(), []);
    const y = tnp.multiply(a, c);
    assert.deepEqual(tape.gradient(y, tape.watched_variables()).map((g) => g?.item()), [1.5, 3.5, undefined]);
  });
});
