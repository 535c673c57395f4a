/**
 * Plans: what a graph of one structure launches, where its temporaries lie, and where its results are. A plan holds no
 * arrays; it is made once and run with the leaves and plain numbers of the day.
 * @module
 */
import type { Buffer, Callable, Device, Executable, Recorder } from "../device/device.ts";
import type { Scalar } from "../core/registry.ts";
import { Storage } from "../core/trace.ts";
import type { Kernel, Routine } from "../../kernels/kernel.ts";
import { type ScalarSource, scalarValue } from "./expand.ts";
import { dense, fuse, type Fusion, isHeavy, viewThrough } from "./fuse.ts";
import { lower, type Place, type Work } from "./lower.ts";
import { type Lifetime, planMemory } from "./memory.ts";
import type { GNode, Graph } from "./simplify.ts";
import { itemsize } from "./topo.ts";

/** Memory of a plan by number: leaves, then results, then the block of temporaries; -1 for none. */
type Slot = number;

interface Arg {
  buffer: Buffer | null;
  offset: number;
  readonly strides: readonly number[];
  readonly shape?: readonly number[];
}

interface Ref {
  readonly slot: Slot;
  readonly offset: number;
  /** Reused for every launch; its buffer is set only while the plan runs. */
  readonly arg: Arg;
}

interface Step {
  readonly kernel: Kernel | null;
  readonly routine: Routine | null;
  run: Executable | Callable | null;
  readonly refs: readonly Ref[];
  readonly sources: readonly ScalarSource[];
  readonly scalars: (number | bigint)[];
  /** A Launch or a Call over the args of `refs`. */
  readonly launch: unknown;
}

/** Where a result lies. */
export interface Result {
  readonly slot: Slot;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** A finished array that a plan reads. */
export interface LeafArray {
  readonly storage: Storage | null;
  readonly offset: number;
}

/** Memory for a result: from this element on. */
export interface Target {
  readonly storage: Storage;
  readonly offset: number;
}

/** What a graph of one structure does. */
export class Plan {
  readonly device: Device;
  readonly leafCount: number;
  /** One for each root, then one for each of `kept`. */
  readonly results: readonly Result[];
  /** Positions in the walk of nodes that are not asked for but stored and still held. */
  readonly kept: readonly number[];
  /** Positions of nodes that are computed without being stored. */
  readonly fused: readonly number[];
  readonly steps: readonly Step[];
  /** Bytes of each result that has memory of its own. */
  readonly sizes: readonly number[];
  /** Bytes of the block of temporaries. */
  readonly temporary: number;
  #recorder: Recorder | null = null;

  constructor(device: Device, leafCount: number, parts: Parts) {
    this.device = device;
    this.leafCount = leafCount;
    this.results = parts.results;
    this.kept = parts.kept;
    this.fused = parts.fused;
    this.steps = parts.steps;
    this.sizes = parts.sizes;
    this.temporary = parts.temporary;
  }

  /** Says that the plan comes again and again; a device that can do it all at once does. */
  record(): void {
    this.#recorder ??= this.device.recorder?.() ?? null;
  }

  /** Gives back what is kept for the next run. */
  dispose(): void {
    this.#recorder?.dispose();
    this.#recorder = null;
  }

  /**
   * Runs the plan.
   *
   * @param leaves finished arrays in the order of the plan's leaves; pending where the plan takes a plain number
   * @param values plain numbers in the order of the plan's scalars
   * @param into by result slot: memory to use in place of new memory
   * @returns storages by slot: the leaves' own, then new ones, unheld
   * @throws what allocating and compiling throw; nothing stays allocated then
   */
  run(
    leaves: readonly LeafArray[],
    values: readonly Scalar[],
    into: readonly (Target | null)[] | null = null,
  ): (Storage | null)[] {
    const { device, sizes, leafCount } = this;
    const recorder = this.#recorder;
    const storages = new Array<Storage | null>(leafCount + sizes.length);
    let made = 0, done = false;
    try {
      for (let i = 0; i < leafCount; i++) storages[i] = leaves[i]!.storage;
      for (; made < sizes.length; made++) {
        const target = into === null ? null : into[made]!;
        storages[leafCount + made] = target !== null
          ? target.storage
          : new Storage(recorder === null ? device.allocate(sizes[made]!) : recorder.allocate(made, sizes[made]!));
      }
      if (recorder === null) this.#steps(leaves, storages, values, into);
      else recorder.run(() => this.#steps(leaves, storages, values, into));
      done = true;
    } finally {
      if (!done) {
        for (let i = 0; i < made; i++) if (!into?.[i]) storages[leafCount + i]!.buffer.release();
        for (const { refs } of this.steps) for (const { arg } of refs) arg.buffer = null;
      }
    }
    return storages;
  }

  /** Launches everything, with memory for temporaries meanwhile. */
  #steps(
    leaves: readonly LeafArray[],
    storages: readonly (Storage | null)[],
    values: readonly Scalar[],
    into: readonly (Target | null)[] | null,
  ): void {
    const { steps } = this;
    if (this.temporary === 0) {
      for (let i = 0; i < steps.length; i++) this.#launch(steps[i]!, leaves, storages, values, into, null);
      return;
    }
    const temporary = this.device.allocate(this.temporary);
    try {
      for (let i = 0; i < steps.length; i++) this.#launch(steps[i]!, leaves, storages, values, into, temporary);
    } finally {
      temporary.release();
    }
  }

  #launch(
    step: Step,
    leaves: readonly LeafArray[],
    storages: readonly (Storage | null)[],
    values: readonly Scalar[],
    into: readonly (Target | null)[] | null,
    temporary: Buffer | null,
  ): void {
    const run = step.run ??= step.kernel !== null
      ? this.device.kernel(step.kernel)
      : this.device.routine(step.routine!);
    const { leafCount } = this, { refs, sources, scalars } = step;
    for (let i = 0; i < refs.length; i++) {
      const { slot, offset, arg } = refs[i]!;
      if (slot < 0) continue;
      arg.buffer = slot < storages.length ? storages[slot]!.buffer : temporary;
      arg.offset = slot < leafCount
        ? leaves[slot]!.offset + offset
        : into === null
        ? offset
        : offset + (into[slot - leafCount]?.offset ?? 0);
    }
    for (let i = 0; i < sources.length; i++) {
      const source = sources[i]!;
      if (source.slot >= 0) scalars[i] = scalarOf(source, values[source.slot]!);
    }
    (run as (launch: unknown) => void)(step.launch);
    for (let i = 0; i < refs.length; i++) refs[i]!.arg.buffer = null;
  }
}

function scalarOf(source: ScalarSource & { slot: number; component?: 0 | 1 }, value: Scalar): number | bigint {
  if (typeof value === "object") return source.component === 1 ? value.im : value.re;
  return source.component === 1 ? 0 : scalarValue(source.dtype, value);
}

interface Parts {
  readonly results: readonly Result[];
  readonly kept: readonly number[];
  readonly fused: readonly number[];
  readonly steps: readonly Step[];
  readonly sizes: readonly number[];
  readonly temporary: number;
}

/** Most times a graph is cut anew because something turned out to need storing. */
const MAX_ROUNDS = 200;

/** Makes the plan of a graph. With `copy`, the roots are leaves to be made contiguous. */
export function makePlan(graph: Graph, device: Device, leafCount: number, copy = false): Plan {
  const forced = new Set<GNode>(copy ? graph.roots : []);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const fusion = fuse(graph, forced, device.traits);
    const needs = new Set<GNode>();
    const works = fusion.groups.map((group) => lower(group, fusion, needs));
    for (const root of graph.roots) if (!copy && resultOf(root, fusion) === null) needs.add(root);
    const fresh = [...needs].filter((n) => !forced.has(n));
    if (fresh.length === 0) {
      if (needs.size > 0) throw new Error(`plan: no order of stored values found for ${graph.nodes.length} nodes`);
      return new Plan(device, leafCount, assemble(graph, fusion, works, leafCount));
    }
    for (const n of fresh) forced.add(n);
  }
  throw new Error(`plan: no order of stored values found for ${graph.nodes.length} nodes in ${MAX_ROUNDS} rounds`);
}

/** Where a root lies: in its own memory, or as a view of what is stored. */
function resultOf(root: GNode, fusion: Fusion) {
  const { stored } = fusion;
  if (stored.has(root)) return { base: root, view: dense(root.shape) };
  const found = viewThrough(root, (n) => stored.has(n));
  return found !== null && (found.base.role === "leaf" || stored.has(found.base)) ? found : null;
}

/** Puts works, memory and results together. */
function assemble(graph: Graph, fusion: Fusion, works: readonly (readonly Work[])[], leafCount: number): Parts {
  const { stored, passing } = fusion;
  const flat = works.flat();
  const roots = graph.roots.map((root) => resultOf(root, fusion)!);

  // Memory of its own for what outlives the plan, in order of first use; the rest shares one block.
  const own = new Map<GNode, Slot>();
  const sizes: number[] = [];
  const give = (node: GNode) => {
    if (own.has(node)) return;
    own.set(node, leafCount + sizes.length);
    sizes.push(node.size * itemsize(node.dtype));
  };
  for (const { base } of roots) if (stored.has(base)) give(base);
  const kept: number[] = [];
  const results: Result[] = roots.map(({ base, view }) => ({
    slot: own.get(base) ?? base.slot,
    offset: view.offset,
    strides: view.strides,
  }));
  const fused: number[] = [];
  for (const node of graph.nodes) {
    if (node.role === "leaf" || node.role === "scalar" || node.role === "iota") continue;
    if (stored.has(node)) {
      if (!own.has(node)) {
        if (passing.has(node)) fused.push(...node.origins);
        if (!node.held || passing.has(node)) continue;
      }
      give(node);
      for (const at of node.origins) {
        kept.push(at);
        results.push({ slot: own.get(node)!, offset: 0, strides: dense(node.shape).strides });
      }
    } else if (node.role !== "view" || isHeavy(node)) fused.push(...node.origins);
  }

  const lives = lifetimes(flat, own);
  const memory = planMemory(lives);
  const block = leafCount + sizes.length;
  const at = new Map<GNode, number>();
  lives.forEach(({ nodes }, i) => {
    for (const node of nodes) at.set(node, memory.offsets[i]! / itemsize(node.dtype));
  });

  const ref = (place: Place & { readonly shape?: readonly number[] }): Ref => {
    const { node } = place;
    const arg: Arg = place.shape === undefined
      ? { buffer: null, offset: place.offset, strides: place.strides }
      : { buffer: null, offset: place.offset, strides: place.strides, shape: place.shape };
    if (node === null) return { slot: -1, offset: place.offset, arg };
    if (place.raw) return { slot: node.slot, offset: place.offset, arg };
    const slot = own.get(node);
    return slot !== undefined
      ? { slot, offset: place.offset, arg }
      : { slot: block, offset: place.offset + at.get(node)!, arg };
  };

  const steps = flat.map((work): Step => {
    const scalars = work.scalars.map((s) => s.slot < 0 ? (s as { value: number | bigint }).value : 0);
    const operands = work.operands.map(ref);
    const args = (refs: readonly Ref[]) => refs.map((r) => r.arg);
    if (work.kind === "kernel") {
      const outputs = work.outputs.map(ref);
      return {
        kernel: work.kernel,
        routine: null,
        run: null,
        refs: [...operands, ...outputs],
        sources: work.scalars,
        scalars,
        launch: { sizes: work.sizes, operands: args(operands), outputs: args(outputs), scalars },
      };
    }
    const inputs = work.inputs.map(ref);
    const output = ref(work.output);
    return {
      kernel: null,
      routine: work.routine,
      run: null,
      refs: [...inputs, output, ...operands],
      sources: work.scalars,
      scalars,
      launch: { inputs: args(inputs), output: output.arg, operands: args(operands), scalars },
    };
  });
  // Empty temporaries need an address as well.
  const temporary = lives.length === 0 ? 0 : Math.max(1, memory.total);
  return { results, kept, fused, steps, sizes, temporary };
}

/** Temporaries that share memory, one after the other. */
interface Shared extends Lifetime {
  readonly nodes: GNode[];
  last: number;
}

/**
 * How long temporaries are needed. A kernel that reads a temporary for the last time, point by point as it writes a result of the
 * same size, writes over it: into the temporary's memory, or with the temporary moved to the result's.
 *
 * @param own results with memory of their own; temporaries that move there are added
 */
function lifetimes(works: readonly Work[], own: Map<GNode, Slot>): Shared[] {
  const lives = new Map<GNode, Shared>();
  const last = new Map<GNode, number>();
  /** What a step wrote already: parts of it, perhaps. */
  const written = new Set<GNode>();
  const isTemporary = ({ node, raw }: Place): boolean => node !== null && !raw && !own.has(node);
  works.forEach((work, step) => {
    for (const place of placesOf(work)) if (isTemporary(place)) last.set(place.node!, step);
  });
  works.forEach((work, step) => {
    const taken = new Set<Shared>();
    const outputs: readonly Place[] = work.kind === "kernel" ? work.outputs : [work.output];
    for (const place of placesOf(work)) {
      const node = place.node!;
      const isOutput = outputs.includes(place);
      // With several outputs, one may be stored before another has read the temporary.
      const donor = isOutput && outputs.length === 1 && work.kind === "kernel" && work.kernel.kind === "map" &&
          !written.has(node)
        ? donorOf(place, work.operands.filter(isTemporary), (x) => last.get(x) === step)
        : null;
      const memory = donor === null ? undefined : lives.get(donor);
      if (memory !== undefined && !taken.has(memory)) {
        taken.add(memory);
        if (!isTemporary(place)) {
          for (const x of memory.nodes) {
            own.set(x, own.get(node)!);
            lives.delete(x);
          }
          continue;
        }
        memory.nodes.push(node);
        lives.set(node, memory);
      }
      if (!isTemporary(place)) continue;
      const life = lives.get(node);
      if (life === undefined) {
        lives.set(node, { bytes: node.size * itemsize(node.dtype), first: step, last: step, nodes: [node] });
      } else life.last = step;
    }
    for (const { node } of outputs) if (node !== null) written.add(node);
  });
  return [...new Set(lives.values())];
}

/** A temporary among a kernel's operands that ends here and lies as an output does. */
function donorOf(output: Place, operands: readonly Place[], ends: (node: GNode) => boolean): GNode | null {
  const { node, strides, offset } = output;
  const alike = (x: Place): boolean =>
    x.offset === offset && x.strides.length === strides.length && x.strides.every((s, d) => s === strides[d]);
  for (const { node: x } of operands) {
    if (
      x !== null && x.size === node!.size && itemsize(x.dtype) === itemsize(node!.dtype) && ends(x) &&
      operands.every((place) => place.node !== x || alike(place))
    ) return x;
  }
  return null;
}

function placesOf(work: Work): readonly Place[] {
  return work.kind === "kernel" ? [...work.operands, ...work.outputs] : [...work.inputs, work.output, ...work.operands];
}
