/**
 * Computes nodes: finds the plan of what is pending, runs it, and finishes the nodes. Also the ways of bytes in and out.
 * @module
 */
import { debug, debugging } from "../base/debug.ts";
import { type DType, dtypeInfo, type TypedArray } from "../base/dtype.ts";
import { asElements, asNested, elementAt, type Nested, type Scalar as Element } from "../base/elements.ts";
import { DeviceError, DisposedError, TracerError } from "../base/errors.ts";
import { contiguousStrides, isContiguous, sizeOf } from "../base/shape.ts";
import type { Lowering } from "../core/primitive.ts";
import type { Scalar } from "../core/registry.ts";
import { context, isDisposed, leaf, type Node, Storage } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { planCache } from "../graph/cache.ts";
import { makePlan, type Plan, type Target } from "../graph/plan.ts";
import { simplify } from "../graph/simplify.ts";
import { byDevice, flags, itemsize, resolveView, Walk } from "../graph/topo.ts";
import { interpret } from "./interpret.ts";

const walk = new Walk();
const values: Scalar[] = [];

/**
 * Computes nodes and everything they need, fused and planned together.
 *
 * @param roots pending nodes (finished ones are left alone)
 * @throws TracerError for a value known only inside a trace; DisposedError for one given back; what the device throws when memory
 *   or a compiler fails: the graph then stays pending and can be computed again
 */
export function evaluate(roots: readonly Node[]): void {
  if (roots.length === 1) {
    const root = roots[0]!;
    if (isPending(root)) evaluateOn(root.device, roots);
    return;
  }
  let pending: Node[] | null = null;
  let mixed = false;
  for (let i = 0; i < roots.length; i++) {
    const root = roots[i]!;
    if (!isPending(root)) continue;
    if (pending === null) pending = [root];
    else {
      if (root.device !== pending[0]!.device) mixed = true;
      pending.push(root);
    }
  }
  if (pending === null) return;
  if (!mixed) evaluateOn(pending[0]!.device, pending);
  else for (const [device, nodes] of byDevice(pending)) evaluateOn(device, nodes);
}

/** Whether a node is still to be computed. @throws DisposedError, TracerError */
function isPending(node: Node): boolean {
  if (node.storage !== null) return false;
  if (isDisposed(node)) throw new DisposedError("evaluate: a value was used after dispose()");
  if (node.symbolic) throw new TracerError(tracerText);
  return !resolveView(node);
}

const tracerText =
  "evaluate: a traced value cannot be read: inside tnp.function and tnp.vectorized_map use tnp.where or tnp.cond instead of a condition on it, " +
  "and return what is needed outside; a value kept from an earlier trace has no value at all";

function evaluateOn(device: Device, roots: readonly Node[]): void {
  try {
    walk.run(roots);
    const cache = planCache(device);
    let plan = cache.get(walk);
    if (plan == null && device.interprets === true && !debugging("evaluations") && interpreted(device, plan === null)) {
      if (plan === undefined) cache.set(walk, null);
      return;
    }
    plan ??= planned(device, false);
    for (let i = 0; i < walk.scalarCount; i++) values[i] = valueOf(walk.scalars[i]!);
    if (debugging("evaluations")) tell(plan, walk.count);
    const storages = plan.run(walk.leaves, values);
    const { nodes, rootCount } = walk;
    const { results, kept, fused } = plan;
    for (let i = 0; i < fused.length; i++) nodes[fused[i]!]!.computed++;
    if (results.length === 1 && storages.length === plan.leafCount + 1 && rootCount === 1) {
      const node = nodes[walk.roots[0]!]!, { slot, offset, strides } = results[0]!;
      if (slot === plan.leafCount) {
        node.finish(storages[slot]!, offset, strides);
        return;
      }
    }
    // Leaves must outlive the moment in which their last reader lets go of them while another root still views them.
    for (let i = 0; i < storages.length; i++) storages[i]!.hold();
    for (let i = 0; i < results.length; i++) {
      const node = nodes[i < rootCount ? walk.roots[i]! : kept[i - rootCount]!]!;
      if (node.storage !== null || isDisposed(node)) continue;
      const { slot, offset, strides } = results[i]!;
      const base = slot < plan.leafCount ? walk.leaves[slot]!.offset : 0;
      node.finish(storages[slot]!, base + offset, strides);
    }
    for (let i = 0; i < storages.length; i++) storages[i]!.drop();
  } finally {
    walk.clear();
  }
}

/** Milliseconds that the first plan of a program takes, and what is left of them for small graphs that come again. */
const PLANNING = 5;
let left = PLANNING;

/**
 * Computes the walk without a plan, where it is small: what comes for the first time may never come again, and what comes again does so
 * until it has taken as long as the first plan does.
 */
function interpreted(device: Device, again: boolean): boolean {
  if (!again) return interpret(walk, device);
  if (left <= 0) return false;
  const start = performance.now(), done = interpret(walk, device);
  left -= performance.now() - start;
  return done;
}

function tell(plan: Plan, nodes: number): void {
  const bytes = plan.sizes.reduce((a, b) => a + b, 0);
  debug("evaluations", `evaluate: ${nodes} nodes, ${plan.steps.length} launches, ${bytes} + ${plan.temporary} bytes`);
  for (const { kernel, routine } of plan.steps) {
    debug(
      "kernels",
      () => kernel ? `${kernel.kind} ${kernel.key} ${kernel.comment}` : `${routine!.name} ${routine!.comment}`,
    );
  }
}

function planOf(device: Device, copy: boolean): Plan {
  return planCache(device).get(walk) ?? planned(device, copy);
}

/** A new plan of the walk. */
function planned(device: Device, copy: boolean): Plan {
  const plan = makePlan(simplify(walk, device.traits), device, walk.leafCount, copy);
  left = 0;
  planCache(device).set(walk, plan);
  return plan;
}

function valueOf(node: Node): Scalar {
  return (node.prim!.lower as Lowering<unknown> & { as: "scalar" }).value(node.params);
}

context.evaluate = evaluate;

/**
 * A node's value in C order: the node itself if it is, else a finished copy.
 *
 * @param node any node with a value; it is computed if it is pending
 */
export function contiguous(node: Node): Node {
  evaluate([node]);
  if (isContiguous(node.shape, node.strides)) return node;
  try {
    walk.run([node], true);
    const [storage] = planOf(node.device, true).run(walk.leaves, []).slice(-1);
    return leaf(node, node.device, storage!, 0, contiguousStrides(node.shape));
  } finally {
    walk.clear();
  }
}

/**
 * Copies a finished value in C order into memory that is there.
 *
 * @param offset the element of the storage where it begins
 */
export function copyInto(node: Node, storage: Storage, offset: number): void {
  if (node.size === 0) return;
  try {
    walk.run([node], true);
    planOf(node.device, true).run(walk.leaves, [], [{ storage, offset }]);
  } finally {
    walk.clear();
  }
}

/**
 * The bytes of a value in C order; waits for them. Complex elements are re then im, bfloat16 its bits, bool 0 or 1.
 *
 * @throws TracerError for a traced value, DisposedError after dispose()
 */
export function readBytes(node: Node): Uint8Array<ArrayBuffer> {
  const x = contiguous(node);
  const size = itemsize(x.dtype);
  try {
    return x.device.read(x.storage!.buffer, x.offset * size, x.size * size);
  } finally {
    if (x !== node) x.hold().drop();
  }
}

/** Gives a function the elements of a value in C order, where they lie if the host can look there, and the position of the first. */
function look<T>(node: Node, use: (data: TypedArray, first: number) => T): T {
  const { device, dtype } = node;
  if (device.elements === undefined) return use(asElements(readBytes(node), dtype), 0);
  const x = contiguous(node);
  try {
    const { data, first } = device.elements(x.storage!.buffer, dtype);
    return use(data, first + x.offset);
  } finally {
    if (x !== node) x.hold().drop();
  }
}

/** Up to so many bytes elements are copied by a typed array's own method; memory for more is worth asking the device for. */
const FEW = 1 << 20;

/** The elements of a value in C order, as `readBytes` reads them, in a typed array of its own. */
export function readData(node: Node): TypedArray {
  const { size, dtype } = node, { components, itemsize } = dtypeInfo(dtype);
  if (size * itemsize > FEW) return asElements(readBytes(node), dtype);
  return look(node, (data, first) => data.slice(first * components, (first + size) * components));
}

/** The elements of a value as nested lists. */
export function readNested(node: Node): Nested {
  return look(node, (data, first) => asNested(data, node.dtype, node.shape, first));
}

/** The element of a value that has but one, as `readBytes` reads it. */
export function readElement(node: Node): Element {
  const { device, dtype } = node;
  if (device.elements === undefined) return elementAt(readData(node), dtype, 0);
  evaluate([node]);
  const { data, first } = device.elements(node.storage!.buffer, dtype);
  return elementAt(data, dtype, first + node.offset);
}

/** Like `readBytes`, without blocking the event loop. */
export async function readBytesAsync(node: Node): Promise<Uint8Array<ArrayBuffer>> {
  const { device } = node;
  const x = (device.defer === undefined ? contiguous(node) : device.defer(() => contiguous(node))).hold();
  const size = itemsize(x.dtype);
  try {
    return await x.device.readAsync(x.storage!.buffer, x.offset * size, x.size * size);
  } finally {
    x.drop();
  }
}

/**
 * A finished node with a copy of host bytes in C order.
 *
 * @throws DeviceError if the bytes are not as many as the shape and dtype need; OutOfMemoryError
 */
export function fromBytes(bytes: Uint8Array, shape: readonly number[], dtype: DType, device: Device): Node {
  const length = sizeOf(shape) * itemsize(dtype);
  if (bytes.byteLength !== length) {
    throw new DeviceError(
      `fromBytes: expected ${length} bytes for shape [${shape.join(", ")}] of ${dtype}, got ${bytes.byteLength}`,
    );
  }
  const buffer = device.allocate(length);
  try {
    device.write(buffer, 0, bytes);
  } catch (error) {
    buffer.release();
    throw error;
  }
  return leaf({ shape, dtype }, device, new Storage(buffer), 0, contiguousStrides(shape));
}

/**
 * A finished node with a copy of a value on another device: straight where both are of one type, else through the host.
 *
 * @throws TracerError for a traced value, DisposedError after dispose(), OutOfMemoryError
 */
export function copyToDevice(node: Node, device: Device): Node {
  if (device.copy === undefined || device.type !== node.device.type) {
    return fromBytes(readBytes(node), node.shape, node.dtype, device);
  }
  const x = contiguous(node), size = itemsize(x.dtype);
  try {
    const buffer = device.allocate(x.size * size);
    try {
      device.copy(buffer, 0, x.storage!.buffer, x.offset * size, x.size * size);
    } catch (error) {
      buffer.release();
      throw error;
    }
    return leaf(node, device, new Storage(buffer), 0, contiguousStrides(node.shape));
  } finally {
    if (x !== node) x.hold().drop();
  }
}

/** A traced graph that is ready to run. */
export interface CompiledGraph {
  /**
   * Runs the graph.
   *
   * @param inputs values for the placeholders, in their order; pending ones are computed first, plain numbers are not stored
   * @param into memory for outputs, which is used where an output lies in memory of its own
   * @returns finished nodes, one for each output; an output that is an input's value shares its memory
   */
  run(inputs: readonly Node[], into?: readonly (Target | null)[]): Node[];
  /** How many plans were made: one for each combination of strides that came. */
  readonly plans: number;
  /** Lets go of the arrays the graph closed over. */
  dispose(): void;
}

/**
 * Plans a traced graph once.
 *
 * @param outputs nodes that depend on the placeholders, and on finished or pending nodes from outside, which are constants
 * @param inputs the placeholders
 * @throws TracerError if an output depends on a placeholder that is not among the inputs
 */
export function compilePlan(outputs: readonly Node[], inputs: readonly Node[]): CompiledGraph {
  return new Compiled(outputs, inputs);
}

/** A plan for inputs that lie in one way, with what its runs are given: the first leaves and the last numbers are the inputs'. */
interface Variant {
  readonly plan: Plan;
  readonly leaves: Node[];
  readonly scalars: Scalar[];
  /** How many numbers are the graph's own. */
  readonly own: number;
}

class Compiled implements CompiledGraph {
  #outputs: readonly Node[];
  #inputs: readonly Node[];
  #device: Device | null;
  #variants = new Map<string, Variant>();
  #constants: Node[] | null = null;

  constructor(outputs: readonly Node[], inputs: readonly Node[]) {
    this.#outputs = outputs.map((node) => node.hold());
    this.#inputs = inputs.map((node) => node.hold());
    this.#device = (outputs[0] ?? inputs[0])?.device ?? null;
  }

  get plans(): number {
    return this.#variants.size;
  }

  run(inputs: readonly Node[], into: readonly (Target | null)[] | null = null): Node[] {
    if (this.#outputs.length === 0) return [];
    if (inputs.length !== this.#inputs.length) {
      throw new TypeError(`run: expected ${this.#inputs.length} inputs, got ${inputs.length}`);
    }
    const { plan, leaves, scalars, own } = this.#variant(inputs);
    let extra = own;
    for (let i = 0; i < inputs.length; i++) {
      const node = inputs[i]!;
      leaves[i] = node;
      if (node.storage === null) scalars[extra++] = valueOf(node);
    }
    const targets = into === null ? null : targetsOf(plan, this.#outputs, into);
    const storages = plan.run(leaves, scalars, targets);
    const outputs = this.#outputs;
    const out = new Array<Node>(outputs.length);
    for (let i = 0; i < outputs.length; i++) {
      const { slot, offset, strides } = plan.results[i]!;
      const base = slot < plan.leafCount ? leaves[slot]!.offset : targets?.[slot - plan.leafCount]?.offset ?? 0;
      const node = leaf(outputs[i]!, plan.device, storages[slot]!, base + offset, strides);
      node.weak = outputs[i]!.weak;
      out[i] = node;
    }
    for (let i = 0; i < inputs.length; i++) leaves[i] = unused;
    return out;
  }

  /** The plan for inputs that lie like these; pending ones are computed. */
  #variant(inputs: readonly Node[]): Variant {
    for (let i = 0; i < inputs.length; i++) {
      if (inputs[i]!.storage === null && !isNumber(inputs[i]!)) {
        evaluate(inputs.filter((node) => !isNumber(node)));
        break;
      }
    }
    let key = "";
    for (let i = 0; i < inputs.length; i++) {
      const { storage, shape, strides } = inputs[i]!;
      if (storage === null) key += `${i};`;
      else if (!isContiguous(shape, strides)) key += `${i}:${strides.join()};`;
    }
    return this.#variants.get(key) ?? this.#make(key, inputs);
  }

  dispose(): void {
    for (const node of this.#outputs) node.drop();
    for (const node of this.#inputs) node.drop();
    for (const node of this.#constants ?? []) node.drop();
    this.#outputs = this.#inputs = [];
    this.#constants = null;
    for (const { plan } of this.#variants.values()) plan.dispose();
    this.#variants.clear();
  }

  #make(key: string, inputs: readonly Node[]): Variant {
    const own = new Walk();
    const positions = new Map(this.#inputs.map((node, i) => [node, i]));
    if (this.#constants === null) {
      this.#constants = outerNodes(this.#outputs, positions);
      for (const node of this.#constants) node.hold();
      evaluate(this.#constants);
    }
    own.run(this.#outputs, false, positions);
    const views = inputs.map(({ storage, shape, strides }) => storage === null ? null : { shape, strides, offset: 0 });
    // Nothing inside a trace can be asked for from outside.
    for (let i = 0; i < own.count; i++) own.flags[i]! &= flags.root;
    const device = this.#device!, graph = simplify(own, device.traits, views);
    const plan = makePlan(graph, device, own.leafCount);
    plan.record();
    const variant = {
      plan,
      leaves: own.leaves,
      scalars: own.scalars.slice(0, own.scalarCount).map(valueOf),
      own: own.scalarCount,
    };
    if (this.#variants.size >= 16) {
      const [oldest, { plan }] = this.#variants.entries().next().value!;
      this.#variants.delete(oldest);
      plan.dispose();
    }
    this.#variants.set(key, variant);
    return variant;
  }
}

/** By result slot the memory for outputs that fill it. */
function targetsOf(plan: Plan, outputs: readonly Node[], into: readonly (Target | null)[]): (Target | null)[] {
  const { sizes, leafCount, results } = plan;
  const targets = new Array<Target | null>(sizes.length).fill(null);
  for (let i = 0; i < into.length; i++) {
    const { slot, offset, strides } = results[i]!;
    const at = slot - leafCount;
    if (into[i] === null || at < 0 || targets[at] !== null || offset !== 0) continue;
    const { shape, size, dtype } = outputs[i]!;
    if (size * itemsize(dtype) === sizes[at] && isContiguous(shape, strides)) targets[at] = into[i]!;
  }
  return targets;
}

/** Whether a node is a plain number that was not stored. */
function isNumber(node: Node): boolean {
  return node.storage === null && node.prim?.name === "scalar";
}

const unused = undefined as unknown as Node;

/** Nodes from outside a trace that it reads: finished ones, and pending ones that no placeholder reaches. */
function outerNodes(outputs: readonly Node[], inputs: ReadonlyMap<Node, number>): Node[] {
  const found: Node[] = [];
  const seen = new Set<Node>(outputs);
  const stack = [...outputs];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (inputs.has(node)) continue;
    if (!node.symbolic) {
      if (node.prim === null || !isConstant(node)) found.push(node);
      continue;
    }
    if (node.prim?.name === "placeholder") throw new TracerError(tracerText);
    for (const x of node.inputs) {
      if (!seen.has(x)) {
        seen.add(x);
        stack.push(x);
      }
    }
  }
  return found;
}

/** Whether a node is cheap to keep as an expression: a plain number, an iota, or moves of these. */
function isConstant(node: Node): boolean {
  let x = node;
  while (x.prim?.lower.as === "view") x = x.inputs[0]!;
  return x.prim?.lower.as === "scalar" || x.prim?.lower.as === "iota";
}
