"""Naive activation functions and arithmetic of two tensors."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np

from . import _numbers as numbers
from ._numbers import Array, Number, Weights

#: the other operand where only one tensor is given
SCALAR = 1.5


def relu(x: Array, *, weights: Weights) -> Array:
    return _each(x, lambda value: max(value, 0.0))


def sigmoid(x: Array, *, weights: Weights) -> Array:
    return _each(x, lambda value: 1.0 / (1.0 + numbers.exp(-value)))


def tanh(x: Array, *, weights: Weights) -> Array:
    return _each(x, numbers.tanh)


def silu(x: Array, *, weights: Weights) -> Array:
    return _each(x, lambda value: value / (1.0 + numbers.exp(-value)))


def gelu(x: Array, *, weights: Weights) -> Array:
    scale = 1.0 / math.sqrt(2.0)
    return _each(x, lambda value: 0.5 * value * (1.0 + numbers.erf(value * scale)))


def gelu_tanh(x: Array, *, weights: Weights) -> Array:
    scale = math.sqrt(2.0 / math.pi)

    def value_of(value: Number) -> Number:
        inner = scale * (value + 0.044715 * (value * value * value))
        return 0.5 * value * (1.0 + numbers.tanh(inner))

    return _each(x, value_of)


def add(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.add)


def sub(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.sub)


def mul(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.mul)


def div(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.truediv)


def _each(x: Array, function: Callable[[Number], Number]) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        y[at] = function(x[at])
    return y


def _pairwise(a: Array, b: Array | float, function: Callable[[Number, Number], Number]) -> Array:
    left, right = np.broadcast_arrays(a, b)
    y = np.empty(left.shape, dtype=a.dtype)
    for at in np.ndindex(*y.shape):
        y[at] = function(left[at], right[at])
    return y
