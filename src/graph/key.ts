/**
 * Keys: the structure of a graph as a row of numbers, under which what is known of it is kept.
 * @module
 */
import { dtypeNames } from "../base/dtype.ts";

/** Numbers below zero stand for what is no count. */
export const marks = {
  input: -1,
  object: -2,
  list: -3,
  text: -4,
  nothing: -5,
  yes: -6,
  no: -7,
  float: -8,
  copy: -9,
  /** This one and those below it, one for each dtype. */
  leaf: -10,
} as const;

/** How many dtypes there are: a primitive's number times this, and the code of a dtype, is the number of both. */
export const DTYPES: number = dtypeNames.length;

const textIds = new Map<string, number>();

function intern(text: string): number {
  let id = textIds.get(text);
  if (id === undefined) {
    id = textIds.size;
    textIds.set(text, id);
  }
  return id;
}

/** A row of numbers that is written and then looked up. */
export class Key {
  /** The key: `code[0 .. length)`. */
  code: Float64Array = new Float64Array(256);
  length = 0;
  hash = 0;
  /** Whether parameters were data and nothing else: functions and objects of a class are not told apart. */
  plain = true;

  /** Begins anew. */
  reset(): void {
    this.length = 0;
    this.hash = 0;
    this.plain = true;
  }

  /** Whether the key equals another one. */
  matches(code: Float64Array): boolean {
    const { length } = this;
    if (code.length !== length) return false;
    for (let i = 0; i < length; i++) if (code[i] !== this.code[i]) return false;
    return true;
  }

  push(value: number): void {
    if (this.length === this.code.length) this.#grow();
    this.code[this.length++] = value;
    this.hash = (Math.imul(this.hash, 0x01000193) ^ (value | 0)) | 0;
  }

  #grow(): void {
    const code = new Float64Array(this.length * 2);
    code.set(this.code);
    this.code = code;
  }

  /** A list of numbers of any length. */
  numbers(list: readonly number[]): void {
    this.push(list.length);
    for (let i = 0; i < list.length; i++) this.push(list[i]!);
  }

  /** Parameters of a primitive. */
  value(value: unknown): void {
    if (typeof value === "number") {
      if (!Number.isSafeInteger(value) || value < 0) this.push(marks.float);
      if (Number.isNaN(value) || Object.is(value, -0)) this.push(intern(Object.is(value, -0) ? "-0" : "NaN"));
      else this.push(value);
    } else if (value === null || value === undefined) this.push(marks.nothing);
    else if (typeof value === "boolean") this.push(value ? marks.yes : marks.no);
    else if (Array.isArray(value)) {
      this.push(marks.list);
      this.push(value.length);
      for (let i = 0; i < value.length; i++) this.value(value[i]);
    } else if (typeof value === "object") {
      if (Object.getPrototypeOf(value) !== Object.prototype) this.plain = false;
      this.push(marks.object);
      for (const key in value) {
        this.push(intern(key));
        this.value((value as Record<string, unknown>)[key]);
      }
      this.push(marks.object);
    } else {
      if (typeof value === "function") this.plain = false;
      this.push(marks.text);
      this.push(intern(`${typeof value} ${String(value)}`));
    }
  }
}
