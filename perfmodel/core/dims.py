"""Dim: a size that is one number or a float64 array of them.

Every formula of the package works on both, so that a sweep over a million
points is one vectorised evaluation. Plain ints stay exact; arrays are float64
because int64 wraps silently past 2**63. Never use `int()`, `if`, `max()` or
`*=` on a Dim; use these helpers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from perfmodel.errors import InputError

Array = npt.NDArray[np.float64]
Dim = int | float | Array


def is_scalar(*values: Any) -> bool:
    """Tell whether none of ``values`` is an array."""
    return not any(isinstance(v, np.ndarray) for v in values)


def maximum(first: Dim, *rest: Dim) -> Dim:
    """Return the elementwise largest."""
    out = first
    for value in rest:
        if isinstance(out, np.ndarray) or isinstance(value, np.ndarray):
            out = np.maximum(out, value)
        elif value > out:
            out = value
    return out


def minimum(first: Dim, *rest: Dim) -> Dim:
    """Return the elementwise smallest."""
    out = first
    for value in rest:
        if isinstance(out, np.ndarray) or isinstance(value, np.ndarray):
            out = np.minimum(out, value)
        elif value < out:
            out = value
    return out


def clip(value: Dim, low: Dim, high: Dim) -> Dim:
    """Return ``value`` held between ``low`` and ``high``."""
    return minimum(maximum(value, low), high)


def ceil_div(numerator: Dim, denominator: Dim) -> Dim:
    """Return the quotient rounded up: ``ceil_div(7, 2) == 4``."""
    return -(-numerator // denominator)


def sqrt(value: Dim) -> Dim:
    """Return the square root."""
    return math.sqrt(value) if is_scalar(value) else np.sqrt(value)


def where(condition: Any, yes: Dim, no: Dim) -> Dim:
    """Return ``yes`` where ``condition`` holds, else ``no``."""
    if is_scalar(condition, yes, no):
        return yes if condition else no
    return np.where(condition, yes, no)


def product(values: Iterable[Dim]) -> Dim:
    """Return the product; 1 of nothing."""
    out: Dim = 1
    for value in values:
        out = out * value
    return out


def total(values: Iterable[Dim]) -> Dim:
    """Return the sum in order, the same for scalars as for arrays; 0 of nothing."""
    out: Dim = 0
    for value in values:
        out = out + value
    return out


def same(a: Dim, b: Dim) -> bool:
    """Tell whether two sizes are equal at every point."""
    return bool(a == b) if is_scalar(a, b) else bool(np.all(np.equal(a, b)))


def smallest(value: Dim) -> float:
    """Return the least value over all points."""
    return float(np.min(value)) if isinstance(value, np.ndarray) else float(value)


def largest(value: Dim) -> float:
    """Return the greatest value over all points."""
    return float(np.max(value)) if isinstance(value, np.ndarray) else float(value)


def show(value: Dim) -> str:
    """Write a size for a message: one number, or the range of an array."""
    if isinstance(value, np.ndarray):
        low, high = smallest(value), largest(value)
        return f"{low:g}" if low == high else f"{low:g}..{high:g}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def show_shape(shape: Iterable[Dim]) -> str:
    """Write a shape for a message: ``[1, 64, 56, 56]``."""
    return "[" + ", ".join(show(d) for d in shape) + "]"


def check_size(name: str, value: Dim, *, least: int = 1) -> None:
    """Raise InputError unless ``value`` is whole and at least ``least`` at every point."""
    if isinstance(value, bool) or not (smallest(value) >= least):
        raise InputError(f"{name}={show(value)}, expected at least {least}")
    if largest(value % 1) > 0:
        raise InputError(f"{name}={show(value)}, expected a whole number")
