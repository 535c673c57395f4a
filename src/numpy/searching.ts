/**
 * Choosing elements: by condition, by position, by mask.
 * @module
 */
import { IndexError, ShapeError, TracerError } from "../base/errors.ts";
import { broadcastShapes, formatShape, normalizeAxis, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { nonzeroNode } from "../transform/nonzero.ts";
import { untraced } from "../transform/tracing.ts";
import { type Args, type ArrayLike, type NDArray, type TakeOptions, wrap } from "../array.ts";
import { checkChoice, checkList, keywords, within } from "./args.ts";
import { checkIndices } from "./bounds.ts";
import { deviceOf, promote, toInt64, toNodeOf } from "./convert.ts";
import { axisOrFlat, flat, pick, takeAxis } from "./moves.ts";
import { truthy } from "./ufunc.ts";

/**
 * With three arguments: elements of `x` where the condition holds, of `y` elsewhere. With one: as `nonzero`.
 *
 * @param condition what decides; anything but zero is true
 * @param x taken where it holds
 * @param y taken where it does not; all three broadcast
 * @returns an array of the common dtype of x and y; or a list of int64 arrays, one an axis
 * @throws TypeError for one of x and y alone
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.where([true, false], [1, 2], 0).toArray()); // [ 1, 0 ]
 * ```
 * Source: numpy.where
 */
export function where(condition: ArrayLike): NDArray<"int64">[];
/** Elements of `x` where the condition holds, of `y` elsewhere. */
export function where(condition: ArrayLike, x: ArrayLike, y: ArrayLike): NDArray;
export function where(condition: ArrayLike, x?: ArrayLike, y?: ArrayLike): NDArray | NDArray<"int64">[] {
  if (x === undefined && y === undefined) return within("where", () => nonzero(condition));
  if (x === undefined || y === undefined) throw new TypeError("where: got one of x and y, expected both or neither");
  const { nodes: [a, b] } = promote("where", [x, y]);
  const c = truthy(toNodeOf("where", condition, deviceOf(x, y, condition)));
  return within("where", () => wrap(ops.where(c, a!, b!)));
}

/** The positions of what is not zero, one row an axis; of a 0-d node those along an axis of length 1. */
function positions(name: string, x: Node): Node {
  if (x.symbolic) {
    throw new TracerError(
      `${name}: the result's shape depends on the values of a traced array; use tnp.where with three arguments, or call it outside`,
    );
  }
  return untraced(() => {
    const given = x.shape.length === 0 ? flat(x) : x, mask = truthy(given);
    if (mask === x) return nonzeroNode(mask);
    mask.hold();
    try {
      return nonzeroNode(mask);
    } finally {
      mask.drop();
    }
  });
}

/** The positions of what is not zero: one int64 node an axis. */
export function nonzeroNodes(name: string, x: Node): Node[] {
  const found = positions(name, x);
  return untraced(() => x.shape.length === 1 ? [flat(found)] : x.shape.map((_, d) => pick(found, 0, d)));
}

/** The positions of what is not zero in the flattened node. */
export function flatPositions(name: string, x: Node): Node {
  return nonzeroNodes(name, x.symbolic ? x : untraced(() => flat(x)))[0]!;
}

/**
 * The positions of the elements that are not zero.
 *
 * @param a an array of at least one axis
 * @returns a list of int64 arrays, one an axis, in C order
 * @throws ShapeError for a 0-d array, TracerError for a traced one: the result's shape depends on the values
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.nonzero([0, 3, 0, 5]).map((i) => i.toArray())); // [ [ 1, 3 ] ]
 * ```
 * Source: numpy.nonzero
 */
export function nonzero(a: ArrayLike): NDArray<"int64">[] {
  const x = toNodeOf("nonzero", a);
  if (x.shape.length === 0) {
    throw new ShapeError("nonzero: got a 0-d array, expected at least one axis; use atleast_1d");
  }
  return nonzeroNodes("nonzero", x).map((i) => wrap<"int64">(i));
}

/**
 * The positions of the elements that are not zero in the flattened array.
 *
 * @param a an array
 * @returns int64
 * @throws TracerError for a traced array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.flatnonzero([[0, 3], [4, 0]]).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.flatnonzero
 */
export function flatnonzero(a: ArrayLike): NDArray<"int64"> {
  return wrap<"int64">(flatPositions("flatnonzero", toNodeOf("flatnonzero", a)));
}

/**
 * The positions of the elements that are not zero, one row each.
 *
 * @param a an array
 * @returns int64 of shape `[count, a.ndim]`
 * @throws TracerError for a traced array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.argwhere([[0, 3], [4, 0]]).toArray()); // [ [ 0, 1 ], [ 1, 0 ] ]
 * ```
 * Source: numpy.argwhere
 */
export function argwhere(a: ArrayLike): NDArray<"int64"> {
  const x = toNodeOf("argwhere", a);
  if (x.shape.length === 0) {
    const count = positions("argwhere", x).size;
    return wrap<"int64">(ops.broadcast(ops.scalar(0, "int64", x.device), [count, 0]));
  }
  return wrap<"int64">(ops.transpose(positions("argwhere", x), [1, 0]));
}

/** Indices that are brought into an axis as `mode` says. */
function settleIndices(name: string, indices: Node, axis: number, size: number, mode: TakeOptions["mode"]): Node {
  const number = (n: number) => ops.scalar(n, "int64", indices.device);
  switch (checkChoice(name, "mode", mode ?? "raise", ["raise", "wrap", "clip"])) {
    case "raise":
      checkIndices(name, indices, axis, size);
      return indices;
    case "wrap":
      if (size === 0 && indices.size > 0) break;
      return ops.mod(indices, number(size));
    case "clip":
      if (size === 0 && indices.size > 0) break;
      return ops.maximum(ops.minimum(indices, number(size - 1)), number(0));
  }
  throw new IndexError(`${name}: cannot take from axis ${axis} of length 0`);
}

/**
 * Elements at positions along an axis.
 *
 * @param a an array
 * @param indices integer positions, of any shape
 * @param axis the axis; the flattened array if null or absent
 * @param mode what a position outside does: `"raise"`, the default, `"wrap"` counts round, `"clip"` stops at the ends
 * @returns an array with the axis replaced by the shape of the indices
 * @throws IndexError for a position outside (traced positions are clamped), TypeError for indices that are no integers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.take([10, 20, 30], [2, 0]).toArray()); // [ 30, 10 ]
 * ```
 * Source: numpy.take
 */
export function take(a: ArrayLike, indices: ArrayLike, ...args: Args<[axis: number | null], TakeOptions>): NDArray {
  const options = keywords<TakeOptions>("take", ["axis", "mode"], args);
  const { x, axis } = axisOrFlat("take", toNodeOf("take", a, deviceOf(a, indices)), options.axis ?? null);
  const at = toInt64("take", "indices", indices, x.device);
  return wrap(takeAxis(x, settleIndices("take", at, axis, x.shape[axis]!, options.mode), axis));
}

/**
 * Elements at positions that differ along each line of an axis, as `argsort` and `argmax` give them.
 *
 * @param arr an array
 * @param indices integers with as many axes; the others broadcast against the array's
 * @param axis the axis; -1 if absent; null for the flattened array
 * @returns an array of the indices' shape, broadcast
 * @throws IndexError for a position outside, ShapeError for another number of axes
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.array([[3, 1], [2, 9]]);
 * console.log(tnp.take_along_axis(x, tnp.argsort(x, 1), 1).toArray()); // [ [ 1, 3 ], [ 2, 9 ] ]
 * ```
 * Source: numpy.take_along_axis
 */
export function take_along_axis(
  arr: ArrayLike,
  indices: ArrayLike,
  ...args: Args<[axis: number | null], { readonly axis?: number | null }>
): NDArray {
  const { axis = -1 } = keywords<{ axis?: number | null }>("take_along_axis", ["axis"], args);
  const whole = toNodeOf("take_along_axis", arr, deviceOf(arr, indices));
  const at = toInt64("take_along_axis", "indices", indices, whole.device);
  const x = axis === null ? flat(whole) : whole;
  if (at.shape.length !== x.shape.length) {
    throw new ShapeError(
      `take_along_axis: got indices of shape ${formatShape(at.shape)} for an array of shape ${
        formatShape(x.shape)
      }, expected as many axes`,
    );
  }
  const along = axis === null ? 0 : normalizeAxis("take_along_axis", axis, x.shape.length);
  const shape = broadcastShapes("take_along_axis", at.shape, x.shape.with(along, at.shape[along]!));
  checkIndices("take_along_axis", at, along, x.shape[along]!);
  const wide = sameShape(x.shape, shape.with(along, x.shape[along]!))
    ? x
    : ops.broadcast(x, shape.with(along, x.shape[along]!));
  const own = shape.map((_, d) => d === along ? ops.broadcast(at, shape) : ops.iota(shape, d, "int64", x.device));
  return wrap(ops.gather(wide, own, shape.map((_, d) => d)));
}

/**
 * Entries along an axis where a condition holds.
 *
 * @param condition a 1-d array of truth values, at most as long as the axis
 * @param a an array
 * @param axis the axis; the flattened array if null or absent
 * @returns the entries chosen
 * @throws ShapeError for a condition that is not 1-d, IndexError for one that is true beyond the axis
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.compress([true, false, true], [1, 2, 3]).toArray()); // [ 1, 3 ]
 * ```
 * Source: numpy.compress
 */
export function compress(
  condition: ArrayLike,
  a: ArrayLike,
  ...args: Args<[axis: number | null], { readonly axis?: number | null }>
): NDArray {
  const options = keywords<{ axis?: number | null }>("compress", ["axis"], args);
  const { x, axis } = axisOrFlat("compress", toNodeOf("compress", a), options.axis ?? null);
  const mask = toNodeOf("compress", condition, x.device);
  if (mask.shape.length !== 1) {
    throw new ShapeError(`compress: got a condition of shape ${formatShape(mask.shape)}, expected one axis`);
  }
  const [at] = nonzeroNodes("compress", mask) as [Node];
  if (mask.shape[0]! > x.shape[axis]!) checkIndices("compress", at, axis, x.shape[axis]!);
  return wrap(takeAxis(x, at, axis));
}

/**
 * Elements where a condition holds, in one axis.
 *
 * @param condition truth values, as many as the array has elements
 * @param arr an array
 * @returns the elements chosen
 * @throws IndexError for a condition that is true beyond the array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.extract([true, false, true], [1, 2, 3]).toArray()); // [ 1, 3 ]
 * ```
 * Source: numpy.extract
 */
export function extract(condition: ArrayLike, arr: ArrayLike): NDArray {
  const x = flat(toNodeOf("extract", arr));
  const at = flatPositions("extract", toNodeOf("extract", condition, x.device));
  checkIndices("extract", at, 0, x.size);
  return wrap(ops.gather(x, [at], [0]));
}

/**
 * Elements from the first of several arrays whose condition holds.
 *
 * @param condlist bool arrays
 * @param choicelist as many arrays; all broadcast
 * @param default_ what is taken where none holds; 0 if absent
 * @returns an array of the common dtype of the choices and the default
 * @throws TypeError for conditions that are not bool, ShapeError for lists of different lengths
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.arange(4);
 * console.log(tnp.select([x.lt(1), x.gt(2)], [x, x.mul(10)], -1).toArray()); // [ 0, -1, -1, 30 ]
 * ```
 * Source: numpy.select
 */
export function select(
  condlist: readonly ArrayLike[],
  choicelist: readonly ArrayLike[],
  ...args: Args<[default_: ArrayLike], { readonly default?: ArrayLike }>
): NDArray {
  const options = keywords<{ default?: ArrayLike }>("select", ["default"], args);
  checkList("select", "condlist", condlist);
  checkList("select", "choicelist", choicelist);
  if (condlist.length !== choicelist.length || condlist.length === 0) {
    throw new ShapeError(
      `select: got ${condlist.length} conditions and ${choicelist.length} choices, expected equally many, at least one`,
    );
  }
  const { nodes } = promote("select", [...choicelist, options.default ?? 0]);
  const conditions = condlist.map((c, i) => {
    const node = toNodeOf("select", c, nodes[0]!.device);
    if (node.dtype !== "bool") throw new TypeError(`select: condition ${i} has dtype ${node.dtype}, expected bool`);
    return node;
  });
  const shape = broadcastShapes("select", ...conditions.map((c) => c.shape), ...nodes.map((x) => x.shape));
  let out = nodes.at(-1)!;
  for (let i = conditions.length - 1; i >= 0; i--) out = ops.where(conditions[i]!, nodes[i]!, out);
  return wrap(ops.broadcast(out, shape));
}
