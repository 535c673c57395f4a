/**
 * A traced function under a tape: its forward plan also stores what its derivative needs, and the derivative is a plan of its own. The
 * tape sees one record. Both are programs, so gradients of gradients work the same way.
 *
 * Source: the forward and backward functions of tf.function.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import type { BatchArg, Primitive, VjpContext } from "../core/primitive.ts";
import { bind, context, isWatched, type Node } from "../core/trace.ts";
import type { Argument } from "./capture.ts";
import type { Bound } from "./log.ts";
import { argumentOf, Program, spreadArg, zerosOf } from "./program.ts";
import type { Graph } from "./replay.ts";
import { computeResults, control, putTogether, resultsOf, valuesOf } from "./several.ts";
import { pullBack } from "./tape.ts";
import { assignedCell } from "./variable.ts";

/** A program whose outputs are another one's, and then values of its slots that a derivative needs. */
interface Forward {
  readonly program: Program;
  readonly slots: readonly number[];
}

/** The derivative of a program by some inputs for cotangents of some outputs. */
interface Derivative {
  readonly program: Program;
  /** Its inputs: values of the other program's slots, and then cotangents of outputs by number. */
  readonly slots: readonly number[];
  readonly seeds: readonly number[];
  /** Which of the inputs it gives a cotangent for: the others depend on nothing. */
  readonly there: readonly boolean[];
}

interface CallParams {
  readonly program: Program;
  readonly forward: Forward;
}

/** Whether a graph can be called under a tape: not with control flow, and not where it assigns variables, for a tape sees to these. */
export function isCallable({ steps }: Graph): boolean {
  return steps.every(({ prim, params }) => prim.kind !== "control" && assignedCell(prim, params) === null);
}

/**
 * Computes a program outside of traces so that tapes can differentiate it; inside of traces its primitives are bound.
 * @returns its outputs
 */
export function callProgram(program: Program, inputs: readonly Node[]): Node[] {
  if (context.traces.length > 0) return program.bind(inputs);
  const watched = inputs.map((x) => isInexact(x.dtype) && isWatched([x]));
  if (!watched.includes(true)) return computeResults(() => program.compute(inputs));
  const forward = forwardOf(program, watched);
  const node = bind(call, inputs, { program, forward });
  computeResults(() => forward.program.compute(inputs), node);
  return resultsOf(node, program.outputs.length);
}

const call: Primitive<CallParams> = control<CallParams>("call", {
  results: ({ forward }) => forward.program.outputs,
  run: (inputs, { forward }) => forward.program.compute(inputs),
  watched: (params) => params,
  vjp,
  batch: (args: readonly BatchArg[], { forward }, size) =>
    putTogether(forward.program.graph.runBatched(args, size).map((x) => spreadArg(x, size))),
});

function vjp(_g: Node, ctx: VjpContext<CallParams>): (Node | null)[] {
  const { inputs, output, params: { program, forward }, needs } = ctx;
  const given = forward.program.outputs.map((_, i) => ctx.cotangents?.[i] ?? null);
  const count = program.outputs.length;
  const results = valuesOf(output);
  const values = new Map<number, Node>(inputs.map((node, i) => [i, node]));
  forward.slots.forEach((slot, i) => values.set(slot, results[count + i]!));
  // A gradient of the gradient reaches what was stored as well: then all of it is differentiated.
  const whole = given.slice(count).some((g) => g !== null) ? forward.program : program;
  const seeded = whole.outputs.map((_, i) => given[i] !== null);
  let derivative = derivativeOf(whole, needs, seeded, false);
  if (!derivative.slots.every((slot) => values.has(slot))) derivative = derivativeOf(whole, needs, seeded, true);
  const { slots, seeds, there } = derivative;
  const grads = callProgram(derivative.program, [
    ...slots.map((slot) => values.get(slot)!),
    ...seeds.map((i) => given[i] ?? zerosOf(whole.outputs[i]!, whole.outputs[i]!.device)),
  ]);
  let next = 0;
  return there.map((is) => is ? grads[next++]! : null);
}

function forwardOf(program: Program, watched: readonly boolean[]): Forward {
  return program.derive(`forward ${watched}`, () => {
    const seeded = program.outputs.map(({ dtype }) => isInexact(dtype));
    const slots = derivativeOf(program, watched, seeded, false).slots.filter((slot) => slot >= program.inputs.length);
    const { graph } = program;
    const forward = new Program(program.inputs, (nodes) => {
      const values = slotsOf(program, nodes);
      return [...graph.results, ...slots].map((slot) => values[slot]!);
    });
    return { program: forward, slots };
  });
}

/** Binds a program's primitives: the values of all its slots. */
function slotsOf({ graph }: Program, inputs: readonly Node[]): Node[] {
  const values = [...inputs];
  for (const { prim, params, inputs, device } of graph.steps) {
    values.push(bind(prim, inputs.map((slot) => values[slot]!), params, device));
  }
  return values;
}

/**
 * The derivative of a program.
 * @param wanted the inputs by which it is differentiated
 * @param seeded the outputs that have a cotangent
 * @param again whether it computes the program's values again; else it is given those that it needs
 */
function derivativeOf(
  program: Program,
  wanted: readonly boolean[],
  seeded: readonly boolean[],
  again: boolean,
): Derivative {
  return program.derive(`derivative ${wanted} ${seeded} ${again}`, () => {
    const { graph, inputs } = program;
    const slots: Argument[] = inputs.map((x) => argumentOf(x, x.device));
    if (!again) {
      for (const { prim, params, inputs, device } of graph.steps) {
        slots.push(argumentOf(prim.infer(inputs.map((slot) => slots[slot]!), params), device));
      }
    }
    const outputs = program.outputs.flatMap((x, i) => seeded[i] && isInexact(x.dtype) ? [i] : []);
    let there: readonly boolean[] = [];
    const derivative = new Program(
      [...slots, ...outputs.map((i) => argumentOf(program.outputs[i]!, program.outputs[i]!.device))],
      (nodes) => {
        const values = again ? slotsOf(program, nodes.slice(0, inputs.length)) : nodes.slice(0, slots.length);
        if (!again) remake(program, values);
        const grads = pullBack(
          graph.steps.map(({ prim, params, inputs: from }, k): Bound => ({
            node: values[inputs.length + k]!,
            prim,
            inputs: from.map((slot) => values[slot]!),
            params,
          })),
          inputs.flatMap((_, i) => wanted[i] ? [values[i]!] : []),
          outputs.map((i) => values[graph.results[i]!]!),
          nodes.slice(slots.length),
        );
        let next = 0;
        const all = wanted.map((is) => is ? grads[next++]! : null);
        there = all.map((g) => g !== null);
        return all.filter((g) => g !== null);
      },
      true,
    );
    const used = derivative.used;
    return {
      program: derivative,
      slots: used.filter((i) => i < slots.length),
      seeds: used.filter((i) => i >= slots.length).map((i) => outputs[i - slots.length]!),
      there,
    };
  });
}

/** Values that cost nothing are made again instead of stored: numbers, positions, and moves. */
function remake({ graph, inputs }: Program, values: Node[]): void {
  graph.steps.forEach(({ prim, params, inputs: from, device }, k) => {
    const { as } = prim.lower;
    if (as !== "scalar" && as !== "iota" && as !== "view") return;
    values[inputs.length + k] = bind(prim, from.map((slot) => values[slot]!), params, device);
  });
}
