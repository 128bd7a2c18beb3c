"""Naive reductions along axes, and the running sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, mean, sqrt


def reduce_sum(x: Array, *, weights: Weights, axes: Sequence[int], keep: bool) -> Array:
    return _reduced(x, axes, keep, _total)


def reduce_mean(x: Array, *, weights: Weights, axes: Sequence[int], keep: bool) -> Array:
    return _reduced(x, axes, keep, mean)


def reduce_max(x: Array, *, weights: Weights, axes: Sequence[int], keep: bool) -> Array:
    return _reduced(x, axes, keep, max)


def reduce_min(x: Array, *, weights: Weights, axes: Sequence[int], keep: bool) -> Array:
    return _reduced(x, axes, keep, min)


def norm(x: Array, *, weights: Weights, axes: Sequence[int], keep: bool) -> Array:
    return _reduced(x, axes, keep, lambda values: sqrt(_total([v * v for v in values])))


def reduce_sum_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    axes: Sequence[int],
    keep: bool,
) -> Gradients:
    return _spread(x, axes, lambda at: dy.flat[at], lambda value, row: row)


def reduce_mean_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    axes: Sequence[int],
    keep: bool,
) -> Gradients:
    share = 1.0 / (x.size // dy.size)
    return _spread(x, axes, lambda at: dy.flat[at] * share, lambda value, row: row)


def reduce_max_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    axes: Sequence[int],
    keep: bool,
) -> Gradients:
    return _spread(
        x,
        axes,
        lambda at: (output.flat[at], dy.flat[at]),
        lambda value, row: 0.0 if value < row[0] else row[1],
    )


def reduce_min_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    axes: Sequence[int],
    keep: bool,
) -> Gradients:
    return _spread(
        x,
        axes,
        lambda at: (output.flat[at], dy.flat[at]),
        lambda value, row: 0.0 if value > row[0] else row[1],
    )


def norm_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    axes: Sequence[int],
    keep: bool,
) -> Gradients:
    return _spread(
        x, axes, lambda at: dy.flat[at] / output.flat[at], lambda value, row: value * row
    )


def cumsum(x: Array, *, weights: Weights, axis: int) -> Array:
    return _running(x, axis, 1)


def cumsum_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, axis: int
) -> Gradients:
    return {"input 0": _running(dy, axis, -1)}


def _running(x: Array, axis: int, step: int) -> Array:
    y = np.empty_like(x)
    source, target = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    for at in np.ndindex(*source.shape[:-1]):
        total = None
        for i in range(x.shape[axis])[::step]:
            total = source[(*at, i)] if total is None else total + source[(*at, i)]
            target[(*at, i)] = total
    return y


def _total(values: Sequence[Number]) -> Number:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _rows(x: Array, axes: Sequence[int]) -> list[list[tuple[int, ...]]]:
    """Return the places of x that make each output, outputs in order."""
    gone = {axis % x.ndim for axis in axes}
    rows: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for at in product(*map(range, x.shape)):
        rows.setdefault(tuple(i for a, i in enumerate(at) if a not in gone), []).append(at)
    return list(rows.values())


def _reduced(
    x: Array, axes: Sequence[int], keep: bool, reduce: Callable[[list[Number]], Number]
) -> Array:
    gone = {axis % x.ndim for axis in axes}
    shape = [1 if a in gone else d for a, d in enumerate(x.shape) if keep or a not in gone]
    y = np.empty(shape, dtype=x.dtype)
    for i, places in enumerate(_rows(x, axes)):
        y.flat[i] = reduce([x[at] for at in places])
    return y


def _spread(
    x: Array,
    axes: Sequence[int],
    of_row: Callable[[int], Number],
    of_value: Callable[[Number, Number], Number],
) -> Gradients:
    """Return the gradient of x: a number found once an output, then one for each of its inputs."""
    dx = np.empty_like(x)
    for i, places in enumerate(_rows(x, axes)):
        row = of_row(i)
        for at in places:
            dx[at] = of_value(x[at], row)
    return {"input 0": dx}
