/**
 * The compiled kernels kept on disk, from process to process.
 *
 * The folder is the user's own (0700); one that is a link, belongs to somebody else or can be written by others is refused, because
 * what lies in it is executed. Entries are written under another name and renamed, so processes at once do not disturb each other,
 * and end in a check sum of key and content, so a damaged one, or one under the name of another, is found out and made again.
 * @module
 */
import { isAbsolute, join } from "../../ffi/paths.ts";
import { env, files, permission, platform, readText } from "../../ffi/runtime.ts";
import { system } from "../../ffi/system.ts";
import { debug, warnOnce } from "../base/debug.ts";
import { checkSum, digest } from "../base/digest.ts";

/** Bytes of the check sum behind compiled code. */
const SUM = 16;
/** Kernels, and digests of texts, kept; beyond, the older half goes. */
const MOST = 4096;
/** Milliseconds after which what a process left behind is taken for abandoned. */
const ABANDONED = 3600e3;

/** What an entry ends in: it holds for the content under this key alone. */
function sealOf(key: string, kind: Kind, body: Uint8Array): string {
  return digest(key, kind, checkSum(body)).slice(0, SUM);
}

/** A name that no other process comes by; compilers write it into their output, so its length is always the same. */
function uniqueName(): string {
  const words = [0, 0, 0].map(() => Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, "0"));
  return `tmp-${words.join("")}`;
}

/** The folder for temporary files, found without asking for permission. */
export function temporaryFolder(): string {
  return env("TMPDIR") ?? env("TEMP") ?? env("TMP") ?? (platform === "win32" ? "C:\\Windows\\Temp" : "/tmp");
}

/** Why a folder may not hold code that will be executed; null if it may. */
function refusal(folder: string): string | null {
  const info = files.info(folder, false);
  if (info?.kind === "link") return "it is a symbolic link";
  if (info?.kind !== "folder") return "it is not a folder";
  if (platform === "win32") return null;
  if (info.mode & 0o022) return `others may write to it (mode ${info.mode.toString(8)})`;
  // The owner of a file made here tells who this process is, with no permission to ask for.
  const test = join(folder, uniqueName());
  try {
    files.create(test, "");
    const { user } = files.info(test, false)!;
    return user === info.user ? null : `it belongs to user ${info.user}, not to user ${user}`;
  } catch (error) {
    return `it cannot be written (${error instanceof Error ? error.message : error})`;
  } finally {
    files.remove(test);
  }
}

/** The folder that is asked for: `TNP_CACHE_DIR`, `$XDG_CACHE_HOME/tnp`, or `~/.cache/tnp`; null where none is named. */
function wantedFolder(): string | null {
  const own = env("TNP_CACHE_DIR");
  if (own !== undefined) {
    return isAbsolute(own) ? own : permission("read") ? system.path.resolve(own) : null;
  }
  const base = env("XDG_CACHE_HOME") ?? (platform === "win32" ? env("LOCALAPPDATA") : undefined);
  if (base !== undefined && isAbsolute(base)) return join(base, "tnp");
  const home = env("HOME") ?? env("USERPROFILE");
  return home === undefined ? null : join(home, ".cache", "tnp");
}

/** What compiled code is called, and the text it came from. */
const sources = { so: "c", cubin: "cu" } as const;

/** Kinds of compiled code: a shared library, or code for a GPU. */
export type Kind = keyof typeof sources;

interface Aged {
  readonly name: string;
  readonly age: number;
}

/** The older ones of too many. */
function superfluous(entries: readonly Aged[]): readonly Aged[] {
  return entries.length <= MOST ? [] : entries.toSorted((a, b) => b.age - a.age).slice(0, entries.length - MOST / 2);
}

/** Compiled kernels by key. */
export class KernelCache {
  readonly folder: string;
  /** Whether it lasts beyond the process. */
  readonly lasting: boolean;
  #pruned = false;

  constructor(folder: string, lasting: boolean) {
    this.folder = folder;
    this.lasting = lasting;
  }

  /** Where the compiled code of a key lies, or null; damaged code is removed. */
  find(key: string, kind: Kind = "so"): string | null {
    return this.read(key, kind) === null ? null : this.path(key, kind);
  }

  /** The compiled code of a key, or null; damaged code is removed. */
  read(key: string, kind: Kind): Uint8Array | null {
    let bytes: Uint8Array;
    try {
      bytes = files.read(this.path(key, kind));
    } catch {
      return null;
    }
    const body = bytes.subarray(0, -SUM);
    if (bytes.length > SUM && String.fromCharCode(...bytes.subarray(-SUM)) === sealOf(key, kind, body)) return body;
    this.remove(key);
    return null;
  }

  /** Where a file of a key lies. */
  path(key: string, extension: string): string {
    return join(this.folder, `${key}.${extension}`);
  }

  /** A name in the folder that no other process uses. */
  temporary(extension: string): string {
    return join(this.folder, `${uniqueName()}.${extension}`);
  }

  /**
   * Takes compiled code in.
   *
   * @param file the compiler's output, in the folder; moved
   * @param source the text it came from; moved as well
   * @returns where the code lies now; the file ends in a check sum of 16 bytes
   */
  store(key: string, file: string, source: string, kind: Kind = "so"): string {
    const body = system.fs.readFileSync(file);
    system.fs.appendFileSync(file, sealOf(key, kind, body));
    system.fs.chmodSync(file, 0o700);
    const path = this.path(key, kind);
    this.#prune();
    system.fs.renameSync(source, this.path(key, sources[kind]));
    system.fs.renameSync(file, path);
    return path;
  }

  /** Once a process: removes what broken processes left behind, and the oldest kernels where there are too many. */
  #prune(): void {
    if (this.#pruned) return;
    this.#pruned = true;
    const kernels: Aged[] = [], texts: Aged[] = [];
    for (const name of system.fs.readdirSync(this.folder)) {
      const age = Date.now() -
        (system.fs.lstatSync(join(this.folder, name), { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (name.startsWith("tmp-") && age > ABANDONED) {
        system.fs.rmSync(join(this.folder, name), { force: true });
      } else if (/\.(?:so|cubin)$/.test(name) && !name.startsWith("tmp-")) {
        kernels.push({ name: name.slice(0, name.lastIndexOf(".")), age });
      } else if (name.startsWith("text-")) {
        texts.push({ name, age });
      }
    }
    for (const { name } of superfluous(kernels)) this.remove(name);
    for (const { name } of superfluous(texts)) system.fs.rmSync(join(this.folder, name), { force: true });
  }

  /** Keeps a small text; failing to is no error. */
  remember(name: string, text: string): void {
    try {
      this.#write(this.path(name, "txt"), `${digest(name, text)}\n${text}`);
    } catch {
      // The folder takes no more.
    }
  }

  #write(path: string, text: string): void {
    const file = this.temporary("txt");
    try {
      files.create(file, text);
      files.rename(file, path);
    } catch (error) {
      files.remove(file);
      throw error;
    }
  }

  /** A text kept by `remember`, or null. */
  recall(name: string): string | null {
    try {
      const [sum, ...rest] = readText(this.path(name, "txt")).split("\n");
      const text = rest.join("\n");
      return sum === digest(name, text) ? text : null;
    } catch {
      return null;
    }
  }

  /** Forgets a key. */
  remove(key: string): void {
    for (const extension of Object.entries(sources).flat()) {
      try {
        system.fs.unlinkSync(this.path(key, extension));
      } catch {
        // Another process was faster, or there is none.
      }
    }
  }
}

/** Removes the private folders of processes that were killed: Linux tells whether a process is there. */
function removeAbandoned(base: string, own: string): void {
  if (platform !== "linux" || !permission("read", "/proc")) return;
  const { uid } = system.fs.lstatSync(own);
  for (const name of system.fs.readdirSync(base)) {
    const pid = /^tnp-(\d+)-\w+$/.exec(name)?.[1], folder = join(base, name);
    if (pid === undefined || system.fs.existsSync(`/proc/${pid}`)) continue;
    const stat = system.fs.lstatSync(folder, { throwIfNoEntry: false });
    // Processes of another container may share the folder.
    if (stat?.isDirectory() && stat.uid === uid && Date.now() - stat.mtimeMs > ABANDONED) {
      system.fs.rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** A folder of this process alone, removed at its end. */
function privateFolder(): KernelCache | null {
  const base = temporaryFolder();
  if (!permission("write", base) || !permission("read", base)) return null;
  try {
    const folder = system.fs.mkdtempSync(join(system.fs.realpathSync(base), `tnp-${system.process.pid}-`));
    system.fs.chmodSync(folder, 0o700);
    removeAbandoned(system.path.dirname(folder), folder);
    system.process.on("exit", () => system.fs.rmSync(folder, { recursive: true, force: true }));
    return new KernelCache(folder, false);
  } catch {
    return null;
  }
}

let opened:
  | { readonly wanted: string | null; readonly lasting: KernelCache | null; own?: KernelCache | null }
  | undefined;

function openedCache(): NonNullable<typeof opened> {
  const wanted = wantedFolder();
  if (opened === undefined || opened.wanted !== wanted) opened = { wanted, lasting: openCache(wanted) };
  return opened;
}

/** The user's folder; null where that is refused (with one warning) or cannot be written. */
export function lastingCache(): KernelCache | null {
  return openedCache().lasting;
}

/** The cache of this process: the user's folder, or a private one for this process; null where nothing can be written at all. */
export function kernelCache(): KernelCache | null {
  const cache = openedCache();
  return cache.lasting ?? (cache.own === undefined ? cache.own = privateFolder() : cache.own);
}

/** Makes a folder and those above it, for the user alone. Node's own recursive form never ends where the file system refuses with ENOENT. */
function makeFolder(folder: string): void {
  if (files.info(folder, true) !== null) return;
  const parent = system.path.dirname(folder);
  if (parent !== folder && permission("read", parent) && permission("write", parent)) makeFolder(parent);
  try {
    system.fs.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process was faster.
    if (!system.fs.existsSync(folder)) throw error;
  }
}

function openCache(folder: string | null): KernelCache | null {
  if (folder === null || !permission("read", folder) || !permission("write", folder)) return null;
  try {
    makeFolder(folder);
    const reason = refusal(folder);
    if (reason !== null) {
      warnOnce(`the kernel cache ${folder} is not used: ${reason}; set TNP_CACHE_DIR to a folder of your own`);
      return null;
    }
    return new KernelCache(folder, true);
  } catch (error) {
    debug("engines", `the kernel cache ${folder} cannot be made: ${error instanceof Error ? error.message : error}`);
    return null;
  }
}
