/**
 * Generated kernels as WebAssembly: blocks of the operands are copied into one small memory, computed on, and the results copied out.
 * There is no heap to exhaust, and arrays stay ordinary buffers.
 * @module
 */
import { helpers } from "../../kernels/preamble/js.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import { compileWasm, wasmImports, wasmMemory, type WasmModule } from "../../kernels/wasm.ts";
import { type WasmFeatures, wasmProbe } from "../../kernels/wasm_probe.ts";
import { debug } from "../base/debug.ts";
import { dtypes } from "../base/dtype.ts";
import type { ArrayArg, Launch, VirtualArg } from "./device.ts";
import { hostOf } from "./host.ts";
import { isConstant, runLength, stage, stageOffsets, type Walk, walkOf, type Words, wordsType } from "./wasm_stage.ts";

/** Below so many points in a row copies cost more than the vectors save. */
const SHORT = 12;

/** The memory that all modules share, and its views. */
class Scratch {
  readonly memory = new WebAssembly.Memory({ initial: wasmMemory >> 16, maximum: wasmMemory >> 16 });
  readonly uint8 = new Uint8Array(this.memory.buffer);
  readonly uint16 = new Uint16Array(this.memory.buffer);
  readonly uint32 = new Uint32Array(this.memory.buffer);
  readonly int32 = new Int32Array(this.memory.buffer);
  readonly int64 = new BigInt64Array(this.memory.buffer);
  readonly float32 = new Float32Array(this.memory.buffer);
  readonly float64 = new Float64Array(this.memory.buffer);
  readonly features: WasmFeatures = { fused: WebAssembly.validate(wasmProbe("fused")) };
  readonly imports = { h: { memory: this.memory, ...wasmImports } };
}

let scratchState: Scratch | null | undefined;

/** The shared memory; null where there is no WebAssembly with vectors. */
function scratch(): Scratch | null {
  if (scratchState === undefined) {
    scratchState = typeof WebAssembly === "object" && WebAssembly.validate(wasmProbe("vectors")) ? new Scratch() : null;
  }
  return scratchState;
}

/** Whether vector code runs here. */
export function wasmAvailable(): boolean {
  return scratch() !== null;
}

/** An operand at its block. */
interface Staged {
  readonly walk: Walk | null;
  /** Of an operand without memory: where its offsets begin, and how they move. */
  readonly virtual: { readonly start: number; readonly sizes: readonly number[]; readonly strides: readonly number[] };
  readonly block: Words;
  /** Index of the block's first point. */
  readonly at: number;
  readonly constant: boolean;
}

/** A kernel as an instance of its module. */
export class WasmRunner {
  /** Nanoseconds a point takes, roughly. */
  cost: number;
  readonly #kernel: Kernel;
  readonly #module: WasmModule;
  readonly #scratch: Scratch;
  readonly #run: (rows: number, length: number, flags: number) => void;

  private constructor(kernel: Kernel, module: WasmModule, scratch: Scratch) {
    this.#kernel = kernel;
    this.#module = module;
    this.#scratch = scratch;
    this.cost = module.cost;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes), scratch.imports);
    this.#run = instance.exports["run"] as (rows: number, length: number, flags: number) => void;
  }

  /** The runner of a kernel; null for what is not expressible. */
  static of(kernel: Kernel): WasmRunner | null {
    const memory = scratch();
    if (memory === null) return null;
    const module = compileWasm(kernel, memory.features);
    if (module === null) return null;
    debug("engines", () => `WebAssembly for ${kernel.comment}`);
    return new WasmRunner(kernel, module, memory);
  }

  /** Runs the kernel, unless copies would cost too much: then nothing is done. Returns whether it ran. */
  run(launch: Launch, always: boolean): boolean {
    const { mode } = this.#module;
    const kept = this.#kernel.rank - this.#kernel.reduced;
    const order = mode === "columns" ? this.#columnOrder(kept) : null;
    const full = order === null ? launch.sizes : order.map((d) => launch.sizes[d]!);
    const keptSizes = launch.sizes.slice(0, kept);
    const staged: Staged[] = [], keptStaged: Staged[] = [];
    for (const slot of this.#module.slots) {
      const arg = launch.operands[slot.operand]!;
      const strides = slot.kept
        ? arg.strides.slice(0, kept)
        : order === null
        ? arg.strides
        : order.map((d) => arg.strides[d]!);
      const s = this.#staged(arg, slot.operand, slot.kept ? keptSizes : full, strides, slot);
      if (s === null || (!always && short(s))) return false;
      (slot.kept ? keptStaged : staged).push(s);
    }
    const sizes = mode === "map" ? launch.sizes : keptSizes;
    const outputs = launch.outputs.map((arg, j): Staged => {
      const { bytes, base } = this.#module.outputs[j]!;
      return this.#inMemory(arg, bytes, base, sizes, arg.strides.slice(0, sizes.length));
    });
    if (!always && mode === "columns" && launch.sizes[kept - 1]! < SHORT) return false;
    this.#scalars(launch);
    if (mode === "map") this.#map(product(full), staged, outputs);
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

  #staged(
    arg: ArrayArg | VirtualArg,
    operand: number,
    sizes: readonly number[],
    strides: readonly number[],
    { bytes, base }: { readonly bytes: number; readonly base: number },
  ): Staged | null {
    if (arg.buffer !== null) return this.#inMemory(arg, bytes, base, sizes, strides);
    let least = arg.offset, most = arg.offset;
    for (let d = 0; d < sizes.length; d++) {
      const reach = strides[d]! * (sizes[d]! - 1);
      if (reach < 0) least += reach;
      else most += reach;
    }
    if (least < -2147483648 || most > 2147483647 || !this.#kernel.operands[operand]!.virtual) return null;
    const virtual = { start: arg.offset, sizes, strides };
    return { walk: null, virtual, block: this.#scratch.uint32, at: base / 4, constant: least === most };
  }

  #inMemory(
    arg: ArrayArg,
    bytes: number,
    base: number,
    sizes: readonly number[],
    strides: readonly number[],
  ): Staged {
    const host = hostOf(arg.buffer), type = wordsType(bytes), each = Math.max(1, bytes / 4 >> 0);
    const start = arg.offset + host.byteOffset / bytes;
    const walk = walkOf(host.memory.view(type), start, each, sizes, strides);
    return {
      walk,
      virtual: { start: 0, sizes, strides },
      block: this.#scratch[type],
      at: base / Math.min(4, bytes),
      constant: isConstant(walk),
    };
  }

  /** Copies points of operands to their blocks. */
  #in(staged: readonly Staged[], first: number, count: number): void {
    for (const s of staged) {
      if (s.constant) continue;
      if (s.walk !== null) stage(s.walk, first, count, s.block, s.at, false);
      else {
        const { start, sizes, strides } = s.virtual;
        stageOffsets(start, sizes, strides, first, count, this.#scratch.int32, s.at);
      }
    }
  }

  /** Fills the blocks of operands that are the same at every point. */
  #constants(staged: readonly Staged[], count: number): void {
    for (const s of staged) {
      if (!s.constant) continue;
      if (s.walk !== null) stage(s.walk, 0, count, s.block, s.at, false);
      else this.#scratch.int32.fill(s.virtual.start, s.at, s.at + count);
    }
  }

  #out(outputs: readonly Staged[], first: number, count: number): void {
    for (const { walk, block, at } of outputs) stage(walk!, first, count, block, at, true);
  }

  #map(total: number, staged: readonly Staged[], outputs: readonly Staged[]): void {
    const { points } = this.#module, run = this.#run;
    this.#constants(staged, Math.min(total, points));
    for (let first = 0; first < total; first += points) {
      const count = Math.min(points, total - first);
      this.#in(staged, first, count);
      run(0, count, 0);
      this.#out(outputs, first, count);
    }
  }

  #rows(
    total: number,
    length: number,
    staged: readonly Staged[],
    kept: readonly Staged[],
    outputs: readonly Staged[],
  ): void {
    const { points } = this.#module, run = this.#run;
    const together = Math.max(1, Math.min(points, Math.floor(points / Math.max(1, length))));
    this.#constants(staged, Math.min(total * length, points));
    this.#constants(kept, Math.min(total, points));
    for (let row = 0; row < total; row += together) {
      const rows = Math.min(together, total - row);
      this.#in(kept, row, rows);
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
      this.#out(outputs, row, rows);
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
    const { points } = this.#module, run = this.#run;
    const width = Math.min(columns, points),
      together = columns <= points ? Math.max(1, Math.floor(points / columns)) : 1;
    this.#constants(staged, points);
    this.#constants(kept, width);
    for (let outer = 0; outer < total; outer++) {
      for (let column = 0; column < columns; column += width) {
        const count = Math.min(width, columns - column);
        this.#in(kept, outer * columns + column, count);
        if (reduced === 0) run(0, count, 3);
        for (let row = 0; row < reduced; row += together) {
          const rows = Math.min(together, reduced - row);
          this.#in(staged, (outer * reduced + row) * columns + column, together > 1 ? rows * columns : count);
          run(rows, count, (row === 0 ? 1 : 0) | (row + rows === reduced ? 2 : 0));
        }
        this.#out(outputs, outer * columns + column, count);
      }
    }
  }

  /** Lays the scalar arguments where the module reads them, each in the form it is computed in. */
  #scalars({ scalars }: Launch): void {
    const { int32, int64, float32, float64 } = this.#scratch;
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

function product(sizes: readonly number[]): number {
  let n = 1;
  for (const size of sizes) n *= size;
  return n;
}
