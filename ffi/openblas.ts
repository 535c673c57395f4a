import { Lapack } from "./lapack.ts";
import { setDefault } from "./libc.ts";
import { readCString } from "./mem.ts";
import { available, open, openFile } from "./open.ts";
import { avx512, env, processorFlags } from "./runtime.ts";
import { Scratch } from "./scratch.ts";
import type { Address, Library, LibrarySpec, Symbols, SymbolSpec } from "./types.ts";

// order, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc; complex alpha and beta come by address
const GEMM = {
  s: gemm("f32"),
  d: gemm("f64"),
  c: gemm("address"),
  z: gemm("address"),
} as const;

function gemm<T extends "f32" | "f64" | "address">(scalar: T) {
  return {
    parameters: [
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      scalar,
      "address",
      "i32",
      "address",
      "i32",
      scalar,
      "address",
      "i32",
    ],
    result: "void",
  } as const satisfies SymbolSpec;
}

const symbols = {
  cblas_sgemm: GEMM.s,
  cblas_dgemm: GEMM.d,
  cblas_cgemm: GEMM.c,
  cblas_zgemm: GEMM.z,
  openblas_set_num_threads: { parameters: ["i32"], result: "void" },
  openblas_get_num_threads: { parameters: [], result: "i32", optional: true },
  openblas_get_config: { parameters: [], result: "address" },
  openblas_get_corename: { parameters: [], result: "address", optional: true },
} as const satisfies Symbols;

/**
 * How OpenBLAS is found: a build with 32-bit integers and unprefixed names, best one with threads of its own (`p` in Fedora). Builds for
 * OpenMP give wrong results where threads with different thread counts call them at once.
 */
export const spec: LibrarySpec<typeof symbols> = {
  name: "OpenBLAS",
  env: "TNP_OPENBLAS",
  names: {
    linux: ["libopenblasp.so.0", "libopenblas.so.0", "libopenblas.so", "libopenblaso.so.0"],
    darwin: ["libopenblas.0.dylib", "libopenblas.dylib"],
    win32: ["libopenblas.dll", "openblas.dll"],
  },
  folders: ["/opt/homebrew/opt/openblas/lib", "/usr/local/opt/openblas/lib", "/usr/lib64"],
  symbols,
  install: "apt install libopenblas0-pthread, dnf install openblas, brew install openblas",
  needs: "OpenBLAS 0.3 with CBLAS",
  version(path) {
    const config = { parameters: [], result: "address", optional: true } as const;
    using library = openFile(path, { openblas_get_config: config });
    const get = library.symbols.openblas_get_config;
    return get === undefined ? undefined : readCString(get());
  },
};

/** How long waiting threads of builds without OpenMP look for work, as a power of two of clock ticks: 0.1 ms, as with OpenMP. */
const WAIT = "18";

/** The processors that builds for many of them take unknown ones for. None of these names has AVX. */
const FALLBACKS = ["Prescott", "Nehalem", "Barcelona"];

/** How OpenBLAS calls a processor with vectors that its fallbacks lack; undefined for others. */
function coreType(flags: ReadonlySet<string>): string | undefined {
  const has = (...names: readonly string[]) => names.every((name) => flags.has(name));
  if (has(...avx512)) return "SkylakeX";
  return has("avx2", "fma") ? "Haswell" : undefined;
}

/** Opens OpenBLAS; a second time with the right name where it took a processor that is newer than itself for a very old one. */
function openBlas(where: LibrarySpec<typeof symbols>): Library<typeof symbols> {
  if (available().ok) setDefault("OPENBLAS_THREAD_TIMEOUT", WAIT);
  const library = open(where), name = library.symbols.openblas_get_corename;
  if (name === undefined || !FALLBACKS.includes(readCString(name()))) return library;
  const core = env("OPENBLAS_CORETYPE") === undefined ? coreType(processorFlags()) : undefined;
  if (core === undefined) return library;
  library.close();
  setDefault("OPENBLAS_CORETYPE", core);
  return open(where);
}

/** The element types of BLAS: float32, float64, complex64, complex128. */
export type BlasType = "s" | "d" | "c" | "z";

/** How an operand is taken: as it is, transposed, or conjugate transposed. */
export type Transpose = "n" | "t" | "c";

const ROW_MAJOR = 101;
/** How CBLAS calls them. */
export const TRANSPOSE = { n: 111, t: 112, c: 113 } as const satisfies Record<Transpose, number>;

/** OpenBLAS: matrix products, and LAPACK through `lapack`. Memory is given by address (best as `native` gives it) and must stay referenced. */
export class OpenBLAS implements Disposable {
  readonly path: string;
  /** Version and build options, e.g. "OpenBLAS 0.3.21 DYNAMIC_ARCH …". */
  readonly config: string;
  readonly #library: Library<typeof symbols>;
  readonly #f: Library<typeof symbols>["symbols"];
  readonly #scratch: Scratch;
  #lapack: Lapack | undefined;

  /**
   * @throws LibraryError when it cannot be opened.
   */
  constructor(where: LibrarySpec<typeof symbols> = spec) {
    this.#library = openBlas(where);
    this.path = this.#library.path;
    this.#f = this.#library.symbols;
    this.#scratch = new Scratch(4);
    this.config = readCString(this.#f.openblas_get_config());
  }

  /** Whether its threads are OpenMP's; then only one thread of the program at a time may call it with more than one of them. */
  get openmp(): boolean {
    return this.config.includes("USE_OPENMP");
  }

  /** LAPACK's routines in the same file, each bound when first used. */
  get lapack(): Lapack {
    this.#lapack ??= new Lapack(this.path, this.config);
    return this.#lapack;
  }

  /** Sets how many threads OpenBLAS uses. */
  setThreads(count: number): void {
    this.#f.openblas_set_num_threads(count);
  }

  /**
   * c = alpha op(a) op(b) + beta c over row-major matrices.
   *
   * @param type The element type of all three.
   * @param m Rows of op(a) and c.
   * @param n Columns of op(b) and c.
   * @param k Columns of op(a), rows of op(b).
   * @param lda Elements from one stored row of a to the next; likewise ldb and ldc.
   * @param alpha A real factor; likewise beta.
   */
  gemm(
    type: BlasType,
    transA: Transpose,
    transB: Transpose,
    m: number,
    n: number,
    k: number,
    a: Address,
    lda: number,
    b: Address,
    ldb: number,
    c: Address,
    ldc: number,
    alpha = 1,
    beta = 0,
  ): void {
    const ta = TRANSPOSE[transA], tb = TRANSPOSE[transB], f = this.#f;
    // CBLAS reports bad arguments by printing and returning, so they are refused here.
    const rowA = transA === "n" ? k : m, rowB = transB === "n" ? n : k;
    if (
      !(m >= 0 && n >= 0 && k >= 0 && lda >= Math.max(1, rowA) && ldb >= Math.max(1, rowB) && ldc >= Math.max(1, n))
    ) {
      throw new RangeError(
        `gemm: got m ${m}, n ${n}, k ${k}, lda ${lda}, ldb ${ldb}, ldc ${ldc}, expected rows that fit`,
      );
    }
    if (type === "s") {
      f.cblas_sgemm(ROW_MAJOR, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    } else if (type === "d") {
      f.cblas_dgemm(ROW_MAJOR, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    } else {
      const scratch = this.#scratch.reset(), single = type === "c";
      const one = scratch.scalar(single, alpha), zero = scratch.scalar(single, beta);
      const call = single ? f.cblas_cgemm : f.cblas_zgemm;
      call(ROW_MAJOR, ta, tb, m, n, k, one, a, lda, b, ldb, zero, c, ldc);
    }
  }

  /** Closes the library. */
  [Symbol.dispose](): void {
    this.#lapack?.[Symbol.dispose]();
    this.#library.close();
  }
}
