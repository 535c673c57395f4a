/**
 * The text of arrays: NumPy's rules for digits, columns, line breaks and the `...` of long arrays. Pure: elements in, text out.
 * @module
 */
import { positionalParts, scientificParts } from "../base/decimal.ts";
import { type DType, dtypes } from "../base/dtype.ts";
import type { Complex, Scalar } from "../base/elements.ts";
import { finfo } from "../base/limits.ts";
import { contiguousStrides, type Shape, sizeOf } from "../base/shape.ts";

/** How numbers with a fraction are cut: `fixed` always `precision` digits, `unique` the shortest that read back, `maxprec` the shorter of both, `maxprec_equal` likewise but all as long. */
export type FloatMode = "fixed" | "unique" | "maxprec" | "maxprec_equal";

/** Options of printing (numpy.set_printoptions). */
export interface PrintOptions {
  /** Digits after the point, 8. */
  readonly precision: number;
  /** More elements than this are summarized, 1000. */
  readonly threshold: number;
  /** Elements shown at each end of a summarized axis, 3. */
  readonly edgeitems: number;
  /** Characters a line, 75. */
  readonly linewidth: number;
  /** Whether small numbers are shown as 0 rather than all in scientific notation. */
  readonly suppress: boolean;
  /** How NaN is written. */
  readonly nanstr: string;
  /** How infinity is written. */
  readonly infstr: string;
  /** `+` shows it, a space keeps its place, `-` leaves it out. */
  readonly sign: "-" | "+" | " ";
  /** How many digits floats get. */
  readonly floatmode: FloatMode;
}

/** NumPy's defaults. */
export const defaultPrintOptions: PrintOptions = {
  precision: 8,
  threshold: 1000,
  edgeitems: 3,
  linewidth: 75,
  suppress: false,
  nanstr: "nan",
  infstr: "inf",
  sign: "-",
  floatmode: "maxprec",
};

/** What is printed. */
export interface Printable {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The elements of `edgeShape(shape, options)` in C order: of a long array only its corners. */
  readonly elements: readonly Scalar[];
}

/** Tells whether an array is printed with `...`. */
export function isSummarized(shape: Shape, options: PrintOptions): boolean {
  return sizeOf(shape) > options.threshold;
}

/** The shape of the corners that are printed of an array: itself unless it is summarized. */
export function edgeShape(shape: Shape, options: PrintOptions): number[] {
  if (!isSummarized(shape, options)) return [...shape];
  return shape.map((length) => Math.min(length, 2 * options.edgeitems));
}

/** Writes one element in a width that all of them share. */
type Formatter = (x: Scalar) => string;

function integers(elements: readonly Scalar[], options: PrintOptions): Formatter {
  let width = 0;
  const sign = options.sign;
  const blank = sign === " " && elements.every((x) => (x as number | bigint) >= 0);
  const text = (x: Scalar): string => {
    const positive = (x as number | bigint) >= 0;
    return `${positive && sign === "+" ? "+" : positive && blank ? " " : ""}${String(x)}`;
  };
  for (const x of elements) width = Math.max(width, text(x).length);
  return (x) => text(x).padStart(width);
}

interface FloatStyle {
  readonly options: PrintOptions;
  readonly sign: PrintOptions["sign"];
  readonly dtype: DType;
}

/** Whether these numbers, the finite ones other than 0, are written in scientific notation. */
function isScientific(sizes: readonly number[], { options, dtype }: FloatStyle): boolean {
  if (sizes.length === 0) return false;
  const round = dtype === "float32" || dtype === "complex64"
    ? Math.fround
    : dtype === "float16"
    ? (x: number): number => new Float16Array([x])[0]!
    : (x: number): number => x;
  let max = 0;
  let min = Infinity;
  for (const x of sizes) {
    if (x > max) max = x;
    if (x < min) min = x;
  }
  if (max >= round(10 ** Math.min(8, finfo(dtype).precision))) return true;
  return !options.suppress && (min < round(0.0001) || round(max / min) > 1000);
}

function floats(values: readonly number[], style: FloatStyle): (x: number) => string {
  const { options, sign, dtype } = style;
  const exact = options.floatmode === "fixed";
  const precision = options.floatmode === "unique" ? null : options.precision;
  const finite = values.filter(Number.isFinite);
  const scientific = isScientific(finite.filter((x) => x !== 0).map(Math.abs), style);
  const isMinus = (x: number): boolean => x < 0 || Object.is(x, -0);
  const mark = (x: number): string => isMinus(x) ? "-" : sign === "+" ? "+" : "";

  // The first pass finds the widths, the second writes in them.
  let left = 0;
  let right = 0;
  let exponents = 2;
  for (const x of finite) {
    let whole: string;
    let fraction: string;
    if (scientific) {
      const [w, f, exponent] = scientificParts(Math.abs(x), dtype, { precision, exact });
      [whole, fraction] = [w, f];
      exponents = Math.max(exponents, String(Math.abs(exponent)).length);
    } else [whole, fraction] = positionalParts(Math.abs(x), dtype, { precision, exact });
    left = Math.max(left, mark(x).length + whole.length);
    right = Math.max(right, fraction.length);
  }
  if (sign === " " && !finite.some(isMinus)) left++;
  const digits = right;
  if (scientific) right += exponents + 2;
  if (finite.length < values.length) {
    const marked = sign !== "-" || values.some((x) => x === -Infinity) ? 1 : 0;
    left = Math.max(left, options.nanstr.length - right - 1, options.infstr.length + marked - right - 1);
  }
  // Columns that are filled with digits are filled with the exact ones, also after the shortest would do.
  const full = scientific || exact || options.floatmode === "maxprec_equal";
  const cut = { precision: full ? digits : precision, exact: full };

  return (x) => {
    if (!Number.isFinite(x)) {
      const text = Number.isNaN(x) ? (sign === "+" ? "+" : "") + options.nanstr : mark(x) + options.infstr;
      return text.padStart(left + right + 1);
    }
    if (scientific) {
      const [whole, fraction, exponent] = scientificParts(Math.abs(x), dtype, cut);
      const power = `e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(exponents, "0")}`;
      return `${(mark(x) + whole).padStart(left)}.${fraction}${power}`;
    }
    const [whole, fraction] = positionalParts(Math.abs(x), dtype, cut);
    return `${(mark(x) + whole).padStart(left)}.${fraction.padEnd(right)}`;
  };
}

function formatterOf(array: Printable, options: PrintOptions): Formatter {
  const { dtype, elements } = array;
  switch (dtypes[dtype].kind) {
    case "b": {
      const yes = array.shape.length === 0 ? "True" : " True";
      return (x) => x ? yes : "False";
    }
    case "i":
    case "u":
      return integers(elements, options);
    case "f": {
      const write = floats(elements as readonly number[], { options, sign: options.sign, dtype });
      return (x) => write(x as number);
    }
    case "c": {
      const all = elements as readonly Complex[];
      const re = floats(all.map((x) => x.re), { options, sign: options.sign, dtype });
      const im = floats(all.map((x) => x.im), { options, sign: "+", dtype });
      return (x) => {
        const text = im((x as Complex).im);
        const end = text.trimEnd();
        return `${re((x as Complex).re)}${end}j${text.slice(end.length)}`;
      };
    }
  }
}

/** Where text goes: between which marks, after how many columns of prefix, in how many columns. */
interface Layout {
  readonly separator: string;
  readonly indent: number;
  readonly width: number;
}

/** The nested brackets with their elements. */
function brackets(array: Printable, options: PrintOptions, layout: Layout): string {
  const { shape, elements } = array;
  const write = formatterOf(array, options);
  const summarized = isSummarized(shape, options);
  const strides = contiguousStrides(edgeShape(shape, options));
  const ndim = shape.length;
  if (ndim === 0) return write(elements[0]!);
  const tight = layout.separator.trimEnd();

  /** Which entries of an axis are shown; null stands for `...`. */
  const entries = (axis: number): (number | null)[] => {
    const edge = options.edgeitems;
    if (!summarized || shape[axis]! <= 2 * edge) return Array.from({ length: shape[axis]! }, (_, i) => i);
    const ends = Array.from({ length: edge }, (_, i) => i);
    return [...ends, null, ...ends.map((i) => i + edge)];
  };

  const level = (axis: number, offset: number, indent: string, width: number): string => {
    const stride = strides[axis]!;
    const items = entries(axis);
    if (axis < ndim - 1) {
      const rows = items.map((i) => i === null ? "..." : level(axis + 1, offset + i * stride, `${indent} `, width - 1));
      return `[${rows.join(tight + "\n".repeat(ndim - 1 - axis) + indent)}]`;
    }
    const room = width - Math.max(tight.length, 1);
    let text = "";
    let line = indent;
    items.forEach((i, at) => {
      const word = i === null ? "..." : write(elements[offset + i * stride]!);
      if (line.length > indent.length && line.length + word.length > room) {
        text += `${line.trimEnd()}\n`;
        line = indent;
      }
      line += word;
      if (at < items.length - 1) line += layout.separator;
    });
    return `[${(text + line).slice(indent.length)}]`;
  };
  return level(0, 0, " ".repeat(layout.indent + 1), layout.width);
}

/** One element as NumPy's scalars print themselves: all the digits that tell it from its neighbours. */
export function formatScalar(x: Scalar, dtype: DType): string {
  switch (dtypes[dtype].kind) {
    case "b":
      return x ? "True" : "False";
    case "i":
    case "u":
      return String(x);
    case "f":
      return scalarText(x as number, dtype, false);
    case "c": {
      const { re, im } = x as Complex;
      const imaginary = `${scalarText(im, dtype, !Object.is(re, 0))}j`;
      return Object.is(re, 0) ? imaginary : `(${scalarText(re, dtype, false)}${imaginary})`;
    }
  }
}

function scalarText(x: number, dtype: DType, signed: boolean): string {
  const mark = x < 0 || Object.is(x, -0) ? "-" : signed ? "+" : "";
  if (Number.isNaN(x)) return `${signed ? "+" : ""}nan`;
  if (!Number.isFinite(x)) return `${mark}inf`;
  const size = Math.abs(x);
  const point = dtypes[dtype].kind === "c" ? "" : ".0";
  const limit = dtypes[dtypes[dtype].scalar].itemsize === 8 ? 1e16 : 10 ** finfo(dtype).precision;
  if (size === 0 || (size >= 1e-4 && size < limit)) {
    const [whole, fraction] = positionalParts(size, dtype, { precision: null, exact: false });
    return `${mark}${whole}${fraction === "" ? point : `.${fraction}`}`;
  }
  const [whole, fraction, exponent] = scientificParts(size, dtype, { precision: null, exact: false });
  const power = `e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return `${mark}${whole}${fraction === "" ? "" : `.${fraction}`}${power}`;
}

/**
 * An array's elements in brackets (numpy.array_str); a 0-d array is its scalar.
 * @example
 * `[[1.  2.5]\n [3.  4. ]]`
 */
export function formatStr(array: Printable, options: PrintOptions = defaultPrintOptions): string {
  if (array.shape.length === 0) return formatScalar(array.elements[0]!, array.dtype);
  return sizeOf(array.shape) === 0
    ? "[]"
    : brackets(array, options, { separator: " ", indent: 0, width: options.linewidth });
}

const implied: readonly DType[] = ["bool", "int64", "float64", "complex128"];

/**
 * An array as the call that makes it (numpy.array_repr): `array([1., 2.], dtype=float32)`.
 * The dtype is left out where the elements imply it, the shape unless the array is empty or summarized.
 */
export function formatRepr(array: Printable, options: PrintOptions = defaultPrintOptions): string {
  const { shape, dtype } = array;
  const size = sizeOf(shape);
  const open = "array(";
  const body = size === 0
    ? "[]"
    : brackets(array, options, { separator: ", ", indent: open.length, width: options.linewidth - 1 });
  const extras: string[] = [];
  if ((size === 0 && !(shape.length === 1 && shape[0] === 0)) || size > options.threshold) {
    extras.push(`shape=(${shape.join(", ")}${shape.length === 1 ? "," : ""})`);
  }
  if (size === 0 || !implied.includes(dtype)) extras.push(`dtype=${dtype}`);
  if (extras.length === 0) return `${open}${body})`;
  const text = `${open}${body},`;
  const last = text.length - (text.lastIndexOf("\n") + 1);
  const extra = `${extras.join(", ")})`;
  const space = last + extra.length + 1 > options.linewidth ? `\n${" ".repeat(open.length)}` : " ";
  return text + space + extra;
}
