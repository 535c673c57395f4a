/**
 * The one contract between the graph and the devices: a `Kernel` is everything that can be generated, a `Routine` is
 * everything a library does. The graph produces them, a device consumes them; neither knows more of the other.
 *
 * A kernel says nothing of sizes, strides, addresses or user numbers: those come with each launch, so one compiled kernel
 * serves all shapes of its layout class.
 * @module
 */
import type { ScalarType } from "../src/base/dtype.ts";
import type { Expr } from "./expr.ts";

/** How an operand moves along the innermost loop: by one element, not at all, or by a stride known at launch. */
export type Access = "unit" | "single" | "strided";

/** One array a kernel reads. Strides are in elements (a complex element is two scalars). */
export interface Operand {
  readonly dtype: ScalarType;
  /** Scalars an element takes: 2 for complex. */
  readonly components: 1 | 2;
  readonly access: Access;
  /** No memory behind it: only its element offset is used, by `iota`. */
  readonly virtual: boolean;
  /** Number of extra axes addressed by the indices of `gather`; 0 for plain loads. */
  readonly gathered: number;
}

/** One array a kernel writes. */
export interface Output {
  readonly dtype: ScalarType;
  readonly components: 1 | 2;
  readonly access: Access;
}

/** Reductions every dialect may special-case; the meaning is always in `combine`. */
export type MonoidName = "sum" | "prod" | "min" | "max" | "any" | "all" | "argmin" | "argmax" | "complexprod" | "other";

/**
 * An associative combination of running values `acc(i)` with incoming values `val(i)` of the same dtypes.
 * Two partial results are merged by the same expression, with the later one as the incoming values.
 */
export interface Monoid {
  readonly name: MonoidName;
  readonly dtypes: readonly ScalarType[];
  /** The neutral element of each value. */
  readonly init: readonly (number | bigint | boolean)[];
  /** The new running values, over `acc` and `val`. */
  readonly combine: readonly Expr[];
}

/** How a scatter meets what is already there. */
export type ScatterMode = "set" | "add" | "min" | "max" | "multiply";

/**
 * A generated kernel.
 *
 * - `map`: `outputs[i]` at each point = its components in `body`, outputs in order (a complex output takes two).
 * - `reduce`: the innermost `reduced` loops feed `body` to `reduction`; outputs at each kept point = `epilogue` over `acc`.
 * - `scan`: the innermost loop feeds `body` to `reduction`; the running values after each step are stored.
 * - `scatter`: `outputs[0]` at the address of the point plus the `index` (one per scattered axis) is combined with `body`, in
 *   the order of the iteration space (so that the last of equal indices wins in mode `set`, as in NumPy).
 *
 * The iteration space has `rank` loops, outermost first, axes already collapsed where every operand allows it; rank is at least 1.
 */
export interface Kernel {
  /** Equal for kernels that compile to the same text: the key of every cache. */
  readonly key: string;
  readonly kind: "map" | "reduce" | "scan" | "scatter";
  readonly rank: number;
  /** How many of the innermost loops are reduced (reduce) or scanned (scan: 1); else 0. */
  readonly reduced: number;
  /**
   * Which loop moves fastest through memory, the one the `access` of operands is about: the last loop, or, for a reduction
   * over outer axes, the last kept loop (`rank - reduced - 1`).
   */
  readonly inner: "last" | "kept";
  readonly operands: readonly Operand[];
  /** Dtypes of the scalar arguments. */
  readonly scalars: readonly ScalarType[];
  readonly body: readonly Expr[];
  readonly reduction: Monoid | null;
  /** Over `acc`, and loads of operands at the kept point; null outside reductions. */
  readonly epilogue: readonly Expr[] | null;
  readonly index: readonly Expr[];
  readonly mode: ScatterMode | null;
  /** Exactly one for scatter. For a scatter the output has `index.length` extra strides, like a gathered operand. */
  readonly outputs: readonly Output[];
  /** Whether element offsets may exceed 2^31 - 1. */
  readonly wide: boolean;
  /** The NumPy-like expression it computes, for comments in generated text and for debugging. */
  readonly comment: string;
}

/** Names of library routines. Each is one entry in the table of every device that offers it. */
export type RoutineName = "matmul" | "sort" | "argsort" | "searchsorted";

/** Work done on a library's result before it is stored: expressions over `acc` (its components) and loads at each result point. */
export interface Epilogue {
  readonly operands: readonly Operand[];
  readonly scalars: readonly ScalarType[];
  readonly body: readonly Expr[];
  readonly output: Output;
}

/** A library's work. Operands are strided arrays (see `ArrayArg`); what each routine takes is said in its entry. */
export interface Routine {
  readonly key: string;
  readonly name: RoutineName;
  /** Element dtypes, by NumPy name incl. complex, of inputs then output. */
  readonly dtypes: readonly string[];
  readonly params: Readonly<Record<string, number | string | boolean>>;
  readonly epilogue: Epilogue | null;
  readonly comment: string;
}

/**
 * Where the numbers of a launch lie in its argument block, in slots of 8 bytes. The same order holds for every dialect:
 * sizes; for each operand its address (a virtual one: its first offset) then `rank + gathered` strides; for each output its
 * address then `rank + index.length` strides; then the scalars (floating ones as float64, others as (u)int64).
 * A gathered operand and a scattered output keep, after those strides, nothing more: bounds are part of the index expressions.
 */
export interface BlockLayout {
  readonly sizes: number;
  readonly operands: readonly { readonly address: number; readonly strides: number }[];
  readonly outputs: readonly { readonly address: number; readonly strides: number }[];
  readonly scalars: number;
  /** Slots in all. */
  readonly length: number;
}

/** The argument block of a kernel. */
export function blockLayout(kernel: Kernel): BlockLayout {
  let at = kernel.rank;
  const place = (strides: number) => {
    const slot = { address: at, strides: at + 1 };
    at += 1 + strides;
    return slot;
  };
  const operands = kernel.operands.map((o) => place(kernel.rank + o.gathered));
  const outputs = kernel.outputs.map(() => place(kernel.rank + kernel.index.length));
  const scalars = at;
  return { sizes: 0, operands, outputs, scalars, length: at + kernel.scalars.length };
}

/** A text equal for equal expressions, with shared parts named once; the body of a kernel's key. */
export function exprKey(roots: readonly Expr[]): string {
  const names = new Map<Expr, number>();
  const lines: string[] = [];
  const visit = (e: Expr): number => {
    let n = names.get(e);
    if (n === undefined) {
      const src = e.src.map(visit);
      n = names.size;
      names.set(e, n);
      const a = e.arg;
      const arg = a === null
        ? ""
        : typeof a === "object"
        ? `${a.operand}.${a.component}`
        : Object.is(a, -0)
        ? "-0"
        : `${a}${typeof a === "bigint" ? "n" : ""}`;
      lines.push(`${e.op}:${e.dtype}(${src.join(",")})${arg}`);
    }
    return n;
  };
  const out = roots.map(visit);
  return `${lines.join(";")}>${out.join(",")}`;
}

/** The key of a kernel from its other fields. */
export function kernelKey(k: Omit<Kernel, "key" | "comment">): string {
  const array = (o: Operand | Output) =>
    `${o.dtype}${o.components}${o.access.slice(0, 2)}${
      "virtual" in o ? `${o.virtual ? "v" : ""}${o.gathered || ""}` : ""
    }`;
  const all = [...k.body, ...k.index, ...(k.epilogue ?? [])];
  const monoid = k.reduction
    ? `${k.reduction.name}:${k.reduction.init.map(String)}:${exprKey(k.reduction.combine)}`
    : "";
  return [
    k.kind,
    k.rank,
    k.reduced,
    k.inner,
    k.wide ? 64 : 32,
    k.mode ?? "",
    k.operands.map(array).join("+"),
    k.scalars.join("+"),
    k.outputs.map(array).join("+"),
    `${k.body.length}.${k.index.length}`,
    monoid,
    exprKey(all),
  ].join("|");
}
