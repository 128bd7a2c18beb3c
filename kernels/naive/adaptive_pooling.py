"""Naive pooling to a given number of outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Weights, mean

Place = tuple[int, ...]


def global_avg_pool2d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return windows.in_layout(_averages(windows.channels_first(x, layout), (1, 1)), layout)


def global_max_pool2d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return windows.in_layout(_maxima(windows.channels_first(x, layout), (1, 1)), layout)


def adaptive_avg_pool2d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return windows.in_layout(_averages(windows.channels_first(x, layout), bins), layout)


def adaptive_max_pool2d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return windows.in_layout(_maxima(windows.channels_first(x, layout), bins), layout)


def spatial_pyramid_pool2d(
    x: Array, *, weights: Weights, levels: Any, layout: str = "nchw"
) -> Array:
    x = windows.channels_first(x, layout)
    made = [_maxima(x, level).reshape(x.shape[0], -1) for level in levels]
    return np.concatenate(made, axis=1)


def _places(x: Array, outputs: Any, at: Place) -> list[Place]:
    """Return the places that the output at ``at`` stands for."""
    n, c, *bins = at
    rows, columns = (
        range(bin * size // count, -(-(bin + 1) * size // count))
        for bin, size, count in zip(bins, x.shape[2:], windows.per_axis(outputs), strict=True)
    )
    return [(n, c, h, w) for h in rows for w in columns]


def _averages(x: Array, outputs: Any) -> Array:
    y = np.empty((*x.shape[:2], *windows.per_axis(outputs)), dtype=x.dtype)
    for at in np.ndindex(y.shape):
        y[at] = mean([x[place] for place in _places(x, outputs, at)])
    return y


def _largest(x: Array, places: list[Place]) -> Place:
    best = places[0]
    for place in places[1:]:
        if x[place] > x[best]:
            best = place
    return best


def _maxima(x: Array, outputs: Any) -> Array:
    y = np.empty((*x.shape[:2], *windows.per_axis(outputs)), dtype=x.dtype)
    for at in np.ndindex(y.shape):
        y[at] = x[_largest(x, _places(x, outputs, at))]
    return y


def global_avg_pool2d_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, layout: str
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.empty_like(x)
    for n, c in np.ndindex(x.shape[:2]):
        dx[n, c] = dy[n, c, 0, 0] * (1.0 / dx[n, c].size)
    return {"input 0": windows.in_layout(dx, layout)}


def global_max_pool2d_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, layout: str
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    for at in np.ndindex(dy.shape):
        dx[_largest(x, _places(x, 1, at))] = dy[at]
    return {"input 0": windows.in_layout(dx, layout)}


def adaptive_avg_pool2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, layout: str, **sizes: Any
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    for at in np.ndindex(dy.shape):
        places = _places(x, dy.shape[2:], at)
        share = dy[at] * (1.0 / len(places))
        for place in places:
            dx[place] = dx[place] + share
    return {"input 0": windows.in_layout(dx, layout)}


def adaptive_max_pool2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, layout: str, **sizes: Any
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    _add_to_largest(dx, x, dy)
    return {"input 0": windows.in_layout(dx, layout)}


def spatial_pyramid_pool2d_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, levels: Any, layout: str
) -> Gradients:
    x = windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    N, C = x.shape[:2]
    start = 0
    for level in levels:
        end = start + C * level * level
        _add_to_largest(dx, x, dy[:, start:end].reshape(N, C, level, level))
        start = end
    return {"input 0": windows.in_layout(dx, layout)}


def _add_to_largest(dx: Array, x: Array, dy: Array) -> None:
    for at in np.ndindex(dy.shape):
        best = _largest(x, _places(x, dy.shape[2:], at))
        dx[best] = dx[best] + dy[at]
