// Tables of Markdown as `deno fmt` would write them.

/**
 * A table.
 * @param head titles of the columns
 * @param rows texts of the cells
 * @param left how many columns, from the first on, are aligned to the left
 */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const all = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, i) => Math.max(3, ...all.map((row) => [...row[i]!].length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join(" | ")} |`;
  const rule = line(widths.map((width, i) => i < left ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(all[0]!), rule, ...all.slice(1).map(line)].join("\n");
}
