import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The parts that know no engine. The device interface is one of them: whoever names a device depends on nothing below it. */
const lower = ["src/base", "kernels", "src/device/device.ts", "src/core", "src/prims", "src/graph"];

/** What each part may import besides itself. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "ffi": [],
  "src/base": [],
  "kernels": lower.slice(0, 1),
  "src/device/device.ts": lower.slice(0, 2),
  "src/core": lower.slice(0, 3),
  "src/prims": lower.slice(0, 4),
  "src/graph": lower.slice(0, 5),
  "src/device": ["src/base", "ffi", "kernels", "src/device/device.ts"],
  "src/transform": [...lower, "ffi", "src/device"],
  "src/array.ts": [...lower, "ffi", "src/device", "src/transform"],
  "src/numpy": [...lower, "ffi", "src/device", "src/transform", "src/array.ts"],
  "src/io": [...lower, "ffi", "src/device", "src/transform", "src/array.ts", "src/numpy"],
  "src/tnp.ts": [...lower, "ffi", "src/device", "src/transform", "src/array.ts", "src/numpy", "src/io"],
  "mod.ts": ["src/tnp.ts", ...lower, "ffi", "src/device", "src/transform", "src/array.ts", "src/numpy", "src/io"],
};

const adapters = ["ffi/deno.ts", "ffi/bun.ts", "ffi/node.ts"];

interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** Every import of a file: values, types, re-exports, side effects and dynamic ones. */
function importsOf(text: string): Import[] {
  const code = text.replace(/^\s*(?:\/\/|\/?\*).*$/gm, "");
  const patterns = [
    /^(?:import|export)\s+(?:type\s+)?[\w*{][^;"'()=]*?from\s+["']([^"']+)["']/gm,
    /^import\s+["']([^"']+)["']/gm,
    /\bimport\(\s*["']([^"']+)["']/g,
  ];
  return patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => ({
      specifier: match[1] ?? "",
      line: code.slice(0, match.index + match[0].length).split("\n").length,
    }))
  );
}

function partOf(file: string): string | undefined {
  return Object.keys(allowed).find((part) => file === part || file.startsWith(`${part}/`));
}

function sources(): Map<string, string> {
  const files = ["ffi", "kernels", "src"].filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
  );
  if (existsSync(join(root, "mod.ts"))) files.push("mod.ts");
  return new Map(
    files.filter((file) => file.endsWith(".ts")).sort()
      .map((file) => [file, readFileSync(join(root, file), "utf8")]),
  );
}

/** The relative imports of each file, by their path in the repository. */
function graphOf(files: ReadonlyMap<string, string>): Map<string, { file: string; line: number }[]> {
  return new Map([...files].map(([file, text]) => [
    file,
    importsOf(text).filter(({ specifier }) => specifier.startsWith("."))
      .map(({ specifier, line }) => ({ file: posix.join(posix.dirname(file), specifier), line })),
  ]));
}

/** The order's violations as `file:line …`. */
function misplaced(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [file, targets] of graphOf(files)) {
    const part = partOf(file);
    if (part === undefined) {
      found.push(`${file}: is in no part of the tree`);
      continue;
    }
    for (const target of targets) {
      const other = partOf(target.file);
      if (!files.has(target.file)) found.push(`${file}:${target.line}: ${target.file} is not there`);
      else if (other !== part && !(other !== undefined && allowed[part]?.includes(other))) {
        found.push(`${file}:${target.line}: ${part} may not import ${other} (${target.file})`);
      }
    }
  }
  return found;
}

/** Import cycles, each as `a -> b -> a`. */
function cycles(files: ReadonlyMap<string, string>): string[] {
  const graph = graphOf(files);
  const state = new Map<string, "open" | "done">();
  const path: string[] = [];
  const found: string[] = [];
  const visit = (file: string): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      found.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      return;
    }
    state.set(file, "open");
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target.file);
    path.pop();
    state.set(file, "done");
  };
  for (const file of graph.keys()) visit(file);
  return found;
}

describe("imports", () => {
  const files = sources();

  test("point one way", () => {
    assert.ok(files.size > 0, `no source found under ${root} (in ${process.cwd()})`);
    assert.deepEqual(misplaced(files), []);
  });

  test("have no cycle", () => {
    assert.deepEqual(cycles(files), []);
  });

  test("are relative .ts files or node: built-ins", () => {
    const bad = [...files].filter(([file]) => !adapters.includes(file)).flatMap(([file, text]) =>
      importsOf(text).filter(({ specifier }) => !/^node:/.test(specifier) && !/^\.\.?\/.*\.ts$/.test(specifier))
        .map(({ specifier, line }) => `${file}:${line}: ${specifier}`)
    );
    assert.deepEqual(bad, []);
  });

  test("load nothing of node: when the program starts", () => {
    const bad = [...files].filter(([, text]) => /^(?:import|export) (?!type )[^;]*from "node:/m.test(text));
    assert.deepEqual(bad.map(([file]) => file), []);
  });

  test("only the adapters name a runtime's globals", () => {
    const bad = [...files].filter(([file]) => !adapters.includes(file)).flatMap(([file, text]) =>
      text.split("\n").map((line, i) => ({ line, at: `${file}:${i + 1}` }))
        .filter(({ line }) => !/^\s*(?:\/\/|\/?\*)/.test(line))
        .filter(({ line }) =>
          /\b(?:Deno|Bun)\.[a-zA-Z]|["'](?:koffi|bun:ffi)["']/.test(
            line.replace(/\/\/.*$|Symbol\.for\("Deno\.customInspect"\)/, ""),
          )
        )
        .map(({ line, at }) => `${at}: ${line.trim()}`)
    );
    assert.deepEqual(bad, []);
  });

  test("of every form are seen by this test", () => {
    const text = [
      'import { a } from "./a.ts";',
      'import type {\n  B,\n} from "./b.ts";',
      'export * from "./c.ts";',
      'export type { D } from "./d.ts";',
      'import "./e.ts";',
      'const f = await import("./f.ts");',
      'export * as g from "./g.ts";',
      ' * import { h } from "./h.ts";',
      '// import { i } from "./i.ts";',
      'export const text = "x"; // from "./j.ts"',
    ].join("\n");
    assert.deepEqual(
      importsOf(text).map(({ specifier }) => specifier).sort(),
      ["a", "b", "c", "d", "e", "f", "g"].map((name) => `./${name}.ts`),
    );
  });

  test("in the wrong direction and in a circle are reported", () => {
    const wrong = new Map([
      ["ffi/open.ts", 'import { Shape } from "../src/base/shape.ts";'],
      ["src/base/shape.ts", 'import type { Tree } from "./tree.ts";'],
      ["src/base/tree.ts", 'export type { Shape } from "./shape.ts";'],
      ["src/device/cpu.ts", 'import "../graph/plan.ts";'],
      ["src/graph/plan.ts", ""],
    ]);
    assert.deepEqual(misplaced(wrong), [
      "ffi/open.ts:1: ffi may not import src/base (src/base/shape.ts)",
      "src/device/cpu.ts:1: src/device may not import src/graph (src/graph/plan.ts)",
    ]);
    assert.deepEqual(cycles(wrong), ["src/base/shape.ts -> src/base/tree.ts -> src/base/shape.ts"]);
  });
});
