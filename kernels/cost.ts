/**
 * What a kernel costs, roughly: the measure by which a device picks an engine.
 * @module
 */
import type { ScalarType } from "../src/base/dtype.ts";
import type { Expr, Op } from "./expr.ts";
import { lowerForJs } from "./js_lower.ts";
import type { Kernel } from "./kernel.ts";

const transcendental: ReadonlySet<Op> = new Set<Op>([
  "cbrt",
  "exp",
  "exp2",
  "expm1",
  "log",
  "log2",
  "log10",
  "log1p",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
  "erf",
  "erfc",
  "lgamma",
  "pow",
  "atan2",
]);
const slow: ReadonlySet<Op> = new Set<Op>(["floordiv", "mod", "fmod", "gcd", "hypot", "nextafter", "popcount"]);

/** Whether an operation on floating-point numbers is many instructions: a division, a root, or another function. */
export function isLong(op: Op): boolean {
  return transcendental.has(op) || slow.has(op) || op === "div" || op === "sqrt";
}

function half(dtype: ScalarType): boolean {
  return dtype === "float16" || dtype === "bfloat16";
}

/**
 * Nanoseconds a point of the iteration space takes in JavaScript, roughly (within a factor of three on a machine of 2023; 64-bit
 * integers cost 1 ns an operation in V8 and 30 to 100 in JavaScriptCore).
 */
export function cost(kernel: Kernel): number {
  const k = lowerForJs(kernel).kernel;
  const seen = new Set<Expr>();
  let ns = 0.5;
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    // Words of a 64-bit integer that is wanted as a number make no bigint.
    if (e.op !== "cast" || e.dtype !== "float64" || e.src[0]!.op !== "load") e.src.forEach(visit);
    ns += operation(e);
  };
  k.body.forEach(visit);
  k.index.forEach(visit);
  k.reduction?.combine.forEach(visit);
  if (k.kind !== "reduce") {
    for (const o of k.outputs) ns += o.components * (is64(o.dtype) ? 5 : half(o.dtype) ? 4 : 0.5);
  }
  return ns;
}

const is64 = (dtype: ScalarType) => dtype === "int64" || dtype === "uint64";

function operation(e: Expr): number {
  if (e.op === "const" || e.op === "scalar" || e.op === "acc" || e.op === "val") return 0;
  if (e.op === "threefry") return 30;
  if (e.op === "erf" || e.op === "erfc" || e.op === "lgamma") return 50;
  if (transcendental.has(e.op)) return half(e.dtype) ? 18 : 10;
  const big = is64(e.dtype) || (e.src[0] !== undefined && is64(e.src[0].dtype));
  if (big && e.op !== "iota") return 10;
  if (half(e.dtype)) return 5;
  if (slow.has(e.op)) return 5;
  return e.op === "gather" ? 3 : 0.3;
}

/** Above this weight a point takes longer than what surrounds it: its memory, or its running value. */
export const light = 8;

/**
 * Weight of a point in native code, in units of one addition of float32: how soon threads pay.
 */
export function nativeWeight(kernel: Kernel): number {
  const seen = new Set<Expr>();
  let weight = 1;
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    e.src.forEach(visit);
    if (transcendental.has(e.op)) weight += e.dtype === "float64" ? 12 : 5;
    else if (e.op === "threefry") weight += 16;
    else if (slow.has(e.op)) weight += 8;
    else if (e.src.length > 0) weight += 0.5;
  };
  kernel.body.forEach(visit);
  kernel.index.forEach(visit);
  return Math.max(1, Math.round(weight));
}
