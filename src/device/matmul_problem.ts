/**
 * A matrix product reduced to what libraries take: row-major or transposed matrices with leading strides, and few batch axes.
 * @module
 */
import { collapse } from "../base/shape.ts";
import type { ArrayArg } from "./device.ts";

/** A matrix of a stack; offset and strides in elements. */
export interface Matrix {
  readonly arg: ArrayArg;
  readonly row: number;
  readonly column: number;
}

/** One product. */
export interface Problem {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly out: Matrix;
  /** Batch axes, merged where all operands allow it. */
  readonly batch: readonly number[];
  /** Strides on these axes of a, b, out, then of each further operand; 0 repeats. */
  readonly steps: readonly (readonly number[])[];
  /** Multiplications in all. */
  readonly work: number;
}

/** A product that a library is ready to do. */
export interface Product {
  /** Whether the epilogue is done along the way. */
  readonly fused: boolean;
  /** Does it on the memory that the arrays of its call have now. */
  run(): void;
  /** Whether it may still be run. */
  valid(): boolean;
}

/** A matrix's strides on the axes of a batch; axes it lacks or that have length 1 repeat. */
function batchStrides(arg: ArrayArg, rank: number): number[] {
  const shape = arg.shape!, skip = rank - (shape.length - 2);
  const out = new Array<number>(rank).fill(0);
  for (let i = skip; i < rank; i++) if (shape[i - skip] !== 1) out[i] = arg.strides[i - skip]!;
  return out;
}

const matrix = (arg: ArrayArg): Matrix => ({ arg, row: arg.strides.at(-2)!, column: arg.strides.at(-1)! });

/**
 * The product of a call.
 *
 * @param a `[batch.., m, k]` with any strides; likewise b `[batch.., k, n]` and out `[batch.., m, n]`
 * @param further strides, over out's axes, of operands that are visited along with out
 */
export function problemOf(
  a: ArrayArg,
  b: ArrayArg,
  out: ArrayArg,
  further: readonly (readonly number[])[] = [],
): Problem {
  const shape = out.shape!, rank = shape.length - 2;
  let m = shape[rank]!;
  const n = shape[rank + 1]!, k = a.shape!.at(-1)!;
  let { shape: batch, strides: steps } = collapse(shape.slice(0, -2), [
    batchStrides(a, rank),
    batchStrides(b, rank),
    batchStrides(out, rank),
    ...further.map((strides) => strides.slice(0, rank)),
  ]);
  // One b for a dense stack of a: more rows of one product.
  if (batch.length === 1 && steps[1]![0] === 0) {
    const rows = [a.strides.at(-2)!, 0, out.strides.at(-2)!, ...further.map((strides) => strides[rank]!)];
    if (steps.every((step, i) => i === 1 || step[0] === rows[i]! * m)) {
      m *= batch[0]!;
      batch = [];
      steps = steps.map(() => []);
    }
  }
  const work = batch.reduce((x, y) => x * y, m * n * k);
  return { m, n, k, a: matrix(a), b: matrix(b), out: matrix(out), batch, steps, work };
}

/** How a library takes a matrix: as it lies or transposed, and the stride from one stored row to the next. */
export interface Layout {
  readonly transposed: boolean;
  readonly lead: number;
}

/** The layout of a matrix of a size with these strides; null where it has none. */
export function layoutOf(
  { row, column }: Pick<Matrix, "row" | "column">,
  rows: number,
  columns: number,
): Layout | null {
  if ((column === 1 || columns === 1) && (rows === 1 || row >= columns)) {
    return { transposed: false, lead: rows === 1 ? Math.max(1, columns) : row };
  }
  if ((row === 1 || rows === 1) && (columns === 1 || column >= rows)) {
    return { transposed: true, lead: columns === 1 ? Math.max(1, rows) : column };
  }
  return null;
}

/** Visits a batch with the offsets of a, b, out, and what follows. */
export function forEachBatch(
  batch: readonly number[],
  steps: readonly (readonly number[])[],
  visit: (offsets: readonly number[]) => void,
): void {
  const offsets = steps.map(() => 0), index = batch.map(() => 0);
  const total = batch.reduce((x, y) => x * y, 1);
  for (let i = 0; i < total; i++) {
    visit(offsets);
    for (let d = batch.length - 1; d >= 0; d--) {
      const wrap = ++index[d]! === batch[d];
      for (let s = 0; s < steps.length; s++) offsets[s]! += steps[s]![d]! * (wrap ? 1 - batch[d]! : 1);
      if (!wrap) break;
      index[d] = 0;
    }
  }
}
