/** Traced functions, tapes, control flow, expressions and random indexing on a GPU: the CPU's tests. */
import { onGpu } from "./support/cuda.ts";

await onGpu(async () => {
  await import("./function_test.ts");
  await import("./tape_test.ts");
  await import("./control_test.ts");
  await import("./expr_test.ts");
  await import("./indexing_property_test.ts");
});
