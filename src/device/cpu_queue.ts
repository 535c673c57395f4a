/**
 * Long work of the CPU that a reader awaits: kept in order and done while the event loop goes on.
 *
 * Only what is submitted under `defer` waits; anything else that touches the device first finishes what waits, so memory is used in
 * the order of submission and may be given back as soon as its last user is submitted. What compiled code or a library does is
 * sent to the thread for native calls (native_thread.ts). The rest, and all of it where there is no such thread, is done slice by slice
 * between turns of the event loop: maps are cut along their loops, products along the axes of their result; what cannot be cut without
 * changing its rounding (sorts, scatters, sums to few numbers) runs in one piece.
 * @module
 */
import { system } from "../../ffi/system.ts";
import { cost } from "../../kernels/js.ts";
import type { Kernel, Routine } from "../../kernels/kernel.ts";
import { dtypes } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import { HostBuffer } from "./arena.ts";
import type { ArrayArg, Buffer, Call, Launch, VirtualArg } from "./device.ts";
import { hostOf } from "./host.ts";
import { type NativeThread, nativeThread, type Recorded, Recorder } from "./native_thread.ts";

/** Nanoseconds of JavaScript from which on what a reader asks for waits; compiled code takes a tenth of it. */
const LONG = 20e6;
/** Nanoseconds a byte takes that is written, in any code: its memory may be fresh. */
const WRITTEN = 0.2;
/** Milliseconds that a slice should take at most, and the first of some work, whose speed is a guess; after either the event loop gets a turn. */
const SLICE = 6;
const FIRST = 2;
/** Nanoseconds, in JavaScript, of a multiplication in a product and of an element in a sort. */
const PRODUCT = 1;
const SORT = 60;
/** Pieces of a reduction keep this many results, of a scan this many rows: fewer are computed in another order. */
const FEWEST_KEPT = 1024;
const FEWEST_ROWS = 8;
/**
 * Where nobody wakes the reader, and while code is made: milliseconds for which every turn of the event loop looks whether it is there;
 * from then on a timer does, once a millisecond.
 */
const EAGER = 0.5;

/** A part of a space of loops. */
interface Region {
  readonly start: readonly number[];
  readonly size: readonly number[];
}

/** Work that waits. */
interface Item {
  /** What is left, the next last. */
  readonly regions: Region[];
  /** Nanoseconds a unit of `units` takes; measured from the first slice on. */
  rate: number;
  units(region: Region): number;
  /** Loops it may be cut along, and the least product of their sizes in a piece. */
  readonly loops: number;
  readonly least: number;
  run(region: Region): void;
  /** Whether native code does all of it: undefined while that is being made. @throws where making it failed */
  native(): boolean | undefined;
  /** Whether nothing of it is done. */
  whole: boolean;
  /** What the thread has of it, and what went wrong on the way there. */
  sent: { readonly recorded: Recorded; readonly error: unknown } | null;
  readonly reads: readonly Buffer[];
  readonly writes: readonly Buffer[];
}

/** Whether native code does some work: undefined while that is being made. What cannot be cut is `urgent`: it would block the event loop. */
export type IsNative<T> = (work: T, urgent: boolean) => boolean | undefined;

const never = () => false;

type Arg = ArrayArg | VirtualArg;

/** The argument over the same memory, however long its buffer lives. */
function keep<A extends Arg>(arg: A): A {
  if (arg.buffer === null) return { ...arg };
  const { device, memory, byteOffset, byteLength } = hostOf(arg.buffer);
  return { ...arg, buffer: new HostBuffer(device, memory, byteOffset, byteLength, null) };
}

const at = (arg: Arg, start: readonly number[], strides = arg.strides): number =>
  start.reduce((offset, i, d) => offset + i * strides[d]!, arg.offset);

const buffersOf = (args: readonly Arg[]): Buffer[] => args.flatMap((arg) => arg.buffer === null ? [] : [arg.buffer]);

/** Bytes that a point of results has. */
const bytesOf = (outputs: Kernel["outputs"]): number =>
  outputs.reduce((bytes, { dtype, components }) => bytes + components * dtypes[dtype].itemsize, 0);

const whole = (size: readonly number[]): Region => ({ start: size.map(() => 0), size });

/** Two parts of a region along its largest loop that may be cut; null where none may. */
function partsOf({ start, size }: Region, loops: number, least: number): [Region, Region] | null {
  let loop = -1;
  for (let d = 0; d < loops; d++) if (size[d]! > 1 && (loop < 0 || size[d]! > size[loop]!)) loop = d;
  if (loop < 0) return null;
  // Powers of two: few shapes come up, and libraries prepare for each.
  const n = size[loop]!, half = 2 ** Math.floor(Math.log2(n - 1));
  if (sizeOf(size.slice(0, loops)) / n * Math.min(half, n - half) < least) return null;
  const part = (from: number, length: number): Region => ({
    start: start.map((s, d) => d === loop ? s + from : s),
    size: size.map((s, d) => d === loop ? length : s),
  });
  return [part(0, half), part(half, n - half)];
}

/** An array's part; its axes are the last ones of the result's, and those of length 1 are repeated. */
function partOf(arg: ArrayArg, { start, size }: Region, skip: number): ArrayArg {
  const shape = arg.shape!, lead = size.length - shape.length;
  let { offset } = arg;
  const part = shape.map((n, d) => {
    if (d === skip || n === 1) return n;
    offset += start[lead + d]! * arg.strides[d]!;
    return size[lead + d]!;
  });
  return { ...arg, shape: part, offset };
}

/** The waiting work of one device. */
export class WorkQueue {
  /** Whether launches and calls must be submitted here; kept as a field because every launch asks. */
  active = false;
  readonly #items: Item[] = [];
  /** How many of the items, which are the first ones, the thread has. */
  #sent = 0;
  readonly #thread: () => NativeThread | null | undefined;
  readonly #failed = new WeakMap<Buffer, unknown>();
  #anyFailed = false;
  #deferring = 0;
  /** Nanoseconds of what was done at once for the reader that submits. */
  #spent = 0;
  #pump: Promise<void> | null = null;

  /** @param thread where native work is sent */
  constructor(thread: () => NativeThread | null | undefined = nativeThread) {
    this.#thread = thread;
  }

  /** Whether some work is not done yet, or went wrong. */
  get waits(): boolean {
    return this.#items.length > 0 || this.#anyFailed;
  }

  /** Runs a function; long work that it submits waits. */
  defer<T>(run: () => T): T {
    if (this.#deferring++ === 0) this.#spent = 0;
    this.#update();
    try {
      return run();
    } finally {
      this.#deferring--;
      this.#update();
    }
  }

  /** A launch: at once, or waiting. */
  kernel(kernel: Kernel, launch: Launch, run: (launch: Launch) => void, native: IsNative<Launch> = never): void {
    const points = sizeOf(launch.sizes), rate = cost(kernel);
    const { kind, rank, reduced } = kernel, bytes = kind === "reduce" ? 0 : bytesOf(kernel.outputs);
    if (this.#atOnce(points * (rate + WRITTEN * bytes), launch.operands, launch.outputs)) {
      return this.#direct(() => run(launch));
    }
    const loops = kind === "scatter" ? 0 : rank - reduced;
    const least = kind === "reduce" ? FEWEST_KEPT : kind === "scan" ? FEWEST_ROWS : 1;
    const sizes = [...launch.sizes], urgent = sizeOf(sizes.slice(0, loops)) < 2 * least;
    const operands = launch.operands.map(keep), outputs = launch.outputs.map(keep), scalars = [...launch.scalars];
    const move = <A extends Arg>(arg: A, { start }: Region): A => ({ ...arg, offset: at(arg, start) });
    this.#push({
      regions: [whole(sizes)],
      rate,
      units: ({ size }) => sizeOf(size),
      loops,
      least,
      run: (region) =>
        run({
          sizes: region.size,
          operands: operands.map((arg) => move(arg, region)),
          outputs: outputs.map((arg) => move(arg, region)),
          scalars,
        }),
      native: () => native({ sizes, operands, outputs, scalars }, urgent),
      whole: true,
      sent: null,
      reads: buffersOf(launch.operands),
      writes: buffersOf(launch.outputs),
    });
  }

  /** A call of a routine: at once, or waiting. */
  routine(routine: Routine, call: Call, run: (call: Call) => void, native: IsNative<Call> = never): void {
    const shape = call.output.shape!, product = routine.name === "matmul";
    const depth = product ? call.inputs[0]!.shape!.at(-1)! : 1, rate = product ? PRODUCT * depth : SORT;
    const args = [...call.inputs, ...call.operands];
    if (this.#atOnce(sizeOf(shape) * rate, args, [call.output])) return this.#direct(() => run(call));
    const inputs = call.inputs.map(keep), operands = call.operands.map(keep);
    const output = keep(call.output), scalars = [...call.scalars];
    this.#push({
      regions: [whole([...shape])],
      rate,
      units: ({ size }) => sizeOf(size),
      loops: product ? shape.length : 0,
      least: 1,
      run: (region) =>
        run({
          inputs: product ? inputs.map((arg, i) => partOf(arg, region, arg.shape!.length - (i === 0 ? 1 : 2))) : inputs,
          output: { ...output, shape: region.size, offset: at(output, region.start) },
          operands: operands.map((arg) => ({ ...arg, offset: at(arg, region.start) })),
          scalars,
        }),
      native: () => native({ inputs, output, operands, scalars }, !product),
      whole: true,
      sent: null,
      reads: buffersOf(args),
      writes: [call.output.buffer],
    });
  }

  /** Does all that waits, now. */
  finish(): void {
    while (this.#items.length > 0) {
      if (this.#sent === 0) this.#step(false);
      else {
        this.#thread()?.wait();
        this.#retire();
      }
    }
  }

  /** Does all that waits, with turns of the event loop between slices. */
  finishAsync(): Promise<void> {
    return this.#pump ??= this.#run().finally(() => this.#pump = null);
  }

  /** @throws the error of the work that should have filled a buffer */
  check(buffer: Buffer): void {
    if (this.#anyFailed && this.#failed.has(buffer)) throw this.#failed.get(buffer);
  }

  async #run(): Promise<void> {
    // Submitting took its time already.
    if (this.#sent < this.#items.length) await turn(true);
    let waiting = performance.now();
    while (this.#items.length > 0) {
      const start = performance.now();
      this.#send();
      if (this.#retire()) waiting = performance.now();
      const next = this.#items[0];
      if (next === undefined) break;
      if (this.#sent > 0 || this.#isComing(next)) {
        const sent = this.#items[this.#sent - 1]?.sent;
        if (!sent || !await this.#thread()?.until(sent.recorded.ticket)) await turn(start - waiting < EAGER);
        continue;
      }
      do this.#step(true); while (this.#items[0]?.whole === false && performance.now() - start < SLICE / 2);
      await turn(true);
      waiting = performance.now();
    }
  }

  /** Gives to the thread what it can do of the first items. */
  #send(): void {
    const items = this.#items;
    while (this.#sent < items.length) {
      const item = items[this.#sent]!;
      // What was begun in slices is ended so.
      if (!item.whole || this.#nativeOf(item) !== true) return;
      const thread = this.#thread();
      if (thread === null || thread === undefined) return;
      this.#direct(() => item.sent = new Recorder(thread).record(() => item.run(item.regions[0]!)));
      this.#sent++;
    }
    this.#update();
  }

  /** Whether native code, or the thread for it, is being made for an item that has not begun. */
  #isComing(item: Item): boolean {
    if (!item.whole) return false;
    const native = this.#nativeOf(item);
    return native === undefined || native && this.#thread() === undefined;
  }

  /** False also where it failed: running it tells why. */
  #nativeOf(item: Item): boolean | undefined {
    try {
      return item.native();
    } catch {
      return false;
    }
  }

  /** Lets go of what the thread has finished; tells whether there was any. */
  #retire(): boolean {
    const thread = this.#thread(), before = this.#sent;
    while (this.#sent > 0) {
      const item = this.#items[0]!, { recorded, error } = item.sent!;
      const dropped = !thread;
      if (!dropped && ((thread.done - recorded.ticket) | 0) < 0) break;
      try {
        if (dropped) throw new DeviceError("data: the program ends before this is computed");
        for (const buffer of item.reads) this.check(buffer);
        if (error !== null) throw error;
        for (const check of recorded.checks) check();
      } catch (failure) {
        this.#fail(item, failure);
      }
      this.#items.shift();
      this.#sent--;
    }
    this.#update();
    return this.#sent < before;
  }

  /** What fails is told to whoever reads what it should have written. */
  #fail({ writes }: Item, error: unknown): void {
    this.#anyFailed = true;
    for (const buffer of writes) this.#failed.set(buffer, error);
  }

  /** Whether work need not wait; what waits is finished first then. */
  #atOnce(ns: number, reads: readonly Arg[], writes: readonly ArrayArg[]): boolean {
    if (this.#deferring > 0) {
      this.#spent += ns;
      if (this.#spent > LONG || this.#items.length > 0) return false;
    }
    this.finish();
    if (this.#anyFailed) { for (const buffer of buffersOf([...reads, ...writes])) this.check(buffer); }
    return true;
  }

  #push(item: Item): void {
    this.#items.push(item);
    this.#send();
    this.#update();
  }

  /** Runs with launches from inside going straight through. */
  #direct(run: () => void): void {
    this.active = false;
    try {
      run();
    } finally {
      this.#update();
    }
  }

  #update(): void {
    this.active = this.#deferring > 0 || this.#items.length > 0 || this.#anyFailed;
  }

  /** Does one slice of the first item, or what is left of it. */
  #step(inSlices: boolean): void {
    const item = this.#items[0]!, { regions, loops, least } = item;
    try {
      for (const buffer of item.reads) this.check(buffer);
      let region = regions.pop()!;
      const most = inSlices ? (item.whole ? FIRST : SLICE) : Infinity;
      while (item.rate * item.units(region) > most * 1e6) {
        const parts = partsOf(region, loops, least);
        if (parts === null) break;
        regions.push(parts[1]);
        region = parts[0];
      }
      item.whole = false;
      const start = performance.now();
      this.#direct(() => item.run(region));
      // The next slice may go a slower way: kernels are timed in two.
      item.rate = Math.max((performance.now() - start) * 1e6 / item.units(region), item.rate / 2);
    } catch (error) {
      regions.length = 0;
      this.#fail(item, error);
    }
    if (regions.length === 0) this.#items.shift();
    this.#update();
  }
}

/** A turn of the event loop. @param soon whether it is to come back at once, or after a millisecond */
export function turn(soon: boolean): Promise<void> {
  return new Promise((resolve) =>
    void (soon ? system.timers.setImmediate(resolve) : system.timers.setTimeout(resolve, 1))
  );
}
