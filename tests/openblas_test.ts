import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { available } from "../ffi/open.ts";
import { platform, processorFlags } from "../ffi/runtime.ts";
import { runChild } from "./support/child.ts";

/** A library that takes any processor for a Prescott, as OpenBLAS does with those that are newer than itself. */
const SOURCE = `#include <stdio.h>
#include <stdlib.h>
static char core[32], config[128];
__attribute__((constructor)) static void start(void) {
  const char *type = getenv("OPENBLAS_CORETYPE"), *wait = getenv("OPENBLAS_THREAD_TIMEOUT");
  snprintf(core, sizeof core, "%s", type ? type : "Prescott");
  snprintf(config, sizeof config, "%s waits %s", core, wait ? wait : "long");
}
const char *openblas_get_config(void) { return config; }
const char *openblas_get_corename(void) { return core; }
void openblas_set_num_threads(int count) { (void)count; }
void cblas_sgemm(void) {}
void cblas_dgemm(void) {}
void cblas_cgemm(void) {}
void cblas_zgemm(void) {}
`;

const cc = process.env["TNP_CC"] ?? "cc";
const compiles = available().ok && platform === "linux" && cc !== "none" && spawnSync(cc, ["--version"]).status === 0;

describe("OpenBLAS", () => {
  test("is opened again where it took a new processor for an old one, and its threads wait a short time", {
    skip: !compiles && "needs a C compiler, on Linux",
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "tnp-openblas-"));
    try {
      const source = join(folder, "blas.c"), library = join(folder, "libopenblas.so");
      writeFileSync(source, SOURCE);
      const { status, stderr } = spawnSync(cc, ["-shared", "-fPIC", "-o", library, source], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      const unset = { OPENBLAS_CORETYPE: undefined, OPENBLAS_THREAD_TIMEOUT: undefined };
      const config = async (variables: Readonly<Record<string, string>>) => {
        const { code, out, err } = await runChild("openblas_child.ts", {
          TNP_OPENBLAS: library,
          ...unset,
          ...variables,
        });
        assert.equal(code, 0, err);
        return out;
      };
      const flags = processorFlags();
      const best = flags.has("avx512vl") ? "SkylakeX" : flags.has("avx2") ? "Haswell" : "Prescott";
      assert.equal(await config({}), `${best} waits 18`);
      assert.equal(
        await config({ OPENBLAS_CORETYPE: "Prescott", OPENBLAS_THREAD_TIMEOUT: "26" }),
        "Prescott waits 26",
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  const shared = globSync("/usr/lib/*/openblas-openmp/libopenblas.so.0")[0] ?? "/usr/lib64/libopenblaso.so.0";
  for (const library of [undefined, shared]) {
    const name = library === undefined ? "as it is found" : "built for OpenMP";
    test(`${name}, multiplies in workers with thread counts of their own`, {
      skip: library !== undefined && !existsSync(library) && "is not installed",
    }, async () => {
      const { code, signal, out, err } = await runChild(
        "products_child.ts",
        library === undefined ? {} : { TNP_OPENBLAS: library },
      );
      assert.deepEqual([code, signal, err], [0, null, ""]);
      const { openmp, counts } = JSON.parse(out) as { readonly openmp: boolean | null; readonly counts: number[][] };
      if (library !== undefined) assert.ok(!available().ok || process.env["TNP_OPENBLAS"] === "none" || openmp);
      for (const [made, wrong] of counts) assert.ok(made! > 0 && wrong === 0, `${wrong} of ${made} are wrong`);
    });
  }
});
