"""Naive softmax."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Weights, softmax_row


def softmax(x: Array, *, weights: Weights) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        for c, value in enumerate(softmax_row(list(x[row]))):
            y[(*row, c)] = value
    return y
