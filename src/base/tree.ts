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
export interface TreeDef {
  /** The structure in words: equal for two trees if and only if they have the same structure. */
  readonly key: string;
  /** How many leaves it has. */
  readonly size: number;
  /** What it is made of. */
  readonly node: "leaf" | readonly TreeDef[] | readonly (readonly [string, TreeDef])[];
}

const leaf: TreeDef = { key: "*", size: 1, node: "leaf" };

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
  if (!isBranch(tree)) return { leaves: [tree], treedef: leaf };
  const leaves: unknown[] = [];
  const open = new Set<unknown>();
  const visit = (value: unknown): TreeDef => {
    if (!isBranch(value) || isLeaf(value)) {
      leaves.push(value);
      return leaf;
    }
    if (open.has(value)) throw new TypeError("flatten: the tree contains itself");
    open.add(value);
    let treedef: TreeDef;
    const before = leaves.length;
    if (Array.isArray(value)) {
      const parts = value.map(visit);
      treedef = { key: `[${parts.map((part) => part.key).join(",")}]`, size: leaves.length - before, node: parts };
    } else {
      const object = value as { readonly [key: string]: unknown };
      const parts = Object.keys(object).sort().map((key) => [key, visit(object[key])] as const);
      const words = parts.map(([key, part]) => `${JSON.stringify(key)}:${part.key}`);
      treedef = { key: `{${words.join(",")}}`, size: leaves.length - before, node: parts };
    }
    open.delete(value);
    return treedef;
  };
  return { treedef: visit(tree), leaves };
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
  const build = (def: TreeDef): unknown => {
    if (def.node === "leaf") return leaves[next++];
    if (def.key.startsWith("[")) return (def.node as readonly TreeDef[]).map(build);
    const out: Record<string, unknown> = {};
    for (const [key, part] of def.node as readonly (readonly [string, TreeDef])[]) define(out, key, build(part));
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
  const visit = (def: TreeDef, path: string): void => {
    if (def.node === "leaf") out.push(path);
    else if (def.key.startsWith("[")) {
      (def.node as readonly TreeDef[]).forEach((part, i) => visit(part, `${path}[${i}]`));
    } else {
      for (const [key, part] of def.node as readonly (readonly [string, TreeDef])[]) {
        const step = /^[A-Za-z_$][\w$]*$/.test(key) ? `${path === "" ? "" : "."}${key}` : `[${JSON.stringify(key)}]`;
        visit(part, path + step);
      }
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
