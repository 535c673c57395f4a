// The process that first_use_bench.ts times: one operation for the first time after the import, or the loading of kernels.
import process from "node:process";
import { type NDArray, tnp } from "../mod.ts";
import { recordKernels } from "../scripts/pack.ts";
import { kernelSource, nativeSource } from "../src/device/native.ts";
import { firstUses } from "./first_use.ts";
import { compute } from "./harness.ts";

const [name = "", text = ""] = process.argv.slice(2), n = Number(text);
const x = tnp.array(Float32Array.from({ length: n }, (_, i) => (i * 7919 % 1000) / 100 + 0.5));

/** Nanoseconds that a result takes. */
function time(make: () => NDArray): number {
  const start = performance.now();
  compute(make());
  return (performance.now() - start) * 1e6;
}

/** Kernels of common work. */
function* common(): Generator<NDArray> {
  const x = tnp.zeros([64, 48], { dtype: "float32" }), y = tnp.ones([64, 48], { dtype: "float32" });
  for (const f of [tnp.exp, tnp.log, tnp.sin, tnp.sqrt, tnp.tanh, tnp.square]) yield f(x);
  for (const f of [tnp.add, tnp.multiply, tnp.maximum, tnp.less]) yield f(x, y);
  for (const f of [tnp.sum, tnp.max, tnp.mean, tnp.argmax]) for (const axis of [0, 1]) yield f(x, axis);
  yield x.astype("int32");
  yield tnp.where(x.gt(3), x, 0);
}

/** Nanoseconds that finding and opening the code of a kernel takes, on the average; the first one, which finds the compiler too, is left out. */
function kernelTime(): number {
  const kernels = recordKernels(() => {
    for (const x of common()) compute(x);
  });
  const times = kernels.map((kernel) => {
    const start = performance.now();
    const made = nativeSource(kernelSource(kernel), process.env["TNP_ENGINE"] === "c", "a kernel");
    if (made === null) throw new Error("first use: a kernel is not on disk");
    return (performance.now() - start) * 1e6;
  }).slice(1);
  return times.reduce((a, b) => a + b) / times.length;
}

const ns = name === "kernels" ? kernelTime() : time(() => firstUses[name]!.tnp(x));
console.log(JSON.stringify({ ns }));
