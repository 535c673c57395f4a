/** The emulator's functions beyond CUDA. */
import { cstring } from "../../ffi/mem.ts";
import { openFile } from "../../ffi/open.ts";

const symbols = {
  cuemuFail: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cuemuCalls: { parameters: ["buffer"], result: "i32" },
  cuemuLive: { parameters: ["buffer"], result: "i32" },
  cuemuBlocks: { parameters: [], result: "i32" },
} as const;

/** What the emulator tells and does beyond CUDA. */
export interface Emulator {
  /** Makes the nth call from now on of a function fail with a status; nth 0 takes it back. Tells how often it was called. */
  fail(name: string, nth: number, code: number): number;
  /** How often a function was called. */
  calls(name: string): number;
  /** How many handles of a kind are alive. */
  live(kind: string): number;
  /** Blocks of memory that were not given back, on the device and page-locked ones. */
  blocks(): number;
}

/** Opens the emulator's own functions. */
export function openEmulator(path: string): Emulator {
  const { symbols: f } = openFile(path, symbols);
  return {
    fail: (name, nth, code) => f.cuemuFail(cstring(name), nth, code),
    calls: (name) => f.cuemuCalls(cstring(name)),
    live: (kind) => f.cuemuLive(cstring(kind)),
    blocks: () => f.cuemuBlocks(),
  };
}
