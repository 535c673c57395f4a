// Python children that time a library on demand, so that all sides are measured in turns on the same machine. A child that is not asked is
// stopped: pools of threads that look for work for a while would take the cores from what is timed next.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";

/** How each library is imported; all have NumPy as `np` and random numbers as `rng`, too. */
const imports = {
  numpy: "library = np",
  jax: `import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
library = jax`,
  torch: "import torch\nlibrary = torch",
  tensorflow: `import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
tnp = tf.experimental.numpy
tnp.experimental_enable_numpy_behavior()
library = tf`,
} as const;

/** A library of Python that cases may be timed in. */
export type PythonLibrary = keyof typeof imports;

/** The libraries, NumPy first. */
export const pythonLibraries = Object.keys(imports) as readonly PythonLibrary[];

/** Code that defines `run()`, by library. */
export type PythonCode = Readonly<Partial<Record<PythonLibrary, string>>>;

/**
 * The same expression in every library.
 *
 * @param inputs code that makes NumPy arrays
 * @param names their names, such as `"x, y"`
 * @param expression NumPy code of these names
 * @param compiled whether libraries with a compiler use it
 */
export function everywhere(inputs: string, names: string, expression: string, compiled: boolean): PythonCode {
  const f = (module: string) => `lambda ${names}: ${expression.replaceAll(/\bnp\./g, `${module}.`)}`;
  return {
    numpy: `${inputs}\nf = ${f("np")}\nrun = lambda: f(${names})`,
    jax: `${inputs}
${names}, = jax.device_put((${names},))
f = ${compiled ? `jax.jit(${f("jnp")})` : f("jnp")}
run = lambda: jax.block_until_ready(f(${names}))`,
    torch: `${inputs}
${names}, = map(torch.from_numpy, (${names},))
f = ${compiled ? `torch.compile(${f("torch")})` : f("torch")}
run = lambda: f(${names})`,
    tensorflow: `${inputs}
${names}, = map(tf.constant, (${names},))
f = ${compiled ? `tf.function(${f("tnp")}, jit_compile=True)` : f("tnp")}
run = lambda: f(${names})`,
  };
}

const program = (library: PythonLibrary): string => `
import json, sys, time
try:
    import numpy as np
${imports[library].replaceAll(/^/gm, "    ")}
except ImportError as error:
    print(json.dumps({"error": str(error)}), flush=True)
    sys.exit()
print(json.dumps({"version": library.__version__}), flush=True)
known = dict(globals())
scope = {}
for line in sys.stdin:
    message = json.loads(line)
    try:
        if "code" in message:
            scope = {**known, "rng": np.random.default_rng(0), "__name__": "bench"}
            exec(message["code"], scope)
            print("{}", flush=True)
        elif "count" in message:
            run, count = scope["run"], range(message["count"])
            start = time.perf_counter()
            for _ in count:
                run()
            print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)
        else:
            print(json.dumps({"value": scope["run"]()}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
`;

interface Reply {
  readonly error?: string;
  readonly version?: string;
  readonly seconds?: number;
  readonly value?: unknown;
}

/** A library in a child process of Python. */
export class PythonPeer implements Disposable {
  readonly library: PythonLibrary;
  readonly version: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  private constructor(
    library: PythonLibrary,
    version: string,
    child: ChildProcessWithoutNullStreams,
    reader: Interface,
    lines: AsyncIterator<string>,
  ) {
    this.library = library;
    this.version = version;
    this.#child = child;
    this.#reader = reader;
    this.#lines = lines;
  }

  /**
   * Starts Python.
   * @param command the interpreter
   * @param library what to import
   * @returns the peer, or why there is none
   */
  static async start(command: string, library: PythonLibrary): Promise<PythonPeer | string> {
    const env = { ...process.env };
    delete env.OPENBLAS_CORETYPE;
    const child = spawn(command, ["-c", program(library)], { env, stdio: ["pipe", "pipe", "pipe"] });
    const failed = new Promise<string>((resolve) => child.on("error", (error) => resolve(error.message)));
    let complaints = "";
    child.stderr.on("data", (chunk) => complaints = `${complaints}${chunk}`.slice(-2000));
    child.stdin.on("error", () => {}); // a child that has ended is told by its missing answer
    const reader = createInterface({ input: child.stdout });
    const lines = reader[Symbol.asyncIterator]();
    const first = await Promise.race([lines.next(), failed]);
    if (typeof first === "string") return `${command}: ${first}`;
    const { error, version } = JSON.parse(first.value ?? `{"error":"ended at once"}`) as Reply;
    if (version === undefined) {
      reader.close();
      return `${command}: ${error} ${complaints.trim()}`.trim();
    }
    const peer = new PythonPeer(library, version, child, reader, lines);
    peer.#signal("SIGSTOP");
    return peer;
  }

  /** Runs the code that defines what is timed next. */
  async define(code: string): Promise<void> {
    await this.#ask({ code });
  }

  /** Seconds that `count` calls take. */
  async time(count: number): Promise<number> {
    return (await this.#ask({ count })).seconds!;
  }

  /** What one call gives. */
  async value(): Promise<unknown> {
    return (await this.#ask({})).value;
  }

  /** Ends the child. */
  [Symbol.dispose](): void {
    this.#reader.close();
    this.#child.kill("SIGKILL"); // a stopped process sees nothing else
  }

  async #ask(message: object): Promise<Reply> {
    this.#signal("SIGCONT");
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
    const { value } = await this.#lines.next();
    this.#signal("SIGSTOP");
    const reply = JSON.parse(value ?? `{"error":"the process ended"}`) as Reply;
    if (reply.error !== undefined) throw new PeerError(`${this.library}: ${reply.error}`);
    return reply;
  }

  /** Not by `kill` of the child: in Deno it takes every signal for the end. */
  #signal(signal: "SIGCONT" | "SIGSTOP"): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) process.kill(pid!, signal);
  }
}

/** A peer that cannot do a case. */
export class PeerError extends Error {
  override name = "PeerError";
}
