/**
 * Shape and stride arithmetic: broadcasting, axes, reshaping, merging of axes. Pure, knows no array.
 * Strides and offsets count elements, not bytes.
 * @module
 */
import { describe } from "./describe.ts";
import { AxisError, ShapeError } from "./errors.ts";

/** The lengths of an array's axes. */
export type Shape = readonly number[];

/** A shape as messages show it: `[2, 3]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** The number of elements of a shape; 1 for 0-d. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (let i = 0; i < shape.length; i++) size *= shape[i]!;
  return size;
}

/** Tells whether two shapes (or any two lists of numbers) are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Checks that a value is a shape: integers of 0 or more, together at most 2^53 - 1 elements.
 * @throws TypeError for what is not an integer, ShapeError for a negative length or a size beyond 2^53 - 1
 */
export function checkShape(name: string, shape: Shape): void {
  let size = 1;
  let empty = false;
  for (const length of shape) {
    if (typeof length !== "number" || !Number.isInteger(length)) {
      throw new TypeError(`${name}: lengths of axes must be integers, got ${describe(length)}`);
    }
    if (length < 0) throw new ShapeError(`${name}: negative dimensions are not allowed, got ${formatShape(shape)}`);
    if (length === 0) empty = true;
    else size *= length;
  }
  if (!empty && !Number.isSafeInteger(size)) {
    throw new ShapeError(`${name}: array of shape ${formatShape(shape)} is too big`);
  }
}

/**
 * The shape that all the shapes broadcast to (numpy.broadcast_shapes).
 * @param name the function that messages name
 * @throws ShapeError that shows the shapes
 */
export function broadcastShapes(name: string, ...shapes: readonly Shape[]): Shape {
  if (shapes.length === 1) return shapes[0]!;
  if (shapes.length === 2 && sameShape(shapes[0]!, shapes[1]!)) return shapes[0]!;
  let ndim = 0;
  for (const shape of shapes) if (shape.length > ndim) ndim = shape.length;
  const out = new Array<number>(ndim).fill(1);
  for (const shape of shapes) {
    const skip = ndim - shape.length;
    for (let i = 0; i < shape.length; i++) {
      const length = shape[i]!;
      const known = out[skip + i]!;
      if (known === 1) out[skip + i] = length;
      else if (length !== 1 && length !== known) {
        const list = shapes.map(formatShape).join(" ");
        throw new ShapeError(`${name}: operands could not be broadcast together with shapes ${list}`);
      }
    }
  }
  return out;
}

/**
 * The strides with which an array of `shape` is read as `target`: 0 along the axes that repeat.
 * @throws ShapeError if `shape` does not broadcast to `target`
 */
export function broadcastStrides(name: string, shape: Shape, strides: readonly number[], target: Shape): number[] {
  const skip = target.length - shape.length;
  const out = new Array<number>(target.length).fill(0);
  let fits = skip >= 0;
  for (let i = 0; fits && i < shape.length; i++) {
    const length = shape[i]!;
    if (length === target[skip + i]) out[skip + i] = length === 1 ? 0 : strides[i]!;
    else if (length !== 1) fits = false;
  }
  if (!fits) {
    throw new ShapeError(`${name}: cannot broadcast shape ${formatShape(shape)} to ${formatShape(target)}`);
  }
  return out;
}

/** The strides of a dense array in C order. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i]!;
  }
  return strides;
}

/** Tells whether strides are those of a dense array in C order; axes of length 1 have any stride, empty arrays any strides. */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  let step = 1;
  let dense = true;
  for (let i = shape.length - 1; i >= 0; i--) {
    const length = shape[i]!;
    if (length === 0) return true;
    if (length !== 1 && strides[i] !== step) dense = false;
    step *= length;
  }
  return dense;
}

/** The axes 0, 1, …, `ndim - 1`. */
export function axesOf(ndim: number): number[] {
  const axes = new Array<number>(ndim);
  for (let i = 0; i < ndim; i++) axes[i] = i;
  return axes;
}

/**
 * An axis counted from 0, from one that may count from the end.
 * @throws TypeError for what is not an integer, AxisError outside `[-ndim, ndim)`
 */
export function normalizeAxis(name: string, axis: number, ndim: number): number {
  if (typeof axis !== "number" || !Number.isInteger(axis)) {
    throw new TypeError(`${name}: axis must be an integer, got ${describe(axis)}`);
  }
  if (axis < -ndim || axis >= ndim) {
    throw new AxisError(`${name}: axis ${axis} is out of bounds for array of dimension ${ndim}`);
  }
  return axis < 0 ? axis + ndim : axis;
}

/**
 * Axes counted from 0 in the order given (a permutation's), from one axis or several; all axes for null and undefined.
 * @throws TypeError, AxisError as `normalizeAxis`; AxisError for an axis given twice
 */
export function normalizeAxes(
  name: string,
  axes: number | readonly number[] | null | undefined,
  ndim: number,
): number[] {
  if (axes === null || axes === undefined) return axesOf(ndim);
  if (typeof axes === "number") return [normalizeAxis(name, axes, ndim)];
  if (!Array.isArray(axes)) {
    throw new TypeError(`${name}: axis must be an integer or a list of them, got ${describe(axes)}`);
  }
  const out = new Array<number>(axes.length);
  for (let i = 0; i < out.length; i++) out[i] = normalizeAxis(name, axes[i] as number, ndim);
  for (let i = 0; i < out.length; i++) {
    if (out.indexOf(out[i]!) !== i) {
      throw new AxisError(`${name}: axis ${String(axes[i])} is given twice in ${formatShape(axes)}`);
    }
  }
  return out;
}

/** The shape after reducing `axes` (counted from 0): without them, or with length 1 in their place. */
export function reducedShape(shape: Shape, axes: readonly number[], keepdims = false): number[] {
  const out: number[] = [];
  for (let i = 0; i < shape.length; i++) {
    if (!axes.includes(i)) out.push(shape[i]!);
    else if (keepdims) out.push(1);
  }
  return out;
}

/**
 * A target shape with its one -1 replaced by what the size leaves.
 * @throws TypeError for what is not an integer, ShapeError if the sizes differ or more than one length is -1
 */
export function resolveReshape(name: string, size: number, shape: Shape): Shape {
  let known = 1;
  let unknown = -1;
  for (let i = 0; i < shape.length; i++) {
    const length = shape[i]!;
    if (typeof length !== "number" || !Number.isInteger(length)) {
      throw new TypeError(`${name}: lengths of axes must be integers, got ${describe(length)}`);
    }
    if (length >= 0) known *= length;
    else if (length !== -1) {
      throw new ShapeError(`${name}: negative dimensions are not allowed, got ${formatShape(shape)}`);
    } else if (unknown >= 0) {
      throw new ShapeError(`${name}: only one dimension can be -1, got ${formatShape(shape)}`);
    } else unknown = i;
  }
  if (unknown < 0 ? known !== size : known === 0 || size % known !== 0) {
    throw new ShapeError(`${name}: cannot reshape array of size ${size} into shape ${formatShape(shape)}`);
  }
  return unknown < 0 ? shape : shape.with(unknown, size / known);
}

/**
 * The strides that read a strided array in another shape of the same size, or null if only a copy can.
 * Splits and merges axes where the memory allows; new axes of length 1 get a stride of what follows them.
 */
export function reshapeStrides(shape: Shape, strides: readonly number[], newShape: Shape): number[] | null {
  if (isContiguous(shape, strides) || sizeOf(newShape) === 0) return contiguousStrides(newShape);
  const oldShape: number[] = [];
  const oldStrides: number[] = [];
  for (let i = 0; i < shape.length; i++) {
    if (shape[i] === 1) continue;
    oldShape.push(shape[i]!);
    oldStrides.push(strides[i]!);
  }
  const out = new Array<number>(newShape.length);
  // Groups of old axes [oi, oj) and new axes [ni, nj) with equal products; each group of old axes must be dense in itself.
  let oi = 0;
  let ni = 0;
  while (oi < oldShape.length && ni < newShape.length) {
    let oj = oi + 1;
    let nj = ni + 1;
    let op = oldShape[oi]!;
    let np = newShape[ni]!;
    while (op !== np) {
      if (np < op) np *= newShape[nj++]!;
      else op *= oldShape[oj++]!;
    }
    for (let k = oi; k < oj - 1; k++) {
      if (oldStrides[k] !== oldStrides[k + 1]! * oldShape[k + 1]!) return null;
    }
    let step = oldStrides[oj - 1]!;
    for (let k = nj - 1; k >= ni; k--) {
      out[k] = step;
      step *= newShape[k]!;
    }
    oi = oj;
    ni = nj;
  }
  // What is left are axes of length 1.
  for (; ni < newShape.length; ni++) out[ni] = 1;
  return out;
}

/** Axes merged by `collapse`: one shape and, for each operand, its strides. */
export interface Collapsed {
  readonly shape: number[];
  readonly strides: number[][];
}

/**
 * Merges adjacent axes that are one axis for every operand and drops axes of length 1; the order of elements stays.
 * @param shape the common shape
 * @param stridesList each operand's strides in this shape
 * @returns the shortest such shape; `[]` for one element, `[0]` for none
 */
export function collapse(shape: Shape, stridesList: readonly (readonly number[])[]): Collapsed {
  const outShape: number[] = [];
  const outStrides: number[][] = stridesList.map(() => []);
  for (let i = 0; i < shape.length; i++) {
    const length = shape[i]!;
    if (length === 0) return { shape: [0], strides: stridesList.map(() => [1]) };
    if (length === 1) continue;
    const last = outShape.length - 1;
    let merges = last >= 0;
    for (let k = 0; merges && k < stridesList.length; k++) {
      if (outStrides[k]![last] !== stridesList[k]![i]! * length) merges = false;
    }
    if (merges) {
      outShape[last] = outShape[last]! * length;
      for (let k = 0; k < stridesList.length; k++) outStrides[k]![last] = stridesList[k]![i]!;
    } else {
      outShape.push(length);
      for (let k = 0; k < stridesList.length; k++) outStrides[k]!.push(stridesList[k]![i]!);
    }
  }
  return { shape: outShape, strides: outStrides };
}

/** The element that follows a view's last in memory and the first it touches: what bounds checks compare with. */
export function extentOf(shape: Shape, strides: readonly number[], offset: number): { low: number; high: number } {
  let low = offset;
  let high = offset;
  for (let i = 0; i < shape.length; i++) {
    if (shape[i] === 0) return { low: offset, high: offset };
    const span = (shape[i]! - 1) * strides[i]!;
    if (span < 0) low += span;
    else high += span;
  }
  return { low, high: high + 1 };
}
