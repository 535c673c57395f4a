/** The tests of tests/golden_test.ts on a GPU. */
import { onGpu } from "./support/cuda.ts";

await onGpu(() => import("./golden_test.ts"));
