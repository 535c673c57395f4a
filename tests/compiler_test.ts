/** Compilers and caches that misbehave, seen from a process of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { available } from "../ffi/open.ts";
import { architecture, permission, platform, runtime } from "../ffi/runtime.ts";
import { findCompiler, observable } from "../src/device/compiler.ts";
import { runChild } from "./support/child.ts";

const found = findCompiler();
const sum = 333333000;

/** Runs with a folder, and a compiler in it that is a shell script before it is the real one. */
async function withCompiler(
  text: string,
  run: (variables: Readonly<Record<string, string>>, folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tnp-test-")), path = join(folder, "compiler");
  const real = "path" in found ? found.path : "";
  writeFileSync(path, `#!/bin/sh\nfolder='${folder}'\nreal='${real}'\n${text}\nexec "$real" "$@"\n`, { mode: 0o700 });
  try {
    await run({ TNP_CC: path, TNP_CACHE_DIR: join(folder, "cache"), TMPDIR: folder }, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Shell that does something to each argument that is a C file. */
const eachSource = (text: string) => `for a; do case $a in *.c) ${text};; esac; done`;

describe("a compiler", () => {
  test("may be missing", async () => {
    const { out, err } = await runChild("device_child.ts", { TNP_CC: "none" });
    assert.equal((JSON.parse(out) as Record<string, unknown>)["sum"], sum);
    assert.equal(err, "");
  });

  if (!available().ok || !("path" in found)) return;

  test("that makes wrong code is refused with one warning, and the answer is right", async () => {
    const spoil = eachSource(`grep -q self-test "$a" && sed -i 's/__builtin_sqrt/__builtin_fabs/g' "$a"`);
    await withCompiler(spoil, async (variables) => {
      const { code, out, err } = await runChild("device_child.ts", variables);
      assert.equal(code, 0);
      const result = JSON.parse(out) as Record<string, unknown>;
      assert.equal(result["sum"], sum);
      assert.equal(result["compiled"], false);
      assert.match(err, /compiled kernels are not used: .* makes code that gives wrong numbers; set TNP_CC to another/);
      assert.equal(err.split("\n").length, 1);
    });
  });

  test("that knows no -march=native, or no OpenMP, is used without", async () => {
    for (const flags of ["-march=native | -mcpu=native", "-fopenmp", "-march=native | -mcpu=native | -fopenmp*"]) {
      await withCompiler(`for a; do case $a in ${flags}) exit 1;; esac; done`, async (variables) => {
        const { out, err } = await runChild("device_child.ts", variables);
        assert.deepEqual(JSON.parse(out), { sum, compiled: true, reason: "" });
        assert.equal(err, "");
      });
    }
  });

  test("that is slow is not waited for", { skip: !observable }, async () => {
    interface Result {
      readonly longest: number;
      readonly calls: number;
      readonly first: number;
      readonly last: number;
      readonly one: number;
    }
    const usual = JSON.parse((await runChild("slow_child.ts", { TNP_CC: "none" })).out) as Result;
    // Longer than all of the program takes on a busy machine.
    await withCompiler("sleep 20", async (variables, folder) => {
      const { code, out, err } = await runChild("slow_child.ts", variables);
      assert.equal(code, 0);
      assert.equal(err, "");
      const slow = JSON.parse(out) as Result;
      assert.ok(slow.longest < 10_000, `a result took ${slow.longest} ms`);
      assert.ok(slow.calls > 3, `${slow.calls} results in 1.5 s`);
      assert.deepEqual([slow.first, slow.last, slow.one], [usual.first, usual.last, usual.one]);
      // What was under way is ended and removed with the program.
      assert.deepEqual(readdirSync(join(folder, "cache")), []);
    });
  });

  // Ten seconds, which pass alike in all runtimes.
  if (runtime.name === "bun") {
    test("that hangs does not keep build_info", { skip: !observable }, async () => {
      await withCompiler("sleep 60", async (variables) => {
        const start = performance.now(), { code, out } = await runChild("build_info_child.ts", variables);
        const { available, hint } = JSON.parse(out) as { available: boolean; hint: string };
        assert.deepEqual([code, available], [0, false]);
        assert.match(hint, /^the C compiler does not answer within 10 s; /);
        assert.ok(performance.now() - start < 50_000);
      });
    });
  }

  test("that has no room to write is replaced by JavaScript with its message", async () => {
    await withCompiler(`echo "cannot write: No space left on device" >&2; exit 1`, async (variables) => {
      const { code, out, err } = await runChild("device_child.ts", variables);
      assert.equal(code, 0);
      assert.equal((JSON.parse(out) as Record<string, unknown>)["sum"], sum);
      assert.match(err, /No space left on device/);
    });
  });

  test("for a processor without AVX2 or FMA gives the same", { skip: architecture !== "x64" }, async () => {
    const old = 'for a; do shift; case $a in -march=native) a=-march=x86-64;; esac; set -- "$@" "$a"; done';
    await withCompiler(old, async (variables) => {
      const { out, err } = await runChild("device_child.ts", variables);
      assert.deepEqual(JSON.parse(out), { sum, compiled: true, reason: "" });
      assert.equal(err, "");
      const threads = JSON.parse((await runChild("threads_child.ts", variables)).out) as { sums: unknown[] };
      assert.deepEqual(threads.sums[0], threads.sums[2]);
    });
  });

  test("on a disk that is full is replaced by JavaScript or by another folder", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "tnp-test-"));
    try {
      const mounted = platform === "linux" && permission("run") &&
        spawnSync("mount", ["-t", "tmpfs", "-o", "size=16k,mode=700", "tnp", folder]).status === 0;
      if (!mounted) return t.diagnostic?.("mounting takes root");
      try {
        writeFileSync(join(folder, "filler"), new Uint8Array(8192));
        for (const temporary of [folder, tmpdir()]) {
          const variables = { TNP_CACHE_DIR: join(folder, "cache"), TMPDIR: temporary };
          const { code, out } = await runChild("device_child.ts", variables);
          assert.equal(code, 0);
          assert.equal((JSON.parse(out) as Record<string, unknown>)["sum"], sum);
        }
      } finally {
        spawnSync("umount", ["-l", folder]);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("that was killed leaves files that a later process removes, and those of running ones stay", async () => {
    await withCompiler("", async (variables, folder) => {
      const cache = join(folder, "cache"), hour = Date.now() / 1000 - 3601;
      mkdirSync(cache, { mode: 0o700 });
      for (const name of ["tmp-old.c", "tmp-old.so", "tmp-new.c"]) writeFileSync(join(cache, name), "");
      for (const name of ["tmp-old.c", "tmp-old.so"]) utimesSync(join(cache, name), hour, hour);
      const { out } = await runChild("device_child.ts", variables);
      assert.deepEqual(JSON.parse(out), { sum, compiled: true, reason: "" });
      assert.deepEqual(readdirSync(cache).filter((name) => name.startsWith("tmp-")), ["tmp-new.c"]);
      // What a process put into the folder for temporary files is gone with it, unless it was killed.
      const gone = `tnp-${2 ** 22 + 1}-abcdef`, own = `tnp-${process.pid}-abcdef`;
      for (const name of [gone, own]) mkdirSync(join(folder, name), { mode: 0o700 });
      for (const name of [gone, own]) utimesSync(join(folder, name), hour, hour);
      const second = await runChild("device_child.ts", { ...variables, TNP_CACHE_DIR: "/proc/tnp" });
      assert.deepEqual(JSON.parse(second.out), { sum, compiled: true, reason: "" });
      const left = readdirSync(folder).filter((name) => name.startsWith("tnp-"));
      assert.deepEqual(left, platform === "linux" ? [own] : [gone, own].toSorted());
    });
  });

  test("may die with its process and leaves a cache that works", async () => {
    // The first kernel that is no test takes the process along, before the compiler ran and after.
    for (const moment of ["", '"$real" "$@"; ']) {
      const kill = `${moment}touch "$folder/killed"; kill -9 $PPID; exit 1`;
      const once = eachSource(`grep -q 'x \\* x + x' "$a" && test ! -e "$folder/killed" && { ${kill}; }`);
      await withCompiler(once, async (variables, folder) => {
        const first = await runChild("device_child.ts", variables);
        assert.equal(first.code === 0, false);
        assert.equal(first.out, "");
        assert.ok(readdirSync(folder).includes("killed"));
        for (let i = 0; i < 2; i++) {
          const { out, err } = await runChild("device_child.ts", variables);
          assert.deepEqual(JSON.parse(out), { sum, compiled: true, reason: "" });
          assert.equal(err, "");
        }
      });
    }
  });
});
