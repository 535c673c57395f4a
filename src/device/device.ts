/**
 * What a device is: memory, kernels, routines, and an order in which they happen. The graph's plans run on any of them.
 *
 * Work is enqueued by `launch` and `call` in program order on the device's stream; `read` waits for what it needs. A device
 * that computes at once (the CPU) is a stream that is always idle.
 * @module
 */
import type { DType, TypedArray } from "../base/dtype.ts";
import type { Kernel, Routine } from "../../kernels/kernel.ts";

/** Elements in the host's memory: those of a buffer, among others. */
export interface HostElements {
  /** Memory as the dtype's typed array (complex: two numbers an element). */
  readonly data: TypedArray;
  /** The buffer's first element in it, counted in elements. */
  readonly first: number;
}

/** A block of device memory. The holder of the last reference gives it back with `release`, or leaves it to the collector. */
export interface Buffer {
  readonly device: Device;
  /** Usable bytes. */
  readonly byteLength: number;
  /** Whether it was given back; any use after that is an error. */
  readonly released: boolean;
  /** Gives the block back for reuse, in stream order. A second call is an error. */
  release(): void;
}

/** An array in a buffer: element offset and strides in elements (a complex element counts once). */
export interface ArrayArg {
  readonly buffer: Buffer;
  readonly offset: number;
  /** For a kernel: one per loop, then one per gathered or scattered axis. For a routine: one per axis. */
  readonly strides: readonly number[];
  /** Only for routines. */
  readonly shape?: readonly number[];
}

/** An operand without memory: only offsets. */
export interface VirtualArg {
  readonly buffer: null;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** One run of a kernel. */
export interface Launch {
  /** One size a loop, outermost first. No size is 0: empty work is never launched (empty reductions launch with `reduced` sizes 0). */
  readonly sizes: readonly number[];
  readonly operands: readonly (ArrayArg | VirtualArg)[];
  readonly outputs: readonly ArrayArg[];
  readonly scalars: readonly (number | bigint)[];
}

/** One run of a routine. */
export interface Call {
  readonly inputs: readonly ArrayArg[];
  readonly output: ArrayArg;
  /** Operands and scalars of the epilogue; strides over the output's axes. */
  readonly operands: readonly (ArrayArg | VirtualArg)[];
  readonly scalars: readonly (number | bigint)[];
}

/** A kernel ready to run on one device. */
export type Executable = (launch: Launch) => void;
/** A routine ready to run on one device. */
export type Callable = (call: Call) => void;

/** What `tnp.memory_stats` tells, in bytes, and the count of live blocks. */
export interface MemoryStats {
  /** Bytes that arrays hold. */
  readonly live: number;
  /** The most bytes that arrays held at once. */
  readonly peak: number;
  /** Bytes of free blocks that are kept for the next array. */
  readonly cached: number;
  /** Blocks that arrays hold. */
  readonly count: number;
}

/** Runs one piece of work again and again: all at once where the device can. */
export interface Recorder {
  /** Memory for one of the results of the next run, by number: for the same one often at the same place. @throws OutOfMemoryError */
  allocate(result: number, byteLength: number): Buffer;
  /**
   * Runs work.
   *
   * @param work enqueues kernels and routines: the same ones in the same order each time, with any arguments. What it allocates it gives back.
   *   It may be called twice
   */
  run(work: () => void): void;
  /** Gives back what is kept for the next run. */
  dispose(): void;
}

/** What pays on a device, for those who plan. */
export interface Traits {
  /** Many rows of at most so many elements are reduced side by side, each by itself. */
  readonly shortRow: number;
  /** Work per element, in plain operations, up to which a large array is computed in two kernels rather than stored. */
  readonly recompute: number;
  /** Whether products with a vector are better sums than a library's. */
  readonly dots: boolean;
}

/** A device. */
export interface Device {
  /** `CPU:0`, `GPU:0`, `NULL:0`. */
  readonly name: string;
  readonly type: "CPU" | "GPU" | "NULL";
  readonly traits: Traits;
  /** Memory for `byteLength` bytes (0 is allowed), uninitialised. @throws OutOfMemoryError */
  allocate(byteLength: number): Buffer;
  /** The executable of a kernel, from the device's cache or made now. */
  kernel(kernel: Kernel): Executable;
  /** The callable of a routine, from the device's cache or made now. */
  routine(routine: Routine): Callable;
  /** Something that runs work which comes again and again; absent where launching it costs no more than anything else. */
  recorder?(): Recorder | null;
  /** Copies host bytes into a buffer, ordered after earlier work. The bytes may change after the call. */
  write(buffer: Buffer, byteOffset: number, bytes: Uint8Array): void;
  /** Copies bytes to the host after all earlier work on the buffer; waits. */
  read(buffer: Buffer, byteOffset: number, byteLength: number): Uint8Array<ArrayBuffer>;
  /** Where a buffer's elements lie, after all earlier work on them; waits. Absent where memory is not the host's. */
  elements?(buffer: Buffer, dtype: DType): HostElements;
  /** Like `read`, without blocking the event loop. */
  readAsync(buffer: Buffer, byteOffset: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Copies from memory of another device of the same type, in the order of both, without the host; absent where there is but one. */
  copy?(to: Buffer, toOffset: number, from: Buffer, fromOffset: number, byteLength: number): void;
  /** Runs a function whose long work may wait for the next `readAsync`, which then leaves the event loop free; absent where all work does. */
  defer?<T>(run: () => T): T;
  /** Whether the host may now compute small work in the device's memory itself; absent where memory is not the host's. */
  readonly interprets?: boolean;
  /** Waits for all enqueued work. */
  synchronize(): void;
  memoryStats(): MemoryStats;
}
