import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { scaledInteger, shortestDigits } from "../src/base/decimal.ts";
import type { DType } from "../src/base/dtype.ts";
import { asElements, elementAt, type Scalar } from "../src/base/elements.ts";
import { sizeOf } from "../src/base/shape.ts";
import {
  defaultPrintOptions,
  edgeShape,
  formatRepr,
  formatStr,
  type Printable,
  type PrintOptions,
} from "../src/io/display.ts";
import { decode, readLines } from "./golden/read.ts";

interface PrintRecord {
  readonly x: Parameters<typeof decode>[0];
  readonly o?: Partial<PrintOptions>;
  readonly r: string;
  readonly t: string;
}

/** What is shown of an array, picked out of all its elements. */
function printable(written: PrintRecord["x"], options: PrintOptions): Printable {
  const { dtype, shape, bytes } = decode(written);
  const data = asElements(bytes, dtype);
  const edges = edgeShape(shape, options);
  const elements = Array.from({ length: sizeOf(edges) }, (_, flat): Scalar => {
    let at = 0;
    let left = sizeOf(edges);
    edges.forEach((length, axis) => {
      left /= length;
      const i = Math.floor(flat / left) % length;
      const skip = length < shape[axis]! && i >= options.edgeitems ? shape[axis]! - length : 0;
      at = at * shape[axis]! + i + skip;
    });
    return elementAt(data, dtype, at);
  });
  return { dtype, shape, elements };
}

const list = (dtype: DType, elements: Scalar[], shape = [elements.length]): Printable => ({ dtype, shape, elements });

describe("display", () => {
  const records = readLines("printing.jsonl").map((line) => JSON.parse(line) as PrintRecord);

  test("formatRepr() is numpy.array_repr, byte for byte", () => {
    for (const record of records) {
      const options = { ...defaultPrintOptions, ...record.o };
      assert.equal(formatRepr(printable(record.x, options), options), record.r, JSON.stringify(record.o));
    }
  });

  test("formatStr() is numpy.array_str, byte for byte", () => {
    for (const record of records) {
      const options = { ...defaultPrintOptions, ...record.o };
      assert.equal(formatStr(printable(record.x, options), options), record.t, JSON.stringify(record.o));
    }
  });

  test("bfloat16 prints the digits that tell it from its neighbours", () => {
    assert.equal(formatRepr(list("bfloat16", [1, 0.1015625, NaN])), "array([1.    , 0.1016,    nan], dtype=bfloat16)");
    assert.equal(formatStr(list("bfloat16", [3.140625], [])), "3.14");
  });

  test("64-bit integers print all digits", () => {
    assert.equal(formatStr(list("uint64", [18446744073709551615n, 1])), "[18446744073709551615                    1]");
  });

  test("shortestDigits() reads back as the same number, and no shorter one does", () => {
    const readBack = (x: number, dtype: DType): void => {
      const { digits, point } = shortestDigits(x, dtype);
      const round = dtype === "float32" ? Math.fround : (y: number): number => new Float16Array([y])[0]!;
      assert.equal(round(Number(`0.${digits}e${point}`)), x, `${x}`);
      if (digits.length > 1) assert.notEqual(round(Number(x.toPrecision(digits.length - 1))), x, `${x}`);
    };
    fc.assert(fc.property(fc.float({ min: 0, noNaN: true, noDefaultInfinity: true }), (x) => readBack(x, "float32")));
    for (let bits = 0; bits < 0x7c00; bits += 7) {
      readBack(new Float16Array(new Uint16Array([bits]).buffer)[0]!, "float16");
    }
  });

  test("scaledInteger() rounds halves to even, exactly", () => {
    assert.deepEqual([0.5, 1.5, 2.5, 2.5000000000000004].map((x) => scaledInteger(x, 0)), [0n, 2n, 2n, 3n]);
    assert.equal(scaledInteger(0.125, 2), 12n);
    assert.equal(scaledInteger(1e23, -22), 10n);
    assert.equal(scaledInteger(0.1, 20), 10000000000000000555n);
    assert.equal(scaledInteger(5e-324, 326), 494n);
  });
});
