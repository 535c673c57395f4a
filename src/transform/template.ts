/**
 * Graphs for any size: what several traces of one function, made with different lengths of the axes that are unknown, have in common.
 * Numbers in which they differ (shapes, starts, counts) are functions of the lengths, found from some of the traces and checked
 * against the others. A graph of other lengths is then made without the user's function.
 *
 * Lengths 0 and 1 are left out (axes of length 1 broadcast), as are axes that happen to have one length: these are taken for one
 * unknown. PyTorch's dynamic shapes are specialised by the same rules.
 * @module
 */
import { sameShape, type Shape } from "../base/shape.ts";
import { isBranch } from "../base/tree.ts";
import type { Primitive } from "../core/primitive.ts";
import type { PrimitiveParams } from "../core/registry.ts";
import { bind, isDisposed, type Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import type { Argument, Captured } from "./capture.ts";
import { readBytes } from "./evaluate.ts";
import { Program } from "./program.ts";
import type { Graph } from "./replay.ts";
import { bindControl, isControl } from "./several.ts";
import { runTrace } from "./tracing.ts";
import { samePlace } from "./variable.ts";

/** Something that depends on the unknown lengths. */
type General<T> = (lengths: readonly number[]) => T;

/** Lengths with which functions are traced to find out: corners to calculate from, and others to check. */
const LOW = [6, 10, 15], HIGH = [1021, 523, 263], CHECK = [35, 77, 143];

/** Most unknown lengths at once. */
export const MAX_UNKNOWN: number = LOW.length;

/** The lengths to trace with: corners first. */
export function probes(count: number): number[][] {
  const corners = Array.from(
    { length: 2 ** count },
    (_, bits) => Array.from({ length: count }, (_, k) => bits >> k & 1 ? HIGH[k]! : LOW[k]!),
  );
  return [...corners, CHECK.slice(0, count)];
}

/** Thrown where traces have no common form. */
class Mismatch extends Error {}

/** A trace, and the lengths it was made with. */
export interface Sample<T> {
  readonly lengths: readonly number[];
  readonly captured: Captured<T>;
}

/** A function for any lengths. */
export class Template<T> {
  readonly #first: Captured<T>;
  readonly #graph: GeneralGraph;

  private constructor(first: Captured<T>, graph: GeneralGraph) {
    this.#first = first;
    this.#graph = graph;
  }

  /**
   * What traces have in common.
   * @param samples those of `probes` first
   * @param same whether what two traces gave besides arrays is the same
   * @returns null if they cannot be brought into one form
   */
  static of<T>(samples: readonly Sample<T>[], same: (a: T, b: T) => boolean): Template<T> | null {
    const first = samples[0]!.captured;
    const alike = <X>(list: (c: Captured<T>) => readonly X[]) =>
      samples.every(({ captured }) => {
        const a = list(first), b = list(captured);
        return a.length === b.length && a.every((x, i) => x === b[i]);
      });
    if (!alike((c) => c.cells) || !alike((c) => c.written) || !alike((c) => c.keys)) return null;
    if (samples.some(({ captured: c }) => c.count !== first.count || !same(c.rest, first.rest))) return null;
    try {
      const fit = new Fit(samples.map(({ lengths }) => lengths));
      return new Template(first, fit.graph(samples.map(({ captured }) => captured.graph)));
    } catch (error) {
      if (error instanceof Mismatch) return null;
      throw error;
    }
  }

  /**
   * The function traced with other lengths.
   * @param args what its arguments are
   * @returns null where a number would not be whole, or shapes do not fit
   */
  make(args: readonly Argument[], lengths: readonly number[]): Captured<T> | null {
    const { cells, keys } = this.#first;
    try {
      const { graph } = runTrace("function", (trace) => {
        const inputs = [
          ...args.map((arg) => trace.placeholder(arg, arg.device, arg.weak)),
          ...cells.map((cell) => trace.placeholder(cell, cell.device)),
          ...keys.flatMap((device) => [0, 1].map(() => trace.placeholder({ shape: [], dtype: "uint32" }, device))),
        ];
        return { inputs, outputs: this.#graph.bind(inputs, lengths) };
      });
      return { ...this.#first, graph };
    } catch (error) {
      // The user's function tells what is wrong, or does something else with these lengths.
      if (error instanceof Mismatch || error instanceof TypeError || error instanceof RangeError) return null;
      throw error;
    }
  }
}

/** A primitive of a general graph. */
interface GeneralStep {
  readonly prim: Primitive;
  readonly params: General<unknown>;
  readonly inputs: readonly number[];
  readonly device: Device;
  readonly weak: boolean;
  /** The shape of its result in a trace. */
  readonly sample: Shape;
  readonly reaches: readonly Reach[];
}

/** How far known indices go along an axis of what they index: the traces checked that for their own lengths only. */
interface Reach {
  readonly axis: number;
  readonly low: bigint;
  readonly high: bigint;
}

/** The reaches of a step's indices that are constants. */
function reachesOf(prim: Primitive, params: unknown, indexed: readonly (Node | undefined)[]): Reach[] {
  if (prim.kind !== "index") return [];
  const { axes } = params as PrimitiveParams["gather"];
  const indices = indexed.slice(-axes.length);
  return axes.flatMap((axis, k) => {
    const node = indices[k];
    if (node === undefined || node.size === 0) return [];
    let [low, high] = [0n, 0n];
    for (const n of new BigInt64Array(readBytes(node).slice().buffer)) {
      if (n < low) low = n;
      if (n > high) high = n;
    }
    return [{ axis, low, high }];
  });
}

/** A graph for any lengths. */
class GeneralGraph {
  readonly #constants: readonly Node[];
  readonly #steps: readonly GeneralStep[];
  readonly #results: readonly number[];

  constructor(constants: readonly Node[], steps: readonly GeneralStep[], results: readonly number[]) {
    this.#constants = constants.map((node) => node.hold());
    this.#steps = steps;
    this.#results = results;
  }

  bind(inputs: readonly Node[], lengths: readonly number[]): Node[] {
    const values = [...inputs, ...this.#constants];
    for (const { prim, params, inputs, device, weak, sample, reaches } of this.#steps) {
      for (const { axis, low, high } of reaches) {
        const n = values[inputs[0]!]!.shape[axis]!;
        if (low < -n || high >= n) throw new Mismatch();
      }
      const add = isControl(prim) ? bindControl : bind;
      const node = add(prim, inputs.map((slot) => values[slot]!), params(lengths), device);
      // Lengths of 0 and 1 have rules of their own, also where they follow from others.
      if (node.shape.some((n, d) => n <= 1 && sample[d]! > 1)) throw new Mismatch();
      if (weak) node.weak = true;
      values.push(node);
    }
    return this.#results.map((slot) => values[slot]!);
  }
}

/** Finds what things are as functions of the lengths at which they are known. */
class Fit {
  readonly #points: readonly (readonly number[])[];
  readonly #corners: number;

  constructor(points: readonly (readonly number[])[]) {
    this.#points = points;
    this.#corners = 2 ** points[0]!.length;
  }

  graph(graphs: readonly Graph[]): GeneralGraph {
    const first = graphs[0]!;
    for (const { inputs, constants, steps, results } of graphs) {
      if (inputs.length !== first.inputs.length || steps.length !== first.steps.length) throw new Mismatch();
      if (!sameShape(results, first.results)) throw new Mismatch();
      if (constants.length !== first.constants.length) throw new Mismatch();
      if (!constants.every((node, i) => sameConstant(node, first.constants[i]!))) throw new Mismatch();
    }
    const steps = first.steps.map(({ prim, inputs, device, weak, shape }, i): GeneralStep => {
      const all = graphs.map(({ steps }) => steps[i]!);
      for (const step of all) {
        if (step.prim !== prim || step.device !== device || step.weak !== weak) throw new Mismatch();
        if (!sameShape(step.inputs, inputs)) throw new Mismatch();
      }
      const reaches = reachesOf(
        prim,
        all[0]!.params,
        inputs.map((slot) => first.constants[slot - first.inputs.length]),
      );
      return {
        prim,
        params: this.value(all.map(({ params }) => params)),
        inputs,
        device,
        weak,
        sample: shape,
        reaches,
      };
    });
    return new GeneralGraph(first.constants, steps, first.results);
  }

  value(values: readonly unknown[]): General<unknown> {
    const first = values[0];
    if (values.every((v) => Object.is(v, first) || samePlace(v, first))) return () => first;
    if (values.every((v) => typeof v === "number")) return this.number(values);
    if (values.every((v) => typeof v === "bigint")) {
      const general = this.number(values.map(Number));
      return (lengths) => BigInt(general(lengths));
    }
    if (values.every((v) => v instanceof Program)) return this.program(values);
    if (!values.every(isBranch)) throw new Mismatch();
    const keys = Object.keys(first as object);
    if (values.some((v) => Array.isArray(v) !== Array.isArray(first) || !sameKeys(Object.keys(v), keys))) {
      throw new Mismatch();
    }
    const parts = keys.map((key) => this.value(values.map((v) => (v as { readonly [key: string]: unknown })[key])));
    if (Array.isArray(first)) return (lengths) => parts.map((part) => part(lengths));
    return (lengths) => Object.fromEntries(keys.map((key, i) => [key, parts[i]!(lengths)]));
  }

  program(programs: readonly Program[]): General<Program> {
    const graph = this.graph(programs.map((p) => p.graph));
    const inputs = programs[0]!.inputs.map((_, i) => {
      const all = programs.map((p) => p.inputs[i]!);
      const { dtype, device, weak } = all[0]!;
      if (all.some((x) => x.dtype !== dtype || x.device !== device)) throw new Mismatch();
      const shape = this.value(all.map((x) => x.shape)) as General<readonly number[]>;
      return (lengths: readonly number[]): Argument => ({ shape: shape(lengths), dtype, device, weak });
    });
    return (lengths) => new Program(inputs.map((x) => x(lengths)), (nodes) => graph.bind(nodes, lengths));
  }

  /** Linear in each length, or one through such a number. */
  number(values: readonly number[]): General<number> {
    const whole = values.every(Number.isInteger);
    const direct = this.#linear(values);
    if (this.#fits(direct, values)) {
      if (!whole) return direct;
      return (lengths) => {
        const n = direct(lengths);
        if (!Number.isInteger(n)) throw new Mismatch();
        return n;
      };
    }
    const inverse = this.#linear(values.map((v) => 1 / v));
    const quotient = (lengths: readonly number[]) => 1 / inverse(lengths);
    if (!whole && this.#fits(quotient, values)) return quotient;
    throw new Mismatch();
  }

  #fits(general: General<number>, values: readonly number[]): boolean {
    return values.every((v, i) => Math.abs(general(this.#points[i]!) - v) <= 1e-12 * Math.abs(v));
  }

  /** The function that is linear in each length and has these values at the corners. */
  #linear(values: readonly number[]): General<number> {
    const count = this.#points[0]!.length;
    // Coefficients of the products of lengths, from the values by one length after the other.
    const c = values.slice(0, this.#corners);
    for (let k = 0; k < count; k++) {
      const bit = 1 << k;
      for (let i = 0; i < c.length; i++) {
        if (i & bit) continue;
        const slope = snap((c[i | bit]! - c[i]!) / (HIGH[k]! - LOW[k]!));
        c[i] = snap(c[i]! - slope * LOW[k]!);
        c[i | bit] = slope;
      }
    }
    return (lengths) => {
      let sum = 0;
      for (let i = 0; i < c.length; i++) {
        let term = c[i]!;
        for (let k = 0; k < count; k++) if (i >> k & 1) term *= lengths[k]!;
        sum += term;
      }
      return snap(sum);
    };
  }
}

/** A number that is whole but for rounding. */
function snap(x: number): number {
  const n = Math.round(x);
  return Math.abs(x - n) <= 1e-9 * Math.max(1, Math.abs(n)) ? n : x;
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i]);
}

/** Most bytes of constants that are compared by what they hold. */
const COMPARED = 1 << 16;

/** Whether what two traces closed over is one array, or two with the same small content. */
function sameConstant(a: Node, b: Node): boolean {
  if (a === b) return !a.symbolic;
  if (
    a.symbolic || b.symbolic || isDisposed(a) || isDisposed(b) || a.device !== b.device || a.dtype !== b.dtype ||
    !sameShape(a.shape, b.shape)
  ) return false;
  if (a.size > COMPARED / 16) return false;
  const x = readBytes(a), y = readBytes(b);
  return x.every((byte, i) => byte === y[i]);
}
