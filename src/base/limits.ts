/**
 * The limits of number dtypes: numpy.finfo and numpy.iinfo.
 * @module
 */
import { type DType, dtypes } from "./dtype.ts";
import { integerRange } from "./promote.ts";

/** Facts about a floating dtype; of a complex one, about its parts. */
export interface FloatInfo {
  /** The dtype that is described. */
  readonly dtype: DType;
  /** Bits of a number. */
  readonly bits: number;
  /** The gap between 1 and the next number. */
  readonly eps: number;
  /** The gap between 1 and the number before it. */
  readonly epsneg: number;
  /** The largest finite number. */
  readonly max: number;
  /** The lowest finite number. */
  readonly min: number;
  /** The least positive number of full precision; also `smallest_normal`. */
  readonly tiny: number;
  /** The smallest positive number with full precision. */
  readonly smallest_normal: number;
  /** The least positive number. */
  readonly smallest_subnormal: number;
  /** Decimal digits that always survive. */
  readonly precision: number;
  /** 10^-precision. */
  readonly resolution: number;
  /** Bits of the mantissa without the leading one. */
  readonly nmant: number;
  /** Bits of the exponent. */
  readonly nexp: number;
  /** Bits of the exponent. */
  readonly iexp: number;
  /** The least exponent whose power of two overflows. */
  readonly maxexp: number;
  /** The exponent of the smallest positive number with full precision. */
  readonly minexp: number;
  /** The exponent of `eps`. */
  readonly machep: number;
  /** The exponent of `epsneg`. */
  readonly negep: number;
}

/** Mantissa and exponent bits of the floating dtypes. */
const layouts = {
  float16: [10, 5],
  bfloat16: [7, 8],
  float32: [23, 8],
  float64: [52, 11],
} as const;

const known = new Map<DType, FloatInfo>();

/**
 * Facts about a floating or complex dtype (numpy.finfo, ml_dtypes.finfo for bfloat16).
 * @throws TypeError for other dtypes
 */
export function finfo(dtype: DType): FloatInfo {
  const real = dtypes[dtype].scalar;
  if (!(real in layouts)) throw new TypeError(`finfo: got ${dtype}, expected a floating or complex dtype`);
  let info = known.get(real);
  if (info === undefined) known.set(real, info = make(real as keyof typeof layouts));
  return info;
}

function make(dtype: keyof typeof layouts): FloatInfo {
  const [nmant, nexp] = layouts[dtype];
  const maxexp = 2 ** (nexp - 1);
  const minexp = 2 - maxexp;
  const max = (2 - 2 ** -nmant) * 2 ** (maxexp - 1);
  const precision = Math.floor(nmant * Math.log10(2));
  const resolution = Number(`1e-${precision}`);
  return {
    dtype,
    bits: dtypes[dtype].itemsize * 8,
    eps: 2 ** -nmant,
    epsneg: 2 ** -(nmant + 1),
    max,
    min: -max,
    tiny: 2 ** minexp,
    smallest_normal: 2 ** minexp,
    smallest_subnormal: 2 ** (minexp - nmant),
    precision,
    resolution,
    nmant,
    nexp,
    iexp: nexp,
    maxexp,
    minexp,
    machep: -nmant,
    negep: -(nmant + 1),
  };
}

/** Facts about an integer dtype. */
export interface IntegerInfo {
  /** The dtype that is described. */
  readonly dtype: DType;
  /** `i` with a sign, `u` without. */
  readonly kind: "i" | "u";
  /** Bits of a number. */
  readonly bits: number;
  /** A bigint where a number would not be exact. */
  readonly min: number | bigint;
  /** The largest number. */
  readonly max: number | bigint;
}

/**
 * Facts about an integer dtype (numpy.iinfo).
 * @throws TypeError for other dtypes
 */
export function iinfo(dtype: DType): IntegerInfo {
  const { kind, itemsize } = dtypes[dtype];
  if (kind !== "i" && kind !== "u") throw new TypeError(`iinfo: got ${dtype}, expected an integer dtype`);
  const narrow = (value: bigint): number | bigint => Number.isSafeInteger(Number(value)) ? Number(value) : value;
  const [min, max] = integerRange(dtype);
  return { dtype, kind, bits: itemsize * 8, min: narrow(min), max: narrow(max) };
}
