// The tests and benches of a GPU. They need a runtime, an NVIDIA driver, and NVRTC and cuBLAS from pip or a toolkit; no npm, no network.
//   node scripts/cuda.mjs test|bench [--dry] [word…]     or bun, or deno run -A, in place of node
// All runtimes that are found run the tests; the one that runs this script runs the benches. --dry runs on the emulator, which needs g++.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { childEnv, findRuntime, root, runArgs, runtimeNames } from "./lib.mjs";

const [task, ...rest] = process.argv.slice(2);
const dry = rest.includes("--dry"), words = rest.filter((arg) => arg !== "--dry");
if (task !== "test" && task !== "bench") stop(`got ${task ?? "nothing"}, expected test or bench`);

const own = runtimeNames.find((name) =>
  name === (process.versions.deno ? "deno" : process.versions.bun ? "bun" : "node")
);
const env = childEnv({ ...pipFolders(), ...(dry ? {} : { TNP_TEST_GPU: "1" }) });
const usable = runtimeNames.filter((name) => findRuntime(name) !== undefined && (name !== "node" || hasKoffi()));
if (usable.length === 0) {
  stop("found neither Deno nor Bun, nor Node 24 with the package koffi; install one of them, or run: make setup");
}
if (!dry) report();

if (task === "test") {
  const args = [`--runtimes=${usable.join(",")}`, ...(words.length > 0 ? words : ["cuda_"])];
  run(process.execPath, [...(own === "deno" ? ["run", "-A"] : []), join(root, "scripts", "test.mjs"), ...args], env);
} else {
  const name = usable.includes(own) ? own : usable[0];
  const args = [...runArgs(name), "bench/cuda.ts", ...(dry ? ["--dry"] : []), ...words];
  run(findRuntime(name).command, args, dry ? { ...env, ...emulated(name) } : env);
}

/** Whether Node can call native code. */
function hasKoffi() {
  return existsSync(join(root, "node_modules", "koffi"));
}

/** What a runtime prints last for a program from the repository. @returns {string} */
function answerOf(/** @type {import("./lib.mjs").RuntimeName} */ name, /** @type {string} */ text) {
  const own = {
    deno: ["eval", text],
    bun: ["-e", text],
    node: ["--conditions=source", "--input-type=module", "-e", text],
  };
  const options = /** @type {const} */ ({ cwd: root, env, encoding: "utf8" });
  const { status, stdout, stderr } = spawnSync(findRuntime(name).command, own[name], options);
  if (status !== 0) stop(`${name} cannot run this: ${stderr}`);
  return stdout.trim().split("\n").at(-1);
}

/** Says which GPU the first usable runtime sees; ends the script where it sees none. */
function report() {
  const text = 'import { tnp } from "./mod.ts"; const { cuda } = tnp.config.build_info();' +
    'console.log(JSON.stringify([tnp.config.list_physical_devices("GPU"), cuda]));';
  const [gpus, cuda] = JSON.parse(answerOf(usable[0], text));
  if (gpus.length === 0) stop(`no GPU: ${cuda.hint}; --dry runs on the emulator`);
  for (const gpu of gpus) {
    const { name: device, model, memory, compute_capability } = gpu;
    console.log(
      `${device}: ${model}, ${(memory / 2 ** 30).toFixed(1)} GiB, sm_${compute_capability.join("")}, ${cuda.version}`,
    );
  }
}

/** The emulator's environment. */
function emulated(/** @type {import("./lib.mjs").RuntimeName} */ name) {
  const path = answerOf(name, 'import { emulatorPath } from "./tests/support/cuda.ts"; console.log(emulatorPath);');
  if (!existsSync(path)) stop("the emulator cannot be built, it needs g++");
  return Object.fromEntries(["TNP_CUDA", "TNP_NVRTC", "TNP_CUBLAS", "TNP_CUBLASLT"].map((name) => [name, path]));
}

/** Where pip put CUDA's libraries for this python3: the loader does not look there. */
function pipFolders() {
  const python = process.env.PYTHON ?? "python3";
  const script =
    "import nvidia, os; print('\\n'.join(os.path.join(p, d, 'lib') for p in nvidia.__path__ for d in os.listdir(p)))";
  const ended = spawnSync(python, ["-c", script], { encoding: "utf8" });
  if (ended.status !== 0) return {};
  const folders = ended.stdout.trim().split("\n").filter((folder) => existsSync(folder));
  if (folders.length === 0) return {};
  const paths = [...folders, process.env.LD_LIBRARY_PATH ?? ""].filter((path) => path !== "");
  return { LD_LIBRARY_PATH: paths.join(":") };
}

/** Runs to the end and takes over its exit code. */
function run(command, args, environment) {
  process.exitCode = spawnSync(command, args, { cwd: root, env: environment, stdio: "inherit" }).status ?? 1;
}

/** @returns {never} */
function stop(message) {
  console.error(`cuda: ${message}`);
  process.exit(2);
}
