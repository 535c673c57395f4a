/**
 * NVRTC: CUDA C++ to machine code, in memory. Needs no GPU.
 * @module
 */
import { cudaFolders, entries, orderByMajor } from "./cuda_paths.ts";
import { NativeError } from "./errors.ts";
import { dlopen, RTLD } from "./libc.ts";
import { addressOf, cstring, native, readCString, toNumber } from "./mem.ts";
import { open } from "./open.ts";
import { platform } from "./runtime.ts";
import { system } from "./system.ts";
import type { Library, LibrarySpec, Symbols } from "./types.ts";

const symbols = {
  nvrtcVersion: { parameters: ["buffer", "buffer"], result: "i32" },
  nvrtcGetErrorString: { parameters: ["i32"], result: "address" },
  nvrtcGetNumSupportedArchs: { parameters: ["buffer"], result: "i32" },
  nvrtcGetSupportedArchs: { parameters: ["buffer"], result: "i32" },
  nvrtcGetPTXSize: { parameters: ["address", "buffer"], result: "i32" },
  nvrtcGetPTX: { parameters: ["address", "buffer"], result: "i32" },
  // program, source, name, headers: count, texts, names
  nvrtcCreateProgram: { parameters: ["buffer", "buffer", "buffer", "i32", "address", "address"], result: "i32" },
  nvrtcCompileProgram: { parameters: ["address", "i32", "buffer"], result: "i32" },
  nvrtcGetProgramLogSize: { parameters: ["address", "buffer"], result: "i32" },
  nvrtcGetProgramLog: { parameters: ["address", "buffer"], result: "i32" },
  nvrtcGetCUBINSize: { parameters: ["address", "buffer"], result: "i32" },
  nvrtcGetCUBIN: { parameters: ["address", "buffer"], result: "i32" },
  nvrtcDestroyProgram: { parameters: ["buffer"], result: "i32" },
} as const satisfies Symbols;

const linux = ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"];
const windows = ["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"];

/** How NVRTC is found: what the driver's version of CUDA can load first. */
export function nvrtcSpec(major = 0): LibrarySpec<typeof symbols> {
  return {
    name: "NVRTC",
    env: "TNP_NVRTC",
    names: { linux: orderByMajor(linux, major), darwin: [], win32: orderByMajor(windows, major) },
    get folders() {
      return cudaFolders("cuda_nvrtc");
    },
    symbols,
    install: "pip install nvidia-cuda-nvrtc-cu12, or the CUDA toolkit",
    needs: "NVRTC 11.2 or newer",
  };
}

/** What a compilation gives: a cubin, or PTX text for a `compute_` architecture, and what the compiler says. */
export interface Compiled {
  readonly cubin: Uint8Array<ArrayBuffer>;
  readonly log: string;
}

/** An open NVRTC. */
export class Nvrtc implements Disposable {
  readonly path: string;
  readonly version: string;
  /** Architectures it compiles for, as numbers: 90 is sm_90. */
  readonly architectures: readonly number[];
  readonly #library: Library<typeof symbols>;
  readonly #number: readonly [major: number, minor: number];
  readonly #out = new BigUint64Array(new ArrayBuffer(8));

  /** @throws LibraryError where it cannot be opened */
  constructor(where: LibrarySpec<typeof symbols> = nvrtcSpec()) {
    this.#library = open(where);
    this.path = this.#library.path;
    this.#openBuiltins();
    const major = new Int32Array(new ArrayBuffer(4)), minor = new Int32Array(new ArrayBuffer(4));
    this.#check("nvrtcVersion", this.#library.symbols.nvrtcVersion(major, minor));
    this.#number = [major[0]!, minor[0]!];
    this.version = this.#number.join(".");
    const f = this.#library.symbols;
    this.#check("nvrtcGetNumSupportedArchs", f.nvrtcGetNumSupportedArchs(major));
    const list = new Int32Array(new ArrayBuffer(4 * Math.max(1, major[0]!)));
    this.#check("nvrtcGetSupportedArchs", f.nvrtcGetSupportedArchs(list));
    this.architectures = [...list];
  }

  /** NVRTC opens its builtins by bare name: those that lie beside it are opened for it. */
  #openBuiltins(): void {
    const at = this.path.lastIndexOf("/");
    if (platform !== "linux" || at < 0) return;
    const folder = this.path.slice(0, at);
    const names = entries(folder, /^libnvrtc-builtins\.so\.\d+\.\d+$/);
    for (const name of names) dlopen(system.path.join(folder, name), RTLD.NOW | RTLD.NODELETE);
  }

  /** Whether it is of this version or a later one. */
  atLeast(major: number, minor: number): boolean {
    return this.#number[0] > major || this.#number[0] === major && this.#number[1] >= minor;
  }

  /**
   * The architecture to compile for: a GPU's own, or the nearest older one as PTX, which its driver takes further.
   *
   * @param capability 10 times the major version plus the minor one
   */
  target(capability: number): string {
    if (this.architectures.includes(capability)) return `sm_${capability}`;
    return `compute_${Math.max(...this.architectures.filter((a) => a < capability), Math.min(...this.architectures))}`;
  }

  /**
   * Compiles a source.
   *
   * @param options such as `--gpu-architecture=sm_90`
   * @throws NativeError with the compiler's messages
   */
  compile(source: string, name: string, options: readonly string[]): Compiled {
    const f = this.#library.symbols, out = this.#out;
    this.#check(
      "nvrtcCreateProgram",
      f.nvrtcCreateProgram(out, cstring(source), cstring(name), 0, native(0), native(0)),
    );
    const handle = new BigUint64Array(new ArrayBuffer(8));
    handle[0] = out[0]!;
    const program = native(toNumber(out[0]!));
    try {
      const texts = options.map((option) => cstring(option));
      const list = new BigUint64Array(new ArrayBuffer(8 * Math.max(1, texts.length)));
      texts.forEach((text, i) => list[i] = BigInt(addressOf(text)));
      const code = f.nvrtcCompileProgram(program, texts.length, list);
      this.#check("nvrtcGetProgramLogSize", f.nvrtcGetProgramLogSize(program, out));
      const log = new Uint8Array(new ArrayBuffer(Math.max(1, Number(out[0]))));
      this.#check("nvrtcGetProgramLog", f.nvrtcGetProgramLog(program, log));
      const message = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0)))).trim();
      if (code !== 0) throw this.#error("nvrtcCompileProgram", code, message);
      const ptx = options.some((option) => /=compute_/.test(option));
      if (ptx) this.#check("nvrtcGetPTXSize", f.nvrtcGetPTXSize(program, out));
      else this.#check("nvrtcGetCUBINSize", f.nvrtcGetCUBINSize(program, out));
      const cubin = new Uint8Array(new ArrayBuffer(Number(out[0])));
      if (ptx) this.#check("nvrtcGetPTX", f.nvrtcGetPTX(program, cubin));
      else this.#check("nvrtcGetCUBIN", f.nvrtcGetCUBIN(program, cubin));
      return { cubin, log: message };
    } finally {
      this.#check("nvrtcDestroyProgram", f.nvrtcDestroyProgram(handle));
    }
  }

  #check(fn: string, code: number): void {
    if (code !== 0) throw this.#error(fn, code);
  }

  #error(fn: string, code: number, message?: string): NativeError {
    return new NativeError(fn, code, readCString(this.#library.symbols.nvrtcGetErrorString(code)), message);
  }

  /** Closes the library. */
  [Symbol.dispose](): void {
    this.#library.close();
  }
}
