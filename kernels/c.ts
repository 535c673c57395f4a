/**
 * The C dialect: a self-contained C11 source for each kernel, vectorised by `omp simd` and threaded by OpenMP.
 *
 * A launch is one call, `tnp_kernel(block)`, with the argument block of `blockLayout` (addresses are those of the first element).
 * Sums of floats add blocks of lanes and carry their sums up a binary tree, so their error grows with the logarithm of the length.
 * How a reduction is cut into parts depends on its sizes alone: results do not depend on the number of threads.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import { type Expr, ExprBuilder, type LoadArg } from "./expr.ts";
import { blockLayout, type Kernel, type Monoid } from "./kernel.ts";
import { cCast, cLiteral, cMemory, cOperation, cType, cWrap } from "./c_ops.ts";
import { nativeWeight } from "./cost.ts";
import { accExprs, isPlainSum } from "./js_lower.ts";
import { cLibrary, cPreamble, cTypes } from "./preamble/c.ts";
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
import { scatterCombine } from "./scatter.ts";
import { simplify } from "./simplify.ts";

/** What the compiler at hand offers. */
export interface CFeatures {
  /** glibc's vector mathematics (2.35 or newer, GCC, x86-64): link with -lmvec. */
  readonly libmvec: boolean;
}

/** Flags that keep NumPy's arithmetic: none changes NaN, rounding or the thread's floating-point state. */
export const cFlags = {
  common: ["-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"],
  openmp: ["-fopenmp"],
} as const;

/** Sources that compile and link where a feature is there. */
export const cProbes = {
  openmp: `extern int omp_get_max_threads(void);
int tnp_probe(void) {
  int n = 0;
#pragma omp parallel for reduction(+ : n)
  for (int i = 0; i < 64; i++) n += i;
  return n + omp_get_max_threads();
}
`,
  libmvec: `#include <features.h>
#if !defined(__x86_64__) || !defined(__GLIBC__) || !defined(__GNUC__) || defined(__clang__)
#error no vector mathematics
#elif !__GLIBC_PREREQ(2, 35)
#error vector mathematics too old
#endif
__attribute__((simd("notinbranch"), const)) float erff(float);
void tnp_probe(float *x) {
#pragma omp simd
  for (int i = 0; i < 1024; i++) x[i] = erff(x[i]);
}
`,
} as const;

/** The C source of a kernel. */
export function renderC(kernel: Kernel, features: CFeatures = { libmvec: false }): string {
  const m = kernel.reduction;
  const epilogue = kernel.epilogue ?? (m === null ? [] : accExprs(m));
  const combine = m?.combine ?? [];
  const roots = simplify([...kernel.body, ...kernel.index, ...epilogue, ...combine]);
  let at = 0;
  const take = (n: number) => roots.slice(at, at += n);
  const k: Kernel = {
    ...kernel,
    body: take(kernel.body.length),
    index: take(kernel.index.length),
    epilogue: m === null ? null : take(epilogue.length),
    reduction: m === null ? null : { ...m, combine: take(combine.length) },
  };
  const text = new CText(k).render();
  const preamble = cPreamble(text);
  const title = kernel.comment.replace(/[^\x20-\x7e]|\*\//g, " ");
  return `/* ${title} */\n${cTypes}${cLibrary(preamble + text, features.libmvec)}${preamble}\n${text}`;
}

/** Elements of a row that one step of a parallel loop takes. */
const rowBlock = 4096;
/** Running values side by side: a multiple of every vector. */
const lanes = 64;
/** Elements of a sum whose lanes are added before the next are. */
const sumBlock = 1024;
/** Running values side by side of a reduction over outer axes. */
const columnBlock = 256;
/** The most parts of a reduction, and of results that are kept in parts. */
const mostParts = 64;
const mostPartial = 4096;

const commutative = new Set(["sum", "prod", "min", "max", "any", "all"]);

class CText implements Dialect {
  readonly #k: Kernel;
  readonly #out = new Writer();
  readonly #emit: Emitter;
  readonly #operands: readonly ArrayText[];
  readonly #outputs: readonly ArrayText[];
  readonly #inner: number;
  /** Points from which on threads are used. */
  readonly #threshold: number;

  constructor(k: Kernel) {
    this.#k = k;
    this.#emit = new Emitter(this, this.#out);
    this.#inner = innerLoop(k);
    const slots = blockLayout(k);
    this.#operands = k.operands.map((o, i) => ({ name: `x${i}`, ...o, ...slots.operands[i]! }));
    this.#outputs = k.outputs.map((o, i) => ({ name: `y${i}`, ...o, ...slots.outputs[i]! }));
    this.#threshold = Math.max(4096, Math.round(65536 / nativeWeight(k)));
  }

  render(): string {
    const k = this.#k, out = this.#out;
    const wide = k.wide || [...k.operands, ...k.outputs].some((a) => a.components === 2);
    out.line(`typedef ${wide ? "i64" : "i32"} ix;`);
    out.line("");
    out.open("void tnp_kernel(const void *block) {");
    this.#prologue();
    if (k.kind === "map") this.#map();
    else if (k.kind === "scan") this.#scan();
    else if (k.kind === "scatter") this.#scatter();
    else if (k.inner === "kept") this.#reduceColumns();
    else this.#reduceRows();
    out.close();
    return out.toString();
  }

  // Leaves and operations

  leaf(e: Expr, point: Point, text: (e: Expr) => string): string | null {
    switch (e.op) {
      case "const":
        return cLiteral(e.dtype, e.arg as number | bigint | boolean);
      case "scalar":
        return `s${Number(e.arg)}`;
      case "iota":
        return cCast("int64", e.dtype, `(i64)(${point.operand(Number(e.arg))})`);
      case "acc":
        return point.acc![Number(e.arg)]!;
      case "val":
        return point.val![Number(e.arg)]!;
      case "load":
      case "gather": {
        const { operand, component } = e.arg as LoadArg;
        let at = point.operand(operand);
        e.src.forEach((s, j) => at += ` + ${text(s)} * x${operand}g${j}`);
        if (component) at += " + 1";
        return this.#value(e.dtype, `p${operand}[${at.replace(/^0 \+ /, "")}]`);
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

  /** A value from memory. */
  #value(dtype: ScalarType, at: string): string {
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

  #store(dtype: ScalarType, at: string, from: ScalarType, text: string): void {
    const v = bare(cCast(from, dtype, text));
    const bits = dtype === "float16" ? `f16_bits(${v})` : dtype === "bfloat16" ? `bf16_bits(${v})` : v;
    this.#out.line(`${at} = ${bits};`);
  }

  // Arguments

  #prologue(): void {
    const k = this.#k, out = this.#out;
    out.line("const i64 *n = (const i64 *)block;");
    for (let i = 0; i < k.rank; i++) out.line(`const i64 n${i} = n[${i}];`);
    this.#operands.forEach((a, j) =>
      this.#array(a, k.operands[j]!.dtype, true, k.operands[j]!.virtual, k.operands[j]!.gathered)
    );
    this.#outputs.forEach((a, j) => this.#array(a, k.outputs[j]!.dtype, false, false, k.index.length));
    const at = blockLayout(k).scalars;
    k.scalars.forEach((dtype, i) => {
      const slot = dtypes[dtype].kind === "f" ? `((const f64 *)block)[${at + i}]` : `n[${at + i}]`;
      const value = dtypes[dtype].kind === "f"
        ? cCast("float64", dtype, slot)
        : dtype === "bool"
        ? `${slot} != 0`
        : cWrap(dtype, slot);
      out.line(this.declare(dtype, `s${i}`, value));
    });
  }

  #array(a: ArrayText, dtype: ScalarType, input: boolean, virtual: boolean, extra: number): void {
    const out = this.#out, k = this.#k, t = cMemory[dtype];
    const times = !virtual && a.components === 2 ? " * 2" : "";
    if (virtual) out.line(`const i64 ${a.name} = n[${a.address}];`);
    else out.line(`${input ? "const " : ""}${t} *${a.name} = (${input ? "const " : ""}${t} *)n[${a.address}];`);
    for (let i = 0; i < k.rank + extra; i++) {
      if (i < k.rank && /^\d/.test(strideText(a, i, this.#inner))) continue;
      const name = i < k.rank ? `s${i}` : `g${i - k.rank}`;
      out.line(`const i64 ${a.name}${name} = n[${a.strides + i}]${times};`);
    }
  }

  // Loops

  #total(): string {
    return this.#k.rank === 1 ? "n0" : this.#range(0, this.#k.rank).map((i) => `n${i}`).join(" * ");
  }

  #range(from: number, to: number): number[] {
    return Array.from({ length: Math.max(0, to - from) }, (_, j) => from + j);
  }

  /** The pragma of a parallel nest of `depth` loops. */
  #parallel(depth: number): void {
    const collapse = depth > 1 ? ` collapse(${depth})` : "";
    this.#out.line(`#pragma omp parallel for${collapse} schedule(static) if (${this.#total()} >= ${this.#threshold})`);
  }

  /** Opens loops over whole axes. */
  #open(loops: readonly number[]): void {
    for (const i of loops) this.#out.open(`for (i64 i${i} = 0; i${i} < n${i}; i${i}++) {`);
  }

  #close(count: number): void {
    for (let i = 0; i < count; i++) this.#out.close();
  }

  /** Names where the rows of arrays start, with the loops in `loops` under way: `p0` for operands, `q0` for outputs. */
  #rows(loops: readonly number[], operands: boolean, outputs: boolean): void {
    const place = (a: ArrayText, prefix: string, type: string) => {
      const at = loops.reduce((base, i) => step(base, `i${i}`, strideText(a, i, this.#inner)), a.name);
      this.#out.line(`${type}${prefix}${a.name.slice(1)} = ${at};`);
    };
    if (operands) {
      this.#operands.forEach((a, j) => {
        const o = this.#k.operands[j]!;
        place(a, "p", o.virtual ? "const i64 " : `const ${cMemory[o.dtype]} *`);
      });
    }
    if (outputs) this.#outputs.forEach((a, j) => place(a, "q", `${cMemory[this.#k.outputs[j]!.dtype]} *`));
  }

  /** The point at `i` of a loop, within rows named by `#rows`. */
  #point(loop: number, i: string, names: { acc?: readonly string[]; val?: readonly string[] } = {}): Point {
    return {
      operand: (o) => {
        const at = this.#offset(this.#operands[o]!, loop, i);
        return this.#k.operands[o]!.virtual ? (at === "0" ? `p${o}` : `p${o} + ${at}`) : at;
      },
      ...names,
    };
  }

  /** The point rows start at. */
  #start(names: { acc?: readonly string[]; val?: readonly string[] } = {}): Point {
    return { operand: (o) => this.#k.operands[o]!.virtual ? `p${o}` : "0", ...names };
  }

  #offset(a: ArrayText, loop: number, i: string): string {
    const stride = strideText(a, loop, this.#inner);
    return stride === "0" ? "0" : stride === "1" ? i : /^\d/.test(stride) ? `${i} * ${stride}` : `${i} * (ix)${stride}`;
  }

  #storeAll(exprs: readonly Expr[], texts: readonly string[], at: (a: ArrayText) => string): void {
    let v = 0;
    this.#k.outputs.forEach((o, j) => {
      for (let c = 0; c < o.components; c++, v++) {
        const index = at(this.#outputs[j]!);
        this.#store(o.dtype, `q${j}[${c ? `${index} + 1` : index}]`, exprs[v]!.dtype, texts[v]!);
      }
    });
  }

  #map(): void {
    const k = this.#k, last = k.rank - 1, out = this.#out;
    const outer = this.#range(0, last);
    this.#parallel(k.rank);
    this.#open(outer);
    out.open(`for (i64 from = 0; from < n${last}; from += ${rowBlock}) {`);
    out.line(`const ix to = (ix)(from + ${rowBlock} < n${last} ? from + ${rowBlock} : n${last});`);
    this.#rows(outer, true, true);
    out.line("#pragma omp simd");
    out.open("for (ix i = (ix)from; i < to; i++) {");
    const texts = this.#emit.emit(k.body, this.#point(last, "i"));
    this.#storeAll(k.body, this.#settle(k.body, texts), (a) => this.#offset(a, last, "i"));
    out.close();
    this.#close(k.rank);
  }

  /** With several results, names all before the first is stored: an output may share memory with an operand. */
  #settle(exprs: readonly Expr[], texts: readonly string[]): string[] {
    if (texts.length === 1) return [...texts];
    return texts.map((t, j) => this.#named(exprs[j]!.dtype, t, "r"));
  }

  #named(dtype: ScalarType, text: string, prefix: string): string {
    if (/^[\w.]+$/.test(text)) return text;
    const name = this.#emit.name(prefix);
    this.#out.line(this.declare(dtype, name, bare(text)));
    return name;
  }

  /** `acc = combine(acc, val)`; `acc` are places, `val` names. */
  #combine(m: Monoid, acc: readonly string[], val: readonly string[]): void {
    const texts = this.#emit.emit(m.combine, { operand: () => "", acc, val });
    if (texts.length === 1) return this.#out.line(`${acc[0]} = ${bare(texts[0]!)};`);
    const names = texts.map((t, j) => this.#fresh(m.dtypes[j]!, t));
    names.forEach((t, j) => this.#out.line(`${acc[j]} = ${t};`));
  }

  #fresh(dtype: ScalarType, text: string): string {
    const name = this.#emit.name("u");
    this.#out.line(this.declare(dtype, name, bare(text)));
    return name;
  }

  #feed(m: Monoid, point: Point, into: readonly string[]): void {
    const k = this.#k;
    const texts = this.#emit.emit(k.body, point);
    this.#combine(
      m,
      into,
      texts.map((t, j) => this.#named(m.dtypes[j]!, cCast(k.body[j]!.dtype, m.dtypes[j]!, t), "v")),
    );
  }

  /** Variables with the neutral elements. */
  #init(m: Monoid, prefix: string): string[] {
    return m.dtypes.map((d, j) => {
      this.#out.line(`${cType(d)} ${prefix}${j} = ${bare(cLiteral(d, m.init[j]!))};`);
      return `${prefix}${j}`;
    });
  }

  /** Arrays of running values; a bool takes a byte. */
  #arrays(m: Monoid, prefix: string, size: number): void {
    m.dtypes.forEach((d, j) => this.#out.line(`${d === "bool" ? "u8" : cType(d)} ${prefix}${j}[${size}];`));
  }

  #elements(m: Monoid, prefix: string, index: string): string[] {
    return m.dtypes.map((_, j) => `${prefix}${j}[${index}]`);
  }

  #fill(m: Monoid, prefix: string, count: string): void {
    const inits = m.dtypes.map((d, j) => `${prefix}${j}[l] = ${bare(cLiteral(d, m.init[j]!))};`);
    this.#out.line(`for (ix l = 0; l < ${count}; l++) { ${inits.join(" ")} }`);
  }

  /** Sizes of the parts a reduction is cut into: `parts` of `length` along its outermost reduced loop. */
  #parts(first: number, kept: string, most: string, least: number): void {
    const out = this.#out, n = `n${first}`;
    out.line(`const i64 kept = ${kept};`);
    out.line(`i64 length = ${n} > 0 ? ${n} : 1;`);
    out.open(`if (kept < ${most} && ${this.#total()} >= ${this.#threshold}) {`);
    out.line(`const i64 most = ${mostPartial} / kept < ${mostParts} ? ${mostPartial} / kept : ${mostParts};`);
    out.line(`length = (${n} + most - 1) / most;`);
    if (least > 1) {
      out.line(`length = length < ${4 * least} ? ${4 * least} : (length + ${least - 1}) / ${least} * ${least};`);
    }
    out.close();
    out.line(`const i64 parts = ${n} > length ? (${n} + length - 1) / length : 1;`);
  }

  /** The row-major position among the kept loops. */
  #keptIndex(loops: readonly number[]): string {
    return loops.reduce((at, i) => at === "" ? `i${i}` : `(${at}) * n${i} + i${i}`, "") || "0";
  }

  #finish(acc: readonly string[], point: Point, at: (a: ArrayText) => string): void {
    const k = this.#k;
    const texts = this.#emit.emit(k.epilogue!, { ...point, acc });
    this.#storeAll(k.epilogue!, this.#settle(k.epilogue!, texts), at);
  }

  #reduceRows(): void {
    const k = this.#k, m = k.reduction!, out = this.#out;
    const kept = k.rank - k.reduced, last = k.rank - 1;
    const outer = this.#range(0, kept), middle = this.#range(kept + 1, last);
    const product = outer.map((i) => `n${i}`).join(" * ") || "1";
    this.#parts(kept, product, String(mostParts), k.reduced === 1 ? sumBlock : 1);
    this.#arrays(m, "partial", mostPartial);
    this.#parallel(kept + 1);
    this.#open(outer);
    out.open("for (i64 part = 0; part < parts; part++) {");
    out.line(`const i64 first = part * length, end = first + length < n${kept} ? first + length : n${kept};`);
    const acc = this.#init(m, "a");
    const cascade = isPlainSum(m) && m.dtypes.every((d) => dtypes[d].kind === "f");
    if (cascade) {
      this.#arrays(m, "stack", 64);
      out.line("u64 pushed = 0;");
      out.line("int top = 0;");
    }
    if (k.reduced > 1) {
      out.open(`for (i64 i${kept} = first; i${kept} < end; i${kept}++) {`);
      this.#open(middle);
      this.#rows([...outer, kept, ...middle], true, false);
      this.#row(m, acc, "0", `n${last}`, cascade);
      this.#close(middle.length + 1);
    } else {
      this.#rows(outer, true, false);
      this.#row(m, acc, "first", "end", cascade);
    }
    if (cascade) {
      out.open("while (top > 0) {");
      out.line("top--;");
      acc.forEach((a, j) => out.line(`${a} += stack${j}[top];`));
      out.close();
    }
    out.open("if (parts > 1) {");
    acc.forEach((a, j) => out.line(`partial${j}[(${this.#keptIndex(outer)}) * parts + part] = ${a};`));
    out.middle("} else {");
    this.#rows(outer, true, true);
    this.#finish(acc, this.#start(), () => "0");
    out.close();
    out.close();
    this.#close(outer.length);
    // Parts are merged in order.
    out.open("if (parts > 1) {");
    this.#open(outer);
    const merged = this.#merge(m, this.#keptIndex(outer));
    this.#rows(outer, true, true);
    this.#finish(merged, this.#start(), () => "0");
    this.#close(outer.length + 1);
  }

  /** Merges the parts of one result, neighbours first, into the first of them; gives their names. */
  #merge(m: Monoid, index: string): string[] {
    const out = this.#out;
    out.line(`const i64 base = (${index}) * parts;`);
    out.open("for (i64 s = 1; s < parts; s *= 2) {");
    out.open("for (i64 l = 0; l + s < parts; l += 2 * s) {");
    const val = m.dtypes.map((d, j) => this.#fresh(d, `partial${j}[base + l + s]`));
    this.#combine(m, this.#elements(m, "partial", "base + l"), val);
    out.close();
    out.close();
    return m.dtypes.map((d, j) => this.#fresh(d, `partial${j}[base]`));
  }

  /** Reduces a row of the innermost loop into `acc`. */
  #row(m: Monoid, acc: readonly string[], from: string, to: string, cascade: boolean): void {
    const out = this.#out, last = this.#k.rank - 1;
    if (!commutative.has(m.name)) {
      out.open(`for (ix i = (ix)${from}; i < (ix)${to}; i++) {`);
      this.#feed(m, this.#point(last, "i"), acc);
      return out.close();
    }
    const span = cascade ? sumBlock : 0;
    if (span) {
      out.open(`for (i64 block = ${from}; block < ${to}; block += ${span}) {`);
      out.line(`const ix low = (ix)block, high = (ix)(block + ${span} < ${to} ? block + ${span} : ${to});`);
    } else {
      out.open("{");
      out.line(`const ix low = (ix)${from}, high = (ix)${to};`);
    }
    out.line(`const ix width = high - low < ${lanes} ? high - low : ${lanes};`);
    this.#arrays(m, "lane", lanes);
    this.#fill(m, "lane", "width");
    out.open(`for (ix i = low; i < high; i += ${lanes}) {`);
    out.line(`const ix count = high - i < ${lanes} ? high - i : ${lanes};`);
    out.line("#pragma omp simd");
    out.open("for (ix l = 0; l < count; l++) {");
    this.#feed(m, this.#point(last, "(i + l)"), this.#elements(m, "lane", "l"));
    out.close();
    out.close();
    // Lanes fold in halves.
    out.open("for (ix w = width; w > 1;) {");
    out.line("const ix half = (w + 1) >> 1;");
    out.line("#pragma omp simd");
    out.open("for (ix l = 0; l < w - half; l++) {");
    const high = m.dtypes.map((d, j) => this.#fresh(d, `lane${j}[l + half]`));
    this.#combine(m, this.#elements(m, "lane", "l"), high);
    out.close();
    out.line("w = half;");
    out.close();
    out.open("if (width > 0) {");
    if (cascade) {
      out.line("for (u64 c = pushed++; c & 1; c >>= 1) {");
      out.line(`  top--;`);
      m.dtypes.forEach((_, j) => out.line(`  lane${j}[0] += stack${j}[top];`));
      out.line("}");
      m.dtypes.forEach((_, j) => out.line(`stack${j}[top] = lane${j}[0];`));
      out.line("top++;");
    } else {
      this.#combine(m, acc, m.dtypes.map((d, j) => this.#fresh(d, `lane${j}[0]`)));
    }
    out.close();
    out.close();
  }

  #reduceColumns(): void {
    const k = this.#k, m = k.reduction!, out = this.#out;
    const kept = k.rank - k.reduced, column = kept - 1;
    const outer = this.#range(0, column), middle = this.#range(kept + 1, k.rank);
    const product = this.#range(0, kept).map((i) => `n${i}`).join(" * ");
    this.#parts(kept, product, String(mostPartial / 4), 1);
    this.#arrays(m, "partial", mostPartial);
    this.#parallel(column + 2);
    this.#open(outer);
    out.open(`for (i64 from = 0; from < n${column}; from += ${columnBlock}) {`);
    out.open("for (i64 part = 0; part < parts; part++) {");
    out.line(`const i64 first = part * length, end = first + length < n${kept} ? first + length : n${kept};`);
    out.line(`const ix width = (ix)(n${column} - from < ${columnBlock} ? n${column} - from : ${columnBlock});`);
    this.#arrays(m, "lane", columnBlock);
    this.#fill(m, "lane", "width");
    out.open(`for (i64 i${kept} = first; i${kept} < end; i${kept}++) {`);
    this.#open(middle);
    this.#rows([...outer, kept, ...middle], true, false);
    out.line("#pragma omp simd");
    out.open("for (ix l = 0; l < width; l++) {");
    out.line("const ix i = (ix)from + l;");
    this.#feed(m, this.#point(column, "i"), this.#elements(m, "lane", "l"));
    out.close();
    this.#close(middle.length + 1);
    const index = outer.length === 0 ? "i" : `(${this.#keptIndex(outer)}) * n${column} + i`;
    this.#rows(outer, true, true);
    out.open("for (ix l = 0; l < width; l++) {");
    out.line("const ix i = (ix)from + l;");
    out.open("if (parts > 1) {");
    m.dtypes.forEach((_, j) => out.line(`partial${j}[(${index}) * parts + part] = lane${j}[l];`));
    out.middle("} else {");
    this.#finish(
      this.#freshAll(m, this.#elements(m, "lane", "l")),
      this.#point(column, "i"),
      (a) => this.#offset(a, column, "i"),
    );
    out.close();
    out.close();
    this.#close(2 + outer.length);
    out.open("if (parts > 1) {");
    this.#open(outer);
    this.#rows(outer, true, true);
    out.open(`for (ix i = 0; i < (ix)n${column}; i++) {`);
    const merged = this.#merge(m, index);
    this.#finish(merged, this.#point(column, "i"), (a) => this.#offset(a, column, "i"));
    this.#close(2 + outer.length);
  }

  #freshAll(m: Monoid, texts: readonly string[]): string[] {
    return texts.map((t, j) => this.#fresh(m.dtypes[j]!, t));
  }

  #scan(): void {
    const k = this.#k, m = k.reduction!, last = k.rank - 1, out = this.#out;
    const outer = this.#range(0, last);
    if (outer.length > 0) this.#parallel(outer.length);
    this.#open(outer);
    this.#rows(outer, true, true);
    const acc = this.#init(m, "a");
    out.open(`for (ix i = 0; i < (ix)n${last}; i++) {`);
    this.#feed(m, this.#point(last, "i"), acc);
    this.#finish(acc, this.#point(last, "i"), (a) => this.#offset(a, last, "i"));
    this.#close(1 + outer.length);
  }

  #scatter(): void {
    const k = this.#k, last = k.rank - 1, out = this.#out, o = k.outputs[0]!;
    const outer = this.#range(0, last);
    this.#open(outer);
    this.#rows(outer, true, true);
    out.open(`for (ix i = 0; i < (ix)n${last}; i++) {`);
    const texts = this.#emit.emit([...k.index, ...k.body], this.#point(last, "i"));
    const at = this.#emit.name("at");
    const index = k.index.map((e, j) => `(i64)${texts[j] ?? e.op} * y0g${j}`);
    out.line(`const i64 ${at} = ${[this.#offset(this.#outputs[0]!, last, "i"), ...index].join(" + ")};`);
    const values = k.body.map((e, c) => this.#named(e.dtype, texts[k.index.length + c]!, "v"));
    const old = k.mode === "set"
      ? []
      : k.body.map((e, c) => this.#fresh(e.dtype, this.#value(e.dtype, `q0[${at}${c ? " + 1" : ""}]`)));
    const exprs = scatterCombine(new ExprBuilder(), k.mode!, k.body.map((e) => e.dtype));
    const results = this.#settle(exprs, this.#emit.emit(exprs, { operand: () => "", acc: old, val: values }));
    results.forEach((t, c) => this.#store(o.dtype, `q0[${at}${c ? " + 1" : ""}]`, exprs[c]!.dtype, t));
    this.#close(1 + outer.length);
  }
}
