import { MissingSymbolError } from "./errors.ts";
import { nodeFiles } from "./node_files.ts";
import { system } from "./system.ts";
import type { Adapter, Address, Availability, Loaded, NativeType, Symbols } from "./types.ts";

type Function = (...args: never[]) => unknown;

interface BunFFI {
  dlopen(
    path: string,
    symbols: Readonly<Record<string, { args: readonly string[]; returns: string }>>,
  ): { readonly symbols: Record<string, Function>; close(): void };
  ptr(view: ArrayBufferView): number;
  /** @param release what native code is called with the address when the collector takes the buffer */
  toArrayBuffer(address: number, offset: number, byteLength: number, release?: number): ArrayBuffer;
}

/** JavaScriptCore's collector, called at once. */
interface Collector {
  edenGC(): void;
  fullGC(): void;
}

/**
 * What is reachable when what is young is collected counts as old from then on, so that each sixth time all is collected; where that
 * would take more than a third of the time, the runtime is left to itself meanwhile.
 */
const YOUNG = 6, PARTS = 2;

/** The C library's memory: Bun's own allocator gives large blocks back to the system soon, so that their next use faults again. */
interface Heap {
  malloc(byteLength: number): number | null;
  /** With its own address, for the collector. */
  readonly free: { (address: number): void; readonly ptr: number };
}

/** From this size on memory is the C library's. */
const LARGE = 256 << 10;

const PARAMETERS = {
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
  address: "ptr",
  buffer: "ptr",
} as const satisfies Record<NativeType, string>;

// The "fast" forms give a number where it is exact and a bigint beyond.
const RESULTS = { ...PARAMETERS, i64: "i64_fast", u64: "u64_fast" } as const satisfies Record<NativeType, string>;

class BunAdapter implements Adapter {
  readonly name = "bun";
  readonly platform = system.process.platform;
  readonly architecture = system.process.arch;
  readonly files = nodeFiles;
  readonly offThread = false;
  /** Some dozens of smaller blocks, which the collector waits for, fit into a cache. */
  readonly collectFrom = 4 << 20;
  readonly version: string;
  #ffi: BunFFI | undefined;
  #heap: Heap | null | undefined;
  #collector: Collector | undefined;
  #young = 0;
  /** When all may be collected again. */
  #next = 0;

  constructor(version: string) {
    this.version = version;
  }

  allocate(byteLength: number): ArrayBuffer {
    if (byteLength >= LARGE && this.#heap === undefined) this.#heap = this.#openHeap();
    const heap = byteLength < LARGE ? null : this.#heap!;
    if (heap === null) return system.buffer.Buffer.allocUnsafeSlow(byteLength).buffer;
    const address = heap.malloc(byteLength);
    if (address === null) throw new RangeError(`allocate: there are no ${byteLength} bytes`);
    try {
      return this.#open().toArrayBuffer(address, 0, byteLength, heap.free.ptr);
    } catch (error) {
      heap.free(address);
      throw error;
    }
  }

  available(): Availability {
    try {
      this.#open();
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: `bun:ffi cannot be loaded: ${error instanceof Error ? error.message : error}` };
    }
  }

  collect(): void {
    (globalThis as unknown as { readonly Bun: { gc(force: boolean): void } }).Bun.gc(true);
  }

  collectYoung(): void {
    const collector = this.#collector ??= system.module.createRequire(import.meta.url)("bun:jsc") as Collector;
    if (++this.#young < YOUNG) return collector.edenGC();
    const start = performance.now();
    if (start < this.#next) return;
    collector.fullGC();
    this.#young = 0;
    this.#next = start + PARTS * (performance.now() - start);
  }

  permission(): boolean {
    return true;
  }

  env(name: string): string | undefined {
    return system.process.env[name];
  }

  load(path: string, symbols: Symbols): Loaded {
    const ffi = this.#open();
    const left = new Map(Object.entries(symbols));
    for (;;) {
      const table: Record<string, { args: readonly string[]; returns: string }> = {};
      for (const [key, spec] of left) {
        table[spec.name ?? key] = {
          args: spec.parameters.map((type) => PARAMETERS[type]),
          returns: RESULTS[spec.result],
        };
      }
      try {
        const library = ffi.dlopen(path, table);
        const functions: Record<string, Function | undefined> = {};
        for (const [key, spec] of left) {
          const fn = library.symbols[spec.name ?? key] as Function;
          functions[key] = spec.nonblocking === true ? settled(fn) : fn;
        }
        return { functions, close: () => library.close() };
      } catch (error) {
        // Bun has no optional symbols: its error names the one that is missing.
        const name = error instanceof Error ? /Symbol "([^"]+)" not found/.exec(error.message)?.[1] : undefined;
        const entry = [...left].find(([key, spec]) => (spec.name ?? key) === name);
        if (name === undefined || entry === undefined) throw error;
        if (entry[1].optional !== true) throw new MissingSymbolError(path, name);
        left.delete(entry[0]);
        if (left.size === 0) return { functions: {}, close() {} };
      }
    }
  }

  native(address: number): Address {
    return address;
  }

  addressOf(view: ArrayBufferView): number {
    return this.#open().ptr(view);
  }

  viewOf(address: number, byteLength: number): ArrayBuffer {
    return this.#open().toArrayBuffer(address, 0, byteLength);
  }

  #openHeap(): Heap | null {
    if (this.platform !== "linux") return null;
    try {
      return this.#open().dlopen("libc.so.6", {
        malloc: { args: ["u64"], returns: "ptr" },
        free: { args: ["ptr"], returns: "void" },
      }).symbols as unknown as Heap;
    } catch {
      // Another C library, or no native calls.
      return null;
    }
  }

  #open(): BunFFI {
    this.#ffi ??= system.module.createRequire(import.meta.url)("bun:ffi") as BunFFI;
    return this.#ffi;
  }
}

function settled(fn: Function): Function {
  return (...args: never[]) => {
    try {
      return Promise.resolve(fn(...args));
    } catch (error) {
      return Promise.reject(error);
    }
  };
}

/** The adapter of Bun (`bun:ffi`), or undefined in other runtimes. */
export function bun(): Adapter | undefined {
  const version = (globalThis as unknown as { readonly Bun?: { readonly version: string } }).Bun?.version;
  return version === undefined ? undefined : new BunAdapter(version);
}
