/**
 * Moves of axes and elements on nodes, which several topics share.
 * @module
 */
import { axesOf, formatShape, normalizeAxis } from "../base/shape.ts";
import { ShapeError } from "../base/errors.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { toTyped } from "./convert.ts";

/** All axes of a node. */
export function allAxes(x: Node): number[] {
  return axesOf(x.shape.length);
}

/** A node with one axis moved to another place; both counted from 0. */
export function moveAxis(x: Node, from: number, to: number): Node {
  if (from === to) return x;
  const order = allAxes(x);
  order.splice(from, 1);
  order.splice(to, 0, from);
  return ops.transpose(x, order);
}

/** The elements of a node in one axis. */
export function flat(x: Node): Node {
  return ops.reshape(x, [x.size]);
}

/** Elements `start`, `start + step`, … along one axis, `length` of them. */
export function sliceAxis(x: Node, axis: number, start: number, length: number, step = 1): Node {
  const starts = x.shape.map((_, i) => i === axis ? start : 0);
  const steps = x.shape.map((_, i) => i === axis ? step : 1);
  // Nothing to read: any start is as good as one inside.
  if (length === 0) return ops.slice(x, starts.map(() => 0), x.shape.with(axis, 0), steps.map(() => 1));
  return ops.slice(x, starts, x.shape.with(axis, length), steps);
}

/** The elements of one axis in the opposite order. */
export function reverseAxis(x: Node, axis: number): Node {
  const length = x.shape[axis]!;
  return length <= 1 ? x : sliceAxis(x, axis, length - 1, length, -1);
}

/** The part of a node at one position of an axis, without the axis. */
export function pick(x: Node, axis: number, position: number): Node {
  return ops.reshape(sliceAxis(x, axis, position, 1), x.shape.toSpliced(axis, 1));
}

/** Entries of one axis at positions of any shape, which take the axis's place. */
export function takeAxis(x: Node, indices: Node, axis: number): Node {
  const out = ops.gather(x, [indices], [axis]);
  if (axis === 0) return out;
  const rank = indices.shape.length;
  const rest = Array.from({ length: x.shape.length - 1 }, (_, i) => rank + i);
  const own = Array.from({ length: rank }, (_, i) => i);
  return ops.transpose(out, [...rest.slice(0, axis), ...own, ...rest.slice(axis)]);
}

/** Positions `start`, `start + step`, … of an axis, `length` of them. */
export interface Run {
  readonly start: number;
  length: number;
  step: number;
}

/** The most runs that are cut out of an axis; more are gathered position by position. */
const MOST_RUNS = 16;

/** Adds a position to the last of some runs, or as a new one. */
export function addPosition(runs: Run[], at: number): void {
  const last = runs.at(-1);
  const step = last === undefined ? NaN : at - (last.start + (last.length - 1) * last.step);
  if (last !== undefined && Math.abs(step) <= 1 && (last.length === 1 || last.step === step)) {
    last.length++;
    last.step = step;
  } else {
    runs.push({ start: at, length: 1, step: 1 });
  }
}

/**
 * Entries of one axis by runs of positions, whose steps are 1, 0 or -1.
 *
 * @param sources what positions are counted in, one after the other; a run lies in one of them
 */
export function takeRuns(sources: readonly Node[], axis: number, runs: readonly Run[]): Node {
  if (runs.length > MOST_RUNS) {
    const positions = new Float64Array(runs.reduce((sum, { length }) => sum + length, 0));
    let n = 0;
    for (const { start, length, step } of runs) for (let i = 0; i < length; i++) positions[n++] = start + i * step;
    const all = ops.concatenate(sources, axis);
    return takeAxis(all, ops.cast(toTyped("take", positions, "float64", all.device), "int64"), axis);
  }
  const cut = ({ start, length, step }: Run): Node => {
    let i = 0;
    for (; start >= sources[i]!.shape[axis]!; i++) start -= sources[i]!.shape[axis]!;
    const x = sources[i]!;
    if (step !== 0) return sliceAxis(x, axis, start, length, step);
    return ops.broadcast(sliceAxis(x, axis, start, 1), x.shape.with(axis, length));
  };
  return ops.concatenate(runs.map(cut), axis);
}

/** 0, 1, …, n - 1 as int64 along the only axis. */
export function range(n: number, like: Node): Node {
  return ops.iota([n], 0, "int64", like.device);
}

/** Whether an axis is one that NumPy lets a 0-d array have in most functions, although there is none. */
export function isScalarAxis(x: Node, axis: unknown): boolean {
  return x.shape.length === 0 && (axis === 0 || axis === -1);
}

/** An axis counted from 0, or the whole array in one axis for null. A 0-d array has one axis, except where NumPy is `strict`. */
export function axisOrFlat(
  name: string,
  x: Node,
  axis: number | null | undefined,
  strict = false,
): { x: Node; axis: number } {
  if (axis === null || axis === undefined || (!strict && isScalarAxis(x, axis))) return { x: flat(x), axis: 0 };
  return { x, axis: normalizeAxis(name, axis, x.shape.length) };
}

/** A node for a place of `ndim` axes: as in NumPy's assignments, more axes may come first if their length is 1. */
export function withoutLeading(x: Node, ndim: number): Node {
  const extra = x.shape.length - ndim;
  return extra > 0 && x.shape.slice(0, extra).every((n) => n === 1) ? ops.reshape(x, x.shape.slice(extra)) : x;
}

/** Checks that an array has at least some axes. @throws ShapeError */
export function checkRank(name: string, x: Node, least: number): void {
  if (x.shape.length < least) {
    throw new ShapeError(`${name}: got an array of shape ${formatShape(x.shape)}, expected at least ${least} axes`);
  }
}
