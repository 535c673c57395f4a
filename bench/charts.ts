// The charts of the report.
import type { TopLevelSpec } from "vega-lite";
import { draw } from "../examples/plot.ts";
import { label, type Measured, type Run } from "./results.ts";

/** Names of the libraries as the page shows them. */
export const titles: Readonly<Record<string, string>> = {
  numpy: "NumPy",
  jax: "JAX",
  torch: "PyTorch",
  tensorflow: "TensorFlow",
  "numpy-ts": "numpy-ts",
};

/** Runtimes as the page shows them. */
export const runtimeTitles = { deno: "Deno", bun: "Bun", node: "Node" } as const;

/** A run's title: `Deno`, `Deno, embedded engine`. */
export function runTitle(run: Run): string {
  const engines = { native: "", embedded: ", embedded engine", js: ", JavaScript only" }[run.engines];
  return `${runtimeTitles[run.runtime]}${engines ?? `, ${run.engines}`}`;
}

/** One colour a library, the same in every chart. */
const colours: Readonly<Record<string, string>> = {
  tnp: "#1f4fbf",
  "tnp in Deno": "#1f4fbf",
  "tnp in Bun": "#d1661c",
  "tnp in Node": "#1c8a50",
  "tnp, compiled": "#1f4fbf",
  "tnp, eager": "#7fa4f5",
  NumPy: "#333333",
  JAX: "#b03a8c",
  PyTorch: "#c0392b",
  TensorFlow: "#b8860b",
  "numpy-ts": "#8a8a8a",
};

function colour(names: readonly string[], legend: object): object {
  const range = names.map((name) => colours[name]);
  return { field: "library", type: "nominal", scale: { domain: names, range }, legend };
}

/** Times of the cases of one kind of work by size, one panel a run, a line a library; two of tnp where eager and compiled calls were timed. */
export function bySize(runs: readonly Run[], cases: RegExp, title: string): Promise<string> {
  const values = runs.flatMap((run) =>
    run.cases.filter((item) => cases.test(item.name) && item.size !== undefined).flatMap((item) => {
      const [way] = /eager$|compiled$/.exec(item.name) ?? [], panel = runTitle(run), size = item.size!;
      const peers = Object.entries(item.ns).filter(([key]) => key in titles && way !== "eager");
      return [
        { panel, size, library: way === undefined ? "tnp" : `tnp, ${way}`, us: item.ns.tnp! / 1000 },
        ...peers.map(([key, ns]) => ({ panel, size, library: titles[key]!, us: ns / 1000 })),
      ];
    })
  );
  const names = Object.keys(colours).filter((name) => values.some(({ library }) => library === name));
  const sizes = [...new Set(values.map(({ size }) => size))].sort((a, b) => a - b);
  return draw({
    title,
    data: { values },
    facet: { field: "panel", type: "nominal", sort: runs.map(runTitle), title: null, header: { labelFontSize: 13 } },
    columns: 3,
    spec: {
      width: 270,
      height: 260,
      layer: [
        { mark: { type: "line", strokeWidth: 2 } },
        { mark: { type: "point", filled: true, size: 28, opacity: 1 } },
      ],
      encoding: {
        x: {
          field: "size",
          type: "quantitative",
          scale: { type: "log", base: 2 },
          title: "elements",
          axis: {
            values: sizes,
            labelExpr: "datum.value < 1024 ? datum.value : datum.value < 1048576 ? datum.value / 1024 + ' Ki' : '1 Mi'",
            labelOverlap: false,
            grid: false,
          },
        },
        y: {
          field: "us",
          type: "quantitative",
          scale: { type: "log" },
          title: "microseconds",
          axis: { values: [0.1, 1, 10, 100, 1000, 10_000, 100_000], labelExpr: "format(datum.value, '~g')" },
        },
        color: colour(names, { title: null, orient: "bottom", columns: 4 }),
      },
    },
  } as TopLevelSpec);
}

/** Speed of everything relative to NumPy in the same run, one row a case. */
export function besideNumPy(runs: readonly Run[]): Promise<string> {
  // First uses would stretch the scale: NumPy's take microseconds.
  const rows = casesOf(runs).filter((name) =>
    runs.some((run) => {
      const found = find(run, name);
      return found?.ns.numpy !== undefined && found.suite !== "first use";
    })
  );
  const values = rows.flatMap((name) => [
    ...runs.flatMap((run) => {
      const { tnp, numpy } = find(run, name)?.ns ?? {};
      if (tnp === undefined || numpy === undefined) return [];
      return [{ name, library: `tnp in ${runtimeTitles[run.runtime]}`, speed: numpy / tnp }];
    }),
    ...Object.keys(titles).slice(1).flatMap((key) => {
      const speeds = runs.flatMap((run) => {
        const { [key]: ns, numpy } = find(run, name)?.ns ?? {};
        return ns === undefined || numpy === undefined ? [] : [numpy / ns];
      }).sort((a, b) => a - b);
      return speeds.length === 0 ? [] : [{ name, library: titles[key]!, speed: speeds[speeds.length >> 1]! }];
    }),
  ]);
  const names = Object.keys(colours).filter((name) => values.some(({ library }) => library === name));
  const legend = { title: null, orient: "top", columns: 4 };
  const y = { field: "name", type: "nominal", sort: rows, title: null } as const;
  return draw({
    title: "Speed relative to NumPy in the same run (1 is NumPy, further right is faster)",
    height: { step: 19 },
    width: 620,
    layer: [
      { data: { values: [{ at: 1 }] }, mark: { type: "rule", color: "#333333" }, encoding: { x: { datum: 1 } } },
      {
        data: { values },
        mark: { type: "point", filled: true, size: 62, opacity: 0.9 },
        encoding: {
          y: { ...y, axis: { grid: true, labelLimit: 480, domain: false, ticks: false } },
          x: {
            field: "speed",
            type: "quantitative",
            scale: { type: "log", nice: false, padding: 10 },
            title: "times NumPy's speed",
            axis: { values: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300], labelExpr: "format(datum.value, '~g')" },
          },
          color: colour(names, legend),
          shape: {
            field: "library",
            type: "nominal",
            scale: { domain: names, range: names.map((name) => name.startsWith("tnp") ? "circle" : "diamond") },
            legend,
          },
        },
      },
    ],
  } as TopLevelSpec);
}

/** Names of all cases of some runs, in their order. */
export function casesOf(runs: readonly Run[]): string[] {
  return [...new Set(runs.flatMap(({ cases }) => cases.map(({ name }) => name)))];
}

/** A run's case of a name. */
export function find(run: Run, name: string): Measured | undefined {
  return run.cases.find((item) => item.name === name);
}

/** Runs with all engines; else whatever there is. */
export function mainRuns(runs: readonly Run[]): readonly Run[] {
  const native = runs.filter((run) => !label(run).includes(" "));
  return native.length > 0 ? native : runs;
}
