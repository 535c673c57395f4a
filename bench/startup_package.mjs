// The process that startup_bench.ts times for the package as npm has it: JavaScript, no types to take out.
import { tnp } from "@tnp/tnp";

console.log(tnp.ones(3).sum().item());
