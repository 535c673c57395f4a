/** Node's modules that are used, by name without `node:`. */
interface Builtins {
  readonly buffer: typeof import("node:buffer");
  readonly child_process: typeof import("node:child_process");
  readonly fs: typeof import("node:fs");
  readonly module: typeof import("node:module");
  readonly path: typeof import("node:path");
  readonly process: typeof import("node:process");
  readonly timers: typeof import("node:timers");
  readonly url: typeof import("node:url");
  readonly v8: typeof import("node:v8");
  readonly vm: typeof import("node:vm");
  readonly worker_threads: typeof import("node:worker_threads");
}

class System implements Builtins {
  get buffer(): Builtins["buffer"] {
    return this.#load("buffer");
  }

  get child_process(): Builtins["child_process"] {
    return this.#load("child_process");
  }

  get fs(): Builtins["fs"] {
    return this.#load("fs");
  }

  get module(): Builtins["module"] {
    return this.#load("module");
  }

  get path(): Builtins["path"] {
    return this.#load("path");
  }

  get process(): Builtins["process"] {
    return this.#load("process");
  }

  get timers(): Builtins["timers"] {
    return this.#load("timers");
  }

  get url(): Builtins["url"] {
    return this.#load("url");
  }

  get v8(): Builtins["v8"] {
    return this.#load("v8");
  }

  get vm(): Builtins["vm"] {
    return this.#load("vm");
  }

  get worker_threads(): Builtins["worker_threads"] {
    return this.#load("worker_threads");
  }

  #load<K extends keyof Builtins>(name: K): Builtins[K] {
    const { process } = globalThis as unknown as {
      readonly process: { getBuiltinModule(name: string): Builtins[K] };
    };
    const value = process.getBuiltinModule(`node:${name}`);
    Object.defineProperty(this, name, { value });
    return value;
  }
}

/**
 * Node's modules, which Deno and Bun have too. Each is loaded when it is first asked for: imports of all these cost 30 ms at the
 * start of every program in Deno and 10 ms in the others, and small work needs none.
 */
export const system: System = new System();
