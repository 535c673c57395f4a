// Counts the instructions of compiled kernels under callgrind and writes docs/instructions.md: make instructions
// One thread, one instruction set (AVX2 where the processor is an x86): the counts of two machines with the same compiler are the same.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { architecture } from "../ffi/runtime.ts";
import { cFlags, renderC } from "../kernels/c.ts";
import { blockLayout, type Kernel, type Operand, type Output } from "../kernels/kernel.ts";
import { nodeOf } from "../src/array.ts";
import { dtypeInfo } from "../src/base/dtype.ts";
import type { ArrayArg, Executable, Launch, VirtualArg } from "../src/device/device.ts";
import { build, compileNow, type Compiler } from "../src/device/compiler.ts";
import { toolchain } from "../src/device/native.ts";
import { NullDevice } from "../src/device/null.ts";
import { withDevice } from "../src/device/registry.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { programs } from "../tests/tables/programs.ts";
import { markdownTable } from "./markdown.ts";

/** A kernel with the sizes, strides and numbers of one launch. */
interface Sample {
  readonly kernel: Kernel;
  readonly sizes: readonly number[];
  readonly operands: readonly Place[];
  readonly outputs: readonly Place[];
  readonly scalars: readonly (number | bigint)[];
}

/** Where an array lies in its block of memory. */
interface Place {
  readonly bytes: number;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Runs nothing, and keeps what would have run. */
class Recorder extends NullDevice {
  samples: Sample[] = [];

  override kernel(kernel: Kernel): Executable {
    const place = ({ buffer, offset, strides }: ArrayArg | VirtualArg): Place => {
      return { bytes: buffer?.byteLength ?? 0, offset, strides: [...strides] };
    };
    return ({ sizes, operands, outputs, scalars }: Launch) => {
      const places = { operands: operands.map(place), outputs: outputs.map(place) };
      this.samples.push({ kernel, sizes: [...sizes], ...places, scalars: [...scalars] });
    };
  }
}

/** A C program that makes the arrays of a launch and calls the kernel once. */
function driver({ kernel, sizes, operands, outputs, scalars }: Sample): string {
  const layout = blockLayout(kernel), lines: string[] = [];
  sizes.forEach((size, i) => lines.push(`block[${layout.sizes + i}].i = ${size};`));
  const array = (
    { dtype, components }: Operand | Output,
    { bytes, offset, strides }: Place,
    slot: { readonly address: number; readonly strides: number },
    virtual: boolean,
  ): void => {
    const { itemsize, kind } = dtypeInfo(dtype);
    // Integers stay zero: some are indices.
    const value = dtype === "float32" || dtype === "float64"
      ? `((${dtype === "float32" ? "float" : "double"} *)p)`
      : null;
    lines.push(
      virtual
        ? `block[${slot.address}].i = ${offset};`
        : `{ char *p = fresh(${bytes}); ${
          kind === "f" && value !== null
            ? `for (long i = 0; i < ${
              Math.floor(bytes / itemsize)
            }; i++) ${value}[i] = 0.25 + 0.001 * (i * 7919 % 1000); `
            : ""
        }block[${slot.address}].i = (long long)(p + ${offset * itemsize * components}LL); }`,
    );
    strides.forEach((stride, d) => lines.push(`block[${slot.strides + d}].i = ${stride};`));
  };
  kernel.operands.forEach((o, i) => array(o, operands[i]!, layout.operands[i]!, o.virtual));
  kernel.outputs.forEach((o, i) => array(o, outputs[i]!, layout.outputs[i]!, false));
  kernel.scalars.forEach((dtype, i) => {
    const field = dtypeInfo(dtype).kind === "f" ? "f" : "i";
    lines.push(`block[${layout.scalars + i}].${field} = ${Number(scalars[i])};`);
  });
  return `
#include <stdlib.h>
#include <string.h>
static char *fresh(size_t n) { char *p = aligned_alloc(64, (n + 127) / 64 * 64); memset(p, 0, n); return p; }
static union { long long i; double f; } block[${layout.length}];
int main(void) {
  ${lines.join("\n  ")}
  tnp_kernel(block);
  return 0;
}
`;
}

/** Instructions inside the kernel. */
function instructions(sample: Sample, compiler: Compiler, folder: string): number {
  const source = join(folder, "kernel.c"), binary = join(folder, "kernel"), out = join(folder, "callgrind.out");
  const text = renderC(sample.kernel);
  // The kernel must stay a function of its own.
  writeFileSync(source, `__attribute__((noinline)) void tnp_kernel(const void *block);\n${text}\n${driver(sample)}`);
  compileNow(build(compiler.path, flags, source, binary, compiler.libraries));
  const args = ["--tool=callgrind", "--toggle-collect=tnp_kernel", `--callgrind-out-file=${out}`, binary];
  // Looking up functions of libraries is not part of the kernel's work.
  const ended = spawnSync("valgrind", args, { encoding: "utf8", env: { ...process.env, LD_BIND_NOW: "1" } });
  if (ended.error !== undefined) throw new Error(`instructions: valgrind: ${ended.error.message}`);
  if (ended.status !== 0) throw new Error(`instructions: valgrind ended with ${ended.status}\n${ended.stderr}`);
  const total = /^(?:totals|summary): (\d+)/m.exec(readFileSync(out, "utf8"));
  if (total === null) throw new Error(`instructions: no total in the output of callgrind\n${ended.stderr}`);
  return Number(total[1]);
}

const x86 = architecture === "x64";
const flags = [
  ...cFlags.common.map((flag) => flag === "-march=native" && x86 ? "-march=x86-64-v3" : flag),
  "-fopenmp-simd",
  "-g",
];
const tools = toolchain();
if (!tools.ok) throw new Error(`instructions: ${tools.reason}`);

const file = new URL("../docs/instructions.md", import.meta.url);
const before = new Map(
  (existsSync(file) ? readFileSync(file, "utf8") : "").split("\n").filter((line) => line.startsWith("| "))
    .map((line) => line.slice(2, -2).split(" | ").map((cell) => cell.trim().replaceAll("\\|", "|")))
    .map(([program, kernel, loops, count]) => [`${program} ${kernel} ${loops}`, Number(count)]),
);
const words = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "tnp-instructions-"));
const rows: string[][] = [];
const seen = new Set<string>();
try {
  for (
    const { name, make } of programs.filter(({ name }) => words.length === 0 || words.some((w) => name.includes(w)))
  ) {
    const device = new Recorder();
    withDevice(device, () => {
      const run = make();
      evaluate(run().map(nodeOf));
      device.samples = [];
      evaluate(run().map(nodeOf));
    });
    for (const sample of device.samples) {
      const { kernel, sizes } = sample, key = `${kernel.key} ${sizes}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const points = sizes.reduce((a, b) => a * b, 1), count = instructions(sample, tools.compiler, folder);
      const shape = `${kernel.kind} ${sizes.join(" x ")}`, title = `\`${kernel.comment}\``;
      const known = before.get(`${name} ${title} ${shape}`);
      const change = known === undefined ? "new" : `${((count / known - 1) * 100).toFixed(1)} %`;
      if (known === undefined || Math.abs(count / known - 1) > 0.01) {
        console.log(`${name}: ${kernel.comment}: ${known ?? "-"} -> ${count} (${change})`);
      }
      rows.push([name, title, shape, String(count), (count / points).toFixed(2)]);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (words.length === 0) {
  writeFileSync(
    file,
    `# Instructions of compiled kernels

Written by \`make instructions\`: what one call of each C kernel of \`tests/tables/programs.ts\` executes, counted by callgrind on one
thread. Compiler: ${tools.compiler.version}, ${
      flags.filter((flag) => flag.startsWith("-m")).join(" ") || "no flags of the machine"
    }. A point is one
element of the iteration space, reduced axes included.

${markdownTable(["program", "kernel", "loops", "instructions", "a point"], rows, 3)}
`,
  );
  console.log(`docs/instructions.md: ${rows.length} kernels`);
}
