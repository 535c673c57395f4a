/** Random expressions of exact operations: JavaScript, C and WebAssembly must agree in every bit, and simplification must change none. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { dtypes, type ScalarType, type TypedArray } from "../src/base/dtype.ts";
import type { BinaryOp, Expr, UnaryOp } from "../kernels/expr.ts";
import { type Access, exprKey, type Kernel } from "../kernels/kernel.ts";
import { compileWasm } from "../kernels/wasm.ts";
import { b, kernel, load, memory, native64, operand, output, runC, runJs } from "./support/kernels.ts";
import { runWasm } from "./support/wasm.ts";

const seed = Number(globalThis.process?.env["TNP_SEED"] ?? 12345);
let state = seed >>> 0;
function random(n: number): number {
  state = state + 0x9e3779b9 >>> 0;
  let t = Math.imul(state ^ state >>> 16, 0x21f0aaad);
  t = Math.imul(t ^ t >>> 15, 0x735a2d97);
  return ((t ^ t >>> 15) >>> 0) % n;
}
const pick = <T>(all: readonly T[]): T => all[random(all.length)]!;

const all = Object.keys(dtypes).filter((d) => !d.startsWith("complex")) as ScalarType[];
const floatUnary = [
  "neg",
  "abs",
  "sign",
  "floor",
  "ceil",
  "trunc",
  "rint",
  "sqrt",
  "isnan",
  "isinf",
  "isfinite",
] as const;
const intUnary = ["neg", "abs", "sign", "not", "floor", "rint", "popcount"] as const;
const floatBinary = [
  "add",
  "sub",
  "mul",
  "div",
  "floordiv",
  "mod",
  "fmod",

  "nextafter",
  "max",
  "min",
  "fmax",
  "fmin",
  "lt",
  "le",
  "eq",
  "ne",
] as const;
const intBinary = [
  "add",
  "sub",
  "mul",
  "floordiv",
  "mod",
  "fmod",
  "pow",
  "max",
  "min",
  "and",
  "or",
  "xor",
  "shl",
  "shr",
  "gcd",
  "lt",
  "le",
  "eq",
  "ne",
] as const;
const boolBinary = ["add", "mul", "and", "or", "xor", "max", "min", "lt", "le", "eq", "ne"] as const;

const inputs = all.map((d, i) => ({ dtype: d, access: (["unit", "single", "strided"] as Access[])[i % 3]! }));
const points = 67;

function special(dtype: ScalarType, m: TypedArray): void {
  const store = m as { [i: number]: number | bigint };
  const kind = dtypes[dtype].kind, bits = dtypes[dtype].itemsize * 8;
  for (let i = 0; i < m.length; i++) {
    if (kind === "b") store[i] = random(2);
    else if (dtype === "bfloat16") {
      store[i] = pick([0, 0x8000, 0x3f80, 0xbf80, 0x7f80, 0xff80, 0x7fc0, 1, 0x7f7f, random(0x7f80), 0x4049]);
    } else if (kind === "f") {
      store[i] = pick([0, -0, 1, -1, 0.5, -2.5, Infinity, -Infinity, NaN, 1e-40, 3e38, random(1000) / 7 - 70]);
    } else if (bits === 64) {
      store[i] = pick([0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), BigInt(random(1e6)) * 7919n, 3n, 63n]);
    } else store[i] = pick([0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), random(1000), bits - 1, 3]);
  }
}

/** A random expression over earlier ones; every operation in it has one right answer. */
function grow(pool: Expr[]): Expr {
  const x = pick(pool), kind = dtypes[x.dtype].kind;
  const like = () => pick(pool.filter((e) => e.dtype === x.dtype));
  switch (random(5)) {
    case 0:
      return b.cast(x, pick(all));
    case 1:
      return b.where(pick(pool.filter((e) => e.dtype === "bool")), x, like());
    case 2:
      if (kind === "b") return b.unary("not", x);
      return b.unary(pick<Exclude<UnaryOp, "cast">>(kind === "f" ? floatUnary : intUnary), x);
    default:
      return b.binary(pick<BinaryOp>(kind === "b" ? boolBinary : kind === "f" ? floatBinary : intBinary), x, like());
  }
}

const engines = [
  ...(native64 ? [{ engine: "C", runs: runC, says: () => true }] : []),
  { engine: "WebAssembly", runs: runWasm, says: (k: Kernel) => compileWasm(k) !== null },
];
for (const { engine, runs, says } of engines) {
  for (let round = 0; round < 6; round++) {
    test(`kernels: random expressions agree in JavaScript and ${engine}, round ${round}`, () => {
      const pool: Expr[] = inputs.map((p, i) => load(i, p.dtype));
      for (let i = 0; i < 60; i++) pool.push(grow(pool));
      const make = (body: readonly Expr[]) =>
        kernel({
          operands: inputs.map((p) => operand(p.dtype, p.access)),
          body,
          outputs: body.map((e) => output(e.dtype)),
          comment: `random expressions ${seed} ${round}`,
        });
      const body = pool.slice(-24).filter((e) => says(make([e])));
      assert.ok(body.length > 8, `TNP_SEED=${seed} round ${round}: ${engine} can say only ${body.length} of 24`);
      const k = make(body);
      const mem = inputs.map((p) => memory(p.dtype, 3 * points));
      inputs.forEach((p, i) => special(p.dtype, mem[i]!));
      const operands = inputs.map((p, i) => ({
        data: mem[i]!,
        offset: p.access === "strided" ? 3 * points - 1 : 2,
        strides: [p.access === "unit" ? 1 : p.access === "single" ? 0 : -3],
      }));
      const js = body.map((e) => memory(e.dtype, points)), c = body.map((e) => memory(e.dtype, points));
      const run = (out: TypedArray[]) => ({
        sizes: [points],
        operands,
        outputs: out.map((data) => ({ data, strides: [1] })),
      });
      runJs(k, run(js));
      runs(k, run(c));
      body.forEach((e, j) => {
        for (let i = 0; i < points; i++) {
          const p = js[j]![i], q = c[j]![i];
          // Quiet NaNs differ in their bits.
          const same = Object.is(p, q) ||
            (e.dtype === "bfloat16" && (Number(p) & 0x7fff) > 0x7f80 && (Number(q) & 0x7fff) > 0x7f80);
          assert.ok(same, `TNP_SEED=${seed} round ${round}: ${exprKey([e])} at ${i}: JavaScript ${p}, ${engine} ${q}`);
        }
      });
    });
  }
}
