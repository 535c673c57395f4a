/**
 * Comparison and logic, point by point, and tests of whole arrays.
 * @module
 */
import { type DType, dtypes, isInexact, isInteger } from "../base/dtype.ts";
import { TracerError } from "../base/errors.ts";
import type { Scalar } from "../base/elements.ts";
import { integerRange, promoteTypes, weakKindOf } from "../base/promote.ts";
import { sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import { Node } from "../core/trace.ts";
import { readElement } from "../transform/evaluate.ts";
import { type Args, type ArrayLike, type NDArray, nodeOf, wrap } from "../array.ts";
import { keywords, within } from "./args.ts";
import { deviceOf, literalValue, type Operand, promote, toNodes, toOperand } from "./convert.ts";
import { binary, boolOptions, combine, lit, operands, truth, truthy, type UfuncOptions, unary } from "./ufunc.ts";

/** Keywords of `array_equal`. */
export interface EqualOptions {
  /** Whether NaN equals NaN; false if absent. */
  readonly equal_nan?: boolean;
}

/** Keywords of `isclose` and `allclose`. */
export interface CloseOptions extends EqualOptions {
  /** The relative tolerance, times the second array; 1e-5 if absent. */
  readonly rtol?: ArrayLike;
  /** The absolute tolerance; 1e-8 if absent. */
  readonly atol?: ArrayLike;
}

/** Tolerances, by position or as keywords. */
export type CloseArgs = Args<[rtol: ArrayLike, atol: ArrayLike, equal_nan: boolean], CloseOptions>;

type Comparison = "less" | "less_equal" | "equal" | "not_equal";

/** Compares by value: uint64 with signed integers, and integers with literals beyond their dtype, have no common integer dtype. */
function compare(
  name: string,
  op: Comparison,
  x1: ArrayLike,
  x2: ArrayLike,
  options: UfuncOptions | undefined,
): NDArray<"bool"> {
  const others = boolOptions(name, options);
  const device = deviceOf(x1, x2);
  const a = toOperand(name, x1, device);
  const b = toOperand(name, x2, device);
  if (a instanceof Node && b instanceof Node) {
    if (a.dtype === "uint64" && dtypes[b.dtype].kind === "i") return within(name, () => wrap(flipped(op, b, a)));
    if (b.dtype === "uint64" && dtypes[a.dtype].kind === "i") {
      return within(name, () => wrap(signedWithUnsigned(op, a, b)));
    }
    if (a.weak !== b.weak && isInteger(a.dtype) && isInteger(b.dtype)) {
      const type = promoteTypes(a.dtype, b.dtype);
      return within(name, () => wrap(ops[op](ops.cast(a, type), ops.cast(b, type))));
    }
  }
  if (others !== undefined) operands(name, "any", false, false, others);
  return combine<"bool">(name, "any", (x, y) => ops[op](x, y), widened(a, b), widened(b, a), device);
}

/** An operand, or its stand-in beside a literal that is beyond its integers. */
function widened(x: Operand, other: Operand): Operand {
  if (x instanceof Node) return other instanceof Node || beyond(other, x.dtype) === 0 ? x : ops.cast(x, "float64");
  const side = other instanceof Node ? beyond(x, other.dtype) : 0;
  return side === 0 ? x : { weak: "f", value: side * Infinity };
}

/** -1, 0 or 1: a literal below, within or above an integer dtype. */
function beyond(x: Operand, dtype: DType): -1 | 0 | 1 {
  if (x instanceof Node || x.weak !== "i" || !isInteger(dtype)) return 0;
  const [low, high] = integerRange(dtype);
  const value = x.value as number | bigint;
  return value < low ? -1 : value > high ? 1 : 0;
}

function signedWithUnsigned(op: Comparison, x: Node, y: Node): Node {
  const negative = ops.less(x, lit(0, x));
  const magnitudes = ops[op](ops.cast(x, "uint64"), y);
  return op === "equal" ? ops.and(ops.not(negative), magnitudes) : ops.or(negative, magnitudes);
}

/** `op(y, x)` for x signed and y unsigned. */
function flipped(op: Comparison, x: Node, y: Node): Node {
  if (op === "less") return ops.not(signedWithUnsigned("less_equal", x, y));
  if (op === "less_equal") return ops.not(signedWithUnsigned("less", x, y));
  return signedWithUnsigned(op, x, y);
}

/** Combines the truth of elements; a plain value needs no dtype for that. */
function logical(
  name: string,
  op: (x: Node, y: Node) => Node,
  x1: ArrayLike,
  x2: ArrayLike,
  options: UfuncOptions | undefined,
): NDArray<"bool"> {
  const plain = (x: ArrayLike): ArrayLike => weakKindOf(x) === null ? x : literalValue(name, x as Scalar, "bool");
  return binary<"bool">(
    name,
    "any",
    (x, y) => op(truthy(x), truthy(y)),
    plain(x1),
    plain(x2),
    boolOptions(name, options),
  );
}

/** Whether elements are NaN, for any dtype. */
function isNaNNode(x: Node): Node {
  return isInexact(x.dtype) ? ops.isnan(x) : truth(false, x);
}

/** Whether all elements of a bool node are true, as a JavaScript boolean. */
function everything(name: string, x: Node): boolean {
  if (x.symbolic) {
    throw new TracerError(
      `${name}: the answer is not known inside tnp.function or tnp.vectorized_map; use tnp.all on a comparison`,
    );
  }
  const out = ops.all(x, x.shape.map((_, i) => i)).hold();
  try {
    return readElement(out) === true;
  } finally {
    out.drop();
  }
}

function closeNodes(name: string, a: ArrayLike, b: ArrayLike, args: CloseArgs): Node {
  const { rtol = 1e-5, atol = 1e-8, equal_nan = false } = keywords<CloseOptions>(
    name,
    ["rtol", "atol", "equal_nan"],
    args,
  );
  const { nodes: [x, y] } = promote(name, [a, b, 1.5]);
  const device = x.device;
  const real = isInexact(x.dtype) ? ops.abs(y) : y;
  const tolerance = (value: ArrayLike): Node => {
    const operand = toOperand(name, value, device);
    return operand instanceof Node ? ops.cast(operand, real.dtype) : lit(operand.value, real);
  };
  return within(name, () => {
    const limit = ops.add(tolerance(atol), ops.mul(tolerance(rtol), real));
    const near = ops.and(ops.less_equal(ops.abs(ops.sub(x, y)), limit), ops.isfinite(y));
    const close = ops.or(near, ops.equal(x, y));
    return equal_nan ? ops.or(close, ops.and(isNaNNode(x), isNaNNode(y))) : close;
  });
}

/**
 * Whether two elements are equal; NaN equals nothing.
 *
 * Integers are compared by value, whatever their dtypes.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.equal([1, 2], [1, 3]).toArray()); // [ true, false ]
 * ```
 * Source: numpy.equal
 */
export function equal(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return compare("equal", "equal", x1, x2, options);
}

/**
 * Whether two elements differ; NaN differs from everything.
 *
 * Integers are compared by value, whatever their dtypes.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.not_equal([1, 2], [1, 3]).toArray()); // [ false, true ]
 * ```
 * Source: numpy.not_equal
 */
export function not_equal(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return compare("not_equal", "not_equal", x1, x2, options);
}

/**
 * Whether x1 < x2; complex numbers in lexicographic order.
 *
 * Integers are compared by value, whatever their dtypes.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.less([1, 2], 2).toArray()); // [ true, false ]
 * ```
 * Source: numpy.less
 */
export function less(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return compare("less", "less", x1, x2, options);
}

/**
 * Whether x1 <= x2; complex numbers in lexicographic order.
 *
 * Integers are compared by value, whatever their dtypes.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.less_equal([1, 2], 1).toArray()); // [ true, false ]
 * ```
 * Source: numpy.less_equal
 */
export function less_equal(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return compare("less_equal", "less_equal", x1, x2, options);
}

/**
 * Whether x1 > x2; complex numbers in lexicographic order.
 *
 * Integers are compared by value, whatever their dtypes.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.greater([1, 2], 1).toArray()); // [ false, true ]
 * ```
 * Source: numpy.greater
 */
export function greater(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return compare("greater", "less", x2, x1, options);
}

/**
 * Whether x1 >= x2; complex numbers in lexicographic order.
 *
 * Integers are compared by value, whatever their dtypes.
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.greater_equal([1, 2], 2).toArray()); // [ false, true ]
 * ```
 * Source: numpy.greater_equal
 */
export function greater_equal(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return compare("greater_equal", "less_equal", x2, x1, options);
}

/**
 * Whether both elements are true (not zero).
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.logical_and([true, false], [1, 1]).toArray()); // [ true, false ]
 * ```
 * Source: numpy.logical_and
 */
export function logical_and(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return logical("logical_and", ops.and, x1, x2, options);
}

/**
 * Whether one of two elements is true (not zero).
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.logical_or([true, false], [0, 0]).toArray()); // [ true, false ]
 * ```
 * Source: numpy.logical_or
 */
export function logical_or(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return logical("logical_or", ops.or, x1, x2, options);
}

/**
 * Whether exactly one of two elements is true (not zero).
 *
 * @param x1 an array of any dtype
 * @param x2 broadcasts against x1
 * @param options `dtype`, `casting`
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.logical_xor([true, false], [1, 1]).toArray()); // [ false, true ]
 * ```
 * Source: numpy.logical_xor
 */
export function logical_xor(x1: ArrayLike, x2: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return logical("logical_xor", ops.xor, x1, x2, options);
}

/**
 * Whether an element is false (zero).
 *
 * @param x an array of any dtype
 * @param options `dtype`, `casting`
 * @returns bool, of the shape of x
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.logical_not([0, 1]).toArray()); // [ true, false ]
 * ```
 * Source: numpy.logical_not
 */
export function logical_not(x: ArrayLike, options?: UfuncOptions): NDArray<"bool"> {
  return unary<"bool">("logical_not", "any", (x) => ops.not(truthy(x)), x, boolOptions("logical_not", options));
}

/**
 * Whether two elements are equal within a tolerance: |a - b| <= atol + rtol * |b|.
 *
 * @param a an array
 * @param b broadcasts against a
 * @param rtol the relative tolerance, 1e-5 if absent
 * @param atol the absolute tolerance, 1e-8 if absent
 * @param equal_nan whether NaN equals NaN, false if absent
 * @returns bool, of the broadcast shape
 * @throws ShapeError for shapes that do not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.isclose([1, 2], [1 + 1e-9, 2.1]).toArray()); // [ true, false ]
 * ```
 * Source: numpy.isclose
 */
export function isclose(a: ArrayLike, b: ArrayLike, ...args: CloseArgs): NDArray<"bool"> {
  return wrap(closeNodes("isclose", a, b, args));
}

/**
 * Whether all elements of two arrays are equal within a tolerance.
 *
 * @param a an array
 * @param b broadcasts against a
 * @param rtol the relative tolerance, 1e-5 if absent
 * @param atol the absolute tolerance, 1e-8 if absent
 * @param equal_nan whether NaN equals NaN, false if absent
 * @returns a JavaScript boolean
 * @throws ShapeError for shapes that do not broadcast; TracerError where values are not known
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.allclose([1, 2], [1 + 1e-9, 2])); // true
 * ```
 * Source: numpy.allclose
 */
export function allclose(a: ArrayLike, b: ArrayLike, ...args: CloseArgs): boolean {
  return everything("allclose", closeNodes("allclose", a, b, args));
}

/**
 * Whether two arrays have the same shape and elements.
 *
 * @param a1 an array
 * @param a2 an array
 * @param equal_nan whether NaN equals NaN, false if absent
 * @returns a JavaScript boolean
 * @throws TracerError where values are not known
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.array_equal([1, 2], [1, 2])); // true
 * ```
 * Source: numpy.array_equal
 */
export function array_equal(a1: ArrayLike, a2: ArrayLike, ...args: Args<[equal_nan: boolean], EqualOptions>): boolean {
  const { equal_nan = false } = keywords<EqualOptions>("array_equal", ["equal_nan"], args);
  const [x, y] = toNodes("array_equal", a1, a2);
  if (!sameShape(x.shape, y.shape)) return false;
  const same = nodeOf(compare("array_equal", "equal", wrap(x), wrap(y), undefined));
  return everything("array_equal", equal_nan ? ops.or(same, ops.and(isNaNNode(x), isNaNNode(y))) : same);
}

/**
 * Whether two arrays broadcast to each other and have the same elements then.
 *
 * @param a1 an array
 * @param a2 an array
 * @returns a JavaScript boolean
 * @throws TracerError where values are not known
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.array_equiv([1, 2], [[1, 2], [1, 2]])); // true
 * ```
 * Source: numpy.array_equiv
 */
export function array_equiv(a1: ArrayLike, a2: ArrayLike): boolean {
  const [x, y] = toNodes("array_equiv", a1, a2);
  const skip = Math.abs(x.shape.length - y.shape.length);
  const [long, short] = x.shape.length >= y.shape.length ? [x.shape, y.shape] : [y.shape, x.shape];
  if (short.some((n, i) => n !== long[skip + i] && n !== 1 && long[skip + i] !== 1)) return false;
  return everything("array_equiv", nodeOf(compare("array_equiv", "equal", wrap(x), wrap(y), undefined)));
}
