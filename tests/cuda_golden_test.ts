/**
 * NumPy's answers on a GPU: some calls of each function, or all of them where TNP_TEST_FULL=1 asks for it; gradients and batching
 * against the CPU.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { gpu } from "./support/cuda.ts";
import { type NDArray, tnp } from "../mod.ts";
import { getDevice, setDefault } from "../src/device/registry.ts";
import { readPart } from "./golden/read.ts";
import { check, skips } from "./golden/run.ts";

const full = process.env["TNP_TEST_FULL"] === "1";
/** Calls of each function. */
const SOME = 2;

if (gpu === null) {
  test("cuda: asking for a GPU that is not there is an error", () => {
    assert.throws(() => getDevice("GPU:0"), { name: "DeviceError" });
  });
} else {
  setDefault("GPU:0");
  for (
    const part of ["unary", "binary", "reduction", "creation", "shape", "joining", "products", "searching", "indexing"]
  ) {
    describe(`cuda golden ${part}`, () => {
      const records = readPart(part).filter((record) => !skips.some((skip) => skip.matches(record)));
      for (const [name, all] of Map.groupBy(records, (record) => record.f)) {
        // Spread over the dtypes, which come one after the other.
        const step = full ? 1 : Math.max(1, Math.floor(all.length / SOME));
        const chosen = all.filter((_, i) => i % step === step >> 1);
        test(`${name}() is NumPy's in ${chosen.length} calls`, () => {
          const wrong = chosen.map((record) =>
            [JSON.stringify([record.f, record.a, record.k ?? {}]), check(record)] as const
          )
            .filter(([, found]) => found !== null);
          assert.deepEqual(wrong.slice(0, 5), []);
        });
      }
    });
  }

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
