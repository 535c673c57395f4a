/** A process of its own for tests/engine_test.ts: runs one compiled kernel and prints what came out. */
import { ExprBuilder } from "../../kernels/expr.ts";
import { kernelKey } from "../../kernels/kernel.ts";
import { configureCpu, cpu } from "../../src/device/cpu.ts";
import { toolchain } from "../../src/device/native.ts";

const unit = { dtype: "float64", components: 1, access: "unit" } as const;
const b = new ExprBuilder();
const x = b.make("load", "float64", [], { operand: 0, component: 0 });
const fields = {
  kind: "map",
  rank: 1,
  reduced: 0,
  inner: "last",
  operands: [{ ...unit, virtual: false, gathered: 0 }],
  scalars: [],
  body: [b.binary("add", b.binary("mul", x, x), x)],
  reduction: null,
  epilogue: null,
  index: [],
  mode: null,
  outputs: [unit],
  wide: false,
  comment: "x * x + x",
} as const;

configureCpu({ engine: "c" });
const n = 1000, from = cpu.allocate(8 * n), to = cpu.allocate(8 * n);
const values = from.memory.view("float64") as Float64Array;
for (let i = 0; i < n; i++) values[from.byteOffset / 8 + i] = i;
const arg = { offset: 0, strides: [1] };
cpu.kernel({ ...fields, key: kernelKey(fields) })({
  sizes: [n],
  operands: [{ ...arg, buffer: from }],
  outputs: [{ ...arg, buffer: to }],
  scalars: [],
});
const sum = new Float64Array(cpu.read(to, 0, 8 * n).buffer).reduce((a, v) => a + v, 0);
const tools = toolchain();
console.log(JSON.stringify({ sum, compiled: tools.ok, reason: tools.ok ? "" : tools.reason }));
