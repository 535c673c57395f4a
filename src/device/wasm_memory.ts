/**
 * The memory of the WebAssembly engine: at its beginning the kernels' own, and, where nothing faster than that engine is there, a heap behind.
 *
 * Kernels compute on arrays in the heap without copies. It has a fixed size, because memory that grows invalidates all views of it, and what does
 * not fit lives in ordinary buffers, as everything does elsewhere. Pages that nobody used cost nothing.
 * @module
 */
import { available } from "../../ffi/open.ts";
import { wasmScratch } from "../../kernels/wasm_layout.ts";
import { hasVectors, type WasmFeatures, wasmFeatures } from "../../kernels/wasm_probe.ts";
import { findCompiler } from "./compiler.ts";
import { cpuConfig } from "./config.ts";
import type { Heap } from "./arena.ts";
import { Ranges } from "./ranges.ts";

/** Where matrix products have their blocks, and the bytes of each of these. */
export const productBase: number = wasmScratch, productRoom: number = 320 << 10;

/** Where the heap begins, its bytes, and those behind it, as vectors may be read beyond an array's end. */
const heapBase = wasmScratch + 3 * productRoom, heapBytes = 64 << 20, margin = 64 << 10;

/** The memory that all modules share, and its views. */
export class EngineMemory {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBuffer;
  readonly uint8: Uint8Array<ArrayBuffer>;
  readonly uint16: Uint16Array;
  readonly uint32: Uint32Array;
  readonly int32: Int32Array;
  readonly int64: BigInt64Array;
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  /** Where arrays may live; null where there is no heap. */
  readonly heap: Heap | null;
  #features: WasmFeatures | undefined;

  constructor(heap: boolean) {
    const pages = heapBase + (heap ? heapBytes : 0) + margin >> 16;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const buffer = this.buffer = this.memory.buffer as ArrayBuffer;
    this.uint8 = new Uint8Array(buffer);
    this.uint16 = new Uint16Array(buffer);
    this.uint32 = new Uint32Array(buffer);
    this.int32 = new Int32Array(buffer);
    this.int64 = new BigInt64Array(buffer);
    this.float32 = new Float32Array(buffer);
    this.float64 = new Float64Array(buffer);
    this.heap = heap ? { buffer, free: new Ranges(heapBase, heapBytes) } : null;
  }

  get features(): WasmFeatures {
    return this.#features ??= wasmFeatures();
  }
}

let state: EngineMemory | null | undefined;

/** The engine's memory; null where there is no WebAssembly with vectors. */
export function engineMemory(): EngineMemory | null {
  if (state === undefined) state = hasVectors() ? new EngineMemory(embedded()) : null;
  return state;
}

/** Forgets the memory: arrays in its heap stay, and are to the next one as any other. */
export function forgetEngineMemory(): void {
  state = undefined;
}

/** The heap of the engine's memory; null where a faster engine may be there, or no vectors. */
export function engineHeap(): Heap | null {
  return embedded() ? engineMemory()?.heap ?? null : null;
}

/** Whether no faster engine than WebAssembly will be there. */
export function embedded(): boolean {
  const { engine, wasm } = cpuConfig();
  if (!wasm || engine === "js") return false;
  return engine === "wasm" || !available().ok || "reason" in findCompiler();
}
