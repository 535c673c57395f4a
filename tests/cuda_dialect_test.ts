/** Kernels made by hand and every operation of every dtype in the CUDA dialect: the tests of the other dialects. */
import { onGpu } from "./support/cuda.ts";

await onGpu(async () => {
  await import("./kernels_golden_test.ts");
  await import("./kernels_test.ts");
});
