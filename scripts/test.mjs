// Runs tests/*_test.ts in Deno, Bun and Node, each file in a process of its own, and ends with `N passed, N failed`.
// --embedded hides the compiler and the native libraries in all runs; --embedded=node adds such a run in one runtime.
// --clang=node adds a run of the tests of compiled C with clang, where it is installed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { runChecks } from "./check.mjs";
import { readJUnit } from "./junit.mjs";
import { childEnv, embeddedEnv, endingFlags, findRuntime, mapLimit, root, run, runtimeNames } from "./lib.mjs";

/** Files that look at a clock: they run alone, after the others. */
const timed = ["async_test.ts"];
/** Files that take long: they begin first, so that none is left alone at the end. */
const long = ["cuda_nvrtc_test.ts", "cuda_golden_test.ts", "cuda_faults_test.ts", "sort_native_test.ts"];
const usage =
  "node scripts/test.mjs [--runtimes=deno,bun,node] [--embedded[=node]] [--clang=node] [--checks] [--jobs=3] [file or word…]";
const stray = process.argv.slice(2).find((arg) =>
  /^-/.test(arg) && !/^--(runtimes|embedded|clang|checks|jobs)(=|$)/.test(arg)
);
if (stray !== undefined) {
  console.log(stray === "--help" ? usage : `test: ${stray} is no option; ${usage}`);
  process.exit(stray === "--help" ? 0 : 1);
}
const words = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const option = (/** @type {string} */ name) => {
  const found = process.argv.find((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  return found === undefined ? undefined : found.split("=")[1] ?? "";
};
const seconds = Number(process.env.TNP_TEST_TIMEOUT ?? 600);
// One more than cores, up to three: tests also wait, for processes, timers and disks.
const jobs = Number(option("jobs") || Math.min(3, availableParallelism() + 1));
const runtimes = list(option("runtimes")) ?? [...runtimeNames];
const embedded = option("embedded");
const clang = spawnSync("clang", ["--version"]).status === 0;
/** Tests of compiled C. */
const compiled = ["kernels_test", "kernels_fuzz_test", "ulp_test", "engine_test", "sort_native_test"];
/** @type {{ runtime: import("./lib.mjs").RuntimeName, kind: "" | "embedded" | "clang" }[]} */
const passes = [
  ...runtimes.map((runtime) => ({
    runtime,
    kind: embedded === "" ? /** @type {const} */ ("embedded") : /** @type {const} */ (""),
  })),
  ...(list(embedded) ?? []).map((runtime) => ({ runtime, kind: /** @type {const} */ ("embedded") })),
  ...(clang ? list(option("clang")) ?? [] : []).map((runtime) => ({ runtime, kind: /** @type {const} */ ("clang") })),
];
const files = testFiles();
// Without interpretation also what comes once goes through plans and kernels.
const environments = { "": {}, embedded: { ...embeddedEnv, TNP_INTERPRET: "none" }, clang: { TNP_CC: "clang" } };
const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} */
const broken = [];

if (files.length === 0) {
  console.error(
    `test: no file in tests/ ends with _test.ts${words.length > 0 ? ` and matches ${words.join(" ")}` : ""}`,
  );
  process.exit(1);
}
if (option("checks") !== undefined) {
  for (const check of await runChecks()) {
    if (check.ok) total.passed++;
    else fail(`check ${check.name}`);
  }
}
await runAll(passes.map(prepare).filter((pass) => pass !== undefined));

if (broken.length > 0) console.log(`\nfailed:\n${broken.map((name) => `  ${name}`).join("\n")}`);
console.log(`\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

/**
 * A pass: its files, what runs them, and what passed of them so far.
 * @typedef {object} Pass
 * @property {import("./lib.mjs").RuntimeName} runtime
 * @property {string} label
 * @property {string} command
 * @property {readonly string[]} files
 * @property {NodeJS.ProcessEnv} env
 * @property {string} out a folder for reports
 * @property {{ passed: number, failed: number }} sum
 */

/** @param {typeof passes[number]} pass @returns {Pass | undefined} */
function prepare({ runtime, kind }) {
  const label = `${runtime} ${kind}`.trim();
  const chosen = kind === "clang" ? files.filter((file) => compiled.some((name) => file.includes(`/${name}`))) : files;
  const found = findRuntime(runtime);
  if (found === undefined) {
    console.error(`test: ${runtime} is not installed; run: make setup`);
    fail(label);
    return undefined;
  }
  console.log(`${label} (${found.version}), ${chosen.length} files`);
  const out = mkdtempSync(join(tmpdir(), "tnp-test-")), temporary = join(out, "tmp");
  mkdirSync(temporary);
  process.on("exit", () => rmSync(out, { recursive: true, force: true }));
  // Processes share the cores, so waiting threads must not spin.
  // What a test that was ended leaves behind goes with the folder.
  const env = childEnv({ OMP_WAIT_POLICY: "passive", TMPDIR: temporary, ...environments[kind] });
  return { runtime, label, command: found.command, files: chosen, env, out, sum: { passed: 0, failed: 0 } };
}

/** Runs the files of all passes in one queue, so that no core waits at the end of a pass. @param {readonly Pass[]} prepared */
async function runAll(prepared) {
  const queue = prepared.flatMap((pass) => {
    const others = pass.files.filter((file) => !isTimed(file));
    return others.sort((a, b) => Number(isLong(b)) - Number(isLong(a))).map((file) => ({ pass, file }));
  });
  await mapLimit(queue, jobs, runFile);
  await mapLimit(
    prepared.flatMap((pass) => pass.files.filter(isTimed).map((file) => ({ pass, file }))),
    1,
    runFile,
  );
  for (const { label, sum } of prepared) console.log(`${label}: ${sum.passed} of ${sum.passed + sum.failed} passed`);
}

/** @param {{ pass: Pass, file: string }} job */
async function runFile({ pass, file }) {
  const { runtime, label, sum } = pass;
  const report = join(pass.out, `${basename(file)}.xml`);
  const ended = await run(pass.command, testArgs(runtime, file, report), { env: pass.env, timeout: seconds });
  const counts = readJUnit(existsSync(report) ? readFileSync(report, "utf8") : "", basename(file));
  const trouble = troubleOf(ended, counts);
  const names = trouble === undefined ? counts.failures : [...counts.failures, trouble];
  const count = `${counts.passed} passed, ${names.length} failed (${ended.seconds.toFixed(1)} s)`;
  console.log(`  ${names.length > 0 ? "FAIL" : "ok  "} ${label}: ${file} ${count}`);
  if (names.length > 0) console.log(`${indent(ended.output)}\n  ${names.map((n) => `FAIL ${n}`).join("\n  ")}`);
  sum.passed += counts.passed;
  sum.failed += names.length;
  total.passed += counts.passed;
  total.skipped += counts.skipped;
  for (const name of names) fail(`${label}: ${file}: ${name}`);
}

/** What went wrong beyond the failures that the runner itself counted. */
function troubleOf(
  /** @type {import("./lib.mjs").Finished} */ ended,
  /** @type {import("./junit.mjs").Counts} */ counts,
) {
  if (ended.timedOut) return `no end after ${seconds} s`;
  if (ended.signal !== null) return `ended by ${ended.signal}`;
  if (counts.failed > 0) return undefined;
  if (ended.code !== 0) return `exit code ${ended.code}`;
  return counts.passed + counts.skipped === 0 ? "no test ran" : undefined;
}

/** @param {import("./lib.mjs").RuntimeName} runtime @param {string} file @param {string} report */
function testArgs(runtime, file, report) {
  if (runtime === "deno") return ["test", "-A", "--no-check", "--v8-flags=--expose-gc", `--junit-path=${report}`, file];
  if (runtime === "bun") {
    return ["test", `--timeout=${seconds * 1000}`, "--reporter=junit", `--reporter-outfile=${report}`, `./${file}`];
  }
  const to = "--test-reporter-destination=";
  const reporters = ["--test-reporter=spec", `${to}stdout`, "--test-reporter=junit", `${to}${report}`];
  const flags = isTimed(file) ? [] : endingFlags;
  return [...flags, "--conditions=source", "--expose-gc", "--test", "--test-isolation=none", ...reporters, file];
}

function testFiles() {
  const folder = join(root, "tests");
  const all = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith("_test.ts")).sort() : [];
  const wanted = words.map((word) => basename(word));
  return all.filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word))).map((n) =>
    `tests/${n}`
  );
}

/** @param {string} file */
function isTimed(file) {
  return timed.some((name) => file.endsWith(name));
}

/** @param {string} file */
function isLong(file) {
  return long.some((name) => file.endsWith(name));
}

/** @param {string} name */
function fail(name) {
  total.failed++;
  broken.push(name);
}

/** @param {string | undefined} text @returns {import("./lib.mjs").RuntimeName[] | undefined} */
function list(text) {
  if (text === undefined || text === "") return undefined;
  const names = text.split(",");
  const unknown = names.filter((name) => !runtimeNames.some((known) => known === name));
  if (unknown.length > 0) {
    console.error(`test: unknown runtime ${unknown.join(", ")}, expected ${runtimeNames.join(", ")}`);
    process.exit(2);
  }
  return runtimeNames.filter((known) => names.includes(known));
}

/** @param {string} text */
function indent(text) {
  return text.trimEnd().split("\n").map((line) => `    ${line}`).join("\n");
}
