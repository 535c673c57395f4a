/**
 * Shapes and axes.
 * @module
 */
import { AxisError, ShapeError } from "../base/errors.ts";
import {
  broadcastShapes,
  checkShape,
  formatShape,
  normalizeAxes,
  normalizeAxis,
  resolveReshape,
  sameShape,
} from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type ArrayLike, type Axis, NDArray, type OrderOptions, wrap } from "../array.ts";
import { checkChoice, checkInt, checkInts, checkList, keywords, toShape, within } from "./args.ts";
import { toNodeOf, toNodes } from "./convert.ts";
import { allAxes, checkRank, flat, isScalarAxis, moveAxis } from "./moves.ts";

/**
 * The lengths of an array's axes.
 *
 * @param a an array
 * @returns a list of integers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.shape([[1, 2, 3], [4, 5, 6]])); // [ 2, 3 ]
 * ```
 * Source: numpy.shape
 */
export function shape(a: ArrayLike): number[] {
  return [...toNodeOf("shape", a).shape];
}

/**
 * The number of axes of an array.
 *
 * @param a an array
 * @returns an integer
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ndim([[1, 2, 3], [4, 5, 6]])); // 2
 * ```
 * Source: numpy.ndim
 */
export function ndim(a: ArrayLike): number {
  return toNodeOf("ndim", a).shape.length;
}

/**
 * The number of elements of an array, or along some of its axes.
 *
 * @param a an array
 * @param axis an axis or several; all if absent
 * @returns an integer
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.size([[1, 2, 3], [4, 5, 6]], 1)); // 3
 * ```
 * Source: numpy.size
 */
export function size(a: ArrayLike, axis?: Axis | { readonly axis?: Axis }): number {
  const given = keywords<{ axis?: Axis }>("size", ["axis"], [axis]);
  const { shape } = toNodeOf("size", a);
  return normalizeAxes("size", given.axis, shape.length).reduce((n, i) => n * shape[i]!, 1);
}

function reversed(x: Node): Node {
  return ops.transpose(x, allAxes(x).reverse());
}

/**
 * The same elements in another shape.
 *
 * @param a an array
 * @param shape the new shape; one length may be -1, which stands for what the others leave
 * @param options `order`: `"C"` reads and fills the last axis fastest, `"F"` the first
 * @returns an array of that shape
 * @throws ShapeError if the sizes differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.reshape([1, 2, 3, 4], [2, 2]).toArray()); // [ [ 1, 2 ], [ 3, 4 ] ]
 * ```
 * Source: numpy.reshape
 */
export function reshape(
  a: ArrayLike,
  shape: number | readonly number[],
  options?: OrderOptions | NonNullable<OrderOptions["order"]>,
): NDArray {
  const order = options === undefined ? "C" : reshapeOrder(options);
  const x = toNodeOf("reshape", a);
  const target = resolveReshape("reshape", x.size, toShape("reshape", shape));
  if (order !== "F") return wrap(ops.reshape(x, target));
  return wrap(reversed(ops.reshape(reversed(x), target.toReversed())));
}

function reshapeOrder(options: OrderOptions | NonNullable<OrderOptions["order"]>): "C" | "F" | "A" {
  const { order = "C" } = keywords<OrderOptions>("reshape", ["order"], [options]);
  return checkChoice("reshape", "order", order, ["C", "F", "A"]);
}

/**
 * The elements of an array in one axis.
 *
 * @param a an array
 * @param order `"C"`: the last axis runs fastest; `"F"`: the first
 * @returns an array of one axis
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ravel([[1, 2], [3, 4]]).toArray()); // [ 1, 2, 3, 4 ]
 * ```
 * Source: numpy.ravel
 */
export function ravel(a: ArrayLike, order?: OrderOptions | NonNullable<OrderOptions["order"]>): NDArray {
  const given = keywords<OrderOptions>("ravel", ["order"], [order]).order ?? "C";
  checkChoice("ravel", "order", given, ["C", "F", "A", "K"]);
  const x = toNodeOf("ravel", a);
  return wrap(flat(given === "F" ? reversed(x) : x));
}

/** The elements of an array in one axis: with immutable arrays the same as `ravel`. */
export const flatten: typeof ravel = ravel;

/**
 * The array with its axes in another order.
 *
 * @param a an array
 * @param axes axis i of the result is axis `axes[i]` of a; reversed if absent
 * @returns an array with the same elements
 * @throws ShapeError, AxisError for what is no permutation
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.transpose([[1, 2], [3, 4]]).toArray()); // [ [ 1, 3 ], [ 2, 4 ] ]
 * ```
 * Source: numpy.transpose
 */
export function transpose(
  a: ArrayLike,
  axes?: readonly number[] | null | { readonly axes?: readonly number[] | null },
): NDArray {
  const given = keywords<{ axes?: readonly number[] | null }>("transpose", ["axes"], [axes]).axes;
  const x = toNodeOf("transpose", a);
  if (given === undefined || given === null) return wrap(reversed(x));
  return wrap(ops.transpose(x, permutation("transpose", given, x.shape.length)));
}

function permutation(name: string, axes: readonly number[], ndim: number): number[] {
  const list = checkList(name, "axes", axes).map((axis) => checkInt(name, "an axis", axis));
  if (list.length !== ndim) {
    throw new ShapeError(`${name}: got axes ${formatShape(list)}, expected a permutation of ${ndim} axes`);
  }
  return normalizeAxes(name, list, ndim);
}

/**
 * The array with its axes in another order, as `transpose`; the array API's name.
 *
 * @param a an array
 * @param axes axis i of the result is axis `axes[i]` of a
 * @returns an array with the same elements
 * @throws ShapeError, AxisError for what is no permutation
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.permute_dims([[1, 2], [3, 4]], [1, 0]).toArray()); // [ [ 1, 3 ], [ 2, 4 ] ]
 * ```
 * Source: numpy.permute_dims
 */
export function permute_dims(a: ArrayLike, axes?: readonly number[] | null): NDArray {
  return within("permute_dims", () => transpose(a, axes));
}

/**
 * The array with its last two axes swapped.
 *
 * @param x an array of at least two axes
 * @returns an array with the same elements
 * @throws ShapeError for fewer axes
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.matrix_transpose([[1, 2], [3, 4]]).toArray()); // [ [ 1, 3 ], [ 2, 4 ] ]
 * ```
 * Source: numpy.matrix_transpose
 */
export function matrix_transpose(x: ArrayLike): NDArray {
  const node = toNodeOf("matrix_transpose", x);
  checkRank("matrix_transpose", node, 2);
  const n = node.shape.length;
  return wrap(moveAxis(node, n - 1, n - 2));
}

/**
 * The array with two axes exchanged.
 *
 * @param a an array
 * @param axis1 an axis
 * @param axis2 an axis
 * @returns an array with the same elements
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.swapaxes([[1, 2, 3]], 0, 1).toArray()); // [ [ 1 ], [ 2 ], [ 3 ] ]
 * ```
 * Source: numpy.swapaxes
 */
export function swapaxes(a: ArrayLike, axis1: number, axis2: number): NDArray {
  const x = toNodeOf("swapaxes", a);
  const i = normalizeAxis("swapaxes", axis1, x.shape.length);
  const j = normalizeAxis("swapaxes", axis2, x.shape.length);
  return wrap(ops.transpose(x, allAxes(x).with(i, j).with(j, i)));
}

/**
 * The array with some axes moved to other places; the others keep their order.
 *
 * @param a an array
 * @param source an axis or several
 * @param destination where each of them goes
 * @returns an array with the same elements
 * @throws AxisError for an axis that is not there or given twice, ShapeError for lists of different length
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.moveaxis(tnp.zeros([2, 3, 4]), 0, -1).shape); // [ 3, 4, 2 ]
 * ```
 * Source: numpy.moveaxis
 */
export function moveaxis(
  a: ArrayLike,
  source: number | readonly number[],
  destination: number | readonly number[],
): NDArray {
  const x = toNodeOf("moveaxis", a);
  const from = normalizeAxes("moveaxis", source, x.shape.length);
  const to = normalizeAxes("moveaxis", destination, x.shape.length);
  if (from.length !== to.length) {
    throw new ShapeError(`moveaxis: got ${from.length} source axes and ${to.length} destinations, expected as many`);
  }
  const order = allAxes(x).filter((i) => !from.includes(i));
  const pairs = to.map((place, i) => [place, from[i]!] as const).sort((p, q) => p[0] - q[0]);
  for (const [place, axis] of pairs) order.splice(place, 0, axis);
  return wrap(ops.transpose(x, order));
}

/**
 * The array with an axis rolled back until it lies before another.
 *
 * @param a an array
 * @param axis the axis
 * @param start before which axis it goes; 0 if absent
 * @returns an array with the same elements
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.rollaxis(tnp.zeros([2, 3, 4]), 2).shape); // [ 4, 2, 3 ]
 * ```
 * Source: numpy.rollaxis
 */
export function rollaxis(a: ArrayLike, axis: number, start: number = 0): NDArray {
  const x = toNodeOf("rollaxis", a);
  const n = x.shape.length;
  const from = normalizeAxis("rollaxis", axis, n);
  const place = checkInt("rollaxis", "start", start);
  if (place < -n || place > n) {
    throw new AxisError(`rollaxis: start ${place} is out of bounds for array of dimension ${n}`);
  }
  const before = place < 0 ? place + n : place;
  return wrap(moveAxis(x, from, from < before ? before - 1 : before));
}

/**
 * The array with axes of length 1 put in.
 *
 * @param a an array
 * @param axis where the new axes lie in the result
 * @returns an array with the same elements
 * @throws AxisError for a place that is not there or given twice
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.expand_dims([1, 2], 0).shape); // [ 1, 2 ]
 * ```
 * Source: numpy.expand_dims
 */
export function expand_dims(
  a: ArrayLike,
  axis: number | readonly number[] | { readonly axis: number | readonly number[] },
): NDArray {
  const given = keywords<{ axis: number | readonly number[] }>("expand_dims", ["axis"], [axis]).axis;
  const x = toNodeOf("expand_dims", a);
  const list = checkInts("expand_dims", "axis", given);
  const axes = normalizeAxes("expand_dims", list, x.shape.length + list.length);
  return wrap(ops.expand(x, axes.sort((p, q) => p - q)));
}

/**
 * The array without axes of length 1.
 *
 * @param a an array
 * @param axis which of them; all if absent
 * @returns an array with the same elements
 * @throws AxisError for an axis that is not there, ShapeError for one that is longer than 1
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.squeeze([[[1], [2]]]).shape); // [ 2 ]
 * ```
 * Source: numpy.squeeze
 */
export function squeeze(a: ArrayLike, axis?: Axis | { readonly axis?: Axis }): NDArray {
  const given = keywords<{ axis?: Axis }>("squeeze", ["axis"], [axis]).axis;
  const x = toNodeOf("squeeze", a);
  if (given === undefined || given === null) return wrap(ops.reshape(x, x.shape.filter((n) => n !== 1)));
  const axes = isScalarAxis(x, given) ? [] : normalizeAxes("squeeze", given, x.shape.length);
  for (const i of axes) {
    if (x.shape[i] !== 1) {
      throw new ShapeError(`squeeze: cannot remove axis ${i} of shape ${formatShape(x.shape)}, its length is not 1`);
    }
  }
  return wrap(ops.reshape(x, x.shape.filter((_, i) => !axes.includes(i))));
}

function atLeast(name: string, arys: readonly ArrayLike[], grow: (shape: readonly number[]) => readonly number[]) {
  const out = toNodes(name, ...arys).map((x, i) => {
    const shape = grow(x.shape);
    const given = arys[i];
    return given instanceof NDArray && sameShape(shape, x.shape) ? given : wrap(ops.reshape(x, shape));
  });
  return out.length === 1 ? out[0]! : out;
}

/**
 * Arrays of at least one axis.
 *
 * @param arys arrays
 * @returns the array for one, a list for several
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.atleast_1d(3).shape); // [ 1 ]
 * ```
 * Source: numpy.atleast_1d
 */
export function atleast_1d(a: ArrayLike): NDArray;
/** Arrays of at least one axis: a list for several. */
export function atleast_1d(...arys: readonly ArrayLike[]): NDArray | NDArray[];
export function atleast_1d(...arys: readonly ArrayLike[]): NDArray | NDArray[] {
  return atLeast("atleast_1d", arys, (shape) => shape.length === 0 ? [1] : shape);
}

/**
 * Arrays of at least two axes; new ones come first.
 *
 * @param arys arrays
 * @returns the array for one, a list for several
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.atleast_2d([1, 2]).shape); // [ 1, 2 ]
 * ```
 * Source: numpy.atleast_2d
 */
export function atleast_2d(a: ArrayLike): NDArray;
/** Arrays of at least two axes: a list for several. */
export function atleast_2d(...arys: readonly ArrayLike[]): NDArray | NDArray[];
export function atleast_2d(...arys: readonly ArrayLike[]): NDArray | NDArray[] {
  return atLeast(
    "atleast_2d",
    arys,
    (shape) => shape.length === 0 ? [1, 1] : shape.length === 1 ? [1, ...shape] : shape,
  );
}

/**
 * Arrays of at least three axes: one axis lies in the middle, two come first.
 *
 * @param arys arrays
 * @returns the array for one, a list for several
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.atleast_3d([1, 2]).shape); // [ 1, 2, 1 ]
 * ```
 * Source: numpy.atleast_3d
 */
export function atleast_3d(a: ArrayLike): NDArray;
/** Arrays of at least three axes: a list for several. */
export function atleast_3d(...arys: readonly ArrayLike[]): NDArray | NDArray[];
export function atleast_3d(...arys: readonly ArrayLike[]): NDArray | NDArray[] {
  return atLeast("atleast_3d", arys, (shape) => {
    if (shape.length >= 3) return shape;
    return shape.length === 2 ? [...shape, 1] : shape.length === 1 ? [1, ...shape, 1] : [1, 1, 1];
  });
}

/**
 * The array repeated to a shape.
 *
 * @param array an array
 * @param shape a shape that the array broadcasts to
 * @returns an array of that shape; nothing is copied
 * @throws ShapeError if it does not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.broadcast_to([1, 2], [2, 2]).toArray()); // [ [ 1, 2 ], [ 1, 2 ] ]
 * ```
 * Source: numpy.broadcast_to
 */
export function broadcast_to(array: ArrayLike, shape: number | readonly number[]): NDArray {
  const x = toNodeOf("broadcast_to", array);
  const target = toShape("broadcast_to", shape);
  checkShape("broadcast_to", target);
  const skip = target.length - x.shape.length;
  if (skip < 0 || x.shape.some((n, i) => n !== 1 && n !== target[skip + i])) {
    throw new ShapeError(`broadcast_to: cannot broadcast shape ${formatShape(x.shape)} to ${formatShape(target)}`);
  }
  return wrap(ops.broadcast(x, target));
}

/**
 * Arrays repeated to their common shape.
 *
 * @param args arrays
 * @returns a list of arrays of one shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.broadcast_arrays([1, 2], [[3], [4]]).map((x) => x.toArray())); // [ [ [ 1, 2 ], [ 1, 2 ] ], [ [ 3, 3 ], [ 4, 4 ] ] ]
 * ```
 * Source: numpy.broadcast_arrays
 */
export function broadcast_arrays(...args: readonly ArrayLike[]): NDArray[] {
  const nodes = toNodes("broadcast_arrays", ...args);
  if (nodes.length === 0) return [];
  const shape = broadcastShapes("broadcast_arrays", ...nodes.map((x) => x.shape));
  return nodes.map((x) => wrap(ops.broadcast(x, shape)));
}

/**
 * The shape that shapes broadcast to.
 *
 * @param args shapes: integers or lists of them
 * @returns a list of integers
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.broadcast_shapes([3, 1], [4])); // [ 3, 4 ]
 * ```
 * Source: numpy.broadcast_shapes
 */
export function broadcast_shapes(...args: readonly (number | readonly number[])[]): number[] {
  const shapes = args.map((shape) => toShape("broadcast_shapes", shape));
  for (const shape of shapes) checkShape("broadcast_shapes", shape);
  return shapes.length === 0 ? [] : [...broadcastShapes("broadcast_shapes", ...shapes)];
}
