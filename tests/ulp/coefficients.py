"""The coefficients of kernels/preamble/c_coefficients.ts: interpolation at Chebyshev nodes with 60 digits.

Needs mpmath and NumPy. Usage: python tests/ulp/coefficients.py > kernels/preamble/c_coefficients.ts
"""

import sys

import numpy as np
from mpmath import mp, mpf

mp.dps = 60


def chebyshev(f, low, high, count):
    """Coefficients, lowest power of x first, of the polynomial that meets f at `count` Chebyshev nodes of [low, high]."""
    low, high = mpf(low), mpf(high)
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    table = [f(x) for x in nodes]
    for j in range(1, count):
        for i in range(count - 1, j - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (nodes[i] - nodes[i - j])
    out = [mpf(0)] * count
    for i in range(count - 1, -1, -1):
        shifted = [mpf(0)] + out[:-1]
        out = [s - nodes[i] * c for s, c in zip(shifted, out)]
        out[0] += table[i]
    return out


def error(f, c, low, high, scale=lambda x: 1):
    """The largest |p - f| * scale over the interval, as a power of two."""
    worst = mpf(0)
    for i in range(400):
        x = mpf(low) + (mpf(high) - mpf(low)) * (i + mpf("0.5")) / 400
        worst = max(worst, abs((mp.polyval(c[::-1], x) - f(x)) * scale(x)))
    return float(mp.log(worst, 2))


def atanh_ratio(z):
    """(2 atanh(s) / s - 2) / z with z = s^2."""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def erfcx(t, c):
    """(1 + 2 x) exp(x^2) erfc(x) with t = (x - c) / (x + c)."""
    x = c * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def mapped(x, c):
    return (mpf(x) - c) / (mpf(x) + c)


def log_rest(base):
    """What is left of a logarithm of 1 + f behind the term of f; `base` is the natural logarithm of its base."""
    return lambda f: (mp.log1p(f) / f - 1) / f / base


cbrt_top = mpf("0.1023")
log_ends = (1 / mpf(2).sqrt() - 1, mpf(2).sqrt() - 1)
half = mp.log(2) / 2 + mpf("0.001")
quarter = (mp.pi / 4 + mpf("0.02")) ** 2
log_top = (mpf(2).sqrt() - 1) ** 2 / (mpf(2).sqrt() + 1) ** 2 * mpf("1.001")
atan_top = (mpf(2).sqrt() - 1) ** 2 * mpf("1.001")

# name: (what, function, interval, coefficients for float32, for float64, weight of the error relative to the result)
fits = {
    "exp": (
        "`(exp(r) - 1 - r) / r^2`, |r| <= log(2) / 2",
        lambda r: (mp.exp(r) - 1 - r) / r**2, -half, half * mpf("1.0001"), 5, 10, lambda r: r**2,
    ),
    "exp2": ("`(2^r - 1) / r`, |r| <= 1/2", lambda r: (2**r - 1) / r, -0.5, mpf("0.5002"), 7, 11, lambda r: r),
    "log": (
        "`(2 atanh(s) / s - 2) / s^2` in s^2, for log between sqrt(1/2) and sqrt(2)",
        atanh_ratio, mpf(10) ** -20, log_top, 0, 7, lambda z: z,
    ),
    "log1": ("`(log(1 + f) - f) / f^2`, 1 + f between sqrt(1/2) and sqrt(2)", log_rest(1), *log_ends, 9, 0, lambda f: f),
    "log2": ("The same for log2", log_rest(mp.log(2)), *log_ends, 9, 0, lambda f: f),
    "log10": ("The same for log10", log_rest(mp.log(10)), *log_ends, 9, 0, lambda f: f),
    "logTail": (
        "`((2 atanh(s) / s - 2) / s^2 - 2/3) / s^2` in s^2",
        lambda z: (atanh_ratio(z) - mpf(2) / 3) / z, mpf(10) ** -12, log_top, 0, 8, lambda z: z * z,
    ),
    "log32": (
        "The same for powers of float32",
        atanh_ratio, mpf(10) ** -20, log_top, 0, 5, lambda z: z,
    ),
    "exp232": (
        "`(2^r - 1) / r`, |r| <= 1/2, for powers of float32",
        lambda r: (2**r - 1) / r, -0.5, mpf("0.5002"), 0, 7, lambda r: r,
    ),
    "sin": (
        "`(sin(r) - r) / r^3` in r^2, |r| <= pi/4",
        lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(10) ** -20, quarter, 3, 6, lambda z: z,
    ),
    "cos": (
        "`(cos(r) - 1 + r^2 / 2) / r^4` in r^2, |r| <= pi/4",
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mpf(10) ** -12, quarter, 3, 6, lambda z: z * z,
    ),
    "asin": (
        "`(asin(x) - x) / x^3` in x^2, x^2 <= 1/4",
        lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(10) ** -20, mpf("0.2501"), 5, 13, lambda z: z,
    ),
    "atan": (
        "`(atan(x) - x) / x^3` in x^2, x <= tan(pi/8)",
        lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mpf(10) ** -20, atan_top, 5, 11, lambda z: z,
    ),
    "erf": (
        "`erf(x) / x - 1` in x^2, x <= 1",
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, mpf(10) ** -20, mpf("1.001"), 7, 12, lambda z: 1,
    ),
    "cbrt": (
        "`((1 - d)^(-2/3) - 1) / d`, |d| <= 0.1023",
        lambda d: ((1 - d) ** (-mpf(2) / 3) - 1) / d, -cbrt_top, cbrt_top * mpf("1.0001"), 4, 6, lambda d: d,
    ),
    "erfc32": (
        "`(1 + 2 x) exp(x^2) erfc(x)` in t = (x - 2) / (x + 2), 1/2 <= x <= 10.2",
        lambda t: erfcx(t, 2), mapped("0.49", 2), mapped("10.2", 2), 11, 0, lambda z: 1,
    ),
    "erfc64": (
        "`(1 + 2 x) exp(x^2) erfc(x)` in t = (x - 15/4) / (x + 15/4), 1/2 <= x <= 28",
        lambda t: erfcx(t, mpf("3.75")), mapped("0.49", mpf("3.75")), mapped("28", mpf("3.75")), 0, 23, lambda z: 1,
    ),
}

# name: (value, bits of its first part for float32, for float64)
constants = {
    "ln2": (mp.log(2), 15, 42),
    "log2e": (1 / mp.log(2), 24, 53),
    "log10e": (1 / mp.log(10), 24, 53),
    "log10of2": (mp.log(2) / mp.log(10), 15, 42),
    "twoOverPi": (2 / mp.pi, 24, 53),
    "halfPi": (mp.pi / 2, 24, 53),
    "quarterPi": (mp.pi / 4, 22, 51),
    "twoThirds": (mpf(2) / 3, 24, 53),
}


def split(value, bits, narrow):
    """Three numbers whose sum is the value."""
    scale = mpf(2) ** (bits - 1 - int(mp.floor(mp.log(value, 2))))
    out = [narrow(float(mp.nint(value * scale) / scale))]
    for _ in range(2):
        rest = value - sum(mpf(float(v)) for v in out)
        out.append(narrow(mp.nstr(rest, 30)))
    return out


if __name__ == "__main__":
    print("/**\n * Coefficients of polynomials, lowest power first, for float32 and float64.\n *")
    print(" * They interpolate at Chebyshev nodes; `tests/ulp/coefficients.py` prints this file.\n * @module\n */\n")
    print("export const coefficients = {")
    for name, (what, f, low, high, few, many, weight) in fits.items():
        print(f"  /** {what}. */\n  {name}: {{")
        for kind, count, narrow in (("f32", few, np.float32), ("f64", many, np.float64)):
            if count == 0:
                print(f"    {kind}: [],")
                continue
            c = chebyshev(f, low, high, count)
            rounded = [narrow(str(v)) for v in (mp.nstr(x, 30) for x in c)]
            got = error(f, [mpf(float(v)) for v in rounded], low, high, weight)
            ideal = error(f, c, low, high, weight)
            print(f"{name:8} {kind} {count:2}: 2^{ideal:.1f}, rounded 2^{got:.1f}", file=sys.stderr)
            print(f"    {kind}: [" + ", ".join(repr(float(v)) for v in rounded) + "],")
        print("  },")
    print("} as const;\n")
    print("/** Constants as sums of parts, the largest first; the first has the bits given to it. */")
    print("export const parts = {")
    for name, (value, bits32, bits64) in constants.items():
        print(f"  {name}: {{")
        for kind, bits, most, narrow in (("f32", bits32, 24, np.float32), ("f64", bits64, 53, np.float64)):
            print(f"    {kind}: [" + ", ".join(repr(float(v)) for v in split(value, bits, narrow)) + "],")
        print("  },")
    print("} as const;")
