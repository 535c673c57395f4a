/**
 * `tnp.expr`: NumPy's infix syntax as a template, because JavaScript cannot overload operators.
 * @module
 */
import type { Scalar } from "../base/elements.ts";
import * as ops from "../core/ops.ts";
import { currentDevice } from "../device/registry.ts";
import { type ArrayLike, type Index, NDArray, wrap } from "../array.ts";
import { add, divide, floor_divide, mod, multiply, negative, positive, power, subtract } from "./arithmetic.ts";
import { describe } from "./args.ts";
import { bitwise_and, bitwise_or, bitwise_xor, invert, left_shift, right_shift } from "./bitwise.ts";
import { equal, greater, greater_equal, less, less_equal, not_equal } from "./comparison.ts";
import { asarray } from "./creation.ts";
import { type BinaryOperator, parse, type Subscript, type Tree, type UnaryOperator } from "./expr_parser.ts";
import { slice } from "./indexing.ts";
import { matmul } from "./products.ts";

/** A Python float: JavaScript cannot tell `1.0` from `1`, promotion must. */
class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

const arrays: Readonly<Record<BinaryOperator, (x: ArrayLike, y: ArrayLike) => NDArray>> = {
  "**": power,
  "@": matmul,
  "*": multiply,
  "/": divide,
  "//": floor_divide,
  "%": mod,
  "+": add,
  "-": subtract,
  "<<": left_shift,
  ">>": right_shift,
  "&": bitwise_and,
  "^": bitwise_xor,
  "|": bitwise_or,
  "<": less,
  "<=": less_equal,
  ">": greater,
  ">=": greater_equal,
  "==": equal,
  "!=": not_equal,
};

const signs: Readonly<Record<UnaryOperator, (x: ArrayLike) => NDArray>> = { "-": negative, "+": positive, "~": invert };

/** Arithmetic of two plain numbers stays plain, so that `x * (2 / 3)` keeps the dtype of x. */
const plain: Readonly<Partial<Record<BinaryOperator, (x: number, y: number) => number>>> = {
  "**": (x, y) => x ** y,
  "*": (x, y) => x * y,
  "/": (x, y) => x / y,
  "//": (x, y) => Math.floor(x / y),
  "%": (x, y) => x - y * Math.floor(x / y),
  "+": (x, y) => x + y,
  "-": (x, y) => x - y,
};

const compared: Readonly<Partial<Record<BinaryOperator, (x: number, y: number) => boolean>>> = {
  "<": (x, y) => x < y,
  "<=": (x, y) => x <= y,
  ">": (x, y) => x > y,
  ">=": (x, y) => x >= y,
  "==": (x, y) => x === y,
  "!=": (x, y) => x !== y,
};

const isPlain = (x: unknown): x is number | Float => typeof x === "number" || x instanceof Float;
const valueOf = (x: number | Float): number => x instanceof Float ? x.value : x;
const isFloat = (x: number | Float): boolean => x instanceof Float || !Number.isInteger(x);

/** A value as functions take it: a whole float becomes a weak 0-d array. */
function given(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(given);
  if (!(x instanceof Float)) return x;
  if (!Number.isInteger(x.value)) return x.value;
  const node = ops.scalar(x.value, "float64", currentDevice());
  node.weak = true;
  return wrap(node);
}

function binary(op: BinaryOperator, x: unknown, y: unknown): unknown {
  if (isPlain(x) && isPlain(y)) {
    const a = valueOf(x), b = valueOf(y);
    const test = compared[op];
    if (test !== undefined) return test(a, b);
    const f = plain[op];
    const zero = b === 0 && (op === "/" || op === "//" || op === "%");
    if (f !== undefined && !zero) {
      const out = f(a, b);
      const whole = !isFloat(x) && !isFloat(y) && op !== "/" && !(op === "**" && b < 0);
      if (!whole) return new Float(out);
      if (Number.isSafeInteger(out)) return out;
    }
  }
  return arrays[op](given(x) as ArrayLike, given(y) as ArrayLike);
}

function unary(op: UnaryOperator, x: unknown): unknown {
  if (op !== "~" && isPlain(x)) {
    const value = op === "-" ? -valueOf(x) : valueOf(x);
    return x instanceof Float ? new Float(value) : value;
  }
  return typeof x === "bigint" && op === "-" ? -x : signs[op](given(x) as ArrayLike);
}

let names: Readonly<Record<string, unknown>> = {};

/** Gives the names that expressions may use: the functions and constants of `tnp`. */
export function installNames(table: Readonly<Record<string, unknown>>): void {
  names = table;
}

const words: Readonly<Record<string, unknown>> = { True: true, False: false, None: null };

/** A member that expressions may reach: one of an array's public members, or an export of a part of `tnp`. */
function attribute(x: unknown, name: string): unknown {
  if (x instanceof NDArray) {
    if (name !== "constructor" && name in NDArray.prototype) {
      const member: unknown = x[name as keyof NDArray];
      return typeof member === "function" ? member.bind(x) : member;
    }
  } else if (Object.values(names).includes(x) && Object.hasOwn(x as object, name)) {
    return (x as Readonly<Record<string, unknown>>)[name];
  }
  throw new TypeError(`expr: ${describe(x)} has no attribute "${name}"`);
}

class Evaluator {
  readonly #holes: readonly unknown[];

  constructor(holes: readonly unknown[]) {
    this.#holes = holes;
  }

  value(tree: Tree): unknown {
    switch (tree.is) {
      case "hole":
        return this.#holes[tree.index];
      case "number":
        if (tree.kind === "imaginary") return { re: 0, im: Number(tree.value) } satisfies Scalar;
        return tree.kind === "float" ? new Float(Number(tree.value)) : tree.value;
      case "string":
        return tree.value;
      case "name":
        return this.#name(tree.name, tree.at);
      case "list":
      case "tuple":
        return tree.items.map((item) => this.value(item));
      case "ellipsis":
        return "...";
      case "unary":
        return unary(tree.op, this.value(tree.x));
      case "binary":
        return binary(tree.op, this.value(tree.x), this.value(tree.y));
      case "attribute":
        return attribute(this.value(tree.x), tree.name);
      case "index":
        return this.#index(this.value(tree.x), tree.subscripts);
      case "call":
        return this.#call(tree);
    }
  }

  #name(name: string, at: string): unknown {
    if (Object.hasOwn(words, name)) return words[name];
    if (Object.hasOwn(names, name)) {
      const found = names[name];
      return typeof found === "number" ? new Float(found) : found;
    }
    const place = at === "" ? "" : ` after "${at}"`;
    throw new ReferenceError(`expr: unknown name ${name}${place}, expected a function or constant of tnp`);
  }

  #call({ f, args, keywords }: Tree & { is: "call" }): unknown {
    const callee = this.value(f);
    if (typeof callee !== "function") throw new TypeError(`expr: ${describe(callee)} is not a function`);
    const given_ = args.map((arg) => given(this.value(arg)));
    const options = Object.fromEntries(keywords.map(([name, tree]) => [name, given(this.value(tree))]));
    return callee(...given_, ...(keywords.length > 0 ? [options] : []));
  }

  #index(x: unknown, subscripts: readonly Subscript[]): unknown {
    const index = subscripts.map((s) => {
      if (s.is !== "slice") return given(this.value(s)) as Index;
      const [start, stop, step] = [s.start, s.stop, s.step].map((end) => end === null ? null : this.value(end));
      return slice(start as number | null, stop as number | null, step as number | null);
    });
    if (x instanceof NDArray) return x.at(...index);
    if (Array.isArray(x) && index.length === 1 && typeof index[0] === "number") return x.at(index[0]);
    throw new TypeError(`expr: ${describe(x)} cannot be indexed, expected an array`);
  }
}

const parsed = new WeakMap<TemplateStringsArray, Tree>();

/**
 * Computes an expression in NumPy's syntax: precedence, `@`, `//`, `**`, comparisons, calls of tnp's functions and of methods,
 * slices, keyword arguments. It is parsed once at each place of the source and never goes through `eval`.
 *
 * @param strings the text; names are functions and constants of `tnp`, also `True`, `False`, `None`
 * @param values what stands in the holes: arrays and everything functions take as one
 * @returns what the expression gives, as an array
 * @throws SyntaxError for text that is no expression, ReferenceError for a name that `tnp` lacks, and what the functions throw
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.array([0, 1.5]);
 * console.log(tnp.expr`1 / (1 + exp(-${x}))`.shape); // [ 2 ]
 * console.log(tnp.expr`${x}[::-1] ** 2 + sum(${x}, keepdims=True)`.toArray()); // [ 3.75, 1.5 ]
 * ```
 * Source: The Python Language Reference, chapter 6
 */
export function expr(strings: TemplateStringsArray, ...values: readonly unknown[]): NDArray {
  if (!Array.isArray(strings) || !Array.isArray(strings.raw)) {
    throw new TypeError(`expr: got ${describe(strings)}, expected a template: tnp.expr\`\${x} + 1\``);
  }
  let tree = parsed.get(strings);
  if (tree === undefined) parsed.set(strings, tree = parse(strings));
  const out = new Evaluator(values).value(tree);
  return out instanceof Float ? asarray(out.value, "float64") : asarray(given(out) as ArrayLike);
}
