/**
 * The WebAssembly dialect: kernels as modules of 128-bit vector code over blocks of points.
 *
 * A module knows nothing of strides: whoever runs it tells where the points of each array lie in a row in the engine's memory. Arrays that do not
 * lie there so are copied to blocks at the memory's beginning and back. So one module serves all layouts.
 * @module
 */
import type { Kernel, MonoidName } from "./kernel.ts";
import { stateBase, type WasmModule } from "./wasm_layout.ts";
import { WasmMap, WasmScatter } from "./wasm_map.ts";
import { Inexpressible } from "./wasm_ops.ts";
import type { WasmFeatures } from "./wasm_probe.ts";
import { WasmColumns, WasmRows } from "./wasm_reduce.ts";
import { imports } from "./wasm_scalar.ts";
import { WasmScan } from "./wasm_scan.ts";

/** What modules import besides the memory. */
export const wasmImports: Readonly<Record<string, (x: number, y: number) => number>> = imports;

const commutative: ReadonlySet<MonoidName> = new Set(["sum", "prod", "min", "max", "any", "all", "argmin", "argmax"]);

const kinds = { map: WasmMap, scatter: WasmScatter, scan: WasmScan } as const;

/**
 * Compiles a kernel to WebAssembly.
 *
 * @returns null for what this dialect cannot say: a few operations
 */
export function compileWasm(kernel: Kernel, features: WasmFeatures = { fused: false }): WasmModule | null {
  const { kind } = kernel;
  if (kind === "reduce" && !commutative.has(kernel.reduction!.name)) return null;
  const indexed = kind === "scatter" || kernel.operands.some((o) => o.gathered > 0);
  if (kernel.wide && indexed || kernel.scalars.length > stateBase / 8) return null;
  const Text = kind !== "reduce" ? kinds[kind] : kernel.inner === "kept" ? WasmColumns : WasmRows;
  try {
    return new Text(kernel, features).module();
  } catch (error) {
    if (error instanceof Inexpressible) return null;
    throw error;
  }
}
