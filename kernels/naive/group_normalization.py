"""Naive group, instance and local response normalization."""

from __future__ import annotations

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Number, Weights, constant, mean, power, sqrt

EPSILON = 1e-5
#: of local response normalization
K, ALPHA, BETA = 2.0, 1e-4, 0.75


def group_norm(
    x: Array, *, weights: Weights, groups: int, affine: bool, layout: str = "nchw"
) -> Array:
    x = windows.channels_first(x, layout)
    return windows.in_layout(_normalized(x, weights, groups, affine), layout)


def instance_norm(x: Array, *, weights: Weights, affine: bool, layout: str = "nchw") -> Array:
    x = windows.channels_first(x, layout)
    return windows.in_layout(_normalized(x, weights, x.shape[1], affine), layout)


def group_norm_kept(
    x: Array, *, weights: Weights, groups: int, affine: bool, layout: str
) -> Gradients:
    return _statistics(windows.channels_first(x, layout), groups)


def instance_norm_kept(x: Array, *, weights: Weights, affine: bool, layout: str) -> Gradients:
    x = windows.channels_first(x, layout)
    return _statistics(x, x.shape[1])


def group_norm_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    kept: Weights,
    groups: int,
    affine: bool,
    layout: str,
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    made = _gradients(dy, x, weights, kept, groups, affine)
    return {**made, "input 0": windows.in_layout(made["input 0"], layout)}


def instance_norm_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    kept: Weights,
    affine: bool,
    layout: str,
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    made = _gradients(dy, x, weights, kept, x.shape[1], affine)
    return {**made, "input 0": windows.in_layout(made["input 0"], layout)}


def _grouped(x: Array, groups: int) -> Array:
    """Return a view of x[N,C,...] as [N, groups, channels of a group, values of a channel]."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, -1)


def _statistics(x: Array, groups: int) -> Gradients:
    sets = _grouped(x, groups)
    averages, factors = (np.empty(sets.shape[:2], dtype=x.dtype) for _ in range(2))
    for at in np.ndindex(sets.shape[:2]):
        values = list(sets[at].flat)
        averages[at] = mean(values)
        centred = [value - averages[at] for value in values]
        factors[at] = 1.0 / sqrt(mean([value * value for value in centred]) + EPSILON)
    return {"group_mean": averages, "group_factor": factors}


def _normalized(x: Array, weights: Weights, groups: int, affine: bool) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    sets, made = _grouped(x, groups), _grouped(y, groups)
    channels, values = sets.shape[2:]
    for n, g in np.ndindex(sets.shape[:2]):
        average = mean(list(sets[n, g].flat))
        centred = np.empty((channels, values), dtype=x.dtype)
        for at in np.ndindex(centred.shape):
            centred[at] = sets[(n, g, *at)] - average
        variance = mean([value * value for value in centred.flat])
        factor = 1.0 / sqrt(variance + EPSILON)
        for i in range(channels):
            c = g * channels + i
            scale = factor * weights["gamma"][c] if affine else factor
            for j in range(values):
                scaled = centred[i, j] * scale
                made[n, g, i, j] = scaled + weights["beta"][c] if affine else scaled
    return y


def _gradients(
    dy: Array, x: Array, weights: Weights, kept: Weights, groups: int, affine: bool
) -> Gradients:
    dx = np.empty(x.shape, dtype=x.dtype)
    sets, to_sets, from_sets = (_grouped(t, groups) for t in (x, dx, dy))
    channels, values = sets.shape[2:]
    to_gamma: list[list[Number]] = [[] for _ in range(x.shape[1])]
    to_beta: list[list[Number]] = [[] for _ in range(x.shape[1])]
    for n, g in np.ndindex(sets.shape[:2]):
        average, factor = kept["group_mean"][n, g], kept["group_factor"][n, g]
        scaled = np.empty((channels, values), dtype=x.dtype)
        products = np.empty((channels, values), dtype=x.dtype)
        for at in np.ndindex(scaled.shape):
            scaled[at] = (sets[(n, g, *at)] - average) * factor
            products[at] = from_sets[(n, g, *at)] * scaled[at]
        if not affine:
            of_dy, of_products = mean(list(from_sets[n, g].flat)), mean(list(products.flat))
            for at in np.ndindex(scaled.shape):
                rest = from_sets[(n, g, *at)] - of_dy - scaled[at] * of_products
                to_sets[(n, g, *at)] = rest * factor
            continue
        gamma = weights["gamma"][g * channels : (g + 1) * channels]
        weighted: tuple[list[Number], list[Number]] = ([], [])
        for i in range(channels):
            sums = _sum(list(from_sets[n, g, i])), _sum(list(products[i]))
            to_beta[g * channels + i].append(sums[0])
            to_gamma[g * channels + i].append(sums[1])
            for list_, total in zip(weighted, sums, strict=True):
                list_.append(total * gamma[i])
        shift, slope = (_sum(part) * (1.0 / (channels * values)) * factor for part in weighted)
        for i in range(channels):
            scale = gamma[i] * factor
            for j in range(values):
                rest = from_sets[n, g, i, j] * scale - shift
                to_sets[n, g, i, j] = rest - scaled[i, j] * slope
    made = {"input 0": dx}
    if affine:
        for name, parts in (("gamma", to_gamma), ("beta", to_beta)):
            made[name] = np.empty_like(weights[name])
            for c, part in enumerate(parts):
                made[name][c] = _sum(part)
    return made


def _sum(values: list[Number]) -> Number:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def local_response_norm(x: Array, *, weights: Weights, size: int, layout: str = "nchw") -> Array:
    x = windows.channels_first(x, layout)
    y = np.empty(x.shape, dtype=x.dtype)
    scale = _scale(x, size)
    for at in np.ndindex(x.shape):
        y[at] = x[at] * power(scale[at], -BETA)
    return windows.in_layout(y, layout)


def local_response_norm_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, size: int, layout: str
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    scale = _scale(x, size)
    scaled, ratios, dx = (np.empty(x.shape, dtype=x.dtype) for _ in range(3))
    for at in np.ndindex(x.shape):
        scaled[at] = dy[at] * power(scale[at], -BETA)
        ratios[at] = scaled[at] * x[at] / scale[at]
    sums = _neighbours(ratios, size - 1 - size // 2, size // 2)
    for at in np.ndindex(x.shape):
        dx[at] = scaled[at] - x[at] * (sums[at] * (2.0 * ALPHA * BETA / size))
    return {"input 0": windows.in_layout(dx, layout)}


def _scale(x: Array, size: int) -> Array:
    squares = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(x.shape):
        squares[at] = x[at] * x[at]
    sums = _neighbours(squares, size // 2, size - 1 - size // 2)
    for at in np.ndindex(x.shape):
        sums[at] = sums[at] * (ALPHA / size) + K
    return sums


def _neighbours(x: Array, before: int, after: int) -> Array:
    """Return the sums over neighbouring channels, zeros beyond the first and the last."""
    C = x.shape[1]
    zero = constant(x.flat[0], 0.0)
    out = np.empty(x.shape, dtype=x.dtype)
    for n, c, *at in np.ndindex(x.shape):
        around = range(c - before, c + after + 1)
        out[(n, c, *at)] = _sum([x[(n, i, *at)] if 0 <= i < C else zero for i in around])
    return out
