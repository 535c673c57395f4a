/** The preamble's functions as C loops, built with a harness that measures their errors. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cFlags } from "../../kernels/c.ts";
import { cLibrary, cPreamble, cTypes } from "../../kernels/preamble/c.ts";

export const unary =
  ("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh " +
    "erf erfc cbrt").split(" ");
export const binary = ["pow", "atan2", "hypot"];
const circular = new Set(["sin", "cos", "tan"]);

/** The largest error promised, in units in the last place. */
export function promised(name: string): number {
  return /^(exp|log|sin|cos|tanh)/.test(name) ? 2 : 4;
}

/**
 * One loop a function and type: `k_sin_f32` with every argument right, and `near_sin_f32` without far ones, which vectorises.
 *
 * @returns the source, and by name the line of the loop that has to vectorise
 */
export function loops(): { source: string; lines: Map<string, number> } {
  const calls: { name: string; text: string; fast: boolean }[] = [];
  for (const t of ["f32", "f64"] as const) {
    for (const f of [...unary, ...binary]) {
      const args = binary.includes(f) ? "x[i], z[i]" : "x[i]";
      calls.push({ name: `k_${f}_${t}`, text: `${f}_${t}(${args})`, fast: !circular.has(f) });
      // One argument the same for all, as plain numbers are.
      if (binary.includes(f)) {
        calls.push({ name: `right_${f}_${t}`, text: `${f}_${t}(x[i], c)`, fast: true });
        calls.push({ name: `left_${f}_${t}`, text: `${f}_${t}(c, x[i])`, fast: true });
      }
      if (circular.has(f)) calls.push({ name: `near_${f}_${t}`, text: `${f}_near_${t}(${args})`, fast: true });
    }
  }
  const bodies = calls.map(({ name, text }) => {
    const t = name.slice(-3);
    const fixed = /\bc\b/.test(text) ? ` const ${t} c = *z;` : "";
    return `void ${name}(${t} *restrict y, const ${t} *restrict x, const ${t} *restrict z, int n) {${fixed}
#pragma omp simd
  for (int i = 0; i < n; i++) y[i] = ${text};
}
`;
  });
  const text = bodies.join("");
  const preamble = cPreamble(text);
  const head = cTypes + cLibrary(preamble + text) + preamble;
  const lines = new Map<string, number>();
  let line = head.split("\n").length;
  calls.forEach(({ name, fast }, i) => {
    if (fast) lines.set(name, line + 2);
    line += bodies[i]!.split("\n").length - 1;
  });
  return { source: head + text, lines };
}

/** Whether a compiler is there. */
export function isInstalled(cc: string): boolean {
  try {
    return spawnSync(cc, ["--version"]).status === 0;
  } catch {
    return false; // Deno throws where Node and Bun return the error.
  }
}

/** A folder that is removed with the program. */
export class Workshop implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "tnp-ulp-"));
  readonly #cc: string;

  constructor(cc: string = globalThis.process?.env["TNP_CC"] ?? "cc") {
    this.#cc = cc;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /** Runs the compiler; null where there is none. @returns status and what it said */
  #compile(args: readonly string[]): { ok: boolean; text: string } | null {
    try {
      const r = spawnSync(this.#cc, [...args], { encoding: "utf8", maxBuffer: 64 << 20 });
      return r.error === undefined ? { ok: r.status === 0, text: r.stderr } : null;
    } catch {
      return null; // Deno throws where Node and Bun return the error.
    }
  }

  /**
   * Compiles the loops.
   *
   * @param target flags that say for which processor; this one without
   * @returns the names of loops that did not vectorise; null without a compiler
   */
  build(target?: readonly string[]): string[] | null {
    const { source, lines } = loops();
    const c = join(this.path, "loops.c");
    writeFileSync(c, source);
    const version = this.#compile(["--version"]);
    if (version === null) return null;
    const common = cFlags.common.filter((flag) => target === undefined || flag !== "-march=native");
    const base = [...common, ...target ?? [], "-fopenmp-simd", "-c", "-o", join(this.path, "loops.o"), c];
    // GCC says so with one flag, Clang with the other.
    const built = [["-fopt-info-vec-optimized"], ["-Rpass=loop-vectorize"]]
      .map((flag) => this.#compile([...base, ...flag])).find((r) => r?.ok);
    if (built === undefined || built === null) throw new Error("the loops do not compile");
    const seen = new Set<number>();
    for (const m of built.text.matchAll(/loops\.c:(\d+):\d+: .*(?:loop vectorized|vectorized loop)/g)) seen.add(+m[1]!);
    // GCC names the loop's line, Clang the pragma's above it.
    return [...lines].filter(([, line]) => !seen.has(line) && !seen.has(line - 1)).map(([name]) => name);
  }

  /** Links the harness. @returns false where libquadmath is missing */
  link(): boolean {
    const harness = fileURLToPath(new URL("../ulp/harness.c", import.meta.url));
    const args = ["-O2", "-fno-builtin", "-fopenmp", "-o", join(this.path, "ulp"), harness, join(this.path, "loops.o")];
    return this.#compile([...args, "-lquadmath", "-lm"])?.ok ?? false;
  }

  /** Nanoseconds an element for float32 and float64, by function: these, the C library's, glibc's vector functions. */
  speeds(): { own: Times; library: Times; vectors: Times | null } {
    const source = fileURLToPath(new URL("../ulp/speed.c", import.meta.url));
    const time = (name: string, flags: readonly string[], libraries: readonly string[]) => {
      const out = join(this.path, name), native = cFlags.common.filter((flag) => flag !== "-std=gnu11");
      const args = [
        ...native,
        "-fno-builtin",
        "-fopenmp-simd",
        ...flags,
        "-o",
        out,
        source,
        join(this.path, "loops.o"),
      ];
      if (!this.#compile([...args, ...libraries, "-lm"])?.ok) return null;
      const own: Times = new Map(), library: Times = new Map();
      for (const line of spawnSync(out, [], { encoding: "utf8" }).stdout.trim().split("\n")) {
        const [function_, a, b, c, d] = line.split(" ");
        own.set(function_!, [Number(a), Number(c)]);
        library.set(function_!, [Number(b), Number(d)]);
      }
      return { own, library };
    };
    const scalar = time("scalar", ["-fno-tree-vectorize"], []);
    if (scalar === null) throw new Error("the timed program does not compile");
    return { ...scalar, vectors: time("vectors", ["-DVECTORS"], ["-lmvec"])?.library ?? null };
  }

  /** Measures: for float32 every `amount`-th number, for float64 so many. */
  measure(type: "float32" | "float64", amount: number, only: readonly string[] = []): Measure[] {
    const r = spawnSync(join(this.path, "ulp"), [type, String(amount), ...only], { encoding: "utf8" });
    if (r.status !== 0) throw new Error(`the harness failed: ${r.stderr}`);
    return r.stdout.trim().split("\n").map((line) => {
      const [name, ulp, x, y, points, wrong, wrongX, wrongY] = line.split(" ");
      const at = binary.includes(name!) ? [Number(x), Number(y)] : [Number(x)];
      const wrongAt = binary.includes(name!) ? [wrongX!, wrongY!] : [wrongX!];
      return { name: name!, ulp: Number(ulp), at, points: Number(points), wrong: Number(wrong), wrongAt };
    });
  }
}

/** Nanoseconds for float32 and float64. */
type Times = Map<string, readonly [number, number]>;

/** What was found of one function. */
export interface Measure {
  readonly name: string;
  /** The largest error in units in the last place, and where it is. */
  readonly ulp: number;
  readonly at: readonly number[];
  readonly points: number;
  /** Points whose kind is wrong, and the first. */
  readonly wrong: number;
  readonly wrongAt: readonly string[];
}
