// Shared by the scripts of this folder. They run on the system's Node (20 or later), so they are plain JavaScript.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Files that the scripts make and git ignores. */
export const cache = join(root, ".cache");

/** @typedef {"deno" | "bun" | "node"} RuntimeName */

/** @type {readonly RuntimeName[]} */
export const runtimeNames = ["deno", "bun", "node"];

const exe = process.platform === "win32" ? ".exe" : "";

/** Where npm puts the runtimes. They are called directly: the wrappers in .bin need a Node and hide signals. */
const packaged = {
  deno: join(root, "node_modules/deno", `deno${exe}`),
  bun: join(root, "node_modules/bun/bin/bun.exe"),
  node: join(root, "node_modules/node/bin", `node${exe}`),
};

/** The least version that can stand in when npm could not provide one. */
const least = { deno: 2, bun: 1, node: 24 };

/**
 * The version that a binary reports, or undefined where it does not run.
 * @param {string} command
 * @returns {string | undefined}
 */
export function versionOf(command) {
  const result = spawnSync(command, ["--version"], { encoding: "utf8" });
  if (result.status !== 0) return undefined;
  return /\d+\.\d+\.\d+/.exec(result.stdout)?.[0];
}

/**
 * The binary of a runtime: the one from npm, else a new enough one of the system.
 * @param {RuntimeName} name
 * @returns {{ command: string, version: string } | undefined}
 */
export function findRuntime(name) {
  const own = existsSync(packaged[name]) ? versionOf(packaged[name]) : undefined;
  if (own !== undefined) return { command: packaged[name], version: own };
  const version = versionOf(name);
  if (version === undefined || Number.parseInt(version) < least[name]) return undefined;
  return { command: name, version };
}

/** The environment for child processes: the project's binaries first on PATH, no colour codes, no prompts. */
export function childEnv(extra = {}) {
  const path = [join(root, "node_modules/.bin"), process.env.PATH ?? ""].join(delimiter);
  return { ...process.env, PATH: path, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_NO_PROMPT: "1", ...extra };
}

/** What hides the compiler and the native libraries, so that the embedded engine does all the work. */
export const embeddedEnv = { TNP_CC: "none", TNP_DNNL: "none", TNP_OPENBLAS: "none" };

/** Flags without which Node may wait for ever at its end for a background thread of its optimizer (nodejs/node#54918). */
export const endingFlags = ["--no-concurrent-recompilation", "--no-concurrent-sparkplug"];

/**
 * The arguments that run a program or its tests from source.
 * @param {RuntimeName} name
 */
export function runArgs(name) {
  if (name === "deno") return ["run", "-A", "--no-check"];
  return ["--conditions=source"];
}

/**
 * @typedef {object} Finished
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {boolean} timedOut
 * @property {string} output stdout and stderr as they came
 * @property {number} seconds
 */

/**
 * Runs a command to its end and collects what it prints. Its process group is ended when the time is over.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string, timeout?: number }} [options] timeout in seconds
 * @returns {Promise<Finished>}
 */
export function run(command, args, { env = childEnv(), cwd = root, timeout = 600 } = {}) {
  return new Promise((resolve) => {
    const start = performance.now();
    const grouped = process.platform !== "win32";
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: grouped });
    /** @type {Buffer[]} */
    const chunks = [];
    let timedOut = false;
    const end = () => {
      if (child.pid === undefined) return;
      try {
        if (grouped) process.kill(-child.pid, "SIGKILL");
        else child.kill("SIGKILL");
      } catch (error) {
        if (error.code !== "ESRCH") throw error;
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, timeout * 1000);
    live.add(end);
    const finish = (code, signal) => {
      clearTimeout(timer);
      live.delete(end);
      const output = Buffer.concat(chunks).toString("utf8");
      resolve({ code, signal, timedOut, output, seconds: (performance.now() - start) / 1000 });
    };
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stderr.on("data", (chunk) => chunks.push(chunk));
    child.on("error", (error) => {
      chunks.push(Buffer.from(`${error.message}\n`));
      finish(127, null);
    });
    child.on("close", finish);
  });
}

/** Ends of the children that run now: a stopped script leaves none behind. */
const live = new Set();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    for (const end of live) end();
    process.exit(130);
  });
}

/**
 * Maps with at most `limit` running at a time; results keep their order.
 * @template T, R
 * @param {readonly T[]} items
 * @param {number} limit
 * @param {(item: T) => Promise<R>} fn
 * @returns {Promise<R[]>}
 */
export async function mapLimit(items, limit, fn) {
  /** @type {R[]} */
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await fn(items[i]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}

/** The path of the TypeScript compiler's entry file. */
export const tsc = join(root, "node_modules/typescript/bin/tsc");
