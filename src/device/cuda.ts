/**
 * Devices `GPU:n`: NVIDIA GPUs through the CUDA driver. Work is enqueued on a stream and the call returns; reading waits for it.
 * @module
 */
import { Cublas, cublasSpec } from "../../ffi/cublas.ts";
import { CublasLt, cublasLtSpec } from "../../ffi/cublas_lt.ts";
import { CudaDriver, deviceAttribute } from "../../ffi/cuda.ts";
import { CudaGraphs } from "../../ffi/cuda_graph.ts";
import { LibraryError, NativeError } from "../../ffi/errors.ts";
import { native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import { BLOCK } from "../../kernels/cuda.ts";
import type { Kernel, Routine } from "../../kernels/kernel.ts";
import { debug } from "../base/debug.ts";
import { DeviceError } from "../base/errors.ts";
import type { ArgumentBlock } from "./cuda_block.ts";
import { cubinOf } from "./cuda_compile.ts";
import { type CudaRecorder, CudaRecorders, type RecorderHost, Unrecordable } from "./cuda_graph.ts";
import { CudaKernel, cudaOf, type CudaProgram, type SortRows } from "./cuda_kernel.ts";
import { LtProducts } from "./cuda_lt.ts";
import { type CudaBuffer, CudaMemory } from "./cuda_memory.ts";
import { PeerEnd } from "./cuda_peer.ts";
import { cudaRoutine, type RoutineHost } from "./cuda_routines.ts";
import { sortRows } from "./cuda_sorting.ts";
import { Transfers } from "./cuda_transfer.ts";
import type { Buffer, Callable, Executable, MemoryStats, Recorder, Traits } from "./device.ts";

/** Blocks for each multiprocessor beyond which kernels go on in strides. */
const BLOCKS_EACH = 32;

/** Bytes that NVIDIA advises as workspace of products: on compute capability 9.0 and later, and before. */
const LARGE_WORKSPACE = 32 << 20, SMALL_WORKSPACE = 4 << 20;

/** What is there once a device is in use. */
interface Open {
  readonly context: Address;
  readonly stream: Address;
  readonly memory: CudaMemory;
  readonly transfers: Transfers;
  readonly peer: PeerEnd;
  readonly modules: Address[];
}

/** Whether float32 products may round their inputs to TF32. */
let tf32 = false;

/** Allows or forbids TF32 in products of float32 on all GPUs; it is off at first. */
export function allowTf32(allow: boolean): void {
  tf32 = allow;
}

/** The device whose context is current on this thread. */
let current: CudaDevice | null = null;

/** One GPU. Its context is made when it is first used. */
export class CudaDevice implements RoutineHost, RecorderHost {
  readonly name: string;
  readonly type = "GPU";
  readonly traits: Traits = { shortRow: 0, recompute: 16, dots: false };
  /** What the driver calls it, e.g. "NVIDIA H100 80GB HBM3". */
  readonly model: string;
  /** Bytes of memory in all. */
  readonly totalMemory: number;
  /** Compute capability, e.g. [9, 0]. */
  readonly capability: readonly [major: number, minor: number];
  readonly maxBlocks: number;
  generation = 0;
  enqueued = 0;
  readonly #driver: CudaDriver;
  readonly #device: number;
  #open: Open | null = null;
  #cublas: Cublas | null = null;
  #cublasLt: LtProducts | null = null;
  /** Libraries that cannot be opened. */
  readonly #missing = new Set<string>();
  readonly #functions = new Map<string, Address>();
  readonly #programs = new Map<string, CudaProgram>();
  readonly #kernels = new Map<string, Executable>();
  readonly #routines = new Map<string, Callable>();
  /** Graphs of work that comes again; null where the driver has none, undefined before anybody asked. */
  #recorders: CudaRecorders | null | undefined;
  /** Where work is recorded now. */
  #recording: CudaRecorder | null = null;
  /** An error of something that could not throw it: the next call does. */
  #failure: unknown = null;

  constructor(driver: CudaDriver, ordinal: number) {
    this.name = `GPU:${ordinal}`;
    this.#driver = driver;
    const device = this.#device = driver.device(ordinal);
    this.model = driver.deviceName(device);
    this.totalMemory = driver.totalMemory(device);
    this.capability = [
      driver.attribute(device, deviceAttribute.major),
      driver.attribute(device, deviceAttribute.minor),
    ];
    this.maxBlocks = BLOCKS_EACH * driver.attribute(device, deviceAttribute.multiprocessors);
  }

  allocate(byteLength: number): CudaBuffer {
    return this.#recording !== null ? this.#recording.allocate(byteLength) : this.reserve(byteLength);
  }

  reserve(byteLength: number): CudaBuffer {
    return this.#use().memory.allocate(byteLength);
  }

  kernel(kernel: Kernel): Executable {
    let run = this.#kernels.get(kernel.key);
    if (run === undefined) {
      const runner = new CudaKernel(this, kernel);
      run = (launch) => {
        this.#use();
        runner.run(launch);
      };
      this.#kernels.set(kernel.key, run);
    }
    return run;
  }

  routine(routine: Routine): Callable {
    let run = this.#routines.get(routine.key);
    if (run === undefined) {
      const call = cudaRoutine(this, routine);
      run = (args) => {
        this.#use();
        call(args);
      };
      this.#routines.set(routine.key, run);
    }
    return run;
  }

  recorder(): Recorder | null {
    if (this.#recorders === undefined) {
      const graphs = CudaGraphs.of(this.#driver);
      if (graphs === null) {
        debug("engines", `${this.name}: the driver has no graphs; traced functions run by plain launches`);
      }
      this.#recorders = graphs === null ? null : new CudaRecorders(this, this.#driver, graphs);
    }
    return this.#recorders?.make() ?? null;
  }

  write(buffer: Buffer, byteOffset: number, bytes: Uint8Array): void {
    this.#unrecorded("write");
    const { transfers } = this.#use();
    const block = this.#within("write", buffer, byteOffset, bytes.byteLength);
    transfers.write(block.address + byteOffset, bytes);
  }

  read(buffer: Buffer, byteOffset: number, byteLength: number): Uint8Array<ArrayBuffer> {
    this.#unrecorded("read");
    const { transfers } = this.#use();
    const block = this.#within("read", buffer, byteOffset, byteLength);
    return transfers.read(block.address + byteOffset, byteLength);
  }

  async readAsync(buffer: Buffer, byteOffset: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    const { transfers } = this.#use();
    const block = this.#within("readAsync", buffer, byteOffset, byteLength);
    block.pin();
    try {
      return await transfers.readAsync(block.address + byteOffset, byteLength, () => void this.#use());
    } finally {
      this.#use();
      block.unpin();
    }
  }

  copy(to: Buffer, toOffset: number, from: Buffer, fromOffset: number, byteLength: number): void {
    const source = from.device;
    if (!(source instanceof CudaDevice)) throw new DeviceError(`copy: got memory of ${source.name}, expected a GPU's`);
    const { peer } = source.#use();
    const there = source.#within("copy", from, fromOffset, byteLength);
    const own = this.#use().peer;
    const here = this.#within("copy", to, toOffset, byteLength);
    if (byteLength === 0) return;
    const make = (end: PeerEnd) => void (end === own ? this : source).#use();
    own.receive(peer, make, here.address + toOffset, there.address + fromOffset, byteLength);
  }

  synchronize(): void {
    if (this.#open === null) return;
    this.#unrecorded("synchronize");
    const { stream } = this.#use();
    this.#driver.check("cuStreamSynchronize", this.#driver.f.cuStreamSynchronize(stream));
  }

  memoryStats(): MemoryStats {
    return this.#open === null ? { live: 0, peak: 0, cached: 0, count: 0 } : this.#use().memory.stats();
  }

  compile(source: string): Address {
    let fn = this.#functions.get(source);
    if (fn === undefined) {
      const { modules } = this.#use();
      const cubin = cubinOf(
        source,
        10 * this.capability[0] + this.capability[1],
        Math.floor(this.#driver.version / 1000),
      );
      const module = this.#driver.loadModule(cubin);
      modules.push(module);
      this.#functions.set(source, fn = this.#driver.moduleFunction(module, "tnp_kernel"));
    }
    return fn;
  }

  launch(fn: Address, blocks: number, { parameters, words }: ArgumentBlock): void {
    if (this.#recording !== null) return this.#recording.launch(fn, blocks, words);
    this.enqueued++;
    const { stream } = this.#open!;
    const code = this.#driver.f.cuLaunchKernel(fn, blocks, 1, 1, BLOCK, 1, 1, 0, stream, parameters, native(0));
    if (code !== 0) throw this.#driver.error("cuLaunchKernel", code);
  }

  stage(bytes: Uint8Array): CudaBuffer {
    if (this.#recording !== null) return this.#recording.stage(bytes);
    const buffer = this.allocate(bytes.byteLength);
    try {
      this.write(buffer, 0, bytes);
      return buffer;
    } catch (error) {
      buffer.release();
      throw error;
    }
  }

  enqueue(what: object, addresses: readonly Address[], call: (stream: Address) => void): void {
    if (this.#recording !== null) return this.#recording.enqueue(what, addresses, call);
    this.enqueued++;
    call(this.#open!.stream);
  }

  use(): { readonly stream: Address; readonly memory: CudaMemory } {
    return this.#use();
  }

  get memory(): CudaMemory | null {
    return this.#open?.memory ?? null;
  }

  record(into: CudaRecorder | null): void {
    this.#recording = into;
  }

  enqueueWrite(address: number, bytes: Uint8Array): void {
    this.#use().transfers.write(address, bytes);
  }

  failed(error: unknown): void {
    this.#failure ??= error;
  }

  program(key: string, make: () => CudaProgram): CudaProgram {
    let program = this.#programs.get(key);
    if (program === undefined) this.#programs.set(key, program = make());
    return program;
  }

  sortRows(sort: SortRows): void {
    sortRows(this, sort);
  }

  get tf32(): boolean {
    return tf32;
  }

  get cublasLt(): LtProducts | null {
    return this.#cublasLt ??= this.#optional("cublasLt", (_, major) => {
      const limit = this.capability[0] >= 9 ? LARGE_WORKSPACE : SMALL_WORKSPACE;
      return new LtProducts(this, new CublasLt(cublasLtSpec(major)), limit);
    });
  }

  get cublas(): Cublas | null {
    // It takes memory of the stream that it is on, which a part of a graph cannot do.
    this.#unrecorded("cuBLAS");
    return this.#cublas ??= this.#optional("cuBLAS", ({ stream }, major) => new Cublas(stream, cublasSpec(major)));
  }

  /** A library that may be missing. */
  #optional<T>(name: string, make: (open: Open, major: number) => T): T | null {
    if (this.#missing.has(name)) return null;
    try {
      return make(this.#use(), Math.floor(this.#driver.version / 1000));
    } catch (error) {
      if (!(error instanceof LibraryError)) throw error;
      this.#missing.add(name);
      debug("engines", `${this.name} multiplies matrices without ${name}: ${error.message}`);
      return null;
    }
  }

  /** Gives everything back: kernels, streams, cached memory. Arrays on the device are gone; new ones start it anew. */
  close(): void {
    if (this.#open === null) return;
    const { context, stream, memory, transfers, peer, modules } = this.#open;
    const { f } = this.#driver;
    const driver = this.#driver;
    let first: unknown = null;
    // Every step is tried, whatever becomes of the others.
    const attempt = (step: () => void) => {
      try {
        step();
      } catch (error) {
        first ??= error;
      }
    };
    attempt(() => driver.check("cuCtxSetCurrent", f.cuCtxSetCurrent(context)));
    attempt(() => driver.check("cuStreamSynchronize", f.cuStreamSynchronize(stream)));
    attempt(() => this.#recorders?.close());
    attempt(() => transfers.close());
    attempt(() => peer.close());
    attempt(() => this.#cublasLt?.[Symbol.dispose]());
    attempt(() => this.#cublas?.[Symbol.dispose]());
    attempt(() => memory.close());
    for (const module of modules) attempt(() => driver.check("cuModuleUnload", f.cuModuleUnload(module)));
    attempt(() => driver.check("cuStreamDestroy_v2", f.cuStreamDestroy_v2(stream)));
    attempt(() => driver.check("cuDevicePrimaryCtxRelease_v2", f.cuDevicePrimaryCtxRelease_v2(this.#device)));
    this.#cublas = null;
    this.#cublasLt = null;
    this.#functions.clear();
    this.generation++;
    this.#open = null;
    if (current === this) current = null;
    first ??= this.#failure;
    this.#failure = null;
    if (first !== null) throw first;
  }

  /** Makes the device's context current, and first of all makes it. */
  #use(): Open {
    if (this.#failure !== null) {
      const failure = this.#failure;
      this.#failure = null;
      throw failure;
    }
    const open = this.#open ?? this.#start();
    if (current !== this) {
      this.#driver.check("cuCtxSetCurrent", this.#driver.f.cuCtxSetCurrent(open.context));
      current = this;
    }
    return open;
  }

  #start(): Open {
    const driver = this.#driver, { f } = driver;
    const context = driver.retainContext(this.#device);
    let stream: Address | null = null;
    try {
      driver.check("cuCtxSetCurrent", f.cuCtxSetCurrent(context));
      current = this;
      stream = driver.createStream();
      const pools = driver.attribute(this.#device, deviceAttribute.memoryPools) !== 0;
      const pool = pools ? driver.defaultPool(this.#device) : null;
      const reclaim = () => this.#recorders?.release(this.#recording);
      const memory = new CudaMemory(this, driver, stream, pool, (error) => this.failed(error), reclaim);
      const transfers = new Transfers(driver, stream);
      const peer = new PeerEnd(driver, this.#device, context, stream, pool);
      return this.#open = { context, stream, memory, transfers, peer, modules: [] };
    } catch (error) {
      current = null;
      if (stream !== null) f.cuStreamDestroy_v2(stream);
      f.cuDevicePrimaryCtxRelease_v2(this.#device);
      throw error;
    }
  }

  /** For what is no part of work that is recorded. */
  #unrecorded(name: string): void {
    if (this.#recording !== null) throw new Unrecordable(`${name} is no part of a graph`);
  }

  #within(name: string, buffer: Buffer, byteOffset: number, byteLength: number): CudaBuffer {
    const block = cudaOf(buffer, this);
    if (byteOffset < 0 || byteLength < 0 || byteOffset + byteLength > block.byteLength) {
      throw new DeviceError(
        `${name}: got bytes ${byteOffset} to ${byteOffset + byteLength}, expected them within ${block.byteLength}`,
      );
    }
    return block;
  }
}

/** The GPUs, or why there are none. */
type Found = { readonly devices: readonly CudaDevice[]; readonly driver: CudaDriver | null; readonly reason: string };

let found: Found | undefined;

/** Looks for GPUs the first time it is asked. */
export function cudaDevices(): Found {
  return found ??= find();
}

function find(): Found {
  let driver: CudaDriver | null = null;
  try {
    driver = new CudaDriver();
    const opened = driver;
    const devices = Array.from({ length: driver.count }, (_, i) => new CudaDevice(opened, i));
    return { devices, driver, reason: devices.length > 0 ? "" : "the CUDA driver sees no GPU" };
  } catch (error) {
    if (!(error instanceof LibraryError || error instanceof NativeError)) throw error;
    driver?.[Symbol.dispose]();
    debug("engines", error.message);
    return { devices: [], driver: null, reason: error.message.split("; tried:")[0]! };
  }
}

/** Gives everything on all GPUs back. For tests, and programs that are done with them; arrays there must not be used afterwards. */
export function closeCuda(): void {
  for (const device of found?.devices ?? []) device.close();
}
