"""Naive affine layer with a sparse weight."""

from __future__ import annotations

from collections.abc import Callable
from operator import index as as_int

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, mac

_Add = Callable[[Number, Number, Number], Number]


def sparse_affine(
    x: Array, *, weights: Weights, units: int, kept: int, of: int, pattern: str, compute: str
) -> Array:
    columns, add = _columns(x, weights, kept, of, pattern), _adder(pattern)
    values = weights["values"]
    *samples, _ = x.shape
    y = np.empty((*samples, units), dtype=x.dtype)
    for at in np.ndindex(*samples):
        for o in range(units):
            acc = 0.0
            for j, column in enumerate(columns[o]):
                acc = add(acc, values[o, j], x[(*at, column)])
            y[(*at, o)] = acc
    return y


def sparse_affine_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    units: int,
    kept: int,
    of: int,
    pattern: str,
    compute: str,
) -> Gradients:
    columns, add = _columns(x, weights, kept, of, pattern), _adder(pattern)
    values = weights["values"]
    *samples, _ = x.shape
    dx, dw = np.full_like(x, 0.0), np.full(values.shape, 0.0, dtype=x.dtype)
    for at in np.ndindex(*samples):
        for o in range(units):
            for j, column in enumerate(columns[o]):
                if part == "input":
                    place = (*at, column)
                    dx[place] = add(dx[place], dy[(*at, o)], values[o, j])
                else:
                    dw[o, j] = add(dw[o, j], dy[(*at, o)], x[(*at, column)])
    return {"input 0": dx} if part == "input" else {"values": dw}


def _columns(x: Array, weights: Weights, kept: int, of: int, pattern: str) -> list[list[int]]:
    """Return the input that each stored weight multiplies: in its group, or anywhere."""
    inputs = x.shape[-1]
    return [
        [
            as_int(i) % inputs if pattern == "unstructured" else j // kept * of + as_int(i) % of
            for j, i in enumerate(row)
        ]
        for row in weights["indices"]
    ]


def _adder(pattern: str) -> _Add:
    return mac if pattern == "structured" else lambda acc, a, b: acc + a * b
