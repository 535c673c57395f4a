/**
 * Arithmetic on vectors of floats, as the functions of `wasm_math.ts` are written with.
 * @module
 */
import type { WasmOp } from "./wasm_binary.ts";
import type { Graph, Value } from "./wasm_graph.ts";

/** Vectors of one kind of floats in a graph. */
export class Lanes {
  readonly g: Graph;
  readonly shape: "f32x4" | "f64x2";
  readonly #int: "i32x4" | "i64x2";

  constructor(g: Graph, shape: "f32x4" | "f64x2") {
    this.g = g;
    this.shape = shape;
    this.#int = shape === "f32x4" ? "i32x4" : "i64x2";
  }

  #f(name: string, ...args: Value[]): Value {
    return this.g.op(`${this.shape}.${name}` as WasmOp, args);
  }

  #i(name: string, ...args: Value[]): Value {
    return this.g.op(`${this.#int}.${name}` as WasmOp, args);
  }

  c(value: number): Value {
    return this.g.splat(this.shape === "f32x4" ? "f32" : "f64", value);
  }
  /** A constant of the integers of the same width. */
  bits(value: number | bigint): Value {
    return this.g.splat(this.shape === "f32x4" ? "i32" : "i64", value);
  }

  add = (x: Value, y: Value): Value => this.#f("add", x, y);
  sub = (x: Value, y: Value): Value => this.#f("sub", x, y);
  mul = (x: Value, y: Value): Value => this.#f("mul", x, y);
  div = (x: Value, y: Value): Value => this.#f("div", x, y);
  sqrt = (x: Value): Value => this.#f("sqrt", x);
  // Engines are slower at their own instructions for these two.
  abs = (x: Value): Value => this.g.op("v128.andnot", [x, this.signBit()]);
  neg = (x: Value): Value => this.xor(x, this.signBit());
  nearest = (x: Value): Value => this.#f("nearest", x);
  /** `limit < x ? limit : x`: a NaN stays. */
  atMost = (x: Value, limit: number): Value => this.#f("pmin", x, this.c(limit));
  atLeast = (x: Value, limit: number): Value => this.#f("pmax", x, this.c(limit));
  lt = (x: Value, y: Value): Value => this.#f("lt", x, y);
  le = (x: Value, y: Value): Value => this.#f("le", x, y);
  gt = (x: Value, y: Value): Value => this.#f("gt", x, y);
  eq = (x: Value, y: Value): Value => this.#f("eq", x, y);
  isNaN = (x: Value): Value => this.#f("ne", x, x);
  /** `c ? x : y`, lane by lane. */
  select = (c: Value, x: Value, y: Value): Value => this.g.op("v128.bitselect", [x, y, c]);
  and = (x: Value, y: Value): Value => this.g.op("v128.and", [x, y]);
  or = (x: Value, y: Value): Value => this.g.op("v128.or", [x, y]);
  xor = (x: Value, y: Value): Value => this.g.op("v128.xor", [x, y]);
  not = (x: Value): Value => this.g.op("v128.not", [x]);
  iadd = (x: Value, y: Value): Value => this.#i("add", x, y);
  isub = (x: Value, y: Value): Value => this.#i("sub", x, y);
  ieq = (x: Value, y: Value): Value => this.#i("eq", x, y);
  shl = (x: Value, n: number): Value => this.#i("shl", x, this.g.i32(n));
  shr = (x: Value, n: number): Value => this.#i("shr_u", x, this.g.i32(n));

  /** The bit of the sign. */
  signBit(): Value {
    return this.bits(this.shape === "f32x4" ? -0x80000000 : -(1n << 63n));
  }

  /** The magnitude of `x` with the sign of `y`. */
  copysign(x: Value, y: Value): Value {
    return this.select(this.signBit(), y, x);
  }

  /** Whether |x| < limit; not for NaN. */
  within(x: Value, limit: number): Value {
    return this.lt(this.abs(x), this.c(limit));
  }

  /** Whether |x| > limit, or x is NaN. */
  beyond(x: Value, limit: number): Value {
    return this.#i("gt_s", this.abs(x), this.c(limit));
  }

  /** `x * y + z`, rounded once where that is faster. */
  madd(x: Value, y: Value, z: Value): Value {
    return this.g.fused ? this.#f("relaxed_madd", x, y, z) : this.add(this.mul(x, y), z);
  }

  /** A polynomial, lowest coefficient first: even and odd powers apart, so that half as many steps wait for one another. */
  poly(x: Value, coefficients: readonly number[]): Value {
    if (coefficients.length < 5) return this.horner(x, coefficients);
    const s = this.mul(x, x);
    const even = this.horner(s, coefficients.filter((_, i) => i % 2 === 0));
    const odd = this.horner(s, coefficients.filter((_, i) => i % 2 === 1));
    return this.madd(odd, x, even);
  }

  horner(x: Value, coefficients: readonly number[]): Value {
    let p = this.c(coefficients.at(-1)!);
    for (let i = coefficients.length - 2; i >= 0; i--) p = this.madd(p, x, this.c(coefficients[i]!));
    return p;
  }

  /** Two to an integral power that a normal number holds; the power is given as a float. */
  exponent(n: Value): Value {
    // Added to 2^52 (2^23), the biased exponent is in the low bits.
    return this.shape === "f64x2"
      ? this.shl(this.add(n, this.c(4503599627370496 + 1023)), 52)
      : this.shl(this.add(n, this.c(8388608 + 127)), 23);
  }

  /** The integer nearest to a number well below 2^51 (2^22): as a float, and in the low bits of one. */
  integral(x: Value): { readonly n: Value; readonly k: Value } {
    const magic = this.c(this.shape === "f64x2" ? 6755399441055744 : 12582912), k = this.add(x, magic);
    return { n: this.sub(k, magic), k };
  }

  /** `x * 2^n` for an `integral` n up to twice what a normal number holds: times a half of it, then the other. */
  scale(x: Value, k: Value): Value {
    const wide = this.shape === "f64x2", place = wide ? 52 : 23;
    const one = wide ? 0x3ff0000000000000n : 0x3f800000;
    const half = this.and(this.shl(k, place - 1), this.bits(wide ? -(1n << 52n) : -(2 ** 23)));
    const first = this.iadd(half, this.bits(one));
    const both = this.iadd(this.shl(k, place), this.bits(wide ? 2n * BigInt(one) : 2 * Number(one)));
    return this.mul(this.mul(x, first), this.isub(both, first));
  }
}
