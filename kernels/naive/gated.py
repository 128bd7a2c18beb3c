"""Naive gated linear units."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, erf, exp

Pair = tuple[Number, Number]


def glu(x: Array, *, weights: Weights) -> Array:
    return _halves(x, lambda a, b: a / (1.0 + exp(-b)))


def glu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slopes(d: Number, a: Number, b: Number) -> Pair:
        s = 1.0 / (1.0 + exp(-b))
        da = d * s
        return da, da * a * (1.0 - s)

    return _gradient_of_halves(dy, x, slopes)


def swiglu(x: Array, *, weights: Weights) -> Array:
    return _halves(x, lambda a, b: a / (1.0 + exp(-a)) * b)


def swiglu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slopes(d: Number, a: Number, b: Number) -> Pair:
        s = 1.0 / (1.0 + exp(-a))
        silu = a * s
        return d * b * (s + silu * (1.0 - s)), d * silu

    return _gradient_of_halves(dy, x, slopes)


def geglu(x: Array, *, weights: Weights) -> Array:
    scale = 1.0 / math.sqrt(2.0)
    return _halves(x, lambda a, b: 0.5 * a * (1.0 + erf(a * scale)) * b)


def geglu_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def slopes(d: Number, a: Number, b: Number) -> Pair:
        below = 0.5 * (1.0 + erf(a * (1.0 / math.sqrt(2.0))))
        density = (1.0 / math.sqrt(2.0 * math.pi)) * exp(-0.5 * (a * a))
        return d * b * (below + a * density), d * (a * below)

    return _gradient_of_halves(dy, x, slopes)


def _halves(x: Array, function: Callable[[Number, Number], Number]) -> Array:
    half = x.shape[-1] // 2
    y = np.empty((*x.shape[:-1], half), dtype=x.dtype)
    for *row, c in np.ndindex(*y.shape):
        y[(*row, c)] = function(x[(*row, c)], x[(*row, half + c)])
    return y


def _gradient_of_halves(
    dy: Array, x: Array, slopes: Callable[[Number, Number, Number], Pair]
) -> Gradients:
    half = x.shape[-1] // 2
    dx = np.empty(x.shape, dtype=x.dtype)
    for *row, c in np.ndindex(*dy.shape):
        at, partner = (*row, c), (*row, half + c)
        dx[at], dx[partner] = slopes(dy[at], x[at], x[partner])
    return {"input 0": dx}
