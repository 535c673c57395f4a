/**
 * Positional arguments and keywords: NumPy's calls end in keywords, ours in a plain object.
 * @module
 */
import { describe } from "../base/describe.ts";
import { type DType, dtypeNames, isDType } from "../base/dtype.ts";

export { describe } from "../base/describe.ts";
export { inTheNameOf, within } from "../base/errors.ts";

/** Tells whether a value is a plain object that can only hold keywords: no complex number, no array of another library. */
export function isKeywords(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return !("re" in value && "im" in value) && !("shape" in value && ("data" in value || "dataSync" in value));
}

/** Keywords of NumPy that immutable arrays cannot have, and keywords that say nothing here but are harmless at NumPy's defaults. */
const ignored: Readonly<Record<string, readonly unknown[]>> = {
  out: [null],
  subok: [true, false],
  order: ["K", "C", "A", null],
  like: [null],
  copy: [null],
};

/**
 * Puts positional arguments and a trailing object of keywords together.
 *
 * @param name the function that messages name
 * @param names its parameters after the arrays, in NumPy's order
 * @param args what was given; `undefined` counts as not given
 * @returns the arguments by name
 * @throws TypeError for an unknown or repeated keyword, too many arguments, and `out`, which immutable arrays cannot have
 */
export function keywords<T extends object>(
  name: string,
  names: readonly (keyof T & string)[],
  args: readonly unknown[],
): T {
  const out: Record<string, unknown> = {};
  let count = args.length;
  const last = args[count - 1];
  if (count > 0 && isKeywords(last)) {
    count--;
    for (const key of Object.keys(last)) {
      const value = last[key];
      if (value === undefined) continue;
      if (!(names as readonly string[]).includes(key)) checkIgnored(name, key, value, names);
      else out[key] = value;
    }
  }
  if (count > names.length) {
    throw new TypeError(
      `${name}: got ${count} arguments after the array, expected at most ${names.length} (${names.join(", ")})`,
    );
  }
  for (let i = 0; i < count; i++) {
    if (args[i] === undefined) continue;
    if (Object.hasOwn(out, names[i]!)) throw new TypeError(`${name}: got two values for "${names[i]!}"`);
    out[names[i]!] = args[i];
  }
  return out as T;
}

function checkIgnored(name: string, key: string, value: unknown, names: readonly string[]): void {
  if (ignored[key]?.includes(value)) return;
  if (key === "out") throw new TypeError(`${name}: got "out", but arrays are immutable; use the returned array`);
  throw new TypeError(
    `${name}: got an unexpected keyword "${key}", expected ${
      names.filter((known) => known !== "out").join(", ") || "none"
    }`,
  );
}

/** Checks that a value names a dtype. @throws TypeError that lists the dtypes */
export function checkDType(name: string, dtype: unknown): DType {
  if (isDType(dtype)) return dtype;
  throw new TypeError(`${name}: got dtype ${describe(dtype)}, expected one of ${dtypeNames.join(", ")}`);
}

/** Checks an integer argument. @throws TypeError */
export function checkInt(name: string, what: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value)) return value;
  if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) return Number(value);
  throw new TypeError(`${name}: ${what} must be an integer, got ${describe(value)}`);
}

/** Checks that an argument is one of several words. @throws TypeError that lists them */
export function checkChoice<T extends string>(name: string, what: string, value: unknown, choices: readonly T[]): T {
  if ((choices as readonly unknown[]).includes(value)) return value as T;
  throw new TypeError(
    `${name}: got ${what} ${describe(value)}, expected one of ${choices.map((c) => `"${c}"`).join(", ")}`,
  );
}

/** Checks an integer or a list of them. @throws TypeError */
export function checkInts(name: string, what: string, value: unknown): readonly number[] {
  if (Array.isArray(value)) {
    const out = new Array<number>(value.length);
    for (let i = 0; i < out.length; i++) {
      const n: unknown = value[i];
      out[i] = Number.isInteger(n) ? n as number : checkInt(name, `an entry of ${what}`, n);
    }
    return out;
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return Array.from(value as Int32Array, (n) => checkInt(name, `an entry of ${what}`, n));
  }
  if (typeof value === "number" || typeof value === "bigint") return [checkInt(name, what, value)];
  throw new TypeError(`${name}: ${what} must be an integer or a list of integers, got ${describe(value)}`);
}

/** Checks a list; holes in it are undefined. @throws TypeError */
export function checkList<T>(name: string, what: string, value: readonly T[]): readonly T[] {
  if (Array.isArray(value)) return Array.from(value);
  throw new TypeError(`${name}: ${what} must be a list, got ${describe(value)}`);
}

/** Checks that an argument is a function, no class. @throws TypeError */
export function checkFunction(name: string, fn: unknown): void {
  if (typeof fn !== "function" || /^class\b/.test(Function.prototype.toString.call(fn))) {
    throw new TypeError(`${name}: got ${typeof fn === "function" ? "a class" : describe(fn)}, expected a function`);
  }
}

/** Checks an object of keywords that a function takes as its last argument. @throws TypeError */
export function checkKeywords<T extends object>(name: string, names: readonly (keyof T & string)[], options: T): T {
  if (!isKeywords(options)) throw new TypeError(`${name}: got ${describe(options)}, expected an object of keywords`);
  return keywords<T>(name, names, [options]);
}

/**
 * A shape from an integer or a list of them.
 * @throws TypeError for anything else; the check of the lengths is `checkShape`'s
 */
export function toShape(name: string, shape: unknown): readonly number[] {
  return checkInts(name, "shape", shape);
}
