/**
 * cublasLt: matrix products on the GPU with what follows them (bias, ReLU, GELU), by algorithms that a heuristic chooses once a problem.
 * @module
 */
import { type BlasDType, computeType, cublasError, cudaType } from "./cublas.ts";
import { cudaFolders, orderByMajor } from "./cuda_paths.ts";
import { created, destroyed } from "./handles.ts";
import { addressOf, native, readCString } from "./mem.ts";
import { open } from "./open.ts";
import { env } from "./runtime.ts";
import { Scratch } from "./scratch.ts";
import { system } from "./system.ts";
import type { Address, Library, LibrarySpec, NativeFunctions, Symbols } from "./types.ts";

const symbols = {
  cublasLtCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtDestroy: { parameters: ["address"], result: "i32" },
  cublasLtGetStatusString: { parameters: ["i32"], result: "address", optional: true },
  // out, compute type, scale type
  cublasLtMatmulDescCreate: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cublasLtMatmulDescDestroy: { parameters: ["address"], result: "i32" },
  cublasLtMatmulDescSetAttribute: { parameters: ["address", "i32", "buffer", "u64"], result: "i32" },
  // out, type, rows, columns, leading dimension
  cublasLtMatrixLayoutCreate: { parameters: ["buffer", "i32", "u64", "u64", "i64"], result: "i32" },
  cublasLtMatrixLayoutDestroy: { parameters: ["address"], result: "i32" },
  cublasLtMatrixLayoutSetAttribute: { parameters: ["address", "i32", "buffer", "u64"], result: "i32" },
  cublasLtMatmulPreferenceCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtMatmulPreferenceDestroy: { parameters: ["address"], result: "i32" },
  cublasLtMatmulPreferenceSetAttribute: { parameters: ["address", "i32", "buffer", "u64"], result: "i32" },
  // handle, description, layouts of A, B, C, D, preference, how many, results, how many there are
  cublasLtMatmulAlgoGetHeuristic: {
    parameters: [
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "i32",
      "buffer",
      "buffer",
    ],
    result: "i32",
  },
  // handle, description, alpha, A, its layout, B, its layout, beta, C, its layout, D, its layout, algorithm, workspace, its bytes, stream
  cublasLtMatmul: {
    parameters: [
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "address",
      "u64",
      "address",
    ],
    result: "i32",
  },
} as const satisfies Symbols;

type Functions = NativeFunctions<typeof symbols>;

const linux = ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11", "libcublasLt.so"];
const windows = ["cublasLt64_13.dll", "cublasLt64_12.dll", "cublasLt64_11.dll"];

/** How cublasLt is found: as cuBLAS, whose variable also says where it lies, or hides both. */
export function cublasLtSpec(major = 0): LibrarySpec<typeof symbols> {
  const blas = env("TNP_CUBLAS"), hidden = blas === "none" || blas === "off";
  return {
    name: "cublasLt",
    env: hidden && env("TNP_CUBLASLT") === undefined ? "TNP_CUBLAS" : "TNP_CUBLASLT",
    names: { linux: orderByMajor(linux, major), darwin: [], win32: orderByMajor(windows, major) },
    get folders() {
      const beside = blas !== undefined && system.path.isAbsolute(blas) ? [blas, system.path.dirname(blas)] : [];
      return [...beside, ...cudaFolders("cublas")];
    },
    symbols,
    install: "pip install nvidia-cublas-cu12, or the CUDA toolkit",
    needs: "cublasLt 11.4 or newer",
  };
}

/** Attributes of a product (cublasLtMatmulDescAttributes_t). */
const DESC = { transposeA: 3, transposeB: 4, epilogue: 7, bias: 8, biasStep: 10 } as const;
/** Attributes of a matrix (cublasLtMatrixLayoutAttribute_t). */
const LAYOUT = { batch: 5, step: 6 } as const;
/** Attributes of what is asked of an algorithm (cublasLtMatmulPreferenceAttributes_t). */
const PREFERENCE = { workspace: 1, alignmentA: 5, alignmentB: 6, alignmentC: 7, alignmentD: 8 } as const;
/** What follows a product (cublasLtEpilogue_t); a bias is bit 4. */
const EPILOGUE = { none: 1, relu: 2, gelu: 32 } as const;
const BIAS = 4;

/** Statuses of the heuristic that say: not this way. */
const NOT_SUPPORTED = 15, INVALID_VALUE = 7;

/** cublasLtMatmulHeuristicResult_t: the algorithm, then its workspace (u64) and state (i32). */
const RESULT_BYTES = 96, ALGORITHM_BYTES = 64;

/** What is done with each element of a product: GELU is the approximation by tanh. */
export type Activation = keyof typeof EPILOGUE;

/** A column-major matrix of a stack. Strides in elements. */
export interface LtMatrix {
  /** Of one matrix as it is stored. */
  readonly rows: number;
  readonly columns: number;
  readonly lead: number;
  /** From one matrix to the next; 0 repeats one. */
  readonly step: number;
  /** Bytes that its address is a multiple of: a power of 2, at most 256. */
  readonly alignment: number;
}

/** A product of column-major matrices: D = activation(op(A) op(B) + bias). */
export interface LtProblem {
  readonly dtype: BlasDType;
  /** Whether float32 inputs may be rounded to TF32. */
  readonly tf32: boolean;
  readonly batch: number;
  readonly a: LtMatrix & { readonly transposed: boolean };
  readonly b: LtMatrix & { readonly transposed: boolean };
  readonly d: LtMatrix;
  readonly activation: Activation;
  /** A packed vector over the rows of D that is added first, or null. */
  readonly bias: LtBias | null;
}

/** A vector for each matrix of a batch. */
export interface LtBias {
  /** Elements from one vector to the next; 0 repeats one. */
  readonly step: number;
  /** The address it has now; later ones must be aligned as well. The heuristic may look at it. */
  readonly address: number;
  /** As of matrices. */
  readonly alignment: number;
}

/** An algorithm of the library, and the bytes of device memory that it needs. */
interface Algorithm {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly workspace: number;
}

/** cublasLt in the current context. */
export class CublasLt implements Disposable {
  readonly path: string;
  readonly #library: Library<typeof symbols>;
  readonly #handle: Address;

  /** @throws LibraryError where it cannot be opened; NativeError where it cannot start */
  constructor(where: LibrarySpec<typeof symbols> = cublasLtSpec()) {
    this.#library = open(where);
    this.path = this.#library.path;
    try {
      this.#handle = create(this.#library.symbols, "cublasLtCreate");
    } catch (error) {
      this.#library.close();
      throw error;
    }
  }

  /**
   * Prepares a product.
   *
   * @param workspace Bytes of device memory that it may ask for
   * @returns null where the library has no algorithm for it
   * @throws NativeError
   */
  plan(problem: LtProblem, workspace: number): LtPlan | null {
    const { symbols: f } = this.#library;
    using undo = new DisposableStack();
    const { dtype, tf32, a, b, d, activation, bias } = problem;
    const type = cudaType[dtype];
    const desc = create(f, "cublasLtMatmulDescCreate", computeType(dtype, tf32), scaleType[dtype]);
    undo.defer(() => destroy(f, "cublasLtMatmulDescDestroy", desc));
    const set = (attribute: number, value: number, bytes: 4 | 8) =>
      setAttribute(f, "cublasLtMatmulDescSetAttribute", desc, attribute, value, bytes);
    set(DESC.transposeA, Number(a.transposed), 4);
    set(DESC.transposeB, Number(b.transposed), 4);
    // No activation and a bias is the bias alone.
    const activated = bias !== null && activation === "none" ? 0 : EPILOGUE[activation];
    set(DESC.epilogue, activated | (bias === null ? 0 : BIAS), 4);
    if (bias !== null) {
      set(DESC.bias, bias.address, 8);
      if (bias.step !== 0) set(DESC.biasStep, bias.step, 8);
    }
    const layouts = [a, b, d].map((x) => {
      const layout = create(
        f,
        "cublasLtMatrixLayoutCreate",
        type,
        native(x.rows),
        native(x.columns),
        native(Math.max(x.lead, x.rows)),
      );
      undo.defer(() => destroy(f, "cublasLtMatrixLayoutDestroy", layout));
      if (problem.batch !== 1) {
        setAttribute(f, "cublasLtMatrixLayoutSetAttribute", layout, LAYOUT.batch, problem.batch, 4);
        setAttribute(f, "cublasLtMatrixLayoutSetAttribute", layout, LAYOUT.step, x.step, 8);
      }
      return layout;
    }) as [Address, Address, Address];
    const algorithm = this.#choose(problem, desc, layouts, workspace);
    return algorithm === null ? null : new LtPlan(f, this.#handle, problem, desc, layouts, algorithm, undo.move());
  }

  /** Asks for the best algorithm; null where there is none. */
  #choose(
    { a, b, d, bias }: LtProblem,
    desc: Address,
    [aLayout, bLayout, dLayout]: readonly [Address, Address, Address],
    workspace: number,
  ): Algorithm | null {
    const { symbols: f } = this.#library;
    using cleanup = new DisposableStack();
    const preference = create(f, "cublasLtMatmulPreferenceCreate");
    cleanup.defer(() => destroy(f, "cublasLtMatmulPreferenceDestroy", preference));
    const set = (attribute: number, value: number, bytes: 4 | 8) =>
      setAttribute(f, "cublasLtMatmulPreferenceSetAttribute", preference, attribute, value, bytes);
    set(PREFERENCE.workspace, workspace, 8);
    set(PREFERENCE.alignmentA, a.alignment, 4);
    set(PREFERENCE.alignmentB, b.alignment, 4);
    // What is read and written at the end, the bias among it.
    const alignment = Math.min(d.alignment, bias?.alignment ?? d.alignment);
    set(PREFERENCE.alignmentC, alignment, 4);
    set(PREFERENCE.alignmentD, alignment, 4);
    const result = new BigUint64Array(new ArrayBuffer(RESULT_BYTES)), bytes = new Uint8Array(result.buffer);
    const count = new Int32Array(new ArrayBuffer(64));
    const code = f.cublasLtMatmulAlgoGetHeuristic(
      this.#handle,
      desc,
      aLayout,
      bLayout,
      dLayout,
      dLayout,
      preference,
      1,
      bytes,
      count,
    );
    if (code === NOT_SUPPORTED || code === INVALID_VALUE) return null;
    check(f, "cublasLtMatmulAlgoGetHeuristic", code);
    const state = Number(result[ALGORITHM_BYTES / 8 + 1]! & 0xffffffffn);
    if (count[0] === 0 || state !== 0) return null;
    return { bytes: bytes.slice(0, ALGORITHM_BYTES), workspace: Number(result[ALGORITHM_BYTES / 8]) };
  }

  /** Gives back the handle and closes the library. Plans must be disposed before. */
  [Symbol.dispose](): void {
    try {
      check(this.#library.symbols, "cublasLtDestroy", this.#library.symbols.cublasLtDestroy(this.#handle));
    } finally {
      this.#library.close();
    }
  }
}

/** What products are scaled in (cudaDataType_t): halves in float32. */
const scaleType = { ...cudaType, float16: cudaType.float32, bfloat16: cudaType.float32 } as const satisfies Record<
  BlasDType,
  number
>;

/** A product that is ready to be enqueued, on any addresses that are aligned as it was told. */
export class LtPlan implements Disposable {
  /** Bytes of device memory that it needs. */
  readonly workspace: number;
  readonly #f: Functions;
  readonly #handle: Address;
  readonly #desc: Address;
  readonly #layouts: readonly [Address, Address, Address];
  readonly #algorithm: Algorithm;
  readonly #algorithmAt: Address;
  /** Holds the factors of the product and of what was there. */
  readonly #scratch = new Scratch(2);
  readonly #one: Address;
  readonly #zero: Address;
  readonly #handles: DisposableStack;
  readonly #pointer = new BigUint64Array(new ArrayBuffer(8));
  readonly #eight = native(8);
  readonly #size: Address;
  #bias: number;

  constructor(
    f: Functions,
    handle: Address,
    { dtype, bias }: LtProblem,
    desc: Address,
    layouts: readonly [Address, Address, Address],
    algorithm: Algorithm,
    handles: DisposableStack,
  ) {
    this.#f = f;
    this.#handle = handle;
    this.#desc = desc;
    this.#layouts = layouts;
    this.#algorithm = algorithm;
    this.#algorithmAt = native(addressOf(this.#algorithm.bytes));
    this.workspace = algorithm.workspace;
    this.#size = native(algorithm.workspace);
    const single = dtype !== "float64" && dtype !== "complex128";
    this.#one = this.#scratch.scalar(single, 1);
    this.#zero = this.#scratch.scalar(single, 0);
    this.#bias = bias?.address ?? 0;
    this.#handles = handles;
    created("product");
  }

  /**
   * Enqueues the product.
   *
   * @param bias The vector's address; 0 without one
   * @param workspace At least `workspace` bytes, which nothing else on the stream uses meanwhile
   */
  run(a: Address, b: Address, d: Address, bias: number, workspace: Address, stream: Address): void {
    if (bias !== this.#bias) {
      this.#pointer[0] = BigInt(bias);
      const code = this.#f.cublasLtMatmulDescSetAttribute(this.#desc, DESC.bias, this.#pointer, this.#eight);
      check(this.#f, "cublasLtMatmulDescSetAttribute", code);
      this.#bias = bias;
    }
    const [aLayout, bLayout, dLayout] = this.#layouts;
    const code = this.#f.cublasLtMatmul(
      this.#handle,
      this.#desc,
      this.#one,
      a,
      aLayout,
      b,
      bLayout,
      this.#zero,
      d,
      dLayout,
      d,
      dLayout,
      this.#algorithmAt,
      workspace,
      this.#size,
      stream,
    );
    check(this.#f, "cublasLtMatmul", code);
  }

  /** Gives its handles back. */
  [Symbol.dispose](): void {
    if (this.#handles.disposed) return;
    destroyed("product");
    this.#handles.dispose();
  }
}

type Creator =
  | "cublasLtCreate"
  | "cublasLtMatmulDescCreate"
  | "cublasLtMatrixLayoutCreate"
  | "cublasLtMatmulPreferenceCreate";
type Destroyer = "cublasLtMatmulDescDestroy" | "cublasLtMatrixLayoutDestroy" | "cublasLtMatmulPreferenceDestroy";
type Setter =
  | "cublasLtMatmulDescSetAttribute"
  | "cublasLtMatrixLayoutSetAttribute"
  | "cublasLtMatmulPreferenceSetAttribute";

function check(f: Functions, fn: string, code: number): void {
  if (code === 0) return;
  const text = f.cublasLtGetStatusString?.(code);
  throw cublasError(fn, code, text === undefined ? undefined : readCString(text));
}

type Rest<T> = T extends (out: ArrayBufferView | null, ...rest: infer R) => unknown ? R : never;

/** A new handle. */
function create<C extends Creator>(f: Functions, fn: C, ...args: Rest<Functions[C]>): Address {
  const out = new BigUint64Array(new ArrayBuffer(8));
  check(f, fn, (f[fn] as (out: BigUint64Array, ...rest: unknown[]) => number)(out, ...args));
  return native(Number(out[0]));
}

function destroy(f: Functions, fn: Destroyer, handle: Address): void {
  check(f, fn, f[fn](handle));
}

function setAttribute(f: Functions, fn: Setter, handle: Address, attribute: number, value: number, bytes: 4 | 8): void {
  const out = new BigInt64Array([BigInt(value)]);
  check(f, fn, f[fn](handle, attribute, new Uint8Array(out.buffer, 0, bytes), native(bytes)));
}
