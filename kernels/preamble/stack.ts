/**
 * Products of stacks of small matrices in C: a call of a library for each takes longer than its arithmetic.
 * @module
 */
import { cTypes } from "./c.ts";

/** The most rows of a right matrix. */
export const stackRows = 128;

/** Rows a step of a product takes. */
const tall = 8;

/** Products by vectors of `size` bytes. */
function withVectors(t: "f32" | "f64", bytes: number, size: 16 | 32 | 64): string {
  const wide = size / bytes;
  return `typedef ${t} Vec${size} __attribute__((vector_size(${size})));
typedef ${t} Any${size} __attribute__((vector_size(${size}), aligned(${bytes}), may_alias));

/* Some rows of a product, of one vector each. */
INLINE void rows${size}(int count, const ${t} *a, i64 ar, i64 ac, const ${t} *b, i64 br, ${t} *y, i64 yr, i64 k, i64 width) {
  Vec${size} sums[${tall}];
  for (int i = 0; i < count; i++) sums[i] = (Vec${size}){0};
  for (i64 p = 0; p < k; p++) {
    const Vec${size} v = *(const Any${size} *)(b + p * br);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) sums[i] += a[i * ar + p * ac] * v;
  }
  if (width == ${wide}) {
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) *(Any${size} *)(y + i * yr) = sums[i];
  } else {
    for (int i = 0; i < count; i++) {
      for (i64 l = 0; l < width; l++) y[i * yr + l] = sums[i][l];
    }
  }
}

static void product${size}(const i64 *n, const ${t} *a, const ${t} *b, ${t} *y) {
  const i64 rise = n[3], columns = n[4], k = n[5], ar = n[6], ac = n[7], br = n[8], bc = n[9], yr = n[10];
  ${t} panel[${stackRows} * ${wide}];
  for (i64 j = 0; j < columns; j += ${wide}) {
    const i64 width = columns - j < ${wide} ? columns - j : ${wide};
    const int packed = width < ${wide} || bc != 1;
    for (i64 p = 0; packed && p < k; p++) {
      for (i64 l = 0; l < ${wide}; l++) panel[p * ${wide} + l] = l < width ? b[p * br + (j + l) * bc] : 0;
    }
    const ${t} *const from = packed ? panel : b + j;
    const i64 step = packed ? ${wide} : br;
    i64 i = 0;
    for (; rise - i >= ${tall}; i += ${tall}) rows${size}(${tall}, a + i * ar, ar, ac, from, step, y + i * yr + j, yr, k, width);
    for (; rise - i >= 4; i += 4) rows${size}(4, a + i * ar, ar, ac, from, step, y + i * yr + j, yr, k, width);
    for (; i < rise; i++) rows${size}(1, a + i * ar, ar, ac, from, step, y + i * yr + j, yr, k, width);
  }
}`;
}

/**
 * The C source that multiplies stacks of matrices. Its argument block: addresses of a, b and the product; rows and columns of a product
 * and what is summed over; strides of a's rows and columns, b's rows and columns, and the product's rows, whose columns lie side by side;
 * how many products, threads, rank of the stack; then its sizes and the strides of a, b and the product.
 */
export function cStack(dtype: "float32" | "float64"): string {
  const t = dtype === "float32" ? "f32" : "f64", bytes = dtype === "float32" ? 4 : 8;
  return `/* a @ b of small ${dtype} */
${cTypes}
${withVectors(t, bytes, 16)}
#ifdef __AVX__
${withVectors(t, bytes, 32)}
#endif
#ifdef __AVX512F__
${withVectors(t, bytes, 64)}
#endif

/* Vectors no wider than the columns take: what is beyond them costs as much. */
static void product(const i64 *n, const ${t} *a, const ${t} *b, ${t} *y) {
#ifdef __AVX512F__
  if (n[4] > ${32 / bytes}) return product64(n, a, b, y);
#endif
#ifdef __AVX__
  if (n[4] > ${16 / bytes}) return product32(n, a, b, y);
#endif
  product16(n, a, b, y);
}

static void products(const i64 *n, i64 low, i64 high) {
  const i64 rank = n[13], *sizes = n + 14, *as = sizes + rank, *bs = as + rank, *ys = bs + rank;
  for (i64 at = low; at < high; at++) {
    i64 rest = at, a = 0, b = 0, y = 0;
    for (i64 d = rank - 1; d >= 0; d--) {
      const i64 i = d > 0 ? rest % sizes[d] : rest;
      a += i * as[d];
      b += i * bs[d];
      y += i * ys[d];
      rest = d > 0 ? rest / sizes[d] : 0;
    }
    product(n, (const ${t} *)n[0] + a, (const ${t} *)n[1] + b, (${t} *)n[2] + y);
  }
}

void tnp_kernel(const void *block) {
  const i64 *n = (const i64 *)block;
  const i64 count = n[11], threads = n[12];
  if (threads == 1) {
    products(n, 0, count);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads((int)threads)
  for (i64 c = 0; c < threads; c++) products(n, c * count / threads, (c + 1) * count / threads);
}
`;
}
