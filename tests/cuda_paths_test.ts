/** Where CUDA's libraries are looked for, in folders made for it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { CublasLt, cublasLtSpec } from "../ffi/cublas_lt.ts";
import { cudaFolders, orderByMajor } from "../ffi/cuda_paths.ts";
import { platform } from "../ffi/runtime.ts";

/** Runs with variables set, and puts them back. */
function withEnv(values: Readonly<Record<string, string>>, run: () => void): void {
  const before = Object.entries(values).map(([name]) => [name, process.env[name]] as const);
  try {
    Object.assign(process.env, values);
    run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

describe("cudaFolders()", () => {
  const home = mkdtempSync(join(tmpdir(), "tnp-paths-"));
  process.on("exit", () => rmSync(home, { recursive: true, force: true }));
  const folder = (...parts: string[]): string => {
    const path = join(home, ...parts);
    mkdirSync(path, { recursive: true });
    return path;
  };

  test("finds pip's wheels of CUDA 13 before those of 12, in environments, the home folder and beside interpreters", () => {
    if (platform === "win32") return assert.ok(cudaFolders("cublas").length > 0);
    folder("venv", "lib", "python3.12", "site-packages");
    folder("home", ".local", "lib", "python3.11", "site-packages");
    folder("python", "lib", "python3.13", "site-packages");
    writeFileSync(join(folder("python", "bin"), "python3"), "");
    withEnv({
      VIRTUAL_ENV: join(home, "venv"),
      HOME: join(home, "home"),
      PATH: `${join(home, "python", "bin")}${delimiter}${process.env["PATH"] ?? ""}`,
    }, () => {
      const found = cudaFolders("cublas");
      const roots = ["venv/lib/python3.12", "home/.local/lib/python3.11", "python/lib/python3.13"]
        .map((root) => join(home, root, "site-packages", "nvidia"));
      const wanted = roots.flatMap((root) => [join(root, "cu13", "lib"), join(root, "cublas", "lib")]);
      assert.deepEqual(found.filter((path) => path.startsWith(home)), wanted);
      assert.equal(new Set(found).size, found.length);
    });
  });

  test("finds the toolkit that CUDA_HOME names", () => {
    withEnv({ CUDA_HOME: join(home, "cuda") }, () => {
      const found = cudaFolders("cuda_nvrtc").filter((path) => path.startsWith(join(home, "cuda")));
      assert.ok(found.length >= 2, found.join());
    });
  });
});

test("orderByMajor() puts what a driver can serve first", () => {
  const names = ["libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"];
  assert.deepEqual(orderByMajor(names, 0), names);
  assert.deepEqual(orderByMajor(names, 13), names);
  assert.deepEqual(orderByMajor(names, 12), [names[1], names[2], names[3], names[0]]);
});

describe("cublasLtSpec()", () => {
  test("looks beside cuBLAS where that is named, and for what the driver can serve first", () => {
    const folder = join(tmpdir(), "cuda", "lib64");
    for (const named of [folder, join(folder, "libcublas.so.12")]) {
      withEnv({ TNP_CUBLAS: named, TNP_CUBLASLT: "" }, () => {
        const spec = cublasLtSpec(12);
        assert.equal(spec.env, "TNP_CUBLASLT");
        assert.ok(spec.folders!.slice(0, 2).includes(folder), spec.folders!.join());
        assert.deepEqual(
          spec.names.linux,
          ["12", "11", "", "13"].map((major) => `libcublasLt.so${major && `.${major}`}`),
        );
      });
    }
  });

  test("is hidden along with cuBLAS, unless it is named itself", () => {
    withEnv({ TNP_CUBLAS: "none", TNP_CUBLASLT: "" }, () => {
      assert.throws(() => new CublasLt(), /cublasLt: .*(hidden by TNP_CUBLAS=none|native code)/s);
    });
    withEnv({ TNP_CUBLAS: "none", TNP_CUBLASLT: "/nowhere/libcublasLt.so.12" }, () => {
      assert.throws(() => new CublasLt(), /cublasLt: (?!hidden)/);
    });
  });
});
