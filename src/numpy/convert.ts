/**
 * Everything that functions take as an array, made into nodes; plain numbers stay weak until their dtype is known.
 * @module
 */
import {
  type DType,
  dtypeInfo,
  dtypeNames,
  dtypes,
  isComplex,
  isDType,
  isInteger,
  type TypedArray,
  typedArrays,
} from "../base/dtype.ts";
import { type Complex, type Scalar, toBfloat16 } from "../base/elements.ts";
import { ShapeError } from "../base/errors.ts";
import {
  checkInteger,
  integerRange,
  isIntegral,
  literalType,
  type Operand as Promotable,
  promoteOperands,
  promotionMode,
  resultType,
  type WeakKind,
  weakKindOf,
} from "../base/promote.ts";
import { checkShape, contiguousStrides, formatShape, sameShape, sizeOf } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import { Node, toNode } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { fromBytes } from "../transform/evaluate.ts";
import { mustFit } from "../transform/tracing.ts";
import { type ArrayLike, NDArray, nodeOf } from "../array.ts";
import { describe, within } from "./args.ts";

/** A plain JavaScript value before its dtype is known. */
export interface Literal {
  readonly weak: WeakKind;
  readonly value: Scalar;
}

/** What a function was given as an array. */
export type Operand = Node | Literal;

/** Whose elements the typed arrays hold as numbers. */
const plain = dtypeNames.filter((d) => dtypes[d].components === 1 && d !== "bool" && d !== "bfloat16");
const byConstructor = new Map<unknown, DType>(plain.map((dtype) => [typedArrays[dtype], dtype]));

/** The dtype of a typed array's elements. */
export function typeOfTypedArray(name: string, view: ArrayBufferView): DType {
  const known = byConstructor.get(view.constructor);
  if (known !== undefined) return known;
  // Subclasses, and arrays of another realm.
  switch (view.constructor.name) {
    case "BigInt64Array":
      return "int64";
    case "BigUint64Array":
      return "uint64";
    case "Uint8ClampedArray":
      return "uint8";
    default: {
      const kind = Object.prototype.toString.call(view).slice(8, -6).toLowerCase();
      if (isDType(kind)) return kind;
      throw new TypeError(`${name}: got ${describe(view)}, expected a typed array, a list or a number`);
    }
  }
}

/** The bytes of a typed array, shared. */
export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** The device of the first array among arguments, else the current one. */
export function deviceOf(...xs: readonly unknown[]): Device {
  for (const x of xs) {
    if (x instanceof NDArray) return nodeOf(x).device;
    if (isSource(x)) return x[toNode]().device;
  }
  return currentDevice();
}

function isSource(x: unknown): x is { [toNode](): Node } {
  return typeof x === "object" && x !== null && toNode in x;
}

/** An argument as a node, or as a literal that still has no dtype. */
export function toOperand(name: string, x: ArrayLike, device?: Device): Operand {
  if (x instanceof NDArray) return nodeOf(x);
  const weak = weakKindOf(x);
  if (weak !== null) return { weak, value: x as Scalar };
  if (isSource(x)) return x[toNode]();
  return convert(name, x, device ?? currentDevice());
}

/** An operand as promotion sees it. */
export function promotable(x: Operand): Promotable {
  if (!(x instanceof Node)) {
    return typeof x.value === "object" ? { weak: x.weak } : { weak: x.weak, value: x.value };
  }
  if (!x.weak) return x;
  const mode = promotionMode();
  if (mode === "safe" || mode === "all") return { dtype: x.dtype, weak: true };
  const { kind } = dtypes[x.dtype];
  return { weak: kind === "u" ? "i" : kind };
}

/** An operand as a node of a dtype: arrays are cast, literals must fit. */
export function asNode(name: string, x: Operand, dtype: DType, device: Device): Node {
  if (!(x instanceof Node)) return literalNode(name, x, dtype, device);
  if (x.weak) mustFit(name, x, dtype);
  return ops.cast(x, dtype);
}

/** An argument as a node, on its own: literals get their default dtype. */
export function toNodeOf(name: string, x: ArrayLike, device?: Device): Node {
  const operand = toOperand(name, x, device);
  return operand instanceof Node
    ? operand
    : literalNode(name, operand, literalType(operand.weak), device ?? currentDevice());
}

/** Arguments as nodes on one device, each in its own dtype. */
export function toNodes<const T extends readonly ArrayLike[]>(name: string, ...xs: T): NodesOf<T> {
  const device = deviceOf(...xs);
  return xs.map((x) => toNodeOf(name, x, device)) as NodesOf<T>;
}

/** A node for each of a list of arguments. */
export type NodesOf<T extends readonly unknown[]> = { -readonly [K in keyof T]: Node };

/** Arguments as nodes of their common dtype. */
export function promote<const T extends readonly ArrayLike[]>(
  name: string,
  xs: T,
): { nodes: NodesOf<T>; dtype: DType } {
  const alike = nodesAlike(xs);
  if (alike !== null) return { nodes: alike as NodesOf<T>, dtype: alike[0]!.dtype };
  const device = deviceOf(...xs);
  const operands = xs.map((x) => toOperand(name, x, device));
  const dtype = resultType(name, operands.map(promotable));
  return { nodes: operands.map((x) => asNode(name, x, dtype, device)) as NodesOf<T>, dtype };
}

/** The nodes of arrays of one dtype, which no rule needs to decide on; null for anything else. */
export function nodesAlike(xs: readonly ArrayLike[]): Node[] | null {
  const nodes = new Array<Node>(xs.length);
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i]!;
    if (!(x instanceof NDArray)) return null;
    const node = nodes[i] = nodeOf(x);
    if (node.weak || node.dtype !== nodes[0]!.dtype) return null;
  }
  return nodes.length === 0 ? null : nodes;
}

/** The common dtype of arguments, and whether it is weak. */
export function commonType(name: string, operands: readonly Operand[]): { dtype: DType; weak: boolean } {
  return promoteOperands(name, operands.map(promotable));
}

/** A literal as a 0-d node. @throws RangeError for what the dtype cannot hold, TypeError for a complex number in a real dtype */
export function literalNode(name: string, x: Literal, dtype: DType, device: Device): Node {
  return ops.scalar(literalValue(name, x.value, dtype), dtype, device);
}

function isComplexValue(value: Scalar): value is Complex {
  return typeof value === "object";
}

/** A plain value as a dtype holds it; the nearest for floats. */
export function literalValue(name: string, value: Scalar, dtype: DType): Scalar {
  const { kind, itemsize } = dtypeInfo(dtype);
  switch (kind) {
    case "c":
      return isComplexValue(value) ? value : { re: Number(value), im: 0 };
    case "b":
      return isComplexValue(value) ? value.re !== 0 || value.im !== 0 : Boolean(value) || Number.isNaN(value);
  }
  if (isComplexValue(value)) {
    throw new TypeError(`${name}: a complex number cannot become ${dtype}; take its real or imag part`);
  }
  if (kind === "f") return Number(value);
  const whole = integer(name, value, dtype);
  return itemsize === 8 ? BigInt(whole) : Number(whole);
}

function integer(name: string, value: number | bigint | boolean, dtype: DType): number | bigint {
  if (typeof value === "number" && !Number.isInteger(value)) {
    if (!Number.isFinite(value)) throw new RangeError(`${name}: cannot convert ${value} to ${dtype}`);
    return integer(name, Math.trunc(value), dtype);
  }
  checkInteger(name, value, dtype);
  return typeof value === "boolean" ? Number(value) : value;
}

/** Anything but plain scalars and arrays of ours, as a new node. */
function convert(name: string, x: unknown, device: Device): Node {
  if (Array.isArray(x)) return fromList(name, x, null, device);
  if (ArrayBuffer.isView(x)) {
    const dtype = typeOfTypedArray(name, x);
    if ((x.buffer as ArrayBuffer).detached) {
      throw new TypeError(`${name}: got ${describe(x)} whose memory was transferred to somebody else`);
    }
    return fromBytes(bytesOf(x), [(x as unknown as TypedArray).length], dtype, device);
  }
  if (typeof x === "object" && x !== null && "shape" in x && Array.isArray(x.shape)) {
    if ("dataSync" in x && typeof x.dataSync === "function") return fromTensor(name, x as ForeignTensor, device);
    if ("data" in x) return fromObject(name, x as ForeignArray, device);
  }
  throw new TypeError(`${name}: got ${describe(x)}, expected an array, a number, a list or a typed array`);
}

interface ForeignTensor {
  dataSync(): unknown;
  readonly shape: readonly number[];
  readonly dtype?: string;
}

interface ForeignArray {
  readonly data: unknown;
  readonly shape: readonly number[];
  readonly stride?: readonly number[];
  readonly offset?: number;
}

/** A tensor that hands out its elements (tfjs). */
function fromTensor(name: string, x: ForeignTensor, device: Device): Node {
  const data = x.dataSync();
  const shape = [...x.shape];
  checkShape(name, shape);
  if (ArrayBuffer.isView(data)) {
    const own = typeOfTypedArray(name, data);
    const dtype = x.dtype === "bool" ? "bool" : x.dtype === "complex64" ? "complex64" : own;
    const bytes = bytesOf(data);
    if (bytes.byteLength !== sizeOf(shape) * dtypes[dtype].itemsize) {
      throw new ShapeError(`${name}: got ${bytes.byteLength} bytes for shape ${formatShape(shape)} of ${dtype}`);
    }
    return fromBytes(bytes, shape, dtype, device);
  }
  if (!Array.isArray(data)) throw new TypeError(`${name}: dataSync() gave ${describe(data)}, expected a typed array`);
  return within(name, () => ops.reshape(fromList(name, data, null, device), shape));
}

/** An object with data, shape and perhaps strides (scijs ndarray). */
function fromObject(name: string, x: ForeignArray, device: Device): Node {
  const shape = [...x.shape];
  checkShape(name, shape);
  const size = sizeOf(shape);
  const strides = x.stride === undefined ? contiguousStrides(shape) : [...x.stride];
  const offset = x.offset ?? 0;
  const { data } = x;
  const isView = ArrayBuffer.isView(data) && !(data instanceof DataView);
  if (!isView && !Array.isArray(data)) {
    throw new TypeError(`${name}: got an object whose data is ${describe(data)}, expected a typed array or a list`);
  }
  const source = data as { readonly length: number; readonly [i: number]: unknown };
  for (const step of [...strides, offset]) {
    if (!Number.isInteger(step)) {
      throw new TypeError(`${name}: strides and offset of an object with data must be integers, got ${describe(step)}`);
    }
  }
  if (strides.length !== shape.length) {
    throw new ShapeError(`${name}: got ${strides.length} strides for shape ${formatShape(shape)}`);
  }
  const ends = strides.map((step, d) => step * (shape[d]! - 1));
  const reach = [Math.min, Math.max].map((outer) => ends.reduce((at, end) => at + outer(end, 0), offset));
  const outside = size === 0 ? undefined : reach.find((at) => at < 0 || at >= source.length);
  if (outside !== undefined) {
    throw new ShapeError(
      `${name}: shape ${formatShape(shape)} reaches element ${outside} of data with ${source.length}`,
    );
  }
  const index = new Array<number>(shape.length).fill(0);
  const positions = new Float64Array(size);
  let at = offset;
  for (let i = 0; i < size; i++) {
    positions[i] = at;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      at -= strides[d]! * shape[d]!;
      index[d] = 0;
    }
  }
  if (!isView) {
    const list = Array.from(positions, (p) => source[p]);
    return ops.reshape(fromList(name, list, null, device), shape);
  }
  const view = data as TypedArray;
  const out = new (view.constructor as new (n: number) => TypedArray)(size);
  for (let i = 0; i < size; i++) out[i] = view[positions[i]!]!;
  return fromBytes(bytesOf(out), shape, typeOfTypedArray(name, view), device);
}

const kindBits = { b: 1, i: 2, f: 4, c: 8 } as const;

/** The most levels of nested lists: as many as NumPy's arrays have axes. */
const DEEPEST = 64;

/** The shape that the first elements of nested lists promise. @throws ShapeError for lists that are too deep, or contain themselves */
function promisedShape(name: string, list: readonly unknown[]): number[] {
  const shape: number[] = [];
  let x: unknown = list;
  while (Array.isArray(x)) {
    if (shape.length === DEEPEST) throw new ShapeError(`${name}: lists are nested more than ${DEEPEST} deep`);
    shape.push(x.length);
    x = x[0];
  }
  return shape;
}

/**
 * Nested lists as a new node.
 * @param dtype the dtype wanted, or null for what the literals are
 * @throws ShapeError for ragged lists, naming the place; TypeError for what is no number; RangeError for what the dtype cannot hold
 */
export function fromList(name: string, list: readonly unknown[], dtype: DType | null, device: Device): Node {
  const shape = promisedShape(name, list);
  const values: Scalar[] = [];
  let kinds = 0;
  let arrays = false;
  const place = (path: readonly number[]): string => `element [${path.join("][")}]`;
  const walk = (items: readonly unknown[], axis: number, path: number[]): void => {
    if (items.length !== shape[axis]) {
      const at = path.length === 0 ? "the list" : place(path);
      throw new ShapeError(`${name}: ragged nested list, ${at} has length ${items.length}, expected ${shape[axis]}`);
    }
    const last = axis === shape.length - 1;
    for (let i = 0; i < items.length; i++) {
      const x = items[i];
      if (typeof x === "number" && last) {
        kinds |= isIntegral(x) ? 2 : 4;
        values.push(x);
        continue;
      }
      path.push(i);
      if (Array.isArray(x)) {
        if (last) throw new ShapeError(`${name}: ragged nested list, ${place(path)} is a list, expected a number`);
        walk(x, axis + 1, path);
      } else {
        const weak = weakKindOf(x);
        if (weak === null) {
          if (typeof x !== "object" || x === null) {
            throw new TypeError(`${name}: ${place(path)} is ${describe(x)}, expected a number`);
          }
          arrays = true;
        } else {
          if (!last) throw new ShapeError(`${name}: ragged nested list, ${place(path)} is a number, expected a list`);
          kinds |= kindBits[weak];
          values.push(x as Scalar);
        }
      }
      path.pop();
    }
  };
  if (!hasArrays(list)) walk(list, 0, []);
  else arrays = true;
  if (arrays) return stacked(name, list, dtype, device);
  const natural = literalType(kinds >= 8 ? "c" : kinds >= 4 || kinds === 0 ? "f" : kinds >= 2 ? "i" : "b");
  const type = dtype ?? natural;
  return fromBytes(bytesOf(fill(name, values, type)), shape, type, device);
}

/** Whether the first branch of nested lists ends in an array. */
function hasArrays(list: readonly unknown[]): boolean {
  let x: unknown = list;
  while (Array.isArray(x)) x = x[0];
  return typeof x === "object" && x !== null && weakKindOf(x) === null;
}

/** Bytes of memory that few values pass through on their way to a device: an allocation takes longer than they do. */
const FEW = 1024;
const passage = new ArrayBuffer(FEW);

/** Values in a dtype's memory, to be copied before others come. */
function fill(name: string, values: readonly Scalar[], dtype: DType): TypedArray {
  const { components, kind, itemsize } = dtypeInfo(dtype);
  const type = typedArrays[dtype];
  const byteLength = values.length * itemsize;
  const out = new type(byteLength <= FEW ? passage : new ArrayBuffer(byteLength), 0, values.length * components);
  if (kind === "f" && dtype !== "bfloat16") {
    for (let i = 0; i < values.length; i++) {
      const x = values[i]!;
      out[i] = typeof x === "number" ? x : literalValue(name, x, dtype) as number;
    }
  } else if (kind === "i" || kind === "u") {
    const [low, high] = integerRange(dtype).map(Number) as [number, number];
    const words = itemsize === 8 ? new Uint32Array(out.buffer) : null;
    for (let i = 0; i < values.length; i++) {
      const x = values[i]!;
      if (typeof x !== "number" || !(x > low && x < high && Number.isInteger(x))) {
        out[i] = literalValue(name, x, dtype) as never;
      } else if (words !== null) {
        words[2 * i] = x;
        words[2 * i + 1] = Math.floor(x / 4294967296);
      } else out[i] = x;
    }
  } else if (kind === "c") {
    for (let i = 0; i < values.length; i++) {
      const { re, im } = literalValue(name, values[i]!, dtype) as Complex;
      out[2 * i] = re;
      out[2 * i + 1] = im;
    }
  } else {
    for (let i = 0; i < values.length; i++) {
      const x = literalValue(name, values[i]!, dtype);
      out[i] = dtype === "bfloat16" ? toBfloat16(x as number) : Number(x);
    }
  }
  return out;
}

/** A list with arrays in it: they are stacked along a new first axis. */
function stacked(name: string, list: readonly unknown[], dtype: DType | null, device: Device): Node {
  const home = deviceOf(...list) === currentDevice() ? device : deviceOf(...list);
  const nodes = list.map((x) =>
    Array.isArray(x) ? fromList(name, x, null, home) : toNodeOf(name, x as ArrayLike, home)
  );
  const first = nodes[0]!;
  nodes.forEach((x, i) => {
    if (!sameShape(x.shape, first.shape)) {
      throw new ShapeError(
        `${name}: ragged nested list, element [${i}] has shape ${formatShape(x.shape)}, expected ${
          formatShape(first.shape)
        }`,
      );
    }
  });
  const type = dtype ?? resultType(name, nodes);
  return ops.concatenate(nodes.map((x) => ops.expand(ops.cast(x, type), [0])), 0);
}

/** A literal or list in a dtype at once, anything else cast to it; with no dtype, what it is. */
export function toTyped(name: string, x: ArrayLike, dtype: DType | null, device?: Device): Node {
  const home = device ?? deviceOf(x);
  if (Array.isArray(x)) return fromList(name, x, dtype, home);
  const operand = toOperand(name, x, home);
  if (operand instanceof Node) {
    if (dtype === null) return operand;
    if (operand.weak) mustFit(name, operand, dtype);
    return ops.cast(operand, dtype);
  }
  return literalNode(name, operand, dtype ?? literalType(operand.weak), home);
}

/** Casts as assignment does: integers for indices and such must already be integers. @throws TypeError */
export function toInt64(name: string, what: string, x: ArrayLike, device: Device): Node {
  const operand = toOperand(name, x, device);
  if (!(operand instanceof Node)) {
    if (operand.weak !== "i") throw new TypeError(`${name}: ${what} must be integers, got ${describe(x)}`);
    return literalNode(name, operand, "int64", device);
  }
  if (operand.size === 0 && Array.isArray(x)) return ops.cast(operand, "int64");
  if (!isInteger(operand.dtype)) throw new TypeError(`${name}: ${what} must be integers, got dtype ${operand.dtype}`);
  return ops.cast(operand, "int64");
}

/** Checks a cast as NumPy does for `dtype=`. @throws TypeError */
export function checkReal(name: string, x: Node): void {
  if (isComplex(x.dtype)) throw new TypeError(`${name}: got dtype ${x.dtype}, expected a real one`);
}
