/**
 * Cases for every primitive: what to call it with, and where it is smooth enough for finite differences.
 * @module
 */
import type { DType } from "../../src/base/dtype.ts";
import type { ScatterMode } from "../../kernels/kernel.ts";
import * as op from "../../src/core/ops.ts";
import type { BinaryName, PrimitiveName, ReduceName, ScanName, UnaryName } from "../../src/core/registry.ts";
import type { Node } from "../../src/core/trace.ts";

/** An input: shape, dtype, and the range its random values come from (whole numbers for integers). */
export interface InputSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly low: number;
  readonly high: number;
  /** Whether the values rise along the last axis. */
  readonly sorted?: boolean;
}

/** One way to call a primitive. */
export interface PrimCase {
  readonly inputs: readonly InputSpec[];
  /** Binds the primitive, once, to exactly these inputs. */
  readonly apply: (...xs: Node[]) => Node;
  /** Which inputs to differentiate with respect to, by number. */
  readonly smooth?: readonly number[];
}

const f = (shape: readonly number[], low = -2, high = 2, dtype: DType = "float64"): InputSpec => ({
  shape,
  dtype,
  low,
  high,
});
const z = (shape: readonly number[], low = -1, high = 1): InputSpec => f(shape, low, high, "complex128");
const n = (shape: readonly number[], low = -4, high = 9, dtype: DType = "int64"): InputSpec =>
  f(shape, low, high, dtype);
const bool = (shape: readonly number[]): InputSpec => f(shape, 0, 2, "bool");

/** A unary case on floats in a range, and on complex numbers. */
function unaries(name: UnaryName, low: number, high: number, complex: boolean, smooth = true): PrimCase[] {
  const apply = op[name];
  const on = smooth ? { smooth: [0] } : {};
  const real: PrimCase = { inputs: [f([2, 3], low, high)], apply, ...on };
  return complex ? [real, { inputs: [z([4], 0.1, 0.9)], apply, ...on }] : [real];
}

/** A binary case on floats in a range, with shapes that broadcast. */
function binaries(name: BinaryName, low: number, high: number, smooth: readonly number[], complex = false): PrimCase[] {
  const apply = op[name];
  return [
    { inputs: [f([2, 3], low, high), f([3], low, high)], apply, smooth },
    { inputs: [f([2, 1], low, high), f([], low, high)], apply, smooth },
    ...(complex ? [{ inputs: [z([3], 0.2, 1), z([2, 1], 0.2, 1)], apply, smooth }] : []),
  ];
}

const bits = (name: BinaryName, low = -9, high = 9): PrimCase[] => [
  { inputs: [n([2, 3], low, high, "int32"), n([3], low, high, "int32")], apply: op[name] },
];
const shifts = (name: "shl" | "shr"): PrimCase[] => [
  { inputs: [n([2, 3], -9, 9, "int32"), n([3], 0, 5, "int32")], apply: op[name] },
];

function reductions(name: ReduceName, smooth: boolean): PrimCase[] {
  const on = smooth ? { smooth: [0] } : {};
  return [[0], [1], [0, 2], [0, 1, 2]].map((axes) => ({
    inputs: [f([2, 3, 2])],
    apply: (x) => op[name](x, axes),
    ...on,
  }));
}

const truths = (name: "any" | "all"): PrimCase[] =>
  [[1], [0, 1]].map((axes) => ({ inputs: [bool([3, 2])], apply: (x) => op[name](x, axes) }));

const scans = (name: ScanName): PrimCase[] =>
  [[0, false], [1, false], [1, true]].map(([axis, reverse]) => ({
    inputs: [f([2, 5])],
    apply: (x) => op[name](x, Number(axis), Boolean(reverse)),
    smooth: [0],
  }));

const scatters = (mode: ScatterMode): PrimCase[] => [
  {
    inputs: [f([4, 3], 0.5, 2), f([5, 3], 0.5, 2), n([5], -4, 4)],
    apply: (x, u, i) => op.scatter(x, u, [i], [0], mode),
    smooth: [0, 1],
  },
  {
    inputs: [f([2, 3, 4], 0.5, 2), f([2, 3], 0.5, 2), n([2], -4, 4), n([2], -2, 2)],
    apply: (x, u, i, j) => op.scatter(x, u, [i, j], [2, 0], mode),
    smooth: [0, 1],
  },
];

/** Cases by primitive; a primitive without an entry is a compile error. */
export const primCases = {
  scalar: [],
  iota: [],
  placeholder: [],
  neg: unaries("neg", -2, 2, true),
  abs: unaries("abs", -2, 2, true),
  sign: unaries("sign", -2, 2, true),
  not: [{ inputs: [n([3])], apply: op.not }, { inputs: [bool([3])], apply: op.not }],
  floor: unaries("floor", -2, 2, false, false),
  ceil: unaries("ceil", -2, 2, false, false),
  trunc: unaries("trunc", -2, 2, false, false),
  rint: unaries("rint", -2, 2, false, false),
  sqrt: unaries("sqrt", 0.5, 3, true),
  cbrt: unaries("cbrt", 0.5, 3, false),
  exp: unaries("exp", -2, 2, true),
  exp2: unaries("exp2", -2, 2, true),
  expm1: unaries("expm1", -2, 2, true),
  log: unaries("log", 0.5, 3, true),
  log2: unaries("log2", 0.5, 3, true),
  log10: unaries("log10", 0.5, 3, true),
  log1p: unaries("log1p", -0.5, 3, true),
  sin: unaries("sin", -2, 2, true),
  cos: unaries("cos", -2, 2, true),
  tan: unaries("tan", -1.2, 1.2, true),
  asin: unaries("asin", -0.8, 0.8, true),
  acos: unaries("acos", -0.8, 0.8, true),
  atan: unaries("atan", -2, 2, true),
  sinh: unaries("sinh", -2, 2, true),
  cosh: unaries("cosh", -2, 2, true),
  tanh: unaries("tanh", -2, 2, true),
  asinh: unaries("asinh", -2, 2, true),
  acosh: unaries("acosh", 1.5, 3, true),
  atanh: unaries("atanh", -0.8, 0.8, true),
  erf: unaries("erf", -2, 2, false),
  erfc: unaries("erfc", -2, 2, false),
  lgamma: [...unaries("lgamma", 0.3, 6, false), ...unaries("lgamma", -0.8, -0.2, false)],
  isnan: unaries("isnan", -2, 2, true, false),
  isinf: unaries("isinf", -2, 2, true, false),
  isfinite: unaries("isfinite", -2, 2, true, false),
  signbit: unaries("signbit", -2, 2, false, false),
  popcount: [{ inputs: [n([4], -99, 99)], apply: op.popcount }],
  real: [{ inputs: [z([3])], apply: op.real, smooth: [0] }],
  imag: [{ inputs: [z([3])], apply: op.imag, smooth: [0] }],
  conj: [{ inputs: [z([3])], apply: op.conj, smooth: [0] }],
  stop_gradient: unaries("stop_gradient", -2, 2, true, false),
  add: binaries("add", -2, 2, [0, 1], true),
  sub: binaries("sub", -2, 2, [0, 1], true),
  mul: binaries("mul", -2, 2, [0, 1], true),
  div: binaries("div", 0.5, 2, [0, 1], true),
  floordiv: binaries("floordiv", 0.5, 5, []),
  mod: binaries("mod", 0.5, 5, [0, 1]),
  fmod: binaries("fmod", 0.5, 5, [0, 1]),
  pow: binaries("pow", 0.5, 2, [0, 1], true),
  atan2: binaries("atan2", -2, 2, [0, 1]),
  hypot: binaries("hypot", -2, 2, [0, 1]),
  copysign: binaries("copysign", -2, 2, [0]),
  nextafter: binaries("nextafter", -2, 2, []),
  maximum: binaries("maximum", -2, 2, [0, 1]),
  minimum: binaries("minimum", -2, 2, [0, 1]),
  fmax: binaries("fmax", -2, 2, [0, 1]),
  fmin: binaries("fmin", -2, 2, [0, 1]),
  and: bits("and"),
  or: bits("or"),
  xor: bits("xor"),
  shl: shifts("shl"),
  shr: shifts("shr"),
  gcd: bits("gcd"),
  less: binaries("less", -2, 2, [], true),
  less_equal: binaries("less_equal", -2, 2, [], true),
  equal: binaries("equal", -2, 2, [], true),
  not_equal: binaries("not_equal", -2, 2, [], true),
  complex: binaries("complex", -2, 2, [0, 1]),
  where: [{ inputs: [bool([3]), f([2, 1]), f([2, 3])], apply: op.where, smooth: [1, 2] }],
  cast: [
    { inputs: [f([3])], apply: (x) => op.cast(x, "complex128"), smooth: [0] },
    { inputs: [z([3])], apply: (x) => op.cast(x, "float64"), smooth: [0] },
    { inputs: [f([3])], apply: (x) => op.cast(x, "int32") },
    { inputs: [n([3])], apply: (x) => op.cast(x, "float64") },
  ],
  threefry: [{
    inputs: [n([], 0, 99, "uint32"), n([], 0, 99, "uint32"), n([4], 0, 99, "uint32"), n([4], 0, 99, "uint32")],
    apply: (a, b, c, d) => op.threefry(a, b, c, d, 1),
  }],
  reshape: [{ inputs: [f([2, 6])], apply: (x) => op.reshape(x, [3, 4]), smooth: [0] }],
  transpose: [{ inputs: [f([2, 3, 4])], apply: (x) => op.transpose(x, [2, 0, 1]), smooth: [0] }],
  broadcast: [
    { inputs: [f([3, 1])], apply: (x) => op.broadcast(x, [2, 3, 4]), smooth: [0] },
    { inputs: [f([])], apply: (x) => op.broadcast(x, [2]), smooth: [0] },
  ],
  slice: [
    { inputs: [f([5, 4])], apply: (x) => op.slice(x, [4, 1], [3, 2], [-2, 2]), smooth: [0] },
    { inputs: [f([3])], apply: (x) => op.slice(x, [2], [3], [-1]), smooth: [0] },
  ],
  pad: [{ inputs: [f([2, 3])], apply: (x) => op.pad(x, [5, 4], [4, 1], [-3, 1]), smooth: [0] }],
  concatenate: [{
    inputs: [f([2, 3]), f([2, 1]), f([2, 2])],
    apply: (...xs) => op.concatenate(xs, 1),
    smooth: [0, 1, 2],
  }],
  sum: reductions("sum", true),
  prod: [...reductions("prod", true), { inputs: [z([3, 2])], apply: (x) => op.prod(x, [0]), smooth: [0] }],
  max: reductions("max", true),
  min: reductions("min", true),
  any: truths("any"),
  all: truths("all"),
  argmax: reductions("argmax", false),
  argmin: reductions("argmin", false),
  cumsum: scans("cumsum"),
  cumprod: [...scans("cumprod"), { inputs: [z([4])], apply: (x) => op.cumprod(x, 0), smooth: [0] }],
  cummax: scans("cummax"),
  cummin: scans("cummin"),
  gather: [
    { inputs: [f([4, 3]), n([2, 2], -4, 4)], apply: (x, i) => op.gather(x, [i], [0]), smooth: [0] },
    {
      inputs: [f([4, 3, 2]), n([5], -2, 2), n([5], 0, 4)],
      apply: (x, i, j) => op.gather(x, [i, j], [2, 0]),
      smooth: [0],
    },
  ],
  scatter: [
    ...scatters("set"),
    ...scatters("add"),
    ...scatters("multiply"),
    ...scatters("min"),
    ...scatters("max"),
  ],
  sort: [{ inputs: [f([2, 5])], apply: op.sort, smooth: [0] }],
  argsort: [{ inputs: [f([2, 5])], apply: op.argsort }],
  searchsorted: [{
    inputs: [{ ...f([5]), sorted: true }, f([2, 3])],
    apply: (a, v) => op.searchsorted(a, v, "left"),
  }, { inputs: [{ ...f([5]), sorted: true }, f([])], apply: (a, v) => op.searchsorted(a, v, "right") }],
  matmul: [
    { inputs: [f([2, 3]), f([3, 4])], apply: op.matmul, smooth: [0, 1] },
    { inputs: [f([2, 3]), f([3, 1])], apply: op.matmul, smooth: [0, 1] },
    { inputs: [f([2, 1]), f([1, 2])], apply: op.matmul, smooth: [0, 1] },
    { inputs: [f([5, 2, 3]), f([3, 4])], apply: op.matmul, smooth: [0, 1] },
    { inputs: [f([2, 3]), f([5, 3, 4])], apply: op.matmul, smooth: [0, 1] },
    { inputs: [f([5, 1, 2, 3]), f([2, 3, 2])], apply: op.matmul, smooth: [0, 1] },
    { inputs: [z([2, 3]), z([3, 2])], apply: op.matmul, smooth: [0, 1] },
  ],
} satisfies Record<PrimitiveName, readonly PrimCase[]>;
