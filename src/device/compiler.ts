/**
 * The system's C compiler: where it is, what it can do, and one call to it.
 * @module
 */
import { spawnSync } from "node:child_process";
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
  /** glibc's vector mathematics. */
  readonly libmvec: boolean;
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
  readonly libmvec: string;
}

/** Flags every kernel is compiled with, before what was probed. */
export interface Flags {
  readonly common: readonly string[];
  readonly openmp: readonly string[];
}

/** A compile that failed; the message is the compiler's. */
export class CompileError extends Error {
  override name = "CompileError";
}

/** Where the compiler is, or why there is none to use. */
export function findCompiler(): { readonly path: string } | { readonly reason: string } {
  const wanted = env("TNP_CC");
  if (wanted === "none" || wanted === "off") return { reason: `hidden by TNP_CC=${wanted}` };
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

/** The environment that the compiler runs in: what may be read and handed on. */
function environment(): Record<string, string> {
  const all = permission("env");
  const out: Record<string, string> = {};
  for (const name of all ? Object.keys(process.env) : ["PATH", "HOME", "TMPDIR"]) {
    // Deno hands these on only to programs of those who may run every program.
    if (/^(?:LD|DYLD)_/.test(name) && !permission("run")) continue;
    const value = env(name);
    if (value !== undefined) out[name] = value;
  }
  out["LC_ALL"] = "C";
  return out;
}

/** Runs the compiler. @throws CompileError with its message */
export function runCompiler(path: string, args: readonly string[], input = ""): string {
  const result = spawn(path, args, input);
  if (result.error !== undefined) throw new CompileError(`${path}: ${result.error.message}`);
  if (result.status !== 0) {
    const how = result.status === null ? `ended by ${result.signal}` : `ended with status ${result.status}`;
    throw new CompileError(`${path} ${how}: ${(result.stderr || result.stdout || "no message").trim()}`);
  }
  return result.stdout;
}

function spawn(path: string, args: readonly string[], input: string) {
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

/** The compiler with what it can do, from what the cache remembers or by trying. @throws CompileError where it does not work */
export function probeCompiler(path: string, cache: KernelCache, probes: Probes, flags: Flags): Compiler {
  const { mtimeMs, size } = statSync(path);
  const real = realpathSync(path);
  const name = `compiler-${
    digest(real, `${mtimeMs} ${size}`, processor(), JSON.stringify([probes, flags])).slice(0, 32)
  }`;
  const known = cache.recall(name);
  if (known !== null) return { ...JSON.parse(known) as Compiler, path };

  const version = runCompiler(path, ["--version"]).split("\n")[0] ?? "";
  const native = ["-march=native", "-mcpu=native"].find((flag) => works(() => preprocess(path, [flag])));
  const tuned = native === undefined ? [] : [native];
  const base = [...tuned, ...flags.common.filter((flag) => flag !== native)];
  const shared = [...base, "-shared", "-fPIC"];
  const builds = (source: string, extra: readonly string[], libraries: readonly string[]) =>
    works(() => buildText(path, [...shared, ...extra], source, libraries, cache));
  // Fails here with the compiler's message where it cannot build anything.
  buildText(path, shared, "int tnp_probe(int x) { return x + 1; }\n", [], cache);
  const openmp = builds(probes.openmp, flags.openmp, []);
  const threads = openmp ? flags.openmp : works(() => preprocess(path, ["-fopenmp-simd"])) ? ["-fopenmp-simd"] : [];
  const libmvec = builds(probes.libmvec, threads, ["-lmvec", "-lm"]);
  const all = [...shared, ...threads];
  const compiler: Compiler = {
    path,
    version,
    identity: digest(version, real, all.join(" "), preprocess(path, all), processor()),
    features: { openmp, libmvec },
    flags: all,
    libraries: [...(libmvec ? ["-lmvec"] : []), "-lm"],
  };
  debug("engines", () => `compiler ${path}: ${version}; ${JSON.stringify(compiler.features)}; ${all.join(" ")}`);
  cache.remember(name, JSON.stringify(compiler));
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
