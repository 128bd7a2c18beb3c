"""Values copied place by place, and what comes back to each place added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from ._numbers import Array

Place = tuple[int, ...]
Source = Callable[[Place], Place | None]


def copied(x: Array, shape: Sequence[int], source: Source) -> Array:
    """Return the array whose value at each place is that of x at its source; 0 where None."""
    y = np.empty(shape, dtype=x.dtype)
    for at in product(*map(range, shape)):
        place = source(at)
        y[at] = 0.0 if place is None else x[place]
    return y


def added_up(dy: Array, shape: Sequence[int], source: Source) -> Array:
    """Return for each place the sum of dy over the places whose source it is; 0 where none."""
    dx = np.full(shape, 0.0, dtype=dy.dtype)
    met: set[Place] = set()
    for at in product(*map(range, dy.shape)):
        place = source(at)
        if place is None:
            continue
        dx[place] = dx[place] + dy[at] if place in met else dy[at]
        met.add(place)
    return dx


def refilled(x: Array, shape: Sequence[int]) -> Array:
    """Return the values of x, in order, in another shape."""
    y = np.empty(shape, dtype=x.dtype)
    for i, value in enumerate(x.flat):
        y.flat[i] = value
    return y


def moved(at: Sequence[int], axis: int, by: int) -> Place:
    """Return the place ``by`` further along ``axis``."""
    place = list(at)
    place[axis] += by
    return tuple(place)
