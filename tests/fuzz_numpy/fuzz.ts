/**
 * Random programs of public calls, run here and by real NumPy, and compared: dtypes, shapes, values, errors. By hand:
 *   node --conditions=source tests/fuzz_numpy/fuzz.ts [--topics=shape,indexing] [--seconds=60] [--seed=1] [--python=python3]
 * @module
 */
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { type Index, NDArray, nodeOf, wrap } from "../../src/array.ts";
import { sizeOf } from "../../src/base/shape.ts";
import type { DType } from "../../src/base/dtype.ts";
import { currentDevice } from "../../src/device/registry.ts";
import { fromBytes, readBytes } from "../../src/transform/evaluate.ts";
import * as mod from "../../mod.ts";
import { decode } from "../golden/read.ts";
import { difference } from "../tables/compare.ts";
import { toleranceOf } from "../tables/ops.ts";
import { topics } from "./calls.ts";
import { type Arg, type ArrayStep, type CallStep, elements, Maker, Random, type World } from "./generate.ts";

type Out = { d: string; s: number[]; b: string } | { v: unknown } | Out[];
type Answer = { o: Out } | { e: string; m: string };
type Ran = { readonly value: unknown } | { readonly error: Error };

const tnp = mod.tnp as unknown as Readonly<Record<string, (...args: unknown[]) => unknown>>;

const option = (name: string, otherwise: string): string =>
  process.argv.find((arg) => arg.startsWith(`--${name}=`))?.split("=")[1] ?? otherwise;
const wanted = option("topics", Object.keys(topics).join()).split(",");
const seconds = Number(option("seconds", "60"));
const only = option("seed", "");

const python = spawn(option("python", "python3"), [new URL("./server.py", import.meta.url).pathname], {
  stdio: ["pipe", "pipe", "inherit"],
});
const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();

/** An argument as a user would write it. */
function given(arg: Arg, values: readonly unknown[]): unknown {
  if (Array.isArray(arg)) return arg.map((x: Arg) => given(x, values));
  if (typeof arg !== "object" || arg === null) return arg;
  if ("$" in arg) return values[arg.$];
  return "num" in arg ? Number(arg.num.replace("inf", "Infinity")) : arg;
}

function call({ f, a, k }: CallStep, values: readonly unknown[]): unknown {
  const args = a.map((x) => given(x, values));
  const options = Object.keys(k).length === 0 ? [] : [given2(k, values)];
  const [first, ...rest] = args;
  switch (f) {
    case "at":
      return (first as NDArray).at(...rest as Index[]);
    case "with":
      return (first as NDArray).with(...[...rest, ...options] as Parameters<NDArray["with"]>);
    case "astype":
      return (first as NDArray).astype(rest[0] as DType);
    default:
      return tnp[f]!(...args, ...options);
  }
}

const given2 = (k: Readonly<Record<string, Arg>>, values: readonly unknown[]): object =>
  Object.fromEntries(Object.entries(k).map(([key, x]) => [key, given(x, values)]));

function compare(got: unknown, want: Out, name: string, complex: boolean): string | null {
  if (Array.isArray(want)) {
    if (!Array.isArray(got) || got.length !== want.length) return `not a list of ${want.length}`;
    for (let i = 0; i < want.length; i++) {
      const found = compare(got[i], want[i]!, name, complex);
      if (found !== null) return `result ${i}: ${found}`;
    }
    return null;
  }
  if ("v" in want) {
    const value = got instanceof NDArray ? got.item() : got;
    return Object.is(value, want.v) || value === want.v ? null : `${String(value)}, expected ${String(want.v)}`;
  }
  if (!(got instanceof NDArray)) return `not an array: ${String(got)}`;
  const node = nodeOf(got);
  const bytes = readBytes(node) as Uint8Array<ArrayBuffer>;
  const allowed = loose.has(name) ? { ulp: 8, halfUlp: 4, floor: 32, anyZero: true } : toleranceOf(name);
  return difference({ dtype: node.dtype, shape: node.shape, bytes }, decode(want), allowed, complex);
}

/** What is answered in another way than NumPy, on purpose or because NumPy's own answer is an accident. */
const skips: readonly RegExp[] = [
  // Without weights NumPy's average of nothing divides by 0.
  /^#\d+ average: no error, NumPy raises ZeroDivisionError/,
  // NumPy reshapes before it looks.
  /^#\d+ (median|quantile|percentile): no error, NumPy raises ValueError: cannot reshape array of size 0/,
  // A 0-d array has an axis or none, by how NumPy happens to compute (float or integer, with a mask or without).
  /^#\d+ (mean|var|std|nanmean|nanvar|nanstd): .*dimension 0/,
  // Plain integers must fit; NumPy wraps them in functions that are no ufuncs.
  /^#\d+ (where|select): RangeError: .* is out of bounds for .*, but NumPy has a result/,
  // ml_dtypes has no common dtype of bfloat16 and others; here some have one, and the harness widens bfloat16 elsewhere.
  /NumPy raises DTypePromotionError: .*bfloat16/,
  /DTypePromotionError: .*bfloat16.*, but NumPy has a result/,
  /^#\d+ (nan_to_num|nextafter|where|round): .*bfloat16/,
  // NumPy has other rules for one element where it is assigned to one, and in `ufunc.at`.
  /^#\d+ with: no error, NumPy raises (ValueError: (array is not|setting an)|TypeError: expected number)/,
  // A list is a dtype to numpy.result_type.
  /^#\d+ result_type: no error, NumPy raises/,
  /^#\d+ result_type: bfloat16/,
  /bfloat16.*No loop matching/,
  // Indices are checked even where there is nothing to take.
  /^#\d+ take: IndexError: .*, but NumPy has a result/,
];

/** Sums that NumPy makes in another order or in half precision. */
const loose = new Set(["pad", "einsum", "sign"]);

const exact = (name: string): boolean => {
  if (loose.has(name)) return false;
  const { ulp, complexUlp = 0 } = toleranceOf(name);
  return ulp === 0 && complexUlp === 0;
};

interface Program {
  readonly steps: (ArrayStep | CallStep)[];
  readonly ran: Ran[];
}

/** Draws a program and runs it as far as it goes without reading a value, or reading each where `eager`. */
function draw(seed: number, topic: string): Program {
  const r = new Random(seed);
  const steps: (ArrayStep | CallStep)[] = [];
  const ran: Ran[] = [];
  const values: unknown[] = [];
  const arrays: { id: number; x: NDArray }[] = [];
  const eager = r.chance(0.2);
  const push = (step: ArrayStep | CallStep, result: Ran): number => {
    steps.push(step);
    ran.push(result);
    values.push("value" in result ? result.value : undefined);
    return steps.length - 1;
  };
  const world: World = {
    r,
    arrays,
    input(d, s, special) {
      const bytes = elements(r, d, sizeOf(s), special);
      const x = wrap(fromBytes(bytes, s, d, currentDevice()));
      const id = push({ d, s, bytes }, { value: x });
      if (!special) arrays.push({ id, x });
      return { id, x };
    },
  };
  const table = topics[topic]!;
  const mixed = r.chance(0.4);
  for (let n = r.between(1, 6); n > 0; n--) {
    const from = mixed && n > 1 ? topics[r.pick(["shape", "indexing", topic])]! : table;
    const f = r.pick(Object.keys(from));
    const m = new Maker(world);
    const [a, k = {}] = from[f]!(m);
    const step = { f, a, k };
    let result: Ran;
    try {
      result = { value: call(step, values) };
      if (eager && result.value instanceof NDArray) result.value.dataSync();
    } catch (error) {
      result = { error: error as Error };
    }
    const id = push(step, result);
    if ("error" in result) break;
    const x = result.value;
    if (x instanceof NDArray && exact(f) && !m.special && x.size < 2000) arrays.push({ id, x });
  }
  return { steps, ran };
}

const show = (arg: Arg): string => JSON.stringify(arg).replaceAll(/\{"\$":(\d+)\}/g, "#$1");

function text({ steps }: Program, values: readonly Ran[]): string {
  return steps.map((step, i) => {
    if ("d" in step) {
      const x = values[i]! as { value: NDArray };
      return `  #${i} = ${step.d} ${JSON.stringify(step.s)} ${
        sizeOf(step.s) > 24 ? "…" : String(x.value).replaceAll("\n", "").slice(0, 300)
      }`;
    }
    const keywords = Object.entries(step.k).map(([key, x]) => `${key}: ${show(x)}`).join(", ");
    return `  #${i} = ${step.f}(${step.a.map(show).join(", ")}${keywords === "" ? "" : `, { ${keywords} }`})`;
  }).join("\n");
}

/** What differs, or null. */
function check({ steps, ran }: Program, answers: readonly Answer[]): string | null {
  const complex = steps.some((step) => JSON.stringify("d" in step ? step.d : step.a).match(/complex|"re"/) !== null);
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i]!, mine = ran[i]!, answer = answers[i];
    if ("d" in step || answer === undefined) continue;
    if ("e" in answer) {
      if (!("error" in mine)) return `#${i} ${step.f}: no error, NumPy raises ${answer.e}: ${answer.m}`;
      const { name, message } = mine.error;
      const ours = /^(TypeError|RangeError|ShapeError|IndexError|AxisError|DTypePromotionError)$/.test(name);
      return ours && /^\w+: /.test(message) || answer.e === "MemoryError"
        ? null
        : `#${i} ${step.f}: ${name}: ${message} (NumPy: ${answer.e}: ${answer.m})`;
    }
    if ("error" in mine) return `#${i} ${step.f}: ${mine.error.name}: ${mine.error.message}, but NumPy has a result`;
    let found: string | null;
    try {
      found = compare(mine.value, answer.o, step.f, complex);
    } catch (error) {
      found = (error as Error).stack ?? String(error);
    }
    if (found !== null) return `#${i} ${step.f}: ${found}`;
  }
  return null;
}

async function ask(program: Program): Promise<Answer[]> {
  const steps = program.steps.map((step) =>
    "d" in step ? { d: step.d, s: step.s, b: Buffer.from(step.bytes).toString("base64") } : step
  );
  python.stdin.write(`${JSON.stringify(steps)}\n`);
  const { value, done } = await lines.next();
  if (done === true) throw new Error("the server ended");
  return JSON.parse(value) as Answer[];
}

let failed = 0;
for (const topic of wanted) {
  const groups = new Map<string, { count: number; first: string }>();
  const until = performance.now() + seconds * 1000;
  let programs = 0;
  for (let seed = only === "" ? 1 : Number(only); performance.now() < until; seed++) {
    const program = draw(seed, topic);
    const found = check(program, await ask(program));
    programs++;
    if (found !== null && !skips.some((skip) => skip.test(found))) {
      const key = found.replace(/^#\d+ /, "").replaceAll(/-?\d+(\.\d+)?(e[-+]\d+)?/g, "#").slice(0, 90);
      const group = groups.get(key);
      if (group !== undefined) group.count++;
      else groups.set(key, { count: 1, first: `seed ${seed}: ${found}\n${text(program, program.ran)}` });
    }
    if (only !== "") break;
  }
  console.log(`\n${topic}: ${programs} programs, ${groups.size} kinds of difference`);
  for (const { count, first } of [...groups.values()].sort((a, b) => b.count - a.count)) {
    console.log(`${count} × ${first}`);
  }
  failed += groups.size;
}
python.kill();
process.exitCode = failed > 0 ? 1 : 0;
