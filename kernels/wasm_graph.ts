/**
 * WebAssembly instructions as a graph of values, and its writing into function bodies: equal values are computed once, values
 * that do not change in a loop before it.
 * @module
 */
import {
  control,
  leb,
  type ModuleWriter,
  opBytes,
  resultType,
  signedLeb,
  type WasmOp,
  type WasmType,
} from "./wasm_binary.ts";

/** One value. */
export interface Value {
  readonly op: WasmOp | "local" | "call" | "guard" | "select";
  readonly args: readonly Value[];
  /** Bytes after the opcode; of a local its index, of a call or guard the function's number in `callees`. */
  readonly imm: readonly number[];
  readonly type: WasmType;
  /** How many loops deep the value changes. */
  readonly level: number;
}

/** A function that works on each lane through another one, which is imported or one of `scalarFunctions`. */
export interface Callee {
  readonly shape: "f32x4" | "f64x2" | "i32x4" | "i64x2";
  readonly name: string;
  readonly arity: 1 | 2;
  /** Takes a default and a mask in the end, and works on the lanes of the mask only. */
  readonly masked: boolean;
}

/** Makes values, equal ones once. */
export class Graph {
  /** Whether there is an instruction that multiplies and adds. */
  readonly fused: boolean;
  readonly callees: Callee[] = [];
  readonly #seen = new Map<string, Value>();
  readonly #ids = new Map<Value, number>();
  readonly #splats = new Map<string, Value>();

  constructor(fused = false) {
    this.fused = fused;
  }

  /** The value of an instruction. */
  op(op: WasmOp, args: readonly Value[], imm: readonly number[] = []): Value {
    return this.#make(op, args, imm, resultType(op), 0);
  }

  /** A local variable or parameter that changes `level` loops deep. */
  local(index: number, type: WasmType, level: number): Value {
    return this.#make("local", [], [index], type, level);
  }

  /** `condition ? x : y` of scalars. */
  select(x: Value, y: Value, condition: Value): Value {
    return this.#make("select", [x, y, condition], [], x.type, 0);
  }

  /** A function of each lane. */
  call(callee: Omit<Callee, "masked">, args: readonly Value[]): Value {
    return this.#make("call", args, [this.#callee({ ...callee, masked: false })], "v128", 0);
  }

  /** `fast`, but in lanes of `mask` (if there is any) the function of the lane. */
  guard(callee: Omit<Callee, "masked">, args: readonly Value[], fast: Value, mask: Value): Value {
    const any = this.op("i32x4.bitmask", [mask]);
    return this.#make("guard", [any, ...args, fast, mask], [this.#callee({ ...callee, masked: true })], "v128", 0);
  }

  /** The values with the fast answers of all guards, and whether a lane needs another one; null where there are no guards. */
  unguarded(roots: readonly Value[]): { readonly roots: readonly Value[]; readonly any: Value } | null {
    const done = new Map<Value, Value>(), masks = new Set<Value>();
    const visit = (v: Value): Value => {
      let out = done.get(v);
      if (out === undefined) {
        if (v.op === "guard") {
          masks.add(visit(v.args.at(-1)!));
          out = visit(v.args.at(-2)!);
        } else {
          const args = v.args.map(visit);
          out = args.every((a, k) => a === v.args[k]) ? v : this.#make(v.op, args, v.imm, v.type, 0);
        }
        done.set(v, out);
      }
      return out;
    };
    const found = roots.map(visit), [first, ...others] = masks;
    if (first === undefined) return null;
    const mask = others.reduce((a, b) => this.op("v128.or", [a, b]), first);
    return { roots: found, any: this.op("i32x4.bitmask", [mask]) };
  }

  i32(value: number): Value {
    return this.op("i32.const", [], signedLeb(value | 0));
  }

  i64(value: bigint): Value {
    return this.op("i64.const", [], signedLeb(BigInt.asIntN(64, value)));
  }

  f64(value: number): Value {
    return this.op("f64.const", [], bytesOf("f64", value));
  }

  /** A vector with the same number in each lane. */
  splat(type: "i32" | "i64" | "f32" | "f64", value: number | bigint): Value {
    const key = `${type} ${Object.is(value, -0) ? "-0" : value}`;
    let v = this.#splats.get(key);
    if (v === undefined) {
      const lane = bytesOf(type, value);
      v = this.bytes(lane.length === 8 ? [...lane, ...lane] : [...lane, ...lane, ...lane, ...lane]);
      this.#splats.set(key, v);
    }
    return v;
  }

  /** A constant vector of 16 bytes. */
  bytes(bytes: readonly number[]): Value {
    return this.op("v128.const", [], bytes);
  }

  /** Reads memory at a fixed place plus an address. */
  load(op: WasmOp, address: Value, offset: number): Value {
    return this.op(op, [address], [0, ...leb(offset)]);
  }

  /** The lanes of two vectors by their numbers; `size` bytes each. */
  shuffle(x: Value, y: Value, size: number, lanes: readonly number[]): Value {
    const bytes = lanes.flatMap((lane) => Array.from({ length: size }, (_, i) => lane * size + i));
    return this.op("i8x16.shuffle", [x, y], bytes);
  }

  #callee(callee: Callee): number {
    const same = (c: Callee) =>
      c.name === callee.name && c.shape === callee.shape && c.arity === callee.arity && c.masked === callee.masked;
    const found = this.callees.findIndex(same);
    return found >= 0 ? found : this.callees.push(callee) - 1;
  }

  #make(op: Value["op"], args: readonly Value[], imm: readonly number[], type: WasmType, level: number): Value {
    let key: string = op;
    for (const a of args) key += ` ${this.#ids.get(a)!}`;
    if (imm.length > 0 || level > 0) key += `;${imm.join()};${level}`;
    let v = this.#seen.get(key);
    if (v === undefined) {
      v = { op, args, imm, type, level: args.reduce((most, a) => Math.max(most, a.level), level) };
      this.#seen.set(key, v);
      this.#ids.set(v, this.#ids.size);
    }
    return v;
  }
}

/** The bytes of a number, low first. */
function bytesOf(type: "i32" | "i64" | "f32" | "f64", value: number | bigint): number[] {
  const view = new DataView(new ArrayBuffer(8));
  if (type === "i32") view.setInt32(0, Number(value), true);
  else if (type === "i64") view.setBigInt64(0, BigInt(value), true);
  else if (type === "f32") view.setFloat32(0, Number(value), true);
  else view.setFloat64(0, Number(value), true);
  return [...new Uint8Array(view.buffer, 0, type.endsWith("32") ? 4 : 8)];
}

/** Whether a value is as cheap to make anew as to keep. */
function trivial(v: Value): boolean {
  if (v.op === "local" || v.op === "i32.const" || v.op === "i64.const" || v.op === "f64.const") return true;
  return v.op === "v128.const" && (v.imm.every((b) => b === 0) || v.imm.every((b) => b === 255));
}

/** How many values there are that change in the loop. */
export function size(roots: readonly Value[]): number {
  const seen = new Set<Value>();
  const visit = (v: Value): void => {
    if (seen.has(v) || v.level === 0) return;
    seen.add(v);
    v.args.forEach(visit);
  };
  roots.forEach(visit);
  return seen.size;
}

/** Writes the body of one function. */
export class BodyWriter {
  readonly locals: WasmType[] = [];
  readonly bytes: number[] = [];
  /** Where functions are called, by their number in `callees`. */
  readonly #calls: { readonly at: number; readonly callee: number }[] = [];
  readonly #module: ModuleWriter;
  readonly #parameters: number;
  #known = new Map<Value, number>();
  #uses = new Map<Value, number>();
  readonly #saved: { readonly known: Map<Value, number>; readonly uses: Map<Value, number> }[] = [];

  constructor(module: ModuleWriter, parameters: number) {
    this.#module = module;
    this.#parameters = parameters;
  }

  /** Fills in the indices that the callees have got. */
  link(functions: readonly number[]): void {
    for (const { at, callee } of this.#calls) {
      const index = functions[callee]!;
      this.bytes[at] = index & 127 | 128;
      this.bytes[at + 1] = index >> 7;
    }
  }

  /** A call with room for an index of two bytes. */
  #call(callee: number): void {
    this.#calls.push({ at: this.bytes.length + 1, callee });
    this.emit([0x10, 0x80, 0]);
  }

  /** A new local variable. */
  local(type: WasmType): number {
    return this.#parameters + this.locals.push(type) - 1;
  }

  /** Adds instructions of control flow. */
  emit(...parts: readonly (readonly number[])[]): void {
    for (const part of parts) for (const byte of part) this.bytes.push(byte);
  }

  /** Opens straight-line code that computes these values; the names it gives are forgotten at its end. */
  begin(roots: readonly Value[]): void {
    this.#saved.push({ known: this.#known, uses: this.#uses });
    this.#known = new Map(this.#known);
    this.#count(roots);
  }

  /** Ends what `begin` opened. */
  end(): void {
    ({ known: this.#known, uses: this.#uses } = this.#saved.pop()!);
  }

  /** Names all parts of the values that change at most `level` loops deep. */
  hoist(roots: readonly Value[], level: number): void {
    const seen = new Set<Value>(), found: Value[] = [];
    const visit = (v: Value): void => {
      if (seen.has(v) || this.#known.has(v)) return;
      seen.add(v);
      if (v.level > level) return v.args.forEach(visit);
      if (!trivial(v)) found.push(v);
    };
    roots.forEach(visit);
    const uses = this.#uses;
    this.#count(found);
    for (const v of found) this.#name(v);
    this.#uses = uses;
  }

  /** Counts how often each part of the values is used, so that what is used twice gets a name. */
  #count(roots: readonly Value[]): void {
    const uses = this.#uses = new Map<Value, number>();
    const visit = (v: Value): void => {
      const n = uses.get(v) ?? 0;
      uses.set(v, n + 1);
      if (n === 0 && !this.#known.has(v)) v.args.forEach(visit);
    };
    roots.forEach(visit);
  }

  /** Puts values on the stack. */
  push(...values: readonly Value[]): void {
    for (const v of values) this.#push(v);
  }

  #name(v: Value): number {
    let at = this.#known.get(v);
    if (at === undefined) {
      this.#compute(v);
      at = this.local(v.type);
      this.emit(control.set(at));
      this.#known.set(v, at);
    }
    return at;
  }

  #push(v: Value): void {
    const at = this.#known.get(v);
    if (at !== undefined) return this.emit(control.get(at));
    this.#compute(v);
    if (trivial(v) || (this.#uses.get(v) ?? 0) < 2) return;
    const named = this.local(v.type);
    this.#known.set(v, named);
    this.emit(control.tee(named));
  }

  #compute(v: Value): void {
    switch (v.op) {
      case "local":
        return this.emit(control.get(v.imm[0]!));
      case "select":
        this.push(...v.args);
        return this.emit(control.select);
      case "call":
        this.push(...v.args);
        return this.#call(v.imm[0]!);
      case "guard": {
        // Both branches need the arguments, so they are named before.
        const [any, ...rest] = v.args;
        const names = rest.map((a) => a.op === "local" ? a.imm[0]! : this.#name(a));
        this.push(any!);
        this.emit(control.ifV128, ...names.map(control.get));
        this.#call(v.imm[0]!);
        return this.emit(control.else, control.get(names.at(-2)!), control.end);
      }
      case "v128.const":
        // JavaScriptCore makes a constant it knows anew wherever it is used, in up to four instructions; a variable's value it keeps.
        if (!trivial(v)) return this.emit(control.getGlobal(this.#module.constant(v.imm)));
        return this.emit(opBytes(v.op), v.imm);
      default:
        this.push(...v.args);
        this.emit(opBytes(v.op), v.imm);
    }
  }
}
