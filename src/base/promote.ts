/**
 * Type promotion: which dtype an expression of several dtypes has, in NumPy's way and in TensorFlow's three other modes.
 *
 * Plain numbers are weak: they take the dtype of the arrays beside them as long as their kind fits.
 * @module
 */
import { describe } from "./describe.ts";
import { type DType, dtypeInfo, dtypeNames, dtypes, isDType } from "./dtype.ts";
import { DTypePromotionError } from "./errors.ts";

/**
 * How mixed dtypes meet: `legacy` is NumPy's rule (the default), `all` and `safe` are TensorFlow's lattice with weak types (`safe`
 * refuses what may lose bits), `off` refuses every mixture.
 */
export type PromotionMode = "off" | "legacy" | "safe" | "all";

/** The kind of a plain JavaScript value: boolean, whole number below 2^64 or bigint, other number, `{ re, im }`. */
export type WeakKind = "b" | "i" | "f" | "c";

/** What meets in an expression: an array's dtype (weak if it came from plain numbers), or a plain value's kind. */
export type Operand =
  | { readonly dtype: DType; readonly weak?: boolean }
  | { readonly weak: WeakKind; readonly value?: number | bigint | boolean };

/** A dtype and whether it still yields to others. */
export interface Promoted {
  readonly dtype: DType;
  readonly weak: boolean;
}

/** All modes, as messages list them. */
export const promotionModes = ["off", "legacy", "safe", "all"] as const satisfies readonly PromotionMode[];

let mode: PromotionMode = "legacy";
let float32 = false;

/**
 * Sets the mode of the whole process; what is left out stays.
 * @throws TypeError for an unknown mode
 */
export function setPromotion(options: { readonly mode?: PromotionMode; readonly preferFloat32?: boolean }): void {
  if (options.mode !== undefined) {
    if (!promotionModes.includes(options.mode)) {
      throw new TypeError(
        `dtype_conversion_mode: got ${describe(options.mode)}, expected one of ${promotionModes.join(", ")}`,
      );
    }
    mode = options.mode;
  }
  if (options.preferFloat32 !== undefined) float32 = options.preferFloat32;
}

/** The mode in force. */
export function promotionMode(): PromotionMode {
  return mode;
}

/** Whether plain fractional numbers stand for float32 (and `{ re, im }` for complex64) where nothing else decides. */
export function prefersFloat32(): boolean {
  return float32;
}

/** The dtype of floats that nothing decides (zeros, mean of integers): float64, float32 under `safe` and `all`. */
export function defaultFloat(): "float32" | "float64" {
  return mode === "safe" || mode === "all" ? "float32" : "float64";
}

/** The dtype of integers that nothing decides (arange, sum of small integers): int64, int32 under `safe` and `all`. */
export function defaultInt(): "int32" | "int64" {
  return mode === "safe" || mode === "all" ? "int32" : "int64";
}

/** The dtype of an array made from plain values of this kind. */
export function literalType(kind: WeakKind): DType {
  const lattice = mode === "safe" || mode === "all";
  switch (kind) {
    case "b":
      return "bool";
    case "i":
      return lattice ? "int32" : "int64";
    case "f":
      return lattice || float32 ? "float32" : "float64";
    case "c":
      return float32 && !lattice ? "complex64" : "complex128";
  }
}

/** Whether a number stands for an integer: it is whole and within what integers hold. */
export function isIntegral(value: number): boolean {
  return Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 64;
}

/** The weak kind of a plain value, or null for what is none. */
export function weakKindOf(value: unknown): WeakKind | null {
  switch (typeof value) {
    case "boolean":
      return "b";
    case "bigint":
      return "i";
    case "number":
      return isIntegral(value) ? "i" : "f";
    case "object":
      return value !== null && typeof (value as { re?: unknown }).re === "number" &&
          typeof (value as { im?: unknown }).im === "number"
        ? "c"
        : null;
    default:
      return null;
  }
}

const isWhole = (kind: string): boolean => kind === "i" || kind === "u";
const level = (dtype: DType): number => "biufc".indexOf(dtypes[dtype].kind);
/** bool 0, integers 1, floats 2, complex 3. */
const category = (dtype: DType): number => [0, 1, 1, 2, 3][level(dtype)]!;
const signed = (bytes: number): DType => `int${bytes * 8}` as DType;

/** The integer dtype that holds both, or null for uint64 with a signed one. */
function joinWhole(a: DType, b: DType): DType | null {
  const x = dtypes[a];
  const y = dtypes[b];
  if (x.kind === y.kind) return x.itemsize >= y.itemsize ? a : b;
  const [s, u] = x.kind === "i" ? [x, y] : [y, x];
  if (s.itemsize > u.itemsize) return signed(s.itemsize);
  return u.itemsize < 8 ? signed(u.itemsize * 2) : null;
}

/** NumPy's promotion of two dtypes; null where it has none (some pairs with bfloat16). */
function promoteNumpy(a: DType, b: DType): DType | null {
  if (a === b) return a;
  if (level(a) > level(b)) return promoteNumpy(b, a);
  const x = dtypes[a];
  const y = dtypes[b];
  if (x.kind === "b") return b;
  if (isWhole(y.kind)) return joinWhole(a, b) ?? "float64";
  if (y.kind === "c") {
    const real = promoteNumpy(x.scalar, y.scalar);
    return real === "float64" ? "complex128" : "complex64";
  }
  if (isWhole(x.kind)) {
    if (b === "bfloat16") return x.itemsize === 1 ? b : null;
    const needs: DType = x.itemsize === 1 ? "float16" : x.itemsize === 2 ? "float32" : "float64";
    return dtypes[needs].itemsize > y.itemsize ? needs : b;
  }
  if (x.itemsize === 2 && y.itemsize === 2) return null;
  return x.itemsize > y.itemsize ? a : b;
}

const table: readonly (DType | null)[] = dtypeNames.flatMap((a) => dtypeNames.map((b) => promoteNumpy(a, b)));

/**
 * The smallest dtype to which both cast safely (numpy.promote_types), whatever the mode.
 * @param name the function that messages name
 * @throws DTypePromotionError for bfloat16 with float16 or with integers of 16 bits and more
 */
export function promoteTypes(a: DType, b: DType, name = "promote_types"): DType {
  const out = table[dtypes[a].code * dtypeNames.length + dtypes[b].code];
  if (out === null || out === undefined) {
    throw new DTypePromotionError(`${name}: no common dtype for ${a} and ${b}; cast one with astype`);
  }
  return out;
}

/** One step in TensorFlow's lattice: the result, and whether only the mode `all` allows it. */
interface Joined extends Promoted {
  readonly lossy: boolean;
}

/** The lattice's least upper bound of two dtypes. */
function joinLattice(a: Promoted, b: Promoted): Joined {
  if (category(a.dtype) > category(b.dtype)) return joinLattice(b, a);
  const x = dtypes[a.dtype];
  const y = dtypes[b.dtype];
  const to = (dtype: DType, weak: boolean, lossy: boolean): Joined => ({ dtype, weak, lossy });
  if (x.kind === "b") return to(b.dtype, b.weak, false);
  if (a.weak !== b.weak) {
    const [strong, weak] = a.weak ? [b.dtype, a.dtype] : [a.dtype, b.dtype];
    const gap = category(weak) - category(strong);
    // A weak complex is complex128: the narrow floats pull it down to complex64.
    if (weak === "complex128" && dtypes[strong].kind === "f") {
      return strong === "float64" ? to("complex128", false, false) : to("complex64", false, true);
    }
    if (gap <= 0) return to(strong, false, false);
    if (weak === "float32") return to("float64", true, true);
    return to(weak, true, dtypes[strong].itemsize === 8);
  }
  const weak = a.weak;
  if (isWhole(x.kind) && isWhole(y.kind)) {
    const whole = joinWhole(a.dtype, b.dtype);
    if (whole === null) return to("float64", true, true);
    return to(whole, weak, x.kind !== y.kind && whole !== a.dtype && whole !== b.dtype);
  }
  if (isWhole(x.kind)) {
    // A float keeps integers of half its bytes.
    const room = dtypes[y.scalar].itemsize / 2;
    return to(b.dtype, weak, !weak && x.itemsize > room);
  }
  if (a.dtype === b.dtype) return to(a.dtype, weak, false);
  if (x.kind === y.kind && x.itemsize === y.itemsize) return to("float32", weak, true);
  if (x.kind === y.kind) return to(x.itemsize > y.itemsize ? a.dtype : b.dtype, weak, false);
  return a.dtype === "float64" && b.dtype === "complex64" ? to("complex128", weak, !weak) : to(b.dtype, weak, false);
}

const show = (operand: Operand): string => {
  if ("dtype" in operand) return operand.weak ? `weak ${operand.dtype}` : operand.dtype;
  return { b: "a boolean", i: "an integer", f: "a number", c: "a complex number" }[operand.weak];
};

function latticeType(name: string, operands: readonly Operand[]): Promoted {
  const all = operands.map((operand): Promoted => {
    if ("dtype" in operand) return { dtype: operand.dtype, weak: operand.weak ?? false };
    if (operand.weak === "i" && operand.value !== undefined) checkInteger(name, operand.value, "int32");
    return { dtype: literalType(operand.weak), weak: operand.weak !== "b" };
  });
  let out = all[0] ?? { dtype: "float32", weak: true };
  for (let i = 1; i < all.length; i++) {
    const next = joinLattice(out, all[i]!);
    if (next.lossy && mode === "safe") {
      throw new DTypePromotionError(
        `${name}: ${show(out)} and ${
          show(all[i]!)
        } do not mix in promotion mode "safe"; "all" gives ${next.dtype}, or cast with astype`,
      );
    }
    out = next;
  }
  return out;
}

const order = "bifc";

/** The weak kind of an operand, or null for a dtype that stands. */
function weakOf(operand: Operand): WeakKind | null {
  if (!("dtype" in operand)) return operand.weak;
  return operand.weak ? order[category(operand.dtype)] as WeakKind : null;
}

function offType(name: string, operands: readonly Operand[]): Promoted {
  let strong: DType | null = null;
  for (const operand of operands) {
    if (weakOf(operand) !== null) continue;
    const { dtype } = operand as { dtype: DType };
    if (strong !== null && strong !== dtype) {
      throw new DTypePromotionError(
        `${name}: ${strong} and ${dtype} do not mix in promotion mode "off"; cast with astype`,
      );
    }
    strong = dtype;
  }
  let highest: WeakKind | null = null;
  for (const operand of operands) {
    const weak = weakOf(operand);
    if (weak === null) continue;
    if (strong !== null && ((weak === "b") !== (strong === "bool") || order.indexOf(weak) > category(strong))) {
      throw new DTypePromotionError(
        `${name}: ${strong} and ${show(operand)} do not mix in promotion mode "off"; cast with astype`,
      );
    }
    if (highest === null || order.indexOf(weak) > order.indexOf(highest)) highest = weak;
  }
  return { dtype: strong ?? literalType(highest ?? "f"), weak: strong === null };
}

function numpyType(name: string, operands: readonly Operand[]): Promoted {
  let main: DType | null = null;
  let weak: WeakKind | null = null;
  for (const operand of operands) {
    const own = weakOf(operand);
    if (own === null) {
      const { dtype } = operand as { dtype: DType };
      if (main === null || rank(dtype) > rank(main)) main = dtype;
    } else if (weak === null || order.indexOf(own) > order.indexOf(weak)) weak = own;
  }
  if (main === null) return { dtype: literalType(weak ?? "f"), weak: true };
  // Each dtype meets the strongest first, then the results meet: int16 with uint16 and float32 is float32, in any order.
  let dtype = main;
  for (const operand of operands) {
    if (weakOf(operand) !== null) continue;
    const own = (operand as { dtype: DType }).dtype;
    if (own !== main) dtype = promoteTypes(dtype, promoteTypes(main, own, name), name);
  }
  if (weak !== null && order.indexOf(weak) > category(dtype)) {
    if (weak === "c" && dtypes[dtype].kind === "f") dtype = dtype === "float64" ? "complex128" : "complex64";
    else dtype = promoteTypes(dtype, literalType(weak), name);
  }
  return { dtype, weak: false };
}

const rank = (dtype: DType): number => category(dtype) * 32 + dtypes[dtype].itemsize;

/**
 * The dtype of an expression over these operands under the mode in force, and whether it is weak (plain values only, or a weak result
 * of TensorFlow's lattice).
 * @param name the function that messages name
 * @throws DTypePromotionError where the mode has no common dtype; RangeError under `safe` and `all` for plain integers beyond int32
 */
export function promoteOperands(name: string, operands: readonly Operand[]): Promoted {
  switch (mode) {
    case "legacy":
      return numpyType(name, operands);
    case "off":
      return offType(name, operands);
    default:
      return latticeType(name, operands);
  }
}

/**
 * The dtype of an expression over these operands under the mode in force (numpy.result_type).
 *
 * Under `legacy`, differing from NumPy with ml_dtypes on purpose: a plain fractional number leaves bfloat16 as it is (there float64).
 * @param name the function that messages name
 * @throws as `promoteOperands`
 */
export function resultType(name: string, operands: readonly Operand[]): DType {
  const first = operands[0];
  if (first !== undefined && "dtype" in first && !first.weak) {
    let same = true;
    for (let i = 1; same && i < operands.length; i++) {
      const other = operands[i]!;
      same = "dtype" in other ? other.dtype === first.dtype && !other.weak : false;
    }
    if (same) return first.dtype;
  }
  return promoteOperands(name, operands).dtype;
}

const ranges = new Map<DType, readonly [bigint, bigint]>();

/** The least and the greatest value of an integer dtype, inclusive. */
export function integerRange(dtype: DType): readonly [bigint, bigint] {
  let range = ranges.get(dtype);
  if (range === undefined) {
    const { kind, itemsize } = dtypeInfo(dtype);
    const bits = BigInt(itemsize * 8);
    range = kind === "i" ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];
    ranges.set(dtype, range);
  }
  return range;
}

/**
 * Checks that a plain integer fits an integer dtype, as NumPy 2 does for Python integers beside an array.
 * @throws RangeError that names the value and the dtype
 */
export function checkInteger(name: string, value: number | bigint | boolean, dtype: DType): void {
  if (!isWhole(dtypes[dtype].kind)) return;
  const [min, max] = integerRange(dtype);
  const exact = typeof value === "boolean" ? BigInt(value) : value;
  // Comparisons of number and bigint are exact.
  if (exact < min || exact > max) throw new RangeError(`${name}: integer ${value} is out of bounds for ${dtype}`);
}

/** How strict a cast is: the same dtype, no value changes, the same kind or a higher one, anything. */
export type Casting = "no" | "equiv" | "safe" | "same_kind" | "unsafe";

/** The order of kinds in which `same_kind` casts go up. */
const casts = "buifc";

/**
 * Tells whether a cast is allowed (numpy.can_cast).
 * @throws TypeError for an unknown casting
 */
export function canCast(from: DType, to: DType, casting: Casting = "safe"): boolean {
  switch (casting) {
    case "no":
    case "equiv":
      return from === to;
    case "safe":
      return table[dtypes[from].code * dtypeNames.length + dtypes[to].code] === to;
    case "same_kind":
      return canCast(from, to, "safe") || casts.indexOf(dtypes[from].kind) <= casts.indexOf(dtypes[to].kind);
    case "unsafe":
      return true;
    default:
      throw new TypeError(
        `can_cast: got casting ${describe(casting)}, expected one of no, equiv, safe, same_kind, unsafe`,
      );
  }
}

/** The name of one of NumPy's abstract scalar types. */
export type ScalarKind =
  | "generic"
  | "number"
  | "integer"
  | "signedinteger"
  | "unsignedinteger"
  | "inexact"
  | "floating"
  | "complexfloating";

/** NumPy's abstract scalar types, each with the kinds below it. */
export const scalarKinds = {
  generic: "biufc",
  number: "iufc",
  integer: "iu",
  signedinteger: "i",
  unsignedinteger: "u",
  inexact: "fc",
  floating: "f",
  complexfloating: "c",
} as const satisfies Readonly<Record<ScalarKind, string>>;

/**
 * Tells whether a dtype is, or lies below, another (numpy.issubdtype).
 * @throws TypeError for a name that is neither a dtype nor an abstract type
 */
export function isSubdtype(dtype: DType, of: DType | ScalarKind): boolean {
  if (isDType(of)) return dtype === of;
  if (typeof of !== "string" || !Object.hasOwn(scalarKinds, of)) {
    throw new TypeError(`issubdtype: got ${describe(of)}, expected a dtype or an abstract type`);
  }
  return scalarKinds[of].includes(dtypes[dtype].kind);
}
