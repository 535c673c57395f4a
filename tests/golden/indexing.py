"""Indexing: `at` and `with` records. An index is written as in tnp: "1:3", "...", null, an integer, a list, an array of the pool."""

import numpy as np
from record import Part, Ref, own, plain, ref, slice_of

DTYPES = ["int32", "float32", "float16", "bool", "complex64"]


def python_index(item):
    if isinstance(item, str):
        return Ellipsis if item == "..." else slice_of(item)
    if isinstance(item, list):
        return np.array(item) if item else np.array([], np.intp)
    return item.array if isinstance(item, Ref) else item


def at(x, *index):
    return x[tuple(python_index(i) for i in index)]


HOW = {"add": np.add, "min": np.minimum, "max": np.maximum, "multiply": np.multiply}


def updated(x, index, value, mode=None):
    out = x.copy()
    place = tuple(python_index(i) for i in index)
    if mode is None:
        out[place] = value
    elif mode in HOW:
        HOW[mode].at(out, place, value)
    else:
        raise ValueError(mode)
    return out


def add_at(part, x, *index):
    part.add("at", x, *index, using=lambda a, *_: at(a, *index))


def add_with(part, x, index, value, **kwargs):
    part.add("with", x, index, value, using=lambda a, _, v, mode=None: updated(a, index, v, mode), **kwargs)


def random_slice(rng, length):
    def bound():
        return "" if rng.random() < 0.4 else str(int(rng.integers(-length - 2, length + 3)))

    step = ["", ":", ":1", ":2", ":-1", ":-2", ":3", ":-3"][int(rng.integers(0, 8))]
    return f"{bound()}:{bound()}{step}"


def random_index(rng, shape, bad):
    """An index into a shape: some axes, in order, an ellipsis or new axes among them; all lists broadcast together."""
    parts, axis, ellipsis = [], 0, False
    common = [(), (2,), (3,), (2, 3), (1, 3)][int(rng.integers(0, 5))]
    while axis < len(shape):
        length = shape[axis]
        pick = rng.random()
        if pick < 0.22:
            low, high = (-length, length) if not bad else (-length - 1, length + 1)
            parts.append(int(rng.integers(low, high)))
        elif pick < 0.5:
            parts.append(random_slice(rng, length))
        elif pick < 0.58:
            parts.append(None)
            continue
        elif pick < 0.66 and not ellipsis:
            parts.append("...")
            ellipsis = True
            axis += int(rng.integers(0, len(shape) - axis + 1))
            continue
        elif pick < 0.74:
            parts.append([bool(b) for b in rng.integers(0, 2, length)])
        elif pick < 0.96:
            small = rng.integers(-length, length, common)
            parts.append(small.tolist() if common else int(small))
        elif axis + 2 <= len(shape):
            mask = rng.integers(0, 2, shape[axis : axis + 2]).astype(bool)
            parts.append(mask.tolist())
            axis += 1
        axis += 1
        if rng.random() < 0.15:
            break
    return parts


def indexing():
    part = Part("indexing")
    for d in DTYPES:
        for kind in ["x", "b", "t", "q"]:
            x = ref(d, kind)
            add_at(part, x, 1)
            add_at(part, x, "...")
            add_at(part, x, "::-1")
            add_at(part, x, [0, 1, 1])
            add_at(part, x, None, ":", None)
        add_at(part, ref(d, "m"), 1, 2)
        add_at(part, ref(d, "m"), ":", [True, False, True, True])
        add_at(part, ref(d, "m"), ref("bool", "m"))
        add_at(part, ref(d, "t"), ref("bool", "t"))
        add_at(part, ref(d, "m"), [0, 2], [1, 3])
        add_with(part, ref(d, "m"), [1, ":"], 1)
        add_with(part, ref(d, "m"), [ref("bool", "m")], 0)
        add_with(part, ref(d, "m"), [[0, 2, 0]], ref(d, "q"))
        for mode in HOW:
            if not (d == "complex64" and mode in ["min", "max"]) and not (d == "bool"):
                add_with(part, ref(d, "m"), [[0, 2, 0], "1:3"], 1, mode=mode)
                add_with(part, ref(d, "m"), ["1:", "::2"], ref(d, "0"), mode=mode)
    x, m, q, zero, e = (ref("float32", k) for k in ["x", "m", "q", "0", "e"])
    cases = [
        [], [0], [-1], [1, "1:3"], ["...", 0], [0, "...", -1], [None], [":", None, "..."], [":", "::-1", "::2"], ["5:1:-2"], ["-1:-10:-1"],
        ["10:"], ["1:1"], [[1, 0, 1]], [[[0, 1], [1, 0]]], [[0, 1], [0, 2]], [":", [0, 2]], [":", [0, 2], [1, 3]], [0, ":", [0, 1]],
        [[0, 1], ":", [1, 2]], [":", 1, [0, 1, 1]], [None, [0, 1], ":", [1, 2]], [[], ":"], [[True, False]], [[False, False]], [":", [True, False, True]],
        [[True, True], ":", [0, 3]], [True], [False], [True, 0], [True, [0, 1]], [0, 0, 0], [[0], [0], [0]], ["...", None, [1, 2]], [None, None, 1],
        [[[0], [1]], [0, 2]], ["1:", "1:", "1:"], [[-1, -2]], [0, [1], ":", None],
    ]
    for index in cases:
        add_at(part, x, *index)
    bad = [
        [2], [-3], [0, 3], [0, 0, 0, 0], ["...", "..."], [[2]], [[0, -3]], [[0, 1], [0, 1, 2]], [[True, False, True]], [":", [True, False]],
        [1.5], [[0.5]], [0, 0, 0, None, 0], [[[True, False]]], [[True, True, True], 0],
    ]
    for index in bad:
        add_at(part, x, *index)
    part.add("at", x, "::0", using=lambda a, i: a[::0])
    add_at(part, zero)
    add_at(part, zero, None)
    add_at(part, zero, "...")
    add_at(part, zero, True)
    add_at(part, zero, False)
    add_at(part, zero, 0)
    add_at(part, e, ":", 1)
    add_at(part, e, [], ":")
    add_at(part, e, 0)
    add_at(part, e, ref("bool", "e"))
    grid = own("int64.grid", np.array([[0, 1], [2, 0]]))
    add_at(part, m, grid)
    add_at(part, m, ":", grid)
    add_at(part, m, own("uint8.index", np.array([0, 2], np.uint8)))
    add_at(part, x, ":", ref("bool", "n"))
    add_at(part, x, own("bool.two", np.array([[True, False, True], [False, False, True]])))
    # An ellipsis parts index arrays although it spans no axis.
    for index in [[None, [0, 1], "...", 0], [[0, 1], "...", [1, 2]], [":", "...", [0, 1]], [[2], "...", None, 1]]:
        add_at(part, m, *index)
        add_with(part, m, index, 7)
    rng = np.random.default_rng(20240607)
    shapes = {"x": (2, 3, 4), "m": (3, 4), "y": (2, 4, 3), "b": (2, 3, 2), "q": (4,)}
    for i in range(700):
        kind = list(shapes)[i % len(shapes)]
        index = random_index(rng, shapes[kind], bad=i % 7 == 0)
        add_at(part, ref("int32", kind), *index)
        if i % 2 == 0:
            value = [1, -7, ref("int32", "0"), ref("int32", "q")][i % 4]
            mode = [None, "add", "max", "min", "multiply"][i % 5]
            add_with(part, ref("int32", kind), index, value, **({"mode": mode} if mode else {}))
    add_with(part, m, [0], q)
    add_with(part, m, [":", 0], q)
    add_with(part, m, [0, 0], 2.5)
    add_with(part, m, [5], 1)
    add_with(part, m, ["..."], ref("float64", "m"))
    add_with(part, m, [None, 0], 1.5)
    add_with(part, m, [[0, 0, 0], [1, 1, 1]], own("float32.steps", np.array([1, 2, 4], np.float32)), mode="add")
    add_with(part, m, [[0, 1], [1, 1, 1]], 1)
    add_with(part, m, [ref("bool", "m")], ref("float32", "v"))
    add_with(part, zero, [], 3)
    add_with(part, e, ["..."], 1)
    add_with(part, ref("int32", "m"), [0], 2.75)
    add_with(part, m, [0], 1, mode="nonsense")
    return part
