/**
 * Generated kernels on the CPU: one kernel, its JavaScript and its compiled C, and the choice between them.
 *
 * The choice is ski-rental: JavaScript runs until the time spent in it, or about to be, exceeds what compiling costs.
 * Times are estimates (points times the kernel's cost a point), so small launches are not slowed down by clocks.
 * @module
 */
import { addressOf, native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import { compileJs, cost } from "../../kernels/js.ts";
import { blockLayout, type Kernel } from "../../kernels/kernel.ts";
import { dtypes, type TypedArray } from "../base/dtype.ts";
import { cpuConfig } from "./config.ts";
import type { Launch } from "./device.ts";
import { hostOf } from "./host.ts";
import { compileCost, type NativeFunction, nativeKernel } from "./native.ts";

/** Launches estimated below this many nanoseconds stay in JavaScript: the call would cost as much. */
const SMALL = 1500;
/** From this much JavaScript time on it pays to look for the kernel on disk. */
const LOOK = 1e6;

type JsFunction = (mem: TypedArray[], n: ArrayLike<number>, s: readonly (number | bigint)[]) => void;

/** The argument block of compiled kernels: slots of 8 bytes. */
class Block {
  readonly address: Address;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;

  constructor(slots: number) {
    const memory = new ArrayBuffer(8 * slots);
    this.#words = new Uint32Array(memory);
    this.#doubles = new Float64Array(memory);
    this.address = native(addressOf(this.#words));
  }

  /** An integer as int64: exact up to 2^53. */
  integer(slot: number, value: number): void {
    this.#words[2 * slot] = value;
    this.#words[2 * slot + 1] = value >= 0 && value <= 0xffffffff ? 0 : Math.floor(value / 4294967296);
  }

  /** An integer of 64 bits. */
  bigint(slot: number, value: bigint): void {
    this.#words[2 * slot] = Number(value & 0xffffffffn);
    this.#words[2 * slot + 1] = Number(value >> 32n & 0xffffffffn);
  }

  double(slot: number, value: number): void {
    this.#doubles[slot] = value;
  }
}

/** One generated kernel on the CPU. */
export class KernelRunner {
  readonly #kernel: Kernel;
  readonly #layout: ReturnType<typeof blockLayout>;
  /** Bytes of one element of each operand, then of each output. */
  readonly #itemsizes: readonly number[];
  readonly #cost: number;
  readonly #n: number[];
  #js: JsFunction | null = null;
  #native: NativeFunction | null = null;
  #block: Block | null = null;
  /** Nanoseconds that JavaScript took so far, estimated. */
  #spent = 0;
  #looked = false;
  #refused = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#layout = blockLayout(kernel);
    this.#itemsizes = [...kernel.operands, ...kernel.outputs].map((o) => dtypes[o.dtype].itemsize * o.components);
    this.#cost = cost(kernel);
    this.#n = new Array<number>(this.#layout.length).fill(0);
  }

  /** Runs the kernel. */
  run(launch: Launch): void {
    let points = 1;
    for (const n of launch.sizes) points *= n;
    const ns = points * this.#cost;
    if (this.#compiled(ns)) this.#runNative(launch);
    else this.#runJs(launch);
  }

  /** Runs it only if compiled code is there or pays; `ns` is what the caller's own way would cost. */
  tryNative(launch: Launch, ns: number): boolean {
    if (!this.#compiled(ns)) return false;
    this.#runNative(launch);
    return true;
  }

  /** Decides on compiled code for a launch that JavaScript would take `ns` for, and adds that to the bill where it is not. */
  #compiled(ns: number): boolean {
    const { engine } = cpuConfig();
    if (engine === "js") return false;
    if (this.#native !== null) return engine === "c" || ns > SMALL;
    if (this.#refused) return false;
    this.#spent += ns;
    const compile = engine === "c" || this.#spent > compileCost();
    if (!compile && (this.#looked || this.#spent < LOOK)) return false;
    this.#looked = true;
    this.#native = nativeKernel(this.#kernel, compile);
    if (this.#native === null) {
      if (compile) this.#refused = true;
      return false;
    }
    this.#block = new Block(this.#layout.length);
    return true;
  }

  #runJs(launch: Launch): void {
    const run = this.#js ??= compileJs(this.#kernel);
    const { sizes, operands, outputs } = launch;
    const kernel = this.#kernel, layout = this.#layout, n = this.#n, itemsizes = this.#itemsizes;
    const memory: TypedArray[] = [];
    for (let i = 0; i < sizes.length; i++) n[i] = sizes[i]!;
    for (let i = 0; i < operands.length; i++) {
      const { buffer, offset, strides } = operands[i]!, slot = layout.operands[i]!;
      if (buffer === null) {
        n[slot.address] = offset;
      } else {
        const host = hostOf(buffer);
        memory.push(host.memory.view(kernel.operands[i]!.dtype));
        n[slot.address] = offset + host.byteOffset / itemsizes[i]!;
      }
      for (let d = 0; d < strides.length; d++) n[slot.strides + d] = strides[d]!;
    }
    for (let i = 0; i < outputs.length; i++) {
      const { buffer, offset, strides } = outputs[i]!, slot = layout.outputs[i]!;
      const host = hostOf(buffer);
      memory.push(host.memory.view(kernel.outputs[i]!.dtype));
      n[slot.address] = offset + host.byteOffset / itemsizes[operands.length + i]!;
      for (let d = 0; d < strides.length; d++) n[slot.strides + d] = strides[d]!;
    }
    run(memory, n, launch.scalars);
  }

  #runNative(launch: Launch): void {
    const { sizes, operands, outputs, scalars } = launch;
    const kernel = this.#kernel, layout = this.#layout, block = this.#block!, itemsizes = this.#itemsizes;
    for (let i = 0; i < sizes.length; i++) block.integer(i, sizes[i]!);
    for (let i = 0; i < operands.length; i++) {
      const { buffer, offset, strides } = operands[i]!, slot = layout.operands[i]!;
      if (buffer === null) {
        block.integer(slot.address, offset);
      } else {
        const host = hostOf(buffer);
        block.integer(slot.address, host.memory.address(addressOf) + host.byteOffset + offset * itemsizes[i]!);
      }
      for (let d = 0; d < strides.length; d++) block.integer(slot.strides + d, strides[d]!);
    }
    for (let i = 0; i < outputs.length; i++) {
      const { buffer, offset, strides } = outputs[i]!, slot = layout.outputs[i]!;
      const host = hostOf(buffer), itemsize = itemsizes[operands.length + i]!;
      block.integer(slot.address, host.memory.address(addressOf) + host.byteOffset + offset * itemsize);
      for (let d = 0; d < strides.length; d++) block.integer(slot.strides + d, strides[d]!);
    }
    for (let i = 0; i < scalars.length; i++) {
      const value = scalars[i]!, slot = layout.scalars + i;
      if (typeof value === "bigint") block.bigint(slot, value);
      else if (dtypes[kernel.scalars[i]!].kind === "f") block.double(slot, value);
      else block.integer(slot, value);
    }
    // `launch` keeps the memory referenced until the call is over.
    this.#native!(block.address);
  }
}
