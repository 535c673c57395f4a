/**
 * A function of nodes as a graph, with the state that it uses made explicit: variables and keys of random draws as inputs after
 * the arguments, what it assigned as outputs after the results.
 * @module
 */
import type { DType } from "../base/dtype.ts";
import type { Aval } from "../core/primitive.ts";
import type { Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import type { Graph } from "./replay.ts";
import { type Cell, mustFit, runTrace } from "./tracing.ts";

/** What the traced function gave: nodes, and what else its caller needs to build the result (structure, static values). */
export interface BodyResult<T> {
  readonly outputs: readonly Node[];
  readonly rest: T;
}

/** What is known of an argument. */
export interface Argument extends Aval {
  readonly device: Device;
  readonly weak: boolean;
}

/** A traced function. */
export interface Captured<T> extends State {
  readonly graph: Graph;
  /** How many results there are: outputs before those that are assigned. */
  readonly count: number;
  readonly rest: T;
  /** Weak arguments that were used in integer dtypes. */
  readonly fits: readonly ArgumentFit[];
}

/** What an argument must fit. */
export interface ArgumentFit {
  readonly name: string;
  readonly input: number;
  readonly dtype: DType;
}

/** The state that a traced function uses. */
export interface State {
  /** Variables read or written: inputs after the arguments. */
  readonly cells: readonly Cell[];
  /** Those written: outputs after the results. */
  readonly written: readonly Cell[];
  /** Devices of random draws: two inputs each, after the variables. */
  readonly keys: readonly Device[];
}

/**
 * Runs a function on placeholders.
 * @param args what the arguments are
 * @param body is given one placeholder an argument
 * @returns its graph, which the caller disposes
 */
export function capture<T>(
  args: readonly Argument[],
  body: (nodes: readonly Node[]) => BodyResult<T>,
): Captured<T> {
  const { graph, result } = runTrace("function", (trace) => {
    const nodes = args.map((arg) => trace.placeholder(arg, arg.device, arg.weak));
    const { outputs, rest } = body(nodes);
    const states = [...trace.cells.entries()];
    const changed = states.filter(([, state]) => state.written);
    const keys = [...trace.keys.entries()];
    return {
      inputs: [...nodes, ...states.map(([, { input }]) => input), ...keys.flatMap(([, { base }]) => base)],
      outputs: [...outputs, ...changed.map(([, { current }]) => current)],
      cells: states.map(([cell]) => cell),
      written: changed.map(([cell]) => cell),
      keys: keys.map(([device]) => device),
      count: outputs.length,
      rest,
      fits: trace.fits.map(({ name, node, dtype }) => ({ name, input: nodes.indexOf(node), dtype })),
    };
  });
  const { cells, written, keys, count, rest, fits } = result;
  return { graph, cells, written, keys, count, rest, fits };
}

/** Sees to it that arguments of a traced function fit where it uses them. @throws RangeError */
export function checkFits(fits: readonly ArgumentFit[], args: readonly Node[]): void {
  for (const { name, input, dtype } of fits) if (input < args.length) mustFit(name, args[input]!, dtype);
}
