// Builds dist/ (JavaScript and declarations) for npm.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { root, tsc } from "./lib.mjs";

rmSync(join(root, "dist"), { recursive: true, force: true });
const args = [tsc, "-p", join(root, "tsconfig.build.json")];
process.exitCode = spawnSync(process.execPath, args, { stdio: "inherit" }).status ?? 1;
