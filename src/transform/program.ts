/**
 * Programs: the bodies of loops and branches as closed graphs, which can be bound, computed, batched and differentiated.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import * as ops from "../core/ops.ts";
import type { Aval, BatchArg } from "../core/primitive.ts";
import type { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import type { Target } from "../graph/plan.ts";
import type { Argument, Captured } from "./capture.ts";
import type { CompiledGraph } from "./evaluate.ts";
import { recordFunction } from "./gradient.ts";
import type { Graph } from "./replay.ts";
import { compileGraph } from "./staged.ts";
import { type Cell, runTrace } from "./tracing.ts";

/** A graph without constants: all it needs are its inputs. */
export class Program {
  readonly graph: Graph;
  #plan: CompiledGraph | null = null;
  readonly #derived = new Map<string, unknown>();

  /** Which of the inputs that were offered it has. */
  readonly used: readonly number[];

  /**
   * @param body binds the program's primitives from its inputs, and from nothing else
   * @param prune whether to leave out inputs that no output depends on
   */
  constructor(inputs: readonly Argument[], body: (nodes: readonly Node[]) => readonly Node[], prune = false) {
    const { graph, result } = runTrace("function", (trace) => {
      const nodes = inputs.map((x) => trace.placeholder(x, x.device, x.weak));
      const outputs = body(nodes);
      const read = prune ? reachable(outputs) : null;
      const used = nodes.flatMap((node, i) => read === null || read.has(node) ? [i] : []);
      return { inputs: used.map((i) => nodes[i]!), outputs, used };
    });
    if (graph.constants.length > 0) throw new Error("program: it reads what is no input");
    this.graph = graph;
    this.used = result.used;
  }

  get inputs(): readonly Node[] {
    return this.graph.inputs;
  }

  get outputs(): readonly Node[] {
    return this.graph.outputs;
  }

  /** Binds its primitives. */
  bind(inputs: readonly Node[]): Node[] {
    return this.graph.run(inputs, []);
  }

  /** Computes its outputs from finished nodes; they are finished, in the memory that is given for them where that is possible. */
  compute(inputs: readonly Node[], into?: readonly (Target | null)[]): Node[] {
    return (this.#plan ??= compileGraph(this.graph.outputs, this.graph.inputs)).run(inputs, into);
  }

  /** What was made of this program before under a name, or is made now. */
  derive<T>(name: string, make: () => T): T {
    if (!this.#derived.has(name)) this.#derived.set(name, make());
    return this.#derived.get(name) as T;
  }

  /**
   * The program with a mapped axis in front of some inputs.
   * @param flags which inputs are mapped
   * @param force for each output whether it is mapped even if it depends on no mapped input
   * @returns the program, and which outputs are mapped
   */
  batched(flags: readonly boolean[], size: number, force: readonly boolean[]): Batched {
    return this.derive(`batched ${size} ${flags} ${force}`, () => {
      let mapped: readonly boolean[] = [];
      const inputs = this.inputs.map((x, i) => flags[i] ? mappedAval(x, size) : x);
      const program = new Program(inputs, (nodes) => {
        const out = this.graph.runBatched(nodes.map((node, i) => ({ node, batched: flags[i]! })), size).map(
          (x, i) =>
            force[i] && !x.batched ? { node: ops.broadcast(x.node, [size, ...x.node.shape]), batched: true } : x,
        );
        mapped = out.map(({ batched }) => batched);
        return out.map(({ node }) => node);
      });
      return { program, mapped };
    });
  }

  /**
   * The program of the cotangents: inputs are its own and then one cotangent for each inexact output; outputs are cotangents of the
   * wanted inputs.
   */
  pullback(wanted: readonly boolean[]): Program {
    return this.derive(`pullback ${wanted}`, () => {
      const seeds = this.outputs.filter(({ dtype }) => isInexact(dtype));
      const count = this.inputs.length;
      return new Program([...this.inputs, ...seeds], (nodes) => {
        const { inputs, outputs, tape } = recordFunction(
          "pullback",
          (own) => this.bind(own),
          nodes.slice(0, count),
          wanted,
        );
        using _ = tape;
        let next = count;
        const given = outputs.map(({ dtype }) => isInexact(dtype) ? nodes[next++]! : null);
        return tape.gradient(outputs, inputs.filter((_, i) => wanted[i]), given, "zero").map((g) => g!);
      });
    });
  }
}

/** All that some nodes are made of, and they themselves. */
function reachable(nodes: readonly Node[]): Set<Node> {
  const seen = new Set<Node>();
  const stack = [...nodes];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    stack.push(...node.inputs);
  }
  return seen;
}

/** A program with a mapped axis. */
export interface Batched {
  readonly program: Program;
  readonly mapped: readonly boolean[];
}

/** An input with a mapped axis in front. */
export function mappedAval(x: Node, size: number): Argument {
  return { shape: [size, ...x.shape], dtype: x.dtype, device: x.device, weak: false };
}

/** An argument of a program. */
export function argumentOf({ shape, dtype }: Aval, device: Device): Argument {
  return { shape, dtype, device, weak: false };
}

/** Zeros. */
export function zerosOf({ shape, dtype }: Aval, device: Device): Node {
  return ops.broadcast(ops.scalar(0, dtype, device), shape);
}

/** What a batched input is with its mapped axis in front, whether it had one or not. */
export function spreadArg({ node, batched }: BatchArg, size: number): Node {
  return batched ? node : ops.broadcast(node, [size, ...node.shape]);
}

/** The state of several captured functions together, and what they closed over. */
export interface Closure {
  readonly constants: readonly Node[];
  readonly cells: readonly Cell[];
  readonly written: readonly Cell[];
  readonly keys: readonly Device[];
}

/** Puts the state of captured functions together. */
export function closureOf(captured: readonly Captured<unknown>[]): Closure {
  const union = <X>(list: (c: Captured<unknown>) => readonly X[]): X[] => [...new Set(captured.flatMap(list))];
  return {
    constants: union(({ graph }) => graph.constants),
    cells: union(({ cells }) => cells),
    written: union(({ written }) => written),
    keys: union(({ keys }) => keys),
  };
}

/** What a captured function is replayed on besides its arguments. */
export interface Surroundings {
  readonly constants: ReadonlyMap<Node, Node>;
  readonly cells: ReadonlyMap<Cell, Node>;
  readonly keys: ReadonlyMap<Device, readonly [Node, Node]>;
}

/** Binds a captured function's primitives: its results, and the variables it assigned. */
export function apply(
  captured: Captured<unknown>,
  args: readonly Node[],
  { constants, cells, keys }: Surroundings,
): { results: Node[]; written: Map<Cell, Node> } {
  const { graph, count } = captured;
  const out = graph.run(
    [
      ...args,
      ...captured.cells.map((cell) => cells.get(cell)!),
      ...captured.keys.flatMap((device) => keys.get(device)!),
    ],
    graph.constants.map((node) => constants.get(node)!),
  );
  return {
    results: out.slice(0, count),
    written: new Map(captured.written.map((cell, i) => [cell, out[count + i]!])),
  };
}

/** Nodes by what they stand for. */
export function zip<K>(keys: readonly K[], nodes: readonly Node[]): Map<K, Node> {
  return new Map(keys.map((key, i) => [key, nodes[i]!]));
}

/** Pairs of nodes by device. */
export function zipKeys(devices: readonly Device[], nodes: readonly Node[]): Map<Device, readonly [Node, Node]> {
  return new Map(devices.map((device, i) => [device, [nodes[2 * i]!, nodes[2 * i + 1]!]]));
}
