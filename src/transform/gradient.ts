/**
 * Derivatives of functions on nodes, over the tape: vjp, jvp, Jacobians, and functions with a gradient of their own.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { formatShape, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import { type BatchArg, newId, type Primitive } from "../core/primitive.ts";
import { bind, context, type Node } from "../core/trace.ts";
import { vectorize } from "./batch.ts";
import { likeInput, Tape } from "./tape.ts";
import { runTrace } from "./tracing.ts";

/** A function of nodes. */
export type NodeFunction = (inputs: readonly Node[]) => readonly Node[];

/** The value itself, as a node of its own: two arguments that are one array stay two, and so do an argument and a closure. */
const identity: Primitive<null> = {
  id: newId(),
  name: "identity",
  kind: "move",
  infer: ([x]) => x!,
  vjp: (g) => [g],
  batch: ([x]) => bind(identity, [x!.node], null),
  lower: { as: "view", view: (input) => input },
};

function alias(node: Node): Node {
  const out = bind(identity, [node], null);
  out.weak = node.weak;
  return out;
}

/** Checks that gradients by these nodes exist. @throws TypeError */
function checkInexact(name: string, what: string, nodes: readonly Node[]): void {
  for (const { dtype } of nodes) {
    if (!isInexact(dtype)) throw new TypeError(`${name}: ${what} must be floating or complex, got dtype ${dtype}`);
  }
}

/** The results of a function and the tape on which it ran. */
export interface Recorded {
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
  /** Stopped and persistent; the caller disposes it. */
  readonly tape: Tape;
}

/**
 * Runs a function on a tape of its own.
 * @param wanted which inputs are differentiated by
 * @throws TypeError where one of those is not floating or complex
 */
export function recordFunction(
  name: string,
  fn: NodeFunction,
  inputs: readonly Node[],
  wanted: readonly boolean[] = inputs.map(() => true),
): Recorded {
  checkInexact(name, "what is differentiated by", inputs.filter((_, i) => wanted[i]));
  const tape = new Tape({ persistent: true, watchVariables: false });
  try {
    const own = inputs.map((node, i) => wanted[i] ? alias(node) : node);
    own.forEach((node, i) => {
      if (wanted[i]) tape.watch(node);
    });
    const outputs = fn(own);
    tape.stop();
    return { inputs: own, outputs, tape };
  } catch (error) {
    tape.dispose();
    throw error;
  }
}

/**
 * A function's results and the derivative of them along tangents.
 *
 * The derivative of the linear map `g -> vjp(g)` along g is the forward derivative, so two sweeps suffice.
 * @param tangents one an input, of its shape and dtype
 * @returns the results, and one tangent a result
 */
export function forwardDerivative(
  name: string,
  fn: NodeFunction,
  inputs: readonly Node[],
  tangents: readonly Node[],
): { outputs: readonly Node[]; tangents: Node[] } {
  tangents.forEach((t, i) => {
    const x = inputs[i]!;
    if (!sameShape(t.shape, x.shape)) {
      throw new ShapeError(`${name}: tangent ${i} has shape ${formatShape(t.shape)}, expected ${formatShape(x.shape)}`);
    }
  });
  const outer = new Tape({ persistent: true, watchVariables: false });
  outer.stop();
  const { inputs: own, outputs, tape } = recordFunction(name, fn, inputs);
  try {
    checkInexact(name, "the results", outputs);
    outer.start();
    // The seeds' values do not matter: vjp is linear in them.
    const seeds = outputs.map((y) => alias(ops.full(y.shape, 0, y)));
    for (const seed of seeds) outer.watch(seed);
    const pulled = tape.gradient(outputs, own, seeds, "zero");
    outer.stop();
    const forward = outer.gradient(
      pulled.map((node) => node!),
      seeds,
      tangents.map((t, i) => ops.cast(t, own[i]!.dtype)),
      "zero",
    );
    return { outputs, tangents: forward.map((node) => node!) };
  } finally {
    tape.dispose();
    outer.dispose();
  }
}

/** The cotangents of a function's arguments from that of its result; null where none flows. */
export type Pull = (g: Node) => readonly (Node | null)[];

/** A pullback whose captured values are given to it, so that they can be replaced when the graph is replayed. */
class ClosedPull {
  readonly #pull: (g: Node, captured: readonly Node[]) => readonly (Node | null)[];
  /** How many arguments the function has. */
  readonly #count: number;

  constructor(count: number, pull: (g: Node, captured: readonly Node[]) => readonly (Node | null)[]) {
    this.#pull = pull;
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  run(g: Node, captured: readonly Node[]): readonly (Node | null)[] {
    return this.#pull(g, captured);
  }
}

/**
 * The first input, whose gradient goes to the next `count` inputs by a rule of the user; the rest are values the rule uses.
 * What computed the first input gets no cotangent, whether a tape recorded it or not.
 */
const custom: Primitive<ClosedPull> = {
  id: newId(),
  name: "custom_gradient",
  kind: "move",
  infer: ([y]) => y!,
  vjp: (g, { inputs, params }) => {
    const captured = inputs.slice(1 + params.count);
    return [null, ...params.run(g, captured), ...captured.map(() => null)];
  },
  batch: (args, params, size) => {
    const whole = args.map(({ node, batched }, i) =>
      i > 0 || batched ? node : ops.broadcast(node, [size, ...node.shape])
    );
    const { count } = params;
    const flags = args.slice(1).map((arg) => arg.batched);
    const pull = (g: Node, captured: readonly Node[]): (Node | null)[] => {
      let there: boolean[] = [];
      const inputs: BatchArg[] = [
        { node: g, batched: true },
        ...captured.map((node, i) => ({ node, batched: flags[count + i]! })),
      ];
      const out = vectorize(
        ([g, ...rest]) => {
          const grads = params.run(g!, rest);
          there = grads.map((node) => node !== null);
          return grads.filter((node) => node !== null);
        },
        inputs,
        size,
        "pullback",
      );
      let next = 0;
      return there.map((is, i) => {
        if (!is) return null;
        const { node, batched } = out[next++]!;
        const full = batched ? node : ops.broadcast(node, [size, ...node.shape]);
        return flags[i] ? full : ops.sum(full, [0]);
      });
    };
    return bind(custom, whole, new ClosedPull(count, pull));
  },
  lower: { as: "view", view: (input) => input },
};

/**
 * Gives results of a function a gradient of their own.
 *
 * @param args the function's arguments
 * @param outputs its results
 * @param pull the cotangents of the arguments from those of the results
 * @returns the results, through which gradients flow by `pull` only
 */
export function withGradient(
  name: string,
  args: readonly Node[],
  outputs: readonly Node[],
  pull: (gs: readonly Node[]) => readonly (Node | null)[],
): Node[] {
  const tapes = context.recorders.some((recorder) => recorder.watches !== undefined);
  if (context.traces.length === 0 && !tapes) return [...outputs];
  return outputs.map((y, k) => {
    if (!isInexact(y.dtype)) return y;
    // Linear in the cotangents: each result alone, the others with zeros.
    const one = (g: Node): (Node | null)[] => {
      const grads = pull(outputs.map((other, i) => i === k ? g : ops.full(other.shape, 0, other)));
      if (grads.length !== args.length) {
        throw new TypeError(`${name}: the gradient function gave ${grads.length} gradients, expected ${args.length}`);
      }
      return grads.map((gx, i) => checkGradient(name, gx, args[i]!, i));
    };
    if (context.traces.length === 0) return bind(custom, [y, ...args], new ClosedPull(args.length, one));
    return closeOver(y, args, one);
  });
}

function checkGradient(name: string, g: Node | null, x: Node, i: number): Node | null {
  if (g === null || !isInexact(x.dtype)) return null;
  if (!sameShape(g.shape, x.shape)) {
    throw new ShapeError(
      `${name}: gradient ${i} has shape ${formatShape(g.shape)}, expected the argument's ${formatShape(x.shape)}`,
    );
  }
  return likeInput(g, x);
}

/** Inside a trace: the pullback is traced now, and what it captures becomes inputs, which a replay can replace. */
function closeOver(y: Node, args: readonly Node[], pull: Pull): Node {
  let there: boolean[] = [];
  const { graph } = runTrace("pullback", (trace) => {
    const g = trace.placeholder(y, y.device);
    const grads = pull(g);
    there = grads.map((node) => node !== null);
    return { inputs: [g], outputs: grads.filter((node) => node !== null) };
  });
  const closed = new ClosedPull(args.length, (g, captured) => {
    const out = graph.run([g], captured);
    let next = 0;
    return there.map((is) => is ? out[next++]! : null);
  });
  const out = bind(custom, [y, ...args, ...graph.constants], closed);
  // Its steps stay, its nodes may go: what it captured is held by `out`.
  graph.dispose();
  return out;
}
