/**
 * Wrong arguments of every kind, for calling every public function with.
 * @module
 */
import { tnp } from "../../mod.ts";

/** What nobody should pass, with its name in messages. */
export const junk: readonly (readonly [string, unknown])[] = [
  ["undefined", undefined],
  ["null", null],
  ['"junk"', "junk"],
  ["a function", () => 1],
  ["a class", class {}],
  ["a Map", new Map([[1, 2]])],
  ["{ foo: 1 }", { foo: 1 }],
  ["a symbol", Symbol("s")],
  ["[undefined]", [undefined]],
  ['["a"]', ["a"]],
  ["a list with holes", new Array<number>(2)],
  ["[a symbol]", [Symbol("s")]],
  ["an object without prototype", Object.create(null)],
  ["ragged lists", [[1], [1, 2]]],
  ["[]", []],
  ["[NaN]", [NaN]],
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-1", -1],
  ["1.5", 1.5],
  ["1e30", 1e30],
  ["2n ** 70n", 2n ** 70n],
  ["true", true],
  ["ones(3)", tnp.ones(3)],
  ["ones([2, 2])", tnp.ones([2, 2])],
  ["a wrong shape", { data: [1, 2], shape: [3] }],
  ["no data", { data: null, shape: [1] }],
  ["a tensor without shape", { dataSync: () => [1], shape: "x" }],
];

/** Keywords that some function knows. */
const keys =
  ("axis dtype keepdims where initial casting shape order axes mode num k n out decimals weights side sorter ddof indices fill_value" +
    " device copy low high size min max repeats axis1 prepend returned base method q correction mean ndmin endpoint in_axes")
    .split(" ");

/** Calls with junk in each place: alone, repeated, among good arguments, as keywords. */
export function* junkCalls(good: readonly unknown[], arity: number): Generator<readonly [string, readonly unknown[]]> {
  yield ["", []];
  for (const [name, bad] of junk) {
    for (let k = 1; k <= Math.max(arity, 3); k++) yield [Array(k).fill(name).join(", "), Array(k).fill(bad)];
    for (const g of good) {
      yield [`good, ${name}`, [g, bad]];
      yield [`${name}, good`, [bad, g]];
      yield [`good, good, ${name}`, [g, g, bad]];
      yield [`good, ${name}, good`, [g, bad, g]];
      yield [`good, good, good, ${name}`, [g, g, g, bad]];
    }
  }
  const front = Array<unknown>(Math.max(1, Math.min(arity, 3))).fill(good[0]);
  for (const [name, bad] of junk.filter((_, i) => i % 3 === 2)) {
    for (const key of keys) {
      yield [`${front.map(() => "good, ").join("")}{ ${key}: ${name} }`, [...front, { [key]: bad }]];
    }
  }
}

/** The public functions by name. */
export function* publicFunctions(): Generator<readonly [string, (...args: unknown[]) => unknown]> {
  const parts: readonly [string, object][] = [["", tnp], ["random.", tnp.random], ["config.", tnp.config]];
  for (const [prefix, part] of parts) {
    for (const [name, value] of Object.entries(part)) {
      if (typeof value !== "function" || /Error$|^NDArray$|^ndarray$|^Variable$|^GradientTape$/.test(name)) continue;
      yield [prefix + name, value as (...args: unknown[]) => unknown];
    }
  }
  yield ["Variable", (...args) => new tnp.Variable(...args as [number])];
  yield ["GradientTape", (...args) => new tnp.GradientTape(...args as [object])];
}
