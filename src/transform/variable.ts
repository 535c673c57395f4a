/**
 * State: a place for one value that can be replaced. Inside a traced function, reading it makes an input of the trace and
 * writing it an output.
 * @module
 */
import { ShapeError, TracerError } from "../base/errors.ts";
import type { DType } from "../base/dtype.ts";
import { formatShape, sameShape } from "../base/shape.ts";
import { newId, type Primitive } from "../core/primitive.ts";
import { bind, context, leaf, type Node, settle } from "../core/trace.ts";
import type { Device } from "../device/device.ts";
import { type Cell as CellLike, currentStage, insideMap } from "./tracing.ts";

/** A variable as a parameter; it has nothing to enumerate, so that keys made of parameters stay short. */
class Place {
  readonly #cell: Cell;

  constructor(cell: Cell) {
    this.#cell = cell;
  }

  get cell(): Cell {
    return this.#cell;
  }
}

/** Whether two parameters are one variable. */
export function samePlace(a: unknown, b: unknown): boolean {
  return a instanceof Place && b instanceof Place && a.cell === b.cell;
}

/** What was assigned to a variable: the same value, to which no gradient flows back. A tape sees a new reading of the variable. */
const assigned: Primitive<Place> = {
  id: newId(),
  name: "assigned",
  kind: "move",
  infer: ([x]) => x!,
  vjp: null,
  batch: ([x]) => x!.node,
  lower: { as: "view", view: (input) => input },
};

/** A node of the same value that nobody else holds: a tape tells variables from each other, and from arrays, by their nodes. */
function own(node: Node, cell: Cell): Node {
  if (node.holders === 0) return node;
  if (node.storage !== null) return leaf(node, node.device, node.storage, node.offset, node.strides);
  const { recorders } = context;
  context.recorders = [];
  try {
    return bind(assigned, [node], new Place(cell));
  } finally {
    context.recorders = recorders;
  }
}

/** A place for one value. */
export class Cell implements CellLike {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly device: Device;
  readonly trainable: boolean;
  #node: Node;

  /** @throws TracerError for a value that belongs to a trace */
  constructor(initial: Node, trainable: boolean) {
    if (initial.symbolic) {
      throw new TracerError("Variable: the initial value is traced; make the variable outside of the traced function");
    }
    this.shape = initial.shape;
    this.dtype = initial.dtype;
    this.device = initial.device;
    this.trainable = trainable;
    this.#node = own(initial, this).hold();
  }

  /** The value now. */
  read(): Node {
    const stage = currentStage();
    const node = stage === null ? this.#node : stage.cell(this, this).current;
    const { recorders } = context;
    for (let i = 0; i < recorders.length; i++) recorders[i]!.read?.(this, node);
    return node;
  }

  /**
   * Another value.
   * @throws ShapeError or TypeError unless it is of the same shape and dtype; TracerError inside `vectorized_map`
   */
  write(node: Node): void {
    if (!sameShape(node.shape, this.shape)) {
      throw new ShapeError(
        `assign: got shape ${formatShape(node.shape)}, expected the variable's ${formatShape(this.shape)}`,
      );
    }
    if (node.dtype !== this.dtype) {
      throw new TypeError(`assign: got dtype ${node.dtype}, expected the variable's ${this.dtype}`);
    }
    if (insideMap()) {
      throw new TracerError(
        "assign: a variable cannot be assigned inside tnp.vectorized_map; return the value instead",
      );
    }
    const stage = currentStage();
    if (stage !== null) {
      const state = stage.cell(this, this);
      state.current = stage.keep(bind(assigned, [node], new Place(this)));
      state.written = true;
      return;
    }
    const tapes = context.recorders.some((recorder) => recorder.read !== undefined);
    const value = tapes ? bind(assigned, [node], new Place(this)) : settle(own(node, this));
    const before = this.#node;
    this.#node = value.hold();
    before.drop();
  }
}

/** The variable to which a bound primitive assigns, if that is what it does: for a tape, its result is a new reading of it. */
export function assignedCell(prim: Primitive, params: unknown): Cell | null {
  return prim.name === assigned.name && params instanceof Place ? params.cell : null;
}

/**
 * Gives variables the values that a call computed for them; each may be what another one, or itself, or a result held until now.
 *
 * @param results of the call, which are the caller's to hold afterwards
 */
export function assignAll(cells: readonly CellLike[], values: readonly Node[], results: readonly Node[]): void {
  for (const node of results) node.hold();
  for (const node of values) node.hold();
  try {
    cells.forEach((cell, i) => cell.write(values[i]!));
  } finally {
    for (const node of values) node.drop();
    for (const node of results) node.holders--;
  }
}
