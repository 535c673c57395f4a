// Builds dist/ for npm: declarations, and all JavaScript in one file, which Node loads in half the time that 200 take.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findRuntime, root, tsc } from "./lib.mjs";

const dist = join(root, "dist"), entry = join(dist, "mod.js");

/**
 * Runs a program; ends this one where it fails.
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: ["inherit", "ignore", "inherit"] });
  if (status !== 0) process.exit(status ?? 1);
}

rmSync(dist, { recursive: true, force: true });
run(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")]);
const bun = findRuntime("bun");
if (bun === undefined) console.warn("build: Bun is missing, dist/ keeps one file a module");
else {
  const modules = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js"));
  run(bun.command, ["build", entry, "--outfile", entry, "--target=node", "--format=esm", "--external", "koffi"]);
  for (const file of modules) if (join(dist, file) !== entry) rmSync(join(dist, file));
}
