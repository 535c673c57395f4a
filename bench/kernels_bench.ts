// Scans, gathers, scatters, copies across axes, small dtypes, searches and selections: what the other files do not cover.
import { type NDArray, tnp } from "../mod.ts";
import { type Case, compute, suite } from "./harness.ts";
import { everywhere, type PythonCode } from "./python_peer.ts";

type DType = "bool" | "int8" | "uint8" | "int32" | "int64" | "float16" | "bfloat16" | "float32" | "float64";

const million = 1_000_000;

/** Numbers of a shape as an array and as NumPy code. */
interface Input {
  readonly make: () => NDArray;
  readonly numpy: string;
}

const computed = (x: NDArray): NDArray => {
  x.dataSync();
  return x;
};

/** Normal numbers, or integers of the whole range of a byte for integer dtypes. */
function numbers(dtype: DType, ...shape: readonly number[]): Input {
  const float = /float/.test(dtype);
  return {
    make: () => computed((float ? tnp.random.randn(...shape) : tnp.random.randint(0, 127, [...shape])).astype(dtype)),
    numpy: `${float ? `rng.standard_normal((${shape},))` : `rng.integers(0, 127, (${shape},))`}.astype(np.${dtype})`,
  };
}

/** Truth values, true by chance or all the same. */
function truths(value?: boolean): Input {
  return {
    make: () => {
      const x = value === undefined ? tnp.random.randint(0, 2, [million]) : tnp.full([million], value);
      return computed(x.astype("bool"));
    },
    numpy: value === undefined
      ? `rng.integers(0, 2, ${million}).astype(bool)`
      : `np.full(${million}, ${value ? "True" : "False"})`,
  };
}

/** Positions below a bound, as they come or in order. */
function positions(bound: number, count: number, sorted = false): Input {
  return {
    make: () => {
      const x = tnp.random.randint(0, bound, [count]).astype("int64");
      return computed(sorted ? tnp.sort(x) : x);
    },
    numpy: `${sorted ? "np.sort" : ""}(rng.integers(0, ${bound}, ${count}))`,
  };
}

/** One expression of up to three arrays, eager, beside NumPy's. */
function work(
  name: string,
  inputs: readonly Input[],
  f: (...arrays: [NDArray, NDArray, NDArray]) => NDArray,
  expression: string,
  python: PythonCode = numpy(inputs, expression),
): Case {
  return {
    name,
    make: () => {
      const arrays = inputs.map(({ make }) => make()) as [NDArray, NDArray, NDArray];
      return () => compute(f(...arrays));
    },
    python,
  };
}

const names = ["x", "y", "z"];

/** Every case is one call of NumPy's; what compilers make of one call is in the other files. */
function numpy(inputs: readonly Input[], expression: string): PythonCode {
  const code = inputs.map(({ numpy }, i) => `${names[i]} = ${numpy}`).join("\n");
  const { numpy: run } = everywhere(code, names.slice(0, inputs.length).join(", "), expression, false);
  return run === undefined ? {} : { numpy: run };
}

const floats = ["float32", "float64"] as const;

suite(
  "cumsum",
  floats.flatMap((dtype) => [
    work(`cumsum ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.cumsum(x), "np.cumsum(x)"),
    ...[0, 1].map((axis) =>
      work(
        `cumsum ${dtype} 1000 x 1000 axis ${axis}`,
        [numbers(dtype, 1000, 1000)],
        (x) => tnp.cumsum(x, axis),
        `np.cumsum(x, axis=${axis})`,
      )
    ),
  ]),
);

suite(
  "gather and scatter",
  floats.flatMap((dtype) => [
    ...[false, true].map((sorted) =>
      work(
        `take ${dtype} 1M at ${sorted ? "sorted" : "random"} positions`,
        [numbers(dtype, million), positions(million, million, sorted)],
        (x, i) => tnp.take(x, i),
        "np.take(x, y)",
      )
    ),
    work(
      `x[rows] ${dtype} 20000 rows of 64`,
      [numbers(dtype, 10_000, 64), positions(10_000, 20_000)],
      (x, i) => x.at(i),
      "x[y]",
    ),
    work(
      `x[:, columns] ${dtype} 1000 x 1000`,
      [numbers(dtype, 1000, 1000), positions(1000, 1000)],
      (x, i) => x.at(":", i),
      "x[:, y]",
    ),
    work(
      `take_along_axis ${dtype} 1000 x 1000 axis 1`,
      [numbers(dtype, 1000, 1000), {
        make: () => computed(tnp.random.randint(0, 1000, [1000, 1000]).astype("int64")),
        numpy: "rng.integers(0, 1000, (1000, 1000))",
      }],
      (x, i) => tnp.take_along_axis(x, i, 1),
      "np.take_along_axis(x, y, 1)",
    ),
    work(
      `scatter-add ${dtype} 1M into 1000`,
      [numbers(dtype, 1000), positions(1000, million), numbers(dtype, million)],
      (x, i, v) => x.with([i], v, { mode: "add" }),
      "(lambda a: (np.add.at(a, y, z), a)[1])(x.copy())",
    ),
    work(
      `scatter-add ${dtype} 1M into 1M`,
      [numbers(dtype, million), positions(million, million), numbers(dtype, million)],
      (x, i, v) => x.with([i], v, { mode: "add" }),
      "(lambda a: (np.add.at(a, y, z), a)[1])(x.copy())",
    ),
    work(
      `x[mask] ${dtype} 1M`,
      [numbers(dtype, million)],
      (x) => x.at(tnp.greater(x, 0)),
      "x[x > 0]",
    ),
  ]),
);

suite("copies", [
  ...floats.flatMap((dtype) => [
    work(
      `-x.T ${dtype} 2000 x 2000`,
      [numbers(dtype, 2000, 2000)],
      (x) => tnp.transpose(x).neg(),
      'np.negative(x.T, order="C")',
    ),
    work(
      `x.T + x ${dtype} 2000 x 2000`,
      [numbers(dtype, 2000, 2000)],
      (x) => tnp.transpose(x).add(x),
      "x.T + x",
    ),
    work(
      `concatenate ${dtype} 2 x 1M`,
      [numbers(dtype, million), numbers(dtype, million)],
      (x, y) => tnp.concatenate([x, y]),
      "np.concatenate([x, y])",
    ),
    work(
      `concatenate ${dtype} 2 x 1000 x 1000 axis 1`,
      [numbers(dtype, 1000, 1000), numbers(dtype, 1000, 1000)],
      (x, y) => tnp.concatenate([x, y], 1),
      "np.concatenate([x, y], 1)",
    ),
    work(`-x[::-1] ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.flip(x).neg(), "-np.flip(x)"),
    work(`roll ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.roll(x, 1000), "np.roll(x, 1000)"),
  ]),
  work(
    "astype float64 to float32 1M",
    [numbers("float64", million)],
    (x) => x.astype("float32"),
    "x.astype(np.float32)",
  ),
  work("astype int64 to float64 1M", [numbers("int64", million)], (x) => x.astype("float64"), "x.astype(np.float64)"),
  work("astype uint8 to float32 1M", [numbers("uint8", million)], (x) => x.astype("float32"), "x.astype(np.float32)"),
]);

/** NumPy has no bfloat16: PyTorch, which has, is measured beside. */
function half(
  name: string,
  count: number,
  f: (x: NDArray, y: NDArray) => NDArray,
  expression: string,
  torch: string,
): Case[] {
  const inputs = (dtype: DType) => [numbers(dtype, million), numbers(dtype, million)].slice(0, count);
  const made = ["x", "y"].slice(0, count).map((x) => `${x} = torch.randn(${million}).to(torch.bfloat16)`).join("\n");
  return [
    work(`${name} float16 1M`, inputs("float16"), f, expression),
    work(`${name} bfloat16 1M`, inputs("bfloat16"), f, "", { torch: `${made}\nrun = lambda: ${torch}` }),
  ];
}

suite("small dtypes", [
  ...half("add", 2, (x, y) => x.add(y), "x + y", "x + y"),
  ...half(
    "sigmoid",
    1,
    (x) => tnp.divide(1, tnp.exp(x.neg()).add(1)),
    "1 / (1 + np.exp(-x))",
    "1 / (1 + torch.exp(-x))",
  ),
  ...half("sum", 1, (x) => tnp.sum(x), "np.sum(x)", "torch.sum(x)"),
  work("add uint8 1M", [numbers("uint8", million), numbers("uint8", million)], (x, y) => x.add(y), "x + y"),
  work("multiply int8 1M", [numbers("int8", million), numbers("int8", million)], (x, y) => x.mul(y), "x * y"),
  work("sum uint8 1M", [numbers("uint8", million)], (x) => tnp.sum(x), "np.sum(x)"),
]);

suite("integers", [
  work("sum int64 1M", [numbers("int64", million)], (x) => tnp.sum(x), "np.sum(x)"),
  work("sum int32 1M", [numbers("int32", million)], (x) => tnp.sum(x), "np.sum(x)"),
  work("multiply int64 1M", [numbers("int64", million), numbers("int64", million)], (x, y) => x.mul(y), "x * y"),
  work(
    "floor_divide int64 1M by 7",
    [numbers("int64", million)],
    (x) => tnp.floor_divide(x, 7),
    "x // 7",
  ),
  work(
    "remainder int64 1M",
    [numbers("int64", million), {
      make: () => computed(tnp.arange(1, million + 1)),
      numpy: `np.arange(1, ${million + 1})`,
    }],
    (x, y) => tnp.remainder(x, y),
    "x % y",
  ),
]);

suite("searches and selections", [
  ...[...floats, "int64" as const].flatMap((dtype) => [
    work(`argmax ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.argmax(x), "np.argmax(x)"),
    work(`max ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.max(x), "np.max(x)"),
  ]),
  ...[0, 1].map((axis) =>
    work(
      `argmax float32 1000 x 1000 axis ${axis}`,
      [numbers("float32", 1000, 1000)],
      (x) => tnp.argmax(x, axis),
      `np.argmax(x, axis=${axis})`,
    )
  ),
  ...floats.flatMap((dtype) => [
    work(
      `where ${dtype} 1M`,
      [
        truths(),
        numbers(dtype, million),
        numbers(dtype, million),
      ],
      (c, x, y) => tnp.where(c, x, y),
      "np.where(x, y, z)",
    ),
    work(`x > y ${dtype} 1M`, [numbers(dtype, million), numbers(dtype, million)], (x, y) => tnp.greater(x, y), "x > y"),
    work(`clip ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.clip(x, -1, 1), "np.clip(x, -1, 1)"),
    work(
      `maximum ${dtype} 1M`,
      [numbers(dtype, million), numbers(dtype, million)],
      (x, y) => tnp.maximum(x, y),
      "np.maximum(x, y)",
    ),
  ]),
  work(
    "any bool 1M, none true",
    [truths(false)],
    (x) => tnp.any(x),
    "np.any(x)",
  ),
  work(
    "all bool 1M, all true",
    [truths(true)],
    (x) => tnp.all(x),
    "np.all(x)",
  ),
  work("all float32 1M", [numbers("float32", million)], (x) => tnp.all(x), "np.all(x)"),
  work(
    "count_nonzero bool 1M",
    [truths()],
    (x) => tnp.count_nonzero(x),
    "np.count_nonzero(x)",
  ),
]);

suite("reductions", [
  ...floats.flatMap((dtype) => [
    ...(["var", "std"] as const).flatMap((name) =>
      [null, 0, 1].map((axis) =>
        work(
          `${name} ${dtype} 1000 x 1000 ${axis === null ? "all" : `axis ${axis}`}`,
          [numbers(dtype, 1000, 1000)],
          (x) => tnp[name](x, axis),
          `np.${name}(x, axis=${axis ?? "None"})`,
        )
      )
    ),
    ...([["sum", 100, 100, 100], ["sum", 1000, 100, 10], ["max", 1000, 100, 10], ["sum", 100_000, 10], [
      "argmax",
      100_000,
      10,
    ]] as const).map(
      ([name, ...shape]) =>
        work(
          `${name} ${dtype} ${shape.join(" x ")} axis 1`,
          [numbers(dtype, ...shape)],
          (x) => tnp[name](x, 1),
          `np.${name}(x, axis=1)`,
        ),
    ),
    work(`mean ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.mean(x), "np.mean(x)"),
    work(`prod ${dtype} 1M`, [numbers(dtype, million)], (x) => tnp.prod(x), "np.prod(x)"),
  ]),
]);

/** What is sorted: random values, a hundred different ones, or values in order. */
const kinds = {
  random: numbersToSort,
  "100 values": (dtype: DType, n: number): Input => ({
    make: () => computed(tnp.random.randint(0, 100, [n]).astype(dtype)),
    numpy: `rng.integers(0, 100, ${n}).astype(np.${dtype})`,
  }),
  sorted: (dtype: DType, n: number): Input => ({
    make: () => computed(tnp.arange(n).astype(dtype)),
    numpy: `np.arange(${n}).astype(np.${dtype})`,
  }),
} as const;

function numbersToSort(dtype: DType, n: number): Input {
  const top = 2 ** 31 - 1;
  if (/float/.test(dtype)) return numbers(dtype, n);
  return {
    make: () => computed(tnp.random.randint(-top, top, [n]).astype(dtype)),
    numpy: `rng.integers(${-top}, ${top}, ${n}).astype(np.${dtype})`,
  };
}

suite(
  "sorts",
  (["sort", "argsort"] as const).flatMap((name) =>
    (["float32", "float64", "int32", "int64"] as const).flatMap((dtype) =>
      (["random", "100 values", "sorted"] as const).flatMap((kind) =>
        (kind === "random"
          ? [1024, 4096, 65536, 1048576]
          : dtype === "float64" || dtype === "int32"
          ? []
          : [4096, 65536, 1048576]).map((n): Case => ({
            ...work(`${name} ${dtype} ${n}, ${kind}`, [kinds[kind](dtype, n)], (x) => tnp[name](x), `np.${name}(x)`),
            size: n,
          }))
      )
    )
  ),
);
