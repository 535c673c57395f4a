/**
 * Joining and splitting arrays.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import { AxisError, ShapeError } from "../base/errors.ts";
import { canCast, type Casting, resultType } from "../base/promote.ts";
import { formatShape, normalizeAxis, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, NDArray, wrap } from "../array.ts";
import { checkDType, checkInt, describe, keywords } from "./args.ts";
import { deviceOf, nodesAlike, promotable, toNodeOf } from "./convert.ts";
import { flat, pick, sliceAxis } from "./moves.ts";

/** Keywords of `concatenate` and `stack`. */
export interface JoinOptions {
  /** Along which axis; null joins the flattened arrays. */
  readonly axis?: number | null | undefined;
  /** The dtype of the result; the one that all promote to if absent. */
  readonly dtype?: DType | undefined;
  /** Which conversions are allowed; `same_kind` if absent. */
  readonly casting?: Casting | undefined;
}

/** Keywords of `hstack`, `vstack` and `dstack`. */
export type StackOptions = Omit<JoinOptions, "axis">;

/** The arrays of a list, each as it is; a single array is the list of its parts. */
function listOf(name: string, arrays: readonly ArrayLike[] | NDArray): Node[] {
  if (arrays instanceof NDArray) {
    const x = toNodeOf(name, arrays);
    if (x.shape.length === 0) throw new ShapeError(`${name}: a 0-d array cannot be joined`);
    return Array.from({ length: x.shape[0]! }, (_, i) => pick(x, 0, i));
  }
  if (!Array.isArray(arrays)) throw new TypeError(`${name}: got ${describe(arrays)}, expected a list of arrays`);
  if (arrays.length === 0) throw new ShapeError(`${name}: got no arrays, expected at least one`);
  const alike = nodesAlike(arrays);
  if (alike !== null) return alike;
  const device = deviceOf(...arrays);
  return Array.from(arrays, (x) => toNodeOf(name, x, device));
}

/** Nodes in their common dtype, or the one asked for. */
function unified(name: string, nodes: readonly Node[], options: StackOptions): Node[] {
  if (options.dtype === undefined || options.dtype === null) {
    const dtype = resultType(name, nodes.map(promotable));
    return nodes.map((x) => ops.cast(x, dtype));
  }
  const dtype = checkDType(name, options.dtype);
  const casting = options.casting ?? "same_kind";
  for (const x of nodes) {
    if (!canCast(x.dtype, dtype, casting)) {
      throw new TypeError(`${name}: cannot cast from ${x.dtype} to ${dtype} with casting "${casting}"`);
    }
  }
  return nodes.map((x) => ops.cast(x, dtype));
}

/** Nodes joined along an axis they all have. */
function join(name: string, nodes: readonly Node[], axis: number, options: StackOptions): Node {
  const first = nodes[0]!;
  if (first.shape.length === 0) throw new ShapeError(`${name}: 0-d arrays cannot be joined; use stack`);
  const at = normalizeAxis(name, axis, first.shape.length);
  nodes.forEach((x, i) => {
    const fits = x.shape.length === first.shape.length && x.shape.every((n, d) => d === at || n === first.shape[d]);
    if (!fits) {
      throw new ShapeError(
        `${name}: array ${i} has shape ${formatShape(x.shape)}, expected that of array 0, ${
          formatShape(first.shape)
        }, in all axes but ${at}`,
      );
    }
  });
  return ops.concatenate(unified(name, nodes, options), at);
}

/**
 * Arrays joined along an axis they have.
 *
 * @param arrays a list of arrays of the same shape but for the axis
 * @param axis along which axis, 0 if absent; null joins the flattened arrays
 * @returns an array of the common dtype
 * @throws ShapeError for shapes that do not fit, AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.concatenate([[1, 2], [3]]).toArray()); // [ 1, 2, 3 ]
 * ```
 * Source: numpy.concatenate
 */
export function concatenate(
  arrays: readonly ArrayLike[] | NDArray,
  ...args: Args<[axis: number | null], JoinOptions>
): NDArray {
  const options = keywords<JoinOptions>("concatenate", ["axis", "dtype", "casting"], args);
  const nodes = listOf("concatenate", arrays);
  if (options.axis === null) return wrap(join("concatenate", nodes.map(flat), 0, options));
  return wrap(join("concatenate", nodes, options.axis ?? 0, options));
}

/** The array API's name of `concatenate`. */
export const concat: typeof concatenate = concatenate;

/**
 * Arrays of one shape joined along a new axis.
 *
 * @param arrays a list of arrays of one shape
 * @param axis where the new axis lies in the result, 0 if absent
 * @returns an array of the common dtype
 * @throws ShapeError for shapes that differ, AxisError for a place that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.stack([[1, 2], [3, 4]], 1).toArray()); // [ [ 1, 3 ], [ 2, 4 ] ]
 * ```
 * Source: numpy.stack
 */
export function stack(arrays: readonly ArrayLike[] | NDArray, ...args: Args<[axis: number], JoinOptions>): NDArray {
  const options = keywords<JoinOptions>("stack", ["axis", "dtype", "casting"], args);
  const nodes = listOf("stack", arrays);
  const first = nodes[0]!;
  nodes.forEach((x, i) => {
    if (!sameShape(x.shape, first.shape)) {
      throw new ShapeError(
        `stack: array ${i} has shape ${formatShape(x.shape)}, expected that of array 0, ${formatShape(first.shape)}`,
      );
    }
  });
  const axis = normalizeAxis("stack", options.axis ?? 0, first.shape.length + 1);
  const shape = first.shape.toSpliced(axis, 0, 1);
  return wrap(ops.concatenate(unified("stack", nodes.map((x) => ops.reshape(x, shape)), options), axis));
}

const grow = (x: Node, ndim: number): Node => {
  const { shape } = x;
  if (shape.length >= ndim) return x;
  if (shape.length === 0) return ops.reshape(x, new Array<number>(ndim).fill(1));
  if (ndim === 2) return ops.expand(x, [0]);
  return ops.reshape(x, shape.length === 1 ? [1, shape[0]!, 1] : [...shape, 1]);
};

/**
 * Arrays joined along the first axis; one-dimensional ones are rows.
 *
 * @param tup a list of arrays
 * @returns an array of at least two axes
 * @throws ShapeError for shapes that do not fit
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.vstack([[1, 2], [3, 4]]).toArray()); // [ [ 1, 2 ], [ 3, 4 ] ]
 * ```
 * Source: numpy.vstack
 */
export function vstack(tup: readonly ArrayLike[] | NDArray, options: StackOptions = {}): NDArray {
  const given = keywords<StackOptions>("vstack", ["dtype", "casting"], [options]);
  return wrap(join("vstack", listOf("vstack", tup).map((x) => grow(x, 2)), 0, given));
}

/**
 * Arrays joined along the second axis, one-dimensional ones along their only one.
 *
 * @param tup a list of arrays
 * @returns an array of at least one axis
 * @throws ShapeError for shapes that do not fit
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.hstack([[1, 2], [3, 4]]).toArray()); // [ 1, 2, 3, 4 ]
 * ```
 * Source: numpy.hstack
 */
export function hstack(tup: readonly ArrayLike[] | NDArray, options: StackOptions = {}): NDArray {
  const given = keywords<StackOptions>("hstack", ["dtype", "casting"], [options]);
  const nodes = listOf("hstack", tup).map((x) => grow(x, 1));
  return wrap(join("hstack", nodes, nodes[0]!.shape.length === 1 ? 0 : 1, given));
}

/**
 * Arrays joined along the third axis.
 *
 * @param tup a list of arrays
 * @returns an array of at least three axes
 * @throws ShapeError for shapes that do not fit
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.dstack([[1, 2], [3, 4]]).toArray()); // [ [ [ 1, 3 ], [ 2, 4 ] ] ]
 * ```
 * Source: numpy.dstack
 */
export function dstack(tup: readonly ArrayLike[] | NDArray, options: StackOptions = {}): NDArray {
  const given = keywords<StackOptions>("dstack", ["dtype", "casting"], [options]);
  return wrap(join("dstack", listOf("dstack", tup).map((x) => grow(x, 3)), 2, given));
}

/**
 * One-dimensional arrays as the columns of a matrix; matrices side by side.
 *
 * @param tup a list of arrays
 * @returns an array of two axes
 * @throws ShapeError for shapes that do not fit
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.column_stack([[1, 2], [3, 4]]).toArray()); // [ [ 1, 3 ], [ 2, 4 ] ]
 * ```
 * Source: numpy.column_stack
 */
export function column_stack(tup: readonly ArrayLike[] | NDArray): NDArray {
  const nodes = listOf("column_stack", tup).map((x) => x.shape.length >= 2 ? x : ops.reshape(x, [x.size, 1]));
  return wrap(join("column_stack", nodes, 1, {}));
}

/**
 * Values put at the end of an array.
 *
 * @param arr an array
 * @param values an array; of the same shape but for the axis if one is given
 * @param axis along which axis; both are flattened if absent
 * @returns an array of the common dtype
 * @throws ShapeError for shapes that do not fit
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.append([1, 2], [[3], [4]]).toArray()); // [ 1, 2, 3, 4 ]
 * ```
 * Source: numpy.append
 */
export function append(
  arr: ArrayLike,
  values: ArrayLike,
  axis?: number | null | { readonly axis?: number | null },
): NDArray {
  const given = keywords<{ axis?: number | null }>("append", ["axis"], [axis]).axis ?? null;
  const nodes = listOf("append", [arr, values]);
  return wrap(given === null ? join("append", nodes.map(flat), 0, {}) : join("append", nodes, given, {}));
}

/** Where parts begin and end: from their number, or from the places of the cuts. */
function cuts(name: string, sections: number | readonly number[], length: number, even: boolean): [number, number][] {
  if (typeof sections === "number") {
    const count = checkInt(name, "sections", sections);
    if (count <= 0) throw new ShapeError(`${name}: got ${count} sections, expected at least 1`);
    if (even && length % count !== 0) {
      throw new ShapeError(`${name}: an axis of length ${length} does not split into ${count} equal parts`);
    }
    if (count > 2 ** 32 - 1) throw new ShapeError(`${name}: got ${count} sections, expected at most ${2 ** 32 - 1}`);
    const [small, extra] = [Math.floor(length / count), length % count];
    return Array.from({ length: count }, (_, i) => {
      const start = i * small + Math.min(i, extra);
      return [start, start + small + (i < extra ? 1 : 0)];
    });
  }
  if (!Array.isArray(sections)) {
    throw new TypeError(`${name}: got ${describe(sections)}, expected a number or a list of places`);
  }
  const places = [0, ...Array.from(sections, (n: number) => checkInt(name, "a place", n)), length];
  // As Python's slices: negative places count from the end, none is out of bounds.
  const inside = places.map((n, i) =>
    i === places.length - 1 ? n : Math.max(0, Math.min(length, n < 0 ? n + length : n))
  );
  return Array.from({ length: places.length - 1 }, (_, i) => [inside[i]!, Math.max(inside[i]!, inside[i + 1]!)]);
}

function splitNode(
  name: string,
  x: Node,
  sections: number | readonly number[],
  axis: number,
  even: boolean,
): NDArray[] {
  const at = normalizeAxis(name, axis, x.shape.length);
  return cuts(name, sections, x.shape[at]!, even).map(([start, stop]) => wrap(sliceAxis(x, at, start, stop - start)));
}

/**
 * An array cut into parts along an axis.
 *
 * @param ary an array
 * @param indices_or_sections how many equal parts, or the places of the cuts
 * @param axis along which axis, 0 if absent
 * @returns a list of arrays
 * @throws ShapeError if equal parts are not possible, AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.split(tnp.arange(4), 2).map((x) => x.toArray())); // [ [ 0, 1 ], [ 2, 3 ] ]
 * ```
 * Source: numpy.split
 */
export function split(
  ary: ArrayLike,
  indices_or_sections: number | readonly number[],
  ...args: Args<[axis: number], { readonly axis?: number }>
): NDArray[] {
  const { axis = 0 } = keywords<{ axis?: number }>("split", ["axis"], args);
  return splitNode("split", toNodeOf("split", ary), indices_or_sections, axis, true);
}

/**
 * An array cut into parts along an axis that need not be equal.
 *
 * @param ary an array
 * @param indices_or_sections how many parts, or the places of the cuts
 * @param axis along which axis, 0 if absent
 * @returns a list of arrays
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.array_split(tnp.arange(3), 2).map((x) => x.toArray())); // [ [ 0, 1 ], [ 2 ] ]
 * ```
 * Source: numpy.array_split
 */
export function array_split(
  ary: ArrayLike,
  indices_or_sections: number | readonly number[],
  ...args: Args<[axis: number], { readonly axis?: number }>
): NDArray[] {
  const { axis = 0 } = keywords<{ axis?: number }>("array_split", ["axis"], args);
  return splitNode("array_split", toNodeOf("array_split", ary), indices_or_sections, axis, false);
}

function splitAlong(
  name: string,
  x: Node,
  sections: number | readonly number[],
  least: number,
  axis: number,
): NDArray[] {
  if (x.shape.length < least) {
    throw new ShapeError(`${name}: got an array of shape ${formatShape(x.shape)}, expected at least ${least} axes`);
  }
  return splitNode(name, x, sections, axis, true);
}

/**
 * An array cut along its second axis; a one-dimensional one along its only axis.
 *
 * @param ary an array
 * @param indices_or_sections how many equal parts, or the places of the cuts
 * @returns a list of arrays
 * @throws ShapeError if equal parts are not possible
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.hsplit(tnp.eye(2), 2).map((x) => x.toArray())); // [ [ [ 1 ], [ 0 ] ], [ [ 0 ], [ 1 ] ] ]
 * ```
 * Source: numpy.hsplit
 */
export function hsplit(ary: ArrayLike, indices_or_sections: number | readonly number[]): NDArray[] {
  const x = toNodeOf("hsplit", ary);
  return splitAlong("hsplit", x, indices_or_sections, 1, x.shape.length === 1 ? 0 : 1);
}

/**
 * An array cut along its first axis.
 *
 * @param ary an array of at least two axes
 * @param indices_or_sections how many equal parts, or the places of the cuts
 * @returns a list of arrays
 * @throws ShapeError if equal parts are not possible
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.vsplit(tnp.eye(2), 2).map((x) => x.toArray())); // [ [ [ 1, 0 ] ], [ [ 0, 1 ] ] ]
 * ```
 * Source: numpy.vsplit
 */
export function vsplit(ary: ArrayLike, indices_or_sections: number | readonly number[]): NDArray[] {
  return splitAlong("vsplit", toNodeOf("vsplit", ary), indices_or_sections, 2, 0);
}

/**
 * An array cut along its third axis.
 *
 * @param ary an array of at least three axes
 * @param indices_or_sections how many equal parts, or the places of the cuts
 * @returns a list of arrays
 * @throws ShapeError if equal parts are not possible
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.dsplit(tnp.ones([1, 1, 2]), 2).map((x) => x.toArray())); // [ [ [ [ 1 ] ] ], [ [ [ 1 ] ] ] ]
 * ```
 * Source: numpy.dsplit
 */
export function dsplit(ary: ArrayLike, indices_or_sections: number | readonly number[]): NDArray[] {
  return splitAlong("dsplit", toNodeOf("dsplit", ary), indices_or_sections, 3, 2);
}

/**
 * The parts of an array along an axis, without the axis.
 *
 * @param x an array
 * @param axis along which axis, 0 if absent
 * @returns a list of arrays
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.unstack(tnp.eye(2)).map((x) => x.toArray())); // [ [ 1, 0 ], [ 0, 1 ] ]
 * ```
 * Source: numpy.unstack
 */
export function unstack(x: ArrayLike, ...args: Args<[axis: number], { readonly axis?: number }>): NDArray[] {
  const { axis = 0 } = keywords<{ axis?: number }>("unstack", ["axis"], args);
  const node = toNodeOf("unstack", x);
  if (node.shape.length === 0) throw new AxisError("unstack: a 0-d array has no axis to take apart");
  const at = normalizeAxis("unstack", axis, node.shape.length);
  return Array.from({ length: node.shape[at]! }, (_, i) => wrap(pick(node, at, i)));
}
