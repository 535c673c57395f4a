/** Compiled code is found without writing its text, as long as the files that write it are the same. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { addressOf, native } from "../ffi/mem.ts";
import { available } from "../ffi/open.ts";
import { runtime } from "../ffi/runtime.ts";
import { KernelCache } from "../src/device/cache.ts";
import { findCompiler } from "../src/device/compiler.ts";
import { configureCpu } from "../src/device/cpu.ts";
import { nativeSource } from "../src/device/native.ts";
import { recallText, rememberText, writers } from "../src/device/texts.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const skip = !available().ok || "reason" in findCompiler();

function withFolder(run: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "tnp-texts-"));
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A source that counts how often it is written. */
class Counted {
  readonly key: string;
  readonly #text: string;
  written = 0;

  constructor(key: string, text: string) {
    this.key = key;
    this.#text = text;
  }

  text(): string {
    this.written++;
    return this.#text;
  }
}

test("the files that write C are all known", () => {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    const imports = readFileSync(join(root, `${file}.ts`), "utf8").matchAll(
      /^(?:import|export) (?!type)[^;]*? from "(\..*?)\.ts"/gm,
    );
    for (const [, path] of imports) visit(posix.join(posix.dirname(file), path!));
  };
  for (const name of ["c", "preamble/search", "preamble/sort", "preamble/sort_keys", "preamble/stack"]) {
    visit(`kernels/${name}`);
  }
  assert.deepEqual(writers.toSorted(), [...found, "src/device/matmul_stack", "src/device/sort_native"].toSorted());
});

test("what is known of a text is kept by its key, and made again where it is damaged", () => {
  withFolder((folder) => {
    const cache = new KernelCache(folder, true), source = { key: "a", text: () => "text" };
    assert.equal(recallText(source, cache), null);
    rememberText(source, cache, "digest");
    assert.equal(recallText(source, cache), "digest");
    for (const key of ["b", null]) assert.equal(recallText({ ...source, key }, cache), null);
    assert.equal(recallText(source, null), null);
    const [name] = readdirSync(folder);
    rememberText({ ...source, key: "other" }, cache, "of another");
    const [other] = readdirSync(folder).filter((found) => found !== name);
    cpSync(join(folder, other!), join(folder, name!));
    assert.equal(recallText(source, cache), null);
    for (const name of readdirSync(folder)) writeFileSync(join(folder, name), "damaged");
    assert.equal(recallText(source, cache), null);
    rememberText(source, cache, "digest");
    assert.equal(recallText(source, cache), "digest");
    const temporary = new KernelCache(folder, false);
    assert.equal(recallText(source, temporary), null);
  });
});

test("code on disk is opened without its text", { skip }, () => {
  withFolder((folder) => {
    const old = process.env.TNP_CACHE_DIR;
    process.env.TNP_CACHE_DIR = join(folder, "cache");
    try {
      const source = new Counted("adds", "void tnp_kernel(const void *block) { ((long long *)block)[0] += 41; }\n");
      const counts = [0, 1].map(() => {
        configureCpu(null);
        const block = new BigInt64Array(new ArrayBuffer(8)).fill(1n);
        nativeSource(source, true, "a sum")!(native(addressOf(block)));
        assert.equal(block[0], 42n);
        return source.written;
      });
      assert.equal(counts[0], counts[1]);
    } finally {
      if (old === undefined) delete process.env.TNP_CACHE_DIR;
      else process.env.TNP_CACHE_DIR = old;
      configureCpu(null);
    }
  });
});

/** Runs with a copy of the package; `run` gives the texts in its cache after a program that begins with some statements. */
function withCopy(use: (folder: string, run: (before: string) => string[]) => void): void {
  withFolder((folder) => {
    for (const name of ["ffi", "kernels", "src", "mod.ts", "package.json"]) {
      cpSync(join(root, name), join(folder, name), { recursive: true });
    }
    if (existsSync(join(root, "node_modules"))) symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const cache = join(folder, "cache"), program = join(folder, "program.ts");
    use(folder, (before) => {
      writeFileSync(
        program,
        `import { tnp } from "./mod.ts";\n${before}console.log(tnp.multiply([1, 2, 3], 2.5).toArray().join());\n`,
      );
      const args = runtime.name === "deno" ? ["run", "-A", "--no-check"] : [];
      const env = { ...process.env, TNP_ENGINE: "c", TNP_CACHE_DIR: cache, TNP_KERNELS: "none" };
      const options = { env, cwd: folder, encoding: "utf8" } as const;
      const { stdout, stderr, status } = spawnSync(process.execPath, [...args, program], options);
      assert.equal(status, 0, stderr);
      assert.equal(stdout, "2.5,5,7.5\n");
      const sources = readdirSync(cache).filter((name) => name.endsWith(".c"));
      return sources.map((name) => readFileSync(join(cache, name), "utf8"));
    });
  });
}

test("nothing is kept of texts where a file that writes them was changed since the program began", { skip }, () => {
  withCopy((folder, run) => {
    const program = 'import { utimesSync } from "node:fs";\nutimesSync("kernels/c_map.ts", 4e9, 4e9);\n';
    run(program);
    assert.deepEqual(readdirSync(join(folder, "cache")).filter((name) => name.startsWith("text-")), []);
    utimesSync(join(folder, "kernels/c_map.ts"), 1, 1);
    run("");
    assert.notDeepEqual(readdirSync(join(folder, "cache")).filter((name) => name.startsWith("text-")), []);
  });
});

test("a changed file that writes C makes all texts new", { skip }, () => {
  withCopy((folder, run) => {
    const texts = run("").length;
    assert.equal(run("").length, texts);
    const path = join(folder, "kernels/c.ts"), text = readFileSync(path, "utf8");
    // The title is no part of what a text is known by.
    writeFileSync(path, text.replace("${title} */\\n", "${title} */\\n/* changed */\\n"));
    assert.ok(run("").some((text) => text.includes("\n/* changed */\n")));
  });
});
