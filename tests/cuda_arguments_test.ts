/** Argument blocks are as large as the structs that kernels take. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address } from "../ffi/types.ts";
import { emulator, gpu, realGpu } from "./support/cuda.ts";
import {
  type CudaSource,
  planTile,
  renderMap,
  renderReduce,
  renderScan,
  renderScatter,
  renderTile,
  vectorWidth,
} from "../kernels/cuda.ts";
import { blockLayout, type Kernel } from "../kernels/kernel.ts";
import { CudaProgram } from "../src/device/cuda_kernel.ts";
import { acc, b, kernel, load, monoid, operand, output } from "./support/kernels.ts";

test("cuda: argument blocks are as large as what kernels take", () => {
  if (emulator === null || gpu === null) return assert.ok(realGpu || gpu === null);
  const device = gpu, made: { fn: Address; bytes: number; text: string }[] = [];
  const check = (k: Kernel, source: CudaSource) => {
    const program = new CudaProgram(device, source, blockLayout(k).length);
    if (source.indirect === true) return;
    made.push({ fn: device.compile(source.text), bytes: program.block.bytes.byteLength, text: source.text });
  };
  emulator.defer(true);
  try {
    checkAll(check);
    emulator.compile();
  } finally {
    emulator.defer(false);
  }
  assert.ok(made.length > 20);
  for (const { fn, bytes, text } of made) assert.equal(emulator.argumentBytes(fn), bytes, text);
});

/** Gives a kernel of each layout to `check`. */
function checkAll(check: (k: Kernel, source: CudaSource) => void): void {
  const x = load(0, "float32");
  const map = kernel({
    operands: [operand("float32"), operand("int64", "strided", { virtual: true }), operand("bool", "single")],
    scalars: ["float32", "int64", "bool"],
    body: [b.unary("sqrt", x), x],
    outputs: [output("float32"), output("float32")],
  });
  check(map, renderMap(map, false, vectorWidth(map)));
  for (const wide of [false, true]) {
    for (const rank of [1, 2, 4]) check({ ...map, rank }, renderMap({ ...map, rank }, wide, 1));
  }
  const reduce = kernel({
    kind: "reduce",
    rank: 3,
    reduced: 2,
    operands: [operand("float32")],
    body: [x],
    reduction: monoid("sum", "add", "float32", 0),
    epilogue: [b.cast(acc(0, "float32"), "float16")],
    outputs: [output("float16", "strided")],
  });
  for (const variant of ["thread", "rows", "block", "columns", "merge"] as const) {
    check(reduce, renderReduce(reduce, false, variant, 1, true));
  }
  const scan: Kernel = { ...reduce, kind: "scan", reduced: 1, epilogue: null, outputs: [output("float32")] };
  for (const variant of ["thread", "totals", "block"] as const) {
    check(scan, renderScan(scan, false, variant));
    check(scan, renderScan(scan, variant === "totals", variant, { lanes: 8, warps: 8 }));
  }
  for (const rank of [2, 4]) {
    const turned = { ...map, rank, operands: [operand("float32", "strided"), ...map.operands.slice(1)] };
    const sizes = rank === 2 ? [200, 300] : [200, 3, 5, 300], strides = [1, 200, 600, 3000].slice(0, rank);
    const plan = planTile(turned, sizes, () => strides);
    check(turned, renderTile(turned, false, plan!));
  }
  const scatter = kernel({
    kind: "scatter",
    rank: 2,
    operands: [operand("float32"), operand("int64", "single")],
    body: [x],
    index: [load(1, "int64")],
    mode: "add",
    outputs: [output("float32")],
  });
  for (const variant of ["serial", "keys", "apply"] as const) check(scatter, renderScatter(scatter, false, variant, 1));
}
