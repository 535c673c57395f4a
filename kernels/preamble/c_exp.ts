/**
 * Exponentials, logarithms and hyperbolic functions in C, branch-free.
 *
 * Where a sum would lose the last places, it is carried as two numbers: the rounded sum and the rest.
 * @module
 */
import { bothTypes } from "./c_text.ts";

/** Bits, fused multiply-add and powers of two. */
const basics = () =>
  bothTypes(({ t, s, u, mantissa, bias, magic }) => ({
    bits: `INLINE ${u} bits_${t}(${t} x) { union { ${t} f; ${u} u; } v; v.f = x; return v.u; }`,
    from: `INLINE ${t} from_${t}(${u} x) { union { ${t} f; ${u} u; } v; v.u = x; return v.f; }`,
    // A polynomial's step, whose rounding does not matter.
    mad: `INLINE ${t} mad_${t}(${t} a, ${t} b, ${t} c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
  return __builtin_fma${s}(a, b, c);
#else
  return a * b + c;
#endif
}`,
    // Without the instruction, from parts that multiply exactly: a call would not vectorise.
    fma: `INLINE ${t} fma_${t}(${t} a, ${t} b, ${t} c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
  return __builtin_fma${s}(a, b, c);
#else
${
      t === "f32" ? "  return (f32)((f64)a * b + c);" : `  const f64 s = a * 134217729.0, r = b * 134217729.0;
  const f64 ah = s - (s - a), al = a - ah, bh = r - (r - b), bl = b - bh;
  const f64 p = a * b, e = al * bl - (((p - ah * bh) - al * bh) - ah * bl);
  const f64 q = p + c, z = q - p;
  return q + (((p - (q - z)) + (c - z)) + e);`
    }
#endif
}`,
    // 2^n from n + magic, for normal results.
    pow2: `INLINE ${t} pow2_${t}(${t} k) { return from_${t}((bits_${t}(k) + ${bias}) << ${mantissa}); }`,
    // y 2^n for y near 1, rounded once where the result is subnormal.
    scale: `INLINE ${t} scale_${t}(${t} y, ${t} n) {
  const ${t} k = n * 0.5${s} + ${magic};
  return y * pow2_${t}(k) * pow2_${t}(n - (k - ${magic}) + ${magic});
}`,
  }));

const exponentials = () =>
  bothTypes(({ t, s, magic, mantissa, bias, part, poly, num }) => {
    const f32 = t === "f32";
    const clamp = (x: string, low: number, high: number) =>
      `  ${t} c = ${x} > ${num(high)} ? ${num(high)} : ${x};
  c = c < ${num(low)} ? ${num(low)} : c;`;
    return {
      exp: `INLINE ${t} exp_${t}(${t} x) {
${clamp("x", f32 ? -104 : -746, f32 ? 89 : 710)}
  const ${t} k = mad_${t}(c, ${part("log2e", 0)}, ${magic}), n = k - ${magic};
  const ${t} r = mad_${t}(n, -${part("ln2", 1)}, mad_${t}(n, -${part("ln2", 0)}, c));
${poly("exp", "r")}
  return scale_${t}(mad_${t}(r * r, p, r) + 1, n);
}`,
      exp2: `INLINE ${t} exp2_${t}(${t} x) {
${clamp("x", f32 ? -151 : -1076, f32 ? 128 : 1024)}
  const ${t} n = (c + ${magic}) - ${magic}, r = c - n;
${poly("exp2", "r")}
  return scale_${t}(mad_${t}(r, p, 1), n);
}`,
      // exp(h + l) for a small l is the result and the rest of the sum, times 2^n.
      exp_pair: `INLINE ${t} exp_pair_${t}(${t} h, ${t} l, ${t} *n, ${t} *rest) {
  const ${t} k = mad_${t}(h, ${part("log2e", 0)}, ${magic});
  *n = k - ${magic};
  const ${t} r = fma_${t}(*n, -${part("ln2", 1)}, mad_${t}(*n, -${part("ln2", 0)}, h)) + l;
${poly("exp", "r")}
  const ${t} v = mad_${t}(r * r, p, r), y = v + 1;
  *rest = v - (y - 1);
  return y;
}`,
      // (exp(x) - 1) / 4, which does not overflow where sinh and cosh do not, and the rest of the sum.
      expm1_quarter: `INLINE ${t} expm1_quarter_${t}(${t} x, ${t} *rest) {
${clamp("x", f32 ? -20 : -50, f32 ? 89.6 : 710.6)}
  const ${t} k = mad_${t}(c, ${part("log2e", 0)}, ${magic}), n = k - ${magic};
  const ${t} h = mad_${t}(n, -${part("ln2", 0)}, c), r = fma_${t}(n, -${part("ln2", 1)}, h);
${poly("exp", "r")}
  const ${t} v = fma_${t}(r * r, p, fma_${t}(n, -${part("ln2", 1)}, h - r)), q = r + v;
  const ${t} w = from_${t}((bits_${t}(k) + ${bias - 2}) << ${mantissa});
  const ${t} a = w - 0.25${s}, b = w * q, y = a + b, z = y - a;
  *rest = ((a - (y - z)) + (b - z)) + w * (v - (q - r));
  return y;
}`,
      expm1: `INLINE ${t} expm1_${t}(${t} x) {
  ${t} l;
  const ${t} q = expm1_quarter_${t}(x, &l);
  return __builtin_copysign${s}(__builtin_fabs${s}(x) < 0x1p-60${s} ? x : 4 * (q + l), x);
}`,
      sinh: `INLINE ${t} sinh_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x);
  ${t} l;
  const ${t} h = expm1_quarter_${t}(a, &l), q = h + l, d = 4 * q + 1;
  const ${t} y = 2 * (h + (q / d + l));
  return __builtin_copysign${s}(a < 0x1p-60${s} ? a : y, x);
}`,
      cosh: `INLINE ${t} cosh_${t}(${t} x) {
  ${t} l;
  const ${t} h = expm1_quarter_${t}(__builtin_fabs${s}(x), &l), q = h + l;
  return 2 * (q + (0.25${s} + 0.25${s} / (4 * q + 1)));
}`,
      // q / (q + 2) with q = exp(2 a) - 1, and once more with its remainder and what the divisor lost.
      tanh: `INLINE ${t} tanh_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x), c = a > ${num(f32 ? 10 : 22)} ? ${num(f32 ? 20 : 44)} : 2 * a;
  const ${t} k = mad_${t}(c, ${part("log2e", 0)}, ${magic}), n = k - ${magic};
  const ${t} r = mad_${t}(n, -${part("ln2", 1)}, mad_${t}(n, -${part("ln2", 0)}, c));
${poly("exp", "r")}
  const ${t} w = pow2_${t}(k), q = mad_${t}(w, mad_${t}(r * r, p, r), w - 1);
  const ${t} d = q + 2, i = 1 / d, y = q * i, e = fma_${t}(-y, d, q) - y * (q - (d - 2));
  return __builtin_copysign${s}(mad_${t}(e, i, y), x);
}`,
    };
  });

const logarithms = () =>
  bothTypes(({ t, s, u, mantissa, bias, part, poly }) => {
    const f32 = t === "f32";
    const least = f32 ? "0x1p-126f" : "0x1p-1022";
    const one = f32 ? "0x3f800000u" : "0x3ff0000000000000ull";
    const root = f32 ? "0x3f3504f3u" : "0x3fe6a09e667f3bcdull";
    const fraction = f32 ? "0x7fffffu" : "0xfffffffffffffull";
    const nan = `__builtin_nan${s}("")`, inf = `__builtin_inf${s}()`;
    /** A logarithm from `k` and `f`, and the ends of its domain. */
    const log = (name: string, y: string) =>
      `INLINE ${t} ${name}_${t}(${t} x) {
  ${t} k;
  const ${t} f = log_any_${t}(x, &k), y = ${y};
  const ${t} e = x == 0 ? -${inf} : ${nan}, v = x < ${inf} ? y : x;
  return x > 0 ? v : e;
}`;
    // By a division and half as many coefficients for float64.
    const quotient = `  const ${t} q = f / (2 + f), z = q * q, h = 0.5${s} * f * f;
${f32 ? "" : poly("log", "z")}`;
    /** The logarithm of 1 + f to another base, from the product of f and what is left. */
    const based = (name: "log2" | "log10", scale: "log2e" | "log10e") => {
      const c = part(scale, 0), low = `f * ${part(scale, 1)}`;
      return `INLINE ${t} ${name}_core_${t}(${t} f) {
${
        f32
          ? `${poly(name, "f")}
  return mad_f32(f, ${c}, mad_f32(f * f, p, ${low}));`
          : `${quotient}
  return mad_f64(f, ${c}, mad_f64(mad_f64(q, mad_f64(z, p, h), -h), ${c}, ${low}));`
      }
}`;
    };
    return {
      // x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), for positive normal x; `e` are the bits of k, biased.
      log_split: `INLINE ${t} log_split_${t}(${t} x, ${t} *k, ${u} *e) {
  const ${u} b = bits_${t}(x) + (${one} - ${root});
  *e = b >> ${mantissa};
  *k = ${f32 ? "(f32)(i32)*e - 127.0f" : "from_f64(*e | 0x4330000000000000ull) - 4503599627371519.0"};
  return from_${t}((b & ${fraction}) + ${root}) - 1;
}`,
      log_any: `INLINE ${t} log_any_${t}(${t} x, ${t} *k) {
  ${u} e;
  const ${t} f = log_split_${t}(x < ${least} ? x * 0x1p64${s} : x, k, &e);
  *k -= x < ${least} ? 64.0${s} : 0.0${s};
  return f;
}`,
      // log(2^k (1 + f)).
      log_core: `INLINE ${t} log_core_${t}(${t} f, ${t} k) {
${
        f32
          ? `${poly("log1", "f")}
  return mad_f32(k, ${part("ln2", 0)}, mad_f32(k, ${part("ln2", 1)}, mad_f32(f * f, p, f)));`
          : `${quotient}
  return k * ${part("ln2", 0)} - ((h - (q * mad_f64(z, p, h) + k * ${part("ln2", 1)})) - f);`
      }
}`,
      log: log("log", `log_core_${t}(f, k)`),
      log2_core: based("log2", "log2e"),
      log2: log("log2", `k + log2_core_${t}(f)`),
      log10_core: based("log10", "log10e"),
      log10: log(
        "log10",
        `mad_${t}(k, ${part("log10of2", 0)}, mad_${t}(k, ${part("log10of2", 1)}, log10_core_${t}(f)))`,
      ),
      // log(2^more (1 + x)) for x > -1.
      log1p_core: `INLINE ${t} log1p_core_${t}(${t} x, ${t} more) {
  const ${t} y = 1 + x, z = y - 1, c = (1 - (y - z)) + (x - z);
  ${t} k;
  ${u} e;
  const ${t} f = log_split_${t}(y, &k, &e);
  const ${t} w = from_${t}((${2 * bias} - e) << ${mantissa});
  return log_core_${t}(e > ${bias + 100} ? f : f + c * w, k + more);
}`,
      log1p: `INLINE ${t} log1p_${t}(${t} x) {
  const ${t} y = log1p_core_${t}(x, 0);
  const ${t} v = x > -1 ? (x < ${inf} ? y : x) : x == -1 ? -${inf} : ${nan};
  return x != x ? x : __builtin_copysign${s}(v, x);
}`,
      atanh: `INLINE ${t} atanh_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x), d = (a + a) / (1 - a);
  const ${t} y = 0.5${s} * log1p_core_${t}(d, 0);
  const ${t} v = a < 1 ? (a < 0x1p-60${s} ? a : y) : a == 1 ? ${inf} : ${nan};
  return x != x ? x : __builtin_copysign${s}(v, x);
}`,
      asinh: `INLINE ${t} asinh_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x), q = a * a;
  const ${t} d = a > 0x1p60${s} ? a : a + q / (1 + __builtin_sqrt${s}(q + 1));
  const ${t} y = log1p_core_${t}(d, a > 0x1p60${s} ? 1 : 0);
  return __builtin_copysign${s}(a < ${inf} ? y : a, x);
}`,
      acosh: `INLINE ${t} acosh_${t}(${t} x) {
  const ${t} m = x - 1, d = x > 0x1p60${s} ? x : m + __builtin_sqrt${s}(m * m + 2 * m);
  const ${t} y = log1p_core_${t}(d, x > 0x1p60${s} ? 1 : 0);
  return x >= 1 ? (x < ${inf} ? y : x) : x != x ? x : ${nan};
}`,
    };
  });

/** The functions of this file, in the order they are defined. */
export function expPieces(): Readonly<Record<string, string>> {
  return { ...basics(), ...exponentials(), ...logarithms() };
}
