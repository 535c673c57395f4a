/**
 * What every dialect shares: lines, named temporaries, and expressions as text.
 *
 * A dialect says how leaves, operations and declarations look. `Emitter` decides what gets a name: an expression that is used
 * twice, or whose text would be repeated, or that has grown long; the rest is written in place.
 * @module
 */
import type { ScalarType } from "../src/base/dtype.ts";
import type { Expr } from "./expr.ts";
import type { Access, Kernel } from "./kernel.ts";

/** Lines of text with indentation. */
export class Writer {
  #lines: string[] = [];
  #indent = "";

  /** Adds one line. */
  line(text: string): void {
    this.#lines.push(text === "" ? "" : this.#indent + text);
  }

  /** Adds a line that opens a block. */
  open(text: string): void {
    this.line(text);
    this.#indent += "  ";
  }

  /** Ends the innermost block. */
  close(text = "}"): void {
    this.#indent = this.#indent.slice(2);
    this.line(text);
  }

  /** Ends the innermost block and opens its alternative. */
  middle(text: string): void {
    this.close(text);
    this.#indent += "  ";
  }

  /** All lines. */
  toString(): string {
    return this.#lines.join("\n") + "\n";
  }
}

/** One point of the iteration space, as the text sees it. */
export interface Point {
  /** Index, in scalars, of operand `k` at this point; a virtual operand's offset. */
  operand(k: number): string;
  /** Names of the running values and of the incoming ones, where there are such. */
  readonly acc?: readonly string[];
  readonly val?: readonly string[];
}

/** How a language writes expressions. Texts of operations are closed: in parentheses, or a call. */
export interface Dialect {
  /** A leaf, or an operation written from more than the texts of its sources; null for plain operations. */
  leaf(e: Expr, point: Point, text: (e: Expr) => string): string | null;
  /** An operation from the texts of its sources. */
  operation(e: Expr, src: readonly string[]): string;
  /** A statement that names a value. */
  declare(dtype: ScalarType, name: string, value: string): string;
}

/** The text without the parentheses around all of it. */
export function bare(text: string): string {
  if (!text.startsWith("(") || !text.endsWith(")")) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return text;
  }
  return text.slice(1, -1);
}

const isAtom = (text: string) => /^[\w.$]+$/.test(text);
/** Longest text written in place. */
const longest = 100;

/** Writes expressions through a dialect, with temporaries numbered over the whole kernel. */
export class Emitter {
  readonly #dialect: Dialect;
  readonly #out: Writer;
  #next = 0;

  constructor(dialect: Dialect, out: Writer) {
    this.#dialect = dialect;
    this.#out = out;
  }

  /** A fresh name, which is no type's, such as u8. */
  name(prefix = "t"): string {
    const name = `${prefix}${this.#next++}`;
    return /^[iuf](8|16|32|64)$/.test(name) ? this.name(prefix) : name;
  }

  /**
   * Writes what the roots need and gives their texts.
   *
   * @param roots The expressions
   * @param point Where they are evaluated
   * @param known Texts of expressions already named in an enclosing block; names made here are added
   */
  emit(roots: readonly Expr[], point: Point, known: Map<Expr, string> = new Map()): string[] {
    const uses = new Map<Expr, number>();
    const count = (e: Expr) => {
      const n = uses.get(e) ?? 0;
      uses.set(e, n + 1);
      if (n === 0 && !known.has(e)) { for (const s of e.src) count(s); }
    };
    for (const r of roots) count(r);
    const texts = new Map(known);
    const text = (e: Expr): string => {
      let t = texts.get(e);
      if (t !== undefined) return t;
      t = this.#dialect.leaf(e, point, text) ?? this.#operation(e, texts, known, text);
      if (!isAtom(t) && e.op !== "const" && (uses.get(e)! > 1 || t.length > longest)) t = this.#temporary(e, t, known);
      texts.set(e, t);
      return t;
    };
    return roots.map(text);
  }

  /**
   * Names the largest parts of the roots that are the same at every point of the loop about to open, and the loads among them.
   *
   * @param fixed Tells it of a leaf
   */
  hoist(roots: readonly Expr[], point: Point, fixed: (leaf: Expr) => boolean, known: Map<Expr, string>): void {
    const memo = new Map<Expr, boolean>();
    const same = (e: Expr): boolean => {
      let r = memo.get(e);
      if (r === undefined) {
        // Every source is visited, so that `memo` knows them all.
        r = e.src.map(same).every(Boolean) && (e.src.length > 0 && e.op !== "gather" ? true : fixed(e));
        memo.set(e, r);
      }
      return r;
    };
    roots.forEach(same);
    const seen = new Set<Expr>();
    const visit = (e: Expr): void => {
      if (known.has(e) || seen.has(e)) return;
      seen.add(e);
      if (!memo.get(e)) return e.src.forEach(visit);
      if (e.op === "const" || e.op === "scalar" || e.op === "acc" || e.op === "val") return;
      const [t] = this.emit([e], point, known);
      known.set(e, isAtom(t!) ? t! : this.#temporary(e, t!, known));
    };
    roots.forEach(visit);
  }

  #operation(e: Expr, texts: Map<Expr, string>, known: Map<Expr, string>, text: (e: Expr) => string): string {
    const src = e.src.map(text);
    // A source whose text would occur twice gets a name first.
    const marks = src.map((_, i) => `\0${i}\0`);
    const shape = this.#dialect.operation(e, marks);
    src.forEach((t, i) => {
      const s = e.src[i]!;
      if (!isAtom(t) && s.op !== "const" && shape.split(marks[i]!).length > 2) {
        const named = texts.get(s) !== t ? texts.get(s)! : this.#temporary(s, t, known);
        texts.set(s, named);
        src[i] = named;
      }
    });
    return this.#dialect.operation(e, src.map((t, i) => e.src[i]!.op === "const" ? t : texts.get(e.src[i]!) ?? t));
  }

  #temporary(e: Expr, text: string, known: Map<Expr, string>): string {
    const name = this.name();
    this.#out.line(this.#dialect.declare(e.dtype, name, bare(text)));
    known.set(e, name);
    return name;
  }
}

/** One array of a kernel, as the loops see it. */
export interface ArrayText {
  /** `x0` for operands, `y0` for outputs. */
  readonly name: string;
  readonly components: 1 | 2;
  readonly access: Access;
  /** Slots of the argument block. */
  readonly address: number;
  readonly strides: number;
}

/** The loop whose stride `access` is about. */
export function innerLoop(kernel: Kernel): number {
  return kernel.inner === "kept" ? kernel.rank - kernel.reduced - 1 : kernel.rank - 1;
}

/** The stride, in scalars, of an array along a loop: a literal where the kernel's layout class fixes it, else a name. */
export function strideText(a: ArrayText, loop: number, inner: number): string {
  if (loop === inner && a.access === "single") return "0";
  if (loop === inner && a.access === "unit") return String(a.components);
  return `${a.name}s${loop}`;
}

/** `base + i * stride`, without what is zero or one. */
export function step(base: string, i: string, stride: string): string {
  if (stride === "0") return base;
  return stride === "1" ? `${base} + ${i}` : `${base} + ${i} * ${stride}`;
}
