/**
 * Functions of vectors of floats without branches.
 *
 * The polynomials interpolate at Chebyshev nodes, computed with 60 digits. Where an argument is out of a function's ordinary range, the lane
 * is computed by JavaScript's Math (`guard`).
 * @module
 */
import type { Graph, Value } from "./wasm_graph.ts";
import { Lanes } from "./wasm_lanes.ts";

type Unary = (l: Lanes, x: Value) => Value;

const log2e = 1.4426950408889634;
/** ln 2 in two parts; the first has 32 bits, so that its multiples are exact. */
const ln2 = [0.6931471803691238, 1.9082149292705877e-10] as const;
const ln2f = [0.693359375, -2.12194440e-4] as const;

/** (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2. */
const expPoly = [
  0.5,
  0.1666666666666667,
  0.04166666666666667,
  0.008333333333326112,
  0.0013888888888883735,
  0.0001984126987490136,
  2.4801587325597633e-05,
  2.7557255297844875e-06,
  2.7557273578311144e-07,
  2.5105259590335244e-08,
  2.0914714311373535e-09,
];
const expPolyF = [
  0.4999999999998443,
  0.16666576845821937,
  0.04166655445301225,
  0.00836320300019939,
  0.001392621177869901,
];
/** (log((1 + s) / (1 - s)) - 2s) / s^3 over s^2 <= 0.0295. */
const logPoly = [
  0.666666666666667,
  0.3999999999989827,
  0.2857142862653362,
  0.22222211043776854,
  0.18182895750119354,
  0.15331501611140969,
  0.14619166134933478,
];
/** (log(1 + f) - f + f^2/2) / f^3 for f between sqrt(1/2) - 1 and sqrt(2) - 1. */
const logPolyF = [
  0.3333333134651184,
  -0.2499999701976776,
  0.20000715553760529,
  -0.1666780263185501,
  0.14249058067798615,
  -0.12425687164068222,
  0.11685419827699661,
  -0.11479733884334564,
  0.06971611827611923,
];
/** (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4 over r^2 for |r| <= pi / 4; to 53 bits, and to 35. */
const sinPoly = [
  -0.16666666666666666,
  0.008333333333330925,
  -0.00019841269836722418,
  2.755731608381636e-06,
  -2.5051127944014184e-08,
  1.5917848524808034e-10,
];
const cosPoly = [
  0.041666666666666664,
  -0.0013888888888887382,
  2.480158729874307e-05,
  -2.7557317260008837e-07,
  2.087614382799313e-09,
  -1.1382456778061164e-11,
];
const sinPolyF = [-0.16666666663832763, 0.008333331865959415, -0.00019840082012765532, 2.724931405469831e-06];
const cosPolyF = [0.0416666666643024, -0.0013888887664713619, 2.480059643562199e-05, -2.730044861948794e-07];
/** (atan(t) - t) / t^3 over t^2 for |t| <= sqrt(2) - 1. */
const atanPoly = [
  -0.3333333333333333,
  0.1999999999999999,
  -0.14285714285711462,
  0.11111111110748206,
  -0.09090909066620814,
  0.07692306722348839,
  -0.06666641717454792,
  0.05881920850292126,
  -0.05257998927708709,
  0.04719123078675415,
  -0.04103338296254225,
  0.030610287402222797,
  -0.013892533041786172,
];
/** pi / 2 in parts of 33, 33 and 53 bits. */
const halfPi = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21] as const;
/** pi / 2 less its first part. */
const halfPiRest = 6.077100506506192e-11;
/** What pi / 2 is more than its double. */
const halfPiLow = 6.123233995736766e-17;
/** Up to here multiples of the first part of pi / 2 are exact. */
const most = 1.6e6;

/** exp(r) - 1 - r for reduced arguments, and something. */
function expTail(l: Lanes, r: Value, and: Value, f32 = false): Value {
  return l.madd(l.mul(r, r), l.poly(r, f32 ? expPolyF : expPoly), and);
}

/** x = n ln2 + r + low with |r| <= ln(2) / 2; n is in the low bits of k, too. */
function reduceExp(l: Lanes, x: Value, f32 = false): { n: Value; k: Value; r: Value; low: Value } {
  const [c, d] = f32 ? ln2f : ln2;
  const { n, k } = l.integral(l.mul(x, l.c(log2e)));
  const t = l.madd(n, l.c(-c), x), r = l.madd(n, l.c(-d), t);
  return { n, k, r, low: l.madd(n, l.c(-d), l.sub(t, r)) };
}

/** exp(x) where that is a normal number. */
function normalExp(l: Lanes, x: Value): Value {
  const f32 = l.shape === "f32x4";
  const { k, r } = reduceExp(l, x, f32);
  // One by one takes the fewest instructions, if they are fused; otherwise the longest wait.
  const p = f32 && l.g.fused ? l.horner(r, [1, 1, ...expPolyF]) : l.add(l.c(1), expTail(l, r, r, f32));
  // The low bits of k go to the exponent.
  return l.iadd(p, l.shl(k, f32 ? 23 : 52));
}

/** exp(x) for every x. */
const anyExp: Unary = (l, x) => {
  const f32 = l.shape === "f32x4";
  const c = l.atLeast(l.atMost(x, f32 ? 89 : 710), f32 ? -104 : -746);
  const { k, r } = reduceExp(l, c, f32);
  return l.scale(l.add(l.c(1), expTail(l, r, r, f32)), k);
};

const exp: Unary = (l, x) =>
  l.g.guard(lane(l, "exp"), [x], normalExp(l, x), l.beyond(x, l.shape === "f32x4" ? 87 : 708));

/** Functions of vectors that guards call for what is out of the ordinary range. */
export const guarded: Readonly<Record<string, Unary>> = { exp: anyExp };

const exp2: Unary = (l, x) => {
  const c = l.atLeast(l.atMost(x, 1025), -1076);
  const { n, k } = l.integral(c), r = l.mul(l.sub(c, n), l.c(0.6931471805599453));
  return l.scale(l.add(l.c(1), expTail(l, r, r)), k);
};

const expm1: Unary = (l, x) => {
  const c = l.atLeast(l.atMost(x, 710), -38);
  const { n, k, r, low } = reduceExp(l, c);
  // (exp(r) - 1 + 1 - 2^-n) 2^n, with what rounding took from r; beyond 2^100 the 1 counts no more.
  const rest = l.sub(l.c(1), l.exponent(l.neg(l.atMost(n, 100))));
  const q = l.add(l.add(r, rest), expTail(l, r, low));
  return l.select(l.eq(x, l.c(0)), x, l.scale(q, k));
};

/** The parts of log(x) for normal x: x = 2^n (1 + f), f between sqrt(1/2) - 1 and sqrt(2) - 1. */
function splitLog(l: Lanes, x: Value): { n: Value; f: Value } {
  const u = l.iadd(x, l.bits(0x3ff0000000000000n - 0x3fe6a09e667f3bcdn));
  const n = l.sub(l.or(l.shr(u, 52), l.bits(0x4330000000000000n)), l.c(4503599627370496 + 1023));
  const m = l.iadd(l.and(u, l.bits(0xfffffffffffffn)), l.bits(0x3fe6a09e667f3bcdn));
  return { n, f: l.sub(m, l.c(1)) };
}

/** log(1 + f) + extra for such f. */
function logOf(l: Lanes, f: Value, extra: Value | null): { high: Value; low: Value } {
  const s = l.div(f, l.add(l.c(2), f)), z = l.mul(s, s);
  const half = l.mul(l.mul(l.c(0.5), f), f);
  const tail = l.mul(s, l.add(half, l.mul(z, l.poly(z, logPoly))));
  return { high: f, low: l.sub(extra === null ? tail : l.add(tail, extra), half) };
}

/** The answers of logarithms outside their ordinary range. */
function logEdges(l: Lanes, x: Value, zero: number, r: Value): Value {
  const finite = l.select(l.lt(x, l.c(Infinity)), r, x);
  const positive = l.select(l.gt(x, l.c(zero)), finite, l.select(l.eq(x, l.c(zero)), l.c(-Infinity), l.c(NaN)));
  return l.select(l.isNaN(x), x, positive);
}

function logParts(l: Lanes, x: Value): { n: Value; high: Value; low: Value } {
  const tiny = l.lt(x, l.c(2.2250738585072014e-308));
  const { n, f } = splitLog(l, l.select(tiny, l.mul(x, l.c(2 ** 54)), x));
  return { n: l.sub(n, l.and(tiny, l.c(54))), ...logOf(l, f, null) };
}

const log: Unary = (l, x) => {
  if (l.shape === "f32x4") return logF(l, x);
  const tiny = l.lt(x, l.c(2.2250738585072014e-308));
  const { n: exponent, f } = splitLog(l, l.select(tiny, l.mul(x, l.c(2 ** 54)), x));
  const n = l.sub(exponent, l.and(tiny, l.c(54)));
  const { high, low } = logOf(l, f, l.mul(n, l.c(ln2[1])));
  return logEdges(l, x, 0, l.add(l.add(low, high), l.mul(n, l.c(ln2[0]))));
};

const logF: Unary = (l, x) => {
  const tiny = l.lt(x, l.c(2 ** -126));
  const z = l.select(tiny, l.mul(x, l.c(2 ** 23)), x);
  const u = l.iadd(z, l.bits(0x3f800000 - 0x3f3504f3));
  const e = l.g.op("f32x4.convert_i32x4_s", [l.isub(l.shr(u, 23), l.bits(127))]);
  const n = l.sub(e, l.and(tiny, l.c(23)));
  const f = l.sub(l.iadd(l.and(u, l.bits(0x7fffff)), l.bits(0x3f3504f3)), l.c(1));
  const s = l.mul(f, f), p = l.poly(f, logPolyF);
  const low = l.add(l.mul(l.mul(f, s), p), l.sub(l.mul(n, l.c(ln2f[1])), l.mul(l.c(0.5), s)));
  return logEdges(l, x, 0, l.add(l.add(low, f), l.mul(n, l.c(ln2f[0]))));
};

const log2: Unary = (l, x) => {
  const { n, high, low } = logParts(l, x);
  // The high part times the high half of 1 / ln 2 is exact to the last places that count.
  const top = l.and(high, l.bits(-(1n << 32n)));
  const rest = l.add(l.sub(high, top), low);
  const [c, d] = [1.4426950216293335, 1.9259629911266175e-08];
  const small = l.add(l.mul(l.add(top, rest), l.c(d)), l.mul(rest, l.c(c)));
  return logEdges(l, x, 0, l.add(l.add(small, l.mul(top, l.c(c))), n));
};

const log1p: Unary = (l, x) => {
  const u = l.add(x, l.c(1));
  const { n, f } = splitLog(l, u);
  // What rounding took from 1 + x, relative to it; nothing where x itself is f.
  const lost = l.select(l.gt(x, l.c(1)), l.sub(l.c(1), l.sub(u, x)), l.sub(x, l.sub(u, l.c(1))));
  const same = l.eq(n, l.c(0));
  const correction = l.select(same, l.c(0), l.div(lost, u));
  const { high, low } = logOf(l, l.select(same, x, f), l.add(correction, l.mul(n, l.c(ln2[1]))));
  const r = l.add(l.add(low, high), l.mul(n, l.c(ln2[0])));
  return l.select(l.eq(x, l.c(0)), x, logEdges(l, x, -1, r));
};

const tanh: Unary = (l, x) => {
  const f32 = l.shape === "f32x4";
  // t / (t + 2) with t = exp(2|x|) - 1 = (exp(r) - 1) 2^n + (2^n - 1).
  const { n, r } = reduceExp(l, l.mul(l.c(2), l.atMost(l.abs(x), f32 ? 10 : 22)), f32);
  const power = l.exponent(n), t = l.madd(expTail(l, r, r, f32), power, l.sub(power, l.c(1)));
  // What the divisor's rounding took counts: 1 / (t + 2) is (1 - q) / 2.
  const divisor = l.add(t, l.c(2)), lost = l.sub(t, l.sub(divisor, l.c(2))), q = l.div(t, divisor);
  const off = l.mul(l.mul(q, lost), l.mul(l.c(0.5), l.sub(l.c(1), q)));
  return l.copysign(l.sub(q, off), x);
};

const sinh: Unary = (l, x) => {
  const a = l.abs(x), t = expm1(l, l.atMost(a, 709));
  const r = l.mul(l.c(0.5), l.add(t, l.div(t, l.add(t, l.c(1)))));
  return l.g.guard(lane(l, "sinh"), [x], l.copysign(r, x), l.gt(a, l.c(709)));
};

const cosh: Unary = (l, x) => {
  const a = l.abs(x), e = normalExp(l, l.atMost(a, 709));
  const r = l.add(l.mul(l.c(0.5), e), l.div(l.c(0.5), e));
  return l.g.guard(lane(l, "cosh"), [x], r, l.gt(a, l.c(709)));
};

/** x = n pi/2 + r + low with the two low bits of n in `q`. */
function reduceTrig(l: Lanes, x: Value, short: boolean): { r: Value; low: Value; q: Value } {
  const magic = l.c(6755399441055744);
  const k = l.add(l.mul(x, l.c(0.6366197723675814)), magic), n = l.sub(k, magic);
  const t = l.sub(x, l.mul(n, l.c(halfPi[0])));
  if (short) return { r: l.sub(t, l.mul(n, l.c(halfPiRest))), low: l.c(0), q: k };
  const second = l.mul(n, l.c(halfPi[1])), u = l.sub(t, second);
  const third = l.sub(l.mul(n, l.c(halfPi[2])), l.sub(l.sub(t, u), second));
  const r = l.sub(u, third);
  return { r, low: l.sub(l.sub(u, r), third), q: k };
}

/** sin and cos of a reduced argument. */
function sincos(l: Lanes, r: Value, low: Value, short: boolean): { s: Value; c: Value } {
  const z = l.mul(r, r), half = l.mul(l.c(0.5), z);
  if (short) {
    const s = l.add(r, l.mul(l.mul(r, z), l.poly(z, sinPolyF)));
    return { s, c: l.add(l.sub(l.c(1), half), l.mul(l.mul(z, z), l.poly(z, cosPolyF))) };
  }
  // sin: r + (r^3 p(z) + low (1 - z/2)); cos: 1 - z/2 with what its rounding lost, + z^2 p(z) - r low.
  const s = l.add(r, l.add(l.mul(l.mul(r, z), l.poly(z, sinPoly)), l.sub(low, l.mul(half, low))));
  const w = l.sub(l.c(1), half), lost = l.sub(l.sub(l.c(1), w), half);
  const c = l.add(w, l.add(lost, l.sub(l.mul(l.mul(z, z), l.poly(z, cosPoly)), l.mul(r, low))));
  return { s, c };
}

function trig(name: "sin" | "cos", short: boolean): Unary {
  return (l, x) => {
    const { r, low, q: k } = reduceTrig(l, x, short);
    const { s, c } = sincos(l, r, low, short);
    const q = name === "sin" ? k : l.iadd(k, l.bits(1n));
    const odd = l.isub(l.bits(0n), l.and(q, l.bits(1n)));
    const sign = l.and(l.shl(q, 62), l.signBit());
    const result = l.xor(l.select(odd, c, s), sign);
    const fast = name === "sin" ? l.select(l.eq(x, l.c(0)), x, result) : result;
    return l.g.guard(lane(l, name), [x], fast, l.not(l.within(x, most)));
  };
}

const tan: Unary = (l, x) => {
  const { r, low, q } = reduceTrig(l, x, false);
  const { s, c } = sincos(l, r, low, false);
  const odd = l.isub(l.bits(0n), l.and(q, l.bits(1n)));
  const t = l.div(l.select(odd, c, s), l.select(odd, l.neg(s), c));
  return l.g.guard(lane(l, "tan"), [x], l.select(l.eq(x, l.c(0)), x, t), l.not(l.within(x, most)));
};

const atan: Unary = (l, x) => {
  const a = l.abs(x);
  const large = l.gt(a, l.c(2.414213562373095)), middle = l.gt(a, l.c(0.41421356237309503));
  const top = l.select(large, l.c(-1), l.select(middle, l.sub(a, l.c(1)), a));
  const bottom = l.select(large, a, l.select(middle, l.add(a, l.c(1)), l.c(1)));
  const t = l.div(top, bottom), z = l.mul(t, t);
  const base = l.select(large, l.c(Math.PI / 2), l.and(middle, l.c(Math.PI / 4)));
  const rest = l.select(large, l.c(halfPiLow), l.and(middle, l.c(halfPiLow / 2)));
  const r = l.add(base, l.add(t, l.add(rest, l.mul(l.mul(t, z), l.poly(z, atanPoly)))));
  return l.copysign(r, x);
};

const asin: Unary = (l, x) => {
  const one = l.c(1);
  return atan(l, l.div(x, l.sqrt(l.mul(l.sub(one, x), l.add(one, x)))));
};

const acos: Unary = (l, x) => {
  const one = l.c(1);
  return l.mul(l.c(2), atan(l, l.sqrt(l.div(l.sub(one, x), l.add(one, x)))));
};

const asinh: Unary = (l, x) => {
  const a = l.abs(x), s = l.mul(a, a);
  const r = log1p(l, l.add(a, l.div(s, l.add(l.c(1), l.sqrt(l.add(s, l.c(1)))))));
  return l.g.guard(lane(l, "asinh"), [x], l.copysign(r, x), l.gt(a, l.c(1e150)));
};

const acosh: Unary = (l, x) => {
  const t = l.sub(x, l.c(1));
  // Below 1 the root is NaN, or it is made so.
  const root = l.sqrt(l.select(l.lt(t, l.c(0)), l.c(NaN), l.mul(t, l.add(t, l.c(2)))));
  const r = log1p(l, l.add(t, root));
  return l.g.guard(lane(l, "acosh"), [x], r, l.gt(x, l.c(1e150)));
};

const atanh: Unary = (l, x) => {
  const a = l.abs(x), t = l.div(l.mul(l.c(2), a), l.sub(l.c(1), a));
  return l.copysign(l.mul(l.c(0.5), log1p(l, t)), x);
};

/** The function of one lane that a guard calls. */
function lane(l: Lanes, name: string): { shape: "f32x4" | "f64x2"; name: string; arity: 1 } {
  return { shape: l.shape, name, arity: 1 };
}

/** Functions of float64, to 2 units in the last place (the inverse ones to 4). */
const double = {
  exp,
  exp2,
  expm1,
  log,
  log2,
  log1p,
  sin: trig("sin", false),
  cos: trig("cos", false),
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  tanh,
  asinh,
  acosh,
  atanh,
} satisfies Record<string, Unary>;
/** Functions of float32 itself. */
const single = { exp, log, tanh } satisfies Record<string, Unary>;
/** Functions of float64 for arguments and results that are float32. */
const short = {
  ...double,
  sin: trig("sin", true),
  cos: trig("cos", true),
  log10: (l, x) => l.mul(log(l, x), l.c(0.4342944819032518)),
  cbrt: (l, x) => {
    const r = exp(l, l.mul(log(l, l.abs(x)), l.c(1 / 3)));
    return l.copysign(r, x);
  },
} satisfies Record<string, Unary>;

const own = (table: Readonly<Record<string, Unary>>, name: string): Unary | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

/** float32 as float64: the two low lanes, the two high ones. */
export function promote(g: Graph, x: Value): [Value, Value] {
  return [g.op("f64x2.promote_low_f32x4", [x]), g.op("f64x2.promote_low_f32x4", [g.shuffle(x, x, 8, [1, 1])])];
}

/** Two vectors of float64 as one of float32. */
export function demote(g: Graph, [x, y]: readonly Value[]): Value {
  return g.shuffle(g.op("f32x4.demote_f64x2_zero", [x!]), g.op("f32x4.demote_f64x2_zero", [y!]), 8, [0, 2]);
}

/**
 * A function of vectors.
 *
 * @param name Name of the operation
 * @param x Two vectors of float64, or one of float32
 * @returns The results, or null where there is no such function here
 */
export function vectorMath(g: Graph, name: string, x: readonly Value[]): Value[] | null {
  const wide = new Lanes(g, "f64x2");
  if (x.length === 2) {
    const f = own(double, name);
    return f === undefined ? null : x.map((v) => f(wide, v));
  }
  const f = own(single, name);
  if (f !== undefined) return [f(new Lanes(g, "f32x4"), x[0]!)];
  const d = own(short, name);
  return d === undefined ? null : [demote(g, promote(g, x[0]!).map((v) => d(wide, v)))];
}

/** x to the power y for float32, computed as exp(y log(x)) in float64; lanes that are not ordinary through `pow`. */
export function powF(g: Graph, x: Value, y: Value): Value {
  const l = new Lanes(g, "f64x2");
  const xs = promote(g, x), ys = promote(g, y);
  return demote(
    g,
    xs.map((v, i) => {
      const w = ys[i]!;
      const ordinary = l.and(l.and(l.gt(v, l.c(0)), l.lt(v, l.c(Infinity))), l.within(w, Infinity));
      return g.guard({ shape: "f64x2", name: "pow", arity: 2 }, [v, w], exp(l, l.mul(w, log(l, v))), l.not(ordinary));
    }),
  );
}
