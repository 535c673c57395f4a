/**
 * Settings of the CPU device: which engines it may use.
 * @module
 */
import { env } from "../../ffi/runtime.ts";

/**
 * How the engine of generated kernels is chosen: by cost; always JavaScript; always compiled C where there is a compiler; always
 * WebAssembly for what it can say, never C.
 */
export type Engine = "auto" | "js" | "c" | "wasm";

/** Settings of the CPU device. */
export interface CpuConfig {
  engine: Engine;
  /** Whether WebAssembly may be used. */
  wasm: boolean;
  /** Whether small graphs that come for the first time are computed without a plan, where the engine is chosen by cost. */
  interpret: boolean;
  /** Whether oneDNN and OpenBLAS may be used. */
  onednn: boolean;
  openblas: boolean;
  /** Bytes of given-back memory to keep for reuse. */
  cacheLimit: number;
}

let config: CpuConfig | undefined;

function initial(): CpuConfig {
  const engine = env("TNP_ENGINE");
  const native = engine !== "js";
  return {
    engine: engine === "js" || engine === "c" || engine === "wasm" ? engine : "auto",
    wasm: env("TNP_WASM") !== "none",
    interpret: env("TNP_INTERPRET") !== "none",
    onednn: native,
    openblas: native,
    cacheLimit: 256 << 20,
  };
}

/** The settings in force; `TNP_ENGINE` (js, c, wasm), `TNP_WASM` and `TNP_INTERPRET` (none) set the first ones: js also hides the libraries. */
export function cpuConfig(): Readonly<CpuConfig> {
  return config ??= initial();
}

/** Changes some settings; `null` goes back to those of the environment. */
export function setCpuConfig(changes: Partial<CpuConfig> | null): void {
  config = changes === null ? initial() : { ...cpuConfig(), ...changes };
}
