/**
 * Diagonals, triangles and the arrays made of them.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import { AxisError, ShapeError } from "../base/errors.ts";
import { defaultFloat, promoteTypes } from "../base/promote.ts";
import { checkShape, formatShape, normalizeAxis } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { untraced } from "../transform/tracing.ts";
import { type Args, type ArrayLike, type DiagonalOptions, type NDArray, type TraceOptions, wrap } from "../array.ts";
import { checkDType, checkInt, keywords, within } from "./args.ts";
import { toNodeOf } from "./convert.ts";
import type { CreateOptions } from "./creation.ts";
import { allAxes, flat, sliceAxis } from "./moves.ts";
import { accumulateType } from "./reduction.ts";
import { lit, number } from "./ufunc.ts";
import { deviceFor } from "./place.ts";
import { nonzeroNodes } from "./searching.ts";

/** Keywords of `eye` and `tri`. */
export interface EyeOptions<D extends DType = DType> extends CreateOptions<D> {
  /** How many columns; as many as rows if absent. */
  readonly M?: number | null | undefined;
  /** Which diagonal: 0 the main one, positive above it. */
  readonly k?: number | undefined;
}

/** Compares column and row of each point of a matrix: `column - row` against k. */
function below(shape: readonly number[], k: number, device: Device, op: typeof ops.less_equal): Node {
  const n = shape.length;
  const row = ops.iota(shape, n - 2, "int64", device);
  const column = ops.iota(shape, n - 1, "int64", device);
  return op(column, ops.add(row, number(k, "int64", device)));
}

function squareLike(name: string, N: number, args: readonly unknown[], op: typeof ops.less_equal): NDArray {
  const options = keywords<EyeOptions>(name, ["M", "k", "dtype", "device"], args);
  const rows = checkInt(name, "N", N);
  const columns = options.M === undefined || options.M === null ? rows : checkInt(name, "M", options.M);
  // NumPy takes a negative number of rows for none.
  const shape = [Math.max(0, rows), Math.max(0, columns)];
  checkShape(name, shape);
  const dtype = options.dtype === undefined || options.dtype === null
    ? defaultFloat()
    : checkDType(name, options.dtype);
  const device = deviceFor(name, options.device) ?? currentDevice();
  const k = checkInt(name, "k", options.k ?? 0);
  return within(name, () => wrap(ops.cast(below(shape, k, device, op), dtype)));
}

/**
 * A matrix with ones on a diagonal and zeros elsewhere.
 *
 * @param N how many rows
 * @param args `M`: how many columns; `k`: which diagonal; `dtype`: float64 if absent
 * @returns a matrix
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.eye(2).toArray()); // [ [ 1, 0 ], [ 0, 1 ] ]
 * ```
 * Source: numpy.eye
 */
export function eye<D extends DType = DType>(
  N: number,
  ...args: Args<[M: number | null, k: number, dtype: D], EyeOptions<D>>
): NDArray<D> {
  if (checkInt("eye", "N", N) < 0) throw new ShapeError(`eye: negative dimensions are not allowed, got ${N}`);
  return squareLike("eye", N, args, ops.equal) as NDArray<D>;
}

/**
 * A square matrix with ones on the main diagonal.
 *
 * @param n how many rows and columns
 * @param dtype the dtype, float64 if absent
 * @returns a matrix
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.identity(2).toArray()); // [ [ 1, 0 ], [ 0, 1 ] ]
 * ```
 * Source: numpy.identity
 */
export function identity<D extends DType = DType>(
  n: number,
  ...args: Args<[dtype: D], CreateOptions<D>>
): NDArray<D> {
  const options = keywords<CreateOptions<D>>("identity", ["dtype", "device"], args);
  return within("identity", () => eye<D>(n, options));
}

/**
 * A matrix with ones at and below a diagonal and zeros above it.
 *
 * @param N how many rows
 * @param args `M`: how many columns; `k`: which diagonal; `dtype`: float64 if absent
 * @returns a matrix
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.tri(2, 3).toArray()); // [ [ 1, 0, 0 ], [ 1, 1, 0 ] ]
 * ```
 * Source: numpy.tri
 */
export function tri<D extends DType = DType>(
  N: number,
  ...args: Args<[M: number | null, k: number, dtype: D], EyeOptions<D>>
): NDArray<D> {
  return squareLike("tri", N, args, ops.less_equal) as NDArray<D>;
}

function triangle(name: string, m: ArrayLike, args: readonly unknown[], lower: boolean): NDArray {
  const { k = 0 } = keywords<{ k?: number }>(name, ["k"], args);
  const given = toNodeOf(name, m);
  if (given.shape.length === 0) throw new ShapeError(`${name}: got a 0-d array, expected at least one axis`);
  // A vector stands for as many equal rows.
  const n = given.shape.length === 1 ? given.shape[0]! : 0;
  const x = given.shape.length === 1 ? ops.broadcast(given, [n, n]) : given;
  const diagonal = checkInt(name, "k", k);
  const mask = within(name, () => below(x.shape.slice(-2), lower ? diagonal : diagonal - 1, x.device, ops.less_equal));
  const zero = lit(0, x);
  return wrap(lower ? ops.where(mask, x, zero) : ops.where(mask, zero, x));
}

/**
 * The lower triangle of matrices; zeros above it.
 *
 * @param m an array; its last two axes are the matrices
 * @param k above which diagonal zeros stand
 * @returns an array of the shape of m
 * @throws ShapeError for a 0-d array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.tril([[1, 2], [3, 4]]).toArray()); // [ [ 1, 0 ], [ 3, 4 ] ]
 * ```
 * Source: numpy.tril
 */
export function tril(m: ArrayLike, ...args: Args<[k: number], { readonly k?: number }>): NDArray {
  return triangle("tril", m, args, true);
}

/**
 * The upper triangle of matrices; zeros below it.
 *
 * @param m an array; its last two axes are the matrices
 * @param k below which diagonal zeros stand
 * @returns an array of the shape of m
 * @throws ShapeError for a 0-d array
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.triu([[1, 2], [3, 4]]).toArray()); // [ [ 1, 2 ], [ 0, 4 ] ]
 * ```
 * Source: numpy.triu
 */
export function triu(m: ArrayLike, ...args: Args<[k: number], { readonly k?: number }>): NDArray {
  return triangle("triu", m, args, false);
}

/** A diagonal of two axes, as the last axis. Row-major, its elements are `columns + 1` apart. */
function diagonalNode(name: string, x: Node, offset: number, axis1: number, axis2: number): Node {
  if (x.shape.length < 2) {
    throw new ShapeError(`${name}: got an array of shape ${formatShape(x.shape)}, expected at least 2 axes`);
  }
  const i = normalizeAxis(name, axis1, x.shape.length);
  const j = normalizeAxis(name, axis2, x.shape.length);
  if (i === j) throw new AxisError(`${name}: axis1 and axis2 are both ${i}`);
  const rest = allAxes(x).filter((axis) => axis !== i && axis !== j);
  const moved = ops.transpose(x, [...rest, i, j]);
  const [rows, columns] = [x.shape[i]!, x.shape[j]!];
  const length = Math.max(0, offset >= 0 ? Math.min(rows, columns - offset) : Math.min(rows + offset, columns));
  const lines = ops.reshape(moved, [...rest.map((axis) => x.shape[axis]!), rows * columns]);
  const start = offset >= 0 ? offset : -offset * columns;
  return sliceAxis(lines, rest.length, length === 0 ? 0 : start, length, columns + 1);
}

function diagonalArgs(name: string, names: readonly (keyof TraceOptions)[], args: readonly unknown[]) {
  const options = keywords<TraceOptions>(name, names, args);
  const int = (what: "offset" | "axis1" | "axis2", value: number): number =>
    checkInt(name, what, options[what] ?? value);
  return { offset: int("offset", 0), axis1: int("axis1", 0), axis2: int("axis2", 1), dtype: options.dtype };
}

/**
 * A diagonal of two axes.
 *
 * @param a an array of at least two axes
 * @param args `offset`: which diagonal, positive above the main one; `axis1`, `axis2`: the two axes, the first two if absent
 * @returns an array without the two axes, the diagonal as its last axis
 * @throws ShapeError, AxisError for axes that are not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.diagonal([[1, 2], [3, 4]]).toArray()); // [ 1, 4 ]
 * ```
 * Source: numpy.diagonal
 */
export function diagonal(
  a: ArrayLike,
  ...args: Args<[offset: number, axis1: number, axis2: number], DiagonalOptions>
): NDArray {
  const { offset, axis1, axis2 } = diagonalArgs("diagonal", ["offset", "axis1", "axis2"], args);
  return wrap(diagonalNode("diagonal", toNodeOf("diagonal", a), offset, axis1, axis2));
}

/**
 * The sum along a diagonal of two axes.
 *
 * @param a an array of at least two axes
 * @param args `offset`, `axis1`, `axis2` as in `diagonal`; `dtype`: the dtype to sum in and to return
 * @returns an array without the two axes
 * @throws ShapeError, AxisError for axes that are not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.trace([[1, 2], [3, 4]]).toArray()); // 5
 * ```
 * Source: numpy.trace
 */
export function trace(
  a: ArrayLike,
  ...args: Args<[offset: number, axis1: number, axis2: number, dtype: DType], TraceOptions>
): NDArray {
  const { offset, axis1, axis2, dtype } = diagonalArgs("trace", ["offset", "axis1", "axis2", "dtype"], args);
  const line = diagonalNode("trace", toNodeOf("trace", a), offset, axis1, axis2);
  const type = dtype === undefined || dtype === null ? accumulateType(line.dtype) : checkDType("trace", dtype);
  const x = ops.cast(line, type);
  const axes = [x.shape.length - 1];
  return wrap(type === "bool" ? ops.any(x, axes) : ops.sum(x, axes));
}

function diagonalMatrix(v: Node, k: number): Node {
  const n = v.shape[0]! + Math.abs(k);
  const start = k >= 0 ? k : -k * n;
  return ops.reshape(ops.pad(v, [n * n], [v.size === 0 ? 0 : start], [n + 1]), [n, n]);
}

/**
 * A diagonal of a matrix, or the matrix with a vector on a diagonal.
 *
 * @param v a matrix or a vector
 * @param k which diagonal: 0 the main one, positive above it
 * @returns a vector or a matrix
 * @throws ShapeError for an array of other than one or two axes
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.diag([1, 2]).toArray()); // [ [ 1, 0 ], [ 0, 2 ] ]
 * ```
 * Source: numpy.diag
 */
export function diag(v: ArrayLike, ...args: Args<[k: number], { readonly k?: number }>): NDArray {
  const { k = 0 } = keywords<{ k?: number }>("diag", ["k"], args);
  const x = toNodeOf("diag", v);
  const offset = checkInt("diag", "k", k);
  if (x.shape.length === 1) return within("diag", () => wrap(diagonalMatrix(x, offset)));
  if (x.shape.length === 2) return wrap(diagonalNode("diag", x, offset, 0, 1));
  throw new ShapeError(`diag: got an array of shape ${formatShape(x.shape)}, expected one or two axes`);
}

/**
 * The matrix with the elements of an array on a diagonal.
 *
 * @param v an array
 * @param k which diagonal: 0 the main one, positive above it
 * @returns a matrix
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.diagflat([[1, 2]]).toArray()); // [ [ 1, 0 ], [ 0, 2 ] ]
 * ```
 * Source: numpy.diagflat
 */
export function diagflat(v: ArrayLike, ...args: Args<[k: number], { readonly k?: number }>): NDArray {
  const { k = 0 } = keywords<{ k?: number }>("diagflat", ["k"], args);
  const x = flat(toNodeOf("diagflat", v));
  return within("diagflat", () => wrap(diagonalMatrix(x, checkInt("diagflat", "k", k))));
}

/**
 * The indices of the main diagonal of an array of equal axes.
 *
 * @param n the length of the axes
 * @param ndim how many axes, 2 if absent
 * @returns a list of ndim arrays of int64
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.diag_indices(3).map((x) => x.toArray())); // [ [ 0, 1, 2 ], [ 0, 1, 2 ] ]
 * ```
 * Source: numpy.diag_indices
 */
export function diag_indices(
  n: number,
  ...args: Args<[ndim: number], { readonly ndim?: number }>
): NDArray<"int64">[] {
  const { ndim = 2 } = keywords<{ ndim?: number }>("diag_indices", ["ndim"], args);
  const length = Math.max(0, checkInt("diag_indices", "n", n));
  const axes = checkInt("diag_indices", "ndim", ndim);
  if (axes < 0 || axes > 64) throw new ShapeError(`diag_indices: got ndim ${axes}, expected 0 to 64`);
  checkShape("diag_indices", [length]);
  const line = ops.iota([length], 0, "int64", currentDevice());
  return Array.from({ length: axes }, () => wrap<"int64">(line));
}

/** Keywords of `tril_indices` and `triu_indices`. */
export interface TriangleOptions {
  /** The distance of the diagonal from the main one; 0 if absent. */
  readonly k?: number | undefined;
  /** Columns of the matrix; as many as rows if absent. */
  readonly m?: number | null | undefined;
}

function triangleIndices(name: string, n: number, args: readonly unknown[], lower: boolean): NDArray<"int64">[] {
  const { k = 0, m } = keywords<TriangleOptions>(name, ["k", "m"], args);
  const [rows, columns] = [checkInt(name, "n", n), checkInt(name, "m", m ?? n)].map((length) => Math.max(0, length));
  const shape = [rows!, columns!];
  checkShape(name, shape);
  const diagonal = checkInt(name, "k", k);
  return within(name, () => {
    const mask = untraced(() => {
      const triangle = below(shape, lower ? diagonal : diagonal - 1, currentDevice(), ops.less_equal);
      return lower ? triangle : ops.not(triangle);
    });
    return nonzeroNodes(name, mask).map((node) => wrap<"int64">(node));
  });
}

/**
 * The indices of the lower triangle of a matrix.
 *
 * @param n how many rows
 * @param k up to which diagonal, 0 if absent
 * @param m how many columns; n if absent
 * @returns the row and the column indices, int64
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.tril_indices(2).map((x) => x.toArray())); // [ [ 0, 1, 1 ], [ 0, 0, 1 ] ]
 * ```
 * Source: numpy.tril_indices
 */
export function tril_indices(
  n: number,
  ...args: Args<[k: number, m: number | null], TriangleOptions>
): NDArray<"int64">[] {
  return triangleIndices("tril_indices", n, args, true);
}

/**
 * The indices of the upper triangle of a matrix.
 *
 * @param n how many rows
 * @param k from which diagonal on, 0 if absent
 * @param m how many columns; n if absent
 * @returns the row and the column indices, int64
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.triu_indices(2).map((x) => x.toArray())); // [ [ 0, 0, 1 ], [ 0, 1, 1 ] ]
 * ```
 * Source: numpy.triu_indices
 */
export function triu_indices(
  n: number,
  ...args: Args<[k: number, m: number | null], TriangleOptions>
): NDArray<"int64">[] {
  return triangleIndices("triu_indices", n, args, false);
}

/**
 * The matrix whose columns are the powers of a vector.
 *
 * @param x a vector
 * @param args `N`: how many columns, as many as rows if absent; `increasing`: whether powers rise from left to right
 * @returns a matrix; integers are raised in int64
 * @throws ShapeError for what is no vector
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.vander([1, 2, 3]).toArray()); // [ [ 1, 1, 1 ], [ 4, 2, 1 ], [ 9, 3, 1 ] ]
 * ```
 * Source: numpy.vander
 */
export function vander(
  x: ArrayLike,
  ...args: Args<[N: number | null, increasing: boolean], { readonly N?: number | null; readonly increasing?: boolean }>
): NDArray {
  const { N, increasing = false } = keywords<{ N?: number | null; increasing?: boolean }>(
    "vander",
    ["N", "increasing"],
    args,
  );
  const given = toNodeOf("vander", x);
  if (given.shape.length !== 1) {
    throw new ShapeError(`vander: got an array of shape ${formatShape(given.shape)}, expected one axis`);
  }
  const columns = N === undefined || N === null ? given.size : checkInt("vander", "N", N);
  checkShape("vander", [given.size, columns]);
  const v = ops.cast(given, given.dtype === "bfloat16" ? "float64" : promoteTypes("int64", given.dtype, "vander"));
  const one = ops.broadcast(lit(1, v), [v.size, Math.min(1, columns)]);
  if (columns <= 1) return wrap(one);
  const powers = ops.cumprod(ops.broadcast(ops.expand(v, [1]), [v.size, columns - 1]), 1);
  const rising = ops.concatenate([one, powers], 1);
  return wrap(increasing ? rising : sliceAxis(rising, 1, columns - 1, columns, -1));
}

/**
 * The value of a polynomial at points.
 *
 * @param p its coefficients, the highest power first
 * @param x points
 * @returns an array of the shape of x
 * @throws ShapeError for coefficients of more than one axis
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.polyval([1, 0, -1], [2, 3]).toArray()); // [ 3, 8 ]
 * ```
 * Source: numpy.polyval
 */
export function polyval(p: ArrayLike, x: ArrayLike): NDArray {
  const points = toNodeOf("polyval", x);
  const coefficients = toNodeOf("polyval", p, points.device);
  if (coefficients.shape.length !== 1) {
    throw new ShapeError(`polyval: got coefficients of shape ${formatShape(coefficients.shape)}, expected one axis`);
  }
  const dtype = promoteTypes(coefficients.dtype, points.dtype, "polyval");
  const at = ops.cast(points, dtype);
  let out = lit(0, points);
  for (let i = 0; i < coefficients.size; i++) {
    const c = ops.cast(ops.reshape(sliceAxis(coefficients, 0, i, 1), []), dtype);
    out = i === 0 ? ops.add(ops.mul(lit(0, at), at), c) : ops.add(ops.mul(out, at), c);
  }
  return wrap(ops.broadcast(out, points.shape));
}
