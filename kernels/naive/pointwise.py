"""Naive function of each element: so many additions, so many exponentials."""

from __future__ import annotations

import numpy as np

from . import _numbers as numbers
from ._numbers import Array, Weights


def pointwise(
    *inputs: Array, weights: Weights, function: str, vector: int, special: int, to: str
) -> Array:
    operands = np.broadcast_arrays(*inputs)
    y = np.empty(operands[0].shape, dtype=operands[0].dtype)
    for place in np.ndindex(y.shape):
        values = [x[place] for x in operands]
        for value in values:
            getattr(value, "touch", lambda: None)()
        result = values[0]
        for i in range(vector):
            result = result + values[(i + 1) % len(values)]
        for _ in range(special):
            result = numbers.tanh(result)
        y[place] = result
    return y
