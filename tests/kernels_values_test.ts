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

  test("searches through long rows meet NaN and infinities, truth is known before their end", { skip: !ok }, () => {
    const n = 10_000;
    for (const dtype of ["float32", "float64"] as const) {
      for (const special of [[], [NaN], [Infinity], [-Infinity], [Infinity, NaN], [-Infinity, Infinity, NaN, NaN]]) {
        for (const at of [63, 4100]) {
          const values = Float64Array.from({ length: n }, (_, i) => (i * 7919 % 1000) - 500);
          special.forEach((v, i) => values[(at + 5000 * i) % n] = v);
          const x = tnp.array(values).astype(dtype).reshape(2, n / 2);
          for (const f of [tnp.argmax, tnp.argmin]) {
            const [c, js] = both(() => f(x, 1));
            assert.equal(c, js, `${f.name} of ${dtype} with ${special} from ${at}`);
          }
        }
      }
    }
    for (const at of [255, n - 1]) {
      const x = tnp.zeros([n], "bool").with([at], true);
      const [c, js] = both(() =>
        tnp.stack([tnp.any(x), tnp.all(x), tnp.all(tnp.logical_not(x)), tnp.any(x.with([at], false))])
      );
      assert.equal(c, js);
    }
  });

  test("powers by a known exponent are products and quotients", { skip: !ok }, () => {
    for (const dtype of ["float32", "float64", "int32", "uint8"] as const) {
      const x = tnp.array([0, 1, 2, 3, 7, 200]).astype(dtype), values = [...x.dataSync()].map(Number);
      const bits = (v: number) => dtype === "uint8" ? v & 255 : v;
      for (const p of [2, 3]) {
        assert.deepEqual(
          [...tnp.power(x, p).dataSync()].map(Number),
          values.map((v) => bits(v ** p)),
        );
      }
    }
    const x = tnp.array([0, -0, 2, -Infinity, NaN]);
    assert.deepEqual(tnp.power(x, -1).toArray(), [Infinity, -Infinity, 0.5, -0, NaN]);
    assert.deepEqual(tnp.grad((v: NDArray) => tnp.power(v, 3))(tnp.array(2.5)).item(), 18.75);
    assert.throws(() => tnp.power(tnp.array([2]), -1), RangeError);
  });
});
