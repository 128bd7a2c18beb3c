"""The largest values and the order of an axis: the library's partition and sort."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.registry import kernel


@kernel("argmax")
def argmax(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One reduction that keeps the place; the output holds int64."""
    out = ws.output(a)
    found = ws.buffer("found", _without(a.x, op.axis), "int64")
    xp.argmax(a.x, axis=op.axis, out=found)
    xp.copyto(out.reshape(found.shape), found, casting="unsafe")
    return out


def _without(x: Any, axis: int) -> tuple[int, ...]:
    return tuple(n for i, n in enumerate(x.shape) if i != axis % x.ndim)


def _along(axis: int, ndim: int, part: slice) -> tuple[slice, ...]:
    return (slice(None),) * (axis % ndim) + (part,)


@kernel("topk")
def topk(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Partition, then the winners sorted among themselves; ties in any order."""
    x, axis = a.x, op.axis % a.x.ndim
    size = x.shape[axis]
    values, places = ws.output(a), ws.output(a, 1)
    tail = _along(axis, x.ndim, slice(size - op.k, size))
    ordered = (
        xp.argpartition(x, size - op.k, axis=axis) if op.k < size else xp.argsort(x, axis=axis)
    )
    chosen = ordered[tail]
    found = xp.take_along_axis(x, chosen, axis=axis)
    xp.negative(found, out=found)
    order = xp.argsort(found, axis=axis)
    xp.copyto(places, xp.take_along_axis(chosen, order, axis=axis), casting="unsafe")
    xp.negative(xp.take_along_axis(found, order, axis=axis), out=values)
    return values, places


@kernel("sort")
def sort(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A stable argsort, then the values gathered; descending sorts the negated values."""
    x, axis = a.x, op.axis % a.x.ndim
    values, places = ws.output(a), ws.output(a, 1)
    keys = x
    if op.descending:
        keys = xp.negative(x, out=ws.like("keys", x))
    order = xp.argsort(keys, axis=axis, kind="stable")
    xp.copyto(places, order, casting="unsafe")
    xp.copyto(values, xp.take_along_axis(x, order, axis=axis))
    return values, places
