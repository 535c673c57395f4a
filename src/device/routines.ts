/**
 * The routines of the CPU, by name.
 * @module
 */
import type { Routine, RoutineName } from "../../kernels/kernel.ts";
import type { DType } from "../base/dtype.ts";
import { DeviceError } from "../base/errors.ts";
import { type Host, type HostArray, hostArray, type RoutineRunner } from "./host.ts";
import { matmul } from "./matmul.ts";
import { searchSorted, sortRows } from "./sort.ts";
import { searchesNative, searchSortedNative, sortRowsNative, sortsNative } from "./sort_native.ts";

type Maker = (host: Host, routine: Routine) => RoutineRunner;

/** Without epilogue: these are not followed by one. */
function plain(routine: Routine, runner: RoutineRunner): RoutineRunner {
  if (routine.epilogue !== null) throw new DeviceError(`${routine.name}: got an epilogue, expected none`);
  return runner;
}

const dtypeOf = (routine: Routine, i: number): DType => routine.dtypes.at(i) as DType;

function sort(host: Host, input: HostArray, output: HostArray, positions: boolean): void {
  if (!sortRowsNative(host, input, output, positions)) sortRows(input, output, positions);
}

/** A sort along the last axis, or the int64 positions it would take values from. */
const sorter = (positions: boolean): Maker => (host, routine) => {
  const dtype = dtypeOf(routine, 0);
  return plain(routine, {
    run: ({ inputs, output }) =>
      sort(host, hostArray(inputs[0]!, dtype), hostArray(output, dtypeOf(routine, -1)), positions),
    native: ({ inputs }) => sortsNative(dtype, inputs[0]!.shape!, positions),
  });
};

const makers = {
  matmul,
  // One input `[.., n]`, output of its shape.
  sort: sorter(false),
  argsort: sorter(true),
  // A sorted vector and values of its dtype; int64 positions of the values' shape; params.side is "left" or "right".
  searchsorted: (_host, routine) => {
    const dtype = dtypeOf(routine, 0), right = routine.params["side"] === "right";
    return plain(routine, {
      run: ({ inputs, output }) => {
        const sorted = hostArray(inputs[0]!, dtype), values = hostArray(inputs[1]!, dtype);
        const positions = hostArray(output, "int64");
        if (!searchSortedNative(sorted, values, positions, right)) searchSorted(sorted, values, positions, right);
      },
      native: ({ inputs }) => searchesNative(dtype, inputs[0]!.shape![0]!, inputs[1]!.shape!),
    });
  },
} as const satisfies Record<RoutineName, Maker>;

/** The runner of a routine. */
export function makeRoutine(host: Host, routine: Routine): RoutineRunner {
  return makers[routine.name](host, routine);
}
