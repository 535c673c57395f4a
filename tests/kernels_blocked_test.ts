/** Loops that C runs in blocks, tiles and parts: sizes around their borders, against JavaScript. */
import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import type { ScalarType, TypedArray } from "../src/base/dtype.ts";
import type { Kernel, ScatterMode } from "../kernels/kernel.ts";
import {
  acc,
  b,
  fill,
  kernel,
  load,
  memory,
  monoid,
  native64,
  operand,
  output,
  type Run,
  runC,
  runJs,
  val,
} from "./support/kernels.ts";

const numbers = (n: number) => Array.from({ length: n }, (_, i) => (i * 7919) % 1009 - 504);

/** Runs in both engines, on outputs that begin as they are given; the bits must agree. */
function same(name: string, k: Kernel, run: (outputs: TypedArray[]) => Run, outputs: readonly TypedArray[]): void {
  const results = [runJs, runC].map((engine) => {
    const out = outputs.map((o) => o.slice() as TypedArray);
    engine(k, run(out));
    return out;
  });
  const bytes = (xs: readonly TypedArray[]) => xs.map((x) => Buffer.from(x.buffer, x.byteOffset, x.byteLength));
  const [js, c] = results.map((r) => bytes(r!)) as [Buffer[], Buffer[]];
  assert.ok(c.every((x, i) => x.equals(js[i]!)), name);
}

test("kernels: running sums of what is not negative never fall, across parts too", () => {
  const n = 200_001, x = fill("float32", numbers(n).map((v) => Math.abs(v) * 1e-3)), y = memory("float32", n);
  const k = kernel({
    kind: "scan",
    reduced: 1,
    operands: [operand("float32")],
    body: [load(0, "float32")],
    reduction: monoid("sum", "add", "float32", 0),
    outputs: [output("float32")],
  });
  for (const run of native64 ? [runJs, runC] : [runJs]) {
    run(k, { sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [1] }] });
    for (let i = 1; i < n; i++) assert.ok(y[i]! >= y[i - 1]!);
  }
});

/** Sums of whole numbers, which are exact in any order. */
const reductions = [
  ["float32", "sum", "add", 0],
  ["float64", "max", "max", -Infinity],
  ["int32", "min", "min", 2 ** 31 - 1],
  ["int64", "sum", "add", 0n],
] as const;

if (native64) {
  test("kernels: transposed reads in tiles", () => {
    for (const [dtype, components] of [["float32", 1], ["float64", 1], ["float64", 2], ["uint8", 1]] as const) {
      for (const sizes of [[5, 5], [64, 64], [65, 130], [3, 200], [130, 67], [7, 33, 70], [70, 3, 33], [3, 5, 7, 40]]) {
        const rank = sizes.length, total = sizes.reduce((x, y) => x * y);
        const dense = sizes.map((_, d) => sizes.slice(d + 1).reduce((x, y) => x * y, 1));
        const from = fill(dtype, numbers(total * components));
        const wanted = memory(dtype, total * components);
        const load2 = (c: 0 | 1) => load(0, dtype, c);
        const k = kernel({
          rank,
          operands: [operand(dtype, "strided", { components }), operand(dtype, "unit", { components })],
          body: Array.from(
            { length: components },
            (_, c) => b.binary("add", load2(c as 0 | 1), load(1, dtype, c as 0 | 1)),
          ),
          outputs: [output(dtype, "unit", components)],
        });
        // The first operand read in every order of its axes, forwards and backwards.
        for (const order of orders(rank)) {
          const strides = sizes.map(() => 0);
          let step = 1;
          for (const d of order) {
            strides[d] = step;
            step *= sizes[d]!;
          }
          const flipped = strides.map((s, d) => d === order[0] ? -s : s);
          for (
            const [way, offset] of [[strides, 0], [flipped, strides[order[0]!]! * (sizes[order[0]!]! - 1)]] as const
          ) {
            same(`${dtype} x ${components} [${sizes}] ${way}`, k, ([y]) => ({
              sizes,
              operands: [{ data: from, strides: way, offset }, { data: from, strides: dense }],
              outputs: [{ data: y!, strides: dense }],
            }), [wanted]);
          }
        }
      }
    }
  });

  const sum = (dtype: ScalarType) => monoid("sum", "add", dtype, dtype === "int64" ? 0n : 0);

  test("kernels: scans along outer axes and in parts", () => {
    for (const dtype of ["int64", "int32", "float64"] as const) {
      for (const sizes of [[1, 65_536], [1, 100_003], [7, 66_000], [9, 65_536], [300, 40], [5, 3, 66]]) {
        const rank = sizes.length, total = sizes.reduce((x, y) => x * y);
        const x = fill(dtype, numbers(total)), y = memory(dtype, total);
        const dense = sizes.map((_, d) => sizes.slice(d + 1).reduce((p, q) => p * q, 1));
        // Along the last axis in memory, and along the one before.
        const crossed = [...dense.slice(0, -2), dense.at(-1)!, dense.at(-2)!];
        const turned = [...sizes.slice(0, -2), sizes.at(-1)!, sizes.at(-2)!];
        for (const [shape, strides, access] of [[sizes, dense, "unit"], [turned, crossed, "strided"]] as const) {
          const k = kernel({
            kind: "scan",
            rank,
            reduced: 1,
            operands: [operand(dtype, access)],
            body: [load(0, dtype)],
            reduction: sum(dtype),
            outputs: [output(dtype, access)],
          });
          same(`${dtype} [${shape}]`, k, ([out]) => ({
            sizes: shape,
            operands: [{ data: x, strides }],
            outputs: [{ data: out!, strides }],
          }), [y]);
        }
      }
    }
  });

  test("kernels: reductions of rows around a step of lanes, and of columns around a group of rows", () => {
    const sizes = [[1], [63], [64], [65], [127], [128], [130], [3, 200]];
    const columns = [[70, 1], [70, 3], [5, 4], [70, 5], [33, 8], [70, 9], [1100, 2, 7]];
    for (const [dtype, name, op, init] of reductions) {
      for (const [inner, shapes] of [["last", sizes], ["kept", columns]] as const) {
        for (const shape of shapes) {
          const kept = inner === "kept", rank = shape.length, total = shape.reduce((x, y) => x * y);
          const x = fill(dtype, numbers(total).map((v) => v % 50));
          // Columns lie side by side, and the last row comes first.
          const dense = shape.map((_, d) => shape.slice(d + 1).reduce((x, y) => x * y, 1));
          const rows = [1, ...shape.slice(1).map((_, d) => shape[0]! * shape.slice(d + 2).reduce((x, y) => x * y, 1))];
          const back = rank - 1, strides = kept ? rows.map((s, d) => d === back ? -s : s) : dense;
          const k = kernel({
            kind: "reduce",
            rank,
            reduced: kept ? rank - 1 : rank,
            inner,
            operands: [operand(dtype)],
            body: [b.binary("mul", load(0, dtype), load(0, dtype))],
            reduction: monoid(name, op, dtype, init),
            epilogue: [acc(0, dtype)],
            outputs: [output(dtype, kept ? "unit" : "single")],
          });
          same(`${name} ${dtype} ${inner} [${shape}]`, k, ([y]) => ({
            sizes: shape,
            operands: [{ data: x, strides, offset: kept ? rows[back]! * (shape[back]! - 1) : 0 }],
            outputs: [{ data: y!, strides: kept ? [1, ...rows.slice(1).map(() => 0)] : shape.map(() => 0) }],
          }), [memory(dtype, kept ? shape[0]! : 1)]);
        }
      }
    }
  });

  test("kernels: argmax and argmin far apart", () => {
    for (const dtype of ["float32", "float64", "int32", "int64", "uint8"] as const) {
      const float = dtype.startsWith("float"), big = dtype === "int64";
      for (const name of ["argmax", "argmin"] as const) {
        const [a, v, i, j] = [acc(0, dtype), val(0, dtype), acc(1, "int64"), val(1, "int64")];
        const better = name === "argmax" ? b.binary("lt", a, v) : b.binary("lt", v, a);
        const nan = (e: typeof a) => b.binary("ne", e, e);
        const first = b.binary(
          "and",
          b.binary("or", b.binary("eq", a, v), b.binary("and", nan(a), nan(v))),
          b.binary("lt", j, i),
        );
        const ahead = b.binary("and", b.unary("not", nan(a)), b.binary("or", nan(v), better));
        const take = b.binary("or", ahead, first);
        const worst =
          (float ? Infinity : dtype === "uint8" ? 255 : dtype === "int32" ? 2 ** 31 - 1 : 2n ** 63n - 1n) as number;
        const lowest =
          (float ? -Infinity : dtype === "uint8" ? 0 : dtype === "int32" ? -(2 ** 31) : -(2n ** 63n)) as number;
        const k = kernel({
          kind: "reduce",
          reduced: 1,
          operands: [operand(dtype), operand("int64", "unit", { virtual: true })],
          body: [load(0, dtype), b.make("iota", "int64", [], 1)],
          reduction: {
            name,
            dtypes: [dtype, "int64"],
            init: [name === "argmax" ? lowest : worst, 2n ** 63n - 1n],
            combine: [b.where(take, v, a), b.where(take, j, i)],
          },
          epilogue: [acc(1, "int64")],
          outputs: [output("int64", "single")],
        });
        for (const n of [1, 63, 2048, 2049, 5000]) {
          for (const special of [[], [0], [n - 1], [n >> 1, n - 1], [n - 1, n >> 2]]) {
            const values = numbers(n).map((x) => Math.abs(x) % 100 + 50);
            special.forEach((at, s) =>
              values[at] = float && s === 0 && special.length > 1 ? NaN : name === "argmax" ? 200 : 3
            );
            const x = fill(dtype, values);
            same(`${name} ${dtype} ${n} ${special}${big ? " big" : ""}`, k, ([y]) => ({
              sizes: [n],
              operands: [{ data: x, strides: [1] }, { data: null, strides: [1] }],
              outputs: [{ data: y!, strides: [0] }],
            }), [memory("int64", 1)]);
          }
        }
      }
    }
  });

  test("kernels: scatters of rows and of stacks on threads", () => {
    const rows = 50, columns = 200, n = 700;
    const index = fill("int64", numbers(n).map((v) => Math.abs(v) % rows));
    for (const mode of ["set", "add", "max"] as const satisfies readonly ScatterMode[]) {
      for (const dtype of ["float32", "int64"] as const) {
        const x = fill(dtype, numbers(n * columns));
        const scatter = (access: "unit" | "single", rank: number) =>
          kernel({
            kind: "scatter",
            mode,
            rank,
            operands: [operand(dtype), operand("int64", access === "unit" ? "single" : "unit")],
            body: [load(0, dtype)],
            index: [load(1, "int64")],
            outputs: [output(dtype, access)],
          });
        same(`${mode} ${dtype} rows`, scatter("unit", 2), ([y]) => ({
          sizes: [n, columns],
          operands: [{ data: x, strides: [columns, 1] }, { data: index, strides: [1, 0] }],
          outputs: [{ data: y!, strides: [0, 1, columns] }],
        }), [fill(dtype, numbers(rows * columns))]);
        same(`${mode} ${dtype} stacks`, scatter("single", 2), ([y]) => ({
          sizes: [columns, n],
          operands: [{ data: x, strides: [n, 1] }, { data: index, strides: [0, 1] }],
          outputs: [{ data: y!, strides: [rows, 0, 1] }],
        }), [fill(dtype, numbers(rows * columns))]);
      }
    }
  });
}

function orders(rank: number): number[][] {
  if (rank === 1) return [[0]];
  return orders(rank - 1).flatMap((order) =>
    Array.from({ length: rank }, (_, at) => [...order.slice(0, at), rank - 1, ...order.slice(at)])
  );
}
