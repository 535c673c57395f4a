/** A process of its own for tests/threads_test.ts: every native engine, in the main thread and (with TNP_TEST_WORKERS) in workers at once. */
import process from "node:process";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { tnp } from "../../mod.ts";
import { configureCpu } from "../../src/device/cpu.ts";

/** Sums that do not depend on the engine. */
function work(): number[] {
  const n = 96;
  const a = tnp.arange(n * n).mod(7).reshape([n, n]);
  const sums: number[] = [];
  for (const dtype of ["float32", "float64", "int32"] as const) {
    const x = a.astype(dtype);
    sums.push(Number(tnp.matmul(x, x).sum().item()));
    sums.push(Number(tnp.sort(x.reshape([-1])).at(n * n / 2).item()));
    sums.push(Number(x.T.add(x).sum().item()));
  }
  const big = tnp.arange(300_000, { dtype: "float32" });
  sums.push(Number(tnp.sin(big).mul(0).add(1).sum().item()));
  return sums;
}

configureCpu({ engine: "c" });
const count = Number(process.env["TNP_TEST_WORKERS"] ?? 0);
if (isMainThread && count > 0) {
  const results = Array.from({ length: count }, () =>
    new Promise<number[]>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url));
      worker.on("message", (sums: number[]) => {
        resolve(sums);
        void worker.terminate();
      });
      worker.on("error", reject);
    }));
  const own = work();
  console.log(JSON.stringify([own, ...await Promise.all(results)]));
} else if (isMainThread) {
  const threads = tnp.config.get_num_threads();
  const sums = [work()];
  tnp.config.set_num_threads(3);
  sums.push(work());
  tnp.config.set_num_threads(1);
  sums.push(work());
  console.log(JSON.stringify({ threads, sums }));
} else {
  for (let i = 0; i < 3; i++) work();
  parentPort!.postMessage(work());
}
