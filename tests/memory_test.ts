import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { keepFreed } from "../ffi/libc.ts";
import { addressOf } from "../ffi/mem.ts";
import { available } from "../ffi/open.ts";
import { platform, runtime } from "../ffi/runtime.ts";
import { Arena } from "../src/device/arena.ts";
import { nullDevice } from "../src/device/null.ts";

/** Runs tests/memory/loop.ts in a process of its own; gives its largest resident set in MiB. */
function peakOf(steps: number, mode: string, megabytes: number): number {
  const script = fileURLToPath(new URL("./memory/loop.ts", import.meta.url));
  const before = runtime.name === "deno" ? ["run", "-A", "--no-check"] : [];
  const args = [...before, script, String(steps), mode, String(megabytes)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    env: { ...process.env, OMP_NUM_THREADS: "1" },
  });
  assert.equal(status, 0, stderr);
  const { peak, last } = JSON.parse(stdout) as { peak: number; last: number };
  assert.equal(last, 1);
  return peak;
}

describe("a synchronous loop that gives nothing back", () => {
  // Every step makes an array of 16 MB: kept, they would be 1.6 GB and more.
  for (const mode of ["read", "data", "function"]) {
    test(`stays under 1 GB (${mode})`, () => {
      const peak = peakOf(100, mode, 16);
      assert.ok(peak < 1000, `the resident set reached ${peak} MiB`);
    });
  }
});

describe("memory that is given back", () => {
  // Blocks below 4 MiB lie on small pages: one that is not used again would fault 768 times.
  test("is used again: a step takes no page faults", { skip: platform !== "linux" }, () => {
    const script = fileURLToPath(new URL("./memory/faults.ts", import.meta.url));
    const before = runtime.name === "deno" ? ["run", "-A", "--no-check"] : [];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...before, script, "3", "200"], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
    const lines = stdout.trim().split("\n").map((line) => JSON.parse(line) as { way: string; faults: number });
    for (const way of ["using", "scope", "function"]) {
      const { faults } = lines.find((line) => line.way === way)!;
      // The collector's own heap grows now and then.
      assert.ok(faults < 20, `${way}: ${faults} page faults a step`);
    }
  });
});

describe("memory that the collector took", () => {
  const skip = platform !== "linux" || runtime.name === "deno" || !available().ok;

  test("is used again within a synchronous loop", { skip }, () => {
    keepFreed();
    const addresses = new Set<number>();
    for (let i = 0; i < 200; i++) {
      addresses.add(addressOf(runtime.allocate(8 << 20)));
      if (i % 4 === 3) runtime.collectYoung?.();
    }
    assert.ok(addresses.size < 100, `200 blocks lay at ${addresses.size} addresses`);
  });

  test("may be the user's, who can send it away", { skip }, () => {
    const memory = runtime.allocate(1 << 20);
    new Uint8Array(memory).fill(7);
    const sent = structuredClone(memory, { transfer: [memory] });
    assert.equal(memory.byteLength, 0);
    assert.equal(sent.byteLength, 1 << 20);
    runtime.collect?.();
    assert.ok(new Uint8Array(sent).every((x) => x === 7));
  });
});

describe("what is young", () => {
  const skip = runtime.collectYoung === undefined;

  // Bun does not count memory that is the C library's.
  test("is collected without a turn of the event loop", { skip: skip || runtime.name === "bun" }, () => {
    const external = (): number => process.memoryUsage().arrayBuffers / 2 ** 20;
    const before = external();
    (() => {
      for (let i = 0; i < 3; i++) runtime.allocate(16 << 20);
    })();
    assert.ok(external() - before > 40);
    // The memory is given back beside the program, which a collection waits for when it begins.
    for (const end = performance.now() + 10000; external() - before > 20 && performance.now() < end;) {
      runtime.collectYoung!();
    }
    assert.ok(external() - before <= 20, `${Math.round(external() - before)} MiB are left of 48`);
  });

  test("is collected again and again while memory is fresh, and not while it is recycled", { skip }, (t) => {
    const collect = t.mock.method(runtime as Required<typeof runtime>, "collectYoung", () => {});
    const arena = new Arena(nullDevice);
    for (let i = 0; i < 100; i++) arena.allocate(4 << 20).release();
    assert.equal(collect.mock.callCount(), 0);
    const kept = Array.from({ length: 41 }, () => arena.allocate(4 << 20));
    assert.equal(collect.mock.callCount(), 8);
    for (const block of kept) block.release();
  });
});
