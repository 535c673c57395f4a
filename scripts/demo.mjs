// Runs the examples in Deno, Bun and Node: node scripts/demo.mjs [runtime…]
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { childEnv, findRuntime, root, runArgs, runtimeNames } from "./lib.mjs";

const wanted = process.argv.slice(2);
const failures = [];
for (const name of runtimeNames.filter((runtime) => wanted.length === 0 || wanted.includes(runtime))) {
  const found = findRuntime(name);
  if (found === undefined) {
    console.error(`demo: ${name} is not installed; run: make setup`);
    process.exit(1);
  }
  for (const file of ["examples/tutorial.ts", "examples/digits.ts"]) {
    console.log(`\n${"=".repeat(100)}\n${name} ${found.version}: ${file}\n${"=".repeat(100)}`);
    const env = childEnv();
    delete env.NO_COLOR;
    if (process.env.NO_COLOR !== undefined) env.NO_COLOR = process.env.NO_COLOR;
    const args = [...runArgs(name), join(root, file)];
    const ended = spawnSync(found.command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
    if (ended.status !== 0) failures.push(`${name}: ${file} ${ended.signal ?? `exit code ${ended.status}`}`);
  }
}
console.log(failures.length === 0 ? "\ndemo: all examples ran" : `\ndemo failed:\n  ${failures.join("\n  ")}`);
process.exitCode = failures.length === 0 ? 0 : 1;
