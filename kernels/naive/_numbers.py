"""Arithmetic that Python's operators cannot say, for floats and for counting numbers.

A counting number brings its own method of the same name; anything else is a float.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Number = Any
Weights = Mapping[str, Array]
Gradients = dict[str, Array]


def mac(acc: Number, a: Number, b: Number) -> Number:
    """Return ``acc + a b``, a step of dense linear algebra."""
    for factor in (a, b):
        if hasattr(factor, "mac"):
            return factor.mac(acc, b if factor is a else a)
    return acc + a * b


def constant(like: Number, value: float) -> Number:
    """Return ``value`` as a number of the kind of ``like``, so that operations on it count."""
    return like.constant(value) if hasattr(like, "constant") else value


def exp(x: Number) -> Number:
    return x.exp() if hasattr(x, "exp") else math.exp(x)


def tanh(x: Number) -> Number:
    return x.tanh() if hasattr(x, "tanh") else math.tanh(x)


def erf(x: Number) -> Number:
    return x.erf() if hasattr(x, "erf") else math.erf(x)


def sqrt(x: Number) -> Number:
    return x.sqrt() if hasattr(x, "sqrt") else math.sqrt(x)


def log(x: Number) -> Number:
    return x.log() if hasattr(x, "log") else math.log(x)


def sin(x: Number) -> Number:
    return x.sin() if hasattr(x, "sin") else math.sin(x)


def cos(x: Number) -> Number:
    return x.cos() if hasattr(x, "cos") else math.cos(x)


def power(x: Number, exponent: Number) -> Number:
    return x.power(exponent) if hasattr(x, "power") else math.pow(x, exponent)


def word_xor(a: Number, b: Number) -> Number:
    return a.word_xor(b) if hasattr(a, "word_xor") else a ^ b


def word_product(a: Number, b: int) -> tuple[Number, Number]:
    """Return the high and the low 32 bits of a product of 32-bit words, an operation each."""
    high, low = a.word_product(b) if hasattr(a, "word_product") else divmod(a * b, 2**32)
    return high, low


def each(x: Array, function: Callable[[Number], Number]) -> Array:
    """Return ``function`` of every element."""
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        y[at] = function(x[at])
    return y


def each_gradient(dy: Array, saved: Array, slope: Callable[[Number], Number]) -> Gradients:
    """Return the gradient of the first input: dy times the slope at each saved element."""
    dx = np.empty(dy.shape, dtype=dy.dtype)
    for at in np.ndindex(*dy.shape):
        dx[at] = dy[at] * slope(saved[at])
    return {"input 0": dx}


def mean(values: Sequence[Number]) -> Number:
    """Return the sum, which starts at the first value, times a constant."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total * (1.0 / len(values))


def softmax_row(values: Sequence[Number]) -> list[Number]:
    """Return the softmax of one row, its reductions starting at the first value."""
    largest = values[0]
    for value in values[1:]:
        largest = max(largest, value)
    powers = [exp(value - largest) for value in values]
    total = powers[0]
    for power in powers[1:]:
        total = total + power
    reciprocal = 1.0 / total
    return [power * reciprocal for power in powers]
