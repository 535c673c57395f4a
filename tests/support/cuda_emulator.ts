/** The emulator's functions beyond CUDA. */
import { cstring, readCString } from "../../ffi/mem.ts";
import { openFile } from "../../ffi/open.ts";
import type { Address } from "../../ffi/types.ts";

const symbols = {
  cuemuFail: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cuemuCalls: { parameters: ["buffer"], result: "i32" },
  cuemuLive: { parameters: ["buffer"], result: "i32" },
  cuemuKind: { parameters: ["i32"], result: "address" },
  cuemuBlocks: { parameters: [], result: "i32" },
  cuemuArgumentBytes: { parameters: ["address"], result: "i32" },
  cuemuDefer: { parameters: ["i32"], result: "void" },
  cuemuMissed: { parameters: [], result: "i32" },
  cuemuCompile: { parameters: [], result: "i32" },
  cuemuTraffic: { parameters: ["i32"], result: "void" },
  cuemuSectors: { parameters: ["i32"], result: "i32" },
} as const;

/** What the emulator tells and does beyond CUDA. */
export interface Emulator {
  /** Makes the nth call from now on of a function fail with a status; nth 0 takes it back. Tells how often it was called. */
  fail(name: string, nth: number, code: number): number;
  /** How often a function was called. */
  calls(name: string): number;
  /** How many handles of a kind are alive. */
  live(kind: string): number;
  /** All kinds of handles, with how many are alive. */
  kinds(): [kind: string, count: number][];
  /** Blocks of memory that were not given back, on the device and page-locked ones. */
  blocks(): number;
  /** The size of what a kernel takes, in bytes. */
  argumentBytes(fn: Address): number;
  /** Puts compiling off: new kernels are collected and their launches skipped; or ends that. `fast` is for kernels that run long. */
  defer(on: boolean, fast?: boolean): void;
  /** How many launches were skipped since this was asked last. */
  missed(): number;
  /** Compiles what was collected, many kernels at once; tells how many. */
  compile(): number;
  /** Counts the sectors of 32 bytes that warps read and write, from zero; or ends that. */
  traffic(on: boolean): void;
  /** Sectors that were read and written by kernels that have ended. */
  sectors(): { readonly read: number; readonly written: number };
}

/** Opens the emulator's own functions. */
export function openEmulator(path: string): Emulator {
  const { symbols: f } = openFile(path, symbols);
  const live = (kind: string) => f.cuemuLive(cstring(kind));
  return {
    kinds: () => {
      const found: [string, number][] = [];
      for (let i = 0;; i++) {
        const kind = readCString(f.cuemuKind(i));
        if (kind === "") return found;
        found.push([kind, live(kind)]);
      }
    },
    fail: (name, nth, code) => f.cuemuFail(cstring(name), nth, code),
    calls: (name) => f.cuemuCalls(cstring(name)),
    live,
    blocks: () => f.cuemuBlocks(),
    argumentBytes: (fn) => f.cuemuArgumentBytes(fn),
    defer: (on, fast = false) => f.cuemuDefer(on ? fast ? 2 : 1 : 0),
    missed: () => f.cuemuMissed(),
    compile: () => f.cuemuCompile(),
    traffic: (on) => f.cuemuTraffic(Number(on)),
    sectors: () => ({ read: f.cuemuSectors(0), written: f.cuemuSectors(1) }),
  };
}
