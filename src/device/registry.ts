/**
 * Which devices there are, and which one new arrays go to.
 * @module
 */
import { describe } from "../base/describe.ts";
import { DeviceError } from "../base/errors.ts";
import { cpu } from "./cpu.ts";
import { cudaDevices } from "./cuda.ts";
import type { Device } from "./device.ts";
import { nullDevice } from "./null.ts";

let fallback: Device = cpu;
const scopes: Device[] = [];

/** The physical devices, in the order of their names. Asking looks for GPUs. */
export function listDevices(): readonly Device[] {
  return [cpu, ...cudaDevices().devices];
}

/**
 * The device of a name.
 *
 * @param name `CPU:0`, or TensorFlow's longer forms such as `/device:CPU:0`; the index may be left out; letter case does not matter
 * @returns the device
 * @throws DeviceError for a name of another form, or a device that is not there
 */
export function getDevice(name: string): Device {
  const form = /^(?:\/job:[^/]*|\/replica:\d+|\/task:\d+)*(?:\/|\/?device:)?([a-z]+)(?::(\d+))?$/i;
  const match = typeof name === "string" ? form.exec(name) : null;
  if (match === null) throw new DeviceError(`device: got ${describe(name)}, expected a name such as "CPU:0"`);
  const wanted = `${match[1]!.toUpperCase()}:${Number(match[2] ?? 0)}`;
  if (wanted === nullDevice.name) return nullDevice;
  if (wanted === cpu.name) return cpu;
  const devices = listDevices();
  const device = devices.find((d) => d.name === wanted);
  if (device !== undefined) return device;
  const there = devices.map((d) => d.name).join(", ");
  const { reason } = cudaDevices();
  const note = wanted.startsWith("GPU:") && reason !== "" ? `; ${reason}` : "";
  throw new DeviceError(`device: ${wanted} is not there; available: ${there}${note}`);
}

/** The device new arrays go to: that of the innermost `withDevice`, else the default. */
export function currentDevice(): Device {
  return scopes.length === 0 ? fallback : scopes[scopes.length - 1]!;
}

/**
 * Runs a function whose new arrays go to a device.
 *
 * @param name the device or its name
 * @param fn a synchronous function: what it awaits would run outside of the scope
 * @returns what `fn` returns
 * @throws DeviceError for a device that is not there, or where `fn` returns a promise
 */
export function withDevice<T>(name: string | Device, fn: () => T): T {
  scopes.push(typeof name === "string" ? getDevice(name) : name);
  try {
    const result = fn();
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new DeviceError("device: the function of a device scope must be synchronous, got a promise");
    }
    return result;
  } finally {
    scopes.pop();
  }
}

/** Sets the device of new arrays outside of any scope. @throws DeviceError for a device that is not there */
export function setDefault(name: string | Device): void {
  fallback = typeof name === "string" ? getDevice(name) : name;
}
