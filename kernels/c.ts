/**
 * The C dialect: a self-contained C11 source for each kernel, vectorised by `omp simd` and threaded by OpenMP.
 *
 * A launch is one call, `tnp_kernel(block)`, with the argument block of `blockLayout` (addresses are those of the first element).
 * Sums of floats add blocks of lanes and carry their sums up a binary tree, so their error grows with the logarithm of the length.
 * How a reduction is cut into parts depends on its sizes alone: results do not depend on the number of threads.
 * @module
 */
import { CMap } from "./c_map.ts";
import { CReduce } from "./c_reduce.ts";
import { CScan, CScatter } from "./c_scan.ts";
import type { Kernel } from "./kernel.ts";
import { accExprs } from "./monoid.ts";
import { cLibrary, cPreamble, cTeam, cTypes } from "./preamble/c.ts";
import { simplify } from "./simplify.ts";

const texts = { map: CMap, reduce: CReduce, scan: CScan, scatter: CScatter } as const;

/** Flags that keep NumPy's arithmetic: none changes NaN, rounding or the thread's floating-point state. */
export const cFlags = {
  common: ["-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"],
  openmp: ["-fopenmp"],
  wide: ["-mprefer-vector-width=512"],
} as const;

/** Sources that compile and link where a feature is there. */
export const cProbes = {
  openmp: `#if defined(__clang__) && defined(__linux__)
#error clang brings an OpenMP library of its own, beside the one of oneDNN: two pools on the same processors
#endif
extern int omp_get_max_threads(void);
int tnp_probe(void) {
  int n = 0;
#pragma omp parallel for reduction(+ : n)
  for (int i = 0; i < 64; i++) n += i;
  return n + omp_get_max_threads();
}
`,
  // Processors with these instructions keep their clock with vectors of 512 bits; compilers stop at 256 unless told.
  wide: `#ifndef __AVX512VBMI2__
#error no vectors of 512 bits, or slow ones
#endif
int tnp_probe(int x) { return x + 1; }
`,
} as const;

/** The C source of a kernel. */
export function renderC(kernel: Kernel): string {
  const m = kernel.reduction;
  const epilogue = kernel.epilogue ?? (m === null ? [] : accExprs(m));
  const combine = m?.combine ?? [];
  const roots = simplify([...kernel.body, ...kernel.index, ...epilogue, ...combine]);
  let at = 0;
  const take = (n: number) => roots.slice(at, at += n);
  const k: Kernel = {
    ...kernel,
    body: take(kernel.body.length),
    index: take(kernel.index.length),
    epilogue: m === null ? null : take(epilogue.length),
    reduction: m === null ? null : { ...m, combine: take(combine.length) },
  };
  const text = new texts[k.kind](k).render();
  const preamble = cPreamble(text);
  const title = kernel.comment.replace(/[^\x20-\x7e]|\*\//g, " ");
  const team = text.includes("omp parallel") ? cTeam : "";
  return `/* ${title} */\n${cTypes}${team}${cLibrary(preamble + text)}${preamble}\n${text}`;
}
