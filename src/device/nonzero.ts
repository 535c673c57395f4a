/**
 * The positions of true values, which become a result's length: so they are found during the call, and not enqueued.
 * @module
 */
import { addressOf } from "../../ffi/mem.ts";
import { cNonzero, nonzeroParts } from "../../kernels/preamble/nonzero.ts";
import { sizeOf } from "../base/shape.ts";
import type { HostBuffer } from "./arena.ts";
import type { Device } from "./device.ts";
import { callNative } from "./native_call.ts";
import { NativeCode } from "./native_code.ts";
import { Slots } from "./slots.ts";
import { threadCount } from "./threads.ts";

/** Up to this many truth values JavaScript takes no longer than the calls. */
const FEW = 512;
/** Nanoseconds JavaScript takes for one. */
const COST = 4;
/** Truth values a thread should get. */
const SHARE = 65536;

let code: NativeCode | null = null;
/** Where each part begins, and the mask of the call under way: what only an address leads to, the collector takes. */
const call: { starts: Slots | null; mask: HostBuffer | null } = { starts: null, mask: null };

/** Forgets the code, so that it is tried again. */
export function forgetNonzero(): void {
  code = null;
}

/** Positions (int64) of true values: a row of `count` of them an axis. */
export interface Positions {
  readonly buffer: HostBuffer;
  readonly count: number;
}

/**
 * Finds true values.
 *
 * @param device where the positions go
 * @param mask memory with truth values in C order (bytes, 0 or 1), which begin at a byte of it
 * @param shape theirs, of at least one axis
 */
export function findNonzero(device: Device, mask: HostBuffer, byteOffset: number, shape: readonly number[]): Positions {
  const n = sizeOf(shape), rank = shape.length;
  const allocate = (count: number) => device.allocate(8 * rank * count) as HostBuffer;
  const run = n <= FEW ? null : (code ??= new NativeCode("nonzero", { key: null, text: () => cNonzero })).get(n * COST);
  if (run === null) {
    const bytes = mask.bytes(byteOffset, n), count = countTrue(bytes), buffer = allocate(count);
    const out = buffer.bytes();
    findTrue(bytes, new Uint32Array(out.buffer, out.byteOffset, 2 * rank * count), count, shape);
    return { buffer, count };
  }
  const parts = Math.max(1, Math.min(nonzeroParts, threadCount(), Math.floor(n / SHARE)));
  const starts = call.starts ??= new Slots(nonzeroParts + 1);
  const { words } = starts;
  starts.integer(parts, 0);
  call.mask = mask;
  const at = mask.memory.address(addressOf) + mask.byteOffset + byteOffset;
  const numbers = [at, n, 0, parts, addressOf(starts.bytes), 0, rank, ...shape];
  callNative(run, numbers);
  let count = 0;
  for (let p = 0; p <= parts; p++) {
    const some = words[2 * p]! + words[2 * p + 1]! * 2 ** 32;
    starts.integer(p, count);
    count += some;
  }
  const buffer = allocate(count);
  if (count > 0) {
    numbers[2] = buffer.memory.address(addressOf) + buffer.byteOffset;
    numbers[5] = count;
    callNative(run, numbers);
  }
  call.mask = null;
  return { buffer, count };
}

function countTrue(mask: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += mask[i]!;
  return count;
}

/** Writes positions as pairs of words. */
function findTrue(mask: Uint8Array, words: Uint32Array, count: number, shape: readonly number[]): void {
  // Without branches, as masks are hard to guess: what is not true is written over.
  for (let i = 0, at = 0; at < count; i++) {
    words[2 * at] = i;
    words[2 * at + 1] = i / 2 ** 32;
    at += mask[i]!;
  }
  for (let d = shape.length - 1; d > 0; d--) {
    const length = shape[d]!;
    for (let i = 0, row = 0, start = 0, to = 2 * d * count; i < count; i++, to += 2) {
      const at = words[2 * i]! + words[2 * i + 1]! * 2 ** 32;
      if (at - start >= length) {
        row = Math.floor(at / length);
        start = row * length;
      }
      words[to] = at - start;
      words[to + 1] = (at - start) / 2 ** 32;
      words[2 * i] = row;
      words[2 * i + 1] = row / 2 ** 32;
    }
  }
}
