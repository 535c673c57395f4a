/**
 * Reverse-mode differentiation: a tape records the primitives bound while it runs, as far as they depend on what it watches, and
 * is swept backwards with the primitives' vjp rules. The rules bind primitives themselves, so outer tapes record them: gradients of
 * gradients need nothing more.
 *
 * Source: the tape of TensorFlow's eager mode (A. Agrawal et al., TensorFlow Eager, 2019).
 * @module
 */
import { isComplex, isInexact } from "../base/dtype.ts";
import { ShapeError, TracerError } from "../base/errors.ts";
import { formatShape, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Primitive } from "../core/primitive.ts";
import { context, isDisposed, type Node, type Recorder } from "../core/trace.ts";
import { vectorize } from "./batch.ts";
import { type Bound, Log } from "./log.ts";
import { recall } from "./recall.ts";
import { pickedIndex } from "./several.ts";
import { tidy } from "./tracing.ts";
import { assignedCell, Cell } from "./variable.ts";

/** What a gradient is taken with respect to: a node, or a variable. */
export type Source = Node | Cell;

/** What is given for a source that the target does not depend on. */
export type Unconnected = "none" | "zero";

/** Settings of a tape. */
export interface TapeOptions {
  /** Whether more than one gradient may be taken. */
  readonly persistent?: boolean;
  /** Whether trainable variables are watched when they are read. */
  readonly watchVariables?: boolean;
}

/** A tape; it records from its construction until it is stopped. */
export class Tape implements Recorder {
  readonly persistent: boolean;
  readonly #watchVariables: boolean;
  /** How many traces it lies in: what belongs to a trace further in is none of its business. */
  readonly #level: number;
  readonly #log = new Log();
  #recording = false;
  #paused = 0;
  #spent = false;

  constructor(options: TapeOptions = {}) {
    this.persistent = options.persistent ?? false;
    this.#watchVariables = options.watchVariables ?? true;
    this.#level = context.traces.length;
    this.start();
  }

  get recording(): boolean {
    return this.#recording && this.#paused === 0;
  }

  get active(): boolean {
    return this.#recording;
  }

  /** Records from now on. */
  start(): void {
    if (this.#recording) return;
    this.#recording = true;
    context.recorders = [...context.recorders, this];
  }

  /** Records no more; what was recorded stays. */
  stop(): void {
    if (!this.#recording) return;
    this.#recording = false;
    context.recorders = context.recorders.filter((recorder) => recorder !== this);
  }

  /** Forgets everything. */
  reset(): void {
    this.#log.release();
    this.#spent = false;
  }

  /** Stops and forgets everything. */
  dispose(): void {
    this.stop();
    this.#log.release();
    this.#spent = true;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Runs a function unseen. */
  pause<T>(fn: () => T): T {
    this.#paused++;
    try {
      return fn();
    } finally {
      this.#paused--;
    }
  }

  record(node: Node, prim: Primitive, inputs: readonly Node[], params: unknown): void {
    if (!this.recording || !isInexact(node.dtype)) return;
    if (prim.vjp === null) {
      const variable = assignedCell(prim, params);
      if (variable !== null) this.read(variable, node);
      return;
    }
    const log = this.#log;
    for (let i = 0; i < inputs.length; i++) {
      const x = inputs[i]!;
      if (log.placeOf(x) < 0 || !isInexact(x.dtype)) continue;
      if (node.trace === null || node.trace.level <= this.#level) log.add({ node, prim, inputs, params });
      return;
    }
  }

  read(variable: object, node: Node): void {
    if (!this.recording || !isInexact(node.dtype) || (node.trace?.level ?? 0) > this.#level) return;
    const { reads } = this.#log;
    // Once watched by hand, a variable is followed through every later reading too.
    const wanted = this.#watchVariables && variable instanceof Cell && variable.trainable;
    if (!wanted && !reads.has(variable)) return;
    this.#note(variable, node);
  }

  watches(node: Node): boolean {
    return this.recording && this.#log.placeOf(node) >= 0;
  }

  /** Follows a node or a variable from now on. @throws TypeError unless it is floating or complex; Error for a tape that has ended */
  watch(source: Source): void {
    this.#checkUnspent("watch");
    const node = source instanceof Cell ? source.read() : source;
    if (!isInexact(node.dtype)) {
      throw new TypeError(`watch: gradients exist for floating and complex arrays only, got dtype ${node.dtype}`);
    }
    if (source instanceof Cell) this.#note(source, node);
    else this.#log.watch(node);
  }

  /** The variables that were read while it recorded, in the order of their first reading. */
  variables(): object[] {
    return [...this.#log.reads.keys()];
  }

  #note(variable: object, node: Node): void {
    this.#log.watch(node);
    const reads = this.#log.reads.get(variable);
    if (reads === undefined) this.#log.reads.set(variable, new Set([node]));
    else reads.add(node);
  }

  /**
   * The gradient of the sum of targets.
   *
   * @param targets nodes; those that are not floating or complex have none
   * @param sources what to differentiate by
   * @param seeds one cotangent a target, of its shape; null for ones
   * @param unconnected what is given for a source on which no target depends
   * @returns one node a source, of its shape and dtype, or null
   * @throws Error for a second gradient of a tape that is not persistent; ShapeError for a seed of another shape
   */
  gradient(
    targets: readonly Node[],
    sources: readonly Source[],
    seeds: readonly (Node | null)[] | null = null,
    unconnected: Unconnected = "none",
  ): (Node | null)[] {
    return this.#use(
      "gradient",
      [0, Number(unconnected === "zero")],
      targets,
      sources,
      seeds,
      () => this.#sweep("gradient", targets, sources, seeds, unconnected),
    );
  }

  /**
   * The derivatives of every element of the target.
   *
   * @param target a node of shape [...T]
   * @param sources nodes of shapes [...S]
   * @param chunk how many rows are computed at once; all of them if null
   * @returns one node a source, of shape [...T, ...S], or null
   */
  jacobian(
    target: Node,
    sources: readonly Source[],
    unconnected: Unconnected = "none",
    chunk: number | null = null,
  ): (Node | null)[] {
    return this.#use("jacobian", [1, Number(unconnected === "zero"), chunk ?? 0], [target], sources, null, () => {
      const rows = (start: number, count: number): Node =>
        ops.reshape(unitRows(target, target.size, start, count), [count, ...target.shape]);
      const grads = this.#rows("jacobian", target, sources, target.size, rows, chunk);
      return grads.map((g, i) => {
        const shape = [...target.shape, ...shapeOf(sources[i]!)];
        return g === null ? missing(sources[i]!, shape, unconnected) : ops.reshape(g, shape);
      });
    });
  }

  /**
   * The Jacobian of each example: target[b] must depend on source[b] only.
   *
   * @param target a node of shape [B, ...T]
   * @param source a node of shape [B, ...S]
   * @returns a node of shape [B, ...T, ...S], or null
   * @throws ShapeError where the first axes differ or are missing
   */
  batchJacobian(
    target: Node,
    source: Source,
    unconnected: Unconnected = "none",
    chunk: number | null = null,
  ): Node | null {
    const from = shapeOf(source);
    const [size, ...inner] = target.shape;
    if (size === undefined || from[0] !== size) {
      throw new ShapeError(
        `batch_jacobian: target and source must have the same first axis, got shapes ${formatShape(target.shape)} and ${
          formatShape(from)
        }`,
      );
    }
    const kind = [2, Number(unconnected === "zero"), chunk ?? 0];
    const [result] = this.#use("batch_jacobian", kind, [target], [source], null, () => {
      const columns = inner.reduce((a, b) => a * b, 1);
      const rows = (start: number, count: number): Node => {
        const units = ops.reshape(unitRows(target, columns, start, count), [count, 1, ...inner]);
        return ops.broadcast(units, [count, size, ...inner]);
      };
      const [g] = this.#rows("batch_jacobian", target, [source], columns, rows, chunk);
      const shape = [size, ...inner, ...from.slice(1)];
      if (g === null || g === undefined) return [missing(source, shape, unconnected)];
      const perm = g.shape.map((_, i) => i === 0 ? 1 : i === 1 ? 0 : i);
      return [ops.reshape(ops.transpose(g, perm), shape)];
    });
    return result ?? null;
  }

  /** The gradients for many seeds at once, stacked along a new first axis. */
  #rows(
    name: string,
    target: Node,
    sources: readonly Source[],
    count: number,
    rows: (start: number, count: number) => Node,
    chunk: number | null,
  ): (Node | null)[] {
    let connected: boolean[] = [];
    const part = (start: number, count: number): Node[] =>
      vectorize(
        ([seed]) => {
          const grads = this.#sweep(name, [target], sources, [seed!], "none");
          connected = grads.map((g) => g !== null);
          return grads.filter((g) => g !== null);
        },
        [{ node: rows(start, count), batched: true }],
        count,
        "pullback",
      ).map(({ node, batched }) => batched ? node : ops.broadcast(node, [count, ...node.shape]));
    const step = Math.max(1, chunk ?? count);
    const parts: Node[][] = [];
    for (let start = 0; start < Math.max(count, 1); start += step) {
      parts.push(part(start, Math.min(step, count - start)));
    }
    let next = 0;
    return connected.map((there) => {
      if (!there) return null;
      const i = next++;
      return ops.concatenate(parts.map((nodes) => nodes[i]!), 0);
    });
  }

  /** Runs a sweep: unseen by this tape unless it is persistent, and once only unless it is persistent. */
  #use(
    name: string,
    kind: readonly number[],
    targets: readonly Node[],
    sources: readonly Source[],
    seeds: readonly (Node | null)[] | null,
    fn: () => readonly (Node | null)[],
  ): (Node | null)[] {
    this.#checkUnspent(name);
    const log = this.#log;
    const places = sources.map((source) => this.#placesOf(source));
    const answer = () => recall(log, { kind, targets, seeds, sources, places }, () => tidy(fn));
    if (this.persistent) return [...answer()];
    this.stop();
    this.#spent = true;
    try {
      const result = answer();
      for (const node of result) node?.hold();
      log.release();
      for (const node of result) if (node !== null) node.holders--;
      return [...result];
    } finally {
      log.release();
    }
  }

  #checkUnspent(name: string): void {
    if (!this.#spent) return;
    throw new Error(
      `${name}: the tape was used up; a tape gives one gradient unless it is made with { persistent: true }, and none after its end`,
    );
  }

  /** The places of a source: of a variable, one for each value with which it was read. */
  #placesOf(source: Source): readonly number[] {
    const log = this.#log;
    if (source instanceof Cell) return [...(log.reads.get(source) ?? [])].map((node) => log.placeOf(node));
    const place = log.placeOf(source);
    return place < 0 ? [] : [place];
  }

  #sweep(
    name: string,
    targets: readonly Node[],
    sources: readonly Source[],
    seeds: readonly (Node | null)[] | null,
    unconnected: Unconnected,
  ): (Node | null)[] {
    const log = this.#log;
    const places = sources.map((source) => this.#placesOf(source));
    const cotangents = new Cotangents(log, places);
    const given: Node[] = [];
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!;
      if (isDisposed(target)) throw new TracerError(`${name}: target ${i} was disposed`);
      if (!isInexact(target.dtype)) continue;
      const seed = seedOf(name, target, seeds?.[i] ?? null);
      // Control flow computes values on the way.
      given.push(seed.hold());
      cotangents.add(target, seed);
    }
    try {
      cotangents.sweep();
    } finally {
      for (let i = 0; i < given.length; i++) given[i]!.holders--;
    }
    return sources.map((source, i) => {
      let total: Node | null = null;
      for (const place of places[i]!) {
        const g = cotangents.at(place);
        if (g !== null) total = total === null ? g : ops.add(total, g);
      }
      return total ?? missing(source, shapeOf(source), unconnected);
    });
  }
}

/**
 * The gradient of the sum of targets through what is known to have been bound.
 *
 * @param records what was bound, in order
 * @param seeds one cotangent a target
 * @returns one node a source, or null where no target depends on it
 */
export function pullBack(
  records: readonly Bound[],
  sources: readonly Node[],
  targets: readonly Node[],
  seeds: readonly Node[],
): (Node | null)[] {
  const log = new Log();
  try {
    for (const node of sources) log.watch(node);
    for (const record of records) {
      const { node, prim, inputs } = record;
      if (prim.vjp === null || !isInexact(node.dtype)) continue;
      if (inputs.some((x) => log.placeOf(x) >= 0 && isInexact(x.dtype))) log.add(record);
    }
    const places = sources.map((node) => log.placeOf(node));
    const cotangents = new Cotangents(log, places.map((place) => [place]));
    targets.forEach((target, i) => cotangents.add(target, seeds[i]!));
    cotangents.sweep();
    return places.map((place) => cotangents.at(place));
  } finally {
    log.release();
  }
}

const OFF = 0, ON_PATH = 1, SOURCE = 2;

/** The cotangents of what a log follows, by place. */
class Cotangents {
  readonly #log: Log;
  /** What lay in the log at the start: a persistent tape records the sweep too. */
  readonly #entries: readonly Bound[];
  readonly #count: number;
  readonly #roles: number[];
  readonly #values: (Node | null)[];
  /** Of nodes that have several results: one cotangent a result. */
  readonly #several = new Map<Node, (Node | null)[]>();

  constructor(log: Log, sources: readonly (readonly number[])[]) {
    this.#log = log;
    this.#entries = log.entries;
    this.#count = log.entries.length;
    const places = log.nodes.length;
    const roles = this.#roles = new Array<number>(places).fill(OFF);
    this.#values = new Array<Node | null>(places).fill(null);
    for (const list of sources) for (const place of list) roles[place] = SOURCE;
  }

  at(place: number): Node | null {
    return this.#values[place]!;
  }

  /** Adds to the cotangent of a node, if anybody follows it. */
  add(node: Node, g: Node): void {
    const place = this.#log.placeOf(node), values = this.#values;
    if (place < 0 || place >= values.length) return;
    const before = values[place]!;
    values[place] = before === null ? g : ops.add(before, g);
  }

  /** Adds the cotangents of everything between the sources and the nodes that have one already. */
  sweep(): void {
    const log = this.#log, roles = this.#roles, values = this.#values, several = this.#several;
    const path = this.#path();
    for (let i = path.length - 1; i >= 0; i--) {
      const { node, prim, inputs, params } = path[i]!;
      const parts = several.size === 0 ? undefined : several.get(node);
      const place = log.placeOf(node);
      const g = parts?.find((part) => part !== null) ?? values[place]!;
      if (g === null) continue;
      if (roles[place] !== SOURCE) values[place] = null;
      const index = pickedIndex(prim, params);
      if (index !== null) {
        this.#pick(inputs[0]!, index, g);
        continue;
      }
      const needs = new Array<boolean>(inputs.length);
      let needed = false;
      for (let k = 0; k < inputs.length; k++) {
        const x = inputs[k]!;
        needed = (needs[k] = this.#isOn(x) && isInexact(x.dtype)) || needed;
      }
      if (!needed) continue;
      const ctx = { inputs, output: node, params, needs };
      const grads = prim.vjp!(g, parts === undefined ? ctx : { ...ctx, cotangents: parts });
      for (let k = 0; k < inputs.length; k++) {
        const gx = grads[k];
        if (needs[k] && gx !== null && gx !== undefined) this.add(inputs[k]!, likeInput(gx, inputs[k]!));
      }
    }
  }

  #isOn(node: Node): boolean {
    const place = this.#log.placeOf(node);
    // Places beyond the end are of nodes that the sweep made.
    return place >= 0 && place < this.#roles.length && this.#roles[place] !== OFF;
  }

  /** What depends on the sources. */
  #path(): Bound[] {
    const entries = this.#entries, roles = this.#roles;
    const path: Bound[] = [];
    for (let i = 0; i < this.#count; i++) {
      const entry = entries[i]!, { inputs } = entry;
      for (let k = 0; k < inputs.length; k++) {
        if (!this.#isOn(inputs[k]!)) continue;
        const place = this.#log.placeOf(entry.node);
        if (roles[place] === OFF) roles[place] = ON_PATH;
        path.push(entry);
        break;
      }
    }
    return path;
  }

  #pick(whole: Node, index: number, g: Node): void {
    let list = this.#several.get(whole);
    if (list === undefined) this.#several.set(whole, list = []);
    while (list.length <= index) list.push(null);
    const before = list[index]!;
    list[index] = before === null ? g : ops.add(before, g);
  }
}

/** A cotangent summed over the axes along which its input was repeated; the real part where the input is real. */
export function likeInput(g: Node, input: Node): Node {
  let out = g;
  if (!sameShape(out.shape, input.shape)) {
    const extra = out.shape.length - input.shape.length;
    // Over axes of length 1 there is nothing to sum.
    const axes = out.shape.map((_, i) => i).filter((i) =>
      out.shape[i] !== 1 && (i < extra || input.shape[i - extra] === 1)
    );
    out = ops.reshape(ops.sum(out, axes), input.shape);
  }
  if (isComplex(out.dtype) && !isComplex(input.dtype)) out = ops.real(out);
  return ops.cast(out, input.dtype);
}

function seedOf(name: string, target: Node, seed: Node | null): Node {
  if (seed === null) return ops.full(target.shape, 1, target);
  if (!sameShape(seed.shape, target.shape)) {
    throw new ShapeError(
      `${name}: an output gradient of shape ${formatShape(seed.shape)} was given for a target of shape ${
        formatShape(target.shape)
      }`,
    );
  }
  return ops.cast(seed, target.dtype);
}

/** Rows `start` to `start + count` of the identity matrix of `size` columns, in the dtype and on the device of `like`. */
function unitRows(like: Node, size: number, start: number, count: number): Node {
  const row = ops.iota([count, size], 0, "int64", like.device);
  const column = ops.iota([count, size], 1, "int64", like.device);
  const shifted = start === 0 ? row : ops.add(row, ops.full([count, size], BigInt(start), row));
  return ops.cast(ops.equal(shifted, column), like.dtype);
}

function shapeOf(source: Source): readonly number[] {
  return source.shape;
}

function missing(source: Source, shape: readonly number[], unconnected: Unconnected): Node | null {
  if (unconnected === "none") return null;
  return ops.broadcast(ops.scalar(0, source.dtype, source.device), shape);
}
