// Times all suites, in turns with what is installed beside: node scripts/run.mjs deno|bun|node bench/run.ts [option…] [word…]
//   word        only cases whose name has one of the words are timed; such a run is not saved unless it is told to be
//   --save      saves it all the same
//   --wait=60   waits so many seconds for a load average of at most 1.5
//   --alone     without peers other than NumPy
// PYTHON names the interpreter, TNP_PEERS a folder with npm packages. Medians and ratios go to bench/results.
import { readdirSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import process from "node:process";
import { tnp } from "../mod.ts";
import { architecture, platform, runtime } from "../ffi/runtime.ts";
import { suites } from "./harness.ts";
import { measure, type Peers, probe } from "./measure.ts";
import { loadNumpyTs } from "./numpy_ts.ts";
import { pythonLibraries, PythonPeer } from "./python_peer.ts";
import { duration, goalOf, type Measured, type Run, saveRun } from "./results.ts";

/** The load average of a machine that does nothing else. */
const quietLoad = 1.5;

const options = process.argv.slice(2).filter((arg) => arg.startsWith("--"));
const words = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
const load = (): number => Number((loadavg()[0] ?? 0).toFixed(2));

for (const file of readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith("_bench.ts")).sort()) {
  await import(new URL(file, import.meta.url).href);
}
const patience = Number(options.find((arg) => arg.startsWith("--wait="))?.slice(7) ?? 0);
for (let waited = 0; waited < patience && load() > quietLoad; waited++) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
const date = new Date().toISOString().slice(0, 16);
const before = load();
let highest = before;

using stack = new DisposableStack();
const python: PythonPeer[] = [];
for (const library of options.includes("--alone") ? pythonLibraries.slice(0, 1) : pythonLibraries) {
  const peer = await PythonPeer.start(process.env.PYTHON ?? "python3", library);
  if (typeof peer !== "string") python.push(stack.use(peer));
  else if (library === "numpy") {
    console.log(`without NumPy: ${peer}`);
    break;
  }
}
const numpyTs = options.includes("--alone") ? null : await loadNumpyTs();
const peers: Peers = { python, numpyTs: numpyTs?.np ?? null, complain: (message) => console.log(`  (${message})`) };
const versions = versionsOf();
const head = {
  date,
  runtime: runtime.name,
  version: runtime.version,
  engines: process.env.TNP_ENGINE === "js" ? "js" : "compiler" in versions ? "native" : "embedded",
};
const others = [...python.map(({ library }) => library as string).slice(1), ...(numpyTs === null ? [] : ["numpy-ts"])];
console.log(
  `${runtime.name} ${runtime.version}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown CPU"}, load ${before}`,
);
console.log(Object.entries(versions).map((pair) => pair.join(" ")).join(", "));
if (before > quietLoad) console.log(`the machine is not quiet: its load average is above ${quietLoad}`);

const cases: Measured[] = [];
for (const { name: group, cases: all } of suites) {
  const chosen = all.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
  if (chosen.length === 0) continue;
  console.log(`\n${group.padEnd(50)}${["tnp", "goal", "numpy", ...others].map((s) => s.padStart(11)).join("")}`);
  for (const item of chosen) {
    try {
      const measured = await ("probe" in item ? probe(group, item, peers) : measure(group, item, peers));
      cases.push(measured);
      console.log(row(measured));
    } catch (error) {
      // The other cases are worth their time all the same.
      console.error(`${item.name}:`, error);
      process.exitCode = 1;
    }
    highest = Math.max(highest, load());
  }
}

const run: Run = {
  ...head,
  machine: {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    system: `${platform} ${architecture}`,
    load: { before, highest },
    // The benches themselves keep every core busy at times.
    quiet: before <= quietLoad && highest <= quietLoad + cpus().length,
  },
  versions,
  cases,
};
if (words.length === 0 || options.includes("--save")) console.log(`\nsaved as bench/results/${saveRun(run)}`);

function row(measured: Measured): string {
  const { name, ns, bytes, direct } = measured;
  const goal = goalOf(measured, { ...head } as Run);
  const cell = (value: number | undefined) => (value === undefined ? "" : duration(value)).padStart(11);
  const cells = [cell(ns.tnp), cell(goal), ...["numpy", ...others].map((key) => cell(ns[key]))].join("");
  const notes = [
    ...(ns.numpy === undefined ? [] : [`${(ns.numpy / ns.tnp!).toFixed(2)} x NumPy`]),
    ...(direct === undefined ? [] : [`${(ns.direct! / ns.tnp!).toFixed(2)} x ${direct}`]),
    ...(bytes === undefined ? [] : [`${Math.round(bytes.tnp! / 2 ** 20)} MiB`]),
    ...(goal !== undefined && ns.tnp! > goal ? ["above the goal"] : []),
  ];
  return `${name.padEnd(50)}${cells}   ${notes.join(", ")}`;
}

/** Versions of everything that takes part. */
function versionsOf(): Record<string, string> {
  const { version, compiler, onednn, openblas } = tnp.config.build_info();
  const engines = Object.entries({ compiler, onednn, openblas }).filter(([, engine]) => engine.available);
  return {
    tnp: version,
    ...Object.fromEntries(engines.map(([name, engine]) => [name, engine.version ?? "unknown"])),
    ...Object.fromEntries(python.map((peer) => [peer.library, peer.version])),
    ...(numpyTs === null ? {} : { "numpy-ts": numpyTs.version }),
  };
}
