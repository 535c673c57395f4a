/**
 * Records of the functions that tests go through: how close to NumPy a result must be, where a function is smooth, what it takes.
 * @module
 */

/** How far a result may be from NumPy's: units in the last place of its dtype; 0 is exact, with the sign of zero. */
export interface Tolerance {
  /** Units in the last place of float32 and float64; of the modulus for complex. */
  readonly ulp: number;
  /** The same for complex dtypes, where it differs. */
  readonly complexUlp?: number;
  /** The same for float16 and bfloat16, 1 unless given. */
  readonly halfUlp?: number;
  /** Errors up to this many epsilons of the dtype are accepted: for results that cancel to about 0. */
  readonly floor?: number;
  /** Whether -0 and 0 are the same, where NumPy's own loops differ between machines. */
  readonly anyZero?: boolean;
}

/** A function that a test can be driven by. */
export interface OpRecord extends Tolerance {
  readonly name: string;
  readonly kind: "unary" | "binary" | "reduce" | "scan";
  /** Intervals of real inputs inside which the function is smooth, one an operand: finite differences hold there. */
  readonly domain?: readonly (readonly [number, number])[];
  /** Whether gradients flow: to first order, and to any. */
  readonly differentiable?: boolean;
}

type Options = Partial<Omit<OpRecord, "name" | "kind">>;
const unary = (name: string, low: number, high: number, options: Options = {}): OpRecord => ({
  name,
  kind: "unary",
  ulp: 0,
  domain: [[low, high]],
  differentiable: true,
  ...options,
});
const binary = (
  name: string,
  a: readonly [number, number],
  b: readonly [number, number],
  options: Options = {},
): OpRecord => ({ name, kind: "binary", ulp: 0, domain: [a, b], differentiable: true, ...options });
const flat = (kind: OpRecord["kind"], name: string, options: Options = {}): OpRecord => ({
  name,
  kind,
  ulp: 0,
  differentiable: false,
  ...options,
});
const reduce = (name: string, options: Options = {}): OpRecord => ({
  name,
  kind: "reduce",
  ulp: 0,
  domain: [[0.5, 2]],
  differentiable: true,
  ...options,
});

/** Errors of libraries for transcendental functions differ by a few units. */
const smooth = { ulp: 4, complexUlp: 16 };

/** Elementwise functions of one array. */
export const unaries: readonly OpRecord[] = [
  unary("negative", -3, 3),
  unary("positive", -3, 3),
  unary("square", -3, 3, { complexUlp: 4 }),
  unary("reciprocal", 0.5, 3, { complexUlp: 4 }),
  unary("sqrt", 0.25, 4, { complexUlp: 4 }),
  unary("cbrt", 0.25, 4, { ulp: 2 }),
  unary("abs", 0.25, 4, { complexUlp: 4 }),
  unary("absolute", 0.25, 4, { complexUlp: 4 }),
  unary("fabs", 0.25, 4),
  unary("exp", -2, 2, smooth),
  unary("exp2", -2, 2, smooth),
  unary("expm1", -2, 2, { ulp: 4, complexUlp: 32 }),
  unary("log", 0.25, 4, smooth),
  unary("log2", 0.25, 4, smooth),
  unary("log10", 0.25, 4, smooth),
  unary("log1p", -0.5, 3, smooth),
  unary("sin", -3, 3, smooth),
  unary("cos", -3, 3, smooth),
  unary("tan", -1.2, 1.2, smooth),
  unary("arcsin", -0.8, 0.8, smooth),
  unary("arccos", -0.8, 0.8, smooth),
  unary("arctan", -3, 3, smooth),
  unary("sinh", -2, 2, smooth),
  unary("cosh", -2, 2, smooth),
  unary("tanh", -2, 2, smooth),
  unary("arcsinh", -3, 3, smooth),
  unary("arccosh", 1.25, 4, smooth),
  unary("arctanh", -0.8, 0.8, smooth),
  unary("sinc", 0.1, 0.9, { ulp: 8, complexUlp: 32, floor: 4 }),
  unary("deg2rad", -3, 3, { ulp: 2 }),
  unary("rad2deg", -3, 3, { ulp: 2 }),
  unary("radians", -3, 3, { ulp: 2 }),
  unary("degrees", -3, 3, { ulp: 2 }),
  unary("real", -3, 3),
  unary("conj", -3, 3),
  unary("conjugate", -3, 3),
  unary("nan_to_num", -3, 3),
  flat("unary", "imag"),
  flat("unary", "angle", smooth),
  flat("unary", "round", { complexUlp: 2 }),
  flat("unary", "around", { complexUlp: 2 }),
  ...[
    "sign",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "fix",
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "isneginf",
    "isposinf",
    "logical_not",
    "iscomplex",
    "isreal",
    "bitwise_not",
    "invert",
    "bitwise_count",
  ].map((name) => flat("unary", name)),
];

/** Elementwise functions of two arrays. */
export const binaries: readonly OpRecord[] = [
  binary("add", [-3, 3], [-3, 3]),
  binary("subtract", [-3, 3], [-3, 3]),
  binary("multiply", [-3, 3], [-3, 3], { complexUlp: 2 }),
  binary("divide", [-3, 3], [0.5, 3], { complexUlp: 4 }),
  binary("true_divide", [-3, 3], [0.5, 3], { complexUlp: 4 }),
  binary("power", [0.25, 3], [-2, 2], { ulp: 4, complexUlp: 64 }),
  binary("float_power", [0.25, 3], [-2, 2], { ulp: 4, complexUlp: 64 }),
  binary("maximum", [-3, 0], [0.5, 3], { anyZero: true }),
  binary("minimum", [-3, 0], [0.5, 3], { anyZero: true }),
  binary("fmax", [-3, 0], [0.5, 3], { anyZero: true }),
  binary("fmin", [-3, 0], [0.5, 3], { anyZero: true }),
  binary("arctan2", [0.5, 3], [-3, 3], { ulp: 4 }),
  binary("hypot", [0.5, 3], [0.5, 3], { ulp: 2 }),
  binary("logaddexp", [-3, 3], [-3, 3], { ulp: 4, floor: 1 }),
  binary("logaddexp2", [-3, 3], [-3, 3], { ulp: 4, floor: 1 }),
  flat("binary", "nextafter", { anyZero: true }),
  ...[
    "floor_divide",
    "mod",
    "remainder",
    "fmod",
    "divmod",
    "copysign",
    "heaviside",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "left_shift",
    "right_shift",
    "gcd",
    "lcm",
    "isclose",
  ].map((name) => flat("binary", name)),
];

/** Reductions and running reductions. */
export const reductions: readonly OpRecord[] = [
  reduce("sum", { ulp: 4 }),
  reduce("prod", { ulp: 16, complexUlp: 64 }),
  reduce("mean", { ulp: 4 }),
  reduce("var", { ulp: 8, complexUlp: 16, halfUlp: 2 }),
  reduce("std", { ulp: 8, complexUlp: 16, halfUlp: 2 }),
  reduce("max", { anyZero: true }),
  reduce("min", { anyZero: true }),
  reduce("amax", { anyZero: true }),
  reduce("amin", { anyZero: true }),
  reduce("ptp", { anyZero: true }),
  reduce("average", { ulp: 8, complexUlp: 16 }),
  reduce("nansum", { ulp: 4 }),
  reduce("nanprod", { ulp: 16, complexUlp: 64 }),
  reduce("nanmean", { ulp: 4 }),
  ...["all", "any", "argmin", "argmax", "count_nonzero"].map((name) => flat("reduce", name)),
  { ...reduce("cumsum", { ulp: 4 }), kind: "scan" },
  { ...reduce("cumprod", { ulp: 16, complexUlp: 64, halfUlp: 8 }), kind: "scan" },
  { ...reduce("nancumsum", { ulp: 4 }), kind: "scan" },
  { ...reduce("nancumprod", { ulp: 16, complexUlp: 64, halfUlp: 8 }), kind: "scan" },
];

/** Tolerances of functions that have no record above; all others are exact. */
const others: Readonly<Record<string, Tolerance>> = {
  nanvar: { ulp: 8, complexUlp: 16, halfUlp: 2 },
  nanstd: { ulp: 8, complexUlp: 16, halfUlp: 2 },
  median: { ulp: 2 },
  quantile: { ulp: 4 },
  percentile: { ulp: 4 },
  linspace: { ulp: 2, floor: 1 },
  logspace: { ulp: 8 },
  geomspace: { ulp: 8 },
  arange: { ulp: 1 },
  matmul: { ulp: 4, anyZero: true },
  dot: { ulp: 4, anyZero: true },
  vdot: { ulp: 4, anyZero: true },
  inner: { ulp: 4, anyZero: true },
  outer: { ulp: 0, complexUlp: 2, anyZero: true },
  kron: { ulp: 0, complexUlp: 2, anyZero: true },
  tensordot: { ulp: 4, anyZero: true },
  einsum: { ulp: 4, anyZero: true },
  cross: { ulp: 2, anyZero: true },
  trace: { ulp: 2 },
  polyval: { ulp: 4, anyZero: true },
  vander: { ulp: 2, complexUlp: 8 },
  clip: { ulp: 0, anyZero: true },
  sort: { ulp: 0, anyZero: true },
  with: { ulp: 0, complexUlp: 2, anyZero: true },
};

const byName = new Map<string, Tolerance>([
  ...Object.entries(others),
  ...[...unaries, ...binaries, ...reductions].map((record) => [record.name, record] as const),
]);

/** How close a function must come to NumPy. */
export function toleranceOf(name: string): Tolerance {
  return byName.get(name) ?? { ulp: 0 };
}
