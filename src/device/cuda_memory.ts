/**
 * Memory of one GPU: blocks that are recycled in the order of its stream. The driver's pools do it where it has them, else free
 * lists by size.
 * @module
 */
import { type CudaDriver, poolAttribute, status } from "../../ffi/cuda.ts";
import type { NativeError } from "../../ffi/errors.ts";
import { native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import { DisposedError, OutOfMemoryError } from "../base/errors.ts";
import type { Buffer, Device, MemoryStats } from "./device.ts";

/** What a buffer leaves behind when it is given back or collected. */
export interface Block {
  address: number;
  readonly byteLength: number;
  readonly home?: Home | undefined;
}

/** Where blocks of one use come from and go back to, before all other memory. */
export interface Home {
  /** The address of a block of this size. */
  take(byteLength: number): number | undefined;
  /** Whether it wants a block back. */
  keep(address: number, byteLength: number): boolean;
}

/** Takes the blocks of released buffers back. */
interface BlockOwner {
  free(buffer: CudaBuffer): void;
}

/** A block of device memory. */
export class CudaBuffer implements Buffer {
  readonly device: Device;
  readonly block: Block;
  readonly #memory: BlockOwner;
  /** Reads in flight: the block is given back after the last of them. */
  #pins = 0;
  #released = false;

  constructor(device: Device, memory: BlockOwner, block: Block) {
    this.device = device;
    this.#memory = memory;
    this.block = block;
  }

  get byteLength(): number {
    return this.block.byteLength;
  }

  get released(): boolean {
    return this.#released;
  }

  /** The device address. @throws DisposedError after `release` */
  get address(): number {
    if (this.#released) throw new DisposedError("buffer: memory was used after it was given back");
    return this.block.address;
  }

  release(): void {
    if (this.#released) throw new DisposedError("release: this memory was given back already");
    this.#released = true;
    if (this.#pins === 0) this.#memory.free(this);
  }

  /** Keeps the block until `unpin`, also when it is released. */
  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    if (--this.#pins === 0 && this.#released) this.#memory.free(this);
  }
}

/** Blocks come in multiples of this. */
const GRAIN = 512;
const LARGE = 1 << 20;
const LARGE_GRAIN = 2 << 20;

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;

/** The memory of one device. */
export class CudaMemory {
  readonly #device: Device;
  readonly #driver: CudaDriver;
  readonly #stream: Address;
  /** The driver's pool; null where blocks are kept here. */
  readonly #pool: Address | null;
  readonly #kept = new Map<number, number[]>();
  #keptBytes = 0;
  /** Addresses that the driver would not take back when it was asked to. */
  #stuck: number[] = [];
  /** Called with the error of a block that could not be given back. */
  readonly #failed: (error: NativeError) => void;
  readonly #collected: FinalizationRegistry<Block>;
  readonly #blocks = new Set<Block>();
  /** Whether the stream is gone: blocks that are given back, or collected, afterwards went with the device. */
  #closed = false;
  /** Called before the memory is trimmed: gives back what is kept for speed alone. */
  readonly #reclaim: () => void;
  /** Bytes that are kept so. */
  #claimed = 0;
  #live = 0;
  #peak = 0;
  #count = 0;

  constructor(
    device: Device,
    driver: CudaDriver,
    stream: Address,
    pool: Address | null,
    failed: (error: NativeError) => void,
    reclaim: () => void,
  ) {
    this.#device = device;
    this.#driver = driver;
    this.#stream = stream;
    this.#pool = pool;
    this.#failed = failed;
    this.#reclaim = reclaim;
    this.#collected = new FinalizationRegistry((block) => this.#giveBack(block));
    // The pool keeps what is given back, for the next to ask.
    if (pool !== null) driver.setPoolAttribute(pool, poolAttribute.releaseThreshold, 0xffffffffffffffffn);
  }

  /** @throws OutOfMemoryError */
  allocate(byteLength: number, home?: Home): CudaBuffer {
    const kept = home?.take(byteLength);
    if (kept !== undefined) this.#claimed -= byteLength;
    const address = kept ?? (byteLength === 0 ? 0 : this.#take(byteLength));
    const block = { address, byteLength, home };
    this.#blocks.add(block);
    const buffer = new CudaBuffer(this.#device, this, block);
    this.#live += byteLength;
    this.#count++;
    if (this.#live > this.#peak) this.#peak = this.#live;
    this.#collected.register(buffer, block, buffer);
    return buffer;
  }

  /** Gives a block back in stream order. */
  free(buffer: CudaBuffer): void {
    this.#collected.unregister(buffer);
    this.#giveBack(buffer.block);
  }

  /** The address of a block that is no array and counts as cached. @throws OutOfMemoryError */
  claim(byteLength: number): number {
    if (byteLength === 0) return 0;
    const address = this.#take(byteLength);
    this.#claimed += byteLength;
    return address;
  }

  /** Gives a claimed block back in stream order. */
  unclaim(address: number, byteLength: number): void {
    if (address === 0) return;
    this.#claimed -= byteLength;
    this.#recycle(address, byteLength);
  }

  /** Gives everything that is not in use back to the driver. */
  trim(): void {
    const { f } = this.#driver;
    this.#driver.check("cuStreamSynchronize", f.cuStreamSynchronize(this.#stream));
    for (const address of this.#stuck.splice(0)) this.#free(address);
    if (this.#pool !== null) {
      this.#driver.check("cuMemPoolTrimTo", f.cuMemPoolTrimTo(this.#pool, native(0)));
      return;
    }
    for (const [size, addresses] of this.#kept) {
      for (let address = addresses.pop(); address !== undefined; address = addresses.pop()) {
        this.#keptBytes -= size;
        this.#driver.check("cuMemFree_v2", f.cuMemFree_v2(native(address)));
      }
    }
  }

  /** Gives everything back, what is in use as well: arrays that are let go later give back nothing. */
  close(): void {
    for (const block of this.#blocks) this.#giveBack(block);
    this.#closed = true;
    this.trim();
  }

  stats(): MemoryStats {
    let cached = this.#keptBytes;
    if (this.#pool !== null) {
      const reserved = this.#driver.poolAttribute(this.#pool, poolAttribute.reserved);
      cached = Math.max(0, reserved - this.#driver.poolAttribute(this.#pool, poolAttribute.used));
    }
    return { live: this.#live, peak: this.#peak, cached: cached + this.#claimed, count: this.#count };
  }

  #take(byteLength: number): number {
    const size = this.#sizeOf(byteLength);
    const kept = this.#kept.get(size)?.pop();
    if (kept !== undefined) {
      this.#keptBytes -= size;
      return kept;
    }
    let got = this.#driver.allocate(size, this.#pool === null ? null : this.#stream);
    if ("address" in got) return got.address;
    if (got.code === status.outOfMemory) {
      this.#reclaim();
      this.trim();
      got = this.#driver.allocate(size, this.#pool === null ? null : this.#stream);
      if ("address" in got) return got.address;
    }
    const fn = this.#pool === null ? "cuMemAlloc_v2" : "cuMemAllocAsync";
    const error = this.#driver.error(fn, got.code);
    if (got.code !== status.outOfMemory) throw error;
    const { free, total } = this.#driver.memoryInfo();
    throw new OutOfMemoryError(
      `allocate: ${this.#device.name} has no ${megabytes(byteLength)} left: ${
        megabytes(this.#live)
      } are live in ${this.#count}` +
        ` arrays (peak ${megabytes(this.#peak)}), ${megabytes(free)} of ${
          megabytes(total)
        } are free; dispose() what is not ` +
        `needed, or compute inside tnp.scope`,
      { cause: error },
    );
  }

  #giveBack(block: Block): void {
    if (this.#closed) return;
    const { address, byteLength, home } = block;
    this.#blocks.delete(block);
    this.#live -= byteLength;
    this.#count--;
    if (address === 0) return;
    block.address = 0;
    if (home?.keep(address, byteLength) === true) this.#claimed += byteLength;
    else this.#recycle(address, byteLength);
  }

  #recycle(address: number, byteLength: number): void {
    if (this.#pool !== null) return this.#free(address);
    // One stream: what uses the block next comes after what used it last.
    const size = this.#sizeOf(byteLength);
    const list = this.#kept.get(size);
    if (list === undefined) this.#kept.set(size, [address]);
    else list.push(address);
    this.#keptBytes += size;
  }

  #free(address: number): void {
    const code = this.#driver.f.cuMemFreeAsync(native(address), this.#stream);
    if (code === 0) return;
    this.#stuck.push(address);
    this.#failed(this.#driver.error("cuMemFreeAsync", code));
  }

  #sizeOf(byteLength: number): number {
    const grain = byteLength > LARGE ? LARGE_GRAIN : GRAIN;
    return Math.ceil(byteLength / grain) * grain;
  }
}
