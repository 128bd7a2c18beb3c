"""Naive scale: each value by its channel's factor."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Number, Weights


def scale(x: Array, *, weights: Weights, axis: int) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        y[at] = weights["factor"][at[axis]] * x[at]
    return y


def scale_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, axis: int
) -> Gradients:
    if part == "input":
        return {"input 0": scale(dy, weights=weights, axis=axis)}
    sums: dict[int, Number] = {}
    for at in np.ndindex(*x.shape):
        product, channel = dy[at] * x[at], at[axis]
        sums[channel] = sums[channel] + product if channel in sums else product
    return {"factor": np.array([sums[c] for c in sorted(sums)], dtype=dy.dtype)}
