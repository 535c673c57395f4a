/**
 * Positions of true values as nodes.
 * @module
 */
import { contiguousStrides } from "../base/shape.ts";
import { leaf, type Node, Storage } from "../core/trace.ts";
import { cpu } from "../device/cpu.ts";
import { contiguous, copyToDevice } from "./evaluate.ts";

/**
 * Where a mask is true, computed at once: a finished int64 node of a row an axis, in C order.
 *
 * @param mask a bool node of at least one axis
 * @throws TracerError for a traced value, DisposedError after dispose(), OutOfMemoryError
 */
export function nonzeroNode(mask: Node): Node {
  const { device } = mask, host = device === cpu ? contiguous(mask) : copyToDevice(mask, cpu);
  let found: Node;
  try {
    const { buffer, count } = cpu.nonzero(host.storage!.buffer, host.offset, host.shape);
    const shape = [mask.shape.length, count];
    found = leaf({ shape, dtype: "int64" }, cpu, new Storage(buffer), 0, contiguousStrides(shape));
  } finally {
    if (host !== mask) host.hold().drop();
  }
  if (device === cpu) return found;
  try {
    return copyToDevice(found, device);
  } finally {
    found.hold().drop();
  }
}
