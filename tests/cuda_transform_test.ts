/** Gradients, batching and traced functions on a GPU against the CPU. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gpu } from "./support/cuda.ts";
import { type NDArray, tnp } from "../mod.ts";
import { getDevice } from "../src/device/registry.ts";
import { batches, gradients, type Transform } from "./tables/transforms.ts";

if (gpu === null) {
  test("cuda: asking for a GPU that is not there is an error", () => {
    assert.throws(() => getDevice("GPU:0"), { name: "DeviceError" });
  });
} else {
  const both = (run: () => NDArray): void => {
    const [gpu, cpu] = ["GPU:0", "CPU:0"].map((name) =>
      tnp.device(name, () => Array.from(run().dataSync() as Float64Array))
    );
    assert.equal(gpu!.length, cpu!.length);
    gpu!.forEach((x, i) =>
      assert.ok(Math.abs(x - cpu![i]!) <= 1e-12 * (1 + Math.abs(x)), `element ${i}: ${x}, ${cpu![i]}`)
    );
  };
  const compare = ({ name, runs }: Transform) => test(name, () => runs.forEach(both));
  describe("cuda gradients are the CPU's, to second order", () => gradients.forEach(compare));
  describe("cuda batching and traced functions are the CPU's", () => batches.forEach(compare));
}
