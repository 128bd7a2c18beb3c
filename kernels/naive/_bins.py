"""Windows that share an image out among a given number of outputs along each axis."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, mean

Place = tuple[int, ...]


def shares(x: Array, outputs: Any, at: Place) -> list[Place]:
    """Return the places of x[N,C,...] that the output at ``at`` stands for."""
    image, bins = x.shape[2:], at[2:]
    along = (
        range(bin * size // count, -(-(bin + 1) * size // count))
        for bin, size, count in zip(bins, image, windows.per_axis(outputs, len(image)), strict=True)
    )
    return [(*at[:2], *place) for place in product(*along)]


def _outputs(x: Array, outputs: Any) -> Place:
    return (*x.shape[:2], *windows.per_axis(outputs, x.ndim - 2))


def averages(x: Array, outputs: Any, layout: str) -> Array:
    x = windows.channels_first(x, layout)
    y = np.empty(_outputs(x, outputs), dtype=x.dtype)
    for at in np.ndindex(y.shape):
        y[at] = mean([x[place] for place in shares(x, outputs, at)])
    return windows.in_layout(y, layout)


def largest(x: Array, places: list[Place]) -> Place:
    best = places[0]
    for place in places[1:]:
        if x[place] > x[best]:
            best = place
    return best


def maxima(x: Array, outputs: Any, layout: str) -> Array:
    x = windows.channels_first(x, layout)
    y = np.empty(_outputs(x, outputs), dtype=x.dtype)
    for at in np.ndindex(y.shape):
        y[at] = x[largest(x, shares(x, outputs, at))]
    return windows.in_layout(y, layout)


def add_to_largest(dx: Array, x: Array, dy: Array) -> None:
    for at in np.ndindex(dy.shape):
        best = largest(x, shares(x, dy.shape[2:], at))
        dx[best] = dx[best] + dy[at]
