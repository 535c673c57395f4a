// The files of bench/results: what a run measured, where, and beside what.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

/** What was measured of one case. */
export interface Measured {
  readonly suite: string;
  readonly name: string;
  /** Elements. */
  readonly size?: number;
  /** What tnp should take, in nanoseconds, and bytes. */
  readonly goal?: number;
  readonly goalBytes?: number;
  /** The name of the library behind `ns.direct`. */
  readonly direct?: string;
  /** Median nanoseconds of a call: `tnp`, the peers by name, `direct`. */
  readonly ns: Readonly<Record<string, number>>;
  /** The largest resident set, by the same names. */
  readonly bytes?: Readonly<Record<string, number>>;
  /** Half of tnp's samples lie between these. */
  readonly spread: readonly number[];
}

/** One run of the benches. */
export interface Run {
  /** When it began, in UTC: `2026-01-31T12:00`. */
  readonly date: string;
  readonly runtime: "deno" | "bun" | "node";
  readonly version: string;
  /** Which engines it could use: all that the machine has, or only the embedded ones. */
  readonly engines: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly system: string;
    /** Load averages over a minute, before the run and the highest during it. */
    readonly load: { readonly before: number; readonly highest: number };
    /** Whether the machine did nothing else. */
    readonly quiet: boolean;
  };
  /** Versions of tnp, of the engines and of the peers; absent ones are left out. */
  readonly versions: Readonly<Record<string, string>>;
  readonly cases: readonly Measured[];
}

const folder = new URL("results/", import.meta.url);

/** Writes a run; gives the file's name in bench/results. */
export function saveRun(run: Run): string {
  mkdirSync(folder, { recursive: true });
  const name = `${label(run).replace(" ", "-")}-${run.date.slice(0, 10)}.json`;
  writeFileSync(new URL(name, folder), `${JSON.stringify(run, null, 1)}\n`);
  return name;
}

/** A runtime with its engines, if these are not all: `deno`, `deno embedded`. */
export function label({ runtime, engines }: Run): string {
  return engines === "native" ? runtime : `${runtime} ${engines}`;
}

/** The latest run of each label: Deno, Bun, Node, then those with fewer engines. */
export function latestRuns(): Run[] {
  if (!existsSync(folder)) return [];
  const latest = new Map<string, Run>();
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
    const run = JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Run;
    const known = latest.get(label(run));
    if (known === undefined || known.date < run.date) latest.set(label(run), run);
  }
  const rank = ({ runtime, engines }: Run): number =>
    ["deno", "bun", "node"].indexOf(runtime) + (engines === "native" ? 0 : 10);
  return [...latest.values()].sort((a, b) => rank(a) - rank(b));
}

/** Goals are for all engines in Deno and Bun; a native call of Node costs more. */
export function goalOf({ goal }: Measured, { runtime, engines }: Run): number | undefined {
  if (goal === undefined || engines !== "native") return undefined;
  return goal + (runtime === "node" && goal < 10_000 ? 1000 : 0);
}

/** A duration with three digits: `1.25 ms`. */
export function duration(ns: number): string {
  const [value, unit] = ns < 1e3
    ? [ns, "ns"]
    : ns < 1e6
    ? [ns / 1e3, "µs"]
    : ns < 1e9
    ? [ns / 1e6, "ms"]
    : [ns / 1e9, "s"];
  return `${value.toPrecision(value >= 1000 ? 4 : 3)} ${unit}`;
}
