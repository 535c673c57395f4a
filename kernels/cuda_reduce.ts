/**
 * Reductions in CUDA. How a reduction is cut depends on its sizes alone, and parts are merged in order: results do not depend on
 * the device.
 *
 * - `thread`: a thread for each result; neighbours in memory where the kept loop moves fastest.
 * - `warp`, `block`: that many threads for each result, and with `parts` above 1 several blocks.
 * - `columns`: 32 neighbouring results by 8 threads each, and with `parts` several blocks.
 * - `merge`: a warp for each result puts the parts together.
 * @module
 */
import type { Monoid } from "./kernel.ts";
import type { Kernel } from "./kernel.ts";
import { BLOCK, type CudaSource, CudaText, type Names, range } from "./cuda_text.ts";

/** The variants of a reduction. */
export type ReduceVariant = "thread" | "warp" | "block" | "columns" | "merge";

/** How a reduction of some sizes is launched. */
export interface ReducePlan {
  readonly variant: Exclude<ReduceVariant, "merge">;
  /** Blocks that share a result, and reduced points that each of them takes. */
  readonly parts: number;
  readonly length: number;
}

/** Reduced points up to which one thread does a result. */
const FEW = 32;
/** Points that one thread takes on before another block joins in. */
const EACH = 32;
/** Blocks from which on a device is busy, and the most parts of a result. */
const BUSY = 1024;
const MOST_PARTS = 512;

/** Chooses the variant: a function of the sizes only. */
export function planReduce(kernel: Kernel, kept: number, reduced: number): ReducePlan {
  const whole = { parts: 1, length: reduced };
  if (reduced <= FEW) return { variant: "thread", ...whole };
  const split = (blocks: number, least: number) => {
    const wanted = Math.min(MOST_PARTS, Math.ceil(BUSY / blocks), Math.ceil(reduced / least));
    if (wanted <= 1) return whole;
    const length = Math.ceil(reduced / wanted);
    return { parts: Math.ceil(reduced / length), length };
  };
  if (kernel.inner === "kept") {
    if (kept >= 65536) return { variant: "thread", ...whole };
    return { variant: "columns", ...split(Math.ceil(kept / 32), 8 * EACH) };
  }
  if (reduced <= 1024) return { variant: "warp", ...whole };
  return { variant: "block", ...split(kept, BLOCK * EACH) };
}

/** The text of a variant. */
export function renderReduce(kernel: Kernel, wide: boolean, variant: ReduceVariant): CudaSource {
  return new ReduceText(kernel, wide).render(variant);
}

class ReduceText extends CudaText {
  readonly #m: Monoid;
  readonly #kept: readonly number[];
  readonly #reduced: readonly number[];
  /** Whether values may only be combined with their neighbours. */
  readonly #ordered: boolean;

  constructor(kernel: Kernel, wide: boolean) {
    super(kernel, wide);
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
    this.extra("parts");
    this.extra("length");
    this.workspaces(this.#m);
    return this.source(() => variant === "columns" ? this.#columns() : this.#group(variant));
  }

  #thread(): void {
    const { out } = this;
    out.line("const ix count = (ix)a.count, step = (ix)gridDim.x * blockDim.x;");
    out.open("for (ix o = (ix)blockIdx.x * blockDim.x + threadIdx.x; o < count; o += step) {");
    const base = this.#result("o", "operands");
    const acc = this.init(this.#m, "a");
    for (const d of this.#reduced) out.open(`for (ix i${d} = 0; i${d} < n${d}; i${d}++) {`);
    const at = this.places("p", this.#reduced, "operands", base);
    this.feed(this.#m, at, acc);
    for (const _ of this.#reduced) out.close();
    this.#finish("o", acc, base);
    out.close();
  }

  /** Indices and offsets of a result. */
  #result(linear: string, arrays: "operands" | "both"): Names {
    this.decompose(this.#kept, linear);
    return this.places("b", this.#kept, arrays);
  }

  #finish(_linear: string, acc: readonly string[], base: Names): void {
    const outputs = this.places("b", this.#kept, "outputs");
    this.finish(acc, { operand: base.operand, output: outputs.output });
  }

  /** Feeds the reduced points from `first` to `end` that are this thread's, of `threads` side by side. */
  #walk(base: Names, acc: readonly string[], thread: string, threads: number): void {
    const { out } = this;
    if (this.#ordered) {
      out.line(`const ix each = (end - first + ${threads - 1}) / ${threads};`);
      out.line(`const ix low = first + each * (ix)${thread}, high = low + each < end ? low + each : end;`);
      out.open("for (ix r = low; r < high; r++) {");
    } else {
      out.open(`for (ix r = first + (ix)${thread}; r < end; r += ${threads}) {`);
    }
    this.decompose(this.#reduced, "r");
    this.feed(this.#m, this.places("p", this.#reduced, "operands", base), acc);
    out.close();
  }

  /** Combines the lanes of a warp, neighbours first, into lane 0. */
  #lanes(acc: readonly string[]): void {
    const { out } = this;
    out.open("for (int d = 1; d < 32; d *= 2) {");
    const val = acc.map((name, j) => this.fresh(this.#m.dtypes[j]!, `shuffle(${name}, d)`));
    this.combine(this.#m, acc, val);
    out.close();
  }

  #group(variant: "warp" | "block"): void {
    const { out } = this;
    const m = this.#m, warps = BLOCK / 32;
    out.line("const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;");
    out.line("const ix count = (ix)a.count, parts = (ix)a.parts, length = (ix)a.length;");
    if (variant === "warp") {
      out.open(`for (ix o = (ix)blockIdx.x * ${warps} + warp; o < count; o += (ix)gridDim.x * ${warps}) {`);
      out.line("const ix first = 0, end = (ix)a.reduced;");
    } else {
      m.dtypes.forEach((d, j) => out.line(`__shared__ ${this.spaceType(d)} shared${j}[${warps}];`));
      out.open("for (ix g = blockIdx.x; g < count * parts; g += gridDim.x) {");
      out.line("const ix o = g / parts, part = g - o * parts;");
      out.line("const ix first = part * length, limit = (ix)a.reduced;");
      out.line("const ix end = first + length < limit ? first + length : limit;");
    }
    const base = this.#result("o", "operands");
    const acc = this.init(m, "a");
    this.#walk(base, acc, variant === "warp" ? "lane" : "threadIdx.x", variant === "warp" ? 32 : BLOCK);
    this.#lanes(acc);
    if (variant === "warp") {
      out.open("if (lane == 0) {");
      this.#finish("o", acc, base);
      out.close();
      return out.close();
    }
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
    this.#finish("o", acc, base);
    out.close();
  }

  #columns(): void {
    const { out } = this;
    const m = this.#m, rows = BLOCK / 32;
    m.dtypes.forEach((d, j) => out.line(`__shared__ ${this.spaceType(d)} shared${j}[${BLOCK}];`));
    out.line("const int lane = threadIdx.x & 31, row = threadIdx.x >> 5;");
    out.line("const ix count = (ix)a.count, parts = (ix)a.parts, length = (ix)a.length, limit = (ix)a.reduced;");
    out.line("const ix tiles = (count + 31) / 32;");
    out.open("for (ix g = blockIdx.x; g < tiles * parts; g += gridDim.x) {");
    out.line("const ix part = g / tiles, o = (g - part * tiles) * 32 + lane;");
    out.line(`const ix start = part * length, stop = start + length < limit ? start + length : limit;`);
    out.line(`const ix each = (stop - start + ${rows - 1}) / ${rows};`);
    out.line("const ix first = start + each * row, end = first + each < stop ? first + each : stop;");
    const acc = this.init(m, "a");
    out.open("if (o < count) {");
    const base = this.#result("o", "operands");
    out.open("for (ix r = first; r < end; r++) {");
    this.decompose(this.#reduced, "r");
    this.feed(m, this.places("p", this.#reduced, "operands", base), acc);
    out.close();
    out.close();
    out.line("__syncthreads();");
    acc.forEach((name, j) => out.line(`shared${j}[threadIdx.x] = ${name};`));
    out.line("__syncthreads();");
    out.open("if (row == 0 && o < count) {");
    this.#fold(acc, (j, w) => `shared${j}[32 * ${w} + lane]`, rows);
    const again = this.#result("o", "operands");
    this.#keep(acc, again);
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
    this.#lanes(acc);
    out.open("if (lane == 0) {");
    this.#finish("o", acc, this.#result("o", "operands"));
    out.close();
    out.close();
  }
}
