/**
 * Neutral descriptions of native functions: one table serves Deno, Bun and Node.
 *
 * `address` is a native address or handle, `buffer` is JS memory lent for the call (a view, or null for NULL).
 */
export type NativeType =
  | "void"
  | "i8"
  | "u8"
  | "i16"
  | "u16"
  | "i32"
  | "u32"
  | "i64"
  | "u64"
  | "f32"
  | "f64"
  | "address"
  | "buffer";

/** A native address, handle or 64-bit integer in the runtime's fast form: bigint in Deno, number in Bun and Node. */
export type Address = number | bigint;

/** The signature of one native function. */
export interface SymbolSpec {
  readonly parameters: readonly Exclude<NativeType, "void">[];
  readonly result: Exclude<NativeType, "buffer">;
  /** A missing optional symbol is `undefined` instead of an error. */
  readonly optional?: boolean;
  /**
   * Calls return a promise. Deno and Node run them off the main thread; Bun has no such calls: it runs them at once, on the calling
   * thread, and gives a settled promise (`runtime.offThread` tells). Memory passed in must stay referenced until it settles.
   */
  readonly nonblocking?: boolean;
  /** The exported name, where it differs from the table's key. */
  readonly name?: string;
}

/** A table of native functions by name. */
export type Symbols = Readonly<Record<string, SymbolSpec>>;

/** What a parameter of a native type accepts. */
export type NativeArgument<T extends NativeType> = T extends "buffer" ? ArrayBufferView | null
  : T extends "address" | "i64" | "u64" ? Address
  : T extends "void" ? never
  : number;

/** What a native type comes back as; use `toNumber` on addresses and 64-bit integers. */
export type NativeResult<T extends NativeType> = T extends "void" ? void
  : T extends "address" | "i64" | "u64" ? Address
  : number;

type Arguments<P extends readonly NativeType[]> = { -readonly [K in keyof P]: NativeArgument<P[K]> };

/** The function type of a symbol. */
export type NativeFunction<S extends SymbolSpec> = (
  ...args: Arguments<S["parameters"]>
) => S extends { readonly nonblocking: true } ? Promise<NativeResult<S["result"]>> : NativeResult<S["result"]>;

/** The functions of a table; optional symbols may be undefined. */
export type NativeFunctions<S extends Symbols> = {
  readonly [K in keyof S]: S[K] extends { readonly optional: true } ? NativeFunction<S[K]> | undefined
    : NativeFunction<S[K]>;
};

/** File names of a library by operating system, best first. */
export interface LibraryNames {
  readonly linux: readonly string[];
  readonly darwin: readonly string[];
  readonly win32: readonly string[];
}

/** Which library to open, where to look for it, and what it must export. */
export interface LibrarySpec<S extends Symbols = Symbols> {
  /** The library's name in messages, e.g. "oneDNN". */
  readonly name: string;
  /** The environment variable that overrides the search: a file, a folder, or "none"/"off" to hide the library. */
  readonly env: string;
  readonly names: LibraryNames;
  /** More folders to search, before the usual ones. */
  readonly folders?: readonly string[];
  readonly symbols: S;
  /** How to get it, e.g. "apt install libdnnl2". */
  readonly install: string;
  /** What a file that lacks a symbol should be replaced by, e.g. "oneDNN 2.5 or newer". */
  readonly needs?: string;
  /** Tells the version of the file at `path` for messages about missing symbols. */
  readonly version?: (path: string) => string | undefined;
}

/** An open library. Functions taken from it must not be called after `close`. */
export interface Library<S extends Symbols = Symbols> extends Disposable {
  /** What the loader was given: a path, or a bare name that the loader resolved. */
  readonly path: string;
  /** The bound functions; throws once the library is closed. */
  readonly symbols: NativeFunctions<S>;
  close(): void;
}

/** Whether native calls are possible here, and if not, why and what to do. */
export type Availability = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What a permission can be asked for. */
export type PermissionKind = "ffi" | "run" | "read" | "write" | "env" | "sys";

/** What an adapter returns for a loaded file. */
export interface Loaded {
  readonly functions: Readonly<Record<string, ((...args: never[]) => unknown) | undefined>>;
  close(): void;
}

/** What is known of a file. */
export interface FileInfo {
  readonly kind: "file" | "folder" | "link" | "other";
  /** The permissions of POSIX; 0 on Windows. */
  readonly mode: number;
  readonly user: number;
  readonly size: number;
  /** When it was changed, in whole milliseconds. */
  readonly modified: number;
}

/** Files as a program needs them when it starts; Deno's own functions take no 20 ms to load, as `node:fs` does there. */
export interface Files {
  /** @throws the system's error */
  read(path: string): Uint8Array;
  /** At most so many bytes from its start. @throws the system's error */
  head(path: string, bytes: number): Uint8Array;
  /** What lies at a path, or null. */
  info(path: string, followLinks: boolean): FileInfo | null;
  /** The path without links. @throws the system's error */
  real(path: string): string;
  /** Makes a file that was not there, for the user alone. @throws the system's error */
  create(path: string, text: string): void;
  /** Gives a file another name, in place of what had it before. @throws the system's error */
  rename(from: string, to: string): void;
  /** Removes a file, if it is there. @throws the system's error */
  remove(path: string): void;
  /** Reads from an open descriptor of the system, waiting for bytes off the calling thread; resolves to their count. */
  receive(descriptor: number, into: Uint8Array): Promise<number>;
}

/** One runtime's way to call native code. The three adapters are the only files that name a runtime's globals. */
export interface Adapter {
  readonly name: "deno" | "bun" | "node";
  readonly version: string;
  /** The operating system and the processor as Node names them: "linux", "darwin", "win32", …; "x64", "arm64", … */
  readonly platform: string;
  readonly architecture: string;
  readonly files: Files;
  /** Whether nonblocking symbols leave the calling thread. */
  readonly offThread: boolean;
  /** Collects garbage at once; absent where the runtime does not offer that. */
  collect?(): void;
  /** Collects what was made lately, mostly in some tenths of a millisecond; absent where the runtime does so by itself, or cannot. */
  collectYoung?(): void;
  /** Only for blocks from this size on the collector should be called; absent where it should for all. */
  readonly collectFrom?: number;
  /**
   * Memory with any content, where the runtime need not clear it.
   * @throws RangeError where there is none
   */
  allocate(byteLength: number): ArrayBuffer;
  available(): Availability;
  permission(kind: PermissionKind, target?: string): boolean;
  env(name: string): string | undefined;
  /** Opens a file; throws MissingSymbolError, or the loader's error. */
  load(path: string, symbols: Symbols): Loaded;
  native(address: number): Address;
  addressOf(view: ArrayBufferView): number;
  viewOf(address: number, byteLength: number): ArrayBuffer;
}
