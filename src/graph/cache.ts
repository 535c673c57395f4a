/**
 * What is known of structures, with a bound on how many and how long their keys are; among it, the plans of devices.
 * @module
 */
import type { Device } from "../device/device.ts";
import type { Key } from "./key.ts";
import type { Plan } from "./plan.ts";

interface Entry<T> {
  readonly code: Float64Array;
  /** Null where the structure was seen and nothing else. */
  value: T | null;
  /** When it was last asked for. */
  tick: number;
}

/** Values by structure, least recently used ones leave first. */
export class StructureCache<T> {
  /** Look-ups of structures that were seen before, and of others. */
  hits = 0;
  misses = 0;
  #most: number;
  #maxNumbers: number;
  #table = new Map<number, Entry<T>[]>();
  #count = 0;
  #numbers = 0;
  #tick = 0;

  /** @param maxNumbers bound on the numbers of all keys together */
  constructor(most = 2048, maxNumbers = 4_000_000) {
    this.#most = most;
    this.#maxNumbers = maxNumbers;
  }

  /** How many structures are known. */
  get size(): number {
    return this.#count;
  }

  /** What is known of a structure: null for one that was seen and nothing else, undefined for a new one. */
  get(key: Key): T | null | undefined {
    const entry = this.#find(key);
    if (entry === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    entry.tick = ++this.#tick;
    return entry.value;
  }

  #find(key: Key): Entry<T> | undefined {
    const entries = this.#table.get(key.hash);
    if (entries === undefined) return undefined;
    for (let i = 0; i < entries.length; i++) if (key.matches(entries[i]!.code)) return entries[i]!;
    return undefined;
  }

  /** Keeps what is known of a structure, or that it was seen. */
  set(key: Key, value: T | null): void {
    if (key.length * 4 > this.#maxNumbers) return;
    const known = this.#find(key);
    if (known !== undefined) {
      known.value = value;
      return;
    }
    const entry = { code: key.code.slice(0, key.length), value, tick: ++this.#tick };
    const entries = this.#table.get(key.hash);
    if (entries === undefined) this.#table.set(key.hash, [entry]);
    else entries.push(entry);
    this.#count++;
    this.#numbers += key.length;
    if (this.#count > this.#most || this.#numbers > this.#maxNumbers) this.#shrink();
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

const caches = new WeakMap<Device, StructureCache<Plan>>();
/** Those of the device that was asked for last. */
let recent: { readonly device: Device; readonly cache: StructureCache<Plan> } | null = null;

/** The plans of a device. */
export function planCache(device: Device): StructureCache<Plan> {
  if (recent !== null && recent.device === device) return recent.cache;
  let cache = caches.get(device);
  if (cache === undefined) caches.set(device, cache = new StructureCache());
  recent = { device, cache };
  return cache;
}
