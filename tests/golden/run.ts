/** Runs calls that NumPy answered once, on the current device, and compares. */
import { type Index, NDArray, nodeOf, wrap } from "../../src/array.ts";
import { currentDevice } from "../../src/device/registry.ts";
import { fromBytes, readBytes } from "../../src/transform/evaluate.ts";
import * as mod from "../../mod.ts";
import { decode, type GoldenRecord, readInputs, type Written, type WrittenOut } from "./read.ts";
import { difference } from "../tables/compare.ts";
import { toleranceOf } from "../tables/ops.ts";

const tnp = mod.tnp as unknown as Readonly<Record<string, (...args: unknown[]) => unknown>>;

/** What is raised where NumPy raises; all of tnp's errors of shape, index and axis are RangeErrors. */
const errors: Readonly<Record<string, readonly string[]>> = {
  ValueError: ["ShapeError", "RangeError", "AxisError", "TypeError", "IndexError", "SyntaxError"],
  TypeError: ["TypeError", "DTypePromotionError"],
  DTypePromotionError: ["DTypePromotionError"],
  AxisError: ["AxisError"],
  IndexError: ["IndexError", "AxisError"],
  OverflowError: ["RangeError"],
  ZeroDivisionError: ["RangeError", "ShapeError"],
};

/** Records that tnp answers in another way than NumPy, on purpose. */
export const skips: readonly { readonly reason: string; matches(record: GoldenRecord): boolean }[] = [
  {
    reason: "NumPy takes any negative length as unknown; here only -1 is, as its documentation says",
    matches: ({ f, a }) => f === "reshape" && Array.isArray(a[1]) && a[1].some((n) => typeof n === "number" && n < -1),
  },
  {
    reason: "without weights NumPy's average of nothing divides by the size of its result, which is 0",
    matches: ({ f, k, e }) => f === "average" && e === "ZeroDivisionError" && k?.["weights"] === undefined,
  },
  {
    reason: "a plain number is an int64 array to numpy.dot and numpy.diff; here it is weak as in every other function",
    matches: ({ f, a, k }) => (f === "dot" && typeof a[1] === "number") || (f === "diff" && k?.["prepend"] === 0),
  },
];

const inputs = readInputs();
const made = new Map<string, NDArray>();

/** An input as an array; a view is made from its base by the same steps as in NumPy. */
function input(name: string): NDArray {
  const known = made.get(name);
  if (known !== undefined) return known;
  const written = inputs.get(name);
  if (written === undefined) throw new TypeError(`golden: no input ${name}`);
  if ("of" in written) {
    const base = input(written.of);
    return typeof written.at === "string" ? base.T : base.at(...written.at);
  }
  const array = wrap(fromBytes(written.bytes, written.shape, written.dtype, currentDevice()));
  made.set(name, array);
  return array;
}

/** An argument as a user would write it. */
function argument(written: Written): unknown {
  if (written === null || typeof written !== "object") return written;
  if (Array.isArray(written)) return written.map(argument);
  const object = written as Exclude<Written, null | boolean | number | string | readonly Written[]>;
  if ("$" in object) return input(object.$);
  if ("big" in object) return BigInt(object.big);
  if ("num" in object) return Number(object.num.replace("inf", "Infinity"));
  return object;
}

function run(record: GoldenRecord): unknown {
  const args = record.a.map(argument);
  const keywords = record.k === undefined ? [] : [
    Object.fromEntries(Object.entries(record.k).map(([key, value]) => [key, argument(value)])),
  ];
  const [first, ...rest] = args;
  switch (record.f) {
    case "at":
      return (first as NDArray).at(...rest as Index[]);
    case "with":
      return (first as NDArray).with(...[...rest, ...keywords] as Parameters<NDArray["with"]>);
    case "astype":
      return (first as NDArray).astype(...rest as Parameters<NDArray["astype"]>);
    default: {
      const fn = tnp[record.f];
      if (fn === undefined) throw new TypeError(`tnp.${record.f} is missing`);
      return fn(...args, ...keywords);
    }
  }
}

/** What differs between a result and the golden one, or null. */
function compare(got: unknown, want: WrittenOut, record: GoldenRecord): string | null {
  if (Array.isArray(want)) {
    const list = want as readonly WrittenOut[];
    if (!Array.isArray(got)) return `not a list, expected ${list.length} results`;
    if (got.length !== list.length) return `${got.length} results, expected ${list.length}`;
    for (let i = 0; i < list.length; i++) {
      const found = compare(got[i], list[i]!, record);
      if (found !== null) return `result ${i}: ${found}`;
    }
    return null;
  }
  const single = want as Exclude<WrittenOut, readonly WrittenOut[]>;
  if ("v" in single) {
    const value = got instanceof NDArray ? got.item() : got;
    return Object.is(value, single.v) ? null : `${String(value)}, expected ${String(single.v)}`;
  }
  if (!(got instanceof NDArray)) return `not an array: ${String(got)}`;
  const node = nodeOf(got);
  const bytes = readBytes(node) as Uint8Array<ArrayBuffer>;
  const complex = JSON.stringify(record.a).includes("complex") || node.dtype.startsWith("complex");
  return difference({ dtype: node.dtype, shape: node.shape, bytes }, decode(single), toleranceOf(record.f), complex);
}

/** What is wrong with a record, or null. */
export function check(record: GoldenRecord): string | null {
  let result: unknown;
  try {
    result = run(record);
    if (record.e !== undefined) {
      if (result instanceof NDArray) result.dataSync();
      return `no error, expected ${record.e}`;
    }
    return compare(result, record.o!, record);
  } catch (error) {
    const { name, message } = error as Error;
    if (record.e === undefined) return `${name}: ${message}`;
    if (!errors[record.e]?.includes(name)) return `${name} (${message}), expected ${record.e}`;
    return message.endsWith(".") ? `the message ends with a period: ${message}` : null;
  }
}
