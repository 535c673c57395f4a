import assert from "node:assert/strict";
import { type NDArray, tnp } from "../mod.ts";
import { context } from "../src/core/trace.ts";
import { describe, test } from "./support/suite.ts";

const f32 = (values: number[]): NDArray => tnp.asarray(values, { dtype: "float32" });

describe("function()", () => {
  test("computes what the function computes", () => {
    const f = (x: NDArray, y: NDArray): NDArray => tnp.sum(tnp.multiply(tnp.sin(x), y), 0);
    const g = tnp.function(f);
    const x = tnp.reshape(tnp.linspace(0, 1, 6), [2, 3]);
    assert.deepEqual(g(x, tnp.asarray([1, 2, 3])).toArray(), f(x, tnp.asarray([1, 2, 3])).toArray());
    assert.deepEqual(g(x.T, tnp.asarray([1, 2])).toArray(), f(x.T, tnp.asarray([1, 2])).toArray());
  });

  test("gives methods the object that they are called on", () => {
    class Scale {
      readonly factor: number;
      constructor(factor: number) {
        this.factor = factor;
      }
      apply(x: NDArray): NDArray {
        return x.mul(this.factor);
      }
    }
    const traced = tnp.function(Scale.prototype.apply);
    Object.defineProperty(Scale.prototype, "apply", { value: traced });
    const two = new Scale(2), three = new Scale(3);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual([two.apply(tnp.asarray(4)).item(), three.apply(tnp.asarray(4)).item()], [8, 12]);
    }
    assert.equal(traced.traces, 2);
    const plain = { double: tnp.function((x: NDArray) => x.mul(2)) };
    assert.deepEqual([plain.double(1).item(), plain.double.call(null, 2).item(), plain.double.traces], [2, 4, 1]);
  });

  test("is traced once for a signature", () => {
    let runs = 0;
    const f = tnp.function((x: NDArray, y: NDArray) => {
      runs++;
      return tnp.add(tnp.multiply(x, 2), y);
    });
    for (let i = 0; i < 5; i++) assert.deepEqual(f(f32([1, i]), f32([i, 0])).toArray(), [2 + i, 2 * i]);
    assert.deepEqual([f.traces, runs], [1, 1]);
    f(f32([1, 2, 3]), f32([1]));
    assert.equal(f.traces, 2);
    f(tnp.asarray([1, 2]), f32([1, 2]));
    assert.equal(f.traces, 3);
    f(f32([1, 2]), f32([1, 2]));
    assert.equal(f.traces, 3);
  });

  test("numbers are weak and share a trace; booleans and strings are static", () => {
    const f = tnp.function((x: NDArray, y: NDArray | number, mode: string, flip: boolean) => {
      const s = mode === "add" ? tnp.add(x, y) : tnp.multiply(x, y);
      return flip ? tnp.negative(s) : s;
    });
    const x = f32([1, 2]);
    assert.deepEqual(f(x, 1.5, "add", false).toArray(), [2.5, 3.5]);
    assert.deepEqual(f(x, 2.5, "add", false).toArray(), [3.5, 4.5]);
    assert.equal(f(x, 2.5, "add", false).dtype, "float32");
    assert.equal(f.traces, 1);
    assert.deepEqual(f(x, 2.5, "mul", false).toArray(), [2.5, 5]);
    assert.deepEqual(f(x, 2.5, "mul", true).toArray(), [-2.5, -5]);
    assert.equal(f.traces, 3);
  });

  test("static_argnums hands values over as they are", () => {
    const f = tnp.function((x: NDArray, n: number) => tnp.concatenate(Array.from({ length: n }, () => x)), {
      static_argnums: 1,
    });
    assert.deepEqual(f(f32([1]), 2).shape, [2]);
    assert.deepEqual(f(f32([1]), 3).shape, [3]);
    assert.deepEqual(f(f32([2]), 3).shape, [3]);
    assert.equal(f.traces, 2);
  });

  test("takes and gives trees, and returns what is no array as it was", () => {
    const f = tnp.function((p: { w: NDArray; b: NDArray[] }) => ({
      out: [tnp.add(p.w, p.b[0]!), p.w],
      name: "result",
      none: null,
    }));
    const result = f({ w: f32([1, 2]), b: [f32([10, 20])] });
    assert.deepEqual(result.out.map((x) => x.toArray()), [[11, 22], [1, 2]]);
    assert.deepEqual([result.name, result.none], ["result", null]);
    f({ w: f32([1, 2]), b: [f32([10, 20])] });
    assert.equal(f.traces, 1);
  });

  test("closes over arrays as constants", () => {
    const c = tnp.asarray([1.5, 2]);
    const f = tnp.function((x: NDArray) => tnp.multiply(x, tnp.exp(c)));
    assert.deepEqual(f([1, 1]).toArray(), tnp.exp(c).toArray());
    assert.deepEqual(f([2, 2]).toArray(), tnp.multiply(tnp.exp(c), 2).toArray());
    assert.equal(f.traces, 1);
  });

  test("what is known stays known where a result's shape depends on it", () => {
    const counts = tnp.asarray([1, 0, 2]), grid = tnp.asarray([[1, 0], [0, 3]]), square = tnp.asarray([[1, 2], [3, 4]]);
    const results: ((x: NDArray) => NDArray | readonly NDArray[])[] = [
      () => tnp.nonzero(counts),
      () => tnp.flatnonzero(grid),
      () => tnp.argwhere(grid),
      (x) => tnp.extract([1, 0, 1], x),
      (x) => tnp.compress([1, 0, 1], x),
      (x) => tnp.insert(x, 1, 9),
      (x) => tnp.delete(x, -1),
      (x) => x.at(true),
      () => square.at(tnp.asarray([[true, false], [true, true]])),
      () => square.at(...tnp.tril_indices(2)),
      () => square.at(...tnp.ix_([true, false], [1, 0])),
    ];
    const x = tnp.asarray([1, 2, 3]);
    const read = (y: NDArray | readonly NDArray[]): unknown =>
      y instanceof tnp.NDArray ? y.toArray() : y.map((z) => z.toArray());
    for (const fn of results) {
      const f = tnp.function(fn);
      assert.deepEqual(read(f(x)), read(fn(x)));
      assert.deepEqual(read(f(x)), read(fn(x)));
    }
    const draw = tnp.function(() => tnp.random.poisson(4, [3]));
    assert.deepEqual(draw().shape, [3]);
    const { traces, stage, recorders } = context;
    assert.deepEqual([traces.length, stage, recorders.length], [0, null, 0]);
  });

  test("without arguments, and with results that do not depend on them", () => {
    const f = tnp.function(() => tnp.ones([2]));
    assert.deepEqual(f().toArray(), [1, 1]);
    assert.deepEqual(f().toArray(), [1, 1]);
    const g = tnp.function((_x: NDArray) => [] as NDArray[]);
    assert.deepEqual(g(1.5), []);
  });

  test("inside another, and recursively with static arguments", () => {
    const inner = tnp.function((x: NDArray) => tnp.multiply(x, x));
    const outer = tnp.function((x: NDArray) => tnp.add(inner(x), inner(inner(x))));
    assert.equal(outer(tnp.asarray(3.0, { dtype: "float64" })).item(), 90);
    assert.equal(outer(tnp.asarray(2.0, { dtype: "float64" })).item(), 20);
    assert.deepEqual([inner.traces, outer.traces], [1, 1]);
    const power: (x: NDArray, n: number) => NDArray = tnp.function(
      (x: NDArray, n: number): NDArray => n === 0 ? tnp.ones_like(x) : tnp.multiply(x, power(x, n - 1)),
      { static_argnums: 1 },
    );
    assert.equal(power(tnp.asarray(2.0), 5).item(), 32);
  });

  test("a closure over another trace's value is traced again", () => {
    const outer = tnp.function((x: NDArray) => {
      const y = tnp.multiply(x, 3);
      return inner((z: NDArray) => tnp.add(z, y), x);
    });
    const cache = new Map<string, (x: NDArray) => NDArray>();
    let closure: (z: NDArray) => NDArray = (z) => z;
    const inner = (fn: (z: NDArray) => NDArray, x: NDArray): NDArray => {
      closure = fn;
      let f = cache.get("f");
      if (f === undefined) cache.set("f", f = tnp.function((z: NDArray) => closure(z)));
      return f(x);
    };
    assert.equal(outer(tnp.asarray(2.5)).item(), 10);
    assert.deepEqual(outer(f32([2, 4])).toArray(), [8, 16]);
    assert.deepEqual(outer(tnp.asarray([2.5])).toArray(), [10]);
  });

  test("reading a traced value is an error that says what to do", () => {
    const read = (what: (x: NDArray) => unknown) => tnp.function((x: NDArray) => tnp.asarray(what(x) as number));
    assert.throws(() => read((x) => x.item())(1.5), {
      name: "TracerError",
      message: /^item: a traced array of shape \[\] has no value inside tnp.function/,
    });
    assert.throws(() => read((x) => x.toArray())(1.5), { name: "TracerError" });
    assert.throws(() => read((x) => x.dataSync())(1.5), { name: "TracerError" });
    assert.throws(() => read((x) => Number(x))(1.5), { name: "TracerError" });
    assert.deepEqual([context.traces.length, context.stage], [0, null]);
  });

  test("a traced array that got out is an error", () => {
    let leaked: NDArray | null = null;
    tnp.function((x: NDArray) => leaked = tnp.multiply(x, 2))(1.5);
    assert.throws(() => tnp.add(leaked!, 1), {
      name: "TracerError",
      message: /had ended; return it from the function/,
    });
    assert.throws(() => leaked!.item(), { name: "TracerError" });
  });

  test("errors of the function leave nothing behind", () => {
    const f = tnp.function((x: NDArray) => tnp.matmul(x, tnp.ones([5, 5])));
    assert.throws(() => f(tnp.ones([2, 3])), { name: "ShapeError" });
    assert.deepEqual(f(tnp.ones([2, 5])).shape, [2, 5]);
    assert.deepEqual([context.traces.length, context.stage, context.recorders.length], [0, null, 0]);
    assert.throws(() => tnp.function((x: NDArray) => Promise.resolve(x))(1), /must be synchronous/);
    assert.throws(() => tnp.function(3 as never), /function: got 3, expected a function/);
  });

  test("input_signature converts and checks", () => {
    const f = tnp.function((x: NDArray) => tnp.sum(x, 1), {
      input_signature: [{ shape: [null, 2], dtype: "float32" }],
    });
    assert.deepEqual(f([[1, 2], [3, 4]]).toArray(), [3, 7]);
    assert.equal(f([[1, 2]]).dtype, "float32");
    assert.throws(() => f(tnp.ones([2, 3], { dtype: "float32" })), {
      name: "ShapeError",
      message: "function: argument 0 has shape [2, 3], expected [any, 2]",
    });
    assert.throws(() => f(tnp.ones([2, 2])), {
      name: "TypeError",
      message: "function: argument 0 has dtype float64, expected float32",
    });
  });

  test("a view as an argument, and results that are arguments or views", () => {
    const f = tnp.function((x: NDArray) => [x, tnp.transpose(x), tnp.add(x, 1)]);
    const x = tnp.transpose(tnp.reshape(tnp.arange(6), [2, 3]));
    const [a, b, c] = f(x);
    assert.deepEqual([a!.toArray(), b!.toArray(), c!.toArray()], [x.toArray(), x.T.toArray(), tnp.add(x, 1).toArray()]);
  });
});

describe("function() and variables", () => {
  test("reads and assignments are part of the trace", () => {
    const count = new tnp.Variable(0);
    const step = tnp.function((x: NDArray) => {
      count.assign_add(1);
      const seen = tnp.multiply(count, x);
      count.assign_add(10);
      return seen;
    });
    assert.deepEqual([1, 2, 3].map((x) => step(x).item()), [1, 24, 69]);
    assert.equal(count.value().item(), 33);
    assert.equal(step.traces, 1);
    count.assign(0);
    assert.equal(step(1).item(), 1);
  });

  test("nested functions share them", () => {
    const w = new tnp.Variable([1.5, 2]);
    const inner = tnp.function((x: NDArray) => {
      w.assign(tnp.add(w, x));
      return w.value();
    });
    const outer = tnp.function((x: NDArray) => tnp.add(inner(x), inner(x)));
    assert.deepEqual(outer([1, 1]).toArray(), [6, 7]);
    assert.deepEqual(w.value().toArray(), [3.5, 4]);
    assert.deepEqual(outer([1, 1]).toArray(), [10, 11]);
  });

  test("may be arguments", () => {
    const w = new tnp.Variable(2.5);
    const f = tnp.function((v: typeof w) => tnp.multiply(v, 2));
    assert.equal(f(w).item(), 5);
    w.assign(3.5);
    assert.equal(f(w).item(), 7);
    assert.equal(f.traces, 1);
  });

  test("a training step learns", () => {
    const x = tnp.reshape(tnp.linspace(-1, 1, 20), [20, 1]);
    const y = tnp.add(tnp.multiply(x, 3), 0.5);
    const w = new tnp.Variable([[0]], { dtype: "float64" });
    const b = new tnp.Variable([0], { dtype: "float64" });
    const train = tnp.function((x: NDArray, y: NDArray, rate: number) => {
      using tape = new tnp.GradientTape();
      const loss = tnp.mean(tnp.square(tnp.subtract(tnp.add(tnp.matmul(x, w), b), y)));
      const [gw, gb] = tape.gradient(loss, [w, b]);
      w.assign_sub(tnp.multiply(gw!, rate));
      b.assign_sub(tnp.multiply(gb!, rate));
      return loss;
    });
    let loss = Infinity;
    for (let i = 0; i < 300; i++) loss = train(x, y, i < 100 ? 0.5 : 0.3).item() as number;
    assert.equal(train.traces, 1);
    assert.ok(loss < 1e-12, `${loss}`);
    assert.ok(Math.abs(w.value().item() as number - 3) < 1e-5);
  });

  test("cannot be made from a traced value", () => {
    assert.throws(() => tnp.function((x: NDArray) => new tnp.Variable(x).value())(1.5), {
      name: "TracerError",
      message: /make the variable outside/,
    });
  });
});

describe("function() and random numbers", () => {
  test("each call draws anew, the same again after seed", () => {
    const draw = tnp.function(() => [tnp.random.uniform(0, 1, [3]), tnp.random.uniform(0, 1, [3])]);
    const run = (): unknown[] => {
      tnp.random.seed(11);
      return [draw(), draw()].flat().map((x) => x.toArray());
    };
    const first = run();
    assert.equal(new Set(first.flat()).size, 12);
    assert.deepEqual(run(), first);
    assert.equal(draw.traces, 1);
  });

  test("inside vectorized_map each example draws its own", () => {
    const noisy = tnp.function((x: NDArray) => tnp.add(x, tnp.random.uniform(0, 1, [2])));
    const out = tnp.vectorized_map((x: NDArray) => noisy(x), tnp.zeros([4])).toArray() as number[][];
    assert.equal(new Set(out.flat()).size, 8);
  });
});

describe("function() with tapes and maps", () => {
  const f = tnp.function((x: NDArray) => tnp.multiply(tnp.sin(x), x));
  const derivative = (x: number): number => Math.cos(x) * x + Math.sin(x);

  test("a tape outside, a tape inside", () => {
    const x = tnp.asarray(0.5);
    using tape = new tnp.GradientTape();
    tape.watch(x);
    assert.ok(Math.abs(tape.gradient(f(x), x)!.item() as number - derivative(0.5)) < 1e-12);
    const g = tnp.function((x: NDArray) => tnp.grad(f)(x));
    assert.ok(Math.abs(g(0.5).item() as number - derivative(0.5)) < 1e-12);
    const gg = tnp.grad(g)(0.5).item() as number;
    assert.ok(Math.abs(gg - (2 * Math.cos(0.5) - 0.5 * Math.sin(0.5))) < 1e-12);
  });

  test("a tape sees what the function closes over, at every call", () => {
    const w = tnp.asarray([2.5, 3]);
    const g = tnp.function((x: NDArray) => tnp.sum(tnp.multiply(tnp.square(w), x)));
    for (let i = 0; i < 2; i++) {
      using tape = new tnp.GradientTape();
      tape.watch(w);
      assert.deepEqual(tape.gradient(g([1, 2]), w)?.toArray(), [5, 12]);
    }
    assert.equal(g.traces, 1);
  });

  test("a tape sees the variables that the function reads", () => {
    const w = new tnp.Variable(2.5);
    const g = tnp.function((x: NDArray) => tnp.multiply(tnp.multiply(w, w), x));
    for (let i = 0; i < 2; i++) {
      using tape = new tnp.GradientTape();
      assert.equal(tape.gradient(g(3), w)?.item(), 15);
    }
    const assigned = tnp.function((x: NDArray) => {
      w.assign(x);
      return tnp.multiply(w, w);
    });
    using tape = new tnp.GradientTape();
    assert.equal(tape.gradient(assigned(tnp.asarray(4.5)), w)?.item(), 9);
  });

  test("inside vectorized_map, and a map inside", () => {
    const x = tnp.asarray([0.5, 1.5]);
    assert.ok(tnp.allclose(tnp.vectorized_map((v: NDArray) => f(v), x), f(x)));
    const g = tnp.function((x: NDArray) => tnp.vectorized_map((v: NDArray) => f(v), x));
    assert.ok(tnp.allclose(g(x), f(x)));
    assert.ok(tnp.allclose(tnp.grad((x: NDArray) => tnp.sum(g(x)))(x), [derivative(0.5), derivative(1.5)]));
    const jac = tnp.function((x: NDArray) => tnp.jacobian((v: NDArray) => f(v))(x));
    assert.ok(tnp.allclose(jac(x), tnp.jacobian((v: NDArray) => f(v))(x)));
  });
});

describe("function() with numbers", () => {
  const bytes = tnp.asarray([1, 250], "uint8");
  const outOfBounds = { name: "RangeError", message: "add: integer 300 is out of bounds for uint8" };
  const add = (x: NDArray, n: NDArray): NDArray => tnp.add(x, n);

  test("refuses integers that do not fit, as a plain call does, without another trace", () => {
    const f = tnp.function(add);
    assert.throws(() => f(bytes, 300), outOfBounds);
    assert.deepEqual(f(bytes, 5).toArray(), [6, 255]);
    assert.throws(() => f(bytes, 300), outOfBounds);
    assert.throws(() => f(bytes, -1), /^RangeError: add: integer -1 is out of bounds for uint8$/);
    assert.deepEqual(f(bytes, 4).toArray(), [5, 254]);
    assert.equal(f.traces, 1);
    assert.throws(() => tnp.function((n: NDArray) => tnp.full(2, n, "uint8"))(300), /^RangeError: full: integer 300/);
  });

  test("refuses them from functions and control flow inside", () => {
    const inner = tnp.function(add);
    const fs: readonly ((x: NDArray, n: NDArray) => NDArray)[] = [
      (x, n) => inner(x, n),
      (x, n) => tnp.vectorized_map((row: NDArray) => row.add(n), x),
      (x, n) => tnp.cond(tnp.all(x), () => x.add(n), () => x),
      (x, n) => tnp.cond(tnp.all(x), (m: NDArray) => x.add(m), () => x, n),
      (x, n) => tnp.scan((carry: NDArray, row: NDArray) => [carry, row.add(n)], 0, x)[1],
    ];
    for (const fn of fs) {
      const f = tnp.function(fn);
      assert.throws(() => f(bytes, 300), outOfBounds);
      assert.deepEqual(f(bytes, 3).toArray(), [4, 253]);
    }
    assert.throws(() => tnp.function((x: NDArray) => inner(x, 300))(bytes), outOfBounds);
  });

  test("compares and clips by value, as a plain call does", () => {
    const less = (x: NDArray, n: NDArray): NDArray => tnp.less(x, n),
      clip = (x: NDArray, n: NDArray) => tnp.clip(x, 2, n);
    const large = bytes.astype("uint64");
    for (const fn of [less, clip]) {
      const f = tnp.function(fn), plain = fn as unknown as (x: NDArray, n: number) => NDArray;
      for (const x of [bytes, large]) {
        for (const n of [-1, 2, 300]) assert.deepEqual(f(x, n).toArray(), plain(x, n).toArray());
      }
    }
  });

  test("keeps the sign of zero", () => {
    const f = tnp.function((x: NDArray, n: NDArray) => tnp.divide(1, tnp.multiply(x, n)));
    assert.deepEqual(f(f32([1]), -0).toArray(), [-Infinity]);
    assert.deepEqual(f(f32([1]), 0).toArray(), [Infinity]);
  });
});
