/**
 * NumPy-like text of what a kernel computes, for comments in generated text and for debugging.
 * @module
 */
import type { GNode } from "./simplify.ts";

const infix: Record<string, string> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  floordiv: "//",
  mod: "%",
  pow: "**",
  less: "<",
  less_equal: "<=",
  equal: "==",
  not_equal: "!=",
  and: "&",
  or: "|",
  xor: "^",
  shl: "<<",
  shr: ">>",
  matmul: "@",
};

const MAX_LENGTH = 160, MAX_DEPTH = 8;

/** The expression of a stored node: leaves are `a`, `b`, ..., plain numbers `k0`, ..., other stored nodes `t0`, ... */
export function describe(node: GNode, stored: ReadonlySet<GNode>): string {
  const text = describeAt(node, stored, node, 0);
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}...` : text;
}

function describeAt(node: GNode, stored: ReadonlySet<GNode>, top: GNode, depth: number): string {
  if (node.role === "leaf") return node.slot < 26 ? String.fromCharCode(97 + node.slot) : `x${node.slot}`;
  if (node.role === "scalar") return `k${node.slot}`;
  if (node !== top && stored.has(node)) return `t${node.id}`;
  if (depth === MAX_DEPTH) return "...";
  const { name } = node.prim!;
  const ins = node.ins.map((x) => describeAt(x, stored, top, depth + 1));
  const op = infix[name];
  if (op !== undefined) return `(${ins.join(` ${op} `)})`;
  if (name === "neg") return `-${ins[0]}`;
  if (name === "broadcast" || name === "stop_gradient") return ins[0]!;
  return `${name === "cast" ? node.dtype : name}(${ins.join(", ")})`;
}
