import assert from "node:assert/strict";
import { type NDArray, tnp } from "../mod.ts";
import type { Primitive } from "../src/core/primitive.ts";
import { prims } from "../src/core/registry.ts";
import { describe, test } from "./support/suite.ts";

type F = (x: NDArray) => NDArray;

/** How often the rule of `exp` is asked for a cotangent while a function runs. */
function rules(fn: () => void): number {
  const record = prims.exp as { -readonly [K in keyof Primitive<null>]: Primitive<null>[K] };
  const { vjp } = record;
  let calls = 0;
  record.vjp = (g, ctx) => {
    calls++;
    return vjp!(g, ctx);
  };
  try {
    fn();
  } finally {
    record.vjp = vjp;
  }
  return calls;
}

function gradient(f: F, x: NDArray): unknown {
  using tape = new tnp.GradientTape();
  tape.watch(x);
  return tape.gradient(f(x), x)?.toArray();
}

describe("a sweep that came before", () => {
  test("is bound again without rules, on other values and numbers", () => {
    const at = (i: number) => gradient((x) => tnp.exp(x).mul(0.25 + i), tnp.zeros([3, 5]).add(i));
    const calls = rules(() => {
      for (let i = 0; i < 6; i++) {
        const row = new Array(5).fill(Math.exp(i) * (0.25 + i));
        assert.deepEqual(at(i), [row, row, row]);
      }
    });
    assert.equal(calls, 2);
  });

  test("of a Jacobian, too", () => {
    const x = tnp.asarray([[0.5, 1.5, 2.5], [3, 4, 5]]);
    const [a, b] = [tnp.asarray([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), tnp.exp(x)];
    const want = tnp.multiply(tnp.expand_dims(b, 1), a).toArray();
    const calls = rules(() => {
      for (let i = 0; i < 5; i++) {
        using tape = new tnp.GradientTape();
        tape.watch(x);
        assert.deepEqual(tape.batch_jacobian(tnp.exp(x), x)?.toArray(), want);
      }
    });
    assert.equal(calls, 2);
  });

  test("is another one for other shapes, dtypes, parameters and ways of arguments", () => {
    const ask = (shape: number[], dtype: "float32" | "float64", axis: number, twice: boolean): unknown => {
      const x = tnp.ones(shape, dtype), y = twice ? x : tnp.ones(shape, dtype);
      using tape = new tnp.GradientTape();
      tape.watch(x);
      const g = tape.gradient(tnp.cumsum(tnp.multiply(x, y), axis), x)!;
      return [g.dtype, g.toArray()];
    };
    for (let i = 0; i < 4; i++) {
      assert.deepEqual(ask([2, 2], "float32", 0, false), ["float32", [[2, 2], [1, 1]]]);
      assert.deepEqual(ask([2, 2], "float32", 1, false), ["float32", [[2, 1], [2, 1]]]);
      assert.deepEqual(ask([2, 2], "float64", 1, false), ["float64", [[2, 1], [2, 1]]]);
      assert.deepEqual(ask([2, 2], "float64", 1, true), ["float64", [[4, 2], [4, 2]]]);
      assert.deepEqual(ask([1, 3], "float64", 1, true), ["float64", [[6, 4, 2]]]);
    }
  });

  test("is another one for other questions", () => {
    const x = tnp.asarray([1.5, 2]), y = tnp.asarray([0.5, 3]), far = tnp.asarray([1.0]);
    const seed = tnp.asarray([1.0, 10]);
    const ask = (question: (tape: InstanceType<typeof tnp.GradientTape>, z: NDArray) => unknown): unknown => {
      using tape = new tnp.GradientTape();
      tape.watch([x, y]);
      return question(tape, tnp.multiply(x, tnp.exp(y.sub(y))));
    };
    const list = (x: NDArray | null): unknown => x === null ? null : x.toArray();
    for (let i = 0; i < 4; i++) {
      assert.deepEqual(ask((tape, z) => tape.gradient(z, [x, y]).map(list)), [[1, 1], [0, 0]]);
      assert.deepEqual(ask((tape, z) => tape.gradient(z, [y, x]).map(list)), [[0, 0], [1, 1]]);
      assert.deepEqual(ask((tape, z) => list(tape.gradient(z, x))), [1, 1]);
      assert.deepEqual(ask((tape, z) => list(tape.gradient(z, x, { output_gradients: seed }))), [1, 10]);
      assert.deepEqual(ask((tape, z) => list(tape.gradient([z, x], x))), [2, 2]);
      assert.deepEqual(ask((tape, z) => list(tape.gradient([z, z], x))), [2, 2]);
      assert.deepEqual(ask((tape, z) => list(tape.gradient(z, z))), [1, 1]);
      assert.equal(ask((tape, z) => tape.gradient(z, far)), null);
      assert.deepEqual(ask((tape, z) => list(tape.gradient(z, far, { unconnected_gradients: "zero" }))), [0]);
      assert.deepEqual(ask((tape, z) => list(tape.jacobian(z, x))), [[1, 0], [0, 1]]);
      assert.deepEqual(ask((tape, z) => list(tape.jacobian(z, x, { parallel_iterations: 1 }))), [[1, 0], [0, 1]]);
    }
  });

  test("is seen by outer tapes, persistent ones and traces", () => {
    const third: F = (x) => tnp.multiply(tnp.multiply(x, x), tnp.exp(x));
    const x = tnp.asarray([0, 1], tnp.float64);
    const e = Math.E;
    for (let i = 0; i < 4; i++) {
      using outer = new tnp.GradientTape({ persistent: true });
      outer.watch(x);
      using inner = new tnp.GradientTape();
      inner.watch(x);
      const g = inner.gradient(third(x), x)!;
      const h = outer.gradient(g, x)!;
      assert.deepEqual(g.toArray(), [0, 3 * e]);
      assert.ok(Math.abs((h.toArray() as number[])[1]! - 7 * e) < 1e-12);
      assert.ok(Math.abs((outer.gradient(h, x)!.toArray() as number[])[1]! - 13 * e) < 1e-12);
      const rows = tnp.vectorized_map(
        (row: NDArray) => {
          using tape = new tnp.GradientTape();
          tape.watch(row);
          return tape.gradient(third(row), row)!;
        },
        tnp.stack([x, x.add(1)]),
      );
      assert.deepEqual((rows as NDArray).at(0).toArray(), [0, 3 * e]);
      const traced = tnp.function((x: NDArray) => {
        using tape = new tnp.GradientTape();
        tape.watch(x);
        return tape.gradient(third(x), x)!;
      });
      assert.deepEqual(traced(x).toArray(), [0, 3 * e]);
    }
  });

  test("asks the user's own gradient function each time", () => {
    let factor = 0;
    const f = tnp.custom_gradient((x: NDArray) => ({ value: tnp.exp(x), gradient: (g: NDArray) => g.mul(factor) }));
    for (factor = 1; factor < 6; factor++) {
      assert.deepEqual(gradient((x) => tnp.multiply(f(x) as NDArray, 2), tnp.zeros([2])), [2 * factor, 2 * factor]);
    }
  });

  test("knows the values that a variable had", () => {
    for (let i = 1; i < 6; i++) {
      const v = new tnp.Variable(tnp.asarray([1.5, 2]).mul(i));
      using tape = new tnp.GradientTape();
      const once = tnp.square(v);
      if (i % 2 === 0) v.assign_add(tnp.ones([2]));
      const g = tape.gradient(tnp.add(once, tnp.square(v)), v)!;
      const also = i % 2 === 0 ? 2 : 0;
      assert.deepEqual(g.toArray(), [1.5, 2].map((x) => 4 * x * i + also));
    }
  });

  test("refuses what the first one refused", () => {
    const x = tnp.asarray([1.5]);
    for (let i = 0; i < 4; i++) {
      using tape = new tnp.GradientTape();
      tape.watch(x);
      const y = tnp.exp(x);
      assert.throws(() => tape.gradient(y, x, { output_gradients: tnp.ones([2]) }), { name: "ShapeError" });
      using other = new tnp.GradientTape();
      other.watch(x);
      const z = tnp.exp(x);
      z.dispose();
      assert.throws(() => other.gradient(z, x), { name: "DisposedError" });
    }
  });
});
