/**
 * Running a function on placeholders: the stack of traces, and what a trace does with the state it meets on the way, variables
 * and random keys.
 * @module
 */
import { type DType, isInteger } from "../base/dtype.ts";
import { TracerError } from "../base/errors.ts";
import { checkInteger } from "../base/promote.ts";
import * as ops from "../core/ops.ts";
import type { Aval, Trace } from "../core/primitive.ts";
import type { PrimitiveParams } from "../core/registry.ts";
import { context, type Node, type Recorder } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { Graph } from "./replay.ts";

/**
 * What a trace is for. `function`: everything bound belongs to it, and variables and random draws become inputs and outputs.
 * `map`: only what depends on its placeholders belongs to it; random draws differ per example. `pullback`: like `map`, made inside
 * gradients, with no state of its own.
 */
export type TraceKind = "function" | "map" | "pullback";

/** A variable as traces see it: a place for one value. */
export interface Cell extends Aval {
  readonly device: Device;
  /** The value now, in the trace that runs. */
  read(): Node;
  /** Another value of the same shape and dtype. */
  write(node: Node): void;
}

/** What a trace knows of a variable. */
interface CellState {
  /** The value it had at the call. */
  readonly input: Node;
  current: Node;
  written: boolean;
}

/** A plain integer that was used in an integer dtype, which must be able to hold it. */
export interface Fit {
  /** The function that used it, for the message. */
  readonly name: string;
  readonly node: Node;
  readonly dtype: DType;
}

/** A running trace. */
export class Tracing implements Trace {
  readonly level: number;
  readonly kind: TraceKind;
  open = true;
  readonly cells: Map<Cell, CellState> = new Map();
  readonly keys: Map<Device, { readonly base: readonly [Node, Node]; count: number }> = new Map();
  /** What its weak placeholders must fit. */
  readonly fits: Fit[] = [];
  readonly #kept: Node[] = [];

  constructor(kind: TraceKind) {
    this.kind = kind;
    this.level = context.traces.length + 1;
  }

  /** An input of the trace. */
  placeholder(aval: Aval, device: Device, weak = false): Node {
    const node = ops.placeholder({ shape: aval.shape, dtype: aval.dtype }, device);
    node.trace = this;
    node.weak = weak;
    return this.keep(node);
  }

  /** Holds a node until the trace ends. */
  keep(node: Node): Node {
    this.#kept.push(node.hold());
    return node;
  }

  /** Ends the trace: its nodes mean nothing from now on. */
  end(): void {
    this.open = false;
    for (const node of this.#kept) node.drop();
    this.#kept.length = 0;
  }

  /** What is known of a variable; its value at the call becomes an input. */
  cell(cell: Cell, aval: Aval): CellState {
    let state = this.cells.get(cell);
    if (state === undefined) {
      const input = this.placeholder(aval, cell.device);
      state = { input, current: input, written: false };
      this.cells.set(cell, state);
    }
    return state;
  }

  /** A key of its own for each draw, made from one that is an input. */
  nextKey(device: Device): readonly [Node, Node] {
    let state = this.keys.get(device);
    if (state === undefined) {
      const aval = { shape: [], dtype: "uint32" } as const;
      state = { base: [this.placeholder(aval, device), this.placeholder(aval, device)], count: 0 };
      this.keys.set(device, state);
    }
    const [k0, k1] = state.base;
    const c0 = ops.scalar(state.count++, "uint32", device);
    const c1 = ops.scalar(0, "uint32", device);
    return [ops.threefry(k0, k1, c0, c1, 0), ops.threefry(k0, k1, c0, c1, 1)];
  }
}

/** What a trace of a function gave. */
export interface Traced<R> {
  readonly trace: Tracing;
  readonly graph: Graph;
  readonly result: R;
}

/**
 * Runs a function on placeholders and captures what it computes.
 *
 * @param kind what for
 * @param fn is given the trace; makes placeholders, runs the user's function, and returns the graph's inputs and outputs and
 *   whatever else the caller wants back
 * @returns the trace, now closed, and its graph; the caller disposes the graph
 * @throws what `fn` throws
 */
export function runTrace<R extends { readonly inputs: readonly Node[]; readonly outputs: readonly Node[] }>(
  kind: TraceKind,
  fn: (trace: Tracing) => R,
): Traced<R> {
  const { traces, stage, recorders } = context;
  const trace = new Tracing(kind);
  const made = new Collector();
  context.traces = [...traces, trace];
  if (kind === "function") context.stage = trace;
  // Tapes that the function leaves open end with it.
  context.recorders = [...recorders, made];
  try {
    const result = fn(trace);
    const graph = new Graph(trace, result.inputs, result.outputs);
    return { trace, graph, result };
  } finally {
    context.traces = traces;
    context.stage = stage;
    restore(recorders);
    trace.end();
    made.sweep();
  }
}

/** The innermost traced function that runs, where variables are kept; null outside all of them. */
export function currentStage(): Tracing | null {
  return context.stage as Tracing | null;
}

/** Runs code on what is known, inside a traced function too: the nodes it makes do not belong to the trace, so they can be read. */
export function untraced<T>(fn: () => T): T {
  const { stage } = context;
  context.stage = null;
  try {
    return fn();
  } finally {
    context.stage = stage;
  }
}

/**
 * Sees to it that a weak integer fits the integer dtype that it is used in: at once where it is known, else at each call of the trace
 * whose argument it is.
 * @throws RangeError as for a plain number beside an array
 */
export function mustFit(name: string, node: Node, dtype: DType): void {
  if (!isInteger(dtype) || !isInteger(node.dtype)) return;
  if (node.prim?.name === "scalar") {
    checkInteger(name, (node.params as PrimitiveParams["scalar"]).value as number | bigint, dtype);
  } else if (node.prim?.name === "placeholder" && node.trace instanceof Tracing) {
    node.trace.fits.push({ name, node, dtype });
  }
}

/** Whether a trace other than a function lies around the running code, inside the innermost traced function. */
export function insideMap(): boolean {
  return (context.traces.at(-1) ?? null) !== context.stage;
}

/** Lists nodes as they are made, to let go of those that nobody wanted in the end. */
export class Collector implements Recorder {
  readonly #nodes: Node[] = [];

  record(node: Node): void {
    this.#nodes.push(node);
  }

  /** Keeps the nodes alive until the function it returns is called. */
  keep(): () => void {
    const nodes = [...this.#nodes];
    for (const node of nodes) node.hold();
    return () => {
      for (const node of nodes) node.holders--;
    };
  }

  /** Lets go of every node that has no holder. */
  sweep(): void {
    for (let i = this.#nodes.length - 1; i >= 0; i--) {
      const node = this.#nodes[i]!;
      if (node.holders === 0) node.hold().drop();
    }
    this.#nodes.length = 0;
  }
}

/**
 * Runs code that makes nodes and lets go of those its result does not need: rules may compute what nobody asks for.
 * @param fn returns the nodes to keep (null: none)
 */
export function tidy<T extends readonly (Node | null)[]>(fn: () => T): T {
  const { recorders } = context;
  const made = new Collector();
  context.recorders = [...recorders, made];
  let kept: T;
  try {
    kept = fn();
  } finally {
    restore(recorders);
  }
  for (const node of kept) node?.hold();
  made.sweep();
  // Not dropped: the caller holds them next.
  for (const node of kept) if (node !== null) node.holders--;
  return kept;
}

/** Puts back recorders that were set aside, without those that stopped meanwhile. */
function restore(recorders: Recorder[]): void {
  context.recorders = recorders.some((recorder) => recorder.active === false)
    ? recorders.filter((recorder) => recorder.active !== false)
    : recorders;
}

/** Checks that a function of the user did not return a promise. @throws TypeError */
export function checkSync(name: string, result: unknown): void {
  if (result instanceof Promise) {
    result.catch(() => {});
    throw new TypeError(`${name}: the function must be synchronous, got a promise`);
  }
}

/** Checks that a node has a value, or belongs to a trace that still runs. @throws TracerError */
export function checkOpen(name: string, node: Node): void {
  if (node.trace !== null && !node.trace.open) {
    throw new TracerError(
      `${name}: a traced array was used after its tnp.function or tnp.vectorized_map had ended; return it from the function`,
    );
  }
}
