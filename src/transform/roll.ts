/**
 * Rolling up: a function that runs for each example makes one graph an example. As long as these are the same computation on other rows,
 * it is bound once, by the batching rules of its primitives, and computed for all of them together.
 * @module
 */
import { isComplex, typedArrays } from "../base/dtype.ts";
import { sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { BatchArg, Primitive } from "../core/primitive.ts";
import { context, type Node } from "../core/trace.ts";
import { fromBytes } from "./evaluate.ts";
import { isControl } from "./several.ts";
import { tidy } from "./tracing.ts";

/** One value of the graph that examples have in common; its inputs are slots before its own. */
interface Slot {
  /** The value in the first example. */
  readonly node: Node;
  /** `given`: a row of an input; `same`: one node in all examples; `number`: a plain number; `bound`: a primitive of other slots. */
  readonly kind: "given" | "same" | "number" | "bound";
  readonly inputs: readonly number[];
  /** The number of the input. */
  readonly input: number;
  /** The numbers of all examples, once they differ. */
  readonly numbers: unknown[];
}

/** The results of one example, and the rows it was given. */
interface Example {
  readonly rows: readonly Node[];
  readonly outputs: readonly Node[];
}

/**
 * The results of a function for one example after the other, stacked. Examples in a row that compute the same are bound once, unless
 * values were computed on the way, or a tape may follow something inside.
 */
export class Roll {
  readonly #inputs: readonly Node[];
  readonly #parts: Node[][] = [];
  readonly #rolls: boolean;
  /** The first example of the run, and how many there are in it. */
  #first: Example | null = null;
  #start = 0;
  #count = 0;
  /** What the run has in common, from its second example on. */
  #slots: readonly Slot[] = [];
  #results: readonly number[] = [];
  #own: (Node | null)[] = [];

  /** @param inputs what the rows are cut from; those with a first axis of length 1 are given to every example */
  constructor(inputs: readonly Node[]) {
    this.#inputs = inputs;
    this.#rolls = !context.recorders.some((recorder) => recorder.watches !== undefined);
  }

  /** Takes the next example: what it was given and what it gave. */
  add(rows: readonly Node[], outputs: readonly Node[]): void {
    const example = { rows, outputs };
    if (this.#first !== null && this.#rolls && this.#joins(this.#first, example)) {
      this.#count++;
      return;
    }
    this.#flush();
    for (const node of rows) node.hold();
    for (const node of outputs) node.hold();
    this.#first = example;
    this.#count = 1;
  }

  /** The results of all examples, one node a result with the examples along its first axis. */
  finish(): Node[] {
    this.#flush();
    const parts = this.#parts;
    return (parts[0] ?? []).map((_, k) => ops.concatenate(parts.map((nodes) => nodes[k]!), 0));
  }

  /** Lets go of what it holds. */
  dispose(): void {
    this.#drop();
    for (const nodes of this.#parts) for (const node of nodes) node.drop();
    this.#parts.length = 0;
  }

  #drop(): void {
    if (this.#first === null) return;
    for (const node of this.#first.outputs) node.drop();
    for (const node of this.#first.rows) node.drop();
    this.#first = null;
  }

  /** Whether an example computes what the run does. */
  #joins(first: Example, { rows, outputs }: Example): boolean {
    if (this.#count === 1) {
      const slots = commonGraph(first, outputs);
      if (slots === null) return false;
      this.#slots = slots;
      this.#results = first.outputs.map((node) => slots.findIndex((slot) => slot.node === node));
      this.#own = new Array<Node | null>(slots.length);
    }
    const slots = this.#slots, own = this.#own, results = this.#results;
    if (outputs.length !== results.length) return false;
    own.fill(null);
    let same = true;
    for (let k = 0; same && k < results.length; k++) same = place(own, results[k]!, outputs[k]!);
    for (let s = slots.length - 1; same && s >= 0; s--) same = follows(slots[s]!, own[s]!, own, rows);
    for (let s = 0; same && s < slots.length; s++) {
      if (slots[s]!.kind === "number") same = note(slots[s]!, own[s]!, this.#count);
    }
    own.fill(null);
    return same;
  }

  /** Binds the run. */
  #flush(): void {
    const first = this.#first, size = this.#count, start = this.#start;
    if (first === null) return;
    const nodes = tidy(() => {
      if (size === 1) return first.outputs.map((node) => ops.expand(node, [0]));
      const inputs = this.#inputs.map((node, k): BatchArg => {
        if (node.shape[0] === 1) return { node: first.rows[k]!, batched: false };
        const zeros = node.shape.map(() => 0), ones = node.shape.map(() => 1);
        return { node: ops.slice(node, zeros.with(0, start), node.shape.with(0, size), ones), batched: true };
      });
      const values: BatchArg[] = [];
      for (const slot of this.#slots) values.push(valueOf(slot, values, inputs, size));
      return this.#results.map((s) => {
        const { node, batched } = values[s]!;
        return batched ? node : ops.broadcast(node, [size, ...node.shape]);
      });
    });
    for (const node of nodes) node.hold();
    this.#parts.push(nodes);
    this.#start += size;
    this.#drop();
  }
}

/** The graph of an example, inputs first, with what it has in common with that of another one; null for what cannot be rolled up. */
function commonGraph(first: Example, others: readonly Node[]): Slot[] | null {
  if (others.length !== first.outputs.length) return null;
  const slots: Slot[] = [];
  const at = new Map<Node, number>();
  const enter = (node: Node, kind: Slot["kind"], inputs: readonly number[] = [], input = -1): void => {
    at.set(node, slots.length);
    slots.push({ node, kind, inputs, input, numbers: [] });
  };
  const stack: (readonly [node: Node, other: Node])[] = [];
  for (let k = others.length - 1; k >= 0; k--) stack.push([first.outputs[k]!, others[k]!]);
  while (stack.length > 0) {
    const [node, other] = stack.at(-1)!;
    const before = stack.length, input = first.rows.indexOf(node);
    if (!at.has(node)) {
      if (input >= 0) enter(node, "given", [], input);
      else if (node === other) enter(node, "same");
      else if (node.prim === null || !rolls(node.prim) || node.inputs.length !== other.inputs.length) return null;
      else if (node.prim.name === "scalar") enter(node, "number");
      else {
        for (let i = node.inputs.length - 1; i >= 0; i--) {
          if (!at.has(node.inputs[i]!)) stack.push([node.inputs[i]!, other.inputs[i]!]);
        }
        if (stack.length > before) continue;
        enter(node, "bound", node.inputs.map((x) => at.get(x)!));
      }
    }
    stack.pop();
  }
  return slots;
}

/** Whether a primitive with equal parameters and inputs has equal results. */
function rolls(prim: Primitive): boolean {
  return !isControl(prim) && prim.name !== "placeholder";
}

/** Puts what an example has into a slot. Returns whether it had nothing else there. */
function place(own: (Node | null)[], slot: number, node: Node): boolean {
  if (own[slot] === null) own[slot] = node;
  return own[slot] === node;
}

/** Whether an example has in a slot what the first one has; puts what that is made of into the slots before. */
function follows(slot: Slot, node: Node, own: (Node | null)[], rows: readonly Node[]): boolean {
  const { node: first, kind } = slot;
  if (kind === "given") return node === rows[slot.input];
  if (kind === "same") return node === first;
  if (node.prim !== first.prim || node.dtype !== first.dtype || node.weak !== first.weak) return false;
  if (kind === "number") return true;
  const { inputs } = node;
  if (inputs.length !== slot.inputs.length || !sameParams(first.params, node.params)) return false;
  for (let k = 0; k < inputs.length; k++) if (!place(own, slot.inputs[k]!, inputs[k]!)) return false;
  return sameShape(node.shape, first.shape);
}

/** Keeps the number of example `i`. Returns false for one that no column can hold. */
function note({ node: first, numbers }: Slot, node: Node, i: number): boolean {
  const a = (first.params as { value: unknown }).value, b = (node.params as { value: unknown }).value;
  if (numbers.length === 0) {
    if (sameParams(a, b)) return true;
    if (isComplex(first.dtype) || first.dtype === "bfloat16") return false;
    for (let k = 0; k < i; k++) numbers.push(a);
  }
  numbers.push(b);
  return true;
}

function sameParams(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!sameParams(a[i], b[i])) return false;
    return true;
  }
  // Objects of a class are what they are.
  if (Object.getPrototypeOf(a) !== Object.prototype || Object.getPrototypeOf(b) !== Object.prototype) return false;
  for (const key in b) if (!Object.hasOwn(a, key)) return false;
  for (const key in a) if (!sameParams(a[key as never], b[key as never])) return false;
  return true;
}

/** The value of a slot for all examples. */
function valueOf(slot: Slot, values: readonly BatchArg[], inputs: readonly BatchArg[], size: number): BatchArg {
  const { node, kind, numbers } = slot;
  if (kind === "given") return inputs[slot.input]!;
  // A number that came after an example which did not join is none of the run's.
  if (kind === "number" && numbers.length > 0) return { node: columnOf(numbers.slice(0, size), node), batched: true };
  const args = slot.inputs.map((at) => values[at]!);
  if (!args.some(({ batched }) => batched)) return { node, batched: false };
  const out = node.prim!.batch(args, node.params, size);
  out.weak = node.weak;
  return { node: out, batched: true };
}

/** Plain numbers as an array in the dtype and on the device of a node. */
function columnOf(numbers: readonly unknown[], { dtype, device }: Node): Node {
  const make = typedArrays[dtype];
  const wide = dtype === "int64" || dtype === "uint64";
  const column = new make(new ArrayBuffer(make.BYTES_PER_ELEMENT * numbers.length), 0, numbers.length);
  numbers.forEach((x, i) => column[i] = wide ? BigInt(x as number | bigint | boolean) : Number(x));
  return fromBytes(new Uint8Array(column.buffer as ArrayBuffer), [numbers.length], dtype, device);
}
