/**
 * CUDA sources as machine code: compiled by NVRTC for one architecture, kept on disk beside their text.
 * @module
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { Nvrtc, nvrtcSpec } from "../../ffi/nvrtc.ts";
import { cudaFlags } from "../../kernels/cuda.ts";
import { debug, debugging } from "../base/debug.ts";
import { digest, kernelCache } from "./cache.ts";

let open: Nvrtc | undefined;

/** NVRTC, opened the first time: one that a driver of this CUDA version can load code of. @throws LibraryError */
export function nvrtc(major: number): Nvrtc {
  return open ??= new Nvrtc(nvrtcSpec(major));
}

/** What a source is compiled with. Kernels use nothing of the runtime's headers, and reading them takes a tenth of the time. */
export function nvrtcOptions(compiler: Nvrtc, architecture: string): string[] {
  return [`--gpu-architecture=${architecture}`, ...cudaFlags, ...(compiler.atLeast(12, 4) ? ["--minimal"] : [])];
}

/**
 * The machine code of a source, from disk or compiled now; PTX where NVRTC does not know the GPU.
 *
 * @param capability 10 times the GPU's major version plus the minor one
 * @param major the CUDA version of the driver
 * @throws LibraryError without NVRTC; NativeError with the compiler's messages
 */
export function cubinOf(source: string, capability: number, major: number): Uint8Array<ArrayBuffer> {
  const compiler = nvrtc(major);
  const architecture = compiler.target(capability);
  const options = nvrtcOptions(compiler, architecture);
  const cache = kernelCache();
  const key = digest(source, compiler.version, ...options);
  const found = cache?.find(key, "cubin") ?? null, kept = found === null ? null : readKept(found);
  if (kept !== null) return kept;
  if (debugging("source")) debug("source", source);
  const start = performance.now();
  const { cubin } = compiler.compile(source, "kernel.cu", options);
  debug("kernels", () => `${source.split("\n")[0]} for ${architecture}: ${Math.round(performance.now() - start)} ms`);
  if (cache !== null) {
    const text = cache.temporary("cu"), output = cache.temporary("cubin");
    try {
      writeFileSync(text, source, { mode: 0o600 });
      writeFileSync(output, cubin, { mode: 0o600 });
      cache.store(key, output, text, "cubin");
    } catch (error) {
      // A full or vanished disk costs the next process a compilation.
      debug("engines", () => `a compiled kernel could not be kept: ${error instanceof Error ? error.message : error}`);
    } finally {
      rmSync(text, { force: true });
      rmSync(output, { force: true });
    }
  }
  return cubin;
}

/** Machine code from disk, without the digest behind it; null where another process, for which there were too many, just removed it. */
function readKept(path: string): Uint8Array<ArrayBuffer> | null {
  try {
    const bytes = readFileSync(path);
    const cubin = new Uint8Array(new ArrayBuffer(bytes.length - 32));
    cubin.set(bytes.subarray(0, -32));
    return cubin;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === "ENOENT") return null;
    throw error;
  }
}
