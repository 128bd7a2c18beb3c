"""Arithmetic that Python's operators cannot say, for floats and for counting numbers.

A counting number brings its own method of the same name; anything else is a float.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Number = Any
Weights = Mapping[str, Array]


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
