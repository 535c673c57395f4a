/**
 * The leaves: user numbers, positions, arguments of traced functions.
 * @module
 */
import { type Aval, newId, type Primitive } from "../core/primitive.ts";
import { type DType, type DTypeInfo, dtypeNames, dtypes } from "../base/dtype.ts";
import { TracerError } from "../base/errors.ts";
import { checkShape, formatShape } from "../base/shape.ts";
import type { PrimitiveParams, Primitives, Scalar } from "../core/registry.ts";
import { checkAxis, checkKind } from "./kinds.ts";

const nothingToBatch = (name: string) => (): never => {
  throw new TypeError(`${name}: has no input to map over`);
};

/** One aval a dtype, so that a number in an expression allocates none. */
const zeroD = Object.fromEntries(
  dtypeNames.map((dtype) => [dtype, { shape: [], dtype, code: dtypes[dtype].code }]),
) as unknown as Readonly<
  Record<DType, Aval>
>;

const infos = dtypeNames.map((dtype) => dtypes[dtype]);

/** The number as a kernel of this dtype is given it. @throws TypeError for a value the dtype has no place for */
function launchValue(value: Scalar, dtype: DType, { kind, itemsize }: DTypeInfo = dtypes[dtype]): Scalar {
  if (kind === "c") return typeof value === "object" ? value : { re: Number(value), im: 0 };
  if (typeof value === "object") {
    throw new TypeError(`scalar: got the complex number ${value.re} + ${value.im}i for dtype ${dtype}`);
  }
  if (kind === "b") return Boolean(value);
  if (kind === "f") return Number(value);
  if (typeof value === "number" && !Number.isInteger(value)) {
    throw new TypeError(`scalar: got ${value} for dtype ${dtype}, expected an integer`);
  }
  return itemsize === 8 ? BigInt(value) : Number(value);
}

const scalar: Primitive<PrimitiveParams["scalar"]> = {
  id: newId(),
  name: "scalar",
  kind: "leaf",
  infer: (_ins, { value, dtype }) => {
    const aval = zeroD[dtype];
    launchValue(value, dtype, infos[aval.code!]);
    return aval;
  },
  vjp: null,
  batch: nothingToBatch("scalar"),
  lower: { as: "scalar", value: ({ value, dtype }) => launchValue(value, dtype) },
};

const iota: Primitive<PrimitiveParams["iota"]> = {
  id: newId(),
  name: "iota",
  kind: "leaf",
  infer: (_ins, { shape, axis, dtype }) => {
    checkShape("iota", shape);
    checkKind("iota", dtype, "iuf");
    checkAxis("iota", axis, { shape, dtype });
    return { shape, dtype };
  },
  vjp: null,
  batch: nothingToBatch("iota"),
  lower: {
    as: "iota",
    view: ({ shape, axis }) => ({ shape, strides: shape.map((_, i) => i === axis ? 1 : 0), offset: 0 }),
  },
};

const placeholder: Primitive<PrimitiveParams["placeholder"]> = {
  id: newId(),
  name: "placeholder",
  kind: "leaf",
  infer: (_ins, aval) => {
    checkShape("placeholder", aval.shape);
    return aval;
  },
  vjp: null,
  batch: nothingToBatch("placeholder"),
  lower: {
    as: "scalar",
    value: ({ shape, dtype }) => {
      throw new TracerError(
        `placeholder: the ${dtype} value of shape ${formatShape(shape)} is not known while tracing`,
      );
    },
  },
};

/** The records of the leaves. */
export const leafRecords = { scalar, iota, placeholder } satisfies Partial<Primitives>;
