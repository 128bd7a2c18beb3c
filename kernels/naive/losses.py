"""Naive losses, each one kernel from the logits or predictions to the mean."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, exp, log, mean


def cross_entropy(x: Array, target: Array, *, weights: Weights, reduction: str) -> Array:
    y = np.empty(x.shape[:-1], dtype=x.dtype)
    for row in np.ndindex(*y.shape):
        shifted, powers = _powers(list(x[row]))
        y[row] = log(_sum(powers)) - shifted[target[row]]
    return _reduced(y, reduction)


def cross_entropy_grad(
    part: str,
    dy: Array,
    x: Array,
    target: Array,
    *,
    output: Array,
    weights: Weights,
    reduction: str,
) -> Gradients:
    dx = np.empty(x.shape, dtype=x.dtype)
    rows = list(np.ndindex(*x.shape[:-1]))
    mean_slope = dy[()] * (1.0 / len(rows)) if reduction == "mean" else None
    for row in rows:
        slope = dy[row] if mean_slope is None else mean_slope
        powers = _powers(list(x[row]))[1]
        factor = slope * (1.0 / _sum(powers))
        made = [power * factor for power in powers]
        made[target[row]] = made[target[row]] - slope
        for c, value in enumerate(made):
            dx[(*row, c)] = value
    return {"input 0": dx}


def binary_cross_entropy(x: Array, target: Array, *, weights: Weights, reduction: str) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        value = x[at]
        smooth = log(1.0 + exp(min(value, -value)))
        y[at] = max(value, 0.0) - value * target[at] + smooth
    return _reduced(y, reduction)


def binary_cross_entropy_grad(
    part: str,
    dy: Array,
    x: Array,
    target: Array,
    *,
    output: Array,
    weights: Weights,
    reduction: str,
) -> Gradients:
    made = np.empty(x.shape, dtype=x.dtype)
    mean_slope = dy[()] * (1.0 / x.size) if reduction == "mean" else None
    for at in np.ndindex(*x.shape):
        slope = dy[at] if mean_slope is None else mean_slope
        if part == "input":
            made[at] = slope * (1.0 / (1.0 + exp(-x[at])) - target[at])
        else:
            made[at] = -(slope * x[at])
    return {"input 0" if part == "input" else "input 1": made}


def mse(x: Array, target: Array, *, weights: Weights, reduction: str) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        error = x[at] - target[at]
        y[at] = error * error
    return _reduced(y, reduction)


def mse_grad(
    part: str,
    dy: Array,
    x: Array,
    target: Array,
    *,
    output: Array,
    weights: Weights,
    reduction: str,
) -> Gradients:
    made = np.empty(x.shape, dtype=x.dtype)
    mean_slope = dy[()] * (2.0 / x.size) if reduction == "mean" else None
    for at in np.ndindex(*x.shape):
        slope = 2.0 * dy[at] if mean_slope is None else mean_slope
        error = x[at] - target[at] if part == "input" else target[at] - x[at]
        made[at] = slope * error
    return {"input 0" if part == "input" else "input 1": made}


def _powers(values: list[Number]) -> tuple[list[Number], list[Number]]:
    """Return a row minus its maximum, and the exponentials of that."""
    largest = values[0]
    for value in values[1:]:
        largest = max(largest, value)
    shifted = [value - largest for value in values]
    return shifted, [exp(value) for value in shifted]


def _sum(values: list[Number]) -> Number:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _reduced(losses: Array, reduction: str) -> Array:
    if reduction == "none":
        return losses
    y = np.empty((), dtype=losses.dtype)
    y[()] = mean(list(losses.flat))
    return y
