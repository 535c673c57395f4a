/**
 * Checks of index values. Known indices are checked at the call, as NumPy does; traced ones are clamped by the kernels.
 * @module
 */
import { IndexError } from "../base/errors.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { readBytes } from "../transform/evaluate.ts";
import { allAxes } from "./moves.ts";

/** Fewer indices than this are looked through on the host. */
const few = 256;

/** The extremes of index arrays that were looked through: values never change, and indices are often used again. */
const known = new WeakMap<Node, readonly [bigint, bigint]>();

/** The least and greatest element of an int64 node that is not empty. */
function extremes(indices: Node): readonly [bigint, bigint] {
  let found = known.get(indices);
  if (found === undefined) known.set(indices, found = findExtremes(indices));
  return found;
}

function findExtremes(indices: Node): readonly [bigint, bigint] {
  if (indices.size > few) {
    const low = ops.min(indices, allAxes(indices)), high = ops.max(indices, allAxes(indices));
    const both = ops.concatenate([ops.reshape(low, [1]), ops.reshape(high, [1])], 0);
    const [a, b] = new BigInt64Array(readBytes(both).buffer);
    return [a!, b!];
  }
  const values = new BigInt64Array(readBytes(indices).buffer);
  let low = values[0]!, high = values[0]!;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [low, high];
}

/**
 * Checks that int64 indices lie in an axis.
 *
 * @param name the function that messages name
 * @param indices the indices; negative ones count from the end
 * @param axis the axis they are for, for the message
 * @param size its length
 * @throws IndexError naming the first offending extreme
 */
export function checkIndices(name: string, indices: Node, axis: number, size: number): void {
  if (indices.size === 0) return;
  if (size === 0) throw new IndexError(`${name}: cannot index axis ${axis} of length 0`);
  if (indices.symbolic) return;
  indices.hold();
  try {
    const [low, high] = extremes(indices);
    const bad = low < -size ? low : high >= size ? high : null;
    if (bad !== null) {
      throw new IndexError(`${name}: index ${bad} is out of bounds for axis ${axis} with size ${size}`);
    }
  } catch (e) {
    indices.drop();
    throw e;
  }
  // The caller goes on to use the node; only this check's hold ends.
  indices.holders--;
}
