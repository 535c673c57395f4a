/**
 * Powers, roots and error functions in C, branch-free.
 * @module
 */
import { parts } from "./c_coefficients.ts";
import { bothTypes, floatTypes } from "./c_text.ts";

const error = () =>
  bothTypes(({ t, s, poly, num }) => {
    const f32 = t === "f32";
    const top = f32 ? 10.2 : 28;
    const middle = f32 ? "2.0f" : "3.75";
    return {
      // erf(x) - x for |x| < 1.
      erf_part: `INLINE ${t} erf_part_${t}(${t} x) {
  const ${t} z = x * x;
${poly("erf", "z")}
  return x * p;
}`,
      // erfc(a) for a >= 1/2.
      erfc_part: `INLINE ${t} erfc_part_${t}(${t} a) {
  const ${t} c = a > ${num(top)} ? ${num(top)} : a;
  const ${t} v = (c - ${middle}) / (c + ${middle}), h = -c * c, l = -fma_${t}(c, c, h);
${poly(f32 ? "erfc32" : "erfc64", "v", "w")}
  ${t} n, i;
  const ${t} e = exp_pair_${t}(h, l, &n, &i);
  // What the divisor lost; w is between 1.1 and 1.3, so 1 / d is nearly 0.84 w / d.
  const ${t} d = 1 + 2 * c, r = w / d, g = (2 * c - (d - 1)) * r * r * 0.84${s};
  return scale_${t}(mad_${t}(e, r, i * r - e * g), n);
}`,
      erf: `INLINE ${t} erf_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x), y = 1 - erfc_part_${t}(a);
  return a < 1 ? x + erf_part_${t}(x) : __builtin_copysign${s}(y, x);
}`,
      erfc: `INLINE ${t} erfc_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x), e = erfc_part_${t}(a), w = erf_part_${t}(x);
  const ${t} m = x > 0.25${s} ? 0.5${s} - ((x - 0.5${s}) + w) : 1 - (x + w);
  return a < 0.5${s} ? m : x < 0 ? 2 - e : e;
}`,
    };
  });

const roots = () =>
  bothTypes(({ t, s, poly }) => {
    const f32 = t === "f32";
    const third = f32 ? "0.33333334f" : "0.3333333333333333";
    /** Small numbers are made larger, as their remainders would be subnormal, the others smaller, as cubes might overflow. */
    const choose = (small: string, other: string) =>
      `(a < ${f32 ? "0x1p-60f" : "0x1p-900"} ? ${small}${s} : ${other}${s})`;
    // The bits of a number are nearly its logarithm, and these the bits of a^(-1/3) to 4 %.
    const guess = f32
      ? `from_f32((u32)(i32)(1419898880.0f - (f32)(i32)bits_f32(w) * ${third}))`
      : `from_f64(bits_f64(0x1p52 + 1430186025.0 - (from_f64(bits_f64(w) >> 32 | 0x4330000000000000ull) - 0x1p52) * ${third}) << 32)`;
    return {
      // With w y^3 = 1 - d the root is w y^2 (1 - d)^(-2/3), and once more with its remainder.
      cbrt: `INLINE ${t} cbrt_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x), w = a * ${choose(f32 ? "0x1p60" : "0x1p300", "0x1p-3")};
  const ${t} y = ${guess};
  const ${t} q = w * y, v = y * y, d = mad_${t}(-q, v, 1);
${poly("cbrt", "d")}
  const ${t} r = mad_${t}(d, p, 1), c = q * y * r;
  const ${t} z = mad_${t}(-fma_${t}(c * c, c, -w), v * r * ${third}, c) * ${
        choose(f32 ? "0x1p-20" : "0x1p-100", "2.0")
      };
  return __builtin_copysign${s}(a < __builtin_inf${s}() ? z : a, x);
}`,
    };
  });

/**
 * What a power is at the ends of its domain, as C's `pow`; r is |x| to the power y. Conditions of one argument alone become numbers: where
 * that argument is the same for all, GCC 12 does not vectorise a choice between values of the other.
 */
const ends = () =>
  bothTypes(({ t, s, u }) => ({
    pow_ends: `INLINE ${t} pow_ends_${t}(${t} x, ${t} y, ${t} r) {
  const ${t} inf = __builtin_inf${s}(), h = 0.5${s} * y;
  const ${u} whole = y == __builtin_rint${s}(y), odd = whole & (h != __builtin_rint${s}(h));
  const ${u} negative = (x < 0) & (x > -inf);
  const ${t} p = from_${t}(bits_${t}(r) | (bits_${t}(x) & odd << ${t === "f32" ? 31 : 63}));
  const ${t} v = (negative & (1 - whole)) != 0 ? __builtin_nan${s}("") : p;
  const ${t} turn = __builtin_fabs${s}(y) == inf ? -1 : __builtin_nan${s}(""), w = x == turn ? 1 : v;
  const ${t} c = x != x ? x : y, q = c != c ? x + y : w;
  return (x == 1 ? 0 : y) == 0 ? 1 : q;
}`,
  }));

function powers(): Record<string, string> {
  const f64 = floatTypes[1]!;
  const [third, thirdLow] = parts.twoThirds.f64;
  const { part, num, poly } = f64;
  return {
    hypot_f32: `INLINE f32 hypot_f32(f32 x, f32 y) {
  const f32 r = (f32)__builtin_sqrt((f64)x * x + (f64)y * y);
  const f32 a = __builtin_fabsf(x), b = __builtin_fabsf(y);
  return a == __builtin_inff() || b == __builtin_inff() ? __builtin_inff() : r;
}`,
    hypot_f64: `INLINE f64 hypot_f64(f64 x, f64 y) {
  const f64 a = __builtin_fabs(x), b = __builtin_fabs(y), m = a > b ? a : b, n = a > b ? b : a;
  const f64 c = m > 0x1p500 ? 0x1p-600 : m < 0x1p-500 ? 0x1p600 : 1.0;
  const f64 d = m > 0x1p500 ? 0x1p600 : m < 0x1p-500 ? 0x1p-600 : 1.0;
  const f64 u = m * c, v = n * c;
  const f64 r = __builtin_sqrt(mad_f64(u, u, v * v)) * d;
  return a == __builtin_inf() || b == __builtin_inf() ? __builtin_inf() : r;
}`,
    // The logarithm of a, which is l unless a is 0 or infinite.
    log_ends: `INLINE f64 log_ends(f64 a, f64 l) {
  return l + from_f64((u64)(a == 0) * 0xfff0000000000000ull + (u64)(a == __builtin_inf()) * 0x7ff0000000000000ull);
}`,
    pow_f32: `INLINE f32 pow_f32(f32 x, f32 y) {
  const f32 a = __builtin_fabsf(x);
  f32 e;
  const f32 f = log_any_f32(a, &e);
  const f64 d = 2.0 + f, i = 1 / (2 + f), q = f * (i * mad_f64(-d, i, 2.0)), z = q * q;
${poly("log32", "z", "l")}
  const f64 g = y * log_ends(a, mad_f64(q * ${num(1.4426950408889634)}, mad_f64(z, l, 2.0), e));
  f64 c = g > 200.0 ? 200.0 : g;
  c = c < -200.0 ? -200.0 : c;
  const f64 n = c + ${f64.magic}, h = c - (n - ${f64.magic});
${poly("exp232", "h")}
  return pow_ends_f32(x, y, (f32)(mad_f64(h, p, 1.0) * pow2_f64(n)));
}`,
    // log(a) as two numbers with 65 bits between them, times y, then exp.
    pow_f64: `INLINE f64 pow_f64(f64 x, f64 y) {
  const f64 a = __builtin_fabs(x);
  f64 k, n, rest;
  const f64 f = log_any_f64(a, &k), d = 2 + f, i = 1 / d;
  const f64 s = f * i, t = (fma_f64(-s, d, f) - s * (f - (d - 2))) * i;
  const f64 z = s * s, o = fma_f64(s, s, -z) + 2 * s * t;
${poly("logTail", "z", "l")}
  // b + c = (2 atanh(s) / s - 2) / z; u + v = z (b + c); g + h = log(1 + f).
  const f64 b = mad_f64(z, l, ${num(third)}), c = mad_f64(z, l, ${num(third)} - b) + ${num(thirdLow)};
  const f64 u = z * b, v = fma_f64(z, b, -u) + (z * c + o * b);
  const f64 w = s * u, j = fma_f64(s, u, -w) + (s * v + t * u);
  const f64 g = 2 * s + w, h = (2 * s - g + w) + (2 * t + j);
  const f64 m = k * ${part("ln2", 0)}, e = log_ends(a, m + g), r = (m - e + g) + (h + k * ${part("ln2", 1)});
  const f64 A = y * e, B = fma_f64(y, e, -A) + y * r;
  f64 C = A > 800.0 ? 800.0 : A;
  C = C < -800.0 ? -800.0 : C;
  const f64 E = exp_pair_f64(C, C == A && e != 0 ? B : 0.0, &n, &rest);
  return pow_ends_f64(x, y, scale_f64(E, n));
}`,
  };
}

/** The functions of this file, in the order they are defined. */
export function specialPieces(): Readonly<Record<string, string>> {
  return { ...error(), ...roots(), ...ends(), ...powers() };
}
