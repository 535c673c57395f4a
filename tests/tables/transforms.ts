/**
 * Functions under gradients, batching and tracing, on one input, for comparing devices.
 * @module
 */
import { type NDArray, tnp } from "../../mod.ts";

/** A function of arrays. */
type F = (...xs: NDArray[]) => NDArray;

/** A group of results that one function has. */
export interface Transform {
  readonly name: string;
  /** Each computes on the current device. */
  readonly runs: readonly (() => NDArray)[];
}

const functions: Readonly<Record<string, F>> = {
  tanh: (x) => tnp.tanh(x),
  "x ** 3": (x) => tnp.power(x, 3),
  softmax: (x) => tnp.divide(tnp.exp(x), tnp.sum(tnp.exp(x), { axis: 1, keepdims: true })),
  matmul: (x) => tnp.matmul(x, tnp.sin(x.T)),
  max: (x) => tnp.max(x, 1),
  cumprod: (x) => tnp.cumprod(x, 1),
  sort: (x) => tnp.sort(tnp.sin(tnp.multiply(x, 5))),
  at: (x) => x.at([0, 1, 0]),
};

const input = () => tnp.linspace(0.3, 1.9, 12).reshape([3, 4]);

/** Gradients to second order. */
export const gradients: readonly Transform[] = Object.entries(functions).map(([name, f]) => {
  const loss: F = (x) => tnp.sum(tnp.multiply(f(x), f(x)));
  const grad = tnp.grad(loss) as unknown as F;
  const second = tnp.grad(((x) => tnp.sum(tnp.multiply(grad(x), x))) as F) as unknown as F;
  return { name, runs: [() => grad(input()), () => second(input())] };
});

/** Examples mapped over, and a traced function's second call. */
export const batches: readonly Transform[] = Object.entries(functions).map(([name, f]) => {
  const traced = tnp.function(f) as F;
  return {
    name,
    runs: [
      () => tnp.vectorized_map((row: NDArray) => f(row.reshape([2, 2])), input()) as NDArray,
      () => {
        traced(input());
        return traced(tnp.add(input(), 0.25));
      },
    ],
  };
});
