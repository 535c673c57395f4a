/**
 * Memory in slots of 8 bytes: what generated kernels take their arguments from.
 * @module
 */

/** Slots that numbers are written into. */
export class Slots {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same memory, two words a slot. */
  readonly words: Uint32Array<ArrayBuffer>;
  readonly #doubles: Float64Array;

  constructor(count: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(8 * Math.max(1, count)));
    this.words = new Uint32Array(this.bytes.buffer);
    this.#doubles = new Float64Array(this.bytes.buffer);
  }

  /** An integer as int64: exact up to 2^53. */
  integer(slot: number, value: number): void {
    this.words[2 * slot] = value;
    this.words[2 * slot + 1] = value >= 0 && value <= 0xffffffff ? 0 : Math.floor(value / 4294967296);
  }

  /** An integer of 64 bits. */
  bigint(slot: number, value: bigint): void {
    this.pair(slot, Number(value & 0xffffffffn), Number(value >> 32n & 0xffffffffn));
  }

  /** A float64. */
  double(slot: number, value: number): void {
    this.#doubles[slot] = value;
  }

  /** Two words of 32 bits, the lower one first. */
  pair(slot: number, low: number, high: number): void {
    this.words[2 * slot] = low;
    this.words[2 * slot + 1] = high;
  }
}
