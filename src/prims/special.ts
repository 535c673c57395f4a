/**
 * Special functions composed of primitives, for derivatives that have no primitive of their own.
 * @module
 */
import { add, div, less, log, mul, neg, sub, tan, where } from "../core/ops.ts";
import type { Node } from "../core/trace.ts";
import { num } from "./kinds.ts";

/** B(2k) / 2k for k = 1 to 6: the coefficients of the asymptotic series. */
const bernoulli = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760];

/** How far the argument is shifted up before the series is used. */
const shift = 10;

/**
 * The derivative of lgamma: psi(x) = log y - 1/2y - sum of B(2k)/2k y^-2k at y = x + 10, less the ten steps down; reflected at 1/2.
 * Source: M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 6.3.
 */
export function digamma(x: Node): Node {
  const one = num(x, 1);
  const left = less(x, num(x, 0.5));
  const u = where(left, sub(one, x), x);
  const y = add(u, num(x, shift));
  const t = div(one, mul(y, y));
  let series = num(x, 0);
  for (let k = bernoulli.length - 1; k >= 0; k--) series = mul(t, add(num(x, bernoulli[k]!), series));
  let psi = sub(sub(log(y), div(num(x, 0.5), y)), series);
  for (let k = shift - 1; k >= 0; k--) psi = sub(psi, div(one, add(u, num(x, k))));
  const turn = div(num(x, Math.PI), tan(mul(where(left, x, num(x, 0.25)), num(x, Math.PI))));
  return where(left, add(psi, neg(turn)), psi);
}
