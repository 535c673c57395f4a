// Runs a program from source: node scripts/run.mjs deno|bun|node FILE [argument…]
import { spawnSync } from "node:child_process";
import { childEnv, findRuntime, runArgs, runtimeNames } from "./lib.mjs";

const [wanted, ...args] = process.argv.slice(2);
const name = runtimeNames.find((runtime) => runtime === wanted);
const found = name && findRuntime(name);
if (found === undefined || args.length === 0) {
  console.error(
    `run: got ${process.argv.slice(2).join(" ")}, expected an installed runtime (${runtimeNames}) and a file`,
  );
  process.exit(2);
}
const gc = name === "deno" ? ["--v8-flags=--expose-gc"] : name === "node" ? ["--expose-gc"] : [];
const ended = spawnSync(found.command, [...runArgs(name), ...gc, ...args], { env: childEnv(), stdio: "inherit" });
process.exitCode = ended.status ?? 1;
