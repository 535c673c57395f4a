/**
 * Functions of one lane that vectors have no instruction for: of JavaScript, or of a few scalar instructions.
 * @module
 */
import { helpers } from "./preamble/js.ts";
import { control, type ModuleWriter, type WasmOp, type WasmType } from "./wasm_binary.ts";
import { BodyWriter, type Callee, Graph, type Value } from "./wasm_graph.ts";
import { Lanes } from "./wasm_lanes.ts";
import { guarded } from "./wasm_math.ts";

/** Imported functions. Math's own are passed as they are: some engines call them without leaving compiled code. */
export const imports = {
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  cbrt: Math.cbrt,
  log10: Math.log10,
  atan2: Math.atan2,
  erf: helpers.erf,
  erfc: helpers.erfc,
  lgamma: helpers.lgamma,
  pow: helpers.pow,
  hypot: helpers.hypot,
  mod: helpers.mod,
  fmod: (x: number, y: number) => x % y,
  floordiv: helpers.floordiv,
  floordiv32: helpers.floordiv32,
  nextafter: helpers.nextafter,
  nextafter32: (x: number, y: number) => helpers.nextafter32(x, y, 1),
  gcd_s32: (x: number, y: number) => helpers.gcd(x, y) | 0,
  gcd_u32: (x: number, y: number) => helpers.gcd(x >>> 0, y >>> 0) | 0,
} as const satisfies Record<string, (x: number, y: number) => number>;

/** Nanoseconds of a call for a vector. */
export function calleeCost({ name, shape }: Callee): number {
  const lanes = shape.endsWith("4") ? 4 : 2;
  if (!Object.hasOwn(imports, name)) return 2 * lanes;
  return lanes * (name.startsWith("erf") || name === "lgamma" ? 60 : 25);
}

interface Scalar {
  readonly from: WasmType;
  readonly to: WasmType;
  build(g: Graph, x: Value, y: Value): Value;
}

/** Shifts: a count outside the width, negative ones too, shifts everything out. Results of small integers are wrapped by the caller. */
function shift(op: "shl" | "shr", sign: "s" | "u", width: number): Scalar {
  const type = width === 64 ? "i64" : "i32";
  return {
    from: type,
    to: type,
    build: (g, x, y) => {
      const c = (v: number) => type === "i64" ? g.i64(BigInt(v)) : g.i32(v);
      const o = (name: string, a: Value, b: Value) => g.op(`${type}.${name}` as WasmOp, [a, b]);
      const inside = o("lt_u", y, c(width));
      if (op === "shl") return g.select(o("shl", x, y), c(0), inside);
      return sign === "u"
        ? g.select(o("shr_u", x, y), c(0), inside)
        : g.select(o("shr_s", x, y), o("shr_s", x, c(width - 1)), inside);
    },
  };
}

/** Division by zero gives 0, by -1 the wrapped negative; both are kept from the instruction, which would trap. */
function division(op: "floordiv" | "mod" | "fmod", sign: "s" | "u"): Scalar {
  return {
    from: "i64",
    to: "i64",
    build: (g, x, y) => {
      const o = (name: string, a: Value, b: Value) => g.op(`i64.${name}` as WasmOp, [a, b]);
      const zero = g.i64(0n), one = g.i64(1n), nothing = g.op("i64.eqz", [y]);
      if (sign === "u") {
        const safe = g.select(one, y, nothing);
        return g.select(zero, o(op === "floordiv" ? "div_u" : "rem_u", x, safe), nothing);
      }
      const negates = o("eq", y, g.i64(-1n));
      const safe = g.select(one, y, g.op("i32.or", [nothing, negates]));
      const rest = o("rem_s", x, safe);
      // The remainder of the floored quotient has the sign of the divisor.
      const off = g.op("i32.and", [o("ne", rest, zero), o("lt_s", o("xor", rest, y), zero)]);
      if (op === "floordiv") {
        const quotient = o("div_s", x, safe);
        const floored = g.select(o("sub", quotient, one), quotient, off);
        return g.select(zero, g.select(o("sub", zero, x), floored, negates), nothing);
      }
      const result = op === "mod" ? g.select(o("add", rest, y), rest, off) : rest;
      return g.select(zero, result, g.op("i32.or", [nothing, negates]));
    },
  };
}

/** Conversions between float64 and 64-bit integers. */
const conversions: Readonly<Record<string, Scalar>> = {
  f64_s64: { from: "i64", to: "f64", build: (g, x) => g.op("f64.convert_i64_s", [x]) },
  f64_u64: { from: "i64", to: "f64", build: (g, x) => g.op("f64.convert_i64_u", [x]) },
  f32_s64: { from: "i64", to: "f64", build: (g, x) => g.op("f64.promote_f32", [g.op("f32.convert_i64_s", [x])]) },
  f32_u64: { from: "i64", to: "f64", build: (g, x) => g.op("f64.promote_f32", [g.op("f32.convert_i64_u", [x])]) },
  to_s64: { from: "f64", to: "i64", build: truncate },
  to_u64: {
    from: "f64",
    to: "i64",
    build: (g, x) => {
      const limit = g.f64(2 ** 63), smallest = g.i64(-(2n ** 63n));
      const high = g.op("i64.xor", [truncate(g, g.op("f64.sub", [x, limit])), smallest]);
      return g.select(high, truncate(g, x), g.op("f64.ge", [x, limit]));
    },
  },
};

/** NaN and what does not fit give the smallest. */
function truncate(g: Graph, x: Value): Value {
  return g.select(
    g.op("i64.trunc_sat_f64_s", [x]),
    g.i64(-(2n ** 63n)),
    g.op("f64.lt", [x, g.f64(2 ** 63)]),
  );
}

function scalarFunction(name: string): Scalar {
  const known = conversions[name];
  if (known !== undefined) return known;
  const [, op, sign, width] = /^(\w+)_([su])(\d+)$/.exec(name)!;
  const s = sign as "s" | "u";
  return op === "shl" || op === "shr" ? shift(op, s, Number(width)) : division(op as "floordiv", s);
}

/** Adds the functions a graph calls to a module that has none yet; gives their indices. */
export function addCallees(module: ModuleWriter, callees: readonly Callee[]): number[] {
  const inner = callees.map((c): { index: number; from: WasmType; to: WasmType } | null => {
    if (!Object.hasOwn(imports, c.name)) return null;
    const type = c.shape === "i32x4" ? "i32" : "f64";
    const parameters = Array.from({ length: c.arity }, () => type) satisfies WasmType[];
    return { index: module.import(c.name, { parameters, results: [type] }), from: type, to: type };
  });
  return callees.map((c, k) =>
    c.masked && Object.hasOwn(guarded, c.name)
      ? addGuarded(module, c)
      : addLanes(module, c, inner[k] ?? addScalar(module, c))
  );
}

/** The function that computes lanes of a mask for all arguments. */
function addGuarded(module: ModuleWriter, { name, shape }: Callee): number {
  const g = new Graph(), l = new Lanes(g, shape as Lanes["shape"]);
  const [x, fast, mask] = [0, 1, 2].map((local) => g.local(local, "v128", 0)) as [Value, Value, Value];
  const result = l.select(mask, guarded[name]!(l, x), fast);
  const body = new BodyWriter(module, 3);
  body.begin([result]);
  body.push(result);
  body.end();
  return module.add({ parameters: ["v128", "v128", "v128"], results: ["v128"] }, body.locals, body.bytes);
}

/** Integer powers by squaring; a negative exponent gives the truncated quotient. */
function addPower(module: ModuleWriter, type: "i32" | "i64", sign: "s" | "u"): number {
  const g = new Graph(), body = new BodyWriter(module, 2), result = body.local(type);
  const c = (v: number) => type === "i64" ? g.i64(BigInt(v)) : g.i32(v);
  const o = (name: string, ...args: Value[]) => g.op(`${type}.${name}` as WasmOp, args);
  const [x, y, r] = [0, 1, result].map((k) => g.local(k, type, 1)) as [Value, Value, Value];
  const set = (local: number, value: Value) => {
    body.push(value);
    body.emit(control.set(local));
  };
  const odd = o("eq", o("and", y, c(1)), c(1));
  if (sign === "s") {
    body.push(o("lt_s", y, c(0)));
    body.emit(control.if);
    const minusOne = g.select(g.select(c(-1), c(1), odd), c(0), o("eq", x, c(-1)));
    body.push(g.select(c(1), minusOne, o("eq", x, c(1))));
    body.emit(control.return, control.end);
  }
  set(result, c(1));
  body.emit(control.block, control.loop);
  body.push(o("eqz", y));
  body.emit(control.brIf(1));
  set(result, g.select(o("mul", r, x), r, odd));
  set(0, o("mul", x, x));
  set(1, o("shr_u", y, c(1)));
  body.emit(control.br(0), control.end, control.end);
  body.push(r);
  return module.add({ parameters: [type, type], results: [type] }, body.locals, body.bytes);
}

function addScalar(module: ModuleWriter, c: Callee): { index: number; from: WasmType; to: WasmType } {
  const power = /^pow_([su])(32|64)$/.exec(c.name);
  if (power !== null) {
    const type = power[2] === "64" ? "i64" : "i32";
    return { index: addPower(module, type, power[1] as "s" | "u"), from: type, to: type };
  }
  const g = new Graph(), { from, to, build } = scalarFunction(c.name);
  const result = build(g, g.local(0, from, 1), g.local(1, from, 1));
  const body = new BodyWriter(module, c.arity);
  body.begin([result]);
  body.push(result);
  body.end();
  const parameters = Array.from({ length: c.arity }, () => from);
  return { index: module.add({ parameters, results: [to] }, body.locals, body.bytes), from, to };
}

/** The function that applies another one to each lane, or to the lanes of a mask. */
function addLanes(
  module: ModuleWriter,
  c: Callee,
  { index, from, to }: { index: number; from: WasmType; to: WasmType },
): number {
  const narrow = c.shape === "f32x4", count = c.shape.endsWith("4") ? 4 : 2;
  const source = narrow ? "f32x4" : from === "f64" ? "f64x2" : from === "i64" ? "i64x2" : "i32x4";
  const target = narrow ? "f32x4" : to === "f64" ? "f64x2" : to === "i64" ? "i64x2" : "i32x4";
  const g = new Graph();
  const parameters = Array.from({ length: c.arity + (c.masked ? 2 : 0) }, () => "v128") satisfies WasmType[];
  const body = new BodyWriter(module, parameters.length);
  // The result grows in the default, or in a local that begins as zeros.
  const result = c.masked ? c.arity : body.local("v128");
  const value = (local: number) => g.local(local, "v128", 0);
  for (let lane = 0; lane < count; lane++) {
    if (c.masked) {
      const mask = value(c.arity + 1);
      const inside = count === 4
        ? g.op("i32x4.extract_lane", [mask], [lane])
        : g.op("i32.wrap_i64", [g.op("i64x2.extract_lane", [mask], [lane])]);
      body.push(inside);
      body.emit(control.if);
    }
    body.push(value(result));
    for (let a = 0; a < c.arity; a++) {
      const x = g.op(`${source}.extract_lane` as WasmOp, [value(a)], [lane]);
      body.push(narrow ? g.op("f64.promote_f32", [x]) : x);
    }
    body.emit(control.call(index), narrow ? [0xb6] : [], replace(target, lane), control.set(result));
    if (c.masked) body.emit(control.end);
  }
  body.push(value(result));
  return module.add({ parameters, results: ["v128"] }, body.locals, body.bytes);
}

/** The instruction that puts a number into a lane. */
function replace(shape: "f32x4" | "f64x2" | "i32x4" | "i64x2", lane: number): number[] {
  const code = { i32x4: 0x1c, i64x2: 0x1e, f32x4: 0x20, f64x2: 0x22 }[shape];
  return [0xfd, code, lane];
}
