/** A program of matrix products, each with another epilogue, for the tests of cublasLt. */
import { type NDArray, tnp } from "../../mod.ts";

/** GELU by tanh, as it is usually written. */
export function gelu(x: NDArray): NDArray {
  return x.mul(0.5).mul(tnp.tanh(x.add(tnp.power(x, 3).mul(0.044715)).mul(Math.sqrt(2 / Math.PI))).add(1)) as NDArray;
}

/** ReLU that gives 0 for NaN. */
export function relu(x: NDArray): NDArray {
  return tnp.where(tnp.greater(x, 0), x, 0) as NDArray;
}

/** Runs on the current device and gives its numbers. */
export function products(): number[] {
  return tnp.scope(() => {
    const wave = (shape: number[], step: number): NDArray => {
      const size = shape.reduce((x, y) => x * y, 1);
      return tnp.sin(tnp.arange(size, { dtype: "float32" }).mul(step)).reshape(shape) as NDArray;
    };
    const x = wave([6, 30], 0.7), w = wave([30, 8], 0.3), bias = tnp.copy(wave([8], 2)).reshape([8]);
    bias.dataSync();
    const parts = [
      tnp.matmul(x, w),
      tnp.matmul(x, w).add(bias),
      relu(tnp.matmul(x, w).add(bias) as NDArray),
      gelu(tnp.matmul(x, w).add(bias) as NDArray),
      tnp.maximum(tnp.matmul(x, w).add(bias), 0),
      // A batch with a repeated side.
      tnp.matmul(wave([3, 4, 30], 0.9), w.reshape([1, 30, 8])),
      tnp.matmul(wave([2, 1, 4, 5], 0.2), wave([3, 5, 6], 0.4)),
      tnp.matmul(tnp.astype(wave([5, 7], 1), "complex64"), tnp.astype(wave([7, 3], 1.1), "complex64")).real,
    ];
    return parts.flatMap((part) => Array.from((part as NDArray).dataSync() as Float32Array));
  }) as unknown as number[];
}
