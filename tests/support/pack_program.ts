/** The program of tests/pack_test.ts: maps, reductions of rows and columns, a scan and a scatter. */
import { type NDArray, tnp } from "../../mod.ts";

/** Its results for so many rows; the arrays are made here, for the device at hand. */
export function program(rows: number): readonly NDArray[] {
  const x = tnp.arange(600 * rows, { dtype: "float32" }).mod(101).div(17).sub(3).reshape([rows, 600]);
  const sigmoid = tnp.divide(1, tnp.exp(x.neg()).add(1));
  const e = tnp.exp(x.sub(tnp.max(x, 1, { keepdims: true })));
  const softmax = e.div(tnp.sum(e, 1, { keepdims: true }));
  const f = tnp.exp(sigmoid.sub(1)), shares = f.div(tnp.sum(f, 1, { keepdims: true }));
  return [
    sigmoid,
    softmax,
    tnp.cumsum(softmax, 1),
    tnp.sum(sigmoid, 0),
    tnp.argmax(softmax, 1),
    tnp.mean(tnp.square(sigmoid.sub(softmax))),
    shares,
  ];
}
