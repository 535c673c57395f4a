/**
 * From the nodes of a walk to the graph that is lowered: equal subexpressions become one node, moves that change nothing go away,
 * products with a vector become sums where that pays, and what no root needs is not there. The result holds no arrays and no numbers, only slots for them, so it can be kept.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import { contiguousStrides, sameShape, sizeOf } from "../base/shape.ts";
import type { Aval, Lowering, Primitive, View } from "../core/primitive.ts";
import { type PrimitiveName, type PrimitiveParams, prims } from "../core/registry.ts";
import type { Traits } from "../device/device.ts";
import { asSum, isDot } from "./dot.ts";
import { flags, paramsKey, type Walk } from "./topo.ts";

/** What a node is to the fuser: a finished array, or the way its primitive is lowered. */
export type Role = "leaf" | Lowering<unknown>["as"];

/** A node of the graph that is lowered. */
export interface GNode extends Aval {
  /** Its position: inputs have smaller ones. */
  readonly id: number;
  readonly role: Role;
  /** Null for a leaf. */
  readonly prim: Primitive | null;
  readonly params: unknown;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly size: number;
  readonly ins: readonly GNode[];
  /** Distinct nodes that read it. */
  readonly consumers: GNode[];
  /** Number among the leaves or among the plain numbers; -1 for others. */
  readonly slot: number;
  /** Where a leaf's elements lie, from the leaf's offset. */
  readonly view: View | null;
  root: boolean;
  held: boolean;
  again: boolean;
  /** Positions in the walk of the nodes it stands for. */
  readonly origins: number[];
}

/** The graph of a walk. */
export interface Graph {
  readonly nodes: readonly GNode[];
  /** The node that stands for each of the walk's roots. */
  readonly roots: readonly GNode[];
}

/**
 * Makes the graph of a walk.
 *
 * @param traits the device's
 * @param given how the first leaves (a traced graph's placeholders) lie; null for one that is a plain number: these follow the
 *   walk's own plain numbers
 */
export function simplify(walk: Walk, traits: Traits, given: readonly (View | null)[] = []): Graph {
  const nodes: GNode[] = [];
  const standIn: GNode[] = [];
  const seen = new Map<string, GNode>();
  let leaf = 0, scalar = 0, extra = walk.scalarCount;

  const make = (
    role: Role,
    prim: Primitive | null,
    params: unknown,
    aval: Aval,
    ins: readonly GNode[],
    slot: number,
    view: View | null,
  ): GNode => {
    const { shape, dtype } = aval;
    const node: GNode = {
      id: nodes.length,
      role,
      prim,
      params,
      shape,
      dtype,
      size: sizeOf(shape),
      ins,
      consumers: [],
      slot,
      view,
      root: false,
      held: false,
      again: false,
      origins: [],
    };
    for (const x of ins) if (x.consumers.at(-1) !== node) x.consumers.push(node);
    nodes.push(node);
    return node;
  };

  /** The node of a primitive: one that is there already, or a new one. */
  const node = (prim: Primitive, params: unknown, aval: Aval, ins: readonly GNode[]): GNode => {
    const { lower } = prim;
    if (lower.as === "view" && isIdentity(lower, ins[0]!, aval, params)) return ins[0]!;
    const key = `${prim.id} ${ins.map((x) => x.id).join(",")} ${paramsKey(params)}`;
    let g = seen.get(key);
    if (g === undefined) {
      g = lower.as === "routine" && lower.name === "matmul" && traits.dots && isDot(aval, ins[0]!.shape.at(-1)!)
        ? asSum(named, aval, ins[0]!, ins[1]!)
        : make(lower.as, prim, params, aval, ins, -1, null);
      seen.set(key, g);
    }
    return g;
  };
  const named = <N extends PrimitiveName>(name: N, ins: readonly GNode[], params: PrimitiveParams[N]): GNode => {
    const prim = prims[name] as Primitive<PrimitiveParams[N]>;
    return node(prim as Primitive, params, prim.infer(ins, params), ins);
  };

  for (let at = 0; at < walk.count; at++) {
    const from = walk.nodes[at]!;
    let g: GNode;
    if (walk.leaves[leaf] === from) {
      const { shape, strides } = from;
      const view = leaf < given.length ? given[leaf]! : { shape, strides, offset: 0 };
      g = view === null
        ? make("scalar", from.prim, null, from, [], extra++, null)
        : make("leaf", null, null, from, [], leaf, view);
      leaf++;
    } else {
      const prim = from.prim!;
      if (prim.lower.as === "scalar") g = make("scalar", prim, null, from, [], scalar++, null);
      else g = node(prim, from.params, from, from.inputs.map((x) => standIn[x.mark]!));
      const f = walk.flags[at]!;
      if (f & flags.root) g.root = true;
      if (f & flags.held) g.held = true;
      if (f & flags.again) g.again = true;
      if (g.role !== "leaf" && g.role !== "scalar") g.origins.push(at);
    }
    standIn.push(g);
  }
  return reachable({ nodes, roots: walk.roots.slice(0, walk.rootCount).map((at) => standIn[at]!) });
}

/** Whether a move gives every element its own place again. */
function isIdentity(lower: Lowering<unknown> & { as: "view" }, input: GNode, out: Aval, params: unknown): boolean {
  if (!sameShape(input.shape, out.shape)) return false;
  const strides = contiguousStrides(input.shape);
  const view = lower.view({ shape: input.shape, strides, offset: 0 }, params);
  return view !== null && view.offset === 0 && strides.every((s, i) => s === view.strides[i] || input.shape[i]! === 1);
}

/** Drops what lost its last reader to a simplification. */
function reachable(graph: Graph): Graph {
  const live = new Set<GNode>(graph.roots);
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (live.has(node)) { for (const x of node.ins) live.add(x); }
  }
  if (live.size === graph.nodes.length) return graph;
  const nodes = graph.nodes.filter((node) => live.has(node));
  for (const node of nodes) {
    const { consumers } = node;
    const kept = consumers.filter((c) => live.has(c));
    consumers.length = 0;
    consumers.push(...kept);
  }
  return { nodes, roots: graph.roots };
}
