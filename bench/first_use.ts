// The operations whose first use is timed.
import { type NDArray, tnp } from "../mod.ts";

const squared = (x: NDArray): NDArray => x.reshape([Math.sqrt(x.size), Math.sqrt(x.size)]);

/** By name: in tnp, and in NumPy as an expression of x and, for products, its square form s. */
export const firstUses: Readonly<Record<string, { readonly tnp: (x: NDArray) => NDArray; readonly numpy: string }>> = {
  sigmoid: { tnp: (x) => tnp.divide(1, tnp.exp(x.neg()).add(1)), numpy: "1 / (1 + np.exp(-x))" },
  add: { tnp: (x) => x.add(x), numpy: "x + x" },
  sum: { tnp: (x) => tnp.sum(x), numpy: "np.sum(x)" },
  matmul: { tnp: (x) => tnp.matmul(squared(x), squared(x)), numpy: "s @ s" },
  sort: { tnp: (x) => tnp.sort(x), numpy: "np.sort(x)" },
  softmax: {
    tnp: (x) => {
      const e = tnp.exp(x.sub(tnp.max(x)));
      return e.div(tnp.sum(e));
    },
    numpy: "(lambda e: e / np.sum(e))(np.exp(x - np.max(x)))",
  },
};
