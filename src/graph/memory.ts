/**
 * Places the temporaries of a plan in one block of memory: lifetimes to offsets, pure arithmetic.
 * @module
 */

/** A temporary: its bytes, and the first and last step that touch it. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** Offsets of the temporaries, in the order given, and the size of the block. */
export interface MemoryPlan {
  readonly offsets: readonly number[];
  readonly total: number;
}

/** What offsets are multiples of: a cache line, and more than any vector load needs. */
export const ALIGNMENT = 64;

/**
 * Places temporaries so that those alive at the same time do not overlap: the largest first, each in the tightest gap that
 * the ones already placed leave (greedy by size, Pisarchyk and Lee 2020).
 */
export function planMemory(lifetimes: readonly Lifetime[]): MemoryPlan {
  const offsets = new Array<number>(lifetimes.length).fill(0);
  const order = lifetimes.map((_, i) => i).sort((a, b) =>
    lifetimes[b]!.bytes - lifetimes[a]!.bytes || lifetimes[a]!.first - lifetimes[b]!.first
  );
  /** Placed so far, by offset. */
  const placed: number[] = [];
  let total = 0;
  for (const i of order) {
    const { bytes, first, last } = lifetimes[i]!;
    if (bytes === 0) continue;
    let at = 0, best = -1, tightest = Infinity;
    for (const j of placed) {
      const other = lifetimes[j]!;
      if (other.last < first || other.first > last) continue;
      const gap = offsets[j]! - at;
      if (gap >= bytes && gap < tightest) {
        best = at;
        tightest = gap;
      }
      at = Math.max(at, align(offsets[j]! + other.bytes));
    }
    const offset = best >= 0 ? best : at;
    offsets[i] = offset;
    total = Math.max(total, offset + bytes);
    let slot = placed.length;
    while (slot > 0 && offsets[placed[slot - 1]!]! > offset) slot--;
    placed.splice(slot, 0, i);
  }
  return { offsets, total };
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
