// Turns the latest runs of bench/results into bench/report.html and the table of docs/performance.md: make report
import { readFileSync, writeFileSync } from "node:fs";
import { besideNumPy, bySize, casesOf, find, mainRuns, runtimeTitles, runTitle, titles } from "./charts.ts";
import { markdownTable } from "./markdown.ts";
import { duration, goalOf, latestRuns, type Measured, type Run } from "./results.ts";

const runs = latestRuns();
if (runs.length === 0) throw new Error("report: bench/results has no run; make bench");
const main = mainRuns(runs);
const peers = Object.keys(titles).filter((key) => runs.some(({ cases }) => cases.some(({ ns }) => key in ns)));

const picture = (svg: string): string => `<figure>${svg}</figure>`;
const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

const html = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>tnp: benches</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 24px; margin-bottom: 0; }
h2 { font-size: 18px; margin-top: 2em; }
figure { margin: 1em 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; text-align: right; white-space: nowrap; border-bottom: 1px solid #eee; }
th { font-weight: 600; border-bottom: 1px solid #999; }
th:first-child, td:first-child { text-align: left; }
tr.suite td { font-weight: 600; padding-top: 14px; }
.ratio { color: #777; padding-left: 0.5em; }
.good { background: #e3f4e6; }
.bad { background: #fdeae4; }
.warn { background: #fff5d6; padding: 0.5em 1em; border-left: 4px solid #e0b000; }
.scroll { overflow-x: auto; }
footer { color: #777; font-size: 13px; margin-top: 3em; }
</style>
</head>
<body>
<h1>tnp: benches</h1>
<p>Medians of a call. Every library was measured in turns with tnp, in the same run on the same machine. Ratios are times NumPy's speed: above 1, tnp is faster.
A green cell reaches its goal, a red one does not yet.</p>
${runs.every(({ machine }) => machine.quiet) ? "" : warning()}
<h2>By size</h2>
${picture(await bySize(runs, /^sigmoid float32 /, "1 / (1 + exp(-x)), float32"))}
${picture(await bySize(main, /^sort float32 \d+, random$/, "sort, random float32"))}
${picture(await bySize(main, /^matmul float32 /, "matrix product, float32, by elements of a matrix"))}
<h2>Against NumPy</h2>
${picture(await besideNumPy(main))}
<h2>Every case</h2>
<div class="scroll">${table()}</div>
<h2>Memory</h2>
<div class="scroll">${memory()}</div>
<h2>Runs</h2>
<div class="scroll">${machines()}</div>
<footer>Made by <code>make report</code> from bench/results.</footer>
</body>
</html>
`;
writeFileSync(new URL("report.html", import.meta.url), html);
writeMarkdown();
console.log(`bench/report.html and docs/performance.md: ${runs.map(runTitle).join("; ")}`);

function warning(): string {
  const which = runs.filter(({ machine }) => !machine.quiet).map((run) => `${runTitle(run)} (load ${loadOf(run)})`);
  return `<p class="warn">The machine did other work during: ${
    escape(which.join("; "))
  }. These numbers say little.</p>`;
}

function loadOf({ machine: { load } }: Run): string {
  return `${load.before} before, ${load.highest} at most`;
}

/** The middle of what the runs measured for a peer. */
function peerTime(name: string, key: string): number | undefined {
  const all = main.flatMap((run) => find(run, name)?.ns[key] ?? []).sort((a, b) => a - b);
  return all[all.length >> 1];
}

function table(): string {
  const head = ["case", "goal", ...runs.map(runTitle), ...peers.map((key) => titles[key]!)];
  let suite = "";
  const rows = casesOf(runs).map((name) => {
    const item = runs.map((run) => find(run, name)).find((found) => found !== undefined)!;
    const title = item.suite === suite
      ? ""
      : `<tr class="suite"><td colspan="${head.length}">${escape(item.suite)}</td></tr>\n`;
    suite = item.suite;
    const cells = [
      `<td>${escape(name)}</td>`,
      `<td>${item.goal === undefined ? "" : duration(item.goal)}</td>`,
      ...runs.map((run) => cell(find(run, name), run)),
      ...peers.map((key) => `<td>${time(peerTime(name, key))}</td>`),
    ];
    return `${title}<tr>${cells.join("")}</tr>`;
  });
  return `<table>\n<tr>${head.map((text) => `<th>${escape(text)}</th>`).join("")}</tr>\n${rows.join("\n")}\n</table>`;
}

function time(ns: number | undefined): string {
  return ns === undefined ? "" : duration(ns);
}

/** A run's time with its ratios, coloured by the goal. */
function cell(item: Measured | undefined, run: Run): string {
  if (item === undefined) return "<td></td>";
  const { ns, direct } = item, goal = goalOf(item, run);
  const kind = goal === undefined ? "" : ns.tnp! <= goal ? ` class="good"` : ` class="bad"`;
  const beside = direct === undefined ? "" : ` title="${(ns.direct! / ns.tnp!).toFixed(2)} x ${escape(direct)}"`;
  return `<td${kind}${beside}>${duration(ns.tnp!)}<span class="ratio">${ratio(item)}</span></td>`;
}

function ratio({ ns }: Measured): string {
  if (ns.numpy === undefined) return "";
  const r = ns.numpy / ns.tnp!;
  return `${r >= 100 ? r.toFixed(0) : r.toPrecision(2)} ×`;
}

function memory(): string {
  const rows = casesOf(runs).flatMap((name) => {
    const found = runs.map((run) => find(run, name));
    const goal = found.find((item) => item?.goalBytes !== undefined)?.goalBytes;
    if (goal === undefined) return [];
    const mib = (bytes: number | undefined) => (bytes === undefined ? "" : `${Math.round(bytes / 2 ** 20)} MiB`);
    const cells = found.map((item) => {
      const bytes = item?.bytes?.tnp;
      return `<td class="${bytes === undefined ? "" : bytes <= goal ? "good" : "bad"}">${mib(bytes)}</td>`;
    });
    const beside = peers.map((key) => `<td>${mib(found.find((item) => item?.bytes?.[key])?.bytes?.[key])}</td>`);
    return [`<tr><td>${escape(name)}</td><td>${mib(goal)}</td>${cells.join("")}${beside.join("")}</tr>`];
  });
  const head = ["largest resident set", "goal", ...runs.map(runTitle), ...peers.map((key) => titles[key]!)];
  return `<table>\n<tr>${head.map((text) => `<th>${escape(text)}</th>`).join("")}</tr>\n${rows.join("\n")}\n</table>`;
}

function machines(): string {
  const rows = runs.map((run) => {
    const { machine, versions } = run;
    const texts = [
      runTitle(run),
      run.version,
      `${run.date.replace("T", " ")} UTC`,
      `${machine.cores} × ${machine.cpu}, ${machine.system}`,
      `${loadOf(run)}${machine.quiet ? "" : " (not quiet)"}`,
    ];
    const list = Object.entries(versions).map((pair) => escape(pair.join(" "))).join("<br>");
    return `<tr>${
      texts.map((text) => `<td>${escape(text)}</td>`).join("")
    }<td style="text-align: left">${list}</td></tr>`;
  });
  const head = ["run", "version", "date", "machine", "load average", "beside"];
  return `<table>\n<tr>${head.map((text) => `<th>${text}</th>`).join("")}</tr>\n${rows.join("\n")}\n</table>`;
}

/** Fills the generated section of docs/performance.md. */
function writeMarkdown(): void {
  const file = new URL("../docs/performance.md", import.meta.url), text = readFileSync(file, "utf8");
  const [open, close] = ["<!-- measured: written by make report -->", "<!-- end of what was measured -->"];
  const from = text.indexOf(open), to = text.indexOf(close);
  if (from < 0 || to < from) throw new Error(`report: docs/performance.md has no ${open} … ${close}`);
  const head = ["case", "goal", ...main.map((run) => runtimeTitles[run.runtime]), ...peers.map((key) => titles[key]!)];
  const isFirst = (name: string) => main.some((run) => find(run, name)?.suite === "first use");
  const rowOf = (name: string) => {
    const found = main.map((run) => find(run, name)), item = found.find((item) => item !== undefined)!;
    const cells = found.map((item, i) => {
      if (item === undefined) return "";
      const goal = goalOf(item, main[i]!), reached = goal === undefined ? "" : item.ns.tnp! <= goal ? " ✓" : " ✗";
      const peak = item.bytes === undefined ? "" : `, ${Math.round(item.bytes.tnp! / 2 ** 20)} MiB`;
      return `${duration(item.ns.tnp!)}${reached}${isFirst(name) ? "" : ` (${ratio(item) || "–"})`}${peak}`;
    });
    return [name, time(item.goal), ...cells, ...peers.map((key) => time(peerTime(name, key)))];
  };
  const names = casesOf(main), rows = names.filter((name) => !isFirst(name)).map(rowOf);
  // Only NumPy is a peer here.
  const width = 2 + main.length, numpy = head.indexOf(titles["numpy"]!);
  const short = (row: readonly string[]) => [...row.slice(0, width), ...(numpy < 0 ? [] : [row[numpy]!])];
  const firsts = names.filter(isFirst).map((name) => short(rowOf(name)));
  const second = firsts.length === 0
    ? ""
    : `\n\nThe first use of an operation after the import, in a process of its own: with no kernels on disk, with those of a run before, and from a pack without a compiler.\n\n${
      markdownTable(short(head), firsts)
    }`;
  const { machine, date } = main[0]!;
  const loads = main.map((run) => `${runtimeTitles[run.runtime]} ${run.version}: load ${loadOf(run)}`).join("; ");
  const noise = main.every(({ machine }) => machine.quiet)
    ? ""
    : " The machine was not quiet, so these numbers say little.";
  const intro = `Measured on ${machine.cores} × ${machine.cpu} on ${date.slice(0, 10)}; ${loads}.${noise}`;
  writeFileSync(
    file,
    `${text.slice(0, from)}${open}\n\n${intro}\n\n${markdownTable(head, rows)}${second}\n\n${text.slice(to)}`,
  );
}
