/** Compiled arithmetic that takes a way of its own, at the values where that could go wrong. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type NDArray, tnp } from "../mod.ts";
import { configureCpu } from "../src/device/cpu.ts";
import { toolchain } from "../src/device/native.ts";
import { generator } from "./support/device.ts";

const least = -(2n ** 63n), most = 2n ** 63n - 1n;

/** Integers of every size, near powers of two, and at the ends. */
function hardIntegers(count: number, seed: number): bigint[] {
  const random = generator(seed);
  const any = () => BigInt.asIntN(64, BigInt(random(2 ** 32)) << 32n | BigInt(random(2 ** 32)));
  const kinds = [
    any,
    () => any() >> BigInt(random(64)),
    () => BigInt(random(41) - 20),
    () => least + BigInt(random(5)),
    () => most - BigInt(random(5)),
    () => BigInt.asIntN(64, (1n << BigInt(random(64))) + BigInt(random(5) - 2)),
  ];
  return Array.from({ length: count }, () => kinds[random(kinds.length)]!());
}

/** The same in compiled C and in JavaScript. */
function both(f: () => NDArray): [string, string] {
  const run = (engine: "c" | "js"): string => {
    configureCpu({ engine });
    return String(f().dataSync());
  };
  try {
    return [run("c"), run("js")];
  } finally {
    configureCpu(null);
  }
}

describe("compiled arithmetic", () => {
  configureCpu({ engine: "c" });
  const { ok } = toolchain();
  configureCpu(null);

  test("quotients and remainders of int64 are floored at every size", { skip: !ok }, () => {
    const n = 20_000, divisors = hardIntegers(n, 1), factors = hardIntegers(n, 2), rests = hardIntegers(n, 3);
    // Half of them next to a multiple, where an estimate is most likely off by one.
    const numbers = divisors.map((b, i) =>
      i % 2 ? factors[i]! : BigInt.asIntN(64, b * (factors[i]! >> 40n) + (rests[i]! % 3n))
    );
    const a = tnp.array(BigInt64Array.from(numbers)), b = tnp.array(BigInt64Array.from(divisors));
    for (const f of [tnp.floor_divide, tnp.remainder]) {
      const [c, js] = both(() => f(a, b));
      assert.equal(c, js);
    }
    const quotients = tnp.floor_divide(a, b).dataSync() as BigInt64Array;
    numbers.forEach((x, i) => {
      const y = divisors[i]!;
      if (y === 0n) return;
      const q = x / y - (x % y !== 0n && (x < 0n) !== (y < 0n) ? 1n : 0n);
      assert.equal(quotients[i], BigInt.asIntN(64, q), `${x} // ${y}`);
    });
  });

  test("NaN goes through maxima and minima that follow one another", { skip: !ok }, () => {
    const values = [NaN, -Infinity, -2, -0, 0, 0.5, 3, Infinity];
    for (const dtype of ["float32", "float64", "float16"] as const) {
      const x = tnp.array(values.flatMap((v) => values.map(() => v)), { dtype });
      const y = tnp.array(values.flatMap(() => values), { dtype });
      for (
        const f of [
          () => tnp.clip(x, y, 1),
          () => tnp.minimum(tnp.maximum(tnp.minimum(x, 2), y), 1),
          () => tnp.fmin(tnp.fmax(x, y), 1),
        ]
      ) {
        const [c, js] = both(f);
        assert.equal(c, js, dtype);
      }
      assert.equal(String(tnp.fmax(x, y).dataSync().slice(0, 3)), "NaN,-Infinity,-2");
      assert.equal(String(tnp.maximum(y, x).dataSync().slice(0, 3)), "NaN,NaN,NaN");
    }
  });

  // The larger ones do so by themselves, the others with what is read on the way, where the cache has less than 36 MiB.
  test("results that go past the cache are whole, also in rows that begin anywhere", { skip: !ok }, () => {
    configureCpu({ engine: "c" });
    try {
      for (const n of [4_200_001, 1_500_001]) {
        using x = tnp.arange(n, { dtype: "float64" });
        using rows = x.add(tnp.array([[0], [0.5]]));
        using again = rows.mul(2);
        for (const [result, factor] of [[rows, 1], [again, 2]] as const) {
          const values = result.dataSync() as Float64Array;
          assert.equal(values.length, 2 * n);
          const wrong = values.findIndex((v, i) => v !== factor * (i < n ? i : i - n + 0.5));
          assert.equal(wrong, -1);
        }
      }
    } finally {
      configureCpu(null);
    }
  });
});
