"""Writes the golden set beside this file with real NumPy (2.4 or later, and ml_dtypes): python make_golden.py

Every `*.jsonl` holds one record a line: a function `f`, its arguments `a`, its keywords `k`, and its result `o` or the kind of
error `e`. `{"$": name}` is an array of inputs.json; `{"d", "s", "b"}` is an array: dtype, shape, bytes in C order; `{"v"}` any other value.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import calls
import sorting
from indexing import indexing
from printing import Promotion, printing
from record import save_pool

assert tuple(map(int, np.__version__.split(".")[:2])) >= (2, 4), f"NumPy {np.__version__}, 2.4 or later expected"


def main():
    total = 0
    for make in [*calls.PARTS, indexing, printing, Promotion]:
        part = make()
        count = part.save()
        total += count
        print(f"{part.name:12} {count:6} records, {sum('e' in r for r in getattr(part, 'records', []))} errors")
    save_pool()
    sorting.main()
    print(f"{'all':12} {total:6} records")


if __name__ == "__main__":
    main()
