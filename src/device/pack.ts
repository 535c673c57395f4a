/**
 * Kernels that were compiled before, shipped with the package: one shared library for each instruction set, made by `make kernels`.
 *
 * A kernel is found by the digest of its C text, so a pack of another version serves what is still the same, and nothing else.
 * @module
 */
import { LibraryError } from "../../ffi/errors.ts";
import { available, openFile } from "../../ffi/open.ts";
import { fromFileUrl, isAbsolute, join } from "../../ffi/paths.ts";
import { architecture, avx512, env, files, permission, platform, processorFlags, readText } from "../../ffi/runtime.ts";
import { system } from "../../ffi/system.ts";
import type { Address, Library } from "../../ffi/types.ts";
import { debug, warnOnce } from "../base/debug.ts";
import { checkSum } from "../base/digest.ts";

/** A compiled kernel: takes the address of its argument block. */
export type NativeFunction = (block: Address) => void;

/** A kernel of a pack. */
export interface PackedKernel {
  readonly run: NativeFunction;
  /** The library, and the function's name there. */
  readonly path: string;
  readonly symbol: string;
}

/** What lies beside a library of kernels. */
export interface PackIndex {
  readonly format: 2;
  /** Check sum of the library. */
  readonly sum: string;
  /** Digests of the sources of its kernels. */
  readonly kernels: readonly string[];
}

/** The instruction sets that packs are made for, best first, with the names that Linux gives to what they need. */
const levels = {
  x64: [
    ["x86-64-v4", avx512],
    ["x86-64-v3", ["avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"]],
  ],
  arm64: [["armv8-a", []]],
} as const;

/** The instruction sets of a processor, as `-march` names them, best first. */
export function packLevels(): string[] {
  const known = levels[architecture as keyof typeof levels] ?? [];
  const needed = (features: readonly string[]) => features.length > 0;
  if (!known.some(([, features]) => needed(features))) return known.map(([level]) => level);
  const flags = processorFlags();
  // Those of a better set include those of a lesser one.
  const fits = (at: number) => known.slice(at).every(([, features]) => features.every((name) => flags.has(name)));
  return known.flatMap(([level], at) => (fits(at) ? [level] : []));
}

/** The name of a pack's files, without `.so` or `.json`; without OpenMP it runs in one thread and needs no library. */
export function packName(level: string, openmp: boolean): string {
  return `${platform}-${level}${openmp ? "" : "-serial"}`;
}

/** The function of a kernel in a pack. */
export function packSymbol(key: string): string {
  return `tnp_${key.slice(0, 32)}`;
}

/** The folder with packs: `TNP_KERNELS`, or `kernels/pack` of the package; null where there is none. */
export function packFolder(): string | null {
  const own = env("TNP_KERNELS");
  if (own === "none") return null;
  if (own !== undefined) return isAbsolute(own) ? own : permission("read") ? system.path.resolve(own) : null;
  // The package's JavaScript is one file, dist/mod.js.
  const url = new URL(
    import.meta.url.endsWith("/dist/mod.js") ? "../kernels/pack" : "../../kernels/pack",
    import.meta.url,
  );
  return url.protocol === "file:" ? fromFileUrl(url.href) : null;
}

type PackSymbols = Readonly<Record<string, { readonly parameters: readonly ["address"]; readonly result: "void" }>>;

/** An opened pack. */
class Pack {
  readonly #path: string;
  readonly #kernels: ReadonlySet<string>;
  /** Stay loaded: their functions are called until the process ends. */
  readonly #loaded: Library<PackSymbols>[] = [];

  constructor(path: string, kernels: readonly string[]) {
    this.#path = path;
    this.#kernels = new Set(kernels);
  }

  kernel(key: string): PackedKernel | null {
    if (!this.#kernels.has(key)) return null;
    const name = packSymbol(key);
    const symbols: PackSymbols = { [name]: { parameters: ["address"], result: "void" } };
    const library = openFile(this.#path, symbols);
    this.#loaded.push(library);
    debug("engines", () => `${name} of ${this.#path}`);
    return { run: library.symbols[name]!, path: this.#path, symbol: name };
  }
}

function openPack(folder: string): Pack | null {
  if (!available().ok || !permission("read", folder)) return null;
  for (const level of packLevels()) {
    for (const openmp of [true, false]) {
      const path = join(folder, packName(level, openmp));
      let index: PackIndex, library: Uint8Array;
      try {
        index = JSON.parse(readText(`${path}.json`)) as PackIndex;
        library = files.read(`${path}.so`);
      } catch (error) {
        debug("engines", () => `no pack of kernels: ${error instanceof Error ? error.message : error}`);
        continue;
      }
      if (index.format !== 2 || checkSum(library) !== index.sum) {
        warnOnce(`the kernels in ${path}.so are not used: they do not match ${path}.json; make kernels makes both`);
        continue;
      }
      try {
        const pack = new Pack(`${path}.so`, index.kernels);
        // Fails where OpenMP's library is missing.
        if (index.kernels.length > 0) pack.kernel(index.kernels[0]!);
        debug("engines", () => `${index.kernels.length} kernels in ${path}.so`);
        return pack;
      } catch (error) {
        if (!(error instanceof LibraryError)) throw error;
        debug("engines", () => `the kernels in ${path}.so cannot be loaded: ${error.message}`);
      }
    }
  }
  return null;
}

let opened: { readonly folder: string | null; readonly pack: Pack | null } | undefined;

function pack(): Pack | null {
  const folder = packFolder();
  if (opened === undefined || opened.folder !== folder) {
    opened = { folder, pack: folder === null ? null : openPack(folder) };
  }
  return opened.pack;
}

/** Whether there is a pack. */
export function hasPack(): boolean {
  return pack() !== null;
}

/** The compiled code of a source's digest in the pack; null where it is not there. */
export function packedKernel(key: string): PackedKernel | null {
  return pack()?.kernel(key) ?? null;
}
