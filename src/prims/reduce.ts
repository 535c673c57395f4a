/**
 * The reductions. Half precisions accumulate sums and products in float32; complex numbers are joint running values.
 * @module
 */
import { type DType, dtypeInfo, isComplex, type ScalarType } from "../base/dtype.ts";
import { sizeOf } from "../base/shape.ts";
import type { Expr } from "../../kernels/expr.ts";
import * as op from "../core/ops.ts";
import type { Emitter, Primitive, Value } from "../core/primitive.ts";
import type { Primitives, ReduceName, ReduceParams } from "../core/registry.ts";
import type { Node } from "../core/trace.ts";
import { accumulator, chain, keep, num, reduction, toValue } from "./kinds.ts";
import { argMonoid, extremeMonoid, prodMonoid, sumMonoid, truthMonoid } from "./monoids.ts";
import { exclusiveProduct } from "./scan.ts";

/** Accumulates in a wider dtype than the elements'. */
const widened = {
  feed: ({ b }: Emitter, x: Value): readonly Expr[] => x.map((e) => b.cast(e, accumulator(e.dtype))),
  finish: ({ b }: Emitter, acc: readonly Expr[], out: { readonly dtype: DType }): Value =>
    toValue(acc.map((e) => isComplex(out.dtype) ? e : b.cast(e, out.dtype as ScalarType))),
};

/** The first of the largest or smallest, as a position. */
function arg(name: "argmax" | "argmin"): Primitive<ReduceParams> {
  return reduction(name, {
    accepts: "biufc",
    dtype: "int64",
    positional: true,
    monoid: (b, { dtype }) => argMonoid(b, name, dtype, dtypeInfo(dtype).scalar),
    feed: (_e, x, position) => [...x, position],
    finish: (_e, acc) => [acc.at(-1)!],
    vjp: null,
  });
}

/** The gradient of an extreme goes to where it was found, in equal parts. */
function extremeVjp(g: Node, x: Node, y: Node, axes: readonly number[]): Node {
  const found = op.equal(x, keep(y, x, axes));
  const count = keep(op.sum(op.cast(found, x.dtype), axes), x, axes);
  return op.where(found, op.div(keep(g, x, axes), count), num(g, 0));
}

/** An extreme over axes. */
function extremum(name: "max" | "min"): Primitive<ReduceParams> {
  return reduction(name, {
    accepts: "biufc",
    monoid: (b, { dtype }) => extremeMonoid(b, name, dtype, dtypeInfo(dtype).scalar),
    vjp: extremeVjp,
  });
}

/** A product's derivative is the product of the others: those before and those after, so that zeros do no harm. */
function prodVjp(g: Node, x: Node, _y: Node, axes: readonly number[]): Node {
  const kept = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const perm = [...kept, ...axes];
  const moved = op.transpose(x, perm);
  const lines = op.reshape(moved, [...kept.map((i) => x.shape[i]!), sizeOf(axes.map((i) => x.shape[i]!))]);
  const axis = kept.length;
  const others = op.mul(exclusiveProduct(lines, axis, false), exclusiveProduct(lines, axis, true));
  const inverse = new Array<number>(perm.length);
  perm.forEach((p, i) => inverse[p] = i);
  return chain(keep(g, x, axes), op.transpose(op.reshape(others, moved.shape), inverse));
}

const truth = (name: "any" | "all"): Primitive<ReduceParams> =>
  reduction(name, {
    accepts: "b",
    monoid: (b) => truthMonoid(b, name),
    vjp: null,
  });

/** The records of the reductions. */
export const reduceRecords = {
  sum: reduction("sum", {
    accepts: "iufc",
    monoid: (b, { dtype }) => sumMonoid(b, dtype, accumulator(dtype)),
    ...widened,
    vjp: (g, x, _y, axes) => op.broadcast(keep(g, x, axes), x.shape),
  }),
  prod: reduction("prod", {
    accepts: "iufc",
    monoid: (b, { dtype }) => prodMonoid(b, dtype, accumulator(dtype)),
    ...widened,
    vjp: prodVjp,
  }),
  max: extremum("max"),
  min: extremum("min"),
  any: truth("any"),
  all: truth("all"),
  argmax: arg("argmax"),
  argmin: arg("argmin"),
} satisfies Pick<Primitives, ReduceName>;
