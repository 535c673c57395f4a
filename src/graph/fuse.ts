/**
 * Decides what is stored and which nodes share a kernel.
 *
 * Stored are: what is asked for, what a library or a gather reads, what heavy nodes (reductions, scans, scatters, joins, routines)
 * produce, and elementwise work that would otherwise be done more than twice. Everything else is computed inside the kernels
 * that need it.
 * @module
 */
import { contiguousStrides, sameShape } from "../base/shape.ts";
import type { Lowering, View } from "../core/primitive.ts";
import type { Traits } from "../device/device.ts";
import type { GNode, Graph } from "./simplify.ts";

/** Work that is launched together: one kernel or routine, or several launches into one output (scatter, assemble). */
export interface Group {
  readonly kind: "map" | "reduce" | "scan" | "scatter" | "assemble" | "routine";
  /** The heavy node; for a map its first sink. */
  readonly node: GNode;
  /** What it stores. Only a map has more than one, all of one shape. A reduction's or routine's is the end of its epilogue. */
  readonly sinks: GNode[];
  /** The stored nodes and leaves it reads. */
  readonly deps: Set<GNode>;
  /** How many nodes its expressions are made of. */
  count: number;
}

/** How a graph is cut into launches. */
export interface Fusion {
  /** In an order in which they can run. */
  readonly groups: readonly Group[];
  readonly stored: ReadonlySet<GNode>;
  /** Those of them that have a handle but are stored for this plan only: memory is not kept for what is computed again so soon. */
  readonly passing: ReadonlySet<GNode>;
  /** Rough work per element of everything fused into a node's expression. */
  readonly cost: ReadonlyMap<GNode, number>;
  readonly traits: Traits;
}

/** Most nodes fused into one kernel, and most arrays it reads. */
const MAX_NODES = 200, MAX_READS = 36, MAX_SINKS = 12, MAX_EPILOGUE = 24;
/**
 * Work per element up to which an array of fewer elements is computed in two kernels, as another launch costs more, and one with a handle
 * is not kept for that.
 */
const MORE = 16, SMALL = 32768;

const costs: Record<string, number> = {
  div: 4,
  sqrt: 4,
  mod: 6,
  fmod: 6,
  floordiv: 6,
  hypot: 6,
  threefry: 40,
  pow: 15,
  lgamma: 20,
  erf: 12,
  erfc: 12,
  gcd: 20,
};
for (
  const name
    of ("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh atan2 cbrt nextafter")
      .split(" ")
) costs[name] = 10;

/** Whether a node is one that only heavy machinery computes: its result is always stored (or ends an epilogue). */
export function isHeavy(node: GNode): boolean {
  switch (node.role) {
    case "reduce":
    case "scan":
    case "scatter":
    case "assemble":
    case "routine":
      return true;
    default:
      return false;
  }
}

/** The node under any moves. */
export function baseOf(node: GNode): GNode {
  let x = node;
  while (x.role === "view") x = x.ins[0]!;
  return x;
}

/** Where the elements of a move of a stored array lie in that array; null if strides cannot say it. */
export function viewThrough(node: GNode, stored: (x: GNode) => boolean): { base: GNode; view: View } | null {
  const moves: GNode[] = [];
  let base = node;
  while (base.role === "view" && !(base !== node && stored(base))) {
    moves.push(base);
    base = base.ins[0]!;
  }
  let view: View | null = base.role === "leaf" && !stored(base) ? base.view! : dense(base.shape);
  for (let i = moves.length - 1; i >= 0 && view !== null; i--) view = applyMove(moves[i]!, view);
  return view === null ? null : { base, view };
}

/** The view of an array stored in C order. */
export function dense(shape: readonly number[]): View {
  return { shape, strides: contiguousStrides(shape), offset: 0 };
}

/** A view after one move. */
export function applyMove(move: GNode, view: View): View | null {
  return (move.prim!.lower as Lowering<unknown> & { as: "view" }).view(view, move.params);
}

/** Whether a move keeps the order of elements and changes at most axes of length 1. */
function keepsPlaces(move: GNode): boolean {
  const long = (shape: readonly number[]) => shape.filter((n) => n !== 1);
  return sameShape(long(move.ins[0]!.shape), long(move.shape)) && keepsOrder(move);
}

/** Whether a move is at most another shape for the same elements in the same order. */
function keepsOrder(move: GNode): boolean {
  const input = move.ins[0]!;
  if (input.size !== move.size) return false;
  const view = applyMove(move, dense(input.shape));
  if (view === null || view.offset !== 0) return false;
  const want = contiguousStrides(move.shape);
  return view.strides.every((s, i) => s === want[i] || move.shape[i]! <= 1);
}

/**
 * Cuts a graph into groups.
 *
 * @param forced nodes that are stored whatever the cost; a forced leaf is copied
 * @param traits the device's
 */
export function fuse(graph: Graph, forced: ReadonlySet<GNode>, traits: Traits): Fusion {
  const { nodes } = graph;
  const cost = work(nodes);
  // A node computed before is stored this time: the topmost of such nodes, and those that can be asked for yet again.
  const keep = (n: GNode) =>
    n.root || forced.has(n) || (n.again && (n.held || n.consumers.some((c) => !c.again)) && !isTrivial(n));
  const { ends, hostOf } = epilogues(nodes, keep);
  const { stored, required, passing } = store(graph, forced, keep, cost, ends, hostOf, traits);
  const groups = merge(nodes, stored, ends);
  unstore(groups, stored, required);
  return { groups: order(groups), stored, passing, cost, traits };
}

/** Work per element of each node with all that is fused into it, were nothing but heavy nodes stored. */
function work(nodes: readonly GNode[]): Map<GNode, number> {
  const cost = new Map<GNode, number>();
  for (const n of nodes) {
    let c = 0;
    if (n.role === "map" || n.role === "gather" || n.role === "view") {
      c = n.role === "view" ? 0 : n.role === "gather" ? 4 : costs[n.prim!.name] ?? 1;
      if (n.dtype.startsWith("complex")) c *= 3;
      const from = n.role === "gather" ? 1 : 0;
      for (let i = from; i < n.ins.length; i++) c += cost.get(n.ins[i]!)!;
    }
    cost.set(n, Math.min(c, 1e6));
  }
  return cost;
}

/** Whether recomputing a node is as cheap as loading it: conversions of stored arrays, arithmetic on plain numbers. */
function isTrivial(n: GNode): boolean {
  if (n.role === "view" || n.role === "scalar" || n.role === "iota") return true;
  if (n.role !== "map") return false;
  if (n.prim!.name === "cast") {
    const base = baseOf(n.ins[0]!);
    return base.role === "leaf" || base.role === "scalar" || base.role === "iota" || isHeavy(base);
  }
  return n.size === 1 && n.ins.every((x) => baseOf(x).role === "scalar");
}

/** The last node of the epilogue of each reduction and routine, and for nodes on the way, whose epilogue it is. */
function epilogues(nodes: readonly GNode[], keep: (n: GNode) => boolean) {
  const ends = new Map<GNode, GNode>();
  const hostOf = new Map<GNode, GNode>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    const host = nodes[i]!;
    const lower = host.prim?.lower;
    if (lower?.as !== "reduce" && !(lower?.as === "routine" && lower.epilogue)) continue;
    const routine = lower.as === "routine";
    let end = host;
    for (let length = 0; length < MAX_EPILOGUE && !keep(end);) {
      const found = meeting(end, routine, MAX_EPILOGUE - length, (n) => keep(n) || hostOf.has(n));
      const next = found?.node;
      if (next === undefined || next.size !== end.size || hostOf.has(next)) break;
      if (routine && next.dtype !== host.dtype) break;
      for (const n of found!.between) hostOf.set(n, host);
      hostOf.set(next, host);
      length += 1 + found!.maps;
      end = next;
    }
    ends.set(host, end);
  }
  return { ends, hostOf };
}

/**
 * The elementwise node that all computed from `end` goes through, the nearest one, with what lies between: moves that keep the order and,
 * after a routine, elementwise branches that meet again, such as both uses of h in `where(h > 0, h, 0)`. Null where there is none.
 *
 * @param limit how many elementwise nodes may lie between
 * @param stays whether a node must not be passed
 */
function meeting(end: GNode, routine: boolean, limit: number, stays: (n: GNode) => boolean) {
  const between: GNode[] = [], pending = new Set(end.consumers);
  let maps = 0;
  while (pending.size > 0) {
    // Ids rise from inputs to consumers: nothing that is still to come feeds the first one.
    let node: GNode | null = null;
    for (const n of pending) if (node === null || n.id < node.id) node = n;
    const { role, size, consumers } = node!;
    const alone = pending.size === 1;
    if (alone && role === "map") return { node: node!, between, maps };
    // A move in one branch alone would have what comes before it computed at two places.
    const passes = role === "view"
      ? alone && (routine ? keepsOrder(node!) : keepsPlaces(node!))
      : role === "map" && routine && size === end.size && ++maps <= limit;
    if (!passes || stays(node!)) return null;
    between.push(node!);
    pending.delete(node!);
    for (const n of consumers) pending.add(n);
  }
  return null;
}

/** Chooses the stored nodes, from the roots down. `required` are those that are not stored merely because they are shared. */
function store(
  graph: Graph,
  forced: ReadonlySet<GNode>,
  keep: (n: GNode) => boolean,
  cost: ReadonlyMap<GNode, number>,
  ends: ReadonlyMap<GNode, GNode>,
  hostOf: ReadonlyMap<GNode, GNode>,
  traits: Traits,
) {
  const { nodes } = graph;
  const stored = new Set<GNode>(), required = new Set<GNode>(), passing = new Set<GNode>();
  const uses = new Map<GNode, Set<number>>();
  const count: number[] = [];
  const reads: Set<GNode>[] = [];
  const newGroup = () => {
    reads.push(new Set());
    return count.push(0) - 1;
  };
  const use = (x: GNode, groups: Iterable<number>) => {
    let set = uses.get(x);
    if (set === undefined) uses.set(x, set = new Set());
    for (const g of groups) set.add(g);
  };
  const isBase = (x: GNode) => x.role === "leaf" || isHeavy(x);

  /** Makes a value addressable: stored, or a view of something stored. */
  const need = (x: GNode) => {
    if (x.role !== "view") {
      if (x.role !== "leaf") required.add(x);
      return;
    }
    const inner = baseOf(x);
    const found = viewThrough(x, (n) => forced.has(n) || (n === inner && n.role !== "leaf"));
    const base = found?.base;
    if (base === undefined || base.role === "scalar" || base.role === "iota") required.add(x);
    else if (isBase(base) || required.has(base) || keep(base) || base.size <= x.size) {
      if (base.role !== "leaf") required.add(base);
    } else required.add(x);
  };

  for (const root of graph.roots) need(root);
  const groupOfHost = new Map<GNode, number>();
  for (let i = nodes.length - 1; i >= 0; i--) {
    const n = nodes[i]!;
    if (n.role === "leaf") {
      if (forced.has(n)) stored.add(n);
      continue;
    }
    const host = isHeavy(n) ? n : hostOf.get(n);
    if (host !== undefined && ends.has(host)) {
      let g = groupOfHost.get(host);
      if (g === undefined) groupOfHost.set(host, g = newGroup());
      if (ends.get(host) === n) {
        stored.add(n);
        required.add(n);
      }
      if (n.role === "routine") { for (const x of n.ins) need(x); }
      else for (const x of n.ins) use(x, [g]);
      continue;
    }
    switch (n.role) {
      case "scan":
      case "assemble":
      case "routine":
      case "scatter": {
        stored.add(n);
        required.add(n);
        const shared = newGroup();
        n.ins.forEach((x, k) => {
          if (n.role === "routine") need(x);
          else use(x, [n.role === "assemble" || (n.role === "scatter" && k === 0) ? newGroup() : shared]);
        });
        continue;
      }
    }
    const groups = uses.get(n) ?? new Set<number>();
    let keeps = required.has(n) || forced.has(n);
    if (keeps) required.add(n);
    else if (n.role === "map" || n.role === "gather") {
      if (keep(n)) {
        keeps = true;
        required.add(n);
      } else if (
        !isTrivial(n) &&
        (groups.size > 2 || (groups.size === 2 && cost.get(n)! > (n.size < SMALL ? MORE : traits.recompute)))
      ) {
        keeps = true;
        if (n.held && groups.size === 2 && cost.get(n)! <= MORE) passing.add(n);
      }
    }
    if (!keeps && n.role !== "scalar") {
      const bases = n.role === "view" ? [] : n.ins.map(baseOf).filter(isBase);
      for (const g of groups) {
        for (const b of bases) reads[g]!.add(b);
        if (++count[g]! > MAX_NODES || reads[g]!.size > MAX_READS) keeps = true;
      }
    }
    let into: Iterable<number> = groups;
    if (keeps) {
      stored.add(n);
      for (const g of groups) reads[g]!.add(n);
      into = [newGroup()];
    }
    n.ins.forEach((x, k) => {
      if (n.role === "gather" && k === 0) need(x);
      else use(x, into);
    });
  }
  return { stored, required, passing };
}

/** What a sink reads: stored nodes, and whether only ever at its own point. */
function dependencies(sinks: readonly GNode[], group: Group, stored: ReadonlySet<GNode>): Map<GNode, boolean> {
  const deps = new Map<GNode, boolean>();
  const seen = new Set<number>();
  const stack: { node: GNode; here: boolean }[] = [];
  const reach = (x: GNode, here: boolean) => {
    if (x.role === "leaf" || stored.has(x)) deps.set(x, here && (deps.get(x) ?? true));
    else {
      const state = x.id * 2 + Number(here);
      if (!seen.has(state)) {
        seen.add(state);
        stack.push({ node: x, here });
      }
    }
  };
  const open = (n: GNode, here: boolean) => {
    for (let k = 0; k < n.ins.length; k++) {
      const x = n.ins[k]!;
      reach(x, here && n.role === "map" && sameShape(x.shape, n.shape));
    }
  };
  for (const sink of sinks) open(sink, group.kind === "map");
  if (group.kind !== "map") open(group.node, false);
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    // The host of an epilogue is in the group itself, although it is not stored.
    open(top.node, top.here);
  }
  group.count = seen.size;
  return deps;
}

/** Puts sinks into groups; elementwise ones of one shape that feed each other or share inputs go together. */
function merge(nodes: readonly GNode[], stored: ReadonlySet<GNode>, ends: ReadonlyMap<GNode, GNode>): Group[] {
  const groups: Group[] = [];
  const groupOf = new Map<GNode, Group>();
  const hosts = new Map<GNode, GNode>();
  for (const [host, end] of ends) hosts.set(end, host);
  const maps = new Map<string, Group[]>();

  const reaches = (from: Group, to: Group): boolean => {
    const stack = [from];
    const seen = new Set<Group>(stack);
    for (let g = stack.pop(); g !== undefined; g = stack.pop()) {
      if (g === to) return true;
      for (const d of g.deps) {
        const next = groupOf.get(d);
        // Sinks come in order: what was complete before `to` began cannot read from it.
        if (next !== undefined && !seen.has(next) && next.sinks.at(-1)!.id >= to.sinks[0]!.id) {
          seen.add(next);
          stack.push(next);
        }
      }
    }
    return false;
  };

  for (const sink of nodes) {
    if (!stored.has(sink)) continue;
    const host = hosts.get(sink) ?? sink;
    const kind = isHeavy(host) ? host.role as Group["kind"] : "map";
    const group: Group = { kind, node: host, sinks: [sink], deps: new Set(), count: 0 };
    const deps = dependencies([sink], group, stored);
    for (const d of deps.keys()) group.deps.add(d);
    let home = group;
    if (kind === "map") {
      const key = sink.shape.join();
      const peers = maps.get(key) ?? [];
      if (peers.length === 0) maps.set(key, peers);
      for (let i = peers.length - 1, tries = 8; i >= 0 && tries > 0; i--, tries--) {
        const peer = peers[i]!;
        if (peer.sinks.length >= MAX_SINKS || peer.deps.size + deps.size > MAX_READS) continue;
        if (peer.count + group.count > MAX_NODES) continue;
        let shares = false, fits = true;
        for (const [d, here] of deps) {
          const maker = groupOf.get(d);
          if (maker === peer) {
            shares = true;
            if (!here) fits = false;
          } else if (peer.deps.has(d)) shares = true;
        }
        if (!shares || !fits) continue;
        for (const d of deps.keys()) {
          const maker = groupOf.get(d);
          if (maker !== undefined && maker !== peer && reaches(maker, peer)) {
            fits = false;
            break;
          }
        }
        if (!fits) continue;
        home = peer;
        peer.sinks.push(sink);
        peer.count += group.count;
        for (const d of deps.keys()) if (groupOf.get(d) !== peer) peer.deps.add(d);
        break;
      }
      if (home === group) peers.push(group);
    }
    if (home === group) groups.push(group);
    groupOf.set(sink, home);
  }
  return groups;
}

/** Forgets to store what was stored only to be shared, where the sharing ended up inside one kernel. */
function unstore(groups: readonly Group[], stored: Set<GNode>, required: ReadonlySet<GNode>): void {
  const readers = new Set<GNode>();
  for (const group of groups) for (const d of group.deps) readers.add(d);
  for (const group of groups) {
    if (group.kind !== "map" || group.sinks.length === 1) continue;
    for (let i = group.sinks.length - 1; i >= 0; i--) {
      const sink = group.sinks[i]!;
      if (required.has(sink) || readers.has(sink) || group.sinks.length === 1) continue;
      group.sinks.splice(i, 1);
      stored.delete(sink);
    }
  }
}

/** Orders groups so that each comes after those it reads from. */
function order(groups: readonly Group[]): Group[] {
  const maker = new Map<GNode, Group>();
  for (const group of groups) for (const sink of group.sinks) maker.set(sink, group);
  const out: Group[] = [];
  const done = new Set<Group>();
  for (const first of groups) {
    const stack = [first];
    while (stack.length > 0) {
      const group = stack[stack.length - 1]!;
      if (done.has(group)) {
        stack.pop();
        continue;
      }
      let ready = true;
      for (const d of group.deps) {
        const before = maker.get(d);
        if (before !== undefined && before !== group && !done.has(before)) {
          stack.push(before);
          ready = false;
        }
      }
      if (ready) {
        done.add(group);
        out.push(group);
        stack.pop();
      }
    }
  }
  return out;
}
