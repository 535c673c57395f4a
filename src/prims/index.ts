/**
 * Indexing by arrays: gather, and scatter in its modes. Each is the other's gradient.
 * @module
 */
import { IndexError, ShapeError } from "../base/errors.ts";
import { formatShape, sameShape } from "../base/shape.ts";
import * as op from "../core/ops.ts";
import { type Aval, type BatchArg, newId, type Primitive, type VjpContext } from "../core/primitive.ts";
import type { PrimitiveParams, Primitives } from "../core/registry.ts";
import type { Node } from "../core/trace.ts";
import { chain, checkAxis, checkSame, num, spread } from "./kinds.ts";

/** Indices of every axis that read `positions` along one of them and stay where they are along the others. */
export function along(positions: Node, axis: number): Node[] {
  const { shape, device } = positions;
  return shape.map((_, i) => i === axis ? positions : op.iota(shape, i, "int64", device));
}

/** The shape that `gather` gives: the indices', then x's other axes. */
function gatheredShape(name: string, x: Aval, indices: readonly Aval[], axes: readonly number[]): number[] {
  const first = indices[0];
  if (first === undefined || indices.length !== axes.length) {
    throw new ShapeError(`${name}: got ${indices.length} index arrays for axes ${formatShape(axes)}`);
  }
  for (const i of indices) {
    if (i.dtype !== "int64") throw new TypeError(`${name}: got indices of dtype ${i.dtype}, expected int64`);
    if (!sameShape(i.shape, first.shape)) {
      throw new ShapeError(
        `${name}: got indices of shapes ${formatShape(first.shape)} and ${formatShape(i.shape)}, expected equal ones`,
      );
    }
  }
  axes.forEach((axis, k) => {
    checkAxis(name, axis, x);
    if (axes.indexOf(axis) !== k) throw new ShapeError(`${name}: axis ${axis} is given twice in ${formatShape(axes)}`);
    if (x.shape[axis] === 0 && !first.shape.includes(0)) {
      throw new IndexError(`${name}: cannot index axis ${axis} of size 0 in shape ${formatShape(x.shape)}`);
    }
  });
  return [...first.shape, ...x.shape.filter((_, i) => !axes.includes(i))];
}

/** x with its axis `from` moved to `to`. */
function moveAxis(x: Node, from: number, to: number): Node {
  const perm = x.shape.map((_, i) => i);
  perm.splice(from, 1);
  perm.splice(to, 0, from);
  return op.transpose(x, perm);
}

/** Indices that pick the example too: its number, then the indices of the axes behind it. */
function exampleIndices(indices: readonly BatchArg[], size: number): Node[] {
  const all = indices.map((i) => spread(i, size));
  return [op.iota(all[0]!.shape, 0, "int64", all[0]!.device), ...all];
}

const behind = (axes: readonly number[]): number[] => axes.map((a) => a + 1);

const gather: Primitive<PrimitiveParams["gather"]> = {
  id: newId(),
  name: "gather",
  kind: "index",
  infer: ([x, ...indices], { axes }) => ({ shape: gatheredShape("gather", x!, indices, axes), dtype: x!.dtype }),
  vjp: (g, { inputs: [x, ...indices], params: { axes } }) => [
    op.scatter(op.full(x!.shape, 0, g), g, indices, axes, "add"),
    ...indices.map(() => null),
  ],
  batch: ([x, ...indices], { axes }, size) => {
    const nodes = indices.map((i) => i.node);
    if (!indices.some((i) => i.batched)) {
      return moveAxis(op.gather(x!.node, nodes, behind(axes)), nodes[0]!.shape.length, 0);
    }
    if (!x!.batched) return op.gather(x!.node, indices.map((i) => spread(i, size)), axes);
    return op.gather(x!.node, exampleIndices(indices, size), [0, ...behind(axes)]);
  },
  lower: { as: "gather", axes: (params) => params.axes },
};

type ScatterParams = PrimitiveParams["scatter"];

/** Which of the updates are the last at their place: those that stay in mode "set". */
function lasting(x: Node, updates: Node, indices: readonly Node[], axes: readonly number[]): Node {
  const rank = indices[0]!.shape.length;
  const count = op.iota([indices[0]!.size], 0, "int64", x.device);
  const tail = updates.shape.slice(rank).map(() => 1);
  const ids = op.broadcast(op.reshape(count, [...indices[0]!.shape, ...tail]), updates.shape);
  const none = op.broadcast(op.scalar(-1, "int64", x.device), x.shape);
  return op.equal(op.gather(op.scatter(none, ids, indices, axes, "set"), indices, axes), ids);
}

const zeros = (x: Node): Node => op.full(x.shape, 0, x);

type ScatterRule = (g: Node, ctx: VjpContext<ScatterParams>, indices: readonly Node[]) => Node;

/** An extreme's cotangent goes in equal parts to all that reach it: the part of each, and who they are. */
function share(
  g: Node,
  { inputs: [x, u], output, params: { axes } }: VjpContext<ScatterParams>,
  indices: readonly Node[],
) {
  const fromX = op.equal(x!, output);
  const fromU = op.equal(u!, op.gather(output, indices, axes));
  const count = op.scatter(op.cast(fromX, g.dtype), op.cast(fromU, g.dtype), indices, axes, "add");
  return { fromX, fromU, part: op.div(g, count) };
}

const extreme: { readonly x: ScatterRule; readonly updates: ScatterRule } = {
  x: (g, ctx, indices) => {
    const { fromX, part } = share(g, ctx, indices);
    return op.where(fromX, part, num(g, 0));
  },
  updates: (g, ctx, indices) => {
    const { fromU, part } = share(g, ctx, indices);
    return op.where(fromU, op.gather(part, indices, ctx.params.axes), num(g, 0));
  },
};

/** The product of the other updates at the place of each: by the nonzero ones, unless another one is zero. */
function otherUpdates(x: Node, u: Node, indices: readonly Node[], axes: readonly number[]): Node {
  const isZero = op.equal(u, num(u, 0));
  const count = op.cast(isZero, u.dtype);
  const safe = op.where(isZero, num(u, 1), u);
  const product = op.gather(op.scatter(op.full(x.shape, 1, u), safe, indices, axes, "multiply"), indices, axes);
  const blanks = op.gather(op.scatter(zeros(x), count, indices, axes, "add"), indices, axes);
  return op.where(op.equal(blanks, count), op.div(product, safe), num(u, 0));
}

/** The cotangents of x and of the updates, in each mode. */
const scatterVjps: Readonly<Record<ScatterParams["mode"], { readonly x: ScatterRule; readonly updates: ScatterRule }>> =
  {
    add: { x: (g) => g, updates: (g, { params: { axes } }, indices) => op.gather(g, indices, axes) },
    set: {
      x: (g, { inputs: [, u], params: { axes } }, indices) => op.scatter(g, zeros(u!), indices, axes, "set"),
      updates: (g, { inputs: [x, u], params: { axes } }, indices) =>
        op.where(lasting(x!, u!, indices, axes), op.gather(g, indices, axes), num(g, 0)),
    },
    multiply: {
      x: (g, { inputs: [, u], params: { axes } }, indices) => op.scatter(g, op.conj(u!), indices, axes, "multiply"),
      updates: (g, { inputs: [x, u], params: { axes } }, indices) =>
        chain(op.gather(chain(g, x!), indices, axes), otherUpdates(x!, u!, indices, axes)),
    },
    min: extreme,
    max: extreme,
  };

const scatter: Primitive<ScatterParams> = {
  id: newId(),
  name: "scatter",
  kind: "index",
  infer: ([x, updates, ...indices], { axes }) => {
    checkSame("scatter", x!, updates!);
    const expected = gatheredShape("scatter", x!, indices, axes);
    if (!sameShape(updates!.shape, expected)) {
      throw new ShapeError(
        `scatter: got updates of shape ${formatShape(updates!.shape)}, expected ${formatShape(expected)}`,
      );
    }
    return { shape: x!.shape, dtype: x!.dtype };
  },
  vjp: (g, ctx) => {
    const [, , ...indices] = ctx.inputs;
    const rule = scatterVjps[ctx.params.mode];
    return [
      ctx.needs[0] ? rule.x(g, ctx, indices) : null,
      ctx.needs[1] ? rule.updates(g, ctx, indices) : null,
      ...indices.map(() => null),
    ];
  },
  batch: ([x, updates, ...indices], { axes, mode }, size) => {
    const base = spread(x!, size), u = spread(updates!, size);
    if (indices.some((i) => i.batched)) {
      return op.scatter(base, u, exampleIndices(indices, size), [0, ...behind(axes)], mode);
    }
    const nodes = indices.map((i) => i.node);
    return op.scatter(base, moveAxis(u, 0, nodes[0]!.shape.length), nodes, behind(axes), mode);
  },
  lower: { as: "scatter", axes: (params) => params.axes, mode: (params) => params.mode },
};

/** The records of indexing. */
export const indexRecords = { gather, scatter } satisfies Partial<Primitives>;
