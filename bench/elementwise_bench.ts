// Chains of elementwise functions.
import { libc } from "../ffi/libc.ts";
import { addressOf, native } from "../ffi/mem.ts";
import { available } from "../ffi/open.ts";
import { type NDArray, tnp } from "../mod.ts";
import { type Case, compute, suite } from "./harness.ts";
import { type NumpyTs, type NumpyTsArray, randomArray } from "./numpy_ts.ts";
import { everywhere } from "./python_peer.ts";

type Float = "float32" | "float64";

/** A function of one array in tnp, in Python and in numpy-ts. */
interface Work {
  readonly name: string;
  readonly dtype: Float;
  readonly f: (x: NDArray) => NDArray;
  readonly python: string;
  readonly numpyTs: (np: NumpyTs, x: NumpyTsArray) => NumpyTsArray;
}

const sigmoid: Work = {
  name: "sigmoid",
  dtype: "float32",
  f: (y) => tnp.divide(1, tnp.exp(y.neg()).add(1)),
  python: "1 / (1 + np.exp(-x))",
  numpyTs: (np, x) => using(np.negative(x), (a) => using(np.exp(a), (b) => using(np.add(b, 1), np.reciprocal))),
};

const chain: Work = {
  name: "chain",
  dtype: "float64",
  f: (d) => tnp.sqrt(d.mul(d).add(d.mul(2)).add(3)).mul(tnp.sin(d)).sub(tnp.tanh(d)),
  python: "np.sqrt(x*x + 2*x + 3) * np.sin(x) - np.tanh(x)",
  numpyTs: (np, x) => {
    const parts = [np.multiply(x, x), np.multiply(x, 2)];
    const keep = (y: NumpyTsArray): NumpyTsArray => (parts.push(y), y);
    const root = keep(np.sqrt(keep(np.add(keep(np.add(parts[0]!, parts[1]!)), 3))));
    const y = np.subtract(keep(np.multiply(root, keep(np.sin(x)))), keep(np.tanh(x)));
    for (const part of parts) part.dispose();
    return y;
  },
};

/** Disposes of what a step was made from. */
function using(x: NumpyTsArray, f: (x: NumpyTsArray) => NumpyTsArray): NumpyTsArray {
  const y = f(x);
  x.dispose();
  return y;
}

/** Eager and compiled, with what a call of each should take. */
function both(
  { name, dtype, f, python, numpyTs }: Work,
  size: number,
  goals: { readonly eager?: number; readonly compiled?: number } = {},
): Case[] {
  return [false, true].map((compiled): Case => {
    const goal = goals[compiled ? "compiled" : "eager"];
    return {
      name: `${name} ${dtype} ${size} ${compiled ? "compiled" : "eager"}`,
      size,
      ...(goal === undefined ? {} : { goal }),
      make: () => {
        const x = tnp.random.randn(size).astype(dtype);
        x.dataSync();
        const g = compiled ? tnp.function(f) : f;
        return () => compute(g(x));
      },
      python: everywhere(`x = rng.standard_normal(${size}).astype(np.${dtype})`, "x", python, compiled),
      numpyTs: (np) => {
        const x = randomArray(np, [size], dtype);
        return () => numpyTs(np, x);
      },
    };
  });
}

suite("sigmoid", [
  ...both(sigmoid, 1, { eager: 2, compiled: 0.5 }),
  ...both(sigmoid, 32),
  ...both(sigmoid, 1024, { eager: 3, compiled: 1.5 }),
  ...both(sigmoid, 32768, { compiled: 25 }),
  ...both(sigmoid, 1048576, { compiled: 400 }),
]);

suite("chain: sqrt(d*d+2d+3)*sin(d)-tanh(d)", both(chain, 1048576, { compiled: 6000 }));

/** The C library's copy of half as many bytes again: it moves what an addition of `n` float64 moves. */
function copy(n: number): (() => void) | null {
  if (!available().ok) return null;
  const { memcpy } = libc().symbols;
  const memory = [new Float64Array(1.5 * n).fill(1), new Float64Array(1.5 * n).fill(2)];
  const [to, from] = memory.map((x) => native(addressOf(x))), bytes = native(12 * n);
  return Object.assign(() => void memcpy(to!, from!, bytes), { memory });
}

function addition(dtype: "int64" | "float64", n: number, label: string, goal?: number): Case {
  return {
    name: `add ${dtype} ${label}`,
    size: n,
    ...(goal === undefined ? {} : { goal }),
    make: () => {
      const x = tnp.arange(n, { dtype }), y = x.add(1);
      x.dataSync();
      y.dataSync();
      return () => compute(x.add(y));
    },
    python: everywhere(`x = np.arange(${n}, dtype=np.${dtype})\ny = x + 1`, "x, y", "x + y", true),
    // Beyond, its heap is full.
    ...(n > 1 << 22 ? {} : {
      numpyTs: (np: NumpyTs) => {
        const x = np.arange(0, n, 1, dtype), y = np.add(x, 1);
        return () => np.add(x, y);
      },
    }),
    ...(dtype === "float64" ? { direct: { name: "memcpy of as many bytes", make: () => copy(n) } } : {}),
  };
}

suite("add", [
  addition("int64", 1048576, "1048576"),
  addition("float64", 1048576, "1048576", 200),
  addition("float64", 12_500_000, "100 MB"),
]);
