/** Random graphs: computing everything fused gives the same bits as computing one node at a time. */
import { test } from "node:test";
import assert from "node:assert/strict";
import { type DType, dtypeInfo, isInteger, typedArrays } from "../src/base/dtype.ts";
import * as op from "../src/core/ops.ts";
import type { Node } from "../src/core/trace.ts";
import { cpu } from "../src/device/cpu.ts";
import "../src/prims/mod.ts";
import { compilePlan, evaluate, fromBytes, readBytes } from "../src/transform/evaluate.ts";

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * n);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const types = ["float64", "float32", "int32", "int64", "complex128"] as const;
/** The dtype of the graph being made. */
let dtype: (typeof types)[number] = "float64";

/** Multiples of 1/8 (integers: of 1), so that every sum and product of the few operations below is exact in any order. */
function data(r: Random, shape: readonly number[]): Node {
  const { components } = dtypeInfo(dtype);
  const length = shape.reduce((a, b) => a * b, components);
  const values = new typedArrays[dtype](new ArrayBuffer(length * typedArrays[dtype].BYTES_PER_ELEMENT), 0, length);
  for (let i = 0; i < length; i++) {
    const v = r.below(65) - 32;
    values[i] = (dtype === "int64" ? BigInt(v) : isInteger(dtype) ? v : v / 8) as never;
  }
  return fromBytes(new Uint8Array(values.buffer), shape, dtype, cpu).hold();
}

const dims = [1, 2, 3, 4, 5];
const shapeOf = (r: Random): number[] => Array.from({ length: r.below(4) }, () => r.pick(dims));
const num = (v: number, type: DType = dtype): Node => op.scalar(isInteger(type) ? Math.ceil(v) : v, type, cpu);
const parts = (x: Node, f: (x: Node) => Node): Node =>
  x.dtype === "complex128" ? op.complex(f(op.real(x)), f(op.imag(x))) : f(x);
const wrapped = (x: Node, by: number): Node => parts(x, (y) => op.mod(y, num(by, y.dtype)));
/** Keeps numbers small. */
const tame = (x: Node): Node => wrapped(x, 64);

/** A way to make the next node from what there is. Each is written as a recipe, so that two graphs can be built alike. */
type Recipe = (nodes: readonly Node[]) => Node;

function broadcastable(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 1; i <= Math.min(a.length, b.length); i++) {
    const m = a.at(-i)!, n = b.at(-i)!;
    if (m !== n && m !== 1 && n !== 1) return false;
  }
  return true;
}

function recipe(r: Random, shapes: readonly (readonly number[])[]): Recipe {
  const i = r.below(shapes.length);
  const shape = shapes[i]!;
  const rank = shape.length;
  const size = shape.reduce((a, b) => a * b, 1);
  const near = shapes.map((_, k) => k).filter((k) => broadcastable(shape, shapes[k]!));
  const j = r.pick(near);
  const axis = r.below(Math.max(rank, 1));
  const scale = r.pick([0.5, 2, -1]);
  switch (r.below(rank === 0 ? 8 : 22)) {
    case 0:
      return (n) => tame(op.add(n[i]!, n[j]!));
    case 1:
      return (n) => op.sub(op.mul(n[i]!, num(scale)), n[j]!);
    case 2:
      return (n) => op.maximum(op.neg(n[i]!), n[j]!);
    case 3:
      return (n) => op.where(op.less(n[i]!, n[j]!), n[j]!, parts(n[i]!, op.abs));
    case 4:
      // Costly, so that it is stored rather than computed twice.
      return (n) =>
        parts(n[i]!, (x) => {
          const once = wrapped(wrapped(wrapped(x, 32), 16), 8);
          return isInteger(dtype) ? op.floordiv(once, num(2)) : op.sqrt(op.mul(once, wrapped(x, 8)));
        });
    case 5:
      return (n) => op.broadcast(n[i]!, [r0, ...n[i]!.shape]);
    case 6:
      return (n) => op.reshape(n[i]!, [1, size, 1].slice(r0 % 2));
    case 7:
      return (n) => op.cast(op.cast(parts(n[i]!, isInteger(dtype) ? op.neg : op.floor), "complex64"), dtype);
    case 8: {
      const perm = shape.map((_, d) => (d + 1 + axis) % rank);
      return (n) => op.transpose(n[i]!, perm);
    }
    case 9: {
      const steps = shape.map((m) => m > 1 ? r.pick([1, -1, 2]) : 1);
      const out = shape.map((m, d) => Math.ceil(m / Math.abs(steps[d]!)));
      const starts = shape.map((m, d) => steps[d]! < 0 ? m - 1 : 0);
      return (n) => op.slice(n[i]!, starts, out, steps);
    }
    case 10: {
      const out = shape.map((m) => 2 * m + 1);
      return (n) => op.pad(n[i]!, out, shape.map(() => 1), shape.map(() => 2));
    }
    case 11:
      return (n) => op.concatenate([n[i]!, op.neg(n[i]!), n[i]!], axis);
    case 12:
    case 13: {
      const axes = shape.map((_, d) => d).filter(() => r.below(2) === 0);
      return (n) => tame(op.sum(n[i]!, axes));
    }
    case 14:
      return (n) => op.max(op.add(n[i]!, num(scale)), [axis]);
    case 15:
      return (n) => op.cast(op.argmax(n[i]!, [axis]), dtype);
    case 16:
      return (n) => tame(op.cumsum(n[i]!, axis, scale > 1));
    case 17: {
      const index = (n: readonly Node[]) => op.mod(op.cast(op.real(n[j]!), "int64"), op.scalar(7n, "int64", cpu));
      return (n) => op.gather(n[i]!, [op.sub(index(n), op.scalar(3n, "int64", cpu))], [axis]);
    }
    case 18: {
      const mode = r.pick(["add", "set", "max"] as const);
      return (n) => {
        const rest = shape.filter((_, d) => d !== axis);
        const at = op.cast(op.iota([2], 0, "int32", cpu), "int64");
        return op.scatter(n[i]!, op.broadcast(num(scale), [2, ...rest]), [at], [axis], mode);
      };
    }
    case 19:
      return (n) => op.sort(n[i]!);
    case 20:
      return (n) => {
        const x = op.reshape(wrapped(n[i]!, 4), [size, 1]);
        return op.add(op.matmul(x, op.transpose(x, [1, 0])), num(scale));
      };
    default:
      return (n) => op.mul(op.sum(n[i]!, shape.map((_, d) => d)), num(0.125));
  }
}

const r0 = 2;

test("fused and one by one give the same bits", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const r = new Random(seed * 7919);
    dtype = types[seed % types.length]!;
    const leaves = Array.from({ length: 1 + r.below(3) }, () => data(r, shapeOf(r)));
    const lazy: Node[] = [...leaves], eager: Node[] = [...leaves];
    const recipes: Recipe[] = [];
    while (recipes.length < 4 + r.below(16)) {
      const make = recipe(r, lazy.map((n) => n.shape));
      const node = make(lazy);
      if (node.size > 2000) {
        node.hold().drop();
        continue;
      }
      recipes.push(make);
      lazy.push(node.hold());
      const one = make(eager).hold();
      evaluate([one]);
      eager.push(one);
    }
    const check = (at: number, bytes: Uint8Array) =>
      assert.deepEqual(bytes, readBytes(eager[at]!), `seed ${seed}, node ${at - leaves.length}`);
    // Some handles go away before anything is computed; the rest is asked for in several goes.
    const wanted = new Set(Array.from({ length: 1 + r.below(5) }, () => r.below(lazy.length)).concat(lazy.length - 1));
    if (r.below(2) === 0) { for (let k = leaves.length; k < lazy.length; k++) if (!wanted.has(k)) lazy[k]!.drop(); }
    const order = [...wanted];
    const together = r.below(order.length + 1);
    evaluate(order.slice(0, together).map((k) => lazy[k]!));
    for (const k of order) check(k, readBytes(lazy[k]!));
    for (const k of order) {
      assert.ok(lazy[k]!.computed <= 1, `seed ${seed}: node ${k} was computed ${lazy[k]!.computed} times`);
    }

    // The same as a traced graph with its leaves as placeholders.
    const inputs = leaves.map((x) => op.placeholder({ shape: x.shape, dtype }, cpu));
    const traced: Node[] = [...inputs];
    for (const make of recipes) traced.push(make(traced).hold());
    const graph = compilePlan(order.map((k) => traced[k]!), inputs);
    for (let round = 0; round < 2; round++) {
      graph.run(leaves).forEach((node, k) => {
        check(order[k]!, readBytes(node.hold()));
        node.drop();
      });
    }
    graph.dispose();
  }
});
