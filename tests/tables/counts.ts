/**
 * What the programs of tests/tables/programs.ts cost on the null device; written by `make counts`.
 * @module
 */
import type { Count } from "../support/counts.ts";

export const counts: Readonly<Record<string, Count>> = {
  "sigmoid": { launches: "map 1", bytes: 4096 },
  "chain": { launches: "map 1", bytes: 4096 },
  "softmax": { launches: "reduce 2, map 1", bytes: 400848 },
  "softmax, traced": { launches: "reduce 2, map 1", bytes: 400848 },
  "layer norm": { launches: "reduce 2, map 1", bytes: 66048 },
  "dense layer with relu": { launches: "matmul 1", bytes: 16384 },
  "attention": { launches: "matmul 2, reduce 2, map 1", bytes: 133120 },
  "mean and variance": { launches: "reduce 2, map 1", bytes: 16032 },
  "sum of squares of a difference": { launches: "reduce 1", bytes: 4 },
  "arg max of a product": { launches: "matmul 1, reduce 1", bytes: 1536 },
  "sort and the middle": { launches: "sort 1", bytes: 25856 },
  "cumsum of a map, scaled": { launches: "scan 1, map 1", bytes: 512000 },
  "cumsum over both axes": { launches: "scan 2", bytes: 51200 },
  "cumsum reversed": { launches: "scan 1", bytes: 4000 },
  "second difference by slices": { launches: "map 1", bytes: 3992 },
  "transpose, slice, reverse, add": { launches: "map 1", bytes: 6016 },
  "rows by index, summed": { launches: "map 1, reduce 1", bytes: 1208 },
  "pairs by two indices": { launches: "map 1", bytes: 60 },
  "a block replaced": { launches: "map 3", bytes: 4800 },
  "concatenation of maps": { launches: "map 2", bytes: 8000 },
  "padding": { launches: "map 3", bytes: 10752 },
  "gradient step, eager": { launches: "matmul 5, reduce 1", bytes: 275200 },
  "gradient step, traced": { launches: "matmul 5, reduce 1", bytes: 275200 },
  "per-example gradients, traced": { launches: "matmul 3, map 2", bytes: 1180672 },
  "batch Jacobian, eager": { launches: "matmul 3, map 2", bytes: 16640 },
  "batch Jacobian, traced": { launches: "matmul 3, map 2", bytes: 16640 },
  "Adam update, traced": { launches: "map 2", bytes: 24584 },
};
