import { LibraryError, NativeError } from "./errors.ts";
import { addressOf, native } from "./mem.ts";
import { openFile } from "./open.ts";
import { Scratch } from "./scratch.ts";
import type { Address, Library, SymbolSpec } from "./types.ts";

/** The element types of LAPACK: float32, float64, complex64, complex128. */
export type LapackType = "s" | "d" | "c" | "z";

type Call = (...args: readonly Address[]) => void;

const ONE = native(1);
const NULL = native(0);

/**
 * LAPACK by its Fortran names. Matrices are column-major: element (i, j) lies at i + j ld. Memory comes by address and is overwritten as
 * LAPACK documents; it must stay referenced during the call. Each routine returns LAPACK's `info`: 0, or a positive number whose meaning the
 * routine gives (a zero pivot, no convergence); a negative one (a bad argument) is thrown as a NativeError.
 */
export class Lapack implements Disposable {
  readonly #path: string;
  readonly #version: string;
  readonly #libraries: Library[] = [];
  readonly #calls = new Map<string, Call>();
  readonly #scratch = new Scratch();
  // What native code still points to while a routine runs.
  #kept: ArrayBufferView[] = [];

  constructor(path: string, version: string) {
    this.#path = path;
    this.#version = version;
  }

  /** Solves a x = b for a general n × n a; x replaces b, a its LU factors, ipiv (int32, n) the row swaps. info > 0: a is singular. */
  gesv(
    type: LapackType,
    n: number,
    nrhs: number,
    a: Address,
    lda: number,
    ipiv: Address,
    b: Address,
    ldb: number,
  ): number {
    const s = this.#scratch.reset();
    return this.#run(`${type}gesv`, [s.int(n), s.int(nrhs), a, s.int(lda), ipiv, b, s.int(ldb)]);
  }

  /** Factors an m × n matrix into P L U in place. info > 0: U has a zero on its diagonal. */
  getrf(type: LapackType, m: number, n: number, a: Address, lda: number, ipiv: Address): number {
    const s = this.#scratch.reset();
    return this.#run(`${type}getrf`, [s.int(m), s.int(n), a, s.int(lda), ipiv]);
  }

  /** Inverts a matrix from the factors of `getrf`, in place. */
  getri(type: LapackType, n: number, a: Address, lda: number, ipiv: Address): number {
    return this.#withWork(`${type}getri`, type, (s, work, lwork) => [s.int(n), a, s.int(lda), ipiv, work, lwork]);
  }

  /** Cholesky-factors a Hermitian matrix in place, using its upper ("U") or lower ("L") triangle. info > 0: not positive definite. */
  potrf(type: LapackType, uplo: "U" | "L", n: number, a: Address, lda: number): number {
    const s = this.#scratch.reset();
    return this.#run(`${type}potrf`, [s.char(uplo), s.int(n), a, s.int(lda)], 1);
  }

  /** Solves a triangular system; x replaces b. info > 0: singular. */
  trtrs(
    type: LapackType,
    uplo: "U" | "L",
    trans: "N" | "T" | "C",
    diag: "N" | "U",
    n: number,
    nrhs: number,
    a: Address,
    lda: number,
    b: Address,
    ldb: number,
  ): number {
    const s = this.#scratch.reset();
    const flags = [s.char(uplo), s.char(trans), s.char(diag)];
    return this.#run(`${type}trtrs`, [...flags, s.int(n), s.int(nrhs), a, s.int(lda), b, s.int(ldb)], 3);
  }

  /** QR-factors an m × n matrix in place: R above, reflectors below, their factors in tau (min(m, n)). */
  geqrf(type: LapackType, m: number, n: number, a: Address, lda: number, tau: Address): number {
    return this.#withWork(
      `${type}geqrf`,
      type,
      (s, work, lwork) => [s.int(m), s.int(n), a, s.int(lda), tau, work, lwork],
    );
  }

  /** Forms the first n columns (m × n) of Q from the k reflectors of `geqrf`, in place (orgqr, ungqr). */
  orgqr(type: LapackType, m: number, n: number, k: number, a: Address, lda: number, tau: Address): number {
    const name = isComplex(type) ? `${type}ungqr` : `${type}orgqr`;
    return this.#withWork(
      name,
      type,
      (s, work, lwork) => [s.int(m), s.int(n), s.int(k), a, s.int(lda), tau, work, lwork],
    );
  }

  /**
   * Singular values (s: real, min(m, n), descending) and vectors of an m × n matrix, which is destroyed. info > 0: no convergence.
   *
   * @param job "A" all of U (m × m) and Vᴴ (n × n), "S" the first min(m, n), "N" none.
   */
  gesdd(
    type: LapackType,
    job: "A" | "S" | "N",
    m: number,
    n: number,
    a: Address,
    lda: number,
    sigma: Address,
    u: Address,
    ldu: number,
    vt: Address,
    ldvt: number,
  ): number {
    const small = Math.min(m, n), large = Math.max(m, n);
    const iwork = this.#alloc(4 * 8 * small);
    const reals = job === "N" ? 7 * small : small * Math.max(5 * small + 7, 2 * large + 2 * small + 1);
    const rwork = isComplex(type) ? [this.#alloc(realBytes(type) * reals)] : [];
    return this.#withWork(
      `${type}gesdd`,
      type,
      (s, work, lwork) => {
        const head = [s.char(job), s.int(m), s.int(n), a, s.int(lda), sigma, u, s.int(ldu), vt, s.int(ldvt)];
        return [...head, work, lwork, ...rwork, iwork];
      },
      1,
    );
  }

  /** Eigenvalues (w: real, n, ascending) of a Hermitian matrix, and with job "V" its eigenvectors in place of it (syevd, heevd). */
  syevd(type: LapackType, job: "V" | "N", uplo: "U" | "L", n: number, a: Address, lda: number, w: Address): number {
    const complex = isComplex(type);
    const name = complex ? `${type}heevd` : `${type}syevd`;
    const query = this.#alloc(16), real = this.#alloc(16), int = this.#alloc(16);
    const [queryView, realView, intView] = this.#kept as [ArrayBufferView, ArrayBufferView, ArrayBufferView];
    const args = (
      s: Scratch,
      work: Address,
      lwork: number,
      rwork: Address,
      lrwork: number,
      iwork: Address,
      liwork: number,
    ) => {
      const head = [s.char(job), s.char(uplo), s.int(n), a, s.int(lda), w, work, s.int(lwork)];
      return [...head, ...(complex ? [rwork, s.int(lrwork)] : []), iwork, s.int(liwork)];
    };
    const asked = this.#run(name, args(this.#scratch.reset(), query, -1, real, -1, int, -1), 2, true);
    if (asked !== 0) return asked;
    const lwork = firstReal(queryView, type), lrwork = complex ? firstReal(realView, type) : 0;
    const liwork = new DataView(intView.buffer).getInt32(0, true);
    const work = this.#alloc(elementBytes(type) * lwork);
    const rwork = complex ? this.#alloc(realBytes(type) * lrwork) : NULL;
    const iwork = this.#alloc(4 * liwork);
    return this.#run(name, args(this.#scratch.reset(), work, lwork, rwork, lrwork, iwork, liwork), 2);
  }

  /**
   * Eigenvalues and, where vl or vr is given, left and right eigenvectors (n × n) of a general matrix, which is destroyed.
   * Real types put the parts of the eigenvalues into wr and wi, complex types the eigenvalues into wr (wi is unused). info > 0: no convergence.
   */
  geev(
    type: LapackType,
    n: number,
    a: Address,
    lda: number,
    wr: Address,
    wi: Address | undefined,
    vl: Address | undefined,
    vr: Address | undefined,
  ): number {
    const complex = isComplex(type);
    if (!complex && wi === undefined) throw new TypeError(`${type}geev: got no wi, expected an address`);
    const rwork = complex ? [this.#alloc(realBytes(type) * 2 * n)] : [];
    const values = complex ? [wr] : [wr, wi as Address];
    return this.#withWork(
      `${type}geev`,
      type,
      (s, work, lwork) => {
        const jobs = [s.char(vl === undefined ? "N" : "V"), s.char(vr === undefined ? "N" : "V")];
        const ld = s.int(Math.max(1, n));
        return [...jobs, s.int(n), a, s.int(lda), ...values, vl ?? NULL, ld, vr ?? NULL, ld, work, lwork, ...rwork];
      },
      2,
    );
  }

  /** Closes the library. */
  [Symbol.dispose](): void {
    this.#calls.clear();
    for (const library of this.#libraries.splice(0)) library.close();
  }

  // Asks the routine for its workspace (lwork -1 writes the size into work), then runs it.
  #withWork(
    name: string,
    type: LapackType,
    args: (scratch: Scratch, work: Address, lwork: Address) => readonly Address[],
    chars = 0,
  ): number {
    const query = this.#alloc(16);
    const view = this.#kept.at(-1) as ArrayBufferView;
    const ask = this.#scratch.reset();
    const asked = this.#run(name, args(ask, query, ask.int(-1)), chars, true);
    if (asked !== 0) return asked;
    const size = firstReal(view, type);
    const work = this.#alloc(elementBytes(type) * size);
    const scratch = this.#scratch.reset();
    return this.#run(name, args(scratch, work, scratch.int(size)), chars);
  }

  #run(name: string, args: readonly Address[], chars = 0, keep = false): number {
    const info = this.#scratch.int(0);
    try {
      // Fortran compilers pass each character argument's length at the end.
      this.#bind(name, args.length + 1, chars)(...args, info, ...Array<Address>(chars).fill(ONE));
    } finally {
      if (!keep) this.#kept = [];
    }
    const code = this.#scratch.readInt(info);
    if (code < 0) {
      this.#kept = [];
      throw new NativeError(name, code, "illegal argument", `argument ${-code} has a value that it must not have`);
    }
    return code;
  }

  #bind(name: string, addresses: number, chars: number): Call {
    const known = this.#calls.get(name);
    if (known !== undefined) return known;
    const parameters = [...Array<"address">(addresses).fill("address"), ...Array<"u64">(chars).fill("u64")];
    const symbol: SymbolSpec = { parameters, result: "void", name: `${name}_` };
    let library: Library<Record<string, SymbolSpec>>;
    try {
      library = openFile(this.#path, { [name]: symbol });
    } catch (error) {
      if (!(error instanceof LibraryError)) throw error;
      const text = `LAPACK: ${error.message} (${this.#version}); needed: an OpenBLAS built with LAPACK`;
      throw new LibraryError("LAPACK", text, [], { cause: error });
    }
    this.#libraries.push(library);
    const call = library.symbols[name] as unknown as Call;
    this.#calls.set(name, call);
    return call;
  }

  #alloc(bytes: number): Address {
    const view = new Uint8Array(new ArrayBuffer(Math.max(16, bytes)));
    this.#kept.push(view);
    return native(addressOf(view));
  }
}

function isComplex(type: LapackType): boolean {
  return type === "c" || type === "z";
}

function realBytes(type: LapackType): number {
  return type === "s" || type === "c" ? 4 : 8;
}

function elementBytes(type: LapackType): number {
  return isComplex(type) ? 2 * realBytes(type) : realBytes(type);
}

// A size that float32 cannot hold exactly comes rounded, perhaps down.
function firstReal(view: ArrayBufferView, type: LapackType): number {
  const data = new DataView(view.buffer, view.byteOffset);
  const size = realBytes(type) === 8 ? data.getFloat64(0, true) : data.getFloat32(0, true);
  return Math.max(1, size > 2 ** 24 ? Math.ceil(size * (1 + 2 ** -23)) : size);
}
