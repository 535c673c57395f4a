/**
 * Constructors of primitives by kind. Each supplies what its kind has in common (dtype rule, shape rule, batch rule), so that a
 * record says only what is its own: an expression and a derivative.
 * @module
 */
import { type DType, dtypeNames, dtypes, isInexact, type Kind as DTypeKind, realOf } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { broadcastShapes, formatShape, reducedShape, sameShape } from "../base/shape.ts";
import type { BinaryOp, Expr, ExprBuilder, UnaryOp } from "../../kernels/expr.ts";
import type { Monoid, MonoidName } from "../../kernels/kernel.ts";
import { broadcast, conj, expand, mul, reshape, scalar } from "../core/ops.ts";
import {
  type Aval,
  type BatchArg,
  type Emitter,
  newId,
  type Primitive,
  type Value,
  type View,
  type VjpContext,
} from "../core/primitive.ts";
import type { ReduceParams, ScanParams } from "../core/registry.ts";
import { bind, type Node } from "../core/trace.ts";
import { Field } from "./field.ts";
import type { Pair } from "./complex.ts";

/** The kinds of dtypes a primitive takes, as letters of NumPy's `dtype.kind`. */
export type Accepts = string;

/** The dtypes of these kinds, one bit each by their codes: a check that looks at no text. */
function bitsOf(accepts: Accepts): number {
  return dtypeNames.reduce(
    (bits, dtype) => accepts.includes(dtypes[dtype].kind) ? bits | 1 << dtypes[dtype].code : bits,
    0,
  );
}

const words: Readonly<Record<DTypeKind, string>> = {
  b: "bool",
  i: "signed integer",
  u: "unsigned integer",
  f: "floating",
  c: "complex",
};

/** Checks a dtype. @throws TypeError in the name of the primitive */
export function checkKind(name: string, dtype: DType, accepts: Accepts): void {
  if (accepts.includes(dtypes[dtype].kind)) return;
  const expected = [...accepts].map((k) => words[k as DTypeKind]).join(", ");
  throw new TypeError(`${name}: got dtype ${dtype}, expected one of kind ${expected}`);
}

/** Checks that an axis is counted from 0 and inside. @throws ShapeError in the name of the primitive */
export function checkAxis(name: string, axis: number, x: Aval): void {
  if (Number.isInteger(axis) && axis >= 0 && axis < x.shape.length) return;
  throw new ShapeError(`${name}: got axis ${axis} for an input of shape ${formatShape(x.shape)}`);
}

/** Checks that all inputs have one dtype. @throws TypeError in the name of the primitive */
export function checkSame(name: string, x: Aval, y: Aval): void {
  if (x.dtype !== y.dtype) throw new TypeError(`${name}: got dtypes ${x.dtype} and ${y.dtype}, expected equal ones`);
}

// Gradients

/** A number in the dtype and on the device of `like`. */
export const num = (like: Node, value: number): Node => scalar(value, like.dtype, like.device);

/** The cotangent through a holomorphic derivative: g * conj(derivative). */
export const chain = (g: Node, derivative: Node): Node => mul(g, conj(derivative));

// Batching

/** Inputs of an elementwise primitive so that broadcasting keeps the mapped axis at the front. */
export function align(args: readonly BatchArg[]): Node[] {
  let rank = 0;
  for (const { node, batched } of args) rank = Math.max(rank, node.shape.length - (batched ? 1 : 0));
  return args.map(({ node, batched }) => {
    const missing = rank - (node.shape.length - 1);
    return batched && missing > 0 ? expand(node, Array.from({ length: missing }, (_, i) => i + 1)) : node;
  });
}

/** A node with the mapped axis in front: repeated if it has none. */
export function spread({ node, batched }: BatchArg, size: number): Node {
  return batched ? node : broadcast(node, [size, ...node.shape]);
}

// Elementwise

/** A primitive that works point by point on broadcast inputs. */
export function elementwise<P>(
  name: string,
  infer: (ins: readonly Aval[], params: P) => Aval,
  vjp: Primitive<P>["vjp"],
  emit: (e: Emitter, src: readonly Value[], params: P, out: Aval, ins: readonly Aval[]) => Value,
): Primitive<P> {
  const record: Primitive<P> = {
    id: newId(),
    name,
    kind: "elementwise",
    infer,
    vjp,
    batch: (args, params) => bind(record, align(args), params),
    lower: { as: "map", emit },
  };
  return record;
}

/** What a function of one number says of itself. */
export interface UnarySpec {
  readonly accepts: Accepts;
  /** The dtype of the result; the input's unless given. */
  readonly dtype?: (dtype: DType) => DType;
  /** On real numbers: one operation, or an expression. */
  readonly real: Exclude<UnaryOp, "cast"> | ((b: ExprBuilder, x: Expr) => Expr);
  /** On complex numbers. */
  readonly complex?: (f: Field, z: Pair) => Value;
  /** The cotangent of x from that of y = f(x); null: none flows. */
  readonly vjp: ((g: Node, x: Node, y: Node) => Node) | null;
}

/** A function of one number. */
export function unary(name: string, spec: UnarySpec): Primitive<null> {
  const { accepts, dtype, real, complex, vjp } = spec, bits = bitsOf(accepts);
  return elementwise<null>(
    name,
    (ins) => {
      const x = ins[0]!;
      if ((bits >>> (x.code ?? dtypes[x.dtype].code) & 1) === 0) checkKind(name, x.dtype, accepts);
      return dtype === undefined ? x : { shape: x.shape, dtype: dtype(x.dtype) };
    },
    vjp === null ? null : (g, { inputs: [x], output }) => isInexact(x!.dtype) ? [vjp(g, x!, output)] : [null],
    ({ b }, [x], _params, _out, [aval]) => {
      const v = x!;
      if (v.length === 2) return complex!(new Field(b, realOf(aval!.dtype)), v);
      return [typeof real === "string" ? b.unary(real, v[0]) : real(b, v[0])];
    },
  );
}

/** What a function of two numbers says of itself. */
export interface BinarySpec {
  readonly accepts: Accepts;
  readonly dtype?: (dtype: DType) => DType;
  readonly real: BinaryOp | ((b: ExprBuilder, x: Expr, y: Expr) => Expr);
  readonly complex?: (f: Field, z: Pair, w: Pair) => Value;
  /** On bool, where the name of the operation would mean something else. */
  readonly bool?: "and" | "or" | "xor";
  /** The cotangents of x and y, each made only if wanted; null: none flows. */
  readonly vjp: readonly [Cotangent | null, Cotangent | null] | null;
}

/** The cotangent of one input of a function z of x and y. */
export type Cotangent = (g: Node, x: Node, y: Node, z: Node) => Node;

/** A function of two numbers of one dtype. */
export function binary(name: string, spec: BinarySpec): Primitive<null> {
  const { accepts, dtype, real, complex, bool, vjp } = spec, bits = bitsOf(accepts);
  const rule = (i: 0 | 1, g: Node, { inputs, output, needs }: VjpContext<null>): Node | null => {
    const f = vjp?.[i];
    return f && needs[i] && isInexact(inputs[i]!.dtype) ? f(g, inputs[0]!, inputs[1]!, output) : null;
  };
  return elementwise<null>(
    name,
    (ins) => {
      const x = ins[0]!, y = ins[1]!;
      checkSame(name, x, y);
      if ((bits >>> (x.code ?? dtypes[x.dtype].code) & 1) === 0) checkKind(name, x.dtype, accepts);
      // The common cases allocate nothing: a node is its own aval.
      const wide = y.shape.length === 0 || sameShape(x.shape, y.shape) ? x : x.shape.length === 0 ? y : null;
      if (wide !== null && dtype === undefined) return wide;
      return {
        shape: wide?.shape ?? broadcastShapes(name, x.shape, y.shape),
        dtype: dtype === undefined ? x.dtype : dtype(x.dtype),
      };
    },
    vjp === null ? null : (g, ctx) => [rule(0, g, ctx), rule(1, g, ctx)],
    ({ b }, src, _params, _out, ins) => {
      const x = src[0]!, y = src[1]!;
      if (x.length === 2 && y.length === 2) return complex!(new Field(b, realOf(ins[0]!.dtype)), x, y);
      if (bool !== undefined && x[0].dtype === "bool") return [b.binary(bool, x[0], y[0])];
      return [typeof real === "string" ? b.binary(real, x[0], y[0]) : real(b, x[0], y[0])];
    },
  );
}

/** A comparison: the result is bool and has no gradient. */
export function compare(name: string, spec: Pick<BinarySpec, "real" | "complex">): Primitive<null> {
  return binary(name, { ...spec, accepts: "biufc", dtype: () => "bool", vjp: null });
}

// Moves

/** What a reindexing says of itself. */
export interface MoveSpec<P> {
  infer(x: Aval, params: P): Aval;
  view(input: View, params: P): View | null;
  vjp(g: Node, x: Node, params: P): Node;
  /** The parameters of the same move behind a mapped axis of this size. */
  shift(params: P, size: number): P;
}

/** A reindexing of one input. */
export function move<P>(name: string, spec: MoveSpec<P>): Primitive<P> {
  const record: Primitive<P> = {
    id: newId(),
    name,
    kind: "move",
    infer: ([x], params) => spec.infer(x!, params),
    vjp: (g, { inputs: [x], params }) => [spec.vjp(g, x!, params)],
    batch: ([x], params, size) => bind(record, [x!.node], spec.shift(params, size)),
    lower: { as: "view", view: spec.view },
  };
  return record;
}

// Reductions

/** Running values and how a monoid combines them: acc(i) with val(i). */
export type Combine = (f: Field, acc: readonly Expr[], val: readonly Expr[]) => readonly Expr[];

/** A monoid from its parts. */
export function monoid(
  b: ExprBuilder,
  name: MonoidName,
  parts: readonly { readonly dtype: Expr["dtype"]; readonly init: number | bigint | boolean }[],
  combine: Combine,
): Monoid {
  const dtypes = parts.map((p) => p.dtype);
  const acc = dtypes.map((t, i) => b.make("acc", t, [], i));
  const val = dtypes.map((t, i) => b.make("val", t, [], i));
  return { name, dtypes, init: parts.map((p) => p.init), combine: combine(new Field(b, dtypes[0]!), acc, val) };
}

/** The cotangent of a reduction's result, with axes of length 1 in place of the reduced ones. */
export function keep(g: Node, x: Node, axes: readonly number[]): Node {
  return reshape(g, reducedShape(x.shape, axes, true));
}

/** What a reduction says of itself. */
export interface ReduceSpec {
  readonly accepts: Accepts;
  readonly dtype?: DType;
  readonly positional?: boolean;
  /** The dtype of the running values of a real input; the input's unless given. */
  monoid(b: ExprBuilder, input: Aval): Monoid;
  /** What is fed to the monoid; the value itself unless given. */
  feed?(e: Emitter, x: Value, position: Expr): readonly Expr[];
  finish?(e: Emitter, acc: readonly Expr[], out: Aval): Value;
  readonly vjp: ((g: Node, x: Node, y: Node, axes: readonly number[]) => Node) | null;
}

/** A reduction over axes. */
export function reduction(name: string, spec: ReduceSpec): Primitive<ReduceParams> {
  const { vjp } = spec;
  const record: Primitive<ReduceParams> = {
    id: newId(),
    name,
    kind: "reduce",
    infer: ([x], { axes }) => {
      checkKind(name, x!.dtype, spec.accepts);
      for (let i = 0; i < axes.length; i++) {
        checkAxis(name, axes[i]!, x!);
        if (i > 0 && axes[i]! <= axes[i - 1]!) {
          throw new ShapeError(`${name}: got axes ${formatShape(axes)}, expected rising ones`);
        }
      }
      return { shape: reducedShape(x!.shape, axes), dtype: spec.dtype ?? x!.dtype };
    },
    vjp: vjp === null
      ? null
      : (g, { inputs: [x], output, params }) => [isInexact(x!.dtype) ? vjp(g, x!, output, params.axes) : null],
    batch: ([x], { axes }) => bind(record, [x!.node], { axes: axes.map((a) => a + 1) }),
    lower: {
      as: "reduce",
      axes: (params) => params.axes,
      monoid: (b, input) => spec.monoid(b, input),
      feed: (e, x, position) => spec.feed?.(e, x, position) ?? x,
      finish: (e, acc, _input, out) => spec.finish?.(e, acc, out) ?? toValue(acc),
      positional: spec.positional ?? false,
    },
  };
  return record;
}

/** One or two expressions as a value. */
export function toValue(parts: readonly Expr[]): Value {
  return parts.length === 2 ? [parts[0]!, parts[1]!] : [parts[0]!];
}

/** What a running reduction says of itself. */
export interface ScanSpec {
  readonly accepts: Accepts;
  monoid(b: ExprBuilder, input: Aval): Monoid;
  vjp(g: Node, x: Node, y: Node, params: ScanParams): Node;
}

/** An inclusive running reduction along one axis. */
export function running(name: string, spec: ScanSpec): Primitive<ScanParams> {
  const record: Primitive<ScanParams> = {
    id: newId(),
    name,
    kind: "scan",
    infer: ([x], { axis }) => {
      checkKind(name, x!.dtype, spec.accepts);
      checkAxis(name, axis, x!);
      return x!;
    },
    vjp: (g, { inputs: [x], output, params }) => [isInexact(x!.dtype) ? spec.vjp(g, x!, output, params) : null],
    batch: ([x], { axis, reverse }) => bind(record, [x!.node], { axis: axis + 1, reverse }),
    lower: {
      as: "scan",
      axis: (params) => params.axis,
      reverse: (params) => params.reverse,
      monoid: (b, input) => spec.monoid(b, input),
    },
  };
  return record;
}

/** The dtype a sum of this dtype is accumulated in: half precisions in float32. */
export function accumulator(dtype: DType): Expr["dtype"] {
  return dtype === "float16" || dtype === "bfloat16" ? "float32" : realOf(dtype);
}
