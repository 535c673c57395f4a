/**
 * When a kernel runs as WebAssembly instead of JavaScript.
 * @module
 */
import type { Kernel } from "../../kernels/kernel.ts";
import { cpuConfig } from "./config.ts";
import type { Launch } from "./device.ts";
import { WasmRunner } from "./wasm.ts";

/** Launches that JavaScript does in so many nanoseconds are not worth the copies. */
const SMALL = 5000;
/** From this part of JavaScript's time on vectors gain nothing for sure: estimates are rough. */
const GAIN = 0.8;

/**
 * Above this part, or where nothing is copied above that of no gain, launches that JavaScript does in so many nanoseconds are timed both ways, so
 * often each, and the fastest decides; so are those of what is indexed, if they take a fifth of that. On a busy machine engines may be
 * late with their better code, so this is not done without need.
 */
const CLEAR = 0.3, TIMED = 1e5, TIMED_INDEXED = 2e4, TOO_LONG = 2e7, TRIALS = 4;

/** Nanoseconds that making a module took, smoothed. */
let expected = 2e6;

/** One kernel's choice between JavaScript and WebAssembly. */
export class WasmChoice {
  readonly #kernel: Kernel;
  /** Nanoseconds a point takes in JavaScript. */
  readonly #cost: number;
  /** Undefined until it pays to compile; null if WebAssembly cannot say it, or gains nothing. */
  #runner: WasmRunner | null | undefined;
  #spent = 0;
  /** Timed launches, and the least time of each way as a part of the estimate. */
  #trials = 0;
  readonly #best = [Infinity, Infinity];

  constructor(kernel: Kernel, cost: number) {
    this.#kernel = kernel;
    this.#cost = cost;
  }

  /** The part of JavaScript's time that launches take. */
  get share(): number {
    const runner = this.#runner;
    return runner === undefined || runner === null ? 1 : Math.min(1, runner.cost / this.#cost);
  }

  /**
   * Runs a launch that JavaScript would take `ns` for; returns false where it is JavaScript's.
   *
   * @param js JavaScript's way, to be timed beside
   */
  run(launch: Launch, ns: number, js: (launch: Launch) => void): boolean {
    const { engine, wasm } = cpuConfig(), always = engine === "wasm";
    if (!wasm || engine === "js" || (!always && ns < SMALL)) return false;
    let runner = this.#runner;
    if (runner === undefined) {
      this.#spent += ns;
      if (!always && this.#spent < expected) return false;
      runner = this.#runner = this.#compile();
    }
    if (runner === null) return false;
    if (always) return runner.run(launch, true);
    const clear = runner.unsure ? 0 : runner.inPlace ? GAIN : CLEAR;
    if (this.#trials < 2 * TRIALS && runner.cost > clear * this.#cost) {
      if (runner.unsure) return ns >= TIMED_INDEXED && this.#try(runner, launch, ns, js);
      if (ns >= TIMED && ns < TOO_LONG) return this.#try(runner, launch, ns, js);
    }
    return runner.cost <= GAIN * this.#cost && runner.run(launch, false);
  }

  /** Runs a launch one way or the other in turns; in the end the slower one is dropped. */
  #try(runner: WasmRunner, launch: Launch, ns: number, js: (launch: Launch) => void): boolean {
    const way = this.#trials & 1, start = performance.now();
    if (way === 1) js(launch);
    else if (!runner.run(launch, false)) return false;
    const taken = (performance.now() - start) * 1e6 / ns;
    this.#best[way] = Math.min(this.#best[way]!, taken);
    if (++this.#trials === 2 * TRIALS) {
      const [vectors, scalars] = this.#best as [number, number];
      if (vectors > scalars) this.#runner = null;
      else runner.cost = Math.min(runner.cost, GAIN * this.#cost);
    }
    return true;
  }

  #compile(): WasmRunner | null {
    const start = performance.now();
    const runner = WasmRunner.of(this.#kernel);
    expected += ((performance.now() - start) * 1e6 - expected) / 4;
    return runner;
  }
}
