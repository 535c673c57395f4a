/**
 * Programs whose cost is known on any machine: launches and bytes in tests/tables/counts.ts, instructions in docs/instructions.md.
 * @module
 */
import { type NDArray, tnp } from "../../mod.ts";

/** A program. */
export interface Program {
  readonly name: string;
  /** Makes the inputs on the current device and gives what is counted. */
  readonly make: () => () => readonly NDArray[];
}

/** An array in memory, all zeros. */
function stored(...shape: number[]): NDArray<"float32"> {
  const size = shape.reduce((a, b) => a * b, 1);
  return tnp.array(new Float32Array(size)).reshape(shape) as NDArray<"float32">;
}

/** A program that is a function of stored arrays. */
function program(
  name: string,
  shapes: readonly (readonly number[])[],
  f: (...inputs: NDArray[]) => NDArray | readonly NDArray[],
): Program {
  const make = () => {
    const inputs = shapes.map((shape) => stored(...shape));
    return () => [f(...inputs)].flat() as NDArray[];
  };
  return { name, make };
}

const square = (x: NDArray): NDArray => x.mul(x);
const sigmoid = (x: NDArray): NDArray => tnp.divide(1, tnp.exp(x.neg()).add(1));
const chain = (d: NDArray): NDArray => tnp.sqrt(d.mul(d).add(d.mul(2)).add(3)).mul(tnp.sin(d)).sub(tnp.tanh(d));

function softmax(x: NDArray): NDArray {
  const e = tnp.exp(x.sub(tnp.max(x, { axis: -1, keepdims: true })));
  return e.div(tnp.sum(e, { axis: -1, keepdims: true }));
}

function layerNorm(x: NDArray, scale: NDArray, shift: NDArray): NDArray {
  const centred = x.sub(tnp.mean(x, { axis: -1, keepdims: true }));
  const spread = tnp.sqrt(tnp.mean(square(centred), { axis: -1, keepdims: true }).add(1e-5));
  return centred.div(spread).mul(scale).add(shift);
}

function attention(q: NDArray, k: NDArray, v: NDArray): NDArray {
  return tnp.matmul(softmax(tnp.matmul(q, k.mT).mul(0.125)), v);
}

// The tutorial's model.

type Weights = readonly [w1: NDArray, bias: NDArray, w2: NDArray];
const weights = (): Weights => [stored(32, 64), stored(64), stored(64, 2)];

function predict([w1, bias, w2]: Weights, x: NDArray): NDArray {
  return tnp.matmul(tnp.maximum(tnp.matmul(x, w1).add(bias), 0), w2);
}

function gradients(w: Weights, x: NDArray, y: NDArray): readonly NDArray[] {
  using tape = new tnp.GradientTape();
  tape.watch(w);
  const loss = tnp.sum(square(predict(w, x).sub(y)));
  return tape.gradient(loss, w, { unconnected_gradients: "zero" });
}

function batchJacobian(w: Weights, x: NDArray): NDArray {
  using tape = new tnp.GradientTape();
  tape.watch(x);
  return tape.batch_jacobian(predict(w, x), x, { unconnected_gradients: "zero" });
}

/** Adam: https://arxiv.org/abs/1412.6980 */
function adam() {
  const variable = (...shape: number[]) => new tnp.Variable(stored(...shape));
  const [w, average, spread, step] = [variable(64, 32), variable(64, 32), variable(64, 32), variable()];
  const update = tnp.function((g: NDArray) => {
    step.assign_add(1);
    average.assign(average.value().mul(0.9).add(g.mul(0.1)));
    spread.assign(spread.value().mul(0.999).add(square(g).mul(0.001)));
    const rate = tnp.sqrt(tnp.subtract(1, tnp.power(0.999, step))).div(tnp.subtract(1, tnp.power(0.9, step))).mul(1e-3);
    w.assign_sub(rate.mul(average).div(tnp.sqrt(spread).add(1e-8)));
    return w.value();
  });
  const g = stored(64, 32);
  return () => [update(g)];
}

/** All programs. */
export const programs: readonly Program[] = [
  program("sigmoid", [[1024]], sigmoid),
  program("chain", [[1024]], chain),
  program("softmax", [[100, 1000]], softmax),
  {
    name: "softmax, traced",
    make: () => {
      const x = stored(100, 1000), f = tnp.function(softmax);
      return () => [f(x)];
    },
  },
  program("layer norm", [[64, 256], [256], [256]], layerNorm),
  program(
    "dense layer with relu",
    [[32, 784], [784, 128], [128]],
    (x, w, b) => tnp.maximum(tnp.matmul(x!, w!).add(b!), 0),
  ),
  program("attention", [[8, 32, 64], [8, 32, 64], [8, 32, 64]], attention),
  program("mean and variance", [[100, 1000]], (x) => [tnp.mean(x!, 0), tnp.var(x!, 0)]),
  program("sum of squares of a difference", [[100, 10], [100, 10]], (x, y) => tnp.sum(square(x!.sub(y!)))),
  program("arg max of a product", [[32, 64], [64, 10]], (x, w) => tnp.argmax(tnp.matmul(x!, w!), 1)),
  program("sort and the middle", [[64, 101]], (x) => tnp.sort(x!).at(":", 50)),
  program("cumsum of a map, scaled", [[64, 1000]], (x) => tnp.cumsum(tnp.exp(x!), 1).mul(2)),
  program("cumsum over both axes", [[64, 100]], (x) => tnp.cumsum(tnp.cumsum(x!, 0), 1)),
  program("cumsum reversed", [[1000]], (x) => tnp.cumsum(x!.at("::-1")).at("::-1")),
  program(
    "second difference by slices",
    [[1000]],
    (x) => x!.at("2:").sub(x!.at("1:-1").mul(2)).add(x!.at(":-2")),
  ),
  program("transpose, slice, reverse, add", [[64, 48]], (x) => x!.T.at("1:", "::-2").add(1)),
  program("rows by index, summed", [[1000, 16]], (x) => tnp.sum(x!.at(tnp.arange(0, 1000, 7)), 0)),
  program("pairs by two indices", [[30, 40]], (x) => x!.at([0, 0, 1], tnp.asarray([0, 1, 1])).mul(2)),
  program("a block replaced", [[30, 40]], (x) => x!.with(["1:3", "::2"], 5).add(1)),
  program("concatenation of maps", [[30, 40], [20, 40]], (x, y) => tnp.concatenate([tnp.exp(x!), tnp.sin(y!)])),
  program("padding", [[30, 40]], (x) => tnp.pad(x!, 1).mul(2)),
  {
    name: "gradient step, eager",
    make: () => {
      const w = weights(), x = stored(512, 32), y = stored(512, 2);
      return () => gradients(w, x, y);
    },
  },
  {
    name: "gradient step, traced",
    make: () => {
      const w = weights(), x = stored(512, 32), y = stored(512, 2);
      const f = tnp.function((x: NDArray, y: NDArray) => gradients(w, x, y));
      return () => f(x, y);
    },
  },
  {
    name: "per-example gradients, traced",
    make: () => {
      const w = weights(), x = stored(128, 32), y = stored(128, 2);
      const one = ([x, y]: readonly [NDArray, NDArray]) => gradients(w, tnp.expand_dims(x, 0), tnp.expand_dims(y, 0));
      const f = tnp.function((x: NDArray, y: NDArray) => tnp.vectorized_map(one, [x, y] as const));
      return () => f(x, y);
    },
  },
  {
    name: "batch Jacobian, eager",
    make: () => {
      const w = weights(), x = stored(16, 32);
      return () => [batchJacobian(w, x)];
    },
  },
  {
    name: "batch Jacobian, traced",
    make: () => {
      const w = weights(), x = stored(16, 32), f = tnp.function((x: NDArray) => batchJacobian(w, x));
      return () => [f(x)];
    },
  },
  { name: "Adam update, traced", make: adam },
];
