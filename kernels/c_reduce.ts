/**
 * Reductions in the C dialect: over inner loops with lanes side by side, over outer loops with columns side by side.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import { cCast, cLiteral, cType } from "./c_ops.ts";
import { CText } from "./c_kernel.ts";
import { light, nativeWeight } from "./cost.ts";
import type { Expr } from "./expr.ts";
import type { Monoid, MonoidName } from "./kernel.ts";
import { isPlainSum } from "./monoid.ts";
import { bare, type Point, strideText } from "./render.ts";

/** Running values side by side: a multiple of every vector, and several of them, as each waits for what was stored before. */
const lanes = 64;
const lanesOf = (types: readonly ScalarType[]): number =>
  types.every((d) => d === "bool" || /int(8|16)$/.test(d)) ? 4 * lanes : lanes;
/** How often a lane of 32 bits can take a value of at most 16. */
const shortSum = 32768;
/** Elements of a sum whose lanes are added before the next are. */
const sumBlock = 1024;
/** Elements in which a search first looks whether there is anything better, and after which truth may be known. */
const searchBlock = 4096;
/** The most running values side by side of a reduction over outer axes: rows of memory are read for long stretches. */
const columnBlock = 1024;
/** Above this weight a point takes longer than loading and storing its running value. */
const cheap = 4;
/** Rows that columns take in at once. */
const rowGroup = 4;
/** The most parts of a reduction, and of results that are kept in parts. */
const mostParts = 64;
const mostPartial = 4096;
const mostColumns = 16384;

/** Monoids whose values may be combined in any order (positions compare, so argmin and argmax are among them). */
const commutative = new Set<MonoidName>(["sum", "prod", "min", "max", "any", "all", "argmin", "argmax"]);

/** The text of a reduction. */
export class CReduce extends CText {
  protected override loops(): void {
    if (this.k.inner === "kept") this.#reduceColumns();
    else this.#reduceRows();
  }

  /** Sizes of the parts a reduction is cut into: `parts` of `length` along its outermost reduced loop. */
  #parts(first: number, kept: string, most: number, partial: number, least: number): void {
    const out = this.out, n = `n${first}`;
    out.line(`const i64 kept = ${kept};`);
    out.line(`i64 length = ${n} > 0 ? ${n} : 1;`);
    out.open(`if (kept < ${most} && ${this.total()} >= ${this.threshold}) {`);
    out.line(`const i64 most = ${partial} / kept < ${mostParts} ? ${partial} / kept : ${mostParts};`);
    out.line(`length = (${n} + most - 1) / most;`);
    if (least > 1) {
      out.line(`length = length < ${4 * least} ? ${4 * least} : (length + ${least - 1}) / ${least} * ${least};`);
    }
    out.close();
    out.line(`const i64 parts = ${n} > length ? (${n} + length - 1) / length : 1;`);
  }

  #reduceRows(): void {
    const k = this.k, m = k.reduction!, out = this.out;
    const kept = k.rank - k.reduced, last = k.rank - 1;
    const outer = this.range(0, kept), middle = this.range(kept + 1, last);
    const product = outer.map((i) => `n${i}`).join(" * ") || "1";
    this.#parts(kept, product, mostParts, mostPartial, k.reduced === 1 ? sumBlock : 1);
    this.arrays(m, "partial", mostPartial);
    this.parallel(kept + 1);
    this.open(outer);
    out.open("for (i64 part = 0; part < parts; part++) {");
    out.line(`const i64 first = part * length, end = first + length < n${kept} ? first + length : n${kept};`);
    const acc = this.init(m, "a");
    const cascade = isPlainSum(m) && m.dtypes.every((d) => dtypes[d].kind === "f");
    if (cascade) {
      this.arrays(m, "stack", 64);
      out.line("u64 pushed = 0;");
      out.line("int top = 0;");
    }
    if (k.reduced > 1) {
      out.open(`for (i64 i${kept} = first; i${kept} < end; i${kept}++) {`);
      this.open(middle);
      this.rows([...outer, kept, ...middle], true, false);
      this.#row(m, acc, "0", `n${last}`, cascade);
      this.close(middle.length + 1);
    } else {
      this.rows(outer, true, false);
      this.#row(m, acc, "first", "end", cascade);
    }
    if (cascade) {
      out.open("while (top > 0) {");
      out.line("top--;");
      acc.forEach((a, j) => out.line(`${a} += stack${j}[top];`));
      out.close();
    }
    out.open("if (parts > 1) {");
    acc.forEach((a, j) => out.line(`partial${j}[(${this.keptIndex(outer)}) * parts + part] = ${a};`));
    out.middle("} else {");
    this.rows(outer, true, true);
    this.finish(acc, this.start(), () => "0");
    out.close();
    out.close();
    this.close(outer.length);
    // Parts are merged in order.
    out.open("if (parts > 1) {");
    this.open(outer);
    const merged = this.#merge(m, this.keptIndex(outer));
    this.rows(outer, true, true);
    this.finish(merged, this.start(), () => "0");
    this.close(outer.length + 1);
  }

  /** Merges the parts of one result, neighbours first, into the first of them; gives their names. */
  #merge(m: Monoid, index: string): string[] {
    const out = this.out;
    out.line(`const i64 base = (${index}) * parts;`);
    out.open("for (i64 s = 1; s < parts; s *= 2) {");
    out.open("for (i64 l = 0; l + s < parts; l += 2 * s) {");
    const val = m.dtypes.map((d, j) => this.fresh(d, `partial${j}[base + l + s]`));
    this.combine(m, this.elements(m, "partial", "base + l"), val);
    out.close();
    out.close();
    return m.dtypes.map((d, j) => this.fresh(d, `partial${j}[base]`));
  }

  /** Reduces a row of the innermost loop into `acc`. */
  #row(m: Monoid, acc: readonly string[], from: string, to: string, cascade: boolean): void {
    const out = this.out, last = this.k.rank - 1;
    if (!commutative.has(m.name)) {
      out.open(`for (ix i = (ix)${from}; i < (ix)${to}; i++) {`);
      this.feed(m, this.point(last, "i"), acc);
      return out.close();
    }
    const search = (m.name === "argmax" || m.name === "argmin") && m.dtypes.length === 2;
    const short = this.#short(m);
    const truth = m.name === "any" || m.name === "all";
    const span = cascade ? sumBlock : search || truth ? searchBlock : short !== null ? lanes * shortSum : 0;
    if (span) {
      out.open(`for (i64 block = ${from}; block < ${to}; block += ${span}) {`);
      out.line(`const ix low = (ix)block, high = (ix)(block + ${span} < ${to} ? block + ${span} : ${to});`);
    } else {
      out.open("{");
      out.line(`const ix low = (ix)${from}, high = (ix)${to};`);
    }
    if (search) {
      this.#search(m, acc);
      return out.close();
    }
    if (short !== null) {
      this.#shortSum(short, acc[0]!);
      return out.close();
    }
    const side = lanesOf(m.dtypes);
    this.arrays(m, "lane", side);
    this.fill(m, "lane", String(side));
    const point = this.point(last, "(i + l)");
    this.#steps(side, (count) => {
      const header = `for (ix l = 0; l < ${count}; l++) {`;
      this.vectors(header, point, () => this.feed(m, point, this.elements(m, "lane", "l")));
    });
    this.#halves(side, (half) => {
      const high = m.dtypes.map((d, j) => this.fresh(d, `lane${j}[l + ${half}]`));
      this.combine(m, this.elements(m, "lane", "l"), high);
    });
    if (cascade) {
      out.line("for (u64 c = pushed++; c & 1; c >>= 1) {");
      out.line(`  top--;`);
      m.dtypes.forEach((_, j) => out.line(`  lane${j}[0] += stack${j}[top];`));
      out.line("}");
      m.dtypes.forEach((_, j) => out.line(`stack${j}[top] = lane${j}[0];`));
      out.line("top++;");
    } else {
      this.combine(m, acc, m.dtypes.map((d, j) => this.fresh(d, `lane${j}[0]`)));
      if (truth) out.line(`if (${acc[0]} == ${m.name === "any" ? 1 : 0}) break;`);
    }
    out.close();
  }

  /**
   * Loops over all from `low` to `high`, `side` in a step. Whole steps of cheap bodies are a loop of their own, as a fixed number of
   * lanes stays in registers.
   */
  #steps(side: number, inside: (count: string) => void): void {
    const { k, out } = this;
    out.line("ix i = low;");
    if (nativeWeight(k) <= light) {
      out.open(`for (; high - i >= ${side}; i += ${side}) {`);
      inside(String(side));
      out.close();
    }
    out.open(`for (; i < high; i += ${side}) {`);
    out.line(`const ix count = high - i < ${side} ? high - i : ${side};`);
    inside("count");
    out.close();
  }

  /** Folds `side` lanes in halves, by loops of fixed lengths: lanes without an element hold what changes nothing. */
  #halves(side: number, fold: (half: string) => void): void {
    const { out } = this;
    for (let half = side / 2; half >= 1; half /= 2) {
      out.line("#pragma omp simd");
      out.open(`for (ix l = 0; l < ${half}; l++) {`);
      fold(String(half));
      out.close();
    }
  }

  /** What a sum of 64 bits is of, where that has at most 16. */
  #short(m: Monoid): Expr | null {
    const [e] = this.k.body;
    if (m.name !== "sum" || m.dtypes.length !== 1 || !/int64$/.test(m.dtypes[0]!) || e!.op !== "cast") return null;
    return /^(bool|u?int(8|16))$/.test(e!.src[0]!.dtype) ? e!.src[0]! : null;
  }

  /** Adds a block in lanes of 32 bits. */
  #shortSum(e: Expr, acc: string): void {
    const { out } = this, point = this.point(this.k.rank - 1, "(i + l)");
    out.line(`i32 lane[${lanes}] = {0};`);
    this.#steps(lanes, (count) => {
      this.vectors(`for (ix l = 0; l < ${count}; l++) {`, point, () => {
        const [text] = this.emit.emit([e], point);
        out.line(`lane[l] += (i32)${text};`);
      });
    });
    out.line(`for (ix l = 0; l < ${lanes}; l++) ${acc} += lane[l];`);
  }

  /** Finds the extreme of a block, and then, if it could be that of all, where it is: positions cost more than values. */
  #search(m: Monoid, acc: readonly string[]): void {
    const { k, out } = this, last = k.rank - 1, dtype = m.dtypes[0]!, float = dtypes[dtype].kind === "f";
    const type = dtype === "bool" ? "u8" : cType(dtype);
    const beyond = (a: string, b: string) => m.name === "argmax" ? `${b} < ${a}` : `${a} < ${b}`;
    const better = (v: string, than: string) =>
      `${than} = (${beyond(v, than)})${float ? ` | (${v} != ${v})` : ""} ? ${v} : ${than};`;
    const value = (point: Point): string => {
      const [text] = this.emit.emit(k.body.slice(0, 1), point);
      return this.fresh(dtype, cCast(k.body[0]!.dtype, dtype, text!));
    };
    const lanes = lanesOf([dtype]);
    out.line(`${type} peak[${lanes}];`);
    out.line(`for (ix l = 0; l < ${lanes}; l++) peak[l] = ${bare(cLiteral(dtype, m.init[0]!))};`);
    const point = this.point(last, "(i + l)");
    const peaks = (take: (v: string) => void): void =>
      this.#steps(lanes, (count) => {
        this.vectors(`for (ix l = 0; l < ${count}; l++) {`, point, () => take(value(point)));
      });
    const fold = (take: (v: string) => string): void =>
      this.#halves(lanes, (half) => out.line(take(`peak[l + ${half}]`)));
    if (float) {
      // The processor's maximum loses what a NaN meets, but a product with 0 does not; infinities are looked at again, too.
      out.line(`int odd = high - low < ${4 * lanes};`);
      out.open("if (!odd) {");
      out.line(`${type} rest[${lanes}] = {0};`);
      peaks((v) => {
        out.line(`peak[l] = ${beyond("peak[l]", v)} ? peak[l] : ${v};`);
        out.line(`rest[l] = mad_${type}(${v}, 0, rest[l]);`);
      });
      out.line("#pragma omp simd reduction(| : odd)");
      out.line(`for (ix l = 0; l < ${lanes}; l++) odd |= rest[l] != rest[l];`);
      out.close();
      out.open("if (odd) {");
      out.line(`for (ix l = 0; l < ${lanes}; l++) peak[l] = ${bare(cLiteral(dtype, m.init[0]!))};`);
      peaks((v) => out.line(better(v, "peak[l]")));
      fold((v) => better(v, "peak[l]"));
      out.middle("} else {");
      fold((v) => `peak[l] = ${beyond("peak[l]", v)} ? peak[l] : ${v};`);
      out.close();
    } else {
      out.open("{");
      peaks((v) => out.line(better(v, "peak[l]")));
      fold((v) => better(v, "peak[l]"));
      out.close();
    }
    out.line(`const ${type} top = peak[0];`);
    // Equal ones go on: their position may come first.
    out.line(`if (${beyond(acc[0]!, "top")}) continue;`);
    // Where positions rise, the first is enough.
    out.line(`int open = 1;`);
    const hit = (v: string) => float ? `(${v} == top) | ((${v} != ${v}) & (top != top))` : `${v} == top`;
    out.open(`for (ix i = low; open && i < high; i += ${lanes}) {`);
    out.line(`const ix count = high - i < ${lanes} ? high - i : ${lanes};`);
    // Whether there is one in a step is asked faster than where.
    out.open(`if (top == top && count == ${lanes}) {`);
    out.line("int some = 0;");
    out.line("#pragma omp simd reduction(| : some)");
    out.open(`for (ix l = 0; l < ${lanes}; l++) {`);
    out.line(`some |= ${value(point)} == top;`);
    out.close();
    out.line("if (!some) continue;");
    out.close();
    out.line("ix next = count;");
    out.line("#pragma omp simd reduction(min : next)");
    out.open("for (ix l = 0; l < count; l++) {");
    out.line(`const ix at = ${hit(value(point))} ? l : count;`);
    out.line("next = at < next ? at : next;");
    out.close();
    out.open("for (ix l = next; open && l < count; l++) {");
    out.line(`if (!(${hit(value(point))})) continue;`);
    this.feed(m, point, acc);
    const rising = this.#rising(k.body[1]!);
    if (rising !== null) out.line(rising === "" ? "open = 0;" : `open = !(${rising});`);
    out.close();
    out.close();
  }

  /** Under what condition a position rises along the innermost loop: "" for always, null for unknown. */
  #rising(e: Expr): string | null {
    while (e.op === "cast") e = e.src[0]!;
    if (e.op !== "iota") return null;
    const stride = strideText(this.operands[Number(e.arg)]!, this.k.rank - 1, this.inner);
    return stride === "1" ? "" : /^\d/.test(stride) ? null : `${stride} > 0`;
  }

  #reduceColumns(): void {
    const k = this.k, m = k.reduction!, out = this.out;
    const kept = k.rank - k.reduced, column = kept - 1;
    const outer = this.range(0, column), middle = this.range(kept + 1, k.rank);
    const product = this.range(0, kept).map((i) => `n${i}`).join(" * ");
    this.#parts(kept, product, mostColumns / 2, mostColumns, 1);
    this.arrays(m, "partial", mostColumns);
    // Blocks of equal length.
    out.line(`const i64 blocks = (n${column} + ${columnBlock - 1}) / ${columnBlock};`);
    out.line(`const i64 wide = (n${column} + blocks * 16 - 1) / (blocks * 16) * 16;`);
    this.parallel(column + 2);
    this.open(outer);
    out.open(`for (i64 from = 0; from < n${column}; from += wide) {`);
    out.open("for (i64 part = 0; part < parts; part++) {");
    out.line(`const i64 first = part * length, end = first + length < n${kept} ? first + length : n${kept};`);
    out.line(`const ix width = (ix)(n${column} - from < wide ? n${column} - from : wide);`);
    this.arrays(m, "lane", columnBlock);
    this.fill(m, "lane", "width");
    this.#columnRows(m, outer, column, middle);
    const index = outer.length === 0 ? "i" : `(${this.keptIndex(outer)}) * n${column} + i`;
    this.rows(outer, true, true);
    out.open("for (ix l = 0; l < width; l++) {");
    out.line("const ix i = (ix)from + l;");
    out.open("if (parts > 1) {");
    m.dtypes.forEach((_, j) => out.line(`partial${j}[part * kept + ${index}] = lane${j}[l];`));
    out.middle("} else {");
    this.finish(
      this.freshAll(m, this.elements(m, "lane", "l")),
      this.point(column, "i"),
      (a) => this.offset(a, column, "i"),
    );
    out.close();
    out.close();
    this.close(2 + outer.length);
    // Parts are merged neighbours first, and columns side by side.
    out.open("if (parts > 1) {");
    out.open("for (i64 s = 1; s < parts; s *= 2) {");
    out.open("for (i64 l = 0; l + s < parts; l += 2 * s) {");
    out.line("#pragma omp simd");
    out.open("for (i64 i = 0; i < kept; i++) {");
    const val = m.dtypes.map((d, j) => this.fresh(d, `partial${j}[(l + s) * kept + i]`));
    this.combine(m, this.elements(m, "partial", "l * kept + i"), val);
    this.close(3);
    this.open(outer);
    this.rows(outer, true, true);
    out.open(`for (ix i = 0; i < (ix)n${column}; i++) {`);
    const merged = this.freshAll(m, this.elements(m, "partial", index));
    this.finish(merged, this.point(column, "i"), (a) => this.offset(a, column, "i"));
    this.close(2 + outer.length);
  }

  /** Takes rows of columns into their lanes; of cheap bodies several at once, as lanes are loaded and stored for each. */
  #columnRows(m: Monoid, outer: readonly number[], column: number, middle: readonly number[]): void {
    const { k, out } = this, kept = column + 1, last = k.rank - 1, i = `i${last}`;
    const [from, to] = middle.length === 0 ? ["first", "end"] : ["0", `n${last}`];
    const rows = (count: number): void => {
      out.open(`for (; ${to} - ${i} >= ${count}; ${i} += ${count}) {`);
      this.rows([...outer, kept, ...middle], true, false);
      const points = this.range(0, count).map((row) => this.#columnPoint(column, last, row));
      this.vectors("for (ix l = 0; l < width; l++) {", points[0]!, () => {
        for (const point of points) this.feed(m, point, this.elements(m, "lane", "l"));
      });
      out.close();
    };
    if (middle.length > 0) {
      out.open(`for (i64 i${kept} = first; i${kept} < end; i${kept}++) {`);
      this.open(middle.slice(0, -1));
    }
    out.line(`i64 ${i} = ${from};`);
    if (m.dtypes.length === 1 && nativeWeight(k) <= cheap) rows(rowGroup);
    rows(1);
    this.close(middle.length);
  }

  /** A column in a row of the group that the names of `rows` are of. */
  #columnPoint(column: number, last: number, row: number): Point {
    const point = this.point(column, "((ix)from + l)");
    if (row === 0) return point;
    return {
      ...point,
      operand: (o) => {
        const stride = strideText(this.operands[o]!, last, this.inner), at = point.operand(o);
        return stride === "0" ? at : `${at} + ${row} * (ix)${stride}`;
      },
    };
  }
}
