/**
 * Copies between host and GPU: small ones straight from and to JavaScript's memory, large ones through page-locked blocks, so that copying
 * here and over the bus overlap and nothing waits that need not.
 * @module
 */
import type { CudaDriver } from "../../ffi/cuda.ts";
import { addressOf, native, viewOf } from "../../ffi/mem.ts";
import { system } from "../../ffi/system.ts";
import type { Address } from "../../ffi/types.ts";

/** Bytes up to which the driver's own staging does. */
const SMALL = 64 << 10;
/** Bytes of a page-locked block, and how many idle ones are kept. */
const CHUNK = 4 << 20;
const IDLE = 8;

/** A page-locked block with the event of its last copy. */
interface Pinned {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly event: Address;
}

const soon = () => new Promise<void>((resolve) => system.timers.setImmediate(() => resolve()));
const later = (ms: number) => new Promise<void>((resolve) => system.timers.setTimeout(() => resolve(), ms));

/** The copies of one device, on its stream. */
export class Transfers {
  readonly #driver: CudaDriver;
  readonly #stream: Address;
  #idle: Pinned[] = [];
  /** Blocks of writes whose copies may not be done, oldest first. */
  #writing: Pinned[] = [];

  constructor(driver: CudaDriver, stream: Address) {
    this.#driver = driver;
    this.#stream = stream;
  }

  /** Copies host bytes to device memory, after earlier work; they may change afterwards. */
  write(to: number, bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    if (bytes.byteLength <= SMALL) {
      this.#enqueueWrite(to, addressOf(bytes), bytes.byteLength);
      return;
    }
    for (let at = 0; at < bytes.byteLength; at += CHUNK) {
      const part = bytes.subarray(at, Math.min(at + CHUNK, bytes.byteLength));
      const block = this.#writable();
      try {
        block.bytes.set(part);
        this.#enqueueWrite(to + at, block.address, part.byteLength);
        this.#record(block);
      } catch (error) {
        this.#idle.push(block);
        throw error;
      }
      this.#writing.push(block);
    }
  }

  /** Copies device memory to the host after earlier work; waits. */
  read(from: number, byteLength: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(new ArrayBuffer(byteLength));
    if (byteLength === 0) return out;
    if (byteLength <= SMALL) {
      this.#enqueueRead(addressOf(out), from, byteLength);
      this.#driver.check("cuStreamSynchronize", this.#driver.f.cuStreamSynchronize(this.#stream));
      return out;
    }
    for (const chunk of this.#chunks(from, out)) {
      this.#driver.check("cuEventSynchronize", this.#driver.f.cuEventSynchronize(chunk.block.event));
      chunk.take();
    }
    return out;
  }

  /** The same without blocking the event loop. */
  async readAsync(from: number, byteLength: number, resume: () => void): Promise<Uint8Array<ArrayBuffer>> {
    const out = new Uint8Array(new ArrayBuffer(byteLength));
    if (byteLength === 0) return out;
    for (const chunk of this.#chunks(from, out)) {
      for (let polls = 0; !this.#driver.eventDone(chunk.block.event); polls++) {
        // Short work ends within a few turns of the event loop; the rest is asked after more and more rarely.
        await (polls < 20 ? soon() : later(Math.min(4, 1 + (polls - 20) / 16)));
        resume();
      }
      chunk.take();
    }
    return out;
  }

  /** Gives everything back. Work must be done. */
  close(): void {
    let first: unknown = null;
    for (const block of [...this.#idle.splice(0), ...this.#writing.splice(0)]) {
      try {
        this.#discard(block);
      } catch (error) {
        first ??= error;
      }
    }
    if (first !== null) throw first;
  }

  /** Reads in pieces, one ahead of the one that is taken. */
  *#chunks(from: number, out: Uint8Array): Generator<{ readonly block: Pinned; take(): void }> {
    const ahead: { at: number; size: number; block: Pinned }[] = [];
    let at = 0;
    try {
      while (at < out.byteLength || ahead.length > 0) {
        while (at < out.byteLength && ahead.length < 2) {
          const size = Math.min(CHUNK, out.byteLength - at);
          const block = this.#pinned();
          ahead.push({ at, size, block });
          this.#enqueueRead(block.address, from + at, size);
          this.#record(block);
          at += size;
        }
        const { at: place, size, block } = ahead[0]!;
        yield { block, take: () => out.set(block.bytes.subarray(0, size), place) };
        ahead.shift();
        this.#putBack(block);
      }
    } finally {
      // Copies may be under way still: the blocks wait behind those of writes.
      for (const { block } of ahead) this.#writing.push(block);
    }
  }

  #enqueueWrite(to: number, host: number, size: number): void {
    const code = this.#driver.f.cuMemcpyHtoDAsync_v2(native(to), native(host), native(size), this.#stream);
    this.#driver.check("cuMemcpyHtoDAsync_v2", code);
  }

  #enqueueRead(host: number, from: number, size: number): void {
    const code = this.#driver.f.cuMemcpyDtoHAsync_v2(native(host), native(from), native(size), this.#stream);
    this.#driver.check("cuMemcpyDtoHAsync_v2", code);
  }

  #record(block: Pinned): void {
    this.#driver.check("cuEventRecord", this.#driver.f.cuEventRecord(block.event, this.#stream));
  }

  /** A block to write through: an idle one, a new one, or the oldest one when its copy is done. */
  #writable(): Pinned {
    while (this.#writing.length > 0 && this.#driver.eventDone(this.#writing[0]!.event)) {
      this.#putBack(this.#writing.shift()!);
    }
    if (this.#idle.length > 0 || this.#writing.length < IDLE / 2) return this.#pinned();
    const block = this.#writing[0]!;
    this.#driver.check("cuEventSynchronize", this.#driver.f.cuEventSynchronize(block.event));
    return this.#writing.shift()!;
  }

  #pinned(): Pinned {
    const block = this.#idle.pop();
    if (block !== undefined) return block;
    const address = this.#driver.allocateHost(CHUNK);
    try {
      return { address, bytes: new Uint8Array(viewOf(native(address), CHUNK)), event: this.#driver.createEvent() };
    } catch (error) {
      this.#driver.f.cuMemFreeHost(native(address));
      throw error;
    }
  }

  #putBack(block: Pinned): void {
    this.#idle.push(block);
    while (this.#idle.length > IDLE) this.#discard(this.#idle.shift()!);
  }

  #discard({ address, event }: Pinned): void {
    const { f } = this.#driver;
    const destroyed = f.cuEventDestroy_v2(event), freed = f.cuMemFreeHost(native(address));
    this.#driver.check("cuEventDestroy_v2", destroyed);
    this.#driver.check("cuMemFreeHost", freed);
  }
}
