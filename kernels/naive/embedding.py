"""Naive embedding: rows of a table gathered by index."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Weights


def embedding(indices: Array, *, weights: Weights, rows: int, width: int) -> Array:
    table = weights["table"]
    y = np.empty((*indices.shape, width), dtype=table.dtype)
    for at in np.ndindex(*indices.shape):
        for d in range(width):
            y[(*at, d)] = table[indices[at], d]
    return y
