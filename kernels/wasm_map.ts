/**
 * Maps and scatters in WebAssembly.
 * @module
 */
import { control } from "./wasm_binary.ts";
import { castVec } from "./wasm_cast.ts";
import { BodyWriter, size, type Value } from "./wasm_graph.ts";
import { addCallees } from "./wasm_scalar.ts";
import { elementBytes, length, longBody, parameters, rootsOf, rows, type Store, WasmText, write } from "./wasm_text.ts";
import { laneFirst, loadVec, storedVec, type Vec } from "./wasm_vec.ts";

/** Vectors a step takes, if its body is short. */
const unroll = 2;
/** Steps that are taken with guards where one found something. */
const detour = 16;

/** A map: some vectors a step. */
export class WasmMap extends WasmText {
  protected override loops(): void {
    const w = this.w, g = this.g;
    w.local("i32");
    const i = this.i(), n = this.local(length, "i32", 0);
    const first = this.stores(this.body, this.vectors(i, 0), i, 0);
    const steps = size(first.map((s) => s.value)) > longBody ? 1 : unroll;
    const stores = Array.from(
      { length: steps },
      (_, u) => u === 0 ? first : this.stores(this.body, this.vectors(i, 4 * u), i, 4 * u),
    ).flat();
    this.step = 4 * steps;
    const next = this.add(i, g.i32(this.step));
    const ordinary = this.#ordinary(stores, i, next);
    w.hoist(rootsOf(stores), 0);
    this.openLoop(this.less(i, n));
    if (ordinary !== null) {
      const stop = w.local("i32"), far = this.add(i, g.i32(detour * this.step));
      w.push(i, n, n);
      w.emit(control.call(ordinary), control.set(this.counter));
      this.set(stop, g.select(far, n, this.less(far, n)));
      this.openLoop(this.less(i, this.local(stop, "i32", 1)));
    }
    write(w, stores);
    this.set(this.counter, next);
    if (ordinary !== null) this.closeLoop();
    this.closeLoop();
  }

  /**
   * A function that goes on from a point until a guard finds something, and returns where; null where there are no guards. It makes none of
   * their calls: around calls engines keep few values in registers.
   */
  #ordinary(stores: readonly Store[], i: Value, next: Value): number | null {
    const g = this.g, found = g.unguarded(stores.map((s) => s.value));
    if (found === null) return null;
    this.callees = addCallees(this.writer, g.callees);
    const w = new BodyWriter(this.writer, parameters),
      plain = stores.map((s, k) => ({ ...s, value: found.roots[k]! }));
    w.local("i32");
    w.hoist([found.any, ...rootsOf(plain)], 0);
    w.push(this.local(rows, "i32", 0));
    w.emit(control.set(this.counter), control.block, control.loop);
    w.push(g.op("i32.eqz", [this.less(i, this.local(length, "i32", 0))]));
    w.emit(control.brIf(1));
    write(w, plain, () => {
      w.push(found.any);
      w.emit(control.brIf(1));
    }, [found.any]);
    w.push(next);
    w.emit(control.set(this.counter), control.br(0), control.end, control.end);
    w.push(i);
    w.link(this.callees);
    return this.writer.add({ parameters: ["i32", "i32", "i32"], results: ["i32"] }, w.locals, w.bytes);
  }
}

/** A scatter: points one after the other, as several may go to one place. */
export class WasmScatter extends WasmText {
  protected override loops(): void {
    const w = this.w, g = this.g, o = this.k.outputs[0]!, bytes = elementBytes(o);
    w.local("i32");
    const i = this.i(), n = this.local(length, "i32", 0), vectors = this.vectors(i, 0);
    const values = this.body.map((e) => vectors.of(e));
    const indices = this.index.map((e) => ({ vec: vectors.of(e), dtype: e.dtype }));
    const stores = this.places(-1, i, 0, false, indices).map((address, lane): Store => {
      const first = (x: Vec): Vec => ({ form: x.form, parts: x.parts.map(() => laneFirst(g, x, lane)) });
      const old = this.k.mode === "set"
        ? []
        : this.body.map((_, c) => loadVec(g, o.dtype, o.components, c as 0 | 1, address, 0));
      const results = this.vectors(i, 0, false, old, values.map(first));
      const parts = this.combine.map((e) => castVec(g, results.of(e), e.dtype, o.dtype));
      return { address, at: 0, value: storedVec(g, o.dtype, parts).values[0]!, bytes };
    });
    w.hoist(rootsOf(stores), 0);
    const loop = (count: number, stored: readonly Store[]) => {
      const next = this.add(i, g.i32(count));
      this.openLoop(g.op("i32.eqz", [this.less(n, next)]));
      write(w, stored);
      this.set(this.counter, next);
      this.closeLoop();
    };
    loop(4, stores);
    loop(1, stores.slice(0, 1));
  }
}
