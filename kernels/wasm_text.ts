/**
 * What modules of WebAssembly share: places of arrays, expressions at some points, loops and stores.
 * @module
 */
import { dtypes } from "../src/base/dtype.ts";
import { type Expr, ExprBuilder, type LoadArg } from "./expr.ts";
import type { Kernel, Output } from "./kernel.ts";
import { accExprs, isPlainSum } from "./monoid.ts";
import { scatterCombine } from "./scatter.ts";
import { simplify } from "./simplify.ts";
import { control, ModuleWriter, type WasmType } from "./wasm_binary.ts";
import { castVec } from "./wasm_cast.ts";
import { BodyWriter, Graph, type Value } from "./wasm_graph.ts";
import { addresses, gatherVec, type WasmIndex } from "./wasm_index.ts";
import { blockBase, type WasmModule, wasmScratch, type WasmSlot, wasmTable } from "./wasm_layout.ts";
import { Inexpressible, Vectors } from "./wasm_ops.ts";
import type { WasmFeatures } from "./wasm_probe.ts";
import { addCallees, calleeCost } from "./wasm_scalar.ts";
import { formOf, loadVec, partsOf, scalarVec, storedVec, type Vec, type VecForm } from "./wasm_vec.ts";

/** Points a block has at most: enough that the engine's own copies are quick, few enough that blocks stay in the second cache. */
const mostPoints = 8192;
/** Bodies of more bytes than this are not compiled. */
const mostBytes = 64 << 10;

/** Bodies of more values than this are not unrolled. */
export const longBody = 48;

/** A vector that is stored, or the first bytes of it. */
export interface Store {
  readonly address: Value;
  readonly at: number;
  readonly value: Value;
  readonly bytes: number;
}

/** Locals of the module's function: its parameters. */
export const rows = 0, length = 1, flags = 2, parameters = 3;

/** What the modules of all kinds of kernels share; a kind says what its loops are. */
export abstract class WasmText {
  protected readonly k: Kernel;
  protected readonly body: readonly Expr[];
  protected readonly epilogue: readonly Expr[];
  protected readonly combine: readonly Expr[];
  protected readonly index: readonly Expr[];
  protected readonly mode: WasmModule["mode"];
  protected readonly slots: WasmSlot[] = [];
  protected readonly outputs: { base: number; bytes: number }[] = [];
  protected readonly indexed: WasmModule["indexed"][number][] = [];
  protected readonly points: number;
  protected readonly g: Graph;
  /** Forms of what comes in and of the running values, and where the columns' lie between calls. */
  protected readonly inner: readonly VecForm[];
  protected readonly forms: readonly VecForm[];
  protected readonly columns: number[] = [];
  protected readonly plainSum: boolean;
  /** Sums of float64 whose rounding errors are added up too, and sums of float32, which run in float64. */
  protected readonly exact: boolean;
  protected readonly wide: boolean;
  protected readonly writer = new ModuleWriter();
  protected readonly w = new BodyWriter(this.writer, parameters);
  /** Indices of the functions that the graph calls, once they were added. */
  protected callees: readonly number[] | null = null;
  /** Points a map takes at once. */
  protected step = 4;

  constructor(k: Kernel, { fused }: WasmFeatures) {
    this.k = k;
    this.g = new Graph(fused);
    const m = k.reduction;
    const epilogue = k.epilogue ?? (m === null ? [] : accExprs(m));
    const combine = k.kind === "scatter"
      ? scatterCombine(new ExprBuilder(), k.mode!, k.body.map((e) => e.dtype))
      : m?.combine ?? [];
    const roots = simplify([...k.body, ...epilogue, ...combine, ...k.index]);
    const next = (list: readonly Expr[]) => roots.splice(0, list.length);
    this.body = next(k.body);
    this.epilogue = next(epilogue);
    this.combine = next(combine);
    this.index = roots;
    this.mode = k.kind !== "reduce" ? k.kind : k.inner === "kept" ? "columns" : "rows";
    this.plainSum = k.kind === "reduce" && isPlainSum(m!);
    this.exact = this.plainSum && m!.dtypes.every((d) => d === "float64");
    this.wide = this.plainSum && m!.dtypes.every((d) => d === "float32");
    this.inner = m === null ? [] : m.dtypes.map(formOf);
    this.forms = this.wide ? this.inner.map(() => "f64") : this.inner;
    this.points = this.#layout();
  }

  /** Gives every array its block. */
  #layout(): number {
    const k = this.k;
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
    const scatter = this.mode === "scatter";
    want([...this.body, ...this.index], false);
    want(this.epilogue, this.mode !== "scan");
    if (scatter) wanted.push({ operand: -1, kept: false, offsets: true, bytes: 4 });
    const outputs = scatter ? [] : k.outputs.map(elementBytes);
    const columns = this.mode === "columns" ? this.forms.map((f) => 4 * partsOf(f)) : [];
    const sizes = [...wanted.map((s) => s.bytes), ...outputs, ...columns];
    // Blocks begin a line apart from where the one before would put them, so that they do not compete for the same sets of the cache.
    const gap = 192, room = wasmScratch - blockBase - gap * sizes.length;
    const points = Math.min(mostPoints, Math.floor(room / sizes.reduce((a, b) => a + b, 0)) & -64);
    let entry = wanted.length + outputs.length;
    for (const operand of new Set(wanted.map((s) => s.operand))) {
      const o = operand < 0 ? k.outputs[0]! : k.operands[operand]!;
      const axes = operand < 0 ? k.index.length : k.operands[operand]!.gathered;
      if (operand >= 0 && axes === 0) continue;
      this.indexed.push({ operand, entry, bytes: elementBytes(o) });
      entry += 1 + axes;
    }
    if (entry > (blockBase - wasmTable) / 4 || !(points >= 256)) throw new Inexpressible(`${sizes.length} arrays`);
    let at = blockBase;
    const place = (bytes: number) => {
      const base = at;
      at += points * bytes + gap;
      return base;
    };
    for (const s of wanted) this.slots.push({ ...s, base: place(s.bytes) });
    for (const bytes of outputs) this.outputs.push({ base: place(bytes), bytes });
    for (const bytes of columns) this.columns.push(place(bytes));
    return points;
  }

  /** Writes the loops of the module's function. */
  protected abstract loops(): void;

  /** The module. @throws Inexpressible */
  module(): WasmModule {
    this.loops();
    if (this.w.bytes.length > mostBytes) throw new Inexpressible(`a body of ${this.w.bytes.length} bytes`);
    const module = this.writer;
    this.w.link(this.callees ?? addCallees(module, this.g.callees));
    module.add({ parameters: ["i32", "i32", "i32"], results: [] }, this.w.locals, this.w.bytes);
    return {
      bytes: module.bytes(),
      mode: this.mode,
      points: this.points,
      step: this.step,
      slots: this.slots,
      outputs: this.outputs,
      indexed: this.indexed,
      ...this.#cost(),
    };
  }

  #cost(): { readonly cost: number; readonly copies: number } {
    const arrays = [
      ...this.slots.filter((s) => !s.kept),
      ...(this.mode === "map" || this.mode === "scan" ? this.outputs : []),
    ];
    const bytes = arrays.reduce((sum, a) => sum + a.bytes, 0);
    const seen = new Set<Value>();
    const visit = (v: Value): number => {
      if (seen.has(v) || v.level === 0) return 0;
      seen.add(v);
      const own = v.op === "call" ? calleeCost(this.g.callees[v.imm[0]!]!) : v.op.endsWith(".div") ? 1.5 : 0.25;
      return v.args.reduce((sum, a) => sum + visit(a), own);
    };
    const i = this.i();
    const vectors = this.vectors(i, 0);
    const ops = this.body.flatMap((e) => [...vectors.of(e).parts]).reduce((sum, v) => sum + visit(v), 0);
    // Points of scans and scatters wait for one another.
    const wait = this.mode === "scan" || this.mode === "scatter" ? 1 : 0;
    return { cost: 0.05 + wait + bytes * 0.01 + ops / 4, copies: 0.15 + bytes * 0.04 };
  }

  // Values

  /** The local that counts points. */
  protected i(): Value {
    return this.local(this.counter, "i32", 2);
  }
  protected readonly counter = parameters;

  protected local(index: number, type: WasmType, level: number): Value {
    return this.g.local(index, type, level);
  }

  protected add(a: Value, b: Value): Value {
    return this.g.op("i32.add", [a, b]);
  }

  /** Bytes before point `i` where each takes `bytes`. */
  protected bytes(i: Value, bytes: number): Value {
    return bytes === 1 ? i : this.g.op("i32.shl", [i, this.g.i32(Math.log2(bytes))]);
  }

  /** The address of the first point of a slot or, after them, an output. */
  protected base(array: number): Value {
    return this.g.load("i32.load", this.g.i32(0), wasmTable + 4 * array);
  }

  /** The address of point `i` of an array. */
  protected address(base: Value, i: Value, bytes: number): Value {
    return this.add(base, this.bytes(i, bytes));
  }

  /** Expressions at four points from `i + step` on. */
  protected vectors(i: Value, step: number, kept = false, acc: readonly Vec[] = [], val: readonly Vec[] = []): Vectors {
    const g = this.g;
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
            this.k.operands[operand]!.dtype,
            component,
            this.places(operand, i, step, kept, indices),
          );
        }
        case "iota":
        case "load": {
          const operand = e.op === "iota" ? Number(e.arg) : (e.arg as LoadArg).operand, o = this.k.operands[operand]!;
          const slot = this.slots.findIndex((s) => s.operand === operand && s.kept === kept);
          const { bytes } = this.slots[slot]!;
          const address = this.address(this.base(slot), i, bytes), at = step * bytes;
          if (e.op === "iota") return castVec(g, loadVec(g, "int32", 1, 0, address, at), "int32", e.dtype);
          return loadVec(g, o.dtype, o.components, (e.arg as LoadArg).component, address, at);
        }
        default:
          throw new Inexpressible(e.op);
      }
    });
  }

  /** The addresses of four points, from `i + step` on, of what is indexed. */
  protected places(operand: number, i: Value, step: number, kept: boolean, indices: readonly WasmIndex[]): Value[] {
    const slot = this.slots.findIndex((s) => s.operand === operand && s.kept === kept);
    const { entry, bytes } = this.indexed.find((x) => x.operand === operand)!;
    const offsets = this.g.load("v128.load", this.address(this.base(slot), i, 4), 4 * step);
    return addresses(this.g, entry, offsets, indices, bytes);
  }

  // Statements

  protected set(local: number, value: Value): void {
    this.w.push(value);
    this.w.emit(control.set(local));
  }

  /** Opens a loop that runs while `condition`; `closeLoop` ends it. */
  protected openLoop(condition: Value): void {
    this.w.emit(control.block, control.loop);
    this.w.push(this.g.op("i32.eqz", [condition]));
    this.w.emit(control.brIf(1));
  }

  protected closeLoop(): void {
    this.w.emit(control.br(0), control.end, control.end);
  }

  protected less(a: Value, b: Value): Value {
    return this.g.op("i32.lt_s", [a, b]);
  }

  /** What is stored of the outputs at four points from `i + step` on, or at `i` only. */
  protected stores(exprs: readonly Expr[], vectors: Vectors, i: Value, step: number, single = false): Store[] {
    let next = 0;
    return this.k.outputs.flatMap((o, j) => {
      const components = exprs.slice(next, next += o.components).map((e) =>
        castVec(this.g, vectors.of(e), e.dtype, o.dtype)
      );
      const { values, bytes: each } = storedVec(this.g, o.dtype, components), { bytes } = this.outputs[j]!;
      const address = this.address(this.base(this.slots.length + j), i, bytes);
      if (single) return [{ address, at: 0, value: values[0]!, bytes }];
      return values.map((value, part) => ({ address, at: step * bytes + 16 * part, value, bytes: each }));
    });
  }
}

/** Bytes of an element. */
export function elementBytes({ dtype, components }: Output): number {
  return dtypes[dtype].itemsize * components;
}

/** What storing needs: addresses and values. */
export function rootsOf(stores: readonly Store[]): Value[] {
  return stores.flatMap((s) => [s.address, s.value]);
}

/** Computes what is stored and stores it, after something else that needs values. */
export function write(w: BodyWriter, stores: readonly Store[], before?: () => void, more: readonly Value[] = []): void {
  w.begin([...more, ...rootsOf(stores)]);
  before?.();
  store(w, stores);
  w.end();
}

/** Stores what is computed. */
export function store(w: BodyWriter, stores: readonly Store[]): void {
  for (const { address, at, value, bytes } of stores) {
    w.push(address, value);
    w.emit(bytes === 16 ? control.store(at) : control.storeLane(bytes, at));
  }
}
