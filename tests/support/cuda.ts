/**
 * A GPU for tests: the emulator of tests/cuda_emulator, built when it is missing, or a real one where TNP_TEST_GPU=1 asks for it. Import
 * this before anything that opens the driver.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { available } from "../../ffi/open.ts";
import { type CudaDevice, cudaDevices } from "../../src/device/cuda.ts";
import { getDevice, setDefault } from "../../src/device/registry.ts";
import type { Kernel } from "../../kernels/kernel.ts";
import { type Emulator, openEmulator } from "./cuda_emulator.ts";
import { type Run, useEngine } from "./kernels.ts";
import { compileTogether } from "./suite.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const sources = join(root, "tests", "cuda_emulator");
const compiler = process.env["CUEMU_CXX"] ?? "g++";
/** Whether tests run on the machine's own GPU. */
export const realGpu: boolean = process.env["TNP_TEST_GPU"] === "1";

/** Builds the emulator unless it is there; null where it cannot be built. */
function build(): string | null {
  // Where the C compiler is hidden, this one is too.
  if (process.platform !== "linux" || !available().ok || process.env["TNP_CC"] === "none") return null;
  const version = spawnSync(compiler, ["--version"], { encoding: "utf8" });
  if (version.status !== 0) return null;
  const hash = createHash("sha256").update(version.stdout);
  for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)));
  const folder = join(root, ".cache", "cuda_emulator");
  const name = `emulator-${hash.digest("hex").slice(0, 16)}`, path = join(folder, `${name}.so`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // What earlier versions compiled serves nobody any more.
  for (const old of readdirSync(folder)) {
    if (/^emulator-/.test(old) && !old.startsWith(name)) rmSync(join(folder, old), { recursive: true, force: true });
  }
  const temporary = mkdtempSync(join(folder, "build-"));
  try {
    const made = join(temporary, "emulator.so");
    const flags = ["-std=gnu++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-z,nodelete"];
    const args = [
      ...flags,
      `-DEMULATOR_HOME="${sources}"`,
      "-o",
      made,
      join(sources, "emulator.cpp"),
      "-ldl",
      "-lpthread",
    ];
    const result = spawnSync(compiler, args, { encoding: "utf8" });
    if (result.status !== 0) throw new Error(`${compiler} cannot build the emulator: ${result.stderr}`);
    renameSync(made, path);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return path;
}

/** The emulator's file; null on a real GPU, and where there is no C++ compiler. */
export const emulatorPath: string | null = realGpu ? null : build();

if (emulatorPath !== null) {
  for (const name of ["TNP_CUDA", "TNP_NVRTC", "TNP_CUBLAS", "TNP_CUBLASLT"]) process.env[name] = emulatorPath;
  process.env["TNP_CACHE_DIR"] = emulatorPath.replace(/\.so$/, ".cubins");
} else if (!realGpu) process.env["TNP_CUDA"] = "none";

/** The emulator, or null. */
export const emulator: Emulator | null = emulatorPath === null ? null : openEmulator(emulatorPath);

/** The first GPU, or null where there is neither a real one nor the emulator. */
export const gpu: CudaDevice | null = cudaDevices().devices[0] ?? null;

/** Registers the tests of a module with the GPU as the device of new arrays; where there is none, one that says so. */
export async function onGpu(load: () => Promise<unknown>): Promise<void> {
  if (gpu === null) {
    test("cuda: asking for a GPU that is not there is an error", () => {
      assert.throws(() => getDevice("GPU:0"), { name: "DeviceError" });
    });
    return;
  }
  compileTogether(emulator);
  setDefault(gpu);
  useEngine({ name: "CUDA", kind: "cuda", run: (k, run) => runCuda(gpu, k, run) });
  await load();
  if (emulator === null) return;
  test("cuda: kernels were launched", () => assert.ok(emulator.fail("cuLaunchKernel", 0, 0) > 0));
}

/** Runs a kernel made by hand on a GPU. */
export function runCuda(device: CudaDevice, k: Kernel, run: Run): void {
  const place = (p: Run["outputs"][number] | { readonly data: null; offset?: number; strides: readonly number[] }) => {
    if (p.data === null) return { buffer: null, offset: p.offset ?? 0, strides: p.strides };
    const bytes = new Uint8Array(p.data.buffer as ArrayBuffer, p.data.byteOffset, p.data.byteLength);
    const buffer = device.allocate(bytes.byteLength);
    device.write(buffer, 0, bytes);
    return { buffer, offset: p.offset ?? 0, strides: p.strides, bytes };
  };
  const operands = (run.operands ?? []).map((p) => place(p as Run["outputs"][number]));
  const outputs = run.outputs.map((p) =>
    place(p) as {
      buffer: ReturnType<CudaDevice["allocate"]>;
      offset: number;
      strides: readonly number[];
      bytes: Uint8Array;
    }
  );
  try {
    device.kernel(k)({ sizes: run.sizes, operands, outputs, scalars: run.scalars ?? [] });
    for (const { buffer, bytes } of outputs) bytes.set(device.read(buffer, 0, bytes.byteLength));
  } finally {
    for (const { buffer } of [...operands, ...outputs]) buffer?.release();
  }
}
