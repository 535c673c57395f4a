/**
 * Computes small graphs node by node, without a plan: what comes once is done before a plan of it would be made. What an operation
 * gives is what the JavaScript kernels give: each node's values are rounded by the typed array that holds them.
 * @module
 */
import { type DType, dtypeInfo, type TypedArray, typedArrays } from "../base/dtype.ts";
import { broadcastStrides, contiguousStrides, isContiguous, sizeOf } from "../base/shape.ts";
import type { View } from "../core/primitive.ts";
import { type Node, Storage } from "../core/trace.ts";
import type { Buffer, Device } from "../device/device.ts";
import { hostOf } from "../device/host.ts";
import { flags, type Walk } from "../graph/topo.ts";
import { helpers } from "../../kernels/preamble/js.ts";

/** Most nodes, and most elements that they read or write, of a graph that is computed so. */
const MAX_NODES = 64, MAX_ELEMENTS = 16384;
/** Most multiplications of a product, and about as many comparisons of a sort. */
const MAX_STEPS = 65536;

/** An element; where a dtype has 64-bit integers, bigints stand in for numbers, which all that such dtypes are given to takes as well. */
type Operation = (x: number, y: number) => number;

/** Values in C order or not. */
interface Value {
  readonly data: TypedArray;
  readonly view: View;
}

/** On floats. */
const floats: Readonly<Record<string, Operation>> = {
  abs: Math.abs,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  rint: helpers.rint,
  sign: helpers.sign,
  sqrt: Math.sqrt,
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  expm1: Math.expm1,
  log: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  pow: helpers.pow,
  isnan: (x) => Number(x !== x),
};

/** On integers; typed arrays wrap what they are given. */
const integers: Readonly<Record<string, Operation>> = {
  mul: Math.imul,
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  xor: (x, y) => x ^ y,
};

/** On integers of 64 bits. */
const bigs: Readonly<Record<string, Operation>> = { ...integers, mul: (x, y) => x * y };

/** On floats and on integers of any width. */
const numbers: Readonly<Record<string, Operation>> = {
  neg: (x) => -x,
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  maximum: (x, y) => x > y || x !== x ? x : y,
  minimum: (x, y) => x < y || x !== x ? x : y,
};

/** On any real dtype. */
const comparisons: Readonly<Record<string, Operation>> = {
  less: (x, y) => Number(x < y),
  less_equal: (x, y) => Number(x <= y),
  equal: (x, y) => Number(x === y),
  not_equal: (x, y) => Number(x !== y),
};

const bools: Readonly<Record<string, Operation>> = {
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  not: (x) => x ^ 1,
};

/** The operation of a primitive on a dtype; undefined where it is a plan's. */
function operationOf(name: string, dtype: DType): Operation | undefined {
  const shared = comparisons[name];
  if (shared !== undefined) return shared;
  const { kind, itemsize } = dtypeInfo(dtype);
  if (kind === "b") return bools[name];
  return numbers[name] ?? (kind === "f" ? floats : itemsize === 8 ? bigs : integers)[name];
}

/** The conversion between dtypes; undefined where it is a plan's. */
function castOf(from: DType, to: DType): Operation | undefined {
  const a = dtypeInfo(from), b = dtypeInfo(to);
  const long = a.kind !== "f" && a.itemsize === 8;
  switch (b.kind) {
    case "b":
      return (x) => Number(x != 0);
    case "f":
      return long && to !== "float64" ? undefined : Number;
    default:
      if (a.kind === "f" || (long && b.itemsize < 8)) return undefined;
      return b.itemsize < 8 ? (x) => x : BigInt as unknown as Operation;
  }
}

/** Whether values of a dtype are computed so: what has a typed array whose elements are its numbers. */
function isPlain(dtype: DType): boolean {
  const { kind, itemsize } = dtypeInfo(dtype);
  return kind !== "c" && (kind !== "f" || itemsize >= 4);
}

function dense(shape: readonly number[]): View {
  return { shape, strides: contiguousStrides(shape), offset: 0 };
}

function fresh(dtype: DType, size: number): TypedArray {
  const type = typedArrays[dtype];
  return new type(new ArrayBuffer(size * type.BYTES_PER_ELEMENT), 0, size);
}

/** Where the elements of a view lie, in C order. */
function places({ shape, strides, offset }: View): number[] {
  let at = [offset];
  for (let d = 0; d < shape.length; d++) {
    const length = shape[d]!, stride = strides[d]!, next = new Array<number>(at.length * length);
    for (let k = 0, to = 0; k < at.length; k++) {
      for (let i = 0, from = at[k]!; i < length; i++, from += stride) next[to++] = from;
    }
    at = next;
  }
  return at;
}

/** The elements of a view in C order: where they lie if they lie so, else copied. */
function ordered({ data, view }: Value): TypedArray {
  const { shape, strides, offset } = view, size = sizeOf(shape);
  if (isContiguous(shape, strides)) return size === data.length ? data : data.subarray(offset, offset + size);
  const out = new (data.constructor as typeof Float64Array)(size), from = data as Float64Array;
  if (strides.every((stride) => stride === 0)) return out.fill(from[offset]!);
  const at = places(view);
  for (let i = 0; i < size; i++) out[i] = from[at[i]!]!;
  return out;
}

/** The elements that are read for each element of a shape. */
function spread({ data, view: { shape, strides, offset } }: Value, to: readonly number[]): TypedArray {
  return ordered({ data, view: { shape: to, strides: broadcastStrides("interpret", shape, strides, to), offset } });
}

function map(node: Node, ins: readonly Value[]): TypedArray | null {
  const { name } = node.prim!, { shape, dtype, size } = node;
  const out = fresh(dtype, size);
  if (name === "where") {
    const [c, x, y] = ins.map((value) => spread(value, shape)) as [TypedArray, TypedArray, TypedArray];
    for (let i = 0; i < size; i++) out[i] = c[i] ? x[i]! : y[i]!;
    return out;
  }
  const from = node.inputs[0]!.dtype;
  const f = name === "cast" ? castOf(from, dtype) : operationOf(name, from);
  if (f === undefined) return null;
  const x = spread(ins[0]!, shape), y = ins.length < 2 ? x : spread(ins[1]!, shape);
  for (let i = 0; i < size; i++) out[i] = f(x[i] as number, y[i] as number);
  return out;
}

/** Values that are added up in a row; the sums of these are added up in pairs. */
const BLOCK = 16;

/** The sum of float64, as the JavaScript kernels do it. */
function sum64(data: TypedArray, from: number, to: number): number {
  const sums: number[] = [];
  let count = 0;
  for (let i = from; i < to;) {
    const end = Math.min(to, i + BLOCK);
    let sum = 0;
    for (; i < end; i++) sum += data[i] as number;
    for (let c = count++; c & 1; c >>>= 1) sum += sums.pop()!;
    sums.push(sum);
  }
  let sum = 0;
  while (sums.length > 0) sum += sums.pop()!;
  return sum;
}

const reductions: Readonly<Record<string, (dtype: DType) => Operation | undefined>> = {
  sum: (dtype) => dtype === "bool" ? undefined : numbers["add"],
  max: (dtype) => dtype === "bool" ? bools["or"] : numbers["maximum"],
  min: (dtype) => dtype === "bool" ? bools["and"] : numbers["minimum"],
  any: () => bools["or"],
  all: () => bools["and"],
};

function reduce(node: Node, { data, view }: Value): TypedArray | null {
  const { lower, name } = node.prim!, { dtype } = node.inputs[0]!;
  const f = reductions[name]?.(dtype);
  if (lower.as !== "reduce" || f === undefined || node.dtype !== dtype) return null;
  const axes = lower.axes(node.params), order = [...view.shape.keys()].filter((d) => !axes.includes(d)).concat(axes);
  const x = ordered({
    data,
    view: {
      shape: order.map((d) => view.shape[d]!),
      strides: order.map((d) => view.strides[d]!),
      offset: view.offset,
    },
  });
  const out = fresh(dtype, node.size), each = x.length / node.size;
  if (x.length === 0) return null;
  for (let k = 0; k < node.size; k++) {
    const from = k * each, to = from + each;
    if (name === "sum" && dtype === "float64") {
      out[k] = sum64(x, from, to);
      continue;
    }
    // Sums of float32 are of float64 until they are stored.
    let acc = x[from] as number;
    for (let i = from + 1; i < to; i++) acc = f(acc, x[i] as number);
    // A sum begins with 0: that of nothing but -0 is 0.
    out[k] = name === "sum" && acc === 0 ? 0 : acc;
  }
  return out;
}

/** The scalar product of a row of one matrix and a column of another that lies like a row. */
function dot(a: TypedArray, i: number, b: TypedArray, j: number, length: number, zero: number): number {
  let sum = zero;
  for (const end = i + length; i < end; i++, j++) sum += (a[i] as number) * (b[j] as number);
  return sum;
}

/** Products of matrices, added up as the JavaScript routine does it; null for dtypes whose products float64 cannot hold. */
function matmul({ shape, dtype, size }: Node, x: Value, y: Value): TypedArray | null {
  const batch = shape.slice(0, -2), m = shape.at(-2)!, n = shape.at(-1)!, k = x.view.shape.at(-1)!;
  const { kind, itemsize } = dtypeInfo(dtype);
  if (size * k > MAX_STEPS || kind === "b" || kind !== "f" && itemsize === 4) return null;
  const { shape: from, strides, offset } = y.view, axes = from.length - 2;
  const swap = (list: readonly number[]) => [...list.slice(0, axes), list[axes + 1]!, list[axes]!];
  const columns = { data: y.data, view: { shape: swap(from), strides: swap(strides), offset } };
  const a = spread(x, [...batch, m, k]), b = spread(columns, [...batch, n, k]);
  const out = fresh(dtype, size), zero = (kind !== "f" && itemsize === 8 ? 0n : 0) as number;
  for (let row = 0, at = 0; row * n < size; row++) {
    const first = Math.floor(row / m) * n;
    for (let column = first; column < first + n; column++) out[at++] = dot(a, row * k, b, column * k, k, zero);
  }
  return out;
}

/** In the order of sorting, where NaN is last. */
const compare: Operation = (x, y) => x < y ? -1 : x > y ? 1 : Number(x !== x) - Number(y !== y);

/** Puts a row in order, of equal elements the first one first. */
function sortRow(row: Float64Array): void {
  const before = row.slice();
  row.sort();
  // The method puts -0 before 0.
  const first = row.indexOf(0), last = row.lastIndexOf(0);
  if (!Object.is(row[first], row[last])) row.set(before.filter((x) => x === 0), first);
}

/** Rows in order, or where each of their elements stood. */
function sort({ dtype, size }: Node, value: Value, positions: boolean): TypedArray | null {
  const n = value.view.shape.at(-1)!;
  if (size * Math.log2(n + 1) > MAX_STEPS) return null;
  const data = ordered(value), out = fresh(dtype, size) as Float64Array;
  if (!positions) out.set(data as Float64Array);
  for (let from = 0; from < size; from += n) {
    const row = out.subarray(from, from + n);
    if (!positions) {
      sortRow(row);
      continue;
    }
    const order = Array.from(row.keys());
    order.sort((i, j) => compare(data[from + i] as number, data[from + j] as number));
    (row as unknown as BigInt64Array).set(order.map(BigInt));
  }
  return out;
}

function routine(node: Node, ins: readonly Value[]): TypedArray | null {
  switch (node.prim!.name) {
    case "matmul":
      return matmul(node, ins[0]!, ins[1]!);
    case "sort":
      return sort(node, ins[0]!, false);
    case "argsort":
      return sort(node, ins[0]!, true);
    default:
      return null;
  }
}

function computed(node: Node, ins: readonly Value[]): TypedArray | null {
  switch (node.prim!.lower.as) {
    case "map":
      return map(node, ins);
    case "reduce":
      return reduce(node, ins[0]!);
    case "routine":
      return routine(node, ins);
    default:
      return null;
  }
}

function valueOf(node: Node, values: readonly Value[]): Value | null {
  const { lower } = node.prim!;
  if (lower.as === "scalar") {
    const data = fresh(node.dtype, 1);
    data[0] = lower.value(node.params) as number;
    return { data, view: dense([]) };
  }
  const ins: Value[] = [];
  for (let i = 0; i < node.inputs.length; i++) ins.push(values[node.inputs[i]!.mark]!);
  if (lower.as === "view") {
    const { data, view } = ins[0]!;
    const moved = lower.view(view, node.params);
    return moved === null ? null : { data, view: moved };
  }
  const data = computed(node, ins);
  return data === null ? null : { data, view: dense(node.shape) };
}

/** Whether a graph is small and of dtypes that are computed so. */
function isSmall({ nodes, count }: Walk): boolean {
  if (count > MAX_NODES) return false;
  let elements = 0;
  for (let i = 0; i < count; i++) {
    const { size, dtype, inputs } = nodes[i]!;
    if (!isPlain(dtype)) return false;
    elements += size;
    for (let k = 0; k < inputs.length; k++) elements += inputs[k]!.size;
    if (elements > MAX_ELEMENTS && inputs.length > 0) return false;
  }
  return true;
}

/** The values of a walk's nodes; null where one is a plan's. */
function valuesOf(walk: Walk): Value[] | null {
  const { nodes, count } = walk, values: Value[] = [];
  for (let i = 0; i < count; i++) {
    const node = nodes[i]!, { storage, shape, strides, offset, dtype } = node;
    if (storage === null) {
      const value = valueOf(node, values);
      if (value === null) return null;
      values.push(value);
    } else {
      const host = hostOf(storage.buffer);
      const start = host.byteOffset / dtypeInfo(dtype).itemsize;
      values.push({ data: host.memory.view(dtype), view: { shape, strides, offset: start + offset } });
    }
  }
  return values;
}

/** Memory with a value in C order. */
function store({ dtype, size }: Node, value: Value, device: Device): Buffer {
  const buffer = device.allocate(size * dtypeInfo(dtype).itemsize), host = hostOf(buffer);
  const out = host.memory.view(dtype) as Float64Array, start = host.byteOffset / dtypeInfo(dtype).itemsize;
  out.set(ordered(value) as Float64Array, start);
  return buffer;
}

/**
 * Computes a small graph and finishes those of its nodes whose values can be asked for.
 *
 * @param walk a graph on a device with host memory, where nothing waits
 * @returns whether it was computed; else nothing happened
 * @throws OutOfMemoryError; then nothing happened either
 */
export function interpret(walk: Walk, device: Device): boolean {
  if (!isSmall(walk)) return false;
  const values = valuesOf(walk);
  if (values === null) return false;
  const { nodes, count } = walk, kept: Node[] = [], storages: Storage[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const node = nodes[i]!;
      if (node.storage !== null || (walk.flags[i]! & (flags.root | flags.held)) === 0) continue;
      if ((walk.flags[i]! & flags.root) === 0 && (node.prim!.lower.as === "view" || node.inputs.length === 0)) continue;
      storages.push(new Storage(store(node, values[i]!, device)).hold());
      kept.push(node);
    }
  } catch (error) {
    for (const storage of storages) storage.drop();
    throw error;
  }
  for (let i = 0; i < kept.length; i++) kept[i]!.finish(storages[i]!, 0, contiguousStrides(kept[i]!.shape));
  for (let i = 0; i < storages.length; i++) storages[i]!.drop();
  return true;
}
