/**
 * The system's C compiler: where it is, what it can do, and one call to it.
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { delimiter, isAbsolute, join } from "../../ffi/paths.ts";
import { architecture, env, files, firstProcessor, permission, platform, readText } from "../../ffi/runtime.ts";
import { system } from "../../ffi/system.ts";
import { debug } from "../base/debug.ts";
import { digest } from "../base/digest.ts";
import type { KernelCache } from "./cache.ts";

/** What a compiler can do; found by compiling small programs. */
export interface Features {
  /** OpenMP: threads. Without it `omp simd` is still tried. */
  readonly openmp: boolean;
}

/** A compiler that works. */
export interface Compiler {
  readonly path: string;
  /** The first line of `--version`. */
  readonly version: string;
  /** Equal only where the same source gives the same code: compiler, flags and processor. */
  readonly identity: string;
  readonly features: Features;
  readonly flags: readonly string[];
  readonly libraries: readonly string[];
}

/** The programs that features are probed with. */
export interface Probes {
  readonly openmp: string;
  readonly wide: string;
}

/** Flags every kernel is compiled with, before what was probed. */
export interface Flags {
  readonly common: readonly string[];
  readonly openmp: readonly string[];
  readonly wide: readonly string[];
}

/** A compile that failed; the message is the compiler's. */
export class CompileError extends Error {
  override name = "CompileError";
}

type Found = { readonly path: string } | { readonly reason: string };

let last: { readonly wanted: string | undefined; readonly path: string | undefined; readonly found: Found } | undefined;

/** Where the compiler is, or why there is none to use; it is looked for once, and again where the environment has changed. */
export function findCompiler(): Found {
  const wanted = env("TNP_CC"), path = env("PATH");
  if (last === undefined || last.wanted !== wanted || last.path !== path) {
    last = { wanted, path, found: lookForCompiler(wanted, path ?? "/usr/local/bin:/usr/bin:/bin") };
  }
  return last.found;
}

/** Forgets where the compiler is, so that it is looked for again. */
export function forgetCompiler(): void {
  last = undefined;
}

function lookForCompiler(wanted: string | undefined, path: string): Found {
  if (wanted === "none" || wanted === "off") return { reason: `hidden by TNP_CC=${wanted}` };
  // Deno reads variables of its own before it runs a program, and would ask for them.
  if (!permission("env")) {
    return { reason: "may not read the environment, as running a compiler needs: run with --allow-env" };
  }
  const names = wanted === undefined ? ["cc", "gcc", "clang"] : [wanted];
  const folders = path.split(delimiter).filter(isAbsolute);
  const suffix = platform === "win32" ? ".exe" : "";
  let forbidden = false;
  for (const name of names) {
    const paths = isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name + suffix));
    for (const path of paths) {
      if (!permission("read", path)) {
        forbidden = true;
        continue;
      }
      const info = files.info(path, true);
      if (info?.kind !== "file" || platform !== "win32" && (info.mode & 0o111) === 0) continue;
      if (permission("run", name) || permission("run", path)) return { path };
      forbidden = true;
    }
  }
  if (forbidden) return { reason: `may not run ${names.join(", ")}: run with --allow-run and --allow-read` };
  return { reason: `no ${names.join(", ")} in PATH; install gcc or clang, or set TNP_CC` };
}

/** The environment that the compiler runs in. */
function environment(): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(system.process.env)) {
    // Deno hands these on only to programs of those who may run every program.
    if (value === undefined || /^(?:LD|DYLD)_/.test(name) && !permission("run")) continue;
    out[name] = value;
  }
  out["LC_ALL"] = "C";
  return out;
}

/** A run of the compiler that something waits for. */
interface CompilerRun {
  readonly path: string;
  readonly args: readonly string[];
  /** What it reads from standard input. */
  readonly input: string;
}

/** Work that runs the compiler now and then, and gets what that printed or a CompileError. */
export type Compiling<T> = Generator<CompilerRun, T, string>;

/** Does such work, waiting for each run. */
export function compileNow<T>(work: Compiling<T>): T {
  let step = work.next();
  while (step.done !== true) {
    let out: string;
    try {
      out = runSync(step.value);
    } catch (error) {
      step = work.throw(error);
      continue;
    }
    step = work.next(out);
  }
  return step.value;
}

/** Does such work while the event loop goes on. Where the program ends first, so does the compiler, and its files are removed. */
export async function compileBeside<T>(work: Compiling<T>): Promise<T> {
  let child: ChildProcess | null = null;
  const stop = () => {
    child?.kill();
    // Runs what cleans up.
    work.return(undefined as T);
  };
  system.process.on("exit", stop);
  try {
    let step = work.next();
    while (step.done !== true) {
      let out: string;
      try {
        out = await runBeside(step.value, (started) => child = started);
      } catch (error) {
        step = work.throw(error);
        continue;
      }
      step = work.next(out);
    }
    return step.value;
  } finally {
    system.process.removeListener("exit", stop);
  }
}

/** How a run ended. */
interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a run printed. @throws CompileError with its message */
function printed(path: string, { status, signal, stdout, stderr }: Ended): string {
  if (status === 0) return stdout;
  const how = status === null ? `ended by ${signal}` : `ended with status ${status}`;
  throw new CompileError(`${path} ${how}: ${(stderr || stdout || "no message").trim()}`);
}

/** An error of starting a program. */
const cannotStart = (path: string, error: unknown): CompileError =>
  new CompileError(`${path}: ${error instanceof Error ? error.message : error}`, { cause: error });

/** Milliseconds that a run may take. */
const TIMEOUT = 120_000;

function runSync({ path, args, input }: CompilerRun): string {
  let result;
  try {
    result = system.child_process.spawnSync(path, [...args], {
      input,
      encoding: "utf8",
      env: environment(),
      timeout: TIMEOUT,
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    // Deno throws where Node and Bun return the error.
    throw cannotStart(path, error);
  }
  if (result.error !== undefined) throw cannotStart(path, result.error);
  return printed(path, result);
}

function runBeside({ path, args, input }: CompilerRun, started: (child: ChildProcess) => void): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  try {
    const child = system.child_process.spawn(path, [...args], {
      env: environment(),
      timeout: TIMEOUT,
      stdio: ["pipe", "pipe", "pipe"],
    });
    started(child);
    let stdout = "", stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
    // A program may end before it has read everything.
    child.stdin.on("error", () => {}).end(input);
    child.on("error", (error) => reject(cannotStart(path, error)));
    child.on("close", (status, signal) => {
      try {
        resolve(printed(path, { status, signal, stdout, stderr }));
      } catch (error) {
        reject(error);
      }
    });
  } catch (error) {
    reject(cannotStart(path, error));
  }
  return promise;
}

/** A text that differs between processors that need different code. */
function processor(): string {
  const lines = firstProcessor().split("\n");
  const telling = lines.filter((line) => /^(?:model name|flags|Features|CPU (?:part|implementer))\b/.test(line));
  return telling.length > 0 ? telling.join("\n") : `${platform} ${architecture}`;
}

/** The name under which the cache keeps what is known of a compiler. */
function memoryName(path: string, probes: Probes, flags: Flags): string {
  const { modified, size } = files.info(path, true)!;
  const texts = [files.real(path), `${modified} ${size}`, processor(), JSON.stringify([probes, flags])];
  return `compiler-${digest(...texts).slice(0, 32)}`;
}

/** What an earlier process found out about a compiler; null if none did. */
export function recallCompiler(path: string, cache: KernelCache, probes: Probes, flags: Flags): Compiler | null {
  const known = cache.recall(memoryName(path, probes, flags));
  return known === null ? null : { ...JSON.parse(known) as Compiler, path };
}

/** Finds out what a compiler can do, and keeps that in the cache. @throws CompileError where it does not work */
export function* probeCompiler(path: string, cache: KernelCache, probes: Probes, flags: Flags): Compiling<Compiler> {
  const version = (yield* run(path, ["--version"])).split("\n")[0] ?? "";
  const tuned: string[] = [];
  for (const flag of ["-march=native", "-mcpu=native"]) {
    if (tuned.length === 0 && (yield* works(preprocess(path, [flag])))) tuned.push(flag);
  }
  const base = [...tuned, ...flags.common.filter((flag) => !/^-m(?:arch|cpu)=native$/.test(flag))];
  const shared = [...base, "-shared", "-fPIC"];
  // Fails here with the compiler's message where it cannot build anything.
  yield* buildText(path, shared, "int tnp_probe(int x) { return x + 1; }\n", cache);
  const openmp = yield* works(buildText(path, [...shared, ...flags.openmp], probes.openmp, cache));
  const simd = openmp || (yield* works(preprocess(path, ["-fopenmp-simd"])));
  const wide = yield* works(buildText(path, [...shared, ...flags.wide], probes.wide, cache));
  const all = [...shared, ...wide ? flags.wide : [], ...openmp ? flags.openmp : simd ? ["-fopenmp-simd"] : []];
  const compiler: Compiler = {
    path,
    version,
    identity: digest(version, files.real(path), all.join(" "), yield* preprocess(path, all), processor()),
    features: { openmp },
    flags: all,
    libraries: ["-lm"],
  };
  debug("engines", () => `compiler ${path}: ${version}; ${JSON.stringify(compiler.features)}; ${all.join(" ")}`);
  cache.remember(memoryName(path, probes, flags), JSON.stringify(compiler));
  return compiler;
}

function* run(path: string, args: readonly string[], input = ""): Compiling<string> {
  return yield { path, args, input };
}

function* works(attempt: Compiling<unknown>): Compiling<boolean> {
  try {
    yield* attempt;
    return true;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    debug("engines", () => error.message);
    return false;
  }
}

/** The macros in force under some flags: they name the version and every instruction set. */
function preprocess(path: string, flags: readonly string[]): Compiling<string> {
  return run(path, [...flags, "-dM", "-E", "-x", "c", "-"]);
}

function* buildText(path: string, flags: readonly string[], text: string, cache: KernelCache): Compiling<void> {
  const source = cache.temporary("c"), output = cache.temporary("so");
  try {
    system.fs.writeFileSync(source, text, { mode: 0o600 });
    yield* build(path, flags, source, output, []);
  } finally {
    system.fs.rmSync(source, { force: true });
    system.fs.rmSync(output, { force: true });
  }
}

/** Compiles a source file into a shared library. @throws CompileError with the compiler's message */
export function* build(
  path: string,
  flags: readonly string[],
  source: string,
  output: string,
  libraries: readonly string[],
): Compiling<void> {
  yield* run(path, [...flags, "-o", output, source, ...libraries]);
}

/** Whether a run beside the program is known to be over while the program computes without a pause: Linux tells. */
export const observable: boolean = platform === "linux" && permission("read", "/proc");

/** A run of the compiler beside the program, which it does not keep from ending. */
class RunBeside {
  readonly #run: CompilerRun;
  readonly #child: ChildProcess;
  readonly #outputs: readonly [string, string];
  readonly #seen: boolean;
  #ended: Pick<Ended, "status" | "signal"> | null = null;

  /**
   * @param outputs files for what it prints
   * @throws CompileError where it cannot be started
   */
  constructor(run: CompilerRun, outputs: readonly [string, string]) {
    this.#run = run;
    this.#outputs = outputs;
    const open = outputs.map((path) => system.fs.openSync(path, "w", 0o600));
    try {
      const child = this.#child = system.child_process.spawn(run.path, [...run.args], {
        env: environment(),
        stdio: ["ignore", open[0]!, open[1]!],
      });
      child.once("exit", (status, signal) => this.#ended = { status, signal });
      child.once("error", () => this.#ended ??= { status: 127, signal: null });
      child.unref();
      // Events do not come while a program computes without a pause; there the system is asked.
      this.#seen = child.pid !== undefined && stateOf(child.pid) !== null;
    } catch (error) {
      throw cannotStart(run.path, error);
    } finally {
      open.forEach((file) => system.fs.closeSync(file));
    }
  }

  over(): boolean {
    if (this.#ended !== null || !this.#seen) return this.#ended !== null;
    const state = stateOf(this.#child.pid!);
    return state === null || state === "Z" || state === "X";
  }

  /** What it printed, once it is over. @throws CompileError where it failed */
  printed(): string {
    const [stdout, stderr] = this.#outputs.map(readText) as [string, string], { path, args } = this.#run;
    if (this.#ended !== null) return printed(path, { ...this.#ended, stdout, stderr });
    // The status comes with the event. A compiler that fails removes what it was to make, or prints nothing.
    const at = args.indexOf("-o");
    const made = at < 0 ? stdout !== "" : files.info(args[at + 1]!, true) !== null;
    return printed(path, { status: made ? 0 : 1, signal: null, stdout, stderr });
  }

  kill(): void {
    this.#child.kill();
  }

  remove(): void {
    this.#outputs.forEach((path) => files.remove(path));
  }
}

/** Work that runs the compiler beside the program, and goes on when it is looked at: the program need not turn to its event loop. */
export class Background<T> {
  readonly #work: Compiling<T>;
  readonly #temporary: (extension: string) => string;
  #run: RunBeside | null = null;
  #result: { readonly value: T } | null = null;
  #failure: { readonly error: unknown } | null = null;
  readonly #stop = () => this.cancel();

  /**
   * @param temporary gives names for files
   */
  constructor(work: Compiling<T>, temporary: (extension: string) => string) {
    this.#work = work;
    this.#temporary = temporary;
    system.process.on("exit", this.#stop);
    this.#goOn(() => work.next());
  }

  /** The result, once it is there. @throws what the work throws */
  look(): { readonly value: T } | null {
    while (this.#run?.over() === true) {
      const run = this.#run;
      this.#run = null;
      let out: string;
      try {
        out = run.printed();
      } catch (error) {
        this.#goOn(() => this.#work.throw(error));
        continue;
      } finally {
        run.remove();
      }
      this.#goOn(() => this.#work.next(out));
    }
    if (this.#failure !== null) throw this.#failure.error;
    return this.#result;
  }

  /** Whether nothing runs any more: there is a result, it failed, or it was given up. */
  get over(): boolean {
    if (this.#run?.over() === true) {
      try {
        this.look();
      } catch {
        // Whoever looks next is told.
      }
    }
    return this.#run === null;
  }

  /** The same, waiting for so many milliseconds. */
  wait(ms: number): { readonly value: T } | null {
    const end = performance.now() + ms, clock = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      const result = this.look();
      if (result !== null || performance.now() >= end) return result;
      Atomics.wait(clock, 0, 0, 1);
    }
  }

  /** Ends it and removes its files. */
  cancel(): void {
    system.process.removeListener("exit", this.#stop);
    this.#run?.kill();
    this.#run?.remove();
    this.#run = null;
    this.#work.return(undefined as T);
  }

  /** Takes a step of the work and starts the run that it asks for. */
  #goOn(next: () => IteratorResult<CompilerRun, T>): void {
    try {
      let step = next();
      while (step.done !== true) {
        const outputs = [this.#temporary("out"), this.#temporary("err")] as const;
        try {
          this.#run = new RunBeside(step.value, outputs);
          return;
        } catch (error) {
          outputs.forEach((path) => files.remove(path));
          step = this.#work.throw(error);
        }
      }
      this.#result = { value: step.value };
    } catch (error) {
      this.#failure = { error };
    } finally {
      if (this.#run === null) system.process.removeListener("exit", this.#stop);
    }
  }
}

/** The state of a process as Linux tells it; null where there is none, or on another system. */
function stateOf(pid: number): string | null {
  try {
    const stat = readText(`/proc/${pid}/stat`);
    return stat[stat.lastIndexOf(")") + 2] ?? null;
  } catch {
    return null;
  }
}
