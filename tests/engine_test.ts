import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { available } from "../ffi/open.ts";
import { runtime } from "../ffi/runtime.ts";
import { type Expr, ExprBuilder } from "../kernels/expr.ts";
import { type Kernel, kernelKey, type Operand } from "../kernels/kernel.ts";
import { tnp } from "../mod.ts";
import { dtypeInfo } from "../src/base/dtype.ts";
import { kernelCache } from "../src/device/cache.ts";
import { findCompiler, observable } from "../src/device/compiler.ts";
import { configureCpu, cpu } from "../src/device/cpu.ts";
import { compileCost, makeSource, toolchain } from "../src/device/native.ts";
import { checkProduct, generator, hold, matmul, stack, zeros } from "./support/device.ts";

const hasCompiler = available().ok && "path" in findCompiler();

/** Runs with environment variables, a cache folder of its own, and warnings caught. */
function withEnvironment(variables: Record<string, string>, run: (folder: string, warnings: string[]) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "tnp-test-")), warnings: string[] = [];
  const all: Record<string, string> = { TNP_CACHE_DIR: join(folder, "cache"), TMPDIR: folder, ...variables };
  const old = Object.keys(all).map((name) => [name, process.env[name]] as const);
  const warn = console.warn;
  console.warn = (text: string) => void warnings.push(text);
  try {
    Object.assign(process.env, all);
    configureCpu({ engine: "c" });
    run(folder, warnings);
  } finally {
    console.warn = warn;
    for (const [name, value] of old) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    configureCpu(null);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A map kernel over float64 vectors. */
function mapKernel(body: (b: ExprBuilder, x: Expr) => Expr, comment: string): Kernel {
  const b = new ExprBuilder();
  const unit = { dtype: "float64", components: 1, access: "unit" } as const;
  const fields: Omit<Kernel, "key"> = {
    kind: "map",
    rank: 1,
    reduced: 0,
    inner: "last",
    operands: [{ ...unit, virtual: false, gathered: 0 }],
    scalars: [],
    body: [body(b, b.make("load", "float64", [], { operand: 0, component: 0 }))],
    reduction: null,
    epilogue: null,
    index: [],
    mode: null,
    outputs: [unit],
    wide: false,
    comment,
  };
  return { ...fields, key: kernelKey(fields) };
}

const square = mapKernel((b, x) => b.binary("mul", x, x), "x * x");

/** Runs a map kernel over 0, 1, 2, ... */
function runMap(kernel: Kernel, n: number): number[] {
  const x = hold("float64", Array.from({ length: n }, (_, i) => i), [n]), y = zeros("float64", [n]);
  cpu.kernel(kernel)({ sizes: [n], operands: [x], outputs: [y], scalars: [] });
  return Array.from({ length: n }, (_, i) => Number(y.get(i)));
}

const squares = Array.from({ length: 10 }, (_, i) => i * i);

function child(variables: Record<string, string>, flags: readonly string[] = ["-A"]): Promise<Record<string, unknown>> {
  const script = fileURLToPath(new URL("./support/device_child.ts", import.meta.url));
  const args = runtime.name === "deno" ? ["run", "--no-check", ...flags, script] : [script];
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
  // Through a variable, because Deno's node:child_process adds all permissions to a command that names Deno.
  const process_ = spawn("/bin/sh", ["-c", 'exec "$TNP_TEST_RUNTIME" "$@"', "sh", ...args], {
    env: { ...process.env, ...variables, TNP_TEST_RUNTIME: process.execPath },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "", err = "";
  process_.stdout!.on("data", (data) => out += data);
  process_.stderr!.on("data", (data) => err += data);
  process_.on("error", reject);
  process_.on("close", (code) => {
    if (code !== 0) reject(new Error(`ended with ${code}: ${err}`));
    else resolve({ ...JSON.parse(out), err });
  });
  return promise;
}

describe("the kernel cache", () => {
  test("is a folder of the user's own with readable sources", () => {
    withEnvironment({}, (folder, warnings) => {
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(warnings, []);
      if (!hasCompiler) return assert.equal(toolchain().ok, false);
      const cache = join(folder, "cache");
      assert.equal(lstatSync(cache).mode & 0o777, 0o700);
      const sources = readdirSync(cache).filter((name) => name.endsWith(".c"));
      assert.ok(sources.some((name) => readFileSync(join(cache, name), "utf8").includes("x * x")));
      assert.equal(readdirSync(cache).some((name) => name.startsWith("tmp-")), false);
      assert.equal(readdirSync(cache).filter((name) => name.endsWith(".so")).length, sources.length);
    });
  });

  test("makes damaged entries again", () => {
    for (const damage of ["truncated", "overwritten", "not a library"]) {
      withEnvironment({}, (folder, warnings) => {
        runMap(square, 10);
        const cache = join(folder, "cache");
        if (!hasCompiler) return assert.equal(toolchain().ok, false);
        const [name] = readdirSync(cache).filter((file) =>
          file.endsWith(".c") && readFileSync(join(cache, file), "utf8").includes("/* x * x */")
        );
        const library = join(cache, name!.replace(/c$/, "so"));
        const good = readFileSync(library);
        // The process has the first file open, so a new one takes its place.
        rmSync(library);
        if (damage === "not a library") {
          writeFileSync(library, "x");
        } else {
          writeFileSync(library, good);
          if (damage === "truncated") truncateSync(library, good.length - 100);
          else writeFileSync(library, good.fill(0, 1000, 1010));
        }
        configureCpu({ engine: "c" });
        assert.deepEqual(runMap(square, 10), squares);
        assert.equal(readFileSync(library).length, good.length, damage);
        assert.deepEqual(warnings, []);
      });
    }
  });

  test("refuses links and folders that others may write to, with one warning", () => {
    withEnvironment({}, (folder, warnings) => {
      const cache = join(folder, "cache"), other = join(folder, "other");
      mkdirSync(other, { mode: 0o700 });
      symlinkSync(other, cache);
      const used = kernelCache();
      assert.equal(used?.lasting, false);
      assert.equal(lstatSync(used!.folder).mode & 0o777, 0o700);
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(readdirSync(other), []);
      kernelCache();
      assert.deepEqual(warnings, [
        `tnp: the kernel cache ${cache} is not used: it is a symbolic link; set TNP_CACHE_DIR to a folder of your own`,
      ]);
    });
    for (const mode of [0o770, 0o707, 0o777]) {
      withEnvironment({}, (folder, warnings) => {
        const cache = join(folder, "cache");
        mkdirSync(cache);
        chmodSync(cache, mode);
        assert.equal(kernelCache()?.lasting, false);
        assert.match(warnings.join("\n"), new RegExp(`others may write to it \\(mode ${mode.toString(8)}\\)`));
        assert.deepEqual(readdirSync(cache), []);
      });
    }
  });

  test("works where nothing can be written", () => {
    withEnvironment({ TNP_CACHE_DIR: "/proc/tnp", TMPDIR: "/proc" }, (_, warnings) => {
      assert.equal(kernelCache(), null);
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(warnings, []);
      assert.equal(toolchain().ok, false);
    });
  });

  test("serves two processes at once", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tnp-test-"));
    try {
      const variables = { TNP_CACHE_DIR: join(folder, "cache") };
      const results = await Promise.all([child(variables), child(variables), child(variables)]);
      for (const { sum, compiled, err } of results) {
        assert.equal(sum, 333333000);
        assert.equal(compiled, hasCompiler);
        assert.equal(err, "");
      }
      if (existsSync(variables.TNP_CACHE_DIR)) {
        assert.equal(readdirSync(variables.TNP_CACHE_DIR).some((name) => name.startsWith("tmp-")), false);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("the compiler", () => {
  test("is hidden by TNP_CC=none without a word", () => {
    withEnvironment({ TNP_CC: "none" }, (_, warnings) => {
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(toolchain(), { ok: false, reason: available().ok ? "hidden by TNP_CC=none" : reasonOf() });
      assert.deepEqual(warnings, []);
    });
  });

  test("that fails is replaced by JavaScript with one warning that shows its message", () => {
    if (!available().ok) return assert.equal(toolchain().ok, false);
    const script = (folder: string, text: string): string => {
      const path = join(folder, "compiler");
      writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o700 });
      return path;
    };
    withEnvironment({ TNP_CC: "" }, (folder, warnings) => {
      process.env["TNP_CC"] = script(folder, 'echo "compiler: out of luck" >&2; exit 3');
      for (let i = 0; i < 3; i++) assert.deepEqual(runMap(square, 10), squares);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /the C compiler does not work.*ended with status 3: compiler: out of luck/s);
    });
    const found = findCompiler();
    if (!("path" in found)) return;
    withEnvironment({ TNP_CC: "" }, (folder, warnings) => {
      // A compiler that works until it is given the kernel.
      const refuse = `for a; do case $a in *.c) grep -q cube "$a" && echo "kernel refused" >&2 && exit 1;; esac; done`;
      process.env["TNP_CC"] = script(folder, `${refuse}; exec ${found.path} "$@"`);
      const cube = mapKernel((b, x) => b.binary("mul", x, b.binary("mul", x, x)), "cube(x)");
      for (let i = 0; i < 3; i++) assert.deepEqual(runMap(cube, 4), [0, 1, 8, 27]);
      assert.deepEqual(runMap(square, 10), squares);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /a kernel could not be compiled, JavaScript runs it: .*kernel refused/s);
    });
  });

  test("is started where launches take longer than they were estimated at", () => {
    if (!hasCompiler) return;
    // By the estimate, twenty launches are not worth a look.
    const cube = mapKernel((b, x) => b.binary("mul", x, b.binary("mul", x, x)), "a cube"), now = performance.now;
    const started = (late: number) => {
      let found = false;
      withEnvironment({}, (folder) => {
        configureCpu({ engine: "auto" });
        let clock = now.call(performance);
        performance.now = () => clock += late;
        try {
          for (let i = 0; i < 20; i++) runMap(cube, 1 << 14);
          found = readdirSync(folder).includes("cache");
        } finally {
          performance.now = now;
        }
      });
      return found;
    };
    assert.equal(started(0.01), false);
    assert.equal(started(20), true);
  });

  test("is not thought slow where it is looked at late", () => {
    if (!hasCompiler || !observable) return;
    withEnvironment({}, () => {
      toolchain();
      const { now } = Date;
      const making = makeSource({ key: null, text: () => "void tnp_kernel(void *block) { (void)block; }" }, "late", 0);
      try {
        Date.now = () => now() + 1e6;
        assert.equal(typeof making?.get(60000), "function");
      } finally {
        Date.now = now;
      }
      assert.ok(compileCost({ key: null, text: () => "" }) < 1e11);
    });
  });

  if (runtime.name === "deno") {
    test("and native calls are left alone without permission, and nothing prompts", async () => {
      for (const flags of [["--no-prompt"], ["--allow-ffi", "--allow-read"], ["--allow-env"]]) {
        const { sum, compiled, err, reason } = await child({}, flags);
        assert.equal(sum, 333333000);
        assert.equal(compiled, false);
        assert.match(String(reason), /--allow-/);
        assert.equal(err, "");
      }
    });
  }
});

function reasonOf(): string {
  const state = available();
  return state.ok ? "" : state.reason;
}

describe("kernels in C and in JavaScript", () => {
  /** Everything an argument block can hold: negative strides, offsets, slabs, complex, virtual operands, all kinds of scalars. */
  function busyKernel(): Kernel {
    const b = new ExprBuilder();
    const load = (operand: number, dtype: "float64" | "int64" | "float32", component: 0 | 1 = 0) =>
      b.make("load", dtype, [], { operand, component });
    const operand = (dtype: "float64" | "int64" | "float32", components: 1 | 2, virtual = false): Operand => ({
      dtype,
      components,
      access: "strided",
      virtual,
      gathered: 0,
    });
    const position = b.make("iota", "int64", [], 2);
    const fields: Omit<Kernel, "key"> = {
      kind: "map",
      rank: 2,
      reduced: 0,
      inner: "last",
      operands: [operand("float32", 2), operand("int64", 1), operand("int64", 1, true)],
      scalars: ["float64", "int64", "uint64", "bool", "float32"],
      body: [
        b.binary("add", load(0, "float32"), b.make("scalar", "float32", [], 4)),
        b.binary("mul", load(0, "float32", 1), b.cast(b.make("scalar", "float64", [], 0), "float32")),
        b.binary("add", b.binary("add", load(1, "int64"), position), b.make("scalar", "int64", [], 1)),
        b.where(b.make("scalar", "bool", [], 3), b.make("scalar", "uint64", [], 2), b.cast(position, "uint64")),
      ],
      reduction: null,
      epilogue: null,
      index: [],
      mode: null,
      outputs: [
        { dtype: "float32", components: 2, access: "unit" },
        { dtype: "int64", components: 1, access: "unit" },
        { dtype: "uint64", components: 1, access: "unit" },
      ],
      wide: true,
      comment: "busy",
    };
    return { ...fields, key: kernelKey(fields) };
  }

  test("read the same arguments", () => {
    const run = (engine: "js" | "c"): string[] => {
      configureCpu({ engine });
      try {
        cpu.allocate(64);
        const z = hold("complex64", Array.from({ length: 60 }, (_, i) => i / 4 - 3), [30]);
        const i = hold("int64", Array.from({ length: 40 }, (_, k) => 3 * k - 2 ** 40), [40]);
        const outputs = [zeros("complex64", [3, 4]), zeros("int64", [3, 4]), zeros("uint64", [3, 4])];
        const texts: string[] = [];
        for (const flag of [0, 1]) {
          cpu.kernel(busyKernel())({
            sizes: [3, 4],
            operands: [
              { buffer: z.buffer, offset: 29, strides: [-8, -2] },
              { buffer: i.buffer, offset: 5, strides: [1, 9] },
              { buffer: null, offset: -(2 ** 45), strides: [2 ** 40, -3] },
            ],
            outputs,
            scalars: [0.1, -(2n ** 62n) - 1n, 2n ** 64n - 1n, flag, 0.1],
          });
          for (const out of outputs) {
            const n = 12 * dtypeInfo(out === outputs[0] ? "complex64" : "int64").components;
            texts.push(Array.from({ length: n }, (_, k) => String(out.get(k))).join());
          }
        }
        return texts;
      } finally {
        configureCpu(null);
      }
    };
    assert.deepEqual(run("c"), run("js"));
  });

  test("reduce many short rows, side by side, as they do few", () => {
    const rows = 100, few = 3;
    const reductions = ["sum", "prod", "max", "argmax", "any", "count_nonzero"] as const;
    const run = (engine: "c" | "js", dtype: "float32" | "int8" | "complex64", n: number, count: number) => {
      configureCpu({ engine });
      try {
        const x = tnp.arange(rows * n).mul(7).mod(5).sub(1).reshape([rows, n]).astype(dtype).at(tnp.slice(0, count));
        return reductions.filter((name) => dtype !== "complex64" || !/max/.test(name)).map((name) =>
          (tnp[name](x, { axis: -1 }).at(tnp.slice(0, few)).toArray() as unknown[]).map(String)
        );
      } finally {
        configureCpu(null);
      }
    };
    for (const dtype of ["float32", "int8", "complex64"] as const) {
      for (const n of [1, 2, 7, 32, 33]) {
        assert.deepEqual(run("c", dtype, n, rows), run("js", dtype, n, few), `${dtype}, rows of ${n}`);
      }
    }
  });

  test("visit many narrow rows, side by side, as they do few", () => {
    const rows = 100, few = 3;
    const run = (engine: "c" | "js", dtype: "float32" | "int8" | "complex64", n: number, count: number) => {
      configureCpu({ engine });
      try {
        const x = tnp.arange(rows * n).mul(7).mod(5).reshape([rows, n]).astype(dtype).at(tnp.slice(0, count));
        const row = tnp.arange(n).astype(dtype), column = tnp.arange(rows).mod(3).reshape([rows, 1]).astype(dtype);
        const tall = tnp.stack([x, x.add(1)], 1), turned = tnp.copy(x.T).T;
        const results = [
          x.add(row),
          x.mul(column.at(tnp.slice(0, count))),
          tnp.triu(x),
          turned.sub(row),
          tall.add(row),
        ];
        return [...results, tnp.repeat(x, 2, 1), tnp.flip(x, 1).add(x)].map((y) => y.at(tnp.slice(0, few)).toArray());
      } finally {
        configureCpu(null);
      }
    };
    for (const dtype of ["float32", "int8", "complex64"] as const) {
      for (const n of [1, 2, 3, 5, 7, 8]) {
        assert.deepEqual(run("c", dtype, n, rows), run("js", dtype, n, few), `${dtype}, rows of ${n}`);
      }
    }
  });

  test("multiply matrices alike", () => {
    configureCpu({ engine: "c", onednn: false, openblas: false });
    try {
      const random = generator(9);
      for (const dtype of ["bool", "int8", "int64", "float16", "float32"] as const) {
        for (const transposed of [false, true]) {
          const a = stack(dtype, [2], 20, 30, false, false, random);
          const b = stack(dtype, [2], 30, 25, transposed, false, random);
          const out = zeros(dtype, [2, 20, 25]);
          matmul(dtype, a, b, out);
          checkProduct(dtype, a, b, out);
        }
      }
    } finally {
      configureCpu(null);
    }
  });
});
