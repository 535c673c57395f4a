/**
 * Elementwise kernels in CUDA: grid-stride loops over groups of neighbours. An index over several loops is taken apart once a group.
 * @module
 */
import { bytesOf, GroupText, groupUnroll, groupWidth, isDense } from "./cuda_group.ts";
import { BLOCK, type CudaSource, range } from "./cuda_text.ts";
import type { Kernel } from "./kernel.ts";
import type { ArrayText } from "./render.ts";

/**
 * Elements of a group in the vector variant of a map kernel; 1 where it has none. All contiguous arrays must then lie alike: see
 * `vectorHead`.
 */
export function vectorWidth(kernel: Kernel): number {
  if (kernel.kind !== "map" || kernel.rank === 0 || kernel.outputs.some((o) => o.access !== "unit")) return 1;
  return groupWidth(kernel, kernel.outputs);
}

/**
 * Elements before the first whole group, where the vector variant can serve a launch; else null, and groups of half the width may do.
 *
 * @param sizes of the loops
 * @param addresses in bytes, of operands then outputs
 * @param strides in elements, likewise
 */
export function vectorHead(
  kernel: Kernel,
  width: number,
  sizes: readonly number[],
  addresses: readonly number[],
  strides: (array: number) => readonly number[],
): number | null {
  const { operands, outputs, rank } = kernel, last = rank - 1;
  if (rank > 1 && sizes[last]! % width !== 0) return null;
  let head: number | null = null;
  for (let i = 0; i < operands.length + outputs.length; i++) {
    const operand = operands[i];
    if (operand !== undefined && !isDense(operand)) continue;
    const bytes = bytesOf(operand ?? outputs[i - operands.length]!), past = addresses[i]! / bytes % width;
    if (!Number.isInteger(past) || head !== null && past !== head) return null;
    head = past;
    if (rank > 1) {
      if (past !== 0) return null;
      const steps = strides(i);
      for (let d = 0; d < last; d++) if (steps[d]! % width !== 0) return null;
    }
  }
  return head === null || head === 0 ? 0 : Math.min(width - head, sizes[last]!);
}

/** Groups that a thread of a map kernel takes at once. */
export const mapUnroll: (kernel: Kernel, width: number) => number = groupUnroll;

/** The text of a map kernel; with `width` above 1 its vector variant. */
export function renderMap(kernel: Kernel, wide: boolean, width: number): CudaSource {
  const groups = { loop: kernel.rank - 1, width, unroll: mapUnroll(kernel, width), vector: true };
  return new MapText(kernel, wide, groups).render();
}

class MapText extends GroupText {
  render(): CudaSource {
    const { k, out } = this, { rank } = k, { width, unroll } = this.groups;
    const loops = range(0, rank), vectors = width > 1, edges = vectors && rank === 1;
    this.extra("count");
    if (edges) this.extra("head");
    this.divisors(vectors ? loops.slice(0, -1) : loops);
    if (vectors && rank > 1) this.divisor("group");
    return this.source(() => {
      this.groupTypes();
      if (vectors) k.outputs.forEach((o, j) => out.line(`typedef ${this.vectorType(o, width, true)} Y${j};`));
      out.line(`const ix count = (ix)a.count${edges ? ", head = (ix)a.head" : ""};`);
      out.line(`const ix groups = ${edges ? "(count - head)" : "count"}${vectors ? ` / ${width}` : ""};`);
      const stride = BLOCK * unroll;
      out.line("#pragma unroll 1");
      out.open(
        `for (ix t = (ix)blockIdx.x * ${stride} + threadIdx.x; t < groups; t += (ix)gridDim.x * ${stride}) {`,
      );
      this.groupRoom();
      k.outputs.forEach((_, j) => out.line(`ix to${j}[${unroll}];`));
      this.eachGroup();
      // Past the end a thread reads its first group again.
      out.line(unroll > 1 ? `const ix g = t + u * ${BLOCK} < groups ? t + u * ${BLOCK} : t;` : "const ix g = t;");
      if (edges) out.line(`const ix i0 = head + g * ${width};`);
      else this.decompose(loops, "g", { loop: rank - 1, width });
      const place = (a: ArrayText) => this.offset(a, loops);
      this.loadGroup(place);
      this.outputs.forEach((a, j) => out.line(`to${j}[u] = ${place(a)};`));
      out.close();
      this.eachGroup();
      out.line(`if (t + u * ${BLOCK} >= groups) break;`);
      if (vectors) this.#storeGroups();
      else {
        this.withGroup((operand) => this.store(k.body, this.emitter.emit(k.body, { operand }), (j) => `to${j}[u]`));
      }
      out.close();
      out.close();
      if (edges) this.#edges();
    });
  }

  #storeGroups(): void {
    const { k, out } = this;
    k.outputs.forEach((_, j) => out.line(`Y${j} w${j};`));
    this.eachElement();
    this.withGroup((operand) => {
      const texts = this.emitter.emit(k.body, { operand });
      let v = 0;
      k.outputs.forEach((o, j) => {
        for (let c = 0; c < o.components; c++, v++) {
          const at = o.components > 1 ? `${o.components} * j + ${c}` : "j";
          out.line(`w${j}.v[${at}] = ${this.bits(o.dtype, k.body[v]!.dtype, texts[v]!)};`);
        }
      });
    });
    out.close();
    k.outputs.forEach((_, j) => out.line(`*(Y${j} *)(a.y${j} + to${j}[u]) = w${j};`));
  }

  /** What comes before the first group and after the last one. */
  #edges(): void {
    const { k, out } = this, { width } = this.groups;
    out.line("const ix first = (ix)blockIdx.x * blockDim.x + threadIdx.x;");
    out.open(`if (first < count - groups * ${width}) {`);
    out.line(`const ix i0 = first < head ? first : first + groups * ${width};`);
    const at = this.places("o", [0], "both");
    this.store(k.body, this.emitter.emit(k.body, { operand: at.operand }), at.output);
    out.close();
  }
}
