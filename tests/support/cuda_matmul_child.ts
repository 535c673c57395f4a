/** Products in a process of their own; CUDA_CHILD tells whether to run them, or to make calls of cublasLt fail. */
import process from "node:process";
import { closeCuda } from "../../src/device/cuda.ts";
import { tnp } from "../../mod.ts";
import { openEmulator } from "./cuda_emulator.ts";
import { products } from "./cuda_products.ts";

const emulator = openEmulator(process.env["TNP_CUDA"]!);
const calls = (name: string) => emulator.fail(name, 0, 0);
const right = tnp.device("CPU:0", products);

/** What is wrong with the GPU's numbers; null for nothing. */
function compare(): string | null {
  const got = tnp.device("GPU:0", products);
  if (got.length !== right.length) return `${got.length} numbers, expected ${right.length}`;
  const wrong = right.findIndex((x, i) => !(Math.abs(x - got[i]!) <= 4e-6 * (1 + Math.abs(x))));
  return wrong < 0 ? null : `number ${wrong} is ${got[wrong]}, expected ${right[wrong]}`;
}

/** What is left after closing. */
function left(): string {
  const kinds = "stream event module context cublas cublasLt ltDesc ltLayout ltPreference".split(" ");
  const found = kinds.filter((kind) => emulator.live(kind) > 0).map((kind) => `${emulator.live(kind)} ${kind}`);
  if (emulator.blocks() > 0) found.push(`${emulator.blocks()} blocks`);
  return found.length === 0 ? "nothing left" : found.join(", ");
}

if (process.env["CUDA_CHILD"] === "products") {
  console.log(compare() ?? "right");
  const libraries = { cublasLt: "cublasLtMatmul", cuBLAS: "cublasGemmStridedBatchedEx" };
  console.log(
    Object.entries(libraries).filter(([, name]) => calls(name) > 0).map(([name]) => name).join() || "kernels",
  );
  closeCuda();
  console.log(left());
} else {
  const names = [
    "cublasLtCreate",
    "cublasLtMatmulDescCreate",
    "cublasLtMatmulDescSetAttribute",
    "cublasLtMatrixLayoutCreate",
    "cublasLtMatrixLayoutSetAttribute",
    "cublasLtMatmulPreferenceCreate",
    "cublasLtMatmulPreferenceSetAttribute",
    "cublasLtMatmulAlgoGetHeuristic",
    "cublasLtMatmulPreferenceDestroy",
    "cublasLtMatmul",
    "cublasLtMatrixLayoutDestroy",
    "cublasLtMatmulDescDestroy",
    "cublasLtDestroy",
  ];
  const run = (): void => {
    const wrong = compare();
    closeCuda();
    if (wrong !== null) throw new Error(wrong);
  };
  const attempt = (step: () => void): Error | null => {
    try {
      step();
      return null;
    } catch (error) {
      return error as Error;
    }
  };
  let problems = 0, faults = 0, kept = 0;
  const report = (what: string) => {
    problems++;
    console.log(what);
  };
  run();
  for (const name of names) {
    const before = calls(name);
    run();
    const count = calls(name) - before;
    if (count === 0) report(`${name} is never called`);
    for (const nth of new Set([1, Math.ceil(count / 2), count])) {
      // 14: internal error.
      emulator.fail(name, nth, 14);
      faults++;
      const error = attempt(run);
      if (error === null) report(`${name} ${nth} of ${count} was swallowed`);
      else if (!error.message.includes(`${name}: CUBLAS_STATUS_INTERNAL_ERROR (14)`)) {
        report(`${name} ${nth} gave ${error.message}`);
      }
      emulator.fail(name, 0, 0);
      const again = attempt(closeCuda);
      if (again !== null) report(`${name} ${nth}: closing after it: ${again.message}`);
      if (name.endsWith("Destroy")) kept++;
      const next = attempt(run);
      if (next !== null) report(`after ${name} ${nth}: ${next.message}`);
    }
  }
  // Not supported is no failure: another way is found.
  for (const code of [7, 15]) {
    emulator.fail("cublasLtMatmulAlgoGetHeuristic", 1, code);
    const error = attempt(run);
    if (error !== null) report(`a heuristic's ${code} gave ${error.message}`);
  }
  // What failed to be given back is still there, and nothing else.
  const handles = ["cublasLt", "ltDesc", "ltLayout", "ltPreference"].reduce(
    (sum, kind) => sum + emulator.live(kind),
    0,
  );
  if (handles !== kept) report(`${handles} handles are left, expected ${kept}`);
  const others = left().split(", ").filter((text) => !/ (cublasLt|lt\w+)$/.test(text) && text !== "nothing left");
  if (others.length > 0) report(`left: ${others.join()}`);
  console.log(problems === 0 ? `${faults} faults surfaced` : `${problems} problems`);
}
