/**
 * Device `CPU:0`. Work is done during the call, but for long work that a reader awaits: see cpu_queue.ts.
 * @module
 */
import { available } from "../../ffi/open.ts";
import { adviseHugePages, keepFreed } from "../../ffi/libc.ts";
import { addressOf } from "../../ffi/mem.ts";
import { platform } from "../../ffi/runtime.ts";
import type { Kernel, Routine } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { Arena, type HostBuffer } from "./arena.ts";
import { type CpuConfig, cpuConfig, setCpuConfig } from "./config.ts";
import { turn, WorkQueue } from "./cpu_queue.ts";
import type { Buffer, Callable, Device, Executable, HostElements, Launch, MemoryStats, Traits } from "./device.ts";
import { hostOf } from "./host.ts";
import { KernelRunner } from "./kernel_runner.ts";
import { forgetStacks } from "./matmul_stack.ts";
import { forgetToolchain } from "./native.ts";
import { forgetThread } from "./native_thread.ts";
import { findNonzero, forgetNonzero, type Positions } from "./nonzero.ts";
import { makeRoutine } from "./routines.ts";
import { forgetSorts } from "./sort_native.ts";
import { embedded, engineHeap, forgetEngineMemory } from "./wasm_memory.ts";

/** From this size on blocks are worth aligning, so the address of memory is asked for. */
const LARGE = 256 << 10;

/** Bytes that are copied between two turns of the event loop. */
const PIECE = 4 << 20;

/** From this length on a row by itself is as fast. */
const SHORT_ROW = 32;

/** Less than one exponential: storing it and reading it again takes half its time. */
const RECOMPUTE = 8;

/** Kernels kept at hand; beyond, the oldest goes (a plan that uses it keeps it). */
const MOST = 8192;

/** How compiled code is best fused. */
export const compiledTraits: Traits = { shortRow: SHORT_ROW, recompute: RECOMPUTE, dots: true };

/** The CPU as a device. */
export class CpuDevice implements Device {
  readonly name = "CPU:0";
  readonly type = "CPU";
  readonly arena: Arena = new Arena(this);
  readonly #kernels = new Map<string, { readonly runner: KernelRunner; readonly run: Executable }>();
  readonly #routines = new Map<string, Callable>();
  readonly #queue = new WorkQueue();
  #aligned = false;
  #settled = false;
  #traits: Traits | undefined;

  get traits(): Traits {
    // WebAssembly has no vectors of values that lie apart.
    return this.#traits ??= embedded() ? { ...compiledTraits, shortRow: 0 } : compiledTraits;
  }

  allocate(byteLength: number): HostBuffer {
    if (!this.#settled) {
      this.#settled = true;
      this.arena.heap = engineHeap();
    }
    if (byteLength >= LARGE && !this.#aligned) {
      this.#aligned = true;
      if (cpuConfig().engine !== "js" && available().ok) {
        if (platform === "linux") keepFreed();
        this.arena.align(addressOf, platform === "linux" ? adviseHugePages : null);
      }
    }
    return this.arena.allocate(byteLength);
  }

  /** The runner of a kernel: what `kernel` gives, and more. */
  runner(kernel: Kernel): KernelRunner {
    return this.#entry(kernel).runner;
  }

  kernel(kernel: Kernel): Executable {
    return this.#entry(kernel).run;
  }

  routine(routine: Routine): Callable {
    let call = this.#routines.get(routine.key);
    if (call === undefined) {
      const queue = this.#queue, { run, native } = makeRoutine(this, routine);
      call = (call) => queue.active ? queue.routine(routine, call, run, native) : run(call);
      this.#routines.set(routine.key, call);
    }
    return call;
  }

  write(buffer: Buffer, byteOffset: number, bytes: Uint8Array): void {
    this.synchronize();
    hostOf(buffer).bytes(byteOffset, bytes.byteLength).set(bytes);
  }

  read(buffer: Buffer, byteOffset: number, byteLength: number): Uint8Array<ArrayBuffer> {
    this.synchronize();
    this.#queue.check(buffer);
    const bytes = this.arena.forUser(byteLength);
    bytes.set(hostOf(buffer).bytes(byteOffset, byteLength));
    return bytes;
  }

  elements(buffer: Buffer, dtype: DType): HostElements {
    this.synchronize();
    this.#queue.check(buffer);
    const { memory, byteOffset } = hostOf(buffer), { code, itemsize } = dtypeInfo(dtype);
    return { data: memory.viewOf(code), first: byteOffset / itemsize };
  }

  async readAsync(buffer: Buffer, byteOffset: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.#queue.finishAsync();
    if (byteLength <= PIECE) return this.read(buffer, byteOffset, byteLength);
    const bytes = this.arena.forUser(byteLength);
    for (let at = 0; at < byteLength; at += PIECE) {
      this.#queue.check(buffer);
      bytes.set(hostOf(buffer).bytes(byteOffset + at, Math.min(PIECE, byteLength - at)), at);
      await turn(true);
    }
    return bytes;
  }

  defer<T>(run: () => T): T {
    return this.#queue.defer(run);
  }

  get interprets(): boolean {
    return cpuConfig().engine === "auto" && cpuConfig().interpret && !this.#queue.waits;
  }

  synchronize(): void {
    this.#queue.finish();
  }

  /** Positions of true values, which begin at a byte of a buffer, in C order; waits for them. */
  nonzero(mask: Buffer, byteOffset: number, shape: readonly number[]): Positions {
    this.synchronize();
    this.#queue.check(mask);
    return findNonzero(this, hostOf(mask), byteOffset, shape);
  }

  memoryStats(): MemoryStats {
    return this.arena.stats();
  }

  /** Forgets kernels and routines, so that the next launches choose their engines anew. */
  forget(): void {
    this.#kernels.clear();
    this.#routines.clear();
    this.#settled = false;
    this.#traits = undefined;
    forgetEngineMemory();
    forgetSorts();
    forgetNonzero();
    forgetStacks();
  }

  #entry(kernel: Kernel) {
    let entry = this.#kernels.get(kernel.key);
    if (entry === undefined) {
      const runner = new KernelRunner(kernel);
      const queue = this.#queue, run: Executable = (launch) => runner.run(launch);
      const native = (launch: Launch, urgent: boolean) => runner.native(launch, urgent);
      entry = {
        runner,
        run: (launch) => queue.active ? queue.kernel(kernel, launch, run, native) : runner.run(launch),
      };
      if (this.#kernels.size >= MOST) this.#kernels.delete(this.#kernels.keys().next().value!);
      this.#kernels.set(kernel.key, entry);
    }
    return entry;
  }
}

/** The one CPU device. */
export const cpu: CpuDevice = new CpuDevice();

/**
 * Changes settings of the CPU device; compiler and cache folder are looked for again, kernels and routines choose their engines anew.
 *
 * @param changes what to change; `null` goes back to the settings of the environment
 */
export function configureCpu(changes: Partial<CpuConfig> | null): void {
  setCpuConfig(changes);
  cpu.arena.limit = cpuConfig().cacheLimit;
  forgetToolchain();
  forgetThread();
  cpu.forget();
}
