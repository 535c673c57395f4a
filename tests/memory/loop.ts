/**
 * How much memory a synchronous loop takes that gives nothing back: `loop.ts [steps] [mode] [megabytes]`.
 *
 * Modes: `chain` (x = x * 0.5 + y, never read), `read` (and one sum read every step), `data` (all elements of every result copied
 * out), `function` (a traced function). Prints JSON: the largest resident set in MiB, milliseconds a step.
 */
import process from "node:process";
import { type NDArray, tnp } from "../../mod.ts";

const steps = Number(process.argv[2] ?? 1000),
  mode = process.argv[3] ?? "read",
  megabytes = Number(process.argv[4] ?? 8);
const n = megabytes * 2 ** 20 / 8;
const y = tnp.full([n], 0.5), start = performance.now();
const traced = tnp.function((a: NDArray, b: NDArray) => tnp.add(tnp.multiply(a, 0.5), b));
let x = tnp.ones([n]), peak = 0, last = 0;
for (let i = 0; i < steps; i++) {
  x = mode === "function" ? traced(x, y) as typeof x : tnp.add(tnp.multiply(x, 0.5), y);
  if (mode === "read") last = Number(tnp.sum(x).item());
  if (mode === "data") last = Number(x.dataSync()[0]);
  if (i % 20 === 0) peak = Math.max(peak, process.memoryUsage().rss);
}
last = Number(x.at(0).item());
peak = Math.max(peak, process.memoryUsage().rss);
const runtime = process.versions["bun"] ? "bun" : process.versions["deno"] ? "deno" : "node";
const ms = Number(((performance.now() - start) / steps).toFixed(2));
console.log(JSON.stringify({ runtime, mode, steps, peak: Math.round(peak / 2 ** 20), ms, last }));
