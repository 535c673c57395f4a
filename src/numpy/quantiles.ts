/**
 * Order statistics: median, quantile, percentile.
 * @module
 */
import { isComplex, isInexact } from "../base/dtype.ts";
import { ShapeError } from "../base/errors.ts";
import { promoteTypes } from "../base/promote.ts";
import { formatShape, reducedShape } from "../base/shape.ts";
import * as ops from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { type Args, type ArrayLike, type Axis, type NDArray, wrap } from "../array.ts";
import { checkChoice, keywords } from "./args.ts";
import { toNodeOf } from "./convert.ts";
import { flat, sliceAxis } from "./moves.ts";
import { anyKnown } from "./reading.ts";
import { type ArgReduceAxes, keep, reduceAxes } from "./reduction.ts";
import { larger, smaller } from "./rounding.ts";
import { meanNode, meanType } from "./statistics.ts";
import { lit, number } from "./ufunc.ts";

/** Keywords of `median`. */
export type MedianOptions = ArgReduceAxes;

/** How `quantile` reads between two elements: NumPy's methods. `linear` and the last eight are the nine of Hyndman and Fan. */
export type QuantileMethod =
  | "linear"
  | "lower"
  | "higher"
  | "midpoint"
  | "nearest"
  | "inverted_cdf"
  | "averaged_inverted_cdf"
  | "closest_observation"
  | "interpolated_inverted_cdf"
  | "hazen"
  | "weibull"
  | "median_unbiased"
  | "normal_unbiased";

/** Keywords of `quantile` and `percentile`. */
export interface QuantileOptions extends ArgReduceAxes {
  /** How to read between two elements, by NumPy's name; `linear` if absent. */
  readonly method?: QuantileMethod | undefined;
}

/** The axes of a reduction as one last axis. */
function lastAxis(x: Node, axes: readonly number[]): Node {
  const rest = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const moved = ops.transpose(x, [...rest, ...axes]);
  const length = axes.reduce((n, i) => n * x.shape[i]!, 1);
  return ops.reshape(moved, [...rest.map((i) => x.shape[i]!), length]);
}

/**
 * The middle of the sorted elements over axes; the mean of the two middle ones for an even count.
 *
 * @param a an array
 * @param axis an axis, several, or null for all
 * @returns an array without the axes; NaN where any element is NaN
 * @throws AxisError for an axis that is not there
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.median([[1, 5, 3], [4, 2, 9]], 1).toArray()); // [ 3, 4 ]
 * ```
 * Source: numpy.median
 */
export function median(a: ArrayLike, ...args: Args<[axis: Axis], MedianOptions>): NDArray {
  const options = keywords<MedianOptions>("median", ["axis", "keepdims"], args);
  const given = toNodeOf("median", a);
  const axes = reduceAxes("median", options.axis, given, true);
  const type = meanType("median", given.dtype, null);
  const sorted = ops.sort(lastAxis(given, axes));
  const axis = sorted.shape.length - 1;
  const n = sorted.shape[axis]!;
  const rest = sorted.shape.slice(0, -1);
  const middle = n === 0
    ? ops.full([...rest, 1], NaN, number(0, type, given.device))
    : sliceAxis(sorted, axis, Math.floor((n - 1) / 2), n % 2 === 0 ? 2 : 1);
  let out = meanNode(middle, [axis], null, type);
  if (n > 0 && isInexact(given.dtype)) {
    const last = ops.reshape(sliceAxis(sorted, axis, n - 1, 1), rest);
    out = ops.where(ops.isnan(last), ops.cast(last, type), out);
  }
  return wrap(keep(out, given, axes, options.keepdims));
}

/** Shares from 0 to 1, of whose dtype a plain number's does not count in the result. @throws RangeError outside of 0 to 1 */
function shares(name: string, scale: number, q: ArrayLike, x: Node): { share: Node; weak: boolean } {
  const given = toNodeOf(name, q, x.device), weak = typeof q === "number" || given.weak;
  let out = given;
  if (isComplex(out.dtype)) throw new TypeError(`${name}: got q of dtype ${out.dtype}, expected a real one`);
  if (!isInexact(out.dtype)) out = ops.cast(out, scale === 1 ? "int64" : "float64");
  if (scale !== 1) out = ops.div(out, lit(scale, out));
  const outside = (): Node => ops.not(ops.and(ops.less_equal(lit(0, out), out), ops.less_equal(out, lit(1, out))));
  if (typeof q === "number" ? !(q >= 0 && q <= scale) : anyKnown(outside(), [out, x])) {
    throw new RangeError(`${name}: q must be from 0 to ${scale}, got ${typeof q === "number" ? q : "others"}`);
  }
  return { share: out, weak };
}

/** Two places of sorted elements, and what part of the way from one to the other. */
interface Between {
  readonly low: Node;
  readonly high: Node;
  readonly part: Node;
}

/** The methods, with the part that Hyndman and Fan's continuous ones give the elements before and after a share. */
const methods: Readonly<Record<QuantileMethod, readonly [alpha: number, beta: number] | null>> = {
  linear: null,
  lower: null,
  higher: null,
  midpoint: null,
  nearest: null,
  inverted_cdf: null,
  averaged_inverted_cdf: null,
  closest_observation: null,
  interpolated_inverted_cdf: [0, 1],
  hazen: [0.5, 0.5],
  weibull: [0, 0],
  median_unbiased: [1 / 3, 1 / 3],
  normal_unbiased: [3 / 8, 3 / 8],
};

/** Where a method reads the shares `q` of `n` elements: at one place, or between two. */
function placesOf(method: QuantileMethod, q: Node, n: number): Node | Between {
  const num = (value: number) => lit(value, q);
  const inside = (x: Node) => smaller(larger(x, num(0)), num(n - 1));
  const parted = (place: Node): Between => {
    const low = ops.floor(place);
    return { low, high: ops.ceil(place), part: ops.sub(place, low) };
  };
  const place = ops.mul(q, num(n - 1));
  const correction = methods[method];
  if (correction !== null) {
    const [alpha, beta] = correction;
    const corrected = ops.add(num(alpha), ops.mul(q, num(1 - alpha - beta)));
    return parted(inside(ops.sub(ops.add(ops.mul(num(n), q), corrected), num(1))));
  }
  switch (method) {
    case "lower":
      return ops.floor(place);
    case "higher":
      return ops.ceil(place);
    case "nearest":
      return ops.rint(place);
    case "midpoint": {
      const low = ops.floor(place);
      return { low, high: ops.ceil(place), part: ops.where(ops.equal(low, place), num(0), num(0.5)) };
    }
    case "inverted_cdf":
      return inside(ops.ceil(ops.sub(ops.mul(num(n), q), num(1))));
    case "closest_observation": {
      const v = ops.sub(ops.sub(ops.mul(num(n), q), num(1)), num(0.5)), low = ops.floor(v);
      const odd = ops.equal(ops.mod(low, num(2)), num(1));
      return inside(ops.where(ops.and(ops.equal(v, low), odd), low, ops.add(low, num(1))));
    }
    case "averaged_inverted_cdf": {
      const v = ops.sub(ops.mul(num(n), q), num(1)), low = ops.floor(v);
      const next = ops.where(ops.less(v, num(0)), num(0), ops.add(low, num(1)));
      return { low: inside(low), high: inside(next), part: ops.where(ops.equal(low, v), num(0.5), num(1)) };
    }
    default:
      return parted(place);
  }
}

/** Values between two neighbours of the sorted last axis, from the nearer end, so that both ends are met exactly. */
function between(
  name: string,
  x: Node,
  { low, high, part }: Between,
  at: (position: Node) => Node,
  weak: boolean,
): Node {
  if (x.dtype === "bool") {
    throw new TypeError(`${name}: dtype bool is not supported with this method; cast with astype`);
  }
  const type = weak && isInexact(x.dtype) ? x.dtype : promoteTypes(x.dtype, part.dtype, name);
  const [below, above] = [ops.cast(at(low), type), ops.cast(at(high), type)];
  const t = ops.reshape(part, [part.size, ...x.shape.slice(0, -1).map(() => 1)]);
  const gap = ops.sub(above, below);
  const near = ops.add(below, ops.mul(gap, ops.cast(t, type)));
  const far = ops.sub(above, ops.mul(gap, ops.cast(ops.sub(lit(1, t), t), type)));
  return ops.where(ops.equal(below, above), below, ops.where(ops.less(t, lit(0.5, t)), near, far));
}

function quantiles(name: string, scale: number, a: ArrayLike, q: ArrayLike, args: readonly unknown[]): NDArray {
  const options = keywords<QuantileOptions>(name, ["axis", "method", "keepdims"], args);
  const method = checkChoice(name, "method", options.method ?? "linear", Object.keys(methods) as QuantileMethod[]);
  const given = toNodeOf(name, a);
  if (isComplex(given.dtype)) throw new TypeError(`${name}: got dtype ${given.dtype}, expected a real one`);
  const axes = reduceAxes(name, options.axis, given, true);
  const { share, weak } = shares(name, scale, q, given);
  const x = ops.sort(lastAxis(given, axes));
  const axis = x.shape.length - 1;
  const n = x.shape[axis]!;
  if (n === 0) throw new ShapeError(`${name}: the array of shape ${formatShape(given.shape)} has no elements`);
  const wanted = flat(share);
  const at = (position: Node): Node => ops.gather(x, [ops.cast(position, "int64")], [axis]);
  // Shares that are integers are 0 and 1: linear reading then keeps the dtype.
  const whole = !isInexact(wanted.dtype);
  const places = placesOf(method, whole ? ops.cast(wanted, "float64") : wanted, n);
  let out = "low" in places
    ? whole && method === "linear" ? at(places.low) : between(name, x, places, at, weak)
    : at(places);
  if (isInexact(given.dtype)) {
    const last = ops.reshape(sliceAxis(x, axis, n - 1, 1), x.shape.slice(0, -1));
    out = ops.where(ops.isnan(last), lit(NaN, out), out);
  }
  const kept = options.keepdims ? reducedShape(given.shape, axes, true) : reducedShape(given.shape, axes);
  return wrap(ops.reshape(out, [...share.shape, ...kept]));
}

/**
 * The values below which given shares of the elements lie.
 *
 * @param a an array of real numbers
 * @param q shares from 0 to 1
 * @param args `axis`: an axis, several, or null for all (the default); `method`: how to read between two elements (`linear`); `keepdims`
 * @returns the shape of q, then a's without the axes; NaN where any element is NaN
 * @throws TypeError for complex numbers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.quantile([1, 2, 3, 4], [0.25, 0.5]).toArray()); // [ 1.75, 2.5 ]
 * ```
 * Source: numpy.quantile
 */
export function quantile(a: ArrayLike, q: ArrayLike, ...args: Args<[axis: Axis], QuantileOptions>): NDArray {
  return quantiles("quantile", 1, a, q, args);
}

/**
 * The values below which given percentages of the elements lie.
 *
 * @param a an array of real numbers
 * @param q percentages from 0 to 100
 * @param args `axis`: an axis, several, or null for all (the default); `method`: how to read between two elements (`linear`); `keepdims`
 * @returns the shape of q, then a's without the axes; NaN where any element is NaN
 * @throws TypeError for complex numbers
 * @example
 * ```ts
 * import { tnp } from "@tnp/tnp";
 * console.log(tnp.percentile([1, 2, 3, 4], 50).toArray()); // 2.5
 * ```
 * Source: numpy.percentile
 */
export function percentile(a: ArrayLike, q: ArrayLike, ...args: Args<[axis: Axis], QuantileOptions>): NDArray {
  return quantiles("percentile", 100, a, q, args);
}
