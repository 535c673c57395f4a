/**
 * Trace compilation: a function runs once on placeholders for each signature; later calls replay what it computed. Outside of
 * tapes and traces the replay is a plan made once; under them the primitives are bound again, for the tape or the trace to see.
 * @module
 */
import { debug } from "../base/debug.ts";
import { prefersFloat32, type PromotionMode, promotionMode } from "../base/promote.ts";
import { sameShape } from "../base/shape.ts";
import { context, isWatched, type Node, type Trace } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { type Argument, type BodyResult, capture, type Captured, checkFits } from "./capture.ts";
import type { CompiledGraph } from "./evaluate.ts";
import { callProgram, isCallable } from "./call.ts";
import { Program } from "./program.ts";
import type { Graph } from "./replay.ts";
import { nextKey } from "./random.ts";
import { type CallText, RetraceWatch } from "./retrace.ts";
import { compileGraph } from "./staged.ts";
import { MAX_UNKNOWN, probes, type Sample, Template } from "./template.ts";
import { checkOpen, tidy } from "./tracing.ts";
import { assignAll } from "./variable.ts";

/** One trace. */
interface Entry<T> extends Captured<T>, Mode {
  readonly signature: string;
  /** The part of the signature that the caller made. */
  readonly key: string;
  /** Its results depend on its arguments alone: no variable, no random draw, no trace further out. */
  readonly pure: boolean;
  /** A trace further out whose values were closed over: the entry means nothing after its end. */
  readonly outer: Trace | null;
  readonly oneDevice: boolean;
  plan: CompiledGraph | null;
  /** The graph with its constants as inputs, for calls that a tape follows; null if it cannot be called so, undefined before the first. */
  program: Program | null | undefined;
  /** How many calls run it now: it calls itself, perhaps. */
  running: number;
}

/** What a signature has besides the arguments. */
interface Mode {
  readonly promotion: PromotionMode;
  readonly float32: boolean;
  readonly device: Device;
}

/** Traces that differ in the lengths of unknown axes. */
interface Family<T> {
  readonly samples: Sample<T>[];
  /** What they have in common; null if nothing, undefined before the second length comes. */
  template: Template<T> | null | undefined;
}

/** The unknown lengths of a call, each once, and a key of all else. */
interface Unknown {
  readonly key: string;
  readonly lengths: readonly number[];
  /** For each input and axis the number of its unknown length, or -1. */
  readonly places: readonly (readonly number[])[];
}

/** Most traces a function keeps. */
const LIMIT = 256;

/** The traces of one function; the least recently used ones leave first. */
export class TraceCache<T> {
  readonly #entries = new Map<string, Entry<T>>();
  readonly #limit: number;
  readonly #watch: RetraceWatch;
  readonly #same: (a: T, b: T) => boolean;
  readonly #unknown: readonly (readonly number[])[] | null;
  readonly #families = new Map<string, Family<T>>();
  #last: Entry<T> | null = null;
  #traces = 0;

  /**
   * @param name what messages call the function
   * @param same whether what two traces gave besides arrays is the same
   * @param unknown for each input the axes whose length may vary from call to call
   */
  constructor(
    name: string,
    same: (a: T, b: T) => boolean = Object.is,
    unknown: readonly (readonly number[])[] | null = null,
    limit = LIMIT,
  ) {
    this.#watch = new RetraceWatch(name);
    this.#same = same;
    this.#unknown = unknown;
    this.#limit = limit;
  }

  /** How often the function was traced. */
  get traces(): number {
    return this.#traces;
  }

  /** How many traces are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Runs the trace of the last call again, without the making of a signature: the same as `call`.
   * @returns null where the signature differs from the last one, or something besides the plan is to be done
   */
  repeat(key: string, inputs: readonly Node[]): BodyResult<T> | null {
    const last = this.#last;
    if (
      last === null || !last.pure || last.plan === null || context.recorders.length > 0 || context.traces.length > 0 ||
      key !== last.key || promotionMode() !== last.promotion || prefersFloat32() !== last.float32 ||
      currentDevice() !== last.device
    ) return null;
    for (let i = 0; i < inputs.length; i++) {
      const node = inputs[i]!, before = last.graph.inputs[i]!;
      if (
        node.dtype !== before.dtype || node.device !== before.device || node.weak !== before.weak ||
        node.trace !== null || (node.shape !== before.shape && !sameShape(node.shape, before.shape))
      ) return null;
    }
    this.#watch.call();
    checkFits(last.fits, inputs);
    return { outputs: last.plan.run(inputs), rest: last.rest };
  }

  /**
   * Calls the function: traces it if its signature is new.
   *
   * @param key what distinguishes calls besides the inputs' shapes, dtypes and devices: structure and static values
   * @param inputs the arguments
   * @param body is given one placeholder an input; runs the user's function
   * @param describe tells what was given, for a warning
   * @returns the results, and the rest of the trace
   */
  call(
    key: string,
    inputs: readonly Node[],
    body: (nodes: readonly Node[]) => BodyResult<T>,
    describe: () => CallText,
  ): BodyResult<T> {
    for (const node of inputs) checkOpen("function", node);
    this.#watch.call();
    let signature = headOf(key);
    for (const { dtype, shape, weak, device } of inputs) {
      signature += `|${dtype}${weak ? "*" : ""}[${shape.join(",")}]${device.name}`;
    }
    const entry = this.#find(signature) ?? this.#make(key, signature, inputs, body, describe);
    checkFits(entry.fits, inputs);
    entry.running++;
    try {
      return { outputs: replay(entry, inputs), rest: entry.rest };
    } finally {
      entry.running--;
    }
  }

  #find(signature: string): Entry<T> | null {
    const last = this.#last;
    const entry = last?.signature === signature ? last : this.#entries.get(signature);
    if (entry === undefined) return null;
    if (entry.outer !== null && !entry.outer.open) {
      this.#drop(entry);
      return null;
    }
    if (entry !== last) {
      // The map's order is the order of use.
      this.#entries.delete(signature);
      this.#entries.set(signature, entry);
      this.#last = entry;
    }
    return entry;
  }

  #make(
    key: string,
    signature: string,
    inputs: readonly Node[],
    body: (nodes: readonly Node[]) => BodyResult<T>,
    describe: () => CallText,
  ): Entry<T> {
    const unknown = this.#unknown === null ? null : unknownOf(headOf(key), inputs, this.#unknown);
    const captured = unknown === null
      ? this.#trace(inputs, body, describe)
      : this.#general(unknown, inputs, body, describe);
    const entry = entryOf(key, signature, captured);
    this.#entries.set(signature, entry);
    this.#last = entry;
    if (this.#entries.size > this.#limit) {
      for (const old of this.#entries.values()) {
        if (old.running > 0 || old === entry) continue;
        this.#drop(old);
        break;
      }
    }
    return entry;
  }

  /** Calls the user's function. */
  #trace(
    inputs: readonly Argument[],
    body: (nodes: readonly Node[]) => BodyResult<T>,
    describe: (() => CallText) | null,
  ): Captured<T> {
    this.#traces++;
    const captured = capture(inputs, body);
    // One that failed is made again because of that, not because of its arguments.
    if (describe !== null) this.#watch.trace(inputs, describe);
    return captured;
  }

  /** A trace that may do without the user's function, from the second length of the unknown axes on. */
  #general(
    unknown: Unknown,
    inputs: readonly Node[],
    body: (nodes: readonly Node[]) => BodyResult<T>,
    describe: () => CallText,
  ): Captured<T> {
    const { key, lengths, places } = unknown;
    let family = this.#families.get(key);
    if (family === undefined) {
      this.#families.set(key, family = { samples: [], template: undefined });
      if (this.#families.size > this.#limit) this.#families.delete(this.#families.keys().next().value!);
    }
    const { samples } = family;
    if (samples.length > 0 && family.template === undefined) {
      family.template = this.#generalise(samples, (at) =>
        inputs.map(({ shape, dtype, device, weak }, i) => ({
          shape: shape.map((n, d) => places[i]![d]! < 0 ? n : at[places[i]![d]!]!),
          dtype,
          device,
          weak,
        })), body);
      samples.length = 0;
    }
    const made = family.template?.make(inputs, lengths) ?? null;
    if (made !== null) return made;
    const captured = this.#trace(inputs, body, describe);
    if (family.template === undefined) samples.push({ lengths, captured });
    return captured;
  }

  /** What traces of several lengths have in common; null if nothing, or if the function fails with some of them. */
  #generalise(
    samples: readonly Sample<T>[],
    argsAt: (lengths: readonly number[]) => Argument[],
    body: (nodes: readonly Node[]) => BodyResult<T>,
  ): Template<T> | null {
    const probed: Sample<T>[] = [];
    try {
      for (const lengths of probes(samples[0]!.lengths.length)) {
        probed.push({ lengths, captured: this.#trace(argsAt(lengths), body, null) });
      }
      return Template.of([...probed, ...samples], this.#same);
    } catch (error) {
      debug("evaluations", () => `function: no trace for all lengths: ${error}`);
      return null;
    } finally {
      for (const { captured } of probed) captured.graph.dispose();
    }
  }

  #drop(entry: Entry<T>): void {
    this.#entries.delete(entry.signature);
    if (this.#last === entry) this.#last = null;
    entry.plan?.dispose();
    entry.graph.dispose();
  }
}

/** What a signature begins with: all but the arguments. */
function headOf(key: string): string {
  return `${key}|${promotionMode()}${prefersFloat32() ? "1" : "0"}${currentDevice().name}`;
}

/** The unknown lengths of a call; null if it has none that a template could stand for. */
function unknownOf(
  head: string,
  inputs: readonly Node[],
  axes: readonly (readonly number[])[],
): Unknown | null {
  const lengths: number[] = [];
  const places = inputs.map(({ shape }, i) =>
    shape.map((n, d) => {
      if (n < 2 || !axes[i]?.includes(d)) return -1;
      // Axes of one length are one unknown.
      const at = lengths.indexOf(n);
      return at >= 0 ? at : lengths.push(n) - 1;
    })
  );
  if (lengths.length === 0 || lengths.length > MAX_UNKNOWN) return null;
  const words = inputs.map(({ shape, dtype, device }, i) =>
    `${dtype}[${shape.map((n, d) => places[i]![d]! < 0 ? n : `?${places[i]![d]!}`)}]${device.name}`
  );
  return { key: `${head}|${words.join("|")}`, lengths, places };
}

function entryOf<T>(key: string, signature: string, captured: Captured<T>): Entry<T> {
  const { graph, cells, keys } = captured;
  let outer: Trace | null = null;
  for (const { trace } of graph.constants) {
    if (trace !== null && (outer === null || trace.level > outer.level)) outer = trace;
  }
  const devices = new Set([...graph.inputs, ...graph.constants, ...graph.outputs].map((node) => node.device));
  return {
    ...captured,
    key,
    signature,
    outer,
    oneDevice: devices.size <= 1,
    pure: outer === null && cells.length === 0 && keys.length === 0,
    promotion: promotionMode(),
    float32: prefersFloat32(),
    device: currentDevice(),
    plan: null,
    program: undefined,
    running: 0,
  };
}

/** Runs a trace: as a plan, as a program that tapes can differentiate, or, in traces further out, by binding its primitives again. */
function run<T>(entry: Entry<T>, inputs: readonly Node[]): Node[] {
  const { graph } = entry;
  if (context.traces.length > 0 || !entry.oneDevice) return graph.run(inputs);
  if (!isWatched(inputs) && !isWatched(graph.constants)) {
    return (entry.plan ??= compileGraph(graph.outputs, graph.inputs)).run(inputs);
  }
  if (entry.program === undefined) entry.program = isCallable(graph) ? programOf(graph) : null;
  return entry.program === null ? graph.run(inputs) : callProgram(entry.program, [...inputs, ...graph.constants]);
}

/** A graph as a program: what it closed over are its last inputs. */
function programOf(graph: Graph): Program {
  const count = graph.inputs.length;
  return new Program(
    [...graph.inputs, ...graph.constants],
    (nodes) => graph.run(nodes.slice(0, count), nodes.slice(count)),
  );
}

function replay<T>(entry: Entry<T>, args: readonly Node[]): Node[] {
  const { graph, cells, written, keys, count } = entry;
  return tidy(() => {
    const inputs = [...args, ...cells.map((cell) => cell.read()), ...keys.flatMap(nextKey)];
    const outputs = run(entry, inputs), results = outputs.slice(0, count);
    outputs.forEach((node, i) => node.weak = graph.outputs[i]!.weak);
    assignAll(written, outputs.slice(count), results);
    return results;
  });
}
