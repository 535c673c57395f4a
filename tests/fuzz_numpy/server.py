"""Runs programs of NumPy calls for fuzz.ts: one JSON program a line in, one JSON list of results a line out.

A program is a list of steps. A step is an array (`d`, `s`, `b`: dtype, shape, bytes in C order) or a call (`f`, `a`, `k`); `{"$": i}` is the
result of step i. The answer holds an array, a value or an error for each step; after an error the rest is left out.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "golden"))
from indexing import python_index, updated
from record import call, np_dtype, write_out

# These move elements without computing: bfloat16 goes in as it is.
JOINING = (
    "append array_split broadcast_arrays column_stack concatenate dsplit dstack hsplit hstack meshgrid split stack unstack vsplit vstack"
    " zeros_like ones_like full_like full"
).split()


def read(value, results):
    if isinstance(value, list):
        return [read(v, results) for v in value]
    if not isinstance(value, dict):
        return value
    if "$" in value:
        return results[value["$"]]
    if "re" in value:
        return complex(value["re"], value["im"])
    return int(value["big"]) if "big" in value else float(value["num"])


def index_of(item, results):
    if isinstance(item, dict):
        return results[item["$"]]
    out = python_index(item)
    return out.astype(np.intp) if isinstance(out, np.ndarray) and out.size == 0 else out


def at(results, x, *index):
    return read(x, results)[tuple(index_of(i, results) for i in index)]


def put(results, x, index, value, mode=None):
    return updated(np.asarray(read(x, results)), [index_of(i, results) for i in index], read(value, results), mode)


def function_of(name):
    if name in ("promote_types", "can_cast"):
        return lambda a, b, **keywords: getattr(np, name)(np_dtype(a), np_dtype(b), **keywords)
    if name == "astype":
        return lambda x, dtype: x.astype(np_dtype(dtype))
    return getattr(np, name)


def run(step, results):
    if "d" in step:
        return np.frombuffer(base64.b64decode(step["b"]), np_dtype(step["d"])).reshape(step["s"])
    name, args, keywords = step["f"], step["a"], step.get("k", {})
    if name == "at":
        return at(results, *args)
    if name == "with":
        return put(results, *args, **keywords)
    given = {k: read(v, results) for k, v in keywords.items()}
    if isinstance(given.get("dtype"), str):
        given["dtype"] = np_dtype(given["dtype"])
    if isinstance(given.get("axis"), list):
        given["axis"] = tuple(given["axis"])
    args = [read(a, results) for a in args]
    if name == "take_along_axis":
        args[1] = np.array(args[1], np.int64)
    return getattr(np, name)(*args, **given) if name in JOINING else call(name, function_of(name), args, given)


def main():
    for line in sys.stdin:
        results, answers = [], []
        for step in json.loads(line):
            try:
                out = run(step, results)
                answers.append({"o": write_out(out)})
                results.append(out)
            except Exception as error:  # noqa: BLE001 - that NumPy refuses is the result
                kind = type(error).__name__.replace("UFuncTypeError", "TypeError").lstrip("_")
                answers.append({"e": kind, "m": str(error)})
                break
        print(json.dumps(answers), flush=True)


main()
