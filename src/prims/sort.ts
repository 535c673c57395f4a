/**
 * Order: stable sorts along the last axis, and search in a sorted array.
 * @module
 */
import { isFloat, isInexact } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { formatShape } from "../base/shape.ts";
import * as op from "../core/ops.ts";
import { newId, type Primitive } from "../core/primitive.ts";
import type { PrimitiveParams, Primitives } from "../core/registry.ts";
import { bind, type Node } from "../core/trace.ts";
import { checkAxis, checkSame, spread } from "./kinds.ts";
import { along } from "./index.ts";

const sort: Primitive<null> = {
  id: newId(),
  name: "sort",
  kind: "sort",
  infer: ([x]) => {
    checkAxis("sort", x!.shape.length - 1, x!);
    return x!;
  },
  vjp: (g, { inputs: [x] }) => {
    if (!isInexact(x!.dtype)) return [null];
    const axis = x!.shape.length - 1;
    const indices = along(op.argsort(x!), axis);
    return [op.scatter(op.full(x!.shape, 0, g), g, indices, x!.shape.map((_, i) => i), "add")];
  },
  batch: ([x]) => bind(sort, [x!.node], null),
  lower: { as: "routine", name: "sort", params: () => ({}), epilogue: false },
};

const argsort: Primitive<null> = {
  id: newId(),
  name: "argsort",
  kind: "sort",
  infer: ([x]) => {
    checkAxis("argsort", x!.shape.length - 1, x!);
    return { shape: x!.shape, dtype: "int64" };
  },
  vjp: null,
  batch: ([x]) => bind(argsort, [x!.node], null),
  lower: { as: "routine", name: "argsort", params: () => ({}), epilogue: false },
};

/** Whether x comes before y in sorting order, where NaN is last. */
function before(x: Node, y: Node): Node {
  const less = op.less(x, y);
  return isFloat(x.dtype) ? op.or(less, op.and(op.not(op.isnan(x)), op.isnan(y))) : less;
}

const searchsorted: Primitive<PrimitiveParams["searchsorted"]> = {
  id: newId(),
  name: "searchsorted",
  kind: "sort",
  infer: ([sorted, v]) => {
    if (sorted!.shape.length !== 1) {
      throw new ShapeError(`searchsorted: got a sorted array of shape ${formatShape(sorted!.shape)}, expected 1-d`);
    }
    checkSame("searchsorted", sorted!, v!);
    return { shape: v!.shape, dtype: "int64" };
  },
  vjp: null,
  batch: ([sorted, v], { side }, size) => {
    if (!sorted!.batched) return op.searchsorted(sorted!.node, v!.node, side);
    // Each example has its own sorted array: counts how many elements come before each value.
    const values = spread(v!, size);
    const rank = values.shape.length;
    const line = op.reshape(sorted!.node, [size, ...values.shape.slice(1).map(() => 1), sorted!.node.shape[1]!]);
    const each = op.expand(values, [rank]);
    const counted = side === "left" ? before(line, each) : op.not(before(each, line));
    return op.sum(op.cast(counted, "int64"), [rank]);
  },
  lower: { as: "routine", name: "searchsorted", params: ({ side }) => ({ side }), epilogue: false },
};

/** The records of sorting. */
export const sortRecords = { sort, argsort, searchsorted } satisfies Partial<Primitives>;
