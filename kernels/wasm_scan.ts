/**
 * Scans in WebAssembly.
 * @module
 */
import { control } from "./wasm_binary.ts";
import type { Value } from "./wasm_graph.ts";
import { stateBase, stateEnd } from "./wasm_layout.ts";
import { Inexpressible } from "./wasm_ops.ts";
import { type Acc, WasmRunning } from "./wasm_reduce.ts";
import { length, rootsOf, rows, type Store, store } from "./wasm_text.ts";
import { isHalf, laneFirst, partsOf, type Vec } from "./wasm_vec.ts";

/** A scan: points one after the other, as their results are: running values are lane 0 of vectors. */
export class WasmScan extends WasmRunning {
  protected override loops(): void {
    const w = this.w, g = this.g;
    // A half is rounded after each step, which a vector of one takes longer for.
    if (this.k.reduction!.dtypes.some(isHalf)) throw new Inexpressible("running halves");
    const [counter, row, end] = [w.local("i32"), w.local("i32"), w.local("i32")] as const;
    const i = this.i(), r = this.local(row, "i32", 1), last = this.local(end, "i32", 1);
    const accs = this.forms.map((form): Acc => ({ form, locals: [w.local("v128")] }));
    const places = accs.map((_, j) => stateBase + 16 * j);
    if (stateBase + 16 * accs.length > stateEnd) throw new Inexpressible("running values");
    const single = (x: Vec, v: Value): Vec => ({ form: x.form, parts: x.parts.map(() => v) });
    const start = this.inits().map((x) => single(x, x.parts[0]!));
    const incoming = this.incoming(i, 0);
    /** The running values after each of four points. */
    const after: Vec[][] = [];
    for (let lane = 0; lane < 4; lane++) {
      const before = after.at(-1) ??
        accs.map(({ form, locals }, j) => single({ form, parts: start[j]!.parts }, this.local(locals[0]!, "v128", 2)));
      const val = incoming.map((x) => single(x, laneFirst(g, x, lane)));
      after.push(this.merge(before, val).map((x) => single(x, x.parts[0]!)));
    }
    const results = accs.map(({ form }, j): Vec => {
      const [a, b, c, d] = after.map((x) => x[j]!.parts[0]!) as [Value, Value, Value, Value];
      if (partsOf(form) === 2) return { form, parts: [g.shuffle(a, b, 8, [0, 2]), g.shuffle(c, d, 8, [0, 2])] };
      const pair = (x: Value, y: Value) => g.shuffle(x, y, 4, [0, 4, 0, 4]);
      return { form, parts: [g.shuffle(pair(a, b), pair(c, d), 8, [0, 2])] };
    });
    const stores = this.stores(this.epilogue, this.vectors(i, 0, false, results), i, 0);
    const one = this.stores(this.epilogue, this.vectors(i, 0, false, after[0]!), i, 0, true);
    const [four, next] = [after[3]!, after[0]!].map((x) => x.map((v) => v.parts[0]!)) as [Value[], Value[]];
    w.hoist([...rootsOf(stores), ...rootsOf(one), ...four, ...start.map((v) => v.parts[0]!)], 0);
    const step = (stored: readonly Store[], values: readonly Value[], count: number): void => {
      w.begin([...values, ...rootsOf(stored)]);
      store(w, stored);
      w.push(...values);
      for (const { locals } of [...accs].reverse()) w.emit(control.set(locals[0]!));
      w.end();
      this.set(counter, this.add(i, g.i32(count)));
    };

    this.openLoop(this.less(r, this.local(rows, "i32", 0)));
    this.set(counter, g.op("i32.mul", [r, this.local(length, "i32", 0)]));
    this.set(end, this.add(i, this.local(length, "i32", 0)));
    w.push(this.flag(1));
    w.emit(control.if);
    accs.forEach(({ locals }, j) => this.set(locals[0]!, start[j]!.parts[0]!));
    w.emit(control.else);
    accs.forEach(({ locals }, j) => this.set(locals[0]!, g.load("v128.load", g.i32(0), places[j]!)));
    w.emit(control.end);
    this.openLoop(g.op("i32.eqz", [this.less(last, this.add(i, g.i32(4)))]));
    step(stores, four, 4);
    this.closeLoop();
    this.openLoop(this.less(i, last));
    step(one, next, 1);
    this.closeLoop();
    this.save(accs, () => g.i32(0), (j) => places[j]!);
    this.set(row, this.add(r, g.i32(1)));
    this.closeLoop();
  }
}
