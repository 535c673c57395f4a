/** A process of its own for tests/async_test.ts: how late a timer is while kernels are compiled for the first time. */
import { setTimeout } from "node:timers/promises";
import { type NDArray, tnp } from "../../mod.ts";
import { toolchain } from "../../src/device/native.ts";
import { beats } from "./beats.ts";

const make = (n: number): NDArray => tnp.sort(tnp.exp(tnp.arange(n, { dtype: "float32" }).mul(-1e-6)).mul(2).add(1));
// What JavaScript does with it is compiled by now.
for (let n = 1; n <= 200; n++) await make(n).data();
const idle = (await beats(() => setTimeout(150))).late;
const start = performance.now();
const { value, late, count } = await beats(() => make(3_000_000).data());
const ms = performance.now() - start;
console.log(JSON.stringify({ late: late - idle, count, ms, max: value.at(-1), compiled: toolchain().ok }));
