import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type DType, dtypeNames, dtypes } from "../src/base/dtype.ts";
import { DTypePromotionError } from "../src/base/errors.ts";
import { finfo, iinfo } from "../src/base/limits.ts";
import {
  canCast,
  type Casting,
  checkInteger,
  defaultFloat,
  defaultInt,
  isSubdtype,
  literalType,
  type Operand,
  promoteOperands,
  promoteTypes,
  type PromotionMode,
  promotionMode,
  resultType,
  type ScalarKind,
  setPromotion,
  type WeakKind,
  weakKindOf,
} from "../src/base/promote.ts";
import { readJson, readLines } from "./golden/read.ts";

const golden = readJson("promotion.json") as {
  dtypes: DType[];
  promote_types: (DType | null)[][];
  result_type_weak: Record<WeakKind, (DType | null)[]>;
  result_type_many: [DType[], WeakKind[], DType | null][];
  can_cast: Record<Casting, string[]>;
  issubdtype: Record<ScalarKind, string>;
  finfo: Record<string, Record<string, number>>;
  iinfo: Record<string, { bits: number; min: string; max: string }>;
};

/** The result as text, or null where there is none. */
function attempt(run: () => string): string | null {
  try {
    return run();
  } catch (error) {
    if (error instanceof DTypePromotionError) return null;
    throw error;
  }
}

/** Runs under a mode and sets the default again. */
function under<T>(mode: PromotionMode, run: () => T, preferFloat32 = false): T {
  setPromotion({ mode, preferFloat32 });
  try {
    return run();
  } finally {
    setPromotion({ mode: "legacy", preferFloat32: false });
  }
}

const anyDType = fc.constantFrom(...dtypeNames);

describe("promotion", () => {
  test("promoteTypes() is numpy.promote_types on all pairs", () => {
    golden.dtypes.forEach((a, i) =>
      golden.dtypes.forEach((b, j) => {
        assert.equal(attempt(() => promoteTypes(a, b)), golden.promote_types[i]![j], `${a} ${b}`);
      })
    );
  });

  test("resultType() of a dtype and a plain value is numpy.result_type", () => {
    for (const weak of ["b", "i", "f", "c"] as const) {
      golden.dtypes.forEach((dtype, i) => {
        // NumPy does not know bfloat16 and widens it beside a plain number; here a plain number leaves it as it is.
        const expected = dtype === "bfloat16" && weak === "f" ? "bfloat16" : golden.result_type_weak[weak][i];
        assert.equal(attempt(() => resultType("f", [{ dtype }, { weak }])), expected, `${dtype} ${weak}`);
        assert.equal(attempt(() => resultType("f", [{ weak }, { dtype }])), expected, `${weak} ${dtype}`);
      });
    }
  });

  test("resultType() of many operands is numpy.result_type", () => {
    for (const [some, weak, expected] of golden.result_type_many) {
      const operands: Operand[] = [...some.map((dtype) => ({ dtype })), ...weak.map((kind) => ({ weak: kind }))];
      assert.equal(resultType("f", operands), expected, `${some.join(" ")} ${weak.join("")}`);
    }
  });

  test("resultType() under legacy does not depend on the order", () => {
    const operand = fc.oneof(
      anyDType.filter((dtype) => dtype !== "bfloat16").map((dtype): Operand => ({ dtype })),
      fc.constantFrom<WeakKind>("b", "i", "f", "c").map((weak): Operand => ({ weak })),
    );
    const pair = fc.array(operand, { minLength: 1, maxLength: 5 })
      .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(fc.property(pair, ([list, shuffled]) => {
      assert.equal(resultType("f", list), resultType("f", shuffled));
    }));
  });

  test("promoteTypes() gives an upper bound that both cast to safely", () => {
    fc.assert(fc.property(anyDType, anyDType, (a, b) => {
      const out = attempt(() => promoteTypes(a, b)) as DType | null;
      if (out === null) return;
      assert.ok(canCast(a, out) && canCast(b, out), `${a} ${b} ${out}`);
      assert.equal(promoteTypes(out, a), out);
      assert.equal(promoteTypes(b, a), out);
    }));
  });

  test("the modes all and safe follow TensorFlow's table on all 400 pairs", () => {
    const rows = readLines("lattice.tsv").slice(1).map((line) =>
      line.split("\t") as [DType, string, DType, string, string, string]
    );
    assert.equal(rows.length, 400);
    for (const [left, leftWeak, right, rightWeak, all, safe] of rows) {
      const operands = [{ dtype: left, weak: leftWeak === "y" }, { dtype: right, weak: rightWeak === "y" }];
      const run = (): string => {
        const { dtype, weak } = promoteOperands("f", operands);
        return `${dtype}${weak ? "*" : ""}`;
      };
      const title = `${left} ${leftWeak} ${right} ${rightWeak}`;
      assert.equal(under("all", () => attempt(run)), all, title);
      assert.equal(under("safe", () => attempt(run)) ?? "TypeError", safe, title);
    }
  });

  test("plain numbers under all and safe are int32 and float32", () => {
    under("safe", () => {
      assert.equal(resultType("f", [{ weak: "i", value: 1 }]), "int32");
      assert.equal(resultType("f", [{ weak: "f" }, { weak: "i", value: 1 }]), "float32");
      assert.deepEqual(promoteOperands("f", []), { dtype: "float32", weak: true });
      assert.throws(() => resultType("add", [{ dtype: "int64" }, { weak: "i", value: 2 ** 31 }]), {
        name: "RangeError",
        message: "add: integer 2147483648 is out of bounds for int32",
      });
      assert.throws(() => resultType("add", [{ dtype: "int8" }, { dtype: "uint8" }]), {
        name: "DTypePromotionError",
        message: 'add: int8 and uint8 do not mix in promotion mode "safe"; "all" gives int16, or cast with astype',
      });
    });
  });

  test("the mode off takes equal dtypes and plain values that fit them", () => {
    under("off", () => {
      assert.equal(resultType("f", [{ dtype: "float32" }, { weak: "i" }]), "float32");
      assert.equal(resultType("f", [{ dtype: "int8" }, { dtype: "int8" }]), "int8");
      assert.equal(resultType("f", [{ weak: "f" }]), "float64");
      assert.throws(() => resultType("add", [{ dtype: "int32" }, { dtype: "int64" }]), {
        message: 'add: int32 and int64 do not mix in promotion mode "off"; cast with astype',
      });
      assert.throws(() => resultType("add", [{ dtype: "int32" }, { weak: "f" }]), DTypePromotionError);
      assert.throws(() => resultType("add", [{ dtype: "bool" }, { weak: "i" }]), DTypePromotionError);
    });
  });

  test("bfloat16 with float16 or wide integers has no dtype under legacy", () => {
    assert.throws(() => resultType("add", [{ dtype: "bfloat16" }, { dtype: "int32" }]), {
      name: "DTypePromotionError",
      message: "add: no common dtype for bfloat16 and int32; cast one with astype",
    });
  });

  test("prefer_float32 makes plain numbers float32 where nothing narrower decides", () => {
    under("legacy", () => {
      assert.equal(literalType("f"), "float32");
      assert.equal(literalType("c"), "complex64");
      assert.equal(literalType("i"), "int64");
      assert.equal(resultType("f", [{ dtype: "uint8" }, { weak: "f" }]), "float32");
      assert.equal(resultType("f", [{ dtype: "int32" }, { weak: "f" }]), "float64");
      assert.equal(resultType("f", [{ dtype: "float16" }, { weak: "f" }]), "float16");
      assert.equal(defaultFloat(), "float64");
    }, true);
    assert.equal(literalType("f"), "float64");
  });

  test("defaults follow the mode", () => {
    assert.deepEqual([defaultInt(), defaultFloat()], ["int64", "float64"]);
    assert.deepEqual(under("all", () => [defaultInt(), defaultFloat()]), ["int32", "float32"]);
    assert.deepEqual(under("off", () => [defaultInt(), defaultFloat()]), ["int64", "float64"]);
    assert.equal(promotionMode(), "legacy");
    assert.throws(() => setPromotion({ mode: "loose" as PromotionMode }), {
      message: 'dtype_conversion_mode: got "loose", expected one of off, legacy, safe, all',
    });
  });

  test("weak kinds of plain values", () => {
    const kinds = [true, 1, -0, 1.5, NaN, 2n, { re: 1, im: 2 }, "1", null, undefined, [1]].map(weakKindOf);
    assert.deepEqual(kinds, ["b", "i", "i", "f", "f", "i", "c", null, null, null, null]);
  });

  test("checkInteger() refuses what a dtype cannot hold, exactly", () => {
    checkInteger("add", 255, "uint8");
    checkInteger("add", 1e300, "float32");
    checkInteger("add", (1n << 63n) - 1n, "int64");
    assert.throws(() => checkInteger("add", 2 ** 63, "int64"), RangeError);
    assert.throws(() => checkInteger("add", 256, "uint8"), {
      message: "add: integer 256 is out of bounds for uint8",
    });
    assert.throws(() => checkInteger("add", -1n, "uint64"), RangeError);
  });

  test("canCast() is numpy.can_cast on all pairs", () => {
    for (const [casting, rows] of Object.entries(golden.can_cast) as [Casting, string[]][]) {
      golden.dtypes.forEach((from, i) =>
        golden.dtypes.forEach((to, j) => {
          // To NumPy bfloat16 has no kind of its own: it lets complex numbers in and does not let it into float16.
          const stray = ["complex64 bfloat16", "complex128 bfloat16", "bfloat16 float16"].includes(`${from} ${to}`);
          if (casting === "same_kind" && stray) return;
          assert.equal(canCast(from, to, casting), rows[i]![j] === "y", `${from} ${to} ${casting}`);
        })
      );
    }
    assert.throws(() => canCast("int8", "int8", "loose" as Casting), TypeError);
  });

  test("isSubdtype() is numpy.issubdtype", () => {
    for (const [kind, row] of Object.entries(golden.issubdtype) as [ScalarKind, string][]) {
      golden.dtypes.forEach((dtype, i) => assert.equal(isSubdtype(dtype, kind), row[i] === "y", `${dtype} ${kind}`));
    }
    assert.ok(isSubdtype("int8", "int8") && !isSubdtype("int8", "int16"));
    assert.throws(() => isSubdtype("int8", "nothing" as DType), TypeError);
  });

  test("finfo() and iinfo() are NumPy's", () => {
    for (const [dtype, facts] of Object.entries(golden.finfo)) {
      for (const [name, value] of Object.entries(facts)) {
        const own = finfo(dtype as DType)[name as "eps"];
        if (name === "resolution") assert.ok(Math.abs(own / value - 1) < 1e-3);
        else assert.equal(own, value, `${dtype} ${name}`);
      }
    }
    assert.equal(finfo("complex64"), finfo("float32"));
    for (const [dtype, { bits, min, max }] of Object.entries(golden.iinfo)) {
      const info = iinfo(dtype as DType);
      assert.deepEqual([info.bits, String(info.min), String(info.max)], [bits, min, max]);
      assert.equal(info.kind, dtypes[dtype as DType].kind);
    }
    assert.throws(() => finfo("int32"), { message: "finfo: got int32, expected a floating or complex dtype" });
    assert.throws(() => iinfo("bool"), TypeError);
  });
});
