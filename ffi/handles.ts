const counts = new Map<string, number>();

/** Notes that a native handle of a kind was created. */
export function created(kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}

/** Notes that a native handle of a kind was destroyed. */
export function destroyed(kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) - 1);
}

/** How many native handles of each kind are alive: libraries, engines, memory objects, primitives. For tests and debugging. */
export function liveHandles(): Readonly<Record<string, number>> {
  return Object.fromEntries([...counts].filter(([, count]) => count !== 0));
}
