/**
 * The elementwise primitives: arithmetic, comparison, logic, bits, transcendental functions, cast, where.
 *
 * Derivatives of real and complex functions are the same lines: `chain` conjugates, which is nothing for real numbers.
 * @module
 */
import { isComplex, isFloat, isInexact, realOf } from "../base/dtype.ts";
import { broadcastShapes } from "../base/shape.ts";
import type { Expr, ExprBuilder, UnaryOp } from "../../kernels/expr.ts";
import * as op from "../core/ops.ts";
import type { Primitive } from "../core/primitive.ts";
import type { BinaryName, PrimitiveParams, Primitives, UnaryName } from "../core/registry.ts";
import type { Node } from "../core/trace.ts";
import * as z from "./complex.ts";
import { binary, chain, checkKind, checkSame, compare, elementwise, num, unary } from "./kinds.ts";
import { digamma } from "./special.ts";

const { add, sub, mul, div, neg, where } = op;

/** An operation of floats that leaves integers as they are. */
const onFloats = (name: Exclude<UnaryOp, "cast">) => (b: ExprBuilder, x: Expr): Expr =>
  isFloat(x.dtype) ? b.unary(name, x) : x;

/** A predicate of floats that has one answer for all integers. */
const predicate = (name: "isnan" | "isinf" | "isfinite", integers: boolean) => (b: ExprBuilder, x: Expr): Expr =>
  isFloat(x.dtype) ? b.unary(name, x) : b.const("bool", integers);

/** x times a constant of the formula. */
const times = (x: Node, k: number): Node => mul(x, num(x, k));

/** 1 - x * x. */
const oneMinusSquare = (x: Node): Node => sub(num(x, 1), mul(x, x));

/** A float with 1 in place of 0, to divide by. */
const nonzero = (x: Node): Node => where(op.equal(x, num(x, 0)), num(x, 1), x);

/** z / |z| moves only across its direction. */
function signVjp(g: Node, x: Node, y: Node): Node {
  if (!isComplex(x.dtype)) return op.full(x.shape, 0, x);
  const along = mul(y, op.cast(op.real(mul(op.conj(y), g)), x.dtype));
  const r = op.abs(x);
  const flat = op.equal(r, num(r, 0));
  return where(flat, num(x, 0), div(sub(g, along), op.cast(nonzero(r), x.dtype)));
}

const unaries = {
  neg: unary("neg", { accepts: "iufc", real: "neg", complex: z.neg, vjp: (g) => neg(g) }),
  abs: unary("abs", {
    accepts: "biufc",
    dtype: realOf,
    real: (b, x) => x.dtype === "bool" || x.dtype.startsWith("u") ? x : b.unary("abs", x),
    complex: (f, [x, y]) => [f.f2("hypot", x, y)],
    vjp: (g, x) => mul(op.cast(g, x.dtype), op.sign(x)),
  }),
  sign: unary("sign", { accepts: "iufc", real: "sign", complex: z.sign, vjp: signVjp }),
  not: unary("not", { accepts: "biu", real: "not", vjp: null }),
  floor: unary("floor", { accepts: "biuf", real: onFloats("floor"), vjp: null }),
  ceil: unary("ceil", { accepts: "biuf", real: onFloats("ceil"), vjp: null }),
  trunc: unary("trunc", { accepts: "biuf", real: onFloats("trunc"), vjp: null }),
  rint: unary("rint", {
    accepts: "fc",
    real: "rint",
    complex: (f, [x, y]) => [f.f("rint", x), f.f("rint", y)],
    vjp: null,
  }),
  sqrt: unary("sqrt", {
    accepts: "fc",
    real: "sqrt",
    complex: z.sqrt,
    vjp: (g, _x, y) => div(times(g, 0.5), op.conj(y)),
  }),
  cbrt: unary("cbrt", { accepts: "f", real: "cbrt", vjp: (g, _x, y) => div(g, times(mul(y, y), 3)) }),
  exp: unary("exp", { accepts: "fc", real: "exp", complex: z.exp, vjp: (g, _x, y) => chain(g, y) }),
  exp2: unary("exp2", {
    accepts: "fc",
    real: "exp2",
    complex: z.exp2,
    vjp: (g, _x, y) => chain(g, times(y, Math.LN2)),
  }),
  expm1: unary("expm1", {
    accepts: "fc",
    real: "expm1",
    complex: z.expm1,
    vjp: (g, _x, y) => chain(g, add(y, num(y, 1))),
  }),
  log: unary("log", { accepts: "fc", real: "log", complex: z.log, vjp: (g, x) => div(g, op.conj(x)) }),
  log2: unary("log2", {
    accepts: "fc",
    real: "log2",
    complex: z.log2,
    vjp: (g, x) => div(g, times(op.conj(x), Math.LN2)),
  }),
  log10: unary("log10", {
    accepts: "fc",
    real: "log10",
    complex: z.log10,
    vjp: (g, x) => div(g, times(op.conj(x), Math.LN10)),
  }),
  log1p: unary("log1p", {
    accepts: "fc",
    real: "log1p",
    complex: z.log1p,
    vjp: (g, x) => div(g, op.conj(add(x, num(x, 1)))),
  }),
  sin: unary("sin", { accepts: "fc", real: "sin", complex: z.sin, vjp: (g, x) => chain(g, op.cos(x)) }),
  cos: unary("cos", { accepts: "fc", real: "cos", complex: z.cos, vjp: (g, x) => chain(g, neg(op.sin(x))) }),
  tan: unary("tan", {
    accepts: "fc",
    real: "tan",
    complex: z.tan,
    vjp: (g, _x, y) => chain(g, add(num(y, 1), mul(y, y))),
  }),
  asin: unary("asin", {
    accepts: "fc",
    real: "asin",
    complex: z.asin,
    vjp: (g, x) => div(g, op.conj(op.sqrt(oneMinusSquare(x)))),
  }),
  acos: unary("acos", {
    accepts: "fc",
    real: "acos",
    complex: z.acos,
    vjp: (g, x) => div(neg(g), op.conj(op.sqrt(oneMinusSquare(x)))),
  }),
  atan: unary("atan", {
    accepts: "fc",
    real: "atan",
    complex: z.atan,
    vjp: (g, x) => div(g, op.conj(add(num(x, 1), mul(x, x)))),
  }),
  sinh: unary("sinh", { accepts: "fc", real: "sinh", complex: z.sinh, vjp: (g, x) => chain(g, op.cosh(x)) }),
  cosh: unary("cosh", { accepts: "fc", real: "cosh", complex: z.cosh, vjp: (g, x) => chain(g, op.sinh(x)) }),
  tanh: unary("tanh", {
    accepts: "fc",
    real: "tanh",
    complex: z.tanh,
    vjp: (g, _x, y) => chain(g, oneMinusSquare(y)),
  }),
  asinh: unary("asinh", {
    accepts: "fc",
    real: "asinh",
    complex: z.asinh,
    vjp: (g, _x, y) => div(g, op.conj(op.cosh(y))),
  }),
  acosh: unary("acosh", {
    accepts: "fc",
    real: "acosh",
    complex: z.acosh,
    vjp: (g, _x, y) => div(g, op.conj(op.sinh(y))),
  }),
  atanh: unary("atanh", {
    accepts: "fc",
    real: "atanh",
    complex: z.atanh,
    vjp: (g, x) => div(g, op.conj(oneMinusSquare(x))),
  }),
  erf: unary("erf", {
    accepts: "f",
    real: "erf",
    vjp: (g, x) => mul(g, times(op.exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
  }),
  erfc: unary("erfc", {
    accepts: "f",
    real: "erfc",
    vjp: (g, x) => mul(g, times(op.exp(neg(mul(x, x))), -2 / Math.sqrt(Math.PI))),
  }),
  lgamma: unary("lgamma", { accepts: "f", real: "lgamma", vjp: (g, x) => mul(g, digamma(x)) }),
  isnan: unary("isnan", {
    accepts: "biufc",
    dtype: () => "bool",
    real: predicate("isnan", false),
    complex: (f, w) => [z.isnan(f, w)],
    vjp: null,
  }),
  isinf: unary("isinf", {
    accepts: "biufc",
    dtype: () => "bool",
    real: predicate("isinf", false),
    complex: (f, [x, y]) => [f.or(f.inf(x), f.inf(y))],
    vjp: null,
  }),
  isfinite: unary("isfinite", {
    accepts: "biufc",
    dtype: () => "bool",
    real: predicate("isfinite", true),
    complex: (f, [x, y]) => [f.and(f.finite(x), f.finite(y))],
    vjp: null,
  }),
  signbit: unary("signbit", { accepts: "f", dtype: () => "bool", real: "signbit", vjp: null }),
  popcount: unary("popcount", { accepts: "iu", dtype: () => "uint8", real: "popcount", vjp: null }),
  real: unary("real", {
    accepts: "c",
    dtype: realOf,
    real: (_b, x) => x,
    complex: (_f, [x]) => [x],
    vjp: (g, x) => op.cast(g, x.dtype),
  }),
  imag: unary("imag", {
    accepts: "c",
    dtype: realOf,
    real: (_b, x) => x,
    complex: (_f, [, y]) => [y],
    vjp: (g) => op.complex(num(g, 0), g),
  }),
  conj: unary("conj", { accepts: "c", real: (_b, x) => x, complex: z.conj, vjp: (g) => op.conj(g) }),
  stop_gradient: unary("stop_gradient", { accepts: "biufc", real: (_b, x) => x, complex: (_f, w) => w, vjp: null }),
} satisfies Pick<Primitives, UnaryName>;

/** y * x^(y - 1), which is 0 where y is 0 whatever x is. */
function powVjpBase(g: Node, x: Node, y: Node): Node {
  const one = num(y, 1);
  const exponent = where(op.equal(y, num(y, 0)), one, sub(y, one));
  return chain(g, mul(y, op.pow(x, exponent)));
}

/** x^y * log(x), taken as 0 where the logarithm is not a number. */
function powVjpExponent(g: Node, x: Node, _y: Node, p: Node): Node {
  const zero = num(x, 0);
  const known = isComplex(x.dtype) ? op.not_equal(x, zero) : op.less(zero, x);
  return chain(g, where(known, mul(p, op.log(where(known, x, num(x, 1)))), zero));
}

/** g where the condition holds, else 0. */
const only = (condition: Node, g: Node): Node => where(condition, g, num(g, 0));
const except = (condition: Node, g: Node): Node => where(condition, num(g, 0), g);

// x is ahead of y, or y is not a number: what fmax and fmin take x for.
const aheadOf = (x: Node, y: Node): Node => op.or(op.less(y, x), op.isnan(y));
const behind = (x: Node, y: Node): Node => op.or(op.less(x, y), op.isnan(y));

const binaries = {
  add: binary("add", {
    accepts: "biufc",
    real: "add",
    complex: (f, v, w) => z.add(f, v, w),
    bool: "or",
    vjp: [(g) => g, (g) => g],
  }),
  sub: binary("sub", { accepts: "iufc", real: "sub", complex: z.sub, vjp: [(g) => g, (g) => neg(g)] }),
  mul: binary("mul", {
    accepts: "biufc",
    real: "mul",
    complex: z.mul,
    bool: "and",
    vjp: [(g, _x, y) => chain(g, y), (g, x) => chain(g, x)],
  }),
  div: binary("div", {
    accepts: "fc",
    real: "div",
    complex: z.div,
    vjp: [(g, _x, y) => div(g, op.conj(y)), (g, _x, y, q) => neg(chain(g, div(q, y)))],
  }),
  floordiv: binary("floordiv", { accepts: "iuf", real: "floordiv", vjp: null }),
  mod: binary("mod", { accepts: "iuf", real: "mod", vjp: [(g) => g, (g, x, y) => neg(mul(g, op.floordiv(x, y)))] }),
  fmod: binary("fmod", {
    accepts: "iuf",
    real: "fmod",
    vjp: [(g) => g, (g, x, y) => neg(mul(g, op.trunc(div(x, y))))],
  }),
  pow: binary("pow", { accepts: "iufc", real: "pow", complex: z.pow, vjp: [powVjpBase, powVjpExponent] }),
  atan2: binary("atan2", {
    accepts: "f",
    real: "atan2",
    vjp: [
      (g, y, x) => mul(g, div(x, add(mul(x, x), mul(y, y)))),
      (g, y, x) => neg(mul(g, div(y, add(mul(x, x), mul(y, y))))),
    ],
  }),
  hypot: binary("hypot", {
    accepts: "f",
    real: "hypot",
    vjp: [(g, x, _y, h) => mul(g, div(x, nonzero(h))), (g, _x, y, h) => mul(g, div(y, nonzero(h)))],
  }),
  copysign: binary("copysign", {
    accepts: "f",
    real: "copysign",
    vjp: [(g, x, _y, s) => where(op.equal(op.signbit(x), op.signbit(s)), g, neg(g)), null],
  }),
  nextafter: binary("nextafter", { accepts: "f", real: "nextafter", vjp: [(g) => g, null] }),
  // Written with the output, so that the input of a rectifier need not be kept.
  maximum: binary("maximum", {
    accepts: "biufc",
    real: "max",
    complex: (f, v, w) => z.where(f, f.or(z.lessEqual(f, w, v), z.isnan(f, v)), v, w),
    bool: "or",
    vjp: [(g, _x, y, m) => only(op.less(y, m), g), (g, _x, y, m) => except(op.less(y, m), g)],
  }),
  minimum: binary("minimum", {
    accepts: "biufc",
    real: "min",
    complex: (f, v, w) => z.where(f, f.or(z.lessEqual(f, v, w), z.isnan(f, v)), v, w),
    bool: "and",
    vjp: [(g, _x, y, m) => only(op.less(m, y), g), (g, _x, y, m) => except(op.less(m, y), g)],
  }),
  fmax: binary("fmax", {
    accepts: "biufc",
    real: "fmax",
    complex: (f, v, w) => z.where(f, f.or(z.lessEqual(f, w, v), z.isnan(f, w)), v, w),
    bool: "or",
    vjp: [(g, x, y) => only(aheadOf(x, y), g), (g, x, y) => except(aheadOf(x, y), g)],
  }),
  fmin: binary("fmin", {
    accepts: "biufc",
    real: "fmin",
    complex: (f, v, w) => z.where(f, f.or(z.lessEqual(f, v, w), z.isnan(f, w)), v, w),
    bool: "and",
    vjp: [(g, x, y) => only(behind(x, y), g), (g, x, y) => except(behind(x, y), g)],
  }),
  and: binary("and", { accepts: "biu", real: "and", vjp: null }),
  or: binary("or", { accepts: "biu", real: "or", vjp: null }),
  xor: binary("xor", { accepts: "biu", real: "xor", vjp: null }),
  shl: binary("shl", { accepts: "iu", real: "shl", vjp: null }),
  shr: binary("shr", { accepts: "iu", real: "shr", vjp: null }),
  gcd: binary("gcd", { accepts: "iu", real: "gcd", vjp: null }),
  less: compare("less", { real: "lt", complex: (f, v, w) => [z.less(f, v, w)] }),
  less_equal: compare("less_equal", { real: "le", complex: (f, v, w) => [z.lessEqual(f, v, w)] }),
  equal: compare("equal", { real: "eq", complex: (f, v, w) => [z.equal(f, v, w)] }),
  not_equal: compare("not_equal", { real: "ne", complex: (f, v, w) => [f.not(z.equal(f, v, w))] }),
  complex: elementwise<null>(
    "complex",
    ([re, im]) => {
      checkSame("complex", re!, im!);
      if (re!.dtype !== "float32" && re!.dtype !== "float64") {
        throw new TypeError(`complex: got dtype ${re!.dtype}, expected float32 or float64`);
      }
      return {
        shape: broadcastShapes("complex", re!.shape, im!.shape),
        dtype: re!.dtype === "float32" ? "complex64" : "complex128",
      };
    },
    (g, { needs }) => [needs[0] ? op.real(g) : null, needs[1] ? op.imag(g) : null],
    (_e, [re, im]) => [re![0], im![0]],
  ),
} satisfies Pick<Primitives, BinaryName>;

const cast: Primitive<PrimitiveParams["cast"]> = elementwise(
  "cast",
  ([x], { dtype }) => ({ shape: x!.shape, dtype }),
  (g, { inputs: [x], params }) => [isInexact(x!.dtype) && isInexact(params.dtype) ? op.cast(g, x!.dtype) : null],
  ({ b }, [x], { dtype }) => {
    const [re, im] = x!;
    const t = realOf(dtype);
    if (isComplex(dtype)) return [b.cast(re, t), im === undefined ? b.const(t, 0) : b.cast(im, t)];
    // A complex number is true if any part of it is.
    return [im !== undefined && dtype === "bool" ? b.binary("or", b.cast(re, t), b.cast(im, t)) : b.cast(re, t)];
  },
);

const whereRecord: Primitive<null> = elementwise(
  "where",
  ([c, x, y]) => {
    checkKind("where", c!.dtype, "b");
    checkSame("where", x!, y!);
    return { shape: broadcastShapes("where", c!.shape, x!.shape, y!.shape), dtype: x!.dtype };
  },
  (g, { inputs: [c], needs }) => [null, needs[1] ? only(c!, g) : null, needs[2] ? except(c!, g) : null],
  ({ b }, [c, x, y]) => {
    const re = b.where(c![0], x![0], y![0]);
    return x!.length === 2 && y!.length === 2 ? [re, b.where(c![0], x![1], y![1])] : [re];
  },
);

/** The elementwise records. */
export const elementwiseRecords = { ...unaries, ...binaries, cast, where: whereRecord } satisfies Partial<Primitives>;
