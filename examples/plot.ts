// Pictures of numbers: SVG files in examples/out, drawn by Vega-Lite.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";

/** The folder that pictures go to; git ignores it. */
const folder = new URL("out/", import.meta.url);

/** What a picture says about itself. */
export interface Labels {
  readonly title: string;
  readonly x: string;
  readonly y: string;
}

/** One line of a plot: a name for the legend and its points. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/**
 * Saves the histogram of some numbers.
 * @param file the file's name in examples/out
 * @param values the numbers
 * @param labels title and axes
 * @param bins about how many bars to draw
 * @returns the path of the picture
 */
export function histogram(file: string, values: Iterable<number>, labels: Labels, bins = 20): Promise<string> {
  return save(file, {
    title: labels.title,
    data: { values: Array.from(values, (value) => ({ value })) },
    mark: { type: "bar", color: palette[0] },
    encoding: {
      x: { field: "value", bin: { maxbins: bins }, title: labels.x, axis: { grid: false, format: "~g" } },
      y: { aggregate: "count", title: labels.y },
    },
  });
}

/**
 * Saves lines with a legend.
 * @param file the file's name in examples/out
 * @param lines names and points; a log axis takes positive numbers only
 * @param labels title and axes
 * @param options `log`: both axes logarithmic, the x axis with base 2; `dots`: marks the points
 * @returns the path of the picture
 */
export function plot(
  file: string,
  lines: readonly Line[],
  labels: Labels,
  options: { readonly log?: boolean; readonly dots?: boolean } = {},
): Promise<string> {
  const { log = false, dots = false } = options;
  return save(file, {
    title: labels.title,
    data: { values: lines.flatMap(({ name, points }) => points.map(([x, y]) => ({ name, x, y }))) },
    mark: { type: "line", strokeWidth: 2, point: dots ? { size: 40 } : false },
    encoding: {
      x: {
        field: "x",
        type: "quantitative",
        title: labels.x,
        scale: log ? { type: "log", base: 2 } : {},
        axis: { tickCount: 6 },
      },
      y: {
        field: "y",
        type: "quantitative",
        title: labels.y,
        scale: { type: log ? "log" : "linear", ...(log ? {} : { zero: true }) },
        axis: { tickCount: 6 },
      },
      color: {
        field: "name",
        type: "nominal",
        sort: null,
        scale: { range: [...palette] },
        legend: lines.length > 1 ? { title: null, orient: log ? "top-left" : "top-right" } : null,
      },
    },
  });
}

const palette = ["#3366cc", "#dd7711", "#229966", "#cc3355", "#7755bb"] as const;

/**
 * Draws a Vega-Lite specification in the style of all pictures here.
 * @returns the text of an SVG file
 */
export async function draw(spec: TopLevelSpec): Promise<string> {
  const styled = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width: 560,
    height: 320,
    background: "white",
    padding: 16,
    ...spec,
    config: {
      font: "sans-serif",
      view: { stroke: null },
      title: { fontSize: 15, anchor: "start", offset: 12 },
      axis: {
        labelFontSize: 11,
        titleFontSize: 12,
        titleFontWeight: "normal",
        gridColor: "#e4e4e4",
        domainColor: "#888888",
      },
      legend: { labelFontSize: 12, symbolStrokeWidth: 3, fillColor: "white" },
      ...spec.config,
    },
  } as TopLevelSpec;
  const view = new View(parse(compile(styled).spec), { renderer: "none" });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** Writes a picture. */
async function save(file: string, spec: TopLevelSpec): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const path = new URL(file, folder);
  writeFileSync(path, await draw(spec));
  return fileURLToPath(path);
}
