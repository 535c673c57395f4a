/** How kernels on a GPU go through memory: groups of neighbours, heads and tails, broadcasts, steps; against the same kernels in JavaScript. */
import assert from "node:assert/strict";
import { emulator, gpu, runCuda } from "./support/cuda.ts";
import { alike, dense, numbers, raw, same as sameOn } from "./support/cuda_same.ts";
import { mapUnroll, planReduce, vectorWidth } from "../kernels/cuda.ts";
import type { Expr } from "../kernels/expr.ts";
import type { Kernel } from "../kernels/kernel.ts";
import type { ScalarType } from "../src/base/dtype.ts";
import { getDevice } from "../src/device/registry.ts";
import { acc, b, kernel, load, memory, monoid, operand, output, type Run } from "./support/kernels.ts";
import { compileTogether, describe, test } from "./support/suite.ts";

const f = (k: number, dtype: ScalarType): Expr => load(k, dtype);
const add = b.binary("add", f(0, "float32"), f(1, "float32"));

if (gpu === null) {
  test("cuda layouts: asking for a GPU that is not there is an error", () => {
    assert.throws(() => getDevice("GPU:0"), { name: "DeviceError" });
  });
} else {
  const device = gpu;
  compileTogether(emulator);
  const same = (k: Kernel, run: Run, what: string) => sameOn(device, k, run, what);

  describe("cuda elementwise kernels in groups", () => {
    test("of lengths and places that begin or end within a group", () => {
      const k = kernel({
        operands: [operand("float32"), operand("float32")],
        body: [add],
        outputs: [output("float32")],
      });
      assert.equal(vectorWidth(k), 4);
      assert.equal(mapUnroll(k, 4), 2);
      for (const n of [1, 2, 3, 4, 5, 8, 31, 1025, 2049, 5003]) {
        for (const [x, y, z] of [[0, 0, 0], [1, 1, 1], [2, 2, 2], [7, 3, 3], [1, 0, 0], [0, 1, 2]] as const) {
          same(k, {
            sizes: [n],
            operands: [
              { data: numbers("float32", n + 8, 1), offset: x, strides: [1] },
              { data: numbers("float32", n + 8, 2), offset: y, strides: [1] },
            ],
            outputs: [{ data: memory("float32", n + 8), offset: z, strides: [1] }],
          }, `${n} at ${x}, ${y}, ${z}`);
        }
      }
    });
    test("of items of several sizes", () => {
      const body = [
        b.cast(b.where(f(1, "bool"), f(0, "float32"), b.cast(f(2, "float16"), "float32")), "float16"),
        b.binary("lt", f(0, "float32"), b.cast(f(2, "float16"), "float32")),
        b.cast(f(0, "float32"), "float64"),
      ];
      const all = kernel({
        operands: [operand("float32"), operand("bool"), operand("float16")],
        body,
        outputs: body.map((e) => output(e.dtype)),
      });
      const narrow = kernel({
        operands: [operand("float32"), operand("bool"), operand("float16")],
        body: body.slice(0, 2),
        outputs: body.slice(0, 2).map((e) => output(e.dtype)),
      });
      const bytes = kernel({
        operands: [operand("bool"), operand("bool")],
        body: [b.binary("xor", f(0, "bool"), f(1, "bool"))],
        outputs: [output("bool")],
      });
      assert.deepEqual([all, narrow, bytes].map(vectorWidth), [2, 4, 16]);
      for (const [k, sources] of [[all, ["float32", "bool", "float16"]], [bytes, ["bool", "bool"]]] as const) {
        for (const k2 of k === all ? [all, narrow] : [bytes]) {
          for (const [n, at] of [[3, 0], [17, 3], [4099, 0], [4099, 5]] as const) {
            same(k2, {
              sizes: [n],
              operands: sources.map((d, i) => ({ data: numbers(d, n + 8, i + 1), offset: at, strides: [1] })),
              outputs: k2.outputs.map((o) => ({ data: memory(o.dtype, n + 8), offset: at, strides: [1] })),
            }, `${n} at ${at}`);
          }
        }
      }
    });
    test("of complex numbers", () => {
      const k = kernel({
        operands: [operand("float32", "unit", { components: 2 })],
        body: [load(0, "float32", 1), b.unary("neg", load(0, "float32", 0))],
        outputs: [output("float32", "unit", 2)],
      });
      for (const n of [1, 2, 1031]) {
        for (const at of [0, 1]) {
          same(k, {
            sizes: [n],
            operands: [{ data: numbers("float32", 2 * n + 4, 1), offset: at, strides: [1] }],
            outputs: [{ data: memory("float32", 2 * n + 4), offset: at, strides: [1] }],
          }, `${n} at ${at}`);
        }
      }
    });
    test("with rows and columns broadcast, rows apart, and rows that are no whole groups", () => {
      const row = kernel({
        rank: 2,
        operands: [operand("float32"), operand("float32")],
        body: [add],
        outputs: [output("float32")],
      });
      const column = kernel({ ...row, operands: [operand("float32"), operand("float32", "single")] });
      for (const [n, m, apart] of [[5, 64, 64], [7, 64, 68], [7, 64, 67], [9, 33, 33], [300, 4, 4], [3, 2000, 2000]]) {
        const base = {
          sizes: [n!, m!],
          outputs: [{ data: memory("float32", n! * apart!), strides: [apart!, 1] }],
        };
        const x = { data: numbers("float32", n! * apart!, 1), strides: [apart!, 1] };
        const bias = numbers("float32", Math.max(n!, m!), 2);
        const what = `${n} x ${m} of ${apart}`;
        same(row, { ...base, operands: [x, { data: bias, strides: [0, 1] }] }, `row, ${what}`);
        same(column, { ...base, operands: [x, { data: bias, strides: [1, 0] }] }, `column, ${what}`);
      }
    });
    test("with steps, positions and gathered elements beside contiguous ones", () => {
      const k = kernel({
        rank: 2,
        operands: [
          operand("float32"),
          operand("float32", "strided"),
          operand("int64", "unit", { virtual: true }),
          operand("float32", "single", { gathered: 1 }),
        ],
        body: [
          b.binary(
            "add",
            b.binary("add", f(0, "float32"), f(1, "float32")),
            b.binary(
              "mul",
              b.cast(b.make("iota", "int64", [], 2), "float32"),
              b.make("gather", "float32", [b.cast(f(0, "float32"), "int64")], { operand: 3, component: 0 }),
            ),
          ),
        ],
        outputs: [output("float32")],
      });
      assert.equal(vectorWidth(k), 4);
      for (const [n, m] of [[5, 40], [5, 41]] as const) {
        same(k, {
          sizes: [n, m],
          operands: [
            { data: numbers("float32", n * m, 1), strides: [m, 1] },
            { data: numbers("float32", n * m * 2, 2), offset: 2 * m - 2, strides: [2 * m, -2] },
            { data: null, offset: 3, strides: [m, 1] },
            { data: numbers("float32", 100, 3), strides: [0, 0, 1] },
          ],
          outputs: [{ data: memory("float32", n * m), strides: [m, 1] }],
        }, `${n} x ${m}`);
      }
    });
  });

  describe("cuda reductions in groups", () => {
    const sum = (rank: number, reduced: number, inner: "last" | "kept"): Kernel =>
      kernel({
        kind: "reduce",
        rank,
        reduced,
        inner,
        operands: [operand("float32")],
        body: [f(0, "float32")],
        reduction: monoid("sum", "add", "float32", 0),
        epilogue: [acc(0, "float32")],
        outputs: [output("float32", inner === "last" && rank > reduced ? "strided" : "unit")],
      });
    const cases: readonly (readonly [Kernel, readonly number[], readonly number[]])[] = [
      [sum(1, 1, "last"), [1], [1]],
      [sum(1, 1, "last"), [1000], [1]],
      [sum(1, 1, "last"), [100003], [1]],
      [sum(2, 1, "last"), [37, 3], dense([37, 3])],
      [sum(2, 1, "last"), [37, 64], dense([37, 64])],
      [sum(2, 1, "last"), [37, 65], dense([37, 65])],
      [sum(2, 1, "last"), [5, 5000], dense([5, 5000])],
      [sum(3, 2, "last"), [6, 33, 40], dense([6, 33, 40])],
      [sum(3, 2, "last"), [6, 33, 41], dense([6, 33, 41])],
      [sum(2, 1, "kept"), [200, 1000], [1, 200]],
      [sum(2, 1, "kept"), [201, 700], [1, 201]],
      [sum(3, 1, "kept"), [3, 72, 500], [72 * 500, 1, 72]],
      [sum(3, 1, "kept"), [3, 71, 500], [71 * 500, 1, 71]],
    ];
    test("are right, and the same bits wherever the array lies", () => {
      const variants = new Set<string>();
      for (const [k, sizes, strides] of cases) {
        const size = sizes.reduce((x, y) => x * y, 1), kept = sizes.slice(0, k.rank - k.reduced);
        const results = kept.reduce((x, y) => x * y, 1);
        variants.add(planReduce(k, sizes).variant);
        const at = (offset: number, exact: boolean) => {
          const data = memory("float32", size + 4);
          const values = numbers("float32", size, 3) as Float32Array;
          data.set((exact ? values : values.map((v) => Math.fround(v / 7))) as Float32Array & BigInt64Array, offset);
          const out = memory("float32", results);
          const run = {
            sizes,
            operands: [{ data, offset, strides }],
            outputs: [{ data: out, strides: [...dense(kept), ...sizes.slice(kept.length).map(() => 0)] }],
          };
          if (exact) same(k, run, `${sizes}`);
          else runCuda(device, k, run);
          return raw(out);
        };
        at(0, true);
        alike(at(1, false), at(0, false), `${sizes}`);
      }
      assert.deepEqual([...variants].sort(), ["block", "columns", "rows"]);
    });
  });
}
