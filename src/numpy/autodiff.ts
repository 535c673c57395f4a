/**
 * Derivatives of functions on trees of arrays.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import { DisposedError, ShapeError } from "../base/errors.ts";
import { formatShape } from "../base/shape.ts";
import { flatten, leafDef, type TreeDef, unflatten } from "../base/tree.ts";
import { literalType, weakKindOf } from "../base/promote.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { forwardDerivative, recordFunction, withGradient } from "../transform/gradient.ts";
import { checkSync } from "../transform/tracing.ts";
import { type ArrayLike, NDArray, wrap } from "../array.ts";
import { checkFunction, checkInts, checkKeywords, checkList, describe, within } from "./args.ts";
import { toNodeOf, toTyped } from "./convert.ts";
import { checkArgnum } from "./tracing.ts";
import {
  type Arrays,
  assemble,
  type GivenArgs,
  isArrayLeaf,
  isValue,
  leavesLike,
  partition,
  toLeaves,
  toTree,
} from "./trees.ts";
import { Variable } from "./variable.ts";

/** Keywords of `grad` and its kin. */
export interface GradOptions {
  /** Positions of the arguments to differentiate by; 0 if absent. */
  readonly argnums?: number | readonly number[] | undefined;
  /** Whether the function returns `[value, aux]`, where aux is a tree that is not differentiated. */
  readonly has_aux?: boolean | undefined;
}

/** Positions of arguments, or keywords with them. */
export type Argnums = number | readonly number[] | GradOptions;

/** The tree of gradients by argument `N`, or a list of trees. */
export type GradientBy<A extends readonly unknown[], O> = O extends { readonly argnums: infer N } ? GradientBy<A, N>
  : O extends number ? Arrays<A[O]>
  : O extends readonly number[] ? { -readonly [K in keyof O]: O[K] extends number ? Arrays<A[O[K]]> : never }
  : Arrays<A[0]>;

/** Whether the options say that there is aux. */
export type HasAux<O> = O extends { readonly has_aux: true } ? true : false;

/** By what is differentiated, and whether the function returns more than what is. */
interface Wanted {
  readonly list: readonly number[];
  readonly single: boolean;
  readonly aux: boolean;
}

function optionsOf(name: string, argnums: Argnums | undefined): Wanted {
  const options: GradOptions = typeof argnums === "number" || Array.isArray(argnums)
    ? { argnums: argnums as number | readonly number[] }
    : checkKeywords(name, ["argnums", "has_aux"], (argnums ?? {}) as GradOptions);
  const positions = options.argnums ?? 0;
  const list = checkInts(name, "argnums", positions).map((n) => checkArgnum(name, n));
  return { list, single: !Array.isArray(positions), aux: options.has_aux ?? false };
}

/** An array to differentiate by; plain numbers are floats here. */
function inexactLeaf(name: string, leaf: unknown): Node {
  if (leaf instanceof NDArray || leaf instanceof Variable) return toNodeOf(name, leaf);
  const plain = Array.isArray(leaf) ? leaf.flat(Infinity) : [leaf];
  const kinds = plain.map(weakKindOf);
  if (kinds.includes(null)) return toNodeOf(name, leaf as ArrayLike);
  return toTyped(name, leaf as ArrayLike, literalType(kinds.includes("c") ? "c" : "f"));
}

/** A function on trees as a function on the nodes in some of its arguments. */
function onNodes(
  name: string,
  fn: (...args: never[]) => unknown,
  args: readonly unknown[],
  positions: readonly number[],
) {
  for (const n of positions) {
    if (n >= args.length) {
      throw new TypeError(`${name}: got ${args.length} arguments, cannot differentiate by argument ${n}`);
    }
  }
  const parts = positions.map((n) => partition(args[n], isArrayLeaf));
  const inputs = parts.flatMap(({ arrays }) => arrays.map((leaf) => inexactLeaf(name, leaf)));
  const run = (nodes: readonly Node[]): unknown => {
    let next = 0;
    const own = [...args];
    positions.forEach((n, i) => {
      const { arrays, rest } = parts[i]!;
      own[n] = assemble(rest, arrays.map(() => wrap(nodes[next++]!)));
    });
    const result = (fn as (...args: unknown[]) => unknown)(...own);
    checkSync(name, result);
    return result;
  };
  /** Nodes, one an input, as one tree an argument; what is no array there becomes null. */
  const split = (nodes: readonly Node[]): unknown[] => {
    let next = 0;
    return parts.map(({ arrays, rest }) => {
      const leaves = arrays.map(() => wrap(nodes[next++]!));
      return assemble(
        { treedef: rest.treedef, statics: rest.statics.map((s) => s === null ? null : { value: null }) },
        leaves,
      );
    });
  };
  return { inputs, run, split };
}

function differentiate(
  name: string,
  fn: (...args: never[]) => unknown,
  { list, single, aux: hasAux }: Wanted,
  args: readonly unknown[],
): { value: NDArray; aux: unknown; grads: unknown } {
  const { inputs, run, split } = onNodes(name, fn, args, list);
  let aux: unknown;
  const { tape, inputs: own, outputs } = recordFunction(name, (nodes) => {
    let value = run(nodes);
    if (hasAux) {
      if (!Array.isArray(value) || value.length !== 2) {
        throw new TypeError(`${name}: with has_aux the function must return [value, aux], got ${describe(value)}`);
      }
      [value, aux] = value;
    }
    const node = toNodeOf(name, value as ArrayLike);
    if (node.shape.length > 0) {
      throw new ShapeError(`${name}: the function must return a scalar, got shape ${formatShape(node.shape)}`);
    }
    if (!isInexact(node.dtype)) {
      throw new TypeError(`${name}: the function must return a floating or complex scalar, got dtype ${node.dtype}`);
    }
    return [node];
  }, inputs);
  using _ = tape;
  // The value is held by its handle before the tape lets go of it.
  const value = wrap(outputs[0]!);
  const trees = split(tape.gradient(outputs, own, null, "zero").map((node) => node!));
  return { value, aux, grads: single ? trees[0] : trees };
}

/**
 * A function that computes the gradient of a scalar function.
 *
 * @param fn a function of trees of arrays that returns a scalar
 * @param argnums the position of the argument to differentiate by, or a list of them; or keywords `{ argnums, has_aux }`
 * @returns a function of the same arguments; it returns the gradients in the tree of the argument (a list of trees for a list of
 *   positions), zeros where nothing flows; with `has_aux`, `[gradients, aux]`
 * @throws (when called) TypeError by integer arrays; ShapeError for a result that is no scalar
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const df = tnp.grad((x: tnp.NDArray) => x.mul(x).sum());
 * console.log(df([1.5, 2]).toArray()); // [ 3, 4 ]
 * ```
 * Source: jax.grad
 */
export function grad<A extends readonly unknown[], const O extends Argnums = 0>(
  fn: (...args: A) => unknown,
  argnums?: O,
): (...args: GivenArgs<A>) => HasAux<O> extends true ? [GradientBy<A, O>, unknown] : GradientBy<A, O> {
  return gradientOf("grad", fn, argnums) as never;
}

function gradientOf(
  name: string,
  fn: (...args: never[]) => unknown,
  argnums: Argnums | undefined,
): (...args: readonly unknown[]) => unknown {
  checkFunction(name, fn);
  const wanted = optionsOf(name, argnums);
  return (...args) => {
    const { aux, grads } = differentiate(name, fn, wanted, args);
    return wanted.aux ? [grads, aux] : grads;
  };
}

/**
 * A function that computes a scalar function and its gradient together.
 *
 * @param fn as for `grad`
 * @param argnums as for `grad`
 * @returns a function of the same arguments; it returns `[value, gradients]`, with `has_aux` `[[value, aux], gradients]`
 * @throws as `grad`
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const [value, g] = tnp.value_and_grad((x: tnp.NDArray) => tnp.sin(x))(0);
 * console.log(value.item(), g.item()); // 0 1
 * ```
 * Source: jax.value_and_grad
 */
export function value_and_grad<A extends readonly unknown[], const O extends Argnums = 0>(
  fn: (...args: A) => unknown,
  argnums?: O,
): (...args: GivenArgs<A>) => [HasAux<O> extends true ? [NDArray, unknown] : NDArray, GradientBy<A, O>] {
  checkFunction("value_and_grad", fn);
  const wanted = optionsOf("value_and_grad", argnums);
  return ((...args: readonly unknown[]) => {
    const { value, aux, grads } = differentiate("value_and_grad", fn as (...args: never[]) => unknown, wanted, args);
    return [wanted.aux ? [value, aux] : value, grads];
  }) as never;
}

/** The map from a cotangent of a function's result to cotangents of its arguments. It holds what the function computed on the way. */
export interface Pullback<A> {
  (cotangents: unknown): Arrays<A>;
  /** Lets go of what it holds; it is of no use afterwards. */
  dispose(): void;
  /** The same at the end of a `using` block. */
  [Symbol.dispose](): void;
}

/**
 * A function's result and its pullback: the map from a cotangent of the result to cotangents of the arguments.
 *
 * @param fn a function of trees of arrays that returns a tree of arrays
 * @param primals its arguments
 * @returns the result, and a function of a tree like it that returns a list with one tree an argument. It may be called any number of
 *   times; `dispose()`, or `using`, gives back the memory that it holds without waiting for the collector
 * @throws TypeError for integer arguments
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const [y, pull] = tnp.vjp((x: tnp.NDArray) => x.mul(x), [1, 2]);
 * console.log(y.toArray(), pull([1, 10])[0].toArray()); // [ 1, 4 ] [ 2, 40 ]
 * ```
 * Source: jax.vjp
 */
export function vjp<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  ...primals: GivenArgs<A>
): [Arrays<R>, Pullback<A>] {
  checkFunction("vjp", fn);
  const positions = primals.map((_, i) => i);
  const { inputs, run, split } = onNodes("vjp", fn as (...args: never[]) => unknown, primals, positions);
  let result: unknown;
  const { tape, inputs: own, outputs } = recordFunction("vjp", (nodes) => {
    result = run(nodes);
    return toLeaves("vjp", result).nodes;
  }, inputs);
  const { treedef } = flatten(result, isValue);
  let disposed = false;
  const pull = (cotangents: unknown): unknown => {
    if (disposed) throw new DisposedError("vjp: the pullback was used after dispose()");
    const given = alike("vjp", "the cotangent", treedef, outputs, cotangents);
    return within("vjp", () => split(tape.gradient(outputs, own, given, "zero").map((node) => node!)));
  };
  const dispose = (): void => {
    disposed = true;
    tape.dispose();
  };
  return [toTree(treedef, outputs), Object.assign(pull, { dispose, [Symbol.dispose]: dispose })] as never;
}

/**
 * A function's result and its derivative along tangents of the arguments.
 *
 * @param fn a function of trees of arrays that returns a tree of arrays
 * @param primals the list of its arguments
 * @param tangents a list of trees like them
 * @returns `[result, tangent of the result]`
 * @throws TypeError for integer arguments; ShapeError for tangents of other shapes
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const [y, dy] = tnp.jvp((x: tnp.NDArray) => x.mul(x), [3], [1]);
 * console.log(y.item(), dy.item()); // 9 6
 * ```
 * Source: jax.jvp; the two reverse sweeps are J. Townsend's
 */
export function jvp<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  primals: GivenArgs<A>,
  tangents: GivenArgs<A>,
): [Arrays<R>, Arrays<R>] {
  checkFunction("jvp", fn);
  checkList("jvp", "primals", primals);
  const positions = primals.map((_, i) => i);
  const { inputs, run } = onNodes("jvp", fn as (...args: never[]) => unknown, primals, positions);
  const along = tangentsOf(primals, tangents, inputs);
  let treedef: TreeDef | null = null;
  const { outputs, tangents: out } = forwardDerivative(
    "jvp",
    (nodes) => {
      const leaves = toLeaves("jvp", run(nodes));
      treedef = leaves.treedef;
      return leaves.nodes;
    },
    inputs,
    along,
  );
  return [toTree(treedef!, outputs), toTree(treedef!, out)] as never;
}

/** One tangent an array in the arguments. */
function tangentsOf(primals: readonly unknown[], tangents: readonly unknown[], inputs: readonly Node[]): Node[] {
  if (!Array.isArray(tangents) || tangents.length !== primals.length) {
    throw new TypeError(`jvp: got ${describe(tangents)} as tangents, expected a list of ${primals.length}`);
  }
  let next = 0;
  return primals.flatMap((arg, i) => {
    const { arrays, rest } = partition(arg, isArrayLeaf);
    const nodes = rest.statics.map((leaf) => leaf === null ? inputs[next++]! : null);
    const given = leavesLike("jvp", `tangent ${i}`, rest.treedef, tangents[i]).filter((_, k) => nodes[k] !== null);
    const own = nodes.filter((node) => node !== null);
    return arrays.flatMap((_, k) => alike("jvp", `tangent ${i}`, leafDef, [own[k]!], given[k]));
  });
}

/** The leaves of a tree of a structure, in the dtypes and on the devices of other nodes. */
function alike(name: string, what: string, treedef: TreeDef, nodes: readonly Node[], tree: unknown): Node[] {
  return leavesLike(name, what, treedef, tree).map((leaf, i) => {
    const { dtype, device } = nodes[i]!;
    return toTyped(name, leaf as ArrayLike, leaf instanceof NDArray ? null : dtype, device);
  }).map((node, i) => ops.cast(node, nodes[i]!.dtype));
}

/**
 * A function that computes the Jacobian of a function.
 *
 * @param fn a function of trees of arrays that returns an array, or a tree of arrays
 * @param argnums as for `grad`
 * @returns a function of the same arguments; for a result of shape [...T] and an argument of shape [...S] it returns [...T, ...S]
 *   (for trees: the result's tree with the argument's tree in each leaf)
 * @throws (when called) TypeError by integer arrays
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.jacobian((x: tnp.NDArray) => x.mul(x))([1, 2]).toArray()); // [ [ 2, 0 ], [ 0, 4 ] ]
 * ```
 * Source: jax.jacrev
 */
export function jacobian<A extends readonly unknown[], const O extends Exclude<Argnums, GradOptions> = 0>(
  fn: (...args: A) => unknown,
  argnums?: O,
): (...args: GivenArgs<A>) => GradientBy<A, O> {
  checkFunction("jacobian", fn);
  const { list, single } = optionsOf("jacobian", argnums);
  return ((...args: readonly unknown[]) => {
    const { inputs, run, split } = onNodes("jacobian", fn as (...args: never[]) => unknown, args, list);
    let treedef: TreeDef | null = null;
    const { tape, inputs: own, outputs } = recordFunction("jacobian", (nodes) => {
      const leaves = toLeaves("jacobian", run(nodes));
      treedef = leaves.treedef;
      return leaves.nodes;
    }, inputs);
    using _ = tape;
    const rows = outputs.map((output) => {
      if (!isInexact(output.dtype)) {
        throw new TypeError(`jacobian: the function must return floating or complex arrays, got dtype ${output.dtype}`);
      }
      const trees = split(tape.jacobian(output, own, "zero").map((node) => node!));
      return single ? trees[0] : trees;
    });
    return unflatten(treedef!, rows);
  }) as never;
}

/**
 * A function that computes the matrix of second derivatives of a scalar function.
 *
 * @param fn a function of trees of arrays that returns a scalar
 * @param argnums the position of the argument to differentiate by
 * @returns a function of the same arguments; for an argument of shape [...S] it returns [...S, ...S]
 * @throws (when called) as `grad`
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.hessian((x: tnp.NDArray) => x.pow(3).sum())([1, 2]).toArray()); // [ [ 6, 0 ], [ 0, 12 ] ]
 * ```
 * Source: jax.hessian
 */
export function hessian<A extends readonly unknown[], const O extends number = 0>(
  fn: (...args: A) => unknown,
  argnums?: O,
): (...args: GivenArgs<A>) => GradientBy<A, O> {
  return jacobian(gradientOf("hessian", fn, argnums), argnums ?? 0) as never;
}

/** What a function with a gradient of its own returns. */
export interface WithGradient<R> {
  /** The value of the function. */
  readonly value: R;
  /**
   * The cotangents of the arguments.
   * @param g the cotangent of the value, in its tree
   * @returns one array an array argument (not in a list if there is one), null where nothing flows
   */
  gradient(g: Arrays<R>): NDArray | null | readonly (NDArray | null)[];
}

/**
 * Gives a function a gradient of its own.
 *
 * The gradient function may itself be differentiated. It runs once for each array in the value.
 *
 * @param fn a function of arrays that returns `{ value, gradient }`
 * @returns a function of the same arguments that returns the value
 * @throws (when differentiated) TypeError, ShapeError for gradients that do not match the arguments
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const log1pexp = tnp.custom_gradient((x: tnp.NDArray) => {
 *   const e = tnp.exp(x);
 *   return { value: tnp.log(e.add(1)), gradient: (g) => g.mul(tnp.subtract(1, tnp.divide(1, e.add(1)))) };
 * });
 * console.log(tnp.grad(log1pexp)(100).item()); // 1
 * ```
 * Source: tf.custom_gradient
 */
export function custom_gradient<A extends readonly unknown[], R>(
  fn: (...args: A) => WithGradient<R>,
): (...args: GivenArgs<A>) => R {
  checkFunction("custom_gradient", fn);
  return (...given: GivenArgs<A>): R => {
    const { arrays, rest } = partition(given, isArrayLeaf);
    const nodes = arrays.map((x) => toNodeOf("custom_gradient", x as ArrayLike));
    const result = fn(...assemble(rest, nodes.map((node) => wrap(node))) as unknown as A);
    if (typeof result !== "object" || result === null || typeof result.gradient !== "function") {
      throw new TypeError(`custom_gradient: the function must return { value, gradient }, got ${describe(result)}`);
    }
    const { nodes: values, treedef } = toLeaves("custom_gradient", result.value);
    const outputs = withGradient("custom_gradient", nodes, values, (gs) => {
      const grads = result.gradient(toTree(treedef, gs) as Arrays<R>);
      return flatten(grads, isValue).leaves.map((g) => g === null ? null : toNodeOf("custom_gradient", g as ArrayLike));
    });
    return toTree(treedef, outputs) as R;
  };
}

/**
 * Arrays through which no gradient flows.
 *
 * @param tree an array or a tree of arrays
 * @returns the same values
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.grad((x: tnp.NDArray) => x.mul(tnp.stop_gradient(x)))(3).item()); // 3
 * ```
 * Source: tf.stop_gradient
 */
export function stop_gradient<T>(tree: T): Arrays<T> {
  const { nodes, treedef } = toLeaves("stop_gradient", tree);
  return toTree(treedef, nodes.map((node) => ops.stop_gradient(node))) as Arrays<T>;
}
