"""Logarithms to base 2 without rounding errors, for the passes of sorts and trees."""

from __future__ import annotations

import math

import numpy as np

from perfmodel.core.dims import Array, Dim, is_scalar


def ceil_log2(value: Dim) -> Dim:
    """Return the levels of a binary tree with ``value`` leaves: ``ceil_log2(5) == 3``."""
    if is_scalar(value):
        return math.frexp(float(value) - 1)[1]
    levels: Array = np.frexp(np.asarray(value) - 1)[1].astype(np.float64)
    return levels


def linear_log2(value: Dim) -> Dim:
    """Return log2 at powers of two, and the straight line between them elsewhere.

    Continuous, and the same to the last bit for numbers and for arrays.
    """
    if is_scalar(value):
        mantissa, exponent = math.frexp(float(value))
        return exponent + 2 * mantissa - 2
    mantissas, exponents = np.frexp(value)
    line: Array = exponents + 2 * mantissas - 2
    return line
