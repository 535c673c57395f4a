/** `await x.data()`: the event loop goes on, and the values are those of `dataSync`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NDArray } from "../src/array.ts";
import type { Routine } from "../kernels/kernel.ts";
import type { HostBuffer } from "../src/device/arena.ts";
import { cpu } from "../src/device/cpu.ts";
import { WorkQueue } from "../src/device/cpu_queue.ts";
import { tnp } from "../mod.ts";

/** Numbers that are exact in every dtype and order. */
const small = (n: number): NDArray => tnp.arange(n).mod(13).sub(6);

/** The longest time between two beats of a timer while a promise is under way, in milliseconds, and the beats. */
async function beats<T>(run: () => Promise<T>): Promise<{ value: T; late: number; count: number }> {
  let last = performance.now(), late = 0, count = 0;
  const beat = () => {
    const now = performance.now();
    late = Math.max(late, now - last - 10);
    last = now;
    count++;
  };
  const timer = setInterval(beat, 10);
  try {
    const value = await run();
    beat();
    return { value, late, count };
  } finally {
    clearInterval(timer);
  }
}

const cases: Readonly<Record<string, () => NDArray>> = {
  "a map": () => small(3_000_000).astype("float32").mul(3).add(1),
  "a transposed map": () => {
    const x = small(1_500_000).reshape([1500, 1000]).astype("float64");
    return x.T.add(1).mul(x.T);
  },
  "a broadcast map of complex numbers": () => {
    const x = small(1000).astype("complex64");
    return x.reshape([-1, 1]).mul(x).add(1);
  },
  "rows summed": () => small(4_000_000).reshape([4000, 1000]).astype("float32").sum(1),
  "columns summed": () => small(4_000_000).reshape([1000, 4000]).astype("float32").sum(0),
  "a running sum": () => small(2_000_000).reshape([2000, 1000]).astype("int32").cumsum(1),
  "products": () => {
    const a = small(700 * 300).reshape([700, 300]).astype("float32"),
      b = small(300 * 900).reshape([300, 900]).astype("float32");
    return tnp.matmul(a, b);
  },
  "products with bias and maximum": () => {
    const a = small(700 * 300).reshape([700, 300]).astype("float32"),
      b = small(300 * 900).reshape([300, 900]).astype("float32");
    return tnp.maximum(tnp.matmul(a, b).add(small(900).astype("float32")), 0);
  },
  "stacks of products, one repeated": () => {
    const a = small(40 * 100 * 60).reshape([40, 100, 60]).astype("float64"),
      b = small(60 * 110).reshape([60, 110]).astype("float64");
    return tnp.matmul(a, b);
  },
  "products of transposes": () => {
    const a = small(300 * 700).reshape([300, 700]).astype("float64"),
      b = small(900 * 300).reshape([900, 300]).astype("float64");
    return tnp.matmul(a.T, b.T);
  },
  "what goes on after a sort": () => tnp.sort(small(600_000).astype("float32").mul(-2)).add(1).cumsum(),
};

describe("reading asynchronously", () => {
  for (const [name, make] of Object.entries(cases)) {
    test(`gives ${name}`, async () => {
      assert.deepEqual(await make().data(), make().dataSync());
    });
  }

  test("waits for its turn: other work meanwhile sees finished values", async () => {
    const x = cases["a map"]!(), y = cases["products"]!();
    const [first, second] = [x.data(), y.data()];
    const z = x.sum();
    assert.equal(z.item(), total(x.dataSync()));
    assert.deepEqual(await first, x.dataSync());
    assert.deepEqual(await second, y.dataSync());
  });

  test("survives dispose and reuse of memory meanwhile", async () => {
    const expected = cases["a transposed map"]!().dataSync();
    const x = cases["a transposed map"]!(), promise = x.data();
    x.dispose();
    for (let i = 0; i < 20; i++) tnp.full([1500, 1000], i, "float64").add(1).dispose();
    assert.deepEqual(await promise, expected);
  });

  test("leaves the event loop free", async () => {
    const n = 1000, a = tnp.ones([n, n], "float32");
    const product = () => {
      let x: NDArray = a;
      for (let i = 0; i < 12; i++) x = tnp.matmul(x, a).mul(1 / n);
      return x;
    };
    // Libraries opened, kernels compiled.
    product().dataSync();
    const { value, count } = await beats(() => product().data());
    assert.ok(value.every((v) => Math.abs(Number(v) - 1) < 1e-3));
    assert.ok(count >= 3, `${count} beats`);
  });

  test("tells an error to whoever reads what failed, and what was made of it", async () => {
    const queue = new WorkQueue(), n = 1 << 20, buffers = [0, 1, 2, 3].map(() => cpu.allocate(8 * n));
    const [from, failed, after, fine] = buffers as [HostBuffer, HostBuffer, HostBuffer, HostBuffer];
    const whole = { offset: 0, strides: [1], shape: [n] };
    const routine: Routine = {
      key: "",
      name: "sort",
      dtypes: ["float64", "float64"],
      params: {},
      epilogue: null,
      comment: "",
    };
    const done: string[] = [];
    const submit = (input: HostBuffer, output: HostBuffer, run: () => void) =>
      queue.routine(
        routine,
        { inputs: [{ ...whole, buffer: input }], output: { ...whole, buffer: output }, operands: [], scalars: [] },
        run,
      );
    queue.defer(() => {
      submit(from, failed, () => {
        throw new RangeError("no luck");
      });
      submit(failed, after, () => done.push("after"));
      submit(from, fine, () => done.push("fine"));
    });
    assert.equal(done.length, 0);
    await queue.finishAsync();
    assert.deepEqual(done, ["fine"]);
    assert.throws(() => queue.check(failed), /no luck/);
    assert.throws(() => queue.check(after), /no luck/);
    queue.check(fine);
    assert.throws(() => submit(after, fine, () => done.push("again")), /no luck/);
    for (const buffer of buffers) buffer.release();
  });
});

function total(values: ArrayLike<number | bigint>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Number(values[i]);
  return sum;
}
