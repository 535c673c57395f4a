/**
 * Operations of the C dialect.
 *
 * float16 and bfloat16 are computed as float and rounded after each operation. Integers are added and multiplied as unsigned, so
 * that they wrap. Operations are the same as the JavaScript dialect's, up to the last places of transcendental functions.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import type { Expr, LeafOp, Op } from "./expr.ts";
import { bits } from "./simplify.ts";

/** Names of the types in memory. */
export const cMemory: Readonly<Record<ScalarType, string>> = {
  bool: "u8",
  int8: "i8",
  int16: "i16",
  int32: "i32",
  int64: "i64",
  uint8: "u8",
  uint16: "u16",
  uint32: "u32",
  uint64: "u64",
  float16: "u16",
  bfloat16: "u16",
  float32: "f32",
  float64: "f64",
};

/** Names of the types of values. */
export function cType(dtype: ScalarType): string {
  return dtype === "bool" ? "_Bool" : dtype === "float16" || dtype === "bfloat16" ? "f32" : cMemory[dtype];
}

type Form = "bool" | "int" | "float";
const form = (dtype: ScalarType): Form => {
  const kind = dtypes[dtype].kind;
  return kind === "b" ? "bool" : kind === "f" ? "float" : "int";
};
const unsigned = (dtype: ScalarType) => dtypes[dtype].kind === "u";
/** The type whose arithmetic wraps. */
const modular = (dtype: ScalarType) => dtypes[dtype].itemsize === 8 ? "u64" : "u32";
/** The suffix of C's functions of a float. */
const suffix = (dtype: ScalarType) => dtype === "float64" ? "" : "f";

/** A result as its dtype holds it. */
export function cWrap(dtype: ScalarType, text: string): string {
  switch (dtype) {
    case "float16":
      return `f16_round(${text})`;
    case "bfloat16":
      return `bf16_round(${text})`;
    case "float32":
    case "float64":
      return `(${text})`;
    default:
      return `(${cType(dtype)})(${text})`;
  }
}

const rounded = (dtype: ScalarType, call: string) => bits(dtype) === 16 ? cWrap(dtype, call) : call;

type OpText = (e: Expr, a: string, b: string) => string;

function refuse(e: Expr): never {
  throw new TypeError(`kernel: ${e.op} does not take ${e.src[0]!.dtype}`);
}

function by(table: Partial<Record<Form, OpText>>): OpText {
  return (e, a, b) => (table[form(e.src[0]!.dtype)] ?? refuse)(e, a, b);
}

/** A function of the preamble. */
const math = (name: string): OpText => by({ float: (e, a) => rounded(e.dtype, `${name}_${cType(e.dtype)}(${a})`) });
const math2 = (name: string): OpText =>
  by({ float: (e, a, b) => rounded(e.dtype, `${name}_${cType(e.dtype)}(${a}, ${b})`) });
/** A built-in that is one instruction and exact. */
const builtin = (name: string): OpText =>
  by({
    float: (e, a) => `__builtin_${name}${suffix(e.dtype)}(${a})`,
    int: (_, a) => a,
    bool: (_, a) => a,
  });
const arithmetic = (op: string, bool: string): OpText =>
  by({
    float: (e, a, b) => cWrap(e.dtype, `${a} ${op} ${b}`),
    int: (e, a, b) => `(${cType(e.dtype)})((${modular(e.dtype)})${a} ${op} (${modular(e.dtype)})${b})`,
    bool: (_, a, b) => `(${a} ${bool} ${b})`,
  });
const bitwise = (op: string): OpText =>
  by({ int: (e, a, b) => `(${cType(e.dtype)})(${a} ${op} ${b})`, bool: (_, a, b) => `(${a} ${op} ${b})` });
const compare = (op: string): OpText => {
  const text: OpText = (_, a, b) => `(${a} ${op} ${b})`;
  return by({ float: text, int: text, bool: text });
};
const extreme = (name: string, wins: string, bool: string, running = name): OpText =>
  by({
    float: (e, a, b) => `${e.src[1]!.op === "val" ? running : name}_${cType(e.dtype)}(${a}, ${b})`,
    int: (_, a, b) => `(${a} ${wins} ${b} ? ${a} : ${b})`,
    bool: (_, a, b) => `(${a} ${bool} ${b})`,
  });
/** An integer function of the preamble. */
const integer = (name: string): OpText => (e, a, b) => `${name}_${cType(e.dtype)}(${a}, ${b})`;
const division = (name: string): OpText =>
  by({ float: (e, a, b) => rounded(e.dtype, `${name}_${cType(e.dtype)}(${a}, ${b})`), int: integer(name) });

/** Every operation that is written from the texts of its sources. */
export const cOps = {
  neg: by({
    float: (_, a) => `(-${a})`,
    int: (e, a) => `(${cType(e.dtype)})(0 - (${modular(e.dtype)})${a})`,
  }),
  abs: by({
    float: (e, a) => `__builtin_fabs${suffix(e.dtype)}(${a})`,
    int: (e, a) =>
      unsigned(e.dtype)
        ? a
        : `(${cType(e.dtype)})(${a} < 0 ? 0 - (${modular(e.dtype)})${a} : (${modular(e.dtype)})${a})`,
    bool: (_, a) => a,
  }),
  sign: by({
    float: (e, a) => {
      const t = cType(e.dtype);
      return `(${a} > 0 ? (${t})1 : ${a} < 0 ? (${t})-1 : ${a} == 0 ? (${t})0 : ${a})`;
    },
    int: (e, a) => `(${cType(e.dtype)})((${a} > 0) - (${a} < 0))`,
  }),
  not: by({ bool: (_, a) => `(!${a})`, int: (e, a) => `(${cType(e.dtype)})(~${a})` }),
  floor: builtin("floor"),
  ceil: builtin("ceil"),
  trunc: builtin("trunc"),
  rint: builtin("rint"),
  sqrt: by({ float: (e, a) => rounded(e.dtype, `__builtin_sqrt${suffix(e.dtype)}(${a})`) }),
  cbrt: math("cbrt"),
  exp: math("exp"),
  exp2: math("exp2"),
  expm1: math("expm1"),
  log: math("log"),
  log2: math("log2"),
  log10: math("log10"),
  log1p: math("log1p"),
  sin: math("sin"),
  cos: math("cos"),
  tan: math("tan"),
  asin: math("asin"),
  acos: math("acos"),
  atan: math("atan"),
  sinh: math("sinh"),
  cosh: math("cosh"),
  tanh: math("tanh"),
  asinh: math("asinh"),
  acosh: math("acosh"),
  atanh: math("atanh"),
  erf: math("erf"),
  erfc: math("erfc"),
  lgamma: by({ float: (e, a) => rounded(e.dtype, `lgamma${suffix(e.dtype)}(${a})`) }),
  isnan: by({ float: (_, a) => `(${a} != ${a})` }),
  isinf: by({
    float: (e, a) => `(__builtin_fabs${suffix(e.src[0]!.dtype)}(${a}) == __builtin_inf${suffix(e.src[0]!.dtype)}())`,
  }),
  isfinite: by({
    float: (e, a) => `(__builtin_fabs${suffix(e.src[0]!.dtype)}(${a}) < __builtin_inf${suffix(e.src[0]!.dtype)}())`,
  }),
  signbit: by({
    float: (e, a) => bits(e.src[0]!.dtype) === 64 ? `(_Bool)(bits_f64(${a}) >> 63)` : `(_Bool)(bits_f32(${a}) >> 31)`,
    int: (_, a) => `(${a} < 0)`,
  }),
  popcount: by({
    int: (e, a) => {
      const x = e.src[0]!.dtype, u = modular(x);
      const magnitude = unsigned(x) ? a : `(${a} < 0 ? 0 - (${u})${a} : (${u})${a})`;
      return `(u8)__builtin_popcount${u === "u64" ? "ll" : ""}(${magnitude})`;
    },
    bool: (_, a) => `(u8)${a}`,
  }),
  cast: (e, a) => cCast(e.src[0]!.dtype, e.dtype, a),
  add: arithmetic("+", "|"),
  sub: arithmetic("-", "^"),
  mul: arithmetic("*", "&"),
  div: by({ float: (e, a, b) => cWrap(e.dtype, `${a} / ${b}`) }),
  floordiv: division("floordiv"),
  mod: division("mod"),
  fmod: division("fmod"),
  pow: division("pow"),
  atan2: math2("atan2"),
  hypot: math2("hypot"),
  copysign: by({ float: (e, a, b) => `__builtin_copysign${suffix(e.dtype)}(${a}, ${b})` }),
  nextafter: by({
    float: (e, a, b) => {
      if (bits(e.dtype) !== 16) return `nextafter${suffix(e.dtype)}(${a}, ${b})`;
      const [t, inf] = e.dtype === "float16" ? ["f16", "0x7c00"] : ["bf16", "0x7f80"];
      return `${t}_value(nextafter_bits(${t}_bits(${a}), ${t}_bits(${b}), ${inf}))`;
    },
  }),
  max: extreme("max", ">", "|", "run_max"),
  min: extreme("min", "<", "&", "run_min"),
  fmax: extreme("fmax", ">", "|"),
  fmin: extreme("fmin", "<", "&"),
  and: bitwise("&"),
  or: bitwise("|"),
  xor: bitwise("^"),
  // A count outside the width, negative ones too, shifts everything out; the count is masked so that both branches are defined.
  shl: by({
    int: (e, a, b) =>
      `((${modular(e.dtype)})${b} < ${bits(e.dtype)} ? (${cType(e.dtype)})((${modular(e.dtype)})${a} << (${b} & ${
        bits(e.dtype) - 1
      })) : (${cType(e.dtype)})0)`,
  }),
  shr: by({
    int: (e, a, b) =>
      `(${cType(e.dtype)})((${modular(e.dtype)})${b} < ${bits(e.dtype)} ? ${a} >> (${b} & ${bits(e.dtype) - 1}) : ${
        unsigned(e.dtype) ? "0" : `${a} >> ${bits(e.dtype) - 1}`
      })`,
  }),
  gcd: by({ int: integer("gcd") }),
  lt: compare("<"),
  le: compare("<="),
  eq: compare("=="),
  ne: compare("!="),
} satisfies Record<Exclude<Op, LeafOp | "where" | "gather" | "threefry">, OpText>;

/** The text of an operation. */
export function cOperation(e: Expr, src: readonly string[]): string {
  if (e.op === "where") return `(${src[0]} ? ${src[1]} : ${src[2]})`;
  if (e.op === "threefry") return `threefry(${src.join(", ")}, ${Number(e.arg)})`;
  return (cOps as Record<string, OpText>)[e.op]!(e, src[0]!, src[1] ?? "");
}

/** A conversion. */
export function cCast(from: ScalarType, to: ScalarType, a: string): string {
  if (from === to) return a;
  const f = form(from), t = form(to);
  if (t === "bool") return `(${a} != 0)`;
  if (f === "bool" || f === "int") {
    return bits(to) === 16 && t === "float" ? cWrap(to, `(f32)${a}`) : `(${cType(to)})${a}`;
  }
  if (t === "float") {
    if (to === "float64") return `(f64)${a}`;
    if (to === "float32") return from === "float64" ? `(f32)${a}` : a;
    return cWrap(to, from === "float64" ? (to === "float16" ? `odd_f32(${a})` : `(f32)${a}`) : a);
  }
  const source = from === "float64" ? "f64" : "f32";
  if (to === "uint32") return from === "float16" ? `(u32)to_i64_f32(${a})` : `to_u32(${a})`;
  if (to === "uint64") return `to_u64(${a})`;
  if (to === "int64") return `to_i64_${source}(${a})`;
  return to === "int32" ? `to_i32_${source}(${a})` : `(${cType(to)})to_i32_${source}(${a})`;
}

/** A literal. */
export function cLiteral(dtype: ScalarType, value: number | bigint | boolean): string {
  switch (form(dtype)) {
    case "bool":
      return value ? "1" : "0";
    case "int": {
      const v = typeof value === "number" && !Number.isFinite(value) ? 0n : BigInt(value);
      if (unsigned(dtype)) return `${v}${bits(dtype) === 64 ? "ull" : "u"}`;
      if (v === -(2n ** 63n)) return `(-9223372036854775807ll - 1)`;
      if (v === -(2n ** 31n)) return `(-2147483647 - 1)`;
      const text = `${v}${bits(dtype) === 64 ? "ll" : ""}`;
      return v < 0n ? `(${text})` : text;
    }
    default: {
      const s = suffix(dtype);
      const v = s === "f" ? Math.fround(Number(value)) : Number(value);
      if (v !== v) return `__builtin_nan${s}("")`;
      if (Math.abs(v) === Infinity) return v > 0 ? `__builtin_inf${s}()` : `(-__builtin_inf${s}())`;
      const text = Object.is(v, -0) ? "-0.0" : /[.e]/.test(`${v}`) ? `${v}` : `${v}.0`;
      const literal = text + s;
      if (bits(dtype) === 16) return cWrap(dtype, literal);
      return text.startsWith("-") ? `(${literal})` : literal;
    }
  }
}
