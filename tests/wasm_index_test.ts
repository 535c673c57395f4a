/** Gathers and scatters as WebAssembly, on arrays in its heap, against JavaScript. */
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type NDArray, tnp } from "../mod.ts";
import { compileWasm } from "../kernels/wasm.ts";
import { type DType, dtypeInfo } from "../src/base/dtype.ts";
import { configureCpu } from "../src/device/cpu.ts";
import { WasmChoice } from "../src/device/wasm_choice.ts";
import { engineMemory } from "../src/device/wasm_memory.ts";
import { b, fill, kernel, load, memory, operand, output } from "./support/kernels.ts";
import { launchOf, runWasm } from "./support/wasm.ts";

/** The bits of what functions give, computed by an engine alone. */
function computed(engine: "js" | "wasm", functions: readonly (() => NDArray)[]): Uint8Array[] {
  configureCpu({ engine, onednn: false, openblas: false });
  try {
    return functions.map((f) => {
      using y = f();
      const data = y.dataSync();
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    });
  } finally {
    configureCpu(null);
  }
}

function same(cases: Readonly<Record<string, () => NDArray>>): void {
  const functions = Object.values(cases), js = computed("js", functions), wasm = computed("wasm", functions);
  Object.keys(cases).forEach((name, k) => assert.deepEqual(wasm[k], js[k], name));
}

/** Numbers of a dtype that differ from their neighbours. */
function numbers(dtype: DType, n: number): NDArray {
  const { kind } = dtypeInfo(dtype), values = Array.from({ length: n }, (_, i) => 37 * i % 101);
  return tnp.array(kind === "u" || kind === "b" ? values : values.map((v) => v - 50)).astype(dtype);
}

/** Positions from both ends among some. */
const positions = (n: number, among: number): NDArray =>
  tnp.array(Array.from({ length: n }, (_, i) => 7919 * i % (2 * among) - among));

for (const dtype of ["bool", "int8", "uint16", "int64", "bfloat16", "float32", "complex64", "complex128"] as const) {
  test(`wasm: elements of ${dtype} at positions, and what is put there`, () => {
    const x = () => numbers(dtype, 300).reshape(20, 15), put = { mode: "add" } as const;
    same({
      elements: () => numbers(dtype, 301).at(positions(1003, 301)),
      rows: () => x().at(positions(31, 20)),
      columns: () => x().at(":", positions(7, 15)),
      both: () => x().T.at(positions(37, 15), positions(37, 20)),
      set: () => numbers(dtype, 41).with([positions(103, 41)], numbers(dtype, 103)),
      "set rows": () => x().with([positions(17, 20)], numbers(dtype, 15)),
      ...(dtype === "bool"
        ? {}
        : { add: () => numbers(dtype, 41).with([positions(103, 41)], numbers(dtype, 103), put) }),
    });
  });
}

test("wasm: gathers in reductions and scans", () => {
  const rows = () => numbers("int64", 300).reshape(20, 15).at(positions(31, 20));
  same({
    sum: () => tnp.sum(rows(), 0),
    "sum of rows": () => tnp.sum(rows(), 1),
    max: () => tnp.max(numbers("float32", 301).at(positions(901, 301))),
    cumsum: () => tnp.cumsum(numbers("float64", 301).at(positions(9001, 301))),
  });
});

test("wasm: what is indexed is read where it lies, else JavaScript does it", () => {
  // Behind an array's end is anything.
  const index = b.cast(b.binary("and", load(1, "int32"), b.const("int32", 3)), "int64");
  const k = kernel({
    kind: "scatter",
    mode: "add",
    operands: [operand("float64", "unit", { gathered: 1 }), operand("int32")],
    body: [b.make("gather", "float64", [index], { operand: 0, component: 0 })],
    index: [index],
    outputs: [output("float64", "strided")],
  });
  assert.equal(compileWasm(k)!.indexed.length, 2);
  assert.equal(compileWasm({ ...k, wide: true }), null);
  const run = () => ({
    sizes: [5],
    operands: [{ data: fill("float64", [1, 2, 3]), strides: [0, 1] }, {
      data: fill("int32", [2, 0, 2, 1, 2]),
      strides: [1],
    }],
    outputs: [{ data: memory("float64", 3), strides: [0, 1] }],
  });
  const plain = run();
  assert.equal(new WasmChoice(k, 1).run(launchOf(plain), 1e9, () => {}), false);
  configureCpu({ engine: "wasm" });
  try {
    assert.notEqual(engineMemory()!.heap, null);
    const inHeap = run();
    assert.ok(runWasm(k, inHeap));
    assert.deepEqual([...inHeap.outputs[0]!.data], [1, 2, 9]);
  } finally {
    configureCpu(null);
  }
});
