// Compiles common kernels into kernels/pack: make kernels
// One library for each instruction set, with OpenMP and without; users then need no compiler for these.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { architecture } from "../ffi/runtime.ts";
import { cFlags, renderC } from "../kernels/c.ts";
import type { Kernel } from "../kernels/kernel.ts";
import { type NDArray, tnp } from "../mod.ts";
import { nodeOf } from "../src/array.ts";
import { checkSum, digest } from "../src/base/digest.ts";
import { findCompiler } from "../src/device/compiler.ts";
import type { Executable } from "../src/device/device.ts";
import { NullDevice } from "../src/device/null.ts";
import { type PackIndex, packName, packSymbol } from "../src/device/pack.ts";
import { withDevice } from "../src/device/registry.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { programs } from "../tests/tables/programs.ts";

/** Runs nothing, and keeps the kernels. */
class Recorder extends NullDevice {
  readonly seen = new Map<string, Kernel>();

  override kernel(kernel: Kernel): Executable {
    this.seen.set(kernel.key, kernel);
    return super.kernel(kernel);
  }
}

const floats = ["float32", "float64"] as const, integers = ["int32", "int64"] as const;
const all = [...floats, ...integers, "bool", "uint8"] as const;

const unary = {
  f: "negative abs sqrt square exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh sign floor ceil rint isnan isfinite reciprocal",
  i: "negative abs square sign",
} as const;
const binary = {
  f: "add subtract multiply divide power maximum minimum less less_equal equal not_equal greater greater_equal",
  i: "add subtract multiply maximum minimum less less_equal equal not_equal greater greater_equal floor_divide bitwise_and bitwise_or bitwise_xor",
} as const;
const reductions = {
  f: "sum prod mean max min argmax argmin var std any all",
  i: "sum prod mean max min argmax argmin any all",
} as const;

type Function = (...args: unknown[]) => NDArray;
const call = (name: string, ...args: unknown[]): NDArray =>
  (tnp as unknown as Readonly<Record<string, Function>>)[name]!(...args);

/** Common work, one kernel or a few each. */
function* work(): Generator<() => readonly NDArray[]> {
  for (const dtype of [...floats, ...integers]) {
    const kind = dtype.startsWith("f") ? "f" : "i";
    const stored = (...shape: number[]) => {
      const x = tnp.zeros(shape, { dtype });
      evaluate([nodeOf(x)]);
      return x;
    };
    const x = stored(64, 48), y = stored(64, 48), row = stored(48), column = stored(64, 1);
    const layouts: readonly NDArray[] = [x, x.at(":", "::2"), x.T];
    for (const name of unary[kind].split(" ")) for (const z of layouts) yield () => [call(name, z)];
    for (const name of binary[kind].split(" ")) {
      yield () => [call(name, x, y)];
      yield () => [call(name, x, 2)];
      yield () => [call(name, 2, x)];
      yield () => [call(name, x, row)];
      yield () => [call(name, x, column)];
      yield () => [call(name, x.at(":", "::2"), y.at(":", "::2"))];
    }
    for (const name of reductions[kind].split(" ")) for (const axis of [null, 0, 1]) yield () => [call(name, x, axis)];
    for (const name of ["cumsum", "cumprod"]) for (const axis of [0, 1]) yield () => [call(name, x, axis)];
    for (const to of all) if (to !== dtype) yield () => [x.astype(to)];
    yield () => [tnp.where(x.gt(0), x, y)];
    yield () => [tnp.where(x.gt(0), x, 0)];
    yield () => [tnp.clip(x, 0, 1)];
    if (kind === "f") {
      yield () => [tnp.divide(1, tnp.exp(x.neg()).add(1))];
      yield () => [tnp.sqrt(x.mul(x).add(x.mul(2)).add(3)).mul(tnp.sin(x)).sub(tnp.tanh(x))];
    }
  }
}

/** The kernels of common work and of the programs whose cost is known. */
function collect(): Kernel[] {
  const device = new Recorder();
  withDevice(device, () => {
    for (const make of work()) evaluate(make().map(nodeOf));
    for (const { make } of programs) {
      const run = make();
      for (let i = 0; i < 2; i++) evaluate(run().map(nodeOf));
    }
  });
  return [...device.seen.values()];
}

function execute(path: string, args: readonly string[]): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(path, [...args], { stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", fail);
    child.once("exit", (code) => code === 0 ? done() : fail(new Error(`kernels: ${path} ended with ${code}`)));
  });
}

async function main(): Promise<void> {
  const found = findCompiler();
  if ("reason" in found) throw new Error(`kernels: ${found.reason}`);
  const target = resolve(process.argv[2] ?? "kernels/pack");
  const sources = new Map(
    collect().map((kernel) => {
      const text = renderC(kernel);
      return [digest(text), text] as const;
    }),
  );
  console.log(`${sources.size} kernels`);
  const folder = mkdtempSync(join(tmpdir(), "tnp-kernels-"));
  try {
    for (const [key, text] of sources) writeFileSync(join(folder, `${key}.c`), text);
    for (const level of architecture === "x64" ? ["x86-64-v3", "x86-64-v4"] : ["armv8-a"]) {
      for (const openmp of [true, false]) {
        const common = cFlags.common.filter((flag) => flag !== "-march=native");
        const flags = [...common, `-march=${level}`, ...(openmp ? cFlags.openmp : ["-fopenmp-simd"]), "-fPIC"];
        const keys = [...sources.keys()], left = [...keys];
        const work = async (): Promise<void> => {
          for (let key = left.pop(); key !== undefined; key = left.pop()) {
            const [text, object] = [join(folder, `${key}.c`), join(folder, `${key}.o`)];
            await execute(found.path, [...flags, `-Dtnp_kernel=${packSymbol(key)}`, "-c", "-o", object, text]);
          }
        };
        await Promise.all(Array.from({ length: availableParallelism() }, work));
        mkdirSync(target, { recursive: true });
        const path = join(target, packName(level, openmp)), output = `${path}.tmp`;
        const objects = join(folder, "objects");
        writeFileSync(objects, keys.map((key) => join(folder, `${key}.o`)).join("\n"));
        let written: string;
        try {
          await execute(found.path, [...flags, "-shared", "-s", "-o", output, `@${objects}`, "-lm"]);
          written = checkSum(readFileSync(output));
          renameSync(output, `${path}.so`);
        } finally {
          rmSync(output, { force: true });
        }
        const index: PackIndex = { format: 2, sum: written, kernels: keys };
        writeFileSync(`${path}.json`, JSON.stringify(index));
        console.log(`${path}.so`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
