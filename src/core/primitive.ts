/**
 * What a primitive is: one record in one place with everything every interpreter needs to know of it.
 *
 * The tape reads `vjp`, `vectorized_map` reads `batch`, evaluation reads `lower`, calling reads `infer`. Constructors by kind
 * (src/prims/kinds.ts) supply what a whole kind has in common, so a record is a few lines.
 * @module
 */
import type { DType, ScalarType } from "../base/dtype.ts";
import type { Expr, ExprBuilder } from "../../kernels/expr.ts";
import type { Monoid, RoutineName, ScatterMode } from "../../kernels/kernel.ts";
import type { Node } from "./trace.ts";

/** What is known of a value before it is computed. */
export interface Aval {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** The kinds of primitives. */
export type Kind = "leaf" | "elementwise" | "move" | "reduce" | "scan" | "index" | "sort" | "random" | "routine";

/** Where a strided array lies: element offset and strides in elements. */
export interface View {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** What `emit` may use besides its sources: the builder, and launch-time numbers that depend on shapes. */
export interface Emitter {
  readonly b: ExprBuilder;
  /** A scalar argument of the kernel whose value is this number in this launch (a size, a count); never baked into the text. */
  scalar(dtype: ScalarType, value: number | bigint | boolean): Expr;
}

/** A value inside a kernel: one expression, or re and im. */
export type Value = readonly [Expr] | readonly [Expr, Expr];

/** How a primitive becomes kernels or library calls. */
export type Lowering<P> =
  /** A pointwise function of broadcast inputs; fuses with anything. */
  | { readonly as: "map"; emit(e: Emitter, src: readonly Value[], params: P, out: Aval, ins: readonly Aval[]): Value }
  /** A leaf whose value is a number of the launch. */
  | {
    readonly as: "scalar";
    value(params: P): number | bigint | boolean | { readonly re: number; readonly im: number };
  }
  /** A leaf whose value is an element offset: `view` tells its virtual strides. */
  | { readonly as: "iota"; view(params: P, out: Aval): View }
  /** A reindexing of its one input; null where strides cannot say it and the input must be made contiguous first. */
  | { readonly as: "view"; view(input: View, params: P): View | null }
  /** Inputs copied into regions of the output (concatenate; pad, whose rest is zero). */
  | {
    readonly as: "assemble";
    /** Whether some of the output is covered by no input and must be zero. */
    zero(params: P): boolean;
    /** The region of the output's view that input `i` fills. */
    region(output: View, i: number, params: P, ins: readonly Aval[]): View;
  }
  /** A reduction of input 0 over `axes`; the kept axes stay in order. */
  | {
    readonly as: "reduce";
    axes(params: P): readonly number[];
    monoid(b: ExprBuilder, input: Aval, out: Aval): Monoid;
    /** The values fed to the monoid at a point (argmax also takes the position along the reduced axes, row-major, as int64). */
    feed(e: Emitter, x: Value, position: Expr, input: Aval, out: Aval): readonly Expr[];
    /** The result from the running values. */
    finish(e: Emitter, acc: readonly Expr[], input: Aval, out: Aval): Value;
    /** Whether `position` is used. */
    readonly positional: boolean;
  }
  /** An inclusive running reduction of input 0 along one axis. */
  | {
    readonly as: "scan";
    axis(params: P): number;
    reverse(params: P): boolean;
    monoid(b: ExprBuilder, input: Aval, out: Aval): Monoid;
  }
  /** `out[i.., r..] = x[r.. with axes[k] at indices[k][i..]]`: input 0 is x, the rest are indices (int64, one common shape, any sign; wrapped and clamped by the kernel). */
  | { readonly as: "gather"; axes(params: P): readonly number[] }
  /** A copy of input 0 with input 1 (shape: indices' shape, then x's other axes) combined in at the indices (inputs 2..). */
  | { readonly as: "scatter"; axes(params: P): readonly number[]; mode(params: P): ScatterMode }
  /** A library's work on stored arrays. */
  | {
    readonly as: "routine";
    readonly name: RoutineName;
    params(params: P, ins: readonly Aval[], out: Aval): Readonly<Record<string, number | string | boolean>>;
    /** Whether pointwise consumers may ride along. */
    readonly epilogue: boolean;
  };

/** What a vjp rule is given. */
export interface VjpContext<P> {
  readonly inputs: readonly Node[];
  readonly output: Node;
  readonly params: P;
  /** Which inputs' gradients are wanted. */
  readonly needs: readonly boolean[];
}

/** An input under `vectorized_map`: if `batched`, its axis 0 is the mapped one. */
export interface BatchArg {
  readonly node: Node;
  readonly batched: boolean;
}

/**
 * A primitive.
 *
 * `vjp` gives one cotangent an input (null: none flows), each of the input's shape or of the broadcast output's shape (the tape sums
 * broadcast axes back). For complex values the tape follows TensorFlow: the cotangent of a holomorphic f is g * conj(f').
 * `vjp: null` stops gradients (integers, comparisons, indices). Rules call src/core/ops.ts, so they are differentiable again.
 */
export interface Primitive<P = unknown> {
  readonly name: string;
  readonly kind: Kind;
  /** Checks and gives shape and dtype. @throws at the call, in the name of the primitive */
  infer(ins: readonly Aval[], params: P): Aval;
  readonly vjp: ((g: Node, ctx: VjpContext<P>) => readonly (Node | null)[]) | null;
  /** The same function with a leading mapped axis of `size` on the batched inputs; its result has it too. */
  batch(args: readonly BatchArg[], params: P, size: number): Node;
  readonly lower: Lowering<P>;
}
