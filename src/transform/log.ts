/**
 * What a tape holds.
 * @module
 */
import type { Primitive } from "../core/primitive.ts";
import type { Node } from "../core/trace.ts";

/** One primitive as it was bound. */
export interface Bound {
  readonly node: Node;
  readonly prim: Primitive;
  readonly inputs: readonly Node[];
  readonly params: unknown;
}

let logs = 0;

/** What was bound, and the nodes that it follows, each with a place. */
export class Log {
  entries: Bound[] = [];
  readonly nodes: Node[] = [];
  /** The nodes each variable was read as. */
  readonly reads = new Map<object, Set<Node>>();
  /** Nodes know the first log that follows them by its number. */
  readonly #id = ++logs;
  /** Places of nodes that another log followed before. */
  #others: Map<Node, number> | null = null;

  /** The place of a node; -1 for one that is not followed. */
  placeOf(node: Node): number {
    if (node.log === this.#id) return node.place;
    return this.#others === null ? -1 : this.#others.get(node) ?? -1;
  }

  watch(node: Node): void {
    if (this.placeOf(node) >= 0) return;
    const place = this.nodes.length;
    this.nodes.push(node.hold());
    if (node.log === 0) {
      node.log = this.#id;
      node.place = place;
    } else (this.#others ??= new Map()).set(node, place);
  }

  add(entry: Bound): void {
    this.entries.push(entry);
    this.watch(entry.node);
    const { inputs } = entry;
    for (let i = 0; i < inputs.length; i++) inputs[i]!.hold();
  }

  release(): void {
    const { entries, nodes } = this;
    this.entries = [];
    for (let i = 0; i < entries.length; i++) {
      const { inputs } = entries[i]!;
      for (let k = 0; k < inputs.length; k++) inputs[k]!.drop();
    }
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i]!;
      if (node.log === this.#id) node.log = 0;
      node.drop();
    }
    nodes.length = 0;
    this.#others = null;
    if (this.reads.size > 0) this.reads.clear();
  }
}
