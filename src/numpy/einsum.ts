/**
 * Einstein summation: a product of arrays written by naming their axes.
 * @module
 */
import { ShapeError } from "../base/errors.ts";
import { sizeOf } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type ArrayLike, type NDArray, wrap } from "../array.ts";
import { describe } from "./args.ts";
import { promote } from "./convert.ts";

/** An array whose axes have names, all different. */
interface Term {
  readonly node: Node;
  readonly labels: readonly string[];
}

/** Names of the axes an ellipsis stands for, counted from the last: no letter, so they meet no other. */
const hidden = (n: number): string[] => Array.from({ length: n }, (_, i) => `...${n - 1 - i}`);

const fail = (text: string): never => {
  throw new ShapeError(`einsum: ${text}`);
};

/** The names of an operand's axes, with the ellipsis spelled out. */
function labelsOf(part: string, rank: number): string[] {
  const [front, back, more] = part.split("...");
  if (more !== undefined || !/^[A-Za-z]*(\.\.\.[A-Za-z]*)?$/.test(part)) {
    throw new SyntaxError(`einsum: got subscripts "${part}", expected letters and at most one "..."`);
  }
  const letters = front!.length + (back?.length ?? 0);
  if (back === undefined ? rank !== letters : rank < letters) {
    fail(`subscripts "${part}" name ${letters} axes, the operand has ${rank}`);
  }
  return back === undefined ? [...front!] : [...front!, ...hidden(rank - letters), ...back];
}

/** What is named in the result where the arrow is missing: ellipsis axes, then letters that occur once, in order. */
function impliedOutput(inputs: readonly (readonly string[])[]): string[] {
  const counts = new Map<string, number>();
  for (const label of inputs.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  const once = [...counts].filter(([label, n]) => label.length === 1 && n === 1).map(([label]) => label);
  return [...ellipsisOf(inputs), ...once.sort()];
}

function ellipsisOf(inputs: readonly (readonly string[])[]): string[] {
  const most = Math.max(...inputs.map((labels) => labels.filter((l) => l.length > 1).length));
  return hidden(most);
}

/** Takes the diagonal along axes that have the same name. */
function diagonals(node: Node, labels: readonly string[]): Term {
  const at = labels.findIndex((l, i) => labels.indexOf(l) !== i);
  if (at < 0) return { node, labels };
  const first = labels.indexOf(labels[at]!), n = node.shape[first]!;
  if (node.shape[at] !== n) fail(`axis "${labels[at]}" has lengths ${n} and ${node.shape[at]} in one operand`);
  const rest = labels.map((_, d) => d).filter((d) => d !== first && d !== at);
  const moved = ops.transpose(node, [...rest, first, at]);
  const shape = rest.map((d) => node.shape[d]!);
  const flat = ops.reshape(moved, [...shape, n * n]);
  const ones = shape.map(() => 1), zeros = shape.map(() => 0);
  const diagonal = ops.slice(flat, [...zeros, 0], [...shape, n], [...ones, n + 1]);
  return diagonals(diagonal, [...rest.map((d) => labels[d]!), labels[at]!]);
}

/** Sums over the axes that nobody asks for. */
function sumOut(term: Term, wanted: (label: string) => boolean): Term {
  const axes = term.labels.map((_, d) => d).filter((d) => !wanted(term.labels[d]!));
  return axes.length === 0 ? term : { node: ops.sum(term.node, axes), labels: term.labels.filter((l) => wanted(l)) };
}

/** The product of two terms, summed over the axes both have and nobody else wants: one matrix product. */
function multiply(x: Term, y: Term, wanted: (label: string) => boolean): Term {
  const a = sumOut(x, (l) => wanted(l) || y.labels.includes(l));
  const b = sumOut(y, (l) => wanted(l) || x.labels.includes(l));
  const shared = a.labels.filter((l) => b.labels.includes(l));
  const batch = shared.filter(wanted), summed = shared.filter((l) => !wanted(l));
  const left = a.labels.filter((l) => !shared.includes(l)), right = b.labels.filter((l) => !shared.includes(l));
  const labels = [...batch, ...left, ...right];
  const place = (t: Term, order: readonly string[]) => ops.transpose(t.node, order.map((l) => t.labels.indexOf(l)));
  const length = (t: Term, l: string) => t.node.shape[t.labels.indexOf(l)]!;
  const lengths = (t: Term, ls: readonly string[]) => ls.map((l) => length(t, l));
  if (summed.length === 0) {
    const u = ops.reshape(place(a, [...batch, ...left]), [...lengths(a, [...batch, ...left]), ...right.map(() => 1)]);
    const v = ops.reshape(place(b, [...batch, ...right]), [
      ...lengths(b, batch),
      ...left.map(() => 1),
      ...lengths(b, right),
    ]);
    return { node: ops.mul(u, v), labels };
  }
  // An axis of length 1 broadcasts; the longer of the two counts.
  const both = shared.map((l) => Math.max(length(a, l), length(b, l)));
  const wide = (t: Term): Term => ({
    node: ops.broadcast(t.node, t.labels.map((l) => shared.includes(l) ? both[shared.indexOf(l)]! : length(t, l))),
    labels: t.labels,
  });
  const u = wide(a), v = wide(b);
  const outer = lengths(u, batch), k = sizeOf(lengths(u, summed));
  const rows = ops.reshape(place(u, [...batch, ...left, ...summed]), [...outer, sizeOf(lengths(u, left)), k]);
  const columns = ops.reshape(place(v, [...batch, ...summed, ...right]), [...outer, k, sizeOf(lengths(v, right))]);
  const out = ops.matmul(rows, columns);
  return { node: ops.reshape(out, [...outer, ...lengths(u, left), ...lengths(v, right)]), labels };
}

/** Checks that axes of one name are equally long, where length 1 broadcasts. */
function checkLengths(terms: readonly Term[]): void {
  const seen = new Map<string, number>();
  for (const { node, labels } of terms) {
    labels.forEach((label, d) => {
      const n = node.shape[d]!, other = seen.get(label);
      if (other === undefined || other === 1) seen.set(label, n);
      else if (n !== 1 && n !== other) {
        fail(`axis "${label}" has lengths ${other} and ${n}`);
      }
    });
  }
}

/**
 * Sums of products of arrays, written by naming their axes: `"ij,jk->ik"` is the matrix product.
 *
 * A name in several operands pairs their axes, one that is missing after the arrow is summed over, a repeated one in one operand takes
 * the diagonal, `...` stands for all other axes. Without an arrow the result has the names that occur once, in alphabetical order.
 * Operands are multiplied from left to right, each step as one matrix product.
 *
 * @param subscripts the names
 * @param operands the arrays
 * @returns the result, its axes as after the arrow
 * @throws SyntaxError for subscripts that cannot be read, ShapeError for axes that do not fit
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.einsum("ij,j->i", [[1, 2], [3, 4]], [1, 1]).toArray()); // [ 3, 7 ]
 * ```
 * Source: numpy.einsum
 */
export function einsum(subscripts: string, ...operands: readonly ArrayLike[]): NDArray {
  if (typeof subscripts !== "string") {
    throw new TypeError(`einsum: subscripts must be a string such as "ij,jk->ik", got ${describe(subscripts)}`);
  }
  if (operands.length === 0) throw new TypeError("einsum: got no operands, expected at least one");
  const [inputs, output, more] = subscripts.replaceAll(/\s/g, "").split("->");
  const parts = inputs!.split(",");
  if (more !== undefined) throw new SyntaxError(`einsum: got two arrows in "${subscripts}", expected at most one`);
  if (parts.length !== operands.length) {
    fail(`"${subscripts}" names ${parts.length} operands, got ${operands.length}`);
  }
  const { nodes, dtype } = promote("einsum", operands);
  const work = dtype === "bool" ? nodes.map((x) => ops.cast(x, "int64")) : nodes;
  const named = work.map((x, i) => labelsOf(parts[i]!, x.shape.length));
  const ellipsis = ellipsisOf(named);
  const wantedLabels = output === undefined ? impliedOutput(named) : labelsOf(output, outputRank(output, ellipsis));
  wantedLabels.forEach((l, i) => {
    if (l.length === 1 && !named.flat().includes(l)) fail(`the result names "${l}", which is in no operand`);
    if (wantedLabels.indexOf(l) !== i) fail(`the result names "${l}" twice`);
  });
  if (ellipsis.length > 0 && !ellipsis.every((l) => wantedLabels.includes(l))) {
    fail(`operands have "..." axes that the result "${output}" does not name`);
  }
  let terms = work.map((x, i) => diagonals(x, named[i]!));
  checkLengths(terms);
  while (terms.length > 1) {
    const [x, y, ...rest] = terms as [Term, Term, ...Term[]];
    terms = [multiply(x, y, (l) => wantedLabels.includes(l) || rest.some((t) => t.labels.includes(l))), ...rest];
  }
  const last = sumOut(terms[0]!, (l) => wantedLabels.includes(l));
  const out = ops.transpose(last.node, wantedLabels.map((l) => last.labels.indexOf(l)));
  return wrap(dtype === "bool" ? ops.cast(out, "bool") : out);
}

function outputRank(output: string, ellipsis: readonly string[]): number {
  const letters = output.replace("...", "").length;
  return output.includes("...") ? letters + ellipsis.length : letters;
}
