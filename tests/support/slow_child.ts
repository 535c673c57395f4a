/** A process of its own for tests/compiler_test.ts: work that is worth compiling, and how long each result took. */
import { type NDArray, tnp } from "../../mod.ts";

const work = (x: NDArray): number => tnp.sum(tnp.sqrt(x.mul(x).add(x)).sub(tnp.exp(x.neg()))).item() as number;
const x = tnp.arange(300_000, { dtype: "float64" }).div(300_000), large = tnp.arange(3_000_000, { dtype: "float64" });
const took: number[] = [], sums: number[] = [];
const time = (run: () => number): number => {
  const start = performance.now(), value = run();
  took.push(performance.now() - start);
  return value;
};
const start = performance.now();
do sums.push(time(() => work(x))); while (performance.now() - start < 1500);
// One launch that would pay for a usual compile.
const one = time(() => tnp.sum(tnp.tanh(large).mul(tnp.sin(large)).add(tnp.cos(large))).item() as number);
console.log(JSON.stringify({ longest: Math.max(...took), calls: took.length, first: sums[0], last: sums.at(-1), one }));
