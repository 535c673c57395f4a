import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { AxisError, ShapeError } from "../src/base/errors.ts";
import {
  broadcastShapes,
  broadcastStrides,
  checkShape,
  collapse,
  contiguousStrides,
  extentOf,
  isContiguous,
  normalizeAxes,
  normalizeAxis,
  reducedShape,
  reshapeStrides,
  resolveReshape,
  sizeOf,
} from "../src/base/shape.ts";

/** The element offsets of a view in C order. */
function offsets(shape: readonly number[], strides: readonly number[], start = 0): number[] {
  let out = [start];
  shape.forEach((length, axis) => {
    out = out.flatMap((at) => Array.from({ length }, (_, i) => at + i * strides[axis]!));
  });
  return out;
}

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
/** A view: a permutation of a dense array, with steps and directions, some axes repeated. */
const views = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(1, 1, 1, 2, -1, 0)), { maxLength: 4 })
  .chain((axes) => fc.tuple(fc.constant(axes), fc.shuffledSubarray(axes.map((_, i) => i), { minLength: axes.length })))
  .map(([axes, order]) => {
    let step = 1;
    const strides = axes.map(([length, by]) => {
      const stride = step * by;
      step *= length * Math.max(1, Math.abs(by));
      return stride;
    });
    return { shape: order.map((i) => axes[i]![0]), strides: order.map((i) => strides[i]!) };
  });

describe("shape", () => {
  test("broadcastShapes() gives NumPy's shape", () => {
    assert.deepEqual(broadcastShapes("f", [3, 1], [4]), [3, 4]);
    assert.deepEqual(broadcastShapes("f", [], [2, 0, 3], [1]), [2, 0, 3]);
    assert.deepEqual(broadcastShapes("f", [1], [0]), [0]);
    assert.deepEqual(broadcastShapes("f"), []);
  });

  test("broadcastShapes() shows the shapes that do not fit", () => {
    assert.throws(() => broadcastShapes("add", [2, 3], [4]), {
      name: "ShapeError",
      message: "add: operands could not be broadcast together with shapes [2, 3] [4]",
    });
    assert.throws(() => broadcastShapes("add", [0], [2]), ShapeError);
  });

  test("broadcastShapes() does not depend on the order and agrees with broadcastStrides()", () => {
    fc.assert(fc.property(fc.array(shapes, { minLength: 1, maxLength: 3 }), (list) => {
      let out: readonly number[];
      try {
        out = broadcastShapes("f", ...list);
      } catch (error) {
        assert.ok(error instanceof ShapeError);
        assert.throws(() => broadcastShapes("f", ...list.toReversed()), ShapeError);
        return;
      }
      assert.deepEqual(broadcastShapes("f", ...list.toReversed()), out);
      for (const shape of list) {
        // Reading through the strides equals padding with ones on the left and repeating.
        const strides = broadcastStrides("f", shape, contiguousStrides(shape), out);
        assert.equal(offsets(out, strides).length, sizeOf(out));
        assert.deepEqual(broadcastShapes("f", shape, out), out);
        strides.forEach((stride, axis) => {
          const own = shape[axis - (out.length - shape.length)] ?? 1;
          if (own === 1) assert.equal(stride, 0);
        });
      }
    }));
  });

  test("broadcastStrides() refuses a target that is too small", () => {
    assert.throws(() => broadcastStrides("broadcast_to", [3, 4], [4, 1], [4]), {
      message: "broadcast_to: cannot broadcast shape [3, 4] to [4]",
    });
    assert.throws(() => broadcastStrides("broadcast_to", [3], [1], [1]), ShapeError);
  });

  test("reshapeStrides() reads the same elements, or says that a copy is needed", () => {
    fc.assert(fc.property(views, shapes, ({ shape, strides }, wish) => {
      const size = sizeOf(shape);
      const target = sizeOf(wish) === size ? wish : [size];
      const found = reshapeStrides(shape, strides, target);
      if (found !== null) assert.deepEqual(offsets(target, found), offsets(shape, strides));
      // A dense array can always be reshaped, and any view can be read as itself with ones put in.
      assert.notEqual(reshapeStrides(shape, contiguousStrides(shape), target), null);
      const more = [1, ...shape, 1];
      const same = reshapeStrides(shape, strides, more);
      assert.notEqual(same, null);
      assert.deepEqual(offsets(more, same!), offsets(shape, strides));
    }));
    assert.equal(reshapeStrides([3, 4], [1, 3], [12]), null);
    assert.deepEqual(reshapeStrides([3, 4], [8, 2], [12]), [2]);
    assert.deepEqual(reshapeStrides([12], [-2], [3, 4]), [-8, -2]);
    assert.deepEqual(reshapeStrides([0, 3], [3, 1], [5, 0]), [0, 1]);
  });

  test("collapse() keeps the order of elements for every operand and merges all it can", () => {
    fc.assert(fc.property(views, fc.boolean(), ({ shape, strides }, dense) => {
      const list = dense ? [strides, contiguousStrides(shape)] : [strides];
      const out = collapse(shape, list);
      list.forEach((own, k) => assert.deepEqual(offsets(out.shape, out.strides[k]!), offsets(shape, own)));
      assert.ok(!out.shape.includes(1));
      for (let i = 1; i < out.shape.length; i++) {
        assert.ok(out.strides.some((own) => own[i - 1] !== own[i]! * out.shape[i]!));
      }
    }));
    assert.deepEqual(collapse([2, 3, 4], [[12, 4, 1]]), { shape: [24], strides: [[1]] });
    assert.deepEqual(collapse([2, 3, 4], [[12, 4, 1], [0, 0, 0]]), { shape: [24], strides: [[1], [0]] });
    assert.deepEqual(collapse([], [[]]), { shape: [], strides: [[]] });
    assert.deepEqual(collapse([2, 0], [[0, 1]]), { shape: [0], strides: [[1]] });
  });

  test("isContiguous() ignores the strides of axes of length 1 and of empty arrays", () => {
    assert.ok(isContiguous([1, 3], [77, 1]));
    assert.ok(isContiguous([2, 0], [5, 9]));
    assert.ok(isContiguous([], []));
    assert.ok(!isContiguous([2, 3], [1, 2]));
    fc.assert(fc.property(views, ({ shape, strides }) => {
      const inOrder = offsets(shape, strides).every((at, i) => at === i);
      assert.equal(isContiguous(shape, strides), inOrder);
    }));
  });

  test("extentOf() bounds what a view touches", () => {
    fc.assert(fc.property(views, ({ shape, strides }) => {
      const all = offsets(shape, strides, 100);
      assert.deepEqual(extentOf(shape, strides, 100), { low: Math.min(...all), high: Math.max(...all) + 1 });
    }));
    assert.deepEqual(extentOf([0], [1], 3), { low: 3, high: 3 });
  });

  test("resolveReshape() finds the length of -1", () => {
    assert.deepEqual(resolveReshape("reshape", 12, [3, -1]), [3, 4]);
    assert.deepEqual(resolveReshape("reshape", 0, [-1, 3]), [0, 3]);
    assert.deepEqual(resolveReshape("reshape", 1, []), []);
  });

  test("resolveReshape() names what does not fit", () => {
    const message = (size: number, shape: number[]) => {
      try {
        resolveReshape("reshape", size, shape);
      } catch (error) {
        return (error as Error).message;
      }
      return null;
    };
    assert.equal(message(6, [4, 2]), "reshape: cannot reshape array of size 6 into shape [4, 2]");
    assert.equal(message(0, [0, -1]), "reshape: cannot reshape array of size 0 into shape [0, -1]");
    assert.equal(message(6, [-1, -1]), "reshape: only one dimension can be -1, got [-1, -1]");
    assert.equal(message(6, [-2, 3]), "reshape: negative dimensions are not allowed, got [-2, 3]");
    assert.equal(message(6, [1.5, 4]), "reshape: lengths of axes must be integers, got 1.5");
  });

  test("normalizeAxis() counts from the end and refuses what is outside", () => {
    assert.equal(normalizeAxis("sum", -1, 3), 2);
    assert.throws(() => normalizeAxis("sum", 2, 2), {
      name: "AxisError",
      message: "sum: axis 2 is out of bounds for array of dimension 2",
    });
    assert.throws(() => normalizeAxis("sum", -3, 2), AxisError);
    assert.throws(() => normalizeAxis("sum", 0, 0), AxisError);
    assert.throws(() => normalizeAxis("sum", 0.5, 2), TypeError);
  });

  test("normalizeAxes() keeps the order and refuses duplicates", () => {
    assert.deepEqual(normalizeAxes("transpose", [2, 0, -2], 3), [2, 0, 1]);
    assert.deepEqual(normalizeAxes("sum", null, 2), [0, 1]);
    assert.throws(() => normalizeAxes("sum", [0, -2], 2), { name: "AxisError", message: /axis -2 is given twice/ });
  });

  test("reducedShape() drops axes or keeps them with length 1", () => {
    assert.deepEqual(reducedShape([2, 3, 4], [0, 2]), [3]);
    assert.deepEqual(reducedShape([2, 3, 4], [0, 2], true), [1, 3, 1]);
  });

  test("checkShape() refuses negative, fractional and absurd lengths", () => {
    checkShape("zeros", [2, 0, 3]);
    assert.throws(() => checkShape("zeros", [-1]), ShapeError);
    assert.throws(() => checkShape("zeros", [1.5]), TypeError);
    assert.throws(() => checkShape("zeros", [2 ** 30, 2 ** 30]), { message: /too big/ });
    checkShape("zeros", [2 ** 30, 2 ** 30, 0]);
  });
});
