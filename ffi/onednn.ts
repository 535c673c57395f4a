import { LibraryError, NativeError } from "./errors.ts";
import { created, destroyed } from "./handles.ts";
import { native, readCString, viewOf } from "./mem.ts";
import {
  type Abi,
  abi2,
  abi3,
  BINARY,
  type COMMON,
  DNNL_TYPES,
  ELTWISE,
  type Eltwise,
  type Handle,
  type MemoryDesc,
  TABLES,
} from "./onednn_abi.ts";
import { open, openFile } from "./open.ts";
import type { Address, Library, LibrarySpec, NativeFunctions, Symbols } from "./types.ts";

const PROBE = { dnnl_version: { parameters: [], result: "address" } } as const satisfies Symbols;

/** How oneDNN is found. Both C interfaces, version 3 and version 2, are in distributions. */
export const spec: LibrarySpec<typeof PROBE> = {
  name: "oneDNN",
  env: "TNP_DNNL",
  names: {
    linux: ["libdnnl.so.3", "libdnnl.so.3.6", "libdnnl.so.2", "libdnnl.so"],
    darwin: ["libdnnl.3.dylib", "libdnnl.2.dylib", "libdnnl.dylib"],
    win32: ["dnnl.dll", "libdnnl.dll"],
  },
  folders: ["/opt/homebrew/opt/onednn/lib", "/usr/local/opt/onednn/lib"],
  symbols: PROBE,
  install: "apt install libdnnl3.6 (or libdnnl3, libdnnl2), brew install onednn, pip install onednn-cpu-gomp",
};

/** The element types of oneDNN. */
export type DnnlType = keyof typeof DNNL_TYPES;

/** Memory as oneDNN sees it: dimensions and strides in elements. At least one dimension, at most 12. */
export interface Desc {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly type: DnnlType;
}

/** What is applied to a result before it is stored. */
export type PostOp =
  | { readonly kind: "eltwise"; readonly algorithm: Eltwise; readonly alpha?: number; readonly beta?: number }
  | { readonly kind: "binary"; readonly algorithm: keyof typeof BINARY; readonly operand: Desc }
  | { readonly kind: "sum"; readonly scale?: number };

const ARG = { SRC: 1, SRC_1: 2, DST: 17, WEIGHTS: 33, BIAS: 41 } as const;
const POST_OP_BASE = { 2: 16384, 3: 32768 } as const;
const SRC_1_OF_POST_OP = 2;
const QUERY_IMPL_INFO = 8;
const CPU = 1;
const IN_ORDER = 1;
const MAX_NDIM = 12;
const NULL = native(0);

type Common = NativeFunctions<typeof COMMON>;
type Destroy = "dnnl_engine_destroy" | "dnnl_stream_destroy" | "dnnl_memory_destroy" | "dnnl_primitive_destroy";

interface Slot {
  readonly arg: number;
  readonly desc: MemoryDesc;
}

/** A primitive ready to run. It keeps its memory objects; `execute` only sets where the data is. */
export class Primitive implements Disposable {
  /** The implementation that oneDNN chose, e.g. "brg:avx512_core". */
  readonly implementation: string;
  readonly #dnnl: OneDNN;
  readonly #functions: Common;
  readonly #stream: Address;
  readonly #memories: readonly Address[];
  readonly #block: Uint8Array<ArrayBuffer>;
  #primitive: Address | undefined;

  /** Made by the methods of `OneDNN`. */
  constructor(
    dnnl: OneDNN,
    functions: Common,
    stream: Address,
    primitive: Address,
    slots: readonly { readonly arg: number; readonly memory: Address }[],
    implementation: string,
  ) {
    this.#dnnl = dnnl;
    this.#functions = functions;
    this.#stream = stream;
    this.#primitive = primitive;
    this.#memories = slots.map(({ memory }) => memory);
    this.implementation = implementation;
    const view = new DataView(new ArrayBuffer(16 * slots.length));
    for (const [i, { arg, memory }] of slots.entries()) {
      view.setInt32(16 * i, arg, true);
      view.setBigUint64(16 * i + 8, BigInt(memory), true);
    }
    this.#block = new Uint8Array(view.buffer);
  }

  /**
   * Runs the primitive and waits for it.
   *
   * @param addresses Where each operand's data starts, in the order that the method which made the primitive tells; best as `native` gives them.
   * @throws NativeError with the function and status.
   */
  execute(...addresses: readonly Address[]): void {
    const f = this.#functions;
    const memories = this.#memories;
    if (this.#primitive === undefined) throw new NativeError("dnnl_primitive_execute", -1, "used after dispose");
    if (addresses.length !== memories.length) {
      throw new TypeError(`execute: got ${addresses.length} addresses, expected ${memories.length}`);
    }
    for (let i = 0; i < memories.length; i++) {
      const status = f.dnnl_memory_set_data_handle(memories[i] as Address, addresses[i] as Address);
      if (status !== 0) this.#dnnl.check("dnnl_memory_set_data_handle", status);
    }
    const status = f.dnnl_primitive_execute(this.#primitive, this.#stream, memories.length, this.#block);
    if (status !== 0) this.#dnnl.check("dnnl_primitive_execute", status);
    const waited = f.dnnl_stream_wait(this.#stream);
    if (waited !== 0) this.#dnnl.check("dnnl_stream_wait", waited);
  }

  /** What a caller of oneDNN's C functions needs to run the primitive; valid until it is disposed. */
  get handles(): {
    readonly primitive: Address;
    readonly stream: Address;
    readonly memories: readonly Address[];
    readonly block: Uint8Array;
  } {
    if (this.#primitive === undefined) throw new NativeError("dnnl_primitive_execute", -1, "used after dispose");
    return { primitive: this.#primitive, stream: this.#stream, memories: this.#memories, block: this.#block };
  }

  [Symbol.dispose](): void {
    const primitive = this.#primitive;
    if (primitive === undefined) return;
    this.#primitive = undefined;
    this.#dnnl.destroy("dnnl_primitive_destroy", primitive);
    for (const memory of this.#memories) this.#dnnl.destroy("dnnl_memory_destroy", memory);
  }
}

/** oneDNN on the CPU: one engine, one stream, primitives of either C interface. */
export class OneDNN implements Disposable {
  readonly path: string;
  readonly version: string;
  readonly major: 2 | 3;
  readonly #library: Library;
  readonly #f: Common;
  readonly #abi: Abi;
  readonly #engine: Address;
  readonly #stream: Address;
  #closed = false;

  /**
   * Opens the library and creates an engine and a stream.
   *
   * @param where How to find it.
   * @throws LibraryError when it cannot be opened or its version is not supported; NativeError when it has no CPU engine.
   */
  constructor(where: LibrarySpec<typeof PROBE> = spec) {
    using probe = open(where);
    const [major, minor, patch] = new Int32Array(viewOf(probe.symbols.dnnl_version(), 12)) as unknown as number[];
    this.path = probe.path;
    this.version = `${major}.${minor}.${patch}`;
    if (major !== 2 && major !== 3 || major === 2 && (minor ?? 0) < 5) {
      throw new LibraryError("oneDNN", `oneDNN: ${this.path} is version ${this.version}, expected 2.5 or newer, or 3`);
    }
    this.major = major;
    const library = this.#bind(major);
    this.#library = library;
    this.#f = library.symbols as unknown as Common;
    const check = (fn: string, status: number) => this.check(fn, status);
    try {
      this.#engine = this.#create("dnnl_engine_create", "engine", (out) => this.#f.dnnl_engine_create(out, CPU, NULL));
      try {
        this.#stream = this.#create(
          "dnnl_stream_create",
          "stream",
          (out) => this.#f.dnnl_stream_create(out, this.#engine, IN_ORDER),
        );
      } catch (error) {
        this.destroy("dnnl_engine_destroy", this.#engine);
        throw error;
      }
    } catch (error) {
      library.close();
      throw error;
    }
    this.#abi = major === 2
      ? abi2(library.symbols as unknown as NativeFunctions<typeof TABLES[2]>, this.#engine, check)
      : abi3(library.symbols as unknown as NativeFunctions<typeof TABLES[3]>, this.#engine, check);
  }

  /**
   * dst = post(src @ weights + bias), over matrices or stacks of them (a dimension of 1 broadcasts).
   *
   * @returns The primitive; `execute` takes src, weights, bias if there is one, dst, then the operand of each binary post-op.
   * @throws NativeError naming what oneDNN cannot do, e.g. `dnnl_unimplemented (3)`.
   */
  matmul(
    options: {
      readonly src: Desc;
      readonly weights: Desc;
      readonly bias?: Desc | undefined;
      readonly dst: Desc;
      readonly post?: readonly PostOp[] | undefined;
    },
  ): Primitive {
    const operands: [number, Desc][] = [[ARG.SRC, options.src], [ARG.WEIGHTS, options.weights]];
    if (options.bias !== undefined) operands.push([ARG.BIAS, options.bias]);
    operands.push([ARG.DST, options.dst]);
    return this.#build(operands, options.post, (out, slots, attr) => {
      const bias = options.bias === undefined ? NULL : at(slots, 2);
      this.#abi.matmul(out, at(slots, 0), at(slots, 1), bias, at(slots, options.bias === undefined ? 2 : 3), attr);
    });
  }

  /**
   * dst = post(f(src)), elementwise.
   *
   * @param data Of both src and dst.
   * @returns The primitive; `execute` takes src, dst (they may be the same), then the operand of each binary post-op.
   */
  eltwise(
    algorithm: Eltwise,
    data: Desc,
    options: { readonly alpha?: number; readonly beta?: number; readonly post?: readonly PostOp[] } = {},
  ): Primitive {
    const value = ELTWISE[this.major][algorithm];
    return this.#build([[ARG.SRC, data], [ARG.DST, data]], options.post, (out, slots, attr) => {
      this.#abi.eltwise(out, value, at(slots, 0), options.alpha ?? 0, options.beta ?? 0, attr);
    });
  }

  /**
   * The softmax along an axis, or its logarithm.
   *
   * @param data Of both src and dst.
   * @returns The primitive; `execute` takes src, dst.
   */
  softmax(data: Desc, axis: number, options: { readonly log?: boolean } = {}): Primitive {
    return this.#build([[ARG.SRC, data], [ARG.DST, data]], undefined, (out, slots, attr) => {
      this.#abi.softmax(out, options.log ?? false, at(slots, 0), axis, attr);
    });
  }

  /**
   * dst = post(a op b), elementwise; a dimension of 1 in b broadcasts.
   *
   * @returns The primitive; `execute` takes a, b, dst, then the operand of each binary post-op.
   */
  binary(algorithm: keyof typeof BINARY, a: Desc, b: Desc, dst: Desc, post?: readonly PostOp[]): Primitive {
    return this.#build([[ARG.SRC, a], [ARG.SRC_1, b], [ARG.DST, dst]], post, (out, slots, attr) => {
      this.#abi.binary(out, BINARY[algorithm], at(slots, 0), at(slots, 1), at(slots, 2), attr);
    });
  }

  /** Throws a NativeError unless the status is 0. */
  check(fn: string, status: number): void {
    if (status !== 0) throw new NativeError(fn, status, `dnnl_${readCString(this.#f.dnnl_status2str(status))}`);
  }

  /** Destroys a handle of this library. */
  destroy(fn: Destroy, handle: Address): void {
    this.check(fn, this.#f[fn](handle));
    destroyed(fn.slice(0, -"_destroy".length));
  }

  /** Destroys the stream and the engine and closes the library; primitives must be disposed before. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.destroy("dnnl_stream_destroy", this.#stream);
    this.destroy("dnnl_engine_destroy", this.#engine);
    this.#library.close();
  }

  #bind(major: 2 | 3): Library {
    try {
      return openFile<Symbols>(this.path, TABLES[major]);
    } catch (error) {
      if (!(error instanceof LibraryError)) throw error;
      throw new LibraryError(
        "oneDNN",
        `oneDNN: version ${this.version}: ${error.message}; set ${spec.env} to another`,
        [],
        {
          cause: error,
        },
      );
    }
  }

  #create(fn: string, kind: string, call: (out: Handle) => number): Address {
    const out: Handle = new BigUint64Array(new ArrayBuffer(8));
    this.check(fn, call(out));
    created(`dnnl_${kind}`);
    return native(Number(out[0]));
  }

  #memoryDesc({ shape, strides, type }: Desc): MemoryDesc {
    const ndim = shape.length;
    if (ndim < 1 || ndim > MAX_NDIM || strides.length !== ndim) {
      throw new TypeError(
        `oneDNN: got shape [${shape.join(", ")}] with ${strides.length} strides, expected 1 to ${MAX_NDIM} of each`,
      );
    }
    return this.#abi.memoryDesc(dims(shape), ndim, DNNL_TYPES[type], dims(strides));
  }

  #build(
    operands: readonly (readonly [number, Desc])[],
    post: readonly PostOp[] | undefined,
    describe: (out: Handle, slots: readonly Slot[], attr: Address) => void,
  ): Primitive {
    const f = this.#f;
    using cleanup = new DisposableStack();
    const slots: Slot[] = [];
    const add = (arg: number, desc: Desc) => {
      const made = cleanup.adopt(this.#memoryDesc(desc), (it) => it.destroy());
      slots.push({ arg, desc: made });
      return made.address;
    };
    for (const [arg, desc] of operands) add(arg, desc);

    let attr = NULL;
    if (post !== undefined && post.length > 0) {
      const list = handle((out) => this.check("dnnl_post_ops_create", f.dnnl_post_ops_create(out)));
      cleanup.defer(() => this.check("dnnl_post_ops_destroy", f.dnnl_post_ops_destroy(list)));
      for (const [i, op] of post.entries()) this.#append(list, i, op, add);
      const made = handle((out) => this.check("dnnl_primitive_attr_create", f.dnnl_primitive_attr_create(out)));
      cleanup.defer(() => this.check("dnnl_primitive_attr_destroy", f.dnnl_primitive_attr_destroy(made)));
      this.check("dnnl_primitive_attr_set_post_ops", f.dnnl_primitive_attr_set_post_ops(made, list));
      attr = made;
    }

    const pd = handle((out) => {
      try {
        describe(out, slots, attr);
      } catch (error) {
        if (!(error instanceof NativeError)) throw error;
        throw new NativeError(error.function, error.code, error.symbolic, `got ${text(operands)}`);
      }
    });
    cleanup.defer(() => this.check("dnnl_primitive_desc_destroy", f.dnnl_primitive_desc_destroy(pd)));

    using undo = new DisposableStack();
    const primitive = this.#create("dnnl_primitive_create", "primitive", (out) => f.dnnl_primitive_create(out, pd));
    undo.defer(() => this.destroy("dnnl_primitive_destroy", primitive));
    const memories = slots.map(({ arg, desc }) => {
      const memory = this.#create(
        "dnnl_memory_create",
        "memory",
        (out) => f.dnnl_memory_create(out, desc.address, this.#engine, NULL),
      );
      undo.defer(() => this.destroy("dnnl_memory_destroy", memory));
      return { arg, memory };
    });
    const result = new Primitive(this, f, this.#stream, primitive, memories, this.#implementation(pd));
    undo.move();
    return result;
  }

  #append(list: Address, index: number, op: PostOp, add: (arg: number, desc: Desc) => Address): void {
    switch (op.kind) {
      case "eltwise":
        return this.#abi.appendEltwise(list, ELTWISE[this.major][op.algorithm], op.alpha ?? 0, op.beta ?? 0);
      case "sum":
        return this.#abi.appendSum(list, op.scale ?? 1);
      case "binary": {
        const operand = add(POST_OP_BASE[this.major] * (index + 1) | SRC_1_OF_POST_OP, op.operand);
        const status = this.#f.dnnl_post_ops_append_binary(list, BINARY[op.algorithm], operand);
        return this.check("dnnl_post_ops_append_binary", status);
      }
    }
  }

  #implementation(pd: Address): string {
    const name = handle((out) =>
      this.check("dnnl_primitive_desc_query", this.#f.dnnl_primitive_desc_query(pd, QUERY_IMPL_INFO, 0, out))
    );
    return readCString(name);
  }
}

function handle(write: (out: Handle) => void): Address {
  const out: Handle = new BigUint64Array(new ArrayBuffer(8));
  write(out);
  return native(Number(out[0]));
}

function text(operands: readonly (readonly [number, Desc])[]): string {
  const names = Object.fromEntries(Object.entries(ARG).map(([name, arg]) => [arg, name.toLowerCase()]));
  return operands.map(([arg, { type, shape }]) => `${names[arg]} ${type} [${shape.join(", ")}]`).join(", ");
}

function at(slots: readonly Slot[], index: number): Address {
  return (slots[index] as Slot).desc.address;
}

function dims(values: readonly number[]): BigInt64Array {
  const result = new BigInt64Array(new ArrayBuffer(8 * MAX_NDIM));
  for (const [i, value] of values.entries()) result[i] = BigInt(value);
  return result;
}

export type { Eltwise };
