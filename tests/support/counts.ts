/** Counts what programs launch and allocate where nothing runs. As a program of its own it rewrites tests/tables/counts.ts: `make counts`. */
import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { nodeOf } from "../../src/array.ts";
import { nullDevice } from "../../src/device/null.ts";
import { withDevice } from "../../src/device/registry.ts";
import { evaluate } from "../../src/transform/evaluate.ts";
import { type Program, programs } from "../tables/programs.ts";

/** What a program costs. */
export interface Count {
  /** Launches of kernels by kind, and of routines by name, such as `"reduce 2, map 1"`. */
  readonly launches: string;
  /** Bytes allocated for results and temporaries. */
  readonly bytes: number;
}

/** Counts one run of a program, and tells what it launched. */
export function countOf({ make }: Program): Count & { readonly kernels: readonly string[] } {
  return withDevice(nullDevice, () => {
    const run = make();
    const compute = (): void => {
      const results = run();
      evaluate(results.map(nodeOf));
      for (const x of results) x.dispose();
    };
    // The first call traces, and stores what is kept for later calls.
    compute();
    nullDevice.reset();
    compute();
    const launches = Object.entries(nullDevice.counts).map(([kind, count]) => `${kind} ${count}`).join(", ");
    return { launches, bytes: nullDevice.bytes, kernels: nullDevice.kernels };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rows = programs.map((program) => {
    const { launches, bytes } = countOf(program);
    return `  ${JSON.stringify(program.name)}: { launches: ${JSON.stringify(launches)}, bytes: ${bytes} },\n`;
  });
  writeFileSync(
    new URL("../tables/counts.ts", import.meta.url),
    `/**
 * What the programs of tests/tables/programs.ts cost on the null device; written by \`make counts\`.
 * @module
 */
import type { Count } from "../support/counts.ts";

export const counts: Readonly<Record<string, Count>> = {
${rows.join("")}};
`,
  );
}
