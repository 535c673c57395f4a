/**
 * Plans by structure, with a bound on how many and how long their keys are.
 * @module
 */
import type { Device } from "../device/device.ts";
import type { Plan } from "./plan.ts";
import type { Walk } from "./topo.ts";

interface Entry {
  readonly code: Float64Array;
  readonly plan: Plan;
}

/** Plans of one device, least recently used ones leave first. */
export class PlanCache {
  /** Look-ups that found a plan, and that did not. */
  hits = 0;
  misses = 0;
  #maxPlans: number;
  #maxNumbers: number;
  #table = new Map<number, Entry[]>();
  #count = 0;
  #numbers = 0;
  #tick = 0;

  /** @param maxNumbers bound on the numbers of all keys together */
  constructor(maxPlans = 2048, maxNumbers = 4_000_000) {
    this.#maxPlans = maxPlans;
    this.#maxNumbers = maxNumbers;
  }

  /** How many plans there are. */
  get size(): number {
    return this.#count;
  }

  /** The plan of a walk's structure. */
  get(walk: Walk): Plan | undefined {
    const entries = this.#table.get(walk.hash);
    if (entries !== undefined) {
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!;
        if (walk.matches(entry.code)) {
          this.hits++;
          entry.plan.tick = ++this.#tick;
          return entry.plan;
        }
      }
    }
    this.misses++;
    return undefined;
  }

  /** Keeps the plan of a walk's structure. */
  set(walk: Walk, plan: Plan): void {
    if (walk.length * 4 > this.#maxNumbers) return;
    plan.tick = ++this.#tick;
    const entry = { code: walk.code.slice(0, walk.length), plan };
    const entries = this.#table.get(walk.hash);
    if (entries === undefined) this.#table.set(walk.hash, [entry]);
    else entries.push(entry);
    this.#count++;
    this.#numbers += walk.length;
    if (this.#count > this.#maxPlans || this.#numbers > this.#maxNumbers) this.#shrink();
  }

  /** Drops the half that was used longest ago. */
  #shrink(): void {
    const all = [...this.#table.entries()].flatMap(([hash, entries]) => entries.map((entry) => ({ hash, entry })));
    all.sort((a, b) => b.entry.plan.tick - a.entry.plan.tick);
    this.#table.clear();
    this.#count = this.#numbers = 0;
    for (const { hash, entry } of all.slice(0, Math.ceil(all.length / 2))) {
      if (this.#numbers + entry.code.length > this.#maxNumbers) break;
      const entries = this.#table.get(hash);
      if (entries === undefined) this.#table.set(hash, [entry]);
      else entries.push(entry);
      this.#count++;
      this.#numbers += entry.code.length;
    }
  }
}

const caches = new WeakMap<Device, PlanCache>();

/** The plans of a device. */
export function planCache(device: Device): PlanCache {
  let cache = caches.get(device);
  if (cache === undefined) caches.set(device, cache = new PlanCache());
  return cache;
}
