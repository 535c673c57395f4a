/**
 * Host memory. Arrays live in ordinary `ArrayBuffer`s, so the collector owns them: a loop that never gives anything back stays
 * bounded. Small blocks are bumped out of slabs; large ones that are given back are kept by size class and handed out again.
 * @module
 */
import { runtime } from "../../ffi/runtime.ts";
import { system } from "../../ffi/system.ts";
import { type DType, dtypeNames, dtypes, type TypedArray, typedArrays } from "../base/dtype.ts";
import { DeviceError, DisposedError, OutOfMemoryError } from "../base/errors.ts";
import type { Buffer, Device, MemoryStats } from "./device.ts";
import type { Ranges } from "./ranges.ts";

/** Every block starts at a multiple of this where addresses are known. */
const ALIGN = 64;
/** Blocks up to these sizes come out of slabs of these sizes: less than what the C library maps anew each time. */
const SMALL = 4096, SLAB = 64 << 10;
const MEDIUM = 16384, MEDIUM_SLAB = 112 << 10;
/** Slabs with nothing left in them that are kept. */
const SPARE = 4;

/** Blocks from this size on lie on huge pages: their first use takes a third of the time, and later ones miss no TLB. */
const HUGE = 4 << 20;

/** Fresh bytes between two looks at the resident set, and how large that may be before the collector is called. */
const LOOK = 128 << 20;
const RESIDENT = 512 << 20;
let resident = RESIDENT;

/**
 * Calls the collector where it lags behind: Bun's runs beside the program and falls back on a busy machine, where the others
 * collect as external memory grows. What is really in use moves the limit up, so that it is not called in vain.
 */
function relieve(): void {
  if (runtime.collect === undefined) return;
  let now = system.process.memoryUsage().rss;
  if (now > resident) {
    runtime.collect();
    now = system.process.memoryUsage().rss;
  } else if (now > resident / 2) {
    return;
  }
  resident = Math.max(RESIDENT, 1.5 * now);
}

/**
 * Fresh bytes between two collections of what is young. The collectors of Node and Bun wait for more, then mark beside the program, on
 * the core of one of its threads; and what comes back so soon need not fault again.
 */
const YOUNG = 16 << 20;

/** Who holds memory whose address is asked for. */
let holder: Set<HostMemory> | null = null;

/** From now on keeps all memory whose address is asked for in a set; null ends that. */
export function holdMemory(by: Set<HostMemory> | null): void {
  holder = by;
}

/** Memory of an engine that arrays may live in, as long as there is room. */
export interface Heap {
  readonly buffer: ArrayBuffer;
  readonly free: Ranges;
}

/** What the collector takes along with memory that was not given back by hand. */
interface Account {
  bytes: number;
  count: number;
  /** The part of a heap that the memory is; null for a buffer of its own, and when the part was given back. */
  part: { readonly free: Ranges; readonly start: number; readonly byteLength: number } | null;
  /** The slabs it is one of. */
  slabs?: Slabs;
}

/** An `ArrayBuffer`, or a part of a heap, with its typed arrays and its native address, each made once. */
export class HostMemory {
  readonly buffer: ArrayBuffer;
  /** First byte used: past what alignment skips. Typed arrays and the address start here. */
  readonly start: number;
  readonly byteLength: number;
  /** Null for memory of the user. */
  readonly account: Account | null;
  /** When it was last given back, where it is kept: a count. */
  added = 0;
  readonly #views: (TypedArray | undefined)[] = [];
  #address: number;

  constructor(buffer: ArrayBuffer, start: number, byteLength: number, account: Account | null, address = 0) {
    this.buffer = buffer;
    this.start = start;
    this.byteLength = byteLength;
    this.account = account;
    this.#address = address;
  }

  /** The memory as elements of a dtype (complex: two scalars an element). */
  view(dtype: DType): TypedArray {
    return this.viewOf(dtypes[dtype].code);
  }

  /** The same for the dtype of a code. */
  viewOf(code: number): TypedArray {
    return this.#views[code] ?? this.#makeView(code);
  }

  #makeView(code: number): TypedArray {
    const make = typedArrays[dtypeNames[code]!];
    const view = new make(this.buffer, this.start, Math.floor(this.byteLength / make.BYTES_PER_ELEMENT));
    this.#views[code] = view;
    return view;
  }

  /** The native address of `start`. The memory must stay referenced while native code uses it. */
  address(addressOf: (view: ArrayBufferView) => number): number {
    holder?.add(this);
    return this.#address ||= addressOf(this.view("uint8"));
  }
}

/** A block of host memory. */
export class HostBuffer implements Buffer {
  readonly device: Device;
  readonly byteLength: number;
  /** Bytes from the start of its memory. */
  readonly byteOffset: number;
  #memory: HostMemory | null;
  readonly #arena: Arena | null;

  constructor(device: Device, memory: HostMemory, byteOffset: number, byteLength: number, arena: Arena | null) {
    this.device = device;
    this.#memory = memory;
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
    this.#arena = arena;
  }

  /** The memory the block lies in. @throws DisposedError after release */
  get memory(): HostMemory {
    const memory = this.#memory;
    if (memory === null) throw new DisposedError("buffer: memory was used after it was given back");
    return memory;
  }

  get released(): boolean {
    return this.#memory === null;
  }

  /** The bytes of the block. */
  bytes(byteOffset = 0, byteLength: number = this.byteLength - byteOffset): Uint8Array<ArrayBuffer> {
    if (byteOffset < 0 || byteLength < 0 || byteOffset + byteLength > this.byteLength) {
      throw new DeviceError(
        `buffer: bytes ${byteOffset} to ${byteOffset + byteLength} are outside a block of ${this.byteLength}`,
      );
    }
    const { buffer, start } = this.memory;
    return new Uint8Array(buffer, start + this.byteOffset + byteOffset, byteLength);
  }

  release(): void {
    const memory = this.#memory;
    if (memory === null) throw new DisposedError("release: this memory was given back already");
    this.#memory = null;
    this.#arena?.recycle(memory, this.byteOffset, this.byteLength);
  }
}

/** Memory of the user, who may transfer it to another thread. */
class UserBuffer extends HostBuffer {
  override get memory(): HostMemory {
    const memory = super.memory;
    if (memory.buffer.detached) {
      throw new DisposedError("buffer: memory shared by copy: false was transferred to somebody else");
    }
    return memory;
  }
}

/**
 * A buffer over memory of the user (`asarray` with `copy: false`); giving it back leaves that memory alone.
 *
 * @param device the device it counts as memory of
 * @param memory the user's memory
 * @param byteOffset where it begins; a multiple of the itemsize it will be read as
 * @param byteLength its bytes
 * @returns the buffer
 */
export function hostBuffer(device: Device, memory: ArrayBuffer, byteOffset: number, byteLength: number): HostBuffer {
  return new UserBuffer(device, new HostMemory(memory, byteOffset, byteLength, null), 0, byteLength, null);
}

/** The size class of a large block: at most an eighth larger, so that blocks of nearly equal size serve one another. */
export function sizeClass(byteLength: number): number {
  const grain = Math.max(SMALL, 2 ** (Math.floor(Math.log2(byteLength)) - 3));
  return Math.ceil(byteLength / grain) * grain;
}

/** Memory that was given back, to be handed out again. */
class Kept {
  #bytes = 0;
  /** By size class, oldest first; a class stays when its list is empty. */
  readonly #bySize = new Map<number, HostMemory[]>();
  #added = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(memory: HostMemory): void {
    const size = memory.byteLength, list = this.#bySize.get(size);
    if (list === undefined) this.#bySize.set(size, [memory]);
    else list.push(memory);
    memory.added = ++this.#added;
    this.#bytes += size;
  }

  /** Memory of this class or one at most a quarter larger. */
  take(size: number): HostMemory | undefined {
    if (this.#bytes < size) return undefined;
    for (let c = size; c <= size * 1.25; c = sizeClass(c + 1)) {
      const memory = this.#bySize.get(c)?.pop();
      if (memory === undefined) continue;
      this.#bytes -= c;
      return memory;
    }
    return undefined;
  }

  /** Lets go of the oldest until at most `bytes` are kept. */
  trim(bytes: number): void {
    while (this.#bytes > bytes) {
      let oldest: HostMemory[] | null = null;
      for (const list of this.#bySize.values()) {
        if (list.length > 0 && (oldest === null || list[0]!.added < oldest[0]!.added)) oldest = list;
      }
      const memory = oldest!.shift()!;
      this.#bytes -= memory.byteLength;
      giveBack(memory.account!);
    }
  }
}

/** Slabs of one size, each cut into blocks from its start. Those that everything was given back of come again. */
class Slabs {
  readonly #bytes: number;
  #slab: HostMemory | null = null;
  #top = 0;
  #empty: HostMemory[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Bytes of slabs that are kept. */
  get cached(): number {
    return this.#bytes * this.#empty.length;
  }

  /** The slab that has room for another block. */
  slab(size: number, make: (bytes: number) => HostMemory): HostMemory {
    if (this.#slab !== null && this.#top + size <= this.#slab.byteLength) return this.#slab;
    this.#slab = null;
    this.#slab = this.#empty.pop() ?? make(this.#bytes);
    this.#top = 0;
    return this.#slab;
  }

  /** Where in that slab a block of this size lies from now on. */
  cut(size: number): number {
    const at = this.#top;
    this.#top = at + size;
    return at;
  }

  /** Takes a block back: the newest one goes back onto the slab, and so does all of one with nothing left in it. */
  give(memory: HostMemory, byteOffset: number, byteLength: number): void {
    const empty = memory.account!.count === 0;
    if (memory === this.#slab) {
      if (empty) this.#top = 0;
      else if (byteOffset + byteLength === this.#top) this.#top = byteOffset;
    } else if (empty && this.#empty.length < SPARE) this.#empty.push(memory);
  }

  trim(): void {
    this.#empty = [];
  }
}

/** Gives the part of a heap back that an account is of. */
function giveBack(account: Account): void {
  const { part } = account;
  account.part = null;
  part?.free.give(part.start, part.byteLength);
}

/** The host memory of one device. */
export class Arena {
  readonly #device: Device;
  #addressOf: ((view: ArrayBufferView) => number) | null = null;
  #huge: ((address: number, byteLength: number) => void) | null = null;
  #live = 0;
  #peak = 0;
  #count = 0;
  #limit = 256 << 20;
  #heap: Heap | null = null;
  /** Blocks given back: buffers, and parts of the heap. */
  readonly #kept = new Kept();
  readonly #keptInHeap = new Kept();
  #small = new Slabs(SLAB);
  #medium = new Slabs(MEDIUM_SLAB);
  #unseen = 0;
  /** Fresh bytes since the last collection of what is young. */
  #young = 0;
  /** Keeps the counters right for what the collector takes; holds no memory itself. */
  readonly #collected = new FinalizationRegistry<Account>((account) => {
    this.#live -= account.bytes;
    this.#count -= account.count;
    giveBack(account);
  });

  constructor(device: Device) {
    this.#device = device;
  }

  /**
   * From now on large blocks are aligned by their addresses.
   * @param huge asks the system for huge pages for memory that nobody has touched yet
   */
  align(
    addressOf: (view: ArrayBufferView) => number,
    huge: ((address: number, byteLength: number) => void) | null = null,
  ): void {
    if (this.#addressOf !== null) return;
    this.#addressOf = addressOf;
    this.#huge = huge;
    this.#newSlabs();
  }

  /** From now on memory comes out of a heap as long as that has room; null ends that. Blocks of another one that come back are not kept. */
  set heap(heap: Heap | null) {
    this.#keptInHeap.trim(0);
    this.#heap = heap;
    this.#newSlabs();
  }

  /** What was cut so far is not cut again. */
  #newSlabs(): void {
    this.#small = new Slabs(SLAB);
    this.#medium = new Slabs(MEDIUM_SLAB);
  }

  /** Bytes of given-back blocks that are kept. */
  get limit(): number {
    return this.#limit;
  }

  set limit(bytes: number) {
    this.#limit = bytes;
    this.trim(bytes);
  }

  /**
   * A block of at least `byteLength` bytes, uninitialised.
   *
   * @throws OutOfMemoryError telling what is live, after everything kept was let go
   */
  allocate(byteLength: number): HostBuffer {
    if (byteLength <= MEDIUM) return this.#cut(byteLength <= SMALL ? this.#small : this.#medium, byteLength);
    const size = sizeClass(byteLength);
    const memory = this.#keptInHeap.take(size) ?? this.#inHeap(size) ?? this.#kept.take(size) ??
      this.#fresh(size, byteLength);
    const account = memory.account!;
    account.bytes = memory.byteLength;
    account.count = 1;
    this.#add(memory.byteLength);
    return new HostBuffer(this.#device, memory, 0, memory.byteLength, this);
  }

  /** Memory that the user is to own, to be written at once: large ones on huge pages, as blocks are. */
  forUser(byteLength: number): Uint8Array<ArrayBuffer> {
    if (byteLength < HUGE || this.#huge === null) return new Uint8Array(new ArrayBuffer(byteLength));
    const bytes = new Uint8Array(this.#arrayBuffer(byteLength, byteLength));
    this.#huge(this.#addressOf!(bytes), byteLength);
    return bytes;
  }

  /** Takes a block back; called by `HostBuffer.release`. */
  recycle(memory: HostMemory, byteOffset: number, byteLength: number): void {
    const account = memory.account!;
    account.bytes -= byteLength;
    account.count--;
    this.#live -= byteLength;
    this.#count--;
    const { slabs } = account;
    if (slabs !== undefined) {
      if (slabs === this.#small || slabs === this.#medium) slabs.give(memory, byteOffset, byteLength);
      return;
    }
    const { part } = account;
    if (memory.byteLength > this.#limit || part !== null && memory.buffer !== this.#heap?.buffer) giveBack(account);
    else {
      (part === null ? this.#kept : this.#keptInHeap).add(memory);
      if (this.#cached > this.#limit) this.trim(this.#limit);
    }
  }

  /** Lets go of kept blocks, oldest first, buffers before parts of the heap, until at most `bytes` are kept. */
  trim(bytes = 0): void {
    if (this.#cached > bytes) {
      this.#small.trim();
      this.#medium.trim();
    }
    this.#kept.trim(Math.max(0, bytes - this.#keptInHeap.bytes));
    this.#keptInHeap.trim(bytes);
  }

  get #cached(): number {
    return this.#kept.bytes + this.#keptInHeap.bytes + this.#small.cached + this.#medium.cached;
  }

  /** Counters in bytes. Within one synchronous stretch `live` and `count` include what only the collector will give back. */
  stats(): MemoryStats {
    return { live: this.#live, peak: this.#peak, cached: this.#cached, count: this.#count };
  }

  #add(bytes: number): void {
    this.#count++;
    this.#live += bytes;
    if (this.#live > this.#peak) this.#peak = this.#live;
  }

  #cut(slabs: Slabs, byteLength: number): HostBuffer {
    const size = Math.max(ALIGN, Math.ceil(byteLength / ALIGN) * ALIGN);
    const slab = slabs.slab(size, this.#makeSlab);
    const account = slab.account!;
    account.slabs = slabs;
    account.bytes += size;
    account.count++;
    this.#add(size);
    return new HostBuffer(this.#device, slab, slabs.cut(size), size, this);
  }

  readonly #makeSlab = (bytes: number): HostMemory => this.#inHeap(bytes) ?? this.#fresh(bytes, bytes);

  /** A part of the heap; undefined where there is none, or no room. */
  #inHeap(byteLength: number): HostMemory | undefined {
    if (this.#heap === null) return undefined;
    const { buffer, free } = this.#heap;
    let start = free.take(byteLength);
    if (start < 0 && this.#keptInHeap.bytes > 0) {
      this.#keptInHeap.trim(0);
      start = free.take(byteLength);
    }
    if (start < 0) return undefined;
    const account: Account = { bytes: 0, count: 0, part: { free, start, byteLength } };
    const memory = new HostMemory(buffer, start, byteLength, account);
    this.#collected.register(memory, account);
    return memory;
  }

  #fresh(size: number, asked: number): HostMemory {
    this.#unseen += size;
    if (this.#unseen > LOOK) {
      this.#unseen = 0;
      relieve();
    }
    if (size >= (runtime.collectFrom ?? 0)) this.#young += size;
    if (this.#young > YOUNG) {
      this.#young = 0;
      runtime.collectYoung?.();
    }
    const addressOf = this.#addressOf;
    const huge = this.#huge !== null && size >= HUGE;
    const buffer = this.#arrayBuffer(addressOf === null ? size : size + ALIGN, asked);
    let start = 0, address = 0;
    if (addressOf !== null) {
      address = addressOf(new Uint8Array(buffer));
      start = (ALIGN - address % ALIGN) % ALIGN;
      address += start;
      if (huge) this.#huge!(address, size);
    }
    const account: Account = { bytes: 0, count: 0, part: null };
    this.#collected.register(buffer, account);
    return new HostMemory(buffer, start, size, account, address);
  }

  #arrayBuffer(byteLength: number, asked: number): ArrayBuffer {
    try {
      return runtime.allocate(byteLength);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    this.trim();
    try {
      return runtime.allocate(byteLength);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const { live, count } = this.stats();
      throw new OutOfMemoryError(
        `allocate: ${this.#device.name} has no memory for ${asked} bytes; ${live} bytes are live in ${count} blocks`,
        { cause: error },
      );
    }
  }
}
