/**
 * Primitives with several results: control flow. Their node stands for all results together, has no value of its own, and `pick` takes
 * one out. A node of a trace is replayed by interpreters like any other; outside of traces the results are computed at once.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import { type Aval, type Lowering, newId, type Primitive } from "../core/primitive.ts";
import { bind, context, isWatched, leaf, type Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { evaluate } from "./evaluate.ts";

/** Which result, and what it is. */
interface PickParams extends Aval {
  readonly index: number;
}

const pick: Primitive<PickParams> = {
  id: newId(),
  name: "pick",
  kind: "control",
  infer: (_ins, { shape, dtype }) => ({ shape, dtype }),
  vjp: (g) => [g],
  batch: ([x], { index }) => pickResult(x!.node, index),
  lower: { as: "pick" },
};

/** Results that were computed: its inputs. */
const done: Primitive<null> = together("done");

/** Results put together from nodes of any kind, for a batching rule to return. */
const made: Primitive<null> = together("made");

function together(name: string): Primitive<null> {
  return {
    id: newId(),
    name,
    kind: "control",
    infer: (ins) => summary(ins),
    vjp: null,
    batch: () => {
      throw new TypeError(`${name}: results put together are not mapped`);
    },
    lower: { as: "control", results: () => [], run: (inputs) => inputs, watched: () => null },
  };
}

/** What the node of several results passes for: a number of which gradients exist if they exist for any result. */
function summary(results: readonly Aval[]): Aval {
  return { shape: [], dtype: results.find(({ dtype }) => isInexact(dtype))?.dtype ?? "int64" };
}

/** How control flow is lowered. */
export type Control<P> = Lowering<P> & { readonly as: "control" };

/** Control flow as a primitive: its results tell the rest. */
export function control<P>(
  name: string,
  rules: Omit<Control<P>, "as"> & Pick<Primitive<P>, "batch"> & { readonly vjp: NonNullable<Primitive<P>["vjp"]> },
): Primitive<P> {
  const { results, run, watched, batch, vjp } = rules;
  return {
    id: newId(),
    name,
    kind: "control",
    infer: (_ins, params) => summary(results(params)),
    vjp,
    batch,
    lower: { as: "control", results, run, watched },
  };
}

/** Whether a primitive has several results or takes one out. */
export function isControl(prim: Primitive): boolean {
  return prim.kind === "control";
}

/** Binds a primitive of control flow, as `bind` does any other. */
export function bindControl<P>(prim: Primitive<P>, inputs: readonly Node[], params: P, device?: Device): Node {
  const lower = prim.lower as Control<P>;
  if (prim.lower.as === "pick") return pickResult(inputs[0]!, (params as unknown as PickParams).index);
  const node = bind(prim, inputs, isWatched(inputs) ? lower.watched(params) : params, device);
  if (!node.symbolic) perform(node);
  return node;
}

/** Computes the results of a node outside of traces. */
function perform(node: Node): void {
  const { prim, inputs, params } = node;
  computeResults(() => {
    evaluate(inputs);
    return (prim!.lower as Control<unknown>).run(inputs, params);
  }, node);
}

/**
 * Computes values in the middle of a transformation: interpreters have nodes at hand that nobody holds.
 * @param node whose inputs the results become
 */
export function computeResults<T extends readonly Node[]>(run: () => T, node: Node | null = null): T {
  const release = context.recorders.map((recorder) => recorder.keep?.());
  try {
    const parts = run();
    if (node === null) return parts;
    const { inputs } = node;
    for (const part of parts) part.hold();
    node.inputs = parts;
    node.prim = done as Primitive;
    node.params = null;
    for (const x of inputs) x.drop();
    return parts;
  } finally {
    for (const fn of release) fn?.();
  }
}

/** The results of a node of control flow: all, or the first ones. */
export function resultsOf(node: Node, count: number = avalsOf(node).length): Node[] {
  node.hold();
  const out = Array.from({ length: count }, (_, index) => pickResult(node, index));
  node.holders--;
  return out;
}

/** The computed results of a node, as values that only tapes which follow the node need to see taken out of it. */
export function valuesOf(node: Node): readonly Node[] {
  return isWatched([node]) ? resultsOf(node) : node.inputs;
}

/** What the results of a node are. */
function avalsOf({ prim, inputs, params }: Node): readonly Aval[] {
  return prim === done || prim === made ? inputs : (prim!.lower as Control<unknown>).results(params);
}

function pickResult(node: Node, index: number): Node {
  if (node.prim === made) return node.inputs[index]!;
  const { shape, dtype } = avalsOf(node)[index]!;
  const out = bind(pick, [node], { index, shape, dtype });
  if (node.prim === done) {
    const { storage, offset, strides } = node.inputs[index]!;
    // It lets go of the node, which a later pick may need.
    node.hold();
    out.finish(storage!, offset, strides);
    node.holders--;
  }
  return out;
}

/** Nodes as the results of one node. */
export function putTogether(nodes: readonly Node[]): Node {
  return bind(made, nodes, null, nodes[0]?.device);
}

/** The index of the result that a bound primitive takes out; null if it does something else. */
export function pickedIndex(prim: Primitive, params: unknown): number | null {
  return prim.lower.as === "pick" ? (params as PickParams).index : null;
}

/** The value of a finished node as a node of its own. */
export function share(node: Node): Node {
  return leaf({ shape: node.shape, dtype: node.dtype }, node.device, node.storage!, node.offset, node.strides);
}
