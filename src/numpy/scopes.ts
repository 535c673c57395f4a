/**
 * Where arrays live and for how long: device scopes, memory, scopes that give memory back.
 * @module
 */
import { flatten } from "../base/tree.ts";
import type { MemoryStats } from "../device/device.ts";
import { currentDevice, withDevice } from "../device/registry.ts";
import { NDArray, runScope } from "../array.ts";
import { checkFunction } from "./args.ts";
import { deviceFor } from "./place.ts";

export type { MemoryStats } from "../device/device.ts";

/**
 * Runs a function whose new arrays go to a device.
 *
 * @param name `"CPU:0"`, `"GPU:0"`
 * @param fn a synchronous function
 * @returns what the function returns
 * @throws DeviceError for a device that is not there, or a function that returns a promise
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.device("CPU:0", () => tnp.ones(2).device)); // CPU:0
 * ```
 * Source: tf.device
 */
export function device<T>(name: string, fn: () => T): T {
  checkFunction("device", fn);
  return withDevice(name, fn);
}

/**
 * What a device's memory holds, in bytes.
 *
 * @param device the device's name; the current one if absent
 * @returns live, peak and cached bytes, and the count of live blocks
 * @throws DeviceError for a device that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.memory_stats("CPU:0").live >= 0); // true
 * ```
 * Source: tf.config.experimental.get_memory_info
 */
export function memory_stats(device?: string): MemoryStats {
  return (deviceFor("memory_stats", device) ?? currentDevice()).memoryStats();
}

/**
 * Runs a function and gives back the memory of all arrays made inside that it does not return.
 *
 * Within long loops this keeps memory flat without any `dispose()`. Arrays in a tree that the function returns survive.
 *
 * @param fn a synchronous function
 * @returns what the function returns
 * @throws TypeError for a function that returns a promise
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.scope(() => tnp.ones(3).add(1).sum()).item()); // 6
 * ```
 * Source: tf.tidy of TensorFlow.js
 */
export function scope<T>(fn: () => T): T {
  checkFunction("scope", fn);
  return runScope(fn, (result) => flatten(result, (x) => x instanceof NDArray).leaves);
}
