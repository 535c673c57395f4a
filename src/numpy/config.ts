/**
 * `tnp.config`: which devices there are and which engines work for them.
 * @module
 */
import { platform } from "../../ffi/runtime.ts";
import { onednn, openblas } from "../device/libraries.ts";
import { toolchain } from "../device/native.ts";
import { listDevices } from "../device/registry.ts";

/** A device as the lists show it. */
export interface DeviceInfo {
  /** `"CPU:0"`, `"GPU:0"`. */
  readonly name: string;
  readonly device_type: "CPU" | "GPU";
}

/** An engine that may compute for the CPU. */
export interface EngineInfo {
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
  readonly devices: readonly string[];
  /** Kernels in JavaScript: always there. */
  readonly javascript: EngineInfo;
  /** The C compiler that kernels are compiled with. */
  readonly compiler: EngineInfo;
  readonly onednn: EngineInfo;
  readonly openblas: EngineInfo;
}

/** The version of the package. */
const version = "0.1.0";

function listed(type: string | undefined): DeviceInfo[] {
  const wanted = type?.toUpperCase();
  return listDevices()
    .filter((device) => wanted === undefined || device.type === wanted)
    .map(({ name, type }) => ({ name, device_type: type === "GPU" ? "GPU" : "CPU" }));
}

/**
 * The devices of this machine.
 *
 * @param device_type only those of a type: `"CPU"` or `"GPU"`
 * @returns a list of names and types
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.config.list_physical_devices("CPU")[0].name); // CPU:0
 * ```
 * Source: tf.config.list_physical_devices
 */
export function list_physical_devices(device_type?: "CPU" | "GPU"): DeviceInfo[] {
  return listed(device_type);
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
  return listed(device_type);
}

/** What to install, by operating system. */
function advice(packages: Readonly<Record<"debian" | "mac", string>>): string {
  return platform === "darwin" ? `brew install ${packages.mac}` : `apt install ${packages.debian}`;
}

function missing(reason: string | undefined, install: string): EngineInfo {
  return { available: false, version: null, path: null, hint: `${reason ?? "not found"}; to get it: ${install}` };
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
  const compiler = toolchain();
  const dnnl = onednn.get();
  const blas = openblas.get();
  return {
    version,
    devices: listDevices().map(({ name }) => name),
    javascript: { available: true, version: null, path: null, hint: null },
    compiler: compiler.ok
      ? { available: true, version: compiler.compiler.version, path: compiler.compiler.path, hint: null }
      : missing(compiler.reason, advice({ debian: "gcc", mac: "gcc" })),
    onednn: dnnl !== null
      ? { available: true, version: dnnl.version, path: dnnl.path, hint: null }
      : missing(onednn.missing, advice({ debian: "libdnnl3 (libdnnl2 in older releases)", mac: "onednn" })),
    openblas: blas !== null
      ? { available: true, version: blas.config, path: blas.path, hint: null }
      : missing(openblas.missing, advice({ debian: "libopenblas0", mac: "openblas" })),
  };
}
