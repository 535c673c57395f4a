/**
 * The CUDA dialect: what the texts of all kinds of kernels share.
 *
 * A kernel takes one struct by value. It has the slots of `blockLayout`, then the numbers of its variant (`CudaSource.extras`): counts,
 * divisors as a multiplier and a shift, addresses of workspaces. Index arithmetic has 32 bits unless the kernel is wide.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import { cCast, cLiteral, cMemory, cOperation, cType, cWrap } from "./c_ops.ts";
import { isLong, nativeWeight } from "./cost.ts";
import type { Expr, LoadArg } from "./expr.ts";
import { accExprs } from "./monoid.ts";
import { blockLayout, type Kernel, type Monoid } from "./kernel.ts";
import { cudaPreamble, cudaTypes } from "./preamble/cuda.ts";
import { type ArrayText, bare, type Dialect, Emitter, innerLoop, type Point, strideText, Writer } from "./render.ts";
import { simplify } from "./simplify.ts";

/** Threads of a block. */
export const BLOCK = 256;

/** A CUDA source with one kernel, `tnp_kernel`. */
export interface CudaSource {
  readonly text: string;
  /** Names of the slots after those of `blockLayout`: `count`, `div1`, … */
  readonly extras: readonly string[];
  /** Whether the kernel takes the address of its arguments: they are too many to be passed by value. */
  readonly indirect?: boolean;
}

/** Slots that every driver passes by value: 4096 bytes, less some. */
const BY_VALUE = 500;

/** Where a group of loops is, and what the arrays' offsets are called there. */
export interface Names {
  readonly operand: (k: number) => string;
  readonly output: (k: number) => string;
}

/** The kernel with its expressions simplified; reductions and scans always have an epilogue. */
export function prepare(kernel: Kernel): Kernel {
  const m = kernel.reduction;
  const epilogue = kernel.epilogue ?? (m === null ? [] : accExprs(m));
  const combine = m?.combine ?? [];
  const roots = simplify([...kernel.body, ...kernel.index, ...epilogue, ...combine]);
  let at = 0;
  const take = (n: number) => roots.slice(at, at += n);
  return {
    ...kernel,
    body: take(kernel.body.length),
    index: take(kernel.index.length),
    epilogue: m === null ? null : take(epilogue.length),
    reduction: m === null ? null : { ...m, combine: take(combine.length) },
  };
}

/** Weight from which on arithmetic, not memory, is what a kernel waits for. */
export const HEAVY = 40;

/**
 * Blocks of a multiprocessor at once that the compiler must allow for: with 4 it may take 64 registers for a thread, with 2 it may take
 * 128 where there is more to keep, as in scans. Left to itself it keeps to fewer and puts values into memory.
 */
function blocksEach(k: Kernel): number {
  const arrays = k.operands.length + k.outputs.length;
  if (arrays > 16) return 1;
  return arrays > 7 || k.kind === "scan" || nativeWeight(k) > HEAVY || hasLongFloat64(k) ? 2 : 4;
}

/** Whether a kernel divides float64 numbers or calls functions of them: those need 64 registers alone. */
function hasLongFloat64(k: Kernel): boolean {
  const seen = new Set<Expr>();
  const visit = (e: Expr): boolean => {
    if (seen.has(e)) return false;
    seen.add(e);
    return e.dtype === "float64" && isLong(e.op) || e.src.some(visit);
  };
  return [...k.body, ...k.index, ...k.epilogue ?? [], ...k.reduction?.combine ?? []].some(visit);
}

/** Operands that expressions look at. */
export function operandsOf(roots: readonly Expr[]): ReadonlySet<number> {
  const found = new Set<number>(), seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.op === "iota") found.add(Number(e.arg));
    else if (typeof e.arg === "object" && e.arg !== null) found.add(e.arg.operand);
    e.src.forEach(visit);
  };
  roots.forEach(visit);
  return found;
}

/** Integers from one number up to another. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, j) => from + j);
}

/** Writes the text of one kernel. */
export class CudaText implements Dialect {
  readonly k: Kernel;
  readonly out: Writer = new Writer();
  readonly emitter: Emitter;
  readonly operands: readonly ArrayText[];
  readonly outputs: readonly ArrayText[];
  readonly inner: number;
  readonly wide: boolean;
  readonly extras: string[] = [];
  /** Declarations of the struct's variant fields. */
  readonly #fields: string[] = [];
  /** Where loads were already made: the text of a component of an operand. */
  #loaded: ((operand: number, component: number) => string | null) | null = null;

  constructor(kernel: Kernel, wide: boolean) {
    this.k = prepare(kernel);
    this.wide = wide;
    this.emitter = new Emitter(this, this.out);
    this.inner = innerLoop(kernel);
    const slots = blockLayout(kernel);
    this.operands = kernel.operands.map((o, i) => ({ name: `x${i}`, ...o, ...slots.operands[i]! }));
    this.outputs = kernel.outputs.map((o, i) => ({ name: `y${i}`, ...o, ...slots.outputs[i]! }));
  }

  /** The number of loops that are not reduced. */
  get kept(): number {
    return this.k.rank - this.k.reduced;
  }

  // Leaves and operations

  leaf(e: Expr, point: Point, text: (e: Expr) => string): string | null {
    switch (e.op) {
      case "const":
        return cLiteral(e.dtype, e.arg as number | bigint | boolean);
      case "scalar":
        return `s${Number(e.arg)}`;
      case "iota": {
        const k = Number(e.arg);
        return cCast("int64", e.dtype, `(i64)(a.x${k} + (${point.operand(k)}))`);
      }
      case "acc":
        return point.acc![Number(e.arg)]!;
      case "val":
        return point.val![Number(e.arg)]!;
      case "load":
      case "gather": {
        const { operand, component } = e.arg as LoadArg;
        const loaded = this.#loaded?.(operand, component) ?? null;
        if (loaded !== null) return this.value(e.dtype, loaded);
        const at = [point.operand(operand), ...e.src.map((s, j) => `(ix)${text(s)} * x${operand}g${j}`)];
        if (component) at.push("1");
        const sum = at.filter((t) => t !== "0").join(" + ") || "0";
        return this.value(e.dtype, `a.x${operand}[${sum}]`);
      }
      default:
        return null;
    }
  }

  operation(e: Expr, src: readonly string[]): string {
    return cOperation(e, src);
  }

  declare(dtype: ScalarType, name: string, value: string): string {
    return `const ${cType(dtype)} ${name} = ${value};`;
  }

  /** Loads inside `write` come from where `text` says, unless it gives null. */
  loadedFrom(text: (operand: number, component: number) => string | null, write: () => void): void {
    this.#loaded = text;
    write();
    this.#loaded = null;
  }

  /** A value from memory. */
  value(dtype: ScalarType, at: string): string {
    switch (dtype) {
      case "bool":
        return `(${at} != 0)`;
      case "float16":
        return `f16_value(${at})`;
      case "bfloat16":
        return `bf16_value(${at})`;
      default:
        return at;
    }
  }

  /** A value as memory holds it. */
  bits(dtype: ScalarType, from: ScalarType, text: string): string {
    const v = bare(cCast(from, dtype, text));
    return dtype === "float16" ? `f16_bits(${v})` : dtype === "bfloat16" ? `bf16_bits(${v})` : v;
  }

  // Arguments

  /** Asks for a field of the struct after those of the block. */
  extra(name: string, type = "i64"): void {
    this.extras.push(name);
    this.#fields.push(`${type} ${name};`);
  }

  /** Asks for the divisors by which a linear index over loops is taken apart. */
  divisors(loops: readonly number[]): void {
    for (const d of loops.slice(1)) if (!this.extras.includes(`div${d}`)) this.divisor(`div${d}`);
  }

  /** Asks for a divisor with a name of its own. */
  divisor(name: string): void {
    this.extras.push(name);
    this.#fields.push(`u32 m${name}, h${name};`);
  }

  /** Asks for a workspace for each running value. */
  workspaces(m: Monoid): void {
    m.dtypes.forEach((d, j) => this.extra(`w${j}`, `${this.spaceType(d)} *`));
  }

  /** How a running value lies in memory. */
  spaceType(dtype: ScalarType): string {
    return dtype === "bool" ? "u8" : cType(dtype);
  }

  /** The whole source around what `write` writes into the kernel. */
  source(write: () => void): CudaSource {
    const { k, out } = this;
    const indirect = blockLayout(k).length + this.extras.length > BY_VALUE;
    const parameter = indirect ? "const Args *arguments" : "const Args a";
    out.open(`extern "C" __global__ void __launch_bounds__(${BLOCK}, ${blocksEach(k)}) tnp_kernel(${parameter}) {`);
    if (indirect) out.line("const Args &a = *arguments;");
    this.#prologue();
    write();
    out.close();
    const text = `${this.#struct()}\n${out.toString()}`;
    const title = k.comment.replace(/[^\x20-\x7e]|\*\//g, " ");
    const ix = `typedef ${this.wide ? "i64" : "i32"} ix;\n`;
    return { text: `/* ${title} */\n${cudaTypes}${ix}${cudaPreamble(text)}\n${text}`, extras: this.extras, indirect };
  }

  #struct(): string {
    const { k } = this;
    const lines = range(0, k.rank).map((i) => `i64 n${i};`);
    const array = (a: ArrayText, type: string, strides: number) => {
      lines.push(`${type}${a.name};${range(0, strides).map((i) => ` i64 ${a.name}s${i};`).join("")}`);
    };
    this.operands.forEach((a, j) => {
      const o = k.operands[j]!;
      array(a, o.virtual ? "i64 " : `const ${cMemory[o.dtype]} *`, k.rank + o.gathered);
    });
    this.outputs.forEach((a, j) => array(a, `${cMemory[k.outputs[j]!.dtype]} *`, k.rank + k.index.length));
    k.scalars.forEach((dtype, i) => lines.push(`${dtypes[dtype].kind === "f" ? "f64" : "i64"} s${i};`));
    return `struct Args {\n  ${[...lines, ...this.#fields].join("\n  ")}\n};\n`;
  }

  #prologue(): void {
    const { k, out } = this;
    for (const i of range(0, k.rank)) out.line(`const ix n${i} = (ix)a.n${i};`);
    const strides = (a: ArrayText, extra: number, virtual: boolean) => {
      const times = !virtual && a.components === 2 ? " * 2" : "";
      for (const i of range(0, k.rank + extra)) {
        if (i < k.rank && /^\d/.test(strideText(a, i, this.inner))) continue;
        const name = i < k.rank ? `s${i}` : `g${i - k.rank}`;
        out.line(`const ix ${a.name}${name} = (ix)a.${a.name}s${i}${times};`);
      }
    };
    this.operands.forEach((a, j) => strides(a, k.operands[j]!.gathered, k.operands[j]!.virtual));
    this.outputs.forEach((a) => strides(a, k.index.length, false));
    k.scalars.forEach((dtype, i) => {
      const value = dtypes[dtype].kind === "f"
        ? cCast("float64", dtype, `a.s${i}`)
        : dtype === "bool"
        ? `a.s${i} != 0`
        : cWrap(dtype, `a.s${i}`);
      out.line(this.declare(dtype, `s${i}`, value));
    });
  }

  // Indices

  /**
   * Takes a linear index apart into `i<d>` of some loops; needs `divisors` of them.
   *
   * @param grouped The loop that the index counts in groups, the last one, of so many elements; needs the divisor `group` if it is not alone
   */
  decompose(
    loops: readonly number[],
    linear: string,
    grouped?: { readonly loop: number; readonly width: number },
  ): void {
    const { out } = this;
    if (loops.length === 0) return;
    let rest = linear;
    const index = (d: number, text: string) => {
      const width = d === grouped?.loop ? grouped.width : 1;
      out.line(
        `const ix i${d} = ${width === 1 ? text : /^\w+$/.test(text) ? `${text} * ${width}` : `(${text}) * ${width}`};`,
      );
    };
    for (const d of loops.slice(1).reverse()) {
      const q = this.emitter.name("q"), whole = d === grouped?.loop && grouped.width > 1;
      const n = whole ? `n${d} / ${grouped.width}` : `n${d}`;
      out.line(`const ix ${q} = ${this.quotient(rest, n, whole ? "group" : `div${d}`)};`);
      index(d, `${rest} - ${q} * ${whole ? `(${n})` : n}`);
      rest = q;
    }
    index(loops[0]!, rest);
  }

  /** What a number that is not negative is divided by `n`, which is also the divisor of this name. */
  quotient(x: string, n: string, name: string): string {
    return this.wide ? `(ix)((u64)${x} / (u64)(${n}))` : `fast_div(${x}, a.m${name}, a.h${name})`;
  }

  /** Offset, in scalars, of an array at the indices of some loops. */
  offset(a: ArrayText, loops: readonly number[], base = "0"): string {
    const terms = base === "0" ? [] : [base];
    for (const d of loops) {
      const stride = strideText(a, d, this.inner);
      if (stride !== "0") terms.push(stride === "1" ? `i${d}` : `i${d} * ${stride}`);
    }
    return terms.join(" + ") || "0";
  }

  /** Names the offsets at some loops: `<prefix>x0`, `<prefix>y0`; adds to those of `from`. */
  places(prefix: string, loops: readonly number[], arrays: "operands" | "outputs" | "both", from?: Names): Names {
    const name = (a: ArrayText, base: string) => {
      const text = this.offset(a, loops, base);
      if (/^\w+$/.test(text)) return text;
      this.out.line(`const ix ${prefix}${a.name} = ${text};`);
      return `${prefix}${a.name}`;
    };
    const operands = arrays === "outputs" ? [] : this.operands.map((a, j) => name(a, from?.operand(j) ?? "0"));
    const outputs = arrays === "operands" ? [] : this.outputs.map((a, j) => name(a, from?.output(j) ?? "0"));
    return { operand: (j) => operands[j]!, output: (j) => outputs[j]! };
  }

  // Statements

  /** Names a value unless it is a name. */
  named(dtype: ScalarType, text: string, prefix: string): string {
    return /^[\w.]+$/.test(text) ? text : this.fresh(dtype, text, prefix);
  }

  /** Names a value. */
  fresh(dtype: ScalarType, text: string, prefix = "u"): string {
    const name = this.emitter.name(prefix);
    this.out.line(this.declare(dtype, name, bare(text)));
    return name;
  }

  /** Stores values in the outputs; all are named before the first is stored: an output may share memory with an operand. */
  store(exprs: readonly Expr[], texts: readonly string[], at: (k: number) => string): void {
    const settled = texts.length === 1 ? texts : texts.map((t, j) => this.named(exprs[j]!.dtype, t, "r"));
    let v = 0;
    this.k.outputs.forEach((o, j) => {
      const bits = range(v, v += o.components).map((i) => this.bits(o.dtype, exprs[i]!.dtype, settled[i]!));
      if (bits.length === 1) this.out.line(`a.y${j}[${at(j)}] = ${bits[0]};`);
      else this.out.line(`store_pair(a.y${j} + (${at(j)}), ${bits.join(", ")});`);
    });
  }

  /** Variables with the neutral elements. */
  init(m: Monoid, prefix: string): string[] {
    return m.dtypes.map((d, j) => {
      this.out.line(`${cType(d)} ${prefix}${j} = ${this.neutral(m, j)};`);
      return `${prefix}${j}`;
    });
  }

  /** `acc = combine(acc, val)`; both are names. */
  combine(m: Monoid, acc: readonly string[], val: readonly string[]): void {
    const texts = this.emitter.emit(m.combine, { operand: () => "", acc, val });
    if (texts.length === 1) return this.out.line(`${acc[0]} = ${bare(texts[0]!)};`);
    const names = texts.map((t, j) => this.fresh(m.dtypes[j]!, t));
    names.forEach((t, j) => this.out.line(`${acc[j]} = ${t};`));
  }

  /** The neutral element of a running value. */
  neutral(m: Monoid, i: number): string {
    return bare(cLiteral(m.dtypes[i]!, m.init[i]!));
  }

  /** The body's values at a point, as the running values take them in. */
  bodyValues(m: Monoid, point: Point): string[] {
    const { body } = this.k;
    return this.emitter.emit(body, point).map((t, j) => cCast(body[j]!.dtype, m.dtypes[j]!, t));
  }

  /** Feeds the body's values at a point to the running values. */
  feed(m: Monoid, point: Point, into: readonly string[]): void {
    this.combine(m, into, this.bodyValues(m, point).map((t, j) => this.fresh(m.dtypes[j]!, t, "v")));
  }

  /** Stores the epilogue of running values. */
  finish(acc: readonly string[], at: Names): void {
    const epilogue = this.k.epilogue!;
    this.store(epilogue, this.emitter.emit(epilogue, { operand: at.operand, acc }), at.output);
  }
}
