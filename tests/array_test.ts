import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";
import { DisposedError, NDArray, ShapeError, tnp, TracerError } from "../mod.ts";

describe("attributes", () => {
  test("tell shape, dtype and size", () => {
    const x = tnp.zeros([2, 3], tnp.complex64);
    assert.deepEqual(x.shape, [2, 3]);
    assert.equal(x.ndim, 2);
    assert.equal(x.size, 6);
    assert.equal(x.dtype, "complex64");
    assert.equal(x.itemsize, 8);
    assert.equal(x.nbytes, 48);
    assert.equal(x.device, "CPU:0");
    assert.deepEqual(x.T.shape, [3, 2]);
    assert.deepEqual(tnp.zeros([2, 3, 4]).mT.shape, [2, 4, 3]);
    assert.equal(x.real.dtype, "float32");
  });

  test("give a shape that cannot change the array", () => {
    const x = tnp.zeros([2, 3]);
    x.shape.push(4);
    assert.deepEqual(x.shape, [2, 3]);
  });
});

describe("reading", () => {
  test("gives each dtype's typed array", async () => {
    const kinds = {
      bool: Uint8Array,
      int8: Int8Array,
      int64: BigInt64Array,
      uint64: BigUint64Array,
      float16: Float16Array,
      bfloat16: Uint16Array,
      float32: Float32Array,
      complex64: Float32Array,
      complex128: Float64Array,
    } as const;
    for (const [dtype, type] of Object.entries(kinds)) {
      const x = tnp.array([1, 2], dtype as keyof typeof kinds);
      const data = x.dataSync();
      assert.ok(data instanceof type, dtype);
      assert.equal(data.length, dtype.startsWith("complex") ? 4 : 2);
      assert.deepEqual(await x.data(), data);
    }
  });

  test("copies: the array never changes", () => {
    const x = tnp.array([1, 2], tnp.float32);
    x.dataSync()[0] = 9;
    assert.deepEqual(x.toArray(), [1, 2]);
  });

  test("nests, and narrows 64-bit integers where numbers are exact", () => {
    assert.deepEqual(tnp.array([[1, 2], [3, 4]]).toArray(), [[1, 2], [3, 4]]);
    assert.deepEqual(tnp.array([2n ** 53n, 5n]).toArray(), [2n ** 53n, 5]);
    assert.deepEqual(tnp.array([true, false]).toArray(), [true, false]);
    assert.deepEqual(tnp.array([{ re: 1, im: -2 }]).toArray(), [{ re: 1, im: -2 }]);
    assert.deepEqual(tnp.array([1.5, -0.0078125], tnp.bfloat16).toArray(), [1.5, -0.0078125]);
    assert.deepEqual(tnp.zeros([2, 0, 3]).toArray(), [[], []]);
    assert.equal(tnp.array(7).toArray(), 7);
  });

  test("item takes one element", () => {
    const x = tnp.arange(6).reshape(2, 3);
    assert.equal(x.item(4), 4);
    assert.equal(x.item(1, 0), 3);
    assert.equal(x.item(-1, -1), 5);
    assert.throws(() => x.item(), { name: "TypeError", message: /item: only an array of one element/ });
    assert.throws(() => x.item(6), { name: "IndexError" });
  });

  test("iterates over the first axis", () => {
    assert.deepEqual([...tnp.array([[1, 2], [3, 4]])].map((row) => row.toArray()), [[1, 2], [3, 4]]);
    assert.throws(() => [...tnp.array(1)], { name: "TypeError", message: /0-d/ });
  });

  test("rounds to bfloat16 once, halves to even", () => {
    const cases = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -40, 1 + 2 ** -8 - 2 ** -40, 3.4e38, 1e39, -1e-45];
    const direct = tnp.array(cases, tnp.bfloat16).toArray();
    assert.deepEqual(direct, [1, 1.015625, 1.0078125, 1, Infinity, Infinity, -0]);
  });
});

describe("printing", () => {
  const x = tnp.array([[1, 2.5], [3, 4]]);
  const text = "[[1.  2.5]\n [3.  4. ]]";

  test("is NumPy's in String() and console.log", () => {
    assert.equal(String(x), text);
    assert.equal(`${x}`, text);
    assert.equal(inspect(x), text);
    const custom = (x as unknown as Record<symbol, () => string>)[Symbol.for("Deno.customInspect")]!;
    assert.equal(custom.call(x), text);
  });

  test("shows disposed arrays instead of failing", () => {
    const y = x.add(1);
    y.dispose();
    assert.equal(inspect(y), "<disposed array>");
  });

  test("is the nested list in JSON", () => {
    assert.equal(JSON.stringify({ x }), '{"x":[[1,2.5],[3,4]]}');
  });
});

describe("immutability", () => {
  const x = tnp.arange(3) as unknown as Record<number | string, unknown>;

  test("makes element assignment a TypeError that names with", () => {
    assert.throws(() => x[0] = 1, { name: "TypeError", message: /x\.with\(\[0\], value\)/ });
    assert.throws(() => x[-1] = 1, { name: "TypeError" });
  });

  test("makes reading by brackets a TypeError that names at", () => {
    assert.throws(() => x[0], { name: "TypeError", message: /use x\.at\(0\)/ });
  });

  test("leaves other properties alone", () => {
    assert.equal(x["nothing"], undefined);
    assert.ok(x instanceof NDArray);
    assert.equal(Object.prototype.toString.call(x), "[object Object]");
  });

  test("keeps JavaScript's operators from arrays of several elements", () => {
    assert.throws(() => +(x as unknown as number), { name: "TypeError", message: /x\.add\(y\)/ });
    assert.equal(+(tnp.array([2.5]) as unknown as number), 2.5);
  });
});

describe("memory", () => {
  test("is given back by dispose and using", () => {
    const x = tnp.ones([4]).add(1);
    x.dataSync();
    x.dispose();
    x.dispose();
    assert.throws(() => x.shape, DisposedError);
    assert.throws(() => x.add(1), DisposedError);
    assert.throws(() => tnp.sin(x), DisposedError);
    let kept: NDArray;
    {
      using y = tnp.ones([4]);
      kept = y.mul(3);
    }
    assert.deepEqual(kept.toArray(), [3, 3, 3, 3]);
  });

  test("of a scope goes back at its end but for what it returns", () => {
    const before = tnp.memory_stats().count;
    let inner: NDArray | undefined;
    const { sum, list } = tnp.scope(() => {
      inner = tnp.ones([100_000]).add(1);
      inner.dataSync();
      return { sum: inner.sum(), list: [inner.at("0:2").add(0)] };
    });
    assert.equal(sum.item(), 200_000);
    assert.deepEqual(list[0]!.toArray(), [2, 2]);
    assert.throws(() => inner!.shape, DisposedError);
    sum.dispose();
    list[0]!.dispose();
    assert.equal(tnp.memory_stats().count, before);
  });

  test("of nested scopes belongs to the outer one once returned", () => {
    let out: NDArray | undefined;
    tnp.scope(() => {
      out = tnp.scope(() => tnp.ones(3));
      assert.deepEqual(out.toArray(), [1, 1, 1]);
    });
    assert.throws(() => out!.shape, DisposedError);
  });

  test("of a scope goes back on errors, and promises are refused", () => {
    let made: NDArray | undefined;
    assert.throws(() =>
      tnp.scope(() => {
        made = tnp.ones(3);
        throw new Error("stop");
      }), { message: "stop" });
    assert.throws(() => made!.shape, DisposedError);
    assert.throws(() => tnp.scope(() => Promise.resolve(1)), { name: "TypeError", message: /synchronous/ });
  });

  test("of a typed array is shared with copy: false and copied otherwise", () => {
    const data = new Float32Array([1, 2]);
    const shared = tnp.asarray(data, { copy: false });
    const copied = tnp.array(data);
    data[0] = 9;
    assert.deepEqual(shared.toArray(), [9, 2]);
    assert.deepEqual(copied.toArray(), [1, 2]);
    assert.throws(() => tnp.asarray([1, 2], { copy: false }), { name: "TypeError", message: /copy: false/ });
    assert.throws(() => tnp.asarray(data, { copy: false, dtype: tnp.int8 }), TypeError);
    const lost = new Float64Array([1]), x = tnp.asarray(lost, { copy: false });
    assert.equal(x.item(), 1);
    structuredClone(lost, { transfer: [lost.buffer] });
    assert.throws(() => x.item(), { name: "DisposedError", message: /transferred/ });
    const own = tnp.copy(shared);
    data[0] = 5;
    assert.deepEqual(own.toArray(), [9, 2]);
  });
});

describe("array", () => {
  test("types literals as NumPy does", () => {
    assert.equal(tnp.array(true).dtype, "bool");
    assert.equal(tnp.array([1, 2]).dtype, "int64");
    assert.equal(tnp.array([1, true]).dtype, "int64");
    assert.equal(tnp.array([1n]).dtype, "int64");
    assert.equal(tnp.array([1, 2.5]).dtype, "float64");
    assert.equal(tnp.array([1, { re: 0, im: 1 }]).dtype, "complex128");
    assert.equal(tnp.array([]).dtype, "float64");
    assert.equal(tnp.array(new Uint8ClampedArray(2)).dtype, "uint8");
    assert.equal(tnp.array(new Int16Array(2)).dtype, "int16");
  });

  test("is exact for 64-bit integers", () => {
    const values = [2n ** 63n - 1n, -(2n ** 63n), 2 ** 53 - 1, -1, -4294967297, 4294967296];
    assert.deepEqual([...tnp.array(values).dataSync() as BigInt64Array], values.map(BigInt));
    assert.deepEqual([...tnp.array([2n ** 64n - 1n], tnp.uint64).dataSync()], [2n ** 64n - 1n]);
  });

  test("refuses ragged lists and names the place", () => {
    assert.throws(() => tnp.array([[1, 2], [3]]), {
      name: "ShapeError",
      message: "array: ragged nested list, element [1] has length 1, expected 2",
    });
    assert.throws(() => tnp.array([[1, 2], 3]), { name: "ShapeError", message: /element \[1\] is a number/ });
    assert.throws(() => tnp.array([[[1], [2]], [[3], [[4]]]]), { message: /element \[1\]\[1\]\[0\] is a list/ });
    assert.throws(() => tnp.array([tnp.ones(2), tnp.ones(3)]), { name: "ShapeError", message: /element \[1\]/ });
  });

  test("refuses integers that do not fit and NaN as an integer", () => {
    assert.throws(() => tnp.array([2n ** 63n]), { name: "RangeError", message: /9223372036854775808/ });
    assert.throws(() => tnp.array([300], tnp.int8), { name: "RangeError", message: /300 is out of bounds for int8/ });
    assert.throws(() => tnp.array([-1], tnp.uint8), RangeError);
    assert.throws(() => tnp.array([NaN], tnp.int32), { name: "RangeError", message: /NaN/ });
    assert.throws(() => tnp.array([{ re: 1, im: 1 }], tnp.float32), TypeError);
    assert.deepEqual(tnp.array([1.9, -1.9], tnp.int32).toArray(), [1, -1]);
  });

  test("refuses what is no array", () => {
    for (const bad of ["1", undefined, null, () => 1, new Map(), Symbol("x"), ["1"], [undefined], [null]]) {
      assert.throws(() => tnp.array(bad as unknown as number), TypeError);
    }
  });

  test("stacks arrays inside lists", () => {
    const x = tnp.array([tnp.ones(2, tnp.float32), new Float32Array([3, 4])]);
    assert.equal(x.dtype, "float32");
    assert.deepEqual(x.toArray(), [[1, 1], [3, 4]]);
    assert.deepEqual(tnp.array([tnp.array(1), 2.5]).toArray(), [1, 2.5]);
  });

  test("takes arrays of other libraries", () => {
    const scijs = { data: new Float64Array([1, 2, 3, 4, 5, 6]), shape: [2, 2], stride: [-3, 2], offset: 3 };
    assert.deepEqual(tnp.array(scijs).toArray(), [[4, 6], [1, 3]]);
    assert.deepEqual(tnp.array({ data: [1, 2, 3, 4], shape: [2, 2] }).toArray(), [[1, 2], [3, 4]]);
    const tensor = { dataSync: () => new Int32Array([1, 0]), shape: [2], dtype: "int32" };
    assert.equal(tnp.array(tensor).dtype, "int32");
    assert.deepEqual(tnp.array({ ...tensor, dataSync: () => new Uint8Array([1, 0]), dtype: "bool" }).toArray(), [
      true,
      false,
    ]);
    assert.throws(() => tnp.array({ data: [1, 2], shape: [3] }), ShapeError);
    assert.throws(() => tnp.array({ data: new Float32Array(2), shape: [2], stride: [2], offset: 0 }), ShapeError);
  });

  test("goes anywhere an array goes, mixed", () => {
    const x = tnp.ones([2], tnp.float32);
    assert.ok(tnp.add([1, 2], x) instanceof NDArray);
    assert.equal(tnp.add(new Float32Array([1, 2]), x).dtype, "float32");
    assert.deepEqual(x.mul(new Int32Array([3, 4])).toArray(), [3, 4]);
    assert.deepEqual(tnp.add({ data: [5, 6], shape: [2] }, x).toArray(), [6, 7]);
  });
});

describe("values inside a trace", () => {
  test("cannot be read", () => {
    for (const read of [(x: NDArray) => x.item(0), (x: NDArray) => x.toArray(), (x: NDArray) => x.dataSync()]) {
      assert.throws(() => tnp.vectorized_map((x: NDArray) => (read(x), x), tnp.ones([2, 2])), TracerError);
    }
  });
});
