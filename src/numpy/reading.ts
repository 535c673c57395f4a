/**
 * Reading values half-way: for functions whose result's shape depends on them.
 * @module
 */
import { elementAt, type Scalar } from "../base/elements.ts";
import { TracerError } from "../base/errors.ts";
import { formatShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { readData } from "../transform/evaluate.ts";
import { allAxes } from "./moves.ts";

/** Checks that a value can be known. @throws TracerError inside a trace */
export function checkKnown(name: string, what: string, x: Node): void {
  if (x.symbolic) {
    throw new TracerError(
      `${name}: ${what} must be known, but a traced array of shape ${
        formatShape(x.shape)
      } has no value inside tnp.function or ` +
        `tnp.vectorized_map`,
    );
  }
}

/** The elements of a node in C order; a node that nobody holds is given back. @throws TracerError inside a trace */
export function readElements(name: string, what: string, x: Node): Scalar[] {
  checkKnown(name, what, x);
  x.hold();
  try {
    const data = readData(x);
    return Array.from({ length: x.size }, (_, i) => elementAt(data, x.dtype, i));
  } finally {
    x.drop();
  }
}

/** The integers of an integer node. @throws TracerError inside a trace */
export function readIntegers(name: string, what: string, x: Node): number[] {
  return readElements(name, what, x).map(Number);
}

/** Whether any element of a bool node is true; false inside a trace, where nobody knows. `kept` are nodes that are used afterwards. */
export function anyKnown(bad: Node, kept: readonly Node[]): boolean {
  if (bad.symbolic) return false;
  for (const x of kept) x.hold();
  try {
    return readElements("any", "values", ops.any(bad, allAxes(bad)))[0] === true;
  } finally {
    // Not dropped: their user holds them next.
    for (const x of kept) x.holders--;
  }
}
