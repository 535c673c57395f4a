/**
 * C that generated kernels use: conversions, integer arithmetic with NumPy's answers, and float32 functions whose loops
 * vectorise with any compiler.
 *
 * The polynomials interpolate at Chebyshev nodes, computed with 50 digits.
 * @module
 */

/** Types and attributes every kernel starts with. */
export const cTypes = `typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;
#define INLINE static inline __attribute__((always_inline))
`;

/** A function of the preamble: its text and the others it calls. */
interface Piece {
  readonly text: string;
  readonly needs?: readonly string[];
}

const types = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"] as const;

function integers(make: (t: string, signed: boolean, wide: string) => Record<string, string>): Record<string, Piece> {
  const all: Record<string, Piece> = {};
  for (const t of types) {
    for (const [name, text] of Object.entries(make(t, t.startsWith("i"), t.endsWith("64") ? "u64" : "u32"))) {
      all[name] = { text };
    }
  }
  return all;
}

/** Integer arithmetic, one function a type: division by zero gives 0, the smallest by -1 wraps. */
const integerPieces = integers((t, signed, u) => ({
  [`floordiv_${t}`]: signed
    ? `INLINE ${t} floordiv_${t}(${t} a, ${t} b) {
  if (b == 0) return 0;
  if (b == -1) return (${t})(0 - (${u})a);
  const ${t} q = (${t})(a / b);
  return (${t})(q - ((a % b != 0) & ((a < 0) != (b < 0))));
}`
    : `INLINE ${t} floordiv_${t}(${t} a, ${t} b) { return b == 0 ? 0 : (${t})(a / b); }`,
  [`mod_${t}`]: signed
    ? `INLINE ${t} mod_${t}(${t} a, ${t} b) {
  if (b == 0 || b == -1) return 0;
  const ${t} r = (${t})(a % b);
  return (${t})(r != 0 && (r < 0) != (b < 0) ? r + b : r);
}`
    : `INLINE ${t} mod_${t}(${t} a, ${t} b) { return b == 0 ? 0 : (${t})(a % b); }`,
  [`fmod_${t}`]: `INLINE ${t} fmod_${t}(${t} a, ${t} b) { return b == 0${
    signed ? " || b == -1" : ""
  } ? 0 : (${t})(a % b); }`,
  [`pow_${t}`]: `INLINE ${t} pow_${t}(${t} a, ${t} b) {
${signed ? "  if (b < 0) return (a == 1) ? 1 : (a == -1) ? ((b & 1) ? -1 : 1) : 0;\n" : ""}  ${u} r = 1, x = (${u})a;
  for (${u} e = (${u})b; e; e >>= 1, x *= x) if (e & 1) r *= x;
  return (${t})r;
}`,
  [`gcd_${t}`]: `INLINE ${t} gcd_${t}(${t} a, ${t} b) {
  ${u} x = ${signed ? `a < 0 ? 0 - (${u})a : (${u})a` : "a"}, y = ${signed ? `b < 0 ? 0 - (${u})b : (${u})b` : "b"};
  while (y) { const ${u} r = x % y; x = y; y = r; }
  return (${t})x;
}`,
}));

/** Division of floats as NumPy does it, for one type. */
function division(t: "f32" | "f64"): Record<string, Piece> {
  const s = t === "f32" ? "f" : "";
  return {
    [`floordiv_${t}`]: {
      text: `INLINE ${t} floordiv_${t}(${t} a, ${t} b) {
  if (b == 0) return a / b;
  const ${t} m = fmod${s}(a, b);
  ${t} d = (a - m) / b;
  if (m != 0 && (b < 0) != (m < 0)) d -= 1;
  if (d == 0) return __builtin_copysign${s}(0, a / b);
  const ${t} f = __builtin_floor${s}(d);
  return d - f > (${t})0.5 ? f + 1 : f;
}`,
    },
    [`mod_${t}`]: {
      text: `INLINE ${t} mod_${t}(${t} a, ${t} b) {
  const ${t} m = fmod${s}(a, b);
  if (b == 0) return m;
  if (m == 0) return __builtin_copysign${s}(0, b);
  return (b < 0) != (m < 0) ? m + b : m;
}`,
    },
  };
}

/** Truncation to signed integers. */
function truncation(t: "f32" | "f64"): Record<string, Piece> {
  // The doubles between -2^31 - 1 and -2^31 truncate to -2^31; no float lies there.
  const low = t === "f32" ? "x >= -0x1p31f" : "x > -2147483649.0";
  const s = t === "f32" ? "f" : "";
  return {
    [`to_i32_${t}`]: {
      text: `INLINE i32 to_i32_${t}(${t} x) { return ${low} && x < 0x1p31${s} ? (i32)x : -2147483647 - 1; }`,
    },
    [`to_i64_${t}`]: {
      text: `INLINE i64 to_i64_${t}(${t} x) {
  return x >= -0x1p63${s} && x < 0x1p63${s} ? (i64)x : -9223372036854775807ll - 1;
}`,
    },
  };
}

/** Every function of the preamble, in the order they are defined. */
export const cPieces: Readonly<Record<string, Piece>> = {
  as_u32: { text: `INLINE u32 as_u32(f32 x) { union { f32 f; u32 u; } v; v.f = x; return v.u; }` },
  as_f32: { text: `INLINE f32 as_f32(u32 x) { union { f32 f; u32 u; } v; v.u = x; return v.f; }` },
  f16_value: {
    // The bits of a half, moved up, are its value times 2^-112.
    text: `INLINE f32 f16_value(u16 h) {
  const u32 m = (u32)(h & 0x7fff) << 13;
  const u32 r = as_u32(as_f32(m) * 0x1p112f);
  return as_f32((m >= 0x0f800000u ? m | 0x7f800000u : r) | (u32)(h & 0x8000) << 16);
}`,
    needs: ["as_u32", "as_f32"],
  },
  f16_bits: {
    // Subnormals: adding 1/2 moves the last place of a half to the last place of a float.
    text: `INLINE u16 f16_bits(f32 x) {
  const u32 u = as_u32(x), a = u & 0x7fffffffu, s = u >> 16 & 0x8000u;
  const u32 n = (a + 0xfffu + (a >> 13 & 1) - 0x38000000u) >> 13;
  const u32 d = as_u32(as_f32(a) + 0.5f) - 0x3f000000u;
  const u32 r = a < 0x38800000u ? d : n < 0x7c00u ? n : 0x7c00u;
  return (u16)((a > 0x7f800000u ? 0x7e00u : a >= 0x47800000u ? 0x7c00u : r) | s);
}`,
    needs: ["as_u32", "as_f32"],
  },
  f16_round: {
    text: `INLINE f32 f16_round(f32 x) { return f16_value(f16_bits(x)); }`,
    needs: ["f16_value", "f16_bits"],
  },
  odd_f32: {
    // Rounded to odd, a double keeps enough to be rounded once more.
    text: `INLINE f32 odd_f32(f64 x) {
  const f32 f = (f32)x;
  u32 u = as_u32(f);
  if (__builtin_fabs((f64)f) > __builtin_fabs(x)) u -= 1;
  if ((f64)f != x) u |= 1;
  return as_f32(u);
}`,
    needs: ["as_u32", "as_f32"],
  },
  bf16_value: { text: `INLINE f32 bf16_value(u16 h) { return as_f32((u32)h << 16); }`, needs: ["as_f32"] },
  bf16_bits: {
    text: `INLINE u16 bf16_bits(f32 x) {
  const u32 u = as_u32(x);
  return (u16)(x != x ? u >> 16 | 0x40 : (u + 0x7fffu + (u >> 16 & 1)) >> 16);
}`,
    needs: ["as_u32"],
  },
  bf16_round: {
    text: `INLINE f32 bf16_round(f32 x) { return bf16_value(bf16_bits(x)); }`,
    needs: ["bf16_value", "bf16_bits"],
  },
  // What does not fit gives the smallest, as x86-64 does; C leaves it undefined, and compilers fold it to something else.
  ...truncation("f32"),
  ...truncation("f64"),
  to_u32: {
    text: `INLINE u32 to_u32(f64 x) {
  return x >= 2147483648.0 ? (u32)to_i32_f64(x - 2147483648.0) ^ 0x80000000u : (u32)to_i32_f64(x);
}`,
    needs: ["to_i32_f64"],
  },
  to_u64: {
    text: `INLINE u64 to_u64(f64 x) {
  return x >= 0x1p63 ? (u64)to_i64_f64(x - 0x1p63) ^ 0x8000000000000000ull : (u64)to_i64_f64(x);
}`,
    needs: ["to_i64_f64"],
  },
  ...integerPieces,
  ...division("f32"),
  ...division("f64"),
  nextafter_bits: {
    // Through the bits of the magnitude; `inf` are those of infinity.
    text: `INLINE u16 nextafter_bits(u16 a, u16 b, u16 inf) {
  const u16 x = a & 0x7fff, y = b & 0x7fff;
  if (x > inf || y > inf) return (u16)(inf | 0x40 | inf >> 1);
  if (a == b || (x == 0 && y == 0)) return b;
  if (x == 0) return (u16)((b & 0x8000) | 1);
  const int outward = (a & 0x8000) == (b & 0x8000) && y > x;
  return (u16)(outward ? a + 1 : a - 1);
}`,
  },
  fma_f32: {
    // One rounding where the machine has the instruction; a call would not vectorise.
    text: `INLINE f32 fma_f32(f32 a, f32 b, f32 c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}`,
  },
  exp_f32: {
    text: `INLINE f32 exp_f32(f32 x) {
  f32 c = x > 89.0f ? 89.0f : x;
  c = c < -104.0f ? -104.0f : c;
  const f32 k = fma_f32(c, 1.44269504f, 12582912.0f);
  const f32 n = k - 12582912.0f;
  const f32 r = fma_f32(n, 2.12194440e-4f, fma_f32(n, -0.693359375f, c));
  f32 p = 0.0013926926767453551f;
  p = fma_f32(p, r, 0.008363774046301842f);
  p = fma_f32(p, r, 0.04166654869914055f);
  p = fma_f32(p, r, 0.16666573286056519f);
  p = fma_f32(p, r, 0.5f);
  p = fma_f32(r * r, p, r) + 1.0f;
  const i32 e = (i32)n, h = e >> 1;
  return p * as_f32((u32)(h + 127) << 23) * as_f32((u32)(e - h + 127) << 23);
}`,
    needs: ["as_f32", "fma_f32"],
  },
  tanh_f32: {
    text: `INLINE f32 tanh_f32(f32 x) {
  const f32 a = __builtin_fabsf(x), s = x * x;
  f32 p = 0.0021503702737390995f;
  p = fma_f32(p, s, -0.008208840154111385f);
  p = fma_f32(p, s, 0.021724475547671318f);
  p = fma_f32(p, s, -0.05395336449146271f);
  p = fma_f32(p, s, 0.133332759141922f);
  p = fma_f32(p, s, -0.3333333432674408f);
  const f32 low = fma_f32(x * s, p, x);
  const f32 high = 1.0f - 2.0f / (exp_f32(2.0f * a) + 1.0f);
  return __builtin_copysignf(a < 0.625f ? low : high, x);
}`,
    needs: ["exp_f32", "fma_f32"],
  },
  log_f32: {
    text: `INLINE f32 log_f32(f32 x) {
  const f32 z = x < 0x1p-126f ? x * 0x1p23f : x;
  const u32 u = as_u32(z);
  // The exponent, such that the rest lies in [sqrt(1/2), sqrt(2)).
  const i32 e = (i32)(u - 0x3f3504f3u) >> 23;
  const f32 f = as_f32(u - ((u32)e << 23)) - 1.0f;
  const f32 n = (f32)e - (x < 0x1p-126f ? 23.0f : 0.0f);
  f32 p = 0.06971611827611923f;
  p = fma_f32(p, f, -0.11479733884334564f);
  p = fma_f32(p, f, 0.11685419827699661f);
  p = fma_f32(p, f, -0.12425687164068222f);
  p = fma_f32(p, f, 0.14249058067798615f);
  p = fma_f32(p, f, -0.1666780263185501f);
  p = fma_f32(p, f, 0.20000715553760529f);
  p = fma_f32(p, f, -0.2499999701976776f);
  p = fma_f32(p, f, 0.3333333134651184f);
  const f32 s = f * f;
  const f32 r = n * 0.693359375f + (f + (f * s * p + (n * -2.12194440e-4f - 0.5f * s)));
  const f32 q = x > 0 ? (x < __builtin_inff() ? r : x) : x == 0 ? -__builtin_inff() : __builtin_nanf("");
  return x != x ? x : q;
}`,
    needs: ["as_u32", "as_f32", "fma_f32"],
  },
  threefry: {
    text: threefryText(),
  },
};

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011). */
function threefryText(): string {
  const rotations = [[13, 15, 26, 6], [17, 29, 16, 24]] as const;
  const keys = ["k0", "k1", "k2"];
  const lines = [
    "INLINE u32 threefry(u32 k0, u32 k1, u32 c0, u32 c1, int word) {",
    "  const u32 k2 = k0 ^ k1 ^ 0x1bd11bdau;",
    "  u32 x = c0 + k0, y = c1 + k1;",
  ];
  for (let i = 0; i < 5; i++) {
    for (const r of rotations[i % 2]!) lines.push(`  x += y, y = (y << ${r} | y >> ${32 - r}) ^ x;`);
    lines.push(`  x += ${keys[(i + 1) % 3]}, y += ${keys[(i + 2) % 3]} + ${i + 1};`);
  }
  return [...lines, "  return word ? y : x;", "}"].join("\n");
}

/** The pieces that some text names, with what they need, each once, in order. */
export function cPreamble(text: string): string {
  const wanted = new Set<string>();
  const want = (name: string): void => {
    if (wanted.has(name)) return;
    wanted.add(name);
    cPieces[name]!.needs?.forEach(want);
  };
  for (const name of new Set(text.match(/\b[a-z]\w*(?=\()/g) ?? [])) if (Object.hasOwn(cPieces, name)) want(name);
  return Object.entries(cPieces).filter(([name]) => wanted.has(name)).map(([, p]) => p.text + "\n").join("");
}

/** Functions of the C library that glibc also has for vectors, from version 2.35 on. */
const vectorised = new Set(
  ("acos acosh asin asinh atan atanh cbrt cos cosh erf erfc exp exp2 expm1 log log10 log1p log2 sin sinh tan tanh " +
    "atan2 hypot pow").split(" "),
);
const binary = new Set(["atan2", "hypot", "pow", "fmod", "nextafter"]);
const plain = ["lgamma", "fmod", "nextafter"];

/** Declarations of the C library's functions that some text calls. */
export function cLibrary(text: string, libmvec: boolean): string {
  const called = new Set(text.match(/\b[a-z]\w*(?=\()/g) ?? []);
  let out = "";
  for (const name of [...vectorised, ...plain]) {
    for (const [t, suffix] of [["f64", ""], ["f32", "f"]] as const) {
      if (!called.has(name + suffix)) continue;
      const simd = libmvec && vectorised.has(name) ? `__attribute__((simd("notinbranch"), const)) ` : "";
      out += `${simd}${t} ${name}${suffix}(${t}${binary.has(name) ? `, ${t}` : ""});\n`;
    }
  }
  return out;
}
