// Matrix products, beside the library that does them called directly: oneDNN for float32, OpenBLAS for float64.
import { LibraryError } from "../ffi/errors.ts";
import { addressOf, native } from "../ffi/mem.ts";
import { OneDNN } from "../ffi/onednn.ts";
import { OpenBLAS } from "../ffi/openblas.ts";
import { tnp } from "../mod.ts";
import { type Case, compute, suite } from "./harness.ts";
import { randomArray } from "./numpy_ts.ts";
import { everywhere } from "./python_peer.ts";

type Float = "float32" | "float64";

let dnnl: OneDNN | undefined;
let blas: OpenBLAS | undefined;

/** The time of the library alone on aligned memory; null where it is missing. */
function library(dtype: Float, n: number): (() => void) | null {
  try {
    return dtype === "float32" ? onednn(n) : openblas(n);
  } catch (error) {
    if (error instanceof LibraryError) return null;
    throw error;
  }
}

function onednn(n: number): () => void {
  const desc = { shape: [n, n], strides: [n, 1], type: "f32" } as const;
  dnnl ??= new OneDNN();
  const primitive = dnnl.matmul({ src: desc, weights: desc, dst: desc });
  const memory = [0, 1, 2].map(() => aligned(n * n * 4, (buffer, at) => new Float32Array(buffer, at, n * n)));
  const [a, b, c] = memory.map((x) => native(addressOf(x)));
  // Native code does not keep its memory alive.
  return Object.assign(() => primitive.execute(a!, b!, c!), { memory });
}

function openblas(n: number): () => void {
  blas ??= new OpenBLAS();
  const gemm = blas.gemm.bind(blas);
  const memory = [0, 1, 2].map(() => aligned(n * n * 8, (buffer, at) => new Float64Array(buffer, at, n * n)));
  const [a, b, c] = memory.map((x) => native(addressOf(x)));
  return Object.assign(() => gemm("d", "n", "n", n, n, n, a!, n, b!, n, c!, n), { memory });
}

/** Random numbers in memory that starts at a multiple of 64 bytes. */
function aligned<T extends Float32Array | Float64Array>(
  bytes: number,
  view: (buffer: ArrayBuffer, at: number) => T,
): T {
  const buffer = new ArrayBuffer(bytes + 64);
  const values = view(buffer, (64 - addressOf(buffer) % 64) % 64);
  for (let i = 0; i < values.length; i++) values[i] = Math.random();
  return values;
}

suite(
  "matmul",
  (["float32", "float64"] as const).flatMap((dtype) =>
    [64, 512, 1024].map((n): Case => ({
      name: `matmul ${dtype} ${n}`,
      size: n * n,
      make: () => {
        const a = tnp.random.randn(n, n).astype(dtype), b = tnp.random.randn(n, n).astype(dtype);
        a.dataSync();
        b.dataSync();
        return () => compute(tnp.matmul(a, b));
      },
      python: everywhere(
        `a, b = (rng.standard_normal((${n}, ${n})).astype(np.${dtype}) for _ in range(2))`,
        "a, b",
        "np.matmul(a, b)",
        true,
      ),
      numpyTs: (np) => {
        const [a, b] = [randomArray(np, [n, n], dtype), randomArray(np, [n, n], dtype)];
        return () => np.matmul(a, b);
      },
      direct: { name: dtype === "float32" ? "oneDNN" : "OpenBLAS", make: () => library(dtype, n) },
    }))
  ),
);

/** Products with a vector, which are as fast as memory. */
const withVectors = {
  "matrix x vector": [[1000, 1000], [1000]],
  "vector x matrix": [[1000], [1000, 1000]],
  "scalar product": [[1_000_000], [1_000_000]],
} as const;

suite(
  "products with a vector",
  (["float32", "float64", "int64"] as const).flatMap((dtype) =>
    Object.entries(withVectors).map(([name, shapes]): Case => ({
      name: `${name} ${dtype} 1M`,
      size: 1_000_000,
      make: () => {
        const [a, b] = shapes.map((shape) => tnp.random.randn(...shape).mul(10).astype(dtype));
        a!.dataSync();
        b!.dataSync();
        return () => compute(tnp.matmul(a!, b!));
      },
      python: everywhere(
        `a, b = (np.asarray(rng.standard_normal(s) * 10).astype(np.${dtype}) for s in [${
          shapes.map((shape) => `(${shape.join()},)`).join()
        }])`,
        "a, b",
        "np.matmul(a, b)",
        true,
      ),
    }))
  ),
);
