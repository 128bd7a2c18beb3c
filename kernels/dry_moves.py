"""What calls that move, order or transform read and write, for arrays without data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfmodel.kernels.dry import DryArray, DryError, empty, recorder_of
from perfmodel.kernels.dry_calls import FUNCTIONS, Function, fits, loop, stands_for


@stands_for(np.copyto)
def copyto(
    made: Any, source: Any, casting: str = "same_kind", where: Any = None, fresh: bool = False
) -> None:
    """Record a copy, a cast where formats differ, a fill from one value, a 'where' under a mask."""
    arrays = [v for v in (where, source) if isinstance(v, DryArray)]
    if not isinstance(source, DryArray) and np.ndim(source):
        raise DryError("copy of an array that xp did not make")
    np.broadcast_shapes(made.shape, *(v.shape for v in arrays))
    kind = "fill" if not arrays else "copy" if arrays[-1].dtype == made.dtype else "cast"
    made.buffer.recorder.record(
        "where" if where is not None else kind, made.dtype, float(made.size), arrays, (made,),
        fresh, **loop(made.shape, *arrays, made),
    )  # fmt: skip


@stands_for(np.concatenate)
def concatenate(arrays: Any, axis: int = 0, out: Any = None) -> Any:
    """Record a copy of each part into the result."""
    arrays = list(arrays)
    first = arrays[0]
    shape = list(first.shape)
    axis %= first.ndim
    shape[axis] = sum(a.shape[axis] for a in arrays)
    fits(out, tuple(shape), "concatenate")
    fresh = out is None
    made = out if out is not None else empty(recorder_of(*arrays), shape, first.dtype)
    start = 0
    for a in arrays:
        at = (slice(None),) * axis + (slice(start, start + a.shape[axis]),)
        copyto(np.ndarray.__getitem__(made, at), a, fresh=fresh)
        start += a.shape[axis]
    return made


@stands_for(np.take)
def take(x: Any, places: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """Record rows read from scattered places."""
    axis = 0 if axis is None else axis % x.ndim
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    fits(out, shape, "take")
    if out is not None and mode == "raise" and recorder_of(x).backend == "numpy":
        raise DryError("take with out= and mode='raise' copies the result once more")
    fresh, made = out is None, out if out is not None else empty(recorder_of(x), shape, x.dtype)
    recorder = recorder_of(x, places)
    recorder.record(
        "take", x.dtype, float(made.size), (_sample(x, made), places), (made,), fresh,
        inner=float(math.prod(x.shape[axis + 1 :])),
    )  # fmt: skip
    return made


def _sample(x: Any, made: Any) -> Any:
    """Return the part of a table that as many elements can come from.

    Calls of one run go on through the table where the last one ended, since scattered
    places seldom repeat; the next run finds its places where this one did.
    """
    if made.size >= x.size or x.ndim == 0:
        return x
    rows = int(-(-made.size * x.shape[0] // x.size))
    recorder = recorder_of(x)
    start = recorder.taken.get(x.buffer.number, 0)
    if start + rows > x.shape[0]:
        start = 0
    recorder.taken[x.buffer.number] = start + rows
    return np.ndarray.__getitem__(x, slice(start, start + rows))


@stands_for(np.take_along_axis)
def _take_along(x: Any, places: Any, axis: int = -1) -> Any:
    made = empty(recorder_of(x), places.shape, x.dtype)
    recorder_of(x).record(
        "take", x.dtype, float(made.size), (x, places), (made,), fresh=True, inner=1.0
    )
    return made


@stands_for(np.put_along_axis)
def _put_along(x: Any, places: Any, values: Any, axis: int = -1) -> None:
    reads = [a for a in (values, places) if isinstance(a, DryArray)]
    recorder_of(x).record(
        "put", x.dtype, float(places.size), reads, (_sample(x, places),), inner=1.0
    )


def put(x: Any, at: Any, values: Any, kind: str = "put") -> None:
    """Record rows written, or added, to scattered places."""
    parts = at if isinstance(at, tuple) else (at,)
    places = [p for p in parts if isinstance(p, DryArray)]
    if len(places) != sum(isinstance(p, (np.ndarray, list)) for p in parts):
        raise DryError("places that xp did not make")
    shape = np.broadcast_shapes(*(p.shape for p in places))
    inner = math.prod(x.shape[len(parts) :])
    reads = [a for a in (values, *places) if isinstance(a, DryArray)]
    rows = np.ndarray.__getitem__(x, slice(0, min(x.shape[0], math.prod(shape))))
    recorder_of(x).record(
        kind, x.dtype, float(math.prod(shape) * inner), reads, (rows,), inner=float(inner)
    )


@stands_for(np.where)
def _where(test: Any, a: Any, b: Any) -> Any:
    arrays = [v for v in (test, a, b) if isinstance(v, DryArray)]
    kinds = arrays[1:] or [np.empty(0, "int64")]
    shape = np.broadcast_shapes(*(v.shape for v in arrays))
    made = empty(recorder_of(*arrays), shape, kinds[0].dtype)
    recorder_of(*arrays).record(
        "where", made.dtype, float(made.size), arrays, (made,), fresh=True,
        **loop(shape, *arrays, made),
    )  # fmt: skip
    return made


def _ordered(kind: str, dtype: Any = None) -> Function:
    def call(x: Any, *_: Any, axis: int = -1, **__: Any) -> Any:
        made = empty(recorder_of(x), x.shape, dtype or x.dtype)
        recorder_of(x).record(
            kind, x.dtype, float(x.size), (x,), (made,), fresh=True,
            inner=float(x.shape[axis]), unit=x.strides[axis] == x.itemsize,
        )  # fmt: skip
        return made

    return call


FUNCTIONS[np.sort] = _ordered("sort")
FUNCTIONS[np.argsort] = _ordered("argsort", np.int64)
FUNCTIONS[np.partition] = _ordered("partition")
FUNCTIONS[np.argpartition] = _ordered("argpartition", np.int64)


@stands_for(np.broadcast_to)
def _broadcast_to(x: Any, shape: Any, subok: bool = True) -> Any:
    strides = [0] * (len(shape) - x.ndim) + [
        s if n == m else 0
        for s, n, m in zip(x.strides, x.shape, shape[-x.ndim or None :], strict=False)
    ]
    return np.lib.stride_tricks.as_strided(x, tuple(shape), tuple(strides), subok=True)


def _counted(view: Function) -> Function:
    """Return a function that makes a view, counted as the interpreter's step."""

    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        recorder_of(x).steps += 1
        return view(x, *args, **kwargs)

    return call


for _view in (np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.reshape):
    FUNCTIONS[_view] = _counted(_view.__wrapped__)


@stands_for(np.empty_like)
def _empty_like(x: Any, dtype: Any = None) -> Any:
    return empty(recorder_of(x), x.shape, dtype or x.dtype)


@stands_for(np.repeat)
def _repeat(x: Any, repeats: int, axis: int) -> Any:
    shape = list(x.shape)
    shape[axis] *= repeats
    made = empty(recorder_of(x), shape, x.dtype)
    recorder_of(x).record(
        "copy", x.dtype, float(made.size), (x,), (made,), fresh=True,
        inner=float(math.prod(shape[axis % x.ndim + 1 :])),
    )  # fmt: skip
    return made


def _transform(kind: str, x: Any, n: int, axis: int, shape: Any, dtype: Any, out: Any) -> Any:
    fresh, made = out is None, out if out is not None else empty(recorder_of(x), shape, dtype)
    fits(out, tuple(shape), kind)
    rows = math.prod(shape) / shape[axis]
    recorder_of(x).record(
        kind, x.dtype if x.dtype.kind == "f" else made.dtype, float(rows * n), (x,), (made,),
        fresh, inner=float(n), unit=x.strides[axis] == x.itemsize,
    )  # fmt: skip
    return made


def _spectrum(dtype: Any, real: bool) -> Any:
    pairs = {"float32": "complex64", "float64": "complex128"}
    found = pairs.get(str(dtype), str(dtype))
    return {v: k for k, v in pairs.items()}[found] if real else found


def _along(x: Any, axis: int, size: int) -> list[int]:
    shape = list(x.shape)
    shape[axis] = size
    return shape


@stands_for(np.fft.rfft)
def _rfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    n = n or x.shape[axis]
    shape = _along(x, axis, n // 2 + 1)
    return _transform("rfft", x, n, axis, shape, _spectrum(x.dtype, False), out)


@stands_for(np.fft.irfft)
def _irfft(x: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    n = n or 2 * (x.shape[axis] - 1)
    return _transform("irfft", x, n, axis, _along(x, axis, n), _spectrum(x.dtype, True), out)


@stands_for(np.fft.fft)
def _fft(x: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    n = n or x.shape[axis]
    return _transform("fft", x, n, axis, _along(x, axis, n), _spectrum(x.dtype, False), out)


@stands_for(np.fft.ifft)
def _ifft(x: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    n = n or x.shape[axis]
    return _transform("ifft", x, n, axis, _along(x, axis, n), _spectrum(x.dtype, False), out)
