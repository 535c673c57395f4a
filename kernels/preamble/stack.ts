/**
 * Products of stacks of small matrices in C: a call of a library for each takes longer than its arithmetic.
 * @module
 */
import { cTypes } from "./c.ts";

/** The most rows of a right matrix. */
export const stackRows = 128;

/**
 * The C source that multiplies stacks of matrices. Its argument block: addresses of a, b and the product; rows and columns of a product
 * and what is summed over; strides of a's rows and columns, b's rows and columns, and the product's rows, whose columns lie side by side;
 * how many products, threads, rank of the stack; then its sizes and the strides of a, b and the product.
 */
export function cStack(dtype: "float32" | "float64"): string {
  const t = dtype === "float32" ? "f32" : "f64", bytes = dtype === "float32" ? 4 : 8;
  return `/* a @ b of small ${dtype} */
${cTypes}
#ifdef __AVX512F__
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define WIDE (BYTES / ${bytes})
#define TALL 8
typedef ${t} Vec __attribute__((vector_size(BYTES)));
typedef ${t} Any __attribute__((vector_size(BYTES), aligned(${bytes}), may_alias));

/* Some rows of a product, of one vector each. */
INLINE void rows(int count, const ${t} *a, i64 ar, i64 ac, const ${t} *b, i64 br, ${t} *y, i64 yr, i64 k, i64 width) {
  Vec sums[TALL];
  for (int i = 0; i < count; i++) sums[i] = (Vec){0};
  for (i64 p = 0; p < k; p++) {
    const Vec v = *(const Any *)(b + p * br);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) sums[i] += a[i * ar + p * ac] * v;
  }
  if (width == WIDE) {
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) *(Any *)(y + i * yr) = sums[i];
  } else {
    for (int i = 0; i < count; i++) __builtin_memcpy(y + i * yr, &sums[i], ${bytes} * (u64)width);
  }
}

static void product(const i64 *n, const ${t} *a, const ${t} *b, ${t} *y) {
  const i64 rise = n[3], columns = n[4], k = n[5], ar = n[6], ac = n[7], br = n[8], bc = n[9], yr = n[10];
  ${t} panel[${stackRows} * WIDE];
  for (i64 j = 0; j < columns; j += WIDE) {
    const i64 width = columns - j < WIDE ? columns - j : WIDE;
    const int packed = width < WIDE || bc != 1;
    for (i64 p = 0; packed && p < k; p++) {
      for (i64 l = 0; l < WIDE; l++) panel[p * WIDE + l] = l < width ? b[p * br + (j + l) * bc] : 0;
    }
    const ${t} *const from = packed ? panel : b + j;
    const i64 step = packed ? WIDE : br;
    i64 i = 0;
    for (; rise - i >= TALL; i += TALL) rows(TALL, a + i * ar, ar, ac, from, step, y + i * yr + j, yr, k, width);
    for (; rise - i >= 4; i += 4) rows(4, a + i * ar, ar, ac, from, step, y + i * yr + j, yr, k, width);
    for (; i < rise; i++) rows(1, a + i * ar, ar, ac, from, step, y + i * yr + j, yr, k, width);
  }
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
