/**
 * Calls of compiled code with a block of integers, now or by the thread of native calls.
 * @module
 */
import { addressOf, native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import type { NativeFunction } from "./native.ts";
import { recording } from "./native_thread.ts";
import { Slots } from "./slots.ts";

/** The argument block, longer when one call needs that. */
let block: { readonly slots: Slots; readonly address: Address } | null = null;

/** Calls compiled code. */
export function callNative(run: NativeFunction, numbers: readonly number[]): void {
  const recorder = recording();
  if (recorder !== null) {
    // It waits with a block of its own.
    const slots = new Slots(numbers.length);
    for (let i = 0; i < numbers.length; i++) slots.integer(i, numbers[i]!);
    return recorder.kernel(run, slots.bytes);
  }
  if (block === null || block.slots.bytes.length < 8 * numbers.length) {
    const slots = new Slots(Math.max(128, numbers.length));
    block = { slots, address: native(addressOf(slots.bytes)) };
  }
  for (let i = 0; i < numbers.length; i++) block.slots.integer(i, numbers[i]!);
  run(block.address);
}
