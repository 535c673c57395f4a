/** Sorting on a GPU in NumPy's stable order: every dtype, rows around the borders of tiles, chunks and algorithms. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { emulator, gpu } from "./support/cuda.ts";
import { alike } from "./support/cuda_same.ts";
import { compileTogether, describe, isBlank, share, test } from "./support/suite.ts";
import { type NDArray, tnp } from "../mod.ts";
import { wrap } from "../src/array.ts";
import { type DType, dtypeInfo } from "../src/base/dtype.ts";
import { getDevice, setDefault } from "../src/device/registry.ts";
import { fromBytes, readBytes } from "../src/transform/evaluate.ts";
import { nodeOf } from "../src/array.ts";
import { readJson } from "./golden/read.ts";

type Case = readonly [dtype: DType, mode: "any" | "few", rows: number, n: number, digest: string];

/** Leading 16 bits of 0, -0, NaN, -NaN, infinities, 1 and -2. */
const special: Readonly<Partial<Record<DType, readonly number[]>>> = {
  float16: [0, 0x8000, 0x7e00, 0xfe01, 0x7c00, 0xfc00, 0x3c00, 0xc000],
  bfloat16: [0, 0x8000, 0x7fc0, 0xffc1, 0x7f80, 0xff80, 0x3f80, 0xc000],
  float32: [0, 0x8000, 0x7fc0, 0xffc1, 0x7f80, 0xff80, 0x3f80, 0xc000],
  float64: [0, 0x8000, 0x7ff8, 0xfff9, 0x7ff0, 0xfff0, 0x3ff0, 0xc000],
};

/** The bits of tests/golden/sorting.py. */
function bitsOf(dtype: DType, mode: "any" | "few", count: number, seed: number): Uint8Array<ArrayBuffer> {
  const { itemsize } = dtypeInfo(dtype), width = BigInt(8 * itemsize), all = (1n << width) - 1n;
  const few = special[dtype]?.map((x) => BigInt(x) << width - 16n) ??
    Array.from({ length: 8 }, (_, k) => all / 7n * BigInt(k));
  const out = new DataView(new ArrayBuffer(count * itemsize));
  let state = seed;
  const next = () => state = Math.imul(state, 1664525) + 1013904223 >>> 0;
  for (let i = 0; i < count; i++) {
    const high = next(), low = (next() ^ high >>> 7) >>> 0;
    let bits = (BigInt(high) << 32n | BigInt(low)) >> 8n;
    if (dtype === "bool") bits &= 1n;
    else if (mode === "few") bits = few[Number(bits >> 40n & 7n)]!;
    else bits = BigInt.asUintN(64, bits ^ bits << 37n);
    if (itemsize === 8) out.setBigUint64(8 * i, bits, true);
    else if (itemsize === 4) out.setUint32(4 * i, Number(bits & all), true);
    else if (itemsize === 2) out.setUint16(2 * i, Number(bits & all), true);
    else out.setUint8(i, Number(bits & all));
  }
  return new Uint8Array(out.buffer);
}

const bytesOf = (x: NDArray) => readBytes(nodeOf(x)) as Uint8Array<ArrayBuffer>;

/** The elements at positions, bit by bit. */
function taken(bytes: Uint8Array, positions: BigInt64Array, n: number, itemsize: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  positions.forEach((p, i) => {
    const from = (i - i % n + Number(p)) * itemsize;
    out.set(bytes.subarray(from, from + itemsize), i * itemsize);
  });
  return out;
}

if (gpu === null) {
  test("cuda sorting: asking for a GPU that is not there is an error", () => {
    assert.throws(() => getDevice("GPU:0"), { name: "DeviceError" });
  });
} else {
  setDefault("GPU:0");
  compileTogether(emulator, "long");
  const device = gpu;
  describe("cuda sorting is NumPy's stable sort", () => {
    const cases = share(readJson("sorting.json") as readonly Case[]);
    for (const [dtype, all] of Map.groupBy(cases, ([dtype]) => dtype)) {
      test(`of ${dtype}`, () => {
        const { itemsize } = dtypeInfo(dtype);
        for (const [, mode, rows, n, digest] of all) {
          const what = `${dtype} ${mode} ${rows} x ${n}`;
          const bytes = bitsOf(dtype, mode, rows * n, 7 + n);
          const x = wrap(fromBytes(bytes, [rows, n], dtype, device));
          const order = bytesOf(tnp.argsort(x)), sorted = bytesOf(tnp.sort(x));
          if (isBlank()) continue;
          assert.equal(createHash("sha256").update(order).digest("hex").slice(0, 16), digest, what);
          // Equal values that differ in their bits stay as they came.
          const want = taken(bytes, new BigInt64Array(order.buffer, order.byteOffset, rows * n), n, itemsize);
          alike(sorted, want, what);
        }
      });
    }
    test("of rows apart, columns, and a sort written over what it came from", () => {
      const x = wrap(fromBytes(bitsOf("float32", "any", 3 * 9000, 5), [3, 9000], "float32", device));
      const rows = tnp.sort(x), columns = tnp.sort(x.T, 0);
      alike(bytesOf(columns.T.reshape([3, 9000])), bytesOf(rows), "columns");
      alike(bytesOf(tnp.sort(tnp.sort(x).at(":", "::-1"))), bytesOf(rows), "backwards");
      const sorted = tnp.function((x: NDArray) => tnp.add(tnp.sort(tnp.add(x, 0)), 0)) as (x: NDArray) => NDArray;
      alike(bytesOf(sorted(x)), bytesOf(tnp.add(rows, 0)), "written over");
    });
  });
}
