// Compiles common kernels into kernels/pack: make kernels
// One library for each instruction set, with OpenMP and without; users then need no compiler for these.
import { resolve } from "node:path";
import process from "node:process";
import { type NDArray, tnp } from "../mod.ts";
import { nodeOf } from "../src/array.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { programs } from "../tests/tables/programs.ts";
import { makePack, packChoices, recordKernels } from "./pack.ts";

const floats = ["float32", "float64"] as const, integers = ["int32", "int64"] as const;
const all = [...floats, ...integers, "bool", "uint8"] as const;

const unary = {
  f: "negative abs sqrt square exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh sign floor ceil rint isnan isfinite reciprocal",
  i: "negative abs square sign",
} as const;
const binary = {
  f: "add subtract multiply divide power maximum minimum less less_equal equal not_equal greater greater_equal",
  i: "add subtract multiply maximum minimum less less_equal equal not_equal greater greater_equal floor_divide bitwise_and bitwise_or bitwise_xor",
} as const;
const reductions = {
  f: "sum prod mean max min argmax argmin var std any all",
  i: "sum prod mean max min argmax argmin any all",
} as const;

type Function = (...args: unknown[]) => NDArray;
const call = (name: string, ...args: unknown[]): NDArray =>
  (tnp as unknown as Readonly<Record<string, Function>>)[name]!(...args);

/** Common work, one kernel or a few each. */
function* work(): Generator<() => readonly NDArray[]> {
  for (const dtype of [...floats, ...integers]) {
    const kind = dtype.startsWith("f") ? "f" : "i";
    const stored = (...shape: number[]) => {
      const x = tnp.zeros(shape, { dtype });
      evaluate([nodeOf(x)]);
      return x;
    };
    const x = stored(64, 48), y = stored(64, 48), row = stored(48), column = stored(64, 1);
    const layouts: readonly NDArray[] = [x, x.at(":", "::2"), x.T];
    for (const name of unary[kind].split(" ")) for (const z of layouts) yield () => [call(name, z)];
    for (const name of binary[kind].split(" ")) {
      yield () => [call(name, x, y)];
      yield () => [call(name, x, 2)];
      yield () => [call(name, 2, x)];
      yield () => [call(name, x, row)];
      yield () => [call(name, x, column)];
      yield () => [call(name, x.at(":", "::2"), y.at(":", "::2"))];
    }
    for (const name of reductions[kind].split(" ")) for (const axis of [null, 0, 1]) yield () => [call(name, x, axis)];
    for (const name of ["cumsum", "cumprod"]) for (const axis of [0, 1]) yield () => [call(name, x, axis)];
    for (const to of all) if (to !== dtype) yield () => [x.astype(to)];
    yield () => [tnp.where(x.gt(0), x, y)];
    yield () => [tnp.where(x.gt(0), x, 0)];
    yield () => [tnp.clip(x, 0, 1)];
    if (kind === "f") {
      yield () => [tnp.divide(1, tnp.exp(x.neg()).add(1))];
      yield () => [tnp.sqrt(x.mul(x).add(x.mul(2)).add(3)).mul(tnp.sin(x)).sub(tnp.tanh(x))];
    }
  }
}

const kernels = recordKernels(() => {
  for (const make of work()) evaluate(make().map(nodeOf));
  for (const { make } of programs) {
    const run = make();
    for (let i = 0; i < 2; i++) evaluate(run().map(nodeOf));
  }
});
console.log(`${kernels.length} kernels`);
for (const choice of packChoices()) {
  console.log(await makePack(kernels, resolve(process.argv[2] ?? "kernels/pack"), choice));
}
