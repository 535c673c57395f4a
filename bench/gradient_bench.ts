// The tutorial's model, 32 -> 64 -> 2 with a relu: gradients, per-example gradients and a batch Jacobian.
// NumPy has no gradients: there they are written out by hand.
import { type NDArray, tnp } from "../mod.ts";
import { compute, suite } from "./harness.ts";
import type { PythonCode } from "./python_peer.ts";

const normal = (...shape: number[]): NDArray => {
  const x = tnp.random.randn(...shape).astype(tnp.float32);
  x.dataSync();
  return x;
};

type Weights = readonly [w1: NDArray, bias: NDArray, w2: NDArray];
const makeWeights = (): Weights => [normal(32, 64), normal(64), normal(64, 2)];

function predict([w1, bias, w2]: Weights, inputs: NDArray): NDArray {
  return tnp.matmul(tnp.maximum(tnp.matmul(inputs, w1).add(bias), 0), w2);
}

function gradients(weights: Weights, inputs: NDArray, labels: NDArray): readonly NDArray[] {
  using tape = new tnp.GradientTape();
  tape.watch(weights);
  const loss = tnp.sum(tnp.square(predict(weights, inputs).sub(labels)));
  return tape.gradient(loss, weights, { unconnected_gradients: "zero" });
}

function perExample(weights: Weights, map: typeof tnp.vectorized_map) {
  return (inputs: NDArray, labels: NDArray): readonly NDArray[] =>
    map(
      ([x, y]: readonly [NDArray, NDArray]) => gradients(weights, tnp.expand_dims(x, 0), tnp.expand_dims(y, 0)),
      [inputs, labels] as const,
    );
}

function batchJacobian(weights: Weights, inputs: NDArray): NDArray {
  using tape = new tnp.GradientTape();
  tape.watch(inputs);
  return tape.batch_jacobian(predict(weights, inputs), inputs, { unconnected_gradients: "zero" });
}

/** Inputs and weights. */
const model = (rows: number) => `
x, y, w1, b, w2 = (rng.standard_normal(s).astype(np.float32) for s in [(${rows}, 32), (${rows}, 2), (32, 64), 64, (64, 2)])
`;

const numpyStep = `
def gradients(x, y):
    h = x @ w1 + b
    r = np.maximum(h, 0)
    d = 2 * (r @ w2 - y)
    dh = (d @ w2.T) * (h > 0)
    return x.T @ dh, dh.sum(0), r.T @ d
`;

/** The model in JAX, with what is computed of it: an expression over `loss`, `predict`, `w`, `x` and `y`. */
const jax = (rows: number, f: string, compiled: boolean) =>
  `${model(rows)}
x, y, *w = jax.device_put((x, y, w1, b, w2))
def predict(w, x):
    return jnp.maximum(x @ w[0] + w[1], 0) @ w[2]
def loss(w, x, y):
    return jnp.sum((predict(w, x) - y) ** 2)
f = ${f}
${compiled ? "f = jax.jit(f)" : ""}
run = lambda: jax.block_until_ready(f(w, x, y))`;

/** The model in TensorFlow, with the body of a function of `x` and `y`. */
const tensorflow = (rows: number, f: string, compiled: boolean) =>
  `${model(rows)}
x, y, *w = map(tf.constant, (x, y, w1, b, w2))
def predict(x):
    return tf.nn.relu(x @ w[0] + w[1]) @ w[2]
def gradients(x, y):
    with tf.GradientTape() as tape:
        tape.watch(w)
        loss = tf.reduce_sum((predict(x) - y) ** 2)
    return tape.gradient(loss, w)
def f(x, y):
${f.replaceAll(/^/gm, "    ")}
${compiled ? "f = tf.function(f, jit_compile=True)" : ""}
run = lambda: f(x, y)`;

/** The model in PyTorch, with what is computed of it: an expression over `loss`, `predict`, `w`, `x` and `y`. */
const torch = (rows: number, f: string, compiled: boolean) =>
  `${model(rows)}
x, y, *w = (torch.from_numpy(np.asarray(v)) for v in (x, y, w1, b, w2))
def predict(w, x):
    return torch.relu(x @ w[0] + w[1]) @ w[2]
def loss(w, x, y):
    return ((predict(w, x) - y) ** 2).sum()
${f}
${compiled ? "f = torch.compile(f)" : ""}
run = lambda: f(w, x, y)`;

const torchStep = `def f(w, x, y):
    w = [v.detach().requires_grad_() for v in w]
    return torch.autograd.grad(loss(w, x, y), w)`;

const gradientPeers = (compiled: boolean): PythonCode => ({
  numpy: `${model(512)}${numpyStep}run = lambda: gradients(x, y)`,
  jax: jax(512, "jax.grad(loss)", compiled),
  torch: torch(512, compiled ? "f = torch.func.grad(loss)" : torchStep, compiled),
  tensorflow: tensorflow(512, "return gradients(x, y)", compiled),
});

suite("gradient step 512 x 32 -> 64 -> 2", [
  {
    name: "gradients 512 eager",
    goal: 500,
    make: () => {
      const weights = makeWeights(), inputs = normal(512, 32), labels = normal(512, 2);
      return () => compute(...gradients(weights, inputs, labels));
    },
    python: gradientPeers(false),
  },
  {
    name: "gradients 512 compiled",
    goal: 150,
    make: () => {
      const weights = makeWeights(), inputs = normal(512, 32), labels = normal(512, 2);
      const compiled = tnp.function((x: NDArray, y: NDArray) => gradients(weights, x, y));
      return () => compute(...compiled(inputs, labels));
    },
    python: gradientPeers(true),
  },
]);

suite("gradient step, the tape around a function", [
  {
    name: "gradients 512 tape around a function",
    make: () => {
      const weights = makeWeights(), inputs = normal(512, 32), labels = normal(512, 2);
      const loss = tnp.function((x: NDArray, y: NDArray, w: Weights) => tnp.sum(tnp.square(predict(w, x).sub(y))));
      return () => {
        using tape = new tnp.GradientTape();
        tape.watch(weights);
        using value = loss(inputs, labels, weights);
        compute(...tape.gradient(value, weights, { unconnected_gradients: "zero" }));
      };
    },
    python: {
      tensorflow: `${model(512)}
x, y, *w = map(tf.constant, (x, y, w1, b, w2))
@tf.function
def loss(x, y, w):
    return tf.reduce_sum((tf.nn.relu(x @ w[0] + w[1]) @ w[2] - y) ** 2)
def run():
    with tf.GradientTape() as tape:
        tape.watch(w)
        value = loss(x, y, w)
    return tape.gradient(value, w)
`,
    },
  },
]);

suite("per-example gradients, 128 examples", [
  {
    name: "per-example gradients 128 vectorized_map",
    goal: 500,
    make: () => {
      const inputs = normal(128, 32), labels = normal(128, 2);
      const compiled = tnp.function(perExample(makeWeights(), tnp.vectorized_map));
      return () => compute(...compiled(inputs, labels));
    },
    python: {
      numpy: `${model(128)}
def run():
    h = x @ w1 + b
    r = np.maximum(h, 0)
    d = 2 * (r @ w2 - y)
    dh = (d @ w2.T) * (h > 0)
    return x[:, :, None] * dh[:, None, :], dh, r[:, :, None] * d[:, None, :]
`,
      jax: jax(128, "jax.vmap(jax.grad(loss), (None, 0, 0))", true),
      torch: torch(128, "f = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))", true),
      tensorflow: tensorflow(
        128,
        "return tf.vectorized_map(lambda r: gradients(r[0][None], r[1][None]), (x, y))",
        true,
      ),
    },
  },
  {
    name: "per-example gradients 128 map_fn",
    make: () => {
      const inputs = normal(128, 32), labels = normal(128, 2);
      const mapped = perExample(makeWeights(), tnp.map_fn);
      return () => compute(...mapped(inputs, labels));
    },
    python: {
      numpy: `${model(128)}${numpyStep}
def run():
    rows = [gradients(x[i:i+1], y[i:i+1]) for i in range(128)]
    return [np.stack(parts) for parts in zip(*rows)]
`,
      jax: jax(
        128,
        "lambda w, x, y: jax.lax.map(lambda r: jax.grad(loss)(w, r[0][None], r[1][None]), (x, y))",
        false,
      ),
      tensorflow: tensorflow(
        128,
        "return tf.map_fn(lambda r: gradients(r[0][None], r[1][None]), (x, y), fn_output_signature=[tf.float32] * 3)",
        false,
      ),
    },
  },
]);

const jacobianPeers = (compiled: boolean): PythonCode => ({
  numpy: `${model(16)}run = lambda: ((x @ w1 + b > 0)[:, None, :] * w2.T) @ w1.T`,
  jax: jax(16, "lambda w, x, y: jax.vmap(jax.jacrev(lambda row: predict(w, row)))(x)", compiled),
  torch: torch(16, "f = lambda w, x, y: torch.func.vmap(torch.func.jacrev(lambda r: predict(w, r)))(x)", compiled),
  tensorflow: tensorflow(
    16,
    "with tf.GradientTape() as tape:\n    tape.watch(x)\n    p = predict(x)\nreturn tape.batch_jacobian(p, x)",
    compiled,
  ),
});

suite("batch Jacobian", [
  {
    name: "batch Jacobian 16 x 2 x 32 eager",
    make: () => {
      const weights = makeWeights(), inputs = normal(16, 32);
      return () => compute(batchJacobian(weights, inputs));
    },
    python: jacobianPeers(false),
  },
  {
    name: "batch Jacobian 16 x 2 x 32 compiled",
    goal: 200,
    make: () => {
      const weights = makeWeights(), inputs = normal(16, 32);
      const compiled = tnp.function((x: NDArray) => batchJacobian(weights, x));
      return () => compute(compiled(inputs));
    },
    python: jacobianPeers(true),
  },
]);
