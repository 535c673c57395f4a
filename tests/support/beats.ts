/** How late a timer of 10 ms is while something is under way. */
import { setTimeout } from "node:timers/promises";

const PERIOD = 10;

/** What a timer saw. */
export interface Beats<T> {
  readonly value: T;
  /** The most milliseconds that a beat was late. */
  readonly late: number;
  readonly count: number;
}

/** Runs with a timer; the last beat is when the promise settles. */
export async function beats<T>(run: () => Promise<T>): Promise<Beats<T>> {
  let last = performance.now(), late = 0, count = 0;
  const beat = () => {
    const now = performance.now();
    late = Math.max(late, now - last - PERIOD);
    last = now;
    count++;
  };
  const timer = setInterval(beat, PERIOD);
  try {
    const value = await run();
    beat();
    return { value, late, count };
  } finally {
    clearInterval(timer);
  }
}

/**
 * How late beats are at best: on a machine with other work a timer is late without a reason of ours, so the best of some runs
 * counts, less three times what the timer is late with nothing to do.
 *
 * @param enough ends the runs
 */
export async function lateness(run: () => Promise<unknown>, enough: number): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < 16 && best > enough; i++) {
    const idle = (await beats(() => setTimeout(150))).late;
    best = Math.min(best, (await beats(run)).late - 3 * idle);
  }
  return best;
}
