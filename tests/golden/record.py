"""What every part of the golden set shares: the pool of inputs, how a call is recorded, how values are written."""

import base64
import json
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np

warnings.filterwarnings("ignore")
np.seterr(all="ignore")

HERE = Path(__file__).parent
BF16 = np.dtype(ml_dtypes.bfloat16)
INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "bfloat16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
ALL = ["bool", *INTS, *FLOATS, *COMPLEX]
SOME = ["bool", "int8", "int64", "uint8", "float16", "float32", "float64", "complex64"]
FEW = ["int32", "float32", "complex128"]


def np_dtype(name):
    return BF16 if name == "bfloat16" else np.dtype(name)


class Ref:
    """An input of the pool: written by its name, called with its array."""

    def __init__(self, name, array):
        self.name, self.array = name, array


class Bits:
    """A number that JSON cannot hold: a Python float or int written as text, or a complex one."""

    def __init__(self, value):
        self.value = value


pool = {}
views = {}


def seed_of(text):
    value = 0
    for letter in text:
        value = (value * 31 + ord(letter)) % 2**31
    return value


def moderate(dtype, shape, seed, nonzero=False):
    """Values around zero whose sums and products mean something in every dtype."""
    rng = np.random.default_rng(seed)
    kind = np_dtype(dtype).kind
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTS:
        low = 0 if kind == "u" else -9
        out = rng.integers(low, 10, shape)
        return np.where(out == 0, 3, out).astype(dtype) if nonzero else out.astype(dtype)
    if dtype in COMPLEX:
        return (rng.integers(-24, 25, shape) / 8 + 1j * rng.integers(-24, 25, shape) / 8 + (0.25 if nonzero else 0)).astype(dtype)
    out = rng.integers(-40, 41, shape) / 8
    return (np.where(out == 0, 1.5, out) if nonzero else out).astype(np_dtype(dtype))


def specials(dtype):
    if dtype == "bool":
        return np.array([True, False, True])
    if dtype in INTS:
        info = np.iinfo(dtype)
        values = [0, 1, 2, 7, 100, info.max, info.max - 1, info.min, info.min + 1]
        if info.min < 0:
            values += [-1, -2, -7, -100]
        return np.array(values, dtype)
    if dtype in COMPLEX:
        return moderate(dtype, (7,), 5)
    info = ml_dtypes.finfo(np_dtype(dtype))
    values = [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.7, -3.7, 100.25, 1e-3, -1e-3, np.inf, -np.inf, np.nan]
    values += [float(info.max), float(info.min), float(info.tiny), float(info.eps)]
    return np.array(values, np_dtype(dtype))


def unit(dtype):
    if dtype in FLOATS:
        return np.array([-1, -0.75, -0.5, -0.125, 0, 0.125, 0.625, 1, 1.5, -1.5, np.nan], np_dtype(dtype))
    return np.array([-1, 0, 1, 1, 0], dtype) if np_dtype(dtype).kind == "i" else np.array([0, 1, 1, 0], dtype)


def positive(dtype):
    if dtype in FLOATS:
        return np.array([0, 0.001, 0.25, 1, 1.5, 2, 10.5, 1000, np.inf, -1, np.nan], np_dtype(dtype))
    return np.array([0, 1, 2, 3, 10, 100], dtype) if dtype != "bool" else np.array([True, False])


def wave(dtype):
    if dtype in FLOATS:
        return np.array([0.0, -0.0, 0.1, -0.5, 0.75, 1, 1.5, -2, 3.1415, 5, -10.25, 30, -100.5, np.inf, -np.inf, np.nan], np_dtype(dtype))
    return moderate(dtype, (6,), 11)


def ties(dtype):
    out = moderate(dtype, (3, 6), 17)
    if dtype in FLOATS:
        out[1, 2] = out[2, 0] = np.nan
        out[0, 1], out[0, 3] = 0.0, 0.0
    return out


MAKERS = {
    "0": lambda d: moderate(d, (), 1, nonzero=True),
    "e": lambda d: np.zeros((0, 3), np_dtype(d)),
    "z": lambda d: np.zeros((2, 0, 3), np_dtype(d)),
    "v": lambda d: moderate(d, (6,), 2),
    "w": lambda d: moderate(d, (6,), 3, nonzero=True),
    "m": lambda d: moderate(d, (3, 4), 4),
    "n": lambda d: moderate(d, (3, 4), 5, nonzero=True),
    "c": lambda d: moderate(d, (3, 1), 6, nonzero=True),
    "q": lambda d: moderate(d, (4,), 7, nonzero=True),
    "x": lambda d: moderate(d, (2, 3, 4), 8),
    "y": lambda d: moderate(d, (2, 4, 3), 9),
    "g": lambda d: moderate(d, (4, 3), 10),
    "l": lambda d: moderate(d, (8,), 12),
    "h": lambda d: moderate(d, (3, 3), 13),
    "s": specials,
    "u": unit,
    "p": positive,
    "a": wave,
    "k": ties,
}
VIEWS = {
    "t": ("g", "T"),  # (3, 4), transposed
    "r": ("l", ["::-2"]),  # (4,), backwards with gaps
    "b": ("x", [":", "::-1", "1::2"]),  # (2, 3, 2)
}


def slice_of(text):
    parts = [int(p) if p else None for p in text.split(":")]
    return slice(*parts) if len(parts) > 1 else int(text)


def ref(dtype, kind):
    """The pool's input of a dtype and a class of shape or values."""
    name = f"{dtype}.{kind}"
    if kind in VIEWS:
        base, how = VIEWS[kind]
        array = ref(dtype, base).array
        views[name] = {"of": f"{dtype}.{base}", "at": how}
        return Ref(name, array.T if how == "T" else array[tuple(slice_of(h) for h in how)])
    if name not in pool:
        pool[name] = np.asarray(MAKERS[kind](dtype))
    return Ref(name, pool[name])


def own(name, array):
    """An input of its own, not of the classes above."""
    array = np.asarray(array)
    if name in pool:
        assert pool[name].dtype == array.dtype and pool[name].tobytes() == array.tobytes(), name
    pool[name] = array
    return Ref(name, array)


def plain(value):
    """The value a call is given."""
    if isinstance(value, Ref):
        return value.array
    if isinstance(value, Bits):
        return value.value
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


def write_arg(value):
    if isinstance(value, Ref):
        return {"$": value.name}
    if isinstance(value, Bits):
        v = value.value
        if isinstance(v, complex):
            return {"re": v.real, "im": v.imag}
        return {"big": str(v)} if isinstance(v, int) else {"num": repr(v)}
    if isinstance(value, (list, tuple)):
        return [write_arg(v) for v in value]
    assert value is None or isinstance(value, (bool, int, float, str)), value
    assert not (isinstance(value, float) and value.is_integer()), f"{value} would be an integer in JavaScript"
    return value


def write_array(array):
    array = np.asarray(array)
    name = str(array.dtype)
    assert name in ALL, f"no dtype {name}"
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"d": name, "s": list(array.shape), "b": data}


def write_out(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return write_array(value)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return {"v": str(np.dtype(value))}
    if isinstance(value, (list, tuple)):
        return [write_out(v) for v in value]
    assert value is None or isinstance(value, (bool, int, float, str)), type(value)
    return {"v": value}


def arrays_in(values):
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from arrays_in(value)


def widened(value):
    if isinstance(value, np.ndarray) and value.dtype == BF16:
        return value.astype(np.float32)
    if isinstance(value, (list, tuple)):
        return type(value)(widened(v) for v in value)
    return value


def narrowed(value):
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype == np.float32:
        return np.asarray(value).astype(BF16)
    if isinstance(value, (list, tuple)):
        return type(value)(narrowed(v) for v in value)
    return value


def call(fn, function, args, kwargs):
    """Calls NumPy. bfloat16 is computed in float32 and rounded once: ml_dtypes' own loops round at every step of a sum."""
    arrays = [a for a in arrays_in([*args, *kwargs.values()])]
    if all(a.dtype != BF16 for a in arrays) or fn in ("astype", "nextafter", "cross"):
        return function(*args, **kwargs)
    indexing = fn in ("take", "take_along_axis")
    common = arrays[0].dtype if indexing else np.result_type(*arrays)
    out = function(*(widened(a) for a in args), **{k: widened(v) for k, v in kwargs.items()})
    return narrowed(out) if common == BF16 and "dtype" not in kwargs else out


class Part:
    """One file of records."""

    def __init__(self, name):
        self.name, self.records, self.seen = name, [], set()

    def add(self, fn, *args, using=None, hidden=None, **kwargs):
        """Records a call of numpy's `fn`, or of `using` where NumPy spells it differently; `hidden` keywords go to NumPy only."""
        function = using if using is not None else getattr(np, fn)
        key = json.dumps([fn, write_arg(list(args)), {k: write_arg(v) for k, v in kwargs.items()}])
        if key in self.seen:
            return
        self.seen.add(key)
        record = {"f": fn, "a": write_arg(list(args))}
        if kwargs:
            record["k"] = {k: write_arg(v) for k, v in kwargs.items()}
        try:
            given = {k: plain(v) for k, v in kwargs.items()}
            if isinstance(given.get("dtype"), str):
                given["dtype"] = np_dtype(given["dtype"])
            out = call(fn, function, [plain(a) for a in args], {**given, **(hidden or {})})
            record["o"] = write_out(out)
        except Exception as error:  # noqa: BLE001 - that NumPy refuses is the result
            if isinstance(error, AssertionError):
                raise
            record["e"] = type(error).__name__.replace("UFuncTypeError", "TypeError").lstrip("_")
        self.records.append(record)

    def save(self):
        lines = [json.dumps(record, separators=(",", ":"), allow_nan=False) for record in self.records]
        (HERE / f"{self.name}.jsonl").write_text("\n".join(lines) + "\n")
        return len(lines)


def save_pool():
    out = {name: write_array(array) for name, array in sorted(pool.items())}
    out.update({name: view for name, view in sorted(views.items())})
    lines = [f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in out.items()]
    (HERE / "inputs.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
