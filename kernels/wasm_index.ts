/**
 * Points of the WebAssembly dialect that lie anywhere: their addresses, and reading them one by one.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import type { WasmOp } from "./wasm_binary.ts";
import { castVec } from "./wasm_cast.ts";
import type { Graph, Value } from "./wasm_graph.ts";
import { wasmTable } from "./wasm_layout.ts";
import { formOf, halfValue, isHalf, signed, type Vec } from "./wasm_vec.ts";

/** An index along an axis: its vectors and their dtype. */
export interface WasmIndex {
  readonly vec: Vec;
  readonly dtype: ScalarType;
}

/**
 * The addresses of four elements of an array.
 *
 * @param entry Where the array's address stands in the table, and behind it the bytes between neighbours along each indexed axis
 * @param offsets Elements from there to where the loops are
 * @param bytes Bytes of an element
 */
export function addresses(
  g: Graph,
  entry: number,
  offsets: Value,
  indices: readonly WasmIndex[],
  bytes: number,
): Value[] {
  const same = (k: number) => g.op("i32x4.splat", [g.load("i32.load", g.i32(0), wasmTable + 4 * (entry + k))]);
  let at = g.op("i32x4.add", [same(0), g.op("i32x4.shl", [offsets, g.i32(Math.log2(bytes))])]);
  indices.forEach(({ vec, dtype }, k) => {
    const [index] = castVec(g, vec, dtype, "int32").parts as [Value];
    at = g.op("i32x4.add", [at, g.op("i32x4.mul", [index, same(k + 1)])]);
  });
  return [0, 1, 2, 3].map((lane) => g.op("i32x4.extract_lane", [at], [lane]));
}

/** Reads four points from their addresses; of complex numbers one component. */
export function gatherVec(g: Graph, dtype: ScalarType, component: 0 | 1, at: readonly Value[]): Vec {
  const { itemsize } = dtypes[dtype], form = formOf(dtype), from = component * itemsize;
  /** Lanes of 32 or 64 bits, the first of which is read with zeros behind it. */
  const lanes = (size: 32 | 64, [first, ...others]: readonly Value[]) =>
    others.reduce(
      (v, a, k) => g.op(`v128.load${size}_lane`, [a, v], [0, from, k + 1]),
      g.load(`v128.load${size}_zero`, first!, from),
    );
  if (itemsize === 8) return { form, parts: [lanes(64, at.slice(0, 2)), lanes(64, at.slice(2))] };
  if (itemsize === 4) return { form, parts: [lanes(32, at)] };
  const op = `i32.load${8 * itemsize}_${signed(dtype) ? "s" : "u"}` as WasmOp;
  const [first, ...others] = at.map((a) => g.load(op, a, from)) as [Value, ...Value[]];
  const v = others.reduce(
    (v, x, k) => g.op("i32x4.replace_lane", [v, x], [k + 1]),
    g.op("i32x4.splat", [first]),
  );
  if (dtype === "bool") return { form, parts: [g.op("i32x4.ne", [v, g.splat("i32", 0)])] };
  return { form, parts: [isHalf(dtype) ? halfValue(g, dtype, v) : v] };
}
