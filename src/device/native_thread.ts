/**
 * A thread for native calls that a reader awaits (its C: kernels/preamble/queue.ts).
 *
 * While calls are recorded, whoever would make one (a compiled kernel or sort, oneDNN, OpenBLAS) gives it to the thread instead and
 * goes on; what must see its results on this thread first calls `settle`. The memory whose address was asked for is held until
 * the calls are done. Workers have no such thread: memory that a terminated worker leaves behind could not be held.
 * @module
 */
import { addressOf, native, toNumber, viewOf } from "../../ffi/mem.ts";
import { openMPAddress } from "../../ffi/openmp.ts";
import { files, platform } from "../../ffi/runtime.ts";
import { system } from "../../ffi/system.ts";
import type { Address, Library, Symbols } from "../../ffi/types.ts";
import { cQueue } from "../../kernels/preamble/queue.ts";
import { debug } from "../base/debug.ts";
import { DeviceError } from "../base/errors.ts";
import { holdMemory, type HostMemory } from "./arena.ts";
import { entryOf, librarySoon, type NativeFunction } from "./native.ts";
import { inWorker, threadsNow } from "./threads.ts";

const symbols = {
  tnp_queue_open: { parameters: ["address"], result: "address" },
  tnp_queue_push: { parameters: ["address", "address", "address", "i32"], result: "i32" },
  tnp_queue_wait: { parameters: ["address"], result: "void" },
  tnp_queue_wake: { parameters: ["address", "u32"], result: "i32" },
  tnp_queue_entry: { parameters: ["i32"], result: "address" },
  tnp_queue_close: { parameters: ["address"], result: "void" },
} as const satisfies Symbols;

/** Milliseconds after which a waiting reader looks by itself: all threads that the runtime has for waiting may be taken. */
const PATIENCE = 10;

/** What was recorded: done when the thread has finished so many calls. */
export interface Recorded {
  readonly ticket: number;
  /** Held until then. */
  readonly memory: ReadonlySet<HostMemory>;
  readonly blocks: readonly ArrayBufferView[];
  /** Run then; one throws if its call failed. */
  readonly checks: readonly (() => void)[];
}

/** The thread with its queue of calls. */
export class NativeThread {
  readonly #f: Library<typeof symbols>["symbols"];
  readonly #queue: Address;
  /** The count of finished calls, and the descriptor of the eventfd. */
  readonly #words: Int32Array;
  readonly #event = new Uint8Array(new ArrayBuffer(8));
  #woken: Promise<unknown> | null = null;
  #wakes: boolean;
  readonly #entries: { cblas?: number; dnnl?: number } = {};
  #pushed = 0;
  #done = 0;
  #closed = false;

  /** @throws DeviceError where the system gives no thread */
  constructor(library: Library<typeof symbols>) {
    this.#f = library.symbols;
    const queue = toNumber(this.#f.tnp_queue_open(native(openMPAddress("omp_set_num_threads"))));
    if (queue === 0) throw new DeviceError("tnp_queue_open: the system gives no thread");
    this.#queue = native(queue);
    this.#words = new Int32Array(viewOf(queue, 8));
    this.#wakes = this.#words[1]! >= 0;
    // A call under way writes to memory that the end of the program frees.
    system.process.on("exit", () => {
      this.#closed = true;
      this.#f.tnp_queue_close(this.#queue);
    });
  }

  /** Calls that were pushed, and that are finished. */
  get pushed(): number {
    return this.#pushed;
  }

  get done(): number {
    return this.#done += (Atomics.load(this.#words, 0) - this.#done) | 0;
  }

  /** Whether it takes no more calls, and drops what it has not begun. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Adds a call. @param block its argument, to be held until it is done */
  push(entry: number, block: ArrayBufferView): void {
    const ok = this.#f.tnp_queue_push(this.#queue, native(entry), native(addressOf(block)), threadsNow());
    if (ok === 0) throw new DeviceError("tnp_queue_push: there is no memory for a call");
    this.#pushed++;
  }

  /** Waits until all calls are finished. */
  wait(): void {
    if (!this.#closed) this.#f.tnp_queue_wait(this.#queue);
  }

  /**
   * Until so many calls are finished, as a rule: a caller looks, and comes back. The event loop goes on, and this thread sleeps.
   * False where there is no such waiting.
   */
  async until(ticket: number): Promise<boolean> {
    if (this.#closed || !this.#wakes) return false;
    if (this.#f.tnp_queue_wake(this.#queue, ticket >>> 0) === 0) return true;
    this.#woken ??= files.receive(this.#words[1]!, this.#event).catch((error: unknown) => {
      debug(
        "engines",
        () => `the thread for native calls is polled: ${error instanceof Error ? error.message : error}`,
      );
      this.#wakes = false;
    }).finally(() => this.#woken = null);
    let timer;
    const late = new Promise((resolve) => timer = system.timers.setTimeout(resolve, PATIENCE));
    await Promise.race([this.#woken, late]);
    system.timers.clearTimeout(timer);
    return true;
  }

  /** The address of the call of a library, as `push` takes it. */
  entry(library: "cblas" | "dnnl"): number {
    return this.#entries[library] ??= toNumber(this.#f.tnp_queue_entry(library === "cblas" ? 0 : 1));
  }
}

let thread: NativeThread | null | undefined;
let coming = false;

/**
 * The thread; undefined while its code is being made (beside the program, between turns of the event loop), null where there is
 * none: in workers, without a compiler, on systems other than Linux.
 */
export function nativeThread(): NativeThread | null | undefined {
  if (thread !== undefined) return thread?.closed ? null : thread;
  if (inWorker() || platform !== "linux") return thread = null;
  if (!coming) {
    coming = true;
    librarySoon({ key: null, text: () => cQueue }, symbols, "the queue of native calls").then((library) => {
      thread = library === null ? null : new NativeThread(library);
    }).catch((error: unknown) => {
      debug("engines", () => `no thread for native calls: ${error instanceof Error ? error.message : error}`);
      thread = null;
    }).finally(() => coming = false);
  }
  return thread;
}

/** Forgets that there is no thread. */
export function forgetThread(): void {
  if (thread === null) thread = undefined;
}

/** Takes the calls that are made while a function runs. */
export class Recorder {
  readonly thread: NativeThread;
  readonly #memory = new Set<HostMemory>();
  readonly #blocks: ArrayBufferView[] = [];
  readonly #checks: (() => void)[] = [];

  constructor(thread: NativeThread) {
    this.thread = thread;
  }

  /** A call of compiled code. */
  kernel(run: NativeFunction, block: ArrayBufferView): void {
    this.call(entryOf(run), block);
  }

  /** A call of the function at an address with a block. @param check throws if the call failed; run when it is done */
  call(entry: number, block: ArrayBufferView, check?: () => void): void {
    this.thread.push(entry, block);
    this.#blocks.push(block);
    if (check !== undefined) this.#checks.push(check);
  }

  /** Runs a function; what it calls is recorded, also if it throws. */
  record(run: () => void): { readonly recorded: Recorded; readonly error: unknown } {
    let error: unknown = null;
    recorder = this;
    holdMemory(this.#memory);
    try {
      run();
    } catch (e) {
      error = e;
    } finally {
      recorder = null;
      holdMemory(null);
    }
    const recorded = {
      ticket: this.thread.pushed,
      memory: this.#memory,
      blocks: this.#blocks,
      checks: this.#checks,
    };
    return { recorded, error };
  }
}

let recorder: Recorder | null = null;

/** Who takes native calls now; null where they are made at once. */
export function recording(): Recorder | null {
  return recorder;
}

/** Before JavaScript touches what recorded calls may not have finished, or gives back what they use. */
export function settle(): void {
  thread?.wait();
}
