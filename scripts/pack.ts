// Makes libraries of compiled kernels that need no compiler where they are used.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { architecture } from "../ffi/runtime.ts";
import { cFlags, renderC } from "../kernels/c.ts";
import type { Kernel } from "../kernels/kernel.ts";
import { checkSum } from "../src/base/digest.ts";
import { findCompiler } from "../src/device/compiler.ts";
import { compiledTraits } from "../src/device/cpu.ts";
import type { Executable } from "../src/device/device.ts";
import { NullDevice } from "../src/device/null.ts";
import { type PackIndex, packName, packSymbol } from "../src/device/pack.ts";
import { withDevice } from "../src/device/registry.ts";
import { textDigest } from "../src/device/texts.ts";

/** Runs nothing, and keeps the kernels, fused as for the CPU. */
class Recorder extends NullDevice {
  override readonly traits = compiledTraits;
  readonly seen = new Map<string, Kernel>();

  override kernel(kernel: Kernel): Executable {
    this.seen.set(kernel.key, kernel);
    return super.kernel(kernel);
  }
}

/** The kernels that some work would launch; its arrays must be made in it. */
export function recordKernels(work: () => void): Kernel[] {
  const device = new Recorder();
  withDevice(device, work);
  return [...device.seen.values()];
}

/** What a pack is made for. */
export interface PackChoice {
  /** An instruction set as `-march` names it. */
  readonly level: string;
  readonly openmp: boolean;
}

/** Every pack for this processor's architecture. */
export function packChoices(): PackChoice[] {
  const levels = architecture === "x64" ? ["x86-64-v3", "x86-64-v4"] : ["armv8-a"];
  return levels.flatMap((level) => [true, false].map((openmp) => ({ level, openmp })));
}

function execute(path: string, args: readonly string[]): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(path, [...args], { stdio: ["ignore", "inherit", "inherit"] });
    child.once("error", fail);
    child.once("exit", (code) => code === 0 ? done() : fail(new Error(`pack: ${path} ended with ${code}`)));
  });
}

/**
 * Compiles a library of kernels and its index.
 * @param target the folder for both
 * @returns the library's path
 * @throws Error without a compiler, or where it fails
 */
export async function makePack(
  kernels: readonly Kernel[],
  target: string,
  { level, openmp }: PackChoice,
): Promise<string> {
  const found = findCompiler();
  if ("reason" in found) throw new Error(`pack: ${found.reason}`);
  const sources = new Map(kernels.map(renderC).map((text) => [textDigest(text), text]));
  const common = cFlags.common.filter((flag) => flag !== "-march=native");
  const flags = [...common, `-march=${level}`, ...(openmp ? cFlags.openmp : ["-fopenmp-simd"]), "-fPIC"];
  const folder = mkdtempSync(join(tmpdir(), "tnp-kernels-"));
  try {
    const left = [...sources];
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [key, text] = next, file = join(folder, `${key}.c`);
        writeFileSync(file, text);
        const names = [`-Dtnp_kernel=${packSymbol(key)}`, "-c", "-o", join(folder, `${key}.o`)];
        await execute(found.path, [...flags, ...names, file]);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    mkdirSync(target, { recursive: true });
    const path = join(target, packName(level, openmp)), output = `${path}.tmp`, objects = join(folder, "objects");
    writeFileSync(objects, [...sources.keys()].map((key) => join(folder, `${key}.o`)).join("\n"));
    try {
      await execute(found.path, [...flags, "-shared", "-s", "-o", output, `@${objects}`, "-lm"]);
      const index: PackIndex = { format: 2, sum: checkSum(readFileSync(output)), kernels: [...sources.keys()] };
      renameSync(output, `${path}.so`);
      writeFileSync(`${path}.json`, JSON.stringify(index));
    } finally {
      rmSync(output, { force: true });
    }
    return `${path}.so`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
