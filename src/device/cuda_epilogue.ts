/**
 * Which epilogues of a matrix product cublasLt computes along the way: a bias, ReLU, GELU.
 * @module
 */
import type { Activation } from "../../ffi/cublas_lt.ts";
import type { Expr } from "../../kernels/expr.ts";
import type { Epilogue } from "../../kernels/kernel.ts";
import { dtypeInfo, type ScalarType } from "../base/dtype.ts";

/** An epilogue in cublasLt's terms. */
export interface Fusion {
  readonly activation: Activation;
  /** The operand that is added first, or null. */
  readonly bias: number | null;
}

type Numbers = readonly (number | bigint)[];

/** Half a unit in the last place of each dtype: how far a literal may lie from the number that it stands for. */
const ROUNDING: Readonly<Partial<Record<ScalarType, number>>> = {
  float16: 2 ** -11,
  bfloat16: 2 ** -8,
  float32: 2 ** -24,
  float64: 2 ** -53,
};

const GELU_SCALE = Math.sqrt(2 / Math.PI), GELU_CUBE = 0.044715;

/** What one epilogue is, for the numbers of a call. */
export class Recognizer {
  readonly #epilogue: Epilogue;
  #scalars: Numbers | null = null;
  #fusion: Fusion | null = null;

  constructor(epilogue: Epilogue) {
    this.#epilogue = epilogue;
  }

  /** The fusion for a call with these scalars; null where a kernel must do it. The same object while they stay the same. */
  recognize(scalars: Numbers): Fusion | null {
    if (this.#scalars === null || !scalars.every((value, i) => Object.is(value, this.#scalars![i]))) {
      this.#scalars = [...scalars];
      this.#fusion = recognize(this.#epilogue, scalars);
    }
    return this.#fusion;
  }
}

function recognize({ body, operands, output }: Epilogue, scalars: Numbers): Fusion | null {
  const root = body[0]!, { dtype } = output;
  if (body.length !== 1 || output.components !== 1 || dtypeInfo(dtype).kind !== "f") return null;
  const isBias = (e: Expr) => {
    if (e.op !== "load" || e.dtype !== dtype || e.arg === null || typeof e.arg !== "object") return false;
    const { virtual, gathered, components } = operands[e.arg.operand]!;
    return !virtual && gathered === 0 && components === 1;
  };
  // The sum with a bias is met before all else, or the product stands alone.
  const all = [...reach(root)];
  const users = all.filter((e) => e.src.some((s) => s.op === "acc"));
  const [user] = users;
  let x = all.find((e) => e.op === "acc"), bias: number | null = null;
  if (x === undefined || x.dtype !== dtype) return null;
  if (users.length === 1 && user!.op === "add" && user!.src.some(isBias)) {
    const load = user!.src.find(isBias)!;
    bias = (load.arg as { readonly operand: number }).operand;
    x = user!;
  }
  const valueOf = (e: Expr) => numberOf(e, scalars);
  if (root === x) return bias === null ? null : { activation: "none", bias };
  if (isRelu(root, x, valueOf)) return { activation: "relu", bias };
  if (isGelu(root, x, valueOf, dtype)) return { activation: "gelu", bias };
  return null;
}

/** All expressions below one, and itself. */
function reach(root: Expr): Set<Expr> {
  const seen = new Set([root]);
  for (const e of seen) for (const s of e.src) seen.add(s);
  return seen;
}

/** The number that an expression is at every point; null where it varies. */
function numberOf(e: Expr, scalars: Numbers): number | null {
  if (e.op === "cast") return numberOf(e.src[0]!, scalars);
  if (e.op === "const") return Number(e.arg);
  return e.op === "scalar" ? Number(scalars[Number(e.arg)]) : null;
}

/**
 * Whether an expression is cublasLt's ReLU of x, which gives 0 for NaN. So `fmax(x, 0)` is, and `where(x > 0, x, 0)`; `maximum(x, 0)`
 * keeps NaN as NumPy does and is a kernel's.
 */
function isRelu(root: Expr, x: Expr, valueOf: (e: Expr) => number | null): boolean {
  const [first, second, third] = root.src;
  if (root.op === "fmax") return (first === x && valueOf(second!) === 0) || (second === x && valueOf(first!) === 0);
  if (root.op !== "where" || second !== x || valueOf(third!) !== 0) return false;
  const { op, src } = first!;
  return (op === "lt" || op === "le") && valueOf(src[0]!) === 0 && src[1] === x;
}

/** Coefficients of a polynomial by the powers of x and of one tanh, as `"x,tanh"`. */
type Polynomial = ReadonlyMap<string, number>;

/** Whether an expression is x / 2 (1 + tanh(√(2/π) (x + 0.044715 x³))), however it is written. */
function isGelu(root: Expr, x: Expr, valueOf: (e: Expr) => number | null, dtype: ScalarType): boolean {
  const tanhs = [...reach(root)].filter((e) => e.op === "tanh");
  const tanh = tanhs[0];
  if (tanhs.length !== 1) return false;
  const polynomialOf = polynomials(x, tanh!, valueOf);
  const is = (e: Expr, wanted: Readonly<Record<string, number>>): boolean => {
    const p = polynomialOf(e);
    // Two literals may be rounded, and the steps between them.
    const tolerance = 4 * ROUNDING[dtype]!;
    return p !== null && p.size === Object.keys(wanted).length &&
      Object.entries(wanted).every(([power, c]) => Math.abs((p.get(power) ?? 0) - c) <= tolerance * Math.abs(c));
  };
  return is(root, { "1,0": 0.5, "1,1": 0.5 }) &&
    is(tanh!.src[0]!, { "1,0": GELU_SCALE, "3,0": GELU_SCALE * GELU_CUBE });
}

/** Gives expressions as polynomials of x and tanh, null for others. */
function polynomials(x: Expr, tanh: Expr, valueOf: (e: Expr) => number | null): (e: Expr) => Polynomial | null {
  const done = new Map<Expr, Polynomial | null>([[x, new Map([["1,0", 1]])], [tanh, new Map([["0,1", 1]])]]);
  const visit = (e: Expr): Polynomial | null => {
    let p = done.get(e);
    if (p === undefined) done.set(e, p = build(e));
    return p;
  };
  const build = (e: Expr): Polynomial | null => {
    const value = valueOf(e);
    if (value !== null) return new Map(value === 0 ? [] : [["0,0", value]]);
    const [left, right] = e.src;
    const p = left === undefined ? null : visit(left);
    if (p === null) return null;
    if (e.op === "neg") return combine(new Map(), p, -1);
    if (right === undefined) return null;
    const constant = valueOf(right);
    if (e.op === "pow") return constant === 2 ? product(p, p) : constant === 3 ? product(p, product(p, p)) : null;
    if (e.op === "div") return constant === null ? null : product(p, new Map([["0,0", 1 / constant]]));
    const q = visit(right);
    if (q === null) return null;
    if (e.op === "mul") return product(p, q);
    return e.op === "add" || e.op === "sub" ? combine(p, q, e.op === "add" ? 1 : -1) : null;
  };
  return visit;
}

function combine(p: Polynomial, q: Polynomial, factor: number): Polynomial {
  const sum = new Map(p);
  for (const [power, c] of q) sum.set(power, (sum.get(power) ?? 0) + factor * c);
  return sum;
}

/** The product; null where it has powers above 3. */
function product(p: Polynomial, q: Polynomial | null): Polynomial | null {
  if (q === null) return null;
  const out = new Map<string, number>();
  for (const [power, c] of p) {
    for (const [other, d] of q) {
      const [i, j] = power.split(",").map(Number) as [number, number];
      const [k, l] = other.split(",").map(Number) as [number, number];
      if (i + k > 3 || j + l > 1) return null;
      const key = `${i + k},${j + l}`;
      out.set(key, (out.get(key) ?? 0) + c * d);
    }
  }
  return out;
}
