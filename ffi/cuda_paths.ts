/**
 * Where CUDA's libraries lie: pip's wheels, conda, and the toolkit, in the order that NVIDIA's own tools look.
 * @module
 */
import { architecture, env, permission, platform } from "./runtime.ts";
import { system } from "./system.ts";

/** Names in a folder that match; none where it is not there or may not be read. */
export function entries(folder: string, pattern: RegExp): string[] {
  if (!system.path.isAbsolute(folder) || !permission("read", folder)) return [];
  try {
    return system.fs.readdirSync(folder).filter((name) => pattern.test(name)).sort().reverse();
  } catch {
    return [];
  }
}

/** The folders that pip installs into, each once. */
function sitePackages(): string[] {
  const found: string[] = [];
  const within = (root: string | undefined, lib: string, packages: string) => {
    if (root === undefined) return;
    const base = system.path.join(root, lib);
    for (const name of entries(base, /^python3(\.\d+)?$/)) found.push(system.path.join(base, name, packages));
  };
  for (const variable of ["VIRTUAL_ENV", "CONDA_PREFIX"]) {
    const root = env(variable);
    if (platform === "win32" && root !== undefined) found.push(system.path.join(root, "Lib", "site-packages"));
    within(root, "lib", "site-packages");
  }
  const home = env("HOME");
  if (home !== undefined) within(system.path.join(home, ".local"), "lib", "site-packages");
  // Interpreters lie beside their packages: bin/python3 and lib/python3.12/site-packages.
  for (const folder of env("PATH")?.split(system.path.delimiter) ?? []) {
    if (entries(folder, /^python3(\.exe)?$/).length > 0) within(system.path.join(folder, ".."), "lib", "site-packages");
  }
  within("/usr/local", "lib", "dist-packages");
  within("/usr/local", "lib", "site-packages");
  within("/usr", "lib", "dist-packages");
  within("/usr", "lib", "site-packages");
  return [...new Set(found)];
}

/** Folders of the CUDA toolkit. */
function toolkits(): string[] {
  const roots = [env("CUDA_HOME"), env("CUDA_PATH")].filter((root) => root !== undefined);
  roots.push(...entries("/usr/local", /^cuda(-\d.*)?$/).map((name) => system.path.join("/usr/local", name)));
  const target = architecture === "arm64" ? "sbsa-linux" : "x86_64-linux";
  const below = platform === "win32" ? [["bin", "x64"], ["bin"]] : [["lib64"], ["lib"], ["targets", target, "lib"]];
  return roots.flatMap((root) => below.map((parts) => system.path.join(root, ...parts)));
}

/**
 * The folders to search for a library of CUDA.
 *
 * @param wheel The folder of its CUDA 12 wheel below site-packages/nvidia, e.g. "cublas"
 */
export function cudaFolders(wheel: string): string[] {
  const windows = platform === "win32";
  const wheels = sitePackages().flatMap((folder) => [
    system.path.join(folder, "nvidia", "cu13", ...(windows ? ["bin", "x86_64"] : ["lib"])),
    system.path.join(folder, "nvidia", wheel, windows ? "bin" : "lib"),
  ]);
  const shared = windows
    ? []
    : [architecture === "arm64" ? "/usr/lib/aarch64-linux-gnu" : "/usr/lib/x86_64-linux-gnu", "/usr/lib64"];
  return [...wheels, ...toolkits(), ...shared];
}

/**
 * File names of a library, those first that a driver of some CUDA version can serve.
 *
 * @param names With the major version in it: `libnvrtc.so.13`, `cublas64_12.dll`
 * @param major The driver's version, e.g. 12; 0 for any
 */
export function orderByMajor(names: readonly string[], major: number): string[] {
  if (major === 0) return [...names];
  const of = (name: string) => Number(/(?:\.so\.|64_)(\d\d)/.exec(name)?.[1] ?? major);
  return [...names.filter((name) => of(name) <= major), ...names.filter((name) => of(name) > major)];
}
