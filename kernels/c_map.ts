/**
 * Maps in the C dialect. Where an array moves along its rows while the result moves along its columns, tiles of it are first
 * copied, row by row of its own, into a small memory that is read like the result.
 * @module
 */
import { dtypes } from "../src/base/dtype.ts";
import { CText } from "./c_kernel.ts";
import { cMemory } from "./c_ops.ts";
import { light, nativeWeight } from "./cost.ts";
import { type ArrayText, type Point, strideText } from "./render.ts";

/** Elements of a row that one step of a parallel loop takes. */
const rowBlock = 4096;
/** Columns of a tile, and what its rows take in the array it is read from: four lines of the cache. */
const tileColumns = 64;
const tileBytes = 256;
const line = 64;
/** Columns ahead of which memory is asked for; no processor guesses steps this long by itself. */
const ahead = 8;

/** Bytes of the pieces in which a result goes past the cache. */
const piece = 512;

/** Whether one stride moves by less than another, but moves. */
const shorter = (a: string, b: string): string => `(${a} != 0 && __builtin_llabs(${a}) < __builtin_llabs(${b}))`;

/** The text of a map. */
export class CMap extends CText {
  protected override loops(): void {
    const { k, out } = this, last = k.rank - 1, crossing = this.#crossing();
    if (crossing.length === 0) return this.#rowByRow();
    const near = crossing.map((a) => shorter(`${a.name}s${last - 1}`, `${a.name}s${last}`)).join(" || ");
    out.open(`if (n${last - 1} > 4 && n${last} > 4 && (${near})) {`);
    this.#tiled(crossing);
    out.middle("} else {");
    this.#rowByRow();
    out.close();
  }

  /** The operands that may move fastest along another loop than the last. */
  #crossing(): ArrayText[] {
    const { k } = this;
    if (k.rank === 1) return [];
    return this.operands.filter((a, j) =>
      a.access === "strided" && !k.operands[j]!.virtual && k.operands[j]!.gathered === 0
    );
  }

  #rowByRow(): void {
    const { k, out } = this, plain = () => this.#inner(this.point(k.rank - 1, "i"));
    if (!this.#streams()) return this.#nest(plain);
    // Loops of their own: what pieces need would cost each short row of the others some twenty instructions.
    out.open(`if (is_streamed(${this.#outputSize()} * ${this.total()}, ${this.#moved()} * ${this.total()})) {`);
    this.#nest(() => this.#pieces());
    out.middle("} else {");
    this.#nest(plain);
    out.close();
  }

  /** All loops around `inner`, which goes from `from` to `to`. */
  #nest(inner: () => void): void {
    const { k, out } = this, last = k.rank - 1, outer = this.range(0, last);
    this.parallel(k.rank);
    // Where the innermost loop is no row of the result, what lies between its elements is visited while it is in the cache.
    const inside = k.outputs.some((o) => o.access === "strided") ? outer.slice(-1) : [];
    this.open(outer.slice(0, outer.length - inside.length));
    out.open(`for (i64 from = 0; from < n${last}; from += ${rowBlock}) {`);
    this.open(inside);
    out.line(`const ix to = (ix)(from + ${rowBlock} < n${last} ? from + ${rowBlock} : n${last});`);
    this.rows(outer, true, true);
    inner();
    this.close(k.rank);
  }

  #outputSize(): number {
    return dtypes[this.k.outputs[0]!.dtype].itemsize;
  }

  /** Bytes of a point that come from memory or go there: not those of operands that are read again and again. */
  #moved(): string {
    const { k } = this;
    const operands = this.operands.filter((a, j) => a.access !== "single" && !k.operands[j]!.virtual);
    return `(${
      [
        this.#outputSize(),
        ...operands.map((a) =>
          k.rank === 1 ? this.#itemsize(a) : `(${strideText(a, 0, this.inner)} != 0) * ${this.#itemsize(a)}`
        ),
      ].join(" + ")
    })`;
  }

  /** Whether a large result may go past the cache: it is one array without gaps, and memory is what a point takes. */
  #streams(): boolean {
    const { k } = this, [o, more] = k.outputs;
    return more === undefined && o!.access === "unit" && o!.components === 1 && nativeWeight(k) <= light;
  }

  /** The innermost loop through a small memory that is moved on, past the cache, piece by piece. */
  #pieces(): void {
    const { k, out } = this, last = k.rank - 1, size = this.#outputSize(), length = piece / size;
    const type = cMemory[k.outputs[0]!.dtype];
    out.line(`${type} piece[${length}] __attribute__((aligned(64)));`);
    out.line(`${type} *const target = q0;`);
    out.open("for (ix low = (ix)from, high; low < to; low = high) {");
    out.line(`high = to - low > ${length} ? low + ${length} : to;`);
    out.line(`${type} *const q0 = (${type} *)((u64)piece - (u64)low * ${size});`);
    this.#inner(this.point(last, "i"), "low", "high");
    out.line(`stream(target + low, piece, (high - low) * ${size});`);
    out.close();
    out.line("stream_end();");
  }

  /** The innermost loop, from `from` to `to`. */
  #inner(point: Point, from = "(ix)from", to = "to"): void {
    const { k, out } = this, last = k.rank - 1;
    // In a choice the compiler would load what is the same for a row only where it is chosen, and not by vectors.
    k.operands.forEach((o, j) => {
      if (o.access !== "single" || o.virtual || o.gathered > 0 || o.components > 1) return;
      out.line(`const ${cMemory[o.dtype]} h${j} = p${j}[0];`);
      this.held.add(j);
    });
    this.vectors(`for (ix i = ${from}; i < ${to}; i++) {`, point, () => {
      const texts = this.emit.emit(k.body, point);
      this.storeAll(k.body, this.settle(k.body, texts), (a) => this.offset(a, last, "i"));
    });
  }

  /** The outer loop in which an array moves by the least becomes the last but one: the order of outer loops is free. */
  protected override before(): void {
    const { k, out } = this, near = k.rank - 2, [a] = this.#crossing();
    if (a === undefined || near === 0) return;
    out.line("i64 near = 0;");
    for (let d = 1; d <= near; d++) {
      out.line(
        `if (${shorter(`n[${a.strides + d}]`, `n[${a.strides} + near]`)} || n[${a.strides} + near] == 0) near = ${d};`,
      );
    }
  }

  protected override loopSlot(loop: number, first = 0): string {
    const near = this.k.rank - 2;
    if (loop > near || near === 0 || this.#crossing().length === 0) return super.loopSlot(loop, first);
    return loop === near ? `${first} + near` : `near == ${loop} ? ${first + near} : ${first + loop}`;
  }

  #tiled(crossing: readonly ArrayText[]): void {
    const { k, out } = this, last = k.rank - 1, near = last - 1;
    const outer = this.range(0, near);
    const size = Math.max(...crossing.map((a) => this.#itemsize(a)));
    const tileRows = Math.min(64, tileBytes / size);
    this.parallel(k.rank);
    this.open(outer);
    out.open(`for (i64 top = 0; top < n${near}; top += ${tileRows}) {`);
    out.open(`for (i64 from = 0; from < n${last}; from += ${tileColumns}) {`);
    out.line(`const i64 bottom = top + ${tileRows} < n${near} ? top + ${tileRows} : n${near};`);
    out.line(`const ix to = (ix)(from + ${tileColumns} < n${last} ? from + ${tileColumns} : n${last});`);
    for (const a of crossing) this.#fillTile(a, outer, tileRows);
    out.open(`for (i64 i${near} = top; i${near} < bottom; i${near}++) {`);
    this.rows(
      [...outer, near],
      true,
      true,
      (a) => crossing.includes(a) ? `tile${a.name} + (i${near} - top) * ${tileColumns * a.components}` : null,
    );
    const point = this.point(last, "i");
    this.#inner({
      ...point,
      operand: (j) => {
        const a = this.operands[j]!;
        if (!crossing.includes(a)) return point.operand(j);
        return a.components === 1 ? "(i - (ix)from)" : "(i - (ix)from) * 2";
      },
    });
    this.close(3 + outer.length);
  }

  /** Bytes of an element. */
  #itemsize(a: ArrayText): number {
    return dtypes[this.k.operands[this.operands.indexOf(a)]!.dtype].itemsize * a.components;
  }

  /** Copies what a tile needs of an array, along the loop in which it moves by less. */
  #fillTile(a: ArrayText, outer: readonly number[], tileRows: number): void {
    const { k, out } = this, last = k.rank - 1, near = last - 1, tile = `tile${a.name}`;
    const type = cMemory[k.operands[this.operands.indexOf(a)]!.dtype];
    const step = `${a.name}s${near}`;
    const base = outer.reduce((at, i) => `${at} + i${i} * ${strideText(a, i, this.inner)}`, a.name);
    out.line(`${type} ${tile}[${tileRows * tileColumns * a.components}];`);
    out.open("for (i64 c = from; c < to; c++) {");
    out.line(`const ${type} *const source = ${base} + top * ${step} + c * ${a.name}s${last};`);
    out.line(`${type} *const target = ${tile} + (c - from) * ${a.components};`);
    for (let at = 0; at < tileRows * this.#itemsize(a); at += line) {
      const row = at / this.#itemsize(a);
      out.line(`__builtin_prefetch(source + ${ahead} * ${a.name}s${last} + ${row} * ${step});`);
    }
    out.open("for (i64 r = 0; r < bottom - top; r++) {");
    for (const more of a.components === 1 ? [""] : ["", " + 1"]) {
      out.line(`target[r * ${tileColumns * a.components}${more}] = source[r * ${step}${more}];`);
    }
    out.close();
    out.close();
  }
}
