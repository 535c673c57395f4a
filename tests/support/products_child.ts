/** A process of its own for tests/openblas_test.ts: float64 products in the main thread and in workers at once, each with thread counts of its own. */
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { tnp } from "../../mod.ts";
import { openblas } from "../../src/device/libraries.ts";

const MILLISECONDS = 1000;

/** How many products were made, and how many of them were wrong. */
function work(threads: number): readonly [made: number, wrong: number] {
  tnp.config.set_num_threads(threads);
  const n = 160 + 40 * threads;
  const left = tnp.arange(n * n, { dtype: "float64" }).mod(7).reshape([n, n]), right = left.add(1).mod(5);
  const a = left.dataSync(), b = right.dataSync(), expected = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < n; k++) for (let j = 0; j < n; j++) expected[i * n + j]! += a[i * n + k]! * b[k * n + j]!;
  }
  let made = 0, wrong = 0;
  for (const end = performance.now() + MILLISECONDS; performance.now() < end; made++) {
    if (made % 3 === 0) tnp.config.set_num_threads(threads + made % 2);
    using product = tnp.matmul(left, right);
    const values = product.dataSync();
    if (expected.some((value, i) => value !== values[i])) wrong++;
  }
  return [made, wrong];
}

if (isMainThread) {
  const others = [2, 4, 8].map((threads) =>
    new Promise<readonly [number, number]>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: threads });
      worker.on("error", reject);
      worker.on("message", (counts: readonly [number, number]) => {
        resolve(counts);
        void worker.terminate();
      });
    })
  );
  const own = work(3);
  console.log(JSON.stringify({ openmp: openblas.get()?.openmp ?? null, counts: [own, ...await Promise.all(others)] }));
  process.exit();
} else {
  parentPort!.postMessage(work(workerData as number));
}
