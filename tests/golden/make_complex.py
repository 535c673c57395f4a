"""Writes complex.json: complex functions of real NumPy on special values and random points, as base64 of complex128.

Run: python make_complex.py (NumPy >= 2.4).
"""

import base64
import json
import pathlib
import warnings

import numpy as np

warnings.simplefilter("ignore")

UNARY = {
    "sign": np.sign,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}
BINARY = {
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "fmin": np.fmin,
}


def text(a):
    return base64.b64encode(np.ascontiguousarray(a, np.complex128).tobytes()).decode()


def main():
    rng = np.random.default_rng(0)
    special = np.array([0.0, -0.0, 1.0, -2.0, 0.5, np.inf, -np.inf, np.nan, 30.0])
    grid = np.array([complex(a, b) for a in special for b in special])
    phase = np.exp(1j * rng.uniform(-np.pi, np.pi, 40))
    # Numbers of single precision, so that both precisions start from the same points.
    points = np.concatenate([grid, (phase * np.exp(rng.uniform(-2, 3, 40))).astype(np.complex64).astype(np.complex128)])
    few = np.array([complex(a, b) for a in special[[0, 2, 3, 7]] for b in special[[0, 1, 2, 7]]])
    x = np.concatenate([np.repeat(few, len(few)), points[-40:]])
    y = np.concatenate([np.tile(few, len(few)), points[-40:][::-1]])
    # Powers of what is not finite follow no rule worth keeping.
    fx, fy = (a[np.isfinite(x) & np.isfinite(y)] for a in (x, y))
    out = {"numpy": np.__version__, "points": text(points), "x": text(x), "y": text(y), "fx": text(fx), "fy": text(fy)}
    out["unary"] = {name: text(f(points)) for name, f in UNARY.items()}
    out["binary"] = {name: text(f(fx, fy) if name == "pow" else f(x, y)) for name, f in BINARY.items()}
    path = pathlib.Path(__file__).with_name("complex.json")
    path.write_text(json.dumps(out, indent=0) + "\n")


if __name__ == "__main__":
    main()
