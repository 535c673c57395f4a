/**
 * What modules of the WebAssembly dialect and those who run them agree on: the beginning of the engine's memory, and what a module is.
 * @module
 */

/** Bytes at the beginning of the engine's memory that kernels use: scalars, running values, addresses, blocks. */
export const wasmScratch = 256 << 10;
/** Where the addresses of the arrays stand, 4 bytes each: of the slots in their order, then of the outputs. */
export const wasmTable = 4096;
/** Where the points from row to row stand of what is reduced to columns. */
export const wasmStride: number = wasmTable - 4;
/** Where the running values of a long reduction are kept between calls, and where blocks begin. */
export const stateBase = 1024, stateEnd: number = wasmStride, blockBase = 5120;
/** Points a call goes over at most where nothing is copied: engines make their better code between calls. */
export const wasmPoints = 65536;
/** A block of an operand: its points, or those of the kept loops only; or offsets as int32, of what has no memory or is indexed. */
export interface WasmSlot {
  /** The operand's number; of a scattered output -1. */
  readonly operand: number;
  readonly kept: boolean;
  readonly offsets: boolean;
  readonly base: number;
  /** Bytes a point takes. */
  readonly bytes: number;
}

/** A kernel as a module. */
export interface WasmModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * What `run(rows, length, flags)` goes over: `map`: `length` points; `rows`: `rows` times `length` points, each reduced to one;
   * `columns`: the same, reduced to `length`; `scan`: the same, as many results as points; `scatter`: `length` points, stored at
   * their indices. Flags: 1 begins the reduction, 2 ends it.
   */
  readonly mode: "map" | "rows" | "columns" | "scan" | "scatter";
  /** Points a block has. */
  readonly points: number;
  /** Points come in so many at once: what is more than that is stored, too. */
  readonly step: number;
  readonly slots: readonly WasmSlot[];
  readonly outputs: readonly { readonly base: number; readonly bytes: number }[];
  /** What is indexed: operands, of an output -1; where their addresses and strides stand in the table, and the bytes of an element. */
  readonly indexed: readonly { readonly operand: number; readonly entry: number; readonly bytes: number }[];
  /** Nanoseconds a point takes, roughly, and what copies of it take. */
  readonly cost: number;
  readonly copies: number;
}
