/**
 * How a scatter combines what is in memory (`acc`) with what comes (`val`), as expressions.
 * @module
 */
import type { ScalarType } from "../src/base/dtype.ts";
import type { Expr, ExprBuilder } from "./expr.ts";
import type { ScatterMode } from "./kernel.ts";

/**
 * The new components of an element.
 *
 * @param dtypes One dtype, or two equal ones for a complex element
 */
export function scatterCombine(b: ExprBuilder, mode: ScatterMode, dtypes: readonly ScalarType[]): Expr[] {
  const acc = dtypes.map((d, j) => b.make("acc", d, [], j));
  const val = dtypes.map((d, j) => b.make("val", d, [], j));
  if (mode === "set") return val;
  if (mode === "add") return acc.map((a, j) => b.binary("add", a, val[j]!));
  const [a, c] = acc as [Expr, Expr], [v, w] = val as [Expr, Expr];
  if (dtypes.length === 1) return [b.binary(mode === "multiply" ? "mul" : mode, a, v)];
  if (mode === "multiply") {
    const mul = (x: Expr, y: Expr) => b.binary("mul", x, y);
    return [b.binary("sub", mul(a, v), mul(c, w)), b.binary("add", mul(a, w), mul(c, v))];
  }
  // Lexicographic; a NaN that is there stays, one that comes wins.
  const [x, y] = mode === "min" ? [v, a] : [a, v];
  const [p, q] = mode === "min" ? [w, c] : [c, w];
  const less = b.binary("or", b.binary("lt", x, y), b.binary("and", b.binary("eq", x, y), b.binary("lt", p, q)));
  const nan = (s: Expr, t: Expr) => b.binary("or", b.unary("isnan", s), b.unary("isnan", t));
  const take = b.binary("and", b.unary("not", nan(a, c)), b.binary("or", nan(v, w), less));
  return [b.where(take, v, a), b.where(take, w, c)];
}
