/**
 * A captured graph and its interpreters: the same primitives again on other inputs, one by one or with a mapped axis in front.
 * @module
 */
import { TracerError } from "../base/errors.ts";
import type { Shape } from "../base/shape.ts";
import type { BatchArg, Primitive, Trace } from "../core/primitive.ts";
import { bind, type Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { bindControl, isControl } from "./several.ts";

/** One primitive of a graph; `inputs` are slots. */
export interface Step {
  readonly prim: Primitive;
  readonly params: unknown;
  readonly inputs: readonly number[];
  readonly device: Device;
  readonly weak: boolean;
  readonly shape: Shape;
}

/**
 * What a trace computed, as a list of steps. Slots number its values: inputs, then constants, then one a step.
 * Nodes of the graph that belong to no trace, or to one further out, are constants.
 */
export class Graph {
  /** The placeholders. */
  readonly inputs: readonly Node[];
  /** What the traced function closed over. */
  readonly constants: readonly Node[];
  /** The traced results. */
  readonly outputs: readonly Node[];
  /** The primitives, inputs first. */
  readonly steps: readonly Step[];
  /** The slots of the outputs. */
  readonly results: readonly number[];
  /** Whether it has control flow, whose replay computes values in the middle. */
  readonly #controls: boolean;
  #disposed = false;

  /**
   * Captures what leads from placeholders to outputs.
   * @param trace the trace whose nodes are steps
   * @throws TracerError for a placeholder of the trace that is no input
   */
  constructor(trace: Trace, inputs: readonly Node[], outputs: readonly Node[]) {
    this.inputs = inputs;
    this.outputs = outputs;
    const order: Node[] = [];
    const constants: Node[] = [];
    const seen = new Set<Node>(inputs);
    const stack: Node[] = [];
    const enter = (node: Node): void => {
      if (seen.has(node)) return;
      if (node.trace === trace) stack.push(node);
      else {
        seen.add(node);
        constants.push(node);
      }
    };
    for (const output of outputs) {
      enter(output);
      while (stack.length > 0) {
        const node = stack.at(-1)!;
        const before = stack.length;
        if (!seen.has(node)) { for (const x of node.inputs) enter(x); }
        if (stack.length > before) continue;
        stack.pop();
        if (seen.has(node)) continue;
        seen.add(node);
        order.push(node);
      }
    }
    const slots = new Map<Node, number>();
    for (const node of [...inputs, ...constants, ...order]) slots.set(node, slots.size);
    const steps: Step[] = [];
    for (const node of order) {
      const { prim, params, device, weak, shape } = node;
      if (prim === null || prim.name === "placeholder") {
        throw new TracerError("trace: a placeholder that is no input of the traced function was used in it");
      }
      steps.push({ prim, params, inputs: node.inputs.map((x) => slots.get(x)!), device, weak, shape });
    }
    this.steps = steps;
    this.#controls = steps.some(({ prim }) => isControl(prim));
    this.results = outputs.map((node) => slots.get(node)!);
    this.constants = constants;
    for (const list of [inputs, constants, outputs]) for (const node of list) node.hold();
  }

  /** How many primitives it has. */
  get length(): number {
    return this.steps.length;
  }

  /**
   * Binds the graph's primitives again.
   * @param inputs one node an input, of its shape and dtype
   * @param constants in place of the captured ones
   * @returns the results on these inputs
   */
  run(inputs: readonly Node[], constants: readonly Node[] = this.constants): Node[] {
    const values: Node[] = [...inputs, ...constants];
    return this.#holding(values, (x) => x, () => {
      for (const { prim, params, inputs, device, weak } of this.steps) {
        const add = isControl(prim) ? bindControl : bind;
        const node = add(prim, inputs.map((slot) => values[slot]!), params, device);
        if (weak) node.weak = true;
        values.push(this.#controls ? node.hold() : node);
      }
      return this.results.map((slot) => values[slot]!);
    });
  }

  /**
   * Binds the graph's primitives by their batching rules.
   * @param inputs one an input; a batched one has a leading axis of length `size` more than the input
   * @param size the length of the mapped axis
   * @returns the results; those that depend on no batched input are not batched
   */
  runBatched(inputs: readonly BatchArg[], size: number): BatchArg[] {
    const values: BatchArg[] = [...inputs];
    for (const node of this.constants) values.push({ node, batched: false });
    return this.#holding(values, ({ node }) => node, () => {
      for (const { prim, params, inputs, device, weak } of this.steps) {
        const args = inputs.map((slot) => values[slot]!);
        const batched = args.some((arg) => arg.batched);
        const add = isControl(prim) ? bindControl : bind;
        const node = batched ? prim.batch(args, params, size) : add(prim, args.map((arg) => arg.node), params, device);
        if (weak) node.weak = true;
        values.push({ node: this.#controls ? node.hold() : node, batched });
      }
      return this.results.map((slot) => values[slot]!);
    });
  }

  /** Runs an interpreter; with control flow it holds what it adds to `values`, and this lets go of all but the results. */
  #holding<T>(values: readonly T[], nodeOf: (value: T) => Node, fn: () => T[]): T[] {
    const before = values.length;
    let out: readonly T[] = [];
    try {
      return [...out = fn()];
    } finally {
      if (this.#controls) {
        const kept = new Set(out.map(nodeOf));
        for (const node of kept) node.hold();
        for (let i = values.length - 1; i >= before; i--) nodeOf(values[i]!).drop();
        for (const node of kept) node.holders--;
      }
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Lets go of the traced nodes and constants.
   * @param kept results of a run, which may be constants: they stay, for the caller to hold
   */
  dispose(kept: readonly Node[] = []): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const node of kept) node.hold();
    for (const list of [this.outputs, this.inputs, this.constants]) for (const node of list) node.drop();
    for (const node of kept) node.holders--;
  }
}
