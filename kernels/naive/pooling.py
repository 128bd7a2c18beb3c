"""Naive pooling over sliding windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Weights, mean

Place = tuple[int, ...]


def max_pool1d(x: Array, *, weights: Weights, **more: Any) -> Any:
    return _max_pool(x, **more)


def max_pool2d(x: Array, *, weights: Weights, **more: Any) -> Any:
    return _max_pool(x, **more)


def max_pool3d(x: Array, *, weights: Weights, **more: Any) -> Any:
    return _max_pool(x, **more)


def avg_pool1d(x: Array, *, weights: Weights, **more: Any) -> Array:
    return _avg_pool(x, **more)


def avg_pool2d(x: Array, *, weights: Weights, **more: Any) -> Array:
    return _avg_pool(x, **more)


def avg_pool3d(x: Array, *, weights: Weights, **more: Any) -> Array:
    return _avg_pool(x, **more)


def max_pool1d_grad(part: str, dy: Any, x: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _max_pool_grad(dy, x, **more)


def max_pool2d_grad(part: str, dy: Any, x: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _max_pool_grad(dy, x, **more)


def max_pool3d_grad(part: str, dy: Any, x: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _max_pool_grad(dy, x, **more)


def avg_pool1d_grad(part: str, dy: Array, x: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _avg_pool_grad(dy, x, **more)


def avg_pool2d_grad(part: str, dy: Array, x: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _avg_pool_grad(dy, x, **more)


def avg_pool3d_grad(part: str, dy: Array, x: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _avg_pool_grad(dy, x, **more)


def largest_of(x: Array, places: list[Place]) -> Place:
    """Return the place of the largest value."""
    best = places[0]
    value = x[best]
    for place in places[1:]:
        if x[place] > value:
            best, value = place, x[place]
    return best


def _max_pool(x: Array, *, indices: bool = False, layout: str = "nchw", **more: Any) -> Any:
    slid = windows.Windows(windows.channels_first(x, layout), -math.inf, **more)
    y = np.empty(slid.outputs, dtype=x.dtype)
    where = np.empty(slid.outputs, dtype=int)
    for at, places in slid:
        best = largest_of(slid.x, places)
        y[at], where[at] = slid.x[best], slid.unpadded(best)
    y, where = windows.in_layout(y, layout), windows.in_layout(where, layout)
    return (y, where) if indices else y


def _max_pool_grad(
    dy: Any, x: Array, *, output: Any, indices: bool, layout: str, **more: Any
) -> Gradients:
    slid = windows.Windows(windows.channels_first(x, layout), -math.inf, **more)
    dy = windows.channels_first(dy[0] if indices else dy, layout)
    dx = np.full_like(slid.x, 0.0)
    for at, places in slid:
        best = largest_of(slid.x, places)
        dx[best] = dx[best] + dy[at]
    return {"input 0": windows.in_layout(slid.inside(dx), layout)}


def _avg_pool(x: Array, *, layout: str = "nchw", **more: Any) -> Array:
    slid = windows.Windows(windows.channels_first(x, layout), 0.0, **more)
    y = np.empty(slid.outputs, dtype=x.dtype)
    for at, places in slid:
        y[at] = mean([slid.x[place] for place in places])
    return windows.in_layout(y, layout)


def _avg_pool_grad(dy: Array, x: Array, *, output: Array, layout: str, **more: Any) -> Gradients:
    slid = windows.Windows(windows.channels_first(x, layout), 0.0, **more)
    dy = windows.channels_first(dy, layout)
    dx = np.full_like(slid.x, 0.0)
    for at, places in slid:
        share = dy[at] * (1.0 / len(places))
        for place in places:
            dx[place] = dx[place] + share
    return {"input 0": windows.in_layout(slid.inside(dx), layout)}
