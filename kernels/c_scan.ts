/**
 * Scans and scatters in the C dialect.
 * @module
 */
import type { ScalarType } from "../src/base/dtype.ts";
import { CText } from "./c_kernel.ts";
import { cType } from "./c_ops.ts";
import { ExprBuilder } from "./expr.ts";
import type { Monoid } from "./kernel.ts";
import { scatterCombine } from "./scatter.ts";

/** Running values side by side of a scan along an outer axis. */
const columnBlock = 256;
/** Parts a long row is cut into, rows that are, and their least length: of sizes alone, so that threads do not change results. */
const parts = 16;
const fewRows = 8;
const longRow = 65536;

/** The text of a scan. */
export class CScan extends CText {
  protected override loops(): void {
    const { k, out } = this, m = k.reduction!, last = k.rank - 1, y = this.outputs[0]!;
    const columns = last > 0 && y.access === "strided", cut = this.#divisible(m);
    if (columns) {
      const [near, far] = [`y0s${last - 1}`, `y0s${last}`];
      out.open(`if (${near} != 0 && __builtin_llabs(${near}) < __builtin_llabs(${far})) {`);
      this.#columns(m);
      out.middle(cut ? `} else if (${this.#few()}) {` : "} else {");
    } else if (cut) out.open(`if (${this.#few()}) {`);
    if (cut) {
      this.#inParts(m);
      out.middle("} else {");
    }
    this.#rowByRow(m);
    if (columns || cut) out.close();
  }

  /** Whether what is stored are the running values themselves, so that the sum of earlier parts can be added to them. */
  #divisible(m: Monoid): boolean {
    const { epilogue, outputs } = this.k;
    const stored = outputs.flatMap((o) => new Array<ScalarType>(o.components).fill(o.dtype));
    return epilogue!.length === m.dtypes.length && epilogue!.every((e, j) => e.op === "acc" && Number(e.arg) === j) &&
      m.dtypes.every((dtype, j) => stored[j] === dtype);
  }

  #few(): string {
    const last = this.k.rank - 1;
    return `n${last} >= ${longRow} && ${this.range(0, last).map((i) => `n${i}`).join(" * ") || "1"} < ${fewRows}`;
  }

  #rowByRow(m: Monoid): void {
    const last = this.k.rank - 1, outer = this.range(0, last);
    if (outer.length > 0) this.parallel(outer.length);
    this.open(outer);
    this.rows(outer, true, true);
    this.#row(m, this.init(m, "a"), "0", `n${last}`);
    this.close(outer.length);
  }

  #row(m: Monoid, acc: readonly string[], from: string, to: string): void {
    const { out } = this, last = this.k.rank - 1;
    out.open(`for (ix i = (ix)${from}; i < (ix)${to}; i++) {`);
    this.feed(m, this.point(last, "i"), acc);
    this.finish(acc, this.point(last, "i"), (a) => this.offset(a, last, "i"));
    out.close();
  }

  /** Many scans side by side, where neighbours in memory belong to different ones. */
  #columns(m: Monoid): void {
    const { out } = this, last = this.k.rank - 1, column = last - 1, outer = this.range(0, column);
    this.parallel(last);
    this.open(outer);
    out.open(`for (ix from = 0; from < (ix)n${column}; from += ${columnBlock}) {`);
    out.line(`const ix width = (ix)(n${column} - from < ${columnBlock} ? n${column} - from : ${columnBlock});`);
    this.arrays(m, "lane", columnBlock);
    this.fill(m, "lane", "width");
    this.open([last]);
    this.rows([...outer, last], true, true);
    const lane = this.elements(m, "lane", "l"), point = this.point(column, "(from + l)");
    this.vectors("for (ix l = 0; l < width; l++) {", point, () => {
      this.feed(m, point, lane);
      this.finish(this.freshAll(m, lane), point, (a) => this.offset(a, column, "(from + l)"));
    });
    this.close(2 + outer.length);
  }

  /** Scans each part, then adds to each what came before it: the last value of one is exactly where the next goes on. */
  #inParts(m: Monoid): void {
    const { out } = this, last = this.k.rank - 1, outer = this.range(0, last);
    const index = `(${this.keptIndex(outer)}) * ${parts}`;
    const part = (from: number) => {
      this.parallel(outer.length + 1);
      this.open(outer);
      out.open(`for (i64 part = ${from}; part < ${parts}; part++) {`);
      out.line(`const i64 first = part * length, end = first + length < n${last} ? first + length : n${last};`);
    };
    out.line(`const i64 length = (n${last} + ${parts - 1}) / ${parts};`);
    this.arrays(m, "partial", fewRows * parts);
    part(0);
    this.rows(outer, true, true);
    const acc = this.init(m, "a");
    this.#row(m, acc, "first", "end");
    acc.forEach((a, j) => out.line(`partial${j}[${index} + part] = ${a};`));
    this.close(1 + outer.length);
    this.open(outer);
    const sum = this.init(m, "b");
    out.open(`for (i64 part = 0; part < ${parts}; part++) {`);
    const own = this.freshAll(m, this.elements(m, "partial", `${index} + part`));
    sum.forEach((b, j) => out.line(`partial${j}[${index} + part] = ${b};`));
    this.combine(m, sum, own);
    this.close(1 + outer.length);
    part(1);
    this.rows(outer, false, true);
    const before = this.freshAll(m, this.elements(m, "partial", `${index} + part`));
    out.line("#pragma omp simd");
    out.open(`for (ix i = (ix)first; i < (ix)end; i++) {`);
    const stored = this.outputs.flatMap((a, j) => {
      const at = this.offset(a, last, "i");
      return a.components === 1 ? [`q${j}[${at}]`] : [`q${j}[${at}]`, `q${j}[${at} + 1]`];
    });
    const result = m.dtypes.map((d, j) => {
      const name = this.emit.name("w");
      out.line(`${cType(d)} ${name} = ${before[j]};`);
      return name;
    });
    this.combine(m, result, this.freshAll(m, stored));
    result.forEach((w, j) => out.line(`${stored[j]} = ${w};`));
    this.close(2 + outer.length);
  }
}

/** Points from which on a scatter uses threads, the most parts it is cut into, and their least columns. */
const sharedFrom = 65536;
const mostShares = 8;
const leastColumns = 16;

/**
 * The text of a scatter. Threads share out a loop that is an axis of the output: its points never meet, so what does meet is
 * combined in order.
 */
export class CScatter extends CText {
  protected override loops(): void {
    const { k, out } = this, last = k.rank - 1, outer = this.range(0, last);
    if (k.outputs[0]!.access !== "single") {
      const columns = `(n${last} + ${mostShares * leastColumns - 1}) / ${mostShares * leastColumns} * ${leastColumns}`;
      const moves = k.outputs[0]!.access === "unit" ? "" : `y0s${last} != 0 && `;
      out.line(`const i64 columns = ${moves}${this.total()} >= ${sharedFrom} ? ${columns} : n${last};`);
      out.line("#pragma omp parallel for schedule(static) if (columns < n" + last + ")");
      out.open(`for (i64 from = 0; from < n${last}; from += columns) {`);
      out.line(`const ix to = (ix)(from + columns < n${last} ? from + columns : n${last});`);
      this.open(outer);
      this.rows(outer, true, true);
      this.#row("(ix)from", "to");
      this.close(1 + outer.length);
    } else {
      if (last > 0) {
        out.line(`#pragma omp parallel for schedule(static) if (y0s0 != 0 && ${this.total()} >= ${sharedFrom})`);
      }
      this.open(outer);
      this.rows(outer, true, true);
      this.#row("0", `(ix)n${last}`);
      this.close(outer.length);
    }
  }

  #row(from: string, to: string): void {
    const { k, out } = this, last = k.rank - 1, o = k.outputs[0]!;
    out.open(`for (ix i = ${from}; i < ${to}; i++) {`);
    const texts = this.emit.emit([...k.index, ...k.body], this.point(last, "i"));
    const at = this.emit.name("at");
    const index = k.index.map((_, j) => `(i64)${texts[j]} * y0g${j}`);
    out.line(`const i64 ${at} = ${[this.offset(this.outputs[0]!, last, "i"), ...index].join(" + ")};`);
    const values = k.body.map((e, c) => this.named(e.dtype, texts[k.index.length + c]!, "v"));
    const old = k.mode === "set"
      ? []
      : k.body.map((e, c) => this.fresh(e.dtype, this.value(e.dtype, `q0[${at}${c ? " + 1" : ""}]`)));
    const exprs = scatterCombine(new ExprBuilder(), k.mode!, k.body.map((e) => e.dtype));
    const results = this.settle(exprs, this.emit.emit(exprs, { operand: () => "", acc: old, val: values }));
    results.forEach((t, c) => this.store(o.dtype, `q0[${at}${c ? " + 1" : ""}]`, exprs[c]!.dtype, t));
    out.close();
  }
}
