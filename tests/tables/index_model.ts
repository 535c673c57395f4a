/**
 * NumPy's indexing in its plainest form: which elements an index selects, one by one. Tests compare `at` and `with` with it.
 * @module
 */
import { broadcastShapes, contiguousStrides, sizeOf } from "../../src/base/shape.ts";

/** A list of integers of any shape. */
export interface Indices {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** One entry of an index: an integer, a slice's text, a new axis, `"..."`, a mask of one axis, or integers. */
export type Entry = number | string | null | readonly boolean[] | Indices;

/** Tells a list of integers from the other entries. */
export function isIndices(entry: Entry): entry is Indices {
  return typeof entry === "object" && entry !== null && !Array.isArray(entry);
}

/** The elements selected: their shape, and their positions in the array's C order. */
export interface Selection {
  readonly shape: readonly number[];
  readonly positions: readonly number[];
}

/** What one axis of the array, or of the result, does. */
type Part =
  | { readonly kind: "walk"; readonly axis: number; readonly values: readonly number[] }
  | { readonly kind: "new" | "gap" }
  | { readonly kind: "pick"; readonly axis: number; readonly indices: Indices };

/** The positions that Python's slice selects on an axis. */
export function sliceRange(text: string, length: number): number[] {
  const [a, b, c] = text.split(":").map((part) => part === "" ? null : Number(part));
  const step = c ?? 1;
  const clamp = (n: number, low: number, high: number): number => Math.min(high, Math.max(low, n < 0 ? n + length : n));
  const out: number[] = [];
  if (step > 0) {
    const stop = clamp(b ?? length, 0, length);
    for (let i = clamp(a ?? 0, 0, length); i < stop; i += step) out.push(i);
  } else {
    const stop = b === null || b === undefined ? -1 : clamp(b, -1, length - 1);
    for (let i = clamp(a ?? length - 1, -1, length - 1); i > stop; i += step) out.push(i);
  }
  return out;
}

function partsOf(shape: readonly number[], index: readonly Entry[]): Part[] {
  const parts: Part[] = [];
  let axis = 0;
  const used = index.filter((entry) => entry !== null && entry !== "...").length;
  const whole = (): void => {
    parts.push({ kind: "walk", axis, values: Array.from({ length: shape[axis]! }, (_, i) => i) });
    axis++;
  };
  for (const entry of index) {
    if (entry === null) parts.push({ kind: "new" });
    else if (entry === "...") {
      // Even one that spans no axis parts the lists beside it.
      if (shape.length === used) parts.push({ kind: "gap" });
      for (let n = shape.length - used; n > 0; n--) whole();
    } else if (typeof entry === "string") {
      parts.push({ kind: "walk", axis, values: sliceRange(entry, shape[axis]!) });
      axis++;
    } else {
      let indices: Indices;
      if (typeof entry === "number") indices = { shape: [], values: [entry] };
      else if (isIndices(entry)) indices = entry;
      else {
        const values = entry.flatMap((on, i) => on ? [i] : []);
        indices = { shape: [values.length], values };
      }
      parts.push({ kind: "pick", axis: axis++, indices });
    }
  }
  while (axis < shape.length) whole();
  return parts;
}

/** The elements an index selects. Lists are picked together, element by element; their axes come first unless they stand side by side. */
export function select(shape: readonly number[], index: readonly Entry[]): Selection {
  const parts = partsOf(shape, index);
  const strides = contiguousStrides(shape);
  const picks = parts.flatMap((part, i) => part.kind === "pick" ? [{ ...part, at: i }] : []);
  const joint = broadcastShapes("select", [], ...picks.map(({ indices }) => indices.shape));
  // Integers alone are basic indexing, and then it does not matter where their (no) axes go.
  const together = picks.every(({ at }, i) => i === 0 || at === picks[i - 1]!.at + 1);
  const place = together && picks.length > 0 ? picks[0]!.at : 0;
  const lengths: number[] = [];
  const offsets: ((i: number) => number)[] = [];
  const pick = (i: number): number => {
    let out = 0;
    for (const { axis, indices } of picks) {
      let left = i;
      let own = 0;
      let step = 1;
      for (let d = 1; d <= joint.length; d++) {
        const at = left % joint[joint.length - d]!;
        left = Math.floor(left / joint[joint.length - d]!);
        const length = indices.shape[indices.shape.length - d] ?? 1;
        if (length !== 1) own += at * step;
        step *= length;
      }
      const value = indices.values[own]!;
      out += (value < 0 ? value + shape[axis]! : value) * strides[axis]!;
    }
    return out;
  };
  const out: number[] = [];
  const putPicks = (): void => {
    out.push(...joint);
    lengths.push(sizeOf(joint));
    offsets.push(pick);
  };
  if (!together) putPicks();
  parts.forEach((part, i) => {
    if (together && picks.length > 0 && i === place) putPicks();
    if (part.kind === "new") out.push(1);
    if (part.kind !== "walk") return;
    out.push(part.values.length);
    lengths.push(part.values.length);
    offsets.push((j) => part.values[j]! * strides[part.axis]!);
  });
  let positions = [0];
  lengths.forEach((length, k) => {
    positions = positions.flatMap((at) => Array.from({ length }, (_, i) => at + offsets[k]!(i)));
  });
  return { shape: out, positions };
}
