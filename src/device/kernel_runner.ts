/**
 * Generated kernels on the CPU: one kernel, its JavaScript, its WebAssembly and its compiled C, and the choice between them.
 *
 * Times are estimates (points times the kernel's cost a point), so small launches are not slowed down by clocks; longer ones tell how
 * far off these are.
 * @module
 */
import { addressOf, native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import { compileJs, cost } from "../../kernels/js.ts";
import { type BlockLayout, blockLayout, type Kernel, type Operand, type Output } from "../../kernels/kernel.ts";
import { dtypes, type TypedArray } from "../base/dtype.ts";
import type { HostBuffer } from "./arena.ts";
import { cpuConfig } from "./config.ts";
import type { Launch } from "./device.ts";
import { hostOf } from "./host.ts";
import { kernelSource, type NativeFunction } from "./native.ts";
import { NativeCode } from "./native_code.ts";
import { recording, settle } from "./native_thread.ts";
import { Slots } from "./slots.ts";
import { WasmChoice } from "./wasm_choice.ts";

/** Launches estimated below this many nanoseconds stay in JavaScript: the call would cost as much. */
const SMALL = 100;

/** Launches estimated at so many nanoseconds are timed: a clock's call is nothing beside them. */
const TIMED = 20_000;

/** From so many points on JavaScript takes long enough, whatever the kernel, for the code on disk to be looked for. */
const MANY = 1 << 20;

type JsFunction = (mem: TypedArray[], n: ArrayLike<number>, s: readonly (number | bigint)[]) => void;

/** What stays of an argument block from launch to launch: sizes and strides. Plans hand in the same lists each time. */
class Shapes {
  #sizes: readonly number[] | null = null;
  readonly #strides: (readonly number[])[] = [];

  /** Whether a launch has the shapes of the one before. */
  same({ sizes, operands, outputs }: Launch): boolean {
    if (sizes !== this.#sizes) return false;
    const strides = this.#strides;
    let at = 0;
    for (let i = 0; i < operands.length; i++) if (operands[i]!.strides !== strides[at++]) return false;
    for (let i = 0; i < outputs.length; i++) if (outputs[i]!.strides !== strides[at++]) return false;
    return true;
  }

  /** Hands out the numbers of a launch by slot. */
  fill(launch: Launch, layout: BlockLayout, set: (slot: number, value: number) => void): void {
    const { sizes, operands, outputs } = launch;
    this.#sizes = sizes;
    for (let i = 0; i < sizes.length; i++) set(layout.sizes + i, sizes[i]!);
    let at = 0;
    const array = (strides: readonly number[], slot: number): void => {
      this.#strides[at++] = strides;
      for (let d = 0; d < strides.length; d++) set(slot + d, strides[d]!);
    };
    for (let i = 0; i < operands.length; i++) array(operands[i]!.strides, layout.operands[i]!.strides);
    for (let i = 0; i < outputs.length; i++) array(outputs[i]!.strides, layout.outputs[i]!.strides);
  }
}

/** The argument block of compiled kernels. */
class Block extends Slots {
  readonly address: Address;
  readonly shapes: Shapes = new Shapes();

  constructor(slots: number) {
    super(slots);
    this.address = native(addressOf(this.bytes));
  }
}

/** An array of a kernel: its address's slot, its dtype's code, the bytes of an element and their logarithm. */
interface ArraySlot {
  readonly address: number;
  readonly code: number;
  readonly itemsize: number;
  readonly shift: number;
}

/** The native address of a block's first byte. */
function addressIn(host: HostBuffer): number {
  return host.memory.address(addressOf) + host.byteOffset;
}

const nothing: TypedArray = new Uint8Array(0);

/** One generated kernel on the CPU. */
export class KernelRunner {
  readonly #kernel: Kernel;
  readonly #layout: BlockLayout;
  readonly #operands: readonly ArraySlot[];
  readonly #outputs: readonly ArraySlot[];
  /** Whether each scalar is floating. */
  readonly #floating: readonly boolean[];
  /** Nanoseconds of a point in JavaScript, worked out when they decide something. */
  #cost: number | undefined;
  /** The sizes of the launch before and what JavaScript takes for them, in nanoseconds. */
  #sizes: readonly number[] | null = null;
  #ns = 0;
  /** What launches take, as a multiple of what was estimated; smoothed, so that the bill grows by what they took. */
  #pace = 1;
  #js: JsFunction | null = null;
  /** The argument block as JavaScript reads it, and the arrays. */
  readonly #n: number[];
  readonly #shapes: Shapes = new Shapes();
  readonly #memory: TypedArray[];
  readonly #code: NativeCode;
  #wasm: WasmChoice | null = null;
  #block: Block | null = null;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const layout = this.#layout = blockLayout(kernel);
    const slot = ({ dtype, components }: Operand | Output, { address }: { readonly address: number }): ArraySlot => {
      const { code, itemsize } = dtypes[dtype];
      const bytes = itemsize * components;
      return { address, code, itemsize: bytes, shift: Math.log2(bytes) };
    };
    this.#operands = kernel.operands.map((o, i) => slot(o, layout.operands[i]!));
    this.#outputs = kernel.outputs.map((o, i) => slot(o, layout.outputs[i]!));
    this.#floating = kernel.scalars.map((dtype) => dtypes[dtype].kind === "f");
    this.#code = new NativeCode("a kernel", kernelSource(kernel));
    this.#n = new Array<number>(layout.length).fill(0);
    const stored = kernel.operands.filter((o) => !o.virtual).length + kernel.outputs.length;
    this.#memory = new Array<TypedArray>(stored).fill(nothing);
  }

  /** Runs the kernel. */
  run(launch: Launch): void {
    if (launch.sizes !== this.#sizes) this.#estimate(launch.sizes);
    // What is small is JavaScript's, whatever else there is.
    if (this.#ns < SMALL && cpuConfig().engine === "auto" && recording() === null) return this.#runJs(launch);
    const ns = this.#ns * this.#share();
    if (this.tryNative(launch, ns * this.#pace)) return;
    if (recording() !== null) settle();
    if (ns < TIMED) return this.#runEmbedded(launch);
    const start = performance.now();
    this.#runEmbedded(launch);
    this.#pace += ((performance.now() - start) * 1e6 / ns - this.#pace) / 4;
  }

  #estimate(sizes: readonly number[]): void {
    let points = 1;
    for (let i = 0; i < sizes.length; i++) points *= sizes[i]!;
    this.#sizes = sizes;
    this.#ns = points * (points >= MANY && this.#code.onDisk() ? 1 : this.#costOf());
  }

  #runEmbedded(launch: Launch): void {
    this.#wasm ??= new WasmChoice(this.#kernel, this.#costOf());
    if (!this.#wasm.run(launch, this.#ns, this.#inJs)) this.#runJs(launch);
  }

  readonly #inJs = (launch: Launch): void => this.#runJs(launch);

  #costOf(): number {
    return this.#cost ??= cost(this.#kernel);
  }

  /** The part of JavaScript's estimated time that launches take. */
  #share(): number {
    return this.#wasm === null ? 1 : this.#wasm.share;
  }

  /** Whether compiled code would run a launch that a reader awaits: undefined while that is being made beside the program. */
  native({ sizes }: Launch, urgent = false): boolean | undefined {
    const { engine } = cpuConfig(), ns = sizes.reduce((a, b) => a * b, this.#costOf() * this.#share() * this.#pace);
    if (engine === "js" || engine === "wasm" || (engine !== "c" && ns < SMALL)) return false;
    const run = this.#code.getSoon(ns, urgent);
    return run === undefined ? undefined : run !== null;
  }

  /** Runs it only if compiled code is there or pays; `ns` is what the caller's own way would cost. */
  tryNative(launch: Launch, ns: number): boolean {
    const { engine } = cpuConfig();
    if (engine === "js" || engine === "wasm" || (engine !== "c" && ns < SMALL)) return false;
    const run = this.#code.get(ns);
    if (run === null) return false;
    this.#runNative(run, launch);
    return true;
  }

  #runJs(launch: Launch): void {
    const run = this.#js ??= compileJs(this.#kernel);
    const { operands, outputs } = launch;
    const memory = this.#memory, n = this.#n;
    if (!this.#shapes.same(launch)) this.#shapes.fill(launch, this.#layout, (slot, value) => n[slot] = value);
    let m = 0;
    for (let i = 0; i < operands.length; i++) {
      const { buffer, offset } = operands[i]!, { address, code, shift } = this.#operands[i]!;
      if (buffer === null) {
        n[address] = offset;
      } else {
        const host = hostOf(buffer);
        memory[m++] = host.memory.viewOf(code);
        // Blocks begin within a slab, or where their memory does.
        n[address] = offset + (host.byteOffset >> shift);
      }
    }
    for (let i = 0; i < outputs.length; i++) {
      const { buffer, offset } = outputs[i]!, { address, code, shift } = this.#outputs[i]!;
      const host = hostOf(buffer);
      memory[m++] = host.memory.viewOf(code);
      n[address] = offset + (host.byteOffset >> shift);
    }
    run(memory, n, launch.scalars);
    for (let i = 0; i < m; i++) memory[i] = nothing;
  }

  #runNative(run: NativeFunction, launch: Launch): void {
    const { operands, outputs, scalars } = launch;
    const recorder = recording();
    const block = recorder === null ? this.#block ??= new Block(this.#layout.length) : new Block(this.#layout.length);
    if (!block.shapes.same(launch)) {
      block.shapes.fill(launch, this.#layout, (slot, value) => block.integer(slot, value));
    }
    for (let i = 0; i < operands.length; i++) {
      const { buffer, offset } = operands[i]!, { address, itemsize } = this.#operands[i]!;
      block.integer(address, buffer === null ? offset : addressIn(hostOf(buffer)) + offset * itemsize);
    }
    for (let i = 0; i < outputs.length; i++) {
      const { buffer, offset } = outputs[i]!, { address, itemsize } = this.#outputs[i]!;
      block.integer(address, addressIn(hostOf(buffer)) + offset * itemsize);
    }
    for (let i = 0; i < scalars.length; i++) {
      const value = scalars[i]!, slot = this.#layout.scalars + i;
      if (typeof value === "bigint") block.bigint(slot, value);
      else if (this.#floating[i]!) block.double(slot, value);
      else block.integer(slot, value);
    }
    // `launch` keeps the memory referenced until the call is over.
    if (recorder === null) run(block.address);
    else recorder.kernel(run, block.bytes);
  }
}
