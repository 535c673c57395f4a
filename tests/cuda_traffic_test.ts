/** What kernels on a GPU move: transposed operands, running sums of columns, arrays that lie unlike; sectors are counted by the emulator. */
import assert from "node:assert/strict";
import { emulator, gpu } from "./support/cuda.ts";
import { mayCross, planScan, planTile, vectorHead, vectorWidth } from "../kernels/cuda.ts";
import type { Expr } from "../kernels/expr.ts";
import type { Kernel, Monoid, Operand } from "../kernels/kernel.ts";
import type { ScalarType, TypedArray } from "../src/base/dtype.ts";
import { getDevice } from "../src/device/registry.ts";
import { bytesOf, dense, extentOf, numbers, same } from "./support/cuda_same.ts";
import { acc, b, kernel, load, memory, monoid, operand, output, type Run, val } from "./support/kernels.ts";
import { compileTogether, describe, isBlank, test } from "./support/suite.ts";

if (gpu === null) {
  test("cuda traffic: asking for a GPU that is not there is an error", () => {
    assert.throws(() => getDevice("GPU:0"), { name: "DeviceError" });
  });
} else {
  const device = gpu;
  compileTogether(emulator);

  /** Sectors that a kernel moves, over those that its arrays fill; its result is compared too. */
  const excess = (k: Kernel, run: Run, what: string, least = run.sizes.reduce((x, y) => x * y, 1)) => {
    emulator?.traffic(true);
    same(device, k, run, what);
    if (emulator === null || isBlank()) return { read: 1, written: 1 };
    const { read, written } = emulator.sectors();
    emulator.traffic(false);
    const real = k.operands.filter((o) => !o.virtual && o.gathered === 0);
    return { read: read / (least * bytesOf(real) / 32), written: written / (least * bytesOf(k.outputs) / 32) };
  };

  /** A kernel that adds operands as they move along these strides, and a launch of it. */
  const sum = (
    dtype: ScalarType,
    components: 1 | 2,
    sizes: readonly number[],
    strides: readonly (readonly number[])[],
  ) => {
    const last = sizes.length - 1;
    const operands = strides.map((s): Operand =>
      operand(dtype, s[last] === 1 ? "unit" : s[last] === 0 ? "single" : "strided", { components })
    );
    const body = Array.from(
      { length: components },
      (_, c) =>
        strides.map((_, k): Expr => load(k, dtype, c as 0 | 1)).reduce((x, y) =>
          b.binary(dtype === "bool" ? "xor" : "add", x, y)
        ),
    );
    const size = sizes.reduce((x, y) => x * y, 1);
    const k = kernel({ rank: sizes.length, operands, body, outputs: [output(dtype, "unit", components)] });
    const run: Run = {
      sizes,
      operands: strides.map((s, i) => ({ data: numbers(dtype, components * extentOf(sizes, s), i + 1), strides: s })),
      outputs: [{ data: memory(dtype, components * size), strides: dense(sizes) }],
    };
    return { k, run };
  };
  const transposed = (sizes: readonly number[]) => [1, sizes[0]!];

  describe("cuda elementwise kernels with transposed operands", () => {
    const types = [
      ["bool", 1],
      ["float16", 1],
      ["float32", 1],
      ["int64", 1],
      ["float32", 2],
      ["float64", 2],
    ] as const;
    test("read and write whole sectors, for elements of every size", () => {
      for (const [dtype, components] of types) {
        const what = `${dtype} x ${components}`;
        const sizes = dtype === "float64" ? [200, 192] : [256, 320];
        const copy = sum(dtype, components, sizes, [transposed(sizes)]);
        const copied = excess(copy.k, copy.run, `copy of ${what}`);
        const both = sum(dtype, components, sizes, [transposed(sizes), dense(sizes), transposed(sizes)]);
        const added = excess(both.k, both.run, `sum of ${what}`);
        for (const { read, written } of [copied, added]) {
          assert.ok(read <= 1.02 && written <= 1.02, `${what}: ${read} and ${written} times the sectors`);
        }
      }
    });
    test("whatever the lengths and however many loops", () => {
      const cases:
        readonly (readonly [sizes: readonly number[], strides: readonly (readonly number[])[], most: number])[] = [
          // Edges within tiles; rows that begin within sectors are read in one more.
          [[181, 187], [[1, 181], [187, 1]], 1.4],
          [[33, 1025], [[1, 33]], 1.8],
          // Few rows, few columns.
          [[3, 11000], [[1, 3]], 1.1],
          [[2, 20000], [[1, 2]], 1.1],
          [[11000, 5], [[1, 11000]], 1.5],
          [[7, 5000], [[1, 7], [0, 1], [1, 0]], 1.4],
          // Channels first, channels last, and axes reversed.
          [[3, 100, 128], [[1, 384, 3]], 1.1],
          // Runs of 20 bytes.
          [[5, 100, 70], [[1, 5, 500]], 2.5],
          [[12, 30, 20, 8], [[1, 12, 360, 7200], [4800, 160, 8, 1]], 1.5],
          // Backwards, broadcast, and with steps.
          [[64, 600], [[-1, 64]], 1.1],
          [[4, 100, 96], [[0, 1, 100], [9600, 96, 1]], 1.2],
          [[100, 400], [[2, 200]], 2.2],
        ];
      for (const [sizes, strides, most] of cases) {
        const { k, run } = sum("float32", 1, sizes, strides);
        const backwards = {
          ...run,
          operands: run.operands!.map((p) => ({ ...p, offset: p.strides[0]! < 0 ? sizes[0]! - 1 : 0 })),
        };
        assert.ok(mayCross(k) && planTile(k, sizes, (i) => strides[i]!) !== null, `${sizes}`);
        // Operands that stay where they are along rows are small.
        const whole = strides.filter((s) => s.at(-1) !== 0).length;
        const { read, written } = excess(k, backwards, `${sizes} by ${strides.join("; ")}`);
        assert.ok(
          read * strides.length / whole <= most && written <= 1.3,
          `${sizes}: ${read} and ${written} times the sectors`,
        );
      }
    });
    test("where operands are transposed in different ways, and of several sizes", () => {
      const sizes = [20, 40, 50];
      const x = sum("float32", 1, sizes, [[1, 20, 800], [1, 1000, 20], [50, 1, 1000], [2000, 50, 1]]);
      assert.deepEqual(planTile(x.k, sizes, (i) => x.run.operands![i]!.strides)?.crossing, [0, 1]);
      same(device, x.k, x.run, "three ways");
      const types = ["bool", "float16", "float32", "float64"] as const;
      const operands = types.map((dtype) => operand(dtype, "strided"));
      const mixed = kernel({
        rank: 2,
        operands: [...operands, operand("int64", "strided", { virtual: true })],
        body: [
          b.where(load(0, "bool"), b.cast(load(1, "float16"), "float64"), load(3, "float64")),
          b.binary("add", load(2, "float32"), b.cast(b.make("iota", "int64", [], 4), "float32")),
        ],
        outputs: [output("float64"), output("float32")],
      });
      const wide = { ...mixed, wide: true, key: `${mixed.key} wide` };
      for (const k of [mixed, wide]) {
        same(device, k, {
          sizes: [190, 175],
          operands: [
            ...types.map((dtype, i) => ({ data: numbers(dtype, 190 * 175, i + 1), strides: [1, 190] })),
            { data: null, offset: 5, strides: [1, 190] },
          ],
          outputs: k.outputs.map((o) => ({ data: memory(o.dtype, 190 * 175), strides: [175, 1] })),
        }, "several sizes");
      }
      const large = sum("float64", 2, [130, 260], [[1, 130], [1, 130], [1, 130], [1, 130]]);
      assert.equal(planTile(large.k, [130, 260], () => [1, 130])?.crossing.length, 2);
      same(device, large.k, large.run, "more than shared memory holds");
    });
    test("but not where there is nothing to gain", () => {
      const direct = (sizes: readonly number[], strides: readonly (readonly number[])[]) => {
        const { k, run } = sum("float32", 1, sizes, strides);
        assert.equal(planTile(k, sizes, (i) => strides[i]!), null, `${sizes} by ${strides.join("; ")}`);
        return excess(k, run, `${sizes} by ${strides.join("; ")}`);
      };
      direct([300, 300], [[600, 2]]);
      assert.ok(direct([20000, 3], [[1, 20000]]).read < 1.6);
      direct([300, 300], [[300, 1], [1, 0]]);
      // What is counted: a sector for each element.
      if (emulator !== null) assert.ok(direct([96, 128], [[1, 96]]).read >= 7);
    });
  });

  describe("cuda elementwise kernels of arrays that lie unlike", () => {
    test("take the widest groups that all have in common", () => {
      const types = [["bool", 16], ["float16", 8], ["float32", 4], ["float64", 2]] as const;
      for (const [dtype, most] of types) {
        const { k } = sum(dtype, 1, [1], [[1], [1]]);
        assert.equal(vectorWidth(k), most);
        for (let shift = 1; shift <= most; shift *= 2) {
          for (const offsets of [[shift, 0, 0], [1, shift + 1, 1], [3 * shift, shift, 0]]) {
            const n = 32771, what = `${dtype} at ${offsets}`;
            const bytes = offsets.map((at) => at * bytesOf([output(dtype)]));
            let width = most as number;
            while (width > 1 && vectorHead(k, width, [n], bytes, () => [1]) === null) width /= 2;
            assert.equal(width, shift, what);
            const place = (i: number, data: TypedArray) => ({ data, offset: offsets[i]!, strides: [1] });
            const { read, written } = excess(k, {
              sizes: [n],
              operands: [place(0, numbers(dtype, n + 64, 1)), place(1, numbers(dtype, n + 64, 2))],
              outputs: [place(2, memory(dtype, n + 64))],
            }, what);
            // A warp touches one sector more where it begins within one.
            const least = 32 * shift * bytesOf([output(dtype)]) / 32;
            assert.ok(Math.max(read, written) <= 1.12 * (least + 1) / least, `${what}: ${read} and ${written}`);
          }
        }
      }
    });
    test("do so in rows too", () => {
      const { k } = sum("float32", 1, [9, 50], [[50, 1], [0, 1]]);
      assert.equal(vectorHead(k, 4, [9, 50], [0, 0, 0], () => [50, 1]), null);
      assert.equal(vectorHead(k, 2, [9, 50], [0, 0, 0], () => [50, 1]), 0);
      for (const m of [50, 51, 52]) {
        const { k, run } = sum("float32", 1, [90, m], [[m, 1], [0, 1]]);
        same(device, k, run, `90 x ${m}`);
      }
    });
  });

  describe("cuda running reductions", () => {
    /** Running sums of arrays that lie along these strides; of pairs, what depends on the order: maps x -> ±x + d, one after the other. */
    const running = (dtype: ScalarType, components: 1 | 2, sizes: readonly number[], strides: readonly number[]) => {
      const last = sizes.length - 1, access = strides[last] === 1 ? "unit" : "strided";
      const sign = b.where(b.binary("lt", load(0, dtype), b.const(dtype, 50)), b.const(dtype, 1), b.const(dtype, -1));
      const [scale, shift] = [val(0, dtype), val(1, dtype)];
      const maps: Monoid = {
        name: "other",
        dtypes: [dtype, dtype],
        init: [1, 0],
        combine: [
          b.binary("mul", acc(0, dtype), scale),
          b.binary("add", b.binary("mul", acc(1, dtype), scale), shift),
        ],
      };
      const k = kernel({
        kind: "scan",
        rank: sizes.length,
        reduced: 1,
        operands: [operand(dtype, access, { components })],
        body: components === 1 ? [load(0, dtype)] : [sign, load(0, dtype, 1)],
        reduction: components === 1 ? monoid("sum", "add", dtype, 0) : maps,
        outputs: [output(dtype, access, components)],
      });
      const size = components * extentOf(sizes, strides), data = numbers(dtype, size, 3);
      return { k, run: { sizes, operands: [{ data, strides }], outputs: [{ data: memory(dtype, size), strides }] } };
    };
    /** What was chosen for a launch. */
    const planOf = (k: Kernel, run: Run) => {
      const { variant, lanes, warps, chunks } = planScan(k, run.sizes, () => run.operands![0]!.strides);
      return `${variant} ${lanes}x${warps}${chunks > 1 ? " chunks" : ""}`;
    };
    const across = [
      [[40, 300], "block 32x8"],
      [[64, 1200], "block 32x8 chunks"],
      [[5, 3000], "block 8x8 chunks"],
      [[2, 20000], "block 2x8 chunks"],
      [[17, 600], "block 32x8 chunks"],
      [[1000, 12], "thread 32x1"],
    ] as const;
    const along = [
      [[300, 14], "thread 32x1"],
      [[37, 101], "block 1x1"],
      [[4100, 130], "block 1x1"],
      [[9, 4000], "block 1x8"],
      [[3, 13333], "block 1x8 chunks"],
    ] as const;
    const cases = [
      ...across.map(([[m, n], plan]) => ({ sizes: [m, n], strides: [1, m], plan })),
      ...along.map(([[m, n], plan]) => ({ sizes: [m, n], strides: [n, 1], plan })),
      { sizes: [3, 37, 200], strides: [7400, 1, 37], plan: "block 32x8" },
      { sizes: [4, 50, 96], strides: [9600, 192, 1], plan: "block 1x1" },
    ];
    test("are right in every shape of a block, for numbers of every size", () => {
      for (const { sizes, strides, plan } of cases) {
        const all = [["float32", 2], ["uint8", 1], ["float32", 1], ["int64", 1]] as const;
        // Larger arrays tell nothing more of other dtypes.
        for (const [dtype, components] of all.slice(0, sizes[0]! > 4096 ? 1 : 4)) {
          const { k, run } = running(dtype, components, sizes, strides);
          assert.equal(planOf(k, run), plan, `${sizes} by ${strides}`);
          same(device, k, run, `${dtype} x ${components}: ${sizes} by ${strides}`);
        }
      }
    });
    test("read and write whole sectors along rows and across them", () => {
      const all = [
        [[128, 1024], [1, 128], 2, 1],
        [[64, 400], [1, 64], 1, 1],
        // Runs of 12 bytes.
        [[20, 3, 400], [1200, 1, 3], 3.3, 3.3],
        [[4, 16384], [16384, 1], 2, 1],
        [[16, 2048], [2048, 1], 1, 1],
        [[600, 128], [128, 1], 1, 1],
      ] as const;
      for (const [sizes, strides, reads, writes] of all) {
        const { k, run } = running("float32", 1, sizes, strides);
        const { read, written } = excess(k, run, `${sizes}`);
        assert.ok(read <= 1.1 * reads && written <= 1.1 * writes, `${sizes}: ${read} and ${written} times the sectors`);
      }
    });
    test("of rows that are no whole vectors, backwards, and within larger arrays", () => {
      const { k } = running("float32", 1, [6, 999], [999, 1]);
      for (
        const [n, apart, offset, along] of [[999, 999, 0, 1], [1000, 1004, 1, 1], [1000, 1004, 4, 1], [
          500,
          504,
          499,
          -1,
        ]]
      ) {
        const data = numbers("float32", 6 * apart! + 8, 2), place = { offset: offset!, strides: [apart!, along!] };
        const k2 = along === 1
          ? k
          : { ...k, operands: [operand("float32", "strided")], outputs: [output("float32", "strided")] };
        const run = {
          sizes: [6, n!],
          operands: [{ data, ...place }],
          outputs: [{ data: memory("float32", data.length), ...place }],
        };
        same(device, kernel(k2), run, `${n} of ${apart} at ${offset}`);
      }
    });
  });
}
