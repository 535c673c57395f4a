/**
 * What the JavaScript dialect changes in a kernel before it writes it: 64-bit integers that only count or index become plain
 * numbers, and float32 sums run in float64.
 * @module
 */
import { dtypes, type ScalarType } from "../src/base/dtype.ts";
import { type Arg, type Expr, ExprBuilder } from "./expr.ts";
import type { Kernel, Monoid } from "./kernel.ts";
import { accExprs, isPlainSum } from "./monoid.ts";
import { simplify } from "./simplify.ts";

/** A kernel made ready for JavaScript. `epilogue` is never null for reductions and scans. */
export interface JsLowered {
  readonly kernel: Kernel;
  /** Whether the reduction is a sum of float64 that needs a cascade for its precision. */
  readonly cascade: boolean;
}

const is64 = (dtype: ScalarType) => dtype === "int64" || dtype === "uint64";

/** Simplifies a kernel and rewrites it for JavaScript. */
export function lowerForJs(kernel: Kernel): JsLowered {
  const m = kernel.reduction;
  const epilogue = kernel.epilogue ?? (m === null ? [] : accExprs(m));
  const combine = m?.combine ?? [];
  const roots = simplify([...kernel.body, ...kernel.index, ...epilogue, ...combine]);
  let at = 0;
  const take = (n: number) => roots.slice(at, at += n);
  const body = take(kernel.body.length), index = take(kernel.index.length);
  const last = take(epilogue.length), merge = take(combine.length);

  const as = m === null ? [] : accDTypes(kernel, m, body);
  const l = new Lowering(as);
  const lower = (e: Expr, dtype: ScalarType) =>
    dtype === e.dtype ? l.exact(e) : is64(e.dtype) ? l.number(e) : l.widen(e);
  const lowered: Kernel = {
    ...kernel,
    body: m === null ? body.map((e) => l.exact(e)) : body.map((e, j) => lower(e, as[j]!)),
    index: index.map((e) => l.index(e)),
    epilogue: m === null ? null : last.map((e) => l.exact(e)),
    reduction: m === null ? null : {
      ...m,
      dtypes: as,
      init: m.init.map((v, j) => as[j] === m.dtypes[j] ? v : Number(v)),
      combine: merge.map((e, j) => lower(e, as[j]!)),
    },
  };
  return { kernel: lowered, cascade: m !== null && isPlainSum(m) && m.dtypes.every((d) => d === "float64") };
}

/** The dtypes the running values are kept in. */
function accDTypes(kernel: Kernel, m: Monoid, body: readonly Expr[]): ScalarType[] {
  if (kernel.kind !== "reduce") return [...m.dtypes];
  const sum = isPlainSum(m);
  return m.dtypes.map((d, j) => {
    if (sum && d === "float32") return "float64";
    // Positions stay below 2^53, and so do sums of 16-bit integers.
    if ((m.name === "argmin" || m.name === "argmax") && d === "int64" && smallInteger(body[j]!)) return "float64";
    if (sum && is64(d) && shortInteger(body[j]!)) return "float64";
    return d;
  });
}

/** Whether a 64-bit integer is a position, or was cast from at most 32 bits. */
function smallInteger(e: Expr): boolean {
  if (!is64(e.dtype)) return false;
  switch (e.op) {
    case "iota":
      return true;
    case "const":
      return Math.abs(Number(e.arg)) <= Number.MAX_SAFE_INTEGER;
    case "cast":
      return dtypes[e.src[0]!.dtype].kind !== "f" && !is64(e.src[0]!.dtype) &&
        (e.dtype === "int64" || dtypes[e.src[0]!.dtype].kind !== "i");
    case "where":
      return smallInteger(e.src[1]!) && smallInteger(e.src[2]!);
    default:
      return false;
  }
}

function shortInteger(e: Expr): boolean {
  if (e.op === "where") return shortInteger(e.src[1]!) && shortInteger(e.src[2]!);
  if (e.op === "const") return Math.abs(Number(e.arg)) < 65536;
  return e.op === "cast" && smallInteger(e) && dtypes[e.src[0]!.dtype].itemsize <= 2;
}

const comparisons = new Set(["lt", "le", "eq", "ne"]);

class Lowering {
  readonly #b = new ExprBuilder();
  readonly #exact = new Map<Expr, Expr>();
  readonly #number = new Map<Expr, Expr>();
  readonly #index = new Map<Expr, Expr>();
  readonly #as: readonly ScalarType[];

  constructor(as: readonly ScalarType[]) {
    this.#as = as;
  }

  /** The same value, in the same dtype. */
  exact(e: Expr): Expr {
    let r = this.#exact.get(e);
    if (r === undefined) this.#exact.set(e, r = this.#lowerExact(e));
    return r;
  }

  /** A float32 as float64. */
  widen(e: Expr): Expr {
    if (e.op === "add") return this.#b.make("add", "float64", e.src.map((s) => this.widen(s)));
    if (e.op === "acc" || e.op === "val") return this.#b.make(e.op, "float64", [], e.arg);
    return this.#b.cast(this.exact(e), "float64");
  }

  /** A 64-bit integer as a float64, exact below 2^53; a bool as it is. */
  number(e: Expr): Expr {
    return this.#numeric(e, false);
  }

  /** Like `number`, also where what is compared along the way is taken for a position, hence below 2^53. */
  index(e: Expr): Expr {
    return this.#numeric(e, true);
  }

  #numeric(e: Expr, index: boolean): Expr {
    const known = index ? this.#index : this.#number;
    let r = known.get(e);
    if (r === undefined) known.set(e, r = this.#lowerNumber(e, index));
    return r;
  }

  #lowerExact(e: Expr): Expr {
    const b = this.#b;
    if (e.op === "acc" || e.op === "val") {
      const as = this.#as[Number(e.arg)] ?? e.dtype;
      return b.cast(b.make(e.op, as, [], e.arg), e.dtype);
    }
    if (e.op === "gather") return b.make("gather", e.dtype, e.src.map((s) => this.index(s)), e.arg);
    if (comparisons.has(e.op) && is64(e.src[0]!.dtype) && e.src.every((s) => this.#isNumber(s))) {
      return b.make(e.op, "bool", e.src.map((s) => this.number(s)));
    }
    if (
      e.op === "cast" && (dtypes[e.dtype].kind === "f" || dtypes[e.dtype].kind === "b") && this.#isNumber(e.src[0]!)
    ) {
      return b.cast(this.number(e.src[0]!), e.dtype);
    }
    return b.make(e.op, e.dtype, e.src.map((s) => this.exact(s)), e.arg);
  }

  /** Whether the float64 of a 64-bit integer is exact for sure. */
  #isNumber(e: Expr): boolean {
    if ((e.op === "acc" || e.op === "val") && is64(e.dtype)) return this.#as[Number(e.arg)] === "float64";
    return smallInteger(e);
  }

  #lowerNumber(e: Expr, index: boolean): Expr {
    const b = this.#b;
    const number = (op: Expr["op"], dtype: ScalarType = "float64", arg: Arg = null) =>
      b.make(op, dtype, e.src.map((s) => this.#numeric(s, index)), arg);
    if (e.dtype === "bool") {
      if (comparisons.has(e.op) && is64(e.src[0]!.dtype) && (index || e.src.every((s) => this.#isNumber(s)))) {
        return number(e.op, "bool");
      }
      if (e.op === "and" || e.op === "or" || e.op === "not" || e.op === "xor") return number(e.op, "bool");
      return this.exact(e);
    }
    if (!is64(e.dtype)) return b.cast(this.exact(e), "float64");
    switch (e.op) {
      case "const":
        return b.const("float64", Number(e.arg));
      case "iota":
        return b.make("iota", "float64", [], e.arg);
      case "acc":
      case "val":
        return b.cast(b.make(e.op, this.#as[Number(e.arg)] ?? e.dtype, [], e.arg), "float64");
      case "cast":
        if (dtypes[e.src[0]!.dtype].kind === "f" || is64(e.src[0]!.dtype)) break;
        return b.cast(this.exact(e.src[0]!), "float64");
      case "add":
      case "sub":
      case "mul":
      case "neg":
      case "max":
      case "min":
        return number(e.op);
      case "where":
        return number("where");
      case "floordiv":
      case "mod": {
        const [x, y] = [this.#numeric(e.src[0]!, index), this.#numeric(e.src[1]!, index)];
        const zero = b.const("float64", 0);
        return b.where(b.binary("eq", y, zero), zero, b.binary(e.op, x, y));
      }
    }
    return b.cast(this.exact(e), "float64");
  }
}
