// The npm package numpy-ts as a peer, where the folder TNP_PEERS has it: `npm install --prefix FOLDER numpy-ts`.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

/** Its array, as far as the benches know it. */
export interface NumpyTsArray {
  dispose(): void;
}

type Unary = (x: NumpyTsArray) => NumpyTsArray;
type Binary = (x: NumpyTsArray, y: NumpyTsArray | number) => NumpyTsArray;

/** The functions that the benches call. */
export interface NumpyTs {
  array(values: ArrayLike<number>, dtype: string): NumpyTsArray;
  arange(start: number, stop: number, step: number, dtype: string): NumpyTsArray;
  reshape(x: NumpyTsArray, shape: readonly number[]): NumpyTsArray;
  add: Binary;
  subtract: Binary;
  multiply: Binary;
  divide: Binary;
  matmul: Binary;
  exp: Unary;
  negative: Unary;
  reciprocal: Unary;
  sin: Unary;
  sqrt: Unary;
  tanh: Unary;
  sort: Unary;
  max(x: NumpyTsArray, axis: number, keepdims: boolean): NumpyTsArray;
  sum(x: NumpyTsArray, axis?: number, keepdims?: boolean): NumpyTsArray | number;
}

/** The package and its version; null where it is not installed. */
export async function loadNumpyTs(): Promise<{ readonly np: NumpyTs; readonly version: string } | null> {
  const folder = process.env.TNP_PEERS;
  if (folder === undefined) return null;
  const home = resolve(folder, "node_modules/numpy-ts"), manifest = join(home, "package.json");
  if (!existsSync(manifest)) return null;
  const { version, main } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string; main: string };
  return { np: await import(pathToFileURL(join(home, main)).href) as NumpyTs, version };
}

/** Numbers between -2 and 2 as its array. */
export function randomArray(np: NumpyTs, shape: readonly number[], dtype: "float32" | "float64"): NumpyTsArray {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = dtype === "float32" ? new Float32Array(size) : new Float64Array(size);
  for (let i = 0; i < size; i++) values[i] = 4 * Math.random() - 2;
  return np.reshape(np.array(values, dtype), shape);
}
