// A flame graph of a CPU profile: node --cpu-prof --cpu-prof-dir=DIR bench/dispatch.ts && node bench/flame.mjs DIR/*.cpuprofile > docs/dispatch.svg
import { readFileSync } from "node:fs";
import process from "node:process";

const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const byId = new Map(nodes.map((node) => [node.id, { ...node, self: 0, total: 0 }]));
samples.forEach((id, i) => byId.get(id).self += timeDeltas[i]);

/** A frame with all calls of one function from one caller put together. */
function merge(list) {
  const frames = new Map();
  for (const node of list) {
    const { functionName, url, lineNumber } = node.callFrame;
    const file = url.replace(/^.*\/((?:bench|ffi|kernels|src)\/)/, "$1");
    const name = `${functionName || "(anonymous)"}${file === "" ? "" : ` ${file}:${lineNumber + 1}`}`;
    let frame = frames.get(name);
    if (frame === undefined) frames.set(name, frame = { name, self: 0, children: [] });
    frame.self += node.self;
    frame.children.push(...(node.children ?? []).map((id) => byId.get(id)));
  }
  for (const frame of frames.values()) {
    frame.children = merge(frame.children);
    frame.total = frame.self + frame.children.reduce((sum, child) => sum + child.total, 0);
  }
  return [...frames.values()].sort((a, b) => b.total - a.total);
}

const width = 1200, height = 16, least = 1.5;
const escape = (text) => text.replace(/[<&>]/g, (c) => `&#${c.charCodeAt(0)};`);
const boxes = [];
let depth = 0;

function draw(frames, x, level, scale) {
  for (const { name, total, children } of frames) {
    const w = total * scale;
    if (w >= least) {
      depth = Math.max(depth, level + 1);
      const hue = 20 + [...name].reduce((sum, c) => sum + c.charCodeAt(0), 0) % 40;
      const label = w > 40 ? escape(name.slice(0, Math.floor(w / 6))) : "";
      boxes.push(
        `<g transform="translate(${x.toFixed(1)} ${level * height})"><title>${escape(name)}: ${
          (total / all * 100).toFixed(1)
        } %</title>` +
          `<rect width="${(w - 0.3).toFixed(1)}" height="${
            height - 1
          }" fill="hsl(${hue} 80% 65%)"/><text x="2" y="11">${label}</text></g>`,
      );
      draw(children, x, level + 1, scale);
    }
    x += w;
  }
}

// From the benchmark's own loop on: modules that load and the main program are not of interest.
const find = (frames) => {
  const found = frames.filter(({ name }) => name.startsWith("time bench/dispatch.ts"));
  return found.length > 0 ? found : frames.flatMap(({ children }) => find(children));
};
const roots = find(
  merge(nodes.filter((node) => node.callFrame.functionName === "(root)").map((node) => byId.get(node.id))),
);
const all = roots.reduce((sum, { total }) => sum + total, 0);
draw(roots, 0, 0, width / all);
console.log(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${
    depth * height
  }" font-family="monospace" font-size="10">\n${boxes.join("\n")}\n</svg>`,
);
