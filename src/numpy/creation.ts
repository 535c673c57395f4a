/**
 * Making arrays: from values of JavaScript, filled, and as copies.
 * @module
 */
import { type DType, dtypes } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { canCast, type Casting, defaultFloat } from "../base/promote.ts";
import { broadcastShapes, checkShape, formatShape, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { fromBytes } from "../transform/evaluate.ts";
import { type Args, type ArrayLike, type AstypeOptions, NDArray, nodeOf, wrap } from "../array.ts";
import { checkDType, checkInt, describe, keywords, toShape } from "./args.ts";
import { bytesOf, literalNode, toNodeOf, toOperand, toTyped, typeOfTypedArray } from "./convert.ts";
import { withoutLeading } from "./moves.ts";
import { copyTo, deviceFor, shareBytes } from "./place.ts";
import { number } from "./ufunc.ts";

/** Keywords of the functions that make arrays. */
export interface CreateOptions<D extends DType = DType> {
  /** The dtype of the result; told from the values, or float64, if absent. */
  readonly dtype?: D | null | undefined;
  /** Where the array lives: `"CPU:0"`; the device of the innermost `tnp.device` scope if absent. */
  readonly device?: string | null | undefined;
}

/** Keywords of `array`. */
export interface ArrayOptions<D extends DType = DType> extends CreateOptions<D> {
  /** Whether the elements are copied; false shares the memory of a typed array and refuses what needs a copy. */
  readonly copy?: boolean | null | undefined;
  /** The least number of axes; axes of length 1 are put in front. */
  readonly ndmin?: number | undefined;
}

/** Keywords of `zeros_like` and its kin. */
export interface LikeOptions<D extends DType = DType> extends CreateOptions<D> {
  /** Another shape. */
  readonly shape?: number | readonly number[] | undefined;
}

function typed(name: string, dtype: DType | null | undefined): DType | null {
  return dtype === undefined || dtype === null ? null : checkDType(name, dtype);
}

/**
 * An array from numbers, nested lists, typed arrays and arrays of any library; the elements are copied.
 *
 * Booleans become bool, integral numbers and bigints int64, other numbers float64, `{ re, im }` complex128; typed arrays keep their type.
 *
 * @param object what to make it of
 * @param dtype the dtype of the array
 * @returns a new array
 * @throws ShapeError for ragged lists, RangeError for integers the dtype cannot hold and for NaN as an integer
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.array([[1, 2], [3, 4]], tnp.float32).sum().item()); // 10
 * ```
 * Source: numpy.array
 */
export function array<D extends DType = DType>(
  object: ArrayLike,
  ...args: Args<[dtype: D | null], ArrayOptions<D>>
): NDArray<D> {
  const options = keywords<ArrayOptions<D>>("array", ["dtype", "copy", "ndmin", "device"], args);
  return convertTo("array", object, options, options.copy ?? true) as NDArray<D>;
}

/**
 * An array from anything; an array of the right dtype is returned as it is.
 *
 * `{ copy: false }` shares the memory of a typed array: what is written to it later shows in the array or not, undefined.
 * Memory that can be resized, or that workers share, is refused.
 *
 * @param a what to make it of
 * @param dtype the dtype of the array
 * @returns the array itself, or a new one
 * @throws as `array`; TypeError for `copy: false` where a copy cannot be avoided
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.asarray(new Int16Array([1, 2])).dtype); // int16
 * ```
 * Source: numpy.asarray
 */
export function asarray<D extends DType = DType>(
  a: ArrayLike,
  ...args: Args<[dtype: D | null], Omit<ArrayOptions<D>, "ndmin">>
): NDArray<D> {
  const options = keywords<ArrayOptions<D>>("asarray", ["dtype", "copy", "device"], args);
  return convertTo("asarray", a, options, options.copy ?? null) as NDArray<D>;
}

/** NumPy's other name of `asarray`: there are no subclasses here. */
export const asanyarray: typeof asarray = asarray;

/**
 * An array of at least one axis; how elements lie in memory is not visible here.
 *
 * @param a what to make it of
 * @param dtype the dtype of the array
 * @returns the array itself, or a new one
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ascontiguousarray(5).shape); // [ 1 ]
 * ```
 * Source: numpy.ascontiguousarray
 */
export function ascontiguousarray<D extends DType = DType>(
  a: ArrayLike,
  ...args: Args<[dtype: D | null], CreateOptions<D>>
): NDArray<D> {
  const options = keywords<ArrayOptions<D>>("ascontiguousarray", ["dtype", "device"], args);
  return convertTo("ascontiguousarray", a, { ...options, ndmin: 1 }, null) as NDArray<D>;
}

function convertTo(name: string, object: ArrayLike, options: ArrayOptions, copy: boolean | null): NDArray {
  const dtype = typed(name, options.dtype);
  const ndmin = options.ndmin === undefined ? 0 : checkInt(name, "ndmin", options.ndmin);
  if (ndmin > 64) throw new RangeError(`${name}: got ndmin ${ndmin}, expected at most 64`);
  const place = deviceFor(name, options.device);
  if (object instanceof NDArray) {
    const node = nodeOf(object);
    const moved = place === null ? node : copyTo(name, node, place);
    const out = atLeast(ops.cast(moved, dtype ?? node.dtype), ndmin);
    if (copy === false && out !== node) throw new TypeError(`${name}: copy: false, but a copy is needed`);
    if (out !== node) return wrap(out);
    return copy === true ? wrap(node) : object;
  }
  const device = place ?? currentDevice();
  if (copy === false) return wrap(atLeast(shared(name, object, dtype, device), ndmin));
  return wrap(atLeast(toTyped(name, object, dtype, device), ndmin));
}

function shared(name: string, object: unknown, dtype: DType | null, device: Device): Node {
  const fine = ArrayBuffer.isView(object) && !(object instanceof DataView);
  const own = fine ? typeOfTypedArray(name, object) : null;
  if (own === null || (dtype !== null && dtype !== own)) {
    throw new TypeError(`${name}: copy: false, but only a typed array of the dtype itself can be shared`);
  }
  const bytes = bytesOf(object as ArrayBufferView);
  return shareBytes(name, bytes, [(object as Int8Array).length], own, device);
}

function atLeast(x: Node, ndim: number): Node {
  return x.shape.length >= ndim ? x : ops.reshape(x, [...new Array<number>(ndim - x.shape.length).fill(1), ...x.shape]);
}

/**
 * A copy of an array, on the device of the innermost `tnp.device` scope.
 *
 * @param a an array
 * @returns an array with memory of its own on the current device
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.copy([1, 2]).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.copy
 */
export function copy<D extends DType = DType>(a: NDArray<D> | ArrayLike): NDArray<D> {
  return wrap<D>(copyTo("copy", toNodeOf("copy", a), currentDevice()));
}

/**
 * An array in another dtype, as C casts: fractions are cut off, integers wrap.
 *
 * @param x an array
 * @param dtype the dtype wanted
 * @param options `casting`: which casts are allowed, `"unsafe"` if absent
 * @returns the array itself if it has the dtype, else a new one
 * @throws TypeError for a cast that is not allowed
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.astype(tnp.array([1.7, -2.7]), tnp.int32).toArray()); // [ 1, -2 ]
 * ```
 * Source: numpy.astype
 */
export function astype<D extends DType>(x: NDArray, dtype: D, options: AstypeOptions = {}): NDArray<D> {
  const type = checkDType("astype", dtype);
  const { casting = "unsafe" } = keywords<AstypeOptions & { casting?: Casting }>("astype", ["casting", "copy"], [
    options,
  ]);
  const node = nodeOf(x);
  if (!canCast(node.dtype, type, casting)) {
    throw new TypeError(`astype: cannot cast from ${node.dtype} to ${type} with casting "${casting}"`);
  }
  return wrap(ops.cast(node, type));
}

function filled(name: string, value: number, shape: unknown, args: readonly unknown[]): NDArray {
  const options = keywords<CreateOptions>(name, ["dtype", "device"], args);
  const lengths = toShape(name, shape);
  checkShape(name, lengths);
  const device = deviceFor(name, options.device) ?? currentDevice();
  return wrap(ops.broadcast(number(value, typed(name, options.dtype) ?? defaultFloat(), device), lengths));
}

/**
 * An array of zeros.
 *
 * @param shape an integer or a list of them
 * @param dtype the dtype, float64 if absent
 * @returns a new array
 * @throws ShapeError for negative lengths
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.zeros([2, 2]).toArray()); // [ [ 0, 0 ], [ 0, 0 ] ]
 * ```
 * Source: numpy.zeros
 */
export function zeros<D extends DType = DType>(
  shape: number | readonly number[],
  ...args: Args<[dtype: D | null], CreateOptions<D>>
): NDArray<D> {
  return filled("zeros", 0, shape, args) as NDArray<D>;
}

/**
 * An array of ones.
 *
 * @param shape an integer or a list of them
 * @param dtype the dtype, float64 if absent
 * @returns a new array
 * @throws ShapeError for negative lengths
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ones(3).toArray()); // [ 1, 1, 1 ]
 * ```
 * Source: numpy.ones
 */
export function ones<D extends DType = DType>(
  shape: number | readonly number[],
  ...args: Args<[dtype: D | null], CreateOptions<D>>
): NDArray<D> {
  return filled("ones", 1, shape, args) as NDArray<D>;
}

/**
 * An array whose elements nobody has asked for: zeros here.
 *
 * @param shape an integer or a list of them
 * @param dtype the dtype, float64 if absent
 * @returns a new array
 * @throws ShapeError for negative lengths
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.empty([2, 3]).shape); // [ 2, 3 ]
 * ```
 * Source: numpy.empty
 */
export function empty<D extends DType = DType>(
  shape: number | readonly number[],
  ...args: Args<[dtype: D | null], CreateOptions<D>>
): NDArray<D> {
  return filled("empty", 0, shape, args) as NDArray<D>;
}

/**
 * An array of one value.
 *
 * @param shape an integer or a list of them
 * @param fill_value the value; an array broadcasts
 * @param dtype the dtype; the value's if absent
 * @returns a new array
 * @throws ShapeError for negative lengths or a value that does not broadcast
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.full([2, 2], 7).toArray()); // [ [ 7, 7 ], [ 7, 7 ] ]
 * ```
 * Source: numpy.full
 */
export function full<D extends DType = DType>(
  shape: number | readonly number[],
  fill_value: ArrayLike,
  ...args: Args<[dtype: D | null], CreateOptions<D>>
): NDArray<D> {
  const options = keywords<CreateOptions<D>>("full", ["dtype", "device"], args);
  const lengths = toShape("full", shape);
  checkShape("full", lengths);
  const device = deviceFor("full", options.device) ?? currentDevice();
  return wrap(spread("full", toTyped("full", fill_value, typed("full", options.dtype), device), lengths));
}

function spread(name: string, value: Node, shape: readonly number[]): Node {
  const x = withoutLeading(value, shape.length);
  if (!sameShape(broadcastShapes(name, x.shape, shape), shape)) {
    throw new ShapeError(`${name}: cannot broadcast shape ${formatShape(x.shape)} to ${formatShape(shape)}`);
  }
  return ops.broadcast(x, shape);
}

function filledLike(name: string, value: ArrayLike, like: ArrayLike, args: readonly unknown[]): NDArray {
  const options = keywords<LikeOptions>(name, ["dtype", "shape", "device"], args);
  const x = toNodeOf(name, like);
  const device = deviceFor(name, options.device) ?? x.device;
  const shape = options.shape === undefined || options.shape === null ? x.shape : toShape(name, options.shape);
  checkShape(name, shape);
  const dtype = typed(name, options.dtype) ?? x.dtype;
  const operand = toOperand(name, value, device);
  const node = operand instanceof Node ? ops.cast(operand, dtype) : literalNode(name, operand, dtype, device);
  return wrap(spread(name, node, shape));
}

/**
 * Zeros of another array's shape and dtype.
 *
 * @param a an array
 * @param dtype another dtype
 * @returns a new array on the device of a
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.zeros_like([[1, 2], [3, 4]]).toArray()); // [ [ 0, 0 ], [ 0, 0 ] ]
 * ```
 * Source: numpy.zeros_like
 */
export function zeros_like<D extends DType = DType>(
  a: NDArray<D> | ArrayLike,
  ...args: Args<[dtype: D | null], LikeOptions<D>>
): NDArray<D> {
  return filledLike("zeros_like", 0, a, args) as NDArray<D>;
}

/**
 * Ones of another array's shape and dtype.
 *
 * @param a an array
 * @param dtype another dtype
 * @returns a new array on the device of a
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.ones_like([1.5, 2.5]).toArray()); // [ 1, 1 ]
 * ```
 * Source: numpy.ones_like
 */
export function ones_like<D extends DType = DType>(
  a: NDArray<D> | ArrayLike,
  ...args: Args<[dtype: D | null], LikeOptions<D>>
): NDArray<D> {
  return filledLike("ones_like", 1, a, args) as NDArray<D>;
}

/**
 * An array of another's shape and dtype whose elements nobody has asked for: zeros here.
 *
 * @param prototype an array
 * @param dtype another dtype
 * @returns a new array on the device of prototype
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.empty_like([1, 2, 3]).shape); // [ 3 ]
 * ```
 * Source: numpy.empty_like
 */
export function empty_like<D extends DType = DType>(
  prototype: NDArray<D> | ArrayLike,
  ...args: Args<[dtype: D | null], LikeOptions<D>>
): NDArray<D> {
  return filledLike("empty_like", 0, prototype, args) as NDArray<D>;
}

/**
 * One value in another array's shape and dtype.
 *
 * @param a an array
 * @param fill_value the value; an array broadcasts
 * @param dtype another dtype
 * @returns a new array on the device of a
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.full_like([1, 2], 9).toArray()); // [ 9, 9 ]
 * ```
 * Source: numpy.full_like
 */
export function full_like<D extends DType = DType>(
  a: NDArray<D> | ArrayLike,
  fill_value: ArrayLike,
  ...args: Args<[dtype: D | null], LikeOptions<D>>
): NDArray<D> {
  return filledLike("full_like", fill_value, a, args) as NDArray<D>;
}

/**
 * A one-dimensional array from raw bytes, little-endian; they are copied.
 *
 * @param buffer an ArrayBuffer or a view of one
 * @param dtype the dtype of the elements, float64 if absent
 * @param count how many elements; all if absent or -1
 * @param offset the first byte
 * @returns a new array
 * @throws ShapeError for bytes that are no whole number of elements, or too few
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.frombuffer(new Uint8Array([1, 0, 2, 0]), tnp.int16).toArray()); // [ 1, 2 ]
 * ```
 * Source: numpy.frombuffer
 */
export function frombuffer<D extends DType = "float64">(
  buffer: ArrayBuffer | ArrayBufferView,
  ...args: Args<[dtype: D, count: number, offset: number], BufferOptions<D>>
): NDArray<D> {
  const options = keywords<BufferOptions<D>>("frombuffer", ["dtype", "count", "offset"], args);
  const dtype = checkDType("frombuffer", options.dtype ?? "float64");
  if (!ArrayBuffer.isView(buffer) && Object.prototype.toString.call(buffer).slice(-12) !== "ArrayBuffer]") {
    throw new TypeError(`frombuffer: got ${describe(buffer)}, expected an ArrayBuffer or a view of one`);
  }
  const whole = ArrayBuffer.isView(buffer) ? bytesOf(buffer) : new Uint8Array(buffer);
  const offset = checkInt("frombuffer", "offset", options.offset ?? 0);
  const rest = whole.byteLength - offset;
  const { itemsize } = dtypes[dtype];
  const count = checkInt("frombuffer", "count", options.count ?? -1);
  if (offset < 0 || rest < 0 || (count < 0 && rest % itemsize !== 0) || count * itemsize > rest) {
    throw new ShapeError(
      `frombuffer: got ${whole.byteLength} bytes from ${offset}, expected ${
        count < 0 ? "a multiple" : count
      } of ${itemsize}`,
    );
  }
  const length = count < 0 ? rest / itemsize : count;
  return wrap(fromBytes(whole.subarray(offset, offset + length * itemsize), [length], dtype, currentDevice()));
}

/** Keywords of `frombuffer`. */
export interface BufferOptions<D extends DType = DType> {
  /** The dtype of the elements; float64 if absent. */
  readonly dtype?: D;
  /** How many elements to read; all if absent or -1. */
  readonly count?: number;
  /** Where to begin, in bytes; 0 if absent. */
  readonly offset?: number;
}
