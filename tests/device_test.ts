import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runtime } from "../ffi/runtime.ts";
import { type Expr, ExprBuilder } from "../kernels/expr.ts";
import { type Kernel, kernelKey, type Operand } from "../kernels/kernel.ts";
import { type DType, dtypeInfo, dtypeNames, type TypedArray } from "../src/base/dtype.ts";
import { DeviceError, DisposedError, OutOfMemoryError } from "../src/base/errors.ts";
import { contiguousStrides, sizeOf } from "../src/base/shape.ts";
import { addressOf } from "../ffi/mem.ts";
import { available } from "../ffi/open.ts";
import { Arena, hostBuffer, sizeClass } from "../src/device/arena.ts";
import { configureCpu, cpu } from "../src/device/cpu.ts";
import type { ArrayArg } from "../src/device/device.ts";
import { kernelCache } from "../src/device/cache.ts";
import { findCompiler } from "../src/device/compiler.ts";
import { buildInfo } from "../src/device/info.ts";
import { toolchain } from "../src/device/native.ts";
import { nullDevice } from "../src/device/null.ts";
import { currentDevice, getDevice, listDevices, setDefault, withDevice } from "../src/device/registry.ts";

type Scalar = number | bigint;

/** An array on the CPU device, with its scalars in reach. */
interface Held extends ArrayArg {
  readonly shape: readonly number[];
  get(at: number): Scalar;
}

const isBig = (dtype: DType): boolean => dtype === "int64" || dtype === "uint64";

const word = new Uint32Array(1), float = new Float32Array(word.buffer);

function bfloat16(value: number): number {
  float[0] = value;
  return Number.isNaN(value) ? 0x7fc0 : word[0]! + 0x7fff + (word[0]! >>> 16 & 1) >>> 16;
}

function fromBfloat16(bits: number): number {
  word[0] = bits << 16;
  return float[0]!;
}

/** An array of given scalars in memory order, under strides. */
function hold(dtype: DType, scalars: readonly number[], shape: readonly number[], strides?: readonly number[]): Held {
  const { scalar } = dtypeInfo(dtype);
  const buffer = cpu.allocate(Math.max(1, scalars.length) * dtypeInfo(scalar).itemsize);
  const view = buffer.memory.view(scalar) as unknown as { [i: number]: Scalar } & TypedArray;
  const base = buffer.byteOffset / dtypeInfo(scalar).itemsize;
  scalars.forEach((v, i) => {
    view[base + i] = isBig(dtype) ? BigInt(v) : dtype === "bfloat16" ? bfloat16(v) : v;
  });
  return {
    buffer,
    offset: 0,
    shape,
    strides: strides ?? contiguousStrides(shape),
    get: (at) => dtype === "bfloat16" ? fromBfloat16(Number(view[base + at])) : view[base + at]!,
  };
}

const zeros = (dtype: DType, shape: readonly number[]): Held =>
  hold(dtype, new Array<number>(sizeOf(shape) * dtypeInfo(dtype).components).fill(0), shape);

/** A generator of small integers, the same every time. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff;
    return (state >>> 8) % below;
  };
}

describe("devices", () => {
  test("are found by TensorFlow's names", () => {
    for (
      const name of ["CPU:0", "cpu:0", "CPU", "/CPU:0", "/device:CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0"]
    ) {
      assert.equal(getDevice(name), cpu);
    }
    assert.equal(getDevice("NULL:0"), nullDevice);
    assert.deepEqual(listDevices().map((d) => d.name), ["CPU:0"]);
  });

  test("that are not there are named with those that are", () => {
    assert.throws(
      () => getDevice("GPU:0"),
      new DeviceError("device: GPU:0 is not there; available: CPU:0; CUDA support is not part of this build yet"),
    );
    assert.throws(() => getDevice("CPU:1"), /^DeviceError: device: CPU:1 is not there; available: CPU:0$/);
    assert.throws(() => getDevice("first one"), /expected a name such as "CPU:0", got "first one"/);
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

/** The engines of matmul: all, each library alone, compiled kernels, JavaScript. */
const engines = [
  ["all", {}],
  ["JavaScript", { engine: "js", onednn: false, openblas: false }],
  ["oneDNN and JavaScript", { engine: "js", openblas: false }],
  ["OpenBLAS and JavaScript", { engine: "js", onednn: false }],
] as const;

/** A stack of matrices of small integers, as it lies in memory. */
function stack(
  dtype: DType,
  batch: readonly number[],
  rows: number,
  columns: number,
  transposed: boolean,
  repeated: boolean,
  random: (below: number) => number,
): Held {
  const { components, kind } = dtypeInfo(dtype);
  const one = rows * columns, count = repeated ? 1 : sizeOf(batch);
  const values = Array.from({ length: count * one * components }, () => {
    const r = random(17);
    return dtype === "bool" ? Number(r > 4) : kind === "u" ? r : r - 8;
  });
  const steps = contiguousStrides(batch).map((s) => repeated ? 0 : s * one);
  return hold(dtype, values, [...batch, rows, columns], [...steps, ...(transposed ? [1, rows] : [columns, 1])]);
}

function offsetOf(x: Held, batchIndex: number, i: number, j: number): number {
  const rank = x.shape.length;
  let at = i * x.strides[rank - 2]! + j * x.strides[rank - 1]!;
  for (let d = rank - 3, rest = batchIndex; d >= 0; d--) {
    at += rest % x.shape[d]! * x.strides[d]!;
    rest = Math.floor(rest / x.shape[d]!);
  }
  return at;
}

/** The exact product, element by element; small integers are exact in every dtype. */
function checkProduct(dtype: DType, a: Held, b: Held, out: Held): void {
  const { components } = dtypeInfo(dtype);
  const rank = out.shape.length, [m, n] = [out.shape[rank - 2]!, out.shape[rank - 1]!], k = a.shape.at(-1)!;
  for (let q = 0; q < sizeOf(out.shape.slice(0, -2)); q++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let re = 0, im = 0;
        for (let p = 0; p < k; p++) {
          const x = offsetOf(a, q, i, p) * components, y = offsetOf(b, q, p, j) * components;
          re += Number(a.get(x)) * Number(b.get(y));
          if (components === 1) continue;
          re -= Number(a.get(x + 1)) * Number(b.get(y + 1));
          im += Number(a.get(x)) * Number(b.get(y + 1)) + Number(a.get(x + 1)) * Number(b.get(y));
        }
        if (dtype === "bool") re = Math.min(re, 1);
        if (dtype === "int8") re = re << 24 >> 24;
        if (dtype === "uint8") re &= 255;
        if (dtype === "bfloat16") re = fromBfloat16(bfloat16(re));
        if (dtype === "float16") re = Math.f16round(re);
        const at = offsetOf(out, q, i, j) * components;
        const right = Number(out.get(at)) === re && (components === 1 || Number(out.get(at + 1)) === im);
        if (!right) {
          assert.fail(`${dtype} [${q}, ${i}, ${j}] of ${m} x ${k} x ${n}: got ${out.get(at)}, expected ${re}`);
        }
      }
    }
  }
}

function matmul(dtype: DType, a: Held, b: Held, out: Held): void {
  const call = cpu.routine({
    key: `matmul ${dtype}`,
    name: "matmul",
    dtypes: [dtype, dtype, dtype],
    params: {},
    epilogue: null,
    comment: "a @ b",
  });
  call({ inputs: [a, b], output: out, operands: [], scalars: [] });
}

for (const [name, config] of engines) {
  describe(`matmul by ${name}`, () => {
    for (const dtype of dtypeNames) {
      test(`multiplies ${dtype} in every layout`, () => {
        configureCpu(config);
        try {
          const random = generator(7);
          for (const [m, k, n] of [[1, 3, 1], [17, 33, 19], [1, 40, 70]] as const) {
            for (const batch of [[], [2, 3]]) {
              for (let layout = 0; layout < 8; layout++) {
                const a = stack(dtype, batch, m, k, (layout & 1) > 0, false, random);
                const b = stack(dtype, batch, k, n, (layout & 2) > 0, (layout & 4) > 0, random);
                const out = zeros(dtype, [...batch, m, n]);
                matmul(dtype, a, b, out);
                checkProduct(dtype, a, b, out);
              }
            }
          }
        } finally {
          configureCpu(null);
        }
      });
    }

    test("takes any strides, and sums of nothing", () => {
      configureCpu(config);
      try {
        const random = generator(3);
        const values = Array.from({ length: 4000 }, () => random(9) - 4);
        for (const dtype of ["float32", "float64", "complex64", "int32", "float16"] as const) {
          const whole = hold(dtype, values, [1]);
          const strided: Held = { ...whole, shape: [20, 30], strides: [61, 2], offset: 0 };
          const backward: Held = {
            ...whole,
            shape: [30, 20],
            strides: [-40, -1],
            get: (at) => whole.get(at + 1300 * dtypeInfo(dtype).components),
            offset: 1300,
          };
          const repeated: Held = { ...whole, shape: [30, 20], strides: [0, 3] };
          for (const b of [backward, repeated]) {
            const out = zeros(dtype, [20, 20]);
            matmul(dtype, strided, b, out);
            checkProduct(dtype, strided, b, out);
            const spread: Held = { ...zeros(dtype, [1600]), shape: [20, 20], strides: [80, 2] };
            matmul(dtype, strided, b, spread);
            checkProduct(dtype, strided, b, spread);
          }
          const nothing = hold(dtype, [1, 1, 1, 1, 1, 1, 1, 1], [2, 2]);
          matmul(dtype, hold(dtype, [], [2, 0]), hold(dtype, [], [0, 2]), nothing);
          assert.deepEqual([0, 1, 2, 3].map((i) => Number(nothing.get(i))), [0, 0, 0, 0]);
        }
      } finally {
        configureCpu(null);
      }
    });
  });
}

/** Epilogues over acc, a bias row (operand 0), a residual (operand 1) and a scalar: what they compute, and how. */
const epilogues: readonly (readonly [
  string,
  (b: ExprBuilder, acc: Expr, load: (k: number) => Expr, s: Expr) => Expr,
  (
    acc: number,
    bias: number,
    residual: number,
  ) => number,
])[] = [
  ["add bias", (b, acc, load) => b.binary("add", acc, load(0)), (acc, bias) => acc + bias],
  [
    "relu of a sum with bias",
    (b, acc, load) => b.binary("max", b.binary("add", load(0), acc), b.const("float32", 0)),
    (acc, bias) => Number.isNaN(acc + bias) ? NaN : Math.max(acc + bias, 0),
  ],
  [
    "tanh of a sum with bias, plus residual",
    (b, acc, load) => b.binary("add", b.unary("tanh", b.binary("add", acc, load(0))), load(1)),
    (acc, bias, residual) => Math.tanh(acc + bias) + residual,
  ],
  [
    "logistic",
    (b, acc) => {
      const one = b.const("float32", 1);
      return b.binary("div", one, b.binary("add", one, b.unary("exp", b.unary("neg", acc))));
    },
    (acc) => 1 / (1 + Math.exp(-acc)),
  ],
  [
    "scaled residual",
    (b, acc, load, s) => b.binary("sub", b.binary("mul", acc, s), load(1)),
    (acc, _, residual) => acc * 0.25 - residual,
  ],
];

for (const [name, config] of engines) {
  describe(`the epilogue of matmul by ${name}`, () => {
    for (const [title, make, compute] of epilogues) {
      test(`is ${title}`, () => {
        configureCpu(config);
        try {
          const b = new ExprBuilder();
          const load = (operand: number) => b.make("load", "float32", [], { operand, component: 0 });
          const body = make(b, b.make("acc", "float32", [], 0), load, b.make("scalar", "float32", [], 0));
          const operand: Operand = { dtype: "float32", components: 1, access: "unit", virtual: false, gathered: 0 };
          const call = cpu.routine({
            key: `matmul ${title}`,
            name: "matmul",
            dtypes: ["float32", "float32", "float32"],
            params: {},
            epilogue: {
              operands: [operand, operand],
              scalars: ["float32"],
              body: [body],
              output: { dtype: "float32", components: 1, access: "unit" },
            },
            comment: title,
          });
          const random = generator(2);
          for (const batch of [[], [3]]) {
            for (const [m, k, n] of [[2, 3, 4], [24, 31, 32]] as const) {
              const values = (count: number) => Array.from({ length: count }, () => random(17) / 8 - 1);
              const shape = [...batch, m, n], rank = shape.length, count = sizeOf(shape);
              const a = values(sizeOf(batch) * m * k), w = values(k * n), bias = values(n), residual = values(count);
              bias[1] = NaN;
              const out = zeros("float32", shape);
              const x = hold("float32", a, [...batch, m, k]), y = hold("float32", w, [k, n]);
              const row = hold("float32", bias, [n]);
              call({
                inputs: [x, y],
                output: out,
                operands: [
                  { buffer: row.buffer, offset: 0, strides: [...new Array<number>(rank - 1).fill(0), 1] },
                  hold("float32", residual, shape),
                ],
                scalars: [0.25],
              });
              for (let i = 0; i < count; i++) {
                let acc = 0;
                for (let p = 0; p < k; p++) acc += a[Math.floor(i / n) * k + p]! * w[p * n + i % n]!;
                const expected = compute(acc, bias[i % n]!, residual[i]!), got = Number(out.get(i));
                const near = Math.abs(got - expected) <= 1e-5 * Math.max(1, Math.abs(expected));
                if (!near && !Object.is(got, expected)) {
                  assert.fail(`[${i}] of [${shape}]: got ${got}, expected ${expected}`);
                }
              }
            }
          }
        } finally {
          configureCpu(null);
        }
      });
    }
  });
}

/** NumPy's order of two numbers: NaN last. */
const before = (a: Scalar, b: Scalar): boolean => a < b || (b !== b && a === a);

/** NumPy's order of two complex numbers. */
function complexBefore([ar, ai]: readonly Scalar[], [br, bi]: readonly Scalar[]): boolean {
  if (ar! < br!) return ai === ai || bi !== bi;
  if (ar! > br!) return bi !== bi && ai === ai;
  if (ar === br || (ar !== ar && br !== br)) return before(ai!, bi!);
  return br !== br;
}

function sortRoutine(name: "sort" | "argsort" | "searchsorted", dtype: DType, side = "left") {
  const integers = name === "sort" ? dtype : "int64";
  const dtypes = name === "searchsorted" ? [dtype, dtype, integers] : [dtype, integers];
  return cpu.routine({
    key: `${name} ${dtype} ${side}`,
    name,
    dtypes,
    params: { side },
    epilogue: null,
    comment: name,
  });
}

describe("sorting", () => {
  const special = [NaN, Infinity, -Infinity, 0, -0, 1.5, -1.5];
  const compare = (dtype: DType, x: Held) => (i: number, j: number): boolean =>
    dtypeInfo(dtype).components === 2
      ? complexBefore([x.get(2 * i), x.get(2 * i + 1)], [x.get(2 * j), x.get(2 * j + 1)])
      : before(x.get(i), x.get(j));

  for (const dtype of dtypeNames) {
    test(`of ${dtype} is stable with NaN last, in few and many`, () => {
      const { components, kind } = dtypeInfo(dtype), random = generator(11);
      for (const n of [1, 2, 7, 48, 49, 1000, 9000]) {
        const values = Array.from({ length: 2 * n * components }, () => {
          if (kind === "f" || kind === "c") return random(4) === 0 ? special[random(7)]! : random(n) - n / 2;
          return dtype === "bool" ? random(2) : kind === "u" ? random(200) : random(250) - 125;
        });
        // Two rows, the elements of each apart by two.
        const x = hold(dtype, values, [2, n], [1, 2]);
        const values2 = zeros(dtype, [2, n]), positions = zeros("int64", [2, n]);
        sortRoutine("sort", dtype)({ inputs: [x], output: values2, operands: [], scalars: [] });
        sortRoutine("argsort", dtype)({ inputs: [x], output: positions, operands: [], scalars: [] });
        const less = compare(dtype, x);
        for (let row = 0; row < 2; row++) {
          const order = Array.from({ length: n }, (_, i) => row + 2 * i);
          order.sort((i, j) => less(i, j) ? -1 : less(j, i) ? 1 : i - j);
          const got = order.map((_, i) => 2 * Number(positions.get(row * n + i)) + row);
          assert.deepEqual(got, order);
          for (let i = 0; i < n; i++) {
            for (let c = 0; c < components; c++) {
              assert.ok(Object.is(values2.get((row * n + i) * components + c), x.get(order[i]! * components + c)));
            }
          }
        }
      }
    });

    test(`searchsorted finds both sides among ${dtype}`, () => {
      const { components, kind } = dtypeInfo(dtype), random = generator(5);
      const make = (n: number) =>
        hold(
          dtype,
          Array.from({ length: n * components }, () => {
            if (kind === "f" || kind === "c") return random(5) === 0 ? special[random(7)]! : random(20) - 10;
            return dtype === "bool" ? random(2) : random(100);
          }),
          [n],
        );
      const n = 60, sorted = zeros(dtype, [n]), wanted = make(40);
      sortRoutine("sort", dtype)({ inputs: [make(n)], output: sorted, operands: [], scalars: [] });
      const element = (x: Held, i: number) => components === 2 ? [x.get(2 * i), x.get(2 * i + 1)] : [x.get(i)];
      const less = (a: readonly Scalar[], b: readonly Scalar[]) =>
        components === 2 ? complexBefore(a, b) : before(a[0]!, b[0]!);
      for (const side of ["left", "right"]) {
        const out = zeros("int64", [40]);
        sortRoutine("searchsorted", dtype, side)({ inputs: [sorted, wanted], output: out, operands: [], scalars: [] });
        for (let i = 0; i < 40; i++) {
          const v = element(wanted, i);
          let at = 0;
          while (at < n && (side === "left" ? less(element(sorted, at), v) : !less(v, element(sorted, at)))) at++;
          assert.equal(Number(out.get(i)), at);
        }
      }
    });
  }

  test("of complex numbers keeps NumPy's groups of NaN", () => {
    // np.sort of these in NumPy 2.4, with -0.0 and 0.0 in their order of appearance.
    const x = hold("complex128", [NaN, 1, 2, NaN, 1, 5, NaN, NaN, 1, NaN, 1, -3, NaN, 0, 0, 2, -0, 1], [9]);
    const out = zeros("int64", [9]);
    sortRoutine("argsort", "complex128")({ inputs: [x], output: out, operands: [], scalars: [] });
    assert.deepEqual(Array.from({ length: 9 }, (_, i) => Number(out.get(i))), [8, 7, 5, 2, 4, 1, 6, 0, 3]);
  });
});

const hasCompiler = available().ok && "path" in findCompiler();

/** Runs with environment variables, a cache folder of its own, and warnings caught. */
function withEnvironment(variables: Record<string, string>, run: (folder: string, warnings: string[]) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "tnp-test-")), warnings: string[] = [];
  const all: Record<string, string> = { TNP_CACHE_DIR: join(folder, "cache"), TMPDIR: folder, ...variables };
  const old = Object.keys(all).map((name) => [name, process.env[name]] as const);
  const warn = console.warn;
  console.warn = (text: string) => void warnings.push(text);
  try {
    Object.assign(process.env, all);
    configureCpu({ engine: "c" });
    run(folder, warnings);
  } finally {
    console.warn = warn;
    for (const [name, value] of old) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    configureCpu(null);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A map kernel over float64 vectors. */
function mapKernel(body: (b: ExprBuilder, x: Expr) => Expr, comment: string): Kernel {
  const b = new ExprBuilder();
  const unit = { dtype: "float64", components: 1, access: "unit" } as const;
  const fields: Omit<Kernel, "key"> = {
    kind: "map",
    rank: 1,
    reduced: 0,
    inner: "last",
    operands: [{ ...unit, virtual: false, gathered: 0 }],
    scalars: [],
    body: [body(b, b.make("load", "float64", [], { operand: 0, component: 0 }))],
    reduction: null,
    epilogue: null,
    index: [],
    mode: null,
    outputs: [unit],
    wide: false,
    comment,
  };
  return { ...fields, key: kernelKey(fields) };
}

const square = mapKernel((b, x) => b.binary("mul", x, x), "x * x");

/** Runs a map kernel over 0, 1, 2, ... */
function runMap(kernel: Kernel, n: number): number[] {
  const x = hold("float64", Array.from({ length: n }, (_, i) => i), [n]), y = zeros("float64", [n]);
  cpu.kernel(kernel)({ sizes: [n], operands: [x], outputs: [y], scalars: [] });
  return Array.from({ length: n }, (_, i) => Number(y.get(i)));
}

const squares = Array.from({ length: 10 }, (_, i) => i * i);

function child(variables: Record<string, string>, flags: readonly string[] = ["-A"]): Promise<Record<string, unknown>> {
  const script = fileURLToPath(new URL("./device_child.ts", import.meta.url));
  const args = runtime.name === "deno" ? ["run", "--no-check", ...flags, script] : [script];
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
  // Through a variable, because Deno's node:child_process adds all permissions to a command that names Deno.
  const process_ = spawn("/bin/sh", ["-c", 'exec "$TNP_TEST_RUNTIME" "$@"', "sh", ...args], {
    env: { ...process.env, ...variables, TNP_TEST_RUNTIME: process.execPath },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "", err = "";
  process_.stdout!.on("data", (data) => out += data);
  process_.stderr!.on("data", (data) => err += data);
  process_.on("error", reject);
  process_.on("close", (code) => {
    if (code !== 0) reject(new Error(`ended with ${code}: ${err}`));
    else resolve({ ...JSON.parse(out), err });
  });
  return promise;
}

describe("the kernel cache", () => {
  test("is a folder of the user's own with readable sources", () => {
    withEnvironment({}, (folder, warnings) => {
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(warnings, []);
      if (!hasCompiler) return assert.equal(toolchain().ok, false);
      const cache = join(folder, "cache");
      assert.equal(lstatSync(cache).mode & 0o777, 0o700);
      const sources = readdirSync(cache).filter((name) => name.endsWith(".c"));
      assert.ok(sources.some((name) => readFileSync(join(cache, name), "utf8").includes("x * x")));
      assert.equal(readdirSync(cache).some((name) => name.startsWith("tmp-")), false);
      assert.equal(readdirSync(cache).filter((name) => name.endsWith(".so")).length, sources.length);
    });
  });

  test("makes damaged entries again", () => {
    for (const damage of ["truncated", "overwritten", "not a library"]) {
      withEnvironment({}, (folder, warnings) => {
        runMap(square, 10);
        const cache = join(folder, "cache");
        if (!hasCompiler) return assert.equal(toolchain().ok, false);
        const [name] = readdirSync(cache).filter((file) =>
          file.endsWith(".c") && readFileSync(join(cache, file), "utf8").includes("/* x * x */")
        );
        const library = join(cache, name!.replace(/c$/, "so"));
        const good = readFileSync(library);
        // The process has the first file open, so a new one takes its place.
        rmSync(library);
        if (damage === "not a library") {
          writeFileSync(library, "x");
        } else {
          writeFileSync(library, good);
          if (damage === "truncated") truncateSync(library, good.length - 100);
          else writeFileSync(library, good.fill(0, 1000, 1010));
        }
        configureCpu({ engine: "c" });
        assert.deepEqual(runMap(square, 10), squares);
        assert.equal(readFileSync(library).length, good.length, damage);
        assert.deepEqual(warnings, []);
      });
    }
  });

  test("refuses links and folders that others may write to, with one warning", () => {
    withEnvironment({}, (folder, warnings) => {
      const cache = join(folder, "cache"), other = join(folder, "other");
      mkdirSync(other, { mode: 0o700 });
      symlinkSync(other, cache);
      const used = kernelCache();
      assert.equal(used?.lasting, false);
      assert.equal(lstatSync(used!.folder).mode & 0o777, 0o700);
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(readdirSync(other), []);
      kernelCache();
      assert.deepEqual(warnings, [
        `tnp: the kernel cache ${cache} is not used: it is a symbolic link; set TNP_CACHE_DIR to a folder of your own`,
      ]);
    });
    for (const mode of [0o770, 0o707, 0o777]) {
      withEnvironment({}, (folder, warnings) => {
        const cache = join(folder, "cache");
        mkdirSync(cache);
        chmodSync(cache, mode);
        assert.equal(kernelCache()?.lasting, false);
        assert.match(warnings.join("\n"), new RegExp(`others may write to it \\(mode ${mode.toString(8)}\\)`));
        assert.deepEqual(readdirSync(cache), []);
      });
    }
  });

  test("works where nothing can be written", () => {
    withEnvironment({ TNP_CACHE_DIR: "/proc/tnp", TMPDIR: "/proc" }, (_, warnings) => {
      assert.equal(kernelCache(), null);
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(warnings, []);
      assert.equal(toolchain().ok, false);
    });
  });

  test("serves two processes at once", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tnp-test-"));
    try {
      const variables = { TNP_CACHE_DIR: join(folder, "cache") };
      const results = await Promise.all([child(variables), child(variables), child(variables)]);
      for (const { sum, compiled, err } of results) {
        assert.equal(sum, 333333000);
        assert.equal(compiled, hasCompiler);
        assert.equal(err, "");
      }
      if (existsSync(variables.TNP_CACHE_DIR)) {
        assert.equal(readdirSync(variables.TNP_CACHE_DIR).some((name) => name.startsWith("tmp-")), false);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("the compiler", () => {
  test("is hidden by TNP_CC=none without a word", () => {
    withEnvironment({ TNP_CC: "none" }, (_, warnings) => {
      assert.deepEqual(runMap(square, 10), squares);
      assert.deepEqual(toolchain(), { ok: false, reason: available().ok ? "hidden by TNP_CC=none" : reasonOf() });
      assert.deepEqual(warnings, []);
      assert.equal(buildInfo().compiler.found, false);
    });
  });

  test("that fails is replaced by JavaScript with one warning that shows its message", () => {
    if (!available().ok) return assert.equal(toolchain().ok, false);
    const script = (folder: string, text: string): string => {
      const path = join(folder, "compiler");
      writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o700 });
      return path;
    };
    withEnvironment({ TNP_CC: "" }, (folder, warnings) => {
      process.env["TNP_CC"] = script(folder, 'echo "compiler: out of luck" >&2; exit 3');
      for (let i = 0; i < 3; i++) assert.deepEqual(runMap(square, 10), squares);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /the C compiler does not work.*ended with status 3: compiler: out of luck/s);
    });
    const found = findCompiler();
    if (!("path" in found)) return;
    withEnvironment({ TNP_CC: "" }, (folder, warnings) => {
      // A compiler that works until it is given the kernel.
      const refuse = `for a; do case $a in *.c) grep -q cube "$a" && echo "kernel refused" >&2 && exit 1;; esac; done`;
      process.env["TNP_CC"] = script(folder, `${refuse}; exec ${found.path} "$@"`);
      const cube = mapKernel((b, x) => b.binary("mul", x, b.binary("mul", x, x)), "cube(x)");
      for (let i = 0; i < 3; i++) assert.deepEqual(runMap(cube, 4), [0, 1, 8, 27]);
      assert.deepEqual(runMap(square, 10), squares);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /a kernel could not be compiled, JavaScript runs it: .*kernel refused/s);
    });
  });

  if (runtime.name === "deno") {
    test("and native calls are left alone without permission, and nothing prompts", async () => {
      for (const flags of [["--no-prompt"], ["--allow-ffi", "--allow-read"], ["--allow-env"]]) {
        const { sum, compiled, err, reason } = await child({}, flags);
        assert.equal(sum, 333333000);
        assert.equal(compiled, false);
        assert.match(String(reason), /--allow-/);
        assert.equal(err, "");
      }
    });
  }
});

function reasonOf(): string {
  const state = available();
  return state.ok ? "" : state.reason;
}

describe("kernels in C and in JavaScript", () => {
  /** Everything an argument block can hold: negative strides, offsets, slabs, complex, virtual operands, all kinds of scalars. */
  function busyKernel(): Kernel {
    const b = new ExprBuilder();
    const load = (operand: number, dtype: "float64" | "int64" | "float32", component: 0 | 1 = 0) =>
      b.make("load", dtype, [], { operand, component });
    const operand = (dtype: "float64" | "int64" | "float32", components: 1 | 2, virtual = false): Operand => ({
      dtype,
      components,
      access: "strided",
      virtual,
      gathered: 0,
    });
    const position = b.make("iota", "int64", [], 2);
    const fields: Omit<Kernel, "key"> = {
      kind: "map",
      rank: 2,
      reduced: 0,
      inner: "last",
      operands: [operand("float32", 2), operand("int64", 1), operand("int64", 1, true)],
      scalars: ["float64", "int64", "uint64", "bool", "float32"],
      body: [
        b.binary("add", load(0, "float32"), b.make("scalar", "float32", [], 4)),
        b.binary("mul", load(0, "float32", 1), b.cast(b.make("scalar", "float64", [], 0), "float32")),
        b.binary("add", b.binary("add", load(1, "int64"), position), b.make("scalar", "int64", [], 1)),
        b.where(b.make("scalar", "bool", [], 3), b.make("scalar", "uint64", [], 2), b.cast(position, "uint64")),
      ],
      reduction: null,
      epilogue: null,
      index: [],
      mode: null,
      outputs: [
        { dtype: "float32", components: 2, access: "unit" },
        { dtype: "int64", components: 1, access: "unit" },
        { dtype: "uint64", components: 1, access: "unit" },
      ],
      wide: true,
      comment: "busy",
    };
    return { ...fields, key: kernelKey(fields) };
  }

  test("read the same arguments", () => {
    const run = (engine: "js" | "c"): string[] => {
      configureCpu({ engine });
      try {
        cpu.allocate(64);
        const z = hold("complex64", Array.from({ length: 60 }, (_, i) => i / 4 - 3), [30]);
        const i = hold("int64", Array.from({ length: 40 }, (_, k) => 3 * k - 2 ** 40), [40]);
        const outputs = [zeros("complex64", [3, 4]), zeros("int64", [3, 4]), zeros("uint64", [3, 4])];
        const texts: string[] = [];
        for (const flag of [0, 1]) {
          cpu.kernel(busyKernel())({
            sizes: [3, 4],
            operands: [
              { buffer: z.buffer, offset: 29, strides: [-8, -2] },
              { buffer: i.buffer, offset: 5, strides: [1, 9] },
              { buffer: null, offset: -(2 ** 45), strides: [2 ** 40, -3] },
            ],
            outputs,
            scalars: [0.1, -(2n ** 62n) - 1n, 2n ** 64n - 1n, flag, 0.1],
          });
          for (const out of outputs) {
            const n = 12 * dtypeInfo(out === outputs[0] ? "complex64" : "int64").components;
            texts.push(Array.from({ length: n }, (_, k) => String(out.get(k))).join());
          }
        }
        return texts;
      } finally {
        configureCpu(null);
      }
    };
    assert.deepEqual(run("c"), run("js"));
  });

  test("multiply matrices alike", () => {
    configureCpu({ engine: "c", onednn: false, openblas: false });
    try {
      const random = generator(9);
      for (const dtype of ["bool", "int8", "int64", "float16", "float32"] as const) {
        for (const transposed of [false, true]) {
          const a = stack(dtype, [2], 20, 30, false, false, random);
          const b = stack(dtype, [2], 30, 25, transposed, false, random);
          const out = zeros(dtype, [2, 20, 25]);
          matmul(dtype, a, b, out);
          checkProduct(dtype, a, b, out);
        }
      }
    } finally {
      configureCpu(null);
    }
  });
});
