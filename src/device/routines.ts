/**
 * The routines of the CPU, by name.
 * @module
 */
import type { Routine, RoutineName } from "../../kernels/kernel.ts";
import type { DType } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import type { Callable } from "./device.ts";
import { type Host, type HostArray, hostArray } from "./host.ts";
import { matmul } from "./matmul.ts";
import { searchSorted, sortRows } from "./sort.ts";
import { searchSortedNative, sortRowsNative } from "./sort_native.ts";

type Maker = (host: Host, routine: Routine) => Callable;

/** Without epilogue: these are not followed by one. */
function plain(routine: Routine, callable: Callable): Callable {
  if (routine.epilogue !== null) throw new DeviceError(`${routine.name}: got an epilogue, expected none`);
  return callable;
}

const dtypeOf = (routine: Routine, i: number): DType => routine.dtypes.at(i) as DType;

function sort(host: Host, input: HostArray, output: HostArray, positions: boolean): void {
  if (!sortRowsNative(host, input, output, positions)) sortRows(input, output, positions);
}

const makers = {
  matmul,
  // One input `[.., n]`, output of its shape; sorted along the last axis.
  sort: (host, routine) =>
    plain(routine, ({ inputs, output }) => {
      sort(host, hostArray(inputs[0]!, dtypeOf(routine, 0)), hostArray(output, dtypeOf(routine, -1)), false);
    }),
  // The same with int64 positions.
  argsort: (host, routine) =>
    plain(routine, ({ inputs, output }) => {
      sort(host, hostArray(inputs[0]!, dtypeOf(routine, 0)), hostArray(output, "int64"), true);
    }),
  // A sorted vector and values of its dtype; int64 positions of the values' shape; params.side is "left" or "right".
  searchsorted: (_host, routine) =>
    plain(routine, ({ inputs, output }) => {
      const dtype = dtypeOf(routine, 0), right = routine.params["side"] === "right";
      const sorted = hostArray(inputs[0]!, dtype), values = hostArray(inputs[1]!, dtype);
      const positions = hostArray(output, "int64");
      if (!searchSortedNative(sorted, values, positions, right)) searchSorted(sorted, values, positions, right);
    }),
} as const satisfies Record<RoutineName, Maker>;

/** The callable of a routine. */
export function makeRoutine(host: Host, routine: Routine): Callable {
  return makers[routine.name](host, routine);
}
