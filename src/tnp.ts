/**
 * Everything that is public, as one namespace: `tnp`.
 * @module
 */
import "./prims/mod.ts";
import "./numpy/methods.ts";

export { NDArray, NDArray as ndarray } from "./array.ts";
export type {
  ArgReduceOptions,
  Args,
  ArrayLike,
  ArrayObject,
  ArraySource,
  AstypeOptions,
  Axis,
  AxisOption,
  ClipOptions,
  Complex,
  DataOf,
  DiagonalOptions,
  Elements,
  Index,
  IndexList,
  Keeps,
  KeepsQuotient,
  Nested,
  OrderOptions,
  ReduceOptions,
  Scalar,
  ScanOptions,
  SearchOptions,
  Slice,
  SortOptions,
  SpreadOptions,
  TakeOptions,
  TensorObject,
  TraceOptions,
  TruthOptions,
  TypedArrayLike,
  WithOptions,
} from "./array.ts";
export type { DType, InexactType, ScalarType } from "./base/dtype.ts";
export {
  AxisError,
  DeviceError,
  DisposedError,
  DTypePromotionError,
  IndexError,
  LinAlgError,
  OutOfMemoryError,
  ShapeError,
  TracerError,
} from "./base/errors.ts";

export * from "./numpy/arithmetic.ts";
export * from "./numpy/autodiff.ts";
export * from "./numpy/bitwise.ts";
export * from "./numpy/comparison.ts";
export * as config from "./numpy/config.ts";
export { cond, scan, type ScanLoopOptions, while_loop, type WhileOptions } from "./numpy/control.ts";
export * from "./numpy/creation.ts";
export * from "./numpy/dtypes.ts";
export { einsum } from "./numpy/einsum.ts";
export * from "./numpy/exponential.ts";
export { expr } from "./numpy/expr.ts";
export * from "./numpy/floating.ts";
export { slice } from "./numpy/indexing.ts";
export * from "./numpy/inserting.ts";
export * from "./numpy/joining.ts";
export * from "./numpy/matrix.ts";
export {
  cross,
  type CrossOptions,
  dot,
  inner,
  kron,
  matmul,
  outer,
  tensordot,
  type TensordotAxes,
  vdot,
  vecdot,
} from "./numpy/products.ts";
export * from "./numpy/quantiles.ts";
export * as random from "./numpy/random.ts";
export * from "./numpy/ranges.ts";
export * from "./numpy/rearranging.ts";
export {
  all,
  amax,
  amin,
  any,
  argmax,
  argmin,
  type ArgReduceAxes,
  count_nonzero,
  cumprod,
  cumsum,
  max,
  min,
  nancumprod,
  nancumsum,
  nanprod,
  nansum,
  prod,
  ptp,
  sum,
} from "./numpy/reduction.ts";
export {
  around,
  ceil,
  clip,
  fix,
  floor,
  fmax,
  fmin,
  heaviside,
  maximum,
  minimum,
  nan_to_num,
  type NanOptions,
  rint,
  round,
  trunc,
} from "./numpy/rounding.ts";
export * from "./numpy/scopes.ts";
export {
  argwhere,
  compress,
  extract,
  flatnonzero,
  nonzero,
  select,
  take,
  take_along_axis,
  where,
} from "./numpy/searching.ts";
export * from "./numpy/shape.ts";
export { argsort, searchsorted, sort } from "./numpy/sorting.ts";
export {
  average,
  type AverageOptions,
  mean,
  type MeanOptions,
  nanargmax,
  nanargmin,
  nanmax,
  nanmean,
  nanmin,
  nanstd,
  nanvar,
  std,
  var,
} from "./numpy/statistics.ts";
export { type GradientOptions, GradientTape, type GradientTapeOptions, type JacobianOptions } from "./numpy/tape.ts";
export {
  type ArraySpec,
  type Axes,
  function,
  type FunctionOptions,
  map_fn,
  type MapOptions,
  type SpecTree,
  type TracedFunction,
  vectorized_map,
} from "./numpy/tracing.ts";
export type { Arrays, Given, GivenArgs, NumberList, SourceTree } from "./numpy/trees.ts";
export * from "./numpy/trigonometric.ts";
export type { Unconnected } from "./transform/tape.ts";
export type { UfuncOptions } from "./numpy/ufunc.ts";
export { Variable, type VariableOptions } from "./numpy/variable.ts";
export type { FloatMode } from "./io/display.ts";
export { array_repr, array_str, get_printoptions, type PrintOptions, set_printoptions } from "./io/print.ts";
