import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Expr, ExprBuilder } from "../kernels/expr.ts";
import type { Operand } from "../kernels/kernel.ts";
import { dtypeInfo, dtypeNames } from "../src/base/dtype.ts";
import { sizeOf } from "../src/base/shape.ts";
import { configureCpu, cpu } from "../src/device/cpu.ts";
import { checkProduct, generator, type Held, hold, matmul, stack, zeros } from "./support/device.ts";

/** The engines of matmul: all, each library alone, compiled kernels, WebAssembly, JavaScript. */
const engines = [
  ["all", {}],
  ["compiled C and libraries", { engine: "c" }],
  ["JavaScript", { engine: "js", onednn: false, openblas: false }],
  ["oneDNN and JavaScript", { engine: "js", openblas: false }],
  ["WebAssembly", { engine: "wasm", onednn: false, openblas: false }],
  ["OpenBLAS and JavaScript", { engine: "js", onednn: false }],
] as const;

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

test("stacks of matrices with few columns, by vectors of every width", () => {
  configureCpu({ engine: "c" });
  try {
    const random = generator(9);
    for (const dtype of ["float32", "float64"] as const) {
      for (let n = 1; n <= 17; n++) {
        for (const swapped of [false, true]) {
          const a = stack(dtype, [7], 5, 3, false, false, random), b = stack(dtype, [7], 3, n, swapped, false, random);
          const out = zeros(dtype, [7, 5, n]);
          matmul(dtype, a, b, out);
          checkProduct(dtype, a, b, out);
        }
      }
    }
  } finally {
    configureCpu(null);
  }
});

test("WebAssembly multiplies more than a block", () => {
  configureCpu({ engine: "wasm", onednn: false, openblas: false });
  try {
    const random = generator(5);
    for (const dtype of ["float32", "float64", "int64", "complex64", "int8"] as const) {
      for (const [m, k, n] of [[5, 600, 3], [3, 5, 530], [261, 3, 258]] as const) {
        const a = stack(dtype, [], m, k, false, false, random), b = stack(dtype, [], k, n, true, false, random);
        const out = zeros(dtype, [m, n]);
        matmul(dtype, a, b, out);
        checkProduct(dtype, a, b, out);
      }
    }
  } finally {
    configureCpu(null);
  }
});

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
