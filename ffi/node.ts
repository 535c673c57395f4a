import { MissingSymbolError } from "./errors.ts";
import { nodeFiles } from "./node_files.ts";
import { system } from "./system.ts";
import type { Adapter, Address, Availability, Loaded, NativeType, PermissionKind, Symbols } from "./types.ts";

type Function = (...args: never[]) => unknown;
type KoffiFunction = Function & { async(...args: unknown[]): void };

type Collect = (options: { readonly type: "minor" }) => void;

interface KoffiLibrary {
  func(name: string, result: string, parameters: readonly string[]): KoffiFunction;
  unload(): void;
}

interface KoffiConfig {
  readonly sync_stack_size: number;
  readonly async_stack_size: number;
}

interface Koffi {
  config(): KoffiConfig;
  config(options: KoffiConfig): void;
  load(path: string): KoffiLibrary;
  address(view: ArrayBufferView): number | bigint;
  view(address: bigint, byteLength: number): ArrayBuffer;
}

const TYPES = {
  void: "void",
  i8: "int8_t",
  u8: "uint8_t",
  i16: "int16_t",
  u16: "uint16_t",
  i32: "int32_t",
  u32: "uint32_t",
  i64: "int64_t",
  u64: "uint64_t",
  f32: "float",
  f64: "double",
  address: "uintptr_t",
  buffer: "void *",
} as const satisfies Record<NativeType, string>;

// koffi runs C on stacks of its own; the 2 MiB and 128 KiB it starts with overflow in threaded LAPACK.
const STACK = 16 << 20;

const SCOPES = {
  ffi: "addon",
  run: "child",
  read: "fs.read",
  write: "fs.write",
  env: undefined,
  sys: undefined,
} as const satisfies Record<PermissionKind, string | undefined>;

class NodeAdapter implements Adapter {
  readonly name = "node";
  readonly platform = system.process.platform;
  readonly architecture = system.process.arch;
  readonly files = nodeFiles;
  readonly offThread = true;
  readonly version = system.process.versions.node;
  #koffi: Koffi | undefined;
  #gc: Collect | undefined;

  // V8 tells of its collector under a flag only, which new contexts look at.
  collectYoung(): void {
    if (this.#gc === undefined) {
      const { v8, vm } = system;
      v8.setFlagsFromString("--expose-gc");
      try {
        this.#gc = vm.runInNewContext("globalThis.gc") as Collect | undefined ?? (() => {});
      } finally {
        if ((globalThis as { readonly gc?: unknown }).gc === undefined) v8.setFlagsFromString("--no-expose-gc");
      }
    }
    this.#gc({ type: "minor" });
  }

  allocate(byteLength: number): ArrayBuffer {
    return system.buffer.Buffer.allocUnsafeSlow(byteLength).buffer;
  }

  available(): Availability {
    try {
      this.#open();
      return { ok: true };
    } catch (error) {
      const text = (error instanceof Error ? error.message : String(error)).split("\n")[0];
      return {
        ok: false,
        reason: `Node calls native code through the package koffi, which cannot be loaded (${text}): npm install koffi`,
      };
    }
  }

  permission(kind: PermissionKind, target?: string): boolean {
    const permission = (system.process as { readonly permission?: { has(scope: string, target?: string): boolean } })
      .permission;
    const scope = SCOPES[kind];
    if (permission === undefined || scope === undefined) return true;
    return kind === "read" || kind === "write" ? permission.has(scope, target) : permission.has(scope);
  }

  env(name: string): string | undefined {
    return system.process.env[name];
  }

  load(path: string, symbols: Symbols): Loaded {
    const library = this.#open().load(path);
    try {
      const functions: Record<string, Function | undefined> = {};
      for (const [key, spec] of Object.entries(symbols)) {
        const name = spec.name ?? key;
        try {
          const fn = library.func(name, TYPES[spec.result], spec.parameters.map((type) => TYPES[type]));
          functions[key] = spec.nonblocking === true ? promised(fn) : fn;
        } catch (error) {
          if (!(error instanceof Error && error.message.includes("Cannot find function"))) throw error;
          if (spec.optional !== true) throw new MissingSymbolError(path, name);
        }
      }
      return { functions, close: () => library.unload() };
    } catch (error) {
      library.unload();
      throw error;
    }
  }

  native(address: number): Address {
    return address;
  }

  addressOf(view: ArrayBufferView): number {
    return Number(this.#open().address(view));
  }

  viewOf(address: number, byteLength: number): ArrayBuffer {
    return this.#open().view(BigInt(address), byteLength);
  }

  #open(): Koffi {
    if (this.#koffi === undefined) {
      const koffi = system.module.createRequire(import.meta.url)("koffi") as Koffi;
      const { sync_stack_size, async_stack_size } = koffi.config();
      if (sync_stack_size < STACK || async_stack_size < STACK) {
        koffi.config({ sync_stack_size: STACK, async_stack_size: STACK });
      }
      this.#koffi = koffi;
    }
    return this.#koffi;
  }
}

function promised(fn: KoffiFunction): Function {
  return (...args: never[]) =>
    new Promise((resolve, reject) => {
      fn.async(...args, (error: unknown, result: unknown) => error ? reject(error) : resolve(result));
    });
}

/** The adapter of Node (the package koffi). */
export function node(): Adapter {
  return new NodeAdapter();
}
