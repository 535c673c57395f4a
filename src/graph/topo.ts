/**
 * Walks a pending graph once, from its roots to its leaves, without recursion, and writes down its structure as numbers: the key
 * under which plans are kept. Values of plain numbers are not part of it.
 * @module
 */
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { DisposedError, TracerError } from "../base/errors.ts";
import type { Device } from "../device/device.ts";
import type { Primitive } from "../core/primitive.ts";
import type { Node } from "../core/trace.ts";
import { DTYPES, Key, marks } from "./key.ts";

/** What a plan must know of a node besides its structure; a sum of these. */
export const flags = {
  /** Its value is asked for. */
  root: 1,
  /** Somebody outside this evaluation can still ask for it. */
  held: 2,
  /** It was computed before without being stored. */
  again: 4,
} as const;

/** What a walk must know of a primitive, by its number. */
const roles: number[] = [];
const SCALAR = 1, PLACEHOLDER = 2, OTHER = 3;

function roleOf(prim: Primitive): number {
  return roles[prim.id] = prim.name === "placeholder" ? PLACEHOLDER : prim.lower.as === "scalar" ? SCALAR : OTHER;
}

/** The most places that lists keep between walks. */
const KEPT = 4096;

const gone = undefined as unknown as Node;

/** The nodes of a graph in an order in which inputs come first, and its key. Lists are longer than what is in them. */
export class Walk extends Key {
  /** Every node that takes part, inputs first; each node's `mark` is its position. */
  readonly nodes: Node[] = [];
  count = 0;
  /** Per node: a sum of `flags`. Meaningless for leaves. */
  readonly flags: number[] = [];
  /** Finished nodes and placeholders, in order of position. */
  readonly leaves: Node[] = [];
  leafCount = 0;
  /** Plain numbers, in order of position. */
  readonly scalars: Node[] = [];
  scalarCount = 0;
  /** Positions of the roots, in the order given. */
  readonly roots: number[] = [];
  rootCount = 0;
  readonly #uses: number[] = [];
  readonly #stack: Node[] = [];
  readonly #next: number[] = [];
  #placeholders: ReadonlyMap<Node, number> | null = null;

  /**
   * Walks from the roots.
   *
   * @param roots nodes on one device
   * @param copy whether the roots are finished nodes to be made contiguous
   * @param placeholders for a traced graph: its inputs, which are the first leaves in this order
   * @throws TracerError for a value that is known only inside a trace
   */
  run(roots: readonly Node[], copy = false, placeholders: ReadonlyMap<Node, number> | null = null): void {
    this.clear();
    this.#placeholders = placeholders;
    if (copy) this.push(marks.copy);
    if (placeholders !== null) {
      for (const node of placeholders.keys()) this.#enter(node);
    }
    for (let i = 0; i < roots.length; i++) this.#visit(roots[i]!);
    this.push(marks.input);
    const { nodes, count } = this;
    for (let i = 0; i < roots.length; i++) {
      const at = roots[i]!.mark;
      this.roots[this.rootCount++] = at;
      this.flags[at] = flags.root;
      this.push(at);
    }
    // Eight nodes a number.
    let packed = 1;
    for (let i = 0; i < count; i++) {
      const node = nodes[i]!;
      let f = 0;
      if (node.prim !== null) {
        f = this.flags[i]!;
        if (node.holders > this.#uses[i]!) f |= flags.held;
        if (node.computed > 0) f |= flags.again;
        this.flags[i] = f;
      }
      packed = packed << 3 | f;
      if ((i & 7) === 7) {
        this.push(packed);
        packed = 1;
      }
    }
    this.push(packed);
  }

  /** Lets go of every node. */
  clear(): void {
    const { nodes, leaves, scalars, count, leafCount, scalarCount } = this;
    for (let i = 0; i < count; i++) nodes[i] = gone;
    for (let i = 0; i < leafCount; i++) leaves[i] = gone;
    for (let i = 0; i < scalarCount; i++) scalars[i] = gone;
    if (count > KEPT) nodes.length = leaves.length = scalars.length = 0;
    this.count =
      this.leafCount =
      this.scalarCount =
      this.rootCount =
        0;
    this.#placeholders = null;
    this.reset();
  }

  #visit(root: Node): void {
    const { nodes } = this, stack = this.#stack, next = this.#next;
    if (nodes[root.mark] === root) return;
    // What is being visited is not on the stack, only what waits for it: most graphs need none.
    let node = root, at = 0, top = 0;
    for (;;) {
      if (at < node.inputs.length) {
        const input = node.inputs[at++]!;
        if (nodes[input.mark] === input) continue;
        // Most nodes are told apart by their kind, which all records have in the same place.
        if (input.prim !== null && input.prim.kind === "move") resolveView(input);
        if (input.inputs.length === 0) this.#enter(input);
        else {
          stack[top] = node;
          next[top++] = at;
          node = input;
          at = 0;
        }
      } else {
        this.#enter(node);
        if (top === 0) return;
        node = stack[--top]!;
        at = next[top]!;
        stack[top] = gone;
      }
    }
  }

  /** Gives a node its position and writes it into the key. */
  #enter(node: Node): void {
    const at = this.count++;
    node.mark = at;
    this.nodes[at] = node;
    this.flags[at] = 0;
    this.#uses[at] = 0;
    const { prim } = node;
    if (prim === null || (this.#placeholders !== null && this.#placeholders.has(node))) {
      this.leaves[this.leafCount++] = node;
      this.push(marks.leaf - node.code);
      const { shape, strides } = node;
      this.numbers(shape);
      if (prim === null) { for (let i = 0; i < shape.length; i++) this.push(shape[i] === 1 ? 0 : strides[i]!); }
      return;
    }
    const role = roles[prim.id] ?? roleOf(prim);
    this.push(prim.id * DTYPES + node.code);
    if (role === SCALAR) {
      if (prim.name === "disposed") throw new DisposedError("evaluate: a value was used after dispose()");
      this.scalars[this.scalarCount++] = node;
      return;
    }
    if (role === PLACEHOLDER) {
      throw new TracerError(
        "evaluate: a traced value has no value of its own; inside tnp.function and tnp.vectorized_map use tnp.where instead of reading it, " +
          "and return what is needed outside",
      );
    }
    const { inputs } = node;
    for (let i = 0; i < inputs.length; i++) {
      const input = inputs[i]!.mark;
      this.#uses[input]!++;
      this.push(input);
    }
    this.push(marks.input);
    if (node.params !== null) this.value(node.params);
  }
}

/**
 * Finishes a pending move of a finished array where strides can say it: nothing is launched, and what reads it has the same key
 * for every row that is cut out of an array.
 *
 * @returns whether the node is finished now
 */
export function resolveView(node: Node): boolean {
  if (node.storage !== null) return true;
  if (node.prim?.kind !== "move" || node.symbolic || node.prim.lower.as !== "view") return false;
  const moves: Node[] = [node];
  let base = node.inputs[0]!;
  while (base.storage === null) {
    if (base.prim?.lower.as !== "view") return false;
    moves.push(base);
    base = base.inputs[0]!;
  }
  for (let i = moves.length - 1; i >= 0; i--) {
    const move = moves[i]!;
    const input = move.inputs[0]!;
    const { lower } = move.prim!;
    if (lower.as !== "view") return false;
    const view = lower.view({ shape: input.shape, strides: input.strides, offset: input.offset }, move.params);
    if (view === null) return false;
    move.finish(input.storage!, view.offset, view.strides);
  }
  return true;
}

/** A text that is equal for equal parameters. */
export function paramsKey(params: unknown): string {
  if (params === null || params === undefined) return "";
  if (typeof params === "object") {
    if (Array.isArray(params)) return `[${params.map(paramsKey).join(",")}]`;
    return `{${Object.entries(params).map(([k, v]) => `${k}:${paramsKey(v)}`).join(",")}}`;
  }
  return Object.is(params, -0) ? "-0" : `${typeof params === "bigint" ? "n" : ""}${String(params)}`;
}

/** The devices of nodes, each with its nodes, in order of appearance. */
export function byDevice(nodes: readonly Node[]): Map<Device, Node[]> {
  const groups = new Map<Device, Node[]>();
  for (const node of nodes) {
    const group = groups.get(node.device);
    if (group === undefined) groups.set(node.device, [node]);
    else group.push(node);
  }
  return groups;
}

/** Bytes of one element in memory. */
export function itemsize(dtype: DType): number {
  return dtypeInfo(dtype).itemsize;
}
