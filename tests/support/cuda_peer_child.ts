/** Copies between two emulated GPUs; prints what went wrong, or that nothing did. */
import process from "node:process";
import { nodeOf } from "../../src/array.ts";
import { closeCuda } from "../../src/device/cuda.ts";
import { getDevice } from "../../src/device/registry.ts";
import { evaluate } from "../../src/transform/evaluate.ts";
import { type NDArray, tnp } from "../../mod.ts";
import { openEmulator } from "./cuda_emulator.ts";

const emulator = openEmulator(process.env["TNP_CUDA"]!);
const calls = (name: string) => emulator.fail(name, 0, 0);
let problems = 0;
const report = (what: string) => {
  problems++;
  console.log(what);
};
const check = (right: boolean, what: string) => right || report(what);
const n = 100_000;
const enqueue = (x: NDArray): NDArray => {
  evaluate([nodeOf(x)]);
  return x;
};
const sums = (x: NDArray) => tnp.scope(() => (tnp.sum(x).dataSync() as Float64Array)[0]);
const other = (name: string) => name === "GPU:0" ? "GPU:1" : "GPU:0";

// A failure surfaces and loses nothing.
const reach = process.env["CUEMU_NO_POOLS"] === undefined ? "cuMemPoolSetAccess" : "cuCtxEnablePeerAccess";
// The first three are called for the first copy only.
const faulty = [
  "cuEventCreate",
  "cuDeviceCanAccessPeer",
  reach,
  "cuMemcpyPeerAsync",
  "cuStreamWaitEvent",
  "cuEventRecord",
];
for (const [i, name] of (process.env["CUEMU_NO_WAITS"] === undefined ? faulty : []).entries()) {
  tnp.scope(() => {
    const x = tnp.device("GPU:0", () => enqueue(tnp.arange(8)));
    emulator.fail(name, 1, 1);
    try {
      tnp.device("GPU:1", () => tnp.copy(x));
      report(`${name}: its failure was swallowed`);
    } catch (error) {
      check((error as Error).message.includes(name), `${name} gave ${(error as Error).message}`);
    }
    emulator.fail(name, 0, 0);
    if (i < 2) return;
    check(Number(tnp.device("GPU:1", () => tnp.sum(tnp.copy(x)).item())) === 28, `after ${name} numbers are wrong`);
  });
}

for (const from of ["GPU:0", "GPU:1", "GPU:0"] as const) {
  const to = other(from);
  // The copy comes after the work that makes its source.
  const x = tnp.device(from, () => enqueue(tnp.sqrt(tnp.square(tnp.arange(n, { dtype: "float64" })))));
  const before = { peer: calls("cuMemcpyPeerAsync"), read: calls("cuMemcpyDtoHAsync_v2") };
  const y = tnp.device(to, () => tnp.copy(x));
  check(y.device === to, `the copy is on ${y.device}`);
  check(calls("cuMemcpyPeerAsync") === before.peer + 1, "not copied by one call");
  check(calls("cuMemcpyDtoHAsync_v2") === before.read, "copied over the host");
  check(tnp.device(to, () => sums(y)) === n * (n - 1) / 2, `from ${from}: wrong numbers`);

  // What its source's device does next comes after the copy: giving the memory to others, too.
  getDevice(from).synchronize();
  const z = tnp.device(to, () => tnp.copy(x));
  x.dispose();
  tnp.device(from, () => {
    const next = tnp.full([n], 7, { dtype: "float64" });
    check(sums(next) === 7 * n, "the next array is wrong");
    next.dispose();
  });
  check(tnp.device(to, () => sums(z)) === n * (n - 1) / 2, `from ${from}: the source was overwritten`);
  y.dispose();
  z.dispose();
}

tnp.scope(() => {
  const x = tnp.device("GPU:0", () => tnp.arange(24).reshape([4, 6]));
  const parts: readonly (readonly [string, NDArray, number])[] = [
    ["a transposed array", x.T, 276],
    ["every second column backwards", x.at(":", "::-2"), 144],
    ["one element", x.at(2, 3), 15],
    ["nothing", x.at("4:"), 0],
    ["bools", tnp.greater(x, 11), 12],
  ];
  for (const [what, part, total] of parts) {
    const copy = tnp.device("GPU:1", () => tnp.copy(part));
    check(copy.shape.join() === part.shape.join() && copy.dtype === part.dtype, `${what} has another shape or dtype`);
    check(Number(tnp.device("GPU:1", () => tnp.sum(copy).item())) === total, `${what} came out wrong`);
  }
  const there = tnp.device("GPU:1", () => tnp.ones([4, 6]));
  try {
    tnp.add(x, there);
    report("arrays of two GPUs were added");
  } catch (error) {
    const { message } = error as Error;
    check(message.includes("GPU:0") && message.includes("GPU:1"), `both devices should be named: ${message}`);
  }
  // Back and forth, one copy after the other.
  let there1: NDArray = tnp.device("GPU:0", () => tnp.arange(1000, { dtype: "float64" }));
  for (let i = 0; i < 6; i++) {
    there1 = tnp.device(i % 2 === 0 ? "GPU:1" : "GPU:0", () => enqueue(tnp.copy(there1).add(1)));
  }
  check(sums(there1) === 999 * 500 + 6000, "back and forth came out wrong");
});

closeCuda();
const left = ["stream", "event", "module", "context"].filter((kind) => emulator.live(kind) > 0);
check(left.length === 0, `left: ${left.join()}`);
check(emulator.blocks() === 0, `left: ${emulator.blocks()} blocks`);
if (problems === 0) console.log("right");
