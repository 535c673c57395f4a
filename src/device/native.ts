/**
 * Generated kernels as native code: rendered as C, compiled once, kept on disk, loaded.
 * @module
 */
import { rmSync, writeFileSync } from "node:fs";
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
import { build, CompileError, type Compiler, findCompiler, probeCompiler } from "./compiler.ts";
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
  return toolchainState ??= findToolchain();
}

function findToolchain(): Toolchain {
  const ffi = available();
  if (!ffi.ok) return { ok: false, reason: ffi.reason };
  const found = findCompiler();
  if ("reason" in found) return { ok: false, reason: found.reason };
  const cache = kernelCache();
  if (cache === null) return { ok: false, reason: "no folder to write compiled kernels to; set TNP_CACHE_DIR" };
  try {
    const compiler = probeCompiler(found.path, cache, cProbes, cFlags);
    const wrong = selfTest(compiler, cache);
    if (wrong === null) return { ok: true, compiler, cache };
    warnOnce(`compiled kernels are not used: ${wrong}`);
    return { ok: false, reason: wrong };
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    warnOnce(`the C compiler does not work, JavaScript is used instead (TNP_CC names another): ${error.message}`);
    return { ok: false, reason: error.message };
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

/**
 * The compiled code of a kernel.
 *
 * @param compile whether to compile it where it is not on disk
 * @returns null where it is not there, or cannot be made (with one warning)
 */
export function nativeKernel(kernel: Kernel, compile: boolean): NativeFunction | null {
  const tools = toolchain();
  if (!tools.ok) return null;
  const source = renderC(kernel, tools.compiler.features);
  try {
    const library = libraryOf(source, tools.compiler, tools.cache, compile);
    if (library === null) return null;
    loaded.push(library);
    return library.symbols.tnp_kernel;
  } catch (error) {
    warnOnce(`a kernel could not be compiled, JavaScript runs it: ${failure(error)}`);
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

/** Compares a compiled kernel with JavaScript; remembered in the cache. Returns what is wrong. @throws CompileError */
function selfTest(compiler: Compiler, cache: KernelCache): string | null {
  const name = `selftest-${compiler.identity.slice(0, 32)}`;
  if (cache.recall(name) === "ok") return null;
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
  let library: Library<typeof symbols>;
  try {
    library = libraryOf(renderC(kernel, compiler.features), compiler, cache, true)!;
  } catch (error) {
    return failure(error);
  }
  using closing = library;
  closing.symbols.tnp_kernel(native(addressOf(block)));
  const same = [2, 3].every((k) => gotMemory[k]!.every((v, at) => Object.is(v, expectedMemory[k]![at])));
  if (!same) return `${compiler.path} (${compiler.version}) makes code that gives wrong numbers; set TNP_CC to another`;
  cache.remember(name, "ok");
  return null;
}
