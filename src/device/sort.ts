/**
 * Sorting on the CPU. Every dtype is turned into unsigned words that order as NumPy orders the values (-0 equal to 0, NaN last,
 * complex lexicographic with NumPy's four groups of NaN), so one stable radix sort and one binary search serve all.
 * @module
 */
import { type DType, dtypeInfo } from "../base/dtype.ts";
import type { HostMemory } from "./arena.ts";
import { forEachOffset, type HostArray } from "./host.ts";

/** How the keys of one dtype are made from its memory. */
interface KeyReader {
  /** Words a key takes, the least significant one first. */
  readonly words: number;
  /** Bits of the words that may differ, if these are few. */
  readonly bits?: number;
  /**
   * Writes the keys of `n` elements from an index of the memory on, `step` apart: one call for a row, as calls of functions that vary are
   * not cheap.
   */
  read(at: number, step: number, n: number, words: readonly Uint32Array[]): void;
}

const LAST = 0xffffffff;

/** Float bits as an unsigned number that orders like the float; NaN is the largest. */
function float32Key(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return LAST;
  if (bits === 0x80000000) bits = 0;
  return (bits >>> 31 ? ~bits : bits | 0x80000000) >>> 0;
}

function float16Key(bits: number, infinity: number): number {
  if ((bits & 0x7fff) > infinity) return 0xffff;
  if (bits === 0x8000) bits = 0;
  return bits & 0x8000 ? 0xffff - bits : bits | 0x8000;
}

/** Writes a float64's key and tells whether it is NaN. */
function float64Key(lo: number, hi: number, words: readonly Uint32Array[], word: number, to: number): boolean {
  const magnitude = hi & 0x7fffffff;
  const nan = magnitude > 0x7ff00000 || magnitude === 0x7ff00000 && lo !== 0;
  if (nan) {
    lo = hi = LAST;
  } else {
    if (lo === 0 && magnitude === 0) hi = 0;
    if (hi >>> 31) {
      lo = ~lo;
      hi = ~hi;
    } else {
      hi |= 0x80000000;
    }
  }
  words[word]![to] = lo;
  words[word + 1]![to] = hi;
  return nan;
}

function keyReader(memory: HostMemory, dtype: DType): KeyReader {
  const words32 = (): Uint32Array => memory.view("uint32") as Uint32Array;
  const words16 = (): Uint16Array => memory.view("uint16") as Uint16Array;
  switch (dtype) {
    case "bool":
    case "uint8":
    case "uint16":
    case "uint32": {
      const x = memory.view(dtype) as Uint32Array;
      return {
        words: 1,
        bits: 8 * dtypeInfo(dtype).itemsize,
        read(at, step, n, [w]) {
          for (let i = 0; i < n; i++) w![i] = x[at + i * step]!;
        },
      };
    }
    case "int8":
    case "int16":
    case "int32": {
      const x = memory.view(dtype) as Int32Array, bits = 8 * dtypeInfo(dtype).itemsize, smallest = 2 ** (bits - 1);
      return {
        words: 1,
        bits,
        read(at, step, n, [w]) {
          for (let i = 0; i < n; i++) w![i] = x[at + i * step]! + smallest;
        },
      };
    }
    case "int64":
    case "uint64": {
      const x = words32(), flip = dtype === "int64" ? 0x80000000 : 0;
      return {
        words: 2,
        read(at, step, n, [low, high]) {
          for (let i = 0, from = 2 * at; i < n; i++, from += 2 * step) {
            low![i] = x[from]!;
            high![i] = x[from + 1]! ^ flip;
          }
        },
      };
    }
    case "float16":
    case "bfloat16": {
      const x = words16(), infinity = dtype === "float16" ? 0x7c00 : 0x7f80;
      return {
        words: 1,
        bits: 16,
        read(at, step, n, [w]) {
          for (let i = 0; i < n; i++) w![i] = float16Key(x[at + i * step]!, infinity);
        },
      };
    }
    case "float32": {
      const x = words32();
      return {
        words: 1,
        read(at, step, n, [w]) {
          for (let i = 0; i < n; i++) w![i] = float32Key(x[at + i * step]!);
        },
      };
    }
    case "float64": {
      const x = words32();
      return {
        words: 2,
        read(at, step, n, words) {
          for (let i = 0, from = 2 * at; i < n; i++, from += 2 * step) float64Key(x[from]!, x[from + 1]!, words, 0, i);
        },
      };
    }
    case "complex64": {
      const x = words32();
      return {
        words: 3,
        read(at, step, n, words) {
          for (let i = 0, from = 2 * at; i < n; i++, from += 2 * step) {
            const re = float32Key(x[from]!), im = float32Key(x[from + 1]!);
            words[0]![i] = im;
            words[1]![i] = re;
            words[2]![i] = (re === LAST ? 2 : 0) + (im === LAST ? 1 : 0);
          }
        },
      };
    }
    case "complex128": {
      const x = words32();
      return {
        words: 5,
        read(at, step, n, words) {
          for (let i = 0, from = 4 * at; i < n; i++, from += 4 * step) {
            const im = float64Key(x[from + 2]!, x[from + 3]!, words, 0, i);
            const re = float64Key(x[from]!, x[from + 1]!, words, 2, i);
            words[4]![i] = (re ? 2 : 0) + (im ? 1 : 0);
          }
        },
      };
    }
  }
}

const makeWords = (words: number, n: number): Uint32Array[] =>
  Array.from({ length: words }, () => new Uint32Array(new ArrayBuffer(4 * n)));

/** The more significant words decide first. */
function less(a: readonly Uint32Array[], i: number, b: readonly Uint32Array[], j: number): boolean {
  for (let w = a.length - 1; w >= 0; w--) {
    const x = a[w]![i]!, y = b[w]![j]!;
    if (x !== y) return x < y;
  }
  return false;
}

/** Below this many keys, insertion beats counting. */
const FEW = 48;

/** Sorts rows of keys; keeps its scratch memory from row to row. */
class RowSorter {
  readonly keys: Uint32Array[];
  readonly #n: number;
  /** Positions, and beside them one word of the keys in their order: what is moved is read in a row. */
  #from: Uint32Array;
  #to: Uint32Array;
  #word: Uint32Array;
  #moved: Uint32Array;
  readonly #digit: number;
  readonly #bits: number;
  readonly #counts: Uint32Array;

  constructor(words: number, bits: number, n: number) {
    this.keys = makeWords(words, n);
    this.#n = n;
    [this.#from, this.#to, this.#word, this.#moved] = makeWords(4, n) as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ];
    this.#bits = bits;
    this.#digit = n < 8192 || bits === 8 ? 8 : 11;
    this.#counts = new Uint32Array(new ArrayBuffer(4 << this.#digit));
  }

  /** The stable order of `keys`: positions, smallest key first; valid until the next call. */
  sort(): Uint32Array {
    const n = this.#n, order = this.#from;
    for (let i = 0; i < n; i++) order[i] = i;
    if (n <= FEW) {
      this.#insert(order);
      return order;
    }
    this.keys.forEach((key, k) => {
      const from = this.#from, word = this.#word;
      if (k === 0) word.set(key);
      else for (let i = 0; i < n; i++) word[i] = key[from[i]!]!;
      for (let shift = 0; shift < this.#bits; shift += this.#digit) this.#pass(shift);
    });
    return this.#from;
  }

  #insert(order: Uint32Array): void {
    const keys = this.keys;
    for (let i = 1; i < this.#n; i++) {
      let j = i;
      for (; j > 0 && less(keys, i, keys, order[j - 1]!); j--) order[j] = order[j - 1]!;
      order[j] = i;
    }
  }

  #pass(shift: number): void {
    const n = this.#n, counts = this.#counts, mask = counts.length - 1;
    const word = this.#word, moved = this.#moved, from = this.#from, to = this.#to;
    counts.fill(0);
    for (let i = 0; i < n; i++) counts[word[i]! >>> shift & mask]!++;
    if (counts[word[0]! >>> shift & mask] === n) return;
    let sum = 0;
    for (let d = 0; d < counts.length; d++) {
      const count = counts[d]!;
      counts[d] = sum;
      sum += count;
    }
    for (let i = 0; i < n; i++) {
      const w = word[i]!, at = counts[w >>> shift & mask]!++;
      moved[at] = w;
      to[at] = from[i]!;
    }
    this.#word = moved;
    this.#moved = word;
    this.#from = to;
    this.#to = from;
  }
}

/** The memory as words that hold an element in whole numbers. */
function units(
  memory: HostMemory,
  itemsize: number,
): { readonly x: Uint8Array | Uint16Array | Uint32Array; per: number } {
  if (itemsize === 1) return { x: memory.view("uint8") as Uint8Array, per: 1 };
  if (itemsize === 2) return { x: memory.view("uint16") as Uint16Array, per: 1 };
  return { x: memory.view("uint32") as Uint32Array, per: itemsize / 4 };
}

/** Sorts along the last axis, stable; with `positions` the output (int64) gets where each value stood. */
export function sortRows(input: HostArray, output: HostArray, positions: boolean): void {
  const { shape, strides } = input;
  const axis = shape.length - 1, n = shape[axis]!;
  if (n === 0) return;
  const reader = keyReader(input.memory, input.dtype);
  const sorter = new RowSorter(reader.words, reader.bits ?? 32, n);
  const from = units(input.memory, dtypeInfo(input.dtype).itemsize);
  const to = units(output.memory, dtypeInfo(output.dtype).itemsize);
  const sx = strides[axis]!, sy = output.strides[axis]!;
  forEachOffset(shape.slice(0, -1), strides, output.strides, (a, b) => {
    const at = input.offset + a;
    reader.read(at, sx, n, sorter.keys);
    const order = sorter.sort();
    let y = (output.offset + b) * to.per;
    const step = sy * to.per;
    if (positions) {
      for (let i = 0; i < n; i++, y += step) {
        to.x[y] = order[i]!;
        to.x[y + 1] = 0;
      }
    } else {
      for (let i = 0; i < n; i++, y += step) {
        const x = (at + order[i]! * sx) * from.per;
        to.x[y] = from.x[x]!;
        for (let u = 1; u < from.per; u++) to.x[y + u] = from.x[x + u]!;
      }
    }
  });
}

/** Where each value would go into a sorted vector (int64): before equal ones, or after them for `right`. */
export function searchSorted(sorted: HostArray, values: HostArray, output: HostArray, right: boolean): void {
  const n = sorted.shape[0]!, step = sorted.strides[0]!;
  const table = keyReader(sorted.memory, sorted.dtype), wanted = keyReader(values.memory, values.dtype);
  const middle = makeWords(table.words, 1), key = makeWords(wanted.words, 1);
  const out = output.memory.view("uint32") as Uint32Array;
  forEachOffset(values.shape, values.strides, output.strides, (a, b) => {
    wanted.read(values.offset + a, 0, 1, key);
    let lo = 0, hi = n;
    while (lo < hi) {
      const at = (lo + hi) >>> 1;
      table.read(sorted.offset + at * step, 0, 1, middle);
      const before = right ? !less(key, 0, middle, 0) : less(middle, 0, key, 0);
      if (before) lo = at + 1;
      else hi = at;
    }
    out[2 * (output.offset + b)] = lo;
    out[2 * (output.offset + b) + 1] = 0;
  });
}
