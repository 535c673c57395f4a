import { NativeError } from "./errors.ts";
import { load } from "./load.ts";
import { cstring, native, readCString, toNumber } from "./mem.ts";
import { env, platform } from "./runtime.ts";
import type { Library, LibrarySpec, Symbols } from "./types.ts";

const symbols = {
  memcpy: { parameters: ["address", "address", "u64"], result: "address" },
  memset: { parameters: ["address", "i32", "u64"], result: "address" },
  getpid: { parameters: [], result: "i32", optional: true },
  getuid: { parameters: [], result: "u32", optional: true },
  dlopen: { parameters: ["buffer", "i32"], result: "address", optional: true },
  dlsym: { parameters: ["address", "buffer"], result: "address", optional: true },
  dlerror: { parameters: [], result: "address", optional: true },
  setenv: { parameters: ["buffer", "buffer", "i32"], result: "i32", optional: true },
  madvise: { parameters: ["address", "u64", "i32"], result: "i32", optional: true },
  sbrk: { parameters: ["i64"], result: "address", optional: true },
  mallopt: { parameters: ["i32", "i32"], result: "i32", optional: true },
} as const satisfies Symbols;

/** The C library's functions that the project uses. */
export type LibC = Library<typeof symbols>;

/** How the C library is found. */
export const spec: LibrarySpec<typeof symbols> = {
  name: "libc",
  env: "TNP_LIBC",
  names: {
    linux: ["libc.so.6", "libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"],
    darwin: ["libSystem.B.dylib"],
    win32: ["ucrtbase.dll", "msvcrt.dll"],
  },
  symbols,
  install: "it is part of the operating system",
};

let library: LibC | undefined;

/** The C library, opened once. */
export function libc(): LibC {
  library ??= load(spec);
  return library;
}

/**
 * Sets an environment variable that native libraries read when they are opened, unless the user did; nothing where the C library cannot.
 */
export function setDefault(variable: string, value: string): void {
  if (env(variable) === undefined) libc().symbols.setenv?.(cstring(variable), cstring(value), 1);
}

/** dlopen's flags on Linux. */
export const RTLD = { LAZY: 1, NOW: 2, GLOBAL: 0x100, NODELETE: 0x1000 } as const;

/**
 * Opens a library by the loader itself, with flags that the runtimes do not offer.
 *
 * @param path The library's name or path.
 * @param flags Of `RTLD`; Linux only.
 * @returns The handle.
 * @throws NativeError with the loader's message.
 */
export function dlopen(path: string, flags: number): number {
  const { dlopen, dlerror } = libc().symbols;
  if (dlopen === undefined || dlerror === undefined) throw new NativeError("dlopen", -1, `absent on ${platform}`);
  const handle = toNumber(dlopen(cstring(path), flags));
  if (handle === 0) throw new NativeError("dlopen", -1, "failed", readCString(dlerror()));
  return handle;
}

/**
 * The address of a symbol of an open library, in plain numbers.
 *
 * @param handle What `dlopen` gave.
 * @throws NativeError where the library has no such symbol.
 */
export function dlsym(handle: number, name: string): number {
  const { dlsym, dlerror } = libc().symbols;
  if (dlsym === undefined || dlerror === undefined) throw new NativeError("dlsym", -1, `absent on ${platform}`);
  const address = toNumber(dlsym(native(handle), cstring(name)));
  if (address === 0) throw new NativeError("dlsym", -1, "failed", readCString(dlerror()));
  return address;
}

const MADV_HUGEPAGE = 14, PAGE = 4096;
const M_TRIM_THRESHOLD = -1, M_TOP_PAD = -2, M_MMAP_THRESHOLD = -3;

/** Blocks below this size come out of one piece of memory, the heap; it is the most that glibc allows. */
const IN_HEAP = 32 << 20;
/** Free bytes at the end of the heap that glibc keeps. */
const KEPT = 256 << 20;

/** Where the heap ended when huge pages were asked for, all the way to its end; 0 where large blocks do not come out of it. */
let heapEnd = 0;

/**
 * Makes glibc keep large blocks that are freed: left to itself it gives them back to the system when there are two of them, so
 * that the collector's work is undone and their next use faults again. Nothing where the C library is another one.
 */
export function keepFreed(): void {
  const { mallopt, sbrk } = libc().symbols;
  if (mallopt === undefined || sbrk === undefined) return;
  mallopt(M_MMAP_THRESHOLD, IN_HEAP);
  mallopt(M_TRIM_THRESHOLD, KEPT);
  mallopt(M_TOP_PAD, IN_HEAP);
  heapEnd = toNumber(sbrk(native(0)));
}

/**
 * Asks for huge pages where whole ones fit; a system that has none ignores it. In the heap they are asked for up to its end: the
 * allocator writes behind each block, and the page on which it did so would be a small one.
 *
 * @param address Where memory starts that nobody has written to yet.
 * @param byteLength Its size in bytes.
 */
export function adviseHugePages(address: number, byteLength: number): void {
  const { madvise, sbrk } = libc().symbols;
  const start = Math.ceil(address / PAGE) * PAGE;
  let end = Math.floor((address + byteLength) / PAGE) * PAGE;
  if (heapEnd > 0) {
    const now = toNumber(sbrk!(native(0)));
    if (address < now) {
      if (now === heapEnd) return;
      heapEnd = end = now;
    }
  }
  if (end > start) madvise?.(native(start), end - start, MADV_HUGEPAGE);
}
