"""Naive pooling of whole images."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _bins as bins
from . import _windows as windows
from ._numbers import Array, Gradients, Weights


def global_avg_pool1d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return bins.averages(x, 1, layout)


def global_avg_pool2d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return bins.averages(x, 1, layout)


def global_avg_pool3d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return bins.averages(x, 1, layout)


def global_max_pool1d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return bins.maxima(x, 1, layout)


def global_max_pool2d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return bins.maxima(x, 1, layout)


def global_max_pool3d(x: Array, *, weights: Weights, layout: str = "nchw") -> Array:
    return bins.maxima(x, 1, layout)


def global_avg_pool1d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _avg_grad(dy, x, **more)


def global_avg_pool2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _avg_grad(dy, x, **more)


def global_avg_pool3d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _avg_grad(dy, x, **more)


def global_max_pool1d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _max_grad(dy, x, **more)


def global_max_pool2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _max_grad(dy, x, **more)


def global_max_pool3d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _max_grad(dy, x, **more)


def _avg_grad(dy: Array, x: Array, *, output: Array, layout: str) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.empty_like(x)
    for at in np.ndindex(dy.shape):
        dx[at[:2]] = dy[at] * (1.0 / dx[at[:2]].size)
    return {"input 0": windows.in_layout(dx, layout)}


def _max_grad(dy: Array, x: Array, *, output: Array, layout: str) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    dx = np.full_like(x, 0.0)
    for at in np.ndindex(dy.shape):
        dx[bins.largest(x, bins.shares(x, 1, at))] = dy[at]
    return {"input 0": windows.in_layout(dx, layout)}
