/**
 * Circular functions and their inverses in C, branch-free.
 * @module
 */
import { bothTypes } from "./c_text.ts";

const circular = () =>
  bothTypes(({ t, s, u, magic, part, poly }) => {
    const f32 = t === "f32";
    // Beyond these the reduction would lose places, and the C library takes over.
    const far = f32 ? "0x1p17f" : "0x1p30";
    const beyond = (name: string) =>
      `INLINE ${t} ${name}_${t}(${t} x) { return far_${t}(x) ? ${name}${s}(x) : ${name}_near_${t}(x); }`;
    const reduce = `  ${t} l;
  ${u} q;
  const ${t} r = quarter_${t}(x, &l, &q);`;
    return {
      far: `INLINE int far_${t}(${t} x) { return __builtin_fabs${s}(x) > ${far}; }`,
      // x = q pi/2 + r + l. The first product is subtracted exactly; what the others lose goes to l.
      quarter: `INLINE ${t} quarter_${t}(${t} x, ${t} *l, ${u} *q) {
  const ${t} k = mad_${t}(x, ${part("twoOverPi", 0)}, ${magic}), n = k - ${magic};
  const ${t} a = fma_${t}(n, -${part("halfPi", 0)}, x), b = n * -${part("halfPi", 1)}, r = a + b, c = r - a;
  const ${t} e = fma_${t}(n, -${part("halfPi", 1)}, -b) + ((a - (r - c)) + (b - c));
  *l = mad_${t}(n, -${part("halfPi", 2)}, e);
  *q = bits_${t}(k);
  return r;
}`,
      sin_part: `INLINE ${t} sin_part_${t}(${t} r, ${t} l) {
  const ${t} z = r * r;
${poly("sin", "z")}
  return r + mad_${t}(r * z, p, l);
}`,
      cos_part: `INLINE ${t} cos_part_${t}(${t} r, ${t} l) {
  const ${t} z = r * r, h = 0.5${s} * z, w = 1 - h;
${poly("cos", "z")}
  return w + (((1 - w) - h) + (z * z * p - r * l));
}`,
      sin_near: `INLINE ${t} sin_near_${t}(${t} x) {
${reduce}
  const ${t} a = sin_part_${t}(r, l), b = cos_part_${t}(r, l), y = q & 1 ? b : a;
  return x == 0 ? x : q & 2 ? -y : y;
}`,
      cos_near: `INLINE ${t} cos_near_${t}(${t} x) {
${reduce}
  const ${t} a = sin_part_${t}(r, l), b = cos_part_${t}(r, l), y = q & 1 ? a : b;
  return (q + 1) & 2 ? -y : y;
}`,
      tan_near: `INLINE ${t} tan_near_${t}(${t} x) {
${reduce}
  const ${t} a = sin_part_${t}(r, l), b = cos_part_${t}(r, l);
  const ${t} n = q & 1 ? -b : a, d = q & 1 ? a : b;
  return x == 0 ? x : n / d;
}`,
      sin: beyond("sin"),
      cos: beyond("cos"),
      tan: beyond("tan"),
    };
  });

const inverse = () =>
  bothTypes(({ t, s, part, poly }) => {
    const f32 = t === "f32";
    const half = part("halfPi", 0), low = part("halfPi", 1);
    const eighth = f32 ? "0.41421356f" : "0.41421356237309503";
    const huge = f32 ? "0x1p120f" : "0x1p1000", tiny = f32 ? "0x1p-100f" : "0x1p-900";
    return {
      // asin(a) for a <= 1/2, else asin(sqrt((1 - a) / 2)) = r + w with the square root r.
      asin_part: `INLINE ${t} asin_part_${t}(${t} a, ${t} *w) {
  const ${t} h = 0.5${s} - 0.5${s} * a, z = a < 0.5${s} ? a * a : h;
  const ${t} r = a < 0.5${s} ? a : __builtin_sqrt${s}(h);
${poly("asin", "z")}
  *w = r * z * p;
  return r;
}`,
      asin: `INLINE ${t} asin_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x);
  ${t} w;
  const ${t} r = asin_part_${t}(a, &w);
  return __builtin_copysign${s}(a < 0.5${s} ? r + w : ${half} - (2 * (r + w) - ${low}), x);
}`,
      acos: `INLINE ${t} acos_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x);
  ${t} w;
  const ${t} r = asin_part_${t}(a, &w);
  const ${t} m = ${half} - (__builtin_copysign${s}(r, x) - (${low} - __builtin_copysign${s}(w, x)));
  return a < 0.5${s} ? m : x > 0 ? 2 * (r + w) : 2 * (${half} - ((r + w) - ${low}));
}`,
      // base pi/4 + sign atan(least / most) for 0 <= least <= most.
      atan_part: `INLINE ${t} atan_part_${t}(${t} least, ${t} most, ${t} base, ${t} sign) {
  const int d = least > ${eighth} * most;
  const ${t} n = d ? least - most : least, m = d ? least + most : most;
  const ${t} r = n / m, z = r * r, b = d ? base + sign : base;
${poly("atan", "z")}
  const ${t} y = r + r * z * p;
  return b * ${part("quarterPi", 0)} + (sign * y + b * ${part("quarterPi", 1)});
}`,
      atan: `INLINE ${t} atan_${t}(${t} x) {
  const ${t} a = __builtin_fabs${s}(x);
  const int w = a > 1;
  const ${t} y = atan_part_${t}(w ? 1 : a, w ? a : 1, w ? 2 : 0, w ? -1 : 1);
  return x != x ? x : __builtin_copysign${s}(y, x);
}`,
      atan2: `INLINE ${t} atan2_${t}(${t} y, ${t} x) {
  const ${t} v = __builtin_fabs${s}(x), u = __builtin_fabs${s}(y);
  const int w = u > v;
  ${t} most = w ? u : v, least = w ? v : u;
  // Infinities and zeros take the quotients they stand for.
  least = most == __builtin_inf${s}() ? (least == most ? 1 : 0) : least;
  most = most == __builtin_inf${s}() || most == 0 ? 1 : most;
  // Sums overflow near the largest numbers, and subnormal ones have no digits to compare.
  const ${t} c = most > ${huge} ? 0x1p-4${s} : most < ${tiny} ? 0x1p64${s} : 1;
  const ${t} n = __builtin_copysign${s}(1, x);
  const ${t} b = w ? 2 : 2 - 2 * n, g = w ? -n : n;
  const ${t} r = atan_part_${t}(least * c, most * c, b, g);
  return x != x || y != y ? x + y : __builtin_copysign${s}(r, y);
}`,
    };
  });

/** The functions of this file, in the order they are defined. */
export function trigPieces(): Readonly<Record<string, string>> {
  return { ...circular(), ...inverse() };
}
