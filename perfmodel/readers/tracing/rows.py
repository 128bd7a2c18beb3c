"""Operators of rows of any model: norms and softmax along axes that need not be the last."""

from __future__ import annotations

from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import product, same
from perfmodel.readers.tracing.step import Step
from perfmodel.readers.tracing.values import Value


def stored_where(size: Dim, **values: Value | None) -> dict[str, Value]:
    """Return the weights that are there, of those of ``size`` values; others broadcast."""
    return {k: v for k, v in values.items() if v is not None and same(v.elements, size)}


def over_rows(call: Step, op: str, x: Value, axis: int, stored: dict[str, Value]) -> Value:
    """Put a norm of rows into the graph, over all axes from ``axis`` as one."""
    more: dict[str, Any] = {"bias": "beta" in stored} if op == "layer_norm" else {}
    if axis >= x.rank - 1:
        return call.emit(op, x, stored=stored, **more)[0]
    flat = call.view(x, (product(x.shape[:axis]), product(x.shape[axis:])))
    return call.view(call.emit(op, flat, stored=stored, **more)[0], x.shape)


def rows_last(call: Step, op: str, x: Value, axes: range | list[int]) -> Value:
    """Put an operator of rows over ``axes`` into the graph; counts do not mind where they stand."""
    if list(axes) == [x.rank - 1]:
        return call.emit(op, x)[0]
    others: list[Dim] = [d for i, d in enumerate(x.shape) if i not in axes]
    flat = call.view(x, (product(others), product(x.shape[i] for i in axes)))
    return call.view(call.emit(op, flat)[0], x.shape)
