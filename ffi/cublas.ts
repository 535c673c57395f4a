/**
 * cuBLAS: matrix products on the GPU.
 * @module
 */
import { cudaFolders, orderByMajor } from "./cuda_paths.ts";
import { NativeError } from "./errors.ts";
import { native, readCString } from "./mem.ts";
import { open } from "./open.ts";
import { Scratch } from "./scratch.ts";
import type { Address, Library, LibrarySpec, Symbols } from "./types.ts";

const symbols = {
  cublasCreate_v2: { parameters: ["buffer"], result: "i32" },
  cublasDestroy_v2: { parameters: ["address"], result: "i32" },
  cublasSetStream_v2: { parameters: ["address", "address"], result: "i32" },
  cublasGetStatusString: { parameters: ["i32"], result: "address", optional: true },
  // handle, ops, m, n, k, alpha, A, type, lda, stride, B, type, ldb, stride, beta, C, type, ldc, stride, batch, compute, algo
  cublasGemmStridedBatchedEx: {
    parameters: [
      "address",
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      "address",
      "address",
      "i32",
      "i32",
      "i64",
      "address",
      "i32",
      "i32",
      "i64",
      "address",
      "address",
      "i32",
      "i32",
      "i64",
      "i32",
      "i32",
      "i32",
    ],
    result: "i32",
  },
} as const satisfies Symbols;

const linux = ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"];
const windows = ["cublas64_13.dll", "cublas64_12.dll", "cublas64_11.dll"];

/** How cuBLAS is found: what the driver's version of CUDA serves first. */
export function cublasSpec(major = 0): LibrarySpec<typeof symbols> {
  return {
    name: "cuBLAS",
    env: "TNP_CUBLAS",
    names: { linux: orderByMajor(linux, major), darwin: [], win32: orderByMajor(windows, major) },
    get folders() {
      return cudaFolders("cublas");
    },
    symbols,
    install: "pip install nvidia-cublas-cu12, or the CUDA toolkit",
    needs: "cuBLAS 11 or newer",
  };
}

/** Element types (cudaDataType_t). */
export const cudaType = {
  float16: 2,
  bfloat16: 14,
  float32: 0,
  float64: 1,
  complex64: 4,
  complex128: 5,
} as const;

/** The dtypes that cuBLAS multiplies. */
export type BlasDType = keyof typeof cudaType;

const COMPUTE = { single: 68, double: 70, tf32: 77 } as const;

/** What products are computed in (cublasComputeType_t): halves in float32. */
export function computeType(dtype: BlasDType, tf32: boolean): number {
  if (dtype === "float64" || dtype === "complex128") return COMPUTE.double;
  return tf32 && (dtype === "float32" || dtype === "complex64") ? COMPUTE.tf32 : COMPUTE.single;
}

const names: Readonly<Record<number, string>> = {
  1: "CUBLAS_STATUS_NOT_INITIALIZED",
  3: "CUBLAS_STATUS_ALLOC_FAILED",
  7: "CUBLAS_STATUS_INVALID_VALUE",
  8: "CUBLAS_STATUS_ARCH_MISMATCH",
  11: "CUBLAS_STATUS_MAPPING_ERROR",
  13: "CUBLAS_STATUS_EXECUTION_FAILED",
  14: "CUBLAS_STATUS_INTERNAL_ERROR",
  15: "CUBLAS_STATUS_NOT_SUPPORTED",
  16: "CUBLAS_STATUS_LICENSE_ERROR",
};

/** The error of a status of cuBLAS or cublasLt. */
export function cublasError(fn: string, code: number, text?: string): NativeError {
  return new NativeError(fn, code, names[code] ?? "CUBLAS_STATUS", text === names[code] ? undefined : text);
}

/** A matrix in device memory, as column-major BLAS sees it. */
export interface BlasMatrix {
  readonly address: Address;
  readonly transposed: boolean;
  /** Elements from one column to the next, and from one matrix of the batch to the next. */
  readonly lead: number;
  readonly step: number;
}

/** cuBLAS on one stream of the current context. */
export class Cublas implements Disposable {
  readonly path: string;
  readonly #library: Library<typeof symbols>;
  readonly #handle: Address;
  readonly #scratch = new Scratch(2);

  /** @throws LibraryError where it cannot be opened; NativeError where it cannot start */
  constructor(stream: Address, where: LibrarySpec<typeof symbols> = cublasSpec()) {
    this.#library = open(where);
    this.path = this.#library.path;
    const f = this.#library.symbols;
    const out = new BigUint64Array(new ArrayBuffer(8));
    try {
      this.#check("cublasCreate_v2", f.cublasCreate_v2(out));
      this.#handle = native(Number(out[0]));
      const code = f.cublasSetStream_v2(this.#handle, stream);
      if (code !== 0) f.cublasDestroy_v2(this.#handle);
      this.#check("cublasSetStream_v2", code);
    } catch (error) {
      this.#library.close();
      throw error;
    }
  }

  /**
   * c = op(a) op(b) over column-major matrices, for each matrix of a batch.
   *
   * @param m Rows of op(a) and c; n columns of op(b) and c; k columns of op(a)
   */
  gemm(
    dtype: BlasDType,
    m: number,
    n: number,
    k: number,
    batch: number,
    a: BlasMatrix,
    b: BlasMatrix,
    c: BlasMatrix,
    tf32 = false,
  ): void {
    const type = cudaType[dtype], compute = computeType(dtype, tf32);
    const scratch = this.#scratch.reset(), single = compute !== COMPUTE.double;
    const one = scratch.scalar(single, 1), zero = scratch.scalar(single, 0);
    const code = this.#library.symbols.cublasGemmStridedBatchedEx(
      this.#handle,
      Number(a.transposed),
      Number(b.transposed),
      m,
      n,
      k,
      one,
      a.address,
      type,
      a.lead,
      native(a.step),
      b.address,
      type,
      b.lead,
      native(b.step),
      zero,
      c.address,
      type,
      c.lead,
      native(c.step),
      batch,
      compute,
      -1,
    );
    this.#check("cublasGemmStridedBatchedEx", code);
  }

  #check(fn: string, code: number): void {
    if (code === 0) return;
    const text = this.#library.symbols.cublasGetStatusString?.(code);
    throw cublasError(fn, code, text === undefined ? undefined : readCString(text));
  }

  /** Gives back the handle and closes the library. */
  [Symbol.dispose](): void {
    try {
      this.#check("cublasDestroy_v2", this.#library.symbols.cublasDestroy_v2(this.#handle));
    } finally {
      this.#library.close();
    }
  }
}
