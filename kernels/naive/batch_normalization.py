"""Naive batch norm and batch renormalization."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Number, Weights, constant, sqrt

EPSILON = 1e-5
#: how far a batch moves the stored statistics
MOMENTUM = 0.1

Channel = Callable[[int, list[Number]], list[Number]]


def batch_norm(
    x: Array,
    *,
    weights: Weights,
    training: bool = False,
    layout: str = "nchw",
    folded: bool = False,
) -> Array:
    if folded:
        return x

    def normalize(c: int, values: list[Number]) -> list[Number]:
        if training:
            average, variance = _statistics(values)
            factor = 1.0 / sqrt(variance + EPSILON)
            scale = weights["gamma"][c] * factor
            _moved(weights["mean"][c], average, 1.0)
            _moved(weights["variance"][c], variance, len(values) / (len(values) - 1))
        else:
            average = weights["mean"][c]
            scale = weights["gamma"][c] / sqrt(weights["variance"][c] + EPSILON)
        shift = weights["beta"][c] - average * scale
        return [value * scale + shift for value in values]

    return _per_channel(x, layout, normalize)


def batch_renorm(
    x: Array, *, weights: Weights, r_max: int, d_max: int, layout: str = "nchw"
) -> Array:
    def normalize(c: int, values: list[Number]) -> list[Number]:
        average, variance = _statistics(values)
        sigma = sqrt(variance + EPSILON)
        factor = 1.0 / sigma
        r, d = _correction(c, weights, average, sigma, r_max, d_max)
        scale = weights["gamma"][c] * r * factor
        shift = weights["gamma"][c] * d + weights["beta"][c] - average * scale
        _moved(weights["mean"][c], average, 1.0)
        _moved(weights["deviation"][c], sigma, 1.0)
        return [value * scale + shift for value in values]

    return _per_channel(x, layout, normalize)


def _per_channel(x: Array, layout: str, normalize: Channel) -> Array:
    x = windows.channels_first(x, layout)
    y = np.empty(x.shape, dtype=x.dtype)
    for c in range(x.shape[1]):
        y[:, c] = _like(x[:, c], normalize(c, list(x[:, c].flat)))
    return windows.in_layout(y, layout)


def _like(x: Array, values: list[Number]) -> Array:
    out = np.empty(len(values), dtype=x.dtype)
    out[:] = values
    return out.reshape(x.shape)


def _statistics(values: list[Number]) -> tuple[Number, Number]:
    """Return mean and variance from one pass over the values."""
    total, squares = values[0], values[0] * values[0]
    for value in values[1:]:
        total, squares = total + value, squares + value * value
    average = total * (1.0 / len(values))
    return average, squares * (1.0 / len(values)) - average * average


def _moved(stored: Number, batch: Number, correction: float) -> Number:
    return stored * (1.0 - MOMENTUM) + batch * (MOMENTUM * correction)


def _correction(
    c: int, weights: Weights, average: Number, sigma: Number, r_max: int, d_max: int
) -> tuple[Number, Number]:
    reciprocal = 1.0 / weights["deviation"][c]
    r = sigma * reciprocal
    d = (average - weights["mean"][c]) * reciprocal
    return _clipped(r, 1.0 / r_max, float(r_max)), _clipped(d, -float(d_max), float(d_max))


def _clipped(value: Number, low: float, high: float) -> Number:
    return min(max(value, constant(value, low)), constant(value, high))


def batch_norm_kept(
    x: Array, *, weights: Weights, training: bool, layout: str, folded: bool = False
) -> Gradients:
    x = windows.channels_first(x, layout)
    kept = {n: np.empty(x.shape[1], dtype=x.dtype) for n in ("batch_mean", "batch_factor")}
    for c in range(x.shape[1]):
        kept["batch_mean"][c], variance = _statistics(list(x[:, c].flat))
        kept["batch_factor"][c] = 1.0 / sqrt(variance + EPSILON)
    return kept


def batch_renorm_kept(
    x: Array, *, weights: Weights, r_max: int, d_max: int, layout: str
) -> Gradients:
    kept = batch_norm_kept(x, weights=weights, training=True, layout=layout)
    kept |= {n: np.empty_like(kept["batch_mean"]) for n in "rd"}
    for c, (average, factor) in enumerate(
        zip(kept["batch_mean"], kept["batch_factor"], strict=True)
    ):
        found = _correction(c, weights, average, 1.0 / factor, r_max, d_max)
        kept["r"][c], kept["d"][c] = found
    return kept


def batch_norm_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    training: bool,
    layout: str,
    folded: bool = False,
    kept: Weights | None = None,
) -> Gradients:
    if folded:
        return {"input 0": dy}

    def of_channel(c: int, of_dy: Number, values: list[Number], dy: list[Number]) -> _Made:
        gamma = weights["gamma"][c]
        if kept is None:
            average = weights["mean"][c]
            factor = 1.0 / sqrt(weights["variance"][c] + EPSILON)
            scale = gamma * factor
            to_gamma = _centred_sum(values, dy, average) * factor
            return [value * scale for value in dy], to_gamma
        average, factor = kept["batch_mean"][c], kept["batch_factor"][c]
        to_gamma = _centred_sum(values, dy, average) * factor
        scale = gamma * factor
        slope = scale * factor * to_gamma * (-1.0 / len(values))
        return _to_values(values, dy, average, scale, slope, of_dy), to_gamma

    return _gradients(dy, x, weights, layout, of_channel)


def batch_renorm_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    kept: Weights,
    r_max: int,
    d_max: int,
    layout: str,
) -> Gradients:
    def of_channel(c: int, of_dy: Number, values: list[Number], dy: list[Number]) -> _Made:
        average, factor, r, d = (kept[n][c] for n in ("batch_mean", "batch_factor", "r", "d"))
        corrected = factor * r
        scale = weights["gamma"][c] * corrected
        centred = _centred_sum(values, dy, average)
        slope = scale * factor * factor * centred * (-1.0 / len(values))
        to_gamma = centred * corrected + d * of_dy
        return _to_values(values, dy, average, scale, slope, of_dy), to_gamma

    return _gradients(dy, x, weights, layout, of_channel)


_Made = tuple[list[Number], Number]


def _gradients(
    dy: Array,
    x: Array,
    weights: Weights,
    layout: str,
    of_channel: Callable[[int, Number, list[Number], list[Number]], _Made],
) -> Gradients:
    x, dy = windows.channels_first(x, layout), windows.channels_first(dy, layout)
    dx, to_gamma = np.empty(x.shape, dtype=x.dtype), np.empty_like(weights["gamma"])
    to_beta = windows.channel_sums(dy)
    for c, of_dy in enumerate(to_beta):
        made, to_gamma[c] = of_channel(c, of_dy, list(x[:, c].flat), list(dy[:, c].flat))
        dx[:, c] = _like(x[:, c], made)
    return {"input 0": windows.in_layout(dx, layout), "gamma": to_gamma, "beta": to_beta}


def _centred_sum(values: list[Number], dy: list[Number], average: Number) -> Number:
    products = [d * (value - average) for value, d in zip(values, dy, strict=True)]
    total = products[0]
    for product in products[1:]:
        total = total + product
    return total


def _to_values(
    values: list[Number],
    dy: list[Number],
    average: Number,
    scale: Number,
    slope: Number,
    of_dy: Number,
) -> list[Number]:
    shift = scale * of_dy * (-1.0 / len(values)) - average * slope
    return [d * scale + value * slope + shift for value, d in zip(values, dy, strict=True)]
