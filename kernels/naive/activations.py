"""Naive activation functions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._numbers import (
    Array,
    Gradients,
    Number,
    Weights,
    constant,
    each,
    each_gradient,
    erf,
    exp,
    log,
)
from ._numbers import tanh as tanh_of

LEAK = 0.01
ELU_SCALE = 1.0
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
TANH_SCALE = math.sqrt(2.0 / math.pi)
CUBIC = 0.044715


def relu(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: max(value, 0.0))


def relu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return _select(dy, output, lambda y: y > 0.0)


def relu6(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: min(max(value, 0.0), 6.0))


def relu6_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return _select(dy, output, lambda y: (y > 0.0) & (y < 6.0))


def leaky_relu(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: max(value, LEAK * value))


def leaky_relu_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights
) -> Gradients:
    return each_gradient(dy, output, lambda y: 1.0 if y > 0.0 else LEAK)


def elu(x: Array, *, weights: Weights) -> Array:
    def value_of(value: Number) -> Number:
        below = ELU_SCALE * (exp(value) - 1.0)
        return value if value > 0.0 else below

    return each(x, value_of)


def elu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slope(y: Number) -> Number:
        below = y + ELU_SCALE
        return 1.0 if y > 0.0 else below

    return each_gradient(dy, output, slope)


def selu(x: Array, *, weights: Weights) -> Array:
    def value_of(value: Number) -> Number:
        below = (SELU_SCALE * SELU_ALPHA) * (exp(value) - 1.0)
        above = SELU_SCALE * value
        return above if value > 0.0 else below

    return each(x, value_of)


def selu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slope(y: Number) -> Number:
        below = y + SELU_SCALE * SELU_ALPHA
        return SELU_SCALE if y > 0.0 else below

    return each_gradient(dy, output, slope)


def sigmoid(x: Array, *, weights: Weights) -> Array:
    return each(x, _sigmoid)


def sigmoid_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return each_gradient(dy, output, lambda y: y * (1.0 - y))


def hard_sigmoid(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: min(max(value + 3.0, 0.0), 6.0) * (1.0 / 6.0))


def hard_sigmoid_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights
) -> Gradients:
    return each_gradient(dy, output, lambda y: 1.0 / 6.0 if (y > 0.0) & (y < 1.0) else 0.0)


def hard_swish(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: value * (min(max(value + 3.0, 0.0), 6.0) * (1.0 / 6.0)))


def hard_swish_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights
) -> Gradients:
    def slope(value: Number) -> Number:
        between = value * (1.0 / 3.0) + 0.5
        above, below = value > 3.0, value < -3.0
        return 1.0 if above else 0.0 if below else between

    return each_gradient(dy, x, slope)


def tanh(x: Array, *, weights: Weights) -> Array:
    return each(x, tanh_of)


def tanh_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return each_gradient(dy, output, lambda y: 1.0 - y * y)


def silu(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: value / (1.0 + exp(-value)))


def silu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slope(value: Number) -> Number:
        s = _sigmoid(value)
        return s + value * s * (1.0 - s)

    return each_gradient(dy, x, slope)


def gelu(x: Array, *, weights: Weights) -> Array:
    scale = 1.0 / math.sqrt(2.0)
    return each(x, lambda value: 0.5 * value * (1.0 + erf(value * scale)))


def gelu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return each_gradient(dy, x, lambda value: _normal_cdf(value) + value * _normal_pdf(value))


def gelu_tanh(x: Array, *, weights: Weights) -> Array:
    def value_of(value: Number) -> Number:
        inner = TANH_SCALE * (value + CUBIC * (value * value * value))
        return 0.5 * value * (1.0 + tanh_of(inner))

    return each(x, value_of)


def gelu_tanh_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slope(value: Number) -> Number:
        square = value * value
        t = tanh_of(TANH_SCALE * (value + CUBIC * (square * value)))
        inner_slope = TANH_SCALE + 3.0 * TANH_SCALE * CUBIC * square
        return 0.5 * (1.0 + t) + 0.5 * value * (1.0 - t * t) * inner_slope

    return each_gradient(dy, x, slope)


def softplus(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: max(value, 0.0) + log(1.0 + exp(min(value, -value))))


def softplus_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    dx = np.empty_like(dy)
    for at in np.ndindex(*dy.shape):
        dx[at] = dy[at] / (1.0 + exp(-x[at]))
    return {"input 0": dx}


def mish(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: value * tanh_of(log(1.0 + exp(value))))


def mish_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slope(value: Number) -> Number:
        power = exp(value)
        more = 1.0 + power
        t = tanh_of(log(more))
        return t + value * (power / more) * (1.0 - t * t)

    return each_gradient(dy, x, slope)


def prelu(x: Array, *, weights: Weights, shared: bool) -> Array:
    slope = weights["slope"]
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        below = slope[0 if shared else at[1]] * x[at]
        y[at] = x[at] if x[at] > 0.0 else below
    return y


def prelu_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, shared: bool
) -> Gradients:
    slope = weights["slope"]
    dx = np.empty(x.shape, dtype=x.dtype)
    collected: dict[int, Number] = {}
    for at in np.ndindex(*x.shape):
        channel = 0 if shared else at[1]
        below, term = slope[channel] * dy[at], dy[at] * x[at]
        dx[at], term = (dy[at], constant(term, 0.0)) if x[at] > 0.0 else (below, term)
        collected[channel] = collected[channel] + term if channel in collected else term
    dslope = np.empty(slope.shape, dtype=slope.dtype)
    for channel, total in collected.items():
        dslope[channel] = total
    return {"input 0": dx, "slope": dslope}


def _select(dy: Array, y: Array, keep: Callable[[Number], bool]) -> Gradients:
    dx = np.empty(dy.shape, dtype=dy.dtype)
    for at in np.ndindex(*dy.shape):
        dx[at] = dy[at] if keep(y[at]) else 0.0
    return {"input 0": dx}


def _sigmoid(value: Number) -> Number:
    return 1.0 / (1.0 + exp(-value))


def _normal_cdf(value: Number) -> Number:
    return 0.5 * (1.0 + erf(value * (1.0 / math.sqrt(2.0))))


def _normal_pdf(value: Number) -> Number:
    return (1.0 / math.sqrt(2.0 * math.pi)) * exp(-0.5 * (value * value))
