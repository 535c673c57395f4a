import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type NDArray, tnp } from "../mod.ts";
import { context } from "../src/core/trace.ts";
import { cpu } from "../src/device/cpu.ts";
import { binaries, reductions, unaries } from "./tables/ops.ts";

const close = (a: NDArray | null, b: NDArray | null, name = ""): void => {
  assert.ok(a !== null && b !== null, name);
  assert.deepEqual([a.shape, a.dtype], [b.shape, b.dtype], name);
  if (!tnp.allclose(a, b, { equal_nan: true, rtol: 1e-9 })) assert.fail(`${name}: ${a}\nexpected\n${b}`);
};

/** How many primitives are bound while a function runs. */
function binds(fn: () => void): number {
  const { recorders } = context;
  let count = 0;
  context.recorders = [...recorders, { record: () => void count++ }];
  try {
    fn();
  } finally {
    context.recorders = recorders;
  }
  return count;
}

const x = tnp.reshape(tnp.linspace(-1, 1, 12), [3, 4]), w = tnp.reshape(tnp.linspace(0.5, 2, 8), [4, 2]);
const model = (x: NDArray, w: NDArray): NDArray => tnp.sum(tnp.square(tnp.tanh(tnp.matmul(x, w)).sub(0.25)));

/** Gradients of the sum of a function's result by all arguments, with a tape around it. */
const taped = (f: (...xs: NDArray[]) => NDArray, xs: readonly NDArray[]): (NDArray | null)[] => {
  using tape = new tnp.GradientTape();
  tape.watch(xs);
  return tape.gradient(tnp.sum(f(...xs)), xs);
};

describe("a tape around a traced function", () => {
  const table = tnp as unknown as Readonly<Record<string, (...args: unknown[]) => NDArray>>;
  const same = (
    name: string,
    f: (...xs: NDArray[]) => NDArray,
    domains: readonly (readonly [number, number])[],
  ): void => {
    const xs = domains.map(([low, high], i) => {
      const values = tnp.linspace(low, high, 12);
      return tnp.reshape(i === 0 ? values : tnp.flip(values), [3, 4]);
    });
    const expected = taped(f, xs), g = tnp.function(f), found = taped(g, xs);
    expected.forEach((e, i) => e === null ? assert.equal(found[i], null, name) : close(found[i]!, e, name));
    // Again, now that all is planned; and the gradient of the gradient.
    taped(g, xs).forEach((again, i) => again !== null && close(again, expected[i]!, name));
    const twice = (h: typeof f): (NDArray | null)[] =>
      taped((...ys) => {
        const [first] = taped(h, ys);
        return first === null || first === undefined ? tnp.sum(ys[0]!) : tnp.sum(first.mul(first));
      }, xs);
    const second = twice(g);
    twice(f).forEach((e, i) =>
      e === null ? assert.ok(second[i] === null || !tnp.any(second[i]!).item(), name) : close(second[i]!, e, name)
    );
  };
  for (const { name, kind, domain, differentiable } of [...unaries, ...binaries, ...reductions]) {
    if (!differentiable || domain === undefined || name === "divmod") continue;
    test(name, () => same(name, kind === "binary" ? (a, b) => table[name]!(a, b) : (a) => table[name]!(a), domain));
  }

  test("binds no primitive of the function again", () => {
    const deep = (x: NDArray): NDArray => {
      let y = x;
      for (let i = 0; i < 200; i++) y = tnp.sin(y).add(0.1).mul(x);
      return tnp.sum(y);
    };
    const f = tnp.function(deep);
    const expected = tnp.grad(deep)(x);
    const step = (): NDArray => {
      using tape = new tnp.GradientTape();
      tape.watch(x);
      return tape.gradient(f(x), x)!;
    };
    close(step(), expected);
    assert.ok(binds(step) < 12, `${binds(step)} primitives`);
    close(step(), expected);
    assert.equal(f.traces, 1);
  });

  test("gradients by arguments, closed-over arrays and variables", () => {
    const v = new tnp.Variable(w.mul(1)), frozen = new tnp.Variable(w.mul(1), { trainable: false });
    const closed = w.mul(1);
    const f = tnp.function((x: NDArray) => model(x, closed).add(model(x, v.value())).add(model(x, frozen.value())));
    const expected = tnp.grad(model, [0, 1])(x, w);
    for (let i = 0; i < 2; i++) {
      using tape = new tnp.GradientTape();
      tape.watch([x, closed]);
      const [gx, gc, gv, gf] = tape.gradient(f(x), [x, closed, v, frozen]);
      close(gx!, expected[0].mul(3));
      close(gc!, expected[1]);
      close(gv!, expected[1]);
      assert.equal(gf, null);
    }
    v.assign(w.mul(2));
    using tape = new tnp.GradientTape();
    close(tape.gradient(f(x), v)!, tnp.grad(model, 1)(x, w.mul(2)));
  });

  test("several results: some used, none, integers, arguments themselves, and one twice", () => {
    const f = tnp.function((x: NDArray, w: NDArray) => {
      const y = tnp.sin(x);
      return { y, again: y, loss: tnp.sum(w), at: tnp.argmax(y), x, one: 1, rows: x.at(1) };
    });
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch([x, w]);
    const out = f(x, w);
    assert.deepEqual(tape.gradient(out.loss, [x]), [null]);
    close(tape.gradient(out.loss, w)!, tnp.ones_like(w));
    close(tape.gradient(out.y, x)!, tnp.cos(x));
    close(tape.gradient([out.y, out.again, out.x, out.loss], x)!, tnp.cos(x).mul(2).add(1));
    close(tape.gradient(out.rows, x)!, tnp.zeros([3, 4]).with([1], 1));
    assert.equal(tape.gradient(out.at, x), null);
    close(tape.gradient(out.y, x, { output_gradients: x })!, tnp.cos(x).mul(x));
    close(tape.gradient(out.one, w, { unconnected_gradients: "zero" }), tnp.zeros_like(w));
  });

  test("Jacobians, Hessians, forward derivatives, maps", () => {
    const f = tnp.function((x: NDArray) => tnp.sin(tnp.matmul(x, w)).mul(tnp.sum(x)));
    const plain = (x: NDArray): NDArray => tnp.sin(tnp.matmul(x, w)).mul(tnp.sum(x));
    close(tnp.jacobian(f)(x), tnp.jacobian(plain)(x));
    const g = tnp.function((x: NDArray) => tnp.sum(tnp.exp(x).mul(x)));
    close(tnp.hessian(g)(x.at(0)), tnp.hessian((x: NDArray) => tnp.sum(tnp.exp(x).mul(x)))(x.at(0)));
    const [y, dy] = tnp.jvp(f, [x], [tnp.ones_like(x)]), [z, dz] = tnp.jvp(plain, [x], [tnp.ones_like(x)]);
    close(y, z);
    close(dy, dz);
    const row = tnp.function((r: NDArray) => tnp.tanh(tnp.matmul(r, w)));
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const out = row(x);
    close(
      tape.batch_jacobian(out, x),
      tnp.vectorized_map((r: NDArray) => tnp.jacobian((r: NDArray) => tnp.tanh(tnp.matmul(r, w)))(r), x),
    );
    close(tnp.vectorized_map((r: NDArray) => tnp.grad((r: NDArray) => tnp.sum(row(r)))(r), x), tape.gradient(out, x));
    const third = (h: (x: NDArray) => NDArray) =>
      tnp.grad((x: NDArray) => tnp.grad((x: NDArray) => tnp.grad(h)(x))(x))(0.75);
    close(third(tnp.function((x: NDArray) => tnp.sin(x).mul(x))), third((x: NDArray) => tnp.sin(x).mul(x)));
  });

  test("outer tapes see the gradient that an inner one takes", () => {
    const f = tnp.function(model);
    const penalty = (h: typeof model): (NDArray | null)[] => {
      using outer = new tnp.GradientTape();
      outer.watch([x, w]);
      let loss: NDArray;
      {
        using inner = new tnp.GradientTape();
        inner.watch(x);
        const y = h(x, w);
        loss = tnp.sum(tnp.square(inner.gradient(y, x)!)).add(y);
      }
      return outer.gradient(loss, [x, w]);
    };
    const expected = penalty(model);
    for (let i = 0; i < 2; i++) penalty(f).forEach((g, k) => close(g, expected[k]!));
  });

  test("functions in functions, control flow, gradients of their own, random draws, assigned variables", () => {
    const inner = tnp.function((x: NDArray) => tnp.sin(x).mul(2));
    const f = tnp.function((x: NDArray) => tnp.sum(inner(x).mul(inner(x))));
    close(tnp.grad(f)(x), tnp.sin(x).mul(tnp.cos(x)).mul(8));
    const branch = tnp.function((x: NDArray) =>
      tnp.cond(tnp.sum(x).gt(0), (x) => tnp.sum(x.mul(x)), (x) => tnp.sum(x), x)
    );
    close(tnp.grad(branch)(x.add(1)), x.add(1).mul(2));
    close(tnp.grad(branch)(x.sub(1)), tnp.ones_like(x));
    const clipped = tnp.custom_gradient((x: NDArray) => ({
      value: tnp.sum(x.mul(x)),
      gradient: (g) => g.mul(tnp.sign(x)),
    }));
    close(tnp.grad(tnp.function((x: NDArray) => clipped(x.mul(3))))(x), tnp.sign(x).mul(3));
    close(tnp.grad(tnp.function((x: NDArray) => tnp.sum(x.mul(tnp.stop_gradient(x)))))(x), x);
    const noisy = tnp.function((x: NDArray) => {
      const noise = tnp.random.rand(3, 4);
      return [tnp.sum(x.mul(noise)), noise] as const;
    });
    const draws = [0, 1].map(() => {
      using tape = new tnp.GradientTape();
      tape.watch(x);
      const [y, noise] = noisy(x);
      const g = tape.gradient(y, x)!;
      close(g, noise);
      return g;
    });
    assert.ok(!tnp.allclose(draws[0]!, draws[1]!));
    const v = new tnp.Variable(2.5);
    const assigns = tnp.function((x: NDArray) => {
      v.assign(tnp.sum(x));
      return v.value().mul(v).add(tnp.sum(x));
    });
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(x);
    const y = assigns(x);
    close(tape.gradient(y, x), tnp.ones_like(x));
    close(tape.gradient(y, v), v.value().mul(2));
  });

  test("numbers, new signatures and transposed arguments", () => {
    const f = tnp.function((x: NDArray, k: NDArray | number) => tnp.sum(tnp.exp(x).mul(k)));
    const g = tnp.grad(f);
    close(g(x, 2), tnp.exp(x).mul(2));
    close(g(x, 3), tnp.exp(x).mul(3));
    assert.equal(f.traces, 1);
    close(g(x.T, 3), tnp.exp(x.T).mul(3));
    close(g(x.at("::2"), 3), tnp.exp(x.at("::2")).mul(3));
    close(g(x.astype("float32"), 1), tnp.exp(x.astype("float32")));
    close(tnp.grad(f, 1)(x, 2), tnp.sum(tnp.exp(x)));
    const z = tnp.function((x: NDArray) => tnp.real(tnp.sum(x.mul(tnp.conj(x)))));
    const c = x.mul({ re: 1, im: 2 });
    close(tnp.grad(z)(c), tnp.grad((x: NDArray) => tnp.real(tnp.sum(x.mul(tnp.conj(x)))))(c));
  });

  test("a training loop with the tape outside gives all its memory back", () => {
    const big = tnp.ones([64, 64]), v = new tnp.Variable(tnp.eye(64));
    big.dataSync();
    const f = tnp.function((x: NDArray) => tnp.sum(tnp.square(tnp.tanh(tnp.matmul(x, v)).sub(1))));
    const step = (): void =>
      tnp.scope(() => {
        using tape = new tnp.GradientTape();
        const g = tape.gradient(f(big), v)!;
        v.assign_sub(g.mul(0.01));
        v.value().dataSync();
      });
    for (let i = 0; i < 3; i++) step();
    const { live, count } = cpu.memoryStats();
    for (let i = 0; i < 5; i++) step();
    assert.deepEqual([cpu.memoryStats().live, cpu.memoryStats().count], [live, count]);
  });
});
