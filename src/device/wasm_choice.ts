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

  constructor(kernel: Kernel, cost: number) {
    this.#kernel = kernel;
    this.#cost = cost;
  }

  /** The part of JavaScript's time that launches take. */
  get share(): number {
    const runner = this.#runner;
    return runner === undefined || runner === null ? 1 : Math.min(1, runner.cost / this.#cost);
  }

  /** Runs a launch that JavaScript would take `ns` for; returns false where it is JavaScript's. */
  run(launch: Launch, ns: number): boolean {
    const { engine, wasm } = cpuConfig(), always = engine === "wasm";
    if (!wasm || engine === "js" || (!always && ns < SMALL)) return false;
    let runner = this.#runner;
    if (runner === undefined) {
      this.#spent += ns;
      if (!always && this.#spent < expected) return false;
      runner = this.#runner = this.#compile();
    }
    if (runner === null || (!always && runner.cost > GAIN * this.#cost)) return false;
    return runner.run(launch, always);
  }

  #compile(): WasmRunner | null {
    const start = performance.now();
    const runner = WasmRunner.of(this.#kernel);
    expected += ((performance.now() - start) * 1e6 - expected) / 4;
    return runner;
  }
}
