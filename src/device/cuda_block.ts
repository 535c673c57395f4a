/**
 * Argument blocks of CUDA kernels: slots of 8 bytes, handed to a launch by address.
 * @module
 */
import { addressOf, native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";

/** A divisor below 2^31 as the multiplier and the shift of `fast_div`. */
interface Magic {
  readonly multiplier: number;
  readonly shift: number;
}

const magics = new Map<number, Magic>();

/** The multiplier and shift that divide by `d` (Granlund and Montgomery 1994). */
export function magic(d: number): Magic {
  let found = magics.get(d);
  if (found === undefined) {
    let shift = 0;
    while (2 ** shift < d) shift++;
    const multiplier = Number((BigInt(2 ** shift - d) << 32n) / BigInt(Math.max(1, d))) + 1;
    if (magics.size > 4096) magics.clear();
    magics.set(d, found = { multiplier, shift });
  }
  return found;
}

/** The argument block of one kernel; a launch copies it. */
export class ArgumentBlock {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Uint32Array;
  /** What a launch takes: the address of the list with the block's address. */
  readonly parameters: Address;
  readonly #doubles: Float64Array;
  readonly #list: BigUint64Array;

  constructor(slots: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(8 * Math.max(1, slots)));
    this.words = new Uint32Array(this.bytes.buffer);
    this.#doubles = new Float64Array(this.bytes.buffer);
    this.#list = new BigUint64Array(new ArrayBuffer(8));
    this.#list[0] = BigInt(addressOf(this.bytes));
    this.parameters = native(addressOf(this.#list));
  }

  /** An integer as int64: exact up to 2^53. */
  integer(slot: number, value: number): void {
    this.words[2 * slot] = value;
    this.words[2 * slot + 1] = value >= 0 && value <= 0xffffffff ? 0 : Math.floor(value / 4294967296);
  }

  /** An integer of 64 bits. */
  bigint(slot: number, value: bigint): void {
    this.words[2 * slot] = Number(value & 0xffffffffn);
    this.words[2 * slot + 1] = Number(value >> 32n & 0xffffffffn);
  }

  /** A float64. */
  double(slot: number, value: number): void {
    this.#doubles[slot] = value;
  }

  /** The numbers that divide by `d`. */
  divisor(slot: number, d: number): void {
    const { multiplier, shift } = magic(d);
    this.words[2 * slot] = multiplier;
    this.words[2 * slot + 1] = shift;
  }
}
