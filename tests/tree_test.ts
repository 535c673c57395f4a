import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { debug, debugging, setDebug, warnOnce } from "../src/base/debug.ts";
import { flatten, flattenAll, mapTree, pathsOf, unflatten } from "../src/base/tree.ts";

const leaf = fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.constant(undefined));
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.string(), tie("tree"), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

describe("tree", () => {
  test("flatten() takes keys in sorted order and unflatten() puts leaves back", () => {
    const params = { w: [1, 2], b: { z: 3, a: null } };
    const { leaves, treedef } = flatten(params);
    assert.deepEqual(leaves, [null, 3, 1, 2]);
    assert.equal(treedef.key, '{"b":{"a":*,"z":*},"w":[*,*]}');
    assert.deepEqual(unflatten(treedef, ["a", "z", "w0", "w1"]), { w: ["w0", "w1"], b: { z: "z", a: "a" } });
    assert.deepEqual(pathsOf(treedef), ["b.a", "b.z", "w[0]", "w[1]"]);
  });

  test("unflatten() is the inverse of flatten()", () => {
    fc.assert(fc.property(tree, (value) => {
      const { leaves, treedef } = flatten(value);
      assert.deepEqual(unflatten(treedef, leaves), value);
      assert.equal(treedef.size, leaves.length);
      assert.equal(pathsOf(treedef).length, leaves.length);
      assert.equal(flatten(mapTree(value, () => 0)).treedef.key, treedef.key);
    }));
  });

  test("structures have equal keys if and only if they are equal", () => {
    fc.assert(fc.property(tree, tree, (a, b) => {
      const shapeOf = (value: unknown): unknown => mapTree(value, () => 0);
      const same = flatten(a).treedef.key === flatten(b).treedef.key;
      try {
        assert.deepEqual(shapeOf(a), shapeOf(b));
        assert.ok(same);
      } catch (error) {
        if (same) throw error;
      }
    }));
  });

  test("objects of a class, typed arrays and functions are leaves; so is what isLeaf names", () => {
    const map = new Map();
    const view = new Float32Array(2);
    assert.deepEqual(flatten([map, view, Math.sin]).leaves, [map, view, Math.sin]);
    const isComplex = (value: unknown) => typeof value === "object" && value !== null && "re" in value;
    assert.deepEqual(flatten([{ re: 1, im: 2 }], isComplex).leaves, [{ re: 1, im: 2 }]);
    assert.deepEqual(flatten(Object.create(null)).treedef.key, "{}");
  });

  test("mapTree() tells each leaf's place", () => {
    assert.deepEqual(mapTree({ a: [5], "b c": 6 }, (x, path) => `${path}=${x}`), { a: ["a[0]=5"], "b c": '["b c"]=6' });
  });

  test("flattenAll() refuses trees that differ", () => {
    assert.deepEqual(flattenAll("f", [[1, 2], [3, 4]]).leaves, [[1, 2], [3, 4]]);
    assert.throws(() => flattenAll("map_fn", [[1, 2], { a: 1 }]), {
      name: "TypeError",
      message: 'map_fn: trees differ in structure, [*,*] and {"a":*}',
    });
    assert.throws(() => unflatten(flatten([1]).treedef, []), {
      message: "unflatten: got 0 leaves, expected 1 for [*]",
    });
  });

  test("flatten() refuses a tree that contains itself, but takes one part twice", () => {
    const knot: unknown[] = [];
    knot.push(knot);
    assert.throws(() => flatten(knot), { message: "flatten: the tree contains itself" });
    const part = [1];
    assert.deepEqual(flatten([part, part]).leaves, [1, 1]);
  });
});

describe("debug", () => {
  test("messages are made only at their level, warnings come once", () => {
    const { error, warn } = console;
    const lines: unknown[] = [];
    console.error = console.warn = (line: unknown): void => void lines.push(line);
    try {
      setDebug("2");
      debug("engines", "engine");
      debug("evaluations", () => "two kernels");
      debug("kernels", () => assert.fail("made for nothing"));
      assert.ok(!debugging("source"));
      warnOnce("once");
      warnOnce("once");
      setDebug("nonsense");
      assert.ok(!debugging("engines"));
    } finally {
      setDebug(0);
      console.error = error;
      console.warn = warn;
    }
    assert.deepEqual(lines, ["tnp: engine", "tnp: two kernels", "tnp: once"]);
  });
});
