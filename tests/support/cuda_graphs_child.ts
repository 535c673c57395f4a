/** Traced functions on the GPU, in processes of their own; GRAPHS_CHILD tells what of them. Prints JSON: what went wrong. */
import process from "node:process";
import { tnp } from "../../mod.ts";
import { closeCuda } from "../../src/device/cuda.ts";
import { openEmulator } from "./cuda_emulator.ts";
import { differs, model, programs } from "./cuda_graphs_program.ts";

const emulator = openEmulator(process.env["TNP_CUDA"]!);
const problems: string[] = [];
const kinds = ["stream", "event", "module", "context", "cublas", "cublasLt", "graph", "graphExec"];

/** What was not given back. */
function left(): number {
  return kinds.reduce((sum, kind) => sum + emulator.live(kind), 0);
}

/** Runs a program on a GPU and closes it. */
function check(name: keyof typeof programs, device: string, right: readonly number[]): void {
  const wrong = differs(right, tnp.scope(() => tnp.device(device, programs[name])) as unknown as number[]);
  if (wrong !== null) problems.push(`${name} on ${device}: ${wrong}`);
}

if (process.env["GRAPHS_CHILD"] === "programs") {
  for (const name of Object.keys(programs) as (keyof typeof programs)[]) {
    const right = tnp.device("CPU:0", programs[name]);
    for (let i = 0; i < Number(process.env["CUEMU_DEVICES"] ?? 1); i++) check(name, `GPU:${i}`, right);
  }
  closeCuda();
  if (left() > 0) problems.push(`${left()} handles are left`);
} else if (process.env["GRAPHS_CHILD"] === "plain") {
  check("training", "GPU:0", tnp.device("CPU:0", programs.training));
  console.log(emulator.calls("cuGraphLaunch"));
} else {
  // Every graph function fails at each of its first calls: an error that names it or plain launches, and right numbers afterwards.
  const names = [
    "cuStreamCreate",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cublasLtMatmul",
    "cuGraphCreate",
    "cuGraphAddKernelNode",
    "cuGraphAddChildGraphNode",
    "cuGraphInstantiateWithFlags",
    "cuGraphExecKernelNodeSetParams",
    "cuGraphExecChildGraphNodeSetParams",
    "cuGraphLaunch",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuMemAllocAsync",
    "cuStreamDestroy_v2",
  ];
  /** Functions whose failure leaves behind what they should have given back. */
  const leaky = new Set(["cuGraphDestroy", "cuGraphExecDestroy", "cuStreamDestroy_v2"]);
  const right = tnp.device("CPU:0", programs.arguments);
  let faults = 0, surfaced = 0, allowed = 0;
  for (const name of names) {
    for (const code of name.startsWith("cublas") ? [14] : [1, 2]) {
      for (const nth of [1, 2, 6]) {
        emulator.fail(name, nth, code);
        const before = emulator.calls(name);
        let failed = false;
        try {
          check("arguments", "GPU:0", right);
        } catch (error) {
          failed = true;
          const { message } = error as Error;
          if (!message.includes(name) && (error as Error).name !== "OutOfMemoryError") {
            problems.push(`${name} ${nth}: ${message}`);
          }
        }
        try {
          closeCuda();
        } catch (error) {
          failed = true;
          if (!(error as Error).message.includes(name)) problems.push(`${name} ${nth}: ${(error as Error).message}`);
        }
        if (emulator.calls(name) - before >= nth) faults++;
        emulator.fail(name, 0, 0);
        surfaced += Number(failed);
        if (leaky.has(name) && emulator.calls(name) - before >= nth) allowed++;
        if (left() > allowed) problems.push(`${name} ${nth} ${code}: ${left()} handles are left, expected ${allowed}`);
        try {
          check("arguments", "GPU:0", right);
          closeCuda();
        } catch (error) {
          problems.push(`after ${name} ${nth}: ${(error as Error).message}`);
        }
      }
    }
  }
  // What was traced before a device is closed goes on after it.
  const { step, data } = tnp.device("GPU:0", () => model());
  const [x, y] = tnp.device("GPU:0", data);
  for (let i = 0; i < 4; i++) step(x, y);
  console.log(JSON.stringify({ faults, surfaced }));
}
console.log(JSON.stringify(problems));
