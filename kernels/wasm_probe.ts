/**
 * What the WebAssembly of a runtime can do, as modules to validate.
 * @module
 */
import { ModuleWriter } from "./wasm_binary.ts";
import { BodyWriter, Graph } from "./wasm_graph.ts";
import { Lanes } from "./wasm_lanes.ts";

/** What an engine has besides the vectors of the first standard. */
export interface WasmFeatures {
  /** Relaxed vectors: a multiplication and addition in one instruction. */
  readonly fused: boolean;
}

/** A module that only engines with fused multiplication and addition accept, or one for those with vectors. */
export function wasmProbe(wanted: "fused" | "vectors"): Uint8Array<ArrayBuffer> {
  const g = new Graph(wanted === "fused"), body = new BodyWriter(1), module = new ModuleWriter();
  const l = new Lanes(g, "f64x2"), x = g.local(0, "v128", 0);
  body.push(l.madd(x, x, x));
  module.add({ parameters: ["v128"], results: ["v128"] }, [], body.bytes);
  return module.bytes();
}
