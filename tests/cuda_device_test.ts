/** The GPU as a device: copies, memory, waiting, errors. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { emulator, gpu, realGpu } from "./support/cuda.ts";
import { type NDArray, tnp } from "../mod.ts";
import { DeviceError, DisposedError, OutOfMemoryError } from "../src/base/errors.ts";
import { magic } from "../src/device/cuda_block.ts";
import { getDevice, listDevices } from "../src/device/registry.ts";
import { runChild } from "./support/child.ts";

test("cuda: divisors as multiplier and shift divide every number below 2^31", () => {
  const hard = [1, 2, 3, 5, 7, 10, 641, 65535, 65536, 65537, 1000003, 2 ** 30 - 1, 2 ** 30, 2 ** 31 - 1];
  for (const d of hard) {
    const { multiplier, shift } = magic(d);
    assert.ok(multiplier <= 0xffffffff, `multiplier of ${d}`);
    for (const n of [0, 1, d - 1, d, d + 1, 2 * d - 1, 3 * d, 2 ** 31 - 1, 2 ** 31 - 2, 123456789, 2147480000]) {
      if (n >= 2 ** 31) continue;
      const high = Number(BigInt(n) * BigInt(multiplier) >> 32n);
      assert.equal(Math.floor((high + n) / 2 ** shift), Math.floor(n / d), `${n} / ${d}`);
    }
  }
});

test("cuda: without its libraries everything else works, and asking for a GPU tells what is missing", async () => {
  const ended = await runChild("cuda_child.ts", { TNP_CUDA: "none", CUDA_CHILD: "missing" });
  assert.equal(ended.code, 0, ended.err);
  assert.match(
    ended.out,
    /^CPU:0\n3\ndevice: GPU:0 is not there; available: CPU:0; CUDA driver: hidden by TNP_CUDA=none$/,
  );
});

if (gpu === null) {
  test("cuda: no GPU here", () => assert.throws(() => getDevice("GPU:0"), DeviceError));
} else {
  const device = gpu;
  const onGpu = <T>(fn: () => T): T => tnp.device("GPU:0", fn);
  const bytes = (n: number) => {
    const x = new Uint8Array(new ArrayBuffer(n));
    for (let i = 0; i < n; i++) x[i] = i * 31 + (i >> 8);
    return x;
  };

  describe("cuda device", () => {
    test("is listed with its name, memory and compute capability", () => {
      assert.ok(listDevices().some((d) => d.name === "GPU:0" && d.type === "GPU"));
      assert.equal(getDevice("/device:gpu:0"), device);
      assert.ok(device.model.length > 0 && device.totalMemory > 1e8);
      assert.ok(device.capability[0] >= 5, String(device.capability));
      const [first] = tnp.config.list_physical_devices("GPU"), { devices, cuda, nvrtc } = tnp.config.build_info();
      assert.deepEqual(first, {
        name: "GPU:0",
        device_type: "GPU",
        model: device.model,
        memory: device.totalMemory,
        compute_capability: device.capability,
      });
      assert.deepEqual(devices.find((d) => d.name === "GPU:0"), first);
      assert.match(cuda.version ?? "", /^CUDA \d+\.\d+$/);
      assert.ok(nvrtc.available && nvrtc.path !== null, nvrtc.hint ?? "");
    });

    test("moves arrays of any size there and back", async () => {
      for (const n of [0, 1, 7, 1000, 65536, 65537, 9 << 20]) {
        const x = bytes(n), buffer = device.allocate(n);
        device.write(buffer, 0, x);
        assert.deepEqual(device.read(buffer, 0, n), x, `${n} bytes`);
        assert.deepEqual(await device.readAsync(buffer, 0, n), x, `${n} bytes, asynchronously`);
        if (n > 100) assert.deepEqual(device.read(buffer, 33, n - 40), x.slice(33, n - 7));
        buffer.release();
      }
    });

    test("takes bytes that change after the call", () => {
      for (const n of [1000, 6 << 20]) {
        const x = bytes(n), expected = x.slice(), buffer = device.allocate(n);
        device.write(buffer, 0, x);
        x.fill(0);
        assert.deepEqual(device.read(buffer, 0, n), expected);
        buffer.release();
      }
    });

    test("copies between CPU and GPU", () => {
      const x = tnp.arange(10);
      const y = onGpu(() => tnp.copy(x));
      assert.equal(y.device, "GPU:0");
      const z = tnp.device("CPU:0", () => tnp.copy(onGpu(() => tnp.add(y, 1))));
      assert.equal(z.device, "CPU:0");
      assert.deepEqual(z.toArray(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    });

    test("mixing devices is an error that names both", () => {
      const x = onGpu(() => tnp.ones([3])), y = tnp.device("CPU:0", () => tnp.ones([3]));
      assert.throws(() => tnp.add(x, y), (e: Error) => /GPU:0/.test(e.message) && /CPU:0/.test(e.message));
    });

    test("reading does not block the event loop", async () => {
      const work = (n: number) =>
        onGpu(() => {
          let x: NDArray = tnp.linspace(0, 1, n);
          for (let i = 0; i < 12; i++) x = tnp.sin(tnp.add(x, i));
          return tnp.sum(x);
        });
      // So much work that the timer is due many times meanwhile, on any machine: what is timed is compiled already.
      let n = 400_000;
      for (let ms = 0; !realGpu && ms < 60; n *= 2) {
        work(n).dataSync();
        const start = performance.now();
        work(n).dataSync();
        ms = performance.now() - start;
      }
      const slow = work(n);
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      const value = (await slow.data())[0];
      clearInterval(timer);
      assert.ok(Number.isFinite(value));
      if (!realGpu) assert.ok(ticks > 0, "no timer fired");
    });

    test("several reads at once, while the arrays are given back", async () => {
      const arrays = Array.from({ length: 6 }, (_, i) => onGpu(() => tnp.full([700_000], i)));
      const reads = arrays.map((x) => x.data());
      for (const x of arrays) x.dispose();
      const values = await Promise.all(reads);
      values.forEach((v, i) => assert.ok(Number(v[0]) === i && Number(v[699_999]) === i));
    });
  });

  describe("cuda memory", () => {
    test("counts what is live", () => {
      const before = device.memoryStats();
      const buffers = [100, 2000, 3 << 20].map((n) => device.allocate(n));
      const now = device.memoryStats();
      assert.equal(now.live - before.live, 100 + 2000 + (3 << 20));
      assert.equal(now.count - before.count, 3);
      assert.ok(now.peak >= now.live);
      for (const buffer of buffers) buffer.release();
      assert.deepEqual([device.memoryStats().live, device.memoryStats().count], [before.live, before.count]);
    });

    test("refuses a second release, use after release and memory of others", () => {
      const buffer = device.allocate(64);
      buffer.release();
      assert.throws(() => buffer.release(), DisposedError);
      assert.throws(() => device.read(buffer, 0, 8), DisposedError);
      assert.throws(() => device.write(getDevice("CPU:0").allocate(8), 0, bytes(8)), DeviceError);
      const other = device.allocate(16);
      assert.throws(() => device.read(other, 8, 16), DeviceError);
      other.release();
    });

    test("is not touched by arrays that outlive a close", () => {
      const old = device.allocate(64);
      device.close();
      old.release();
      assert.equal(onGpu(() => tnp.sum(tnp.ones([10])).item()), 10);
    });

    test("running out names what is live, and the device goes on", () => {
      const half = Math.floor(device.totalMemory * 0.6);
      const first = device.allocate(half);
      assert.throws(() => device.allocate(half), (e: Error) => {
        assert.ok(e instanceof OutOfMemoryError);
        return /GPU:0 has no .* MB left: .* MB are live in \d+ arrays/.test(e.message);
      });
      first.release();
      // Memory that is given back but still in use by the stream is waited for.
      const again = device.allocate(half);
      again.release();
      assert.equal(onGpu(() => tnp.sum(tnp.ones([100])).item()), 100);
    });
  });

  describe("cuda work is enqueued", () => {
    for (
      const [mode, more] of [["lazy", {}], ["thread", { CUEMU_SEED: "5" }], ["thread", {
        CUEMU_NO_POOLS: "1",
      }]] as const
    ) {
      test(`and waited for: ${mode} ${JSON.stringify(more)}`, async () => {
        if (emulator === null) return assert.ok(realGpu);
        const ended = await runChild("cuda_child.ts", { CUEMU_MODE: mode, CUDA_CHILD: "program", ...more });
        assert.equal(ended.code, 0, ended.err + ended.out);
        assert.equal(ended.out, "right\nnothing left");
      });
    }
    test("and products come out right without cuBLAS", async () => {
      if (emulator === null) return assert.ok(realGpu);
      const ended = await runChild("cuda_child.ts", { TNP_CUBLAS: "none", CUDA_CHILD: "program" });
      assert.equal(ended.code, 0, ended.err + ended.out);
      assert.equal(ended.out, "right\nnothing left");
    });
    test("and PTX serves a GPU that NVRTC does not know", async () => {
      if (emulator === null) return assert.ok(realGpu);
      const ended = await runChild("cuda_child.ts", { CUEMU_ARCHITECTURE: "80", CUDA_CHILD: "one" });
      assert.equal(ended.out, "GPU:0 6", ended.err);
    });
    test("and copied between two GPUs", async () => {
      if (emulator === null) return assert.ok(realGpu);
      const ended = await runChild("cuda_child.ts", { CUEMU_DEVICES: "2", CUDA_CHILD: "two" });
      assert.equal(ended.out, "GPU:1 6", ended.err);
    });
    test("and the bench runs", async () => {
      if (emulator === null) return assert.ok(realGpu);
      const ended = await runChild("../../bench/cuda.ts", { BENCH_DRY: "1", PYTHON: "none" });
      assert.equal(ended.code, 0, ended.err);
      for (
        const name of [
          "copy",
          "sum columns",
          "matmul bfloat16",
          "dense relu float32",
          "gradient compiled",
          "launch",
          "launch eager",
          "launch replayed",
        ]
      ) {
        assert.match(ended.out, new RegExp(`^${name} +[\\d.]+ us`, "m"));
      }
    });
    test("and NVRTC is asked for by name where it is missing", async () => {
      if (emulator === null) return assert.ok(realGpu);
      const ended = await runChild("cuda_child.ts", { TNP_NVRTC: "none", CUDA_CHILD: "program" });
      assert.match(ended.out, /^LibraryError: NVRTC: hidden by TNP_NVRTC=none$/);
    });
  });
}
