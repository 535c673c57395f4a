/**
 * Control flow that can be traced: branches and loops whose conditions are arrays.
 * @module
 */
import { ShapeError } from "../base/errors.ts";
import { formatShape, sameShape } from "../base/shape.ts";
import { pathsOf } from "../base/tree.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import type { Captured } from "../transform/capture.ts";
import {
  type Body,
  commonAval,
  condNodes,
  isTracing,
  type Outcome,
  scanNodes,
  whileNodes,
} from "../transform/control.ts";
import { checkSync } from "../transform/tracing.ts";
import { type ArrayLike, NDArray, nodeOf, wrap } from "../array.ts";
import { checkFunction, checkInt, checkKeywords, describe } from "./args.ts";
import { toNodeOf } from "./convert.ts";
import { argument } from "./tracing.ts";
import { type Arrays, assemble, isArrayLeaf, partition, type Rest } from "./trees.ts";
import { cellOf, Variable } from "./variable.ts";

/** Keywords of `while_loop`. */
export interface WhileOptions {
  /** The most steps; gradients of a traced loop need it. */
  readonly maximum_iterations?: number | undefined;
}

/** Keywords of `scan`. */
export interface ScanLoopOptions {
  /** The number of steps; needed where there is nothing to take apart. */
  readonly length?: number | undefined;
  /** Whether to begin at the end; what the steps give keeps the order of `xs`. */
  readonly reverse?: boolean | undefined;
}

const isDatum = (leaf: unknown): boolean => isArrayLeaf(leaf) || typeof leaf === "boolean";

/** A tree of arrays, numbers and booleans as nodes; plain numbers are weak. */
function nodesOf(name: string, tree: unknown, device?: Device): { nodes: Node[]; rest: Rest } {
  const { arrays, rest } = partition(tree, isDatum);
  return { nodes: arrays.map((leaf) => argument(leaf, name, device)), rest };
}

/** Where the arrays of a tree are. */
function deviceOf(trees: readonly unknown[]): Device {
  for (const leaf of partition(trees, isDatum).arrays) {
    if (leaf instanceof NDArray) return nodeOf(leaf).device;
    if (leaf instanceof Variable) return cellOf(leaf).device;
  }
  return currentDevice();
}

/** The tree with arrays in the places of nodes, which are plain numbers no longer. */
function treeOf(rest: Rest, nodes: readonly Node[]): unknown {
  return assemble(rest, nodes.map((node) => wrap(node)));
}

/** Checks that a function gave what has the structure it must have. @throws TypeError */
function checkTree(name: string, what: string, expected: Rest, got: Rest, by: string): void {
  const layout = ({ treedef, statics }: Rest) => `${treedef.key} ${statics.map((s) => s === null)}`;
  if (layout(expected) === layout(got)) return;
  const several = expected.treedef.parts === null && got.treedef.parts !== null && got.treedef.names === null;
  const hint = several
    ? "; a list of numbers is one array: for several give a list of arrays, [tnp.asarray(0), …]"
    : "";
  throw new TypeError(`${name}: ${what} has the structure ${words(expected)}, but ${by} gives ${words(got)}${hint}`);
}

const words = ({ treedef, statics }: Rest): string =>
  treedef.parts === null ? statics[0] === null ? "of one array" : describe(statics[0]!.value) : treedef.key;

/** Says where in a tree a leaf is. */
const placeIn = ({ treedef, statics }: Rest) => (i: number): string => {
  const path = pathsOf(treedef).filter((_, k) => statics[k] === null)[i] ?? "";
  return path === "" ? "" : ` at ${path}`;
};

/** Whether something holds, as far as it is known. */
function flagOf(name: string, value: unknown, device?: Device): Node | boolean {
  if (typeof value === "boolean") return value;
  const node = toNodeOf(name, value as ArrayLike, device);
  if (node.shape.length > 0) {
    throw new ShapeError(`${name}: the condition has shape ${formatShape(node.shape)}, expected a scalar`);
  }
  if (node.symbolic) return ops.cast(node, "bool");
  return Boolean(wrap(ops.cast(node, "bool")).item());
}

/** A function of the user on trees as one on nodes. */
function bodyOf(
  name: string,
  device: Device,
  call: (nodes: readonly Node[]) => unknown,
  check: (rest: Rest, result: unknown) => void = () => {},
): Body<Rest> {
  return (nodes) => {
    const result = call(nodes);
    checkSync(name, result);
    const { nodes: outputs, rest } = nodesOf(name, result, device);
    check(rest, result);
    return { outputs, rest };
  };
}

/**
 * One of two functions, by a condition.
 *
 * Outside of traces the condition is read and one function is called. Inside `tnp.function` both are traced, and each call runs one of
 * them. Inside `tnp.vectorized_map`, where the condition differs between examples, both run and each example takes its own result.
 *
 * @param pred a scalar; anything but 0 is true
 * @param true_fn is given the operands as arrays; returns a tree of arrays
 * @param false_fn returns a tree of the same structure, shapes and dtypes (plain numbers take the dtype of the other one's array)
 * @param operands trees of arrays; arrays that the functions close over need not be among them
 * @returns the tree that the chosen function returns
 * @throws ShapeError for a condition that is no scalar; in traces TypeError or ShapeError where the results differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const root = tnp.function((x: tnp.NDArray) => tnp.cond(x.ge(0), (x) => tnp.sqrt(x), (x) => tnp.zeros_like(x), x));
 * console.log(root(tnp.asarray(2.25)).item(), root(tnp.asarray(-1.5)).item()); // 1.5 0
 * ```
 * Source: jax.lax.cond, tf.cond
 */
export function cond<A extends readonly unknown[], R>(
  pred: ArrayLike | boolean,
  true_fn: (...operands: { [K in keyof A]: Arrays<A[K]> }) => R,
  false_fn: (...operands: { [K in keyof A]: Arrays<A[K]> }) => unknown,
  ...operands: A
): Arrays<R> {
  checkFunction("cond", true_fn);
  checkFunction("cond", false_fn);
  const flag = flagOf("cond", pred);
  const device = typeof flag === "boolean" ? deviceOf(operands) : flag.device;
  const { nodes, rest } = nodesOf("cond", operands, device);
  const branch = (fn: (...args: never[]) => unknown): Body<Rest> =>
    bodyOf("cond", device, (nodes) => (fn as (...args: unknown[]) => unknown)(...treeOf(rest, nodes) as unknown[]));
  if (typeof flag === "boolean") {
    const { outputs, rest } = branch(flag ? true_fn : false_fn)(nodes);
    return strong(rest, outputs) as Arrays<R>;
  }
  const out = condNodes(flag, branch(true_fn), branch(false_fn), nodes, commonResults);
  return treeOf(out.rest, out.outputs) as Arrays<R>;
}

/** What both branches give. */
function commonResults(yes: Captured<Rest>, no: Captured<Rest>) {
  checkTree("cond", "the result of true_fn", yes.rest, no.rest, "false_fn");
  yes.rest.statics.forEach((leaf, i) => {
    if (leaf !== null && !Object.is(leaf.value, no.rest.statics[i]!.value)) {
      throw new TypeError(
        `cond: true_fn gives ${describe(leaf.value)} where false_fn gives ${describe(no.rest.statics[i]!.value)}`,
      );
    }
  });
  const place = placeIn(yes.rest);
  return Array.from({ length: yes.count }, (_, i) => {
    const a = yes.graph.outputs[i]!, b = no.graph.outputs[i]!;
    const aval = commonAval(a, b);
    if (aval !== null) return aval;
    const text = `cond: true_fn gives ${a.dtype} ${formatShape(a.shape)}${place(i)}, false_fn ${b.dtype} ${
      formatShape(b.shape)
    }`;
    throw sameShape(a.shape, b.shape) ? new TypeError(text) : new ShapeError(text);
  });
}

/** A tree of results outside of traces: numbers that were given as such are arrays of their dtype. */
function strong(rest: Rest, nodes: readonly Node[]): unknown {
  for (const node of nodes) node.weak = false;
  return treeOf(rest, nodes);
}

/**
 * Calls a function on its own result while a condition holds.
 *
 * Outside of traces this is a loop that reads the condition. Inside `tnp.function` and `tnp.vectorized_map` both functions are traced
 * once; examples of a map end one by one, and the loop goes on until all have.
 *
 * @param cond_fun is given the carry; returns a scalar
 * @param body_fun is given the carry; returns the next one, a tree of the same structure, shapes and dtypes
 * @param init the first carry, a tree of arrays; plain numbers take the dtype that `body_fun` gives them
 * @param options `maximum_iterations`: the loop ends after so many steps at the latest. The gradient of a traced loop needs it,
 *   for it keeps the carry of each step: memory for all of them is set aside
 * @returns the last carry
 * @throws TypeError or ShapeError where the carry changes its structure, dtype or shape
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const collatz = tnp.function((n: tnp.NDArray) =>
 *   tnp.while_loop(
 *     ([n]) => n.gt(1),
 *     ([n, steps]) => [tnp.where(n.mod(2).eq(0), n.floordiv(2), n.mul(3).add(1)), steps.add(1)] as [tnp.NDArray, tnp.NDArray],
 *     [n, tnp.asarray(0)] as [tnp.NDArray, tnp.NDArray],
 *   )[1]
 * );
 * console.log(collatz(tnp.asarray(27)).item()); // 111
 * ```
 * Source: jax.lax.while_loop, tf.while_loop
 */
export function while_loop<C>(
  cond_fun: (carry: Arrays<C>) => unknown,
  body_fun: (carry: Arrays<C>) => unknown,
  init: C,
  options: WhileOptions = {},
): Arrays<C> {
  checkFunction("while_loop", cond_fun);
  checkFunction("while_loop", body_fun);
  const { maximum_iterations } = checkKeywords<WhileOptions>("while_loop", ["maximum_iterations"], options);
  const limit = maximum_iterations === undefined
    ? null
    : checkInt("while_loop", "maximum_iterations", maximum_iterations);
  if (limit !== null && limit < 0) {
    throw new TypeError(`while_loop: maximum_iterations is ${limit}, expected 0 or more`);
  }
  const device = deviceOf([init]);
  const { nodes, rest } = nodesOf("while_loop", init, device);
  const body = bodyOf(
    "while_loop",
    device,
    (nodes) => body_fun(treeOf(rest, nodes) as Arrays<C>),
    (got) => checkTree("while_loop", "the carry", rest, got, "body_fun"),
  );
  const test = (tree: unknown): Node | boolean => {
    const value = cond_fun(tree as Arrays<C>);
    checkSync("while_loop", value);
    return flagOf("while_loop", value, device);
  };
  if (!isTracing()) return loop(rest, nodes, test, body_fun as (tree: unknown) => unknown, limit) as Arrays<C>;
  const traced = (nodes: readonly Node[]): Node => {
    const flag = test(treeOf(rest, nodes));
    return typeof flag === "boolean" ? ops.scalar(flag, "bool", device) : flag;
  };
  const out = whileNodes(nodes, traced, body, limit, placeIn(rest));
  return treeOf(rest, out.outputs) as Arrays<C>;
}

/** The loop outside of traces. */
function loop(
  rest: Rest,
  init: readonly Node[],
  test: (tree: unknown) => Node | boolean,
  body: (tree: unknown) => unknown,
  limit: number | null,
): unknown {
  // Handles hold the values while the condition is read.
  let tree = treeOf(rest, init);
  let carry: readonly Node[] = init;
  for (let steps = 0; (limit === null || steps < limit) && test(tree) === true; steps++) {
    const result = body(tree);
    checkSync("while_loop", result);
    const next = nodesOf("while_loop", result, carry[0]?.device);
    checkTree("while_loop", "the carry", rest, next.rest, "body_fun");
    next.nodes.forEach((node, i) => {
      const before = carry[i]!;
      if (sameShape(node.shape, before.shape) && (node.dtype === before.dtype || before.weak)) return;
      const text = `while_loop: the carry${placeIn(rest)(i)} begins as ${before.dtype} ${
        formatShape(before.shape)
      }, but the function gives ${node.dtype} ${formatShape(node.shape)}`;
      throw sameShape(node.shape, before.shape) ? new TypeError(text) : new ShapeError(text);
    });
    carry = next.nodes;
    tree = treeOf(rest, carry);
  }
  return strong(rest, carry);
}

/**
 * Runs a function for each element along the first axes of arrays, in order, handing a carry from one step to the next.
 *
 * The function is traced once and compiled, inside `tnp.function` together with what is around it; outside it is traced at every call,
 * so put a loop that runs often into a `tnp.function`. Its gradient runs the loop backwards and keeps the carry of each step.
 *
 * @param f is given the carry and one element of `xs`; returns the next carry, of the same structure, shapes and dtypes, and a tree
 *   of arrays (or null)
 * @param init the first carry, a tree of arrays; plain numbers take the dtype that `f` gives them
 * @param xs a tree of arrays whose first axes have one length; null for none
 * @param options `length` (needed where `xs` is null), `reverse`
 * @returns the last carry, and the trees of all steps stacked along a new first axis
 * @throws ShapeError where lengths differ; TypeError or ShapeError where the carry changes its structure, dtype or shape;
 *   TracerError where `f` reads a value
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const [last, sums] = tnp.scan((sum: tnp.NDArray, x: tnp.NDArray) => [sum.add(x), sum.add(x)], 0, tnp.asarray([1, 2, 3]));
 * console.log(last.item(), sums.toArray()); // 6 [ 1, 3, 6 ]
 * ```
 * Source: jax.lax.scan, tf.scan
 */
export function scan<C, X, Y>(
  f: (carry: Arrays<C>, x: Arrays<X>) => readonly [carry: unknown, y: Y],
  init: C,
  xs: X,
  options: ScanLoopOptions = {},
): [carry: Arrays<C>, ys: Arrays<Y>] {
  checkFunction("scan", f);
  const { length, reverse } = checkKeywords<ScanLoopOptions>("scan", ["length", "reverse"], options);
  const device = deviceOf([init, xs]);
  const carry = nodesOf("scan", init, device);
  const { nodes: columns, rest: columnRest } = nodesOf("scan", xs, device);
  const count = lengthOf(columns, columnRest, length);
  const carries = carry.nodes.length;
  const out: Outcome<Rest> = scanNodes(
    carry.nodes,
    columns,
    (nodes) => {
      const result: unknown = f(
        treeOf(carry.rest, nodes.slice(0, carries)) as Arrays<C>,
        treeOf(columnRest, nodes.slice(carries)) as Arrays<X>,
      );
      checkSync("scan", result);
      if (!Array.isArray(result) || result.length !== 2) {
        throw new TypeError(`scan: the function must return [carry, y], got ${describe(result)}`);
      }
      const next = nodesOf("scan", result[0], device);
      checkTree("scan", "the carry", carry.rest, next.rest, "the function");
      const step = nodesOf("scan", result[1], device);
      return { outputs: [...next.nodes, ...step.nodes], rest: step.rest };
    },
    { length: count, reverse: reverse ?? false, device, place: placeIn(carry.rest) },
  );
  return [
    treeOf(carry.rest, out.outputs.slice(0, carries)),
    treeOf(out.rest, out.outputs.slice(carries)),
  ] as [Arrays<C>, Arrays<Y>];
}

/** How many steps there are. @throws ShapeError, TypeError */
function lengthOf(columns: readonly Node[], rest: Rest, length: number | undefined): number {
  const place = placeIn(rest);
  let count = length === undefined ? null : checkInt("scan", "length", length);
  if (count !== null && count < 0) throw new TypeError(`scan: length is ${count}, expected 0 or more`);
  columns.forEach((node, i) => {
    const n = node.shape[0];
    if (n === undefined) throw new ShapeError(`scan: xs${place(i)} is a scalar, expected an array with a first axis`);
    if (count !== null && n !== count) {
      throw new ShapeError(
        `scan: xs${place(i)} has shape ${formatShape(node.shape)}, expected a first axis of ${count}`,
      );
    }
    count = n;
  });
  if (count === null) throw new TypeError("scan: there is nothing to take apart; give { length }");
  return count;
}
