/**
 * Matrix products in WebAssembly, for every dtype and any strides: blocks of the operands are copied into one memory and multiplied there.
 * @module
 */
import { matmulColumns, type MatmulMode, type MatmulType, matmulWasm } from "../../kernels/wasm_matmul.ts";
import { wasmFeatures } from "../../kernels/wasm_probe.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import type { HostArray } from "./host.ts";
import { fromBfloat16, type Matrix, matrixOf, toBfloat16 } from "./matmul_js.ts";
import { stage, walkOf, type Words } from "./wasm_stage.ts";

/** Bytes that each matrix's block has at most, padding included, and its rows and columns: three blocks stay in the second cache. */
const room = 320 << 10, edges = { 4: 256, 8: 192 } as const;
/** Rows of a block that lie so many bytes apart, or a multiple, share few sets of the cache: they are moved a line apart. */
const crowded = 512, line = 64;

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

const state: { memory: WebAssembly.Memory | undefined; readonly runs: Map<MatmulType, Run> } = {
  memory: undefined,
  runs: new Map(),
};

function runOf(type: MatmulType): { readonly run: Run; readonly memory: ArrayBuffer } {
  const pages = 3 * room >> 16;
  const memory = state.memory ??= new WebAssembly.Memory({ initial: pages, maximum: pages });
  let run = state.runs.get(type);
  if (run === undefined) {
    const bytes = matmulWasm(type, wasmFeatures());
    run = new WebAssembly.Instance(new WebAssembly.Module(bytes), { h: { memory } }).exports["run"] as Run;
    state.runs.set(type, run);
  }
  return { run, memory: memory.buffer as ArrayBuffer };
}

/** In what a dtype is multiplied, and whether its bits are copied as they are. */
function typeOf(dtype: DType): { readonly type: MatmulType; readonly asIs: boolean } {
  const { kind, itemsize, components } = dtypeInfo(dtype), bytes = itemsize / components;
  if (kind === "f" || kind === "c") return { type: bytes === 4 ? "f32" : "f64", asIs: bytes >= 4 };
  // The sums of small integers are exact in float64.
  return itemsize < 4 ? { type: "f64", asIs: false } : { type: itemsize === 4 ? "i32" : "i64", asIs: true };
}

/** Copies parts of one matrix between its array and its block. */
class Blocks {
  readonly #matrix: Matrix;
  readonly #dtype: DType;
  readonly #bytes: 4 | 8;
  /** The block as words of 32 bits, or as the numbers that are converted on the way. */
  readonly #block: Words | Float64Array;
  readonly #at: number;
  readonly #asIs: boolean;

  constructor(matrix: Matrix, dtype: DType, asIs: boolean, bytes: 4 | 8, memory: ArrayBuffer, base: number) {
    this.#matrix = matrix;
    this.#dtype = dtype;
    this.#bytes = bytes;
    this.#asIs = asIs;
    this.#block = asIs ? new Uint32Array(memory) : new Float64Array(memory);
    this.#at = base / (asIs ? 4 : 8);
  }

  /** Copies rows and columns to the block, whose rows lie `stride` bytes apart, or `back` from it. */
  copy(row: number, rows: number, column: number, columns: number, stride: number, back: boolean): void {
    const m = this.#matrix, start = m.at + row * m.row + column * m.column;
    if (!this.#asIs) return this.#convert(start, rows, columns, stride / 8, back);
    const block = this.#block as Words, each = this.#bytes / 4, step = stride / 4;
    const sizes = [rows, columns], strides = [m.row, m.column];
    const walk = walkOf(m.x, start, each, sizes, strides);
    if (step === columns * each) return stage(walk, 0, rows * columns, block, this.#at, back);
    for (let r = 0; r < rows; r++) stage(walk, r * columns, columns, block, this.#at + r * step, back);
  }

  #convert(start: number, rows: number, columns: number, step: number, back: boolean): void {
    const { row, column } = this.#matrix, x = this.#matrix.x as Float64Array, block = this.#block as Float64Array;
    const dtype = this.#dtype;
    for (let r = 0; r < rows; r++) {
      let from = start + r * row, to = this.#at + r * step;
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
  const bytes = type.endsWith("32") ? 4 : 8, edge = edges[bytes], tile = matmulColumns(bytes);
  const { run, memory } = runOf(type);
  const matrix = (array: HostArray, offset: number): Matrix => {
    const own = matrixOf(array, offset);
    return asIs ? { ...own, x: array.memory.view("uint32") } : own;
  };
  const [x, y, z] = [matrix(a, at[0]), matrix(b, at[1]), matrix(out, at[2])];
  const blocks = (matrix: Matrix, index: number, part: number) =>
    new Blocks({ ...matrix, at: matrix.at + part }, dtype, asIs, bytes, memory, index * room);
  for (let part = 0; part < components; part++) {
    // re = re re - im im, im = re im + im re
    const terms = Array.from({ length: components }, (_, of) => ({
      left: blocks(x, 0, of),
      right: blocks(y, 1, part ^ of),
      sign: part === 0 && of === 1 ? 2 as const : 1 as const,
    }));
    const result = blocks(z, 2, part);
    for (let j = 0; j < n; j += edge) {
      const columns = Math.min(edge, n - j),
        bRow = strideOf(columns, tile, bytes),
        cRow = strideOf(columns, tile, bytes);
      for (let i = 0; i < m; i += edge) {
        const rows = Math.min(edge, m - i);
        for (let p = 0; p < k; p += edge) {
          const depth = Math.min(edge, k - p), aRow = depth * bytes;
          terms.forEach(({ left, right, sign }, term) => {
            left.copy(i, rows, p, depth, aRow, false);
            if (i === 0 || k > edge || components > 1) right.copy(p, depth, j, columns, bRow, false);
            run(0, room, 2 * room, rows, columns, depth, aRow, bRow, cRow, p + term === 0 ? 0 : sign);
          });
        }
        result.copy(i, rows, j, columns, cRow, true);
      }
    }
  }
}
