/**
 * The CUDA sources of what runs on the CPU: every kernel and routine that `CPU:0` is asked for goes through the GPU's choice of variants
 * as well, on a GPU that compiles and launches nothing. Addresses are made up; offsets and strides are those of the launch.
 */
import { native } from "../../ffi/mem.ts";
import type { Address } from "../../ffi/types.ts";
import type { Expr } from "../../kernels/expr.ts";
import type { Kernel, Routine } from "../../kernels/kernel.ts";
import { cpu } from "../../src/device/cpu.ts";
import { CudaKernel, type CudaProgram, type SortRows } from "../../src/device/cuda_kernel.ts";
import { CudaBuffer, type CudaMemory } from "../../src/device/cuda_memory.ts";
import { cudaRoutine, type RoutineHost } from "../../src/device/cuda_routines.ts";
import { sortRows } from "../../src/device/cuda_sorting.ts";
import type { Buffer, Callable, Executable, MemoryStats } from "../../src/device/device.ts";

/** Where the first block lies. */
const BASE = 1 << 20;

/** A source. */
export interface Captured {
  /** `map`, `reduce`, `scan`, `scatter`, or the name of a routine. */
  readonly kind: string;
  /** Whether it has loops, or an operation on some dtypes, that no source before it had. */
  readonly novel: boolean;
}

/** The loops of a source, and how it moves through memory: what is left without expressions and without types of equal size. */
function loopsOf(source: string): string {
  const lines = source.slice(source.indexOf("__global__")).split("\n");
  const kept = lines.filter((line) => /^\s*(?:for|if|typedef|const i|#pragma|__shared__|__sync)/.test(line));
  return kept.join("\n").replace(/\b[iuf](8|16|32|64)\b/g, "$1");
}

/** Adds each operation of expressions, with the dtypes that it takes and gives. */
function addOperations(roots: readonly Expr[], kind: string, into: Set<string>): void {
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    into.add(`${kind} ${e.op}:${e.dtype}(${e.src.map((s) => s.dtype)})`);
    e.src.forEach(visit);
  };
  roots.forEach(visit);
}

/** A GPU that only collects sources. */
class CaptureDevice implements RoutineHost {
  readonly name = "GPU:0";
  readonly type = "GPU";
  readonly generation = 0;
  readonly maxBlocks = 4096;
  readonly cublas = null;
  readonly cublasLt = null;
  readonly tf32 = false;
  readonly sources = new Map<string, Captured>();
  /** What asks, and the expressions it asks for. */
  asking: { readonly kind: string; readonly roots: readonly Expr[] } = { kind: "", roots: [] };
  readonly #features = new Set<string>();
  readonly #memory = { free() {} } as unknown as CudaMemory;
  readonly #kernels = new Map<string, CudaKernel>();
  readonly #programs = new Map<string, CudaProgram>();
  readonly #blocks = new WeakMap<Buffer, CudaBuffer>();

  compile(source: string): Address {
    if (!this.sources.has(source)) {
      const before = this.#features.size, { kind, roots } = this.asking;
      this.#features.add(loopsOf(source));
      addOperations(roots, kind, this.#features);
      this.sources.set(source, { kind, novel: roots.length === 0 || this.#features.size > before });
    }
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
      const all = [...kernel.body, ...kernel.index, ...kernel.epilogue ?? [], ...kernel.reduction?.combine ?? []];
      this.asking = { kind: kernel.kind, roots: all };
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
 * Runs `work` on the CPU and gives the CUDA sources of what it launched.
 */
export function capture(work: () => void): ReadonlyMap<string, Captured> {
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
      device.asking = { kind: r.name, roots: [] };
      const [inputs, operands, [output]] = [moved(call.inputs), moved(call.operands), moved([call.output])];
      shown({ ...call, inputs, operands, output: output! });
      run(call);
    };
  };
  try {
    work();
  } finally {
    cpu.kernel = kernel;
    cpu.routine = routine;
  }
  return device.sources;
}
