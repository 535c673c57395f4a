import { type Attempt, LibraryError, MissingSymbolError } from "./errors.ts";
import { created, destroyed } from "./handles.ts";
import { isAbsolute, join } from "./paths.ts";
import { env, platform, runtime } from "./runtime.ts";
import type { Library, LibraryNames, LibrarySpec, Loaded, NativeFunctions, Symbols } from "./types.ts";

class OpenLibrary<S extends Symbols> implements Library<S> {
  readonly path: string;
  #loaded: Loaded | undefined;

  constructor(path: string, loaded: Loaded) {
    this.path = path;
    this.#loaded = loaded;
    created("library");
  }

  get symbols(): NativeFunctions<S> {
    if (this.#loaded === undefined) throw new LibraryError(this.path, `${this.path}: the library is closed`);
    return this.#loaded.functions as unknown as NativeFunctions<S>;
  }

  close(): void {
    const loaded = this.#loaded;
    if (loaded === undefined) return;
    this.#loaded = undefined;
    loaded.close();
    destroyed("library");
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Loads one file and binds its table. */
export function loadFile<S extends Symbols>(path: string, symbols: S): Library<S> {
  const state = runtime.available();
  if (!state.ok) throw new LibraryError(path, `${path}: ${state.reason}`);
  try {
    return new OpenLibrary<S>(path, runtime.load(path, symbols));
  } catch (error) {
    if (error instanceof LibraryError) throw error;
    throw new LibraryError(path, `${path}: ${messageOf(error)}`, [{ path, message: messageOf(error) }], {
      cause: error,
    });
  }
}

/** Tries the candidates of a spec in order and gives the first that loads with all its symbols. */
export function load<S extends Symbols>(spec: LibrarySpec<S>): Library<S> {
  const state = runtime.available();
  if (!state.ok) throw new LibraryError(spec.name, `${spec.name}: ${state.reason}`);
  const override = env(spec.env);
  if (override === "none" || override === "off") {
    throw new LibraryError(spec.name, `${spec.name}: hidden by ${spec.env}=${override}`);
  }
  const attempts: Attempt[] = [];
  for (const path of candidates(spec, override)) {
    try {
      return new OpenLibrary<S>(path, runtime.load(path, spec.symbols));
    } catch (error) {
      attempts.push({ path, message: describe(error, spec, path) });
    }
  }
  const tried = attempts.map(({ path, message }) => `\n  ${path}: ${message}`).join("");
  const advice = `set ${spec.env} to the library's file or folder, or install it: ${spec.install}`;
  throw new LibraryError(spec.name, `${spec.name}: cannot open the library; ${advice}; tried:${tried}`, attempts);
}

/** The paths to try for a spec: the override alone, or the loader's names and then the usual folders. */
export function candidates(spec: LibrarySpec, override: string | undefined = env(spec.env)): string[] {
  const names = spec.names[platform as keyof LibraryNames] ?? spec.names.linux;
  if (override !== undefined) {
    const file = /\.(so|dylib|dll)(\.|$)/i.test(override);
    return file ? [override] : names.map((name) => join(override, name));
  }
  const folders = [...spec.folders ?? [], ...usualFolders()];
  return [...new Set([...names, ...folders.flatMap((folder) => names.map((name) => join(folder, name)))])];
}

/** Where pip, conda, Homebrew and source builds put libraries that the loader does not look at. */
function usualFolders(): string[] {
  const folders: string[] = [];
  const add = (root: string | undefined, ...parts: string[]) => {
    if (root !== undefined && isAbsolute(root)) folders.push(join(root, ...parts));
  };
  const home = env("HOME");
  if (platform === "win32") {
    add(env("CONDA_PREFIX"), "Library", "bin");
    add(env("VIRTUAL_ENV"), "Library", "bin");
    return folders;
  }
  add(env("CONDA_PREFIX"), "lib");
  add(env("VIRTUAL_ENV"), "lib");
  add(home, ".local", "lib");
  add("/usr/local/lib");
  if (platform === "darwin") add("/opt/homebrew/lib");
  else add("/usr/local/lib64");
  return folders;
}

function describe(error: unknown, spec: LibrarySpec, path: string): string {
  if (!(error instanceof MissingSymbolError)) return messageOf(error);
  const version = spec.version?.(path);
  return `symbol ${error.symbol} is missing${version === undefined ? "" : ` in version ${version}`}` +
    `${spec.needs === undefined ? "" : `; needed: ${spec.needs}`}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
