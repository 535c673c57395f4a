"""Printing and promotion: what display and promote are checked against."""

import json

import ml_dtypes
import numpy as np
from record import ALL, COMPLEX, FLOATS, HERE, INTS, moderate, np_dtype, specials, write_array


class Printing:
    name = "printing"

    def __init__(self):
        self.records = []

    def add(self, array, **options):
        array = np.asarray(array)
        with np.printoptions(**options):
            record = {"x": write_array(array), "r": repr(array), "t": str(array)}
        if options:
            record["o"] = options
        self.records.append(record)

    def save(self):
        lines = [json.dumps(record, separators=(",", ":")) for record in self.records]
        (HERE / f"{self.name}.jsonl").write_text("\n".join(lines) + "\n")
        return len(lines)


def printing():
    part = Printing()
    rng = np.random.default_rng(7)
    for d in ALL:
        if d == "bfloat16":
            continue  # ml_dtypes prints elements by its own rule
        for shape in [(), (0,), (3,), (2, 3), (2, 2, 3), (0, 3), (2, 0, 2), (1, 1), (1, 1, 1, 2), (40,), (3, 30)]:
            part.add(moderate(d, shape, 21))
        part.add(specials(d))
        part.add(specials(d)[:4])
        part.add(specials(d).reshape(-1, 1))
        for shape in [(1001,), (1200,), (40, 40), (2, 3, 300), (1001, 2), (7, 12, 13)]:
            part.add(np.resize(moderate(d, (97,), 22), shape))
        part.add(np.resize(specials(d), (1100,)))
        part.add(moderate(d, (20, 20), 23), threshold=100)
        part.add(moderate(d, (20, 20), 23), threshold=100, edgeitems=2)
        part.add(moderate(d, (25,), 24), linewidth=40)
    for d in ["float16", "float32", "float64"]:
        for exponent in [-300, -30, -12, -8, -5, -4, -3, -1, 0, 1, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 30, 300]:
            values = np.array([1.2345678901234567, -9.87654321, 0.5]) * 10.0**exponent
            with np.errstate(all="ignore"):
                part.add(values.astype(d))
                part.add(values.astype(d)[0])
                part.add(np.array([0, 1, *values]).astype(d))
        for _ in range(60):
            spread = float(rng.integers(0, 12))
            values = rng.standard_normal(5) * 10.0 ** rng.uniform(-spread, spread, 5)
            part.add(values.astype(d))
        for _ in range(15):
            part.add(rng.standard_normal((2, 4)).astype(d))
            part.add(rng.standard_normal(()).astype(d))
        for values in [[1e8, 1], [1e8 + 0.5, 1], [1e16, 1], [1e15, 1.5], [1e-4, 1], [1e-5, 1], [0.1, 0.25], [1, 2, 3], [1e100, 1e-100], [np.nan, 1e10], [np.inf, -1.5], [np.nan], [-0.0, 0.0], [0.1 + 0.2], [1 / 3, 2 / 3], [1e-10, 1e-10], [123456789.123], [0.001, 1000], [9999.9999, 0.00011], [999999999.5], [1e7, 12345.678]]:
            with np.errstate(all="ignore"):
                array = np.array(values).astype(d)
            part.add(array)
            part.add(array[0])
            for options in [{"precision": 3}, {"precision": 0}, {"precision": 12}, {"suppress": True}, {"suppress": True, "precision": 4}]:
                part.add(array, **options)
            for options in [{"sign": "+"}, {"sign": " "}, {"floatmode": "fixed", "precision": 4}, {"floatmode": "unique"}, {"floatmode": "maxprec_equal"}, {"nanstr": "NA", "infstr": "oo"}]:
                part.add(array, **options)
        for values in [[1e-5, 123456.789, 1e4], [1e-4, 1e15, 1e8 + 16], [9.9999997e-6, 1.2345]]:
            with np.errstate(all="ignore"):
                part.add(np.array(values).astype(d))
        for value in [np.nan, -np.inf]:
            part.add(np.array(value).astype(d), nanstr="NA", infstr="oo")
    for d in COMPLEX:
        for _ in range(40):
            spread = float(rng.integers(0, 10))
            re, im = (rng.standard_normal(3) * 10.0 ** rng.uniform(-spread, spread, 3) for _ in range(2))
            part.add((re + 1j * im).astype(d))
        for values in [[1 + 2j], [1j], [0], [complex(np.nan, 1)], [complex(np.inf, -np.inf), 1.5 - 2j], [complex(1, np.nan), 1e10], [-1.5 - 0.25j, 1e-3j], [complex(0.0, -0.0)], [complex(-0.0, 0.0)]]:
            part.add(np.array(values, d))
            part.add(np.array(values, d)[0])
            part.add(np.array(values, d), precision=2)
            part.add(np.array(values, d), suppress=True)
    for values in [np.arange(5), np.arange(-5, 6), np.arange(2000), np.arange(1000), np.arange(100).reshape(10, 10) * 12345, np.array([2**63 - 1, -(2**63)]), np.eye(3), np.linspace(0, 1, 11), np.arange(12.0).reshape(3, 4) / 7, np.zeros((2, 2)), np.ones((5, 200))]:
        part.add(values)
        part.add(values, linewidth=120)
        part.add(values, linewidth=20)
        part.add(values, edgeitems=1, threshold=5)
    part.add(np.arange(10000).reshape(100, 100))
    part.add(np.arange(6000, dtype="float32").reshape(2, 3, 1000) / 3)
    return part


class Promotion:
    name = "promotion"

    def save(self):
        def attempt(call):
            try:
                return str(call())
            except Exception:  # noqa: BLE001 - there is no common dtype
                return None

        weak = {"i": 1, "f": 1.5, "c": 1j, "b": True}
        rng = np.random.default_rng(3)
        out = {
            "promote_types": [[attempt(lambda: np.promote_types(np_dtype(a), np_dtype(b))) for b in ALL] for a in ALL],
            "result_type_weak": {k: [attempt(lambda: np.result_type(np_dtype(a), v)) for a in ALL] for k, v in weak.items()},
            "result_type_many": [],
            "can_cast": {
                casting: ["".join("ny"[np.can_cast(np_dtype(a), np_dtype(b), casting)] for b in ALL) for a in ALL]
                for casting in ["no", "safe", "same_kind", "unsafe"]
            },
            "issubdtype": {
                kind: "".join("ny"[np.issubdtype(np_dtype(a), getattr(np, kind)) or (a == "bfloat16" and kind in ["generic", "number", "inexact", "floating"])] for a in ALL)
                for kind in ["generic", "number", "integer", "signedinteger", "unsignedinteger", "inexact", "floating", "complexfloating"]
            },
            "finfo": {},
            "iinfo": {},
            "dtypes": ALL,
        }
        real = [d for d in ALL if d != "bfloat16"]
        for _ in range(400):
            some = [str(d) for d in rng.choice(real, int(rng.integers(3, 6)))]
            plain = [k for k in "bifc" if rng.random() < 0.15]
            out["result_type_many"].append([some, plain, attempt(lambda: np.result_type(*some, *(weak[k] for k in plain)))])
        for d in FLOATS:
            info = ml_dtypes.finfo(np_dtype(d))
            names = "bits eps epsneg max min tiny smallest_normal smallest_subnormal resolution".split()
            counts = "precision nmant nexp maxexp minexp machep negep iexp".split()
            out["finfo"][d] = {**{n: float(getattr(info, n)) for n in names}, **{n: int(getattr(info, n)) for n in counts}}
        for d in INTS:
            info = np.iinfo(d)
            out["iinfo"][d] = {"bits": info.bits, "min": str(info.min), "max": str(info.max)}
        lines = [f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in out.items()]
        (HERE / "promotion.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        return len(lines)
