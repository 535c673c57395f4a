import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Index, IndexError, ShapeError, tnp, TracerError } from "../mod.ts";
import { cpu } from "../src/device/cpu.ts";
import { planCache } from "../src/graph/cache.ts";

const x = tnp.arange(24).reshape(2, 3, 4);
const list = (...index: Index[]) => x.at(...index).toArray();

describe("at", () => {
  test("takes integers, slices, new axes and ellipses", () => {
    assert.equal(list(1, 2, 3), 23);
    assert.equal(list(-1, -1, -1), 23);
    assert.deepEqual(list(0, "1:", "::2"), [[4, 6], [8, 10]]);
    assert.deepEqual(list("...", 0), [[0, 4, 8], [12, 16, 20]]);
    assert.deepEqual(x.at(1, tnp.newaxis, "1:3", "...").shape, [1, 2, 4]);
    assert.deepEqual(list(0, 0, tnp.slice(3, 0, -2)), [3, 1]);
    assert.deepEqual(list(0, 0, tnp.slice(2)), [0, 1]);
    assert.deepEqual(x.at(":", ":", "5:").shape, [2, 3, 0]);
    assert.equal(x.at(tnp.array(1), 0, 0).item(), 12);
    assert.equal(x.at(1n, 0, 0).item(), 12);
  });

  test("takes masks of any rank at any axis", () => {
    assert.deepEqual(list(0, [true, false, true], 1), [1, 9]);
    assert.deepEqual(x.at(x.gt(20)).toArray(), [21, 22, 23]);
    assert.deepEqual(x.at(0, x.at(0).gt(9)).toArray(), [10, 11]);
    assert.deepEqual(x.at(true).shape, [1, 2, 3, 4]);
    assert.deepEqual(x.at(false).shape, [0, 2, 3, 4]);
  });

  test("takes integer arrays that broadcast together", () => {
    assert.deepEqual(list([0, 1], [2, 0], [3, 1]), [11, 13]);
    assert.deepEqual(list(1, [0, 0, 1], tnp.asarray([0, 1, 1])), [12, 13, 17]);
    assert.deepEqual(x.at([[0], [1]], [0, 2]).shape, [2, 2, 4]);
    assert.deepEqual(x.at(":", [[0, 1], [2, 0]]).shape, [2, 2, 2, 4]);
    assert.deepEqual(x.at([]).shape, [0, 3, 4]);
  });

  test("puts the axes of separated index arrays first, as NumPy does", () => {
    assert.deepEqual(x.at(0, ":", [0, 1]).shape, [2, 3]);
    assert.deepEqual(x.at([0, 1], ":", [0, 1]).shape, [2, 3]);
    assert.deepEqual(x.at(":", [0, 1], [0, 1]).shape, [2, 2]);
    assert.deepEqual(x.at([0], tnp.newaxis, [1]).shape, [1, 1, 4]);
  });

  test("refuses what NumPy refuses", () => {
    const bad: [Index[], RegExp][] = [
      [[2], /index 2 is out of bounds for axis 0 with size 2/],
      [[0, -4], /index -4 is out of bounds for axis 1 with size 3/],
      [[[0, 2]], /index 2 is out of bounds for axis 0 with size 2/],
      [[0, 0, 0, 0], /too many indices: the array has 3 axes, but 4 were indexed/],
      [["...", "..."], /single ellipsis/],
      [[[true]], /boolean index of shape \[1\] does not match axis 0 with size 2/],
      [[[0.5]], /arrays used as indices must be of integers or booleans, got float64/],
      [[0.5], /got index 0\.5/],
      [["one"], /got index "one"/],
      [["::0"], /step/],
      [[[0, 1], [0, 1, 2]], /broadcast/],
    ];
    for (const [index, message] of bad) {
      assert.throws(() => x.at(...index), (error: Error) => error instanceof IndexError && message.test(error.message));
    }
  });

  test("clamps traced positions and needs to know masks", () => {
    const pick = tnp.function((i: ReturnType<typeof tnp.array>) => tnp.arange(3).at(i));
    assert.equal(pick(tnp.array(7)).item(), 2);
    const mask = tnp.function((m: ReturnType<typeof tnp.array>) => tnp.arange(2).at(m));
    assert.throws(() => mask(tnp.array([true, false])), TracerError);
  });
});

describe("with", () => {
  test("is one computation at every position", () => {
    const put = (i: number) => tnp.zeros([7, 3]).with([i], [1, 2, 3]).with([i, 1], 5).toArray() as number[][];
    const cache = planCache(cpu);
    put(0);
    const before = cache.misses;
    for (let i = 1; i < 7; i++) assert.deepEqual(put(i)[i], [1, 5, 3]);
    assert.equal(cache.misses, before);
  });

  test("repeats values of length 1 in a selection of more", () => {
    assert.deepEqual(tnp.zeros([2, 3]).with([":", "1:"], [[1], [2]]).toArray(), [[0, 1, 1], [0, 2, 2]]);
    assert.deepEqual(tnp.zeros([1, 2]).with([0], 3).toArray(), [[3, 3]]);
    assert.deepEqual(tnp.ones([2, 2]).with([-1, "::-1"], [2, 3], { mode: "add" }).toArray(), [[1, 1], [4, 3]]);
  });

  test("sets by slices and integers", () => {
    assert.deepEqual(tnp.zeros([2, 3]).with([0, ":"], [1, 2, 3]).toArray(), [[1, 2, 3], [0, 0, 0]]);
    assert.deepEqual(tnp.zeros(5).with(["::2"], 7).toArray(), [7, 0, 7, 0, 7]);
    assert.deepEqual(tnp.zeros(5).with(["3:0:-2"], [1, 2]).toArray(), [0, 2, 0, 1, 0]);
    assert.deepEqual(tnp.arange(3).with([-1], 9.7).toArray(), [0, 1, 9]);
    assert.deepEqual(tnp.arange(3).with(["5:"], []).toArray(), [0, 1, 2]);
  });

  test("sets by masks and index arrays", () => {
    assert.deepEqual(tnp.arange(4).with([tnp.array([true, false, true, false])], -1).toArray(), [-1, 1, -1, 3]);
    assert.deepEqual(tnp.zeros([2, 2]).with([[0, 1], [1, 0]], [5, 6]).toArray(), [[0, 5], [6, 0]]);
    assert.deepEqual(tnp.zeros([2, 3]).with([":", [0, 2]], [[1, 2], [3, 4]]).toArray(), [[1, 0, 2], [3, 0, 4]]);
    assert.deepEqual(tnp.zeros([3, 2]).with(["1:", [1]], [[1], [2]]).toArray(), [[0, 0], [0, 1], [0, 2]]);
    assert.deepEqual(tnp.zeros([2]).with([[0, 0]], [1, 2]).toArray(), [2, 0]);
  });

  test("combines by mode, repeated positions each time", () => {
    const base = tnp.array([1, 2, 3]);
    assert.deepEqual(base.with([[0, 0, 2]], 10, { mode: "add" }).toArray(), [21, 2, 13]);
    assert.deepEqual(base.with([[0, 0]], 3, { mode: "multiply" }).toArray(), [9, 2, 3]);
    assert.deepEqual(base.with([":"], 2, { mode: "min" }).toArray(), [1, 2, 2]);
    assert.deepEqual(base.with([[0, 1]], [5, 0], { mode: "max" }).toArray(), [5, 2, 3]);
    assert.deepEqual(base.toArray(), [1, 2, 3]);
  });

  test("refuses values that do not fit", () => {
    assert.throws(() => tnp.zeros([2, 3]).with([0], [1, 2]), ShapeError);
    assert.throws(() => tnp.zeros([2], tnp.int8).with([0], 300), RangeError);
    assert.throws(() => tnp.zeros([2]).with([5], 1), IndexError);
    assert.throws(() => tnp.zeros([2]).with([0], 1, { mode: "sum" as "add" }), TypeError);
    assert.throws(() => tnp.zeros([2]).with(0 as unknown as [], 1), TypeError);
  });
});
