/**
 * What a library does: the matrix product.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { broadcastShapes, formatShape } from "../base/shape.ts";
import * as op from "../core/ops.ts";
import { type BatchArg, newId, type Primitive } from "../core/primitive.ts";
import type { Primitives } from "../core/registry.ts";
import type { Node } from "../core/trace.ts";
import { align, checkSame } from "./kinds.ts";

/** x with its last two axes exchanged. */
function swap(x: Node): Node {
  const perm = x.shape.map((_, i) => i);
  const n = perm.length;
  return op.transpose(x, [...perm.slice(0, n - 2), n - 1, n - 2]);
}

/** The leading axes folded into the rows: [.., m, k] as [.. * m, k]. */
const rows = (x: Node): Node => {
  const k = x.shape.at(-1)!;
  return op.reshape(x, [k === 0 ? x.shape.slice(0, -1).reduce((a, n) => a * n, 1) : x.size / k, k]);
};

/** The leading axes folded into the columns: [.., k, n] as [k, .. * n]. */
const columns = (x: Node): Node => {
  const rank = x.shape.length, k = x.shape[rank - 2]!;
  const front = op.transpose(x, [rank - 2, ...x.shape.map((_, i) => i).filter((i) => i !== rank - 2)]);
  return op.reshape(front, [k, front.shape.slice(1).reduce((a, n) => a * n, 1)]);
};

/** g y^H; where x has no leading axes, one product over all examples instead of a sum of many. */
function leftVjp(g: Node, x: Node, y: Node): Node {
  const h = op.conj(y);
  const shared = x.shape.length === 2 && g.shape.length > 2;
  if (!shared) return op.matmul(g, swap(h));
  return op.matmul(columns(g), swap(columns(h)));
}

/** x^H g; where y has no leading axes, one product over all examples instead of a sum of many. */
function rightVjp(g: Node, x: Node, y: Node): Node {
  const h = op.conj(x);
  const shared = y.shape.length === 2 && g.shape.length > 2;
  if (!shared) return op.matmul(swap(h), g);
  return op.matmul(swap(rows(h)), rows(g));
}

const matmul: Primitive<null> = {
  id: newId(),
  name: "matmul",
  kind: "routine",
  infer: ([x, y]) => {
    const a = x!.shape, b = y!.shape;
    checkSame("matmul", x!, y!);
    if (a.length < 2 || b.length < 2 || a.at(-1) !== b.at(-2)) {
      throw new ShapeError(
        `matmul: got shapes ${formatShape(a)} and ${formatShape(b)}, expected [..., m, k] and [..., k, n]`,
      );
    }
    const m = a.at(-2)!, n = b.at(-1)!;
    if (a.length === 2 && b.length === 2) return { shape: [m, n], dtype: x!.dtype };
    const batch = broadcastShapes("matmul", a.slice(0, -2), b.slice(0, -2));
    return { shape: [...batch, m, n], dtype: x!.dtype };
  },
  vjp: (g, { inputs: [x, y], needs }) =>
    isInexact(x!.dtype) ? [needs[0] ? leftVjp(g, x!, y!) : null, needs[1] ? rightVjp(g, x!, y!) : null] : [null, null],
  batch: (args, _params, size) => {
    const [x, y] = args as readonly [BatchArg, BatchArg];
    if (x.batched && !y.batched && y.node.shape.length === 2) {
      const out = op.matmul(rows(x.node), y.node);
      return op.reshape(out, [...x.node.shape.slice(0, -1), y.node.shape[1]!]);
    }
    // A column for each example: the same with everything transposed, as long as that moves no memory.
    if (!x.batched && x.node.shape.length === 2 && y.node.shape.length === 3 && y.node.shape[2] === 1) {
      const out = op.matmul(op.reshape(y.node, [size, y.node.shape[1]!]), swap(x.node));
      return op.reshape(out, [size, x.node.shape[0]!, 1]);
    }
    const [a, b] = align(args);
    // Outer products, as in gradients for each example, are elementwise.
    return a!.shape.at(-1) === 1 ? op.mul(a!, b!) : op.matmul(a!, b!);
  },
  lower: { as: "routine", name: "matmul", params: () => ({}), epilogue: true },
};

/** The records of library routines. */
export const routineRecords = { matmul } satisfies Partial<Primitives>;
