/** The tests of tests/gradient_test.ts on a GPU. */
import { onGpu } from "./support/cuda.ts";

await onGpu(() => import("./gradient_test.ts"));
