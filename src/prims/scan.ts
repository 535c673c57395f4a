/**
 * The running reductions along one axis.
 * @module
 */
import { dtypeInfo } from "../base/dtype.ts";
import * as op from "../core/ops.ts";
import type { Primitive } from "../core/primitive.ts";
import type { Primitives, ScanName, ScanParams } from "../core/registry.ts";
import type { Node } from "../core/trace.ts";
import { chain, num, running } from "./kinds.ts";
import { extremeMonoid, prodMonoid, sumMonoid } from "./monoids.ts";
import { along } from "./index.ts";

const ones = (x: Node): number[] => x.shape.map(() => 1);
const at = (x: Node, axis: number, start: number): number[] => x.shape.map((_, i) => i === axis ? start : 0);

/** x moved by `by` places along an axis (negative: towards its start), zeros in the places left free. */
function shifted(x: Node, axis: number, by: number): Node {
  const n = x.shape[axis]!;
  if (Math.abs(by) >= n) return op.full(x.shape, 0, x);
  const part = op.slice(x, at(x, axis, Math.max(0, -by)), x.shape.with(axis, n - Math.abs(by)), ones(x));
  return op.pad(part, x.shape, at(x, axis, Math.max(0, by)), ones(x));
}

/** The product of the elements before each (after each, if `reverse`); 1 where there is none. */
export function exclusiveProduct(x: Node, axis: number, reverse: boolean): Node {
  const n = x.shape[axis]!;
  if (n === 0) return x;
  const first = op.equal(op.iota(x.shape, axis, "int64", x.device), op.scalar(reverse ? n - 1 : 0, "int64", x.device));
  return op.cumprod(op.where(first, num(x, 1), shifted(x, axis, reverse ? -1 : 1)), axis, reverse);
}

/**
 * The cotangent of x_j is P_j R_j, with P_j the product before j and R_j = g_j + x_(j+1) R_(j+1) a linear recurrence. That is
 * solved by doubling, without dividing by x: zeros do no harm, and it can be differentiated again.
 */
function cumprodVjp(g: Node, x: Node, _y: Node, { axis, reverse }: ScanParams): Node {
  const towards = reverse ? 1 : -1;
  let factor = op.conj(shifted(x, axis, towards));
  let total = g;
  for (let d = 1; d < x.shape[axis]!; d *= 2) {
    if (d > 1) factor = op.mul(factor, shifted(factor, axis, towards * (d / 2)));
    total = op.add(total, op.mul(factor, shifted(total, axis, towards * d)));
  }
  return chain(total, exclusiveProduct(x, axis, reverse));
}

/** The cotangent of a running extreme goes to the element that set it. */
function extremeVjp(g: Node, x: Node, y: Node, { axis, reverse }: ScanParams): Node {
  const place = op.iota(x.shape, axis, "int64", x.device);
  const set = op.or(op.equal(x, y), op.isnan(x));
  const none = op.scalar(reverse ? x.shape[axis]! : -1, "int64", x.device);
  const source = (reverse ? op.cummin : op.cummax)(op.where(set, place, none), axis, reverse);
  return op.scatter(op.full(x.shape, 0, g), g, along(source, axis), x.shape.map((_, i) => i), "add");
}

const extremum = (name: "cummax" | "cummin"): Primitive<ScanParams> =>
  running(name, {
    accepts: "biufc",
    monoid: (b, { dtype }) => extremeMonoid(b, name === "cummax" ? "max" : "min", dtype, dtypeInfo(dtype).scalar),
    vjp: extremeVjp,
  });

/** The records of the running reductions. */
export const scanRecords = {
  cumsum: running("cumsum", {
    accepts: "iufc",
    monoid: (b, { dtype }) => sumMonoid(b, dtype, dtypeInfo(dtype).scalar),
    vjp: (g, _x, _y, { axis, reverse }) => op.cumsum(g, axis, !reverse),
  }),
  cumprod: running("cumprod", {
    accepts: "iufc",
    monoid: (b, { dtype }) => prodMonoid(b, dtype, dtypeInfo(dtype).scalar),
    vjp: cumprodVjp,
  }),
  cummax: extremum("cummax"),
  cummin: extremum("cummin"),
} satisfies Pick<Primitives, ScanName>;
