/**
 * Entries of an axis taken out or put in.
 * @module
 */
import { IndexError, ShapeError } from "../base/errors.ts";
import { broadcastShapes, formatShape, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, type AxisOption, type NDArray, type Slice, wrap } from "../array.ts";
import { checkInt, keywords } from "./args.ts";
import { toNodeOf, toTyped } from "./convert.ts";
import { axisOrFlat, moveAxis, type Run, sliceAxis, takeRuns } from "./moves.ts";
import { readElements } from "./reading.ts";

/** Which entries: one, several, a slice, or a mask of the axis. */
export type Entries = number | Slice | ArrayLike;

/** The positions that entries stand for, counted from 0; each may be `extra` past the last. */
function positionsOf(name: string, entries: Entries, size: number, axis: number, extra: number): number[] {
  if (typeof entries === "object" && entries !== null && "kind" in entries && entries.kind === "slice") {
    const step = entries.step ?? 1;
    const inside = (n: number | null, open: number): number =>
      n === null ? open : Math.max(step > 0 ? 0 : -1, Math.min(step > 0 ? size : size - 1, n < 0 ? n + size : n));
    const [first, end] = [inside(entries.start, step > 0 ? 0 : size - 1), inside(entries.stop, step > 0 ? size : -1)];
    const out: number[] = [];
    for (let i = first; step > 0 ? i < end : i > end; i += step) out.push(i);
    return out;
  }
  // In a trace a number would become a value that nobody knows.
  const x = toNodeOf(name, typeof entries === "number" ? [entries] : entries as ArrayLike);
  const values = readElements(name, "positions", x.size === 0 ? ops.cast(x, "int64") : x);
  if (x.dtype === "bool") {
    if (values.length !== size) {
      throw new IndexError(`${name}: got a mask of ${values.length} for axis ${axis} with size ${size}`);
    }
    return values.flatMap((yes, i) => yes === true ? [i] : []);
  }
  return values.map((value) => {
    const n = checkInt(name, "a position", value);
    const end = size + extra;
    if (n < -size || n >= end) {
      throw new IndexError(`${name}: index ${n} is out of bounds for axis ${axis} with size ${size}`);
    }
    return n < 0 ? n + size : n;
  });
}

/**
 * The array without some entries of an axis.
 *
 * @param arr an array
 * @param obj which entries: a position, a list of them, `tnp.slice(…)` or a mask
 * @param axis along which axis; the array in one axis if absent
 * @returns a smaller array
 * @throws IndexError for a position outside, AxisError for an axis that is not there, TracerError for positions that are not known
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.delete([1, 2, 3, 4], [0, 2]).toArray()); // [ 2, 4 ]
 * ```
 * Source: numpy.delete
 */
function delete_(arr: ArrayLike, obj: Entries, ...args: Args<[axis: number | null], AxisOption>): NDArray {
  const options = keywords<AxisOption>("delete", ["axis"], args);
  const { x, axis } = axisOrFlat("delete", toNodeOf("delete", arr), options.axis, true);
  const size = x.shape[axis]!;
  const kept: Run[] = [];
  let start = 0;
  for (const gone of [...positionsOf("delete", obj, size, axis, 0).sort((p, q) => p - q), size]) {
    if (gone > start) kept.push({ start, length: gone - start, step: 1 });
    start = gone + 1;
  }
  return wrap(kept.length === 0 ? sliceAxis(x, axis, 0, 0) : takeRuns([x], axis, kept));
}

export { delete_ as delete };

/**
 * The array with values put in before some positions of an axis.
 *
 * @param arr an array
 * @param obj before which positions of the array as it is: one, a list of them, or `tnp.slice(…)`
 * @param values what is put in; broadcasts, and is cast to the array's dtype
 * @param axis along which axis; the array in one axis if absent
 * @returns a larger array
 * @throws IndexError for a position outside, ShapeError for values that do not fit, TracerError for positions that are not known
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.insert([1, 2, 3], 1, 9).toArray()); // [ 1, 9, 2, 3 ]
 * ```
 * Source: numpy.insert
 */
export function insert(
  arr: ArrayLike,
  obj: Entries,
  values: ArrayLike,
  ...args: Args<[axis: number | null], AxisOption>
): NDArray {
  const options = keywords<AxisOption>("insert", ["axis"], args);
  const { x, axis } = axisOrFlat("insert", toNodeOf("insert", arr), options.axis, true);
  const size = x.shape[axis]!;
  const places = positionsOf("insert", obj, size, axis, 1);
  let v = toTyped("insert", values, x.dtype, x.device);
  // One position takes values whose first axis is the inserted one's content, as an assignment to that index would.
  const single = typeof obj === "number";
  if (single && v.shape.length > 0) v = moveAxis(grown(v, x.shape.length), 0, axis);
  const count = single ? (v.shape.length === 0 ? 1 : v.shape[axis]!) : places.length;
  const shape = x.shape.with(axis, count);
  if (!sameShape(broadcastShapes("insert", v.shape, shape), shape)) {
    throw new ShapeError(`insert: cannot put values of shape ${formatShape(v.shape)} into ${formatShape(shape)}`);
  }
  // What is put in before the same position keeps its order.
  const order = places.map((at, i) => ({ at, start: size + i, length: single ? count : 1 })).sort((p, q) =>
    p.at - q.at
  );
  const runs: Run[] = [];
  let start = 0;
  for (const { at, ...added } of [...order, { at: size, start: 0, length: 0 }]) {
    if (at > start) runs.push({ start, length: at - start, step: 1 });
    if (added.length > 0) runs.push({ ...added, step: 1 });
    start = at;
  }
  return wrap(runs.length === 0 ? x : takeRuns([x, ops.broadcast(v, shape)], axis, runs));
}

/** A node with axes of length 1 in front, to a rank. */
function grown(x: Node, ndim: number): Node {
  return x.shape.length >= ndim ? x : ops.reshape(x, [...new Array<number>(ndim - x.shape.length).fill(1), ...x.shape]);
}
