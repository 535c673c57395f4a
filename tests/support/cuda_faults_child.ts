/** Makes calls of every function fail, one at a time: each must surface as its error, and the next computation be right. */
import process from "node:process";
import { tnp } from "../../mod.ts";
import { closeCuda } from "../../src/device/cuda.ts";
import { openEmulator } from "./cuda_emulator.ts";
import { program } from "./cuda_program.ts";

const emulator = openEmulator(process.env["TNP_CUDA"]!);
const each = Number(process.env["CUDA_FAULTS"] ?? 2);
const codes: Readonly<Record<string, number>> = {
  cuMemAllocAsync: 2,
  cuMemHostAlloc: 2,
  cuLaunchKernel: 719,
  cuStreamSynchronize: 700,
  cublasCreate_v2: 1,
  cublasGemmStridedBatchedEx: 13,
};
const names = [
  "cuDevicePrimaryCtxRetain",
  "cuCtxSetCurrent",
  "cuStreamCreate",
  "cuDeviceGetAttribute",
  "cuDeviceGetDefaultMemPool",
  "cuMemPoolSetAttribute",
  "cuMemAllocAsync",
  "cuMemFreeAsync",
  "cuMemHostAlloc",
  "cuMemcpyHtoDAsync_v2",
  "cuMemcpyDtoHAsync_v2",
  "cuModuleLoadData",
  "cuModuleGetFunction",
  "cuLaunchKernel",
  "cuStreamSynchronize",
  "cuEventCreate",
  "cuEventRecord",
  "cuEventSynchronize",
  "cuMemPoolTrimTo",
  "cuMemFreeHost",
  "cuEventDestroy_v2",
  "cuModuleUnload",
  "cuStreamDestroy_v2",
  "cuDevicePrimaryCtxRelease_v2",
  "cublasCreate_v2",
  "cublasSetStream_v2",
  "cublasGemmStridedBatchedEx",
  "cublasDestroy_v2",
];
/** Failures that memory is found in spite of, after trimming; the other calls must not hide theirs. */
const mended = new Set(["cuMemAllocAsync"]);
/** Whose failure leaves behind what should have been given back. */
const leaky: Readonly<Record<string, number>> = {
  cuMemFreeHost: 1,
  cuEventDestroy_v2: 1,
  cuModuleUnload: 1,
  cuStreamDestroy_v2: 1,
  cublasDestroy_v2: 1,
};

const right = tnp.device("CPU:0", program);
const run = (): void => {
  const got = tnp.device("GPU:0", program);
  // Large enough to go through page-locked memory.
  const large = tnp.device("GPU:0", () => tnp.scope(() => tnp.array(new Float32Array(20_000).fill(2)).dataSync()));
  closeCuda();
  const wrong = right.findIndex((x, i) => !(Math.abs(x - got[i]!) <= 1e-12 * (1 + Math.abs(x))));
  if (wrong >= 0) throw new Error(`element ${wrong} is ${got[wrong]}, expected ${right[wrong]}`);
  if (large[19_999] !== 2) throw new Error("a large array came back wrong");
};

const problems: string[] = [];
let faults = 0, surfaced = 0, left = 0;
run();
for (const name of names) {
  const before = emulator.fail(name, 0, 0);
  run();
  const calls = emulator.fail(name, 0, 0) - before;
  if (calls === 0) problems.push(`${name} is never called`);
  const places = new Set(
    Array.from({ length: each }, (_, i) => 1 + Math.floor(i * Math.max(0, calls - 1) / Math.max(1, each - 1))),
  );
  for (const nth of places) {
    emulator.fail(name, nth, codes[name] ?? 1);
    faults++;
    let error: Error | null = null;
    try {
      run();
    } catch (e) {
      error = e as Error;
      try {
        closeCuda();
      } catch (again) {
        problems.push(`${name} ${nth}: closing after it failed: ${(again as Error).message}`);
      }
    }
    if (error !== null) {
      surfaced++;
      const told = error.message.includes(name) || error.name === "OutOfMemoryError";
      if (!told) problems.push(`${name} ${nth} gave ${error.name}: ${error.message}`);
    } else if (!mended.has(name)) problems.push(`${name} ${nth} of ${calls} was swallowed`);
    left += leaky[name] ?? 0;
    emulator.fail(name, 0, 0);
    try {
      run();
    } catch (e) {
      problems.push(`after ${name} ${nth}: ${(e as Error).message}`);
    }
  }
}
const kinds = ["stream", "event", "module", "context", "cublas", "program"];
const leaked = kinds.reduce((sum, kind) => sum + emulator.live(kind), 0) + emulator.blocks();
if (leaked > left) problems.push(`${leaked} handles and blocks are left, expected at most ${left}`);
console.log(JSON.stringify({ faults, surfaced, problems }));
