/**
 * Scatters in CUDA, in the order of the iteration space as in NumPy, whatever the order of threads.
 *
 * The innermost `free` loops move through memory without the index: each of their points is a column, and all others are rows.
 *
 * - `serial`: a thread for each column goes through the rows.
 * - `keys`: the address that each row goes to; a stable sort of these follows.
 * - `apply`: a thread for each column and each run of equal addresses goes through the run.
 * - `atomic`: a thread for each point, where the order does not matter: integers that are added or compared.
 * @module
 */
import { cMemory } from "./c_ops.ts";
import { type CudaSource, CudaText, type Names, operandsOf, range } from "./cuda_text.ts";
import { ExprBuilder } from "./expr.ts";
import type { Kernel } from "./kernel.ts";
import { scatterCombine } from "./scatter.ts";

/** The variants of a scatter. */
export type ScatterVariant = "serial" | "keys" | "apply" | "atomic";

/** Rows up to which a thread takes them one by one. */
export const SERIAL_ROWS = 32;

const atomics = { add: "atomicAdd", min: "atomicMin", max: "atomicMax" } as const;

/** The atomic function and the type it works on, for a scatter whose result does not depend on the order; else null. */
export function atomicOf(kernel: Kernel): { readonly name: string; readonly type: string } | null {
  const { dtype, components } = kernel.outputs[0]!, { mode } = kernel;
  const integer = dtype === "int32" || dtype === "int64" || dtype === "uint32" || dtype === "uint64";
  if (!integer || components !== 1 || mode === null || !Object.hasOwn(atomics, mode)) return null;
  const type = cMemory[dtype];
  return { name: atomics[mode as keyof typeof atomics], type: mode === "add" ? type.replace("i", "u") : type };
}

/** Operands that the index depends on. */
export function indexOperands(kernel: Kernel): ReadonlySet<number> {
  return operandsOf(kernel.index);
}

/** The text of a variant with so many free loops. */
export function renderScatter(kernel: Kernel, wide: boolean, variant: ScatterVariant, free: number): CudaSource {
  return new ScatterText(kernel, wide, free).render(variant);
}

class ScatterText extends CudaText {
  readonly #rows: readonly number[];
  readonly #columns: readonly number[];

  constructor(kernel: Kernel, wide: boolean, free: number) {
    super(kernel, wide);
    const { rank } = kernel;
    this.#rows = range(0, rank - free);
    this.#columns = range(rank - free, rank);
  }

  render(variant: ScatterVariant): CudaSource {
    const { out, k } = this;
    this.extra("rows");
    this.extra("columns");
    this.divisors(this.#rows);
    this.divisors(this.#columns);
    if (variant === "keys" || variant === "apply") {
      this.extra("keys", variant === "keys" ? "i64 *" : "const i64 *");
      this.extra("order", variant === "keys" ? "u32 *" : "const u32 *");
    }
    const begin = "(ix)blockIdx.x * blockDim.x + threadIdx.x", step = "(ix)gridDim.x * blockDim.x";
    return this.source(() => {
      out.line("const ix rows = (ix)a.rows, columns = (ix)a.columns;");
      if (variant === "keys") {
        out.open(`for (ix row = ${begin}; row < rows; row += ${step}) {`);
        this.decompose(this.#rows, "row");
        out.line(`a.keys[row] = ${this.#address(this.places("r", this.#rows, "both"))};`);
        out.line("a.order[row] = (u32)row;");
        return out.close();
      }
      if (variant === "serial") {
        out.open(`for (ix column = ${begin}; column < columns; column += ${step}) {`);
        this.decompose(this.#columns, "column");
        out.open("for (ix row = 0; row < rows; row++) {");
        this.decompose(this.#rows, "row");
        const at = this.places("r", range(0, k.rank), "both");
        this.#point(at, this.#address(at));
        out.close();
        return out.close();
      }
      out.open(`for (ix i = ${begin}; i < rows * columns; i += ${step}) {`);
      if (variant === "atomic") {
        const { name, type } = atomicOf(k)!;
        out.line("const ix row = i / columns, column = i - row * columns;");
        this.decompose(this.#rows, "row");
        this.decompose(this.#columns, "column");
        const at = this.places("r", range(0, k.rank), "both");
        const place = this.#address(at);
        const [value] = this.emitter.emit(k.body, { operand: at.operand });
        out.line(`${name}((${type} *)&a.y0[${place}], (${type})${value});`);
        return out.close();
      }
      out.line("const ix run = i / columns, column = i - run * columns;");
      out.line("const i64 key = a.keys[run];");
      // A run starts where the address changes; of a set only its last row counts.
      out.line(
        k.mode === "set"
          ? "if (run + 1 < rows && a.keys[run + 1] == key) continue;"
          : "if (run > 0 && a.keys[run - 1] == key) continue;",
      );
      this.decompose(this.#columns, "column");
      const columns = this.offset(this.outputs[0]!, this.#columns);
      out.line(`const i64 at = key + ${columns};`);
      out.open(`for (ix r = run; r < rows && a.keys[r] == key; r++) {`);
      out.line("const ix row = (ix)a.order[r];");
      this.decompose(this.#rows, "row");
      this.#point(this.places("r", range(0, k.rank), "operands"), "at");
      out.close();
      out.close();
    });
  }

  /** Offset of the output, in scalars, that the index gives at a point. */
  #address(at: Names): string {
    const { index } = this.k;
    const texts = this.emitter.emit(index, { operand: at.operand });
    const terms = [`(i64)${at.output(0)}`, ...texts.map((t, j) => `(i64)${t} * y0g${j}`)];
    return terms.join(" + ");
  }

  /** Combines the element at an offset with the value of a point. */
  #point(at: Names, offset: string): void {
    const { k, out } = this, o = k.outputs[0]!;
    let place = offset;
    if (!/^\w+$/.test(offset)) {
      place = this.emitter.name("at");
      out.line(`const i64 ${place} = ${offset};`);
    }
    const texts = this.emitter.emit(k.body, { operand: at.operand });
    const values = k.body.map((e, c) => this.named(e.dtype, texts[c]!, "v"));
    const cell = (c: number) => `a.y0[${place}${c ? " + 1" : ""}]`;
    const old = k.mode === "set" ? [] : k.body.map((e, c) => this.fresh(e.dtype, this.value(e.dtype, cell(c))));
    const exprs = scatterCombine(new ExprBuilder(), k.mode!, k.body.map((e) => e.dtype));
    const results = this.emitter.emit(exprs, { operand: () => "", acc: old, val: values });
    const settled = results.length === 1 ? results : results.map((t, c) => this.named(exprs[c]!.dtype, t, "n"));
    settled.forEach((t, c) => out.line(`${cell(c)} = ${this.bits(o.dtype, exprs[c]!.dtype, t)};`));
  }
}
