import { runtime } from "./runtime.ts";
import type { Address } from "./types.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

// Bun keeps up to 1000 elements on its heap, V8 up to 64 bytes.
const SMALL = 8000;

/**
 * The address of JS memory as a plain number.
 *
 * It stays valid while the caller keeps the view's buffer referenced and neither detaches nor resizes it. An empty view has address 0.
 *
 * @param memory A view (its byteOffset counts) or a whole buffer.
 */
export function addressOf(memory: ArrayBufferView | ArrayBuffer): number {
  if (memory instanceof ArrayBuffer) {
    return memory.byteLength === 0 ? 0 : runtime.addressOf(new Uint8Array(memory));
  }
  if (memory.byteLength === 0) return 0;
  // Small typed arrays live on the collector's heap until their buffer is asked for, and move then.
  if (memory.byteLength <= SMALL && memory.buffer.byteLength === 0) return 0;
  return runtime.addressOf(memory);
}

/**
 * JS memory over native memory, without a copy and without owning it.
 *
 * @param address Where it starts.
 * @param byteLength Its size in bytes.
 */
export function viewOf(address: Address, byteLength: number): ArrayBuffer {
  if (byteLength === 0) return new ArrayBuffer(0);
  const start = toNumber(address);
  if (start === 0) throw new TypeError(`viewOf: got address 0, expected ${byteLength} bytes of native memory`);
  return runtime.viewOf(start, byteLength);
}

/** An address or 64-bit integer in the runtime's fast form (bigint in Deno, number elsewhere): convert once, keep it. */
export function native(value: number): Address {
  return runtime.native(value);
}

/** A native address or 64-bit integer as a plain number; exact below 2^53. */
export function toNumber(value: Address): number {
  return typeof value === "bigint" ? Number(value) : value;
}

/**
 * Text as UTF-8 bytes with the NUL that C expects at the end.
 *
 * @throws TypeError when the text itself contains NUL.
 */
export function cstring(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`cstring: got text with a NUL character, expected none`);
  const bytes = encoder.encode(text);
  const result = new Uint8Array(new ArrayBuffer(bytes.length + 1));
  result.set(bytes);
  return result;
}

/**
 * The text at a native address, up to its NUL.
 *
 * @param address Of the first byte; 0 (NULL) gives "".
 * @param max The most bytes to read.
 */
export function readCString(address: Address, max = 65536): string {
  const start = toNumber(address);
  if (start === 0) return "";
  const bytes = new Uint8Array(runtime.viewOf(start, max));
  const end = bytes.indexOf(0);
  return decoder.decode(bytes.slice(0, end < 0 ? max : end));
}
