/**
 * Facts about monoids that dialects ask for.
 * @module
 */
import { type Expr, ExprBuilder } from "./expr.ts";
import type { Monoid } from "./kernel.ts";

/** Tells whether a monoid is the plain sum of each of its values. */
export function isPlainSum(m: Monoid): boolean {
  return m.name === "sum" &&
    m.combine.every((e, j) => e.op === "add" && e.src.every((s) => (s.op === "acc" || s.op === "val") && s.arg === j));
}

/** The running values themselves, for kernels without an epilogue. */
export function accExprs(m: Monoid): Expr[] {
  const b = new ExprBuilder();
  return m.dtypes.map((d, j) => b.make("acc", d, [], j));
}
