/** A process of its own for tests/pack_test.ts: the program, read at once or (with TNP_TEST_ASYNC) beside the event loop. */
import process from "node:process";
import type { TypedArray } from "../../src/base/dtype.ts";
import { checkSum } from "../../src/base/digest.ts";
import { configureCpu } from "../../src/device/cpu.ts";
import { nativeThread } from "../../src/device/native_thread.ts";
import { program } from "./pack_program.ts";

configureCpu({ engine: process.env["TNP_KERNELS"] === "none" ? "js" : "c" });
const beside = process.env["TNP_TEST_ASYNC"] !== undefined;
// The thread's code is compiled while the event loop goes on.
while (beside && nativeThread() === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
const sums: string[] = [], values: number[][] = [];
for (const x of program(Number(process.env["TNP_TEST_ROWS"]))) {
  const data = x.reshape([-1]), all = (beside ? await data.data() : data.dataSync()) as TypedArray;
  sums.push(checkSum(new Uint8Array(all.buffer, all.byteOffset, all.byteLength)));
  values.push(Array.from(all.subarray(-5000), Number));
}
console.log(JSON.stringify({ sums, values, pushed: beside ? nativeThread()?.pushed : 0 }));
