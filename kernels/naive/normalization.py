"""Naive normalizations."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Weights, mean, sqrt

EPSILON = 1e-5


def batch_norm(x: Array, *, weights: Weights) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    N, C, *image = x.shape
    for c in range(C):
        scale = weights["gamma"][c] / sqrt(weights["variance"][c] + EPSILON)
        shift = weights["beta"][c] - weights["mean"][c] * scale
        for n in range(N):
            for at in np.ndindex(*image):
                y[(n, c, *at)] = x[(n, c, *at)] * scale + shift
    return y


def layer_norm(x: Array, *, weights: Weights, bias: bool) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        average = mean(list(x[row]))
        centred = [value - average for value in x[row]]
        factor = 1.0 / sqrt(mean([value * value for value in centred]) + EPSILON)
        for c, value in enumerate(centred):
            scaled = value * factor * weights["gamma"][c]
            y[(*row, c)] = scaled + weights["beta"][c] if bias else scaled
    return y


def rms_norm(x: Array, *, weights: Weights) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        factor = 1.0 / sqrt(mean([value * value for value in x[row]]) + EPSILON)
        for c, value in enumerate(x[row]):
            y[(*row, c)] = value * factor * weights["gamma"][c]
    return y
