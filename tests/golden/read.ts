/**
 * Reads the golden set: records of calls to real NumPy, written by make_golden.py.
 * @module
 */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { type DType, isDType } from "../../src/base/dtype.ts";

/** An array: dtype, shape, and bytes in C order. */
export interface GoldenArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** An argument as written. */
export type Written =
  | null
  | boolean
  | number
  | string
  | readonly Written[]
  | { readonly $: string }
  | { readonly re: number; readonly im: number }
  | { readonly big: string }
  | { readonly num: string };

/** A result as written. */
export type WrittenOut =
  | { readonly d: string; readonly s: readonly number[]; readonly b: string }
  | { readonly v: unknown }
  | readonly WrittenOut[];

/** A call: function, arguments, keywords, and its result or the error NumPy raises. */
export interface GoldenRecord {
  readonly f: string;
  readonly a: readonly Written[];
  readonly k?: Readonly<Record<string, Written>>;
  readonly o?: WrittenOut;
  readonly e?: string;
}

/** An input: an array, or a view of another. */
export type Input = GoldenArray | { readonly of: string; readonly at: "T" | string[] };

const here = new URL("./", import.meta.url);

/** The lines of a file of this folder. */
export function readLines(file: string): string[] {
  return readFileSync(new URL(file, here), "utf8").trimEnd().split("\n");
}

/** The records of a part, such as "unary". */
export function readPart(part: string): GoldenRecord[] {
  return readLines(`${part}.jsonl`).map((line) => JSON.parse(line) as GoldenRecord);
}

/** A JSON file of this folder. */
export function readJson(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, here), "utf8"));
}

/** An array from its written form. */
export function decode(written: { readonly d: string; readonly s: readonly number[]; readonly b: string }): GoldenArray {
  if (!isDType(written.d)) throw new TypeError(`golden: no dtype ${written.d}`);
  return { dtype: written.d, shape: written.s, bytes: new Uint8Array(Buffer.from(written.b, "base64")) };
}

/** All inputs by name. */
export function readInputs(): Map<string, Input> {
  const written = readJson("inputs.json") as Record<string, Parameters<typeof decode>[0] | { of: string; at: "T" | string[] }>;
  return new Map(Object.entries(written).map(([name, input]) => [name, "of" in input ? input : decode(input)]));
}
