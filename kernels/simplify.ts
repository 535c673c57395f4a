/**
 * Algebra on scalar expressions that never changes a result: not a bit, not the sign of a zero, not a NaN.
 * @module
 */
import { dtypes, isFloat, isInteger, type ScalarType } from "../src/base/dtype.ts";
import { type Expr, ExprBuilder } from "./expr.ts";

type Literal = number | bigint | boolean;

/** Bits of an integer dtype. */
export function bits(dtype: ScalarType): number {
  return dtype === "bool" ? 1 : dtypes[dtype].itemsize * 8;
}

/**
 * Rewrites expressions into a builder of their own, each node once, sources first.
 *
 * @param roots The expressions
 * @param rule Gives the new node from the old one and its already rewritten sources
 * @returns The rewritten roots
 */
export function rewrite(roots: readonly Expr[], rule: (e: Expr, src: readonly Expr[]) => Expr): Expr[] {
  const done = new Map<Expr, Expr>();
  const visit = (e: Expr): Expr => {
    let r = done.get(e);
    if (r === undefined) {
      r = rule(e, e.src.map(visit));
      done.set(e, r);
    }
    return r;
  };
  return roots.map(visit);
}

/**
 * Simplifies expressions: constants folded in their dtype's arithmetic, `x * 1`, `x / 1`, double negation, casts that lose
 * nothing, `where` with equal branches. `x + 0` stays: it turns -0 into 0.
 *
 * @param roots The expressions, of any builder
 * @param b The builder of the result
 * @returns As many expressions as there are roots
 */
export function simplify(roots: readonly Expr[], b: ExprBuilder = new ExprBuilder()): Expr[] {
  return rewrite(roots, (e, src) => rule(b, e, src));
}

function rule(b: ExprBuilder, e: Expr, src: readonly Expr[]): Expr {
  const [x, y, z] = src;
  if (x === undefined) return b.make(e.op, e.dtype, src, e.arg);
  switch (e.op) {
    case "cast":
      return cast(b, x, e.dtype);
    case "neg":
      if (x.op === "neg") return x.src[0]!;
      break;
    case "not":
      if (x.op === "not") return x.src[0]!;
      break;
    case "mul":
      if (isOne(y!)) return x;
      if (isOne(x)) return y!;
      break;
    case "div":
      if (isOne(y!)) return x;
      break;
    case "floor":
    case "ceil":
    case "trunc":
    case "rint":
      if (isInteger(x.dtype) || x.dtype === "bool") return x;
      break;
    case "where":
      if (y === z) return y!;
      if (x.op === "const") return x.arg ? y! : z!;
      if (x.op === "not") return b.make("where", e.dtype, [x.src[0]!, z!, y!]);
      break;
    case "and":
    case "or":
      if (x === y) return x;
      break;
    case "isnan":
    case "isinf":
      if (!isFloat(x.dtype)) return b.const("bool", false);
      break;
    case "isfinite":
      if (!isFloat(x.dtype)) return b.const("bool", true);
      break;
  }
  if (src.every((s) => s.op === "const")) {
    const folded = fold(e, src.map((s) => s.arg as Literal));
    if (folded !== null) return b.const(e.dtype, folded);
  }
  return b.make(e.op, e.dtype, src, e.arg);
}

function isOne(e: Expr): boolean {
  return e.op === "const" && e.dtype !== "bool" && Number(e.arg) === 1;
}

function cast(b: ExprBuilder, x: Expr, dtype: ScalarType): Expr {
  if (x.dtype === dtype) return x;
  if (x.op === "const") {
    const v = castLiteral(x.arg as Literal, dtype);
    if (v !== null) return b.const(dtype, v);
  }
  // The first cast of two is dropped if it keeps every value of its source. NaN to unsigned differs by the source's width.
  const y = x.op === "cast" ? x.src[0]! : x;
  const drop = y !== x && holds(x.dtype, y.dtype) && !(isFloat(y.dtype) && dtypes[dtype].kind === "u");
  return b.cast(drop ? y : x, dtype);
}

/** Bits of the significand of floating dtypes, and the largest exponent. */
const precision: Readonly<Record<string, readonly [number, number]>> = {
  float16: [11, 15],
  bfloat16: [8, 127],
  float32: [24, 127],
  float64: [53, 1023],
};

/** Tells whether every value of `from` is a value of `to`. */
export function holds(to: ScalarType, from: ScalarType): boolean {
  if (to === from || from === "bool") return true;
  if (to === "bool") return false;
  const a = dtypes[from].kind, b = dtypes[to].kind;
  if (a === "f") {
    if (b !== "f") return false;
    const [p, e] = precision[from]!, [q, g] = precision[to]!;
    // Subnormals of bfloat16 lie below float16's; float16's are normal in the wider ones.
    return q >= p && g >= e;
  }
  const width = bits(from) - (a === "i" ? 1 : 0);
  if (b === "f") return precision[to]![0] >= width && precision[to]![1] >= width;
  if (b === "u") return a === "u" && bits(to) >= bits(from);
  return bits(to) - 1 >= width;
}

/** Values as a dtype holds them, where that is plain; null leaves it to the dialects (float16, NaN to integer). */
function castLiteral(v: Literal, dtype: ScalarType): Literal | null {
  switch (dtypes[dtype].kind) {
    case "b":
      return v !== 0 && v !== 0n && v !== false; // NaN is true
    case "f":
      if (typeof v === "bigint") return null;
      if (dtype === "float64") return Number(v);
      return dtype === "float32"
        ? Math.fround(Number(v))
        : Number.isInteger(v) && Math.abs(Number(v)) < 128
        ? Number(v)
        : null;
    default: {
      if (typeof v === "number" && !(Number.isFinite(v) && Math.abs(v) < 2 ** 31)) return null;
      return wrapInteger(typeof v === "bigint" ? v : BigInt(Math.trunc(Number(v))), dtype);
    }
  }
}

/** An integer modulo the dtype's range: bigint for the 64-bit dtypes, else number. */
export function wrapInteger(v: bigint, dtype: ScalarType): number | bigint {
  const n = bits(dtype);
  const w = dtypes[dtype].kind === "u" ? BigInt.asUintN(n, v) : BigInt.asIntN(n, v);
  return n === 64 ? w : Number(w);
}

/** The exact operations worth folding. */
function fold(e: Expr, v: readonly Literal[]): Literal | null {
  const dtype = e.src[0]!.dtype;
  const [x, y] = v;
  if (dtype === "float64" || dtype === "float32") {
    const r = foldFloat(e.op, Number(x), Number(y));
    return typeof r === "number" && dtype === "float32" ? Math.fround(r) : r;
  }
  if (!isInteger(dtype)) return null;
  const a = BigInt(x!), c = BigInt(y ?? 0);
  switch (e.op) {
    case "neg":
      return wrapInteger(-a, dtype);
    case "add":
      return wrapInteger(a + c, dtype);
    case "sub":
      return wrapInteger(a - c, dtype);
    case "mul":
      return wrapInteger(a * c, dtype);
    case "lt":
      return a < c;
    case "le":
      return a <= c;
    case "eq":
      return a === c;
    case "ne":
      return a !== c;
    default:
      return null;
  }
}

function foldFloat(op: string, x: number, y: number): number | boolean | null {
  switch (op) {
    case "neg":
      return -x;
    case "abs":
      return Math.abs(x);
    case "sqrt":
      return Math.sqrt(x);
    case "add":
      return x + y;
    case "sub":
      return x - y;
    case "mul":
      return x * y;
    case "div":
      return x / y;
    case "lt":
      return x < y;
    case "le":
      return x <= y;
    case "eq":
      return x === y;
    case "ne":
      return x !== y;
    default:
      return null;
  }
}
