/**
 * Functions that generated JavaScript calls: those too long to be written in place. They get and give what the dialect computes
 * with: numbers rounded to their dtype, bigints for the 64-bit integers.
 * @module
 */
import { erf, erfc, lgamma } from "./special.ts";

const f64 = new Float64Array(1);
const u64 = new BigUint64Array(f64.buffer);
/** Low word first. */
const f64words = new Uint32Array(f64.buffer);
const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);
const fround = Math.fround;

/** Nearest float16, ties to even: as `Math.f16round`, which is newer than some runtimes and slower in V8. */
function f16round(x: number): number {
  const a = Math.abs(x);
  if (!(a < 65520)) return a !== a ? x : x < 0 ? -Infinity : Infinity;
  // Adding 1.5 * 2^42 times the power of two at or below |x| leaves its 11 bits; below 2^-14, its multiple of 2^-24.
  f64[0] = a;
  const exponent = Math.max(f64words[1]! & 0x7ff00000, 0x3f100000);
  f64words[0] = 0;
  f64words[1] = exponent + 0x2a00000 | 0x80000;
  const r = a + f64[0]! - f64[0]!;
  return x < 0 || (x === 0 && 1 / x < 0) ? -r : r;
}

/** Nearest bfloat16 of a float32, ties to even. */
function bf16round(x: number): number {
  f32[0] = x;
  const u = u32[0]!;
  if (x !== x) return x;
  u32[0] = (u + 0x7fff + (u >>> 16 & 1)) & 0xffff0000;
  return f32[0]!;
}

/** The bits of a bfloat16 that is given as its value. */
function bf16bits(x: number): number {
  f32[0] = x;
  return u32[0]! >>> 16;
}

/** The value of a bfloat16 from its bits. */
function bf16value(u: number): number {
  u32[0] = u << 16;
  return f32[0]!;
}

/** Rounds half to even. */
function rint(x: number): number {
  if (!(Math.abs(x) < 4503599627370496)) return x;
  const r = x < 0 || Object.is(x, -0)
    ? x - 4503599627370496 + 4503599627370496
    : x + 4503599627370496 - 4503599627370496;
  return r === 0 ? x * 0 : r;
}

/** -1, 0 or 1; NaN stays. */
function sign(x: number): number {
  return x > 0 ? 1 : x < 0 ? -1 : x === 0 ? 0 : x;
}

/** Whether the sign bit is set; that of a NaN cannot be seen. */
function signbit(x: number): boolean {
  return x < 0 || (x === 0 && 1 / x < 0);
}

/** The magnitude of `x` with the sign of `y`. */
function copysign(x: number, y: number): number {
  const m = Math.abs(x);
  return signbit(y) ? -m : m;
}

/** C's pow: 1 to any power is 1, and so is -1 to an infinite one. */
function pow(x: number, y: number): number {
  return x === 1 || (x === -1 && (y === Infinity || y === -Infinity)) ? 1 : x ** y;
}

function hypot(x: number, y: number): number {
  const s = x * x + y * y;
  return s > 1e-290 && s < 1e290 ? Math.sqrt(s) : Math.hypot(x, y);
}

/** NumPy's floor_divide of floats. */
function floordiv(x: number, y: number): number {
  if (y === 0) return x / y;
  const m = x % y;
  let d = (x - m) / y;
  if (m !== 0 && y < 0 !== m < 0) d -= 1;
  if (d === 0) return copysign(0, x / y);
  const f = Math.floor(d);
  return d - f > 0.5 ? f + 1 : f;
}

/** NumPy's floor_divide of floats, each step in float32. */
function floordiv32(x: number, y: number): number {
  if (y === 0) return x / y;
  const m = x % y;
  let d = fround(fround(x - m) / y);
  if (m !== 0 && y < 0 !== m < 0) d = fround(d - 1);
  if (d === 0) return copysign(0, x / y);
  const f = Math.floor(d);
  return d - f > 0.5 ? fround(f + 1) : f;
}

/** NumPy's remainder of floats: the sign of `y`. */
function mod(x: number, y: number): number {
  const m = x % y;
  if (y === 0) return m;
  if (m === 0) return copysign(0, y);
  return y < 0 !== m < 0 ? m + y : m;
}

/** Floored remainder of integers; by zero it is 0. */
function imod(x: number, y: number): number {
  if (y === 0) return 0;
  const r = x % y | 0;
  return r !== 0 && (r ^ y) < 0 ? r + y | 0 : r;
}

/** Integer power by squaring, modulo 2^32; a negative exponent gives the truncated quotient. */
function ipow(x: number, y: number): number {
  if (y < 0) return x === 1 ? 1 : x === -1 ? (y & 1 ? -1 : 1) : 0;
  let r = 1;
  for (; y > 0; y = y >>> 1, x = Math.imul(x, x)) if (y & 1) r = Math.imul(r, x);
  return r;
}

/** Greatest common divisor of magnitudes. */
function gcd(x: number, y: number): number {
  x = Math.abs(x);
  y = Math.abs(y);
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** Set bits of the low 32. */
function popcount(x: number): number {
  x -= x >>> 1 & 0x55555555;
  x = (x & 0x33333333) + (x >>> 2 & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The next double from `x` towards `y`. */
function nextafter(x: number, y: number): number {
  if (x !== x || y !== y) return NaN;
  if (x === y) return y;
  if (x === 0) return y < 0 ? -5e-324 : 5e-324;
  f64[0] = x;
  u64[0] = u64[0]! + (x < y === x > 0 ? 1n : -1n);
  return f64[0]!;
}

/** The next float32 from `x` towards `y`; with `step` 65536, the next bfloat16. */
function nextafter32(x: number, y: number, step: number): number {
  if (x !== x || y !== y) return NaN;
  if (x === y) return y;
  u32[0] = step;
  if (x === 0) return y < 0 ? -f32[0]! : f32[0]!;
  f32[0] = x;
  u32[0] = u32[0]! + (x < y === x > 0 ? step : -step);
  return f32[0]!;
}

/** The next float16 from `x` towards `y`. */
function nextafter16(x: number, y: number): number {
  if (x !== x || y !== y) return NaN;
  if (x === y) return y;
  const a = Math.abs(x);
  const outward = x === 0 || x < y === x > 0;
  const s = x === 0 ? (y < 0 ? -1 : 1) : x < 0 ? -1 : 1;
  if (a === Infinity) return s * 65504;
  if (a === 65504 && outward) return s * Infinity;
  // One unit in the last place; below a power of two the places are half as wide.
  const e = a < 2 ** -14 ? -14 : Math.floor(Math.log2(a));
  const unit = 2 ** (e - 10);
  return outward ? s * (a + unit) : s * (a - (a === 2 ** e && e > -14 ? unit / 2 : unit));
}

/** Truncation to int32; NaN and what does not fit give the smallest, as x86-64 does. */
function toInt32(x: number): number {
  return x > -2147483649 && x < 2147483648 ? x | 0 : -2147483648;
}

/** Truncation to uint32 the way NumPy's loops do it on x86-64. */
function toUint32(x: number): number {
  return x >= 2147483648 ? (toInt32(x - 2147483648) ^ -2147483648) >>> 0 : toInt32(x) >>> 0;
}

/** Truncation to int64; NaN and what does not fit give the smallest. */
function toInt64(x: number): bigint {
  return x >= -9223372036854775808 && x < 9223372036854775808 ? BigInt(Math.trunc(x)) : -9223372036854775808n;
}

/** Truncation to uint64 as x86-64 code does it. */
function toUint64(x: number): bigint {
  return x >= 9223372036854775808
    ? BigInt.asUintN(64, toInt64(x - 9223372036854775808) ^ -9223372036854775808n)
    : BigInt.asUintN(64, toInt64(x));
}

/** A bigint to the nearest float32, rounded once. */
function bigToFloat32(x: bigint): number {
  if (x > -9007199254740992n && x < 9007199254740992n) return fround(Number(x));
  // The bits below the 53rd matter only as "some": one sticky bit keeps the second rounding right.
  const top = x >> 12n;
  return fround(Number(x & 4095n ? top | 1n : top)) * 4096;
}

function bigFloordiv(x: bigint, y: bigint): bigint {
  if (y === 0n) return 0n;
  const q = x / y;
  return x % y !== 0n && x < 0n !== y < 0n ? q - 1n : q;
}

function bigMod(x: bigint, y: bigint): bigint {
  if (y === 0n) return 0n;
  const r = x % y;
  return r !== 0n && r < 0n !== y < 0n ? r + y : r;
}

function bigFmod(x: bigint, y: bigint): bigint {
  return y === 0n ? 0n : x % y;
}

/** Integer power modulo 2^64; a negative exponent gives the truncated quotient. */
function bigPow(x: bigint, y: bigint): bigint {
  if (y < 0n) return x === 1n ? 1n : x === -1n ? (y & 1n ? -1n : 1n) : 0n;
  let r = 1n;
  for (; y > 0n; y >>= 1n, x = BigInt.asUintN(64, x * x)) if (y & 1n) r = BigInt.asUintN(64, r * x);
  return r;
}

function bigGcd(x: bigint, y: bigint): bigint {
  if (x < 0n) x = -x;
  if (y < 0n) y = -y;
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

function bigPopcount(x: bigint): number {
  const u = x < 0n ? -x : x;
  return popcount(Number(u & 0xffffffffn)) + popcount(Number(u >> 32n));
}

/** Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; 2011). */
function threefry(k0: number, k1: number, c0: number, c1: number, word: number): number {
  const k2 = k0 ^ k1 ^ 0x1bd11bda;
  let x = c0 + k0 | 0, y = c1 + k1 | 0;
  x = x + y | 0, y = (y << 13 | y >>> 19) ^ x, x = x + y | 0, y = (y << 15 | y >>> 17) ^ x;
  x = x + y | 0, y = (y << 26 | y >>> 6) ^ x, x = x + y | 0, y = (y << 6 | y >>> 26) ^ x;
  x = x + k1 | 0, y = y + k2 + 1 | 0;
  x = x + y | 0, y = (y << 17 | y >>> 15) ^ x, x = x + y | 0, y = (y << 29 | y >>> 3) ^ x;
  x = x + y | 0, y = (y << 16 | y >>> 16) ^ x, x = x + y | 0, y = (y << 24 | y >>> 8) ^ x;
  x = x + k2 | 0, y = y + k0 + 2 | 0;
  x = x + y | 0, y = (y << 13 | y >>> 19) ^ x, x = x + y | 0, y = (y << 15 | y >>> 17) ^ x;
  x = x + y | 0, y = (y << 26 | y >>> 6) ^ x, x = x + y | 0, y = (y << 6 | y >>> 26) ^ x;
  x = x + k0 | 0, y = y + k1 + 3 | 0;
  x = x + y | 0, y = (y << 17 | y >>> 15) ^ x, x = x + y | 0, y = (y << 29 | y >>> 3) ^ x;
  x = x + y | 0, y = (y << 16 | y >>> 16) ^ x, x = x + y | 0, y = (y << 24 | y >>> 8) ^ x;
  x = x + k1 | 0, y = y + k2 + 4 | 0;
  x = x + y | 0, y = (y << 13 | y >>> 19) ^ x, x = x + y | 0, y = (y << 15 | y >>> 17) ^ x;
  x = x + y | 0, y = (y << 26 | y >>> 6) ^ x, x = x + y | 0, y = (y << 6 | y >>> 26) ^ x;
  return word === 0 ? x + k2 >>> 0 : y + k0 + 5 >>> 0;
}

/** Every function generated JavaScript may name. */
export const helpers = {
  fround,
  f16round,
  bf16round,
  bf16bits,
  bf16value,
  rint,
  sign,
  signbit,
  copysign,
  pow,
  hypot,
  floordiv,
  floordiv32,
  mod,
  imod,
  ipow,
  gcd,
  popcount,
  nextafter,
  nextafter32,
  nextafter16,
  toInt32,
  toUint32,
  toInt64,
  toUint64,
  bigToFloat32,
  bigFloordiv,
  bigMod,
  bigFmod,
  bigPow,
  bigGcd,
  bigPopcount,
  threefry,
  erf,
  erfc,
  lgamma,
} as const;

/** The name of a function generated JavaScript may call. */
export type Helper = keyof typeof helpers;
