// Sums over all elements and over one axis, softmax, sort.
import { type NDArray, tnp } from "../mod.ts";
import { type Case, compute, suite } from "./harness.ts";
import { type NumpyTsArray, randomArray } from "./numpy_ts.ts";
import { everywhere } from "./python_peer.ts";

const matrix = (dtype: string) => `x = rng.standard_normal((1000, 1000)).astype(np.${dtype})`;

function normal(shape: readonly number[], dtype: "float32" | "float64"): NDArray {
  const x = tnp.random.randn(...shape).astype(dtype);
  x.dataSync();
  return x;
}

suite(
  "sum of 1000 x 1000",
  (["float32", "float64"] as const).flatMap((dtype) =>
    [null, 0, 1].map((axis): Case => ({
      name: `sum ${dtype} ${axis === null ? "all" : `axis ${axis}`}`,
      ...(dtype === "float32" && axis !== 1 ? { goal: 60 } : {}),
      make: () => {
        const x = normal([1000, 1000], dtype);
        return () => compute(tnp.sum(x, axis));
      },
      python: everywhere(matrix(dtype), "x", `np.sum(x, axis=${axis ?? "None"})`, true),
      numpyTs: (np) => {
        const x = randomArray(np, [1000, 1000], dtype);
        return axis === null ? () => np.sum(x) : () => np.sum(x, axis);
      },
    }))
  ),
);

function softmax(x: NDArray): NDArray {
  const e = tnp.exp(x.sub(tnp.max(x, { axis: 1, keepdims: true })));
  return e.div(tnp.sum(e, { axis: 1, keepdims: true }));
}

const softmaxPython = "(lambda e: e / np.sum(e, axis=1, keepdims=True))(np.exp(x - np.amax(x, axis=1, keepdims=True)))";

suite(
  "softmax of 1000 x 1000",
  [false, true].map((compiled): Case => ({
    name: `softmax float32 ${compiled ? "compiled" : "eager"}`,
    goal: 500,
    make: () => {
      const x = normal([1000, 1000], "float32"), f = compiled ? tnp.function(softmax) : softmax;
      return () => compute(f(x));
    },
    python: everywhere(matrix("float32"), "x", softmaxPython, compiled),
    numpyTs: (np) => {
      const x = randomArray(np, [1000, 1000], "float32");
      return () => {
        const top = np.max(x, 1, true), d = np.subtract(x, top), e = np.exp(d);
        const sum = np.sum(e, 1, true) as NumpyTsArray, y = np.divide(e, sum);
        for (const part of [top, d, e, sum]) part.dispose();
        return y;
      };
    },
  })),
);

/** A sort of a random vector, or of the rows or columns of a matrix, beside NumPy's of the same kind. */
function sorting(
  dtype: "float32" | "float64" | "int32" | "int64" | "float16" | "int8",
  shape: readonly number[],
  { positions = false, axis = -1, goal }: {
    readonly positions?: boolean;
    readonly axis?: number;
    readonly goal?: number;
  } = {},
): Case {
  const floats = dtype.startsWith("float"), top = dtype === "int8" ? 127 : 2 ** 31 - 1;
  const name = positions ? "argsort" : "sort",
    size = shape.length === 1 ? `${shape[0]}` : `${shape.join(" x ")} axis ${axis}`;
  return {
    name: `${name} ${dtype} ${size}`,
    ...(goal === undefined ? {} : { goal }),
    make: () => {
      const x = floats
        ? tnp.random.randn(...shape).astype(dtype)
        : tnp.random.randint(-top, top, [...shape]).astype(dtype);
      x.dataSync();
      return () => compute(positions ? tnp.argsort(x, axis) : tnp.sort(x, axis));
    },
    python: everywhere(
      `x = ${
        floats ? `rng.standard_normal((${shape},))` : `rng.integers(${-top}, ${top}, (${shape},))`
      }.astype(np.${dtype})`,
      "x",
      `np.${name}(x, axis=${axis})`,
      true,
    ),
    ...(dtype !== "float32" || shape.length !== 1 || positions ? {} : {
      numpyTs: (np) => {
        const x = randomArray(np, [...shape], dtype);
        return () => np.sort(x);
      },
    }),
  };
}

suite("sort", [
  sorting("float32", [1048576], { goal: 10_000 }),
  sorting("float64", [1048576]),
  sorting("int32", [1048576]),
  sorting("int64", [1048576]),
  sorting("float16", [1048576]),
  sorting("int8", [1048576]),
  sorting("float32", [4096]),
  sorting("float32", [4096, 256]),
  sorting("float32", [4096, 256], { axis: 0 }),
  sorting("float32", [1048576], { positions: true }),
  sorting("int64", [1048576], { positions: true }),
]);
