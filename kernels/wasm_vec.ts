/**
 * Four points of one dtype as vectors, in memory and out of it.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import type { WasmOp } from "./wasm_binary.ts";
import type { Graph, Value } from "./wasm_graph.ts";

/** How four points are held: one vector of 32-bit lanes, or two of 64-bit ones; masks of either width for bools. */
export type VecForm = "f32" | "f64" | "i32" | "i64" | "m32" | "m64";

/** Four points. */
export interface Vec {
  readonly form: VecForm;
  /** One vector, or two. */
  readonly parts: readonly Value[];
}

/** The instructions of a form. */
export const shapes = {
  f32: "f32x4",
  f64: "f64x2",
  i32: "i32x4",
  i64: "i64x2",
  m32: "i32x4",
  m64: "i64x2",
} as const satisfies Record<VecForm, string>;

/** The form of a dtype; a bool has either mask. */
export function formOf(dtype: ScalarType): VecForm {
  const { kind, itemsize } = dtypes[dtype];
  if (kind === "b") return "m32";
  return kind === "f" ? (itemsize === 8 ? "f64" : "f32") : itemsize === 8 ? "i64" : "i32";
}

/** Vectors a form takes. */
export function partsOf(form: VecForm): 1 | 2 {
  return form.endsWith("64") ? 2 : 1;
}

export function isHalf(dtype: ScalarType): boolean {
  return dtype === "float16" || dtype === "bfloat16";
}

export function signed(dtype: ScalarType): boolean {
  return dtypes[dtype].kind === "i";
}

/** An operation on the vectors of two values. */
export function zip(form: VecForm, x: Vec, y: Vec, f: (a: Value, b: Value) => Value): Vec {
  return { form, parts: x.parts.map((a, i) => f(a, y.parts[i]!)) };
}

/** A bool as a mask of a width. */
export function maskOf(g: Graph, x: Vec, form: "m32" | "m64"): readonly Value[] {
  if (x.form === form) return x.parts;
  const [p, q] = x.parts;
  if (form === "m32") return [g.shuffle(p!, q!, 4, [0, 2, 4, 6])];
  return [g.op("i64x2.extend_low_i32x4_s", [p!]), g.op("i64x2.extend_high_i32x4_s", [p!])];
}

/** Integers as their dtype holds them: the small ones live sign- or zero-extended in 32 bits. */
export function wrapInt(g: Graph, dtype: ScalarType, v: Value): Value {
  const unused = 32 - dtypes[dtype].itemsize * 8;
  if (unused <= 0) return v;
  if (!signed(dtype)) return g.op("v128.and", [v, g.splat("i32", 2 ** (32 - unused) - 1)]);
  return g.op("i32x4.shr_s", [g.op("i32x4.shl", [v, g.i32(unused)]), g.i32(unused)]);
}

/** The bits of a half precision that is nearest to a float32, in 32-bit lanes. */
export function halfBits(g: Graph, dtype: ScalarType, x: Value): Value {
  const i = (v: number) => g.splat("i32", v), shr = (v: Value, n: number) => g.op("i32x4.shr_u", [v, g.i32(n)]);
  const add = (a: Value, b: Value) => g.op("i32x4.add", [a, b]), and = (a: Value, b: Value) => g.op("v128.and", [a, b]);
  const select = (c: Value, a: Value, b: Value) => g.op("v128.bitselect", [a, b, c]);
  const or = (a: Value, b: Value) => g.op("v128.or", [a, b]);
  if (dtype === "bfloat16") {
    const rounded = shr(add(add(x, i(0x7fff)), and(shr(x, 16), i(1))), 16);
    return select(g.op("f32x4.ne", [x, x]), or(shr(x, 16), i(0x40)), rounded);
  }
  const a = and(x, i(0x7fffffff)), sign = and(shr(x, 16), i(0x8000));
  const normal = shr(add(add(a, and(shr(a, 13), i(1))), i(0xfff - 0x38000000)), 13);
  // Adding 1/2 moves the last place of a subnormal half to the last place of a float.
  const subnormal = g.op("i32x4.sub", [g.op("f32x4.add", [a, g.splat("f32", 0.5)]), i(0x3f000000)]);
  const finite = select(g.op("i32x4.lt_s", [a, i(0x38800000)]), subnormal, normal);
  const large = select(g.op("i32x4.gt_s", [a, i(0x7f800000)]), i(0x7e00), i(0x7c00));
  const overflow = g.op("i32x4.ge_s", [a, i(0x477ff000)]);
  return or(select(overflow, large, finite), sign);
}

/** The float32 with the value of a half precision's bits. */
export function halfValue(g: Graph, dtype: ScalarType, bits: Value): Value {
  const i = (v: number) => g.splat("i32", v), shl = (v: Value, n: number) => g.op("i32x4.shl", [v, g.i32(n)]);
  if (dtype === "bfloat16") return shl(bits, 16);
  // The bits of a half, moved up, are its value times 2^-112.
  const m = shl(g.op("v128.and", [bits, i(0x7fff)]), 13);
  const finite = g.op("f32x4.mul", [m, g.splat("f32", 2 ** 112)]);
  const special = g.op("i32x4.ge_s", [m, i(0x0f800000)]);
  const value = g.op("v128.bitselect", [g.op("v128.or", [m, i(0x7f800000)]), finite, special]);
  return g.op("v128.or", [value, shl(g.op("v128.and", [bits, i(0x8000)]), 16)]);
}

/** A float32 as the nearest value of a half precision. */
export function roundHalf(g: Graph, dtype: ScalarType, x: Value): Value {
  return halfValue(g, dtype, halfBits(g, dtype, x));
}

/** Reads four points at a fixed place plus an address; of complex numbers one component. */
export function loadVec(
  g: Graph,
  dtype: ScalarType,
  components: 1 | 2,
  component: 0 | 1,
  address: Value,
  offset: number,
): Vec {
  const { itemsize } = dtypes[dtype], form = formOf(dtype);
  const vector = (i: number) => g.load("v128.load", address, offset + 16 * i);
  if (components === 2) {
    const parts = (itemsize === 8 ? [0, 2] : [0]).map((i) =>
      g.shuffle(vector(i), vector(i + 1), itemsize, (itemsize === 8 ? [0, 2] : [0, 2, 4, 6]).map((k) => k + component))
    );
    return { form, parts };
  }
  if (itemsize === 8) return { form, parts: [vector(0), vector(1)] };
  if (itemsize === 4) return { form, parts: [vector(0)] };
  const s = signed(dtype) ? "s" : "u";
  const words = itemsize === 2
    ? g.load("v128.load64_zero", address, offset)
    : g.op(`i16x8.extend_low_i8x16_${s}`, [g.load("v128.load32_zero", address, offset)]);
  const v = g.op(`i32x4.extend_low_i16x8_${s}`, [words]);
  if (dtype === "bool") return { form, parts: [g.op("i32x4.ne", [v, g.splat("i32", 0)])] };
  return { form, parts: [isHalf(dtype) ? halfValue(g, dtype, v) : v] };
}

/** What is stored for four points: whole vectors, or the first `bytes` of one. */
export interface Stored {
  readonly values: readonly Value[];
  readonly bytes: 4 | 8 | 16;
}

/** Four points, one `Vec` a component, as they lie in memory. */
export function storedVec(g: Graph, dtype: ScalarType, components: readonly Vec[]): Stored {
  const { itemsize } = dtypes[dtype];
  const [re, im] = components as [Vec, Vec?];
  if (im !== undefined) {
    const lanes = itemsize === 8 ? [[0, 2], [1, 3]] : [[0, 4, 1, 5], [2, 6, 3, 7]];
    const values = re.parts.flatMap((p, i) => lanes.map((pick) => g.shuffle(p, im.parts[i]!, itemsize, pick)));
    return { values, bytes: 16 };
  }
  if (itemsize >= 4) return { values: re.parts, bytes: 16 };
  let v = dtype === "bool" ? g.op("v128.and", [maskOf(g, re, "m32")[0]!, g.splat("i32", 1)]) : re.parts[0]!;
  if (isHalf(dtype)) v = halfBits(g, dtype, v);
  const zero = g.splat("i32", 0);
  return itemsize === 2
    ? { values: [g.shuffle(v, zero, 2, [0, 2, 4, 6, 8, 8, 8, 8])], bytes: 8 }
    : { values: [g.shuffle(v, zero, 1, [0, 4, 8, 12, ...Array.from({ length: 12 }, () => 16)])], bytes: 4 };
}

/** A scalar argument in all lanes. It lies in memory as its form: halves as the float32 of their value, small integers as int32. */
export function scalarVec(g: Graph, dtype: ScalarType, address: Value, offset: number): Vec {
  const form = formOf(dtype);
  const load = (op: WasmOp) => g.load(op, address, offset);
  if (form === "f64" || form === "i64") {
    const v = load("v128.load64_splat");
    return { form, parts: [v, v] };
  }
  if (form === "m32") return { form, parts: [g.op("i32x4.ne", [load("v128.load32_splat"), g.splat("i32", 0)])] };
  if (form === "i32") return { form, parts: [wrapInt(g, dtype, load("v128.load32_splat"))] };
  return { form, parts: [load("v128.load32_splat")] };
}

/** A vector of zeros. */
export function zeros(g: Graph, form: VecForm): Vec {
  const zero = g.splat("i32", 0);
  return { form, parts: Array.from({ length: partsOf(form) }, () => zero) };
}

/** Points `i` and `i ^ distance` exchanged. */
export function permuted(g: Graph, x: Vec, distance: number): Vec {
  const [p, q] = x.parts;
  if (q === undefined) {
    const v = distance === 2 ? g.shuffle(p!, p!, 8, [1, 0]) : g.shuffle(p!, p!, 4, [1, 0, 3, 2]);
    return { form: x.form, parts: [v] };
  }
  return { form: x.form, parts: distance === 2 ? [q, p!] : x.parts.map((v) => g.shuffle(v, v, 8, [1, 0])) };
}

/** A vector whose first lane is one of the four points. */
export function laneFirst(g: Graph, { parts: [p, q] }: Vec, lane: number): Value {
  if (q === undefined) return lane === 0 ? p! : g.shuffle(p!, p!, 4, [lane, lane, lane, lane]);
  const part = lane < 2 ? p! : q;
  return lane % 2 === 0 ? part : g.shuffle(part, part, 8, [1, 1]);
}
