// Measures the C preamble's functions and writes docs/ulp.md. Usage: node tests/ulp/run.ts [step of float32] [count of float64]
// With PYTHON, NumPy is timed too.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Measure, promised, Workshop } from "../support/ulp.ts";

const [step = "1", count = "4000000"] = process.argv.slice(2);
using shop = new Workshop();
const missed = shop.build();
if (missed === null || !shop.link()) throw new Error("ulp: this needs a C compiler and libquadmath");
if (missed.length > 0) throw new Error(`ulp: loops did not vectorise: ${missed.join(", ")}`);
const times = shop.speeds();
const numpy = new Map<string, string[]>();
if (process.env["PYTHON"]) {
  const script = fileURLToPath(new URL("numpy_speed.py", import.meta.url));
  for (const line of spawnSync(process.env["PYTHON"], [script], { encoding: "utf8" }).stdout.trim().split("\n")) {
    const [name, ...ns] = line.split(" ");
    numpy.set(name!, ns);
  }
}
const names = [...times.own.keys()];
const narrow = new Map<string, Measure>(), wide = new Map<string, Measure>();
for (const name of names) {
  for (const m of shop.measure("float32", Number(step), [name])) narrow.set(name, m);
  for (const m of shop.measure("float64", Number(count), [name])) wide.set(name, m);
  console.log(name, narrow.get(name)!.ulp, wide.get(name)!.ulp);
}
const bad = names.filter((n) => [narrow, wide].some((t) => t.get(n)!.ulp > promised(n) || t.get(n)!.wrong > 0));
const at = (m: Measure) => m.at.map((v) => Number(v.toPrecision(9))).join(", ");
const lines = names.map((n) => {
  const a = narrow.get(n)!, b = wide.get(n)!;
  return `| ${n} | ${promised(n)} | ${a.ulp.toFixed(2)} | ${at(a)} | ${b.ulp.toFixed(2)} | ${at(b)} |`;
});
const speeds = names.map((n) => {
  const [a, c] = times.own.get(n)!, [b, d] = times.library.get(n)!, v = times.vectors?.get(n), np = numpy.get(n);
  const cells = [a, b, v?.[0], np?.[0], c, d, v?.[1], np?.[1]].map((x) => x === undefined ? "–" : Number(x).toFixed(2));
  return `| ${n} | ${cells.join(" | ")} |`;
});
const every = step === "1" ? "all 2^32 numbers" : `one in ${step} of the 2^32 numbers`;
const text = `# Errors and speed of the C functions

Written by \`make ulp\`. Errors are in units in the last place (ulp) of the result: one half is the least a rounded result can
promise. NaN, signed zeros, infinities and subnormals are checked with the rest and are right everywhere.

## Largest errors

float32: ${every} (of functions of two, 2^28 / ${step} pairs) against the C library in double precision. float64: ${
  Number(count).toLocaleString("en")
} numbers against libquadmath: a quarter of them random bits, a quarter near one, half of common size, and every pair of 37 corner cases.

| function | promised | float32 | at | float64 | at |
| --- | --- | --- | --- | --- | --- |
${lines.join("\n")}

Beyond 2^17 (float32) and 2^30 (float64) \`sin\`, \`cos\` and \`tan\` are the C library's. Without a fused multiply-add in
hardware products are split instead, and the errors stay below the same bounds.

## Speed

Nanoseconds an element on one thread, 16384 elements, the best of 40 runs: these functions, the C library one at a time, glibc's vector
functions (libmvec), NumPy.

| function | f32 own | libm | libmvec | NumPy | f64 own | libm | libmvec | NumPy |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${speeds.join("\n")}

libmvec promises 4 ulp and needs them (measured: exp 2.4, log 3.8, sin 2.8, cos 3.2, erf 4.0), exists for one C library and one compiler,
and at the ends of rows gives way to the scalar functions, which round otherwise. These functions gave the same bits with GCC and Clang on
AVX-512 and AVX2 and with GCC on AArch64, so they are used everywhere, also where libmvec is faster.
`;
mkdirSync(new URL("../../docs/", import.meta.url), { recursive: true });
writeFileSync(new URL("../../docs/ulp.md", import.meta.url), text);
if (bad.length > 0) {
  console.error(`ulp: beyond what is promised: ${bad.join(", ")}`);
  process.exitCode = 1;
}
