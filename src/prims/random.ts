/**
 * Random bits: a counter-based generator, so that distributions are elementwise functions of a key and a position.
 * @module
 */
import { broadcastShapes } from "../base/shape.ts";
import type { Primitive } from "../core/primitive.ts";
import type { PrimitiveParams, Primitives } from "../core/registry.ts";
import { elementwise } from "./kinds.ts";

/** Threefry-2x32 with 20 rounds. Source: J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011). */
const threefry: Primitive<PrimitiveParams["threefry"]> = {
  ...elementwise<PrimitiveParams["threefry"]>(
    "threefry",
    (ins) => {
      for (const { dtype } of ins) {
        if (dtype !== "uint32") throw new TypeError(`threefry: got dtype ${dtype}, expected uint32`);
      }
      return { shape: broadcastShapes("threefry", ...ins.map((x) => x.shape)), dtype: "uint32" };
    },
    null,
    ({ b }, src, { word }) => [b.make("threefry", "uint32", src.map((v) => v[0]), word)],
  ),
  kind: "random",
};

/** The records of random numbers. */
export const randomRecords = { threefry } satisfies Partial<Primitives>;
