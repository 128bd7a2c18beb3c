"""Naive pooling to a given number of outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _bins
from . import _windows as windows
from ._numbers import Array, Gradients, Weights


def adaptive_avg_pool1d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return _bins.averages(x, bins, layout)


def adaptive_avg_pool2d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return _bins.averages(x, bins, layout)


def adaptive_avg_pool3d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return _bins.averages(x, bins, layout)


def adaptive_max_pool1d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return _bins.maxima(x, bins, layout)


def adaptive_max_pool2d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return _bins.maxima(x, bins, layout)


def adaptive_max_pool3d(x: Array, *, weights: Weights, bins: Any, layout: str = "nchw") -> Array:
    return _bins.maxima(x, bins, layout)


def adaptive_avg_pool1d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _avg_grad(dy, x, **more)


def adaptive_avg_pool2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _avg_grad(dy, x, **more)


def adaptive_avg_pool3d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _avg_grad(dy, x, **more)


def adaptive_max_pool1d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _max_grad(dy, x, **more)


def adaptive_max_pool2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _max_grad(dy, x, **more)


def adaptive_max_pool3d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _max_grad(dy, x, **more)


def _avg_grad(dy: Array, x: Array, *, output: Array, bins: Any, layout: str) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    for at in np.ndindex(dy.shape):
        places = _bins.shares(x, bins, at)
        share = dy[at] * (1.0 / len(places))
        for place in places:
            dx[place] = dx[place] + share
    return {"input 0": windows.in_layout(dx, layout)}


def _max_grad(dy: Array, x: Array, *, output: Array, bins: Any, layout: str) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    _bins.add_to_largest(dx, x, dy)
    return {"input 0": windows.in_layout(dx, layout)}


def spatial_pyramid_pool2d(
    x: Array, *, weights: Weights, levels: Any, layout: str = "nchw"
) -> Array:
    x = windows.channels_first(x, layout)
    made = [_bins.maxima(x, level, "nchw").reshape(x.shape[0], -1) for level in levels]
    return np.concatenate(made, axis=1)


def spatial_pyramid_pool2d_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, levels: Any, layout: str
) -> Gradients:
    x = windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    N, C = x.shape[:2]
    start = 0
    for level in levels:
        end = start + C * level * level
        _bins.add_to_largest(dx, x, dy[:, start:end].reshape(N, C, level, level))
        start = end
    return {"input 0": windows.in_layout(dx, layout)}
