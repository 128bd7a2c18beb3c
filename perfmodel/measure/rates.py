"""Rates of everything that is no product and no stream: functions, reductions, movement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from perfmodel.kernels.formats import NUMPY
from perfmodel.measure.clocks import Call
from perfmodel.measure.tasks import CallTask, extents, probe_of, strata, values

#: elementwise functions by number of inputs
UNARY = ("exp", "tanh", "sqrt", "log", "negative", "absolute", "square", "reciprocal", "sin")
BINARY = ("divide", "power", "maximum", "minimum", "subtract", "multiply", "greater")
#: those that only some kernels call: timed in fp32
RARE = ("log1p", "exp2", "floor", "sign", "expm1", "cos", "isnan", "copysign", "less")
#: how elementwise functions come with a second operand: see `by_rows`
SECOND = ("row", "column", "sliced", "scalar")
REDUCTIONS = ("sum", "max", "min", "argmax")
_ARITHMETIC = ("add", "subtract", "multiply", "maximum", "minimum")
_SPECIAL = ("exp", "tanh", "sqrt", "log", "divide", "power", "sin")

Making = Callable[[Any, Any], Call]


def _itemsize(dtype: str) -> int:
    return int(np.dtype(NUMPY[dtype]).itemsize)


def elementwise(name: str, inputs: int, dtype: str, elements: int) -> CallTask:
    """Return y = f(x) or y = f(x, z) on arrays of ``elements``."""
    made = "bool" if name in ("greater", "less", "isnan") else dtype

    def build(xp: Any, rng: Any) -> Call:
        xs = [values(xp, rng, elements, dtype) for _ in range(inputs)]
        out, function = values(xp, rng, elements, made), getattr(xp, name)
        return lambda: function(*xs, out=out)

    size = elements * (inputs * _itemsize(dtype) + _itemsize(made))
    roof = f"special.{dtype}.{name}" if name in _SPECIAL else None
    if name in _ARITHMETIC:
        roof = f"vector.{dtype}"
    return CallTask(f"{name} {dtype} elements={elements}", probe_of(size), build, roof)


def by_rows(name: str, dtype: str, rows: int, cols: int, other: str) -> CallTask:
    """Return y[rows,cols] = f(x[rows,cols], z); z is a 'row' [cols], a 'column' [rows,1].

    'scalar': one number. 'sliced': x is every row's first half, so rows end early.
    'alone': the same without z.
    """

    def build(xp: Any, rng: Any) -> Call:
        wide = 2 * cols if other == "sliced" else cols
        x, out = values(xp, rng, (rows, wide), dtype), values(xp, rng, (rows, cols), dtype)
        shapes = {"row": (cols,), "column": (rows, 1), "sliced": (rows, cols)}
        z = values(xp, rng, shapes[other], dtype) if other in shapes else x.dtype.type(2)
        part, function = x[:, :cols], getattr(xp, name, None)
        if name == "copy":
            return lambda: xp.copyto(out, part)
        assert function is not None
        if other == "alone":
            wide_part = values(xp, rng, (rows, 2 * cols), dtype)[:, :cols]
            return lambda: function(wide_part, out=out)
        return lambda: function(part, z, out=out)

    size = 2 * rows * cols * _itemsize(dtype)
    text = f"{name} {dtype} rows={rows} cols={cols} by {other}"
    return CallTask(text, probe_of(size), build)


def strided(name: str, dtype: str, rows: int, cols: int) -> CallTask:
    """Return a copy of, a sum or product with a transposed matrix, or of every second column."""

    def build(xp: Any, rng: Any) -> Call:
        out = values(xp, rng, (rows, cols), dtype)
        if name == "every second":
            half = values(xp, rng, (rows, 2 * cols), dtype)[:, ::2]
            return lambda: xp.copyto(out, half)
        x = values(xp, rng, (cols, rows), dtype).transpose(1, 0)
        if name == "transposed":
            return lambda: xp.copyto(out, x)
        if name == "added":
            return lambda: xp.add(out, x, out=out)
        y = values(xp, rng, (rows, cols), dtype)
        return lambda: xp.multiply(y, x, out=out)

    size = 2 * rows * cols * _itemsize(dtype)
    return CallTask(f"{name} {dtype} rows={rows} cols={cols}", probe_of(size), build)


def reduction(name: str, dtype: str, rows: int, cols: int, axis: int) -> CallTask:
    """Return y = sum, max, ... of x[rows,cols] along an axis; cumsum keeps the shape."""

    def build(xp: Any, rng: Any) -> Call:
        x = values(xp, rng, (rows, cols), dtype)
        made = (rows, cols) if name == "cumsum" else (rows if axis else cols,)
        out = values(xp, rng, made, "int64" if name == "argmax" else dtype)
        function = getattr(xp, name)
        return lambda: function(x, axis=axis, out=out)

    text = f"{name} {dtype} rows={rows} cols={cols} axis={axis}"
    return CallTask(text, probe_of(rows * cols * _itemsize(dtype)), build)


def scattered(name: str, dtype: str, table: int, rows: int, width: int) -> CallTask:
    """Return rows of x[table,width] taken from, or put to, random places."""

    def build(xp: Any, rng: Any) -> Call:
        x = values(xp, rng, (table, width), dtype)
        at = values(xp, rng, rows, "int64", table)
        y = values(xp, rng, (rows, width), dtype)
        if name == "take":
            return lambda: xp.take(x, at, axis=0, out=y, mode="clip")

        def put() -> None:
            x[at] = y

        return put

    text = f"{name} {dtype} table={table} rows={rows} width={width}"
    return CallTask(text, probe_of(2 * rows * width * _itemsize(dtype)), build)


def ordered(name: str, dtype: str, rows: int, cols: int) -> CallTask:
    """Return a sort, partition or transform of each row of x[rows,cols]."""

    def build(xp: Any, rng: Any) -> Call:
        complex_ = {"fp32": "complex64", "fp64": "complex128"}
        x = values(xp, rng, (rows, cols), dtype)
        if name in ("fft", "ifft"):
            x = x.astype(complex_[dtype])
        elif name == "irfft":
            x = values(xp, rng, (rows, cols // 2 + 1), dtype).astype(complex_[dtype])
        if name in ("fft", "ifft", "rfft", "irfft"):
            function = getattr(xp.fft, name)
            return lambda: function(x, n=cols, axis=-1)
        function = getattr(xp, name)
        if name in ("partition", "argpartition"):
            return lambda: function(x, cols // 2, axis=-1)
        return lambda: function(x, axis=-1)

    return CallTask(f"{name} {dtype} rows={rows} cols={cols}", "calls", build)


def converted(source: str, target: str, elements: int) -> CallTask:
    """Return y = x in another format."""

    def build(xp: Any, rng: Any) -> Call:
        x, y = values(xp, rng, elements, source), values(xp, rng, elements, target)
        return lambda: xp.copyto(y, x, casting="unsafe")

    return CallTask(f"cast {source} to {target} elements={elements}", "calls", build)


def chosen(dtype: str, elements: int) -> CallTask:
    """Return y = where(test, a, b) with a test that is true half the time."""

    def build(xp: Any, rng: Any) -> Call:
        test = values(xp, rng, elements, "bool")
        a, b = (values(xp, rng, elements, dtype) for _ in range(2))
        return lambda: xp.where(test, a, b)

    return CallTask(f"where {dtype} elements={elements}", "calls", build)


def new_array(dtype: str, elements: int) -> CallTask:
    """Return x + y in a new array."""

    def build(xp: Any, rng: Any) -> Call:
        x, y = (values(xp, rng, elements, dtype) for _ in range(2))
        return lambda: xp.add(x, y)

    size = 3 * elements * _itemsize(dtype)
    return CallTask(f"new {dtype} elements={elements}", probe_of(size), build)


def smooth(number: int) -> int:
    """Return the next number without a prime factor over 5, as transforms are given."""
    while True:
        rest = number
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return number
        number += 1


def clipped(dtype: str, elements: int) -> CallTask:
    """Return y = min(max(x, -1), 1)."""

    def build(xp: Any, rng: Any) -> Call:
        x, out = (values(xp, rng, elements, dtype) for _ in range(2))
        return lambda: xp.clip(x, x.dtype.type(-1), x.dtype.type(1), out=out)

    return CallTask(f"clip {dtype} elements={elements}", "calls", build)


def rate_tasks(rng: np.random.Generator, density: float) -> list[CallTask]:
    """Return the tasks, sizes drawn anew in equal parts of the logarithm."""
    _, _, last = extents()
    tasks: list[CallTask] = []

    def count(n: float) -> int:
        return max(2, round(n * density))

    for dtype in ("fp32", "fp64"):
        for names, inputs in ((UNARY, 1), (BINARY, 2)):
            for name in names:
                sizes = [16, *strata(rng, 1e3, 3e6, count(3))]
                tasks += [elementwise(name, inputs, dtype, n) for n in sizes]
    for name in RARE:
        inputs = 2 if name in ("copysign", "less") else 1
        tasks += [
            elementwise(name, inputs, "fp32", n) for n in (16, *strata(rng, 1e3, 1e6, count(1)))
        ]
    tasks += [clipped("fp32", n) for n in (16, *strata(rng, 1e3, 1e6, count(2)))]
    for name in ("add", "multiply", "exp", "sqrt", "maximum"):
        sizes = strata(rng, 16, 1e5, count(2))
        tasks += [elementwise(name, 1 + (name in ("add", "multiply", "maximum")), "fp16", n)
                  for n in sizes]  # fmt: skip
    for name in ("add", "multiply", "subtract", "maximum", "divide", "minimum", "power"):
        for other in SECOND if name not in ("minimum", "power") else ("scalar",):
            for rows in strata(rng, 4, 2e4, count(3 if name == "add" else 2)):
                cols = strata(rng, 2, min(2e3, 3e6 / rows), 1)[0]
                tasks.append(by_rows(name, "fp32", rows, cols, other))
    for name, other in (("copy", "sliced"), ("tanh", "alone"), ("exp", "alone")):
        for rows in strata(rng, 4, 2e4, count(4 if name == "copy" else 2)):
            cols = strata(rng, 2, min(2e3, 3e6 / rows), 1)[0]
            tasks.append(by_rows(name, "fp32", rows, cols, other))
    for name in ("transposed", "added", "multiplied", "every second"):
        for dtype in ("fp32", "fp64"):
            for rows in strata(rng, 8, 4e3, count(3)):
                tasks.append(strided(name, dtype, rows, strata(rng, 8, 1e7 / rows, 1)[0]))
    for dtype in ("fp32", "fp64"):
        for name in (*REDUCTIONS, "cumsum"):
            for axis in (0, 1) if name in ("sum", "max", "min") else (1,):
                for rows in strata(rng, 1, 1e4, count(4)):
                    cols = strata(rng, 4, 3e6 / rows, 1)[0]
                    tasks.append(reduction(name, dtype, rows, cols, axis))
    for name in ("take", "put"):
        for rows in strata(rng, 4, 3e5, count(6)):
            width = strata(rng, 1, min(2048, 4e6 / rows), 1)[0]
            table = strata(rng, max(rows / 8, 2), max(last / width, 4), 1)[0]
            tasks.append(scattered(name, "fp32", table, rows, width))
    for name in ("sort", "argsort", "argpartition", "partition", "rfft", "irfft", "fft", "ifft"):
        for rows in strata(rng, 1, 1e3, count(3)):
            cols = smooth(strata(rng, 8, 3e5 / rows + 16, 1)[0])
            tasks.append(ordered(name, "fp32", rows, cols))
    for pair in (("fp32", "fp64"), ("fp64", "fp32"), ("fp16", "fp32"), ("fp32", "fp16"),
                 ("int64", "fp32"), ("bool", "fp32"), ("int32", "fp32")):  # fmt: skip
        tasks += [converted(*pair, n) for n in strata(rng, 64, 1e6, count(2))]
    for dtype in ("fp32", "fp64"):
        tasks += [chosen(dtype, n) for n in strata(rng, 64, 1e6, count(2))]
        tasks += [new_array(dtype, n) for n in strata(rng, 1e3, 4e7 / _itemsize(dtype), count(3))]
    return list({task.name: task for task in tasks}.values())
