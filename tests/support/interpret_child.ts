/** Tells after each evaluation of a program that starts whether its graph has a plan. */
import * as op from "../../src/core/ops.ts";
import type { Node } from "../../src/core/trace.ts";
import { cpu } from "../../src/device/cpu.ts";
import { planCache } from "../../src/graph/cache.ts";
import { Walk } from "../../src/graph/topo.ts";
import "../../src/prims/mod.ts";
import { evaluate, fromBytes } from "../../src/transform/evaluate.ts";

const vector = (n: number): Node => fromBytes(new Uint8Array(8 * n), [n], "float64", cpu).hold();
const small = vector(5), large = vector(20_000);

function state(make: () => Node): string {
  evaluate([make().hold()]);
  const walk = new Walk();
  walk.run([make().hold()]);
  return planCache(cpu).get(walk) == null ? "no plan" : "a plan";
}

const double = () => op.add(small, small), square = () => op.mul(small, small);
console.log(JSON.stringify([
  ...[state(double), state(double), state(double)],
  state(() => op.neg(large)),
  ...[state(square), state(square)],
]));
