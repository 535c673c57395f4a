"""Writes sorting.json beside this file with real NumPy: python sorting.py

Each case is [dtype, mode, rows, n, digest]: rows of bits from a generator that the test has too, and SHA-256 (16 digits) of the positions
that a stable argsort gives, as int64. Mode "any" takes all bits, "few" picks from eight values, of floats both zeros, infinities, NaNs.
"""

import hashlib
import json
from pathlib import Path

import ml_dtypes
import numpy as np

WIDTHS = {
    "bool": 8, "int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64,
    "float16": 16, "bfloat16": 16, "float32": 32, "float64": 64,
}
# 0, -0, NaN, -NaN, infinities, 1.0, -2.0 by their leading bits.
SPECIAL = {
    "float16": [0, 0x8000, 0x7E00, 0xFE01, 0x7C00, 0xFC00, 0x3C00, 0xC000],
    "bfloat16": [0, 0x8000, 0x7FC0, 0xFFC1, 0x7F80, 0xFF80, 0x3F80, 0xC000],
    "float32": [x << 16 for x in [0, 0x8000, 0x7FC0, 0xFFC1, 0x7F80, 0xFF80, 0x3F80, 0xC000]],
    "float64": [x << 48 for x in [0, 0x8000, 0x7FF8, 0xFFF9, 0x7FF0, 0xFFF0, 0x3FF0, 0xC000]],
}


def draws(n, seed):
    state, out = seed, np.empty(n, np.uint64)
    for i in range(n):
        high = state = (state * 1664525 + 1013904223) % 2**32
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = high << 32 | (state ^ high >> 7)
    return out


def bits_of(dtype, mode, count, seed):
    width, bits = WIDTHS[dtype], draws(count, seed) >> np.uint64(8)
    if dtype == "bool":
        bits = bits & np.uint64(1)
    elif mode == "few":
        pick = (bits >> np.uint64(40)) % np.uint64(8)
        few = SPECIAL.get(dtype, [(2**width - 1) // 7 * k for k in range(8)])
        bits = np.array(few, np.uint64)[pick.astype(int)]
    else:
        bits = bits ^ bits << np.uint64(37)
    return bits.astype(f"uint{width}")


def values_of(dtype, bits):
    if dtype == "bfloat16":
        return bits.view(ml_dtypes.bfloat16).astype(np.float32)
    return bits.view(dtype)


def main():
    cases = []
    for dtype, width in WIDTHS.items():
        itemsize = width // 8
        # Around the tiles of the merge sort, and around what counting begins at and takes at once.
        long = 2048 * itemsize
        shapes = [(2, 0), (3, 1), (5, 2), (2, 511), (2, 512), (1, 513), (3, 1025), (1, long), (1, long + 1), (2, long + 4097)]
        for rows, n in shapes:
            for mode in ["any", "few"] if n > 2 else ["any"]:
                x = values_of(dtype, bits_of(dtype, mode, rows * n, 7 + n)).reshape(rows, n)
                order = np.argsort(x, axis=-1, kind="stable").astype("<i8")
                cases.append([dtype, mode, rows, n, hashlib.sha256(order.tobytes()).hexdigest()[:16]])
    text = ",\n".join(json.dumps(case) for case in cases)
    Path(__file__).with_name("sorting.json").write_text(f"[\n{text}\n]\n")
    print(f"sorting      {len(cases):6} cases")


if __name__ == "__main__":
    main()
