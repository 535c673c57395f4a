/** Processes of the runtime under test. */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtime } from "../../ffi/runtime.ts";

/** How a process ended, and what it printed. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Seconds that a test file may take. */
const MOST = Number(process.env["TNP_TEST_TIMEOUT"] ?? 600);

const lib = new URL("../../scripts/lib.mjs", import.meta.url).href;
const { endingFlags } = await import(lib) as { readonly endingFlags: readonly string[] };

/**
 * Runs a script of this folder in the same runtime, with more environment variables, or without those that are undefined.
 * @param limit seconds after which a child that has not ended is ended, and told of
 */
export function runChild(
  name: string,
  variables: Readonly<Record<string, string | undefined>> = {},
  limit: number = MOST / 2,
): Promise<Ended> {
  const script = fileURLToPath(new URL(`./${name}`, import.meta.url));
  const before = { deno: ["run", "--no-check", "-A"], bun: [], node: endingFlags };
  const args = [...before[runtime.name], script];
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const env: Record<string, string | undefined> = { ...process.env, ...variables };
  for (const [variable, value] of Object.entries(variables)) if (value === undefined) delete env[variable];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "", err = "";
  child.stdout!.on("data", (data) => out += data);
  child.stderr!.on("data", (data) => err += data);
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    reject(new Error(`${name} with ${JSON.stringify(variables)}: no end after ${limit} s\n${out}${err}`));
  }, limit * 1000);
  child.on("error", reject);
  child.on("close", (code, signal) => {
    clearTimeout(timer);
    resolve({ code, signal, out: out.trim(), err: err.trim() });
  });
  return promise;
}
