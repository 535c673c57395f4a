/**
 * The graph being built: `bind`, the one way to add nodes to it, and what watches them.
 *
 * A node is a value that is known to exist but perhaps not computed. A pending node has a primitive and inputs; a finished
 * one has storage and no inputs. Tapes watch `bind`; symbolic nodes (made from placeholders, inside `tnp.function` and
 * `tnp.vectorized_map`) are never computed, only replayed by an interpreter.
 * @module
 */
import { DeviceError, DisposedError, TracerError } from "../base/errors.ts";
import type { Device } from "../device/device.ts";
import { type Aval, isDisposed, Node, type Primitive, type Storage, type Trace } from "./primitive.ts";

export { isDisposed, Node, Storage } from "./primitive.ts";
export type { Trace } from "./primitive.ts";

/** The key under which something that stands for a node, such as a variable, gives it. */
export const toNode: unique symbol = Symbol("tnp.toNode");

/** Something that sees every bound node: a tape. */
export interface Recorder {
  record(node: Node, prim: Primitive, inputs: readonly Node[], params: unknown): void;
  /** Sees that a variable was read. */
  read?(variable: object, node: Node): void;
  /** Whether it follows this node. */
  watches?(node: Node): boolean;
  /** False once it sees nothing any more. */
  readonly active?: boolean;
  /** Keeps what it has seen alive until the function it returns is called: values are computed in the middle of a transformation. */
  keep?(): () => void;
}

/** The graph's hooks and limits; set by the transforms, read by `bind`. */
export const context: {
  /** Active tapes, outermost first. */
  recorders: Recorder[];
  /** Running traces, outermost first. */
  traces: readonly Trace[];
  /** The innermost trace to which everything bound belongs, whether or not it depends on a placeholder: a traced function. */
  stage: Trace | null;
  /** Computes nodes; installed by src/transform/evaluate.ts. */
  evaluate: (roots: readonly Node[]) => void;
  /** A pending chain longer than this is computed when it is handed to the user, so that a loop that never reads stays bounded. */
  depthLimit: number;
} = {
  recorders: [],
  traces: [],
  stage: null,
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
  for (let i = 0; i < inputs.length; i++) {
    const x = inputs[i]!;
    if (isDisposed(x)) throw new DisposedError(`${prim.name}: an argument was used after dispose()`);
    if (x.trace !== null && !x.trace.open) {
      throw new TracerError(
        `${prim.name}: a traced array was used after its tnp.function or tnp.vectorized_map had ended; return it from the function`,
      );
    }
    if (home === undefined) home = x.device;
    else if (x.device !== home) {
      throw new DeviceError(
        `${prim.name}: arguments on ${home.name} and ${x.device.name}; copy one with tnp.copy inside tnp.device(...)`,
      );
    }
  }
  if (home === undefined) throw new DeviceError(`${prim.name}: no device given`);
  const p = prim as Primitive;
  return rebind(p, inputs, params, p.infer(inputs, params), home);
}

/** Binds without checks what was bound before on inputs of these shapes and dtypes: `aval` tells its result's. */
export function rebind(prim: Primitive, inputs: readonly Node[], params: unknown, aval: Aval, device: Device): Node {
  const node = new Node(prim, inputs, params, aval, device, context.stage);
  const { recorders } = context;
  for (let i = 0; i < recorders.length; i++) recorders[i]!.record(node, prim, inputs, params);
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

const none: readonly Node[] = [];

/** Whether a tape that records follows one of these nodes. */
export function isWatched(nodes: readonly Node[]): boolean {
  for (const recorder of context.recorders) {
    if (recorder.watches === undefined) continue;
    for (const node of nodes) if (recorder.watches(node)) return true;
  }
  return false;
}

/** A finished node over memory that is already there. */
export function leaf(aval: Aval, device: Device, storage: Storage, offset: number, strides: readonly number[]): Node {
  const node = new Node(null, none, null, aval, device);
  node.finish(storage, offset, strides);
  return node;
}
