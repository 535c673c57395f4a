/**
 * Builds the expressions of one kernel: values at a point of its iteration space, with moves pushed down to the arrays they read.
 * @module
 */
import { type DType, dtypeInfo, realOf, type ScalarType } from "../base/dtype.ts";
import { broadcastStrides, sameShape } from "../base/shape.ts";
import type { Emitter, Lowering, Value, View } from "../core/primitive.ts";
import { type Expr, ExprBuilder } from "../../kernels/expr.ts";
import { applyMove, dense, type Fusion } from "./fuse.ts";
import type { GNode } from "./simplify.ts";

/** Something a kernel reads: a leaf's own memory, a stored node's, or only offsets. */
export interface Read {
  readonly node: GNode | null;
  readonly dtype: ScalarType;
  readonly components: 1 | 2;
  /** One per axis of the iteration space. */
  readonly strides: readonly number[];
  readonly offset: number;
  /** Strides of the gathered axes. */
  readonly gathered: readonly number[];
}

/** Where a scalar argument comes from: component `component` of plain number `slot`, or a number the plan knows. */
export type ScalarSource =
  | { readonly dtype: ScalarType; readonly slot: number; readonly component: 0 | 1 }
  | { readonly dtype: ScalarType; readonly slot: -1; readonly value: number | bigint };

/** Moves between a node and the iteration space, the one nearest to the node first. */
export interface Chain {
  readonly id: number;
  readonly apply: (view: View) => View | null;
  /** The move, if it is one that may fail; else a broadcast or a permutation. */
  readonly move: GNode | null;
  readonly next: Chain | null;
}

/** Work per element above which an expression is not computed at two points of one kernel. */
const REPEAT_COST = 8;
/** Limits of one kernel, above what the fuser aims at. */
const MAX_EXPANSIONS = 3000;
/** Work saved by storing above which an expression is not recomputed along a broadcast axis. */
const BROADCAST_WASTE = 16384;

/** The expressions of one kernel. */
export class Expander implements Emitter {
  readonly b: ExprBuilder = new ExprBuilder();
  readonly reads: Read[] = [];
  readonly scalars: ScalarSource[] = [];
  /** Nodes that turned out to need storing; the expressions are of no use then. */
  readonly needs: Set<GNode> = new Set();
  /** Values of nodes that the kernel has by other means: the host of an epilogue. */
  readonly given: Map<GNode, Value> = new Map();
  /** What to store if the step that is no move fails. */
  fallback: GNode | null = null;
  /** How many points the expressions being built are computed at. */
  points: number;
  #fusion: Fusion;
  /** Sinks of this kernel itself. */
  #own: ReadonlySet<GNode>;
  #space: readonly number[];
  #memo = new Map<string, Value>();
  #results = new Map<GNode, Set<Expr>>();
  #chains = new Map<string, Chain>();
  #readKeys = new Map<string, number>();
  #scalarKeys = new Map<string, Expr>();
  #steps = 0;

  /** @param space the iteration space, which every read gets strides for */
  constructor(fusion: Fusion, own: readonly GNode[], space: readonly number[]) {
    this.#fusion = fusion;
    this.#own = new Set(own);
    this.#space = space;
    this.points = space.reduce((a, b) => a * b, 1);
  }

  /** A chain with one step before (nearer to the node than) `next`. `key` tells steps apart. */
  chain(key: string, apply: (view: View) => View | null, next: Chain | null, move: GNode | null = null): Chain {
    const full = `${key}>${next?.id ?? ""}`;
    let chain = this.#chains.get(full);
    if (chain === undefined) {
      chain = { id: this.#chains.size + 1, apply, move, next };
      this.#chains.set(full, chain);
    }
    return chain;
  }

  /** The chain that broadcasts from one shape to another first. */
  broadcast(from: readonly number[], to: readonly number[], next: Chain | null): Chain | null {
    if (sameShape(from, to)) return next;
    const apply = (v: View): View => ({
      shape: to,
      strides: broadcastStrides("broadcast", v.shape, v.strides, to),
      offset: v.offset,
    });
    return this.chain(`b${from.join()}:${to.join()}`, apply, next);
  }

  /** A scalar argument whose value the plan knows. */
  scalar(dtype: ScalarType, value: number | bigint | boolean): Expr {
    const number = typeof value === "boolean" ? Number(value) : value;
    return this.#scalar(`=${dtype} ${typeof number}${number}`, { dtype, slot: -1, value: scalarValue(dtype, number) });
  }

  #scalar(key: string, source: ScalarSource): Expr {
    let e = this.#scalarKeys.get(key);
    if (e === undefined) {
      e = this.b.make("scalar", source.dtype, [], this.scalars.push(source) - 1);
      this.#scalarKeys.set(key, e);
    }
    return e;
  }

  /** The number of a read with these strides. */
  read(node: GNode | null, dtype: DType, view: View, gathered: readonly number[] = []): number {
    const { strides, offset } = view;
    const key = `${node?.id ?? dtype} ${offset} ${strides.join()} ${gathered.join()}`;
    let at = this.#readKeys.get(key);
    if (at === undefined) {
      const { components } = dtypeInfo(dtype);
      at = this.reads.push({ node, dtype: realOf(dtype), components, strides, offset, gathered }) - 1;
      this.#readKeys.set(key, at);
    }
    return at;
  }

  /** The value of a virtual array at a point: its element offset. */
  position(dtype: ScalarType, strides: readonly number[], offset = 0): Expr {
    const at = this.read(null, "int64", { shape: this.#space, strides, offset });
    return this.b.make("iota", dtype, [], at);
  }

  /** The value of a sink of this kernel, as an expression even though it is stored. */
  sink(node: GNode, chain: Chain | null): Value {
    return this.#compute(node, chain);
  }

  /** The value of a node at the current point, seen through a chain of moves. */
  expand(node: GNode, chain: Chain | null): Value {
    const given = this.given.get(node);
    if (given !== undefined) return given;
    const { stored } = this.#fusion;
    if (this.#own.has(node)) return this.#compute(node, chain);
    if (stored.has(node) || node.role === "leaf") {
      return this.#load(node, stored.has(node) ? dense(node.shape) : node.view!, chain);
    }
    return this.#compute(node, chain);
  }

  #compute(node: GNode, chain: Chain | null): Value {
    const key = `${node.id} ${chain?.id ?? ""}`;
    let value = this.#memo.get(key);
    if (value !== undefined) return value;
    if (++this.#steps > MAX_EXPANSIONS) this.#forceShared();
    if (this.#steps > MAX_EXPANSIONS || this.#wasteful(node)) {
      if (this.#steps <= MAX_EXPANSIONS) this.needs.add(node);
      value = this.#dummy(node);
    } else value = this.#value(node, chain);
    this.#memo.set(key, value);
    if (node.role === "map" || node.role === "gather") {
      let results = this.#results.get(node);
      if (results === undefined) this.#results.set(node, results = new Set());
      results.add(value[0]);
    }
    return value;
  }

  #value(node: GNode, chain: Chain | null): Value {
    const { role } = node;
    switch (role) {
      case "leaf":
        return this.#load(node, node.view!, chain);
      case "scalar": {
        const dtype = realOf(node.dtype);
        const part = (component: 0 | 1) =>
          this.#scalar(`${node.slot}.${component}`, { dtype, slot: node.slot, component });
        return dtypeInfo(node.dtype).components === 2 ? [part(0), part(1)] : [part(0)];
      }
      case "iota": {
        const lower = node.prim!.lower as Lowering<unknown> & { as: "iota" };
        const view = this.#through(lower.view(node.params, node), chain);
        if (view === null) return this.#dummy(node);
        return [this.position(realOf(node.dtype), view.strides, view.offset)];
      }
      case "view":
        return this.expand(node.ins[0]!, this.chain(`m${node.id}`, (v) => applyMove(node, v), chain, node));
      case "map": {
        const lower = node.prim!.lower as Lowering<unknown> & { as: "map" };
        const src = node.ins.map((x) => this.expand(x, this.broadcast(x.shape, node.shape, chain)));
        return lower.emit(this, src, node.params, node, node.ins);
      }
      case "gather":
        return this.#gather(node, chain);
      default:
        throw new Error(`expand: ${node.prim?.name ?? role} must be stored before it is used`);
    }
  }

  #load(node: GNode, from: View, chain: Chain | null): Value {
    const view = this.#through(from, chain);
    if (view === null) return this.#dummy(node);
    // A copied leaf is read raw by its own kernel and through its copy by others.
    const at = this.read(node, node.dtype, view);
    return loads(this.b, at, node.dtype, "load", []);
  }

  #gather(node: GNode, chain: Chain | null): Value {
    const lower = node.prim!.lower as Lowering<unknown> & { as: "gather" };
    const axes = lower.axes(node.params);
    const [x, ...indices] = node.ins as [GNode, ...GNode[]];
    const source = this.#viewOf(x);
    if (source === null) {
      this.needs.add(x);
      return this.#dummy(node);
    }
    const { base, view } = source;
    const lead = indices[0]!.shape.length;
    const strides = new Array<number>(lead).fill(0);
    for (let d = 0; d < x.shape.length; d++) if (!axes.includes(d)) strides.push(view.strides[d]!);
    const rest = strides.length - lead;
    const placed = this.#through({ shape: node.shape, strides, offset: view.offset }, chain);
    if (placed === null) return this.#dummy(node);
    const wrapped = indices.map((index, k) => {
      const path = this.trailing(index.shape, node.shape, rest, chain);
      return this.wrap(this.expand(index, path)[0], x.shape[axes[k]!]!);
    });
    const at = this.read(base, node.dtype, placed, axes.map((d) => view.strides[d]!));
    return loads(this.b, at, node.dtype, "gather", wrapped);
  }

  /** The chain that repeats a value along `count` axes after its own. */
  trailing(shape: readonly number[], to: readonly number[], count: number, next: Chain | null): Chain | null {
    if (count === 0 && sameShape(shape, to)) return next;
    const zeros = new Array<number>(count).fill(0);
    const apply = (v: View): View => ({ shape: to, strides: [...v.strides, ...zeros], offset: v.offset });
    return this.chain(`t${shape.join()}:${to.join()}:${count}`, apply, next);
  }

  /** An index counted from 0 and clamped into an axis, as int64. */
  wrap(index: Expr, length: number): Expr {
    const { b } = this;
    const i = b.cast(index, "int64");
    const zero = b.const("int64", 0n);
    const n = this.scalar("int64", BigInt(length));
    const last = this.scalar("int64", BigInt(Math.max(length - 1, 0)));
    const wrapped = b.where(b.binary("lt", i, zero), b.binary("add", i, n), i);
    return b.binary("min", b.binary("max", wrapped, zero), last);
  }

  /** Where a stored value or a move of one lies. */
  #viewOf(node: GNode): { base: GNode; view: View } | null {
    const { stored } = this.#fusion;
    const moves: GNode[] = [];
    let base = node;
    while (base.role === "view" && !stored.has(base)) {
      moves.push(base);
      base = base.ins[0]!;
    }
    if (!stored.has(base) && base.role !== "leaf") return null;
    let view: View | null = stored.has(base) ? dense(base.shape) : base.view!;
    for (let i = moves.length - 1; i >= 0 && view !== null; i--) view = applyMove(moves[i]!, view);
    return view === null ? null : { base, view };
  }

  /** A view after a chain; if strides cannot say it, what must be stored is noted. */
  #through(from: View, chain: Chain | null): View | null {
    let view: View | null = from;
    for (let c = chain; c !== null; c = c.next) {
      view = c.apply(view);
      if (view === null) {
        this.needs.add(c.move?.ins[0] ?? this.fallback!);
        return null;
      }
    }
    return view;
  }

  /** Stands in for a value in expressions that will be thrown away. */
  #dummy(node: GNode): Value {
    const dtype = realOf(node.dtype);
    const zero = this.b.const(dtype, dtype === "bool" ? false : dtype === "int64" || dtype === "uint64" ? 0n : 0);
    return dtypeInfo(node.dtype).components === 2 ? [zero, zero] : [zero];
  }

  /** Whether computing a small expensive node at every point of a large space costs more than storing it. */
  #wasteful(node: GNode): boolean {
    if (node.role !== "map" && node.role !== "gather") return false;
    if (this.#own.has(node) || node.size * 2 > this.points) return false;
    const cost = this.#fusion.cost.get(node)!;
    return cost >= 4 && cost * (this.points - node.size) > BROADCAST_WASTE && !plain(node);
  }

  #forceShared(): void {
    let found = false;
    for (const [node, results] of this.#results) {
      if (results.size > 1 && !this.#own.has(node)) {
        this.needs.add(node);
        found = true;
      }
    }
    // Nothing is shared: the kernel is merely long; cut at its widest part.
    if (!found) { for (const sink of this.#own) this.cut(sink); }
  }

  /** Notes nodes to store so that a kernel with too many reads or expressions becomes smaller. */
  cut(sink: GNode): void {
    let level: readonly GNode[] = [sink];
    for (let depth = 0; depth < 64; depth++) {
      const below = [...new Set(level.flatMap((n) => n.ins))].filter((n) =>
        !this.#fusion.stored.has(n) && (n.role === "map" || n.role === "gather" || n.role === "view")
      );
      const found = below.filter((n) => n.role !== "view" && !this.given.has(n));
      if (found.length > 0) {
        for (const n of found) this.needs.add(n);
        return;
      }
      if (below.length === 0) return;
      level = below;
    }
  }

  /** Notes nodes that this kernel computes at more places than storing them would cost. */
  checkRepeats(): void {
    for (const [node, results] of this.#results) {
      if (results.size < 2 || this.#own.has(node) || plain(node)) continue;
      const cost = this.#fusion.cost.get(node)!;
      if (results.size > 2 || cost > REPEAT_COST) {
        // Only the topmost: what is below it is then computed once.
        this.needs.add(node);
      }
    }
    for (const node of [...this.needs]) {
      if (this.#results.has(node) && node.consumers.every((c) => this.needs.has(c)) && node.consumers.length > 0) {
        this.needs.delete(node);
      }
    }
  }
}

/** Whether a value depends on plain numbers alone. */
function plain(node: GNode): boolean {
  return node.ins.every((x) => {
    let base = x;
    while (base.role === "view") base = base.ins[0]!;
    return base.role === "scalar";
  });
}

/** The components of a read. */
function loads(b: ExprBuilder, operand: number, dtype: DType, op: "load" | "gather", src: readonly Expr[]): Value {
  const scalar = realOf(dtype);
  const part = (component: 0 | 1) => b.make(op, scalar, src, { operand, component });
  return dtypeInfo(dtype).components === 2 ? [part(0), part(1)] : [part(0)];
}

/** A number as launches take it: bigint for 64-bit integers, else number; bool as 0 or 1. */
export function scalarValue(dtype: ScalarType, value: number | bigint | boolean): number | bigint {
  if (dtype === "int64") return BigInt.asIntN(64, toBigInt(value));
  if (dtype === "uint64") return BigInt.asUintN(64, toBigInt(value));
  if (dtype === "bool") return value ? 1 : 0;
  return Number(value);
}

function toBigInt(value: number | bigint | boolean): bigint {
  return typeof value === "number" ? BigInt(Math.trunc(value)) : BigInt(value);
}
