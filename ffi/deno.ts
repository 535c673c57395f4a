import { LibraryError, MissingSymbolError } from "./errors.ts";
import type {
  Adapter,
  Address,
  Availability,
  FileInfo,
  Files,
  Loaded,
  NativeType,
  PermissionKind,
  Symbols,
} from "./types.ts";

type Function = (...args: never[]) => unknown;
type PointerObject = object | null;

interface DenoInfo {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly isSymlink: boolean;
  readonly mode: number | null;
  readonly uid: number | null;
  readonly size: number;
  readonly mtime: Date | null;
}

interface DenoNamespace {
  readFileSync(path: string): Uint8Array;
  openSync(path: string): { readSync(to: Uint8Array): number | null; close(): void };
  statSync(path: string): DenoInfo;
  lstatSync(path: string): DenoInfo;
  realPathSync(path: string): string;
  writeTextFileSync(path: string, text: string, options: { createNew: boolean; mode: number }): void;
  renameSync(from: string, to: string): void;
  removeSync(path: string): void;
  readonly errors: { readonly NotFound: new () => Error };
  readonly version: { readonly deno: string };
  readonly build: { readonly os: string; readonly arch: string };
  readonly env: { get(name: string): string | undefined };
  readonly permissions: { querySync(descriptor: Readonly<Record<string, string>>): { readonly state: string } };
  readonly UnsafePointer: {
    create(address: bigint): PointerObject;
    of(view: ArrayBufferView): PointerObject;
    value(pointer: PointerObject): bigint;
  };
  readonly UnsafePointerView: { getArrayBuffer(pointer: PointerObject, byteLength: number): ArrayBuffer };
  dlopen(
    path: string,
    symbols: Readonly<Record<string, object>>,
  ): { readonly symbols: Record<string, Function | null>; close(): void };
}

// An address as u64 takes a bigint through V8's fast calls; pointer objects and plain numbers do not.
const TYPES = {
  void: "void",
  i8: "i8",
  u8: "u8",
  i16: "i16",
  u16: "u16",
  i32: "i32",
  u32: "u32",
  i64: "i64",
  u64: "u64",
  f32: "f32",
  f64: "f64",
  address: "u64",
  buffer: "buffer",
} as const satisfies Record<NativeType, string>;

const TARGETS = {
  ffi: "path",
  run: "command",
  read: "path",
  write: "path",
  env: "variable",
  sys: "kind",
} as const satisfies Record<PermissionKind, string>;

const LIBC = { linux: ["libc.so.6", "libc.so"], darwin: ["libSystem.B.dylib"], win32: ["ucrtbase.dll", "msvcrt.dll"] };

/** Where Node has other names than Deno. */
const NAMES: Readonly<Record<string, string>> = { windows: "win32", x86_64: "x64", aarch64: "arm64" };

/** The C library with one function, by itself; null where there is none of the names that are known. */
function libcFunction(deno: DenoNamespace, name: string, signature: object): Function | null {
  for (const path of LIBC[(NAMES[deno.build.os] ?? deno.build.os) as keyof typeof LIBC] ?? []) {
    try {
      return deno.dlopen(path, { [name]: signature }).symbols[name]!;
    } catch {
      continue;
    }
  }
  return null;
}

type Receive = (descriptor: number, into: Uint8Array, size: bigint) => Promise<bigint>;

class DenoFiles implements Files {
  readonly #deno: DenoNamespace;
  #receive: Receive | null | undefined;

  constructor(deno: DenoNamespace) {
    this.#deno = deno;
  }

  read(path: string): Uint8Array {
    return this.#deno.readFileSync(path);
  }

  head(path: string, bytes: number): Uint8Array {
    const file = this.#deno.openSync(path), head = new Uint8Array(bytes);
    try {
      return head.subarray(0, file.readSync(head) ?? 0);
    } finally {
      file.close();
    }
  }

  info(path: string, followLinks: boolean): FileInfo | null {
    return this.#unlessMissing(() => {
      const stat = followLinks ? this.#deno.statSync(path) : this.#deno.lstatSync(path);
      return {
        kind: stat.isFile ? "file" : stat.isDirectory ? "folder" : stat.isSymlink ? "link" : "other",
        mode: (stat.mode ?? 0) & 0o777,
        user: stat.uid ?? 0,
        size: stat.size,
        modified: stat.mtime?.getTime() ?? 0,
      };
    });
  }

  real(path: string): string {
    return this.#deno.realPathSync(path);
  }

  create(path: string, text: string): void {
    this.#deno.writeTextFileSync(path, text, { createNew: true, mode: 0o600 });
  }

  rename(from: string, to: string): void {
    this.#deno.renameSync(from, to);
  }

  remove(path: string): void {
    this.#unlessMissing(() => this.#deno.removeSync(path));
  }

  async receive(descriptor: number, into: Uint8Array): Promise<number> {
    this.#receive ??= libcFunction(this.#deno, "read", {
      parameters: ["i32", "buffer", "u64"],
      result: "i64",
      nonblocking: true,
    }) as unknown as Receive | null;
    const count = Number(await this.#receive?.(descriptor, into, BigInt(into.length)) ?? -1);
    if (count < 0) throw new Error(`receive: descriptor ${descriptor} cannot be read`);
    return count;
  }

  #unlessMissing<T>(act: () => T): T | null {
    try {
      return act();
    } catch (error) {
      if (error instanceof this.#deno.errors.NotFound) return null;
      throw error;
    }
  }
}

class DenoAdapter implements Adapter {
  readonly name = "deno";
  readonly offThread = true;
  readonly version: string;
  readonly platform: string;
  readonly architecture: string;
  readonly files: Files;
  readonly #deno: DenoNamespace;
  #identity: ((view: ArrayBufferView, from: bigint, size: bigint) => bigint) | undefined;

  constructor(deno: DenoNamespace) {
    this.#deno = deno;
    this.version = deno.version.deno;
    const { os, arch } = deno.build;
    this.platform = NAMES[os] ?? os;
    this.files = new DenoFiles(deno);
    this.architecture = NAMES[arch] ?? arch;
  }

  allocate(byteLength: number): ArrayBuffer {
    return new ArrayBuffer(byteLength);
  }

  available(): Availability {
    if (this.permission("ffi")) return { ok: true };
    return { ok: false, reason: "Deno runs without the permission to call native code: run with --allow-ffi" };
  }

  permission(kind: PermissionKind, target?: string): boolean {
    const descriptor = target === undefined ? { name: kind } : { name: kind, [TARGETS[kind]]: target };
    return this.#deno.permissions.querySync(descriptor).state === "granted";
  }

  env(name: string): string | undefined {
    return this.permission("env", name) ? this.#deno.env.get(name) : undefined;
  }

  load(path: string, symbols: Symbols): Loaded {
    const table: Record<string, object> = {};
    for (const [key, spec] of Object.entries(symbols)) {
      table[key] = {
        name: spec.name ?? key,
        parameters: spec.parameters.map((type) => TYPES[type]),
        result: TYPES[spec.result],
        nonblocking: spec.nonblocking ?? false,
        optional: true,
      };
    }
    const library = this.#deno.dlopen(path, table);
    const functions: Record<string, Function | undefined> = {};
    for (const [key, spec] of Object.entries(symbols)) {
      const fn = library.symbols[key] ?? undefined;
      if (fn === undefined && spec.optional !== true) {
        library.close();
        throw new MissingSymbolError(path, spec.name ?? key);
      }
      functions[key] = fn;
    }
    return { functions, close: () => library.close() };
  }

  native(address: number): Address {
    return BigInt(address);
  }

  addressOf(view: ArrayBufferView): number {
    if (this.#identity === undefined) {
      this.#require("addressOf");
      this.#identity = this.#openIdentity();
    }
    return Number(this.#identity(view, 0n, 0n));
  }

  viewOf(address: number, byteLength: number): ArrayBuffer {
    if (this.#identity === undefined) this.#require("viewOf");
    return this.#deno.UnsafePointerView.getArrayBuffer(this.#deno.UnsafePointer.create(BigInt(address)), byteLength);
  }

  // Asked before anything that would prompt.
  #require(name: string): void {
    const state = this.available();
    if (!state.ok) throw new LibraryError(name, `${name}: ${state.reason}`);
  }

  // memcpy of no bytes returns its destination: the address of a view at a twentieth of UnsafePointer.of's cost.
  #openIdentity(): (view: ArrayBufferView, from: bigint, size: bigint) => bigint {
    const memcpy = libcFunction(this.#deno, "memcpy", { parameters: ["buffer", "u64", "u64"], result: "u64" });
    if (memcpy !== null) return memcpy as unknown as (view: ArrayBufferView, from: bigint, size: bigint) => bigint;
    const { UnsafePointer } = this.#deno;
    return (view) => UnsafePointer.value(UnsafePointer.of(view));
  }
}

/** The adapter of Deno (`Deno.dlopen`), or undefined in other runtimes. */
export function deno(): Adapter | undefined {
  const namespace = (globalThis as unknown as { readonly Deno?: DenoNamespace }).Deno;
  return namespace?.version?.deno === undefined ? undefined : new DenoAdapter(namespace);
}
