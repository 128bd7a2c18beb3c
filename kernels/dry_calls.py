"""What each library call reads, writes and computes, for arrays without data.

One entry a NumPy function; ufuncs share one rule. See `perfmodel.kernels.passes` for the kinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from perfmodel.kernels.dry import DryArray, DryError, empty, innermost, recorder_of

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
Function = Callable[..., Any]
_REDUCES = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod",
            "logical_or": "any", "logical_and": "all"}  # fmt: skip
_PRODUCTS = (np.matmul, np.vecdot)
_BLAS = ("float32", "float64", "complex64", "complex128")


def stands_for(*functions: Any) -> Callable[[Function], Function]:
    """Register what NumPy's functions do with arrays without data."""

    def register(function: Function) -> Function:
        for f in functions:
            FUNCTIONS[f] = function
        return function

    return register


def ufunc_call(ufunc: Any, method: str, inputs: Any, options: dict[str, Any]) -> Any:
    """Record a ufunc, or its reduce, accumulate or reduceat."""
    outs = options.pop("out", None)
    out = outs[0] if outs else None
    if ufunc is np.matmul and method == "__call__":
        return _product(*inputs, out)
    if method == "__call__" and ufunc not in _PRODUCTS:
        return _elementwise(ufunc, inputs, out, options)
    if method == "reduce" and ufunc.__name__ in _REDUCES:
        return _reduce(_REDUCES[ufunc.__name__], *inputs, out=out, **options)
    if method == "accumulate" and ufunc is np.add:
        return cumsum(*inputs, out=out, **options)
    if method == "reduceat" and ufunc.__name__ in _REDUCES:
        return _reduceat(_REDUCES[ufunc.__name__], *inputs, out=out, **options)
    raise DryError(f"kernels may not call {ufunc.__name__}.{method}")


def _loop(shape: Any, *arrays: Any) -> dict[str, Any]:
    views = [np.broadcast_to(a, shape, subok=True) for a in arrays]
    found = innermost(shape, tuple(v.strides for v in views), tuple(v.itemsize for v in views))
    return {"inner": found[0], "unit": found[1]}


def _fits(out: Any, shape: tuple[int, ...], what: str) -> None:
    if out is not None and out.shape != shape:
        raise DryError(f"{what}: out has shape {out.shape}, expected {shape}")


def _elementwise(ufunc: Any, inputs: Any, out: Any, options: dict[str, Any]) -> Any:
    dtype = options.pop("dtype", None)
    if options:
        raise DryError(f"{ufunc.__name__}: {', '.join(options)} cannot be stated")
    arrays = [a for a in inputs if isinstance(a, np.ndarray) and a.ndim]
    if any(not isinstance(a, DryArray) for a in arrays):
        raise DryError(f"{ufunc.__name__}: an array that xp did not make")
    kinds = tuple(
        a.dtype if isinstance(a, (np.ndarray, np.generic)) else type(a) for a in inputs
    )
    resolved = ufunc.resolve_dtypes((*kinds, None) if dtype is None else (*kinds, np.dtype(dtype)))
    computed = resolved[0] if ufunc.__name__ != "ldexp" else resolved[0]
    for a, wanted in zip(inputs, resolved, strict=False):
        if isinstance(a, np.ndarray) and a.ndim and a.dtype != wanted:
            raise DryError(f"{ufunc.__name__} would convert {a.dtype} to {wanted} silently")
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    recorder = recorder_of(*arrays)
    fresh = out is None
    if out is None:
        out = empty(recorder, shape, resolved[-1])
    _fits(out, np.broadcast_shapes(shape, out.shape), ufunc.__name__)
    if out.dtype != resolved[-1]:
        raise DryError(f"{ufunc.__name__} makes {resolved[-1]}, out is {out.dtype}")
    recorder.record(
        ufunc.__name__, computed, float(math.prod(out.shape)), arrays, (out,), fresh,
        **_loop(out.shape, *arrays, out),
    )  # fmt: skip
    return out


def _reduce(
    kind: str, x: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False,
    **options: Any,
) -> Any:  # fmt: skip
    if {k: v for k, v in options.items() if v is not None and v is not np._NoValue}:
        raise DryError(f"{kind}: {', '.join(options)} cannot be stated")
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    axes = {int(a) % x.ndim for a in axes}
    shape = tuple(
        1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes
    )
    _fits(out, shape, kind)
    fresh = out is None
    made = out if out is not None else empty(recorder_of(x), shape, dtype or x.dtype)
    # The innermost axis in memory decides: reduced, a run is summed up; kept, rows are added.
    order = sorted((i for i in range(x.ndim) if x.shape[i] > 1), key=lambda i: -abs(x.strides[i]))
    inner, last = 1, order[-1] if order else x.ndim - 1
    for i in reversed(order):
        if (i in axes) != (last in axes) or (
            i != last and abs(x.strides[i]) != inner * abs(x.strides[last])
        ):
            break
        inner *= x.shape[i]
    unit = not order or abs(x.strides[last]) == x.itemsize
    name = kind if not order or last in axes else f"{kind}_rows"
    recorder_of(x).record(
        name, x.dtype, float(x.size), (x,), (made,), fresh, inner=float(inner), unit=unit
    )
    return made


@stands_for(np.clip)
def _clip(x: Any, low: Any, high: Any, out: Any = None) -> Any:
    fresh, made = out is None, out if out is not None else empty(recorder_of(x), x.shape, x.dtype)
    _fits(out, x.shape, "clip")
    recorder_of(x).record(
        "clip", x.dtype, float(x.size), (x,), (made,), fresh, **_loop(x.shape, x, made)
    )
    return made


@stands_for(np.sum)
def _sum(x: Any, axis: Any = None, **options: Any) -> Any:
    return _reduce("sum", x, axis, **options)


@stands_for(np.max, np.amax)
def _max(x: Any, axis: Any = None, **options: Any) -> Any:
    return _reduce("max", x, axis, **options)


@stands_for(np.min, np.amin)
def _min(x: Any, axis: Any = None, **options: Any) -> Any:
    return _reduce("min", x, axis, **options)


@stands_for(np.argmax)
def _argmax(x: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    made = _reduce("argmax", x, axis, np.int64, out, keepdims)
    return made


def _reduceat(kind: str, x: Any, places: Any, axis: int = 0, dtype: Any = None, out: Any = None):
    shape = (*x.shape[:axis], places.shape[0], *x.shape[axis + 1 :])
    _fits(out, shape, kind)
    fresh, made = out is None, out if out is not None else empty(recorder_of(x), shape, x.dtype)
    recorder_of(x).record(
        f"{kind}_runs", x.dtype, float(x.size), (x, places), (made,), fresh,
        inner=float(math.prod(x.shape[axis + 1 :])),
    )  # fmt: skip
    return made


@stands_for(np.cumsum)
def cumsum(x: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """Record running sums along an axis."""
    fresh, made = out is None, out if out is not None else empty(recorder_of(x), x.shape, x.dtype)
    _fits(out, x.shape, "cumsum")
    recorder_of(x).record(
        "cumsum", x.dtype, float(x.size), (x,), (made,), fresh,
        inner=float(x.shape[axis]), unit=x.strides[axis] == x.itemsize,
    )  # fmt: skip
    return made


def _blas_takes(a: Any) -> bool:
    """Whether the last two axes are a matrix as BLAS stores one, rows or columns contiguous."""
    (m, n), (row, column) = a.shape[-2:], a.strides[-2:]
    return bool(
        (column == a.itemsize or n == 1) and (row >= n * a.itemsize or m == 1)
        or (row == a.itemsize or m == 1) and (column >= m * a.itemsize or n == 1)
    )


def _by_columns(a: Any) -> bool:
    (m, n), (row, column) = a.shape[-2:], a.strides[-2:]
    return bool(m > 1 and n > 1 and row == a.itemsize and column != a.itemsize)


def _product(a: Any, b: Any, out: Any) -> Any:
    if a.ndim < 2 or b.ndim < 2:
        raise DryError("kernels multiply matrices only; give a vector a second axis")
    if a.dtype != b.dtype:
        raise DryError(f"matmul would convert {a.dtype} and {b.dtype} silently")
    (m, k), n = a.shape[-2:], b.shape[-1]
    if b.shape[-2] != k:
        raise DryError(f"matmul: {a.shape} times {b.shape}")
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), m, n)
    _fits(out, shape, "matmul")
    fresh, made = out is None, out if out is not None else empty(recorder_of(a), shape, a.dtype)
    kind = "gemm"
    if str(a.dtype) not in _BLAS or (k == 1 and not m == n == 1):
        kind = "gemm_loop"
    elif not all(_blas_takes(x) for x in (a, b, made)):
        raise DryError(
            f"matmul: BLAS takes no strides of {a.strides[-2:]}, {b.strides[-2:]}, "
            f"{made.strides[-2:]}"
        )
    elif m == 1 or n == 1:
        kind = "dot" if m == n else "gemv"
    batch = math.prod(shape[:-2])
    recorder_of(a, b).record(
        kind, a.dtype, float(m * n * batch), (a, b), (made,), fresh, m=float(m), n=float(n),
        k=float(k), batch=float(batch), trans_a=_by_columns(a), trans_b=_by_columns(b),
    )  # fmt: skip
    return made


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
        fresh, **_loop(made.shape, *arrays, made),
    )  # fmt: skip


@stands_for(np.concatenate)
def concatenate(arrays: Any, axis: int = 0, out: Any = None) -> Any:
    """Record a copy of each part into the result."""
    arrays = list(arrays)
    first = arrays[0]
    shape = list(first.shape)
    axis %= first.ndim
    shape[axis] = sum(a.shape[axis] for a in arrays)
    _fits(out, tuple(shape), "concatenate")
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
    _fits(out, shape, "take")
    if out is not None and mode == "raise":
        raise DryError("take with out= and mode='raise' copies the result once more")
    fresh, made = out is None, out if out is not None else empty(recorder_of(x), shape, x.dtype)
    recorder = recorder_of(x, places)
    recorder.record(
        "take", x.dtype, float(made.size), (_sample(x, made), places), (made,), fresh,
        inner=float(math.prod(x.shape[axis + 1 :])),
    )  # fmt: skip
    return made


def _sample(x: Any, made: Any) -> Any:
    """Return the part of a table that as many elements can come from, at its start."""
    if made.size >= x.size or x.ndim == 0:
        return x
    rows = -(-made.size * x.shape[0] // x.size)
    return np.ndarray.__getitem__(x, slice(0, int(rows)))


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


def put(x: Any, at: Any, values: Any) -> None:
    """Record rows written to scattered places."""
    parts = at if isinstance(at, tuple) else (at,)
    places = [p for p in parts if isinstance(p, DryArray)]
    if len(places) != sum(isinstance(p, (np.ndarray, list)) for p in parts):
        raise DryError("places that xp did not make")
    shape = np.broadcast_shapes(*(p.shape for p in places))
    inner = math.prod(x.shape[len(parts) :])
    reads = [a for a in (values, *places) if isinstance(a, DryArray)]
    rows = np.ndarray.__getitem__(x, slice(0, min(x.shape[0], math.prod(shape))))
    recorder_of(x).record(
        "put", x.dtype, float(math.prod(shape) * inner), reads, (rows,), inner=float(inner)
    )


@stands_for(np.where)
def _where(test: Any, a: Any, b: Any) -> Any:
    arrays = [v for v in (test, a, b) if isinstance(v, DryArray)]
    kinds = [v for v in arrays[1:]] or [np.empty(0, "int64")]
    shape = np.broadcast_shapes(*(v.shape for v in arrays))
    made = empty(recorder_of(*arrays), shape, kinds[0].dtype)
    recorder_of(*arrays).record(
        "where", made.dtype, float(made.size), arrays, (made,), fresh=True,
        **_loop(shape, *arrays, made),
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
        s if n == m else 0 for s, n, m in zip(x.strides, x.shape, shape[-x.ndim or None :], strict=False)
    ]
    return np.lib.stride_tricks.as_strided(x, tuple(shape), tuple(strides), subok=True)


for _view in (np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.reshape):
    FUNCTIONS[_view] = _view.__wrapped__


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
    _fits(out, tuple(shape), kind)
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


