/** The tables that the CPU and a GPU are tested by, run on the CPU for the CUDA sources of what they launch. */
import assert from "node:assert/strict";
import { cpu } from "../../src/device/cpu.ts";
import { counts } from "../tables/counts.ts";
import { programs } from "../tables/programs.ts";
import { batches, gradients } from "../tables/transforms.ts";
import { launchCounter } from "./counts.ts";
import { capture, type Captured } from "./cuda_capture.ts";
import { useEngine } from "./kernels.ts";
import { collectTests } from "./suite.ts";

/** Test files that run on any device: those of tests/cuda_*_test.ts that load others. */
const files = [
  "golden",
  "gradient",
  "batch",
  "prims",
  "function",
  "tape",
  "control",
  "expr",
  "indexing_property",
  "kernels_golden",
  "kernels",
];

/** Runs all tables. @returns the CUDA sources; throws what a test throws */
export function captureTables(): Promise<readonly Captured[]> {
  return capture(async (engine) => {
    useEngine(engine);
    const tests = await collectTests(async () => {
      for (const name of files) await import(`../${name}_test.ts`);
    });
    for (const { run } of tests) await run();
    for (const { runs } of [...gradients, ...batches]) for (const run of runs) run().dataSync();
    const counted = launchCounter(cpu);
    for (const program of programs) assert.equal(counted(program), counts[program.name]!.launches);
  });
}

/** What is left of a source without its constants and the signs of its integers: kernels that are alike to a compiler have one. */
export function shapeOf(text: string): string {
  const unsigned = text.replace(/\b[iu](8|16|32|64)\b/g, "$1");
  return unsigned.replace(/\b0x[0-9a-f]+u?l*\b|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?f?(?:u?ll)?\b/g, "#");
}
