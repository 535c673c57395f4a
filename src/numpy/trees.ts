/**
 * Trees of arrays: what the transformations share to take arrays out of arguments and put them back into results.
 * @module
 */
import { weakKindOf } from "../base/promote.ts";
import { flatten, isBranch, type TreeDef, unflatten } from "../base/tree.ts";
import type { Node } from "../core/trace.ts";
import { type ArrayLike, NDArray, wrap } from "../array.ts";
import { describe } from "./args.ts";
import { toNodeOf } from "./convert.ts";
import { Variable } from "./variable.ts";

/** What a function that wants `T` may be given: arrays in any form where it wants arrays. */
export type Given<T> = [NDArray] extends [T] ? ArrayLike | Extract<T, null | undefined>
  : T extends NDArray ? ArrayLike
  : T extends Variable ? T
  : T extends readonly unknown[] ? { readonly [K in keyof T]: Given<T[K]> }
  : T extends (...args: never[]) => unknown ? T
  : T extends object ? { readonly [K in keyof T]: Given<T[K]> }
  : T;

/** The arguments of a function, each as it may be given. */
export type GivenArgs<A extends readonly unknown[]> = { [K in keyof A]: Given<A[K]> };

/** Nested lists of numbers: one array each. */
export type NumberList = readonly (number | bigint | NumberList)[];

/** A tree with `To` in place of each array, variable, number and list of numbers. */
export type Arrays<T, To = NDArray> = [NDArray] extends [T] ? To
  : T extends NDArray | Variable | number | bigint | ArrayBufferView | NumberList ? To
  : T extends readonly unknown[] ? { -readonly [K in keyof T]: Arrays<T[K], To> }
  : T extends object ? { -readonly [K in keyof T]: Arrays<T[K], To> }
  : T;

/** A tree of arrays and variables. */
export type SourceTree = NDArray | Variable | readonly SourceTree[] | { readonly [key: string]: SourceTree };

/** Tells whether a value that looks like a tree is one array: a complex number, numbers in lists, an array of another library. */
export function isValue(value: unknown): boolean {
  if (Array.isArray(value)) return isNumbers(value);
  return weakKindOf(value) === "c" || (isBranch(value) && "shape" in value && ("data" in value || "dataSync" in value));
}

/** Whether a list holds numbers and nothing else, in any nesting. */
function isNumbers(list: readonly unknown[]): boolean {
  if (list.length === 0) return false;
  return list.every((x) => {
    if (typeof x !== "object") return typeof x === "number" || typeof x === "bigint";
    // Arrays come first: they are the most common, and slow to ask for a property that they do not have.
    return x instanceof NDArray ? false : Array.isArray(x) ? isNumbers(x) : weakKindOf(x) === "c";
  });
}

/** Tells whether a leaf becomes an array: an array in some form or a number, but no boolean. */
export function isArrayLeaf(value: unknown): value is ArrayLike {
  if (value instanceof NDArray || value instanceof Variable || ArrayBuffer.isView(value)) return true;
  if (typeof value === "number" || typeof value === "bigint") return true;
  return typeof value === "object" && value !== null && (isValue(value) || "dataSync" in value);
}

/** The leaves of a tree as nodes. @throws TypeError for a leaf that is no array */
export function toLeaves(name: string, tree: unknown): { nodes: Node[]; treedef: TreeDef } {
  const { leaves, treedef } = flatten(tree, isValue);
  return { nodes: leaves.map((leaf) => toNodeOf(name, leaf as ArrayLike)), treedef };
}

/**
 * The leaves of a tree that must have a given structure; where that has a leaf, anything is one.
 * @param what the tree, as messages name it
 * @throws TypeError where the structures differ
 */
export function leavesLike(name: string, what: string, treedef: TreeDef, tree: unknown): unknown[] {
  const { parts, names } = treedef;
  if (parts === null) return [tree];
  const list = names === null;
  if (!isBranch(tree) || Array.isArray(tree) !== list || Object.keys(tree).length !== parts.length) {
    throw new TypeError(
      `${name}: ${what} is ${describe(tree)}, expected ${list ? "a list" : "an object"} of ${parts.length}`,
    );
  }
  return parts.flatMap((part, i) => {
    const key = list ? String(i) : names[i]!;
    if (!Object.hasOwn(tree, key)) throw new TypeError(`${name}: ${what} lacks ${key}`);
    return leavesLike(name, `${what}${list ? `[${key}]` : `.${key}`}`, part, (tree as { [key: string]: unknown })[key]);
  });
}

/** A tree of arrays from nodes; null stays. */
export function toTree(treedef: TreeDef, nodes: readonly (Node | null)[]): unknown {
  return unflatten(treedef, nodes.map((node) => node === null ? null : wrap(node)));
}

/**
 * A tree taken apart into the arrays in it and everything else.
 * @param isArray which leaves are arrays
 */
export function partition(
  tree: unknown,
  isArray: (leaf: unknown) => boolean,
): { arrays: unknown[]; rest: Rest } {
  const { leaves, treedef } = flatten(tree, isValue);
  const arrays: unknown[] = [];
  const statics = leaves.map((leaf) => {
    if (!isArray(leaf)) return { value: leaf };
    arrays.push(leaf);
    return null;
  });
  return { arrays, rest: { treedef, statics } };
}

/** A tree without its arrays. */
export interface Rest {
  readonly treedef: TreeDef;
  /** Null where an array was. */
  readonly statics: readonly ({ readonly value: unknown } | null)[];
}

/** The tree with arrays in their places, the inverse of `partition`. */
export function assemble({ treedef, statics }: Rest, arrays: readonly unknown[]): unknown {
  if (treedef.parts === null && statics[0] === null) return arrays[0];
  let next = 0;
  return unflatten(treedef, statics.map((leaf) => leaf === null ? arrays[next++] : leaf.value));
}
