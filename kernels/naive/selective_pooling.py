"""Naive pooling that chooses by chance, and unpooling to where maxima were."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Number, Weights


def stochastic_pool1d(x: Array, random: Array, *, weights: Weights, **more: Any) -> Array:
    return _stochastic(x, random, **more)


def stochastic_pool2d(x: Array, random: Array, *, weights: Weights, **more: Any) -> Array:
    return _stochastic(x, random, **more)


def stochastic_pool3d(x: Array, random: Array, *, weights: Weights, **more: Any) -> Array:
    return _stochastic(x, random, **more)


def stochastic_pool1d_kept(x: Array, random: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _stochastic_kept(x, random, **more)


def stochastic_pool2d_kept(x: Array, random: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _stochastic_kept(x, random, **more)


def stochastic_pool3d_kept(x: Array, random: Array, *, weights: Weights, **more: Any) -> Gradients:
    return _stochastic_kept(x, random, **more)


def stochastic_pool1d_grad(
    part: str, dy: Array, x: Array, random: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _stochastic_grad(dy, x, **more)


def stochastic_pool2d_grad(
    part: str, dy: Array, x: Array, random: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _stochastic_grad(dy, x, **more)


def stochastic_pool3d_grad(
    part: str, dy: Array, x: Array, random: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _stochastic_grad(dy, x, **more)


def max_unpool1d(x: Array, indices: Array, *, weights: Weights, **more: Any) -> Array:
    return _unpooled(x, indices, **more)


def max_unpool2d(x: Array, indices: Array, *, weights: Weights, **more: Any) -> Array:
    return _unpooled(x, indices, **more)


def max_unpool3d(x: Array, indices: Array, *, weights: Weights, **more: Any) -> Array:
    return _unpooled(x, indices, **more)


def max_unpool1d_grad(
    part: str, dy: Array, x: Array, indices: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _unpooled_grad(dy, x, indices, **more)


def max_unpool2d_grad(
    part: str, dy: Array, x: Array, indices: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _unpooled_grad(dy, x, indices, **more)


def max_unpool3d_grad(
    part: str, dy: Array, x: Array, indices: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _unpooled_grad(dy, x, indices, **more)


def _stochastic(x: Array, random: Array, *, layout: str = "nchw", **window: Any) -> Array:
    slid = windows.Windows(windows.channels_first(x, layout), 0.0, **window)
    random = windows.channels_first(random, layout)
    y = np.empty(slid.outputs, dtype=x.dtype)
    for at, places in slid:
        y[at] = slid.x[places[_drawn([slid.x[p] for p in places], random[at])]]
    return windows.in_layout(y, layout)


def _stochastic_kept(x: Array, random: Array, *, layout: str, **window: Any) -> Gradients:
    slid = windows.Windows(windows.channels_first(x, layout), 0.0, **window)
    random = windows.channels_first(random, layout)
    drawn = np.empty(slid.outputs, dtype=int)
    for at, places in slid:
        drawn[at] = _drawn([slid.x[p] for p in places], random[at])
    return {"drawn": windows.in_layout(drawn, layout)}


def _drawn(values: list[Number], random: Number) -> int:
    total = values[0]
    for value in values[1:]:
        total = total + value
    reciprocal = 1.0 / total
    probabilities = [value * reciprocal for value in values]
    threshold = random * 2.0**-32
    cumulated = probabilities[0]
    drawn = None
    for i, probability in enumerate(probabilities[1:]):
        if cumulated > threshold and drawn is None:
            drawn = i
        cumulated = cumulated + probability
    return len(values) - 1 if drawn is None else drawn


def _stochastic_grad(
    dy: Array, x: Array, *, output: Array, kept: Weights, layout: str, **window: Any
) -> Gradients:
    slid = windows.Windows(windows.channels_first(x, layout), 0.0, **window)
    dy, drawn = (windows.channels_first(t, layout) for t in (dy, kept["drawn"]))
    dx = np.full_like(slid.x, 0.0)
    for at, places in slid:
        place = places[drawn[at]]
        dx[place] = dx[place] + dy[at]
    return {"input 0": windows.in_layout(slid.inside(dx), layout)}


def _unpooled(x: Array, indices: Array, *, size: Any, layout: str = "nchw") -> Array:
    x, indices = (windows.channels_first(t, layout) for t in (x, indices))
    y = np.full((*x.shape[:2], *windows.per_axis(size, x.ndim - 2)), 0.0, dtype=x.dtype)
    for at in np.ndindex(x.shape):
        y.flat[indices[at]] = x[at]
    return windows.in_layout(y, layout)


def _unpooled_grad(
    dy: Array, x: Array, indices: Array, *, output: Array, size: Any, layout: str
) -> Gradients:
    dy, x, indices = (windows.channels_first(t, layout) for t in (dy, x, indices))
    dx = np.empty_like(x)
    for at in np.ndindex(x.shape):
        dx[at] = dy.flat[indices[at]]
    return {"input 0": windows.in_layout(dx, layout)}
