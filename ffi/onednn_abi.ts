import { addressOf, native } from "./mem.ts";
import type { Address, NativeFunctions, Symbols } from "./types.ts";

/** The element types of oneDNN. */
export const DNNL_TYPES = { f16: 1, bf16: 2, f32: 3, s32: 4, s8: 5, u8: 6, f64: 7 } as const;

/** The algorithms of binary operations; the same values in both versions. */
export const BINARY = {
  add: 0x1fff0,
  mul: 0x1fff1,
  max: 0x1fff2,
  min: 0x1fff3,
  div: 0x1fff4,
  sub: 0x1fff5,
} as const;

/** Elementwise functions, in the terms of oneDNN: `linear` is alpha x + beta, `pow` is alpha x^beta, `clip` is to [alpha, beta]. */
export type Eltwise =
  | "relu"
  | "tanh"
  | "abs"
  | "sqrt"
  | "square"
  | "linear"
  | "logistic"
  | "exp"
  | "log"
  | "gelu_tanh"
  | "gelu_erf"
  | "swish"
  | "clip"
  | "pow"
  | "round"
  | "mish";

/** The numbering changed between the versions. */
export const ELTWISE = {
  2: {
    relu: 31,
    tanh: 47,
    abs: 95,
    sqrt: 111,
    square: 79,
    linear: 127,
    logistic: 175,
    exp: 191,
    log: 239,
    gelu_tanh: 207,
    gelu_erf: 48,
    swish: 223,
    clip: 255,
    pow: 32,
    round: 64,
    mish: 96,
  },
  3: {
    relu: 32,
    tanh: 33,
    abs: 36,
    sqrt: 37,
    square: 35,
    linear: 38,
    logistic: 41,
    exp: 42,
    log: 45,
    gelu_tanh: 43,
    gelu_erf: 49,
    swish: 44,
    clip: 46,
    pow: 48,
    round: 50,
    mish: 51,
  },
} as const satisfies Record<2 | 3, Record<Eltwise, number>>;

const FORWARD_INFERENCE = 96;
const SOFTMAX_ACCURATE = 0x30000;
const SOFTMAX_LOG = 0x30001;

const STATUS = { result: "i32" } as const;

/** What versions 2 and 3 share. */
export const COMMON = {
  dnnl_status2str: { parameters: ["i32"], result: "address" },
  dnnl_engine_create: { parameters: ["buffer", "i32", "u64"], ...STATUS },
  dnnl_engine_destroy: { parameters: ["address"], ...STATUS },
  dnnl_stream_create: { parameters: ["buffer", "address", "u32"], ...STATUS },
  dnnl_stream_wait: { parameters: ["address"], ...STATUS },
  dnnl_stream_destroy: { parameters: ["address"], ...STATUS },
  dnnl_memory_create: { parameters: ["buffer", "address", "address", "address"], ...STATUS },
  dnnl_memory_set_data_handle: { parameters: ["address", "address"], ...STATUS },
  dnnl_memory_destroy: { parameters: ["address"], ...STATUS },
  dnnl_primitive_attr_create: { parameters: ["buffer"], ...STATUS },
  dnnl_primitive_attr_set_post_ops: { parameters: ["address", "address"], ...STATUS },
  dnnl_primitive_attr_destroy: { parameters: ["address"], ...STATUS },
  dnnl_post_ops_create: { parameters: ["buffer"], ...STATUS },
  dnnl_post_ops_append_binary: { parameters: ["address", "i32", "address"], ...STATUS },
  dnnl_post_ops_destroy: { parameters: ["address"], ...STATUS },
  dnnl_primitive_desc_query: { parameters: ["address", "i32", "i32", "buffer"], ...STATUS },
  dnnl_primitive_desc_destroy: { parameters: ["address"], ...STATUS },
  dnnl_primitive_create: { parameters: ["buffer", "address"], ...STATUS },
  dnnl_primitive_execute: { parameters: ["address", "address", "i32", "buffer"], ...STATUS },
  dnnl_primitive_destroy: { parameters: ["address"], ...STATUS },
} as const satisfies Symbols;

const V2 = {
  dnnl_memory_desc_init_by_strides: { parameters: ["buffer", "i32", "buffer", "i32", "buffer"], ...STATUS },
  dnnl_post_ops_append_eltwise: { parameters: ["address", "f32", "i32", "f32", "f32"], ...STATUS },
  dnnl_post_ops_append_sum: { parameters: ["address", "f32"], ...STATUS },
  dnnl_matmul_desc_init: { parameters: ["buffer", "address", "address", "address", "address"], ...STATUS },
  dnnl_eltwise_forward_desc_init: { parameters: ["buffer", "i32", "i32", "address", "f32", "f32"], ...STATUS },
  dnnl_softmax_forward_desc_init: { parameters: ["buffer", "i32", "address", "i32"], ...STATUS },
  dnnl_logsoftmax_forward_desc_init: { parameters: ["buffer", "i32", "address", "i32"], ...STATUS },
  dnnl_binary_desc_init: { parameters: ["buffer", "i32", "address", "address", "address"], ...STATUS },
  dnnl_primitive_desc_create: { parameters: ["buffer", "buffer", "address", "address", "address"], ...STATUS },
} as const satisfies Symbols;

const V3 = {
  dnnl_memory_desc_create_with_strides: { parameters: ["buffer", "i32", "buffer", "i32", "buffer"], ...STATUS },
  dnnl_memory_desc_destroy: { parameters: ["address"], ...STATUS },
  dnnl_post_ops_append_eltwise: { parameters: ["address", "i32", "f32", "f32"], ...STATUS },
  dnnl_post_ops_append_sum: { parameters: ["address", "f32", "i32", "i32"], ...STATUS },
  dnnl_matmul_primitive_desc_create: {
    parameters: ["buffer", "address", "address", "address", "address", "address", "address"],
    ...STATUS,
  },
  dnnl_eltwise_forward_primitive_desc_create: {
    parameters: ["buffer", "address", "i32", "i32", "address", "address", "f32", "f32", "address"],
    ...STATUS,
  },
  dnnl_softmax_forward_primitive_desc_create: {
    parameters: ["buffer", "address", "i32", "i32", "address", "address", "i32", "address"],
    ...STATUS,
  },
  dnnl_binary_primitive_desc_create: {
    parameters: ["buffer", "address", "i32", "address", "address", "address", "address"],
    ...STATUS,
  },
} as const satisfies Symbols;

/** The tables to bind, by major version. */
export const TABLES = { 2: { ...COMMON, ...V2 }, 3: { ...COMMON, ...V3 } } as const;

/** Throws a NativeError unless the status is 0. */
export type Check = (fn: string, status: number) => void;

/** A memory descriptor: what functions take (`address`), what keeps it alive, what frees it. */
export interface MemoryDesc {
  readonly address: Address;
  readonly storage?: Uint8Array;
  destroy(): void;
}

/** What the versions do differently, behind one interface. Each `*PrimitiveDesc` writes a handle into `out`. */
export interface Abi {
  memoryDesc(dims: BigInt64Array, ndim: number, type: number, strides: BigInt64Array): MemoryDesc;
  appendEltwise(postOps: Address, algorithm: number, alpha: number, beta: number): void;
  appendSum(postOps: Address, scale: number): void;
  matmul(out: Handle, src: Address, weights: Address, bias: Address, dst: Address, attr: Address): void;
  eltwise(out: Handle, algorithm: number, data: Address, alpha: number, beta: number, attr: Address): void;
  softmax(out: Handle, log: boolean, data: Address, axis: number, attr: Address): void;
  binary(out: Handle, algorithm: number, a: Address, b: Address, dst: Address, attr: Address): void;
}

/** Eight bytes that a function writes a handle into. */
export type Handle = BigUint64Array<ArrayBuffer>;

const NULL = native(0);

// The structs of version 2 differ in size from release to release: these are larger than any.
const MEMORY_DESC_BYTES = 1024;
const OP_DESC_BYTES = 8192;

/** Version 2: descriptors are structs that the caller owns. */
export function abi2(f: NativeFunctions<typeof TABLES[2]>, engine: Address, check: Check): Abi {
  const op = new Uint8Array(new ArrayBuffer(OP_DESC_BYTES));
  const create = (fn: string, out: Handle, attr: Address) =>
    check(`dnnl_primitive_desc_create (${fn})`, f.dnnl_primitive_desc_create(out, op, attr, engine, NULL));
  return {
    memoryDesc(dims, ndim, type, strides) {
      const storage = new Uint8Array(new ArrayBuffer(MEMORY_DESC_BYTES));
      check(
        "dnnl_memory_desc_init_by_strides",
        f.dnnl_memory_desc_init_by_strides(storage, ndim, dims, type, strides),
      );
      return { address: native(addressOf(storage)), storage, destroy() {} };
    },
    appendEltwise(postOps, algorithm, alpha, beta) {
      check("dnnl_post_ops_append_eltwise", f.dnnl_post_ops_append_eltwise(postOps, 1, algorithm, alpha, beta));
    },
    appendSum(postOps, scale) {
      check("dnnl_post_ops_append_sum", f.dnnl_post_ops_append_sum(postOps, scale));
    },
    matmul(out, src, weights, bias, dst, attr) {
      check("dnnl_matmul_desc_init", f.dnnl_matmul_desc_init(op, src, weights, bias, dst));
      create("matmul", out, attr);
    },
    eltwise(out, algorithm, data, alpha, beta, attr) {
      check(
        "dnnl_eltwise_forward_desc_init",
        f.dnnl_eltwise_forward_desc_init(op, FORWARD_INFERENCE, algorithm, data, alpha, beta),
      );
      create("eltwise", out, attr);
    },
    softmax(out, log, data, axis, attr) {
      if (log) {
        const status = f.dnnl_logsoftmax_forward_desc_init(op, FORWARD_INFERENCE, data, axis);
        check("dnnl_logsoftmax_forward_desc_init", status);
      } else {
        check(
          "dnnl_softmax_forward_desc_init",
          f.dnnl_softmax_forward_desc_init(op, FORWARD_INFERENCE, data, axis),
        );
      }
      create("softmax", out, attr);
    },
    binary(out, algorithm, a, b, dst, attr) {
      check("dnnl_binary_desc_init", f.dnnl_binary_desc_init(op, algorithm, a, b, dst));
      create("binary", out, attr);
    },
  };
}

/** Version 3: descriptors are handles. */
export function abi3(f: NativeFunctions<typeof TABLES[3]>, engine: Address, check: Check): Abi {
  return {
    memoryDesc(dims, ndim, type, strides) {
      const out = new BigUint64Array(new ArrayBuffer(8));
      check(
        "dnnl_memory_desc_create_with_strides",
        f.dnnl_memory_desc_create_with_strides(out, ndim, dims, type, strides),
      );
      const address = native(Number(out[0]));
      return { address, destroy: () => check("dnnl_memory_desc_destroy", f.dnnl_memory_desc_destroy(address)) };
    },
    appendEltwise(postOps, algorithm, alpha, beta) {
      check("dnnl_post_ops_append_eltwise", f.dnnl_post_ops_append_eltwise(postOps, algorithm, alpha, beta));
    },
    appendSum(postOps, scale) {
      check("dnnl_post_ops_append_sum", f.dnnl_post_ops_append_sum(postOps, scale, 0, 0));
    },
    matmul(out, src, weights, bias, dst, attr) {
      check(
        "dnnl_matmul_primitive_desc_create",
        f.dnnl_matmul_primitive_desc_create(out, engine, src, weights, bias, dst, attr),
      );
    },
    eltwise(out, algorithm, data, alpha, beta, attr) {
      const create = f.dnnl_eltwise_forward_primitive_desc_create;
      check(
        "dnnl_eltwise_forward_primitive_desc_create",
        create(out, engine, FORWARD_INFERENCE, algorithm, data, data, alpha, beta, attr),
      );
    },
    softmax(out, log, data, axis, attr) {
      const create = f.dnnl_softmax_forward_primitive_desc_create;
      check(
        "dnnl_softmax_forward_primitive_desc_create",
        create(out, engine, FORWARD_INFERENCE, log ? SOFTMAX_LOG : SOFTMAX_ACCURATE, data, data, axis, attr),
      );
    },
    binary(out, algorithm, a, b, dst, attr) {
      check(
        "dnnl_binary_primitive_desc_create",
        f.dnnl_binary_primitive_desc_create(out, engine, algorithm, a, b, dst, attr),
      );
    },
  };
}
