/**
 * Products by libraries as calls for the thread of native calls.
 * @module
 */
import { dlopen, dlsym, RTLD } from "../../ffi/libc.ts";
import { addressOf } from "../../ffi/mem.ts";
import type { OneDNN, Primitive } from "../../ffi/onednn.ts";
import { type BlasType, type OpenBLAS, TRANSPOSE, type Transpose } from "../../ffi/openblas.ts";
import type { Address } from "../../ffi/types.ts";
import type { Recorder } from "./native_thread.ts";

/** Addresses of functions by library; the thread may be inside one when the process ends, so they stay loaded. */
const found = new WeakMap<OneDNN | OpenBLAS, Map<string, number>>();

function entry(library: OneDNN | OpenBLAS, name: string): number {
  let entries = found.get(library);
  if (entries === undefined) found.set(library, entries = new Map());
  let address = entries.get(name);
  if (address === undefined) {
    entries.set(name, address = dlsym(dlopen(library.path, RTLD.NOW | RTLD.NODELETE), name));
  }
  return address;
}

function blockOf(...values: readonly Address[]): BigInt64Array {
  const block = new BigInt64Array(new ArrayBuffer(8 * values.length));
  for (let i = 0; i < values.length; i++) block[i] = BigInt(values[i]!);
  return block;
}

/** A run of a primitive of oneDNN; its status is checked when it is done. */
export function recordDnnl(
  recorder: Recorder,
  library: OneDNN,
  made: Primitive,
  addresses: readonly Address[],
): void {
  const { primitive, stream, memories, block: args } = made.handles;
  const block = blockOf(
    ...["dnnl_memory_set_data_handle", "dnnl_primitive_execute", "dnnl_stream_wait"].map((f) => entry(library, f)),
    ...[primitive, stream, addressOf(args), memories.length],
    ...memories.flatMap((memory, i) => [memory, addresses[i]!]),
  );
  recorder.call(recorder.thread.entry("dnnl"), block, () => {
    library.check("dnnl_primitive_execute", Number(block[0]));
  });
}

const types: readonly BlasType[] = ["s", "d", "c", "z"];

/** What `OpenBLAS.gemm` does with alpha 1 and beta 0. */
export function recordGemm(
  recorder: Recorder,
  library: OpenBLAS,
  type: BlasType,
  transA: Transpose,
  transB: Transpose,
  ...rest: readonly Address[]
): void {
  const block = blockOf(
    ...[entry(library, `cblas_${type}gemm`), types.indexOf(type), TRANSPOSE[transA], TRANSPOSE[transB]],
    ...rest,
  );
  recorder.call(recorder.thread.entry("cblas"), block);
}
