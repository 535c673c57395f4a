/**
 * What CUDA sources start with: C's pieces under CUDA's names, so that both dialects compute alike. No header is needed.
 * @module
 */
import { cPieces, preambleOf } from "./c.ts";
import { bothTypes } from "./c_text.ts";

/** Types and names every kernel starts with. */
export const cudaTypes = `typedef signed char i8;
typedef short i16;
typedef int i32;
typedef long long i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef float f32;
typedef double f64;
#define _Bool bool
#define INLINE static __device__ __forceinline__
#define __builtin_fabs fabs
#define __builtin_fabsf fabsf
#define __builtin_floor floor
#define __builtin_floorf floorf
#define __builtin_ceil ceil
#define __builtin_ceilf ceilf
#define __builtin_trunc trunc
#define __builtin_truncf truncf
#define __builtin_rint rint
#define __builtin_rintf rintf
#define __builtin_sqrt sqrt
#define __builtin_sqrtf sqrtf
#define __builtin_copysign(x, y) copysign((f64)(x), (f64)(y))
#define __builtin_copysignf(x, y) copysignf((f32)(x), (f32)(y))
#define __builtin_inf() __longlong_as_double(0x7ff0000000000000ll)
#define __builtin_inff() __int_as_float(0x7f800000)
#define __builtin_nan(x) __longlong_as_double(0x7ff8000000000000ll)
#define __builtin_nanf(x) __int_as_float(0x7fc00000)
#define __builtin_signbit(x) (__double_as_longlong(x) < 0)
#define __builtin_signbitf(x) (__float_as_int(x) < 0)
#define __builtin_popcount(x) __popc(x)
#define __builtin_popcountll(x) __popcll(x)
`;

/** Functions that CUDA has itself, within 2 units in the last place. */
const unary =
  ("cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc")
    .split(" ");
const binary = ["pow", "atan2", "hypot"];
const library = () =>
  bothTypes(({ t, s }) => ({
    ...Object.fromEntries(unary.map((name) => [name, `INLINE ${t} ${name}_${t}(${t} x) { return ${name}${s}(x); }`])),
    ...Object.fromEntries(
      binary.map((name) => [name, `INLINE ${t} ${name}_${t}(${t} x, ${t} y) { return ${name}${s}(x, y); }`]),
    ),
  }));

/** What CUDA has better, and what only its kernels need; the rest is C's. */
const own = (): Readonly<Record<string, string>> => ({
  ...library(),
  bits_f32: "INLINE u32 bits_f32(f32 x) { return (u32)__float_as_int(x); }",
  from_f32: "INLINE f32 from_f32(u32 x) { return __int_as_float((i32)x); }",
  bits_f64: "INLINE u64 bits_f64(f64 x) { return (u64)__double_as_longlong(x); }",
  from_f64: "INLINE f64 from_f64(u64 x) { return __longlong_as_double((i64)x); }",
  f16_value: `INLINE f32 f16_value(u16 h) {
#ifdef __CUDA_ARCH__
  f32 r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(h));
  return r;
#else
${body("f16_value")}
#endif
}`,
  f16_bits: `INLINE u16 f16_bits(f32 x) {
#ifdef __CUDA_ARCH__
  u16 r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return x != x ? (u16)(0x7e00 | (bits_f32(x) >> 16 & 0x8000)) : r;
#else
${body("f16_bits")}
#endif
}`,
  // n / d for n < 2^31 as a multiplication (Granlund and Montgomery 1994).
  fast_div: "INLINE i32 fast_div(i32 n, u32 m, u32 s) { return (i32)((__umulhi((u32)n, m) + (u32)n) >> s); }",
  // A complex number at once.
  store_pair: ["f32", "f64"].map((t) =>
    `INLINE void store_pair(${t} *p, ${t} re, ${t} im) {
  struct alignas(2 * sizeof(${t})) Pair { ${t} re, im; };
  const Pair both = {re, im};
  *(Pair *)p = both;
}`
  ).join("\n"),
  shuffle: shuffle("shuffle", "__shfl_down_sync"),
  shuffle_up: shuffle("shuffle_up", "__shfl_up_sync"),
  shuffle_from: shuffle("shuffle_from", "__shfl_sync"),
});

/** A shuffle of any type, from so many lanes away, or from a lane. */
function shuffle(name: string, of: string): string {
  return `template <class T> INLINE T ${name}(T v, int d) {
  if constexpr (sizeof(T) < 4) return (T)${of}(0xffffffffu, (i32)v, d);
  else return ${of}(0xffffffffu, v, d);
}`;
}

/** The lines between the braces of one of C's functions. */
function body(name: string): string {
  return cPieces()[name]!.split("\n").slice(1, -1).join("\n");
}

let pieces: Readonly<Record<string, string>> | undefined;

/** The pieces of CUDA that some text names. */
export const cudaPreamble: (text: string) => string = preambleOf(() => pieces ??= { ...cPieces(), ...own() });
