"""What each library call reads, writes and computes, for arrays without data.

One entry a NumPy function; ufuncs share one rule. See `perfmodel.kernels.passes` for the kinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from perfmodel.kernels.dry import DryArray, DryError, empty, innermost, recorder_of

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
Function = Callable[..., Any]
_REDUCES = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod",
            "logical_or": "any", "logical_and": "all"}  # fmt: skip
_PRODUCTS = ("matmul", "vecdot", "matvec", "vecmat")
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
    if method == "__call__" and ufunc.__name__ not in _PRODUCTS:
        return _elementwise(ufunc, inputs, out, options)
    if method == "reduce" and ufunc.__name__ in _REDUCES:
        return _reduce(_REDUCES[ufunc.__name__], *inputs, out=out, **options)
    if method == "accumulate" and ufunc is np.add:
        return cumsum(*inputs, out=out, **options)
    if method == "reduceat" and ufunc.__name__ in _REDUCES:
        return _reduceat(_REDUCES[ufunc.__name__], *inputs, out=out, **options)
    if method == "at" and ufunc is np.add:
        x, places, values = inputs
        from perfmodel.kernels.dry_moves import put

        return put(x, places, values, "add_at")
    raise DryError(f"kernels may not call {ufunc.__name__}.{method}")


def loop(shape: tuple[int, ...], *arrays: Any) -> dict[str, Any]:
    """Return the innermost loop over arrays broadcast to ``shape``, as fields of a Pass."""
    inner, unit = _loop(tuple(shape), tuple((a.shape, a.strides, a.itemsize) for a in arrays))
    return {"inner": inner, "unit": unit}


@lru_cache(maxsize=65536)
def _loop(
    shape: tuple[int, ...], arrays: tuple[tuple[tuple[int, ...], tuple[int, ...], int], ...]
) -> tuple[float, bool]:
    strides = tuple(_broadcast(shape, own, steps) for own, steps, _ in arrays)
    return innermost(shape, strides, tuple(item for _, _, item in arrays))


def _broadcast(
    shape: tuple[int, ...], own: tuple[int, ...], steps: tuple[int, ...]
) -> tuple[int, ...]:
    """Return strides over ``shape`` of an array with fewer or shorter axes."""
    new = len(shape) - len(own)
    moved = (s if n == m else 0 for s, n, m in zip(steps, own, shape[new:], strict=True))
    return (*(0,) * new, *moved)


def fits(out: Any, shape: tuple[int, ...], what: str) -> None:
    """Raise DryError where ``out`` is given and has another shape."""
    if out is not None and out.shape != shape:
        raise DryError(f"{what}: out has shape {out.shape}, expected {shape}")


def _elementwise(ufunc: Any, inputs: Any, out: Any, options: dict[str, Any]) -> Any:
    dtype = options.pop("dtype", None)
    if options:
        raise DryError(f"{ufunc.__name__}: {', '.join(options)} cannot be stated")
    arrays = [a for a in inputs if isinstance(a, np.ndarray) and a.ndim]
    if any(not isinstance(a, DryArray) for a in arrays):
        raise DryError(f"{ufunc.__name__}: an array that xp did not make")
    kinds = tuple(a.dtype if isinstance(a, (np.ndarray, np.generic)) else type(a) for a in inputs)
    resolved = ufunc.resolve_dtypes((*kinds, None) if dtype is None else (*kinds, np.dtype(dtype)))
    computed = resolved[0]
    for a, wanted in zip(inputs, resolved, strict=False):
        if isinstance(a, np.ndarray) and a.ndim and a.dtype != wanted:
            raise DryError(f"{ufunc.__name__} would convert {a.dtype} to {wanted} silently")
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    recorder = recorder_of(*arrays)
    fresh = out is None
    if out is None:
        out = empty(recorder, shape, resolved[-1])
    fits(out, np.broadcast_shapes(shape, out.shape), ufunc.__name__)
    if out.dtype != resolved[-1]:
        raise DryError(f"{ufunc.__name__} makes {resolved[-1]}, out is {out.dtype}")
    recorder.record(
        ufunc.__name__, computed, float(math.prod(out.shape)), arrays, (out,), fresh,
        **loop(out.shape, *arrays, out),
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
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
    fits(out, shape, kind)
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
    fits(out, x.shape, "clip")
    recorder_of(x).record(
        "clip", x.dtype, float(x.size), (x,), (made,), fresh, **loop(x.shape, x, made)
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
    return _reduce("argmax", x, axis, np.int64, out, keepdims)


def _reduceat(kind: str, x: Any, places: Any, axis: int = 0, dtype: Any = None, out: Any = None):
    shape = (*x.shape[:axis], places.shape[0], *x.shape[axis + 1 :])
    fits(out, shape, kind)
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
    fits(out, x.shape, "cumsum")
    recorder_of(x).record(
        "cumsum", x.dtype, float(x.size), (x,), (made,), fresh,
        inner=float(x.shape[axis]), unit=x.strides[axis] == x.itemsize,
    )  # fmt: skip
    return made


def _blas_takes(a: Any) -> bool:
    """Whether the last two axes are a matrix as BLAS stores one, rows or columns contiguous."""
    (m, n), (row, column) = a.shape[-2:], a.strides[-2:]
    return bool(
        ((column == a.itemsize or n == 1) and (row >= n * a.itemsize or m == 1))
        or ((row == a.itemsize or m == 1) and (column >= m * a.itemsize or n == 1))
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
    fits(out, shape, "matmul")
    fresh, made = out is None, out if out is not None else empty(recorder_of(a), shape, a.dtype)
    kind = "gemm"
    if recorder_of(a, b).backend == "cupy" and a.dtype.kind != "i":
        kind = "gemm"  # cuBLAS takes fp16 too, and any shape
    elif str(a.dtype) not in _BLAS or (k == 1 and not m == n == 1):
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
