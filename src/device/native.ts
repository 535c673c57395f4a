/**
 * Generated kernels as native code: rendered as C, compiled once, kept on disk, loaded.
 * @module
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { LibraryError } from "../../ffi/errors.ts";
import { addressOf, native } from "../../ffi/mem.ts";
import { available, openFile } from "../../ffi/open.ts";
import type { Address, Library, Symbols } from "../../ffi/types.ts";
import { cFlags, cProbes, renderC } from "../../kernels/c.ts";
import { ExprBuilder } from "../../kernels/expr.ts";
import { compileJs } from "../../kernels/js.ts";
import { blockLayout, type Kernel } from "../../kernels/kernel.ts";
import { debug, warnOnce } from "../base/debug.ts";
import { digest, type KernelCache, kernelCache } from "./cache.ts";
import { build, CompileError, type Compiler, findCompiler, probeCompiler, recallCompiler, start } from "./compiler.ts";
import { makeKernel } from "./epilogue.ts";

/** A compiled kernel: takes the address of its argument block. */
export type NativeFunction = (block: Address) => void;

const symbols = { tnp_kernel: { parameters: ["address"], result: "void" } } as const satisfies Symbols;

/** The compiler with its cache, or why kernels cannot be compiled. */
export type Toolchain =
  | { readonly ok: true; readonly compiler: Compiler; readonly cache: KernelCache }
  | { readonly ok: false; readonly reason: string };

let toolchainState: Toolchain | undefined;
/** Nanoseconds a compile took, smoothed. */
let expected = 120e6;
/** Loaded kernels stay loaded: their functions are called until the process ends. */
const loaded: Library<typeof symbols>[] = [];

/** Nanoseconds that compiling one kernel is expected to take. */
export function compileCost(): number {
  return expected;
}

/** Forgets compiler and cache, so that they are looked for again; loaded kernels stay. */
export function forgetToolchain(): void {
  toolchainState = undefined;
}

/** The compiler, looked for and tested the first time it is needed. */
export function toolchain(): Toolchain {
  return toolchainState ??= findToolchain(true)!;
}

/** The compiler, unless finding out about it takes running it; then null. */
function knownToolchain(): Toolchain | null {
  const known = toolchainState ?? findToolchain(false);
  if (known !== null) toolchainState = known;
  return known;
}

function findToolchain(probe: boolean): Toolchain | null {
  const ffi = available();
  if (!ffi.ok) return { ok: false, reason: ffi.reason };
  const found = findCompiler();
  if ("reason" in found) return { ok: false, reason: found.reason };
  const cache = kernelCache();
  if (cache === null) return { ok: false, reason: "no folder to write compiled kernels to; set TNP_CACHE_DIR" };
  const known = recallCompiler(found.path, cache, cProbes, cFlags);
  if (known !== null && cache.recall(testName(known)) === passed) return { ok: true, compiler: known, cache };
  if (!probe) return null;
  try {
    const compiler = known ?? probeCompiler(found.path, cache, cProbes, cFlags);
    const wrong = selfTest(compiler, cache);
    if (wrong === null) return { ok: true, compiler, cache };
    warnOnce(`compiled kernels are not used: ${wrong}`);
    return { ok: false, reason: wrong };
  } catch (error) {
    const reason = failure(error);
    warnOnce(`the C compiler does not work, JavaScript is used instead (TNP_CC names another): ${reason}`);
    return { ok: false, reason };
  }
}

/** A message for errors of the file system and of the loader; anything else is thrown on. */
function failure(error: unknown): string {
  if (error instanceof LibraryError || error instanceof CompileError) return error.message;
  if (error instanceof Error && "code" in error) return error.message;
  throw error;
}

/** The library of a source, from the cache or (if `compile`) compiled now; null where there is none. @throws CompileError */
function libraryOf(
  source: string,
  compiler: Compiler,
  cache: KernelCache,
  compile: boolean,
): Library<typeof symbols> | null {
  const key = digest(source, compiler.identity);
  const found = cache.find(key);
  if (found !== null) {
    try {
      return openFile(found, symbols);
    } catch (error) {
      debug("engines", `a kept kernel cannot be loaded and is made again: ${failure(error)}`);
      cache.remove(key);
    }
  }
  if (!compile) return null;
  const text = cache.temporary("c"), output = cache.temporary("so");
  const start = performance.now();
  try {
    writeFileSync(text, source, { mode: 0o600 });
    build(compiler.path, compiler.flags, text, output, compiler.libraries);
    return openFile(cache.store(key, output, text), symbols);
  } finally {
    rmSync(text, { force: true });
    rmSync(output, { force: true });
    expected += ((performance.now() - start) * 1e6 - expected) / 4;
  }
}

/** Writes a source for a compiler. */
export type SourceOf = (compiler: Compiler) => string;

/** The source of a kernel. */
export function kernelSource(kernel: Kernel): SourceOf {
  return () => renderC(kernel);
}

/**
 * The compiled code of a source, which exports `tnp_kernel`.
 *
 * @param compile whether to compile it where it is not on disk
 * @param name what it is, for the warning
 * @returns null where it is not there, or cannot be made (with one warning)
 */
export function nativeSource(source: SourceOf, compile: boolean, name: string): NativeFunction | null {
  const tools = compile ? toolchain() : knownToolchain();
  if (tools === null || !tools.ok) return null;
  return warned(name, () => {
    const library = libraryOf(source(tools.compiler), tools.compiler, tools.cache, compile);
    return library === null ? null : keep(library);
  });
}

/** Code that is being compiled. */
export interface Making {
  /** The code: undefined while it is not there, null if it cannot be made (with one warning). Not to be asked again after that. */
  get(): NativeFunction | null | undefined;
  /** Gives it up. */
  cancel(): void;
}

/** The most compilers that run beside the program. */
const MOST = 2;
let running = 0;

/** Starts to compile a source beside the program; null where none may be started now, or finding the compiler takes running it. */
export function makeSource(source: SourceOf, name: string): Making | null {
  const tools = knownToolchain();
  if (tools === null || !tools.ok || running >= MOST) return null;
  const { compiler, cache } = tools;
  const text = source(compiler), key = digest(text, compiler.identity);
  const file = cache.temporary("c"), output = cache.temporary("so");
  const remove = () => {
    rmSync(file, { force: true });
    rmSync(output, { force: true });
  };
  try {
    writeFileSync(file, text, { mode: 0o600 });
    const child = start(compiler.path, [...compiler.flags, "-o", output, file, ...compiler.libraries], remove);
    running++;
    return {
      get() {
        if (!child.over()) return undefined;
        running--;
        return warned(name, () => {
          try {
            // A compiler that failed leaves no output; run again, it says why.
            if (!existsSync(output)) build(compiler.path, compiler.flags, file, output, compiler.libraries);
            return keep(openFile(cache.store(key, output, file), symbols));
          } finally {
            remove();
          }
        });
      },
      cancel() {
        running--;
        child.cancel();
      },
    };
  } catch (error) {
    remove();
    debug("engines", () => `no compiler beside the program: ${failure(error)}`);
    return null;
  }
}

function keep(library: Library<typeof symbols>): NativeFunction {
  loaded.push(library);
  return library.symbols.tnp_kernel;
}

function warned(name: string, make: () => NativeFunction | null): NativeFunction | null {
  try {
    return make();
  } catch (error) {
    warnOnce(`${name} could not be compiled, JavaScript runs it: ${failure(error)}`);
    return null;
  }
}

/** A small kernel with an exact answer. */
function testKernel(): Kernel {
  const b = new ExprBuilder();
  const x = b.make("load", "float64", [], { operand: 0, component: 0 });
  const i = b.make("load", "int32", [], { operand: 1, component: 0 });
  const s = b.make("scalar", "float64", [], 0);
  const unit = { components: 1, access: "unit" } as const;
  return makeKernel({
    kind: "map",
    rank: 1,
    reduced: 0,
    inner: "last",
    operands: [
      { dtype: "float64", ...unit, virtual: false, gathered: 0 },
      { dtype: "int32", ...unit, virtual: false, gathered: 0 },
    ],
    scalars: ["float64"],
    body: [
      b.where(b.binary("lt", x, s), b.unary("sqrt", b.binary("sub", s, x)), b.binary("div", x, b.cast(i, "float64"))),
      b.binary("mul", i, b.cast(x, "int32")),
    ],
    reduction: null,
    epilogue: null,
    index: [],
    mode: null,
    outputs: [{ dtype: "float64", ...unit }, { dtype: "int32", ...unit }],
    wide: false,
    comment: "self-test: where(x < s, sqrt(s - x), x / i), i * int32(x)",
  });
}

const passed = "passed";

/** The name under which the cache keeps that a compiler passed the test. */
function testName(compiler: Compiler): string {
  return `selftest-${compiler.identity.slice(0, 32)}`;
}

/** Compares a compiled kernel with JavaScript. Returns what is wrong. @throws CompileError */
function selfTest(compiler: Compiler, cache: KernelCache): string | null {
  const kernel = testKernel(), n = 37;
  const memory = () => {
    const x = new Float64Array(new ArrayBuffer(8 * n)), i = new Int32Array(new ArrayBuffer(4 * n));
    for (let k = 0; k < n; k++) {
      x[k] = (k - 12) * 1.37;
      i[k] = k % 7 * 100003 - 200003;
    }
    return [x, i, new Float64Array(new ArrayBuffer(8 * n)), new Int32Array(new ArrayBuffer(4 * n))] as const;
  };
  const layout = blockLayout(kernel), slots = [...layout.operands, ...layout.outputs];
  const expectedMemory = memory(), gotMemory = memory();
  const numbers = new Array<number>(layout.length).fill(0),
    block = new BigInt64Array(new ArrayBuffer(8 * layout.length));
  numbers[0] = n;
  block[0] = BigInt(n);
  slots.forEach(({ address, strides }, k) => {
    numbers[strides] = 1;
    block[address] = BigInt(addressOf(gotMemory[k]!));
    block[strides] = 1n;
  });
  new Float64Array(block.buffer)[layout.scalars] = 3.25;
  compileJs(kernel)([...expectedMemory], numbers, [3.25]);
  using library = libraryOf(renderC(kernel), compiler, cache, true)!;
  library.symbols.tnp_kernel(native(addressOf(block)));
  const same = [2, 3].every((k) => gotMemory[k]!.every((v, at) => Object.is(v, expectedMemory[k]![at])));
  if (!same) return `${compiler.path} (${compiler.version}) makes code that gives wrong numbers; set TNP_CC to another`;
  cache.remember(testName(compiler), passed);
  return null;
}
