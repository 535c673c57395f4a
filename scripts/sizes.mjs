// Lines per file of the library, with a mark at files that are longer than 600 lines.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { root } from "./lib.mjs";

let sum = 0;
for (const top of ["mod.ts", "ffi", "kernels", "src", "tests", "bench", "examples", "scripts"]) {
  if (!existsSync(join(root, top))) continue;
  const names = statSync(join(root, top)).isFile()
    ? [top]
    : readdirSync(join(root, top), { recursive: true, encoding: "utf8" }).map((name) => join(top, name));
  const rows = names.filter((name) => /\.(ts|mjs|py|c|h|cpp)$/.test(name)).sort()
    .map((name) => ({ name, lines: readFileSync(join(root, name), "utf8").split("\n").length - 1 }));
  for (const { name, lines } of rows) {
    console.log(`${String(lines).padStart(7)} ${name}${lines > 600 ? "  <- long" : ""}`);
  }
  const part = rows.reduce((total, row) => total + row.lines, 0);
  if (rows.length > 1) console.log(`${String(part).padStart(7)} ${top}/\n`);
  sum += part;
}
console.log(`${String(sum).padStart(7)} in all`);
