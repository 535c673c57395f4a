import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type DType, dtypeInfo, dtypeNames } from "../src/base/dtype.ts";
import { configureCpu, cpu } from "../src/device/cpu.ts";
import { toolchain } from "../src/device/native.ts";
import { setThreadCount, threadCount } from "../src/device/threads.ts";
import { generator, type Held, hold, zeros } from "./support/device.ts";

type Name = "sort" | "argsort" | "searchsorted";

function run(name: Name, dtype: DType, inputs: readonly Held[], shape: readonly number[], side = "left"): Held {
  const to = name === "sort" ? dtype : "int64";
  const output = zeros(to, shape);
  const dtypes = name === "searchsorted" ? [dtype, dtype, to] : [dtype, to];
  cpu.routine({ key: `${name} ${dtype} ${side}`, name, dtypes, params: { side }, epilogue: null, comment: name })(
    { inputs, output, operands: [], scalars: [] },
  );
  return output;
}

/** The same work in JavaScript and in compiled C, bit by bit. */
function same(name: Name, dtype: DType, inputs: readonly Held[], shape: readonly number[], side?: string): void {
  const bytes = (engine: "js" | "c") => {
    configureCpu({ engine });
    const out = run(name, dtype, inputs, shape, side);
    return cpu.read(
      out.buffer,
      0,
      shape.reduce((a, b) => a * b, 1) * dtypeInfo(name === "sort" ? dtype : "int64").itemsize,
    );
  };
  try {
    assert.deepEqual(bytes("c"), bytes("js"), `${name} ${dtype} [${shape}]`);
  } finally {
    configureCpu(null);
  }
}

/** Values that sorts could get wrong: many equal, only the lowest bits different, all different, in order, all the same, specials. */
const fillings = {
  "few values": (random, float) => float ? random(9) / 4 - 1 : random(9),
  "wide values": (random, float) => float ? (random(2 ** 30) - 2 ** 29) * 2 ** (random(60) - 30) : random(2 ** 31),
  "neighbours": (random, float) => float ? 1 + random(1 << 20) * 2 ** -45 : 2 ** 30 + random(5000),
  "rising values": (_random, _float, i) => i,
  "falling values": (_random, _float, i) => 40_000 - i,
  "one value": () => 3,
} as const satisfies Record<string, (random: (n: number) => number, float: boolean, i: number) => number>;

function make(
  dtype: DType,
  shape: readonly number[],
  strides: readonly number[],
  filling: keyof typeof fillings,
): Held {
  const random = generator(7), float = dtypeInfo(dtype).kind === "f", bits = 8 * dtypeInfo(dtype).itemsize;
  const special = [NaN, -0, 0, Infinity, -Infinity];
  const pure = filling === "rising values" || filling === "one value";
  const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    if (float && !pure && random(16) === 0) return special[random(5)]!;
    const v = fillings[filling](random, float, i);
    if (float) return v;
    if (dtype === "bool") return v & 1;
    if (bits < 32) return v % 2 ** (bits - 1) - (dtypeInfo(dtype).kind === "i" && random(2) ? 2 ** (bits - 1) : 0);
    return dtypeInfo(dtype).kind === "i" && random(2) ? -v : v;
  });
  return hold(dtype, values, shape, strides);
}

describe("compiled sorting", () => {
  configureCpu({ engine: "c" });
  const { ok } = toolchain();
  configureCpu(null);
  const real = dtypeNames.filter((dtype) => dtypeInfo(dtype).components === 1);

  for (const dtype of ok ? real : []) {
    test(`gives JavaScript's bits for ${dtype}`, () => {
      for (const filling of Object.keys(fillings) as (keyof typeof fillings)[]) {
        for (const [rows, n] of [[15, 20], [3, 130], [2, 1000], [1, 33_000], [3, 17_000]] as const) {
          const shape = [rows, n];
          const x = make(dtype, shape, n < 10_000 ? [1, rows] : [n, 1], filling);
          same("sort", dtype, [x], shape);
          same("argsort", dtype, [x], shape);
        }
      }
    });

    test(`searches like JavaScript in ${dtype}`, () => {
      for (const n of [0, 1, 2, 63, 1000]) {
        const sorted = run("sort", dtype, [make(dtype, [n], [1], "few values")], [n]);
        const values = make(dtype, [40, 50], [1, 40], "few values");
        for (const side of ["left", "right"]) same("searchsorted", dtype, [sorted, values], [40, 50], side);
      }
    });
  }

  test("gives the same with one thread and with many", () => {
    const before = threadCount();
    try {
      for (const threads of [1, 3, 64]) {
        setThreadCount(threads);
        assert.equal(threadCount(), threads);
        same("sort", "float32", [make("float32", [70_000], [1], "wide values")], [70_000]);
        same("argsort", "int64", [make("int64", [5, 9_000], [9_000, 1], "neighbours")], [5, 9_000]);
      }
    } finally {
      setThreadCount(before);
    }
  });
});
