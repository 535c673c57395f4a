/**
 * Generated kernels on a GPU: which variant serves a launch, its arguments, its grid.
 * @module
 */
import type { Address } from "../../ffi/types.ts";
import {
  atomicOf,
  BLOCK,
  type CudaSource,
  indexOperands,
  mapUnroll,
  mayCross,
  planReduce,
  planScan,
  planTile,
  reduceAligned,
  renderMap,
  renderReduce,
  renderScan,
  renderScatter,
  renderTile,
  scanAligned,
  SERIAL_ROWS,
  type TilePlan,
  vectorHead,
  vectorWidth,
} from "../../kernels/cuda.ts";
import { blockLayout, type Kernel } from "../../kernels/kernel.ts";
import { innerLoop } from "../../kernels/render.ts";
import { type DType, dtypes } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { ArgumentBlock } from "./cuda_block.ts";
import { CudaBuffer } from "./cuda_memory.ts";
import type { ArrayArg, Buffer, Device, Launch } from "./device.ts";

/** Rows to sort; addresses are in bytes, 0 for what is not wanted. */
export interface SortRows {
  readonly dtype: DType;
  readonly rows: number;
  readonly n: number;
  /** Dense values. They must lie elsewhere than the results. */
  readonly x: number;
  /** Where sorted values go. */
  readonly values: number;
  /** Where the positions (uint32) go that they had in their row. */
  readonly order: number;
  /** How many of the lowest bits may differ, where not all. */
  readonly bits?: number;
}

/** What kernels and routines need of a GPU. */
export interface Gpu extends Device {
  allocate(byteLength: number): CudaBuffer;
  /** The kernel of a source, compiled and loaded once. */
  compile(source: string): Address;
  /** How often the device was closed: what was compiled before is gone. */
  readonly generation: number;
  /** Memory that outlives a run: workspaces of libraries. */
  reserve(byteLength: number): CudaBuffer;
  /** Memory with these bytes, for the launches that follow until it is given back. */
  stage(bytes: Uint8Array): CudaBuffer;
  /** Enqueues a kernel. */
  launch(fn: Address, blocks: number, block: ArgumentBlock): void;
  /** Enqueues a call of a library on the stream that it is given: all that the call depends on is `what` and the addresses. */
  enqueue(what: object, addresses: readonly Address[], call: (stream: Address) => void): void;
  /** The most blocks of a launch that pay: kernels go on in strides. */
  readonly maxBlocks: number;
  /** A static kernel, made once a key. */
  program(key: string, make: () => CudaProgram): CudaProgram;
  /** Sorts rows of dense values, stably. */
  sortRows(sort: SortRows): void;
}

/** The GPU memory behind a buffer. @throws DeviceError for one of another device */
export function cudaOf(buffer: Buffer, gpu: Device): CudaBuffer {
  if (buffer instanceof CudaBuffer && buffer.device === gpu) return buffer;
  throw new DeviceError(`buffer: got memory of ${buffer.device.name}, expected memory of ${gpu.name}`);
}

/** The device address of an array of a routine. */
export function addressOf(gpu: Gpu, arg: ArrayArg, dtype: DType): number {
  return cudaOf(arg.buffer, gpu).address + arg.offset * dtypes[dtype].itemsize;
}

/** Points from which on 32-bit indices may overflow in a stride. */
const NARROW = 2 ** 30;

/** A compiled source with its arguments. */
export class CudaProgram {
  readonly #gpu: Gpu;
  readonly #text: string;
  #fn: Address;
  #generation: number;
  readonly block: ArgumentBlock;
  /** Holds the address of the arguments where they are not passed by value. */
  readonly #pointer: ArgumentBlock | null;
  readonly #slots: ReadonlyMap<string, number>;
  readonly divisors: readonly (readonly [loop: number, slot: number])[];

  /** @param first the slot of the first of the source's extras */
  constructor(gpu: Gpu, source: CudaSource, first: number) {
    this.#gpu = gpu;
    this.#text = source.text;
    this.#fn = gpu.compile(source.text);
    this.#generation = gpu.generation;
    this.block = new ArgumentBlock(first + source.extras.length);
    this.#pointer = source.indirect === true ? new ArgumentBlock(1) : null;
    this.#slots = new Map(source.extras.map((name, i) => [name, first + i]));
    this.divisors = [...this.#slots].filter(([name]) => name.startsWith("div")).map(([name, slot]) =>
      [Number(name.slice(3)), slot] as const
    );
  }

  /** Sets one of the extras. */
  set(name: string, value: number): void {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new DeviceError(`kernel: got argument ${name}, expected one of its source`);
    this.block.integer(slot, value);
  }

  /** Sets one of the extras to the numbers that divide by `d`; what has no such extra divides by nothing. */
  divide(name: string, d: number): void {
    const slot = this.#slots.get(name);
    if (slot !== undefined) this.block.divisor(slot, d);
  }

  /** Enqueues it with enough blocks for so many units of work. */
  launch(units: number, perBlock = BLOCK): void {
    if (this.#generation !== this.#gpu.generation) {
      this.#fn = this.#gpu.compile(this.#text);
      this.#generation = this.#gpu.generation;
    }
    const blocks = Math.max(1, Math.min(Math.ceil(units / perBlock), this.#gpu.maxBlocks));
    if (this.#pointer === null) return this.#gpu.launch(this.#fn, blocks, this.block);
    const buffer = this.#gpu.stage(this.block.bytes);
    try {
      this.#pointer.integer(0, buffer.address);
      this.#gpu.launch(this.#fn, blocks, this.#pointer);
    } finally {
      buffer.release();
    }
  }
}

/** One generated kernel on one GPU. */
export class CudaKernel {
  readonly #gpu: Gpu;
  readonly #kernel: Kernel;
  readonly #layout: ReturnType<typeof blockLayout>;
  readonly #itemsizes: readonly number[];
  readonly #crosses: boolean;
  readonly #vector: number;
  readonly #unrolls = new Map<number, number>();
  readonly #programs = new Map<string, CudaProgram>();
  #index: ReadonlySet<number> | null = null;
  readonly #addresses: number[];

  constructor(gpu: Gpu, kernel: Kernel) {
    this.#gpu = gpu;
    this.#kernel = kernel;
    this.#layout = blockLayout(kernel);
    this.#itemsizes = [...kernel.operands, ...kernel.outputs].map((o) => dtypes[o.dtype].itemsize * o.components);
    this.#crosses = mayCross(kernel);
    this.#vector = vectorWidth(kernel);
    this.#addresses = this.#itemsizes.map(() => 0);
  }

  run(launch: Launch): void {
    const { operands, outputs, sizes } = launch, at = this.#addresses;
    for (let i = 0; i < operands.length; i++) {
      const { buffer, offset } = operands[i]!;
      at[i] = buffer === null ? offset : cudaOf(buffer, this.#gpu).address + offset * this.#itemsizes[i]!;
    }
    for (let i = 0, j = operands.length; i < outputs.length; i++, j++) {
      const { buffer, offset } = outputs[i]!;
      at[j] = cudaOf(buffer, this.#gpu).address + offset * this.#itemsizes[j]!;
    }
    let points = 1;
    for (const n of sizes) points *= n;
    const wide = this.#kernel.wide || points > NARROW;
    switch (this.#kernel.kind) {
      case "map":
        return this.#map(launch, points, wide);
      case "reduce":
        return this.#reduce(launch, wide);
      case "scan":
        return this.#scan(launch, wide);
      case "scatter":
        return this.#scatter(launch, points, wide);
    }
  }

  #map(launch: Launch, points: number, wide: boolean): void {
    const k = this.#kernel, { sizes, operands, outputs } = launch;
    const strides = (i: number) => (operands[i] ?? outputs[i - operands.length]!).strides;
    if (this.#crosses) {
      const tile = planTile(k, sizes, strides);
      if (tile !== null) return this.#tile(tile, launch, points, wide);
    }
    // The widest groups that all arrays have in common.
    let width = this.#vector, head: number | null = null;
    while (width > 1 && (head = vectorHead(k, width, sizes, this.#addresses, strides)) === null) width /= 2;
    const program = this.#program(`${width}`, wide, launch, () => renderMap(k, wide, width));
    program.set("count", points);
    if (width > 1 && k.rank === 1) program.set("head", head!);
    program.divide("group", sizes[k.rank - 1]! / width);
    program.launch(Math.ceil(points / width), BLOCK * this.#unrollOf(width));
  }

  #unrollOf(width: number): number {
    let unroll = this.#unrolls.get(width);
    if (unroll === undefined) this.#unrolls.set(width, unroll = mapUnroll(this.#kernel, width));
    return unroll;
  }

  #tile(plan: TilePlan, launch: Launch, points: number, wide: boolean): void {
    const { sizes } = launch, across = sizes[sizes.length - 1]!, down = sizes[plan.near]!;
    const program = this.#program(plan.key, wide, launch, () => renderTile(this.#kernel, wide, plan));
    const tiles = { down: Math.ceil(down / plan.rows), across: Math.ceil(across / plan.columns) };
    const count = points / (down * across) * tiles.down * tiles.across;
    program.set("count", count);
    for (const name of sizes.length > 2 ? ["across", "down"] as const : ["across"] as const) {
      program.set(name, tiles[name]);
      program.divide(`by_${name}`, tiles[name]);
    }
    program.launch(count, 1);
  }

  #reduce(launch: Launch, wide: boolean): void {
    const k = this.#kernel, { sizes, operands } = launch;
    let kept = 1, reduced = 1;
    for (let i = 0; i < sizes.length; i++) {
      if (i < k.rank - k.reduced) kept *= sizes[i]!;
      else reduced *= sizes[i]!;
    }
    const plan = planReduce(k, sizes), { variant, parts, length, lanes } = plan;
    // A column's result does not depend on how many are taken at once.
    const vector = plan.width === 1 || reduceAligned(k, plan.width, this.#addresses, (i) => operands[i]!.strides);
    const width = variant === "columns" && !vector ? 1 : plan.width;
    const name = `${variant}${width}${vector ? "v" : ""}`;
    const program = this.#program(name, wide, launch, () => renderReduce(k, wide, variant, width, vector));
    program.set("count", kept);
    if (variant === "thread") return program.launch(kept);
    program.set("reduced", reduced);
    program.divide("group", sizes[innerLoop(k)]! / width);
    if (variant === "rows") {
      program.set("lanes", lanes);
      return program.launch(kept, BLOCK / lanes);
    }
    program.set("parts", parts);
    program.set("length", length);
    this.#withSpaces(parts > 1 ? kept * parts : 0, (spaces) => {
      spaces.forEach((space, j) => program.set(`w${j}`, space));
      program.launch((variant === "columns" ? Math.ceil(kept / (32 * width)) : kept) * parts, 1);
      if (parts === 1) return;
      const merge = this.#program("merge", wide, launch, () => renderReduce(k, wide, "merge", 1, true));
      merge.set("count", kept);
      merge.set("parts", parts);
      spaces.forEach((space, j) => merge.set(`w${j}`, space));
      merge.launch(kept, BLOCK / 32);
    });
  }

  #scan(launch: Launch, wide: boolean): void {
    const k = this.#kernel, { sizes, operands, outputs } = launch;
    const strides = (i: number) => (operands[i] ?? outputs[i - operands.length]!).strides;
    const plan = planScan(k, sizes, strides);
    let count = 1;
    for (let i = 0; i < sizes.length - 1; i++) count *= sizes[i]!;
    const { variant, lanes, warps, chunks, length } = plan, groups = Math.ceil(count / plan.rows);
    const vector = variant === "block" && lanes === 1 && scanAligned(k, this.#addresses, strides);
    const program = (name: "thread" | "totals" | "block") => {
      const key = `${name} ${lanes}x${warps}${vector ? "v" : ""}`;
      const p = this.#program(key, wide, launch, () => renderScan(k, wide, name, { lanes, warps, vector }));
      p.set("count", count);
      return p;
    };
    if (variant === "thread") return program("thread").launch(groups, 1);
    this.#withSpaces(chunks > 1 ? count * chunks : 0, (spaces) => {
      for (const name of chunks > 1 ? ["totals", "block"] as const : ["block"] as const) {
        const p = program(name);
        p.set("chunks", chunks);
        p.set("length", length);
        spaces.forEach((space, j) => p.set(`w${j}`, space));
        p.launch(groups * chunks, 1);
      }
    });
  }

  #scatter(launch: Launch, points: number, wide: boolean): void {
    const k = this.#kernel, { sizes, operands, outputs } = launch;
    const index = this.#index ??= indexOperands(k);
    // The innermost loops that move through memory without the index.
    let free = 0, columns = 1;
    for (let d = k.rank - 1; d >= 0; d--) {
      const moves = outputs[0]!.strides[d] !== 0 && [...index].every((i) => operands[i]!.strides[d] === 0);
      if (!moves && sizes[d] !== 1) break;
      free++;
      columns *= sizes[d]!;
    }
    const rows = points / columns;
    const program = (name: "serial" | "keys" | "apply" | "atomic") => {
      const p = this.#program(`${name}${free}`, wide, launch, () => renderScatter(k, wide, name, free));
      p.set("rows", rows);
      p.set("columns", columns);
      return p;
    };
    if (rows <= SERIAL_ROWS) return program("serial").launch(columns);
    if (atomicOf(k) !== null) return program("atomic").launch(points);
    if (rows > 0xffffffff) throw new DeviceError(`scatter: got ${rows} updates, expected fewer than 2^32`);
    const gpu = this.#gpu;
    const buffers = [gpu.allocate(8 * rows), gpu.allocate(4 * rows), gpu.allocate(8 * rows), gpu.allocate(4 * rows)];
    try {
      const [keys, order, sorted, places] = buffers as [CudaBuffer, CudaBuffer, CudaBuffer, CudaBuffer];
      const first = program("keys");
      first.set("keys", keys.address);
      first.set("order", order.address);
      first.launch(rows);
      // Keys are offsets in the output, none of them negative: their upper bits are alike.
      const reach = Math.max(1, cudaOf(outputs[0]!.buffer!, gpu).byteLength);
      const bits = outputs[0]!.strides.every((step) => step >= 0) ? Math.ceil(Math.log2(reach)) : 64;
      gpu.sortRows({
        dtype: "int64",
        rows: 1,
        n: rows,
        x: keys.address,
        values: sorted.address,
        order: places.address,
        bits,
      });
      const apply = program("apply");
      apply.set("keys", sorted.address);
      apply.set("order", places.address);
      apply.launch(points);
    } finally {
      for (const buffer of buffers) buffer.release();
    }
  }

  /** Workspaces of so many running values of each kind, given back in stream order. */
  #withSpaces(count: number, run: (addresses: readonly number[]) => void): void {
    const buffers: CudaBuffer[] = [];
    try {
      const itemsizes = this.#kernel.reduction!.dtypes.map((d) =>
        Math.max(dtypes[d].kind === "f" ? 4 : 1, dtypes[d].itemsize)
      );
      for (const itemsize of itemsizes) buffers.push(this.#gpu.allocate(count * itemsize));
      run(buffers.map((buffer) => buffer.address));
    } finally {
      for (const buffer of buffers) buffer.release();
    }
  }

  /** The program of a variant with a launch's sizes, arrays and scalars filled in. */
  #program(variant: string, wide: boolean, launch: Launch, render: () => CudaSource): CudaProgram {
    const key = wide ? `${variant}w` : variant;
    let program = this.#programs.get(key);
    if (program === undefined) {
      program = new CudaProgram(this.#gpu, render(), this.#layout.length);
      this.#programs.set(key, program);
    }
    const { sizes, operands, outputs, scalars } = launch;
    const layout = this.#layout, { block } = program, at = this.#addresses;
    for (let i = 0; i < sizes.length; i++) block.integer(i, sizes[i]!);
    for (let i = 0; i < operands.length; i++) {
      const { strides } = operands[i]!, slot = layout.operands[i]!;
      block.integer(slot.address, at[i]!);
      for (let d = 0; d < strides.length; d++) block.integer(slot.strides + d, strides[d]!);
    }
    for (let i = 0; i < outputs.length; i++) {
      const { strides } = outputs[i]!, slot = layout.outputs[i]!;
      block.integer(slot.address, at[operands.length + i]!);
      for (let d = 0; d < strides.length; d++) block.integer(slot.strides + d, strides[d]!);
    }
    for (let i = 0; i < scalars.length; i++) {
      const value = scalars[i]!, slot = layout.scalars + i;
      if (typeof value === "bigint") block.bigint(slot, value);
      else if (dtypes[this.#kernel.scalars[i]!].kind === "f") block.double(slot, value);
      else block.integer(slot, value);
    }
    for (const [loop, slot] of program.divisors) block.divisor(slot, sizes[loop]!);
    return program;
  }
}
