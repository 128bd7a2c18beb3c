"""Naive softmax."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Weights, exp


def softmax(x: Array, *, weights: Weights) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        largest = x[row][0]
        for value in x[row][1:]:
            largest = max(largest, value)
        powers = [exp(value - largest) for value in x[row]]
        total = powers[0]
        for power in powers[1:]:
            total = total + power
        reciprocal = 1.0 / total
        for c, power in enumerate(powers):
            y[(*row, c)] = power * reciprocal
    return y
