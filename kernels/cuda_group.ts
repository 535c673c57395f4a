/**
 * Groups of neighbours in CUDA kernels: a thread takes `width` elements along one loop at once, and `unroll` groups in a turn.
 *
 * All that a thread reads in a turn is asked for before anything is computed or stored: an output may lie on an operand, so the compiler
 * could not move the loads itself. Contiguous operands are read as vectors of up to 16 bytes; narrower ones beside them move fewer bytes
 * a thread, which a warp still turns into whole cache lines.
 * @module
 */
import { dtypes } from "../src/base/dtype.ts";
import { cMemory } from "./c_ops.ts";
import { nativeWeight } from "./cost.ts";
import { CudaText, HEAVY, operandsOf } from "./cuda_text.ts";
import type { Expr } from "./expr.ts";
import type { Kernel, Operand, Output } from "./kernel.ts";
import type { ArrayText } from "./render.ts";

/** Weight up to which a kernel is little more than a copy. */
const LIGHT = 4;

/** Bytes of an element. */
export const bytesOf = (o: Operand | Output): number => dtypes[o.dtype].itemsize * o.components;

/** Whether neighbours along the innermost loop are neighbours in memory. */
export function isDense(o: Operand): boolean {
  return o.access === "unit" && !o.virtual && o.gathered === 0;
}

/** Bytes of a turn that registers hold. */
const TURN = 256;

/** Elements of a group where the widest of these arrays is read by 16 bytes; fewer where there are many arrays, 1 without any. */
export function groupWidth(kernel: Kernel, outputs: readonly Output[]): number {
  const arrays = [...kernel.operands.filter(isDense), ...outputs].map(bytesOf);
  if (arrays.length === 0) return 1;
  const values = nativeWeight(kernel) > HEAVY ? 4 : 64 / widestValue(kernel);
  let width = Math.min(16 / Math.max(...arrays), values);
  const all = arrays.reduce((x, y) => x + y);
  while (width > 1 && width * all > TURN) width /= 2;
  return width;
}

/** Bytes of the widest value that the body computes with: at least 4, as registers hold them. */
function widestValue(kernel: Kernel): number {
  let widest = 4;
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    widest = Math.max(widest, dtypes[e.dtype].itemsize);
    e.src.forEach(visit);
  };
  kernel.body.forEach(visit);
  return widest;
}

/** Groups that a thread takes at once: at least 32 bytes of each operand under way, but not more than registers hold. */
export function groupUnroll(kernel: Kernel, width: number): number {
  const loads = kernel.operands.filter((o) => !o.virtual && o.gathered === 0);
  const weight = nativeWeight(kernel);
  if (loads.length === 0 || weight > HEAVY) return 1;
  const bytes = loads.reduce((sum, o) => sum + (isDense(o) ? width : 1) * bytesOf(o), 0);
  // Narrow elements of arrays that lie unlike come one by one, and more of them; several loops or results leave no registers for that.
  const most = kernel.kind === "map" && kernel.rank === 1 && bytes <= 4 && loads.length + kernel.outputs.length <= 3
    ? 8
    : 4;
  let unroll = bytes <= 16 && weight <= LIGHT ? most : bytes <= 128 ? 2 : 1;
  while (unroll > 1 && unroll * width * widestValue(kernel) > TURN / 2) unroll /= 2;
  return unroll;
}

/** How a kernel goes through memory. */
export interface Groups {
  /** The loop whose neighbours make a group. */
  readonly loop: number;
  readonly width: number;
  readonly unroll: number;
  /** Whether dense operands lie such that a group is one load. */
  readonly vector: boolean;
}

/** A kernel that goes by groups. Inside, `u` is the group of the turn and `j` the element of the group. */
export class GroupText extends CudaText {
  readonly groups: Groups;
  /** Operands that the body looks at. */
  readonly #used: ReadonlySet<number>;

  constructor(kernel: Kernel, wide: boolean, groups: Groups) {
    super(kernel, wide);
    this.groups = groups;
    this.#used = operandsOf(this.k.body);
  }

  #each(work: (o: Operand, k: number) => void): void {
    this.k.operands.forEach((o, k) => {
      if (this.#used.has(k)) work(o, k);
    });
  }

  /** The type of `n` elements as memory holds them. */
  vectorType(o: Operand | Output, n: number, aligned: boolean): string {
    const alignment = aligned ? ` alignas(${bytesOf(o) * n})` : "";
    return `struct${alignment} { ${cMemory[o.dtype]} v[${o.components * n}]; }`;
  }

  /** Whether an operand is read as a group. */
  isGrouped(k: number): boolean {
    return this.groups.width > 1 && isDense(this.k.operands[k]!);
  }

  /** Whether an operand is read before anything is computed: as a group, or as the one element that it has for a group. */
  isEarly(k: number): boolean {
    const o = this.k.operands[k]!;
    return this.isGrouped(k) || !o.virtual && o.gathered === 0 && (this.groups.width === 1 || o.access === "single");
  }

  /** Types of what operands are read as. */
  groupTypes(): void {
    this.#each((o, k) => {
      if (!this.isEarly(k)) return;
      const grouped = this.isGrouped(k);
      this.out.line(
        `typedef ${this.vectorType(o, grouped ? this.groups.width : 1, !grouped || this.groups.vector)} X${k};`,
      );
    });
  }

  /** Room for what a turn reads: values, or places of what is read later. */
  groupRoom(): void {
    const { unroll } = this.groups;
    this.#each((_, k) => this.out.line(this.isEarly(k) ? `X${k} in${k}[${unroll}];` : `ix off${k}[${unroll}];`));
  }

  /** Opens a loop over the groups of a turn. */
  eachGroup(): void {
    this.out.line("#pragma unroll");
    this.out.open(`for (int u = 0; u < ${this.groups.unroll}; u++) {`);
  }

  /** Opens a loop over the elements of a group. */
  eachElement(): void {
    this.out.line("#pragma unroll");
    this.out.open(`for (int j = 0; j < ${this.groups.width}; j++) {`);
  }

  /** Reads group `u` of all operands, whose first elements are at these offsets. */
  loadGroup(place: (a: ArrayText, k: number) => string): void {
    const { out } = this, { width, vector } = this.groups;
    this.#each((o, k) => {
      const a = this.operands[k]!, at = place(a, k);
      if (!this.isEarly(k)) return out.line(`off${k}[u] = ${at};`);
      if (!this.isGrouped(k) || vector) return out.line(`in${k}[u] = ${this.group(k, at)};`);
      const from = this.emitter.name("at");
      out.line(`const ix ${from} = ${at};`);
      out.line("#pragma unroll");
      out.line(`for (int j = 0; j < ${width * o.components}; j++) in${k}[u].v[j] = a.${a.name}[${from} + j];`);
    });
  }

  /** The group of an operand at an offset. */
  protected group(k: number, at: string): string {
    return `*(const X${k} *)(a.x${k} + (${at}))`;
  }

  /** Writes with loads taken from what `loadGroup` read; gives the place of operands at element `j`. */
  withGroup(write: (place: (k: number) => string) => void): void {
    const { loop, width } = this.groups;
    const loaded = (k: number, component: number) => {
      if (!this.isEarly(k)) return null;
      const { components } = this.k.operands[k]!;
      if (!this.isGrouped(k)) return `in${k}[u].v[${component}]`;
      return `in${k}[u].v[${components > 1 ? `${components} * ` : ""}j${component ? " + 1" : ""}]`;
    };
    this.loadedFrom(loaded, () =>
      write((k) => {
        const along = width === 1 ? "0" : this.offset(this.operands[k]!, [loop]).replace(`i${loop}`, "j");
        return along === "0" ? `off${k}[u]` : `off${k}[u] + ${along}`;
      }));
  }
}
