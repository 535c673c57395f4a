/**
 * A binary search in C that looks for many values at once.
 * @module
 */
import type { DType } from "../../src/base/dtype.ts";
import { cTypes } from "./c.ts";
import { keyText } from "./sort_keys.ts";

/**
 * The C source that searches sorted vectors of a dtype. Its argument block: addresses of the sorted vector, of the values and of the
 * positions (int64), length and stride of the vector, 1 for the side right, count of values, threads, their rank; then sizes, strides
 * of values and strides of positions.
 */
export function cSearch(dtype: DType): string {
  return `/* searchsorted in ${dtype} */
${cTypes}${keyText(dtype)}
#define SIDE 16
static void search(const i64 *n, i64 low, i64 high) {
  const key *const table = (const key *)n[0];
  const i64 length = n[3], step = n[4], right = n[5], rank = n[8];
  const i64 *sizes = n + 9, *xs = sizes + rank, *ys = xs + rank;
  for (i64 from = low; from < high; from += SIDE) {
    const int count = high - from < SIDE ? (int)(high - from) : SIDE;
    key wanted[SIDE];
    i64 *places[SIDE];
    i64 at[SIDE];
    for (int l = 0; l < count; l++) {
      i64 rest = from + l, x = 0, y = 0;
      for (i64 d = rank - 1; d > 0; d--) {
        x += rest % sizes[d] * xs[d];
        y += rest % sizes[d] * ys[d];
        rest /= sizes[d];
      }
      wanted[l] = to_key(((const key *)n[1])[x + rest * xs[0]]);
      places[l] = (i64 *)n[2] + y + rest * ys[0];
      at[l] = 0;
    }
    /* The answer lies in [at, at + left]. */
    i64 left = length;
    while (left > 0) {
      const i64 half = (left + 1) >> 1;
      for (int l = 0; l < count; l++) {
        const key k = to_key(table[(at[l] + half - 1) * step]);
        at[l] += (right ? k <= wanted[l] : k < wanted[l]) ? half : 0;
      }
      left -= half;
    }
    for (int l = 0; l < count; l++) *places[l] = at[l];
  }
}

void tnp_kernel(const void *block) {
  const i64 *n = (const i64 *)block;
  const i64 count = n[6], threads = n[7];
#pragma omp parallel for schedule(static, 1) num_threads((int)threads) if (threads > 1)
  for (i64 c = 0; c < threads; c++) search(n, c * count / threads, (c + 1) * count / threads);
}
`;
}
