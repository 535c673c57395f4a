/**
 * Printing of arrays: `console.log`, `array_repr`, `array_str` and their options.
 * @module
 */
import { type ArrayLike, installPrinter, type NDArray, nodeOf } from "../array.ts";
import { asElements, elementAt, type Scalar } from "../base/elements.ts";
import { sizeOf } from "../base/shape.ts";
import { concatenate, slice } from "../core/ops.ts";
import { context, type Node } from "../core/trace.ts";
import { describe, isKeywords } from "../numpy/args.ts";
import { toNodeOf } from "../numpy/convert.ts";
import { readBytes } from "../transform/evaluate.ts";
import {
  defaultPrintOptions,
  edgeShape,
  formatRepr,
  formatStr,
  isSummarized,
  type Printable,
  type PrintOptions,
} from "./display.ts";

export type { FloatMode, PrintOptions } from "./display.ts";

let current: PrintOptions = defaultPrintOptions;

const choices = {
  sign: ["-", "+", " "],
  floatmode: ["fixed", "unique", "maxprec", "maxprec_equal"],
} as const;

/** The options with some of them changed. @throws TypeError for an unknown option or a wrong value */
function withOptions(name: string, options: Partial<PrintOptions>): PrintOptions {
  if (!isKeywords(options)) throw new TypeError(`${name}: got ${describe(options)}, expected an object of options`);
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(defaultPrintOptions, key)) {
      throw new TypeError(
        `${name}: unknown option "${key}", expected one of ${Object.keys(defaultPrintOptions).join(", ")}`,
      );
    }
    const expected = typeof defaultPrintOptions[key as keyof PrintOptions];
    const kind: string = typeof value;
    if (kind !== expected) {
      throw new TypeError(`${name}: ${key} must be a ${expected}, got ${describe(value)}`);
    }
    if (expected === "number" && !((value as number) >= 0 && (Number.isInteger(value) || key === "threshold"))) {
      throw new RangeError(`${name}: ${key} must be an integer of 0 or more, got ${describe(value)}`);
    }
    if (key in choices && !(choices[key as keyof typeof choices] as readonly unknown[]).includes(value)) {
      throw new TypeError(
        `${name}: ${key} must be one of ${JSON.stringify(choices[key as keyof typeof choices])}, got ${
          describe(value)
        }`,
      );
    }
  }
  return { ...current, ...options };
}

/**
 * Sets how arrays are printed; what is left out stays.
 * @param options precision (8), threshold (1000; Infinity prints all), edgeitems (3), linewidth (75), suppress, nanstr, infstr, sign, floatmode
 * @throws TypeError, RangeError for an unknown option or a wrong value
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * tnp.set_printoptions({ precision: 3 });
 * console.log(String(tnp.array([1 / 3, 2.5]))); // [0.333 2.5  ]
 * tnp.set_printoptions({ precision: 8 });
 * ```
 * Source: numpy.set_printoptions
 */
export function set_printoptions(options: Partial<PrintOptions>): void {
  current = withOptions("set_printoptions", options);
}

/**
 * How arrays are printed now.
 * @returns all options
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.get_printoptions().linewidth); // 75
 * ```
 * Source: numpy.get_printoptions
 */
export function get_printoptions(): PrintOptions {
  return { ...current };
}

/** The first and last entries of every long axis, joined: all that is printed of a summarized array. */
function corners(node: Node, edge: number): Node {
  let out = node;
  for (let axis = 0; axis < node.shape.length; axis++) {
    const length = out.shape[axis]!;
    if (length <= 2 * edge) continue;
    const shape = out.shape.with(axis, edge);
    const steps = shape.map(() => 1);
    const zeros = shape.map(() => 0);
    out = concatenate(
      [slice(out, zeros, shape, steps), slice(out, zeros.with(axis, length - edge), shape, steps)],
      axis,
    );
  }
  return out;
}

function printable(node: Node, options: PrintOptions): Printable {
  const { shape, dtype } = node;
  const { recorders } = context;
  // Printing is no part of what a tape has to see.
  context.recorders = [];
  node.hold();
  let shown = node;
  try {
    if (isSummarized(shape, options)) {
      context.evaluate([node]);
      shown = corners(node, options.edgeitems);
    }
    shown.hold();
    const data = asElements(readBytes(shown) as Uint8Array<ArrayBuffer>, dtype);
    const size = sizeOf(edgeShape(shape, options));
    const elements = Array.from({ length: size }, (_, i): Scalar => elementAt(data, dtype, i));
    shown.drop();
    return { shape, dtype, elements };
  } finally {
    node.drop();
    context.recorders = recorders;
  }
}

/**
 * An array as the call that makes it.
 * @param x any array
 * @param options options of `set_printoptions`, for this call
 * @returns `array([1., 2.], dtype=float32)`
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.array_repr(tnp.ones([2], tnp.float32))); // array([1., 1.], dtype=float32)
 * ```
 * Source: numpy.array_repr
 */
export function array_repr(x: ArrayLike, options: Partial<PrintOptions> = {}): string {
  const all = withOptions("array_repr", options);
  return formatRepr(printable(toNodeOf("array_repr", x), all), all);
}

/**
 * The elements of an array in brackets, as `console.log` shows it; a 0-d array is its number.
 * @param x any array
 * @param options options of `set_printoptions`, for this call
 * @returns `[1. 2.]`
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.array_str(tnp.eye(2))); // [[1. 0.], [0. 1.]] in two lines
 * ```
 * Source: numpy.array_str
 */
export function array_str(x: ArrayLike, options: Partial<PrintOptions> = {}): string {
  const all = withOptions("array_str", options);
  return formatStr(printable(toNodeOf("array_str", x), all), all);
}

installPrinter((x: NDArray) => formatStr(printable(nodeOf(x), current), current));
