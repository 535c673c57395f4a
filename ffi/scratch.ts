import { addressOf, native } from "./mem.ts";
import type { Address } from "./types.ts";

const SLOT = 16;

/**
 * Memory for scalar arguments that native functions take by address (Fortran's convention): fixed slots of 16 bytes whose addresses are
 * made once, so that a call allocates nothing. Filled anew for every call; not for calls off the main thread.
 */
export class Scratch {
  readonly #bytes: ArrayBuffer;
  readonly #ints: Int32Array;
  readonly #floats: Float32Array;
  readonly #doubles: Float64Array;
  readonly #addresses: readonly Address[];
  #next = 0;

  constructor(slots = 32) {
    this.#bytes = new ArrayBuffer(slots * SLOT);
    this.#ints = new Int32Array(this.#bytes);
    this.#floats = new Float32Array(this.#bytes);
    this.#doubles = new Float64Array(this.#bytes);
    const base = addressOf(this.#bytes);
    this.#addresses = Array.from({ length: slots }, (_, i) => native(base + i * SLOT));
  }

  /** Starts over: earlier slots are free again. */
  reset(): this {
    this.#next = 0;
    return this;
  }

  /** A 32-bit integer by address. */
  int(value: number): Address {
    const slot = this.#next++;
    this.#ints[slot * SLOT / 4] = value;
    return this.#address(slot);
  }

  /** A character by address. */
  char(value: string): Address {
    return this.int(value.charCodeAt(0));
  }

  /** A real or complex scalar in single or double precision by address. */
  scalar(single: boolean, re: number, im = 0): Address {
    const slot = this.#next++;
    const view = single ? this.#floats : this.#doubles;
    const at = slot * SLOT / view.BYTES_PER_ELEMENT;
    view[at] = re;
    view[at + 1] = im;
    return this.#address(slot);
  }

  /** What a native function wrote into the integer of a slot. */
  readInt(address: Address): number {
    return this.#ints[this.#addresses.indexOf(address) * SLOT / 4] as number;
  }

  #address(slot: number): Address {
    const address = this.#addresses[slot];
    if (address === undefined) throw new RangeError(`scratch: got more than ${this.#addresses.length} arguments`);
    return address;
  }
}
