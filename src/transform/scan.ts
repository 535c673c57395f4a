/**
 * Loops of a known number of steps: a body is run for each element along an axis and hands a carry to the next step.
 *
 * The gradient runs the loop backwards: the carries of all steps are kept, and each step of the body is computed again next to its
 * own cotangents, so that memory grows with the carry and not with what the body computes.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import { contiguousStrides, isContiguous, sizeOf } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Aval, BatchArg, Primitive, VjpContext } from "../core/primitive.ts";
import { leaf, type Node, Storage } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import type { Target } from "../graph/plan.ts";
import { itemsize } from "../graph/topo.ts";
import { contiguous, copyInto, readBytes } from "./evaluate.ts";
import { argumentOf, mappedAval, Program, spreadArg, zerosOf } from "./program.ts";
import { bindControl, control, putTogether, resultsOf } from "./several.ts";

/**
 * A loop. Its inputs are the number of steps (int64, if `counted`), constants, the first carry, and what is taken apart along axis 0;
 * its results the last carry, and what each step gave, stacked. Of a counted loop that ends early the rest of the stack is zero.
 */
export interface Loop {
  /** From constants, carry and one element of each of `xs` to the next carry and what the step gives. */
  readonly body: Program;
  readonly constants: number;
  readonly carries: number;
  readonly length: number;
  readonly reverse: boolean;
  readonly counted: boolean;
  /** Whether the last things a step gives are the carries it began with. */
  readonly saved: boolean;
}

/** The parts of a list of a loop's inputs. */
function split<T>(loop: Loop, inputs: readonly T[]) {
  const first = loop.counted ? 1 : 0;
  const carry = first + loop.constants;
  return {
    count: loop.counted ? inputs[0]! : null,
    constants: inputs.slice(first, carry),
    carry: inputs.slice(carry, carry + loop.carries),
    xs: inputs.slice(carry + loop.carries),
  };
}

function results({ body, carries, length }: Loop): Aval[] {
  return body.outputs.map(({ shape, dtype }, i) => ({ shape: i < carries ? shape : [length, ...shape], dtype }));
}

/** Where the results of steps are stacked. */
export class Stack {
  readonly #aval: Aval;
  readonly #device: Device;
  readonly #storage: Storage;
  readonly #rowSize: number;

  /** @param cleared whether it begins as zeros */
  constructor(aval: Aval, device: Device, cleared: boolean) {
    const bytes = sizeOf(aval.shape) * itemsize(aval.dtype);
    this.#aval = aval;
    this.#device = device;
    this.#rowSize = sizeOf(aval.shape.slice(1));
    this.#storage = new Storage(device.allocate(bytes)).hold();
    if (cleared) device.write(this.#storage.buffer, 0, new Uint8Array(bytes));
  }

  /** The memory of a row. */
  row(i: number): Target {
    return { storage: this.#storage, offset: i * this.#rowSize };
  }

  /** Copies a finished value into a row, if it is not there already. */
  put(node: Node, row: number): void {
    const offset = row * this.#rowSize;
    if (node.storage === this.#storage && node.offset === offset && isContiguous(node.shape, node.strides)) return;
    copyInto(node, this.#storage, offset);
  }

  /** Whether a value lies in it. */
  has(node: Node): boolean {
    return node.storage === this.#storage;
  }

  /** The stack as a finished node. */
  node(): Node {
    return leaf(this.#aval, this.#device, this.#storage, 0, contiguousStrides(this.#aval.shape));
  }

  /** Lets go of the memory, which its node may still hold. */
  release(): void {
    this.#storage.drop();
  }
}

/** Row `i` of a finished node. */
function rowOf({ shape, dtype, device, storage, offset, strides }: Node, i: number): Node {
  return leaf({ shape: shape.slice(1), dtype }, device, storage!, offset + i * strides[0]!, strides.slice(1));
}

/** Lets go of nodes. */
export function dropAll(nodes: readonly Node[]): void {
  for (const node of nodes) node.drop();
}

function run(inputs: readonly Node[], loop: Loop): Node[] {
  const { body, length, reverse } = loop;
  const { count, constants, carry: first, xs } = split(loop, inputs);
  const { device } = inputs[0] ?? body.outputs[0]!;
  const steps = count === null ? length : Math.min(length, readInteger(count));
  const stacks: Stack[] = [];
  let carry = first.map((node) => contiguous(node).hold());
  try {
    for (const aval of results(loop).slice(loop.carries)) stacks.push(new Stack(aval, device, steps < length));
    const unplaced = carry.map(() => null);
    for (let k = 0; k < steps; k++) {
      const at = reverse ? steps - 1 - k : k;
      const rows = xs.map((x) => rowOf(x, at).hold());
      let out: Node[];
      try {
        out = body.compute([...constants, ...carry, ...rows], [...unplaced, ...stacks.map((stack) => stack.row(at))]);
      } finally {
        dropAll(rows);
      }
      for (const node of out) node.hold();
      try {
        stacks.forEach((stack, i) => stack.put(out[loop.carries + i]!, at));
      } finally {
        dropAll(carry);
        carry = out.slice(0, loop.carries);
        dropAll(out.slice(loop.carries));
      }
    }
    // A carry that is also a row of a stack would keep all of it.
    const last = carry.map((node) => stacks.some((stack) => stack.has(node)) ? copyOf(node) : node);
    const nodes = [...last, ...stacks.map((stack) => stack.node())];
    carry.forEach((node, i) => {
      if (last[i] === node) node.holders--;
      else node.drop();
    });
    carry = [];
    return nodes;
  } finally {
    dropAll(carry);
    for (const stack of stacks) stack.release();
  }
}

/** A finished value in memory of its own. */
function copyOf(node: Node): Node {
  const { shape, dtype, size, device } = node;
  const storage = new Storage(device.allocate(size * itemsize(dtype)));
  const copy = leaf({ shape, dtype }, device, storage, 0, contiguousStrides(shape));
  copyInto(node, storage, 0);
  return copy;
}

/** The value of a finished 0-d int64. */
export function readInteger(node: Node): number {
  const bytes = readBytes(node);
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true));
}

/** The same loop, in which each step also gives the carry that it began with. */
function saving(loop: Loop): Loop {
  if (loop.saved) return loop;
  const { body, constants, carries } = loop;
  const saved = body.derive(
    `saving ${constants} ${carries}`,
    () => new Program(body.inputs, (nodes) => [...body.bind(nodes), ...nodes.slice(constants, constants + carries)]),
  );
  return { ...loop, body: saved, saved: true };
}

/** What the gradient of a loop is made from. */
export interface Backward {
  readonly body: Program;
  readonly length: number;
  readonly reverse: boolean;
  /** The number of steps, if it is known only now. */
  readonly count: Node | null;
  readonly constants: readonly Node[];
  readonly xs: readonly Node[];
  /** The carries that the steps began with, stacked. */
  readonly saved: readonly Node[];
  /** Cotangents of the last carry and of what the steps gave. */
  readonly cotangents: readonly (Node | null)[];
  /** Which of constants, first carry and xs are wanted. */
  readonly needs: readonly boolean[];
}

/**
 * Binds the loop of the cotangents.
 * @returns cotangents of constants, first carry and xs
 */
export function backward(b: Backward): (Node | null)[] {
  const { body, constants, xs, saved } = b;
  const carries = saved.length;
  const from = { carry: constants.length, xs: constants.length + carries };
  const { device } = body.inputs[0]!;
  // Every carry that can have a cotangent has one on the way.
  const wanted = body.inputs.map(({ dtype }, i) =>
    isInexact(dtype) && ((i >= from.carry && i < from.xs) || b.needs[i]!)
  );
  const pull = body.pullback(wanted);
  const pick = (start: number, end: number) => wanted.slice(start, end).filter((w) => w).length;
  const sums = pick(0, from.carry);
  const carried = pick(from.carry, from.xs);
  const inexact = (i: number) => isInexact(body.outputs[i]!.dtype);
  const carryOut = body.outputs.map((_, i) => i).filter((i) => i < carries && inexact(i));
  const given = body.outputs.map((_, i) => i).filter((i) => i >= carries && inexact(i));
  const args = [...body.inputs];
  const constantSums = args.slice(0, from.carry).filter((_, i) => wanted[i]);
  // Constants | sums and cotangents of the carry | saved carries, xs, cotangents of what the step gave.
  const reversed = body.derive(`backward ${wanted}`, () => {
    const outs = body.outputs;
    const inputs = [
      ...args.slice(0, from.carry),
      ...constantSums,
      ...carryOut.map((i) => outs[i]!),
      ...args.slice(from.carry, from.xs),
      ...args.slice(from.xs),
      ...given.map((i) => outs[i]!),
    ].map((x) => argumentOf(x, device));
    return new Program(inputs, (nodes) => {
      let at = 0;
      const take = (n: number) => nodes.slice(at, at += n);
      const own = take(from.carry), totals = take(sums), gCarry = take(carried);
      const rows = take(carries + xs.length), gGiven = take(given.length);
      const grads = pull.bind([...own, ...rows, ...gCarry, ...gGiven]);
      return [...totals.map((t, i) => ops.add(t, grads[i]!)), ...grads.slice(sums)];
    });
  });
  const seeds = b.cotangents;
  const results = resultsOf(bindControl(scan, [
    ...(b.count === null ? [] : [b.count]),
    ...constants,
    ...constantSums.map((x) => zerosOf(x, device)),
    ...carryOut.map((i) => seeds[i] ?? zerosOf(body.outputs[i]!, device)),
    ...saved,
    ...xs,
    ...given.map((i) => seeds[i] ?? zerosOf(mappedAval(body.outputs[i]!, b.length), device)),
  ], {
    body: reversed,
    constants: constants.length,
    carries: sums + carried,
    length: b.length,
    reverse: !b.reverse,
    counted: b.count !== null,
    saved: false,
  }, device));
  let next = 0;
  return wanted.map((is) => is ? results[next++]! : null);
}

function vjp(_g: Node, { inputs, output, params: loop, needs, cotangents }: VjpContext<Loop>): (Node | null)[] {
  const own = saving(loop);
  const plain = own.body.outputs.length - own.carries;
  const all = resultsOf(loop.saved ? output : bindControl(scan, inputs, own));
  const { count, constants, xs } = split(loop, inputs);
  const first = loop.counted ? 1 : 0;
  // What is saved has a cotangent of its own in gradients of gradients only.
  const body = loop.saved && !cotangents?.slice(plain).some((g) => g !== null)
    ? own.body.derive(
      "without saved",
      () => new Program(own.body.inputs, (nodes) => own.body.bind(nodes).slice(0, plain)),
    )
    : loop.body;
  const grads = backward({
    body,
    length: loop.length,
    reverse: loop.reverse,
    count,
    constants,
    xs,
    saved: all.slice(plain),
    cotangents: body.outputs.map((_, i) => cotangents?.[i] ?? null),
    needs: needs.slice(first),
  });
  return loop.counted ? [null, ...grads] : grads;
}

/** The mapped axis behind the axis that is taken apart. */
function inner({ node, batched }: BatchArg): BatchArg {
  if (!batched) return { node, batched };
  return { node: ops.transpose(node, [1, 0, ...node.shape.slice(2).map((_, i) => i + 2)]), batched };
}

function batch(args: readonly BatchArg[], loop: Loop, size: number): Node {
  if (loop.counted && args[0]!.batched) return batchCounted(args, loop, size);
  const { count, constants, carry, xs } = split(loop, args);
  const rows = xs.map(inner);
  let flags = carry.map((x) => x.batched);
  for (;;) {
    const known = [...constants.map((x) => x.batched), ...flags, ...rows.map((x) => x.batched)];
    const { program, mapped } = loop.body.batched(known, size, flags);
    if (mapped.slice(0, loop.carries).some((m, i) => m && !flags[i])) {
      flags = flags.map((f, i) => f || mapped[i]!);
      continue;
    }
    const node = bindControl(
      scan,
      [
        ...(count === null ? [] : [count.node]),
        ...constants.map((x) => x.node),
        ...carry.map((x, i) => flags[i] ? spreadArg(x, size) : x.node),
        ...rows.map((x) => x.node),
      ],
      { ...loop, body: program },
      loop.body.outputs[0]?.device,
    );
    // A tape may have made it give more.
    const out = resultsOf(node).slice(0, mapped.length).map((x, i) => ({ node: x, batched: mapped[i]! }));
    return putTogether(out.map((x, i) => spreadArg(i < loop.carries ? x : inner(x), size)));
  }
}

/** Each example makes its own number of steps: all make the most, and those that are through keep their carry. */
function batchCounted(args: readonly BatchArg[], loop: Loop, size: number): Node {
  const { count, constants, carry, xs } = split(loop, args);
  const steps = count!.node;
  const { body, carries, length } = loop;
  const rows = xs.map(inner);
  const flags = [...constants.map((x) => x.batched), ...carry.map(() => true), ...rows.map((x) => x.batched)];
  const { program } = body.batched(flags, size, body.outputs.map(() => true));
  const n = constants.length;
  const masked = program.derive("counted", () => {
    const index = argumentOf({ shape: [], dtype: "int64" }, steps.device);
    const counts = argumentOf({ shape: [size], dtype: "int64" }, steps.device);
    return new Program([counts, ...program.inputs, index], (nodes) => {
      const own = nodes.slice(1, -1);
      const active = ops.less(nodes.at(-1)!, nodes[0]!);
      return program.bind(own).map((node, i) =>
        choose(active, node, i < carries ? own[n + i]! : zerosOf(node, node.device))
      );
    });
  });
  const node = bindControl(scan, [
    ops.max(steps, [0]),
    steps,
    ...constants.map((x) => x.node),
    ...carry.map((x) => spreadArg(x, size)),
    ...rows.map((x) => x.node),
    ops.iota([length], 0, "int64", steps.device),
  ], { ...loop, body: masked, constants: n + 1 });
  const out = resultsOf(node).slice(0, body.outputs.length);
  return putTogether(out.map((x, i) => i < carries ? x : inner({ node: x, batched: true }).node));
}

/** `c ? x : y` by the first axis. */
export function choose(c: Node, x: Node, y: Node): Node {
  return ops.where(ops.reshape(c, [...c.shape, ...x.shape.slice(c.shape.length).map(() => 1)]), x, y);
}

/** The primitive of loops of a known number of steps. */
export const scan: Primitive<Loop> = control<Loop>("scan", { results, run, watched: saving, vjp, batch });
