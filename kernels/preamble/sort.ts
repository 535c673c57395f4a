/**
 * Sorting in C: a stable radix sort on unsigned keys that order as NumPy orders the values, and a binary search that looks for
 * many values at once. One source for each dtype; the argument blocks are described at each.
 *
 * Where the leading bits alone are likely to tell the values apart, only these are sorted by counting, and insertion does the rest; it
 * gives up after a number of moves proportional to the length, and all bits are counted then.
 * @module
 */
import { type DType, dtypes } from "../../src/base/dtype.ts";
import { cTypes } from "./c.ts";

/** The most threads a sort uses. */
export const sortThreads = 16;

/** Bits of infinity, by dtype: what is above them is NaN. */
const infinities: Readonly<Partial<Record<DType, string>>> = {
  float16: "0x7c00",
  bfloat16: "0x7f80",
  float32: "0x7f800000u",
  float64: "0x7ff0000000000000ull",
};

/** Leading bits of a float that say little: its sign and exponent. */
const exponents: Readonly<Partial<Record<DType, number>>> = { float16: 6, bfloat16: 9, float32: 9, float64: 12 };

/** Whether there is C for a dtype; complex numbers are sorted in JavaScript. */
export function cSortable(dtype: DType): boolean {
  return dtypes[dtype].components === 1;
}

/** Types and conversions of keys: equal for values that NumPy takes for equal, NaN the largest. */
function keyText(dtype: DType): string {
  const width = 8 * dtypes[dtype].itemsize, top = `((key)1 << ${width - 1})`;
  const infinity = infinities[dtype];
  const lines = [`typedef u${width} key;`, `#define WIDTH ${width}`, `#define FLOAT ${infinity === undefined ? 0 : 1}`];
  lines.push(`#define LEAD ${exponents[dtype] ?? 1}`);
  if (infinity !== undefined) {
    lines.push(
      `#define IS_NAN(b) ((key)((b) & (key)~${top}) > (key)${infinity})`,
      `#define IS_ZERO(b) ((key)((b) << 1) == 0)`,
      `#define ZERO ${top}`,
      `INLINE key to_key(key b) {`,
      `  if (IS_NAN(b)) return (key)~(key)0;`,
      `  if (b == ${top}) return ${top};`,
      `  return (key)(b >> ${width - 1} ? ~b : b | ${top});`,
      `}`,
      `INLINE key from_key(key k) { return (key)(k >> ${width - 1} ? k ^ ${top} : ~k); }`,
    );
  } else {
    const flip = dtypes[dtype].kind === "i" ? `(key)(b ^ ${top})` : "b";
    lines.push(`INLINE key to_key(key b) { return ${flip}; }`, `INLINE key from_key(key b) { return ${flip}; }`);
  }
  return lines.join("\n") + "\n";
}

/**
 * Scratch memory for `cSort`.
 *
 * @param positions whether positions are asked for
 * @returns bytes of scratch memory for one row of `n` on one thread
 */
export function cSortScratch(dtype: DType, positions: boolean, n: number): number {
  const { itemsize } = dtypes[dtype];
  const item = positions ? itemsize === 8 ? 16 : 8 : itemsize;
  return Math.ceil(2 * n * item / 64) * 64;
}

/**
 * The C source that sorts rows of a dtype. Its argument block: addresses of input, output and scratch memory, rows, row length,
 * strides of input and output along the row, threads, bytes of scratch memory for each row at once, rank of the rows; then sizes,
 * input strides and output strides of the rows' axes. Rows are shared out to the threads where there are enough of them; one row is
 * sorted by all of them otherwise.
 *
 * @param positions int64 positions go to the output instead of values
 */
export function cSort(dtype: DType, positions: boolean): string {
  return `/* ${positions ? "argsort" : "sort"} of ${dtype} */
${cTypes}${keyText(dtype)}
typedef ${positions ? "struct { key k; u32 i; }" : "struct { key k; }"} item;
typedef ${positions ? "i64" : "key"} result;
#define POSITIONS ${positions ? 1 : 0}
#define FEW 24
#define MOST ${sortThreads}
${sorting(dtype in infinities, positions)}`;
}

/** The text after the types; `float` where NaN and -0 need care. */
function sorting(float: boolean, positions: boolean): string {
  const special = float && !positions;
  return `typedef struct {
  const key *x;
  result *y;
  i64 n, sx, sy;
  item *a, *b;
  int threads;
} Row;

typedef u32 Counts[2048];

/* Runs statements for each part c of the row, from low up to high. */
#define PARTS(row, ...) \\
  if ((row)->threads == 1) { \\
    const int c = 0; \\
    const i64 low = 0, high = (row)->n; \\
    (void)c, (void)low, (void)high; \\
    __VA_ARGS__ \\
  } else { \\
    const i64 length = ((row)->n + (row)->threads - 1) / (row)->threads; \\
    _Pragma("omp parallel for schedule(static, 1) num_threads((row)->threads)") \\
    for (int c = 0; c < (row)->threads; c++) { \\
      const i64 low = c * length < (row)->n ? c * length : (row)->n; \\
      const i64 high = low + length < (row)->n ? low + length : (row)->n; \\
      __VA_ARGS__ \\
    } \\
  }

static void count(const item *a, i64 low, i64 high, int shift, u32 mask, u32 *counts) {
  for (u32 d = 0; d <= mask; d++) counts[d] = 0;
  for (i64 i = low; i < high; i++) counts[(u32)(a[i].k >> shift) & mask]++;
}

static void move(const item *restrict a, item *restrict b, i64 low, i64 high, int shift, u32 mask, u32 *restrict at) {
  for (i64 i = low; i < high; i++) {
    const item v = a[i];
    b[at[(u32)(v.k >> shift) & mask]++] = v;
  }
}

/* One stable pass over a digit, from a to b, which change places. */
static void pass(Row *row, int shift, int bits, Counts *counts) {
  const u32 mask = (1u << bits) - 1;
  PARTS(row, count(row->a, low, high, shift, mask, counts[c]);)
  u32 sum = 0;
  for (u32 d = 0; d <= mask; d++) {
    const u32 before = sum;
    for (int c = 0; c < row->threads; c++) {
      const u32 own = counts[c][d];
      counts[c][d] = sum;
      sum += own;
    }
    if (sum - before == (u32)row->n) return;
  }
  PARTS(row, move(row->a, row->b, low, high, shift, mask, counts[c]);)
  item *const t = row->a;
  row->a = row->b;
  row->b = t;
}

static void passes(Row *row, int low, int high, int bits, Counts *counts) {
  for (int shift = low; shift < high; shift += bits) {
    pass(row, shift, high - shift < bits ? high - shift : bits, counts);
  }
}

/* Stable insertion; gives up after some moves. */
static int insert(item *a, i64 low, i64 high, i64 budget) {
  for (i64 i = low + 1; i < high; i++) {
    const item v = a[i];
    if (a[i - 1].k <= v.k) continue;
    i64 j = i;
    do {
      a[j] = a[j - 1];
      j--;
    } while (j > low && a[j - 1].k > v.k);
    a[j] = v;
    budget -= i - j;
    if (budget < 0) return 0;
  }
  return 1;
}

/* The next place from i on where the bits above shift change. */
static i64 border(const item *a, i64 i, i64 n, int shift) {
  if (i <= 0) return 0;
  while (i < n && (u64)a[i].k >> shift == (u64)a[i - 1].k >> shift) i++;
  return i;
}

/* Sorts what is sorted but for its lowest bits; tells whether that was little work. */
static int finish(Row *row, int shift, i64 *borders) {
  int done = 1;
  const i64 budget = 4 * (row->n / row->threads) + 64;
  PARTS(row, borders[c] = border(row->a, low, row->n, shift);)
  borders[row->threads] = row->n;
  PARTS(row, {
    if (!insert(row->a, borders[c], borders[c + 1], budget)) __atomic_store_n(&done, 0, __ATOMIC_RELAXED);
  })
  return done;
}

static void order(Row *row, Counts *counts) {
  const i64 n = row->n;
  if (n <= FEW) {
    insert(row->a, 0, n, n * n);
    return;
  }
  int size = 1;
  while (n >> size) size++;
  const int bits = WIDTH <= 16 || n < 16384 ? 8 : 11;
  const int lead = (size + LEAD + 3 + bits - 1) / bits * bits;
  const int from = lead >= WIDTH ? 0 : WIDTH - lead;
  i64 borders[MOST + 1];
  passes(row, from, WIDTH, bits, counts);
  if (from == 0 || finish(row, from, borders)) return;
  passes(row, 0, from, bits, counts);
  passes(row, from, WIDTH, bits, counts);
}
${special ? restoring : ""}
static void sort_row(Row *row, Counts *counts) {
${special ? "  i64 nans = 0, zeros = 0;" : ""}
  PARTS(row, {
    const key *const x = row->x;
    const i64 sx = row->sx;
    item *const a = row->a;
${special ? "    i64 nan = 0, zero = 0;" : ""}
    for (i64 i = low; i < high; i++) {
      const key v = x[i * sx];
      a[i].k = to_key(v);
${positions ? "      a[i].i = (u32)i;" : ""}
${special ? "      nan += IS_NAN(v);\n      zero += v == ZERO;" : ""}
    }
${
    special
      ? `    if (nan) __atomic_fetch_add(&nans, nan, __ATOMIC_RELAXED);
    if (zero) __atomic_fetch_add(&zeros, zero, __ATOMIC_RELAXED);`
      : ""
  }
  })
  order(row, counts);
  PARTS(row, {
    const item *const a = row->a;
    result *const y = row->y;
    const i64 sy = row->sy;
    for (i64 i = low; i < high; i++) y[i * sy] = ${positions ? "a[i].i" : "from_key(a[i].k)"};
  })
${special ? "  if (nans || zeros) restore(row, nans);" : ""}
}

static void sort_rows(const i64 *n, i64 first, i64 end, char *scratch, int threads, Counts *counts) {
  const i64 rank = n[9], *sizes = n + 10, *xs = sizes + rank, *ys = xs + rank;
  for (i64 r = first; r < end; r++) {
    Row row = { (const key *)n[0], (result *)n[1], n[4], n[5], n[6], (item *)scratch, (item *)(scratch + n[8] / 2), threads };
    i64 rest = r;
    for (i64 d = rank - 1; d >= 0; d--) {
      row.x += rest % sizes[d] * xs[d];
      row.y += rest % sizes[d] * ys[d];
      rest /= sizes[d];
    }
    sort_row(&row, counts);
  }
}

void tnp_kernel(const void *block) {
  const i64 *n = (const i64 *)block;
  const i64 rows = n[3];
  const int threads = (int)(n[7] < MOST ? n[7] : MOST);
  if (rows < threads || threads == 1) {
    Counts counts[MOST];
    sort_rows(n, 0, rows, (char *)n[2], threads, counts);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (i64 c = 0; c < threads; c++) {
    Counts counts[1];
    sort_rows(n, c * rows / threads, (c + 1) * rows / threads, (char *)n[2] + c * n[8], 1, counts);
  }
}
`.replace(/^\n/gm, "");
}

/** Equal values that differ in their bits stay as they came: zeros of both signs, and NaNs. */
const restoring = `static void restore(const Row *row, i64 nans) {
  const i64 n = row->n;
  i64 zero = 0, nan = n - nans;
  for (i64 high = n; zero < high;) {
    const i64 middle = zero + (high - zero) / 2;
    if (row->a[middle].k < ZERO) zero = middle + 1;
    else high = middle;
  }
  for (i64 i = 0; i < n; i++) {
    const key v = row->x[i * row->sx];
    if (IS_ZERO(v)) row->y[zero++ * row->sy] = v;
    else if (IS_NAN(v)) row->y[nan++ * row->sy] = v;
  }
}
`;

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
