// One operation for the first time after the import, each in a process of its own: without kernels on disk, with, and with a pack.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtime } from "../ffi/runtime.ts";
import { makePack, recordKernels } from "../scripts/pack.ts";
import { tnp } from "../mod.ts";
import { nodeOf } from "../src/array.ts";
import { packLevels } from "../src/device/pack.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { firstUses } from "./first_use.ts";
import { compute, type Probe, type ProbeCase, suite } from "./harness.ts";

const child = fileURLToPath(new URL("first_use_child.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "tnp-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const disk = join(folder, "disk"), packs = join(folder, "packs");

function run(name: string, size: number, variables: Readonly<Record<string, string>>): Probe {
  const args = runtime.name === "deno" ? ["run", "-A", "--no-check", child] : [child];
  const env = { ...process.env, TNP_KERNELS: "none", ...variables };
  const ended = spawnSync(process.execPath, [...args, name, String(size)], { encoding: "utf8", env });
  if (ended.status !== 0) throw new Error(`first use: exit code ${ended.status}\n${ended.stderr}`);
  return JSON.parse(ended.stdout) as Probe;
}

const filled = new Set<string>();

/** With a cache that has the kernels from a run before. */
function fromDisk(name: string, size: number): Probe {
  if (!filled.has(name)) run(name, size, { TNP_CACHE_DIR: disk, TNP_ENGINE: "c" });
  filled.add(name);
  return run(name, size, { TNP_CACHE_DIR: disk });
}

let pack: Promise<string> | undefined;

/** With a pack and no compiler. */
async function packed(name: string, size: number): Promise<Probe> {
  const level = packLevels()[0];
  if (level === undefined) throw new Error("first use: no pack is made for this processor");
  const kernels = (): ReturnType<typeof recordKernels> =>
    recordKernels(() => {
      for (const { tnp: make } of Object.values(firstUses)) {
        const x = tnp.zeros([size], { dtype: "float32" });
        evaluate([nodeOf(x)]);
        compute(make(x));
      }
    });
  await (pack ??= makePack(kernels(), packs, { level, openmp: true }));
  return run(name, size, { TNP_KERNELS: packs, TNP_CC: "none", TNP_CACHE_DIR: join(folder, "empty") });
}

/** NumPy's first use after its import. */
const python = (expression: string, size: number): string =>
  `import json, subprocess, sys
program = '''
import json, time
import numpy as np
x = ((np.arange(${size}) * 7919 % 1000) / 100 + 0.5).astype(np.float32)
s = x.reshape(${Math.sqrt(size)}, ${Math.sqrt(size)})
start = time.perf_counter()
y = ${expression}
print(json.dumps({"ns": (time.perf_counter() - start) * 1e9}))
'''
run = lambda: json.loads(subprocess.check_output([sys.executable, "-c", program]))`;

const large = 1 << 20, compiledSort = "sort", compiles = tnp.config.build_info().compiler.available;
const cases = Object.entries(firstUses).flatMap(([name, { numpy }]): ProbeCase[] => {
  const item = (size: number, state: string, probe: ProbeCase["probe"]): ProbeCase => ({
    name: `first ${name}, ${size}${state}`,
    // What a common operation should take; more than that is the work itself.
    ...(size < large ? { goal: 5000 } : {}),
    probe,
    python: { numpy: python(numpy, size) },
  });
  // Nothing is compiled where there is no compiler.
  const generated = name !== "matmul" && compiles;
  return [
    ...[1, 1024, large].map((size) =>
      item(size, "", () => run(name, size, { TNP_CACHE_DIR: mkdtempSync(join(folder, "none-")) }))
    ),
    ...(generated ? [item(large, ", kernels on disk", () => fromDisk(name, large))] : []),
    // Sorts are no kernels, so no pack has them.
    ...(generated && name !== compiledSort ? [item(large, ", packed kernels", () => packed(name, large))] : []),
  ];
});

suite("first use", [
  ...cases,
  ...(compiles ? [{ name: "kernels on disk, each", goal: 1000, probe: () => fromDisk("kernels", 1) }] : []),
]);
