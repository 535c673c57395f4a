/** Traced functions that use every way in which a GPU's graphs take part, with the answers they must have. */
import { type NDArray, tnp } from "../../mod.ts";

/** Numbers between -1 and 1 that differ. */
export function wave(shape: readonly number[], k: number, dtype: "float32" | "float64" = "float64"): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return tnp.sin(tnp.arange(size).mul(k)).astype(dtype).reshape(shape as number[]) as NDArray;
}

/** A model with a layer that is hidden, its traced step, and its data. */
export function model(rows = 24): { readonly step: (x: NDArray, y: NDArray) => NDArray; data(): [NDArray, NDArray] } {
  const w1 = new tnp.Variable(wave([8, 16], 0.3)), b1 = new tnp.Variable(wave([16], 0.1));
  const w2 = new tnp.Variable(wave([16, 2], 0.7));
  const step = tnp.function((x: NDArray, y: NDArray) => {
    using tape = new tnp.GradientTape();
    const hidden = tnp.maximum(tnp.matmul(x, w1).add(b1), 0);
    const loss = tnp.sum(tnp.square(tnp.matmul(hidden, w2).sub(y)));
    const variables = [w1, b1, w2];
    const gradients = tape.gradient(loss, variables) as unknown as NDArray[];
    variables.forEach((v, i) => v.assign_sub(gradients[i]!.mul(1e-3)));
    return loss;
  });
  return { step, data: () => [wave([rows, 8], 0.77), wave([rows, 2], 1.3)] };
}

/** What a function gives in some calls on a device, one number after the other. */
function numbers(calls: number, call: (i: number) => NDArray | readonly NDArray[]): number[] {
  return Array.from({ length: calls }, (_, i) => [call(i)].flat() as NDArray[]).flatMap((parts) =>
    parts.flatMap((part) => Array.from(part.dataSync() as ArrayLike<number | bigint>, Number))
  );
}

/** Runs traced functions on the current device and gives their numbers. */
export const programs = {
  /** Losses of a model that is trained. */
  training: () => {
    const { step, data } = model();
    const [x, y] = data();
    return numbers(8, () => step(x, y));
  },
  /** Other arrays and other plain numbers in each call. */
  arguments: () => {
    const f = tnp.function((x: NDArray, y: NDArray, k: NDArray) =>
      tnp.sum(tnp.tanh(tnp.matmul(x, y)).mul(k), 0).add(k)
    );
    return numbers(12, (i) => f(wave([5, 7], i + 1), wave([7, 3], 0.1 * i), i + 0.5));
  },
  /** Two functions in turn, and shapes in turn. */
  turns: () => {
    const f = tnp.function((x: NDArray) => tnp.cumsum(x.sub(tnp.mean(x)).reshape([-1])));
    const g = tnp.function((x: NDArray) => tnp.matmul(x, x.transpose()).add(tnp.max(x)));
    let x = wave([6, 6], 0.4);
    return numbers(10, (i) => {
      const n = 4 + i % 3;
      x = g(f(x.at(`:${n}`, `:${n}`)).reshape([n, n])).div(50);
      const whole = tnp.zeros([6, 6]).with([`:${n}`, `:${n}`], x);
      x = whole;
      return x;
    });
  },
  /** Sorting, searching, scattering: routines and kernels with memory of their own. */
  routines: () => {
    const f = tnp.function((x: NDArray) => {
      const order = tnp.argsort(x), sorted = tnp.sort(x.mul(2));
      const bins = tnp.zeros([40]).with([tnp.mod(order, 40)], x, { mode: "add" });
      return [sorted.at("::50"), bins, tnp.searchsorted(sorted, bins).astype("float64")];
    });
    return numbers(5, (i) => f(wave([900], i + 0.37)));
  },
  /** Random draws: new ones in each call. */
  draws: () => {
    tnp.random.seed(11);
    const f = tnp.function((x: NDArray) => {
      const noise = tnp.random.uniform(0, 1, [50, 4]).mul(x);
      return tnp.cumsum(tnp.sum(noise, 0).add(tnp.random.uniform(0, 1, [4])));
    });
    return numbers(6, () => f(wave([4], 1)));
  },
  /** Loops and branches: graphs between them, and in their bodies. */
  control: () => {
    const f = tnp.function((x: NDArray, limit: NDArray) => {
      const start = tnp.tanh(x).add(tnp.sum(x));
      const [, grown] = tnp.while_loop(
        ([, v]: readonly [NDArray, NDArray]) => tnp.sum(tnp.square(v)).lt(limit),
        ([i, v]: readonly [NDArray, NDArray]) => [i.add(1), tnp.matmul(v, tnp.eye(3).mul(1.5)).add(0.01)] as const,
        [tnp.asarray(0), start] as const,
      );
      return tnp.cond(tnp.sum(grown).gt(0), (v: NDArray) => v.sub(tnp.max(v)), (v: NDArray) => v.mul(-1), grown);
    });
    return numbers(6, (i) => f(wave([3, 3], 0.3 + i), 40 + i));
  },
  /** A loop that writes into parts of its results, and its gradient. */
  scan: () => {
    const f = tnp.function((x: NDArray, w: NDArray) => {
      using tape = new tnp.GradientTape();
      tape.watch(w);
      const [, ys] = tnp.scan(
        (h: NDArray, row: NDArray) => {
          const next = tnp.tanh(tnp.matmul(h.reshape([1, 4]), w).reshape([4]).add(row));
          return [next, next.mul(2)] as const;
        },
        tnp.zeros([4]),
        x,
      );
      return [ys, tape.gradient(tnp.sum(tnp.square(ys)), w) as NDArray];
    });
    return numbers(5, (i) => f(wave([6, 4], 0.5 + i), wave([4, 4], 0.2)));
  },
  /** Many plain numbers that are part of the kernels' arguments. */
  wide: () => {
    const f = tnp.function((x: NDArray, k: NDArray) => {
      let y = x;
      for (let j = 0; j < 300; j++) y = j % 2 === 0 ? y.add(j / 7) : y.mul(1 - j * 1e-5);
      return tnp.sum(y.mul(k), 0);
    });
    return numbers(5, (i) => f(wave([400, 300], i + 0.3), 1 + (i >> 1)));
  },
} as const;

/** Whether numbers are those of another device. */
export function differs(right: readonly number[], got: readonly number[]): string | null {
  if (right.length !== got.length) return `${got.length} numbers, expected ${right.length}`;
  const at = right.findIndex((x, i) => !(Math.abs(x - got[i]!) <= 1e-11 * (1 + Math.abs(x))));
  return at < 0 ? null : `number ${at} is ${got[at]}, expected ${right[at]}`;
}
