/** Failures of every function that the GPU calls. */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { emulatorPath, realGpu } from "./support/cuda.ts";
import { runChild } from "./support/child.ts";

const full = process.env["TNP_TEST_FULL"] === "1";

test("cuda: calls that fail surface as their errors, and the next computation is right", async () => {
  if (emulatorPath === null) return assert.ok(realGpu || process.env["TNP_CUDA"] === "none");
  const ended = await runChild("cuda_faults_child.ts", {
    CUDA_FAULTS: full ? "8" : "2",
    // Products are cuBLAS's here; cublasLt's faults are in cuda_matmul_test.ts.
    TNP_CUBLASLT: "none",
  });
  assert.equal(ended.code, 0, ended.err + ended.out);
  const { faults, surfaced, problems } = JSON.parse(ended.out.split("\n").at(-1)!);
  assert.deepEqual(problems, []);
  assert.ok(faults >= (full ? 120 : 30) && surfaced >= faults * 0.8, `${surfaced} of ${faults} surfaced`);
});
