/**
 * Trace compilation and vectorization of functions on trees of arrays.
 * @module
 */
import { type DType, isDType } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { literalType, type WeakKind, weakKindOf } from "../base/promote.ts";
import { formatShape } from "../base/shape.ts";
import { flatten, isBranch, pathsOf } from "../base/tree.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { mapNodes, type MappedInput, mappedSize } from "../transform/batch.ts";
import { TraceCache } from "../transform/function.ts";
import type { CallText } from "../transform/retrace.ts";
import { Roll } from "../transform/roll.ts";
import { checkSync } from "../transform/tracing.ts";
import { type ArrayLike, NDArray, nodeOf, wrap } from "../array.ts";
import { checkFunction, checkInts, checkKeywords, checkList, describe } from "./args.ts";
import { toNodeOf, toTyped } from "./convert.ts";
import {
  type Arrays,
  assemble,
  type GivenArgs,
  isArrayLeaf,
  isValue,
  partition,
  type Rest,
  toLeaves,
} from "./trees.ts";
import { Variable } from "./variable.ts";

/** What an argument of a traced function must be. */
export interface ArraySpec {
  /** Lengths of the axes; null takes any. */
  readonly shape: readonly (number | null)[];
  /** The dtype of the arrays. */
  readonly dtype: DType;
}

/** A tree of what arguments must be. */
export type SpecTree = ArraySpec | readonly SpecTree[] | { readonly [key: string]: SpecTree };

/** Keywords of `tnp.function`. */
export interface FunctionOptions {
  /** Positions of arguments that are given to the function as they are: each value has a trace of its own. */
  readonly static_argnums?: number | readonly number[] | undefined;
  /** What the arguments must be, one entry an argument; plain values are converted, anything else is an error. */
  readonly input_signature?: readonly SpecTree[] | undefined;
}

/** A function that was given to `tnp.function`. */
export interface TracedFunction<A extends readonly unknown[], R> {
  (...args: GivenArgs<A>): R;
  /** How often it was traced. */
  readonly traces: number;
}

/** Numbers for objects that are told apart by identity. */
const identities = new WeakMap<object, number>();
let lastIdentity = 0;

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function";

/** A text that is equal for static values that are the same. */
function staticKey(value: unknown): string {
  if (isObject(value)) {
    let id = identities.get(value);
    if (id === undefined) identities.set(value, id = ++lastIdentity);
    return `#${id}`;
  }
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "symbol") throw new TypeError("function: a symbol cannot be an argument");
  return `${typeof value} ${Object.is(value, -0) ? "-0" : String(value)}`;
}

/** An argument's leaf as a node; plain numbers stay weak. */
export function argument(leaf: unknown, name = "function", device?: Device): Node {
  if (leaf instanceof NDArray) return nodeOf(leaf);
  let weak: WeakKind | null = weakKindOf(leaf);
  if (weak === null || weak === "b") return toNodeOf(name, leaf as ArrayLike, device);
  // No int64 stands for it.
  if (typeof leaf === "number" && (Object.is(leaf, -0) || leaf >= 2 ** 63)) weak = "f";
  const node = toTyped(name, leaf as ArrayLike, literalType(weak), device);
  node.weak = true;
  return node;
}

/** The nodes of arguments that are arrays and numbers, no trees; null if one is anything else. */
function plainArguments(args: readonly unknown[]): Node[] | null {
  const nodes = new Array<Node>(args.length);
  for (let i = 0; i < args.length; i++) {
    const x = args[i];
    if (!(x instanceof NDArray) && typeof x !== "number") return null;
    nodes[i] = argument(x);
  }
  return nodes;
}

const plainKeys: string[] = [];

/** The key of so many plain arguments. */
function plainKey(count: number): string {
  return plainKeys[count] ??= "*;".repeat(count);
}

function wrapAll(nodes: readonly Node[]): NDArray[] {
  const out = new Array<NDArray>(nodes.length);
  for (let i = 0; i < nodes.length; i++) out[i] = wrap(nodes[i]!);
  return out;
}

const isTraced = (leaf: unknown): boolean => isArrayLeaf(leaf) && !(leaf instanceof Variable);
const isResult = (leaf: unknown): boolean => leaf instanceof NDArray;

/**
 * Compiles a function by tracing it.
 *
 * The function runs once for each signature: the tree, shapes, dtypes and devices of its arguments, and their static values. What it
 * computed is planned as a whole, and later calls run that plan. Arrays in any form and numbers (also inside objects and lists)
 * are traced; booleans, strings, `null` and anything else are static, and so is the object that a method is called on. Variables it
 * reads and assigns are part of the trace, and so are random draws: each call draws anew. Arrays it closes over are constants. A traced
 * array has no value: reading one is a TracerError; `tnp.cond`, `tnp.while_loop` and `tnp.scan` branch and loop on such values.
 *
 * Traced numbers take the dtype of the arrays beside them, as plain ones do: whole ones are integers, but for -0.
 * A call whose integer does not fit where the trace uses it is a RangeError.
 *
 * Traces are kept, the 256 that were used last; a function that is traced again and again says why in a warning.
 *
 * With lengths of null in `input_signature`, the second length that comes has `fn` run a few times more, with lengths of this
 * function's choosing (three times for one unknown length), to find how the trace depends on it; from then on every length has its
 * plan without `fn`. Where shapes and numbers in the trace are not linear in the lengths (nor one through such a number), or `fn`
 * does something else for other lengths, each length is traced. So `fn` must not decide by such a length what it computes: a branch
 * on it that none of the few runs takes would go unnoticed. Lengths that are 0 or 1, or leave an axis with such a length, are traced for
 * themselves, and axes that have the same length in one call are taken for one unknown.
 *
 * @param fn a synchronous function of trees of arrays that returns a tree; what is no array in it is returned as it was
 * @param options `static_argnums`, `input_signature` (an axis of length null takes any)
 * @returns a function of the same arguments; its `traces` counts how often `fn` ran
 * @throws TypeError for arguments that do not match the signature; RangeError for integers that do not fit; TracerError where `fn` reads a traced value
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const f = tnp.function((x: tnp.NDArray) => tnp.exp(x).sum());
 * console.log(f(0).item(), f(tnp.zeros([3])).item(), f.traces); // 1 3 2
 * ```
 * Source: tf.function
 */
function traced<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: FunctionOptions = {},
): TracedFunction<A, R> {
  checkFunction("function", fn);
  const { static_argnums, input_signature: signature } = checkKeywords("function", [
    "static_argnums",
    "input_signature",
  ], options);
  const statics = new Set(
    checkInts("function", "static_argnums", static_argnums ?? []).map((n) => checkArgnum("function", n)),
  );
  if (signature !== undefined) checkList("function", "input_signature", signature).forEach((spec) => checkSpec(spec));
  const cache = new TraceCache<Rest>(
    fn.name === "" ? "anonymous" : fn.name,
    sameRest,
    signature === undefined ? null : unknownAxes(signature.filter((_, i) => !statics.has(i))),
  );
  const simple = statics.size === 0 && signature === undefined;
  const method = /\b(?:this|super)\b/.test(Function.prototype.toString.call(fn));
  function call(this: unknown, ...given: GivenArgs<A>): R {
    const self = method && isObject(this) ? this : undefined;
    const nodes = simple && self === undefined ? plainArguments(given) : null;
    const again = nodes === null ? null : cache.repeat(plainKey(nodes.length), nodes);
    if (again !== null) return assemble(again.rest, wrapAll(again.outputs)) as R;
    const args = signature === undefined ? given : matchAll(signature, given);
    const parts = args.map((arg, i): { arrays: unknown[]; rest: ArgumentRest } =>
      statics.has(i) ? { arrays: [], rest: { treedef: null, value: arg } } : partition(arg, isTraced)
    );
    let key = self === undefined ? "" : `of ${staticKey(self)};`;
    for (const { rest } of parts) {
      if (rest.treedef === null) key += `${staticKey(rest.value)};`;
      else {
        key += `${rest.treedef.key}${rest.statics.map((s) => s === null ? "" : staticKey(s.value)).join()};`;
      }
    }
    const inputs = parts.flatMap(({ arrays }) => arrays.map((leaf) => argument(leaf)));
    const { outputs, rest } = cache.call(key, inputs, (nodes) => {
      let next = 0;
      const own = parts.map(({ arrays, rest }) =>
        rest.treedef === null ? rest.value : assemble(rest, arrays.map(() => wrap(nodes[next++]!)))
      );
      const result: unknown = Reflect.apply(fn, self, own);
      checkSync("function", result);
      const { arrays, rest } = partition(result, isResult);
      return { outputs: arrays.map((x) => nodeOf(x as NDArray)), rest };
    }, () => describeCall(parts.map(({ rest }) => rest)));
    return assemble(rest, wrapAll(outputs)) as R;
  }
  return Object.defineProperty(call, "traces", { get: () => cache.traces }) as TracedFunction<A, R>;
}

export { traced as function };

/** Whether two results are the same but for their arrays. */
function sameRest(a: Rest, b: Rest): boolean {
  return a.treedef.key === b.treedef.key &&
    a.statics.every((s, i) => s === null ? b.statics[i] === null : Object.is(s.value, b.statics[i]?.value));
}

/** For each array the axes of unknown length; null if there are none. */
function unknownAxes(signature: readonly SpecTree[]): number[][] | null {
  const axes = signature.flatMap((spec) =>
    flatten(spec, isSpec).leaves.map((leaf) => (leaf as ArraySpec).shape.flatMap((n, d) => n === null ? [d] : []))
  );
  return axes.some((list) => list.length > 0) ? axes : null;
}

/** The arguments of a call in words. */
function describeCall(parts: readonly ArgumentRest[]): CallText {
  const places: string[] = [];
  const statics: [string, string][] = [];
  parts.forEach((part, i) => {
    if (part.treedef === null) {
      statics.push([`argument ${i}`, describe(part.value)]);
      return;
    }
    pathsOf(part.treedef).forEach((path, k) => {
      const leaf = part.statics[k]!;
      const place = `argument ${i}${path === "" || path.startsWith("[") ? path : `.${path}`}`;
      if (leaf === null) places.push(place);
      else statics.push([place, describe(leaf.value)]);
    });
  });
  return { places, statics };
}

/** An argument without its arrays: a tree, or a static value. */
type ArgumentRest = Rest | { readonly treedef: null; readonly value: unknown };

/** Checks the position of an argument. @throws TypeError */
export function checkArgnum(name: string, n: number): number {
  if (Number.isInteger(n) && n >= 0) return n;
  throw new TypeError(`${name}: positions of arguments are integers from 0, got ${n}`);
}

function isSpec(value: unknown): value is ArraySpec {
  return isBranch(value) && !Array.isArray(value) && "shape" in value && "dtype" in value && isDType(value.dtype);
}

function checkSpec(spec: SpecTree): void {
  const { leaves, treedef } = flatten(spec, isSpec);
  const paths = pathsOf(treedef);
  leaves.forEach((leaf, i) => {
    if (!isSpec(leaf) || !Array.isArray(leaf.shape)) {
      throw new TypeError(`function: input_signature${paths[i]!} is ${describe(leaf)}, expected { shape, dtype }`);
    }
  });
}

function matchAll(signature: readonly SpecTree[], args: readonly unknown[]): unknown[] {
  if (args.length !== signature.length) {
    throw new TypeError(`function: got ${args.length} arguments, expected ${signature.length} by the input_signature`);
  }
  return signature.map((spec, i) => match(spec, args[i], `argument ${i}`));
}

function match(spec: SpecTree, value: unknown, place: string): unknown {
  if (!isSpec(spec)) {
    const parts = spec as { readonly [key: string]: SpecTree };
    const keys = Object.keys(parts);
    if (!isBranch(value) || Array.isArray(value) !== Array.isArray(spec) || Object.keys(value).length !== keys.length) {
      throw new TypeError(
        `function: ${place} is ${describe(value)}, expected ${
          Array.isArray(spec) ? "a list" : "an object"
        } of ${keys.length}`,
      );
    }
    const out = keys.map((key) =>
      [key, match(parts[key]!, (value as { [key: string]: unknown })[key], `${place}.${key}`)] as const
    );
    return Array.isArray(spec) ? out.map(([, part]) => part) : Object.fromEntries(out);
  }
  const { shape, dtype } = spec;
  const own = value instanceof NDArray || value instanceof Variable;
  const node = own ? toNodeOf("function", value) : toTyped("function", value as ArrayLike, dtype);
  if (node.dtype !== dtype) throw new TypeError(`function: ${place} has dtype ${node.dtype}, expected ${dtype}`);
  if (node.shape.length !== shape.length || shape.some((n, i) => n !== null && n !== node.shape[i])) {
    throw new ShapeError(
      `function: ${place} has shape ${formatShape(node.shape)}, expected [${shape.map((n) => n ?? "any").join(", ")}]`,
    );
  }
  return own && value instanceof NDArray ? value : wrap(node);
}

/** The axis that is mapped: one for all leaves, or a tree of them; null gives every example the whole array. */
export type Axes = number | null | readonly Axes[] | { readonly [key: string]: Axes };

/** Keywords of `vectorized_map`. */
export interface MapOptions {
  /** Which axis of each argument is mapped over: one number for all, or a tree of them with null for what is not mapped; 0 if absent. */
  readonly in_axes?: Axes | undefined;
}

/** The leaves of a tree with their mapped axes. */
function mappedInputs(
  name: string,
  elems: unknown,
  axes: Axes,
): { inputs: MappedInput[]; build: (leaves: readonly unknown[]) => unknown } {
  const { nodes, treedef } = toLeaves(name, elems);
  const list: (number | null)[] = [];
  const spread = (axes: Axes, tree: unknown, place: string): void => {
    if (typeof axes === "number" || axes === null) {
      for (const _ of flatten(tree, isValue).leaves) list.push(axes);
      return;
    }
    const keys = Object.keys(axes).sort(Array.isArray(axes) ? (a, b) => Number(a) - Number(b) : undefined);
    if (!isBranch(tree) || Object.keys(tree).length !== keys.length) {
      throw new TypeError(`${name}: in_axes${place} has ${keys.length} entries, which the arguments there do not have`);
    }
    for (const key of keys) {
      if (!(key in tree)) {
        throw new TypeError(`${name}: in_axes${place} has an entry "${key}", which the arguments lack`);
      }
      spread((axes as { [key: string]: Axes })[key]!, (tree as { [key: string]: unknown })[key], `${place}.${key}`);
    }
  };
  spread(axes, elems, "");
  const inputs = nodes.map((node, i): MappedInput => {
    const axis = list[i]!;
    if (axis === null) return { node, axis };
    const at = axis < 0 ? axis + node.shape.length : axis;
    if (!Number.isInteger(axis) || at < 0 || at >= node.shape.length) {
      throw new ShapeError(`${name}: cannot map over axis ${axis} of an array of shape ${formatShape(node.shape)}`);
    }
    return { node, axis: at };
  });
  const rest: Rest = { treedef, statics: nodes.map(() => null) };
  return { inputs, build: (leaves) => assemble(rest, leaves) };
}

/**
 * Applies a function to every example of a batch at once: it runs a single time, on one example without values, and its
 * primitives are replaced by their batched forms.
 *
 * @param fn is given the tree with axis 0 of every array taken off; returns a tree of arrays (numbers become arrays)
 * @param elems a tree of arrays; their first axes have one length (an axis of length 1 is repeated)
 * @param options `in_axes`: another axis than 0, or a tree of axes; null gives every example the whole array
 * @returns the tree that `fn` returns, with a new first axis
 * @throws ShapeError where lengths differ; TracerError where `fn` reads a value or assigns a variable
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.arange(6).reshape(3, 2);
 * console.log(tnp.vectorized_map((row: tnp.NDArray) => row.sum(), x).toArray()); // [ 1, 5, 9 ]
 * ```
 * Source: tf.vectorized_map
 */
export function vectorized_map<T, R>(
  fn: (elems: Arrays<T>) => R,
  elems: T,
  options: MapOptions = {},
): Arrays<R> {
  const { in_axes: axes = 0 } = checkKeywords("vectorized_map", ["in_axes"], options);
  return mapTogether("vectorized_map", fn as (elems: unknown) => unknown, elems, axes) as Arrays<R>;
}

function mapTogether(name: string, fn: (elems: unknown) => unknown, elems: unknown, axes: Axes): unknown {
  checkFunction(name, fn);
  const { inputs, build } = mappedInputs(name, elems, axes);
  const device = inputs[0]?.node.device ?? currentDevice();
  let rest: Rest | null = null;
  const nodes = mapNodes(name, (parts) => {
    const result = fn(build(parts.map((node) => wrap(node))));
    checkSync(name, result);
    const out = partition(result, () => true);
    rest = out.rest;
    return out.arrays.map((x) => toNodeOf(name, x as ArrayLike, device));
  }, inputs);
  return assemble(rest!, nodes.map((node) => wrap(node)));
}

/**
 * Applies a function to the examples of a batch one after the other and stacks what it returns. It may read values; what all examples
 * compute alike is computed for all of them together.
 *
 * @param fn is given the tree with axis 0 of every array taken off; returns a tree of arrays of the same shapes each time
 * @param elems a tree of arrays whose first axes have one length
 * @returns the tree that `fn` returns, with a new first axis
 * @throws ShapeError where lengths differ, or shapes between examples; TypeError where the trees differ
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.map_fn((x: tnp.NDArray) => x.mul(x), tnp.asarray([1, 2, 3])).toArray()); // [ 1, 4, 9 ]
 * ```
 * Source: tf.map_fn
 */
export function map_fn<T, R>(fn: (elems: Arrays<T>) => R, elems: T): Arrays<R> {
  return mapOneByOne("map_fn", fn as (elems: unknown) => unknown, elems) as Arrays<R>;
}

function mapOneByOne(name: string, fn: (elems: unknown) => unknown, elems: unknown): unknown {
  checkFunction(name, fn);
  const { inputs, build } = mappedInputs(name, elems, 0);
  const size = mappedSize(name, inputs);
  // Without an example, tracing tells the shapes.
  if (size === 0) return mapTogether(name, fn, elems, 0);
  const roll = new Roll(inputs.map(({ node }) => node));
  let rest: Rest | null = null;
  try {
    for (let i = 0; i < size; i++) {
      const rows = inputs.map(({ node }) => row(node, node.shape[0] === 1 ? 0 : i));
      const result = fn(build(rows.map((node) => wrap(node))));
      checkSync(name, result);
      const out = partition(result, () => true);
      if (rest !== null && out.rest.treedef.key !== rest.treedef.key) {
        throw new TypeError(`${name}: example ${i} gave ${out.rest.treedef.key}, the ones before ${rest.treedef.key}`);
      }
      rest = out.rest;
      roll.add(rows, out.arrays.map((x) => toNodeOf(name, x as ArrayLike)));
    }
    return assemble(rest!, roll.finish().map((node) => wrap(node)));
  } finally {
    roll.dispose();
  }
}

function row(x: Node, i: number): Node {
  const rest = x.shape.slice(1);
  const part = ops.slice(x, [i, ...rest.map(() => 0)], [1, ...rest], x.shape.map(() => 1));
  return ops.reshape(part, rest);
}
