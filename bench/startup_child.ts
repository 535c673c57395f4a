// The process that startup_bench.ts times.
import { tnp } from "../mod.ts";

console.log(tnp.ones(3).sum().item());
