/**
 * Elementwise kernels whose operands move fastest along another loop than the results: transposed ones. Tiles of them go through
 * shared memory, read along the operands and taken from there along the results, so that warps touch whole sectors on both sides.
 * @module
 */
import { bytesOf, GroupText, groupUnroll } from "./cuda_group.ts";
import { BLOCK, type CudaSource, range } from "./cuda_text.ts";
import type { Kernel, Operand } from "./kernel.ts";

/** How a kernel goes by tiles. */
export interface TilePlan {
  /** Equal for plans of one text. */
  readonly key: string;
  /** The loop along which the crossing operands move least. */
  readonly near: number;
  /** Elements of a tile along `near` and along the last loop, powers of two up to `BLOCK`. */
  readonly rows: number;
  readonly columns: number;
  /** Operands that go through a tile. */
  readonly crossing: readonly number[];
}

/** Bytes of a sector, the least that memory moves. */
const SECTOR = 32;
/** Points below which all is in the cache, and more blocks are better. */
const FEW = 1 << 15;
/** Columns up to which the rows of a warp lie side by side in the operands too. */
const NARROW = 4;
/** Bytes of shared memory. */
const SHARED = 48 << 10;

const canCross = (o: Operand): boolean => o.access === "strided" && !o.virtual && o.gathered === 0;

/** Whether some launches of a kernel may go by tiles. */
export function mayCross(kernel: Kernel): boolean {
  return kernel.kind === "map" && kernel.rank > 1 && kernel.operands.some(canCross);
}

/**
 * How a launch goes by tiles, or null where it should not.
 *
 * @param sizes of the loops
 * @param strides in elements, of an operand
 */
export function planTile(
  kernel: Kernel,
  sizes: readonly number[],
  strides: (operand: number) => readonly number[],
): TilePlan | null {
  const last = kernel.rank - 1;
  let points = 1;
  for (const n of sizes) points *= n;
  if (points < FEW) return null;
  const nears = kernel.operands.map((o, k) => canCross(o) ? nearest(sizes, strides(k), bytesOf(o)) : -1);
  // The loop along which most bytes would be read well.
  const gain = new Array<number>(last).fill(0);
  nears.forEach((d, k) => d >= 0 && (gain[d]! += bytesOf(kernel.operands[k]!)));
  const near = gain.indexOf(Math.max(...gain));
  if (gain[near] === 0 || near === last - 1 && sizes[last]! <= NARROW) return null;
  const crossing = range(0, nears.length).filter((k) => nears[k] === near);
  const shape = () =>
    tileShape(sizes[near]!, sizes[last]!, Math.max(...crossing.map((k) => bytesOf(kernel.operands[k]!))));
  while (sharedBytes(kernel, crossing, shape()) > SHARED) crossing.pop();
  const { rows, columns } = shape();
  return { key: `tile${near} ${rows}x${columns} ${crossing}`, near, rows, columns, crossing };
}

/** The loop along which an operand moves by less than a sector and less than along the last one; -1 where there is none. */
function nearest(sizes: readonly number[], strides: readonly number[], bytes: number): number {
  const last = sizes.length - 1;
  let near = -1, least = Math.min(Math.abs(strides[last]!), SECTOR / bytes);
  for (let d = 0; d < last; d++) {
    const step = Math.abs(strides[d]!);
    if (step === 0 || step >= least || sizes[d] === 1) continue;
    near = d;
    least = step;
  }
  return near;
}

/** Squares, larger ones of narrow elements, so that as many bytes are under way; flat where there are few rows or columns. */
function tileShape(rows: number, columns: number, bytes: number): { readonly rows: number; readonly columns: number } {
  const side = bytes < 4 ? 64 : 32;
  const fit = (n: number, most = side) => Math.min(most, 2 ** Math.ceil(Math.log2(n)));
  const fill = (n: number, beside: number) => fit(n, Math.min(BLOCK, side * side / beside));
  const few = Math.min(fit(rows), fit(columns));
  return rows < columns ? { rows: few, columns: fill(columns, few) } : { rows: fill(rows, few), columns: few };
}

/** Elements from one row of a tile to the next: threads in a row and threads in a column meet different banks. */
function pitch(o: Operand, rows: number, columns: number): number {
  return columns + Math.max(1, 4 / bytesOf(o), 32 / rows);
}

function sharedBytes(
  kernel: Kernel,
  crossing: readonly number[],
  { rows, columns }: { readonly rows: number; readonly columns: number },
): number {
  return crossing.reduce((sum, k) => {
    const o = kernel.operands[k]!;
    return sum + rows * pitch(o, rows, columns) * bytesOf(o);
  }, 0);
}

/** The text of a map kernel that goes by tiles. Of its extras, `across` and `down` (where there are further loops) count tiles, `count` all of them. */
export function renderTile(kernel: Kernel, wide: boolean, plan: TilePlan): CudaSource {
  return new TileText(kernel, wide, plan).render();
}

class TileText extends GroupText {
  readonly #plan: TilePlan;

  constructor(kernel: Kernel, wide: boolean, plan: TilePlan) {
    const unroll = Math.min(groupUnroll(kernel, 1), Math.max(1, plan.rows * plan.columns / BLOCK));
    super(kernel, wide, { loop: kernel.rank - 1, width: 1, unroll, vector: true });
    this.#plan = plan;
  }

  render(): CudaSource {
    const { k, out } = this, { near, rows, columns, crossing } = this.#plan, last = k.rank - 1;
    const outer = range(0, last).filter((d) => d !== near);
    this.extra("count");
    for (const name of outer.length > 0 ? ["across", "down"] : ["across"]) {
      this.extra(name);
      this.divisor(`by_${name}`);
    }
    this.divisors(outer);
    return this.source(() => {
      this.groupTypes();
      for (const i of crossing) {
        out.line(`__shared__ X${i} tile${i}[${rows * pitch(k.operands[i]!, rows, columns)}];`);
      }
      out.line(`const ix count = (ix)a.count, across = (ix)a.across${outer.length > 0 ? ", down = (ix)a.down" : ""};`);
      out.line("#pragma unroll 1");
      out.open("for (ix t = blockIdx.x; t < count; t += gridDim.x) {");
      out.line(`const ix strip = ${this.quotient("t", "across", "by_across")};`);
      if (outer.length > 0) out.line(`const ix rest = ${this.quotient("strip", "down", "by_down")};`);
      const row = outer.length > 0 ? "(strip - rest * down)" : "strip";
      out.line(`const ix top = ${row} * ${rows}, left = (t - strip * across) * ${columns};`);
      out.line(`const ix bottom = top + ${rows} < n${near} ? top + ${rows} : n${near};`);
      out.line(`const ix right = left + ${columns} < n${last} ? left + ${columns} : n${last};`);
      this.decompose(outer, "rest");
      const base = this.places("b", outer, "both");
      this.#fill(base.operand);
      out.line("__syncthreads();");
      this.#take(base);
      out.line("__syncthreads();");
      out.close();
    });
  }

  /** Where an element of the tile of an operand is. */
  #cell(k: number): string {
    const { near, rows, columns } = this.#plan;
    return `tile${k}[(i${near} - top) * ${pitch(this.k.operands[k]!, rows, columns)} + i${this.k.rank - 1} - left]`;
  }

  /** Reads the tiles: neighbouring threads along `near`, all that a thread takes before it writes. */
  #fill(base: (k: number) => string): void {
    const { out } = this, { near, rows, columns, crossing } = this.#plan, last = this.k.rank - 1;
    const step = BLOCK / rows;
    let turn = Math.max(1, columns / step);
    while (turn > 1 && turn * crossing.length > 16) turn /= 2;
    const each = () => {
      out.line("#pragma unroll");
      out.open(`for (int u = 0; u < ${turn}; u++) {`);
      out.line(`const ix i${last} = from + u * ${step};`);
    };
    out.line(`const ix i${near} = top + threadIdx.x % ${rows};`);
    out.open(`if (i${near} < bottom) {`);
    out.line("#pragma unroll 1");
    out.open(`for (ix from = left + threadIdx.x / ${rows}; from < right; from += ${step * turn}) {`);
    for (const k of crossing) out.line(`X${k} in${k}[${turn}];`);
    each();
    for (const k of crossing) {
      const at = this.offset(this.operands[k]!, [near, last], base(k));
      out.line(`if (i${last} < right) in${k}[u] = *(const X${k} *)(a.x${k} + (${at}));`);
    }
    out.close();
    each();
    for (const k of crossing) out.line(`if (i${last} < right) ${this.#cell(k)} = in${k}[u];`);
    out.close();
    out.close();
    out.close();
  }

  /** Computes and stores: neighbouring threads along the last loop. */
  #take(base: { readonly operand: (k: number) => string; readonly output: (k: number) => string }): void {
    const { k, out } = this, { near, columns } = this.#plan, last = k.rank - 1;
    const { unroll } = this.groups, step = BLOCK / columns;
    out.open("{");
    out.line(`const ix i${last} = left + threadIdx.x % ${columns};`);
    out.line(`const ix first = top + threadIdx.x / ${columns}, end = i${last} < right ? bottom : first;`);
    out.line("#pragma unroll 1");
    out.open(`for (ix from = first; from < end; from += ${step * unroll}) {`);
    this.groupRoom();
    k.outputs.forEach((_, j) => out.line(`ix to${j}[${unroll}];`));
    this.eachGroup();
    // Past the end a thread reads its first element again.
    out.line(`const ix i${near} = ${unroll > 1 ? `from + u * ${step} < end ? from + u * ${step} : from` : "from"};`);
    this.loadGroup((a, j) => this.offset(a, [near, last], base.operand(j)));
    this.outputs.forEach((a, j) => out.line(`to${j}[u] = ${this.offset(a, [near, last], base.output(j))};`));
    out.close();
    this.eachGroup();
    if (unroll > 1) out.line(`if (from + u * ${step} >= end) break;`);
    this.withGroup((operand) => this.store(k.body, this.emitter.emit(k.body, { operand }), (j) => `to${j}[u]`));
    out.close();
    out.close();
    out.close();
  }

  protected override group(k: number, at: string): string {
    return this.#plan.crossing.includes(k) ? this.#cell(k) : super.group(k, at);
  }
}
