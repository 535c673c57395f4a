/**
 * Turns groups of nodes into kernels and routines with the sizes, strides and arguments of their launches.
 * @module
 */
import { dtypeInfo, realOf } from "../base/dtype.ts";
import { collapse, contiguousStrides, extentOf, reshapeStrides, sameShape, sizeOf } from "../base/shape.ts";
import type { Lowering, View } from "../core/primitive.ts";
import type { Expr } from "../../kernels/expr.ts";
import {
  type Access,
  type Epilogue,
  exprKey,
  type Kernel,
  kernelKey,
  type Monoid,
  type Operand,
  type Output,
  type Routine,
} from "../../kernels/kernel.ts";
import { describe } from "./describe.ts";
import { type Chain, Expander, type Read, type ScalarSource } from "./expand.ts";
import { applyMove, dense, type Fusion, type Group } from "./fuse.ts";
import type { GNode } from "./simplify.ts";

/** An array of a launch: a leaf's own memory, or a stored node's; a null node has no memory. */
export interface Place {
  readonly node: GNode | null;
  /** The leaf itself, not the copy that is stored for it. */
  readonly raw: boolean;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** One launch of a kernel. */
export interface KernelWork {
  readonly kind: "kernel";
  readonly kernel: Kernel;
  readonly sizes: readonly number[];
  readonly operands: readonly Place[];
  readonly outputs: readonly Place[];
  readonly scalars: readonly ScalarSource[];
}

/** One call of a routine. */
export interface RoutineWork {
  readonly kind: "routine";
  readonly routine: Routine;
  readonly inputs: readonly (Place & { readonly shape: readonly number[] })[];
  readonly output: Place & { readonly shape: readonly number[] };
  readonly operands: readonly Place[];
  readonly scalars: readonly ScalarSource[];
}

/** What a group launches, in order. */
export type Work = KernelWork | RoutineWork;

/** Most arrays a kernel may read. */
const MAX_OPERANDS = 60;

/**
 * The launches of a group.
 *
 * @param needs receives the nodes that turn out to need storing first; the result is of no use if there are any
 */
export function lower(group: Group, fusion: Fusion, needs: Set<GNode>): Work[] {
  const before = needs.size;
  const works = lowerings[group.kind](group, fusion, needs);
  return needs.size > before ? [] : works;
}

const lowerings: Record<Group["kind"], (group: Group, fusion: Fusion, needs: Set<GNode>) => Work[]> = {
  map(group, fusion, needs) {
    const { sinks } = group;
    const { shape, size } = sinks[0]!;
    if (size === 0) return [];
    const x = new Expander(fusion, sinks, shape);
    const values = sinks.map((sink) => x.sink(sink, null));
    const targets = sinks.map((node) => ({ node, ...dense(shape) }));
    return finish(group, fusion, needs, x, { kind: "map", shape, body: values.flat(), targets });
  },

  assemble(group, fusion, needs) {
    const { node } = group;
    const rules = node.prim!.lower as Lowering<unknown> & { as: "assemble" };
    if (node.size === 0) return [];
    const works: Work[] = [];
    const whole = dense(node.shape);
    if (rules.zero(node.params)) {
      const x = new Expander(fusion, [], node.shape);
      const { scalar, components } = dtypeInfo(node.dtype);
      const zero = x.b.const(scalar, scalar === "bool" ? false : scalar === "int64" || scalar === "uint64" ? 0n : 0);
      const body = components === 2 ? [zero, zero] : [zero];
      works.push(
        ...finish(group, fusion, needs, x, { kind: "map", shape: node.shape, body, targets: [{ node, ...whole }] }),
      );
    }
    node.ins.forEach((input, i) => {
      if (input.size === 0) return;
      const x = new Expander(fusion, [], input.shape);
      const body = x.expand(input, null);
      const { strides, offset } = rules.region(whole, i, node.params, node.ins);
      const targets = [{ node, strides, offset }];
      works.push(...finish(group, fusion, needs, x, { kind: "map", shape: input.shape, body, targets }));
    });
    return works;
  },

  reduce(group, fusion, needs) {
    const { node } = group;
    const end = group.sinks[0]!;
    if (end.size === 0) return [];
    const rules = node.prim!.lower as Lowering<unknown> & { as: "reduce" };
    const input = node.ins[0]!;
    const axes = rules.axes(node.params);
    const kept: number[] = [];
    for (let d = 0; d < input.shape.length; d++) if (!axes.includes(d)) kept.push(d);
    const space = [...kept, ...axes].map((d) => input.shape[d]!);
    const x = new Expander(fusion, [end], space);
    const order = x.chain("order", permute([...kept, ...axes]), null);
    const value = x.expand(input, order);
    const position = x.position("int64", [
      ...kept.map(() => 0),
      ...contiguousStrides(axes.map((d) => input.shape[d]!)),
    ]);
    const body = rules.feed(x, value, position, input, node);
    const reduction = rules.monoid(x.b, input, node);
    const acc = reduction.dtypes.map((dtype, i) => x.b.make("acc", dtype, [], i));
    x.given.set(node, rules.finish(x, acc, input, node));
    const reduced = axes.length;
    x.points = end.size;
    const epilogue = x.expand(end, x.chain("kept", (v) => keptStrides(v, space, reduced), null));
    const targets = [{ node: end, strides: keptStrides(dense(end.shape), space, reduced).strides, offset: 0 }];
    return finish(group, fusion, needs, x, {
      kind: "reduce",
      shape: space,
      body,
      reduction,
      epilogue,
      reduced,
      targets,
    });
  },

  scan(group, fusion, needs) {
    const { node } = group;
    if (node.size === 0) return [];
    const rules = node.prim!.lower as Lowering<unknown> & { as: "scan" };
    const input = node.ins[0]!;
    const axis = rules.axis(node.params);
    const rest: number[] = [];
    for (let d = 0; d < input.shape.length; d++) if (d !== axis) rest.push(d);
    const turn = permute([...rest, axis], rules.reverse(node.params));
    const space = [...rest, axis].map((d) => input.shape[d]!);
    const x = new Expander(fusion, [node], space);
    const value = x.expand(input, x.chain("order", turn, null));
    const reduction = rules.monoid(x.b, input, node);
    const body = value.map((e, i) => x.b.cast(e, reduction.dtypes[i]!));
    const { strides, offset } = turn(dense(node.shape));
    const targets = [{ node, strides, offset }];
    return finish(group, fusion, needs, x, { kind: "scan", shape: space, body, reduction, reduced: 1, targets });
  },

  scatter(group, fusion, needs) {
    const { node } = group;
    if (node.size === 0) return [];
    const rules = node.prim!.lower as Lowering<unknown> & { as: "scatter" };
    const [source, updates, ...indices] = node.ins as [GNode, GNode, ...GNode[]];
    const whole = dense(node.shape);
    const copy = new Expander(fusion, [], node.shape);
    const works = finish(group, fusion, needs, copy, {
      kind: "map",
      shape: node.shape,
      body: copy.expand(source, null),
      targets: [{ node, ...whole }],
    });
    if (updates.size === 0) return works;
    const axes = rules.axes(node.params);
    const x = new Expander(fusion, [], updates.shape);
    const body = x.expand(updates, null);
    const lead = indices[0]!.shape.length;
    const index = indices.map((i, k) => {
      const chain = x.trailing(i.shape, updates.shape, updates.shape.length - lead, null);
      return x.wrap(x.expand(i, chain)[0], node.shape[axes[k]!]!);
    });
    const strides = new Array<number>(lead).fill(0);
    for (let d = 0; d < node.shape.length; d++) if (!axes.includes(d)) strides.push(whole.strides[d]!);
    const targets = [{ node, strides, offset: 0, scattered: axes.map((d) => whole.strides[d]!) }];
    const mode = rules.mode(node.params);
    works.push(
      ...finish(group, fusion, needs, x, { kind: "scatter", shape: updates.shape, body, index, mode, targets }),
    );
    return works;
  },

  routine(group, fusion, needs) {
    const { node } = group;
    const end = group.sinks[0]!;
    if (end.size === 0) return [];
    const rules = node.prim!.lower as Lowering<unknown> & { as: "routine" };
    const x = new Expander(fusion, [end], node.shape);
    // The epilogue may see the result in another shape, but in the same order.
    const same: Chain | null = sameShape(node.shape, end.shape) ? null : x.chain("order", (v) => {
      const strides = reshapeStrides(v.shape, v.strides, node.shape);
      return strides === null ? null : { shape: node.shape, strides, offset: v.offset };
    }, null);
    x.fallback = node;
    if (node.ins.some((i) => i.size === 0) && rules.name === "matmul") {
      // A sum of no products: zeros, then the epilogue.
      const { scalar, components } = dtypeInfo(node.dtype);
      const zero = x.b.const(scalar, scalar === "bool" ? false : scalar === "int64" || scalar === "uint64" ? 0n : 0);
      x.given.set(node, components === 2 ? [zero, zero] : [zero]);
      const body = x.expand(end, same);
      const targets = [{ node: end, ...dense(node.shape) }];
      return finish(group, fusion, needs, x, { kind: "map", shape: node.shape, body, targets });
    }
    const inputs = node.ins.map((input) => {
      const place = addressOf(input, fusion, needs);
      return { ...place, shape: input.shape };
    });
    const { scalar, components } = dtypeInfo(node.dtype);
    const acc = components === 2
      ? [x.b.make("acc", scalar, [], 0), x.b.make("acc", scalar, [], 1)] as const
      : [x.b.make("acc", scalar, [], 0)] as const;
    x.given.set(node, acc);
    let epilogue: Epilogue | null = null;
    if (end !== node) {
      const body = x.expand(end, same);
      settle(x, group, needs);
      const last = node.shape.length - 1;
      epilogue = {
        operands: x.reads.map((r) => operandOf(r, r.strides[last] ?? 1)),
        scalars: x.scalars.map((s) => s.dtype),
        body,
        output: { dtype: realOf(end.dtype), components: dtypeInfo(end.dtype).components, access: "unit" },
      };
    }
    const params = rules.params(node.params, node.ins, node);
    const dtypes = [...node.ins.map((i) => i.dtype), node.dtype];
    const key = [
      rules.name,
      dtypes.join(),
      JSON.stringify(params),
      epilogue === null
        ? ""
        : `${epilogue.operands.map((o) => `${o.dtype}${o.components}${o.access}${o.virtual}${o.gathered}`).join("+")}|${
          epilogue.scalars.join("+")
        }|${exprKey(epilogue.body)}`,
    ].join("|");
    const routine: Routine = { key, name: rules.name, dtypes, params, epilogue, comment: describe(end, fusion.stored) };
    const whole = dense(node.shape);
    return [{
      kind: "routine",
      routine,
      inputs,
      output: { node: end, raw: false, offset: 0, strides: whole.strides, shape: node.shape },
      operands: x.reads.map((r) => placeOf(r, fusion, [end])),
      scalars: x.scalars,
    }];
  },
};

/** A view of the kept elements (axes of length 1 apart) in the whole iteration space: the reduced axes do not move it. */
function keptStrides(view: View, space: readonly number[], reduced: number): View {
  const strides = new Array<number>(space.length).fill(0);
  let from = 0;
  for (let d = 0; d < space.length - reduced; d++) {
    if (space[d] === 1) continue;
    while (view.shape[from] === 1) from++;
    strides[d] = view.strides[from++]!;
  }
  return { shape: space, strides, offset: view.offset };
}

/** The view with its axes in another order, the last one read backwards if asked for. */
function permute(axes: readonly number[], flip = false): (v: View) => View {
  return (v) => {
    const shape = axes.map((d) => v.shape[d]!);
    const strides = axes.map((d) => v.strides[d]!);
    let { offset } = v;
    if (flip) {
      const last = axes.length - 1;
      offset += (shape[last]! - 1) * strides[last]!;
      strides[last] = -strides[last]!;
    }
    return { shape, strides, offset };
  };
}

/** Where a routine's input lies. */
function addressOf(node: GNode, fusion: Fusion, needs: Set<GNode>): Place {
  const { stored } = fusion;
  const moves: GNode[] = [];
  let base = node;
  while (base.role === "view" && !stored.has(base)) {
    moves.push(base);
    base = base.ins[0]!;
  }
  const kept = stored.has(base);
  let view: View | null = kept ? dense(base.shape) : base.view;
  for (let i = moves.length - 1; i >= 0 && view !== null; i--) view = applyMove(moves[i]!, view);
  if (view === null) {
    needs.add(node);
    return { node, raw: false, offset: 0, strides: [] };
  }
  return { node: base, raw: !kept, offset: view.offset, strides: view.strides };
}

/** Collects what an expander found out. */
function settle(x: Expander, group: Group, needs: Set<GNode>): void {
  if (x.needs.size === 0) x.checkRepeats();
  if (x.needs.size === 0 && x.reads.length + group.sinks.length > MAX_OPERANDS) x.cut(group.node);
  for (const n of x.needs) needs.add(n);
}

interface Target {
  readonly node: GNode;
  readonly strides: readonly number[];
  readonly offset: number;
  readonly scattered?: readonly number[];
}

interface Draft {
  readonly kind: Kernel["kind"];
  readonly shape: readonly number[];
  readonly body: readonly Expr[];
  readonly targets: readonly Target[];
  readonly reduced?: number;
  readonly reduction?: Monoid;
  readonly epilogue?: readonly Expr[];
  readonly index?: readonly Expr[];
  readonly mode?: Kernel["mode"];
}

/** Merges loops, classifies how arrays move, and makes the kernel. */
function finish(group: Group, fusion: Fusion, needs: Set<GNode>, x: Expander, draft: Draft): KernelWork[] {
  settle(x, group, needs);
  if (needs.size > 0) return [];
  const { kind, shape, targets } = draft;
  const axes = draft.reduced ?? 0;
  const used = usedReads(x, draft);
  const reads = x.reads.filter((_, i) => used.has(i));
  const all = [...reads.map((r) => r.strides), ...targets.map((t) => t.strides)];
  const cut = shape.length - axes;
  const outer = collapse(shape.slice(0, cut), all.map((s) => s.slice(0, cut)));
  const lasts = kind === "scan"
    ? { shape: shape.slice(cut), strides: all.map((s) => s.slice(cut)) }
    : collapse(shape.slice(cut), all.map((s) => s.slice(cut)));
  if (kind === "reduce" && lasts.shape.length === 0) {
    const bodyReads = operandsOf(draft.body);
    lasts.shape.push(1);
    lasts.strides.forEach((s, i) => s.push(i < reads.length && bodyReads.has(x.reads.indexOf(reads[i]!)) ? 1 : 0));
  }
  if (outer.shape.length + lasts.shape.length === 0) {
    outer.shape.push(1);
    for (const s of outer.strides) s.push(1);
  }
  if (kind === "map" && isNarrow(outer.shape, fusion)) {
    for (const list of [outer.shape, ...outer.strides]) swapLast(list);
  }
  const sizes = [...outer.shape, ...lasts.shape];
  const strides = all.map((_, i) => [...outer.strides[i]!, ...lasts.strides[i]!]);
  const reduced = kind === "reduce" || kind === "scan" ? lasts.shape.length : 0;
  const rank = sizes.length;
  const inner = kind === "reduce"
    ? innerLoop(sizes, reduced, strides.slice(0, reads.length), shortRow(draft.reduction, fusion))
    : "last";
  const fastest = inner === "last" ? rank - 1 : rank - reduced - 1;

  let wide = false;
  const check = (s: readonly number[], scalarsEach: number, extra = 0) => {
    const { low, high } = extentOf(sizes, s, 0);
    if ((Math.max(high, -low) + extra) * scalarsEach > 2 ** 31 - 1) wide = true;
  };
  reads.forEach((r, i) =>
    check(
      strides[i]!,
      r.components,
      (r.node?.size ?? 0) * Number(r.gathered.length > 0) + Math.abs(r.node ? 0 : r.offset),
    )
  );
  targets.forEach((t, i) => check(strides[reads.length + i]!, 2, t.scattered ? t.node.size : 0));

  const renumber = new Map([...used].sort((a, b) => a - b).map((old, now) => [old, now]));
  const fix = (list: readonly Expr[]) => renumberReads(x, list, renumber);
  const fields = {
    kind,
    rank,
    reduced,
    inner,
    operands: reads.map((r, i) => operandOf(r, strides[i]![fastest]!)),
    scalars: x.scalars.map((s) => s.dtype),
    body: fix(draft.body),
    reduction: draft.reduction ?? null,
    epilogue: draft.epilogue ? fix(draft.epilogue) : null,
    index: fix(draft.index ?? []),
    mode: draft.mode ?? null,
    outputs: targets.map((t, i): Output => ({
      dtype: realOf(t.node.dtype),
      components: dtypeInfo(t.node.dtype).components,
      access: accessOf(strides[reads.length + i]![fastest]!),
    })),
    wide,
  } as const;
  const kernel: Kernel = {
    ...fields,
    key: kernelKey(fields),
    comment: group.sinks.map((s) => describe(s, fusion.stored)).join("; "),
  };
  return [{
    kind: "kernel",
    kernel,
    sizes,
    operands: reads.map((r, i) => ({
      ...placeOf(r, fusion, group.sinks),
      strides: [...strides[i]!, ...r.gathered],
    })),
    outputs: targets.map((t, i) => ({
      node: t.node,
      raw: false,
      offset: t.offset,
      strides: [...strides[reads.length + i]!, ...(t.scattered ?? [])],
    })),
    scalars: x.scalars,
  }];
}

/** From so many on, short rows are reduced side by side. */
const MANY_ROWS = 64;
/** Floats of a row side by side are added one after the other; up to so many, that is as exact as NumPy's sums. */
const FEW_ADDED = 10;

/** Rows of a map that are so short are no work for vectors; many of them are visited side by side. */
const NARROW = 7;

function isNarrow(sizes: readonly number[], { traits }: Fusion): boolean {
  return traits.shortRow > 0 && sizes.at(-1)! <= NARROW && (sizes.at(-2) ?? 0) >= MANY_ROWS;
}

function swapLast(list: number[]): void {
  list.push(...list.splice(-2).reverse());
}

/** How long a row may be that is reduced beside others. */
function shortRow(reduction: Monoid | null | undefined, { traits }: Fusion): number {
  const adds = reduction?.name === "sum" && reduction.dtypes.some((d) => dtypeInfo(d).kind === "f");
  return adds ? Math.min(FEW_ADDED, traits.shortRow) : traits.shortRow;
}

/** The loop that should move fastest: over what is kept where the largest array is denser that way, or rows are short and many. */
function innerLoop(
  sizes: readonly number[],
  reduced: number,
  strides: readonly (readonly number[])[],
  shortRow: number,
): Kernel["inner"] {
  const kept = sizes.length - reduced - 1;
  if (kept < 0 || sizes[kept]! < 4) return "last";
  if (reduced === 1 && sizes[kept + 1]! <= shortRow && sizes[kept]! >= MANY_ROWS) return "kept";
  let most = -1, inner: Kernel["inner"] = "last";
  for (const s of strides) {
    const points = sizeOf(sizes.filter((_, d) => s[d] !== 0));
    if (points <= most) continue;
    most = points;
    const k = Math.abs(s[kept]!), l = Math.abs(s[sizes.length - 1]!);
    inner = k !== 0 && k < l ? "kept" : "last";
  }
  return inner;
}

function accessOf(stride: number): Access {
  return stride === 1 ? "unit" : stride === 0 ? "single" : "strided";
}

function operandOf(r: Read, stride: number): Operand {
  return {
    dtype: r.dtype,
    components: r.components,
    access: accessOf(stride),
    virtual: r.node === null,
    gathered: r.gathered.length,
  };
}

function placeOf(r: Read, fusion: Fusion, own: readonly GNode[]): Place {
  const raw = r.node?.role === "leaf" && (own.includes(r.node) || !fusion.stored.has(r.node));
  return { node: r.node, raw, offset: r.offset, strides: r.strides };
}

/** Numbers of the reads that expressions use. */
function operandsOf(roots: readonly Expr[]): Set<number> {
  const found = new Set<number>();
  const seen = new Set<Expr>();
  const visit = (e: Expr) => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.op === "iota") found.add(e.arg as number);
    else if ((e.op === "load" || e.op === "gather") && typeof e.arg === "object" && e.arg) found.add(e.arg.operand);
    e.src.forEach(visit);
  };
  roots.forEach(visit);
  return found;
}

function usedReads(x: Expander, draft: Draft): Set<number> {
  if (x.reads.length === 0) return new Set();
  return operandsOf([...draft.body, ...(draft.epilogue ?? []), ...(draft.index ?? [])]);
}

/** The expressions with reads renumbered, after unused ones went away. */
function renumberReads(x: Expander, roots: readonly Expr[], to: ReadonlyMap<number, number>): readonly Expr[] {
  if (to.size === x.reads.length) return roots;
  const done = new Map<Expr, Expr>();
  const visit = (e: Expr): Expr => {
    let out = done.get(e);
    if (out === undefined) {
      const { arg } = e;
      const now = e.op === "iota"
        ? to.get(arg as number)!
        : typeof arg === "object" && arg !== null
        ? { operand: to.get(arg.operand)!, component: arg.component }
        : arg;
      out = x.b.make(e.op, e.dtype, e.src.map(visit), now);
      done.set(e, out);
    }
    return out;
  };
  return roots.map(visit);
}
