"""Naive movements: every value copied to its place, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._numbers import Array, Weights


def reshape(x: Array, *, weights: Weights, shape: Sequence[int]) -> Array:
    known = 1
    for extent in shape:
        known *= extent if extent != -1 else 1
    return _refilled(x, tuple(x.size // known if d == -1 else d for d in shape))


def flatten(x: Array, *, weights: Weights) -> Array:
    return _refilled(x, (x.shape[0], x.size // x.shape[0]))


def transpose(x: Array, *, weights: Weights, axes: Sequence[int]) -> Array:
    order = axes or range(x.ndim - 1, -1, -1)
    y = np.empty([x.shape[axis] for axis in order], dtype=x.dtype)
    for at in np.ndindex(*y.shape):
        source = [0] * x.ndim
        for place, axis in zip(at, order, strict=True):
            source[axis] = place
        y[at] = x[tuple(source)]
    return y


def concat(*tensors: Array, weights: Weights, axis: int) -> Array:
    shape = list(tensors[0].shape)
    shape[axis] = sum(t.shape[axis] for t in tensors)
    y = np.empty(shape, dtype=tensors[0].dtype)
    offset = 0
    for tensor in tensors:
        for at in np.ndindex(*tensor.shape):
            y[_moved(at, axis, offset)] = tensor[at]
        offset += tensor.shape[axis]
    return y


def slice(x: Array, *, weights: Weights, length: int, axis: int, start: int) -> Array:
    shape = list(x.shape)
    shape[axis] = length
    y = np.empty(shape, dtype=x.dtype)
    for at in np.ndindex(*shape):
        y[at] = x[_moved(at, axis, start)]
    return y


def _moved(at: Sequence[int], axis: int, by: int) -> tuple[int, ...]:
    place = list(at)
    place[axis] += by
    return tuple(place)


def _refilled(x: Array, shape: tuple[int, ...]) -> Array:
    y = np.empty(shape, dtype=x.dtype)
    for i, value in enumerate(x.flat):
        y.flat[i] = value
    return y
