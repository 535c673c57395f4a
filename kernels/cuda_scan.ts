/**
 * Running reductions in CUDA. As with reductions, how a row is cut depends on sizes alone.
 *
 * - `thread`: a thread for each row.
 * - `totals`, `block`: rows are cut into chunks of one block each; the first gives the total of each chunk, the second starts from the
 *   totals of the chunks before. A row of one chunk needs only the second.
 * @module
 */
import { BLOCK, type CudaSource, CudaText, type Names, range } from "./cuda_text.ts";
import type { Kernel, Monoid } from "./kernel.ts";

/** The variants of a scan. */
export type ScanVariant = "thread" | "totals" | "block";

/** How a scan of some sizes is launched. */
export interface ScanPlan {
  readonly variant: "thread" | "block";
  readonly chunks: number;
  readonly length: number;
}

/** Elements of a row that a thread takes at once. */
const ITEMS = 4;
const TILE = BLOCK * ITEMS;

/** Chooses the variant: a function of the sizes only. */
export function planScan(rows: number, n: number): ScanPlan {
  if (n <= 64 || rows >= 16384) return { variant: "thread", chunks: 1, length: n };
  const chunks = Math.max(1, Math.min(128, Math.ceil(512 / rows), Math.ceil(n / (4 * TILE))));
  const length = Math.ceil(n / chunks / TILE) * TILE;
  return { variant: "block", chunks: Math.ceil(n / length), length };
}

/** The text of a variant. */
export function renderScan(kernel: Kernel, wide: boolean, variant: ScanVariant): CudaSource {
  return new ScanText(kernel, wide).render(variant);
}

class ScanText extends CudaText {
  readonly #m: Monoid;
  readonly #outer: readonly number[];
  readonly #last: number;

  constructor(kernel: Kernel, wide: boolean) {
    super(kernel, wide);
    this.#m = this.k.reduction!;
    this.#last = this.k.rank - 1;
    this.#outer = range(0, this.#last);
  }

  render(variant: ScanVariant): CudaSource {
    this.extra("count");
    this.divisors(this.#outer);
    if (variant === "thread") return this.source(() => this.#thread());
    this.extra("chunks");
    this.extra("length");
    this.workspaces(this.#m);
    return this.source(() => variant === "totals" ? this.#totals() : this.#block());
  }

  #thread(): void {
    const { out } = this;
    out.line("const ix count = (ix)a.count, step = (ix)gridDim.x * blockDim.x;");
    out.open("for (ix row = (ix)blockIdx.x * blockDim.x + threadIdx.x; row < count; row += step) {");
    const base = this.#row("row");
    const acc = this.init(this.#m, "a");
    out.open(`for (ix i${this.#last} = 0; i${this.#last} < n${this.#last}; i${this.#last}++) {`);
    this.#step(base, acc);
    out.close();
    out.close();
  }

  #row(linear: string): Names {
    this.decompose(this.#outer, linear);
    return this.places("b", this.#outer, "both");
  }

  /** Takes the element at the index of the scanned loop in, and stores the running values. */
  #step(base: Names, acc: readonly string[]): void {
    const at = this.places("p", [this.#last], "both", base);
    this.feed(this.#m, at, acc);
    this.finish(acc, at);
  }

  /** Opens the loop of a block over chunks. */
  #chunks(): Names {
    const { out } = this;
    out.line("const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;");
    out.line("const ix count = (ix)a.count, chunks = (ix)a.chunks, length = (ix)a.length;");
    this.#m.dtypes.forEach((d, j) => out.line(`__shared__ ${this.spaceType(d)} shared${j}[${BLOCK / 32}];`));
    out.open("for (ix g = blockIdx.x; g < count * chunks; g += gridDim.x) {");
    out.line("const ix row = g / chunks, chunk = g - row * chunks, first = chunk * length;");
    out.line(`const ix end = first + length < n${this.#last} ? first + length : n${this.#last};`);
    return this.#row("row");
  }

  #totals(): void {
    const { out } = this, m = this.#m;
    const base = this.#chunks();
    out.line(`const ix each = (end - first + ${BLOCK - 1}) / ${BLOCK};`);
    out.line("const ix low = first + each * (ix)threadIdx.x, high = low + each < end ? low + each : end;");
    const acc = this.init(m, "a");
    out.open(`for (ix i${this.#last} = low; i${this.#last} < high; i${this.#last}++) {`);
    this.feed(m, this.places("p", [this.#last], "operands", base), acc);
    out.close();
    this.#inclusive(acc);
    out.line("__syncthreads();");
    out.open("if (lane == 31) {");
    acc.forEach((name, j) => out.line(`shared${j}[warp] = ${name};`));
    out.close();
    out.line("__syncthreads();");
    out.open("if (threadIdx.x == 0) {");
    const total = this.init(m, "c");
    this.#fold(total, (j) => `shared${j}[w]`, String(BLOCK / 32));
    total.forEach((name, j) => out.line(`a.w${j}[(i64)row * chunks + chunk] = ${name};`));
    out.close();
    out.close();
  }

  #block(): void {
    const { out } = this, m = this.#m, i = `i${this.#last}`;
    const base = this.#chunks();
    // What comes before this chunk.
    const carry = this.init(m, "c");
    this.#fold(carry, (j) => `a.w${j}[(i64)row * chunks + w]`, "chunk");
    out.open(`for (ix tile = first; tile < end; tile += ${TILE}) {`);
    out.line(`const ix low = tile + (ix)threadIdx.x * ${ITEMS}, high = low + ${ITEMS} < end ? low + ${ITEMS} : end;`);
    const sum = this.init(m, "a");
    out.open(`for (ix ${i} = low; ${i} < high; ${i}++) {`);
    this.feed(m, this.places("p", [this.#last], "operands", base), sum);
    out.close();
    this.#inclusive(sum);
    out.line("__syncthreads();");
    out.open("if (lane == 31) {");
    sum.forEach((name, j) => out.line(`shared${j}[warp] = ${name};`));
    out.close();
    out.line("__syncthreads();");
    // What comes before this thread: the carry, the warps before, the lanes before.
    const before = this.#copy(carry, "e");
    this.#fold(before, (j) => `shared${j}[w]`, "warp");
    const lanes = m.dtypes.map((d, j) => this.fresh(d, `shuffle_up(${sum[j]}, 1)`));
    out.open("if (lane > 0) {");
    this.combine(m, before, lanes);
    out.close();
    out.open(`for (ix ${i} = low; ${i} < high; ${i}++) {`);
    this.#step(base, before);
    out.close();
    this.#fold(carry, (j) => `shared${j}[w]`, String(BLOCK / 32));
    out.close();
    out.close();
  }

  /** Variables that start as others are. */
  #copy(names: readonly string[], prefix: string): string[] {
    return names.map((name, j) => {
      this.out.line(`${this.spaceType(this.#m.dtypes[j]!)} ${prefix}${j} = ${name};`);
      return `${prefix}${j}`;
    });
  }

  /** Combines `acc` with some values in order. */
  #fold(acc: readonly string[], at: (j: number) => string, count: string): void {
    this.out.open(`for (int w = 0; w < ${count}; w++) {`);
    this.combine(this.#m, acc, acc.map((_, j) => this.fresh(this.#m.dtypes[j]!, at(j))));
    this.out.close();
  }

  /** Turns the value of each lane into that of all lanes up to it. */
  #inclusive(acc: readonly string[]): void {
    const { out } = this, m = this.#m;
    out.open("for (int d = 1; d < 32; d *= 2) {");
    const up = this.#copy(acc.map((name) => `shuffle_up(${name}, d)`), "up");
    out.open("if (lane >= d) {");
    this.combine(m, up, acc);
    acc.forEach((name, j) => out.line(`${name} = ${up[j]};`));
    out.close();
    out.close();
  }
}
