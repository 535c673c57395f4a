/** Loops of kernels: layouts, reductions, scans, gathers, scatters, in JavaScript and in C. */
import { strict as assert } from "node:assert";
import type { ScalarType, TypedArray } from "../src/base/dtype.ts";
import { renderC } from "../kernels/c.ts";
import { cost } from "../kernels/cost.ts";
import { type Expr, ExprBuilder } from "../kernels/expr.ts";
import { renderJs } from "../kernels/js.ts";
import { helpers } from "../kernels/preamble/js.ts";
import type { Access, Kernel, Monoid, ScatterMode } from "../kernels/kernel.ts";
import { Emitter, Writer } from "../kernels/render.ts";
import { holds, simplify } from "../kernels/simplify.ts";
import {
  acc,
  b,
  engines as engineList,
  fill,
  kernel,
  load,
  memory,
  monoid,
  operand,
  output,
  type Run,
  runC,
  runJs,
  val,
} from "./support/kernels.ts";
import { test } from "./support/suite.ts";
import { runWasmOrJs } from "./support/wasm.ts";

/** Registers a test for each engine. */
function engines(name: string, body: (run: (k: Kernel, r: Run) => void, engine: "js" | "c" | "cuda") => void): void {
  const list = engineList();
  for (const { name: engine, kind, run } of list) test(`kernels: ${name} in ${engine}`, () => body(run, kind));
  if (list[0]!.run !== runJs) return;
  test(`kernels: ${name} in WebAssembly, or else in JavaScript`, () => body(runWasmOrJs, "js"));
}

/** A reproducible sequence in [-1, 1). */
function numbers(n: number, seed = 1): Float64Array {
  let s = seed >>> 0;
  return Float64Array.from({ length: n }, () => {
    s = Math.imul(s ^ s >>> 15, 0x2c1b3c6d) + 0x9e3779b9 >>> 0;
    const t = Math.imul(s ^ s >>> 13, 0x297a2d39);
    return ((t ^ t >>> 16) >>> 0) / 2147483648 - 1;
  });
}

const list = (m: TypedArray) => Array.from(m as ArrayLike<number | bigint>);

test("kernels: generated JavaScript is readable", () => {
  const x = load(0, "float32");
  const one = b.const("float32", 1);
  const body = b.binary("div", one, b.binary("add", one, b.unary("exp", b.unary("neg", x))));
  const text = renderJs(
    kernel({
      operands: [operand("float32")],
      body: [body],
      outputs: [output("float32")],
      comment: "1 / (1 + exp(-x))",
    }),
  );
  assert.match(text, /\/\/ 1 \/ \(1 \+ exp\(-x\)\)/);
  assert.match(text, /y0\[y0o0 \+ i\] = fround\(1 \/ fround\(1 \+ fround\(Math\.exp\(/);
});

const layouts: readonly { readonly access: Access; readonly offset: number; readonly strides: readonly number[] }[] = [
  { access: "unit", offset: 0, strides: [5, 1] },
  { access: "unit", offset: 7, strides: [0, 1] },
  { access: "single", offset: 2, strides: [3, 0] },
  { access: "strided", offset: 1, strides: [1, 3] },
  { access: "strided", offset: 19, strides: [-5, -1] },
  { access: "strided", offset: 0, strides: [0, 2] },
];
engines("map over every pair of layouts", (run) => {
  const data = fill("float64", numbers(64));
  for (const p of layouts) {
    for (const q of layouts) {
      const k = kernel({
        rank: 2,
        operands: [operand("float64", p.access), operand("float64", q.access)],
        body: [
          b.binary("sub", b.binary("mul", load(0, "float64"), load(1, "float64")), b.unary("abs", load(1, "float64"))),
        ],
        outputs: [output("float64")],
      });
      const y = memory("float64", 20);
      run(k, { sizes: [4, 5], operands: [{ data, ...p }, { data, ...q }], outputs: [{ data: y, strides: [5, 1] }] });
      for (let i = 0; i < 4; i++) {
        for (let j = 0; j < 5; j++) {
          const u = Number(data[p.offset + i * p.strides[0]! + j * p.strides[1]!]);
          const v = Number(data[q.offset + i * q.strides[0]! + j * q.strides[1]!]);
          assert.equal(y[i * 5 + j], u * v - Math.abs(v));
        }
      }
    }
    if (run === runC && p.access === "strided") break;
  }
});

engines("map in place, with several outputs and strided ones", (run) => {
  const x = fill("float32", numbers(10000)), z = memory("float32", 20000), want = x.slice();
  const k = kernel({
    operands: [operand("float32")],
    body: [b.binary("add", load(0, "float32"), load(0, "float32")), b.unary("neg", load(0, "float32"))],
    outputs: [output("float32"), output("float32", "strided")],
  });
  run(k, {
    sizes: [10000],
    operands: [{ data: x, strides: [1] }],
    outputs: [{ data: x, strides: [1] }, { data: z, offset: 19998, strides: [-2] }],
  });
  for (let i = 0; i < 10000; i += 37) {
    assert.equal(x[i], 2 * Number(want[i]));
    assert.equal(z[19998 - 2 * i], -Number(want[i]));
  }
});

engines("map of complex pairs and scalars of every kind", (run) => {
  const x = fill("float32", [1, 2, 3, 4]), y = memory("float32", 4), w = memory("int64", 2);
  const [re, im] = [load(0, "float32", 0), load(0, "float32", 1)];
  const s = b.make("scalar", "float32", [], 0),
    t = b.make("scalar", "int64", [], 1),
    c = b.make("scalar", "bool", [], 2);
  const k = kernel({
    operands: [operand("float32", "unit", { components: 2 })],
    scalars: ["float32", "int64", "bool"],
    body: [b.binary("mul", im, s), b.unary("neg", re), b.where(c, t, b.const("int64", 0n))],
    outputs: [output("float32", "unit", 2), output("int64")],
  });
  run(k, {
    sizes: [2],
    operands: [{ data: x, strides: [1] }],
    outputs: [{ data: y, strides: [1] }, { data: w, strides: [1] }],
    scalars: [0.1, -9007199254740993n, 1],
  });
  assert.deepEqual(list(y), [Math.fround(2 * Math.fround(0.1)), -1, Math.fround(4 * Math.fround(0.1)), -3]);
  assert.deepEqual(list(w), [-9007199254740993n, -9007199254740993n]);
});

engines("iota of several dtypes", (run) => {
  const types: ScalarType[] = ["int64", "int8", "uint64", "float32", "float16", "bool"];
  const k = kernel({
    operands: [operand("int64", "strided", { virtual: true })],
    body: types.map((t) => b.make("iota", t, [], 0)),
    outputs: types.map((t) => output(t)),
  });
  const out = types.map((t) => memory(t, 4));
  run(k, {
    sizes: [4],
    operands: [{ data: null, offset: -6, strides: [3] }],
    outputs: out.map((data) => ({ data, strides: [1] })),
  });
  assert.deepEqual(list(out[0]!), [-6n, -3n, 0n, 3n]);
  assert.deepEqual(list(out[1]!), [-6, -3, 0, 3]);
  assert.deepEqual(list(out[2]!), [2n ** 64n - 6n, 2n ** 64n - 3n, 0n, 3n]);
  assert.deepEqual(list(out[3]!), [-6, -3, 0, 3]);
  assert.deepEqual(list(out[4]!), [-6, -3, 0, 3]);
  assert.deepEqual(list(out[5]!), [1, 1, 0, 1]);
});

test("kernels: simplify keeps every bit", () => {
  const e = new ExprBuilder();
  const x = e.make("load", "float32", [], { operand: 0, component: 0 });
  const one = e.const("float32", 1), zero = e.const("float32", 0);
  const s = (r: Expr) => simplify([r], e)[0]!;
  assert.equal(s(e.binary("mul", one, x)), x);
  assert.equal(s(e.binary("div", x, one)), x);
  assert.equal(s(e.unary("neg", e.unary("neg", x))), x);
  assert.equal(s(e.cast(e.cast(x, "float64"), "float32")), x);
  assert.notEqual(s(e.cast(e.cast(x, "float16"), "float32")), x);
  assert.notEqual(s(e.binary("add", x, zero)), x);
  assert.equal(s(e.where(e.const("bool", true), x, zero)), x);
  assert.equal(s(e.where(e.unary("isnan", x), zero, zero)), zero);
  assert.equal(s(e.binary("add", e.const("int8", 100), e.const("int8", 100))), e.const("int8", -56));
  assert.equal(s(e.cast(e.const("int64", 300n), "uint8")), e.const("uint8", 44));
  assert.equal(s(e.binary("add", e.const("float32", 16777216), one)), e.const("float32", 16777216));
  assert.ok(
    holds("float64", "int32") && !holds("float32", "int32") && !holds("float16", "bfloat16") &&
      holds("int64", "uint32"),
  );
});

// Reductions

const reductions: readonly { name: string; m: Monoid; of: (x: number, y: number) => number }[] = [
  { name: "sum", m: monoid("sum", "add", "float32", 0), of: (x, y) => x + y },
  { name: "prod", m: monoid("prod", "mul", "float32", 1), of: (x, y) => x * y },
  { name: "min", m: monoid("min", "min", "float32", Infinity), of: Math.min },
  { name: "max", m: monoid("max", "max", "float32", -Infinity), of: Math.max },
];
engines("reductions of every length", (run, engine) => {
  for (const n of engine === "js" ? [0, 1, 2, 63, 65, 1000, 100003] : [0, 1, 65, 100003]) {
    const data = numbers(n, n);
    for (let i = 0; i < n; i++) data[i] = 1 + data[i]! * 1e-4;
    const x = fill("float32", data);
    for (const { name, m, of } of reductions) {
      const k = kernel({
        kind: "reduce",
        reduced: 1,
        operands: [operand("float32")],
        body: [load(0, "float32")],
        reduction: m,
        epilogue: [b.binary("mul", acc(0, "float32"), b.const("float32", 2))],
        outputs: [output("float32", "single")],
      });
      const y = memory("float32", 1);
      run(k, { sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [0] }] });
      let want = Number(m.init[0]);
      for (const v of x as Float32Array) want = of(want, v);
      want *= 2;
      const got = Number(y[0]);
      if (Number.isFinite(want)) {
        assert.ok(
          Math.abs(got - want) <= (name === "prod" ? 2e-3 : 1e-5) * Math.abs(want),
          `${name} of ${n}: got ${got}, expected ${want}`,
        );
      } else assert.equal(got, want);
    }
  }
});

engines("float64 sums keep the precision of a pairwise sum", (run, engine) => {
  const n = 1000003, x = fill("float64", new Float64Array(n).fill(0.1)), y = memory("float64", 1);
  const k = kernel({
    kind: "reduce",
    reduced: 1,
    operands: [operand("float64")],
    body: [load(0, "float64")],
    reduction: monoid("sum", "add", "float64", 0),
    outputs: [output("float64", "single")],
  });
  run(k, { sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [0] }] });
  // The double nearest to 1000003 times the double nearest to 0.1.
  // Threads of a GPU sum some numbers each before pairs are made.
  assert.ok(Math.abs(Number(y[0]) - n * 0.1) <= (engine === "cuda" ? 6e-11 : 2e-11), `got ${y[0]}`);
});

engines("float32 sums of a million ones and tenths", (run) => {
  const n = 1 << 20, y = memory("float32", 1);
  const x = fill("float32", new Float64Array(n).fill(0.1));
  const k = kernel({
    kind: "reduce",
    reduced: 1,
    operands: [operand("float32")],
    body: [load(0, "float32")],
    reduction: monoid("sum", "add", "float32", 0),
    outputs: [output("float32", "single")],
  });
  run(k, { sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [0] }] });
  assert.ok(Math.abs(Number(y[0]) - n * Math.fround(0.1)) <= 0.04, `got ${y[0]}`);
});

engines("reductions over any axes", (run) => {
  // x has shape [3, 70, 5, 41]; each case keeps some axes.
  const shape = [3, 70, 5, 41], strides = [14350, 205, 41, 1];
  const x = fill("float64", numbers(43050));
  const cases: readonly { keep: readonly number[]; inner: "last" | "kept" }[] = [
    { keep: [0, 1, 2], inner: "last" },
    { keep: [0], inner: "last" },
    { keep: [1], inner: "last" },
    { keep: [3], inner: "kept" },
    { keep: [1, 3], inner: "kept" },
    { keep: [0, 2, 3], inner: "kept" },
    { keep: [], inner: "last" },
  ];
  for (const { keep, inner } of cases) {
    const lost = [0, 1, 2, 3].filter((a) => !keep.includes(a));
    const loops = [...keep, ...lost];
    const sizes = loops.map((a) => shape[a]!);
    const kept = keep.map((a) => shape[a]!);
    const total = kept.reduce((p, n) => p * n, 1);
    const out = keep.map((_, i) => kept.slice(i + 1).reduce((p, n) => p * n, 1));
    // An operand of the epilogue lies along the kept axes only.
    const bias = fill("float64", numbers(total, 5));
    const k = kernel({
      kind: "reduce",
      rank: 4,
      reduced: lost.length,
      inner,
      operands: [
        operand("float64", inner === "last" && loops[3] !== 3 ? "strided" : "unit"),
        operand("float64", inner === "kept" ? "unit" : "single"),
      ],
      body: [b.binary("mul", load(0, "float64"), load(0, "float64"))],
      reduction: monoid("sum", "add", "float64", 0),
      epilogue: [b.binary("add", acc(0, "float64"), load(1, "float64"))],
      outputs: [output("float64", inner === "kept" ? "unit" : "single")],
    });
    const y = memory("float64", total);
    const fixed = [...out, ...lost.map(() => 0)];
    run(k, {
      sizes,
      operands: [{ data: x, strides: loops.map((a) => strides[a]!) }, { data: bias, strides: fixed }],
      outputs: [{ data: y, strides: fixed }],
    });
    const want = Float64Array.from(bias as Float64Array);
    const at = [0, 0, 0, 0];
    for (at[0] = 0; at[0] < 3; at[0]++) {
      for (at[1] = 0; at[1] < 70; at[1]++) {
        for (at[2] = 0; at[2] < 5; at[2]++) {
          for (at[3] = 0; at[3] < 41; at[3]++) {
            const v = Number(x[at.reduce((p, i, a) => p + i * strides[a]!, 0)]);
            want[keep.reduce((p, a, j) => p + at[a]! * out[j]!, 0)]! += v * v;
          }
        }
      }
    }
    for (let i = 0; i < total; i++) {
      assert.ok(Math.abs(Number(y[i]) - want[i]!) < 1e-9, `keep ${keep}: ${y[i]} ${want[i]}`);
    }
  }
});

engines("integer sums, any and all", (run) => {
  const n = 70001;
  const small = fill("int8", Array.from({ length: n }, (_, i) => i % 7 - 2));
  const big = fill("int64", Array.from({ length: n }, (_, i) => i));
  const reduce = (m: Monoid, body: Expr, x: TypedArray, of: ScalarType) => {
    const y = memory(m.dtypes[0]!, 1);
    const k = kernel({
      kind: "reduce",
      reduced: 1,
      operands: [operand(of)],
      body: [body],
      reduction: m,
      outputs: [output(m.dtypes[0]!, "single")],
    });
    run(k, { sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [0] }] });
    return y[0];
  };
  let want = 0;
  for (const v of small as Int8Array) want += v;
  const sum64 = monoid("sum", "add", "int64", 0n);
  assert.equal(reduce(sum64, b.cast(load(0, "int8"), "int64"), small, "int8"), BigInt(want));
  assert.equal(reduce(sum64, load(0, "int64"), big, "int64"), BigInt(n * (n - 1) / 2));
  const positive = b.binary("lt", b.const("int8", 0), load(0, "int8"));
  assert.equal(
    reduce(sum64, b.cast(positive, "int64"), small, "int8"),
    BigInt(list(small).filter((v) => v > 0).length),
  );
  assert.equal(
    reduce(monoid("any", "or", "bool", false), b.binary("eq", load(0, "int8"), b.const("int8", 4)), small, "int8"),
    1,
  );
  assert.equal(
    reduce(monoid("any", "or", "bool", false), b.binary("eq", load(0, "int8"), b.const("int8", 5)), small, "int8"),
    0,
  );
  assert.equal(
    reduce(monoid("all", "and", "bool", true), b.binary("lt", load(0, "int8"), b.const("int8", 5)), small, "int8"),
    1,
  );
  assert.equal(
    reduce(monoid("all", "and", "bool", true), b.binary("lt", load(0, "int8"), b.const("int8", 4)), small, "int8"),
    0,
  );
  assert.equal(reduce(monoid("min", "min", "int8", 127), load(0, "int8"), small, "int8"), -2);
});

function argmax(): Monoid {
  const [a, v, i, j] = [acc(0, "float32"), val(0, "float32"), acc(1, "int64"), val(1, "int64")];
  const nan = (x: Expr) => b.unary("isnan", x);
  const better = b.binary("or", b.binary("and", nan(v), b.unary("not", nan(a))), b.binary("lt", a, v));
  const same = b.binary("or", b.binary("and", nan(v), nan(a)), b.binary("eq", a, v));
  const take = b.binary("or", better, b.binary("and", same, b.binary("lt", j, i)));
  return {
    name: "argmax",
    dtypes: ["float32", "int64"],
    init: [-Infinity, 9223372036854775807n],
    combine: [b.where(take, v, a), b.where(take, j, i)],
  };
}
engines("argmax takes the first of the largest, and NaN", (run) => {
  const k = (inner: "last" | "kept") =>
    kernel({
      kind: "reduce",
      rank: 2,
      reduced: 1,
      inner,
      operands: [
        operand("float32", "unit"),
        operand("int64", inner === "last" ? "unit" : "single", { virtual: true }),
      ],
      body: [load(0, "float32"), b.make("iota", "int64", [], 1)],
      reduction: argmax(),
      epilogue: [acc(1, "int64")],
      outputs: [output("int64", inner === "kept" ? "unit" : "single")],
    });
  const x = fill("float32", [1, 5, 5, 2, NaN, 3, NaN, 9, -Infinity, -Infinity, -Infinity, -Infinity]);
  const y = memory("int64", 3);
  run(k("last"), {
    sizes: [3, 4],
    operands: [{ data: x, strides: [4, 1] }, { data: null, strides: [0, 1] }],
    outputs: [{ data: y, strides: [1, 0] }],
  });
  assert.deepEqual(list(y), [1n, 0n, 0n]);
  const z = memory("int64", 4);
  run(k("kept"), {
    sizes: [4, 3],
    operands: [{ data: x, strides: [1, 4] }, { data: null, strides: [0, 1] }],
    outputs: [{ data: z, strides: [1, 0] }],
  });
  assert.deepEqual(list(z), [1n, 0n, 1n, 1n]);
  const many = fill("float32", numbers(300000)), first = memory("int64", 1);
  let best = 0;
  for (let i = 0; i < 300000; i++) if (many[i]! > many[best]!) best = i;
  run(k("last"), {
    sizes: [1, 300000],
    operands: [{ data: many, strides: [0, 1] }, { data: null, strides: [0, 1] }],
    outputs: [{ data: first, strides: [0, 0] }],
  });
  assert.equal(first[0], BigInt(best));
});

engines("scans", (run, engine) => {
  const x = fill("float32", numbers(600)), y = memory("float32", 600);
  const scan = (m: Monoid) =>
    kernel({
      kind: "scan",
      rank: 2,
      reduced: 1,
      operands: [operand("float32")],
      body: [load(0, "float32")],
      reduction: m,
      outputs: [output("float32")],
    });
  for (const { m, of, name } of reductions) {
    run(scan(m), {
      sizes: [6, 100],
      operands: [{ data: x, strides: [100, 1] }],
      outputs: [{ data: y, strides: [100, 1] }],
    });
    for (let r = 0; r < 6; r++) {
      let a = Number(m.init[0]);
      for (let i = 0; i < 100; i++) {
        a = Math.fround(of(a, Number(x[r * 100 + i])));
        // Threads of a GPU scan parts, so roundings differ.
        const got = Number(y[r * 100 + i]), close = engine === "cuda" && Math.abs(got - a) <= 2e-6 * (1 + Math.abs(a));
        if (!close) assert.equal(got, a, name);
      }
    }
  }
});

/** An index wrapped and clamped as the graph writes it: `n` is scalar 0. */
function clamped(index: Expr): Expr {
  const n = b.make("scalar", "int64", [], 0), zero = b.const("int64", 0n);
  const w = b.where(b.binary("lt", index, zero), b.binary("add", index, n), index);
  return b.binary("max", zero, b.binary("min", w, b.binary("sub", n, b.const("int64", 1n))));
}
engines("gathers with indices of two dtypes, negative and out of range", (run) => {
  const x = fill("float32", [10, 11, 20, 21, 30, 31]);
  for (const t of ["int64", "int32"] as const) {
    const i = fill(t, [0, -1, 2, 99, -99, 1]), y = memory("float32", 12);
    const index = clamped(b.cast(load(1, t), "int64"));
    const g = b.make("gather", "float32", [index], { operand: 0, component: 0 });
    const k = kernel({
      rank: 2,
      operands: [operand("float32", "unit", { gathered: 1 }), operand(t, "single")],
      scalars: ["int64"],
      body: [b.binary("add", g, g)],
      outputs: [output("float32")],
    });
    run(k, {
      sizes: [6, 2],
      operands: [{ data: x, strides: [0, 1, 2] }, { data: i, strides: [1, 0] }],
      outputs: [{ data: y, strides: [2, 1] }],
      scalars: [3n],
    });
    assert.deepEqual(list(y), [10, 11, 30, 31, 30, 31, 30, 31, 10, 11, 20, 21].map((v) => 2 * v));
  }
});

engines("scatters in every mode", (run) => {
  const want: Record<ScatterMode, number[]> = {
    set: [4, 7, 5, 7],
    add: [7 + 1 + 4, 7, 7 + 2 + 3 + 5, 7],
    multiply: [28, 7, 210, 7],
    min: [1, 7, 2, 7],
    max: [7, 7, 7, 7],
  };
  for (const dtype of ["float32", "int64", "float16", "bfloat16"] as const) {
    for (const mode of Object.keys(want) as ScatterMode[]) {
      // bfloat16 in memory is its bits.
      const bits = (v: number) => dtype === "bfloat16" ? new Uint32Array(Float32Array.of(v).buffer)[0]! >>> 16 : v;
      const y = fill(dtype, [7, 7, 7, 7].map(bits)),
        x = fill(dtype, [1, 2, 3, 4, 5].map(bits)),
        i = fill("int64", [0, 2, -2, 0, 2]);
      const k = kernel({
        kind: "scatter",
        mode,
        operands: [operand(dtype), operand("int64")],
        scalars: ["int64"],
        body: [load(0, dtype)],
        index: [clamped(load(1, "int64"))],
        outputs: [output(dtype, "strided")],
      });
      run(k, {
        sizes: [5],
        operands: [{ data: x, strides: [1] }, { data: i, strides: [1] }],
        outputs: [{ data: y, strides: [0, 1] }],
        scalars: [4n],
      });
      assert.deepEqual(list(y).map(Number), want[mode].map(bits), `${mode} ${dtype}`);
    }
  }
});

engines("scatters of complex numbers", (run) => {
  const y = fill("float64", [1, 2, 3, 4]), x = fill("float64", [0, 1, 2, 0]), i = fill("int64", [1, 1]);
  const k = (mode: ScatterMode) =>
    kernel({
      kind: "scatter",
      mode,
      operands: [operand("float64", "unit", { components: 2 }), operand("int64")],
      scalars: ["int64"],
      body: [load(0, "float64", 0), load(0, "float64", 1)],
      index: [clamped(load(1, "int64"))],
      outputs: [output("float64", "strided", 2)],
    });
  const r = { sizes: [2], operands: [{ data: x, strides: [1] }, { data: i, strides: [1] }], scalars: [2n] };
  run(k("multiply"), { ...r, outputs: [{ data: y, strides: [0, 1] }] });
  // (3 + 4i) i 2 = -8 + 6i
  assert.deepEqual(list(y), [1, 2, -8, 6]);
  run(k("max"), { ...r, outputs: [{ data: y, strides: [0, 1] }] });
  assert.deepEqual(list(y), [1, 2, 2, 0]);
});

engines("threefry gives the published numbers", (run) => {
  const u = (...v: number[]) => fill("uint32", v);
  const data = [
    u(0, 0xffffffff, 0x13198a2e),
    u(0, 0xffffffff, 0x03707344),
    u(0, 0xffffffff, 0x243f6a88),
    u(0, 0xffffffff, 0x85a308d3),
  ];
  const src = data.map((_, i) => load(i, "uint32"));
  const k = kernel({
    operands: data.map(() => operand("uint32")),
    body: [b.make("threefry", "uint32", src, 0), b.make("threefry", "uint32", src, 1)],
    outputs: [output("uint32"), output("uint32")],
  });
  const y = [memory("uint32", 3), memory("uint32", 3)];
  run(k, {
    sizes: [3],
    operands: data.map((d) => ({ data: d, strides: [1] })),
    outputs: y.map((d) => ({ data: d, strides: [1] })),
  });
  assert.deepEqual(list(y[0]!), [0x6b200159, 0x1cb996fc, 0xc4923a9c]);
  assert.deepEqual(list(y[1]!), [0x99ba4efe, 0xbb002be7, 0x483df7a0]);
});

engines("long expressions and shared parts", (run) => {
  let e = load(0, "float64");
  for (let i = 0; i < 400; i++) {
    e = b.binary(i % 3 ? "add" : "sub", b.binary("mul", e, b.const("float64", 0.5)), load(0, "float64"));
  }
  const k = kernel({ operands: [operand("float64")], body: [e], outputs: [output("float64")] });
  const x = fill("float64", [0.3, -1]), y = memory("float64", 2);
  run(k, { sizes: [2], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [1] }] });
  for (let j = 0; j < 2; j++) {
    let v = Number(x[j]);
    for (let i = 0; i < 400; i++) v = i % 3 ? v * 0.5 + Number(x[j]) : v * 0.5 - Number(x[j]);
    assert.equal(y[j], v);
  }
});

test("kernels: an operation that a dtype does not have is refused", () => {
  const k = kernel({
    operands: [operand("int32")],
    body: [b.unary("sin", load(0, "int32"))],
    outputs: [output("int32")],
  });
  assert.throws(() => renderJs(k), { name: "TypeError", message: "kernel: sin does not take int32" });
});

test("kernels: cost grows with the work", () => {
  const make = (body: Expr) => kernel({ operands: [operand("float32")], body: [body], outputs: [output("float32")] });
  const x = load(0, "float32");
  assert.ok(cost(make(b.unary("exp", x))) > 3 * cost(make(b.binary("add", x, x))));
});

test("kernels: C moves the bits of halves, and rounds what it stores once", () => {
  for (const dtype of ["float16", "bfloat16"] as const) {
    const inside = (body: Expr) =>
      renderC(kernel({ operands: [operand(dtype)], body: [body], outputs: [output(dtype)] })).split("tnp_kernel(")[1]!;
    assert.doesNotMatch(inside(load(0, dtype)), /16_/);
    assert.doesNotMatch(inside(b.unary("exp", load(0, dtype))), /16_round/);
  }
});

test("kernels: C is self-contained, and offsets are as wide as the kernel says", () => {
  const make = (wide: boolean, components: 1 | 2) =>
    renderC(kernel({
      operands: [operand("float32", "unit", { components })],
      body: [b.unary("exp", load(0, "float32"))],
      outputs: [output("float32")],
      wide,
      comment: "exp(x) */ é",
    }));
  assert.match(make(false, 1), /typedef i32 ix;/);
  assert.match(make(true, 1), /typedef i64 ix;/);
  assert.match(make(false, 2), /typedef i64 ix;/);
  assert.ok(!make(false, 1).includes("#include"));
  assert.match(make(false, 1), /^\/\* exp\(x\) +\*\/\n/);
  assert.ok(
    renderJs(
      kernel({ operands: [operand("float32")], body: [load(0, "float32")], outputs: [output("float32")], wide: true }),
    ).includes("const n0 = n[0];"),
  );
});

test("kernels: no value has the name of a type", () => {
  const dialect = { leaf: () => null, operation: () => "", declare: () => "" };
  const emit = new Emitter(dialect, new Writer()), names = Array.from({ length: 70 }, () => emit.name("u"));
  assert.equal(new Set(names).size, 70);
  for (const type of ["u8", "u16", "u32", "u64"]) assert.ok(!names.includes(type), type);
});

test("kernels: float16 rounding is exact", () => {
  const { f16round } = helpers;
  const special = [
    0,
    -0,
    65519.99,
    65520,
    -65520,
    2 ** -25,
    2 ** -25 * 1.0001,
    3 * 2 ** -25,
    2 ** -14 - 2 ** -25,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    NaN,
    Infinity,
  ];
  const random = Array.from(numbers(20000, 3), (v, i) => v * 2 ** (i % 45 - 28));
  const half = new Float16Array(1);
  for (const x of [...special, ...random]) {
    half[0] = x;
    assert.ok(Object.is(f16round(x), half[0]), `${x}: ${f16round(x)} is not ${half[0]}`);
  }
});
