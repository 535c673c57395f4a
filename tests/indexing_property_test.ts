import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Index } from "../src/array.ts";
import { sizeOf } from "../src/base/shape.ts";
import { tnp } from "../mod.ts";
import { type GoldenRecord, readInputs, readPart, type Written } from "./golden/read.ts";
import { describe, emulated, test } from "./support/suite.ts";
import { type Entry, type Indices, isIndices, select, sliceRange } from "./tables/index_model.ts";

const bound = fc.oneof(fc.constant(""), fc.integer({ min: -7, max: 7 }).map(String));
const slices = fc.tuple(bound, bound, fc.constantFrom("", ":", ":1", ":2", ":3", ":-1", ":-2", ":-3"))
  .map(([a, b, c]) => `${a}:${b}${c}`);
const lists = (length: number, shape: readonly number[]): fc.Arbitrary<Indices> =>
  fc.array(fc.integer({ min: -length, max: length - 1 }), { minLength: sizeOf(shape), maxLength: sizeOf(shape) })
    .map((values) => ({ shape, values }));

/** An index into an array: an entry for some of the axes, lists that broadcast together, new axes and an ellipsis among them. */
const cases = fc.record({
  shape: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  joint: fc.constantFrom([2], [3], [1], [2, 3], [0]),
  extra: fc.array(fc.tuple(fc.nat({ max: 5 }), fc.constantFrom(null, "...")), { maxLength: 2 }),
}).chain(({ shape, joint, extra }) => {
  const entries = shape.map((length): fc.Arbitrary<Entry> =>
    fc.oneof(
      { weight: 2, arbitrary: fc.integer({ min: -length, max: length - 1 }) },
      { weight: 3, arbitrary: slices },
      {
        weight: 2,
        arbitrary: fc.constantFrom(joint, joint.slice(1), joint.map(() => 1)).chain((own) => lists(length, own)),
      },
    )
  );
  return fc.tuple(...entries).map((full) => {
    const index: Entry[] = full.slice();
    let ellipsis = false;
    for (const [at, entry] of extra) {
      if (entry === "..." && ellipsis) continue;
      ellipsis ||= entry === "...";
      index.splice(Math.min(at, index.length), 0, entry);
    }
    return { shape, index };
  });
});

type Nested = number | readonly Nested[];

function nest({ shape, values }: Indices): Nested {
  if (shape.length === 0) return values[0]!;
  const step = values.length / shape[0]!;
  return Array.from(
    { length: shape[0]! },
    (_, i) => nest({ shape: shape.slice(1), values: values.slice(i * step, (i + 1) * step) }),
  );
}

/** An entry as tnp takes it. */
function entryOf(entry: Entry): unknown {
  if (!isIndices(entry)) return entry;
  // An empty list of indices says nothing of its dtype; an array does.
  return entry.values.length === 0 ? tnp.zeros([...entry.shape], tnp.int64) : nest(entry);
}

const count = (shape: readonly number[]) => tnp.arange(sizeOf(shape)).reshape([...shape]);

/** A golden index as the model takes it, or null for what it does not know (masks of several axes, inputs by name). */
function modelled(written: readonly Written[]): Entry[] | null {
  const out: Entry[] = [];
  for (const entry of written) {
    if (Array.isArray(entry)) {
      const flat: unknown[] = entry.flat(3);
      if (flat.every((x) => typeof x === "boolean")) {
        if (flat.length === 0 || entry.some(Array.isArray)) return null;
        out.push(flat as boolean[]);
        continue;
      }
      const shape: number[] = [];
      for (let x: unknown = entry; Array.isArray(x); x = x[0]) shape.push(x.length);
      if (!flat.every((x) => Number.isInteger(x))) return null;
      out.push({ shape, values: flat as number[] });
    } else if (entry === null || typeof entry === "string" || typeof entry === "number") out.push(entry);
    else return null;
  }
  return out;
}

describe("indexing", () => {
  test("the model selects what NumPy selects", () => {
    const inputs = readInputs();
    let checked = 0;
    for (const { f, a, o } of readPart("indexing") as (GoldenRecord & { o: { s: number[]; b: string; d: string } })[]) {
      const name = (a[0] as { $: string }).$;
      const input = inputs.get(name)!;
      if (f !== "at" || o === undefined || o.d !== "int32" || "of" in input) continue;
      const index = modelled(a.slice(1));
      if (index === null) continue;
      const { shape, positions } = select(input.shape, index);
      const data = new Int32Array(input.bytes.buffer);
      assert.deepEqual(shape, o.s, JSON.stringify(a));
      const got = Int32Array.from(positions, (at) => data[at]!);
      assert.deepEqual(got, new Int32Array(new Uint8Array(Buffer.from(o.b, "base64")).buffer), JSON.stringify(a));
      checked++;
    }
    assert.ok(checked > 200, `only ${checked} records`);
  });

  test("sliceRange() follows Python's slices", () => {
    assert.deepEqual(sliceRange("::-2", 5), [4, 2, 0]);
    assert.deepEqual(sliceRange("-2:", 5), [3, 4]);
    assert.deepEqual(sliceRange("10:-10:-1", 3), [2, 1, 0]);
  });

  test("at() selects what the model selects", () => {
    fc.assert(
      fc.property(cases, ({ shape, index }) => {
        const expected = select(shape, index);
        const got = count(shape).at(...index.map(entryOf) as Index[]);
        assert.deepEqual([...got.shape], [...expected.shape]);
        assert.deepEqual(Array.from(got.dataSync(), Number), [...expected.positions]);
      }),
      { numRuns: emulated() ? 60 : 300 },
    );
  });

  test("with() writes what at() reads and nothing else", () => {
    fc.assert(
      fc.property(cases, ({ shape, index }) => {
        const { positions } = select(shape, index);
        const written = index.map(entryOf) as Index[];
        const got = count(shape).with(written, -1);
        const expected = Array.from({ length: sizeOf(shape) }, (_, i) => positions.includes(i) ? -1 : i);
        assert.deepEqual(Array.from(got.dataSync(), Number), expected);
        const added = count(shape).with(written, 100, { mode: "add" });
        const sums = Array.from(
          { length: sizeOf(shape) },
          (_, i) => i + 100 * positions.filter((at) => at === i).length,
        );
        assert.deepEqual(Array.from(added.dataSync(), Number), sums);
      }),
      { numRuns: emulated() ? 60 : 200 },
    );
  });

  test("with() puts values where at() finds them again", () => {
    fc.assert(
      fc.property(cases, ({ shape, index }) => {
        const { shape: out, positions } = select(shape, index);
        if (new Set(positions).size !== positions.length) return;
        const written = index.map(entryOf) as Index[];
        const values = tnp.arange(1000, 1000 + positions.length).reshape([...out]);
        const again = count(shape).with(written, values).at(...written);
        assert.deepEqual(Array.from(again.dataSync(), Number), Array.from(values.dataSync(), Number));
      }),
      { numRuns: 100 },
    );
  });
});
