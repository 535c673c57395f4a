/**
 * Rearranging elements: flips, rolls, repetitions, margins, differences.
 * @module
 */
import { ShapeError } from "../base/errors.ts";
import { dtypes } from "../base/dtype.ts";
import { resultType } from "../base/promote.ts";
import { checkShape, formatShape, normalizeAxes, normalizeAxis, sizeOf } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, type Axis, NDArray, wrap } from "../array.ts";
import { checkChoice, checkInt, checkInts, checkList, describe, keywords, within } from "./args.ts";
import { toInt64, toNodeOf, toTyped } from "./convert.ts";
import { readIntegers } from "./reading.ts";
import {
  addPosition,
  allAxes,
  axisOrFlat,
  flat,
  reverseAxis,
  type Run,
  sliceAxis,
  takeAxis,
  takeRuns,
} from "./moves.ts";
import { lit } from "./ufunc.ts";

/**
 * The elements in the opposite order along axes.
 *
 * @param m an array
 * @param axis an axis or several; all if absent
 * @returns an array of the shape of m
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.flip([[1, 2], [3, 4]], 1).toArray()); // [ [ 2, 1 ], [ 4, 3 ] ]
 * ```
 * Source: numpy.flip
 */
export function flip(m: ArrayLike, axis?: Axis | { readonly axis?: Axis }): NDArray {
  const given = keywords<{ axis?: Axis }>("flip", ["axis"], [axis]).axis;
  const x = toNodeOf("flip", m);
  return wrap(normalizeAxes("flip", given, x.shape.length).reduce(reverseAxis, x));
}

function flipAxis(name: string, m: ArrayLike, axis: number): NDArray {
  const x = toNodeOf(name, m);
  if (x.shape.length <= axis) {
    throw new ShapeError(`${name}: got an array of shape ${formatShape(x.shape)}, expected at least ${axis + 1} axes`);
  }
  return wrap(reverseAxis(x, axis));
}

/**
 * The elements in the opposite order along the second axis.
 *
 * @param m an array of at least two axes
 * @returns an array of the shape of m
 * @throws ShapeError for fewer axes
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.fliplr([[1, 2], [3, 4]]).toArray()); // [ [ 2, 1 ], [ 4, 3 ] ]
 * ```
 * Source: numpy.fliplr
 */
export function fliplr(m: ArrayLike): NDArray {
  return flipAxis("fliplr", m, 1);
}

/**
 * The elements in the opposite order along the first axis.
 *
 * @param m an array of at least one axis
 * @returns an array of the shape of m
 * @throws ShapeError for a 0-d array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.flipud([[1, 2], [3, 4]]).toArray()); // [ [ 3, 4 ], [ 1, 2 ] ]
 * ```
 * Source: numpy.flipud
 */
export function flipud(m: ArrayLike): NDArray {
  return flipAxis("flipud", m, 0);
}

/**
 * The array turned by quarters in the plane of two axes.
 *
 * @param m an array of at least two axes
 * @param k how many quarters, from the first axis of the plane towards the second
 * @param axes the plane; the first two axes if absent
 * @returns an array with the same elements
 * @throws ShapeError, AxisError for axes that make no plane
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.rot90([[1, 2], [3, 4]]).toArray()); // [ [ 2, 4 ], [ 1, 3 ] ]
 * ```
 * Source: numpy.rot90
 */
export function rot90(
  m: ArrayLike,
  ...args: Args<[k: number, axes: readonly number[]], { readonly k?: number; readonly axes?: readonly number[] }>
): NDArray {
  const { k = 1, axes = [0, 1] } = keywords<{ k?: number; axes?: readonly number[] }>("rot90", ["k", "axes"], args);
  const turns = ((checkInt("rot90", "k", k) % 4) + 4) % 4;
  const x = toNodeOf("rot90", m);
  if (checkList("rot90", "axes", axes).length !== 2) throw new ShapeError(`rot90: got ${axes.length} axes, expected 2`);
  const [i, j] = normalizeAxes("rot90", axes, x.shape.length) as [number, number];
  if (turns === 2) return wrap(reverseAxis(reverseAxis(x, i), j));
  const swap = (y: Node): Node => ops.transpose(y, allAxes(y).with(i, j).with(j, i));
  if (turns === 0) return wrap(x);
  return wrap(turns === 1 ? swap(reverseAxis(x, j)) : reverseAxis(swap(x), j));
}

function rollAxis(x: Node, shift: number, axis: number): Node {
  const n = x.shape[axis]!;
  const by = n === 0 ? 0 : ((shift % n) + n) % n;
  if (by === 0) return x;
  return ops.concatenate([sliceAxis(x, axis, n - by, by), sliceAxis(x, axis, 0, n - by)], axis);
}

/**
 * The elements moved along axes; what leaves at one end comes in at the other.
 *
 * @param a an array
 * @param shift by how many places, or a list for several axes
 * @param axis an axis or several; the array in one axis if absent
 * @returns an array of the shape of a
 * @throws AxisError for an axis that is not there, ShapeError for lists of different length
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.roll([1, 2, 3, 4], 1).toArray()); // [ 4, 1, 2, 3 ]
 * ```
 * Source: numpy.roll
 */
export function roll(
  a: ArrayLike,
  shift: number | readonly number[],
  axis?: Axis | { readonly axis?: Axis },
): NDArray {
  const given = keywords<{ axis?: Axis }>("roll", ["axis"], [axis]).axis ?? null;
  const x = toNodeOf("roll", a);
  const shifts = checkInts("roll", "shift", shift);
  if (given === null) {
    return wrap(ops.reshape(rollAxis(flat(x), shifts.reduce((p, q) => p + q, 0), 0), x.shape));
  }
  const axes = checkInts("roll", "axis", given).map((i) => normalizeAxis("roll", i, x.shape.length));
  const n = axes.length === 0 && shifts.length === 1 ? 0 : Math.max(shifts.length, axes.length);
  if (n > 0 && [shifts.length, axes.length].some((length) => length !== n && length !== 1)) {
    throw new ShapeError(`roll: got ${shifts.length} shifts and ${axes.length} axes, expected as many`);
  }
  let out = x;
  for (let i = 0; i < n; i++) out = rollAxis(out, shifts[i % shifts.length]!, axes[i % axes.length]!);
  return wrap(out);
}

/**
 * The array repeated as a whole.
 *
 * @param A an array
 * @param reps how often along each axis; missing axes come first
 * @returns an array
 * @throws ShapeError for negative numbers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.tile([1, 2], [2, 2]).toArray()); // [ [ 1, 2, 1, 2 ], [ 1, 2, 1, 2 ] ]
 * ```
 * Source: numpy.tile
 */
export function tile(A: ArrayLike, reps: number | readonly number[]): NDArray {
  const x = toNodeOf("tile", A);
  const list = checkInts("tile", "reps", reps);
  if (list.some((n) => n < 0)) throw new ShapeError(`tile: got reps ${formatShape(list)}, expected no negative number`);
  const ndim = Math.max(list.length, x.shape.length);
  const times = [...new Array<number>(ndim - list.length).fill(1), ...list];
  const shape = [...new Array<number>(ndim - x.shape.length).fill(1), ...x.shape];
  checkShape("tile", shape.map((n, i) => n * times[i]!));
  const spread = ops.reshape(x, shape.flatMap((n) => [1, n]));
  const repeated = ops.broadcast(spread, shape.flatMap((n, i) => [times[i]!, n]));
  return wrap(ops.reshape(repeated, shape.map((n, i) => n * times[i]!)));
}

/**
 * Each element several times.
 *
 * @param a an array
 * @param repeats how often: one number, or one for each position of the axis
 * @param axis along which axis; the array in one axis if absent
 * @returns an array
 * @throws ShapeError for negative numbers or a list that does not fit; TracerError for counts that are not known
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.repeat([1, 2], [2, 3]).toArray()); // [ 1, 1, 2, 2, 2 ]
 * ```
 * Source: numpy.repeat
 */
export function repeat(
  a: ArrayLike,
  repeats: ArrayLike,
  axis?: number | null | { readonly axis?: number | null },
): NDArray {
  const given = keywords<{ axis?: number | null }>("repeat", ["axis"], [axis]).axis;
  const { x, axis: at } = axisOrFlat("repeat", toNodeOf("repeat", a), given);
  const n = x.shape[at]!;
  const counts = typeof repeats === "number"
    ? [checkInt("repeat", "repeats", repeats)]
    : readIntegers("repeat", "repeats", toInt64("repeat", "repeats", repeats, x.device));
  if (counts.some((c) => c < 0)) throw new ShapeError("repeat: repeats must not be negative");
  if (counts.length === 1) {
    const times = counts[0]!;
    checkShape("repeat", x.shape.with(at, n * times));
    const wide = ops.broadcast(ops.expand(x, [at + 1]), x.shape.toSpliced(at + 1, 0, times));
    return wrap(ops.reshape(wide, x.shape.with(at, n * times)));
  }
  if (counts.length !== n) {
    throw new ShapeError(`repeat: got ${counts.length} repeats for an axis of length ${n}, expected 1 or ${n}`);
  }
  const indices = counts.flatMap((times, i) => new Array<number>(times).fill(i));
  return wrap(takeAxis(x, toTyped("repeat", indices, "int64", x.device), at));
}

/** How `pad` fills the margin. */
export type PadMode =
  | "constant"
  | "edge"
  | "reflect"
  | "symmetric"
  | "wrap"
  | "linear_ramp"
  | "maximum"
  | "minimum"
  | "mean"
  | "empty";

/** A width for all margins, or one (or a pair) for each axis. */
export type PadWidth = number | readonly number[] | readonly (readonly number[])[] | NDArray;

/** Keywords of `pad`. */
export interface PadOptions {
  /** What the border is filled with, by NumPy's name; `constant` if absent. */
  readonly mode?: PadMode | undefined;
  /** What `"constant"` fills with, 0 if absent: one number, or pairs as the widths. */
  readonly constant_values?: number | readonly number[] | readonly (readonly number[])[] | undefined;
  /** Where `"linear_ramp"` ends, 0 if absent. */
  readonly end_values?: number | readonly number[] | readonly (readonly number[])[] | undefined;
  /** `"odd"` mirrors at the edge's value too. */
  readonly reflect_type?: "even" | "odd" | undefined;
}

/** A number, or pairs that may be written short, as one pair an axis. */
function pairs<T>(name: string, what: string, given: unknown, ndim: number, check: (x: unknown) => T): [T, T][] {
  const list = Array.isArray(given) ? given : [given];
  const all = Array.from({ length: ndim });
  if (list.every((x) => !Array.isArray(x))) {
    const values = list.map(check);
    if (values.length === 1) return all.map(() => [values[0]!, values[0]!]);
    if (values.length === 2) return all.map(() => [values[0]!, values[1]!]);
  } else if (list.every(Array.isArray)) {
    const rows = (list as unknown[][]).map((row) => row.map(check));
    const row = (i: number): T[] => rows.length === 1 ? rows[0]! : rows[i]!;
    if ((rows.length === 1 || rows.length === ndim) && rows.every((r) => r.length === 1 || r.length === 2)) {
      return all.map((_, i) => [row(i)[0]!, row(i).at(-1)!]);
    }
  }
  throw new ShapeError(
    `${name}: ${what} does not fit ${ndim} axes, expected a number, a pair, or a pair for each axis`,
  );
}

/**
 * The array with margins around it.
 *
 * @param array an array
 * @param pad_width how wide: a number, `[before, after]`, or such a pair for each axis
 * @param mode `"constant"` (the default), `"edge"`, `"reflect"`, `"symmetric"`, `"wrap"`, `"linear_ramp"`, `"maximum"`, `"minimum"`, `"mean"` or `"empty"`
 * @returns a larger array
 * @throws ShapeError for widths that do not fit or are negative
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.pad([1, 2], [1, 2], { constant_values: 9 }).toArray()); // [ 9, 1, 2, 9, 9 ]
 * ```
 * Source: numpy.pad
 */
export function pad(array: ArrayLike, pad_width: PadWidth, ...args: Args<[mode: PadMode], PadOptions>): NDArray {
  const names = ["mode", "constant_values", "end_values", "reflect_type"] as const;
  const options = keywords<PadOptions>("pad", names, args);
  const mode = checkChoice("pad", "mode", options.mode ?? "constant", padModes);
  const x = toNodeOf("pad", array);
  const given = pad_width instanceof NDArray ? pad_width.toArray() : pad_width;
  const widths = pairs("pad", "pad_width", given, x.shape.length, (n) => checkInt("pad", "pad_width", n));
  if (widths.flat().some((n) => n < 0)) throw new ShapeError("pad: pad_width must not be negative");
  if (mode === "constant" || mode === "empty") return wrap(padConstant(x, widths, options.constant_values ?? 0));
  const ends = pairs("pad", "end_values", options.end_values ?? 0, x.shape.length, checkNumber);
  let out = x;
  widths.forEach(([before, after], axis) => {
    if (before + after === 0) return;
    out = mode === "linear_ramp"
      ? ramp(out, axis, before, after, ends[axis]!)
      : mode === "maximum" || mode === "minimum" || mode === "mean"
      ? margin(out, axis, before, after, mode)
      : mirrored(out, axis, before, after, mode, options.reflect_type === "odd");
  });
  return wrap(out);
}

const padModes = [
  "constant",
  "edge",
  "reflect",
  "symmetric",
  "wrap",
  "linear_ramp",
  "maximum",
  "minimum",
  "mean",
  "empty",
] as const satisfies readonly PadMode[];

function checkNumber(x: unknown): number {
  if (typeof x !== "number" && typeof x !== "boolean") {
    throw new TypeError(`pad: got ${describe(x)}, expected a number`);
  }
  return Number(x);
}

function padConstant(x: Node, widths: readonly [number, number][], values: unknown): Node {
  if (widths.every(([before, after]) => before + after === 0)) return x;
  const shape = x.shape.map((n, i) => n + widths[i]![0] + widths[i]![1]);
  const padded = ops.pad(x, shape, widths.map(([before]) => before), shape.map(() => 1));
  const fills = pairs("pad", "constant_values", values, x.shape.length, checkNumber);
  if (fills.flat().every((v) => v === 0)) return padded;
  // NumPy fills axis by axis, so the last axis owns the corners.
  let out = padded;
  fills.forEach(([low, high], axis) => {
    const [before] = widths[axis]!;
    const at = ops.iota(shape, axis, "int64", x.device);
    out = ops.where(ops.less(at, lit(before, at)), lit(low, x), out);
    out = ops.where(ops.less(at, lit(before + x.shape[axis]!, at)), out, lit(high, x));
  });
  return out;
}

/** Which element of an axis of length n stands at position i of the endless mirrored, wrapped or clamped axis. */
function source(i: number, n: number, mode: PadMode): number {
  if (mode === "edge") return Math.max(0, Math.min(n - 1, i));
  if (mode === "wrap") return ((i % n) + n) % n;
  if (mode === "reflect" && n === 1) return 0;
  const period = mode === "reflect" ? 2 * n - 2 : 2 * n;
  const p = ((i % period) + period) % period;
  return p < n ? p : (mode === "reflect" ? period - p : period - 1 - p);
}

function mirrored(x: Node, axis: number, before: number, after: number, mode: PadMode, odd: boolean): Node {
  const n = x.shape[axis]!;
  if (n === 0) throw new ShapeError(`pad: cannot extend the empty axis ${axis} with mode "${mode}"`);
  const runs: Run[] = [];
  for (let i = -before; i < 0; i++) addPosition(runs, source(i, n, mode));
  runs.push({ start: 0, length: n, step: 1 });
  const rest: Run[] = [];
  for (let i = n; i < n + after; i++) addPosition(rest, source(i, n, mode));
  const out = takeRuns([x], axis, [...runs, ...rest]);
  if (!odd || (mode !== "reflect" && mode !== "symmetric")) return out;
  // Each mirroring turns the values about the edge: 2 * edge - value.
  const turned = (i: number): { sign: number; low: number; high: number } => {
    let [sign, low, high, at] = [1, 0, 0, i];
    while (n > 1 || mode === "symmetric" ? at < 0 || at >= n : at !== 0) {
      const left = at < 0;
      if (left) low += 2 * sign;
      else high += 2 * sign;
      sign = -sign;
      const shift = mode === "symmetric" ? 1 : 0;
      at = left ? -at - shift : 2 * (n - 1) - at + shift;
    }
    return { sign, low, high };
  };
  const parts = Array.from({ length: before + n + after }, (_, i) => turned(i - before));
  const along = (values: number[]): Node =>
    ops.reshape(toTyped("pad", values, x.dtype, x.device), x.shape.map((_, i) => i === axis ? values.length : 1));
  const edges = ops.add(
    ops.mul(sliceAxis(x, axis, 0, 1), along(parts.map((p) => p.low))),
    ops.mul(sliceAxis(x, axis, n - 1, 1), along(parts.map((p) => p.high))),
  );
  return ops.add(ops.mul(out, along(parts.map((p) => p.sign))), edges);
}

function ramp(x: Node, axis: number, before: number, after: number, ends: readonly [number, number]): Node {
  const n = x.shape[axis]!;
  if (n === 0) throw new ShapeError(`pad: cannot extend the empty axis ${axis} with mode "linear_ramp"`);
  const whole = dtypes[x.dtype].kind !== "f" && dtypes[x.dtype].kind !== "c";
  const side = (edge: Node, length: number, end: number, rising: boolean): Node => {
    const shape = x.shape.with(axis, length);
    const e = ops.cast(edge, whole ? "float64" : x.dtype);
    const i = ops.cast(ops.iota(shape, axis, "int64", x.device), e.dtype);
    const step = ops.div(ops.sub(e, lit(end, e)), lit(length, e));
    const steps = rising ? i : ops.sub(lit(length - 1, e), i);
    const value = ops.add(ops.mul(steps, step), lit(end, e));
    return ops.cast(whole && x.dtype !== "bool" ? ops.floor(value) : value, x.dtype);
  };
  return ops.concatenate([
    ...(before > 0 ? [side(sliceAxis(x, axis, 0, 1), before, ends[0], true)] : []),
    x,
    ...(after > 0 ? [side(sliceAxis(x, axis, n - 1, 1), after, ends[1], false)] : []),
  ], axis);
}

function margin(x: Node, axis: number, before: number, after: number, mode: "maximum" | "minimum" | "mean"): Node {
  const n = x.shape[axis]!;
  if (n === 0) throw new ShapeError(`pad: cannot extend the empty axis ${axis} with mode "${mode}"`);
  let value: Node;
  if (mode === "maximum") value = ops.max(x, [axis]);
  else if (mode === "minimum") value = ops.min(x, [axis]);
  else {
    const whole = dtypes[x.dtype].kind !== "f" && dtypes[x.dtype].kind !== "c";
    const work = ops.cast(x, whole ? "float64" : x.dtype);
    const mean = ops.div(ops.sum(work, [axis]), lit(n, work));
    value = ops.cast(whole && x.dtype !== "bool" ? ops.rint(mean) : mean, x.dtype);
  }
  const kept = ops.expand(value, [axis]);
  const side = (length: number): Node[] => length === 0 ? [] : [ops.broadcast(kept, x.shape.with(axis, length))];
  return ops.concatenate([...side(before), x, ...side(after)], axis);
}

/** Keywords of `diff`. */
export interface DiffOptions {
  /** How often differences are taken; 1 if absent. */
  readonly n?: number | undefined;
  /** The axis to take differences along; -1 if absent. */
  readonly axis?: number | undefined;
  /** Values put in front of the array first. */
  readonly prepend?: ArrayLike | undefined;
  /** Values put after the array first. */
  readonly append?: ArrayLike | undefined;
}

/**
 * The differences of neighbours along an axis.
 *
 * @param a an array
 * @param n how often differences are taken
 * @param axis along which axis, the last if absent
 * @returns an array that is n shorter along the axis
 * @throws ShapeError for a 0-d array or a negative n
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.diff([1, 4, 9, 16]).toArray()); // [ 3, 5, 7 ]
 * ```
 * Source: numpy.diff
 */
export function diff(a: ArrayLike, ...args: Args<[n: number, axis: number], DiffOptions>): NDArray {
  const options = keywords<DiffOptions>("diff", ["n", "axis", "prepend", "append"], args);
  const times = checkInt("diff", "n", options.n ?? 1);
  if (times < 0) throw new ShapeError(`diff: got order ${times}, expected 0 or more`);
  let x = toNodeOf("diff", a);
  if (times === 0) return wrap(x);
  if (x.shape.length === 0) throw new ShapeError("diff: got a 0-d array, expected at least one axis");
  const axis = normalizeAxis("diff", options.axis ?? -1, x.shape.length);
  const beside = (value: ArrayLike | undefined, before: boolean): void => {
    if (value === undefined) return;
    const given = toNodeOf("diff", value, x.device);
    const dtype = resultType("diff", [x, given]);
    const [own, other] = [ops.cast(x, dtype), ops.cast(given, dtype)];
    const part = other.shape.length === 0 ? ops.broadcast(other, x.shape.with(axis, 1)) : other;
    x = within("diff", () => ops.concatenate(before ? [part, own] : [own, part], axis));
  };
  beside(options.prepend, true);
  beside(options.append, false);
  for (let i = 0; i < times && x.shape[axis]! > 0; i++) {
    const length = x.shape[axis]! - 1;
    const [next, last] = [sliceAxis(x, axis, 1, length), sliceAxis(x, axis, 0, length)];
    x = x.dtype === "bool" ? ops.not_equal(next, last) : ops.sub(next, last);
  }
  return wrap(x);
}

/**
 * The differences of neighbours in the flattened array.
 *
 * @param ary an array
 * @returns an array of one axis
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ediff1d([1, 2, 4, 7]).toArray()); // [ 1, 2, 3 ]
 * ```
 * Source: numpy.ediff1d
 */
export function ediff1d(ary: ArrayLike): NDArray {
  const x = flat(toNodeOf("ediff1d", ary));
  const length = Math.max(0, x.size - 1);
  return within(
    "ediff1d",
    () => wrap(ops.sub(sliceAxis(x, 0, Math.min(1, x.size), length), sliceAxis(x, 0, 0, length))),
  );
}

/**
 * The elements in another shape, repeated from the start where there are too few.
 *
 * @param a an array
 * @param new_shape the new shape
 * @returns an array of that shape; zeros if a has no elements
 * @throws ShapeError for negative lengths
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.resize([1, 2, 3], [2, 2]).toArray()); // [ [ 1, 2 ], [ 3, 1 ] ]
 * ```
 * Source: numpy.resize
 */
export function resize(a: ArrayLike, new_shape: number | readonly number[]): NDArray {
  const x = flat(toNodeOf("resize", a));
  const shape = checkInts("resize", "new_shape", new_shape);
  checkShape("resize", shape);
  const size = sizeOf(shape);
  if (x.size === 0) return wrap(ops.broadcast(lit(0, x), shape));
  const whole = Math.floor(size / x.size);
  const copies = ops.reshape(ops.broadcast(x, [whole, x.size]), [whole * x.size]);
  return wrap(ops.reshape(ops.concatenate([copies, sliceAxis(x, 0, 0, size % x.size)], 0), shape));
}
