import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { LibraryError, MissingSymbolError, NativeError } from "../ffi/errors.ts";
import { created, destroyed, liveHandles } from "../ffi/handles.ts";
import { libc, spec as libcSpec } from "../ffi/libc.ts";
import { addressOf, cstring, native, readCString, toNumber, viewOf } from "../ffi/mem.ts";
import { type Desc, OneDNN, spec as dnnlSpec } from "../ffi/onednn.ts";
import { available, open, openFile } from "../ffi/open.ts";
import { OpenBLAS, spec as blasSpec } from "../ffi/openblas.ts";
import { openmp } from "../ffi/openmp.ts";
import { env, permission, platform, runtime } from "../ffi/runtime.ts";
import { Scratch } from "../ffi/scratch.ts";

const FFI = join(import.meta.dirname ?? ".", "..", "ffi");

/** Runs `check` where native calls and the library are there; elsewhere the error must tell what to do. */
function where<T>(opening: () => T, check: (library: T) => void): void {
  let library: T;
  try {
    library = opening();
  } catch (error) {
    assert.ok(error instanceof LibraryError, String(error));
    assert.match(error.message, /set TNP_\w+ to|hidden by TNP_\w+=|--allow-ffi|npm install koffi/);
    return;
  }
  check(library);
}

function failure(run: () => unknown): LibraryError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof LibraryError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "expected a LibraryError" });
}

function withEnv(name: string, value: string, run: () => void): void {
  const before = process.env[name];
  process.env[name] = value;
  try {
    run();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

function f32(...values: number[]): Float32Array<ArrayBuffer> {
  const array = new Float32Array(new ArrayBuffer(4 * values.length));
  array.set(values);
  return array;
}

function f64(...values: number[]): Float64Array<ArrayBuffer> {
  const array = new Float64Array(new ArrayBuffer(8 * values.length));
  array.set(values);
  return array;
}

function at(view: ArrayBufferView) {
  return native(addressOf(view));
}

function near(got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.equal(got.length, expected.length);
  for (let i = 0; i < got.length; i++) {
    const error = Math.abs((got[i] as number) - (expected[i] as number));
    assert.ok(error <= tolerance, `[${i}]: got ${got[i]}, expected ${expected[i]}`);
  }
}

function desc(shape: readonly number[], type: Desc["type"] = "f32"): Desc {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  return { shape, strides, type };
}

test("runtime knows where it runs", () => {
  const names = { deno: "Deno", bun: "Bun", node: "process" } as const;
  assert.ok(names[runtime.name] in globalThis);
  assert.match(runtime.version, /^\d+\.\d+/);
  assert.equal(runtime.offThread, runtime.name !== "bun");
});

test("permission() and env() answer without prompting", () => {
  for (const kind of ["ffi", "run", "read", "write", "env", "sys"] as const) {
    assert.equal(typeof permission(kind), "boolean");
  }
  withEnv("TNP_TEST_VALUE", "seven", () => assert.equal(env("TNP_TEST_VALUE"), "seven"));
  withEnv("TNP_TEST_VALUE", "", () => assert.equal(env("TNP_TEST_VALUE"), undefined));
  assert.equal(env("TNP_TEST_UNSET"), undefined);
});

test("available() says whether native code can be called", () => {
  const state = available();
  assert.ok(state.ok || state.reason.length > 0);
});

test("libc() opens the C library and calls it", () => {
  where(libc, (library) => {
    const { getpid, memcpy, memset } = library.symbols;
    if (getpid !== undefined) assert.equal(getpid(), process.pid);
    const from = f32(1, 2, 3, 4), to = f32(0, 0, 0, 0);
    assert.equal(toNumber(memcpy(at(to), at(from), native(12))), addressOf(to));
    assert.deepEqual([...to], [1, 2, 3, 0]);
    // Plain numbers work everywhere too; native() is what makes them fast.
    memset(addressOf(to), 0, 8);
    assert.deepEqual([...to], [0, 0, 3, 0]);
  });
});

test("addressOf() and viewOf() are inverse, with offsets, small arrays and empty ones", () => {
  where(libc, () => {
    const array = f64(1, 2, 3, 4);
    const address = addressOf(array);
    assert.equal(addressOf(array.buffer), address);
    assert.equal(addressOf(array.subarray(2)), address + 16);
    assert.equal(addressOf(new DataView(array.buffer, 8)), address + 8);
    const view = new Float64Array(viewOf(address, 32));
    assert.deepEqual([...view], [1, 2, 3, 4]);
    view[1] = 9;
    array[2] = 8;
    assert.deepEqual([...array], [1, 9, 8, 4]);
    assert.equal(view[2], 8);
    assert.equal(toNumber(native(address)), address);
    assert.equal(addressOf(new Float32Array(0)), 0);
    assert.equal(addressOf(new ArrayBuffer(0)), 0);
    assert.equal(viewOf(0, 0).byteLength, 0);
    assert.throws(() => viewOf(0, 8), /viewOf: got address 0, expected 8 bytes/);
  });
});

test("addressOf() of an array without an explicit buffer stays valid", () => {
  where(libc, () => {
    const arrays = Array.from({ length: 200 }, (_, i) => new Float32Array(i % 20 + 1).fill(i));
    const addresses = arrays.map(addressOf);
    for (const [i, array] of arrays.entries()) {
      assert.equal(addressOf(array), addresses[i]);
      assert.equal(new Float32Array(viewOf(addresses[i] as number, 4))[0], i);
      assert.equal(addressOf(array.subarray(0, 1)), addresses[i]);
    }
  });
});

test("cstring() counts bytes, not characters", () => {
  const bytes = cstring("dépôt €");
  assert.equal(bytes.length, 12);
  assert.equal(bytes.at(-1), 0);
  assert.deepEqual([...cstring("")], [0]);
  assert.throws(() => cstring("a\0b"), TypeError);
  where(libc, () => {
    assert.equal(readCString(addressOf(bytes)), "dépôt €");
    assert.equal(readCString(addressOf(bytes), 4), "dép");
    assert.equal(readCString(0), "");
    const name = libcSpec.names[platform as keyof typeof libcSpec.names] ?? libcSpec.names.linux;
    using library = openFile(name[0] as string, { strlen: { parameters: ["buffer"], result: "u64" } });
    assert.equal(toNumber(library.symbols.strlen(bytes)), 11);
  });
});

test("symbols: every type passes, optional ones may be missing, others are named", () => {
  where(libc, (library) => {
    const path = library.path;
    const table = {
      abs: { parameters: ["i32"], result: "i32" },
      labs: { parameters: ["i64"], result: "i64" },
      copy: { name: "memcpy", parameters: ["buffer", "buffer", "u64"], result: "address" },
      tnp_absent: { parameters: [], result: "void", optional: true },
    } as const;
    using file = openFile(path, table);
    const { abs, labs, copy, tnp_absent } = file.symbols;
    assert.equal(abs(-7), 7);
    assert.equal(toNumber(labs(native(-5))), 5);
    assert.equal(toNumber(labs(-(2 ** 40))), 2 ** 40);
    const target = f32(0, 0, 0);
    assert.equal(toNumber(copy(target.subarray(1), f32(5, 6), native(8))), addressOf(target) + 4);
    assert.deepEqual([...target], [0, 5, 6]);
    assert.equal(toNumber(copy(target, null, native(0))), addressOf(target));
    assert.equal(tnp_absent, undefined);

    const missing = failure(() => openFile(path, { tnp_absent: { parameters: [], result: "void" } }));
    assert.ok(missing instanceof MissingSymbolError);
    assert.equal(missing.symbol, "tnp_absent");
    assert.ok(missing.message.includes(path), missing.message);
  });
});

test("nonblocking symbols give promises", async () => {
  const state = available();
  if (!state.ok) return assert.ok(state.reason.length > 0);
  using library = openFile(libc().path, { usleep: { parameters: ["u32"], result: "i32", nonblocking: true } });
  const waiting = library.symbols.usleep(2000);
  assert.ok(waiting instanceof Promise);
  assert.equal(await waiting, 0);
});

test("a closed library says so", () => {
  where(libc, ({ path }) => {
    const before = liveHandles()["library"];
    const library = openFile(path, { abs: { parameters: ["i32"], result: "i32" } });
    assert.equal(liveHandles()["library"], (before ?? 0) + 1);
    library.close();
    library.close();
    assert.equal(liveHandles()["library"], before);
    assert.throws(() => library.symbols, /the library is closed/);
  });
});

test("open() lists every path tried, the loader's messages and the variable to set", () => {
  if (!available().ok) return assert.match(failure(() => open(dnnlSpec)).message, /--allow-ffi|koffi/);
  const names = ["libtnp-nothing.so.9", "libtnp-nothing.so"];
  const spec = {
    name: "Nothing",
    env: "TNP_NOTHING",
    names: { linux: names, darwin: names, win32: names },
    folders: ["/opt/tnp-nothing/lib"],
    symbols: { nothing: { parameters: [], result: "void" } },
    install: "apt install nothing",
  } as const;
  const error = failure(() => open(spec));
  assert.match(error.message, /^Nothing: cannot open the library; set TNP_NOTHING to .*: apt install nothing; tried:/);
  const paths = error.attempts.map(({ path }) => path);
  assert.deepEqual(paths.slice(0, 2), names);
  assert.ok(paths.includes(join("/opt/tnp-nothing/lib", "libtnp-nothing.so.9")));
  for (const { path, message } of error.attempts) {
    assert.ok(error.message.includes(path));
    assert.ok(message.length > 0);
  }

  withEnv("TNP_NOTHING", "/nowhere/libother.so.1", () => {
    assert.deepEqual(failure(() => open(spec)).attempts.map(({ path }) => path), ["/nowhere/libother.so.1"]);
  });
  withEnv("TNP_NOTHING", "/nowhere", () => {
    const tried = failure(() => open(spec)).attempts.map(({ path }) => path);
    assert.deepEqual(tried, names.map((name) => join("/nowhere", name)));
  });
  for (const value of ["none", "off"]) {
    withEnv("TNP_NOTHING", value, () => {
      assert.equal(failure(() => open(spec)).message, `Nothing: hidden by TNP_NOTHING=${value}`);
    });
  }
});

test("open() takes the library from the environment variable", () => {
  where(libc, ({ path }) => {
    const names = { linux: ["libtnp-nothing.so"], darwin: ["libtnp-nothing.so"], win32: ["libtnp-nothing.so"] };
    const symbols = { abs: { parameters: ["i32"], result: "i32" } } as const;
    withEnv("TNP_TEST_LIB", path, () => {
      using library = open({ name: "test", env: "TNP_TEST_LIB", names, symbols, install: "nothing" });
      assert.equal(library.path, path);
      assert.equal(library.symbols.abs(-1), 1);
    });
  });
});

test("a missing symbol names the library's version and what is needed", () => {
  where(libc, ({ path }) => {
    const names = { linux: [path], darwin: [path], win32: [path] };
    const symbols = { tnp_absent: { parameters: [], result: "void" } } as const;
    const needs = "libc with tnp_absent";
    const install = "nothing";
    const spec = { name: "test", env: "TNP_TEST_LIB", names, symbols, install, needs, version: () => "1.2" };
    assert.ok(
      failure(() => open(spec)).message.includes(
        `${path}: symbol tnp_absent is missing in version 1.2; needed: libc with tnp_absent`,
      ),
    );
  });
});

test("another library in place of OpenBLAS or oneDNN is refused by name", () => {
  where(libc, ({ path }) => {
    const file = platform === "linux" ? path : process.execPath;
    withEnv(blasSpec.env, file, () => {
      const { message } = failure(() => new OpenBLAS());
      assert.match(message, /^OpenBLAS: cannot open the library; set TNP_OPENBLAS/);
      assert.ok(message.includes(`${file}: `), message);
      if (platform === "linux") assert.match(message, /symbol cblas_\w+ is missing; needed: OpenBLAS 0.3 with CBLAS/);
    });
    withEnv(dnnlSpec.env, file, () => {
      const { message } = failure(() => new OneDNN());
      if (platform === "linux") assert.match(message, /symbol dnnl_version is missing/);
    });
  });
});

test("openmp() sets the number of threads", () => {
  where(openmp, (library) => {
    const { omp_get_max_threads, omp_set_num_threads } = library.symbols;
    const before = omp_get_max_threads();
    omp_set_num_threads(3);
    assert.equal(omp_get_max_threads(), 3);
    omp_set_num_threads(before);
  });
});

test("Scratch gives scalars by address and reads them back", () => {
  where(libc, () => {
    const scratch = new Scratch(2);
    const int = scratch.int(-7);
    const complex = scratch.scalar(false, 1.5, -2.5);
    assert.equal(scratch.readInt(int), -7);
    assert.equal(new Int32Array(viewOf(int, 4))[0], -7);
    assert.deepEqual([...new Float64Array(viewOf(complex, 16))], [1.5, -2.5]);
    assert.throws(() => scratch.int(0), RangeError);
    assert.equal(scratch.reset().char("L"), int);
    assert.equal(scratch.readInt(int), 76);
  });
});

test("liveHandles() counts", () => {
  created("test");
  created("test");
  destroyed("test");
  assert.equal(liveHandles()["test"], 1);
  destroyed("test");
  assert.equal(liveHandles()["test"], undefined);
});

test("oneDNN: matmul with bias and relu equals the loop", () => {
  const before = liveHandles();
  where(() => new OneDNN(), (dnnl) => {
    using _ = dnnl;
    assert.match(dnnl.version, /^[23]\.\d+\.\d+$/);
    const [m, k, n] = [7, 33, 5];
    const a = f32(...Array.from({ length: m * k }, (_, i) => Math.sin(i)));
    const b = f32(...Array.from({ length: k * n }, (_, i) => Math.cos(3 * i)));
    const bias = f32(...Array.from({ length: n }, (_, i) => i / n - 0.5));
    const more = f32(...Array.from({ length: m * n }, (_, i) => i));
    const got = f32(...Array(m * n).fill(-1));
    const expected = f64(...Array(m * n).fill(0));
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = bias[j] as number;
        for (let l = 0; l < k; l++) sum += (a[i * k + l] as number) * (b[l * n + j] as number);
        expected[i * n + j] = Math.max(0, sum) + i * n + j;
      }
    }
    using primitive = dnnl.matmul({
      src: desc([m, k]),
      weights: desc([k, n]),
      bias: desc([1, n]),
      dst: desc([m, n]),
      post: [{ kind: "eltwise", algorithm: "relu" }, { kind: "binary", algorithm: "add", operand: desc([m, n]) }],
    });
    primitive.execute(at(a), at(b), at(bias), at(got), at(more));
    near(got, expected, 1e-4);
    assert.ok(primitive.implementation.length > 0);

    // Other data, same primitive; b transposed by strides; accumulated into dst.
    using transposed = dnnl.matmul({
      src: desc([m, k]),
      weights: { shape: [k, n], strides: [1, k], type: "f32" },
      dst: desc([m, n]),
      post: [{ kind: "sum", scale: 2 }],
    });
    const bt = f32(...Array.from({ length: k * n }, (_, i) => b[(i % k) * n + Math.floor(i / k)] as number));
    const base = got.slice().fill(1);
    transposed.execute(at(a), at(bt), at(base));
    for (let i = 0; i < m * n; i++) {
      let sum = 2;
      for (let l = 0; l < k; l++) sum += (a[Math.floor(i / n) * k + l] as number) * (b[l * n + i % n] as number);
      assert.ok(Math.abs(sum - (base[i] as number)) < 1e-4);
    }
  });
  assert.deepEqual({ ...liveHandles(), library: 0 }, { ...before, library: 0 });
});

test("oneDNN: every elementwise function has the right number in this version", () => {
  where(() => new OneDNN(), (dnnl) => {
    using _ = dnnl;
    const xs = [0.3, 0.75, 1.5, 2.25];
    const erf = [0.3286267594591274, 0.7111556336535151, 0.9661051464753108, 0.9985372834133188]; // of xs
    const logistic = (x: number) => 1 / (1 + Math.exp(-x));
    const table = {
      relu: (x: number) => x,
      tanh: Math.tanh,
      abs: Math.abs,
      sqrt: Math.sqrt,
      square: (x: number) => x * x,
      linear: (x: number) => 0.5 * x + 2,
      logistic,
      exp: Math.exp,
      log: Math.log,
      gelu_tanh: (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
      gelu_erf: (x: number) => 0.5 * x * (1 + (erf[xs.findIndex((y) => Math.abs(y * Math.SQRT2 - x) < 1e-6)] ?? NaN)),
      swish: (x: number) => x * logistic(0.5 * x),
      clip: (x: number) => Math.min(2, Math.max(0.5, x)),
      pow: (x: number) => 0.5 * x ** 2,
      round: (x: number) => Math.round(x),
      mish: (x: number) => x * Math.tanh(Math.log1p(Math.exp(x))),
    };
    for (const [algorithm, reference] of Object.entries(table)) {
      const x = f32(...xs.map((value) => algorithm === "gelu_erf" ? value * Math.SQRT2 : value));
      const y = f32(0, 0, 0, 0);
      using primitive = dnnl.eltwise(algorithm as keyof typeof table, desc([4]), { alpha: 0.5, beta: 2 });
      primitive.execute(at(x), at(y));
      near(y, [...x].map(algorithm === "relu" ? Math.abs : reference), 2e-5);
    }
    const minus = f32(-2, -1, 1, 2);
    using relu = dnnl.eltwise("relu", desc([4]), { alpha: 0.5 });
    relu.execute(at(minus), at(minus));
    near(minus, [-1, -0.5, 1, 2], 0);
  });
});

test("oneDNN: softmax and broadcasting binary operations", () => {
  where(() => new OneDNN(), (dnnl) => {
    using _ = dnnl;
    const x = f32(1, 2, 3, 0, 0, 4), y = f32(...Array(6).fill(0));
    const exps = [...x].map(Math.exp);
    const sums = [exps[0]! + exps[1]! + exps[2]!, exps[3]! + exps[4]! + exps[5]!];
    using softmax = dnnl.softmax(desc([2, 3]), 1);
    softmax.execute(at(x), at(y));
    near(y, exps.map((e, i) => e / sums[Math.floor(i / 3)]!), 1e-6);
    using log = dnnl.softmax(desc([2, 3]), 1, { log: true });
    log.execute(at(x), at(y));
    near(y, exps.map((e, i) => Math.log(e / sums[Math.floor(i / 3)]!)), 1e-5);
    const row = f32(1, 2, 4);
    const expected = {
      add: (a: number, b: number) => a + b,
      sub: (a: number, b: number) => a - b,
      mul: (a: number, b: number) => a * b,
      div: (a: number, b: number) => a / b,
      max: Math.max,
      min: Math.min,
    };
    for (const [name, reference] of Object.entries(expected)) {
      using primitive = dnnl.binary(name as keyof typeof expected, desc([2, 3]), desc([1, 3]), desc([2, 3]));
      primitive.execute(at(x), at(row), at(y));
      near(y, [...x].map((value, i) => reference(value, row[i % 3]!)), 1e-6);
    }
  });
});

test("oneDNN: a failure names the function, the status and the operands, and leaks nothing", () => {
  where(() => new OneDNN(), (dnnl) => {
    const before = liveHandles();
    const bad = () => dnnl.matmul({ src: desc([3, 4]), weights: desc([5, 6]), dst: desc([3, 6]) });
    assert.throws(bad, (error: unknown) => {
      assert.ok(error instanceof NativeError);
      assert.equal(error.code, 2);
      assert.equal(error.symbolic, "dnnl_invalid_arguments");
      assert.match(
        error.message,
        /^dnnl_matmul_\w+: dnnl_invalid_arguments \(2\): got src f32 \[3, 4\], weights f32 \[5, 6\]/,
      );
      return true;
    });
    assert.throws(() => dnnl.eltwise("exp", { shape: [], strides: [], type: "f32" }), /expected 1 to 12/);
    assert.deepEqual(liveHandles(), before);
    const primitive = dnnl.eltwise("exp", desc([4]));
    assert.throws(() => primitive.execute(native(0)), /execute: got 1 addresses, expected 2/);
    primitive[Symbol.dispose]();
    primitive[Symbol.dispose]();
    const x = f32(0, 0, 0, 0);
    assert.throws(() => primitive.execute(at(x), at(x)), /used after dispose/);
    assert.deepEqual(liveHandles(), before);
    dnnl[Symbol.dispose]();
    dnnl[Symbol.dispose]();
  });
});

test("oneDNN and OpenBLAS can be hidden", () => {
  if (!available().ok) return assert.throws(() => new OneDNN(), LibraryError);
  withEnv(dnnlSpec.env, "none", () => {
    assert.equal(failure(() => new OneDNN()).message, "oneDNN: hidden by TNP_DNNL=none");
  });
  withEnv(blasSpec.env, "off", () => {
    assert.equal(failure(() => new OpenBLAS()).message, "OpenBLAS: hidden by TNP_OPENBLAS=off");
  });
});

test("OpenBLAS: gemm in all types, with transposes, alpha and beta", () => {
  where(() => new OpenBLAS(), (blas) => {
    using _ = blas;
    assert.match(blas.config, /OpenBLAS \d/);
    const [m, n, k] = [3, 4, 5];
    const value = (i: number) => Math.sin(1 + i);
    for (const type of ["s", "d", "c", "z"] as const) {
      const wide = type === "c" || type === "z" ? 2 : 1;
      const make = (count: number, start: number) => {
        const values = Array.from({ length: count * wide }, (_, i) => value(start + i));
        return type === "s" || type === "c" ? f32(...values) : f64(...values);
      };
      const a = make(m * k, 0), bt = make(n * k, 50), c = make(m * n, 90);
      const expected = Array.from(c, (x) => -0.5 * x);
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          for (let l = 0; l < k; l++) {
            const p = (i * k + l) * wide, q = (j * k + l) * wide, r = (i * n + j) * wide;
            const [ar, br] = [a[p]!, bt[q]!];
            if (wide === 1) expected[r]! += 2 * ar * br;
            else {
              const ai = a[p + 1]!, bi = -bt[q + 1]!; // bt is conjugated
              expected[r]! += 2 * (ar * br - ai * bi);
              expected[r + 1]! += 2 * (ar * bi + ai * br);
            }
          }
        }
      }
      blas.gemm(type, "n", "c", m, n, k, at(a), k, at(bt), k, at(c), n, 2, -0.5);
      near(c, expected, type === "s" || type === "c" ? 1e-5 : 1e-13);
    }
    assert.throws(() => blas.gemm("d", "n", "n", 2, 2, 2, native(0), 1, native(0), 2, native(0), 2), RangeError);
  });
});

test("OpenBLAS: LAPACK solves, factors and decomposes", () => {
  const before = liveHandles()["library"];
  where(() => new OpenBLAS(), (blas) => {
    const { lapack } = blas;
    const ipiv = new Int32Array(new ArrayBuffer(12));

    // Column-major: [[4, -2, 1], [-2, 4, -2], [1, -2, 4]] x = [11, -16, 17] has x = [1, -2, 3].
    const matrix = [4, -2, 1, -2, 4, -2, 1, -2, 4];
    const a = f64(...matrix), x = f64(11, -16, 17);
    assert.equal(lapack.gesv("d", 3, 1, at(a), 3, at(ipiv), at(x), 3), 0);
    near(x, [1, -2, 3], 1e-12);
    const single = f32(...matrix), y = f32(11, -16, 17);
    assert.equal(lapack.gesv("s", 3, 1, at(single), 3, at(ipiv), at(y), 3), 0);
    near(y, [1, -2, 3], 1e-4);
    assert.ok(lapack.gesv("d", 2, 1, at(f64(1, 2, 2, 4)), 2, at(ipiv), at(f64(1, 1)), 2) > 0, "singular");

    const inverse = f64(...matrix);
    assert.equal(lapack.getrf("d", 3, 3, at(inverse), 3, at(ipiv)), 0);
    assert.equal(lapack.getri("d", 3, at(inverse), 3, at(ipiv)), 0);
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) {
        const dot = [0, 1, 2].reduce((sum, l) => sum + inverse[3 * l + i]! * matrix[3 * j + l]!, 0);
        assert.ok(Math.abs(dot - Number(i === j)) < 1e-12);
      }
    }

    const factor = f64(...matrix);
    assert.equal(lapack.potrf("d", "L", 3, at(factor), 3), 0);
    near([factor[0]!, factor[1]!, factor[2]!], [2, -1, 0.5], 1e-14);
    assert.equal(lapack.potrf("d", "L", 2, at(f64(1, 2, 2, 1)), 2), 2);
    const rhs = f64(2, 0, 0.5);
    assert.equal(lapack.trtrs("d", "L", "N", "N", 3, 1, at(factor), 3, at(rhs), 3), 0);
    assert.ok(Math.abs(rhs[0]! - 1) < 1e-14);

    const w = f64(0, 0);
    const symmetric = f64(2, 1, 1, 2);
    assert.equal(lapack.syevd("d", "V", "U", 2, at(symmetric), 2, at(w)), 0);
    near(w, [1, 3], 1e-14);
    const hermitian = f64(2, 0, 0, -1, 0, 1, 2, 0); // [[2, i], [-i, 2]]
    assert.equal(lapack.syevd("z", "N", "L", 2, at(hermitian), 2, at(w)), 0);
    near(w, [1, 3], 1e-14);

    const wr = f64(0, 0), wi = f64(0, 0), vr = f64(0, 0, 0, 0);
    const rotation = f64(0, 1, -1, 0);
    assert.equal(lapack.geev("d", 2, at(rotation), 2, at(wr), at(wi), undefined, at(vr)), 0);
    near(wr, [0, 0], 1e-14);
    near(wi, [1, -1], 1e-14);
    const cw = f32(0, 0, 0, 0), diagonal = f32(1, 2, 0, 0, 0, 0, 3, 4);
    assert.equal(lapack.geev("c", 2, at(diagonal), 2, at(cw), undefined, undefined, undefined), 0);
    near(cw, [1, 2, 3, 4], 1e-6);

    for (const type of ["d", "z"] as const) {
      const wide = type === "z" ? 2 : 1;
      const values = [1, 2, 3, 4, 5, 6].flatMap((v) => wide === 2 ? [v, 0] : [v]);
      const general = f64(...values), sigma = f64(0, 0);
      const u = f64(...Array(6 * wide).fill(0)), vt = f64(...Array(4 * wide).fill(0));
      assert.equal(lapack.gesdd(type, "S", 3, 2, at(general), 3, at(sigma), at(u), 3, at(vt), 2), 0);
      near(sigma, [9.508032000695724, 0.7728696356734838], 1e-12);
      const q = f64(...values), tau = f64(...Array(2 * wide).fill(0));
      assert.equal(lapack.geqrf(type, 3, 2, at(q), 3, at(tau)), 0);
      const r00 = q[0]!;
      assert.ok(Math.abs(Math.abs(r00) - Math.sqrt(14)) < 1e-14);
      assert.equal(lapack.orgqr(type, 3, 2, 2, at(q), 3, at(tau)), 0);
      near([q[0]! * r00, q[wide]! * r00, q[2 * wide]! * r00], [1, 2, 3], 1e-13);
    }

    assert.throws(() => lapack.potrf("d", "L", -1, at(w), 2), (error: unknown) => {
      assert.ok(error instanceof NativeError);
      assert.equal(error.message, "dpotrf: illegal argument (-2): argument 2 has a value that it must not have");
      return true;
    });
    blas[Symbol.dispose]();
    assert.equal(liveHandles()["library"], before ?? 1);
  });
});

/** Runs a script that imports ffi/ in this runtime as its own process. */
function script(source: string, flags: readonly string[], ffi = FFI): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), "tnp-ffi-"));
  try {
    const file = join(folder, "script.ts");
    writeFileSync(file, source.replaceAll("FFI", pathToFileURL(ffi).href));
    // Through a variable, because Deno's node:child_process adds all permissions to a command that names Deno.
    const { status, stdout, stderr } = spawnSync("/bin/sh", [
      "-c",
      'exec "$TNP_TEST_RUNTIME" "$@"',
      "sh",
      ...flags,
      file,
    ], {
      encoding: "utf8",
      env: { ...process.env, TNP_TEST_RUNTIME: process.execPath },
      timeout: 60_000,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { status, output: stdout + stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("without permission to call native code, available() says so and nothing prompts", () => {
  const source = `import { available, open } from "FFI/open.ts";
    import { env, permission } from "FFI/runtime.ts";
    import { spec } from "FFI/onednn.ts";
    import { OneDNN } from "FFI/onednn.ts";
    import { OpenBLAS } from "FFI/openblas.ts";
    import { addressOf, viewOf } from "FFI/mem.ts";
    import { openFile } from "FFI/open.ts";
    let text = "";
    const tries = [() => open(spec), () => new OneDNN(), () => new OpenBLAS(), () => openFile("/lib/x.so", {}),
      () => addressOf(new Uint8Array(8)), () => viewOf(4096, 8)];
    for (const run of available().ok ? [] : tries) {
      try { run(); text += "no error; "; } catch (error) { text += error + "; "; }
    }
    console.log(JSON.stringify([available(), env("HOME") ?? null, permission("run"), permission("read", "/tmp"), text]));`;
  if (runtime.name === "deno") {
    for (const flags of [["run", "--no-prompt"], ["run"]]) {
      const { status, output } = script(source, flags);
      assert.equal(status, 0, output);
      const [state, home, run, read, text] = JSON.parse(output);
      assert.equal(state.ok, false);
      assert.match(state.reason, /--allow-ffi/);
      assert.deepEqual([home, run, read], [null, false, false]);
      assert.match(text, /^(LibraryError: [^;]*--allow-ffi; ){6}$/);
    }
    return;
  }
  const { status, output } = script(source, []);
  assert.equal(status, 0, output);
  assert.equal(JSON.parse(output)[2], true);
});

test("without koffi, Node says what to install", () => {
  const folder = mkdtempSync(join(tmpdir(), "tnp-ffi-"));
  try {
    cpSync(FFI, join(folder, "ffi"), { recursive: true });
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }`);
    const source = `import { available } from "FFI/open.ts"; console.log(JSON.stringify(available()));`;
    const { status, output } = script(source, runtime.name === "deno" ? ["run", "-A"] : [], join(folder, "ffi"));
    assert.equal(status, 0, output);
    const state = JSON.parse(output);
    assert.equal(state.ok, runtime.name !== "node");
    if (!state.ok) assert.match(state.reason, /koffi.*npm install koffi/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a process that used OpenMP and LAPACK on threads ends cleanly", () => {
  const source = `import { addressOf, native } from "FFI/mem.ts";
    import { OneDNN } from "FFI/onednn.ts";
    import { OpenBLAS } from "FFI/openblas.ts";
    const n = 300, data = new Float64Array(new ArrayBuffer(8 * n * n)), x = new Float64Array(new ArrayBuffer(8 * n));
    const pivots = new Int32Array(new ArrayBuffer(4 * n));
    for (let i = 0; i < n * n; i++) data[i] = Math.sin(i) + (i % (n + 1) === 0 ? n : 0);
    const at = (view) => native(addressOf(view));
    try { new OpenBLAS().lapack.gesv("d", n, 1, at(data), n, at(pivots), at(x), n); }
    catch (error) { if (error.name !== "LibraryError") throw error; }
    try {
      const dnnl = new OneDNN(), m = { shape: [n * n], strides: [1], type: "f32" };
      const values = new Float32Array(new ArrayBuffer(4 * n * n));
      dnnl.eltwise("exp", m).execute(at(values), at(values));
    } catch (error) { if (error.name !== "LibraryError") throw error; }
    console.log("done");`;
  for (let i = 0; i < 3; i++) {
    const { status, output } = script(source, runtime.name === "deno" ? ["run", "-A"] : []);
    assert.equal(output.trim(), "done");
    assert.equal(status, 0);
  }
});
