/**
 * Traced graphs with control flow: each loop or branch cuts the graph, what lies between is planned as any other graph, and the
 * host runs plans and control flow in turn. Values stay on the device.
 * @module
 */
import { TracerError } from "../base/errors.ts";
import type { Node } from "../core/trace.ts";
import { type CompiledGraph, compilePlan, evaluate } from "./evaluate.ts";
import { type Control, isControl, pickedIndex, share } from "./several.ts";

/**
 * Plans a traced graph once, as `compilePlan` does, with control flow in it or without.
 * @param outputs nodes that depend on the placeholders, and on nodes from outside, which are constants
 * @param inputs the placeholders
 */
export function compileGraph(outputs: readonly Node[], inputs: readonly Node[]): CompiledGraph {
  const order = orderOf(outputs, new Set(inputs));
  return order.some((node) => isControl(node.prim!))
    ? new Staged(outputs, inputs, order)
    : compilePlan(outputs, inputs);
}

/** The nodes of a trace from inputs (exclusive) to outputs, inputs first. */
function orderOf(outputs: readonly Node[], inputs: ReadonlySet<Node>): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>(inputs);
  const stack: Node[] = [];
  for (const output of outputs) {
    stack.push(output);
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      const before = stack.length;
      if (!seen.has(node) && node.symbolic) {
        for (const x of node.inputs) if (!seen.has(x) && x.symbolic) stack.push(x);
      }
      if (stack.length > before) continue;
      stack.pop();
      if (seen.has(node) || !node.symbolic) continue;
      if (node.prim === null || node.prim.name === "placeholder") {
        throw new TracerError("trace: a placeholder that is no input of the traced function was used in it");
      }
      seen.add(node);
      order.push(node);
    }
  }
  return order;
}

/** What runs without interruption: a plan, then the control flow that it feeds. */
interface Stage {
  readonly plan: CompiledGraph | null;
  /** What the plan reads, besides constants. */
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
  readonly controls: readonly { readonly node: Node; readonly picks: readonly Node[] }[];
  /** Values that nothing needs afterwards. */
  last: Node[];
}

class Staged implements CompiledGraph {
  #inputs: readonly Node[];
  #outputs: readonly Node[];
  #stages: readonly Stage[];
  /** Nodes from outside that control flow reads or that are outputs. */
  readonly #constants = new Set<Node>();

  constructor(outputs: readonly Node[], inputs: readonly Node[], order: readonly Node[]) {
    this.#inputs = inputs.map((node) => node.hold());
    this.#outputs = outputs.map((node) => node.hold());
    this.#stages = stagesOf(outputs, new Set(inputs), order);
    const given = new Set(inputs);
    const outside = (node: Node): void => {
      if (node.symbolic || given.has(node) || this.#constants.has(node)) return;
      this.#constants.add(node.hold());
    };
    for (const { controls } of this.#stages) for (const { node } of controls) node.inputs.forEach(outside);
    outputs.forEach(outside);
  }

  get plans(): number {
    return this.#stages.reduce((sum, { plan }) => sum + (plan?.plans ?? 0), 0);
  }

  run(inputs: readonly Node[]): Node[] {
    if (inputs.length !== this.#inputs.length) {
      throw new TypeError(`run: expected ${this.#inputs.length} inputs, got ${inputs.length}`);
    }
    const values = new Map<Node, Node>();
    this.#inputs.forEach((node, i) => values.set(node, inputs[i]!));
    for (const node of this.#constants) values.set(node, node);
    const own = new Map<Node, Node>();
    const keep = (node: Node, value: Node): void => {
      own.set(node, value.hold());
      values.set(node, value);
    };
    // Plain numbers among them have no other holder.
    for (const node of inputs) node.hold();
    try {
      for (const { plan, inputs, outputs, controls, last } of this.#stages) {
        const results = plan?.run(inputs.map((node) => values.get(node)!)) ?? [];
        outputs.forEach((node, i) => keep(node, results[i]!));
        for (const { node, picks } of controls) {
          const ins = node.inputs.map((x) => values.get(x)!);
          evaluate(ins);
          const parts = (node.prim!.lower as Control<unknown>).run(ins, node.params);
          for (const part of parts) part.hold();
          for (const pick of picks) keep(pick, share(parts[pickedIndex(pick.prim!, pick.params)!]!));
          for (const part of parts) part.drop();
        }
        for (const node of last) {
          own.get(node)!.drop();
          own.delete(node);
        }
      }
      const out = this.#outputs.map((node) => {
        const value = values.get(node)!;
        if (own.has(node)) return value;
        evaluate([value]);
        return share(value);
      });
      this.#outputs.forEach((node, i) => {
        out[i]!.weak = node.weak;
      });
      const kept = new Set(out);
      for (const node of kept) node.hold();
      for (const node of own.values()) node.drop();
      own.clear();
      for (const node of kept) node.holders--;
      return out;
    } finally {
      for (const node of own.values()) node.drop();
      for (const node of inputs) node.holders--;
    }
  }

  dispose(): void {
    for (const { plan } of this.#stages) plan?.dispose();
    for (const list of [this.#inputs, this.#outputs, this.#constants]) for (const node of list) node.drop();
    this.#inputs = this.#outputs = this.#stages = [];
    this.#constants.clear();
  }
}

/** Cuts a graph at its control flow. */
function stagesOf(outputs: readonly Node[], inputs: ReadonlySet<Node>, order: readonly Node[]): Stage[] {
  const stage = new Map<Node, number>();
  let count = 1;
  for (const node of order) {
    let at = 0;
    for (const x of node.inputs) at = Math.max(at, stage.get(x) ?? 0);
    if (pickedIndex(node.prim!, node.params) !== null) at++;
    stage.set(node, at);
    count = Math.max(count, at + 1);
  }
  const isPick = (node: Node) => stage.has(node) && pickedIndex(node.prim!, node.params) !== null;
  const isWhole = (node: Node) => stage.has(node) && isControl(node.prim!) && !isPick(node);
  // Computed anew where they are needed: these cost nothing.
  const isCheap = ({ prim }: Node) => prim!.lower.as === "scalar" || prim!.lower.as === "iota";

  const roots: Set<Node>[] = Array.from({ length: count }, () => new Set());
  const root = (node: Node): void => {
    if (stage.has(node) && !isPick(node)) roots[stage.get(node)!]!.add(node);
  };
  for (const node of outputs) root(node);
  for (const node of order) {
    if (isPick(node)) continue;
    const at = stage.get(node)!;
    for (const x of node.inputs) {
      if (isWhole(node) || (stage.has(x) && stage.get(x)! < at && !isCheap(x))) root(x);
    }
  }

  const out: Stage[] = [];
  const lastUse = new Map<Node, number>();
  for (let at = 0; at < count; at++) {
    const reads = new Set<Node>();
    const seen = new Set<Node>(roots[at]);
    const stack = [...roots[at]!];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      for (const x of node.inputs) {
        if (seen.has(x)) continue;
        seen.add(x);
        if (inputs.has(x) || isPick(x) || (stage.has(x) && stage.get(x)! < at && !isCheap(x))) reads.add(x);
        else if (stage.has(x)) stack.push(x);
      }
    }
    const controls = order.filter((node) => isWhole(node) && stage.get(node) === at).map((node) => ({
      node,
      picks: order.filter((x) => isPick(x) && x.inputs[0] === node),
    }));
    const made = [...roots[at]!];
    for (const node of [...reads, ...controls.flatMap(({ node }) => node.inputs)]) lastUse.set(node, at);
    for (const node of [...made, ...controls.flatMap(({ picks }) => picks)]) {
      if (!lastUse.has(node)) lastUse.set(node, at);
    }
    const plan = made.length === 0 ? null : compilePlan(made, [...reads]);
    out.push({ plan, inputs: [...reads], outputs: made, controls, last: [] });
  }
  for (const node of outputs) lastUse.delete(node);
  for (const [node, at] of lastUse) if (stage.has(node)) out[at]!.last.push(node);
  return out;
}
