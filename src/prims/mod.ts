/**
 * All primitives, handed to src/core/registry.ts when this file is imported.
 * @module
 */
import { install, type PrimitiveName, type Primitives } from "../core/registry.ts";
import { elementwiseRecords } from "./elementwise.ts";
import { indexRecords } from "./index.ts";
import { leafRecords } from "./leaf.ts";
import { moveRecords } from "./move.ts";
import { randomRecords } from "./random.ts";
import { reduceRecords } from "./reduce.ts";
import { routineRecords } from "./routine.ts";
import { scanRecords } from "./scan.ts";
import { sortRecords } from "./sort.ts";

/** A record for every name; one that is missing is a compile error here. */
export const primitives: Primitives = {
  ...leafRecords,
  ...elementwiseRecords,
  ...moveRecords,
  ...reduceRecords,
  ...scanRecords,
  ...indexRecords,
  ...sortRecords,
  ...randomRecords,
  ...routineRecords,
} satisfies Primitives;

/** The names of all primitives. */
export const primitiveNames = Object.keys(primitives) as PrimitiveName[];

install(primitives);
