/** What programs cost where nothing runs: a change of launches or bytes is a change of speed on every machine. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { countOf } from "./support/counts.ts";
import { counts } from "./tables/counts.ts";
import { programs } from "./tables/programs.ts";

describe("launches and bytes of", () => {
  for (const program of programs) {
    test(program.name, () => {
      const { launches, bytes, kernels } = countOf(program), known = counts[program.name];
      assert.ok(known, `${program.name} is not in tests/tables/counts.ts: make counts`);
      if (launches === known.launches && bytes === known.bytes) return;
      assert.fail(
        `${program.name}: was ${known.launches} with ${known.bytes} bytes, now ${launches} with ${bytes} bytes; ` +
          `if that is meant: make counts; it launched\n  ${kernels.join("\n  ")}`,
      );
    });
  }

  test("no program that is gone", () => {
    assert.deepEqual(Object.keys(counts), programs.map(({ name }) => name));
  });
});
