/**
 * The epilogue of a routine as a generated kernel over its result, for what a library cannot do along the way.
 * @module
 */
import type { Expr } from "../../kernels/expr.ts";
import { ExprBuilder } from "../../kernels/expr.ts";
import { type Access, type Epilogue, type Kernel, kernelKey, type Operand } from "../../kernels/kernel.ts";
import { type DType, dtypeInfo } from "../base/dtype.ts";
import { collapse, contiguousStrides } from "../base/shape.ts";
import type { ArrayArg, Buffer, Call, Device, Executable, Launch } from "./device.ts";
import type { Host } from "./host.ts";

/** Rebuilds expressions with some leaves replaced. */
function substitute(b: ExprBuilder, roots: readonly Expr[], leaf: (e: Expr) => Expr | null): Expr[] {
  const done = new Map<Expr, Expr>();
  const visit = (e: Expr): Expr => {
    let out = done.get(e);
    if (out === undefined) {
      const src = e.src.map(visit);
      const moved = { ...e, src };
      out = leaf(moved) ?? b.make(e.op, e.dtype, src, e.arg);
      done.set(e, out);
    }
    return out;
  };
  return roots.map(visit);
}

/** How an array of these strides moves along the innermost of `rank` loops. */
function accessOf(strides: readonly number[]): Access {
  const last = strides[strides.length - 1];
  return last === 1 ? "unit" : last === 0 ? "single" : "strided";
}

/** A kernel from its other fields, with its key. */
export function makeKernel(fields: Omit<Kernel, "key">): Kernel {
  return { ...fields, key: kernelKey(fields) };
}

const map = {
  kind: "map",
  reduced: 0,
  inner: "last",
  reduction: null,
  epilogue: null,
  index: [],
  mode: null,
} as const;

/** The map kernel that reads a routine's result (operand 0) and stores the epilogue's values. */
function epilogueKernel(epilogue: Epilogue, dtype: DType, rank: number, wide: boolean, comment: string): Kernel {
  const b = new ExprBuilder();
  const { scalar, components } = dtypeInfo(dtype);
  const body = substitute(b, epilogue.body, (e) => {
    if (e.op === "acc") {
      return b.make("load", scalar, [], { operand: 0, component: e.arg === 1 ? 1 : 0 });
    }
    if (e.op === "iota") return b.make("iota", e.dtype, [], Number(e.arg) + 1);
    if ((e.op === "load" || e.op === "gather") && e.arg !== null && typeof e.arg === "object") {
      return b.make(e.op, e.dtype, e.src, { operand: e.arg.operand + 1, component: e.arg.component });
    }
    return null;
  });
  const result: Operand = { dtype: scalar, components, access: "unit", virtual: false, gathered: 0 };
  return makeKernel({
    ...map,
    rank,
    operands: [result, ...epilogue.operands],
    scalars: epilogue.scalars,
    body,
    outputs: [epilogue.output],
    wide,
    comment,
  });
}

/** A map kernel that copies arrays of one rank, which move so along the innermost loop, converting the dtype (real ones). */
function copyKernel(from: DType, to: DType, rank: number, access: Access, stores: Access, wide: boolean): Kernel {
  const b = new ExprBuilder();
  const source = dtypeInfo(from), target = dtypeInfo(to);
  const body = Array.from(
    { length: target.components },
    (_, i) => b.cast(b.make("load", source.scalar, [], { operand: 0, component: i === 1 ? 1 : 0 }), target.scalar),
  );
  return makeKernel({
    ...map,
    rank,
    operands: [{ dtype: source.scalar, components: source.components, access, virtual: false, gathered: 0 }],
    scalars: [],
    body,
    outputs: [{ dtype: target.scalar, components: target.components, access: stores }],
    wide,
    comment: from === to ? "copy(x)" : `x.astype(${to})`,
  });
}

/** Whether arrays have elements that 32-bit offsets do not reach. */
function isWide(args: Launch["operands"], shape: readonly number[]): boolean {
  for (let i = 0; i < args.length; i++) {
    const { offset, strides } = args[i]!;
    let reach = Math.abs(offset);
    for (let d = 0; d < shape.length; d++) reach += Math.abs(strides[d] ?? 0) * (shape[d]! - 1);
    if (reach > 0x3fffffff) return true;
  }
  return false;
}

/** A dense temporary of a shape; the caller gives `buffer` back. */
export function temporary(
  device: Device,
  shape: readonly number[],
  dtype: DType,
): ArrayArg & { readonly buffer: Buffer } {
  let size = 1;
  for (const n of shape) size *= n;
  return {
    buffer: device.allocate(size * dtypeInfo(dtype).itemsize),
    offset: 0,
    strides: contiguousStrides(shape),
    shape,
  };
}

/** Copies an array into a dense temporary, converting its dtype. */
export function densify(device: Device, arg: ArrayArg, from: DType, to: DType): ArrayArg & { readonly buffer: Buffer } {
  const out = temporary(device, arg.shape!, to);
  convert(device, arg, from, out, to);
  return out;
}

/** The epilogue of one routine: its kernels by rank, made when first needed. */
export class EpilogueRunner {
  readonly #device: Device;
  readonly #epilogue: Epilogue;
  readonly #dtype: DType;
  readonly #comment: string;
  /** By rank, those with 64-bit indices behind those without. */
  readonly #kernels: ({ readonly kernel: Kernel; readonly run: Executable } | undefined)[] = [];
  /** Whether the library's result may lie where the epilogue's goes. */
  readonly inPlace: boolean;

  /** @param dtype the dtype of the library's result */
  constructor(device: Device, epilogue: Epilogue, dtype: DType, comment: string) {
    this.#device = device;
    this.#epilogue = epilogue;
    this.#dtype = dtype;
    this.#comment = comment;
    const { scalar, components } = dtypeInfo(dtype);
    this.inPlace = epilogue.output.dtype === scalar && epilogue.output.components === components;
  }

  /** Stores the epilogue's values in the call's output from the library's result, which has the output's shape and unit last stride. */
  run(result: ArrayArg, call: Call): void {
    const launch = launchOf(result, call);
    this.#find(launch).run(launch);
  }

  /** Whether compiled code of the CPU would do that for a reader that awaits it: undefined while that is being made. */
  native(host: Host, call: Call): boolean | undefined {
    const launch = launchOf(call.output, call);
    return host.runner(this.#find(launch).kernel).native(launch);
  }

  #find({ sizes, operands, outputs }: Launch): { readonly kernel: Kernel; readonly run: Executable } {
    const wide = isWide(operands, sizes) || isWide(outputs, sizes), at = 2 * sizes.length + (wide ? 1 : 0);
    let found = this.#kernels[at];
    if (found === undefined) {
      const kernel = epilogueKernel(this.#epilogue, this.#dtype, sizes.length, wide, this.#comment);
      this.#kernels[at] = found = { kernel, run: this.#device.kernel(kernel) };
    }
    return found;
  }
}

const launchOf = (result: ArrayArg, { output, operands, scalars }: Call): Launch => ({
  sizes: output.shape!,
  operands: [result, ...operands],
  outputs: [output],
  scalars,
});

/** Copies an array into a dense one, converting its dtype. */
export function convert(device: Device, from: ArrayArg, dtype: DType, to: ArrayArg, target: DType): void {
  const { shape: sizes, strides: [there, here] } = collapse(from.shape!, [from.strides, to.strides]);
  if (sizes.length === 0) {
    sizes.push(1);
    for (const strides of [there!, here!]) strides.push(1);
  }
  const operands = [{ ...from, strides: there! }], outputs = [{ ...to, strides: here! }];
  const wide = isWide(operands, sizes) || isWide(outputs, sizes);
  const kernel = copyKernel(dtype, target, sizes.length, accessOf(there!), accessOf(here!), wide);
  device.kernel(kernel)({ sizes, operands, outputs, scalars: [] });
}
