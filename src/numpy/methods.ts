/**
 * Gives NDArray's methods their functions.
 * @module
 */
import { installMethods, type Methods } from "../array.ts";
import {
  absolute,
  add,
  divide,
  floor_divide,
  mod,
  multiply,
  negative,
  positive,
  power,
  subtract,
} from "./arithmetic.ts";
import { bitwise_and, bitwise_or, bitwise_xor, invert, left_shift, right_shift } from "./bitwise.ts";
import { equal, greater, greater_equal, less, less_equal, not_equal } from "./comparison.ts";
import { astype, copy } from "./creation.ts";
import { conjugate, imag, real } from "./floating.ts";
import { at, withValues } from "./indexing.ts";
import { diagonal, trace } from "./matrix.ts";
import { dot, matmul } from "./products.ts";
import { repeat } from "./rearranging.ts";
import { all, any, argmax, argmin, cumprod, cumsum, max, min, prod, sum } from "./reduction.ts";
import { clip, round } from "./rounding.ts";
import { compress, nonzero, take } from "./searching.ts";
import { matrix_transpose, ravel, reshape, squeeze, swapaxes, transpose } from "./shape.ts";
import { argsort, searchsorted, sort } from "./sorting.ts";
import { mean, std, var as variance } from "./statistics.ts";

/** The functions behind the methods. */
export const methods: Methods = {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  mod,
  power,
  matmul,
  negative,
  positive,
  abs: absolute,
  invert,
  bitwise_and,
  bitwise_or,
  bitwise_xor,
  left_shift,
  right_shift,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  at,
  with: withValues,
  astype,
  copy,
  real,
  imag,
  conj: conjugate,
  reshape,
  ravel,
  transpose,
  matrix_transpose,
  swapaxes,
  squeeze,
  repeat,
  diagonal,
  trace,
  take,
  compress,
  nonzero,
  searchsorted,
  sort,
  argsort,
  dot,
  sum,
  prod,
  mean,
  var: variance,
  std,
  max,
  min,
  argmax,
  argmin,
  all,
  any,
  cumsum,
  cumprod,
  clip,
  round,
};

installMethods(methods);
