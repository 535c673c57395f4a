/** The tests of tests/batch_test.ts on a GPU. */
import { onGpu } from "./support/cuda.ts";

await onGpu(() => import("./batch_test.ts"));
