"""The calls of the golden set, one function per file of records."""

import numpy as np
from record import ALL, FLOATS, INTS, SOME, Bits, Part, np_dtype, own, plain, ref

UNARY = {
    "s": "abs absolute negative positive sign floor ceil trunc rint fix square fabs isnan isinf isfinite signbit isneginf isposinf"
    " reciprocal logical_not real imag conj conjugate iscomplex isreal around round sinc deg2rad rad2deg degrees radians nan_to_num",
    "a": "exp exp2 expm1 sin cos tan sinh cosh tanh arcsinh arctan angle",
    "p": "sqrt cbrt log log2 log10 log1p arccosh",
    "u": "arcsin arccos arctanh",
}
BINARY = (
    "add subtract multiply divide true_divide floor_divide mod remainder fmod power float_power maximum minimum fmax fmin arctan2 hypot"
    " copysign nextafter logaddexp logaddexp2 heaviside less less_equal greater greater_equal equal not_equal logical_and logical_or"
    " logical_xor bitwise_and bitwise_or bitwise_xor left_shift right_shift gcd lcm divmod isclose"
).split()


def unary():
    part = Part("unary")
    for values, names in UNARY.items():
        for fn in names.split():
            for d in ALL:
                for kind in ["0", "e", values, "t", "r"]:
                    if fn == "reciprocal" and d in INTS and kind not in "0e":
                        continue  # 1/0 of integers is what the machine gives
                    if fn == "nan_to_num" and d == "bfloat16" and kind == values:
                        continue  # computed in float32, whose greatest number bfloat16 rounds to inf
                    part.add(fn, ref(d, kind))
    for d in INTS:
        part.add("reciprocal", ref(d, "q"))
    for d in ["bool", *INTS]:
        for fn in ["bitwise_not", "invert", "bitwise_count"]:
            for kind in ["0", "e", "s", "t"]:
                part.add(fn, ref(d, kind))
    for fn in ["bitwise_not", "iscomplexobj", "isrealobj", "ndim", "shape", "size", "copy"]:
        for d in SOME:
            part.add(fn, ref(d, "m"))
    for d in SOME:
        for decimals in [1, 2, -1]:
            part.add("round", ref(d, "s"), decimals)
            part.add("around", ref(d, "m"), decimals=decimals)
        part.add("angle", ref(d, "m"), deg=True)
        part.add("ndim", ref(d, "0"))
        part.add("size", ref(d, "x"), 1)
    part.add("nan_to_num", ref("float32", "s"), nan=0.5, posinf=2.5, neginf=-2.5)
    for dtype in ["float32", "float64", "int32", "complex64"]:
        for fn in ["sqrt", "negative", "exp"]:
            for d in ["int8", "int32", "float16", "float32"]:
                part.add(fn, ref(d, "q"), dtype=dtype)
    return part


def binary():
    part = Part("binary")
    for fn in BINARY:
        for d in ALL:
            both = [("0", "0"), ("v", "w"), ("m", "q"), ("c", "q"), ("t", "n"), ("r", "q"), ("e", "0"), ("m", "0")]
            if fn in ["power", "float_power", "left_shift", "right_shift"] and d in INTS:
                # Integer powers and shifts: exponents that NumPy accepts.
                exponent = own(f"{d}.exponent", np.array([0, 1, 2, 3, 2, 1]).astype(d))
                part.add(fn, ref(d, "v"), exponent)
                part.add(fn, ref(d, "t"), own(f"{d}.exponent4", np.array([0, 1, 2, 3]).astype(d)))
                continue
            if fn in ["floor_divide", "mod", "remainder", "fmod", "divmod", "gcd", "lcm", "divide"] and d in INTS:
                both.append(("s", "s"))
            if d in FLOATS and fn not in ["power", "float_power"]:
                both.append(("s", "s"))
            for a, b in both:
                part.add(fn, ref(d, a), ref(d, b))
    for d in FLOATS:
        # Every special value against every other.
        column = own(f"{d}.column", plain(ref(d, "s"))[:, None])
        for fn in ["add", "divide", "floor_divide", "mod", "fmod", "maximum", "minimum", "fmax", "arctan2", "less_equal", "copysign", "nextafter", "heaviside", "hypot"]:
            part.add(fn, column, ref(d, "s"))
        base = own(f"{d}.powbase", plain(own(f"{d}.powvalues", np.array([0.0, -0.0, 1, -1, 0.5, -2, 3.5, np.inf, -np.inf, np.nan], plain(ref(d, "s")).dtype)))[:, None])
        part.add("power", base, own(f"{d}.powers", np.array([0.0, 1, -1, 2, 3, -2, 0.5, -0.5, np.inf, -np.inf, np.nan], plain(ref(d, "s")).dtype)))
    for fn in ["add", "subtract", "multiply", "divide", "maximum", "less", "floor_divide", "hypot", "logical_and", "bitwise_or"]:
        for d in ALL:
            for e in ALL:
                if d != e:
                    part.add(fn, ref(d, "v"), ref(e, "w"))
    for fn in ["add", "multiply", "divide", "power", "maximum", "less", "equal", "floor_divide"]:
        for d in ALL:
            for number in [2, 1.5, True]:
                part.add(fn, ref(d, "w"), number)
                if not (fn == "power" and d in INTS and d[0] == "i"):
                    part.add(fn, number, ref(d, "w"))
            part.add(fn, ref(d, "w"), Bits(1.5 + 0.5j))
    # Plain integers outside a dtype: an error in arithmetic, a plain answer in comparisons.
    for d in INTS:
        for number in [300, -1, 70000, 2**33, Bits(2**63), Bits(2**64), Bits(-(2**63) - 1)]:
            part.add("add", ref(d, "w"), number)
            part.add("less", ref(d, "w"), number)
            part.add("equal", ref(d, "s"), number)
    for fn, a, b in [("add", 1, 2), ("divide", 1, 2), ("power", 2, 3), ("add", True, True), ("add", 1, 1.5), ("less", 1, 2), ("multiply", True, 2)]:
        part.add(fn, a, b)
    part.add("power", ref("int32", "w"), -1)
    part.add("power", ref("int64", "w"), ref("int64", "w"))
    for d in ["float32", "float64"]:
        x = own(f"{d}.near", np.array([1, 1 + 1e-6, 1e-9, np.nan, np.inf, -np.inf, 100], d))
        y = own(f"{d}.near2", np.array([1, 1, 0, np.nan, np.inf, np.inf, 100.1], d))
        for fn in ["isclose", "allclose"]:
            part.add(fn, x, y)
            part.add(fn, x, y, equal_nan=True)
            part.add(fn, x, y, rtol=0.01, atol=0.001)
        part.add("array_equal", x, x)
        part.add("array_equal", x, x, equal_nan=True)
        part.add("array_equal", x, ref(d, "v"))
        part.add("array_equal", ref(d, "m"), ref("int32", "v"))
    for a, b in [("v", "q"), ("m", "l"), ("x", "m"), ("h", "m")]:
        for fn in ["add", "less", "logical_and", "hypot", "isclose"]:
            part.add(fn, ref("float32", a), ref("float32", b))
    for d in ALL:
        part.add("clip", ref(d, "m"), 1, 5)
        part.add("clip", ref(d, "v"), ref(d, "0"), None)
        if d in FLOATS:
            part.add("clip", ref(d, "s"), -1.5, 2.5)
            part.add("clip", ref(d, "m"), None, 1.5)
    part.add("clip", ref("float32", "m"), ref("float32", "c"), ref("float32", "n"))
    for d in ["int32", "float32"]:
        for dtype in ["float32", "float64", "int64"]:
            part.add("add", ref(d, "m"), ref(d, "q"), dtype=dtype)
            part.add("divide", ref(d, "m"), ref(d, "q"), dtype=dtype)
    return part


def reduction():
    part = Part("reduction")
    names = "sum prod mean var std min max amin amax all any argmin argmax ptp count_nonzero nansum nanprod nanmean average".split()
    for fn in names:
        single = fn in ["argmin", "argmax"]
        for d in ALL:
            part.add(fn, ref(d, "x"))
            for axis in [0, -1, 1]:
                part.add(fn, ref(d, "x"), axis=axis)
            if not single:
                part.add(fn, ref(d, "x"), axis=(0, 2))
            part.add(fn, ref(d, "m"), axis=0, keepdims=True)
            part.add(fn, ref(d, "m"), keepdims=True)
            part.add(fn, ref(d, "t"), 1)
            part.add(fn, ref(d, "b"), axis=1)
            part.add(fn, ref(d, "r"))
            part.add(fn, ref(d, "0"))
            part.add(fn, ref(d, "e"))
            part.add(fn, ref(d, "e"), axis=0)
            part.add(fn, ref(d, "e"), axis=1)
            part.add(fn, ref(d, "z"), axis=(0, 2)) if not single else part.add(fn, ref(d, "z"), axis=2)
            part.add(fn, ref(d, "k"), axis=1)
            if d in FLOATS and fn not in ["var", "std", "prod", "nanprod", "sum", "mean", "average", "nansum", "nanmean"]:
                part.add(fn, ref(d, "s"))
        for axis in [2, -3, 5]:
            part.add(fn, ref("float32", "m"), axis=axis)
        if not single:
            part.add(fn, ref("float32", "m"), axis=(0, 0))
            part.add(fn, ref("float32", "x"), axis=())
    for d in ["float32", "float64"]:
        whole = own(f"{d}.nonfinite", np.array([[1, np.inf, 2], [np.nan, 1, 1], [np.inf, -np.inf, 0]], d))
        for fn in ["sum", "prod", "mean", "nansum", "nanmean", "nanprod", "max", "min", "var"]:
            part.add(fn, whole, axis=1)
    for fn in ["sum", "prod", "mean", "nansum", "nanprod", "nanmean"]:
        for d in ["bool", "int8", "uint8", "int32", "float16", "float32", "complex64"]:
            for dtype in ["int64", "float32", "float64", "complex128", "int8"]:
                if d == "complex64" and dtype != "complex128":
                    continue
                if fn == "mean" and dtype.startswith("int"):
                    continue
                if fn.startswith("nan") and d in FLOATS and dtype.startswith("int"):
                    continue  # NaN to integer
                part.add(fn, ref(d, "m"), axis=0, dtype=dtype)
    for fn in ["var", "std"]:
        for d in SOME:
            part.add(fn, ref(d, "m"), ddof=1)
            part.add(fn, ref(d, "m"), axis=1, ddof=1, keepdims=True)
        part.add(fn, ref("int32", "m"), axis=0, dtype="float32")
    for d in SOME:
        weights = own("float64.weights", np.array([0.5, 1.5, 2.5]))
        part.add("average", ref(d, "m"), 0, weights)
        part.add("average", ref(d, "m"), axis=0, weights=weights, returned=True)
        part.add("average", ref(d, "m"), weights=ref("float32", "n"))
    part.add("average", ref("float32", "m"), axis=1, weights=own("float64.zeros4", np.zeros(4)))
    for fn in ["cumsum", "cumprod", "nancumsum", "nancumprod"]:
        for d in ALL:
            part.add(fn, ref(d, "v"))
            part.add(fn, ref(d, "x"))
            for axis in [0, 1, -1]:
                part.add(fn, ref(d, "x"), axis=axis)
            part.add(fn, ref(d, "t"), axis=0)
            part.add(fn, ref(d, "r"))
            part.add(fn, ref(d, "e"), axis=0)
            part.add(fn, ref(d, "0"))
        part.add(fn, ref("int8", "v"), dtype="float32")
        part.add(fn, ref("float32", "m"), axis=1, dtype="float64")
        part.add(fn, ref("float32", "m"), axis=2)
    for d in ALL:
        part.add("diff", ref(d, "v"))
        part.add("diff", ref(d, "m"), axis=0)
        part.add("diff", ref(d, "t"), n=2)
        part.add("diff", ref(d, "m"), n=2, axis=1)
    part.add("diff", ref("float32", "m"), n=0)
    part.add("diff", ref("float32", "m"), prepend=0, append=1.5)
    part.add("diff", ref("float32", "m"), n=-1)
    part.add("diff", ref("float32", "0"))
    for fn in ["sum", "prod", "max", "min"]:
        part.add(fn, ref("float32", "m"), axis=0, initial=2.5)
        part.add(fn, ref("float32", "e"), axis=0, initial=2.5)
        part.add(fn, ref("int32", "m"), axis=1, initial=3, where=ref("bool", "m"))
    for fn in ["sum", "prod", "mean", "any", "all", "var", "std"]:
        part.add(fn, ref("float32", "m"), axis=1, where=ref("bool", "m"))
    return part


def creation():
    part = Part("creation")
    for fn in ["zeros", "ones"]:
        for shape in [[], [0], [3], [2, 3], [2, 0, 3]]:
            part.add(fn, shape)
        part.add(fn, 4)
        for d in ALL:
            part.add(fn, [2, 2], d)
            part.add(fn, [3], dtype=d)
        part.add(fn, [2, -1])
    for d in ALL:
        for kind in ["m", "0", "e"]:
            part.add("zeros_like", ref(d, kind))
            part.add("ones_like", ref(d, kind))
            part.add("full_like", ref(d, kind), 3)
        part.add("ones_like", ref(d, "m"), dtype="float32")
        part.add("zeros_like", ref(d, "m"), shape=[2, 5])
        part.add("full", [2, 2], 1, d)
        part.add("full", [2, 3], ref(d, "0"))
        part.add("eye", 3, dtype=d)
        part.add("arange", 5, dtype=d) if d not in ["bool"] else None
        part.add("tri", 3, 4, 1, dtype=d)
    for value in [7, 1.5, True, Bits(1 + 2j), Bits(float("nan"))]:
        part.add("full", [2, 2], value)
        part.add("full", [], value)
        part.add("array", value)
    part.add("full", [2, 3], ref("float32", "c"))
    part.add("full", [3, 2], ref("float32", "c"))
    part.add("full_like", ref("int32", "m"), 2.5)
    for args in [(3,), (3, 4), (2, 3, 1), (4, 3, -1), (0,), (3, 5, 9), (2, 2, -5)]:
        part.add("eye", *args)
        part.add("tri", *args)
    part.add("identity", 3)
    part.add("identity", 2, "int8")
    for args in [(5,), (2, 7), (1, 10, 3), (10, 1, -3), (5, 2), (0,), (-3, 3), (0.5, 5.5), (0, 1, 0.1), (1.5,), (10, 0, -2.5), (0.25, 3), (1, 2, 0.3)]:
        part.add("arange", *args)
        for d in ["int32", "float32", "float64"]:
            if not (d == "int32" and any(isinstance(a, float) for a in args)):
                part.add("arange", *args, dtype=d)
    part.add("arange", 1, 5, 0)
    part.add("arange", 3, step=2, using=lambda stop, step: np.arange(0, stop, step))
    for args in [(0, 1), (2, 5, 4), (1.5, -2.5, 7), (0, 10, 1), (0, 10, 0), (3, 3, 3), (-5, 5, 11)]:
        part.add("linspace", *args)
        if len(args) == 3:
            part.add("linspace", *args, endpoint=False)
            part.add("linspace", *args, retstep=True) if args[2] > 1 else None
            for d in ["float32", "int32", "complex64"]:
                part.add("linspace", *args, dtype=d)
    part.add("linspace", 0, 1, -1)
    part.add("linspace", Bits(1 + 1j), Bits(2 - 1j), 5)
    for d in ["float32", "float64", "int32", "float16", "complex64"]:
        part.add("linspace", ref(d, "q"), 10.5, 5)
        part.add("linspace", ref(d, "q"), ref(d, "c"), 4, axis=-1)
    for args in [(0, 3, 4), (1, 2, 5), (0.5, -1.5, 3)]:
        part.add("logspace", *args)
        part.add("logspace", *args, base=2)
        part.add("logspace", *args, endpoint=False)
        part.add("logspace", *args, dtype="float32")
    for args in [(1, 1000, 4), (1, 256, 9), (0.5, 20.5, 5), (-1, -1000, 4), (1000, 1, 4)]:
        part.add("geomspace", *args)
        part.add("geomspace", *args, endpoint=False)
        part.add("geomspace", *args, dtype="float32")
    part.add("geomspace", 0, 10, 3)
    for d in ALL:
        for k in [0, 1, -1, 5]:
            part.add("diag", ref(d, "q"), k)
            part.add("diag", ref(d, "m"), k)
            part.add("diagflat", ref(d, "m"), k) if k < 2 else None
            part.add("tril", ref(d, "m"), k)
            part.add("triu", ref(d, "x"), k)
        part.add("diagonal", ref(d, "x"), 0, 1, 2)
        part.add("diagonal", ref(d, "t"))
        part.add("trace", ref(d, "m"))
        part.add("trace", ref(d, "x"), 1, 0, 2)
        if d != "bfloat16":  # NumPy promotes with int64, for which bfloat16 has no rule
            part.add("vander", ref(d, "q"))
            part.add("vander", ref(d, "q"), 3, increasing=True)
    for d in ["int32", "float32"]:
        part.add("vander", ref(d, "q"), 0)
        part.add("diagonal", ref(d, "x"), 1)
        part.add("diagonal", ref(d, "x"), axis1=0, axis2=2, offset=-1)
        part.add("diagonal", ref(d, "q"))
        part.add("diagonal", ref(d, "x"), 0, 1, 1)
        part.add("diag", ref(d, "x"))
        part.add("trace", ref(d, "m"), dtype="float64")
        part.add("meshgrid", ref(d, "q"), ref(d, "v"))
        part.add("meshgrid", ref(d, "q"), ref(d, "v"), indexing="ij")
        part.add("meshgrid", ref(d, "q"), ref(d, "v"), sparse=True)
        part.add("meshgrid", ref(d, "q"), ref(d, "v"), ref(d, "r"), indexing="ij")
        part.add("meshgrid", ref(d, "q"))
    part.add("meshgrid", ref("int32", "q"), ref("int32", "v"), indexing="yx")
    part.add("diag_indices", 3)
    part.add("diag_indices", 2, 3)
    part.add("ix_", own("int64.rows", np.array([0, 2])), own("int64.columns", np.array([1, 3, 1])))
    part.add("ix_", own("int64.rows", np.array([0, 2])), ref("bool", "q"))
    part.add("ix_", ref("int64", "m"))
    lists = [[1, 2, 3], [1, 2.5], [True, False], [[1, 2], [3, 4]], [True, 2], [], [[], []], [[1.5], [2]], [[[1]]], [Bits(1 + 2j), 1], [Bits(2**62), 1]]
    for value in lists:
        part.add("array", value)
        part.add("asarray", value)
        for d in ["float32", "int8", "complex64", "bool", "bfloat16"]:
            if not (d == "int8" and any(isinstance(v, Bits) for v in value)) and not (d in ["float32", "bool", "bfloat16"] and any(isinstance(v, Bits) and isinstance(v.value, complex) for v in value)):
                part.add("array", value, dtype=d)
    for value in [[[1, 2], [3]], [1, [2]], [[1], 2], [[[1]], [2]]]:
        part.add("array", value)
    part.add("array", [300], dtype="int8")
    part.add("array", [Bits(2**63)], dtype="int64")
    part.add("array", [-1], dtype="uint8")
    for d in ALL:
        for e in ALL:
            # A cast of complex drops its imaginary part with a warning; floats stay inside the integers' range.
            kind = "v" if e[0] != "u" else "0"
            if not (e[0] == "u" and d[0] != "u" and d not in ["bool", *INTS]):
                part.add("astype", ref(d, kind), e, using=lambda x, t: x.astype(np_dtype(t)))
    for d in INTS:
        for e in INTS:
            part.add("astype", ref(d, "s"), e, using=lambda x, t: x.astype(t))
    for d in [*INTS, "float32", "float64"]:
        for e in FLOATS:
            part.add("astype", ref(d, "s"), e, using=lambda x, t: x.astype(np_dtype(t)))
    return part


def shape():
    part = Part("shape")
    for d in ALL:
        for kind in ["x", "b"]:
            for to in [[-1], [6, -1], [2, 1, -1]] if kind == "x" else [[-1], [3, 4], [4, -1]]:
                part.add("reshape", ref(d, kind), to)
            for fn in ["ravel", "transpose", "squeeze", "flip", "fliplr", "flipud", "atleast_1d", "atleast_2d", "atleast_3d"]:
                part.add(fn, ref(d, kind))
        part.add("transpose", ref(d, "x"), [2, 0, 1])
        part.add("reshape", ref(d, "t"), [2, 6])
        part.add("moveaxis", ref(d, "x"), 0, -1)
        part.add("swapaxes", ref(d, "x"), 0, 2)
        part.add("expand_dims", ref(d, "m"), 1)
        part.add("broadcast_to", ref(d, "q"), [3, 4])
        part.add("roll", ref(d, "t"), 2)
        part.add("roll", ref(d, "x"), 1, 2)
        part.add("rot90", ref(d, "m"))
        part.add("repeat", ref(d, "m"), 2)
        part.add("repeat", ref(d, "m"), 3, axis=0)
        part.add("tile", ref(d, "m"), [2, 1, 2])
        part.add("pad", ref(d, "m"), [[1, 2], [0, 1]])
        for pair in [[ref(d, "m"), ref(d, "t")], [ref(d, "h"), ref(d, "e")]]:
            for axis in [0, 1, -1]:
                part.add("concatenate", pair, axis)
        part.add("stack", [ref(d, "m"), ref(d, "t")], -1)
        part.add("append", ref(d, "m"), ref(d, "q"))
        part.add("split", ref(d, "m"), 2, 1)
        part.add("resize", ref(d, "m"), [2, 3])
        part.add("flatten", ref(d, "t"), using=lambda a: a.flatten())
        part.add("ascontiguousarray", ref(d, "t"))
        part.add("asanyarray", ref(d, "b"))
    for value in [1, 1.5, True, [1, 2], Bits(1 + 2j), ref("float32", "m"), None]:
        part.add("isscalar", value)
    f = [ref("float32", k) for k in ["m", "n", "x", "0", "q", "v", "e", "z", "t", "b"]]
    m, n, x, zero, q, v, e, z, t, b = f
    for shape_ in [[4, 3], [2, -1, 3], [12], [-1, 6], [5, 5], [-1, 5], [-1, -1], [1, 12, 1], [-2, 6]]:
        part.add("reshape", m, shape_)
        part.add("reshape", t, shape_)
        part.add("reshape", m, shape_, order="F")
    part.add("reshape", z, [0, 5])
    part.add("reshape", z, [-1, 5])
    part.add("reshape", z, [0, -1])
    part.add("reshape", zero, [1, 1])
    part.add("reshape", m, 12)
    part.add("ravel", m, order="F")
    for axes in [[0, 1, 2], [1, 0, 2], [-1, 0, 1], [0, 0, 1], [0, 1], [0, 1, 3]]:
        part.add("transpose", x, axes)
    for a, c in [(0, 2), (-1, 0), (0, 5), ([0, 1], [-1, -2]), ([0, 1], [0]), ([0, 0], [1, 2])]:
        part.add("moveaxis", x, a, c)
    for a, c in [(0, 1), (-1, -3), (0, 3), (1, 1)]:
        part.add("swapaxes", x, a, c)
    for a in [0, 2, -1, (0, 1), (0, -1), 4, (0, 0)]:
        part.add("expand_dims", m, a)
    one = own("float32.ones3", np.arange(3, dtype=np.float32).reshape(1, 3, 1))
    for a in [None, 0, 2, (0, 2), -1, 1, 3]:
        part.add("squeeze", one, a)
    for to in [[3, 4], [2, 3, 4], [4, 3], [4], [3, 1]]:
        part.add("broadcast_to", m, to)
    part.add("broadcast_to", zero, [2, 2])
    part.add("broadcast_to", e, [2, 0, 3])
    part.add("broadcast_to", 5, [2])
    part.add("broadcast_arrays", m, q, zero)
    part.add("broadcast_arrays", m, v)
    for fn in ["atleast_1d", "atleast_2d", "atleast_3d"]:
        for kind in [zero, q, m, x, e]:
            part.add(fn, kind)
        part.add(fn, zero, q)
    for a in [None, 0, -1, (0, 2), 3]:
        part.add("flip", x, a)
    for fn in ["fliplr", "flipud"]:
        part.add(fn, q)
        part.add(fn, zero)
        part.add(fn, m)
    for k in [0, 1, 2, 3, -1, 6]:
        part.add("rot90", m, k)
    part.add("rot90", x, 1, [1, 2])
    part.add("rot90", x, 1, [2, 0])
    part.add("rot90", q)
    part.add("rot90", x, 1, [1, 1])
    for args in [(1,), (-2,), (30,), (1, 0), (2, -1), ((1, 2), (0, 1)), (1, (0, 1)), ((1, 1), (0, 0)), (1, 5)]:
        part.add("roll", m, *args)
    part.add("roll", e, 1)
    for args in [(0,), (3,), ([1, 2, 3], 0), ([0, 1, 0, 2], 1), ([1, 2], 0), (-1,), ([2], 1)]:
        part.add("repeat", m, *args)
    part.add("repeat", zero, 3)
    for reps in [2, [2, 2], [1, 2, 3], [0, 1], []]:
        part.add("tile", m, reps)
        part.add("tile", zero, reps)
    for width in [1, [1, 2], [[1, 2], [3, 0]], [[0, 0], [0, 0]], [[1]]]:
        part.add("pad", m, width)
        for mode in ["edge", "reflect", "symmetric", "wrap"]:
            part.add("pad", m, width, mode)
    part.add("pad", m, [[-1, 0], [0, 0]])
    part.add("pad", m, 1, "constant", constant_values=2.5)
    part.add("pad", m, 1, constant_values=[[1, 2], [3, 4]])
    part.add("pad", m, [[5, 0], [0, 6]], "reflect")
    part.add("pad", m, [[5, 0], [0, 6]], "symmetric")
    part.add("pad", m, 1, "nonsense")
    part.add("pad", ref("int32", "v"), 2, "edge")
    part.add("pad", ref("int32", "v"), [2, 3], "reflect")
    return part


def joining():
    part = Part("joining")
    m, n, x, zero, q, v, e, t = (ref("float32", k) for k in ["m", "n", "x", "0", "q", "v", "e", "t"])
    for fn in ["hstack", "vstack", "dstack"]:
        for arrays in [[m, n], [q, q], [zero, zero], [x, x], [m], [m, t, n], [m, q], [q, v]]:
            part.add(fn, arrays)
    for arrays in [[m, n], [q, q, q], [zero, zero], [x], [m, q], []]:
        for axis in [0, 1, -1, 3]:
            part.add("stack", arrays, axis)
            part.add("stack", arrays, axis=axis)
            part.add("concatenate", arrays, axis)
    part.add("concatenate", [m, n, q])
    part.add("concatenate", [m, n], None)
    part.add("concatenate", [m, q], None)
    part.add("concatenate", [zero, zero])
    part.add("concatenate", [q, own("float32.empty", np.zeros(0, np.float32))])
    part.add("concatenate", [m, n], dtype="float64")
    part.add("concatenate", [m, ref("int64", "n")], 1, dtype="float32")
    for a in ALL:
        for b in ALL:
            if a != b:
                part.add("concatenate", [ref(a, "q"), ref(b, "v")])
                part.add("where", ref("bool", "q"), ref(a, "q"), ref(b, "c"))
    for axis in [None, 0, 1]:
        part.add("append", m, n, axis)
        part.add("append", m, q, axis)
    part.add("append", ref("int32", "q"), [1.5, 2.5])
    for arg in [2, 3, 4, 5, [1, 2], [1, 3, 10], [2, 1], [-1], [], 0]:
        for axis in [0, 1]:
            part.add("split", m, arg, axis)
            part.add("array_split", m, arg, axis)
    part.add("split", m, 2, 3)
    for fn in ["hsplit", "vsplit", "dsplit"]:
        for array in [q, m, x, zero]:
            part.add(fn, array, 2)
            part.add(fn, array, [1])
    part.add("unstack", x, using=lambda a: np.unstack(a))
    part.add("unstack", x, axis=1)
    return part


def products():
    part = Part("products")
    for d in ALL:
        for a, b in [("m", "t"), ("m", "g"), ("t", "g"), ("h", "h"), ("x", "y"), ("m", "q"), ("h", "m"), ("q", "q"), ("v", "v"), ("e", "h"), ("x", "g"), ("b", "b"), ("0", "0"), ("0", "m")]:
            for fn in ["matmul", "dot"]:
                part.add(fn, ref(d, a), ref(d, b))
        for a, b in [("v", "w"), ("m", "n"), ("m", "g"), ("v", "q")]:
            part.add("vdot", ref(d, a), ref(d, b))
            part.add("inner", ref(d, a), ref(d, b))
            part.add("outer", ref(d, a), ref(d, b))
        part.add("inner", ref(d, "x"), ref(d, "q"))
        part.add("inner", ref(d, "0"), ref(d, "m"))
        part.add("kron", ref(d, "m"), ref(d, "c"))
        part.add("kron", ref(d, "q"), ref(d, "m"))
        part.add("tensordot", ref(d, "x"), ref(d, "y"), 1)
        part.add("tensordot", ref(d, "x"), ref(d, "y"), [[1, 2], [2, 1]])
        part.add("tensordot", ref(d, "m"), ref(d, "n"))
        part.add("tensordot", ref(d, "q"), ref(d, "v"), 0)
        for spec, args in [("ij,jk->ik", ["m", "g"]), ("ii->i", ["h"]), ("ii", ["h"]), ("ij->ji", ["m"]), ("ij,ij->", ["m", "n"]), ("bij,bjk->bik", ["x", "y"])]:
            part.add("einsum", spec, *(ref(d, a) for a in args))
        part.add("cross", ref(d, "h"), ref(d, "h"))
        part.add("cross", ref(d, "h"), own(f"{d}.three", plain(ref(d, "q"))[:3]))
    for fn in ["matmul", "dot", "outer", "kron", "inner"]:
        for a, b in [("int32", "float32"), ("float32", "float64"), ("bool", "int8"), ("float32", "complex64"), ("uint8", "int8"), ("float16", "int64")]:
            part.add(fn, ref(a, "h"), ref(b, "h"))
    f = {k: ref("float32", k) for k in "0vwmnqxyghtc"}
    for a, b in [("0", "m"), ("m", "0"), ("q", "g"), ("v", "m"), ("m", "m"), ("x", "m"), ("x", "x"), ("m", "v")]:
        for fn in ["matmul", "dot", "inner"]:
            part.add(fn, f[a], f[b])
    part.add("matmul", f["m"], 2)
    part.add("dot", f["m"], 2)
    part.add("tensordot", f["x"], f["y"], [[2, 1], [1, 2]])
    part.add("tensordot", f["x"], f["x"], 3)
    part.add("tensordot", f["x"], f["m"], 1)
    part.add("tensordot", f["x"], f["x"], [[0], [0]])
    part.add("tensordot", f["x"], f["x"], [[-1], [-1]])
    part.add("tensordot", f["x"], f["x"], [[0, 1], [0]])
    part.add("tensordot", f["x"], f["x"], 4)
    specs = [
        ("ij,jk", ["m", "g"]), ("ij,kj->ik", ["m", "n"]), ("i,i", ["v", "w"]), ("i,j->ij", ["q", "v"]), ("ij->", ["m"]), ("ij->j", ["m"]),
        ("ijk->kji", ["x"]), ("ijk,ilj->ikl", ["x", "y"]), ("...ij,...jk->...ik", ["x", "g"]), ("i...->...i", ["x"]), ("...", ["m"]),
        ("ij,jk,kl->il", ["m", "g", "h"]), ("ij,j->i", ["m", "q"]), (",ij->ij", ["0", "m"]), ("ij, jk -> ik", ["m", "g"]), ("ba", ["m"]),
        ("iij->j", ["sq"]), ("ij,ji->", ["m", "g"]), ("bij,bkj->bik", ["x", "x"]), ("...a,...a->...", ["x", "x"]), ("aab,b->ab", ["sq", "q"]),
        ("ij,jk->ki", ["m", "g"]), ("i,j,k->ijk", ["q", "q", "v"]), ("ij,ij->ij", ["m", "n"]), ("i,ij,j->", ["three", "m", "q"]),
    ]
    f["sq"] = own("float32.sq", np.arange(36, dtype=np.float32).reshape(3, 3, 4) - 11)
    f["three"] = own("float32.three", np.asarray(plain(f["q"]))[:3])
    for spec, args in specs:
        part.add("einsum", spec, *(f[a] for a in args))
    for spec, args in [("ij,jk", ["m", "m"]), ("ij", ["x"]), ("ij->kk", ["m"]), ("ij->ijk", ["m"]), ("ij,jk", ["m"]), ("i1", ["m"]), ("ii", ["m"]), ("i->ii", ["v"])]:
        part.add("einsum", spec, *(f[a] for a in args))
    part.add("cross", own("float32.two", np.array([[1.5, 2], [3, -1]], np.float32)), own("float32.two", np.array([[1.5, 2], [3, -1]], np.float32)))
    part.add("cross", f["m"], f["m"])
    part.add("cross", f["g"], f["three"])
    part.add("cross", f["t"], f["t"], axis=0)
    for d in ["int32", "float32", "float64", "complex64"]:
        part.add("polyval", ref(d, "q"), ref(d, "m"))
        part.add("polyval", ref(d, "q"), 2)
    part.add("polyval", [1, 2, 3], ref("float32", "q"))
    return part


def searching():
    part = Part("searching")
    stable = {"hidden": {"kind": "stable"}}
    for d in ALL:
        for kind in ["k", "x", "t", "r", "e"]:
            part.add("sort", ref(d, kind))
            part.add("argsort", ref(d, kind), **stable)
        for axis in [0, 1, None]:
            part.add("sort", ref(d, "k"), axis)
            part.add("argsort", ref(d, "k"), axis=axis, **stable)
        part.add("sort", ref(d, "0"))
        for kind in ["m", "k", "x", "r", "e", "t"]:
            part.add("nonzero", ref(d, kind))
            part.add("where", ref(d, kind))
        part.add("nonzero", ref(d, "0"))
        part.add("flatnonzero", ref(d, "k"))
        part.add("argwhere", ref(d, "k"))
        for kind, axis in [("m", None), ("m", 0), ("x", 1), ("t", -1)]:
            part.add("take", ref(d, kind), [0, 2, -1, 1], axis)
        part.add("take", ref(d, "m"), own("int64.grid", np.array([[0, 1], [2, 0]])), 1)
        part.add("take", ref(d, "m"), 1, 0)
        part.add("compress", ref("bool", "q"), ref(d, "m"), 1)
        part.add("extract", ref("bool", "m"), ref(d, "m"))
        part.add("where", ref("bool", "m"), ref(d, "m"), ref(d, "q"))
        part.add("where", ref("bool", "t"), ref(d, "0"), ref(d, "t"))
        part.add("where", ref("bool", "m"), ref(d, "m"), 1)
        part.add("where", ref("bool", "m"), 1.5, ref(d, "m"))
        part.add("where", ref(d, "m"), 1, 0)
        part.add("select", [ref("bool", "m"), ref("bool", "t")], [ref(d, "m"), ref(d, "n")])
        part.add("select", [ref("bool", "m")], [ref(d, "m")], 1)
        part.add("take_along_axis", ref(d, "m"), own("int64.along", np.array([[0, 3], [1, -1], [2, 2]])), 1)
        values = plain(ref(d, "l"))
        edges = own(f"{d}.sorted", np.sort(values.astype("float32")).astype(values.dtype) if d == "bfloat16" else np.sort(values))
        part.add("searchsorted", edges, ref(d, "m"))
        part.add("searchsorted", edges, ref(d, "v"), "right")
    f = ref("float32", "m")
    for mode in ["raise", "wrap", "clip"]:
        for indices in [[0, 5], [-7, 1], [11, -12], [3, 100]]:
            part.add("take", f, indices, mode=mode)
            part.add("take", f, indices, 1, mode=mode)
    part.add("take", f, own("float64.half", np.array([0.5])))
    part.add("take", f, [0], 2)
    part.add("take", ref("float32", "e"), [0], 0)
    part.add("take", ref("float32", "e"), own("int64.none", np.zeros(0, np.int64)), 0)
    part.add("take_along_axis", f, own("int64.far", np.array([[4], [0], [0]])), 1)
    part.add("take_along_axis", f, ref("int64", "q"), 1)
    edges = own("float64.edges", np.array([-np.inf, 0, 0, 1.5, np.inf, np.nan]))
    probes = own("float64.probes", np.array([np.nan, -np.inf, 0, 1, np.inf]))
    part.add("searchsorted", edges, probes)
    part.add("searchsorted", edges, probes, side="right")
    part.add("searchsorted", own("int64.edges", np.array([1, 2, 3])), 2)
    part.add("searchsorted", own("int64.edges", np.array([1, 2, 3])), 1.5)
    part.add("searchsorted", f, 1.5)
    part.add("searchsorted", ref("float32", "v"), ref("float32", "q"), sorter=own("int64.sorter", np.argsort(plain(ref("float32", "v")), kind="stable")))
    part.add("where", f, f)
    part.add("where", ref("bool", "m"), ref("float32", "v"), 0)
    part.add("sort", f, 2)
    part.add("argsort", f, axis=-3, **stable)
    part.add("compress", [True, False, True], f, 0)
    part.add("compress", [True, False, True], f)
    part.add("compress", [True, False, True, True, True], f, 0)
    part.add("select", [ref("bool", "m")], [f, f])
    part.add("extract", ref("bool", "q"), f)
    return part


def edges():
    """Corners that random programs against NumPy found (tests/fuzz_numpy)."""
    part = Part("edges")
    for fn in "sum prod max min ptp any all nansum nanmax count_nonzero mean var median argmax nanargmin cumsum nancumprod argsort sort squeeze".split():
        for axis in [0, -1, 1]:
            part.add(fn, ref("float64", "0"), axis=axis)
    part.add("sum", ref("int32", "0"), axis=0, keepdims=True)
    part.add("argmax", ref("int32", "0"), axis=0, keepdims=True)
    part.add("repeat", ref("int32", "0"), 2, axis=0)
    part.add("take", ref("int32", "0"), [0, 0], axis=-1)
    part.add("compress", [True], ref("int32", "0"), axis=0)
    part.add("delete", ref("int32", "0"), 0, axis=0)
    part.add("roll", ref("int32", "m"), 5, axis=())
    part.add("roll", ref("int32", "m"), [1, 2], axis=())
    for d in ["bool", "uint8", "int32", "float16", "float32"]:
        for initial in [0, 3, 2.5, 300, -1, Bits(1 + 1j)]:
            part.add("max", ref(d, "m"), initial=initial)
            part.add("min", ref(d, "e"), axis=0, initial=initial)
    for d in ["bool", "uint16", "int32", "int64", "float16", "float32", "float64"]:
        for q in [0, 1, 0.5, [0.25, 0.75], [0, 1]]:
            for method in ["linear", "lower", "higher", "nearest", "midpoint"]:
                part.add("quantile", ref(d, "w"), q, method=method)
        # Not [0, 1]: of these integers NumPy reads the last element for 0 in three methods.
        for q in [0, 1, 0.5, 0.3, [0.1, 0.25, 0.75, 0.95], [0, 0.5, 1], [1 / 12, 0.5 / 12, 3 / 12, 11 / 12]]:
            for method in ["inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased", "normal_unbiased"]:
                part.add("quantile", ref(d, "w"), q, method=method)
        part.add("percentile", ref(d, "w"), 50)
        part.add("percentile", ref(d, "w"), [25, 75])
        part.add("median", ref(d, "m"), axis=1)
    for q in [-0.5, 1.5, [0.5, 2], Bits(float("nan"))]:
        part.add("quantile", ref("float32", "w"), q)
    for args, d in [((-5, 3), "uint16"), ((250, 260), "uint8"), ((255, 260), "uint8"), ((300, 300), "uint8"), ((127, 130), "int8"), ((-1.5, 2), "int8"), ((-1.5, 2), "uint8"), ((3, -1, -1), "uint8")]:
        part.add("arange", *args, dtype=d)
    part.add("full", 3, own("float64.row3", np.array([[1.0, 2, 3]])))
    part.add("full", [], own("float64.one2", np.array([[1.5]])))
    part.add("full", [], ref("int32", "q"))
    for n in [0, 1, 3]:
        for fn in ["tril_indices", "triu_indices"]:
            part.add(fn, n)
            part.add(fn, n, k=1)
            part.add(fn, n, k=-1, m=4)
            part.add(fn, n, -1, 2)
        part.add("diag_indices", n, ndim=3)
    flags = own("bool.flags", np.array([[False, True], [False, False], [False, True]]))
    part.add("pad", flags, 1, mode="mean")
    part.add("searchsorted", own("float32.tenth", np.array([0.1], np.float32)), 0.1)
    part.add("searchsorted", own("uint64.rising", np.array([1, 5, 9], np.uint64)), -1)
    part.add("searchsorted", own("float32.none", np.zeros(0, np.float32)), ref("float64", "m"))
    part.add("lcm", own("int32.most", np.array([2**31 - 1, -4, 6], np.int32)), -2)
    part.add("power", own("bool.none", np.zeros(0, bool)), -2)
    for fn in ["logical_and", "logical_or", "logical_xor"]:
        for number in [-1, 300, 0, 1.5, Bits(float("nan")), True]:
            part.add(fn, ref("uint8", "m"), number)
    part.add("nanargmax", ref("float64", "e"), axis=0)
    missing = own("float64.missing", np.array([[np.nan, 1, np.nan], [np.nan] * 3]))
    for fn in ["nanargmax", "nanargmin"]:
        for axis in [None, 0, 1]:
            part.add(fn, missing, axis=axis)
    part.add("nanargmin", own("complex64.missing", np.full(2, np.nan, np.complex64)))
    part.add("add", ref("bool", "m"), 100, dtype="uint16")
    part.add("multiply", -1, ref("bool", "m"), dtype="uint16")
    ten = own("float16.ten", np.array(10, np.float16))
    for dtype in ["float16", "float32", "int8"]:
        eighths = own(f"{dtype}.eighths", (np.array([-5, 1, 16, 24]) / 8).astype(dtype))
        for q in [10, 30, 80, [10], ten]:
            part.add("percentile", eighths, q)
    for dtype in ["bool", "float32", "int8"]:
        for fn in ["isnan", "isfinite", "signbit", "logical_not"]:
            part.add(fn, ref("float32", "s"), dtype=dtype)
        for fn in ["logical_and", "equal", "less"]:
            part.add(fn, ref("float32", "s"), ref("float32", "s"), dtype=dtype)
    huge = own("uint64.huge", np.array([2**63 + 1, 2**53 + 1], np.uint64))
    for fn in ["array_equal", "array_equiv"]:
        part.add(fn, ref("uint8", "m"), -1)
        part.add(fn, huge, own("int64.near", np.array([2**53, 2**53 + 1])))
        part.add(fn, own("uint64.close", np.array([2**53 + 1], np.uint64)), own("int64.close", np.array([2**53])))
    for mode in ["mean", "linear_ramp", "maximum", "minimum"]:
        part.add("pad", ref("bool", "q"), 2, mode=mode)
    nothing = own("float32.nothing", np.zeros((4, 0, 0), np.float32))
    for fn in ["max", "ptp", "nanmin", "argmax", "sum"]:
        part.add(fn, nothing, axis=1)
        part.add(fn, nothing, axis=0)
    return part


PARTS = [unary, binary, reduction, creation, shape, joining, products, searching, edges]
