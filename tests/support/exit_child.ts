/** A process of its own for tests/threads_test.ts: ends, in the way EXIT_CHILD tells, while or right after threads work. */
import process from "node:process";
import { tnp } from "../../mod.ts";
import { configureCpu } from "../../src/device/cpu.ts";

configureCpu({ engine: "c" });
const n = 1200, x = tnp.arange(n * n).mod(7).reshape([n, n]).astype("float32"), y = x.astype("float64");
/** Work for the thread of native calls: kernels, a sort, oneDNN, OpenBLAS. */
const submit = () =>
  Promise.all([
    tnp.sort(tnp.sin(x).reshape([-1])).data(),
    tnp.matmul(x, x).add(1).data(),
    tnp.matmul(y, y).data(),
    tnp.cumsum(tnp.tile(x.reshape([-1]), 4)).data(),
  ]);
// Everything is compiled and opened: what follows is under way at once.
await submit();
console.log("begun");
const way = process.env["EXIT_CHILD"];
if (way === "after") {
  await submit();
} else {
  void submit();
  if (way === "exit") process.exit(0);
  if (way === "later") setTimeout(() => process.exit(0), 5);
  if (way === "fault") {
    setTimeout(() => {
      throw new Error("while the reader waits");
    }, 5);
  }
  if (way === "throw") throw new Error("the end");
  if (way === "reader") process.on("exit", () => console.log(Number(tnp.ones(5).sum().item())));
  if (way === "reader") process.exit(0);
}
