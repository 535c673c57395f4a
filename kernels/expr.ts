/**
 * Scalar expressions: the one language that every dialect (JavaScript, C, WebAssembly, CUDA) renders as text.
 *
 * An expression computes one scalar of one dtype for one point of a kernel's iteration space. Complex numbers do not occur
 * here: a complex value is a pair of expressions. Expressions are immutable and shared; `ExprBuilder` makes equal ones identical,
 * so a common subexpression is one object.
 * @module
 */
import type { ScalarType } from "../src/base/dtype.ts";

/** Operations without sources. */
export type LeafOp =
  /** A literal baked into the text; `arg`: its value. Only for numbers that belong to an op's definition (0.5 in a formula). */
  | "const"
  /** The kernel's scalar argument number `arg`: numbers that came from the user. */
  | "scalar"
  /** Component `arg.component` of operand `arg.operand` at the current point. */
  | "load"
  /** The element offset of virtual operand `arg` (one without memory) at the current point, as a number of `dtype`: arange, eye, counters. */
  | "iota"
  /** Result number `arg` of the kernel's reduction, in its epilogue; the running value in `combine`. */
  | "acc"
  /** Incoming value number `arg` of the reduction, in `combine`. */
  | "val";

/** Operations of one source; result has the source's dtype unless noted. */
export type UnaryOp =
  | "neg"
  | "abs"
  | "sign"
  | "not" // not: logical for bool, bitwise for integers
  | "floor"
  | "ceil"
  | "trunc"
  | "rint" // rint: half to even
  | "sqrt"
  | "cbrt"
  | "exp"
  | "exp2"
  | "expm1"
  | "log"
  | "log2"
  | "log10"
  | "log1p"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "erf"
  | "erfc"
  | "lgamma"
  | "isnan"
  | "isinf"
  | "isfinite"
  | "signbit" // to bool
  | "popcount" // set bits of |x|, to uint8
  | "cast"; // to `dtype`, as C and NumPy do; float to integer truncates, NaN and out of range like NumPy on this machine

/** Operations of two sources of one dtype; result has that dtype, comparisons give bool. */
export type BinaryOp =
  | "add"
  | "sub"
  | "mul"
  | "div" // floating only
  | "floordiv"
  | "mod" // floored, Python's sign; integer division by zero gives 0
  | "fmod" // C's sign; integer by zero gives 0
  | "pow" // integer: by squaring, wraps; floating: C's pow
  | "atan2"
  | "hypot"
  | "copysign"
  | "nextafter"
  | "max"
  | "min" // NaN wins
  | "fmax"
  | "fmin" // NaN loses
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr" // logical for bool; shifts by >= width give 0 (or -1 for a negative right shift)
  | "gcd"
  | "lt"
  | "le"
  | "eq"
  | "ne"; // to bool

/** Operations with other shapes of sources. */
export type OtherOp =
  /** `src[0] ? src[1] : src[2]`. */
  | "where"
  /** Component of an operand at an address made of the current point and the indices in `src` (int64 or int32, one per gathered axis). */
  | "gather"
  /** Word `arg` (0 or 1) of Threefry-2x32 (20 rounds, Salmon et al. 2011) with key src[0], src[1] and counter src[2], src[3]; all uint32. */
  | "threefry";

/** Every operation. */
export type Op = LeafOp | UnaryOp | BinaryOp | OtherOp;

/** The operand and component that `load` and `gather` read. */
export interface LoadArg {
  readonly operand: number;
  readonly component: 0 | 1;
}

/** What an operation carries besides its sources. */
export type Arg = number | bigint | boolean | LoadArg | null;

/** One node of a scalar expression. */
export interface Expr {
  readonly op: Op;
  readonly dtype: ScalarType;
  readonly src: readonly Expr[];
  readonly arg: Arg;
  /** Unique within the builder, rising: sources have smaller ids than their users. */
  readonly id: number;
}

/** Makes expressions such that structurally equal ones are the same object. */
export class ExprBuilder {
  #seen = new Map<string, Expr>();
  #next = 0;

  /** The expression with this op, dtype, sources and argument. */
  make(op: Op, dtype: ScalarType, src: readonly Expr[], arg: Arg = null): Expr {
    const key = `${op},${dtype},${argKey(arg)},${src.map((s) => s.id).join(",")}`;
    let e = this.#seen.get(key);
    if (e === undefined) {
      e = { op, dtype, src, arg, id: this.#next++ };
      this.#seen.set(key, e);
    }
    return e;
  }

  /** A literal of a dtype. */
  const(dtype: ScalarType, value: number | bigint | boolean): Expr {
    return this.make("const", dtype, [], value);
  }

  /** A conversion; the expression itself where the dtype is the same. */
  cast(x: Expr, dtype: ScalarType): Expr {
    return x.dtype === dtype ? x : this.make("cast", dtype, [x]);
  }

  /** A unary operation whose result has its source's dtype, or bool for the predicates, or uint8 for popcount. */
  unary(op: Exclude<UnaryOp, "cast">, x: Expr): Expr {
    const predicate = op === "isnan" || op === "isinf" || op === "isfinite" || op === "signbit";
    return this.make(op, predicate ? "bool" : op === "popcount" ? "uint8" : x.dtype, [x]);
  }

  /** A binary operation; comparisons give bool. */
  binary(op: BinaryOp, x: Expr, y: Expr): Expr {
    const comparison = op === "lt" || op === "le" || op === "eq" || op === "ne";
    return this.make(op, comparison ? "bool" : x.dtype, [x, y]);
  }

  /** `c ? x : y`. */
  where(c: Expr, x: Expr, y: Expr): Expr {
    return this.make("where", x.dtype, [c, x, y]);
  }
}

/** Text that tells arguments apart: -0 from 0, NaN equal to itself, 1 from 1n and true. */
function argKey(arg: Arg): string {
  if (arg === null) return "";
  if (typeof arg === "object") return `${arg.operand}.${arg.component}`;
  return Object.is(arg, -0) ? "-0" : `${typeof arg}${arg}`;
}
