/**
 * Notices functions that are traced again and again, and says which argument is to blame.
 *
 * Source: the retracing warning of tf.function.
 * @module
 */
import { warnOnce } from "../base/debug.ts";
import { formatShape } from "../base/shape.ts";
import type { Aval } from "../core/primitive.ts";

/** What a call was given, in words. */
export interface CallText {
  /** The place of each array, such as `argument 0.x`. */
  readonly places: readonly string[];
  /** Everything else: places and values. */
  readonly statics: readonly (readonly [place: string, value: string])[];
}

/** How many calls are looked back on, and how many traces among them are too many. */
const WINDOW = 10, LIMIT = 5;

/** Watches the calls of one function. */
export class RetraceWatch {
  readonly #name: string;
  /** One bit a call, the last one lowest: whether it was traced. */
  #recent = 0;
  #calls = 0;
  #before: { readonly text: CallText; readonly avals: readonly Aval[] } | null = null;
  #warned = false;

  constructor(name: string) {
    this.#name = name;
  }

  /** Counts a call. */
  call(): void {
    this.#recent = (this.#recent << 1) & ((1 << WINDOW) - 1);
    this.#calls++;
  }

  /** Counts a call that is traced; the first trace of all is no retrace. */
  trace(avals: readonly Aval[], describe: () => CallText): void {
    if (this.#warned) return;
    const before = this.#before;
    const text = describe();
    this.#before = { text, avals: avals.map(({ shape, dtype }) => ({ shape, dtype })) };
    if (before === null) return;
    this.#recent |= 1;
    let traced = 0;
    for (let bits = this.#recent; bits > 0; bits >>= 1) traced += bits & 1;
    if (traced < LIMIT) return;
    this.#warned = true;
    const changes = differences(before.text, before.avals, text, avals);
    warnOnce(
      `function ${JSON.stringify(this.#name)}: ${traced} of the last ${Math.min(this.#calls, WINDOW)} calls ` +
        `traced it anew, which costs far more than a call. Since the trace before, ` +
        `${changes.length === 0 ? "the promotion mode, the device or an outer trace changed" : changes.join("; ")}. ` +
        `Give arrays of one shape and dtype, name lengths that vary by null in input_signature, and give what varies as ` +
        `numbers or arrays instead of static values`,
    );
  }
}

/** What two calls have not in common, at most a few lines of it. */
function differences(a: CallText, x: readonly Aval[], b: CallText, y: readonly Aval[]): string[] {
  const out: string[] = [];
  const show = ({ dtype, shape }: Aval) => `${dtype} ${formatShape(shape)}`;
  const before = new Map(a.places.map((place, i) => [place, show(x[i]!)]));
  for (const [place, value] of a.statics) before.set(place, value);
  const after = new Map(b.places.map((place, i) => [place, show(y[i]!)]));
  for (const [place, value] of b.statics) after.set(place, value);
  for (const [place, value] of after) {
    const old = before.get(place);
    if (old === undefined) out.push(`${place} was added (${value})`);
    else if (old !== value) out.push(`${place} changed from ${old} to ${value}`);
    else if (value.startsWith("an object") || value.startsWith("a ")) {
      out.push(`${place} may be another one (${value})`);
    }
  }
  for (const place of before.keys()) if (!after.has(place)) out.push(`${place} was left out`);
  return out.length > 4 ? [...out.slice(0, 3), `and ${out.length - 3} more`] : out;
}
