// Reads the JUnit files that `deno test`, `bun test` and `node --test` write.

/** @typedef {{ passed: number, failed: number, skipped: number, failures: string[] }} Counts */

/**
 * Counts the tests of one test file in a JUnit report, leaving groups (`describe`) out.
 * @param {string} xml
 * @param {string} file the test file's name, without folders
 * @returns {Counts}
 */
export function readJUnit(xml, file) {
  const cases = [];
  const pattern = /<testcase((?:\s+[\w:.-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;
  for (const [, attributes = "", body = ""] of xml.matchAll(pattern)) {
    const name = unescape(/\sname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    const failed = /\sfailure="/.test(attributes) || /<(failure|error)\b/.test(body);
    cases.push({ name, failed, skipped: !failed && /<skipped\b/.test(body), attributes });
  }
  // Node reports a file without tests, or one that fails while it loads, as a test named like the file.
  const named = cases.filter((c) => c.failed || !(c.name === file || c.name.endsWith(`/${file}`)));
  // Deno reports groups as tests, and what is in them as "group > test".
  const isGroup = (/** @type {string} */ name) => named.some((other) => other.name.startsWith(`${name} > `));
  const leaves = named.filter((c) => !/\sclassname="[^"]*\.ts"/.test(c.attributes) || !isGroup(c.name));
  const failures = leaves.filter((c) => c.failed).map((c) => c.name);
  const skipped = leaves.filter((c) => c.skipped).length;
  return { passed: leaves.length - failures.length - skipped, failed: failures.length, skipped, failures };
}

/** @param {string} text */
function unescape(text) {
  const names = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(lt|gt|quot|apos|amp));/gi, (_, decimal, hex, name) => {
    if (name !== undefined) return names[/** @type {keyof typeof names} */ (name)];
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });
}
