/**
 * Generated kernels as native code: rendered as C, compiled once, kept on disk, loaded.
 * @module
 */
import { LibraryError } from "../../ffi/errors.ts";
import { dlopen, dlsym, RTLD } from "../../ffi/libc.ts";
import { addressOf, native } from "../../ffi/mem.ts";
import { available, openFile } from "../../ffi/open.ts";
import { files } from "../../ffi/runtime.ts";
import { system } from "../../ffi/system.ts";
import type { Library, Symbols } from "../../ffi/types.ts";
import { cFlags, cProbes, renderC } from "../../kernels/c.ts";
import { ExprBuilder } from "../../kernels/expr.ts";
import { compileJs } from "../../kernels/js.ts";
import { blockLayout, type Kernel } from "../../kernels/kernel.ts";
import { debug, warnOnce } from "../base/debug.ts";
import { digest } from "../base/digest.ts";
import { type KernelCache, kernelCache, lastingCache } from "./cache.ts";
import {
  Background,
  build,
  compileBeside,
  CompileError,
  compileNow,
  type Compiler,
  type Compiling,
  findCompiler,
  forgetCompiler,
  observable,
  probeCompiler,
  recallCompiler,
} from "./compiler.ts";
import { makeKernel } from "./epilogue.ts";
import { hasPack, type NativeFunction, packedKernel } from "./pack.ts";
import { recallText, rememberText, type Source, textDigest } from "./texts.ts";

export type { NativeFunction } from "./pack.ts";

const symbols = { tnp_kernel: { parameters: ["address"], result: "void" } } as const satisfies Symbols;

/** The compiler with its cache, or why kernels cannot be compiled. */
export type Toolchain =
  | { readonly ok: true; readonly compiler: Compiler; readonly cache: KernelCache }
  | { readonly ok: false; readonly reason: string };

let toolchainState: Toolchain | undefined;
/** Nanoseconds that compiling a kernel took, smoothed; a guess until there was one. */
let expected = 120e6, measured = false;
/** Loaded kernels stay loaded: their functions are called until the process ends. */
const loaded: Library<typeof symbols>[] = [];

/** Nanoseconds that compiling a source is expected to take. */
export function compileCost({ weight = 1 }: Source): number {
  return expected * weight;
}

/** Takes note of a wait for the compiler that was in vain: the next one has to be worth twice as much. */
export function waitedFor(ms: number, { weight = 1 }: Source): void {
  expected = Math.max(expected, 2e6 * ms / weight);
}

/** Takes note of what compiling a source took: until its output was written, as who looks for it may come much later. */
function took(start: number, output: string, { weight = 1 }: Source): void {
  const now = Date.now(), modified = files.info(output, true)?.modified ?? now;
  const ns = Math.max(1, (modified > start && modified < now ? modified : now) - start) * 1e6 / weight;
  expected = measured ? expected + (ns - expected) / 4 : ns;
  measured = true;
}

/** Forgets compiler and cache, so that they are looked for again; loaded kernels stay. */
export function forgetToolchain(): void {
  toolchainState = undefined;
  forgetCompiler();
  finding?.cancel();
  finding = null;
}

/** The compiler, looked for and tested the first time it is needed. */
export function toolchain(): Toolchain {
  return toolchainState ??= compileNow(findToolchain(true))!;
}

/**
 * What is known of the compiler after so many milliseconds at most, where the system tells when a run is over; elsewhere each of its runs
 * has its limit.
 */
export function toolchainInTime(ms: number): Toolchain {
  if (!observable) return toolchain();
  return toolchainWithin(ms) ?? { ok: false, reason: `the C compiler does not answer within ${ms / 1000} s` };
}

/** The compiler, unless finding out about it takes running it; then null. */
function knownToolchain(): Toolchain | null {
  const known = toolchainState ?? compileNow(findToolchain(false));
  if (known !== null) toolchainState = known;
  return known;
}

let finding: Background<Toolchain | null> | null = null;

/** The compiler; it is looked for and tested beside the program, and waited for so many milliseconds. Null where it is not there yet. */
function toolchainWithin(ms: number): Toolchain | null {
  const known = toolchainState ?? (finding === null ? knownToolchain() : null);
  if (known !== null) return known;
  finding ??= new Background(findToolchain(true), (extension) => kernelCache()!.temporary(extension));
  const found = finding.wait(ms);
  if (found === null) return null;
  finding = null;
  return toolchainState = found.value!;
}

let search: Promise<Toolchain | null> | null = null;

/** The compiler; it is looked for and tested while the event loop goes on. */
async function toolchainSoon(): Promise<Toolchain> {
  const known = knownToolchain();
  if (known !== null) return known;
  search ??= compileBeside(findToolchain(true)).finally(() => search = null);
  const found = await search;
  return toolchainState ??= found!;
}

function* findToolchain(probe: boolean): Compiling<Toolchain | null> {
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
    const compiler = known ?? (yield* probeCompiler(found.path, cache, cProbes, cFlags));
    const wrong = yield* selfTest(compiler, cache);
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

/** The library of a source, from the cache; null where there is none that can be opened. */
function keptLibrary<S extends Symbols>(key: string, table: S, cache: KernelCache): Library<S> | null {
  const found = cache.find(key);
  if (found === null) return null;
  try {
    return openFile(found, table);
  } catch (error) {
    debug("engines", `a kept kernel cannot be loaded and is made again: ${failure(error)}`);
    cache.remove(key);
    return null;
  }
}

/** The name of compiled code in the cache, from the digest of its text. */
function keyOf(text: string, compiler: Compiler): string {
  return digest(text, compiler.identity);
}

/** The library of a source, from the cache or compiled. @throws CompileError */
function* libraryOf<S extends Symbols>(
  source: Source,
  table: S,
  compiler: Compiler,
  cache: KernelCache,
): Compiling<Library<S>> {
  const written = source.text(), text = textDigest(written), key = keyOf(text, compiler);
  const kept = keptLibrary(key, table, cache);
  if (kept !== null) return kept;
  const file = cache.temporary("c"), output = cache.temporary("so");
  const start = Date.now();
  try {
    system.fs.writeFileSync(file, written, { mode: 0o600 });
    yield* build(compiler.path, compiler.flags, file, output, compiler.libraries);
    took(start, output, source);
    const path = cache.store(key, output, file);
    rememberText(source, cache, text);
    return openFile(path, table);
  } finally {
    system.fs.rmSync(file, { force: true });
    system.fs.rmSync(output, { force: true });
  }
}

/** The source of a kernel. */
export function kernelSource(kernel: Kernel): Source {
  return { key: kernel.key, text: () => renderC(kernel) };
}

/** Code that needs no compiling: from the cache, or from the pack. */
function readyCode(source: Source, tools: Toolchain | null): NativeFunction | null {
  if (tools?.ok !== true && !hasPack()) return null;
  const cache = tools?.ok ? tools.cache : lastingCache();
  const recalled = recallText(source, cache), text = recalled ?? textDigest(source.text());
  const kept = tools?.ok ? keptLibrary(keyOf(text, tools.compiler), symbols, tools.cache) : null;
  const packed = kept === null ? packedKernel(text) : null;
  if (kept === null && packed === null) return null;
  if (recalled === null) rememberText(source, cache, text);
  if (kept !== null) return keep(kept);
  places.set(packed!.run, packed!);
  return packed!.run;
}

/**
 * The compiled code of a source, which exports `tnp_kernel`: from the cache, from the pack, or compiled.
 *
 * @param compile whether to compile it where it is in neither
 * @param name what it is, for the warning
 * @returns null where it is not there, or cannot be made (with one warning)
 */
export function nativeSource(source: Source, compile: boolean, name: string): NativeFunction | null {
  return warned(name, () => {
    const there = readyCode(source, knownToolchain());
    if (there !== null || !compile) return there;
    const tools = toolchain();
    if (!tools.ok) return null;
    const library = compileNow(libraryOf(source, symbols, tools.compiler, tools.cache));
    return keep(library);
  });
}

/** A library of a source, compiled (where it is not on disk) while the event loop goes on; null where it cannot be (with one warning). */
export async function librarySoon<S extends Symbols>(
  source: Source,
  table: S,
  name: string,
): Promise<Library<S> | null> {
  const tools = await toolchainSoon();
  if (!tools.ok) return null;
  const { compiler, cache } = tools;
  try {
    return await compileBeside(libraryOf(source, table, compiler, cache));
  } catch (error) {
    warnFailure(name, error);
    return null;
  }
}

/** Like `nativeSource` that compiles, while the event loop goes on. */
export async function nativeSourceSoon(source: Source, name: string): Promise<NativeFunction | null> {
  const there = warned(name, () => readyCode(source, knownToolchain()));
  if (there !== null) return there;
  const library = await librarySoon(source, symbols, name);
  return library === null ? null : keep(library);
}

/** Code that is being compiled. */
export interface Making {
  /**
   * The code: undefined while it is not there, null if it cannot be made (with one warning). Not to be asked again after that.
   * @param ms how long to wait
   */
  get(ms: number): NativeFunction | null | undefined;
}

/** The most compilers that run beside the program. */
const MOST = 2;
const running = new Set<{ readonly over: boolean }>();

/**
 * Starts to compile a source beside the program.
 *
 * @param ms how long to wait for the compiler to be found and tested
 * @returns null where there is no compiler; undefined where it is not found yet, or has enough to do for nobody to wait
 */
export function makeSource(source: Source, name: string, ms: number): Making | null | undefined {
  const tools = toolchainWithin(ms);
  if (tools?.ok === false) return null;
  // Those of kernels that nobody uses any more are over at some time, too.
  for (const work of running) if (work.over) running.delete(work);
  if (tools === null || (running.size >= MOST && ms === 0)) return undefined;
  const { compiler, cache } = tools;
  const work = warned(
    name,
    () => new Background(libraryOf(source, symbols, compiler, cache), (extension) => cache.temporary(extension)),
  );
  if (work === null) return null;
  running.add(work);
  return {
    get(ms) {
      const made = warned(name, () => work.wait(ms) ?? undefined);
      if (made === undefined) return undefined;
      return made === null ? null : keep(made.value);
    },
  };
}

function keep(library: Library<typeof symbols>): NativeFunction {
  loaded.push(library);
  const run = library.symbols.tnp_kernel;
  places.set(run, { path: library.path, symbol: "tnp_kernel" });
  return run;
}

/** Where compiled code was loaded from. */
const places = new WeakMap<NativeFunction, { readonly path: string; readonly symbol: string }>();
const entries = new WeakMap<NativeFunction, number>();

/** The address of compiled code, which from now on is never unloaded: another thread may run it when the process ends. Linux only. */
export function entryOf(run: NativeFunction): number {
  let entry = entries.get(run);
  if (entry === undefined) {
    const { path, symbol } = places.get(run)!;
    entry = dlsym(dlopen(path, RTLD.NOW | RTLD.NODELETE), symbol);
    entries.set(run, entry);
  }
  return entry;
}

function warned<T>(name: string, make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    warnFailure(name, error);
    return null;
  }
}

function warnFailure(name: string, error: unknown): void {
  warnOnce(`${name} could not be compiled, JavaScript runs it: ${failure(error)}`);
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
function* selfTest(compiler: Compiler, cache: KernelCache): Compiling<string | null> {
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
  using library = yield* libraryOf(kernelSource(kernel), symbols, compiler, cache);
  library.symbols.tnp_kernel(native(addressOf(block)));
  // Read here, so that the block is there during the call.
  const same = block[0] === BigInt(n) &&
    [2, 3].every((k) => gotMemory[k]!.every((v, at) => Object.is(v, expectedMemory[k]![at])));
  if (!same) return `${compiler.path} (${compiler.version}) makes code that gives wrong numbers; set TNP_CC to another`;
  cache.remember(testName(compiler), passed);
  return null;
}
