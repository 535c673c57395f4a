/**
 * Variables: arrays that can be replaced.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import { formatShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import { context, type Node, toNode } from "../core/trace.ts";
import { Cell } from "../transform/variable.ts";
import { type ArrayLike, type NDArray, wrap } from "../array.ts";
import { checkDType, checkKeywords, within } from "./args.ts";
import { toTyped } from "./convert.ts";

/** Settings of a variable. */
export interface VariableOptions<D extends DType = DType> {
  /** The dtype of the values; that of the initial ones if absent. */
  readonly dtype?: D | undefined;
  /** A name for messages and printing. */
  readonly name?: string | undefined;
  /** Whether tapes watch it without being told. */
  readonly trainable?: boolean | undefined;
}

const variables = new WeakMap<object, Variable>();

let cellOfVariable: (variable: Variable) => Cell;

/**
 * State: holds an array of a fixed shape and dtype, which `assign` replaces. It is accepted wherever arrays are.
 *
 * Tapes watch trainable variables when they are read. Inside `tnp.function`, assignments are part of the trace: every call
 * makes them.
 *
 * @param initial the first value
 * @param options `dtype`, `name`, `trainable` (true)
 * @throws TracerError when made from a traced value
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const w = new tnp.Variable([1, 2], { dtype: "float32" });
 * w.assign_add([10, 20]);
 * console.log(w.value().toArray()); // [ 11, 22 ]
 * ```
 * Source: tf.Variable
 */
export class Variable<D extends DType = DType> {
  readonly #cell: Cell;
  /** The name it was given. */
  readonly name: string;

  static {
    cellOfVariable = (variable) => variable.#cell;
  }

  /** Holds initial values; the variable's shape and dtype stay theirs. */
  constructor(initial: ArrayLike, options: VariableOptions<D> = {}) {
    checkKeywords("Variable", ["dtype", "name", "trainable"], options);
    const dtype = options.dtype === undefined ? null : checkDType("Variable", options.dtype);
    const node = toTyped("Variable", initial, dtype);
    this.#cell = new Cell(node, options.trainable ?? true);
    variables.set(this.#cell, this as unknown as Variable);
    this.name = options.name ?? "Variable";
  }

  /** The lengths of the axes. */
  get shape(): number[] {
    return [...this.#cell.shape];
  }

  /** The number of axes. */
  get ndim(): number {
    return this.#cell.shape.length;
  }

  /** The type of the elements. */
  get dtype(): D {
    return this.#cell.dtype as D;
  }

  /** The device it lives on. */
  get device(): string {
    return this.#cell.device.name;
  }

  /** Whether tapes watch it without being told. */
  get trainable(): boolean {
    return this.#cell.trainable;
  }

  /** The array it holds now. */
  value(): NDArray<D> {
    return wrap<D>(this.#cell.read());
  }

  /** @ignore */
  [toNode](): Node {
    return this.#cell.read();
  }

  /**
   * Replaces the value.
   * @param value of the variable's shape and dtype; plain numbers and lists are given its dtype
   * @returns the variable
   * @throws ShapeError, TypeError where shape or dtype differ; TracerError inside `tnp.vectorized_map`
   */
  assign(value: ArrayLike): this {
    this.#cell.write(this.#convert("assign", value));
    return this;
  }

  /** Adds to the value, as `assign` does. */
  assign_add(delta: ArrayLike): this {
    return this.#update("assign_add", ops.add, delta);
  }

  /** Subtracts from the value, as `assign` does. */
  assign_sub(delta: ArrayLike): this {
    return this.#update("assign_sub", ops.sub, delta);
  }

  /** The variable as `console.log` shows it. */
  toString(): string {
    return `<Variable ${JSON.stringify(this.name)} of shape ${formatShape(this.#cell.shape)} and dtype ${this.dtype}>`;
  }

  /** @ignore */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** @ignore */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  #update(name: string, op: (x: Node, y: Node) => Node, delta: ArrayLike): this {
    const by = this.#convert(name, delta);
    within(name, () => this.#cell.write(op(unseen(this.#cell), by)));
    return this;
  }

  #convert(name: string, value: ArrayLike): Node {
    const { dtype, device } = this.#cell;
    const node = toTyped(name, value, isTypedAlready(value) ? null : dtype, device);
    if (node.dtype !== dtype) {
      throw new TypeError(`${name}: got dtype ${node.dtype}, expected the variable's ${dtype}; cast with astype`);
    }
    return node;
  }
}

/** Arrays, variables and typed arrays have a dtype of their own; an integer typed array given to a float variable is a mistake. */
function isTypedAlready(value: ArrayLike): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !("re" in value);
}

/** The value of a variable, without a tape taking notice: an update is no use of it. */
function unseen(cell: Cell): Node {
  const { recorders } = context;
  context.recorders = recorders.filter((recorder) => recorder.read === undefined);
  try {
    return cell.read();
  } finally {
    context.recorders = recorders;
  }
}

/** The variable that holds its value in a place. */
export function variableOf(cell: object): Variable | null {
  return variables.get(cell) ?? null;
}

/** The place behind a variable. */
export function cellOf(variable: Variable): Cell {
  return cellOfVariable(variable);
}
