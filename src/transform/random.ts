/**
 * The state of the random numbers: a seed and a count of draws. Each draw takes a key from here and makes all its bits from it with
 * the `threefry` primitive, so the numbers are the same on every device.
 * @module
 */
import { describe } from "../base/describe.ts";
import { scalar } from "../core/ops.ts";
import { context, type Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { Tracing } from "./tracing.ts";

/** The seed, mixed to 32 bits, and the draws since; null until one is needed: asking Node for a seed loads 10 ms of code. */
let state: { readonly seed: number; count: number } | null = null;

function freshSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

/** A bijection of 32-bit words that spreads every bit (MurmurHash3's finalizer). */
function mix(word: number): number {
  let h = word >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Starts the random numbers anew.
 * @param value a non-negative integer below 2^64; null takes one from the system
 * @throws RangeError for another value
 */
export function seed(value: number | bigint | null): void {
  if (value === null) {
    state = null;
    return;
  }
  const whole = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!whole || value < 0 || value >= 2n ** 64n) {
    throw new RangeError(`seed: got ${describe(value)}, expected an integer from 0 to 2^64 - 1`);
  }
  const bits = BigInt(value);
  const low = Number(bits & 0xffffffffn);
  const high = Number(bits >> 32n);
  state = { seed: (low ^ (high === 0 ? 0 : mix(high))) >>> 0, count: 0 };
}

/**
 * The key of the next draw: two 0-d uint32 nodes. Inside a trace it is made from an input of the trace, so that each call, and
 * each example of `vectorized_map`, draws other numbers.
 * @param device where the numbers are made
 */
export function nextKey(device: Device): readonly [Node, Node] {
  for (let i = context.traces.length - 1; i >= 0; i--) {
    const trace = context.traces[i]!;
    if (trace instanceof Tracing && trace.kind !== "pullback") return trace.nextKey(device);
  }
  state ??= { seed: freshSeed(), count: 0 };
  const count = state.count++;
  return [scalar(state.seed, "uint32", device), scalar(count >>> 0, "uint32", device)];
}
