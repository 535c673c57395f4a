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

/** Characters from which on a kernel is long: it may need more registers than a thread has. */
const LONG = 2000;

/** Tells which sources, one after the other, are to be compiled as on a GPU: those with loops or operations that none before had, and long ones. */
export function telling(): (source: Captured) => boolean {
  const seen = new Set<string>();
  return ({ text, kind }) => {
    const kernel = text.slice(text.indexOf("__global__")), before = seen.size;
    const loops = kernel.split("\n").filter((line) => /^\s*(?:for|if|typedef|#pragma|__shared__|__sync)/.test(line));
    seen.add(`${kind} ${loops.join("\n").replace(/\d+/g, "#")}`);
    for (const [operation] of kernel.matchAll(/\b[a-z_]\w*(?=\()|[-+*/%&|^<>=!?]+/g)) seen.add(`${kind} ${operation}`);
    return seen.size > before || kernel.length > LONG;
  };
}
