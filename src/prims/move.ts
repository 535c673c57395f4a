/**
 * The moves: reshape, transpose, broadcast, slice are views where strides can say it; pad and concatenate assemble.
 * @module
 */
import { ShapeError } from "../base/errors.ts";
import { broadcastStrides, checkShape, formatShape, reshapeStrides, sizeOf } from "../base/shape.ts";
import { broadcast, concatenate, expand, pad, reshape, slice, transpose } from "../core/ops.ts";
import { type Aval, newId, type Primitive, type View } from "../core/primitive.ts";
import type { PrimitiveParams, Primitives, RegionParams } from "../core/registry.ts";
import { bind } from "../core/trace.ts";
import { checkAxis, checkSame, move, spread } from "./kinds.ts";

const reshapeRecord = move<PrimitiveParams["reshape"]>("reshape", {
  infer: (x, { shape }) => {
    checkShape("reshape", shape);
    const size = sizeOf(x.shape);
    if (sizeOf(shape) !== size) {
      throw new ShapeError(`reshape: cannot reshape array of size ${size} into shape ${formatShape(shape)}`);
    }
    return { shape, dtype: x.dtype };
  },
  view: ({ shape, strides, offset }, params) => {
    const next = reshapeStrides(shape, strides, params.shape);
    return next === null ? null : { shape: params.shape, strides: next, offset };
  },
  vjp: (g, x) => reshape(g, x.shape),
  shift: ({ shape }, size) => ({ shape: [size, ...shape] }),
});

const transposeRecord = move<PrimitiveParams["transpose"]>("transpose", {
  infer: (x, { perm }) => {
    const rank = x.shape.length;
    if (perm.length !== rank || new Set(perm).size !== rank || perm.some((p) => !(p >= 0 && p < rank))) {
      throw new ShapeError(`transpose: got axes ${formatShape(perm)}, expected a permutation of ${rank}`);
    }
    return { shape: perm.map((p) => x.shape[p]!), dtype: x.dtype };
  },
  view: ({ shape, strides, offset }, { perm }) => ({
    shape: perm.map((p) => shape[p]!),
    strides: perm.map((p) => strides[p]!),
    offset,
  }),
  vjp: (g, _x, { perm }) => {
    const inverse = new Array<number>(perm.length);
    perm.forEach((p, i) => inverse[p] = i);
    return transpose(g, inverse);
  },
  shift: ({ perm }) => ({ perm: [0, ...perm.map((p) => p + 1)] }),
});

const broadcastRecord: Primitive<PrimitiveParams["broadcast"]> = {
  ...move<PrimitiveParams["broadcast"]>("broadcast", {
    infer: (x, { shape }) => {
      checkShape("broadcast", shape);
      broadcastStrides("broadcast", x.shape, x.shape, shape);
      return { shape, dtype: x.dtype };
    },
    view: ({ shape, strides, offset }, params) => ({
      shape: params.shape,
      strides: broadcastStrides("broadcast", shape, strides, params.shape),
      offset,
    }),
    vjp: (g) => g,
    shift: ({ shape }, size) => ({ shape: [size, ...shape] }),
  }),
  // The mapped axis stays in front of the axes that broadcasting adds.
  batch: ([x], { shape }, size) => {
    const added = shape.length - (x!.node.shape.length - 1);
    return broadcast(expand(x!.node, Array.from({ length: added }, (_, i) => i + 1)), [size, ...shape]);
  },
};

/** Checks that a region of `small` with these starts and steps lies in `large`. @throws ShapeError */
function checkRegion(name: string, large: readonly number[], small: readonly number[], p: RegionParams): void {
  const { starts, steps } = p;
  const rank = large.length;
  let inside = starts.length === rank && steps.length === rank && small.length === rank;
  for (let i = 0; inside && i < rank; i++) {
    const n = small[i]!, first = starts[i]!, step = steps[i]!;
    const last = first + (n - 1) * step;
    const within = (at: number) => Number.isInteger(at) && at >= 0 && at < large[i]!;
    inside = Number.isInteger(step) && step !== 0 && Number.isInteger(n) && n >= 0 &&
      (n === 0 || within(first) && within(last));
  }
  if (!inside) {
    throw new ShapeError(
      `${name}: region of shape ${formatShape(small)} at ${formatShape(starts)} by steps ${formatShape(steps)} ` +
        `is not inside shape ${formatShape(large)}`,
    );
  }
}

/** The part of a view that a region covers. */
function regionOf({ shape, strides, offset }: View, small: readonly number[], { starts, steps }: RegionParams): View {
  let at = offset;
  if (sizeOf(small) > 0) { for (let i = 0; i < shape.length; i++) at += starts[i]! * strides[i]!; }
  return { shape: small, strides: strides.map((s, i) => s * steps[i]!), offset: at };
}

const shiftRegion = ({ starts, shape, steps }: RegionParams, size: number): RegionParams => ({
  starts: [0, ...starts],
  shape: [size, ...shape],
  steps: [1, ...steps],
});

const sliceRecord = move<RegionParams>("slice", {
  infer: (x, params) => {
    checkRegion("slice", x.shape, params.shape, params);
    return { shape: params.shape, dtype: x.dtype };
  },
  view: (input, params) => regionOf(input, params.shape, params),
  vjp: (g, x, { starts, steps }) => pad(g, x.shape, starts, steps),
  shift: shiftRegion,
});

const padRecord: Primitive<RegionParams> = {
  id: newId(),
  name: "pad",
  kind: "move",
  infer: ([x], params) => {
    checkShape("pad", params.shape);
    checkRegion("pad", params.shape, x!.shape, params);
    return { shape: params.shape, dtype: x!.dtype };
  },
  vjp: (g, { inputs: [x], params: { starts, steps } }) => [slice(g, starts, x!.shape, steps)],
  batch: ([x], params, size) => bind(padRecord, [x!.node], shiftRegion(params, size)),
  lower: {
    as: "assemble",
    zero: () => true,
    region: (output, _i, params, ins) => regionOf(output, ins[0]!.shape, params),
  },
};

/** Where input `i` starts along the axis. */
function startOf(ins: readonly Aval[], i: number, axis: number): number {
  let at = 0;
  for (let k = 0; k < i; k++) at += ins[k]!.shape[axis]!;
  return at;
}

const concatenateRecord: Primitive<PrimitiveParams["concatenate"]> = {
  id: newId(),
  name: "concatenate",
  kind: "move",
  infer: (ins, { axis }) => {
    const first = ins[0];
    if (first === undefined) throw new ShapeError("concatenate: need at least one array to concatenate");
    checkAxis("concatenate", axis, first);
    let length = 0;
    for (const x of ins) {
      checkSame("concatenate", first, x);
      if (x.shape.length !== first.shape.length || x.shape.some((n, i) => i !== axis && n !== first.shape[i])) {
        throw new ShapeError(
          `concatenate: got shapes ${formatShape(first.shape)} and ${formatShape(x.shape)}, ` +
            `expected equal ones except along axis ${axis}`,
        );
      }
      length += x.shape[axis]!;
    }
    return { shape: first.shape.with(axis, length), dtype: first.dtype };
  },
  vjp: (g, { inputs, params: { axis }, needs }) =>
    inputs.map((x, i) => {
      if (!needs[i]) return null;
      const starts = x.shape.map((_, k) => k === axis ? startOf(inputs, i, axis) : 0);
      return slice(g, starts, x.shape, x.shape.map(() => 1));
    }),
  batch: (args, { axis }, size) => concatenate(args.map((a) => spread(a, size)), axis + 1),
  lower: {
    as: "assemble",
    zero: () => false,
    region: ({ shape, strides, offset }, i, { axis }, ins) => {
      const length = ins[i]!.shape[axis]!;
      return {
        shape: shape.with(axis, length),
        strides,
        offset: length === 0 ? offset : offset + startOf(ins, i, axis) * strides[axis]!,
      };
    },
  },
};

/** The records of the moves. */
export const moveRecords = {
  reshape: reshapeRecord,
  transpose: transposeRecord,
  broadcast: broadcastRecord,
  slice: sliceRecord,
  pad: padRecord,
  concatenate: concatenateRecord,
} satisfies Partial<Primitives>;
