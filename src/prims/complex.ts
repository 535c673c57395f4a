/**
 * Complex functions as pairs of real expressions, with the branch cuts and special values of C99's Annex G.
 *
 * Formulas without branches, so that they vectorise: both sides of a `where` are computed. Overflow is kept out by powers of two and
 * of e chosen per precision. Sources: W. Kahan, "Branch Cuts for Complex Elementary Functions" (1987), for the roots, the inverse
 * functions and tanh; R. L. Smith, "Algorithm 116" (1962), for division.
 * @module
 */
import type { Expr } from "../../kernels/expr.ts";
import type { Field } from "./field.ts";

/** Real and imaginary part. */
export type Pair = readonly [Expr, Expr];
/** A complex function of a complex number. */
export type ComplexFunction = (f: Field, z: Pair) => Pair;

const swap = (z: Pair): Pair => [z[1], z[0]];
const scaled = (f: Field, z: Pair, k: number): Pair => [f.mul(z[0], f.c(k)), f.mul(z[1], f.c(k))];

// Arithmetic

export const neg: ComplexFunction = (f, [x, y]) => [f.neg(x), f.neg(y)];
export const conj: ComplexFunction = (f, [x, y]) => [x, f.neg(y)];
export const add = (f: Field, z: Pair, w: Pair): Pair => [f.add(z[0], w[0]), f.add(z[1], w[1])];
export const sub = (f: Field, z: Pair, w: Pair): Pair => [f.sub(z[0], w[0]), f.sub(z[1], w[1])];

export const mul = (f: Field, [a, b]: Pair, [c, d]: Pair): Pair => [
  f.sub(f.mul(a, c), f.mul(b, d)),
  f.add(f.mul(a, d), f.mul(b, c)),
];

/** Smith's: divides by the larger part of w first. */
export const div = (f: Field, [a, b]: Pair, [c, d]: Pair): Pair => {
  const first = f.le(f.abs(d), f.abs(c));
  const p = f.where(first, c, d), q = f.where(first, d, c);
  const u = f.where(first, a, b), v = f.where(first, b, a);
  const ratio = f.div(q, p);
  const scale = f.div(f.c(1), f.add(p, f.mul(q, ratio)));
  const im = f.where(first, f.sub(v, f.mul(u, ratio)), f.sub(f.mul(u, ratio), v));
  const zero = f.and(f.eq(c, f.c(0)), f.eq(d, f.c(0)));
  return [
    f.where(zero, f.div(a, f.abs(c)), f.mul(f.add(u, f.mul(v, ratio)), scale)),
    f.where(zero, f.div(b, f.abs(c)), f.mul(im, scale)),
  ];
};

/** `z / |z|`; 0 at 0; NaN where z has no direction. */
export const sign: ComplexFunction = (f, [x, y]) => {
  const h = f.f2("hypot", x, y);
  const zero = f.eq(h, f.c(0));
  const infinite = f.inf(h);
  // At infinity one infinite part is the direction; two have none.
  const lost = f.or(f.nan(h), f.and(f.inf(x), f.inf(y)));
  const part = (v: Expr): Expr => {
    const far = f.where(f.inf(v), f.sign(f.c(1), v), f.c(0));
    return f.where(lost, f.c(NaN), f.where(zero, f.c(0), f.where(infinite, far, f.div(v, h))));
  };
  return [part(x), part(y)];
};

// Order: lexicographic; a NaN part makes a comparison false

export const less = (f: Field, [a, b]: Pair, [c, d]: Pair): Expr =>
  f.or(
    f.and(f.lt(a, c), f.not(f.or(f.nan(b), f.nan(d)))),
    f.and(f.eq(a, c), f.lt(b, d)),
  );

export const lessEqual = (f: Field, [a, b]: Pair, [c, d]: Pair): Expr =>
  f.or(
    f.and(f.lt(a, c), f.not(f.or(f.nan(b), f.nan(d)))),
    f.and(f.eq(a, c), f.le(b, d)),
  );

export const equal = (f: Field, z: Pair, w: Pair): Expr => f.and(f.eq(z[0], w[0]), f.eq(z[1], w[1]));

export const isnan = (f: Field, z: Pair): Expr => f.or(f.nan(z[0]), f.nan(z[1]));

export const where = (f: Field, c: Expr, z: Pair, w: Pair): Pair => [f.where(c, z[0], w[0]), f.where(c, z[1], w[1])];

// Exponential and logarithm

/** `z` with a factor of e taken out where exp would overflow before the sine or cosine brings it back: [reduced, factor]. */
function reduced(f: Field, x: Expr): [Expr, Expr] {
  const large = f.lt(f.by(80, 700), x);
  const k = f.dtype === "float32" ? 64 : 512;
  return [f.sub(x, f.where(large, f.c(k), f.c(0))), f.where(large, f.c(Math.exp(k)), f.c(1))];
}

export const exp: ComplexFunction = (f, [x, y]) => {
  const [r, factor] = reduced(f, x);
  const e = f.f("exp", r);
  const unknown = f.not(f.finite(y));
  const infinite = f.inf(x);
  // At infinity without a direction: 0 at the left, an infinity of unknown sign at the right.
  const limit = f.where(f.lt(x, f.c(0)), f.c(0), x);
  const lost = f.and(infinite, unknown);
  const re = f.mul(f.mul(e, f.f("cos", y)), factor);
  const im = f.mul(f.mul(e, f.f("sin", y)), factor);
  return [
    f.where(lost, limit, f.where(f.eq(y, f.c(0)), f.mul(e, factor), re)),
    f.where(f.eq(y, f.c(0)), y, f.where(f.and(lost, f.lt(x, f.c(0))), f.sign(f.c(0), y), im)),
  ];
};

export const exp2: ComplexFunction = (f, z) => exp(f, scaled(f, z, Math.LN2));

export const expm1: ComplexFunction = (f, [x, y]) => {
  const s = f.f("sin", f.mul(y, f.c(0.5)));
  return [
    f.sub(f.mul(f.f("expm1", x), f.f("cos", y)), f.mul(f.c(2), f.square(s))),
    f.mul(f.f("exp", x), f.f("sin", y)),
  ];
};

/** log |z|, without overflow and exact to rounding where |z| is near 1. */
function logAbs(f: Field, x: Expr, y: Expr): Expr {
  const ax = f.abs(x), ay = f.abs(y);
  const m = f.f2("max", ax, ay), n = f.f2("min", ax, ay);
  const large = f.lt(f.by(2 ** 125, 2 ** 1021), m);
  const s = f.where(large, f.c(0.25), f.c(1));
  const far = f.add(
    f.f("log", f.f2("hypot", f.mul(ax, s), f.mul(ay, s))),
    f.where(large, f.c(2 * Math.LN2), f.c(0)),
  );
  const one = f.c(1);
  const near = f.mul(f.c(0.5), f.f("log1p", f.add(f.mul(f.sub(m, one), f.add(m, one)), f.square(n))));
  return f.where(f.and(f.lt(f.c(0.7), m), f.lt(m, f.c(1.5))), near, far);
}

export const log: ComplexFunction = (f, [x, y]) => [logAbs(f, x, y), f.f2("atan2", y, x)];
export const log2: ComplexFunction = (f, z) => scaled(f, log(f, z), Math.LOG2E);
export const log10: ComplexFunction = (f, z) => scaled(f, log(f, z), Math.LOG10E);

export const log1p: ComplexFunction = (f, [x, y]) => {
  const u = f.add(x, f.c(1));
  const near = f.mul(f.c(0.5), f.f("log1p", f.add(f.mul(x, f.add(x, f.c(2))), f.square(y))));
  const small = f.and(f.lt(f.abs(x), f.c(0.5)), f.lt(f.abs(y), f.c(0.5)));
  return [f.where(small, near, logAbs(f, u, y)), f.f2("atan2", y, u)];
};

// Roots and powers

export const sqrt: ComplexFunction = (f, [x, y]) => {
  const ax0 = f.abs(x), ay0 = f.abs(y);
  const m = f.f2("fmax", ax0, ay0);
  const large = f.lt(f.by(2 ** 120, 2 ** 1000), m);
  const small = f.lt(m, f.by(2 ** -100, 2 ** -960));
  const up = f.dtype === "float32" ? 2 ** 40 : 2 ** 80;
  const s = f.where(large, f.c(2 ** -10), f.where(small, f.c(up), f.c(1)));
  const back = f.where(large, f.c(2 ** 5), f.where(small, f.c(1 / Math.sqrt(up)), f.c(1)));
  const ax = f.mul(ax0, s), ay = f.mul(ay0, s);
  const t = f.f("sqrt", f.mul(f.add(ax, f.f2("hypot", ax, ay)), f.c(0.5)));
  const zero = f.eq(t, f.c(0));
  const u = f.mul(t, back);
  const v = f.where(zero, f.c(0), f.mul(f.div(ay, f.mul(t, f.c(2))), back));
  const left = f.lt(x, f.c(0));
  const re = f.where(left, v, u), im = f.sign(f.where(left, u, v), y);
  const infinite = f.inf(y);
  return [f.where(infinite, ay0, re), f.where(infinite, y, f.where(f.nan(y), f.where(left, im, y), im))];
};

/** z to a whole number below 128 by squaring; the expression of the number is int32. */
function power(f: Field, z: Pair, n: Expr): Pair {
  const any = (mask: number): Expr =>
    f.b.binary("ne", f.b.binary("and", n, f.b.const("int32", mask)), f.b.const("int32", 0));
  let out: Pair = where(f, any(1), z, [f.c(1), f.c(0)]);
  let square = z;
  for (let k = 1; k < 7; k++) {
    square = mul(f, square, square);
    out = where(f, any(2 ** k), mul(f, out, square), out);
  }
  return where(f, f.b.binary("eq", n, f.b.const("int32", 2)), mul(f, z, z), out);
}

/** exp(w log z); whole exponents below 100 by squaring, as NumPy does; 0 has powers where the exponent points to the right. */
export const pow = (f: Field, z: Pair, w: Pair): Pair => {
  const zero = f.c(0);
  const general = exp(f, mul(f, w, log(f, z)));
  const n = f.abs(w[0]);
  const whole = f.and(f.and(f.eq(w[1], zero), f.lt(n, f.c(100))), f.eq(n, f.f("floor", n)));
  const positive = power(f, z, f.b.cast(f.where(whole, n, zero), "int32"));
  const exact = where(f, f.lt(w[0], zero), div(f, [f.c(1), zero], positive), positive);
  const atZero = f.and(f.and(f.eq(z[0], zero), f.eq(z[1], zero)), f.not(equal(f, w, [zero, zero])));
  const nothing = f.where(f.lt(zero, w[0]), zero, f.c(NaN));
  return where(f, atZero, [nothing, nothing], where(f, whole, exact, general));
};

// Trigonometric and hyperbolic functions

/** cosh and sinh of a real with the factor that is taken out where they would overflow. */
function hyperbolic(f: Field, x: Expr): [cosh: Expr, sinh: Expr, factor: Expr] {
  const ax = f.abs(x);
  const [r, factor] = reduced(f, ax);
  const large = f.lt(f.c(1), factor);
  const half = f.mul(f.f("exp", r), f.c(0.5));
  return [f.where(large, half, f.f("cosh", x)), f.where(large, f.sign(half, x), f.f("sinh", x)), factor];
}

export const cosh: ComplexFunction = (f, [x, y]) => {
  const [ch, sh, factor] = hyperbolic(f, x);
  const re = f.mul(f.mul(ch, f.f("cos", y)), factor);
  const im = f.mul(f.mul(sh, f.f("sin", y)), factor);
  const unknown = f.not(f.finite(y));
  const level = f.eq(y, f.c(0));
  return [
    f.where(f.and(f.inf(x), unknown), f.abs(x), f.where(level, f.mul(ch, factor), re)),
    f.where(
      level,
      f.where(f.nan(x), y, f.mul(f.sign(f.c(1), x), y)),
      f.where(f.and(f.eq(x, f.c(0)), unknown), f.c(0), im),
    ),
  ];
};

export const sinh: ComplexFunction = (f, [x, y]) => {
  const [ch, sh, factor] = hyperbolic(f, x);
  const re = f.mul(f.mul(sh, f.f("cos", y)), factor);
  const im = f.mul(f.mul(ch, f.f("sin", y)), factor);
  const unknown = f.not(f.finite(y));
  const level = f.eq(y, f.c(0));
  const limit = f.where(f.inf(x), f.abs(x), f.where(f.eq(x, f.c(0)), x, re));
  return [f.where(unknown, limit, f.where(level, f.mul(sh, factor), re)), f.where(level, y, im)];
};

export const tanh: ComplexFunction = (f, [x, y]) => {
  const ax = f.abs(x);
  const one = f.c(1);
  const t = f.f("tan", y);
  const s = f.f("sinh", x);
  const beta = f.add(one, f.square(t));
  const rho = f.f("sqrt", f.add(one, f.square(s)));
  const scale = f.add(one, f.mul(beta, f.square(s)));
  const near: Pair = [f.div(f.mul(f.mul(beta, rho), s), scale), f.div(t, scale)];
  // Beyond `far` the real part is 1 to rounding.
  const far = f.lt(f.by(11, 22), ax);
  const e = f.f("exp", f.neg(ax));
  const turn = f.mul(f.f("sin", y), f.f("cos", y));
  const tail = f.mul(f.mul(f.mul(f.c(4), turn), e), e);
  const at = f.where(f.inf(x), f.sign(f.c(0), f.where(f.finite(y), turn, y)), tail);
  const lost = f.and(f.not(f.finite(y)), f.finite(x));
  const level = f.eq(y, f.c(0));
  return [
    f.where(
      lost,
      f.where(f.eq(x, f.c(0)), x, f.c(NaN)),
      f.where(far, f.sign(one, x), f.where(level, f.f("tanh", x), near[0])),
    ),
    f.where(level, y, f.where(lost, f.c(NaN), f.where(far, at, near[1]))),
  ];
};

// A trigonometric function is its hyperbolic twin turned by a right angle.
export const cos: ComplexFunction = (f, [x, y]) => cosh(f, [f.neg(y), x]);
export const sin: ComplexFunction = (f, z) => swap(sinh(f, swap(z)));
export const tan: ComplexFunction = (f, z) => swap(tanh(f, swap(z)));

// Inverse functions

/** Whether a part of z is beyond this power of 2 (for float32, for float64); also for an infinite part beside NaN. */
function isFar(f: Field, [x, y]: Pair, single: number, double: number): Expr {
  const limit = f.by(2 ** single, 2 ** double);
  return f.or(f.lt(limit, f.abs(x)), f.lt(limit, f.abs(y)));
}

/** sqrt(1 - z) and sqrt(1 + z). */
function roots(f: Field, [x, y]: Pair): [Pair, Pair] {
  const one = f.c(1);
  return [sqrt(f, [f.sub(one, x), f.neg(y)]), sqrt(f, [f.add(one, x), y])];
}

/** log(2 |z|), which asinh is of far numbers to rounding. */
const logTwice = (f: Field, [x, y]: Pair): Expr => f.add(logAbs(f, x, y), f.c(Math.LN2));

export const asin: ComplexFunction = (f, z) => {
  const [x, y] = z;
  const [s, t] = roots(f, z);
  const re = f.f2("atan2", x, f.sub(f.mul(s[0], t[0]), f.mul(s[1], t[1])));
  const im = f.f("asinh", f.sub(f.mul(s[0], t[1]), f.mul(s[1], t[0])));
  const far = isFar(f, z, 14, 30);
  const level = f.eq(x, f.c(0));
  return [
    f.where(level, x, f.where(far, f.f2("atan2", x, f.abs(y)), re)),
    f.where(far, f.sign(logTwice(f, z), y), f.where(f.eq(y, f.c(0)), f.sign(im, y), im)),
  ];
};

export const acos: ComplexFunction = (f, z) => {
  const [x, y] = z;
  const [s, t] = roots(f, z);
  const re = f.mul(f.c(2), f.f2("atan2", s[0], t[0]));
  const im = f.f("asinh", f.sub(f.mul(t[0], s[1]), f.mul(t[1], s[0])));
  const far = isFar(f, z, 14, 30);
  return [
    f.where(far, f.f2("atan2", f.abs(y), x), f.where(f.and(f.eq(x, f.c(0)), f.nan(y)), f.c(Math.PI / 2), re)),
    f.where(far, f.neg(f.sign(logTwice(f, z), y)), f.where(f.eq(y, f.c(0)), f.sign(im, f.neg(y)), im)),
  ];
};

export const asinh: ComplexFunction = (f, z) => swap(asin(f, swap(z)));

/** acos turned into the right half plane. */
export const acosh: ComplexFunction = (f, z) => {
  const [re, im] = acos(f, z);
  return [f.abs(im), f.sign(re, z[1])];
};

export const atanh: ComplexFunction = (f, z) => {
  const [x, y] = z;
  const one = f.c(1), zero = f.c(0);
  const ax = f.abs(x), ay = f.abs(y);
  const gap = f.sub(one, ax);
  const yy = f.square(y);
  const ratio = f.div(f.mul(f.c(4), ax), f.add(f.square(gap), yy));
  // On the line through the pole y * y may vanish though y does not.
  const beside = f.mul(f.c(0.5), f.f("log", f.div(f.f2("hypot", f.c(2), ay), ay)));
  const near = f.where(f.eq(ax, one), beside, f.mul(f.c(0.25), f.f("log1p", ratio)));
  const far = isFar(f, z, 30, 60);
  const h = f.f2("hypot", ax, ay);
  const tail = f.where(f.inf(h), zero, f.div(f.div(ax, h), h));
  const angle = f.mul(f.c(0.5), f.f2("atan2", f.mul(f.c(2), y), f.sub(f.mul(gap, f.add(one, ax)), yy)));
  const still = f.or(f.eq(ax, zero), f.and(f.eq(y, zero), f.nan(x)));
  return [
    f.where(still, x, f.sign(f.where(far, tail, near), x)),
    f.where(far, f.where(f.or(f.nan(h), f.nan(y)), f.c(NaN), f.sign(f.c(Math.PI / 2), y)), angle),
  ];
};

export const atan: ComplexFunction = (f, z) => swap(atanh(f, swap(z)));
