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

/** Runs a script of this folder in the same runtime, with more environment variables. */
export function runChild(name: string, variables: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const script = fileURLToPath(new URL(`./${name}`, import.meta.url));
  const args = runtime.name === "deno" ? ["run", "--no-check", "-A", script] : [script];
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "", err = "";
  child.stdout!.on("data", (data) => out += data);
  child.stderr!.on("data", (data) => err += data);
  child.on("error", reject);
  child.on("close", (code, signal) => resolve({ code, signal, out: out.trim(), err: err.trim() }));
  return promise;
}
