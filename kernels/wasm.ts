/**
 * The WebAssembly dialect: kernels as modules of 128-bit vector code over blocks of points.
 *
 * A module knows nothing of strides: whoever runs it tells where the points of each array lie in a row in the engine's memory. Arrays that do not
 * lie there so are copied to blocks at the memory's beginning and back. So one module serves all layouts.
 * @module
 */
import { dtypes } from "../src/base/dtype.ts";
import { type Expr, ExprBuilder, type LoadArg } from "./expr.ts";
import type { Kernel, MonoidName, Output } from "./kernel.ts";
import { accExprs, isPlainSum } from "./monoid.ts";
import { scatterCombine } from "./scatter.ts";
import { simplify } from "./simplify.ts";
import { control, ModuleWriter, type WasmType } from "./wasm_binary.ts";
import { castVec } from "./wasm_cast.ts";
import { BodyWriter, Graph, size, type Value } from "./wasm_graph.ts";
import { addresses, gatherVec, type WasmIndex } from "./wasm_index.ts";
import {
  blockBase,
  stateBase,
  stateEnd,
  type WasmModule,
  wasmScratch,
  type WasmSlot,
  wasmStride,
  wasmTable,
} from "./wasm_layout.ts";
import { Inexpressible, Vectors } from "./wasm_ops.ts";
import type { WasmFeatures } from "./wasm_probe.ts";
import { addCallees, calleeCost, imports } from "./wasm_scalar.ts";
import {
  formOf,
  isHalf,
  laneFirst,
  loadVec,
  maskOf,
  partsOf,
  permuted,
  scalarVec,
  storedVec,
  type Vec,
  type VecForm,
  zeros,
  zip,
} from "./wasm_vec.ts";

/** Points a block has at most: enough that the engine's own copies are quick, few enough that blocks stay in the second cache. */
const mostPoints = 8192;
/** Points whose sum is added up plainly before it is added to a total with its rounding error. */
const chunk = 256;
/** Vectors a step of a loop takes, if its body is short: of maps, of rows that are reduced to one number, of columns and their rows. */
const unroll = { map: 2, rows: 4, columns: 2, columnRows: 4 } as const;
/** Vectors of float32 that are added up in pairs before they are added in float64. */
const together = 4;
/** Bodies of more values than this are not unrolled, those of columns of more than the second; of more bytes than the last, not compiled. */
const longBody = 48, longColumn = 8, mostBytes = 64 << 10;
/** Steps of a map that are taken with guards where one found something. */
const detour = 16;

/** What modules import besides the memory. */
export const wasmImports: Readonly<Record<string, (x: number, y: number) => number>> = imports;

const commutative: ReadonlySet<MonoidName> = new Set(["sum", "prod", "min", "max", "any", "all", "argmin", "argmax"]);

/**
 * Compiles a kernel to WebAssembly.
 *
 * @returns null for what this dialect cannot say: a few operations
 */
export function compileWasm(kernel: Kernel, features: WasmFeatures = { fused: false }): WasmModule | null {
  const m = kernel.reduction;
  if (kernel.kind === "reduce" && !commutative.has(m!.name)) return null;
  const indexed = kernel.kind === "scatter" || kernel.operands.some((o) => o.gathered > 0);
  if (kernel.wide && indexed || kernel.scalars.length > stateBase / 8) return null;
  try {
    return new WasmText(kernel, features).module();
  } catch (error) {
    if (error instanceof Inexpressible) return null;
    throw error;
  }
}

/** A vector that is stored, or the first bytes of it. */
interface Store {
  readonly address: Value;
  readonly at: number;
  readonly value: Value;
  readonly bytes: number;
}

/** Running values of a reduction: their vectors, and locals that hold them. */
interface Acc {
  readonly form: VecForm;
  readonly locals: readonly number[];
}

const rows = 0, length = 1, flags = 2, parameters = 3;

class WasmText {
  readonly #k: Kernel;
  readonly #body: readonly Expr[];
  readonly #epilogue: readonly Expr[];
  readonly #combine: readonly Expr[];
  readonly #index: readonly Expr[];
  readonly #mode: WasmModule["mode"];
  readonly #slots: WasmSlot[] = [];
  readonly #outputs: { base: number; bytes: number }[] = [];
  readonly #indexed: WasmModule["indexed"][number][] = [];
  readonly #points: number;
  readonly #g: Graph;
  /** Forms of what comes in and of the running values, and where the columns' lie between calls. */
  readonly #inner: readonly VecForm[];
  readonly #forms: readonly VecForm[];
  readonly #columns: number[] = [];
  readonly #plainSum: boolean;
  /** Sums of float64 whose rounding errors are added up too, and sums of float32, which run in float64. */
  readonly #exact: boolean;
  readonly #wide: boolean;
  readonly #module = new ModuleWriter();
  readonly #w = new BodyWriter(this.#module, parameters);
  /** Indices of the functions that the graph calls, once they were added. */
  #callees: readonly number[] | null = null;
  /** Points a map takes at once. */
  #step = 4;

  constructor(k: Kernel, { fused }: WasmFeatures) {
    this.#k = k;
    this.#g = new Graph(fused);
    const m = k.reduction;
    const epilogue = k.epilogue ?? (m === null ? [] : accExprs(m));
    const combine = k.kind === "scatter"
      ? scatterCombine(new ExprBuilder(), k.mode!, k.body.map((e) => e.dtype))
      : m?.combine ?? [];
    const roots = simplify([...k.body, ...epilogue, ...combine, ...k.index]);
    const next = (list: readonly Expr[]) => roots.splice(0, list.length);
    this.#body = next(k.body);
    this.#epilogue = next(epilogue);
    this.#combine = next(combine);
    this.#index = roots;
    this.#mode = k.kind !== "reduce" ? k.kind : k.inner === "kept" ? "columns" : "rows";
    this.#plainSum = k.kind === "reduce" && isPlainSum(m!);
    this.#exact = this.#plainSum && m!.dtypes.every((d) => d === "float64");
    this.#wide = this.#plainSum && m!.dtypes.every((d) => d === "float32");
    this.#inner = m === null ? [] : m.dtypes.map(formOf);
    this.#forms = this.#wide ? this.#inner.map(() => "f64") : this.#inner;
    this.#points = this.#layout();
  }

  /** Gives every array its block. */
  #layout(): number {
    const k = this.#k;
    const wanted: Omit<WasmSlot, "base">[] = [];
    const want = (roots: readonly Expr[], kept: boolean) => {
      const seen = new Set<Expr>();
      const visit = (e: Expr): void => {
        if (seen.has(e)) return;
        seen.add(e);
        e.src.forEach(visit);
        if (e.op !== "load" && e.op !== "iota" && e.op !== "gather") return;
        const operand = e.op === "iota" ? Number(e.arg) : (e.arg as LoadArg).operand;
        if (wanted.some((s) => s.operand === operand && s.kept === kept)) return;
        const o = k.operands[operand]!;
        const offsets = o.virtual || o.gathered > 0;
        wanted.push({ operand, kept, offsets, bytes: offsets ? 4 : elementBytes(o) });
      };
      roots.forEach(visit);
    };
    const scatter = this.#mode === "scatter";
    want([...this.#body, ...this.#index], false);
    want(this.#epilogue, this.#mode !== "scan");
    if (scatter) wanted.push({ operand: -1, kept: false, offsets: true, bytes: 4 });
    const outputs = scatter ? [] : k.outputs.map(elementBytes);
    const columns = this.#mode === "columns" ? this.#forms.map((f) => 4 * partsOf(f)) : [];
    const sizes = [...wanted.map((s) => s.bytes), ...outputs, ...columns];
    // Blocks begin a line apart from where the one before would put them, so that they do not compete for the same sets of the cache.
    const gap = 192, room = wasmScratch - blockBase - gap * sizes.length;
    const points = Math.min(mostPoints, Math.floor(room / sizes.reduce((a, b) => a + b, 0)) & -64);
    let entry = wanted.length + outputs.length;
    for (const operand of new Set(wanted.map((s) => s.operand))) {
      const o = operand < 0 ? k.outputs[0]! : k.operands[operand]!;
      const axes = operand < 0 ? k.index.length : k.operands[operand]!.gathered;
      if (operand >= 0 && axes === 0) continue;
      this.#indexed.push({ operand, entry, bytes: elementBytes(o) });
      entry += 1 + axes;
    }
    if (entry > (blockBase - wasmTable) / 4 || !(points >= 256)) throw new Inexpressible(`${sizes.length} arrays`);
    let at = blockBase;
    const place = (bytes: number) => {
      const base = at;
      at += points * bytes + gap;
      return base;
    };
    for (const s of wanted) this.#slots.push({ ...s, base: place(s.bytes) });
    for (const bytes of outputs) this.#outputs.push({ base: place(bytes), bytes });
    for (const bytes of columns) this.#columns.push(place(bytes));
    return points;
  }

  module(): WasmModule {
    if (this.#mode === "map") this.#map();
    else if (this.#mode === "rows") this.#rows();
    else if (this.#mode === "scan") this.#scan();
    else if (this.#mode === "scatter") this.#scatter();
    else this.#reduceColumns();
    if (this.#w.bytes.length > mostBytes) throw new Inexpressible(`a body of ${this.#w.bytes.length} bytes`);
    const module = this.#module;
    this.#w.link(this.#callees ?? addCallees(module, this.#g.callees));
    module.add({ parameters: ["i32", "i32", "i32"], results: [] }, this.#w.locals, this.#w.bytes);
    return {
      bytes: module.bytes(),
      mode: this.#mode,
      points: this.#points,
      step: this.#step,
      slots: this.#slots,
      outputs: this.#outputs,
      indexed: this.#indexed,
      ...this.#cost(),
    };
  }

  #cost(): { readonly cost: number; readonly copies: number } {
    const arrays = [
      ...this.#slots.filter((s) => !s.kept),
      ...(this.#mode === "map" || this.#mode === "scan" ? this.#outputs : []),
    ];
    const bytes = arrays.reduce((sum, a) => sum + a.bytes, 0);
    const seen = new Set<Value>();
    const visit = (v: Value): number => {
      if (seen.has(v) || v.level === 0) return 0;
      seen.add(v);
      const own = v.op === "call" ? calleeCost(this.#g.callees[v.imm[0]!]!) : v.op.endsWith(".div") ? 1.5 : 0.25;
      return v.args.reduce((sum, a) => sum + visit(a), own);
    };
    const i = this.#i();
    const vectors = this.#vectors(i, 0);
    const ops = this.#body.flatMap((e) => [...vectors.of(e).parts]).reduce((sum, v) => sum + visit(v), 0);
    // Points of scans and scatters wait for one another.
    const wait = this.#mode === "scan" || this.#mode === "scatter" ? 1 : 0;
    return { cost: 0.05 + wait + bytes * 0.01 + ops / 4, copies: 0.15 + bytes * 0.04 };
  }

  // Values

  /** The local that counts points. */
  #i(): Value {
    return this.#local(this.#counter, "i32", 2);
  }
  readonly #counter = parameters;

  #local(index: number, type: WasmType, level: number): Value {
    return this.#g.local(index, type, level);
  }

  #add(a: Value, b: Value): Value {
    return this.#g.op("i32.add", [a, b]);
  }

  /** Bytes before point `i` where each takes `bytes`. */
  #bytes(i: Value, bytes: number): Value {
    return bytes === 1 ? i : this.#g.op("i32.shl", [i, this.#g.i32(Math.log2(bytes))]);
  }

  /** The address of the first point of a slot or, after them, an output. */
  #base(array: number): Value {
    return this.#g.load("i32.load", this.#g.i32(0), wasmTable + 4 * array);
  }

  /** The address of point `i` of an array. */
  #address(base: Value, i: Value, bytes: number): Value {
    return this.#add(base, this.#bytes(i, bytes));
  }

  /** Expressions at four points from `i + step` on. */
  #vectors(i: Value, step: number, kept = false, acc: readonly Vec[] = [], val: readonly Vec[] = []): Vectors {
    const g = this.#g;
    return new Vectors(g, (e, src) => {
      switch (e.op) {
        case "scalar":
          return scalarVec(g, e.dtype, g.i32(0), 8 * Number(e.arg));
        case "acc":
          // A float32 sum is kept in float64.
          return formOf(e.dtype) === "f32" && acc[Number(e.arg)]!.form === "f64"
            ? castVec(g, acc[Number(e.arg)]!, "float64", "float32")
            : acc[Number(e.arg)]!;
        case "val":
          return val[Number(e.arg)]!;
        case "gather": {
          const { operand, component } = e.arg as LoadArg,
            indices = src.map((vec, k) => ({ vec, dtype: e.src[k]!.dtype }));
          return gatherVec(
            g,
            this.#k.operands[operand]!.dtype,
            component,
            this.#places(operand, i, step, kept, indices),
          );
        }
        case "iota":
        case "load": {
          const operand = e.op === "iota" ? Number(e.arg) : (e.arg as LoadArg).operand, o = this.#k.operands[operand]!;
          const slot = this.#slots.findIndex((s) => s.operand === operand && s.kept === kept);
          const { bytes } = this.#slots[slot]!;
          const address = this.#address(this.#base(slot), i, bytes), at = step * bytes;
          if (e.op === "iota") return castVec(g, loadVec(g, "int32", 1, 0, address, at), "int32", e.dtype);
          return loadVec(g, o.dtype, o.components, (e.arg as LoadArg).component, address, at);
        }
        default:
          throw new Inexpressible(e.op);
      }
    });
  }

  /** The addresses of four points, from `i + step` on, of what is indexed. */
  #places(operand: number, i: Value, step: number, kept: boolean, indices: readonly WasmIndex[]): Value[] {
    const slot = this.#slots.findIndex((s) => s.operand === operand && s.kept === kept);
    const { entry, bytes } = this.#indexed.find((x) => x.operand === operand)!;
    const offsets = this.#g.load("v128.load", this.#address(this.#base(slot), i, 4), 4 * step);
    return addresses(this.#g, entry, offsets, indices, bytes);
  }

  // Statements

  #set(local: number, value: Value): void {
    this.#w.push(value);
    this.#w.emit(control.set(local));
  }

  /** Opens a loop that runs while `condition`; `#closeLoop` ends it. */
  #openLoop(condition: Value): void {
    this.#w.emit(control.block, control.loop);
    this.#w.push(this.#g.op("i32.eqz", [condition]));
    this.#w.emit(control.brIf(1));
  }

  #closeLoop(): void {
    this.#w.emit(control.br(0), control.end, control.end);
  }

  #less(a: Value, b: Value): Value {
    return this.#g.op("i32.lt_s", [a, b]);
  }

  /** What is stored of the outputs at four points from `i + step` on, or at `i` only. */
  #stores(exprs: readonly Expr[], vectors: Vectors, i: Value, step: number, single = false): Store[] {
    let next = 0;
    return this.#k.outputs.flatMap((o, j) => {
      const components = exprs.slice(next, next += o.components).map((e) =>
        castVec(this.#g, vectors.of(e), e.dtype, o.dtype)
      );
      const { values, bytes: each } = storedVec(this.#g, o.dtype, components), { bytes } = this.#outputs[j]!;
      const address = this.#address(this.#base(this.#slots.length + j), i, bytes);
      if (single) return [{ address, at: 0, value: values[0]!, bytes }];
      return values.map((value, part) => ({ address, at: step * bytes + 16 * part, value, bytes: each }));
    });
  }

  #map(): void {
    const w = this.#w, g = this.#g;
    w.local("i32");
    const i = this.#i(), n = this.#local(length, "i32", 0);
    const first = this.#stores(this.#body, this.#vectors(i, 0), i, 0);
    const steps = size(first.map((s) => s.value)) > longBody ? 1 : unroll.map;
    const stores = Array.from(
      { length: steps },
      (_, u) => u === 0 ? first : this.#stores(this.#body, this.#vectors(i, 4 * u), i, 4 * u),
    ).flat();
    this.#step = 4 * steps;
    const next = this.#add(i, g.i32(this.#step));
    const ordinary = this.#ordinary(stores, i, next);
    w.hoist(rootsOf(stores), 0);
    this.#openLoop(this.#less(i, n));
    if (ordinary !== null) {
      const stop = w.local("i32"), far = this.#add(i, g.i32(detour * this.#step));
      w.push(i, n, n);
      w.emit(control.call(ordinary), control.set(this.#counter));
      this.#set(stop, g.select(far, n, this.#less(far, n)));
      this.#openLoop(this.#less(i, this.#local(stop, "i32", 1)));
    }
    write(w, stores);
    this.#set(this.#counter, next);
    if (ordinary !== null) this.#closeLoop();
    this.#closeLoop();
  }

  /** Points one after the other, as several may go to one place. */
  #scatter(): void {
    const w = this.#w, g = this.#g, o = this.#k.outputs[0]!, bytes = elementBytes(o);
    w.local("i32");
    const i = this.#i(), n = this.#local(length, "i32", 0), vectors = this.#vectors(i, 0);
    const values = this.#body.map((e) => vectors.of(e));
    const indices = this.#index.map((e) => ({ vec: vectors.of(e), dtype: e.dtype }));
    const stores = this.#places(-1, i, 0, false, indices).map((address, lane): Store => {
      const first = (x: Vec): Vec => ({ form: x.form, parts: x.parts.map(() => laneFirst(g, x, lane)) });
      const old = this.#k.mode === "set"
        ? []
        : this.#body.map((_, c) => loadVec(g, o.dtype, o.components, c as 0 | 1, address, 0));
      const results = this.#vectors(i, 0, false, old, values.map(first));
      const parts = this.#combine.map((e) => castVec(g, results.of(e), e.dtype, o.dtype));
      return { address, at: 0, value: storedVec(g, o.dtype, parts).values[0]!, bytes };
    });
    w.hoist(rootsOf(stores), 0);
    const loop = (count: number, stored: readonly Store[]) => {
      const next = this.#add(i, g.i32(count));
      this.#openLoop(g.op("i32.eqz", [this.#less(n, next)]));
      write(w, stored);
      this.#set(this.#counter, next);
      this.#closeLoop();
    };
    loop(4, stores);
    loop(1, stores.slice(0, 1));
  }

  /**
   * A function that goes on from a point until a guard finds something, and returns where; null where there are no guards. It makes none of
   * their calls: around calls engines keep few values in registers.
   */
  #ordinary(stores: readonly Store[], i: Value, next: Value): number | null {
    const g = this.#g, found = g.unguarded(stores.map((s) => s.value));
    if (found === null) return null;
    this.#callees = addCallees(this.#module, g.callees);
    const w = new BodyWriter(this.#module, parameters),
      plain = stores.map((s, k) => ({ ...s, value: found.roots[k]! }));
    w.local("i32");
    w.hoist([found.any, ...rootsOf(plain)], 0);
    w.push(this.#local(rows, "i32", 0));
    w.emit(control.set(this.#counter), control.block, control.loop);
    w.push(g.op("i32.eqz", [this.#less(i, this.#local(length, "i32", 0))]));
    w.emit(control.brIf(1));
    write(w, plain, () => {
      w.push(found.any);
      w.emit(control.brIf(1));
    }, [found.any]);
    w.push(next);
    w.emit(control.set(this.#counter), control.br(0), control.end, control.end);
    w.push(i);
    w.link(this.#callees);
    return this.#module.add({ parameters: ["i32", "i32", "i32"], results: ["i32"] }, w.locals, w.bytes);
  }

  // Reductions

  /** Locals for running values. */
  #accs(): Acc[] {
    return this.#forms.map((form) => ({
      form,
      locals: Array.from({ length: partsOf(form) }, () => this.#w.local("v128")),
    }));
  }

  #vecs(accs: readonly Acc[]): Vec[] {
    return accs.map(({ form, locals }) => ({ form, parts: locals.map((l) => this.#local(l, "v128", 2)) }));
  }

  #inits(): Vec[] {
    const m = this.#k.reduction!;
    return m.dtypes.map((dtype, j) => {
      const vectors = new Vectors(this.#g, () => {
        throw new Inexpressible("init");
      });
      return vectors.of({ op: "const", dtype, src: [], arg: m.init[j]!, id: 0 });
    });
  }

  #merge(acc: readonly Vec[], val: readonly Vec[]): Vec[] {
    return acc.map((a, j) => this.#combineVec(this.#combine[j]!, acc, val, a.form));
  }

  #combineVec(e: Expr, acc: readonly Vec[], val: readonly Vec[], form: VecForm): Vec {
    // Sums of float32 end in float64, where the expression would round them.
    if (this.#plainSum && form === "f64") {
      const j = Number(e.src[0]!.arg);
      return zip("f64", acc[j]!, val[j]!, (p, q) => this.#g.op("f64x2.add", [p, q]));
    }
    const v = this.#vectors(this.#i(), 0, false, acc, val).of(e);
    return form === "m32" ? { form, parts: maskOf(this.#g, v, "m32") } : v;
  }

  /** The values that points from `i + step` on bring. */
  #incoming(i: Value, step: number): Vec[] {
    const vectors = this.#vectors(i, step);
    return this.#body.map((e, j) => {
      const v = vectors.of(e), form = this.#inner[j]!;
      return form === "m32" ? { form, parts: maskOf(this.#g, v, "m32") } : v;
    });
  }

  /** Writes vectors to the locals of running values, all read before any is written. */
  #assign(accs: readonly Acc[], values: readonly Vec[]): void {
    const w = this.#w, parts = values.flatMap((v) => [...v.parts]), locals = accs.flatMap((a) => [...a.locals]);
    w.begin(parts);
    w.push(...parts);
    w.end();
    for (const l of [...locals].reverse()) w.emit(control.set(l));
  }

  #save(accs: readonly Acc[], address: (j: number) => Value, base: (j: number) => number): void {
    accs.forEach(({ locals }, j) =>
      locals.forEach((l, p) => {
        this.#w.push(address(j), this.#local(l, "v128", 2));
        this.#w.emit(control.store(base(j) + 16 * p));
      })
    );
  }

  #flag(bit: number): Value {
    return this.#g.op("i32.and", [this.#local(flags, "i32", 0), this.#g.i32(bit)]);
  }

  #rows(): void {
    const w = this.#w, g = this.#g, exact = this.#exact;
    const [counter, row, end, stop] = [w.local("i32"), w.local("i32"), w.local("i32"), w.local("i32")] as const;
    const i = this.#i(), r = this.#local(row, "i32", 1);
    const n = this.#local(length, "i32", 0), last = this.#local(end, "i32", 1), until = this.#local(stop, "i32", 2);
    const single = this.#incoming(i, 0);
    const long = size(single.flatMap((v) => v.parts)) > longBody, group = this.#wide && !long ? together : 1;
    const accs = Array.from({ length: long ? 2 : unroll.rows }, () => this.#accs()), steps = group * accs.length;
    // Totals of chunks, and their rounding errors.
    const totals = exact ? this.#accs() : [], errors = exact ? this.#accs() : [];
    const kept = exact ? [...totals, ...errors] : accs.flat();
    let at = stateBase;
    const places = kept.map((a) => (at += 16 * a.locals.length) - 16 * a.locals.length);
    if (at > stateEnd) throw new Inexpressible("running values");
    const inits = this.#inits(), neutral = this.#paired([inits]), first = accs[0]!, result = exact ? totals : first;

    const incoming = Array.from({ length: steps }, (_, u) => u === 0 ? single : this.#incoming(i, 4 * u));
    const merged = accs.map((a, u) =>
      this.#merge(this.#vecs(a), this.#paired(incoming.slice(group * u, group * (u + 1))))
    );
    const tail = this.#masked(incoming[0]!, inits, g.op("i32.sub", [last, i]));
    const tailMerged = this.#merge(this.#vecs(first), this.#paired([tail]));
    w.hoist([...merged.flat(), ...tailMerged, ...neutral].flatMap((v) => [...v.parts]), 0);

    this.#openLoop(this.#less(r, this.#local(rows, "i32", 0)));
    this.#set(counter, g.op("i32.mul", [r, n]));
    this.#set(end, this.#add(i, n));
    w.push(this.#flag(1));
    w.emit(control.if);
    if (exact) { for (const a of kept) this.#assign([a], [zeros(g, a.form)]); }
    else for (const a of accs) this.#assign(a, neutral);
    w.emit(control.else);
    kept.forEach((a, j) =>
      a.locals.forEach((l, p) => this.#set(l, g.load("v128.load", g.i32(0), places[j]! + 16 * p)))
    );
    w.emit(control.end);

    if (exact) {
      this.#openLoop(this.#less(i, last));
      const next = this.#add(i, g.i32(chunk));
      this.#set(stop, g.select(next, last, this.#less(next, last)));
      for (const a of accs) this.#assign(a, neutral);
    } else this.#set(stop, last);
    this.#openLoop(g.op("i32.eqz", [this.#less(until, this.#add(i, g.i32(4 * steps)))]));
    accs.forEach((a, u) => this.#assign(a, merged[u]!));
    this.#set(counter, this.#add(i, g.i32(4 * steps)));
    this.#closeLoop();
    // The last points of the row, but of no chunk before: those are whole.
    this.#openLoop(this.#less(i, until));
    this.#assign(first, tailMerged);
    this.#set(counter, this.#add(i, g.i32(4)));
    this.#closeLoop();
    if (exact) {
      this.#foldUnrolled(accs);
      this.#addExactly(totals, errors, first);
      this.#closeLoop();
    }

    w.push(this.#flag(2));
    w.emit(control.if);
    if (exact) this.#assign(totals, this.#corrected(totals, errors));
    else this.#foldUnrolled(accs);
    for (const distance of [2, 1]) {
      const v = this.#vecs(result);
      this.#assign(result, this.#merge(v, v.map((x) => permuted(g, x, distance))));
    }
    write(w, this.#stores(this.#epilogue, this.#vectors(r, 0, true, this.#vecs(result)), r, 0, true));
    w.emit(control.else);
    this.#save(kept, () => g.i32(0), (j) => places[j]!);
    w.emit(control.end);
    this.#set(row, this.#add(r, g.i32(1)));
    this.#closeLoop();
  }

  /** Values that came in, put together in pairs and in the form of the running values. */
  #paired(values: readonly (readonly Vec[])[]): readonly Vec[] {
    if (values.length > 1) {
      const half = values.length / 2;
      return this.#paired(values.slice(0, half).map((v, k) => this.#merge(v, values[half + k]!)));
    }
    return this.#wide ? values[0]!.map((v) => castVec(this.#g, v, "float32", "float64")) : values[0]!;
  }

  /** Incoming values with neutral ones in place of those past the first `left` points. */
  #masked(val: readonly Vec[], inits: readonly Vec[], left: Value): Vec[] {
    const g = this.#g;
    const order = g.bytes([0, 1, 2, 3].flatMap((lane) => [lane, 0, 0, 0]));
    const mask: Vec = { form: "m32", parts: [g.op("i32x4.lt_s", [order, g.op("i32x4.splat", [left])])] };
    return val.map((v, j) => {
      const m = maskOf(g, mask, v.parts.length === 2 ? "m64" : "m32");
      return { form: v.form, parts: v.parts.map((p, k) => g.op("v128.bitselect", [p, inits[j]!.parts[k]!, m[k]!])) };
    });
  }

  #foldUnrolled(accs: readonly (readonly Acc[])[]): void {
    const [first, ...others] = accs;
    for (const a of others) this.#assign(first!, this.#merge(this.#vecs(first!), this.#vecs(a)));
  }

  /** totals += values, errors += what that rounded away (Knuth's two-sum). */
  #addExactly(totals: readonly Acc[], errors: readonly Acc[], values: readonly Acc[]): void {
    const g = this.#g, add = (a: Value, b: Value) => g.op("f64x2.add", [a, b]);
    const sub = (a: Value, b: Value) => g.op("f64x2.sub", [a, b]);
    const x = this.#vecs(values), t = this.#vecs(totals), e = this.#vecs(errors);
    const sums = t.map((v, j) => zip("f64", v, x[j]!, add));
    const lost = t.map((v, j): Vec => ({
      form: "f64",
      parts: v.parts.map((p, k) => {
        const s = sums[j]!.parts[k]!, q = x[j]!.parts[k]!, back = sub(s, p);
        return add(e[j]!.parts[k]!, add(sub(p, sub(s, back)), sub(q, back)));
      }),
    }));
    this.#assign([...totals, ...errors], [...sums, ...lost]);
  }

  /** Totals with their errors; those of infinities are NaN and do not count. */
  #corrected(totals: readonly Acc[], errors: readonly Acc[]): Vec[] {
    const g = this.#g, e = this.#vecs(errors);
    return this.#vecs(totals).map((t, j) =>
      zip("f64", t, e[j]!, (p, q) => g.op("f64x2.add", [p, g.op("v128.and", [q, g.op("f64x2.eq", [q, q])])]))
    );
  }

  /** Points one after the other, as their results are: running values are lane 0 of vectors. */
  #scan(): void {
    const w = this.#w, g = this.#g;
    // A half is rounded after each step, which a vector of one takes longer for.
    if (this.#k.reduction!.dtypes.some(isHalf)) throw new Inexpressible("running halves");
    const [counter, row, end] = [w.local("i32"), w.local("i32"), w.local("i32")] as const;
    const i = this.#i(), r = this.#local(row, "i32", 1), last = this.#local(end, "i32", 1);
    const accs = this.#forms.map((form): Acc => ({ form, locals: [w.local("v128")] }));
    const places = accs.map((_, j) => stateBase + 16 * j);
    if (stateBase + 16 * accs.length > stateEnd) throw new Inexpressible("running values");
    const single = (x: Vec, v: Value): Vec => ({ form: x.form, parts: x.parts.map(() => v) });
    const start = this.#inits().map((x) => single(x, x.parts[0]!));
    const incoming = this.#incoming(i, 0);
    /** The running values after each of four points. */
    const after: Vec[][] = [];
    for (let lane = 0; lane < 4; lane++) {
      const before = after.at(-1) ??
        accs.map(({ form, locals }, j) => single({ form, parts: start[j]!.parts }, this.#local(locals[0]!, "v128", 2)));
      const val = incoming.map((x) => single(x, laneFirst(g, x, lane)));
      after.push(this.#merge(before, val).map((x) => single(x, x.parts[0]!)));
    }
    const results = accs.map(({ form }, j): Vec => {
      const [a, b, c, d] = after.map((x) => x[j]!.parts[0]!) as [Value, Value, Value, Value];
      if (partsOf(form) === 2) return { form, parts: [g.shuffle(a, b, 8, [0, 2]), g.shuffle(c, d, 8, [0, 2])] };
      const pair = (x: Value, y: Value) => g.shuffle(x, y, 4, [0, 4, 0, 4]);
      return { form, parts: [g.shuffle(pair(a, b), pair(c, d), 8, [0, 2])] };
    });
    const stores = this.#stores(this.#epilogue, this.#vectors(i, 0, false, results), i, 0);
    const one = this.#stores(this.#epilogue, this.#vectors(i, 0, false, after[0]!), i, 0, true);
    const [four, next] = [after[3]!, after[0]!].map((x) => x.map((v) => v.parts[0]!)) as [Value[], Value[]];
    w.hoist([...rootsOf(stores), ...rootsOf(one), ...four, ...start.map((v) => v.parts[0]!)], 0);
    const step = (stored: readonly Store[], values: readonly Value[], count: number): void => {
      w.begin([...values, ...rootsOf(stored)]);
      store(w, stored);
      w.push(...values);
      for (const { locals } of [...accs].reverse()) w.emit(control.set(locals[0]!));
      w.end();
      this.#set(counter, this.#add(i, g.i32(count)));
    };

    this.#openLoop(this.#less(r, this.#local(rows, "i32", 0)));
    this.#set(counter, g.op("i32.mul", [r, this.#local(length, "i32", 0)]));
    this.#set(end, this.#add(i, this.#local(length, "i32", 0)));
    w.push(this.#flag(1));
    w.emit(control.if);
    accs.forEach(({ locals }, j) => this.#set(locals[0]!, start[j]!.parts[0]!));
    w.emit(control.else);
    accs.forEach(({ locals }, j) => this.#set(locals[0]!, g.load("v128.load", g.i32(0), places[j]!)));
    w.emit(control.end);
    this.#openLoop(g.op("i32.eqz", [this.#less(last, this.#add(i, g.i32(4)))]));
    step(stores, four, 4);
    this.#closeLoop();
    this.#openLoop(this.#less(i, last));
    step(one, next, 1);
    this.#closeLoop();
    this.#save(accs, () => g.i32(0), (j) => places[j]!);
    this.#set(row, this.#add(r, g.i32(1)));
    this.#closeLoop();
  }

  #reduceColumns(): void {
    const w = this.#w, g = this.#g;
    const [counter, row, offset] = [w.local("i32"), w.local("i32"), w.local("i32")] as const;
    const i = this.#i(), r = this.#local(row, "i32", 2), n = this.#local(length, "i32", 0);
    const from = this.#add(this.#local(offset, "i32", 2), i), stride = g.load("i32.load", g.i32(0), wasmStride);
    const short = size(this.#incoming(from, 0).flatMap((v) => v.parts)) <= longColumn;
    const tiles = Array.from({ length: short ? unroll.columns : 1 }, (_, t) => 4 * t);
    const accs = tiles.map(() => this.#accs()), inits = this.#paired([this.#inits()]);
    /** The running values after some rows more. */
    const after = (count: number): Vec[][] =>
      tiles.map((step, t) => {
        const rows = Array.from({ length: count }, (_, u) => {
          const at = u === 0 ? from : this.#add(from, g.op("i32.mul", [stride, g.i32(u)]));
          return this.#incoming(at, step);
        });
        const values = this.#wide ? [this.#paired(rows)] : rows;
        return values.reduce<Vec[]>((acc, val) => this.#merge(acc, val), this.#vecs(accs[t]!));
      });
    const [one, several] = [after(1), after(unroll.columnRows)];
    w.hoist([...one.flat(), ...(short ? several.flat() : []), ...inits].flatMap((v) => [...v.parts]), 0);
    const place = (j: number) => this.#bytes(i, 4 * partsOf(this.#forms[j]!));
    const at = (j: number, step: number) => this.#columns[j]! + step * 4 * partsOf(this.#forms[j]!);
    const loaded = tiles.map((step, t) =>
      this.#forms.map((form, j): Vec => ({
        form,
        parts: accs[t]![j]!.locals.map((_, p) => g.load("v128.load", place(j), at(j, step) + 16 * p)),
      }))
    );
    this.#openLoop(this.#less(i, n));
    if (this.#plainSum) { for (const a of accs) this.#assign(a, inits); }
    else {
      w.push(this.#flag(1));
      w.emit(control.if);
      for (const a of accs) this.#assign(a, inits);
      w.emit(control.else);
      accs.forEach((a, t) => this.#assign(a, loaded[t]!));
      w.emit(control.end);
    }
    this.#set(row, g.i32(0));
    this.#set(offset, g.i32(0));
    const loop = (count: number, values: readonly (readonly Vec[])[]): void => {
      const next = this.#add(r, g.i32(count));
      this.#openLoop(g.op("i32.eqz", [this.#less(this.#local(rows, "i32", 0), next)]));
      this.#assign(accs.flat(), values.flat());
      this.#set(row, next);
      this.#set(offset, this.#add(this.#local(offset, "i32", 2), g.op("i32.mul", [stride, g.i32(count)])));
      this.#closeLoop();
    };
    if (short) loop(unroll.columnRows, several);
    loop(1, one);
    if (this.#plainSum) {
      // Rows of one call are added up by themselves: shorter sums round less.
      w.push(g.op("i32.eqz", [this.#flag(1)]));
      w.emit(control.if);
      accs.forEach((a, t) => this.#assign(a, this.#merge(loaded[t]!, this.#vecs(a))));
      w.emit(control.end);
    }
    w.push(this.#flag(2));
    w.emit(control.if);
    write(
      w,
      tiles.flatMap((step, t) =>
        this.#stores(this.#epilogue, this.#vectors(i, step, true, this.#vecs(accs[t]!)), i, step)
      ),
    );
    w.emit(control.else);
    tiles.forEach((step, t) => this.#save(accs[t]!, place, (j) => at(j, step)));
    w.emit(control.end);
    this.#set(counter, this.#add(i, g.i32(4 * tiles.length)));
    this.#closeLoop();
  }
}

function elementBytes({ dtype, components }: Output): number {
  return dtypes[dtype].itemsize * components;
}

/** What storing needs: addresses and values. */
function rootsOf(stores: readonly Store[]): Value[] {
  return stores.flatMap((s) => [s.address, s.value]);
}

/** Computes what is stored and stores it, after something else that needs values. */
function write(w: BodyWriter, stores: readonly Store[], before?: () => void, more: readonly Value[] = []): void {
  w.begin([...more, ...rootsOf(stores)]);
  before?.();
  store(w, stores);
  w.end();
}

function store(w: BodyWriter, stores: readonly Store[]): void {
  for (const { address, at, value, bytes } of stores) {
    w.push(address, value);
    w.emit(bytes === 16 ? control.store(at) : control.storeLane(bytes, at));
  }
}
