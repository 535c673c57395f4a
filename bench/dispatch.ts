// Where the time of a call on small arrays goes: node scripts/run.mjs deno|bun|node bench/dispatch.ts [elements]
// Each stage is timed alone, on `x + y` and on the sigmoid of float32; the least of many samples counts.
import process from "node:process";
import { type NDArray, tnp } from "../mod.ts";
import { runtime } from "../ffi/runtime.ts";
import { nodeOf } from "../src/array.ts";
import * as ops from "../src/core/ops.ts";
import type { Node } from "../src/core/trace.ts";
import { cpu } from "../src/device/cpu.ts";
import { planCache } from "../src/graph/cache.ts";
import { Walk } from "../src/graph/topo.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { compute } from "./harness.ts";

const size = Number(process.argv[2] ?? 16);

/** Nanoseconds of a call: the least of samples of about a millisecond. */
function time(run: () => void): number {
  let count = 1, best = Infinity;
  for (const end = performance.now() + 300; performance.now() < end;) {
    const start = performance.now();
    for (let i = 0; i < count; i++) run();
    const ms = performance.now() - start;
    if (ms < 1) count = Math.ceil(count * 1.5);
    else best = Math.min(best, ms * 1e6 / count);
  }
  return best;
}

function row(name: string, ns: number): void {
  console.log(`  ${name.padEnd(60)} ${ns.toFixed(0).padStart(7)} ns`);
}

const drop = (node: Node): void => node.hold().drop();

/** The stages of one expression. */
function stages(title: string, build: (x: NDArray) => NDArray, bind: (x: Node) => Node): void {
  console.log(title);
  const x = tnp.ones([size], tnp.float32);
  x.dataSync();
  const node = nodeOf(x);
  row("nodes alone: infer, bind", time(() => drop(bind(node))));
  row("the call: arguments, promotion, bind, wrap, dispose", time(() => build(x).dispose()));
  const pending = nodeOf(build(x)), roots = [pending.hold()], walk = new Walk();
  row(
    "walk: order and key of what is pending",
    time(() => {
      walk.run(roots);
      walk.clear();
    }),
  );
  walk.run(roots);
  // What comes again and again has a plan.
  let plan = planCache(cpu).get(walk);
  for (; plan == null; plan = planCache(cpu).get(walk)) compute(build(x));
  row("plan cache: find by key", time(() => void planCache(cpu).get(walk)));
  const { leaves } = walk;
  const values = walk.scalars.slice(0, walk.scalarCount).map(() => 1);
  row(
    "plan: allocate, launch, release",
    time(() => {
      const storages = plan!.run(leaves, values);
      for (let i = plan!.leafCount; i < storages.length; i++) storages[i]!.buffer.release();
    }),
  );
  walk.clear();
  row("memory: allocate, release", time(() => cpu.allocate(4 * size).release()));
  row("eager: call, evaluate, dispose", time(() => compute(build(x))));
  row(
    "eager and read: dataSync",
    time(() => {
      const y = build(x);
      y.dataSync();
      y.dispose();
    }),
  );
  const f = tnp.function(build);
  row("compiled: call, dispose", time(() => f(x).dispose()));
  row("read alone: dataSync of what is computed", time(() => void x.dataSync()));
  evaluate(roots);
  pending.drop();
}

console.log(`${runtime.name} ${runtime.version}, ${size} elements`);
stages("x + x", (x) => x.add(x), (x) => ops.add(x, x));
stages(
  "1 / (1 + exp(-x))",
  (x) => tnp.divide(1, tnp.exp(x.neg()).add(1)),
  (x) => {
    const one = ops.scalar(1, "float32", cpu);
    return ops.div(one, ops.add(ops.exp(ops.neg(x)), one));
  },
);
