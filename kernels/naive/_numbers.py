"""Arithmetic that Python's operators cannot say, for floats and for counting numbers.

A counting number brings its own method of the same name; anything else is a float.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

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
