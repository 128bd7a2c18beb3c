"""Naive selection and sorting along an axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._numbers import Array, Gradients, Number, Weights
from ._sorting import merge_order, tournament


def argmax(x: Array, *, weights: Weights, axis: int, keep: bool) -> Array:
    rows = np.moveaxis(x, axis, -1)
    y = np.empty(rows.shape[:-1], dtype=int)
    for at in np.ndindex(*y.shape):
        best = 0
        for i in range(1, rows.shape[-1]):
            if rows[at][best] < rows[at][i]:
                best = i
        y[at] = best
    return np.expand_dims(y, axis) if keep else y


def topk(x: Array, *, weights: Weights, axis: int, k: int) -> tuple[Array, Array]:
    return _picked(x, axis, k, lambda row: tournament(row, k))


def topk_grad(
    part: str,
    dy: tuple[Array, Array],
    x: Array,
    *,
    output: tuple[Array, Array],
    weights: Weights,
    axis: int,
    k: int,
) -> Gradients:
    return _put_back(dy[0], x, output[1], axis)


def sort(x: Array, *, weights: Weights, axis: int, descending: bool) -> tuple[Array, Array]:
    return _picked(x, axis, x.shape[axis], lambda row: merge_order(row, descending))


def sort_grad(
    part: str,
    dy: tuple[Array, Array],
    x: Array,
    *,
    output: tuple[Array, Array],
    weights: Weights,
    axis: int,
    descending: bool,
) -> Gradients:
    return _put_back(dy[0], x, output[1], axis)


def _picked(
    x: Array, axis: int, count: int, order: Callable[[list[Number]], list[int]]
) -> tuple[Array, Array]:
    rows = np.moveaxis(x, axis, -1)
    values = np.empty((*rows.shape[:-1], count), dtype=x.dtype)
    places = np.empty(values.shape, dtype=int)
    for at in np.ndindex(*rows.shape[:-1]):
        for i, place in enumerate(order(list(rows[at]))):
            values[(*at, i)], places[(*at, i)] = rows[(*at, place)], place
    return np.moveaxis(values, -1, axis), np.moveaxis(places, -1, axis)


def _put_back(dy: Array, x: Array, indices: Array, axis: int) -> Gradients:
    dx = np.full(x.shape, 0.0, dtype=dy.dtype)
    rows = np.moveaxis(dx, axis, -1)
    back, places = np.moveaxis(dy, axis, -1), np.moveaxis(indices, axis, -1)
    for at in np.ndindex(*back.shape):
        rows[(*at[:-1], places[at].__index__())] = back[at]
    return {"input 0": dx}
