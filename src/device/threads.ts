/**
 * How many threads native code uses: one OpenMP pool for compiled kernels and oneDNN, and OpenBLAS's own.
 * @module
 */
import { LibraryError } from "../../ffi/errors.ts";
import { type OpenMP, openmp } from "../../ffi/openmp.ts";
import { system } from "../../ffi/system.ts";

/** Told of every change, and at once of a change made before it listens. */
type Listener = (count: number) => void;

const listeners: Listener[] = [];
let wanted: number | null = null;
let count: number | undefined;
let alone = false;
let pool: OpenMP | null | undefined;

/** The OpenMP runtime, or null where there is none. */
function find(): OpenMP | null {
  if (pool !== undefined) return pool;
  try {
    return pool = openmp();
  } catch (error) {
    if (!(error instanceof LibraryError)) throw error;
    return pool = null;
  }
}

/** How many threads native code may use: what was set, else what OpenMP found (`OMP_NUM_THREADS`, the processors); 1 without OpenMP. */
export function threadCount(): number {
  return count ??= wanted ?? find()?.symbols.omp_get_max_threads() ?? 1;
}

/** Sets how many threads native code may use. */
export function setThreadCount(threads: number): void {
  wanted = count = threads;
  find()?.symbols.omp_set_num_threads(threads);
  for (const listener of listeners) listener(threads);
}

/** Calls a function with every count that is set, and now if one was. */
export function onThreadCount(listener: Listener): void {
  listeners.push(listener);
  if (wanted !== null) listener(wanted);
}

/** How many threads native code that is called now would use. */
export function threadsNow(): number {
  return alone ? 1 : threadCount();
}

/** Runs with one OpenMP thread. */
export function withOneThread<T>(run: () => T): T {
  const symbols = find()?.symbols;
  const threads = threadCount();
  if (symbols === undefined || threads === 1) return run();
  symbols.omp_set_num_threads(1);
  alone = true;
  try {
    return run();
  } finally {
    alone = false;
    symbols.omp_set_num_threads(threads);
  }
}

/** Whether this is a worker of JavaScript. */
export function inWorker(): boolean {
  return !system.worker_threads.isMainThread || "WorkerGlobalScope" in globalThis;
}
