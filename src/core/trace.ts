/**
 * The graph being built: `Node`, and `bind`, the one way to add to it.
 *
 * A node is a value that is known to exist but perhaps not computed. A pending node has a primitive and inputs; a finished
 * one has storage and no inputs. Tapes watch `bind`; symbolic nodes (made from placeholders, inside `tnp.function` and
 * `tnp.vectorized_map`) are never computed, only replayed by an interpreter.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import { DeviceError, DisposedError } from "../base/errors.ts";
import type { Buffer, Device } from "../device/device.ts";
import type { Aval, Primitive } from "./primitive.ts";

/** A buffer shared by the finished nodes that look into it. */
export class Storage {
  readonly buffer: Buffer;
  #holders = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  hold(): this {
    this.#holders++;
    return this;
  }

  drop(): void {
    if (--this.#holders === 0) this.buffer.release();
  }
}

/** A value in the graph. */
export class Node implements Aval {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly size: number;
  readonly device: Device;
  /** Depends on a placeholder: has no value of its own. */
  readonly symbolic: boolean;
  /** Takes part in promotion as a Python scalar would (a plain number given to a traced function). */
  weak = false;

  /** Null once finished or disposed. */
  prim: Primitive | null;
  inputs: readonly Node[];
  params: unknown;
  /** Longest chain of pending nodes ending here. */
  depth: number;

  storage: Storage | null = null;
  offset = 0;
  strides: readonly number[] = [];

  /** Holders: array handles, pending consumers, tapes, traces. At zero the value can never be asked for again. */
  holders = 0;
  /** How often its expression was computed without being stored. */
  computed = 0;
  /** Scratch for graph passes; meaningless between them. */
  mark = 0;

  constructor(prim: Primitive | null, inputs: readonly Node[], params: unknown, aval: Aval, device: Device) {
    this.prim = prim;
    this.inputs = inputs;
    this.params = params;
    this.shape = aval.shape;
    this.dtype = aval.dtype;
    this.device = device;
    let size = 1;
    for (const n of aval.shape) size *= n;
    this.size = size;
    let depth = 0, symbolic = false;
    for (const x of inputs) {
      if (x.depth > depth) depth = x.depth;
      if (x.symbolic) symbolic = true;
      x.holders++;
    }
    this.depth = prim === null ? 0 : depth + 1;
    this.symbolic = symbolic || (prim !== null && prim.name === "placeholder");
  }

  /** Whether its value lies in memory. */
  get finished(): boolean {
    return this.storage !== null;
  }

  /** Makes the node finished: its value lies in `storage` at this view. Its inputs are let go. */
  finish(storage: Storage, offset: number, strides: readonly number[]): void {
    this.storage = storage.hold();
    this.offset = offset;
    this.strides = strides;
    this.#letGoInputs();
  }

  /** One more holder. */
  hold(): this {
    this.holders++;
    return this;
  }

  /** One holder less; the last one gives the memory back. */
  drop(): void {
    if (--this.holders > 0) return;
    if (this.storage !== null) {
      this.storage.drop();
      this.storage = null;
      this.prim = disposed;
    } else if (this.prim !== disposed) {
      this.#letGoInputs();
      this.prim = disposed;
    }
  }

  #letGoInputs(): void {
    const inputs = this.inputs;
    this.inputs = none;
    this.prim = null;
    this.params = null;
    this.depth = 0;
    for (const x of inputs) x.drop();
  }
}

const none: readonly Node[] = [];

/** Marks nodes that were given back. */
const disposed: Primitive = {
  name: "disposed",
  kind: "leaf",
  infer: () => {
    throw new DisposedError("disposed: this value was given back");
  },
  vjp: null,
  batch: () => {
    throw new DisposedError("disposed: this value was given back");
  },
  lower: { as: "scalar", value: () => NaN },
};

/** Whether a node was given back by its last holder. */
export function isDisposed(node: Node): boolean {
  return node.prim === disposed;
}

/** Something that sees every bound node: a tape. */
export interface Recorder {
  record(node: Node, prim: Primitive, inputs: readonly Node[], params: unknown): void;
}

/** The graph's hooks and limits; set by the transforms, read by `bind`. */
export const context: {
  /** Active tapes, outermost first. */
  recorders: Recorder[];
  /** Computes nodes; installed by src/transform/evaluate.ts. */
  evaluate: (roots: readonly Node[]) => void;
  /** A pending chain longer than this is computed when it is handed to the user, so that a loop that never reads stays bounded. */
  depthLimit: number;
} = {
  recorders: [],
  evaluate: () => {
    throw new DeviceError("evaluate: no evaluator is installed");
  },
  depthLimit: 64,
};

/**
 * Adds a primitive's result to the graph.
 *
 * @param prim the primitive
 * @param inputs its inputs, all on one device
 * @param params its parameters
 * @param device where a leaf lives; others live where their inputs do
 * @returns the pending node
 * @throws what `infer` throws; DeviceError for inputs on different devices; DisposedError for an input given back
 */
export function bind<P>(prim: Primitive<P>, inputs: readonly Node[], params: P, device?: Device): Node {
  let home = device;
  for (const x of inputs) {
    if (x.prim === disposed) throw new DisposedError(`${prim.name}: an argument was used after dispose()`);
    if (home === undefined) home = x.device;
    else if (x.device !== home) {
      throw new DeviceError(
        `${prim.name}: arguments on ${home.name} and ${x.device.name}; copy one with tnp.copy inside tnp.device(...)`,
      );
    }
  }
  if (home === undefined) throw new DeviceError(`${prim.name}: no device given`);
  const p = prim as Primitive;
  const node = new Node(p, inputs, params, p.infer(inputs, params), home);
  const { recorders } = context;
  for (let i = 0; i < recorders.length; i++) recorders[i]!.record(node, p, inputs, params);
  return node;
}

/**
 * Computes a node whose pending chain has grown past the limit. Called where a node becomes an array handle: there nothing but
 * handles, tapes and pending nodes needs a value, and all of these are counted as holders. Code that works on bare nodes
 * and asks for a value half-way must `hold` what it still needs.
 */
export function settle(node: Node): Node {
  if (node.depth > context.depthLimit && !node.symbolic) context.evaluate([node]);
  return node;
}

/** A finished node over memory that is already there. */
export function leaf(aval: Aval, device: Device, storage: Storage, offset: number, strides: readonly number[]): Node {
  const node = new Node(null, none, null, aval, device);
  node.finish(storage, offset, strides);
  return node;
}
