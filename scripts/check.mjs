// Static checks and the documentation's examples. `node scripts/check.mjs [name…]` ends with `N passed, N failed`.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runExamples } from "./examples.mjs";
import { findRuntime, mapLimit, root, run, tsc } from "./lib.mjs";

/** @typedef {{ name: string, ok: boolean, output: string }} CheckResult */

/**
 * Runs the checks and prints what fails.
 * @param {readonly string[]} [only] names of the checks to run; all by default
 * @returns {Promise<CheckResult[]>}
 */
export async function runChecks(only = []) {
  const deno = findRuntime("deno")?.command ?? "deno";
  const checks = [
    command("tsc", process.execPath, [tsc, "--noEmit", "--pretty", "false", "-p", "tsconfig.json"]),
    command("tsc build", process.execPath, [tsc, "--noEmit", "--pretty", "false", "-p", "tsconfig.build.json"]),
    command("deno check", deno, ["check", "mod.ts"]),
    command("deno fmt", deno, ["fmt", "--check"]),
    command("deno lint", deno, ["lint"]),
    command("deno doc", deno, ["doc", "--lint", "mod.ts"]),
    { name: "doc examples", run: () => runExamples(deno) },
    { name: "npm package", run: buildAndLoad },
  ].filter((check) => only.length === 0 || only.some((word) => check.name.includes(word)));
  console.log(`checks: ${checks.map((check) => check.name).join(", ")}`);
  const results = await mapLimit(checks, 2, async (check) => {
    const found = await check.run();
    for (const { name, ok, output } of found) {
      if (!ok) console.log(`  FAIL ${name}\n${output.trimEnd().split("\n").map((line) => `    ${line}`).join("\n")}`);
    }
    const bad = found.filter((result) => !result.ok).length;
    console.log(
      `  ${bad > 0 ? "FAIL" : "ok  "} ${check.name}${
        found.length === 1 ? "" : ` ${found.length - bad} of ${found.length}`
      }`,
    );
    return found;
  });
  return results.flat();
}

/** Builds the package and computes with it, as users of npm do in Node. @returns {Promise<CheckResult[]>} */
async function buildAndLoad() {
  const built = await run(process.execPath, [join(root, "scripts/build.mjs")], { timeout: 300 });
  if (built.code !== 0) return [{ name: "npm package", ok: false, output: built.output }];
  const node = findRuntime("node")?.command ?? "node";
  const text = 'import { tnp } from "./dist/mod.js"; console.log(tnp.add([1, 2], 0.5).toArray().join());';
  const ended = await run(node, ["--input-type=module", "-e", text], { timeout: 60 });
  return [{ name: "npm package", ok: ended.code === 0 && ended.output.trim() === "1.5,2.5", output: ended.output }];
}

/** @param {string} name @param {string} file @param {string[]} args */
function command(name, file, args) {
  return {
    name,
    /** @returns {Promise<CheckResult[]>} */
    run: async () => {
      const ended = await run(file, args, { timeout: 300 });
      return [{ name, ok: ended.code === 0, output: ended.output }];
    },
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (!existsSync(join(root, "node_modules"))) {
    console.error("check: node_modules is missing; run: make setup");
    process.exit(1);
  }
  const results = await runChecks(process.argv.slice(2));
  const failed = results.filter((result) => !result.ok).length;
  console.log(`\n${results.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 || results.length === 0 ? 1 : 0;
}
