// How one case is measured: every way warmed up until stable, then samples of all ways in turns; the medians count.
import { type Case, type Probe, type ProbeCase, quantile } from "./harness.ts";
import type { NumpyTs } from "./numpy_ts.ts";
import { PeerError, type PythonPeer } from "./python_peer.ts";
import type { Measured } from "./results.ts";

/** Libraries to measure beside tnp. */
export interface Peers {
  readonly python: readonly PythonPeer[];
  readonly numpyTs: NumpyTs | null;
  /** Told where a peer cannot do a case. */
  readonly complain: (message: string) => void;
}

/** Seconds that `count` calls take. */
type Timer = (count: number) => number | Promise<number>;

/** Samples a way, and the least time of each. */
const rounds = 9, sampleSeconds = 0.02;
/** Warm-up: at least so long, until the last three samples agree to a tenth, at most so long. */
const warmup = { least: 0.4, most: 1.5, agree: 1.1 };

/** Times one case. */
export async function measure(suite: string, item: Case, peers: Peers): Promise<Measured> {
  const most = item.most ?? Infinity;
  const direct = item.direct?.make() ?? null;
  const ways = new Map<string, Timer>([["tnp", loop(item.make())]]);
  if (direct !== null) ways.set("direct", loop(direct));
  if (peers.numpyTs !== null && item.numpyTs !== undefined) {
    ways.set("numpy-ts", disposing(item.numpyTs(peers.numpyTs)));
  }
  for (const peer of peers.python) if (await defined(item, peer, peers)) ways.set(peer.library, (n) => peer.time(n));

  const counts = new Map<string, number>();
  for (const [key, timer] of ways) {
    try {
      counts.set(key, await calibrate(timer, most));
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      peers.complain(`${item.name}: ${error.message}`);
      ways.delete(key);
    }
  }
  const samples = new Map<string, number[]>([...ways.keys()].map((key) => [key, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [key, timer] of ways) {
      const count = counts.get(key)!, taken = samples.get(key)!;
      if (round > 2 && taken[0]! > 3e8) continue;
      taken.push(await timer(count) * 1e9 / count);
      // Idle threads of one side's pool must not take the other's time; finalizers run here, too.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  return {
    suite,
    name: item.name,
    ...(item.size === undefined ? {} : { size: item.size }),
    ...(item.goal === undefined ? {} : { goal: item.goal * 1000 }),
    ...(direct === null ? {} : { direct: item.direct!.name }),
    ns: Object.fromEntries([...samples].map(([key, taken]) => [key, round3(quantile(taken, 0.5))])),
    spread: [0.25, 0.75].map((part) => round3(quantile(samples.get("tnp")!, part))),
  };
}

/** Runs a probe and its peers three times each. */
export async function probe(suite: string, item: ProbeCase, peers: Peers): Promise<Measured> {
  const found = new Map<string, Probe[]>();
  for (let round = 0; round < 3; round++) {
    const add = (key: string, value: Probe): void => void (found.get(key) ?? found.set(key, []).get(key)!).push(value);
    add("tnp", await item.probe());
    for (const peer of peers.python) {
      if (await defined(item, peer, peers)) add(peer.library, await peer.value() as Probe);
    }
  }
  const each = (f: (values: Probe[]) => number) =>
    Object.fromEntries([...found].map(([key, values]) => [key, round3(f(values))]));
  return {
    suite,
    name: item.name,
    ...(item.goal === undefined ? {} : { goal: item.goal * 1000 }),
    ns: each((values) => quantile(values.map(({ ns }) => ns), 0.5)),
    ...(item.goalBytes === undefined ? {} : {
      goalBytes: item.goalBytes,
      bytes: each((values) => Math.max(...values.map(({ bytes }) => bytes!))),
    }),
    spread: [0.25, 0.75].map((part) => round3(quantile(found.get("tnp")!.map(({ ns }) => ns), part))),
  };
}

/** Whether a peer has the case, ready to run. */
async function defined(item: Case | ProbeCase, peer: PythonPeer, peers: Peers): Promise<boolean> {
  const code = item.python?.[peer.library];
  if (code === undefined) return false;
  try {
    await peer.define(code);
    return true;
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    peers.complain(`${item.name}: ${error.message}`);
    return false;
  }
}

function loop(run: () => void): Timer {
  return (count) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) run();
    return (performance.now() - start) / 1000;
  };
}

function disposing(run: () => { dispose(): void } | number): Timer {
  return loop(() => {
    const result = run();
    if (typeof result === "object") result.dispose();
  });
}

/** Warms up and finds how many calls make a sample. */
async function calibrate(timer: Timer, most: number): Promise<number> {
  const start = performance.now(), recent: number[] = [];
  for (let count = 1;;) {
    const seconds = await timer(count);
    recent.push(seconds / count);
    const last = recent.slice(-3), gone = (performance.now() - start) / 1000;
    const stable = last.length === 3 && Math.max(...last) < warmup.agree * Math.min(...last);
    const wanted = Math.ceil(count * sampleSeconds / Math.max(seconds, 1e-7));
    count = Math.max(1, Math.min(most, wanted, count * 10));
    if (gone > warmup.most || stable && gone > warmup.least) return count;
  }
}

function round3(x: number): number {
  return Number(x.toPrecision(4));
}
