/**
 * The binary format of WebAssembly, as far as kernels need it: instructions, and modules made of functions over one imported memory.
 * @module
 */

/** Types of values, by their byte in the binary format. */
export const wasmTypes = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export type WasmType = keyof typeof wasmTypes;

/** Opcode and type of the result of each instruction without control flow; those beyond a byte begin with a prefix. */
const table = {
  i32: {
    "i32.const": 0x41,
    "i32.load": 0x28,
    "i32.load8_s": 0x2c,
    "i32.load8_u": 0x2d,
    "i32.load16_s": 0x2e,
    "i32.load16_u": 0x2f,
    "i32.eqz": 0x45,
    "i32.eq": 0x46,
    "i32.lt_s": 0x48,
    "i32.lt_u": 0x49,
    "i64.eqz": 0x50,
    "i64.eq": 0x51,
    "i64.ne": 0x52,
    "i64.lt_s": 0x53,
    "i64.lt_u": 0x54,
    "f64.lt": 0x63,
    "f64.ge": 0x66,
    "i32.add": 0x6a,
    "i32.sub": 0x6b,
    "i32.mul": 0x6c,
    "i32.and": 0x71,
    "i32.or": 0x72,
    "i32.shl": 0x74,
    "i32.shr_s": 0x75,
    "i32.shr_u": 0x76,
    "i32.wrap_i64": 0xa7,
    "i32x4.extract_lane": 0xfd1b,
    "i32x4.bitmask": 0xfda4,
  },
  i64: {
    "i64.const": 0x42,
    "i64.add": 0x7c,
    "i64.sub": 0x7d,
    "i64.mul": 0x7e,
    "i64.div_s": 0x7f,
    "i64.div_u": 0x80,
    "i64.rem_s": 0x81,
    "i64.rem_u": 0x82,
    "i64.and": 0x83,
    "i64.or": 0x84,
    "i64.xor": 0x85,
    "i64.shl": 0x86,
    "i64.shr_s": 0x87,
    "i64.shr_u": 0x88,
    "i64.trunc_sat_f64_s": 0xfc06,
    "i64.trunc_sat_f64_u": 0xfc07,
    "i64x2.extract_lane": 0xfd1d,
  },
  f32: { "f32.demote_f64": 0xb6, "f32.convert_i64_s": 0xb4, "f32.convert_i64_u": 0xb5, "f32x4.extract_lane": 0xfd1f },
  f64: {
    "f64.const": 0x44,
    "f64.sub": 0xa1,
    "f64.convert_i64_s": 0xb9,
    "f64.convert_i64_u": 0xba,
    "f64.promote_f32": 0xbb,
    "f64x2.extract_lane": 0xfd21,
  },
  v128: {
    "v128.load": 0xfd00,
    "v128.load32_lane": 0xfd56,
    "v128.load64_lane": 0xfd57,
    "v128.load64_zero": 0xfd5d,
    "v128.load32_zero": 0xfd5c,
    "v128.load32_splat": 0xfd09,
    "v128.load64_splat": 0xfd0a,
    "v128.const": 0xfd0c,
    "i8x16.shuffle": 0xfd0d,
    "i32x4.splat": 0xfd11,
    "i32x4.replace_lane": 0xfd1c,
    "i64x2.splat": 0xfd12,
    "i32x4.eq": 0xfd37,
    "i32x4.ne": 0xfd38,
    "i32x4.lt_s": 0xfd39,
    "i32x4.lt_u": 0xfd3a,
    "i32x4.gt_s": 0xfd3b,
    "i32x4.gt_u": 0xfd3c,
    "i32x4.le_s": 0xfd3d,
    "i32x4.le_u": 0xfd3e,
    "i32x4.ge_s": 0xfd3f,
    "f32x4.eq": 0xfd41,
    "f32x4.ne": 0xfd42,
    "f32x4.lt": 0xfd43,
    "f32x4.gt": 0xfd44,
    "f32x4.le": 0xfd45,
    "f32x4.ge": 0xfd46,
    "f64x2.eq": 0xfd47,
    "f64x2.ne": 0xfd48,
    "f64x2.lt": 0xfd49,
    "f64x2.gt": 0xfd4a,
    "f64x2.le": 0xfd4b,
    "f64x2.ge": 0xfd4c,
    "v128.not": 0xfd4d,
    "v128.and": 0xfd4e,
    "v128.andnot": 0xfd4f,
    "v128.or": 0xfd50,
    "v128.xor": 0xfd51,
    "v128.bitselect": 0xfd52,
    "f32x4.demote_f64x2_zero": 0xfd5e,
    "f64x2.promote_low_f32x4": 0xfd5f,
    "i8x16.popcnt": 0xfd62,
    "f32x4.ceil": 0xfd67,
    "f32x4.floor": 0xfd68,
    "f32x4.trunc": 0xfd69,
    "f32x4.nearest": 0xfd6a,
    "f64x2.ceil": 0xfd74,
    "f64x2.floor": 0xfd75,
    "f64x2.trunc": 0xfd7a,
    "f64x2.nearest": 0xfd94,
    "i16x8.extadd_pairwise_i8x16_u": 0xfd7d,
    "i32x4.extadd_pairwise_i16x8_u": 0xfd7f,
    "i16x8.extend_low_i8x16_s": 0xfd87,
    "i16x8.extend_low_i8x16_u": 0xfd89,
    "i32x4.abs": 0xfda0,
    "i32x4.neg": 0xfda1,
    "i32x4.extend_low_i16x8_s": 0xfda7,
    "i32x4.extend_low_i16x8_u": 0xfda9,
    "i32x4.shl": 0xfdab,
    "i32x4.shr_s": 0xfdac,
    "i32x4.shr_u": 0xfdad,
    "i32x4.add": 0xfdae,
    "i32x4.sub": 0xfdb1,
    "i32x4.mul": 0xfdb5,
    "i32x4.min_s": 0xfdb6,
    "i32x4.min_u": 0xfdb7,
    "i32x4.max_s": 0xfdb8,
    "i32x4.max_u": 0xfdb9,
    "i64x2.abs": 0xfdc0,
    "i64x2.neg": 0xfdc1,
    "i64x2.extend_low_i32x4_s": 0xfdc7,
    "i64x2.extend_high_i32x4_s": 0xfdc8,
    "i64x2.extend_low_i32x4_u": 0xfdc9,
    "i64x2.extend_high_i32x4_u": 0xfdca,
    "i64x2.shl": 0xfdcb,
    "i64x2.shr_s": 0xfdcc,
    "i64x2.shr_u": 0xfdcd,
    "i64x2.add": 0xfdce,
    "i64x2.sub": 0xfdd1,
    "i64x2.mul": 0xfdd5,
    "i64x2.eq": 0xfdd6,
    "i64x2.ne": 0xfdd7,
    "i64x2.lt_s": 0xfdd8,
    "i64x2.gt_s": 0xfdd9,
    "i64x2.le_s": 0xfdda,
    "i64x2.ge_s": 0xfddb,
    "f32x4.abs": 0xfde0,
    "f32x4.neg": 0xfde1,
    "f32x4.sqrt": 0xfde3,
    "f32x4.add": 0xfde4,
    "f32x4.sub": 0xfde5,
    "f32x4.mul": 0xfde6,
    "f32x4.div": 0xfde7,
    "f32x4.pmin": 0xfdea,
    "f32x4.pmax": 0xfdeb,
    "f64x2.abs": 0xfdec,
    "f64x2.neg": 0xfded,
    "f64x2.sqrt": 0xfdef,
    "f64x2.add": 0xfdf0,
    "f64x2.sub": 0xfdf1,
    "f64x2.mul": 0xfdf2,
    "f64x2.div": 0xfdf3,
    "f64x2.pmin": 0xfdf6,
    "f64x2.pmax": 0xfdf7,
    "i32x4.trunc_sat_f32x4_s": 0xfdf8,
    "f32x4.convert_i32x4_s": 0xfdfa,
    "f32x4.convert_i32x4_u": 0xfdfb,
    "i32x4.trunc_sat_f64x2_s_zero": 0xfdfc,
    "f64x2.convert_low_i32x4_s": 0xfdfe,
    "f64x2.convert_low_i32x4_u": 0xfdff,
    "f32x4.relaxed_madd": 0xfd0105,
    "f64x2.relaxed_madd": 0xfd0107,
  },
} as const satisfies Record<WasmType, Record<string, number>>;

type Names<T> = T extends unknown ? keyof T & string : never;
/** An instruction that gives a value. */
export type WasmOp = Names<(typeof table)[WasmType]>;

interface Opcode {
  readonly bytes: readonly number[];
  readonly type: WasmType;
}

let known: ReadonlyMap<string, Opcode> | undefined;

/** The instruction of a name; the table of all is made when the first is asked for. */
function opcode(op: WasmOp): Opcode {
  known ??= new Map(
    (Object.keys(table) as WasmType[]).flatMap((type) =>
      Object.entries(table[type]).map(([name, code]) => {
        const [prefix, sub] = code < 0x10000 ? [code >> 8, code & 255] : [code >> 16, code & 0xffff];
        return [name, { bytes: prefix === 0 ? [sub] : [prefix, ...leb(sub)], type }] as const;
      })
    ),
  );
  return known.get(op)!;
}

/** The type of an instruction's result. */
export function resultType(op: WasmOp): WasmType {
  return opcode(op).type;
}

/** An unsigned number in LEB128. */
export function leb(value: number): number[] {
  const out: number[] = [];
  do {
    const byte = value & 127;
    value >>>= 7;
    out.push(value !== 0 ? byte | 128 : byte);
  } while (value !== 0);
  return out;
}

/** A signed number in LEB128. */
export function signedLeb(value: bigint | number): number[] {
  let v = BigInt(value);
  for (const out: number[] = [];;) {
    const byte = Number(v & 127n);
    v >>= 7n;
    if ((v === 0n && byte < 64) || (v === -1n && byte >= 64)) return [...out, byte];
    out.push(byte | 128);
  }
}

/** The bytes of an instruction, without what follows it. */
export function opBytes(op: WasmOp): readonly number[] {
  return opcode(op).bytes;
}

/** Instructions of control flow, of locals and of stores. */
export const control = {
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  if: [0x04, 0x40],
  ifV128: [0x04, wasmTypes.v128],
  else: [0x05],
  end: [0x0b],
  br: (depth: number) => [0x0c, ...leb(depth)],
  return: [0x0f],
  brIf: (depth: number) => [0x0d, ...leb(depth)],
  call: (index: number) => [0x10, ...leb(index)],
  select: [0x1b],
  get: (local: number) => [0x20, ...leb(local)],
  set: (local: number) => [0x21, ...leb(local)],
  getGlobal: (index: number) => [0x23, ...leb(index)],
  tee: (local: number) => [0x22, ...leb(local)],
  store: (offset: number) => [0xfd, 0x0b, 0, ...leb(offset)],
  /** Stores lane 0 of 8, 16, 32 or 64 bits. */
  storeLane: (bytes: number, offset: number) => [0xfd, 0x58 + Math.log2(bytes), 0, ...leb(offset), 0],
} as const;

/** A function of a module, or one it imports. */
export interface Signature {
  readonly parameters: readonly WasmType[];
  readonly results: readonly WasmType[];
}

/** A module under construction: imports first, then functions. Function indices are those of the binary format. */
export class ModuleWriter {
  readonly #types: string[] = [];
  readonly #typeBytes: number[][] = [];
  readonly #imports: { readonly name: string; readonly type: number }[] = [];
  readonly #functions: {
    readonly type: number;
    readonly locals: readonly WasmType[];
    readonly body: readonly number[];
  }[] = [];
  readonly #constants: string[] = [];
  #sealed = false;

  #type({ parameters, results }: Signature): number {
    const list = (types: readonly WasmType[]) => [...leb(types.length), ...types.map((t) => wasmTypes[t])];
    const bytes = [0x60, ...list(parameters), ...list(results)], key = bytes.join();
    const found = this.#types.indexOf(key);
    if (found >= 0) return found;
    this.#typeBytes.push(bytes);
    return this.#types.push(key) - 1;
  }

  /** Imports a function from module `h`. All imports come before the first function. */
  import(name: string, signature: Signature): number {
    if (this.#sealed) throw new Error(`wasm: import ${name} comes after a function`);
    return this.#imports.push({ name, type: this.#type(signature) }) - 1;
  }

  /** Adds a function. */
  add(signature: Signature, locals: readonly WasmType[], body: readonly number[]): number {
    this.#sealed = true;
    return this.#imports.length + this.#functions.push({ type: this.#type(signature), locals, body }) - 1;
  }

  /** The index of a global variable that is these 16 bytes for good. */
  constant(bytes: readonly number[]): number {
    const key = bytes.join(), found = this.#constants.indexOf(key);
    return found >= 0 ? found : this.#constants.push(key) - 1;
  }

  /** The module, with its last function exported as `run` and its memory imported as `h.memory`. */
  bytes(): Uint8Array<ArrayBuffer> {
    const text = (s: string) => [...leb(s.length), ...[...s].map((c) => c.charCodeAt(0))];
    const section = (id: number, items: readonly (readonly number[])[]) => {
      const body = [...leb(items.length), ...items.flat()];
      return [id, ...leb(body.length), ...body];
    };
    const code = this.#functions.map(({ locals, body }) => {
      const runs: { type: WasmType; count: number }[] = [];
      for (const type of locals) {
        const last = runs.at(-1);
        if (last?.type === type) last.count++;
        else runs.push({ type, count: 1 });
      }
      const head = [...leb(runs.length), ...runs.flatMap(({ type, count }) => [...leb(count), wasmTypes[type]])];
      return [...leb(head.length + body.length + 1), ...head, ...body, 0x0b];
    });
    return Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, this.#typeBytes),
      ...section(2, [
        [...text("h"), ...text("memory"), 2, 0, 1],
        ...this.#imports.map(({ name, type }) => [...text("h"), ...text(name), 0, ...leb(type)]),
      ]),
      ...section(3, this.#functions.map(({ type }) => leb(type))),
      ...section(6, this.#constants.map((c) => [wasmTypes.v128, 0, 0xfd, 0x0c, ...c.split(",").map(Number), 0x0b])),
      ...section(7, [[...text("run"), 0, ...leb(this.#imports.length + this.#functions.length - 1)]]),
      ...section(10, code),
    ]);
  }
}
