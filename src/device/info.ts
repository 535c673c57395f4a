/**
 * What was found on this machine, and what to install for more: the data of `tnp.config.build_info()`.
 * @module
 */
import { available } from "../../ffi/open.ts";
import { spec as onednnSpec } from "../../ffi/onednn.ts";
import { spec as openblasSpec } from "../../ffi/openblas.ts";
import { openmp } from "../../ffi/openmp.ts";
import { LibraryError } from "../../ffi/errors.ts";
import { architecture, platform, runtime } from "../../ffi/runtime.ts";
import { kernelCache } from "./cache.ts";
import { cpuConfig, type Engine } from "./config.ts";
import { onednn, openblas } from "./libraries.ts";
import { toolchain } from "./native.ts";

/** One part of the machinery: there, or why not and what to do. */
export type Part =
  | { readonly found: true; readonly path: string; readonly version: string }
  | { readonly found: false; readonly reason: string; readonly install: string };

/** What serves computations here. */
export interface BuildInfo {
  readonly runtime: string;
  readonly platform: string;
  readonly ffi: { readonly ok: true } | { readonly ok: false; readonly reason: string };
  readonly engine: Engine;
  readonly compiler: Part & { readonly features?: { readonly openmp: boolean; readonly libmvec: boolean } };
  /** Where compiled kernels are kept; null where nothing can be written. */
  readonly kernels: { readonly folder: string; readonly lasting: boolean } | null;
  readonly onednn: Part;
  readonly openblas: Part;
  /** Threads of the pool that oneDNN and compiled kernels share; 1 without OpenMP. */
  readonly threads: number;
  readonly devices: readonly string[];
}

function compilerPart(): BuildInfo["compiler"] {
  const tools = toolchain();
  if (!tools.ok) return { found: false, reason: tools.reason, install: "apt install gcc, brew install gcc or clang" };
  const { path, version, features } = tools.compiler;
  return { found: true, path, version, features };
}

function onednnPart(): Part {
  const library = onednn.get();
  if (library !== null) return { found: true, path: library.path, version: library.version };
  return { found: false, reason: onednn.missing ?? "", install: onednnSpec.install };
}

function openblasPart(): Part {
  const library = openblas.get();
  if (library !== null) return { found: true, path: library.path, version: library.config };
  return { found: false, reason: openblas.missing ?? "", install: openblasSpec.install };
}

function threads(): number {
  if (!available().ok) return 1;
  try {
    return openmp().symbols.omp_get_max_threads();
  } catch (error) {
    if (!(error instanceof LibraryError)) throw error;
    return 1;
  }
}

/**
 * Looks for everything that computations could use here.
 *
 * @returns what was found, with paths and versions, or why not and what to install
 */
export function buildInfo(): BuildInfo {
  const cache = available().ok ? kernelCache() : null;
  return {
    runtime: `${runtime.name} ${runtime.version}`,
    platform: `${platform} ${architecture}`,
    ffi: available(),
    engine: cpuConfig().engine,
    compiler: compilerPart(),
    kernels: cache === null ? null : { folder: cache.folder, lasting: cache.lasting },
    onednn: onednnPart(),
    openblas: openblasPart(),
    threads: threads(),
    devices: ["CPU:0"],
  };
}
