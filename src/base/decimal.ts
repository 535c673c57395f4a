/**
 * Decimal digits of floating numbers: the shortest that read back as the same number, and exact ones to a place.
 * @module
 */
import type { DType } from "./dtype.ts";
import { toBfloat16 } from "./elements.ts";

/** The decimal 0.d1d2d3… × 10^point of a positive finite number; zero is `{ digits: "0", point: 1 }`. */
export interface Digits {
  readonly digits: string;
  readonly point: number;
}

const half = new Float16Array(1);
const bits = new DataView(new ArrayBuffer(8));

/** A number rounded to a float dtype, by what tells two of its values apart. */
function rounding(dtype: DType): ((x: number) => number) | null {
  switch (dtype) {
    case "float16":
      return (x) => {
        half[0] = x;
        return half[0];
      };
    case "bfloat16":
      return toBfloat16;
    case "float32":
    case "complex64":
      return Math.fround;
    default:
      return null;
  }
}

function parse(exponential: string): Digits {
  const [mantissa, exponent] = exponential.split("e") as [string, string];
  const digits = mantissa.replace(".", "").replace(/0+$/, "");
  return digits === "" ? { digits: "0", point: 1 } : { digits, point: Number(exponent) + 1 };
}

/**
 * The shortest digits that round back to a number in its dtype, the closest of these to it.
 * @param x finite, 0 or more, exactly a value of the dtype
 */
export function shortestDigits(x: number, dtype: DType): Digits {
  const round = rounding(dtype);
  if (round === null) return parse(x.toExponential());
  if (x === 0) return { digits: "0", point: 1 };
  const self = round(x);
  const { point } = parse(x.toExponential());
  for (let n = 1; n <= 9; n++) {
    const nearest = scaledInteger(x, n - point);
    // Above a power of two the gap is wider than below: the next decimal may read back where the nearest does not.
    for (const integer of [nearest, nearest + 1n]) {
      const text = String(integer);
      if (round(Number(`${text}e${point - n}`)) === self) {
        return { digits: text.replace(/0+$/, ""), point: point + text.length - n };
      }
    }
  }
  return parse(x.toExponential());
}

/** A finite number as m × 2^e. */
function split(x: number): { mantissa: bigint; exponent: number } {
  bits.setFloat64(0, x);
  const all = bits.getBigUint64(0);
  const biased = Number((all >> 52n) & 0x7ffn);
  const fraction = all & 0xfffffffffffffn;
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | 0x10000000000000n, exponent: biased - 1075 };
}

/**
 * x × 10^places, rounded to an integer, halves to even: exact, as no power of ten is a floating number here.
 * @param x finite, 0 or more
 */
export function scaledInteger(x: number, places: number): bigint {
  const { mantissa, exponent } = split(x);
  let above = mantissa;
  let below = 1n;
  if (exponent >= 0) above <<= BigInt(exponent);
  else below <<= BigInt(-exponent);
  if (places >= 0) above *= 10n ** BigInt(places);
  else below *= 10n ** BigInt(-places);
  const floor = above / below;
  const twice = 2n * (above - floor * below);
  return twice > below || (twice === below && (floor & 1n) === 1n) ? floor + 1n : floor;
}

/** How many digits a text shows: at most `precision` after the point (null: all), the shortest or (exact) always that many. */
export interface DigitOptions {
  readonly precision: number | null;
  readonly exact: boolean;
}

/** The integer and fraction digits of x in positional notation; the fraction has no trailing zeros unless `exact`. */
export function positionalParts(x: number, dtype: DType, options: DigitOptions): readonly [string, string] {
  const { precision, exact } = options;
  if (!exact || precision === null) {
    const { digits, point } = shortestDigits(x, dtype);
    if (x === 0) return ["0", ""];
    if (precision === null || digits.length - point <= precision) {
      if (point <= 0) return ["0", "0".repeat(-point) + digits];
      return [digits.slice(0, point).padEnd(point, "0"), digits.slice(point)];
    }
  }
  const places = precision!;
  const text = String(scaledInteger(x, places)).padStart(places + 1, "0");
  const cut = text.length - places;
  const fraction = text.slice(cut);
  return [text.slice(0, cut), exact ? fraction : fraction.replace(/0+$/, "")];
}

/** The first digit, the fraction's digits and the exponent of x in scientific notation; no trailing zeros unless `exact`. */
export function scientificParts(x: number, dtype: DType, options: DigitOptions): readonly [string, string, number] {
  const { precision, exact } = options;
  if (x === 0) return ["0", exact ? "0".repeat(precision ?? 0) : "", 0];
  const { digits, point } = shortestDigits(x, dtype);
  if ((!exact && (precision === null || digits.length - 1 <= precision)) || precision === null) {
    return [digits[0]!, digits.slice(1), point - 1];
  }
  // The shortest digits may have been rounded up to a power of ten: then this many exact ones begin one place further down.
  let exponent = point - 2;
  let text = String(scaledInteger(x, precision - exponent));
  if (text.length > precision + 1) text = String(scaledInteger(x, precision - ++exponent));
  if (text.length > precision + 1) exponent++;
  const fraction = text.slice(1, precision + 1);
  return [text[0]!, exact ? fraction : fraction.replace(/0+$/, ""), exponent];
}
