/**
 * What a primitive is: one record in one place with everything every interpreter needs to know of it; and `Node`, its result.
 *
 * The tape reads `vjp`, `vectorized_map` reads `batch`, evaluation reads `lower`, calling reads `infer`. Constructors by kind
 * (src/prims/kinds.ts) supply what a whole kind has in common, so a record is a few lines.
 * @module
 */
import { type DType, dtypes, type ScalarType } from "../base/dtype.ts";
import { DisposedError } from "../base/errors.ts";
import type { Buffer, Device } from "../device/device.ts";
import type { Expr, ExprBuilder } from "../../kernels/expr.ts";
import type { Monoid, RoutineName, ScatterMode } from "../../kernels/kernel.ts";

/** What is known of a value before it is computed. */
export interface Aval {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The dtype's number, where that was looked up. */
  readonly code?: number;
}

/** The kinds of primitives. */
export type Kind =
  | "leaf"
  | "elementwise"
  | "move"
  | "reduce"
  | "scan"
  | "index"
  | "sort"
  | "random"
  | "routine"
  | "control";

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
  }
  /** Control flow (src/transform/several.ts): several results, computed by the host, which runs plans of its own. */
  | {
    readonly as: "control";
    /** What its results are. */
    results(params: P): readonly Aval[];
    /** Computes the results: finished nodes, from finished nodes. */
    run(inputs: readonly Node[], params: P): readonly Node[];
    /** The parameters for a run that a tape follows: with more results at the end, which the gradient needs. */
    watched(params: P): P;
  }
  /** One of several results. */
  | { readonly as: "pick" };

/** What a vjp rule is given. */
export interface VjpContext<P> {
  readonly inputs: readonly Node[];
  readonly output: Node;
  readonly params: P;
  /** Which inputs' gradients are wanted. */
  readonly needs: readonly boolean[];
  /** Of a primitive with several results: one cotangent a result, null where none flows. */
  readonly cotangents?: readonly (Node | null)[];
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
  /** Its number in the keys of plans. */
  readonly id: number;
  readonly name: string;
  readonly kind: Kind;
  /** Checks and gives shape and dtype. @throws at the call, in the name of the primitive */
  infer(ins: readonly Aval[], params: P): Aval;
  readonly vjp: ((g: Node, ctx: VjpContext<P>) => readonly (Node | null)[]) | null;
  /** The same function with a leading mapped axis of `size` on the batched inputs; its result has it too. */
  batch(args: readonly BatchArg[], params: P, size: number): Node;
  readonly lower: Lowering<P>;
}

let ids = 0;

/** The number of another primitive. */
export function newId(): number {
  return ids++;
}

/** A buffer shared by the finished nodes that look into it. */
export class Storage {
  readonly buffer: Buffer;
  #holders = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  hold(): this {
    this.#holders++;
    return this;
  }

  drop(): void {
    if (--this.#holders === 0) this.buffer.release();
  }
}

/**
 * One run of a user's function on placeholders (src/transform/tracing.ts). Nodes that belong to it have no value of their own: they are
 * replayed by an interpreter.
 */
export interface Trace {
  /** How many traces it lies in, itself included. */
  readonly level: number;
  /** Whether the function still runs; its nodes mean nothing afterwards. */
  readonly open: boolean;
}

/** A value in the graph. */
export class Node implements Aval {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly code: number;
  readonly size: number;
  readonly device: Device;
  /** Depends on a placeholder or belongs to a trace: has no value of its own. */
  readonly symbolic: boolean;
  /** The innermost trace it belongs to; null outside all of them. */
  trace: Trace | null;
  /** Takes part in promotion as a Python scalar would (a plain number given to a traced function). */
  weak = false;

  /** Null once finished or disposed. */
  prim: Primitive | null;
  inputs: readonly Node[];
  params: unknown;
  /** Longest chain of pending nodes ending here. */
  depth: number;

  storage: Storage | null = null;
  offset = 0;
  strides: readonly number[] = [];

  /** Holders: array handles, pending consumers, tapes, traces. At zero the value can never be asked for again. */
  holders = 0;
  /** How often its expression was computed without being stored. */
  computed = 0;
  /** Scratch for graph passes; meaningless between them. */
  mark = 0;
  /** The number of the first tape's log that follows it, 0 for none, and its place there. */
  log = 0;
  place = 0;

  constructor(
    prim: Primitive | null,
    inputs: readonly Node[],
    params: unknown,
    aval: Aval,
    device: Device,
    trace: Trace | null = null,
  ) {
    this.prim = prim;
    this.inputs = inputs;
    this.params = params;
    this.shape = aval.shape;
    this.dtype = aval.dtype;
    this.code = aval.code ?? dtypes[aval.dtype].code;
    this.device = device;
    let size = 1;
    const { shape } = aval;
    for (let i = 0; i < shape.length; i++) size *= shape[i]!;
    this.size = size;
    let depth = 0, symbolic = false;
    for (let i = 0; i < inputs.length; i++) {
      const x = inputs[i]!;
      if (x.depth > depth) depth = x.depth;
      if (x.symbolic) symbolic = true;
      if (x.trace !== null && (trace === null || x.trace.level > trace.level)) trace = x.trace;
      x.holders++;
    }
    this.depth = prim === null ? 0 : depth + 1;
    this.trace = trace;
    this.symbolic = symbolic || trace !== null || (prim !== null && prim.name === "placeholder");
  }

  /** Whether its value lies in memory. */
  get finished(): boolean {
    return this.storage !== null;
  }

  /** Makes the node finished: its value lies in `storage` at this view. Its inputs are let go. */
  finish(storage: Storage, offset: number, strides: readonly number[]): void {
    this.storage = storage.hold();
    this.offset = offset;
    this.strides = strides;
    this.#letGoInputs();
  }

  /** One more holder. */
  hold(): this {
    this.holders++;
    return this;
  }

  /** One holder less; the last one gives the memory back. */
  drop(): void {
    if (--this.holders > 0) return;
    if (this.storage !== null) {
      this.storage.drop();
      this.storage = null;
      this.prim = disposed;
    } else if (this.prim !== disposed) {
      this.#letGoInputs();
      this.prim = disposed;
    }
  }

  #letGoInputs(): void {
    const inputs = this.inputs;
    this.inputs = none;
    this.prim = null;
    this.params = null;
    this.depth = 0;
    if (inputs.length === 0) return;
    // A list rather than recursion: pending chains may be long.
    if (inputs.length === 1 && inputs[0]!.holders > 1) {
      inputs[0]!.holders--;
      return;
    }
    for (let i = 0; i < inputs.length; i++) dropped.push(inputs[i]!);
    if (dropping) return;
    dropping = true;
    try {
      for (let x = dropped.pop(); x !== undefined; x = dropped.pop()) x.drop();
    } finally {
      dropping = false;
    }
  }
}

const none: readonly Node[] = [];
const dropped: Node[] = [];
let dropping = false;

/** Marks nodes that were given back. */
const disposed: Primitive = {
  id: newId(),
  name: "disposed",
  kind: "leaf",
  infer: () => {
    throw new DisposedError("disposed: this value was given back");
  },
  vjp: null,
  batch: () => {
    throw new DisposedError("disposed: this value was given back");
  },
  lower: { as: "scalar", value: () => NaN },
};

/** Whether a node was given back by its last holder. */
export function isDisposed(node: Node): boolean {
  return node.prim === disposed;
}
