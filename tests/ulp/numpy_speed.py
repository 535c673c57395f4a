"""Nanoseconds an element of NumPy's functions: a line for each, name, float32, float64."""

import time

import numpy as np

COUNT = 16384
RANGES = {
    "exp": (-20, 20), "exp2": (-20, 20), "expm1": (-20, 20), "log": (0.01, 50), "log2": (0.01, 50), "log10": (0.01, 50),
    "log1p": (-0.9, 50), "sin": (-20, 20), "cos": (-20, 20), "tan": (-20, 20), "asin": (-1, 1), "acos": (-1, 1),
    "atan": (-20, 20), "sinh": (-20, 20), "cosh": (-20, 20), "tanh": (-5, 5), "asinh": (-20, 20), "acosh": (1, 20),
    "atanh": (-1, 1), "cbrt": (-20, 20), "pow": (0.01, 20), "atan2": (-5, 5), "hypot": (-5, 5),
}
random = np.random.default_rng(1)
for name, (low, high) in RANGES.items():
    line = [name]
    for dtype in (np.float32, np.float64):
        x = random.uniform(low, high, COUNT).astype(dtype)
        z = random.uniform(-5, 5, COUNT).astype(dtype)
        f, out = getattr(np, name), np.empty_like(x)
        args = (x, z) if f.nin == 2 else (x,)
        best = float("inf")
        for _ in range(40):
            start = time.perf_counter_ns()
            f(*args, out=out)
            best = min(best, time.perf_counter_ns() - start)
        line.append(f"{best / COUNT:.3f}")
    print(*line)
