/**
 * Products with a vector as sums: libraries take as long for them as for small matrices, where a reduction reads at memory speed and fuses
 * with what comes before and after.
 * @module
 */
import { type DType, isInexact } from "../base/dtype.ts";
import type { Aval } from "../core/primitive.ts";
import type { PrimitiveName, PrimitiveParams } from "../core/registry.ts";

/** Multiplications from which on a matrix times a vector of floats is a sum; below, a library's call costs less. */
const LARGE = 2 ** 17;
/** Elements of rows from which on they are summed one by one as fast as memory gives them. */
const LONG = 128;

/** Types that libraries multiply in. */
const inLibraries = new Set<DType>(["float32", "float64", "complex64", "complex128"]);

/** Whether a product `[.., m, k] @ [.., k, n]` is better a sum. */
export function isDot({ shape, dtype }: Aval, k: number): boolean {
  const m = shape.at(-2)!, n = shape.at(-1)!;
  if (k === 0 || dtype === "bool" || m !== 1 && n !== 1) return false;
  if (m === 1 && n === 1 || !inLibraries.has(dtype)) return true;
  return m * n * k >= LARGE && (m === 1 || k >= LONG);
}

/** Makes a node with the given inputs. */
type Make<G> = <N extends PrimitiveName>(name: N, ins: readonly G[], params: PrimitiveParams[N]) => G;

/** A product with a vector as a sum of products; half precisions are multiplied and summed in float32. */
export function asSum<G extends Aval>(make: Make<G>, product: Aval, x: G, y: G): G {
  const { shape, dtype } = product,
    batch = shape.slice(0, -2),
    m = shape.at(-2)!,
    n = shape.at(-1)!,
    k = x.shape.at(-1)!;
  const work: DType = isInexact(dtype) && !inLibraries.has(dtype) ? "float32" : dtype;
  // The vector's axis comes where the matrix has it: [.., m, k] with [.., 1, k], or [.., k, n] with [.., k, 1].
  const space = n === 1 ? [...batch, m, k] : [...batch, k, n];
  const spread = (a: G, swap: boolean): G => {
    const rank = a.shape.length, perm = a.shape.map((_, d) => d);
    const turned = swap ? make("transpose", [a], { perm: [...perm.slice(0, -2), rank - 1, rank - 2] }) : a;
    const cast = work === dtype ? turned : make("cast", [turned], { dtype: work });
    return make("broadcast", [cast], { shape: space });
  };
  const terms = make("mul", [spread(x, n !== 1), spread(y, n === 1)], null);
  const sum = make("sum", [terms], { axes: [n === 1 ? space.length - 1 : space.length - 2] });
  return make("reshape", [work === dtype ? sum : make("cast", [sum], { dtype })], { shape });
}
