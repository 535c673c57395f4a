/**
 * Sorting unsigned numbers by counting digits, in C that needs no particular processor.
 *
 * Where the leading bits alone are likely to tell the numbers apart, only these are counted, and insertion does the rest; it gives up
 * after a number of moves proportional to the length, and all bits are counted then.
 * @module
 */

/**
 * The C text: \`radix_sort(a, b, n, from)\` sorts \`a\`, whose bits below \`from\` are in order already, with as much memory at \`b\`;
 * \`insert(a, n, most)\` sorts by insertion. Both are stable. It needs the types \`item\` (unsigned), \`i64\`, \`u32\`.
 *
 * @param width bits of an item
 * @param lead leading bits that say little, as a float's sign and exponent
 */
export function radixSort(width: number, lead: number): string {
  return `/* Insertion that gives up after some moves. */
static int insert(item *a, i64 n, i64 moves) {
  for (i64 i = 1; i < n; i++) {
    const item v = a[i];
    if (a[i - 1] <= v) continue;
    i64 j = i;
    do {
      a[j] = a[j - 1];
      j--;
    } while (j > 0 && a[j - 1] > v);
    a[j] = v;
    moves -= i - j;
    if (moves < 0) return 0;
  }
  return 1;
}

/* Sorts by the bits from low up to high, all digits counted at once. */
static void count_digits(item *a, item *b, i64 n, int low, int high, int bits) {
  u32 counts[8][2048];
  const int digits = (high - low + bits - 1) / bits;
  const u32 mask = (1u << bits) - 1;
  for (int d = 0; d < digits; d++) __builtin_memset(counts[d], 0, sizeof(u32) << bits);
  for (i64 i = 0; i < n; i++) {
    item v = a[i] >> low;
    for (int d = 0; d < digits; d++, v >>= bits) counts[d][v & mask]++;
  }
  item *restrict from = a, *restrict to = b;
  for (int d = 0; d < digits; d++) {
    const int shift = low + d * bits;
    u32 *const at = counts[d];
    if (at[from[0] >> shift & mask] == (u32)n) continue;
    u32 sum = 0;
    for (u32 digit = 0; digit <= mask; digit++) {
      const u32 count = at[digit];
      at[digit] = sum;
      sum += count;
    }
    for (i64 i = 0; i < n; i++) {
      const item v = from[i];
      to[at[v >> shift & mask]++] = v;
    }
    item *const t = from;
    from = to;
    to = t;
  }
  if (from != a) __builtin_memcpy(a, from, sizeof(item) * (u64)n);
}

static void radix_sort(item *a, item *b, i64 n, int from) {
  if (n <= 24) {
    insert(a, n, n * n);
    return;
  }
  int size = 1;
  while (n >> size) size++;
  const int bits = ${width} - from <= 16 || n < 16384 ? 8 : 11;
  const int lead = (size + ${lead + 3} + bits - 1) / bits * bits;
  const int middle = ${width} - lead > from ? ${width} - lead : from;
  count_digits(a, b, n, middle, ${width}, bits);
  if (middle == from || insert(a, n, 4 * n + 64)) return;
  count_digits(a, b, n, from, middle, bits);
  count_digits(a, b, n, middle, ${width}, bits);
}
`;
}
