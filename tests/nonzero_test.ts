import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tnp } from "../mod.ts";
import { configureCpu } from "../src/device/cpu.ts";
import { setThreadCount, threadCount } from "../src/device/threads.ts";
import { generator } from "./support/device.ts";

/** Truth values: few, half, nearly all, none, all, and only the last. */
const fillings = {
  few: (random) => random(50) === 0,
  half: (random) => random(2) === 0,
  most: (random) => random(50) !== 0,
  none: () => false,
  all: () => true,
  last: (_random, i, n) => i === n - 1,
} as const satisfies Record<string, (random: (n: number) => number, i: number, n: number) => boolean>;

function maskOf(shape: readonly number[], filling: keyof typeof fillings): Uint8Array<ArrayBuffer> {
  const n = shape.reduce((a, b) => a * b, 1), random = generator(5), make = fillings[filling];
  return Uint8Array.from({ length: n }, (_, i) => Number(make(random, i, n)));
}

/** Positions along each axis, by a loop. */
function expected(mask: Uint8Array, shape: readonly number[]): number[][] {
  const found: number[][] = shape.map(() => []);
  mask.forEach((value, i) => {
    if (value === 0) return;
    for (let d = shape.length - 1, rest = i; d >= 0; d--) {
      found[d]!.push(rest % shape[d]!);
      rest = Math.floor(rest / shape[d]!);
    }
  });
  return found;
}

const shapes = [[0], [7], [512], [513], [1021], [200_003], [3, 0], [40, 51], [7, 11, 13], [300, 2, 501]];

for (const engine of ["js", "c"] as const) {
  describe(`nonzero by ${engine}`, () => {
    for (const threads of [1, 3]) {
      test(`finds what is true on ${threads} threads`, () => {
        const before = threadCount();
        configureCpu({ engine });
        setThreadCount(threads);
        try {
          for (const shape of shapes) {
            for (const filling of Object.keys(fillings) as (keyof typeof fillings)[]) {
              const mask = maskOf(shape, filling), x = tnp.asarray(mask).reshape(shape).astype("bool");
              const want = expected(mask, shape), title = `${filling} [${shape}]`;
              assert.deepEqual(tnp.nonzero(x).map((i) => i.toArray()), want, title);
              const rows = Array.from({ length: want[0]!.length }, (_, i) => want.map((list) => list[i]!));
              assert.deepEqual(tnp.argwhere(x).toArray(), rows, title);
            }
          }
        } finally {
          setThreadCount(before);
          configureCpu(null);
        }
      });
    }
  });
}

describe("masks of several axes", () => {
  const x = tnp.arange(2 * 3 * 4 * 5).reshape([2, 3, 4, 5]);
  const mask = tnp.arange(12).reshape([3, 4]).mod(3).eq(1);
  const flat = [1, 4, 7, 10], merged = x.reshape([2, 12, 5]);

  test("take the place of their axes", () => {
    assert.deepEqual(x.at(":", mask).toArray(), merged.at(":", flat).toArray());
    assert.deepEqual(x.at("::-1", mask, 2).toArray(), merged.at("::-1", flat, 2).toArray());
    assert.deepEqual(x.at([0, 1, 1, 0], mask, ":").toArray(), merged.at([0, 1, 1, 0], flat).toArray());
    assert.deepEqual(
      x.transpose([2, 1, 0, 3]).at(mask.T).toArray(),
      x.transpose([2, 1, 0, 3]).at(...mask.T.nonzero()).toArray(),
    );
  });

  test("are assigned through", () => {
    const out = x.with([":", mask, 0], -1);
    assert.deepEqual(out.shape, x.shape);
    assert.deepEqual(out.toArray(), merged.with([":", flat, 0], -1).reshape(x.shape).toArray());
    assert.deepEqual(x.with([":", mask.and(false)], 7).toArray(), x.toArray());
  });

  test("name the array's own axes in errors", () => {
    assert.throws(() => x.at(":", mask, 5), { name: "IndexError", message: /axis 3 with size 5/ });
    assert.throws(() => x.at(":", ":", mask), { name: "IndexError", message: /axis 2 with size 4/ });
  });

  test("have gradients", () => {
    const y = tnp.linspace(1, 2, 12).reshape([3, 4]);
    const g = tnp.grad((v: typeof y) => tnp.square(v.at(mask)).sum())(y);
    assert.deepEqual(g.toArray(), tnp.where(mask, y.mul(2), 0).toArray());
  });
});
