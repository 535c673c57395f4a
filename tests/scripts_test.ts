import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { tnp } from "../mod.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}

// The scripts are plain JavaScript without declarations, so they are loaded by computed names.
const load = (name: string): Promise<unknown> => import(new URL(`../scripts/${name}`, import.meta.url).href);
const { readJUnit } = await load("junit.mjs") as { readJUnit(xml: string, file: string): Counts };
const { examplesOf } = await load("examples.mjs") as {
  examplesOf(file: string, text: string): { file: string; line: number; code: string }[];
};

describe("readJUnit()", () => {
  const expected = { passed: 2, failed: 2, skipped: 1 };
  const check = (xml: string): void => {
    const { failures, ...counts } = readJUnit(xml, "a_test.ts");
    assert.deepEqual(counts, expected);
    assert.equal(failures.length, 2);
    assert.equal(failures[0], 'fails <a> & "q"');
  };

  test("counts what Node reports", () => {
    check(`<testsuites>
	<testcase name="fails &lt;a> &amp; &quot;q&quot;" classname="test" file="/x/a_test.ts" failure="1 !== 2&#10;"><failure>x</failure></testcase>
	<testsuite name="group" tests="3">
		<testcase name="ok > ok" classname="group" file="/x/a_test.ts"/>
		<testcase name="inner" classname="group" file="/x/a_test.ts" failure="f"><failure type="e">a "quoted"> text</failure></testcase>
		<testsuite name="deeper"><testcase name="leaf" classname="group.deeper" file="/x/a_test.ts"/></testsuite>
	</testsuite>
	<testcase name="skipped" classname="test" file="/x/a_test.ts"><skipped type="skipped" message="true"/></testcase>
</testsuites>`);
  });

  test("counts what Bun reports", () => {
    check(`<testsuites name="bun test" tests="5"><testsuite name="a_test.ts" file="a_test.ts">
  <testcase name="fails &lt;a&gt; &amp; &quot;q&quot;" classname="" line="3"><failure type="AssertionError" /></testcase>
  <testsuite name="group"><testcase name="ok" classname="group" /><testcase name="inner" classname="group"><failure/></testcase>
  <testsuite name="deeper"><testcase name="leaf" classname="deeper &gt; group" /></testsuite></testsuite>
  <testcase name="skipped" classname=""><skipped /></testcase></testsuite></testsuites>`);
  });

  test("counts what Deno reports, without its groups", () => {
    check(`<testsuites name="deno test"><testsuite name="./a_test.ts">
  <testcase name="fails &lt;a&gt; &amp; &quot;q&quot;" classname="./a_test.ts" line="4"><failure message="m">t</failure></testcase>
  <testcase name="group" classname="./a_test.ts" line="5"><failure message="1 test step failed">t</failure></testcase>
  <testcase name="skipped" classname="./a_test.ts"><skipped/></testcase></testsuite>
  <testsuite name="ext:deno_node/testing.ts">
  <testcase name="group &gt; ok" classname="ext:deno_node/testing.ts"></testcase>
  <testcase name="group &gt; inner" classname="ext:deno_node/testing.ts"><failure message="m">t</failure></testcase>
  <testcase name="group &gt; deeper" classname="ext:deno_node/testing.ts"></testcase>
  <testcase name="group &gt; deeper &gt; leaf" classname="ext:deno_node/testing.ts"></testcase></testsuite></testsuites>`);
  });

  test("finds no test in an empty report or in a file without tests", () => {
    for (const xml of ["", '<testsuites><testcase name="a_test.ts" classname="test"/></testsuites>']) {
      assert.deepEqual(readJUnit(xml, "a_test.ts"), { passed: 0, failed: 0, skipped: 0, failures: [] });
    }
  });

  test("keeps the failure of a file that does not load", () => {
    const xml = '<testsuites><testcase name="tests/a_test.ts" classname="test" failure="top level"/></testsuites>';
    assert.equal(readJUnit(xml, "a_test.ts").failed, 1);
  });
});

describe("examplesOf()", () => {
  const fence = "```";

  test("finds the examples of doc comments with their lines", () => {
    const text = [
      "/**",
      " * One.",
      ` * ${fence}ts`,
      " * one();",
      " *",
      " *   two();",
      ` * ${fence}`,
      " */",
      `// ${fence}ts`,
      `/** ${fence}ts ignore`,
      " * three();",
      ` * ${fence}`,
      " */",
    ].join("\n");
    assert.deepEqual(examplesOf("src/a.ts", text), [{ file: "src/a.ts", line: 4, code: "one();\n\n  two();" }]);
  });

  test("finds the examples of Markdown and leaves other languages out", () => {
    const text = ["# A", `${fence}sh`, "make", fence, `${fence}ts`, "one();", fence].join("\n");
    assert.deepEqual(examplesOf("README.md", text), [{ file: "README.md", line: 6, code: "one();" }]);
  });
});

describe("cuda.mjs", () => {
  const script = fileURLToPath(new URL("../scripts/cuda.mjs", import.meta.url));
  const start = (...args: string[]) =>
    spawnSync(process.execPath, [...("Deno" in globalThis ? ["run", "-A"] : []), script, ...args], {
      encoding: "utf8",
      env: { ...process.env, TNP_CUDA: "none" },
    });

  test("says which task it expects", () => {
    const { status, stderr } = start("tset");
    assert.equal(status, 2);
    assert.match(stderr, /^cuda: got tset, expected test or bench$/m);
  });

  test("ends with the reason where there is no GPU", () => {
    const { status, stderr } = start("test");
    assert.equal(status, 2);
    assert.match(stderr, /^cuda: no GPU: CUDA driver: hidden by TNP_CUDA=none; --dry runs on the emulator$/m);
  });
});

test("every manifest has the version that the program tells", () => {
  for (const name of ["package.json", "deno.json"]) {
    const { version } = JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), "utf8"));
    assert.equal(version, tnp.config.build_info().version, name);
  }
});
