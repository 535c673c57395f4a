/** A program that uses every part of a GPU, with the answer it must have. */
import { tnp } from "../../mod.ts";

/** Runs on the current device and gives its numbers. */
export function program(): number[] {
  return tnp.scope(() => {
    const x = tnp.linspace(-1, 1, 3000).reshape([60, 50]);
    const w = tnp.sin(tnp.arange(200).reshape([50, 4]));
    const h = tnp.tanh(tnp.matmul(x, w));
    const total = tnp.sum(h, 0);
    const order = tnp.argsort(h.at(":", 1));
    const bins = tnp.zeros([7]).with([tnp.mod(order, 7)], h.at(":", 2), { mode: "add" });
    const running = tnp.cumsum(x.reshape([-1]));
    const gradient = tnp.grad(((v: typeof w) => tnp.sum(tnp.square(tnp.matmul(x, v)))) as never) as unknown as (
      v: typeof w,
    ) => typeof w;
    const pairs = tnp.matmul(x.reshape([3, 20, 50]), tnp.sin(tnp.arange(300)).reshape([3, 50, 2]));
    const parts = [
      tnp.sum(pairs, [1, 2]),
      total,
      bins,
      tnp.max(running),
      gradient(w).at(3),
      tnp.sort(x.at(5)).at("::9"),
    ];
    return parts.flatMap((part) => Array.from(part.dataSync() as Float64Array));
  }) as unknown as number[];
}

/** A traced function whose arguments change from call to call, in values and in place. */
export function traced(): number[] {
  const step = tnp.function((x: tnp.NDArray, w: tnp.NDArray) => tnp.tanh(tnp.matmul(tnp.sin(x), w)));
  return tnp.scope(() =>
    Array.from({ length: 8 }, (_, i) => {
      const x = tnp.linspace(-1, i, 12).reshape([3, 4]), w = tnp.cos(tnp.arange(8)).reshape([4, 2]);
      // Held until the end: the next result lies elsewhere.
      return step(x, w);
    }).flatMap((y) => Array.from(y.dataSync() as Float64Array))
  ) as unknown as number[];
}
