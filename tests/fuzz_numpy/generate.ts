/**
 * Random calls of public functions, written as fuzz.ts sends them to NumPy.
 * @module
 */
import { type DType, dtypeInfo, dtypeNames, typedArrays } from "../../src/base/dtype.ts";
import { toBfloat16 } from "../../src/base/elements.ts";
import { finfo, iinfo } from "../../src/base/limits.ts";
import type { NDArray } from "../../mod.ts";

/** An argument as JSON says it. */
export type Arg =
  | null
  | boolean
  | number
  | string
  | readonly Arg[]
  | { readonly $: number }
  | { readonly num: string }
  | { readonly re: number; readonly im: number };

/** An input array: dtype, shape, bytes. */
export interface ArrayStep {
  readonly d: DType;
  readonly s: readonly number[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A call. */
export interface CallStep {
  readonly f: string;
  readonly a: readonly Arg[];
  readonly k: Readonly<Record<string, Arg>>;
}

/** Random numbers with a seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  }

  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * n);
  }

  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  chance(p: number): boolean {
    return this.below(1000) < p * 1000;
  }
}

/** What calls are made from: arrays so far, and the means to make new ones. */
export interface World {
  readonly r: Random;
  /** Arrays by step, with values that are exactly NumPy's. */
  readonly arrays: readonly { readonly id: number; readonly x: NDArray }[];
  /** Adds an input array. */
  input(dtype: DType, shape: readonly number[], special: boolean): { id: number; x: NDArray };
}

const weighted: readonly DType[] = [...dtypeNames, "int32", "int64", "float32", "float64", "float64", "bool"];

/** Random elements of a dtype: small, exact in sums and products; some special ones if asked for. */
export function elements(r: Random, dtype: DType, size: number, special: boolean): Uint8Array<ArrayBuffer> {
  const { kind, components, itemsize } = dtypeInfo(dtype);
  const type = typedArrays[dtype];
  const length = size * components;
  const values = new type(new ArrayBuffer(size * itemsize), 0, length);
  for (let i = 0; i < length; i++) {
    let v: number | bigint = kind === "b" ? r.below(2) : kind === "u" ? r.below(10) : r.between(-9, 9);
    if (kind === "f" || kind === "c") v = r.between(-24, 24) / 8;
    if (special && r.chance(0.25)) {
      if (kind === "f") {
        const { max, tiny, eps } = finfo(dtype);
        v = r.pick([0, -0, NaN, Infinity, -Infinity, max, -max, tiny, eps, 0.1, 1e-3, 100.25, -0.5, 2.5]);
      } else if (kind === "c") v = r.pick([0, 1, -1, 0.1, 10]);
      else if (kind !== "b") {
        const { min, max } = iinfo(dtype);
        v = r.pick([min, max, BigInt(max) - 1n, 0, 1, 100]);
      }
    }
    if (dtype === "bfloat16") values[i] = toBfloat16(Number(v)) as never;
    else values[i] = (typeof values[0] === "bigint" ? BigInt(v) : Number(v)) as never;
  }
  return new Uint8Array(values.buffer as ArrayBuffer);
}

const lengths = [1, 2, 3, 4, 2, 3, 3, 0, 5];

export function randomShape(r: Random, most = 4): number[] {
  return Array.from({ length: r.pick([0, 1, 1, 2, 2, 3, most]) }, () => r.pick(lengths));
}

/** A shape that mostly broadcasts with another. */
function near(r: Random, shape: readonly number[]): number[] {
  if (r.chance(0.05)) return randomShape(r);
  const tail = shape.slice(r.chance(0.3) ? r.below(shape.length + 1) : 0).map((n) => r.chance(0.2) ? 1 : n);
  return r.chance(0.1) ? [r.pick(lengths), ...tail] : tail;
}

/** Makes the arguments of calls. */
export class Maker {
  readonly world: World;
  readonly r: Random;
  special = false;
  /** The array the call is about. */
  shape: readonly number[] = [];
  dtype: DType = "float64";

  constructor(world: World) {
    this.world = world;
    this.r = world.r;
  }

  #use({ id, x }: { id: number; x: NDArray }): { $: number } {
    this.shape = x.shape;
    this.dtype = x.dtype;
    return { $: id };
  }

  /** An array there is, or a new one; of some kinds of dtype only. */
  array(kinds = "biufc", dims?: readonly [number, number]): { $: number } {
    const { r } = this;
    const fits = this.world.arrays.filter(({ x }) =>
      kinds.includes(dtypeInfo(x.dtype).kind) && (dims === undefined || (x.ndim >= dims[0] && x.ndim <= dims[1]))
    );
    if (fits.length > 0 && r.chance(0.7)) return this.#use(r.pick(fits));
    let shape = randomShape(r);
    if (dims !== undefined) shape = Array.from({ length: r.between(dims[0], dims[1]) }, () => r.pick(lengths));
    const types = weighted.filter((t) => kinds.includes(dtypeInfo(t).kind));
    return this.fresh(r.pick(types), shape);
  }

  /** A new array. */
  fresh(dtype: DType, shape: readonly number[]): { $: number } {
    return this.#use(this.world.input(dtype, shape, this.special));
  }

  /** A second operand: an array that mostly broadcasts, a plain number, a list. */
  other(kinds = "biufc"): Arg {
    const { r, shape, dtype } = this;
    const roll = r.below(10);
    let out: Arg;
    if (roll < 2) out = this.scalar();
    else if (roll === 2 && shape.length > 0) {
      out = Array.from({ length: shape.at(-1)! }, () => r.chance(0.5) ? r.between(0, 5) : r.between(1, 9) + 0.5);
    } else if (roll === 3) out = this.array(kinds);
    else {
      const types = weighted.filter((t) => kinds.includes(dtypeInfo(t).kind));
      out = this.fresh(r.chance(0.5) ? dtype : r.pick(types), near(r, shape));
    }
    [this.shape, this.dtype] = [shape, dtype];
    return out;
  }

  scalar(): Arg {
    const { r } = this;
    return r.pick<Arg>([0, 1, 2, -1, 3, 1.5, -0.5, true, false, { re: 1.5, im: -0.5 }, 100, 300, { num: "nan" }]);
  }

  axis(bad = 0.04): number {
    const n = this.shape.length;
    return this.r.chance(bad) ? this.r.pick([n, -n - 1, n + 3]) : n === 0 ? 0 : this.r.between(-n, n - 1);
  }

  axes(): Arg {
    const { r } = this;
    const n = this.shape.length;
    if (n === 0 || r.chance(0.5)) return this.axis();
    const order = Array.from({ length: n }, (_, i) => i).sort(() => r.below(3) - 1);
    const some = order.slice(0, r.below(n + 1)).map((i) => r.chance(0.3) ? i - n : i);
    return r.chance(0.04) && some.length > 0 ? [...some, some[0]!] : some;
  }

  /** Keywords of which each is given sometimes. */
  some(all: Readonly<Record<string, () => Arg>>, p = 0.4): Record<string, Arg> {
    const out: Record<string, Arg> = {};
    for (const [key, make] of Object.entries(all)) if (this.r.chance(p)) out[key] = make();
    return out;
  }

  type(kinds = "biufc"): DType {
    return this.r.pick(dtypeNames.filter((t) => kinds.includes(dtypeInfo(t).kind)));
  }

  /** Another shape of as many elements. */
  reshaped(): Arg {
    const { r, shape } = this;
    let rest = shape.reduce((a, b) => a * b, 1);
    const out: number[] = [];
    while (rest > 1 && r.chance(0.7)) {
      const d = r.pick([1, 2, 3, 4, 5, 6].filter((k) => rest % k === 0));
      out.push(d);
      rest /= d;
    }
    out.splice(r.below(out.length + 1), 0, r.chance(0.3) ? -1 : rest);
    return r.chance(0.04) ? [...out, 2] : out;
  }

  slice(length: number): string {
    const { r } = this;
    const end = () => r.chance(0.4) ? "" : String(r.between(-length - 2, length + 2));
    return `${end()}:${end()}${r.pick(["", ":", ":1", ":2", ":-1", ":-2", ":3", ":-3"])}`;
  }

  /** An index of a shape. */
  index(): Arg[] {
    const { r, shape } = this;
    const parts: Arg[] = [];
    const common = r.pick([[], [2], [3], [2, 3], [1, 3], [0]]);
    let dots = false;
    for (let axis = 0; axis < shape.length && !r.chance(0.1);) {
      const length = shape[axis]!;
      const roll = r.below(20);
      if (roll < 2) {
        parts.push(null);
        continue;
      }
      if (roll < 4 && !dots) {
        parts.push("...");
        dots = true;
        axis += r.below(shape.length - axis + 1);
        continue;
      }
      if (roll < 10) parts.push(this.slice(length));
      else if (roll < 13) parts.push(length === 0 || r.chance(0.03) ? length : r.between(-length, length - 1));
      else if (roll < 15) parts.push(Array.from({ length }, () => r.chance(0.5)));
      else if (roll < 16 && axis + 1 < shape.length) {
        parts.push(Array.from({ length }, () => Array.from({ length: shape[axis + 1]! }, () => r.chance(0.5))));
        axis++;
      } else parts.push(length === 0 ? [] : this.positions(common, length));
      axis++;
    }
    if (r.chance(0.04)) parts.push(r.pick<Arg>([0, ":", null, true, false]));
    return parts;
  }

  positions(shape: readonly number[], length: number): Arg {
    if (shape.length === 0) return this.r.between(-length, length - 1);
    return Array.from({ length: shape[0]! }, () => this.positions(shape.slice(1), length));
  }
}
