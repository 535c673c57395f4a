/**
 * The positions of true values in C.
 * @module
 */
import { cTypes } from "./c.ts";

/** The most parts that a mask is cut into. */
export const nonzeroParts = 16;

/**
 * The C source. Its argument block: address of the truth values (bytes, 0 or 1), their number, address of the positions (int64) or 0,
 * parts, address of one number more than there are parts, count of all positions, rank, sizes.
 *
 * Without positions, the number of true values in each part is stored. With them, these numbers say where each part's positions begin
 * and end; the output has a row of them an axis.
 */
export const cNonzero: string = `/* nonzero */
${cTypes}
#if defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#endif

static i64 count_true(const u8 *mask, i64 from, i64 to) {
  i64 count = 0;
  for (i64 block = from; block < to; block += 4096) {
    const i64 end = block + 4096 < to ? block + 4096 : to;
    u32 some = 0;
#pragma omp simd reduction(+ : some)
    for (i64 i = block; i < end; i++) some += mask[i];
    count += some;
  }
  return count;
}

/* Writes the flat positions of true values from the element i on, to at up to end. */
static void find_true(const u8 *mask, i64 i, i64 *at, i64 *const end) {
#if defined(__AVX512BW__) && defined(__AVX512VL__)
  const __m512i numbers = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
  for (; end - at >= 8; i += 8) {
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(mask + i));
    const __mmask8 some = (__mmask8)_mm_test_epi8_mask(bytes, bytes);
    const __m512i places = _mm512_add_epi64(_mm512_set1_epi64(i), numbers);
    _mm512_storeu_si512(at, _mm512_maskz_compress_epi64(some, places));
    at += __builtin_popcount(some);
  }
#endif
  /* Without branches, as masks are hard to guess: what is not true is written over. */
  for (; at < end; i++) {
    *at = i;
    at += mask[i];
  }
}

/* Takes the position along an axis off rising positions, which become those along the axes before it. */
static void split(i64 *found, i64 *last, i64 count, i64 length) {
  for (i64 i = 0, row = 0, start = 0; i < count; i++) {
    const i64 at = found[i];
    if (at - start >= length) {
      row = at / length;
      start = row * length;
    }
    last[i] = at - start;
    found[i] = row;
  }
}

void tnp_kernel(const void *block) {
  const i64 *n = (const i64 *)block;
  const u8 *const mask = (const u8 *)n[0];
  i64 *const out = (i64 *)n[2], *const starts = (i64 *)n[4];
  const i64 parts = n[3], total = n[5], rank = n[6], *sizes = n + 7;
#pragma omp parallel for schedule(static, 1) num_threads((int)parts) if (parts > 1)
  for (i64 p = 0; p < parts; p++) {
    const i64 from = n[1] * p / parts, to = n[1] * (p + 1) / parts;
    if (out == 0) {
      starts[p] = count_true(mask, from, to);
      continue;
    }
    i64 *const found = out + starts[p];
    const i64 count = starts[p + 1] - starts[p];
    find_true(mask, from, found, found + count);
    for (i64 d = rank - 1; d > 0; d--) split(found, found + d * total, count, sizes[d]);
  }
}
`;
