/**
 * Traced control flow on nodes: branches and loops whose bodies are functions of the user. What they close over, the variables they
 * use and their random draws become inputs and results of one primitive.
 * @module
 */
import { isInexact } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { formatShape, sameShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Aval } from "../core/primitive.ts";
import { context, type Node } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { type Argument, type BodyResult, capture, type Captured, checkFits } from "./capture.ts";
import { cond } from "./cond.ts";
import { apply, argumentOf, type Closure, closureOf, Program, zip, zipKeys } from "./program.ts";
import { nextKey } from "./random.ts";
import { scan } from "./scan.ts";
import { bindControl, resultsOf } from "./several.ts";
import { tidy } from "./tracing.ts";
import { assignAll } from "./variable.ts";
import { whileLoop } from "./while.ts";

/** A function of the user on nodes. It may run more than once. */
export type Body<T> = (nodes: readonly Node[]) => BodyResult<T>;

/** A result of control flow. */
export interface Outcome<T> {
  readonly outputs: readonly Node[];
  readonly rest: T;
}

/** Whether control flow must be traced: some trace runs. */
export function isTracing(): boolean {
  return context.traces.length > 0;
}

const uint32: Aval = { shape: [], dtype: "uint32" };

const keyArguments = (keys: readonly Device[]): Argument[] =>
  keys.flatMap((device) => [argumentOf(uint32, device), argumentOf(uint32, device)]);

/** Hands out a list in parts. */
function parts(nodes: readonly Node[]): (count: number) => Node[] {
  let at = 0;
  return (count) => nodes.slice(at, at += count);
}

/** Runs control flow with the nodes it makes on the way let go of; assigns variables. */
function finish(closure: Closure, fn: () => { outputs: readonly Node[]; written: readonly Node[] }): Node[] {
  const count = { outputs: 0 };
  const all = tidy(() => {
    const { outputs, written } = fn();
    count.outputs = outputs.length;
    return [...outputs, ...written];
  });
  const outputs = all.slice(0, count.outputs);
  assignAll(closure.written, all.slice(count.outputs), outputs);
  return outputs;
}

/**
 * A branch by a traced condition.
 * @param flag a 0-d bool
 * @param check is given the results of both branches and what else they gave; throws where they do not match
 */
export function condNodes<T>(
  flag: Node,
  yes: Body<T>,
  no: Body<T>,
  operands: readonly Node[],
  check: (yes: Captured<T>, no: Captured<T>) => readonly Aval[],
): Outcome<T> {
  const args = operands.map(argumentLike);
  const first = capture(args, yes);
  using _first = first.graph;
  const second = capture(args, no);
  using _second = second.graph;
  for (const { fits } of [first, second]) checkFits(fits, operands);
  const avals = check(first, second);
  const both = [first, second];
  const closure = closureOf(both);
  const { constants, cells, written, keys } = closure;
  const inputs = [
    ...args,
    ...constants.map((x) => argumentOf(x, x.device)),
    ...cells.map((cell) => argumentOf(cell, cell.device)),
    ...keyArguments(keys),
  ];
  const [a, b] = both.map((captured) =>
    new Program(inputs, (nodes) => {
      const take = parts(nodes);
      const own = take(args.length);
      const surroundings = {
        constants: zip(constants, take(constants.length)),
        cells: zip(cells, take(cells.length)),
        keys: zipKeys(keys, take(2 * keys.length)),
      };
      const out = apply(captured, own, surroundings);
      return [
        ...out.results.map((node, i) => ops.cast(node, avals[i]!.dtype)),
        ...written.map((cell) => out.written.get(cell) ?? surroundings.cells.get(cell)!),
      ];
    })
  );
  const outputs = finish(closure, () => {
    const all = resultsOf(bindControl(cond, [
      flag,
      ...operands,
      ...constants,
      ...cells.map((cell) => cell.read()),
      ...keys.flatMap(nextKey),
    ], { yes: a!, no: b! }));
    return { outputs: all.slice(0, avals.length), written: all.slice(avals.length, avals.length + written.length) };
  });
  return { outputs, rest: first.rest };
}

const argumentLike = ({ shape, dtype, device, weak }: Node): Argument => ({ shape, dtype, device, weak });

/** A carry at the start of a loop, and in the body's words. */
interface Start {
  readonly nodes: Node[];
  readonly args: Argument[];
}

/**
 * Captures a loop's body. A carry that was given as a plain number takes the dtype that the body gives it.
 * @param place says where in the carry a leaf is
 */
function captureLoop<T>(
  name: string,
  init: readonly Node[],
  rows: readonly Argument[],
  body: Body<T>,
  place: (i: number) => string,
): { captured: Captured<T>; start: Start } {
  const start: Start = { nodes: [...init], args: init.map(argumentLike) };
  for (let attempt = 0;; attempt++) {
    const captured = capture([...start.args, ...rows], body);
    let changed = false;
    for (let i = 0; i < init.length; i++) {
      const before = start.args[i]!, after = captured.graph.outputs[i]!;
      if (sameShape(before.shape, after.shape) && before.dtype === after.dtype) continue;
      if (!before.weak || !sameShape(before.shape, after.shape) || attempt > 2) {
        captured.graph.dispose();
        const show = (x: Aval) => `${x.dtype} ${formatShape(x.shape)}`;
        const text = `${name}: the carry${place(i)} begins as ${show(before)}, but the function gives ${show(after)}`;
        throw sameShape(before.shape, after.shape) ? new TypeError(text) : new ShapeError(text);
      }
      start.nodes[i] = ops.cast(init[i]!, after.dtype);
      start.args[i] = { ...before, dtype: after.dtype, weak: after.weak };
      changed = true;
    }
    if (!changed) {
      checkFits(captured.fits, init);
      return { captured, start };
    }
    captured.graph.dispose();
  }
}

/** Where a step's own random numbers come from, of the numbers that it was given for them. */
function fork([k0, k1]: readonly [Node, Node], device: Device, use: number): readonly [Node, Node] {
  const c0 = ops.scalar(0xffffffff, "uint32", device);
  const c1 = ops.scalar(use, "uint32", device);
  return [ops.threefry(k0, k1, c0, c1, 0), ops.threefry(k0, k1, c0, c1, 1)];
}

/**
 * A loop over axis 0 of arrays.
 * @param init the first carry
 * @param xs what is taken apart; each has `length` rows
 * @param body from carry and one row of each of `xs` to the next carry and what the step gives
 */
export function scanNodes<T>(
  init: readonly Node[],
  xs: readonly Node[],
  body: Body<T>,
  settings: { length: number; reverse: boolean; device: Device; place: (i: number) => string },
): Outcome<T> {
  const { length, reverse, device, place } = settings;
  const rows = xs.map(({ shape, dtype, device }): Argument => argumentOf({ shape: shape.slice(1), dtype }, device));
  const { captured, start } = captureLoop("scan", init, rows, body, place);
  using _ = captured.graph;
  const closure = closureOf([captured]);
  const { constants, cells, written, keys } = closure;
  const fixed = cells.filter((cell) => !written.includes(cell));
  const carries = init.length;
  // Constants and variables | carry and assigned variables | rows and a key for each step.
  const program = new Program([
    ...constants.map((x) => argumentOf(x, x.device)),
    ...fixed.map((cell) => argumentOf(cell, cell.device)),
    ...start.args.map((x) => argumentOf(x, x.device)),
    ...written.map((cell) => argumentOf(cell, cell.device)),
    ...rows,
    ...keyArguments(keys),
  ], (nodes) => {
    const take = parts(nodes);
    const own = zip(constants, take(constants.length));
    const state = zip(fixed, take(fixed.length));
    const carry = take(carries);
    written.forEach((cell, i) => state.set(cell, nodes[constants.length + fixed.length + carries + i]!));
    take(written.length);
    const row = take(rows.length);
    const out = apply(captured, [...carry, ...row], {
      constants: own,
      cells: state,
      keys: zipKeys(keys, take(2 * keys.length)),
    });
    return [
      ...out.results.slice(0, carries),
      ...written.map((cell) => out.written.get(cell)!),
      ...out.results.slice(carries),
    ];
  });
  const outputs = finish(closure, () => {
    const stepKeys = keys.flatMap((device) => {
      const [k0, k1] = nextKey(device);
      const c0 = ops.iota([length], 0, "uint32", device);
      const c1 = ops.scalar(1, "uint32", device);
      return [ops.threefry(k0, k1, c0, c1, 0), ops.threefry(k0, k1, c0, c1, 1)];
    });
    const all = resultsOf(bindControl(scan, [
      ...constants,
      ...fixed.map((cell) => cell.read()),
      ...start.nodes,
      ...written.map((cell) => cell.read()),
      ...xs,
      ...stepKeys,
    ], {
      body: program,
      constants: constants.length + fixed.length,
      carries: carries + written.length,
      length,
      reverse,
      counted: false,
      saved: false,
    }, device));
    const end = carries + written.length;
    const given = captured.count - carries;
    return {
      outputs: [...all.slice(0, carries), ...all.slice(end, end + given)],
      written: all.slice(carries, end),
    };
  });
  return { outputs, rest: captured.rest };
}

/**
 * A loop that goes on while a condition holds.
 * @param test from the carry to a 0-d bool
 * @param limit the most steps, or null
 */
export function whileNodes<T>(
  init: readonly Node[],
  test: (carry: readonly Node[]) => Node,
  body: Body<T>,
  limit: number | null,
  place: (i: number) => string,
): Outcome<T> {
  const { captured, start } = captureLoop("while_loop", init, [], body, place);
  using _captured = captured.graph;
  const condition = capture(start.args, (nodes) => ({ outputs: [test(nodes)], rest: null }));
  using _condition = condition.graph;
  if (condition.written.length > 0) {
    throw new TypeError("while_loop: the condition assigns a variable; only the body may");
  }
  const closure = closureOf([captured, condition]);
  const { constants, cells, written, keys } = closure;
  const fixed = cells.filter((cell) => !written.includes(cell));
  const carries = init.length;
  // Constants and variables | carry, assigned variables, keys.
  const step = new Program([
    ...constants.map((x) => argumentOf(x, x.device)),
    ...fixed.map((cell) => argumentOf(cell, cell.device)),
    ...start.args.map((x) => argumentOf(x, x.device)),
    ...written.map((cell) => argumentOf(cell, cell.device)),
    ...keyArguments(keys),
  ], (nodes) => {
    const take = parts(nodes);
    const own = zip(constants, take(constants.length));
    const unchanged = zip(fixed, take(fixed.length));
    const carry = take(carries);
    const before = new Map([...unchanged, ...zip(written, take(written.length))]);
    const given = zipKeys(keys, take(2 * keys.length));
    const out = apply(captured, carry, { constants: own, cells: before, keys: given });
    const after = new Map([...before, ...out.written]);
    const next = keys.map((device) => [device, fork(given.get(device)!, device, 1)] as const);
    const [flag] = apply(condition, out.results, {
      constants: own,
      cells: after,
      keys: new Map(next.map(([device, key]) => [device, fork(key, device, 2)])),
    }).results;
    return [
      ...out.results,
      ...written.map((cell) => after.get(cell)!),
      ...next.flatMap(([, key]) => key),
      flag!,
    ];
  });
  const outputs = finish(closure, () => {
    const firstKeys = keys.flatMap(nextKey);
    const surroundings = {
      constants: zip(constants, constants),
      cells: new Map(cells.map((cell) => [cell, cell.read()])),
      keys: new Map([...zipKeys(keys, firstKeys)].map(([device, key]) => [device, fork(key, device, 2)] as const)),
    };
    const [flag] = apply(condition, start.nodes, surroundings).results;
    const all = resultsOf(bindControl(whileLoop, [
      flag!,
      ...constants,
      ...fixed.map((cell) => surroundings.cells.get(cell)!),
      ...start.nodes,
      ...written.map((cell) => surroundings.cells.get(cell)!),
      ...firstKeys,
    ], { step, constants: constants.length + fixed.length, limit, saved: false }));
    return { outputs: all.slice(0, carries), written: all.slice(carries, carries + written.length) };
  });
  return { outputs, rest: captured.rest };
}

/** Whether two results of branches can be one: of one shape, and of one dtype unless one is a plain number. */
export function commonAval(a: Node, b: Node): Aval | null {
  if (!sameShape(a.shape, b.shape)) return null;
  if (a.dtype === b.dtype) return a;
  if (!a.weak && !b.weak) return null;
  const [strong, weak] = a.weak && (!b.weak || isInexact(b.dtype)) ? [b, a] : [a, b];
  return isInexact(strong.dtype) || !isInexact(weak.dtype) ? strong : null;
}
