/**
 * What the WebAssembly of a runtime can do, as modules to validate.
 * @module
 */
import { control, ModuleWriter } from "./wasm_binary.ts";
import { BodyWriter, Graph } from "./wasm_graph.ts";
import { Lanes } from "./wasm_lanes.ts";

/** What an engine has besides the vectors of the first standard. */
export interface WasmFeatures {
  /** Relaxed vectors whose multiplication and addition is one instruction. */
  readonly fused: boolean;
}

/** Whether vectors are there. */
export function hasVectors(): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(probe(false));
}

/** What the engine of this runtime has. An engine may know the fused instruction and still do two, which is slower than saying two. */
export function wasmFeatures(): WasmFeatures {
  const bytes = probe(true);
  if (!WebAssembly.validate(bytes)) return { fused: false };
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 }), x = new Float64Array(memory.buffer, 0, 2);
  const run = new WebAssembly.Instance(new WebAssembly.Module(bytes), { h: { memory } }).exports["run"] as () => void;
  x.fill(1 + 2 ** -30);
  run();
  return { fused: x[0] !== 0 };
}

/** A module that computes `x * x - 2^-29 - 1`, which is 0 if the product is rounded. */
function probe(fused: boolean): Uint8Array<ArrayBuffer> {
  const g = new Graph(fused), module = new ModuleWriter(), body = new BodyWriter(module, 0);
  const l = new Lanes(g, "f64x2"), x = g.load("v128.load", g.i32(0), 0);
  body.push(g.i32(0), l.madd(x, x, l.c(-(1 + 2 ** -29))));
  body.emit(control.store(0));
  module.add({ parameters: [], results: [] }, body.locals, body.bytes);
  return module.bytes();
}
