// Finds the ```ts examples in JSDoc comments and Markdown, type-checks them and runs them in one process.
// An example is a module; it fails when it does not type-check or throws.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cache, root, run } from "./lib.mjs";

/** @typedef {{ file: string, line: number, code: string }} Example */

const folders = ["ffi", "kernels", "src", "docs"];
const topFiles = ["mod.ts", "README.md"];

/**
 * Runs all examples with Deno.
 * @param {string} deno the path of Deno
 * @returns {Promise<import("./check.mjs").CheckResult[]>}
 */
export async function runExamples(deno) {
  const examples = sources().flatMap((file) => examplesOf(file, readFileSync(join(root, file), "utf8")));
  if (examples.length === 0) return [{ name: "doc examples", ok: false, output: "no example found" }];
  const out = join(cache, `examples-${process.pid}`);
  mkdirSync(out, { recursive: true });
  const names = examples.map(({ file, line }) =>
    `${file.replaceAll("/", "__").replace(/\.(ts|md)$/, "")}__L${line}.ts`
  );
  // Examples keep the line numbers of their file, so that a stack trace points into it.
  examples.forEach(({ line, code }, i) => {
    writeFileSync(
      join(out, names[i]),
      `${"\n".repeat(line - 1)}${code.replaceAll("jsr:@tnp/tnp", "@tnp/tnp")}\nexport {};\n`,
    );
  });
  writeFileSync(join(out, "main.ts"), runner(names));
  const where = (/** @type {number} */ i) => `example ${examples[i].file}:${examples[i].line}`;
  const checked = await run(deno, ["check", "--quiet", ...names.map((name) => join(out, name))], { timeout: 300 });
  const ran = await run(deno, ["run", "-A", "--no-check", join(out, "main.ts")], { cwd: out, timeout: 300 });
  rmSync(out, { recursive: true, force: true });
  /** @type {Map<string, string | null>} */
  const results = new Map();
  for (const [, json] of ran.output.matchAll(/^@example (.*)$/gm)) {
    const { name, error } = JSON.parse(json);
    results.set(name, error);
  }
  return names.map((name, i) => {
    const error = results.has(name) ? results.get(name) : `did not run to its end\n${ran.output.slice(-2000)}`;
    const types = checked.code !== 0 && checked.output.includes(`/${name}`) ? typeErrors(checked.output, name) : "";
    const output = [error ?? "", types].filter((text) => text !== "").join("\n");
    return { name: where(i), ok: output === "", output };
  }).concat(checkFailure(checked, names));
}

/** A failed type check that names no example is a failure of its own. */
function checkFailure(/** @type {import("./lib.mjs").Finished} */ checked, /** @type {string[]} */ names) {
  if (checked.code === 0 || names.some((name) => checked.output.includes(`/${name}`))) return [];
  return [{ name: "examples deno check", ok: false, output: checked.output }];
}

/** The type errors that name this file. @param {string} output @param {string} name */
function typeErrors(output, name) {
  return output.split(/\n\n+/).filter((part) => part.includes(`/${name}`)).join("\n");
}

/** The module that runs the examples one after the other. @param {readonly string[]} names */
function runner(names) {
  return `import { inspect } from "node:util";
const names: string[] = ${JSON.stringify(names)};
const log = console.log;
const shown: string[] = [];
for (const method of ["log", "info", "warn", "error", "table", "dir"] as const) {
  console[method] = (...items: unknown[]) => void shown.push(items.map((item) => inspect(item)).join(" "));
}
for (const name of names) {
  shown.length = 0;
  let error: string | null = null;
  try {
    await import("./" + name);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.stack ?? thrown.message : inspect(thrown);
  }
  log("@example " + JSON.stringify({ name, error }));
}
process.exit(0);
`.replace("import { inspect", 'import process from "node:process";\nimport { inspect');
}

/** @returns {string[]} */
function sources() {
  const nested = folders.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`)
  );
  return [...topFiles.filter((file) => existsSync(join(root, file))), ...nested]
    .map((file) => file.replaceAll("\\", "/")).filter((file) => /\.(ts|md)$/.test(file)).sort();
}

/**
 * The examples of one file. Fences marked `ts ignore` are not run.
 * @param {string} file
 * @param {string} text
 * @returns {Example[]}
 */
export function examplesOf(file, text) {
  /** @type {Example[]} */
  const found = [];
  /** @type {{ line: number, code: string[], keep: boolean } | undefined} */
  let open;
  let inDoc = file.endsWith(".md");
  text.split("\n").forEach((raw, i) => {
    if (!file.endsWith(".md") && open === undefined && /^\s*\/\*\*/.test(raw)) inDoc = true;
    if (inDoc) {
      const line = file.endsWith(".md") ? raw : raw.replace(/^\s*(?:\/\*)?\*+ ?/, "");
      const fence = /^\s*```(.*)$/.exec(line);
      if (fence !== null && open === undefined) {
        const [language = "", ...marks] = (fence[1] ?? "").trim().split(/\s+/);
        open = { line: i + 2, code: [], keep: /^(ts|typescript)$/.test(language) && !marks.includes("ignore") };
      } else if (fence !== null && open !== undefined) {
        if (open.keep) found.push({ file, line: open.line, code: open.code.join("\n") });
        open = undefined;
      } else if (open !== undefined) open.code.push(line);
    }
    if (!file.endsWith(".md") && /\*\/\s*$/.test(raw)) {
      inDoc = false;
      open = undefined;
    }
  });
  return found;
}
