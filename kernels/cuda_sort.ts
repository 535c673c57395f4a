/**
 * Sorting in CUDA: stable merge sort of rows, for short ones and complex numbers (`cuda_radix.ts` has the others), and binary search.
 * Values order as in NumPy: -0 equals 0, NaN comes last, complex numbers lexicographically in four groups of NaN.
 *
 * - `tile`: a block sorts a tile of `SORT_TILE` values of a row, with their positions if these are wanted.
 * - `merge`: each value finds its place among its own run and its neighbour.
 * - `search`: a thread for each value looks it up.
 * @module
 */
import { type DType, dtypeInfo, type ScalarType } from "../src/base/dtype.ts";
import { cMemory } from "./c_ops.ts";
import type { CudaSource } from "./cuda_text.ts";
import { cudaPreamble, cudaTypes } from "./preamble/cuda.ts";

/** Values a block sorts at once. */
export const SORT_TILE = 512;
const THREADS = 256;

/** The element of a dtype as memory holds it, and its order. */
function order(dtype: DType): string {
  const { scalar, components, kind } = dtypeInfo(dtype);
  const memory = cMemory[scalar];
  const element = components === 2
    ? `struct alignas(2 * sizeof(${memory})) T { ${memory} re, im; };`
    : `typedef ${memory} T;`;
  if (components === 2) {
    return `${element}
INLINE bool less(T x, T y) {
  const int p = (x.re != x.re) * 2 + (x.im != x.im), q = (y.re != y.re) * 2 + (y.im != y.im);
  if (p != q) return p < q;
  if (p < 2 && x.re != y.re) return x.re < y.re;
  return (p & 1) == 0 && x.im < y.im;
}`;
  }
  if (kind !== "f") return `${element}\nINLINE bool less(T x, T y) { return x < y; }`;
  const get = scalar === "float16" ? "f16_value" : scalar === "bfloat16" ? "bf16_value" : "";
  const type = scalar === "float64" ? "f64" : "f32";
  return `${element}
INLINE bool less(T x, T y) {
  const ${type} p = ${get}(x), q = ${get}(y);
  return p < q || (q != q && p == p);
}`;
}

/** A source without a `Kernel`: declarations, the fields of its arguments, and what each of its threads does. */
export function staticSource(
  title: string,
  declarations: string,
  fields: readonly (readonly [type: string, name: string])[],
  body: string,
): CudaSource {
  const text = `${declarations}
struct Args {
${fields.map(([type, name]) => `  ${type}${name};`).join("\n")}
};
extern "C" __global__ void __launch_bounds__(${THREADS}) tnp_kernel(const Args a) {
${body}
}
`;
  return {
    text: `/* ${title} */\n${cudaTypes}${cudaPreamble(text)}\n${text}`,
    extras: fields.map(([, name]) => name),
  };
}

/** The first pass: rows of `n` values at strides into dense runs of a tile each. */
export function renderSortTile(dtype: DType, positions: boolean): CudaSource {
  return staticSource(
    `sort tiles of ${dtype}`,
    order(dtype),
    [
      ["i64 ", "n"],
      ["i64 ", "rows"],
      ["i64 ", "tiles"],
      ["const T *", "x"],
      ["T *", "values"],
      ["u32 *", "order"],
    ],
    `  __shared__ T keys[${SORT_TILE}];
  __shared__ u16 from[${SORT_TILE}];
  for (i64 g = blockIdx.x; g < a.rows * a.tiles; g += gridDim.x) {
    const i64 row = g / a.tiles, first = (g - row * a.tiles) * ${SORT_TILE};
    const int count = (int)(a.n - first < ${SORT_TILE} ? a.n - first : ${SORT_TILE});
    const T *x = a.x + row * a.n + first;
    __syncthreads();
    for (int i = threadIdx.x; i < ${SORT_TILE}; i += ${THREADS}) {
      if (i < count) keys[i] = x[i];
      from[i] = (u16)i;
    }
    __syncthreads();
    // Bitonic; positions decide between equals, and what lies beyond the end comes last.
    for (int size = 2; size <= ${SORT_TILE}; size *= 2) {
      for (int step = size / 2; step > 0; step /= 2) {
        for (int t = threadIdx.x; t < ${SORT_TILE / 2}; t += ${THREADS}) {
          const int i = 2 * t - (t & (step - 1)), j = i + step;
          const u16 p = from[i], q = from[j];
          bool swap;
          if (p >= count || q >= count) swap = p > q;
          else swap = less(keys[q], keys[p]) || (!less(keys[p], keys[q]) && q < p);
          if ((i & size) != 0) swap = !swap;
          if (swap) { from[i] = q; from[j] = p; }
        }
        __syncthreads();
      }
    }
    for (int i = threadIdx.x; i < count; i += ${THREADS}) {
      a.values[row * a.n + first + i] = keys[from[i]];
${positions ? "      a.order[row * a.n + first + i] = (u32)first + from[i];\n" : ""}    }
  }`,
  );
}

/** A pass that merges runs of `width` values of each row into runs twice as long. */
export function renderSortMerge(dtype: DType, positions: boolean, wide: boolean): CudaSource {
  return staticSource(
    `merge sorted runs of ${dtype}`,
    `${order(dtype)}\ntypedef ${wide ? "i64" : "i32"} ix;`,
    [
      ["i64 ", "n"],
      ["i64 ", "count"],
      ["i64 ", "width"],
      ["const T *", "x"],
      ["const u32 *", "from"],
      ["T *", "y"],
      ["u32 *", "to"],
    ],
    `  const ix n = (ix)a.n, count = (ix)a.count, width = (ix)a.width;
  const ix step = (ix)gridDim.x * blockDim.x;
  for (ix g = (ix)blockIdx.x * blockDim.x + threadIdx.x; g < count; g += step) {
    const ix row = g / n, i = g - row * n;
    const T *x = a.x + row * n;
    const ix run = i / width, first = run / 2 * 2 * width;
    const bool right = run & 1;
    ix low = right ? first : first + width, high = low + width;
    if (low > n) low = n;
    if (high > n) high = n;
    const ix other = low;
    const T value = x[i];
    // The left run comes first among equals.
    while (low < high) {
      const ix middle = (low + high) >> 1;
      const bool before = right ? !less(value, x[middle]) : less(x[middle], value);
      if (before) low = middle + 1;
      else high = middle;
    }
    const ix at = row * n + first + (i - run * width) + (low - other);
    a.y[at] = value;
${positions ? "    a.to[at] = a.from[g];\n" : ""}  }`,
  );
}

/** Positions of values in a sorted vector, with strides; `right` after equal ones. */
export function renderSearch(dtype: DType, right: boolean): CudaSource {
  return staticSource(
    `searchsorted of ${dtype}`,
    order(dtype),
    [
      ["i64 ", "n"],
      ["i64 ", "count"],
      ["const T *", "sorted"],
      ["const T *", "x"],
      ["i64 *", "y"],
    ],
    `  const i64 step = (i64)gridDim.x * blockDim.x;
  for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < a.count; i += step) {
    const T value = a.x[i];
    i64 low = 0, high = a.n;
    while (low < high) {
      const i64 middle = (low + high) >> 1;
      const bool before = ${right ? "!less(value, a.sorted[middle])" : "less(a.sorted[middle], value)"};
      if (before) low = middle + 1;
      else high = middle;
    }
    a.y[i] = low;
  }`,
  );
}

/** The text of a product of matrices with any strides, by tiles in shared memory: what serves where cuBLAS does not. */
export function renderMatmul(dtype: DType): CudaSource {
  const { scalar, components, kind } = dtypeInfo(dtype);
  const memory = cMemory[scalar as ScalarType];
  const half = scalar === "float16" || scalar === "bfloat16";
  const sum = dtype === "bool"
    ? "u8"
    : half
    ? "f32"
    : kind === "f" || kind === "c"
    ? memory
    : dtypeInfo(dtype).itemsize === 8
    ? "u64"
    : "u32";
  const complex = components === 2;
  const get = (at: string) =>
    scalar === "float16" ? `f16_value(${at})` : scalar === "bfloat16" ? `bf16_value(${at})` : `(S)${at}`;
  const put = (v: string) =>
    scalar === "float16" ? `f16_bits(${v})` : scalar === "bfloat16" ? `bf16_bits(${v})` : `(${memory})${v}`;
  const parts = complex ? ["re", "im"] : ["re"];
  const times = complex ? " * 2" : "";
  const update = dtype === "bool"
    ? "re |= p & q;"
    : complex
    ? "re += p * q - p1 * q1; im += p * q1 + p1 * q;"
    : "re += p * q;";
  const text = `typedef ${sum} S;
struct Args {
  i64 m; i64 n; i64 k; i64 batches; i64 b1;
  const ${memory} *x; i64 x0; i64 x1; i64 xr; i64 xc;
  const ${memory} *y; i64 y0; i64 y1; i64 yr; i64 yc;
  ${memory} *z; i64 z0; i64 z1; i64 zr; i64 zc;
};
extern "C" __global__ void __launch_bounds__(256) tnp_kernel(const Args a) {
${parts.map((p) => `  __shared__ S left_${p}[16][17], right_${p}[16][17];`).join("\n")}
  const int tx = threadIdx.x & 15, ty = threadIdx.x >> 4;
  const i64 columns = (a.n + 15) / 16, rows = (a.m + 15) / 16;
  for (i64 g = blockIdx.x; g < rows * columns * a.batches; g += gridDim.x) {
    const i64 batch = g / (rows * columns), tile = g - batch * rows * columns;
    const i64 outer = batch / a.b1, inner = batch - outer * a.b1;
    const i64 i = tile / columns * 16 + ty, j = tile % columns * 16 + tx;
    const ${memory} *x = a.x + (outer * a.x0 + inner * a.x1)${times};
    const ${memory} *y = a.y + (outer * a.y0 + inner * a.y1)${times};
${parts.map((p) => `    S ${p} = 0;`).join("\n")}
    for (i64 from = 0; from < a.k; from += 16) {
      __syncthreads();
${
    parts.map((p, c) =>
      `      left_${p}[ty][tx] = i < a.m && from + tx < a.k ? ${
        get(`x[(i * a.xr + (from + tx) * a.xc)${times}${c ? " + 1" : ""}]`)
      } : (S)0;
      right_${p}[ty][tx] = from + ty < a.k && j < a.n ? ${
        get(`y[((from + ty) * a.yr + j * a.yc)${times}${c ? " + 1" : ""}]`)
      } : (S)0;`
    ).join("\n")
  }
      __syncthreads();
      for (int l = 0; l < 16; l++) {
        const S p = left_re[ty][l], q = right_re[l][tx];
${complex ? "        const S p1 = left_im[ty][l], q1 = right_im[l][tx];\n" : ""}        ${update}
      }
    }
    if (i < a.m && j < a.n) {
      ${memory} *z = a.z + (outer * a.z0 + inner * a.z1 + i * a.zr + j * a.zc)${times};
${parts.map((p, c) => `      z[${c}] = ${put(p)};`).join("\n")}
    }
  }
}
`;
  return {
    text: `/* product of matrices of ${dtype} */\n${cudaTypes}${cudaPreamble(text)}\n${text}`,
    extras: "m n k batches b1 x x0 x1 xr xc y y0 y1 yr yc z z0 z1 zr zc".split(" "),
  };
}
