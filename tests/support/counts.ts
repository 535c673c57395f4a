/** Counts what programs launch and allocate where nothing runs. As a program of its own it rewrites tests/tables/counts.ts: `make counts`. */
import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { nodeOf } from "../../src/array.ts";
import { nullDevice } from "../../src/device/null.ts";
import type { Device } from "../../src/device/device.ts";
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
export function countOf(program: Program): Count & { readonly kernels: readonly string[] } {
  secondRun(program, nullDevice, () => nullDevice.reset());
  return { launches: written(nullDevice.counts), bytes: nullDevice.bytes, kernels: nullDevice.kernels };
}

/** Runs a program twice; the first run traces, and stores what is kept for later ones. */
function secondRun({ make }: Program, device: Device, reset: () => void): void {
  withDevice(device, () => {
    const run = make();
    for (let i = 0; i < 2; i++) {
      reset();
      const results = run();
      evaluate(results.map(nodeOf));
      for (const x of results) x.dispose();
    }
  });
}

const written = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).map(([kind, count]) => `${kind} ${count}`).join(", ");

/** Counts what plans launch on a device that computes. Plans made before are not counted. */
export function launchCounter(device: Device): (program: Program) => string {
  let counts: Record<string, number> = {}, depth = 0;
  const counted = <T extends unknown[]>(kind: string, run: (...args: T) => void) => (...args: T): void => {
    // What a routine launches itself is the routine.
    if (depth === 0) counts[kind] = (counts[kind] ?? 0) + 1;
    depth++;
    try {
      run(...args);
    } finally {
      depth--;
    }
  };
  const kernel = device.kernel.bind(device), routine = device.routine.bind(device);
  Object.assign(
    device,
    {
      kernel: (k) => counted(k.kind, kernel(k)),
      routine: (r) => counted(r.name, routine(r)),
    } satisfies Partial<Device>,
  );
  return (program) => {
    secondRun(program, device, () => counts = {});
    return written(counts);
  };
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
