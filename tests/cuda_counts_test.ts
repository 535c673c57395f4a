/** What programs launch on a GPU: as much as on the CPU, which stores what costs more than memory. */
import assert from "node:assert/strict";
import { gpu, onGpu } from "./support/cuda.ts";
import { launchCounter } from "./support/counts.ts";
import { describe, test } from "./support/suite.ts";
import { counts } from "./tables/counts.ts";
import { programs } from "./tables/programs.ts";
import { cpu } from "../src/device/cpu.ts";

/** Exponentials that two kernels use. */
const stored: Readonly<Record<string, string>> = { "softmax": "reduce 2, map 2", "softmax, traced": "reduce 2, map 2" };

await onGpu(() => {
  const onCpu = launchCounter(cpu), counted = launchCounter(gpu!);
  describe("cuda launches of", () => {
    for (const program of programs) {
      test(program.name, () => {
        assert.equal(counted(program), counts[program.name]!.launches);
        assert.equal(onCpu(program), stored[program.name] ?? counts[program.name]!.launches);
      });
    }
  });
  return Promise.resolve();
});
