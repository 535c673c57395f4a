/**
 * Which devices there are, and which one new arrays go to.
 * @module
 */
import { DeviceError } from "../base/errors.ts";
import { cpu } from "./cpu.ts";
import type { Device } from "./device.ts";
import { nullDevice } from "./null.ts";

let fallback: Device = cpu;
const scopes: Device[] = [];

/** The physical devices, in the order of their names. */
export function listDevices(): readonly Device[] {
  return [cpu];
}

/**
 * The device of a name.
 *
 * @param name `CPU:0`, or TensorFlow's longer forms such as `/device:CPU:0`; the index may be left out; letter case does not matter
 * @returns the device
 * @throws DeviceError for a name of another form, or a device that is not there
 */
export function getDevice(name: string): Device {
  const match = /^(?:\/job:[^/]*|\/replica:\d+|\/task:\d+)*(?:\/|\/?device:)?([a-z]+)(?::(\d+))?$/i.exec(name);
  if (match === null) throw new DeviceError(`device: expected a name such as "CPU:0", got ${JSON.stringify(name)}`);
  const wanted = `${match[1]!.toUpperCase()}:${Number(match[2] ?? 0)}`;
  if (wanted === nullDevice.name) return nullDevice;
  const devices = listDevices();
  const device = devices.find((d) => d.name === wanted);
  if (device !== undefined) return device;
  const there = devices.map((d) => d.name).join(", ");
  const note = wanted.startsWith("GPU:") ? "; CUDA support is not part of this build yet" : "";
  throw new DeviceError(`device: ${wanted} is not there; available: ${there}${note}`);
}

/** The device new arrays go to: that of the innermost `withDevice`, else the default. */
export function currentDevice(): Device {
  return scopes[scopes.length - 1] ?? fallback;
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
