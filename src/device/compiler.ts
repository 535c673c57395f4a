/**
 * The system's C compiler: where it is, what it can do, and one call to it.
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { delimiter, isAbsolute, join } from "../../ffi/paths.ts";
import { architecture, env, files, permission, platform, readText } from "../../ffi/runtime.ts";
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

/** Where the compiler is, or why there is none to use. */
export function findCompiler(): { readonly path: string } | { readonly reason: string } {
  const wanted = env("TNP_CC");
  if (wanted === "none" || wanted === "off") return { reason: `hidden by TNP_CC=${wanted}` };
  // Deno reads variables of its own before it runs a program, and would ask for them.
  if (!permission("env")) {
    return { reason: "may not read the environment, as running a compiler needs: run with --allow-env" };
  }
  const names = wanted === undefined ? ["cc", "gcc", "clang"] : [wanted];
  const folders = (env("PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(delimiter).filter(
    isAbsolute,
  );
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
  const file = "/proc/cpuinfo";
  if (platform === "linux" && permission("read", file)) {
    try {
      const lines = readText(file).split("\n\n")[0]!.split("\n");
      return lines.filter((line) => /^(?:model name|flags|Features|CPU (?:part|implementer))\b/.test(line)).join("\n");
    } catch {
      // Some containers hide it.
    }
  }
  return `${platform} ${architecture}`;
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

/** A compiler that runs beside the program. */
export interface Started {
  /** Whether it has ended, however. */
  over(): boolean;
  /** Ends it and removes its files. */
  cancel(): void;
}

/**
 * Starts the compiler beside the program, which it does not keep from ending.
 *
 * @param remove removes its files, if it is ended first
 * @throws CompileError where it cannot be started
 */
export function start(path: string, args: readonly string[], remove: () => void): Started {
  try {
    const child = system.child_process.spawn(path, [...args], { env: environment(), stdio: "ignore" });
    let ended = false;
    const cancel = () => {
      child.kill();
      remove();
    };
    const end = () => {
      ended = true;
      system.process.removeListener("exit", cancel);
    };
    system.process.on("exit", cancel);
    child.once("exit", end);
    child.once("error", end);
    child.unref();
    const { pid } = child;
    // Events do not come while a program computes without a pause; there the system is asked.
    const seen = pid !== undefined && isRunning(pid) === true;
    return {
      over() {
        if (!ended && seen && isRunning(pid) === false) end();
        return ended;
      },
      cancel() {
        system.process.removeListener("exit", cancel);
        cancel();
      },
    };
  } catch (error) {
    throw cannotStart(path, error);
  }
}

/** Whether a child of this process runs and has not just not been waited for; null where the system does not say. */
function isRunning(pid: number): boolean | null {
  let stat: string;
  try {
    stat = system.fs.readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT" && platform === "linux" ? false : null;
  }
  const state = stat[stat.lastIndexOf(")") + 2];
  return state !== "Z" && state !== "X";
}
