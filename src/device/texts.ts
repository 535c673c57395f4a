/**
 * The digests of C texts, by which compiled code is found, kept on disk by what the texts are made of: writing the first ones takes a program
 * that starts 5 ms. What is kept holds for the very files that write C: their names, sizes and times of change.
 * @module
 */
import { fromFileUrl } from "../../ffi/paths.ts";
import { files, permission } from "../../ffi/runtime.ts";
import { digest } from "../base/digest.ts";
import { version } from "../base/version.ts";
import type { KernelCache } from "./cache.ts";

/** A C text. */
export interface Source {
  /** Equal only for sources whose texts do the same; null where that is not known. */
  readonly key: string | null;
  text(): string;
  /** How many times as long as that of a kernel its compiling takes; 1 if not given. */
  readonly weight?: number;
}

/** The digest of a C text, but for its title: that tells what else a program computes. */
export function textDigest(text: string): string {
  return digest(text.replace(/^\/\*.*\*\/\n/, ""));
}

/** The modules that C texts of sources with keys depend on. */
export const writers: readonly string[] = [
  ..."c c_kernel c_map c_ops c_reduce c_scan cost expr js_lower kernel monoid render scatter simplify".split(" "),
  ..."c c_coefficients c_exp c_special c_text c_trig search sort sort_keys sort_radix sort_vector stack".split(" ")
    .map((name) => `preamble/${name}`),
].map((name) => `kernels/${name}`).concat("src/base/dtype", "src/device/sort_native", "src/device/matmul_stack");

/** Where code lies that is the same at one address for ever. */
const immutable = "https://jsr.io/";

/** A text that differs where texts may be written otherwise; null where that is not known. */
function findWriter(): string | null {
  const { url } = import.meta;
  if (url.startsWith(immutable)) return url;
  if (!url.startsWith("file:")) return null;
  const [, base, extension] = /^(.*\/)src\/device\/texts(\.[jt]s)$/.exec(url) ?? [];
  // A bundle is one file.
  const path = fromFileUrl(base ?? url);
  if (!permission("read", path)) return null;
  let all = `${version} ${path}`;
  for (const file of base === undefined ? [path] : writers.map((name) => `${path}${name}${extension}`)) {
    const info = files.info(file, true);
    // What was changed since the program began may not be what it has loaded; bundles in a program have no times.
    if (info === null || info.modified <= 0 || info.modified > performance.timeOrigin) return null;
    all += `\n${info.size} ${info.modified}`;
  }
  return digest(all);
}

let writer: string | null | undefined;

/** The name under which the digest of a source's text is kept; null where it cannot be. */
function nameOf({ key }: Source, cache: KernelCache | null): string | null {
  if (key === null || cache?.lasting !== true) return null;
  if (writer === undefined) writer = findWriter();
  return writer === null ? null : `text-${digest(key, writer)}`;
}

/** The digest of a source's text, where it is known from before: the text need not be written for it. */
export function recallText(source: Source, cache: KernelCache | null): string | null {
  const name = nameOf(source, cache);
  return name === null ? null : cache!.recall(name);
}

/** Keeps the digest of a source's text. */
export function rememberText(source: Source, cache: KernelCache | null, text: string): void {
  const name = nameOf(source, cache);
  if (name !== null) cache!.remember(name, text);
}
