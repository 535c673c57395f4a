/**
 * Conversions of the WebAssembly dialect.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import type { Graph, Value } from "./wasm_graph.ts";
import { demote, promote } from "./wasm_math.ts";
import { formOf, isHalf, maskOf, roundHalf, shapes, signed, type Vec, wrapInt } from "./wasm_vec.ts";

/** Four points as another dtype, as C and NumPy convert. */
export function castVec(g: Graph, x: Vec, from: ScalarType, to: ScalarType): Vec {
  if (from === to) return x;
  if (to === "bool") {
    const zero = g.splat("i32", 0);
    return {
      form: x.parts.length === 2 ? "m64" : "m32",
      parts: x.parts.map((v) => g.op(`${shapes[x.form]}.ne`, [v, zero])),
    };
  }
  const form = formOf(to);
  if (from === "bool") {
    const masks = maskOf(g, x, form === "f64" || form === "i64" ? "m64" : "m32");
    const one = g.splat(form as "f32" | "f64" | "i32" | "i64", 1);
    return { form, parts: masks.map((m) => g.op("v128.and", [m, one])) };
  }
  return { form, parts: convert(g, x, from, to) };
}

function convert(g: Graph, x: Vec, from: ScalarType, to: ScalarType): readonly Value[] {
  const target = formOf(to), s = signed(from) ? "s" : "u";
  const [v] = x.parts as [Value];
  const rounded = (r: Value) => isHalf(to) ? roundHalf(g, to, r) : r;
  const lanes = (name: string, shape: "f64x2" | "i64x2", args: readonly Value[]) =>
    args.map((p) => g.call({ shape, name, arity: 1 }, [p]));
  switch (x.form) {
    case "i32":
      if (target === "i32") return [wrapInt(g, to, v)];
      if (target === "i64") {
        return [g.op(`i64x2.extend_low_i32x4_${s}`, [v]), g.op(`i64x2.extend_high_i32x4_${s}`, [v])];
      }
      if (target === "f32") return [rounded(g.op(`f32x4.convert_i32x4_${s}`, [v]))];
      return [v, g.shuffle(v, v, 8, [1, 1])].map((h) => g.op(`f64x2.convert_low_i32x4_${s}`, [h]));
    case "i64":
      if (target === "i64") return x.parts;
      if (target === "i32") return [wrapInt(g, to, g.shuffle(v, x.parts[1]!, 4, [0, 2, 4, 6]))];
      if (target === "f64") return lanes(`f64_${s}64`, "i64x2", x.parts);
      // Rounded once: the lane's float32 is kept as float64.
      return [rounded(demote(g, lanes(`f32_${s}64`, "i64x2", x.parts)))];
    default:
      break;
  }
  if (target === "f64") return promote(g, v);
  if (target === "f32") {
    if (x.form === "f32") return [rounded(v)];
    return [
      isHalf(to) ? roundHalf(g, to, to === "float16" ? odd(g, x.parts) : demote(g, x.parts)) : demote(g, x.parts),
    ];
  }
  if (target === "i64") {
    const wide = x.form === "f64" ? x.parts : promote(g, v);
    return lanes(`to_${dtypes[to].kind === "u" ? "u" : "s"}64`, "f64x2", wide);
  }
  if (to === "uint32") {
    const wide = x.form === "f64" ? x.parts : promote(g, v);
    const limit = g.splat("f64", 2147483648), flip = g.splat("i32", -0x80000000);
    const large = wide.map((w) => g.op("f64x2.ge", [w, limit]));
    // A float16 fits, or is not finite.
    if (from === "float16") {
      const finite = g.op("f32x4.lt", [g.op("f32x4.abs", [v]), g.splat("f32", Infinity)]);
      return [g.op("v128.and", [truncate(g, wide), finite])];
    }
    const low = truncate(g, wide), high = truncate(g, wide.map((w) => g.op("f64x2.sub", [w, limit])));
    const mask = maskOf(g, { form: "m64", parts: large }, "m32")[0]!;
    return [g.op("v128.bitselect", [g.op("v128.xor", [high, flip]), low, mask])];
  }
  if (x.form === "f64") return [wrapInt(g, to, truncate(g, x.parts))];
  const inside = g.op("f32x4.lt", [v, g.splat("f32", 2147483648)]);
  const smallest = g.splat("i32", -0x80000000);
  return [wrapInt(g, to, g.op("v128.bitselect", [g.op("i32x4.trunc_sat_f32x4_s", [v]), smallest, inside]))];
}

/** float64 truncated to int32; NaN and what does not fit give the smallest. */
function truncate(g: Graph, x: readonly Value[]): Value {
  const words = x.map((v) => g.op("i32x4.trunc_sat_f64x2_s_zero", [v]));
  const inside = x.map((v) => g.op("f64x2.lt", [v, g.splat("f64", 2147483648)]));
  const mask = maskOf(g, { form: "m64", parts: inside }, "m32")[0]!;
  return g.op("v128.bitselect", [g.shuffle(words[0]!, words[1]!, 8, [0, 2]), g.splat("i32", -0x80000000), mask]);
}

/** float64 rounded to odd as float32: it keeps enough to be rounded once more. */
function odd(g: Graph, x: readonly Value[]): Value {
  const f = demote(g, x), back = promote(g, f);
  const masks = (op: "f64x2.ne" | "f64x2.gt", values: (i: number) => readonly Value[]) =>
    maskOf(g, { form: "m64", parts: x.map((_, i) => g.op(op, values(i))) }, "m32")[0]!;
  const away = masks("f64x2.gt", (i) => [g.op("f64x2.abs", [back[i]!]), g.op("f64x2.abs", [x[i]!])]);
  const inexact = masks("f64x2.ne", (i) => [back[i]!, x[i]!]);
  // A mask is -1. A NaN stays one.
  return g.op("v128.or", [g.op("i32x4.add", [f, away]), g.op("v128.and", [inexact, g.splat("i32", 1)])]);
}
