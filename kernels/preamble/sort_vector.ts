/**
 * Sorting unsigned numbers of 32 or 64 bits with AVX-512: a quicksort whose partitions compress vectors, over a bitonic network that
 * sorts what fits in registers. Where the pivots chosen are bad ones, it leaves the rest to `radix_sort`.
 * @module
 */

/** What an instruction is called for items of a width. */
function instructions(width: 32 | 64): string {
  const lanes = 512 / width, index = Array.from({ length: lanes }, (_, i) => i).join(", ");
  return `#define LANES ${lanes}
#define VEC(name) _mm512_##name##_epi${width}
#define VECU(name) _mm512_##name##_epu${width}
#define LESS(a, b) _mm512_cmplt_epu${width}_mask(a, b)
#define NOT_MORE(a, b) _mm512_cmple_epu${width}_mask(a, b)
typedef __mmask${lanes} Mask;
static const item lane_numbers[LANES] __attribute__((aligned(64))) = {${index}};
`;
}

/** Whether there is a vectorised sort for items of so many bits. */
export function isVectorSortable(width: number): width is 32 | 64 {
  return width === 32 || width === 64;
}

/**
 * The C text: \`quick_sort(a, b, n, depth)\` sorts \`a\` with as much memory at \`b\`. It needs the types \`item\` (unsigned) and \`i64\`.
 *
 * @param width bits of an item
 */
export function vectorSort(width: 32 | 64): string {
  return `${instructions(width)}typedef __m512i Vec;
#define LANE_NUMBERS _mm512_load_si512(lane_numbers)
#define ROWS 16
#define BLOCK (ROWS * LANES)
#define UNROLL _Pragma("GCC unroll 16")

/* Lanes whose number has the bit j. */
INLINE Mask with_bit(int j) { return (Mask)(j == 1 ? 0xaaaa : j == 2 ? 0xcccc : j == 4 ? 0xf0f0 : 0xff00); }

INLINE Mask first_lanes(i64 n) { return (Mask)(n >= LANES ? (1 << LANES) - 1 : n <= 0 ? 0 : (1 << n) - 1); }

/* The place of each lane's partner: its number with the bits of m turned. */
INLINE Vec partners(int m) { return _mm512_xor_si512(LANE_NUMBERS, VEC(set1)(m)); }

INLINE void order_rows(Vec *a, Vec *b) {
  const Vec v = *a;
  *a = VECU(min)(v, *b);
  *b = VECU(max)(v, *b);
}

INLINE Vec order_lanes(Vec v, int m, int top) {
  const Vec p = VEC(permutexvar)(partners(m), v);
  return VECU(mask_max)(VECU(min)(v, p), with_bit(top), v, p);
}

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
      const Vec at = partners(k - 1), p = VEC(permutexvar)(at, *b);
      const Vec low = VECU(min)(*a, p), high = VECU(max)(*a, p);
      *a = VEC(mask_blend)(with_bit(k / 2), low, high);
      *b = VEC(permutexvar)(at, VEC(mask_blend)(with_bit(k / 2), high, low));
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
      v[r] = VEC(mask_permutexvar)(a, odd, at, b);
      v[r | j] = VEC(mask_permutexvar)(b, (Mask)~odd, at, a);
    }
  }
  if (rows == 1 || rows >= LANES) return;
  const Vec low = _mm512_and_si512(LANE_NUMBERS, VEC(set1)(rows - 1));
  const Vec at = _mm512_or_si512(VEC(slli)(low, __builtin_ctz(least)), VEC(srli)(LANE_NUMBERS, __builtin_ctz(rows)));
  UNROLL for (int r = 0; r < rows; r++) v[r] = VEC(permutexvar)(at, v[r]);
}

INLINE int place_of(int r, const int rows) { return rows > LANES ? r % LANES * (rows / LANES) + r / LANES : r; }

INLINE void sort_block(item *a, i64 n, const int rows) {
  Vec v[ROWS];
  UNROLL for (int r = 0; r < rows; r++) {
    v[r] = VEC(mask_loadu)(VEC(set1)(-1), first_lanes(n - r * LANES), a + r * LANES);
  }
  sort_columns(v, rows);
  turn(v, rows);
  UNROLL for (int r = 0; r < rows; r++) {
    const int at = place_of(r, rows) * LANES;
    VEC(mask_storeu)(a + at, first_lanes(n - at), v[r]);
  }
}

static void sort_few(item *a, i64 n) {
  if (n <= LANES) sort_block(a, n, 1);
  else if (n <= 2 * LANES) sort_block(a, n, 2);
  else if (n <= 4 * LANES) sort_block(a, n, 4);
  else if (n <= 8 * LANES) sort_block(a, n, 8);
  else sort_block(a, n, ROWS);
}

/* Moves what is less than the pivot (or not more) to the front; all keep their order. Gives their number. */
INLINE i64 divide(item *a, item *b, i64 n, item pivot, const int not_more) {
  const Vec p = VEC(set1)((long long)pivot);
  item *low = a, *high = b;
  i64 i = 0;
  for (; i + LANES <= n; i += LANES) {
    const Vec v = _mm512_loadu_si512(a + i);
    const Mask m = not_more ? NOT_MORE(v, p) : LESS(v, p);
    const int count = __builtin_popcount(m);
    _mm512_storeu_si512(low, VEC(maskz_compress)(m, v));
    _mm512_storeu_si512(high, VEC(maskz_compress)((Mask)~m, v));
    low += count;
    high += LANES - count;
  }
  const Mask live = first_lanes(n - i);
  const Vec v = VEC(maskz_loadu)(live, a + i);
  const Mask m = (not_more ? NOT_MORE(v, p) : LESS(v, p)) & live, others = ~m & live;
  const int count = __builtin_popcount(m), rest = __builtin_popcount(others);
  VEC(mask_storeu)(low, first_lanes(count), VEC(maskz_compress)(m, v));
  VEC(mask_storeu)(high, first_lanes(rest), VEC(maskz_compress)(others, v));
  low += count;
  high += rest;
  __builtin_memcpy(low, b, (u64)((char *)high - (char *)b));
  return low - a;
}

/* The middle one of some items. */
static item choose_pivot(const item *a, i64 n) {
  const int count = n < 8192 ? LANES : 8 * LANES;
  const i64 step = n / count;
  item some[8 * LANES];
  for (int i = 0; i < count; i++) some[i] = a[i * step + step / 2];
  sort_few(some, count);
  return some[count / 2];
}

static void quick_sort(item *a, item *b, i64 n, int depth) {
  while (n > BLOCK) {
    if (depth-- == 0) {
      radix_sort(a, b, n, 0);
      return;
    }
    const item pivot = choose_pivot(a, n);
    i64 low = divide(a, b, n, pivot, 0);
    /* Nothing is less than the pivot: what equals it is in its place. */
    if (low == 0) low = divide(a, b, n, pivot, 1);
    else quick_sort(a, b, low, depth);
    a += low;
    n -= low;
  }
  if (n > 1) sort_few(a, n);
}
`;
}
