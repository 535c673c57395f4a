import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { NDArray, tnp } from "../mod.ts";
import { junkCalls, publicFunctions } from "./support/junk.ts";

const kinds = new Set(
  ("TypeError RangeError SyntaxError ShapeError IndexError AxisError DTypePromotionError DeviceError DisposedError TracerError" +
    " LinAlgError OutOfMemoryError").split(" "),
);
/** What the runtime itself says when something is used as what it is not. */
const internal =
  /Cannot read|Cannot convert a|is not a function|not iterable|\[object|is not an object|Invalid (typed )?array/;

/** What is wrong with the way a call ends, or null: a result or an error with the function's name, the kind, and no period. */
function complaint(names: readonly string[], call: () => unknown): string | null {
  try {
    const out = call();
    if (out instanceof NDArray) out.dataSync();
    return null;
  } catch (error) {
    const { name, message } = error as Error;
    const named = names.some((n) => message.startsWith(`${n}: `));
    return kinds.has(name) && named && !internal.test(message) && !message.endsWith(".") ? null : `${name}: ${message}`;
  }
}

function sweep(
  name: string,
  names: readonly string[],
  fn: (...args: unknown[]) => unknown,
  good: readonly unknown[],
  arity: number,
): string[] {
  const out: string[] = [];
  for (const [text, args] of junkCalls(good, arity)) {
    const found = complaint(names, () => fn(...args));
    if (found !== null) out.push(`${name}(${text}) gives ${found}`);
  }
  return out;
}

afterEach(() => tnp.experimental_enable_numpy_behavior());

describe("junk", () => {
  test("in every public function is an error with the function's name", () => {
    const wrong: string[] = [];
    const good = [tnp.ones([2, 3])];
    for (const [name, fn] of publicFunctions()) {
      const own = name.split(".").at(-1)!;
      wrong.push(...sweep(name, [own, fn.name.replace(/_$/, "")], fn, good, fn.length).slice(0, 3));
    }
    assert.deepEqual(wrong, []);
  });

  test("in every method is an error with the method's or the function's name", () => {
    const wrong: string[] = [];
    const functions: Readonly<Record<string, string>> = {
      sub: "subtract",
      mul: "multiply",
      div: "divide",
      floordiv: "floor_divide",
      pow: "power",
      neg: "negative",
      pos: "positive",
      abs: "absolute",
      and: "bitwise_and",
      or: "bitwise_or",
      xor: "bitwise_xor",
      lshift: "left_shift",
      rshift: "right_shift",
      eq: "equal",
      ne: "not_equal",
      lt: "less",
      le: "less_equal",
      gt: "greater",
      ge: "greater_equal",
      conj: "conjugate",
      flatten: "ravel",
    };
    const x = tnp.arange(6).reshape(2, 3);
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(NDArray.prototype))) {
      if (typeof value !== "function" || /^(constructor|dispose|data)$/.test(name)) continue;
      const fn = (...args: unknown[]) => (value as (...args: unknown[]) => unknown).apply(x, args);
      wrong.push(...sweep(`x.${name}`, [name, functions[name] ?? name], fn, [tnp.ones(3), 1], 1).slice(0, 3));
    }
    assert.deepEqual(wrong, []);
  });
});

describe("junk to objects and options", () => {
  test("in a variable's constructor and methods is an error with their name", () => {
    const make = (...args: unknown[]) => new (tnp.Variable as unknown as new (...args: unknown[]) => unknown)(...args);
    const wrong = sweep("Variable", ["Variable"], make, [tnp.ones(2)], 2);
    const v = new tnp.Variable([1, 2], { dtype: "float64" });
    for (const name of ["assign", "assign_add", "assign_sub"] as const) {
      const call = (...args: unknown[]) => (v[name] as (...args: unknown[]) => unknown).apply(v, args);
      wrong.push(...sweep(`v.${name}`, [name], call, [], 1));
    }
    assert.deepEqual(wrong, []);
  });

  test("as options of gradients is an error with the function's name", () => {
    const square = (x: NDArray) => x.mul(x).sum();
    const junk = [Symbol("s"), "x", { argnum: 0 }, [Symbol("s")], -1, { argnums: "x" }];
    for (const name of ["grad", "value_and_grad", "jacobian", "hessian"] as const) {
      const make = tnp[name] as (fn: unknown, argnums: unknown) => unknown;
      for (const argnums of junk) assert.throws(() => make(square, argnums), new RegExp(`^TypeError: ${name}: `));
    }
    assert.throws(() => tnp.hessian((x: NDArray) => x.mul(x))(tnp.ones(2)), /^ShapeError: hessian: /);
    assert.throws(() => tnp.vjp(square, tnp.ones(2))[1](tnp.ones(3)), /^ShapeError: vjp: /);
    const x = tnp.ones(2);
    using tape = new tnp.GradientTape();
    tape.watch(x);
    const y = square(x);
    assert.throws(() => tape.gradient(y, x, { foo: "zero" } as object), /^TypeError: gradient: .*"foo"/);
    assert.throws(() => tape.jacobian(y, x, { chunk: 1 } as object), /^TypeError: jacobian: .*"chunk"/);
  });

  test("as options of function is an error", () => {
    const make = tnp.function as (fn: unknown, options: unknown) => unknown;
    for (const options of [null, 3, "x", [], { static_argnum: 0 }, { static_argnums: "0" }, { input_signature: 3 }]) {
      assert.throws(() => make((x: unknown) => x, options), /^TypeError: function: /);
    }
  });
});

describe("bad input", () => {
  const x = tnp.ones([2, 3]);
  const cases: readonly (readonly [string, () => unknown, { name: string; message: RegExp }])[] = [
    ["an unknown keyword", () => tnp.sum(x, { axes: 0 } as object), {
      name: "TypeError",
      message: /^sum: got an unexpected keyword "axes", expected axis, dtype, keepdims, initial, where$/,
    }],
    ["an unknown keyword of an elementwise function", () => tnp.sin(x, { foo: 1 } as object), {
      name: "TypeError",
      message: /^sin: got an unexpected keyword "foo"/,
    }],
    ["out", () => tnp.add(x, 1, { out: x } as object), {
      name: "TypeError",
      message: /^add: got "out", but arrays are immutable/,
    }],
    ["an array where keywords go", () => tnp.add(x, 1, x as object), {
      name: "TypeError",
      message: /^add: got a value of NDArray after the arrays, expected keywords/,
    }],
    ["a typed array's class as dtype", () => tnp.zeros(2, Float32Array as never), {
      name: "TypeError",
      message: /^zeros: got dtype a function, expected one of bool, int8/,
    }],
    ["a dtype in capitals", () => tnp.zeros(2, "Float32" as never), {
      name: "TypeError",
      message: /^zeros: got dtype "Float32"/,
    }],
    ["a device that is not there", () => tnp.zeros(2, { device: "GPU:7" }), {
      name: "DeviceError",
      message: /^zeros: GPU:7 is not there/,
    }],
    ["no device's name", () => tnp.zeros(2, { device: 3 as never }), {
      name: "DeviceError",
      message: /^zeros: got 3, expected a name such as "CPU:0"$/,
    }],
    ["an index outside", () => x.at(2), {
      name: "IndexError",
      message: /^at: index 2 is out of bounds for axis 0 with size 2$/,
    }],
    ["an index in a list outside", () => x.at(":", [0, 3]), {
      name: "IndexError",
      message: /^at: index 3 is out of bounds for axis 1 with size 3$/,
    }],
    ["too many indices", () => x.at(0, 0, 0), { name: "IndexError", message: /^at: too many indices/ }],
    ["a mask of another shape", () => x.at([true, false, true]), { name: "IndexError", message: /^at: boolean index/ }],
    ["shapes that do not fit", () => tnp.floor_divide(x, tnp.ones(2)), {
      name: "ShapeError",
      message: /^floor_divide: operands could not be broadcast together with shapes \[2, 3\] \[2\]$/,
    }],
    ["shapes inside a composed function", () => tnp.allclose(x, tnp.ones(2)), {
      name: "ShapeError",
      message: /^allclose: operands could not/,
    }],
    ["shares beyond 1", () => tnp.quantile(x, 1.5), {
      name: "RangeError",
      message: /^quantile: q must be from 0 to 1, got 1.5$/,
    }],
    ["an initial value that does not fit", () => tnp.max(tnp.ones(2, "uint8"), { initial: 300 }), {
      name: "RangeError",
      message: /^max: integer 300 is out of bounds for uint8$/,
    }],
    ["a range beyond its dtype", () => tnp.arange(-5, 3, { dtype: "uint16" }), {
      name: "RangeError",
      message: /^arange: integer -5 is out of bounds for uint16$/,
    }],
    ["a memory that was transferred", () => {
      const view = new Float32Array(4);
      structuredClone(view, { transfer: [view.buffer] });
      tnp.array(view);
    }, { name: "TypeError", message: /^array: got a value of Float32Array whose memory was transferred/ }],
    ["a hole in a list", () => tnp.array(new Array<number>(2)), {
      name: "TypeError",
      message: /^array: element \[0\] is undefined, expected a number$/,
    }],
    ["a list that contains itself", () => {
      const list: unknown[] = [];
      list.push(list);
      tnp.add(x, list as never);
    }, { name: "ShapeError", message: /^add: lists are nested more than 64 deep$/ }],
    ["an object with less data than its shape", () => tnp.array({ data: [1], shape: [1e15] }), {
      name: "ShapeError",
      message: /^array: shape \[1000000000000000\] reaches element 999999999999999 of data with 1$/,
    }],
    ["an object with strides that are no integers", () => tnp.array({ data: [1, 2], shape: [2], stride: [NaN] }), {
      name: "TypeError",
      message: /^array: strides and offset of an object with data must be integers, got NaN$/,
    }],
    ["an object with a stride too few", () => tnp.array({ data: [1, 2, 3, 4], shape: [2, 2], stride: [1] }), {
      name: "ShapeError",
      message: /^array: got 1 strides for shape \[2, 2\]$/,
    }],
    ["a tensor with less data than its shape", () => tnp.array({ dataSync: () => [1], shape: [2] }), {
      name: "ShapeError",
      message: /^array: cannot reshape/,
    }],
    ["a hole in a list of axes", () => tnp.sum(x, new Array<number>(2)), {
      name: "TypeError",
      message: /^sum: axis must be an integer, got undefined$/,
    }],
    ["bytes of no whole number of elements", () => tnp.frombuffer(new Uint8Array(3), "int16"), {
      name: "ShapeError",
      message: /^frombuffer: /,
    }],
    ["the class itself", () => new (NDArray as unknown as new (x: unknown) => unknown)([1]), {
      name: "TypeError",
      message: /^NDArray: arrays are made by functions/,
    }],
  ];
  for (const [what, call, expected] of cases) {
    test(`${what} is an error that says so`, () => assert.throws(call, expected));
  }

  test("errors keep a stack that begins with their message", () => {
    try {
      tnp.subtract(x, tnp.ones(2));
      assert.fail();
    } catch (error) {
      const { stack, message } = error as Error;
      assert.match(message, /^subtract: /);
      assert.doesNotMatch(stack ?? "", /\bsub: /);
    }
  });
});

describe("foreign memory", () => {
  test("of typed arrays with an offset, shared or not, is read where it lies", () => {
    const views = [
      new Int8Array([0, 1, 2, 3]),
      new Uint8Array([0, 1, 2, 3]),
      new Uint8ClampedArray([0, 1, 2, 3]),
      new Int16Array([0, 1, 2, 3]),
      new Uint16Array([0, 1, 2, 3]),
      new Int32Array([0, 1, 2, 3]),
      new Uint32Array([0, 1, 2, 3]),
      new Float32Array([0, 1, 2, 3]),
      new Float64Array([0, 1, 2, 3]),
    ];
    for (const view of views) {
      const part = view.subarray(1, 3);
      assert.deepEqual(tnp.array(part).toArray(), [1, 2]);
      assert.deepEqual(tnp.multiply(2, part).toArray(), [2, 4]);
      assert.deepEqual(tnp.asarray(part, { copy: false }).toArray(), [1, 2]);
    }
    assert.deepEqual(tnp.array(new BigInt64Array([1n, 2n]).subarray(1)).toArray(), [2]);
    assert.equal(tnp.array(new BigUint64Array([2n ** 64n - 1n])).item(), 2n ** 64n - 1n);
    const shared = new Int32Array(new SharedArrayBuffer(8));
    shared[1] = 7;
    assert.deepEqual(tnp.array(shared).toArray(), [0, 7]);
    assert.throws(() => tnp.asarray(shared, { copy: false }), /^TypeError: asarray: copy: false/);
  });

  test("that was shared and then transferred is an error, and memory that can shrink is not shared", () => {
    for (const length of [4, 100_000]) {
      const view = new Float64Array(length).fill(1), x = tnp.asarray(view, { copy: false });
      const sums = () => [tnp.sum(x.mul(2)).item(), tnp.sort(x).at(0).item()];
      assert.deepEqual(sums(), [2 * length, 1]);
      structuredClone(view, { transfer: [view.buffer] });
      assert.throws(sums, /^DisposedError: .*was transferred to somebody else$/);
      assert.throws(() => x.toArray(), /^DisposedError: /);
    }
    const resizable = new Float64Array(new ArrayBuffer(16, { maxByteLength: 32 }));
    assert.throws(() => tnp.asarray(resizable, { copy: false }), /^TypeError: asarray: copy: false/);
    assert.deepEqual(tnp.asarray(resizable).toArray(), [0, 0]);
  });

  test("goes on either side of an operand of any kind", () => {
    const ndarray = { data: new Float64Array([0, 1, 2, 3, 4, 5]), shape: [2, 2], stride: [1, 2], offset: 1 };
    const tensor = { dataSync: () => new Float32Array([10, 20]), shape: [2], dtype: "float32" };
    const state = new tnp.Variable([1, 2]);
    assert.deepEqual(tnp.add(ndarray, tensor).toArray(), [[11, 23], [12, 24]]);
    assert.deepEqual(tnp.add(tensor, state).toArray(), [11, 22]);
    assert.deepEqual(tnp.ones(2).mul(ndarray).toArray(), [[1, 3], [2, 4]]);
    assert.deepEqual(tnp.stack([state, tensor, [0, 0]]).toArray(), [[1, 2], [10, 20], [0, 0]]);
    assert.deepEqual(tnp.array([new Float32Array([1, 2]), [3, 4], tnp.zeros(2)]).toArray(), [[1, 2], [3, 4], [0, 0]]);
    assert.equal(tnp.asarray({ dataSync: () => new Uint8Array([1, 0]), shape: [2], dtype: "bool" }).dtype, "bool");
  });

  test("with a stride that goes backwards is read backwards", () => {
    const x = { data: [1, 2, 3], shape: [3], stride: [-1], offset: 2 };
    assert.deepEqual(tnp.add(x, 0).toArray(), [3, 2, 1]);
  });
});
