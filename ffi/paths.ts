import { platform } from "./runtime.ts";

const windows = platform === "win32";

/** What separates the folders of PATH. */
export const delimiter: string = windows ? ";" : ":";

/** Whether a path starts at a root. */
export function isAbsolute(path: string): boolean {
  return windows ? /^(?:[a-z]:)?[\\/]/i.test(path) : path.startsWith("/");
}

/** A path below a folder, put together as it is: `..` and doubled separators stay. */
export function join(...parts: readonly string[]): string {
  return parts.join(windows ? "\\" : "/");
}

/** The path of a file: URL. */
export function fromFileUrl(url: string): string {
  const path = decodeURIComponent(new URL(url).pathname);
  return windows ? path.slice(1) : path;
}
