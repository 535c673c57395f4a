/**
 * NDArray: an immutable n-dimensional array, a handle on a node of the graph.
 *
 * What computes is written in src/numpy; its functions reach the methods through one table (`installMethods`), so that a
 * method and its function are one piece of code.
 * @module
 */
import { describe } from "./base/describe.ts";
import { type DType, dtypes, type InexactType, isComplex } from "./base/dtype.ts";
import { DisposedError, TracerError, within } from "./base/errors.ts";
import { formatShape } from "./base/shape.ts";
import { isDisposed, Node, settle, type toNode } from "./core/trace.ts";
import { readBytesAsync, readData, readElement, readNested } from "./transform/evaluate.ts";
import { asElements, type DataOf, type Nested, type Scalar } from "./base/elements.ts";

export type { Complex, DataOf, Nested, Scalar } from "./base/elements.ts";

/** An object of another library with elements and a shape: a scijs `ndarray`, or anything with `data` and `shape`. */
export interface ArrayObject {
  /** The elements, wherever they lie. */
  readonly data: Elements<number | bigint | boolean>;
  /** The length of each axis. */
  readonly shape: readonly number[];
  /** Elements between neighbours along each axis; C order if absent. */
  readonly stride?: readonly number[];
  /** The position of the first element; 0 if absent. */
  readonly offset?: number;
}

/** An object that hands its elements out on request, as a tfjs tensor does. */
export interface TensorObject {
  /** Gives the elements in C order. */
  dataSync(): Elements<number | bigint | boolean>;
  /** The length of each axis. */
  readonly shape: readonly number[];
  /** The name of a dtype; told from the elements if absent. */
  readonly dtype?: string;
}

/** What arrays and typed arrays have in common. */
export interface Elements<T> {
  /** How many there are. */
  readonly length: number;
  /** Each by its position. */
  readonly [index: number]: T;
}

/** A value that stands for an array: `tnp.Variable` is one. */
export interface ArraySource {
  /** @internal */
  [toNode](): object;
}

/** One of JavaScript's typed arrays. */
export type TypedArrayLike =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float16Array
  | Float32Array
  | Float64Array;

/** Everything that functions take as an array: scalars, nested lists, typed arrays, arrays of other libraries. */
export type ArrayLike =
  | NDArray
  | Scalar
  | TypedArrayLike
  | ArrayObject
  | TensorObject
  | ArraySource
  | readonly ArrayLike[];

/** Operands beside which an array of dtype D keeps its dtype in a quotient. */
export type KeepsQuotient<D extends DType> = D extends InexactType ? NDArray<D> | number | bigint | boolean : never;

/** Operands beside which an array of dtype D keeps its dtype: arrays of the same, and for floats plain numbers. */
export type Keeps<D extends DType> = D extends InexactType ? KeepsQuotient<D> : D extends "bool" ? never : NDArray<D>;

/** An axis, several axes, or null for all of them. */
export type Axis = number | readonly number[] | null;

/** A slice of an axis as `tnp.slice` makes it. */
export interface Slice {
  /** Where it begins; null for the start. */
  readonly start: number | null;
  /** Before where it ends; null for the end. */
  readonly stop: number | null;
  /** The distance of its elements; null for 1. */
  readonly step: number | null;
  /** Tells slices from other objects. */
  readonly kind: "slice";
}

/** What one place of an index may hold: an integer, `null` (newaxis), a slice or its text (`"1:3"`, `":"`, `"..."`), a mask, a list of integers. */
export type Index = number | bigint | boolean | null | string | Slice | NDArray | TypedArrayLike | readonly IndexList[];

/** Nested lists of integers or of booleans. */
export type IndexList = number | bigint | boolean | NDArray | readonly IndexList[];

/** Positional arguments that may stop early, with keywords in a trailing plain object. */
export type Args<P extends readonly unknown[], O> = P extends readonly [infer F, ...infer R]
  ? readonly [options?: O] | readonly [F, ...Args<R, O>]
  : readonly [options?: O];

/** Keywords of reductions. */
export interface ReduceOptions {
  /** The axis or axes to reduce; all if absent. */
  readonly axis?: Axis | undefined;
  /** The dtype to compute in and to return. */
  readonly dtype?: DType | undefined;
  /** Keeps reduced axes with length 1. */
  readonly keepdims?: boolean | undefined;
  /** A value the reduction starts with. */
  readonly initial?: ArrayLike | undefined;
  /** Which elements take part; broadcasts against the array. */
  readonly where?: ArrayLike | undefined;
}

/** Keywords of `all` and `any`. */
export type TruthOptions = Pick<ReduceOptions, "axis" | "keepdims" | "where">;

/** Keywords of `var` and `std`. */
export interface SpreadOptions extends Omit<ReduceOptions, "initial"> {
  /** What is taken off the count in the divisor. */
  readonly ddof?: number | undefined;
  /** The array API's name of `ddof`. */
  readonly correction?: number | undefined;
  /** The mean, computed before with `keepdims: true`. */
  readonly mean?: ArrayLike | undefined;
}

/** Keywords of `argmax` and `argmin`. */
export interface ArgReduceOptions {
  /** The axis to search along; of the flattened array if absent. */
  readonly axis?: number | null | undefined;
  /** Whether the axis stays, with length 1. */
  readonly keepdims?: boolean | undefined;
}

/** Keywords of `cumsum` and `cumprod`. */
export interface ScanOptions {
  /** The axis to run along; over the flattened array if absent. */
  readonly axis?: number | null | undefined;
  /** The dtype to compute in; that of the reduction if absent. */
  readonly dtype?: DType | undefined;
}

/** Keywords of `reshape`, `ravel` and `flatten`: `"F"` has the first axis run fastest. */
export interface OrderOptions {
  /** Which axis of the elements is read fastest: the last (C), the first (F), or as they lie in memory (A, K); C if absent. */
  readonly order?: "C" | "F" | "A" | "K" | undefined;
}

/** How `with` combines values with what is there. */
export interface WithOptions {
  /** What becomes of an element that is written: the new value (`set`), or what the operation makes of old and new; `set` if absent. */
  readonly mode?: "set" | "add" | "min" | "max" | "multiply" | undefined;
}

/** Keywords of `astype`. */
export interface AstypeOptions {
  /** Which conversions are allowed; `unsafe`, all of them, if absent. */
  readonly casting?: "no" | "equiv" | "safe" | "same_kind" | "unsafe" | undefined;
  /** Taken as NumPy takes it; arrays never change, so it makes no difference. */
  readonly copy?: boolean | undefined;
}

/** The functions behind the methods; src/numpy/methods.ts fills it. */
export interface Methods {
  add(x1: ArrayLike, x2: ArrayLike): NDArray;
  subtract(x1: ArrayLike, x2: ArrayLike): NDArray;
  multiply(x1: ArrayLike, x2: ArrayLike): NDArray;
  divide(x1: ArrayLike, x2: ArrayLike): NDArray;
  floor_divide(x1: ArrayLike, x2: ArrayLike): NDArray;
  mod(x1: ArrayLike, x2: ArrayLike): NDArray;
  power(x1: ArrayLike, x2: ArrayLike): NDArray;
  matmul(x1: ArrayLike, x2: ArrayLike): NDArray;
  negative(x: ArrayLike): NDArray;
  positive(x: ArrayLike): NDArray;
  abs(x: ArrayLike): NDArray;
  invert(x: ArrayLike): NDArray;
  bitwise_and(x1: ArrayLike, x2: ArrayLike): NDArray;
  bitwise_or(x1: ArrayLike, x2: ArrayLike): NDArray;
  bitwise_xor(x1: ArrayLike, x2: ArrayLike): NDArray;
  left_shift(x1: ArrayLike, x2: ArrayLike): NDArray;
  right_shift(x1: ArrayLike, x2: ArrayLike): NDArray;
  equal(x1: ArrayLike, x2: ArrayLike): NDArray;
  not_equal(x1: ArrayLike, x2: ArrayLike): NDArray;
  less(x1: ArrayLike, x2: ArrayLike): NDArray;
  less_equal(x1: ArrayLike, x2: ArrayLike): NDArray;
  greater(x1: ArrayLike, x2: ArrayLike): NDArray;
  greater_equal(x1: ArrayLike, x2: ArrayLike): NDArray;
  at(x: NDArray, index: readonly Index[]): NDArray;
  with(x: NDArray, index: readonly Index[], value: ArrayLike, options?: WithOptions): NDArray;
  astype(x: NDArray, dtype: DType, options?: AstypeOptions): NDArray;
  copy(x: NDArray): NDArray;
  real(x: ArrayLike): NDArray;
  imag(x: ArrayLike): NDArray;
  conj(x: ArrayLike): NDArray;
  reshape(x: ArrayLike, shape: number | readonly number[], options?: OrderOptions): NDArray;
  ravel(x: ArrayLike, order?: "C" | "F" | "A" | "K"): NDArray;
  transpose(x: ArrayLike, axes?: readonly number[] | null): NDArray;
  matrix_transpose(x: ArrayLike): NDArray;
  swapaxes(x: ArrayLike, axis1: number, axis2: number): NDArray;
  squeeze(x: ArrayLike, axis?: Axis): NDArray;
  repeat(x: ArrayLike, repeats: ArrayLike, axis?: number | null): NDArray;
  diagonal(x: ArrayLike, ...args: Args<[number, number, number], DiagonalOptions>): NDArray;
  trace(x: ArrayLike, ...args: Args<[number, number, number, DType], TraceOptions>): NDArray;
  take(x: ArrayLike, indices: ArrayLike, ...args: Args<[number | null], TakeOptions>): NDArray;
  compress(condition: ArrayLike, x: ArrayLike, ...args: Args<[number | null], AxisOption>): NDArray;
  nonzero(x: ArrayLike): NDArray<"int64">[];
  searchsorted(x: ArrayLike, v: ArrayLike, ...args: Args<["left" | "right"], SearchOptions>): NDArray<"int64">;
  sort(x: ArrayLike, ...args: Args<[number | null], SortOptions>): NDArray;
  argsort(x: ArrayLike, ...args: Args<[number | null], SortOptions>): NDArray<"int64">;
  dot(x: ArrayLike, y: ArrayLike): NDArray;
  sum(x: ArrayLike, ...args: Args<[Axis, DType], ReduceOptions>): NDArray;
  prod(x: ArrayLike, ...args: Args<[Axis, DType], ReduceOptions>): NDArray;
  mean(x: ArrayLike, ...args: Args<[Axis, DType], Omit<ReduceOptions, "initial">>): NDArray;
  var(x: ArrayLike, ...args: Args<[Axis, DType], SpreadOptions>): NDArray;
  std(x: ArrayLike, ...args: Args<[Axis, DType], SpreadOptions>): NDArray;
  max(x: ArrayLike, ...args: Args<[Axis], Omit<ReduceOptions, "dtype">>): NDArray;
  min(x: ArrayLike, ...args: Args<[Axis], Omit<ReduceOptions, "dtype">>): NDArray;
  argmax(x: ArrayLike, ...args: Args<[number | null], ArgReduceOptions>): NDArray<"int64">;
  argmin(x: ArrayLike, ...args: Args<[number | null], ArgReduceOptions>): NDArray<"int64">;
  all(x: ArrayLike, ...args: Args<[Axis], TruthOptions>): NDArray;
  any(x: ArrayLike, ...args: Args<[Axis], TruthOptions>): NDArray;
  cumsum(x: ArrayLike, ...args: Args<[number | null, DType], ScanOptions>): NDArray;
  cumprod(x: ArrayLike, ...args: Args<[number | null, DType], ScanOptions>): NDArray;
  clip(x: ArrayLike, ...args: Args<[ArrayLike | null, ArrayLike | null], ClipOptions>): NDArray;
  round(x: ArrayLike, ...args: Args<[number], { readonly decimals?: number }>): NDArray;
}

/** Keywords of `diagonal`. */
export interface DiagonalOptions {
  /** The distance of the diagonal from the main one; 0 if absent. */
  readonly offset?: number | undefined;
  /** The first axis of the planes; 0 if absent. */
  readonly axis1?: number | undefined;
  /** The second axis of the planes; 1 if absent. */
  readonly axis2?: number | undefined;
}

/** Keywords of `trace`. */
export interface TraceOptions extends DiagonalOptions {
  /** The dtype to sum in; that of `sum` if absent. */
  readonly dtype?: DType | undefined;
}

/** Keywords of `take`. */
export interface TakeOptions {
  /** The axis of the repeats; the flattened array if absent. */
  readonly axis?: number | null | undefined;
  /** What an index outside does: an error, counts round, or stops at the ends. */
  readonly mode?: "raise" | "wrap" | "clip" | undefined;
}

/** The keyword of `compress`. */
export interface AxisOption {
  /** The axis to select along; the flattened array if absent. */
  readonly axis?: number | null;
}

/** Keywords of `sort` and `argsort`. */
export interface SortOptions {
  /** The axis to sort along, or null for the flattened array; -1 if absent. */
  readonly axis?: number | null | undefined;
  /** NumPy's names of algorithms; every sort here is stable, so they say nothing. */
  readonly kind?: "quicksort" | "mergesort" | "heapsort" | "stable" | null | undefined;
  /** Whether equal elements keep their order; they always do. */
  readonly stable?: boolean | null | undefined;
}

/** Keywords of `clip`: the limits under both of NumPy's names. */
export interface ClipOptions {
  /** The lower limit; none if absent or null. */
  readonly min?: ArrayLike | null;
  /** The upper limit; none if absent or null. */
  readonly max?: ArrayLike | null;
  /** The lower limit under NumPy's older name. */
  readonly a_min?: ArrayLike | null;
  /** The upper limit under NumPy's older name. */
  readonly a_max?: ArrayLike | null;
}

/** Keywords of `searchsorted`. */
export interface SearchOptions {
  /** Which of the places that keep the order is found: the first (`left`) or the last (`right`); `left` if absent. */
  readonly side?: "left" | "right" | undefined;
  /** Integers that sort the array. */
  readonly sorter?: ArrayLike | undefined;
}

let methods: Methods;
let print: (x: NDArray) => string;

/** Gives the methods their functions. */
export function installMethods(table: Methods): void {
  methods = table;
}

/** Gives `toString` and `console.log` their text. */
export function installPrinter(printer: (x: NDArray) => string): void {
  print = printer;
}

let make: <D extends DType>(node: Node) => NDArray<D>;
let open: (x: NDArray) => Node;
let adopt: (x: NDArray) => void;

/** Live handles of each open `tnp.scope`, innermost last. */
const scopes: Set<NDArray>[] = [];

/**
 * An immutable n-dimensional array of one dtype.
 *
 * Arrays are made by functions (`tnp.array`, `tnp.zeros`, …), and every operation gives a new one. Nothing is computed until a
 * value is read. Memory is given back by the collector, at the end of a `tnp.scope`, by `using`, or by `dispose()`.
 *
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.arange(6).reshape(2, 3);
 * console.log(x.shape, x.dtype, x.sum(0).toArray()); // [ 2, 3 ] int64 [ 3, 5, 7 ]
 * ```
 * Source: numpy.ndarray
 */
export class NDArray<D extends DType = DType> {
  readonly #node: Node;
  #disposed = false;

  static {
    make = <D extends DType>(node: Node) => new NDArray<D>(node);
    open = (x) => {
      if (x.#disposed) throw new DisposedError("NDArray: the array was used after dispose()");
      return x.#node;
    };
    adopt = (x) => scopes.at(-1)?.add(x);
    // Only names that nothing else defines get this far, so ordinary access stays as fast as it is.
    Object.setPrototypeOf(
      this.prototype,
      new Proxy(Object.prototype, {
        set(target, key, value, receiver): boolean {
          if (isIndex(key)) {
            throw new TypeError(
              `NDArray: arrays are immutable, so x[${key}] = … cannot be; x.with([${key}], value) gives a new array`,
            );
          }
          return Reflect.set(target, key, value, receiver);
        },
        get(target, key, receiver): unknown {
          if (isIndex(key)) throw new TypeError(`NDArray: x[${key}] is not an element; use x.at(${key})`);
          return Reflect.get(target, key, receiver);
        },
      }),
    );
  }

  // No finalizer drops the node: a registry would keep node and memory alive until a synchronous loop ends. What nobody gives
  // back, the collector takes, and devices learn of it through their buffers.
  private constructor(node: Node) {
    if (!(node instanceof Node)) {
      throw new TypeError("NDArray: arrays are made by functions such as tnp.array, not by new");
    }
    this.#node = node.hold();
    if (scopes.length > 0) scopes.at(-1)!.add(this);
    settle(node);
  }

  /** The lengths of the axes. */
  get shape(): number[] {
    return [...open(this).shape];
  }

  /** The number of axes. */
  get ndim(): number {
    return open(this).shape.length;
  }

  /** The number of elements. */
  get size(): number {
    return open(this).size;
  }

  /** The type of the elements. */
  get dtype(): D {
    return open(this).dtype as D;
  }

  /** Bytes of one element. */
  get itemsize(): number {
    return dtypes[open(this).dtype].itemsize;
  }

  /** Bytes of all elements. */
  get nbytes(): number {
    return this.size * this.itemsize;
  }

  /** The device the array lives on: `"CPU:0"`. */
  get device(): string {
    return open(this).device.name;
  }

  /** The array with its axes reversed. */
  get T(): NDArray<D> {
    return methods.transpose(this) as NDArray<D>;
  }

  /** The array with its last two axes swapped. */
  get mT(): NDArray<D> {
    return methods.matrix_transpose(this) as NDArray<D>;
  }

  /** The real part; the array itself if it is not complex. */
  get real(): NDArray {
    return methods.real(this);
  }

  /** The imaginary part; zeros if the array is not complex. */
  get imag(): NDArray {
    return methods.imag(this);
  }

  /**
   * Reads the elements in C order without blocking the event loop.
   * @returns the dtype's typed array: BigInt64Array for int64, Uint8Array of 0 and 1 for bool, bit patterns in a Uint16Array for
   *   bfloat16, re and im interleaved for complex
   * @throws TracerError inside `tnp.function` and `tnp.vectorized_map`; DisposedError after `dispose()`
   */
  async data(): Promise<DataOf<D>> {
    const node = readable(this, "data");
    return asElements(await readBytesAsync(node), node.dtype) as DataOf<D>;
  }

  /** Reads the elements in C order like `data`, waiting for them. */
  dataSync(): DataOf<D> {
    const node = readable(this, "dataSync");
    return readData(node) as DataOf<D>;
  }

  /** The elements as nested JavaScript arrays; one value for a 0-d array. 64-bit integers are bigints only beyond 2^53. */
  toArray(): Nested {
    const node = readable(this, "toArray");
    return readNested(node);
  }

  /**
   * One element as a JavaScript value: number, boolean, bigint only beyond 2^53, `{ re, im }` for complex.
   * @param index nothing for an array of one element, the position in C order, or one index an axis
   * @throws TypeError for an array of more elements without an index; IndexError outside
   */
  item(...index: readonly number[]): Scalar {
    if (index.length > 0) {
      for (const n of index) {
        if (!Number.isInteger(n)) throw new TypeError(`item: got index ${describe(n)}, expected an integer`);
      }
      if (index.length !== 1 && index.length !== this.ndim) {
        throw new TypeError(`item: got ${index.length} indices, expected 1 or ${this.ndim}`);
      }
      const flat = index.length === 1 && this.ndim !== 1;
      using one = within("item", () => methods.at(flat ? methods.ravel(this) : this, index));
      return one.item();
    }
    const node = readable(this, "item");
    if (node.size !== 1) {
      throw new TypeError(`item: only an array of one element is a scalar, got shape ${formatShape(node.shape)}`);
    }
    return readElement(node);
  }

  /** NumPy's text of the array, as `print` shows it. */
  toString(): string {
    const node = open(this);
    if (node.symbolic) return `<traced array of shape ${formatShape(node.shape)} and dtype ${node.dtype}>`;
    return print(this);
  }

  /** The nested arrays, for JSON; 64-bit integers beyond 2^53 cannot be said there. */
  toJSON(): Nested {
    return this.toArray();
  }

  /** @ignore */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.#disposed ? "<disposed array>" : this.toString();
  }

  /** @ignore */
  [Symbol.for("Deno.customInspect")](): string {
    return this.#disposed ? "<disposed array>" : this.toString();
  }

  /** A number where JavaScript asks for one: only arrays of one element have it. */
  [Symbol.toPrimitive](hint: string): string | number | bigint | boolean {
    if (hint === "string") return this.toString();
    const node = readable(this, "valueOf");
    if (node.size !== 1 || isComplex(node.dtype)) {
      throw new TypeError(
        `NDArray: JavaScript's operators take no arrays, got shape ${
          formatShape(node.shape)
        }; use methods such as x.add(y)`,
      );
    }
    return this.item() as number | bigint | boolean;
  }

  /** Iterates over the first axis. */
  *[Symbol.iterator](): IterableIterator<NDArray<D>> {
    const { shape } = open(this);
    if (shape.length === 0) throw new TypeError("NDArray: iteration over a 0-d array");
    for (let i = 0; i < shape[0]!; i++) yield methods.at(this, [i]) as NDArray<D>;
  }

  /** Gives the memory back; any use after that is an error. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const scope of scopes) scope.delete(this);
    this.#node.drop();
  }

  /** Gives the memory back at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * The part of the array that an index selects, with all of NumPy's basic, boolean and advanced indexing.
   * @param index one entry an axis: an integer, `null` (`tnp.newaxis`), `"1:3"`, `"::2"`, `":"`, `"..."`, `tnp.slice(1, 3)`, a list of
   *   integers, a list of booleans or a boolean array
   * @throws IndexError outside the array, or for too many indices
   * @example
   * ```ts
   * import { tnp } from "@tnp/tnp";
   * const x = tnp.arange(12).reshape(3, 4);
   * console.log(x.at(1, "1:3").toArray(), x.at([0, 2], [1, 3]).toArray()); // [ 5, 6 ] [ 1, 11 ]
   * ```
   */
  at(...index: readonly Index[]): NDArray<D> {
    return methods.at(this, index) as NDArray<D>;
  }

  /**
   * A copy of the array with values put where an index selects.
   * @param index the list that `at` takes
   * @param value what is put there; broadcasts to the selection's shape and is cast to the array's dtype
   * @param options `mode`: `"set"`, or how to combine with what is there: `"add"`, `"min"`, `"max"`, `"multiply"`
   * @example
   * ```ts
   * import { tnp } from "@tnp/tnp";
   * console.log(tnp.zeros([2, 2]).with([0, ":"], 7).toArray()); // [ [ 7, 7 ], [ 0, 0 ] ]
   * ```
   */
  with(index: readonly Index[], value: ArrayLike, options?: WithOptions): NDArray<D> {
    return methods.with(this, index, value, options) as NDArray<D>;
  }

  /** The array in another dtype, as `tnp.astype`. */
  astype<T extends DType>(dtype: T, options?: AstypeOptions): NDArray<T> {
    return methods.astype(this, dtype, options) as NDArray<T>;
  }

  /** A copy, on the device of the innermost `tnp.device` scope, as `tnp.copy`. */
  copy(): NDArray<D> {
    return methods.copy(this) as NDArray<D>;
  }

  /** `x + y`, as `tnp.add`. */
  add(y: Keeps<D>): NDArray<D>;
  /** `x + y`, of any dtype. */
  add(y: ArrayLike): NDArray;
  add(y: ArrayLike): NDArray {
    return methods.add(this, y);
  }

  /** `x - y`, as `tnp.subtract`. */
  sub(y: Keeps<D>): NDArray<D>;
  /** `x - y`, of any dtype. */
  sub(y: ArrayLike): NDArray;
  sub(y: ArrayLike): NDArray {
    return methods.subtract(this, y);
  }

  /** `x * y`, as `tnp.multiply`. */
  mul(y: Keeps<D>): NDArray<D>;
  /** `x * y`, of any dtype. */
  mul(y: ArrayLike): NDArray;
  mul(y: ArrayLike): NDArray {
    return methods.multiply(this, y);
  }

  /** `x / y`, as `tnp.divide`. */
  div(y: KeepsQuotient<D>): NDArray<D>;
  /** `x / y`, of any dtype. */
  div(y: ArrayLike): NDArray;
  div(y: ArrayLike): NDArray {
    return methods.divide(this, y);
  }

  /** `x // y`, as `tnp.floor_divide`. */
  floordiv(y: Keeps<D>): NDArray<D>;
  /** `x // y`, of any dtype. */
  floordiv(y: ArrayLike): NDArray;
  floordiv(y: ArrayLike): NDArray {
    return methods.floor_divide(this, y);
  }

  /** `x % y` with the divisor's sign, as `tnp.mod`. */
  mod(y: Keeps<D>): NDArray<D>;
  /** `x % y`, of any dtype. */
  mod(y: ArrayLike): NDArray;
  mod(y: ArrayLike): NDArray {
    return methods.mod(this, y);
  }

  /** `x ** y`, as `tnp.power`. */
  pow(y: Keeps<D>): NDArray<D>;
  /** `x ** y`, of any dtype. */
  pow(y: ArrayLike): NDArray;
  pow(y: ArrayLike): NDArray {
    return methods.power(this, y);
  }

  /** `x @ y`, as `tnp.matmul`. */
  matmul(y: ArrayLike): NDArray {
    return methods.matmul(this, y);
  }

  /** `-x`, as `tnp.negative`. */
  neg(): NDArray<D> {
    return methods.negative(this) as NDArray<D>;
  }

  /** `+x`, as `tnp.positive`. */
  pos(): NDArray<D> {
    return methods.positive(this) as NDArray<D>;
  }

  /** The absolute value, as `tnp.abs`. */
  abs(): NDArray {
    return methods.abs(this);
  }

  /** `~x`, as `tnp.invert`. */
  invert(): NDArray<D> {
    return methods.invert(this) as NDArray<D>;
  }

  /** `x & y`, as `tnp.bitwise_and`. */
  and(y: ArrayLike): NDArray {
    return methods.bitwise_and(this, y);
  }

  /** `x | y`, as `tnp.bitwise_or`. */
  or(y: ArrayLike): NDArray {
    return methods.bitwise_or(this, y);
  }

  /** `x ^ y`, as `tnp.bitwise_xor`. */
  xor(y: ArrayLike): NDArray {
    return methods.bitwise_xor(this, y);
  }

  /** `x << y`, as `tnp.left_shift`. */
  lshift(y: ArrayLike): NDArray {
    return methods.left_shift(this, y);
  }

  /** `x >> y`, as `tnp.right_shift`. */
  rshift(y: ArrayLike): NDArray {
    return methods.right_shift(this, y);
  }

  /** `x == y`, as `tnp.equal`. */
  eq(y: ArrayLike): NDArray<"bool"> {
    return methods.equal(this, y) as NDArray<"bool">;
  }

  /** `x != y`, as `tnp.not_equal`. */
  ne(y: ArrayLike): NDArray<"bool"> {
    return methods.not_equal(this, y) as NDArray<"bool">;
  }

  /** `x < y`, as `tnp.less`. */
  lt(y: ArrayLike): NDArray<"bool"> {
    return methods.less(this, y) as NDArray<"bool">;
  }

  /** `x <= y`, as `tnp.less_equal`. */
  le(y: ArrayLike): NDArray<"bool"> {
    return methods.less_equal(this, y) as NDArray<"bool">;
  }

  /** `x > y`, as `tnp.greater`. */
  gt(y: ArrayLike): NDArray<"bool"> {
    return methods.greater(this, y) as NDArray<"bool">;
  }

  /** `x >= y`, as `tnp.greater_equal`. */
  ge(y: ArrayLike): NDArray<"bool"> {
    return methods.greater_equal(this, y) as NDArray<"bool">;
  }

  /** The complex conjugate, as `tnp.conj`. */
  conj(): NDArray {
    return methods.conj(this);
  }

  /** The same elements in another shape: `x.reshape(2, 3)`, `x.reshape([2, -1], { order: "F" })`, as `tnp.reshape`. */
  reshape(shape: number | readonly number[], ...rest: readonly (number | OrderOptions)[]): NDArray<D> {
    const last = rest.length === 0 ? undefined : rest[rest.length - 1];
    const options = typeof last === "object" ? last : undefined;
    if (typeof shape !== "number") return methods.reshape(this, shape, options) as NDArray<D>;
    const lengths = [shape];
    for (let i = 0; i < rest.length; i++) {
      const n = rest[i];
      if (typeof n === "number") lengths.push(n);
    }
    return methods.reshape(this, lengths, options) as NDArray<D>;
  }

  /** The elements in one axis, as `tnp.ravel`. */
  ravel(order?: "C" | "F" | "A" | "K"): NDArray<D> {
    return methods.ravel(this, order) as NDArray<D>;
  }

  /** The elements in one axis, as `tnp.ravel`: with immutable arrays there is no difference. */
  flatten(order?: "C" | "F" | "A" | "K"): NDArray<D> {
    return methods.ravel(this, order) as NDArray<D>;
  }

  /** The array with its axes in another order: reversed, `x.transpose(1, 0)` or `x.transpose([1, 0])`, as `tnp.transpose`. */
  transpose(...axes: readonly number[] | readonly [readonly number[] | null]): NDArray<D> {
    const first = axes[0];
    const list = first === null || first === undefined ? null : typeof first === "number" ? axes as number[] : first;
    return methods.transpose(this, list) as NDArray<D>;
  }

  /** The array with two axes exchanged, as `tnp.swapaxes`. */
  swapaxes(axis1: number, axis2: number): NDArray<D> {
    return methods.swapaxes(this, axis1, axis2) as NDArray<D>;
  }

  /** The array without its axes of length 1, as `tnp.squeeze`. */
  squeeze(axis?: Axis): NDArray<D> {
    return methods.squeeze(this, axis) as NDArray<D>;
  }

  /** Each element several times, as `tnp.repeat`. */
  repeat(repeats: ArrayLike, axis?: number | null): NDArray<D> {
    return methods.repeat(this, repeats, axis) as NDArray<D>;
  }

  /** A diagonal of two axes, as `tnp.diagonal`. */
  diagonal(...args: Args<[number, number, number], DiagonalOptions>): NDArray<D> {
    return methods.diagonal(this, ...args) as NDArray<D>;
  }

  /** The sum along a diagonal, as `tnp.trace`. */
  trace(...args: Args<[number, number, number, DType], TraceOptions>): NDArray {
    return methods.trace(this, ...args);
  }

  /** Elements by position along an axis, as `tnp.take`. */
  take(indices: ArrayLike, ...args: Args<[number | null], TakeOptions>): NDArray<D> {
    return methods.take(this, indices, ...args) as NDArray<D>;
  }

  /** Slices where a list of conditions is true, as `tnp.compress`. */
  compress(condition: ArrayLike, ...args: Args<[axis: number | null], AxisOption>): NDArray<D> {
    return methods.compress(condition, this, ...args) as NDArray<D>;
  }

  /** Where elements are not zero: one array of indices an axis, as `tnp.nonzero`. */
  nonzero(): NDArray<"int64">[] {
    return methods.nonzero(this);
  }

  /** Where values would go into this sorted array, as `tnp.searchsorted`. */
  searchsorted(v: ArrayLike, ...args: Args<["left" | "right"], SearchOptions>): NDArray<"int64"> {
    return methods.searchsorted(this, v, ...args);
  }

  /** A sorted copy, as `tnp.sort`. */
  sort(...args: Args<[axis: number | null], SortOptions>): NDArray<D> {
    return methods.sort(this, ...args) as NDArray<D>;
  }

  /** The indices that sort, as `tnp.argsort`. */
  argsort(...args: Args<[axis: number | null], SortOptions>): NDArray<"int64"> {
    return methods.argsort(this, ...args);
  }

  /** The dot product, as `tnp.dot`. */
  dot(y: ArrayLike): NDArray {
    return methods.dot(this, y);
  }

  /** The sum, as `tnp.sum`. */
  sum(...args: Args<[Axis, DType], ReduceOptions>): NDArray {
    return methods.sum(this, ...args);
  }

  /** The product, as `tnp.prod`. */
  prod(...args: Args<[Axis, DType], ReduceOptions>): NDArray {
    return methods.prod(this, ...args);
  }

  /** The arithmetic mean, as `tnp.mean`. */
  mean(...args: Args<[Axis, DType], Omit<ReduceOptions, "initial">>): NDArray {
    return methods.mean(this, ...args);
  }

  /** The variance, as `tnp.var`. */
  var(...args: Args<[Axis, DType], SpreadOptions>): NDArray {
    return methods.var(this, ...args);
  }

  /** The standard deviation, as `tnp.std`. */
  std(...args: Args<[Axis, DType], SpreadOptions>): NDArray {
    return methods.std(this, ...args);
  }

  /** The largest element, as `tnp.max`. */
  max(...args: Args<[Axis], Omit<ReduceOptions, "dtype">>): NDArray<D> {
    return methods.max(this, ...args) as NDArray<D>;
  }

  /** The smallest element, as `tnp.min`. */
  min(...args: Args<[Axis], Omit<ReduceOptions, "dtype">>): NDArray<D> {
    return methods.min(this, ...args) as NDArray<D>;
  }

  /** Where the largest element is, as `tnp.argmax`. */
  argmax(...args: Args<[number | null], ArgReduceOptions>): NDArray<"int64"> {
    return methods.argmax(this, ...args);
  }

  /** Where the smallest element is, as `tnp.argmin`. */
  argmin(...args: Args<[number | null], ArgReduceOptions>): NDArray<"int64"> {
    return methods.argmin(this, ...args);
  }

  /** Whether all elements are true, as `tnp.all`. */
  all(...args: Args<[Axis], TruthOptions>): NDArray<"bool"> {
    return methods.all(this, ...args) as NDArray<"bool">;
  }

  /** Whether any element is true, as `tnp.any`. */
  any(...args: Args<[Axis], TruthOptions>): NDArray<"bool"> {
    return methods.any(this, ...args) as NDArray<"bool">;
  }

  /** The running sum, as `tnp.cumsum`. */
  cumsum(...args: Args<[number | null, DType], ScanOptions>): NDArray {
    return methods.cumsum(this, ...args);
  }

  /** The running product, as `tnp.cumprod`. */
  cumprod(...args: Args<[number | null, DType], ScanOptions>): NDArray {
    return methods.cumprod(this, ...args);
  }

  /** The elements kept within limits, as `tnp.clip`. */
  clip(...args: Args<[min: ArrayLike | null, max: ArrayLike | null], ClipOptions>): NDArray {
    return methods.clip(this, ...args);
  }

  /** The elements rounded to some decimals, halves to even, as `tnp.round`. */
  round(...args: Args<[decimals: number], { readonly decimals?: number }>): NDArray<D> {
    return methods.round(this, ...args) as NDArray<D>;
  }
}

function isIndex(key: string | symbol): key is string {
  return typeof key === "string" && /^-?\d+$/.test(key);
}

function readable(x: NDArray, name: string): Node {
  const node = open(x);
  if (node.symbolic) {
    throw new TracerError(
      `${name}: a traced array of shape ${
        formatShape(node.shape)
      } has no value inside tnp.function or tnp.vectorized_map; ` +
        `return it, or use tnp.where or tnp.cond instead of a condition, tnp.while_loop or tnp.scan instead of a loop`,
    );
  }
  return node;
}

/** The node of an array. @throws DisposedError after `dispose()` */
export function nodeOf(x: NDArray): Node {
  const node = open(x);
  if (isDisposed(node)) throw new DisposedError("NDArray: the array was used after dispose()");
  return node;
}

/** A new handle on a node; a chain that has grown long is computed now. */
export function wrap<D extends DType = DType>(node: Node): NDArray<D> {
  return make<D>(node);
}

/**
 * Runs a function and gives back the memory of every array made inside that it does not return.
 * @param fn a synchronous function; arrays in the tree it returns survive
 * @param leaves the arrays in a result; src/numpy gives the tree walk
 */
export function runScope<T>(fn: () => T, leaves: (result: T) => Iterable<unknown>): T {
  const made = new Set<NDArray>();
  const depth = scopes.push(made);
  const kept = new Set<unknown>();
  try {
    const result = fn();
    if (result instanceof Promise) {
      throw new TypeError(
        "scope: the function must be synchronous, got a Promise; arrays would be given back too early",
      );
    }
    for (const leaf of leaves(result)) kept.add(leaf);
    return result;
  } finally {
    scopes.length = depth - 1;
    for (const x of made) {
      if (kept.has(x)) adopt(x);
      else x.dispose();
    }
  }
}
