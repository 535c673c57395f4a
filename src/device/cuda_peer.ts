/**
 * Copies between GPUs, without the host: each is enqueued where it arrives, and events keep both streams in order.
 * @module
 */
import { type CudaDriver, status } from "../../ffi/cuda.ts";
import { native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";

/** One GPU's end of copies. */
export class PeerEnd {
  readonly #driver: CudaDriver;
  readonly #device: number;
  readonly #context: Address;
  readonly #stream: Address;
  readonly #pool: Address | null;
  /** What the other stream waits for; recorded anew for each copy. */
  #event: Address | null = null;
  /** The ends whose memory this GPU was asked to reach. */
  readonly #reached = new WeakSet<PeerEnd>();

  constructor(driver: CudaDriver, device: number, context: Address, stream: Address, pool: Address | null) {
    this.#driver = driver;
    this.#device = device;
    this.#context = context;
    this.#stream = stream;
    this.#pool = pool;
  }

  /**
   * Copies from another GPU, after all enqueued there, and before all that will be.
   *
   * @param make makes the context of an end current
   * @param to an address here; from one there
   */
  receive(other: PeerEnd, make: (end: PeerEnd) => void, to: number, from: number, byteLength: number): void {
    const driver = this.#driver, { f } = driver;
    make(other);
    const ready = other.#record();
    make(this);
    this.#reach(other);
    this.#wait(ready);
    const bytes = native(byteLength);
    const code = f.cuMemcpyPeerAsync(native(to), this.#context, native(from), other.#context, bytes, this.#stream);
    driver.check("cuMemcpyPeerAsync", code);
    try {
      const done = this.#record();
      make(other);
      other.#wait(done);
    } catch (error) {
      // Without that order the source could be given to others while it is read.
      f.cuStreamSynchronize(this.#stream);
      throw error;
    }
  }

  /** Gives the event back. */
  close(): void {
    const event = this.#event;
    this.#event = null;
    if (event !== null) this.#driver.check("cuEventDestroy_v2", this.#driver.f.cuEventDestroy_v2(event));
  }

  /** An event behind all that is enqueued here. */
  #record(): Address {
    const event = this.#event ??= this.#driver.createEvent();
    this.#driver.check("cuEventRecord", this.#driver.f.cuEventRecord(event, this.#stream));
    return event;
  }

  #wait(event: Address): void {
    this.#driver.check("cuStreamWaitEvent", this.#driver.f.cuStreamWaitEvent(this.#stream, event, 0));
  }

  /** Lets this GPU read the other's memory over the bus, where the two can; elsewhere the driver finds a way. */
  #reach(other: PeerEnd): void {
    if (this.#reached.has(other)) return;
    const driver = this.#driver;
    if (driver.canAccessPeer(this.#device, other.#device)) {
      if (other.#pool !== null) driver.allowAccess(other.#pool, this.#device);
      else {
        const code = driver.f.cuCtxEnablePeerAccess(other.#context, 0);
        if (code !== status.peerAlreadyEnabled) driver.check("cuCtxEnablePeerAccess", code);
      }
    }
    this.#reached.add(other);
  }
}
