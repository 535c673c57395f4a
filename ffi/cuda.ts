/**
 * The CUDA driver API: devices, contexts, streams, events, memory, modules, launches. Every status becomes an error with the
 * function, the code's name and its text.
 * @module
 */
import { NativeError } from "./errors.ts";
import { cstring, native, readCString, toNumber } from "./mem.ts";
import { open } from "./open.ts";
import type { Address, Library, LibrarySpec, NativeFunctions, Symbols } from "./types.ts";

const symbols = {
  cuInit: { parameters: ["u32"], result: "i32" },
  cuDriverGetVersion: { parameters: ["buffer"], result: "i32" },
  cuGetErrorName: { parameters: ["i32", "buffer"], result: "i32" },
  cuGetErrorString: { parameters: ["i32", "buffer"], result: "i32" },
  cuDeviceGetCount: { parameters: ["buffer"], result: "i32" },
  cuDeviceGet: { parameters: ["buffer", "i32"], result: "i32" },
  cuDeviceGetName: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cuDeviceTotalMem_v2: { parameters: ["buffer", "i32"], result: "i32" },
  cuDeviceGetAttribute: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cuDevicePrimaryCtxRetain: { parameters: ["buffer", "i32"], result: "i32" },
  cuDevicePrimaryCtxRelease_v2: { parameters: ["i32"], result: "i32" },
  cuCtxSetCurrent: { parameters: ["address"], result: "i32" },
  cuMemGetInfo_v2: { parameters: ["buffer", "buffer"], result: "i32" },
  cuStreamCreate: { parameters: ["buffer", "u32"], result: "i32" },
  cuStreamDestroy_v2: { parameters: ["address"], result: "i32" },
  cuStreamSynchronize: { parameters: ["address"], result: "i32" },
  cuEventCreate: { parameters: ["buffer", "u32"], result: "i32" },
  cuEventDestroy_v2: { parameters: ["address"], result: "i32" },
  cuEventRecord: { parameters: ["address", "address"], result: "i32" },
  cuEventQuery: { parameters: ["address"], result: "i32" },
  cuEventSynchronize: { parameters: ["address"], result: "i32" },
  cuStreamWaitEvent: { parameters: ["address", "address", "u32"], result: "i32" },
  cuEventElapsedTime: { parameters: ["buffer", "address", "address"], result: "i32" },
  cuDeviceGetDefaultMemPool: { parameters: ["buffer", "i32"], result: "i32" },
  cuMemPoolSetAttribute: { parameters: ["address", "i32", "buffer"], result: "i32" },
  cuMemPoolGetAttribute: { parameters: ["address", "i32", "buffer"], result: "i32" },
  cuMemPoolTrimTo: { parameters: ["address", "u64"], result: "i32" },
  cuMemAllocAsync: { parameters: ["buffer", "u64", "address"], result: "i32" },
  cuMemFreeAsync: { parameters: ["address", "address"], result: "i32" },
  cuMemAlloc_v2: { parameters: ["buffer", "u64"], result: "i32" },
  cuMemFree_v2: { parameters: ["address"], result: "i32" },
  cuMemHostAlloc: { parameters: ["buffer", "u64", "u32"], result: "i32" },
  cuMemFreeHost: { parameters: ["address"], result: "i32" },
  cuMemcpyHtoDAsync_v2: { parameters: ["address", "address", "u64", "address"], result: "i32" },
  cuMemcpyDtoHAsync_v2: { parameters: ["address", "address", "u64", "address"], result: "i32" },
  cuMemcpyDtoDAsync_v2: { parameters: ["address", "address", "u64", "address"], result: "i32" },
  // to, its context, from, its context, bytes, stream
  cuMemcpyPeerAsync: { parameters: ["address", "address", "address", "address", "u64", "address"], result: "i32" },
  cuDeviceCanAccessPeer: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cuCtxEnablePeerAccess: { parameters: ["address", "u32"], result: "i32" },
  cuMemPoolSetAccess: { parameters: ["address", "buffer", "u64"], result: "i32" },
  cuModuleLoadData: { parameters: ["buffer", "buffer"], result: "i32" },
  cuModuleUnload: { parameters: ["address"], result: "i32" },
  cuModuleGetFunction: { parameters: ["buffer", "address", "buffer"], result: "i32" },
  cuFuncGetAttribute: { parameters: ["buffer", "i32", "address"], result: "i32" },
  // function, grid x y z, block x y z, bytes of dynamic shared memory, stream, parameters, extra
  cuLaunchKernel: {
    parameters: ["address", "u32", "u32", "u32", "u32", "u32", "u32", "u32", "address", "address", "address"],
    result: "i32",
  },
  // Graphs are optional. The functions without a version suffix take the first version of their structures in every driver.
  // mode: 0 global, 1 of the thread, 2 relaxed
  cuStreamBeginCapture_v2: { parameters: ["address", "i32"], result: "i32", optional: true },
  cuStreamEndCapture: { parameters: ["address", "buffer"], result: "i32", optional: true },
  cuGraphCreate: { parameters: ["buffer", "u32"], result: "i32", optional: true },
  cuGraphDestroy: { parameters: ["address"], result: "i32", optional: true },
  // out, graph, nodes before it, how many, parameters
  cuGraphAddKernelNode: {
    parameters: ["buffer", "address", "buffer", "u64", "buffer"],
    result: "i32",
    optional: true,
  },
  // out, graph, nodes before it, how many, graph
  cuGraphAddChildGraphNode: {
    parameters: ["buffer", "address", "buffer", "u64", "address"],
    result: "i32",
    optional: true,
  },
  cuGraphInstantiateWithFlags: { parameters: ["buffer", "address", "u64"], result: "i32", optional: true },
  cuGraphExecDestroy: { parameters: ["address"], result: "i32", optional: true },
  cuGraphExecKernelNodeSetParams: { parameters: ["address", "address", "buffer"], result: "i32", optional: true },
  cuGraphExecChildGraphNodeSetParams: { parameters: ["address", "address", "address"], result: "i32", optional: true },
  cuGraphLaunch: { parameters: ["address", "address"], result: "i32", optional: true },
} as const satisfies Symbols;

/** How the driver is found. */
export const spec: LibrarySpec<typeof symbols> = {
  name: "CUDA driver",
  env: "TNP_CUDA",
  names: {
    linux: ["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"],
    darwin: [],
    win32: ["nvcuda.dll"],
  },
  symbols,
  install: "NVIDIA's driver, 450.80 or newer",
  needs: "a driver for CUDA 11.2 or newer",
};

/** Attributes of devices (CUdevice_attribute). */
export const deviceAttribute = {
  maxSharedPerBlock: 8,
  multiprocessors: 16,
  major: 75,
  minor: 76,
  memoryPools: 115,
} as const;

/** Attributes of memory pools (CUmemPool_attribute). */
export const poolAttribute = { releaseThreshold: 4, reserved: 5, used: 7 } as const;

/** Attributes of kernels (CUfunction_attribute). */
export const functionAttribute = { sharedBytes: 1, localBytes: 3, registers: 4 } as const;

/** Codes that callers act on (CUresult). */
export const status = { success: 0, outOfMemory: 2, noDevice: 100, notReady: 600, peerAlreadyEnabled: 704 } as const;

/** The name of the driver functions that give a status. */
export type DriverFunction = keyof typeof symbols;

/** The driver's functions by name. */
export type DriverFunctions = NativeFunctions<typeof symbols>;

/** An open CUDA driver. Handles are addresses in the runtime's fast form. */
export class CudaDriver implements Disposable {
  readonly path: string;
  /** The newest CUDA that the driver serves, e.g. 12040 for 12.4. */
  readonly version: number;
  /** The functions themselves, for calls that must be fast; give their status to `check`. */
  readonly f: DriverFunctions;
  readonly #library: Library<typeof symbols>;
  readonly #out = new BigUint64Array(new ArrayBuffer(64));
  readonly #int = new Int32Array(this.#out.buffer);
  readonly #bytes = new Uint8Array(this.#out.buffer);

  /** @throws LibraryError where there is no driver; NativeError where it cannot start, such as without a GPU */
  constructor(where: LibrarySpec<typeof symbols> = spec) {
    this.#library = open(where);
    this.path = this.#library.path;
    this.f = this.#library.symbols;
    try {
      this.check("cuInit", this.f.cuInit(0));
      this.check("cuDriverGetVersion", this.f.cuDriverGetVersion(this.#bytes));
    } catch (error) {
      this.#library.close();
      throw error;
    }
    this.version = this.#int[0]!;
  }

  /** The number of devices. */
  get count(): number {
    this.check("cuDeviceGetCount", this.f.cuDeviceGetCount(this.#bytes));
    return this.#int[0]!;
  }

  /** Throws unless a call succeeded. @throws NativeError */
  check(fn: DriverFunction, code: number): void {
    if (code !== 0) throw this.error(fn, code);
  }

  /** The error of a status. */
  error(fn: string, code: number): NativeError {
    const { f } = this;
    const out = new BigUint64Array(new ArrayBuffer(8));
    const name = f.cuGetErrorName(code, out) === 0 ? readCString(native(Number(out[0]))) : "CUDA_ERROR";
    const text = f.cuGetErrorString(code, out) === 0 ? readCString(native(Number(out[0]))) : "";
    return new NativeError(fn, code, name, text);
  }

  /** The device of an ordinal. */
  device(ordinal: number): number {
    this.check("cuDeviceGet", this.f.cuDeviceGet(this.#bytes, ordinal));
    return this.#int[0]!;
  }

  /** What a device is called. */
  deviceName(device: number): string {
    const text = new Uint8Array(new ArrayBuffer(256));
    this.check("cuDeviceGetName", this.f.cuDeviceGetName(text, text.length, device));
    return new TextDecoder().decode(text.subarray(0, text.indexOf(0)));
  }

  /** Bytes of a device's memory. */
  totalMemory(device: number): number {
    this.check("cuDeviceTotalMem_v2", this.f.cuDeviceTotalMem_v2(this.#bytes, device));
    return Number(this.#out[0]);
  }

  /** One of `deviceAttribute`. */
  attribute(device: number, attribute: number): number {
    this.check("cuDeviceGetAttribute", this.f.cuDeviceGetAttribute(this.#bytes, attribute, device));
    return this.#int[0]!;
  }

  /** Takes a reference on a device's primary context. */
  retainContext(device: number): Address {
    this.check("cuDevicePrimaryCtxRetain", this.f.cuDevicePrimaryCtxRetain(this.#bytes, device));
    return this.#handle();
  }

  /** Free and total bytes of the current device. */
  memoryInfo(): { readonly free: number; readonly total: number } {
    const second = this.#bytes.subarray(8);
    this.check("cuMemGetInfo_v2", this.f.cuMemGetInfo_v2(this.#bytes, second));
    return { free: Number(this.#out[0]), total: Number(this.#out[1]) };
  }

  /** A stream that does not wait for the default one. */
  createStream(): Address {
    this.check("cuStreamCreate", this.f.cuStreamCreate(this.#bytes, 1));
    return this.#handle();
  }

  /** An event, by default without a clock. */
  createEvent(timing = false): Address {
    this.check("cuEventCreate", this.f.cuEventCreate(this.#bytes, timing ? 0 : 2));
    return this.#handle();
  }

  /** Whether the work before an event is done. */
  eventDone(event: Address): boolean {
    const code = this.f.cuEventQuery(event);
    if (code === status.notReady) return false;
    this.check("cuEventQuery", code);
    return true;
  }

  /** Milliseconds between two events with clocks. */
  elapsed(start: Address, end: Address): number {
    const ms = new Float32Array(new ArrayBuffer(4));
    this.check("cuEventElapsedTime", this.f.cuEventElapsedTime(ms, start, end));
    return ms[0]!;
  }

  /** The memory pool of a device. */
  defaultPool(device: number): Address {
    this.check("cuDeviceGetDefaultMemPool", this.f.cuDeviceGetDefaultMemPool(this.#bytes, device));
    return this.#handle();
  }

  /** Whether a device can reach the memory of another. */
  canAccessPeer(device: number, peer: number): boolean {
    this.check("cuDeviceCanAccessPeer", this.f.cuDeviceCanAccessPeer(this.#bytes, device, peer));
    return this.#int[0] !== 0;
  }

  /** Lets a device read and write what lies in another's pool. */
  allowAccess(pool: Address, device: number): void {
    // CUmemAccessDesc: the kind of place (1: a device), its number, the rights (3: read and write).
    this.#int.set([1, device, 3]);
    this.check("cuMemPoolSetAccess", this.f.cuMemPoolSetAccess(pool, this.#bytes, native(1)));
  }

  /** Sets one of `poolAttribute`. */
  setPoolAttribute(pool: Address, attribute: number, value: bigint): void {
    this.#out[0] = value;
    this.check("cuMemPoolSetAttribute", this.f.cuMemPoolSetAttribute(pool, attribute, this.#bytes));
  }

  /** One of `poolAttribute`. */
  poolAttribute(pool: Address, attribute: number): number {
    this.check("cuMemPoolGetAttribute", this.f.cuMemPoolGetAttribute(pool, attribute, this.#bytes));
    return Number(this.#out[0]);
  }

  /**
   * Memory, in the order of a stream where one is given. The status is returned, not thrown: running out is no surprise.
   *
   * @returns the address, or the status if it is not 0
   */
  allocate(bytes: number, stream: Address | null): { readonly address: number } | { readonly code: number } {
    const { f } = this;
    const size = native(bytes);
    const code = stream === null ? f.cuMemAlloc_v2(this.#bytes, size) : f.cuMemAllocAsync(this.#bytes, size, stream);
    return code === 0 ? { address: Number(this.#out[0]) } : { code };
  }

  /** Page-locked host memory. */
  allocateHost(bytes: number): number {
    this.check("cuMemHostAlloc", this.f.cuMemHostAlloc(this.#bytes, native(bytes), 0));
    return Number(this.#out[0]);
  }

  /** Loads a cubin. */
  loadModule(image: Uint8Array): Address {
    this.check("cuModuleLoadData", this.f.cuModuleLoadData(this.#bytes, image));
    return this.#handle();
  }

  /** A kernel of a module. */
  moduleFunction(module: Address, name: string): Address {
    this.check("cuModuleGetFunction", this.f.cuModuleGetFunction(this.#bytes, module, cstring(name)));
    return this.#handle();
  }

  /** One of `functionAttribute`. */
  functionAttribute(fn: Address, attribute: number): number {
    this.check("cuFuncGetAttribute", this.f.cuFuncGetAttribute(this.#bytes, attribute, fn));
    return this.#int[0]!;
  }

  #handle(): Address {
    return native(toNumber(this.#out[0]!));
  }

  /** Closes the library. */
  [Symbol.dispose](): void {
    this.#library.close();
  }
}
