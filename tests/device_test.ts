import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { addressOf } from "../ffi/mem.ts";
import { available } from "../ffi/open.ts";
import { DeviceError, DisposedError, OutOfMemoryError } from "../src/base/errors.ts";
import { Arena, hostBuffer, sizeClass } from "../src/device/arena.ts";
import { contiguousStrides } from "../src/base/shape.ts";
import { cpu } from "../src/device/cpu.ts";
import { convert } from "../src/device/epilogue.ts";
import { nullDevice } from "../src/device/null.ts";
import { currentDevice, getDevice, listDevices, setDefault, withDevice } from "../src/device/registry.ts";

describe("devices", () => {
  test("are found by TensorFlow's names", () => {
    for (
      const name of ["CPU:0", "cpu:0", "CPU", "/CPU:0", "/device:CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0"]
    ) {
      assert.equal(getDevice(name), cpu);
    }
    assert.equal(getDevice("NULL:0"), nullDevice);
    assert.equal(listDevices()[0], cpu);
  });

  test("that are not there are named with those that are", () => {
    assert.throws(() => getDevice("GPU:99"), /^DeviceError: device: GPU:99 is not there; available: CPU:0/);
    assert.throws(() => getDevice("CPU:1"), /^DeviceError: device: CPU:1 is not there; available: CPU:0/);
    assert.throws(() => getDevice("first one"), /got "first one", expected a name such as "CPU:0"/);
  });

  test("are scoped, also through errors", () => {
    assert.equal(currentDevice(), cpu);
    const seen = withDevice("NULL:0", () => [currentDevice(), withDevice(cpu, currentDevice), currentDevice()]);
    assert.deepEqual(seen, [nullDevice, cpu, nullDevice]);
    assert.throws(() =>
      withDevice("NULL:0", () => {
        throw new Error("inside");
      }), /inside/);
    assert.equal(currentDevice(), cpu);
    assert.throws(() => withDevice("NULL:0", () => Promise.resolve()), /must be synchronous/);
    setDefault("NULL:0");
    assert.equal(currentDevice(), nullDevice);
    setDefault(cpu);
    assert.equal(currentDevice(), cpu);
  });
});

describe("arena", () => {
  test("counts live, peak, cached and blocks", () => {
    const arena = new Arena(cpu);
    assert.deepEqual(arena.stats(), { live: 0, peak: 0, cached: 0, count: 0 });
    const large = arena.allocate(1 << 20), small = arena.allocate(100);
    assert.deepEqual(arena.stats(), { live: (1 << 20) + 128, peak: (1 << 20) + 128, cached: 0, count: 2 });
    large.release();
    assert.deepEqual(arena.stats(), { live: 128, peak: (1 << 20) + 128, cached: 1 << 20, count: 1 });
    small.release();
    arena.trim();
    assert.deepEqual(arena.stats(), { live: 0, peak: (1 << 20) + 128, cached: 0, count: 0 });
  });

  test("hands released blocks of nearly the same size out again", () => {
    const arena = new Arena(cpu);
    const first = arena.allocate(8_000_000), memory = first.memory;
    first.release();
    const second = arena.allocate(7_900_000);
    assert.equal(second.memory, memory);
    second.release();
    assert.notEqual(arena.allocate(4_000_000).memory, memory);
    assert.notEqual(arena.allocate(9_000_000).memory, memory);
    for (const n of [4097, 5000, 65536, 1e6, 8e6, 1e9]) {
      assert.ok(sizeClass(n) >= n && sizeClass(n) <= n * 1.13 + 4096, `${n}: ${sizeClass(n)}`);
    }
  });

  test("keeps no more than its limit, newest first", () => {
    const arena = new Arena(cpu);
    arena.limit = 3 << 20;
    const blocks = [1, 2, 3, 4].map(() => arena.allocate(1 << 20));
    const memories = blocks.map((b) => b.memory);
    for (const block of blocks) block.release();
    assert.equal(arena.stats().cached, 3 << 20);
    const again = [1, 2, 3, 4].map(() => arena.allocate(1 << 20).memory);
    assert.equal(again.includes(memories[0]!), false);
    assert.deepEqual(again.slice(0, 3), [memories[3], memories[2], memories[1]]);
  });

  test("bumps small blocks out of one slab without overlap", () => {
    const arena = new Arena(cpu);
    const blocks = [1, 64, 65, 4096, 0].map((n) => arena.allocate(n));
    assert.equal(new Set(blocks.map((b) => b.memory)).size, 1);
    assert.deepEqual(blocks.map((b) => b.byteOffset), [0, 64, 128, 256, 4352]);
    blocks[4]!.release();
    assert.equal(arena.allocate(8).byteOffset, 4352);
    for (const block of blocks.slice(0, 4)) block.bytes().fill(1);
    assert.equal(arena.allocate(8).byteOffset, 4416);
    assert.equal(arena.stats().count, 6);
  });

  test("cuts middling blocks out of slabs, and slabs that everything was given back of come again", () => {
    const arena = new Arena(cpu);
    const blocks = Array.from({ length: 70 }, () => arena.allocate(8000));
    assert.equal(new Set(blocks.map((b) => b.memory.buffer)).size, 5);
    // Two blocks live at any time, given back in the order in which they came.
    const seen = new Set<ArrayBuffer>();
    let before = arena.allocate(8000);
    for (let i = 0; i < 200; i++) {
      const next = arena.allocate(8000);
      seen.add(next.memory.buffer);
      before.release();
      before = next;
    }
    assert.ok(seen.size <= 3, `${seen.size} slabs`);
    for (const block of blocks) block.release();
    assert.ok(arena.stats().cached > 0);
    arena.trim();
    assert.equal(arena.stats().cached, 0);
    assert.equal(arena.stats().count, 1);
  });

  test("aligns blocks once addresses are known", () => {
    if (!available().ok) {
      assert.ok(!available().ok);
      return;
    }
    const arena = new Arena(cpu);
    arena.align(addressOf);
    for (const n of [1, 4096, 5000, 1 << 20]) {
      const { memory, byteOffset } = arena.allocate(n);
      assert.equal((memory.address(addressOf) + byteOffset) % 64, 0);
      assert.equal(addressOf(memory.view("float32")), memory.address(addressOf));
    }
  });

  test("asks for huge pages for large blocks, and skips no more than alignment to lines", () => {
    if (!available().ok) {
      assert.ok(!available().ok);
      return;
    }
    const arena = new Arena(cpu), asked: number[][] = [];
    arena.align(addressOf, (address, byteLength) => asked.push([address, byteLength]));
    arena.allocate(2 << 20);
    assert.deepEqual(asked, []);
    const { memory } = arena.allocate(4 << 20), address = memory.address(addressOf);
    assert.deepEqual(asked, [[address, 4 << 20]]);
    assert.equal(address % 64, 0);
    assert.ok(memory.buffer.byteLength - memory.byteLength <= 64);
  });

  test("refuses a second release and use after release", () => {
    for (const n of [100, 1 << 20]) {
      const block = cpu.allocate(n);
      block.release();
      assert.equal(block.released, true);
      assert.throws(() => block.release(), DisposedError);
      assert.throws(() => block.memory, DisposedError);
      assert.throws(() => cpu.read(block, 0, 4), DisposedError);
    }
  });

  test("never recycles memory of the user", () => {
    const memory = new ArrayBuffer(1 << 20), before = cpu.memoryStats();
    const buffer = hostBuffer(cpu, memory, 8, 1 << 19);
    buffer.bytes().fill(7);
    assert.deepEqual([...new Uint8Array(memory, 6, 4)], [0, 0, 7, 7]);
    assert.equal((buffer.memory.view("float64") as Float64Array).length, 1 << 16);
    buffer.release();
    assert.deepEqual(cpu.memoryStats(), before);
  });

  test("copies bytes in and out and checks their bounds", async () => {
    const block = cpu.allocate(64), bytes = Uint8Array.of(1, 2, 3);
    cpu.write(block, 5, bytes);
    bytes.fill(0);
    assert.deepEqual([...cpu.read(block, 5, 3)], [1, 2, 3]);
    assert.deepEqual([...await cpu.readAsync(block, 6, 2)], [2, 3]);
    assert.throws(() => cpu.read(block, 60, 5), DeviceError);
    assert.throws(() => cpu.write(nullDevice.allocate(8), 0, bytes), /got memory of NULL:0, expected host memory/);
    block.release();
  });

  test("says what is live when memory runs out", () => {
    const arena = new Arena(cpu);
    arena.allocate(4096);
    assert.throws(
      () => arena.allocate(2 ** 52),
      (error) =>
        error instanceof OutOfMemoryError &&
        error.message === "allocate: CPU:0 has no memory for 4503599627370496 bytes; 4096 bytes are live in 1 blocks",
    );
  });
});

describe("the null device", () => {
  test("counts launches, routines and bytes", () => {
    nullDevice.reset();
    const live = nullDevice.memoryStats().live;
    const a = nullDevice.allocate(100), b = nullDevice.allocate(50);
    const routine = nullDevice.routine({
      key: "r",
      name: "sort",
      dtypes: ["int8", "int8"],
      params: {},
      epilogue: null,
      comment: "sort(x)",
    });
    const arg = { buffer: a, offset: 0, strides: [1], shape: [50] };
    routine({ inputs: [arg], output: { ...arg, buffer: b }, operands: [], scalars: [] });
    assert.deepEqual(nullDevice.launches, [{ kind: "sort", comment: "sort(x)", key: "r", points: 50 }]);
    assert.deepEqual(nullDevice.counts, { sort: 1 });
    assert.deepEqual(nullDevice.kernels, ["sort(x)"]);
    assert.equal(nullDevice.bytes, 150);
    assert.equal(nullDevice.memoryStats().peak, live + 150);
    assert.deepEqual([...nullDevice.read(a, 0, 3)], [0, 0, 0]);
    a.release();
    assert.throws(() => routine({ inputs: [arg], output: arg, operands: [], scalars: [] }), DisposedError);
    assert.throws(() => a.release(), DisposedError);
    b.release();
    nullDevice.reset();
    assert.equal(nullDevice.launches.length, 0);
    assert.equal(nullDevice.memoryStats().live, live);
  });
});

test("copies for libraries merge loops, and take 64-bit indices only where 32 bits do not reach", () => {
  const copies = (shape: number[], strides: number[], offset = 0) => {
    nullDevice.reset();
    const size = shape.reduce((x, y) => x * y, 1);
    const from = { buffer: nullDevice.allocate(8), shape, strides, offset };
    const out = { buffer: nullDevice.allocate(8), shape, strides: contiguousStrides(shape), offset: 0 };
    convert(nullDevice, from, "float32", out, "float64");
    for (const { buffer } of [from, out]) buffer.release();
    const [launch] = nullDevice.launches;
    assert.equal(launch!.points, size);
    const [, rank, , , bits] = launch!.key.split("|");
    return `${rank} ${bits}`;
  };
  assert.equal(copies([4, 5, 6], [30, 6, 1]), "1 32");
  assert.equal(copies([4, 5, 6], [1, 4, 20]), "3 32");
  assert.equal(copies([1, 1], [1, 1]), "1 32");
  assert.equal(copies([4, 5, 6], [60, 6, 1]), "2 32");
  assert.equal(copies([4, 5, 6], [60, 6, 1], 2 ** 31), "2 64");
  assert.equal(copies([40000, 40000], [1, 40000]), "2 64");
  for (const [shape, strides] of [[[3, 4], [1, 3]], [[3, 1], [1, 1]], [[1], [7]], [[2, 3, 2], [0, 2, 1]]]) {
    const data = Float32Array.from({ length: 20 }, (_, i) => i * i);
    const buffer = cpu.allocate(80), out = cpu.allocate(96), size = shape!.reduce((x, y) => x * y, 1);
    cpu.write(buffer, 0, new Uint8Array(data.buffer));
    const dense = contiguousStrides(shape!);
    const at = { offset: 1, strides: strides!, shape: shape! };
    convert(cpu, { ...at, buffer }, "float32", { ...at, buffer: out, strides: dense, offset: 0 }, "float64");
    const got = [...new Float64Array(cpu.read(out, 0, 8 * size).buffer)];
    const want = got.map((_, i) =>
      data[1 + shape!.reduce((sum, n, d) => sum + Math.floor(i / dense[d]!) % n * strides![d]!, 0)]
    );
    assert.deepEqual(got, want, `${shape}`);
    buffer.release();
    out.release();
  }
});
