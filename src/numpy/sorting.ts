/**
 * Sorting, and finding in sorted arrays.
 * @module
 */
import { ShapeError } from "../base/errors.ts";
import { formatShape } from "../base/shape.ts";
import { promoteTypes } from "../base/promote.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, type NDArray, type SearchOptions, type SortOptions, wrap } from "../array.ts";
import { checkChoice, keywords } from "./args.ts";
import { deviceOf, toInt64, toNodeOf, toNodes } from "./convert.ts";
import { checkIndices } from "./bounds.ts";
import { axisOrFlat, moveAxis } from "./moves.ts";

const kinds = ["quicksort", "mergesort", "heapsort", "stable", null] as const;

/** Applies something that works along the last axis to another. */
function along(name: string, a: ArrayLike, args: readonly unknown[], f: (x: Node) => Node): Node {
  const options = keywords<SortOptions>(name, ["axis", "kind", "stable"], args);
  if (options.kind !== undefined) checkChoice<string | null & string>(name, "kind", options.kind, kinds as never);
  const { x, axis } = axisOrFlat(
    name,
    toNodeOf(name, a),
    options.axis === undefined ? -1 : options.axis,
    name === "sort",
  );
  const last = x.shape.length - 1;
  return moveAxis(f(moveAxis(x, axis, last)), last, axis);
}

/**
 * The elements in rising order along an axis; NaN come last, equal elements keep their order.
 *
 * @param a an array
 * @param axis the axis to sort along; null for the flattened array; -1 if absent
 * @returns an array of the same shape and dtype
 * @throws AxisError for an axis outside, and for a 0-d array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.sort([3, 1, 2]).toArray()); // [ 1, 2, 3 ]
 * ```
 * Source: numpy.sort
 */
export function sort(a: ArrayLike, ...args: Args<[axis: number | null], SortOptions>): NDArray {
  return wrap(along("sort", a, args, ops.sort));
}

/**
 * The positions of the elements in rising order along an axis.
 *
 * @param a an array
 * @param axis the axis to sort along; null for the flattened array; -1 if absent
 * @returns int64 positions along the axis
 * @throws AxisError for an axis outside, and for a 0-d array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.argsort([30, 10, 20]).toArray()); // [ 1, 2, 0 ]
 * ```
 * Source: numpy.argsort
 */
export function argsort(a: ArrayLike, ...args: Args<[axis: number | null], SortOptions>): NDArray<"int64"> {
  return wrap<"int64">(along("argsort", a, args, ops.argsort));
}

/**
 * Where values would go in a sorted array.
 *
 * @param a a 1-d array in rising order, or with `sorter` in any
 * @param v the values
 * @param side `"left"`: before equal elements, the default; `"right"`: behind them
 * @param sorter integers that sort `a`
 * @returns int64 positions of v's shape
 * @throws ShapeError for an `a` that is not 1-d, IndexError for a sorter that points outside
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.searchsorted([1, 2, 3], [0, 2, 5]).toArray()); // [ 0, 1, 3 ]
 * ```
 * Source: numpy.searchsorted
 */
export function searchsorted(
  a: ArrayLike,
  v: ArrayLike,
  ...args: Args<[side: "left" | "right"], SearchOptions>
): NDArray<"int64"> {
  const options = keywords<SearchOptions>("searchsorted", ["side", "sorter"], args);
  const side = checkChoice("searchsorted", "side", options.side ?? "left", ["left", "right"]);
  // NumPy compares in the dtype that holds both; no number is weak here.
  const given = toNodes("searchsorted", a, v);
  const dtype = promoteTypes(given[0].dtype, given[1].dtype, "searchsorted");
  const [sorted, values] = [ops.cast(given[0], dtype), ops.cast(given[1], dtype)];
  if (sorted.shape.length !== 1) {
    throw new ShapeError(`searchsorted: got an array of shape ${formatShape(sorted.shape)}, expected one axis`);
  }
  if (options.sorter === undefined) return wrap<"int64">(ops.searchsorted(sorted, values, side));
  const order = toInt64("searchsorted", "the sorter", options.sorter, deviceOf(a, v));
  if (order.shape.length !== 1 || order.size !== sorted.size) {
    throw new ShapeError(
      `searchsorted: got a sorter of shape ${formatShape(order.shape)}, expected ${formatShape(sorted.shape)}`,
    );
  }
  checkIndices("searchsorted", order, 0, sorted.size);
  return wrap<"int64">(ops.searchsorted(ops.gather(sorted, [order], [0]), values, side));
}
