import assert from "node:assert/strict";
import { test } from "node:test";
import { type DType, type NDArray, tnp } from "../mod.ts";

test("dtypes are types", () => {
  const f32: NDArray<"float32"> = tnp.zeros([2], tnp.float32);
  const any: NDArray = f32;
  let x = f32;
  x = x.mul(0.9).add(0.1);
  x = x.sub(f32).neg().T.at("1:").reshape(-1);
  let y = tnp.zeros(3);
  y = y.add([1, 2, 3]).div(2);
  y = f32;
  const i64: NDArray<"int64"> = tnp.argmax(f32);
  // @ts-expect-error an integer array and a number may be float64
  const wrong: NDArray<"int64"> = i64.add(0.5);
  // @ts-expect-error not every array is float32
  const narrow: NDArray<"float32"> = any;
  const data: Float32Array = f32.dataSync();
  const words: BigInt64Array = i64.dataSync();
  const dtype: DType = any.dtype;
  const mask: NDArray<"bool"> = f32.gt(0);
  const cast: NDArray<"int8"> = any.astype("int8");
  assert.equal(data.length + words.length, 3);
  assert.deepEqual([dtype, x.dtype, y.dtype, mask.dtype, cast.dtype], [
    "float32",
    "float32",
    "float32",
    "bool",
    "int8",
  ]);
  assert.deepEqual([wrong.dtype, narrow.dtype], ["float64", "float32"]);
});

test("wrong calls do not compile", () => {
  const f32 = tnp.zeros([2, 2], tnp.float32);
  const calls: (() => unknown)[] = [
    // @ts-expect-error no such keyword
    () => tnp.sum(f32, { axes: 0 }),
    // @ts-expect-error no such dtype
    () => tnp.zeros(2, "float33"),
    // @ts-expect-error no such dtype
    () => f32.astype("Float32"),
    // @ts-expect-error arrays are immutable
    () => tnp.add(f32, 1, { out: f32 }),
    // @ts-expect-error no such mode
    () => f32.with([0], 1, { mode: "plus" }),
    // @ts-expect-error a text is no array
    () => tnp.sin("1"),
    // @ts-expect-error no such promotion mode
    () => tnp.experimental_enable_numpy_behavior({ dtype_conversion_mode: "numpy" }),
    // @ts-expect-error no such side
    () => tnp.searchsorted([1, 2], 1, { side: "middle" }),
    // @ts-expect-error a shape holds numbers
    () => tnp.reshape(f32, ["2", 2]),
    // @ts-expect-error no such method of padding
    () => tnp.pad(f32, 1, "around"),
  ];
  for (const call of calls) assert.throws(call, Error);
});

test("results have types of their own", () => {
  const f32 = tnp.zeros([2, 2], tnp.float32);
  const mask: NDArray<"bool"> = tnp.isnan(f32);
  const order: NDArray<"int64"> = tnp.argsort(f32);
  const whole: boolean = tnp.allclose(f32, 0);
  const places: NDArray<"int64">[] = tnp.nonzero(f32);
  const rows: NDArray<"float32">[] = [...f32];
  const words: Uint8Array = mask.dataSync();
  // Nothing public is `any`: a member that is not there does not compile.
  // @ts-expect-error no such member
  const none: unknown = tnp.sum(f32).missing;
  assert.deepEqual([order.shape, whole, places.length, rows.length, words.length, none], [
    [2, 2],
    true,
    2,
    2,
    4,
    undefined,
  ]);
});
