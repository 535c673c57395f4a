/**
 * Loops that go on while a condition holds.
 * @module
 */
import * as ops from "../core/ops.ts";
import type { Aval, BatchArg, Primitive, VjpContext } from "../core/primitive.ts";
import type { Node } from "../core/trace.ts";
import { contiguous, fromBytes, readElement } from "./evaluate.ts";
import { argumentOf, Program, spreadArg } from "./program.ts";
import { backward, choose, dropAll, Stack } from "./scan.ts";
import { bindControl, control, putTogether, resultsOf } from "./several.ts";

/**
 * A loop. Its inputs are whether the condition holds at first, constants, and the first carry; its results the last carry, the number
 * of steps, and if `saved` the carries that the steps began with, stacked.
 */
export interface WhileLoop {
  /** From constants and carry to the next carry and whether the condition holds for it. */
  readonly step: Program;
  readonly constants: number;
  /** The most steps; null for any number. */
  readonly limit: number | null;
  readonly saved: boolean;
}

const carriesOf = ({ step }: WhileLoop): readonly Node[] => step.outputs.slice(0, -1);

function results(loop: WhileLoop): Aval[] {
  const carries = carriesOf(loop);
  const saved = loop.saved ? carries.map(({ shape, dtype }) => ({ shape: [loop.limit!, ...shape], dtype })) : [];
  return [...carries, { shape: [], dtype: "int64" }, ...saved];
}

/** The value of a finished 0-d bool. */
export function readFlag(node: Node): boolean {
  return readElement(node) === true;
}

function run(inputs: readonly Node[], loop: WhileLoop): Node[] {
  const { step, limit, saved } = loop;
  const constants = inputs.slice(1, 1 + loop.constants);
  const { device } = inputs[0]!;
  const stacks: Stack[] = [];
  let carry = inputs.slice(1 + loop.constants).map((node) => contiguous(node).hold());
  try {
    if (saved) { for (const aval of results(loop).slice(carry.length + 1)) stacks.push(new Stack(aval, device, true)); }
    let steps = 0;
    for (let go = readFlag(inputs[0]!); go && (limit === null || steps < limit); steps++) {
      stacks.forEach((stack, i) => stack.put(carry[i]!, steps));
      const out = step.compute([...constants, ...carry]);
      for (const node of out) node.hold();
      dropAll(carry);
      carry = out.slice(0, -1);
      const flag = out.at(-1)!;
      try {
        go = readFlag(flag);
      } finally {
        flag.drop();
      }
    }
    const count = fromBytes(new Uint8Array(new BigInt64Array([BigInt(steps)]).buffer), [], "int64", device);
    const nodes = [...carry, count, ...stacks.map((stack) => stack.node())];
    for (const node of carry) node.holders--;
    carry = [];
    return nodes;
  } finally {
    dropAll(carry);
    for (const stack of stacks) stack.release();
  }
}

const saving = (loop: WhileLoop): WhileLoop => loop.limit === null ? loop : { ...loop, saved: true };

function vjp(_g: Node, { inputs, output, params: loop, needs, cotangents }: VjpContext<WhileLoop>): (Node | null)[] {
  const { limit } = loop;
  if (limit === null) {
    throw new TypeError(
      "while_loop: the gradient needs a bound on the number of steps, whose carries are kept: give { maximum_iterations }, or use tnp.scan",
    );
  }
  const all = resultsOf(loop.saved ? output : bindControl(whileLoop, inputs, saving(loop)));
  const carries = carriesOf(loop).length;
  const constants = inputs.slice(1, 1 + loop.constants);
  const { step } = loop;
  const saved = cotangents?.slice(carries + 1) ?? [];
  const body = saved.some((g) => g !== null)
    ? step.derive(
      "saving",
      () => new Program(step.inputs, (nodes) => [...step.bind(nodes).slice(0, -1), ...nodes.slice(loop.constants)]),
    )
    : step.derive("carry", () => new Program(step.inputs, (nodes) => step.bind(nodes).slice(0, -1)));
  const given = [...carriesOf(loop).map((_, i) => cotangents?.[i] ?? null), ...saved];
  return [
    null,
    ...backward({
      body,
      length: limit,
      reverse: false,
      count: all[carries]!,
      constants,
      xs: [],
      saved: all.slice(carries + 1),
      cotangents: body.outputs.map((_, i) => given[i] ?? null),
      needs: needs.slice(1),
    }),
  ];
}

function batch(args: readonly BatchArg[], loop: WhileLoop, size: number): Node {
  const [first, ...rest] = args as readonly [BatchArg, ...BatchArg[]];
  const constants = rest.slice(0, loop.constants);
  const carry = rest.slice(loop.constants);
  const fixed = constants.map((x) => x.batched);
  let flags = carry.map((x) => x.batched);
  for (;;) {
    const { program, mapped } = loop.step.batched([...fixed, ...flags], size, [...flags, false]);
    if (first.batched || mapped.at(-1)!) return batchMasked(args, loop, size);
    if (mapped.some((m, i) => m && !flags[i])) {
      flags = flags.map((f, i) => f || mapped[i]!);
      continue;
    }
    const node = bindControl(whileLoop, [
      first.node,
      ...constants.map((x) => x.node),
      ...carry.map((x, i) => flags[i] ? spreadArg(x, size) : x.node),
    ], { ...loop, step: program });
    const out = resultsOf(node);
    const n = carry.length;
    return putTogether(out.map((x, i) => {
      if (i === n) return ops.broadcast(x, [size]);
      const batched = flags[i > n ? i - n - 1 : i]!;
      return i > n && batched ? swap(x) : spreadArg({ node: x, batched }, size);
    }));
  }
}

const swap = (x: Node): Node => ops.transpose(x, [1, 0, ...x.shape.slice(2).map((_, i) => i + 2)]);

/** Each example has its own end: the loop goes on for all, and those that are through keep their carry. */
function batchMasked(args: readonly BatchArg[], loop: WhileLoop, size: number): Node {
  const [first, ...rest] = args as readonly [BatchArg, ...BatchArg[]];
  const constants = rest.slice(0, loop.constants);
  const carry = rest.slice(loop.constants);
  const n = carry.length, c = constants.length;
  const flags = [...constants.map((x) => x.batched), ...carry.map(() => true)];
  const { program } = loop.step.batched(flags, size, loop.step.outputs.map(() => true));
  const { device } = first.node;
  const masked = program.derive("masked", () => {
    const active = argumentOf({ shape: [size], dtype: "bool" }, device);
    const counts = argumentOf({ shape: [size], dtype: "int64" }, device);
    return new Program([...program.inputs, active, counts], (nodes) => {
      const active = nodes.at(-2)!;
      const out = program.bind(nodes.slice(0, -2));
      const next = ops.and(active, out.at(-1)!);
      return [
        ...out.slice(0, -1).map((node, i) => choose(active, node, nodes[c + i]!)),
        next,
        ops.add(nodes.at(-1)!, ops.cast(active, "int64")),
        ops.any(next, [0]),
      ];
    });
  });
  const active = spreadArg(first, size);
  const node = bindControl(whileLoop, [
    ops.any(active, [0]),
    ...constants.map((x) => x.node),
    ...carry.map((x) => spreadArg(x, size)),
    active,
    ops.broadcast(ops.scalar(0n, "int64", device), [size]),
  ], { ...loop, step: masked });
  const out = resultsOf(node);
  // Carries, whether each is active, their counts, the count of the loop, the same stacked.
  return putTogether([...out.slice(0, n), out[n + 1]!, ...out.slice(n + 3, n + 3 + (loop.saved ? n : 0)).map(swap)]);
}

/** The primitive of loops with a condition. */
export const whileLoop: Primitive<WhileLoop> = control<WhileLoop>("while_loop", {
  results,
  run,
  watched: saving,
  vjp,
  batch,
});
