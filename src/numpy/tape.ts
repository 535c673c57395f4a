/**
 * The gradient tape over trees of arrays and variables.
 * @module
 */
import { flatten, type TreeDef } from "../base/tree.ts";
import { type Source, Tape, type Unconnected } from "../transform/tape.ts";
import { checkSync } from "../transform/tracing.ts";
import { type ArrayLike, NDArray, nodeOf, wrap } from "../array.ts";
import { checkChoice, checkKeywords, describe } from "./args.ts";
import { toNodeOf } from "./convert.ts";
import { type Arrays, isValue, leavesLike, type SourceTree, toLeaves, toTree } from "./trees.ts";
import { cellOf, Variable, variableOf } from "./variable.ts";

/** Settings of a tape. */
export interface GradientTapeOptions {
  /** Whether more than one gradient may be taken. */
  readonly persistent?: boolean | undefined;
  /** Whether trainable variables are watched when they are read. */
  readonly watch_accessed_variables?: boolean | undefined;
}

/** Keywords of `gradient`. */
export interface GradientOptions {
  /** A tree like the target's: the cotangent of each array in it; ones if absent. */
  readonly output_gradients?: unknown;
  /** What is given for a source on which the target does not depend: null, or zeros. */
  readonly unconnected_gradients?: Unconnected | undefined;
}

/** Keywords of `jacobian` and `batch_jacobian`. */
export interface JacobianOptions {
  /** What stands for a gradient where target and source are not connected: null (`none`) or zeros (`zero`); `none` if absent. */
  readonly unconnected_gradients?: Unconnected | undefined;
  /** How many rows are computed at once; all if absent. Fewer take less memory. */
  readonly parallel_iterations?: number | undefined;
}

const isSource = (value: unknown): value is NDArray | Variable => value instanceof NDArray || value instanceof Variable;

function sourcesOf(name: string, tree: unknown): { sources: Source[]; treedef: TreeDef } {
  const { leaves, treedef } = flatten(tree, isValue);
  const sources = leaves.map((leaf): Source => {
    if (!isSource(leaf)) throw new TypeError(`${name}: got ${describe(leaf)}, expected an array or a variable`);
    return leaf instanceof NDArray ? nodeOf(leaf) : cellOf(leaf);
  });
  return { sources, treedef };
}

function unconnectedOf(name: string, value: Unconnected | undefined): Unconnected {
  return value === undefined ? "none" : checkChoice(name, "unconnected_gradients", value, ["none", "zero"]);
}

function chunkOf(name: string, value: number | undefined): number | null {
  if (value === undefined) return null;
  if (Number.isInteger(value) && value > 0) return value;
  throw new TypeError(`${name}: parallel_iterations must be a positive integer, got ${describe(value)}`);
}

/**
 * Records what is computed with the arrays it watches, and differentiates it.
 *
 * It records from its construction to the end of its `using` block. Trainable variables are watched when they are read.
 * Tapes nest: gradients that an inner tape takes are recorded by the outer ones.
 *
 * @param options `persistent`: more than one gradient may be taken; `watch_accessed_variables` (true)
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * const x = tnp.asarray([1.5, 2]);
 * using tape = new tnp.GradientTape();
 * tape.watch(x);
 * const y = x.mul(x).sum();
 * console.log(tape.gradient(y, x)?.toArray()); // [ 3, 4 ]
 * ```
 * Source: tf.GradientTape
 */
export class GradientTape {
  readonly #tape: Tape;

  /** Begins to record; `using tape` ends it with the block. */
  constructor(options: GradientTapeOptions = {}) {
    checkKeywords("GradientTape", ["persistent", "watch_accessed_variables"], options);
    this.#tape = new Tape({
      persistent: options.persistent ?? false,
      watchVariables: options.watch_accessed_variables ?? true,
    });
  }

  /**
   * Follows arrays from now on.
   * @param tree arrays and variables, in any nesting
   * @throws TypeError for an array that is not floating or complex; Error for a tape that has ended or gave its gradient
   */
  watch(tree: SourceTree): void {
    for (const source of sourcesOf("watch", tree).sources) this.#tape.watch(source);
  }

  /**
   * The variables that the tape watches: those that were read, and those given to `watch`, in the order in which they were met.
   * @example
   * ```ts
   * import { tnp } from "@tnp/tnp";
   * const w = new tnp.Variable(1.5, { name: "w" });
   * using tape = new tnp.GradientTape();
   * const loss = tnp.square(w);
   * console.log(tape.gradient(loss, tape.watched_variables())[0]?.item()); // 3
   * ```
   * Source: tf.GradientTape.watched_variables
   */
  watched_variables(): Variable[] {
    return this.#tape.variables().flatMap((cell) => variableOf(cell) ?? []);
  }

  /**
   * The gradient of the target (of the sum of all its elements) by each source.
   *
   * @param target an array, or a tree of arrays
   * @param sources a tree of arrays and variables that the tape watches
   * @param options `output_gradients`, `unconnected_gradients`
   * @returns the tree of the sources with gradients of their shapes; null where the target does not depend on the source
   * @throws Error for a second gradient of a tape that is not persistent
   */
  gradient<const S extends SourceTree>(
    target: unknown,
    sources: S,
    options: GradientOptions & { readonly unconnected_gradients: "zero" },
  ): Arrays<S>;
  /** The gradient, with null where the target does not depend on the source. */
  gradient<const S extends SourceTree>(
    target: unknown,
    sources: S,
    options?: GradientOptions,
  ): Arrays<S, NDArray | null>;
  gradient(target: unknown, sources: SourceTree, options: GradientOptions = {}): unknown {
    checkKeywords("gradient", ["output_gradients", "unconnected_gradients"], options);
    const unconnected = unconnectedOf("gradient", options.unconnected_gradients);
    const { nodes, treedef: shape } = toLeaves("gradient", target);
    const { sources: list, treedef } = sourcesOf("gradient", sources);
    const given = options.output_gradients;
    const seeds = given === undefined || given === null
      ? null
      : leavesLike("gradient", "output_gradients", shape, given).map((leaf, i) =>
        leaf === null ? null : toNodeOf("gradient", leaf as ArrayLike, nodes[i]!.device)
      );
    return toTree(treedef, this.#tape.gradient(nodes, list, seeds, unconnected));
  }

  /**
   * The derivative of every element of the target by every element of each source.
   *
   * @param target an array of shape [...T]
   * @param sources a tree of arrays and variables of shapes [...S]
   * @param options `unconnected_gradients`, `parallel_iterations`
   * @returns the tree of the sources with arrays of shapes [...T, ...S]
   */
  jacobian<const S extends SourceTree>(
    target: NDArray | Variable,
    sources: S,
    options: JacobianOptions & { readonly unconnected_gradients: "zero" },
  ): Arrays<S>;
  /** The derivatives, with null where the target does not depend on the source. */
  jacobian<const S extends SourceTree>(
    target: NDArray | Variable,
    sources: S,
    options?: JacobianOptions,
  ): Arrays<S, NDArray | null>;
  jacobian(target: NDArray | Variable, sources: SourceTree, options: JacobianOptions = {}): unknown {
    checkKeywords("jacobian", ["unconnected_gradients", "parallel_iterations"], options);
    const unconnected = unconnectedOf("jacobian", options.unconnected_gradients);
    const chunk = chunkOf("jacobian", options.parallel_iterations);
    const { sources: list, treedef } = sourcesOf("jacobian", sources);
    return toTree(treedef, this.#tape.jacobian(toNodeOf("jacobian", target), list, unconnected, chunk));
  }

  /**
   * The Jacobian of each example of a batch; the target of one example must not depend on the source of another.
   *
   * @param target an array of shape [B, ...T]
   * @param source an array or variable of shape [B, ...S]
   * @param options `unconnected_gradients`, `parallel_iterations`
   * @returns an array of shape [B, ...T, ...S]
   * @throws ShapeError where the first axes differ
   */
  batch_jacobian(
    target: NDArray | Variable,
    source: NDArray | Variable,
    options: JacobianOptions & { readonly unconnected_gradients: "zero" },
  ): NDArray;
  /** The derivatives of each example, or null where the target does not depend on the source. */
  batch_jacobian(target: NDArray | Variable, source: NDArray | Variable, options?: JacobianOptions): NDArray | null;
  batch_jacobian(
    target: NDArray | Variable,
    source: NDArray | Variable,
    options: JacobianOptions = {},
  ): NDArray | null {
    checkKeywords("batch_jacobian", ["unconnected_gradients", "parallel_iterations"], options);
    const unconnected = unconnectedOf("batch_jacobian", options.unconnected_gradients);
    const chunk = chunkOf("batch_jacobian", options.parallel_iterations);
    const [from] = sourcesOf("batch_jacobian", source).sources;
    const node = this.#tape.batchJacobian(toNodeOf("batch_jacobian", target), from!, unconnected, chunk);
    return node === null ? null : wrap(node);
  }

  /**
   * Runs a function that the tape does not see, and returns what it returns.
   * @throws TypeError for an asynchronous function, whose end the tape would see
   */
  stop_recording<T>(fn: () => T): T {
    const result = this.#tape.pause(fn);
    checkSync("stop_recording", result);
    return result;
  }

  /** Forgets everything and starts anew. */
  reset(): void {
    this.#tape.reset();
    this.#tape.start();
  }

  /** Lets go of what was recorded; the tape is of no use afterwards. */
  dispose(): void {
    this.#tape.dispose();
  }

  /** Lets go of what was recorded at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.#tape.dispose();
  }
}
