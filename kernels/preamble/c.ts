/**
 * C that generated kernels use: conversions, arithmetic with NumPy's answers, and mathematical functions whose loops vectorise with
 * any compiler.
 *
 * A kernel gets what it names and what that needs. Errors and speed are in docs/ulp.md.
 * @module
 */
import { expPieces } from "./c_exp.ts";
import { specialPieces } from "./c_special.ts";
import { callsOf } from "./c_text.ts";
import { trigPieces } from "./c_trig.ts";

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

/**
 * For kernels whose parallel loops lie in no other. GCC's library makes a team of one thread where a loop is too short for more, which
 * takes half a microsecond; the kernel's own function of that name does without, and calls the library's by its version. Inside another
 * parallel loop, as in sorts, a loop without a team would be shared out among the threads of the outer one.
 */
export const cTeam = `#if defined(_OPENMP) && defined(__ELF__) && !defined(__clang__)
void tnp_team(void (*)(void *), void *, unsigned, unsigned);
__asm__(".symver tnp_team, GOMP_parallel@GOMP_4.0");
__attribute__((weak, visibility("hidden")))
void GOMP_parallel(void (*run)(void *), void *data, unsigned threads, unsigned flags) {
  if (threads == 1) run(data);
  else tnp_team(run, data, threads, flags);
}
#endif
`;

const types = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"] as const;

function integers(make: (t: string, signed: boolean, wide: string) => Record<string, string>): Record<string, string> {
  return Object.assign({}, ...types.map((t) => make(t, t.startsWith("i"), t.endsWith("64") ? "u64" : "u32")));
}

/**
 * Integer arithmetic, one function a type: division by zero gives 0, the smallest by -1 wraps.
 *
 * Quotients of up to 32 bits are those of floats twice as wide: no other integer is so near that rounding could reach it. Floored ones are
 * products, half a step off the integers: a divisor that is the same for all is divided by once. Adding 1.5 2^52 leaves the integer in
 * the low bits.
 */
const integerPieces = () =>
  integers((t, signed, u) => {
    const f = /8|16/.test(t) ? "f32" : "f64";
    const s = f === "f32" ? "f" : "";
    const quotient = (name: string, q: string, rest: boolean) =>
      `INLINE ${t} ${name}_${t}(${t} a, ${t} b) {
  const ${f} d = (${f})(b == 0 ? 1 : b), i = 1 / d, q = ${q};
  const u32 n = ${f === "f32" ? "(u32)(i32)q" : "(u32)bits_f64(q + 0x1.8p52)"};
  return b == 0 ? 0 : (${t})(${rest ? "(u32)a - n * (u32)b" : "n"});
}`;
    const floored = `__builtin_floor${s}((${f})a * i + __builtin_fabs${s}(i) * 0.5${s})`;
    const narrow = !t.endsWith("64");
    return {
      ...(narrow
        ? {
          [`floordiv_${t}`]: quotient("floordiv", floored, false),
          [`mod_${t}`]: quotient("mod", floored, true),
          [`fmod_${t}`]: quotient("fmod", `__builtin_trunc${s}((${f})a / d)`, true),
        }
        : wideDivision(t, signed, u)),
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
    };
  });

/**
 * Division of 64-bit integers. Where vectors of them become doubles, quotients of signed ones are estimated by these twice: the second
 * estimate, of what the first left over, is less than 2^11 and off by at most one.
 */
function wideDivision(t: string, signed: boolean, u: string): Record<string, string> {
  const either = (estimated: string, plain: string): string =>
    signed ? `#ifdef __AVX512DQ__\n${estimated}\n#else\n${plain}\n#endif` : plain;
  return {
    [`floordiv_${t}`]: either(
      `/* For a divisor other than -1, 0 and 1. */
INLINE i64 quotient_i64(i64 a, i64 b) {
  const i64 q = (i64)((f64)a / (f64)b), r = (i64)((u64)a - (u64)q * (u64)b);
  const i64 s = (i64)((f64)r / (f64)b), t = (i64)((u64)r - (u64)s * (u64)b);
  const i64 under = ((t ^ b) < 0) & (t != 0), rest = under ? t + b : t;
  return q + s - under + (b < 0 ? rest <= b : rest >= b);
}
INLINE i64 floordiv_i64(i64 a, i64 b) {
  const i64 q = quotient_i64(a, (u64)(b + 1) < 3 ? 2 : b);
  return b == 1 ? a : b == -1 ? (i64)(0 - (u64)a) : b == 0 ? 0 : q;
}`,
      signed
        ? `INLINE ${t} floordiv_${t}(${t} a, ${t} b) {
  if (b == 0) return 0;
  if (b == -1) return (${t})(0 - (${u})a);
  const ${t} q = (${t})(a / b);
  return (${t})(q - ((a % b != 0) & ((a < 0) != (b < 0))));
}`
        : `INLINE ${t} floordiv_${t}(${t} a, ${t} b) { return b == 0 ? 0 : (${t})(a / b); }`,
    ),
    [`mod_${t}`]: either(
      `INLINE i64 mod_i64(i64 a, i64 b) { return b == 0 ? 0 : (i64)((u64)a - (u64)floordiv_i64(a, b) * (u64)b); }`,
      signed
        ? `INLINE ${t} mod_${t}(${t} a, ${t} b) {
  if (b == 0 || b == -1) return 0;
  const ${t} r = (${t})(a % b);
  return (${t})(r != 0 && (r < 0) != (b < 0) ? r + b : r);
}`
        : `INLINE ${t} mod_${t}(${t} a, ${t} b) { return b == 0 ? 0 : (${t})(a % b); }`,
    ),
    [`fmod_${t}`]: `INLINE ${t} fmod_${t}(${t} a, ${t} b) { return b == 0${
      signed ? " || b == -1" : ""
    } ? 0 : (${t})(a % b); }`,
  };
}

/**
 * Division of floats as NumPy does it, for one type. Where the quotient has fewer bits than a double, the remainder is one fused
 * operation and exact: the quotient's integer is right, or one too many where it was rounded up. Elsewhere it is the C library's.
 */
function division(t: "f32" | "f64"): Record<string, string> {
  const s = t === "f32" ? "f" : "";
  const near = `  const f64 x = __builtin_fabs${s}(a), y = __builtin_fabs${s}(b), q = __builtin_trunc(x / y);
  const f64 r = q == 0 ? x : fma_f64(-q, y, x);
  return __builtin_copysign${s}((${t})(r < 0 ? r + y : r), a);`;
  const both = (make: (near: string) => Record<string, string>) => ({ ...make("_near"), ...make("") });
  return {
    [`far_quotient_${t}`]: `INLINE int far_quotient_${t}(${t} a, ${t} b) {
  return __builtin_fabs${s}(a) > __builtin_fabs${s}(b) * 0x1p50${s};
}`,
    [`fmod_near_${t}`]: `INLINE ${t} fmod_near_${t}(${t} a, ${t} b) {
${
      t === "f32" ? near : `#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
${near}
#else
  return fmod(a, b); /* The parts of large numbers would overflow. */
#endif`
    }
}`,
    [`fmod_${t}`]: `INLINE ${t} fmod_${t}(${t} a, ${t} b) {
  return far_quotient_${t}(a, b) ? fmod${s}(a, b) : fmod_near_${t}(a, b);
}`,
    ...both((near) => ({
      [`floordiv${near}_${t}`]: `INLINE ${t} floordiv${near}_${t}(${t} a, ${t} b) {
  const ${t} m = fmod${near}_${t}(a, b), d = (a - m) / b - ((m != 0) & ((b < 0) != (m < 0))), f = __builtin_floor${s}(d);
  const ${t} r = d == 0 ? __builtin_copysign${s}(0, a / b) : d - f > (${t})0.5 ? f + 1 : f;
  return b == 0 ? a / b : r;
}`,
      [`mod${near}_${t}`]: `INLINE ${t} mod${near}_${t}(${t} a, ${t} b) {
  const ${t} m = fmod${near}_${t}(a, b), r = (b < 0) != (m < 0) ? m + b : m;
  return m == 0 ? __builtin_copysign${s}(0, b) : r;
}`,
    })),
  };
}

/**
 * The larger and the smaller of floats, by two selections: GCC keeps what it knows of a NaN in booleans that stop it from vectorising
 * where one condition says it all and several follow one another (clip of a million float32: 2.2 ms instead of 0.06). b is mostly what
 * is the same for all, as in a clip; whether that is NaN is then asked once.
 */
function extremes(t: "f32" | "f64"): Record<string, string> {
  const text = (name: string, m: string, rest: string) =>
    `INLINE ${t} ${name}_${t}(${t} a, ${t} b) {
  const ${t} m = ${m};
  return b != b ? ${rest} : m;
}`;
  return {
    [`max_${t}`]: text("max", "b >= a ? b : a", "b"),
    [`min_${t}`]: text("min", "b <= a ? b : a", "b"),
    // With a running value, where it does not matter which of two zeros stays: one instruction and one selection.
    [`run_max_${t}`]: text("run_max", "b > a ? b : a", "b"),
    [`run_min_${t}`]: text("run_min", "b < a ? b : a", "b"),
    [`fmax_${t}`]: text("fmax", "a > b ? a : b", "a"),
    [`fmin_${t}`]: text("fmin", "a < b ? a : b", "a"),
  };
}

/** Truncation to signed integers. */
function truncation(t: "f32" | "f64"): Record<string, string> {
  // The doubles between -2^31 - 1 and -2^31 truncate to -2^31; no float lies there.
  const low = t === "f32" ? "x >= -0x1p31f" : "x > -2147483649.0";
  const s = t === "f32" ? "f" : "";
  return {
    [`to_i32_${t}`]: `INLINE i32 to_i32_${t}(${t} x) { return ${low} && x < 0x1p31${s} ? (i32)x : -2147483647 - 1; }`,
    [`to_i64_${t}`]: `INLINE i64 to_i64_${t}(${t} x) {
  return x >= -0x1p63${s} && x < 0x1p63${s} ? (i64)x : -9223372036854775807ll - 1;
}`,
  };
}

/** Every function of the preamble, in the order they are defined. */
function allPieces(): Readonly<Record<string, string>> {
  return {
    ...expPieces(),
    f16_value:
      // The bits of a half, moved up, are its value times 2^-112.
      `INLINE f32 f16_value(u16 h) {
  const u32 m = (u32)(h & 0x7fff) << 13;
  const u32 r = bits_f32(from_f32(m) * 0x1p112f);
  return from_f32((m >= 0x0f800000u ? m | 0x7f800000u : r) | (u32)(h & 0x8000) << 16);
}`,
    f16_bits:
      // Subnormals: adding 1/2 moves the last place of a half to the last place of a float.
      `INLINE u16 f16_bits(f32 x) {
  const u32 u = bits_f32(x), a = u & 0x7fffffffu, s = u >> 16 & 0x8000u;
  const u32 n = (a + 0xfffu + (a >> 13 & 1) - 0x38000000u) >> 13;
  const u32 d = bits_f32(from_f32(a) + 0.5f) - 0x3f000000u;
  const u32 r = a < 0x38800000u ? d : n < 0x7c00u ? n : 0x7c00u;
  return (u16)((a > 0x7f800000u ? 0x7e00u : r) | s);
}`,
    f16_round: `INLINE f32 f16_round(f32 x) { return f16_value(f16_bits(x)); }`,
    odd_f32:
      // Rounded to odd, a double keeps enough to be rounded once more.
      `INLINE f32 odd_f32(f64 x) {
  const f32 f = (f32)x;
  u32 u = bits_f32(f);
  if (__builtin_fabs((f64)f) > __builtin_fabs(x)) u -= 1;
  if ((f64)f != x) u |= 1;
  return from_f32(u);
}`,
    bf16_value: `INLINE f32 bf16_value(u16 h) { return from_f32((u32)h << 16); }`,
    bf16_bits: `INLINE u16 bf16_bits(f32 x) {
  const u32 u = bits_f32(x);
  return (u16)(x != x ? u >> 16 | 0x40 : (u + 0x7fffu + (u >> 16 & 1)) >> 16);
}`,
    bf16_round: `INLINE f32 bf16_round(f32 x) { return bf16_value(bf16_bits(x)); }`,
    // What does not fit gives the smallest, as x86-64 does; C leaves it undefined, and compilers fold it to something else.
    ...truncation("f32"),
    ...truncation("f64"),
    to_u32: `INLINE u32 to_u32(f64 x) {
  return x >= 2147483648.0 ? (u32)to_i32_f64(x - 2147483648.0) ^ 0x80000000u : (u32)to_i32_f64(x);
}`,
    to_u64: `INLINE u64 to_u64(f64 x) {
  return x >= 0x1p63 ? (u64)to_i64_f64(x - 0x1p63) ^ 0x8000000000000000ull : (u64)to_i64_f64(x);
}`,
    ...integerPieces(),
    ...division("f32"),
    ...division("f64"),
    ...extremes("f32"),
    ...extremes("f64"),
    stream:
      // Stores that do not first read the lines they fill; what begins within a line is copied as usual.
      `typedef i64 Line __attribute__((vector_size(32), may_alias));
#if defined(__clang__)
#define STREAM(to, from) __builtin_nontemporal_store(from, to)
#elif defined(__AVX__)
#define STREAM(to, from) __builtin_ia32_movntdq256(to, from)
#endif
/* Bytes of the last level of the cache, 0 where that is unknown. Virtual machines take microseconds to tell, so they are asked once. */
static i64 last_cache(void) {
  static i64 known = -1;
#if defined(STREAM) && defined(__x86_64__)
  const u32 leaves[] = {4, 0x8000001d};
  for (int i = 0; known < 0 && i < 2; i++) {
    u32 a = leaves[i], b, c = 3, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (a & 31) known = (i64)((b >> 22) + 1) * ((b >> 12 & 1023) + 1) * ((b & 4095) + 1) * ((i64)c + 1);
  }
#endif
  if (known < 0) known = 0;
  return known;
}
/* Whether a result is too large for the cache, by itself or with the operands that are read on the way. */
INLINE int is_streamed(i64 written, i64 moved) {
#ifdef STREAM
  return written >= 64 << 20 || (written >= 4 << 20 && last_cache() > 0 && moved >= last_cache() / 3 * 4);
#else
  (void)written, (void)moved;
  return 0;
#endif
}
INLINE void stream(void *to, const void *from, int bytes) {
#ifdef STREAM
  if (((u64)to & 63) == 0 && (bytes & 63) == 0) {
    for (int i = 0; i < bytes / 32; i++) STREAM((Line *)to + i, ((const Line *)from)[i]);
    return;
  }
#endif
  __builtin_memcpy(to, from, (u64)bytes);
}
/* Others see what was streamed. */
INLINE void stream_end(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }`,
    nextafter_bits:
      // Through the bits of the magnitude; `inf` are those of infinity.
      `INLINE u16 nextafter_bits(u16 a, u16 b, u16 inf) {
  const u16 x = a & 0x7fff, y = b & 0x7fff;
  if (x > inf || y > inf) return (u16)(inf | 0x40 | inf >> 1);
  if (a == b || (x == 0 && y == 0)) return b;
  if (x == 0) return (u16)((b & 0x8000) | 1);
  const int outward = (a & 0x8000) == (b & 0x8000) && y > x;
  return (u16)(outward ? a + 1 : a - 1);
}`,
    ...trigPieces(),
    ...specialPieces(),
    threefry: threefryText(),
  };
}

let pieces: Readonly<Record<string, string>> | undefined;

/** Every function of the preamble by name; made when first asked for, as most programs that start compile nothing at first. */
export function cPieces(): Readonly<Record<string, string>> {
  return pieces ??= allPieces();
}

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

/**
 * A function that gives the pieces some text names, with what they need, each once, in order.
 *
 * @param piecesOf The pieces of a dialect by name, asked for at each call
 */
export function preambleOf(piecesOf: () => Readonly<Record<string, string>>): (text: string) => string {
  const calls = new Map<string, readonly string[]>();
  return (text) => {
    const pieces = piecesOf();
    const wanted = new Set<string>();
    const want = (name: string): void => {
      if (wanted.has(name) || !Object.hasOwn(pieces, name)) return;
      wanted.add(name);
      let needs = calls.get(name);
      if (needs === undefined) calls.set(name, needs = [...callsOf(pieces[name]!)]);
      needs.forEach(want);
    };
    callsOf(text).forEach(want);
    return Object.entries(pieces).filter(([name]) => wanted.has(name)).map(([, piece]) => `${piece}\n`).join("");
  };
}

/** The pieces of C that some text names. */
export const cPreamble: (text: string) => string = preambleOf(cPieces);

/** Declarations of the C library's functions that some text calls. */
export function cLibrary(text: string): string {
  const called = callsOf(text);
  let out = "";
  for (
    const [name, inputs] of [["lgamma", 1], ["fmod", 2], ["nextafter", 2], ["sin", 1], ["cos", 1], ["tan", 1]] as const
  ) {
    for (const [t, suffix] of [["f64", ""], ["f32", "f"]] as const) {
      if (called.has(name + suffix)) out += `${t} ${name}${suffix}(${t}${inputs === 2 ? `, ${t}` : ""});\n`;
    }
  }
  return out;
}
