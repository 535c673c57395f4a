// What one native call costs in this runtime: `deno run -A bench/ffi_call.ts`, `bun bench/ffi_call.ts`, `node bench/ffi_call.ts`.
import { libc } from "../ffi/libc.ts";
import { addressOf, native } from "../ffi/mem.ts";
import { available, openFile } from "../ffi/open.ts";
import { openmp } from "../ffi/openmp.ts";
import { runtime } from "../ffi/runtime.ts";
import { Scratch } from "../ffi/scratch.ts";

/** Median nanoseconds of one call over several rounds. */
function cost(run: (count: number) => void): number {
  const count = 100_000;
  for (let i = 0; i < 3; i++) run(count);
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    run(count);
    return (performance.now() - start) * 1e6 / count;
  });
  return times.sort((a, b) => a - b)[7] as number;
}

function report(name: string, run: (count: number) => void): void {
  console.log(`${name.padEnd(44)} ${cost(run).toFixed(1).padStart(8)} ns`);
}

const state = available();
console.log(`${runtime.name} ${runtime.version}`);
if (!state.ok) {
  console.log(state.reason);
} else {
  const { memcpy } = libc().symbols;
  const { omp_get_max_threads } = openmp().symbols;
  const path = libc().path;
  const file = openFile(path, {
    memcpy: { parameters: ["buffer", "buffer", "u64"], result: "address" },
    strnlen: { parameters: ["buffer", "u64"], result: "u64" },
    abs: { parameters: ["i32"], result: "i32" },
  });
  const { memcpy: copyViews, strnlen, abs } = file.symbols;
  const from = new Float64Array(new ArrayBuffer(800)), to = new Float64Array(new ArrayBuffer(800));
  const a = native(addressOf(to)), b = native(addressOf(from)), none = native(0);
  const a1 = addressOf(to), b1 = addressOf(from);

  report("no arguments: omp_get_max_threads()", (n) => {
    for (let i = 0; i < n; i++) omp_get_max_threads();
  });
  report("an i32: abs(i)", (n) => {
    for (let i = 0; i < n; i++) abs(i);
  });
  report("native addresses: memcpy(a, b, 0)", (n) => {
    for (let i = 0; i < n; i++) memcpy(a, b, none);
  });
  report("plain numbers as addresses: memcpy(a, b, 0)", (n) => {
    for (let i = 0; i < n; i++) memcpy(a1, b1, 0);
  });
  report("buffers: memcpy(to, from, 0)", (n) => {
    for (let i = 0; i < n; i++) copyViews(to, from, none);
  });
  report("one buffer: strnlen(block, 0)", (n) => {
    for (let i = 0; i < n; i++) strnlen(to, none);
  });
  report("addressOf(view)", (n) => {
    for (let i = 0; i < n; i++) addressOf(to);
  });
  report("native(address)", (n) => {
    for (let i = 0; i < n; i++) native(a1 + i);
  });
  const scratch = new Scratch();
  report("scratch: two integers by address", (n) => {
    for (let i = 0; i < n; i++) memcpy(scratch.reset().int(i), scratch.int(i), none);
  });
  file.close();
}
