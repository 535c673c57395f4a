/**
 * Plans by structure, with a bound on how many and how long their keys are.
 * @module
 */
import type { Device } from "../device/device.ts";
import type { Plan } from "./plan.ts";
import type { Walk } from "./topo.ts";

interface Entry {
  readonly code: Float64Array;
  /** Null where the structure was seen, but needed no plan. */
  plan: Plan | null;
  /** When it was last asked for. */
  tick: number;
}

/** Plans of one device, least recently used ones leave first. */
export class PlanCache {
  /** Look-ups of structures that were seen before, and of others. */
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

  /** How many structures are known. */
  get size(): number {
    return this.#count;
  }

  /** The plan of a walk's structure: null for one that was seen but has none, undefined for a new one. */
  get(walk: Walk): Plan | null | undefined {
    const entry = this.#find(walk);
    if (entry === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    entry.tick = ++this.#tick;
    return entry.plan;
  }

  #find(walk: Walk): Entry | undefined {
    const entries = this.#table.get(walk.hash);
    if (entries === undefined) return undefined;
    for (let i = 0; i < entries.length; i++) if (walk.matches(entries[i]!.code)) return entries[i]!;
    return undefined;
  }

  /** Keeps the plan of a walk's structure, or that it was seen. */
  set(walk: Walk, plan: Plan | null): void {
    if (walk.length * 4 > this.#maxNumbers) return;
    const known = this.#find(walk);
    if (known !== undefined) {
      known.plan = plan;
      return;
    }
    const entry = { code: walk.code.slice(0, walk.length), plan, tick: ++this.#tick };
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
    all.sort((a, b) => b.entry.tick - a.entry.tick);
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
