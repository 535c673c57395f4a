/** Failures of every function that the GPU's libraries are called by. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runtime } from "../ffi/runtime.ts";
import { emulatorPath, realGpu } from "./support/cuda.ts";
import { runChild } from "./support/child.ts";

const full = process.env["TNP_TEST_FULL"] === "1";
/** Calls of each function that fail; fewer where another runtime's turn has more. */
const each = full ? 40 : runtime.name === "deno" ? 4 : 2;

/** All functions in the tables of ffi/. */
function functions(): string[] {
  const folder = fileURLToPath(new URL("../ffi/", import.meta.url));
  const names = readdirSync(folder).filter((name) => name.endsWith(".ts")).flatMap((name) =>
    [...readFileSync(join(folder, name), "utf8").matchAll(/^ {2}(cu[A-Z]\w+|nvrtc[A-Z]\w+|cublas[A-Z]\w+): \{/gm)].map((
      m,
    ) => m[1]!)
  );
  return [...new Set(names)].sort();
}

/** They give texts, and no status. */
const texts = new Set([
  "cuGetErrorName",
  "cuGetErrorString",
  "nvrtcGetErrorString",
  "cublasGetStatusString",
  "cublasLtGetStatusString",
]);

test("cuda: calls that fail surface as their errors or are mended, and the next computation is right", async () => {
  if (emulatorPath === null) return assert.ok(realGpu || process.env["TNP_CUDA"] === "none");
  const names = functions().filter((name) => !texts.has(name));
  assert.ok(names.length > 50, names.join());
  const called = new Set<string>(), problems: string[] = [];
  let faults = 0, surfaced = 0;
  const more = { CUDA_FAULTS: "1" };
  const ways = each === 2 ? [{}] : [
    {},
    { CUEMU_DEVICES: "2", ...more },
    { CUEMU_DEVICES: "2", CUEMU_NO_POOLS: "1", ...more },
    { TNP_CUBLASLT: "none", ...more },
  ];
  for (const way of ways) {
    const cache = mkdtempSync(join(tmpdir(), "tnp-faults-"));
    try {
      const ended = await runChild("cuda_faults_child.ts", {
        CUDA_FAULTS: String(each),
        CUDA_FUNCTIONS: names.join(),
        TNP_CACHE_DIR: join(cache, "kernels"),
        ...way,
      });
      assert.equal(ended.code, 0, ended.err + ended.out);
      const found = JSON.parse(ended.out.split("\n").at(-1)!);
      problems.push(...found.problems);
      faults += found.faults;
      surfaced += found.surfaced;
      for (const name of found.called) called.add(name);
    } finally {
      rmSync(cache, { recursive: true, force: true });
    }
  }
  assert.deepEqual(problems, [], `${faults} faults`);
  if (each > 2) assert.deepEqual(names.filter((name) => !called.has(name)), [], "these are never called");
  assert.ok(faults >= (each > 2 ? 200 : 90) && surfaced >= faults * 0.8, `${surfaced} of ${faults} surfaced`);
  console.log(`cuda: ${faults} faults, ${surfaced} surfaced, ${faults - surfaced} mended`);
});
