// Installs what the project needs: npm packages (with the runtimes) and, where it may, the native libraries.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { childEnv, findRuntime, root, runtimeNames } from "./lib.mjs";

const say = (/** @type {string} */ text) => console.log(text);

if (Number.parseInt(process.versions.node) < 20) {
  console.error(`setup: Node ${process.versions.node} is too old, version 20 or later is needed`);
  process.exit(1);
}
installPackages();
repairBinaries();
installLibraries();

/** Runs `npm ci` unless node_modules already is what the lock file says. */
function installPackages() {
  const stampFile = join(root, "node_modules/.tnp-stamp");
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json"]) hash.update(readFileSync(join(root, file)));
  const stamp = hash.digest("hex");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  say("setup: npm ci");
  const args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = spawnSync("npm", args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], shell: isWindows() });
  if (npm.status !== 0) {
    console.error(`setup: npm ${args.join(" ")} failed${npm.error ? `: ${npm.error.message}` : ""}`);
    process.exit(1);
  }
  writeFileSync(stampFile, stamp);
}

/** npm does not run the install scripts of packages everywhere; what is missing is installed here. */
function repairBinaries() {
  const scripts = { deno: "install.cjs", bun: "install.js", node: "installArchSpecificPackage.js" };
  for (const name of runtimeNames) {
    if (findRuntime(name) === undefined) {
      const cwd = join(root, "node_modules", name);
      spawnSync(process.execPath, [scripts[name]], { cwd, env: childEnv(), stdio: ["ignore", "inherit", "inherit"] });
    }
    const found = findRuntime(name);
    if (found === undefined) {
      console.error(`setup: ${name} does not run after its installation from npm`);
      process.exit(1);
    }
    say(`setup: ${name} ${found.version}`);
  }
}

/** Installs oneDNN and OpenBLAS from the distribution where that is possible, else says what would help. */
function installLibraries() {
  /** @type {{ name: string, variable: string, file: RegExp, apt: () => string | undefined }[]} */
  const libraries = [
    { name: "oneDNN", variable: "TNP_DNNL", file: /^libdnnl\.so/, apt: newestDnnl },
    { name: "OpenBLAS", variable: "TNP_OPENBLAS", file: /^libopenblas\.so/, apt: () => "libopenblas0-pthread" },
  ];
  const missing = libraries.filter((library) => process.env[library.variable] === undefined && !present(library.file));
  const canInstall = process.platform === "linux" && process.getuid?.() === 0 && runs("apt-get", ["--version"]);
  if (missing.length > 0 && canInstall) {
    say(`setup: installing ${missing.map((library) => library.name).join(" and ")} with apt-get`);
    const updated = apt(["update"]);
    const names = missing.map((library) => library.apt()).filter((name) => name !== undefined);
    if (!updated || names.length === 0 || !apt(["install", "--no-install-recommends", ...names])) {
      say("setup: apt-get could not install them; going on without");
    }
  }
  const compiler = process.env.TNP_CC ?? "cc";
  const advice = missing.filter((library) => !present(library.file)).map((library) => library.name);
  if (compiler !== "none" && !runs(compiler, ["--version"])) advice.push("a C compiler");
  if (advice.length === 0) return;
  say(`setup: not found: ${advice.join(", ")}. Everything works without, on the embedded engine, but slower.`);
  if (process.platform === "linux") {
    say("setup: as root: apt-get install libdnnl2 libopenblas0-pthread gcc (libdnnl3 on newer systems)");
  }
  if (process.platform === "darwin") say("setup: brew install onednn openblas; xcode-select --install");
}

/** The newest oneDNN package that the distribution has (libdnnl2, libdnnl3, libdnnl3.6, …). */
function newestDnnl() {
  const search = spawnSync("apt-cache", ["search", "--names-only", "^libdnnl[0-9.]+$"], { encoding: "utf8" });
  const names = (search.stdout ?? "").split("\n").map((line) => line.split(" ")[0]).filter((name) => name !== "");
  return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
}

/** @param {string[]} args */
function apt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", ["-y", "-qq", ...args], { env, stdio: ["ignore", "ignore", "inherit"] }).status === 0;
}

/** @param {string} command @param {string[]} args */
function runs(command, args) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** Whether the system's library folders hold a file like this. @param {RegExp} pattern */
function present(pattern) {
  const bases = ["/usr/lib", "/usr/lib64", "/lib", "/usr/local/lib", "/opt/homebrew/lib"];
  const nested = readableFolders("/usr/lib").filter((name) => /-linux-gnu/.test(name)).map((name) =>
    `/usr/lib/${name}`
  );
  const listed = ["ldconfig", "/sbin/ldconfig"].map((c) => spawnSync(c, ["-p"], { encoding: "utf8" }).stdout ?? "");
  const cached = listed.join("\n").split("\n").map((line) => line.trim());
  return [...bases, ...nested].some((folder) => readableFolders(folder).some((name) => pattern.test(name))) ||
    cached.some((line) => pattern.test(line));
}

/** @param {string} folder @returns {string[]} */
function readableFolders(folder) {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function isWindows() {
  return process.platform === "win32";
}
