/**
 * Sorting unsigned numbers of 32 or 64 bits with AVX-512 or AVX2: a quicksort whose partitions compress vectors, over a bitonic network
 * that sorts what fits in registers. Where the pivots chosen are bad ones, it leaves the rest to `radix_sort`.
 * @module
 */

const list = (n: number, f: (i: number) => number): string => Array.from({ length: n }, (_, i) => f(i)).join(", ");

/** What the sort is made of with AVX-512: masks have registers of their own, and an instruction compresses. */
function wideInstructions(width: 32 | 64): string {
  const lanes = 512 / width;
  return `#define LANES ${lanes}
#define ROWS 16
#define VEC(name) _mm512_##name##_epi${width}
#define VECU(name) _mm512_##name##_epu${width}
typedef __m512i Vec;
typedef __mmask${lanes} Mask;
static const item lane_numbers[LANES] __attribute__((aligned(64))) = {${list(lanes, (i) => i)}};
#define LANE_NUMBERS _mm512_load_si512(lane_numbers)
#define enter(v) (v)
#define leave(v) (v)

/* Lanes whose number has the bit j. */
INLINE Mask with_bit(int j) { return (Mask)(j == 1 ? 0xaaaa : j == 2 ? 0xcccc : j == 4 ? 0xf0f0 : 0xff00); }

/* The place of each lane's partner: its number with the bits of m turned. */
INLINE Vec partners(int m) { return _mm512_xor_si512(LANE_NUMBERS, VEC(set1)(m)); }
INLINE Vec permute(Vec at, Vec v) { return VEC(permutexvar)(at, v); }

/* The places of columns in turned rows. */
INLINE Vec columns(const int rows) {
  const int least = LANES / rows;
  const Vec low = _mm512_and_si512(LANE_NUMBERS, VEC(set1)(rows - 1));
  return _mm512_or_si512(VEC(slli)(low, __builtin_ctz(least)), VEC(srli)(LANE_NUMBERS, __builtin_ctz(rows)));
}

/* Lanes of b under the mask, of a elsewhere. */
INLINE Vec choose_permuted(Mask m, Vec a, Vec at, Vec b) { return VEC(mask_permutexvar)(a, m, at, b); }

INLINE void order(Vec a, Vec b, Vec *low, Vec *high) {
  *low = VECU(min)(a, b);
  *high = VECU(max)(a, b);
}
/* The smaller of a and b, the larger under the mask. */
INLINE Vec order_by(Mask m, Vec a, Vec b) { return VECU(mask_max)(VECU(min)(a, b), m, a, b); }
/* Each lane of a and b in order, under the mask the other way round. */
INLINE void cross(Mask m, Vec *a, Vec *b) {
  const Vec low = VECU(min)(*a, *b), high = VECU(max)(*a, *b);
  *a = VEC(mask_blend)(m, low, high);
  *b = VEC(mask_blend)(m, high, low);
}

INLINE Mask first_lanes(i64 n) { return (Mask)(n >= LANES ? (1 << LANES) - 1 : n <= 0 ? 0 : (1 << n) - 1); }
/* The first n of a vector, and the largest number behind them. */
INLINE Vec load_some(const item *a, i64 n) { return VEC(mask_loadu)(VEC(set1)(-1), first_lanes(n), a); }
INLINE void store_some(item *a, i64 n, Vec v) { VEC(mask_storeu)(a, first_lanes(n), v); }

/* Stores what is less than the pivot (or not more) from low on, the others up to high. Gives the number of the first. */
INLINE int part(const item *a, Vec pivot, const int not_more, item *low, item *high) {
  const Vec v = _mm512_loadu_si512(a);
  const Mask m = not_more ? VECU(cmple)##_MASK(v, pivot) : VECU(cmplt)##_MASK(v, pivot);
  const int count = __builtin_popcount(m);
  _mm512_storeu_si512(low, VEC(maskz_compress)(m, v));
  VEC(mask_storeu)(high - (LANES - count), (Mask)(((1 << LANES) - 1) >> count), VEC(maskz_compress)((Mask)~m, v));
  return count;
}
`.replaceAll(/VECU\((cmpl[et])\)##_MASK/g, `_mm512_$1_epu${width}_mask`);
}

/** The same with AVX2: masks are vectors, and vectors are compressed by a table. 64-bit numbers are compared with their sign turned. */
function narrowInstructions(width: 32 | 64): string {
  const lanes = 256 / width, wide = width === 64;
  // For each mask the lanes that it has, then the others; as places of 32 bits.
  const places = (mask: number): number[] => {
    const all = Array.from({ length: lanes }, (_, i) => i), has = (i: number) => (mask >> i & 1) === 1;
    const order = [...all.filter(has), ...all.filter((i) => !has(i))];
    return wide ? order.flatMap((i) => [2 * i, 2 * i + 1]) : order;
  };
  const table = Array.from({ length: 1 << lanes }, (_, mask) => `{${places(mask)}}`).join(", ");
  const compare = wide
    ? `#define enter(v) _mm256_xor_si256(v, _mm256_set1_epi64x((i64)1 << 63))
#define leave(v) enter(v)
INLINE void order(Vec a, Vec b, Vec *low, Vec *high) {
  const Vec more = _mm256_cmpgt_epi64(a, b);
  *low = _mm256_blendv_epi8(a, b, more);
  *high = _mm256_blendv_epi8(b, a, more);
}
/* The smaller of a and b, the larger under the mask. */
INLINE Vec order_by(Mask m, Vec a, Vec b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b) ^ m); }
/* Each lane of a and b in order, under the mask the other way round. */
INLINE void cross(Mask m, Vec *a, Vec *b) {
  const Vec v = *a, other = _mm256_cmpgt_epi64(v, *b) ^ m;
  *a = _mm256_blendv_epi8(v, *b, other);
  *b = _mm256_blendv_epi8(*b, v, other);
}
INLINE Vec less(Vec a, Vec b) { return _mm256_cmpgt_epi64(b, a); }
INLINE Vec not_less(Vec a, Vec b) { return ~less(a, b); }
INLINE int bits_of(Vec m) { return _mm256_movemask_pd((__m256d)m); }`
    : `#define enter(v) (v)
#define leave(v) (v)
INLINE void order(Vec a, Vec b, Vec *low, Vec *high) {
  *low = _mm256_min_epu32(a, b);
  *high = _mm256_max_epu32(a, b);
}
/* The smaller of a and b, the larger under the mask. */
INLINE Vec order_by(Mask m, Vec a, Vec b) {
  return _mm256_blendv_epi8(_mm256_min_epu32(a, b), _mm256_max_epu32(a, b), m);
}
/* Each lane of a and b in order, under the mask the other way round. */
INLINE void cross(Mask m, Vec *a, Vec *b) {
  const Vec low = _mm256_min_epu32(*a, *b), high = _mm256_max_epu32(*a, *b);
  *a = _mm256_blendv_epi8(low, high, m);
  *b = _mm256_blendv_epi8(high, low, m);
}
INLINE Vec not_less(Vec a, Vec b) { return _mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a); }
INLINE Vec less(Vec a, Vec b) { return ~not_less(a, b); }
INLINE int bits_of(Vec m) { return _mm256_movemask_ps((__m256)m); }`;
  const all = wide ? "_mm256_set1_epi64x" : "_mm256_set1_epi32";
  return `#define LANES ${lanes}
#define ROWS 16
typedef __m256i Vec;
typedef Vec Mask;
#define LANE_NUMBERS _mm256_setr_epi${wide ? "64x" : "32"}(${list(lanes, (i) => i)})
#define PLACES _mm256_setr_epi32(${list(8, (i) => i)})
static const u8 compressed[${1 << lanes}][8] = {${table}};
${compare}

/* Lanes whose number has the bit j. */
INLINE Mask with_bit(int j) { return _mm256_cmpeq_epi${width}(_mm256_and_si256(LANE_NUMBERS, ${all}(j)), ${all}(j)); }

/* The place of each lane's partner: its number with the bits of m turned. */
INLINE Vec partners(int m) { return _mm256_xor_si256(PLACES, _mm256_set1_epi32(m * ${width / 32})); }
INLINE Vec permute(Vec at, Vec v) { return _mm256_permutevar8x32_epi32(v, at); }

/* The places of columns in turned rows. */
INLINE Vec columns(const int rows) {
${
    wide
      ? `  return rows == 2 ? _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7) : PLACES;`
      : `  return rows == 2 ? _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7) : rows == 4 ? _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7) : PLACES;`
  }
}

/* Lanes of b under the mask, of a elsewhere. */
INLINE Vec choose_permuted(Mask m, Vec a, Vec at, Vec b) { return _mm256_blendv_epi8(a, permute(at, b), m); }

INLINE Vec first_lanes(i64 n) {
  const int most = n >= LANES ? LANES : n <= 0 ? 0 : (int)n;
  return _mm256_cmpgt_epi${width}(${all}(most), LANE_NUMBERS);
}
/* The first n of a vector, and the largest number behind them. */
INLINE Vec load_some(const item *a, i64 n) {
  const Vec m = first_lanes(n);
  return _mm256_maskload_epi${width}((const ${wide ? "i64" : "int"} *)a, m) | ~m;
}
INLINE void store_some(item *a, i64 n, Vec v) { _mm256_maskstore_epi${width}((${
    wide ? "i64" : "int"
  } *)a, first_lanes(n), v); }

/* Stores what is less than the pivot (or not more) from low on, the others up to high: a whole vector each. Gives the number of the first. */
INLINE int part(const item *a, Vec pivot, const int not_more, item *low, item *high) {
  Vec v = _mm256_loadu_si256((const Vec *)a);
  const Vec w = enter(v);
  const int m = bits_of(not_more ? not_less(pivot, w) : less(w, pivot));
  v = permute(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)compressed[m])), v);
  _mm256_storeu_si256((Vec *)low, v);
  _mm256_storeu_si256((Vec *)(high - LANES), v);
  return __builtin_popcount((u32)m);
}
`;
}

/** Whether there is a vectorised sort for items of so many bits. */
export function isVectorSortable(width: number): width is 32 | 64 {
  return width === 32 || width === 64;
}

/**
 * The C text, where AVX2 is: \`quick_sort(a, b, n, depth)\` sorts \`a\` with as much memory at \`b\`. It needs the types \`item\` (unsigned)
 * and \`i64\`.
 *
 * @param width bits of an item
 */
export function vectorSort(width: 32 | 64): string {
  return `#ifdef __AVX512F__
${wideInstructions(width)}#else
${narrowInstructions(width)}#endif
#define BLOCK (ROWS * LANES)
#define UNROLL _Pragma("GCC unroll 16")

INLINE void order_rows(Vec *a, Vec *b) { order(*a, *b, a, b); }

INLINE Vec order_lanes(Vec v, int m, int top) { return order_by(with_bit(top), v, permute(partners(m), v)); }

INLINE void order_distant_rows(Vec *v, const int rows, int j) {
  UNROLL for (int r = 0; r < rows; r++) if (!(r & j)) order_rows(v + r, v + (r | j));
}

/* Sorts a matrix by columns: the bitonic network over numbers lane * rows + row. */
INLINE void sort_columns(Vec *v, const int rows) {
  UNROLL for (int k = 2; k <= rows; k *= 2) {
    UNROLL for (int r = 0; r < rows; r++) if ((r ^ (k - 1)) > r) order_rows(v + r, v + (r ^ (k - 1)));
    UNROLL for (int j = k / 4; j > 0; j /= 2) order_distant_rows(v, rows, j);
  }
  UNROLL for (int k = 2; k <= LANES; k *= 2) {
    if (rows == 1) v[0] = order_lanes(v[0], k - 1, k / 2);
    UNROLL for (int r = 0; r < rows / 2; r++) {
      Vec *const a = v + r, *const b = v + (rows - 1 - r);
      const Vec at = partners(k - 1);
      Vec other = permute(at, *b);
      cross(with_bit(k / 2), a, &other);
      *b = permute(at, other);
    }
    UNROLL for (int j = k / 4; j > 0; j /= 2) {
      UNROLL for (int r = 0; r < rows; r++) v[r] = order_lanes(v[r], j, j);
    }
    UNROLL for (int j = rows / 2; j > 0; j /= 2) order_distant_rows(v, rows, j);
  }
}

/* Columns, one after the other, become rows; row r then belongs at place_of(r). */
INLINE void turn(Vec *v, const int rows) {
  const int least = rows < LANES ? LANES / rows : 1;
  UNROLL for (int j = 1; j < rows && j < LANES; j *= 2) {
    const Vec at = partners(j * least);
    const Mask odd = with_bit(j * least);
    UNROLL for (int r = 0; r < rows; r++) if (!(r & j)) {
      const Vec a = v[r], b = v[r | j];
      v[r] = choose_permuted(odd, a, at, b);
      v[r | j] = choose_permuted((Mask)~odd, b, at, a);
    }
  }
  if (rows == 1 || rows >= LANES) return;
  const Vec at = columns(rows);
  UNROLL for (int r = 0; r < rows; r++) v[r] = permute(at, v[r]);
}

INLINE int place_of(int r, const int rows) { return rows > LANES ? r % LANES * (rows / LANES) + r / LANES : r; }

INLINE void sort_block(const item *a, item *to, i64 n, const int rows) {
  Vec v[ROWS];
  UNROLL for (int r = 0; r < rows; r++) v[r] = enter(load_some(a + r * LANES, n - r * LANES));
  sort_columns(v, rows);
  turn(v, rows);
  UNROLL for (int r = 0; r < rows; r++) {
    const int at = place_of(r, rows) * LANES;
    store_some(to + at, n - at, leave(v[r]));
  }
}

static void sort_few(const item *a, item *to, i64 n) {
  if (n <= LANES) sort_block(a, to, n, 1);
  else if (n <= 2 * LANES) sort_block(a, to, n, 2);
  else if (n <= 4 * LANES) sort_block(a, to, n, 4);
  else if (n <= 8 * LANES) sort_block(a, to, n, 8);
  else sort_block(a, to, n, ROWS);
}

/* Leaves what is less than the pivot (or not more) at the front and puts the others at the end of b. Gives the number of the first. */
INLINE i64 divide_to(item *a, item *b, i64 n, item pivot, const int not_more) {
  item all[LANES];
  for (int i = 0; i < LANES; i++) all[i] = pivot;
  const Vec p = enter(load_some(all, LANES));
  item *low = a, *high = b + n;
  i64 i = 0;
  for (; i + LANES <= n; i += LANES) {
    const int count = part(a + i, p, not_more, low, high);
    low += count;
    high -= LANES - count;
  }
  for (; i < n; i++) {
    const item v = a[i];
    const int first = not_more ? v <= pivot : v < pivot;
    *low = v;
    high[-1] = v;
    low += first;
    high -= !first;
  }
  return low - a;
}

/* The same with the others behind the first. */
static i64 divide(item *a, item *b, i64 n, item pivot) {
  const i64 low = divide_to(a, b, n, pivot, 0);
  __builtin_memcpy(a + low, b + low, sizeof(item) * (u64)(n - low));
  return low;
}

/* The middle one of some items. */
static item choose_pivot(const item *a, i64 n) {
  const int count = n < 8192 ? 16 : 8 * LANES;
  const i64 step = n / count;
  item some[8 * LANES];
  for (int i = 0; i < count; i++) some[i] = a[i * step + step / 2];
  sort_few(some, some, count);
  return some[count / 2];
}

/* Sorts what is at a; with away, the result goes to b. */
static void sort_from(item *a, item *b, i64 n, int depth, int away) {
  while (n > BLOCK) {
    if (depth-- == 0) {
      radix_sort(a, b, n, 0);
      if (away) __builtin_memcpy(b, a, sizeof(item) * (u64)n);
      return;
    }
    const item pivot = choose_pivot(a, n);
    i64 low = divide_to(a, b, n, pivot, 0);
    if (low > 0) {
      sort_from(b + low, a + low, n - low, depth, !away);
      n = low;
      continue;
    }
    /* Nothing is less than the pivot, and all is at b: what equals it is in its place. */
    low = divide_to(b, a, n, pivot, 1);
    if (away) a += low, b += low;
    else {
      for (i64 i = 0; i < low; i++) a[i] = pivot;
      a += low, b += low;
    }
    n -= low;
  }
  if (n > 1) sort_few(a, away ? b : a, n);
  else if (n == 1 && away) *b = *a;
}

static void quick_sort(item *a, item *b, i64 n, int depth) { sort_from(a, b, n, depth, 0); }
`;
}
