// The process that memory_bench.ts measures: `memory_child.ts computed|read` prints nanoseconds a step and the peak in bytes.
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { type NDArray, tnp } from "../mod.ts";
import { nodeOf } from "../src/array.ts";
import { evaluate } from "../src/transform/evaluate.ts";

const computed = process.argv[2] === "computed";
const steps = 400;
const a = tnp.ones([1 << 20], tnp.float32);
a.dataSync();

let acc: NDArray = a, seen = 0;
const start = performance.now();
for (let i = 0; i < steps; i++) {
  acc = tnp.add(acc, a);
  if (computed) evaluate([nodeOf(acc)]);
  if (i % 20 === 0) seen = Math.max(seen, process.memoryUsage().rss);
}
const last = acc.at(0).item();
const ns = (performance.now() - start) * 1e6 / steps;
if (last !== steps + 1) throw new Error(`memory: got ${last}, expected ${steps + 1}`);

/** The largest resident set so far, where the system tells it. */
function peak(): number {
  const file = "/proc/self/status";
  const found = existsSync(file) ? /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(file, "utf8")) : null;
  return found === null ? Math.max(seen, process.memoryUsage().rss) : Number(found[1]) * 1024;
}

console.log(JSON.stringify({ ns, bytes: peak() }));
