/** The heap of the WebAssembly engine: free ranges, what does not fit, what the collector gives back. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { tnp } from "../mod.ts";
import type { HostBuffer } from "../src/device/arena.ts";
import { configureCpu, cpu } from "../src/device/cpu.ts";
import { Ranges } from "../src/device/ranges.ts";
import { engineMemory } from "../src/device/wasm_memory.ts";

/** Runs with the WebAssembly engine and its heap, which is new. */
async function withHeap(run: (heap: { readonly buffer: ArrayBuffer; readonly free: Ranges }) => void | Promise<void>) {
  configureCpu({ engine: "wasm", onednn: false, openblas: false });
  try {
    await run(engineMemory()!.heap!);
  } finally {
    configureCpu(null);
  }
}

const MB = 1 << 20;

test("free ranges are taken first fit and join when they come back", () => {
  const free = new Ranges(100, 1000);
  const [a, b, c] = [free.take(200), free.take(300), free.take(500)];
  assert.deepEqual([a, b, c, free.take(1)], [100, 300, 600, -1]);
  free.give(a!, 200);
  free.give(c!, 500);
  assert.equal(free.take(600), -1);
  free.give(b!, 300);
  assert.equal(free.take(1000), 100);
  free.give(100, 400);
  free.give(500, 600);
  assert.equal(free.take(1000), 100);
});

test("blocks lie in the heap while there is room, then in buffers of their own", () =>
  withHeap(({ buffer }) => {
    const held: HostBuffer[] = [];
    const inHeap = (block: HostBuffer) => block.memory.buffer === buffer;
    while (held.length < 100) {
      held.push(cpu.allocate(20 * MB));
      if (!inHeap(held.at(-1)!)) break;
    }
    assert.ok(held.length > 2 && held.length < 10, `${held.length} blocks of 20 MiB`);
    // Operands and results of either kind, together.
    using far = tnp.arange(3 * MB).astype("float64"), near = tnp.arange(100).astype("float64");
    assert.equal(tnp.sum(far.add(1)).item(), 3 * MB * (3 * MB + 1) / 2);
    assert.equal(tnp.sum(far.at(":100").mul(near)).item(), 328350);
    assert.equal(tnp.matmul(near.reshape(10, 10), far.at(":100").reshape(10, 10)).at(9, 9).item(), 51855);
    for (const block of held) block.release();
    const again = cpu.allocate(60 * MB);
    assert.ok(inHeap(again), "ranges that were given back are one again");
    again.release();
  }));

test("the collector gives parts of the heap back", () =>
  withHeap(async ({ buffer }) => {
    const { gc } = globalThis as { gc?: () => void };
    const { Bun } = globalThis as { Bun?: { gc(force: boolean): void } };
    const collect = gc ?? (() => Bun!.gc(true));
    const fill = () => {
      for (let i = 0; i < 8; i++) cpu.allocate(30 * MB);
    };
    fill();
    const { live } = cpu.memoryStats();
    assert.ok(live >= 240 * MB);
    let inHeap = false;
    for (let turn = 0; turn < 50 && !inHeap; turn++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 10));
      const block = cpu.allocate(40 * MB);
      inHeap = block.memory.buffer === buffer;
      block.release();
    }
    assert.ok(inHeap, "nothing came back");
    assert.ok(cpu.memoryStats().live < live);
  }));

test("arrays of an earlier heap stay, and can be computed with", () =>
  withHeap(() => {
    using x = tnp.arange(5000).astype("float32");
    x.dataSync();
    configureCpu({ engine: "wasm" });
    assert.equal(tnp.sum(x.add(1)).item(), 12502500);
  }));
