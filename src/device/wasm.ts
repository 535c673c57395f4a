/**
 * Generated kernels as WebAssembly. Arrays that lie in a row in the engine's heap are computed on where they are; blocks of others are copied
 * to the beginning of its memory, and results copied back.
 * @module
 */
import { helpers } from "../../kernels/preamble/js.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import { compileWasm, wasmImports } from "../../kernels/wasm.ts";
import { type WasmModule, wasmPoints, type WasmSlot, wasmStride, wasmTable } from "../../kernels/wasm_layout.ts";
import { debug } from "../base/debug.ts";
import { dtypes } from "../base/dtype.ts";
import type { ArrayArg, Launch, VirtualArg } from "./device.ts";
import { hostOf } from "./host.ts";
import { type EngineMemory, engineMemory } from "./wasm_memory.ts";
import { isConstant, runLength, stage, stageOffsets, type Walk, walkOf, type Words, wordsType } from "./wasm_stage.ts";

/** Below so many points in a row copies cost more than the vectors save. */
const SHORT = 12;

/** Whether vector code runs here. */
export function wasmAvailable(): boolean {
  return engineMemory() !== null;
}

/** Columns and rows that are reduced in one call at most. */
const COLUMNS = 1024, ROWS = 128;

/** Offsets behind the last point: points are computed some at once, and what is indexed must be there. */
const BEYOND = 16;

/** An array of a launch. */
interface Staged {
  /** Address of its first point where points lie in a row in the heap; otherwise -1, and they are copied to their block. */
  readonly direct: number;
  /** Where its address stands, in words. */
  readonly entry: number;
  /** Bytes a point takes, and the address of its block. */
  readonly bytes: number;
  readonly base: number;
  readonly walk: Walk | null;
  /** Of an operand without memory: where its offsets begin, and how they move. */
  readonly virtual: { readonly start: number; readonly sizes: readonly number[]; readonly strides: readonly number[] };
  readonly block: Words;
  /** The index of the block's first word. */
  readonly at: number;
  readonly constant: boolean;
}

const noVirtual = { start: 0, sizes: [], strides: [] };

/** A kernel as an instance of its module. */
export class WasmRunner {
  /** Nanoseconds a point takes, roughly. */
  cost: number;
  /** Whether there is a heap, so that little is copied. */
  readonly inPlace: boolean;
  /** Whether only a clock can tell what a point takes: what is indexed may lie anywhere, and JavaScript copies rows quickly. */
  readonly unsure: boolean;
  readonly #kernel: Kernel;
  readonly #module: WasmModule;
  readonly #memory: EngineMemory;
  readonly #run: (rows: number, length: number, flags: number) => void;

  private constructor(kernel: Kernel, module: WasmModule, memory: EngineMemory) {
    this.#kernel = kernel;
    this.#module = module;
    this.#memory = memory;
    this.inPlace = memory.heap !== null;
    this.unsure = module.indexed.length > 0;
    this.cost = module.cost + (this.inPlace ? 0 : module.copies);
    const imports = { h: { memory: memory.memory, ...wasmImports } };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes), imports);
    this.#run = instance.exports["run"] as (rows: number, length: number, flags: number) => void;
  }

  /** The runner of a kernel; null for what is not expressible. */
  static of(kernel: Kernel): WasmRunner | null {
    const memory = engineMemory();
    if (memory === null) return null;
    const module = compileWasm(kernel, memory.features);
    if (module === null) return null;
    debug("engines", () => `WebAssembly for ${kernel.comment}`);
    return new WasmRunner(kernel, module, memory);
  }

  /** Runs the kernel, unless copies would cost too much: then nothing is done. Returns whether it ran. */
  run(launch: Launch, always: boolean): boolean {
    const { mode, slots } = this.#module;
    const kept = this.#kernel.rank - this.#kernel.reduced;
    const order = mode === "columns" ? this.#columnOrder(kept) : null;
    const full = order === null ? launch.sizes : order.map((d) => launch.sizes[d]!);
    const keptSizes = mode === "map" || mode === "scan" ? full : launch.sizes.slice(0, kept);
    if (!always && mode === "columns" && launch.sizes[kept - 1]! < SHORT) return false;
    const staged: Staged[] = [], keptStaged: Staged[] = [];
    for (let j = 0; j < slots.length; j++) {
      const slot = slots[j]!, arg = slot.operand < 0 ? launch.outputs[0]! : launch.operands[slot.operand]!;
      const strides = slot.kept && mode !== "map"
        ? arg.strides.slice(0, kept)
        : order === null
        ? slot.offsets ? arg.strides.slice(0, full.length) : arg.strides
        : order.map((d) => arg.strides[d]!);
      const s = this.#staged(arg, slot.kept ? keptSizes : full, strides, j, slot);
      if (s === null || (!always && (mode === "scan" ? apart(s) : short(s)))) return false;
      (slot.kept ? keptStaged : staged).push(s);
    }
    const outputs = mode === "scatter" ? [] : launch.outputs.map((arg, j): Staged => {
      const strides = arg.strides.length === keptSizes.length ? arg.strides : arg.strides.slice(0, keptSizes.length);
      return this.#inMemory(arg, slots.length + j, this.#module.outputs[j]!, keptSizes, strides);
    });
    if (!always && mode === "scan" && outputs.some(apart)) return false;
    if (!this.#setIndexed(launch)) return false;
    this.#scalars(launch);
    this.#addresses([...staged, ...keptStaged, ...outputs]);
    if (mode === "map" || mode === "scatter") this.#map(product(full), staged, outputs);
    else if (mode === "scan") this.#scan(product(launch.sizes.slice(0, kept)), launch.sizes[kept]!, staged, outputs);
    else if (mode === "rows") {
      this.#rows(product(keptSizes), product(launch.sizes.slice(kept)), staged, keptStaged, outputs);
    } else {
      const columns = launch.sizes[kept - 1]!;
      this.#columns(
        product(keptSizes) / columns,
        product(launch.sizes.slice(kept)),
        columns,
        staged,
        keptStaged,
        outputs,
      );
    }
    return true;
  }

  /** Loops with the columns last: other kept ones, reduced ones, columns. */
  #columnOrder(kept: number): number[] {
    const rank = this.#kernel.rank;
    const order: number[] = [];
    for (let d = 0; d < rank; d++) if (d !== kept - 1) order.push(d);
    return [...order, kept - 1];
  }

  /** Sets addresses and strides of what is indexed. Returns whether it lies in the heap: others would be copied as a whole. */
  #setIndexed({ operands, outputs, sizes }: Launch): boolean {
    for (const { operand, entry, bytes } of this.#module.indexed) {
      const { buffer, strides } = operand < 0 ? outputs[0]! : operands[operand]! as ArrayArg;
      const { memory, byteOffset } = hostOf(buffer), at = wasmTable / 4 + entry;
      if (memory.buffer !== this.#memory.buffer) return false;
      this.#memory.int32[at] = memory.start + byteOffset;
      for (let k = sizes.length; k < strides.length; k++) {
        this.#memory.int32[at + 1 + k - sizes.length] = strides[k]! * bytes;
      }
    }
    return true;
  }

  #staged(
    arg: ArrayArg | VirtualArg,
    sizes: readonly number[],
    strides: readonly number[],
    array: number,
    place: WasmSlot,
  ): Staged | null {
    if (arg.buffer !== null && !place.offsets) return this.#inMemory(arg, array, place, sizes, strides);
    let least = arg.offset, most = arg.offset;
    for (let d = 0; d < sizes.length; d++) {
      const reach = strides[d]! * (sizes[d]! - 1);
      if (reach < 0) least += reach;
      else most += reach;
    }
    if (least < -2147483648 || most > 2147483647 || !place.offsets) return null;
    return {
      direct: -1,
      entry: wasmTable / 4 + array,
      bytes: place.bytes,
      base: place.base,
      walk: null,
      virtual: { start: arg.offset, sizes, strides },
      block: this.#memory.uint32,
      at: place.base / 4,
      constant: least === most,
    };
  }

  #inMemory(
    arg: ArrayArg,
    array: number,
    { bytes, base }: { readonly bytes: number; readonly base: number },
    sizes: readonly number[],
    strides: readonly number[],
  ): Staged {
    const { memory, byteOffset } = hostOf(arg.buffer), type = wordsType(bytes);
    const inRow = memory.buffer === this.#memory.buffer && contiguous(sizes, strides);
    const start = arg.offset + byteOffset / bytes;
    const walk = inRow && this.#module.mode !== "columns"
      ? null
      : walkOf(memory.view(type), start, Math.max(1, bytes / 4 >> 0), sizes, strides);
    return {
      direct: inRow ? memory.start + byteOffset + arg.offset * bytes : -1,
      entry: wasmTable / 4 + array,
      bytes,
      base,
      walk,
      virtual: noVirtual,
      block: this.#memory[type],
      at: base / Math.min(4, bytes),
      constant: !inRow && walk !== null && isConstant(walk),
    };
  }

  /** Sets the addresses of arrays that are copied. */
  #addresses(arrays: readonly Staged[]): void {
    for (const s of arrays) if (s.direct < 0) this.#memory.int32[s.entry] = s.base;
  }

  /** Points of a block: more where nothing is copied. */
  #points(arrays: readonly Staged[]): number {
    for (const s of arrays) if (s.direct < 0) return this.#module.points;
    return wasmPoints;
  }

  /** Copies points of operands to their blocks, or sets their addresses. */
  #in(staged: readonly Staged[], first: number, count: number): void {
    for (const s of staged) {
      if (s.direct >= 0) this.#memory.int32[s.entry] = s.direct + first * s.bytes;
      else this.#copyOne(s, first, count, 0);
    }
  }

  /** Copies points of operands to their blocks, `to` points from their beginnings. */
  #copy(staged: readonly Staged[], first: number, count: number, to: number): void {
    for (const s of staged) this.#copyOne(s, first, count, to);
  }

  #copyOne({ walk, virtual, constant, block, at }: Staged, first: number, count: number, to: number): void {
    if (constant) return;
    if (walk !== null) stage(walk, first, count, block, at + to * walk.each, false);
    else {
      const { start, sizes, strides } = virtual;
      const { int32 } = this.#memory, end = at + to + count;
      stageOffsets(start, sizes, strides, first, count, int32, at + to);
      int32.fill(int32[end - 1]!, end, end + BEYOND);
    }
  }

  /** Fills the blocks of operands that are the same at every point. */
  #constants(staged: readonly Staged[], count: number): void {
    for (const s of staged) {
      if (!s.constant) continue;
      if (s.walk !== null) stage(s.walk, 0, count, s.block, s.at, false);
      else this.#memory.int32.fill(s.virtual.start, s.at, s.at + count + BEYOND);
    }
  }

  /** Sets the addresses of outputs: their own, or of their blocks. */
  #to(outputs: readonly Staged[], first: number, own: boolean): void {
    for (const s of outputs) {
      if (s.direct >= 0) this.#memory.int32[s.entry] = own ? s.direct + first * s.bytes : s.base;
    }
  }

  /** Copies outputs from their blocks; those in the heap, too, unless `own`. */
  #out(outputs: readonly Staged[], first: number, count: number, own: boolean): void {
    for (const { direct, walk, base, bytes, block, at } of outputs) {
      if (direct < 0) stage(walk!, first, count, block, at, true);
      else if (!own) this.#memory.uint8.copyWithin(direct + first * bytes, base, base + count * bytes);
    }
  }

  #map(total: number, staged: readonly Staged[], outputs: readonly Staged[]): void {
    const { step } = this.#module, run = this.#run;
    const points = Math.min(this.#points(staged), this.#points(outputs));
    this.#constants(staged, Math.min(total, points));
    const whole = total - total % step;
    for (let first = 0; first < total;) {
      // More than the last points would be stored: those go through blocks.
      const own = first < whole, count = Math.min(points, (own ? whole : total) - first);
      this.#in(staged, first, count);
      this.#to(outputs, first, own);
      run(0, count, 0);
      this.#out(outputs, first, count, own);
      first += count;
    }
  }

  #scan(total: number, length: number, staged: readonly Staged[], outputs: readonly Staged[]): void {
    const run = this.#run, points = Math.min(this.#points(staged), this.#points(outputs));
    const together = Math.max(1, Math.floor(points / length));
    this.#constants(staged, Math.min(total * length, points));
    const step = (first: number, count: number, rows: number, flags: number) => {
      this.#in(staged, first, count);
      this.#to(outputs, first, true);
      run(rows, count / rows, flags);
      this.#out(outputs, first, count, true);
    };
    if (length <= points) {
      for (let row = 0; row < total; row += together) {
        const rows = Math.min(together, total - row);
        step(row * length, rows * length, rows, 1);
      }
      return;
    }
    for (let row = 0; row < total; row++) {
      for (let at = 0; at < length; at += points) {
        step(row * length + at, Math.min(points, length - at), 1, at === 0 ? 1 : 0);
      }
    }
  }

  #rows(
    total: number,
    length: number,
    staged: readonly Staged[],
    kept: readonly Staged[],
    outputs: readonly Staged[],
  ): void {
    const run = this.#run, points = this.#points(staged);
    const most = Math.min(this.#points(kept), this.#points(outputs));
    const together = Math.max(1, Math.min(most, Math.floor(points / Math.max(1, length))));
    this.#constants(staged, Math.min(total * length, points));
    this.#constants(kept, Math.min(total, together));
    for (let row = 0; row < total; row += together) {
      const rows = Math.min(together, total - row);
      this.#in(kept, row, rows);
      this.#to(outputs, row, true);
      if (length <= points) {
        this.#in(staged, row * length, rows * length);
        run(rows, length, 3);
      } else {
        for (let at = 0; at < length; at += points) {
          const count = Math.min(points, length - at);
          this.#in(staged, row * length + at, count);
          run(1, count, (at === 0 ? 1 : 0) | (at + count === length ? 2 : 0));
        }
      }
      this.#out(outputs, row, rows, true);
    }
  }

  #columns(
    total: number,
    reduced: number,
    columns: number,
    staged: readonly Staged[],
    kept: readonly Staged[],
    outputs: readonly Staged[],
  ): void {
    // Rows that are added up in one call are the same ones wherever the arrays lie.
    const { points } = this.#module, run = this.#run, width = Math.min(columns, COLUMNS, points);
    const together = Math.max(1, Math.min(ROWS, Math.floor(points / width)));
    const inPlace = staged.every((s) => s.direct >= 0), { int32 } = this.#memory;
    int32[wasmStride / 4] = inPlace ? columns : width;
    if (!inPlace) { for (const s of staged) int32[s.entry] = s.base; }
    this.#constants(staged, Math.min(points, width * together));
    this.#constants(kept, width);
    this.#to(outputs, 0, false);
    for (let outer = 0; outer < total; outer++) {
      for (let column = 0; column < columns; column += width) {
        const count = Math.min(width, columns - column);
        this.#in(kept, outer * columns + column, count);
        if (reduced === 0) run(0, count, 3);
        for (let row = 0; row < reduced; row += together) {
          const rows = Math.min(together, reduced - row), first = (outer * reduced + row) * columns + column;
          if (inPlace) this.#in(staged, first, count);
          else if (width === columns) this.#copy(staged, first, rows * columns, 0);
          else for (let r = 0; r < rows; r++) this.#copy(staged, first + r * columns, count, r * width);
          run(rows, count, (row === 0 ? 1 : 0) | (row + rows === reduced ? 2 : 0));
        }
        this.#out(outputs, outer * columns + column, count, false);
      }
    }
  }

  /** Lays the scalar arguments where the module reads them, each in the form it is computed in. */
  #scalars({ scalars }: Launch): void {
    const { int32, int64, float32, float64 } = this.#memory;
    for (let j = 0; j < scalars.length; j++) {
      const value = scalars[j]!, dtype = this.#kernel.scalars[j]!, { kind, itemsize } = dtypes[dtype];
      if (dtype === "float64") float64[j] = Number(value);
      else if (dtype === "float16") float32[2 * j] = helpers.f16round(Number(value));
      else if (dtype === "bfloat16") float32[2 * j] = helpers.bf16round(Math.fround(Number(value)));
      else if (kind === "f") float32[2 * j] = Number(value);
      else if (kind === "b") int32[2 * j] = value ? 1 : 0;
      else if (itemsize === 8) int64[j] = BigInt(value);
      else int32[2 * j] = Number(value);
    }
  }
}

/** Whether an operand would be copied in many small pieces. */
function short({ walk, constant }: Staged): boolean {
  return walk !== null && !constant && walk.sizes.length > 1 && runLength(walk) < SHORT;
}

/** Whether the points of an array would be copied from as many lines of the cache. */
function apart({ walk, constant }: Staged): boolean {
  return walk !== null && !constant && Math.abs(walk.strides.at(-1)!) > walk.each;
}

/** Whether the points of an array lie in a row. */
function contiguous(sizes: readonly number[], strides: readonly number[]): boolean {
  let next = 1;
  for (let d = sizes.length - 1; d >= 0; d--) {
    const size = sizes[d]!;
    if (size === 1) continue;
    if (strides[d] !== next) return false;
    next *= size;
  }
  return true;
}

function product(sizes: readonly number[]): number {
  let n = 1;
  for (const size of sizes) n *= size;
  return n;
}
