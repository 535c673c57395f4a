/** Kernels as WebAssembly against JavaScript: every operation, blocks, layouts, reductions; the choice of the engine. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { tnp } from "../mod.ts";
import { compileWasm } from "../kernels/wasm.ts";
import { wasmFeatures } from "../kernels/wasm_probe.ts";
import type { BinaryOp, Expr, UnaryOp } from "../kernels/expr.ts";
import type { Kernel } from "../kernels/kernel.ts";
import { dtypes, type ScalarType, type TypedArray } from "../src/base/dtype.ts";
import { configureCpu, cpu } from "../src/device/cpu.ts";
import { KernelRunner } from "../src/device/kernel_runner.ts";
import { WasmRunner } from "../src/device/wasm.ts";
import {
  acc,
  b,
  fill,
  kernel,
  load,
  memory,
  monoid,
  operand,
  output,
  type Run,
  runJs,
  val,
} from "./support/kernels.ts";
import { launchOf, runWasm } from "./support/wasm.ts";

const all = (Object.keys(dtypes) as ScalarType[]).filter((d) => !d.startsWith("complex"));
const kindOf = (dtype: ScalarType) => dtypes[dtype].kind;

/** Numbers with edges in front, alternating over a range. */
function numbers(dtype: ScalarType, n: number, seed: number): TypedArray {
  const m = memory(dtype, n), store = m as { [i: number]: number | bigint };
  const big = dtypes[dtype].itemsize === 8 && kindOf(dtype) !== "f", width = dtypes[dtype].itemsize * 8;
  const edges = kindOf(dtype) === "f"
    ? [0, -0, 1, -1, 0.5, -0.5, Infinity, -Infinity, NaN, 1e-40, -1e-40, 5e-324, 3e38, 1e300, 88.8, -104, 710, -746]
    : [0, 1, -1, 2, 3, width - 1, width, 2 ** Math.min(width - 1, 52), -(2 ** Math.min(width - 1, 52))];
  for (let i = 0; i < n; i++) {
    const t = (i * 0.6180339887 + seed * 0.37) % 1;
    const edge = i < edges.length * edges.length
      ? edges[(seed === 0 ? i : Math.floor(i / edges.length)) % edges.length]!
      : undefined;
    if (dtype === "bfloat16") store[i] = Math.floor(t * 65536);
    else if (kindOf(dtype) === "b") store[i] = t < 0.5 ? 0 : 1;
    else if (kindOf(dtype) === "f") store[i] = edge ?? (t - 0.5) * 10 ** (i % 7 - 3);
    else {
      const v = edge ?? Math.floor((t - 0.3) * 2 ** (i % width));
      store[i] = big ? BigInt(v) : v;
    }
  }
  return m;
}

/** A number as its order among its dtype's: neighbours differ by 1. */
function rank(dtype: ScalarType, v: number): bigint {
  const a = Math.abs(v);
  const bits = dtype === "float64"
    ? new BigInt64Array(new Float64Array([a]).buffer)[0]!
    : BigInt(new Int32Array(new Float32Array([a]).buffer)[0]!);
  return v < 0 ? -bits : bits;
}

/** Runs in both engines and compares: `ulps` 0 is equality, up to the bits of a NaN. */
function agree(k: Kernel, run: Run, ulps: number, what: string): void {
  const copies = () => run.outputs.map((o) => ({ ...o, data: o.data.slice() as TypedArray }));
  const js = copies(), wasm = copies();
  runJs(k, { ...run, outputs: js });
  assert.ok(runWasm(k, { ...run, outputs: wasm }), `${what}: cannot be said`);
  run.outputs.forEach((_, j) => {
    const dtype = k.outputs[j]!.dtype, p = js[j]!.data, q = wasm[j]!.data;
    for (let i = 0; i < p.length; i++) {
      const x = p[i]!, y = q[i]!;
      if (Object.is(x, y)) continue;
      if (dtype === "bfloat16" && (Number(x) & 0x7fff) > 0x7f80 && (Number(y) & 0x7fff) > 0x7f80) continue;
      let far = Infinity;
      if (dtype === "bfloat16") far = Math.abs(Number(x) - Number(y));
      else if (dtype === "float16") {
        far = Math.abs(Number(x) - Number(y)) / Math.max(2 ** -24, Math.abs(Number(x)) / 1024);
      } else if (kindOf(dtype) === "f" && x === x && y === y) {
        far = Math.abs(Number(rank(dtype, Number(x)) - rank(dtype, Number(y))));
      }
      assert.ok(far <= ulps && Number(x) !== 0, `${what} at ${i}: JavaScript ${x}, WebAssembly ${y}`);
    }
  });
}

const exactUnary: Partial<Record<string, readonly Exclude<UnaryOp, "cast">[]>> = {
  f: ["neg", "abs", "sign", "floor", "ceil", "trunc", "rint", "sqrt", "isnan", "isinf", "isfinite"],
  i: ["neg", "abs", "sign", "not", "floor", "rint", "signbit", "popcount"],
  u: ["neg", "abs", "sign", "not", "trunc", "popcount"],
  b: ["not", "abs", "popcount"],
};
const exactBinary: Partial<Record<string, readonly BinaryOp[]>> = {
  f: ["add", "sub", "mul", "div", "max", "min", "fmax", "fmin", "lt", "le", "eq", "ne", "mod", "fmod", "floordiv"],
  i: [
    ..."add sub mul max min fmax fmin and or xor shl shr lt le eq ne floordiv mod fmod pow".split(" ") as BinaryOp[],
  ],
  b: ["add", "sub", "mul", "and", "or", "xor", "max", "min", "lt", "le", "eq", "ne"],
};
const near: readonly Exclude<UnaryOp, "cast">[] = [
  ...("exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh cbrt erf erfc lgamma"
    .split(" ") as Exclude<UnaryOp, "cast">[]),
];

for (const dtype of all) {
  test(`wasm: every exact operation of ${dtype} is JavaScript's`, () => {
    const n = 401, kind = kindOf(dtype), x = numbers(dtype, n, 0), y = numbers(dtype, n, 1);
    const [p, q] = [load(0, dtype), load(1, dtype)];
    const unary = exactUnary[kind]!.map((op) => b.unary(op, p));
    const binary = (exactBinary[kind === "u" ? "i" : kind]!).map((op) => b.binary(op, p, q));
    const casts = all.filter((d) => d !== dtype).map((d) => b.cast(p, d));
    for (const e of [...unary, ...binary, ...casts, b.where(b.binary("eq", p, q), p, q)]) {
      const k = kernel({ operands: [operand(dtype), operand(dtype)], body: [e], outputs: [output(e.dtype)] });
      const run = {
        sizes: [n],
        operands: [{ data: x, strides: [1] }, { data: y, strides: [1] }],
        outputs: [{ data: memory(e.dtype, n), strides: [1] }],
      };
      agree(k, run, 0, `${e.op} of ${dtype} to ${e.dtype}`);
    }
  });
}

for (const dtype of ["float32", "float64", "float16", "bfloat16"] as const) {
  test(`wasm: functions of ${dtype} are within a few units in the last place`, () => {
    const n = 3001, x = numbers(dtype, n, 0), y = numbers(dtype, n, 1);
    const [p, q] = [load(0, dtype), load(1, dtype)];
    // JavaScript's own functions are off by up to a unit, its powers by more.
    const close = new Set(["sin", "cos", "exp", "log", "tanh", "expm1", "log1p", "log2"]);
    const ulps = (op: string) => close.has(op) ? 3 : 5;
    const binary = (["pow", "atan2", "hypot"] as const).map((op) => b.binary(op, p, q));
    for (const e of [...near.map((op) => b.unary(op, p)), ...binary]) {
      const k = kernel({ operands: [operand(dtype), operand(dtype)], body: [e], outputs: [output(dtype)] });
      const run = {
        sizes: [n],
        operands: [{ data: x, strides: [1] }, { data: y, strides: [1] }],
        outputs: [{ data: memory(dtype, n), strides: [1] }],
      };
      agree(k, run, ulps(e.op), `${e.op} of ${dtype}`);
    }
  });
}

test("wasm: functions keep the sign of zero, and edges", () => {
  const of = (op: Exclude<UnaryOp, "cast">, dtype: "float32" | "float64", v: number) => {
    const y = memory(dtype, 1);
    const k = kernel({ operands: [operand(dtype)], body: [b.unary(op, load(0, dtype))], outputs: [output(dtype)] });
    assert.ok(
      runWasm(k, {
        sizes: [1],
        operands: [{ data: fill(dtype, [v]), strides: [1] }],
        outputs: [{ data: y, strides: [1] }],
      }),
    );
    return y[0];
  };
  for (const dtype of ["float32", "float64"] as const) {
    for (
      const op of "sin tan asin atan sinh tanh asinh atanh expm1 log1p cbrt".split(" ") as Exclude<UnaryOp, "cast">[]
    ) {
      assert.ok(Object.is(of(op, dtype, -0), -0), `${op}(-0) of ${dtype}`);
      assert.ok(Number.isNaN(of(op, dtype, NaN)), `${op}(NaN) of ${dtype}`);
    }
    assert.equal(of("exp", dtype, -Infinity), 0);
    assert.equal(of("exp", dtype, Infinity), Infinity);
    assert.equal(of("log", dtype, 0), -Infinity);
    assert.ok(Number.isNaN(of("log", dtype, -1)));
    assert.equal(of("tanh", dtype, -Infinity), -1);
    assert.ok(Number.isNaN(of("sin", dtype, Infinity)));
  }
  assert.equal(of("sin", "float64", 1e22), Math.sin(1e22));
  assert.equal(of("exp", "float64", -745), 5e-324);
  assert.equal(of("log2", "float64", 2 ** -1060), -1060);
});

const sigmoid = (x: Expr) => {
  const one = b.const(x.dtype, 1);
  return b.binary("div", one, b.binary("add", one, b.unary("exp", b.unary("neg", x))));
};

test("wasm: blocks end anywhere", () => {
  const body = [b.binary("mul", load(0, "float64"), load(1, "float64")), b.cast(load(0, "float64"), "int8")];
  const k = kernel({
    operands: [operand("float64"), operand("float64", "single")],
    body,
    outputs: [output("float64"), output("int8")],
  });
  const { points } = compileWasm(k)!;
  for (const n of [1, 3, 4, 5, points - 1, points, points + 1, 2 * points + 7, 100003]) {
    const x = numbers("float64", n, 1);
    const run = {
      sizes: [n],
      operands: [{ data: x, strides: [1] }, { data: fill("float64", [1.5]), strides: [0] }],
      outputs: [{ data: memory("float64", n + 3), offset: 2, strides: [1] }, {
        data: memory("int8", n + 1),
        strides: [1],
      }],
    };
    agree(k, run, 0, `${n} points`);
  }
});

test("wasm: broadcast, transposed, reversed and strided arrays", () => {
  const size = 120, x = numbers("float32", size * size, 1), row = numbers("float32", size, 2);
  const k = kernel({
    rank: 2,
    operands: [operand("float32", "strided"), operand("float32"), operand("float32", "single")],
    body: [b.binary("sub", b.binary("mul", load(0, "float32"), load(1, "float32")), load(2, "float32"))],
    outputs: [output("float32", "strided")],
  });
  const run = {
    sizes: [size, size],
    operands: [
      { data: x, strides: [1, size] },
      { data: row, strides: [0, 1] },
      { data: row, offset: size - 1, strides: [-1, 0] },
    ],
    outputs: [{ data: memory("float32", 2 * size * size), offset: 2 * size * size - 2, strides: [-2 * size, -2] }],
  };
  agree(k, run, 0, "layouts");
});

const sums: readonly ScalarType[] = ["float32", "float64", "int32", "int64", "uint8"];
test("wasm: reductions of every length over the last and the first axis", () => {
  for (const dtype of sums) {
    const floating = kindOf(dtype) === "f";
    const names = [["sum", "add", 0], ["max", "max", floating ? -Infinity : 0], ["prod", "mul", 1]] as const;
    for (const [name, op, init] of names) {
      const m = monoid(name, op, dtype, dtype === "int64" ? BigInt(init) : init);
      for (const [rows, columns] of [[1, 0], [3, 1], [1, 7], [5, 129], [2, 9001], [70, 300]] as const) {
        const values = Array.from({ length: rows * columns }, (_, i) => floating ? 1 + Math.sin(i) / 64 : i % 3);
        const x = fill(dtype, values);
        for (const inner of ["last", "kept"] as const) {
          const k = kernel({
            kind: "reduce",
            rank: 2,
            reduced: 1,
            inner,
            operands: [operand(dtype)],
            body: [load(0, dtype)],
            reduction: m,
            epilogue: [acc(0, dtype)],
            outputs: [output(dtype, inner === "kept" ? "unit" : "single")],
          });
          // Over the first axis the kept loop is the one in a row.
          const last = inner === "last", sizes = last ? [rows, columns] : [columns, rows];
          if (sizes[0] === 0) continue;
          const run = {
            sizes,
            operands: [{ data: x, strides: last ? [columns, 1] : [1, columns] }],
            outputs: [{ data: memory(dtype, Math.max(rows, columns)), strides: [1, 0] }],
          };
          agree(k, run, name === "prod" ? 4096 : 16, `${name} of ${dtype}, ${rows} x ${columns}, ${inner}`);
        }
      }
    }
  }
});

test("wasm: scans of every length, forwards and backwards, are JavaScript's", () => {
  for (const dtype of ["bool", "uint8", "int16", "int32", "uint32", "int64", "float32", "float64"] as const) {
    const floating = kindOf(dtype) === "f", one = dtype === "int64" ? 1n : 1, zero = dtype === "int64" ? 0n : 0;
    const monoids = dtype === "bool"
      ? [monoid("any", "or", dtype, false)]
      : [monoid("sum", "add", dtype, zero), monoid("prod", "mul", dtype, one), monoid("max", "max", dtype, zero)];
    for (const m of monoids) {
      for (const [rows, length] of [[1, 1], [3, 4], [5, 6], [2, 9001], [70, 129]] as const) {
        const values = Array.from({ length: rows * length }, (_, i) => floating ? 1 + Math.sin(i) / 64 : i % 3);
        const x = fill(dtype, values), back = length === 6;
        const k = kernel({
          kind: "scan",
          rank: 2,
          reduced: 1,
          operands: [operand(dtype, back ? "strided" : "unit")],
          body: [load(0, dtype)],
          reduction: m,
          epilogue: [acc(0, dtype)],
          outputs: [output(dtype, back ? "strided" : "unit")],
        });
        const place = { strides: [length, back ? -1 : 1], offset: back ? length - 1 : 0 };
        const run = {
          sizes: [rows, length],
          operands: [{ data: x, ...place }],
          outputs: [{ data: memory(dtype, rows * length), ...place }],
        };
        agree(k, run, 0, `${m.name} of ${dtype}, ${rows} x ${length}`);
      }
    }
  }
});

test("wasm: a scan writes over what it reads, keeps places, and goes through several calls", () => {
  const n = 200_003, values = Array.from({ length: n }, (_, i) => Math.sin(i));
  using x = tnp.array(values), y = tnp.cumsum(x);
  let sum = 0;
  const expected = values.map((v) => sum += v);
  assert.deepEqual(y.toArray(), expected);
  const data = fill("int64", Array.from({ length: 11 }, (_, i) => i));
  const k = kernel({
    kind: "scan",
    reduced: 1,
    operands: [operand("int64"), operand("int64", "strided", { virtual: true })],
    body: [b.binary("mul", load(0, "int64"), b.make("iota", "int64", [], 1))],
    reduction: monoid("sum", "add", "int64", 0n),
    epilogue: [b.binary("add", acc(0, "int64"), load(0, "int64"))],
    outputs: [output("int64")],
  });
  const run = {
    sizes: [11],
    operands: [{ data, strides: [1] }, { data: null, offset: 1, strides: [1] }],
    outputs: [{ data: memory("int64", 11), strides: [1] }],
  };
  agree(k, run, 0, "sum of products");
  assert.ok(runWasm(k, { ...run, outputs: [{ data, strides: [1] }] }));
  assert.deepEqual([...data].map(Number), [0, 3, 10, 23, 44, 75, 118, 175, 248, 339, 450]);
});

test("wasm: argmin finds the first, any and all stop at masks", () => {
  const n = 5003, x = numbers("float64", n, 1);
  for (let i = 0; i < n; i++) x[i] = i % 617 === 600 ? -9 : Math.abs(Number(x[i]) || 1) + (i % 5);
  const before = b.binary(
    "and",
    b.binary("eq", val(0, "float64"), acc(0, "float64")),
    b.binary("lt", val(1, "int64"), acc(1, "int64")),
  );
  const take = b.binary("or", b.binary("lt", val(0, "float64"), acc(0, "float64")), before);
  const k = kernel({
    kind: "reduce",
    reduced: 1,
    operands: [operand("float64"), operand("int64", "strided", { virtual: true })],
    body: [load(0, "float64"), b.make("iota", "int64", [], 1)],
    reduction: {
      name: "argmin",
      dtypes: ["float64", "int64"],
      init: [Infinity, 2n ** 62n],
      combine: [
        b.where(take, val(0, "float64"), acc(0, "float64")),
        b.where(take, val(1, "int64"), acc(1, "int64")),
      ],
    },
    epilogue: [acc(1, "int64")],
    outputs: [output("int64", "single")],
  });
  const y = memory("int64", 1);
  const operands = [{ data: x, strides: [1] }, { data: null, strides: [1] }];
  assert.ok(runWasm(k, { sizes: [n], operands, outputs: [{ data: y, strides: [0] }] }));
  assert.equal(y[0], 600n);
  for (const [name, op, init] of [["any", "or", false], ["all", "and", true]] as const) {
    const test = kernel({
      kind: "reduce",
      reduced: 1,
      operands: [operand("float64")],
      body: [b.binary("lt", load(0, "float64"), b.const("float64", -8))],
      reduction: monoid(name, op, "bool", init),
      epilogue: [acc(0, "bool")],
      outputs: [output("bool", "single")],
    });
    const z = memory("bool", 1);
    assert.ok(runWasm(test, { sizes: [n], operands: operands.slice(0, 1), outputs: [{ data: z, strides: [0] }] }));
    assert.equal(z[0], name === "any" ? 1 : 0);
  }
});

test("wasm: sums lose no more than NumPy's, and carry infinities", () => {
  const sum = (dtype: "float32" | "float64", x: TypedArray) => {
    const y = memory(dtype, 1);
    const k = kernel({
      kind: "reduce",
      reduced: 1,
      operands: [operand(dtype)],
      body: [load(0, dtype)],
      reduction: monoid("sum", "add", dtype, 0),
      outputs: [output(dtype, "single")],
    });
    assert.ok(
      runWasm(k, { sizes: [x.length], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [0] }] }),
    );
    return Number(y[0]);
  };
  const n = 1000003, tenths = fill("float64", new Float64Array(n).fill(0.1));
  assert.ok(Math.abs(sum("float64", tenths) - n * 0.1) <= 2e-11);
  assert.ok(Math.abs(sum("float32", fill("float32", new Float64Array(n).fill(0.1))) - n * Math.fround(0.1)) <= 0.01);
  tenths[77] = Infinity;
  assert.equal(sum("float64", tenths), Infinity);
  tenths[n - 1] = -Infinity;
  assert.ok(Number.isNaN(sum("float64", tenths)));
});

test("wasm: what it cannot say is left to JavaScript", () => {
  const scan = kernel({
    kind: "scan",
    reduced: 1,
    operands: [operand("float16")],
    body: [load(0, "float16")],
    reduction: monoid("sum", "add", "float16", 0),
    outputs: [output("float16")],
  });
  assert.equal(compileWasm(scan), null);
  const divisor = kernel({
    operands: [operand("int64")],
    body: [b.binary("gcd", load(0, "int64"), load(0, "int64"))],
    outputs: [output("int64")],
  });
  assert.equal(compileWasm(divisor), null);
  // Offsets that int32 does not hold.
  const far = kernel({
    operands: [operand("int64", "strided", { virtual: true })],
    body: [b.make("iota", "int64", [], 0)],
    outputs: [output("int64")],
  });
  const run = {
    sizes: [9],
    operands: [{ data: null, offset: 2 ** 33, strides: [1] }],
    outputs: [{ data: memory("int64", 9), strides: [1] }],
  };
  assert.equal(WasmRunner.of(far)!.run(launchOf(run), true), false);
});

test("wasm: with and without fused multiplication modules are valid", () => {
  const k = kernel({
    operands: [operand("float32")],
    body: [sigmoid(load(0, "float32"))],
    outputs: [output("float32")],
  });
  const plain = compileWasm(k)!.bytes, fused = compileWasm(k, { fused: true })!.bytes;
  assert.ok(WebAssembly.validate(plain));
  if (wasmFeatures().fused) assert.ok(WebAssembly.validate(fused));
  assert.notDeepEqual(plain, fused);
});

test("wasm: a constant is one variable, whose value engines keep, in all functions of a module", () => {
  const body = [b.unary("exp", load(0, "float32"))];
  const { bytes } = compileWasm(kernel({ operands: [operand("float32")], body, outputs: [output("float32")] }))!;
  const lane = [...new Uint8Array(new Float32Array([Math.LOG2E]).buffer)].join();
  assert.equal(bytes.join().split(`253,12,${[lane, lane, lane, lane].join()},11`).length, 2);
  assert.equal(bytes.join().split([lane, lane].join()).length, 2 + 1);
});

test("wasm: the engine is chosen by cost, forced, or hidden", () => {
  const n = 1 << 18, x = numbers("float32", n, 1), y = memory("float32", n);
  const k = kernel({
    operands: [operand("float32")],
    body: [sigmoid(load(0, "float32"))],
    outputs: [output("float32")],
  });
  const launch = launchOf({ sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: y, strides: [1] }] });
  const js = memory("float32", n);
  runJs(k, { sizes: [n], operands: [{ data: x, strides: [1] }], outputs: [{ data: js, strides: [1] }] });
  const differs = () => y.some((v, i) => !Object.is(v, js[i]));
  try {
    configureCpu({ engine: "wasm" });
    new KernelRunner(k).run(launch);
    assert.ok(differs(), "vectors round some points otherwise");
    configureCpu({ engine: "js" });
    new KernelRunner(k).run(launch);
    assert.ok(!differs());
    configureCpu({ engine: "wasm", wasm: false });
    new KernelRunner(k).run(launch);
    assert.ok(!differs());
    configureCpu({ engine: "wasm", wasm: true, onednn: false, openblas: false });
    using a = tnp.arange(10000).astype("float32");
    assert.equal(tnp.sum(tnp.add(a, 1)).item(), 50005000);
    assert.deepEqual(tnp.where(tnp.less(a, 3), a, -1).at("0:5").toArray(), [0, 1, 2, -1, -1]);
  } finally {
    configureCpu(null);
  }
  assert.equal(cpu.name, "CPU:0");
});
