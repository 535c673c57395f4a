/** A process of its own for tests/openblas_test.ts: what OpenBLAS says of itself. */
import { OpenBLAS } from "../../ffi/openblas.ts";

using library = new OpenBLAS();
console.log(library.config);
