/**
 * The monoids of reductions and running reductions, over the parts of numbers of any dtype.
 * @module
 */
import { type DType, dtypeInfo, isComplex, isFloat, type ScalarType } from "../base/dtype.ts";
import type { Expr, ExprBuilder } from "../../kernels/expr.ts";
import type { Monoid } from "../../kernels/kernel.ts";
import * as z from "./complex.ts";
import { type Combine, monoid } from "./kinds.ts";

/** A whole number as a literal of a dtype. */
const literal = (dtype: ScalarType, value: number): number | bigint =>
  dtypeInfo(dtype).itemsize === 8 && !isFloat(dtype) ? BigInt(value) : value;

/** The smallest (sign -1) or largest value of a dtype. */
function extreme(dtype: ScalarType, sign: -1 | 1): number | bigint | boolean {
  const { kind, itemsize } = dtypeInfo(dtype);
  if (kind === "b") return sign > 0;
  if (kind === "f") return sign * Infinity;
  const bits = BigInt(itemsize * 8);
  const value = kind === "u"
    ? (sign > 0 ? (1n << bits) - 1n : 0n)
    : sign > 0
    ? (1n << (bits - 1n)) - 1n
    : -(1n << (bits - 1n));
  return itemsize === 8 ? value : Number(value);
}

/** The sum of numbers of a dtype. */
export function sumMonoid(b: ExprBuilder, dtype: DType, t: ScalarType): Monoid {
  const part = { dtype: t, init: literal(t, 0) };
  return monoid(
    b,
    "sum",
    isComplex(dtype) ? [part, part] : [part],
    (f, acc, val) => acc.map((a, i) => f.add(a, val[i]!)),
  );
}

/** The product of numbers of a dtype. */
export function prodMonoid(b: ExprBuilder, dtype: DType, t: ScalarType): Monoid {
  const one = { dtype: t, init: literal(t, 1) };
  if (!isComplex(dtype)) return monoid(b, "prod", [one], (f, [a], [v]) => [f.mul(a!, v!)]);
  return monoid(
    b,
    "complexprod",
    [one, { dtype: t, init: literal(t, 0) }],
    (f, [a0, a1], [v0, v1]) => z.mul(f, [a0!, a1!], [v0!, v1!]),
  );
}

/** The larger or smaller of numbers of a dtype; NaN wins, complex numbers in lexicographic order. */
export function extremeMonoid(b: ExprBuilder, name: "max" | "min", dtype: DType, t: ScalarType): Monoid {
  const part = { dtype: t, init: extreme(t, name === "max" ? -1 : 1) };
  if (isComplex(dtype)) {
    return monoid(b, "other", [part, part], (f, [a0, a1], [v0, v1]) => {
      const a: z.Pair = [a0!, a1!], v: z.Pair = [v0!, v1!];
      const ahead = name === "max" ? z.lessEqual(f, v, a) : z.lessEqual(f, a, v);
      return z.where(f, f.or(ahead, z.isnan(f, a)), a, v);
    });
  }
  const combine: Combine = (f, [a], [v]) => [f.f2(t !== "bool" ? name : name === "max" ? "or" : "and", a!, v!)];
  return monoid(b, name, [part], combine);
}

/** The values and the position of the first of the largest or smallest. */
export function argMonoid(b: ExprBuilder, name: "argmax" | "argmin", dtype: DType, t: ScalarType): Monoid {
  const sign = name === "argmax" ? -1 : 1;
  const part = { dtype: t, init: extreme(t, sign) };
  const position = { dtype: "int64", init: extreme("int64", 1) } as const;
  const parts = isComplex(dtype) ? [part, part, position] : [part, position];
  return monoid(b, name, parts, (f, acc, val) => {
    const n = parts.length - 1;
    const earlier = f.lt(val[n]!, acc[n]!);
    let better: Expr, same: Expr;
    if (isComplex(dtype)) {
      const a: z.Pair = [acc[0]!, acc[1]!], v: z.Pair = [val[0]!, val[1]!];
      const an = z.isnan(f, a), vn = z.isnan(f, v);
      const ahead = name === "argmax" ? z.less(f, a, v) : z.less(f, v, a);
      better = f.and(f.not(an), f.or(vn, ahead));
      same = f.or(f.and(an, vn), z.equal(f, a, v));
    } else {
      const a = acc[0]!, v = val[0]!;
      better = name === "argmax" ? f.lt(a, v) : f.lt(v, a);
      same = f.eq(a, v);
      if (isFloat(dtype)) {
        better = f.and(f.not(f.nan(a)), f.or(f.nan(v), better));
        same = f.or(f.and(f.nan(a), f.nan(v)), same);
      }
    }
    const take = f.or(better, f.and(same, earlier));
    return acc.map((a, i) => f.where(take, val[i]!, a));
  });
}

/** Whether any or all are true. */
export function truthMonoid(b: ExprBuilder, name: "any" | "all"): Monoid {
  const part = { dtype: "bool", init: name === "all" } as const;
  return monoid(b, name, [part], (f, [a], [v]) => [name === "all" ? f.and(a!, v!) : f.or(a!, v!)]);
}
