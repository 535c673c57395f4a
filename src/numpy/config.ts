/**
 * `tnp.config`: which devices there are and which engines work for them.
 * @module
 */
import { LibraryError, NativeError } from "../../ffi/errors.ts";
import { platform } from "../../ffi/runtime.ts";
import { describe } from "../base/describe.ts";
import { version } from "../base/version.ts";
import { onednn, openblas } from "../device/libraries.ts";
import { toolchainInTime } from "../device/native.ts";
import { wasmAvailable } from "../device/wasm.ts";
import { allowTf32, CudaDevice, cudaDevices } from "../device/cuda.ts";
import { nvrtc } from "../device/cuda_compile.ts";
import { listDevices } from "../device/registry.ts";
import { setThreadCount, threadCount } from "../device/threads.ts";

/** Milliseconds that `build_info` waits for a compiler that is slow to tell what it can do. */
const PATIENCE = 10_000;

/** A device as the lists show it. */
export interface DeviceInfo {
  /** `"CPU:0"`, `"GPU:0"`. */
  readonly name: string;
  /** What kind of device it is. */
  readonly device_type: "CPU" | "GPU";
  /** What a GPU is called by its driver. */
  readonly model?: string;
  /** Bytes of a GPU's memory. */
  readonly memory?: number;
  /** A GPU's compute capability, as `[9, 0]`. */
  readonly compute_capability?: readonly [major: number, minor: number];
}

/** An engine that may compute for the CPU. */
export interface EngineInfo {
  /** Whether it was found and is used. */
  readonly available: boolean;
  /** Its version, if it is there. */
  readonly version: string | null;
  /** Where it was found. */
  readonly path: string | null;
  /** Why it is missing and what to install, or null. */
  readonly hint: string | null;
}

/** What `tnp.config.build_info()` tells. */
export interface BuildInfo {
  /** The version of tnp. */
  readonly version: string;
  /** As `list_physical_devices` tells them. */
  readonly devices: readonly DeviceInfo[];
  /** Kernels in JavaScript: always there. */
  readonly javascript: EngineInfo;
  /** Kernels in WebAssembly vectors, where there is no compiler. */
  readonly webassembly: EngineInfo;
  /** The C compiler that kernels are compiled with. */
  readonly compiler: EngineInfo;
  /** oneDNN, for matrix products of float32. */
  readonly onednn: EngineInfo;
  /** OpenBLAS, for matrix products of float64 and complex numbers. */
  readonly openblas: EngineInfo;
  /** The CUDA driver. */
  readonly cuda: EngineInfo;
  /** What compiles kernels for GPUs; looked for where there is a driver. */
  readonly nvrtc: EngineInfo;
}

function listed(name: string, type: unknown): DeviceInfo[] {
  if (type !== undefined && type !== null && typeof type !== "string") {
    throw new TypeError(`${name}: got ${describe(type)}, expected "CPU" or "GPU"`);
  }
  const wanted = type?.toUpperCase();
  return listDevices()
    .filter((device) => wanted === undefined || device.type === wanted)
    .map((device) => {
      if (!(device instanceof CudaDevice)) return { name: device.name, device_type: "CPU" };
      const { name, model, totalMemory, capability } = device;
      return { name, device_type: "GPU", model, memory: totalMemory, compute_capability: capability };
    });
}

/**
 * The devices of this machine.
 *
 * @param device_type only those of a type: `"CPU"` or `"GPU"`
 * @returns a list of names and types
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.config.list_physical_devices("CPU")[0]?.name); // CPU:0
 * ```
 * Source: tf.config.list_physical_devices
 */
export function list_physical_devices(device_type?: "CPU" | "GPU"): DeviceInfo[] {
  return listed("list_physical_devices", device_type);
}

/**
 * The devices arrays can live on: the physical ones, as none is ever split.
 *
 * @param device_type only those of a type: `"CPU"` or `"GPU"`
 * @returns a list of names and types
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.config.list_logical_devices().length >= 1); // true
 * ```
 * Source: tf.config.list_logical_devices
 */
export function list_logical_devices(device_type?: "CPU" | "GPU"): DeviceInfo[] {
  return listed("list_logical_devices", device_type);
}

/** What to install, by operating system. */
function advice(packages: Readonly<Record<"debian" | "mac", string>>): string {
  return platform === "darwin" ? `brew install ${packages.mac}` : `apt install ${packages.debian}`;
}

function missing(reason: string | undefined, install: string): EngineInfo {
  return { available: false, version: null, path: null, hint: `${reason ?? "not found"}; to get it: ${install}` };
}

function gpuInfo(): Pick<BuildInfo, "cuda" | "nvrtc"> {
  const { driver, devices, reason } = cudaDevices();
  if (driver === null || devices.length === 0) {
    const none = { available: false, version: null, path: null, hint: reason };
    return { cuda: none, nvrtc: none };
  }
  const major = Math.floor(driver.version / 1000);
  const version = `CUDA ${major}.${driver.version % 1000 / 10}`;
  return { cuda: { available: true, version, path: driver.path, hint: null }, nvrtc: nvrtcInfo(major) };
}

function nvrtcInfo(major: number): EngineInfo {
  try {
    const { version, path } = nvrtc(major);
    return { available: true, version, path, hint: null };
  } catch (error) {
    if (!(error instanceof LibraryError || error instanceof NativeError)) throw error;
    return { available: false, version: null, path: null, hint: error.message };
  }
}

/**
 * Which engines work here, and what to install for those that are missing.
 *
 * @returns versions, paths and hints; asking opens the libraries
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.config.build_info().javascript.available); // true
 * ```
 * Source: tf.sysconfig.get_build_info
 */
export function build_info(): BuildInfo {
  const compiler = toolchainInTime(PATIENCE);
  const dnnl = onednn.get();
  const blas = openblas.get();
  return {
    version,
    devices: listed("build_info", undefined),
    javascript: { available: true, version: null, path: null, hint: null },
    webassembly: wasmAvailable()
      ? { available: true, version: null, path: null, hint: null }
      : missing("this runtime has no 128-bit vectors in WebAssembly", "update it"),
    compiler: compiler.ok
      ? { available: true, version: compiler.compiler.version, path: compiler.compiler.path, hint: null }
      : missing(compiler.reason, advice({ debian: "gcc", mac: "gcc" })),
    onednn: dnnl !== null
      ? { available: true, version: dnnl.version, path: dnnl.path, hint: null }
      : missing(onednn.missing, advice({ debian: "libdnnl3 (libdnnl2 in older releases)", mac: "onednn" })),
    openblas: blas !== null
      ? { available: true, version: blas.config, path: blas.path, hint: null }
      : missing(openblas.missing, advice({ debian: "libopenblas0", mac: "openblas" })),
    ...gpuInfo(),
  };
}

/**
 * Sets how many threads the CPU's native engines use: compiled kernels and oneDNN share one OpenMP pool, OpenBLAS has its own.
 *
 * The number holds for the process's main thread; a worker that computes with tnp sets its own. OpenBLAS's is one for all. Results do
 * not depend on it.
 *
 * @param threads at least 1; more than there are processors is slower, not wrong
 * @throws TypeError, RangeError for anything but a positive integer
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * tnp.config.set_num_threads(2);
 * console.log(tnp.config.get_num_threads()); // 2
 * ```
 * Source: torch.set_num_threads, tf.config.threading.set_intra_op_parallelism_threads
 */
export function set_num_threads(threads: number): void {
  if (typeof threads !== "number") {
    throw new TypeError(`set_num_threads: got ${describe(threads)}, expected a positive integer`);
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new RangeError(`set_num_threads: got ${threads}, expected an integer from 1 to 1024`);
  }
  setThreadCount(threads);
}

/**
 * How many threads the CPU's native engines use.
 *
 * @returns what `set_num_threads` set, else `OMP_NUM_THREADS`, else the number of processors; 1 without OpenMP
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.config.get_num_threads() >= 1); // true
 * ```
 * Source: torch.get_num_threads
 */
export function get_num_threads(): number {
  return threadCount();
}

/**
 * Lets GPUs round the inputs of float32 matrix products to TF32 (10 bits of mantissa): several times as fast, and less exact. Off at
 * first.
 *
 * @param allow whether they may
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * tnp.config.allow_tf32(false);
 * ```
 * Source: torch.backends.cuda.matmul.allow_tf32
 */
export function allow_tf32(allow: boolean): void {
  allowTf32(allow);
}
