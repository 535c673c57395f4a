/** Kernels compiled before: found by their source, checked, refused where damaged. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { addressOf, native } from "../ffi/mem.ts";
import { available } from "../ffi/open.ts";
import { checkSum, digest } from "../src/base/digest.ts";
import { findCompiler } from "../src/device/compiler.ts";
import { packedKernel, packLevels, packName, packSymbol } from "../src/device/pack.ts";

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
