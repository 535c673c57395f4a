/**
 * The system's C compiler: where it is, what it can do, and one call to it.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import process from "node:process";
import { architecture, env, permission, platform } from "../../ffi/runtime.ts";
import { debug } from "../base/debug.ts";
import { digest, type KernelCache } from "./cache.ts";

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
  const folders = (env("PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(delimiter).filter(isAbsolute);
  const suffix = platform === "win32" ? ".exe" : "";
  let forbidden = false;
  for (const name of names) {
    const paths = isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name + suffix));
    for (const path of paths) {
      if (!permission("read", path)) {
        forbidden = true;
        continue;
      }
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined || !stat.isFile() || platform !== "win32" && (stat.mode & 0o111) === 0) continue;
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
  for (const [name, value] of Object.entries(process.env)) {
    // Deno hands these on only to programs of those who may run every program.
    if (value === undefined || /^(?:LD|DYLD)_/.test(name) && !permission("run")) continue;
    out[name] = value;
  }
  out["LC_ALL"] = "C";
  return out;
}

/** Runs the compiler. @throws CompileError with its message */
export function runCompiler(path: string, args: readonly string[], input = ""): string {
  const result = runSync(path, args, input);
  if (result.error !== undefined) throw new CompileError(`${path}: ${result.error.message}`);
  if (result.status !== 0) {
    const how = result.status === null ? `ended by ${result.signal}` : `ended with status ${result.status}`;
    throw new CompileError(`${path} ${how}: ${(result.stderr || result.stdout || "no message").trim()}`);
  }
  return result.stdout;
}

function runSync(path: string, args: readonly string[], input: string) {
  try {
    return spawnSync(path, [...args], {
      input,
      encoding: "utf8",
      env: environment(),
      timeout: 120_000,
      maxBuffer: 64 << 20,
    });
  } catch (error) {
    // Deno throws where Node and Bun return the error.
    throw new CompileError(`${path}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

/** A text that differs between processors that need different code. */
function processor(): string {
  const file = "/proc/cpuinfo";
  if (platform === "linux" && permission("read", file)) {
    try {
      const lines = readFileSync(file, "utf8").split("\n\n")[0]!.split("\n");
      return lines.filter((line) => /^(?:model name|flags|Features|CPU (?:part|implementer))\b/.test(line)).join("\n");
    } catch {
      // Some containers hide it.
    }
  }
  return `${platform} ${architecture}`;
}

/** The name under which the cache keeps what is known of a compiler. */
function memoryName(path: string, probes: Probes, flags: Flags): string {
  const { mtimeMs, size } = statSync(path);
  const texts = [realpathSync(path), `${mtimeMs} ${size}`, processor(), JSON.stringify([probes, flags])];
  return `compiler-${digest(...texts).slice(0, 32)}`;
}

/** What an earlier process found out about a compiler; null if none did. */
export function recallCompiler(path: string, cache: KernelCache, probes: Probes, flags: Flags): Compiler | null {
  const known = cache.recall(memoryName(path, probes, flags));
  return known === null ? null : { ...JSON.parse(known) as Compiler, path };
}

/** Finds out what a compiler can do, and keeps that in the cache. @throws CompileError where it does not work */
export function probeCompiler(path: string, cache: KernelCache, probes: Probes, flags: Flags): Compiler {
  const version = runCompiler(path, ["--version"]).split("\n")[0] ?? "";
  const native = ["-march=native", "-mcpu=native"].find((flag) => works(() => preprocess(path, [flag])));
  const tuned = native === undefined ? [] : [native];
  const base = [...tuned, ...flags.common.filter((flag) => !/^-m(?:arch|cpu)=native$/.test(flag))];
  const shared = [...base, "-shared", "-fPIC"];
  const builds = (source: string, extra: readonly string[], libraries: readonly string[]) =>
    works(() => buildText(path, [...shared, ...extra], source, libraries, cache));
  // Fails here with the compiler's message where it cannot build anything.
  buildText(path, shared, "int tnp_probe(int x) { return x + 1; }\n", [], cache);
  const openmp = builds(probes.openmp, flags.openmp, []);
  const threads = openmp ? flags.openmp : works(() => preprocess(path, ["-fopenmp-simd"])) ? ["-fopenmp-simd"] : [];
  const wide = builds(probes.wide, flags.wide, []) ? flags.wide : [];
  const all = [...shared, ...wide, ...threads];
  const compiler: Compiler = {
    path,
    version,
    identity: digest(version, realpathSync(path), all.join(" "), preprocess(path, all), processor()),
    features: { openmp },
    flags: all,
    libraries: ["-lm"],
  };
  debug("engines", () => `compiler ${path}: ${version}; ${JSON.stringify(compiler.features)}; ${all.join(" ")}`);
  cache.remember(memoryName(path, probes, flags), JSON.stringify(compiler));
  return compiler;
}

function works(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    debug("engines", () => error.message);
    return false;
  }
}

/** The macros in force under some flags: they name the version and every instruction set. */
function preprocess(path: string, flags: readonly string[]): string {
  return runCompiler(path, [...flags, "-dM", "-E", "-x", "c", "-"]);
}

function buildText(
  path: string,
  flags: readonly string[],
  text: string,
  libraries: readonly string[],
  cache: KernelCache,
): void {
  const source = cache.temporary("c"), output = cache.temporary("so");
  try {
    writeFileSync(source, text, { mode: 0o600 });
    build(path, flags, source, output, libraries);
  } finally {
    rmSync(source, { force: true });
    rmSync(output, { force: true });
  }
}

/** Compiles a source file into a shared library. @throws CompileError with the compiler's message */
export function build(
  path: string,
  flags: readonly string[],
  source: string,
  output: string,
  libraries: readonly string[],
): void {
  runCompiler(path, [...flags, "-o", output, source, ...libraries]);
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
    const child = spawn(path, [...args], { env: environment(), stdio: "ignore" });
    let ended = false;
    const cancel = () => {
      child.kill();
      remove();
    };
    const end = () => {
      ended = true;
      process.removeListener("exit", cancel);
    };
    process.on("exit", cancel);
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
        process.removeListener("exit", cancel);
        cancel();
      },
    };
  } catch (error) {
    throw new CompileError(`${path}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

/** Whether a child of this process runs and has not just not been waited for; null where the system does not say. */
function isRunning(pid: number): boolean | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT" && platform === "linux" ? false : null;
  }
  const state = stat[stat.lastIndexOf(")") + 2];
  return state !== "Z" && state !== "X";
}
