/** The real NVRTC, which needs no GPU: from TNP_TEST_NVRTC, .cache/nvrtc (scripts/nvrtc.mjs), a pip package or a toolkit. */
import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Nvrtc, nvrtcSpec } from "../../ffi/nvrtc.ts";
import { nvrtcOptions } from "../../src/device/cuda_compile.ts";
import { runChild } from "./child.ts";

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));

/** The architectures that kernels are compiled for. */
export const architectures = ["sm_80", "sm_90"] as const;

/** The folder of the library that was installed for tests, or what TNP_TEST_NVRTC says. */
function place(): string | undefined {
  const own = process.env["TNP_TEST_NVRTC"], base = join(cache, "nvrtc", "nvidia");
  if (own !== undefined || !existsSync(base)) return own;
  return readdirSync(base).map((name) => join(base, name, "lib")).find((folder) => existsSync(folder));
}

/** NVRTC, or why it is missing. */
export function findNvrtc(): Nvrtc | Error {
  const where = place();
  if (where !== undefined) process.env["TNP_TEST_NVRTC"] = where;
  try {
    return new Nvrtc({ ...nvrtcSpec(), env: where === undefined ? "TNP_NVRTC" : "TNP_TEST_NVRTC" });
  } catch (error) {
    return error as Error;
  }
}

/** What the assembler says of a kernel. */
export interface Report {
  readonly stack: number;
  readonly spills: number;
  readonly registers: number;
}

/** A source to compile. */
export interface Job {
  readonly text: string;
  readonly architecture: string;
  /** Hardly optimised, in less than half of the time. What the assembler reports is then not what the kernel needs on a GPU. */
  readonly fast?: boolean;
}

function optionsOf(nvrtc: Nvrtc, { architecture, fast }: Job): string[] {
  const options = [...nvrtcOptions(nvrtc, architecture), "--ptxas-options=-v"];
  return fast && nvrtc.atLeast(12, 6) ? [...options, "--Ofast-compile=max"] : options;
}

/** Compiles one source. @returns machine code, messages, and the assembler's report */
export function compileOne(nvrtc: Nvrtc, job: Job): {
  readonly cubin: Uint8Array;
  readonly messages: string;
  readonly report: Report;
} {
  const { cubin, log } = nvrtc.compile(job.text, "kernel.cu", optionsOf(nvrtc, job));
  return { cubin, messages: messagesOf(log), report: reportsOf(log).get("tnp_kernel")! };
}

/** What a log says besides the report. */
function messagesOf(log: string): string {
  return log.split("\n").filter((line) => !/^(?:ptxas info|(?:ptxas\s+\.)?\s+\d+ bytes|\s*$)/.test(line)).join("\n");
}

/** The reports of a log by kernel. */
function reportsOf(log: string): Map<string, Report> {
  const entry =
    /Function properties for (\w+)\s+(?:ptxas\s+\.\s+)?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\s+ptxas info\s*: Used (\d+) registers/g;
  return new Map(
    [...log.matchAll(entry)].map(([, name, stack, stores, loads, registers]) => [
      name!,
      { stack: Number(stack), spills: Number(stores) + Number(loads), registers: Number(registers) },
    ]),
  );
}

/** What became of a job: its report, or an error. */
export type Outcome = Report | string;

/** Kernels of a program: starting the compiler takes as long as a small kernel. */
const TOGETHER = 24;

/** Compiles jobs, many in a program; those of a program that fails, one by one. */
export function compileJobs(nvrtc: Nvrtc, jobs: readonly Job[]): Outcome[] {
  const outcomes = new Array<Outcome>(jobs.length).fill("");
  const one = (i: number): void => {
    try {
      const { messages, report } = compileOne(nvrtc, jobs[i]!);
      outcomes[i] = messages === "" ? report : messages;
    } catch (error) {
      outcomes[i] = (error as Error).message;
    }
  };
  for (const alike of Map.groupBy(jobs.keys(), (i) => optionsOf(nvrtc, jobs[i]!).join(" ")).values()) {
    for (let from = 0; from < alike.length; from += TOGETHER) {
      const part = alike.slice(from, from + TOGETHER);
      const text = part.map((i, n) =>
        `namespace n${n} {\n${jobs[i]!.text.replace(/\btnp_kernel\b/, `tnp_kernel_${n}`)}\n}\n`
      ).join("");
      try {
        const { log } = nvrtc.compile(text, "kernels.cu", optionsOf(nvrtc, jobs[part[0]!]!)), reports = reportsOf(log);
        if (messagesOf(log) !== "") part.forEach(one);
        else part.forEach((i, n) => outcomes[i] = reports.get(`tnp_kernel_${n}`) ?? "no report");
      } catch {
        part.forEach(one);
      }
    }
  }
  return outcomes;
}

/** Compiles what a parent process left in a file, and leaves the outcomes beside it. */
export function serve(path: string): void {
  const nvrtc = findNvrtc();
  if (nvrtc instanceof Error) throw nvrtc;
  const jobs = JSON.parse(readFileSync(path, "utf8")) as Job[];
  writeFileSync(`${path}.out`, JSON.stringify(compileJobs(nvrtc, jobs)));
}

/**
 * Compiles jobs in as many processes as there are processors, up to eight. What was compiled before by the same NVRTC is known from .cache/nvrtc_checked.
 *
 * @returns outcomes in the order of the jobs, and how many were compiled now
 */
export async function compileAll(nvrtc: Nvrtc, jobs: readonly Job[]): Promise<{ outcomes: Outcome[]; fresh: number }> {
  const folder = join(cache, "nvrtc_checked"), file = join(folder, `${nvrtc.version}.jsonl`);
  const keyOf = (job: Job) =>
    createHash("sha256").update([job.text, nvrtc.version, ...optionsOf(nvrtc, job)].join("\0")).digest("hex").slice(
      0,
      32,
    );
  const known = new Map<string, Report>();
  if (existsSync(file)) {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      // A line that a killed process left unfinished says nothing.
      const [, key, stack, spills, registers] = /^(\w{32}) (\d+) (\d+) (\d+)$/.exec(line) ?? [];
      if (key !== undefined) {
        known.set(key, { stack: Number(stack), spills: Number(spills), registers: Number(registers) });
      }
    }
  }
  const keys = jobs.map(keyOf), outcomes: Outcome[] = keys.map((key) => known.get(key) ?? "");
  const open = [...keys.keys()].filter((i) => outcomes[i] === "");
  const scratch = mkdtempSync(join(tmpdir(), "tnp-nvrtc-"));
  try {
    const sides = Math.min(8, availableParallelism());
    await Promise.all(Array.from({ length: sides }, async (_, side) => {
      // By digest: each gets as much of every kind.
      const mine = open.filter((i) => Number.parseInt(keys[i]!.slice(0, 8), 16) % sides === side);
      if (mine.length === 0) return;
      const path = join(scratch, `${side}.json`);
      writeFileSync(path, JSON.stringify(mine.map((i) => jobs[i]!)));
      const ended = await runChild("nvrtc_child.ts", { TNP_TEST_JOBS: path }, 24 * 3600);
      if (ended.code !== 0) throw new Error(`nvrtc_child.ts ended with ${ended.code ?? ended.signal}: ${ended.err}`);
      (JSON.parse(readFileSync(`${path}.out`, "utf8")) as Outcome[]).forEach((outcome, n) =>
        outcomes[mine[n]!] = outcome
      );
    }));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const good = open.flatMap((i) => {
    const outcome = outcomes[i]!;
    return typeof outcome === "string" ? [] : [`${keys[i]} ${outcome.stack} ${outcome.spills} ${outcome.registers}\n`];
  });
  mkdirSync(folder, { recursive: true });
  if (good.length > 0) appendFileSync(file, good.join(""));
  return { outcomes, fresh: open.length };
}
