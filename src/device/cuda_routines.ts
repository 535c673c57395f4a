/**
 * The routines of a GPU: matrix products (`cuda_matmul.ts`), sorting and searching (`cuda_sorting.ts`).
 * @module
 */
import type { Routine, RoutineName } from "../../kernels/kernel.ts";
import type { DType } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { matmul, type MatmulHost } from "./cuda_matmul.ts";
import { search, sorted } from "./cuda_sorting.ts";
import type { Callable } from "./device.ts";

/** What the routines need besides a GPU. */
export type RoutineHost = MatmulHost;

/** Without epilogue: these are not followed by one. */
function plain(routine: Routine, callable: Callable): Callable {
  if (routine.epilogue !== null) throw new DeviceError(`${routine.name}: got an epilogue, expected none`);
  return callable;
}

const makers = {
  matmul,
  sort: (gpu, routine) => plain(routine, (call) => sorted(gpu, routine.dtypes[0] as DType, call, false)),
  argsort: (gpu, routine) => plain(routine, (call) => sorted(gpu, routine.dtypes[0] as DType, call, true)),
  searchsorted: (gpu, routine) => plain(routine, (call) => search(gpu, routine, call)),
} as const satisfies Record<RoutineName, (gpu: RoutineHost, routine: Routine) => Callable>;

/** The callable of a routine. */
export function cudaRoutine(gpu: RoutineHost, routine: Routine): Callable {
  return makers[routine.name](gpu, routine);
}
