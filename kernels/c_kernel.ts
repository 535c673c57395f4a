/**
 * The C dialect's leaves, arguments, loops and running values.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import type { Expr, LoadArg } from "./expr.ts";
import { blockLayout, type Kernel, type Monoid } from "./kernel.ts";
import { cCast, cLiteral, cMemory, cOperation, cType, cWrap } from "./c_ops.ts";
import { nativeWeight } from "./cost.ts";
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

/** A function of a body that is the C library's for far arguments: what asks for these, and of what. */
interface Far {
  readonly test: "far" | "far_quotient";
  readonly src: readonly Expr[];
}

/** The functions of a body that are the C library's for far arguments; float16 is never far. */
function farFunctions(body: readonly Expr[]): Far[] {
  const seen = new Set<Expr>(), found: Far[] = [];
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    e.src.forEach(visit);
    if (dtypes[e.dtype].kind !== "f" || e.dtype === "float16") return;
    const test = /^(sin|cos|tan)$/.test(e.op) ? "far" : /^(mod|fmod|floordiv)$/.test(e.op) ? "far_quotient" : null;
    if (test === null || found.some((f) => f.test === test && f.src.every((x, i) => x === e.src[i]))) return;
    found.push({ test, src: e.src });
  };
  body.forEach(visit);
  return found;
}

/** What a text calls a function with, where the text is that call; null elsewhere. */
function argumentOf(name: string, text: string): string | null {
  const inner = text.slice(name.length);
  return text.startsWith(`${name}(`) && bare(inner) !== inner ? bare(inner) : null;
}

/** The bits of a half: those in memory where it only moves, and storing rounds, too. */
function halfBits(type: "f16" | "bf16", text: string): string {
  return argumentOf(`${type}_value`, text) ?? `${type}_bits(${argumentOf(`${type}_round`, text) ?? text})`;
}

/** What the loops of all kinds of kernels share; a kind says what its loops are. */
export abstract class CText implements Dialect {
  protected readonly k: Kernel;
  readonly out = new Writer();
  protected readonly emit: Emitter;
  protected readonly operands: readonly ArrayText[];
  protected readonly outputs: readonly ArrayText[];
  protected readonly inner: number;
  /** Points from which on threads are used: some 25 microseconds of one, as sleeping threads take as long to wake. */
  protected readonly threshold: number;
  /** Operands whose one element of a row has a name of its own, `h` and their number. */
  protected readonly held = new Set<number>();
  /** Whether arguments are known not to be far. */
  #near = false;

  constructor(k: Kernel) {
    this.k = k;
    this.emit = new Emitter(this, this.out);
    this.inner = innerLoop(k);
    const slots = blockLayout(k);
    this.operands = k.operands.map((o, i) => ({ name: `x${i}`, ...o, ...slots.operands[i]! }));
    this.outputs = k.outputs.map((o, i) => ({ name: `y${i}`, ...o, ...slots.outputs[i]! }));
    this.threshold = Math.max(16384, Math.round(393216 / nativeWeight(k)));
  }

  /** The loops of the kernel. */
  protected abstract loops(): void;

  /** The function's text. */
  render(): string {
    const k = this.k, out = this.out;
    const wide = k.wide || [...k.operands, ...k.outputs].some((a) => a.components === 2);
    out.line(`typedef ${wide ? "i64" : "i32"} ix;`);
    out.line("");
    out.open("void tnp_kernel(const void *block) {");
    this.prologue();
    this.loops();
    out.close();
    return out.toString();
  }

  /**
   * A loop over vectors that computes the body. Circular functions and remainders of far arguments are the C library's, which takes
   * one at a time: a block that has one gets an ordinary loop.
   *
   * @param header The loop's first line
   * @param point Where the body is evaluated
   * @param inside Writes what is in the loop
   */
  protected vectors(header: string, point: Point, inside: () => void): void {
    const { out } = this;
    const loop = (text: () => void, pragma: string) => {
      this.#near = pragma !== "";
      if (pragma !== "") out.line(pragma);
      out.open(header);
      text();
      out.close();
      this.#near = false;
    };
    const functions = farFunctions(this.k.body);
    if (functions.length === 0) return loop(inside, "#pragma omp simd");
    const far = this.emit.name("far");
    out.line(`int ${far} = 0;`);
    loop(() => {
      const texts = this.emit.emit(functions.flatMap(({ src }) => src), point);
      for (const { test, src } of functions) {
        out.line(`${far} |= ${test}_${cType(src[0]!.dtype)}(${texts.splice(0, src.length).map(bare).join(", ")});`);
      }
    }, `#pragma omp simd reduction(| : ${far})`);
    out.open(`if (${far}) {`);
    loop(inside, "");
    out.middle("} else {");
    loop(inside, "#pragma omp simd");
    out.close();
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
        if (this.held.has(operand)) return this.value(e.dtype, `h${operand}`);
        let at = point.operand(operand);
        e.src.forEach((s, j) => at += ` + ${text(s)} * x${operand}g${j}`);
        if (component) at += " + 1";
        return this.value(e.dtype, `p${operand}[${at.replace(/^0 \+ /, "")}]`);
      }
      default:
        return null;
    }
  }

  operation(e: Expr, src: readonly string[]): string {
    const text = cOperation(e, src);
    return this.#near || e.dtype === "float16"
      ? text.replace(/\b(sin|cos|tan|mod|fmod|floordiv)_(f32|f64)\(/g, "$1_near_$2(")
      : text;
  }

  declare(dtype: ScalarType, name: string, value: string): string {
    return `const ${cType(dtype)} ${name} = ${value};`;
  }

  /** A value from memory. */
  protected value(dtype: ScalarType, at: string): string {
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

  protected store(dtype: ScalarType, at: string, from: ScalarType, text: string): void {
    const v = bare(cCast(from, dtype, text));
    const bits = dtype === "float16" ? halfBits("f16", v) : dtype === "bfloat16" ? halfBits("bf16", v) : v;
    this.out.line(`${at} = ${bits};`);
  }

  // Arguments

  /** Where a number of a loop lies among those of all loops, which begin at `first`. */
  protected loopSlot(loop: number, first = 0): string {
    return String(first + loop);
  }

  /** Statements before sizes and strides get their names. */
  protected before(): void {}

  protected prologue(): void {
    const k = this.k, out = this.out;
    out.line("const i64 *n = (const i64 *)block;");
    this.before();
    for (let i = 0; i < k.rank; i++) out.line(`const i64 n${i} = n[${this.loopSlot(i)}];`);
    this.operands.forEach((a, j) =>
      this.array(a, k.operands[j]!.dtype, true, k.operands[j]!.virtual, k.operands[j]!.gathered)
    );
    this.outputs.forEach((a, j) => this.array(a, k.outputs[j]!.dtype, false, false, k.index.length));
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

  protected array(a: ArrayText, dtype: ScalarType, input: boolean, virtual: boolean, extra: number): void {
    const out = this.out, k = this.k, t = cMemory[dtype];
    const times = !virtual && a.components === 2 ? " * 2" : "";
    if (virtual) out.line(`const i64 ${a.name} = n[${a.address}];`);
    else out.line(`${input ? "const " : ""}${t} *${a.name} = (${input ? "const " : ""}${t} *)n[${a.address}];`);
    for (let i = 0; i < k.rank + extra; i++) {
      if (i < k.rank && /^\d/.test(strideText(a, i, this.inner))) continue;
      const name = i < k.rank ? `s${i}` : `g${i - k.rank}`;
      const slot = i < k.rank ? this.loopSlot(i, a.strides) : a.strides + i;
      out.line(`const i64 ${a.name}${name} = n[${slot}]${times};`);
    }
  }

  // Loops

  protected total(): string {
    return this.k.rank === 1 ? "n0" : this.range(0, this.k.rank).map((i) => `n${i}`).join(" * ");
  }

  protected range(from: number, to: number): number[] {
    return Array.from({ length: Math.max(0, to - from) }, (_, j) => from + j);
  }

  /** The pragma of a parallel nest of `depth` loops. */
  protected parallel(depth: number): void {
    const collapse = depth > 1 ? ` collapse(${depth})` : "";
    this.out.line(`#pragma omp parallel for${collapse} schedule(static) if (${this.total()} >= ${this.threshold})`);
  }

  /** Opens loops over whole axes. */
  protected open(loops: readonly number[]): void {
    for (const i of loops) this.out.open(`for (i64 i${i} = 0; i${i} < n${i}; i${i}++) {`);
  }

  protected close(count: number): void {
    for (let i = 0; i < count; i++) this.out.close();
  }

  /** Names where the rows of arrays start, with the loops in `loops` under way: `p0` for operands, `q0` for outputs; `instead` gives places of its own. */
  protected rows(
    loops: readonly number[],
    operands: boolean,
    outputs: boolean,
    instead: (a: ArrayText) => string | null = () => null,
  ): void {
    const place = (a: ArrayText, prefix: string, type: string) => {
      const at = instead(a) ?? loops.reduce((base, i) => step(base, `i${i}`, strideText(a, i, this.inner)), a.name);
      this.out.line(`${type}${prefix}${a.name.slice(1)} = ${at};`);
    };
    if (operands) {
      this.operands.forEach((a, j) => {
        const o = this.k.operands[j]!;
        place(a, "p", o.virtual ? "const i64 " : `const ${cMemory[o.dtype]} *`);
      });
    }
    if (outputs) this.outputs.forEach((a, j) => place(a, "q", `${cMemory[this.k.outputs[j]!.dtype]} *`));
  }

  /** The point at `i` of a loop, within rows named by `rows`. */
  protected point(loop: number, i: string, names: { acc?: readonly string[]; val?: readonly string[] } = {}): Point {
    return {
      operand: (o) => {
        const at = this.offset(this.operands[o]!, loop, i);
        return this.k.operands[o]!.virtual ? (at === "0" ? `p${o}` : `p${o} + ${at}`) : at;
      },
      ...names,
    };
  }

  /** The point rows start at. */
  protected start(names: { acc?: readonly string[]; val?: readonly string[] } = {}): Point {
    return { operand: (o) => this.k.operands[o]!.virtual ? `p${o}` : "0", ...names };
  }

  protected offset(a: ArrayText, loop: number, i: string): string {
    const stride = strideText(a, loop, this.inner);
    return stride === "0" ? "0" : stride === "1" ? i : /^\d/.test(stride) ? `${i} * ${stride}` : `${i} * (ix)${stride}`;
  }

  protected storeAll(exprs: readonly Expr[], texts: readonly string[], at: (a: ArrayText) => string): void {
    let v = 0;
    this.k.outputs.forEach((o, j) => {
      for (let c = 0; c < o.components; c++, v++) {
        const index = at(this.outputs[j]!);
        this.store(o.dtype, `q${j}[${c ? `${index} + 1` : index}]`, exprs[v]!.dtype, texts[v]!);
      }
    });
  }

  /** With several results, names all before the first is stored: an output may share memory with an operand. */
  protected settle(exprs: readonly Expr[], texts: readonly string[]): string[] {
    if (texts.length === 1) return [...texts];
    return texts.map((t, j) => this.named(exprs[j]!.dtype, t, "r"));
  }

  protected named(dtype: ScalarType, text: string, prefix: string): string {
    if (/^[\w.]+$/.test(text)) return text;
    const name = this.emit.name(prefix);
    this.out.line(this.declare(dtype, name, bare(text)));
    return name;
  }

  /** `acc = combine(acc, val)`; `acc` are places, `val` names. */
  protected combine(m: Monoid, acc: readonly string[], val: readonly string[]): void {
    const texts = this.emit.emit(m.combine, { operand: () => "", acc, val });
    if (texts.length === 1) return this.out.line(`${acc[0]} = ${bare(texts[0]!)};`);
    const names = texts.map((t, j) => this.fresh(m.dtypes[j]!, t));
    names.forEach((t, j) => this.out.line(`${acc[j]} = ${t};`));
  }

  protected fresh(dtype: ScalarType, text: string): string {
    const name = this.emit.name("u");
    this.out.line(this.declare(dtype, name, bare(text)));
    return name;
  }

  protected feed(m: Monoid, point: Point, into: readonly string[]): void {
    const k = this.k;
    const texts = this.emit.emit(k.body, point);
    this.combine(
      m,
      into,
      texts.map((t, j) => this.named(m.dtypes[j]!, cCast(k.body[j]!.dtype, m.dtypes[j]!, t), "v")),
    );
  }

  /** Variables with the neutral elements. */
  protected init(m: Monoid, prefix: string): string[] {
    return m.dtypes.map((d, j) => {
      this.out.line(`${cType(d)} ${prefix}${j} = ${bare(cLiteral(d, m.init[j]!))};`);
      return `${prefix}${j}`;
    });
  }

  /** Arrays of running values; a bool takes a byte. */
  protected arrays(m: Monoid, prefix: string, size: number): void {
    m.dtypes.forEach((d, j) => this.out.line(`${d === "bool" ? "u8" : cType(d)} ${prefix}${j}[${size}];`));
  }

  protected elements(m: Monoid, prefix: string, index: string): string[] {
    return m.dtypes.map((_, j) => `${prefix}${j}[${index}]`);
  }

  protected fill(m: Monoid, prefix: string, count: string): void {
    const inits = m.dtypes.map((d, j) => `${prefix}${j}[l] = ${bare(cLiteral(d, m.init[j]!))};`);
    this.out.line(`for (ix l = 0; l < ${count}; l++) { ${inits.join(" ")} }`);
  }

  /** The row-major position among the kept loops. */
  protected keptIndex(loops: readonly number[]): string {
    return loops.reduce((at, i) => at === "" ? `i${i}` : `(${at}) * n${i} + i${i}`, "") || "0";
  }

  protected finish(acc: readonly string[], point: Point, at: (a: ArrayText) => string): void {
    const k = this.k;
    const texts = this.emit.emit(k.epilogue!, { ...point, acc });
    this.storeAll(k.epilogue!, this.settle(k.epilogue!, texts), at);
  }

  protected freshAll(m: Monoid, texts: readonly string[]): string[] {
    return texts.map((t, j) => this.fresh(m.dtypes[j]!, t));
  }
}
