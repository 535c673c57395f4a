/**
 * Operations of the WebAssembly dialect: expressions as vectors of four points.
 *
 * float32 and integers of up to 32 bits take one vector, 64-bit numbers two; a bool is a mask of either width. The half precisions are
 * computed as float32 and rounded after each operation. Answers are those of the JavaScript dialect, up to the last places of
 * transcendental functions.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import type { Expr, Op } from "./expr.ts";
import { castVec } from "./wasm_cast.ts";
import type { WasmOp } from "./wasm_binary.ts";
import type { Callee, Graph, Value } from "./wasm_graph.ts";
import { Lanes } from "./wasm_lanes.ts";
import { demote, powF, promote, vectorMath } from "./wasm_math.ts";
import { formOf, isHalf, maskOf, roundHalf, shapes, signed, type Vec, wrapInt, zip } from "./wasm_vec.ts";

/** Thrown for what this dialect cannot say. */
export class Inexpressible extends Error {
  override name = "Inexpressible";
}

function refuse(e: Expr): never {
  throw new Inexpressible(`${e.op} of ${e.src[0]?.dtype ?? e.dtype}`);
}

/** The names of functions of a lane: Math's, operators, or JavaScript helpers. */
const laneUnary: Partial<Record<Op, string>> = {
  cbrt: "cbrt",
  log10: "log10",
  erf: "erf",
  erfc: "erfc",
  lgamma: "lgamma",
};
const laneBinary: Partial<Record<Op, string>> = {
  mod: "mod",
  fmod: "fmod",
  pow: "pow",
  atan2: "atan2",
  hypot: "hypot",
};

/** Gives each expression its vectors, once. */
export class Vectors {
  readonly #g: Graph;
  readonly #leaf: (e: Expr, src: readonly Vec[]) => Vec;
  readonly #done = new Map<Expr, Vec>();

  /** @param leaf The vectors of gathers, from those of their indices, and of expressions without sources, but literals */
  constructor(g: Graph, leaf: (e: Expr, src: readonly Vec[]) => Vec) {
    this.#g = g;
    this.#leaf = leaf;
  }

  /** The vectors of an expression. @throws Inexpressible */
  of(e: Expr): Vec {
    let v = this.#done.get(e);
    if (v === undefined) this.#done.set(e, v = this.#make(e));
    return v;
  }

  #make(e: Expr): Vec {
    if (e.op === "const") return literal(this.#g, e);
    if (e.src.length === 0 || e.op === "gather") return this.#leaf(e, e.src.map((s) => this.of(s)));
    const x = this.of(e.src[0]!);
    if (e.op === "where") return this.#where(x, this.of(e.src[1]!), this.of(e.src[2]!));
    if (e.op === "threefry") return threefry(this.#g, e.src.map((s) => this.of(s).parts[0]!), Number(e.arg));
    if (e.op === "cast") return castVec(this.#g, x, e.src[0]!.dtype, e.dtype);
    if (e.src.length === 1) return this.#unary(e, x);
    const y = this.of(e.src[1]!);
    if (e.src[0]!.dtype === "bool") return this.#bool(e, x, y);
    const form = formOf(e.src[0]!.dtype);
    if (form === "i32") return this.#int32(e, x, y);
    if (form === "i64") return this.#int64(e, x, y);
    return this.#float(e, x, y);
  }

  #op(name: string, ...args: readonly Value[]): Value {
    return this.#g.op(name as WasmOp, args);
  }

  #where(c: Vec, x: Vec, y: Vec): Vec {
    const g = this.#g;
    if (x.form === "m32" || x.form === "m64") {
      const width = x.form === y.form ? x.form : "m32";
      const [m, p, q] = [maskOf(g, c, width), maskOf(g, x, width), maskOf(g, y, width)];
      return { form: width, parts: m.map((v, i) => g.op("v128.bitselect", [p[i]!, q[i]!, v])) };
    }
    const m = maskOf(g, c, x.parts.length === 2 ? "m64" : "m32");
    return { form: x.form, parts: x.parts.map((v, i) => g.op("v128.bitselect", [v, y.parts[i]!, m[i]!])) };
  }

  // Bools

  #bool(e: Expr, x: Vec, y: Vec): Vec {
    const form = x.form === y.form ? x.form as "m32" | "m64" : "m32";
    const p = maskOf(this.#g, x, form), q = maskOf(this.#g, y, form);
    const both = (f: (a: Value, b: Value) => Value): Vec => ({ form, parts: p.map((a, i) => f(a, q[i]!)) });
    const not = (a: Value) => this.#op("v128.not", a);
    switch (e.op) {
      case "add":
      case "or":
      case "max":
      case "fmax":
        return both((a, b) => this.#op("v128.or", a, b));
      case "mul":
      case "and":
      case "min":
      case "fmin":
        return both((a, b) => this.#op("v128.and", a, b));
      case "sub":
      case "xor":
      case "ne":
        return both((a, b) => this.#op("v128.xor", a, b));
      case "eq":
        return both((a, b) => not(this.#op("v128.xor", a, b)));
      case "lt":
        return both((a, b) => this.#op("v128.andnot", b, a));
      case "le":
        return both((a, b) => this.#op("v128.or", b, not(a)));
      default:
        return refuse(e);
    }
  }

  // One source

  #unary(e: Expr, x: Vec): Vec {
    const dtype = e.src[0]!.dtype;
    if (dtype === "bool") {
      if (e.op === "not") return { form: x.form, parts: x.parts.map((v) => this.#op("v128.not", v)) };
      if (e.op === "popcount") return castVec(this.#g, x, "bool", "uint8");
      if (["abs", "floor", "ceil", "trunc", "rint"].includes(e.op)) return x;
      return refuse(e);
    }
    return dtypes[dtype].kind === "f" ? this.#floatUnary(e, x) : this.#intUnary(e, x);
  }

  #intUnary(e: Expr, x: Vec): Vec {
    const g = this.#g, dtype = e.src[0]!.dtype, shape = shapes[x.form];
    const each = (f: (v: Value) => Value): Vec => ({ form: x.form, parts: x.parts.map(f) });
    const wrapped = (f: (v: Value) => Value): Vec => ({
      form: x.form,
      parts: x.parts.map((v) => wrapInt(g, dtype, f(v))),
    });
    const zero = g.splat("i32", 0);
    switch (e.op) {
      case "floor":
      case "ceil":
      case "trunc":
      case "rint":
        return x;
      case "neg":
        return wrapped((v) => this.#op(`${shape}.neg`, v));
      case "abs":
        return signed(dtype) ? wrapped((v) => this.#op(`${shape}.abs`, v)) : x;
      case "not":
        return wrapped((v) => this.#op("v128.not", v));
      case "sign":
        // A comparison gives -1 where it holds.
        return signed(dtype)
          ? each((v) =>
            this.#op(`${shape}.sub`, this.#op(`${shape}.lt_s`, v, zero), this.#op(`${shape}.gt_s`, v, zero))
          )
          : each((v) => this.#op(`${shape}.neg`, this.#op(`${shape}.ne`, v, zero)));
      case "signbit":
        return {
          form: x.parts.length === 2 ? "m64" : "m32",
          parts: x.parts.map((v) => this.#op(`${shape}.lt_s`, v, zero)),
        };
      case "popcount": {
        const counts = x.parts.map((v) => {
          const magnitude = signed(dtype) ? this.#op(`${shape}.abs`, v) : v;
          const bytes = this.#op("i8x16.popcnt", magnitude);
          return this.#op("i32x4.extadd_pairwise_i16x8_u", this.#op("i16x8.extadd_pairwise_i8x16_u", bytes));
        });
        if (counts.length === 1) return { form: "i32", parts: counts };
        const [p, q] = counts as [Value, Value];
        const sum = this.#op("i32x4.add", g.shuffle(p, q, 4, [0, 2, 4, 6]), g.shuffle(p, q, 4, [1, 3, 5, 7]));
        return { form: "i32", parts: [sum] };
      }
      default:
        return refuse(e);
    }
  }

  #floatUnary(e: Expr, x: Vec): Vec {
    const g = this.#g, dtype = e.src[0]!.dtype, shape = shapes[x.form] as "f32x4" | "f64x2";
    const l = new Lanes(g, shape), mask = x.form === "f64" ? "m64" : "m32";
    const each = (f: (v: Value) => Value): Vec => ({ form: x.form, parts: x.parts.map(f) });
    const test = (f: (v: Value) => Value): Vec => ({ form: mask, parts: x.parts.map(f) });
    switch (e.op) {
      case "neg":
        return each(l.neg);
      case "abs":
        return each(l.abs);
      case "floor":
      case "ceil":
      case "trunc":
        return each((v) => this.#op(`${shape}.${e.op}`, v));
      case "rint":
        return each(l.nearest);
      case "sqrt":
        return this.#rounded(dtype, each(l.sqrt));
      case "sign":
        return each((v) => {
          const one = l.or(l.and(v, l.signBit()), l.c(1));
          const zero = l.and(l.eq(v, l.c(0)), l.bits(-1));
          return l.select(l.isNaN(v), v, l.select(zero, l.c(0), one));
        });
      case "isnan":
        return test(l.isNaN);
      case "isinf":
        return test((v) => l.eq(l.abs(v), l.c(Infinity)));
      case "isfinite":
        return test((v) => l.within(v, Infinity));
      case "signbit":
        return test((v) => this.#op(`${x.form === "f64" ? "i64x2" : "i32x4"}.lt_s`, v, g.splat("i32", 0)));
    }
    const fast = vectorMath(g, e.op, x.parts);
    if (fast !== null) return this.#rounded(dtype, { form: x.form, parts: fast });
    const name = laneUnary[e.op];
    if (name === undefined) return refuse(e);
    return this.#rounded(dtype, each((v) => g.call({ shape, name, arity: 1 }, [v])));
  }

  /** A result as its dtype holds it. */
  #rounded(dtype: ScalarType, v: Vec): Vec {
    return isHalf(dtype) ? { form: v.form, parts: v.parts.map((p) => roundHalf(this.#g, dtype, p)) } : v;
  }

  // Two sources

  #float(e: Expr, x: Vec, y: Vec): Vec {
    const g = this.#g, dtype = e.src[0]!.dtype, shape = shapes[x.form] as "f32x4" | "f64x2";
    const l = new Lanes(g, shape);
    const each = (f: (a: Value, b: Value) => Value): Vec => zip(x.form, x, y, f);
    const test = (f: (a: Value, b: Value) => Value): Vec => zip(x.form === "f64" ? "m64" : "m32", x, y, f);
    const lanes = (name: string): Vec => each((a, b) => g.call({ shape, name, arity: 2 }, [a, b]));
    switch (e.op) {
      case "add":
      case "sub":
      case "mul":
      case "div":
        return this.#rounded(dtype, each((a, b) => this.#op(`${shape}.${e.op}`, a, b)));
      // pmin and pmax are one comparison, like the JavaScript.
      case "max":
        return each((a, b) => l.select(l.isNaN(a), a, this.#op(`${shape}.pmax`, b, a)));
      case "min":
        return each((a, b) => l.select(l.isNaN(a), a, this.#op(`${shape}.pmin`, b, a)));
      case "fmax":
        return each((a, b) => l.select(l.isNaN(b), a, this.#op(`${shape}.pmax`, b, a)));
      case "fmin":
        return each((a, b) => l.select(l.isNaN(b), a, this.#op(`${shape}.pmin`, b, a)));
      case "lt":
      case "le":
      case "eq":
      case "ne":
        return test((a, b) => this.#op(`${shape}.${e.op}`, a, b));
      case "copysign":
        return each((a, b) => l.copysign(a, b));
      case "nextafter":
        return isHalf(dtype) ? refuse(e) : lanes(x.form === "f64" ? "nextafter" : "nextafter32");
      case "floordiv":
        return this.#rounded(dtype, lanes(x.form === "f64" ? "floordiv" : "floordiv32"));
      case "pow":
        if (x.form === "f32") return this.#rounded(dtype, each((a, b) => powF(g, a, b)));
        break;
      case "hypot":
        return this.#rounded(
          dtype,
          x.form === "f32" ? each((a, b) => hypotF(g, a, b)) : each((a, b) => hypot(g, a, b)),
        );
    }
    const name = laneBinary[e.op];
    return name === undefined ? refuse(e) : this.#rounded(dtype, lanes(name));
  }

  #compare(e: Expr, x: Vec, y: Vec): Vec | null {
    const shape = shapes[x.form], unsigned = !signed(e.src[0]!.dtype);
    const form = x.form === "i64" ? "m64" : "m32";
    if (e.op === "eq" || e.op === "ne") return zip(form, x, y, (a, b) => this.#op(`${shape}.${e.op}`, a, b));
    if (e.op !== "lt" && e.op !== "le") return null;
    return zip(form, x, y, (a, b) => {
      if (x.form === "i32") return this.#op(`i32x4.${e.op}_${unsigned ? "u" : "s"}`, a, b);
      const flip = (v: Value) => unsigned ? this.#op("v128.xor", v, this.#g.splat("i64", -(1n << 63n))) : v;
      return this.#op(`i64x2.${e.op}_s`, flip(a), flip(b));
    });
  }

  /** What 32-bit and 64-bit integers have in common. */
  #int(e: Expr, x: Vec, y: Vec): Vec | null {
    const g = this.#g, dtype = e.src[0]!.dtype, shape = shapes[x.form];
    const test = this.#compare(e, x, y);
    if (test !== null) return test;
    switch (e.op) {
      case "add":
      case "sub":
      case "mul":
        return zip(x.form, x, y, (a, b) => wrapInt(g, dtype, this.#op(`${shape}.${e.op}`, a, b)));
      case "and":
      case "or":
      case "xor":
        return zip(x.form, x, y, (a, b) => this.#op(`v128.${e.op}`, a, b));
      case "shl":
      case "shr":
        return this.#shift(e, x, y);
      default:
        return null;
    }
  }

  /** Shifts by a literal, or by a number that is the same at all points; lanes have no counts of their own. */
  #shift(e: Expr, x: Vec, y: Vec): Vec {
    const g = this.#g, dtype = e.src[0]!.dtype, width = dtypes[dtype].itemsize * 8, by = e.src[1]!;
    const wide = x.form === "i64", shape = shapes[x.form];
    if (by.op === "const") {
      const n = Number(by.arg), inside = n >= 0 && n < width, zero = g.splat("i32", 0);
      if (!inside && (e.op === "shl" || !signed(dtype))) return { form: x.form, parts: x.parts.map(() => zero) };
      const count = g.i32(inside ? n : width - 1);
      if (e.op === "shl") {
        return {
          form: x.form,
          parts: x.parts.map((v) => wrapInt(g, dtype, g.op(`${shape}.shl` as WasmOp, [v, count]))),
        };
      }
      return {
        form: x.form,
        parts: x.parts.map((v) => g.op(`${shape}.shr_${signed(dtype) ? "s" : "u"}` as WasmOp, [v, count])),
      };
    }
    const same = y.parts[0]!;
    if (same.level === 0) {
      const number = wide ? g.op("i64x2.extract_lane", [same], [0]) : g.op("i32x4.extract_lane", [same], [0]);
      const inside = wide ? g.op("i64.lt_u", [number, g.i64(BigInt(width))]) : g.op("i32.lt_u", [number, g.i32(width)]);
      const count = wide ? g.op("i32.wrap_i64", [number]) : number;
      const by = (op: string, n: Value) => x.parts.map((v) => g.op(`${shape}.${op}` as WasmOp, [v, n]));
      if (e.op === "shr" && signed(dtype)) {
        return { form: x.form, parts: by("shr_s", g.select(count, g.i32(width - 1), inside)) };
      }
      const kept = g.op("i32x4.splat", [g.select(g.i32(-1), g.i32(0), inside)]);
      const parts = by(e.op === "shl" ? "shl" : "shr_u", count).map((v) => g.op("v128.and", [v, kept]));
      return { form: x.form, parts: parts.map((v) => wrapInt(g, dtype, v)) };
    }
    const name = `${e.op}_${signed(dtype) ? "s" : "u"}${wide ? 64 : width}`;
    return zip(
      x.form,
      x,
      y,
      (a, b) => wrapInt(g, dtype, g.call({ shape: shape as Callee["shape"], name, arity: 2 }, [a, b])),
    );
  }

  #int32(e: Expr, x: Vec, y: Vec): Vec {
    const g = this.#g, dtype = e.src[0]!.dtype, s = signed(dtype) ? "s" : "u";
    const [a, b] = [x.parts[0]!, y.parts[0]!];
    const common = this.#int(e, x, y);
    if (common !== null) return common;
    const one = (v: Value): Vec => ({ form: "i32", parts: [v] });
    switch (e.op) {
      case "max":
      case "fmax":
        return one(this.#op(`i32x4.max_${s}`, a, b));
      case "min":
      case "fmin":
        return one(this.#op(`i32x4.min_${s}`, a, b));
      case "floordiv":
      case "mod":
      case "fmod": {
        const quotient = divide(g, a, b, s, e.op === "fmod" ? "trunc" : "floor");
        const result = e.op === "floordiv" ? quotient : this.#op("i32x4.sub", a, this.#op("i32x4.mul", quotient, b));
        const nonzero = this.#op("i32x4.ne", b, g.splat("i32", 0));
        return one(wrapInt(g, dtype, this.#op("v128.and", result, nonzero)));
      }
      case "pow":
      case "gcd":
        return one(wrapInt(g, dtype, g.call({ shape: "i32x4", name: `${e.op}_${s}32`, arity: 2 }, [a, b])));
      default:
        return refuse(e);
    }
  }

  #int64(e: Expr, x: Vec, y: Vec): Vec {
    const g = this.#g, unsigned = !signed(e.src[0]!.dtype);
    const common = this.#int(e, x, y);
    if (common !== null) return common;
    switch (e.op) {
      case "max":
      case "fmax":
      case "min":
      case "fmin": {
        const less = this.#compare({ ...e, op: "lt" }, x, y)!;
        const [p, q] = e.op.endsWith("max") ? [y, x] : [x, y];
        return { form: "i64", parts: less.parts.map((m, i) => g.op("v128.bitselect", [p.parts[i]!, q.parts[i]!, m])) };
      }
      case "floordiv":
      case "mod":
      case "fmod":
      case "pow": {
        const name = `${unsigned && e.op === "mod" ? "fmod" : e.op}_${unsigned ? "u" : "s"}64`;
        return zip("i64", x, y, (a, b) => g.call({ shape: "i64x2", name, arity: 2 }, [a, b]));
      }
      default:
        return refuse(e);
    }
  }
}

/** The quotient of 32-bit integers modulo 2^32: in float64 it is exact before it is rounded. */
function divide(g: Graph, a: Value, b: Value, s: "s" | "u", round: "floor" | "trunc"): Value {
  const wide = (v: Value) => {
    const high = g.shuffle(v, v, 8, [1, 1]);
    return [v, high].map((h) => g.op(`f64x2.convert_low_i32x4_${s}`, [h]));
  };
  const [p, q] = [wide(a), wide(b)];
  const words = p.map((v, i) => {
    const quotient = g.op(`f64x2.${round}`, [g.op("f64x2.div", [v, q[i]!])]);
    return g.op("f64x2.add", [quotient, g.splat("f64", 6755399441055744)]);
  });
  return g.shuffle(words[0]!, words[1]!, 4, [0, 2, 4, 6]);
}

/** In float64 the squares of float32 neither overflow nor vanish. */
function hypotF(g: Graph, x: Value, y: Value): Value {
  const l = new Lanes(g, "f64x2"), single = new Lanes(g, "f32x4");
  const [p, q] = [promote(g, x), promote(g, y)];
  const r = demote(g, p.map((v, i) => l.sqrt(l.add(l.mul(v, v), l.mul(q[i]!, q[i]!)))));
  const infinite = single.or(
    single.eq(single.abs(x), single.c(Infinity)),
    single.eq(single.abs(y), single.c(Infinity)),
  );
  return single.select(infinite, single.c(Infinity), r);
}

function hypot(g: Graph, x: Value, y: Value): Value {
  const l = new Lanes(g, "f64x2");
  const s = l.add(l.mul(x, x), l.mul(y, y));
  const ordinary = l.and(l.gt(s, l.c(1e-290)), l.lt(s, l.c(1e290)));
  return g.guard({ shape: "f64x2", name: "hypot", arity: 2 }, [x, y], l.sqrt(s), l.not(ordinary));
}

function literal(g: Graph, e: Expr): Vec {
  const form = formOf(e.dtype), value = e.arg as number | bigint | boolean;
  if (form === "m32") return { form, parts: [g.splat("i32", value ? -1 : 0)] };
  if (form === "f32" || form === "f64") {
    const v = g.splat(form, Number(value));
    return form === "f64" ? { form, parts: [v, v] } : { form, parts: [isHalf(e.dtype) ? roundHalf(g, e.dtype, v) : v] };
  }
  const integer = typeof value === "number" && !Number.isFinite(value) ? 0n : BigInt(value);
  if (form === "i32") return { form, parts: [g.splat("i32", BigInt.asIntN(32, integer))] };
  const v = g.splat("i64", BigInt.asIntN(64, integer));
  return { form, parts: [v, v] };
}

/** Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; 2011). */
function threefry(g: Graph, [k0, k1, c0, c1]: readonly Value[], word: number): Vec {
  const add = (a: Value, b: Value) => g.op("i32x4.add", [a, b]), xor = (a: Value, b: Value) => g.op("v128.xor", [a, b]);
  // Whole bytes move by one instruction.
  const bytes = (n: number) => [0, 1, 2, 3].flatMap((lane) => [0, 1, 2, 3].map((k) => 4 * lane + (k + 4 - n / 8) % 4));
  const rotate = (v: Value, n: number) =>
    n % 8 === 0
      ? g.shuffle(v, v, 1, bytes(n))
      : g.op("v128.or", [g.op("i32x4.shl", [v, g.i32(n)]), g.op("i32x4.shr_u", [v, g.i32(32 - n)])]);
  const keys = [k0!, k1!, xor(xor(k0!, k1!), g.splat("i32", 0x1bd11bda))];
  const rotations = [[13, 15, 26, 6], [17, 29, 16, 24]] as const;
  let x = add(c0!, k0!), y = add(c1!, k1!);
  for (let i = 0; i < 5; i++) {
    for (const n of rotations[i % 2]!) {
      x = add(x, y);
      y = xor(rotate(y, n), x);
    }
    x = add(x, keys[(i + 1) % 3]!);
    y = add(add(y, keys[(i + 2) % 3]!), g.splat("i32", i + 1));
  }
  return { form: "i32", parts: [word === 0 ? x : y] };
}
