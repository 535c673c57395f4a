/**
 * Computes small graphs node by node, without a plan: what comes once is done before a plan of it would be made. What an operation
 * gives is what the JavaScript kernels give: each node's values are rounded by the typed array that holds them.
 * @module
 */
import { type DType, dtypeInfo, type TypedArray, typedArrays } from "../base/dtype.ts";
import { broadcastStrides, contiguousStrides } from "../base/shape.ts";
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
    const next: number[] = [], length = shape[d]!, stride = strides[d]!;
    for (let k = 0; k < at.length; k++) for (let i = 0; i < length; i++) next.push(at[k]! + i * stride);
    at = next;
  }
  return at;
}

/** Where the elements lie that are read for each element of a shape. */
function spread({ view: { shape, strides, offset } }: Value, to: readonly number[]): number[] {
  return places({ shape: to, strides: broadcastStrides("interpret", shape, strides, to), offset });
}

function map(node: Node, ins: readonly Value[]): TypedArray | null {
  const { name } = node.prim!, { shape, dtype, size } = node;
  const out = fresh(dtype, size);
  if (name === "where") {
    const [c, x, y] = ins as [Value, Value, Value];
    const at = spread(c, shape), a = spread(x, shape), b = spread(y, shape);
    for (let i = 0; i < size; i++) out[i] = c.data[at[i]!] ? x.data[a[i]!]! : y.data[b[i]!]!;
    return out;
  }
  const from = node.inputs[0]!.dtype;
  const f = name === "cast" ? castOf(from, dtype) : operationOf(name, from);
  if (f === undefined) return null;
  const x = ins[0]!, y = ins[1] ?? x;
  const a = spread(x, shape), b = y === x ? a : spread(y, shape);
  const { data } = x, other = y.data;
  for (let i = 0; i < size; i++) out[i] = f(data[a[i]!] as number, other[b[i]!] as number);
  return out;
}

/** Values that are added up in a row; the sums of these are added up in pairs. */
const BLOCK = 16;

/** The sum of float64, as the JavaScript kernels do it. */
function sum64(data: TypedArray, at: readonly number[], from: number, to: number): number {
  const sums: number[] = [];
  let count = 0;
  for (let i = from; i < to;) {
    const end = Math.min(to, i + BLOCK);
    let sum = 0;
    for (; i < end; i++) sum += data[at[i]!] as number;
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
  const at = places({
    shape: order.map((d) => view.shape[d]!),
    strides: order.map((d) => view.strides[d]!),
    offset: view.offset,
  });
  const out = fresh(dtype, node.size), each = at.length / node.size;
  if (at.length === 0) return null;
  for (let k = 0; k < node.size; k++) {
    const from = k * each, to = from + each;
    if (name === "sum" && dtype === "float64") {
      out[k] = sum64(data, at, from, to);
      continue;
    }
    // Sums of float32 are of float64 until they are stored.
    let acc = data[at[from]!] as number;
    for (let i = from + 1; i < to; i++) acc = f(acc, data[at[i]!] as number);
    // A sum begins with 0: that of nothing but -0 is 0.
    out[k] = name === "sum" && acc === 0 ? 0 : acc;
  }
  return out;
}

/** Products of matrices, added up as the JavaScript routine does it; null for dtypes whose products float64 cannot hold. */
function matmul({ shape, dtype, size }: Node, x: Value, y: Value): TypedArray | null {
  const batch = shape.slice(0, -2), m = shape.at(-2)!, n = shape.at(-1)!, k = x.view.shape.at(-1)!;
  const { kind, itemsize } = dtypeInfo(dtype);
  if (size * k > MAX_STEPS || kind === "b" || kind !== "f" && itemsize === 4) return null;
  const { shape: from, strides, offset } = y.view, axes = from.length - 2;
  const swap = (list: readonly number[]) => [...list.slice(0, axes), list[axes + 1]!, list[axes]!];
  const columns = { data: y.data, view: { shape: swap(from), strides: swap(strides), offset } };
  const a = spread(x, [...batch, m, k]).map((i) => x.data[i] as number);
  const b = spread(columns, [...batch, n, k]).map((i) => y.data[i] as number);
  const out = fresh(dtype, size), zero = (kind !== "f" && itemsize === 8 ? 0n : 0) as number;
  let at = 0;
  for (let row = 0; row * n < size; row++) {
    const first = Math.floor(row / m) * n;
    for (let column = first; column < first + n; column++) {
      let sum = zero;
      for (let i = row * k, j = column * k, end = i + k; i < end; i++, j++) sum += a[i]! * b[j]!;
      out[at++] = sum;
    }
  }
  return out;
}

/** In the order of sorting, where NaN is last. */
const compare: Operation = (x, y) => x < y ? -1 : x > y ? 1 : Number(x !== x) - Number(y !== y);

/** Rows in order, or where each of their elements stood. */
function sort({ dtype, size }: Node, { data, view }: Value, positions: boolean): TypedArray | null {
  const n = view.shape.at(-1)!;
  if (size * Math.log2(n + 1) > MAX_STEPS) return null;
  const at = places(view), out = fresh(dtype, size);
  for (let from = 0; from < size; from += n) {
    const row = at.slice(from, from + n), order = [...row.keys()];
    order.sort((i, j) => compare(data[row[i]!] as number, data[row[j]!] as number));
    for (let i = 0; i < n; i++) out[from + i] = positions ? BigInt(order[i]!) : data[row[order[i]!]!]!;
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
function store({ dtype, size }: Node, { data, view }: Value, device: Device): Buffer {
  const buffer = device.allocate(size * dtypeInfo(dtype).itemsize), host = hostOf(buffer);
  const out = host.memory.view(dtype), at = places(view);
  const start = host.byteOffset / dtypeInfo(dtype).itemsize;
  for (let i = 0; i < at.length; i++) out[start + i] = data[at[i]!]!;
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
