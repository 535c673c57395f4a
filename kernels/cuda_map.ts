/**
 * Elementwise kernels in CUDA: grid-stride loops, and vectors of up to 16 bytes where everything is contiguous.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import { cMemory } from "./c_ops.ts";
import { nativeWeight } from "./cost.ts";
import { type CudaSource, CudaText, range } from "./cuda_text.ts";
import type { Kernel } from "./kernel.ts";

/**
 * Elements a thread takes at once in the vector variant of a map kernel; 1 where it has none. Addresses of contiguous arrays must then
 * be multiples of that many elements.
 */
export function vectorWidth(kernel: Kernel): number {
  if (kernel.kind !== "map" || kernel.rank !== 1) return 1;
  if (kernel.operands.some((o) => o.gathered > 0 || o.access === "strided" && !o.virtual)) return 1;
  if (kernel.outputs.some((o) => o.access !== "unit")) return 1;
  const bytes = (o: { readonly dtype: ScalarType; readonly components: number }) =>
    dtypes[o.dtype].itemsize * o.components;
  const arrays = kernel.operands.filter((o) => !o.virtual && o.access === "unit");
  const widest = Math.max(...arrays.map(bytes), ...kernel.outputs.map(bytes));
  return Math.max(1, Math.min(16 / widest, nativeWeight(kernel) > 40 ? 4 : 8));
}

/** The text of a map kernel; with `width` above 1 its vector variant. */
export function renderMap(kernel: Kernel, wide: boolean, width: number): CudaSource {
  const t = new CudaText(kernel, wide), { out, k } = t;
  const loops = range(0, k.rank);
  t.extra("count");
  if (width === 1) t.divisors(loops);
  const element = () => {
    t.decompose(loops, "i");
    const at = t.places("o", loops, "both");
    t.store(k.body, t.emitter.emit(k.body, { operand: at.operand }), at.output);
  };
  return t.source(() => {
    out.line("const ix count = (ix)a.count;");
    out.line("const ix first = (ix)blockIdx.x * blockDim.x + threadIdx.x, step = (ix)gridDim.x * blockDim.x;");
    if (width === 1) {
      out.open("for (ix i = first; i < count; i += step) {");
      element();
      return out.close();
    }
    const type = (dtype: ScalarType, components: number) =>
      `struct alignas(${dtypes[dtype].itemsize * components * width}) ` +
      `{ ${cMemory[dtype]} v[${components * width}]; }`;
    k.operands.forEach((o, j) => {
      if (!o.virtual && o.access === "unit") out.line(`typedef ${type(o.dtype, o.components)} X${j};`);
    });
    k.outputs.forEach((o, j) => out.line(`typedef ${type(o.dtype, o.components)} Y${j};`));
    out.open(`for (ix b = first; b < count / ${width}; b += step) {`);
    k.operands.forEach((o, j) => {
      if (!o.virtual && o.access === "unit") out.line(`const X${j} v${j} = ((const X${j} *)a.x${j})[b];`);
    });
    k.outputs.forEach((_, j) => out.line(`Y${j} w${j};`));
    out.line("#pragma unroll");
    out.open(`for (int j = 0; j < ${width}; j++) {`);
    out.line(`const ix i0 = b * ${width} + j;`);
    t.vectors(width, () => {
      const texts = t.emitter.emit(k.body, { operand: (o) => t.offset(t.operands[o]!, loops) });
      let v = 0;
      k.outputs.forEach((o, j) => {
        for (let c = 0; c < o.components; c++, v++) {
          out.line(`w${j}.v[${o.components} * j + ${c}] = ${t.bits(o.dtype, k.body[v]!.dtype, texts[v]!)};`);
        }
      });
    });
    out.close();
    k.outputs.forEach((_, j) => out.line(`((Y${j} *)a.y${j})[b] = w${j};`));
    out.close();
    out.open(`for (ix i = count / ${width} * ${width} + first; i < count; i += step) {`);
    element();
    out.close();
  });
}
