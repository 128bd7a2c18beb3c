"""Naive pooling over sliding windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Number, Weights, mean

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


class _Windows:
    """The windows of x[N,C,...], padded until the last of them fits."""

    def __init__(
        self, x: Array, fill: float, kernel: Any, stride: Any, padding: Any, ceil_mode: bool = False
    ) -> None:
        self.image = x.shape[2:]
        rank = len(self.image)
        self.taps, steps = windows.per_axis(kernel, rank), windows.per_axis(stride, rank)
        self.before, after = windows.borders(padding, rank)
        self.starts: list[list[int]] = []
        ends = []
        for size, tap, step, b, a in zip(
            self.image, self.taps, steps, self.before, after, strict=True
        ):
            starts = list(range(0, b + size + a - tap + 1, step))
            over = starts[-1] + step
            if ceil_mode and starts[-1] + tap < b + size + a and over < b + size:
                starts.append(over)
            self.starts.append(starts)
            ends.append(max(a, starts[-1] + tap - b - size))
        self.x = windows.pad(x, (self.before, tuple(ends)), fill)
        self.outputs = (*x.shape[:2], *(len(s) for s in self.starts))

    def __iter__(self) -> Iterator[tuple[Place, list[Place]]]:
        """Yield each output's place and the places of its window."""
        for at in np.ndindex(*self.outputs):
            corner = [s[i] for s, i in zip(self.starts, at[2:], strict=True)]
            yield (
                at,
                [
                    (*at[:2], *(c + t for c, t in zip(corner, tap, strict=True)))
                    for tap in np.ndindex(*self.taps)
                ],
            )

    def inside(self, padded: Array) -> Array:
        """Return the image of a padded one."""
        return padded[windows.inside(self.before, self.image)]

    def unpadded(self, place: Place) -> int:
        """Return a place of the padded image as a number through the whole input."""
        n, c, *at = place
        image = tuple(i - b for i, b in zip(at, self.before, strict=True))
        return int(np.ravel_multi_index((n, c, *image), (*self.outputs[:2], *self.image)))


def largest_of(x: Array, places: list[Place]) -> Place:
    """Return the place of the largest value."""
    best = places[0]
    value = x[best]
    for place in places[1:]:
        if x[place] > value:
            best, value = place, x[place]
    return best


def _max_pool(x: Array, *, indices: bool = False, layout: str = "nchw", **more: Any) -> Any:
    slid = _Windows(windows.channels_first(x, layout), -math.inf, **more)
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
    slid = _Windows(windows.channels_first(x, layout), -math.inf, **more)
    dy = windows.channels_first(dy[0] if indices else dy, layout)
    dx = np.full_like(slid.x, 0.0)
    for at, places in slid:
        best = largest_of(slid.x, places)
        dx[best] = dx[best] + dy[at]
    return {"input 0": windows.in_layout(slid.inside(dx), layout)}


def _avg_pool(x: Array, *, layout: str = "nchw", **more: Any) -> Array:
    slid = _Windows(windows.channels_first(x, layout), 0.0, **more)
    y = np.empty(slid.outputs, dtype=x.dtype)
    for at, places in slid:
        y[at] = mean([slid.x[place] for place in places])
    return windows.in_layout(y, layout)


def _avg_pool_grad(dy: Array, x: Array, *, output: Array, layout: str, **more: Any) -> Gradients:
    slid = _Windows(windows.channels_first(x, layout), 0.0, **more)
    dy = windows.channels_first(dy, layout)
    dx = np.full_like(slid.x, 0.0)
    for at, places in slid:
        share = dy[at] * (1.0 / len(places))
        for place in places:
            dx[place] = dx[place] + share
    return {"input 0": windows.in_layout(slid.inside(dx), layout)}


def stochastic_pool2d(
    x: Array, random: Array, *, weights: Weights, layout: str = "nchw", **window: Any
) -> Array:
    slid = _Windows(windows.channels_first(x, layout), 0.0, **window)
    random = windows.channels_first(random, layout)
    y = np.empty(slid.outputs, dtype=x.dtype)
    for at, places in slid:
        y[at] = slid.x[places[_drawn([slid.x[p] for p in places], random[at])]]
    return windows.in_layout(y, layout)


def stochastic_pool2d_kept(
    x: Array, random: Array, *, weights: Weights, layout: str = "nchw", **window: Any
) -> Gradients:
    slid = _Windows(windows.channels_first(x, layout), 0.0, **window)
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


def stochastic_pool2d_grad(
    part: str,
    dy: Array,
    x: Array,
    random: Array,
    *,
    output: Array,
    weights: Weights,
    kept: Weights,
    layout: str = "nchw",
    **window: Any,
) -> Gradients:
    slid = _Windows(windows.channels_first(x, layout), 0.0, **window)
    dy, drawn = (windows.channels_first(t, layout) for t in (dy, kept["drawn"]))
    dx = np.full_like(slid.x, 0.0)
    for at, places in slid:
        place = places[drawn[at]]
        dx[place] = dx[place] + dy[at]
    return {"input 0": windows.in_layout(slid.inside(dx), layout)}


def max_unpool2d(
    x: Array, indices: Array, *, weights: Weights, size: Any, layout: str = "nchw"
) -> Array:
    x, indices = (windows.channels_first(t, layout) for t in (x, indices))
    y = np.full((*x.shape[:2], *windows.per_axis(size)), 0.0, dtype=x.dtype)
    for at in np.ndindex(x.shape):
        y.flat[indices[at]] = x[at]
    return windows.in_layout(y, layout)


def max_unpool2d_grad(
    part: str,
    dy: Array,
    x: Array,
    indices: Array,
    *,
    output: Array,
    weights: Weights,
    size: Any,
    layout: str = "nchw",
) -> Gradients:
    dy, x, indices = (windows.channels_first(t, layout) for t in (dy, x, indices))
    dx = np.empty_like(x)
    for at in np.ndindex(x.shape):
        dx[at] = dy.flat[indices[at]]
    return {"input 0": windows.in_layout(dx, layout)}
