// A loop that gives nothing back: how long a step takes, and how large the process becomes.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtime } from "../ffi/runtime.ts";
import { type Probe, suite } from "./harness.ts";

const child = fileURLToPath(new URL("memory_child.ts", import.meta.url));

/** Runs the loop in a process of this runtime. */
function loop(mode: string): Probe {
  const args = runtime.name === "deno" ? ["run", "-A", "--no-check", child] : [child];
  const ended = spawnSync(process.execPath, [...args, mode], { encoding: "utf8" });
  if (ended.status !== 0) throw new Error(`memory: exit code ${ended.status}\n${ended.stderr}`);
  return JSON.parse(ended.stdout) as Probe;
}

/** The same loop in a Python process of its own. */
function python(start: string, step: string, end = ""): string {
  return `import json, subprocess, sys
program = '''
import json, resource, time
import numpy as np
${start}
acc = a
start = time.perf_counter()
for _ in range(400):
    acc = ${step}
${end}
seconds = time.perf_counter() - start
try:
    # The larger figure of getrusage may be that of the process that started this one.
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"ns": seconds / 400 * 1e9, "bytes": peak * 1024}))
'''
run = lambda: json.loads(subprocess.check_output([sys.executable, "-c", program]))`;
}

suite("memory: acc = add(acc, a), 400 steps on 4 MiB", [
  {
    name: "memory probe, each step computed",
    goal: 1000,
    goalBytes: 200 * 2 ** 20,
    probe: () => loop("computed"),
    python: {
      numpy: python("a = np.ones(1 << 20, np.float32)", "np.add(acc, a)"),
      jax: python("import jax.numpy as jnp\na = jnp.ones(1 << 20, jnp.float32)", "jnp.add(acc, a).block_until_ready()"),
      torch: python("import torch\na = torch.ones(1 << 20)", "torch.add(acc, a)"),
      tensorflow: python("import tensorflow as tf\na = tf.ones(1 << 20)", "tf.add(acc, a)"),
    },
  },
  {
    name: "memory probe, read at the end",
    goal: 1000,
    goalBytes: 200 * 2 ** 20,
    probe: () => loop("read"),
    python: {
      numpy: python("a = np.ones(1 << 20, np.float32)", "np.add(acc, a)"),
      jax: python(
        "import jax.numpy as jnp\na = jnp.ones(1 << 20, jnp.float32)",
        "jnp.add(acc, a)",
        "acc.block_until_ready()",
      ),
    },
  },
]);
