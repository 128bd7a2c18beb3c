"""Arrays without data: a kernel run on them states its library calls instead of making them.

`DryNamespace` stands in for NumPy. Its arrays are NumPy views of memory that is never
touched, so that slices, transpositions and strides are NumPy's own; what would compute
or move is recorded as a `Pass`. A call that this module does not know is an error, and
so is one that would be silently slow (mixed formats, a product that BLAS cannot take).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from perfmodel.kernels.formats import name_of
from perfmodel.kernels.passes import Pass, merged
from perfmodel.kernels.reuse import Reuse

#: as_strided is written in Python
AS_STRIDED_STEPS = 10


class DryError(TypeError):
    """A kernel calls what cannot be stated."""


class Recorder:
    """What a kernel called, and where its memory lies."""

    def __init__(self, backend: str = "numpy") -> None:
        self.backend = backend
        #: views, buffers looked up, and the like: what the interpreter does besides calls
        self.steps = 0
        self.passes: list[Pass] = []
        self.reuse = Reuse()
        self.free: dict[int, list[int]] = {}
        self.buffers = 0
        #: where the next scattered places of a table begin
        self.taken: dict[int, int] = {}

    def forget(self) -> None:
        """Drop the calls so far, as a new run begins; what they touched stays known."""
        self.passes.clear()
        self.taken.clear()
        self.steps = 0

    def record(
        self,
        kind: str,
        dtype: Any,
        elements: float,
        reads: Sequence[Any],
        writes: Sequence[Any],
        fresh: bool = False,
        **extra: Any,
    ) -> None:
        """Append a call that reads and writes these arrays."""
        places = list(dict.fromkeys(_place(a) for a in reads))  # x times x reads x once
        outs = [_place(a) for a in writes]
        self.reuse.next_call()
        reuse = tuple(self.reuse.distance(*p) for p in places)
        again = max((self.reuse.distance(*p) for p in outs), default=0.0)
        for p in (*places, *outs):
            self.reuse.touch(*p)
        sizes = tuple(p[3] for p in places)
        written = sum(p[3] for p in outs)
        # Everything a call touches is touched together: its own bytes are the least distance.
        least = sum({p[:3]: p[3] for p in (*places, *outs)}.values())
        self.passes.append(
            Pass(
                kind, name_of(dtype), elements, sizes, written,
                tuple(max(r, least) for r in reuse), max(again, least) if outs else 0.0,
                sum(p[3] for p in outs if p in places),
                fresh, **extra,
            )
        )  # fmt: skip


class _Buffer:
    """A stretch of memory with a number that is given again after it is freed, as malloc does."""

    def __init__(self, recorder: Recorder, size: int, address: int) -> None:
        self.recorder, self.size, self.address = recorder, size, address
        free = recorder.free.get(size)
        if free:
            self.number = free.pop()
        else:
            self.number = recorder.buffers
            recorder.buffers += 1

    def __del__(self) -> None:
        self.recorder.free.setdefault(self.size, []).append(self.number)


class DryArray(np.ndarray):
    """An array whose values are never read. Views of it are NumPy's."""

    buffer: Any

    def __array_finalize__(self, parent: Any) -> None:
        self.buffer = getattr(parent, "buffer", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from perfmodel.kernels.dry_calls import ufunc_call

        return ufunc_call(ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from perfmodel.kernels import dry_moves
        from perfmodel.kernels.dry_calls import FUNCTIONS

        if dry_moves and func not in FUNCTIONS:
            raise DryError(f"kernels may not call {func.__name__}")
        return FUNCTIONS[func](*args, **kwargs)

    def __getitem__(self, at: Any) -> Any:
        if _is_fancy(at):
            raise DryError("kernels read scattered places by xp.take only")
        self.buffer.recorder.steps += 1
        found = super().__getitem__(at)
        if not isinstance(found, DryArray):
            raise DryError("kernels may not read a single value")
        return found

    def __setitem__(self, at: Any, value: Any) -> None:
        if _is_fancy(at):
            from perfmodel.kernels.dry_moves import put

            put(self, at, value)
        else:
            np.copyto(super().__getitem__(at), value)

    def reshape(self, *shape: Any, order: Any = "C") -> Any:
        """Return a view; DryError where the library would copy."""
        sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        self.buffer.recorder.steps += 1
        made = np.ndarray.reshape(self, sizes)
        if made.__array_interface__["data"][0] != self.__array_interface__["data"][0]:
            raise DryError("reshape would copy: say so by xp.copyto into a buffer")
        return made

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """Return a fresh array in another format."""
        from perfmodel.kernels.dry_moves import copyto

        made = empty(self.buffer.recorder, self.shape, dtype)
        copyto(made, self, fresh=True)
        return made

    def copy(self, order: Any = "C") -> Any:
        """Return a fresh, contiguous array."""
        return self.astype(self.dtype)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise DryError("kernels may not read values in Python")

    __bool__ = __int__ = __float__ = __index__ = tolist = item = _refuse

    def _function(self, *_: Any, **__: Any) -> Any:
        raise DryError("kernels call xp's functions, not the arrays' methods")

    sum = max = min = mean = argmax = cumsum = fill = take = dot = repeat = sort = _function
    flatten = ravel = _function


def _is_fancy(at: Any) -> bool:
    parts = at if isinstance(at, tuple) else (at,)
    return any(isinstance(p, (np.ndarray, list)) for p in parts)


def empty(recorder: Recorder, shape: Any, dtype: Any) -> DryArray:
    """Return a new array of memory that nobody has touched."""
    made = np.empty(shape, dtype=dtype).view(DryArray)
    made.buffer = _Buffer(recorder, made.nbytes, made.__array_interface__["data"][0])
    return made


def recorder_of(*arrays: Any) -> Recorder:
    """Return the recorder of the first dry array."""
    for a in arrays:
        if isinstance(a, DryArray):
            found: Recorder = a.buffer.recorder
            return found
    raise DryError("no dry array")


def _place(a: Any) -> tuple[int, int, int, float]:
    """Return an array's buffer, first and last byte in it, and bytes of distinct values."""
    shape, strides, item = a.shape, a.strides, a.itemsize
    offset = a.__array_interface__["data"][0] - a.buffer.address
    low, spread, size = _extent(shape, strides, item)
    return a.buffer.number, offset + low, offset + low + spread, size


@lru_cache(maxsize=65536)
def _extent(shape: tuple[int, ...], strides: tuple[int, ...], item: int) -> tuple[int, int, float]:
    if 0 in shape:
        return 0, 0, 0.0
    low = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)
    spread = sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True)) + item
    values = math.prod(n for n, s in zip(shape, strides, strict=True) if s) * item
    return low, spread, float(min(values, spread))


def innermost(
    shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...], items: tuple[int, ...]
) -> tuple[float, bool]:
    """Return the innermost loop's length after axes are merged, and whether it is contiguous.

    As NumPy's iterator does: axes of size 1 vanish, the rest are sorted by stride,
    neighbours are merged where every operand steps through both as through one.
    """
    if not (axes := _outer_to_inner([i for i, n in enumerate(shape) if n != 1], strides)):
        return 1.0, True
    merged_n = shape[axes[-1]]
    step = [s[axes[-1]] for s in strides]
    whole = [n * merged_n for n in step]
    for i in reversed(axes[:-1]):
        if any(s[i] != w for s, w in zip(strides, whole, strict=True)):
            break
        merged_n *= shape[i]
        whole = [w * shape[i] for w in whole]
    unit = all(abs(s) in (0, item) for s, item in zip(step, items, strict=True))
    return float(merged_n), unit


def _outer_to_inner(axes: list[int], strides: tuple[tuple[int, ...], ...]) -> list[int]:
    """Sort axes by stride; where operands disagree, as in a transposed copy, C order stays."""
    order: list[int] = []  # innermost first
    for axis in reversed(axes):
        place = len(order)
        for at in reversed(range(len(order))):
            told = [abs(s[axis]) < abs(s[order[at]]) for s in strides if s[axis] and s[order[at]]]
            if not all(told):
                break
            place = at if told else place
        order.insert(place, axis)
    return order[::-1]


class DryNamespace:
    """Stands in for NumPy; see the module's first lines."""

    ndarray = DryArray

    def __init__(self, backend: str = "numpy") -> None:
        #: whose calls are recorded: kernels take another way for 'cupy'
        self.__name__ = backend
        self.recorder = Recorder(backend)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def passes(self, python: bool = False) -> tuple[Pass, ...]:
        """Return the calls so far, equal ones together.

        With ``python`` a last pass of that kind counts the interpreter's own steps.
        """
        stated = merged(self.recorder.passes)
        if not python:
            return stated
        return (*stated, Pass("python", "none", 0.0, calls=1.0 + self.recorder.steps))

    def empty(self, shape: Any, dtype: Any = "float64") -> DryArray:
        """Return an array without values."""
        return empty(self.recorder, shape, dtype)

    def full(self, shape: Any, value: float, dtype: Any = "float64") -> DryArray:
        """Return an array of one value; recorded."""
        made = self.empty(shape, dtype)
        self.recorder.record(
            "fill", made.dtype, made.size, (), (made,), fresh=True, inner=float(made.size)
        )
        return made

    def zeros(self, shape: Any, dtype: Any = "float64") -> DryArray:
        """Return zeros; recorded."""
        return self.full(shape, 0.0, dtype)

    def ones(self, shape: Any, dtype: Any = "float64") -> DryArray:
        """Return ones; recorded."""
        return self.full(shape, 1.0, dtype)

    def arange(self, *limits: Any, dtype: Any = "int64") -> DryArray:
        """Return counting numbers; recorded as a fill."""
        return self.full(np.arange(*limits).shape, 0.0, dtype)

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """Return a dry array of the shape of a table made in Python."""
        if isinstance(values, DryArray):
            return values
        made = np.asarray(values, dtype=dtype)
        return self.empty(made.shape, made.dtype)

    def ascontiguousarray(self, a: Any) -> Any:
        """Return ``a``, or a fresh contiguous copy; recorded."""
        return a if a.flags.c_contiguous else a.copy()

    @property
    def random(self) -> Any:
        """Random numbers are drawn from a generator that the kernel is given."""
        raise DryError("kernels draw no random numbers from xp")

    class lib:  # noqa: N801
        """The part of ``numpy.lib`` that kernels use."""

        class stride_tricks:  # noqa: N801
            """Views by strides."""

            @staticmethod
            def as_strided(x: Any, shape: Any, strides: Any) -> Any:
                """Return a view of any shape and strides; as slow as some views."""
                x.buffer.recorder.steps += AS_STRIDED_STEPS
                return np.lib.stride_tricks.as_strided(x, shape, strides, subok=True)


Maker = Callable[..., Any]
