"""Naive pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ._numbers import Array, Number, Weights, mean
from ._windows import pad, per_axis


def max_pool2d(x: Array, *, weights: Weights, kernel: Any, stride: Any, padding: Any) -> Array:
    return _pooled(pad(x, padding, -math.inf), kernel, stride, _largest)


def avg_pool2d(x: Array, *, weights: Weights, kernel: Any, stride: Any, padding: Any) -> Array:
    return _pooled(pad(x, padding, 0.0), kernel, stride, mean)


def global_avg_pool2d(x: Array, *, weights: Weights) -> Array:
    return _pooled(x, x.shape[2:], 1, mean)


def _pooled(x: Array, kernel: Any, stride: Any, reduce: Callable[[list[Number]], Number]) -> Array:
    N, C, H, W = x.shape
    (R, S), (u, v) = per_axis(kernel), per_axis(stride)
    tops, lefts = range(0, H - R + 1, u), range(0, W - S + 1, v)
    y = np.empty((N, C, len(tops), len(lefts)), dtype=x.dtype)
    for n, c in np.ndindex(N, C):
        for p, top in enumerate(tops):
            for q, left in enumerate(lefts):
                y[n, c, p, q] = reduce(
                    [x[n, c, top + r, left + s] for r in range(R) for s in range(S)]
                )
    return y


def _largest(values: list[Number]) -> Number:
    largest = values[0]
    for value in values[1:]:
        largest = max(largest, value)
    return largest
