/**
 * Page faults and time a step once memory is recycled: `faults.ts [megabytes] [steps]`. Prints JSON a line for each way of giving memory
 * back: `using`, `scope`, `function` (with dispose), and `collector` (nothing given back) to compare with.
 */
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { type NDArray, tnp } from "../../mod.ts";

const megabytes = Number(process.argv[2] ?? 8), steps = Number(process.argv[3] ?? 100);
const n = megabytes * 2 ** 20 / 8;
const x = tnp.ones([n]), y = tnp.full([n], 0.5);
const stat = "/proc/self/stat";

/** Page faults of this process so far that needed no disk; NaN where the system does not tell. */
function faultsNow(): number {
  if (!existsSync(stat)) return NaN;
  const text = readFileSync(stat, "latin1");
  // The name of the program, which may hold anything, ends with the last parenthesis.
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[7]);
}

const traced = tnp.function((a: NDArray, b: NDArray) => tnp.exp(a.mul(b)).sum().add(a));
const work = (): NDArray => x.mul(y).add(x);

const ways: Record<string, () => void> = {
  using: () => {
    using z = work();
    using total = z.sum();
    total.item();
  },
  scope: () => {
    tnp.scope(() => {
      const z = work();
      z.sum().item();
      z.max().item();
    });
  },
  function: () => {
    const z = traced(x, y);
    z.dispose();
  },
  collector: () => {
    const z = work();
    z.sum().item();
    z.max().item();
  },
};

for (const [way, step] of Object.entries(ways)) {
  for (let i = 0; i < 30; i++) step();
  const before = faultsNow(), start = performance.now();
  for (let i = 0; i < steps; i++) step();
  const ms = (performance.now() - start) / steps;
  const faults = (faultsNow() - before) / steps;
  console.log(JSON.stringify({ way, megabytes, faults: Number(faults.toFixed(1)), ms: Number(ms.toFixed(2)) }));
}
