/**
 * The JavaScript dialect: the engine that is always there and always right, and the oracle of the others.
 *
 * `compileJs` turns a kernel into a function of typed arrays. Indices and counters are plain numbers, also where the kernel says
 * int64; sums of float32 run in float64, and sums of float64 in a cascade of short blocks.
 * @module
 */
import { dtypes, type ScalarType, type TypedArray } from "../src/base/dtype.ts";
import { type Expr, ExprBuilder, type LoadArg } from "./expr.ts";
import { blockLayout, type Kernel, type Monoid } from "./kernel.ts";
import { castText, form, jsLiteral, jsOperation, wrap } from "./js_ops.ts";
import { type Helper, helpers } from "./preamble/js.ts";
import {
  type ArrayText,
  bare,
  type Dialect,
  Emitter,
  innerLoop,
  type Point,
  step,
  strideText,
  Writer,
} from "./render.ts";
import { type JsLowered, lowerForJs } from "./js_lower.ts";
import { scatterCombine } from "./scatter.ts";

/**
 * A compiled kernel.
 *
 * @param mem Memory of the operands that have some, then of the outputs: typed arrays of the scalar dtype (bool: Uint8Array,
 * bfloat16: the bits in a Uint16Array)
 * @param n The argument block's slots as numbers, with element offsets in place of addresses; scalars are not read from it
 * @param s The scalar arguments
 */
export type JsKernel = (mem: readonly TypedArray[], n: ArrayLike<number>, s: readonly (number | bigint)[]) => void;

export { cost } from "./cost.ts";

/** Compiles a kernel to JavaScript. */
export function compileJs(kernel: Kernel): JsKernel {
  const make = new Function("h", renderJs(kernel)) as (h: typeof helpers) => JsKernel;
  return make(helpers);
}

/** The text of a kernel: the body of a function that is given the helpers and returns the kernel. */
export function renderJs(kernel: Kernel): string {
  const text = new JsText(lowerForJs(kernel)).render();
  const called = new Set(Array.from(text.matchAll(/(?<![.\w])(\w+)\(/g), (call) => call[1]));
  const used = (Object.keys(helpers) as Helper[]).filter((name) => called.has(name));
  const names = used.length > 0 ? `const { ${used.join(", ")} } = h;\n` : "";
  return `"use strict";\n${names}${text}`;
}

/** Elements a block of a cascaded sum adds in a row. */
const block = 16;

class JsText implements Dialect {
  readonly #k: Kernel;
  readonly #cascade: boolean;
  readonly #out = new Writer();
  readonly #emit: Emitter;
  readonly #operands: readonly ArrayText[];
  readonly #outputs: readonly ArrayText[];
  readonly #inner: number;
  /** Operands whose words are read as pairs of int32: 64-bit integers wanted as numbers. */
  readonly #words = new Set<number>();

  constructor({ kernel: k, cascade }: JsLowered) {
    this.#k = k;
    this.#cascade = cascade;
    this.#emit = new Emitter(this, this.#out);
    this.#inner = innerLoop(k);
    const slots = blockLayout(k);
    this.#operands = k.operands.map((o, i) => ({ name: `x${i}`, ...o, ...slots.operands[i]! }));
    this.#outputs = k.outputs.map((o, i) => ({ name: `y${i}`, ...o, ...slots.outputs[i]! }));
  }

  render(): string {
    const k = this.#k;
    this.#out.line(`// ${k.comment.replace(/\s+/g, " ")}`);
    // Made once: it takes longer than a short row.
    if (this.#cascade) k.reduction!.dtypes.forEach((_, j) => this.#out.line(`const stack${j} = new Float64Array(64);`));
    this.#out.open("return function kernel(mem, n, s) {");
    this.#prologue();
    if (k.kind === "map") this.#map();
    else if (k.kind === "reduce") this.#reduce();
    else if (k.kind === "scan") this.#scan();
    else this.#scatter();
    this.#out.close("};");
    return this.#out.toString();
  }

  // Leaves and operations

  leaf(e: Expr, point: Point, text: (e: Expr) => string): string | null {
    switch (e.op) {
      case "const":
        return jsLiteral(e.dtype, e.arg as number | bigint | boolean);
      case "scalar":
        return `s${Number(e.arg)}`;
      case "iota": {
        const at = point.operand(Number(e.arg));
        return form(e.dtype) === "big" ? wrap(e.dtype, `BigInt(${at})`) : castText("float64", e.dtype, `(${at})`);
      }
      case "acc":
        return point.acc![Number(e.arg)]!;
      case "val":
        return point.val![Number(e.arg)]!;
      case "load":
      case "gather":
        return this.#load(e, point, text);
      case "cast": {
        // A 64-bit integer in memory that is wanted as a number is read as two words: no bigint is made.
        const x = e.src[0]!;
        if (e.dtype !== "float64" || form(x.dtype) !== "big" || (x.op !== "load" && x.op !== "gather")) return null;
        const at = `2 * (${this.#index(x, point, text)})`;
        const words = `w${(x.arg as LoadArg).operand}`;
        const high = x.dtype === "uint64" ? `(${words}[${at} + 1] >>> 0)` : `${words}[${at} + 1]`;
        return `(${high} * 4294967296 + (${words}[${at}] >>> 0))`;
      }
      default:
        return null;
    }
  }

  operation(e: Expr, src: readonly string[]): string {
    return jsOperation(e, src);
  }

  declare(_: ScalarType, name: string, value: string): string {
    return `const ${name} = ${value};`;
  }

  #load(e: Expr, point: Point, text: (e: Expr) => string): string {
    const at = `x${(e.arg as LoadArg).operand}[${this.#index(e, point, text)}]`;
    return e.dtype === "bool" ? `(${at} !== 0)` : e.dtype === "bfloat16" ? `bf16value(${at})` : at;
  }

  /** The index, in scalars, that a load or gather reads. */
  #index(e: Expr, point: Point, text: (e: Expr) => string): string {
    const { operand, component } = e.arg as LoadArg;
    let at = point.operand(operand);
    e.src.forEach((s, j) => at += ` + ${text(s)} * x${operand}g${j}`);
    return component ? `${at} + 1` : at;
  }

  #store(dtype: ScalarType, at: string, from: ScalarType, value: string): void {
    const v = castText(from, dtype, value);
    this.#out.line(`${at} = ${dtype === "bool" ? `${v} ? 1 : 0` : dtype === "bfloat16" ? `bf16bits(${v})` : bare(v)};`);
  }

  // Loops

  /** Arrays, sizes, strides and scalars as local names. */
  #prologue(): void {
    const k = this.#k, out = this.#out;
    const int = k.wide ? "" : " | 0";
    const all = [...k.body, ...k.index, ...(k.epilogue ?? [])];
    const seen = new Set<Expr>();
    const visit = (e: Expr): void => {
      if (seen.has(e)) return;
      seen.add(e);
      const x = e.src[0];
      if (
        e.op === "cast" && e.dtype === "float64" && form(x!.dtype) === "big" && (x!.op === "load" || x!.op === "gather")
      ) {
        this.#words.add((x!.arg as LoadArg).operand);
      }
      e.src.forEach(visit);
    };
    all.forEach(visit);
    let m = 0;
    for (let i = 0; i < k.rank; i++) out.line(`const n${i} = n[${i}]${int};`);
    for (const [i, a] of this.#operands.entries()) {
      const o = k.operands[i]!;
      if (!o.virtual) {
        out.line(`const ${a.name} = mem[${m++}];`);
        if (this.#words.has(i)) {
          out.line(`const w${i} = new Int32Array(${a.name}.buffer, ${a.name}.byteOffset, 2 * ${a.name}.length);`);
        }
      }
      this.#numbers(a, o.virtual ? 1 : a.components, o.gathered, "g", int);
    }
    for (const a of this.#outputs) {
      out.line(`const ${a.name} = mem[${m++}];`);
      this.#numbers(a, a.components, k.index.length, "g", int);
    }
    k.scalars.forEach((dtype, i) => out.line(`const s${i} = ${scalarText(dtype, `s[${i}]`)};`));
  }

  #numbers(a: ArrayText, components: number, extra: number, extraName: string, int: string): void {
    const times = components === 2 ? " * 2" : "";
    const k = this.#k;
    this.#out.line(`const ${a.name}o0 = n[${a.address}]${times}${int};`);
    for (let i = 0; i < k.rank + extra; i++) {
      if (i < k.rank && /^\d/.test(strideText(a, i, this.#inner))) continue;
      const name = i < k.rank ? `s${i}` : `${extraName}${i - k.rank}`;
      this.#out.line(`const ${a.name}${name} = n[${a.strides + i}]${times}${int};`);
    }
  }

  #arrays(): readonly ArrayText[] {
    return [...this.#operands, ...this.#outputs];
  }

  /** Opens the loops `from` to `to`; each gives every array that moves its offset. */
  #open(from: number, to: number, arrays: readonly ArrayText[]): void {
    for (let i = from; i < to; i++) {
      this.#out.open(`for (let i${i} = 0; i${i} < n${i}; i${i}++) {`);
      for (const a of arrays) {
        const at = step(`${a.name}o${i}`, `i${i}`, strideText(a, i, this.#inner));
        this.#out.line(`const ${a.name}o${i + 1} = ${at};`);
      }
    }
  }

  #close(from: number, to: number): void {
    for (let i = from; i < to; i++) this.#out.close();
  }

  /** The point inside the loop `last`, whose variable is `i`, with all loops before it open. */
  #point(last: number, i: string, names: { acc?: readonly string[]; val?: readonly string[] } = {}): Point {
    return { operand: (o) => this.#at(this.#operands[o]!, last, i), ...names };
  }

  #at(a: ArrayText, last: number, i: string): string {
    return last < 0 ? `${a.name}o0` : step(`${a.name}o${last}`, i, strideText(a, last, this.#inner));
  }

  /** The point with `depth` loops open and none under way. */
  #outer(depth: number, names: { acc?: readonly string[]; val?: readonly string[] } = {}): Point {
    return { operand: (o) => `${this.#operands[o]!.name}o${depth}`, ...names };
  }

  /** Names what does not change in loop `last`, which is about to open. */
  #hoist(roots: readonly Expr[], last: number): Map<Expr, string> {
    const known = new Map<Expr, string>();
    const fixed = (e: Expr): boolean => {
      if (e.op === "const" || e.op === "scalar") return true;
      if (e.op === "acc" || e.op === "val") return false;
      const o = this.#operands[e.op === "iota" ? Number(e.arg) : (e.arg as LoadArg).operand]!;
      return strideText(o, last, this.#inner) === "0" && (e.src.length === 0 || e.op === "gather");
    };
    this.#emit.hoist(roots, this.#outer(last), fixed, known);
    return known;
  }

  /** Stores values, in order of outputs and components, at their indices. */
  #storeAll(exprs: readonly Expr[], texts: readonly string[], at: (a: ArrayText) => string): void {
    let v = 0;
    this.#k.outputs.forEach((o, j) => {
      for (let c = 0; c < o.components; c++, v++) {
        const a = this.#outputs[j]!;
        this.#store(o.dtype, `${a.name}[${at(a)}${c ? " + 1" : ""}]`, exprs[v]!.dtype, texts[v]!);
      }
    });
  }

  #map(): void {
    const k = this.#k, last = k.rank - 1, out = this.#out;
    this.#open(0, last, this.#arrays());
    const known = this.#hoist(k.body, last);
    out.open(`for (let i = 0; i < n${last}; i++) {`);
    const texts = this.#emit.emit(k.body, this.#point(last, "i"), new Map(known));
    this.#storeAll(k.body, texts, (a) => this.#at(a, last, "i"));
    out.close();
    this.#close(0, last);
  }

  /** `let a0 = init` for every running value. */
  #start(m: Monoid, prefix: string): string[] {
    return m.dtypes.map((dtype, j) => {
      this.#out.line(`let ${prefix}${j} = ${bare(jsLiteral(dtype, m.init[j]!))};`);
      return `${prefix}${j}`;
    });
  }

  /** `acc = combine(acc, val)`. */
  #combine(m: Monoid, acc: readonly string[], val: readonly string[]): void {
    const point: Point = { operand: () => "", acc, val };
    const texts = this.#emit.emit(m.combine, point);
    if (texts.length === 1) return this.#out.line(`${acc[0]} = ${bare(texts[0]!)};`);
    // All are read before any is written.
    const names = texts.map((t, j) => {
      const name = this.#emit.name("u");
      this.#out.line(this.declare(m.dtypes[j]!, name, bare(t)));
      return name;
    });
    this.#out.line(names.map((t, j) => `${acc[j]} = ${t}`).join(", ") + ";");
  }

  /** Names every value that `combine` would repeat. */
  #values(texts: readonly string[]): string[] {
    return texts.map((t) => {
      if (/^[\w.$]+$/.test(t)) return t;
      const name = this.#emit.name("v");
      this.#out.line(`const ${name} = ${bare(t)};`);
      return name;
    });
  }

  #reduce(): void {
    const k = this.#k, m = k.reduction!, out = this.#out;
    const kept = k.rank - k.reduced, last = k.rank - 1;
    const cascade = this.#cascade;
    this.#open(0, kept, this.#arrays());
    const acc = this.#start(m, "a");
    if (cascade) out.line(`let pushed = 0, top = 0;`);
    this.#open(kept, last, this.#operands);
    const known = this.#hoist(k.body, last);
    const feed = (into: readonly string[]) => {
      const texts = this.#emit.emit(k.body, this.#point(last, "i"), new Map(known));
      this.#combine(m, into, this.#values(texts));
    };
    if (cascade) {
      // Short blocks, and a carry chain over their sums: the error grows with the logarithm of the length.
      out.open(`for (let i = 0; i < n${last};) {`);
      out.line(`const end = Math.min(n${last}, i + ${block});`);
      const b = this.#start(m, "b");
      out.open(`for (; i < end; i++) {`);
      feed(b);
      out.close();
      out.open(`for (let c = pushed++; c & 1; c = c >>> 1) {`);
      out.line(`top--;`);
      b.forEach((name, j) => out.line(`${name} += stack${j}[top];`));
      out.close();
      b.forEach((name, j) => out.line(`stack${j}[top] = ${name};`));
      out.line(`top++;`);
      out.close();
    } else {
      out.open(`for (let i = 0; i < n${last}; i++) {`);
      feed(acc);
      out.close();
    }
    this.#close(kept, last);
    if (cascade) {
      out.open(`while (top > 0) {`);
      out.line(`top--;`);
      acc.forEach((name, j) => out.line(`${name} += stack${j}[top];`));
      out.close();
    }
    const result = k.epilogue!;
    const texts = this.#emit.emit(result, this.#outer(kept, { acc }));
    this.#storeAll(result, texts, (a) => `${a.name}o${kept}`);
    this.#close(0, kept);
  }

  #scan(): void {
    const k = this.#k, m = k.reduction!, last = k.rank - 1, out = this.#out;
    this.#open(0, last, this.#arrays());
    const acc = this.#start(m, "a");
    const known = this.#hoist(k.body, last);
    out.open(`for (let i = 0; i < n${last}; i++) {`);
    const texts = this.#emit.emit(k.body, this.#point(last, "i"), new Map(known));
    this.#combine(m, acc, this.#values(texts));
    const result = this.#emit.emit(k.epilogue!, this.#point(last, "i", { acc }));
    this.#storeAll(k.epilogue!, result, (a) => this.#at(a, last, "i"));
    out.close();
    this.#close(0, last);
  }

  #scatter(): void {
    const k = this.#k, last = k.rank - 1, out = this.#out, y = this.#outputs[0]!, o = k.outputs[0]!;
    this.#open(0, last, this.#arrays());
    const known = this.#hoist([...k.index, ...k.body], last);
    out.open(`for (let i = 0; i < n${last}; i++) {`);
    const texts = this.#emit.emit([...k.index, ...k.body], this.#point(last, "i"), new Map(known));
    const at = this.#emit.name("at");
    out.line(
      `const ${at} = ${[this.#at(y, last, "i"), ...k.index.map((_, j) => `${texts[j]} * y0g${j}`)].join(" + ")};`,
    );
    const values = this.#values(texts.slice(k.index.length));
    const b = new ExprBuilder();
    const exprs = scatterCombine(b, k.mode!, k.body.map((e) => e.dtype));
    const old = k.mode === "set" ? [] : this.#values(
      k.body.map((e, c) => this.#memory(e.dtype, `y0[${at}${c ? " + 1" : ""}]`)),
    );
    const results = this.#emit.emit(exprs, { operand: () => "", acc: old, val: values });
    results.forEach((t, c) => this.#store(o.dtype, `y0[${at}${c ? " + 1" : ""}]`, exprs[c]!.dtype, t));
    out.close();
    this.#close(0, last);
  }

  #memory(dtype: ScalarType, at: string): string {
    return dtype === "bool" ? `(${at} !== 0)` : dtype === "bfloat16" ? `bf16value(${at})` : at;
  }
}

/** A scalar argument as its dtype holds it. */
function scalarText(dtype: ScalarType, at: string): string {
  switch (form(dtype)) {
    case "bool":
      return `!!${at}`;
    case "big":
      return wrap(dtype, `BigInt(${at})`);
    default:
      return bare(
        dtypes[dtype].kind === "f" ? castText("float64", dtype, `Number(${at})`) : wrap(dtype, `Number(${at})`),
      );
  }
}
