// The reference for maps: a loop over examples, each computed alone.
import { type NDArray, tnp } from "../../mod.ts";

/** Calls a function for each example of an array, or of a list of arrays, and stacks what it returns. */
export function oneByOne<T extends NDArray | readonly NDArray[]>(f: (x: T) => NDArray, x: T): NDArray {
  const [first] = [x].flat() as NDArray[];
  const rows = Array.from({ length: first!.shape[0]! }, (_, i) => {
    const row = f((Array.isArray(x) ? x.map((part: NDArray) => part.at(i)) : (x as NDArray).at(i)) as unknown as T);
    row.dataSync();
    return row;
  });
  return tnp.stack(rows);
}
