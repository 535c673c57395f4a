/**
 * Vectorization: a function of one example, applied to all of them at once by the batching rules of its primitives.
 * @module
 */
import { ShapeError } from "../base/errors.ts";
import { formatShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { BatchArg } from "../core/primitive.ts";
import type { Node } from "../core/trace.ts";
import { nextKey } from "./random.ts";
import { runTrace, tidy, type TraceKind } from "./tracing.ts";

/** An input of a mapped function: the axis that is mapped, or null for one that every example gets whole. */
export interface MappedInput {
  readonly node: Node;
  readonly axis: number | null;
}

/**
 * Applies a function of one example to a batch.
 *
 * @param fn is given one node an input without the mapped axis (placeholders where batched), returns nodes of any shapes
 * @param args the inputs; the mapped axis of a batched one is axis 0
 * @param size the length of the mapped axis
 * @param kind `map` for functions of the user, `pullback` for gradients
 * @returns the results; those that depend on no batched input are not batched
 */
export function vectorize(
  fn: (nodes: readonly Node[]) => readonly Node[],
  args: readonly BatchArg[],
  size: number,
  kind: TraceKind = "map",
): BatchArg[] {
  const { graph, result } = runTrace(kind, (trace) => {
    const nodes = args.map(({ node, batched }) =>
      batched ? trace.placeholder({ shape: node.shape.slice(1), dtype: node.dtype }, node.device, node.weak) : node
    );
    const outputs = fn(nodes);
    const inputs = nodes.filter((_, i) => args[i]!.batched);
    const keys = [...trace.keys.entries()];
    return { inputs: [...inputs, ...keys.flatMap(([, { base }]) => base)], outputs, keys };
  });
  try {
    const inputs = args.filter((arg) => arg.batched);
    for (const [device] of result.keys) {
      // One key an example, drawn from one key of the surroundings.
      const [k0, k1] = nextKey(device);
      const c0 = ops.iota([size], 0, "uint32", device);
      const c1 = ops.scalar(1, "uint32", device);
      inputs.push({ node: ops.threefry(k0, k1, c0, c1, 0), batched: true });
      inputs.push({ node: ops.threefry(k0, k1, c0, c1, 1), batched: true });
    }
    const out = graph.runBatched(inputs, size);
    graph.dispose(out.map(({ node }) => node));
    return out;
  } finally {
    graph.dispose();
  }
}

/**
 * Maps a function over the first axes of its inputs.
 *
 * @param name the function that messages name
 * @param fn is given one node an input, with the mapped axis gone
 * @param inputs nodes and their mapped axes, at least one not null; lengths must agree, an axis of length 1 is repeated
 * @returns the results with the mapped axis in front
 * @throws ShapeError for an axis that is not there or lengths that differ; what `fn` throws
 */
export function mapNodes(
  name: string,
  fn: (nodes: readonly Node[]) => readonly Node[],
  inputs: readonly MappedInput[],
): Node[] {
  const size = mappedSize(name, inputs);
  return tidy(() => {
    const args = inputs.map(({ node, axis }): BatchArg => {
      if (axis === null) return { node, batched: false };
      const front = moveToFront(node, axis);
      if (size === 1 || node.shape[axis] !== 1) return { node: front, batched: true };
      return { node: ops.reshape(front, front.shape.slice(1)), batched: false };
    });
    return vectorize(fn, args, size).map(({ node, batched }) =>
      batched ? node : ops.broadcast(node, [size, ...node.shape])
    );
  });
}

/** The common length of the mapped axes. */
export function mappedSize(name: string, inputs: readonly MappedInput[]): number {
  let size: number | null = null;
  for (const { node, axis } of inputs) {
    if (axis === null) continue;
    const n = node.shape[axis];
    if (n === undefined) {
      throw new ShapeError(`${name}: cannot map over axis ${axis} of an array of shape ${formatShape(node.shape)}`);
    }
    if (size !== null && n !== size && n !== 1 && size !== 1) {
      const shapes = inputs.filter((x) => x.axis !== null).map((x) => formatShape(x.node.shape)).join(", ");
      throw new ShapeError(`${name}: mapped axes differ in length, ${size} and ${n}, for shapes ${shapes}`);
    }
    if (size === null || size === 1) size = n;
  }
  if (size === null) throw new TypeError(`${name}: got no array to map over, expected at least one`);
  return size;
}

function moveToFront(node: Node, axis: number): Node {
  const rest = node.shape.map((_, i) => i).filter((i) => i !== axis);
  return ops.transpose(node, [axis, ...rest]);
}
