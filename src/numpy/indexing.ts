/**
 * Indexing as NumPy does it: integers, slices, new axes, masks and integer arrays, for reading (`at`) and for copies with other
 * values (`with`).
 * @module
 */
import { isInteger } from "../base/dtype.ts";
import { IndexError, ShapeError } from "../base/errors.ts";
import { broadcastShapes, formatShape, sameShape, sizeOf } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { untraced } from "../transform/tracing.ts";
import { type ArrayLike, type Index, NDArray, nodeOf, type Slice, type WithOptions, wrap } from "../array.ts";
import { checkChoice, describe, keywords } from "./args.ts";
import { checkIndices } from "./bounds.ts";
import { asNode, fromList, toNodeOf, toOperand } from "./convert.ts";
import { takeAxis, withoutLeading } from "./moves.ts";
import { larger, smaller } from "./rounding.ts";
import { flatPositions } from "./searching.ts";
import { number } from "./ufunc.ts";

/**
 * A slice of an axis, as `start:stop:step` in Python.
 *
 * @param args `stop`, or `start`, `stop` and perhaps `step`; null leaves one open
 * @returns an entry of an index
 * @throws TypeError for what is no integer, IndexError for a step of 0
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.arange(10).at(tnp.slice(8, 2, -3)).toArray()); // [ 8, 5 ]
 * ```
 * Source: Python's slice
 */
export function slice(...args: readonly (number | null)[]): Slice {
  if (args.length < 1 || args.length > 3) throw new TypeError(`slice: got ${args.length} arguments, expected 1 to 3`);
  for (const x of args) {
    if (x !== null && !Number.isInteger(x)) {
      throw new TypeError(`slice: got ${describe(x)}, expected an integer or null`);
    }
  }
  const [start = null, stop = null, step = null] = args.length === 1 ? [null, args[0]] : args;
  if (step === 0) throw new IndexError("slice: step must not be 0");
  return { start, stop, step, kind: "slice" };
}

/** One entry of an index, understood. */
type Entry =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "newaxis" }
  | { readonly kind: "ellipsis" }
  | Slice
  | { readonly kind: "mask"; readonly node: Node }
  | { readonly kind: "array"; readonly node: Node };

const everything: Slice = { kind: "slice", start: null, stop: null, step: null };

/** Texts that were understood before. */
const known = new Map<string, Entry>();

function fromText(name: string, text: string): Entry {
  let entry = known.get(text);
  if (entry === undefined) {
    if (known.size >= 1000) known.clear();
    known.set(text, entry = parseText(name, text));
  }
  return entry;
}

/** A slice or an ellipsis from its text. */
function parseText(name: string, text: string): Entry {
  const trimmed = text.trim();
  if (trimmed === "..." || trimmed === "…") return { kind: "ellipsis" };
  const parts = trimmed.split(":").map((part) => part.trim());
  if (parts.length < 2 || parts.length > 3 || parts.some((part) => !/^([+-]?\d+)?$/.test(part))) {
    throw new IndexError(`${name}: got index ${JSON.stringify(text)}, expected a slice such as "1:3" or "..."`);
  }
  const [start = null, stop = null, step = null] = parts.map((part) => part === "" ? null : Number(part));
  if (step === 0) throw new IndexError(`${name}: the step of slice "${text}" must not be 0`);
  return { kind: "slice", start, stop, step };
}

function isSlice(x: object): x is Slice {
  return "kind" in x && x.kind === "slice";
}

function toEntry(name: string, x: Index, like: Node): Entry {
  if (typeof x === "number" || typeof x === "bigint") {
    if (typeof x === "number" && !Number.isInteger(x)) {
      throw new IndexError(`${name}: got index ${x}, expected an integer, a slice, a mask or integers`);
    }
    return { kind: "int", value: Number(x) };
  }
  if (typeof x === "string") return fromText(name, x);
  if (x === null) return { kind: "newaxis" };
  if (typeof x === "boolean") return { kind: "mask", node: untraced(() => ops.scalar(x, "bool", like.device)) };
  // Whether an array has a property is asked of a proxy.
  if (typeof x === "object" && !(x instanceof NDArray) && isSlice(x)) return x;
  if (x === undefined) {
    throw new IndexError(`${name}: got index undefined, expected an integer, a slice, a mask or integers`);
  }
  const node = Array.isArray(x)
    ? fromList(name, x, sizeOfList(x) === 0 ? "int64" : null, like.device)
    : toNodeOf(name, x as ArrayLike, like.device);
  if (node.dtype === "bool") return { kind: "mask", node };
  if (!isInteger(node.dtype)) {
    throw new IndexError(`${name}: arrays used as indices must be of integers or booleans, got ${node.dtype}`);
  }
  return { kind: "array", node };
}

function sizeOfList(x: readonly unknown[]): number {
  return x.length === 0 ? 0 : Array.isArray(x[0]) ? sizeOfList(x[0]) : 1;
}

/** What an index does to one axis of the array, or to none. */
type Part =
  | { readonly kind: "int"; readonly axis: number; readonly value: number }
  | {
    readonly kind: "slice";
    readonly axis: number;
    readonly start: number;
    readonly length: number;
    readonly step: number;
  }
  | { readonly kind: "newaxis" }
  | { readonly kind: "array"; readonly axis: number; readonly node: Node }
  /** An ellipsis that spans no axis, which still parts index arrays. */
  | { readonly kind: "gap" }
  /** A scalar boolean: one more axis of length 1 or 0. */
  | { readonly kind: "truth"; readonly node: Node };

/** Python's rule for slices: where it starts, how many elements, how far apart. */
function resolveSlice({ start, stop, step }: Slice, size: number): { start: number; length: number; step: number } {
  const by = step ?? 1, low = by > 0 ? 0 : -1, high = by > 0 ? size : size - 1;
  const first = start === null ? by > 0 ? low : high : Math.max(low, Math.min(high, start < 0 ? start + size : start));
  const end = stop === null ? by > 0 ? high : low : Math.max(low, Math.min(high, stop < 0 ? stop + size : stop));
  const length = Math.max(0, Math.ceil((end - first) / by));
  return { start: length === 0 ? 0 : first, length, step: by };
}

/** Entries matched with the axes of a node; axes that share a mask are one in what comes back. */
function resolve(name: string, index: readonly Index[], x: Node): { x: Node; parts: Part[] } {
  const ndim = x.shape.length;
  const entries = index.map((entry) => toEntry(name, entry, x));
  const uses = (entry: Entry): number =>
    entry.kind === "newaxis" || entry.kind === "ellipsis" ? 0 : entry.kind === "mask" ? entry.node.shape.length : 1;
  const used = entries.reduce((n, entry) => n + uses(entry), 0);
  if (used > ndim) {
    throw new IndexError(`${name}: too many indices: the array has ${ndim} axes, but ${used} were indexed`);
  }
  const dots = entries.filter((entry) => entry.kind === "ellipsis").length;
  if (dots > 1) throw new IndexError(`${name}: an index can only have a single ellipsis ("...")`);
  const rest = new Array<Slice>(ndim - used).fill(everything);
  const filled = dots === 1
    ? entries.flatMap((entry): Entry[] => entry.kind === "ellipsis" && rest.length > 0 ? rest : [entry])
    : [...entries, ...rest];
  const parts: Part[] = [], shape: number[] = [];
  let axis = 0;
  for (const entry of filled) {
    switch (entry.kind) {
      case "newaxis":
        parts.push({ kind: "newaxis" });
        break;
      case "int": {
        const size = x.shape[axis]!;
        const { value } = entry;
        if (value < -size || value >= size) {
          throw new IndexError(`${name}: index ${value} is out of bounds for axis ${axis} with size ${size}`);
        }
        parts.push({ kind: "int", axis: shape.length, value: value < 0 ? value + size : value });
        shape.push(size);
        axis++;
        break;
      }
      case "slice":
        parts.push({ kind: "slice", axis: shape.length, ...resolveSlice(entry, x.shape[axis]!) });
        shape.push(x.shape[axis++]!);
        break;
      case "array": {
        const node = ops.cast(entry.node, "int64");
        checkIndices(name, node, axis, x.shape[axis]!);
        parts.push({ kind: "array", axis: shape.length, node });
        shape.push(x.shape[axis++]!);
        break;
      }
      case "mask": {
        const { node } = entry;
        node.shape.forEach((n, d) => {
          if (n !== x.shape[axis + d]) {
            throw new IndexError(
              `${name}: boolean index of shape ${formatShape(node.shape)} does not match axis ${axis + d} with size ${
                x.shape[axis + d]
              }`,
            );
          }
        });
        if (node.shape.length === 0) {
          parts.push({ kind: "truth", node: flatPositions(name, node) });
        } else {
          parts.push({ kind: "array", axis: shape.length, node: flatPositions(name, node) });
          shape.push(node.size);
          axis += node.shape.length;
        }
        break;
      }
      case "ellipsis":
        parts.push({ kind: "gap" });
        break;
    }
  }
  return { x: shape.length === ndim ? x : ops.reshape(x, shape), parts };
}

const isAdvanced = (part: Part): boolean => part.kind === "array" || part.kind === "truth";

/** The common shape of the index arrays, and where its axes lie among the others of the result. */
function advancedShape(name: string, parts: readonly Part[]): { shape: readonly number[]; place: number } | null {
  const nodes = parts.filter((part) => part.kind === "array" || part.kind === "truth").map((part) => part.node);
  if (nodes.length === 0) return null;
  let shape: readonly number[];
  try {
    shape = broadcastShapes(name, ...nodes.map((node) => node.shape));
  } catch {
    const shapes = nodes.map((node) => formatShape(node.shape)).join(" ");
    throw new IndexError(`${name}: index arrays could not be broadcast together with shapes ${shapes}`);
  }
  // Integers beside index arrays count as such: only if all of them are neighbours do their axes stay in place.
  const special = parts.map((part) => part.kind === "int" || isAdvanced(part));
  const [first, last] = [special.indexOf(true), special.lastIndexOf(true)];
  const together = special.slice(first, last + 1).every((yes) => yes);
  const place = together ? parts.slice(0, first).filter(({ kind }) => kind !== "int" && kind !== "gap").length : 0;
  return { shape, place };
}

/** The array with slices taken, integers' axes dropped and new axes put in; index arrays' axes are left whole. */
function sliced(x: Node, parts: readonly Part[]): { out: Node; axes: number[] } {
  const starts = x.shape.map(() => 0), steps = x.shape.map(() => 1), shape = [...x.shape];
  const kept: number[] = [];
  const axes: number[] = [];
  for (const part of parts) {
    switch (part.kind) {
      case "int":
        starts[part.axis] = part.value;
        shape[part.axis] = 1;
        break;
      case "slice":
        starts[part.axis] = part.start;
        steps[part.axis] = part.length <= 1 ? 1 : part.step;
        shape[part.axis] = part.length;
        kept.push(part.length);
        break;
      case "newaxis":
        kept.push(1);
        break;
      case "array":
        axes.push(kept.length);
        kept.push(x.shape[part.axis]!);
        break;
    }
  }
  const empty = sizeOf(shape) === 0;
  const taken = ops.slice(x, empty ? starts.map((s, i) => shape[i] === 0 ? 0 : s) : starts, shape, steps);
  return { out: ops.reshape(taken, kept), axes };
}

/** What integers and slices select, one for each of the first axes; null where the general way must look. */
function atBasic(x: Node, index: readonly Index[]): Node | null {
  const rank = x.shape.length, count = index.length;
  if (count === 0 || count > rank || x.size === 0) return null;
  const starts = new Array<number>(rank).fill(0), steps = new Array<number>(rank).fill(1), lengths = [...x.shape];
  const shape: number[] = [];
  for (let axis = 0; axis < count; axis++) {
    const i = index[axis], n = lengths[axis]!;
    if (typeof i === "number") {
      if (!Number.isInteger(i) || i < -n || i >= n) return null;
      starts[axis] = i < 0 ? i + n : i;
      lengths[axis] = 1;
      continue;
    }
    const entry = typeof i === "string" ? known.get(i) : undefined;
    if (entry === undefined || entry.kind !== "slice") return null;
    const { start, length, step } = resolveSlice(entry, n);
    if (length === 0) return null;
    starts[axis] = start;
    if (length > 1) steps[axis] = step;
    lengths[axis] = length;
    shape.push(length);
  }
  for (let axis = count; axis < rank; axis++) shape.push(lengths[axis]!);
  return ops.reshape(ops.slice(x, starts, lengths, steps), shape);
}

/** What one array of integers selects along the first axis; null where the general way must look. */
function atArray(name: string, x: Node, index: readonly Index[]): Node | null {
  const i = index[0];
  if (index.length !== 1 || !(i instanceof NDArray) || x.shape.length === 0) return null;
  const node = nodeOf(i);
  if (!isInteger(node.dtype)) return null;
  const positions = ops.cast(node, "int64");
  checkIndices(name, positions, 0, x.shape[0]!);
  return takeAxis(x, positions, 0);
}

/** The part of a node that an index selects. */
export function atNode(name: string, array: Node, index: readonly Index[]): Node {
  const quick = atBasic(array, index) ?? atArray(name, array, index);
  if (quick !== null) return quick;
  const { x, parts } = resolve(name, index, array);
  const { out, axes } = sliced(x, parts);
  const advanced = advancedShape(name, parts);
  if (advanced === null) return out;
  const { shape, place } = advanced;
  const rest = out.shape.filter((_, i) => !axes.includes(i));
  const nodes = parts.filter((part) => part.kind === "array").map((part) => part.node);
  if (axes.length === 1 && sameShape(nodes[0]!.shape, shape) && axes[0] === place) {
    return takeAxis(out, nodes[0]!, place);
  }
  const gathered = axes.length === 0
    ? ops.broadcast(out, [...shape, ...rest])
    : ops.gather(out, nodes.map((node) => ops.broadcast(node, shape)), axes);
  if (place === 0) return gathered;
  const own = shape.map((_, i) => i);
  const others = rest.map((_, i) => shape.length + i);
  return ops.transpose(gathered, [...others.slice(0, place), ...own, ...others.slice(place)]);
}

/** `x.at(...index)`. */
export function at(x: NDArray, index: readonly Index[]): NDArray {
  return wrap(atNode("at", nodeOf(x), index));
}

const modes = ["set", "add", "min", "max", "multiply"] as const;
type Mode = typeof modes[number];

/** A value fitted to the shape of a selection: leading axes of length 1 may go. */
function fitted(value: Node, shape: readonly number[]): Node {
  const v = withoutLeading(value, shape.length);
  const skip = shape.length - v.shape.length;
  if (skip < 0 || v.shape.some((n, i) => n !== 1 && n !== shape[skip + i])) {
    throw new ShapeError(
      `with: cannot put values of shape ${formatShape(value.shape)} into a selection of ${formatShape(shape)}`,
    );
  }
  return ops.broadcast(v, shape);
}

function combined(mode: Mode, old: Node, value: Node): Node {
  switch (mode) {
    case "set":
      return value;
    case "add":
      return ops.add(old, value);
    case "multiply":
      return ops.mul(old, value);
    case "min":
      return smaller(old, value);
    case "max":
      return larger(old, value);
  }
}

/**
 * Values of a selection by slices and integers, which broadcast over the whole array; what lies outside is not looked at. Along axes
 * where they have length 1 they are repeated rather than put in their place, so that loops over positions do the same in every step.
 */
function laidOver(
  x: Node,
  value: Node,
  lengths: readonly number[],
  starts: readonly number[],
  steps: readonly number[],
) {
  if (value.shape.length === 0) return value;
  const shape = x.shape.map((n, d) => lengths[d] === 1 ? 1 : n);
  return ops.pad(ops.reshape(value, lengths), shape, starts.map((s, d) => shape[d] === 1 ? 0 : s), steps);
}

/** Slices and integers only: the values are laid over the array, which picks by position. */
function withSlices(x: Node, parts: readonly Part[], value: Node, mode: Mode): Node {
  const starts = x.shape.map(() => 0), steps = x.shape.map(() => 1), lengths = x.shape.map(() => 1);
  for (const part of parts) {
    if (part.kind === "int") starts[part.axis] = part.value;
    if (part.kind !== "slice") continue;
    starts[part.axis] = part.start;
    steps[part.axis] = part.length <= 1 ? 1 : part.step;
    lengths[part.axis] = part.length;
  }
  if (sizeOf(lengths) === 0) return x;
  const laid = laidOver(x, value, lengths, starts, steps);
  let inside: Node | null = null;
  const and = (test: Node): void => {
    inside = inside === null ? test : ops.and(inside, test);
  };
  x.shape.forEach((n, axis) => {
    const [start, step, length] = [starts[axis]!, steps[axis]!, lengths[axis]!];
    if (length === n && Math.abs(step) === 1) return;
    // Vectors compare twice as many positions of 32 bits.
    const dtype = n < 2 ** 31 ? "int32" : "int64";
    const position = ops.iota(x.shape.map((m, d) => d === axis ? m : 1), axis, dtype, x.device);
    const int = (v: number): Node => ops.scalar(dtype === "int32" ? v : BigInt(v), dtype, x.device);
    const low = Math.min(start, start + (length - 1) * step);
    const high = Math.max(start, start + (length - 1) * step);
    if (length === 1) and(ops.equal(position, int(low)));
    else {
      if (low > 0) and(ops.less_equal(int(low), position));
      if (high < n - 1) and(ops.less_equal(position, int(high)));
      if (Math.abs(step) > 1) {
        and(ops.equal(ops.mod(ops.sub(position, int(low)), int(Math.abs(step))), int(0)));
      }
    }
  });
  const changed = combined(mode, x, laid);
  return inside === null ? ops.broadcast(changed, x.shape) : ops.where(inside, changed, x);
}

/** Index arrays among the parts: slices become positions too, and everything is scattered. */
function withArrays(
  x: Node,
  parts: readonly Part[],
  value: Node,
  mode: Mode,
  shape: readonly number[],
  place: number,
): Node {
  // The value's axes: those of the index arrays in one block, the others in the order of the index.
  const others = parts.filter((part) => part.kind === "slice" || part.kind === "newaxis");
  const axisOf = (i: number): number => i < place ? i : i + shape.length;
  const whole = (part: Part): boolean => part.kind === "slice" && part.step === 1 && part.length === x.shape[part.axis];
  const picked: { axis: number; length: number; start: number; step: number; at: number }[] = [];
  const full: { axis: number; at: number }[] = [];
  const unit: number[] = [];
  others.forEach((part, i) => {
    if (part.kind === "newaxis") unit.push(axisOf(i));
    else if (whole(part)) full.push({ axis: part.axis, at: axisOf(i) });
    else picked.push({ axis: part.axis, length: part.length, start: part.start, step: part.step, at: axisOf(i) });
  });
  full.sort((p, q) => p.axis - q.axis);
  const block = shape.map((_, i) => place + i);
  const order = [...block, ...picked.map((p) => p.at), ...full.map((p) => p.at), ...unit];
  const common = [...shape, ...picked.map((p) => p.length)];
  const updates = ops.reshape(ops.transpose(value, order), [...common, ...full.map((p) => x.shape[p.axis]!)]);
  if (updates.size === 0) return x;
  const spread = (node: Node): Node =>
    ops.broadcast(ops.reshape(ops.broadcast(node, shape), [...shape, ...picked.map(() => 1)]), common);
  const indices = new Map<number, Node>();
  for (const part of parts) {
    if (part.kind === "array") indices.set(part.axis, spread(part.node));
    else if (part.kind === "int") {
      indices.set(part.axis, ops.broadcast(number(part.value, "int64", x.device), common));
    }
  }
  picked.forEach((p, i) => {
    const line = ops.iota(common, shape.length + i, "int64", x.device);
    const scaled = p.step === 1 ? line : ops.mul(line, number(p.step, "int64", x.device));
    indices.set(p.axis, ops.add(scaled, number(p.start, "int64", x.device)));
  });
  const axes = [...indices.keys()].sort((p, q) => p - q);
  return ops.scatter(x, updates, axes.map((axis) => indices.get(axis)!), axes, mode);
}

/** A copy of a node with values where an index selects. */
export function withNode(array: Node, index: readonly Index[], value: ArrayLike, mode: Mode): Node {
  const { x, parts } = resolve("with", index, array);
  const advanced = advancedShape("with", parts);
  const lengths = parts.filter((part) => part.kind === "slice" || part.kind === "newaxis")
    .map((part) => part.kind === "slice" ? part.length : 1);
  const shape = advanced === null ? lengths : lengths.toSpliced(advanced.place, 0, ...advanced.shape);
  const operand = toOperand("with", value, x.device);
  const node = fitted(asNode("with", operand, x.dtype, x.device), shape);
  if (advanced === null) return withSlices(x, parts, node, mode);
  const arrays = parts.filter((part) => part.kind === "array");
  if (arrays.length === 0) {
    // Only scalar booleans: all of it or nothing.
    if (sizeOf(advanced.shape) === 0) return array;
    const plain = parts.filter((part) => part.kind !== "truth");
    return withSlices(x, plain, ops.reshape(node, lengths), mode);
  }
  const out = withArrays(x, parts, node, mode, advanced.shape, advanced.place);
  return x === array ? out : ops.reshape(out, array.shape);
}

/** `x.with(index, value, options)`. */
export function withValues(x: NDArray, index: readonly Index[], value: ArrayLike, options: WithOptions = {}): NDArray {
  const { mode = "set" } = keywords<WithOptions>("with", ["mode"], [options]);
  if (!Array.isArray(index)) {
    throw new TypeError(`with: got index ${describe(index)}, expected the list that at would take`);
  }
  return wrap(withNode(nodeOf(x), Array.from(index), value, checkChoice("with", "mode", mode, modes)));
}
