/**
 * Copies between strided arrays and blocks of points in a row, by the bits of their elements.
 * @module
 */
import type { TypedArray } from "../base/dtype.ts";

/** Elements as words: one of 1, 2 or 4 bytes, or several of 4. */
export type Words = Uint8Array | Uint16Array | Uint32Array;

/** The dtype whose view of memory gives the words of elements of so many bytes. */
export function wordsType(bytes: number): "uint8" | "uint16" | "uint32" {
  return bytes === 1 ? "uint8" : bytes === 2 ? "uint16" : "uint32";
}

/** An array as a walk over points: loops collapsed to as few as say the same, strides in words. */
export interface Walk {
  readonly words: Words;
  /** Index of the first point, in words. */
  readonly start: number;
  /** Words an element takes. */
  readonly each: number;
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

/** The walk of an array over loops, outermost first. Strides are in elements of `each` words. */
export function walkOf(
  view: TypedArray,
  start: number,
  each: number,
  sizes: readonly number[],
  strides: readonly number[],
): Walk {
  const n: number[] = [], s: number[] = [];
  for (let d = 0; d < sizes.length; d++) {
    const size = sizes[d]!, stride = strides[d]! * each, last = n.length - 1;
    if (size === 1) continue;
    if (last >= 0 && s[last] === stride * size) {
      n[last]! *= size;
      s[last] = stride;
    } else {
      n.push(size);
      s.push(stride);
    }
  }
  if (n.length === 0) {
    n.push(1);
    s.push(0);
  }
  return { words: view as Words, start: start * each, each, sizes: n, strides: s };
}

/** Whether all points are the same element. */
export function isConstant(w: Walk): boolean {
  return w.strides.length === 1 && w.strides[0] === 0;
}

/** Points of the innermost loop, which are copied at once; all of them where the array lies in a row. */
export function runLength(w: Walk): number {
  return w.sizes[w.sizes.length - 1]!;
}

/** Copies `count` points from the `first` on to a block, or from the block back. */
export function stage(w: Walk, first: number, count: number, block: Words, at: number, back: boolean): void {
  const rank = w.sizes.length, inner = w.sizes[rank - 1]!, stride = w.strides[rank - 1]!;
  if (rank === 1) return segment(w, w.start + first * stride, stride, count, block, at, back);
  let left = count, i = first % inner, outer = Math.floor(first / inner);
  while (left > 0) {
    let from = w.start + i * stride;
    for (let d = rank - 2, rest = outer; d >= 0; d--) {
      const size = w.sizes[d]!, above = d === 0 ? 0 : Math.floor(rest / size);
      from += (rest - above * size) * w.strides[d]!;
      rest = above;
    }
    const n = Math.min(left, inner - i);
    segment(w, from, stride, n, block, at, back);
    at += n * w.each;
    left -= n;
    i = 0;
    outer++;
  }
}

/** From this many words on a copy is worth a call of the engine's own. */
const LONG = 48;

function segment(w: Walk, from: number, stride: number, count: number, block: Words, at: number, back: boolean): void {
  const { words, each } = w, n = count * each;
  if (stride === each && n >= LONG) {
    if (back) words.set(block.subarray(at, at + n), from);
    else block.set(words.subarray(from, from + n), at);
  } else if (stride === 0 && each === 1 && !back) block.fill(words[from]!, at, at + n);
  else if (back) copy(block, at, each, words, from, stride, count, each);
  else copy(words, from, stride, block, at, each, count, each);
}

function copy(
  source: Words,
  from: number,
  step: number,
  target: Words,
  to: number,
  stride: number,
  count: number,
  each: number,
): void {
  if (each === 1) {
    for (let i = 0; i < count; i++) target[to + i * stride] = source[from + i * step]!;
  } else if (each === 2) {
    for (let i = 0, p = from, q = to; i < count; i++, p += step, q += stride) {
      target[q] = source[p]!;
      target[q + 1] = source[p + 1]!;
    }
  } else {
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < each; k++) target[to + i * stride + k] = source[from + i * step + k]!;
    }
  }
}

/** Offsets of points, from the `first` on, as int32. */
export function stageOffsets(
  start: number,
  sizes: readonly number[],
  strides: readonly number[],
  first: number,
  count: number,
  block: Int32Array,
  at: number,
): void {
  const rank = sizes.length, inner = sizes[rank - 1]!, stride = strides[rank - 1]!;
  let left = count, i = first % inner, outer = Math.floor(first / inner);
  while (left > 0) {
    let from = start + i * stride;
    for (let d = rank - 2, rest = outer; d >= 0; d--) {
      const size = sizes[d]!, above = Math.floor(rest / size);
      from += (rest - above * size) * strides[d]!;
      rest = above;
    }
    const n = Math.min(left, inner - i);
    for (let k = 0; k < n; k++) block[at + k] = from + k * stride;
    at += n;
    left -= n;
    i = 0;
    outer++;
  }
}
