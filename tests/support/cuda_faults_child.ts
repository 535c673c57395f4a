/**
 * Makes calls of every function that the GPU's libraries are called by fail, one at a time: each must surface as its error or be
 * mended, and the next computation be right. Prints what was found as JSON.
 */
import { rmSync } from "node:fs";
import process from "node:process";
import { tnp } from "../../mod.ts";
import { CudaDriver, functionAttribute } from "../../ffi/cuda.ts";
import { native } from "../../ffi/mem.ts";
import { Nvrtc } from "../../ffi/nvrtc.ts";
import { closeCuda, CudaDevice } from "../../src/device/cuda.ts";
import { cudaFlags } from "../../kernels/cuda.ts";
import { openEmulator } from "./cuda_emulator.ts";
import { program, traced } from "./cuda_program.ts";

const emulator = openEmulator(process.env["TNP_CUDA"]!);
/** Calls of each function that fail, at most. */
const each = Number(process.env["CUDA_FAULTS"] ?? 6);
const names = process.env["CUDA_FUNCTIONS"]!.split(",");

/** Statuses that a function gives besides "invalid value": out of memory, a failed launch, a lost device. */
const codes: Readonly<Record<string, readonly number[]>> = {
  cuMemAllocAsync: [2, 1],
  cuMemAlloc_v2: [2, 1],
  cuMemHostAlloc: [2],
  cuLaunchKernel: [719, 1, 700],
  cuStreamSynchronize: [700, 719],
  cuEventQuery: [700, 1],
  cuEventSynchronize: [719, 1],
  cuMemcpyDtoHAsync_v2: [1, 716],
  cuMemcpyHtoDAsync_v2: [1, 700],
  cuModuleLoadData: [200, 2],
  cuModuleGetFunction: [500],
  nvrtcCompileProgram: [6, 1],
  cublasCreate_v2: [1, 3],
  cublasGemmStridedBatchedEx: [13],
  cublasLtMatmul: [13],
};
const codesOf = (name: string) => codes[name] ?? (/^(?:cublas|nvrtc)/.test(name) ? [7] : [1]);

/**
 * Where another way may be taken: memory is asked for again after trimming, graphs are launched one by one. So they are where the last
 * stream, which library calls are captured on, cannot be made.
 */
const mended = (name: string, code: number) =>
  /^cuMemAlloc/.test(name) && code === 2 || /^cuGraph|Capture|^cublasLt|Peer|PoolSetAccess/.test(name);
/** What a failure leaves behind that should have been given back. */
const leaky = (name: string) => /Destroy|FreeHost|Unload|cuMemFree_v2/.test(name) ? 1 : 0;

/** What only benches and tests call: the driver by itself. */
function driverAlone(): void {
  using driver = new CudaDriver();
  for (let i = 0; i < driver.count; i++) new CudaDevice(driver, i);
  const device = driver.device(0), context = driver.retainContext(device), { f } = driver;
  const held: (() => void)[] = [
    () => driver.check("cuDevicePrimaryCtxRelease_v2", f.cuDevicePrimaryCtxRelease_v2(device)),
  ];
  let first: unknown = null;
  try {
    driver.check("cuCtxSetCurrent", f.cuCtxSetCurrent(context));
    driver.memoryInfo();
    const stream = driver.createStream();
    held.push(() => driver.check("cuStreamDestroy_v2", f.cuStreamDestroy_v2(stream)));
    const events = [0, 1].map(() => {
      const event = driver.createEvent(true);
      held.push(() => driver.check("cuEventDestroy_v2", f.cuEventDestroy_v2(event)));
      driver.check("cuEventRecord", f.cuEventRecord(event, stream));
      return event;
    });
    const memory = driver.allocate(1024, null);
    if (!("address" in memory)) throw driver.error("cuMemAlloc_v2", memory.code);
    const { address } = memory;
    held.push(() => driver.check("cuMemFree_v2", f.cuMemFree_v2(native(address))));
    const copied = f.cuMemcpyDtoDAsync_v2(native(address), native(address + 512), native(512), stream);
    driver.check("cuMemcpyDtoDAsync_v2", copied);
    driver.check("cuStreamSynchronize", f.cuStreamSynchronize(stream));
    driver.elapsed(events[0]!, events[1]!);
    using nvrtc = new Nvrtc();
    const source = 'extern "C" __global__ void nothing() {}\n';
    nvrtc.compile(source, "kernel.cu", ["--gpu-architecture=compute_70", ...cudaFlags]);
    const { cubin } = nvrtc.compile(source, "kernel.cu", ["--gpu-architecture=sm_90", ...cudaFlags]);
    const module = driver.loadModule(cubin);
    held.push(() => driver.check("cuModuleUnload", f.cuModuleUnload(module)));
    driver.functionAttribute(driver.moduleFunction(module, "nothing"), functionAttribute.registers);
  } catch (error) {
    first = error;
  }
  for (const release of held.reverse()) {
    try {
      release();
    } catch (error) {
      first ??= error;
    }
  }
  if (first !== null) throw first;
}

const LARGE = 1_100_000;
const all = () => [...program(), ...traced()];
const right = tnp.device("CPU:0", all);

/** Uses all of a GPU, from nothing to nothing. */
async function run(): Promise<void> {
  // NVRTC is asked for every kernel again.
  rmSync(process.env["TNP_CACHE_DIR"]!, { recursive: true, force: true });
  driverAlone();
  const got = tnp.device("GPU:0", all);
  // Too large for one piece of page-locked memory.
  const large = tnp.device("GPU:0", () => tnp.array(new Float32Array(LARGE).fill(4)));
  if (process.env["CUEMU_DEVICES"] === "2") {
    const copy = tnp.device("GPU:1", () => tnp.copy(large));
    if (copy.dataSync()[LARGE - 1] !== 4) throw new Error("a copy on another GPU is wrong");
    copy.dispose();
  }
  const values = await large.data(), again = large.dataSync();
  large.dispose();
  tnp.memory_stats("GPU:0");
  closeCuda();
  const wrong = right.findIndex((x, i) => !(Math.abs(x - got[i]!) <= 1e-12 * (1 + Math.abs(x))));
  if (wrong >= 0) throw new Error(`element ${wrong} is ${got[wrong]}, expected ${right[wrong]}`);
  if (values[0] !== 4 || values[LARGE - 1] !== 4 || again[LARGE - 1] !== 4) {
    throw new Error("a large array came back wrong");
  }
}

const problems: string[] = [];
let faults = 0, surfaced = 0, left = 0;
const count = (name: string) => emulator.fail(name, 0, 0);
emulator.defer(true);
await run().catch(() => {});
try {
  closeCuda();
} catch {
  // What was collected matters only.
}
emulator.compile();
emulator.defer(false);
await run();
const before = new Map(names.map((name) => [name, count(name)]));
await run();
const calls = new Map(names.map((name) => [name, count(name) - before.get(name)!]));
for (const [name, most] of calls) {
  const spread = Array.from(
    { length: each },
    (_, i) => 1 + Math.floor(i * Math.max(0, most - 1) / Math.max(1, each - 1)),
  );
  for (const nth of most === 0 ? [] : new Set(spread)) {
    const list = codesOf(name), code = list[nth % list.length]!, start = count(name);
    emulator.fail(name, nth, code);
    let error: Error | null = null;
    try {
      await run();
    } catch (e) {
      error = e as Error;
    }
    const fired = count(name) - start >= nth;
    if (error !== null) {
      try {
        closeCuda();
      } catch (again) {
        // A lost device is told again, until its context is gone.
        if (code < 700) problems.push(`${name} ${nth}: closing after it failed: ${(again as Error).message}`);
      }
    }
    if (fired) {
      faults++;
      left += leaky(name);
      if (error !== null) {
        surfaced++;
        const told = error.message.includes(name) || error.name === "OutOfMemoryError" || code >= 700;
        if (!told) problems.push(`${name} ${nth} (${code}) gave ${error.name}: ${error.message}`);
      } else if (!mended(name, code) && !(name === "cuStreamCreate" && nth === most)) {
        problems.push(`${name} ${nth} of ${most} (${code}) was swallowed`);
      }
    } else if (error !== null) problems.push(`${name} ${nth} failed without being called: ${error.message}`);
    try {
      await run();
    } catch (e) {
      problems.push(`after ${name} ${nth} (${code}): ${(e as Error).message}`);
      closeCuda();
    }
  }
}
// Functions are their modules'.
const leaked = emulator.kinds().filter(([kind, n]) => n > 0 && kind !== "function"), blocks = emulator.blocks();
const total = leaked.reduce((sum, [, n]) => sum + n, blocks);
if (total > left) {
  problems.push(
    `left: ${leaked.map(([kind, n]) => `${n} ${kind}`).join(", ")}, ${blocks} blocks; expected at most ${left}`,
  );
}
console.log(JSON.stringify({ faults, surfaced, problems, called: names.filter((name) => calls.get(name)! > 0) }));
