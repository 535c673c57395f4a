import { NativeError } from "./errors.ts";
import { dlopen, dlsym, RTLD, setDefault } from "./libc.ts";
import { load } from "./load.ts";
import { env, platform } from "./runtime.ts";
import type { Library, LibrarySpec, Symbols } from "./types.ts";

const symbols = {
  omp_set_num_threads: { parameters: ["i32"], result: "void" },
  omp_get_max_threads: { parameters: [], result: "i32" },
} as const satisfies Symbols;

/** The OpenMP pool that oneDNN and compiled kernels share. */
export type OpenMP = Library<typeof symbols>;

/** How the OpenMP runtime is found. */
export const spec: LibrarySpec<typeof symbols> = {
  name: "OpenMP",
  env: "TNP_OPENMP",
  names: {
    linux: ["libgomp.so.1"],
    darwin: ["libomp.dylib"],
    win32: ["libgomp-1.dll", "libomp140.x86_64.dll", "vcomp140.dll"],
  },
  folders: ["/opt/homebrew/opt/libomp/lib", "/usr/local/opt/libomp/lib"],
  symbols,
  install: "apt install libgomp1",
};

let library: OpenMP | undefined;
let pinned: number | null | undefined;

/** The OpenMP runtime, opened once and pinned. */
export function openmp(): OpenMP {
  pinOpenMP();
  library ??= load(spec);
  return library;
}

/**
 * How often a waiting thread looks before it sleeps, about 0.1 ms. libgomp's own 300,000 take the cores from everybody else on a
 * busy machine: training on digits took 11 s instead of 5 beside other work, and no less time alone.
 */
const SPINS = "5000";

/** Sets how long waiting threads spin, unless the user did. libgomp reads it when it is opened. */
function setSpins(): void {
  if (env("OMP_WAIT_POLICY") === undefined) setDefault("GOMP_SPINCOUNT", SPINS);
}

/**
 * Keeps libgomp loaded until the process ends, because Node and Deno unload libraries at exit while its threads still spin.
 * Comes before anything that uses OpenMP is opened.
 *
 * @returns Whether libgomp is there.
 */
export function pinOpenMP(): boolean {
  if (pinned === undefined) pinned = platform === "linux" ? pin() : null;
  return pinned !== null;
}

function pin(): number | null {
  try {
    setSpins();
    return dlopen("libgomp.so.1", RTLD.NOW | RTLD.NODELETE);
  } catch (error) {
    // Without libgomp there is nothing to keep.
    if (error instanceof NativeError) return null;
    throw error;
  }
}

/** The address of a function of libgomp; 0 without libgomp. */
export function openMPAddress(name: keyof typeof symbols): number {
  return pinOpenMP() ? dlsym(pinned!, name) : 0;
}
