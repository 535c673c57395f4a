/** The emulator itself: each of its checks fires where hardware would fail, and only there. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emulator, realGpu } from "./support/cuda.ts";
import { CudaDriver } from "../ffi/cuda.ts";
import { NativeError } from "../ffi/errors.ts";
import { addressOf, native } from "../ffi/mem.ts";
import { Nvrtc } from "../ffi/nvrtc.ts";
import type { Address } from "../ffi/types.ts";

/** Bytes of the memory that kernels get. */
const BYTES = 1024;

/** A context of its own with a stream, 1024 bytes of device memory that hold 0, 1, 2, … as float64, and NVRTC. */
class Bench implements Disposable {
  readonly driver = new CudaDriver();
  readonly nvrtc = new Nvrtc();
  readonly stream: Address;
  readonly memory: number;

  constructor() {
    const { driver } = this, { f } = driver;
    driver.check("cuCtxSetCurrent", f.cuCtxSetCurrent(driver.retainContext(driver.device(0))));
    this.stream = driver.createStream();
    this.memory = this.allocate();
    const numbers = Float64Array.from({ length: BYTES / 8 }, (_, i) => i);
    const code = f.cuMemcpyHtoDAsync_v2(native(this.memory), native(addressOf(numbers)), native(BYTES), this.stream);
    driver.check("cuMemcpyHtoDAsync_v2", code);
  }

  allocate(): number {
    const got = this.driver.allocate(BYTES, this.stream);
    assert.ok("address" in got);
    return got.address;
  }

  free(address: number): void {
    this.driver.check("cuMemFreeAsync", this.driver.f.cuMemFreeAsync(native(address), this.stream));
  }

  compile(body: string, parameters = "Args a", before = ""): Address {
    const text =
      `struct Args { double *x; double *y; };\n${before}extern "C" __global__ void kernel(${parameters}) {\n${body}\n}\n`;
    const { cubin } = this.nvrtc.compile(text, "kernel.cu", ["--gpu-architecture=sm_90"]);
    return this.driver.moduleFunction(this.driver.loadModule(cubin), "kernel");
  }

  launch(fn: Address, x = this.memory, y = this.memory, threads = 32, blocks = 1, shared = 0): void {
    const block = BigUint64Array.of(BigInt(x), BigInt(y)), list = BigUint64Array.of(BigInt(addressOf(block)));
    const parameters = native(addressOf(list));
    const { f } = this.driver;
    const code = f.cuLaunchKernel(fn, blocks, 1, 1, threads, 1, 1, shared, this.stream, parameters, native(0));
    this.driver.check("cuLaunchKernel", code);
  }

  wait(): void {
    this.driver.check("cuStreamSynchronize", this.driver.f.cuStreamSynchronize(this.stream));
  }

  read(): number[] {
    const out = new Float64Array(new ArrayBuffer(BYTES));
    const code = this.driver.f.cuMemcpyDtoHAsync_v2(
      native(addressOf(out)),
      native(this.memory),
      native(BYTES),
      this.stream,
    );
    this.driver.check("cuMemcpyDtoHAsync_v2", code);
    return [...out];
  }

  [Symbol.dispose](): void {
    const { f } = this.driver;
    f.cuMemFreeAsync(native(this.memory), this.stream);
    f.cuStreamDestroy_v2(this.stream);
    f.cuDevicePrimaryCtxRelease_v2(0);
    this.nvrtc[Symbol.dispose]();
    this.driver[Symbol.dispose]();
  }
}

/** The status that something fails with; 0 if it does not. */
function statusOf(run: (bench: Bench) => void): number {
  using bench = new Bench();
  try {
    run(bench);
    bench.wait();
    return 0;
  } catch (error) {
    assert.ok(error instanceof NativeError, String(error));
    // Whatever is called next tells a lost device, until its context is gone.
    if (error.code >= 700 && error.code !== 701) assert.throws(() => bench.driver.memoryInfo(), { code: error.code });
    return error.code;
  }
}

/** The status of a kernel whose threads run this. */
const kernel = (body: string, threads = 32, before = "") =>
  statusOf((bench) => bench.launch(bench.compile(body, "Args a", before), bench.memory, bench.memory, threads));

const ok = 0, invalid = 1, illegal = 700, resources = 701, hangs = 702, instruction = 715, misaligned = 716;
const lane = "const unsigned lane = threadIdx.x;";

if (emulator === null) {
  test("cuda: no emulator here", () => assert.ok(realGpu || emulator === null));
} else {
  const gpu = emulator;
  describe("the emulated GPU sees", () => {
    const cases: Readonly<Record<string, readonly [expected: number, found: () => number]>> = {
      "nothing wrong in a right kernel": [ok, () => kernel("a.y[threadIdx.x] = a.x[threadIdx.x] + 1;")],
      "a read past the end": [illegal, () => kernel("if (a.x[128] > 0) a.y[0] = 1;")],
      "a read before the start": [illegal, () => kernel("if (a.x[-1] > 0) a.y[0] = 1;")],
      "a write past the end": [illegal, () => kernel("a.y[128] = 1;")],
      "memory that was freed": [illegal, () =>
        statusOf((bench) => {
          const gone = bench.allocate();
          bench.free(gone);
          bench.launch(bench.compile("a.y[0] = 1;"), bench.memory, gone);
        })],
      "memory of the host": [illegal, () => {
        const host = new Float64Array(new ArrayBuffer(64));
        return statusOf((bench) => bench.launch(bench.compile("a.y[0] = 1;"), bench.memory, addressOf(host)));
      }],
      "null": [illegal, () => statusOf((bench) => bench.launch(bench.compile("a.y[0] = 1;"), bench.memory, 0))],
      "a vector that is not aligned": [
        misaligned,
        () => kernel("((V *)(a.y + 1))[0] = ((const V *)a.x)[0];", 1, "struct alignas(16) V { double v[2]; };\n"),
      ],
      "an aligned vector as right": [
        ok,
        () => kernel("((V *)(a.y + 2))[0] = ((const V *)a.x)[0];", 1, "struct alignas(16) V { double v[2]; };\n"),
      ],
      "a number that is not aligned": [misaligned, () => kernel("*(float *)((char *)a.y + 2) = 1;", 1)],
      "too many threads": [invalid, () => kernel("a.y[0] = 1;", 1025)],
      "more threads than a kernel is bound to": [resources, () =>
        statusOf((bench) => {
          const text = 'extern "C" __global__ void __launch_bounds__(64) kernel() {}\n';
          const { cubin } = bench.nvrtc.compile(text, "kernel.cu", ["--gpu-architecture=sm_90"]);
          bench.launch(bench.driver.moduleFunction(bench.driver.loadModule(cubin), "kernel"), 0, 0, 65);
        })],
      "no blocks": [invalid, () => statusOf((b) => b.launch(b.compile("a.y[0] = 1;"), b.memory, b.memory, 1, 0))],
      "too much shared memory": [
        invalid,
        () =>
          statusOf((b) =>
            b.launch(b.compile("__shared__ double s[64]; s[0] = 1; a.y[0] = s[0];"), b.memory, b.memory, 1, 1, 49000)
          ),
      ],
      "arguments that are too large": [
        invalid,
        () => statusOf((b) => b.launch(b.compile("", "Large a", "struct Large { double x[600]; };\n"))),
      ],
      "a lane that is not in its own mask": [instruction, () => kernel("a.y[0] = __shfl_sync(0xfffffffeu, 1.0, 1);")],
      "lanes that wait for one at a barrier": [
        hangs,
        () => kernel(`${lane} if (lane == 0) __syncthreads(); else __syncwarp();`),
      ],
      "lanes that wait with different masks": [
        hangs,
        () => kernel(`${lane} __syncwarp(lane < 16 ? ~0u : 0xffff8000u);`),
      ],
    };
    for (const [what, [expected, found]] of Object.entries(cases)) {
      test(what, () => assert.equal(found(), expected));
    }

    test("too much static shared memory, when it is compiled", () => {
      using bench = new Bench();
      assert.throws(() => bench.compile("__shared__ double s[8000]; s[threadIdx.x] = 1;"), /too much shared data/);
    });
    test("what is left", () => {
      const before = gpu.live("event"), blocks = gpu.blocks();
      using bench = new Bench();
      const event = bench.driver.createEvent(), memory = bench.allocate();
      assert.deepEqual([gpu.live("event") - before, gpu.blocks() - blocks], [1, 2]);
      bench.driver.f.cuEventDestroy_v2(event);
      bench.free(memory);
      bench.wait();
      assert.deepEqual([gpu.live("event") - before, gpu.blocks() - blocks], [0, 1]);
    });
    test("pointers and handles that are none", () => {
      using bench = new Bench();
      const { f } = bench.driver;
      assert.equal(f.cuMemFreeAsync(native(bench.memory + 2 * BYTES), bench.stream), 1);
      assert.equal(
        f.cuMemcpyDtoDAsync_v2(native(bench.memory), native(bench.memory), native(BYTES + 1), bench.stream),
        1,
      );
      assert.equal(f.cuStreamSynchronize(native(bench.memory)), 400);
      assert.equal(f.cuEventQuery(bench.stream), 400);
    });
    test("an error of the compiler, with its line", () => {
      using bench = new Bench();
      assert.throws(() => bench.compile("a.y[0] = nothing;"), /kernel\.cu:3:.*nothing/s);
    });
  });

  describe("the emulated GPU sees in captures and graphs", () => {
    const unsupported = 900, invalidated = 901, captured = 907, refused = 910, relaxed = 2, global = 0;
    const out = new BigUint64Array(new ArrayBuffer(8));
    const handle = (): Address => native(Number(out[0]));
    /** Status by status of calls while the bench's stream is captured, then that of the capture's end, and its graph. */
    const capture = (bench: Bench, mode: number, ...calls: (() => number)[]): number[] => {
      const { f } = bench.driver;
      assert.equal(f.cuStreamBeginCapture_v2!(bench.stream, mode), ok);
      const found = calls.map((call) => call());
      return [...found, f.cuStreamEndCapture!(bench.stream, out)];
    };
    test("a wait for a stream that is captured, which ends the capture", () => {
      using bench = new Bench();
      const { f } = bench.driver;
      assert.deepEqual(capture(bench, relaxed, () => f.cuStreamSynchronize(bench.stream)), [unsupported, invalidated]);
      assert.equal(Number(out[0]), 0);
      // The next capture is a good one.
      assert.deepEqual(capture(bench, relaxed), [ok]);
      assert.equal(f.cuGraphDestroy!(handle()), ok);
    });
    test("memory that is asked for, in the way of a global capture and not of a relaxed one", () => {
      using bench = new Bench();
      const { f } = bench.driver, memory = new BigUint64Array(new ArrayBuffer(8));
      const allocate = () => f.cuMemAlloc_v2(memory, native(64));
      assert.deepEqual(capture(bench, global, allocate), [unsupported, invalidated]);
      assert.deepEqual(capture(bench, relaxed, allocate), [ok, ok]);
      assert.equal(f.cuMemFree_v2(native(Number(memory[0]))), ok);
      const inOrder = () => f.cuMemAllocAsync(memory, native(64), bench.stream);
      f.cuGraphDestroy!(handle());
      assert.deepEqual(capture(bench, relaxed, inOrder), [unsupported, invalidated]);
    });
    test("a wait for an event of a capture", () => {
      using bench = new Bench();
      const { f } = bench.driver, event = bench.driver.createEvent();
      const calls = [
        () => f.cuEventRecord(event, bench.stream),
        () => f.cuEventQuery(event),
        () => f.cuEventSynchronize(event),
      ];
      assert.deepEqual(capture(bench, relaxed, ...calls), [ok, captured, captured, ok]);
      f.cuGraphDestroy!(handle());
      // Recorded on a stream again it is as any other.
      assert.equal(f.cuEventRecord(event, bench.stream), ok);
      assert.equal(f.cuEventSynchronize(event), ok);
      f.cuEventDestroy_v2(event);
    });
    test("a graph launched into a capture, and a child that is another graph", () => {
      using bench = new Bench();
      const { f } = bench.driver;
      const record = (times: number): Address => {
        const copy = () =>
          f.cuMemcpyDtoDAsync_v2(native(bench.memory), native(bench.memory + 64), native(64), bench.stream);
        assert.deepEqual(capture(bench, relaxed, ...Array.from({ length: times }, () => copy)).at(-1), ok);
        return handle();
      };
      const [one, same, two] = [record(1), record(1), record(2)] as const;
      const made = (status: number): Address => {
        assert.equal(status, ok);
        return handle();
      };
      const graph = made(f.cuGraphCreate!(out, 0));
      const node = made(f.cuGraphAddChildGraphNode!(out, graph, out, native(0), one));
      const exec = made(f.cuGraphInstantiateWithFlags!(out, graph, native(0)));
      assert.equal(f.cuGraphExecChildGraphNodeSetParams!(exec, node, same), ok);
      assert.equal(f.cuGraphExecChildGraphNodeSetParams!(exec, node, two), refused);
      assert.equal(f.cuGraphLaunch!(exec, bench.stream), ok);
      bench.wait();
      assert.deepEqual(bench.read().slice(0, 9), [8, 9, 10, 11, 12, 13, 14, 15, 8]);
      assert.deepEqual(capture(bench, relaxed, () => f.cuGraphLaunch!(exec, bench.stream)), [unsupported, invalidated]);
      f.cuGraphExecDestroy!(exec);
      for (const each of [graph, one, same, two]) f.cuGraphDestroy!(each);
    });
    test("and errors have the driver's names", () => {
      using bench = new Bench();
      const names = [unsupported, invalidated, captured, refused].map((code) => bench.driver.error("f", code).message);
      const wanted = [
        "STREAM_CAPTURE_UNSUPPORTED",
        "STREAM_CAPTURE_INVALIDATED",
        "CAPTURED_EVENT",
        "GRAPH_EXEC_UPDATE_FAILURE",
      ];
      names.forEach((name, i) => assert.match(name, new RegExp(`^f: CUDA_ERROR_${wanted[i]} \\(9\\d\\d\\)`)));
    });
  });

  describe("the emulated GPU", () => {
    const numbers = (body: string, threads = 64): number[] => {
      using bench = new Bench();
      bench.launch(bench.compile(body), bench.memory, bench.memory, threads);
      return bench.read();
    };
    test("exchanges numbers within a part of a warp, and within one that is not full", () => {
      const half = numbers(
        `${lane} if (lane < 16) a.y[lane] = __shfl_down_sync(0xffffu, (double)lane, 1); else a.y[lane] = -1;`,
        32,
      );
      assert.deepEqual(half.slice(0, 15), Array.from({ length: 15 }, (_, i) => i + 1));
      assert.ok(half.slice(16, 32).every((x) => x === -1));
      const few = numbers(
        `${lane} double v = __shfl_up_sync(0xffu, (double)lane, 1); __syncthreads(); a.y[lane] = v;`,
        8,
      );
      assert.deepEqual(few.slice(0, 8), [0, 0, 1, 2, 3, 4, 5, 6]);
      const uneven = numbers(
        `${lane} double v = lane; if (lane < 8) v = __shfl_xor_sync(0xffu, v, 1); a.y[lane] = __shfl_sync(~0u, v, 0);`,
        32,
      );
      assert.ok(uneven.slice(0, 32).every((x) => x === 1));
      const votes = numbers(`${lane} a.y[lane] = __ballot_sync(0xfu, lane & 1);`, 4);
      assert.deepEqual(votes.slice(0, 4), [10, 10, 10, 10]);
    });
    test("runs threads in an order that differs from launch to launch, so that races show", () => {
      const sees = (sync: string) =>
        new Set(
          Array.from({ length: 6 }, () =>
            numbers(`${lane} a.y[lane] = -1; ${sync} a.y[64 + lane] = a.y[(lane + 1) % 64];`).slice(64).join()),
        );
      assert.ok(sees("").size > 1);
      assert.equal(sees("__syncthreads();").size, 1);
      const blocks = new Set(Array.from({ length: 6 }, () => {
        using bench = new Bench();
        bench.launch(bench.compile("a.y[0] = blockIdx.x;"), bench.memory, bench.memory, 1, 64);
        return bench.read()[0];
      }));
      assert.ok(blocks.size > 1);
    });
    test("fills shared memory with NaN", () => {
      const found = numbers("__shared__ double s[64]; a.y[threadIdx.x] = s[threadIdx.x]; s[threadIdx.x] = 1;");
      assert.ok(found.slice(0, 64).every(Number.isNaN));
    });
    test("keeps the order of its stream, and events tell when work is done", () => {
      using bench = new Bench();
      const slow = bench.compile("for (int i = 0; i < 3000; i++) a.y[threadIdx.x] += 1;");
      const [start, end] = [bench.driver.createEvent(true), bench.driver.createEvent(true)];
      const record = (event: Address) =>
        bench.driver.check("cuEventRecord", bench.driver.f.cuEventRecord(event, bench.stream));
      record(start);
      bench.launch(slow);
      record(end);
      const early = bench.driver.eventDone(end);
      bench.driver.check("cuEventSynchronize", bench.driver.f.cuEventSynchronize(end));
      assert.deepEqual([early, bench.driver.eventDone(end)], [false, true]);
      assert.ok(bench.driver.elapsed(start, end) > 0);
      assert.equal(bench.read()[3], 3003);
      for (const event of [start, end]) bench.driver.f.cuEventDestroy_v2(event);
    });
    test("collects kernels while compiling is put off, and runs them when they are compiled", () => {
      using bench = new Bench();
      const fresh = `a.y[0] = ${Math.random()} + 1;`;
      gpu.defer(true);
      try {
        gpu.missed();
        const fn = bench.compile(fresh);
        bench.launch(fn);
        assert.deepEqual([bench.read()[0], gpu.missed()], [0, 1]);
        assert.equal(gpu.compile(), 1);
        bench.launch(fn);
        assert.ok(bench.read()[0]! >= 1);
        assert.equal(gpu.missed(), 0);
      } finally {
        gpu.defer(false);
      }
    });
    test("makes a call fail when it is told to, and a lost device stays lost until its context is gone", () => {
      const lost = statusOf((bench) => {
        gpu.fail("cuStreamSynchronize", 1, 719);
        bench.wait();
      });
      assert.equal(lost, 719);
      assert.equal(statusOf((bench) => bench.wait()), 0);
    });
  });
}
