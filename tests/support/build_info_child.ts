/** A process of its own for tests/compiler_test.ts: what is known of the compiler. */
import { tnp } from "../../mod.ts";

console.log(JSON.stringify(tnp.config.build_info().compiler));
