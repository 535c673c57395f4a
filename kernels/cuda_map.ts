/**
 * Elementwise kernels in CUDA: grid-stride loops over groups of `width` neighbours, `unroll` groups a thread at once.
 *
 * All that a thread reads in a turn is asked for before it stores anything: an output may lie on an operand, so the compiler could not
 * move the loads itself. Groups are as wide as 16 bytes of the widest contiguous array; narrower arrays move fewer bytes a thread, which
 * a warp still turns into whole cache lines. An index over several loops is taken apart once a group.
 * @module
 */
import { dtypes } from "../src/base/dtype.ts";
import { cMemory } from "./c_ops.ts";
import { nativeWeight } from "./cost.ts";
import { BLOCK, type CudaSource, CudaText, range } from "./cuda_text.ts";
import type { Kernel, Operand, Output } from "./kernel.ts";

/** Weight from which on arithmetic, not memory, is what a kernel waits for. */
const HEAVY = 40;
/** Weight up to which a kernel is little more than a copy. */
const LIGHT = 4;

const bytesOf = (o: Operand | Output) => dtypes[o.dtype].itemsize * o.components;
/** Whether neighbours in the innermost loop are neighbours in memory. */
const isDense = (o: Operand) => o.access === "unit" && !o.virtual && o.gathered === 0;

/**
 * Elements of a group in the vector variant of a map kernel; 1 where it has none. All contiguous arrays must then lie alike: see
 * `vectorHead`.
 */
export function vectorWidth(kernel: Kernel): number {
  if (kernel.kind !== "map" || kernel.outputs.some((o) => o.access !== "unit")) return 1;
  const widest = Math.max(...kernel.operands.filter(isDense).map(bytesOf), ...kernel.outputs.map(bytesOf));
  return Math.max(1, Math.min(16 / widest, nativeWeight(kernel) > HEAVY ? 4 : 16));
}

/** Groups that a thread takes at once: at least 32 bytes of each operand under way, but not more than registers hold. */
export function mapUnroll(kernel: Kernel, width: number): number {
  const loads = kernel.operands.filter((o) => !o.virtual && o.gathered === 0);
  const weight = nativeWeight(kernel);
  if (loads.length === 0 || weight > HEAVY) return 1;
  const bytes = loads.reduce((sum, o) => sum + (width > 1 && isDense(o) ? width : 1) * bytesOf(o), 0);
  return bytes <= 16 && weight <= LIGHT ? 4 : bytes <= 128 ? 2 : 1;
}

/**
 * Elements before the first whole group, where the vector variant can serve a launch; else null.
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
    const o = operand ?? outputs[i - operands.length]!;
    const bytes = bytesOf(o), past = addresses[i]! / bytes % width;
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

/** The text of a map kernel; with `width` above 1 its vector variant. */
export function renderMap(kernel: Kernel, wide: boolean, width: number): CudaSource {
  return new MapText(kernel, wide).render(width, mapUnroll(kernel, width));
}

class MapText extends CudaText {
  render(width: number, unroll: number): CudaSource {
    const { k, out } = this, { rank } = k, last = rank - 1;
    const loops = range(0, rank), edges = width > 1 && rank === 1;
    this.extra("count");
    if (edges) this.extra("head");
    this.divisors(loops);
    // Dense operands are read as groups; all others whose place is known are read one by one, but before anything is computed.
    const grouped = (j: number) => width > 1 && isDense(k.operands[j]!);
    const early = (j: number) => {
      const o = k.operands[j]!;
      return grouped(j) || !o.virtual && o.gathered === 0 && (width === 1 || o.access === "single");
    };
    return this.source(() => {
      const type = (o: Operand | Output, n: number) =>
        `struct alignas(${bytesOf(o) * n}) { ${cMemory[o.dtype]} v[${o.components * n}]; }`;
      k.operands.forEach((o, j) => {
        if (early(j)) out.line(`typedef ${type(o, grouped(j) ? width : 1)} X${j};`);
      });
      if (width > 1) k.outputs.forEach((o, j) => out.line(`typedef ${type(o, width)} Y${j};`));
      const head = edges ? "head" : "0";
      out.line(`const ix count = (ix)a.count${edges ? ", head = (ix)a.head" : ""};`);
      if (width > 1) {
        out.line(`const ix groups = ${edges ? "(count - head)" : "count"} / ${width};`);
        if (rank > 1) out.line(`const ix columns = n${last} / ${width};`);
      }
      const groups = width > 1 ? "groups" : "count";
      out.line("#pragma unroll 1");
      const step = `(ix)gridDim.x * ${BLOCK * unroll}`;
      out.open(
        `for (ix t = (ix)blockIdx.x * ${BLOCK * unroll} + threadIdx.x; t < ${groups}; t += ${step}) {`,
      );
      k.operands.forEach((_, j) => out.line(early(j) ? `X${j} v${j}[${unroll}];` : `ix o${j}[${unroll}];`));
      if (rank > 1) k.outputs.forEach((_, j) => out.line(`ix p${j}[${unroll}];`));
      const turns = () => {
        out.line("#pragma unroll");
        out.open(`for (int u = 0; u < ${unroll}; u++) {`);
      };
      turns();
      // Past the end a thread reads its first group again.
      out.line(`const ix g = ${unroll > 1 ? `t + u * ${BLOCK} < ${groups} ? t + u * ${BLOCK} : t` : "t"};`);
      if (rank > 1) this.decompose(loops, "g", width > 1 ? { [last]: "columns" } : {});
      const first = rank > 1 ? `i${last}` : "g";
      if (width > 1) {
        out.line(`const ix e${last} = ${head === "0" ? "" : `${head} + `}${first} * ${width};`);
      } else if (rank === 1) out.line("const ix i0 = g;");
      // Where the first element of the group is.
      const place = (a: (typeof this.operands)[number]) =>
        width > 1 ? this.offset(a, loops).replaceAll(`i${last}`, `e${last}`) : this.offset(a, loops);
      k.operands.forEach((_, j) => {
        const at = place(this.operands[j]!);
        out.line(early(j) ? `v${j}[u] = *(const X${j} *)(a.x${j} + (${at}));` : `o${j}[u] = ${at};`);
      });
      if (rank > 1) k.outputs.forEach((_, j) => out.line(`p${j}[u] = ${place(this.outputs[j]!)};`));
      out.close();
      turns();
      out.line(`const ix g = t + u * ${BLOCK};`);
      out.open(`if (g < ${groups}) {`);
      const output = (j: number) => {
        if (rank > 1) return `p${j}[u]`;
        const a = this.outputs[j]!;
        if (width > 1) return `(${head} + g * ${width})${a.components === 2 ? " * 2" : ""}`;
        return this.offset(a, [0]).replaceAll("i0", "g");
      };
      const within = (j: number) => {
        if (width === 1) return `o${j}[u]`;
        const stride = this.offset(this.operands[j]!, [last]).replaceAll(`i${last}`, "j");
        return stride === "0" ? `o${j}[u]` : `o${j}[u] + ${stride}`;
      };
      const loaded = (j: number, component: number) => {
        if (!early(j)) return null;
        const { components } = k.operands[j]!;
        const at = grouped(j) ? `${components > 1 ? `${components} * ` : ""}j${component ? " + 1" : ""}` : component;
        return `v${j}[u].v[${at}]`;
      };
      this.loadedFrom(loaded, () => {
        if (width === 1) return this.store(k.body, this.emitter.emit(k.body, { operand: within }), output);
        k.outputs.forEach((_, j) => out.line(`Y${j} w${j};`));
        out.line("#pragma unroll");
        out.open(`for (int j = 0; j < ${width}; j++) {`);
        const texts = this.emitter.emit(k.body, { operand: within });
        let v = 0;
        k.outputs.forEach((o, j) => {
          for (let c = 0; c < o.components; c++, v++) {
            const at = o.components > 1 ? `${o.components} * j + ${c}` : "j";
            out.line(`w${j}.v[${at}] = ${this.bits(o.dtype, k.body[v]!.dtype, texts[v]!)};`);
          }
        });
        out.close();
        k.outputs.forEach((_, j) => out.line(`*(Y${j} *)(a.y${j} + ${output(j)}) = w${j};`));
      });
      out.close();
      out.close();
      out.close();
      if (!edges) return;
      // What comes before the first group and after the last one.
      out.line("const ix first = (ix)blockIdx.x * blockDim.x + threadIdx.x;");
      out.open(`if (first < count - groups * ${width}) {`);
      out.line(`const ix i0 = first < head ? first : first + groups * ${width};`);
      const at = this.places("o", loops, "both");
      this.store(k.body, this.emitter.emit(k.body, { operand: at.operand }), at.output);
      out.close();
    });
  }
}
