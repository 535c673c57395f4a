/** Kernels made by hand, run as WebAssembly. */
import { strict as assert } from "node:assert";
import type { TypedArray } from "../../src/base/dtype.ts";
import { hostBuffer } from "../../src/device/arena.ts";
import { cpu } from "../../src/device/cpu.ts";
import type { Launch } from "../../src/device/device.ts";
import { WasmRunner } from "../../src/device/wasm.ts";
import { engineMemory } from "../../src/device/wasm_memory.ts";
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

/** Arrays of a run as copies in the engine's heap, and what is past the outputs' ends; null where there is no heap or room. */
function inHeap(
  k: Kernel,
  run: Run,
): { readonly launch: Launch; readonly give: (to: Run | null) => void; readonly check: (run: Run) => void } | null {
  const { heap } = engineMemory()!;
  if (heap === null) return null;
  const given: (() => void)[] = [];
  const place = (p: Place): { readonly at: Launch["operands"][number]; readonly bytes: Uint8Array | null } => {
    const { offset = 0, strides, data } = p;
    if (data === null) return { at: { offset, strides, buffer: null }, bytes: null };
    const length = data.byteLength + 64, start = heap.free.take(Math.ceil(length / 64) * 64);
    given.push(() => heap.free.give(start, Math.ceil(length / 64) * 64));
    const bytes = new Uint8Array(heap.buffer, start, length);
    bytes.fill(0xa5);
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { at: { offset, strides, buffer: hostBuffer(cpu, heap.buffer, start, length) }, bytes };
  };
  const operands = (run.operands ?? []).map(place), outputs = run.outputs.map(place);
  /** Gives the memory back, and what is in its outputs to those of a run. */
  const give = (to: Run | null): void => {
    for (const release of given) release();
    to?.outputs.forEach(({ data }, j) => {
      const { buffer, byteOffset, byteLength } = data;
      new Uint8Array(buffer, byteOffset, byteLength).set(outputs[j]!.bytes!.subarray(0, byteLength));
    });
  };
  return {
    give,
    launch: {
      sizes: run.sizes,
      operands: operands.map((o) => o.at),
      outputs: outputs.map((o) => o.at as Launch["outputs"][number]),
      scalars: run.scalars ?? [],
    },
    check(done) {
      give(null);
      done.outputs.forEach(({ data }, j) => {
        const bytes = outputs[j]!.bytes!, make = data!.constructor as new (x: ArrayBuffer) => TypedArray;
        const got = new make(bytes.slice(0, data!.byteLength).buffer), bfloat16 = k.outputs[j]!.dtype === "bfloat16";
        // The sign of a NaN is the engine's choice.
        const isNaN = (v: number | bigint) => bfloat16 ? (Number(v) & 0x7fff) > 0x7f80 : v !== v;
        const same = data!.every((v, i) => Object.is(v, got[i]) || isNaN(v) && isNaN(got[i]!));
        assert.ok(same, `${k.comment}: in the heap output ${j} differs`);
        assert.ok(bytes.subarray(data!.byteLength).every((b) => b === 0xa5), `${k.comment}: written past output ${j}`);
      });
    },
  };
}

/**
 * Runs a kernel as WebAssembly, once more on arrays in the engine's heap, or there alone if it indexes them; returns whether it can be said
 * there.
 */
export function runWasm(k: Kernel, run: Run): boolean {
  const runner = WasmRunner.of(k);
  if (runner === null) return false;
  const heap = inHeap(k, run);
  if (!runner.run(launchOf(run), true)) {
    const ran = heap !== null && runner.run(heap.launch, true);
    heap?.give(ran ? run : null);
    return ran;
  }
  if (heap !== null) {
    runner.run(heap.launch, true);
    heap.check(run);
  }
  return true;
}

/** Runs a kernel as WebAssembly, or what cannot be said there in JavaScript, as the device does. */
export function runWasmOrJs(k: Kernel, run: Run): void {
  if (!runWasm(k, run)) runJs(k, run);
}
