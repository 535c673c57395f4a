/**
 * Comparison of arrays with golden ones, in units in the last place.
 * @module
 */
import { type DType, dtypes } from "../../src/base/dtype.ts";
import { asElements, elementAt, type Scalar } from "../../src/base/elements.ts";
import { finfo } from "../../src/base/limits.ts";
import type { GoldenArray } from "../golden/read.ts";
import type { Tolerance } from "./ops.ts";

/** The distance between neighbours around x in a floating dtype. */
export function ulpOf(x: number, dtype: DType): number {
  const { nmant, smallest_subnormal, max } = finfo(dtype);
  const size = Math.min(Math.abs(x), max);
  if (!(size > 0)) return smallest_subnormal;
  let exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) exponent--;
  return Math.max(2 ** (exponent - nmant), smallest_subnormal);
}

/** What is compared with what: the dtype, how close, and whether complex numbers went in. */
export interface Expectation {
  readonly dtype: DType;
  readonly tolerance: Tolerance;
  readonly complex: boolean;
}

function sameReal(got: number, want: number, allowed: number, { dtype, tolerance }: Expectation): boolean {
  if (Number.isNaN(want)) return Number.isNaN(got);
  if (got === want) return allowed > 0 || tolerance.anyZero === true || Object.is(got, want);
  if (!Number.isFinite(want) || !Number.isFinite(got)) return false;
  return Math.abs(got - want) <= Math.max(allowed, (tolerance.floor ?? 0) * finfo(dtype).eps);
}

/** Tells whether an element is close enough to the golden one. */
export function isClose(got: Scalar, want: Scalar, expectation: Expectation): boolean {
  const { dtype, tolerance } = expectation;
  const units = expectation.complex ? tolerance.complexUlp ?? tolerance.ulp : tolerance.ulp;
  if (typeof want === "object") {
    const { re, im } = got as { re: number; im: number };
    const finite = Number.isFinite(want.re) && Number.isFinite(want.im);
    const size = finite ? Math.hypot(want.re, want.im) : Math.max(Math.abs(want.re) || 0, Math.abs(want.im) || 0);
    const allowed = units * ulpOf(size, dtype);
    return sameReal(re, want.re, allowed, expectation) && sameReal(im, want.im, allowed, expectation);
  }
  if (dtypes[dtype].kind !== "f") return got === want;
  const own = dtypes[dtype].itemsize === 2 && units > 0 ? tolerance.halfUlp ?? 1 : units;
  return sameReal(got as number, want as number, own * ulpOf(want as number, dtype), expectation);
}

const show = (x: Scalar): string => typeof x === "object" ? `${x.re}+${x.im}j` : Object.is(x, -0) ? "-0" : String(x);

/** What differs between an array and the golden one, or null. */
export function difference(
  got: GoldenArray,
  want: GoldenArray,
  tolerance: Tolerance,
  complex: boolean = dtypes[want.dtype].kind === "c",
): string | null {
  if (got.dtype !== want.dtype) return `dtype ${got.dtype}, expected ${want.dtype}`;
  if (got.shape.join() !== want.shape.join()) return `shape [${got.shape}], expected [${want.shape}]`;
  const a = asElements(got.bytes, got.dtype);
  const b = asElements(want.bytes, want.dtype);
  const size = want.shape.reduce((x, y) => x * y, 1);
  const expectation = { dtype: want.dtype, tolerance, complex };
  for (let i = 0; i < size; i++) {
    const x = elementAt(a, got.dtype, i);
    const y = elementAt(b, want.dtype, i);
    if (!isClose(x, y, expectation)) {
      return `element ${i} of ${size}: ${show(x)}, expected ${show(y)} (${want.dtype})`;
    }
  }
  return null;
}
