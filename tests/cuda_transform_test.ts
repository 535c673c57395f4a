/** Gradients, batching and traced functions on a GPU against the CPU. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gpu } from "./support/cuda.ts";
import { type NDArray, tnp } from "../mod.ts";
import { getDevice } from "../src/device/registry.ts";

if (gpu === null) {
  test("cuda: asking for a GPU that is not there is an error", () => {
    assert.throws(() => getDevice("GPU:0"), { name: "DeviceError" });
  });
} else {
  type F = (...xs: NDArray[]) => NDArray;
  const both = (run: () => NDArray): void => {
    const [gpu, cpu] = ["GPU:0", "CPU:0"].map((name) =>
      tnp.device(name, () => Array.from(run().dataSync() as Float64Array))
    );
    assert.equal(gpu!.length, cpu!.length);
    gpu!.forEach((x, i) =>
      assert.ok(Math.abs(x - cpu![i]!) <= 1e-12 * (1 + Math.abs(x)), `element ${i}: ${x}, ${cpu![i]}`)
    );
  };
  const x = () => tnp.linspace(0.3, 1.9, 12).reshape([3, 4]);
  const functions: Readonly<Record<string, F>> = {
    tanh: (x) => tnp.tanh(x),
    "x ** 3": (x) => tnp.power(x, 3),
    softmax: (x) => tnp.divide(tnp.exp(x), tnp.sum(tnp.exp(x), { axis: 1, keepdims: true })),
    matmul: (x) => tnp.matmul(x, tnp.sin(x.T)),
    max: (x) => tnp.max(x, 1),
    cumprod: (x) => tnp.cumprod(x, 1),
    sort: (x) => tnp.sort(tnp.sin(tnp.multiply(x, 5))),
    at: (x) => x.at([0, 1, 0]),
  };
  describe("cuda gradients are the CPU's, to second order", () => {
    for (const [name, f] of Object.entries(functions)) {
      const loss: F = (x) => tnp.sum(tnp.multiply(f(x), f(x)));
      const grad = tnp.grad(loss) as unknown as F;
      const second = tnp.grad(((x) => tnp.sum(tnp.multiply(grad(x), x))) as F) as unknown as F;
      test(name, () => {
        both(() => grad(x()));
        both(() => second(x()));
      });
    }
  });
  describe("cuda batching and traced functions are the CPU's", () => {
    for (const [name, f] of Object.entries(functions)) {
      test(name, () => {
        both(() => tnp.vectorized_map((row: NDArray) => f(row.reshape([2, 2])), x()) as NDArray);
        const traced = tnp.function(f) as F;
        both(() => {
          traced(x());
          return traced(tnp.add(x(), 0.25));
        });
      });
    }
  });
}
