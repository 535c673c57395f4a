import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { nodeOf } from "../src/array.ts";
import { type ArrayLike, AxisError, DTypePromotionError, type NDArray, ShapeError, tnp, TracerError } from "../mod.ts";

/** The functions of tf.experimental.numpy. */
const functions =
  `abs absolute add all allclose amax amin angle any append arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh
  argmax argmin argsort around array array_equal asanyarray asarray ascontiguousarray atleast_1d atleast_2d atleast_3d average
  bitwise_and bitwise_not bitwise_or bitwise_xor broadcast_arrays broadcast_to cbrt ceil clip compress concatenate conj conjugate
  copy cos cosh count_nonzero cross cumprod cumsum deg2rad diag diag_indices diagflat diagonal diff divide divmod dot dsplit dstack
  einsum empty empty_like equal exp exp2 expand_dims experimental_enable_numpy_behavior expm1 eye fabs finfo fix flatten flip fliplr
  flipud float_power floor floor_divide full full_like gcd geomspace greater greater_equal heaviside hsplit hstack hypot identity
  iinfo imag inner isclose iscomplex iscomplexobj isfinite isinf isnan isneginf isposinf isreal isrealobj isscalar issubdtype ix_
  kron lcm less less_equal linspace log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logspace
  matmul max maximum mean meshgrid min minimum mod moveaxis multiply nanmean nanprod nansum ndarray ndim negative nextafter nonzero
  not_equal ones ones_like outer pad polyval positive power prod promote_types ptp rad2deg ravel real reciprocal remainder repeat
  reshape result_type roll rot90 round select shape sign signbit sin sinc sinh size sort split sqrt square squeeze stack std subtract
  sum swapaxes take take_along_axis tan tanh tensordot tile trace transpose tri tril triu true_divide vander var vdot vsplit vstack
  where zeros zeros_like`.split(/\s+/);

const draws = ["poisson", "rand", "randint", "randn", "random", "seed", "standard_normal", "uniform", "normal"];

describe("the surface", () => {
  test("has every function of tf.experimental.numpy", () => {
    const table = tnp as unknown as Record<string, unknown>;
    assert.deepEqual(functions.filter((name) => typeof table[name] !== "function"), []);
    const random = tnp.random as unknown as Record<string, unknown>;
    assert.deepEqual(draws.filter((name) => typeof random[name] !== "function"), []);
  });

  test("has NumPy's constants and dtypes", () => {
    assert.equal(tnp.pi, Math.PI);
    assert.equal(tnp.newaxis, null);
    assert.equal(tnp.float32, "float32");
    assert.equal(tnp.int_, "int64");
    assert.ok(Number.isNaN(tnp.nan));
  });
});

describe("keywords", () => {
  const x = tnp.arange(6).reshape(2, 3);

  test("come by position or in a trailing object", () => {
    assert.deepEqual(tnp.sum(x, 0).toArray(), [3, 5, 7]);
    assert.deepEqual(tnp.sum(x, { axis: 0, keepdims: true }).toArray(), [[3, 5, 7]]);
    assert.equal(tnp.sum(x, 0, "float32").dtype, "float32");
    assert.deepEqual(x.sum({ axis: [0, 1], keepdims: true }).toArray(), [[15]]);
    assert.equal(tnp.zeros([2], { dtype: "float32" }).dtype, "float32");
    assert.equal(tnp.zeros(2, tnp.int8).dtype, "int8");
    assert.deepEqual(x.reshape([3, 2], { order: "F" }).toArray(), [[0, 4], [3, 2], [1, 5]]);
  });

  test("of numbers beyond all integers are floats, also in traces", () => {
    const whole = tnp.asarray([1, 2]);
    const calls: readonly ((x: ArrayLike, n: ArrayLike) => NDArray)[] = [tnp.add, tnp.minimum, tnp.power, tnp.clip];
    for (const call of calls) {
      const traced = tnp.function(call) as typeof call;
      for (const n of [2 ** 60, 1e30, -1e30]) {
        const [plain, replayed] = [call(whole, n), traced(whole, n)];
        assert.deepEqual([replayed.dtype, replayed.toArray()], [plain.dtype, plain.toArray()]);
        assert.equal(plain.dtype, Math.abs(n) < 2 ** 63 ? "int64" : "float64");
      }
    }
    assert.throws(() => tnp.add(whole, 2 ** 63), /^RangeError: add: integer 9223372036854776000 is out of bounds/);
    assert.deepEqual([tnp.array([1e30, 1]).dtype, tnp.array(2 ** 60).dtype], ["float64", "int64"]);
    assert.deepEqual(tnp.arange(0, 1e30, 5e29).toArray(), [0, 5e29]);
    assert.equal(tnp.function((x: NDArray, n: NDArray) => x.add(n))(tnp.ones(1, "float32"), 2 ** 63).dtype, "float32");
  });

  test("give plain numbers the dtype that is asked for, where they fit", () => {
    const flags = tnp.asarray([false, true]);
    assert.deepEqual(tnp.add(flags, 100, { dtype: "uint16" }).toArray(), [100, 101]);
    assert.throws(() => tnp.add(flags, -1, { dtype: "uint16" }), /^RangeError: add: integer -1 is out of bounds/);
    assert.throws(
      () => tnp.add(flags, 1.5, { dtype: "uint16" }),
      /^TypeError: add: cannot cast from float64 to uint16/,
    );
    assert.throws(() => tnp.add(flags, 1, { dtype: "bool" }), /^TypeError: add: cannot cast from int64 to bool/);
  });

  test("are checked", () => {
    const sum = tnp.sum as unknown as (x: ArrayLike, ...rest: unknown[]) => NDArray;
    const add = tnp.add as unknown as (x: ArrayLike, y: ArrayLike, options: unknown) => NDArray;
    assert.throws(() => sum(x, { axes: 0 }), {
      name: "TypeError",
      message: /unexpected keyword "axes", expected axis/,
    });
    assert.throws(() => sum(x, 0, { axis: 1 }), { name: "TypeError", message: /two values for "axis"/ });
    assert.throws(() => sum(x, { out: x }), { name: "TypeError", message: /immutable/ });
    assert.throws(() => add(1, 2, { out: x }), { name: "TypeError", message: /immutable/ });
    assert.throws(() => add(1, 2, { where: [true] }), { name: "TypeError", message: /tnp\.where/ });
    assert.throws(() => add(1, 2, x), TypeError);
    assert.throws(() => tnp.zeros(2, "float" as "float32"), {
      name: "TypeError",
      message: /dtype "float", expected one of bool/,
    });
    assert.throws(() => tnp.add(1.5, 2, { dtype: "int32" }), { name: "TypeError", message: /float64 to int32/ });
    assert.throws(() => tnp.sin(1, { dtype: "int32" }), { name: "TypeError", message: /int32/ });
  });
});

describe("weak numbers", () => {
  const type = (x: NDArray) => x.dtype;
  const f32 = tnp.ones(2, tnp.float32), i8 = tnp.ones(2, tnp.int8), i32 = tnp.ones(2, tnp.int32);

  test("take the array's dtype where their kind fits", () => {
    assert.equal(type(f32.add(1.5)), "float32");
    assert.equal(type(f32.add(1)), "float32");
    assert.equal(type(tnp.add(2n, i8)), "int8");
    assert.equal(type(tnp.ones(2, tnp.float16).mul(0.1)), "float16");
    assert.equal(type(tnp.ones(2, tnp.bfloat16).mul(0.1)), "bfloat16");
    assert.equal(type(i32.add(1.5)), "float64");
    assert.equal(type(f32.mul({ re: 0, im: 1 })), "complex64");
    assert.equal(type(tnp.where([true, false], f32, 0)), "float32");
    assert.equal(type(f32.add(tnp.array(1.5))), "float64");
    assert.equal(type(tnp.add(1, 2)), "int64");
    assert.equal(type(tnp.maximum(i8, 3)), "int8");
  });

  test("must fit", () => {
    assert.throws(() => i8.add(300), { name: "RangeError", message: "add: integer 300 is out of bounds for int8" });
    assert.throws(() => tnp.array([1], tnp.uint8).sub(-1), RangeError);
    assert.deepEqual(i8.lt(300).toArray(), [true, true]);
    assert.deepEqual(tnp.equal(tnp.array([2n ** 63n], tnp.uint64), tnp.array([-1])).toArray(), [false]);
    assert.deepEqual(tnp.greater(tnp.array([2n ** 63n], tnp.uint64), tnp.array([-1])).toArray(), [true]);
    assert.deepEqual(tnp.clip(i8, 0, 300).toArray(), [1, 1]);
  });

  test("do not change the dtype of transcendental functions' integers", () => {
    assert.equal(type(tnp.sqrt(i8)), "float16");
    assert.equal(type(tnp.sqrt(tnp.ones(1, tnp.int16))), "float32");
    assert.equal(type(tnp.sqrt(i32)), "float64");
    assert.equal(type(tnp.arctan2(i8, tnp.ones(1, tnp.uint8))), "float16");
    assert.equal(type(i8.div(i8)), "float64");
    assert.equal(type(tnp.floor(i8)), "int8");
    assert.equal(type(tnp.mean(i8)), "float64");
    assert.equal(type(tnp.sum(i8)), "int64");
    assert.equal(type(tnp.sum(tnp.ones(2, tnp.uint8))), "uint64");
  });
});

describe("promotion modes", () => {
  afterEach(() => tnp.experimental_enable_numpy_behavior());
  const i32 = tnp.ones(2, tnp.int32), f32 = tnp.ones(2, tnp.float32), i8 = tnp.ones(2, tnp.int8);

  test("all follows the lattice in methods and functions alike", () => {
    tnp.experimental_enable_numpy_behavior({ dtype_conversion_mode: "all" });
    assert.equal(i32.add(f32).dtype, "float32");
    assert.equal(tnp.add(i32, f32).dtype, "float32");
    assert.equal(tnp.concatenate([i32, f32]).dtype, "float32");
    assert.equal(tnp.where([true, false], i32, f32).dtype, "float32");
    assert.equal(tnp.matmul(i32, f32).dtype, "float32");
    assert.equal(tnp.array([1, 2]).dtype, "int32");
    assert.equal(tnp.array([0.5]).dtype, "float32");
    assert.equal(tnp.zeros(2).dtype, "float32");
    assert.equal(i32.add(1.5).dtype, "float64");
    assert.equal(tnp.result_type(1, 2.5), "float32");
  });

  test("safe refuses what may lose bits", () => {
    tnp.experimental_enable_numpy_behavior(false, "safe");
    assert.throws(() => i32.add(f32), DTypePromotionError);
    assert.throws(() => tnp.add(i32, f32), { name: "DTypePromotionError", message: /^add: int32 and float32/ });
    assert.equal(i8.add(f32).dtype, "float32");
  });

  test("off refuses every mixture", () => {
    tnp.experimental_enable_numpy_behavior({ dtype_conversion_mode: "off" });
    assert.throws(() => i32.add(f32), DTypePromotionError);
    assert.throws(() => tnp.multiply(i32, i8), DTypePromotionError);
    assert.equal(f32.add(1.5).dtype, "float32");
  });

  test("prefer_float32 makes plain fractions float32", () => {
    tnp.experimental_enable_numpy_behavior({ prefer_float32: true });
    assert.equal(tnp.array([0.5]).dtype, "float32");
    assert.equal(tnp.ones(1, tnp.uint8).add(1.5).dtype, "float32");
    assert.equal(tnp.zeros(2).dtype, "float64");
  });

  test("of other names are refused", () => {
    assert.throws(() => tnp.experimental_enable_numpy_behavior({ dtype_conversion_mode: "some" as "all" }), TypeError);
  });
});

describe("errors", () => {
  const x = tnp.ones([2, 3]);
  const cases: [string, () => unknown, new () => Error, RegExp][] = [
    ["add", () => x.add(tnp.ones([2, 4])), ShapeError, /^add: .*\[2, 3\] \[2, 4\]/],
    ["reshape", () => x.reshape(4, 2), ShapeError, /^reshape: cannot reshape array of size 6 into shape \[4, 2\]$/],
    ["sum", () => x.sum(2), AxisError, /^sum: axis 2 is out of bounds for array of dimension 2$/],
    ["mean", () => x.mean([0, 0]), AxisError, /^mean: axis 0 is given twice/],
    ["stack", () => tnp.stack([[1], [1, 2]]), ShapeError, /^stack: array 1 has shape \[2\]/],
    ["concatenate", () => tnp.concatenate([]), ShapeError, /^concatenate: got no arrays/],
    ["squeeze", () => x.squeeze(0), ShapeError, /^squeeze: cannot remove axis 0/],
    ["transpose", () => x.transpose(0, 0), AxisError, /^transpose: axis 0 is given twice/],
    ["matmul", () => x.matmul(x), ShapeError, /^matmul: /],
    ["max", () => tnp.max(tnp.zeros(0)), ShapeError, /^max: the array of shape \[0\] has no elements/],
    ["argmin", () => tnp.argmin([]), ShapeError, /^argmin: .* no elements/],
    ["subtract", () => tnp.subtract(true, false), TypeError, /^subtract: dtype bool .* tnp\.logical_xor/],
    ["invert", () => tnp.invert(1.5), TypeError, /^invert: dtype float64 is not supported/],
    ["floor", () => tnp.floor({ re: 1, im: 1 }), TypeError, /^floor: dtype complex128/],
    ["arange", () => tnp.arange(0, 1, 0), RangeError, /^arange: step must not be 0/],
    ["eye", () => tnp.eye(-1), ShapeError, /^eye: negative/],
    ["split", () => tnp.split(tnp.arange(5), 2), ShapeError, /^split: an axis of length 5/],
    ["power", () => tnp.power([2], [-1]), RangeError, /^power: integers to negative integer powers/],
    ["pad", () => tnp.pad([1], -1), ShapeError, /^pad: pad_width must not be negative/],
    ["tile", () => tnp.tile([1], [-1]), ShapeError, /^tile: /],
    ["average", () => tnp.average([1, 2], { weights: [1, -1] }), RangeError, /^average: the weights sum to zero/],
    [
      "broadcast_to",
      () => tnp.broadcast_to([1, 2], [3]),
      ShapeError,
      /^broadcast_to: cannot broadcast shape \[2\] to \[3\]$/,
    ],
  ];
  for (const [name, call, type, message] of cases) {
    test(`of ${name} come at the call and say what came`, () => {
      assert.throws(call, (error: Error) => error instanceof type && message.test(error.message));
    });
  }

  test("end without a period", () => {
    for (const [, call] of cases) {
      try {
        call();
      } catch (error) {
        assert.doesNotMatch((error as Error).message, /\.$/);
      }
    }
  });
});

describe("edges", () => {
  test("of empty arrays are NumPy's", () => {
    const empty = tnp.zeros([0, 3]);
    assert.equal(empty.sum().item(), 0);
    assert.equal(empty.prod().item(), 1);
    assert.deepEqual(empty.sum(0).toArray(), [0, 0, 0]);
    assert.ok(Number.isNaN(empty.mean().item() as number));
    assert.deepEqual(empty.max(1).shape, [0]);
    assert.equal(empty.all().item(), true);
    assert.deepEqual(tnp.matmul(tnp.ones([2, 0]), tnp.ones([0, 2])).toArray(), [[0, 0], [0, 0]]);
    assert.deepEqual(tnp.concatenate([empty, tnp.ones([1, 3])]).shape, [1, 3]);
    assert.deepEqual(tnp.sort(tnp.zeros([0])).shape, [0]);
    assert.equal(tnp.max([], { initial: 3 }).item(), 3);
  });

  test("of 0-d arrays are NumPy's", () => {
    const x = tnp.array(5);
    assert.deepEqual(x.shape, []);
    assert.equal(x.sum().item(), 5);
    assert.equal(x.add(1).item(), 6);
    assert.deepEqual(x.reshape(1, 1).toArray(), [[5]]);
    assert.deepEqual(x.ravel().toArray(), [5]);
    assert.deepEqual(x.at("...").toArray(), 5);
    assert.deepEqual(x.at(null).toArray(), [5]);
  });

  test("of views with negative strides are read right", () => {
    const x = tnp.arange(6).reshape(2, 3);
    assert.deepEqual(x.at("::-1", "::-1").add(0).toArray(), [[5, 4, 3], [2, 1, 0]]);
    assert.deepEqual(tnp.flip(x).T.sum(1).toArray(), [7, 5, 3]);
    assert.deepEqual(x.at("::-1").reshape(-1).toArray(), [3, 4, 5, 0, 1, 2]);
  });

  test("of NaN are NumPy's", () => {
    assert.ok(Number.isNaN(tnp.max([1, tnp.nan]).item() as number));
    assert.equal(tnp.argmax([1, tnp.nan, 3]).item(), 1);
    assert.equal(tnp.fmax(tnp.nan, 2).item(), 2);
    assert.deepEqual(tnp.sort([tnp.nan, 1]).toArray(), [1, NaN]);
  });

  test("of integers beyond 2^53 are told apart", () => {
    const big = 2n ** 63n, x = tnp.asarray([2n, big - 2n, big - 1n, -big + 1n, -big]), y = tnp.flip(x);
    for (let i = 0; i < 3; i++) {
      assert.deepEqual([tnp.argmax(x).item(), tnp.argmin(x).item()], [2, 4]);
      assert.equal(tnp.sum(tnp.where(x.lt(y), 1, 0)).item(), 2);
    }
  });

  test("of complex NaN stay as they are in a median", () => {
    assert.equal(String(tnp.median([{ re: 1, im: 2 }, { re: NaN, im: NaN }])), "(nan+nanj)");
  });

  test("of complex infinities are rounded part by part", () => {
    const x = tnp.asarray([{ re: Infinity, im: 1.25 }, { re: NaN, im: -Infinity }]);
    assert.equal(String(tnp.round(x, 1)), "[inf+1.2j nan-infj]");
  });
});

describe("functions on lists", () => {
  test("insert and delete as NumPy does", () => {
    const x = tnp.arange(6).reshape(2, 3);
    assert.deepEqual(tnp.insert(x, 1, [7, 8], 1).toArray(), [[0, 7, 1, 2], [3, 8, 4, 5]]);
    assert.deepEqual(tnp.insert(x, [1, 2], 9, 1).toArray(), [[0, 9, 1, 9, 2], [3, 9, 4, 9, 5]]);
    assert.deepEqual(tnp.insert(x, 1, [7, 8, 9]).toArray(), [0, 7, 8, 9, 1, 2, 3, 4, 5]);
    assert.deepEqual(tnp.delete(x, [0, -1], 1).toArray(), [[1], [4]]);
    assert.deepEqual(tnp.delete(x, [0, 1, 2], 1).toArray(), [[], []]);
    // Few places are cut out, many are gathered.
    for (const step of [40, 3]) {
      const values = Array.from({ length: 100 }, (_, i) => i), places = values.filter((i) => i % step === 0);
      const both = values.flatMap((i) => i % step === 0 ? [-1 - i, -101 - i, i] : [i]);
      assert.deepEqual(tnp.delete(values, places.toReversed()).toArray(), values.filter((i) => i % step !== 0));
      const added = [...places.map((i) => -1 - i), ...places.map((i) => -101 - i)];
      assert.deepEqual(tnp.insert(values, [...places, ...places], added).toArray(), both);
    }
    assert.deepEqual(tnp.delete(x, tnp.slice(null, null, 2)).toArray(), [1, 3, 5]);
    assert.throws(() => tnp.delete(x, 3, 1), { name: "IndexError" });
  });

  test("answer whole-array questions with booleans, and refuse them in traces", () => {
    assert.equal(tnp.allclose([1, 2], [1, 2 + 1e-9]), true);
    assert.equal(tnp.array_equal([1, 2], [1, 3]), false);
    assert.equal(tnp.array_equiv([1], [[1, 1]]), true);
    const f = tnp.function((x: NDArray) => tnp.allclose(x, 1) ? x : x.add(1));
    assert.throws(() => f(tnp.ones(2)), TracerError);
  });
});

describe("devices", () => {
  test("are listed and named", () => {
    assert.deepEqual(tnp.config.list_physical_devices("CPU"), [{ name: "CPU:0", device_type: "CPU" }]);
    assert.equal(tnp.device("cpu:0", () => tnp.ones(1).device), "CPU:0");
    assert.ok(tnp.config.build_info().javascript.available);
  });

  test("that are absent are a clear error", () => {
    assert.throws(() => tnp.device("GPU:7", () => 1), {
      name: "DeviceError",
      message: /GPU:7 is not there; available: CPU:0/,
    });
    assert.throws(() => tnp.zeros(1, { device: "TPU" }), { name: "DeviceError" });
  });

  test("hold arrays of their scope, copies across, and no mixtures", () => {
    const x = tnp.ones(2);
    const y = tnp.device("NULL:0", () => tnp.copy(x));
    assert.equal(y.device, "NULL:0");
    assert.throws(() => x.add(y), { name: "DeviceError", message: /CPU:0 and NULL:0/ });
    assert.equal(y.add([1, 2]).device, "NULL:0");
  });
});

describe("random numbers", () => {
  test("of float64 take both words of one computation", () => {
    const computations = new Set<string>(), ids = new Map<unknown, number>();
    const id = (x: unknown) => ids.get(x) ?? (ids.set(x, ids.size), ids.size - 1);
    const visit = (x: ReturnType<typeof nodeOf>): void => {
      if (x.prim?.name === "threefry") computations.add(x.inputs.map(id).join());
      x.inputs.forEach(visit);
    };
    visit(nodeOf(tnp.random.rand(7)));
    assert.equal(computations.size, 1);
    visit(nodeOf(tnp.random.randn(7)));
    assert.equal(computations.size, 3);
  });

  test("come back with their seed", () => {
    tnp.random.seed(3);
    const a = tnp.random.randn(4).toArray();
    tnp.random.seed(3);
    assert.deepEqual(tnp.random.randn(4).toArray(), a);
    assert.notDeepEqual(tnp.random.randn(4).toArray(), a);
  });

  test("have the moments of their laws", () => {
    tnp.random.seed(1);
    const near = (x: NDArray, want: number, by: number) =>
      assert.ok(Math.abs((x.item() as number) - want) < by, `${x}`);
    const n = tnp.random.standard_normal([20_000]);
    near(n.mean(), 0, 0.03);
    near(n.std(), 1, 0.03);
    const u = tnp.random.uniform(-1, 3, [20_000]);
    near(u.mean(), 1, 0.04);
    near(u.min(), -1, 0.01);
    const p = tnp.random.poisson(4.5, [20_000]);
    assert.equal(p.dtype, "int64");
    near(p.mean(), 4.5, 0.07);
    near(p.astype("float64").var(), 4.5, 0.2);
    const k = tnp.random.randint(-2, 3, [20_000]);
    near(k.mean(), 0, 0.05);
    near(k.min(), -2, 0.1);
    near(k.max(), 2, 0.1);
    assert.throws(() => tnp.random.randint(3, 3), RangeError);
  });
});
