/**
 * Tests that a table makes, on the device that new arrays go to. Where that is the emulated GPU, their kernels are compiled many at
 * once: all tests run with compiling put off; what launched a kernel that was not there yet runs again when it is.
 */
import process from "node:process";
import * as runner from "node:test";
import { runtime } from "../../ffi/runtime.ts";
import type { Emulator } from "./cuda_emulator.ts";

type Run = () => unknown;

interface Case {
  readonly run: Run;
  outcome: { readonly error: unknown } | null;
}

/** Kernels that only the results of others call for come a round later. */
const ROUNDS = 4;

let emulator: Emulator | null = null;
let fast = false;
const cases: Case[] = [];
/** Launches that the test under way missed. */
let missed = 0;

/** Lets the tests that are registered from now on share their compilations, on the emulator if that is there. Kernels that run long are made faster. */
export function compileTogether(by: Emulator | null, runs: "short" | "long" = "short"): void {
  emulator = by;
  fast = runs === "long";
}

/** Whether a kernel of the test under way was not there yet, so that there is nothing to compare: a test that asks goes on to its others. */
export function isBlank(): boolean {
  if (emulator !== null) missed += emulator.missed();
  return missed > 0;
}

/** Whether tests run on the emulator, where nothing is fast. */
export function emulated(): boolean {
  return emulator !== null;
}

/** What of a table is for this runtime: each takes another third of what is the same in all; with TNP_TEST_FULL=1 each takes all. */
export function third<T>(table: readonly T[]): readonly T[] {
  if (process.env["TNP_TEST_FULL"] === "1") return table;
  const turn = ["deno", "bun", "node"].indexOf(runtime.name);
  return table.filter((_, i) => i % 3 === turn);
}

/** A third of a table on the emulator, where all runtimes launch the same kernels; elsewhere all. */
export function share<T>(table: readonly T[]): readonly T[] {
  return emulated() ? third(table) : table;
}

/** What a test is called, and what it does. */
export interface NamedTest {
  readonly name: string;
  readonly run: Run;
}

let collected: NamedTest[] | null = null;

/** The tests that `load` would register: they are left to the caller. */
export async function collectTests(load: () => Promise<unknown>): Promise<readonly NamedTest[]> {
  const tests: NamedTest[] = collected = [];
  try {
    await load();
  } finally {
    collected = null;
  }
  return tests;
}

/** A group of tests. */
export function describe(name: string, register: () => void): void {
  if (collected === null) runner.describe(name, register);
  else register();
}

/** A test. */
export function test(name: string, run: Run): void {
  if (collected !== null) return void collected.push({ name, run });
  if (emulator === null) return void runner.test(name, run as () => void);
  const registered: Case = { run, outcome: null };
  cases.push(registered);
  runner.test(name, async () => {
    if (registered.outcome === null) await settle();
    const { error } = registered.outcome ?? await attempt(run);
    if (error !== null) throw error;
  });
}

async function attempt(run: Run): Promise<{ readonly error: unknown }> {
  emulator?.missed();
  missed = 0;
  try {
    await run();
    return { error: null };
  } catch (error) {
    return { error };
  }
}

/** Runs all tests that were not run yet, in rounds. */
async function settle(): Promise<void> {
  const gpu = emulator!;
  gpu.defer(true, fast);
  try {
    let open = cases.filter(({ outcome }) => outcome === null);
    for (let round = 0; round < ROUNDS && open.length > 0; round++) {
      const again: Case[] = [];
      for (const each of open) {
        const outcome = await attempt(each.run);
        if (!isBlank()) each.outcome = outcome;
        else again.push(each);
      }
      gpu.compile();
      open = again;
    }
  } finally {
    gpu.defer(false);
  }
}
