/**
 * What the texts of C functions are made of: types of floats, literals, polynomials.
 * @module
 */
import { coefficients, parts } from "./c_coefficients.ts";

/** What differs between the two floating types. */
export interface FloatType {
  readonly t: "f32" | "f64";
  /** The suffix of literals and of the C library's functions. */
  readonly s: "f" | "";
  /** Unsigned integers of the same size. */
  readonly u: "u32" | "u64";
  /** Bits of the mantissa, and the exponent of one. */
  readonly mantissa: 23 | 52;
  readonly bias: 127 | 1023;
  /** Added to a number, it leaves the nearest integer in the low bits. */
  readonly magic: string;
  /** A number from the preamble's tables or one that both types hold, as a literal. */
  num(value: number): string;
  /** Part `i` of a constant. */
  part(name: keyof typeof parts, i: 0 | 1 | 2): string;
  /** Statements that leave a polynomial of `x` in the new variable `p`. */
  poly(name: keyof typeof coefficients, x: string, p?: string): string;
  /** The same for coefficients given here, lowest power first. */
  horner(c: readonly number[], x: string, p: string): string;
}

function floatType(t: "f32" | "f64"): FloatType {
  const s = t === "f32" ? "f" : "";
  const num = (v: number) => {
    const text = (/[.e]/.test(`${v}`) ? `${v}` : `${v}.0`) + s;
    return v < 0 ? `(${text})` : text;
  };
  const horner = (c: readonly number[], x: string, p: string): string => {
    const lines = [`  ${t} ${p} = ${num(c.at(-1)!)};`];
    for (const v of c.slice(0, -1).reverse()) lines.push(`  ${p} = mad_${t}(${p}, ${x}, ${num(v)});`);
    return lines.join("\n");
  };
  return {
    t,
    s,
    u: t === "f32" ? "u32" : "u64",
    mantissa: t === "f32" ? 23 : 52,
    bias: t === "f32" ? 127 : 1023,
    magic: t === "f32" ? "0x1.8p23f" : "0x1.8p52",
    num,
    part: (name, i) => num(parts[name][t][i]!),
    poly: (name, x, p = "p") => horner(coefficients[name][t], x, p),
    horner,
  };
}

export const floatTypes: readonly FloatType[] = [floatType("f32"), floatType("f64")];

/** The names of what a text seems to call. */
export function callsOf(text: string): Set<string> {
  return new Set(text.match(/\b[a-z]\w*(?=\()/g) ?? []);
}

/** Functions of both types from one template; their names end in the type. */
export function bothTypes(make: (f: FloatType) => Record<string, string>): Record<string, string> {
  const all: Record<string, string> = {};
  for (const f of floatTypes) {
    for (const [name, text] of Object.entries(make(f))) all[`${name}_${f.t}`] = text;
  }
  return all;
}
