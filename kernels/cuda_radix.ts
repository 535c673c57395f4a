/**
 * Stable radix sort of long rows in CUDA: 8 bits a pass, from the lowest. A row is cut into chunks of a block each.
 *
 * - `count`: how often each digit occurs in each chunk.
 * - `offsets`: a warp for each digit of each row sums its counts over the chunks before, and over all of them.
 * - `move`: a block takes its chunk tile by tile. Threads of a warp that hold the same digit find each other by votes, which gives every
 *   element its rank among equals; the tile is put in order in shared memory and leaves it in runs.
 *
 * Elements stay as they are in memory, and their keys are made when they are looked at: equal values that differ in their bits, -0 and 0
 * or NaNs, keep their order like any others.
 * @module
 */
import { type DType, dtypeInfo } from "../src/base/dtype.ts";
import { staticSource } from "./cuda_sort.ts";
import type { CudaSource } from "./cuda_text.ts";

const THREADS = 256;
const WARPS = THREADS / 32;
/** Values of a digit. */
const DIGITS = 256;
/** Bits of a digit: a pass of the sort each. */
export const RADIX_BITS = 8;

/** Elements of a thread in a tile. */
const items = (dtype: DType) => dtypeInfo(dtype).itemsize === 8 ? 8 : 16;
/** Elements that a block moves at once; chunks are multiples of it. */
export const radixTile = (dtype: DType): number => THREADS * items(dtype);

/** Length of rows from which on counting is faster than merging. */
export function radixPays(dtype: DType, n: number): boolean {
  const { itemsize, components } = dtypeInfo(dtype);
  return components === 1 && n > 2048 * itemsize;
}

/** Bits of infinity, by dtype: what is above them is NaN. */
const infinities: Readonly<Partial<Record<DType, string>>> = {
  float16: "0x7c00u",
  bfloat16: "0x7f80u",
  float32: "0x7f800000u",
  float64: "0x7ff0000000000000ull",
};

/** The element as bits, and the digit of its key: equal for values that NumPy takes for equal, NaN the largest. */
function keyText(dtype: DType): string {
  const { itemsize, kind } = dtypeInfo(dtype), width = 8 * itemsize;
  const K = itemsize === 8 ? "u64" : "u32", top = itemsize === 8 ? "0x8000000000000000ull" : `${2 ** (width - 1)}u`;
  const infinity = infinities[dtype];
  const lines = infinity === undefined
    ? [`  return ${kind === "i" ? `(${K})b ^ ${top}` : kind === "b" ? "b != 0" : "b"};`]
    : [
      `  const ${K} m = b & ${itemsize === 8 ? `~${top}` : `${2 ** (width - 1) - 1}u`};`,
      `  if (m > ${infinity}) return ~(${K})0;`,
      `  if (m == 0) return ${top};`,
      `  return b & ${top} ? ~(${K})b : b | ${top};`,
    ];
  return `typedef u${width} T;
INLINE ${K} key_of(T b) {
${lines.join("\n")}
}
INLINE u32 digit_of(T b, int shift) { return (u32)(key_of(b) >> shift) & ${DIGITS - 1}; }
`;
}

/** The chunk of a row that a block is at: `first` to `end` in the row at `row * n`. */
const chunks = `  for (i64 g = blockIdx.x; g < a.rows * a.chunks; g += gridDim.x) {
    const i64 row = g / a.chunks, chunk = g - row * a.chunks;
    const i64 first = chunk * a.length, end = first + a.length < a.n ? first + a.length : a.n;
    const T *x = a.x + row * a.n;
`;
const common = [["i64 ", "n"], ["i64 ", "rows"], ["i64 ", "chunks"], ["i64 ", "length"], ["i64 ", "shift"]] as const;

/** Counts the digits of each chunk. */
export function renderRadixCount(dtype: DType): CudaSource {
  return staticSource(
    `count digits of ${dtype}`,
    keyText(dtype),
    [...common, ["const T *", "x"], ["u32 *", "counts"]],
    `  __shared__ u32 bins[${WARPS}][${DIGITS}];
  const int warp = threadIdx.x >> 5, shift = (int)a.shift;
${chunks}    for (int w = 0; w < ${WARPS}; w++) bins[w][threadIdx.x] = 0;
    __syncthreads();
    for (i64 i = first + threadIdx.x; i < end; i += ${THREADS * 8}) {
      T v[8];
      #pragma unroll
      for (int u = 0; u < 8; u++) v[u] = i + u * ${THREADS} < end ? x[i + u * ${THREADS}] : (T)0;
      #pragma unroll
      for (int u = 0; u < 8; u++) {
        if (i + u * ${THREADS} < end) atomicAdd(&bins[warp][digit_of(v[u], shift)], 1u);
      }
    }
    __syncthreads();
    u32 sum = 0;
    for (int w = 0; w < ${WARPS}; w++) sum += bins[w][threadIdx.x];
    a.counts[(row * ${DIGITS} + threadIdx.x) * a.chunks + chunk] = sum;
    __syncthreads();
  }`,
  );
}

/** Turns the counts of a digit into those of the chunks before, and keeps their sum. */
export function renderRadixOffsets(): CudaSource {
  return staticSource(
    "offsets of digits",
    "",
    [["i64 ", "rows"], ["i64 ", "chunks"], ["u32 *", "counts"], ["u32 *", "totals"]],
    `  const int lane = threadIdx.x & 31;
  const i64 step = (i64)gridDim.x * ${WARPS};
  for (i64 w = (i64)blockIdx.x * ${WARPS} + (threadIdx.x >> 5); w < a.rows * ${DIGITS}; w += step) {
    u32 *counts = a.counts + w * a.chunks, before = 0;
    for (i64 c = 0; c < a.chunks; c += 32) {
      const u32 own = c + lane < a.chunks ? counts[c + lane] : 0;
      u32 sum = own;
      for (int d = 1; d < 32; d *= 2) {
        const u32 up = shuffle_up(sum, d);
        if (lane >= d) sum += up;
      }
      if (c + lane < a.chunks) counts[c + lane] = before + sum - own;
      before += __shfl_sync(0xffffffffu, sum, 31);
    }
    if (lane == 0) a.totals[w] = before;
  }`,
  );
}

/** Moves the elements of each chunk to where their digits belong; with their positions if these are wanted. */
export function renderRadixMove(dtype: DType, positions: boolean): CudaSource {
  const each = items(dtype), tile = radixTile(dtype);
  const only = (text: string) => positions ? text : "";
  return staticSource(
    `move ${dtype}${positions ? " with positions" : ""} by digit`,
    `${keyText(dtype)}
// The sum over the threads before this one.
INLINE u32 before_me(u32 own, u32 *sums) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
  u32 sum = own;
  for (int d = 1; d < 32; d *= 2) {
    const u32 up = shuffle_up(sum, d);
    if (lane >= d) sum += up;
  }
  if (lane == 31) sums[warp] = sum;
  __syncthreads();
  sum -= own;
  for (int w = 0; w < warp; w++) sum += sums[w];
  __syncthreads();
  return sum;
}
`,
    [
      ...common,
      ["const T *", "x"],
      ["T *", "y"],
      ...(positions ? [["const u32 *", "from"], ["u32 *", "to"]] as const : []),
      ["const u32 *", "counts"],
      ["const u32 *", "totals"],
    ],
    `  __shared__ T values[${tile}];
${
      only(`  __shared__ u32 places[${tile}];\n`)
    }  __shared__ u32 seen[${WARPS}][${DIGITS}], start[${DIGITS}], sums[${WARPS}];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, shift = (int)a.shift;
${chunks}    T *y = a.y + row * a.n;
${
      only(`    const u32 *from = a.from + row * a.n;
    u32 *to = a.to + row * a.n;
`)
    }    // Each thread looks after one digit: where its next element goes in the row.
    const i64 own = row * ${DIGITS} + threadIdx.x;
    u32 next = before_me(a.totals[own], sums) + a.counts[own * a.chunks + chunk];
    for (i64 tile = first; tile < end; tile += ${tile}) {
      const int count = (int)(end - tile < ${tile} ? end - tile : ${tile});
      for (int w = 0; w < ${WARPS}; w++) seen[w][threadIdx.x] = 0;
      // A warp takes neighbours; what lies past the end comes last, as it has the last digit.
      T v[${each}];
      u32 rank[${each}];
      const int low = warp * ${32 * each} + lane;
      #pragma unroll
      for (int u = 0; u < ${each}; u++) v[u] = low + u * 32 < count ? x[tile + low + u * 32] : (T)0;
      __syncthreads();
      #pragma unroll
      for (int u = 0; u < ${each}; u++) {
        const u32 digit = low + u * 32 < count ? digit_of(v[u], shift) : ${DIGITS - 1};
        u32 same = 0xffffffffu;
        #pragma unroll
        for (int bit = 0; bit < ${RADIX_BITS}; bit++) {
          const bool set = digit >> bit & 1;
          const u32 votes = __ballot_sync(0xffffffffu, set);
          same &= set ? votes : ~votes;
        }
        const u32 before = __popc(same & ((1u << lane) - 1));
        rank[u] = seen[warp][digit] + before;
        __syncwarp();
        if (before == 0) seen[warp][digit] += __popc(same);
        __syncwarp();
      }
      __syncthreads();
      u32 sum = 0;
      for (int w = 0; w < ${WARPS}; w++) {
        const u32 warps = seen[w][threadIdx.x];
        seen[w][threadIdx.x] = sum;
        sum += warps;
      }
      const u32 at = before_me(sum, sums);
      for (int w = 0; w < ${WARPS}; w++) seen[w][threadIdx.x] += at;
      start[threadIdx.x] = next - at;
      next += sum;
      __syncthreads();
      #pragma unroll
      for (int u = 0; u < ${each}; u++) {
        const u32 digit = low + u * 32 < count ? digit_of(v[u], shift) : ${DIGITS - 1};
        const u32 local = seen[warp][digit] + rank[u];
        values[local] = v[u];
${
      only(
        `        if (low + u * 32 < count) places[local] = a.from ? from[tile + low + u * 32] : (u32)tile + low + u * 32;\n`,
      )
    }      }
      __syncthreads();
      for (int i = threadIdx.x; i < count; i += ${THREADS}) {
        const T value = values[i];
        const i64 place = start[digit_of(value, shift)] + (u32)i;
        if (a.y) y[place] = value;
${only("        to[place] = places[i];\n")}      }
      __syncthreads();
    }
  }`,
  );
}
