/**
 * Operations of the JavaScript dialect.
 *
 * A bool is a JavaScript boolean, the 64-bit integers are bigints, every other dtype is a number that its dtype holds: each
 * operation rounds or wraps its result. float16 and bfloat16 are computed as float32 and rounded once more.
 * @module
 */
import { dtypes, isFloat, type ScalarType } from "../src/base/dtype.ts";
import type { Expr, LeafOp, Op } from "./expr.ts";
import { bits } from "./simplify.ts";

/** How a dtype is computed with. */
export type Form = "bool" | "int" | "big" | "float";

/** The form of a dtype. */
export function form(dtype: ScalarType): Form {
  const kind = dtypes[dtype].kind;
  return kind === "b" ? "bool" : kind === "f" ? "float" : dtypes[dtype].itemsize === 8 ? "big" : "int";
}

/** The text of a value as the dtype holds it, from an exact or double result. */
export function wrap(dtype: ScalarType, text: string): string {
  switch (dtype) {
    case "bool":
    case "float64":
      return `(${text})`;
    case "int8":
      return `(${text} << 24 >> 24)`;
    case "int16":
      return `(${text} << 16 >> 16)`;
    case "int32":
      return `(${text} | 0)`;
    case "uint8":
      return `(${text} & 255)`;
    case "uint16":
      return `(${text} & 65535)`;
    case "uint32":
      return `(${text} >>> 0)`;
    case "int64":
      return `BigInt.asIntN(64, ${text})`;
    case "uint64":
      return `BigInt.asUintN(64, ${text})`;
    case "float16":
      return `f16round(${text})`;
    case "bfloat16":
      return `bf16round(fround(${text}))`;
    case "float32":
      return `fround(${text})`;
  }
}

/** Like `wrap`, for a function that is not correctly rounded: float16 goes through float32 as native code does. */
function rounded(dtype: ScalarType, call: string): string {
  return dtype === "float64" ? call : wrap(dtype, dtype === "float16" ? `fround(${call})` : call);
}

type OpText = (e: Expr, a: string, b: string) => string;

function refuse(e: Expr): never {
  throw new TypeError(`kernel: ${e.op} does not take ${e.src[0]!.dtype}`);
}

/** One text a form; a form that is missing is refused. */
function by(table: Partial<Record<Form, OpText>>): OpText {
  return (e, a, b) => (table[form(e.src[0]!.dtype)] ?? refuse)(e, a, b);
}

/** A function of Math, or of the helpers, for floats. */
const math = (name: string): OpText => by({ float: (e, a) => rounded(e.dtype, `${name}(${a})`) });
const math2 = (name: string): OpText => by({ float: (e, a, b) => rounded(e.dtype, `${name}(${a}, ${b})`) });
/** A rounding to integral values: nothing to do for integers, exact for floats. */
const integral = (name: string): OpText =>
  by({ float: (_, a) => `${name}(${a})`, int: (_, a) => a, big: (_, a) => a, bool: (_, a) => a });
const infix = (op: string, bool?: OpText): OpText => {
  const text: OpText = (e, a, b) => wrap(e.dtype, `${a} ${op} ${b}`);
  return by({ float: text, int: text, big: text, ...(bool ? { bool } : {}) });
};
const bitwise = (op: string, bool: string): OpText =>
  by({
    bool: (_, a, b) => `(${a} ${bool} ${b})`,
    int: (e, a, b) => e.dtype === "uint32" ? `((${a} ${op} ${b}) >>> 0)` : `(${a} ${op} ${b})`,
    big: (_, a, b) => `(${a} ${op} ${b})`,
  });
const compare = (op: string, bool: OpText): OpText => {
  const text: OpText = (_, a, b) => `(${a} ${op} ${b})`;
  return by({ float: text, int: text, big: text, bool });
};
/** `wins`: the test for the first; `nan`: whose NaN decides. */
const extreme = (wins: string, bool: string, nan: 0 | 1): OpText => {
  const text: OpText = (_, a, b) => `(${a} ${wins} ${b} ? ${a} : ${b})`;
  return by({
    float: (_, a, b) =>
      nan === 0
        ? `(${a} ${wins} ${b} || ${a} !== ${a} ? ${a} : ${b})`
        : `(${a} ${wins} ${b} || ${b} !== ${b} ? ${a} : ${b})`,
    int: text,
    big: text,
    bool: (_, a, b) => `(${a} ${bool} ${b})`,
  });
};
const shiftLimit = (e: Expr) => `${bits(e.dtype)}`;

/** Every operation that is written from the texts of its sources. */
export const jsOps = {
  neg: by({
    float: (_, a) => `(-${a})`,
    int: (e, a) => wrap(e.dtype, `-${a}`),
    big: (e, a) => wrap(e.dtype, `-${a}`),
  }),
  abs: by({
    float: (_, a) => `Math.abs(${a})`,
    int: (e, a) => dtypes[e.dtype].kind === "u" ? a : wrap(e.dtype, `(${a} < 0 ? -${a} : ${a})`),
    big: (e, a) => e.dtype === "uint64" ? a : wrap(e.dtype, `${a} < 0n ? -${a} : ${a}`),
    bool: (_, a) => a,
  }),
  sign: by({
    float: (_, a) => `sign(${a})`,
    int: (_, a) => `(${a} > 0 ? 1 : ${a} < 0 ? -1 : 0)`,
    big: (_, a) => `(${a} > 0n ? 1n : ${a} < 0n ? -1n : 0n)`,
  }),
  not: by({
    bool: (_, a) => `(!${a})`,
    int: (e, a) => wrap(e.dtype, `~${a}`),
    big: (e, a) => wrap(e.dtype, `~${a}`),
  }),
  floor: integral("Math.floor"),
  ceil: integral("Math.ceil"),
  trunc: integral("Math.trunc"),
  rint: integral("rint"),
  sqrt: by({ float: (e, a) => e.dtype === "float64" ? `Math.sqrt(${a})` : wrap(e.dtype, `Math.sqrt(${a})`) }),
  cbrt: math("Math.cbrt"),
  exp: math("Math.exp"),
  exp2: by({
    float: (e, a) => rounded(e.dtype, `2 ** ${a}`) === `2 ** ${a}` ? `(2 ** ${a})` : rounded(e.dtype, `2 ** ${a}`),
  }),
  expm1: math("Math.expm1"),
  log: math("Math.log"),
  log2: math("Math.log2"),
  log10: math("Math.log10"),
  log1p: math("Math.log1p"),
  sin: math("Math.sin"),
  cos: math("Math.cos"),
  tan: math("Math.tan"),
  asin: math("Math.asin"),
  acos: math("Math.acos"),
  atan: math("Math.atan"),
  sinh: math("Math.sinh"),
  cosh: math("Math.cosh"),
  tanh: math("Math.tanh"),
  asinh: math("Math.asinh"),
  acosh: math("Math.acosh"),
  atanh: math("Math.atanh"),
  erf: math("erf"),
  erfc: math("erfc"),
  lgamma: math("lgamma"),
  isnan: by({ float: (_, a) => `(${a} !== ${a})` }),
  isinf: by({ float: (_, a) => `(Math.abs(${a}) === Infinity)` }),
  isfinite: by({ float: (_, a) => `(Math.abs(${a}) < Infinity)` }),
  signbit: by({
    float: (_, a) => `signbit(${a})`,
    int: (_, a) => `(${a} < 0)`,
    big: (_, a) => `(${a} < 0n)`,
  }),
  popcount: by({
    int: (_, a) => `popcount(Math.abs(${a}))`,
    big: (_, a) => `bigPopcount(${a})`,
    bool: (_, a) => `(${a} ? 1 : 0)`,
  }),
  cast: (e, a) => castText(e.src[0]!.dtype, e.dtype, a),
  add: infix("+", (_, a, b) => `(${a} || ${b})`),
  sub: infix("-", (_, a, b) => `(${a} !== ${b})`),
  mul: by({
    float: (e, a, b) => wrap(e.dtype, `${a} * ${b}`),
    int: (e, a, b) =>
      bits(e.dtype) < 32
        ? wrap(e.dtype, `${a} * ${b}`)
        : e.dtype === "int32"
        ? `Math.imul(${a}, ${b})`
        : `(Math.imul(${a}, ${b}) >>> 0)`,
    big: (e, a, b) => wrap(e.dtype, `${a} * ${b}`),
    bool: (_, a, b) => `(${a} && ${b})`,
  }),
  div: by({ float: (e, a, b) => wrap(e.dtype, `${a} / ${b}`) }),
  floordiv: by({
    float: (e, a, b) => e.dtype === "float64" ? `floordiv(${a}, ${b})` : wrap(e.dtype, `floordiv32(${a}, ${b})`),
    int: (e, a, b) => `(${b} === 0 ? 0 : ${wrap(e.dtype, `Math.floor(${a} / ${b})`)})`,
    big: (e, a, b) => wrap(e.dtype, `bigFloordiv(${a}, ${b})`),
  }),
  mod: by({
    float: (e, a, b) => rounded(e.dtype, `mod(${a}, ${b})`),
    int: (e, a, b) => dtypes[e.dtype].kind === "u" ? `(${b} === 0 ? 0 : ${a} % ${b})` : `imod(${a}, ${b})`,
    big: (_, a, b) => `bigMod(${a}, ${b})`,
  }),
  fmod: by({
    float: (_, a, b) => `(${a} % ${b})`,
    int: (e, a, b) =>
      dtypes[e.dtype].kind === "u" ? `(${b} === 0 ? 0 : ${a} % ${b})` : `(${b} === 0 ? 0 : ${a} % ${b} | 0)`,
    big: (_, a, b) => `bigFmod(${a}, ${b})`,
  }),
  pow: by({
    float: (e, a, b) => rounded(e.dtype, `pow(${a}, ${b})`),
    int: (e, a, b) => wrap(e.dtype, `ipow(${a}, ${b})`),
    big: (e, a, b) => wrap(e.dtype, `bigPow(${a}, ${b})`),
  }),
  atan2: math2("Math.atan2"),
  hypot: math2("hypot"),
  copysign: by({ float: (_, a, b) => `copysign(${a}, ${b})` }),
  nextafter: by({
    float: (e, a, b) => {
      if (e.dtype === "float64") return `nextafter(${a}, ${b})`;
      return e.dtype === "float16"
        ? `nextafter16(${a}, ${b})`
        : `nextafter32(${a}, ${b}, ${e.dtype === "float32" ? 1 : 65536})`;
    },
  }),
  max: extreme(">", "||", 0),
  min: extreme("<", "&&", 0),
  fmax: extreme(">", "||", 1),
  fmin: extreme("<", "&&", 1),
  and: bitwise("&", "&&"),
  or: bitwise("|", "||"),
  xor: bitwise("^", "!=="),
  // A count outside the width, negative ones too, shifts everything out.
  shl: by({
    int: (e, a, b) => `(${b} >>> 0 < ${shiftLimit(e)} ? ${wrap(e.dtype, `${a} << ${b}`)} : 0)`,
    big: (e, a, b) => `(${b} >= 0n && ${b} < 64n ? ${wrap(e.dtype, `${a} << ${b}`)} : 0n)`,
  }),
  shr: by({
    int: (e, a, b) =>
      dtypes[e.dtype].kind === "u"
        ? `(${b} >>> 0 < ${shiftLimit(e)} ? ${a} >>> ${b} : 0)`
        : `(${b} >>> 0 < ${shiftLimit(e)} ? ${a} >> ${b} : ${a} >> 31)`,
    big: (_, a, b) => `(${b} >= 0n && ${b} < 64n ? ${a} >> ${b} : ${a} < 0n ? -1n : 0n)`,
  }),
  gcd: by({
    int: (e, a, b) => wrap(e.dtype, `gcd(${a}, ${b})`),
    big: (e, a, b) => wrap(e.dtype, `bigGcd(${a}, ${b})`),
  }),
  lt: compare("<", (_, a, b) => `(!${a} && ${b})`),
  le: compare("<=", (_, a, b) => `(!${a} || ${b})`),
  eq: compare("===", (_, a, b) => `(${a} === ${b})`),
  ne: compare("!==", (_, a, b) => `(${a} !== ${b})`),
} satisfies Record<Exclude<Op, LeafOp | "where" | "gather" | "threefry">, OpText>;

/** The text of an operation. */
export function jsOperation(e: Expr, src: readonly string[]): string {
  if (e.op === "where") return `(${src[0]} ? ${src[1]} : ${src[2]})`;
  if (e.op === "threefry") return `threefry(${src.join(", ")}, ${Number(e.arg)})`;
  return (jsOps as Record<string, OpText>)[e.op]!(e, src[0]!, src[1] ?? "");
}

/** A conversion. */
export function castText(from: ScalarType, to: ScalarType, a: string): string {
  const f = form(from), t = form(to);
  if (from === to) return a;
  if (t === "bool") return f === "big" ? `(${a} !== 0n)` : `(${a} !== 0)`;
  if (f === "bool") return t === "big" ? `(${a} ? 1n : 0n)` : `(${a} ? 1 : 0)`;
  if (t === "big") {
    if (f === "float") return `to${to === "int64" ? "Int" : "Uint"}64(${a})`;
    if (f === "int") return to === "int64" || dtypes[from].kind === "u" ? `BigInt(${a})` : wrap(to, `BigInt(${a})`);
    return wrap(to, a);
  }
  if (f === "big") {
    if (t === "int") return `Number(BigInt.as${dtypes[to].kind === "u" ? "Uint" : "Int"}N(${bits(to)}, ${a}))`;
    return to === "float64" ? `Number(${a})` : to === "float32" ? `bigToFloat32(${a})` : wrap(to, `bigToFloat32(${a})`);
  }
  if (t === "int") {
    if (f === "int") return wrap(to, a);
    if (to === "uint32") return from === "float16" ? `(${a} >>> 0)` : `toUint32(${a})`;
    return to === "int32" ? `toInt32(${a})` : wrap(to, `toInt32(${a})`);
  }
  // To a float, from a float or a small integer.
  if (to === "float64") return a;
  if (f === "int") return to === "float16" ? `f16round(fround(${a}))` : wrap(to, a);
  if (to === "float32") return from === "float64" ? `fround(${a})` : a;
  return wrap(to, a);
}

/** A literal; negative ones in parentheses. */
export function jsLiteral(dtype: ScalarType, value: number | bigint | boolean): string {
  let text: string;
  switch (form(dtype)) {
    case "bool":
      return value ? "true" : "false";
    case "big":
      text = `${typeof value === "number" ? bigOf(value) : BigInt(value)}n`;
      break;
    case "int":
      text = `${Number(value)}`;
      break;
    case "float": {
      const v = Number(value);
      const r = dtype === "float32" ? Math.fround(v) : v;
      text = Object.is(r, -0) ? "-0" : `${r}`;
      if (isFloat(dtype) && bits(dtype) === 16 && Number.isFinite(r)) return wrap(dtype, text);
    }
  }
  return text.startsWith("-") ? `(${text})` : text;
}

function bigOf(v: number): bigint {
  return Number.isFinite(v) ? BigInt(Math.trunc(v)) : -9223372036854775808n;
}
