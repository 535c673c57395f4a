/**
 * The version of the package.
 * @module
 */

/** As in `package.json` and `deno.json`. */
export const version = "0.1.0";
