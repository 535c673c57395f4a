/**
 * The CPU's libraries, opened the first time something needs them; why one is missing is kept for `build_info`.
 * @module
 */
import { LibraryError, NativeError } from "../../ffi/errors.ts";
import { OneDNN } from "../../ffi/onednn.ts";
import { OpenBLAS } from "../../ffi/openblas.ts";
import { debug } from "../base/debug.ts";
import { cpuConfig } from "./config.ts";
import { inWorker, onThreadCount } from "./threads.ts";

/** A library that may be there. */
class Lazy<T> {
  readonly #open: () => T;
  readonly #enabled: () => boolean;
  #value: T | undefined;
  #missing: string | undefined;

  constructor(open: () => T, enabled: () => boolean) {
    this.#open = open;
    this.#enabled = enabled;
  }

  /** The library, or null where it is switched off or cannot be opened. */
  get(): T | null {
    if (!this.#enabled() || this.#missing !== undefined) return null;
    if (this.#value !== undefined) return this.#value;
    try {
      return this.#value = this.#open();
    } catch (error) {
      if (!(error instanceof LibraryError || error instanceof NativeError)) throw error;
      this.#missing = error.message;
      debug("engines", error.message);
      return null;
    }
  }

  /** Whether it is open by now. */
  get opened(): boolean {
    return this.#value !== undefined;
  }

  /** Why `get` gives null. */
  get missing(): string | undefined {
    return this.#enabled() ? this.#missing : "switched off by configuration";
  }
}

/** oneDNN. */
export const onednn: Lazy<OneDNN> = new Lazy(() => new OneDNN(), () => cpuConfig().onednn);

/** OpenBLAS. */
export const openblas: Lazy<OpenBLAS> = new Lazy(() => {
  const library = new OpenBLAS();
  if (!callsAlone(library)) onThreadCount((count) => library.setThreads(count));
  return library;
}, () => cpuConfig().openblas);

/** Whether OpenBLAS must be called with one thread: a build for OpenMP, in a worker. */
export function callsAlone(library: OpenBLAS): boolean {
  return library.openmp && inWorker();
}

export type { Lazy };
