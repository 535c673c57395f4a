/**
 * Matrix products in WebAssembly, for every dtype and any strides: blocks of the operands are copied into one memory and multiplied there.
 * @module
 */
import { matmulColumns, type MatmulMode, matmulRows, type MatmulType, matmulWasm } from "../../kernels/wasm_matmul.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import type { HostArray } from "./host.ts";
import { fromBfloat16, type Matrix, matrixOf, toBfloat16 } from "./matmul_js.ts";
import { type EngineMemory, engineMemory, productBase, productRoom } from "./wasm_memory.ts";
import { stage, walkOf, type Words } from "./wasm_stage.ts";

/** Rows and columns of a block at most: three blocks stay in the second cache. */
const edges = { 4: 256, 8: 192 } as const;
/** Rows of a block that lie so many bytes apart, or a multiple, share few sets of the cache: they are moved a line apart. */
const crowded = 512, line = 64;
/** Rows that may be crowded for all that. */
const few = 64;

type Run = (
  a: number,
  b: number,
  c: number,
  m: number,
  n: number,
  k: number,
  aRow: number,
  bRow: number,
  cRow: number,
  mode: MatmulMode,
) => void;

const modules = new WeakMap<EngineMemory, Map<MatmulType, Run>>();

function runOf(type: MatmulType, memory: EngineMemory): Run {
  let runs = modules.get(memory);
  if (runs === undefined) modules.set(memory, runs = new Map());
  let run = runs.get(type);
  if (run === undefined) {
    const module = new WebAssembly.Module(matmulWasm(type, memory.features));
    run = new WebAssembly.Instance(module, { h: { memory: memory.memory } }).exports["run"] as Run;
    runs.set(type, run);
  }
  return run;
}

/** In what a dtype is multiplied, and whether its bits are copied as they are. */
function typeOf(dtype: DType): { readonly type: MatmulType; readonly asIs: boolean } {
  const { kind, itemsize, components } = dtypeInfo(dtype), bytes = itemsize / components;
  if (kind === "f" || kind === "c") return { type: bytes === 4 ? "f32" : "f64", asIs: bytes >= 4 };
  // The sums of small integers are exact in float64.
  return itemsize < 4 ? { type: "f64", asIs: false } : { type: itemsize === 4 ? "i32" : "i64", asIs: true };
}

/** Where a block lies: its address, and bytes from row to row. */
interface Block {
  readonly at: number;
  readonly row: number;
}

/** Blocks of one matrix: where they are in the heap, or copied. */
class Blocks {
  /** Whether the matrix lies in the heap with its columns side by side. */
  readonly inHeap: boolean;
  readonly #matrix: Matrix;
  readonly #dtype: DType;
  readonly #bytes: 4 | 8;
  /** The memory as words of 32 bits, or as the numbers that are converted on the way. */
  readonly #block: Words | Float64Array;
  readonly #base: number;
  readonly #asIs: boolean;
  readonly #start: number;

  constructor(
    matrix: Matrix,
    { dtype, memory: host }: HostArray,
    asIs: boolean,
    bytes: 4 | 8,
    memory: EngineMemory,
    index: number,
  ) {
    this.#matrix = matrix;
    this.#dtype = dtype;
    this.#bytes = bytes;
    this.#asIs = asIs;
    this.#block = asIs ? memory.uint32 : memory.float64;
    this.#base = productBase + index * productRoom;
    this.#start = host.start;
    this.inHeap = asIs && host.buffer === memory.buffer && matrix.column === 1;
  }

  /** Bytes from row to row where the matrix lies. */
  get row(): number {
    return this.#matrix.row * this.#bytes;
  }

  /** The block where the matrix lies in the heap. */
  own(row: number, column: number): Block {
    return { at: this.#start + this.#bytes * (this.#matrix.at + row * this.#matrix.row + column), row: this.row };
  }

  /** The block of copies whose rows lie so far apart. */
  copied(row: number): Block {
    return { at: this.#base, row };
  }

  /** Copies rows and columns to the block, whose rows lie `stride` bytes apart, or `back` from it. */
  copy(row: number, rows: number, column: number, columns: number, stride: number, back: boolean): void {
    const m = this.#matrix, start = m.at + row * m.row + column * m.column;
    if (!this.#asIs) return this.#convert(start, rows, columns, stride / 8, back);
    const block = this.#block as Words, each = this.#bytes / 4, step = stride / 4, at = this.#base / 4;
    const sizes = [rows, columns], strides = [m.row, m.column];
    const walk = walkOf(m.x, start, each, sizes, strides);
    if (step === columns * each) return stage(walk, 0, rows * columns, block, at, back);
    for (let r = 0; r < rows; r++) stage(walk, r * columns, columns, block, at + r * step, back);
  }

  #convert(start: number, rows: number, columns: number, step: number, back: boolean): void {
    const { row, column } = this.#matrix, x = this.#matrix.x as Float64Array, block = this.#block as Float64Array;
    const dtype = this.#dtype;
    for (let r = 0; r < rows; r++) {
      let from = start + r * row, to = this.#base / 8 + r * step;
      for (let c = 0; c < columns; c++, from += column, to++) {
        if (!back) block[to] = dtype === "bfloat16" ? fromBfloat16(x[from]!) : x[from]!;
        else if (dtype === "bfloat16") x[from] = toBfloat16(block[to]!);
        else x[from] = dtype === "bool" ? Number(block[to] !== 0) : block[to]!;
      }
    }
  }
}

/** Bytes from row to row of a block. */
function strideOf(columns: number, tile: number, bytes: number): number {
  const stride = Math.ceil(columns / tile) * tile * bytes;
  return stride % crowded === 0 ? stride + line : stride;
}

/**
 * out = a @ b for one pair of matrices, where WebAssembly with vectors is there.
 *
 * @param a matrices of one dtype: `a` is [m, k], `b` [k, n], `out` [m, n]; only their last two strides are used
 * @param at the offsets, in elements, of the three matrices
 */
export function matmulBlocks(
  a: HostArray,
  b: HostArray,
  out: HostArray,
  m: number,
  n: number,
  k: number,
  at: readonly [number, number, number],
): void {
  const { dtype } = out, { components } = dtypeInfo(dtype), { type, asIs } = typeOf(dtype);
  const memory = engineMemory()!, run = runOf(type, memory), tileRows = matmulRows(memory.features);
  const bytes = type.endsWith("32") ? 4 : 8, edge = edges[bytes], tile = matmulColumns(bytes);
  const blocks = (array: HostArray, index: number, part: number) => {
    const own = matrixOf(array, at[index]!), x = asIs ? array.memory.view("uint32") : own.x;
    return new Blocks({ ...own, x, at: own.at + part }, array, asIs, bytes, memory, index);
  };
  for (let part = 0; part < components; part++) {
    // re = re re - im im, im = re im + im re
    const terms = Array.from({ length: components }, (_, of) => ({
      left: blocks(a, 0, of),
      right: blocks(b, 1, part ^ of),
      sign: part === 0 && of === 1 ? 2 as const : 1 as const,
    }));
    const result = blocks(out, 2, part), once = k <= edge && components === 1;
    for (let j = 0; j < n; j += edge) {
      const columns = Math.min(edge, n - j), stride = strideOf(columns, tile, bytes);
      for (let i = 0; i < m; i += edge) {
        const rows = Math.min(edge, m - i);
        const own = once && result.inHeap && rows >= tileRows && columns >= tile;
        const to = own ? result.own(i, j) : result.copied(stride);
        for (let p = 0; p < k; p += edge) {
          const depth = Math.min(edge, k - p);
          terms.forEach(({ left, right, sign }, term) => {
            // Whole tiles of rows are read.
            const readable = left.inHeap && (own || i + Math.ceil(rows / tileRows) * tileRows <= m);
            const x = readable ? left.own(i, p) : left.copied(depth * bytes);
            if (!readable) left.copy(i, rows, p, depth, x.row, false);
            const inPlace = right.inHeap && (depth <= few || right.row % crowded !== 0);
            const y = inPlace ? right.own(p, j) : right.copied(stride);
            if (!inPlace && (i === 0 || k > edge || components > 1)) right.copy(p, depth, j, columns, y.row, false);
            const mode = own ? 3 : p + term === 0 ? 0 : sign;
            run(x.at, y.at, to.at, rows, columns, depth, x.row, y.row, to.row, mode);
          });
        }
        if (!own) result.copy(i, rows, j, columns, to.row, true);
      }
    }
  }
}
