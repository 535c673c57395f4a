// Benches of the GPU: bandwidth as a share of a device-to-device copy, products as a share of cuBLAS called directly, gradient steps,
// launches; beside PyTorch, CuPy and JAX on the same GPU where Python has them.
//   bench/cuda.ts [--dry]    --dry, or BENCH_DRY=1: small sizes, to see that everything runs
import process from "node:process";
import { Cublas, cublasSpec } from "../ffi/cublas.ts";
import { CudaDriver } from "../ffi/cuda.ts";
import { native } from "../ffi/mem.ts";
import { type NDArray, nodeOf } from "../src/array.ts";
import { type CudaDevice, cudaDevices } from "../src/device/cuda.ts";
import type { CudaBuffer } from "../src/device/cuda_memory.ts";
import { setDefault } from "../src/device/registry.ts";
import { evaluate } from "../src/transform/evaluate.ts";
import { tnp } from "../mod.ts";
import { peerTimes } from "./cuda_peer.ts";
import { compute } from "./harness.ts";

const dry = process.argv.includes("--dry") || process.env["BENCH_DRY"] === "1";
const elements = dry ? 1 << 14 : 1 << 26, matrix = dry ? 64 : 4096, rows = 256;

function main(): void {
  const { devices, reason } = cudaDevices();
  const gpu = devices[0];
  if (gpu === undefined) {
    console.log(`bench: no GPU: ${reason}`);
    process.exitCode = 1;
    return;
  }
  setDefault(gpu);
  console.log(
    `${gpu.model}, ${(gpu.totalMemory / 1e9).toFixed(0)} GB, compute capability ${gpu.capability.join(".")}\n`,
  );
  const peers = peerTimes({ elements, matrix, rows });
  const print = (name: string, seconds: number, measure: string) => {
    const others = Object.entries(peers).filter(([, times]) => times[name] !== undefined)
      .map(([library, times]) => `${library} ${micro(times[name]!)}`).join(", ");
    console.log(
      `${name.padEnd(24)} ${micro(seconds).padStart(14)}   ${measure}${others === "" ? "" : `   (${others})`}`,
    );
  };

  const x = filled([elements]), y = filled([elements]);
  const copy = copyTime(gpu, x, y);
  const speed = 8 * elements / copy;
  print("copy", copy, `${(speed / 1e9).toFixed(0)} GB/s`);
  const bandwidth = (name: string, bytes: number, f: () => NDArray) => {
    const seconds = time(gpu, () => compute(f()));
    print(name, seconds, `${(bytes / seconds / speed * 100).toFixed(0)} % of the copy's bandwidth`);
  };
  bandwidth("add", 12 * elements, () => tnp.add(x, y));
  bandwidth("sigmoid", 8 * elements, () => tnp.divide(1, tnp.add(1, tnp.exp(tnp.negative(x)))));
  const d = filled([elements / 2], "float64");
  bandwidth(
    "chain",
    8 * elements,
    () => tnp.sqrt(d.mul(d).add(d.mul(2)).add(3)).mul(tnp.sin(d)).sub(tnp.tanh(d)),
  );
  const s = x.reshape([elements / 1024, 1024]);
  const bias = filled([1024]);
  bandwidth("row bias", 8 * elements, () => tnp.add(s, bias));
  bandwidth("cast", 6 * elements, () => x.astype("float16") as NDArray);
  bandwidth("compare", 9 * elements, () => tnp.less(x, y));
  bandwidth("sum", 4 * elements, () => tnp.sum(x));
  bandwidth("sum rows", 4 * elements, () => tnp.sum(s, 1));
  bandwidth("sum columns", 4 * elements, () => tnp.sum(s, 0));
  bandwidth("softmax", 8 * elements, () => {
    const e = tnp.exp(s.sub(tnp.max(s, { axis: 1, keepdims: true })));
    return e.div(tnp.sum(e, { axis: 1, keepdims: true }));
  });

  bandwidth("cumsum", 8 * elements, () => tnp.cumsum(x));
  const sorting = (name: string, count: number, f: () => NDArray) => {
    const seconds = time(gpu, () => compute(f()));
    print(name, seconds, `${(count / seconds / 1e9).toFixed(2)} G elements/s`);
  };
  const many64 = tnp.multiply(x, 2 ** 40).astype("int64") as NDArray;
  settle(many64);
  sorting("sort", elements, () => tnp.sort(x));
  sorting("argsort", elements, () => tnp.argsort(x));
  sorting("sort int64", elements, () => tnp.sort(many64));
  sorting("sort rows", elements, () => tnp.sort(s));

  for (const dtype of ["float32", "bfloat16"] as const) {
    const a = filled([matrix, matrix], dtype), b = filled([matrix, matrix], dtype);
    const seconds = time(gpu, () => compute(tnp.matmul(a, b)));
    const direct = cublasTime(gpu, dtype, a, b);
    const share = direct === null ? "" : `, ${(direct / seconds * 100).toFixed(0)} % of cuBLAS called directly`;
    const rate = (t: number) => `${(2 * matrix ** 3 / t / 1e12).toFixed(2)} TFLOP/s`;
    print(`matmul ${dtype}`, seconds, rate(seconds) + share);
    const bias = filled([matrix], dtype);
    const layers: Readonly<Record<string, (h: NDArray) => NDArray>> = {
      "dense": (h) => h,
      "dense relu": (h) => tnp.where(tnp.greater(h, 0), h, 0) as NDArray,
      "dense gelu": (h) =>
        h.mul(0.5).mul(tnp.tanh(h.add(tnp.power(h, 3).mul(0.044715)).mul(Math.sqrt(2 / Math.PI))).add(1)) as NDArray,
      // Keeps NaN, which the library's ReLU does not: a kernel of its own.
      "dense maximum": (h) => tnp.maximum(h, 0) as NDArray,
    };
    for (const [name, activation] of Object.entries(layers)) {
      const t = time(gpu, () => compute(activation(tnp.matmul(a, b).add(bias) as NDArray)));
      const alone = direct === null ? "" : `, ${(direct / t * 100).toFixed(0)} % of cuBLAS's product alone`;
      print(`${name} ${dtype}`, t, rate(t) + alone);
    }
  }

  const [px, py] = [filled([rows, 32]), filled([rows, 2])];
  const weights = [filled([32, 64]), filled([64]), filled([64, 2])] as const;
  const step = (w1: NDArray, bias: NDArray, w2: NDArray): NDArray[] => {
    using tape = new tnp.GradientTape();
    const w = [w1, bias, w2] as const;
    tape.watch(w);
    const loss = tnp.sum(tnp.square(tnp.matmul(tnp.maximum(tnp.matmul(px, w1).add(bias), 0), w2).sub(py)));
    return [...tape.gradient(loss, w, { unconnected_gradients: "zero" })] as NDArray[];
  };
  print("gradient", time(gpu, () => compute(...step(...weights))), `${rows} rows, eager`);
  const compiled = tnp.function(step);
  print(
    "gradient compiled",
    time(gpu, () => compute(...compiled(...weights))),
    `${rows} rows, traced: one graph launch`,
  );

  const tiny = filled([8]);
  const many = 50;
  const launches = time(gpu, () => {
    let z: NDArray = tiny;
    for (let i = 0; i < many; i++) {
      const next = tnp.add(z, 1);
      // Looked at one by one, so that each is a launch.
      settle(next);
      z = next;
    }
  });
  print("launch", launches / many, "a kernel, with its array");
  // Sums over one axis and back do not fuse into one kernel.
  const square = filled([8, 8]);
  const chain = (z: NDArray): NDArray => {
    for (let i = 0; i < many; i++) z = z.sub(tnp.sum(z, { axis: i % 2, keepdims: true }));
    return z;
  };
  print("launch eager", time(gpu, () => compute(chain(square))) / many, "a kernel of an expression");
  const replayed = tnp.function(chain);
  print(
    "launch replayed",
    time(gpu, () => compute(replayed(square))) / many,
    "a kernel of a traced function: one graph launch",
  );
}

/** Computes an array and keeps it. */
function settle(x: NDArray): void {
  evaluate([nodeOf(x)]);
}

const micro = (seconds: number) => `${(seconds * 1e6).toFixed(seconds < 1e-4 ? 2 : 0)} us`;

/** An array of numbers between 0 and 1, computed. */
function filled(shape: number[], dtype: "float32" | "float64" | "bfloat16" = "float32"): NDArray {
  const x = tnp.random.uniform(0, 1, shape).astype(dtype) as NDArray;
  settle(x);
  return x;
}

/** Seconds a call, with the GPU's work: the median of 5 samples of about 100 ms. */
function time(gpu: CudaDevice, run: () => void): number {
  const sample = (loops: number) => {
    gpu.synchronize();
    const start = performance.now();
    for (let i = 0; i < loops; i++) run();
    gpu.synchronize();
    return (performance.now() - start) / 1e3 / loops;
  };
  sample(2);
  const loops = dry ? 1 : Math.max(1, Math.min(2000, Math.floor(0.1 / sample(1))));
  return Array.from({ length: dry ? 1 : 5 }, () => sample(loops)).sort((a, b) => a - b)[dry ? 0 : 2]!;
}

const addressOf = (x: NDArray): number => (nodeOf(x).storage!.buffer as CudaBuffer).address;

/** Seconds the driver takes to copy one array to another. */
function copyTime(gpu: CudaDevice, from: NDArray, to: NDArray): number {
  gpu.synchronize();
  const driver = new CudaDriver(), stream = driver.createStream();
  const bytes = native(nodeOf(from).size * 4), loops = dry ? 1 : 20;
  const [start, end] = [driver.createEvent(true), driver.createEvent(true)];
  const run = () => {
    driver.check("cuEventRecord", driver.f.cuEventRecord(start, stream));
    for (let i = 0; i < loops; i++) {
      const code = driver.f.cuMemcpyDtoDAsync_v2(native(addressOf(to)), native(addressOf(from)), bytes, stream);
      driver.check("cuMemcpyDtoDAsync_v2", code);
    }
    driver.check("cuEventRecord", driver.f.cuEventRecord(end, stream));
    driver.check("cuStreamSynchronize", driver.f.cuStreamSynchronize(stream));
    return Math.max(1e-7, driver.elapsed(start, end) / 1e3 / loops);
  };
  run();
  const seconds = run();
  for (const event of [start, end]) driver.check("cuEventDestroy_v2", driver.f.cuEventDestroy_v2(event));
  driver.check("cuStreamDestroy_v2", driver.f.cuStreamDestroy_v2(stream));
  return seconds;
}

/** Seconds cuBLAS takes for a product when it is called directly; null where it is missing. */
function cublasTime(gpu: CudaDevice, dtype: "float32" | "bfloat16", a: NDArray, b: NDArray): number | null {
  if (gpu.cublas === null) return null;
  gpu.synchronize();
  const out = filled([matrix, matrix], dtype);
  const driver = new CudaDriver(), stream = driver.createStream();
  const blas = new Cublas(stream, cublasSpec(Math.floor(driver.version / 1000)));
  const of = (x: NDArray) => ({ address: native(addressOf(x)), lead: matrix, step: 0, transposed: false });
  const sample = (loops: number) => {
    const start = performance.now();
    for (let i = 0; i < loops; i++) blas.gemm(dtype, matrix, matrix, matrix, 1, of(b), of(a), of(out));
    driver.check("cuStreamSynchronize", driver.f.cuStreamSynchronize(stream));
    return (performance.now() - start) / 1e3 / loops;
  };
  try {
    sample(1);
    return sample(dry ? 1 : 20);
  } finally {
    blas[Symbol.dispose]();
    driver.check("cuStreamDestroy_v2", driver.f.cuStreamDestroy_v2(stream));
  }
}

main();
