/** Kernels made by hand, and the two engines that run them: JavaScript, and C where there is a compiler. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { addressOf, native } from "../../ffi/mem.ts";
import { available, openFile } from "../../ffi/open.ts";
import { runtime } from "../../ffi/runtime.ts";
import { dtypes, type ScalarType, type TypedArray, typedArrays } from "../../src/base/dtype.ts";
import { cFlags, cProbes, renderC } from "../../kernels/c.ts";
import { type Expr, ExprBuilder } from "../../kernels/expr.ts";
import { compileJs } from "../../kernels/js.ts";
import {
  type Access,
  blockLayout,
  type Kernel,
  kernelKey,
  type Monoid,
  type Operand,
  type Output,
} from "../../kernels/kernel.ts";

export const b = new ExprBuilder();

/** Loads a component of an operand. */
export function load(operand: number, dtype: ScalarType, component: 0 | 1 = 0): Expr {
  return b.make("load", dtype, [], { operand, component });
}

/** A running or incoming value. */
export function acc(j: number, dtype: ScalarType): Expr {
  return b.make("acc", dtype, [], j);
}
export function val(j: number, dtype: ScalarType): Expr {
  return b.make("val", dtype, [], j);
}

export function operand(dtype: ScalarType, access: Access = "unit", more: Partial<Operand> = {}): Operand {
  return { dtype, components: 1, access, virtual: false, gathered: 0, ...more };
}
export function output(dtype: ScalarType, access: Access = "unit", components: 1 | 2 = 1): Output {
  return { dtype, components, access };
}

/** A kernel with defaults. */
export function kernel(fields: Partial<Kernel>): Kernel {
  const all: Omit<Kernel, "key"> = {
    kind: "map",
    rank: 1,
    reduced: 0,
    inner: "last",
    operands: [],
    scalars: [],
    body: [],
    reduction: null,
    epilogue: null,
    index: [],
    mode: null,
    outputs: [],
    wide: false,
    comment: "test kernel",
    ...fields,
  };
  return { ...all, key: kernelKey(all) };
}

/** The monoid of one binary operation. */
export function monoid(
  name: Monoid["name"],
  op: "add" | "mul" | "min" | "max" | "or" | "and",
  dtype: ScalarType,
  init: number | bigint | boolean,
): Monoid {
  return { name, dtypes: [dtype], init: [init], combine: [b.binary(op, acc(0, dtype), val(0, dtype))] };
}

/** Memory of a dtype, never on a collector's movable heap. */
export function memory(dtype: ScalarType, length: number): TypedArray {
  const t = typedArrays[dtype];
  return new t(new ArrayBuffer(Math.max(8, length * t.BYTES_PER_ELEMENT)), 0, length);
}

/** Memory with these numbers. */
export function fill(dtype: ScalarType, values: ArrayLike<number>): TypedArray {
  const m = memory(dtype, values.length);
  const big = dtypes[dtype].itemsize === 8 && dtypes[dtype].kind !== "f";
  for (let i = 0; i < values.length; i++) {
    (m as { [i: number]: number | bigint })[i] = big ? BigInt(values[i]!) : values[i]!;
  }
  return m;
}

export interface Place {
  readonly data: TypedArray | null;
  readonly offset?: number;
  readonly strides: readonly number[];
}
export interface Run {
  readonly sizes: readonly number[];
  readonly operands?: readonly Place[];
  readonly outputs: readonly (Place & { readonly data: TypedArray })[];
  readonly scalars?: readonly (number | bigint)[];
}

/** Runs a kernel in JavaScript. */
export function runJs(k: Kernel, run: Run): void {
  const layout = blockLayout(k);
  const n = new Float64Array(layout.length);
  const mem: TypedArray[] = [];
  run.sizes.forEach((v, i) => n[i] = v);
  const place = (p: Place, slot: { address: number; strides: number }) => {
    n[slot.address] = p.offset ?? 0;
    p.strides.forEach((s, i) => n[slot.strides + i] = s);
    if (p.data !== null) mem.push(p.data);
  };
  run.operands?.forEach((p, i) => place(p, layout.operands[i]!));
  run.outputs.forEach((p, i) => place(p, layout.outputs[i]!));
  compileJs(k)(mem, n, run.scalars ?? []);
}

const folder = new Map<string, string>();
function scratch(): string {
  let path = folder.get("path");
  if (path === undefined) {
    path = mkdtempSync(join(tmpdir(), "tnp-kernels-"));
    folder.set("path", path);
    const made = path;
    const remove = () => rmSync(made, { recursive: true, force: true });
    // Deno's test runner tells the end of a module in its own way.
    if (runtime.name === "deno") globalThis.addEventListener("unload", remove);
    else globalThis.process?.on("exit", remove);
  }
  return path;
}

let threads: readonly string[] = cFlags.openmp;
const cc = process.env["TNP_CC"] ?? "cc";
function compile(name: string, source: string): string | null {
  const c = join(scratch(), `${name}.c`), so = join(scratch(), `${name}.so`);
  writeFileSync(c, source);
  const flags = [...cFlags.common, ...threads, "-shared", "-fPIC", "-o", so, c, "-lm"];
  const r = spawnSync(cc, flags, { encoding: "utf8" });
  if (r.error !== undefined) return null;
  if (r.status !== 0) throw new Error(`${cc} failed on ${c}: ${r.stderr}`);
  return so;
}

function succeeds(f: () => string | null): boolean {
  try {
    return f() !== null;
  } catch {
    return false;
  }
}

/** Whether compiled kernels can run here. */
export const native64: boolean = available().ok && cc !== "none" &&
  (succeeds(() => compile("probe", cProbes.openmp)) || withoutThreads());

function withoutThreads(): boolean {
  threads = ["-fopenmp-simd"];
  return succeeds(() => compile("probe", "int tnp_probe(void) { return 1; }\n"));
}

const paths = new Map<string, string>();

/** Runs a kernel as compiled C. */
export function runC(k: Kernel, run: Run): void {
  const source = renderC(k), path = paths.get(source) ?? compile(`k${paths.size}`, source)!;
  paths.set(source, path);
  using library = openFile(path, { tnp_kernel: { parameters: ["address"], result: "void" } });
  const layout = blockLayout(k);
  const block = new ArrayBuffer(8 * layout.length);
  const ints = new BigInt64Array(block), floats = new Float64Array(block);
  run.sizes.forEach((v, i) => ints[i] = BigInt(v));
  const place = (p: Place, slot: { address: number; strides: number }, dtype: ScalarType, components: number) => {
    const offset = p.offset ?? 0;
    ints[slot.address] = BigInt(
      p.data === null ? offset : addressOf(p.data) + offset * components * dtypes[dtype].itemsize,
    );
    p.strides.forEach((s, i) => ints[slot.strides + i] = BigInt(s));
  };
  run.operands?.forEach((p, i) => place(p, layout.operands[i]!, k.operands[i]!.dtype, k.operands[i]!.components));
  run.outputs.forEach((p, i) => place(p, layout.outputs[i]!, k.outputs[i]!.dtype, k.outputs[i]!.components));
  run.scalars?.forEach((v, i) => {
    if (dtypes[k.scalars[i]!].kind === "f") floats[layout.scalars + i] = Number(v);
    else ints[layout.scalars + i] = BigInt(v);
  });
  library.symbols.tnp_kernel(native(addressOf(floats)));
}

/** Something that runs kernels. */
export interface Engine {
  readonly name: string;
  readonly kind: "js" | "c" | "cuda";
  readonly run: (k: Kernel, run: Run) => void;
}

let only: Engine | null = null;

/** Makes all tests registered from now on run on one engine. */
export function useEngine(engine: Engine): void {
  only = engine;
}

/** The engines that tests of kernels run on. */
export function engines(): readonly Engine[] {
  if (only !== null) return [only];
  const js: Engine = { name: "JavaScript", kind: "js", run: runJs };
  return native64 ? [js, { name: "C", kind: "c", run: runC }] : [js];
}
