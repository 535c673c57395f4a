// A process that imports the library and prints its first result.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtime } from "../ffi/runtime.ts";
import { suite } from "./harness.ts";

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Runs a file in this runtime. */
function start(file: string): void {
  const args = runtime.name === "deno" ? ["run", "-A", "--no-check", file] : [file];
  const ended = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (ended.status !== 0) throw new Error(`startup: exit code ${ended.status}\n${ended.stderr}`);
}

const python = (program: string) =>
  `import subprocess, sys
run = lambda: subprocess.run([sys.executable, "-c", "${program}"], check=True, capture_output=True)`;

let built = false;

/** Builds the package, once. */
function build(): void {
  if (built) return;
  const { status } = spawnSync("node", [pathOf("../scripts/build.mjs")], { stdio: "inherit" });
  if (status !== 0) throw new Error(`startup: the package could not be built, exit code ${status}`);
  built = true;
}

suite("start", [{
  name: "import and first result",
  make: () => () => start(pathOf("startup_child.ts")),
  python: {
    numpy: python("import numpy as np; print(np.ones(3).sum())"),
    jax: python("import jax.numpy as jnp; print(jnp.ones(3).sum())"),
    torch: python("import torch; print(torch.ones(3).sum())"),
    tensorflow: python("import tensorflow as tf; print(tf.ones(3))"),
  },
  most: 1,
}, {
  name: "import and first result, built package",
  make: () => {
    build();
    return () => start(pathOf("startup_package.mjs"));
  },
  python: { numpy: python("import numpy as np; print(np.ones(3).sum())") },
  most: 1,
}]);
