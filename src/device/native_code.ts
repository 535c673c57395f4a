/**
 * Compiled code that comes when it pays (ski-rental): JavaScript runs first and its estimated time is added up. Soon the
 * compiler is started beside the program; only where a single launch would take longer than compiling does the caller wait, and never
 * longer than JavaScript takes for what it has done and is about to do: a compiler may be slower than it was thought to be.
 * @module
 */
import { observable } from "./compiler.ts";
import { cpuConfig } from "./config.ts";
import {
  compileCost,
  makeSource,
  type Making,
  type NativeFunction,
  nativeSource,
  nativeSourceSoon,
  waitedFor,
} from "./native.ts";
import type { Source } from "./texts.ts";

/** From this much JavaScript time on it pays to look for the code on disk, in nanoseconds. */
const LOOK = 1e6;
/** The part of a compile's time that JavaScript has to have cost before the compiler is started beside the program. */
const START = 0.25;
/** JavaScript time between two questions whether the compiler is done. */
const ASK = 2e6;

/** JavaScript that would keep the event loop waiting for so long is not run where code can be had instead. */
const BLOCKING = 15e6;

/** One source that is compiled when that pays. */
export class NativeCode {
  readonly #name: string;
  readonly #source: Source;
  #function: NativeFunction | null = null;
  #making: Making | null | undefined;
  /** Nanoseconds that JavaScript took so far, estimated. */
  #spent = 0;
  /** At which of these something is to be done next. */
  #next = LOOK;
  #looked = false;
  #refused = false;
  #coming = false;
  #failure: unknown = null;

  /** @param name what it is, for warnings */
  constructor(name: string, source: Source) {
    this.#name = name;
    this.#source = source;
  }

  /**
   * The compiled code, where it is there or is worth waiting for.
   * @param ns what JavaScript takes for what is to be done, in nanoseconds; added to the bill where there is no code
   */
  get(ns: number): NativeFunction | null {
    if (this.#function !== null || this.#refused) return this.#function;
    const { engine } = cpuConfig();
    if (engine === "js") return null;
    this.#spent += ns;
    if (engine !== "c" && ns < compileCost(this.#source) && this.#spent < this.#next) return null;
    return this.#find(engine === "c" || ns >= compileCost(this.#source));
  }

  /**
   * The same for work that a reader awaits: what is worth compiling is compiled while the event loop goes on, and is undefined until then.
   * @param urgent whether JavaScript could not be cut into slices, so that it would block the event loop
   * @throws what went wrong meanwhile
   */
  getSoon(ns: number, urgent: boolean): NativeFunction | null | undefined {
    if (this.#function !== null || this.#refused) return this.#function;
    if (this.#failure !== null) throw this.#failure;
    const { engine } = cpuConfig();
    if (engine === "js" || this.#coming) return engine === "js" ? null : undefined;
    if (!this.#looked && this.#look() !== null) return this.#function;
    if (engine !== "c" && ns < (urgent ? BLOCKING : compileCost(this.#source))) return null;
    this.#coming = true;
    nativeSourceSoon(this.#source, this.#name).then((made) => {
      this.#function ??= made;
      this.#refused = this.#function === null;
    }).catch((error: unknown) => this.#failure = error).finally(() => this.#coming = false);
    return undefined;
  }

  /** Whether the code is there or on disk. */
  onDisk(): boolean {
    const { engine } = cpuConfig();
    if (engine === "js" || engine === "wasm") return false;
    if (this.#function === null && !this.#looked && !this.#refused) this.#look();
    return this.#function !== null;
  }

  /** Looks for the code on disk, once. */
  #look(): NativeFunction | null {
    this.#looked = true;
    this.#next = START * compileCost(this.#source);
    return this.#function = nativeSource(this.#source, false, this.#name);
  }

  /** @param now whether the launch at hand pays for a compile */
  #find(now: boolean): NativeFunction | null {
    const made = this.#make(now);
    if (made === undefined) return null;
    this.#function = made;
    this.#refused = made === null;
    return made;
  }

  /** Undefined where it is not there yet. */
  #make(now: boolean): NativeFunction | null | undefined {
    if (cpuConfig().engine === "c") return nativeSource(this.#source, true, this.#name);
    if (!this.#looked && (this.#look() !== null || !now)) return this.#function ?? undefined;
    if (!observable && (now || this.#spent > compileCost(this.#source))) {
      return nativeSource(this.#source, true, this.#name);
    }
    const patience = now ? this.#spent / 1e6 : 0, end = performance.now() + patience;
    const left = () => Math.max(0, end - performance.now());
    this.#making ??= makeSource(this.#source, this.#name, left());
    const made = this.#making === null ? null : this.#making?.get(left());
    if (made !== undefined) this.#making = undefined;
    else if (now) waitedFor(patience, this.#source);
    this.#next = this.#spent + ASK;
    return made;
  }
}
