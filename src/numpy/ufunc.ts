/**
 * What all elementwise functions share: which dtype they compute in, casts, weak numbers, keywords. A function is one call of
 * `unary` or `binary` with its name, its rule of dtypes and its formula on nodes.
 * @module
 */
import { type DType, dtypeInfo, dtypeNames, dtypes, isInteger } from "../base/dtype.ts";
import type { Scalar } from "../base/elements.ts";
import {
  canCast,
  type Casting,
  isIntegral,
  literalType,
  prefersFloat32,
  promoteTypes,
  promotionMode,
} from "../base/promote.ts";
import * as ops from "../core/ops.ts";
import { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { currentDevice } from "../device/registry.ts";
import { type ArrayLike, NDArray, nodeOf, wrap } from "../array.ts";
import { checkDType, describe, inTheNameOf, isKeywords, within } from "./args.ts";
import { asNode, commonType, deviceOf, literalValue, type Operand, promotable, toOperand } from "./convert.ts";

/** Keywords of the elementwise functions. */
export interface UfuncOptions {
  /** The dtype to compute in. */
  readonly dtype?: DType | undefined;
  /** Which casts to it are allowed; `"same_kind"` if absent. */
  readonly casting?: Casting | undefined;
}

const lattice = (): boolean => promotionMode() === "safe" || promotionMode() === "all";

/** The float that NumPy computes a dtype's transcendental functions in: the smallest that holds it. */
function floatFor(dtype: DType): DType {
  const { kind, itemsize } = dtypeInfo(dtype);
  if (kind === "f" || kind === "c") return dtype;
  if (lattice()) return "float32";
  return itemsize === 1 ? "float16" : itemsize === 2 ? "float32" : "float64";
}

/** TensorFlow's lattice divides short integers in float32. */
function quotient(dtype: DType): DType {
  const { kind, itemsize } = dtypeInfo(dtype);
  if (kind === "f" || kind === "c") return dtype;
  return lattice() && itemsize <= 2 ? "float32" : "float64";
}

const not = (kinds: string, rule: (dtype: DType) => DType) => (dtype: DType): DType | null =>
  kinds.includes(dtypes[dtype].kind) ? null : rule(dtype);
const same = (dtype: DType): DType => dtype;
const int8ForBool = (dtype: DType): DType => dtype === "bool" ? "int8" : dtype;

/** From the operands' common dtype to the dtype of computation; null where NumPy has no loop. */
const rules = {
  /** Every dtype as it is. */
  any: same,
  /** All but bool. */
  number: not("b", same),
  /** All; bool counts as int8. */
  numeric: int8ForBool,
  /** Real numbers; bool counts as int8. */
  real: not("c", int8ForBool),
  /** Real numbers and bool as they are. */
  ordered: not("c", same),
  /** Bool and integers. */
  bits: not("fc", same),
  /** Integers; bool counts as int8. */
  shift: not("fc", int8ForBool),
  /** Integers. */
  integer: not("bfc", same),
  /** Floats; integers and bool become the smallest that holds them. */
  float: not("c", floatFor),
  /** Floats and complex numbers; integers and bool become the smallest float that holds them. */
  inexact: floatFor,
  /** Floats and complex numbers; integers and bool become float64. */
  quotient,
  /** float64 or complex128. */
  double: (dtype: DType): DType => dtypes[dtype].kind === "c" ? "complex128" : "float64",
} as const satisfies Record<string, (dtype: DType) => DType | null>;

/** The name of a rule of dtypes. */
export type Rule = keyof typeof rules;

/** By rule and a dtype's number whether it is computed in as it is. */
const keeps = Object.fromEntries(
  Object.entries(rules).map(([rule, type]) => [rule, dtypeNames.map((dtype) => type(dtype) === dtype)]),
) as unknown as Readonly<Record<Rule, readonly boolean[]>>;

const kinds = dtypeNames.map((dtype) => dtypes[dtype].kind);

function computeType(name: string, rule: Rule, dtype: DType, hint = ""): DType {
  const type = rules[rule](dtype);
  if (type === null) throw new TypeError(`${name}: dtype ${dtype} is not supported${hint}`);
  return type;
}

/** Checks the keywords of an elementwise function. */
function checkOptions(name: string, options: UfuncOptions): void {
  if (!isKeywords(options)) {
    throw new TypeError(
      `${name}: got ${describe(options)} after the arrays, expected keywords; arrays are immutable, there is no "out"`,
    );
  }
  for (const key of Object.keys(options)) {
    if (options[key as keyof UfuncOptions] === undefined) continue;
    switch (key) {
      case "dtype":
      case "casting":
      case "order":
      case "subok":
        break;
      case "out":
      case "where":
        if (key === "out" && (options as { out: unknown }).out === null) break;
        if (key === "where" && (options as { where: unknown }).where === true) break;
        throw new TypeError(
          `${name}: got "${key}", but arrays are immutable${key === "where" ? "; use tnp.where on the result" : ""}`,
        );
      default:
        throw new TypeError(`${name}: got an unexpected keyword "${key}", expected dtype, casting`);
    }
  }
}

/** The keywords of a function whose result is bool whatever it computes in: `dtype` can only say that. @throws TypeError */
export function boolOptions(name: string, options: UfuncOptions | undefined): UfuncOptions | undefined {
  if (!isKeywords(options) || options.dtype === undefined) return options;
  if (options.dtype !== "bool") {
    throw new TypeError(`${name}: the result is bool, got dtype ${describe(options.dtype)}`);
  }
  return { ...options, dtype: undefined };
}

/** The dtype asked for by `dtype=`, after NumPy's checks of loop and casts. */
function requested(name: string, rule: Rule, from: readonly DType[], options: UfuncOptions): DType {
  const dtype = checkDType(name, options.dtype);
  if (rules[rule](dtype) !== dtype) throw new TypeError(`${name}: cannot compute in dtype ${dtype}`);
  const casting = options.casting ?? "same_kind";
  for (const type of from) {
    if (!canCast(type, dtype, casting)) {
      throw new TypeError(`${name}: cannot cast from ${type} to ${dtype} with casting "${casting}"`);
    }
  }
  return dtype;
}

function ownType(x: Operand): DType {
  return x instanceof Node ? x.dtype : literalType(x.weak);
}

/** Whether a plain number beside another operand takes a dtype that is asked for, as long as it fits. */
function takes(x: Operand, dtype: DType): boolean {
  const own = promotable(x), { kind } = dtypes[dtype];
  return !("dtype" in own) && own.weak !== "b" && "ifc".indexOf(own.weak) <= "ifc".indexOf(kind === "u" ? "i" : kind);
}

/** Marks results of weak operands alone, which only TensorFlow's lattice knows. */
function finish<D extends DType>(node: Node, weak: boolean): NDArray<D> {
  if (weak && lattice()) node.weak = true;
  return wrap<D>(node);
}

/**
 * Calls an elementwise function of one array.
 *
 * @param name the function that messages name
 * @param rule its dtypes
 * @param formula its value from a node of the dtype of computation
 * @param hint what to use instead, for dtypes without a loop
 */
export function unary<D extends DType = DType>(
  name: string,
  rule: Rule,
  formula: (x: Node) => Node,
  x: ArrayLike,
  options?: UfuncOptions,
  hint?: string,
): NDArray<D> {
  const operand = x instanceof NDArray ? nodeOf(x) : toOperand(name, x);
  if (options === undefined && operand instanceof Node && !operand.weak && keeps[rule][operand.code]!) {
    let out: Node;
    try {
      out = formula(operand);
    } catch (error) {
      throw inTheNameOf(name, error);
    }
    return wrap<D>(out);
  }
  const own = ownType(operand);
  if (options !== undefined) checkOptions(name, options);
  const type = options?.dtype !== undefined
    ? requested(name, rule, [own], options)
    : computeType(name, rule, own, hint);
  const device = operand instanceof Node ? operand.device : currentDevice();
  const node = asNode(name, operand, type, device);
  let out: Node;
  try {
    out = formula(node);
  } catch (error) {
    throw inTheNameOf(name, error);
  }
  return finish(out, !(operand instanceof Node) || operand.weak);
}

/** The dtype two operands are computed in, and whether both are weak. */
export function binaryType(
  name: string,
  rule: Rule,
  a: Operand,
  b: Operand,
  options?: UfuncOptions,
  hint?: string,
): { dtype: DType; weak: boolean } {
  if (options?.dtype !== undefined) {
    const wanted = checkDType(name, options.dtype);
    const from = [a, b].filter((x) => !takes(x, wanted)).map(ownType);
    return { dtype: requested(name, rule, from, options), weak: false };
  }
  if (a instanceof Node && b instanceof Node && !a.weak && !b.weak) {
    if (a.dtype === b.dtype) return { dtype: computeType(name, rule, a.dtype, hint), weak: false };
    // NumPy takes the first float that holds each operand: int8 with uint8 is float16, although their common integer is int16.
    if (
      (rule === "float" || rule === "inexact") && isInteger(a.dtype) && isInteger(b.dtype) &&
      promotionMode() === "legacy"
    ) {
      return { dtype: promoteTypes(floatFor(a.dtype), floatFor(b.dtype), name), weak: false };
    }
  }
  const common = commonType(name, [a, b]);
  return { dtype: computeType(name, rule, common.dtype, hint), weak: common.weak };
}

/**
 * Calls an elementwise function of two arrays.
 *
 * @param name the function that messages name
 * @param rule its dtypes
 * @param formula its value from two nodes of the dtype of computation
 */
export function binary<D extends DType = DType>(
  name: string,
  rule: Rule,
  formula: (x: Node, y: Node) => Node,
  x1: ArrayLike,
  x2: ArrayLike,
  options?: UfuncOptions,
  hint?: string,
): NDArray<D> {
  if (options === undefined) {
    const a = x1 instanceof NDArray ? nodeOf(x1) : null, b = x2 instanceof NDArray ? nodeOf(x2) : null;
    const array = a ?? b;
    // What most calls are: two arrays of one dtype, or an array and a number that fits it.
    if (array !== null && !array.weak && keeps[rule][array.code]!) {
      const x = a ?? quick(name, x1, array), y = b ?? quick(name, x2, array);
      if (x !== null && y !== null && x.dtype === y.dtype && !x.weak && !y.weak) {
        let out: Node;
        try {
          out = formula(x, y);
        } catch (error) {
          throw inTheNameOf(name, error);
        }
        return wrap<D>(out);
      }
    }
  }
  const { x, y, weak } = operands(name, rule, x1, x2, options, hint);
  return finish(within(name, () => formula(x, y)), weak);
}

/** A number beside an array in whose dtype it is computed by NumPy's rule; null where the general way must decide. */
function quick(name: string, x: ArrayLike, beside: Node): Node | null {
  if (typeof x !== "number" || promotionMode() !== "legacy") return null;
  const kind = kinds[beside.code]!;
  if (kind === "f" && !prefersFloat32()) return ops.scalar(x, beside.dtype, beside.device);
  if (kind === "b" || (kind !== "f" && kind !== "c" && !isIntegral(x))) return null;
  if (prefersFloat32() && !isIntegral(x)) return null;
  return ops.scalar(literalValue(name, x, beside.dtype), beside.dtype, beside.device);
}

/** `binary` for operands that are converted already. */
export function combine<D extends DType = DType>(
  name: string,
  rule: Rule,
  formula: (x: Node, y: Node) => Node,
  a: Operand,
  b: Operand,
  device: Device,
): NDArray<D> {
  const { dtype, weak } = binaryType(name, rule, a, b);
  const x = asNode(name, a, dtype, device), y = asNode(name, b, dtype, device);
  return finish(within(name, () => formula(x, y)), weak);
}

/** Two arguments as nodes of the dtype of computation. */
export function operands(
  name: string,
  rule: Rule,
  x1: ArrayLike,
  x2: ArrayLike,
  options?: UfuncOptions,
  hint?: string,
): { x: Node; y: Node; weak: boolean } {
  if (options !== undefined) checkOptions(name, options);
  const device = deviceOf(x1, x2);
  const a = toOperand(name, x1, device);
  const b = toOperand(name, x2, device);
  const { dtype, weak } = binaryType(name, rule, a, b, options, hint);
  return { x: asNode(name, a, dtype, device), y: asNode(name, b, dtype, device), weak };
}

/** A number as a 0-d node of a node's dtype and device. */
export function lit(value: Scalar, like: Node): Node {
  return ops.scalar(literalValue("scalar", value, like.dtype), like.dtype, like.device);
}

/** A number at every point of a node. */
export function fullLike(value: Scalar, like: Node): Node {
  return ops.broadcast(lit(value, like), like.shape);
}

/** One boolean at every point of a node. */
export function truth(value: boolean, like: Node): Node {
  return ops.broadcast(ops.scalar(value, "bool", like.device), like.shape);
}

/** A number as a 0-d node. */
export function number(value: Scalar, dtype: DType, device: Device): Node {
  return ops.scalar(literalValue("scalar", value, dtype), dtype, device);
}

/** Whether elements are not zero, as bool; NaN counts as true. */
export function truthy(x: Node): Node {
  return x.dtype === "bool" ? x : ops.not_equal(x, lit(0, x));
}
