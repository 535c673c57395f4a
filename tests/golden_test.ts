import assert from "node:assert/strict";
import { readPart } from "./golden/read.ts";
import { check, skips } from "./golden/run.ts";
import { describe, share, test } from "./support/suite.ts";

for (
  const part of [
    "unary",
    "binary",
    "reduction",
    "creation",
    "shape",
    "joining",
    "products",
    "searching",
    "edges",
    "indexing",
  ]
) {
  describe(`golden ${part}`, () => {
    const groups = Map.groupBy(share(readPart(part)), (record) => record.f);
    for (const [name, records] of groups) {
      test(`${name}() is NumPy's in ${records.length} calls`, () => {
        const wrong: string[] = [];
        let skipped = 0;
        for (const record of records) {
          const text = `${record.f}(${
            [...record.a, ...(record.k ? [record.k] : [])].map((x) => JSON.stringify(x)).join(", ")
          })`;
          if (skips.some((skip) => skip.matches(record))) {
            skipped++;
            continue;
          }
          const found = check(record);
          if (found !== null) wrong.push(`${text.replaceAll('{"$":', "").replaceAll('"}', '"')}: ${found}`);
        }
        const shown = wrong.slice(0, 12).join("\n");
        assert.equal(wrong.length, 0, `${wrong.length} of ${records.length - skipped} calls differ:\n${shown}`);
      });
    }
  });
}
