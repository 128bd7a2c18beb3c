"""NumPy's own reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

SHAPE = [(2, 3, 4, 5)]


def reduced(function: Callable[..., Any]) -> list[Any]:
    return [
        ({"axes": axes, "keep": keep}, SHAPE, {},
         lambda x, w, a=axes, k=keep: function(x, axis=a, keepdims=k))
        for axes, keep in (((-1,), False), ((1, 3), True), ((0, -2), False), ((2,), True))
    ]  # fmt: skip


CASES: dict[str, Any] = {
    "reduce_sum": reduced(np.sum),
    "reduce_mean": reduced(np.mean),
    "reduce_max": reduced(np.max),
    "reduce_min": reduced(np.min),
    "norm": reduced(lambda x, axis, keepdims: (x**2).sum(axis=axis, keepdims=keepdims) ** 0.5),
    "cumsum": [
        ({"axis": axis}, SHAPE, {}, lambda x, w, a=axis: np.cumsum(x, axis=a)) for axis in (-1, 1)
    ],
}

APART: set[str] = set()
