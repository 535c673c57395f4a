/**
 * Products of vectors, matrices and tensors.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import { AxisError, ShapeError } from "../base/errors.ts";
import { broadcastShapes, formatShape, normalizeAxes, normalizeAxis, sizeOf } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, type NDArray, wrap } from "../array.ts";
import { checkInt, checkInts, keywords, within } from "./args.ts";
import { promote } from "./convert.ts";

/** A product and sum of bools is a logical one; they are counted as integers and told from zero at the end. */
function throughIntegers(dtype: DType, xs: readonly Node[], product: (...xs: Node[]) => Node): Node {
  if (dtype !== "bool") return product(...xs);
  const counts = product(...xs.map((x) => ops.cast(x, "int64")));
  return ops.cast(counts, "bool");
}

/**
 * The matrix product of nodes of one dtype as NumPy's `matmul` has it: a 1-d operand is a row on the left, a column on the
 * right, and loses that axis again; leading axes broadcast.
 */
export function matmulNodes(name: string, x: Node, y: Node): Node {
  if (x.shape.length === 0 || y.shape.length === 0) {
    throw new ShapeError(
      `${name}: got shapes ${formatShape(x.shape)} and ${
        formatShape(y.shape)
      }, expected at least one axis each; use multiply for scalars`,
    );
  }
  const a = x.shape.length === 1 ? ops.reshape(x, [1, x.size]) : x;
  const b = y.shape.length === 1 ? ops.reshape(y, [y.size, 1]) : y;
  const k = a.shape.at(-1)!;
  if (k !== b.shape.at(-2)) {
    throw new ShapeError(
      `${name}: got shapes ${formatShape(x.shape)} and ${formatShape(y.shape)}, expected ${k} rows in the second`,
    );
  }
  const out = within(name, () => throughIntegers(x.dtype, [a, b], (u, v) => ops.matmul(u!, v!)));
  if (a === x && b === y) return out;
  const batch = out.shape.slice(0, -2);
  if (a === x) batch.push(out.shape.at(-2)!);
  if (b === y) batch.push(out.shape.at(-1)!);
  return ops.reshape(out, batch);
}

/**
 * The matrix product of two arrays; leading axes broadcast, 1-d operands are vectors.
 *
 * @param x1 `[..., m, k]`, or `[k]`
 * @param x2 `[..., k, n]`, or `[k]`
 * @returns `[..., m, n]`, without the axes of vectors
 * @throws ShapeError for 0-d operands and for inner lengths that differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.matmul([[1, 2], [3, 4]], [1, 1]).toArray()); // [ 3, 7 ]
 * ```
 * Source: numpy.matmul
 */
export function matmul(x1: ArrayLike, x2: ArrayLike): NDArray {
  const { nodes: [x, y] } = promote("matmul", [x1, x2]);
  return wrap(matmulNodes("matmul", x!, y!));
}

/**
 * The dot product: of vectors their inner product, of matrices the matrix product, of scalars the product; else the sum over the
 * last axis of `a` and the second-to-last of `b`.
 *
 * @param a an array
 * @param b an array
 * @returns the product, with the axes of `a` before those of `b`
 * @throws ShapeError for lengths that differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.dot([1, 2, 3], [4, 5, 6]).item()); // 32
 * ```
 * Source: numpy.dot
 */
export function dot(a: ArrayLike, b: ArrayLike): NDArray {
  const { nodes, dtype } = promote("dot", [a, b]);
  const [x, y] = nodes as [Node, Node];
  if (x.shape.length === 0 || y.shape.length === 0) return wrap(dtype === "bool" ? ops.and(x, y) : ops.mul(x, y));
  if (x.shape.length <= 2 && y.shape.length <= 2) return wrap(matmulNodes("dot", x, y));
  return wrap(contract("dot", x, y, [x.shape.length - 1], [Math.max(y.shape.length - 2, 0)]));
}

/**
 * The dot product of two arrays taken as vectors, the first one conjugated.
 *
 * @param a an array of any shape
 * @param b an array of the same size
 * @returns a 0-d array
 * @throws ShapeError for sizes that differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.vdot([[1, 2], [3, 4]], [[1, 0], [0, 1]]).item()); // 5
 * ```
 * Source: numpy.vdot
 */
export function vdot(a: ArrayLike, b: ArrayLike): NDArray {
  const { nodes } = promote("vdot", [a, b]);
  const [x, y] = nodes as [Node, Node];
  if (x.size !== y.size) throw new ShapeError(`vdot: got ${x.size} and ${y.size} elements, expected equally many`);
  return wrap(contract("vdot", ops.conj(ops.reshape(x, [x.size])), ops.reshape(y, [y.size]), [0], [0]));
}

/**
 * The dot product of vectors along an axis, the first one conjugated; the other axes broadcast.
 *
 * @param x1 vectors
 * @param x2 vectors
 * @param axis the axis of the vectors in both, counted from the end; -1 if absent
 * @returns the products
 * @throws ShapeError for lengths that differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.vecdot([[1, 2], [3, 4]], [1, 1]).toArray()); // [ 3, 7 ]
 * ```
 * Source: numpy.vecdot
 */
export function vecdot(
  x1: ArrayLike,
  x2: ArrayLike,
  ...args: Args<[axis: number], { readonly axis?: number }>
): NDArray {
  const { axis = -1 } = keywords<{ axis?: number }>("vecdot", ["axis"], args);
  const { nodes } = promote("vecdot", [x1, x2]);
  const [x, y] = nodes.map((n) => toLast(n, normalizeAxis("vecdot", axis, n.shape.length))) as [Node, Node];
  if (x.shape.at(-1) !== y.shape.at(-1)) {
    throw new ShapeError(`vecdot: got shapes ${formatShape(x.shape)} and ${formatShape(y.shape)} along axis ${axis}`);
  }
  const row = ops.expand(ops.conj(x), [x.shape.length - 1]);
  const column = ops.expand(y, [y.shape.length]);
  const out = matmulNodes("vecdot", row, column);
  return wrap(ops.reshape(out, out.shape.slice(0, -2)));
}

function toLast(x: Node, axis: number): Node {
  const rest = x.shape.map((_, d) => d).filter((d) => d !== axis);
  return ops.transpose(x, [...rest, axis]);
}

/**
 * The inner product over the last axes of two arrays.
 *
 * @param a an array
 * @param b an array whose last axis is as long
 * @returns shape `a.shape[:-1] + b.shape[:-1]`; of scalars their product
 * @throws ShapeError for lengths that differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.inner([[1, 2], [3, 4]], [1, 1]).toArray()); // [ 3, 7 ]
 * ```
 * Source: numpy.inner
 */
export function inner(a: ArrayLike, b: ArrayLike): NDArray {
  const { nodes, dtype } = promote("inner", [a, b]);
  const [x, y] = nodes as [Node, Node];
  if (x.shape.length === 0 || y.shape.length === 0) return wrap(dtype === "bool" ? ops.and(x, y) : ops.mul(x, y));
  return wrap(contract("inner", x, y, [x.shape.length - 1], [y.shape.length - 1]));
}

/**
 * The products of every element of one vector with every element of another.
 *
 * @param a an array, taken as a vector of m
 * @param b an array, taken as a vector of n
 * @returns shape `[m, n]`
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.outer([1, 2], [3, 4]).toArray()); // [ [ 3, 4 ], [ 6, 8 ] ]
 * ```
 * Source: numpy.outer
 */
export function outer(a: ArrayLike, b: ArrayLike): NDArray {
  const { nodes, dtype } = promote("outer", [a, b]);
  const [x, y] = nodes as [Node, Node];
  const column = ops.reshape(x, [x.size, 1]), row = ops.reshape(y, [1, y.size]);
  return wrap(dtype === "bool" ? ops.and(column, row) : ops.mul(column, row));
}

/** How many axes `tensordot` sums over, or which ones of each array. */
export type TensordotAxes = number | readonly [number | readonly number[], number | readonly number[]];

/**
 * The sum of products over some axes of two arrays.
 *
 * @param a an array
 * @param b an array
 * @param axes a number n: the last n axes of `a` and the first n of `b`; or two lists of axes; 2 if absent
 * @returns the axes of `a` that are left, then those of `b`
 * @throws ShapeError for lengths that differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.tensordot(tnp.ones([2, 3, 4]), tnp.ones([3, 4, 5]), 2).shape); // [ 2, 5 ]
 * ```
 * Source: numpy.tensordot
 */
export function tensordot(
  a: ArrayLike,
  b: ArrayLike,
  ...args: Args<[axes: TensordotAxes], { readonly axes?: TensordotAxes }>
): NDArray {
  const { axes = 2 } = keywords<{ axes?: TensordotAxes }>("tensordot", ["axes"], args);
  const { nodes } = promote("tensordot", [a, b]);
  const [x, y] = nodes as [Node, Node];
  if (Array.isArray(axes)) {
    if (axes.length !== 2) throw new TypeError(`tensordot: got ${axes.length} lists of axes, expected 2`);
    const [of1, of2] = Array.from(axes, (list) => checkInts("tensordot", "axes", list));
    if (of1!.length !== of2!.length) {
      throw new ShapeError(`tensordot: got ${of1!.length} and ${of2!.length} axes, expected equally many`);
    }
    normalizeAxes("tensordot", of1!, x.shape.length);
    normalizeAxes("tensordot", of2!, y.shape.length);
    const place = (list: readonly number[], n: Node) => list.map((d) => normalizeAxis("tensordot", d, n.shape.length));
    return wrap(contract("tensordot", x, y, place(of1!, x), place(of2!, y)));
  }
  const n = checkInt("tensordot", "axes", axes);
  if (n < 0 || n > x.shape.length || n > y.shape.length) {
    throw new AxisError(
      `tensordot: got axes ${n} for shapes ${formatShape(x.shape)} and ${
        formatShape(y.shape)
      }, expected at most the fewer axes`,
    );
  }
  const first = Array.from({ length: n }, (_, i) => i);
  return wrap(contract("tensordot", x, y, first.map((i) => x.shape.length - n + i), first));
}

/** The sum of products over pairs of axes, as one matrix product: the other axes of x, then those of y. */
export function contract(name: string, x: Node, y: Node, axesX: readonly number[], axesY: readonly number[]): Node {
  axesX.forEach((d, i) => {
    if (x.shape[d] === y.shape[axesY[i]!]) return;
    throw new ShapeError(
      `${name}: got shapes ${formatShape(x.shape)} and ${formatShape(y.shape)}, axis ${d} of the first and ${
        axesY[i]
      } of the second must be equally long`,
    );
  });
  const keptX = x.shape.map((_, d) => d).filter((d) => !axesX.includes(d));
  const keptY = y.shape.map((_, d) => d).filter((d) => !axesY.includes(d));
  const left = keptX.map((d) => x.shape[d]!), right = keptY.map((d) => y.shape[d]!);
  const k = sizeOf(axesX.map((d) => x.shape[d]!));
  const rows = ops.reshape(ops.transpose(x, [...keptX, ...axesX]), [sizeOf(left), k]);
  const columns = ops.reshape(ops.transpose(y, [...axesY, ...keptY]), [k, sizeOf(right)]);
  return ops.reshape(throughIntegers(x.dtype, [rows, columns], (u, v) => ops.matmul(u!, v!)), [...left, ...right]);
}

/**
 * The Kronecker product: blocks of `b` scaled by the elements of `a`.
 *
 * @param a an array
 * @param b an array; the one with fewer axes gets axes of length 1 in front
 * @returns each axis as long as the product of both
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.kron([1, 10], [1, 2]).toArray()); // [ 1, 2, 10, 20 ]
 * ```
 * Source: numpy.kron
 */
export function kron(a: ArrayLike, b: ArrayLike): NDArray {
  const { nodes, dtype } = promote("kron", [a, b]);
  const [x, y] = nodes as [Node, Node];
  const rank = Math.max(x.shape.length, y.shape.length);
  const full = (n: Node) => [...new Array<number>(rank - n.shape.length).fill(1), ...n.shape];
  const left = full(x), right = full(y);
  const spreadX = ops.reshape(x, left.flatMap((n) => [n, 1]));
  const spreadY = ops.reshape(y, right.flatMap((n) => [1, n]));
  const out = dtype === "bool" ? ops.and(spreadX, spreadY) : ops.mul(spreadX, spreadY);
  return wrap(ops.reshape(out, left.map((n, d) => n * right[d]!)));
}

/** Keywords of `cross`. */
export interface CrossOptions {
  /** The axis of the vectors in the first array; -1 if absent. */
  readonly axisa?: number | undefined;
  /** The axis of the vectors in the second array; -1 if absent. */
  readonly axisb?: number | undefined;
  /** The axis of the vectors in the result; -1 if absent. */
  readonly axisc?: number | undefined;
  /** The axis of the vectors in both arrays and the result; overrides the others. */
  readonly axis?: number | null | undefined;
}

/**
 * The cross product of vectors of length 3, or 2 with the third component taken as zero.
 *
 * @param a vectors
 * @param b vectors
 * @param axisa the axis of the vectors in `a`; -1 if absent
 * @param axisb the axis of the vectors in `b`; -1 if absent
 * @param axisc where the vectors' axis goes in the result; -1 if absent
 * @param axis one axis for all three
 * @returns the products; of vectors of length 2 only the third component
 * @throws ShapeError for vectors of other lengths
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.cross([1, 0, 0], [0, 1, 0]).toArray()); // [ 0, 0, 1 ]
 * ```
 * Source: numpy.cross
 */
export function cross(
  a: ArrayLike,
  b: ArrayLike,
  ...args: Args<[axisa: number, axisb: number, axisc: number, axis: number | null], CrossOptions>
): NDArray {
  const options = keywords<CrossOptions>("cross", ["axisa", "axisb", "axisc", "axis"], args);
  const { axis = null } = options;
  const { axisa = -1, axisb = -1, axisc = -1 } = axis === null ? options : { axisa: axis, axisb: axis, axisc: axis };
  const { nodes, dtype } = promote("cross", [a, b]);
  if (dtype === "bool") throw new TypeError("cross: dtype bool is not supported; cast to an integer dtype");
  const [x, y] = nodes as [Node, Node];
  if (x.shape.length === 0 || y.shape.length === 0) {
    throw new ShapeError(`cross: got shapes ${formatShape(x.shape)} and ${formatShape(y.shape)}, expected vectors`);
  }
  const u = toLast(x, normalizeAxis("cross", axisa, x.shape.length));
  const v = toLast(y, normalizeAxis("cross", axisb, y.shape.length));
  const m = u.shape.at(-1)!, n = v.shape.at(-1)!;
  if ((m !== 2 && m !== 3) || (n !== 2 && n !== 3)) {
    throw new ShapeError(`cross: got vectors of length ${m} and ${n}, expected 2 or 3`);
  }
  const shape = broadcastShapes("cross", u.shape.slice(0, -1), v.shape.slice(0, -1));
  const part = (w: Node, i: number): Node | null => {
    const last = w.shape.length - 1;
    if (i >= w.shape[last]!) return null;
    const starts = w.shape.map((_, d) => d === last ? i : 0);
    const lengths = w.shape.map((length, d) => d === last ? 1 : length);
    return ops.reshape(ops.slice(w, starts, lengths, w.shape.map(() => 1)), w.shape.slice(0, -1));
  };
  const times = (i: number, j: number): Node | null => {
    const p = part(u, i), q = part(v, j);
    return p === null || q === null ? null : ops.mul(p, q);
  };
  const component = (i: number, j: number): Node => {
    const p = times(i, j), q = times(j, i);
    const c = p === null ? (q === null ? null : ops.neg(q)) : q === null ? p : ops.sub(p, q);
    return ops.broadcast(c ?? ops.full([], 0, u), shape);
  };
  if (m === 2 && n === 2) return wrap(component(0, 1));
  const parts = [component(1, 2), component(2, 0), component(0, 1)];
  const out = ops.concatenate(parts.map((c) => ops.expand(c, [shape.length])), shape.length);
  const to = normalizeAxis("cross", axisc, out.shape.length);
  const perm = out.shape.map((_, d) => d).slice(0, -1);
  perm.splice(to, 0, out.shape.length - 1);
  return wrap(ops.transpose(out, perm));
}
