import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { available } from "../ffi/open.ts";
import { tnp } from "../mod.ts";
import { type Ended, runChild } from "./support/child.ts";

function clean({ code, signal, out, err }: Ended): unknown {
  assert.equal(`${code} ${signal} ${err}`, "0 null ");
  return JSON.parse(out);
}

/** What tests/support/threads_child.ts computes: matmul, median and sum of x.T + x over float32, float64, int32; and a count. */
const n = 96;
const x = Array.from({ length: n * n }, (_, i) => i % 7);
let product = 0;
for (let k = 0; k < n; k++) {
  let column = 0, row = 0;
  for (let i = 0; i < n; i++) {
    column += x[i * n + k]!;
    row += x[k * n + i]!;
  }
  product += column * row;
}
const three = [product, x.toSorted((a, b) => a - b)[n * n / 2], 2 * x.reduce((a, b) => a + b, 0)];
const expected = [...three, ...three, ...three, 300_000];

describe("threads", () => {
  test("are counted and set", () => {
    const before = tnp.config.get_num_threads();
    assert.ok(Number.isInteger(before) && before >= 1);
    try {
      tnp.config.set_num_threads(2);
      assert.equal(tnp.config.get_num_threads(), 2);
      for (const bad of [0, -1, 1.5, NaN, 1e6]) assert.throws(() => tnp.config.set_num_threads(bad), RangeError);
      assert.throws(() => tnp.config.set_num_threads("2" as unknown as number), /set_num_threads: got "2", expected/);
    } finally {
      tnp.config.set_num_threads(before);
    }
  });

  test("by OMP_NUM_THREADS all give the same, and processes end cleanly", async () => {
    for (const threads of ["1", "2", "64"]) {
      for (let i = 0; i < 2; i++) {
        const result = clean(await runChild("threads_child.ts", { OMP_NUM_THREADS: threads })) as Record<
          string,
          unknown
        >;
        assert.deepEqual(result, {
          threads: available().ok ? Number(threads) : 1,
          sums: [expected, expected, expected],
        });
      }
    }
  });

  test("do not crash a process that ends while they work, or right after", async () => {
    // How the process ends, its status, and what it prints at last.
    const ends = [["after", 0], ["exit", 0], ["later", 0], ["throw", 1], ["fault", 1]] as const;
    const ways = ends.map(([way, status]) => [way, status, "begun"] as const);
    for (const [way, status, last] of [...ways, ["reader", 0, "5"] as const]) {
      for (let i = 0; i < 2; i++) {
        const { code, signal, out } = await runChild("exit_child.ts", { EXIT_CHILD: way });
        assert.deepEqual([code, signal, out.split("\n").at(-1)], [status, null, last], way);
      }
    }
  });

  test("of JavaScript may all compute at once", async () => {
    for (let i = 0; i < 3; i++) {
      const result = clean(await runChild("threads_child.ts", { TNP_TEST_WORKERS: "3" }));
      assert.deepEqual(result, [expected, expected, expected, expected]);
    }
  });
});
