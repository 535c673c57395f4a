/**
 * The device that runs nothing: it counts what a program would launch and how many bytes it would need.
 * @module
 */
import type { Kernel, Routine } from "../../kernels/kernel.ts";
import { DisposedError } from "../base/errors.ts";
import type { Buffer, Callable, Device, Executable, MemoryStats, Traits } from "./device.ts";

/** One launch that did not happen. */
export interface NullLaunch {
  /** The kernel's kind, or the routine's name. */
  readonly kind: string;
  /** The kernel's or routine's comment. */
  readonly comment: string;
  readonly key: string;
  /** Points of the iteration space, or elements of a routine's output. */
  readonly points: number;
}

class NullBuffer implements Buffer {
  readonly device: NullDevice;
  readonly byteLength: number;
  #released = false;

  constructor(device: NullDevice, byteLength: number) {
    this.device = device;
    this.byteLength = byteLength;
  }

  get released(): boolean {
    return this.#released;
  }

  release(): void {
    if (this.#released) throw new DisposedError("release: this memory was given back already");
    this.#released = true;
    this.device.free(this.byteLength);
  }
}

/** Device `NULL:0`. Every array read from it is zeros. */
export class NullDevice implements Device {
  readonly name = "NULL:0";
  readonly type = "NULL";
  readonly traits: Traits = { shortRow: 32, recompute: 16, dots: true };
  /** Every launch and routine call since `reset`, in order. */
  launches: NullLaunch[] = [];
  /** Bytes allocated since `reset`, in all. */
  bytes = 0;
  /** Bytes written from the host since `reset`. */
  written = 0;
  #live = 0;
  #peak = 0;
  #count = 0;

  /** Comments of what was launched, in order. */
  get kernels(): string[] {
    return this.launches.map((launch) => launch.comment);
  }

  /** How many launches there were of each kind of kernel and each routine. */
  get counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind } of this.launches) counts[kind] = (counts[kind] ?? 0) + 1;
    return counts;
  }

  /** Forgets launches and bytes; the peak becomes what is live. */
  reset(): void {
    this.launches = [];
    this.bytes = 0;
    this.written = 0;
    this.#peak = this.#live;
  }

  allocate(byteLength: number): Buffer {
    this.bytes += byteLength;
    this.#live += byteLength;
    this.#count++;
    if (this.#live > this.#peak) this.#peak = this.#live;
    return new NullBuffer(this, byteLength);
  }

  /** Counts a block as given back. */
  free(byteLength: number): void {
    this.#live -= byteLength;
    this.#count--;
  }

  kernel(kernel: Kernel): Executable {
    const { kind, comment, key } = kernel;
    return ({ sizes, operands, outputs }) => {
      for (const { buffer } of operands) if (buffer !== null) use(buffer);
      for (const { buffer } of outputs) use(buffer);
      this.launches.push({ kind, comment, key, points: sizes.reduce((a, b) => a * b, 1) });
    };
  }

  routine(routine: Routine): Callable {
    const { name, comment, key } = routine;
    return ({ inputs, output, operands }) => {
      for (const { buffer } of [...inputs, output, ...operands]) if (buffer !== null) use(buffer);
      this.launches.push({ kind: name, comment, key, points: (output.shape ?? []).reduce((a, b) => a * b, 1) });
    };
  }

  write(buffer: Buffer, _byteOffset: number, bytes: Uint8Array): void {
    use(buffer);
    this.written += bytes.byteLength;
  }

  read(buffer: Buffer, _byteOffset: number, byteLength: number): Uint8Array<ArrayBuffer> {
    use(buffer);
    return new Uint8Array(new ArrayBuffer(byteLength));
  }

  readAsync(buffer: Buffer, byteOffset: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve(this.read(buffer, byteOffset, byteLength));
  }

  synchronize(): void {}

  memoryStats(): MemoryStats {
    return { live: this.#live, peak: this.#peak, cached: 0, count: this.#count };
  }
}

function use(buffer: Buffer): void {
  if (buffer.released) throw new DisposedError("buffer: memory was used after it was given back");
}

/** The one null device. */
export const nullDevice: NullDevice = new NullDevice();
