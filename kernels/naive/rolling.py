"""Naive roll: every value copied to its shifted place, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._numbers import Array, Gradients, Weights


def roll(x: Array, *, weights: Weights, shifts: Sequence[int], axes: Sequence[int]) -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        place = list(at)
        for shift, axis in zip(shifts, axes, strict=True):
            place[axis] = (place[axis] + shift) % x.shape[axis]
        y[tuple(place)] = x[at]
    return y


def roll_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, shifts: Sequence[int],
    axes: Sequence[int],
) -> Gradients:  # fmt: skip
    back = [-shift for shift in shifts]
    return {"input 0": roll(dy, weights=weights, shifts=back, axes=axes)}
