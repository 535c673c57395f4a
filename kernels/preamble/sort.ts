/**
 * Sorting in C: rows become unsigned numbers that order as NumPy orders the values, and where positions are asked for, hold them in
 * their low bits; so equal numbers need not keep their order, and one sort serves all. One source for each dtype.
 *
 * Several threads share a row by values: each divides its part of the row at the same borders, and then sorts what lies between two of
 * them.
 * @module
 */
import { type DType, dtypes } from "../../src/base/dtype.ts";
import { cTypes } from "./c.ts";
import { exponents, hasNan, keyText } from "./sort_keys.ts";
import { radixSort } from "./sort_radix.ts";
import { isVectorSortable, vectorSort } from "./sort_vector.ts";

/** The most threads a sort uses. */
export const sortThreads = 16;

/** Values of a row from which on each possible key is counted. */
const countedFrom: Readonly<Record<number, number>> = { 8: 64, 16: 16384 };
/** Tables of counts side by side, as the next value is often the same. */
const countedWays: Readonly<Record<number, number>> = { 8: 4, 16: 1 };

const widthOf = (dtype: DType): number => 8 * dtypes[dtype].itemsize;

/**
 * Scratch memory for `cSort`.
 *
 * @param positions whether positions are asked for
 * @returns bytes of scratch memory for one row of `n` on one thread, and whether each of several threads needs as much for a row
 */
export function cSortScratch(dtype: DType, positions: boolean, n: number): { bytes: number; each: boolean } {
  const width = widthOf(dtype), item = positions ? 8 : width / 8;
  const bytes = Math.ceil(2 * n * item / 128) * 128;
  if (positions || width > 16 || n < countedFrom[width]!) return { bytes, each: false };
  return { bytes: Math.max(bytes, 4 * countedWays[width]! << width), each: true };
}

/**
 * The C source that sorts rows of a dtype. Its argument block: addresses of input, output and scratch memory, rows, row length,
 * strides of input and output along the row, threads, bytes of scratch memory for each row or thread, rank of the rows; then sizes,
 * input strides and output strides of the rows' axes. Rows are shared out to the threads where there are enough of them; one row is
 * sorted by all of them otherwise.
 *
 * @param positions int64 positions go to the output instead of values
 */
export function cSort(dtype: DType, positions: boolean): string {
  const width = widthOf(dtype), itemWidth = positions ? 64 : width;
  const vectors = width >= 32 && isVectorSortable(itemWidth) ? vectorSort(itemWidth) : null;
  const kind: Kind = {
    positions,
    wide: positions && width === 64,
    special: hasNan(dtype) && !positions,
    counted: !positions && width <= 16 ? width : null,
  };
  const parts = [
    `/* ${positions ? "argsort" : "sort"} of ${dtype} */`,
    ...(vectors === null ? [] : ["#ifdef __AVX2__", "#include <immintrin.h>", "#endif"]),
    cTypes + keyText(dtype),
    `typedef u${itemWidth} item;\ntypedef ${positions ? "i64" : "key"} result;\n#define MOST ${sortThreads}\n`,
    rowType(kind),
    radixSort(itemWidth, exponents[dtype] ?? 1),
    ...(vectors === null ? [scalarDivision] : ["#ifdef __AVX2__", vectors + "#else", scalarDivision + "#endif\n"]),
    sortItems(vectors !== null),
    ...(kind.wide ? [ranging, telling] : []),
    itemText(kind),
    ...(kind.special ? [restoring] : []),
    ...(kind.counted === null ? [] : [counting(kind.counted, kind.special)]),
    sharing(kind),
    rowsText(kind),
  ];
  return parts.join("\n");
}

/** What a source is about. */
interface Kind {
  readonly positions: boolean;
  /** A value and its position take more than an item. */
  readonly wide: boolean;
  /** Some equal values differ in their bits, and are to stay as they came. */
  readonly special: boolean;
  /** Bits of values that are few enough to be counted. */
  readonly counted: number | null;
}

const rowType = ({ wide, special }: Kind): string =>
  `${
    wide
      ? "/* Items are the leading bits of (value - least) << shift over the lowest bits, which hold the position. */\n"
      : ""
  }typedef struct {
  const key *x;
  result *y;
  i64 n, sx, sy;
  item *a, *b;${wide ? "\n  key least;\n  int shift, bits;" : ""}${special ? "\n  int special;" : ""}
} Row;
`;

/** Without vectors. */
const scalarDivision = `/* Moves what is less than the pivot to the front; all keep their order. Gives their number. */
static i64 divide(item *a, item *b, i64 n, item pivot) {
  i64 low = 0, high = 0;
  for (i64 i = 0; i < n; i++) {
    const item v = a[i];
    const int less = v < pivot;
    a[low] = v;
    b[high] = v;
    low += less;
    high += !less;
  }
  __builtin_memcpy(a + low, b, sizeof(item) * (u64)high);
  return low;
}
`;

function sortItems(vectors: boolean): string {
  const radix = "  radix_sort(a, b, n, from);";
  return `/* Whether items from low up to high are in order, and not below the one before. */
static int in_order(const item *a, i64 low, i64 high) {
  for (i64 i = low > 0 ? low : 1; i < high; i++) if (a[i - 1] > a[i]) return 0;
  return 1;
}

/* Sorts items that are in the order of their bits below from. */
static void sort_items(item *a, item *b, i64 n, int from) {
  if (in_order(a, 0, n)) return;
${
    vectors
      ? `#ifdef __AVX2__
  (void)from;
  quick_sort(a, b, n, 8 + 2 * (64 - __builtin_clzll((u64)n | 1)));
#else
${radix}
#endif`
      : radix
  }
}
`;
}

/** From values to items and back. */
function itemText({ positions, wide, special }: Kind): string {
  const item = wide
    ? "((to_key(v) - row->least) << row->shift & ~(((item)1 << row->bits) - 1)) | (item)i"
    : positions
    ? "(item)to_key(v) << 32 | (item)i"
    : "to_key(v)";
  const result = wide
    ? "(i64)(a[i] & (((item)1 << row->bits) - 1))"
    : positions
    ? "(i64)(a[i] & 0xffffffffu)"
    : "from_key(a[i])";
  return `INLINE item item_of(const Row *row, key v, i64 i) {
  (void)row, (void)i;
  return ${item};
}

INLINE void load_by(Row *row, i64 low, i64 high, i64 sx) {
  const key *const x = row->x;
  item *const a = row->a;${special ? "\n  key special = 0;" : ""}
#pragma omp simd${special ? " reduction(| : special)" : ""}
  for (i64 i = low; i < high; i++) {
    const key v = x[i * sx];
    a[i] = item_of(row, v, i);${special ? "\n    special |= (key)(IS_NAN(v) | (v == ZERO));" : ""}
  }${special ? "\n  if (special) __atomic_store_n(&row->special, 1, __ATOMIC_RELAXED);" : ""}
}

static void load_items(Row *row, i64 low, i64 high) {
  if (row->sx == 1) load_by(row, low, high, 1);
  else load_by(row, low, high, row->sx);
}

INLINE void store_by(const Row *row, const item *a, i64 start, i64 n, i64 sy) {
  result *const y = row->y + start * sy;
#pragma omp simd
  for (i64 i = 0; i < n; i++) y[i * sy] = ${result};
}

/* Stores what items stand for, the first of them at the place start. */
static void store_items(const Row *row, const item *a, i64 start, i64 n) {
  if (row->sy == 1) store_by(row, a, start, n, 1);
  else store_by(row, a, start, n, row->sy);
}

/* Sorts items, the first of which belongs at the place start, and stores what they stand for. */
static void sort_part(const Row *row, item *a, item *b, i64 start, i64 n) {
  sort_items(a, b, n, ${wide ? "row->bits" : positions ? "32" : "0"});${
    wide ? "\n  if (row->shift < row->bits) tell_apart(row, a, b, n);" : ""
  }
  store_items(row, a, start, n);
}
`;
}

/** Equal values that differ in their bits stay as they came: zeros of both signs, and NaNs. */
const restoring = `static void restore(const Row *row) {
  const i64 n = row->n, sx = row->sx, block = 256;
  const key *const x = row->x;
  i64 zero = 0, nan = n;
#pragma omp simd reduction(+ : zero) reduction(- : nan)
  for (i64 i = 0; i < n; i++) {
    const key v = x[i * sx];
    zero += !IS_NAN(v) & (v > ZERO);
    nan -= IS_NAN(v);
  }
  for (i64 from = 0; from < n; from += block) {
    const i64 to = from + block < n ? from + block : n;
    key some = 0;
#pragma omp simd reduction(| : some)
    for (i64 i = from; i < to; i++) some |= (key)(IS_ZERO(x[i * sx]) | IS_NAN(x[i * sx]));
    for (i64 i = from; some && i < to; i++) {
      const key v = x[i * sx];
      if (IS_ZERO(v)) row->y[zero++ * row->sy] = v;
      else if (IS_NAN(v)) row->y[nan++ * row->sy] = v;
    }
  }
}
`;

/** Leading bits of values whose common ones are left out, and what they leave out; values that are in order need neither. */
const ranging = `static int is_ordered(const Row *row) {
  const i64 n = row->n, sx = row->sx, block = 256;
  const key *const x = row->x;
  for (i64 from = 1; from < n; from += block) {
    const i64 to = from + block < n ? from + block : n;
    int less = 0;
#pragma omp simd reduction(| : less)
    for (i64 i = from; i < to; i++) less |= to_key(x[i * sx]) < to_key(x[(i - 1) * sx]);
    if (less) return 0;
  }
  return 1;
}

INLINE void widen(const Row *row, i64 low, i64 high, key *least, key *most) {
  key lowest = *least, highest = *most;
#pragma omp simd reduction(min : lowest) reduction(max : highest)
  for (i64 i = low; i < high; i++) {
    const key k = to_key(row->x[i * row->sx]);
    lowest = k < lowest ? k : lowest;
    highest = k > highest ? k : highest;
  }
  *least = lowest;
  *most = highest;
}

/* A team of one would take longer than a short row does. */
static void find_range(Row *row, int threads) {
  key least = ~(key)0, most = 0;
  if (threads == 1) widen(row, 0, row->n, &least, &most);
  else {
#pragma omp parallel for schedule(static, 1) reduction(min : least) reduction(max : most) num_threads(threads)
    for (int c = 0; c < threads; c++) widen(row, row->n * c / threads, row->n * (c + 1) / threads, &least, &most);
  }
  row->least = least;
  row->shift = __builtin_clzll((most - least) | 1);
  row->bits = 64 - __builtin_clzll((u64)(row->n - 1) | 1);
}
`;

const telling = `/* Items that have their leading bits in common are sorted by the bits these left out. */
static void tell_apart(const Row *row, item *a, item *b, i64 n) {
  const item mask = ((item)1 << row->bits) - 1;
  for (i64 i = 0, end; i < n; i = end) {
    for (end = i + 1; end < n && (a[end] ^ a[i]) <= mask;) end++;
    if (end - i < 2) continue;
    for (i64 j = i; j < end; j++) {
      const item at = a[j] & mask, k = to_key(row->x[(i64)at * row->sx]) - row->least;
      a[j] = (k << row->shift & mask) << row->bits | at;
    }
    sort_items(a + i, b + i, end - i, row->bits);
  }
}
`;

/** Few keys are counted, each by itself. */
function counting(width: number, special: boolean): string {
  const keys = 1 << width, ways = countedWays[width]!;
  return `/* Counts go to each thread's scratch memory, stride apart. */
static void sort_counted(Row *row, u32 *counts, i64 stride, int threads) {
  const i64 n = row->n, sx = row->sx, sy = row->sy;
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
  for (int c = 0; c < threads; c++) {
    u32 *const own = counts + c * stride;
    __builtin_memset(own, 0, sizeof(u32) * ${ways * keys});
    const i64 end = n * (c + 1) / threads;${special ? "\n    u32 special = 0;" : ""}
    for (i64 i = n * c / threads; i < end; i++) {
      const key v = row->x[i * sx];
      own[to_key(v)${ways > 1 ? ` + ${keys} * (i & ${ways - 1})` : ""}]++;
${special ? "      special |= IS_NAN(v) | (v == ZERO);\n" : ""}    }
${special ? "    if (special) __atomic_store_n(&row->special, 1, __ATOMIC_RELAXED);\n" : ""}  }
  for (int c = 0; c < threads; c++) {
    for (int w = c == 0; w < ${ways}; w++) {
      for (int k = 0; k < ${keys}; k++) counts[k] += counts[c * stride + w * ${keys} + k];
    }
  }
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
  for (int c = 0; c < threads; c++) {
    const i64 low = n * c / threads, high = n * (c + 1) / threads;
    i64 at = 0;
    for (int k = 0; k < ${keys} && at < high; k++) {
      const i64 end = at + counts[k], to = end < high ? end : high;
      for (i64 i = at > low ? at : low; i < to; i++) row->y[i * sy] = from_key((key)k);
      at = end;
    }
  }
}
`;
}

/** One row on several threads. */
function sharing({ wide }: Kind): string {
  return `/* Divides items at borders; sizes are those of the parts. */
static void deal(item *a, item *b, i64 n, const item *borders, int parts, i64 *sizes) {
  if (parts == 1) {
    sizes[0] = n;
    return;
  }
  const int half = parts / 2;
  const i64 low = divide(a, b, n, borders[half - 1]);
  deal(a, b, low, borders, half, sizes);
  deal(a + low, b + low, n - low, borders + half, parts - half, sizes + half);
}

/* Stores what is in order already; tells whether it was. */
static int store_ordered(Row *row, int threads) {
  int ordered = 1;
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static, 1)
    for (int c = 0; c < threads; c++) load_items(row, row->n * c / threads, row->n * (c + 1) / threads);
#pragma omp for schedule(static, 1) reduction(& : ordered)
    for (int c = 0; c < threads; c++) ordered &= in_order(row->a, row->n * c / threads, row->n * (c + 1) / threads);
#pragma omp for schedule(static, 1)
    for (int c = 0; c < threads; c++) {
      const i64 low = row->n * c / threads;
      if (ordered) store_items(row, row->a + low, low, row->n * (c + 1) / threads - low);
    }
  }
  return ordered;
}

#define SAMPLES 128

static void sort_shared(Row *row, int threads) {
  const i64 n = row->n;
  item borders[MOST], some[MOST * SAMPLES], more[MOST * SAMPLES];
  i64 sizes[MOST][MOST], starts[MOST + 1];
  const i64 count = threads * SAMPLES;
  for (i64 s = 0; s < count; s++) {
    const i64 at = s * (n / count);
    some[s] = item_of(row, row->x[at * row->sx], at);
  }
  if (${wide ? "row->shift >= row->bits && " : ""}in_order(some, 0, count) && store_ordered(row, threads)) return;
  sort_items(some, more, count, 0);
  for (int t = 0; t < threads - 1; t++) {
    borders[t] = some[(t + 1) * SAMPLES]${wide ? " >> row->bits << row->bits" : ""};
  }
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static, 1)
    for (int c = 0; c < threads; c++) {
      const i64 low = n * c / threads, high = n * (c + 1) / threads;
      load_items(row, low, high);
      deal(row->a + low, row->b + low, high - low, borders, threads, sizes[c]);
    }
#pragma omp single
    {
      starts[0] = 0;
      for (int t = 0; t < threads; t++) {
        starts[t + 1] = starts[t];
        for (int c = 0; c < threads; c++) starts[t + 1] += sizes[c][t];
      }
    }
#pragma omp for schedule(static, 1)
    for (int t = 0; t < threads; t++) {
      item *to = row->b + starts[t];
      for (int c = 0; c < threads; c++) {
        const item *from = row->a + n * c / threads;
        for (int s = 0; s < t; s++) from += sizes[c][s];
        __builtin_memcpy(to, from, sizeof(item) * (u64)sizes[c][t]);
        to += sizes[c][t];
      }
    }
#pragma omp for schedule(static, 1)
    for (int t = 0; t < threads; t++) {
      sort_part(row, row->b + starts[t], row->a + starts[t], starts[t], starts[t + 1] - starts[t]);
    }
  }
}
`;
}

function rowsText({ wide, special, counted }: Kind): string {
  const restored = special ? "\n  if (row->special) restore(row);" : "";
  const count = counted === null ? "" : `  if (row->n >= ${countedFrom[counted]}) {
    sort_counted(row, (u32 *)row->a, stride / (i64)sizeof(u32), threads);${restored.replace("\n", "\n  ")}
    return;
  }
`;
  return `static void sort_row(Row *row, i64 stride, int threads) {
  (void)stride;
${count}${
    wide
      ? `  if (is_ordered(row)) {
    for (i64 i = 0; i < row->n; i++) row->y[i * row->sy] = i;
    return;
  }
  find_range(row, threads);
`
      : ""
  }  if (threads > 1) sort_shared(row, threads);
  else {
    load_items(row, 0, row->n);
    sort_part(row, row->a, row->b, 0, row->n);
  }${restored}
}

static void sort_rows(const i64 *n, i64 first, i64 end, char *scratch, int threads) {
  const i64 rank = n[9], *sizes = n + 10, *xs = sizes + rank, *ys = xs + rank;
  for (i64 r = first; r < end; r++) {
    Row row = { .x = (const key *)n[0], .y = (result *)n[1], .n = n[4], .sx = n[5], .sy = n[6] };
    row.a = (item *)scratch;
    row.b = (item *)(scratch + n[8] / 2);
    i64 rest = r;
    for (i64 d = rank - 1; d >= 0; d--) {
      row.x += rest % sizes[d] * xs[d];
      row.y += rest % sizes[d] * ys[d];
      rest /= sizes[d];
    }
    sort_row(&row, n[8], threads);
  }
}

void tnp_kernel(const void *block) {
  const i64 *n = (const i64 *)block;
  const i64 rows = n[3];
  const int threads = (int)(n[7] < MOST ? n[7] : MOST);
  if (rows < threads || threads == 1) {
    sort_rows(n, 0, rows, (char *)n[2], threads);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (i64 c = 0; c < threads; c++) {
    sort_rows(n, c * rows / threads, (c + 1) * rows / threads, (char *)n[2] + c * n[8], 1);
  }
}
`;
}
