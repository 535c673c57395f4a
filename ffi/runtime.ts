import { bun } from "./bun.ts";
import { deno } from "./deno.ts";
import { node } from "./node.ts";
import type { Adapter, Files, PermissionKind } from "./types.ts";

/** The adapter of the runtime at hand. */
export const runtime: Adapter = deno() ?? bun() ?? node();

/** The operating system as Node names it: "linux", "darwin", "win32", … */
export const platform: string = runtime.platform;

/** The processor as Node names it: "x64", "arm64", … */
export const architecture: string = runtime.architecture;

/** Files, as the runtime reads them fastest. */
export const files: Files = runtime.files;

/** The text of a file in UTF-8. @throws the system's error */
export function readText(path: string): string {
  return new TextDecoder().decode(files.read(path));
}

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

/**
 * What Linux tells of the first processor; "" elsewhere, or where that is hidden. Asking for all of them takes milliseconds on
 * machines with many.
 */
export function firstProcessor(): string {
  const file = "/proc/cpuinfo";
  if (platform !== "linux" || !permission("read", file)) return "";
  try {
    return new TextDecoder().decode(files.head(file, 4096)).split("\n\n")[0]!;
  } catch {
    // Some containers hide it.
    return "";
  }
}

/** The parts of AVX-512 that are used together, by the names that Linux gives to them. */
export const avx512 = ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"] as const;

/** What the processor can do, by the names that Linux gives to it; empty where it does not tell. */
export function processorFlags(): ReadonlySet<string> {
  return new Set(/^flags\s*:(.*)$/m.exec(firstProcessor())?.[1]?.trim().split(" ") ?? []);
}
