// Installs NVIDIA's compiler of CUDA kernels (58 MB from PyPI, no GPU needed) into .cache/nvrtc, for the tests that compile kernels.
// Where that cannot be done it says so, and these tests are left out.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cache } from "./lib.mjs";

const PACKAGE = "nvidia-cuda-nvrtc>=13,<14";
const python = process.env.PYTHON ?? "python3";
const folder = join(cache, "nvrtc");
const say = (/** @type {string} */ text) => console.log(`setup: ${text}`);

const supported = process.platform === "linux" && ["x64", "arm64"].includes(process.arch);
if (supported && process.env.TNP_TEST_NVRTC === undefined && !installed()) install();

/** Whether the compiler is there. */
function installed() {
  const base = join(folder, "nvidia");
  return existsSync(base) && readdirSync(base).some((name) => existsSync(join(base, name, "lib")));
}

function install() {
  if (python === "python3" && !hasPip() && process.getuid?.() === 0 && runs("apt-get", ["--version"])) {
    say("installing python3-pip with apt-get");
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    for (const args of [["update"], ["install", "--no-install-recommends", "python3-pip"]]) {
      spawnSync("apt-get", ["-y", "-qq", ...args], { env, stdio: ["ignore", "ignore", "inherit"] });
    }
  }
  if (!hasPip()) {
    return say("NVRTC was not installed: it needs python3 with pip; kernels for GPUs are not compiled in tests");
  }
  say("installing NVRTC from PyPI");
  mkdirSync(cache, { recursive: true });
  const temporary = `${folder}-${process.pid}`;
  const options = [
    "--quiet",
    "--no-deps",
    "--only-binary=:all:",
    "--disable-pip-version-check",
    "--root-user-action=ignore",
  ];
  const args = ["-m", "pip", "install", ...options, "--retries=2", "--target", temporary, PACKAGE];
  const pip = spawnSync(python, args, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8", timeout: 300_000 });
  if (pip.status === 0) {
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
    return;
  }
  rmSync(temporary, { recursive: true, force: true });
  const why = pip.stderr?.trim().split("\n").at(-1) ?? pip.error?.message ?? "";
  say(`NVRTC could not be installed (${why}); kernels for GPUs are not compiled in tests`);
}

function hasPip() {
  return runs(python, ["-m", "pip", "--version"]);
}

/** @param {string} command @param {string[]} args */
function runs(command, args) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
