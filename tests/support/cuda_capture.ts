/**
 * The CUDA sources of what runs on the CPU: every kernel and routine that `CPU:0` is asked for goes through the GPU's choice of variants
 * as well, on a GPU that compiles and launches nothing. Addresses are made up; offsets and strides are those of the launch.
 */
import { native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import type { Kernel, Routine } from "../../kernels/kernel.ts";
import { cpu } from "../../src/device/cpu.ts";
import { CudaKernel, type CudaProgram, type SortRows } from "../../src/device/cuda_kernel.ts";
import { CudaBuffer, type CudaMemory } from "../../src/device/cuda_memory.ts";
import { cudaRoutine, type RoutineHost } from "../../src/device/cuda_routines.ts";
import { sortRows } from "../../src/device/cuda_sorting.ts";
import type { Buffer, Callable, Executable, Launch, MemoryStats, Traits } from "../../src/device/device.ts";
import { type Engine, type Place, runJs } from "./kernels.ts";

/** Where the first block lies. */
const BASE = 1 << 20;

/** A source without its title: kernels that compute the same have one. */
export interface Captured {
  readonly text: string;
  /** What the first kernel with this text computes. */
  readonly title: string;
  /** `map`, `reduce`, `scan`, `scatter`, or the name of a routine. */
  readonly kind: string;
}

/** A GPU that only collects sources. */
class CaptureDevice implements RoutineHost {
  readonly name = "GPU:0";
  readonly type = "GPU";
  readonly traits: Traits = { shortRow: 0, recompute: 16, dots: false };
  readonly generation = 0;
  readonly maxBlocks = 4096;
  readonly cublas = null;
  readonly cublasLt = null;
  readonly tf32 = false;
  readonly sources = new Map<string, Captured>();
  /** What asks: the kind of a kernel, or a routine. */
  asking = "";
  readonly #memory = { free() {} } as unknown as CudaMemory;
  readonly #kernels = new Map<string, CudaKernel>();
  readonly #programs = new Map<string, CudaProgram>();
  readonly #blocks = new WeakMap<Buffer, CudaBuffer>();

  compile(source: string): Address {
    const end = source.indexOf("\n"), text = source.slice(end + 1);
    if (!this.sources.has(text)) this.sources.set(text, { text, title: source.slice(0, end), kind: this.asking });
    return native(1);
  }

  launch(): void {}

  allocate(byteLength: number): CudaBuffer {
    return new CudaBuffer(this, this.#memory, { address: BASE, byteLength });
  }

  reserve(byteLength: number): CudaBuffer {
    return this.allocate(byteLength);
  }

  stage(bytes: Uint8Array): CudaBuffer {
    return this.allocate(bytes.byteLength);
  }

  enqueue(): void {}

  /** The block that stands for one of the CPU's. */
  blockOf(buffer: Buffer): CudaBuffer {
    let block = this.#blocks.get(buffer);
    if (block === undefined) this.#blocks.set(buffer, block = this.allocate(buffer.byteLength));
    return block;
  }

  program(key: string, make: () => CudaProgram): CudaProgram {
    let program = this.#programs.get(key);
    if (program === undefined) this.#programs.set(key, program = make());
    return program;
  }

  kernel(kernel: Kernel): Executable {
    return (launch) => {
      let runner = this.#kernels.get(kernel.key);
      if (runner === undefined) this.#kernels.set(kernel.key, runner = new CudaKernel(this, kernel));
      const asking = this.asking;
      this.asking = kernel.kind;
      runner.run(launch);
      this.asking = asking;
    };
  }

  routine(routine: Routine): Callable {
    return cudaRoutine(this, routine);
  }

  sortRows(sort: SortRows): void {
    sortRows(this, sort);
  }

  write(): void {}

  read(_: Buffer, __: number, byteLength: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new ArrayBuffer(byteLength));
  }

  readAsync(buffer: Buffer, from: number, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve(this.read(buffer, from, byteLength));
  }

  synchronize(): void {}

  memoryStats(): MemoryStats {
    return { live: 0, peak: 0, cached: 0, count: 0 };
  }
}

/**
 * Runs `work` on the CPU, which is given an engine for kernels made by hand as well.
 *
 * @returns the CUDA sources of what it launched
 */
export async function capture(work: (engine: Engine) => unknown): Promise<readonly Captured[]> {
  const device = new CaptureDevice();
  const { kernel, routine } = cpu;
  const moved = <T extends { readonly buffer: Buffer | null }>(args: readonly T[]): T[] =>
    args.map((arg) => ({ ...arg, buffer: arg.buffer === null ? null : device.blockOf(arg.buffer) }));
  cpu.kernel = (k) => {
    const run = kernel.call(cpu, k), shown = device.kernel(k);
    return (launch) => {
      shown({ ...launch, operands: moved(launch.operands), outputs: moved(launch.outputs) });
      run(launch);
    };
  };
  cpu.routine = (r) => {
    const run = routine.call(cpu, r), shown = device.routine(r);
    return (call) => {
      device.asking = r.name;
      const [inputs, operands, [output]] = [moved(call.inputs), moved(call.operands), moved([call.output])];
      shown({ ...call, inputs, operands, output: output! });
      run(call);
    };
  };
  // Planned as for a GPU: whatever is computed, and rows by themselves.
  Object.defineProperties(cpu, {
    interprets: { value: false, configurable: true },
    traits: { value: device.traits, configurable: true },
  });
  const placed = <T extends Place>({ data, offset = 0, strides }: T) => ({
    buffer: data === null ? null : device.allocate(data.byteLength),
    offset,
    strides,
  });
  const byHand: Engine = {
    name: "captured",
    kind: "cuda",
    run: (k, run) => {
      const { sizes, operands = [], outputs, scalars = [] } = run;
      const launch = { sizes, operands: operands.map(placed), outputs: outputs.map(placed), scalars };
      device.kernel(k)(launch as Launch);
      runJs(k, run);
    },
  };
  try {
    await work(byHand);
  } finally {
    cpu.kernel = kernel;
    cpu.routine = routine;
    Reflect.deleteProperty(cpu, "interprets");
    Reflect.deleteProperty(cpu, "traits");
  }
  return [...device.sources.values()];
}
