/**
 * Reductions in CUDA. How a reduction is cut, and in which order values are combined, depends on its sizes alone, not on where arrays lie;
 * parts are merged in order. So results do not depend on the device and are the same each time.
 *
 * - `thread`: a thread for each result; neighbours in memory where the kept loop moves fastest.
 * - `rows`: up to 32 threads for each result.
 * - `block`: a block for each result, and with `parts` above 1 several blocks.
 * - `columns`: 32 groups of neighbouring results by 8 threads each, and with `parts` several blocks.
 * - `merge`: a warp for each result puts the parts together.
 * @module
 */
import { dtypes } from "../src/base/dtype.ts";
import { cType } from "./c_ops.ts";
import { bytesOf, type Groups, GroupText, groupUnroll, groupWidth, isDense } from "./cuda_group.ts";
import { BLOCK, type CudaSource, type Names, range } from "./cuda_text.ts";
import type { Kernel, Monoid } from "./kernel.ts";
import { innerLoop } from "./render.ts";

/** How the work is spread over threads. */
export type ReduceVariant = "thread" | "rows" | "block" | "columns" | "merge";

/** How a reduction of some sizes is launched. */
export interface ReducePlan {
  readonly variant: Exclude<ReduceVariant, "merge">;
  /** Elements of a group. */
  readonly width: number;
  /** Blocks that share a result, and reduced points that each of them takes. */
  readonly parts: number;
  readonly length: number;
  /** Threads of a result in `rows`, a power of two. */
  readonly lanes: number;
}

/** Reduced points up to which one thread does a result. */
const FEW = 32;
/** Points that one thread takes on before another block joins in. */
const EACH = 32;
/** Blocks from which on a device is busy, and the most parts of a result. */
const BUSY = 1024;
const MOST_PARTS = 512;
/** Results from which on a warp for each keeps a device busy. */
const MANY = 8192;
/** Registers that the values of a turn may take. */
const REGISTERS = 64;
/** Bytes of shared memory for the columns of a block. */
const SHARED = 32768;

const rowThreads = BLOCK / 32;

/** Bytes of the running values of one result, as registers and shared memory hold them. */
function weightOf(m: Monoid): number {
  return m.dtypes.reduce((sum, d) => sum + Math.max(4, dtypes[d].itemsize), 0);
}

/** Elements of a group: as 16 bytes hold, or as fit beside each other. */
function widthOf(kernel: Kernel): number {
  const m = kernel.reduction!;
  if (kernel.inner === "last" && m.name === "other" || !kernel.operands.some(isDense)) return 1;
  let width = groupWidth(kernel, []);
  if (kernel.inner === "kept") { while (width > 1 && BLOCK * width * weightOf(m) > SHARED) width /= 2; }
  return width;
}

/** Chooses the variant: a function of the sizes only. */
export function planReduce(kernel: Kernel, sizes: readonly number[]): ReducePlan {
  let kept = 1, reduced = 1;
  const first = kernel.rank - kernel.reduced;
  sizes.forEach((n, d) => d < first ? kept *= n : reduced *= n);
  const inner = sizes[innerLoop(kernel)]!, alone = kernel.inner === "last" && kernel.reduced === 1;
  const most = widthOf(kernel), width = alone || inner % most === 0 ? most : 1;
  const whole = { parts: 1, length: reduced, lanes: 1 };
  const split = (blocks: number, least: number, grain: number) => {
    const wanted = Math.min(MOST_PARTS, Math.ceil(BUSY / blocks), Math.ceil(reduced / least));
    if (wanted <= 1) return whole;
    const length = Math.ceil(reduced / wanted / grain) * grain;
    return { parts: Math.ceil(reduced / length), length, lanes: 1 };
  };
  if (kernel.inner === "kept") {
    if (reduced <= FEW) return { variant: "thread", width: 1, ...whole };
    // Columns do not see each other: their width changes no result, the parts must not depend on it.
    return { variant: "columns", width, ...split(Math.ceil(kept / (32 * most)), 8 * EACH, 1) };
  }
  if (reduced > (kept < MANY ? 32 : 512) * EACH) {
    return { variant: "block", width, ...split(kept, BLOCK * EACH, 16) };
  }
  let lanes = 1;
  while (lanes < 32 && lanes * width * 2 < reduced) lanes *= 2;
  return { variant: "rows", width, ...whole, lanes };
}

/**
 * Whether groups of a launch can be read as vectors.
 *
 * @param addresses in bytes, of the operands
 * @param strides in elements, of an operand
 */
export function reduceAligned(
  kernel: Kernel,
  width: number,
  addresses: readonly number[],
  strides: (operand: number) => readonly number[],
): boolean {
  const inner = innerLoop(kernel);
  return kernel.operands.every((o, i) =>
    !isDense(o) ||
    addresses[i]! % (bytesOf(o) * width) === 0 && strides(i).every((step, d) => d === inner || step % width === 0)
  );
}

/** The text of a variant with groups of `width`, read as vectors or not. */
export function renderReduce(
  kernel: Kernel,
  wide: boolean,
  variant: ReduceVariant,
  width: number,
  vector: boolean,
): CudaSource {
  let unroll = groupUnroll(kernel, width);
  const { reduction: m, inner } = kernel;
  if (inner === "last") {
    while (unroll > 1 && unroll * width * weightOf(m!) > 4 * REGISTERS) unroll /= 2;
    if (m!.name === "other") unroll = 1;
  }
  return new ReduceText(kernel, wide, { loop: innerLoop(kernel), width, unroll, vector }).render(variant);
}

class ReduceText extends GroupText {
  readonly #m: Monoid;
  readonly #kept: readonly number[];
  readonly #reduced: readonly number[];
  /** Whether values may only be combined with their neighbours. */
  readonly #ordered: boolean;

  constructor(kernel: Kernel, wide: boolean, groups: Groups) {
    super(kernel, wide, groups);
    this.#m = this.k.reduction!;
    this.#kept = range(0, this.kept);
    this.#reduced = range(this.kept, this.k.rank);
    this.#ordered = this.#m.name === "other";
  }

  render(variant: ReduceVariant): CudaSource {
    this.extra("count");
    this.divisors(this.#kept);
    if (variant === "thread") return this.source(() => this.#thread());
    if (variant === "merge") {
      this.extra("parts");
      this.workspaces(this.#m);
      return this.source(() => this.#merge());
    }
    this.extra("reduced");
    this.divisors(this.#reduced);
    const beside = variant === "columns" ? this.#kept : this.#reduced;
    if (this.groups.width > 1 && beside.length > 1) this.divisor("group");
    if (variant === "rows") {
      this.extra("lanes");
      return this.source(() => this.#rows());
    }
    this.extra("parts");
    this.extra("length");
    this.workspaces(this.#m);
    return this.source(() => variant === "columns" ? this.#columns() : this.#block());
  }

  #thread(): void {
    const { out } = this;
    out.line("const ix count = (ix)a.count, step = (ix)gridDim.x * blockDim.x;");
    out.open("for (ix o = (ix)blockIdx.x * blockDim.x + threadIdx.x; o < count; o += step) {");
    const base = this.#result("o");
    const acc = this.init(this.#m, "a");
    for (const d of this.#reduced) out.open(`for (ix i${d} = 0; i${d} < n${d}; i${d}++) {`);
    this.feed(this.#m, this.places("p", this.#reduced, "operands", base), acc);
    for (const _ of this.#reduced) out.close();
    this.#finish(acc, base);
    out.close();
  }

  /** Indices and offsets of a result. */
  #result(linear: string): Names {
    this.decompose(this.#kept, linear);
    return this.places("b", this.#kept, "operands");
  }

  #finish(acc: readonly string[], base: Names): void {
    const outputs = this.places("b", this.#kept, "outputs");
    this.finish(acc, { operand: base.operand, output: outputs.output });
  }

  /** Feeds the reduced points from `first` to `end` that are this thread's, of `threads` side by side. */
  #walk(base: Names, acc: readonly string[], thread: string, threads: string): void {
    const { out } = this, { width } = this.groups;
    if (this.#ordered) {
      out.line(`const ix each = (end - first + ${threads} - 1) / ${threads};`);
      out.line(`const ix low = first + each * (ix)${thread}, high = low + each < end ? low + each : end;`);
      this.#points("ix r = low; r < high; r++", base, acc, true);
      return;
    }
    this.#turns(base, acc, thread, threads);
    // What is left of a row whose length is no multiple of a group.
    if (width > 1 && this.#reduced.length === 1) {
      this.#points(`ix r = end / ${width} * ${width} + (ix)${thread}; r < end; r += ${threads}`, base, acc);
    }
  }

  /** Feeds points one by one. */
  #points(loop: string, base: Names, acc: readonly string[], many = false): void {
    const { out } = this;
    if (!many) out.line("#pragma unroll 1");
    out.open(`for (${loop}) {`);
    this.decompose(this.#reduced, "r");
    this.feed(this.#m, this.places("p", this.#reduced, "operands", base), acc);
    out.close();
  }

  /** Feeds whole groups from `first` to `end`, several at once, neighbours combined first. */
  #turns(base: Names, acc: readonly string[], thread: string, threads: string): void {
    const { out } = this, { loop, width, unroll } = this.groups, m = this.#m, n = unroll * width;
    const inGroups = (text: string) => width > 1 ? `${text} / ${width}` : text;
    out.line(`const ix low = ${inGroups("first")}, groups = ${inGroups("end")};`);
    out.line("#pragma unroll 1");
    out.open(`for (ix t = low + (ix)${thread}; t < groups; t += ${unroll} * ${threads}) {`);
    this.groupRoom();
    this.eachGroup();
    // Past the end a thread reads its first group again.
    out.line(
      unroll > 1 ? `const ix g = t + u * ${threads} < groups ? t + u * ${threads} : t;` : "const ix g = t;",
    );
    this.decompose(this.#reduced, "g", { loop, width });
    this.loadGroup((a, k) => this.offset(a, this.#reduced, base.operand(k)));
    out.close();
    const values = m.dtypes.map((d, i) => {
      out.line(`${cType(d)} w${i}[${n}];`);
      return (at: string) => `w${i}[${at}]`;
    });
    this.eachGroup();
    if (unroll > 1) out.line(`const bool inside = t + u * ${threads} < groups;`);
    this.eachElement();
    this.withGroup((operand) => {
      const at = unroll === 1 ? "j" : width === 1 ? "u" : `u * ${width} + j`;
      this.bodyValues(m, { operand }).forEach((text, i) => {
        const value = unroll > 1 ? `inside ? ${text} : ${this.neutral(m, i)}` : text;
        out.line(`${values[i]!(at)} = ${value};`);
      });
    });
    out.close();
    out.close();
    if (n > 1) {
      out.line("#pragma unroll");
      out.open(`for (int d = 1; d < ${n}; d *= 2) {`);
      out.line("#pragma unroll");
      out.open(`for (int j = 0; j < ${n}; j += 2 * d) {`);
      this.combine(m, values.map((w) => w("j")), values.map((w) => w("j + d")));
      out.close();
      out.close();
    }
    this.combine(m, acc, values.map((w) => w("0")));
    out.close();
  }

  /** Combines the lanes of a warp, neighbours first, into the first of every `lanes`. */
  #lanes(acc: readonly string[], lanes: string): void {
    const { out } = this;
    out.open(`for (int d = 1; d < ${lanes}; d *= 2) {`);
    const val = acc.map((name, j) => this.fresh(this.#m.dtypes[j]!, `shuffle(${name}, d)`));
    this.combine(this.#m, acc, val);
    out.close();
  }

  #rows(): void {
    const { out } = this;
    this.groupTypes();
    out.line("const int lanes = (int)a.lanes, lane = threadIdx.x & (lanes - 1);");
    out.line(`const ix count = (ix)a.count, each = ${BLOCK} / lanes, side = threadIdx.x / lanes;`);
    out.line("const ix first = 0, end = (ix)a.reduced;");
    // Threads of a warp stay together: past the end they do the last result again.
    out.open("for (ix from = blockIdx.x * each; from < count; from += gridDim.x * each) {");
    out.line("const ix o = from + side < count ? from + side : count - 1;");
    const base = this.#result("o");
    const acc = this.init(this.#m, "a");
    this.#walk(base, acc, "lane", "lanes");
    this.#lanes(acc, "lanes");
    out.open("if (lane == 0 && from + side < count) {");
    this.#finish(acc, base);
    out.close();
    out.close();
  }

  #block(): void {
    const { out } = this, m = this.#m, warps = BLOCK / 32;
    this.groupTypes();
    out.line("const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;");
    out.line("const ix count = (ix)a.count, parts = (ix)a.parts, length = (ix)a.length, limit = (ix)a.reduced;");
    m.dtypes.forEach((d, j) => out.line(`__shared__ ${this.spaceType(d)} shared${j}[${warps}];`));
    out.open("for (ix g = blockIdx.x; g < count * parts; g += gridDim.x) {");
    out.line("const ix o = g / parts, part = g - o * parts, first = part * length;");
    out.line("const ix end = first + length < limit ? first + length : limit;");
    const base = this.#result("o");
    const acc = this.init(m, "a");
    this.#walk(base, acc, "threadIdx.x", String(BLOCK));
    this.#lanes(acc, "32");
    out.line("__syncthreads();");
    out.open("if (lane == 0) {");
    acc.forEach((name, j) => out.line(`shared${j}[warp] = ${name};`));
    out.close();
    out.line("__syncthreads();");
    out.open("if (threadIdx.x == 0) {");
    this.#fold(acc, (j, w) => `shared${j}[${w}]`, warps);
    this.#keep(acc, base);
    out.close();
    out.close();
  }

  /** Combines what neighbours left in shared memory, after this thread's own. */
  #fold(acc: readonly string[], at: (j: number, w: string) => string, count: number): void {
    const { out } = this;
    out.open(`for (int w = 1; w < ${count}; w++) {`);
    this.combine(this.#m, acc, acc.map((_, j) => this.fresh(this.#m.dtypes[j]!, at(j, "w"))));
    out.close();
  }

  /** Stores a part in the workspaces, or the result where there is one part. */
  #keep(acc: readonly string[], base: Names): void {
    const { out } = this;
    out.open("if (parts > 1) {");
    acc.forEach((name, j) => out.line(`a.w${j}[(i64)o * parts + part] = ${name};`));
    out.middle("} else {");
    this.#finish(acc, base);
    out.close();
  }

  #columns(): void {
    const { out } = this, { loop, width, unroll } = this.groups;
    const m = this.#m, tile = 32 * width;
    this.groupTypes();
    m.dtypes.forEach((d, j) => out.line(`__shared__ ${this.spaceType(d)} shared${j}[${rowThreads * tile}];`));
    out.line("const int lane = threadIdx.x & 31, row = threadIdx.x >> 5;");
    out.line("const ix count = (ix)a.count, parts = (ix)a.parts, length = (ix)a.length, limit = (ix)a.reduced;");
    out.line(`const ix tiles = (count + ${tile - 1}) / ${tile};`);
    out.open("for (ix g = blockIdx.x; g < tiles * parts; g += gridDim.x) {");
    out.line("const ix part = g / tiles, tile = g - part * tiles, start = part * length;");
    out.line("const ix stop = start + length < limit ? start + length : limit;");
    out.line(`const ix each = (stop - start + ${rowThreads - 1}) / ${rowThreads};`);
    out.line("const ix first = start + each * row, end = first + each < stop ? first + each : stop;");
    const acc = m.dtypes.map((d, i) => {
      out.line(`${cType(d)} w${i}[${width}];`);
      return `w${i}[j]`;
    });
    this.eachElement();
    acc.forEach((name, i) => out.line(`${name} = ${this.neutral(m, i)};`));
    out.close();
    out.line("const ix column = tile * 32 + lane;");
    out.open(`if (column < ${width > 1 ? `count / ${width}` : "count"}) {`);
    this.decompose(this.#kept, "column", { loop, width });
    const base = this.places("c", this.#kept, "operands");
    out.line("#pragma unroll 1");
    out.open(`for (ix t = first; t < end; t += ${unroll}) {`);
    this.groupRoom();
    this.eachGroup();
    out.line(unroll > 1 ? "const ix r = t + u < end ? t + u : t;" : "const ix r = t;");
    this.decompose(this.#reduced, "r");
    this.loadGroup((a, k) => this.offset(a, this.#reduced, base.operand(k)));
    out.close();
    this.eachGroup();
    if (unroll > 1) out.line("if (t + u >= end) break;");
    this.eachElement();
    this.withGroup((operand) => this.feed(m, { operand }, acc));
    out.close();
    out.close();
    out.close();
    out.close();
    out.line("__syncthreads();");
    this.eachElement();
    acc.forEach((name, i) => out.line(`shared${i}[row * ${tile} + lane * ${width} + j] = ${name};`));
    out.close();
    out.line("__syncthreads();");
    out.open(`for (int c = threadIdx.x; c < ${tile}; c += ${BLOCK}) {`);
    out.line(`const ix o = tile * ${tile} + c;`);
    out.line("if (o >= count) break;");
    const sum = m.dtypes.map((d, i) => {
      out.line(`${cType(d)} a${i} = shared${i}[c];`);
      return `a${i}`;
    });
    this.#fold(sum, (j, w) => `shared${j}[${tile} * ${w} + c]`, rowThreads);
    this.#keep(sum, this.#result("o"));
    out.close();
    out.close();
  }

  #merge(): void {
    const { out } = this;
    const m = this.#m, warps = BLOCK / 32;
    out.line("const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;");
    out.line("const ix count = (ix)a.count, parts = (ix)a.parts, each = (parts + 31) / 32;");
    out.open(`for (ix o = (ix)blockIdx.x * ${warps} + warp; o < count; o += (ix)gridDim.x * ${warps}) {`);
    out.line("const ix low = each * lane, high = low + each < parts ? low + each : parts;");
    const acc = this.init(m, "a");
    out.open("for (ix r = low; r < high; r++) {");
    this.combine(m, acc, acc.map((_, j) => this.fresh(m.dtypes[j]!, `a.w${j}[(i64)o * parts + r]`)));
    out.close();
    this.#lanes(acc, "32");
    out.open("if (lane == 0) {");
    this.#finish(acc, this.#result("o"));
    out.close();
    out.close();
  }
}
