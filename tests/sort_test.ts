import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type DType, dtypeInfo, dtypeNames } from "../src/base/dtype.ts";
import { cpu } from "../src/device/cpu.ts";
import { generator, type Held, hold, type Scalar, zeros } from "./support/device.ts";

/** NumPy's order of two numbers: NaN last. */
const before = (a: Scalar, b: Scalar): boolean => a < b || (b !== b && a === a);

/** NumPy's order of two complex numbers. */
function complexBefore([ar, ai]: readonly Scalar[], [br, bi]: readonly Scalar[]): boolean {
  if (ar! < br!) return ai === ai || bi !== bi;
  if (ar! > br!) return bi !== bi && ai === ai;
  if (ar === br || (ar !== ar && br !== br)) return before(ai!, bi!);
  return br !== br;
}

function sortRoutine(name: "sort" | "argsort" | "searchsorted", dtype: DType, side = "left") {
  const integers = name === "sort" ? dtype : "int64";
  const dtypes = name === "searchsorted" ? [dtype, dtype, integers] : [dtype, integers];
  return cpu.routine({
    key: `${name} ${dtype} ${side}`,
    name,
    dtypes,
    params: { side },
    epilogue: null,
    comment: name,
  });
}

describe("sorting", () => {
  const special = [NaN, Infinity, -Infinity, 0, -0, 1.5, -1.5];
  const compare = (dtype: DType, x: Held) => (i: number, j: number): boolean =>
    dtypeInfo(dtype).components === 2
      ? complexBefore([x.get(2 * i), x.get(2 * i + 1)], [x.get(2 * j), x.get(2 * j + 1)])
      : before(x.get(i), x.get(j));

  for (const dtype of dtypeNames) {
    test(`of ${dtype} is stable with NaN last, in few and many`, () => {
      const { components, kind } = dtypeInfo(dtype), random = generator(11);
      for (const n of [1, 2, 7, 48, 49, 1000, 9000]) {
        const values = Array.from({ length: 2 * n * components }, () => {
          if (kind === "f" || kind === "c") return random(4) === 0 ? special[random(7)]! : random(n) - n / 2;
          return dtype === "bool" ? random(2) : kind === "u" ? random(200) : random(250) - 125;
        });
        // Two rows, the elements of each apart by two.
        const x = hold(dtype, values, [2, n], [1, 2]);
        const values2 = zeros(dtype, [2, n]), positions = zeros("int64", [2, n]);
        sortRoutine("sort", dtype)({ inputs: [x], output: values2, operands: [], scalars: [] });
        sortRoutine("argsort", dtype)({ inputs: [x], output: positions, operands: [], scalars: [] });
        const less = compare(dtype, x);
        for (let row = 0; row < 2; row++) {
          const order = Array.from({ length: n }, (_, i) => row + 2 * i);
          order.sort((i, j) => less(i, j) ? -1 : less(j, i) ? 1 : i - j);
          const got = order.map((_, i) => 2 * Number(positions.get(row * n + i)) + row);
          assert.deepEqual(got, order);
          for (let i = 0; i < n; i++) {
            for (let c = 0; c < components; c++) {
              assert.ok(Object.is(values2.get((row * n + i) * components + c), x.get(order[i]! * components + c)));
            }
          }
        }
      }
    });

    test(`searchsorted finds both sides among ${dtype}`, () => {
      const { components, kind } = dtypeInfo(dtype), random = generator(5);
      const make = (n: number) =>
        hold(
          dtype,
          Array.from({ length: n * components }, () => {
            if (kind === "f" || kind === "c") return random(5) === 0 ? special[random(7)]! : random(20) - 10;
            return dtype === "bool" ? random(2) : random(100);
          }),
          [n],
        );
      const n = 60, sorted = zeros(dtype, [n]), wanted = make(40);
      sortRoutine("sort", dtype)({ inputs: [make(n)], output: sorted, operands: [], scalars: [] });
      const element = (x: Held, i: number) => components === 2 ? [x.get(2 * i), x.get(2 * i + 1)] : [x.get(i)];
      const less = (a: readonly Scalar[], b: readonly Scalar[]) =>
        components === 2 ? complexBefore(a, b) : before(a[0]!, b[0]!);
      for (const side of ["left", "right"]) {
        const out = zeros("int64", [40]);
        sortRoutine("searchsorted", dtype, side)({ inputs: [sorted, wanted], output: out, operands: [], scalars: [] });
        for (let i = 0; i < 40; i++) {
          const v = element(wanted, i);
          let at = 0;
          while (at < n && (side === "left" ? less(element(sorted, at), v) : !less(v, element(sorted, at)))) at++;
          assert.equal(Number(out.get(i)), at);
        }
      }
    });
  }

  test("of complex numbers keeps NumPy's groups of NaN", () => {
    // np.sort of these in NumPy 2.4, with -0.0 and 0.0 in their order of appearance.
    const x = hold("complex128", [NaN, 1, 2, NaN, 1, 5, NaN, NaN, 1, NaN, 1, -3, NaN, 0, 0, 2, -0, 1], [9]);
    const out = zeros("int64", [9]);
    sortRoutine("argsort", "complex128")({ inputs: [x], output: out, operands: [], scalars: [] });
    assert.deepEqual(Array.from({ length: 9 }, (_, i) => Number(out.get(i))), [8, 7, 5, 2, 4, 1, 6, 0, 3]);
  });
});
