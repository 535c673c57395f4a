import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { platform, runtime } from "../ffi/runtime.ts";

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
