// The process that startup_bench.ts times for the package as npm has it: one file of JavaScript.
import { tnp } from "../dist/mod.js";

console.log(tnp.ones(3).sum().item());
