"""Streams through memory: read, write, copy, add and triad, from the first cache to memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from perfmodel.kernels.formats import NUMPY
from perfmodel.measure.clocks import Call
from perfmodel.measure.tasks import CallTask, extents, probe_of, strata, values

#: arrays that a stream goes through
ARRAYS = {"read": 2, "write": 1, "copy": 2, "add": 3, "triad": 3, "update": 2}


def stream(kind: str, dtype: str, elements: int) -> CallTask:
    """Return a stream over arrays x[elements].

    read : sum of x y, BLAS's dot.  write : x = 1.  copy : y = x.  add : z = x + y.
    update : y = x - y, in place.  triad : z = s x, then z = z + y, as the library has no
    call for both.
    """
    count = ARRAYS[kind]
    size = count * elements * np.dtype(NUMPY[dtype]).itemsize

    def build(xp: Any, rng: Any) -> Call:
        made = [values(xp, rng, (1, elements), dtype) for _ in range(count)]
        return _CALLS[kind](xp, *made)

    return CallTask(f"{kind} {dtype} elements={elements}", probe_of(size), build, roof=kind)


def _read(xp: Any, x: Any, y: Any) -> Call:
    column, out = y.reshape(-1, 1), xp.empty((1, 1), dtype=y.dtype)
    return lambda: xp.matmul(x, column, out=out)


def _write(xp: Any, x: Any) -> Call:
    return lambda: xp.copyto(x, 1.0)


def _copy(xp: Any, x: Any, y: Any) -> Call:
    return lambda: xp.copyto(y, x)


def _add(xp: Any, x: Any, y: Any, z: Any) -> Call:
    return lambda: xp.add(x, y, out=z)


def _update(xp: Any, x: Any, y: Any) -> Call:
    return lambda: xp.subtract(x, y, out=y)


def _triad(xp: Any, x: Any, y: Any, z: Any) -> Call:
    factor = x.dtype.type(3)

    def call() -> None:
        xp.multiply(x, factor, out=z)
        xp.add(z, y, out=z)

    return call


_CALLS: dict[str, Callable[..., Call]] = {
    "read": _read, "write": _write, "copy": _copy, "add": _add, "update": _update, "triad": _triad,
}  # fmt: skip


def stream_tasks(rng: np.random.Generator, density: float) -> list[CallTask]:
    """Return streams whose working sets run from 2 KiB to four times the last cache."""
    first, own, last = extents()
    sets = [
        *strata(rng, 2 << 10, first, round(2 * density)),
        *strata(rng, first, own, round(2 * density)),
        *strata(rng, own, last, round(3 * density)),
        *strata(rng, last, 4 * last, round(2 * density)),
    ]
    return [
        stream(kind, dtype, max(1, size // (count * np.dtype(NUMPY[dtype]).itemsize)))
        for kind, count in ARRAYS.items()
        for dtype in ("fp32", "fp64")
        for size in sets
        if dtype == "fp32" or kind in ("copy", "add")
    ]
