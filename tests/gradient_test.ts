import assert from "node:assert/strict";
import { type NDArray, tnp } from "../mod.ts";
import { describe, test } from "./support/suite.ts";
import { binaries, reductions, unaries } from "./tables/ops.ts";

type F = (...xs: NDArray[]) => NDArray;
type Numbers = Float64Array;

/** Uniform numbers from a seed that is the same in every run. */
function random(seed: number): () => number {
  let s = seed;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, what);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    assert.ok(
      error <= tolerance * (1 + Math.abs(expected[i]!)),
      `${what}: element ${i} is ${actual[i]}, expected ${expected[i]}`,
    );
  }
}

const numbers = (x: NDArray): Numbers => x.dataSync() as Numbers;

/** Checks gradients of sum(w * f(x)) against central differences, and their gradients against differences of them. */
function check(name: string, f: F, inputs: readonly NDArray[]): void {
  const draw = random(name.length * 7919 + inputs.length);
  const shape = f(...inputs).shape;
  const w = tnp.reshape(Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => draw() * 2 - 1), shape);
  const value: F = (...xs) => tnp.sum(tnp.multiply(f(...xs), w));
  const all = inputs.map((_, i) => i);
  const gradients = tnp.grad(value, all) as unknown as (...xs: NDArray[]) => NDArray[];
  // A direction for second order: one number out of all gradients.
  const v = inputs.map((x) => tnp.reshape(Float64Array.from({ length: x.size }, () => draw() * 2 - 1), x.shape));
  const along: F = (...xs) =>
    gradients(...xs).map((g, i) => tnp.sum(tnp.multiply(g, v[i]!))).reduce((a, b) => tnp.add(a, b));
  const second = tnp.grad(along, all) as unknown as (...xs: NDArray[]) => NDArray[];

  for (const [order, of, by] of [[1, value, gradients], [2, along, second]] as const) {
    const found = by(...inputs);
    inputs.forEach((x, i) => {
      const data = numbers(x);
      const h = 1e-4;
      const expected = data.map((at, k) => {
        const shifted = (to: number): number => {
          const moved = data.slice();
          moved[k] = to;
          const xs = [...inputs];
          xs[i] = tnp.reshape(moved, x.shape);
          return of(...xs).item() as number;
        };
        return (shifted(at + h) - shifted(at - h)) / (2 * h);
      });
      assert.deepEqual(found[i]!.shape, x.shape, `${name}: shape of gradient ${i}`);
      close(numbers(found[i]!), expected, 1e-5, `${name}: order ${order}, input ${i}`);
    });
  }
}

/** An array of numbers in an interval. */
function draws(shape: readonly number[], [low, high]: readonly [number, number], seed: number): NDArray {
  const draw = random(seed);
  const size = shape.reduce((a, b) => a * b, 1);
  return tnp.reshape(Float64Array.from({ length: size }, () => low + (high - low) * draw()), shape);
}

const functions = tnp as unknown as Readonly<Record<string, (...args: unknown[]) => NDArray>>;

describe("gradients to second order match finite differences", () => {
  for (const { name, domain, differentiable } of unaries) {
    if (!differentiable || domain === undefined) continue;
    test(name, () => check(name, (x) => functions[name]!(x), [draws([2, 2], domain[0]!, 11)]));
  }
  for (const { name, domain, differentiable } of binaries) {
    if (!differentiable || domain === undefined) continue;
    test(name, () => {
      check(name, (x, y) => functions[name]!(x, y), [draws([2, 3], domain[0]!, 13), draws([3], domain[1]!, 17)]);
    });
  }
  for (const { name, domain, differentiable } of reductions) {
    if (!differentiable || domain === undefined) continue;
    test(name, () => {
      const x = draws([2, 3], domain[0]!, 19);
      check(name, (x) => functions[name]!(x, 1), [x]);
      check(name, (x) => functions[name]!(x), [x]);
    });
  }
});

const wide = [-2, 2] as const;
const more: Readonly<Record<string, [F, NDArray[]]>> = {
  "matmul of matrices": [(x, y) => tnp.matmul(x, y), [draws([2, 3], wide, 1), draws([3, 2], wide, 2)]],
  "matmul with broadcast batches": [(x, y) => tnp.matmul(x, y), [
    draws([2, 1, 2, 2], wide, 3),
    draws([2, 2, 2], wide, 4),
  ]],
  "matmul of vectors": [(x, y) => tnp.matmul(x, y), [draws([3], wide, 5), draws([3], wide, 6)]],
  dot: [(x, y) => tnp.dot(x, y), [draws([2, 3], wide, 7), draws([3], wide, 8)]],
  outer: [(x, y) => tnp.outer(x, y), [draws([2], wide, 9), draws([3], wide, 10)]],
  einsum: [(x, y) => tnp.einsum("ij,kj->ik", x, y), [draws([2, 3], wide, 11), draws([2, 3], wide, 12)]],
  tensordot: [(x, y) => tnp.tensordot(x, y, 1), [draws([2, 3], wide, 13), draws([3, 2], wide, 14)]],
  "transpose and reshape": [(x) => tnp.square(tnp.reshape(tnp.transpose(x), [2, 3])), [draws([3, 2], wide, 15)]],
  "at with a slice": [(x) => tnp.square(x.at("1:", "::-1")), [draws([3, 2], wide, 16)]],
  "at with integers that repeat": [(x) => tnp.square(x.at([0, 2, 0])), [draws([3, 2], wide, 17)]],
  "at with a mask": [(x) => tnp.square(x.at([true, false, true])), [draws([3, 2], wide, 18)]],
  with: [(x, y) => tnp.square(x.with([1], y)), [draws([3, 2], wide, 19), draws([2], wide, 20)]],
  "with add": [(x, y) => tnp.square(x.with([[0, 0]], y, { mode: "add" })), [
    draws([3], wide, 21),
    draws([2], wide, 22),
  ]],
  concatenate: [(x, y) => tnp.square(tnp.concatenate([x, y], 1)), [draws([2, 1], wide, 23), draws([2, 2], wide, 24)]],
  stack: [(x, y) => tnp.square(tnp.stack([x, y])), [draws([2], wide, 25), draws([2], wide, 26)]],
  pad: [(x) => tnp.square(tnp.pad(x, [[1, 0], [0, 2]])), [draws([2, 2], wide, 27)]],
  tile: [(x) => tnp.square(tnp.tile(x, [2, 1])), [draws([2, 2], wide, 28)]],
  repeat: [(x) => tnp.square(tnp.repeat(x, 2, 1)), [draws([2, 2], wide, 29)]],
  roll: [(x) => tnp.square(tnp.roll(x, 1)), [draws([3], wide, 30)]],
  flip: [(x) => tnp.square(tnp.flip(x)), [draws([3], wide, 31)]],
  where: [
    (x, y) => tnp.where(tnp.asarray([true, false, true]), tnp.square(x), tnp.sin(y)),
    [draws([3], wide, 32), draws([3], wide, 33)],
  ],
  sort: [(x) => tnp.multiply(tnp.sort(x), tnp.asarray([1, 2, 3, 4])), [draws([4], wide, 34)]],
  clip: [(x) => tnp.square(tnp.clip(x, -0.5, 0.5)), [draws([4], wide, 35)]],
  take: [(x) => tnp.square(tnp.take(x, [1, 1, 0], 0)), [draws([2, 2], wide, 36)]],
  diagonal: [(x) => tnp.square(tnp.diagonal(x)), [draws([3, 3], wide, 37)]],
  trace: [(x) => tnp.square(tnp.trace(x)), [draws([3, 3], wide, 38)]],
  kron: [(x, y) => tnp.kron(x, y), [draws([2], wide, 39), draws([2, 2], wide, 40)]],
  polyval: [(x, y) => tnp.polyval(x, y), [draws([3], wide, 41), draws([2], wide, 42)]],
  "softmax, written out": [
    (x) => {
      const e = tnp.exp(tnp.subtract(x, tnp.max(x, { axis: 1, keepdims: true })));
      return tnp.divide(e, tnp.sum(e, { axis: 1, keepdims: true }));
    },
    [draws([2, 3], wide, 43)],
  ],
  "a cast to float32 and back": [(x) => tnp.square(x.astype("float32").astype("float64")), []],
};

describe("gradients of compositions match finite differences", () => {
  for (const [name, [f, inputs]] of Object.entries(more)) {
    if (inputs.length > 0) test(name, () => check(name, f, inputs));
  }
});

describe("gradients of complex functions", () => {
  test("follow TensorFlow: the cotangent of a holomorphic f is g * conj(f')", () => {
    const z = tnp.asarray([{ re: 1, im: 2 }]);
    using tape = new tnp.GradientTape({ persistent: true });
    tape.watch(z);
    const y = tnp.multiply(z, z);
    // conj(2 z)
    assert.deepEqual(tape.gradient(y, z)?.toArray(), [{ re: 2, im: -4 }]);
    const r = tnp.sum(tnp.real(tnp.multiply(z, tnp.conj(z))));
    assert.deepEqual(tape.gradient(r, z)?.toArray(), [{ re: 2, im: 4 }]);
  });

  test("reach real arrays as real numbers", () => {
    const x = tnp.asarray([3.0, 0.5]);
    const g = tnp.grad((x: NDArray) => tnp.sum(tnp.abs(tnp.multiply(x, { re: 3, im: 4 }))))(x);
    assert.equal(g.dtype, "float64");
    close(numbers(g), [5, 5], 1e-12, "abs of complex");
  });
});
