"""Writes kernels.json: scalar operations of every dtype as real NumPy computes them.

Run with NumPy >= 2.4 and ml_dtypes: python tests/golden/kernels.py
Values are base64 of the little-endian memory. x and y are all pairs of special values, then random ones.
"""
import base64
import ctypes
import itertools
import json
import math
import pathlib
import warnings

import ml_dtypes
import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")
rng = np.random.default_rng(7)
dtypes = {n: np.dtype(n) for n in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()}
dtypes["bfloat16"] = np.dtype(ml_dtypes.bfloat16)


def values(name):
    t = dtypes[name]
    if t.kind == "b":
        s = np.array([False, True])
    elif t.kind in "iu":
        i = np.iinfo(t)
        s = [0, 1, 2, 3, 7, i.max, i.max - 1, i.bits - 1, i.bits]
        s += [-1, -2, -5, i.min, i.min + 1] if t.kind == "i" else [i.max // 2, i.max // 2 + 1]
        s = np.array(s, t)
    else:
        f = ml_dtypes.finfo(t)
        s = np.array([0.0, -0.0, 1, -1, 0.5, -2.5, 3.75, 1e-3, 300.7, math.inf, -math.inf, math.nan], t)
        s = np.concatenate([s, np.array([f.max, f.tiny, f.smallest_subnormal], t)])
    x, y = map(np.array, zip(*itertools.product(s, s)))
    if t.kind in "iu":
        i = np.iinfo(t)
        r = rng.integers(i.min, i.max, (2, 40), dtype=t, endpoint=True)
    else:
        r = (rng.standard_normal((2, 40)) * 4).astype(t)
    return np.concatenate([x.astype(t), r[0]]), np.concatenate([y.astype(t), r[1]])


def erf(f):
    def call(x):
        return np.array([f(float(v)) for v in x.astype(np.float64)]).astype(x.dtype)
    return call


libm = ctypes.CDLL("libm.so.6")
libm.lgamma.restype = ctypes.c_double
libm.lgamma.argtypes = [ctypes.c_double]


unary = {
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "not": np.invert, "floor": np.floor, "ceil": np.ceil,
    "trunc": np.trunc, "rint": np.rint, "sqrt": np.sqrt, "cbrt": np.cbrt, "exp": np.exp, "exp2": np.exp2,
    "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sin": np.sin,
    "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "erf": erf(math.erf), "erfc": erf(math.erfc), "lgamma": erf(libm.lgamma),
    "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite, "signbit": np.signbit, "popcount": np.bitwise_count,
}
binary = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "fmod": np.fmod, "pow": np.power, "atan2": np.arctan2, "hypot": np.hypot,
    "copysign": np.copysign, "nextafter": np.nextafter, "max": np.maximum, "min": np.minimum, "fmax": np.fmax,
    "fmin": np.fmin, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "shl": np.left_shift,
    "shr": np.right_shift, "gcd": np.gcd, "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
}
floats_only = set("sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
                  "erf erfc lgamma isnan isinf isfinite signbit div atan2 hypot copysign nextafter".split())
integers_only = set("popcount gcd shl shr".split())
bits_only = set("not and or xor".split())
not_bool = set("neg sign sub floordiv mod fmod pow rint floor ceil trunc".split())


def applies(op, t):
    if t.kind == "b":
        return op not in floats_only | integers_only | not_bool
    if t.kind in "iu":
        return op not in floats_only | {"rint"}
    return op not in integers_only | bits_only


def text(a):
    return base64.b64encode(np.ascontiguousarray(a).tobytes()).decode()


out = {}
for name, t in dtypes.items():
    x, y = values(name)
    entry = {"x": text(x), "y": text(y), "unary": {}, "binary": {}, "cast": {}}
    for op, f in unary.items():
        if applies(op, t):
            entry["unary"][op] = text(f(x))
    for op, f in binary.items():
        if applies(op, t):
            if op == "pow" and t.kind == "i":
                r = f(x, np.where(y < 0, 0, y).astype(t))  # NumPy refuses negative exponents
            else:
                r = f(x, y)
            entry["binary"][op] = text(r)
    for other, u in dtypes.items():
        if other != name:
            entry["cast"][other] = text(x.astype(u))
    out[name] = entry
path = pathlib.Path(__file__).with_name("kernels.json")
path.write_text(json.dumps(out, indent=0, separators=(",", ":")) + "\n")
print(path.stat().st_size)
