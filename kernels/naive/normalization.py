"""Naive normalizations of rows."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, mean, sqrt

EPSILON = 1e-5


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


def layer_norm_kept(x: Array, *, weights: Weights, bias: bool) -> Gradients:
    average, factor = (np.empty(x.shape[:-1], dtype=x.dtype) for _ in range(2))
    for row in np.ndindex(*x.shape[:-1]):
        average[row] = mean(list(x[row]))
        centred = [value - average[row] for value in x[row]]
        factor[row] = 1.0 / sqrt(mean([value * value for value in centred]) + EPSILON)
    return {"row_mean": average, "row_factor": factor}


def rms_norm_kept(x: Array, *, weights: Weights) -> Gradients:
    factor = np.empty(x.shape[:-1], dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        factor[row] = 1.0 / sqrt(mean([value * value for value in x[row]]) + EPSILON)
    return {"row_factor": factor}


def layer_norm_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    kept: Weights,
    bias: bool,
) -> Gradients:
    gamma = weights["gamma"]
    dx, rows, products = np.empty_like(x), [], []
    for row in np.ndindex(*x.shape[:-1]):
        average, factor = kept["row_mean"][row], kept["row_factor"][row]
        scaled = [(value - average) * factor for value in x[row]]
        h = [d * value for d, value in zip(dy[row], scaled, strict=True)]
        g = [d * gamma[c] for c, d in enumerate(dy[row])]
        of_g, of_h = mean(g), mean([value * gamma[c] for c, value in enumerate(h)])
        for c, value in enumerate(scaled):
            dx[(*row, c)] = (g[c] - of_g - value * of_h) * factor
        products.append(h)
        rows.append(list(dy[row]))
    made = {"input 0": dx, "gamma": _column_sums(products, gamma)}
    return {**made, "beta": _column_sums(rows, gamma)} if bias else made


def rms_norm_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, kept: Weights
) -> Gradients:
    gamma = weights["gamma"]
    dx, products = np.empty_like(x), []
    for row in np.ndindex(*x.shape[:-1]):
        factor = kept["row_factor"][row]
        scaled = [value * factor for value in x[row]]
        h = [d * value for d, value in zip(dy[row], scaled, strict=True)]
        of_h = mean([value * gamma[c] for c, value in enumerate(h)])
        for c, value in enumerate(scaled):
            dx[(*row, c)] = (dy[(*row, c)] * gamma[c] - value * of_h) * factor
        products.append(h)
    return {"input 0": dx, "gamma": _column_sums(products, gamma)}


def _column_sums(rows: list[list[Number]], like: Array) -> Array:
    sums = rows[0]
    for row in rows[1:]:
        sums = [total + value for total, value in zip(sums, row, strict=True)]
    out = np.empty_like(like)
    out[:] = sums
    return out
