/**
 * Unsigned keys that order as NumPy orders the values, in C.
 * @module
 */
import { type DType, dtypes } from "../../src/base/dtype.ts";

/** Bits of infinity, by dtype: what is above them is NaN. */
const infinities: Readonly<Partial<Record<DType, string>>> = {
  float16: "0x7c00",
  bfloat16: "0x7f80",
  float32: "0x7f800000u",
  float64: "0x7ff0000000000000ull",
};

/** Whether there is C for a dtype; complex numbers are sorted in JavaScript. */
export function cSortable(dtype: DType): boolean {
  return dtypes[dtype].components === 1;
}

/** Whether values may be NaN, and zeros have signs. */
export function hasNan(dtype: DType): boolean {
  return dtype in infinities;
}

/** Types and conversions of keys: equal for values that NumPy takes for equal, NaN the largest. */
export function keyText(dtype: DType): string {
  const width = 8 * dtypes[dtype].itemsize, top = `((key)1 << ${width - 1})`;
  const infinity = infinities[dtype];
  const lines = [`typedef u${width} key;`];
  if (infinity !== undefined) {
    lines.push(
      `#define IS_NAN(b) ((key)((b) & (key)~${top}) > (key)${infinity})`,
      `#define IS_ZERO(b) ((key)((b) << 1) == 0)`,
      `#define ZERO ${top}`,
      `INLINE key to_key(key b) {`,
      `  const key k = (key)(b ^ ((key)(0 - (b >> ${width - 1})) | ZERO));`,
      `  return (key)(IS_NAN(b) ? (key)~(key)0 : b == ZERO ? ZERO : k);`,
      `}`,
      `INLINE key from_key(key k) { return (key)(k ^ ((key)((k >> ${width - 1}) - 1) | ZERO)); }`,
    );
  } else {
    const flip = dtypes[dtype].kind === "i" ? `(key)(b ^ ${top})` : "b";
    lines.push(`INLINE key to_key(key b) { return ${flip}; }`, `INLINE key from_key(key b) { return ${flip}; }`);
  }
  return lines.join("\n") + "\n";
}

/** Leading bits of a float that say little: its sign and exponent. */
export const exponents: Readonly<Partial<Record<DType, number>>> = { float16: 6, bfloat16: 9, float32: 9, float64: 12 };
