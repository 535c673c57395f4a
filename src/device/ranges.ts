/**
 * Free ranges of one memory.
 * @module
 */

/** Which parts of a memory are free. */
export class Ranges {
  /** Free ranges by address; none touches the next. */
  readonly #starts: number[];
  readonly #sizes: number[];

  /** @param start where the memory begins that is handed out, and its bytes */
  constructor(start: number, byteLength: number) {
    this.#starts = [start];
    this.#sizes = [byteLength];
  }

  /** The first free range of so many bytes, taken; -1 if there is none. */
  take(byteLength: number): number {
    const sizes = this.#sizes, i = sizes.findIndex((size) => size >= byteLength);
    if (i < 0) return -1;
    const at = this.#starts[i]!;
    if (sizes[i] === byteLength) {
      this.#starts.splice(i, 1);
      sizes.splice(i, 1);
    } else {
      this.#starts[i]! += byteLength;
      sizes[i]! -= byteLength;
    }
    return at;
  }

  /** Gives back what was taken. */
  give(at: number, byteLength: number): void {
    const starts = this.#starts, sizes = this.#sizes;
    let i = starts.findIndex((start) => start > at);
    if (i < 0) i = starts.length;
    const before = i > 0 && starts[i - 1]! + sizes[i - 1]! === at;
    const after = i < starts.length && at + byteLength === starts[i];
    if (before && after) {
      sizes[i - 1]! += byteLength + sizes[i]!;
      starts.splice(i, 1);
      sizes.splice(i, 1);
    } else if (before) sizes[i - 1]! += byteLength;
    else if (after) {
      starts[i] = at;
      sizes[i]! += byteLength;
    } else {
      starts.splice(i, 0, at);
      sizes.splice(i, 0, byteLength);
    }
  }
}
