/**
 * Matrix products as WebAssembly: one block times another, both in row-major order in the module's memory.
 * @module
 */
import { control, ModuleWriter, type WasmOp } from "./wasm_binary.ts";
import { BodyWriter, Graph, type Value } from "./wasm_graph.ts";
import type { WasmFeatures } from "./wasm_probe.ts";

/** Kinds of numbers that blocks are made of. */
export type MatmulType = "f32" | "f64" | "i32" | "i64";

/** Vectors of a row of the result that are added up in registers at once, and steps along k between two jumps. */
const vectors = 2, unroll = 4;

/** Columns of the result come in multiples of this; `bytes` is what a number takes. */
export function matmulColumns(bytes: 4 | 8): number {
  return vectors * 16 / bytes;
}

/** Rows of the result that are computed at once. Without fused instructions, products need registers of their own. */
export function matmulRows({ fused }: WasmFeatures): number {
  return fused ? 6 : 4;
}

/** What a call does with the result's block: 0 overwrites, 1 adds to it, 2 subtracts from it, 3 overwrites nothing but it. */
export type MatmulMode = 0 | 1 | 2 | 3;

const shapes = { f32: "f32x4", f64: "f64x2", i32: "i32x4", i64: "i64x2" } as const;

/**
 * A module with `run(a, b, c, m, n, k, aRow, bRow, cRow, mode)`: c = a b, c += a b or c -= a b.
 *
 * `a`, `b`, `c` are byte addresses, `aRow`, `bRow`, `cRow` bytes from row to row, `k` a number of elements. Columns `n` and rows `m` are
 * rounded up to whole tiles; all of these are written. In mode 3 the last tiles overlap those before instead: there must be a whole one.
 */
export function matmulWasm(type: MatmulType, features: WasmFeatures): Uint8Array<ArrayBuffer> {
  const [a, b, c, m, n, k, aRow, bRow, cRow, mode] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const, parameters = 10;
  const { fused } = features, g = new Graph(fused), shape = shapes[type];
  const module = new ModuleWriter(), w = new BodyWriter(module, parameters);
  const bytes = type.endsWith("32") ? 4 : 8;
  const columns = matmulColumns(bytes), rows = matmulRows(features);

  const i32 = (index: number): Value => g.local(index, "i32", 0);
  const add = (x: Value, y: Value): Value => g.op("i32.add", [x, y]);
  const mul = (x: Value, y: Value): Value => g.op("i32.mul", [x, y]);
  const set = (local: number, value: Value): void => {
    w.push(value);
    w.emit(control.set(local));
  };
  /** A loop that runs while `condition`. */
  const loop = (condition: Value, body: () => void): void => {
    w.emit(control.block, control.loop);
    w.push(g.op("i32.eqz", [condition]));
    w.emit(control.brIf(1));
    body();
    w.emit(control.br(0), control.end, control.end);
  };
  const op = (name: string, ...args: Value[]): Value => g.op(`${shape}.${name}` as WasmOp, args);
  const madd = (x: Value, y: Value, z: Value): Value =>
    fused && (type === "f32" || type === "f64") ? op("relaxed_madd", x, y, z) : op("add", z, op("mul", x, y));

  const [i, j, t, to, bAt] = [0, 1, 2, 3, 4].map(() => w.local("i32")) as [number, number, number, number, number];
  const aAt = Array.from({ length: rows }, () => w.local("i32"));
  const sums = Array.from({ length: rows * vectors }, () => w.local("v128"));
  const right = Array.from({ length: vectors }, () => w.local("v128"));
  const v128 = (index: number): Value => g.local(index, "v128", 0);
  const splat: WasmOp = bytes === 4 ? "v128.load32_splat" : "v128.load64_splat";

  /** Adds a column of a times a row of b. */
  const step = (ahead: number): void => {
    for (let v = 0; v < vectors; v++) set(right[v]!, g.load("v128.load", i32(bAt), 16 * v));
    for (let r = 0; r < rows; r++) {
      const left = g.load(splat, i32(aAt[r]!), ahead * bytes);
      const parts = right.map((local, v) => madd(left, v128(local), v128(sums[r * vectors + v]!)));
      w.begin(parts);
      parts.forEach((part, v) => set(sums[r * vectors + v]!, part));
      w.end();
    }
    set(bAt, add(i32(bAt), i32(bRow)));
  };
  /** Visits the vectors of c's tile. */
  const store = (value: (sum: Value, there: Value) => Value): void => {
    set(to, add(add(i32(c), mul(i32(i), i32(cRow))), mul(i32(j), g.i32(bytes))));
    for (let r = 0; r < rows; r++) {
      for (let v = 0; v < vectors; v++) {
        w.push(i32(to), value(v128(sums[r * vectors + v]!), g.load("v128.load", i32(to), 16 * v)));
        w.emit(control.store(16 * v));
      }
      set(to, add(i32(to), i32(cRow)));
    }
  };

  /** Moves a tile that would reach beyond the end back, in mode 3. */
  const keepWithin = (at: number, tile: number, end: number): void => {
    const last = g.op("i32.sub", [i32(end), g.i32(tile)]), beyond = g.op("i32.lt_s", [last, i32(at)]);
    set(at, g.select(last, i32(at), g.op("i32.and", [beyond, g.op("i32.eq", [i32(mode), g.i32(3)])])));
  };

  set(j, g.i32(0));
  loop(g.op("i32.lt_s", [i32(j), i32(n)]), () => {
    keepWithin(j, columns, n);
    set(i, g.i32(0));
    loop(g.op("i32.lt_s", [i32(i), i32(m)]), () => {
      keepWithin(i, rows, m);
      for (const sum of sums) set(sum, g.splat("i32", 0));
      set(bAt, add(i32(b), mul(i32(j), g.i32(bytes))));
      aAt.forEach((local, r) => set(local, add(i32(a), mul(add(i32(i), g.i32(r)), i32(aRow)))));
      const along = (by: number): void => {
        const last = add(i32(t), g.i32(by - 1));
        loop(g.op("i32.lt_s", [last, i32(k)]), () => {
          for (let ahead = 0; ahead < by; ahead++) step(ahead);
          for (const local of aAt) set(local, add(i32(local), g.i32(by * bytes)));
          set(t, add(i32(t), g.i32(by)));
        });
      };
      set(t, g.i32(0));
      along(unroll);
      along(1);
      w.push(g.op("i32.eqz", [g.op("i32.lt_u", [g.op("i32.sub", [i32(mode), g.i32(1)]), g.i32(2)])]));
      w.emit(control.if);
      store((sum) => sum);
      w.emit(control.else);
      w.push(g.op("i32.eq", [i32(mode), g.i32(1)]));
      w.emit(control.if);
      store((sum, there) => op("add", there, sum));
      w.emit(control.else);
      store((sum, there) => op("sub", there, sum));
      w.emit(control.end, control.end);
      set(i, add(i32(i), g.i32(rows)));
    });
    set(j, add(i32(j), g.i32(columns)));
  });

  module.add({ parameters: Array.from({ length: parameters }, () => "i32" as const), results: [] }, w.locals, w.bytes);
  return module.bytes();
}
