/**
 * Tests that a table makes, on the device that new arrays go to. Where that is the emulated GPU, their kernels are compiled many at
 * once: all tests run with compiling put off; what launched a kernel that was not there yet runs again when it is.
 */
import * as runner from "node:test";
import type { Emulator } from "./cuda_emulator.ts";

type Run = () => unknown;

interface Case {
  readonly run: Run;
  outcome: { readonly error: unknown } | null;
}

/** Kernels that only the results of others call for come a round later. */
const ROUNDS = 4;

let emulator: Emulator | null = null;
const cases: Case[] = [];

/** Lets the tests that are registered from now on share their compilations. */
export function compileTogether(by: Emulator): void {
  emulator = by;
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
  gpu.defer(true);
  try {
    let open = cases.filter(({ outcome }) => outcome === null);
    for (let round = 0; round < ROUNDS && open.length > 0; round++) {
      const again: Case[] = [];
      for (const each of open) {
        gpu.missed();
        const outcome = await attempt(each.run);
        if (gpu.missed() === 0) each.outcome = outcome;
        else again.push(each);
      }
      gpu.compile();
      open = again;
    }
  } finally {
    gpu.defer(false);
  }
}
