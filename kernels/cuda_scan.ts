/**
 * Running reductions in CUDA. As with reductions, how a row is cut depends on its sizes and on which loop moves faster, never on addresses.
 *
 * A block takes `lanes` neighbouring rows where the arrays move least from row to row, else one; `warps` of its warps work on the same
 * rows. Each thread reads some elements, adds them up, learns from the others what comes before, and stores its running values.
 *
 * - `thread`: a thread for each row: 32 lanes and one warp.
 * - `totals`, `block`: rows are cut into chunks of one block each; the first gives the total of each chunk, the second starts from the
 *   totals of the chunks before. A row of one chunk needs only the second.
 * @module
 */
import { dtypes } from "../src/base/dtype.ts";
import { cMemory, cType } from "./c_ops.ts";
import { bytesOf, isDense } from "./cuda_group.ts";
import { BLOCK, type CudaSource, CudaText, type Names, operandsOf, range } from "./cuda_text.ts";
import type { Kernel, Monoid, Operand, Output } from "./kernel.ts";
import { bare } from "./render.ts";

/** The variants of a scan. */
export type ScanVariant = "thread" | "totals" | "block";

/** What a block does. */
export interface ScanShape {
  /** Neighbouring rows that the lanes of a warp take, a power of two. */
  readonly lanes: number;
  /** Warps that work on the same rows: one, or all of the block. */
  readonly warps: 1 | 8;
  /** Whether contiguous arrays lie such that what a thread takes of a row is one load or store, or a few; only for one lane. */
  readonly vector?: boolean;
}

/** How a scan of some sizes is launched. */
export interface ScanPlan extends ScanShape {
  readonly variant: "thread" | "block";
  /** Rows of a block. */
  readonly rows: number;
  readonly chunks: number;
  readonly length: number;
}

/** Elements of a row that a thread takes at once; more where they do not lie side by side, as far as registers hold them. */
function itemsOf(kernel: Kernel, lanes: number): number {
  const bytes = kernel.reduction!.dtypes.reduce((sum, d) => sum + dtypes[d].itemsize, 0);
  return lanes === 1 || bytes > 8 ? 4 : 8;
}

/** Elements of a row that a block, or a warp alone, takes at once. */
const tileOf = (kernel: Kernel, { lanes, warps }: ScanShape): number => warps * (32 / lanes) * itemsOf(kernel, lanes);
/** Blocks from which on a device is busy, and the most chunks of a row. */
const BUSY = 512, MOST_CHUNKS = 128;
/** Elements that a chunk should have, as another launch takes its time. */
const LONG = 512;
/** Rows from which on a thread, or a warp, for each keeps a device busy. */
const MANY_THREADS = 65536, MANY_WARPS = 4096;

/** Whether the arrays, weighed by their bytes, move less from row to row than along the rows. */
function isAcross(kernel: Kernel, strides: (array: number) => readonly number[]): boolean {
  const { operands, outputs, rank } = kernel;
  if (rank < 2) return false;
  let balance = 0;
  [...operands, ...outputs].forEach((o, i) => {
    const operand = operands[i];
    if (operand !== undefined && (operand.virtual || operand.gathered > 0)) return;
    const along = Math.abs(strides(i)[rank - 1]!), across = Math.abs(strides(i)[rank - 2]!);
    if (across !== along) balance += (across < along ? 1 : -1) * bytesOf(o);
  });
  return balance > 0;
}

/**
 * Chooses the variant.
 *
 * @param sizes of the loops
 * @param strides in elements, of operands then outputs
 */
export function planScan(
  kernel: Kernel,
  sizes: readonly number[],
  strides: (array: number) => readonly number[],
): ScanPlan {
  const n = sizes[sizes.length - 1]!;
  let count = 1;
  for (let d = 0; d < sizes.length - 1; d++) count *= sizes[d]!;
  const across = isAcross(kernel, strides);
  if (n <= 16 || across && n <= 256 && count >= MANY_THREADS) {
    return { variant: "thread", lanes: 32, warps: 1, rows: BLOCK, chunks: 1, length: n };
  }
  const lanes = across ? Math.min(32, 2 ** Math.ceil(Math.log2(count))) : 1;
  const alone = !across && (n <= 128 || n <= 1024 && count >= MANY_WARPS);
  const shape: ScanShape = { lanes, warps: alone ? 1 : 8 };
  const rows = lanes * (8 / shape.warps), tile = tileOf(kernel, shape);
  const blocks = Math.ceil(count / rows);
  const chunks = Math.max(1, Math.min(MOST_CHUNKS, Math.ceil(BUSY / blocks), Math.ceil(n / Math.max(4 * tile, LONG))));
  const length = Math.ceil(n / chunks / tile) * tile;
  return { variant: "block", ...shape, rows, chunks: Math.ceil(n / length), length };
}

/**
 * Whether contiguous arrays of a launch lie such that what a thread takes of a row are whole vectors.
 *
 * @param addresses in bytes, of operands then outputs
 * @param strides in elements, likewise
 */
export function scanAligned(
  kernel: Kernel,
  addresses: readonly number[],
  strides: (array: number) => readonly number[],
): boolean {
  const { operands, outputs, rank } = kernel, items = itemsOf(kernel, 1);
  if (outputs.some((o) => o.access !== "unit")) return false;
  return [...operands, ...outputs].every((o, i) => {
    if (i < operands.length && !isDense(operands[i]!)) return true;
    const each = bytesOf(o), align = vectorBytes(o, items);
    return addresses[i]! % align === 0 && strides(i).slice(0, rank - 1).every((step) => step * each % align === 0);
  });
}

/** Bytes to which a vector of some elements is aligned. */
const vectorBytes = (o: Operand | Output, items: number): number => Math.min(16, bytesOf(o) * items);

/** The text of a variant. */
export function renderScan(
  kernel: Kernel,
  wide: boolean,
  variant: ScanVariant,
  shape: ScanShape = { lanes: 1, warps: 8 },
): CudaSource {
  return new ScanText(kernel, wide, variant === "thread" ? { lanes: 32, warps: 1 } : shape).render(variant);
}

/** What turns a number of elements into one of scalars. */
const times = (o: Operand | Output): string => o.components > 1 ? ` * ${o.components}` : "";

class ScanText extends CudaText {
  readonly #m: Monoid;
  readonly #outer: readonly number[];
  readonly #last: number;
  readonly #lanes: number;
  readonly #warps: number;
  readonly #items: number;
  readonly #tile: number;
  readonly #vector: boolean;
  /** Operands that are read as vectors. */
  readonly #vectors: readonly number[];

  constructor(kernel: Kernel, wide: boolean, shape: ScanShape) {
    super(kernel, wide);
    this.#m = this.k.reduction!;
    this.#last = this.k.rank - 1;
    this.#outer = range(0, this.#last);
    this.#lanes = shape.lanes;
    this.#warps = shape.warps;
    this.#items = itemsOf(kernel, shape.lanes);
    this.#tile = tileOf(kernel, shape);
    this.#vector = shape.vector === true && shape.lanes === 1;
    const used = operandsOf(this.k.body);
    this.#vectors = this.#vector
      ? range(0, kernel.operands.length).filter((k) => used.has(k) && isDense(kernel.operands[k]!))
      : [];
  }

  /** Whether each thread has rows of its own. */
  get #alone(): boolean {
    return this.#lanes === 32 && this.#warps === 1;
  }

  render(variant: ScanVariant): CudaSource {
    this.extra("count");
    this.divisors(this.#outer);
    if (variant !== "thread") {
      this.extra("chunks");
      this.extra("length");
      this.workspaces(this.#m);
    }
    return this.source(() => this.#write(variant));
  }

  #write(variant: ScanVariant): void {
    const { out } = this, m = this.#m, cut = variant !== "thread", last = this.#last;
    const lanes = this.#lanes, warps = this.#warps, rows = lanes * (8 / warps);
    out.line("const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;");
    out.line(`const ix count = (ix)a.count${cut ? ", chunks = (ix)a.chunks, length = (ix)a.length" : ""};`);
    if (warps > 1) {
      m.dtypes.forEach((d, j) => out.line(`__shared__ ${this.spaceType(d)} shared${j}[${warps * lanes}];`));
    }
    const vector = (o: Operand | Output, name: string) =>
      out.line(
        `typedef struct alignas(${vectorBytes(o, this.#items)}) { ${cMemory[o.dtype]} v[${
          this.#items * o.components
        }]; } ${name};`,
      );
    for (const x of this.#vectors) vector(this.k.operands[x]!, `X${x}`);
    if (this.#vector && variant !== "totals") this.k.outputs.forEach((o, j) => vector(o, `Y${j}`));
    const groups = `(count + ${rows - 1}) / ${rows}`;
    out.line("#pragma unroll 1");
    out.open(`for (ix g = blockIdx.x; g < ${rows > 1 ? groups : "count"}${cut ? " * chunks" : ""}; g += gridDim.x) {`);
    if (cut) out.line("const ix group = g / chunks, chunk = g - group * chunks, first = chunk * length;");
    else out.line("const ix group = g, first = 0;");
    const limit = cut ? `first + length < n${last} ? first + length : n${last}` : `n${last}`;
    out.line(`const ix end = ${limit};`);
    // Past the last row threads take part, but in nothing.
    if (rows === 1) out.line("const ix row = group;");
    else {
      out.line(`const ix wanted = group * ${rows} + ${this.#rowOfThread()};`);
      out.line("const ix row = wanted < count ? wanted : 0;");
    }
    this.decompose(this.#outer, "row");
    const base = this.places("b", this.#outer, "both");
    const carry = this.init(m, "c");
    if (variant === "block") this.#fold(carry, (j) => `a.w${j}[(i64)row * chunks + w]`, "0", "chunk");
    this.#tiles(base, carry, variant !== "totals");
    if (variant === "totals") {
      const leader = lanes > 1 ? `lane < ${lanes}` : "lane == 0";
      out.open(`if (${leader}${warps > 1 ? " && warp == 0" : ""}${rows > 1 ? " && wanted < count" : ""}) {`);
      carry.forEach((name, j) => out.line(`a.w${j}[(i64)row * chunks + chunk] = ${name};`));
      out.close();
    }
    out.close();
  }

  /** Which of the rows of a block is a thread's. */
  #rowOfThread(): string {
    if (this.#alone) return "(ix)threadIdx.x";
    const lane = this.#lanes === 32 ? "lane" : `lane % ${this.#lanes}`;
    if (this.#warps > 1) return lane;
    return this.#lanes === 1 ? "warp" : `warp * ${this.#lanes} + ${lane}`;
  }

  /** Which part of a tile is a thread's. */
  #partOfThread(): string {
    const lanes = this.#lanes, lane = lanes === 1 ? "lane" : `lane / ${lanes}`;
    if (this.#warps === 1) return lane;
    return lanes === 1 ? "(ix)threadIdx.x" : lanes === 32 ? "warp" : `(warp * ${32 / lanes} + ${lane})`;
  }

  /** Goes through the elements from `first` to `end` of the rows of a block, tile by tile; `carry` is what comes before. */
  #tiles(base: Names, carry: readonly string[], stores: boolean): void {
    const { out } = this, m = this.#m, items = this.#items;
    const lanes = this.#lanes, warps = this.#warps;
    out.line("#pragma unroll 1");
    out.open(`for (ix tile = first; tile < end; tile += ${this.#tile}) {`);
    out.line(`const ix low = ${this.#alone ? "tile" : `tile + ${this.#partOfThread()} * ${items}`};`);
    const most = `low + ${items} < end ? low + ${items} : end`;
    out.line(`const ix high = ${lanes * (8 / warps) > 1 ? `wanted >= count ? low : ${most}` : most};`);
    if (this.#vector) out.line(`const bool whole = high - low == ${items};`);
    this.#read(base);
    let running = carry;
    if (!this.#alone) {
      const sum = this.init(m, "a");
      this.#each();
      out.open("if (low + j < high) {");
      this.combine(m, sum, sum.map((_, j) => `v${j}[j]`));
      out.close();
      out.close();
      running = this.#before(sum, carry);
    }
    if (stores) this.#store(base, running);
    if (!this.#alone && this.#warps > 1) {
      this.#fold(carry, (j) => this.#shared(j, "w"), "0", String(this.#warps));
    }
    out.close();
  }

  /** Reads the elements of a thread, all before anything is made of them: `v0[j]`, … */
  #read(base: Names): void {
    const { out, k } = this, items = this.#items, i = `i${this.#last}`;
    for (const x of this.#vectors) {
      const o = k.operands[x]!, at = `a.x${x} + (${this.#from(base.operand(x), o)})`;
      out.line(`X${x} in${x};`);
      this.#wholeOrNot(o, `in${x} = *(const X${x} *)(${at})`, `in${x}.v[j] = (${at})[j]`);
    }
    this.#m.dtypes.forEach((d, j) => out.line(`${cType(d)} v${j}[${items}];`));
    this.#each();
    out.line(`const ix ${i} = low + j;`);
    out.open(`if (${i} < high) {`);
    const element = (x: number, component: number) =>
      this.#vectors.includes(x) ? `in${x}.v[j${times(k.operands[x]!)}${component > 0 ? " + 1" : ""}]` : null;
    this.loadedFrom(element, () => {
      const operand = (x: number) => this.offset(this.operands[x]!, [this.#last], base.operand(x));
      this.bodyValues(this.#m, { operand }).forEach((t, j) => out.line(`v${j}[j] = ${bare(t)};`));
    });
    out.close();
    out.close();
  }

  /** Stores the running values of a thread, from what comes before on. */
  #store(base: Names, running: readonly string[]): void {
    const { out, k } = this, m = this.#m, i = `i${this.#last}`;
    if (this.#vector) k.outputs.forEach((_, j) => out.line(`Y${j} out${j};`));
    this.#each();
    out.line(`const ix ${i} = low + j;`);
    out.open(`if (${i} < high) {`);
    this.combine(m, running, running.map((_, j) => `v${j}[j]`));
    if (!this.#vector) this.finish(running, this.places("q", [this.#last], "outputs", base));
    else {
      const epilogue = k.epilogue!, texts = this.emitter.emit(epilogue, { operand: () => "", acc: running });
      let v = 0;
      k.outputs.forEach((o, j) => {
        for (let c = 0; c < o.components; c++, v++) {
          out.line(
            `out${j}.v[j${times(o)}${c > 0 ? " + 1" : ""}] = ${this.bits(o.dtype, epilogue[v]!.dtype, texts[v]!)};`,
          );
        }
      });
    }
    out.close();
    out.close();
    if (!this.#vector) return;
    k.outputs.forEach((o, j) => {
      const at = `a.y${j} + (${this.#from(base.output(j), o)})`;
      this.#wholeOrNot(o, `*(Y${j} *)(${at}) = out${j}`, `(${at})[j] = out${j}.v[j]`);
    });
  }

  /** Moves all that a thread takes of an array at once, or one by one where the row ends. */
  #wholeOrNot(o: Operand | Output, all: string, one: string): void {
    const { out } = this;
    out.line(`if (whole) ${all};`);
    out.open("else {");
    out.line("#pragma unroll");
    out.line(`for (int j = 0; j < ${this.#items * o.components}; j++) if (j < (high - low)${times(o)}) ${one};`);
    out.close();
  }

  /** Where the elements of a thread begin in a contiguous array. */
  #from(base: string, o: Operand | Output): string {
    return base === "0" ? `low${times(o)}` : `${base} + low${times(o)}`;
  }

  /**
   * What comes before the elements of a thread: the carry, the warps before, the lanes before. A warp alone takes its total to the carry.
   *
   * @param sum of the thread's own elements
   */
  #before(sum: readonly string[], carry: readonly string[]): readonly string[] {
    const { out } = this, m = this.#m, lanes = this.#lanes, alone = this.#warps === 1;
    if (lanes < 32) this.#inclusive(sum);
    if (!alone) {
      // What the tile before left there was read.
      out.line("__syncthreads();");
      if (lanes < 32) out.open(`if (lane >= ${32 - lanes}) {`);
      sum.forEach((name, j) => out.line(`${this.#shared(j, "warp")} = ${name};`));
      if (lanes < 32) out.close();
      out.line("__syncthreads();");
    }
    const before = this.#copy(carry, "e");
    if (!alone) this.#fold(before, (j) => this.#shared(j, "w"), "0", "warp");
    if (lanes < 32) {
      const up = m.dtypes.map((d, j) => this.fresh(d, `shuffle_up(${sum[j]}, ${lanes})`));
      out.open(`if (lane >= ${lanes}) {`);
      this.combine(m, before, up);
      out.close();
    }
    if (alone) {
      const total = m.dtypes.map((d, j) =>
        this.fresh(d, `shuffle_from(${sum[j]}, ${lanes === 1 ? "31" : `${32 - lanes} + lane % ${lanes}`})`)
      );
      this.combine(m, carry, total);
    }
    return before;
  }

  /** The total of the rows of this lane in a warp. */
  #shared(j: number, warp: string): string {
    const lanes = this.#lanes;
    const lane = lanes === 32 ? "lane" : `lane % ${lanes}`;
    return lanes === 1 ? `shared${j}[${warp}]` : `shared${j}[${warp} * ${lanes} + ${lane}]`;
  }

  /** Opens a loop over the elements of a thread. */
  #each(): void {
    this.out.line("#pragma unroll");
    this.out.open(`for (int j = 0; j < ${this.#items}; j++) {`);
  }

  /** Variables that start as others are. */
  #copy(names: readonly string[], prefix: string): string[] {
    return names.map((name, j) => {
      this.out.line(`${this.spaceType(this.#m.dtypes[j]!)} ${prefix}${j} = ${name};`);
      return `${prefix}${j}`;
    });
  }

  /** Combines `acc` with some values in order. */
  #fold(acc: readonly string[], at: (j: number) => string, from: string, to: string): void {
    this.out.open(`for (int w = ${from}; w < ${to}; w++) {`);
    this.combine(this.#m, acc, acc.map((_, j) => this.fresh(this.#m.dtypes[j]!, at(j))));
    this.out.close();
  }

  /** Turns the value of each lane into that of all lanes of its row up to it. */
  #inclusive(acc: readonly string[]): void {
    const { out } = this, m = this.#m;
    out.open(`for (int d = ${this.#lanes}; d < 32; d *= 2) {`);
    const up = this.#copy(acc.map((name) => `shuffle_up(${name}, d)`), "up");
    out.open("if (lane >= d) {");
    this.combine(m, up, acc);
    acc.forEach((name, j) => out.line(`${name} = ${up[j]};`));
    out.close();
    out.close();
  }
}
