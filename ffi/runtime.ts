import process from "node:process";
import { bun } from "./bun.ts";
import { deno } from "./deno.ts";
import { node } from "./node.ts";
import type { Adapter, PermissionKind } from "./types.ts";

/** The adapter of the runtime at hand. */
export const runtime: Adapter = deno() ?? bun() ?? node();

/** The operating system as Node names it: "linux", "darwin", "win32", … */
export const platform: string = process.platform;

/** The processor as Node names it: "x64", "arm64", … */
export const architecture: string = process.arch;

/**
 * Tells whether something may be done, without ever prompting for it.
 *
 * @param kind What: native calls, subprocesses, reading, writing, environment, system information.
 * @param target The path, command or variable it is about; without it, the whole kind.
 */
export function permission(kind: PermissionKind, target?: string): boolean {
  return runtime.permission(kind, target);
}

/** An environment variable, or undefined where it is unset, empty or may not be read. Never prompts. */
export function env(name: string): string | undefined {
  return runtime.env(name) || undefined;
}
