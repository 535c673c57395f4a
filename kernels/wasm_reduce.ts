/**
 * Reductions in WebAssembly: of rows to one number each, and of columns side by side.
 * @module
 */
import type { Expr } from "./expr.ts";
import { control } from "./wasm_binary.ts";
import { castVec } from "./wasm_cast.ts";
import { size, type Value } from "./wasm_graph.ts";
import { stateBase, stateEnd, wasmStride } from "./wasm_layout.ts";
import { Inexpressible, Vectors } from "./wasm_ops.ts";
import { flags, length, longBody, rows, WasmText, write } from "./wasm_text.ts";
import { maskOf, partsOf, permuted, type Vec, type VecForm, zeros, zip } from "./wasm_vec.ts";

/** Points whose sum is added up plainly before it is added to a total with its rounding error. */
const chunk = 256;
/** Vectors a step takes, if its body is short: of rows that are reduced to one number, of columns and their rows. */
const unroll = { rows: 4, columns: 2, columnRows: 4 } as const;
/** Vectors of float32 that are added up in pairs before they are added in float64. */
const together = 4;
/** Bodies of columns of more values than this are not unrolled. */
const longColumn = 8;

/** Running values of a reduction: their vectors, and locals that hold them. */
export interface Acc {
  readonly form: VecForm;
  readonly locals: readonly number[];
}

/** What has running values. */
export abstract class WasmRunning extends WasmText {
  /** Locals for running values. */
  protected accs(): Acc[] {
    return this.forms.map((form) => ({
      form,
      locals: Array.from({ length: partsOf(form) }, () => this.w.local("v128")),
    }));
  }

  protected vecs(accs: readonly Acc[]): Vec[] {
    return accs.map(({ form, locals }) => ({ form, parts: locals.map((l) => this.local(l, "v128", 2)) }));
  }

  protected inits(): Vec[] {
    const m = this.k.reduction!;
    return m.dtypes.map((dtype, j) => {
      const vectors = new Vectors(this.g, () => {
        throw new Inexpressible("init");
      });
      return vectors.of({ op: "const", dtype, src: [], arg: m.init[j]!, id: 0 });
    });
  }

  protected merge(acc: readonly Vec[], val: readonly Vec[]): Vec[] {
    return acc.map((a, j) => this.combineVec(this.combine[j]!, acc, val, a.form));
  }

  protected combineVec(e: Expr, acc: readonly Vec[], val: readonly Vec[], form: VecForm): Vec {
    // Sums of float32 end in float64, where the expression would round them.
    if (this.plainSum && form === "f64") {
      const j = Number(e.src[0]!.arg);
      return zip("f64", acc[j]!, val[j]!, (p, q) => this.g.op("f64x2.add", [p, q]));
    }
    const v = this.vectors(this.i(), 0, false, acc, val).of(e);
    return form === "m32" ? { form, parts: maskOf(this.g, v, "m32") } : v;
  }

  /** The values that points from `i + step` on bring. */
  protected incoming(i: Value, step: number): Vec[] {
    const vectors = this.vectors(i, step);
    return this.body.map((e, j) => {
      const v = vectors.of(e), form = this.inner[j]!;
      return form === "m32" ? { form, parts: maskOf(this.g, v, "m32") } : v;
    });
  }

  /** Writes vectors to the locals of running values, all read before any is written. */
  protected assign(accs: readonly Acc[], values: readonly Vec[]): void {
    const w = this.w, parts = values.flatMap((v) => [...v.parts]), locals = accs.flatMap((a) => [...a.locals]);
    w.begin(parts);
    w.push(...parts);
    w.end();
    for (const l of [...locals].reverse()) w.emit(control.set(l));
  }

  protected save(accs: readonly Acc[], address: (j: number) => Value, base: (j: number) => number): void {
    accs.forEach(({ locals }, j) =>
      locals.forEach((l, p) => {
        this.w.push(address(j), this.local(l, "v128", 2));
        this.w.emit(control.store(base(j) + 16 * p));
      })
    );
  }

  protected flag(bit: number): Value {
    return this.g.op("i32.and", [this.local(flags, "i32", 0), this.g.i32(bit)]);
  }

  /** Values that came in, put together in pairs and in the form of the running values. */
  protected paired(values: readonly (readonly Vec[])[]): readonly Vec[] {
    if (values.length > 1) {
      const half = values.length / 2;
      return this.paired(values.slice(0, half).map((v, k) => this.merge(v, values[half + k]!)));
    }
    return this.wide ? values[0]!.map((v) => castVec(this.g, v, "float32", "float64")) : values[0]!;
  }
}

/** Rows that are reduced to one number each. */
export class WasmRows extends WasmRunning {
  protected override loops(): void {
    const w = this.w, g = this.g, exact = this.exact;
    const [counter, row, end, stop] = [w.local("i32"), w.local("i32"), w.local("i32"), w.local("i32")] as const;
    const i = this.i(), r = this.local(row, "i32", 1);
    const n = this.local(length, "i32", 0), last = this.local(end, "i32", 1), until = this.local(stop, "i32", 2);
    const single = this.incoming(i, 0);
    const long = size(single.flatMap((v) => v.parts)) > longBody, group = this.wide && !long ? together : 1;
    const accs = Array.from({ length: long ? 2 : unroll.rows }, () => this.accs()), steps = group * accs.length;
    // Totals of chunks, and their rounding errors.
    const totals = exact ? this.accs() : [], errors = exact ? this.accs() : [];
    const kept = exact ? [...totals, ...errors] : accs.flat();
    let at = stateBase;
    const places = kept.map((a) => (at += 16 * a.locals.length) - 16 * a.locals.length);
    if (at > stateEnd) throw new Inexpressible("running values");
    const inits = this.inits(), neutral = this.paired([inits]), first = accs[0]!, result = exact ? totals : first;

    const incoming = Array.from({ length: steps }, (_, u) => u === 0 ? single : this.incoming(i, 4 * u));
    const merged = accs.map((a, u) =>
      this.merge(this.vecs(a), this.paired(incoming.slice(group * u, group * (u + 1))))
    );
    const tail = this.#masked(incoming[0]!, inits, g.op("i32.sub", [last, i]));
    const tailMerged = this.merge(this.vecs(first), this.paired([tail]));
    w.hoist([...merged.flat(), ...tailMerged, ...neutral].flatMap((v) => [...v.parts]), 0);

    this.openLoop(this.less(r, this.local(rows, "i32", 0)));
    this.set(counter, g.op("i32.mul", [r, n]));
    this.set(end, this.add(i, n));
    w.push(this.flag(1));
    w.emit(control.if);
    if (exact) { for (const a of kept) this.assign([a], [zeros(g, a.form)]); }
    else for (const a of accs) this.assign(a, neutral);
    w.emit(control.else);
    kept.forEach((a, j) => a.locals.forEach((l, p) => this.set(l, g.load("v128.load", g.i32(0), places[j]! + 16 * p))));
    w.emit(control.end);

    if (exact) {
      this.openLoop(this.less(i, last));
      const next = this.add(i, g.i32(chunk));
      this.set(stop, g.select(next, last, this.less(next, last)));
      for (const a of accs) this.assign(a, neutral);
    } else this.set(stop, last);
    this.openLoop(g.op("i32.eqz", [this.less(until, this.add(i, g.i32(4 * steps)))]));
    accs.forEach((a, u) => this.assign(a, merged[u]!));
    this.set(counter, this.add(i, g.i32(4 * steps)));
    this.closeLoop();
    // The last points of the row, but of no chunk before: those are whole.
    this.openLoop(this.less(i, until));
    this.assign(first, tailMerged);
    this.set(counter, this.add(i, g.i32(4)));
    this.closeLoop();
    if (exact) {
      this.#foldUnrolled(accs);
      this.#addExactly(totals, errors, first);
      this.closeLoop();
    }

    w.push(this.flag(2));
    w.emit(control.if);
    if (exact) this.assign(totals, this.#corrected(totals, errors));
    else this.#foldUnrolled(accs);
    for (const distance of [2, 1]) {
      const v = this.vecs(result);
      this.assign(result, this.merge(v, v.map((x) => permuted(g, x, distance))));
    }
    write(w, this.stores(this.epilogue, this.vectors(r, 0, true, this.vecs(result)), r, 0, true));
    w.emit(control.else);
    this.save(kept, () => g.i32(0), (j) => places[j]!);
    w.emit(control.end);
    this.set(row, this.add(r, g.i32(1)));
    this.closeLoop();
  }

  /** Incoming values with neutral ones in place of those past the first `left` points. */
  #masked(val: readonly Vec[], inits: readonly Vec[], left: Value): Vec[] {
    const g = this.g;
    const order = g.bytes([0, 1, 2, 3].flatMap((lane) => [lane, 0, 0, 0]));
    const mask: Vec = { form: "m32", parts: [g.op("i32x4.lt_s", [order, g.op("i32x4.splat", [left])])] };
    return val.map((v, j) => {
      const m = maskOf(g, mask, v.parts.length === 2 ? "m64" : "m32");
      return { form: v.form, parts: v.parts.map((p, k) => g.op("v128.bitselect", [p, inits[j]!.parts[k]!, m[k]!])) };
    });
  }

  /** totals += values, errors += what that rounded away (Knuth's two-sum). */
  #addExactly(totals: readonly Acc[], errors: readonly Acc[], values: readonly Acc[]): void {
    const g = this.g, add = (a: Value, b: Value) => g.op("f64x2.add", [a, b]);
    const sub = (a: Value, b: Value) => g.op("f64x2.sub", [a, b]);
    const x = this.vecs(values), t = this.vecs(totals), e = this.vecs(errors);
    const sums = t.map((v, j) => zip("f64", v, x[j]!, add));
    const lost = t.map((v, j): Vec => ({
      form: "f64",
      parts: v.parts.map((p, k) => {
        const s = sums[j]!.parts[k]!, q = x[j]!.parts[k]!, back = sub(s, p);
        return add(e[j]!.parts[k]!, add(sub(p, sub(s, back)), sub(q, back)));
      }),
    }));
    this.assign([...totals, ...errors], [...sums, ...lost]);
  }

  /** Totals with their errors; those of infinities are NaN and do not count. */
  #corrected(totals: readonly Acc[], errors: readonly Acc[]): Vec[] {
    const g = this.g, e = this.vecs(errors);
    return this.vecs(totals).map((t, j) =>
      zip("f64", t, e[j]!, (p, q) => g.op("f64x2.add", [p, g.op("v128.and", [q, g.op("f64x2.eq", [q, q])])]))
    );
  }

  #foldUnrolled(accs: readonly (readonly Acc[])[]): void {
    const [first, ...others] = accs;
    for (const a of others) this.assign(first!, this.merge(this.vecs(first!), this.vecs(a)));
  }
}

/** Columns that are reduced side by side. */
export class WasmColumns extends WasmRunning {
  protected override loops(): void {
    const w = this.w, g = this.g;
    const [counter, row, offset] = [w.local("i32"), w.local("i32"), w.local("i32")] as const;
    const i = this.i(), r = this.local(row, "i32", 2), n = this.local(length, "i32", 0);
    const from = this.add(this.local(offset, "i32", 2), i), stride = g.load("i32.load", g.i32(0), wasmStride);
    const short = size(this.incoming(from, 0).flatMap((v) => v.parts)) <= longColumn;
    const tiles = Array.from({ length: short ? unroll.columns : 1 }, (_, t) => 4 * t);
    const accs = tiles.map(() => this.accs()), inits = this.paired([this.inits()]);
    /** The running values after some rows more. */
    const after = (count: number): Vec[][] =>
      tiles.map((step, t) => {
        const rows = Array.from({ length: count }, (_, u) => {
          const at = u === 0 ? from : this.add(from, g.op("i32.mul", [stride, g.i32(u)]));
          return this.incoming(at, step);
        });
        const values = this.wide ? [this.paired(rows)] : rows;
        return values.reduce<Vec[]>((acc, val) => this.merge(acc, val), this.vecs(accs[t]!));
      });
    const [one, several] = [after(1), after(unroll.columnRows)];
    w.hoist([...one.flat(), ...(short ? several.flat() : []), ...inits].flatMap((v) => [...v.parts]), 0);
    const place = (j: number) => this.bytes(i, 4 * partsOf(this.forms[j]!));
    const at = (j: number, step: number) => this.columns[j]! + step * 4 * partsOf(this.forms[j]!);
    const loaded = tiles.map((step, t) =>
      this.forms.map((form, j): Vec => ({
        form,
        parts: accs[t]![j]!.locals.map((_, p) => g.load("v128.load", place(j), at(j, step) + 16 * p)),
      }))
    );
    this.openLoop(this.less(i, n));
    if (this.plainSum) { for (const a of accs) this.assign(a, inits); }
    else {
      w.push(this.flag(1));
      w.emit(control.if);
      for (const a of accs) this.assign(a, inits);
      w.emit(control.else);
      accs.forEach((a, t) => this.assign(a, loaded[t]!));
      w.emit(control.end);
    }
    this.set(row, g.i32(0));
    this.set(offset, g.i32(0));
    const loop = (count: number, values: readonly (readonly Vec[])[]): void => {
      const next = this.add(r, g.i32(count));
      this.openLoop(g.op("i32.eqz", [this.less(this.local(rows, "i32", 0), next)]));
      this.assign(accs.flat(), values.flat());
      this.set(row, next);
      this.set(offset, this.add(this.local(offset, "i32", 2), g.op("i32.mul", [stride, g.i32(count)])));
      this.closeLoop();
    };
    if (short) loop(unroll.columnRows, several);
    loop(1, one);
    if (this.plainSum) {
      // Rows of one call are added up by themselves: shorter sums round less.
      w.push(g.op("i32.eqz", [this.flag(1)]));
      w.emit(control.if);
      accs.forEach((a, t) => this.assign(a, this.merge(loaded[t]!, this.vecs(a))));
      w.emit(control.end);
    }
    w.push(this.flag(2));
    w.emit(control.if);
    write(
      w,
      tiles.flatMap((step, t) => this.stores(this.epilogue, this.vectors(i, step, true, this.vecs(accs[t]!)), i, step)),
    );
    w.emit(control.else);
    tiles.forEach((step, t) => this.save(accs[t]!, place, (j) => at(j, step)));
    w.emit(control.end);
    this.set(counter, this.add(i, g.i32(4 * tiles.length)));
    this.closeLoop();
  }
}
