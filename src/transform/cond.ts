/**
 * One of two branches, by a condition that is known when it runs.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import type { BatchArg, Primitive, VjpContext } from "../core/primitive.ts";
import type { Node } from "../core/trace.ts";
import { type Program, spreadArg, zerosOf } from "./program.ts";
import { choose } from "./scan.ts";
import { bindControl, control, putTogether, resultsOf } from "./several.ts";
import { readFlag } from "./while.ts";

/** Two programs with the same inputs and outputs. The inputs of the primitive are the condition, then theirs. */
export interface Branches {
  readonly yes: Program;
  readonly no: Program;
}

function run([flag, ...inputs]: readonly Node[], { yes, no }: Branches): Node[] {
  return (readFlag(flag!) ? yes : no).compute(inputs);
}

function vjp(_g: Node, { inputs, params: { yes, no }, needs, cotangents }: VjpContext<Branches>): (Node | null)[] {
  const [flag, ...own] = inputs;
  const wanted = yes.inputs.map(({ dtype }, i) => needs[i + 1]! && isInexact(dtype));
  const seeds = yes.outputs.map((y, i) => isInexact(y.dtype) ? cotangents?.[i] ?? zerosOf(y, y.device) : null);
  const grads = resultsOf(bindControl(cond, [flag!, ...own, ...seeds.filter((g) => g !== null)], {
    yes: yes.pullback(wanted),
    no: no.pullback(wanted),
  }));
  let next = 0;
  return [null, ...wanted.map((is) => is ? grads[next++]! : null)];
}

function batch([flag, ...args]: readonly BatchArg[], { yes, no }: Branches, size: number): Node {
  if (!flag!.batched) {
    const flags = args.map((x) => x.batched);
    const all = yes.outputs.map(() => true);
    const branches = { yes: yes.batched(flags, size, all).program, no: no.batched(flags, size, all).program };
    return bindControl(cond, [flag!.node, ...args.map((x) => x.node)], branches);
  }
  // Examples differ: both branches, and a choice.
  const a = yes.graph.runBatched(args, size), b = no.graph.runBatched(args, size);
  return putTogether(a.map((x, i) => choose(flag!.node, spreadArg(x, size), spreadArg(b[i]!, size))));
}

/** The primitive of branches. */
export const cond: Primitive<Branches> = control<Branches>("cond", {
  results: ({ yes }) => yes.outputs,
  run,
  watched: (params) => params,
  vjp,
  batch,
});
