// TensorFlow's guide "NumPy API on TensorFlow", section by section:
// https://www.tensorflow.org/guide/tf_numpy
import { type NDArray, tnp } from "@tnp/tnp";
import { histogram, plot } from "./plot.ts";

title("Setup");

const { version, javascript, compiler, onednn, openblas } = tnp.config.build_info();
console.log(`Using tnp ${version} on ${navigator.userAgent}`);
for (const [name, engine] of Object.entries({ javascript, compiler, onednn, openblas })) {
  console.log(`${name.padEnd(10)}`, engine.available ? engine.version ?? "always there" : engine.hint);
}
tnp.experimental_enable_numpy_behavior();
tnp.random.seed(42);

title("ND array");

{
  // Create an ND array and look at its attributes.
  const ones = tnp.ones([5, 3], { dtype: tnp.float32 });
  console.log(
    `Created ND array with shape = ${text(ones.shape)}, rank = ${ones.ndim}, ` +
      `dtype = ${ones.dtype} on device = ${ones.device}\n`,
  );

  // Arrays print as they do in NumPy; their elements are typed arrays.
  console.log(ones);
  console.log(`The elements: ${ones.dataSync().constructor.name} of length ${ones.dataSync().length}\n`);

  // Try commonly used member functions.
  console.log(`ndarray.T has shape ${text(ones.T.shape)}`);
  console.log(`ndarray.reshape(-1) has shape ${text(ones.reshape(-1).shape)}`);
}

title("Type promotion", 2);

{
  console.log("Type promotion for operations");
  const dtypes = [tnp.int32, tnp.int64, tnp.float32, tnp.float64] as const;
  const pairs = dtypes.flatMap((a, i) => dtypes.slice(i + 1).map((b) => [a, b] as const));
  for (const [a, b] of pairs) {
    const sum = tnp.asarray(1, { dtype: a }).add(tnp.asarray(1, { dtype: b }));
    console.log(`${a} + ${b} => ${sum.dtype}`);
  }

  // Legacy is NumPy's rule. The others are TensorFlow's: all never widens more than it must, safe refuses what may lose
  // bits, off refuses to mix.
  const modes = ["off", "legacy", "safe", "all"] as const;
  console.log("\nThe same in the four modes");
  console.log("".padEnd(18), modes.map((mode) => mode.padEnd(8)).join(" "));
  for (const [a, b] of pairs) {
    const sums = modes.map((mode) => {
      tnp.experimental_enable_numpy_behavior({ dtype_conversion_mode: mode });
      try {
        return tnp.asarray(1, { dtype: a }).add(tnp.asarray(1, { dtype: b })).dtype;
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        return "error";
      }
    });
    console.log(`${a} + ${b}`.padEnd(18), sums.map((dtype) => dtype.padEnd(8)).join(" "));
  }
  tnp.experimental_enable_numpy_behavior({ dtype_conversion_mode: "legacy" });

  // JavaScript has one kind of number: 1. and 1 are the same. Integral ones are int64, others float64.
  console.log("\nType inference during array creation");
  console.log(`tnp.asarray(1).dtype == tnp.${tnp.asarray(1).dtype}`);
  for (const prefer_float32 of [true, false]) {
    tnp.experimental_enable_numpy_behavior({ prefer_float32 });
    console.log(`tnp.asarray(1.5).dtype == tnp.${tnp.asarray(1.5).dtype} (prefer_float32: ${prefer_float32})`);
  }
}

title("Broadcasting", 2);

{
  const x = tnp.ones([2, 3]);
  const y = tnp.ones([3]);
  const z = tnp.ones([1, 2, 1]);
  const sum = x.add(y).add(z);
  console.log(
    `Broadcasting shapes ${text(x.shape)}, ${text(y.shape)} and ${text(z.shape)} gives shape ${text(sum.shape)}`,
  );
}

title("Indexing", 2);

{
  const x = tnp.arange(24).reshape(2, 3, 4);

  console.log("Basic indexing"); // x[1, tnp.newaxis, 1:3, ...]
  console.log(x.at(1, tnp.newaxis, "1:3", "..."), "\n");

  console.log("Boolean indexing"); // x[:, (True, False, True)]
  console.log(x.at(":", [true, false, true]), "\n");

  console.log("Advanced indexing"); // x[1, (0, 0, 1), tnp.asarray([0, 1, 1])]
  console.log(x.at(1, [0, 0, 1], tnp.asarray([0, 1, 1])), "\n");

  // Arrays are immutable.
  try {
    // @ts-expect-error: the type says so, too
    tnp.arange(6)[1] = -1;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.log(`${error.name}: ${error.message}`);
  }
  console.log("x.with([1], -1) gives a new array:", tnp.arange(6).with([1], -1));
}

title("Example model", 2);

/** A model with a dense and a linear layer. */
class Model {
  readonly weights: readonly [w1: NDArray, bias: NDArray, w2: NDArray];

  constructor(size: number) {
    // Note that type float32 is used for performance.
    const stddev = tnp.sqrt(size).astype(tnp.float32);
    this.weights = [
      tnp.random.randn(size, 64).astype(tnp.float32).div(stddev),
      tnp.random.randn(64).astype(tnp.float32),
      tnp.random.randn(64, 2).astype(tnp.float32).div(8),
    ];
  }

  predict(inputs: NDArray): NDArray {
    const [w1, bias, w2] = this.weights;
    const hidden = tnp.maximum(tnp.matmul(inputs, w1).add(bias), 0); // Relu
    return tnp.matmul(hidden, w2); // Linear projection
  }
}

const model = new Model(32);
// Create input data and compute predictions.
console.log(model.predict(tnp.ones([2, 32], { dtype: tnp.float32 })));

title("tnp and JavaScript's arrays");
title("Interoperability", 2);

{
  // ND array passed into a JavaScript function: its elements are a typed array.
  const largest = Math.max(...tnp.ones([2, 3], tnp.float64).dataSync());
  console.log(`max = ${largest}. Type: ${typeof largest}`);

  // Typed array, nested list, and any library's object with data and shape passed into a tnp function.
  for (const x of [new Float32Array(6).fill(1), [[1, 1, 1], [1, 1, 1]], { data: [1, 1, 1, 1, 1, 1], shape: [2, 3] }]) {
    const sum = tnp.sum(x);
    console.log(`sum = ${sum.item()}. Class: ${sum.constructor.name}, dtype: ${sum.dtype}`);
  }

  // It is easy to plot ND arrays.
  const labels = tnp.random.randn(1000).mul(2).add(15);
  const numbers = await labels.data();
  const path = await histogram("histogram.svg", Array.from(numbers, Number), {
    title: "1,000 normal numbers",
    x: "15 + 2 * tnp.random.randn(1000)",
    y: "count",
  });
  console.log(`Histogram saved as ${path}`);
}

title("Buffer copies", 2);

{
  const buffer = new Float64Array([1, 2, 3]);
  const copied = tnp.array(buffer); // has memory of its own
  const shared = tnp.asarray(buffer, { copy: false }); // lives in the typed array's memory
  buffer[0] = 100;
  console.log("after a write to the typed array: copied =", copied, "shared =", shared);
}

title("Operator precedence", 2);

{
  // Wherever an ND array meets something else, the result is an ND array, whichever comes first.
  const x = tnp.ones([2]).add(new Float64Array([1, 1]));
  const y = tnp.add(new Float64Array([1, 1]), tnp.ones([2]));
  console.log(`x = ${x}\nclass = ${x.constructor.name}`);
  console.log(`y = ${y}\nclass = ${y.constructor.name}`);

  // JavaScript's operators cannot be taught arrays. tnp.expr reads NumPy's syntax, precedence included.
  console.log("2 * x + y ** 2 =", tnp.expr`2 * ${x} + ${y} ** 2`);
}

title("tnp arrays and variables");
title("Variable and ND array", 2);

{
  const x = new tnp.Variable([1, 2]);
  console.log(x.value());
  x.assign_add([10, 10]);
  console.log(tnp.asarray(x), x.value().constructor.name);

  // Variables go in where arrays go in. The result is an ND array.
  const variable = new tnp.Variable(tnp.ones([2, 1]));
  console.log(`Output = ${tnp.sum(variable)}`);
  const sum = tnp.ones([2, 2]).add(variable);
  console.log(`x = ${sum}\nclass = ${sum.constructor.name}`);
}

title("Gradients and Jacobians: tnp.GradientTape", 2);

/** Creates a batch of inputs and labels. */
function createBatch(batchSize = 32): [inputs: NDArray, labels: NDArray] {
  return [
    tnp.random.randn(batchSize, 32).astype(tnp.float32),
    tnp.random.randn(batchSize, 2).astype(tnp.float32),
  ];
}

/** Computes gradients of squared loss between model prediction and labels. */
function computeGradients(inputs: NDArray, labels: NDArray): readonly NDArray[] {
  using tape = new tnp.GradientTape();
  // The weights need to be watched explicitly since they are not variables.
  tape.watch(model.weights);
  // Compute prediction and loss
  const prediction = model.predict(inputs);
  const loss = tnp.sum(tnp.square(prediction.sub(labels)));
  // This call computes the gradient through the computation above.
  return tape.gradient(loss, model.weights, { unconnected_gradients: "zero" });
}

{
  const [inputs, labels] = createBatch();
  const gradients = computeGradients(inputs, labels);

  // Inspect the shapes of returned gradients to verify they match the parameter shapes.
  console.log("Parameter shapes:", model.weights.map((w) => text(w.shape)).join(", "));
  console.log("Gradient shapes: ", gradients.map((g) => text(g.shape)).join(", "));
}

{
  // Computes a batch of Jacobians. Each row is the Jacobian of an element in the batch of outputs with respect to the
  // corresponding input batch element.
  const predictionBatchJacobian = (inputs: NDArray): [NDArray, NDArray] => {
    using tape = new tnp.GradientTape();
    tape.watch(inputs);
    const prediction = model.predict(inputs);
    return [prediction, tape.batch_jacobian(prediction, inputs, { unconnected_gradients: "zero" })];
  };

  const inputs = tnp.ones([16, 32], tnp.float32);
  const [output, batchJacobian] = predictionBatchJacobian(inputs);
  // Note how the batch Jacobian shape relates to the input and output shapes.
  console.log(`Output shape: ${text(output.shape)}, input shape: ${text(inputs.shape)}`);
  console.log(`Batch Jacobian shape: ${text(batchJacobian.shape)}`);
}

title("Trace compilation: tnp.function", 2);

{
  const [inputs, labels] = createBatch(512);
  console.log("Eager performance");
  console.log(ms(await timeit(() => read(computeGradients(inputs, labels)))));

  console.log("\ntnp.function compiled performance");
  const compiledComputeGradients = tnp.function(computeGradients);
  console.log(ms(await timeit(() => read(compiledComputeGradients(inputs, labels)))));
}

title("Vectorization: tnp.vectorized_map", 2);

{
  const singleExampleGradient = ([input, label]: readonly [NDArray, NDArray]) =>
    computeGradients(tnp.expand_dims(input, 0), tnp.expand_dims(label, 0));

  // Maps singleExampleGradient over each row of inputs and labels. The loop is vectorized away.
  const vectorizedPerExampleGradients = tnp.function((inputs: NDArray, labels: NDArray) =>
    tnp.vectorized_map(singleExampleGradient, [inputs, labels] as const)
  );
  // The interface is that of tnp.map_fn, which does one example after the other.
  const unvectorizedPerExampleGradients = tnp.function((inputs: NDArray, labels: NDArray) =>
    tnp.map_fn(singleExampleGradient, [inputs, labels] as const)
  );

  const batchSize = 128;
  const [inputs, labels] = createBatch(batchSize);
  const vectorized = vectorizedPerExampleGradients(inputs, labels);
  const unvectorized = unvectorizedPerExampleGradients(inputs, labels);
  model.weights.forEach((w, i) => {
    console.log(
      `Weight shape: ${text(w.shape)}, batch size: ${batchSize}, ` +
        `per example gradient shape: ${text(vectorized[i]!.shape)}`,
    );
  });
  const same = vectorized.every((g, i) => tnp.allclose(g, unvectorized[i]!, { rtol: 1e-4, atol: 1e-5 }));
  console.log(`Both ways agree: ${same}\n`);

  console.log("Running vectorized computation");
  console.log(ms(await timeit(() => read(vectorizedPerExampleGradients(inputs, labels)))));
  console.log("\nRunning unvectorized computation");
  console.log(ms(await timeit(() => read(unvectorizedPerExampleGradients(inputs, labels)), 5)));
}

title("Device placement", 2);
title("List devices", 3);

console.log("All logical devices:", tnp.config.list_logical_devices());
console.log("All physical devices:", tnp.config.list_physical_devices());

// Try to get the GPU device. If unavailable, fall back to CPU.
const [gpu] = tnp.config.list_logical_devices("GPU");
const device = gpu?.name ?? "CPU:0";

title("Placing operations: tnp.device", 3);

console.log(`Using device: ${device}`);
// If a GPU is available, these operations execute on the GPU and outputs are placed in the GPU memory.
const prediction = tnp.device(device, () => model.predict(createBatch(5)[0]));
console.log(`prediction is placed on ${prediction.device}`);

title("Copying ND arrays across devices: tnp.copy", 3);

// In a device scope, tnp.copy copies the data to that device.
const predictionCpu = tnp.device("CPU:0", () => tnp.copy(prediction));
console.log(prediction.device);
console.log(predictionCpu.device);

title("Performance comparisons");

{
  /** Milliseconds of `run` for each input. */
  const benchmark = async <T>(run: (input: T) => unknown, inputs: readonly T[]): Promise<number[]> => {
    const times: number[] = [];
    for (const input of inputs) times.push(await timeit(() => run(input)));
    return times;
  };

  // A simple implementation of `sigmoid` in TypeScript and in tnp, for different input sizes.
  const plainSigmoid = (y: Float32Array): Float32Array => {
    const out = new Float32Array(y.length);
    for (let i = 0; i < y.length; i++) out[i] = 1 / (1 + Math.exp(-y[i]!));
    return out;
  };
  const sigmoid = (y: NDArray): NDArray => tnp.expr`1 / (1 + exp(-${y}))`;
  const compiledSigmoid = tnp.function(sigmoid);

  const sizes = [2 ** 0, 2 ** 5, 2 ** 10, 2 ** 15, 2 ** 20];
  const inputs = sizes.map((size) => tnp.random.randn(size).astype(tnp.float32));
  const times = {
    "Plain TypeScript": await benchmark(plainSigmoid, inputs.map((x) => x.dataSync())),
    "tnp": await benchmark((x) => read([sigmoid(x)]), inputs),
    "Compiled tnp": await benchmark((x) => read([compiledSigmoid(x)]), inputs),
  };

  console.log("Sigmoid, time in ms");
  console.log("size".padEnd(18), sizes.map((size) => `${size}`.padStart(9)).join(" "));
  for (const [name, list] of Object.entries(times)) {
    console.log(name.padEnd(18), list.map((time) => time.toFixed(4).padStart(9)).join(" "));
  }
  const path = await plot(
    "sigmoid.svg",
    Object.entries(times).map(([name, list]) => ({ name, points: list.map((time, i) => [sizes[i]!, time] as const) })),
    { title: "Sigmoid benchmark: tnp and plain TypeScript", x: "size", y: "time (ms)" },
    { log: true, dots: true },
  );
  console.log(`Plot saved as ${path}`);
}

/** Prints a heading. */
function title(name: string, level = 1): void {
  console.log(`\n${"#".repeat(level)} ${name}`);
}

/** A shape as Python writes it: (5, 3). */
function text(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
}

/** Milliseconds as text. */
function ms(time: number): string {
  return `${time.toFixed(3)} ms`;
}

/** Waits until arrays are computed; before somebody reads them they are not. */
function read(arrays: readonly NDArray[]): Promise<unknown> {
  return Promise.all(arrays.map((x) => x.data()));
}

/** Milliseconds of a call: the mean of `number` calls, the best of three times, after as many to warm up. */
async function timeit(run: () => unknown, number = 10): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 4; round++) {
    const start = performance.now();
    for (let i = 0; i < number; i++) await run();
    times.push((performance.now() - start) / number);
  }
  return Math.min(...times.slice(1));
}
