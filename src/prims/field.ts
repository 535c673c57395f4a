/**
 * Real arithmetic on expressions of one floating dtype: the notation that the formulas of src/prims/complex.ts are written in.
 * @module
 */
import type { ScalarType } from "../base/dtype.ts";
import type { BinaryOp, Expr, ExprBuilder, UnaryOp } from "../../kernels/expr.ts";

/** Expressions of one dtype, by the names the operations have on paper. */
export class Field {
  readonly b: ExprBuilder;
  readonly dtype: ScalarType;

  constructor(b: ExprBuilder, dtype: ScalarType) {
    this.b = b;
    this.dtype = dtype;
  }

  /** A number that belongs to a formula. */
  c(value: number): Expr {
    return this.b.const(this.dtype, this.dtype === "float32" ? Math.fround(value) : value);
  }

  /** A number that differs with the precision: for float32, for float64. */
  by(single: number, double: number): Expr {
    return this.c(this.dtype === "float32" ? single : double);
  }

  f(op: Exclude<UnaryOp, "cast">, x: Expr): Expr {
    return this.b.unary(op, x);
  }

  f2(op: BinaryOp, x: Expr, y: Expr): Expr {
    return this.b.binary(op, x, y);
  }

  add(x: Expr, y: Expr): Expr {
    return this.b.binary("add", x, y);
  }

  sub(x: Expr, y: Expr): Expr {
    return this.b.binary("sub", x, y);
  }

  mul(x: Expr, y: Expr): Expr {
    return this.b.binary("mul", x, y);
  }

  div(x: Expr, y: Expr): Expr {
    return this.b.binary("div", x, y);
  }

  neg(x: Expr): Expr {
    return this.b.unary("neg", x);
  }

  abs(x: Expr): Expr {
    return this.b.unary("abs", x);
  }

  square(x: Expr): Expr {
    return this.b.binary("mul", x, x);
  }

  /** The magnitude of x with y's sign. */
  sign(x: Expr, y: Expr): Expr {
    return this.b.binary("copysign", x, y);
  }

  lt(x: Expr, y: Expr): Expr {
    return this.b.binary("lt", x, y);
  }

  le(x: Expr, y: Expr): Expr {
    return this.b.binary("le", x, y);
  }

  eq(x: Expr, y: Expr): Expr {
    return this.b.binary("eq", x, y);
  }

  and(x: Expr, y: Expr): Expr {
    return this.b.binary("and", x, y);
  }

  or(x: Expr, y: Expr): Expr {
    return this.b.binary("or", x, y);
  }

  not(x: Expr): Expr {
    return this.b.unary("not", x);
  }

  nan(x: Expr): Expr {
    return this.b.unary("isnan", x);
  }

  inf(x: Expr): Expr {
    return this.b.unary("isinf", x);
  }

  finite(x: Expr): Expr {
    return this.b.unary("isfinite", x);
  }

  where(c: Expr, x: Expr, y: Expr): Expr {
    return this.b.where(c, x, y);
  }
}
