/**
 * Trees: arrays and plain objects, nested as one likes, with anything else as leaves. Functions that take arrays take trees of them.
 * @module
 */

/** A tree over leaves of type T. */
export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };

/** A tree with the same structure and other leaves. */
export type MapTree<T, From, To> = T extends From ? To
  : T extends readonly unknown[] ? { -readonly [K in keyof T]: MapTree<T[K], From, To> }
  : T extends object ? { -readonly [K in keyof T]: MapTree<T[K], From, To> }
  : T;

/** A tree without its leaves: what `unflatten` needs to put leaves back. */
export class TreeDef {
  /** How many leaves it has. */
  readonly size: number;
  /** The parts of a list or an object; null for a leaf. */
  readonly parts: readonly TreeDef[] | null;
  /** The names of an object's parts, sorted; null for a list and a leaf. */
  readonly names: readonly string[] | null;
  #key: string | null = null;

  constructor(parts: readonly TreeDef[] | null, names: readonly string[] | null = null) {
    this.parts = parts;
    this.names = names;
    let size = parts === null ? 1 : 0;
    if (parts !== null) { for (let i = 0; i < parts.length; i++) size += parts[i]!.size; }
    this.size = size;
  }

  /** The structure in words: equal for two trees if and only if they have the same structure. */
  get key(): string {
    return this.#key ??= this.#words();
  }

  #words(): string {
    const { parts, names } = this;
    if (parts === null) return "*";
    if (names === null) return `[${parts.map((part) => part.key).join(",")}]`;
    return `{${names.map((name, i) => `${JSON.stringify(name)}:${parts[i]!.key}`).join(",")}}`;
  }
}

/** The structure of a single leaf. */
export const leafDef: TreeDef = new TreeDef(null);

/** Tells whether a value is an inner node of a tree: an array, or an object that no class made. */
export function isBranch(value: unknown): value is readonly unknown[] | { readonly [key: string]: unknown } {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Splits a tree into its leaves, depth first, and its structure. Keys of objects are taken in sorted order.
 * @param tree any value; what is no array and no plain object is a leaf
 * @param isLeaf stops at a branch that is itself a leaf, such as `{ re, im }`
 * @throws TypeError for a tree that contains itself
 */
export function flatten(
  tree: unknown,
  isLeaf: (value: unknown) => boolean = () => false,
): { leaves: unknown[]; treedef: TreeDef } {
  const leaves: unknown[] = [];
  return { treedef: visit(tree, leaves, null, isLeaf), leaves };
}

/** A branch that is being visited, inside another one. */
interface Open {
  readonly value: unknown;
  readonly outer: Open | null;
}

function visit(tree: unknown, leaves: unknown[], outer: Open | null, isLeaf: (value: unknown) => boolean): TreeDef {
  if (!isBranch(tree) || isLeaf(tree)) {
    leaves.push(tree);
    return leafDef;
  }
  for (let open = outer; open !== null; open = open.outer) {
    if (open.value === tree) throw new TypeError("flatten: the tree contains itself");
  }
  const open: Open = { value: tree, outer };
  const list = Array.isArray(tree);
  const names = list ? null : Object.keys(tree).sort();
  const count = names === null ? (tree as readonly unknown[]).length : names.length;
  const parts = new Array<TreeDef>(count);
  for (let i = 0; i < count; i++) {
    const part = names === null ? (tree as readonly unknown[])[i] : (tree as { [key: string]: unknown })[names[i]!];
    parts[i] = visit(part, leaves, open, isLeaf);
  }
  return new TreeDef(parts, names);
}

/**
 * Builds the tree of a structure and its leaves, the inverse of `flatten`.
 * @throws TypeError if the number of leaves is not the structure's
 */
export function unflatten(treedef: TreeDef, leaves: readonly unknown[]): unknown {
  if (leaves.length !== treedef.size) {
    throw new TypeError(`unflatten: got ${leaves.length} leaves, expected ${treedef.size} for ${treedef.key}`);
  }
  let next = 0;
  const build = ({ parts, names }: TreeDef): unknown => {
    if (parts === null) return leaves[next++];
    if (names === null) return parts.map(build);
    const out: Record<string, unknown> = {};
    for (let i = 0; i < names.length; i++) define(out, names[i]!, build(parts[i]!));
    return out;
  };
  return build(treedef);
}

/** Sets an own property, also one that is called `__proto__`. */
function define(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  } else object[key] = value;
}

/**
 * A tree with each leaf replaced.
 * @param fn is given the leaf and its place, such as `layers[0].w`
 */
export function mapTree(
  tree: unknown,
  fn: (leaf: unknown, path: string) => unknown,
  isLeaf: (value: unknown) => boolean = () => false,
): unknown {
  const { leaves, treedef } = flatten(tree, isLeaf);
  const paths = pathsOf(treedef);
  return unflatten(treedef, leaves.map((value, i) => fn(value, paths[i]!)));
}

/** The place of each leaf, as messages show it: `[0].w`; the root is the empty string. */
export function pathsOf(treedef: TreeDef): string[] {
  const out: string[] = [];
  const visit = ({ parts, names }: TreeDef, path: string): void => {
    if (parts === null) out.push(path);
    else if (names === null) parts.forEach((part, i) => visit(part, `${path}[${i}]`));
    else {
      names.forEach((name, i) => {
        const step = /^[A-Za-z_$][\w$]*$/.test(name) ? `${path === "" ? "" : "."}${name}` : `[${JSON.stringify(name)}]`;
        visit(parts[i]!, path + step);
      });
    }
  };
  visit(treedef, "");
  return out;
}

/**
 * The leaves of several trees that must share one structure.
 * @param name the function that messages name
 * @returns for each tree its leaves, and the structure
 * @throws TypeError that shows the two structures
 */
export function flattenAll(
  name: string,
  trees: readonly unknown[],
  isLeaf: (value: unknown) => boolean = () => false,
): { leaves: unknown[][]; treedef: TreeDef } {
  const all = trees.map((tree) => flatten(tree, isLeaf));
  const first = all[0];
  if (first === undefined) throw new TypeError(`${name}: expected at least one tree`);
  for (const { treedef } of all) {
    if (treedef.key !== first.treedef.key) {
      throw new TypeError(`${name}: trees differ in structure, ${first.treedef.key} and ${treedef.key}`);
    }
  }
  return { leaves: all.map(({ leaves }) => leaves), treedef: first.treedef };
}
