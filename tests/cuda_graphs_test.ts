/** Traced functions on a GPU: one graph launch a call, arguments that change, and everything given back. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { emulator, emulatorPath, gpu, realGpu } from "./support/cuda.ts";
import { differs, model, programs, wave } from "./support/cuda_graphs_program.ts";
import { runChild } from "./support/child.ts";
import { third } from "./support/suite.ts";
import { type NDArray, tnp } from "../mod.ts";
import { TraceCache } from "../src/transform/function.ts";
import { nodeOf } from "../src/array.ts";
import * as ops from "../src/core/ops.ts";

const counted = [
  "cuGraphLaunch",
  "cuLaunchKernel",
  "cublasLtMatmul",
  "cuGraphInstantiateWithFlags",
  "cuStreamBeginCapture_v2",
] as const;
type Counts = Record<typeof counted[number], number>;

/** How often functions of the driver are called meanwhile; null on a real GPU. */
function callsOf(run: () => void): Counts | null {
  const before = counted.map((name) => emulator?.calls(name) ?? 0);
  run();
  if (emulator === null) return null;
  return Object.fromEntries(counted.map((name, i) => [name, emulator!.calls(name) - before[i]!])) as Counts;
}

const replays = (n: number): Counts => ({
  cuGraphLaunch: n,
  cuLaunchKernel: 0,
  cublasLtMatmul: 0,
  cuGraphInstantiateWithFlags: 0,
  cuStreamBeginCapture_v2: 0,
});

if (gpu === null) {
  test("cuda graphs: no GPU here", () => assert.equal(emulator, null));
} else {
  const device = gpu;
  const onGpu = <T>(fn: () => T): T => tnp.device("GPU:0", fn);
  const expect = (got: Counts | null, wanted: Counts) => assert.deepEqual(got ?? wanted, wanted);

  describe("cuda graphs", () => {
    test("a gradient step is one graph launch, and trains as on the CPU", () => {
      const losses = (name: string) =>
        tnp.device(name, () => {
          const { step, data } = model(64);
          const [x, y] = data();
          const out: number[] = [];
          for (let i = 0; i < 5; i++) out.push(step(x, y).item() as number);
          const calls = callsOf(() => {
            for (let i = 0; i < 15; i++) out.push(step(x, y).item() as number);
          });
          return { out, calls };
        });
      const right = losses("CPU:0"), got = losses("GPU:0");
      assert.equal(differs(right.out, got.out), null);
      assert.ok(got.out[19]! < got.out[0]!);
      expect(got.calls, replays(15));
    });

    test("other arrays and plain numbers come without another capture where no library sees them", () => {
      const f = tnp.function((x: NDArray, k: NDArray) => tnp.cumsum(tnp.sum(tnp.exp(x.mul(k)), 0)));
      const right = (i: number) =>
        tnp.device("CPU:0", () => f(wave([30, 5], i + 1), i + 0.5).toArray()) as unknown as number[];
      const inputs = Array.from({ length: 12 }, (_, i) => onGpu(() => wave([30, 5], i + 1)));
      for (const x of inputs) x.dataSync();
      const results: NDArray[] = [];
      const calls = onGpu(() => {
        f(inputs[0]!, 0.25).dataSync();
        f(inputs[0]!, 0.25).dataSync();
        return callsOf(() => inputs.forEach((x, i) => results.push(f(x, i + 0.5))));
      });
      results.forEach((y, i) => {
        assert.equal(differs(right(i), y.toArray() as number[]), null);
      });
      expect(calls, replays(12));
    });

    test("products on other arrays each time are captured for these alone", () => {
      const w = new tnp.Variable(onGpu(() => wave([8, 8], 0.2)));
      const f = onGpu(() =>
        tnp.function((x: NDArray) => tnp.sum(tnp.tanh(tnp.matmul(tnp.tanh(tnp.matmul(x, w)), w).add(tnp.sum(x))), 0))
      );
      const inputs = Array.from({ length: 16 }, (_, i) => onGpu(() => wave([8, 8], i + 1)));
      for (const x of inputs) x.dataSync();
      for (let i = 0; i < 6; i++) f(inputs[i]!).dataSync();
      const calls = callsOf(() => {
        for (let i = 6; i < 16; i++) f(inputs[i]!).dataSync();
      });
      if (calls === null) return;
      assert.equal(calls.cuLaunchKernel, 0);
      assert.equal(calls.cuGraphInstantiateWithFlags, 0);
      assert.deepEqual([calls.cuGraphLaunch, calls.cuStreamBeginCapture_v2], [10, 10]);
    });

    test("arguments that are too many to be passed by value are written when they change", () => {
      // One kernel reads an array in 50 orders of nine axes: addresses, strides and numbers take more than 4 KB.
      const axes = Array.from({ length: 9 }, (_, d) => d);
      const f = tnp.function((x: NDArray, k: NDArray) => {
        let y = x.mul(k);
        for (let j = 1; j < 50; j++) {
          const turned = axes.map((d) => (d * (j % 9 === 0 ? 1 : 8) + j) % 9), [p, q] = [j % 8, 8];
          [turned[p], turned[q]] = [turned[q]!, turned[p]!];
          y = y.add(x.transpose(turned).mul(j / 7));
        }
        return [tnp.cumsum(y.reshape([-1])), tnp.sum(y, 0).reshape([-1])];
      });
      const run = (x: NDArray, k: number) =>
        (f(x, k) as readonly NDArray[]).map((y) => Array.from(y.dataSync() as Float64Array));
      const right = [1, 2, 2].map((k) => tnp.device("CPU:0", () => run(wave(axes.map(() => 2), 0.3), k)));
      const x = onGpu(() => wave(axes.map(() => 2), 0.3));
      const writes = () => emulator?.calls("cuMemcpyHtoDAsync_v2") ?? 0;
      onGpu(() => {
        for (let i = 0; i < 4; i++) run(x, 1);
      });
      const counts: number[] = [];
      const calls = callsOf(() =>
        right.forEach((numbers, i) => {
          const before = writes();
          const got = onGpu(() => run(x, [1, 2, 2][i]!));
          counts.push(writes() - before);
          numbers.forEach((part, j) => assert.equal(differs(part, got[j]!), null, `call ${i}, result ${j}`));
        })
      );
      expect(calls, replays(3));
      // Only the second call has another number.
      if (emulator !== null) assert.deepEqual(counts.map((n) => n > 0), [false, true, false]);
    });

    for (const name of Object.keys(programs) as (keyof typeof programs)[]) {
      test(`${name}: as on the CPU`, () => {
        const right = tnp.device("CPU:0", programs[name]);
        const calls = callsOf(() => assert.equal(differs(right, onGpu(programs[name])), null));
        assert.ok(calls === null || calls.cuGraphLaunch > 0);
      });
    }

    test("what is kept is given back with its trace", () => {
      const cache = new TraceCache<null>("kept", Object.is, null, 2);
      const before = emulator?.live("graphExec") ?? 0;
      const { cached, live } = device.memoryStats();
      const x = onGpu(() => tnp.scope(() => wave([40, 9], 0.3))) as unknown as NDArray;
      for (let key = 0; key < 6; key++) {
        for (let i = 0; i < 4; i++) {
          const { outputs } = cache.call(`${key}`, [nodeOf(x)], ([n]) => {
            const sum = ops.sum(ops.exp(n!), [0]);
            return { outputs: [ops.sum(ops.exp(ops.sub(n!, sum)), [1])], rest: null };
          }, () => ({ names: [], values: [] }) as never);
          for (const node of outputs) node.hold().drop();
        }
      }
      if (emulator !== null) assert.equal(emulator.live("graphExec") - before, 2);
      x.dispose();
      const now = device.memoryStats();
      assert.equal(now.live, live);
      assert.ok(now.cached - cached < 1e6);
    });

    test("memory does not grow over calls", () => {
      const { step, data } = onGpu(() => model());
      const [x, y] = onGpu(data);
      const run = (n: number) => {
        for (let i = 0; i < n; i++) step(x, y).dispose();
      };
      run(10);
      const { live, count, cached } = device.memoryStats(), executables = emulator?.live("graphExec");
      run(1000);
      const now = device.memoryStats();
      assert.deepEqual([now.live, now.count], [live, count]);
      assert.ok(now.cached <= cached + 1e6, `${now.cached} bytes are cached, ${cached} were`);
      assert.equal(emulator?.live("graphExec"), executables);
    });

    test("memory that graphs keep is there when an array needs it", () => {
      const quarter = Math.floor(device.totalMemory / 4 / 8);
      const f = tnp.function((x: NDArray) => tnp.cumsum(tnp.exp(x)).sub(tnp.sum(x)));
      if (realGpu) return assert.ok(quarter > 0);
      const free = device.memoryStats().live;
      const x = onGpu(() => tnp.ones([quarter >> 1]));
      x.dataSync();
      for (let i = 0; i < 3; i++) f(x).dispose();
      x.dispose();
      const block = device.allocate(device.totalMemory - free - (32 << 20));
      block.release();
      assert.equal(onGpu(() => f(tnp.ones([4])).at(3).item()), 4 * Math.E - 4);
    });
  });

  describe("cuda graphs in other processes", () => {
    const modes: readonly Readonly<Record<string, string>>[] = [
      { CUEMU_MODE: "lazy" },
      { CUEMU_SEED: "7", CUEMU_NO_POOLS: "1" },
      { CUEMU_DEVICES: "2" },
      { TNP_CUBLAS: "none" },
    ];
    for (const mode of third(modes)) {
      test(`all programs: ${JSON.stringify(mode)}`, async () => {
        if (emulator === null) return assert.ok(realGpu);
        const ended = await runChild("cuda_graphs_child.ts", { GRAPHS_CHILD: "programs", ...mode });
        assert.equal(ended.code, 0, ended.err + ended.out);
        assert.equal(ended.out, "[]");
      });
    }
    test("what cannot be captured runs by plain launches", async () => {
      if (emulator === null) return assert.ok(realGpu);
      const ended = await runChild("cuda_graphs_child.ts", {
        GRAPHS_CHILD: "plain",
        TNP_CUBLASLT: "none",
        TNP_DEBUG: "1",
      });
      assert.equal(ended.out, "0\n[]", ended.err);
      assert.match(ended.err, /runs by plain launches: cuBLAS is no part of a graph/);
    });
    test("a driver without graph functions gets plain launches", async () => {
      if (emulatorPath === null) return assert.ok(realGpu);
      // The emulator with a name changed in its table of symbols.
      const path = emulatorPath.replace(/\.so$/, "-plain.so"), name = "cuGraphInstantiateWithFlags";
      if (!existsSync(path)) {
        const bytes = readFileSync(emulatorPath);
        for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) bytes[at] = 0x78;
        writeFileSync(`${path}.${process.pid}`, bytes);
        renameSync(`${path}.${process.pid}`, path);
      }
      const libraries = ["TNP_CUDA", "TNP_NVRTC", "TNP_CUBLAS", "TNP_CUBLASLT"].map((name) => [name, path]);
      const ended = await runChild("cuda_graphs_child.ts", {
        GRAPHS_CHILD: "plain",
        TNP_DEBUG: "1",
        ...Object.fromEntries(libraries),
      });
      assert.equal(ended.out, "0\n[]", ended.err);
      assert.match(ended.err, /the driver has no graphs; traced functions run by plain launches/);
    });
    test("functions that fail give their error or plain launches, and nothing is left", async () => {
      if (emulator === null) return assert.ok(realGpu);
      const ended = await runChild("cuda_graphs_child.ts", { GRAPHS_CHILD: "faults" });
      assert.equal(ended.code, 0, ended.err + ended.out);
      const [counts, problems] = ended.out.split("\n").slice(-2).map((line) => JSON.parse(line));
      assert.deepEqual(problems, []);
      assert.ok(counts.faults >= 50 && counts.surfaced >= 10, JSON.stringify(counts));
    });
  });
}
