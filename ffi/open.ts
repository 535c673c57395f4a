import { load, loadFile } from "./load.ts";
import { pinOpenMP } from "./openmp.ts";
import { runtime } from "./runtime.ts";
import type { Availability, Library, LibrarySpec, Symbols } from "./types.ts";

/**
 * Tells whether native code can be called here, without prompting; if not, the reason says what to do.
 */
export function available(): Availability {
  return runtime.available();
}

/**
 * Opens a library: from its environment variable, else by the loader's names, else from the folders of pip, conda and source builds.
 *
 * @param spec The library's names and symbols.
 * @returns The open library; close it with `close` or `using`.
 * @throws LibraryError listing every path tried, the loader's message for each, and the variable to set.
 */
export function open<S extends Symbols>(spec: LibrarySpec<S>): Library<S> {
  if (runtime.available().ok) pinOpenMP();
  return load(spec);
}

/**
 * Opens one file, such as a compiled kernel.
 *
 * @param path An absolute path.
 * @param symbols What it must export.
 * @throws LibraryError with the loader's message; MissingSymbolError when a symbol is not there.
 */
export function openFile<S extends Symbols>(path: string, symbols: S): Library<S> {
  if (runtime.available().ok) pinOpenMP();
  return loadFile(path, symbols);
}
