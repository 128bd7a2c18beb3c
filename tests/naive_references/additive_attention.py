"""Additive attention by full arrays of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def additive(q: Array, k: Array, w: Mapping[str, Array]) -> Array:
    inside = (q @ w["query_weight"].T)[:, :, None] + (k @ w["key_weight"].T)[:, None]
    powers = np.exp(np.tanh(inside) @ w["score_weight"])
    return (powers / powers.sum(axis=-1, keepdims=True)) @ k


CASES = {
    "additive_attention": [
        ({"units": 4}, [(2, 3, 5), (2, 6, 2)],
         {"query_weight": (4, 5), "key_weight": (4, 2), "score_weight": (4,)}, additive),
    ],
}  # fmt: skip
APART: set[str] = set()
