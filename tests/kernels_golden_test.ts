/** Every operation of every dtype against real NumPy, in all engines: in native ones within what their functions promise. */
import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { dtypes, type ScalarType, type TypedArray, typedArrays } from "../src/base/dtype.ts";
import type { BinaryOp, Expr, UnaryOp } from "../kernels/expr.ts";
import { b, type Engine, engines, kernel, load, memory, operand, output } from "./support/kernels.ts";
import { test } from "./support/suite.ts";

interface Entry {
  readonly x: string;
  readonly y: string;
  readonly unary: Readonly<Record<string, string>>;
  readonly binary: Readonly<Record<string, string>>;
  readonly cast: Readonly<Record<string, string>>;
}
const golden = JSON.parse(readFileSync(new URL("./golden/kernels.json", import.meta.url), "utf8")) as Record<
  ScalarType,
  Entry
>;

function decode(dtype: ScalarType, text: string): TypedArray {
  const bytes = Buffer.from(text, "base64");
  const m = memory(dtype, bytes.length / typedArrays[dtype].BYTES_PER_ELEMENT);
  new Uint8Array(m.buffer as ArrayBuffer).set(bytes);
  return m;
}

/** Ordered integers of floats, so that a difference is a distance in units in the last place. */
function ordinal(dtype: ScalarType, m: TypedArray, i: number): bigint {
  const bytes = m.BYTES_PER_ELEMENT;
  const at = m.byteOffset + i * bytes;
  const view = new DataView(m.buffer as ArrayBuffer);
  void dtype;
  const u = bytes === 8
    ? view.getBigInt64(at, true)
    : bytes === 4
    ? BigInt(view.getInt32(at, true))
    : BigInt(view.getInt16(at, true));
  const low = -(1n << BigInt(bytes * 8 - 1));
  return u < 0n ? low - u : u;
}

function number(dtype: ScalarType, m: TypedArray, i: number): number {
  if (dtype !== "bfloat16") return Number(m[i]);
  const f = new Float32Array(1);
  new Uint32Array(f.buffer)[0] = Number(m[i]) << 16;
  return f[0]!;
}

/** The largest distance, in units in the last place; NaN and infinities must agree. */
function distance(dtype: ScalarType, got: TypedArray, want: TypedArray): { ulp: number; at: number } {
  let ulp = 0, at = -1;
  for (let i = 0; i < want.length; i++) {
    let d: number;
    if (dtypes[dtype].kind !== "f") d = got[i] === want[i] ? 0 : Infinity;
    else {
      const g = number(dtype, got, i), w = number(dtype, want, i);
      d = Object.is(g, w)
        ? 0
        : g !== g || w !== w
        ? Infinity
        : Number(ordinal(dtype, got, i) - ordinal(dtype, want, i));
    }
    if (Math.abs(d) > ulp) [ulp, at] = [Math.abs(d), i];
  }
  return { ulp, at };
}

const exact = new Set(
  ("neg abs sign not floor ceil trunc rint sqrt isnan isinf isfinite signbit popcount add sub mul div floordiv mod fmod copysign " +
    "nextafter max min fmax fmin and or xor shl shr gcd lt le eq ne").split(" "),
);

/** How far from NumPy a result may be. NumPy's own vector functions are up to 4 units off. */
function tolerance(op: string, dtype: ScalarType): number {
  if (dtypes[dtype].kind !== "f" || exact.has(op)) return 0;
  return dtype === "float64" || dtype === "float32" ? 5 : 1;
}

/** Points NumPy and C see otherwise, and why. */
function excused(op: string, dtype: ScalarType, x: number, y: number): boolean {
  // The zero that max and min give of two zeros, and the sign of NaN.
  if ((op === "max" || op === "min" || op === "fmax" || op === "fmin") && x === 0 && y === 0) return true;
  if (op === "lgamma" && x < 0) return true; // near its zeros
  if (dtype === "bfloat16" && (op === "floordiv" || op === "mod" || op === "popcount")) return true; // ml_dtypes has its own
  if (op === "signbit" && x !== x) return true;
  return false;
}

for (const dtype of Object.keys(golden) as ScalarType[]) {
  const entry = golden[dtype];
  const x = decode(dtype, entry.x), y = decode(dtype, entry.y);
  const cases: { name: string; op: string; expr: Expr; want: TypedArray }[] = [];
  for (const [op, text] of Object.entries(entry.unary)) {
    const expr = b.unary(op as Exclude<UnaryOp, "cast">, load(0, dtype));
    cases.push({ name: `${op}(${dtype})`, op, expr, want: decode(expr.dtype, text) });
  }
  for (const [op, text] of Object.entries(entry.binary)) {
    let right = load(1, dtype);
    if (op === "pow" && dtypes[dtype].kind === "i") {
      right = b.where(b.binary("lt", right, b.const(dtype, 0)), b.const(dtype, 0), right);
    }
    const expr = b.binary(op as BinaryOp, load(0, dtype), right);
    cases.push({ name: `${op}(${dtype}, ${dtype})`, op, expr, want: decode(expr.dtype, text) });
  }
  for (const [to, text] of Object.entries(entry.cast)) {
    const expr = b.cast(load(0, dtype), to as ScalarType);
    cases.push({ name: `cast(${dtype} to ${to})`, op: "cast", expr, want: decode(to as ScalarType, text) });
  }
  const k = kernel({
    operands: [operand(dtype), operand(dtype)],
    body: cases.map((c) => c.expr),
    outputs: cases.map((c) => output(c.expr.dtype)),
    comment: `every operation of ${dtype}`,
  });
  const check = (engine: string, run: Engine["run"]) => {
    const got = cases.map((c) => memory(c.expr.dtype, x.length));
    run(k, {
      sizes: [x.length],
      operands: [{ data: x, strides: [1] }, { data: y, strides: [1] }],
      outputs: got.map((data) => ({ data, strides: [1] })),
    });
    const wrong: string[] = [];
    cases.forEach((c, j) => {
      const result = got[j]!, want = c.want;
      for (let i = 0; i < want.length; i++) {
        if (excused(c.op, dtype, number(dtype, x, i), number(dtype, y, i))) {
          (want as { [i: number]: unknown })[i] = result[i];
        }
      }
      const { ulp, at } = distance(c.expr.dtype, result, want);
      const allowed = c.op === "cast" ? 0 : tolerance(c.op, c.expr.dtype);
      if (ulp > allowed) {
        const num = (d: ScalarType, m: TypedArray) => dtypes[d].kind === "f" ? number(d, m, at) : m[at];
        wrong.push(
          `${engine} ${c.name} at x=${num(dtype, x)} y=${num(dtype, y)}: got ${num(c.expr.dtype, result)}, expected ${
            num(c.expr.dtype, want)
          } (${ulp} ulp)`,
        );
      }
    });
    assert.deepEqual(wrong, []);
  };
  for (const { name, run } of engines()) {
    test(`kernels: operations of ${dtype} in ${name} are NumPy's`, () => check(name, run));
  }
}
