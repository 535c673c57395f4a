/**
 * Where values lie: sharing the user's memory, and copies between devices.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import { TracerError } from "../base/errors.ts";
import { contiguousStrides } from "../base/shape.ts";
import { leaf, type Node, Storage } from "../core/trace.ts";
import { HostBuffer, hostBuffer } from "../device/arena.ts";
import type { Device } from "../device/device.ts";
import { getDevice } from "../device/registry.ts";
import { copyToDevice } from "../transform/evaluate.ts";
import { within } from "./args.ts";

/** A node over the user's bytes. @throws TypeError where the device has no access to them */
export function shareBytes(
  name: string,
  bytes: Uint8Array,
  shape: readonly number[],
  dtype: DType,
  device: Device,
): Node {
  if (device.type === "GPU" || !(bytes.buffer instanceof ArrayBuffer) || bytes.buffer.resizable) {
    throw new TypeError(`${name}: copy: false, but ${device.name} cannot share this memory`);
  }
  const storage = new Storage(hostBuffer(device, bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return leaf({ shape, dtype }, device, storage, 0, contiguousStrides(shape));
}

/** The device of a keyword `device`; null where none is given. @throws DeviceError for a device that is not there */
export function deviceFor(name: string, device: string | null | undefined): Device | null {
  return device === undefined || device === null ? null : within(name, () => getDevice(device));
}

/** Whether a node looks into memory of the user. */
function isShared(x: Node): boolean {
  const buffer = x.storage?.buffer;
  return buffer instanceof HostBuffer && buffer.memory.account === null;
}

/**
 * A node's value on a device. On its own device the node itself: values never change, unless the user can write to them.
 * @throws TracerError for a traced value that would have to leave its device
 */
export function copyTo(name: string, x: Node, device: Device): Node {
  if (x.device === device && !isShared(x)) return x;
  if (x.symbolic) throw new TracerError(`${name}: a traced value cannot leave ${x.device.name} for ${device.name}`);
  return copyToDevice(x, device);
}
