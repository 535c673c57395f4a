/**
 * Sorting unsigned numbers of 32 or 64 bits with AVX-512 or AVX2: a quicksort whose partitions compress vectors, over a bitonic network
 * that sorts what fits in registers. Where the pivots chosen are bad ones, it leaves the rest to `radix_sort`.
 * @module
 */

const list = (n: number, f: (i: number) => number): string => Array.from({ length: n }, (_, i) => f(i)).join(", ");

/** For each mask the lanes that it has, then the others; as bytes, `words` of them a lane. */
function compressTable(lanes: number, words: number): string {
  const rows = Array.from({ length: 1 << lanes }, (_, mask) => {
    const all = Array.from({ length: lanes }, (_, i) => i), has = (i: number) => (mask >> i & 1) === 1;
    const order = [...all.filter(has), ...all.filter((i) => !has(i))];
    return `{${order.flatMap((i) => Array.from({ length: words }, (_, w) => words * i + w))}}`;
  });
  return `static const u8 compressed[${1 << lanes}][8] = {${rows.join(", ")}};`;
}

/** What the sort is made of with AVX-512: masks have registers of their own, and an instruction compresses. */
function wideInstructions(width: 32 | 64): string {
  const lanes = 512 / width;
  // A permutation takes half the time of two compressions; for 16 lanes its table would be too large.
  const partText = width === 64
    ? `  const Vec v = load(a);
  const Mask m = first_part(v, pivot, not_more);
  const Vec w = permute(_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)compressed[m])), v);
  store(low, w);
  store(high - LANES, w);
  return __builtin_popcount(m);
`
    : `  const Vec v = load(a);
  const Mask m = first_part(v, pivot, not_more);
  const int count = __builtin_popcount(m);
  store(low, VEC(maskz_compress)(m, v));
  VEC(mask_storeu)(high - (LANES - count), (Mask)(((1 << LANES) - 1) >> count), VEC(maskz_compress)((Mask)~m, v));
  return count;
`;
  return `#define LANES ${lanes}
#define VEC(name) _mm512_##name##_epi${width}
#define VECU(name) _mm512_##name##_epu${width}
typedef __m512i Vec;
typedef __mmask${lanes} Mask;
static const item lane_numbers[LANES] __attribute__((aligned(64))) = {${list(lanes, (i) => i)}};
#define LANE_NUMBERS _mm512_load_si512(lane_numbers)
#define enter(v) (v)
#define leave(v) (v)
${width === 64 ? compressTable(lanes, 1) : ""}

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

/* What is left of a and b without one of them: minima and maxima share one port. */
#define other_of(one, a, b) VEC(ternarylogic)(one, a, b, 0x96)
INLINE Vec smaller(Vec a, Vec b) { return VECU(min)(a, b); }
/* The smaller of a and b, the larger under the mask. */
INLINE Vec order_by(Mask m, Vec a, Vec b) { return VEC(mask_ternarylogic)(VECU(min)(a, b), m, a, b, 0x96); }

INLINE Mask first_lanes(i64 n) { return (Mask)_bzhi_u32((1u << LANES) - 1, n < 0 ? 0 : (u32)n); }
INLINE Vec load(const item *a) { return _mm512_loadu_si512(a); }
INLINE void store(item *a, Vec v) { _mm512_storeu_si512(a, v); }
/* The first n of a vector, and the largest number behind them. */
INLINE Vec load_some(const item *a, i64 n) { return VEC(mask_loadu)(VEC(set1)(-1), first_lanes(n), a); }
INLINE void store_some(item *a, i64 n, Vec v) { VEC(mask_storeu)(a, first_lanes(n), v); }
INLINE Mask first_part(Vec v, Vec pivot, const int not_more) {
  return not_more ? VECU(cmple)##_MASK(v, pivot) : VECU(cmplt)##_MASK(v, pivot);
}

/* Stores what is less than the pivot (or not more) from low on, the others up to high. Gives the number of the first. */
INLINE int part(const item *a, Vec pivot, const int not_more, item *low, item *high) {
${partText}}

/* The same of the first n of a vector only. */
INLINE int part_some(const item *a, i64 n, Vec pivot, const int not_more, item *low, item *high) {
  const Vec v = load_some(a, n);
  const Mask some = first_lanes(n), m = first_part(v, pivot, not_more) & some;
  const int count = __builtin_popcount(m);
  VEC(mask_storeu)(low, first_lanes(count), VEC(maskz_compress)(m, v));
  VEC(mask_storeu)(high - (n - count), first_lanes(n - count), VEC(maskz_compress)((Mask)(some & ~m), v));
  return count;
}
`.replaceAll(/VECU\((cmpl[et])\)##_MASK/g, `_mm512_$1_epu${width}_mask`);
}

/** The same with AVX2: masks are vectors, and vectors are compressed by a table. 64-bit numbers are compared with their sign turned. */
function narrowInstructions(width: 32 | 64): string {
  const lanes = 256 / width, wide = width === 64;
  const compare = wide
    ? `#define enter(v) _mm256_xor_si256(v, _mm256_set1_epi64x((i64)1 << 63))
#define leave(v) enter(v)
INLINE Vec smaller(Vec a, Vec b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b)); }
/* The smaller of a and b, the larger under the mask. */
INLINE Vec order_by(Mask m, Vec a, Vec b) { return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b) ^ m); }
INLINE Vec less(Vec a, Vec b) { return _mm256_cmpgt_epi64(b, a); }
INLINE Vec not_less(Vec a, Vec b) { return ~less(a, b); }
INLINE int bits_of(Vec m) { return _mm256_movemask_pd((__m256d)m); }`
    : `#define enter(v) (v)
#define leave(v) (v)
INLINE Vec smaller(Vec a, Vec b) { return _mm256_min_epu32(a, b); }
/* The smaller of a and b, the larger under the mask. */
INLINE Vec order_by(Mask m, Vec a, Vec b) {
  return _mm256_blendv_epi8(_mm256_min_epu32(a, b), _mm256_max_epu32(a, b), m);
}
INLINE Vec not_less(Vec a, Vec b) { return _mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a); }
INLINE Vec less(Vec a, Vec b) { return ~not_less(a, b); }
INLINE int bits_of(Vec m) { return _mm256_movemask_ps((__m256)m); }`;
  const all = wide ? "_mm256_set1_epi64x" : "_mm256_set1_epi32";
  return `#define LANES ${lanes}
typedef __m256i Vec;
typedef Vec Mask;
#define LANE_NUMBERS _mm256_setr_epi${wide ? "64x" : "32"}(${list(lanes, (i) => i)})
#define PLACES _mm256_setr_epi32(${list(8, (i) => i)})
${compressTable(lanes, width / 32)}
#define other_of(one, a, b) (one ^ a ^ b)
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

INLINE Vec first_lanes(i64 n) { return _mm256_cmpgt_epi${width}(${all}(${wide ? "n" : "(int)n"}), LANE_NUMBERS); }
INLINE Vec load(const item *a) { return _mm256_loadu_si256((const Vec *)a); }
INLINE void store(item *a, Vec v) { _mm256_storeu_si256((Vec *)a, v); }
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
  const Vec v = load(a), w = enter(v);
  const int m = bits_of(not_more ? not_less(pivot, w) : less(w, pivot));
  const Vec x = permute(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)compressed[m])), v);
  store(low, x);
  store(high - LANES, x);
  return __builtin_popcount((u32)m);
}

/* The same of the first n of a vector only. */
INLINE int part_some(const item *a, i64 n, Vec pivot, const int not_more, item *low, item *high) {
  item some[LANES];
  const Vec v = load_some(a, n), w = enter(v);
  const int m = bits_of(not_more ? not_less(pivot, w) : less(w, pivot)) & ((1 << n) - 1);
  const int count = __builtin_popcount((u32)m);
  store(some, permute(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)compressed[m])), v));
  store_some(low, count, load(some));
  for (i64 i = count; i < n; i++) high[i - n] = some[i];
  return count;
}
`;
}

/** Pairs of places that a network of Batcher's (odd-even merges) puts in order, one after the other. */
function networkOf(n: number): [number, number][] {
  const pairs: [number, number][] = [];
  for (let p = 1; p < n; p *= 2) {
    for (let k = p; k >= 1; k /= 2) {
      for (let i = k % p; i < n - k; i += 2 * k) {
        for (let j = i; j < i + k && j < n - k; j++) {
          if (Math.floor(j / (2 * p)) === Math.floor((j + k) / (2 * p))) pairs.push([j, j + k]);
        }
      }
    }
  }
  return pairs;
}

const powersBelow = (n: number): number[] => n <= 1 ? [] : [n / 2, ...powersBelow(n / 2)];

/**
 * Statements that sort `rows` vectors v0, v1, … of `lanes`, written out: compilers keep arrays of vectors in memory, and take long for
 * loops over them. Columns are sorted, and merged by a bitonic network over numbers lane * rows + row; then they are turned into rows.
 */
function blockText(rows: number, lanes: number): string {
  const all = Array.from({ length: rows }, (_, r) => r), lines: string[] = [];
  const pair = (i: number, j: number) => lines.push(`ORDER(v${i}, v${j})`);
  for (const [i, j] of networkOf(rows)) pair(i, j);
  for (let k = 2; k <= lanes; k *= 2) {
    const at = `at${k - 1}`, mask = `with${k / 2}`;
    if (rows === 1) lines.push(`v0 = order_by(${mask}, v0, permute(${at}, v0));`);
    for (const r of all.slice(0, rows / 2)) lines.push(`CROSS(v${r}, v${rows - 1 - r}, ${mask}, ${at})`);
    for (const j of powersBelow(k / 2)) {
      for (const r of all) lines.push(`v${r} = order_by(with${j}, v${r}, permute(at${j}, v${r}));`);
    }
    for (const j of powersBelow(rows)) for (const r of all) if ((r & j) === 0) pair(r, r | j);
  }
  const least = Math.max(1, lanes / rows);
  for (let j = 1; j < rows && j < lanes; j *= 2) {
    const b = j * least;
    for (const r of all) if ((r & j) === 0) lines.push(`TURN(v${r}, v${r | j}, with${b}, at${b})`);
  }
  if (rows > 1 && rows < lanes) {
    lines.push(`const Vec turned = columns(${rows});`);
    for (const r of all) lines.push(`v${r} = permute(turned, v${r});`);
  }
  const place = (r: number) => lanes * (rows > lanes ? r % lanes * (rows / lanes) + Math.floor(r / lanes) : r);
  // It is only called for what more than half fills it.
  const full = (at: number) => rows > 1 && at < rows * lanes / 2;
  const get = (at: number) => full(at) ? `load(a + ${at})` : `load_some(a + ${at}, n - ${at})`;
  const put = (at: number, v: string) =>
    full(at) ? `store(to + ${at}, ${v});` : `store_some(to + ${at}, n - ${at}, ${v});`;
  const text = lines.join("\n");
  const constants = (name: string, make: string, type: string) =>
    [...new Set([...text.matchAll(new RegExp(`\\b${name}(\\d+)`, "g"))].map(([, k]) => k))]
      .map((k) => `const ${type} ${name}${k} = ${make}(${k});`);
  const body = [
    ...constants("at", "partners", "Vec"),
    ...constants("with", "with_bit", "Mask"),
    ...all.map((r) => `Vec v${r} = enter(${get(r * lanes)});`),
    text,
    ...all.map((r) => put(place(r), `leave(v${r})`)),
  ];
  return `static void sort_${rows}(const item *a, item *to, i64 n) {\n${body.join("\n").replaceAll(/^/gm, "  ")}\n}\n`;
}

const blocks = [1, 2, 4, 8, 16] as const;

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
  const texts = (bits: number) => blocks.map((rows) => blockText(rows, bits / width)).join("\n");
  return `#ifdef __AVX512F__
${wideInstructions(width)}#else
${narrowInstructions(width)}#endif
#define BLOCK (16 * LANES)
#define ORDER(x, y) { const Vec low = smaller(x, y); y = other_of(low, x, y); x = low; }
/* Each lane of x and its partner of y in order, under the mask the other way round. */
#define CROSS(x, y, m, at) { \
  const Vec other = permute(at, y), first = order_by(m, x, other); \
  y = permute(at, other_of(first, x, other)); \
  x = first; \
}
/* Lanes under the mask change places with their partners of the other vector. */
#define TURN(x, y, m, at) { \
  const Vec other = x; \
  x = choose_permuted(m, x, at, y); \
  y = choose_permuted((Mask)~m, y, at, other); \
}

#ifdef __AVX512F__
${texts(512)}#else
${texts(256)}#endif

static void sort_few(const item *a, item *to, i64 n) {
${
    blocks.slice(0, -1).map((rows) => `  if (n <= ${rows} * LANES) return sort_${rows}(a, to, n);\n`).join("")
  }  sort_16(a, to, n);
}

/* Leaves what is less than the pivot (or not more) at the front and puts the others at the end of b. Gives the number of the first. */
INLINE i64 divide_to(item *a, item *b, i64 n, item pivot, const int not_more) {
  item all[LANES];
  for (int i = 0; i < LANES; i++) all[i] = pivot;
  const Vec p = enter(load(all));
  item *low = a, *high = b + n;
  i64 i = 0;
  for (; i + LANES <= n; i += LANES) {
    const int count = part(a + i, p, not_more, low, high);
    low += count;
    high -= LANES - count;
  }
  if (i < n) low += part_some(a + i, n - i, p, not_more, low, high);
  return low - a;
}

/* The same with the others behind the first. */
static i64 divide(item *a, item *b, i64 n, item pivot) {
  const i64 low = divide_to(a, b, n, pivot, 0);
  __builtin_memcpy(a + low, b + low, sizeof(item) * (u64)(n - low));
  return low;
}

/* The middle one of some items, and whether these are all the same. */
static item choose_pivot(const item *a, i64 n, int *same) {
  const int count = n < 1024 ? LANES : n < 8192 ? 2 * LANES : 8 * LANES;
  const i64 step = n / count;
  item some[8 * LANES];
  for (int i = 0; i < count; i++) some[i] = a[i * step + step / 2];
  sort_few(some, some, count);
  *same = some[0] == some[count - 1];
  return some[count / 2];
}

static int are_all(const item *a, i64 n, item v) {
  const i64 block = 256;
  for (i64 from = 0; from < n; from += block) {
    const i64 to = from + block < n ? from + block : n;
    item other = 0;
    for (i64 i = from; i < to; i++) other |= a[i] ^ v;
    if (other) return 0;
  }
  return 1;
}

/* Sorts what is at a, none of which is below least; with away, the result goes to b. */
static void sort_from(item *a, item *b, i64 n, int depth, int away, item least) {
  while (n > BLOCK) {
    if (depth-- == 0) {
      radix_sort(a, b, n, 0);
      if (away) __builtin_memcpy(b, a, sizeof(item) * (u64)n);
      return;
    }
    int same;
    const item pivot = choose_pivot(a, n, &same);
    if (same && are_all(a, n, pivot)) {
      if (away) __builtin_memcpy(b, a, sizeof(item) * (u64)n);
      return;
    }
    if (pivot != least) {
      const i64 low = divide_to(a, b, n, pivot, 0);
      sort_from(b + low, a + low, n - low, depth, !away, pivot);
      n = low;
      continue;
    }
    /* What equals the least is in its place; the others are at b. */
    const i64 low = divide_to(a, b, n, pivot, 1);
    if (away) for (i64 i = 0; i < low; i++) b[i] = pivot;
    item *const others = b + low;
    b = a + low;
    a = others;
    n -= low;
    away = !away;
  }
  if (n > 1) sort_few(a, away ? b : a, n);
  else if (n == 1 && away) *b = *a;
}

static void quick_sort(item *a, item *b, i64 n, int depth) { sort_from(a, b, n, depth, 0, 0); }
`;
}
