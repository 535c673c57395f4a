// Cases to time. Under `deno bench` they register themselves there; `bench/run.ts` times them beside other libraries in any runtime.
import type { NDArray } from "../src/array.ts";
import { nodeOf } from "../src/array.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import type { NumpyTs, NumpyTsArray } from "./numpy_ts.ts";
import type { PythonCode } from "./python_peer.ts";

/** What a process tells of itself. */
export interface Probe {
  /** Nanoseconds a step. */
  readonly ns: number;
  /** The largest resident set, where that is of interest. */
  readonly bytes?: number;
}

/** One thing to time. */
export interface Case {
  readonly name: string;
  /** Elements, where the suite has the same work for several sizes. */
  readonly size?: number;
  /** What at most one call should take, in microseconds: for Deno and Bun; Node's native calls cost 1 µs more. */
  readonly goal?: number;
  /** Makes the inputs and gives what is timed. */
  readonly make: () => () => void;
  /** The same in Python's libraries: code that defines `run()`. */
  readonly python?: PythonCode;
  /** The same in the npm package numpy-ts. */
  readonly numpyTs?: (np: NumpyTs) => () => NumpyTsArray | number;
  /** A library called without tnp, to measure against: its name, and what is timed; null where it is missing. */
  readonly direct?: { readonly name: string; readonly make: () => (() => void) | null };
  /** The most calls in a sample: 1 for what starts processes. */
  readonly most?: number;
}

/** A process to run, for what is measured from outside. */
export interface ProbeCase {
  readonly name: string;
  /** Microseconds a step, and bytes. */
  readonly goal?: number;
  readonly goalBytes?: number;
  readonly probe: () => Probe | Promise<Probe>;
  /** Code that defines `run()`, which gives a dictionary of `ns` and `bytes`. */
  readonly python?: PythonCode;
}

/** The cases of one file. */
export interface Suite {
  readonly name: string;
  readonly cases: readonly (Case | ProbeCase)[];
}

/** All suites that were imported. */
export const suites: Suite[] = [];

interface DenoBench {
  bench?(options: { name: string; group: string; fn: () => void }): void;
}

/** Adds a suite. */
export function suite(name: string, cases: Suite["cases"]): void {
  suites.push({ name, cases });
  const { Deno } = globalThis as { Deno?: DenoBench };
  for (const item of cases) {
    if ("probe" in item) continue;
    let run: (() => void) | undefined;
    // The first call makes the inputs; it is a warm-up.
    Deno?.bench?.({ name: item.name, group: name, fn: () => (run ??= item.make())() });
  }
}

/** Computes arrays and gives their memory back, as NumPy does with a result that nobody keeps. */
export function compute(...arrays: readonly NDArray[]): void {
  evaluate(arrays.map(nodeOf));
  for (const x of arrays) x.dispose();
}

/** The number below which a part of some numbers lies: 0.5 gives the median. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * part, below = Math.floor(at);
  return sorted[below]! + (at - below) * ((sorted[below + 1] ?? sorted[below]!) - sorted[below]!);
}
