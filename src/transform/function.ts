/**
 * Trace compilation: a function runs once on placeholders for each signature; later calls replay what it computed. Outside of
 * tapes and traces the replay is a plan made once; under them the primitives are bound again, for the tape or the trace to see.
 * @module
 */
import { prefersFloat32, promotionMode } from "../base/promote.ts";
import { context, type Node, type Trace } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { type CompiledGraph, compilePlan } from "./evaluate.ts";
import { nextKey } from "./random.ts";
import type { Graph } from "./replay.ts";
import { isWatched } from "./tape.ts";
import { type Cell, checkOpen, runTrace, tidy } from "./tracing.ts";

/** What the traced function gave: nodes, and what else its caller needs to build the result (structure, static values). */
export interface BodyResult<T> {
  readonly outputs: readonly Node[];
  readonly rest: T;
}

/** One trace. */
interface Entry<T> {
  readonly graph: Graph;
  /** Variables read or written: inputs after the arguments. */
  readonly cells: readonly Cell[];
  /** Those written: outputs after the results. */
  readonly written: readonly Cell[];
  /** Devices of random draws: two inputs each, after the variables. */
  readonly keys: readonly Device[];
  readonly count: number;
  readonly rest: T;
  /** A trace further out whose values were closed over: the entry means nothing after its end. */
  readonly outer: Trace | null;
  readonly oneDevice: boolean;
  plan: CompiledGraph | null;
}

/** Most traces a function keeps. */
const LIMIT = 256;

/** The traces of one function. */
export class TraceCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  #traces = 0;

  /** How often the function was traced. */
  get traces(): number {
    return this.#traces;
  }

  /**
   * Calls the function: traces it if its signature is new.
   *
   * @param key what distinguishes calls besides the inputs' shapes, dtypes and devices: structure and static values
   * @param inputs the arguments
   * @param body is given one placeholder an input; runs the user's function
   * @returns the results, and the rest of the trace
   */
  call(key: string, inputs: readonly Node[], body: (nodes: readonly Node[]) => BodyResult<T>): BodyResult<T> {
    for (const node of inputs) checkOpen("function", node);
    let signature = `${key}|${promotionMode()}${prefersFloat32() ? "1" : "0"}${currentDevice().name}`;
    for (const { dtype, shape, weak, device } of inputs) {
      signature += `|${dtype}${weak ? "*" : ""}[${shape.join(",")}]${device.name}`;
    }
    let entry = this.#entries.get(signature);
    if (entry !== undefined && entry.outer !== null && !entry.outer.open) {
      this.#entries.delete(signature);
      release(entry);
      entry = undefined;
    }
    if (entry === undefined) {
      this.#traces++;
      entry = trace(inputs, body);
      this.#entries.set(signature, entry);
      if (this.#entries.size > LIMIT) {
        const [oldest, old] = this.#entries.entries().next().value!;
        this.#entries.delete(oldest);
        release(old);
      }
    }
    return { outputs: replay(entry, inputs), rest: entry.rest };
  }
}

function release(entry: Entry<unknown>): void {
  entry.plan?.dispose();
  entry.graph.dispose();
}

function trace<T>(inputs: readonly Node[], body: (nodes: readonly Node[]) => BodyResult<T>): Entry<T> {
  const { graph, result } = runTrace("function", (trace) => {
    const nodes = inputs.map((node) => trace.placeholder(node, node.device, node.weak));
    const { outputs, rest } = body(nodes);
    const states = [...trace.cells.entries()];
    const changed = states.filter(([, state]) => state.written);
    const keys = [...trace.keys.entries()];
    return {
      inputs: [...nodes, ...states.map(([, { input }]) => input), ...keys.flatMap(([, { base }]) => base)],
      outputs: [...outputs, ...changed.map(([, { current }]) => current)],
      cells: states.map(([cell]) => cell),
      written: changed.map(([cell]) => cell),
      keys: keys.map(([device]) => device),
      count: outputs.length,
      rest,
    };
  });
  const { cells, written, keys, count, rest } = result;
  let outer: Trace | null = null;
  for (const { trace } of graph.constants) {
    if (trace !== null && (outer === null || trace.level > outer.level)) outer = trace;
  }
  const devices = new Set([...graph.inputs, ...graph.constants, ...graph.outputs].map((node) => node.device));
  return { graph, cells, written, keys, count, rest, outer, oneDevice: devices.size <= 1, plan: null };
}

function replay<T>(entry: Entry<T>, args: readonly Node[]): Node[] {
  const { graph, cells, written, keys, count } = entry;
  return tidy(() => {
    const inputs = [...args, ...cells.map((cell) => cell.read()), ...keys.flatMap(nextKey)];
    const eager = context.traces.length === 0 && entry.oneDevice && !isWatched(inputs) && !isWatched(graph.constants);
    const outputs = eager ? (entry.plan ??= compilePlan(graph.outputs, graph.inputs)).run(inputs) : graph.run(inputs);
    outputs.forEach((node, i) => {
      node.hold();
      node.weak = graph.outputs[i]!.weak;
    });
    try {
      written.forEach((cell, i) => cell.write(outputs[count + i]!));
    } finally {
      // The results are the caller's to hold; what was written is held by its variable.
      for (let i = 0; i < count; i++) outputs[i]!.holders--;
      for (let i = count; i < outputs.length; i++) outputs[i]!.drop();
    }
    return outputs.slice(0, count);
  });
}
