/** Kernels compiled before: found by their source, checked, refused where damaged. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { addressOf, native } from "../ffi/mem.ts";
import { available } from "../ffi/open.ts";
import { platform } from "../ffi/runtime.ts";
import { renderC } from "../kernels/c.ts";
import { makePack, recordKernels } from "../scripts/pack.ts";
import { nodeOf } from "../src/array.ts";
import { checkSum, digest } from "../src/base/digest.ts";
import { findCompiler } from "../src/device/compiler.ts";
import { packedKernel, type PackIndex, packLevels, packName, packSymbol } from "../src/device/pack.ts";
import { textDigest } from "../src/device/texts.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { runChild } from "./support/child.ts";
import { program } from "./support/pack_program.ts";

const source = "void tnp_kernel(const void *block) { ((long long *)block)[0] += 41; }\n";
const compiler = findCompiler(), level = packLevels()[0];
const skip = !available().ok || "reason" in compiler || level === undefined;

/** Runs with a pack of one kernel. */
function withPack(run: (library: string, warnings: string[]) => void): void {
  if ("reason" in compiler || level === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), "tnp-pack-")), old = process.env.TNP_KERNELS, warn = console.warn;
  const warnings: string[] = [], key = digest(source), path = join(folder, packName(level, true));
  try {
    writeFileSync(join(folder, "kernel.c"), source);
    const args = ["-shared", "-fPIC", `-Dtnp_kernel=${packSymbol(key)}`, "-o", `${path}.so`, join(folder, "kernel.c")];
    assert.equal(spawnSync(compiler.path, args).status, 0);
    const sum = checkSum(readFileSync(`${path}.so`));
    writeFileSync(`${path}.json`, JSON.stringify({ format: 2, sum, kernels: [key] }));
    process.env.TNP_KERNELS = folder;
    console.warn = (text: string) => void warnings.push(text);
    run(`${path}.so`, warnings);
  } finally {
    console.warn = warn;
    if (old === undefined) delete process.env.TNP_KERNELS;
    else process.env.TNP_KERNELS = old;
    rmSync(folder, { recursive: true, force: true });
  }
}

test("a kernel of the pack is found by its source, and no other", { skip }, () => {
  withPack((_, warnings) => {
    const block = new BigInt64Array(new ArrayBuffer(8)).fill(1n);
    packedKernel(digest(source))!.run(native(addressOf(block)));
    assert.equal(block[0], 42n);
    assert.equal(packedKernel(digest(`${source}\n`)), null);
    assert.deepEqual(warnings, []);
  });
});

test("a damaged pack is refused with a warning", { skip }, () => {
  withPack((library, warnings) => {
    appendFileSync(library, "x");
    assert.equal(packedKernel(digest(source)), null);
    assert.match(warnings.join(), /do not match/);
  });
});

test("TNP_KERNELS=none hides the pack", { skip }, () => {
  withPack(() => {
    process.env.TNP_KERNELS = "none";
    assert.equal(packedKernel(digest(source)), null);
  });
});

describe("a program with its kernels in a pack", { skip }, () => {
  interface Result {
    /** Of all values of each result. */
    readonly sums: readonly string[];
    /** The last values of each result. */
    readonly values: readonly (readonly number[])[];
    /** Calls of the native thread. */
    readonly pushed: number;
  }
  if (skip) return;
  const folder = mkdtempSync(join(tmpdir(), "tnp-pack-")), choice = { level: packLevels()[0]!, openmp: true };
  const kernels = recordKernels(() => program(400).forEach((x) => evaluate([nodeOf(x.reshape([-1]))])));
  const symbols = kernels.map((kernel) => packSymbol(textDigest(renderC(kernel)))).toSorted();
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function run(variables: Readonly<Record<string, string>>): Promise<Result & { readonly err: string }> {
    const ended = await runChild("pack_child.ts", {
      TNP_CC: "none",
      TNP_CACHE_DIR: join(folder, "cache"),
      TNP_KERNELS: folder,
      TNP_DEBUG: "1",
      TNP_TEST_ROWS: "400",
      ...variables,
    });
    assert.equal(ended.code, 0, ended.err);
    return { ...JSON.parse(ended.out) as Result, err: ended.err };
  }

  /** The kernels that were taken from a library. */
  const taken = (err: string, library: string): string[] =>
    [...new Set(err.split("\n").flatMap((line) => (line.endsWith(` of ${library}`) ? [line.split(" ")[1]!] : [])))]
      .toSorted();

  function assertNear(got: Result, expected: Result): void {
    assert.deepEqual(got.values.map((v) => v.length), expected.values.map((v) => v.length));
    got.values.forEach((all, i) =>
      all.forEach((x, k) => {
        const y = expected.values[i]![k]!;
        assert.ok(Math.abs(x - y) <= 2e-5 * Math.max(1e-3, Math.abs(y)), `result ${i}, element ${k}: ${x}, not ${y}`);
      })
    );
  }

  test("needs no compiler, and gives the same on one thread and on two", async () => {
    const library = await makePack(kernels, folder, choice);
    const expected = await run({ TNP_KERNELS: "none" });
    const [one, two] = [await run({ OMP_NUM_THREADS: "1" }), await run({ OMP_NUM_THREADS: "2" })];
    for (const { err } of [one, two]) assert.deepEqual(taken(err, library), symbols);
    assert.deepEqual(one.sums, two.sums);
    assertNear(one, expected);
    assert.deepEqual(taken(expected.err, library), []);
  });

  test("runs on the native thread where a reader waits", { skip: platform !== "linux" }, async () => {
    const library = await makePack(kernels, folder, choice);
    const long = { TNP_TEST_ROWS: "8000" };
    const beside = await run({ ...long, TNP_CC: "path" in compiler ? compiler.path : "", TNP_TEST_ASYNC: "1" });
    assert.deepEqual(taken(beside.err, library), symbols);
    assert.ok(beside.pushed >= 4, `${beside.pushed} calls`);
    assert.deepEqual(beside.sums, (await run(long)).sums);
  });

  test(
    "takes the one for a single thread where OpenMP's library is missing",
    { skip: platform !== "linux" },
    async () => {
      const library = await makePack(kernels, folder, choice),
        serial = await makePack(kernels, folder, { ...choice, openmp: false });
      const expected = await run({});
      // A library that needs one which is gone.
      const missing = join(folder, "libtnp_missing.so"), source = join(folder, "empty.c");
      writeFileSync(source, "int tnp_missing(void) { return 0; }\n");
      const call = (...args: string[]) => assert.equal(spawnSync((compiler as { path: string }).path, args).status, 0);
      call("-shared", "-fPIC", "-o", missing, source);
      call("-shared", "-fPIC", "-o", library, source, "-Wl,--no-as-needed", `-L${folder}`, "-ltnp_missing");
      rmSync(missing);
      const index = { format: 2, sum: checkSum(readFileSync(library)), kernels: serialKernels(serial) };
      writeFileSync(library.replace(/so$/, "json"), JSON.stringify(index));
      const alone = await run({});
      assert.deepEqual(taken(alone.err, serial), symbols);
      assert.match(alone.err, /cannot be loaded: .*libtnp_missing/);
      assertNear(alone, expected);
    },
  );
});

/** The kernels in the index of a library. */
function serialKernels(library: string): readonly string[] {
  return (JSON.parse(readFileSync(library.replace(/so$/, "json"), "utf8")) as PackIndex).kernels;
}
