/** Kernels made by hand, run as WebAssembly. */
import type { TypedArray } from "../../src/base/dtype.ts";
import { hostBuffer } from "../../src/device/arena.ts";
import { cpu } from "../../src/device/cpu.ts";
import type { Launch } from "../../src/device/device.ts";
import { WasmRunner } from "../../src/device/wasm.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import { type Place, type Run, runJs } from "./kernels.ts";

function argument({ data, offset, strides }: Place) {
  const at = { offset: offset ?? 0, strides };
  if (data === null) return { ...at, buffer: null };
  const buffer = hostBuffer(cpu, (data as TypedArray).buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return { ...at, buffer };
}

/** The launch of a run. */
export function launchOf(run: Run): Launch {
  return {
    sizes: run.sizes,
    operands: (run.operands ?? []).map(argument),
    outputs: run.outputs.map((p) => argument(p) as Launch["outputs"][number]),
    scalars: run.scalars ?? [],
  };
}

/** Runs a kernel as WebAssembly; returns whether it can be said there. */
export function runWasm(k: Kernel, run: Run): boolean {
  return WasmRunner.of(k)?.run(launchOf(run), true) ?? false;
}

/** Runs a kernel as WebAssembly, or what cannot be said there in JavaScript, as the device does. */
export function runWasmOrJs(k: Kernel, run: Run): void {
  if (!runWasm(k, run)) runJs(k, run);
}
