/**
 * Argument blocks of CUDA kernels: slots of 8 bytes, handed to a launch by address.
 * @module
 */
import { addressOf, native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import { Slots } from "./slots.ts";

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
export class ArgumentBlock extends Slots {
  /** What a launch takes: the address of the list with the block's address. */
  readonly parameters: Address;
  readonly #list: BigUint64Array;

  constructor(slots: number) {
    super(slots);
    this.#list = new BigUint64Array(new ArrayBuffer(8));
    this.#list[0] = BigInt(addressOf(this.bytes));
    this.parameters = native(addressOf(this.#list));
  }

  /** The numbers that divide by `d`. */
  divisor(slot: number, d: number): void {
    const { multiplier, shift } = magic(d);
    this.pair(slot, multiplier, shift);
  }
}
