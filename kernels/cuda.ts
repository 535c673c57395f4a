/**
 * The CUDA dialect: a self-contained source for each variant of a kernel, for NVRTC.
 *
 * A variant is a way to spread the work over threads; the device chooses one for each launch from its sizes (`planReduce`, `planScan`,
 * `planTile`, `vectorWidth`), so most kernels need one compilation.
 * @module
 */
export { planReduce, reduceAligned, type ReducePlan, type ReduceVariant, renderReduce } from "./cuda_reduce.ts";
export { planScan, renderScan, scanAligned, type ScanPlan, type ScanShape, type ScanVariant } from "./cuda_scan.ts";
export { mapUnroll, renderMap, vectorHead, vectorWidth } from "./cuda_map.ts";
export { atomicOf, indexOperands, renderScatter, type ScatterVariant, SERIAL_ROWS } from "./cuda_scatter.ts";
export {
  RADIX_BITS,
  radixPays,
  radixTile,
  renderRadixCount,
  renderRadixMove,
  renderRadixOffsets,
} from "./cuda_radix.ts";
export { renderMatmul, renderSearch, renderSortMerge, renderSortTile, SORT_TILE } from "./cuda_sort.ts";
export { BLOCK, type CudaSource } from "./cuda_text.ts";
export { mayCross, planTile, renderTile, type TilePlan } from "./cuda_tile.ts";

/** Flags that keep NumPy's arithmetic: multiplications and additions are not contracted, so results are the CPU's. */
export const cudaFlags: readonly string[] = ["--std=c++17", "--fmad=false", "--diag-suppress=177,186"];
