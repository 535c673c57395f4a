/**
 * The NumPy API on native engines, for Deno, Bun and Node.
 *
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.linspace(0, 1, 5);
 * console.log(x.mul(2).sum().item()); // 5
 * ```
 * @module
 */
import { env } from "./ffi/runtime.ts";
import { setDebug } from "./src/base/debug.ts";
import { installNames } from "./src/numpy/expr.ts";
import * as names from "./src/tnp.ts";

export * from "./src/tnp.ts";
export * as tnp from "./src/tnp.ts";

setDebug(env("TNP_DEBUG"));
installNames(names);
