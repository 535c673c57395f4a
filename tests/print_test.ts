import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { wrap } from "../src/array.ts";
import { currentDevice } from "../src/device/registry.ts";
import type { PrintOptions } from "../src/io/display.ts";
import { fromBytes } from "../src/transform/evaluate.ts";
import { tnp } from "../mod.ts";
import { decode, readLines } from "./golden/read.ts";

interface PrintRecord {
  readonly x: Parameters<typeof decode>[0];
  readonly o?: Partial<PrintOptions>;
  readonly r: string;
  readonly t: string;
}

/** Runs with options that hold only so long. */
function printing<T>(options: Partial<PrintOptions>, run: () => T): T {
  const before = tnp.get_printoptions();
  tnp.set_printoptions(options);
  try {
    return run();
  } finally {
    tnp.set_printoptions(before);
  }
}

describe("print", () => {
  test("array_repr() and array_str() of arrays are NumPy's", () => {
    for (const line of readLines("printing.jsonl")) {
      const { x, o = {}, r, t } = JSON.parse(line) as PrintRecord;
      const { bytes, shape, dtype } = decode(x);
      using array = wrap(fromBytes(bytes, shape, dtype, currentDevice()));
      assert.equal(tnp.array_repr(array, o), r);
      assert.equal(tnp.array_str(array, o), t);
    }
  });

  test("set_printoptions() holds for toString() and inspect()", () => {
    const x = tnp.array([1 / 3, 2.5]);
    assert.equal(String(x), "[0.33333333 2.5       ]");
    assert.equal(inspect(x), String(x));
    printing({ precision: 2 }, () => assert.equal(inspect(x), "[0.33 2.5 ]"));
    assert.equal(`${x}`, "[0.33333333 2.5       ]");
    assert.equal(tnp.get_printoptions().precision, 8);
  });

  test("views, pending values and plain lists print as what they are", () => {
    const x = tnp.arange(6).reshape(2, 3);
    assert.equal(String(x.T), "[[0 3]\n [1 4]\n [2 5]]");
    assert.equal(String(x.at("::-1", 1)), "[4 1]");
    assert.equal(String(x.mul(2).sum(0)), "[ 6 10 14]");
    assert.equal(tnp.array_repr([1.5, 2]), "array([1.5, 2. ])");
    assert.equal(tnp.array_repr(3), "array(3)");
    assert.equal(String(tnp.arange(12000).reshape(3, 4, 1000).at(":", ":", "::-1")).split("\n").length, 14);
  });

  test("printing is not seen by a tape and holds no memory", () => {
    const x = tnp.arange(3000).reshape(30, 100).astype("float32");
    x.dataSync();
    const before = tnp.memory_stats().live;
    for (let i = 0; i < 3; i++) String(x);
    assert.equal(tnp.memory_stats().live, before);
    using tape = new tnp.GradientTape();
    tape.watch(x);
    const y = x.mul(x).sum();
    String(x);
    assert.deepEqual((tape.gradient(y, x) as typeof x).at(0, "1:3").toArray(), [2, 4]);
  });

  test("wrong options are named", () => {
    const set = (options: object) => () => tnp.set_printoptions(options);
    assert.throws(set({ digits: 3 }), { name: "TypeError", message: /^set_printoptions: unknown option "digits"/ });
    assert.throws(set({ precision: "3" }), { message: 'set_printoptions: precision must be a number, got "3"' });
    assert.throws(set({ precision: -1 }), { name: "RangeError" });
    assert.throws(set({ floatmode: "short" }), {
      name: "TypeError",
      message: /^set_printoptions: floatmode must be one of/,
    });
    printing({ threshold: Infinity }, () => assert.ok(!String(tnp.arange(1001)).includes("...")));
  });
});
