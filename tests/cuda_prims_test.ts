/** The tests of tests/prims_test.ts on a GPU. */
import { onGpu } from "./support/cuda.ts";

await onGpu(() => import("./prims_test.ts"));
